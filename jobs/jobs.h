/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* jobs.h - what a job is and who may move it; the layer that server and workers share.
 *
 * PostgreSQL holds the facts, Redis hints that can be thrown away. A job exists when its row is
 * committed. Every write a worker makes carries the claim's epoch and is refused with CLAIM_LOST
 * when another claim owns the job or it is not processing any more: drop the job then, log at
 * debug.
 *
 * A `struct jobs` belongs to one thread. All calls block, bounded by the ctx's deadline. Any call
 * may return UNAVAILABLE (PostgreSQL is away), DEADLINE_EXCEEDED, OUT_OF_MEMORY, INTERNAL; other
 * codes are named at the call. Redis being away is never an error here. */
#ifndef JOBS_JOBS_H
#define JOBS_JOBS_H

#include "base/ctx.h"
#include "jobs/settings.h"
#include "localrag/v1/document.pb-c.h"
#include "localrag/v1/job.pb-c.h"
#include "localrag/v1/upload.pb-c.h"
#include "localrag/v1/worker.pb-c.h"
#include "store/db.h"
#include "store/kv.h"

struct jobs {
    const struct settings *settings;
    struct db *db;
    struct kv *kv;
};

/* Connects lazily. `application` names the connection in pg_stat_activity. */
enum code jobs_open(struct ctx *cx, const struct settings *settings, const char *application,
                    struct jobs **ret_jobs) MUST_CHECK;
void jobs_close(struct jobs *jobs);
void jobs_closep(struct jobs **jobs);

/* ---- for the API: submit, read, cancel (submit.c, query.c, cancel.c) ---- */

/* A stored upload that becomes a job. Borrowed. */
struct job_submission {
    const char *job_id; /* chosen before the blob was stored under it */
    const char *task_type; /* "single_document" */
    const char *priority; /* "high", "medium", "low" */
    const char *file_path, *file_name, *content_type, *content_hash;
    int64_t file_size;
    const char *metadata_json; /* a JSON object or NULL */
    const char *const *languages; /* NULL-terminated, or NULL */
    const unsigned char *sealed_password; /* or NULL */
    size_t sealed_password_len;
    const char *idempotency_key; /* or NULL */
};

struct job_submitted {
    const char *job_id; /* the first job's when the idempotency key was known */
    const char *file_path, *file_name;
    bool existed; /* by its idempotency key; the caller removes the blob it stored */
    const char *duplicate_of; /* stored document with the same bytes, or NULL */
    bool unsure; /* set on failure only: the database vanished in the commit, the job may exist */
};

/* One commit, one push. ALREADY_EXISTS: the key was used with other bytes. UNAVAILABLE as well when
 * TASK_QUEUE_ENABLED=false or the backlog limit is reached. */
enum code jobs_submit(struct ctx *cx, struct jobs *jobs, const struct job_submission *in,
                      struct job_submitted *ret_out) MUST_CHECK;

/* jobs_submit for several callers in one commit and one push: each has its job, or its failure in
 * its own ctx (out.job_id NULL then). At most JOBS_MAX_SUBMIT. */
struct job_submit {
    struct ctx *cx;
    const struct job_submission *in;
    struct job_submitted out;
};
enum { JOBS_MAX_SUBMIT = 32 };
void jobs_submit_many(struct jobs *jobs, struct job_submit *all, int n);

/* The job; progress that Redis knows and the row does not yet is merged in. INVALID_ARGUMENT: not a
 * UUID. NOT_FOUND. The message lives in cx's arena. */
enum code jobs_get(struct ctx *cx, struct jobs *jobs, const char *job_id,
                   Localrag__V1__Job **ret_job) MUST_CHECK;

/* jobs_get for several callers in one round trip: each has its answer or its failure in its own
 * ctx (job NULL then). It asks until the last of their deadlines: nobody's short one cuts what the
 * others wait for. At most JOBS_MAX_WANTED. */
struct job_wanted {
    struct ctx *cx;
    const char *job_id;
    Localrag__V1__Job *job;
};
enum { JOBS_MAX_WANTED = 32 };
void jobs_get_many(struct jobs *jobs, struct job_wanted *wanted, int n);

/* As jobs_get, and when the progress was last known to move (seconds since 1970). */
enum code jobs_get_progress(struct ctx *cx, struct jobs *jobs, const char *job_id,
                            Localrag__V1__Job **ret_job, double *ret_updated_at) MUST_CHECK;

/* Fills the answer. INVALID_ARGUMENT names the bad field. */
enum code jobs_list(struct ctx *cx, struct jobs *jobs, const Localrag__V1__ListJobsRequest *in,
                    Localrag__V1__ListJobsResponse *out) MUST_CHECK;

/* Reads a document's original again, as a job. NOT_FOUND; UNAVAILABLE as jobs_submit. */
enum code jobs_reprocess(struct ctx *cx, struct jobs *jobs, const char *document_id,
                         const char **ret_job_id) MUST_CHECK;

/* A directory that becomes one job, and each of its files another. Borrowed. */
struct directory_submission {
    const char *directory; /* from roots_resolve() */
    const char *const *patterns; /* NULL-terminated, or NULL: every type that can be read */
    bool recursive;
    const char *metadata_json; /* for every document; a JSON object or NULL */
    int64_t n_files; /* as counted; with none the job completes at once */
};
/* One commit, one push. UNAVAILABLE as jobs_submit. */
enum code jobs_submit_directory(struct ctx *cx, struct jobs *jobs,
                                const struct directory_submission *in,
                                const char **ret_job_id) MUST_CHECK;

/* A directory batch with all its files. Final at once; tells the worker. WRONG_STATE when it
 * completed or failed. A cancelled job: CODE_OK. */
enum code jobs_cancel(struct ctx *cx, struct jobs *jobs, const char *job_id) MUST_CHECK;

/* A failed or cancelled job is pending again, with all its attempts. WRONG_STATE. */
enum code jobs_retry(struct ctx *cx, struct jobs *jobs, const char *job_id) MUST_CHECK;

/* Removes finished jobs (children with their parents) that ended more than `days` (0 to 3650) ago,
 * a slice at a time. A failure, the ctx's deadline too, ends it in the middle and says how many are
 * gone. */
enum code jobs_cleanup(struct ctx *cx, struct jobs *jobs, int days,
                       int64_t *ret_deleted) MUST_CHECK;

/* As of now; what maintenance has not yet added to job_statistics is in it. */
enum code jobs_statistics(struct ctx *cx, struct jobs *jobs,
                          Localrag__V1__JobStatistics *out) MUST_CHECK;

/* The desired state of every pool on every host; remembered. */
struct workers_wanted {
    bool running, now;
    int max_workers, high_priority_workers; /* < 0: as each pool is configured */
};
enum code jobs_want_workers(struct ctx *cx, struct jobs *jobs,
                            const struct workers_wanted *want) MUST_CHECK;

enum code jobs_queue_stats(struct ctx *cx, struct jobs *jobs,
                           Localrag__V1__QueueStats *out) MUST_CHECK;
enum code jobs_worker_health(struct ctx *cx, struct jobs *jobs,
                             Localrag__V1__WorkerHealth *out) MUST_CHECK;

/* ---- for workers: take, claim, progress, finish, fail (claim.c, complete.c, finish.c) ---- */

struct job_claim { /* texts live in the ctx of the claim call */
    char job_id[37];
    int64_t epoch;
    const char *worker; /* the name it was claimed for, borrowed from the call */
    const char *task_type, *file_path, *file_name, *content_type, *content_hash;
    int64_t file_size;
    int retry_count, max_retries, crash_count;
    const char *metadata_json; /* or NULL */
    char **languages; /* NULL-terminated; empty: the settings' */
    const unsigned char *sealed_password; /* or NULL */
    size_t sealed_password_len;
    char parent_id[37]; /* the directory batch it is a file of; "": none */
    char document_id[37]; /* document_reprocess: the document to replace; else "" */
};

/* Opens the claim's sealed password; *ret_password is NULL when there is none. UNAVAILABLE,
 * UNREADABLE: the key file is missing or another one. */
enum code jobs_claim_password(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                              const char **ret_password) MUST_CHECK;

/* Pops up to `max` ids from one lane (high only, or all: every eighth call starts from the lower
 * ones); *ret_high (may be NULL) says whether it was the high one. Waits at most timeout_ms (<=
 * 1000) for the first. Redis away: UNAVAILABLE after a short pause. */
enum code jobs_take(struct ctx *cx, struct jobs *jobs, bool high_only, int timeout_ms, int max,
                    char ids[][37], int *ret_n, bool *ret_high) MUST_CHECK;

/* Claims ids[i] for workers[i] ("general-1") of the pool. Stale hints just do not come back.
 * A job with JOB_ALONE_CRASHES behind it is claimed only when `pool_idle` and n == 1. One crash is
 * mostly not a job's fault (a host that is gone, the kernel out of memory), and to run all that a
 * host had one by one would leave most workers idle. */
enum { JOB_ALONE_CRASHES = 2 };
enum code jobs_claim(struct ctx *cx, struct jobs *jobs, const char *pool_id, int n, char ids[][37],
                     const char *const *workers, bool pool_idle, struct job_claim *ret_claims,
                     int *ret_n) MUST_CHECK;

/* Which of n ids waits to be claimed alone; "": none. */
enum code jobs_find_alone(struct ctx *cx, struct jobs *jobs, int n, char ids[][37],
                          char ret_id[37]) MUST_CHECK;

/* Tells watchers at once through Redis; the row follows with the pool's next beat. Never fails. */
struct job_progress {
    double percent; /* 0 to below 100 */
    int pages_done, pages_total;
    const char *message; /* "Processing page 13 of 20" */
};
void jobs_publish_progress(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                           const struct job_progress *progress);

/* Ends an attempt. A retryable code with attempts left: retrying after a backoff; else failed.
 * CLAIM_LOST. */
enum code jobs_fail(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                    enum code code, const char *message) MUST_CHECK;

/* Ends a job whose only effect is its own row, under its fence, and tells the watchers. CLAIM_LOST.
 */
struct job_completion { /* borrowed */
    const char *message; /* "Completed: 3 files removed" */
    const char *result_json; /* or NULL */
    const char *document_id; /* or NULL */
    int pages;
};
enum code jobs_complete(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                        const struct job_completion *how) MUST_CHECK;

/* jobs_complete for a list of jobs in one commit: each gets its own code, and its message when it
 * failed. At most JOBS_MAX_FINISH. */
struct job_finish {
    const struct job_claim *claim;
    const struct job_completion *how;
    struct job_finish *next;
    enum code code;
    char message[160];
};
enum { JOBS_MAX_FINISH = 256 };
void jobs_complete_many(struct jobs *jobs, struct job_finish *first);

/* Back to pending with no retry spent (shutdown, stop), in its old place in the lane; maintenance
 * goes behind what waits. CLAIM_LOST. */
enum code jobs_hand_back(struct ctx *cx, struct jobs *jobs,
                         const struct job_claim *claim) MUST_CHECK;

/* What a worker found out about a file nobody knew before (content_type, content_hash and file_size
 * of the claim). Pages that an earlier attempt read from other bytes are dropped. CLAIM_LOST. */
enum code jobs_identified(struct ctx *cx, struct jobs *jobs,
                          const struct job_claim *claim) MUST_CHECK;

/* ---- directory batches (directory.c) ---- */

struct directory_spec { /* in cx's arena */
    const char *directory;
    const char *const *patterns; /* NULL-terminated, or NULL */
    bool recursive;
};
enum code jobs_directory(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                         struct directory_spec *ret_spec) MUST_CHECK;

struct directory_file { /* borrowed */
    const char *path, *name;
};
/* Files become jobs that wait; those that are there already stay, failed and cancelled ones are
 * pending again. CLAIM_LOST. */
enum code jobs_directory_add(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                             const char *directory, const struct directory_file *files,
                             int n) MUST_CHECK;

/* All are there: the first TASK_BATCH_SIZE may run, and the job needs no worker any more.
 * CLAIM_LOST. */
enum code jobs_directory_listed(struct ctx *cx, struct jobs *jobs,
                                const struct job_claim *claim) MUST_CHECK;

/* ---- pages, chunks and the one finishing transaction (pages.c, finish.c) ---- */

struct job_page { /* one row of document_pages; borrowed */
    int page;
    const char *label, *engine, *reason, *error, *text; /* label, error: NULL: none */
    double confidence; /* < 0: none */
    int char_count;
    double width, height;
    int rotation, ms;
    const unsigned char *layout; /* packed extract.v1 lines (jobs does not read it), or NULL */
    size_t layout_len;
};

/* Checkpoints: commits the pages, once each (a page that is there already stays). CLAIM_LOST. */
enum code jobs_save_pages(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                          const struct job_page *pages, int n) MUST_CHECK;

/* Which pages earlier attempts committed: ret_engine[page - 1] is the engine or NULL, n pages. */
enum code jobs_known_pages(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim, int n,
                           const char **ret_engine) MUST_CHECK;

struct job_chunk { /* borrowed */
    int index, page_start, page_end, token_count;
    const char *content;
    const char *spans_json; /* JSON array of Span */
    const char *heading_path_json; /* JSON array of texts */
};

struct job_document {
    const char *title; /* or NULL */
    int page_count;
    const char *content_type;
    int64_t extract_ms, total_ms;
    const char *const *languages; /* NULL-terminated */
};

/* The finish: jobs_finish_begin locks the job under its fence; then read the pages in order, add
 * the chunks in order; jobs_finish_commit writes document, result and `completed` in the same
 * transaction and tells the watchers. On any error call jobs_finish_abort (also fine after commit).
 * CLAIM_LOST from begin; UNREADABLE from commit when every page failed. */
enum code jobs_finish_begin(struct ctx *cx, struct jobs *jobs,
                            const struct job_claim *claim) MUST_CHECK;
enum code jobs_finish_read_pages(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                 int after_page, int max, struct job_page *ret_pages,
                                 int *ret_n) MUST_CHECK;
enum code jobs_finish_add_chunks(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                 const struct job_chunk *chunks, int n) MUST_CHECK;
enum code jobs_finish_commit(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                             const struct job_document *doc) MUST_CHECK;
void jobs_finish_abort(struct jobs *jobs);

/* If the same bytes with the same settings are a document already, completes the job as its
 * duplicate and sets *ret_done. A completion that is the job's own row and no more is left to the
 * caller, who may write it together with others': *ret_how then, in cx's memory. CLAIM_LOST. */
enum code jobs_finish_duplicate(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                bool *ret_done, struct job_completion *ret_how) MUST_CHECK;

/* ---- documents, read side (documents.c) ---- */
enum code jobs_document(struct ctx *cx, struct jobs *jobs, const char *id,
                        Localrag__V1__Document *out) MUST_CHECK;
enum code jobs_documents(struct ctx *cx, struct jobs *jobs,
                         const Localrag__V1__ListDocumentsRequest *in,
                         Localrag__V1__ListDocumentsResponse *out) MUST_CHECK;
/* Rows first, then the original if the store wrote it. A job that finishes it meanwhile fails
 * DOCUMENT_DELETED. */
enum code jobs_document_delete(struct ctx *cx, struct jobs *jobs, const char *id) MUST_CHECK;
enum code jobs_document_pages(struct ctx *cx, struct jobs *jobs,
                              const Localrag__V1__ListPagesRequest *in,
                              Localrag__V1__ListPagesResponse *out) MUST_CHECK;
enum code jobs_document_chunks(struct ctx *cx, struct jobs *jobs,
                               const Localrag__V1__ListChunksRequest *in,
                               Localrag__V1__ListChunksResponse *out) MUST_CHECK;

#endif
