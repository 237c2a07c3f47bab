/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* identify.c - type and digest of a file that lies where its owner put it (identify.h).
 *
 * An upload is looked at while its bytes come in; a file of a directory batch is looked at here, at
 * the start of every attempt: its owner may have changed it since the last one, and pages of two
 * versions must never be mixed (jobs_identified drops the old ones). The same goes for an original
 * that is read again. The claim is borrowed and shared, so what is found goes into a copy of it. */
#include "workers/identify.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/sniff.h"
#include "store/crypt.h"

enum { PIECE = 256 * 1024, CHECK_EVERY = 16 };

struct found {
    const char *type;
    char *hash; /* hexadecimal */
    int64_t size;
};

static ssize_t read_piece(int fd, unsigned char *piece, int64_t at)
{
    size_t n = 0;
    while (n < PIECE) {
        ssize_t got = pread(fd, piece + n, PIECE - n, at + (int64_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

static enum code sniff(struct task *t, const unsigned char *head, size_t len, struct found *found)
{
    const char *what;
    found->type = sniff_type(head, len, len < PIECE, &what);
    if (!found->type)
        return ctx_fail(
            t->cx, CODE_UNSUPPORTED,
            "the file is %s, which cannot be read; PDF, plain text, PNG, JPEG and TIFF can", what);
    return CODE_OK;
}

static enum code read_through(struct task *t, int fd, unsigned char *piece, struct digest *digest,
                              struct found *found)
{
    ssize_t n = PIECE;
    for (int i = 0; n == PIECE; i++) {
        if (i % CHECK_EVERY == 0)
            TRY(task_check(t->cx, t));
        n = read_piece(fd, piece, found->size);
        if (n < 0)
            return ctx_fail(t->cx, CODE_UNAVAILABLE, "could not read \"%s\": %s",
                            t->claim->file_name, strerror(errno));
        if (i == 0)
            TRY(sniff(t, piece, (size_t)n, found));
        digest_add(digest, piece, (size_t)n);
        found->size += n;
    }
    if (found->size == 0) /* emptied since it was opened */
        return ctx_fail(t->cx, CODE_UNREADABLE, "\"%s\" is empty", t->claim->file_name);
    return CODE_OK;
}

static enum code look(struct task *t, int fd, struct found *found)
{
    struct digest *digest = NULL;
    unsigned char *piece = ctx_alloc(t->cx, PIECE);
    found->hash = ctx_alloc(t->cx, 65);
    if (!piece || !found->hash)
        return ctx_oom(t->cx);
    TRY(digest_new(t->cx, &digest));
    enum code code = read_through(t, fd, piece, digest, found);
    digest_hex(digest, found->hash);
    digest_free(digest);
    return code;
}

static enum code keep(struct task *t)
{
    struct ctx cx;
    enum code code;
    bool again = false;
    do {
        task_scratch(t, &cx, CTX_DEFAULT_LIMIT);
        code = jobs_identified(&cx, t->jobs, t->claim);
        again = task_again(&cx, t, code);
        if (!again)
            (void)task_hand_up(t->cx, &cx);
        ctx_done(&cx);
    } while (again);
    return code;
}

enum code identify(struct task *t, int fd)
{
    if (!t->claim->parent_id[0] && !t->claim->document_id[0])
        return CODE_OK;
    struct found found = {0};
    struct job_claim *claim = ctx_alloc(t->cx, sizeof(*claim));
    if (!claim)
        return ctx_oom(t->cx);
    TRY(look(t, fd, &found));
    *claim = *t->claim;
    claim->content_type = found.type;
    claim->content_hash = found.hash;
    claim->file_size = found.size;
    t->claim = claim;
    return keep(t);
}
