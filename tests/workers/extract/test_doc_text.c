/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_doc_text.c - plain text: charsets, line ends, where pages are cut, nothing lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/str.h"
#include "workers/extract/doc.h"

struct opened {
    struct ctx cx;
    struct doc *doc;
    enum code code;
};

static void open_bytes(struct opened *o, const void *data, size_t len, int max_pages)
{
    ctx_init(&o->cx, CTX_DEFAULT_LIMIT);
    struct doc_source src = {.data = data,
                             .len = len,
                             .content_type = "text/plain",
                             .password = "",
                             .max_pages = max_pages};
    o->doc = NULL;
    o->code = doc_open(&o->cx, &src, &o->doc);
}

static void done(struct opened *o)
{
    doc_close(o->doc);
    ctx_done(&o->cx);
}

static const char *page(struct opened *o, int n)
{
    static Extract__V1__Page out;
    out = (Extract__V1__Page)EXTRACT__V1__PAGE__INIT;
    assert_int_equal(o->doc->ops->read_page(&o->cx, o->doc, n, &out), CODE_OK);
    size_t len = strlen(out.text);
    assert_int_equal(str_utf8_prefix(out.text, len), len);
    return out.text;
}

static void expect(const void *data, size_t len, const char *want)
{
    struct opened o;
    open_bytes(&o, data, len, 0);
    assert_int_equal(o.code, CODE_OK);
    assert_int_equal(o.doc->page_count, 1);
    assert_string_equal(page(&o, 1), want);
    done(&o);
}

static void charsets(void **state)
{
    (void)state;
    expect("plain\n", 6, "plain\n");
    expect("\xef\xbb\xbfmark", 7, "mark");
    expect("gr\xc3\xbc\xc3\x9f", 6, "grüß");
    expect("\xff\xfeg\0r\0\xfc\0\xdf\0", 10, "grüß");
    expect("\xfe\xff\0g\0r\0\xfc\0\xdf", 10, "grüß");
    expect("\xff\xfe\x3d\xd8\0\xde", 6, "\xf0\x9f\x98\x80");
    static const char western[] = "Die Stra\xdf"
                                  "e f\xfchrt \xfc"
                                  "ber die Br\xfc"
                                  "cke \x80 5 \x96 und "
                                  "zur\xfc"
                                  "ck in die sch\xf6ne Stadt.";
    expect(western, sizeof(western) - 1,
           "Die Straße führt über die Brücke € 5 – und zurück in die schöne Stadt.");
}

static void cyrillic_is_found(void **state)
{
    (void)state;
    /* KOI8-R, long enough to be sure of */
    static const char koi[] = "\xf5\xd3\xd4\xc1\xce\xcf\xd7\xcb\xc1 \xd3\xc9\xd3\xd4\xc5\xcd\xd9. "
                              "\xf0\xc5\xd2\xc5\xc4 \xce\xc1\xde\xc1\xcc\xcf\xcd "
                              "\xd5\xd3\xd4\xc1\xce\xcf\xd7\xcb\xc9 "
                              "\xce\xc5\xcf\xc2\xc8\xcf\xc4\xc9\xcd\xcf "
                              "\xd0\xd2\xcf\xde\xc9\xd4\xc1\xd4\xd8 \xdc\xd4\xcf "
                              "\xd2\xd5\xcb\xcf\xd7\xcf\xc4\xd3\xd4\xd7\xcf \xc9 "
                              "\xd0\xcf\xc4\xc7\xcf\xd4\xcf\xd7\xc9\xd4\xd8 \xc4\xc9\xd3\xcb.";
    expect(koi, sizeof(koi) - 1,
           "Установка системы. Перед началом установки необходимо прочитать это руководство "
           "и подготовить диск.");
}

static void a_broken_byte_is_not_mojibake(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    for (int i = 0; i < 100; i++)
        buf_str(&b, "überall Größe ");
    buf_str(&b, "\xff");
    CLEANUP(buf_done) struct buf want = BUF_INIT(0);
    buf_add(&want, b.data, b.len - 1);
    buf_str(&want, "\xef\xbf\xbd");
    expect(b.data, b.len, want.data);
}

static void line_ends_and_controls(void **state)
{
    (void)state;
    expect("a\r\nb\rc\nd", 8, "a\nb\nc\nd");
    expect("a\0b\x01"
           "c\td",
           7, "a b c\td");
}

static void form_feeds(void **state)
{
    (void)state;
    struct opened o;
    static const char text[] = "one\f\ftwo\f";
    open_bytes(&o, text, sizeof(text) - 1, 0);
    assert_int_equal(o.doc->page_count, 3); /* none behind the last feed */
    assert_string_equal(page(&o, 1), "one");
    assert_string_equal(page(&o, 2), "");
    assert_string_equal(page(&o, 3), "two");
    done(&o);
    open_bytes(&o, text, sizeof(text) - 1, 2);
    assert_int_equal(o.code, CODE_TOO_LARGE);
    assert_non_null(strstr(ctx_message(&o.cx), "2 pages"));
    done(&o);
}

static void nothing_is_lost(const struct buf *text, int max_pages, int least)
{
    struct opened o;
    open_bytes(&o, text->data, text->len, max_pages);
    assert_int_equal(o.code, CODE_OK);
    assert_true(o.doc->page_count >= least);
    assert_true(!max_pages || o.doc->page_count <= max_pages);
    CLEANUP(buf_done) struct buf joined = BUF_INIT(0);
    for (int i = 1; i <= o.doc->page_count; i++)
        buf_str(&joined, page(&o, i));
    assert_int_equal(joined.len, text->len);
    assert_memory_equal(joined.data, text->data, text->len);
    done(&o);
}

static void long_texts(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf lines = BUF_INIT(0);
    CLEANUP(buf_done) struct buf words = BUF_INIT(0);
    CLEANUP(buf_done) struct buf solid = BUF_INIT(0);
    for (int i = 0; i < 2000; i++) {
        buf_printf(&lines, "line %d with ä and 漢字\n%s", i, i % 7 ? "" : "\n");
        buf_printf(&words, "word%d ", i);
        buf_str(&solid, "漢字");
    }
    nothing_is_lost(&lines, 0, 15);
    nothing_is_lost(&words, 0, 5);
    nothing_is_lost(&solid, 0, 2);
    nothing_is_lost(&lines, 3, 1);
    nothing_is_lost(&solid, 1, 1);
}

static void cut_at_an_empty_line(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    for (int i = 0; i < 28; i++)
        buf_printf(&b, "%099d\n", i);
    buf_str(&b, "\n");
    for (int i = 0; i < 28; i++)
        buf_printf(&b, "%099d\n", i);
    struct opened o;
    open_bytes(&o, b.data, b.len, 0);
    assert_int_equal(o.doc->page_count, 2);
    assert_int_equal(strlen(page(&o, 1)), 2801);
    done(&o);
}

static void empty_and_blank(void **state)
{
    (void)state;
    struct opened o;
    open_bytes(&o, "", 0, 0);
    assert_int_equal(o.code, CODE_UNREADABLE);
    done(&o);
    open_bytes(&o, "\xef\xbb\xbf", 3, 0);
    assert_int_equal(o.code, CODE_UNREADABLE);
    done(&o);
    open_bytes(&o, " \n\n ", 4, 0);
    assert_int_equal(o.code, CODE_OK);
    Extract__V1__Page out = EXTRACT__V1__PAGE__INIT;
    assert_int_equal(o.doc->ops->read_page(&o.cx, o.doc, 1, &out), CODE_OK);
    assert_int_equal(out.verdict, EXTRACT__V1__VERDICT__VERDICT_BLANK);
    done(&o);
}

static void sniffing(void **state)
{
    (void)state;
    assert_string_equal(doc_sniff((const unsigned char *)"\n\n%PDF-1.4", 10), "application/pdf");
    assert_string_equal(doc_sniff((const unsigned char *)"hello", 5), "text/plain");
    assert_string_equal(doc_sniff((const unsigned char *)"\xff\xd8\xff\xe0", 4), "image/jpeg");
    assert_null(doc_sniff((const unsigned char *)"MZ\0\0\0", 5));
    assert_null(doc_sniff((const unsigned char *)"", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(charsets),
        cmocka_unit_test(cyrillic_is_found),
        cmocka_unit_test(a_broken_byte_is_not_mojibake),
        cmocka_unit_test(line_ends_and_controls),
        cmocka_unit_test(form_feeds),
        cmocka_unit_test(long_texts),
        cmocka_unit_test(cut_at_an_empty_line),
        cmocka_unit_test(empty_and_blank),
        cmocka_unit_test(sniffing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
