/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* run_maintenance.c - some slices of a maintenance job, then the worker is free.
 *
 * What there is to do, and what a slice is, is in jobs/maintenance.c. Each slice is committed by
 * itself under the claim's fence, together with how far it came, so a run may end behind any of
 * them: a crash, a stop or a cancellation costs one slice at most. A run ends by itself after a
 * second: the job goes back to its lane and somebody's document may have the worker first, were it
 * the only one. */
#include "workers/run_maintenance.h"

#include "base/clk.h"
#include "jobs/maintenance.h"

enum { RUN_MS = 1000 };

static enum code begin(struct ctx *cx, struct task *t, void *ret_maintenance)
{
    (void)cx; /* the answer has to stay */
    return maintenance_begin(t->cx, t->jobs, t->claim, ret_maintenance);
}

static enum code slice(struct ctx *cx, struct task *t, void *maintenance)
{
    return maintenance_slice(cx, t->jobs, t->claim, maintenance);
}

static enum code complete(struct ctx *cx, struct task *t, void *maintenance)
{
    return maintenance_complete(cx, t->jobs, t->claim, maintenance);
}

static enum code give_back(struct ctx *cx, struct task *t, void *arg)
{
    (void)arg;
    return jobs_hand_back(cx, t->jobs, t->claim);
}

static enum code say(struct ctx *cx, struct task *t, void *maintenance)
{
    const char *summary = maintenance_summary(cx, maintenance);
    if (summary)
        task_progress(t, 0, 0, 0, false, "%s", summary);
    return cx->failure.code;
}

enum code run_maintenance(struct task *t)
{
    struct maintenance m;
    int64_t until = t->started_ms + RUN_MS;
    TRY(task_step(t, begin, &m));
    while (m.more) {
        TRY(task_step(t, slice, &m));
        TRY(task_step(t, say, &m));
        TRY(task_check(t->cx, t));
        if (m.more && clk_mono_ms() >= until)
            return task_step(t, give_back, NULL);
        if (m.more)
            task_pause(t, m.rest_ms);
    }
    TRY(task_step(t, complete, &m));
    struct ctx cx;
    task_scratch(t, &cx, CTX_DEFAULT_LIMIT);
    log_info(t->cx, "%s: %s", m.kind, maintenance_summary(&cx, &m));
    ctx_done(&cx);
    return CODE_OK;
}
