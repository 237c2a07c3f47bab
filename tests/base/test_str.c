/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_str.c - strict reading and safe writing of short texts (base/str.h).
 *
 * Everything here comes from strangers sooner or later: numbers in queries, ids in paths, names of
 * uploads. The tables list what people and attackers really send. */
#include "tests/support/check.h"

#include <string.h>

#include "base/str.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static void a_number_is_the_whole_text_and_in_range(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        int64_t value;
    } cases[] = {
        {"0", true, 0},     {"-5", true, -5},  {"200", true, 200},
        {"007", true, 7},   {"201", false, 0}, {"-6", false, 0},
        {"", false, 0},     {"-", false, 0},   {"+1", false, 0},
        {" 1", false, 0},   {"1 ", false, 0},  {"1.0", false, 0},
        {"0x10", false, 0}, {"1e2", false, 0}, {"99999999999999999999", false, 0},
        {"٣", false, 0},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t v = 77;
        if (str_parse_int(cases[i].text, -5, 200, &v) != cases[i].good)
            fail_msg("\"%s\"", cases[i].text);
        assert_int_equal(v, cases[i].good ? cases[i].value : 77);
    }
    int64_t v;
    assert_true(str_parse_int("9223372036854775807", INT64_MIN, INT64_MAX, &v));
    assert_true(str_parse_int("-9223372036854775808", INT64_MIN, INT64_MAX, &v));
    assert_false(str_parse_int("9223372036854775808", INT64_MIN, INT64_MAX, &v));
}

static void a_fraction_is_finite_and_decimal(void **state)
{
    (void)state;
    static const char *const good[] = {"0", "-1.5", "1e3", "0.25"};
    static const char *const bad[] = {"",      "nan", "inf", "-inf", "1e999",
                                      "0x1p3", "1,5", ".5",  " 1",   "1 "};
    double v;
    for (unsigned i = 0; i < ARRAY_LEN(good); i++)
        assert_true(str_parse_double(good[i], &v));
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        if (str_parse_double(bad[i], &v))
            fail_msg("\"%s\" is %f", bad[i], v);
}

static void an_id_is_36_characters_with_hyphens_in_their_places(void **state)
{
    (void)state;
    char id[37];
    str_uuid(id);
    assert_true(str_is_uuid(id));
    assert_int_equal(id[14], '4'); /* random, RFC 9562 */
    assert_true(str_is_uuid("0F8FAD5B-D9CB-469F-A165-70867728950E"));
    static const char *const bad[] = {"",
                                      "0f8fad5b",
                                      "0f8fad5b-d9cb-469f-a165-70867728950",
                                      "0f8fad5b-d9cb-469f-a165-70867728950e0",
                                      "0f8fad5bd9cb-469f-a165-70867728950e-",
                                      "{0f8fad5b-d9cb-469f-a165-70867728950}",
                                      "0f8fad5b-d9cb-469f-a165-70867728950g",
                                      "../../../../../../../../../etc/passwd"};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(str_is_uuid(bad[i]));
}

static void only_shortest_forms_of_real_characters_are_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t len, valid;
    } cases[] = {
        {"", 0, 0},
        {"plain", 5, 5},
        {"gr\xc3\xbc\xc3\x9f", 6, 6},
        {"\xe2\x82\xac", 3, 3},
        {"\xf0\x9f\x98\x80", 4, 4},
        {"a\0b", 3, 3},
        {"\xf4\x8f\xbf\xbf", 4, 4}, /* U+10FFFF */
        {"\xf4\x90\x80\x80", 4, 0}, /* behind it */
        {"\xed\x9f\xbf", 3, 3},
        {"\xed\xa0\x80", 3, 0}, /* a surrogate */
        {"\xc0\xaf", 2, 0},
        {"\xe0\x80\xaf", 3, 0},
        {"\xf0\x80\x80\xaf", 4, 0}, /* "/", overlong */
        {"ab\x80", 3, 2},
        {"ab\xc3", 3, 2},
        {"ab\xe2\x82", 4, 2},
        {"\xff", 1, 0},
        {"\xc3(", 2, 0},
        {"eight ok\xff", 9, 8},
        {"seven..\xc3\xbc and more\xff", 19, 18},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        if (str_utf8_prefix(cases[i].text, cases[i].len) != cases[i].valid)
            fail_msg("case %u: %zu", i, str_utf8_prefix(cases[i].text, cases[i].len));
}

static void repair_replaces_each_bad_byte_and_nothing_else(void **state)
{
    (void)state;
    size_t n;
    assert_string_equal(str_utf8_repair(&arena,
                                        "a\xff"
                                        "b\xc3",
                                        4, &n),
                        "a\xef\xbf\xbd"
                        "b\xef\xbf\xbd");
    assert_int_equal(n, 8);
    assert_string_equal(str_utf8_repair(&arena, "gut", 3, &n), "gut");
    assert_int_equal(n, 3);
}

static void offsets_count_characters_not_bytes(void **state)
{
    (void)state;
    const char *s = "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80z";
    size_t n = strlen(s);
    assert_int_equal(str_utf8_count(s, n), 5);
    static const size_t at[] = {0, 1, 3, 6, 10, 11, 11};
    for (size_t i = 0; i < ARRAY_LEN(at); i++)
        assert_int_equal(str_utf8_offset(s, n, i), at[i]);
}

static void a_safe_name_is_one_harmless_path_component(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t len; /* 0: strlen */
        const char *safe;
    } cases[] = {
        {"report.pdf", 0, "report.pdf"},
        {"../../etc/passwd", 0, "passwd"},
        {"..\\..\\boot.ini", 0, "boot.ini"},
        {"C:\\Users\\me\\letter.pdf", 0, "letter.pdf"},
        {"/etc/shadow", 0, "shadow"},
        {"", 0, "unnamed"},
        {".", 0, "unnamed"},
        {"..", 0, "unnamed"},
        {"a/..", 0, "unnamed"},
        {"a\0b.pdf", 7, "a_b.pdf"},
        {"\0", 1, "_"},
        {"two\nlines\r.pdf", 0, "two_lines_.pdf"},
        {"\x1b[31mred.pdf", 0, "_[31mred.pdf"},
        {"not\xff utf8.pdf", 0, "not\xef\xbf\xbd utf8.pdf"},
        {"R\xc3\xa9sum\xc3\xa9 \xe6\x96\x87.pdf", 0, "R\xc3\xa9sum\xc3\xa9 \xe6\x96\x87.pdf"},
        {"c1\xc2\x9b"
         "31m.pdf",
         0, "c1__31m.pdf"},
        {"cod\xe2\x80\xae"
         "fdp.exe",
         0, "cod___fdp.exe"}, /* would be shown as codexe.pdf */
        {".hidden", 0, ".hidden"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = cases[i].len ? cases[i].len : strlen(cases[i].name);
        assert_string_equal(str_safe_name(&arena, cases[i].name, n), cases[i].safe);
    }
    CONTAINS(str_safe_name(&arena, "a/b/", 4), "a_b"); /* nothing behind the last slash */
}

static void a_long_name_keeps_its_extension_and_whole_characters(void **state)
{
    (void)state;
    char name[5005];
    memset(name, 'x', 5000);
    memcpy(name + 5000, ".pdf", 5);
    char *safe = str_safe_name(&arena, name, strlen(name));
    assert_int_equal(strlen(safe), 200);
    assert_true(str_ends(safe, "x.pdf"));

    for (int i = 0; i + 2 < 5000; i += 3)
        memcpy(name + i, "\xe6\x96\x87", 3);
    safe = str_safe_name(&arena, name, strlen(name));
    assert_in_range(strlen(safe), 190, 200);
    assert_int_equal(str_utf8_prefix(safe, strlen(safe)), strlen(safe));
    assert_true(str_ends(safe, ".pdf"));

    memset(name, 'y', sizeof(name)); /* no extension, or one that is a name itself */
    name[10] = '.';
    assert_int_equal(strlen(str_safe_name(&arena, name, 5000)), 200);
    memset(name, '\xff', sizeof(name)); /* three bytes out of each */
    safe = str_safe_name(&arena, name, 5000);
    assert_in_range(strlen(safe), 190, 200);
    assert_int_equal(str_utf8_prefix(safe, strlen(safe)), strlen(safe));
}

static void a_name_needs_no_more_memory_than_there_is(void **state)
{
    (void)state;
    struct arena small;
    arena_init(&small, 64);
    char name[5000];
    memset(name, 'x', sizeof(name));
    assert_null(str_safe_name(&small, name, sizeof(name)));
    arena_reset(&small);
}

static void json_strings_are_escaped_and_valid(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    str_json_n(&b, "a\"b\\c\n\t\r\x01\0\xff\xc3\xbc", 13);
    assert_string_equal(buf_cstr(&b), "\"a\\\"b\\\\c\\n\\t\\r\\u0001\\u0000\xef\xbf\xbd\xc3\xbc\"");
}

static void sizes_are_short_and_in_powers_of_1000(void **state)
{
    (void)state;
    static const struct {
        int64_t bytes;
        const char *text;
    } cases[] = {{0, "0 B"},          {999, "999 B"},         {1500, "1.5 kB"},
                 {23000000, "23 MB"}, {1000000000, "1.0 GB"}, {INT64_MAX, "9223 PB"}};
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        char out[32];
        str_print_bytes(cases[i].bytes, out);
        assert_string_equal(out, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_is_the_whole_text_and_in_range),
        cmocka_unit_test(a_fraction_is_finite_and_decimal),
        cmocka_unit_test(an_id_is_36_characters_with_hyphens_in_their_places),
        cmocka_unit_test(only_shortest_forms_of_real_characters_are_utf8),
        cmocka_unit_test(repair_replaces_each_bad_byte_and_nothing_else),
        cmocka_unit_test(offsets_count_characters_not_bytes),
        cmocka_unit_test(a_safe_name_is_one_harmless_path_component),
        cmocka_unit_test(a_long_name_keeps_its_extension_and_whole_characters),
        cmocka_unit_test(a_name_needs_no_more_memory_than_there_is),
        cmocka_unit_test(json_strings_are_escaped_and_valid),
        cmocka_unit_test(sizes_are_short_and_in_powers_of_1000),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
