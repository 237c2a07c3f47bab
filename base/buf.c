/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* buf.c - a growable byte buffer with a limit (buf.h).
 *
 * Capacity doubles from 256 bytes and never passes the limit. Once an append fails the buffer stays
 * failed until it is cleared: what it holds then is a prefix, never a text with a hole. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_done(struct buf *b)
{
    free(b->data);
    *b = (struct buf){.limit = b->limit};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

char *buf_room(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    size_t most = b->limit ? b->limit : SIZE_MAX / 2;
    if (n > most || b->len > most - n)
        goto fail;
    size_t need = b->len + n + 1;
    if (need > b->cap) {
        size_t cap = MAX(b->cap * 2, (size_t)256);
        cap = MAX(MIN(cap, most + 1), need);
        char *data = realloc(b->data, cap);
        if (!data)
            goto fail;
        b->data = data;
        b->cap = cap;
    }
    return b->data + b->len;
fail:
    b->failed = true;
    return NULL;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
    char *at = buf_room(b, len);
    if (!at)
        return;
    if (len)
        memcpy(at, data, len);
    b->len += len;
    b->data[b->len] = '\0';
}

void buf_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    char *at = n < 0 ? NULL : buf_room(b, (size_t)n);
    if (at) {
        vsnprintf(at, (size_t)n + 1, fmt, ap);
        b->len += (size_t)n;
    }
    va_end(ap);
}

const char *buf_cstr(const struct buf *b)
{
    return b->data ? b->data : "";
}
