/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_openapi.c - the OpenAPI document (server/openapi.h) and the list of bad fields
 * (server/badfields.h).
 *
 * That the document is true is shown by driving the server with it; here it is shown to be whole:
 * every route of the table is in it, every reference leads somewhere. It is read with this
 * project's own JSON reader, as a google.protobuf.Value. */
#include <stdio.h>
#include <string.h>

#include "base/pbjson.h"
#include "google/protobuf/struct.pb-c.h"
#include "server/badfields.h"
#include "server/openapi.h"
#include "tests/support/check.h"

static struct ctx cx;
static struct openapi document;
static const Google__Protobuf__Struct *root;

static int setup(void **state)
{
    (void)state;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    size_t n;
    if (methods_init(&cx) != CODE_OK)
        return -1;
    const struct method *all = methods_all(&n);
    ProtobufCMessage *m;
    if (openapi_build(&cx, all, n, &document) != CODE_OK ||
        pbjson_read(&cx, &google__protobuf__struct__descriptor, document.json, document.len, &m) !=
            CODE_OK) {
        print_error("%s\n", ctx_message(&cx));
        return -1;
    }
    root = (const void *)m;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_done(&cx);
    return 0;
}

/* ---- walking ---- */

static const Google__Protobuf__Value *get(const Google__Protobuf__Struct *s, const char *key)
{
    for (size_t i = 0; s && i < s->n_fields; i++)
        if (strcmp(s->fields[i]->key, key) == 0)
            return s->fields[i]->value;
    return NULL;
}

static const Google__Protobuf__Struct *object(const Google__Protobuf__Struct *s, const char *key)
{
    const Google__Protobuf__Value *v = get(s, key);
    return v && v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE ? v->struct_value : NULL;
}

static const Google__Protobuf__ListValue *list(const Google__Protobuf__Struct *s, const char *key)
{
    const Google__Protobuf__Value *v = get(s, key);
    return v && v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE ? v->list_value : NULL;
}

static const char *text(const Google__Protobuf__Struct *s, const char *key)
{
    const Google__Protobuf__Value *v = get(s, key);
    return v && v->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE ? v->string_value : "";
}

static const Google__Protobuf__Struct *operation(const struct method *m)
{
    char verb[16] = "";
    for (size_t i = 0; m->verb[i] && i + 1 < sizeof(verb); i++)
        verb[i] = (char)(m->verb[i] | 0x20);
    return object(object(object(root, "paths"), m->route), verb);
}

static const Google__Protobuf__Struct *param(const Google__Protobuf__Struct *op, const char *name)
{
    const Google__Protobuf__ListValue *params = list(op, "parameters");
    for (size_t i = 0; params && i < params->n_values; i++)
        if (strcmp(text(params->values[i]->struct_value, "name"), name) == 0)
            return params->values[i]->struct_value;
    return NULL;
}

/* ---- tests ---- */

static void every_route_is_in_it(void **state)
{
    (void)state;
    size_t n;
    const struct method *all = methods_all(&n);
    for (size_t i = 0; i < n; i++) {
        const Google__Protobuf__Struct *op = operation(&all[i]);
        if (!op)
            fail_msg("%s %s is not in the document", all[i].verb, all[i].route);
        assert_string_equal(text(op, "operationId"), strrchr(all[i].path, '/') + 1);
        assert_true(strlen(text(op, "description")) > 10); /* from the .proto */
        assert_non_null(object(object(op, "responses"), "400"));
        assert_true((object(op, "requestBody") != NULL) == (*all[i].body != '\0'));
        for (unsigned k = 0; k < all[i].input->n_fields && !*all[i].body; k++) {
            const char *name = all[i].input->fields[k].name;
            const Google__Protobuf__Struct *p = param(op, name);
            char in_route[80];
            assert_non_null(p);
            snprintf(in_route, sizeof(in_route), "{%s}", name);
            assert_string_equal(text(p, "in"), strstr(all[i].route, in_route) ? "path" : "query");
        }
    }
}

static void nothing_else_is_in_it(void **state)
{
    (void)state;
    size_t n, operations = 0;
    methods_all(&n);
    const Google__Protobuf__Struct *paths = object(root, "paths");
    for (size_t i = 0; i < paths->n_fields; i++)
        operations += paths->fields[i]->value->struct_value->n_fields;
    assert_int_equal(operations, n);
}

static void references_lead_somewhere(void **state)
{
    (void)state;
    int found = 0;
    static const char start[] = "\"$ref\":\"#/components/";
    for (const char *s = document.json; (s = strstr(s, start)); found++) {
        char kind[32], name[80];
        s += sizeof(start) - 1;
        assert_int_equal(sscanf(s, "%31[a-z]/%79[A-Za-z_]\"", kind, name), 2);
        if (!get(object(object(root, "components"), kind), name))
            fail_msg("#/components/%s/%s is not there", kind, name);
    }
    assert_true(found > 50);
}

static void kinds_of_answers_are_told_apart(void **state)
{
    (void)state;
    const Google__Protobuf__Struct *upload =
        operation(methods_find("/localrag.v1.UploadService/UploadDocument"));
    assert_non_null(object(object(upload, "responses"), "202"));
    assert_non_null(object(object(upload, "responses"), "413"));
    assert_non_null(
        object(object(object(upload, "requestBody"), "content"), "multipart/form-data"));
    const Google__Protobuf__Struct *watch =
        operation(methods_find("/localrag.v1.JobService/WatchJob"));
    const Google__Protobuf__Struct *ok = object(object(watch, "responses"), "200");
    assert_non_null(object(object(ok, "content"), "text/event-stream"));
    assert_non_null(object(object(watch, "responses"), "204"));
    assert_non_null(param(watch, "Last-Event-ID"));
    const Google__Protobuf__Struct *result =
        operation(methods_find("/localrag.v1.JobService/GetJobResult"));
    assert_non_null(object(object(result, "responses"), "409")); /* its comment says WRONG_STATE */
}

static void schemas_follow_the_json_rules(void **state)
{
    (void)state;
    const Google__Protobuf__Struct *schemas = object(object(root, "components"), "schemas");
    const Google__Protobuf__Struct *job = object(schemas, "Job"),
                                   *properties = object(job, "properties");
    assert_int_equal(list(job, "required")->n_values, localrag__v1__job__descriptor.n_fields);
    assert_string_equal(text(object(properties, "job_id"), "type"), "string");
    assert_int_equal(list(object(properties, "error_code"), "type")->n_values, 2); /* or null */
    assert_string_equal(text(object(properties, "created_at"), "format"), "date-time");
    assert_non_null(list(object(properties, "status"), "anyOf"));
    assert_string_equal(list(object(schemas, "JobStatus"), "enum")->values[0]->string_value,
                        "pending");
    const Google__Protobuf__Struct *limit =
        object(param(operation(methods_find("/localrag.v1.JobService/ListJobs")), "limit"),
               "schema");
    assert_true(get(limit, "maximum")->number_value == 200);
    CONTAINS(text(object(properties, "progress"), "description"), "never falls");
}

static void the_same_document_has_the_same_tag(void **state)
{
    (void)state;
    size_t n;
    const struct method *all = methods_all(&n);
    struct openapi again, less;
    OK(&cx, openapi_build(&cx, all, n, &again));
    assert_string_equal(again.etag, document.etag);
    OK(&cx, openapi_build(&cx, all, n - 1, &less));
    assert_string_not_equal(less.etag, document.etag);
}

static void bad_fields_are_read_from_messages(void **state)
{
    (void)state;
    const struct method *list_jobs = methods_find("/localrag.v1.JobService/ListJobs");
    static const struct {
        const char *message, *fields; /* each with a semicolon */
    } cases[] = {
        {"limit: 500 is not between 1 and 200", "limit;"},
        {"field \"offset\": \"x\" is not an integer\nunknown field \"zz\"", "offset;zz;"},
        {"no field: this is about", ""},
        {"not valid JSON: x\nlimit: bad\n", "limit;"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP(buf_done) struct buf got = BUF_INIT(1024);
        const char *s = cases[i].message;
        struct badfield bad;
        while (badfields_next(&s, list_jobs, &bad)) {
            buf_add(&got, bad.field, bad.field_len);
            buf_char(&got, ';');
            assert_null(memchr(bad.message, '\n', bad.message_len));
        }
        assert_string_equal(buf_cstr(&got), cases[i].fields);
    }
    const char *s = "file: missing";
    struct badfield bad;
    assert_false(badfields_next(&s, NULL, &bad));
    s = "file: missing";
    assert_true(
        badfields_next(&s, methods_find("/localrag.v1.UploadService/UploadDocument"), &bad));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_in_it),
        cmocka_unit_test(nothing_else_is_in_it),
        cmocka_unit_test(references_lead_somewhere),
        cmocka_unit_test(kinds_of_answers_are_told_apart),
        cmocka_unit_test(schemas_follow_the_json_rules),
        cmocka_unit_test(the_same_document_has_the_same_tag),
        cmocka_unit_test(bad_fields_are_read_from_messages),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
