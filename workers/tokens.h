/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* tokens.h - the right to keep a core busy: at most `count` extractor children of this process do
 * one kind of work at a time, in the order in which they were asked for.
 *
 * Nobody blocks here: a waiter is told through an eventfd, so a document's poll loop waits for its
 * token as it waits for everything else. A document has at most one request waiting for each kind
 * of work, so one scanned book cannot push a small upload to the end of a long line. */
#ifndef WORKERS_TOKENS_H
#define WORKERS_TOKENS_H

#include "base/ctx.h"

struct tokens;

/* A request; zeroed at first. Belongs to one thread but for what tokens.c does under its lock. */
struct token_wait {
    struct token_wait *next;
    int wake_fd; /* an eventfd that is written when the token is there */
    bool queued, granted;
};

enum code tokens_new(struct ctx *cx, int count, struct tokens **ret_tokens) MUST_CHECK;
void tokens_free(struct tokens *tokens); /* nobody waits or holds any more; NULL is fine */

int tokens_count(const struct tokens *tokens);

/* Asks for one token; again while waiting: nothing happens. True when it is there: the caller holds
 * it from now on and the request is empty again. */
bool tokens_take(struct tokens *tokens, struct token_wait *wait, int wake_fd);

/* Gives one token back. */
void tokens_give(struct tokens *tokens);

/* Takes the request back; a token that was granted meanwhile goes to the next. */
void tokens_forget(struct tokens *tokens, struct token_wait *wait);

#endif
