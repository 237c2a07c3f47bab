/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* requests.c - all request types of the API, for the targets that take any of them (fuzz.h).
 *
 * The order is part of the corpora (the first byte of an input is an index), so new ones go to the
 * end. That none is missing is checked against the method table of the server at the first use. */
#include "localrag/v1/document.pb-c.h"
#include "localrag/v1/health.pb-c.h"
#include "localrag/v1/ingest.pb-c.h"
#include "localrag/v1/job.pb-c.h"
#include "localrag/v1/upload.pb-c.h"
#include "localrag/v1/worker.pb-c.h"

#include <string.h>

#include "base/str.h"
#include "server/methods.h"
#include "tests/fuzz/fuzz.h"

#define R(name) &localrag__v1__##name##_request__descriptor

static const ProtobufCMessageDescriptor *const requests[] = {
    R(ingest_directory), R(get_health),     R(get_worker_health),  R(list_workers),
    R(start_workers),    R(stop_workers),   R(get_document),       R(list_pages),
    R(list_chunks),      R(list_documents), R(delete_document),    R(reprocess_document),
    R(upload_document),  R(get_job),        R(get_job_progress),   R(get_job_result),
    R(list_jobs),        R(watch_job),      R(watch_jobs),         R(cancel_job),
    R(retry_job),        R(cleanup_jobs),   R(get_job_statistics),
};

static bool is_known(const ProtobufCMessageDescriptor *d)
{
    for (size_t i = 0; i < ARRAY_LEN(requests); i++)
        if (requests[i] == d)
            return true;
    return false;
}

static void check_complete(void)
{
    static struct ctx cx; /* the method table lives as long as the process */
    size_t n;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    fuzz_check_ok(&cx, methods_init(&cx));
    const struct method *all = methods_all(&n);
    for (size_t i = 0; i < n; i++)
        FUZZ_CHECK(!str_starts(all[i].path, "/localrag.v1.") || is_known(all[i].input));
}

const ProtobufCMessageDescriptor *fuzz_request(uint8_t pick)
{
    static bool checked;
    if (!checked)
        check_complete();
    checked = true;
    return requests[pick % ARRAY_LEN(requests)];
}
