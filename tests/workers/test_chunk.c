/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_chunk.c - the chunker: fixed examples, and properties over random texts and page splits.
 *
 * The properties are the promises of chunk.h: the pieces that the spans name, joined, are the
 * content; sizes and overlaps stay in their bounds; every visible character is in some chunk; the
 * same pages give the same chunks. Random texts come from a fixed seed, so a failure can be
 * repeated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/str.h"
#include "workers/chunk.h"
#include "workers/chunk_break.h"
#include "workers/chunk_json.h"

enum { MAX_PAGES = 40, MAX_CHUNKS = 20000 };

struct page {
    struct buf text;
    struct chunk_line lines[256];
    int n_lines;
};

struct seen {
    const struct page *pages;
    int n_pages, size, overlap;
    int n;
    int64_t last_start, last_end; /* code points from the start of the document */
    struct buf all; /* contents, one behind the other, with a NUL between */
    struct buf spans;
};

static uint64_t seed;

static unsigned roll(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)((seed >> 33) % below);
}

static int64_t page_offset(const struct seen *s, int page)
{
    int64_t at = 0;
    for (int i = 0; i < page - 1; i++)
        at += (int64_t)str_utf8_count(buf_cstr(&s->pages[i].text), s->pages[i].text.len);
    return at;
}

static bool all_space(const struct seen *s, int64_t from, int64_t to)
{
    int64_t at = 0;
    for (int i = 0; i < s->n_pages; i++) {
        const char *text = buf_cstr(&s->pages[i].text);
        size_t len = s->pages[i].text.len;
        size_t n = str_utf8_count(text, len);
        for (size_t k = 0; k < n; k++, at++) {
            if (at < from || at >= to)
                continue;
            const unsigned char *c = (const unsigned char *)text + str_utf8_offset(text, len, k);
            if (*c != ' ' && *c != '\n' && *c != '\t')
                return false;
        }
    }
    return true;
}

/* Checks everything a single chunk promises. */
static enum code check_chunk(struct ctx *cx, void *arg, const struct chunk *chunk)
{
    (void)cx;
    struct seen *s = arg;
    assert_int_equal(chunk->index, s->n);
    assert_true(chunk->n_spans > 0);
    assert_int_equal(strlen(chunk->content), chunk->len);
    assert_int_equal(str_utf8_prefix(chunk->content, chunk->len), chunk->len);
    size_t points = str_utf8_count(chunk->content, chunk->len);
    assert_in_range(points, 1, s->size);

    CLEANUP(buf_done) struct buf joined = BUF_INIT(0);
    for (int i = 0; i < chunk->n_spans; i++) {
        const struct chunk_span *span = &chunk->spans[i];
        const struct buf *text = &s->pages[span->page - 1].text;
        size_t from = str_utf8_offset(buf_cstr(text), text->len, (size_t)span->start);
        size_t to = str_utf8_offset(buf_cstr(text), text->len, (size_t)span->end);
        assert_true(span->start < span->end);
        assert_true(to <= text->len && from < to);
        assert_in_range(span->n_boxes, 0, CHUNK_MAX_BOXES);
        if (i > 0)
            assert_true(span->page > chunk->spans[i - 1].page && span->start == 0);
        buf_add(&joined, text->data + from, to - from);
    }
    assert_int_equal(joined.len, chunk->len);
    assert_memory_equal(joined.data, chunk->content, chunk->len);
    assert_int_equal(chunk->page_start, chunk->spans[0].page);
    assert_int_equal(chunk->page_end, chunk->spans[chunk->n_spans - 1].page);
    assert_null(strchr(" \n\t", chunk->content[0]));
    assert_null(strchr(" \n\t", chunk->content[chunk->len - 1]));

    int64_t start = page_offset(s, chunk->page_start) + chunk->spans[0].start;
    int64_t end = start + (int64_t)points;
    if (s->n > 0) {
        assert_true(start > s->last_start);
        assert_true(end > s->last_end);
        assert_true(s->last_end - start <= s->overlap);
    }
    if (start > s->last_end)
        assert_true(all_space(s, s->last_end, start));
    s->last_start = start;
    s->last_end = end;
    s->n++;
    buf_add(&s->all, chunk->content, chunk->len + 1);
    chunk_json_spans(&s->spans, chunk);
    return CODE_OK;
}

static void chunk_all(struct seen *s, const struct page *pages, int n, int size, int overlap)
{
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    *s = (struct seen){.pages = pages, .n_pages = n, .size = size, .overlap = overlap};
    CLEANUP(chunk_freep) struct chunker *ck = NULL;
    assert_int_equal(chunk_begin(&cx, size, overlap, check_chunk, s, &ck), CODE_OK);
    for (int i = 0; i < n; i++)
        assert_int_equal(chunk_page(&cx, ck, i + 1, buf_cstr(&pages[i].text), pages[i].text.len,
                                    pages[i].lines, pages[i].n_lines),
                         CODE_OK);
    assert_int_equal(chunk_end(&cx, ck), CODE_OK);
    assert_true(all_space(s, s->last_end, INT64_MAX));
    ctx_done(&cx);
}

static void seen_done(struct seen *s)
{
    buf_done(&s->all);
    buf_done(&s->spans);
}

/* Words of many scripts, stops, breaks, marks, flags and long runs without any break. */
static void random_page(struct page *page)
{
    static const char *const pieces[] = {
        "word",
        "Sentence",
        ".",
        ". ",
        "! ",
        "? ",
        "\n",
        "\n\n",
        "  ",
        "\t",
        "é",
        "e\xCC\x81",
        "漢字",
        "。",
        "かな",
        "한국어",
        "\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA",
        "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x94\xAC",
        "Привет",
        "\n \n",
        "e.g. ",
        "(x) ",
        "\"",
        "42",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        " ",
        " ",
        " "};
    unsigned n = roll(400);
    page->n_lines = 0;
    size_t line = 0;
    for (unsigned i = 0; i < n; i++) {
        buf_str(&page->text, pieces[roll(ARRAY_LEN(pieces))]);
        if (page->n_lines < (int)ARRAY_LEN(page->lines) && roll(8) == 0 && page->text.len > line) {
            float y = (float)page->n_lines * 12;
            page->lines[page->n_lines++] = (struct chunk_line){.start = (uint32_t)line,
                                                               .end = (uint32_t)page->text.len,
                                                               .x0 = (float)roll(3) * 200,
                                                               .y0 = y,
                                                               .x1 = 500,
                                                               .y1 = y + 10};
            line = page->text.len;
        }
    }
}

static void test_properties(void **state)
{
    (void)state;
    static struct page pages[MAX_PAGES];
    for (int round = 0; round < 300; round++) {
        seed = (uint64_t)round + 1;
        int n = (int)roll(MAX_PAGES) + 1;
        for (int i = 0; i < n; i++)
            random_page(&pages[i]);
        int size = 1 + (int)roll(round % 3 ? 300 : 20);
        int overlap = (int)roll((unsigned)size);
        struct seen first, second;
        chunk_all(&first, pages, n, size, overlap);
        chunk_all(&second, pages, n, size, overlap);
        assert_int_equal(first.all.len, second.all.len);
        if (first.all.len)
            assert_memory_equal(first.all.data, second.all.data, first.all.len);
        assert_string_equal(buf_cstr(&first.spans), buf_cstr(&second.spans));
        seen_done(&first);
        seen_done(&second);
        for (int i = 0; i < n; i++)
            buf_done(&pages[i].text);
    }
}

static int chunk_text(struct seen *s, struct page *page, const char *text, int size, int overlap)
{
    *page = (struct page){0};
    buf_str(&page->text, text);
    chunk_all(s, page, 1, size, overlap);
    return s->n;
}

/* The content of chunk i. */
static const char *content(const struct seen *s, int i)
{
    const char *at = buf_cstr(&s->all);
    while (i-- > 0)
        at += strlen(at) + 1;
    return at;
}

static void expect(const char *text, int size, int overlap, int n, const char *const *want)
{
    struct seen s;
    struct page page;
    assert_int_equal(chunk_text(&s, &page, text, size, overlap), n);
    for (int i = 0; i < n; i++)
        assert_string_equal(content(&s, i), want[i]);
    seen_done(&s);
    buf_done(&page.text);
}

#define EXPECT(text, size, overlap, ...)                                                           \
    expect(text, size, overlap, (int)ARRAY_LEN(((const char *const[]){__VA_ARGS__})),              \
           (const char *const[]){__VA_ARGS__})

static void test_where_it_cuts(void **state)
{
    (void)state;
    EXPECT("One two.", 100, 20, "One two.");
    EXPECT("First part here.\n\nSecond one. It goes on.", 24, 0, "First part here.",
           "Second one. It goes on.");
    EXPECT("It rains. It pours and pours.", 20, 0, "It rains. It pours", "and pours.");
    EXPECT("It really rains. It pours.", 20, 0, "It really rains.", "It pours.");
    EXPECT("alpha beta\ngamma delta\nepsilon", 16, 0, "alpha beta", "gamma delta", "epsilon");
    EXPECT("今日は雨だ。明日も雨だ。終わり", 8, 0, "今日は雨だ。", "明日も雨だ。", "終わり");
    EXPECT("aaaaaaaaaaaaaaaaaaaa", 8, 0, "aaaaaaaa", "aaaaaaaa", "aaaa");
    EXPECT("Some chapter . . . . 12 more words", 20, 0, "Some chapter . . . .", "12 more words");
    /* An initial ends no sentence. */
    EXPECT("Here J. Smith walks on", 14, 0, "Here J. Smith", "walks on");
}

static void test_clusters_stay_whole(void **state)
{
    (void)state;
    EXPECT("e\xCC\x81"
           "e\xCC\x81"
           "e\xCC\x81"
           "e\xCC\x81",
           3, 0, "e\xCC\x81", "e\xCC\x81", "e\xCC\x81", "e\xCC\x81");
    EXPECT("\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA\xF0\x9F\x87\xAB\xF0\x9F\x87\xB7", 3, 0,
           "\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA", "\xF0\x9F\x87\xAB\xF0\x9F\x87\xB7");
}

static void test_overlap_starts_at_a_sentence(void **state)
{
    (void)state;
    EXPECT("Aaaa bbbb cccc. Dddd eeee. Ffff gggg hhhh.", 30, 15, "Aaaa bbbb cccc. Dddd eeee.",
           "Dddd eeee. Ffff gggg hhhh.");
}

static void test_nothing_of_nothing(void **state)
{
    (void)state;
    struct seen s;
    struct page page;
    assert_int_equal(chunk_text(&s, &page, "", 10, 2), 0);
    buf_done(&page.text);
    assert_int_equal(chunk_text(&s, &page, " \n\t  \n                    \n ", 10, 2), 0);
    buf_done(&page.text);
    /* A wide gap makes no chunk that only repeats the one before it. */
    assert_int_equal(chunk_text(&s, &page, "abc def                                    ghi", 10, 5),
                     2);
    seen_done(&s);
    buf_done(&page.text);
}

static void test_spans_and_boxes(void **state)
{
    (void)state;
    static struct page pages[2];
    buf_str(&pages[0].text, "Line one\nline two\n");
    buf_str(&pages[1].text, "line three\n");
    pages[0].lines[0] = (struct chunk_line){0, 9, 10, 10, 90, 20};
    pages[0].lines[1] = (struct chunk_line){9, 18, 10, 22, 80, 32};
    pages[0].n_lines = 2;
    pages[1].lines[0] = (struct chunk_line){0, 11, 10, 10, 70, 20};
    pages[1].n_lines = 1;
    struct seen s;
    chunk_all(&s, pages, 2, 100, 10);
    assert_int_equal(s.n, 1);
    assert_string_equal(buf_cstr(&s.all), "Line one\nline two\nline three");
    assert_string_equal(
        buf_cstr(&s.spans),
        "[{\"page\":1,\"start\":0,\"end\":18,\"boxes\":[{\"x0\":10.0,\"y0\":10.0,\"x1\":90.0,"
        "\"y1\":32.0}]},{\"page\":2,\"start\":0,\"end\":10,\"boxes\":[{\"x0\":10.0,\"y0\":10.0,"
        "\"x1\":70.0,\"y1\":20.0}]}]");
    seen_done(&s);
    buf_done(&pages[0].text);
    buf_done(&pages[1].text);
}

/* Two columns and a row of two pieces: what stands together is one box. */
static void test_boxes_follow_columns(void **state)
{
    (void)state;
    static struct page page;
    buf_str(&page.text, "a\nb\nc\nd\n");
    page.lines[0] = (struct chunk_line){0, 2, 10, 10, 90, 20};
    page.lines[1] = (struct chunk_line){2, 4, 110, 10, 190, 20}; /* the same row */
    page.lines[2] = (struct chunk_line){4, 6, 10, 22, 90, 32};
    page.lines[3] = (struct chunk_line){6, 8, 200, 10, 290, 20}; /* the head of the next column */
    page.n_lines = 4;
    struct seen s;
    chunk_all(&s, &page, 1, 100, 10);
    assert_string_equal(
        buf_cstr(&s.spans),
        "[{\"page\":1,\"start\":0,\"end\":7,\"boxes\":[{\"x0\":10.0,\"y0\":10.0,\"x1\":190.0,"
        "\"y1\":32.0},{\"x0\":200.0,\"y0\":10.0,\"x1\":290.0,\"y1\":20.0}]}]");
    seen_done(&s);
    buf_done(&page.text);
}

static void test_bad_sizes(void **state)
{
    (void)state;
    struct ctx cx;
    ctx_init(&cx, 0);
    struct chunker *ck = NULL;
    assert_int_equal(chunk_begin(&cx, 10, 10, check_chunk, NULL, &ck), CODE_INTERNAL);
    ctx_clear(&cx);
    assert_int_equal(chunk_begin(&cx, 0, 0, check_chunk, NULL, &ck), CODE_INTERNAL);
    assert_null(ck);
    ctx_done(&cx);
}

static void test_tokens(void **state)
{
    (void)state;
    assert_int_equal(chunk_count_tokens("", 0), 0);
    assert_int_equal(chunk_count_tokens("one two", 7), 2);
    assert_int_equal(chunk_count_tokens("sixsix, end.", 12), 5);
    assert_int_equal(chunk_count_tokens("漢字", 6), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_it_cuts),
        cmocka_unit_test(test_clusters_stay_whole),
        cmocka_unit_test(test_overlap_starts_at_a_sentence),
        cmocka_unit_test(test_nothing_of_nothing),
        cmocka_unit_test(test_spans_and_boxes),
        cmocka_unit_test(test_boxes_follow_columns),
        cmocka_unit_test(test_bad_sizes),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_properties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
