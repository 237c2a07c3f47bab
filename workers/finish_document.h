/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* finish_document.h - from committed pages to chunks and a completed job, in one transaction. */
#ifndef WORKERS_FINISH_DOCUMENT_H
#define WORKERS_FINISH_DOCUMENT_H

#include "workers/read_pages.h"

/* Waits for a database that is away and starts the transaction again. UNREADABLE: every page
 * failed. CLAIM_LOST, CANCELLED, DOCUMENT_DELETED, STORAGE_FULL. */
enum code finish_document(struct task *t, const struct pages_read *pages) MUST_CHECK;

#endif
