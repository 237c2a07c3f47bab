/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_sniff.c - what a document is, by its first bytes (base/sniff.h). */
#include "tests/support/check.h"

#include <string.h>

#include "base/sniff.h"

#define BYTES(s) s, sizeof(s) - 1

struct sample {
    const char *bytes;
    size_t len;
    const char *type; /* NULL: refused */
    const char *what; /* a part of what people are told */
};

static void check(const struct sample *s, bool whole)
{
    const char *what = NULL;
    const char *type = sniff_type((const unsigned char *)s->bytes, s->len, whole, &what);
    if ((type == NULL) != (s->type == NULL) || (type && strcmp(type, s->type) != 0))
        fail_msg("%.20s: %s (%s), expected %s", s->bytes, type ? type : "refused", what,
                 s->type ? s->type : "refused");
    CONTAINS(what, s->what);
}

static void types_this_project_reads_are_known_by_their_bytes(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {BYTES("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), "application/pdf", "PDF"},
        {BYTES("\xef\xbb\xbf%PDF-1.4"), "application/pdf", "PDF"},
        {BYTES("\x1b%-12345X@PJL\r\n%PDF-1.4"), "application/pdf", "PDF"},
        {BYTES("\0\0\0junk\0%PDF-1.4"), "application/pdf", "PDF"},
        {BYTES("\x89PNG\r\n\x1a\n\0\0"), "image/png", "PNG"},
        {BYTES("\xff\xd8\xff\xe0"), "image/jpeg", "JPEG"},
        {BYTES("II*\0\x08\0\0\0"), "image/tiff", "TIFF"},
        {BYTES("MM\0*\0\0\0\x08"), "image/tiff", "TIFF"},
        {BYTES("plain words\n"), "text/plain", "text"},
        {BYTES("Gr\xc3\xbc\xc3\x9f"
               "e"),
         "text/plain", "text"},
        {BYTES("Gr\xfc\xdf"
               "e aus M\xfcnchen, in Latin-1"),
         "text/plain", "text"},
        {BYTES("\xff\xfeh\0i\0"), "text/plain", "text"},
        {BYTES("a form feed\f and a tab\t"), "text/plain", "text"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(samples); i++)
        check(&samples[i], true);
}

static void everything_else_is_refused_by_what_it_seems_to_be(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {BYTES("MZ\x90\0\x03\0\0\0"), NULL, "Windows"},
        {BYTES("\x7f"
               "ELF\x02\x01\x01\0"),
         NULL, "ELF"},
        {BYTES("PK\x03\x04\x14\0\0\0"), NULL, "ZIP"},
        {BYTES("\x1f\x8b\x08\0"), NULL, "gzip"},
        {BYTES("GIF89a\x01\0\x01\0"), NULL, "GIF"},
        {BYTES("RIFF\x10\0\0\0WEBP"), NULL, "RIFF"},
        {BYTES("\0\0\0\x18"
               "ftypmp42"),
         NULL, "video"},
        {BYTES("\x1a\x45\xdf\xa3\x01\0"), NULL, "Matroska"},
        {BYTES("SQLite format 3\0\x10\0"), NULL, "SQLite"},
        {BYTES("{\\rtf1\\ansi hello}"), NULL, "rich text"},
        {BYTES("<!DOCTYPE HTML><p>"), NULL, "HTML"},
        {BYTES("\r\n  <html lang=de>"), NULL, "HTML"},
        {BYTES("<?xml version=\"1.0\"?>"), NULL, "XML"},
        {BYTES("\x01\x02\x03\x04\x05"), NULL, "binary"},
        {BYTES("text with a \0 in it"), NULL, "binary"},
        {BYTES("\x80\x81\x82\x83\x84\x85"), NULL, "binary"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(samples); i++)
        check(&samples[i], true);
}

static void a_text_is_not_refused_for_the_words_it_begins_with(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {BYTES("MZ Properties Ltd, invoice 17\n"), "text/plain", "text"},
        {BYTES("RIFF is a container format\n"), "text/plain", "text"},
        {BYTES("ID3 tags explained\n"), "text/plain", "text"},
        {BYTES("Rar! means archive\n"), "text/plain", "text"},
        {BYTES("the header is %PDF-1.7, then objects follow\n"), "text/plain", "text"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(samples); i++)
        check(&samples[i], true);
}

static void an_archive_that_holds_a_pdf_is_an_archive(void **state)
{
    (void)state;
    static const struct sample zip = {BYTES("PK\x03\x04\x0a\0\0\0\0\0a.pdf\0%PDF-1.7\n"), NULL,
                                      "ZIP"};
    check(&zip, true);
}

static void a_pdf_header_may_stand_in_the_first_kilobyte_only(void **state)
{
    (void)state;
    char data[2048];
    const char *what;
    memset(data, 0, sizeof(data));
    memcpy(data + 1019, "%PDF-", 5);
    assert_string_equal(sniff_type((unsigned char *)data, sizeof(data), true, &what),
                        "application/pdf");
    memset(data, 0, sizeof(data));
    memcpy(data + 1020, "%PDF-", 5);
    assert_null(sniff_type((unsigned char *)data, sizeof(data), true, &what));
}

static void a_character_cut_by_the_end_of_the_head_is_no_fault(void **state)
{
    (void)state;
    static unsigned char data[SNIFF_BYTES + 10];
    const char *what;
    /* So many high bytes that it is text as UTF-8 or not at all. */
    for (size_t i = 0; i + 2 < sizeof(data); i += 3)
        memcpy(data + i, "\xe6\x96\x87", 3);
    size_t cut = SNIFF_BYTES; /* 65536 = 3 * 21845 + 1 */
    assert_string_equal(sniff_type(data, cut, false, &what), "text/plain");
    assert_null(sniff_type(data, cut, true, &what)); /* that was all of it: broken */
    assert_string_equal(sniff_type(data, cut + 8, true, &what),
                        "text/plain"); /* looks no further */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_this_project_reads_are_known_by_their_bytes),
        cmocka_unit_test(everything_else_is_refused_by_what_it_seems_to_be),
        cmocka_unit_test(a_text_is_not_refused_for_the_words_it_begins_with),
        cmocka_unit_test(an_archive_that_holds_a_pdf_is_an_archive),
        cmocka_unit_test(a_pdf_header_may_stand_in_the_first_kilobyte_only),
        cmocka_unit_test(a_character_cut_by_the_end_of_the_head_is_no_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
