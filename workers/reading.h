/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* reading.h - the state of one document that is being read; for read_*.c and page_rows.c only.
 *
 * One thread, one poll loop (read_pages.c). The text pass (read_text.c) walks the missing pages
 * with one child; pages it finds to be pictures go to the OCR queue (read_ocr.c), a child each.
 * Both hand rows to page_rows.c. Memory is bounded by the OCR queue and one batch of rows. */
#ifndef WORKERS_READING_H
#define WORKERS_READING_H

#include "workers/read_pages.h"

enum {
    READING_RANGE = 32, /* pages asked for at once: with the batch, what a crash reads again */
    READING_BATCH = 32,
    READING_BATCH_MS = 250,
    READING_OCR_BACKLOG = 64, /* the text pass waits while so many pages wait for OCR */
    READING_MAX_OCR = 64, /* OCR children of one document at once */
    /* A child that takes longer than this gives its token up and goes on: a bomb slows nobody else.
     */
    READING_TEXT_TOKEN_MS = 2000,
    READING_OCR_TOKEN_MS = 20000,
    READING_GIVE_UP = 50, /* failed pages in a row */
    READING_SPAWN_TRIES = 10,
    READING_CRASHES = 2, /* children that one page may crash */
    READING_KILLS = 5, /* children that others may kill at one page */
    READING_OPEN_MS = 60000, /* the least an Open may take */
};

enum page_state { PAGE_MISSING, PAGE_QUEUED, PAGE_DONE };

/* Rows that wait to be committed. Their memory is `cx`; replies are received into it. */
struct page_rows {
    struct ctx cx;
    struct job_page rows[READING_BATCH * 2];
    int n;
    int64_t since_ms;
};

/* Children that are gone, at one page or at the opening of the document. */
struct losses {
    int crashes, kills;
};

struct text_pass {
    struct box_child *child;
    enum { TEXT_CLOSED, TEXT_OPENING, TEXT_IDLE, TEXT_READING } phase;
    int next, last; /* the page that is awaited and the last one asked for */
    int64_t deadline_ms;
    int64_t heard_ms; /* when it was asked or answered last */
    int failed_in_row;
    struct losses at_open, at_page;
    int lost_page; /* that at_page is about */
    bool holds_token, finished, more;
    struct token_wait token;
};

struct ocr_page { /* waits for OCR or is being read */
    int page;
    struct losses losses;
    unsigned char *kept; /* packed Page of the text pass; malloc */
    size_t kept_len;
};

struct ocr_run {
    struct ocr_page of;
    struct box_child *child;
    bool opened, holds_token;
    int64_t deadline_ms, started_ms;
};

struct ocr_pass {
    struct ocr_page queue[READING_OCR_BACKLOG + READING_RANGE + READING_MAX_OCR];
    int head, n;
    struct ocr_run runs[READING_MAX_OCR];
    int n_runs;
    struct token_wait token;
};

struct reading {
    struct task *t;
    int document_fd;
    const char *password;
    const char *languages; /* "eng+deu" */
    int64_t deadline_ms; /* of the document; 0: none */
    int page_count; /* 0: not known yet */
    const char *title;
    unsigned char *state; /* enum page_state of page i + 1 */
    int failed_spawns; /* in a row */
    int done; /* pages that have a row or a place in a batch */
    struct page_rows rows;
    struct text_pass text;
    struct ocr_pass ocr;
};

/* ---- read_text.c ---- */
enum code read_text_step(struct reading *r) MUST_CHECK; /* starts what can be started */
enum code read_text_events(struct reading *r) MUST_CHECK; /* the child may have said something */
enum code read_text_expire(struct reading *r, int64_t now) MUST_CHECK;
void read_text_close(struct reading *r); /* kills, gives the token back */

/* ---- read_ocr.c ---- */
/* Queues a page that the text pass could not read; `page` is what that pass knows of it. */
enum code read_ocr_add(struct reading *r, const Extract__V1__Page *page) MUST_CHECK;
enum code read_ocr_step(struct reading *r) MUST_CHECK;
enum code read_ocr_events(struct reading *r,
                          int run) MUST_CHECK; /* the run may be gone afterwards */
enum code read_ocr_expire(struct reading *r, int64_t now) MUST_CHECK;
void read_ocr_close(struct reading *r);

/* ---- page_rows.c ---- */
/* Takes a page as the final one; it lives in rows.cx or longer. */
enum code page_rows_add(struct reading *r, const Extract__V1__Page *page, const char *engine,
                        const char *reason) MUST_CHECK;
enum code page_rows_fail(struct reading *r, int page, const char *error) MUST_CHECK;
/* Commits the batch; waits for a database that is away. */
enum code page_rows_save(struct reading *r) MUST_CHECK;
/* Commits it when it is full or old. */
enum code page_rows_save_due(struct reading *r, int64_t now) MUST_CHECK;
/* Letters and digits that a reader would call text: no U+FFFD, nothing private. */
int page_rows_letters(const char *text);

/* ---- read_pages.c ---- */
/* After box_spawn() said `code` (its failure is in cx): true when it is worth another try, after a
 * pause. */
bool reading_spawn_again(struct reading *r, struct ctx *cx, enum code code);

/* Whether another child may try what this one was lost at: one that took too long was the only one,
 * one that crashed or broke the rules gets a second, and when somebody else killed it (UNAVAILABLE:
 * an operator, the kernel short of memory, the end of the zygote) a few more. */
bool reading_try_again(struct losses *l, enum code code);

/* After box_receive() failed: how the child ended; the failure is forgotten. */
const char *reading_how_it_ended(struct reading *r);

/* "took longer than 120 s", in rows.cx */
const char *reading_took_longer(struct reading *r, int64_t ms);

#endif
