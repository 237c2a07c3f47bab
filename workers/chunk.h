/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* chunk.h - cuts the pages of one document, as they come, into overlapping chunks.
 *
 * The same pages and sizes give the same chunks. Sizes are in code points. A chunk is a run of the
 * pages' texts: the pieces that its spans name, joined, are its content exactly. White space at its
 * two ends is left out, a chunk of nothing but white space is never made, and neither is one that
 * only repeats text of the chunk before it. Memory is the current window, whatever the document. */
#ifndef WORKERS_CHUNK_H
#define WORKERS_CHUNK_H

#include "base/ctx.h"

/* A line of a page: bytes [start, end) of its text and its box in points. In order, no overlap. */
struct chunk_line {
    uint32_t start, end;
    float x0, y0, x1, y1;
};

struct chunk_box {
    float x0, y0, x1, y1;
};

enum { CHUNK_MAX_BOXES = 8 };

struct chunk_span {
    int page, start, end; /* code points of that page's text */
    int n_boxes;
    struct chunk_box boxes[CHUNK_MAX_BOXES];
};

struct chunk { /* borrowed for the call */
    int index; /* from 0 */
    int page_start, page_end, token_count;
    const char *content; /* UTF-8, NUL-terminated */
    size_t len;
    const struct chunk_span *spans;
    int n_spans;
};

typedef enum code chunk_emit(struct ctx *cx, void *arg, const struct chunk *chunk);

struct chunker;

/* 1 <= size, 0 <= overlap < size. `emit` gets each chunk in order; its failure ends the calling
 * chunk_page or chunk_end. OUT_OF_MEMORY. */
enum code chunk_begin(struct ctx *cx, int size, int overlap, chunk_emit *emit, void *arg,
                      struct chunker **ret_chunker) MUST_CHECK;

/* Pages in rising order. `text` is valid UTF-8. */
enum code chunk_page(struct ctx *cx, struct chunker *ck, int page, const char *text, size_t len,
                     const struct chunk_line *lines, int n_lines) MUST_CHECK;

/* Emits what is left. */
enum code chunk_end(struct ctx *cx, struct chunker *ck) MUST_CHECK;

void chunk_free(struct chunker *ck);
void chunk_freep(struct chunker **ck);

/* An estimate of how many tokens a model makes of the text: a fifth of every word's letters rounded
 * up, every other sign and every ideograph one. */
int chunk_count_tokens(const char *text, size_t len);

#endif
