/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* tiff.h - the chain of pages in a TIFF file, read without decoding anything. */
#ifndef WORKERS_EXTRACT_TIFF_H
#define WORKERS_EXTRACT_TIFF_H

#include "base/ctx.h"

struct tiff_page {
    uint32_t width, height;
    int bits; /* a pixel, all samples */
    double dpi; /* 0: unknown */
    size_t offset; /* of the page's directory */
};

bool tiff_is(const unsigned char *data, size_t len);

/* All pages up to the first broken link; free() them. UNREADABLE: none. TOO_LARGE: more than
 * max_pages (0: no limit). */
enum code tiff_pages(struct ctx *cx, const unsigned char *data, size_t len, int max_pages,
                     struct tiff_page **ret_pages, int *ret_n) MUST_CHECK;

#endif
