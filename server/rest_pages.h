/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_pages.h - a small HTTP listener that answers GETs of fixed paths from memory. */
#ifndef SERVER_REST_PAGES_H
#define SERVER_REST_PAGES_H

#include "base/buf.h"
#include "base/ctx.h"

struct pages;

struct page {
    const char *path, *type;
    /* Appends the body and returns the HTTP status. Runs on the listener's thread; must not block.
     */
    int (*write)(void *arg, struct buf *b);
};

/* `pages` is borrowed. UNAVAILABLE: the port is busy; the message names `setting`. */
enum code rest_pages_start(struct ctx *cx, const char *host, int64_t port, const char *setting,
                           const struct page *pages, size_t n, void *arg,
                           struct pages **ret_pages) MUST_CHECK;
void rest_pages_stop(struct pages *pages); /* NULL is fine */

#endif
