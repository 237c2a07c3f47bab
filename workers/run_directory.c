/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* run_directory.c - lists a directory, makes a job of each file, and leaves (run_directory.h).
 *
 * The batch goes on without a worker: whoever ends one of its files releases the next one and in
 * the end completes the batch (jobs/batch.c). So a batch of a million files holds a worker only for
 * as long as the listing takes, and the files run on every worker of every host. An attempt that
 * dies in the middle costs nothing: listing again finds the files that are there already. The path
 * was judged when the batch was submitted and is judged again here, because links may have changed.
 */
#include "workers/run_directory.h"

#include <stdlib.h>
#include <string.h>

#include "jobs/listing.h"
#include "jobs/roots.h"

enum { SLICE = 500 };

struct slice {
    struct task *t;
    const char *directory;
    struct ctx cx; /* memory of the files below */
    struct directory_file files[SLICE];
    int n, total;
};

static enum code store(struct slice *s)
{
    struct task *t = s->t;
    struct ctx cx;
    enum code code = CODE_OK;
    bool again = s->n > 0;
    while (again) {
        task_scratch(t, &cx, CTX_DEFAULT_LIMIT);
        code = jobs_directory_add(&cx, t->jobs, t->claim, s->directory, s->files, s->n);
        again = task_again(&cx, t, code);
        if (!again)
            (void)task_hand_up(t->cx, &cx);
        ctx_done(&cx);
    }
    TRY(code);
    s->n = 0;
    ctx_done(&s->cx);
    s->cx.job_id = t->claim->job_id;
    task_progress(t, 0, 0, s->total, true, "Listing files, %d found", s->total);
    return task_check(t->cx, t);
}

static enum code take_file(struct ctx *cx, void *arg, const char *path, const char *name)
{
    struct slice *s = arg;
    struct directory_file *f = &s->files[s->n];
    *f =
        (struct directory_file){.path = ctx_strdup(&s->cx, path), .name = ctx_strdup(&s->cx, name)};
    if (!f->path || !f->name)
        return ctx_oom(cx);
    s->total++;
    return ++s->n < SLICE ? CODE_OK : store(s);
}

static enum code list_files(struct task *t, const struct directory_spec *spec,
                            const char *directory)
{
    struct listing what = {.settings = t->settings,
                           .directory = directory,
                           .patterns = spec->patterns,
                           .recursive = spec->recursive};
    struct slice *s = ctx_alloc(t->cx, sizeof(*s));
    int64_t files;
    if (!s)
        return ctx_oom(t->cx);
    s->t = t;
    s->directory = directory;
    task_scratch(t, &s->cx, CTX_DEFAULT_LIMIT);
    enum code code = listing_walk(t->cx, &what, take_file, s, &files);
    if (code == CODE_OK)
        code = store(s);
    ctx_done(&s->cx);
    if (code == CODE_OK)
        log_info(t->cx, "listed %lld files", (long long)files);
    return code;
}

/* Missing is what a client is told when he asks; later it is a file that is gone. */
static enum code judge(struct task *t, const char *path, const char **ret_real)
{
    enum code code = roots_resolve(t->cx, t->settings, path, ret_real);
    if (code != CODE_INVALID_ARGUMENT)
        return code;
    const char *why = ctx_message(t->cx); /* stays in cx's memory */
    ctx_clear(t->cx);
    return ctx_fail(t->cx, CODE_FILE_MISSING, "%s", why);
}

static enum code give_back(struct ctx *cx, struct task *t, void *arg)
{
    (void)arg;
    return jobs_directory_listed(cx, t->jobs, t->claim);
}

static enum code read_spec(struct ctx *cx, struct task *t, void *arg)
{
    (void)cx; /* the answer has to stay */
    return jobs_directory(t->cx, t->jobs, t->claim, arg);
}

enum code run_directory(struct task *t)
{
    struct directory_spec spec;
    const char *directory;
    task_progress(t, 0, 0, 0, true, "Listing files");
    TRY(task_step(t, read_spec, &spec));
    TRY(judge(t, spec.directory, &directory));
    TRY(list_files(t, &spec, directory));
    return task_step(t, give_back, NULL);
}
