/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* multipart.c - multipart/form-data, read piece by piece (multipart.h).
 *
 * libmicrohttpd has a reader of its own, but it cannot say what is wrong, cuts file names at quotes
 * and NULs, and takes a body without its closing boundary for whole. Called by rest_upload.c on the
 * daemon's thread, at the speed of memmem.
 *
 * The delimiter is CRLF "--" boundary. Bytes at the end of a piece that might begin a delimiter are
 * held back; since they equal the delimiter's own first bytes, only their number is kept. The text
 * in front of the first delimiter and behind the closing one is ignored, as RFC 2046 says. */
#include "server/multipart.h"

#include <string.h>
#include <strings.h>

enum { MAX_BOUNDARY = 70, MAX_HEAD = 16 * 1024, MAX_PARTS = 64 };

enum state { PREAMBLE, DELIMITER, HEAD, DATA, EPILOGUE };

struct multipart {
    struct multipart_sink sink;
    char delimiter[4 + MAX_BOUNDARY + 1];
    size_t delimiter_len;
    size_t held; /* bytes of the delimiter that the input ended with */
    enum state state;
    int parts;
    char head[MAX_HEAD + 1]; /* the line behind a delimiter, then a part's headers */
    size_t head_len;
    char value[MAX_HEAD + 1]; /* the parameter that is being read */
};

static enum code malformed(struct ctx *cx, const char *what)
{
    return ctx_fail(cx, CODE_INVALID_ARGUMENT, "malformed multipart body: %s", what);
}

/* ---- header fields and their parameters ---- */

static bool is_token_char(char c)
{
    return c > 0x20 && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

/* Reads one "; name=value" at *s. The value is unquoted into `out` (as long as the rest of the
 * input). False at the end or when it is malformed; *s then stays where it was. */
static bool next_param(const char **s, const char *end, const char **ret_name, size_t *ret_name_len,
                       char *out, size_t *ret_len)
{
    const char *p = *s;
    while (p < end && (*p == ' ' || *p == '\t' || *p == ';'))
        p++;
    const char *name = p;
    while (p < end && (is_token_char(*p)))
        p++;
    size_t name_len = (size_t)(p - name), n = 0;
    if (!name_len || p == end || *p++ != '=')
        return false;
    if (p < end && *p == '"') {
        for (p++; p < end && *p != '"'; p++) {
            if (*p == '\\' && p + 1 < end && (p[1] == '"' || p[1] == '\\'))
                p++;
            out[n++] = *p;
        }
        if (p++ == end)
            return false;
    } else {
        while (p < end && *p != ';' && *p != ' ' && *p != '\t')
            out[n++] = *p++;
    }
    *s = p;
    *ret_name = name;
    *ret_name_len = name_len;
    *ret_len = n;
    return true;
}

static bool is_name(const char *name, size_t len, const char *wanted)
{
    return len == strlen(wanted) && strncasecmp(name, wanted, len) == 0;
}

static int hex(char c)
{
    const char *digits = "0123456789abcdef";
    const char *p = c ? strchr(digits, c >= 'A' && c <= 'F' ? c | 0x20 : c) : NULL;
    return p ? (int)(p - digits) : -1;
}

/* The value of filename*: charset'language'percent-encoded. In place; the new length. */
static size_t decode_extended(char *s, size_t n)
{
    const char *quote = memchr(s, '\'', n);
    quote = quote ? memchr(quote + 1, '\'', n - (size_t)(quote + 1 - s)) : NULL;
    size_t w = 0;
    for (size_t i = quote ? (size_t)(quote + 1 - s) : 0; i < n; i++) {
        int high = s[i] == '%' && n - i > 2 ? hex(s[i + 1]) : -1;
        int low = high >= 0 ? hex(s[i + 2]) : -1;
        if (low >= 0)
            i += 2;
        s[w++] = low >= 0 ? (char)(high << 4 | low) : s[i];
    }
    return w;
}

static enum code keep(struct ctx *cx, const char *s, size_t n, const char **ret_text,
                      size_t *ret_len)
{
    *ret_text = ctx_strndup(cx, s, n);
    *ret_len = n;
    return *ret_text ? CODE_OK : CODE_OUT_OF_MEMORY;
}

static enum code read_disposition(struct ctx *cx, struct multipart *m, const char *value,
                                  size_t len, struct multipart_part *part)
{
    const char *s = memchr(value, ';', len), *end = value + len, *name;
    size_t name_len, n;
    bool extended = false;
    if (len < 9 || strncasecmp(value, "form-data", 9) != 0)
        return malformed(cx, "a part is not form-data");
    while (s && next_param(&s, end, &name, &name_len, m->value, &n)) {
        bool is_extended = is_name(name, name_len, "filename*");
        if (is_name(name, name_len, "name"))
            TRY(keep(cx, m->value, n, &part->name, &part->name_len));
        else if (is_extended || (is_name(name, name_len, "filename") && !extended))
            TRY(keep(cx, m->value, is_extended ? decode_extended(m->value, n) : n, &part->filename,
                     &part->filename_len));
        else
            continue;
        extended = extended || is_extended;
        part->has_filename = part->filename != NULL;
    }
    return CODE_OK;
}

static enum code read_header(struct ctx *cx, struct multipart *m, char *line, size_t len,
                             struct multipart_part *part)
{
    char *colon = memchr(line, ':', len);
    if (!colon)
        return malformed(cx, "a header without a colon");
    size_t name_len = (size_t)(colon - line);
    char *value = colon + 1;
    while (*value == ' ' || *value == '\t')
        value++;
    size_t value_len = len - (size_t)(value - line);
    if (is_name(line, name_len, "Content-Disposition"))
        return read_disposition(cx, m, value, value_len, part);
    if (is_name(line, name_len, "Content-Type")) {
        part->content_type = ctx_strndup(cx, value, value_len);
        return part->content_type ? CODE_OK : CODE_OUT_OF_MEMORY;
    }
    if (is_name(line, name_len, "Content-Transfer-Encoding") &&
        !is_name(value, value_len, "binary") && !is_name(value, value_len, "8bit") &&
        !is_name(value, value_len, "7bit"))
        return malformed(cx, "a transfer encoding that is not binary");
    return CODE_OK;
}

/* m->head holds all header lines, each with its CRLF. */
static enum code begin_part(struct ctx *cx, struct multipart *m)
{
    struct multipart_part part = {0};
    char *s = m->head, *end = m->head + m->head_len;
    if (++m->parts > MAX_PARTS)
        return malformed(cx, "too many parts");
    while (s < end) {
        char *eol = memmem(s, (size_t)(end - s), "\r\n", 2);
        *eol = '\0';
        TRY(read_header(cx, m, s, (size_t)(eol - s), &part));
        s = eol + 2;
    }
    if (!part.name)
        return malformed(cx, "a part without a name");
    part.filename = part.has_filename ? part.filename : "";
    return m->sink.begin(m->sink.arg, &part);
}

/* ---- lines behind a delimiter, and heads ---- */

/* Collects until CRLF (DELIMITER) or an empty line (HEAD); *ret_used bytes are taken from data. */
static enum code feed_head(struct ctx *cx, struct multipart *m, const char *data, size_t len,
                           size_t *ret_used)
{
    for (size_t i = 0; i < len; i++) {
        if (m->head_len == MAX_HEAD)
            return malformed(cx, "the headers of a part are too long");
        m->head[m->head_len++] = data[i];
        m->head[m->head_len] = '\0';
        *ret_used = i + 1;
        if (m->state == DELIMITER && m->head_len == 2 && memcmp(m->head, "--", 2) == 0) {
            m->state = EPILOGUE;
            return CODE_OK;
        }
        if (m->head_len < 2 || memcmp(m->head + m->head_len - 2, "\r\n", 2) != 0)
            continue;
        if (m->state == DELIMITER) {
            if (strspn(m->head, " \t") != m->head_len - 2)
                return malformed(cx, "text behind a boundary");
            m->state = HEAD;
            m->head_len = 0;
        } else if (m->head_len == 2 || memcmp(m->head + m->head_len - 4, "\r\n", 2) == 0) {
            m->head_len -= 2;
            m->state = DATA;
            m->held = 0;
            return begin_part(cx, m);
        }
    }
    return CODE_OK;
}

/* ---- data ---- */

static enum code emit(struct multipart *m, const char *data, size_t len)
{
    return m->state == DATA && len ? m->sink.data(m->sink.arg, data, len) : CODE_OK;
}

static enum code end_part(struct multipart *m)
{
    bool was_part = m->state == DATA;
    m->state = DELIMITER;
    m->head_len = 0;
    m->held = 0;
    return was_part ? m->sink.end(m->sink.arg) : CODE_OK;
}

/* The length of the longest suffix of data that begins the delimiter. */
static size_t suffix(const struct multipart *m, const char *data, size_t len)
{
    for (size_t k = MIN(len, m->delimiter_len - 1); k > 0; k--)
        if (memcmp(data + len - k, m->delimiter, k) == 0)
            return k;
    return 0;
}

/* Settles held bytes with the next ones. Uses none of them when the held ones were plain data. */
static enum code feed_held(struct multipart *m, const char *data, size_t len, size_t *ret_used)
{
    size_t n = MIN(len, m->delimiter_len - m->held);
    if (memcmp(m->delimiter + m->held, data, n) == 0) {
        *ret_used = n;
        m->held += n;
        return m->held == m->delimiter_len ? end_part(m) : CODE_OK;
    }
    size_t held = m->held, keep = held - 1;
    while (keep > 0 && memcmp(m->delimiter, m->delimiter + held - keep, keep) != 0)
        keep--;
    m->held = keep;
    *ret_used = 0;
    return emit(m, m->delimiter, held - keep);
}

static enum code feed_data(struct multipart *m, const char *data, size_t len, size_t *ret_used)
{
    if (m->held)
        return feed_held(m, data, len, ret_used);
    const char *found = memmem(data, len, m->delimiter, m->delimiter_len);
    if (found) {
        *ret_used = (size_t)(found - data) + m->delimiter_len;
        TRY(emit(m, data, (size_t)(found - data)));
        return end_part(m);
    }
    m->held = suffix(m, data, len);
    *ret_used = len;
    return emit(m, data, len - m->held);
}

enum code multipart_feed(struct ctx *cx, struct multipart *m, const char *data, size_t len)
{
    while (len && m->state != EPILOGUE) {
        size_t used = 0;
        if (m->state == DELIMITER || m->state == HEAD)
            TRY(feed_head(cx, m, data, len, &used));
        else
            TRY(feed_data(m, data, len, &used));
        data += used;
        len -= used;
    }
    return CODE_OK;
}

enum code multipart_finish(struct ctx *cx, const struct multipart *m)
{
    return m->state == EPILOGUE ? CODE_OK : malformed(cx, "the closing boundary is missing");
}

/* ---- beginning ---- */

static bool is_boundary(const char *s, size_t n)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "'()+_,-./:=? ";
    for (size_t i = 0; i < n; i++)
        if (!s[i] || !strchr(allowed, s[i]))
            return false;
    return n >= 1 && n <= MAX_BOUNDARY && s[n - 1] != ' ';
}

enum code multipart_new(struct ctx *cx, const char *content_type, const struct multipart_sink *sink,
                        struct multipart **ret_multipart)
{
    size_t type_len = strcspn(content_type, "; \t");
    if (!is_name(content_type, type_len, "multipart/form-data"))
        return ctx_fail(cx, CODE_UNSUPPORTED,
                        "content type \"%.100s\": expected multipart/form-data", content_type);
    struct multipart *m = ctx_alloc(cx, sizeof(*m));
    char *boundary = ctx_alloc(cx, strlen(content_type) + 1);
    if (!m || !boundary)
        return CODE_OUT_OF_MEMORY;
    const char *s = content_type + type_len, *end = s + strlen(s), *name;
    size_t name_len, n = 0;
    while (next_param(&s, end, &name, &name_len, boundary, &n) &&
           !is_name(name, name_len, "boundary"))
        n = 0;
    if (!is_boundary(boundary, n))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "content type \"%.100s\": no usable boundary",
                        content_type);
    m->sink = *sink;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, n);
    m->delimiter_len = 4 + n;
    m->held = 2; /* the first delimiter needs no line break in front */
    *ret_multipart = m;
    return CODE_OK;
}
