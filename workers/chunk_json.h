/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* chunk_json.h - a chunk's spans as the JSON that the chunks table and the API show. */
#ifndef WORKERS_CHUNK_JSON_H
#define WORKERS_CHUNK_JSON_H

#include "base/buf.h"
#include "workers/chunk.h"

/* Appends [{"page":1,"start":0,"end":9,"boxes":[{"x0":…,"y0":…,"x1":…,"y1":…}]}]. */
void chunk_json_spans(struct buf *b, const struct chunk *chunk);

#endif
