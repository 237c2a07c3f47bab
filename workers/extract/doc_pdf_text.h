/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* doc_pdf_text.h - a MuPDF device that writes a page's text as UTF-8 lines and counts what it sees.
 *
 * For doc_pdf.c only. All calls may throw, so they are made inside its fz_try. */
#ifndef WORKERS_EXTRACT_DOC_PDF_TEXT_H
#define WORKERS_EXTRACT_DOC_PDF_TEXT_H

#include <mupdf/fitz.h>

#include "base/buf.h"
#include "engine.h"

enum { PDF_GRID = 32, PDF_MAX_LINES = 200 * 1000 };

struct pdf_line {
    size_t start, end; /* bytes of the text */
    fz_rect box; /* points, from the page's top left */
};

struct pdf_text { /* zeroed before the first page, used again for the next ones */
    struct buf text; /* set the limit */
    struct pdf_line *lines;
    size_t n_lines, cap_lines;
    struct signals signals; /* complete when the device is closed */
    uint32_t text_grid[PDF_GRID], image_grid[PDF_GRID];
    bool too_much; /* a limit was reached: the rest of the page was left out */
};

void pdf_text_done(struct pdf_text *t);

/* Empties `out` and returns a device that fills it. Image callbacks make the interpreter decode
 * images: ask only when they are needed. `cookie` is aborted when a limit is reached. */
fz_device *pdf_text_device(fz_context *fz, struct pdf_text *out, fz_rect page, fz_cookie *cookie,
                           bool with_images);

#endif
