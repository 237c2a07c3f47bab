/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* finish_document.c - the end of run_document.c: pages are read back in slices, cut into chunks,
 * and all of it is committed with the job's completion (finish_document.h).
 *
 * Pages come from the database, not from the reading that just ended: an earlier attempt may have
 * read some of them, and memory stays flat. Everything between begin and commit is one transaction
 * under the job's fence, so nothing of it is seen unless all of it is; a database that goes away
 * rolls it back and the whole is done again. While it runs the job's row is locked: the keeper is
 * told to keep its hands off it (slot_finishing). */
#include "workers/finish_document.h"

#include <string.h>

#include "base/clk.h"
#include "workers/chunk.h"
#include "workers/chunk_json.h"

enum {
    SLICE = 16,
    CHUNK_BATCH = 128,
    SLICE_LIMIT = 512 * 1024 * 1024,
    BATCH_BYTES = 4 * 1024 * 1024
};

struct chunk_sink {
    struct task *t;
    struct ctx cx; /* memory of the batch */
    struct job_chunk chunks[CHUNK_BATCH];
    int n;
};

static enum code flush(struct chunk_sink *sink)
{
    if (sink->n == 0)
        return CODE_OK;
    enum code code =
        jobs_finish_add_chunks(&sink->cx, sink->t->jobs, sink->t->claim, sink->chunks, sink->n);
    if (code != CODE_OK)
        return code;
    sink->n = 0;
    ctx_done(&sink->cx);
    sink->cx.job_id = sink->t->claim->job_id;
    return CODE_OK;
}

static enum code take_chunk(struct ctx *cx, void *arg, const struct chunk *chunk)
{
    struct chunk_sink *sink = arg;
    CLEANUP(buf_done) struct buf spans = BUF_INIT(0);
    chunk_json_spans(&spans, chunk);
    struct job_chunk *to = &sink->chunks[sink->n];
    *to = (struct job_chunk){.index = chunk->index,
                             .page_start = chunk->page_start,
                             .page_end = chunk->page_end,
                             .token_count = chunk->token_count,
                             .content = ctx_strndup(&sink->cx, chunk->content, chunk->len),
                             .spans_json = ctx_strndup(&sink->cx, buf_cstr(&spans), spans.len),
                             .heading_path_json = "[]"};
    if (!to->content || !to->spans_json || buf_failed(&spans))
        return ctx_oom(cx);
    sink->n++;
    if (sink->n < CHUNK_BATCH && sink->cx.arena.total < BATCH_BYTES)
        return CODE_OK;
    return flush(sink) == CODE_OK ? CODE_OK : task_hand_up(cx, &sink->cx);
}

/* The stored lines of a page, in cx; none when they do not fit the text. */
static enum code read_layout(struct ctx *cx, const struct job_page *page, size_t len,
                             struct chunk_line **ret_lines, int *ret_n)
{
    *ret_lines = NULL;
    *ret_n = 0;
    if (!page->layout || !page->layout_len)
        return CODE_OK;
    Extract__V1__Page *layout =
        extract__v1__page__unpack(&cx->arena.pb, page->layout_len, page->layout);
    if (!layout)
        return ctx_fail(cx, CODE_INTERNAL, "the layout of page %d cannot be read", page->page);
    struct chunk_line *lines = ctx_array(cx, layout->n_lines + 1, sizeof(*lines));
    if (!lines)
        return ctx_oom(cx);
    int n = 0;
    for (size_t i = 0; i < layout->n_lines; i++) {
        const Extract__V1__Line *line = layout->lines[i];
        if (line->end <= len)
            lines[n++] = (struct chunk_line){.start = line->start,
                                             .end = line->end,
                                             .x0 = line->x0,
                                             .y0 = line->y0,
                                             .x1 = line->x1,
                                             .y1 = line->y1};
    }
    *ret_lines = lines;
    *ret_n = n;
    return CODE_OK;
}

static enum code cut_slice(struct ctx *cx, struct task *t, struct chunker *chunker, int after,
                           int *ret_last)
{
    struct job_page pages[SLICE];
    int n = 0;
    TRY(jobs_finish_read_pages(cx, t->jobs, t->claim, after, SLICE, pages, &n));
    for (int i = 0; i < n; i++) {
        const char *text = pages[i].text ? pages[i].text : "";
        size_t len = strlen(text);
        struct chunk_line *lines = NULL;
        int n_lines = 0;
        TRY(read_layout(cx, &pages[i], len, &lines, &n_lines));
        TRY(chunk_page(cx, chunker, pages[i].page, text, len, lines, n_lines));
    }
    *ret_last = n ? pages[n - 1].page : 0;
    return CODE_OK;
}

static enum code cut_pages(struct ctx *cx, struct chunk_sink *sink)
{
    struct task *t = sink->t;
    CLEANUP(chunk_freep) struct chunker *chunker = NULL;
    TRY(chunk_begin(cx, (int)t->settings->chunk_size, (int)t->settings->chunk_overlap, take_chunk,
                    sink, &chunker));
    int last = 0;
    do {
        int after = last;
        struct ctx slice;
        task_scratch(t, &slice, SLICE_LIMIT);
        enum code code = cut_slice(&slice, t, chunker, after, &last);
        (void)task_hand_up(cx, &slice);
        ctx_done(&slice);
        TRY(code);
        TRY(task_check(cx, t));
    } while (last);
    TRY(chunk_end(cx, chunker));
    return flush(sink) == CODE_OK ? CODE_OK : task_hand_up(cx, &sink->cx);
}

static const char *const *languages_of(const struct task *t)
{
    bool own = t->claim->languages && t->claim->languages[0];
    return (const char *const *)(own ? t->claim->languages : t->settings->ocr_languages);
}

static enum code finish_once(struct ctx *cx, struct task *t, const struct pages_read *pages)
{
    TRY(jobs_finish_begin(cx, t->jobs, t->claim));
    task_progress(t, 96, pages->page_count, pages->page_count, true, "Cutting chunks");
    struct chunk_sink *sink = ctx_alloc(cx, sizeof(*sink));
    if (!sink)
        return ctx_oom(cx);
    sink->t = t;
    task_scratch(t, &sink->cx, SLICE_LIMIT);
    enum code code = cut_pages(cx, sink);
    ctx_done(&sink->cx);
    TRY(code);
    task_progress(t, 98, pages->page_count, pages->page_count, true, "Saving");
    struct job_document document = {.title = pages->title,
                                    .page_count = pages->page_count,
                                    .content_type = t->claim->content_type,
                                    .extract_ms = pages->ms,
                                    .total_ms = clk_mono_ms() - t->started_ms,
                                    .languages = languages_of(t)};
    return jobs_finish_commit(cx, t->jobs, t->claim, &document);
}

enum code finish_document(struct task *t, const struct pages_read *pages)
{
    struct ctx cx;
    enum code code;
    bool again = false;
    do {
        task_scratch(t, &cx, SLICE_LIMIT);
        slot_finishing(t->slot, true);
        code = finish_once(&cx, t, pages);
        jobs_finish_abort(t->jobs);
        slot_finishing(t->slot, false);
        again = task_again(&cx, t, code);
        if (!again)
            (void)task_hand_up(t->cx, &cx);
        ctx_done(&cx);
    } while (again);
    return code;
}
