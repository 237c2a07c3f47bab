/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_rpc.c - the real gRPC server against a raw client on the same core library.
 *
 * No database and no Redis: what needs them must answer UNAVAILABLE, and everything before that is
 * what this file is about: hostile bytes, headers and trailers, health, uploads that are cut, the
 * drain. The client sends bytes, not messages, so it can be as rude as needed. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <dirent.h>
#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clk.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "server/methods.h"
#include "server/metrics.h"
#include "server/rpc.h"

enum { WAIT_S = 20 };

#define GET_JOB "/localrag.v1.JobService/GetJob"
#define UPLOAD "/localrag.v1.UploadService/UploadDocument"
#define CHECK "/grpc.health.v1.Health/Check"
#define WATCH "/grpc.health.v1.Health/Watch"

static struct ctx cx;
static struct settings settings;
static struct handlers *handlers;
static struct hub *hub;
static struct rpc *rpc;
static char folder[] = "/tmp/localrag-test-rpc-XXXXXX";

/* ---- a raw client ---- */

static grpc_completion_queue *queue;
static grpc_channel *channel;

struct client {
    grpc_call *call;
    grpc_metadata_array headers, trailers;
    grpc_byte_buffer *answer;
    grpc_status_code status;
    grpc_slice details;
    bool has_headers;
    char code[32], request_id[80], message[256]; /* after finish */
    unsigned char status_details[512];
    size_t n_status_details;
};

/* Waits for the batch `tag`. */
static bool completed(void *tag)
{
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(WAIT_S, GPR_TIMESPAN));
    grpc_event event = grpc_completion_queue_pluck(queue, tag, deadline, NULL);
    assert_int_equal(event.type, GRPC_OP_COMPLETE);
    return event.success;
}

static void client_begin(struct client *c, const char *path, const char *request_id)
{
    memset(c, 0, sizeof(*c));
    grpc_metadata_array_init(&c->headers);
    grpc_metadata_array_init(&c->trailers);
    c->details = grpc_empty_slice();
    gpr_timespec deadline =
        gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_seconds(WAIT_S, GPR_TIMESPAN));
    c->call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
                                       grpc_slice_from_static_string(path), NULL, deadline, NULL);
    grpc_metadata id = {.key = grpc_slice_from_static_string("x-request-id"),
                        .value = grpc_slice_from_static_string(request_id ? request_id : "")};
    grpc_op op = {.op = GRPC_OP_SEND_INITIAL_METADATA};
    op.data.send_initial_metadata.count = request_id ? 1 : 0;
    op.data.send_initial_metadata.metadata = &id;
    assert_int_equal(grpc_call_start_batch(c->call, &op, 1, c, NULL), GRPC_CALL_OK);
    assert_true(completed(c));
}

/* False: the server has ended the call. */
static bool client_send(struct client *c, const void *bytes, size_t len)
{
    grpc_slice slice = grpc_slice_from_copied_buffer(bytes, len);
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    grpc_op op = {.op = GRPC_OP_SEND_MESSAGE};
    op.data.send_message.send_message = buffer;
    assert_int_equal(grpc_call_start_batch(c->call, &op, 1, c, NULL), GRPC_CALL_OK);
    bool ok = completed(c);
    grpc_byte_buffer_destroy(buffer);
    return ok;
}

static void client_half_close(struct client *c)
{
    grpc_op op = {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT};
    assert_int_equal(grpc_call_start_batch(c->call, &op, 1, c, NULL), GRPC_CALL_OK);
    completed(c);
}

/* The next answer's bytes; -1: the stream ended. */
static int client_receive(struct client *c, unsigned char *bytes, size_t size)
{
    grpc_op ops[2] = {{.op = GRPC_OP_RECV_MESSAGE}, {.op = GRPC_OP_RECV_INITIAL_METADATA}};
    ops[0].data.recv_message.recv_message = &c->answer;
    ops[1].data.recv_initial_metadata.recv_initial_metadata = &c->headers;
    assert_int_equal(grpc_call_start_batch(c->call, ops, c->has_headers ? 1 : 2, c, NULL),
                     GRPC_CALL_OK);
    completed(c);
    c->has_headers = true;
    if (!c->answer)
        return -1;
    size_t n = 0;
    const grpc_slice_buffer *slices = &c->answer->data.raw.slice_buffer;
    for (size_t i = 0; i < slices->count; i++)
        for (size_t k = 0; k < GRPC_SLICE_LENGTH(slices->slices[i]) && n < size; k++)
            bytes[n++] = GRPC_SLICE_START_PTR(slices->slices[i])[k];
    grpc_byte_buffer_destroy(c->answer);
    c->answer = NULL;
    return (int)n;
}

static void copy_slice(char *out, size_t size, grpc_slice slice)
{
    snprintf(out, size, "%.*s", (int)GRPC_SLICE_LENGTH(slice), GRPC_SLICE_START_PTR(slice));
}

/* Waits for the status and frees the call; the texts stay readable. The core gives the status only
 * after the headers and every message were taken. */
static grpc_status_code client_finish(struct client *c)
{
    unsigned char rest[8];
    while (client_receive(c, rest, sizeof(rest)) >= 0)
        ;
    grpc_op op = {.op = GRPC_OP_RECV_STATUS_ON_CLIENT};
    op.data.recv_status_on_client.trailing_metadata = &c->trailers;
    op.data.recv_status_on_client.status = &c->status;
    op.data.recv_status_on_client.status_details = &c->details;
    assert_int_equal(grpc_call_start_batch(c->call, &op, 1, c, NULL), GRPC_CALL_OK);
    assert_true(completed(c));
    for (size_t i = 0; i < c->trailers.count; i++) {
        const grpc_metadata *m = &c->trailers.metadata[i];
        if (grpc_slice_str_cmp(m->key, "localrag-code") == 0)
            copy_slice(c->code, sizeof(c->code), m->value);
        if (grpc_slice_str_cmp(m->key, "localrag-request-id") == 0)
            copy_slice(c->request_id, sizeof(c->request_id), m->value);
        if (grpc_slice_str_cmp(m->key, "grpc-status-details-bin") == 0) {
            c->n_status_details = MIN(GRPC_SLICE_LENGTH(m->value), sizeof(c->status_details));
            memcpy(c->status_details, GRPC_SLICE_START_PTR(m->value), c->n_status_details);
        }
    }
    copy_slice(c->message, sizeof(c->message), c->details);
    grpc_slice_unref(c->details);
    grpc_metadata_array_destroy(&c->headers);
    grpc_metadata_array_destroy(&c->trailers);
    grpc_call_unref(c->call);
    return c->status;
}

/* One message, then the end; the status. */
static grpc_status_code client_call(struct client *c, const char *path, const void *bytes,
                                    size_t len)
{
    client_begin(c, path, NULL);
    client_send(c, bytes, len);
    client_half_close(c);
    return client_finish(c);
}

/* ---- the server ---- */

static int start(void **state)
{
    (void)state;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    if (!mkdtemp(folder))
        return -1;
    settings = (struct settings){.host = "127.0.0.1",
                                 .database_url = "host=/nowhere dbname=none",
                                 .queue_name = "test",
                                 .queue_enabled = true,
                                 .data_path = folder,
                                 .uploads_path = folder,
                                 .max_upload_size = 1000 * 1000};
    settings.redis = (struct kv_endpoint){.unix_path = "/nowhere"};
    if (methods_init(&cx) != CODE_OK ||
        handlers_start(&cx, &settings, 4, 64, &handlers) != CODE_OK ||
        hub_start(&cx, &settings, &hub) != CODE_OK ||
        rpc_start(&cx, &settings, handlers, hub, &rpc) != CODE_OK) {
        print_error("%s\n", ctx_message(&cx));
        return -1;
    }
    char target[64];
    snprintf(target, sizeof(target), "127.0.0.1:%d", rpc_port(rpc));
    queue = grpc_completion_queue_create_for_pluck(NULL);
    grpc_channel_credentials *plain = grpc_insecure_credentials_create();
    channel = grpc_channel_create(target, plain, NULL);
    grpc_channel_credentials_release(plain);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    grpc_channel_destroy(channel);
    grpc_completion_queue_shutdown(queue);
    grpc_completion_queue_destroy(queue);
    handlers_stop(handlers);
    rpc_stop(rpc);
    hub_stop(hub);
    char incoming[128];
    snprintf(incoming, sizeof(incoming), "%s/.incoming", folder);
    rmdir(incoming);
    ctx_done(&cx);
    return rmdir(folder);
}

static int temp_files(void)
{
    char incoming[128];
    int n = 0;
    snprintf(incoming, sizeof(incoming), "%s/.incoming", folder);
    DIR *dir = opendir(incoming);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
        n += e->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return n;
}

static void wait_for_temp_files(int wanted)
{
    for (int64_t until = clk_mono_ms() + WAIT_S * 1000; temp_files() != wanted; usleep(2000))
        assert_true(clk_mono_ms() < until);
}

/* ---- tests ---- */

static void unknown_methods_are_refused(void **state)
{
    (void)state;
    struct client c;
    assert_int_equal(client_call(&c, "/localrag.v1.JobService/Nothing", "", 0),
                     GRPC_STATUS_UNIMPLEMENTED);
    assert_string_equal(c.code, "UNIMPLEMENTED");
}

static void hostile_bytes_are_refused(void **state)
{
    (void)state;
    struct client c;
    assert_int_equal(client_call(&c, GET_JOB,
                                 "\x0a\x03"
                                 "a\0b",
                                 5),
                     GRPC_STATUS_INVALID_ARGUMENT);
    assert_string_equal(c.message, "field \"job_id\" holds a NUL character");
    assert_string_equal(c.code, "INVALID_ARGUMENT");
    assert_int_equal(client_call(&c, GET_JOB, "\xff\xff", 2), GRPC_STATUS_INVALID_ARGUMENT);

    size_t big = 5 * 1024 * 1024, many = 3 * 1024 * 1024;
    char *bytes = calloc(1, big);
    assert_int_equal(client_call(&c, GET_JOB, bytes, big), GRPC_STATUS_RESOURCE_EXHAUSTED);
    for (size_t i = 0; i < many; i += 2)
        bytes[i] = 0x12; /* an unknown field of no bytes, a million times and more */
    assert_int_equal(client_call(&c, GET_JOB, bytes, many), GRPC_STATUS_INVALID_ARGUMENT);
    free(bytes);

    client_begin(&c, GET_JOB, NULL); /* no message at all */
    client_half_close(&c);
    assert_int_equal(client_finish(&c), GRPC_STATUS_INVALID_ARGUMENT);
}

static void failures_carry_ids_and_codes(void **state)
{
    (void)state;
    struct client c;
    client_begin(&c, GET_JOB, "my-id.7");
    client_send(&c, "\x0a\x01x", 3);
    client_half_close(&c);
    assert_int_equal(client_finish(&c), GRPC_STATUS_INVALID_ARGUMENT);
    assert_string_equal(c.request_id, "my-id.7");

    client_begin(&c, GET_JOB, "no good, too \"odd\"");
    client_send(&c,
                "\x0a\x24"
                "11111111-2222-4333-8444-555555555555",
                38);
    client_half_close(&c);
    assert_int_equal(client_finish(&c), GRPC_STATUS_UNAVAILABLE); /* there is no database */
    assert_string_equal(c.code, "UNAVAILABLE");
    assert_int_equal(strlen(c.request_id), 36);
}

static void bad_fields_are_in_the_details(void **state)
{
    (void)state;
    struct client c;
    assert_int_equal(client_call(&c, GET_JOB, "\x0a\x01x", 3), GRPC_STATUS_INVALID_ARGUMENT);
    Google__Rpc__Status *status =
        google__rpc__status__unpack(NULL, c.n_status_details, c.status_details);
    assert_non_null(status);
    assert_int_equal(status->code, GRPC_STATUS_INVALID_ARGUMENT);
    assert_int_equal(status->n_details, 1);
    assert_string_equal(status->details[0]->type_url, "type.googleapis.com/google.rpc.BadRequest");
    Google__Rpc__BadRequest *bad =
        google__rpc__bad_request__unpack(NULL, status->details[0]->value.len,
                                         status->details[0]->value.data);
    assert_non_null(bad);
    assert_int_equal(bad->n_field_violations, 1);
    assert_string_equal(bad->field_violations[0]->field, "job_id");
    assert_string_equal(bad->field_violations[0]->description, c.message);
    google__rpc__bad_request__free_unpacked(bad, NULL);
    google__rpc__status__free_unpacked(status, NULL);

    assert_int_equal(client_call(&c, "/localrag.v1.JobService/Nothing", "", 0),
                     GRPC_STATUS_UNIMPLEMENTED);
    assert_int_equal(c.n_status_details, 0); /* about no field */
}

static void calls_are_counted(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = BUF_INIT(1 << 20);
    struct client c;
    client_call(&c, GET_JOB, "\x0a\x01x", 3);
    metrics_write(&b);
    static const char *const lines[] = {
        "localrag_grpc_requests_total{method=\"localrag.v1.JobService/"
        "GetJob\",code=\"INVALID_ARGUMENT\"} ",
        "localrag_request_duration_seconds_bucket{transport=\"grpc\",method=\"localrag.v1."
        "JobService/"
        "GetJob\",le=\"+Inf\"} ",
        "localrag_grpc_requests_total{method=\"other\",code=\"UNIMPLEMENTED\"} ",
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_non_null(strstr(buf_cstr(&b), lines[i]));
}

static void health_is_answered(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        grpc_status_code status;
    } cases[] = {
        {"", 0, GRPC_STATUS_OK},
        {"\x0a\x16"
         "localrag.v1.JobService",
         24, GRPC_STATUS_OK},
        {"\x0a\x07"
         "nothing",
         9, GRPC_STATUS_NOT_FOUND},
    };
    struct client c;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(client_call(&c, CHECK, cases[i].bytes, cases[i].len), cases[i].status);

    unsigned char answer[8];
    client_begin(&c, WATCH, NULL);
    client_send(&c, "", 0);
    client_half_close(&c);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(client_receive(&c, answer, sizeof(answer)), 2);
        assert_int_equal(answer[1], i == 1 ? 2 : 1); /* SERVING, NOT_SERVING, SERVING */
        rpc_set_serving(rpc, i == 1);
    }
    rpc_set_serving(rpc, true);
    grpc_call_cancel(c.call, NULL);
    assert_int_equal(client_finish(&c), GRPC_STATUS_CANCELLED);
}

static void uploads_need_metadata_first(void **state)
{
    (void)state;
    struct client c;
    assert_int_equal(client_call(&c, UPLOAD, "\x12\x01x", 3), GRPC_STATUS_INVALID_ARGUMENT);
    assert_string_equal(c.message, "the first message of an upload must be \"metadata\"");
    client_begin(&c, UPLOAD, NULL);
    client_half_close(&c);
    assert_int_equal(client_finish(&c), GRPC_STATUS_INVALID_ARGUMENT);
}

static void begin_upload(struct client *c)
{
    client_begin(c, UPLOAD, NULL);
    assert_true(client_send(c,
                            "\x0a\x07\x0a\x05"
                            "a.txt",
                            9));
    static char large[0x12000 + 4]; /* what is smaller than 64 KiB is no file yet */
    memset(large, 'a', sizeof(large));
    memcpy(large, "\x12\x80\xc0\x04", 4);
    assert_true(client_send(c, large, sizeof(large)));
    wait_for_temp_files(1);
}

static void a_cut_upload_leaves_nothing(void **state)
{
    (void)state;
    struct client c;
    begin_upload(&c);
    grpc_call_cancel(c.call, NULL);
    assert_int_equal(client_finish(&c), GRPC_STATUS_CANCELLED);
    wait_for_temp_files(0);
}

static void a_failed_upload_leaves_nothing(void **state)
{
    (void)state;
    struct client c;
    begin_upload(&c);
    client_half_close(&c);
    assert_int_equal(client_finish(&c), GRPC_STATUS_UNAVAILABLE); /* no database for the job */
    wait_for_temp_files(0);
}

static void an_upload_that_is_too_large_is_answered_midway(void **state)
{
    (void)state;
    struct client c;
    static char chunk[256 * 1024];
    memset(chunk, 'a', sizeof(chunk)); /* text, or it would be refused for its type */
    memcpy(chunk, "\x12\xfc\xff\x0f", 4); /* data, the rest of the chunk */
    begin_upload(&c);
    for (int i = 0; i < 100 && client_send(&c, chunk, sizeof(chunk)); i++)
        ;
    assert_int_equal(client_finish(&c), GRPC_STATUS_RESOURCE_EXHAUSTED); /* and no half-close */
    assert_string_equal(c.code, "TOO_LARGE");
    wait_for_temp_files(0);
}

/* The last test: the server is stopped by it. */
static void a_stop_ends_streams_and_lets_uploads_finish(void **state)
{
    (void)state;
    struct client watch, upload;
    unsigned char answer[8];
    client_begin(&watch, WATCH, NULL);
    client_send(&watch, "", 0);
    assert_int_equal(client_receive(&watch, answer, sizeof(answer)), 2);
    begin_upload(&upload);

    rpc_stop_accepting(rpc);
    assert_int_equal(client_receive(&watch, answer, sizeof(answer)), 2);
    assert_int_equal(answer[1], 2); /* NOT_SERVING */
    assert_int_equal(client_finish(&watch), GRPC_STATUS_UNAVAILABLE);

    assert_true(client_send(&upload,
                            "\x12\x05"
                            "world",
                            7));
    client_half_close(&upload);
    assert_int_equal(client_finish(&upload), GRPC_STATUS_UNAVAILABLE); /* from the database */
    assert_string_equal(upload.code, "UNAVAILABLE");
    assert_true(rpc_drain(rpc, WAIT_S * 1000));
    assert_int_equal(temp_files(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_methods_are_refused),
        cmocka_unit_test(hostile_bytes_are_refused),
        cmocka_unit_test(failures_carry_ids_and_codes),
        cmocka_unit_test(bad_fields_are_in_the_details),
        cmocka_unit_test(calls_are_counted),
        cmocka_unit_test(health_is_answered),
        cmocka_unit_test(uploads_need_metadata_first),
        cmocka_unit_test(a_cut_upload_leaves_nothing),
        cmocka_unit_test(a_failed_upload_leaves_nothing),
        cmocka_unit_test(an_upload_that_is_too_large_is_answered_midway),
        cmocka_unit_test(a_stop_ends_streams_and_lets_uploads_finish),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
