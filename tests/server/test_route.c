/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_route.c - which method a verb and a path mean (server/route.h).
 *
 * The methods here are made up, so that the test does not change with the API; their input types
 * are real ones because templates are checked against them. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "server/route.h"

#define M(v, r, in)                                                                                \
    {                                                                                              \
        .path = v " " r, .input = &localrag__v1__##in##__descriptor, .verb = v, .route = r,        \
        .body = ""                                                                                 \
    }

static const struct method methods[] = {
    M("GET", "/api/v1/jobs/{job_id}", get_job_request),
    M("GET", "/api/v1/jobs", list_jobs_request),
    M("GET", "/api/v1/jobs/statistics", list_jobs_request),
    M("DELETE", "/api/v1/jobs/cleanup", list_jobs_request),
    M("POST", "/api/v1/jobs/{job_id}/cancel", cancel_job_request),
    M("GET", "/api/v1/documents/{document_id}", get_document_request),
    M("DELETE", "/api/v1/documents/{document_id}", get_document_request),
    {.path = "no rule", .input = &localrag__v1__get_job_request__descriptor, .body = ""},
};

static struct ctx cx;
static struct route_table *table;

static int setup(void **state)
{
    (void)state;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    return route_compile(&cx, methods, ARRAY_LEN(methods), &table) == CODE_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ctx_done(&cx);
    return 0;
}

static void finds_the_most_literal_place(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *path, *method, *value;
    } cases[] = {
        {"GET", "/api/v1/jobs", "GET /api/v1/jobs", NULL},
        {"GET", "/api/v1/jobs/", "GET /api/v1/jobs", NULL},
        {"HEAD", "/api/v1/jobs", "GET /api/v1/jobs", NULL},
        {"GET", "/api/v1/jobs/statistics", "GET /api/v1/jobs/statistics", NULL},
        {"GET", "/api/v1/jobs/%73tatistics", "GET /api/v1/jobs/statistics", NULL},
        {"GET", "/api/v1/jobs/statistics2", "GET /api/v1/jobs/{job_id}", "statistics2"},
        {"GET", "/api/v1/jobs/a%2Fb%20c", "GET /api/v1/jobs/{job_id}", "a/b c"},
        {"POST", "/api/v1/jobs/x/cancel/", "POST /api/v1/jobs/{job_id}/cancel", "x"},
        {"DELETE", "/api/v1/documents/d", "DELETE /api/v1/documents/{document_id}", "d"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct route_match m;
        assert_int_equal(route_find(&cx, table, cases[i].verb, cases[i].path, &m), CODE_OK);
        assert_non_null(m.method);
        assert_string_equal(m.method->path, cases[i].method);
        assert_int_equal(m.n_params, cases[i].value != NULL);
        if (cases[i].value)
            assert_string_equal(m.params[0].value, cases[i].value);
    }
}

static void says_which_verbs_are_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *verb, *path, *allow;
    } cases[] = {
        {"POST", "/api/v1/jobs", "GET, HEAD, OPTIONS"},
        {"GET", "/api/v1/jobs/cleanup", "DELETE, OPTIONS"},
        {"PUT", "/api/v1/documents/d", "GET, HEAD, DELETE, OPTIONS"},
        {"get", "/api/v1/documents/d", "GET, HEAD, DELETE, OPTIONS"},
        {"HEAD", "/api/v1/jobs/x/cancel", "POST, OPTIONS"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct route_match m;
        assert_int_equal(route_find(&cx, table, cases[i].verb, cases[i].path, &m), CODE_OK);
        assert_null(m.method);
        assert_string_equal(m.allow, cases[i].allow);
    }
}

static void refuses_other_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        enum code code;
    } cases[] = {
        {"", CODE_NOT_FOUND},
        {"/", CODE_NOT_FOUND},
        {"*", CODE_NOT_FOUND},
        {"/api/v1/job", CODE_NOT_FOUND},
        {"/api/v1/jobs//", CODE_NOT_FOUND},
        {"//api/v1/jobs", CODE_NOT_FOUND},
        {"/api/v1/jobs/a/b", CODE_NOT_FOUND},
        {"/api/v1/jobs//cancel", CODE_NOT_FOUND},
        {"/a/b/c/d/e/f/g/h/i/j", CODE_NOT_FOUND},
        {"/api/v1/jobs/%", CODE_INVALID_ARGUMENT},
        {"/api/v1/jobs/%4", CODE_INVALID_ARGUMENT},
        {"/api/v1/jobs/%zz", CODE_INVALID_ARGUMENT},
        {"/api/v1/jobs/%4/cancel", CODE_INVALID_ARGUMENT},
        {"/api/v1/jobs/%00", CODE_INVALID_ARGUMENT},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct route_match m;
        enum code code = route_find(&cx, table, "GET", cases[i].path, &m);
        if (code != cases[i].code)
            fail_msg("\"%s\": %s", cases[i].path, code_name(code));
        ctx_clear(&cx);
    }
}

static void refuses_bad_templates(void **state)
{
    (void)state;
    static const struct method bad[] = {
        M("GET", "/a/{nothing}", get_job_request),
        M("GET", "/a/{job_id=*}", get_job_request),
        M("GET", "/a/x{job_id}", get_job_request),
        M("GET", "a", get_job_request),
        M("GET", "/a//b", get_job_request),
        M("GET", "", get_job_request),
        M("GET", "/1/2/3/4/5/6/7/8/9", get_job_request),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct route_table *t;
        if (route_compile(&cx, &bad[i], 1, &t) != CODE_INTERNAL)
            fail_msg("\"%s\" was accepted", bad[i].route);
        ctx_clear(&cx);
    }
    const struct method twice[] = {methods[0], methods[0]};
    struct route_table *t;
    assert_int_equal(route_compile(&cx, twice, 2, &t), CODE_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_the_most_literal_place, setup, teardown),
        cmocka_unit_test_setup_teardown(says_which_verbs_are_allowed, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_other_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_bad_templates, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
