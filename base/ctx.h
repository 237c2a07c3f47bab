/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* ctx.h - one unit of work: a request, a job attempt, a tick of the sweep.
 *
 * It carries the memory, the deadline, the ids every log line gets, and the failure. The first
 * failure wins: a caller may put words in front of it, never replace code or origin. A ctx belongs
 * to one thread at a time. */
#ifndef BASE_CTX_H
#define BASE_CTX_H

#include <stdarg.h>

#include "base/arena.h"
#include "base/code.h"

struct ctx {
    struct arena arena;
    int64_t deadline_ms; /* on clk_mono_ms(); 0: none */
    const char *job_id; /* borrowed; for the log; NULL: none */
    const char *request_id; /* borrowed; for the log; NULL: none */
    void (*on_wait)(void *arg); /* see ctx_waits; NULL: nobody needs to know */
    void *on_wait_arg;
    bool alone; /* nobody else waits for this thread: before it sleeps it may spin (base/spin.h) */
    struct {
        enum code code; /* CODE_OK: nothing failed */
        const char *message; /* lower case, no period, says what and why */
        const char *file; /* origin */
        int line;
    } failure;
};

enum { CTX_DEFAULT_LIMIT = 64 * 1024 * 1024 };

/* memory_limit in bytes. The ctx must not move afterwards. */
void ctx_init(struct ctx *cx, size_t memory_limit);

/* Frees the memory and forgets the failure; the ctx can be used again. */
void ctx_done(struct ctx *cx);

/* As after ctx_init with the same limit, for a ctx that is used over and over: a little memory
 * stays for the next use. ctx_done frees that too. */
void ctx_recycle(struct ctx *cx);

/* Said by what is about to wait for long, or has waited for CTX_PATIENCE_MS: an event loop that
 * runs short work itself must not wait with it and goes on in another thread. Calls on_wait once.
 */
void ctx_waits(struct ctx *cx);
enum { CTX_PATIENCE_MS = 5 };

/* Forgets the failure, for a caller that handled it. Memory stays. */
void ctx_clear(struct ctx *cx);

/* Records a failure and returns its code. Use: return ctx_fail(cx, CODE_NOT_FOUND, "job \"%s\" …",
 * id). */
#define ctx_fail(cx, code, ...) ctx_fail_at((cx), (code), __FILE__, __LINE__, __VA_ARGS__)
enum code ctx_fail_at(struct ctx *cx, enum code code, const char *file, int line, const char *fmt,
                      ...) PRINTF(5, 6);

/* Puts "prefix: " in front of the recorded message and returns its code. */
enum code ctx_prefix(struct ctx *cx, const char *fmt, ...) PRINTF(2, 3);

/* The recorded message, "" when nothing failed. */
const char *ctx_message(const struct ctx *cx);

/* Memory of this unit of work; NULL and a recorded OUT_OF_MEMORY at the limit. */
void *ctx_alloc(struct ctx *cx, size_t size);
void *ctx_array(struct ctx *cx, size_t n, size_t size);
char *ctx_strdup(struct ctx *cx, const char *s);
char *ctx_strndup(struct ctx *cx, const char *s, size_t n);
char *ctx_printf(struct ctx *cx, const char *fmt, ...) PRINTF(2, 3);

/* OUT_OF_MEMORY, recorded: return ctx_oom(cx). */
#define ctx_oom(cx) ctx_fail((cx), CODE_OUT_OF_MEMORY, "out of memory for this request")

#endif
