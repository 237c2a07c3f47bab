/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* read_ocr.c - OCR: a fresh child for every page, as many at once as there are tokens (reading.h).
 *
 * A page costs a second or more of one core, a child a millisecond, so each page gets its own: it
 * can be killed at its deadline without loss, and memory that a page took goes with it. A document
 * asks for one token at a time and asks again when it has it, so documents share the cores page by
 * page. A page whose child died gets another one (reading_try_again), a page that took too long
 * does not. The text pass may have read something of the page; it is kept (bounded) and wins when
 * OCR finds clearly less. A page that OCR cannot read but that has such text keeps it. */
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "workers/reading.h"

enum { KEEP_TEXT = 256 * 1024 };

static void free_page(struct ocr_page *page)
{
    free(page->kept);
    *page = (struct ocr_page){0};
}

static void push(struct ocr_pass *ocr, const struct ocr_page *page)
{
    ocr->queue[(ocr->head + ocr->n) % (int)ARRAY_LEN(ocr->queue)] = *page;
    ocr->n++;
}

static struct ocr_page pop(struct ocr_pass *ocr)
{
    struct ocr_page page = ocr->queue[ocr->head];
    ocr->head = (ocr->head + 1) % (int)ARRAY_LEN(ocr->queue);
    ocr->n--;
    return page;
}

enum code read_ocr_add(struct reading *r, const Extract__V1__Page *page)
{
    Extract__V1__Page keep = *page;
    if (strlen(keep.text) > KEEP_TEXT) {
        keep.text = (char *)"";
        keep.lines = NULL;
        keep.n_lines = 0;
    }
    struct ocr_page wait = {.page = page->page};
    wait.kept_len = extract__v1__page__get_packed_size(&keep);
    wait.kept = malloc(wait.kept_len);
    if (!wait.kept)
        return ctx_oom(r->t->cx);
    extract__v1__page__pack(&keep, wait.kept);
    r->state[page->page - 1] = PAGE_QUEUED;
    push(&r->ocr, &wait);
    return CODE_OK;
}

/* Ends a run: the child goes, the token goes back, the last run takes its place. */
static struct ocr_page end_run(struct reading *r, int run)
{
    struct ocr_page of = r->ocr.runs[run].of;
    box_child_close(r->ocr.runs[run].child);
    if (r->ocr.runs[run].holds_token)
        tokens_give(r->t->slot->pool->ocr_tokens);
    r->ocr.runs[run] = r->ocr.runs[--r->ocr.n_runs];
    return of;
}

/* What the text pass knew of the page, in rows.cx; NULL when memory is out. */
static Extract__V1__Page *kept_page(struct reading *r, const struct ocr_page *of)
{
    return extract__v1__page__unpack(&r->rows.cx.arena.pb, of->kept_len, of->kept);
}

/* OCR could not read it. Text that there is anyway is better than nothing. */
static enum code fail_run(struct reading *r, int run, const char *why)
{
    struct ocr_page of = end_run(r, run);
    Extract__V1__Page *kept = kept_page(r, &of);
    enum code code;
    if (kept && page_rows_letters(kept->text) > 0)
        code = page_rows_add(r, kept, "text", ctx_printf(&r->rows.cx, "OCR failed: %s", why));
    else
        code = page_rows_fail(r, of.page, why);
    free_page(&of);
    TRY(code);
    return page_rows_save(r);
}

static enum code lose_run(struct reading *r, int run, enum code code, const char *why)
{
    if (!reading_try_again(&r->ocr.runs[run].of.losses, code))
        return fail_run(r, run, why);
    log_debug(r->t->cx, "the reader was lost at OCR of page %d, again: %s",
              r->ocr.runs[run].of.page, why);
    struct ocr_page of = end_run(r, run);
    push(&r->ocr, &of);
    return CODE_OK;
}

static enum code ask(struct reading *r, int run, const Extract__V1__Request *request,
                     int64_t timeout_ms)
{
    struct ctx cx;
    task_scratch(r->t, &cx, 1024 * 1024);
    r->ocr.runs[run].deadline_ms = clk_mono_ms() + timeout_ms;
    enum code code = box_send(&cx, r->ocr.runs[run].child, request);
    if (code != CODE_OK)
        code = lose_run(r, run, code, ctx_message(&cx));
    ctx_done(&cx);
    return code;
}

/* Starts a child for the next page; the token is held. */
static enum code start_run(struct reading *r)
{
    struct ocr_run run = {.holds_token = true, .started_ms = clk_mono_ms()};
    struct ctx cx;
    task_scratch(r->t, &cx, 1024 * 1024);
    enum code code = box_spawn(&cx, r->t->slot->pool->box, r->document_fd, &run.child);
    bool again = reading_spawn_again(r, &cx, code);
    if (code != CODE_OK) {
        tokens_give(r->t->slot->pool->ocr_tokens);
        if (!again)
            (void)task_hand_up(r->t->cx, &cx);
        ctx_done(&cx);
        return again ? CODE_OK : code;
    }
    ctx_done(&cx);
    run.of = pop(&r->ocr);
    r->ocr.runs[r->ocr.n_runs++] = run;
    Extract__V1__Open open = EXTRACT__V1__OPEN__INIT;
    open.content_type = (char *)(r->t->claim->content_type ? r->t->claim->content_type : "");
    open.password = (char *)(r->password ? r->password : "");
    open.max_pages = (int)r->t->settings->max_pages;
    open.languages = (char *)r->languages;
    open.page_timeout_ms = (int32_t)MIN(r->t->settings->page_timeout_ms, (int64_t)INT32_MAX);
    Extract__V1__Request request = EXTRACT__V1__REQUEST__INIT;
    request.kind_case = EXTRACT__V1__REQUEST__KIND_OPEN;
    request.open = &open;
    return ask(r, r->ocr.n_runs - 1, &request,
               MAX(r->t->settings->page_timeout_ms, (int64_t)READING_OPEN_MS));
}

enum code read_ocr_step(struct reading *r)
{
    struct tokens *tokens = r->t->slot->pool->ocr_tokens;
    /* Twice: children that went on without their token. */
    int most = MIN(2 * tokens_count(tokens), (int)READING_MAX_OCR);
    while (r->ocr.n > 0 && r->ocr.n_runs < most) {
        if (!tokens_take(tokens, &r->ocr.token, task_wake_fd(r->t)))
            return CODE_OK;
        TRY(start_run(r));
        TRY(task_check(r->t->cx, r->t));
    }
    if (r->ocr.n == 0)
        tokens_forget(tokens, &r->ocr.token);
    return CODE_OK;
}

static enum code opened(struct reading *r, int run)
{
    r->ocr.runs[run].opened = true;
    Extract__V1__ReadOcrPage page = EXTRACT__V1__READ_OCR_PAGE__INIT;
    page.page = r->ocr.runs[run].of.page;
    page.languages = (char *)r->languages;
    page.dpi = (int)r->t->settings->ocr_dpi;
    Extract__V1__Request request = EXTRACT__V1__REQUEST__INIT;
    request.kind_case = EXTRACT__V1__REQUEST__KIND_READ_OCR_PAGE;
    request.read_ocr_page = &page;
    return ask(r, run, &request, r->t->settings->page_timeout_ms);
}

/* What the text pass knew and OCR does not say: why it was asked, label and size. */
static void complete_page(Extract__V1__Page *page, const Extract__V1__Page *kept)
{
    if (!page->reason[0])
        page->reason = kept->reason;
    if (!page->label[0])
        page->label = kept->label;
    if (page->width <= 0 || page->height <= 0) {
        page->width = kept->width;
        page->height = kept->height;
        page->rotation = kept->rotation;
    }
}

/* The better of what OCR read and what the text pass had. */
static enum code got_page(struct reading *r, int run, Extract__V1__Page *page)
{
    if (page->verdict == EXTRACT__V1__VERDICT__VERDICT_FAILED)
        return fail_run(r, run, page->error[0] ? page->error : "unreadable");
    struct ocr_page of = end_run(r, run);
    Extract__V1__Page *kept = kept_page(r, &of);
    int read = page_rows_letters(page->text);
    int had = kept ? page_rows_letters(kept->text) : 0;
    enum code code;
    if (kept)
        complete_page(page, kept);
    if (read == 0 && had == 0)
        code = page_rows_add(r, page, "blank", "OCR found no text");
    else if (read < had / 2)
        code = page_rows_add(r, kept, "text", "OCR found less than the text in the file");
    else if (page->confidence > 0 && page->confidence < r->t->settings->ocr_confidence)
        code = page_rows_add(r, page, "ocr",
                             ctx_printf(&r->rows.cx, "%s; low confidence", page->reason));
    else
        code = page_rows_add(r, page, "ocr", NULL);
    free_page(&of);
    TRY(code);
    return page_rows_save(r);
}

enum code read_ocr_events(struct reading *r, int run)
{
    bool got = false;
    Extract__V1__Reply *reply = NULL;
    struct ocr_run *it = &r->ocr.runs[run];
    enum code code = box_receive(&r->rows.cx, it->child, &got, &reply);
    if (code != CODE_OK) {
        const char *why = reading_how_it_ended(r);
        return lose_run(r, run, code, why);
    }
    if (!got)
        return CODE_OK;
    if (reply->kind_case == EXTRACT__V1__REPLY__KIND_OPENED && !it->opened)
        return opened(r, run);
    if (reply->kind_case == EXTRACT__V1__REPLY__KIND_PAGE && it->opened &&
        reply->page->page == it->of.page)
        return got_page(r, run, reply->page);
    if (reply->kind_case == EXTRACT__V1__REPLY__KIND_FAILED)
        return fail_run(r, run, reply->failed->message);
    return lose_run(r, run, CODE_INTERNAL, "the reader answered out of turn");
}

enum code read_ocr_expire(struct reading *r, int64_t now)
{
    for (int i = r->ocr.n_runs - 1; i >= 0; i--) {
        struct ocr_run *run = &r->ocr.runs[i];
        if (run->holds_token && now >= run->started_ms + READING_OCR_TOKEN_MS) {
            tokens_give(r->t->slot->pool->ocr_tokens);
            run->holds_token = false;
        }
        if (now < run->deadline_ms)
            continue;
        int64_t limit = r->t->settings->page_timeout_ms;
        if (!run->opened)
            limit = MAX(limit, (int64_t)READING_OPEN_MS);
        box_kill(run->child);
        TRY(fail_run(r, i, reading_took_longer(r, limit)));
    }
    return CODE_OK;
}

void read_ocr_close(struct reading *r)
{
    while (r->ocr.n_runs > 0) {
        struct ocr_page of = end_run(r, r->ocr.n_runs - 1);
        free_page(&of);
    }
    while (r->ocr.n > 0) {
        struct ocr_page of = pop(&r->ocr);
        free_page(&of);
    }
    tokens_forget(r->t->slot->pool->ocr_tokens, &r->ocr.token);
}
