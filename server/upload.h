/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* upload.h - bytes from a client into the blob store, and the job for them. For gRPC and REST.
 *
 * upload_begin, any number of upload_write, upload_check, upload_store (or not), then
 * upload_submit_many together with others; upload_abort at any time removes everything. An upload
 * is used by one thread at a time. No parser runs here: the type comes from a signature table over
 * the first 64 KiB.
 *
 * Codes: TOO_LARGE as soon as it is known; UNSUPPORTED; INVALID_ARGUMENT (no name, no bytes,
 * metadata); STORAGE_FULL; UNAVAILABLE; those of jobs_submit_many. After a failure only
 * upload_abort may follow. */
#ifndef SERVER_UPLOAD_H
#define SERVER_UPLOAD_H

#include "jobs/jobs.h"

struct upload;

/* UNAVAILABLE when no submissions are accepted now, before any byte is taken. Does not block. */
enum code upload_begin(struct ctx *cx, const struct settings *settings,
                       struct upload **ret_upload) MUST_CHECK;

/* Hashes and writes. May block on the disk for a moment. */
enum code upload_write(struct ctx *cx, struct upload *u, const void *data, size_t len) MUST_CHECK;

/* An upload_write of so many bytes would not block: it only copies them. */
bool upload_stays_in_memory(const struct upload *u, size_t len);

/* All of it is there. Checks what the client said about it (borrowed until it is submitted). */
enum code upload_check(struct ctx *cx, struct upload *u,
                       const Localrag__V1__UploadMetadata *metadata) MUST_CHECK;

/* Small ones need no upload_store: together with others upload_submit_many does it better. */
bool upload_waits_for_others(const struct upload *u);

/* The bytes of a checked one into the store, with fsync. */
enum code upload_store(struct ctx *cx, struct upload *u) MUST_CHECK;
bool upload_is_stored(const struct upload *u);

/* The jobs of several checked uploads, at most JOBS_MAX_SUBMIT: durable when it returns. Each has
 * its answer (in its ctx's arena) or the failure in its ctx. Frees nothing: call upload_abort (now
 * a mere free) afterwards in any case. */
struct upload_submission {
    struct ctx *cx;
    struct upload *upload;
    Localrag__V1__UploadDocumentResponse *out;
};
void upload_submit_many(struct jobs *jobs, struct upload_submission *all, int n);

void upload_abort(struct upload *u); /* NULL is fine */

#endif
