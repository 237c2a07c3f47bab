/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* stats_view.c - the statistics of jobs as text (stats_view.h).
 *
 * Three parts: the states of the last 24 hours with the times jobs took, the queue, and a table of
 * the days there are rows for. A state without jobs is left out. States are shown in the order of
 * their lives, which is that of the enum; one this build does not know would be shown nowhere, so
 * the total comes from the server and not from a sum. */
#include "client/stats_view.h"

#include <stdio.h>
#include <string.h>

#include "client/table.h"
#include "client/text.h"

static const struct table_column state_columns[] = {
    {"STATE", false}, {"JOBS", true}, {"AVERAGE", true}, {"SHORTEST", true}, {"LONGEST", true},
};

static const struct table_column day_columns[] = {
    {"DATE", false},     {"JOBS", true},  {"COMPLETED", true}, {"FAILED", true},
    {"CANCELLED", true}, {"PAGES", true}, {"AVERAGE", true},
};

static const Localrag__V1__ProcessingTimes *times_of(const Localrag__V1__JobStatistics *s,
                                                     const char *state)
{
    for (size_t i = 0; i < s->n_processing_times; i++)
        if (strcmp(s->processing_times[i]->key, state) == 0)
            return s->processing_times[i]->value;
    return NULL;
}

static int64_t count_of(const Localrag__V1__JobStatistics *s, const char *state)
{
    for (size_t i = 0; i < s->n_status_counts; i++)
        if (strcmp(s->status_counts[i]->key, state) == 0)
            return s->status_counts[i]->value;
    return 0;
}

static enum code states(struct ctx *cx, struct buf *b, const Localrag__V1__JobStatistics *s)
{
    struct table t = {.columns = state_columns, .n_columns = ARRAY_LEN(state_columns)};
    const ProtobufCEnumDescriptor *d = &localrag__v1__job_status__descriptor;
    for (unsigned v = 1; v < d->n_values; v++) {
        char state[32], jobs[32], average[32], shortest[32], longest[32];
        text_enum(d, d->values[v].value, state);
        const Localrag__V1__ProcessingTimes *times = times_of(s, state);
        if (!count_of(s, state))
            continue;
        snprintf(jobs, sizeof(jobs), "%lld", (long long)count_of(s, state));
        snprintf(average, sizeof(average), "%.1f s", times ? times->avg_seconds : 0);
        snprintf(shortest, sizeof(shortest), "%.1f s", times ? times->min_seconds : 0);
        snprintf(longest, sizeof(longest), "%.1f s", times ? times->max_seconds : 0);
        const char *cells[] = {state, jobs, times ? average : NULL, times ? shortest : NULL,
                               times ? longest : NULL};
        TRY(table_row(cx, &t, cells));
    }
    if (t.n_cells)
        table_print(b, &t, 0);
    return CODE_OK;
}

static enum code days(struct ctx *cx, struct buf *b, const Localrag__V1__JobStatistics *s)
{
    struct table t = {.columns = day_columns, .n_columns = ARRAY_LEN(day_columns)};
    for (size_t i = 0; i < s->n_daily; i++) {
        const Localrag__V1__DailyStatistics *day = s->daily[i];
        char numbers[5][16], average[32];
        const int32_t values[] = {day->total_jobs, day->completed_jobs, day->failed_jobs,
                                  day->cancelled_jobs, day->pages};
        for (size_t j = 0; j < ARRAY_LEN(values); j++)
            snprintf(numbers[j], sizeof(numbers[j]), "%d", values[j]);
        snprintf(average, sizeof(average), "%.1f s", day->avg_processing_time);
        const char *cells[] = {day->date,  numbers[0], numbers[1], numbers[2],
                               numbers[3], numbers[4], average};
        TRY(table_row(cx, &t, cells));
    }
    if (!t.n_cells)
        return CODE_OK;
    buf_char(b, '\n');
    table_print(b, &t, 0);
    return CODE_OK;
}

enum code stats_view(struct ctx *cx, struct buf *b, const Localrag__V1__JobStatistics *s)
{
    buf_printf(b, "%lld job%s in the last 24 hours\n", (long long)s->total_24h,
               s->total_24h == 1 ? "" : "s");
    TRY(states(cx, b, s));
    const Localrag__V1__QueueStats *queue = s->queue_stats;
    if (queue && queue->queue_lengths)
        buf_printf(b, "\n%lld waiting (%lld high, %lld medium, %lld low)\n",
                   (long long)queue->total_pending, (long long)queue->queue_lengths->high,
                   (long long)queue->queue_lengths->medium, (long long)queue->queue_lengths->low);
    return days(cx, b, s);
}
