/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* tiff.c - the chain of pages in a TIFF file (tiff.h); for doc_image.c.
 *
 * Classic TIFF and BigTIFF, both byte orders. Every offset is checked against the file's length. A
 * chain that loops cannot be told from a long one page by page, so directories must not come back
 * to the first one, and all together have no more bytes than the file; max_pages limits them too.
 * Reduced images (thumbnails) count as pages, as they do for the decoder. */
#include "tiff.h"

#include <stdlib.h>
#include <string.h>

#include "doc.h"

enum {
    TAG_WIDTH = 256,
    TAG_HEIGHT = 257,
    TAG_BITS = 258,
    TAG_SAMPLES = 277,
    TAG_XRES = 282,
    TAG_UNIT = 296,
    TYPE_SHORT = 3,
    TYPE_LONG = 4,
    TYPE_LONG8 = 16,
    UNIT_CM = 3,
};

struct file {
    const unsigned char *data;
    size_t len;
    bool big_endian, big; /* BigTIFF */
};

/* An unsigned number of n bytes; 0 outside the file. */
static uint64_t number(const struct file *f, size_t at, size_t n)
{
    if (at > f->len || f->len - at < n)
        return 0;
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | f->data[at + (f->big_endian ? i : n - 1 - i)];
    return v;
}

bool tiff_is(const unsigned char *data, size_t len)
{
    return len >= 8 && (memcmp(data, "II*\0", 4) == 0 || memcmp(data, "MM\0*", 4) == 0 ||
                        memcmp(data, "II+\0", 4) == 0 || memcmp(data, "MM\0+", 4) == 0);
}

static uint64_t value_of(const struct file *f, size_t entry)
{
    size_t at = entry + (f->big ? 12 : 8);
    switch (number(f, entry + 2, 2)) {
    case TYPE_SHORT:
        return number(f, at, 2);
    case TYPE_LONG:
        return number(f, at, 4);
    case TYPE_LONG8:
        return number(f, at, 8);
    default: /* somewhere else: its offset */
        return number(f, at, f->big ? 8 : 4);
    }
}

static double ratio_at(const struct file *f, uint64_t at)
{
    if (at > f->len)
        return 0;
    double over = (double)number(f, (size_t)at, 4), under = (double)number(f, (size_t)at + 4, 4);
    return under > 0 ? over / under : 0;
}

static void read_entries(const struct file *f, size_t first, size_t n, struct tiff_page *p)
{
    uint64_t bits = 1, samples = 1, unit = 2;
    double res = 0;
    for (size_t i = 0; i < n; i++) {
        size_t entry = first + i * (f->big ? 20 : 12);
        uint64_t v = value_of(f, entry), count = number(f, entry + 4, f->big ? 8 : 4);
        switch (number(f, entry, 2)) {
        case TAG_WIDTH:
            p->width = (uint32_t)MIN(v, (uint64_t)UINT32_MAX);
            break;
        case TAG_HEIGHT:
            p->height = (uint32_t)MIN(v, (uint64_t)UINT32_MAX);
            break;
        case TAG_BITS: /* more than two do not fit the entry, and are 8 or 16 then */
            bits = count > (f->big ? 4u : 2u) ? 8 : v;
            break;
        case TAG_SAMPLES:
            samples = v;
            break;
        case TAG_XRES:
            res = f->big ? ratio_at(f, entry + 12) : ratio_at(f, v);
            break;
        case TAG_UNIT:
            unit = v;
            break;
        default:
            break;
        }
    }
    p->bits = (int)(MIN(bits, (uint64_t)64) * MIN(samples, (uint64_t)16));
    p->dpi = unit == UNIT_CM ? res * 2.54 : res;
}

/* One directory; false when it is not inside the file. `left` are the bytes of the file that belong
 * to no directory yet: those of an honest file do not overlap, and this bounds the work. */
static bool read_directory(const struct file *f, uint64_t at, size_t *left,
                           struct tiff_page *ret_page, uint64_t *ret_next)
{
    size_t count_size = f->big ? 8 : 2, entry_size = f->big ? 20 : 12, link = f->big ? 8 : 4;
    if (at < 8 || at > f->len || f->len - at < count_size + link)
        return false;
    uint64_t n = number(f, (size_t)at, count_size);
    if (n == 0 || n > (f->len - at - count_size - link) / entry_size)
        return false;
    size_t size = count_size + (size_t)n * entry_size + link;
    if (size > *left)
        return false;
    *left -= size;
    *ret_page = (struct tiff_page){.offset = (size_t)at};
    size_t first = (size_t)at + count_size;
    read_entries(f, first, (size_t)n, ret_page);
    *ret_next = number(f, first + (size_t)n * entry_size, link);
    return true;
}

enum code tiff_pages(struct ctx *cx, const unsigned char *data, size_t len, int max_pages,
                     struct tiff_page **ret_pages, int *ret_n)
{
    if (!tiff_is(data, len))
        return ctx_fail(cx, CODE_UNREADABLE, "this is not a TIFF file");
    struct file f = {data, len, data[0] == 'M', data[2] == '+' || data[3] == '+'};
    uint64_t first = f.big ? number(&f, 8, 8) : number(&f, 4, 4), at = first;
    size_t n = 0, cap = 0, left = len;
    struct tiff_page *pages = NULL, page;
    uint64_t next;
    while (at && read_directory(&f, at, &left, &page, &next)) {
        if (max_pages && n == (size_t)max_pages) {
            free(pages);
            return doc_too_many(cx, max_pages);
        }
        if (n == cap) {
            cap = cap ? cap * 2 : 16;
            struct tiff_page *grown = realloc(pages, cap * sizeof(*grown));
            if (!grown) {
                free(pages);
                return ctx_fail(cx, CODE_OUT_OF_MEMORY, "no memory for the page list");
            }
            pages = grown;
        }
        pages[n++] = page;
        if (next == first)
            break;
        at = next;
    }
    if (!n)
        return ctx_fail(cx, CODE_UNREADABLE, "no page was found in the TIFF file");
    *ret_pages = pages;
    *ret_n = (int)MIN(n, (size_t)INT32_MAX);
    return CODE_OK;
}
