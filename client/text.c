/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* text.c - texts for a terminal (text.h).
 *
 * Names, messages and page texts come from documents that nobody trusts. What could move the
 * cursor, set a title or turn the reading direction is shown as an escape instead; U+0080..U+009F
 * are in that because terminals take them as control sequences.
 *
 * Widths come from wcwidth, which knows only what the locale knows; main has set one. A character
 * that it does not know counts as one column. */
#include "client/text.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

#include "base/str.h"

/* The code point at s (of n bytes) and its length; length 0 for an invalid byte. */
static size_t decode(const char *s, size_t n, uint32_t *ret_cp)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t len = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (len > n || str_utf8_prefix(s, len) != len)
        return 0;
    uint32_t cp = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        cp = cp << 6 | (p[i] & 0x3fu);
    *ret_cp = cp;
    return len;
}

static bool is_unsafe(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x061c ||
           (cp >= 0x200e && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
           (cp >= 0x2066 && cp <= 0x2069);
}

static void escape(struct buf *b, uint32_t cp)
{
    if (cp == '\n')
        buf_str(b, "\\n");
    else if (cp == '\t')
        buf_str(b, "\\t");
    else if (cp == '\r')
        buf_str(b, "\\r");
    else if (cp < 0x100)
        buf_printf(b, "\\x%02x", cp);
    else
        buf_printf(b, "\\u%04x", cp);
}

static void add_safe(struct buf *b, const char *s, const char *keep)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        size_t len = decode(s + i, n - i, &cp);
        if (!len) {
            buf_printf(b, "\\x%02x", (unsigned char)s[i]);
            len = 1;
        } else if (is_unsafe(cp) && !(cp < 0x80 && strchr(keep, (int)cp))) {
            escape(b, cp);
        } else {
            buf_add(b, s + i, len);
        }
        i += len;
    }
}

void text_safe(struct buf *b, const char *s)
{
    add_safe(b, s, "");
}

void text_safe_lines(struct buf *b, const char *s)
{
    add_safe(b, s, "\n\t\f");
}

static size_t columns_of(uint32_t cp)
{
    int w = wcwidth((wchar_t)cp);
    return w < 0 ? 1 : (size_t)w;
}

size_t text_width(const char *s)
{
    size_t n = strlen(s), width = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp = '?';
        size_t len = decode(s + i, n - i, &cp);
        width += columns_of(cp);
        i += MAX(len, (size_t)1);
    }
    return width;
}

static void spaces(struct buf *b, size_t n)
{
    buf_printf(b, "%*s", (int)n, "");
}

void text_fit(struct buf *b, const char *s, size_t columns, bool pad)
{
    size_t width = text_width(s);
    if (width <= columns) {
        buf_str(b, s);
        if (pad)
            spaces(b, columns - width);
        return;
    }
    if (columns == 0)
        return;
    size_t n = strlen(s), i = 0, used = 0;
    while (i < n) {
        uint32_t cp = '?';
        size_t len = MAX(decode(s + i, n - i, &cp), (size_t)1), w = columns_of(cp);
        if (used + w > columns - 1)
            break;
        used += w;
        i += len;
    }
    buf_add(b, s, i);
    buf_str(b, "\xe2\x80\xa6");
    if (pad)
        spaces(b, columns - 1 - used);
}

void text_time(const Google__Protobuf__Timestamp *t, char out[32])
{
    struct tm tm;
    time_t seconds = t ? (time_t)t->seconds : 0;
    if (!t || !localtime_r(&seconds, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M:%S", &tm))
        snprintf(out, 32, "-");
}

/* "JobStatus" is written "JOB_STATUS_" in front of every value. */
static size_t prefix_length(const ProtobufCEnumDescriptor *d)
{
    size_t n = strlen(d->short_name) + 1;
    for (const char *p = d->short_name + 1; *p; p++)
        n += isupper((unsigned char)*p) ? 1 : 0;
    return n;
}

static void short_name(const ProtobufCEnumDescriptor *d, const char *name, char out[32])
{
    size_t prefix = prefix_length(d);
    snprintf(out, 32, "%s", strlen(name) > prefix ? name + prefix : name);
    for (char *p = out; *p; p++)
        *p = (char)tolower((unsigned char)*p);
}

void text_enum(const ProtobufCEnumDescriptor *d, int value, char out[32])
{
    const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(d, value);
    if (value == 0)
        snprintf(out, 32, "-");
    else if (!v)
        snprintf(out, 32, "%d", value);
    else
        short_name(d, v->name, out);
}

int text_enum_value(const ProtobufCEnumDescriptor *d, const char *name)
{
    for (unsigned i = 0; i < d->n_values; i++) {
        char is[32];
        short_name(d, d->values[i].name, is);
        if (strcmp(is, name) == 0)
            return d->values[i].value;
    }
    return 0;
}
