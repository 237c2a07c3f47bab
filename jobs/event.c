/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* event.c - hints about jobs on two Redis channels (event.h).
 *
 * An event is a short line of text. Anybody who can reach Redis can write one, so parsing is strict
 * and bounded, and nothing is believed beyond what event.h says. The newest progress of a job is
 * kept under {queue}:progress:JOB as well, for readers that were not listening, until the row has
 * it for certain: in an hour of small documents such keys would be most of Redis. */
#include "jobs/event.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"
#include "jobs/queue.h"
#include "jobs/state.h"

enum { MAX_EVENT = 512, KEPT_MS = 30000 /* and as long as the row may be behind */ };

const char *event_channel(struct ctx *cx, const struct settings *s)
{
    return queue_key(cx, s, "events");
}

const char *control_channel(struct ctx *cx, const struct settings *s)
{
    return queue_key(cx, s, "control");
}

double event_percent(double before, double percent)
{
    double steps = fmax(floor(percent * EVENT_STEPS), round(before * EVENT_STEPS) + 1);
    return fmin(steps, 100.0 * EVENT_STEPS - 1) / EVENT_STEPS;
}

/* Cuts the next word off *s; NULL when there is none. */
static char *word(char **s)
{
    char *w = *s;
    if (!w || !*w)
        return NULL;
    char *space = strchr(w, ' ');
    *s = space ? space + 1 : NULL;
    if (space)
        *space = '\0';
    return w;
}

static bool parse_job(char **s, struct event *e)
{
    const char *id = word(s);
    if (!id || !str_is_uuid(id))
        return false;
    memcpy(e->job_id, id, 37);
    return true;
}

static bool parse_number(char **s, int64_t max, int64_t *ret)
{
    const char *w = word(s);
    return w && str_parse_int(w, 0, max, ret);
}

static bool parse_progress(char **s, struct event *e)
{
    int64_t done, total;
    const char *percent;
    if (!parse_number(s, INT64_MAX, &e->epoch) || !(percent = word(s)) ||
        !str_parse_double(percent, &e->percent) || e->percent < 0 || e->percent > 100 ||
        !parse_number(s, INT32_MAX, &done) || !parse_number(s, INT32_MAX, &total))
        return false;
    const char *message = *s ? *s : "";
    size_t n = strlen(message);
    if (n >= sizeof(e->message) || str_utf8_prefix(message, n) != n)
        return false;
    for (size_t i = 0; i < n; i++) /* it is shown on terminals */
        if ((unsigned char)message[i] < 0x20 || message[i] == 0x7f)
            return false;
    e->pages_done = (int)done;
    e->pages_total = (int)total;
    memcpy(e->message, message, n + 1);
    return true;
}

static bool parse_state(char **s, struct event *e)
{
    const char *status;
    if (!parse_number(s, INT64_MAX, &e->epoch) || !(status = word(s)) || *s ||
        state_parse(status) == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_UNSPECIFIED)
        return false;
    snprintf(e->status, sizeof(e->status), "%s", status);
    return true;
}

bool event_parse(const char *data, size_t len, struct event *ret_event)
{
    char line[MAX_EVENT];
    struct event e = {0};
    *ret_event = e;
    if (len >= sizeof(line) || memchr(data, '\0', len))
        return false;
    memcpy(line, data, len);
    line[len] = '\0';
    char *rest = line;
    const char *kind = word(&rest);
    bool ok = false;
    if (kind && strcmp(kind, "s") == 0) {
        e.kind = EVENT_STATE;
        ok = parse_job(&rest, &e) && parse_state(&rest, &e);
    } else if (kind && strcmp(kind, "p") == 0) {
        e.kind = EVENT_PROGRESS;
        ok = parse_job(&rest, &e) && parse_progress(&rest, &e);
    } else if (kind && strcmp(kind, "cancel") == 0) {
        e.kind = EVENT_CANCEL;
        ok = parse_job(&rest, &e) && !rest;
    } else if (kind && strcmp(kind, "workers") == 0) {
        e.kind = EVENT_WORKERS;
        ok = !rest;
    }
    if (ok)
        *ret_event = e;
    return ok;
}

static const char progress_script[] = "redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])\n"
                                      "return redis.call('PUBLISH', ARGV[1], ARGV[2])\n";

static const char *state_line(struct ctx *cx, const struct event *e)
{
    return ctx_printf(cx, "s %s %lld %s", e->job_id, (long long)e->epoch, e->status);
}

static enum code send_event(struct ctx *cx, struct jobs *jobs, const struct event *e)
{
    const char *line = NULL;
    const char *channel = e->kind == EVENT_CANCEL || e->kind == EVENT_WORKERS
                              ? control_channel(cx, jobs->settings)
                              : event_channel(cx, jobs->settings);
    switch (e->kind) {
    case EVENT_STATE:
        line = state_line(cx, e);
        break;
    case EVENT_PROGRESS:
        line = ctx_printf(cx, "p %s %lld %.4f %d %d %s", e->job_id, (long long)e->epoch, e->percent,
                          e->pages_done, e->pages_total, e->message);
        break;
    case EVENT_CANCEL:
        line = ctx_printf(cx, "cancel %s", e->job_id);
        break;
    case EVENT_WORKERS:
        line = "workers";
        break;
    case EVENT_NONE:
        return CODE_OK;
    }
    if (!line || !channel)
        return cx->failure.code;
    if (e->kind != EVENT_PROGRESS)
        return kv_run(cx, jobs->kv, 0, KV_ARGV("PUBLISH", channel, line), NULL);
    const char *suffix = ctx_printf(cx, "progress:%s", e->job_id);
    const char *key = suffix ? queue_key(cx, jobs->settings, suffix) : NULL;
    if (!key)
        return cx->failure.code;
    const char *ttl =
        ctx_printf(cx, "%lld", KEPT_MS + 2 * (long long)jobs->settings->progress_interval_ms);
    const char *argv[] = {key, channel, line, ttl};
    return ttl ? kv_script(cx, jobs->kv, progress_script, 1, 4, argv, NULL) : cx->failure.code;
}

void event_publish(struct ctx *cx, struct jobs *jobs, const struct event *event)
{
    if (cx->failure.code != CODE_OK) /* a hint must not hide the failure its caller reports */
        return;
    if (send_event(cx, jobs, event) != CODE_OK) {
        log_debug(cx, "could not publish a hint: %s", ctx_message(cx));
        ctx_clear(cx);
    }
}

void event_fill_state(struct event *ret_event, const char *job_id, int64_t epoch,
                      const char *status)
{
    *ret_event = (struct event){.kind = EVENT_STATE, .epoch = epoch};
    snprintf(ret_event->job_id, sizeof(ret_event->job_id), "%s", job_id);
    snprintf(ret_event->status, sizeof(ret_event->status), "%s", status);
}

static const char states_script[] =
    "for i = 2, #ARGV do redis.call('PUBLISH', ARGV[1], ARGV[i]) end\n"
    "return #ARGV - 1\n";

void event_publish_states(struct ctx *cx, struct jobs *jobs, const struct event *events, int n)
{
    enum { SLICE = 256 }; /* a claim or a group of finishes in one round trip */
    const char *argv[1 + SLICE];
    for (int done = 0; done < n && cx->failure.code == CODE_OK; done += SLICE) {
        int k = MIN(n - done, (int)SLICE);
        argv[0] = event_channel(cx, jobs->settings);
        for (int i = 0; i < k; i++)
            argv[1 + i] = state_line(cx, &events[done + i]);
        if (cx->failure.code != CODE_OK ||
            kv_script(cx, jobs->kv, states_script, 0, 1 + k, argv, NULL) != CODE_OK) {
            log_debug(cx, "could not publish hints: %s", ctx_message(cx));
            ctx_clear(cx);
            return;
        }
    }
}
