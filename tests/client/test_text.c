/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_text.c - texts for a terminal: what is escaped, how wide it is, where it is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <locale.h>
#include <stdlib.h>
#include <time.h>

#include "client/bar.h"
#include "client/table.h"
#include "client/text.h"
#include "localrag/v1/job.pb-c.h"

static void assert_safe(const char *in, const char *out)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    text_safe(&b, in);
    assert_string_equal(buf_cstr(&b), out);
}

static void control_characters_are_escaped(void **state UNUSED)
{
    assert_safe("plain", "plain");
    assert_safe("a\x1b]0;title\x07z", "a\\x1b]0;title\\x07z");
    assert_safe("a\nb\tc\r", "a\\nb\\tc\\r");
    assert_safe("\x7f", "\\x7f");
    assert_safe("\xc2\x9b"
                "31m",
                "\\x9b31m"); /* U+009B, the one-byte CSI */
    assert_safe("a\xe2\x80\xae"
                "fdp.exe",
                "a\\u202efdp.exe");
    assert_safe("\xff\xc3", "\\xff\\xc3");
    assert_safe("\xc3\xa4\xe6\x97\xa5", "\xc3\xa4\xe6\x97\xa5");
}

static void lines_keep_their_feeds(void **state UNUSED)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    text_safe_lines(&b, "a\n\tb\f\x1b");
    assert_string_equal(buf_cstr(&b), "a\n\tb\f\\x1b");
}

static void widths(void **state UNUSED)
{
    assert_int_equal(text_width("abc"), 3);
    assert_int_equal(text_width("\xc3\xa4"), 1);
    assert_int_equal(text_width("\xe6\x97\xa5\xe6\x9c\xac"), 4); /* two wide characters */
    assert_int_equal(text_width("e\xcc\x81"), 1); /* e and a combining accent */
}

static void assert_fit(const char *in, size_t columns, bool pad, const char *out)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    text_fit(&b, in, columns, pad);
    assert_string_equal(buf_cstr(&b), out);
}

static void fitting(void **state UNUSED)
{
    assert_fit("abc", 5, true, "abc  ");
    assert_fit("abc", 3, true, "abc");
    assert_fit("abcd", 3, false, "ab\xe2\x80\xa6");
    assert_fit("\xe6\x97\xa5\xe6\x9c\xac", 3, true, "\xe6\x97\xa5\xe2\x80\xa6");
    assert_fit("\xe6\x97\xa5\xe6\x9c\xac", 2, true, "\xe2\x80\xa6 ");
    assert_fit("abc", 0, true, "");
}

static void times_and_enums(void **state UNUSED)
{
    char out[32];
    Google__Protobuf__Timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    t.seconds = 1700000000;
    text_time(&t, out);
    assert_string_equal(out, "2023-11-14 22:13:20");
    text_time(NULL, out);
    assert_string_equal(out, "-");
    const ProtobufCEnumDescriptor *d = &localrag__v1__task_type__descriptor;
    text_enum(d, LOCALRAG__V1__TASK_TYPE__TASK_TYPE_SINGLE_DOCUMENT, out);
    assert_string_equal(out, "single_document");
    text_enum(d, 0, out);
    assert_string_equal(out, "-");
    text_enum(d, 99, out);
    assert_string_equal(out, "99");
    assert_int_equal(text_enum_value(d, "maintenance"),
                     LOCALRAG__V1__TASK_TYPE__TASK_TYPE_MAINTENANCE);
    assert_int_equal(text_enum_value(d, "nonsense"), 0);
}

static void assert_bar(double percent, size_t columns, const char *out)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    bar_draw(&b, "a\n.pdf", percent, "Processing page 13 of 20", columns, false);
    assert_true(text_width(buf_cstr(&b)) <= columns);
    assert_string_equal(buf_cstr(&b), out);
}

static void bars(void **state UNUSED)
{
    assert_bar(65, 60, "a\\n.pdf               #######-----  65 %  Processing page 1\xe2\x80\xa6");
    assert_bar(99.9, 30, "a\\n.pdf     #####-  99 %");
    assert_bar(100, 30, "a\\n.pdf     ###### 100 %");
    assert_bar(-5, 30, "a\\n.pdf     ------   0 %");
    assert_bar(1e9, 12, "a\\n.pdf100 %");
    assert_bar(50, 3, "");
}

static void lines_of_a_log(void **state UNUSED)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    bar_line(&b, "report.pdf", 65, "Processing page 13 of 20");
    bar_line(&b, "report.pdf", -1, "Uploading\x1b");
    assert_string_equal(buf_cstr(&b), "report.pdf: Processing page 13 of 20 (65.0 %)\n"
                                      "report.pdf: Uploading\\x1b\n");
}

static void tables(void **state UNUSED)
{
    static const struct table_column columns[] = {{"ID", false}, {"N", true}, {"NAME", false}};
    struct table t = {.columns = columns, .n_columns = ARRAY_LEN(columns)};
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    for (int i = 0; i < 100; i++) /* grows */
        assert_int_equal(table_row(&cx, &t, (const char *const[]){"x", "1", "a long name here"}),
                         CODE_OK);
    t.n_cells = 3;
    assert_int_equal(table_row(&cx, &t, (const char *const[]){"yyy", "1000", NULL}), CODE_OK);
    table_print(&b, &t, 0);
    assert_string_equal(buf_cstr(&b), "ID      N  NAME\n"
                                      "x       1  a long name here\n"
                                      "yyy  1000  -\n");
    buf_clear(&b);
    table_print(&b, &t, 20);
    assert_string_equal(buf_cstr(&b), "ID      N  NAME\n"
                                      "x       1  a long n\xe2\x80\xa6\n"
                                      "yyy  1000  -\n");
    ctx_done(&cx);
}

int main(void)
{
    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    setenv("TZ", "UTC", 1);
    tzset();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_escaped),
        cmocka_unit_test(lines_keep_their_feeds),
        cmocka_unit_test(widths),
        cmocka_unit_test(fitting),
        cmocka_unit_test(times_and_enums),
        cmocka_unit_test(bars),
        cmocka_unit_test(lines_of_a_log),
        cmocka_unit_test(tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
