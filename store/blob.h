/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* blob.h - where the bytes of documents are kept: {root}/{job_id}/{safe file name}.
 *
 * Codes: STORAGE_FULL (ENOSPC, EDQUOT), UNAVAILABLE (anything else the file system says). */
#ifndef STORE_BLOB_H
#define STORE_BLOB_H

#include "base/ctx.h"

struct blob;

/* A new temp file under {root}/.incoming; nothing of it is visible to readers. Creates the folders.
 */
enum code blob_create(struct ctx *cx, const char *root, struct blob **ret_blob) MUST_CHECK;

/* Appends. Starts write-back early, so that the final fsync is short whatever the size. Of a large
 * blob, pieces whose address, length and place are multiples of BLOB_ALIGN (the logical block size
 * of all common disks divides it, open(2)) cost least. */
enum code blob_write(struct ctx *cx, struct blob *b, const void *data, size_t len) MUST_CHECK;
enum { BLOB_ALIGN = 4096 };

/* Bytes written so far. */
int64_t blob_size(const struct blob *b);

/* Renames it to its place, and fsyncs it and its folder. Durable once blob_sync_root was called
 * too.
 */
enum code blob_commit(struct ctx *cx, struct blob *b, const char *job_id, const char *name,
                      const char **ret_path) MUST_CHECK;

struct blob_place {
    const char *folder, *path;
};

/* Small blobs in one go, each as by blob_create, _write, _commit and _close but without a temp
 * file. Each has its path (in its ctx's arena) or its failure. `together`: with one sync of the
 * file system, see blob_syncs_together. */
struct blob_put {
    struct ctx *cx;
    const char *job_id, *name;
    const void *data;
    size_t len;
    const char *path; /* out; NULL: it failed */
    struct blob_place place; /* blob.c's, and the next */
    int fd;
};
void blob_put_many(const char *root, struct blob_put *all, int n, bool together);

/* Whether one sync of the file system is now a good thing for several small blobs: else they are
 * better put by calls at the same time. Does not block. */
bool blob_syncs_together(const char *root);

/* fsyncs the root, once for all blobs that were committed or put before: now they are durable. */
enum code blob_sync_root(struct ctx *cx, const char *root) MUST_CHECK;

/* Closes; removes the temp file if it was not committed. NULL is fine. */
void blob_close(struct blob *b);

/* Removes a committed blob and its folder. A missing one is fine. */
void blob_remove(const char *path);

/* As blob_remove, but only what the store itself wrote: {root}/{uuid}/{name}. */
void blob_remove_owned(const char *root, const char *path);

/* ---- what nobody needs any more (blob_gc.c) ---- */

/* Looks at up to `max` folders {root}/{uuid} behind `after` ("": from the first), in the order of
 * their names, and gives those that have not changed for older_than_s seconds. `after` becomes the
 * last one it looked at, or "" at the end. No root: none. UNAVAILABLE. */
enum code blob_folders(struct ctx *cx, const char *root, int64_t older_than_s, int max,
                       char after[37], char ret_ids[][37], int *ret_n) MUST_CHECK;

/* Removes the folder of job `id` with the one file the store wrote; leaves it when there is
 * anything else in it. Bytes freed; -1: there was no file. */
int64_t blob_remove_folder(const char *root, const char *id);

/* Removes temp files that nobody writes. Their number; adds to *bytes. */
int blob_remove_left_behind(const char *root, int64_t *bytes);

/* True when the folder is this owner's; an unclaimed one is claimed. STORAGE_FULL, UNAVAILABLE. */
enum code blob_claim_root(struct ctx *cx, const char *root, const char *owner_id,
                          bool *ret_ours) MUST_CHECK;

#endif
