/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* spool.c - the rest of a large blob, hashed and written by threads of its own (spool.h).
 *
 * Called by server/upload.c, by whichever thread has the next bytes. Receiving, SHA-256 and writing
 * cost about the same; one after the other they were less than half as fast as the disk. Here the
 * caller only copies into the next of a few slots; two threads follow it through the ring, one
 * hashes and one writes, and a slot is used again when both have passed it. So a fast client is
 * held back by the slower of the two, and memory is the ring whatever the size.
 *
 * Slots end at multiples of their size in the file and are aligned in memory: that is what lets
 * blob.c go past the page cache. A failed write stops the spool; the next call has its code, and
 * what else was added is dropped. Small and middling files are not worth two threads: they never
 * come here. Nothing is synced here either. */
#include "store/spool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 4, SLOT = SPOOL_MEMORY / SLOTS };

static_assert(SLOT % BLOB_ALIGN == 0, "a slot can be written past the page cache");

struct follower {
    struct spool *spool;
    bool (*take)(struct spool *s, const char *data, size_t len); /* false: goes no further */
    int64_t passed; /* slots it is done with; under the lock */
    bool started;
    pthread_t thread;
};

struct spool {
    struct blob *blob;
    struct digest *digest;
    char *memory;
    size_t pending, room; /* the caller's slot: bytes that are in it, and that it takes */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under the lock */
    int64_t filled; /* slots the caller is done with */
    size_t lens[SLOTS];
    bool ends, stopped; /* no more slots come; nobody goes on */
    struct follower followers[2];
    struct ctx cx; /* the writer's; of the others once it is stopped or joined */
};

static _Atomic int n_spools;

static bool hash(struct spool *s, const char *data, size_t len)
{
    digest_add(s->digest, data, len);
    return true;
}

static bool put(struct spool *s, const char *data, size_t len)
{
    return blob_write(&s->cx, s->blob, data, len) == CODE_OK;
}

static void *follow(void *arg)
{
    struct follower *f = arg;
    struct spool *s = f->spool;
    pthread_mutex_lock(&s->lock);
    while (!s->stopped && (f->passed < s->filled || !s->ends)) {
        if (f->passed == s->filled) {
            pthread_cond_wait(&s->changed, &s->lock);
            continue;
        }
        size_t slot = (size_t)(f->passed % SLOTS), len = s->lens[slot];
        pthread_mutex_unlock(&s->lock);
        bool goes_on = f->take(s, s->memory + slot * SLOT, len);
        pthread_mutex_lock(&s->lock);
        s->stopped = s->stopped || !goes_on;
        f->passed++;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

struct spool *spool_new(struct blob *blob, struct digest *digest)
{
    struct spool *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->blob = blob;
    s->digest = digest;
    s->room = SLOT - (size_t)(blob_size(blob) % SLOT);
    ctx_init(&s->cx, CTX_DEFAULT_LIMIT);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->followers[0].take = hash;
    s->followers[1].take = put;
    bool good = ++n_spools <= SPOOL_MAX && (s->memory = aligned_alloc(BLOB_ALIGN, SPOOL_MEMORY));
    for (size_t i = 0; good && i < ARRAY_LEN(s->followers); i++) {
        struct follower *f = &s->followers[i];
        f->spool = s;
        good = f->started = pthread_create(&f->thread, NULL, follow, f) == 0;
    }
    if (good)
        return s;
    spool_free(s);
    return NULL;
}

/* Until the caller's slot is free. */
static enum code wait_slot(struct ctx *cx, struct spool *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->stopped && s->filled - MIN(s->followers[0].passed, s->followers[1].passed) == SLOTS)
        pthread_cond_wait(&s->changed, &s->lock);
    bool stopped = s->stopped;
    pthread_mutex_unlock(&s->lock);
    return stopped ? ctx_fail(cx, s->cx.failure.code, "%s", ctx_message(&s->cx)) : CODE_OK;
}

static void hand_over(struct spool *s)
{
    pthread_mutex_lock(&s->lock);
    s->lens[s->filled++ % SLOTS] = s->pending;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    s->pending = 0;
    s->room = SLOT;
}

enum code spool_add(struct ctx *cx, struct spool *s, const void *data, size_t len)
{
    for (const char *p = data; len;) {
        if (!s->pending)
            TRY(wait_slot(cx, s));
        size_t n = MIN(len, s->room - s->pending);
        memcpy(s->memory + (size_t)(s->filled % SLOTS) * SLOT + s->pending, p, n);
        s->pending += n;
        p += n;
        len -= n;
        if (s->pending == s->room)
            hand_over(s);
    }
    return CODE_OK;
}

static void join(struct spool *s)
{
    for (size_t i = 0; i < ARRAY_LEN(s->followers); i++)
        if (s->followers[i].started)
            pthread_join(s->followers[i].thread, NULL);
    s->followers[0].started = s->followers[1].started = false;
}

enum code spool_finish(struct ctx *cx, struct spool *s)
{
    if (s->pending)
        hand_over(s);
    pthread_mutex_lock(&s->lock);
    s->ends = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    join(s);
    return s->stopped ? ctx_fail(cx, s->cx.failure.code, "%s", ctx_message(&s->cx)) : CODE_OK;
}

void spool_free(struct spool *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    s->stopped = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    join(s);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    ctx_done(&s->cx);
    free(s->memory);
    free(s);
    n_spools--;
}
