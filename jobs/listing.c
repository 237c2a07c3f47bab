/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* listing.c - walks a directory for a batch (listing.h); used by server/ops/ingest.c to count and
 * by workers/run_directory.c to make jobs.
 *
 * Folders are entered by their real path and looked up again after opening, so one that is
 * exchanged for a symbolic link meanwhile is left out. Symbolic links are followed as long as they
 * stay inside INGEST_ROOTS. Every folder and every file counts once, by device and inode, whatever
 * names lead to it: no cycles, no duplicates. Left out: what the store itself wrote, what is hidden
 * (unless a pattern says its name), what is no regular file, what cannot be entered.
 *
 * Names are matched without regard to case, because scanners write .PDF. The order is that of the
 * bytes of the names, so a second walk gives the same order. Frames are small: threads of workers
 * have little stack. It opens no file and knows nothing of jobs. */
#include "jobs/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clk.h"
#include "base/log.h"
#include "base/str.h"
#include "jobs/roots.h"

enum { MAX_NAMES = 512 << 20, LOOK_EVERY = 256 };

static const char *const readable[] = {"*.pdf",  "*.txt", "*.png",  "*.jpg",
                                       "*.jpeg", "*.tif", "*.tiff", NULL};

struct file_id {
    uint64_t dev, ino; /* ino 0: an empty place */
};

struct id_set { /* open addressing; grows when it is half full */
    struct file_id *places;
    size_t cap, n;
};

struct walk {
    const struct listing *what;
    listing_fn fn;
    void *arg;
    int64_t files, seen;
    struct id_set ids;
};

/* ---- files seen ---- */

static struct file_id *place_of(struct file_id *places, size_t cap, struct file_id id)
{
    uint64_t hash = (id.ino ^ (id.dev << 32)) * 0x9E3779B97F4A7C15u;
    size_t at = (size_t)(hash >> 20) & (cap - 1);
    while (places[at].ino && (places[at].ino != id.ino || places[at].dev != id.dev))
        at = (at + 1) & (cap - 1);
    return &places[at];
}

static bool grow(struct id_set *set)
{
    size_t cap = set->cap ? set->cap * 2 : 1024;
    struct file_id *places = calloc(cap, sizeof(*places));
    if (!places)
        return false;
    for (size_t i = 0; i < set->cap; i++)
        if (set->places[i].ino)
            *place_of(places, cap, set->places[i]) = set->places[i];
    free(set->places);
    set->places = places;
    set->cap = cap;
    return true;
}

static enum code is_new(struct ctx *cx, struct id_set *set, const struct stat *st, bool *ret_new)
{
    struct file_id id = {.dev = (uint64_t)st->st_dev, .ino = (uint64_t)st->st_ino};
    if (set->n * 2 >= set->cap && !grow(set))
        return ctx_oom(cx);
    struct file_id *place = place_of(set->places, set->cap, id);
    *ret_new = place->ino == 0 && id.ino != 0;
    if (*ret_new) {
        *place = id;
        set->n++;
    }
    return CODE_OK;
}

/* ---- names ---- */

static bool matches(const struct listing *what, const char *name)
{
    const char *const *p = what->patterns && *what->patterns ? what->patterns : readable;
    for (; *p; p++)
        if (fnmatch(*p, name, FNM_PERIOD | FNM_CASEFOLD) == 0)
            return true;
    return false;
}

enum code listing_check_patterns(struct ctx *cx, char *const *patterns, size_t n,
                                 const char *const **ret_patterns)
{
    if (n > LISTING_MAX_PATTERNS)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "file_patterns: more than %d",
                        LISTING_MAX_PATTERNS);
    const char **list = ctx_array(cx, n + 1, sizeof(*list));
    if (!list)
        return cx->failure.code;
    for (size_t i = 0; i < n; i++) {
        list[i] = patterns[i];
        while (str_starts(list[i], "**/")) /* `recursive` says that */
            list[i] += 3;
        if (!*list[i] || str_utf8_count(list[i], strlen(list[i])) > LISTING_MAX_PATTERN)
            return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                            "file_patterns: a pattern is empty or longer than %d characters",
                            LISTING_MAX_PATTERN);
        if (strchr(list[i], '/'))
            return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                            "file_patterns: \"%s\" has a slash; patterns are for file names",
                            list[i]);
    }
    *ret_patterns = list;
    return CODE_OK;
}

/* Entries of a folder: one byte of type, then the name; in `names`, pointed to by `entries`,
 * sorted. */
struct folder {
    int fd;
    struct buf names;
    char **entries;
    size_t n;
};

static void folder_done(struct folder *f)
{
    if (f->fd >= 0)
        close(f->fd);
    buf_done(&f->names);
    free(f->entries);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a + 1, *(char *const *)b + 1);
}

/* Takes the names that may matter. */
static void collect(DIR *dir, struct folder *f)
{
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        buf_char(&f->names, (char)e->d_type);
        buf_add(&f->names, e->d_name, strlen(e->d_name) + 1);
        f->n++;
    }
}

static enum code read_names(struct ctx *cx, struct folder *f, const char *path)
{
    int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not read directory \"%.500s\": %s", path,
                        strerror(errno));
    }
    f->names.limit = MAX_NAMES;
    collect(dir, f);
    closedir(dir);
    f->entries = calloc(f->n + 1, sizeof(*f->entries));
    if (buf_failed(&f->names) || !f->entries)
        return ctx_oom(cx);
    char *p = f->names.data;
    for (size_t i = 0; i < f->n; i++) {
        f->entries[i] = p;
        p += strlen(p + 1) + 2;
    }
    qsort(f->entries, f->n, sizeof(*f->entries), by_name);
    return CODE_OK;
}

/* ---- the walk ---- */

static enum code walk_folder(struct ctx *cx, struct walk *w, const char *path, int depth);

static enum code take_file(struct ctx *cx, struct walk *w, const char *path, const char *name,
                           const struct stat *st)
{
    bool fresh;
    TRY(is_new(cx, &w->ids, st, &fresh));
    if (!fresh)
        return CODE_OK;
    if (++w->files > LISTING_MAX_FILES)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "the directory has more than %d files",
                        LISTING_MAX_FILES);
    return w->fn ? w->fn(cx, w->arg, path, name) : CODE_OK;
}

static enum code take_entry(struct ctx *cx, struct walk *w, const char *path, const char *name,
                            const struct stat *st, int depth)
{
    if (S_ISREG(st->st_mode) && matches(w->what, name))
        return take_file(cx, w, path, name, st);
    if (S_ISDIR(st->st_mode) && w->what->recursive && name[0] != '.')
        return walk_folder(cx, w, path, depth + 1);
    return CODE_OK;
}

static enum code take_link(struct ctx *cx, struct walk *w, const char *path, const char *name,
                           int depth)
{
    struct stat st;
    char *real = realpath(path, NULL);
    if (!real) /* leads nowhere */
        return CODE_OK;
    enum code code = CODE_OK;
    if (!roots_contain(w->what->settings, real))
        log_debug(cx, "a symbolic link leads out of INGEST_ROOTS, leaving it out");
    else if (!roots_is_stored(w->what->settings, real) && stat(real, &st) == 0)
        code = take_entry(cx, w, real, name, &st, depth);
    free(real);
    return code;
}

/* A look at the clock now and then: a directory may be huge, or on a disk that hangs. */
static enum code look_at_clock(struct ctx *cx, struct walk *w)
{
    if (++w->seen % LOOK_EVERY == 0 && cx->deadline_ms && clk_mono_ms() > cx->deadline_ms)
        return ctx_fail(cx, CODE_DEADLINE_EXCEEDED, "listing the directory took too long");
    return CODE_OK;
}

static enum code visit(struct ctx *cx, struct walk *w, const struct folder *f,
                       const char *folder_path, const char *entry, int depth)
{
    struct stat st;
    const char *name = entry + 1;
    TRY(look_at_clock(cx, w));
    if (entry[0] == DT_REG && !matches(w->what, name))
        return CODE_OK;
    if (strlen(folder_path) + strlen(name) + 2 > PATH_MAX) {
        log_warning(cx, "a path is longer than %d bytes, leaving it out", PATH_MAX);
        return CODE_OK;
    }
    if (fstatat(f->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) /* gone meanwhile */
        return CODE_OK;
    char *path;
    if (asprintf(&path, "%s/%s", strcmp(folder_path, "/") == 0 ? "" : folder_path, name) < 0)
        return ctx_oom(cx);
    enum code code = S_ISLNK(st.st_mode) ? take_link(cx, w, path, name, depth)
                                         : take_entry(cx, w, path, name, &st, depth);
    free(path);
    return code;
}

/* Still what its path says: a real folder that nobody has exchanged. */
static bool lies_at(int fd, const char *path)
{
    char link[64];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    char *real = realpath(link, NULL);
    bool same = real && strcmp(real, path) == 0;
    free(real);
    return same;
}

static enum code walk_folder(struct ctx *cx, struct walk *w, const char *path, int depth)
{
    CLEANUP(folder_done) struct folder f = {.fd = -1};
    struct stat st;
    bool fresh;
    if (depth > LISTING_MAX_DEPTH)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                        "the directory is nested deeper than %d levels at \"%.500s\"",
                        LISTING_MAX_DEPTH, path);
    if (roots_is_stored(w->what->settings, path))
        return CODE_OK;
    f.fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (f.fd < 0 || fstat(f.fd, &st) != 0 || !lies_at(f.fd, path)) {
        if (depth == 0)
            return ctx_fail(cx, CODE_UNAVAILABLE, "could not open directory \"%.500s\": %s", path,
                            strerror(errno));
        log_warning(cx, "a folder cannot be entered, leaving it out");
        return CODE_OK;
    }
    TRY(is_new(cx, &w->ids, &st, &fresh));
    if (!fresh)
        return CODE_OK;
    TRY(read_names(cx, &f, path));
    for (size_t i = 0; i < f.n; i++)
        TRY(visit(cx, w, &f, path, f.entries[i], depth));
    return CODE_OK;
}

enum code listing_walk(struct ctx *cx, const struct listing *what, listing_fn fn, void *arg,
                       int64_t *ret_files)
{
    struct walk w = {.what = what, .fn = fn, .arg = arg};
    enum code code = walk_folder(cx, &w, what->directory, 0);
    free(w.ids.places);
    if (code == CODE_OK)
        *ret_files = w.files;
    return code;
}
