/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* task.c - from a claim to the job's next state (task.h); called by a worker's thread.
 *
 * The table says which function runs which type of job. How an attempt ends: a job that is lost is
 * dropped without a word to the database, which knows; one that must stop for a shutdown is handed
 * back; a failure is written with its code, and jobs/ decides about another attempt. Settling waits
 * for a database that is away as long as the job is ours: its result must not be thrown away.
 * The first failure of an attempt is logged here, once. */
#include "workers/task.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/str.h"
#include "jobs/event.h"
#include "workers/run_directory.h"
#include "workers/run_document.h"
#include "workers/run_maintenance.h"

enum {
    SCRATCH_LIMIT = 1024 * 1024,
    PUBLISH_EVERY_MS = 50,
    FIRST_PAUSE_MS = 100,
    LAST_PAUSE_MS = 2000
};

static const struct {
    const char *type;
    enum code (*run)(struct task *t);
} types[] = {
    {"single_document", run_document},
    {"document_reprocess", run_document},
    {"directory_batch", run_directory},
    {"maintenance", run_maintenance},
};

enum code task_check(struct ctx *cx, struct task *t)
{
    switch (slot_stopped(t->slot)) {
    case SLOT_GO:
        return CODE_OK;
    case SLOT_HAND_BACK:
        return ctx_fail(cx, CODE_CANCELLED, "the worker is shutting down");
    case SLOT_LOST:
        break;
    }
    return ctx_fail(cx, CODE_CLAIM_LOST, "the job was cancelled or is another claim's");
}

int task_wake_fd(const struct task *t)
{
    return t->slot->wake_fd;
}

void task_clear_wake(struct task *t)
{
    uint64_t count;
    ssize_t got = read(t->slot->wake_fd, &count, sizeof(count));
    (void)got; /* EAGAIN: nothing was written */
}

void task_pause(struct task *t, int ms)
{
    int64_t until = clk_mono_ms() + ms;
    int64_t left = ms;
    while (left > 0 && slot_stopped(t->slot) == SLOT_GO) {
        struct pollfd wake = {.fd = t->slot->wake_fd, .events = POLLIN};
        if (poll(&wake, 1, (int)left) > 0)
            task_clear_wake(t);
        left = until - clk_mono_ms();
    }
}

static bool is_away(enum code code)
{
    return code == CODE_UNAVAILABLE || code == CODE_DEADLINE_EXCEEDED;
}

bool task_again(struct ctx *cx, struct task *t, enum code code)
{
    if (!is_away(code)) {
        if (t->pause_ms)
            log_info(t->cx, "the database answers again");
        t->pause_ms = 0;
        return false;
    }
    if (slot_stopped(t->slot) != SLOT_GO)
        return false;
    if (!t->pause_ms)
        log_warning(t->cx, "%s; waiting for the database", ctx_message(cx));
    t->pause_ms = t->pause_ms ? MIN(t->pause_ms * 2, LAST_PAUSE_MS) : FIRST_PAUSE_MS;
    task_pause(t, t->pause_ms);
    ctx_clear(cx);
    return slot_stopped(t->slot) == SLOT_GO || task_check(cx, t) == CODE_OK;
}

void task_progress(struct task *t, double percent, int pages_done, int pages_total, bool always,
                   const char *fmt, ...)
{
    char message[128];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    message[str_utf8_prefix(message, strlen(message))] = '\0';

    t->percent = event_percent(t->percent, percent);
    struct job_progress progress = {.percent = t->percent,
                                    .pages_done = pages_done,
                                    .pages_total = pages_total,
                                    .message = message};
    slot_progress(t->slot, &progress);
    int64_t now = clk_mono_ms();
    if (!always && now - t->published_ms < PUBLISH_EVERY_MS)
        return;
    t->published_ms = now;
    struct ctx cx;
    task_scratch(t, &cx, SCRATCH_LIMIT);
    jobs_publish_progress(&cx, t->jobs, t->claim, &progress);
    ctx_done(&cx);
}

void task_scratch(const struct task *t, struct ctx *ret_cx, size_t limit)
{
    ctx_init(ret_cx, limit);
    ret_cx->job_id = t->claim->job_id;
}

enum code task_hand_up(struct ctx *cx, const struct ctx *from)
{
    if (from->failure.code == CODE_OK)
        return CODE_OK;
    return ctx_fail_at(cx, from->failure.code, from->failure.file, from->failure.line, "%s",
                       ctx_message(from));
}

enum code task_step(struct task *t, enum code (*call)(struct ctx *cx, struct task *t, void *arg),
                    void *arg)
{
    struct ctx cx;
    enum code code;
    bool again = false;
    do {
        task_scratch(t, &cx, CTX_DEFAULT_LIMIT);
        code = call(&cx, t, arg);
        again = task_again(&cx, t, code);
        if (!again)
            (void)task_hand_up(t->cx, &cx);
        ctx_done(&cx);
    } while (again);
    return code;
}

static enum code run_type(struct task *t)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(types[i].type, t->claim->task_type) == 0)
            return types[i].run(t);
    return ctx_fail(t->cx, CODE_UNIMPLEMENTED, "this worker knows no job type \"%s\"",
                    t->claim->task_type);
}

/* Writes how the attempt ended. A shutdown ends the wait for a database that is away: the pool's
 * end, or the sweep after it, hands the job back. */
static void settle(struct task *t, enum code outcome)
{
    bool hand_back = slot_stopped(t->slot) == SLOT_HAND_BACK;
    struct ctx cx;
    enum code code;
    do {
        task_scratch(t, &cx, SCRATCH_LIMIT);
        code = hand_back ? jobs_hand_back(&cx, t->jobs, t->claim)
                         : jobs_fail(&cx, t->jobs, t->claim, outcome, ctx_message(t->cx));
        bool again = task_again(&cx, t, code == CODE_STORAGE_FULL ? CODE_UNAVAILABLE : code);
        if (!again && code != CODE_OK && code != CODE_CLAIM_LOST)
            log_failure(&cx, LOG_LEVEL_WARNING, "could not settle the job, it will be found");
        ctx_done(&cx);
        if (!again)
            break;
    } while (true);
}

enum code task_complete(struct task *t, const struct job_completion *how)
{
    t->slot->how =
        (struct job_completion){.message = ctx_strdup(t->cx, how->message), .pages = how->pages};
    if (how->result_json)
        t->slot->how.result_json = ctx_strdup(t->cx, how->result_json);
    if (how->document_id)
        t->slot->how.document_id = ctx_strdup(t->cx, how->document_id);
    t->completing = true;
    return t->cx->failure.code;
}

/* Says how the attempt ended, and settles it when it did not end well. */
static enum task_end end(struct task *t, enum code code)
{
    struct slot *slot = t->slot;
    enum slot_stop stop = slot_stopped(slot);
    if (code == CODE_OK) {
        log_info(t->cx, "%s completed after %lld ms", slot->name,
                 (long long)(clk_mono_ms() - slot->started_ms));
    } else if (code == CODE_CLAIM_LOST || stop == SLOT_LOST) {
        log_debug(t->cx, "dropped: %s", ctx_message(t->cx));
    } else {
        if (stop == SLOT_GO)
            log_failure(t->cx, LOG_LEVEL_WARNING, "an attempt failed");
        else
            log_info(t->cx, "handed back for the shutdown");
        settle(t, code);
    }
    ctx_recycle(t->cx);
    return code == CODE_OK ? TASK_COMPLETED : TASK_NOT_COMPLETED;
}

static struct task task_of(struct slot *slot, struct jobs *jobs)
{
    return (struct task){.cx = &slot->task_cx,
                         .jobs = jobs,
                         .settings = slot->pool->settings,
                         .claim = &slot->claim,
                         .slot = slot,
                         .started_ms = slot->started_ms};
}

enum task_end task_written(struct slot *slot)
{
    enum code code = slot->finish.code;
    if (code != CODE_OK && code != CODE_CLAIM_LOST)
        return TASK_HANDED_OVER;
    struct task t = task_of(slot, NULL);
    if (code != CODE_OK)
        ctx_fail(t.cx, code, "%s", slot->finish.message);
    return end(&t, code);
}

/* The finisher could not write it: tried here until the database answers. */
static enum task_end complete_again(struct task *t)
{
    struct job_finish *f = &t->slot->finish;
    enum code code = ctx_fail(t->cx, f->code, "%s", f->message);
    f->code = CODE_OK;
    while (task_again(t->cx, t, code))
        code = jobs_complete(t->cx, t->jobs, t->claim, &t->slot->how);
    return end(t, t->cx->failure.code);
}

enum task_end task_run(struct slot *slot, struct jobs *jobs)
{
    struct task t = task_of(slot, jobs);
    if (slot->finish.code != CODE_OK)
        return complete_again(&t);
    t.cx->job_id = slot->claim.job_id;
    t.started_ms = slot->started_ms = clk_mono_ms();
    task_clear_wake(&t);
    log_info(t.cx, "%s started %s, attempt %d", slot->name, t.claim->task_type,
             t.claim->retry_count + 1);
    enum code code = run_type(&t);
    if (code != CODE_OK || !t.completing)
        return end(&t, code);
    slot->finish = (struct job_finish){.claim = &slot->claim, .how = &slot->how};
    finisher_add(slot->pool->finisher, &slot->finish);
    return TASK_HANDED_OVER;
}
