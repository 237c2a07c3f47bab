/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* read_pages.h - every page of a document becomes a committed row, whatever happens to the readers.
 */
#ifndef WORKERS_READ_PAGES_H
#define WORKERS_READ_PAGES_H

#include "workers/task.h"

struct pages_read {
    int page_count;
    const char *title; /* in the task's memory; NULL: none */
    int64_t ms;
};

/* Reads the pages that no earlier attempt committed. `document_fd` and `password` (may be NULL) are
 * borrowed. When it returns CODE_OK every page has its row, failed ones too.
 * PASSWORD_REQUIRED, UNSUPPORTED, UNREADABLE, TOO_LARGE: the document as a whole;
 * DEADLINE_EXCEEDED: DOCUMENT_TIMEOUT; CLAIM_LOST and CANCELLED from task_check(); STORAGE_FULL. */
enum code read_pages(struct task *t, int document_fd, const char *password,
                     struct pages_read *ret_pages) MUST_CHECK;

#endif
