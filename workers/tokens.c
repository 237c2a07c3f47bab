/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* tokens.c - a first-come-first-served pool of CPU tokens (tokens.h), shared by all workers of the
 * process; called by read_text.c and read_ocr.c.
 *
 * Invariant: `free` is 0 whenever somebody is queued, so a token never passes by a waiter, and
 * free + granted + held is the count. A holder never waits for a second token of the same kind of
 * work, and a token is tied to a child with a deadline, so the line always moves.
 * Not here: tokens over several processes; a host that runs two pools sets EXTRACT_PROCESSES. */
#include "workers/tokens.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct tokens {
    pthread_mutex_t lock;
    int count, free;
    struct token_wait *head, **tail;
};

enum code tokens_new(struct ctx *cx, int count, struct tokens **ret_tokens)
{
    struct tokens *t = calloc(1, sizeof(*t));
    if (!t)
        return ctx_oom(cx);
    pthread_mutex_init(&t->lock, NULL);
    t->count = t->free = MAX(1, count);
    t->tail = &t->head;
    *ret_tokens = t;
    return CODE_OK;
}

void tokens_free(struct tokens *tokens)
{
    if (!tokens)
        return;
    pthread_mutex_destroy(&tokens->lock);
    free(tokens);
}

int tokens_count(const struct tokens *tokens)
{
    return tokens->count;
}

static void wake(int fd)
{
    /* A full counter is readable already; nothing else can go wrong with an eventfd. */
    uint64_t one = 1;
    ssize_t written = write(fd, &one, sizeof(one));
    (void)written;
}

/* With the lock held. */
static void hand_out(struct tokens *t)
{
    if (!t->head) {
        t->free++;
        return;
    }
    struct token_wait *first = t->head;
    t->head = first->next;
    if (!t->head)
        t->tail = &t->head;
    first->next = NULL;
    first->queued = false;
    first->granted = true;
    wake(first->wake_fd);
}

bool tokens_take(struct tokens *tokens, struct token_wait *wait, int wake_fd)
{
    pthread_mutex_lock(&tokens->lock);
    bool have = wait->granted;
    if (!have && !wait->queued && tokens->free > 0) {
        tokens->free--;
        have = true;
    } else if (!have && !wait->queued) {
        wait->wake_fd = wake_fd;
        wait->queued = true;
        wait->next = NULL;
        *tokens->tail = wait;
        tokens->tail = &wait->next;
    }
    wait->granted = false;
    pthread_mutex_unlock(&tokens->lock);
    return have;
}

void tokens_give(struct tokens *tokens)
{
    pthread_mutex_lock(&tokens->lock);
    hand_out(tokens);
    pthread_mutex_unlock(&tokens->lock);
}

void tokens_forget(struct tokens *tokens, struct token_wait *wait)
{
    pthread_mutex_lock(&tokens->lock);
    if (wait->granted)
        hand_out(tokens);
    for (struct token_wait **at = &tokens->head; wait->queued && *at; at = &(*at)->next) {
        if (*at != wait)
            continue;
        *at = wait->next;
        if (!*at)
            tokens->tail = at;
        break;
    }
    *wait = (struct token_wait){0};
    pthread_mutex_unlock(&tokens->lock);
}
