/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* hubs.h - a hub and its watchers for tests: the hub's thread and the servers are real, the test
 * acts as worker and as reader. */
#ifndef TESTS_SERVER_HUBS_H
#define TESTS_SERVER_HUBS_H

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "jobs/event.h"
#include "server/hub.h"
#include "tests/support/fixture.h"
#include "tests/support/wait.h"

#define STATE LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_STATE
#define PROGRESS LOCALRAG__V1__JOB_EVENT_TYPE__JOB_EVENT_TYPE_PROGRESS
#define STATUS(s) LOCALRAG__V1__JOB_STATUS__JOB_STATUS_##s

enum { SOON = 3000, AFTER_A_POLL = 9000 };

static struct hub *hub;
static char pool[37]; /* with the workers general-1 and general-2 */
static atomic_int woken;

static inline void wake(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static inline bool listening(void)
{
    struct kv_reply r = REDIS("PUBSUB", "NUMSUB", event_channel(&fx.cx, &fx.settings));
    return r.n == 2 && r.items[1].integer == 1;
}

static inline int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    atomic_store(&woken, 0);
    fixture_pool(2, pool);
    if (hub_start(&fx.cx, &fx.settings, &hub) != CODE_OK)
        return -1;
    WAIT_UNTIL(SOON, listening());
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    hub_stop(hub);
    hub = NULL;
    return 0;
}

/* `last`: the id of the event the reader saw last, "" for none. */
static inline struct watcher *watch(const char *id, const char *last)
{
    struct watcher *w = NULL;
    OK(&fx.cx, hub_watch(&fx.cx, hub, id, last, wake, &woken, &w));
    return w;
}

static inline enum hub_next next(struct watcher *w, int ms, Localrag__V1__JobEvent **e)
{
    enum hub_next got;
    WAIT_UNTIL(ms, (got = hub_next(&fx.cx, w, e)) != HUB_NOTHING);
    return got;
}

static inline void publish(const struct job_claim *claim, double percent)
{
    struct job_progress p = {.percent = percent,
                             .pages_done = (int)percent,
                             .pages_total = 100,
                             .message = "m"};
    jobs_publish_progress(&fx.cx, fx.jobs, claim, &p);
}

#endif
