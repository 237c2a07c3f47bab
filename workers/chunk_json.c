/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* chunk_json.c - what is derived from a chunk: its spans as JSON (chunk_json.h) and the estimate of
 * its tokens (chunk.h).
 *
 * Written by hand instead of through a protobuf message: four numbers a box, a few thousand chunks
 * a document. Numbers are finite by the time they get here (read_pages.c checks boxes), so the
 * output is always JSON. The estimate is for budgets and displays only; nothing is cut by it. */
#include "workers/chunk_json.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

void chunk_json_spans(struct buf *b, const struct chunk *chunk)
{
    buf_char(b, '[');
    for (int i = 0; i < chunk->n_spans; i++) {
        const struct chunk_span *span = &chunk->spans[i];
        buf_printf(b, "%s{\"page\":%d,\"start\":%d,\"end\":%d,\"boxes\":[", i ? "," : "",
                   span->page, span->start, span->end);
        for (int j = 0; j < span->n_boxes; j++) {
            const struct chunk_box *box = &span->boxes[j];
            buf_printf(b, "%s{\"x0\":%.1f,\"y0\":%.1f,\"x1\":%.1f,\"y1\":%.1f}", j ? "," : "",
                       (double)box->x0, (double)box->y0, (double)box->x1, (double)box->y1);
        }
        buf_str(b, "]}");
    }
    buf_char(b, ']');
}

static bool is_ideograph(UChar32 c)
{
    return c >= 0x3040 && (u_hasBinaryProperty(c, UCHAR_IDEOGRAPHIC) || c <= 0x30FF);
}

int chunk_count_tokens(const char *text, size_t len)
{
    int tokens = 0, run = 0;
    int32_t i = 0, n = (int32_t)MIN(len, (size_t)INT32_MAX);
    while (i < n) {
        UChar32 c = 0;
        U8_NEXT_OR_FFFD(text, i, n, c);
        if (u_isalnum(c) && !is_ideograph(c)) {
            run++;
            continue;
        }
        tokens += (run + 4) / 5;
        run = 0;
        if (is_ideograph(c) || (!u_isUWhiteSpace(c) && u_isgraph(c)))
            tokens++;
    }
    return tokens + (run + 4) / 5;
}
