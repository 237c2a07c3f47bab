/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* batch.h - what happens to a directory batch when one of its files ends. Private to jobs/.
 *
 * Inside the transaction that ends a file, after the file's own row: batch_advance; after its
 * commit: batch_tell. UNAVAILABLE may also be a deadlock that PostgreSQL broke: the whole
 * transaction can be repeated. */
#ifndef JOBS_BATCH_H
#define JOBS_BATCH_H

#include "jobs/event.h"
#include "jobs/queue.h"

/* What to tell after the commit. Lives in the ctx of batch_advance. */
struct batch_news {
    struct event event; /* of the batch; EVENT_NONE: nothing moved */
    struct queue_entry *released; /* files that may run now */
    int n_released;
    char priority[8];
};

/* `ended` files of the batch have ended in the open transaction (0: one waits for another attempt,
 * or the sweep found the batch): releases the next ones, or completes the batch. Nothing happens to
 * a batch that is not processing, or still lists its files. */
enum code batch_advance(struct ctx *cx, struct jobs *jobs, const char *batch_id, int ended,
                        struct batch_news *ret_news) MUST_CHECK;
void batch_tell(struct ctx *cx, struct jobs *jobs, const struct batch_news *news);

/* Cancels a batch and its files. False in *ret_done: it is not in a state to be cancelled. */
enum code batch_cancel(struct ctx *cx, struct jobs *jobs, const char *batch_id,
                       bool *ret_done) MUST_CHECK;

/* A job failed for good in the open transaction, and is a batch: its files will not run. */
enum code batch_abandon(struct ctx *cx, struct jobs *jobs, const char *batch_id) MUST_CHECK;

/* For the sweep, last in its transaction: batches that somebody forgot. */
enum code batch_advance_overdue(struct ctx *cx, struct jobs *jobs, struct batch_news **ret_news,
                                int *ret_n) MUST_CHECK;

#endif
