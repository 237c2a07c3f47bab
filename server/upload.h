/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* upload.h - bytes from a client into the blob store, and the job for them. For gRPC and REST.
 *
 * upload_begin, any number of upload_write, then upload_finish; upload_abort at any time removes
 * everything. An upload is used by one thread at a time. No parser runs here: the type comes from a
 * signature table over the first 64 KiB.
 *
 * Codes: TOO_LARGE as soon as it is known; UNSUPPORTED; INVALID_ARGUMENT (no name, no bytes,
 * metadata); STORAGE_FULL; UNAVAILABLE; those of jobs_submit. After a failure only upload_abort may
 * follow. */
#ifndef SERVER_UPLOAD_H
#define SERVER_UPLOAD_H

#include "jobs/jobs.h"

struct upload;

/* Creates the temp file. May block on the disk for a moment. */
enum code upload_begin(struct ctx *cx, const struct settings *settings,
                       struct upload **ret_upload) MUST_CHECK;

/* Hashes and writes. */
enum code upload_write(struct ctx *cx, struct upload *u, const void *data, size_t len) MUST_CHECK;

/* fsync, rename into the store, submit. `metadata` borrowed; fields of `out` live in cx's arena.
 * Frees nothing: call upload_abort (now a mere free) afterwards in any case. */
enum code upload_finish(struct ctx *cx, struct upload *u, struct jobs *jobs,
                        const Localrag__V1__UploadMetadata *metadata,
                        Localrag__V1__UploadDocumentResponse *out) MUST_CHECK;

void upload_abort(struct upload *u); /* NULL is fine */

#endif
