/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* state.c - the state machine of a job (state.h).
 *
 *   pending -> processing -> completed
 *   processing -> retrying -> processing      an attempt failed, another one is left
 *   processing -> failed                      permanent, or none is left
 *   processing -> pending                     its pool died or handed it back
 *   pending | retrying | processing -> cancelled
 *   failed | cancelled -> pending             a manual retry
 *
 * Nothing leaves completed. */
#include "jobs/state.h"

#include <string.h>

#define BIT(status) (1u << LOCALRAG__V1__JOB_STATUS__JOB_STATUS_##status)

static const struct {
    const char *name;
    unsigned next; /* BIT() of the states it may move to */
} states[] = {
    [LOCALRAG__V1__JOB_STATUS__JOB_STATUS_UNSPECIFIED] = {"", 0},
    [LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PENDING] = {"pending", BIT(PROCESSING) | BIT(CANCELLED)},
    [LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PROCESSING] = {"processing",
                                                         BIT(COMPLETED) | BIT(FAILED) |
                                                             BIT(RETRYING) | BIT(PENDING) |
                                                             BIT(CANCELLED)},
    [LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED] = {"completed", 0},
    [LOCALRAG__V1__JOB_STATUS__JOB_STATUS_FAILED] = {"failed", BIT(PENDING)},
    [LOCALRAG__V1__JOB_STATUS__JOB_STATUS_CANCELLED] = {"cancelled", BIT(PENDING)},
    [LOCALRAG__V1__JOB_STATUS__JOB_STATUS_RETRYING] = {"retrying",
                                                       BIT(PROCESSING) | BIT(CANCELLED)},
};

static const char *const tasks[] = {"", "single_document", "directory_batch", "document_reprocess",
                                    "maintenance"};
static const char *const priorities[] = {"", "high", "medium", "low"};

static unsigned find(const char *const *names, unsigned n, const char *name)
{
    for (unsigned i = 1; name && i < n; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return 0;
}

Localrag__V1__JobStatus state_parse(const char *name)
{
    for (unsigned i = 1; name && i < ARRAY_LEN(states); i++)
        if (strcmp(states[i].name, name) == 0)
            return (Localrag__V1__JobStatus)i;
    return LOCALRAG__V1__JOB_STATUS__JOB_STATUS_UNSPECIFIED;
}

const char *state_name(Localrag__V1__JobStatus status)
{
    return (unsigned)status < ARRAY_LEN(states) ? states[status].name : "";
}

Localrag__V1__TaskType state_parse_task(const char *name)
{
    return (Localrag__V1__TaskType)find(tasks, ARRAY_LEN(tasks), name);
}

const char *state_task_name(Localrag__V1__TaskType type)
{
    return (unsigned)type < ARRAY_LEN(tasks) ? tasks[type] : "";
}

Localrag__V1__Priority state_parse_priority(const char *name)
{
    return (Localrag__V1__Priority)find(priorities, ARRAY_LEN(priorities), name);
}

const char *state_priority_name(Localrag__V1__Priority priority)
{
    return (unsigned)priority < ARRAY_LEN(priorities) ? priorities[priority] : "";
}

bool state_is_terminal(Localrag__V1__JobStatus status)
{
    return status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED ||
           status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_FAILED ||
           status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_CANCELLED;
}

bool state_may_move(Localrag__V1__JobStatus from, Localrag__V1__JobStatus to)
{
    return (unsigned)from < ARRAY_LEN(states) && (unsigned)to < ARRAY_LEN(states) &&
           (states[from].next & (1u << to)) != 0;
}
