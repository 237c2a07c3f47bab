/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* child.h - one document: lock in, open, answer. */
#ifndef WORKERS_EXTRACT_CHILD_H
#define WORKERS_EXTRACT_CHILD_H

#include "doc_ocr.h"

struct child_setup {
    int talk_fd, document_fd; /* the only descriptors left besides 0, 1, 2 */
    int64_t memory; /* bytes on top of what the process has when it has mapped the document */
    struct ocr *ocr;
};

/* Serves until the talk ends; returns the exit status. */
int child_run(const struct child_setup *s);

#endif
