/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* queue.c - the lanes in Redis (queue.h); the only file that knows their keys.
 *
 * Keys, all under one hash tag so that a cluster keeps them together:
 *   {queue}:high|medium|low       sorted set, member job id, score ready_at in ms
 *   {queue}:overflow:LANE         the lane was full once; only the sweep feeds it
 * A lane is capped, so a backlog of ten million rows costs Redis as much as one of ten thousand. A
 * take is Redis' own BZMPOP (since 7.0) over the lanes in order of priority, from one lane as many
 * as there are idle workers. Whoever pops an id and dies loses nothing: the row is still runnable
 * and the sweep pushes it again. */
#include "jobs/queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clk.h"
#include "base/log.h"
#include "base/str.h"
#include "jobs/event.h"

#define MAX_TIME_MS 253402300799000.0 /* the end of the year 9999 */

static const char push_script[] =
    "local cap = tonumber(ARGV[1])\n"
    "if ARGV[2] == '0' and redis.call('EXISTS', KEYS[2]) == 1 then return 0 end\n"
    "local n, pushed = redis.call('ZCARD', KEYS[1]), 0\n"
    "for i = 3, #ARGV, 2 do\n"
    "  if n >= cap then redis.call('SET', KEYS[2], '1') break end\n"
    "  n = n + redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1])\n"
    "  pushed = pushed + 1\n"
    "end\n"
    "return pushed\n";

static const char look_script[] =
    "local kind = redis.call('TYPE', KEYS[1])['ok']\n"
    "local foreign = kind ~= 'zset' and kind ~= 'none'\n"
    "foreign = foreign or redis.call('ZCARD', KEYS[1]) > tonumber(ARGV[1])\n"
    "if foreign then redis.call('UNLINK', KEYS[1]) end\n"
    "local head = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')\n"
    "local tail = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')\n"
    "return {redis.call('ZCARD', KEYS[1]), redis.call('EXISTS', KEYS[2]), head[2] or '0',\n"
    "        tail[2] or '0', foreign and 1 or 0}\n";

const char *queue_key(struct ctx *cx, const struct settings *s, const char *suffix)
{
    return ctx_printf(cx, "{%s}:%s", s->queue_name, suffix);
}

static enum code lane_keys(struct ctx *cx, struct jobs *jobs, const char *priority,
                           const char **ret_lane, const char **ret_overflow)
{
    const char *suffix = ctx_printf(cx, "overflow:%s", priority);
    *ret_lane = queue_key(cx, jobs->settings, priority);
    *ret_overflow = suffix ? queue_key(cx, jobs->settings, suffix) : NULL;
    return *ret_lane && *ret_overflow ? CODE_OK : cx->failure.code;
}

enum code queue_push(struct ctx *cx, struct jobs *jobs, const char *priority, bool from_sweep,
                     const struct queue_entry *entries, int n)
{
    enum { SLICE = 500 };
    const char *argv[4 + 2 * SLICE];
    TRY(lane_keys(cx, jobs, priority, &argv[0], &argv[1]));
    argv[2] = ctx_printf(cx, "%d", QUEUE_LANE_CAP);
    argv[3] = from_sweep ? "1" : "0";
    for (int done = 0; done < n;) {
        int k = MIN(n - done, (int)SLICE);
        for (int i = 0; i < k; i++) {
            argv[4 + 2 * i] = ctx_printf(cx, "%lld", (long long)entries[done + i].ready_ms);
            argv[5 + 2 * i] = entries[done + i].job_id;
            if (!argv[4 + 2 * i])
                return cx->failure.code;
        }
        TRY(kv_script(cx, jobs->kv, push_script, 2, 4 + 2 * k, argv, NULL));
        done += k;
    }
    return CODE_OK;
}

void queue_hint_many(struct ctx *cx, struct jobs *jobs, const char *priority,
                     const struct queue_entry *entries, int n)
{
    if (queue_push(cx, jobs, priority, false, entries, n) != CODE_OK) {
        log_debug(cx, "could not push a hint, the sweep will: %s", ctx_message(cx));
        ctx_clear(cx);
    }
}

void queue_hint(struct ctx *cx, struct jobs *jobs, const char *priority, const char *job_id,
                int64_t ready_ms)
{
    struct queue_entry e = {.ready_ms = ready_ms};
    snprintf(e.job_id, sizeof(e.job_id), "%s", job_id);
    queue_hint_many(cx, jobs, priority, &e, 1);
}

void queue_put_back(struct ctx *cx, struct jobs *jobs, const char *priority, const char *job_id,
                    int64_t epoch, int64_t ready_ms)
{
    struct event e;
    event_fill_state(&e, job_id, epoch, "pending");
    queue_hint(cx, jobs, priority, job_id, ready_ms);
    event_publish(cx, jobs, &e);
}

static int64_t score_ms(const char *text)
{
    double score = strtod(text, NULL);
    if (!(score > 0))
        return 0;
    return score < MAX_TIME_MS ? (int64_t)score : (int64_t)MAX_TIME_MS;
}

enum code queue_look(struct ctx *cx, struct jobs *jobs, const char *priority,
                     struct queue_lane *ret_lane)
{
    const char *argv[3];
    struct kv_reply r;
    TRY(lane_keys(cx, jobs, priority, &argv[0], &argv[1]));
    if (!(argv[2] = ctx_printf(cx, "%d", QUEUE_LANE_CAP)))
        return cx->failure.code;
    TRY(kv_script(cx, jobs->kv, look_script, 2, 3, argv, &r));
    if (r.type != KV_ARRAY || r.n != 5 || r.items[2].type != KV_TEXT || r.items[3].type != KV_TEXT)
        return ctx_fail(cx, CODE_INTERNAL, "redis gave no lane of \"%s\"", priority);
    if (r.items[4].integer)
        log_warning(
            cx,
            "the lane \"%s\" is not what this service stores (another type, or more than %d "
            "members), removing it and filling it from the rows",
            priority, QUEUE_LANE_CAP);
    /* A score may be anything somebody wrote, infinity too: what is no time of ours counts as the
     * nearest one. */
    *ret_lane = (struct queue_lane){.size = r.items[0].integer,
                                    .overflow = r.items[1].integer != 0,
                                    .head_ms = score_ms(r.items[2].text),
                                    .tail_ms = score_ms(r.items[3].text)};
    return CODE_OK;
}

enum code queue_mark_overflow(struct ctx *cx, struct jobs *jobs, const char *priority)
{
    const char *keys[2];
    TRY(lane_keys(cx, jobs, priority, &keys[0], &keys[1]));
    return kv_run(cx, jobs->kv, 0, KV_ARGV("SET", keys[1], "1"), NULL);
}

enum code queue_clear_overflow(struct ctx *cx, struct jobs *jobs, const char *priority)
{
    const char *keys[2];
    TRY(lane_keys(cx, jobs, priority, &keys[0], &keys[1]));
    return kv_run(cx, jobs->kv, 0, KV_ARGV("DEL", keys[1]), NULL);
}

/* ---- take ---- */

/* A pause, so that a caller's loop does not spin while Redis is away; there is nothing to wait for.
 */
static enum code pause_away(struct ctx *cx, int timeout_ms)
{
    struct timespec t = {.tv_nsec = (long)MIN(timeout_ms, 200) * 1000000};
    (void)cx;
    nanosleep(&t, NULL);
    return cx->failure.code;
}

/* Not a line a member: there may be thousands. */
static void tell_dropped(struct ctx *cx, int n)
{
    static _Thread_local int64_t told_ms, dropped;
    int64_t now = clk_mono_ms();
    dropped += n;
    if (!dropped || (told_ms && now - told_ms < 1000))
        return;
    log_warning(cx, "lanes held %lld members that are no job ids, dropping them",
                (long long)dropped);
    dropped = 0;
    told_ms = now;
}

/* The length too: an id with a NUL and more behind it is none. */
static int take_id(const struct kv_reply *member, char ids[][37], int *n)
{
    if (member->type != KV_TEXT || member->len != 36 || !str_is_uuid(member->text))
        return 1;
    memcpy(ids[(*n)++], member->text, 37);
    return 0;
}

static enum code pop(struct ctx *cx, struct jobs *jobs, bool high_only, int timeout_ms, int max,
                     struct kv_reply *ret_reply)
{
    static _Thread_local unsigned turn;
    static const char *const orders[3][3] = {{"high", "medium", "low"},
                                             {"medium", "low", "high"},
                                             {"low", "medium", "high"}};
    unsigned order = high_only ? 0 : ++turn % 16 == 8 ? 1 : turn % 16 == 0 ? 2 : 0;
    int n = high_only ? 1 : 3;
    char wait[16], count[16];
    snprintf(wait, sizeof(wait), "%d.%03d", timeout_ms / 1000, timeout_ms % 1000);
    snprintf(count, sizeof(count), "%d", max);
    const char *argv[9] = {"BZMPOP", wait, high_only ? "1" : "3"};
    for (int i = 0; i < n; i++) {
        argv[3 + i] = queue_key(cx, jobs->settings, orders[order][i]);
        if (!argv[3 + i])
            return cx->failure.code;
    }
    argv[3 + n] = "MIN";
    argv[4 + n] = "COUNT";
    argv[5 + n] = count;
    return kv_run(cx, jobs->kv, timeout_ms, 6 + n, argv, NULL, ret_reply);
}

enum code jobs_take(struct ctx *cx, struct jobs *jobs, bool high_only, int timeout_ms, int max,
                    char ids[][37], int *ret_n, bool *ret_high)
{
    struct kv_reply r;
    int n = 0, dropped = 0;
    *ret_n = 0;
    timeout_ms = MAX(1, MIN(timeout_ms, 1000)); /* 0 would wait for ever */
    if (pop(cx, jobs, high_only, timeout_ms, max, &r) != CODE_OK)
        return pause_away(cx, timeout_ms);
    bool any =
        r.type == KV_ARRAY && r.n == 2 && r.items[0].type == KV_TEXT && r.items[1].type == KV_ARRAY;
    /* Nothing in time, or [lane, [[member, score]...]]. */
    for (size_t i = 0; any && i < r.items[1].n && n < max; i++) {
        const struct kv_reply *pair = &r.items[1].items[i];
        dropped += pair->type == KV_ARRAY && pair->n == 2 ? take_id(&pair->items[0], ids, &n) : 1;
    }
    if (ret_high)
        *ret_high = any && str_ends(r.items[0].text, ":high");
    tell_dropped(cx, dropped); /* of earlier takes too */
    *ret_n = n;
    return CODE_OK;
}
