/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* roots.h - which paths of this host's file system may be read for a client, and how a path is
 * kept. */
#ifndef JOBS_ROOTS_H
#define JOBS_ROOTS_H

#include "base/ctx.h"
#include "jobs/settings.h"

/* A directory a client named (absolute, or relative to the first of INGEST_ROOTS), without symbolic
 * links, in cx's arena. PERMISSION_DENIED: not inside INGEST_ROOTS, or not readable.
 * INVALID_ARGUMENT: empty, "..", missing, not a directory. */
enum code roots_resolve(struct ctx *cx, const struct settings *s, const char *path,
                        const char **ret_real) MUST_CHECK;

/* `real` has no symbolic links. */
bool roots_contain(const struct settings *s, const char *real);

/* PERMISSION_DENIED when the open file lies neither in the store nor inside INGEST_ROOTS: what a
 * path led to may have been exchanged since it was listed. */
enum code roots_check_file(struct ctx *cx, const struct settings *s, int fd) MUST_CHECK;

/* True when the store itself wrote it: {uploads}/.incoming or {uploads}/{uuid} and what is below.
 * `real` has no symbolic links. */
bool roots_is_stored(const struct settings *s, const char *real);

/* A path as valid UTF-8, for JSON and the database: itself, or when its bytes are no UTF-8 a
 * "file://" URL with them percent-encoded. And back. In cx's arena; NULL and recorded at the limit.
 */
const char *roots_path_text(struct ctx *cx, const char *path);
const char *roots_path_bytes(struct ctx *cx, const char *text);

#endif
