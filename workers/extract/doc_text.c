/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* doc_text.c - plain text as pages (doc.h); opened by doc.c.
 *
 * A form feed ends a page, as printers have it. A longer stretch is cut at about PAGE_CHARS
 * characters: behind the last empty line of its last fifth, else behind a line, else behind a
 * space, else anywhere between two characters. A text too big for max_pages gets longer pages, it
 * is not refused. Line ends become \n; NUL and other controls become spaces. Nothing of a page is
 * lost and nothing is in two pages. Page limits are found once, when the document is opened. */
#include "doc.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "charset.h"

enum { PAGE_CHARS = 3000 };

struct text_doc {
    struct doc base;
    const char *text; /* valid UTF-8 */
    size_t len;
    struct buf store; /* holds `text` when it was converted */
    size_t *starts; /* page_count + 1 offsets */
    size_t n, cap;
    struct buf page; /* the page handed out last */
};

/* ---- where pages end ---- */

static bool is_continuation(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Offset of the character `chars` characters behind `from`, or `end`. */
static size_t advance(const char *s, size_t from, size_t end, size_t chars)
{
    size_t at = from;
    while (at < end && chars--) {
        at++;
        while (at < end && is_continuation(s[at]))
            at++;
    }
    return at;
}

/* The best place to cut in (from, to]; the bytes before it end the page. A line end of two bytes is
 * not taken apart, even if that is one byte behind `to`, which is before the end of the text. */
static size_t cut(const char *s, size_t from, size_t to)
{
    size_t floor = to - (to - from) / 5;
    for (size_t i = to; i > floor + 1; i--)
        if (s[i - 1] == '\n' &&
            (s[i - 2] == '\n' || (i > floor + 2 && s[i - 2] == '\r' && s[i - 3] == '\n')))
            return i;
    for (size_t i = to; i > from + 1; i--)
        if (s[i - 1] == '\n' || (s[i - 1] == '\r' && s[i] != '\n'))
            return i;
    for (size_t i = to; i > floor; i--)
        if (s[i - 1] == ' ')
            return i;
    return s[to - 1] == '\r' && s[to] == '\n' ? to + 1 : to;
}

static enum code add_start(struct ctx *cx, struct text_doc *d, size_t at)
{
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 64;
        size_t *starts = realloc(d->starts, cap * sizeof(*starts));
        if (!starts)
            return ctx_fail(cx, CODE_OUT_OF_MEMORY, "no memory for the page list");
        d->starts = starts;
        d->cap = cap;
    }
    d->starts[d->n++] = at;
    return CODE_OK;
}

static enum code paginate(struct ctx *cx, struct text_doc *d, size_t page_chars)
{
    size_t at = 0;
    d->n = 0;
    while (at < d->len) {
        TRY(add_start(cx, d, at));
        size_t end = advance(d->text, at, d->len, page_chars);
        const char *feed = memchr(d->text + at, '\f', end - at);
        if (feed)
            at = (size_t)(feed - d->text) + 1;
        else
            at = end == d->len ? end : cut(d->text, at, end);
    }
    return add_start(cx, d, d->len);
}

static enum code find_pages(struct ctx *cx, struct text_doc *d, int max_pages)
{
    size_t page_chars = PAGE_CHARS;
    if (max_pages && d->len / page_chars > (size_t)max_pages / 2)
        page_chars = MAX(page_chars, d->len / (size_t)max_pages * 2);
    TRY(paginate(cx, d, page_chars));
    size_t pages = d->n - 1;
    if ((max_pages && pages > (size_t)max_pages) || pages > INT32_MAX)
        return doc_too_many(cx, max_pages); /* form feeds */
    d->base.page_count = (int)pages;
    return CODE_OK;
}

/* ---- pages ---- */

static void clean(struct buf *b, const char *s, size_t n)
{
    char *out = buf_room(b, n + 1);
    if (!out)
        return;
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c == '\r') {
            if (i + 1 == n || s[i + 1] != '\n')
                out[k++] = '\n';
        } else if (c == '\f') {
            continue;
        } else {
            out[k++] = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? ' ' : (char)c;
        }
    }
    out[k] = '\0';
    b->len += k;
}

static enum code text_read_page(struct ctx *cx, struct doc *base, int page, Extract__V1__Page *out)
{
    struct text_doc *d = (struct text_doc *)base;
    size_t from = d->starts[page - 1], to = d->starts[page];
    buf_clear(&d->page);
    clean(&d->page, d->text + from, to - from);
    if (buf_failed(&d->page))
        return ctx_fail(cx, CODE_TOO_LARGE, "too much text on one page (more than %d MB)",
                        DOC_MAX_PAGE_TEXT >> 20);
    doc_set_text(out, buf_cstr(&d->page));
    return CODE_OK;
}

static void text_close(struct doc *base)
{
    struct text_doc *d = (struct text_doc *)base;
    buf_done(&d->store);
    buf_done(&d->page);
    free(d->starts);
    free(d);
}

static const struct doc_ops text_ops = {text_read_page, NULL, text_close};

enum code doc_text_open(struct ctx *cx, const struct doc_source *src, struct doc **ret_doc)
{
    struct text_doc *d = calloc(1, sizeof(*d));
    if (!d)
        return ctx_oom(cx);
    d->base.ops = &text_ops;
    d->page.limit = DOC_MAX_PAGE_TEXT;
    const char *charset;
    enum code code =
        charset_to_utf8(cx, src->data, src->len, &d->store, &d->text, &d->len, &charset);
    if (code == CODE_OK && d->len == 0)
        code = ctx_fail(cx, CODE_UNREADABLE, "the document is empty");
    if (code == CODE_OK)
        code = find_pages(cx, d, src->max_pages);
    if (code != CODE_OK) {
        text_close(&d->base);
        return code;
    }
    *ret_doc = &d->base;
    return CODE_OK;
}

void doc_text_warm(void)
{
    charset_warm();
}
