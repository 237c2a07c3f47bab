/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* summary.h - jobs, results and documents as a person wants to read them. Pure. */
#ifndef CLIENT_SUMMARY_H
#define CLIENT_SUMMARY_H

#include "base/buf.h"
#include "localrag/v1/document.pb-c.h"
#include "localrag/v1/job.pb-c.h"

/* One line "  label      value" and a line feed; the value may be unsafe. */
void summary_field(struct buf *b, const char *label, const char *fmt, ...) PRINTF(3, 4);

/* What a completed job produced: id, pages and engines, chunks, seconds, failed pages, duplicate.
 * `program` is how to call us, for the line that says where to look next; NULL leaves it out. */
void summary_result(struct buf *b, const Localrag__V1__JobResult *result, const char *program);

/* Every field of a job that has a value. */
void summary_job(struct buf *b, const Localrag__V1__Job *job);

void summary_document(struct buf *b, const Localrag__V1__Document *document);

/* "2 failed pages"; for counting nouns that take an s. */
void summary_count(struct buf *b, int64_t n, const char *noun);

#endif
