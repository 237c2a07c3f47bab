/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* arena.c - bounded bump allocation (arena.h).
 *
 * Blocks are a singly linked list, newest first; only the newest has room. A request larger than a
 * block gets a block of its own behind the newest, so a big message does not waste the room that
 * is left. Block sizes double up to 64 KiB: small calls stay small, long ones do few mallocs.
 * Memory is zeroed, because protobuf-c and our own structs rely on it. */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 64 * 1024, ALIGN = 16 };

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(ALIGN) unsigned char data[];
};

static void *pb_alloc(void *data, size_t size)
{
    return arena_alloc(data, size);
}

static void pb_free(void *data, void *p)
{
    (void)data;
    (void)p;
}

void arena_init(struct arena *a, size_t limit)
{
    *a = (struct arena){.limit = limit};
    a->pb = (ProtobufCAllocator){.alloc = pb_alloc, .free = pb_free, .allocator_data = a};
}

void arena_reset(struct arena *a)
{
    struct arena_block *b = a->head;
    while (b) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
    a->head = NULL;
    a->total = 0;
}

void arena_recycle(struct arena *a)
{
    struct arena_block *first = a->head;
    while (first && first->next)
        first = first->next;
    if (!first || first->size != FIRST_BLOCK) {
        arena_reset(a);
        return;
    }
    for (struct arena_block *b = a->head, *next; b != first; b = next) {
        next = b->next;
        free(b);
    }
    memset(first->data, 0, first->used);
    first->used = 0;
    a->head = first;
    a->total = first->size;
}

static struct arena_block *block_new(struct arena *a, size_t size)
{
    if (a->limit && (size > a->limit || a->total > a->limit - size))
        return NULL;
    struct arena_block *b = calloc(1, sizeof(*b) + size);
    if (!b)
        return NULL;
    b->size = size;
    a->total += size;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (MAX(size, (size_t)1) + ALIGN - 1) & ~(size_t)(ALIGN - 1);

    struct arena_block *b = a->head;
    if (!b || b->size - b->used < size) {
        size_t want = b ? MIN(b->size * 2, (size_t)LARGEST_BLOCK) : (size_t)FIRST_BLOCK;
        bool own = size > want / 2;
        if (!own && a->limit && want > a->limit - MIN(a->total, a->limit)) {
            want = a->limit - MIN(a->total, a->limit); /* the last block is what is left */
            own = want < size;
        }
        struct arena_block *fresh = block_new(a, own ? size : want);
        if (!fresh)
            return NULL;
        if (own && b) {
            fresh->next = b->next;
            b->next = fresh;
        } else {
            fresh->next = b;
            a->head = fresh;
        }
        b = fresh;
    }
    void *p = b->data + b->used;
    b->used += size;
    return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        return NULL;
    return arena_alloc(a, n * size);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    if (!s)
        return NULL;
    char *copy = n < SIZE_MAX ? arena_alloc(a, n + 1) : NULL;
    if (copy && n)
        memcpy(copy, s, n);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *s = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (s)
        vsnprintf(s, (size_t)n + 1, fmt, ap);
    return s;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}
