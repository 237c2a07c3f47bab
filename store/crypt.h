/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* crypt.h - SHA-256, and sealing of document passwords. The only door to libcrypto.
 *
 * Passwords are sealed with AES-256-GCM (NIST SP 800-38D) under a key in a file that all hosts
 * share, with the job's id as associated data: a sealed password opens for its job only. */
#ifndef STORE_CRYPT_H
#define STORE_CRYPT_H

#include "base/ctx.h"

struct digest;
enum code digest_new(struct ctx *cx, struct digest **ret_digest) MUST_CHECK;
void digest_add(struct digest *d, const void *data, size_t len);
void digest_hex(struct digest *d, char out[65]); /* ends it */
void digest_free(struct digest *d); /* NULL is fine */

/* SHA-256 of a text, hexadecimal. */
enum code digest_text(struct ctx *cx, const char *text, char out[65]) MUST_CHECK;

/* Result in cx's arena. Creates the key file (0600) if it is missing. UNAVAILABLE: the key file
 * cannot be read or made. */
enum code crypt_seal(struct ctx *cx, const char *key_file, const char *job_id, const char *plain,
                     const unsigned char **ret_sealed, size_t *ret_len) MUST_CHECK;

/* UNREADABLE: sealed under another key, or changed. */
enum code crypt_open(struct ctx *cx, const char *key_file, const char *job_id,
                     const unsigned char *sealed, size_t len, const char **ret_plain) MUST_CHECK;

#endif
