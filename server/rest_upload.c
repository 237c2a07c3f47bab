/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_upload.c - an upload as multipart/form-data.
 *
 * Parts in any order: `file` (once, with a name), and the small ones `metadata` (a JSON object),
 * `priority`, `password`, `languages`. The file's bytes go on to server/upload.h on the daemon's
 * thread as they come (into the page cache; memory does not grow with the file); reading metadata
 * and fsync are a task of the handlers, the job another, for all uploads that wait together. Small
 * files have only that one.
 * However the request ends, rest_upload_close removes what has not become a job.
 *
 * Sizes are refused from Content-Length before the first byte where the client gave it. Types and
 * contents are upload.h's business. The password is never logged. */
#include <stdlib.h>
#include <string.h>

#include "base/clk.h"
#include "base/pbjson.h"
#include "base/str.h"
#include "google/protobuf/struct.pb-c.h"
#include "jobs/backlog.h"
#include "server/multipart.h"
#include "server/rest_impl.h"
#include "server/upload.h"

enum {
    FORM_OVERHEAD = 1024 * 1024, /* what a form may be larger than its file */
    METADATA_LIMIT = 64 * 1024,
    FIELD_LIMIT = 4096,
    MAX_LANGUAGES = 16,
    MAX_KEY = 255,
};

enum part { PART_NONE, PART_FILE, PART_METADATA, PART_PRIORITY, PART_PASSWORD, PART_LANGUAGES };

static const char *const part_names[] = {
    [PART_FILE] = "file",         [PART_METADATA] = "metadata",   [PART_PRIORITY] = "priority",
    [PART_PASSWORD] = "password", [PART_LANGUAGES] = "languages",
};

struct rest_upload {
    struct request *request;
    struct multipart *reader;
    struct upload *upload; /* NULL until the file part begins */
    enum part part; /* the current one */
    bool seen[ARRAY_LEN(part_names)];
    int n_language_parts;
    struct buf field; /* the current small part */
    const char *metadata_json;
    size_t metadata_len;
    Localrag__V1__UploadMetadata metadata;
    ProtobufCMessage *answer;
};

static struct ctx *ctx_of(struct rest_upload *u)
{
    return &u->request->cx;
}

/* ---- parts ---- */

static enum code begin_file(struct rest_upload *u, const struct multipart_part *part)
{
    struct ctx *cx = ctx_of(u);
    if (!part->filename_len)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"file\": the file has no name");
    u->metadata.filename = str_safe_name(&cx->arena, part->filename, part->filename_len);
    u->metadata.content_type =
        ctx_strdup(cx, part->content_type && strlen(part->content_type) <= 200 ? part->content_type
                                                                               : "");
    if (!u->metadata.filename || !u->metadata.content_type)
        return ctx_oom(cx);
    return upload_begin(cx, u->request->rest->settings, &u->upload);
}

static enum code on_begin(void *arg, const struct multipart_part *part)
{
    struct rest_upload *u = arg;
    struct ctx *cx = ctx_of(u);
    u->part = PART_NONE;
    for (size_t i = PART_FILE; i < ARRAY_LEN(part_names); i++)
        if (part->name_len == strlen(part_names[i]) &&
            memcmp(part->name, part_names[i], part->name_len) == 0)
            u->part = (enum part)i;
    if (u->part == PART_NONE) {
        size_t n;
        char *name = str_utf8_repair(&cx->arena, part->name, MIN(part->name_len, 64), &n);
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "unknown field \"%s\"", name ? name : "");
    }
    if (u->seen[u->part] && u->part != PART_LANGUAGES)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"%s\": given twice",
                        part_names[u->part]);
    u->seen[u->part] = true;
    if (u->part == PART_LANGUAGES && ++u->n_language_parts > MAX_LANGUAGES)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"languages\": more than %d",
                        MAX_LANGUAGES);
    buf_clear(&u->field);
    u->field.limit = u->part == PART_METADATA ? METADATA_LIMIT : FIELD_LIMIT;
    return u->part == PART_FILE ? begin_file(u, part) : CODE_OK;
}

static enum code on_data(void *arg, const char *data, size_t len)
{
    struct rest_upload *u = arg;
    if (u->part == PART_FILE)
        return upload_write(ctx_of(u), u->upload, data, len);
    buf_add(&u->field, data, len);
    if (buf_failed(&u->field))
        return ctx_fail(ctx_of(u), CODE_INVALID_ARGUMENT, "field \"%s\": larger than %zu bytes",
                        part_names[u->part], u->field.limit);
    return CODE_OK;
}

static enum code add_languages(struct rest_upload *u, char *list)
{
    struct ctx *cx = ctx_of(u);
    char *state = NULL;
    for (char *one = strtok_r(list, ", \t\r\n", &state); one;
         one = strtok_r(NULL, ", \t\r\n", &state)) {
        if (u->metadata.n_languages == MAX_LANGUAGES)
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"languages\": more than %d",
                            MAX_LANGUAGES);
        TRY(pbjson_set_field(cx, &u->metadata.base, "languages", one));
    }
    return CODE_OK;
}

static enum code on_end(void *arg)
{
    struct rest_upload *u = arg;
    struct ctx *cx = ctx_of(u);
    if (u->part == PART_FILE)
        return CODE_OK;
    size_t n = u->field.len;
    if (n != strlen(buf_cstr(&u->field)))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"%s\": a NUL is not allowed",
                        part_names[u->part]);
    char *value = ctx_strndup(cx, buf_cstr(&u->field), n);
    if (!value)
        return CODE_OUT_OF_MEMORY;
    if (u->part == PART_LANGUAGES)
        return add_languages(u, value);
    if (u->part == PART_METADATA) {
        u->metadata_json = value;
        u->metadata_len = n;
        return CODE_OK;
    }
    if (u->part == PART_PASSWORD && str_utf8_prefix(value, n) != n)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "field \"password\": not valid UTF-8");
    return pbjson_set_field(cx, &u->metadata.base, part_names[u->part], value);
}

/* ---- the request ---- */

static enum code read_head(struct request *r, struct rest_upload *u)
{
    struct ctx *cx = &r->cx;
    const char *type = rest_request_header(r, MHD_HTTP_HEADER_CONTENT_TYPE);
    const char *key = rest_request_header(r, "Idempotency-Key");
    int64_t limit = r->rest->settings->max_upload_size;
    TRY(backlog_check(cx, r->rest->settings)); /* before the body is read */
    const struct multipart_sink sink = {on_begin, on_data, on_end, u};
    TRY(multipart_new(cx, type ? type : "", &sink, &u->reader));
    if (r->n_query)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "unknown field \"%.64s\"", r->query[0].name);
    if (key && *key && strlen(key) > MAX_KEY)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "the idempotency key is longer than %d bytes",
                        MAX_KEY);
    if (key && *key)
        TRY(pbjson_set_field(cx, &u->metadata.base, "idempotency_key", key));
    if (r->content_length > limit && r->content_length - limit > FORM_OVERHEAD) {
        char size[32];
        str_print_bytes(limit, size);
        return ctx_fail(cx, CODE_TOO_LARGE, "the file is larger than %s (MAX_UPLOAD_SIZE)", size);
    }
    return CODE_OK;
}

bool rest_upload_open(struct request *r)
{
    struct rest_upload *u = ctx_alloc(&r->cx, sizeof(*u));
    if (!u)
        return false;
    u->request = r;
    u->metadata = (Localrag__V1__UploadMetadata)LOCALRAG__V1__UPLOAD_METADATA__INIT;
    r->upload = u;
    return read_head(r, u) == CODE_OK;
}

static enum code check(struct request *r)
{
    struct ctx *cx = &r->cx;
    struct rest_upload *u = r->upload;
    if (u->metadata_json && u->metadata_len) {
        ProtobufCMessage *object = NULL;
        enum code code = pbjson_read(cx, &google__protobuf__struct__descriptor, u->metadata_json,
                                     u->metadata_len, &object);
        if (code != CODE_OK)
            return ctx_prefix(cx, "field \"metadata\"");
        u->metadata.metadata = (Google__Protobuf__Struct *)(void *)object;
    }
    u->answer = pbjson_new(cx, r->match.method->output);
    if (!u->answer)
        return CODE_OUT_OF_MEMORY;
    return upload_check(cx, u->upload, &u->metadata);
}

static void finish(struct request *r)
{
    if (r->cx.failure.code == CODE_OK)
        (void)!rest_unary_write(r, r->upload->answer); /* a failure is recorded, as all others */
    rest_upload_close(r);
    rest_finish(r);
}

static_assert((int)HANDLERS_MAX_GROUP <= (int)JOBS_MAX_SUBMIT, "a group is submitted at once");

static void submit_many(struct task **tasks, int n, struct jobs *jobs)
{
    struct upload_submission all[HANDLERS_MAX_GROUP];
    int count = 0;
    for (int i = 0; i < n; i++) {
        struct request *r = rest_of(tasks[i]);
        struct upload *u = r->upload->upload;
        if (upload_is_stored(u) || check(r) == CODE_OK)
            all[count++] = (struct upload_submission){&r->cx, u, (void *)r->upload->answer};
    }
    if (count)
        upload_submit_many(jobs, all, count);
    for (int i = 0; i < n; i++)
        finish(rest_of(tasks[i]));
}

static void submit_one(struct task *task, struct jobs *jobs)
{
    submit_many(&task, 1, jobs);
}

static void run(struct task *task, struct jobs *jobs)
{
    (void)jobs;
    struct request *r = rest_of(task);
    if (check(r) != CODE_OK || upload_store(&r->cx, r->upload->upload) != CODE_OK) {
        finish(r);
        return;
    }
    r->task.run = submit_one;
    r->task.run_many = submit_many;
    handlers_continue(r->rest->handlers, &r->task);
}

/* The whole body is there: is it a whole form? */
static enum code check_form(struct request *r)
{
    TRY(multipart_finish(&r->cx, r->upload->reader));
    if (!r->upload->seen[PART_FILE])
        return ctx_fail(&r->cx, CODE_INVALID_ARGUMENT, "field \"file\": missing");
    return CODE_OK;
}

enum MHD_Result rest_upload_step(struct request *r, const char *data, size_t *len)
{
    if (*len) {
        if (multipart_feed(&r->cx, r->upload->reader, data, *len) != CODE_OK) {
            rest_upload_close(r);
            return rest_reply_midway(r, len);
        }
        *len = 0;
        return MHD_YES;
    }
    if (r->done)
        return rest_reply_outcome(r);
    if (check_form(r) != CODE_OK)
        return rest_reply_outcome(r);
    bool waits = upload_waits_for_others(r->upload->upload);
    r->task.run_many = waits ? submit_many : NULL;
    return rest_submit(r, waits ? submit_one : run);
}

void rest_upload_close(struct request *r)
{
    if (!r->upload)
        return;
    upload_abort(r->upload->upload);
    buf_done(&r->upload->field);
    r->upload = NULL;
}
