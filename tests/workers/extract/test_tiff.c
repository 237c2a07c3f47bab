/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_tiff.c - the chain of pages in TIFF files: honest ones, both byte orders, BigTIFF, and lies.
 */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "workers/extract/tiff.h"

struct writer {
    struct buf b;
    bool big_endian, big;
};

static void number(struct writer *w, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        buf_char(&w->b, (char)(v >> 8 * (w->big_endian ? bytes - 1 - i : i)));
}

static void header(struct writer *w)
{
    w->b = BUF_INIT(0);
    buf_str(&w->b, w->big_endian ? "MM" : "II");
    number(w, w->big ? 43 : 42, 2);
    if (w->big) {
        number(w, 8, 2);
        number(w, 0, 2);
        number(w, 16, 8);
    } else {
        number(w, 8, 4);
    }
}

/* A SHORT or LONG entry. */
static void entry(struct writer *w, int tag, int type, uint64_t value)
{
    int bytes = type == 3 ? 2 : 4, room = w->big ? 8 : 4;
    number(w, (uint64_t)tag, 2);
    number(w, (uint64_t)type, 2);
    number(w, 1, w->big ? 8 : 4);
    number(w, value, type == 5 ? room : bytes);
    for (int i = type == 5 ? room : bytes; i < room; i++)
        buf_char(&w->b, 0);
}

/* A directory with width, height and resolution; `last`: the chain ends here. */
static void page(struct writer *w, int width, int height, int dpi, bool last)
{
    size_t size = w->big ? 8 + 4 * 20 + 8 : 2 + 4 * 12 + 4;
    size_t ratio = w->b.len + size;
    number(w, 4, w->big ? 8 : 2);
    entry(w, 256, 3, (uint64_t)width);
    entry(w, 257, 4, (uint64_t)height);
    if (w->big) { /* a ratio fits into the entry */
        number(w, 282, 2);
        number(w, 5, 2);
        number(w, 1, 8);
        number(w, (uint64_t)dpi, 4);
        number(w, 1, 4);
    } else {
        entry(w, 282, 5, ratio);
    }
    entry(w, 296, 3, 2);
    number(w, last ? 0 : ratio + 8, w->big ? 8 : 4);
    number(w, (uint64_t)dpi, 4);
    number(w, 1, 4);
}

static enum code read_pages(const struct writer *w, int max, struct tiff_page **pages, int *n)
{
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    *pages = NULL;
    *n = 0;
    enum code code = tiff_pages(&cx, (const unsigned char *)w->b.data, w->b.len, max, pages, n);
    ctx_done(&cx);
    return code;
}

static void honest(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        struct writer w = {.big_endian = form & 1, .big = form & 2};
        header(&w);
        page(&w, 2550, 3300, 300, false);
        page(&w, 100, 70000, 200, true);
        assert_true(tiff_is((const unsigned char *)w.b.data, w.b.len));
        struct tiff_page *p;
        int n;
        assert_int_equal(read_pages(&w, 10, &p, &n), CODE_OK);
        assert_int_equal(n, 2);
        assert_int_equal(p[0].width, 2550);
        assert_int_equal(p[0].height, 3300);
        assert_true(p[0].dpi == 300);
        assert_int_equal(p[1].height, 70000);
        assert_int_equal(p[0].offset, w.big ? 16 : 8);
        free(p);
        assert_int_equal(read_pages(&w, 1, &p, &n), CODE_TOO_LARGE);
        assert_null(p);
        buf_done(&w.b);
    }
}

static void cut_off_anywhere(void **state)
{
    (void)state;
    struct writer w = {0};
    header(&w);
    page(&w, 10, 10, 300, false);
    page(&w, 10, 10, 300, true);
    for (size_t len = 8; len < w.b.len; len++) {
        /* an exact copy, so that a sanitizer sees every byte read behind the end */
        struct writer cut = {.b = {.data = malloc(len), .len = len}};
        memcpy(cut.b.data, w.b.data, len);
        struct tiff_page *p;
        int n;
        enum code code = read_pages(&cut, 0, &p, &n);
        assert_true(code == CODE_OK ? n >= 1 && n <= 2 : code == CODE_UNREADABLE);
        free(p);
        free(cut.b.data);
    }
    buf_done(&w.b);
}

static void a_ring(void **state)
{
    (void)state;
    struct writer w = {0};
    header(&w);
    page(&w, 10, 10, 300, false);
    size_t link = 8 + 2 + 4 * 12;
    w.b.data[link] = 8; /* back to itself */
    struct tiff_page *p;
    int n;
    assert_int_equal(read_pages(&w, 0, &p, &n), CODE_OK);
    assert_int_equal(n, 1);
    free(p);
    buf_done(&w.b);
}

static void a_ring_of_later_pages(void **state)
{
    (void)state;
    struct writer w = {0};
    header(&w);
    page(&w, 10, 10, 300, false);
    size_t second = w.b.len;
    page(&w, 10, 10, 300, false);
    w.b.data[second + 2 + 4 * 12] = (char)second;
    struct tiff_page *p;
    int n;
    assert_int_equal(read_pages(&w, 0, &p, &n), CODE_OK); /* ends all the same */
    assert_int_equal(n, 2); /* there are not bytes enough for a third */
    free(p);
    assert_int_equal(read_pages(&w, 1, &p, &n), CODE_TOO_LARGE);
    buf_done(&w.b);
}

static void entries_beyond_the_end(void **state)
{
    (void)state;
    struct writer w = {0};
    header(&w);
    number(&w, 65535, 2);
    number(&w, 0, 4);
    struct tiff_page *p;
    int n;
    assert_int_equal(read_pages(&w, 0, &p, &n), CODE_UNREADABLE);
    buf_done(&w.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest),
        cmocka_unit_test(cut_off_anywhere),
        cmocka_unit_test(a_ring),
        cmocka_unit_test(a_ring_of_later_pages),
        cmocka_unit_test(entries_beyond_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
