/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* uploads.c - several files at once (uploads.h).
 *
 * Threads take the files one after another: a thread sends its file, then follows the job to its
 * end, then takes the next. At most SENDING_MOST files are sent at the same time, so that the first
 * ones arrive early; many more can be followed, because following costs nothing. Each file has its
 * own unit of work that only its thread touches until all threads are joined.
 *
 * The main thread draws the screen meanwhile. A file that fails does not stop the others. */
#include "client/uploads.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clk.h"
#include "base/str.h"
#include "client/interrupt.h"
#include "client/screen.h"
#include "client/text.h"
#include "client/watch.h"

enum { SENDING_MOST = 4, THREADS_MOST = 32, FRAME_MS = 80 };

struct run {
    struct app *app;
    const struct upload_options *options;
    bool wait;
    int64_t deadline_ms;
    struct screen *screen;
    struct upload *uploads;
    size_t n;
    atomic_size_t next, left; /* next file to take; threads still at work */
    sem_t sending;
    sem_t ended; /* posted by every thread that ends */
};

/* One file, as its callbacks see it. */
struct file {
    struct run *run;
    struct upload *upload;
    size_t slot;
};

static void show(const struct file *f, double percent, const char *message)
{
    screen_update(f->run->screen, f->slot, f->upload->name, percent, message);
}

static void on_sent(void *user, int64_t sent, int64_t total)
{
    const struct file *f = user;
    char size[32], message[64];
    str_print_bytes(MAX(total, sent), size);
    snprintf(message, sizeof(message), "Uploading %s", size);
    /* without a terminal the size once is enough */
    bool numbers = f->run->app->tty && total > 0;
    show(f, numbers ? 100.0 * (double)sent / (double)total : -1, message);
}

static void on_event(void *user, const Localrag__V1__JobEvent *event)
{
    const Localrag__V1__Job *job = event->job;
    char status[32];
    text_enum(&localrag__v1__job_status__descriptor, job->status, status);
    bool has_message = job->progress_message && *job->progress_message;
    if (watch_is_end(job->status)) {
        bool failed = job->_error_message_case != LOCALRAG__V1__JOB___ERROR_MESSAGE__NOT_SET &&
                      job->status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_FAILED;
        char message[256];
        snprintf(message, sizeof(message), failed ? "%s: %s" : "%s", status,
                 failed ? job->error_message : "");
        show(user, job->progress, message);
    } else {
        show(user, job->progress, has_message ? job->progress_message : status);
    }
}

static void on_away(void *user, const char *why)
{
    const struct file *f = user;
    if (why)
        show(f, -1, "The server is away, trying again");
}

static enum code send_file(struct file *f)
{
    struct upload *u = f->upload;
    while (sem_wait(&f->run->sending) != 0)
        continue; /* EINTR */
    enum code code = CODE_CANCELLED;
    if (!interrupt_pending()) {
        u->stage = UPLOAD_SENDING;
        code =
            upload_file(&u->cx, f->run->app->conn, u->path, f->run->options, on_sent, f, &u->reply);
    }
    sem_post(&f->run->sending);
    return code;
}

static enum code follow(struct file *f)
{
    struct upload *u = f->upload;
    struct watch watch = {.job_id = u->reply->job_id,
                          .on_event = on_event,
                          .on_away = on_away,
                          .user = f,
                          .known = true};
    u->cx.deadline_ms = f->run->deadline_ms;
    TRY(watch_job(&u->cx, f->run->app->conn, &watch, &u->job));
    u->cx.deadline_ms = 0;
    u->stage = UPLOAD_ENDED;
    if (u->job->status != LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED)
        return CODE_OK;
    Localrag__V1__GetJobResultRequest request = LOCALRAG__V1__GET_JOB_RESULT_REQUEST__INIT;
    ProtobufCMessage *reply = NULL;
    request.job_id = u->reply->job_id;
    TRY(conn_call(&u->cx, f->run->app->conn, &localrag__v1__job_service__descriptor, "GetJobResult",
                  &request.base, &reply));
    u->result = (Localrag__V1__GetJobResultResponse *)reply;
    return CODE_OK;
}

static void one_file(struct file *f)
{
    struct upload *u = f->upload;
    enum code code = send_file(f);
    if (code == CODE_OK) {
        u->stage = UPLOAD_ACCEPTED;
        if (f->run->wait)
            code = follow(f);
        else
            show(f, f->run->app->tty ? 100 : -1, "queued"); /* a line would read as the job's */
    }
    if (code != CODE_OK && !interrupt_pending())
        show(f, -1, u->stage < UPLOAD_ACCEPTED ? "not uploaded" : "lost sight of the job");
    screen_end(f->run->screen, f->slot);
}

static void *run_thread(void *arg)
{
    struct run *run = arg;
    for (;;) {
        size_t slot = atomic_fetch_add(&run->next, 1);
        if (slot >= run->n || interrupt_pending())
            break;
        struct file f = {.run = run, .upload = &run->uploads[slot], .slot = slot};
        one_file(&f);
    }
    atomic_fetch_sub(&run->left, 1);
    sem_post(&run->ended);
    return NULL;
}

static void draw_until_ended(struct run *run)
{
    while (atomic_load(&run->left) > 0) {
        int64_t at = clk_wall_us() + FRAME_MS * 1000;
        struct timespec until = {.tv_sec = (time_t)(at / 1000000),
                                 .tv_nsec = (long)(at % 1000000) * 1000};
        (void)sem_timedwait(&run->ended, &until);
        screen_draw(run->screen);
    }
    screen_draw(run->screen);
}

static enum code run_threads(struct run *run)
{
    pthread_t threads[THREADS_MOST];
    size_t n = 0, want = MIN(run->n, (size_t)THREADS_MOST);
    atomic_store(&run->left, want);
    while (n < want && pthread_create(&threads[n], NULL, run_thread, run) == 0)
        n++;
    atomic_fetch_sub(&run->left, want - n);
    if (n == 0)
        return ctx_fail(run->app->cx, CODE_OUT_OF_MEMORY, "could not start a thread");
    draw_until_ended(run);
    for (size_t i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    return CODE_OK;
}

static enum code prepare(struct app *app, struct upload *uploads)
{
    for (size_t i = 0; i < app->args->n_operands; i++) {
        uploads[i].path = app->args->operands[i];
        ctx_init(&uploads[i].cx, CTX_DEFAULT_LIMIT);
        TRY(upload_name(app->cx, uploads[i].path, &uploads[i].name));
    }
    return CODE_OK;
}

enum code uploads_run(struct app *app, const struct upload_options *options, bool wait,
                      struct upload **ret_uploads)
{
    size_t n = app->args->n_operands;
    struct run run = {.app = app, .options = options, .wait = wait, .n = n};
    run.uploads = ctx_array(app->cx, n, sizeof(*run.uploads));
    if (!run.uploads)
        return ctx_oom(app->cx);
    TRY(prepare(app, run.uploads));
    CLEANUP(screen_closep) struct screen *screen = screen_open(app, n);
    if (!screen)
        return ctx_oom(app->cx);
    int64_t limit = args_ms(app->args, "timeout", 0);
    run.deadline_ms = limit ? clk_mono_ms() + limit : 0;
    run.screen = screen;
    sem_init(&run.sending, 0, SENDING_MOST);
    sem_init(&run.ended, 0, 0);
    enum code code = run_threads(&run);
    sem_destroy(&run.sending);
    sem_destroy(&run.ended);
    if (code == CODE_OK)
        *ret_uploads = run.uploads;
    return code;
}

void uploads_done(struct upload *uploads, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ctx_done(&uploads[i].cx);
}
