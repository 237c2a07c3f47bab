/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* sniff.c - the type of a document from its first bytes (sniff.h).
 *
 * The name a client gave says nothing: what counts is the content. Signatures are compared at fixed
 * offsets; PDF's may stand within the first 1024 bytes (ISO 32000-1, annex H, implementation note
 * 13). What has no signature is text when it is valid UTF-8, or has a byte order mark, or holds no
 * control characters that texts do not have. A new format is one row here and one reader in
 * workers/extract. */
#include "base/sniff.h"

#include <string.h>

#include "base/str.h"

struct signature {
    const char *bytes;
    unsigned len, offset;
    const char *type; /* NULL: known and not read */
    const char *what;
};

#define SIG(s, at, type, what)                                                                     \
    {                                                                                              \
        s, sizeof(s) - 1, at, type, what                                                           \
    }

static const struct signature table[] = {
    SIG("\x89PNG\r\n\x1a\n", 0, "image/png", "PNG image"),
    SIG("\xff\xd8\xff", 0, "image/jpeg", "JPEG image"),
    SIG("II*\0", 0, "image/tiff", "TIFF image"),
    SIG("MM\0*", 0, "image/tiff", "TIFF image"),
    SIG("MZ", 0, NULL, "a Windows program"),
    SIG("\x7f"
        "ELF",
        0, NULL, "a program (ELF)"),
    SIG("\xcf\xfa\xed\xfe", 0, NULL, "a program (Mach-O)"),
    SIG("\xca\xfe\xba\xbe", 0, NULL, "a Java class or program"),
    SIG("PK\x03\x04", 0, NULL, "a ZIP archive or office document"),
    SIG("PK\x05\x06", 0, NULL, "an empty ZIP archive"),
    SIG("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, NULL, "an old Microsoft Office document"),
    SIG("\x1f\x8b", 0, NULL, "a gzip archive"),
    SIG("BZh", 0, NULL, "a bzip2 archive"),
    SIG("\xfd"
        "7zXZ",
        0, NULL, "an xz archive"),
    SIG("7z\xbc\xaf\x27\x1c", 0, NULL, "a 7z archive"),
    SIG("Rar!", 0, NULL, "a RAR archive"),
    SIG("\x28\xb5\x2f\xfd", 0, NULL, "a zstd archive"),
    SIG("GIF8", 0, NULL, "a GIF image"),
    SIG("RIFF", 0, NULL, "a WebP image, a sound or a video (RIFF)"),
    SIG("ftyp", 4, NULL, "a video or an HEIF image (ISO media)"),
    SIG("\x1a\x45\xdf\xa3", 0, NULL, "a video (Matroska)"),
    SIG("OggS", 0, NULL, "a sound or a video (Ogg)"),
    SIG("ID3", 0, NULL, "a sound (MP3)"),
    SIG("fLaC", 0, NULL, "a sound (FLAC)"),
    SIG("SQLite format 3", 0, NULL, "a SQLite database"),
};

static bool has(const unsigned char *data, size_t len, const struct signature *s)
{
    return len >= s->offset + s->len && memcmp(data + s->offset, s->bytes, s->len) == 0;
}

/* In what is all text it must begin a line: a text may mention it. */
static bool is_pdf(const unsigned char *data, size_t len, bool text)
{
    const unsigned char *p = memmem(data, MIN(len, (size_t)1024), "%PDF-", 5);
    return p && (!text || p == data || p[-1] < 0x20 || p[-1] >= 0x7f);
}

static bool has_bom(const unsigned char *data, size_t len)
{
    return len >= 2 &&
           ((data[0] == 0xff && data[1] == 0xfe) || (data[0] == 0xfe && data[1] == 0xff));
}

/* Texts have tabs, line ends, form feeds and escapes; nothing else below a space. */
static bool is_text(const unsigned char *data, size_t len, bool whole)
{
    size_t high = 0;
    if (has_bom(data, len))
        return true;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = data[i];
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f' && c != 0x1b && c != '\b')
            return false;
        high += c >= 0x80;
    }
    if (!high)
        return true;
    size_t good = str_utf8_prefix((const char *)data, len);
    if (good == len || (!whole && len - good < 4))
        return true;
    return high <= len / 2; /* an 8-bit charset: mostly ASCII or letters, never half binary */
}

/* Markup is text too, but reading its tags as words helps nobody. */
static const char *markup(const unsigned char *data, size_t len)
{
    char head[256];
    size_t n = MIN(len, sizeof(head) - 1), start = 0;
    memcpy(head, data, n);
    head[n] = '\0';
    while (start < n && head[start] && strchr(" \t\r\n\xef\xbb\xbf", head[start]))
        start++;
    if (strncasecmp(head + start, "<!doctype html", 14) == 0 ||
        strncasecmp(head + start, "<html", 5) == 0)
        return "an HTML page";
    if (strncasecmp(head + start, "<?xml", 5) == 0)
        return "an XML document";
    if (strncmp(head + start, "{\\rtf", 5) == 0)
        return "a rich text document";
    return NULL;
}

const char *sniff_type(const unsigned char *data, size_t len, bool whole, const char **ret_what)
{
    whole = whole && len <= (size_t)SNIFF_BYTES;
    len = MIN(len, (size_t)SNIFF_BYTES);
    bool text = is_text(data, len, whole);
    for (unsigned i = 0; i < ARRAY_LEN(table); i++) {
        /* A text may well begin with "MZ" or "RIFF"; what those stand for is never all text. */
        if (has(data, len, &table[i]) && (table[i].type || !text)) {
            *ret_what = table[i].what;
            return table[i].type;
        }
    }
    if (is_pdf(data, len, text)) { /* behind the table: a ZIP may hold one */
        *ret_what = "PDF document";
        return "application/pdf";
    }
    *ret_what = "binary data of an unknown type";
    if (!text)
        return NULL;
    const char *kind = markup(data, len);
    *ret_what = kind ? kind : "plain text";
    return kind ? NULL : "text/plain";
}
