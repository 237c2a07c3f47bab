/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* conn_channel.h - sets up the gRPC channel of a conn; for conn.c only. */
#ifndef CLIENT_CONN_CHANNEL_H
#define CLIENT_CONN_CHANNEL_H

#include <grpc/grpc.h>

#include "client/conn.h"

/* After grpc_init. INVALID_ARGUMENT: no address, or no certificate file. */
enum code conn_channel_open(struct ctx *cx, const struct conn_settings *settings,
                            grpc_channel **ret_channel) MUST_CHECK;

/* The header "Bearer KEY", to be freed; NULL without a key. INVALID_ARGUMENT never shows the key.
 */
enum code conn_channel_key(struct ctx *cx, const char *api_key, char **ret_header) MUST_CHECK;

#endif
