/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* box.h - the worker's side of localrag-extract: children that parse documents and can be killed.
 *
 * A `struct box` is one zygote per worker process (parsers loaded, model warm); it is thread-safe
 * and starts its zygote again by itself when it died. A `struct box_child` is one child with one
 * document; it belongs to one thread at a time. A child is asked strictly in turn, see
 * proto/extract/v1/extract.proto: Open first, then ReadPages or ReadOcrPage. Time-outs are the
 * caller's: poll box_child_fd() against a deadline and box_kill().
 *
 * Nothing a child says is trusted: what box_receive() hands out has been checked (frame size, UTF-8
 * and no NUL in texts, page > 0, 0 <= start <= end <= strlen(text) of lines, finite numbers). */
#ifndef WORKERS_BOX_H
#define WORKERS_BOX_H

#include <sys/types.h>

#include "base/ctx.h"
#include "extract/v1/extract.pb-c.h"

struct box;
struct box_child;

struct box_options { /* texts are copied */
    const char *program; /* path of localrag-extract; NULL: beside this program */
    int64_t
        memory; /* EXTRACT_MEMORY: bytes a child may take on top of the zygote and its document */
    const char *languages; /* kept warm, Tesseract's form "eng+deu"; NULL: "eng" */
    const char *tessdata; /* folder of *.traineddata; NULL: TESSDATA_PREFIX or Tesseract's own */
};

/* Starts the zygote and waits until it is warm (about 0.2 s). INVALID_ARGUMENT: a language is not
 * installed (the message names the Debian package). UNAVAILABLE: it could not be started. */
enum code box_start(struct ctx *cx, const struct box_options *o, struct box **ret_box) MUST_CHECK;

/* Kills the zygote and all its children; close the box_child handles before. NULL is fine. */
void box_stop(struct box *b);

/* 0 while it is down. */
pid_t box_zygote_pid(struct box *b);

/* How often a dead zygote was replaced. */
unsigned box_restarts(struct box *b);

/* A new child for the document. `document_fd` is borrowed: a regular file or memfd open for
 * reading, read from its start whatever its offset. About 1 ms. UNAVAILABLE: no child could be
 * made. */
enum code box_spawn(struct ctx *cx, struct box *b, int document_fd,
                    struct box_child **ret_child) MUST_CHECK;

/* For poll(POLLIN): becomes readable when a reply may be there or the child is gone. */
int box_child_fd(const struct box_child *child);

pid_t box_child_pid(const struct box_child *child);

/* Sends one request. UNAVAILABLE: the child is gone or takes nothing for 5 s. */
enum code box_send(struct ctx *cx, struct box_child *child,
                   const Extract__V1__Request *request) MUST_CHECK;

/* One complete, checked reply into cx's arena, without blocking; call again until !*ret_got, a poll
 * may not fire again for what was already read. The child is gone, and the message says how it
 * ended: UNAVAILABLE: killed by somebody else ("killed by signal 9", "died with its parent").
 * OUT_OF_MEMORY: at its own limit. INTERNAL: by itself ("killed by signal 11", "exited with 3"), or
 * it talks nonsense (and has been killed). */
enum code box_receive(struct ctx *cx, struct box_child *child, bool *ret_got,
                      Extract__V1__Reply **ret_reply) MUST_CHECK;

/* SIGKILL through a pidfd, at once; idempotent. box_receive() then says how it ended. */
void box_kill(struct box_child *child);

/* Kills the child if it is alive; frees. NULL is fine. */
void box_child_close(struct box_child *child);
void box_child_closep(struct box_child **child); /* for CLEANUP */

#endif
