/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* openapi_json.c - the few strokes of JSON that the OpenAPI writer needs (openapi_impl.h).
 *
 * Used by openapi.c and openapi_schema.c. A comma is due unless something has just been opened or a
 * key waits for its value; the last byte written says so. */
#include "base/str.h"
#include "server/openapi_impl.h"

static void begin(struct buf *b, const char *key)
{
    char last = b->len ? b->data[b->len - 1] : '[';
    if (last != '{' && last != '[' && last != ':')
        buf_char(b, ',');
    if (key) {
        str_json(b, key);
        buf_char(b, ':');
    }
}

void openapi_open(struct buf *b, const char *key, char bracket)
{
    begin(b, key);
    buf_char(b, bracket);
}

void openapi_close(struct buf *b, char bracket)
{
    buf_char(b, bracket);
}

void openapi_put(struct buf *b, const char *key, const char *text)
{
    if (!text)
        return;
    begin(b, key);
    str_json(b, text);
}

void openapi_raw(struct buf *b, const char *key, const char *json)
{
    begin(b, key);
    buf_str(b, json);
}
