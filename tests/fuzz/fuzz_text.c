/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fuzz_text.c - any bytes as a text document (workers/extract/doc_text.c and charset.c).
 *
 * The first byte limits the pages. Whatever the bytes are: the text is valid UTF-8, pages hold no
 * control characters, there are not more of them than allowed, and together they hold as many
 * characters as the text has without its form feeds and doubled line ends. */
#include <string.h>

#include "base/str.h"
#include "tests/fuzz/fuzz.h"
#include "workers/extract/charset.h"
#include "workers/extract/doc.h"

enum { MEMORY = 16 << 20 };

/* Bytes that pages must hold of this text. */
static size_t kept(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += s[i] != '\f' && !(s[i] == '\r' && i + 1 < n && s[i + 1] == '\n');
    return count;
}

static size_t check_page(struct ctx *cx, struct doc *d, int page)
{
    Extract__V1__Page out = EXTRACT__V1__PAGE__INIT;
    fuzz_check_ok(cx, d->ops->read_page(cx, d, page, &out));
    size_t n = strlen(out.text);
    FUZZ_CHECK(str_utf8_prefix(out.text, n) == n);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)out.text[i];
        FUZZ_CHECK(c >= 0x20 ? c != 0x7f : c == '\n' || c == '\t');
    }
    return n;
}

static void check_document(struct ctx *cx, const struct doc_source *src, size_t wanted)
{
    struct doc *d;
    enum code code = doc_text_open(cx, src, &d);
    if (code != CODE_OK) {
        FUZZ_CHECK(code == CODE_UNREADABLE || code == CODE_TOO_LARGE);
        return;
    }
    size_t total = 0;
    FUZZ_CHECK(d->page_count > 0 && (!src->max_pages || d->page_count <= src->max_pages));
    for (int page = 1; page <= d->page_count; page++)
        total += check_page(cx, d, page);
    d->ops->close(d);
    FUZZ_CHECK(total == wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct ctx cx;
    const char *text, *charset;
    size_t len;
    CLEANUP(buf_done) struct buf store = BUF_INIT(MEMORY);
    struct doc_source src = {.data = data + 1,
                             .len = size - 1,
                             .content_type = "text/plain",
                             .password = "",
                             .max_pages = data[0] % 8};
    ctx_init(&cx, MEMORY);
    fuzz_check_ok(&cx, charset_to_utf8(&cx, src.data, src.len, &store, &text, &len, &charset));
    FUZZ_CHECK(str_utf8_prefix(text, len) == len && charset && *charset);
    check_document(&cx, &src, kept(text, len));
    ctx_done(&cx);
    return 0;
}
