/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_pbjson.c - messages to JSON and back (base/pbjson.h), on messages of the real API.
 *
 * Expected texts are written out in full: they are what clients see. What must be refused is a
 * table of bad JSON with the words that the error has to name. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/pbjson.h"
#include "google/protobuf/struct.pb-c.h"
#include "localrag/v1/document.pb-c.h"
#include "localrag/v1/job.pb-c.h"
#include "localrag/v1/upload.pb-c.h"

static struct ctx cx;

static int setup(void **state)
{
    (void)state;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_done(&cx);
    return 0;
}

static void assert_written(const void *message, const char *expected)
{
    struct buf b = BUF_INIT(0);
    pbjson_write(&b, message);
    assert_false(buf_failed(&b));
    assert_string_equal(buf_cstr(&b), expected);
    buf_done(&b);
}

static void assert_number(double v, const char *expected)
{
    Google__Protobuf__Value value = GOOGLE__PROTOBUF__VALUE__INIT;
    value.kind_case = GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE;
    value.number_value = v;
    assert_written(&value, expected);
}

static void *must_read(const ProtobufCMessageDescriptor *d, const char *json)
{
    ProtobufCMessage *m = NULL;
    enum code code = pbjson_read(&cx, d, json, strlen(json), &m);
    if (code != CODE_OK)
        fail_msg("%s: %s", json, ctx_message(&cx));
    return m;
}

static void assert_round_trip(const ProtobufCMessageDescriptor *d, const char *json)
{
    assert_written(must_read(d, json), json);
}

static void writes_numbers_as_short_as_possible(void **state)
{
    (void)state;
    assert_number(65.5, "65.5");
    assert_number(100, "100");
    assert_number(0, "0");
    assert_number(-0.0, "0");
    assert_number(0.1, "0.1");
    assert_number(1.0 / 3, "0.3333333333333333");
    assert_number(1e300, "1e+300");
    assert_number(5e-324, "4.94065645841247e-324");
    assert_number(9007199254740991.0, "9007199254740991");
    assert_number(-42, "-42");
    assert_number(NAN, "null");
    assert_number(INFINITY, "null");
}

static void writes_every_field(void **state)
{
    (void)state;
    Localrag__V1__Job job = LOCALRAG__V1__JOB__INIT;
    assert_written(
        &job,
        "{\"job_id\":\"\",\"task_type\":null,\"priority\":null,\"status\":null,\"created_at\":null,"
        "\"started_at\":null,\"completed_at\":null,\"progress\":0,\"progress_message\":\"\","
        "\"error_message\":null,\"error_code\":null,\"retry_count\":0,\"max_retries\":0,"
        "\"next_attempt_at\":null,\"worker_id\":null,\"actual_duration\":null,\"document_id\":null,"
        "\"document_name\":null,\"parent_job_id\":null,\"pages_done\":0,\"pages_total\":0,"
        "\"result\":null}");
}

static void writes_a_whole_job(void **state)
{
    (void)state;
    Google__Protobuf__Timestamp created = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    created.seconds = 1769860800;
    created.nanos = 123456000;
    Localrag__V1__DocumentResult__EnginesEntry text =
        LOCALRAG__V1__DOCUMENT_RESULT__ENGINES_ENTRY__INIT;
    text.key = (char *)"text";
    text.value = 18;
    Localrag__V1__DocumentResult__EnginesEntry *engines[] = {&text};
    char *languages[] = {(char *)"eng", (char *)"deu"};
    Localrag__V1__DocumentResult document = LOCALRAG__V1__DOCUMENT_RESULT__INIT;
    document.engines = engines;
    document.n_engines = 1;
    document.languages = languages;
    document.n_languages = 2;
    Localrag__V1__JobResult result = LOCALRAG__V1__JOB_RESULT__INIT;
    result.kind_case = LOCALRAG__V1__JOB_RESULT__KIND_DOCUMENT;
    result.document = &document;
    Localrag__V1__Job job = LOCALRAG__V1__JOB__INIT;
    job.job_id = (char *)"a\"b\n";
    job.status = LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED;
    job.task_type = LOCALRAG__V1__TASK_TYPE__TASK_TYPE_SINGLE_DOCUMENT;
    job.priority = (Localrag__V1__Priority)99;
    job.created_at = &created;
    job.progress = 65.5;
    job._actual_duration_case = LOCALRAG__V1__JOB___ACTUAL_DURATION_ACTUAL_DURATION;
    job.actual_duration = 9007199254740993;
    job.result = &result;
    assert_written(
        &job,
        "{\"job_id\":\"a\\\"b\\n\",\"task_type\":\"single_document\",\"priority\":99,"
        "\"status\":\"completed\",\"created_at\":\"2026-01-31T12:00:00.123456Z\","
        "\"started_at\":null,\"completed_at\":null,\"progress\":65.5,\"progress_message\":\"\","
        "\"error_message\":null,\"error_code\":null,\"retry_count\":0,\"max_retries\":0,"
        "\"next_attempt_at\":null,\"worker_id\":null,\"actual_duration\":9007199254740993,"
        "\"document_id\":null,\"document_name\":null,\"parent_job_id\":null,\"pages_done\":0,"
        "\"pages_total\":0,\"result\":{\"document_id\":\"\",\"file_name\":\"\",\"content_type\":"
        "\"\","
        "\"page_count\":0,\"chunk_count\":0,\"failed_pages\":[],\"engines\":{\"text\":18},"
        "\"ocr_mean_confidence\":null,\"languages\":[\"eng\",\"deu\"],\"duplicate_of\":null,"
        "\"timings\":null,\"metadata\":null}}");
}

static void reads_what_it_writes(void **state)
{
    (void)state;
    assert_round_trip(
        &localrag__v1__document_result__descriptor,
        "{\"document_id\":\"d\",\"file_name\":\"\xc3\xa4.pdf\",\"content_type\":\"application/"
        "pdf\","
        "\"page_count\":20,\"chunk_count\":3,\"failed_pages\":[{\"page\":3,\"reason\":\"hung\"}],"
        "\"engines\":{\"text\":18,\"ocr\":2},\"ocr_mean_confidence\":0.91,\"languages\":[\"eng\"],"
        "\"duplicate_of\":null,\"timings\":{\"extract_ms\":12,\"embed_ms\":null,\"total_ms\":15},"
        "\"metadata\":{\"a\":[1,2.5,null,true,{\"b\":\"c\"}],\"empty\":{},\"list\":[]}}");
    assert_round_trip(
        &localrag__v1__job_progress__descriptor,
        "{\"job_id\":\"j\",\"status\":\"retrying\",\"progress\":0.5,\"message\":\"m\","
        "\"updated_at\":\"2026-01-31T12:00:00Z\",\"pages_done\":1,\"pages_total\":2}");
    assert_round_trip(&localrag__v1__upload_document_request__descriptor,
                      "{\"metadata\":null,\"data\":\"AP+AYQ==\"}");
    assert_round_trip(&localrag__v1__upload_document_request__descriptor,
                      "{\"metadata\":null,\"data\":\"\"}");
}

static void reads_a_choice_by_its_keys(void **state)
{
    (void)state;
    Localrag__V1__JobResult *r =
        must_read(&localrag__v1__job_result__descriptor, "{\"total_files\":3,\"summary\":\"s\"}");
    assert_int_equal(r->kind_case, LOCALRAG__V1__JOB_RESULT__KIND_DIRECTORY);
    assert_int_equal(r->directory->total_files, 3);
    ProtobufCMessage *m = NULL;
    assert_int_equal(pbjson_read(&cx, &localrag__v1__job_result__descriptor, "{}", 2, &m),
                     CODE_INVALID_ARGUMENT);
}

static void reads_enum_names_in_any_form(void **state)
{
    (void)state;
    static const char *const forms[] = {"{\"status\":\"failed\"}", "{\"status\":\"FAILED\"}",
                                        "{\"status\":\"JOB_STATUS_FAILED\"}"};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        Localrag__V1__ListJobsRequest *in =
            must_read(&localrag__v1__list_jobs_request__descriptor, forms[i]);
        assert_int_equal(in->status, LOCALRAG__V1__JOB_STATUS__JOB_STATUS_FAILED);
    }
}

static void a_whole_number_is_an_integer(void **state)
{
    (void)state;
    static const char *const forms[] = {"{\"limit\":5}", "{\"limit\":5.0}", "{\"limit\":0.5e1}"};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        Localrag__V1__ListJobsRequest *in =
            must_read(&localrag__v1__list_jobs_request__descriptor, forms[i]);
        assert_int_equal(in->limit, 5);
    }
}

static void refuses_bad_json(void **state)
{
    (void)state;
    static const struct {
        const char *json, *names;
    } bad[] = {
        {"", "not valid JSON"},
        {"{", "not valid JSON"},
        {"{} x", "not valid JSON"},
        {"{\"limit\":1,\"limit\":2}", "not valid JSON"},
        {"{\"page_token\":\"\\u0000\"}", "not valid JSON: the character \\u0000 is not allowed"},
        {"{\"a\\u0000b\":1}", "not valid JSON: the character \\u0000 is not allowed"},
        {"{\"page_token\":\"\xff\"}", "not valid JSON"},
        {"{\"limit\":NaN}", "not valid JSON"},
        {"{\"limit\":99999999999999999999}", "not valid JSON"},
        {"[]", "expected an object"},
        {"null", "expected an object"},
        {"{\"limit\":\"x\",\"a\":1}", "field \"limit\": expected an integer\nunknown field \"a\""},
        {"{\"limits\":1}", "unknown field \"limits\""},
        {"{\"limit\":\"1\"}", "field \"limit\": expected an integer"},
        {"{\"limit\":1.5}", "field \"limit\": expected an integer"},
        {"{\"limit\":1e300}", "field \"limit\": expected an integer"},
        {"{\"limit\":3e9}", "field \"limit\": 3000000000 is out of range"},
        {"{\"limit\":2147483648}", "field \"limit\": 2147483648 is out of range"},
        {"{\"include_children\":1}", "field \"include_children\": expected true or false"},
        {"{\"status\":\"done\"}", "field \"status\": \"done\" is not one of pending, processing"},
        {"{\"status\":\"unspecified\"}", "field \"status\""},
        {"{\"status\":3}", "field \"status\": expected a name"},
        {"{\"page_token\":[]}", "field \"page_token\": expected a text"},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ProtobufCMessage *m = NULL;
        enum code code = pbjson_read(&cx, &localrag__v1__list_jobs_request__descriptor, bad[i].json,
                                     strlen(bad[i].json), &m);
        if (code != CODE_INVALID_ARGUMENT || !strstr(ctx_message(&cx), bad[i].names))
            fail_msg("%s: %s", bad[i].json, ctx_message(&cx));
        assert_null(m);
        ctx_clear(&cx);
    }
}

static enum code read_nested(int depth)
{
    static char json[8192];
    int n = snprintf(json, sizeof(json), "{\"metadata\":{\"x\":");
    memset(json + n, '[', (size_t)depth);
    memset(json + n + depth, ']', (size_t)depth);
    size_t len = (size_t)(n + 2 * depth);
    memcpy(json + len, "}}", 2);
    ProtobufCMessage *m = NULL;
    enum code code =
        pbjson_read(&cx, &localrag__v1__upload_metadata__descriptor, json, len + 2, &m);
    ctx_clear(&cx);
    return code;
}

static void refuses_deep_nesting(void **state)
{
    (void)state;
    assert_int_equal(read_nested(10), CODE_OK);
    assert_int_equal(read_nested(70), CODE_INVALID_ARGUMENT);
    assert_int_equal(read_nested(3000), CODE_INVALID_ARGUMENT); /* the parser's own limit */
}

static void refuses_more_than_the_arena_holds(void **state)
{
    (void)state;
    struct ctx small;
    ctx_init(&small, 4096);
    struct buf b = BUF_INIT(0);
    buf_str(&b, "{\"languages\":[");
    for (int i = 0; i < 5000; i++)
        buf_str(&b, i ? ",\"x\"" : "\"x\"");
    buf_str(&b, "]}");
    ProtobufCMessage *m = NULL;
    assert_int_equal(pbjson_read(&small, &localrag__v1__upload_metadata__descriptor, b.data, b.len,
                                 &m),
                     CODE_OUT_OF_MEMORY);
    buf_done(&b);
    ctx_done(&small);
}

static void sets_fields_from_text(void **state)
{
    (void)state;
    Localrag__V1__ListJobsRequest in = LOCALRAG__V1__LIST_JOBS_REQUEST__INIT;
    assert_int_equal(pbjson_set_field(&cx, &in.base, "limit", "25"), CODE_OK);
    assert_int_equal(pbjson_set_field(&cx, &in.base, "status", "Pending"), CODE_OK);
    assert_int_equal(pbjson_set_field(&cx, &in.base, "include_children", "true"), CODE_OK);
    assert_int_equal(pbjson_set_field(&cx, &in.base, "page_token", "t\xc3\xa4"), CODE_OK);
    assert_int_equal(in.limit, 25);
    assert_int_equal(in.status, LOCALRAG__V1__JOB_STATUS__JOB_STATUS_PENDING);
    assert_true(in.include_children);
    assert_string_equal(in.page_token, "t\xc3\xa4");

    Localrag__V1__Job job = LOCALRAG__V1__JOB__INIT;
    assert_int_equal(pbjson_set_field(&cx, &job.base, "actual_duration", "0"), CODE_OK);
    assert_int_equal(job._actual_duration_case,
                     LOCALRAG__V1__JOB___ACTUAL_DURATION_ACTUAL_DURATION);

    Localrag__V1__UploadMetadata up = LOCALRAG__V1__UPLOAD_METADATA__INIT;
    char name[8];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "l%d", i);
        assert_int_equal(pbjson_set_field(&cx, &up.base, "languages", name), CODE_OK);
    }
    assert_int_equal(up.n_languages, 20);
    assert_string_equal(up.languages[19], "l19");
}

static void refuses_bad_text(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *says;
    } bad[] = {
        {"limits", "1", "unknown field \"limits\""},
        {"limit", "", "field \"limit\": \"\" is not an integer"},
        {"limit", " 1", "is not an integer"},
        {"limit", "1x", "is not an integer"},
        {"limit", "2147483648", "is not in range"},
        {"status", "done", "\"done\" is not one of pending"},
        {"include_children", "maybe", "is not true or false"},
        {"page_token", "\xff", "is not valid UTF-8"},
    };
    Localrag__V1__ListJobsRequest in = LOCALRAG__V1__LIST_JOBS_REQUEST__INIT;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        enum code code = pbjson_set_field(&cx, &in.base, bad[i].name, bad[i].value);
        if (code != CODE_INVALID_ARGUMENT || !strstr(ctx_message(&cx), bad[i].says))
            fail_msg("%s=%s: %s", bad[i].name, bad[i].value, ctx_message(&cx));
        ctx_clear(&cx);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writes_numbers_as_short_as_possible, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_every_field, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_a_whole_job, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_what_it_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_a_choice_by_its_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(reads_enum_names_in_any_form, setup, teardown),
        cmocka_unit_test_setup_teardown(a_whole_number_is_an_integer, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_json, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_deep_nesting, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_more_than_the_arena_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(sets_fields_from_text, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_text, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
