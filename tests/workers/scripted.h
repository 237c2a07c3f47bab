/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* scripted.h - children that act out a script, for test_read_pages.c alone.
 *
 * The linker wraps box_* and the three jobs_* calls that read_pages makes: each page of the
 * document has a behaviour, a child acts it out in this thread, and what is saved is recorded. */
#ifndef TESTS_WORKERS_SCRIPTED_H
#define TESTS_WORKERS_SCRIPTED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clk.h"
#include "workers/read_pages.h"

enum { MAX_DOC = 400 };

enum act {
    TEXT,
    BLANK,
    SCAN, /* needs OCR, which reads it */
    SCAN_HANGS,
    SCAN_CRASHES_ONCE,
    SCAN_CRASHES,
    SCAN_KILLED, /* its children, by somebody else */
    SCAN_EMPTY, /* OCR finds nothing; the text pass had something */
    HANGS,
    CRASHES,
    CRASHES_ONCE,
    KILLED,
    FAILS,
    WRONG_NUMBER, /* the child answers with another page */
};

/* The document and what happened. */
static struct {
    enum act act[MAX_DOC + 1];
    int crashed[MAX_DOC + 1];
    int kills; /* of KILLED and SCAN_KILLED, for each page */
    int n;
    const char *open_error; /* code of a Failed reply to Open */
    int open_crashes; /* so many children die at Open */
    int saved[MAX_DOC + 1]; /* rows per page */
    char engine[MAX_DOC + 1][12], error[MAX_DOC + 1][80];
    int saves, largest, spawned, alive, most_ocr, ocr;
    int away; /* so many saves find no database */
    int known; /* pages an earlier attempt has */
    int cancel_after; /* saves */
    double percent;
    int asked[MAX_DOC + 1]; /* how often the text pass asked for the page */
} doc;

struct box_child {
    int fd;
    bool dead, opened, ocr;
    int next, last; /* pages that are still to be answered */
    bool open, done; /* replies that are due */
};

static struct pool *pool;
static struct settings settings;

enum code __wrap_box_spawn(struct ctx *, struct box *, int, struct box_child **);
int __wrap_box_child_fd(const struct box_child *);
enum code __wrap_box_send(struct ctx *, struct box_child *, const Extract__V1__Request *);
enum code __wrap_box_receive(struct ctx *, struct box_child *, bool *, Extract__V1__Reply **);
void __wrap_box_kill(struct box_child *);
void __wrap_box_child_close(struct box_child *);
enum code __wrap_jobs_save_pages(struct ctx *, struct jobs *, const struct job_claim *,
                                 const struct job_page *, int);
enum code __wrap_jobs_known_pages(struct ctx *, struct jobs *, const struct job_claim *, int,
                                  const char **);
void __wrap_jobs_publish_progress(struct ctx *, struct jobs *, const struct job_claim *,
                                  const struct job_progress *);

enum code __wrap_box_spawn(struct ctx *cx, struct box *box, int fd, struct box_child **ret)
{
    (void)cx;
    (void)box;
    (void)fd;
    *ret = calloc(1, sizeof(**ret));
    (*ret)->fd = eventfd(0, EFD_NONBLOCK);
    doc.spawned++;
    doc.alive++;
    return CODE_OK;
}

int __wrap_box_child_fd(const struct box_child *child)
{
    return child->fd;
}

static void ready(struct box_child *child)
{
    eventfd_write(child->fd, 1);
}

enum code __wrap_box_send(struct ctx *cx, struct box_child *child, const Extract__V1__Request *r)
{
    (void)cx;
    assert_false(child->open || child->done || child->next); /* strictly in turn */
    ready(child);
    switch (r->kind_case) {
    case EXTRACT__V1__REQUEST__KIND_OPEN:
        child->open = true;
        break;
    case EXTRACT__V1__REQUEST__KIND_READ_PAGES:
        assert_true(child->opened);
        assert_in_range(r->read_pages->count, 1, 64);
        child->next = r->read_pages->first;
        child->last = r->read_pages->first + r->read_pages->count - 1;
        assert_in_range(child->last, child->next, doc.n);
        for (int i = child->next; i <= child->last; i++)
            doc.asked[i]++;
        break;
    default:
        assert_true(child->opened);
        assert_string_equal(r->read_ocr_page->languages, "eng");
        child->ocr = true;
        child->next = child->last = r->read_ocr_page->page;
        doc.ocr++;
        doc.most_ocr = MAX(doc.most_ocr, doc.ocr);
    }
    return CODE_OK;
}

static enum code die(struct ctx *cx, struct box_child *child)
{
    child->dead = true;
    return ctx_fail(cx, CODE_INTERNAL, "killed by signal 11");
}

static enum code be_killed(struct ctx *cx, struct box_child *child)
{
    child->dead = true;
    return ctx_fail(cx, CODE_UNAVAILABLE, "killed by signal 9");
}

static Extract__V1__Reply *new_reply(struct ctx *cx, Extract__V1__Reply__KindCase kind)
{
    Extract__V1__Reply *reply = ctx_alloc(cx, sizeof(*reply));
    extract__v1__reply__init(reply);
    reply->kind_case = kind;
    return reply;
}

static Extract__V1__Reply *page_reply(struct ctx *cx, int number, Extract__V1__Verdict verdict,
                                      const char *text)
{
    Extract__V1__Reply *reply = new_reply(cx, EXTRACT__V1__REPLY__KIND_PAGE);
    reply->page = ctx_alloc(cx, sizeof(*reply->page));
    extract__v1__page__init(reply->page);
    reply->page->page = number;
    reply->page->verdict = verdict;
    reply->page->text = ctx_strdup(cx, text);
    reply->page->error = (char *)(verdict == EXTRACT__V1__VERDICT__VERDICT_FAILED ? "broken" : "");
    return reply;
}

static enum code read_text(struct ctx *cx, struct box_child *child, bool *got,
                           Extract__V1__Reply **ret)
{
    int page = child->next;
    enum act act = doc.act[page];
    if (act == HANGS)
        return CODE_OK;
    if (act == CRASHES || (act == CRASHES_ONCE && doc.crashed[page]++ == 0))
        return die(cx, child);
    if (act == KILLED && doc.crashed[page]++ < doc.kills)
        return be_killed(cx, child);
    child->next = page < child->last ? page + 1 : 0;
    child->done = child->next == 0;
    *got = true;
    if (act == FAILS)
        *ret = page_reply(cx, page, EXTRACT__V1__VERDICT__VERDICT_FAILED, "");
    else if (act == BLANK)
        *ret = page_reply(cx, page, EXTRACT__V1__VERDICT__VERDICT_BLANK, "");
    else if (act >= SCAN && act <= SCAN_EMPTY)
        *ret = page_reply(cx, page, EXTRACT__V1__VERDICT__VERDICT_NEEDS_OCR,
                          act == SCAN_EMPTY ? "seven" : "");
    else
        *ret = page_reply(cx, act == WRONG_NUMBER ? page + 1 : page,
                          EXTRACT__V1__VERDICT__VERDICT_TEXT, "some text");
    return CODE_OK;
}

static enum code read_ocr(struct ctx *cx, struct box_child *child, bool *got,
                          Extract__V1__Reply **ret)
{
    int page = child->next;
    enum act act = doc.act[page];
    if (act == SCAN_HANGS)
        return CODE_OK;
    if (act == SCAN_CRASHES || (act == SCAN_CRASHES_ONCE && doc.crashed[page]++ == 0))
        return die(cx, child);
    if (act == SCAN_KILLED && doc.crashed[page]++ < doc.kills)
        return be_killed(cx, child);
    child->next = 0;
    *got = true;
    *ret = page_reply(cx, page, EXTRACT__V1__VERDICT__VERDICT_OCR, act == SCAN_EMPTY ? "" : "read");
    (*ret)->page->confidence = 0.9;
    return CODE_OK;
}

enum code __wrap_box_receive(struct ctx *cx, struct box_child *child, bool *got,
                             Extract__V1__Reply **ret)
{
    *got = false;
    if (child->dead || (child->open && doc.open_crashes > 0 && doc.open_crashes-- > 0))
        return die(cx, child);
    if (child->open && doc.open_error) {
        *got = true;
        *ret = new_reply(cx, EXTRACT__V1__REPLY__KIND_FAILED);
        (*ret)->failed = ctx_alloc(cx, sizeof(*(*ret)->failed));
        extract__v1__failed__init((*ret)->failed);
        (*ret)->failed->code = (char *)doc.open_error;
        (*ret)->failed->message = (char *)"no";
    } else if (child->open) {
        child->open = false;
        child->opened = true;
        *got = true;
        *ret = new_reply(cx, EXTRACT__V1__REPLY__KIND_OPENED);
        (*ret)->opened = ctx_alloc(cx, sizeof(*(*ret)->opened));
        extract__v1__opened__init((*ret)->opened);
        (*ret)->opened->page_count = doc.n;
        (*ret)->opened->title = (char *)"A title";
    } else if (child->done) {
        child->done = false;
        *got = true;
        *ret = new_reply(cx, EXTRACT__V1__REPLY__KIND_DONE);
    } else if (child->next) {
        return child->ocr ? read_ocr(cx, child, got, ret) : read_text(cx, child, got, ret);
    }
    if (!*got) {
        eventfd_t count;
        (void)eventfd_read(child->fd, &count);
    }
    return CODE_OK;
}

void __wrap_box_kill(struct box_child *child)
{
    child->dead = true;
}

void __wrap_box_child_close(struct box_child *child)
{
    if (!child)
        return;
    doc.alive--;
    doc.ocr -= child->ocr;
    close(child->fd);
    free(child);
}

enum code __wrap_jobs_save_pages(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                 const struct job_page *pages, int n)
{
    (void)jobs;
    (void)claim;
    if (doc.away > 0) {
        doc.away--;
        return ctx_fail(cx, CODE_UNAVAILABLE, "no database");
    }
    for (int i = 0; i < n; i++) {
        int page = pages[i].page;
        assert_in_range(page, 1, doc.n);
        doc.saved[page]++;
        strncpy(doc.engine[page], pages[i].engine, sizeof(doc.engine[page]) - 1);
        strncpy(doc.error[page], pages[i].error ? pages[i].error : "", sizeof(doc.error[page]) - 1);
        size_t len = strlen(pages[i].text);
        assert_true(len == 0 || pages[i].text[len - 1] == '\n');
        assert_int_equal(pages[i].char_count, len); /* ASCII here */
    }
    doc.largest = MAX(doc.largest, n);
    if (++doc.saves == doc.cancel_after) {
        pool->slots[0].stop = SLOT_LOST;
        eventfd_write(pool->slots[0].wake_fd, 1);
    }
    return CODE_OK;
}

enum code __wrap_jobs_known_pages(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                  int n, const char **ret_engine)
{
    (void)cx;
    (void)jobs;
    (void)claim;
    assert_int_equal(n, doc.n);
    for (int i = 0; i < doc.known; i++)
        ret_engine[i] = "text";
    return CODE_OK;
}

void __wrap_jobs_publish_progress(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                  const struct job_progress *progress)
{
    (void)cx;
    (void)jobs;
    (void)claim;
    assert_true(progress->percent >= doc.percent && progress->percent <= 95);
    doc.percent = progress->percent;
}

static int setup(void **state)
{
    (void)state;
    static char *languages[] = {NULL};
    memset(&doc, 0, sizeof(doc));
    settings = (struct settings){.page_timeout_ms = 150,
                                 .max_pages = 1000,
                                 .ocr_enabled = true,
                                 .ocr_languages_joined = "eng",
                                 .ocr_confidence = 0.6,
                                 .extract_processes = 3};
    struct ctx cx;
    ctx_init(&cx, 0);
    pool = calloc(1, sizeof(*pool) + sizeof(pool->slots[0]));
    pool->settings = &settings;
    pthread_mutex_init(&pool->lock, NULL);
    assert_int_equal(tokens_new(&cx, 3, &pool->ocr_tokens), CODE_OK);
    assert_int_equal(tokens_new(&cx, 1, &pool->text_tokens), CODE_OK);
    pool->slots[0] = (struct slot){.pool = pool, .busy = true, .wake_fd = eventfd(0, EFD_NONBLOCK)};
    pool->slots[0].claim = (struct job_claim){.epoch = 1,
                                              .file_name = "a.pdf",
                                              .content_type = "application/pdf",
                                              .languages = languages};
    ctx_done(&cx);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    /* Whatever happened: no child is left and every token is back. */
    assert_int_equal(doc.alive, 0);
    struct token_wait wait[4] = {{0}};
    for (int i = 0; i < 3; i++)
        assert_true(tokens_take(pool->ocr_tokens, &wait[i], -1));
    assert_true(tokens_take(pool->text_tokens, &wait[3], -1));
    tokens_free(pool->ocr_tokens);
    tokens_free(pool->text_tokens);
    close(pool->slots[0].wake_fd);
    free(pool);
    return 0;
}

#endif
