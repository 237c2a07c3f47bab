/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* str.c - strict reading and safe writing of short texts (str.h).
 *
 * UTF-8 is checked as Unicode 15 table 3-7 says: no overlong forms, no surrogates, nothing above
 * U+10FFFF. Everything from outside that will be stored, shown or logged passes through here. */
#include "base/str.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <uuid/uuid.h>

/* ---- numbers and ids ---- */

bool str_parse_int(const char *s, int64_t min, int64_t max, int64_t *ret_value)
{
    const char *digits = *s == '-' ? s + 1 : s;
    if (*digits < '0' || *digits > '9')
        return false;
    char *end;
    errno = 0;
    long long v = strtoll(s, &end, 10);
    if (errno || *end || v < min || v > max)
        return false;
    *ret_value = v;
    return true;
}

bool str_parse_double(const char *s, double *ret_value)
{
    const char *digits = *s == '-' ? s + 1 : s;
    if (*digits < '0' || *digits > '9' || strpbrk(s, "xXpP"))
        return false;
    char *end;
    errno = 0;
    double v = strtod(s, &end);
    if (*end || !isfinite(v))
        return false;
    *ret_value = v;
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool str_is_uuid(const char *s)
{
    for (int i = 0; i < 36; i++) {
        bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
        if (hyphen ? s[i] != '-' : !is_hex(s[i]))
            return false;
    }
    return s[36] == '\0';
}

void str_uuid(char out[37])
{
    uuid_t id;
    if (getrandom(id, sizeof(id), 0) == (ssize_t)sizeof(id)) {
        id[6] = (unsigned char)((id[6] & 0x0f) | 0x40); /* version 4 */
        id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
    } else {
        uuid_generate_random(id); /* seven system calls */
    }
    uuid_unparse_lower(id, out);
}

/* ---- UTF-8 ---- */

/* Bytes of the valid sequence at s, or 0. */
static size_t sequence(const unsigned char *s, size_t n)
{
    unsigned char c = s[0];
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    size_t len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (n < len)
        return 0;
    unsigned char low = 0x80, high = 0xbf;
    if (c == 0xe0)
        low = 0xa0;
    else if (c == 0xed)
        high = 0x9f;
    else if (c == 0xf0)
        low = 0x90;
    else if (c == 0xf4)
        high = 0x8f;
    if (s[1] < low || s[1] > high)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

size_t str_utf8_prefix(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n) {
        uint64_t word;
        while (n - i >= sizeof(word)) {
            memcpy(&word, s + i, sizeof(word));
            if (word & 0x8080808080808080ull)
                break;
            i += sizeof(word);
        }
        if (i == n)
            break;
        size_t k = sequence((const unsigned char *)s + i, n - i);
        if (!k)
            return i;
        i += k;
    }
    return n;
}

size_t str_utf8_count(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

size_t str_utf8_offset(const char *s, size_t n, size_t index)
{
    size_t i = 0;
    while (i < n) {
        if (((unsigned char)s[i] & 0xc0) != 0x80 && index-- == 0)
            break;
        i++;
    }
    return i;
}

static void repair_into(struct buf *b, const char *s, size_t n)
{
    while (n) {
        size_t good = str_utf8_prefix(s, n);
        buf_add(b, s, good);
        s += good;
        n -= good;
        if (n) {
            buf_str(b, "\xef\xbf\xbd");
            s++;
            n--;
        }
    }
}

char *str_utf8_repair(struct arena *a, const char *s, size_t n, size_t *ret_len)
{
    if (str_utf8_prefix(s, n) == n) {
        char *copy = arena_strndup(a, s, n);
        if (copy)
            *ret_len = n;
        return copy;
    }
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    repair_into(&b, s, n);
    char *copy = buf_failed(&b) ? NULL : arena_strndup(a, buf_cstr(&b), b.len);
    if (copy)
        *ret_len = b.len;
    return copy;
}

/* ---- names ---- */

enum { NAME_MAX_BYTES = 200, EXTENSION_MAX_BYTES = 16 };

static void shorten(char *name, size_t len)
{
    const char *dot = strrchr(name, '.');
    size_t ext = dot && dot != name ? len - (size_t)(dot - name) : 0;
    if (ext > EXTENSION_MAX_BYTES)
        ext = 0;
    size_t keep = NAME_MAX_BYTES - ext;
    while (keep && ((unsigned char)name[keep] & 0xc0) == 0x80)
        keep--;
    memmove(name + keep, name + len - ext, ext + 1);
}

/* Characters that are shown as nothing but change how the rest is shown: C1 controls, line and
 * paragraph separators, and what turns the direction of writing (invoice_fdp.exe). Their length. */
static size_t invisible(const char *s)
{
    static const char *const marks[] = {"\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8",
                                        "\xe2\x80\xa9", "\xe2\x80\xaa", "\xe2\x80\xab",
                                        "\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae",
                                        "\xe2\x81\xa6", "\xe2\x81\xa7", "\xe2\x81\xa8",
                                        "\xe2\x81\xa9"};
    if (s[0] == '\xc2' && (unsigned char)s[1] >= 0x80 && (unsigned char)s[1] < 0xa0)
        return 2;
    for (unsigned i = 0; i < ARRAY_LEN(marks); i++)
        if (str_starts(s, marks[i]))
            return 3;
    return 0;
}

char *str_safe_name(struct arena *a, const char *name, size_t n)
{
    size_t start = 0;
    for (size_t i = 0; i < n; i++)
        if (name[i] == '/' || name[i] == '\\')
            start = i + 1;
    if (start == n) /* "a/b/": nothing behind the last slash */
        start = 0;

    size_t len;
    char *safe = str_utf8_repair(a, name + start, n - start, &len);
    if (!safe)
        return NULL;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)safe[i];
        size_t k = c < 0x80 ? 0 : invisible(safe + i);
        if (k)
            memset(safe + i, '_', k);
        else if (c < 0x20 || c == 0x7f || c == '/' || c == '\\')
            safe[i] = '_';
    }
    if (len > NAME_MAX_BYTES)
        shorten(safe, len);
    if (!*safe || strcmp(safe, ".") == 0 || strcmp(safe, "..") == 0)
        return arena_strdup(a, "unnamed");
    return safe;
}

/* ---- JSON strings, sizes, prefixes ---- */

void str_json_n(struct buf *b, const char *s, size_t n)
{
    buf_char(b, '"');
    size_t i = 0;
    while (i < n) {
        size_t run = i;
        while (run < n && (unsigned char)s[run] >= 0x20 && (unsigned char)s[run] < 0x80 &&
               s[run] != '"' && s[run] != '\\')
            run++;
        buf_add(b, s + i, run - i);
        i = run;
        if (i == n)
            break;
        unsigned char c = (unsigned char)s[i];
        size_t k = c >= 0x80 ? sequence((const unsigned char *)s + i, n - i) : 0;
        if (k)
            buf_add(b, s + i, k);
        else if (c >= 0x80)
            buf_str(b, "\xef\xbf\xbd");
        else if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c == '\n')
            buf_str(b, "\\n");
        else if (c == '\t')
            buf_str(b, "\\t");
        else if (c == '\r')
            buf_str(b, "\\r");
        else
            buf_printf(b, "\\u%04x", c);
        i += k ? k : 1;
    }
    buf_char(b, '"');
}

void str_json(struct buf *b, const char *s)
{
    str_json_n(b, s, strlen(s));
}

void str_print_bytes(int64_t bytes, char out[32])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    double v = (double)bytes;
    unsigned u = 0;
    while (v >= 1000 && u + 1 < ARRAY_LEN(units)) {
        v /= 1000;
        u++;
    }
    snprintf(out, 32, u && v < 10 ? "%.1f %s" : "%.0f %s", v, units[u]);
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && memcmp(s + n - k, suffix, k) == 0;
}
