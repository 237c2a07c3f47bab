/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* hub.h - fans job events out to watchers (WatchJob and WatchJobs streams, SSE connections).
 *
 * One thread with one Redis subscription and one `struct jobs`. A slow reader skips progress (only
 * the newest of each job is kept), never a state: one that is HUB_MAX_STATES behind is ended with
 * HUB_SLOW. When Redis is away the hub looks at the rows once a second instead.
 *
 * The id of an event is "EPOCH-PART-VALUE", digits with leading zeros, made of the row alone, so
 * that every server gives the same one and a restart changes nothing. EPOCH is the claim's number.
 * PART is 0 while that claim runs, with the progress as VALUE, and 1 in every other state, with the
 * time of the change in microseconds as VALUE: what happens after a claim is later than all its
 * progress and earlier than the next claim. Compared as text, ids grow within a job's life. */
#ifndef SERVER_HUB_H
#define SERVER_HUB_H

#include "jobs/jobs.h"

struct hub;
struct watcher;

enum code hub_start(struct ctx *cx, const struct settings *settings,
                    struct hub **ret_hub) MUST_CHECK;
/* Wakes every watcher with the end; they must be closed first or after. */
void hub_stop(struct hub *hub);

/* `wake(arg)` is called from the hub's thread whenever hub_next would return something new; it must
 * not block, may call hub_next, must not call hub_unwatch. The first event is the job as it is now;
 * it is left out when its id is `last_event_id` ("" or what is no id of ours: none), and a job that
 * runs is then only told from that progress on. Blocks for a row read. NOT_FOUND, INVALID_ARGUMENT:
 * no such job. */
enum code hub_watch(struct ctx *cx, struct hub *hub, const char *job_id, const char *last_event_id,
                    void (*wake)(void *arg), void *arg, struct watcher **ret_watcher) MUST_CHECK;

/* As hub_watch, for all jobs that pass the request's filters: their changes from now on, and
 * nothing else. A change may be told twice. INVALID_ARGUMENT: a bad filter. UNAVAILABLE: no
 * database. */
enum code hub_watch_all(struct ctx *cx, struct hub *hub, const Localrag__V1__WatchJobsRequest *in,
                        void (*wake)(void *arg), void *arg,
                        struct watcher **ret_watcher) MUST_CHECK;

enum hub_next { HUB_NOTHING, HUB_EVENT, HUB_END, HUB_CLOSING, HUB_SLOW };

/* The next event, unpacked into cx's arena. HUB_END: behind the terminal state (of one job).
 * HUB_CLOSING: the server stops. HUB_SLOW: too far behind. Thread-safe; one caller at a time per
 * watcher. */
enum hub_next hub_next(struct ctx *cx, struct watcher *w, Localrag__V1__JobEvent **ret_event);

/* Afterwards wake is not called any more (waits for a running call). Frees. */
void hub_unwatch(struct watcher *w);

#endif
