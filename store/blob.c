/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* blob.c - the bytes of documents in a directory (blob.h).
 *
 * A job row is only committed for bytes that survive a power cut: file, its folder and the root are
 * fsynced before (fsync(2): a file's own fsync does not make its directory entry durable). Nobody
 * looks for a blob before that row, so it needs no rename(2) to appear at once, and the rename of a
 * large one comes before the fsyncs: a journaling file system then writes entry and inode in one
 * transaction. The root's is a call of its own, so that many blobs can share it. Many small ones at
 * a time share one syncfs(2) instead, where and when that is good (blob_sync.c).
 *
 * A blob is read soon after it was written, from the page cache; not so a very large one, which
 * would only drive out what the database needs there. What its writer gives in aligned pieces goes
 * past the cache, for a fraction of the CPU time.
 *
 * The name a client gave is only ever the last component and was made safe before; the folder is
 * the job's id, so names cannot collide. Large blobs grow under .incoming of the same file system
 * and are locked by flock(2) for as long as somebody writes them: the kernel drops the lock of a
 * process that was killed, so blob_gc.c knows what was left behind. */
#include "store/blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

enum { WRITE_BACK_STEP = 8 << 20, BYPASS_FROM = 16 << 20, MAX_ROOT = 3000 };

struct blob {
    int fd;
    bool committed;
    bool bypass; /* writes go past the page cache (O_DIRECT) */
    off_t written, started; /* bytes; bytes whose write-back was started */
    char root[3072];
    char temp[3200];
};

static enum code file_error(struct ctx *cx, const char *doing, const char *path)
{
    int error = errno;
    enum code code =
        error == ENOSPC || error == EDQUOT || error == EFBIG ? CODE_STORAGE_FULL : CODE_UNAVAILABLE;
    return ctx_fail(cx, code, "could not %s \"%s\": %s", doing, path, strerror(error));
}

static enum code sync_folder(struct ctx *cx, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return file_error(cx, "open", path);
    int failed = fsync(fd);
    enum code code = failed ? file_error(cx, "sync", path) : CODE_OK;
    close(fd);
    return code;
}

/* What is new here is durable too: a root that vanished with all its blobs helps nobody. */
static bool make_folder(const char *path)
{
    char parent[4096];
    if (mkdir(path, 0750) != 0)
        return errno == EEXIST;
    snprintf(parent, sizeof(parent), "%s", path);
    char *slash = strrchr(parent, '/');
    if (!slash)
        snprintf(parent, sizeof(parent), ".");
    else
        slash[slash == parent] = '\0';
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced;
}

static bool make_folders(const char *path)
{
    char copy[4096];
    if ((size_t)snprintf(copy, sizeof(copy), "%s", path) >= sizeof(copy))
        return false;
    for (char *p = copy + 1; *p; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        if (!make_folder(copy))
            return false;
        *p = '/';
    }
    return make_folder(copy);
}

/* A temp file that is locked before anybody can think that it was left behind. -1: errno. */
static int open_locked(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    struct stat st;
    if (fd < 0)
        return -1;
    /* A file system without locks: such files are told by their age alone. */
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(fd);
        errno = EEXIST;
        return -1;
    }
    if (fstat(fd, &st) == 0 && st.st_nlink == 0) {
        close(fd);
        errno = EEXIST;
        return -1;
    }
    return fd;
}

/* Under a new name each time. */
static int open_temp(struct blob *b)
{
    char id[37];
    int fd;
    do {
        str_uuid(id);
        snprintf(b->temp, sizeof(b->temp), "%.3000s/.incoming/%s", b->root, id);
        fd = open_locked(b->temp);
    } while (fd < 0 && errno == EEXIST);
    return fd;
}

enum code blob_create(struct ctx *cx, const char *root, struct blob **ret_blob)
{
    if (strlen(root) > MAX_ROOT)
        return ctx_fail(cx, CODE_UNAVAILABLE, "the path of the uploads is longer than %d bytes",
                        MAX_ROOT);
    struct blob *b = calloc(1, sizeof(*b));
    if (!b)
        return ctx_oom(cx);
    snprintf(b->root, sizeof(b->root), "%s", root);
    b->fd = open_temp(b);
    if (b->fd < 0 && errno == ENOENT) {
        char folder[3200];
        snprintf(folder, sizeof(folder), "%.3000s/.incoming", root);
        if (make_folders(folder))
            b->fd = open_temp(b);
    }
    if (b->fd < 0) {
        enum code code = file_error(cx, "create", b->temp);
        free(b);
        return code;
    }
    *ret_blob = b;
    return CODE_OK;
}

static enum code write_all(struct ctx *cx, int fd, const char *path, const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_error(cx, "write", path);
        data += n;
        len -= (size_t)n;
    }
    return CODE_OK;
}

/* Stays as it was where the file system cannot. */
static void set_bypass(struct blob *b, bool bypass)
{
    if (b->bypass == bypass)
        return;
    int flags = fcntl(b->fd, F_GETFL);
    if (flags < 0)
        return;
    flags = bypass ? flags | O_DIRECT : flags & ~O_DIRECT;
    if (fcntl(b->fd, F_SETFL, flags) == 0)
        b->bypass = bypass;
}

/* How much of it went past the page cache; what did not, for whatever reason, goes the usual way
 * and has its error there. */
static size_t write_past_cache(struct blob *b, const void *data, size_t len)
{
    bool aligned = ((uintptr_t)data | (uintptr_t)b->written | len) % BLOB_ALIGN == 0;
    set_bypass(b, aligned && b->written >= BYPASS_FROM);
    ssize_t n = b->bypass ? write(b->fd, data, len) : 0;
    if (b->bypass && n != (ssize_t)len)
        set_bypass(b, false);
    return n > 0 ? (size_t)n : 0;
}

enum code blob_write(struct ctx *cx, struct blob *b, const void *data, size_t len)
{
    size_t past = write_past_cache(b, data, len);
    TRY(write_all(cx, b->fd, b->temp, (const char *)data + past, len - past));
    b->written += (off_t)len;
    if (past == len)
        b->started = b->written;
    if (b->written - b->started >= WRITE_BACK_STEP) {
        (void)sync_file_range(b->fd, b->started, b->written - b->started, SYNC_FILE_RANGE_WRITE);
        b->started = b->written;
    }
    return CODE_OK;
}

int64_t blob_size(const struct blob *b)
{
    return b->written;
}

/* The job's folder, and where its blob goes. */
static enum code make_place(struct ctx *cx, const char *root, const char *job_id, const char *name,
                            struct blob_place *ret_place)
{
    struct blob_place place = {.folder = ctx_printf(cx, "%s/%s", root, job_id)};
    place.path = place.folder ? ctx_printf(cx, "%s/%s", place.folder, name) : NULL;
    if (!place.path)
        return cx->failure.code;
    if (mkdir(place.folder, 0750) != 0 && errno != EEXIST &&
        (errno != ENOENT || !make_folders(place.folder)))
        return file_error(cx, "create", place.folder);
    *ret_place = place;
    return CODE_OK;
}

static void clear_place(const struct blob_place *place)
{
    unlink(place->path);
    (void)rmdir(place->folder);
}

static enum code sync_blob(struct ctx *cx, int fd, const struct blob_place *place)
{
    if (fsync(fd) != 0)
        return file_error(cx, "sync", place->path);
    return sync_folder(cx, place->folder);
}

enum code blob_commit(struct ctx *cx, struct blob *b, const char *job_id, const char *name,
                      const char **ret_path)
{
    struct blob_place place;
    TRY(make_place(cx, b->root, job_id, name, &place));
    enum code code = CODE_OK;
    if (rename(b->temp, place.path) != 0)
        code = file_error(cx, "rename", b->temp);
    else
        b->committed = true;
    if (code == CODE_OK)
        code = sync_blob(cx, b->fd, &place);
    if (code != CODE_OK) {
        clear_place(&place);
        return code;
    }
    *ret_path = place.path;
    return CODE_OK;
}

static enum code put(const char *root, struct blob_put *p)
{
    p->path = NULL;
    p->place = (struct blob_place){0};
    p->fd = -1;
    TRY(make_place(p->cx, root, p->job_id, p->name, &p->place));
    p->fd = open(p->place.path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (p->fd < 0)
        return file_error(p->cx, "create", p->place.path);
    return write_all(p->cx, p->fd, p->place.path, p->data, p->len);
}

static void put_end(struct blob_put *p, bool synced)
{
    if (p->cx->failure.code == CODE_OK && !synced)
        (void)!sync_blob(p->cx, p->fd, &p->place); /* a failure is recorded */
    if (p->fd >= 0)
        close(p->fd);
    if (p->cx->failure.code == CODE_OK)
        p->path = p->place.path;
    else if (p->place.path)
        clear_place(&p->place);
}

void blob_put_many(const char *root, struct blob_put *all, int n, bool together)
{
    /* Opened before the writes: it reports what has failed since. */
    int fd = together ? open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    for (int i = 0; i < n; i++)
        (void)!put(root, &all[i]); /* a failure is recorded */
    bool synced = fd >= 0 && syncfs(fd) == 0; /* else each finds out for itself */
    for (int i = 0; i < n; i++)
        put_end(&all[i], synced);
    if (fd >= 0)
        close(fd);
}

enum code blob_sync_root(struct ctx *cx, const char *root)
{
    return sync_folder(cx, root);
}

void blob_close(struct blob *b)
{
    if (!b)
        return;
    close(b->fd);
    if (!b->committed)
        unlink(b->temp);
    free(b);
}

void blob_remove(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof(folder), "%s", path);
    char *slash = strrchr(folder, '/');
    if (unlink(path) == 0 && slash) {
        *slash = '\0';
        (void)rmdir(folder);
    }
}

void blob_remove_owned(const char *root, const char *path)
{
    size_t n = strlen(root);
    char id[37];
    if (strncmp(path, root, n) != 0 || path[n] != '/' || strlen(path + n + 1) < 38 ||
        path[n + 37] != '/')
        return;
    snprintf(id, sizeof(id), "%.36s", path + n + 1);
    if (str_is_uuid(id) && !strchr(path + n + 38, '/'))
        blob_remove(path);
}
