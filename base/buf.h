/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* buf.h - a growable byte buffer with a limit; the only way bytes are appended.
 *
 * Appending after a failure does nothing, so a writer checks once at the end: buf_failed(). The
 * bytes are always followed by a NUL that is not counted. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/defs.h"

struct buf {
    char *data; /* NULL until the first append */
    size_t len, cap;
    size_t limit; /* 0: none */
    bool failed; /* limit or memory reached */
};

#define BUF_INIT(limit_bytes) ((struct buf){.limit = (limit_bytes)})

void buf_done(struct buf *b); /* frees; the buffer can be used again. For CLEANUP. */
void buf_clear(struct buf *b); /* empties, keeps the memory and the limit */

void buf_add(struct buf *b, const void *data, size_t len);
void buf_str(struct buf *b, const char *s);
void buf_char(struct buf *b, char c);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);

/* Room for at least n more bytes, or NULL; add what was written to b->len yourself. */
char *buf_room(struct buf *b, size_t n);

static inline bool buf_failed(const struct buf *b)
{
    return b->failed;
}

/* The bytes as a C string; "" when empty. Valid until the next append. */
const char *buf_cstr(const struct buf *b);

#endif
