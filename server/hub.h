/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* hub.h - fans job events out to watchers (WatchJob streams and SSE connections).
 *
 * One thread with one Redis subscription and one `struct jobs`. A watcher keeps at most a handful
 * of state changes and the latest progress: a slow reader skips progress, never a state. When Redis
 * is away the hub looks at watched rows once a second instead. */
#ifndef SERVER_HUB_H
#define SERVER_HUB_H

#include "jobs/jobs.h"

struct hub;
struct watcher;

enum code hub_start(struct ctx *cx, const struct settings *settings,
                    struct hub **ret_hub) MUST_CHECK;
void hub_stop(
    struct hub *hub); /* wakes every watcher with the end; they must be closed first or after */

/* `wake(arg)` is called from the hub's thread whenever hub_next would return something new; it must
 * not block, may call hub_next, must not call hub_unwatch. The first event is the job as it is now.
 * Blocks for a row read. NOT_FOUND, INVALID_ARGUMENT: no such job. */
enum code hub_watch(struct ctx *cx, struct hub *hub, const char *job_id, void (*wake)(void *arg),
                    void *arg, struct watcher **ret_watcher) MUST_CHECK;

enum hub_next { HUB_NOTHING, HUB_EVENT, HUB_END, HUB_CLOSING };

/* The next event, packed as a localrag.v1.JobEvent in cx's arena. HUB_END after the terminal state.
 * HUB_CLOSING: the server stops. Thread-safe; one caller at a time per watcher. */
enum hub_next hub_next(struct ctx *cx, struct watcher *w, Localrag__V1__JobEvent **ret_event);

/* Afterwards wake is not called any more (waits for a running call). Frees. */
void hub_unwatch(struct watcher *w);

#endif
