/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* str.h - strict reading and safe writing of short texts: numbers, UTF-8, ids, names, JSON strings.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/defs.h"

/* The whole of `s` as a decimal integer in [min, max]. No sign but '-', no spaces. */
bool str_parse_int(const char *s, int64_t min, int64_t max, int64_t *ret_value);

/* The whole of `s` as a finite decimal number. */
bool str_parse_double(const char *s, double *ret_value);

/* 36 characters, hexadecimal digits and hyphens in their places; upper case is accepted. */
bool str_is_uuid(const char *s);

/* A random (version 4) UUID in lower case. */
void str_uuid(char out[37]);

/* Length in bytes of the valid UTF-8 prefix of s[0..n); n when all of it is valid. NUL is valid. */
size_t str_utf8_prefix(const char *s, size_t n);

/* Number of code points in s[0..n), which must be valid UTF-8. */
size_t str_utf8_count(const char *s, size_t n);

/* Byte offset of code point `index` (or n when there are fewer) in valid UTF-8 s[0..n). */
size_t str_utf8_offset(const char *s, size_t n, size_t index);

/* A copy of s[0..n) in which every invalid byte is U+FFFD; NULL when the arena is full. */
char *str_utf8_repair(struct arena *a, const char *s, size_t n, size_t *ret_len);

/* A file name that can be shown and used as one path component: the part behind the last slash or
 * backslash, valid UTF-8, no control characters, not "." or "..", 1 to 200 bytes with its extension
 * kept. Never NULL but for a full arena. */
char *str_safe_name(struct arena *a, const char *name, size_t n);

/* Appends s as a JSON string with its quotes. Invalid UTF-8 becomes U+FFFD. */
void str_json(struct buf *b, const char *s);
void str_json_n(struct buf *b, const char *s, size_t n);

/* "1.5 GB", "23 B"; powers of 1000. */
void str_print_bytes(int64_t bytes, char out[32]);

bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

#endif
