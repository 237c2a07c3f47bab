/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* doc.c - which kind of document it is (doc.h); child.c calls it.
 *
 * The worker says the type that the server found by signature. Bytes that nobody named are looked
 * at here again. A new kind of file is one doc_*.c and one row below. Nothing here parses. */
#include "doc.h"

#include <string.h>

#include "base/str.h"

struct kind {
    const char *type; /* a trailing slash: every type that begins so */
    enum code (*open)(struct ctx *cx, const struct doc_source *src, struct doc **ret_doc);
};

static const struct kind kinds[] = {
    {"application/pdf", doc_pdf_open}, {"application/x-pdf", doc_pdf_open},
    {"text/", doc_text_open},          {"image/png", doc_image_open},
    {"image/jpeg", doc_image_open},    {"image/tiff", doc_image_open},
    {"image/webp", doc_image_open},    {"image/bmp", doc_image_open},
    {"image/gif", doc_image_open},     {"image/x-portable-anymap", doc_image_open},
};

struct signature {
    const char *bytes;
    size_t len;
    const char *type;
};

static const struct signature signatures[] = {
    {"%PDF-", 5, "application/pdf"},   {"\x89PNG\r\n\x1a\n", 8, "image/png"},
    {"\xff\xd8\xff", 3, "image/jpeg"}, {"II*\0", 4, "image/tiff"},
    {"MM\0*", 4, "image/tiff"},        {"II+\0", 4, "image/tiff"},
    {"MM\0+", 4, "image/tiff"},        {"GIF8", 4, "image/gif"},
};

/* Text has no NUL in its first bytes, unless it is UTF-16 and says so. */
static bool looks_like_text(const unsigned char *data, size_t len)
{
    if (len >= 2 && ((data[0] == 0xff && data[1] == 0xfe) || (data[0] == 0xfe && data[1] == 0xff)))
        return true;
    size_t n = MIN(len, (size_t)4096), odd = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = data[i];
        if (c == 0)
            return false;
        odd += (c < 0x20 && c != '\n' && c != '\r' && c != '\t' && c != '\f') || c == 0x7f;
    }
    return n > 0 && odd * 50 <= n;
}

const char *doc_sniff(const unsigned char *data, size_t len)
{
    for (size_t i = 0; i < ARRAY_LEN(signatures); i++)
        if (len >= signatures[i].len && memcmp(data, signatures[i].bytes, signatures[i].len) == 0)
            return signatures[i].type;
    if (len >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0)
        return "image/webp";
    if (len && memmem(data, MIN(len, (size_t)1024), "%PDF-", 5)) /* junk in front is common */
        return "application/pdf";
    return looks_like_text(data, len) ? "text/plain" : NULL;
}

static const struct kind *find(const char *type)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        bool prefix = str_ends(kinds[i].type, "/");
        if (prefix ? str_starts(type, kinds[i].type) : strcmp(type, kinds[i].type) == 0)
            return &kinds[i];
    }
    return NULL;
}

enum code doc_open(struct ctx *cx, const struct doc_source *src, struct doc **ret_doc)
{
    struct doc_source s = *src;
    if (!s.len)
        return ctx_fail(cx, CODE_UNREADABLE, "the document is empty");
    if (!*s.content_type || strcmp(s.content_type, "application/octet-stream") == 0) {
        const char *found = doc_sniff(s.data, s.len);
        if (!found)
            return ctx_fail(cx, CODE_UNSUPPORTED, "no known type of document");
        s.content_type = found;
    }
    const struct kind *k = find(s.content_type);
    if (!k)
        return ctx_fail(cx, CODE_UNSUPPORTED, "documents of type \"%s\" cannot be read",
                        s.content_type);
    struct doc *d;
    TRY(k->open(cx, &s, &d));
    d->content_type = s.content_type;
    if (!d->title)
        d->title = "";
    *ret_doc = d;
    return CODE_OK;
}

void doc_close(struct doc *d)
{
    if (d)
        d->ops->close(d);
}

enum code doc_too_many(struct ctx *cx, int max_pages)
{
    return ctx_fail(cx, CODE_TOO_LARGE, "the document has more than %d pages (MAX_PAGES)",
                    max_pages);
}

void doc_set_text(Extract__V1__Page *out, const char *text)
{
    bool blank = text[strspn(text, " \t\n")] == '\0';
    out->text = (char *)(uintptr_t)text;
    out->verdict = blank ? EXTRACT__V1__VERDICT__VERDICT_BLANK : EXTRACT__V1__VERDICT__VERDICT_TEXT;
    out->reason = (char *)(uintptr_t)(blank ? "no text" : "");
    out->confidence = -1;
}
