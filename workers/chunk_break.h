/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* chunk_break.h - where a text may be cut: a judgement of single positions in a window. */
#ifndef WORKERS_CHUNK_BREAK_H
#define WORKERS_CHUNK_BREAK_H

#include "base/defs.h"

/* From worst to best. */
enum chunk_break {
    CHUNK_BREAK_NONE, /* inside a grapheme cluster */
    CHUNK_BREAK_LETTER,
    CHUNK_BREAK_SPACE,
    CHUNK_BREAK_LINE,
    CHUNK_BREAK_SENTENCE,
    CHUNK_BREAK_PARAGRAPH,
};

/* How far behind a position it looks. */
enum { CHUNK_BREAK_LOOK = 16 };

bool chunk_break_is_space(uint32_t c);

/* The break in front of text[i], 0 < i <= n. Looks at most CHUNK_BREAK_LOOK code points ahead. */
enum chunk_break chunk_break_at(const uint32_t *text, int n, int i);

/* The best cut in [lo, hi], 0 < lo <= hi <= n: the last of the best kind there is. */
int chunk_break_cut(const uint32_t *text, int n, int lo, int hi);

/* Where the next chunk starts so that it repeats at most `overlap` of text[0..end): in (0, end]. */
int chunk_break_restart(const uint32_t *text, int n, int end, int overlap);

#endif
