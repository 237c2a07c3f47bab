/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fuzz_event.c - a line on a Redis channel, which anybody there can write (jobs/event.h).
 *
 * What is taken for an event must keep what the header says, and must be taken for the same event
 * when it is put together again from its parts. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "jobs/event.h"
#include "tests/fuzz/fuzz.h"

static void check_fields(const struct event *e)
{
    FUZZ_CHECK(e->kind == EVENT_WORKERS || str_is_uuid(e->job_id));
    FUZZ_CHECK(e->epoch >= 0 && e->percent >= 0 && e->percent <= 100);
    FUZZ_CHECK(e->pages_done >= 0 && e->pages_total >= 0);
    FUZZ_CHECK(memchr(e->status, '\0', sizeof(e->status)));
    size_t n = strnlen(e->message, sizeof(e->message));
    FUZZ_CHECK(n < sizeof(e->message) && str_utf8_prefix(e->message, n) == n);
}

static int print(const struct event *e, char *out, size_t size)
{
    switch (e->kind) {
    case EVENT_STATE:
        return snprintf(out, size, "s %s %lld %s", e->job_id, (long long)e->epoch, e->status);
    case EVENT_PROGRESS:
        return snprintf(out, size, "p %s %lld %.17g %d %d %s", e->job_id, (long long)e->epoch,
                        e->percent, e->pages_done, e->pages_total, e->message);
    case EVENT_CANCEL:
        return snprintf(out, size, "cancel %s", e->job_id);
    case EVENT_WORKERS:
        return snprintf(out, size, "workers");
    case EVENT_NONE:
        break;
    }
    return 0;
}

static bool same(const struct event *a, const struct event *b)
{
    return a->kind == b->kind && strcmp(a->job_id, b->job_id) == 0 && a->epoch == b->epoch &&
           strcmp(a->status, b->status) == 0 && !(a->percent < b->percent) &&
           !(a->percent > b->percent) && a->pages_done == b->pages_done &&
           a->pages_total == b->pages_total && strcmp(a->message, b->message) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct event e, e2;
    char line[512];
    bool ok = event_parse((const char *)data, size, &e);
    FUZZ_CHECK(ok == (e.kind != EVENT_NONE));
    if (!ok)
        return 0;
    check_fields(&e);
    int n = print(&e, line, sizeof(line));
    FUZZ_CHECK(n > 0 && (size_t)n < sizeof(line));
    FUZZ_CHECK(event_parse(line, (size_t)n, &e2));
    FUZZ_CHECK(same(&e, &e2));
    return 0;
}
