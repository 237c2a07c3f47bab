/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* chunk.c - the streaming chunker (chunk.h); run_document.c feeds it pages in order.
 *
 * The window holds code points, so that sizes, offsets and cuts are plain numbers. Every position
 * is absolute: counted from the first code point of the document. A segment says where a page
 * starts, so an offset into a page is a subtraction, however much of the page has left the window.
 * Invariants: the window never starts with white space; `fresh` is the first position that is in no
 * chunk yet; a cut happens only when CHUNK_BREAK_LOOK code points behind the largest chunk are in
 * the window (or the document ended), so that chunks do not depend on how the text arrived. Not
 * here: headings, vectors, and JSON (chunk_json.c). */
#include "workers/chunk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unicode/utf8.h>

#include "base/buf.h"
#include "workers/chunk_break.h"

struct segment {
    int page;
    int64_t at; /* of the page's first code point */
};

struct placed_line {
    int64_t start, end; /* end is INT64_MAX while the line goes on: it cannot leave the window */
    struct chunk_box box;
};

struct chunker {
    int size, overlap, index;
    chunk_emit *emit;
    void *arg;
    int64_t base, fresh;
    uint32_t *text; /* room for size + CHUNK_BREAK_LOOK */
    int n;
    struct segment *segments;
    int n_segments, cap_segments;
    struct placed_line *lines;
    int n_lines, cap_lines;
    struct chunk_span *spans;
    int cap_spans;
    struct buf content;
};

enum code chunk_begin(struct ctx *cx, int size, int overlap, chunk_emit *emit, void *arg,
                      struct chunker **ret_chunker)
{
    if (size < 1 || overlap < 0 || overlap >= size)
        return ctx_fail(cx, CODE_INTERNAL, "chunks of %d with an overlap of %d", size, overlap);
    CLEANUP(chunk_freep) struct chunker *ck = calloc(1, sizeof(*ck));
    if (!ck)
        return ctx_oom(cx);
    ck->size = size;
    ck->overlap = overlap;
    ck->emit = emit;
    ck->arg = arg;
    ck->text = calloc((size_t)size + CHUNK_BREAK_LOOK, sizeof(*ck->text));
    if (!ck->text)
        return ctx_oom(cx);
    *ret_chunker = TAKE(ck);
    return CODE_OK;
}

void chunk_free(struct chunker *ck)
{
    if (!ck)
        return;
    free(ck->text);
    free(ck->segments);
    free(ck->lines);
    free(ck->spans);
    buf_done(&ck->content);
    free(ck);
}

void chunk_freep(struct chunker **ck)
{
    chunk_free(*ck);
}

/* Room for one more item of an array that doubles. */
static enum code grow(struct ctx *cx, void **items, int n, int *cap, size_t size)
{
    if (n < *cap)
        return CODE_OK;
    int want = *cap ? *cap * 2 : 32;
    void *more = reallocarray(*items, (size_t)want, size);
    if (!more)
        return ctx_oom(cx);
    *items = more;
    *cap = want;
    return CODE_OK;
}

static int64_t segment_end(const struct chunker *ck, int i)
{
    return i + 1 < ck->n_segments ? ck->segments[i + 1].at : ck->base + ck->n;
}

/* Forgets the first `n` code points and the white space behind them. */
static void drop(struct chunker *ck, int n)
{
    while (n < ck->n && chunk_break_is_space(ck->text[n]))
        n++;
    memmove(ck->text, ck->text + n, (size_t)(ck->n - n) * sizeof(*ck->text));
    ck->base += n;
    ck->n -= n;
    ck->fresh = MAX(ck->fresh, ck->base);

    int gone = 0;
    while (gone < ck->n_segments - 1 && segment_end(ck, gone) <= ck->base)
        gone++;
    ck->n_segments -= gone;
    memmove(ck->segments, ck->segments + gone, (size_t)ck->n_segments * sizeof(*ck->segments));
    gone = 0;
    while (gone < ck->n_lines && ck->lines[gone].end <= ck->base)
        gone++;
    ck->n_lines -= gone;
    if (gone)
        memmove(ck->lines, ck->lines + gone, (size_t)ck->n_lines * sizeof(*ck->lines));
}

/* Lines that follow one another in a column, or stand in one row, share a box; a new one starts at
 * a jump, as from the foot of a column to the head of the next. */
static bool goes_on(const struct chunk_box *box, const struct chunk_box *last,
                    const struct chunk_box *line)
{
    float height = line->y1 - line->y0;
    if (line->y0 < last->y0 - height / 2 || line->y0 - last->y1 > 1.5f * height)
        return false;
    bool same_row = line->y0 < last->y1 - height / 2;
    return same_row || (line->x0 <= box->x1 && line->x1 >= box->x0);
}

static void add_box(struct chunk_span *span, const struct chunk_box *last,
                    const struct chunk_box *line)
{
    struct chunk_box *box = span->n_boxes ? &span->boxes[span->n_boxes - 1] : NULL;
    if (!box || (!goes_on(box, last, line) && span->n_boxes < CHUNK_MAX_BOXES)) {
        span->boxes[span->n_boxes++] = *line;
        return;
    }
    box->x0 = fminf(box->x0, line->x0);
    box->y0 = fminf(box->y0, line->y0);
    box->x1 = fmaxf(box->x1, line->x1);
    box->y1 = fmaxf(box->y1, line->y1);
}

/* The spans of the first `end` code points of the window. */
static enum code make_spans(struct ctx *cx, struct chunker *ck, int end, int *ret_n)
{
    int n = 0;
    int64_t stop = ck->base + end;
    int line = 0;
    for (int i = 0; i < ck->n_segments; i++) {
        int64_t from = MAX(ck->base, ck->segments[i].at);
        int64_t to = MIN(stop, segment_end(ck, i));
        if (from >= to)
            continue;
        void *spans = ck->spans;
        TRY(grow(cx, &spans, n, &ck->cap_spans, sizeof(*ck->spans)));
        ck->spans = spans;
        struct chunk_span *span = &ck->spans[n++];
        *span = (struct chunk_span){.page = ck->segments[i].page,
                                    .start = (int)(from - ck->segments[i].at),
                                    .end = (int)(to - ck->segments[i].at)};
        while (line < ck->n_lines && ck->lines[line].end <= from)
            line++;
        for (; line < ck->n_lines && ck->lines[line].start < to; line++)
            add_box(span, &ck->lines[MAX(line - 1, 0)].box, &ck->lines[line].box);
    }
    *ret_n = n;
    return CODE_OK;
}

static enum code emit_chunk(struct ctx *cx, struct chunker *ck, int end)
{
    while (end > 0 && chunk_break_is_space(ck->text[end - 1]))
        end--;
    if (end == 0)
        return CODE_OK;
    buf_clear(&ck->content);
    for (int i = 0; i < end; i++) {
        char utf8[4];
        int len = 0;
        U8_APPEND_UNSAFE(utf8, len, ck->text[i]);
        buf_add(&ck->content, utf8, (size_t)len);
    }
    if (buf_failed(&ck->content))
        return ctx_oom(cx);
    int n_spans = 0;
    TRY(make_spans(cx, ck, end, &n_spans));
    struct chunk chunk = {.index = ck->index++,
                          .page_start = ck->spans[0].page,
                          .page_end = ck->spans[n_spans - 1].page,
                          .token_count = chunk_count_tokens(ck->content.data, ck->content.len),
                          .content = buf_cstr(&ck->content),
                          .len = ck->content.len,
                          .spans = ck->spans,
                          .n_spans = n_spans};
    return ck->emit(cx, ck->arg, &chunk);
}

/* Makes one chunk of the front of the window and moves on. */
static enum code cut(struct ctx *cx, struct chunker *ck)
{
    int end = ck->n;
    if (ck->n > ck->size) {
        int lo = MAX(MAX(ck->size / 2, ck->overlap + 1), 1);
        end = chunk_break_cut(ck->text, ck->n, lo, ck->size);
    }
    int fresh = (int)(ck->fresh - ck->base);
    while (fresh < end && chunk_break_is_space(ck->text[fresh]))
        fresh++;
    if (fresh >= end) {
        drop(ck, end);
        return CODE_OK;
    }
    TRY(emit_chunk(cx, ck, end));
    ck->fresh = ck->base + end;
    bool last = end == ck->n;
    drop(ck, last ? end : chunk_break_restart(ck->text, ck->n, end, ck->overlap));
    return CODE_OK;
}

static enum code append(struct ctx *cx, struct chunker *ck, uint32_t c)
{
    if (ck->n == 0 && chunk_break_is_space(c)) {
        ck->base++;
        ck->fresh = MAX(ck->fresh, ck->base);
        return CODE_OK;
    }
    ck->text[ck->n++] = c;
    while (ck->n >= ck->size + CHUNK_BREAK_LOOK)
        TRY(cut(cx, ck));
    return CODE_OK;
}

static enum code add_line(struct ctx *cx, struct chunker *ck, const struct chunk_line *line)
{
    void *lines = ck->lines;
    TRY(grow(cx, &lines, ck->n_lines, &ck->cap_lines, sizeof(*ck->lines)));
    ck->lines = lines;
    ck->lines[ck->n_lines++] =
        (struct placed_line){.start = ck->base + ck->n,
                             .end = INT64_MAX,
                             .box = {line->x0, line->y0, line->x1, line->y1}};
    return CODE_OK;
}

enum code chunk_page(struct ctx *cx, struct chunker *ck, int page, const char *text, size_t len,
                     const struct chunk_line *lines, int n_lines)
{
    if (len > INT32_MAX)
        return ctx_fail(cx, CODE_TOO_LARGE, "page %d has %zu bytes of text", page, len);
    void *segments = ck->segments;
    TRY(grow(cx, &segments, ck->n_segments, &ck->cap_segments, sizeof(*ck->segments)));
    ck->segments = segments;
    ck->segments[ck->n_segments++] = (struct segment){.page = page, .at = ck->base + ck->n};

    int32_t i = 0, n = (int32_t)len;
    int next = 0;
    bool open = false;
    while (i < n) {
        if (open && (uint32_t)i >= lines[next].end) {
            ck->lines[ck->n_lines - 1].end = ck->base + ck->n;
            open = false;
            next++;
        }
        while (!open && next < n_lines && lines[next].end <= (uint32_t)i)
            next++;
        if (!open && next < n_lines && lines[next].start <= (uint32_t)i) {
            TRY(add_line(cx, ck, &lines[next]));
            open = true;
        }
        UChar32 c = 0;
        U8_NEXT_OR_FFFD(text, i, n, c);
        TRY(append(cx, ck, (uint32_t)c));
    }
    if (open)
        ck->lines[ck->n_lines - 1].end = ck->base + ck->n;
    return CODE_OK;
}

enum code chunk_end(struct ctx *cx, struct chunker *ck)
{
    while (ck->n > 0)
        TRY(cut(cx, ck));
    return CODE_OK;
}
