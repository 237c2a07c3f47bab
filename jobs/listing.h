/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* listing.h - the files of a directory that a batch reads: the same for the server, which counts
 * them, and the worker, which makes jobs of them. */
#ifndef JOBS_LISTING_H
#define JOBS_LISTING_H

#include "base/ctx.h"
#include "jobs/settings.h"

enum {
    LISTING_MAX_FILES = 1000000,
    LISTING_MAX_DEPTH = 64,
    LISTING_MAX_PATTERNS = 100,
    LISTING_MAX_PATTERN = 255 /* characters */
};

/* What to list. Borrowed. */
struct listing {
    const struct settings *settings;
    const char *directory; /* from roots_resolve() */
    const char *const
        *patterns; /* NULL-terminated shell patterns for file names; none: what can be read */
    bool recursive;
};

/* A file: its real path, and its name in the listing (a symbolic link's own). Borrowed for the
 * call. What it returns but CODE_OK ends the listing. */
typedef enum code (*listing_fn)(struct ctx *cx, void *arg, const char *path, const char *name);

/* Calls `fn` (may be NULL) for each file once, in order of their names, folder by folder.
 * INVALID_ARGUMENT: more than LISTING_MAX_FILES or LISTING_MAX_DEPTH; DEADLINE_EXCEEDED;
 * UNAVAILABLE: the directory itself cannot be read; what `fn` said. */
enum code listing_walk(struct ctx *cx, const struct listing *what, listing_fn fn, void *arg,
                       int64_t *ret_files) MUST_CHECK;

/* INVALID_ARGUMENT names the bad one. *ret_patterns is NULL-terminated, without a leading double
 * star. */
enum code listing_check_patterns(struct ctx *cx, char *const *patterns, size_t n,
                                 const char *const **ret_patterns) MUST_CHECK;

#endif
