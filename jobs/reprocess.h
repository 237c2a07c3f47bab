/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* reprocess.h - the end of a document_reprocess job. Private to jobs/finish.c. */
#ifndef JOBS_REPROCESS_H
#define JOBS_REPROCESS_H

#include "jobs/jobs.h"

/* In the finishing transaction: the document's readers see this job's pages and chunks from its
 * commit on; the ones before are removed. Fills document_id and chunk_count. DOCUMENT_DELETED. */
enum code reprocess_switch(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                           const struct job_document *doc, const char *key,
                           Localrag__V1__DocumentResult *result) MUST_CHECK;

#endif
