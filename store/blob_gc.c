/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* blob_gc.c - finds and removes what the store wrote and nobody needs any more (blob.h).
 *
 * Called by jobs/ for the maintenance job "orphans" and behind a removal of jobs. Only what the
 * store itself wrote is touched: {root}/{uuid}/ONE REGULAR FILE and temp files under .incoming.
 * Names are looked up below an open folder and no symbolic link is followed. Whether somebody needs
 * a folder only the database knows, so that is not decided here.
 *
 * A root is marked with the id of the database whose uploads it holds (.owner), so that a server
 * that was pointed to the wrong folder, or to an empty database, finds nothing to remove. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/str.h"
#include "store/blob.h"

enum { UNLOCKABLE_AGE_S = 24 * 3600 };

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static DIR *open_dir(int at, const char *name, int flags)
{
    int fd = openat(at, name, flags);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

static enum code no_root(struct ctx *cx, const char *root)
{
    if (errno == ENOENT)
        return CODE_OK;
    return ctx_fail(cx, CODE_UNAVAILABLE, "could not open directory \"%.500s\": %s", root,
                    strerror(errno));
}

/* ---- folders ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool is_old(DIR *dir, const char *name, time_t before)
{
    struct stat st;
    return fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode) &&
           st.st_mtime <= before;
}

/* The `max` smallest names behind `after`: memory does not grow with the folder. */
static size_t smallest(DIR *dir, const char *after, char (*ids)[37], size_t max)
{
    size_t n = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (!str_is_uuid(e->d_name) || strcmp(e->d_name, after) <= 0)
            continue;
        memcpy(ids[n++], e->d_name, sizeof(*ids));
        if (n < 2 * max)
            continue;
        qsort(ids, n, sizeof(*ids), by_name);
        n = max;
    }
    qsort(ids, n, sizeof(*ids), by_name);
    return MIN(n, max);
}

enum code blob_folders(struct ctx *cx, const char *root, int64_t older_than_s, int max,
                       char after[37], char ret_ids[][37], int *ret_n)
{
    char(*ids)[37] = ctx_array(cx, 2 * (size_t)max, sizeof(*ids));
    CLEANUP(close_dir) DIR *dir = open_dir(AT_FDCWD, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    time_t before = time(NULL) - (time_t)older_than_s;
    *ret_n = 0;
    if (!ids)
        return cx->failure.code;
    if (!dir) {
        after[0] = '\0';
        return no_root(cx, root);
    }
    size_t n = smallest(dir, after, ids, (size_t)max);
    for (size_t i = 0; i < n; i++)
        if (is_old(dir, ids[i], before))
            memcpy(ret_ids[(*ret_n)++], ids[i], sizeof(*ids));
    if (n == (size_t)max)
        memcpy(after, ids[n - 1], sizeof(*ids));
    else
        after[0] = '\0';
    return CODE_OK;
}

/* The name of the only entry, "" for none. False: more, or a name too long to be ours. */
static bool only_entry(DIR *dir, char name[NAME_MAX + 1])
{
    name[0] = '\0';
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (name[0])
            return false;
        snprintf(name, NAME_MAX + 1, "%s", e->d_name);
    }
    return true;
}

int64_t blob_remove_folder(const char *root, const char *id)
{
    CLEANUP(close_dir) DIR *top = open_dir(AT_FDCWD, root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(close_dir)
    DIR *dir = top && str_is_uuid(id) ? open_dir(dirfd(top), id, FOLDER_FLAGS) : NULL;
    char name[NAME_MAX + 1];
    struct stat st;
    int64_t bytes = -1;
    if (!dir || !only_entry(dir, name))
        return -1;
    if (name[0]) {
        if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) ||
            unlinkat(dirfd(dir), name, 0) != 0)
            return -1;
        bytes = st.st_size;
    }
    (void)unlinkat(dirfd(top), id, AT_REMOVEDIR);
    return bytes;
}

/* ---- temp files ---- */

/* Locked by nobody: its writer is gone. Where there are no locks, a day without a write tells. */
static bool is_left_behind(int fd, const struct stat *st)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    return errno != EWOULDBLOCK && time(NULL) - st->st_mtime >= UNLOCKABLE_AGE_S;
}

int blob_remove_left_behind(const char *root, int64_t *bytes)
{
    char folder[4096];
    int n = 0;
    snprintf(folder, sizeof(folder), "%.3000s/.incoming", root);
    CLEANUP(close_dir) DIR *dir = open_dir(AT_FDCWD, folder, FOLDER_FLAGS);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        if (!str_is_uuid(e->d_name))
            continue;
        int fd = openat(dirfd(dir), e->d_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;
        if (fd < 0)
            continue;
        if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_left_behind(fd, &st) &&
            unlinkat(dirfd(dir), e->d_name, 0) == 0) {
            *bytes += st.st_size;
            n++;
        }
        close(fd);
    }
    return n;
}

/* ---- whose it is ---- */

/* Under a name of its own first, so that nobody reads half of it. */
static enum code write_mark(struct ctx *cx, const char *path, const char *owner_id)
{
    char id[37];
    str_uuid(id);
    const char *temp = ctx_printf(cx, "%s.%s", path, id);
    if (!temp)
        return cx->failure.code;
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    size_t len = strlen(owner_id);
    bool ok = fd >= 0 && write(fd, owner_id, len) == (ssize_t)len && fsync(fd) == 0 &&
              (link(temp, path) == 0 || errno == EEXIST);
    int error = errno;
    if (fd >= 0) {
        close(fd);
        unlink(temp);
    }
    if (ok)
        return CODE_OK;
    return ctx_fail(cx, error == ENOSPC || error == EDQUOT ? CODE_STORAGE_FULL : CODE_UNAVAILABLE,
                    "could not write \"%.500s\": %s", path, strerror(error));
}

enum code blob_claim_root(struct ctx *cx, const char *root, const char *owner_id, bool *ret_ours)
{
    char found[37] = "";
    const char *path = ctx_printf(cx, "%s/.owner", root);
    if (!path)
        return cx->failure.code;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT && access(root, F_OK) == 0) {
        TRY(write_mark(cx, path, owner_id));
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    ssize_t n = fd >= 0 ? read(fd, found, sizeof(found) - 1) : 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    else if (error != ENOENT)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not open \"%.500s\": %s", path,
                        strerror(error));
    /* No root: nothing to remove, whoever asks. */
    *ret_ours = fd < 0 || (n == (ssize_t)strlen(owner_id) && strcmp(found, owner_id) == 0);
    return CODE_OK;
}
