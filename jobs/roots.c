/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* roots.c - which paths of this host's file system may be read for a client (roots.h).
 *
 * A path is judged by where it really leads: realpath(3) first, then a comparison with the real
 * paths of INGEST_ROOTS. What does not exist gets the same answer as what is forbidden when it is
 * named outside the roots, so that nobody can feel his way around the disk. The server judges the
 * directory when it is asked, the lister every symbolic link it meets, and the worker once more the
 * file it has opened.
 *
 * File names are bytes, the database holds UTF-8. A path that is no UTF-8 is kept as a file URL,
 * which no absolute path can be mistaken for, so that such files are read like all others. */
#include "jobs/roots.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

#define URL "file://"

/* `path` is `folder` or below it. */
static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);
    while (n > 1 && folder[n - 1] == '/')
        n--;
    if (n == 1 && folder[0] == '/')
        return path[0] == '/';
    return strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool roots_contain(const struct settings *s, const char *real)
{
    for (char **root = s->ingest_roots; root && *root; root++) {
        char *folder = realpath(*root, NULL); /* one that does not exist contains nothing */
        bool inside = folder && is_below(real, folder);
        free(folder);
        if (inside)
            return true;
    }
    return false;
}

/* Named inside a root, wherever it leads. */
static bool is_named_inside(const struct settings *s, const char *path)
{
    for (char **root = s->ingest_roots; root && *root; root++)
        if (is_below(path, *root))
            return true;
    return roots_contain(s, path);
}

static bool has_dots(const char *path)
{
    for (const char *p = path; *p;) {
        const char *end = strchrnul(p, '/');
        if (end - p == 2 && p[0] == '.' && p[1] == '.')
            return true;
        p = *end ? end + 1 : end;
    }
    return false;
}

static enum code forbidden(struct ctx *cx, const struct settings *s, const char *path)
{
    CLEANUP(buf_done) struct buf roots = BUF_INIT(1000);
    for (char **root = s->ingest_roots; root && *root; root++)
        buf_printf(&roots, "%s%s", roots.len ? ", " : "", *root);
    return ctx_fail(cx, CODE_PERMISSION_DENIED,
                    "directory_path: \"%.500s\" is not inside INGEST_ROOTS, the directories that "
                    "the server was allowed to read: %s",
                    path, buf_failed(&roots) ? "(many)" : buf_cstr(&roots));
}

static enum code why_not(struct ctx *cx, const struct settings *s, const char *path, int error)
{
    if (!is_named_inside(s, path))
        return forbidden(cx, s, path);
    return ctx_fail(cx, error == EACCES ? CODE_PERMISSION_DENIED : CODE_INVALID_ARGUMENT,
                    "directory_path: could not open \"%.500s\": %s", path, strerror(error));
}

enum code roots_resolve(struct ctx *cx, const struct settings *s, const char *path,
                        const char **ret_real)
{
    if (!*path)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "directory_path: missing or empty");
    if (has_dots(path))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "directory_path: \"%.500s\" contains \"..\"",
                        path);
    if (!s->ingest_roots || !*s->ingest_roots)
        return forbidden(cx, s, path);
    if (*path != '/' && !(path = ctx_printf(cx, "%s/%s", *s->ingest_roots, path)))
        return cx->failure.code;
    char *real = realpath(path, NULL);
    if (!real)
        return why_not(cx, s, path, errno);
    const char *copy = ctx_strdup(cx, real);
    free(real);
    if (!copy)
        return cx->failure.code;
    if (!roots_contain(s, copy))
        return forbidden(cx, s, path);
    struct stat st;
    if (stat(copy, &st) != 0)
        return why_not(cx, s, path, errno);
    if (!S_ISDIR(st.st_mode))
        return why_not(cx, s, path, ENOTDIR);
    if (access(copy, R_OK | X_OK) != 0)
        return why_not(cx, s, path, errno);
    *ret_real = copy;
    return CODE_OK;
}

enum code roots_check_file(struct ctx *cx, const struct settings *s, int fd)
{
    char link[64];
    char *real = ctx_alloc(cx, PATH_MAX);
    if (!real)
        return cx->failure.code;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, real, PATH_MAX - 1);
    if (n < 0)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not look where the file lies: %s",
                        strerror(errno));
    real[n] = '\0';
    char *uploads = realpath(s->uploads_path, NULL);
    bool stored = uploads && is_below(real, uploads);
    free(uploads);
    if (stored || roots_contain(s, real))
        return CODE_OK;
    return ctx_fail(cx, CODE_PERMISSION_DENIED, "the file is not inside INGEST_ROOTS any more");
}

bool roots_is_stored(const struct settings *s, const char *real)
{
    char *uploads = realpath(s->uploads_path, NULL);
    size_t n = uploads ? strlen(uploads) : 0;
    bool below = uploads && is_below(real, uploads) && real[n] == '/';
    free(uploads);
    if (!below)
        return false;
    const char *name = real + n + 1;
    size_t len = (size_t)(strchrnul(name, '/') - name);
    char id[37];
    snprintf(id, sizeof(id), "%.*s", (int)MIN(len, (size_t)36), name);
    return (len == 9 && strncmp(name, ".incoming", 9) == 0) || (len == 36 && str_is_uuid(id));
}

/* ---- paths as texts ---- */

const char *roots_path_text(struct ctx *cx, const char *path)
{
    size_t n = strlen(path);
    if (str_utf8_prefix(path, n) == n)
        return ctx_strdup(cx, path);
    CLEANUP(buf_done) struct buf b = BUF_INIT(4 * PATH_MAX);
    buf_str(&b, URL);
    for (const unsigned char *p = (const unsigned char *)path; *p; p++) {
        if (*p >= 0x80 || *p == '%')
            buf_printf(&b, "%%%02X", *p);
        else
            buf_char(&b, (char)*p);
    }
    if (buf_failed(&b)) {
        (void)ctx_oom(cx);
        return NULL;
    }
    return ctx_strdup(cx, buf_cstr(&b));
}

const char *roots_path_bytes(struct ctx *cx, const char *text)
{
    if (!str_starts(text, URL))
        return text;
    char *out = ctx_strdup(cx, text + strlen(URL));
    if (!out)
        return NULL;
    char *to = out;
    for (const char *p = out; *p; p++) {
        unsigned value;
        if (*p == '%' && p[1] && p[2] && sscanf(p + 1, "%2x", &value) == 1 && value) {
            *to++ = (char)value;
            p += 2;
        } else {
            *to++ = *p;
        }
    }
    *to = '\0';
    return out;
}
