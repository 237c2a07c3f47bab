/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* read_pages.c - the poll loop over one document's readers (read_pages.h).
 *
 * Called by run_document.c. One turn of the loop: look whether the job is still wanted, start what
 * can be started, commit what is due, wait, hear the children out, and only then judge deadlines: a
 * child that answered while this thread waited for the database is not late. The wait ends at the
 * nearest deadline or when the worker's eventfd says that the job is to be left or a token is
 * there. Invariants: whatever way this returns, no child is left and no token is held; a page is
 * counted once; rows are committed before CODE_OK. Not here: what the children are asked
 * (read_text.c, read_ocr.c), what becomes a row (page_rows.c). */
#include "workers/read_pages.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "workers/reading.h"

enum { ROWS_LIMIT = 192 * 1024 * 1024 };

const char *reading_took_longer(struct reading *r, int64_t ms)
{
    const char *text = ctx_printf(&r->rows.cx, "took longer than %g s", (double)ms / 1000);
    return text ? text : "took too long";
}

const char *reading_how_it_ended(struct reading *r)
{
    struct ctx *cx = &r->rows.cx;
    const char *text = ctx_message(cx); /* stays in cx's memory */
    ctx_clear(cx);
    return text;
}

bool reading_try_again(struct losses *l, enum code code)
{
    if (code == CODE_DEADLINE_EXCEEDED)
        return false;
    if (code == CODE_UNAVAILABLE)
        return ++l->kills < READING_KILLS;
    return ++l->crashes < READING_CRASHES;
}

bool reading_spawn_again(struct reading *r, struct ctx *cx, enum code code)
{
    if (code == CODE_OK) {
        r->failed_spawns = 0;
        return false;
    }
    bool transient = code == CODE_UNAVAILABLE || code == CODE_RESOURCE_EXHAUSTED;
    if (!transient || ++r->failed_spawns >= READING_SPAWN_TRIES)
        return false;
    log_warning(r->t->cx, "%s; trying again", ctx_message(cx));
    ctx_clear(cx);
    task_pause(r->t, 50 * r->failed_spawns);
    return true;
}

static bool finished(const struct reading *r)
{
    return r->text.finished && r->ocr.n == 0 && r->ocr.n_runs == 0;
}

static int64_t nearest(int64_t a, int64_t b)
{
    return a && (!b || a < b) ? a : b;
}

static int64_t next_deadline(const struct reading *r)
{
    int64_t at = r->deadline_ms;
    if (r->text.child && r->text.phase != TEXT_IDLE) {
        at = nearest(r->text.deadline_ms, at);
        if (r->text.holds_token)
            at = nearest(r->text.heard_ms + READING_TEXT_TOKEN_MS, at);
    }
    for (int i = 0; i < r->ocr.n_runs; i++) {
        at = nearest(r->ocr.runs[i].deadline_ms, at);
        if (r->ocr.runs[i].holds_token)
            at = nearest(r->ocr.runs[i].started_ms + READING_OCR_TOKEN_MS, at);
    }
    if (r->rows.n)
        at = nearest(r->rows.since_ms + READING_BATCH_MS, at);
    return at;
}

/* Waits for the first event, then hears out whoever is readable. */
static enum code wait_and_hear(struct reading *r)
{
    struct pollfd fds[2 + READING_MAX_OCR];
    int n_runs = r->ocr.n_runs;
    fds[0] = (struct pollfd){.fd = task_wake_fd(r->t), .events = POLLIN};
    fds[1] =
        (struct pollfd){.fd = r->text.child ? box_child_fd(r->text.child) : -1, .events = POLLIN};
    for (int i = 0; i < n_runs; i++)
        fds[2 + i] = (struct pollfd){.fd = box_child_fd(r->ocr.runs[i].child), .events = POLLIN};
    int64_t at = next_deadline(r);
    int64_t wait = at ? MAX(0, at - clk_mono_ms()) : 60000;
    if (r->text.more)
        wait = 0;
    (void)poll(fds, 2 + (nfds_t)n_runs, (int)MIN(wait, 60000));
    if (fds[0].revents)
        task_clear_wake(r->t);
    /* From the last to the first: a run that ends is replaced by the last one. */
    for (int i = n_runs - 1; i >= 0; i--)
        if (fds[2 + i].revents)
            TRY(read_ocr_events(r, i));
    if (r->text.child && (fds[1].revents || r->text.more))
        TRY(read_text_events(r));
    return CODE_OK;
}

static enum code turn(struct reading *r)
{
    TRY(task_check(r->t->cx, r->t));
    int64_t now = clk_mono_ms();
    if (r->deadline_ms && now >= r->deadline_ms)
        return ctx_fail(r->t->cx, CODE_DEADLINE_EXCEEDED,
                        "took longer than %g s (DOCUMENT_TIMEOUT), %d of %d pages are read",
                        (double)r->t->settings->document_timeout_ms / 1000, r->done, r->page_count);
    TRY(read_text_step(r));
    TRY(read_ocr_step(r));
    TRY(page_rows_save_due(r, now));
    if (finished(r))
        return CODE_OK;
    TRY(wait_and_hear(r));
    now = clk_mono_ms();
    TRY(read_text_expire(r, now));
    return read_ocr_expire(r, now);
}

/* The claim's languages, else the settings'. */
static const char *join_languages(struct task *t)
{
    char **languages = t->claim->languages;
    if (!languages || !languages[0])
        return t->settings->ocr_languages_joined;
    const char *joined = languages[0];
    for (int i = 1; languages[i] && joined; i++)
        joined = ctx_printf(t->cx, "%s+%s", joined, languages[i]);
    return joined;
}

enum code read_pages(struct task *t, int document_fd, const char *password,
                     struct pages_read *ret_pages)
{
    struct reading *r = ctx_alloc(t->cx, sizeof(*r));
    if (!r)
        return ctx_oom(t->cx);
    int64_t started = clk_mono_ms();
    r->t = t;
    r->document_fd = document_fd;
    r->password = password;
    r->languages = join_languages(t);
    if (t->settings->document_timeout_ms)
        r->deadline_ms = t->started_ms + t->settings->document_timeout_ms;
    task_scratch(t, &r->rows.cx, ROWS_LIMIT);

    enum code code = r->languages ? CODE_OK : ctx_oom(t->cx);
    while (code == CODE_OK && !finished(r))
        code = turn(r);
    read_text_close(r);
    read_ocr_close(r);
    if (code == CODE_OK)
        code = page_rows_save(r);
    ctx_done(&r->rows.cx);
    TRY(code);
    *ret_pages = (struct pages_read){.page_count = r->page_count,
                                     .title = r->title,
                                     .ms = clk_mono_ms() - started};
    return CODE_OK;
}
