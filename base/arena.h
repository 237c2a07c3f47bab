/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* arena.h - bounded bump allocation: all memory of one unit of work, freed at once.
 *
 * The limit is a control against hostile input (a message that unpacks to gigabytes), so every
 * allocation can return NULL. An arena belongs to one thread at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdarg.h>

#include "base/defs.h"

struct arena_block;

struct arena {
    struct arena_block *head;
    size_t total; /* bytes taken from malloc */
    size_t limit; /* 0: none */
    ProtobufCAllocator pb; /* unpacks messages into this arena; free does nothing */
};

/* Nothing is allocated until the first arena_alloc. The arena must not move afterwards. */
void arena_init(struct arena *a, size_t limit);

/* Frees everything; the arena can be used again. A zeroed arena is fine. */
void arena_reset(struct arena *a);

/* As arena_reset, but a first block of the usual size is kept, for one that is used over and over.
 */
void arena_recycle(struct arena *a);

/* Zeroed memory, aligned for any type; NULL when the limit or the machine's memory is reached. */
void *arena_alloc(struct arena *a, size_t size);

/* As arena_alloc for n items; NULL as well when n * size overflows. */
void *arena_array(struct arena *a, size_t n, size_t size);

/* Copies; the result is NUL-terminated. NULL stays NULL. */
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);

char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) PRINTF(2, 0);

#endif
