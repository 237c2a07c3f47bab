/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* doc_pdf.c - PDF through MuPDF (doc.h); opened by doc.c, asked by child.c page by page.
 *
 * MuPDF throws with longjmp. This is the only file with fz_try: each one is a small function that
 * keeps what it makes in `struct pdf`, so no local is clobbered and no cleanup attribute is
 * skipped. doc_pdf_text.c and doc_pdf_tree.c are called from inside and never catch.
 *
 * A page is first run without image callbacks (images are then never decoded); only when its text
 * does not settle the matter it runs again with them. A document keeps its objects, so it is opened
 * anew every REOPEN_AFTER pages. Scripts, forms' actions and embedded files are never run or read.
 * Only bytes in memory are opened: nothing here can name a file. */
#include "doc.h"

#include <math.h>
#include <mupdf/fitz.h>
#include <mupdf/pdf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/str.h"
#include "doc_pdf_text.h"
#include "doc_pdf_tree.h"

enum { STORE_BYTES = 8 * 1024 * 1024, REOPEN_AFTER = 1000, TITLE_BYTES = 512 };

struct pdf {
    struct doc base;
    struct doc_source src;
    fz_context *fz;
    pdf_document *doc;
    int since_open;
    char title[TITLE_BYTES];

    /* of the page at hand; released by the try that made them */
    fz_stream *stream;
    pdf_page *page;
    fz_device *dev;
    fz_pixmap *pixmap;
    fz_rect box;
    int rotation;
    char label[PDF_LABEL_BYTES];
    fz_cookie cookie;
    int warnings; /* of damage */
    bool failed;
    enum code code;
    const char *message; /* valid until the next try */
    struct pdf_text text;
};

/* ---- the page's own clock ---- */

static fz_cookie *volatile alarm_cookie;

static void on_alarm(int sig)
{
    (void)sig;
    fz_cookie *c = alarm_cookie;
    if (c)
        c->abort = 1;
}

static void clock_start(struct pdf *d)
{
    memset(&d->cookie, 0, sizeof(d->cookie));
    if (!d->src.page_timeout_ms)
        return;
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &sa, NULL);
    alarm_cookie = &d->cookie;
    struct itimerval t = {
        .it_value = {d->src.page_timeout_ms / 1000, d->src.page_timeout_ms % 1000 * 1000}};
    setitimer(ITIMER_REAL, &t, NULL);
}

static void clock_stop(void)
{
    struct itimerval t = {0};
    setitimer(ITIMER_REAL, &t, NULL);
    alarm_cookie = NULL;
}

/* Broken streams are cut off with no more than a warning: an empty page with warnings is not blank.
 */
static void on_warning(void *user, const char *message)
{
    struct pdf *d = user;
    d->warnings += strncmp(message, "ICC", 3) != 0; /* what this build of the library lacks */
}

/* ---- everything that may throw ---- */

static void caught(struct pdf *d)
{
    d->failed = true;
    bool memory = fz_caught(d->fz) == FZ_ERROR_MEMORY;
    d->code = memory ? CODE_OUT_OF_MEMORY : CODE_UNREADABLE;
    d->message = memory ? "out of memory (EXTRACT_MEMORY)" : fz_caught_message(d->fz);
}

static bool try_open(struct pdf *d)
{
    d->failed = false;
    fz_try(d->fz)
    {
        d->stream = fz_open_memory(d->fz, d->src.data, d->src.len);
        d->doc = pdf_open_document_with_stream(d->fz, d->stream);
    }
    fz_always(d->fz)
    {
        fz_drop_stream(d->fz, d->stream);
        d->stream = NULL;
    }
    fz_catch(d->fz)
    {
        caught(d);
    }
    return !d->failed;
}

static bool try_authenticate(struct pdf *d, bool *ret_open)
{
    d->failed = false;
    fz_try(d->fz)
    {
        *ret_open = !pdf_needs_password(d->fz, d->doc) ||
                    pdf_authenticate_password(d->fz, d->doc, d->src.password) != 0;
    }
    fz_catch(d->fz)
    {
        caught(d);
    }
    return !d->failed;
}

static bool try_count(struct pdf *d)
{
    d->failed = false;
    fz_try(d->fz)
    {
        d->base.page_count = pdf_tree_count(d->fz, d->doc, d->src.max_pages);
    }
    fz_catch(d->fz)
    {
        caught(d);
    }
    return !d->failed;
}

static void try_title(struct pdf *d)
{
    fz_try(d->fz)
    {
        if (pdf_lookup_metadata(d->fz, d->doc, FZ_META_INFO_TITLE, d->title, sizeof(d->title)) < 0)
            d->title[0] = '\0';
    }
    fz_catch(d->fz)
    {
        d->title[0] = '\0';
    }
}

/* Runs the page once; its text and signals are in d->text. */
static bool try_text(struct pdf *d, int page, bool with_images)
{
    d->failed = false;
    fz_try(d->fz)
    {
        d->page = pdf_load_page(d->fz, d->doc, page - 1);
        d->box = pdf_bound_page(d->fz, d->page);
        d->rotation = pdf_tree_rotation(d->fz, d->page);
        d->warnings += pdf_tree_lost_content(d->fz, d->page);
        pdf_tree_label(d->fz, d->doc, page - 1, d->label);
        d->dev = pdf_text_device(d->fz, &d->text, d->box, &d->cookie, with_images);
        pdf_run_page(d->fz, d->page, d->dev, fz_identity, &d->cookie);
        fz_close_device(d->fz, d->dev);
    }
    fz_always(d->fz)
    {
        fz_drop_device(d->fz, d->dev);
        fz_drop_page(d->fz, (fz_page *)d->page);
        d->dev = NULL;
        d->page = NULL;
    }
    fz_catch(d->fz)
    {
        caught(d);
    }
    return !d->failed;
}

static bool try_render(struct pdf *d, int page, int dpi, double *ret_dpi)
{
    d->failed = false;
    fz_try(d->fz)
    {
        d->page = pdf_load_page(d->fz, d->doc, page - 1);
        d->box = pdf_bound_page(d->fz, d->page);
        double w = MAX((double)d->box.x1 - d->box.x0, 1), h = MAX((double)d->box.y1 - d->box.y0, 1);
        double scale = MIN(dpi / 72.0, sqrt((DOC_MAX_PIXELS - 1e6) / (w * h)));
        *ret_dpi = scale * 72;
        fz_matrix m = fz_scale((float)scale, (float)scale);
        fz_irect bounds = fz_round_rect(fz_transform_rect(d->box, m));
        d->pixmap = fz_new_pixmap_with_bbox(d->fz, fz_device_gray(d->fz), bounds, NULL, 0);
        fz_clear_pixmap_with_value(d->fz, d->pixmap, 255);
        d->dev = fz_new_draw_device(d->fz, m, d->pixmap);
        pdf_run_page(d->fz, d->page, d->dev, fz_identity, &d->cookie);
        fz_close_device(d->fz, d->dev);
    }
    fz_always(d->fz)
    {
        fz_drop_device(d->fz, d->dev);
        fz_drop_page(d->fz, (fz_page *)d->page);
        d->dev = NULL;
        d->page = NULL;
    }
    fz_catch(d->fz)
    {
        fz_drop_pixmap(d->fz, d->pixmap);
        d->pixmap = NULL;
        caught(d);
    }
    return !d->failed;
}

/* ---- pages ---- */

static enum code unlock(struct ctx *cx, struct pdf *d)
{
    bool open = false;
    if (!try_authenticate(d, &open))
        return ctx_fail(cx, d->code, "could not decrypt the document: %s", d->message);
    if (open)
        return CODE_OK;
    return ctx_fail(cx, CODE_PASSWORD_REQUIRED,
                    *d->src.password ? "the password does not open it" : "password required");
}

static enum code reopen(struct ctx *cx, struct pdf *d)
{
    if (d->doc && d->since_open++ < REOPEN_AFTER)
        return CODE_OK;
    pdf_drop_document(d->fz, d->doc);
    d->doc = NULL;
    d->since_open = 0;
    if (!try_open(d))
        return ctx_fail(cx, d->code, "could not open the document again: %s", d->message);
    TRY(unlock(cx, d));
    int pages = d->base.page_count;
    if (!try_count(d)) /* mends a tree that was mended at first */
        return ctx_fail(cx, d->code, "could not count the pages again: %s", d->message);
    d->base.page_count = pages;
    return CODE_OK;
}

static enum code check_limits(struct ctx *cx, const struct pdf *d)
{
    if (d->text.too_much)
        return ctx_fail(cx, CODE_TOO_LARGE, "too much text on one page (more than %d MB)",
                        DOC_MAX_PAGE_TEXT >> 20);
    if (d->cookie.abort)
        return ctx_fail(cx, CODE_DEADLINE_EXCEEDED, "the page took longer than %d s (PAGE_TIMEOUT)",
                        (d->src.page_timeout_ms + 999) / 1000);
    return CODE_OK;
}

static enum code copy_lines(struct ctx *cx, const struct pdf *d, Extract__V1__Page *out)
{
    size_t n = d->text.n_lines;
    Extract__V1__Line *lines = ctx_array(cx, n, sizeof(*lines));
    Extract__V1__Line **list = ctx_array(cx, n, sizeof(Extract__V1__Line *));
    if (!lines || !list)
        return cx->failure.code;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const struct pdf_line *l = &d->text.lines[i];
        if (l->end <= l->start || fz_is_empty_rect(l->box))
            continue;
        lines[kept] = (Extract__V1__Line)EXTRACT__V1__LINE__INIT;
        lines[kept].start = (uint32_t)l->start;
        lines[kept].end = (uint32_t)l->end;
        lines[kept].x0 = l->box.x0 - d->box.x0;
        lines[kept].y0 = l->box.y0 - d->box.y0;
        lines[kept].x1 = l->box.x1 - d->box.x0;
        lines[kept].y1 = l->box.y1 - d->box.y0;
        list[kept] = &lines[kept];
        kept++;
    }
    out->lines = list;
    out->n_lines = kept;
    return CODE_OK;
}

static enum code judge(struct ctx *cx, struct pdf *d, Extract__V1__Page *out)
{
    const char *reason;
    out->verdict = engine_decide(&cx->arena, &d->text.signals, &reason);
    if (!reason)
        return ctx_oom(cx);
    if (out->verdict == EXTRACT__V1__VERDICT__VERDICT_BLANK && (d->cookie.errors || d->warnings))
        return ctx_fail(cx, CODE_UNREADABLE, "the page's content is damaged, nothing was found");
    out->reason = (char *)(uintptr_t)reason;
    out->text = (char *)(uintptr_t)buf_cstr(&d->text.text);
    out->label = d->label;
    out->width = d->box.x1 - d->box.x0;
    out->height = d->box.y1 - d->box.y0;
    out->rotation = d->rotation;
    out->confidence = -1;
    return copy_lines(cx, d, out);
}

static enum code run_text(struct ctx *cx, struct pdf *d, int page, bool with_images)
{
    if (!try_text(d, page, with_images))
        return ctx_fail(cx, d->code, "could not read the page: %s", d->message);
    return check_limits(cx, d);
}

static enum code pdf_read_page(struct ctx *cx, struct doc *base, int page, Extract__V1__Page *out)
{
    struct pdf *d = (struct pdf *)base;
    TRY(reopen(cx, d));
    d->warnings = 0;
    clock_start(d);
    enum code code = run_text(cx, d, page, false);
    if (code == CODE_OK && engine_wants_images(&d->text.signals))
        code = run_text(cx, d, page, true);
    clock_stop();
    return code == CODE_OK ? judge(cx, d, out) : code;
}

static enum code copy_pixels(struct ctx *cx, struct pdf *d, double dpi, struct raster *ret_raster)
{
    fz_pixmap *p = d->pixmap;
    size_t w = (size_t)p->w, h = (size_t)p->h;
    unsigned char *gray = malloc(MAX(w * h, (size_t)1));
    if (!gray)
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "no memory for a page of %zu x %zu pixels", w, h);
    for (size_t y = 0; y < h; y++)
        memcpy(gray + y * w, p->samples + y * (size_t)p->stride, w);
    *ret_raster = (struct raster){.gray = gray,
                                  .width = p->w,
                                  .height = p->h,
                                  .dpi = dpi,
                                  .width_pt = d->box.x1 - d->box.x0,
                                  .height_pt = d->box.y1 - d->box.y0};
    return CODE_OK;
}

static enum code pdf_render(struct ctx *cx, struct doc *base, int page, int dpi,
                            struct raster *ret_raster)
{
    struct pdf *d = (struct pdf *)base;
    TRY(reopen(cx, d));
    d->text.too_much = false;
    double real_dpi = dpi;
    clock_start(d);
    bool ok = try_render(d, page, dpi, &real_dpi);
    clock_stop();
    if (!ok)
        return ctx_fail(cx, d->code, "could not draw the page: %s", d->message);
    enum code code = check_limits(cx, d);
    if (code == CODE_OK)
        code = copy_pixels(cx, d, real_dpi, ret_raster);
    fz_drop_pixmap(d->fz, d->pixmap);
    d->pixmap = NULL;
    return code;
}

/* ---- the document ---- */

static void pdf_close(struct doc *base)
{
    struct pdf *d = (struct pdf *)base;
    pdf_text_done(&d->text);
    if (d->fz) {
        pdf_drop_document(d->fz, d->doc);
        fz_drop_context(d->fz);
    }
    free(d);
}

static const struct doc_ops pdf_ops = {pdf_read_page, pdf_render, pdf_close};

/* A file cut off in the middle of an object cannot even be repaired: leaves that object out. */
static bool open_shortened(struct pdf *d)
{
    static const char end[] = "endobj";
    size_t n = d->src.len;
    while (n >= sizeof(end) - 1 &&
           memcmp(d->src.data + n - (sizeof(end) - 1), end, sizeof(end) - 1) != 0)
        n--;
    if (n < sizeof(end) - 1 || n == d->src.len)
        return false;
    d->src.len = n;
    return try_open(d);
}

static enum code open_into(struct ctx *cx, struct pdf *d)
{
    d->fz = fz_new_context(NULL, NULL, STORE_BYTES);
    if (!d->fz)
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "no memory for a PDF reader");
    fz_set_warning_callback(d->fz, on_warning, d);
    fz_set_error_callback(d->fz, NULL, NULL);
    if (!try_open(d) && !open_shortened(d))
        return ctx_fail(cx, d->code, "could not open the document: %s", d->message);
    TRY(unlock(cx, d));
    if (!try_count(d))
        return ctx_fail(cx, d->code, "could not count the pages: %s", d->message);
    if (d->base.page_count < 1)
        return ctx_fail(cx, CODE_UNREADABLE, "no page was found");
    if (d->src.max_pages && d->base.page_count > d->src.max_pages)
        return doc_too_many(cx, d->src.max_pages);
    try_title(d);
    d->base.title = d->title;
    return CODE_OK;
}

enum code doc_pdf_open(struct ctx *cx, const struct doc_source *src, struct doc **ret_doc)
{
    struct pdf *d = calloc(1, sizeof(*d));
    if (!d)
        return ctx_oom(cx);
    d->base.ops = &pdf_ops;
    d->src = *src;
    d->text.text = BUF_INIT(DOC_MAX_PAGE_TEXT);
    enum code code = open_into(cx, d);
    if (code != CODE_OK) {
        pdf_close(&d->base);
        return code;
    }
    *ret_doc = &d->base;
    return CODE_OK;
}
