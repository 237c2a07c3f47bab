/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* run_document.c - one stored file becomes a document: the straight line (run_document.h).
 *
 * open -> what is it? -> known already? -> pages -> chunks and finish. Every step can be repeated
 * by another attempt: pages are committed as they are read and never read again; the rest is one
 * transaction. The file is opened once and handed to the readers as a descriptor, so none of them
 * needs a path. Not here: what a page or a chunk is, and any decision about another attempt. */
#include "workers/run_document.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jobs/roots.h"
#include "workers/finish_document.h"
#include "workers/identify.h"
#include "workers/read_pages.h"

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static enum code open_failure(struct task *t, int error)
{
    enum code code = CODE_UNAVAILABLE;
    if (error == ENOENT || error == ENOTDIR)
        code = CODE_FILE_MISSING;
    else if (error == EACCES || error == EPERM || error == ELOOP)
        code = CODE_PERMISSION_DENIED;
    return ctx_fail(t->cx, code, "could not open file \"%s\": %s", t->claim->file_path,
                    strerror(error));
}

static enum code open_file(struct task *t, int *ret_fd)
{
    /* O_NONBLOCK: a FIFO in an ingested folder must not hold the worker. */
    const char *path = roots_path_bytes(t->cx, t->claim->file_path);
    if (!path)
        return ctx_oom(t->cx);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return open_failure(t, errno);
    *ret_fd = fd;
    struct stat st;
    if (fstat(fd, &st) != 0)
        return open_failure(t, errno);
    if (!S_ISREG(st.st_mode))
        return ctx_fail(t->cx, CODE_UNREADABLE, "\"%s\" is not a regular file",
                        t->claim->file_path);
    if (st.st_size == 0)
        return ctx_fail(t->cx, CODE_UNREADABLE, "\"%s\" is empty", t->claim->file_name);
    return roots_check_file(t->cx, t->settings, fd);
}

static enum code is_duplicate(struct ctx *cx, struct task *t, void *ret_done)
{
    struct job_completion how = {0};
    TRY(jobs_finish_duplicate(cx, t->jobs, t->claim, ret_done, &how));
    return how.message ? task_complete(t, &how) : CODE_OK;
}

enum code run_document(struct task *t)
{
    CLEANUP(close_fd) int fd = -1;
    const char *password = NULL;
    bool done = false;
    struct pages_read pages;

    task_progress(t, 0, 0, 0, true, "Opening %s", t->claim->file_name);
    TRY(jobs_claim_password(t->cx, t->jobs, t->claim, &password));
    TRY(open_file(t, &fd));
    TRY(identify(t, fd));
    if (!t->claim->document_id[0])
        TRY(task_step(t, is_duplicate, &done));
    if (done)
        return CODE_OK;
    TRY(read_pages(t, fd, password, &pages));
    return finish_document(t, &pages);
}
