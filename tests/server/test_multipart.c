/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_multipart.c - forms read piece by piece (server/multipart.h).
 *
 * Every form is fed whole and in pieces of every size from 1 byte on; the outcome must be the same.
 * It is written down as a text: "name(filename)=data;" a part, or the message of the refusal. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#include "base/buf.h"
#include "server/multipart.h"

static const char type[] = "multipart/form-data; boundary=XX";

struct story {
    struct buf text;
    struct ctx *cx;
};

static enum code on_begin(void *arg, const struct multipart_part *part)
{
    struct story *s = arg;
    if (part->name_len == 6 && memcmp(part->name, "refuse", 6) == 0)
        return ctx_fail(s->cx, CODE_UNSUPPORTED, "refused");
    buf_add(&s->text, part->name, part->name_len);
    if (part->has_filename) {
        buf_char(&s->text, '(');
        buf_add(&s->text, part->filename, part->filename_len);
        buf_char(&s->text, ')');
    }
    buf_char(&s->text, '=');
    return CODE_OK;
}

static enum code on_data(void *arg, const char *data, size_t len)
{
    struct story *s = arg;
    assert_true(len > 0);
    buf_add(&s->text, data, len);
    return CODE_OK;
}

static enum code on_end(void *arg)
{
    struct story *s = arg;
    buf_char(&s->text, ';');
    return CODE_OK;
}

static enum code feed_in_pieces(struct ctx *cx, struct multipart *m, const char *form, size_t len,
                                size_t piece)
{
    for (size_t i = 0; i < len; i += piece)
        TRY(multipart_feed(cx, m, form + i, MIN(piece, len - i)));
    return multipart_finish(cx, m);
}

static void assert_story_n(const char *form, size_t len, const char *expected)
{
    for (size_t piece = 1; piece <= len + 1; piece += piece < 100 ? 1 : len) {
        struct ctx cx;
        ctx_init(&cx, CTX_DEFAULT_LIMIT);
        struct story s = {.cx = &cx};
        const struct multipart_sink sink = {on_begin, on_data, on_end, &s};
        struct multipart *m;
        assert_int_equal(multipart_new(&cx, type, &sink, &m), CODE_OK);
        enum code code = feed_in_pieces(&cx, m, form, len, piece);
        const char *told = code == CODE_OK ? buf_cstr(&s.text) : ctx_message(&cx);
        if (strcmp(told, expected) != 0)
            fail_msg("pieces of %zu: \"%s\" instead of \"%s\"", piece, told, expected);
        buf_done(&s.text);
        ctx_done(&cx);
    }
}

static void assert_story(const char *form, const char *expected)
{
    assert_story_n(form, strlen(form), expected);
}

#define D "Content-Disposition: form-data; "
#define END "\r\n--XX--\r\n"

static void reads_parts(void **state)
{
    (void)state;
    assert_story("--XX\r\n" D "name=\"a\"\r\n\r\n1\r\n--XX\r\n" D "name=b\r\n\r\n2" END,
                 "a=1;b=2;");
    assert_story("--XX--", "");
    assert_story("\r\n--XX--", "");
    assert_story("--XX\r\n" D "name=\"a\"\r\n\r\n" END, "a=;");
    assert_story("in front\r\n--XX \t\r\n" D "name=a\r\n\r\n1" END "behind --XX\r\n", "a=1;");
    assert_story("--XX\r\nX-Other: y\r\ncontent-disposition:form-data;name=a\r\n\r\n1" END, "a=1;");
    assert_story("--XX\r\nContent-Type: text/plain\r\n" D
                 "name=\"f\"; filename=\"x.pdf\"\r\n\r\nabc" END,
                 "f(x.pdf)=abc;");
}

static void is_not_fooled_by_near_delimiters(void **state)
{
    (void)state;
    assert_story("--XX\r\n" D "name=a\r\n\r\n\r\n--X\r\n--XY\r\r\n\r\n-\r\n--\r\n\r\n--X" END,
                 "a=\r\n--X\r\n--XY\r\r\n\r\n-\r\n--\r\n\r\n--X;");
    assert_story("--XX\r\n" D "name=a\r\n\r\n--XX" END, "a=--XX;");
    assert_story("x--XX\r\n--XX\r\n" D "name=a\r\n\r\n\r\n" END, "a=\r\n;");
}

static void reads_file_names(void **state)
{
    (void)state;
    assert_story("--XX\r\n" D "name=f; filename=\"\"\r\n\r\n" END, "f()=;");
    assert_story("--XX\r\n" D "name=f; filename=\"a\\\"b;c.pdf\"\r\n\r\n" END, "f(a\"b;c.pdf)=;");
    assert_story("--XX\r\n" D "name=f; filename=\"C:\\dir\\f.pdf\"\r\n\r\n" END,
                 "f(C:\\dir\\f.pdf)=;");
    assert_story("--XX\r\n" D "name=f; filename=x; filename*=UTF-8''%e2%82%AC.pdf\r\n\r\n" END,
                 "f(\xe2\x82\xac.pdf)=;");
    assert_story("--XX\r\n" D "name=f; filename*=UTF-8''%e2%82%AC.pdf; filename=x\r\n\r\n" END,
                 "f(\xe2\x82\xac.pdf)=;");
    assert_story("--XX\r\n" D "name=f; filename*=a%\r\n\r\n" END, "f(a%)=;");
    static const char nul[] = "--XX\r\n" D "name=f; filename=\"a\0b\"\r\n\r\n\0" END;
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    struct story s = {.cx = &cx};
    const struct multipart_sink sink = {on_begin, on_data, on_end, &s};
    struct multipart *m;
    assert_int_equal(multipart_new(&cx, type, &sink, &m), CODE_OK);
    assert_int_equal(multipart_feed(&cx, m, nul, sizeof(nul) - 1), CODE_OK);
    assert_int_equal(s.text.len, strlen("f(a.b)=.;"));
    assert_memory_equal(s.text.data, "f(a\0b)=\0;", s.text.len);
    buf_done(&s.text);
    ctx_done(&cx);
}

static void refuses_malformed_forms(void **state)
{
    (void)state;
    static const struct {
        const char *form, *what;
    } bad[] = {
        {"", "the closing boundary is missing"},
        {"--XX", "the closing boundary is missing"},
        {"--XX\r\n" D "name=a\r\n\r\n1", "the closing boundary is missing"},
        {"--XX\r\n" D "name=a\r\n\r\n1\r\n--XX", "the closing boundary is missing"},
        {"--XX\r\n" D "name=a\r\n\r\n1\r\n--XX-", "the closing boundary is missing"},
        {"--XXY\r\n", "text behind a boundary"},
        {"--XX\r\n\r\nx" END, "a part without a name"},
        {"--XX\r\n" D "filename=a\r\n\r\nx" END, "a part without a name"},
        {"--XX\r\n" D "name=\"a\r\n\r\nx" END, "a part without a name"},
        {"--XX\r\nContent-Disposition: attachment; name=a\r\n\r\nx" END, "a part is not form-data"},
        {"--XX\r\nnothing\r\n\r\nx" END, "a header without a colon"},
        {"--XX\r\nContent-Transfer-Encoding: base64\r\n" D "name=a\r\n\r\nx" END,
         "a transfer encoding that is not binary"},
    };
    char message[128];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        strcpy(message, "malformed multipart body: ");
        strcat(message, bad[i].what);
        assert_story(bad[i].form, message);
    }
    assert_story("--XX\r\n" D "name=refuse\r\n\r\n1" END, "refused");
}

static void bounds_heads_and_parts(void **state)
{
    (void)state;
    struct buf b = BUF_INIT(0);
    buf_str(&b, "--XX\r\nX: ");
    for (int i = 0; i < 20000; i++)
        buf_char(&b, 'x');
    buf_str(&b, "\r\n" D "name=a\r\n\r\n" END);
    assert_story_n(b.data, b.len, "malformed multipart body: the headers of a part are too long");
    buf_clear(&b);
    for (int i = 0; i < 100; i++)
        buf_str(&b, "\r\n--XX\r\n" D "name=a\r\n\r\n1");
    buf_str(&b, END);
    assert_story_n(b.data, b.len, "malformed multipart body: too many parts");
    buf_done(&b);
}

static void checks_the_content_type(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        enum code code;
    } cases[] = {
        {"multipart/form-data; boundary=x", CODE_OK},
        {"Multipart/Form-Data;charset=y; BOUNDARY=\"a b\"", CODE_OK},
        {"multipart/form-data", CODE_INVALID_ARGUMENT},
        {"multipart/form-data; boundary=", CODE_INVALID_ARGUMENT},
        {"multipart/form-data; boundary=\"x", CODE_INVALID_ARGUMENT},
        {"multipart/form-data; boundary=\"x \"", CODE_INVALID_ARGUMENT},
        {"multipart/form-data; boundary=\"x\ry\"", CODE_INVALID_ARGUMENT},
        {"multipart/form-data; boundary="
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         CODE_INVALID_ARGUMENT},
        {"multipart/mixed; boundary=x", CODE_UNSUPPORTED},
        {"application/json", CODE_UNSUPPORTED},
        {"", CODE_UNSUPPORTED},
    };
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct multipart *m;
        const struct multipart_sink sink = {0};
        if (multipart_new(&cx, cases[i].type, &sink, &m) != cases[i].code)
            fail_msg("\"%s\": %s", cases[i].type, ctx_message(&cx));
        ctx_clear(&cx);
    }
    ctx_done(&cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_parts),
        cmocka_unit_test(is_not_fooled_by_near_delimiters),
        cmocka_unit_test(reads_file_names),
        cmocka_unit_test(refuses_malformed_forms),
        cmocka_unit_test(bounds_heads_and_parts),
        cmocka_unit_test(checks_the_content_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
