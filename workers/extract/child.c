/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* child.c - one document: lock in, open, answer (child.h); zygote.c calls it in a fresh process.
 *
 * The order is the point: map the document unread, read the worker's Open, load OCR models that are
 * not warm (those are files), lock in, and only then look at the document. From there on everything
 * this process knows may be the document's author's doing, and the worker treats it so.
 *
 * A page that fails is a Page with verdict FAILED and the talk goes on. After FAILURES_IN_A_ROW of
 * them the pages that follow are not tried: a document that claims 20,000 pages and has one must
 * not take hours. Texts are made fit for the wire in one place: valid UTF-8, no NUL. */
#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/frame.h"
#include "base/str.h"
#include "sandbox.h"
#include "sanitized.h"

enum {
    REQUEST_LIMIT = 1 << 20,
    FAILURES_IN_A_ROW = 50,
    MESSAGE_BYTES = 500,
    MEMORY_PROBE = 64 << 20,
    OCR_NICE = 10,
};

#define UNIT_MEMORY ((size_t)1 << 30) /* RLIMIT_AS is the limit that counts */

struct child {
    int fd;
    struct frame_reader in;
    struct ocr *ocr;
    struct doc_source src;
    struct doc *doc;
    int failures; /* in a row */
};

/* Libraries that do not check malloc crash when memory is gone. Says so, if that is what it is. */
static void on_crash(int sig)
{
    (void)sig;
    void *p = mmap(NULL, MEMORY_PROBE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        _exit(EXTRACT__V1__EXIT_STATUS__EXIT_OUT_OF_MEMORY);
    munmap(p, MEMORY_PROBE); /* the handler is gone by now: the same crash again ends the process */
}

static void watch_crashes(void)
{
    if (SANITIZED) /* it has handlers of its own */
        return;
    struct sigaction sa = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGABRT, &sa, NULL);
}

static char *text(const char *s)
{
    return (char *)(uintptr_t)s;
}

/* ---- sending ---- */

static enum code send_reply(struct ctx *cx, struct child *c, const Extract__V1__Reply *r)
{
    size_t len = extract__v1__reply__get_packed_size(r);
    unsigned char *data = malloc(MAX(len, (size_t)1));
    if (!data)
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "no memory for a reply of %zu bytes", len);
    extract__v1__reply__pack(r, data);
    enum code code = frame_write(cx, c->fd, data, len, -1);
    free(data);
    return code;
}

/* What failed, as short valid text: libraries put bytes of the document into their messages. */
static char *message(struct ctx *cx)
{
    size_t len;
    const char *m = ctx_message(cx);
    char *s = str_utf8_repair(&cx->arena, m, strnlen(m, MESSAGE_BYTES), &len);
    for (char *p = s; p && *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return s && *s ? s : text(code_text(cx->failure.code));
}

static enum code send_failed(struct ctx *cx, struct child *c)
{
    Extract__V1__Failed f = EXTRACT__V1__FAILED__INIT;
    f.code = text(code_name(cx->failure.code));
    f.message = message(cx);
    ctx_clear(cx);
    Extract__V1__Reply r = EXTRACT__V1__REPLY__INIT;
    r.kind_case = EXTRACT__V1__REPLY__KIND_FAILED;
    r.failed = &f;
    return send_reply(cx, c, &r);
}

static enum code send_page(struct ctx *cx, struct child *c, Extract__V1__Page *page)
{
    Extract__V1__Reply r = EXTRACT__V1__REPLY__INIT;
    r.kind_case = EXTRACT__V1__REPLY__KIND_PAGE;
    r.page = page;
    return send_reply(cx, c, &r);
}

/* ---- pages ---- */

static void page_failed(struct ctx *cx, int number, Extract__V1__Page *out)
{
    Extract__V1__Page blank = EXTRACT__V1__PAGE__INIT;
    *out = blank;
    out->page = number;
    out->verdict = EXTRACT__V1__VERDICT__VERDICT_FAILED;
    out->confidence = -1;
    out->error = message(cx);
    out->reason = out->error;
    ctx_clear(cx);
}

static enum code checked(struct ctx *cx, const struct child *c, int page)
{
    if (page < 1 || page > c->doc->page_count)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "page %d is not between 1 and %d", page,
                        c->doc->page_count);
    return CODE_OK;
}

static enum code read_page(struct ctx *cx, struct child *c, int number, Extract__V1__Page *out)
{
    if (c->failures >= FAILURES_IN_A_ROW)
        return ctx_fail(cx, CODE_UNREADABLE, "not tried: the %d pages before it cannot be read",
                        FAILURES_IN_A_ROW);
    out->page = number;
    enum code code = c->doc->ops->read_page(cx, c->doc, number, out);
    c->failures = code == CODE_OK ? 0 : c->failures + 1;
    return code;
}

static enum code send_text_page(struct child *c, int number)
{
    CLEANUP(ctx_done) struct ctx cx;
    ctx_init(&cx, UNIT_MEMORY);
    int64_t start = clk_mono_us();
    Extract__V1__Page page = EXTRACT__V1__PAGE__INIT;
    if (read_page(&cx, c, number, &page) != CODE_OK)
        page_failed(&cx, number, &page);
    page.ms = (int32_t)((clk_mono_us() - start + 500) / 1000);
    return send_page(&cx, c, &page);
}

static enum code answer_pages(struct ctx *cx, struct child *c, const Extract__V1__ReadPages *q)
{
    if (q->count < 1 || checked(cx, c, q->first) != CODE_OK ||
        q->count > c->doc->page_count - q->first + 1) {
        if (cx->failure.code == CODE_OK)
            (void)ctx_fail(cx, CODE_INVALID_ARGUMENT, "%d pages from page %d on are not there",
                           q->count, q->first);
        return send_failed(cx, c);
    }
    for (int i = 0; i < q->count; i++)
        TRY(send_text_page(c, q->first + i));
    Extract__V1__Done done = EXTRACT__V1__DONE__INIT;
    Extract__V1__Reply r = EXTRACT__V1__REPLY__INIT;
    r.kind_case = EXTRACT__V1__REPLY__KIND_DONE;
    r.done = &done;
    return send_reply(cx, c, &r);
}

static enum code ocr_page(struct ctx *cx, struct child *c, int number, int dpi,
                          Extract__V1__Page *out)
{
    if (!c->doc->ops->render)
        return ctx_fail(cx, CODE_UNSUPPORTED, "pages of this type are never pictures");
    int64_t start = clk_mono_ms();
    struct raster raster;
    TRY(c->doc->ops->render(cx, c->doc, number, dpi ? dpi : DOC_OCR_DPI, &raster));
    int left = c->src.page_timeout_ms;
    if (left)
        left = (int)MAX(left - (clk_mono_ms() - start), 1);
    out->page = number;
    return ocr_read(cx, c->ocr, &raster, left, out);
}

static enum code answer_ocr(struct ctx *cx, struct child *c, const Extract__V1__ReadOcrPage *q)
{
    if (checked(cx, c, q->page) != CODE_OK)
        return send_failed(cx, c);
    if (q->dpi < 0 || q->dpi > 1200) {
        (void)ctx_fail(cx, CODE_INVALID_ARGUMENT, "%d dpi is not between 1 and 1200", q->dpi);
        return send_failed(cx, c);
    }
    if (*q->languages && strcmp(q->languages, ocr_loaded(c->ocr)) != 0) {
        (void)ctx_fail(cx, CODE_INVALID_ARGUMENT, "OCR languages \"%s\" were not named by Open",
                       q->languages);
        return send_failed(cx, c);
    }
    int64_t start = clk_mono_ms();
    Extract__V1__Page page = EXTRACT__V1__PAGE__INIT;
    if (ocr_page(cx, c, q->page, q->dpi, &page) != CODE_OK)
        page_failed(cx, q->page, &page);
    page.ms = (int32_t)(clk_mono_ms() - start);
    return send_page(cx, c, &page);
}

/* ---- requests ---- */

static enum code receive(struct ctx *cx, struct child *c, Extract__V1__Request **ret_request)
{
    bool got;
    const unsigned char *data;
    size_t len;
    TRY(frame_read(cx, &c->in, &got, &data, &len));
    if (!got)
        return ctx_fail(cx, CODE_INTERNAL, "the talk is not a blocking socket");
    Extract__V1__Request *q = extract__v1__request__unpack(&cx->arena.pb, len, data);
    if (!q)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "the request cannot be understood");
    *ret_request = q;
    return CODE_OK;
}

static enum code send_opened(struct ctx *cx, struct child *c)
{
    Extract__V1__Opened o = EXTRACT__V1__OPENED__INIT;
    size_t len;
    o.page_count = c->doc->page_count;
    o.title = str_utf8_repair(&cx->arena, c->doc->title, strlen(c->doc->title), &len);
    o.content_type = text(c->doc->content_type);
    if (!o.title)
        return ctx_oom(cx);
    Extract__V1__Reply r = EXTRACT__V1__REPLY__INIT;
    r.kind_case = EXTRACT__V1__REPLY__KIND_OPENED;
    r.opened = &o;
    return send_reply(cx, c, &r);
}

static enum code map_document(struct ctx *cx, int fd, struct doc_source *src)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return ctx_fail(cx, CODE_UNREADABLE, "the document is not a regular file");
    src->len = (size_t)st.st_size;
    if (src->len) {
        void *p = mmap(NULL, src->len, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            return ctx_fail(cx, CODE_OUT_OF_MEMORY, "could not map the document: %s",
                            strerror(errno));
        src->data = p;
    }
    close(fd);
    return CODE_OK;
}

/* Everything until the document is open. The Open request's texts live in cx. */
static enum code open_document(struct ctx *cx, struct child *c, const struct child_setup *s,
                               bool *ret_locked)
{
    Extract__V1__Request *q;
    TRY(map_document(cx, s->document_fd, &c->src));
    TRY(receive(cx, c, &q));
    if (q->kind_case != EXTRACT__V1__REQUEST__KIND_OPEN)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "the first request must be Open");
    TRY(ocr_languages(cx, c->ocr, q->open->languages));
    if (*q->open->languages) /* OCR takes seconds of CPU a page: the API and quick texts go first */
        (void)!nice(OCR_NICE);
    TRY(sandbox_enter(cx, s->memory));
    *ret_locked = true;
    watch_crashes();
    c->src.content_type = q->open->content_type;
    c->src.password = q->open->password;
    c->src.max_pages = MAX(q->open->max_pages, 0);
    c->src.page_timeout_ms = MAX(q->open->page_timeout_ms, 0);
    return doc_open(cx, &c->src, &c->doc);
}

static enum code answer(struct ctx *cx, struct child *c)
{
    Extract__V1__Request *q;
    TRY(receive(cx, c, &q));
    switch (q->kind_case) {
    case EXTRACT__V1__REQUEST__KIND_READ_PAGES:
        return answer_pages(cx, c, q->read_pages);
    case EXTRACT__V1__REQUEST__KIND_READ_OCR_PAGE:
        return answer_ocr(cx, c, q->read_ocr_page);
    default:
        (void)ctx_fail(cx, CODE_INVALID_ARGUMENT, "a document is open already");
        return send_failed(cx, c);
    }
}

int child_run(const struct child_setup *s)
{
    struct child c = {.fd = s->talk_fd,
                      .in = FRAME_READER(s->talk_fd, REQUEST_LIMIT),
                      .ocr = s->ocr};
    struct ctx cx;
    ctx_init(&cx, UNIT_MEMORY);
    bool locked = false;
    if (open_document(&cx, &c, s, &locked) != CODE_OK) {
        bool out_of_memory = cx.failure.code == CODE_OUT_OF_MEMORY;
        (void)send_failed(&cx, &c);
        return out_of_memory ? EXTRACT__V1__EXIT_STATUS__EXIT_OUT_OF_MEMORY
               : locked      ? EXTRACT__V1__EXIT_STATUS__EXIT_OK
                             : EXTRACT__V1__EXIT_STATUS__EXIT_SETUP_FAILED;
    }
    if (send_opened(&cx, &c) != CODE_OK)
        return EXTRACT__V1__EXIT_STATUS__EXIT_TALK_FAILED;
    for (;;) {
        struct ctx unit;
        ctx_init(&unit, UNIT_MEMORY);
        enum code code = answer(&unit, &c);
        ctx_done(&unit);
        if (code == CODE_UNAVAILABLE) /* the worker hung up */
            return EXTRACT__V1__EXIT_STATUS__EXIT_OK;
        if (code != CODE_OK)
            return code == CODE_OUT_OF_MEMORY ? EXTRACT__V1__EXIT_STATUS__EXIT_OUT_OF_MEMORY
                                              : EXTRACT__V1__EXIT_STATUS__EXIT_TALK_FAILED;
    }
}
