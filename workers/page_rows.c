/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* page_rows.c - from what a reader said to rows of document_pages, in batches (reading.h).
 *
 * A row's texts live in the batch's own ctx, into which replies are received, so nothing is copied
 * and all of it goes when the batch is committed. Box ranges were checked by box.c; here lines that
 * overlap or go back are left out, because the chunker wants them in order. Every text ends with a
 * line end, so that a chunk that goes over a page's end does not glue two words together.
 * A save waits for a database that is away; the readers' deadlines are moved by the time it took,
 * because they cannot be heard meanwhile. */
#include <unicode/uchar.h>
#include <unicode/utf8.h>
#include <string.h>

#include "base/clk.h"
#include "base/str.h"
#include "workers/reading.h"

enum { SAVE_BYTES = 8 * 1024 * 1024, SAVE_LIMIT = 256 * 1024 * 1024, LABEL_MAX = 64 };

int page_rows_letters(const char *text)
{
    int32_t i = 0, n = (int32_t)MIN(strlen(text), (size_t)INT32_MAX);
    int letters = 0;
    while (i < n) {
        UChar32 c = 0;
        U8_NEXT_OR_FFFD(text, i, n, c);
        letters += u_isalnum(c);
    }
    return letters;
}

/* The page's lines alone, packed; NULL when it has none. */
static enum code pack_layout(struct reading *r, const Extract__V1__Page *page, struct job_page *row)
{
    struct ctx *cx = &r->rows.cx;
    if (page->n_lines == 0)
        return CODE_OK;
    Extract__V1__Page layout = EXTRACT__V1__PAGE__INIT;
    layout.lines = ctx_array(cx, page->n_lines, sizeof(*layout.lines));
    if (!layout.lines)
        return ctx_oom(cx);
    uint32_t end = 0;
    for (size_t i = 0; i < page->n_lines; i++) {
        Extract__V1__Line *line = page->lines[i];
        if (line->start < end || line->end <= line->start)
            continue;
        end = line->end;
        layout.lines[layout.n_lines++] = line;
    }
    unsigned char *packed = ctx_alloc(cx, extract__v1__page__get_packed_size(&layout));
    if (!packed)
        return ctx_oom(cx);
    row->layout_len = extract__v1__page__pack(&layout, packed);
    row->layout = packed;
    return CODE_OK;
}

static enum code add_row(struct reading *r, const struct job_page *row)
{
    if (r->rows.n == 0)
        r->rows.since_ms = clk_mono_ms();
    r->rows.rows[r->rows.n++] = *row;
    r->state[row->page - 1] = PAGE_DONE;
    r->done++;
    bool last = r->done == r->page_count;
    task_progress(r->t, 95.0 * r->done / r->page_count, r->done, r->page_count, last,
                  "Processing page %d of %d", r->done, r->page_count);
    if (r->rows.n == (int)ARRAY_LEN(r->rows.rows))
        return page_rows_save(r);
    return CODE_OK;
}

enum code page_rows_add(struct reading *r, const Extract__V1__Page *page, const char *engine,
                        const char *reason)
{
    struct ctx *cx = &r->rows.cx;
    size_t len = strlen(page->text);
    struct job_page row = {.page = page->page,
                           .engine = engine,
                           .reason = reason ? reason : page->reason,
                           .text = page->text,
                           .confidence = page->confidence > 0 ? MIN(page->confidence, 1.0) : -1,
                           .width = page->width,
                           .height = page->height,
                           .rotation = page->rotation,
                           .ms = page->ms};
    /* Confidence is a reading's: text that was in the file has none. */
    if (strcmp(engine, "ocr") != 0 && strcmp(engine, "mixed") != 0)
        row.confidence = -1;
    if (page->label[0])
        row.label =
            ctx_strndup(cx, page->label,
                        str_utf8_prefix(page->label, MIN(strlen(page->label), (size_t)LABEL_MAX)));
    if (len && page->text[len - 1] != '\n')
        row.text = ctx_printf(cx, "%s\n", page->text);
    if (!row.text)
        return task_hand_up(r->t->cx, cx);
    row.char_count = (int)str_utf8_count(row.text, strlen(row.text));
    if (pack_layout(r, page, &row) != CODE_OK)
        return task_hand_up(r->t->cx, cx);
    return add_row(r, &row);
}

enum code page_rows_fail(struct reading *r, int page, const char *error)
{
    struct ctx *cx = &r->rows.cx;
    struct job_page row = {.page = page,
                           .engine = "failed",
                           .reason = "",
                           .error = ctx_strdup(cx, error),
                           .text = "",
                           .confidence = -1};
    if (!row.error)
        return task_hand_up(r->t->cx, cx);
    row.reason = row.error;
    log_debug(r->t->cx, "page %d failed: %s", page, error);
    return add_row(r, &row);
}

static void move_deadlines(struct reading *r, int64_t by_ms)
{
    r->text.deadline_ms += by_ms;
    for (int i = 0; i < r->ocr.n_runs; i++)
        r->ocr.runs[i].deadline_ms += by_ms;
}

enum code page_rows_save(struct reading *r)
{
    if (r->rows.n == 0)
        return CODE_OK;
    int64_t started = clk_mono_ms();
    struct ctx cx;
    enum code code;
    bool again = false;
    do {
        task_scratch(r->t, &cx, SAVE_LIMIT);
        code = jobs_save_pages(&cx, r->t->jobs, r->t->claim, r->rows.rows, r->rows.n);
        again = task_again(&cx, r->t, code);
        if (!again)
            (void)task_hand_up(r->t->cx, &cx);
        ctx_done(&cx);
    } while (again);
    TRY(code);
    r->rows.n = 0;
    ctx_done(&r->rows.cx);
    r->rows.cx.job_id = r->t->claim->job_id;
    move_deadlines(r, clk_mono_ms() - started);
    return CODE_OK;
}

enum code page_rows_save_due(struct reading *r, int64_t now)
{
    if (r->rows.n >= READING_BATCH || r->rows.cx.arena.total > SAVE_BYTES ||
        (r->rows.n && now - r->rows.since_ms >= READING_BATCH_MS))
        return page_rows_save(r);
    return CODE_OK;
}
