/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sample.h - small documents made in memory for tests. */
#ifndef TESTS_WORKERS_EXTRACT_SAMPLE_H
#define TESTS_WORKERS_EXTRACT_SAMPLE_H

#include "base/buf.h"

/* A PDF with one page for each content stream (drawing operators; font /F1 is Helvetica, image /I1
 * a dark square). `tree` replaces the page tree's dictionary; NULL: an honest one. */
void sample_pdf(struct buf *out, const char *const *contents, int n, const char *tree);

/* A content stream that writes `lines` at 24 points, from the top. */
void sample_content(struct buf *out, const char *const *lines, int n);

/* A descriptor of a file in memory with these bytes. */
int sample_fd(const void *data, size_t len);

#endif
