/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* boxtool.c - one file through the extractor, end to end, for measuring and for debugging.
 *
 * Opens the file in a child, reads all text pages, then the pages that want OCR with up to N
 * further children at once, exactly as a worker would, and prints what came back. A page that takes
 * longer than the limit is killed with its child. Exit status: 0 read, 1 the document as a whole
 * failed, 2 usage. It keeps all texts in memory and is no example for a worker. */
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clk.h"
#include "workers/box.h"

struct tool {
    const char *program, *type, *password, *languages, *tessdata, *open_languages;
    int64_t memory;
    int parallel, max_pages, timeout_ms, dpi;
    bool no_ocr, all_ocr, quiet, summary;
    int fd;
    struct box *box;
    Extract__V1__Page **pages; /* by number - 1 */
    int count;
    int64_t text_us;
};

static struct ctx main_cx;
static struct arena kept; /* failed pages */

static int fail(struct ctx *cx, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", what, code_name(cx->failure.code), ctx_message(cx));
    return 1;
}

/* The next reply, or DEADLINE_EXCEEDED after the child was killed. */
static enum code next(struct ctx *cx, struct tool *t, struct box_child *c, int64_t end,
                      Extract__V1__Reply **ret)
{
    for (;;) {
        bool got;
        TRY(box_receive(cx, c, &got, ret));
        if (got)
            return CODE_OK;
        struct pollfd p = {.fd = box_child_fd(c), .events = POLLIN};
        int64_t left = end - clk_mono_ms();
        if (left <= 0 || poll(&p, 1, (int)left) == 0) {
            box_kill(c);
            return ctx_fail(cx, CODE_DEADLINE_EXCEEDED, "killed after %d ms", t->timeout_ms);
        }
    }
}

static enum code open_child(struct ctx *cx, struct tool *t, struct box_child **ret)
{
    CLEANUP(box_child_closep) struct box_child *c = NULL;
    TRY(box_spawn(cx, t->box, t->fd, &c));
    Extract__V1__Open open = EXTRACT__V1__OPEN__INIT;
    open.content_type = (char *)(uintptr_t)t->type;
    open.password = (char *)(uintptr_t)t->password;
    open.max_pages = t->max_pages;
    open.page_timeout_ms = t->timeout_ms;
    open.languages = (char *)(uintptr_t)t->open_languages;
    Extract__V1__Request q = EXTRACT__V1__REQUEST__INIT;
    q.kind_case = EXTRACT__V1__REQUEST__KIND_OPEN;
    q.open = &open;
    TRY(box_send(cx, c, &q));
    Extract__V1__Reply *r;
    TRY(next(cx, t, c, clk_mono_ms() + t->timeout_ms, &r));
    if (r->kind_case == EXTRACT__V1__REPLY__KIND_FAILED)
        return ctx_fail(cx, code_from_name(r->failed->code), "%s", r->failed->message);
    if (!t->pages) {
        t->count = r->opened->page_count;
        t->pages = calloc((size_t)t->count, sizeof(Extract__V1__Page *));
        fprintf(stderr, "%d pages, %s, title \"%s\"\n", t->count, r->opened->content_type,
                r->opened->title);
    }
    *ret = TAKE(c);
    return CODE_OK;
}

static Extract__V1__Page *failed_page(int number, const char *why)
{
    Extract__V1__Page *p = arena_alloc(&kept, sizeof(*p));
    *p = (Extract__V1__Page)EXTRACT__V1__PAGE__INIT;
    p->page = number;
    p->verdict = EXTRACT__V1__VERDICT__VERDICT_FAILED;
    p->error = arena_strdup(&kept, why);
    return p;
}

/* Asks one child for pages [first, count]; returns the page after the last one answered. */
static int text_run(struct tool *t, int first)
{
    struct ctx cx;
    ctx_init(&cx, 0);
    CLEANUP(box_child_closep) struct box_child *c = NULL;
    enum code code = open_child(&cx, t, &c);
    Extract__V1__ReadPages read = EXTRACT__V1__READ_PAGES__INIT;
    read.first = first;
    read.count = t->count - first + 1;
    Extract__V1__Request q = EXTRACT__V1__REQUEST__INIT;
    q.kind_case = EXTRACT__V1__REQUEST__KIND_READ_PAGES;
    q.read_pages = &read;
    if (code == CODE_OK)
        code = box_send(&cx, c, &q);
    int at = first;
    while (code == CODE_OK && at <= t->count) {
        Extract__V1__Reply *r;
        code = next(&main_cx, t, c, clk_mono_ms() + t->timeout_ms, &r);
        if (code == CODE_OK && r->kind_case == EXTRACT__V1__REPLY__KIND_PAGE)
            t->pages[at++ - 1] = r->page;
        else if (code == CODE_OK)
            code = ctx_fail(&main_cx, CODE_INTERNAL, "unexpected reply %d", r->kind_case);
    }
    if (code != CODE_OK) {
        struct ctx *why = main_cx.failure.code ? &main_cx : &cx;
        t->pages[at - 1] = failed_page(at, ctx_message(why));
        at++;
        ctx_clear(&main_cx);
    }
    ctx_done(&cx);
    return at;
}

struct slot {
    struct box_child *child;
    int page;
    int64_t end;
};

static void start_ocr(struct tool *t, struct slot *s, int page)
{
    struct ctx cx;
    ctx_init(&cx, 0);
    Extract__V1__ReadOcrPage ocr = EXTRACT__V1__READ_OCR_PAGE__INIT;
    ocr.page = page;
    ocr.dpi = t->dpi;
    Extract__V1__Request q = EXTRACT__V1__REQUEST__INIT;
    q.kind_case = EXTRACT__V1__REQUEST__KIND_READ_OCR_PAGE;
    q.read_ocr_page = &ocr;
    s->page = page;
    s->end = clk_mono_ms() + t->timeout_ms;
    if (open_child(&cx, t, &s->child) != CODE_OK || box_send(&cx, s->child, &q) != CODE_OK) {
        t->pages[page - 1] = failed_page(page, ctx_message(&cx));
        box_child_closep(&s->child);
    }
    ctx_done(&cx);
}

static void end_ocr(struct tool *t, struct slot *s)
{
    Extract__V1__Reply *r;
    if (next(&main_cx, t, s->child, s->end, &r) == CODE_OK &&
        r->kind_case == EXTRACT__V1__REPLY__KIND_PAGE)
        t->pages[s->page - 1] = r->page;
    else
        t->pages[s->page - 1] = failed_page(s->page, ctx_message(&main_cx));
    ctx_clear(&main_cx);
    box_child_closep(&s->child);
}

static void run_ocr(struct tool *t)
{
    struct slot slots[64] = {{0}};
    int page = 1, running = 0;
    while (page <= t->count || running) {
        while (page <= t->count && running < t->parallel) {
            int v = (int)t->pages[page - 1]->verdict;
            if (t->all_ocr || v == EXTRACT__V1__VERDICT__VERDICT_NEEDS_OCR) {
                struct slot *s = slots;
                while (s->child)
                    s++;
                start_ocr(t, s, page);
                running += s->child != NULL;
            }
            page++;
        }
        if (!running)
            continue;
        struct pollfd p[64];
        for (int i = 0; i < t->parallel; i++)
            p[i] = (struct pollfd){.fd = slots[i].child ? box_child_fd(slots[i].child) : -1,
                                   .events = POLLIN};
        poll(p, (nfds_t)t->parallel, 1000);
        for (int i = 0; i < t->parallel; i++)
            if (slots[i].child && (p[i].revents || clk_mono_ms() >= slots[i].end)) {
                end_ocr(t, &slots[i]);
                running--;
            }
    }
}

static void print(const struct tool *t)
{
    static const char *const names[] = {"?",      "text", "needs_ocr", "blank",
                                        "failed", "ocr",  "layer"};
    int by[7] = {0};
    for (int i = 0; i < t->count; i++) {
        const Extract__V1__Page *p = t->pages[i];
        by[p->verdict]++;
        if (!t->summary)
            fprintf(
                stderr,
                "page %d [%s] %s %.0fx%.0f rot %d, %zu bytes, %zu lines, %d ms, conf %.2f %s%s\n",
                p->page, p->label, names[p->verdict], p->width, p->height, p->rotation,
                strlen(p->text), p->n_lines, p->ms, p->confidence, p->reason,
                strcmp(p->reason, p->error) ? p->error : "");
        if (!t->quiet)
            printf("%s\f", p->text);
    }
    for (int i = 1; i < 7; i++)
        if (by[i])
            fprintf(stderr, "%s %d  ", names[i], by[i]);
    fprintf(stderr, "text pass %.1f ms\n", (double)t->text_us / 1000);
}

static int run(struct tool *t)
{
    struct box_options o = {t->program, t->memory, t->languages, t->tessdata};
    int64_t start = clk_mono_us();
    if (box_start(&main_cx, &o, &t->box) != CODE_OK)
        return fail(&main_cx, "box_start");
    fprintf(stderr, "zygote %d warm in %.1f ms\n", (int)box_zygote_pid(t->box),
            (double)(clk_mono_us() - start) / 1000);
    start = clk_mono_us();
    struct box_child *first = NULL;
    if (open_child(&main_cx, t, &first) != CODE_OK)
        return fail(&main_cx, "open");
    box_child_close(first);
    for (int at = 1, crashes = 0; at <= t->count;) {
        int after = text_run(t, at);
        crashes = after == at + 1 ? crashes + 1 : 0;
        at = after;
        while (crashes > 20 && at <= t->count) {
            t->pages[at - 1] = failed_page(at, "not tried");
            at++;
        }
    }
    t->text_us = clk_mono_us() - start;
    if (!t->no_ocr)
        run_ocr(t);
    print(t);
    fprintf(stderr, "total %.1f ms, zygote restarts %u\n", (double)(clk_mono_us() - start) / 1000,
            box_restarts(t->box));
    return 0;
}

static bool options(int argc, char **argv, struct tool *t)
{
    int c;
    while ((c = getopt(argc, argv, "x:t:p:l:L:d:m:j:M:T:r:nAqs")) != -1) {
        switch (c) {
        case 'x':
            t->program = optarg;
            break;
        case 't':
            t->type = optarg;
            break;
        case 'p':
            t->password = optarg;
            break;
        case 'l':
            t->languages = optarg;
            break;
        case 'L':
            t->open_languages = optarg;
            break;
        case 'd':
            t->tessdata = optarg;
            break;
        case 'm':
            t->memory = atoll(optarg);
            break;
        case 'j':
            t->parallel = atoi(optarg);
            break;
        case 'M':
            t->max_pages = atoi(optarg);
            break;
        case 'T':
            t->timeout_ms = atoi(optarg);
            break;
        case 'r':
            t->dpi = atoi(optarg);
            break;
        case 'n':
            t->no_ocr = true;
            break;
        case 'A':
            t->all_ocr = true;
            break;
        case 'q':
            t->quiet = true;
            break;
        case 's':
            t->summary = true;
            break;
        default:
            return false;
        }
    }
    return optind + 1 == argc && t->parallel > 0 && t->parallel <= 64;
}

int main(int argc, char **argv)
{
    struct tool t = {.type = "",
                     .password = "",
                     .open_languages = "",
                     .memory = 1000000000,
                     .parallel = 2,
                     .max_pages = 20000,
                     .timeout_ms = 120000};
    if (!options(argc, argv, &t) || (t.fd = open(argv[optind], O_RDONLY | O_CLOEXEC)) < 0) {
        fprintf(stderr, "usage: boxtool [-x EXTRACTOR] [-t TYPE] [-p PASSWORD] [-j N] [-T MS] "
                        "[-m BYTES] [-M PAGES] [-r DPI] [-n no OCR] [-A all OCR] [-q] [-s] FILE\n");
        return 2;
    }
    ctx_init(&main_cx, 0);
    int status = run(&t);
    box_stop(t.box);
    free(t.pages);
    arena_reset(&kept);
    ctx_done(&main_cx);
    return status;
}
