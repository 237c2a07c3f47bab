/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_methods.c - the embedded descriptor set and the table of RPCs built from it (server/desc.h,
 * server/methods.h). methods_init itself fails when an RPC has no handler: that is the main test.
 */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "server/desc.h"
#include "server/methods.h"

static struct ctx cx;

static int setup(void **state)
{
    (void)state;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    enum code code = methods_init(&cx);
    if (code != CODE_OK)
        print_error("%s\n", ctx_message(&cx));
    return code == CODE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ctx_done(&cx);
    return 0;
}

static void every_method_is_complete(void **state)
{
    (void)state;
    size_t n;
    const struct method *all = methods_all(&n);
    assert_true(n >= 12);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(methods_find(all[i].path), &all[i]);
        assert_non_null(all[i].input);
        assert_non_null(all[i].output);
        assert_true((all[i].kind == METHOD_UNARY) == (all[i].fn != NULL));
        assert_non_null(all[i].verb);
        assert_int_equal(strncmp(all[i].route, "/api/v1/", 8), 0);
        assert_non_null(all[i].body);
    }
    assert_null(methods_find("/localrag.v1.JobService/Nothing"));
}

static void kinds_and_routes_come_from_the_proto(void **state)
{
    (void)state;
    const struct method *get = methods_find("/localrag.v1.JobService/GetJob");
    assert_int_equal(get->kind, METHOD_UNARY);
    assert_string_equal(get->verb, "GET");
    assert_string_equal(get->route, "/api/v1/jobs/{job_id}");
    assert_string_equal(get->body, "");
    assert_string_equal(get->input->name, "localrag.v1.GetJobRequest");
    const struct method *upload = methods_find("/localrag.v1.UploadService/UploadDocument");
    assert_int_equal(upload->kind, METHOD_UPLOAD);
    assert_true(upload->client_stream && !upload->server_stream);
    assert_string_equal(upload->verb, "POST");
    assert_string_equal(upload->body, "*");
    const struct method *watch = methods_find("/localrag.v1.JobService/WatchJob");
    assert_int_equal(watch->kind, METHOD_WATCH);
    assert_true(watch->server_stream && !watch->client_stream);
}

static void files_are_the_bytes_of_protoc(void **state)
{
    (void)state;
    const Google__Protobuf__FileDescriptorSet *set = desc_set();
    for (size_t i = 0; i < set->n_file; i++) {
        const struct desc_file *file = desc_file_named(set->file[i]->name);
        assert_non_null(file);
        CLEANUP(arena_reset) struct arena memory;
        arena_init(&memory, 0);
        Google__Protobuf__FileDescriptorProto *parsed =
            google__protobuf__file_descriptor_proto__unpack(&memory.pb, file->len, file->bytes);
        assert_non_null(parsed);
        assert_string_equal(parsed->name, file->name);
    }
    assert_null(desc_file_named("localrag/v1/nothing.proto"));
}

static void symbols_are_found(void **state)
{
    (void)state;
    static const struct {
        const char *symbol, *file;
    } cases[] = {
        {"localrag.v1.JobService", "localrag/v1/job.proto"},
        {"localrag.v1.JobService.GetJob", "localrag/v1/job.proto"},
        {"localrag.v1.Job.job_id", "localrag/v1/job.proto"},
        {"localrag.v1.JobResult.kind", "localrag/v1/job.proto"},
        {"localrag.v1.JobStatus", "localrag/v1/job.proto"},
        {"localrag.v1.JOB_STATUS_PENDING", "localrag/v1/job.proto"},
        {"localrag.v1.DocumentResult.EnginesEntry", "localrag/v1/job.proto"},
        {"google.protobuf.Struct", "google/protobuf/struct.proto"},
        {"google.api.http", "google/api/annotations.proto"},
        {"grpc.health.v1.HealthCheckResponse.SERVING", "grpc/health/v1/health.proto"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct desc_file *file = desc_file_of_symbol(cases[i].symbol);
        assert_non_null(file);
        assert_string_equal(file->name, cases[i].file);
    }
    assert_null(desc_file_of_symbol("localrag.v1.Nothing"));
    assert_null(desc_file_of_symbol(""));
}

static void services_and_extensions_are_found(void **state)
{
    (void)state;
    assert_true(desc_is_service("localrag.v1.UploadService"));
    assert_true(desc_is_service("grpc.reflection.v1alpha.ServerReflection"));
    assert_false(desc_is_service("localrag.v1.Job"));
    int32_t numbers[4];
    size_t n;
    assert_true(desc_extensions("google.protobuf.MethodOptions", numbers, 4, &n));
    assert_int_equal(n, 1);
    assert_int_equal(numbers[0], 72295728);
    assert_true(desc_extensions("localrag.v1.Job", numbers, 4, &n));
    assert_int_equal(n, 0);
    assert_false(desc_extensions("no.Such", numbers, 4, &n));
    assert_string_equal(desc_file_of_extension("google.protobuf.MethodOptions", 72295728)->name,
                        "google/api/annotations.proto");
    assert_null(desc_file_of_extension("google.protobuf.MethodOptions", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_is_complete),
        cmocka_unit_test(kinds_and_routes_come_from_the_proto),
        cmocka_unit_test(files_are_the_bytes_of_protoc),
        cmocka_unit_test(symbols_are_found),
        cmocka_unit_test(services_and_extensions_are_found),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
