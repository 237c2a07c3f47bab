/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* ingest.c - IngestDirectoryService, and DocumentService.ReprocessDocument: work that is queued
 * without an upload.
 *
 * The directory is judged and counted here, so that a wrong path is refused in the call and the
 * answer says how many files there are; a worker lists it again when it gets to it. Nothing is
 * opened here. */
#include <string.h>

#include "base/pbjson.h"
#include "jobs/jobs.h"
#include "jobs/listing.h"
#include "jobs/roots.h"
#include "localrag/v1/ingest.pb-c.h"
#include "server/ops/ops.h"

enum { MAX_METADATA = 64 * 1024 };

static enum code metadata_json(struct ctx *cx, const Google__Protobuf__Struct *metadata,
                               const char **ret_json)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(MAX_METADATA);
    if (!metadata)
        return CODE_OK;
    pbjson_write(&b, &metadata->base);
    if (buf_failed(&b))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "metadata: more than %d bytes as JSON",
                        MAX_METADATA);
    *ret_json = ctx_strdup(cx, buf_cstr(&b));
    return *ret_json ? CODE_OK : cx->failure.code;
}

static enum code answer(struct ctx *cx, const char *job_id, const char *path, int64_t n,
                        Localrag__V1__IngestDirectoryResponse *out)
{
    out->job_id = (char *)job_id;
    out->directory_path = ctx_strdup(cx, path);
    out->total_files_found = (int32_t)n;
    out->status = ctx_strdup(cx, "queued");
    out->message =
        n ? ctx_printf(cx, "Directory processing queued. Found %lld file%s...", (long long)n,
                       n == 1 ? "" : "s")
          : ctx_strdup(cx, "No file of the directory matches; there is nothing to process.");
    return cx->failure.code;
}

enum code op_ingest_directory(struct ctx *cx, struct jobs *jobs, const ProtobufCMessage *in_message,
                              ProtobufCMessage *out)
{
    const Localrag__V1__IngestDirectoryRequest *in =
        (const Localrag__V1__IngestDirectoryRequest *)in_message;
    struct directory_submission s = {.recursive = !in->_recursive_case || in->recursive};
    const char *job_id;
    TRY(metadata_json(cx, in->metadata, &s.metadata_json));
    TRY(listing_check_patterns(cx, in->file_patterns, in->n_file_patterns, &s.patterns));
    TRY(roots_resolve(cx, jobs->settings, in->directory_path, &s.directory));
    struct listing listing = {.settings = jobs->settings,
                              .directory = s.directory,
                              .patterns = s.patterns,
                              .recursive = s.recursive};
    TRY(listing_walk(cx, &listing, NULL, NULL, &s.n_files));
    TRY(jobs_submit_directory(cx, jobs, &s, &job_id));
    const char *path =
        *in->directory_path == '/' ? in->directory_path : roots_path_text(cx, s.directory);
    return answer(cx, job_id, path, s.n_files, (Localrag__V1__IngestDirectoryResponse *)out);
}

enum code op_reprocess_document(struct ctx *cx, struct jobs *jobs,
                                const ProtobufCMessage *in_message, ProtobufCMessage *out_message)
{
    Localrag__V1__ReprocessDocumentResponse *out =
        (Localrag__V1__ReprocessDocumentResponse *)out_message;
    const char *id = ((const Localrag__V1__ReprocessDocumentRequest *)in_message)->document_id;
    const char *job_id;
    TRY(jobs_reprocess(cx, jobs, id, &job_id));
    out->job_id = (char *)job_id;
    out->document_id = ctx_strdup(cx, id);
    out->status = ctx_strdup(cx, "queued");
    out->message = ctx_printf(cx, "Document %s queued for reprocessing", id);
    return cx->failure.code;
}
