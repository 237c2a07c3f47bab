/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* spool.h - the rest of a large blob, hashed and written by threads of its own while it comes.
 *
 * Memory is SPOOL_MEMORY a spool, and there are at most SPOOL_MAX. One thread at a time adds. */
#ifndef STORE_SPOOL_H
#define STORE_SPOOL_H

#include "store/blob.h"
#include "store/crypt.h"

struct spool;

enum { SPOOL_MEMORY = 2 << 20, SPOOL_MAX = 8 };

/* From now on the blob's bytes come through the spool, which borrows blob and digest until it is
 * freed. NULL: too many, or no memory or thread; the caller hashes and writes them itself. */
struct spool *spool_new(struct blob *blob, struct digest *digest);

/* Copies; waits when disk or hash are behind by all of its memory. Codes of blob_write, of an
 * earlier piece. */
enum code spool_add(struct ctx *cx, struct spool *s, const void *data, size_t len) MUST_CHECK;

/* All of it is hashed and written when it returns (not synced). Nothing may be added any more. */
enum code spool_finish(struct ctx *cx, struct spool *s) MUST_CHECK;

/* At any time: what was added and is not written yet is dropped. NULL is fine. */
void spool_free(struct spool *s);

#endif
