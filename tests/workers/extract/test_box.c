/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_box.c - the real extractor end to end, from a descriptor to checked replies.
 *
 * One zygote serves all tests but those that break it. Nothing here sleeps: every wait is a poll
 * with a deadline. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clk.h"
#include "sample.h"
#include "workers/box.h"
#include "workers/extract/sanitized.h"

static struct ctx cx;
static struct box *box;

static const char *const lines[] = {"The quick brown fox jumps", "over the lazy dog 12345",
                                    "and nobody else was there."};

/* ---- talk ---- */

static enum code receive(struct box_child *c, int timeout_ms, Extract__V1__Reply **ret_reply)
{
    int64_t end = clk_mono_ms() + timeout_ms;
    for (;;) {
        bool got;
        TRY(box_receive(&cx, c, &got, ret_reply));
        if (got)
            return CODE_OK;
        struct pollfd p = {.fd = box_child_fd(c), .events = POLLIN};
        int64_t left = end - clk_mono_ms();
        if (left <= 0)
            return ctx_fail(&cx, CODE_DEADLINE_EXCEEDED, "no reply in %d ms", timeout_ms);
        poll(&p, 1, (int)left);
    }
}

static enum code ask_open(struct box_child *c, Extract__V1__Open *open,
                          Extract__V1__Reply **ret_reply)
{
    Extract__V1__Request q = EXTRACT__V1__REQUEST__INIT;
    q.kind_case = EXTRACT__V1__REQUEST__KIND_OPEN;
    q.open = open;
    TRY(box_send(&cx, c, &q));
    return receive(c, 30000, ret_reply);
}

static struct box_child *spawn(struct box *b, const void *data, size_t len)
{
    int fd = sample_fd(data, len);
    struct box_child *c = NULL;
    enum code code = box_spawn(&cx, b, fd, &c);
    close(fd);
    if (code != CODE_OK)
        fail_msg("%s", ctx_message(&cx));
    return c;
}

/* A child with the document open; *ret_reply is Opened or Failed. */
static struct box_child *opened(struct box *b, const struct buf *doc, const char *type,
                                int max_pages, Extract__V1__Reply **ret_reply)
{
    struct box_child *c = spawn(b, doc->data, doc->len);
    Extract__V1__Open open = EXTRACT__V1__OPEN__INIT;
    open.content_type = (char *)(uintptr_t)type;
    open.max_pages = max_pages;
    open.page_timeout_ms = 60000;
    if (ask_open(c, &open, ret_reply) != CODE_OK)
        fail_msg("%s", ctx_message(&cx));
    return c;
}

static Extract__V1__Page *text_page(struct box_child *c, int page)
{
    Extract__V1__ReadPages read = EXTRACT__V1__READ_PAGES__INIT;
    read.first = page;
    read.count = 1;
    Extract__V1__Request q = EXTRACT__V1__REQUEST__INIT;
    q.kind_case = EXTRACT__V1__REQUEST__KIND_READ_PAGES;
    q.read_pages = &read;
    Extract__V1__Reply *r, *done;
    assert_int_equal(box_send(&cx, c, &q), CODE_OK);
    assert_int_equal(receive(c, 30000, &r), CODE_OK);
    assert_int_equal(r->kind_case, EXTRACT__V1__REPLY__KIND_PAGE);
    assert_int_equal(receive(c, 30000, &done), CODE_OK);
    assert_int_equal(done->kind_case, EXTRACT__V1__REPLY__KIND_DONE);
    return r->page;
}

static enum code ocr_page(struct box_child *c, int page, Extract__V1__Reply **ret_reply)
{
    Extract__V1__ReadOcrPage read = EXTRACT__V1__READ_OCR_PAGE__INIT;
    read.page = page;
    Extract__V1__Request q = EXTRACT__V1__REQUEST__INIT;
    q.kind_case = EXTRACT__V1__REQUEST__KIND_READ_OCR_PAGE;
    q.read_ocr_page = &read;
    TRY(box_send(&cx, c, &q));
    return receive(c, SANITIZED ? 120000 : 15000, ret_reply);
}

static void pdf_of(struct buf *doc, const char *content)
{
    sample_pdf(doc, &content, 1, NULL);
}

static void sample(struct buf *doc)
{
    CLEANUP(buf_done) struct buf content = BUF_INIT(0);
    sample_content(&content, lines, (int)ARRAY_LEN(lines));
    pdf_of(doc, content.data);
}

/* ---- what is read ---- */

static void text_of_a_pdf(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    sample(&doc);
    Extract__V1__Reply *r;
    CLEANUP(box_child_closep) struct box_child *c = opened(box, &doc, "application/pdf", 10, &r);
    assert_int_equal(r->opened->page_count, 1);
    Extract__V1__Page *p = text_page(c, 1);
    assert_int_equal(p->verdict, EXTRACT__V1__VERDICT__VERDICT_TEXT);
    assert_string_equal(p->label, "i");
    assert_true(p->width == 612 && p->height == 792);
    assert_int_equal(p->n_lines, 3);
    for (size_t i = 0; i < 3; i++) {
        const Extract__V1__Line *l = p->lines[i];
        assert_int_equal(l->end - l->start, strlen(lines[i]));
        assert_memory_equal(p->text + l->start, lines[i], strlen(lines[i]));
        double baseline = 792 - (700 - 40.0 * (double)i);
        assert_true(l->x0 > 58 && l->x0 < 64 && l->y0 < baseline && l->y1 >= baseline);
    }
}

static void expect_words(const Extract__V1__Page *p)
{
    assert_int_equal(p->verdict, EXTRACT__V1__VERDICT__VERDICT_OCR);
    assert_true(p->confidence > 0.8 && p->confidence <= 1);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (!strstr(p->text, lines[i]))
            fail_msg("\"%s\" is not in \"%s\"", lines[i], p->text);
    assert_int_equal(p->n_lines, 3);
}

/* An unlimited OpenMP makes this nine times slower: the time is part of the test. */
static void ocr_of_a_pdf(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    sample(&doc);
    Extract__V1__Reply *r;
    CLEANUP(box_child_closep) struct box_child *c = opened(box, &doc, "application/pdf", 10, &r);
    assert_int_equal(ocr_page(c, 1, &r), CODE_OK);
    expect_words(r->page);
    assert_true(SANITIZED || r->page->ms < 15000);
    /* boxes are points of the page, whatever the pixels were */
    assert_true(r->page->lines[0]->x0 > 55 && r->page->lines[0]->x0 < 70);
    assert_true(r->page->lines[0]->y0 > 60 && r->page->lines[0]->y1 < 110);
}

static void big_letter(struct buf *pgm, int w, int h)
{
    buf_printf(pgm, "P5\n%d %d\n255\n", w, h);
    char *at = buf_room(pgm, (size_t)w * (size_t)h);
    memset(at, 255, (size_t)w * (size_t)h);
    for (int y = h / 4; y < h / 2; y++) /* a plain dark block: no word */
        memset(at + y * w + w / 4, 0, (size_t)w / 2);
    pgm->len += (size_t)w * (size_t)h;
}

static void a_picture_without_words(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    big_letter(&doc, 850, 1100);
    Extract__V1__Reply *r;
    CLEANUP(box_child_closep)
    struct box_child *c = opened(box, &doc, "image/x-portable-anymap", 10, &r);
    assert_int_equal(r->kind_case, EXTRACT__V1__REPLY__KIND_OPENED);
    assert_int_equal(text_page(c, 1)->verdict, EXTRACT__V1__VERDICT__VERDICT_NEEDS_OCR);
    assert_int_equal(ocr_page(c, 1, &r), CODE_OK);
    assert_int_equal(r->page->verdict, EXTRACT__V1__VERDICT__VERDICT_BLANK);
    assert_true(r->page->confidence < 0);
}

static void engines(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        Extract__V1__Verdict verdict;
    } rows[] = {
        {"q 612 0 0 792 0 0 cm /I1 Do Q", EXTRACT__V1__VERDICT__VERDICT_NEEDS_OCR},
        {"q 30 0 0 30 0 0 cm /I1 Do Q", EXTRACT__V1__VERDICT__VERDICT_BLANK},
        {"", EXTRACT__V1__VERDICT__VERDICT_BLANK},
        {"q 612 0 0 792 0 0 cm /I1 Do Q BT 3 Tr /F1 20 Tf 50 500 Td (read before) Tj ET",
         EXTRACT__V1__VERDICT__VERDICT_LAYER},
        {"BT /F1 20 Tf 50 500 Td (hello) Tj ET", EXTRACT__V1__VERDICT__VERDICT_TEXT},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
        pdf_of(&doc, rows[i].content);
        Extract__V1__Reply *r;
        CLEANUP(box_child_closep) struct box_child *c = opened(box, &doc, "application/pdf", 0, &r);
        Extract__V1__Page *p = text_page(c, 1);
        if (p->verdict != rows[i].verdict)
            fail_msg("%s: verdict %d (%s)", rows[i].content, (int)p->verdict, p->reason);
    }
}

/* ---- what is refused ---- */

static void expect_failed(const struct buf *doc, const char *type, int max_pages, const char *code,
                          const char *message)
{
    Extract__V1__Reply *r;
    CLEANUP(box_child_closep) struct box_child *c = opened(box, doc, type, max_pages, &r);
    (void)c;
    if (r->kind_case != EXTRACT__V1__REPLY__KIND_FAILED || strcmp(r->failed->code, code) != 0 ||
        !strstr(r->failed->message, message))
        fail_msg("not %s \"%s\": kind %d, %s", code, message, (int)r->kind_case,
                 r->kind_case == EXTRACT__V1__REPLY__KIND_FAILED ? r->failed->message : "");
}

static void refused_documents(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    buf_str(&doc, "%PDF-1.4\nnothing");
    expect_failed(&doc, "application/pdf", 0, "UNREADABLE", "");
    expect_failed(&doc, "application/x-unknown", 0, "UNSUPPORTED", "\"application/x-unknown\"");
    expect_failed(&doc, "image/png", 0, "UNREADABLE", "header");
    expect_failed(&doc, "image/tiff", 0, "UNREADABLE", "");
    CLEANUP(buf_done) struct buf none = BUF_INIT(0);
    buf_add(&none, "", 0);
    expect_failed(&none, "application/pdf", 0, "UNREADABLE", "empty");

    const char *pages[] = {"", "", ""};
    CLEANUP(buf_done) struct buf three = BUF_INIT(0);
    sample_pdf(&three, pages, 3, NULL);
    expect_failed(&three, "application/pdf", 2, "TOO_LARGE", "more than 2 pages (MAX_PAGES)");
}

static void lying_page_trees(void **state)
{
    (void)state;
    const char *content = "BT /F1 20 Tf 50 500 Td (hello) Tj ET";
    CLEANUP(buf_done) struct buf lie = BUF_INIT(0);
    sample_pdf(&lie, &content, 1, "<</Type/Pages/Kids[5 0 R]/Count 2000000000>>");
    Extract__V1__Reply *r;
    CLEANUP(box_child_closep) struct box_child *c = opened(box, &lie, "application/pdf", 20000, &r);
    assert_int_equal(r->kind_case, EXTRACT__V1__REPLY__KIND_OPENED);
    assert_int_equal(r->opened->page_count, 1);
    assert_string_equal(text_page(c, 1)->text, "hello\n");

    CLEANUP(buf_done) struct buf ring = BUF_INIT(0);
    sample_pdf(&ring, &content, 1, "<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2000000000>>");
    int64_t start = clk_mono_ms();
    CLEANUP(box_child_closep)
    struct box_child *d = opened(box, &ring, "application/pdf", 20000, &r);
    assert_true(clk_mono_ms() - start < 5000);
    assert_int_equal(r->kind_case, EXTRACT__V1__REPLY__KIND_OPENED);
    assert_string_equal(text_page(d, 1)->text, "hello\n"); /* the page is found without the tree */
}

static void passwords(void **state)
{
    (void)state;
    static const struct {
        const char *password, *failed; /* NULL: opens */
    } rows[] = {{"", "PASSWORD_REQUIRED"}, {"wrong", "PASSWORD_REQUIRED"}, {"marmalade", NULL}};
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    FILE *f = fopen(TEST_DATA "/encrypted.pdf", "re");
    assert_non_null(f);
    char *room = buf_room(&doc, 1 << 20);
    doc.len = fread(room, 1, 1 << 20, f);
    fclose(f);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        CLEANUP(box_child_closep) struct box_child *c = spawn(box, doc.data, doc.len);
        Extract__V1__Open open = EXTRACT__V1__OPEN__INIT;
        open.password = (char *)(uintptr_t)rows[i].password;
        Extract__V1__Reply *r;
        assert_int_equal(ask_open(c, &open, &r), CODE_OK);
        if (rows[i].failed)
            assert_string_equal(r->failed->code, rows[i].failed);
        else
            assert_non_null(strstr(text_page(c, 1)->text, "lighthouse"));
    }
}

static void cut_off(void **state)
{
    (void)state;
    const char *content = "BT /F1 20 Tf 50 500 Td (hello) Tj ET";
    const char *pages[] = {content, content, content};
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    sample_pdf(&doc, pages, 3, NULL);
    char *third = memmem(doc.data, doc.len, "\n9 0 obj", 8);
    assert_non_null(third);
    doc.len = (size_t)(third - doc.data) + 30; /* in the middle of the third page's dictionary */
    Extract__V1__Reply *r;
    CLEANUP(box_child_closep) struct box_child *c = opened(box, &doc, "application/pdf", 0, &r);
    assert_int_equal(r->kind_case, EXTRACT__V1__REPLY__KIND_OPENED);
    assert_int_equal(r->opened->page_count, 3);
    assert_string_equal(text_page(c, 1)->text, "hello\n");
    assert_string_equal(text_page(c, 2)->text, "hello\n");
    assert_int_equal(text_page(c, 3)->verdict, EXTRACT__V1__VERDICT__VERDICT_FAILED);
}

static void requests_out_of_turn(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    sample(&doc);
    Extract__V1__Reply *r;
    CLEANUP(box_child_closep) struct box_child *c = opened(box, &doc, "application/pdf", 0, &r);
    assert_int_equal(ocr_page(c, 2, &r), CODE_OK);
    assert_string_equal(r->failed->code, "INVALID_ARGUMENT");
    Extract__V1__Open again = EXTRACT__V1__OPEN__INIT;
    assert_int_equal(ask_open(c, &again, &r), CODE_OK);
    assert_string_equal(r->failed->code, "INVALID_ARGUMENT");
    assert_string_equal(text_page(c, 1)->label, "i"); /* it goes on */

    CLEANUP(box_child_closep) struct box_child *first = spawn(box, doc.data, doc.len);
    assert_int_equal(ocr_page(first, 1, &r), CODE_OK);
    assert_string_equal(r->failed->code, "INVALID_ARGUMENT");
}

static void languages(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    sample(&doc);
    Extract__V1__Open open = EXTRACT__V1__OPEN__INIT;
    open.languages = (char *)(uintptr_t) "eng+xyz";
    CLEANUP(box_child_closep) struct box_child *c = spawn(box, doc.data, doc.len);
    Extract__V1__Reply *r;
    assert_int_equal(ask_open(c, &open, &r), CODE_OK);
    assert_string_equal(r->failed->code, "INVALID_ARGUMENT");
    assert_non_null(strstr(r->failed->message, "tesseract-ocr-xyz"));

    struct box_options o = {.program = EXTRACT_PROGRAM, .languages = "../etc/x"};
    struct box *none = NULL;
    assert_int_equal(box_start(&cx, &o, &none), CODE_INVALID_ARGUMENT);
    ctx_clear(&cx);
}

/* ---- what dies ---- */

static void killed_child(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    sample(&doc);
    Extract__V1__Reply *r;
    CLEANUP(box_child_closep) struct box_child *c = opened(box, &doc, "application/pdf", 0, &r);
    box_kill(c);
    box_kill(c);
    assert_int_equal(receive(c, 10000, &r), CODE_UNAVAILABLE);
    assert_non_null(strstr(ctx_message(&cx), "killed by signal 9"));
    ctx_clear(&cx);
    assert_int_equal(box_restarts(box), 0);
}

static void dead_zygote_is_replaced(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    sample(&doc);
    struct box_options o = {.program = EXTRACT_PROGRAM};
    struct box *b;
    assert_int_equal(box_start(&cx, &o, &b), CODE_OK);
    Extract__V1__Reply *r;
    CLEANUP(box_child_closep) struct box_child *c = opened(b, &doc, "application/pdf", 0, &r);
    pid_t zygote = box_zygote_pid(b);
    assert_int_equal(kill(zygote, SIGKILL), 0);
    assert_int_equal(receive(c, 10000, &r), CODE_UNAVAILABLE); /* the child died with it */
    assert_non_null(strstr(ctx_message(&cx), "with its parent"));
    ctx_clear(&cx);
    CLEANUP(box_child_closep) struct box_child *d = opened(b, &doc, "application/pdf", 0, &r);
    assert_string_equal(text_page(d, 1)->label, "i");
    assert_int_equal(box_restarts(b), 1);
    assert_int_not_equal(box_zygote_pid(b), zygote);
    box_stop(b);
}

static void memory_limit(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    sample(&doc);
    struct box_options o = {.program = EXTRACT_PROGRAM, .memory = 8 << 20};
    struct box *b;
    assert_int_equal(box_start(&cx, &o, &b), CODE_OK);
    Extract__V1__Reply *r;
    CLEANUP(box_child_closep) struct box_child *c = opened(b, &doc, "application/pdf", 0, &r);
    assert_int_equal(text_page(c, 1)->verdict, EXTRACT__V1__VERDICT__VERDICT_TEXT);
    enum code code = ocr_page(c, 1, &r); /* 300 dpi do not fit */
    bool page_failed = code == CODE_OK &&
                       r->page->verdict == EXTRACT__V1__VERDICT__VERDICT_FAILED &&
                       strstr(r->page->error, "memory");
    if (!page_failed && code != CODE_OUT_OF_MEMORY)
        fail_msg("%s %s", code_name(code), ctx_message(&cx));
    ctx_clear(&cx);
    assert_int_equal(box_restarts(b), 0);
    box_stop(b);
}

static long pss_kb(pid_t pid)
{
    char path[64], line[256];
    long kb = -1;
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof(line), f))
        if (sscanf(line, "Pss: %ld", &kb) == 1)
            break;
    if (f)
        fclose(f);
    return kb;
}

static void idle_memory(void **state)
{
    (void)state;
    if (SANITIZED)
        skip();
    long kb = pss_kb(box_zygote_pid(box));
    assert_true(kb > 0);
    if (kb > 120 * 1024) /* the worker itself gets the rest of 150 MB */
        fail_msg("the idle zygote takes %ld kB", kb);
}

static int start(void **state)
{
    (void)state;
    ctx_init(&cx, (size_t)1 << 30);
    struct box_options o = {.program = EXTRACT_PROGRAM, .memory = 1 << 30};
    if (box_start(&cx, &o, &box) != CODE_OK) {
        fprintf(stderr, "%s\n", ctx_message(&cx));
        return 1;
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    box_stop(box);
    ctx_done(&cx);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_memory),      cmocka_unit_test(text_of_a_pdf),
        cmocka_unit_test(ocr_of_a_pdf),     cmocka_unit_test(a_picture_without_words),
        cmocka_unit_test(engines),          cmocka_unit_test(refused_documents),
        cmocka_unit_test(lying_page_trees), cmocka_unit_test(cut_off),
        cmocka_unit_test(passwords),        cmocka_unit_test(requests_out_of_turn),
        cmocka_unit_test(languages),        cmocka_unit_test(killed_child),
        cmocka_unit_test(memory_limit),     cmocka_unit_test(dead_zygote_is_replaced),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
