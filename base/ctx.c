/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* ctx.c - one unit of work (ctx.h).
 *
 * The failure's text lives in the arena; when even that is full the code's own line stands in, so
 * recording a failure never fails itself. */
#include "base/ctx.h"

#include <string.h>

void ctx_init(struct ctx *cx, size_t memory_limit)
{
    *cx = (struct ctx){0};
    arena_init(&cx->arena, memory_limit);
}

void ctx_done(struct ctx *cx)
{
    ctx_clear(cx);
    arena_reset(&cx->arena);
}

void ctx_recycle(struct ctx *cx)
{
    struct arena arena = cx->arena;
    *cx = (struct ctx){.arena = arena};
    arena_recycle(&cx->arena);
}

void ctx_waits(struct ctx *cx)
{
    void (*tell)(void *) = cx->on_wait;
    cx->on_wait = NULL;
    if (tell)
        tell(cx->on_wait_arg);
}

void ctx_clear(struct ctx *cx)
{
    memset(&cx->failure, 0, sizeof(cx->failure));
}

enum code ctx_fail_at(struct ctx *cx, enum code code, const char *file, int line, const char *fmt,
                      ...)
{
    if (cx->failure.code != CODE_OK)
        return cx->failure.code;
    va_list ap;
    va_start(ap, fmt);
    const char *message = arena_vprintf(&cx->arena, fmt, ap);
    va_end(ap);
    cx->failure.code = code;
    cx->failure.message = message ? message : code_text(code);
    cx->failure.file = file;
    cx->failure.line = line;
    return code;
}

enum code ctx_prefix(struct ctx *cx, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *prefix = arena_vprintf(&cx->arena, fmt, ap);
    va_end(ap);
    if (prefix) {
        const char *joined = arena_printf(&cx->arena, "%s: %s", prefix, ctx_message(cx));
        if (joined)
            cx->failure.message = joined;
    }
    return cx->failure.code;
}

const char *ctx_message(const struct ctx *cx)
{
    return cx->failure.message ? cx->failure.message : "";
}

void *ctx_alloc(struct ctx *cx, size_t size)
{
    void *p = arena_alloc(&cx->arena, size);
    if (!p)
        (void)ctx_oom(cx);
    return p;
}

void *ctx_array(struct ctx *cx, size_t n, size_t size)
{
    void *p = arena_array(&cx->arena, n, size);
    if (!p)
        (void)ctx_oom(cx);
    return p;
}

char *ctx_strdup(struct ctx *cx, const char *s)
{
    return s ? ctx_strndup(cx, s, strlen(s)) : NULL;
}

char *ctx_strndup(struct ctx *cx, const char *s, size_t n)
{
    char *copy = arena_strndup(&cx->arena, s, n);
    if (s && !copy)
        (void)ctx_oom(cx);
    return copy;
}

char *ctx_printf(struct ctx *cx, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = arena_vprintf(&cx->arena, fmt, ap);
    va_end(ap);
    if (!s)
        (void)ctx_oom(cx);
    return s;
}
