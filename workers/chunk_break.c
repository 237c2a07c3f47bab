/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* chunk_break.c - where a text may be cut (chunk_break.h); called by chunk.c only.
 *
 * Simple rules over code points instead of ICU's break iterators: those take a line end of a PDF
 * for a sentence end, want UTF-16, and need the whole text at once, while the chunker sees a
 * window. A sentence end beats a line end, because lines of a page end anywhere; a text without
 * sentences (a list, a table, program code) is cut at its lines. Looking ahead is bounded, so that
 * a judgement never depends on how much of the text happens to be in the window. Not here:
 * languages that need a dictionary to find words; they are cut at grapheme clusters. */
#include "workers/chunk_break.h"

#include <unicode/uchar.h>

enum { LOOK_BACK = 64 };

bool chunk_break_is_space(uint32_t c)
{
    return u_isUWhiteSpace((UChar32)c);
}

static bool is_cjk_stop(uint32_t c)
{
    return c == 0x3002 || c == 0xFF01 || c == 0xFF1F || c == 0xFF61;
}

static bool is_stop(uint32_t c)
{
    return c == '.' || c == '!' || c == '?' || c == 0x2026 || c == 0x061F || c == 0x0964;
}

static bool is_closer(uint32_t c)
{
    if (c == '"' || c == '\'')
        return true;
    int8_t type = u_charType((UChar32)c);
    return type == U_END_PUNCTUATION || type == U_FINAL_PUNCTUATION;
}

/* The stop that ends text[0..i), behind closing quotes and brackets; -1 when there is none. */
static int stop_before(const uint32_t *text, int i)
{
    int back = MAX(0, i - 4);
    int j = i - 1;
    while (j > back && is_closer(text[j]))
        j--;
    return j >= 0 && (is_stop(text[j]) || is_cjk_stop(text[j])) ? j : -1;
}

/* "e.g.", "J. Smith": a full stop behind a single letter ends no sentence. */
static bool is_initial(const uint32_t *text, int stop)
{
    return text[stop] == '.' && stop >= 1 && u_isalpha((UChar32)text[stop - 1]) &&
           (stop == 1 || !u_isalnum((UChar32)text[stop - 2]));
}

static bool starts_sentence(uint32_t c)
{
    return !u_islower((UChar32)c) && !is_stop(c) &&
           (u_isalnum((UChar32)c) || u_ispunct((UChar32)c));
}

static bool ends_sentence(const uint32_t *text, int n, int i)
{
    int stop = stop_before(text, i);
    if (stop < 0)
        return false;
    if (is_cjk_stop(text[stop]))
        return i == n || !is_closer(text[i]);
    /* Dot leaders of a table of contents are not sentences. */
    if (stop > 0 && chunk_break_is_space(text[stop - 1]))
        return false;
    if (is_initial(text, stop) || i == n || !chunk_break_is_space(text[i]))
        return false;
    int ahead = MIN(n, i + CHUNK_BREAK_LOOK);
    while (i < ahead && chunk_break_is_space(text[i]))
        i++;
    return i == ahead || starts_sentence(text[i]);
}

static bool blank_line_before(const uint32_t *text, int newline)
{
    int back = MAX(0, newline - LOOK_BACK);
    for (int j = newline - 1; j >= back; j--) {
        if (text[j] == '\n')
            return true;
        if (!chunk_break_is_space(text[j]))
            return false;
    }
    return false;
}

static int cluster_class(uint32_t c)
{
    return u_getIntPropertyValue((UChar32)c, UCHAR_GRAPHEME_CLUSTER_BREAK);
}

static bool hangul_joins(int before, int after)
{
    switch (before) {
    case U_GCB_L:
        return after == U_GCB_L || after == U_GCB_V || after == U_GCB_LV || after == U_GCB_LVT;
    case U_GCB_LV:
    case U_GCB_V:
        return after == U_GCB_V || after == U_GCB_T;
    case U_GCB_LVT:
    case U_GCB_T:
        return after == U_GCB_T;
    default:
        return false;
    }
}

/* Flags are pairs of regional indicators: an odd number in front means this one completes a pair.
 */
static bool completes_flag(const uint32_t *text, int i)
{
    int run = 0;
    while (run < LOOK_BACK && run < i &&
           cluster_class(text[i - 1 - run]) == U_GCB_REGIONAL_INDICATOR)
        run++;
    return run % 2 == 1;
}

static bool inside_cluster(const uint32_t *text, int i)
{
    uint32_t before = text[i - 1], after = text[i];
    if (before < 0x300 && after < 0x300)
        return before == '\r' && after == '\n';
    int b = cluster_class(before), a = cluster_class(after);
    if (a == U_GCB_EXTEND || a == U_GCB_SPACING_MARK || a == U_GCB_ZWJ)
        return true;
    if (b == U_GCB_ZWJ || b == U_GCB_PREPEND || hangul_joins(b, a))
        return true;
    return a == U_GCB_REGIONAL_INDICATOR && completes_flag(text, i);
}

enum chunk_break chunk_break_at(const uint32_t *text, int n, int i)
{
    uint32_t before = text[i - 1];
    if (i < n && inside_cluster(text, i))
        return CHUNK_BREAK_NONE;
    if (before == '\n') {
        if (blank_line_before(text, i - 1))
            return CHUNK_BREAK_PARAGRAPH;
        return CHUNK_BREAK_LINE;
    }
    if (ends_sentence(text, n, i))
        return CHUNK_BREAK_SENTENCE;
    if (chunk_break_is_space(before) || (i < n && chunk_break_is_space(text[i])))
        return CHUNK_BREAK_SPACE;
    return CHUNK_BREAK_LETTER;
}

int chunk_break_cut(const uint32_t *text, int n, int lo, int hi)
{
    enum chunk_break best = CHUNK_BREAK_NONE;
    int at = hi;
    for (int i = hi; i >= lo; i--) {
        enum chunk_break here = chunk_break_at(text, n, i);
        if (here > best) {
            best = here;
            at = i;
        }
        if (best == CHUNK_BREAK_PARAGRAPH)
            break;
    }
    return at;
}

int chunk_break_restart(const uint32_t *text, int n, int end, int overlap)
{
    int first = MAX(1, end - overlap);
    int half = first + (end - first) / 2;
    int line = 0, space = 0, letter = 0;
    for (int i = first; i < end; i++) {
        enum chunk_break here = chunk_break_at(text, n, i);
        if (here >= CHUNK_BREAK_SENTENCE && i <= half)
            return i;
        if (here == CHUNK_BREAK_LINE && !line && i <= half)
            line = i;
        if (here >= CHUNK_BREAK_SPACE && !space)
            space = i;
        if (here >= CHUNK_BREAK_LETTER && !letter)
            letter = i;
    }
    return line ? line : space ? space : letter ? letter : end;
}
