/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* workers_view.c - the workers as text (workers_view.h).
 *
 * The layout is a promise to scripts (see cmd_workers_status.c). Workers of several hosts share
 * short names; only when that is so, the name that is unique over all hosts is shown instead. */
#include "client/workers_view.h"

#include <string.h>

#include "client/text.h"

static bool names_clash(const Localrag__V1__WorkerHealth *health)
{
    for (size_t i = 0; i < health->n_workers; i++)
        for (size_t j = i + 1; j < health->n_workers; j++)
            if (strcmp(health->workers[i]->worker_id, health->workers[j]->worker_id) == 0)
                return true;
    return false;
}

static void one_worker(struct buf *b, const Localrag__V1__Worker *w, bool long_name)
{
    char priority[32];
    text_enum(&localrag__v1__worker_priority__descriptor, w->priority, priority);
    buf_str(b, w->is_running ? "\xe2\x9c\x85 " : "\xe2\x9d\x8c ");
    text_safe(b, long_name && *w->pool_worker_id ? w->pool_worker_id : w->worker_id);
    buf_printf(b, " (%s)\n   Processed: %lld\n   Failed: %lld\n", priority,
               (long long)w->processed_count, (long long)w->failed_count);
    if (w->_current_job_case != LOCALRAG__V1__WORKER___CURRENT_JOB__NOT_SET && *w->current_job) {
        buf_str(b, "   Current job: ");
        text_safe(b, w->current_job);
        buf_char(b, '\n');
    }
}

void workers_view(struct buf *b, const Localrag__V1__WorkerHealth *health)
{
    bool long_names = names_clash(health);
    buf_str(b, "\xf0\x9f\x91\xb7 Background Worker Status:\n==============================\n");
    for (size_t i = 0; i < health->n_workers; i++) {
        if (i)
            buf_char(b, '\n');
        one_worker(b, health->workers[i], long_names);
    }
    bool healthy =
        health->status == LOCALRAG__V1__WORKER_HEALTH_STATUS__WORKER_HEALTH_STATUS_HEALTHY;
    if (!health->n_workers)
        buf_str(b, "No workers.\n");
    if (!healthy && health->message && *health->message) {
        buf_char(b, '\n');
        text_safe(b, health->message);
        buf_char(b, '\n');
    }
}
