/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fuzz_multipart.c - an upload form from anybody (server/multipart.h).
 *
 * The first line is the Content-Type, the rest the body. It is fed whole, byte by byte, and in
 * pieces whose lengths come from the body itself; each feeding is written down (what began, all
 * bytes of data, what ended, how it came out), and all three must read the same. */
#include <string.h>

#include "base/buf.h"
#include "server/multipart.h"
#include "tests/fuzz/fuzz.h"

enum { MEMORY = 8 << 20, LOG_LIMIT = 8 << 20 };

static enum code begin(void *arg, const struct multipart_part *part)
{
    struct buf *log = arg;
    FUZZ_CHECK(part->name && part->filename);
    FUZZ_CHECK(!part->name[part->name_len] && !part->filename[part->filename_len]);
    FUZZ_CHECK(part->has_filename || !part->filename_len);
    buf_printf(log, "\n<%zu,%zu,%d,%s>", part->name_len, part->filename_len, part->has_filename,
               part->content_type ? part->content_type : "none");
    buf_add(log, part->name, part->name_len);
    buf_add(log, part->filename, part->filename_len);
    return CODE_OK;
}

static enum code take(void *arg, const char *data, size_t len)
{
    FUZZ_CHECK(len > 0);
    buf_add(arg, data, len);
    return CODE_OK;
}

static enum code end(void *arg)
{
    buf_str(arg, "</>");
    return CODE_OK;
}

/* step 0: lengths from the data. */
static void feed(const char *type, const char *data, size_t size, size_t step, struct buf *log)
{
    struct multipart_sink sink = {.begin = begin, .data = take, .end = end, .arg = log};
    struct multipart *m;
    struct ctx cx;
    ctx_init(&cx, MEMORY);
    enum code code = multipart_new(&cx, type, &sink, &m);
    for (size_t at = 0, n; code == CODE_OK && at < size; at += n) {
        n = step ? step : 1 + (size_t)((unsigned char)data[at] % 37);
        n = MIN(n, size - at);
        code = multipart_feed(&cx, m, data + at, n);
    }
    if (code == CODE_OK)
        code = multipart_finish(&cx, m);
    FUZZ_CHECK(code == cx.failure.code);
    buf_printf(log, "\n%s %s", code_name(code), ctx_message(&cx));
    ctx_done(&cx);
}

static bool same(const struct buf *a, const struct buf *b)
{
    return a->len == b->len && memcmp(buf_cstr(a), buf_cstr(b), a->len) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
    if (!line_end)
        return 0;
    char type[512];
    size_t type_len = MIN((size_t)(line_end - data), sizeof(type) - 1);
    memcpy(type, data, type_len);
    type[type_len] = '\0';

    const char *body = (const char *)line_end + 1;
    size_t len = size - (size_t)(line_end + 1 - data);
    CLEANUP(buf_done) struct buf whole = BUF_INIT(LOG_LIMIT);
    CLEANUP(buf_done) struct buf bytes = BUF_INIT(LOG_LIMIT);
    CLEANUP(buf_done) struct buf pieces = BUF_INIT(LOG_LIMIT);
    feed(type, body, len, len + 1, &whole);
    feed(type, body, len, 1, &bytes);
    feed(type, body, len, 0, &pieces);
    FUZZ_CHECK(same(&whole, &bytes));
    FUZZ_CHECK(same(&whole, &pieces));
    return 0;
}
