/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* watch.c - follows one job (watch.h).
 *
 * A watch may last hours, so a stream that breaks says nothing about the job: the server may have
 * been restarted, or a proxy may have closed an old connection. The stream is opened again, with
 * pauses that grow to PAUSE_MOST_MS, until the server has been away for AWAY_MOST_MS. The first
 * event of every stream is the job as it is now, so nothing is missed in between.
 *
 * Each event has a unit of work of its own: the memory of a long watch does not grow. */
#include "client/watch.h"

#include "base/clk.h"
#include "client/interrupt.h"

enum {
    PAUSE_LEAST_MS = 250,
    PAUSE_MOST_MS = 4000,
    AWAY_MOST_MS = 120 * 1000,
    CLOCK_SLACK_MS = 100
};

enum { EVENT_MEMORY = 4 << 20 };

bool watch_is_end(Localrag__V1__JobStatus status)
{
    return status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED ||
           status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_FAILED ||
           status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_CANCELLED;
}

/* A copy in cx's arena. */
static enum code copy_job(struct ctx *cx, const Localrag__V1__Job *job,
                          Localrag__V1__Job **ret_copy)
{
    size_t n = localrag__v1__job__get_packed_size(job);
    uint8_t *packed = ctx_alloc(cx, n + 1);
    if (!packed)
        return ctx_oom(cx);
    localrag__v1__job__pack(job, packed);
    Localrag__V1__Job *copy = localrag__v1__job__unpack(&cx->arena.pb, n, packed);
    if (!copy)
        return ctx_oom(cx);
    *ret_copy = copy;
    return CODE_OK;
}

/* One event; *ret_end when the stream is at its end. The job is copied out when it has ended. */
static enum code next_event(struct ctx *cx, struct conn_stream *stream, const struct watch *w,
                            bool *ret_end, Localrag__V1__Job **ret_job)
{
    struct ctx event_cx;
    ctx_init(&event_cx, EVENT_MEMORY);
    ProtobufCMessage *m = NULL;
    enum code code = conn_recv(&event_cx, stream, &m);
    if (code != CODE_OK) {
        code = ctx_fail(cx, code, "%s", ctx_message(&event_cx));
    } else if (m) {
        const Localrag__V1__JobEvent *event = (const Localrag__V1__JobEvent *)m;
        if (event->job) {
            w->on_event(w->user, event);
            if (watch_is_end(event->job->status))
                code = copy_job(cx, event->job, ret_job);
        }
    } else {
        *ret_end = true;
    }
    ctx_done(&event_cx);
    return code;
}

/* One stream, to its end. *ret_alive: at least one event came. */
static enum code one_stream(struct ctx *cx, struct conn *conn, const struct watch *w,
                            bool *ret_alive, Localrag__V1__Job **ret_job)
{
    CLEANUP(conn_stream_closep) struct conn_stream *stream = NULL;
    Localrag__V1__WatchJobRequest request = LOCALRAG__V1__WATCH_JOB_REQUEST__INIT;
    request.job_id = (char *)w->job_id;
    TRY(conn_start(cx, conn, &localrag__v1__job_service__descriptor, "WatchJob", 0, &stream));
    TRY(conn_send(cx, stream, &request.base));
    TRY(conn_send_end(cx, stream));
    for (bool end = false; !end && !*ret_job;) {
        TRY(next_event(cx, stream, w, &end, ret_job));
        if (!end && !*ret_alive && w->on_away)
            w->on_away(w->user, NULL);
        *ret_alive = *ret_alive || !end;
    }
    return CODE_OK;
}

static bool out_of_time(const struct ctx *cx)
{
    return cx->deadline_ms && clk_mono_ms() + CLOCK_SLACK_MS >= cx->deadline_ms;
}

enum code watch_job(struct ctx *cx, struct conn *conn, const struct watch *w,
                    Localrag__V1__Job **ret_job)
{
    Localrag__V1__Job *job = NULL;
    bool known = w->known;
    int64_t pause = PAUSE_LEAST_MS, away_since = clk_mono_ms();
    for (;;) {
        bool alive = false;
        enum code code = one_stream(cx, conn, w, &alive, &job);
        if (job) {
            *ret_job = job;
            return CODE_OK;
        }
        if (interrupt_pending())
            return ctx_fail(cx, CODE_CANCELLED, "interrupted");
        if (out_of_time(cx)) {
            ctx_clear(cx);
            return ctx_fail(cx, CODE_DEADLINE_EXCEEDED, "it did not end in the time given");
        }
        known = known || alive;
        if (alive) {
            pause = PAUSE_LEAST_MS;
            away_since = clk_mono_ms();
        }
        bool lost = code == CODE_OK || code == CODE_UNAVAILABLE || code == CODE_CANCELLED;
        if (!known || !lost || clk_mono_ms() - away_since > AWAY_MOST_MS)
            return code != CODE_OK
                       ? code
                       : ctx_fail(cx, CODE_UNAVAILABLE, "the server ended the watch too early");
        if (w->on_away && code != CODE_OK)
            w->on_away(w->user, ctx_message(cx));
        ctx_clear(cx);
        if (interrupt_wait(pause))
            continue;
        pause = MIN(pause * 2, (int64_t)PAUSE_MOST_MS);
    }
}
