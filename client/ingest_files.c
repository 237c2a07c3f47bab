/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* ingest_files.c - bars of the files of a batch (ingest_files.h).
 *
 * One stream of all changes of the batch's jobs (WatchJobs). A job gets a slot of the screen with
 * its first change and gives it back when it has ended, so any number of files needs
 * INGEST_FILES_MOST slots; when all are taken a file has no bar. A stream that breaks is not opened
 * again: the batch's own bar goes on counting files. Used on terminals only. */
#include "client/ingest_files.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/text.h"
#include "client/watch.h"

enum { EVENT_MEMORY = 4 << 20, ID_BYTES = 40 };

struct ingest_files {
    struct ctx cx; /* of the stream */
    struct conn_stream *stream;
    struct screen *screen;
    size_t first;
    pthread_t thread;
    char jobs[INGEST_FILES_MOST][ID_BYTES]; /* "" is a free slot */
};

/* The slot of the job, or a free one; INGEST_FILES_MOST when there is none. */
static size_t slot_of(const struct ingest_files *files, const char *job_id)
{
    size_t free_slot = INGEST_FILES_MOST;
    for (size_t i = 0; i < INGEST_FILES_MOST; i++) {
        if (strcmp(files->jobs[i], job_id) == 0)
            return i;
        if (free_slot == INGEST_FILES_MOST && !*files->jobs[i])
            free_slot = i;
    }
    return free_slot;
}

static void on_job(struct ingest_files *files, const Localrag__V1__Job *job)
{
    char status[32], message[256];
    size_t slot = slot_of(files, job->job_id);
    bool waits = job->status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PENDING;
    if (slot == INGEST_FILES_MOST || waits)
        return;
    text_enum(&localrag__v1__job_status__descriptor, job->status, status);
    bool end = watch_is_end(job->status);
    bool why = job->_error_message_case != LOCALRAG__V1__JOB___ERROR_MESSAGE__NOT_SET;
    bool named = job->_document_name_case != LOCALRAG__V1__JOB___DOCUMENT_NAME__NOT_SET;
    if (!end && job->progress_message && *job->progress_message)
        snprintf(message, sizeof(message), "%s", job->progress_message);
    else
        snprintf(message, sizeof(message), "%s%s%s", status, why ? ": " : "",
                 why ? job->error_message : "");
    screen_update(files->screen, files->first + slot, named ? job->document_name : job->job_id,
                  job->progress, message);
    snprintf(files->jobs[slot], ID_BYTES, "%s", end ? "" : job->job_id);
    if (end)
        screen_end(files->screen, files->first + slot);
    screen_draw(files->screen);
}

static void *run_thread(void *arg)
{
    struct ingest_files *files = arg;
    for (bool more = true; more;) {
        struct ctx cx;
        ctx_init(&cx, EVENT_MEMORY);
        ProtobufCMessage *m = NULL;
        more = conn_recv(&cx, files->stream, &m) == CODE_OK && m;
        if (more && ((const Localrag__V1__JobEvent *)m)->job)
            on_job(files, ((const Localrag__V1__JobEvent *)m)->job);
        ctx_done(&cx);
    }
    return NULL;
}

static enum code begin(struct ingest_files *files, struct conn *conn, const char *batch_id)
{
    Localrag__V1__WatchJobsRequest request = LOCALRAG__V1__WATCH_JOBS_REQUEST__INIT;
    request.parent_job_id = (char *)batch_id;
    request.include_children = true;
    TRY(conn_start(&files->cx, conn, &localrag__v1__job_service__descriptor, "WatchJobs", 0,
                   &files->stream));
    TRY(conn_send(&files->cx, files->stream, &request.base));
    return conn_send_end(&files->cx, files->stream);
}

struct ingest_files *ingest_files_start(struct conn *conn, const char *batch_id,
                                        struct screen *screen, size_t first)
{
    struct ingest_files *files = calloc(1, sizeof(*files));
    if (!files)
        return NULL;
    ctx_init(&files->cx, CTX_DEFAULT_LIMIT);
    files->screen = screen;
    files->first = first;
    if (begin(files, conn, batch_id) == CODE_OK &&
        pthread_create(&files->thread, NULL, run_thread, files) == 0)
        return files;
    conn_stream_closep(&files->stream);
    ctx_done(&files->cx);
    free(files);
    return NULL;
}

void ingest_files_stopp(struct ingest_files **files)
{
    struct ingest_files *f = *files;
    if (!f)
        return;
    conn_cancel(f->stream);
    pthread_join(f->thread, NULL);
    for (size_t i = 0; i < INGEST_FILES_MOST; i++) /* whose last change came too late */
        screen_drop(f->screen, f->first + i);
    screen_draw(f->screen);
    conn_stream_closep(&f->stream);
    ctx_done(&f->cx);
    free(f);
    *files = NULL;
}
