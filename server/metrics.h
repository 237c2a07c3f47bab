/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* metrics.h - what the two doors count, for /metrics. Process-wide; thread-safe; never blocks. */
#ifndef SERVER_METRICS_H
#define SERVER_METRICS_H

#include "base/buf.h"
#include "server/methods.h"

/* One answered HTTP request of the main port; `method` NULL: none was found. `us`: how long it
 * took. */
void metrics_http(const char *verb, int status, const struct method *method, int64_t us);

/* One ended gRPC call; `method` NULL: not of localrag.v1. */
void metrics_grpc(const struct method *method, enum code code, int64_t us);

/* Appends all of it as Prometheus text. */
void metrics_write(struct buf *b);

#endif
