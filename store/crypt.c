/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* crypt.c - SHA-256 and sealed passwords (crypt.h); the only file that knows libcrypto.
 *
 * A sealed password is nonce (12 bytes, random), ciphertext, tag (16 bytes). The key file holds 32
 * raw bytes; it is made with O_EXCL and link(2), so two processes that start together agree on one
 * key and nobody ever reads half of one. The key is read at each use: passwords are rare. */
#include "store/crypt.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

enum { KEY_BYTES = 32, NONCE_BYTES = 12, TAG_BYTES = 16, MAX_PASSWORD = 1024 };

struct digest {
    EVP_MD_CTX *md;
};

enum code digest_new(struct ctx *cx, struct digest **ret_digest)
{
    struct digest *d = calloc(1, sizeof(*d));
    if (!d || !(d->md = EVP_MD_CTX_new()) || !EVP_DigestInit_ex(d->md, EVP_sha256(), NULL)) {
        digest_free(d);
        return ctx_oom(cx);
    }
    *ret_digest = d;
    return CODE_OK;
}

void digest_add(struct digest *d, const void *data, size_t len)
{
    EVP_DigestUpdate(d->md, data, len);
}

void digest_hex(struct digest *d, char out[65])
{
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_DigestFinal_ex(d->md, raw, &n);
    for (unsigned i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->md);
    free(d);
}

enum code digest_text(struct ctx *cx, const char *text, char out[65])
{
    struct digest *d = NULL;
    TRY(digest_new(cx, &d));
    digest_add(d, text, strlen(text));
    digest_hex(d, out);
    digest_free(d);
    return CODE_OK;
}

/* ---- the key ---- */

static int read_key(const char *path, unsigned char key[KEY_BYTES])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, key, KEY_BYTES);
    close(fd);
    if (n != KEY_BYTES)
        errno = EINVAL;
    return n == KEY_BYTES ? 0 : -1;
}

static int make_key(const char *path)
{
    char temp[4096], id[37];
    unsigned char key[KEY_BYTES];
    str_uuid(id);
    snprintf(temp, sizeof(temp), "%.3900s.%s", path, id);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    bool ok = RAND_bytes(key, sizeof(key)) == 1 && write(fd, key, sizeof(key)) == sizeof(key) &&
              fsync(fd) == 0;
    OPENSSL_cleanse(key, sizeof(key));
    close(fd);
    if (ok && link(temp, path) != 0 && errno != EEXIST)
        ok = false;
    unlink(temp);
    return ok ? 0 : -1;
}

static enum code load_key(struct ctx *cx, const char *path, bool create,
                          unsigned char key[KEY_BYTES])
{
    if (read_key(path, key) == 0)
        return CODE_OK;
    if (create && errno == ENOENT && make_key(path) == 0 && read_key(path, key) == 0)
        return CODE_OK;
    return ctx_fail(cx, CODE_UNAVAILABLE, "could not use SECRET_KEY_FILE \"%s\": %s", path,
                    strerror(errno));
}

/* ---- sealing ---- */

static bool gcm(bool seal, const unsigned char *key, const unsigned char *nonce, const char *job_id,
                const unsigned char *in, int len, unsigned char *out, unsigned char *tag)
{
    int n = 0, last = 0;
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    bool ok = c && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce, seal) &&
              EVP_CipherUpdate(c, NULL, &n, (const unsigned char *)job_id, (int)strlen(job_id)) &&
              EVP_CipherUpdate(c, out, &n, in, len);
    if (ok && !seal)
        ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag);
    ok = ok && EVP_CipherFinal_ex(c, out + n, &last);
    if (ok && seal)
        ok = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag);
    EVP_CIPHER_CTX_free(c);
    return ok;
}

enum code crypt_seal(struct ctx *cx, const char *key_file, const char *job_id, const char *plain,
                     const unsigned char **ret_sealed, size_t *ret_len)
{
    unsigned char key[KEY_BYTES];
    size_t len = strlen(plain);
    if (len > MAX_PASSWORD)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "password: longer than %d bytes", MAX_PASSWORD);
    unsigned char *out = ctx_alloc(cx, NONCE_BYTES + len + TAG_BYTES);
    if (!out)
        return cx->failure.code;
    TRY(load_key(cx, key_file, true, key));
    bool ok = RAND_bytes(out, NONCE_BYTES) == 1 &&
              gcm(true, key, out, job_id, (const unsigned char *)plain, (int)len, out + NONCE_BYTES,
                  out + NONCE_BYTES + len);
    OPENSSL_cleanse(key, sizeof(key));
    if (!ok)
        return ctx_fail(cx, CODE_INTERNAL, "could not seal the password");
    *ret_sealed = out;
    *ret_len = NONCE_BYTES + len + TAG_BYTES;
    return CODE_OK;
}

enum code crypt_open(struct ctx *cx, const char *key_file, const char *job_id,
                     const unsigned char *sealed, size_t len, const char **ret_plain)
{
    unsigned char key[KEY_BYTES], tag[TAG_BYTES];
    if (len < NONCE_BYTES + TAG_BYTES || len > NONCE_BYTES + TAG_BYTES + MAX_PASSWORD)
        return ctx_fail(cx, CODE_UNREADABLE, "the sealed password is damaged");
    size_t n = len - NONCE_BYTES - TAG_BYTES;
    char *plain = ctx_alloc(cx, n + 1);
    if (!plain)
        return cx->failure.code;
    TRY(load_key(cx, key_file, false, key));
    memcpy(tag, sealed + NONCE_BYTES + n, TAG_BYTES);
    bool ok =
        gcm(false, key, sealed, job_id, sealed + NONCE_BYTES, (int)n, (unsigned char *)plain, tag);
    OPENSSL_cleanse(key, sizeof(key));
    if (!ok)
        return ctx_fail(cx, CODE_UNREADABLE,
                        "the password was sealed under another key than SECRET_KEY_FILE \"%s\"",
                        key_file);
    *ret_plain = plain;
    return CODE_OK;
}
