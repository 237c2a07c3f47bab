/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* zygote.h - makes children on request; parses nothing itself. */
#ifndef WORKERS_EXTRACT_ZYGOTE_H
#define WORKERS_EXTRACT_ZYGOTE_H

#include "doc_ocr.h"

struct zygote_setup {
    int control_fd; /* AF_UNIX SOCK_SEQPACKET, a worker at the other end */
    int64_t memory; /* a child may take */
    const char *languages, *tessdata; /* tessdata may be NULL */
};

/* Serves until the control socket closes; returns the exit status. */
int zygote_run(const struct zygote_setup *s);

#endif
