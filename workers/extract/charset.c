/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* charset.c - plain text of any charset as UTF-8 (charset.h); for doc_text.c.
 *
 * In this order: a byte order mark is believed; what is valid UTF-8 is UTF-8; then ICU guesses from
 * the first 64 KiB, and a guess it is not fairly sure of, or of a charset that any bytes fit into,
 * gives way to windows-1252, of which Latin-1 is a part. Valid UTF-8 is never copied. A few broken
 * bytes in an otherwise good UTF-8 text do not turn the whole text into mojibake: it stays UTF-8
 * and they become U+FFFD. The converters' tables are part of ICU's library: no file is opened here.
 */
#include "charset.h"

#include <string.h>
#include <unicode/ucnv.h>
#include <unicode/ucsdet.h>

#include "base/str.h"

enum { SAMPLE = 64 * 1024, SURE_ENOUGH = 40, STEP_UNITS = 8192 };

static const char *const fallback = "windows-1252";

/* Share of broken bytes that is still a damaged UTF-8 text: 1 in 500, with real multi-byte text. */
static bool nearly_utf8(const char *s, size_t n)
{
    size_t broken = 0, multi = 0, at = 0;
    n = MIN(n, (size_t)SAMPLE * 16);
    while (at < n) {
        size_t good = str_utf8_prefix(s + at, n - at);
        multi += good - str_utf8_count(s + at, good);
        at += good;
        if (at < n && n - at > 3) /* a sequence cut by the sample's end is not broken */
            broken++;
        at += at < n;
    }
    return multi > broken * 4 && broken * 500 < n;
}

/* Latin-1 and UTF-8 were thought of already. ICU recognises two EBCDIC charsets under names (such
 * as "IBM420_rtl") that none of its converters has; asking for one would open a file. */
static bool is_useful(const char *found)
{
    return strcmp(found, "ISO-8859-1") != 0 && strcmp(found, "UTF-8") != 0 &&
           !str_starts(found, "IBM42");
}

static void guess(const unsigned char *data, size_t len, char name[64])
{
    strcpy(name, fallback);
    UErrorCode err = U_ZERO_ERROR;
    UCharsetDetector *det = ucsdet_open(&err);
    if (U_SUCCESS(err))
        ucsdet_setText(det, (const char *)data, (int32_t)MIN(len, (size_t)SAMPLE), &err);
    const UCharsetMatch *m = U_SUCCESS(err) ? ucsdet_detect(det, &err) : NULL;
    if (m && U_SUCCESS(err)) {
        int32_t sure = ucsdet_getConfidence(m, &err);
        const char *found = ucsdet_getName(m, &err);
        if (U_SUCCESS(err) && found && is_useful(found) && sure >= SURE_ENOUGH &&
            strlen(found) < 64)
            strcpy(name, found);
    }
    ucsdet_close(det);
}

static enum code convert(struct ctx *cx, const char *name, const char *data, size_t len,
                         struct buf *store)
{
    UErrorCode err = U_ZERO_ERROR;
    UConverter *from = ucnv_open(name, &err), *to = ucnv_open("UTF-8", &err);
    if (U_FAILURE(err)) {
        ucnv_close(from);
        ucnv_close(to);
        return ctx_fail(cx, CODE_UNREADABLE, "charset \"%s\" is not known: %s", name,
                        u_errorName(err));
    }
    UChar pivot[STEP_UNITS], *psource = pivot, *ptarget = pivot;
    const char *in = data, *end = data + len;
    bool first = true;
    do {
        char *room = buf_room(store, STEP_UNITS * 3);
        if (!room)
            break;
        char *out = room;
        err = U_ZERO_ERROR;
        ucnv_convertEx(to, from, &out, room + STEP_UNITS * 3, &in, end, pivot, &psource, &ptarget,
                       pivot + STEP_UNITS, first, true, &err);
        first = false;
        store->len += (size_t)(out - room);
    } while (err == U_BUFFER_OVERFLOW_ERROR);
    ucnv_close(from);
    ucnv_close(to);
    if (buf_failed(store))
        return ctx_fail(cx, CODE_OUT_OF_MEMORY, "no memory to convert a text of %zu bytes", len);
    if (U_FAILURE(err))
        return ctx_fail(cx, CODE_UNREADABLE, "could not convert text from \"%s\": %s", name,
                        u_errorName(err));
    return CODE_OK;
}

static const char *by_mark(const unsigned char *d, size_t n, size_t *ret_skip)
{
    static const struct {
        const char *mark;
        size_t len;
        const char *name;
    } marks[] = {{"\xef\xbb\xbf", 3, "UTF-8"},
                 {"\xff\xfe\0\0", 4, "UTF-32LE"},
                 {"\0\0\xfe\xff", 4, "UTF-32BE"},
                 {"\xff\xfe", 2, "UTF-16LE"},
                 {"\xfe\xff", 2, "UTF-16BE"}};
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        if (n >= marks[i].len && memcmp(d, marks[i].mark, marks[i].len) == 0) {
            *ret_skip = marks[i].len;
            return marks[i].name;
        }
    }
    *ret_skip = 0;
    return NULL;
}

enum code charset_to_utf8(struct ctx *cx, const unsigned char *data, size_t len, struct buf *store,
                          const char **ret_text, size_t *ret_len, const char **ret_name)
{
    size_t skip;
    const char *name = by_mark(data, len, &skip);
    const char *s = (const char *)data + skip;
    size_t n = len - skip;
    bool marked_utf8 = name && strcmp(name, "UTF-8") == 0;
    if ((!name || marked_utf8) && str_utf8_prefix(s, n) == n) {
        *ret_text = s;
        *ret_len = n;
        *ret_name = "UTF-8";
        return CODE_OK;
    }
    char guessed[64];
    if (!name && nearly_utf8(s, n))
        name = "UTF-8";
    if (!name) {
        guess(data, len, guessed);
        name = guessed;
    }
    TRY(convert(cx, name, s, n, store));
    const char *copy = ctx_strdup(cx, name);
    if (!copy)
        return cx->failure.code;
    *ret_text = buf_cstr(store);
    *ret_len = store->len;
    *ret_name = copy;
    return CODE_OK;
}

void charset_warm(void)
{
    static const char *const names[] = {"windows-1252", "UTF-8",    "UTF-16LE",     "UTF-16BE",
                                        "UTF-32LE",     "UTF-32BE", "windows-1251", "Shift_JIS",
                                        "GB18030",      "Big5",     "EUC-JP",       "EUC-KR"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        UErrorCode err = U_ZERO_ERROR;
        ucnv_close(ucnv_open(names[i], &err));
    }
    char name[64];
    guess((const unsigned char *)"warm", 4, name);
}
