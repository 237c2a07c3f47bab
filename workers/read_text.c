/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* read_text.c - the text pass: one child walks the pages that are missing (reading.h).
 *
 * It opens the document, learns how many pages there are, and asks for runs of missing pages. The
 * deadline starts anew with every page. A page at which the child died gets another one
 * (reading_try_again), a page that took too long does not. After that it is a failed page and the
 * pass goes on behind it, until too many in a row have failed. While many pages wait for OCR the
 * pass pauses and gives its token back, so memory does not grow with the document. Not here: OCR,
 * rows. */
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "workers/reading.h"

enum { EVENTS_A_TURN = 64 };

/* Gives the document up as a whole: codes a child may name; anything else is "unreadable". */
static enum code refuse(struct reading *r, const char *code_name_, const char *why)
{
    enum code code = code_from_name(code_name_);
    if (code != CODE_PASSWORD_REQUIRED && code != CODE_UNSUPPORTED && code != CODE_TOO_LARGE)
        code = CODE_UNREADABLE;
    return ctx_fail(r->t->cx, code, "could not open document \"%s\": %s", r->t->claim->file_name,
                    why);
}

static void close_child(struct reading *r)
{
    box_child_close(r->text.child);
    r->text.child = NULL;
    r->text.phase = TEXT_CLOSED;
    r->text.more = false;
}

static void give_token(struct reading *r)
{
    if (r->text.holds_token)
        tokens_give(r->t->slot->pool->text_tokens);
    r->text.holds_token = false;
    tokens_forget(r->t->slot->pool->text_tokens, &r->text.token);
}

void read_text_close(struct reading *r)
{
    close_child(r);
    give_token(r);
}

static enum code fail_rest(struct reading *r, const char *why)
{
    /* A full batch is saved on the way, and its memory may be where `why` lives. */
    why = ctx_strdup(r->t->cx, why);
    if (!why)
        return ctx_oom(r->t->cx);
    for (int page = 1; page <= r->page_count; page++)
        if (r->state[page - 1] == PAGE_MISSING)
            TRY(page_rows_fail(r, page, why));
    return CODE_OK;
}

static enum code fail_page(struct reading *r, const char *why)
{
    struct text_pass *text = &r->text;
    TRY(page_rows_fail(r, text->next, why));
    text->next++;
    if (++text->failed_in_row < READING_GIVE_UP)
        return CODE_OK;
    return fail_rest(r, "given up after 50 failed pages in a row");
}

/* The child is gone or was too slow. */
static enum code lose_child(struct reading *r, enum code code, const char *why)
{
    struct text_pass *text = &r->text;
    int phase = text->phase;
    log_debug(r->t->cx, "the reader was lost at page %d: %s", text->next, why);
    close_child(r);
    if (phase == TEXT_OPENING) {
        if (reading_try_again(&text->at_open, code))
            return CODE_OK;
        return r->page_count ? fail_rest(r, why) : refuse(r, "UNREADABLE", why);
    }
    if (phase != TEXT_READING)
        return CODE_OK;
    if (text->lost_page != text->next)
        text->at_page = (struct losses){0};
    text->lost_page = text->next;
    return reading_try_again(&text->at_page, code) ? CODE_OK : fail_page(r, why);
}

static enum code ask(struct reading *r, const Extract__V1__Request *request, int64_t timeout_ms)
{
    struct ctx cx;
    task_scratch(r->t, &cx, 1024 * 1024);
    r->text.heard_ms = clk_mono_ms();
    r->text.deadline_ms = r->text.heard_ms + timeout_ms;
    enum code code = box_send(&cx, r->text.child, request);
    if (code != CODE_OK)
        code = lose_child(r, code, ctx_message(&cx));
    ctx_done(&cx);
    return code;
}

static enum code open_child(struct reading *r)
{
    struct ctx cx;
    enum code code;
    bool again = false;
    do {
        task_scratch(r->t, &cx, 1024 * 1024);
        code = box_spawn(&cx, r->t->slot->pool->box, r->document_fd, &r->text.child);
        again = reading_spawn_again(r, &cx, code);
        if (!again)
            (void)task_hand_up(r->t->cx, &cx);
        ctx_done(&cx);
    } while (again);
    TRY(code);
    r->text.phase = TEXT_OPENING;
    Extract__V1__Open open = EXTRACT__V1__OPEN__INIT;
    open.content_type = (char *)(r->t->claim->content_type ? r->t->claim->content_type : "");
    open.password = (char *)(r->password ? r->password : "");
    open.max_pages = (int)r->t->settings->max_pages;
    open.page_timeout_ms = (int32_t)MIN(r->t->settings->page_timeout_ms, (int64_t)INT32_MAX);
    Extract__V1__Request request = EXTRACT__V1__REQUEST__INIT;
    request.kind_case = EXTRACT__V1__REQUEST__KIND_OPEN;
    request.open = &open;
    return ask(r, &request, MAX(r->t->settings->page_timeout_ms, (int64_t)READING_OPEN_MS));
}

/* Asks for the next run of missing pages. */
static enum code ask_pages(struct reading *r)
{
    struct text_pass *text = &r->text;
    int first = text->next;
    int count = 1;
    while (count < READING_RANGE && first + count <= r->page_count &&
           r->state[first + count - 1] == PAGE_MISSING)
        count++;
    text->last = first + count - 1;
    text->phase = TEXT_READING;
    Extract__V1__ReadPages pages = EXTRACT__V1__READ_PAGES__INIT;
    pages.first = first;
    pages.count = count;
    Extract__V1__Request request = EXTRACT__V1__REQUEST__INIT;
    request.kind_case = EXTRACT__V1__REQUEST__KIND_READ_PAGES;
    request.read_pages = &pages;
    return ask(r, &request, r->t->settings->page_timeout_ms);
}

enum code read_text_step(struct reading *r)
{
    struct text_pass *text = &r->text;
    if (text->finished || text->phase == TEXT_OPENING || text->phase == TEXT_READING)
        return CODE_OK;
    if (r->page_count) {
        while (text->next <= r->page_count && r->state[text->next - 1] != PAGE_MISSING)
            text->next++;
        text->finished = text->next > r->page_count;
        if (text->finished) {
            read_text_close(r);
            return CODE_OK;
        }
    }
    if (r->ocr.n >= READING_OCR_BACKLOG) {
        give_token(r);
        return CODE_OK;
    }
    if (!text->holds_token)
        text->holds_token =
            tokens_take(r->t->slot->pool->text_tokens, &text->token, task_wake_fd(r->t));
    if (!text->holds_token)
        return CODE_OK;
    return text->child ? ask_pages(r) : open_child(r);
}

/* Marks what earlier attempts committed. */
static enum code mark_known(struct ctx *cx, struct reading *r)
{
    const char **engines = ctx_array(cx, (size_t)r->page_count, sizeof(*engines));
    if (!engines)
        return ctx_oom(cx);
    TRY(jobs_known_pages(cx, r->t->jobs, r->t->claim, r->page_count, engines));
    for (int i = 0; i < r->page_count; i++) {
        if (!engines[i])
            continue;
        r->state[i] = PAGE_DONE;
        r->done++;
    }
    return CODE_OK;
}

static enum code recall_pages(struct reading *r)
{
    struct ctx cx;
    enum code code;
    bool again = false;
    do {
        task_scratch(r->t, &cx, 8 * 1024 * 1024);
        code = mark_known(&cx, r);
        again = task_again(&cx, r->t, code);
        if (!again)
            (void)task_hand_up(r->t->cx, &cx);
        ctx_done(&cx);
    } while (again);
    TRY(code);
    task_progress(r->t, 95.0 * r->done / r->page_count, r->done, r->page_count, true,
                  "Processing page %d of %d", MAX(1, r->done), r->page_count);
    return CODE_OK;
}

static enum code opened(struct reading *r, const Extract__V1__Opened *reply)
{
    struct text_pass *text = &r->text;
    text->phase = TEXT_IDLE;
    text->at_open = (struct losses){0};
    if (r->page_count)
        return CODE_OK;
    if (reply->page_count < 1)
        return refuse(r, "UNREADABLE", "it has no pages");
    if (reply->page_count > r->t->settings->max_pages)
        return ctx_fail(r->t->cx, CODE_TOO_LARGE, "\"%s\" has %d pages, more than MAX_PAGES %lld",
                        r->t->claim->file_name, reply->page_count,
                        (long long)r->t->settings->max_pages);
    r->state = ctx_alloc(r->t->cx, (size_t)reply->page_count);
    r->title = reply->title[0] ? ctx_strdup(r->t->cx, reply->title) : NULL;
    if (!r->state)
        return ctx_oom(r->t->cx);
    r->page_count = reply->page_count;
    text->next = 1;
    return recall_pages(r);
}

static enum code got_page(struct reading *r, const Extract__V1__Page *page)
{
    struct text_pass *text = &r->text;
    text->heard_ms = clk_mono_ms();
    text->deadline_ms = text->heard_ms + r->t->settings->page_timeout_ms;
    text->failed_in_row = 0;
    text->next++;
    switch (page->verdict) {
    case EXTRACT__V1__VERDICT__VERDICT_NEEDS_OCR:
        if (r->t->settings->ocr_enabled)
            return read_ocr_add(r, page);
        return page_rows_add(r, page, page_rows_letters(page->text) ? "text" : "blank",
                             "needs OCR, which is off (OCR_ENABLED=false)");
    case EXTRACT__V1__VERDICT__VERDICT_BLANK:
        return page_rows_add(r, page, "blank", NULL);
    case EXTRACT__V1__VERDICT__VERDICT_LAYER:
        return page_rows_add(r, page, "layer", NULL);
    case EXTRACT__V1__VERDICT__VERDICT_OCR:
        return page_rows_add(r, page, "ocr", NULL);
    case EXTRACT__V1__VERDICT__VERDICT_TEXT:
        return page_rows_add(r, page, "text", NULL);
    default:
        return page_rows_fail(r, page->page, page->error[0] ? page->error : "unreadable");
    }
}

static enum code got_reply(struct reading *r, const Extract__V1__Reply *reply)
{
    struct text_pass *text = &r->text;
    switch (reply->kind_case) {
    case EXTRACT__V1__REPLY__KIND_OPENED:
        if (text->phase == TEXT_OPENING)
            return opened(r, reply->opened);
        break;
    case EXTRACT__V1__REPLY__KIND_PAGE:
        if (text->phase == TEXT_READING && text->next <= text->last &&
            reply->page->page == text->next)
            return got_page(r, reply->page);
        break;
    case EXTRACT__V1__REPLY__KIND_DONE:
        if (text->phase == TEXT_READING && text->next > text->last) {
            text->phase = TEXT_IDLE;
            give_token(r); /* another document may wait for its turn */
            return CODE_OK;
        }
        break;
    case EXTRACT__V1__REPLY__KIND_FAILED:
        if (text->phase == TEXT_OPENING && !r->page_count)
            return refuse(r, reply->failed->code, reply->failed->message);
        return lose_child(r, CODE_INTERNAL, reply->failed->message);
    default:
        break;
    }
    return lose_child(r, CODE_INTERNAL, "the reader answered out of turn");
}

enum code read_text_events(struct reading *r)
{
    struct text_pass *text = &r->text;
    text->more = false;
    for (int i = 0; i < EVENTS_A_TURN; i++) {
        bool got = false;
        Extract__V1__Reply *reply = NULL;
        enum code code = box_receive(&r->rows.cx, text->child, &got, &reply);
        if (code != CODE_OK) {
            const char *why = reading_how_it_ended(r);
            return lose_child(r, code, why);
        }
        if (!got)
            return CODE_OK;
        TRY(got_reply(r, reply));
        /* The next run is asked for before this one is committed: the child works meanwhile. */
        TRY(read_text_step(r));
        TRY(page_rows_save_due(r, clk_mono_ms()));
        if (!text->child)
            return CODE_OK;
    }
    text->more = true;
    return CODE_OK;
}

enum code read_text_expire(struct reading *r, int64_t now)
{
    struct text_pass *text = &r->text;
    if (!text->child || text->phase == TEXT_IDLE)
        return CODE_OK;
    if (now >= text->heard_ms + READING_TEXT_TOKEN_MS)
        give_token(r);
    if (now < text->deadline_ms)
        return CODE_OK;
    int64_t limit = r->t->settings->page_timeout_ms;
    if (text->phase == TEXT_OPENING)
        limit = MAX(limit, (int64_t)READING_OPEN_MS);
    box_kill(text->child);
    return lose_child(r, CODE_DEADLINE_EXCEEDED, reading_took_longer(r, limit));
}
