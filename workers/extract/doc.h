/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* doc.h - a document that is open in a child: one kind of file per doc_*.c, behind one small table.
 *
 * The bytes are a mapping that outlives the document. A page that cannot be read is an error of
 * that page only: the call fails, the next page can be asked for. */
#ifndef WORKERS_EXTRACT_DOC_H
#define WORKERS_EXTRACT_DOC_H

#include "base/ctx.h"
#include "extract/v1/extract.pb-c.h"

enum {
    DOC_MAX_PIXELS = 40 * 1000 * 1000, /* of a page that is handed to OCR */
    DOC_MAX_PAGE_TEXT = 16 * 1024 * 1024, /* bytes */
    DOC_OCR_DPI = 300,
};

struct doc_source { /* borrowed until doc_close */
    const unsigned char *data;
    size_t len;
    const char *content_type; /* without parameters, lower case */
    const char *password; /* or "" */
    int max_pages; /* 0: no limit */
    int page_timeout_ms; /* 0: none */
};

/* One page as gray pixels, row by row, 0 black. */
struct raster {
    unsigned char *gray; /* free() it */
    int width, height;
    double dpi;
    double width_pt, height_pt;
};

struct doc;

struct doc_ops {
    /* Fills text, verdict, reason, size and lines of `out`; texts are valid until the next call. */
    enum code (*read_page)(struct ctx *cx, struct doc *d, int page, Extract__V1__Page *out);
    /* NULL: pages of this kind are never pictures. */
    enum code (*render)(struct ctx *cx, struct doc *d, int page, int dpi,
                        struct raster *ret_raster);
    void (*close)(struct doc *d);
};

struct doc { /* first member of every kind's own struct */
    const struct doc_ops *ops;
    int page_count; /* > 0 */
    const char *title; /* UTF-8 or "" */
    const char *content_type;
};

/* UNSUPPORTED, UNREADABLE, PASSWORD_REQUIRED, TOO_LARGE (more pages than max_pages). */
enum code doc_open(struct ctx *cx, const struct doc_source *src, struct doc **ret_doc) MUST_CHECK;
void doc_close(struct doc *d); /* NULL is fine */

/* What the first bytes are, for a type that was not told; NULL: unknown. */
const char *doc_sniff(const unsigned char *data, size_t len);

/* The answer to a document with more pages than allowed. */
enum code doc_too_many(struct ctx *cx, int max_pages);

/* Blank pages and pages of text, for kinds without pictures. */
void doc_set_text(Extract__V1__Page *out, const char *text);

/* The kinds. */
enum code doc_pdf_open(struct ctx *cx, const struct doc_source *src,
                       struct doc **ret_doc) MUST_CHECK;
enum code doc_text_open(struct ctx *cx, const struct doc_source *src,
                        struct doc **ret_doc) MUST_CHECK;
enum code doc_image_open(struct ctx *cx, const struct doc_source *src,
                         struct doc **ret_doc) MUST_CHECK;

/* Called once by the zygote: loads what a kind would otherwise load from files later. */
void doc_text_warm(void);

#endif
