/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pbcheck.h - is this protobuf message from outside safe to unpack? */
#ifndef BASE_PBCHECK_H
#define BASE_PBCHECK_H

#include <protobuf-c/protobuf-c.h>

#include "base/ctx.h"

enum { PBCHECK_MAX_DEPTH = 64 };

/* INVALID_ARGUMENT names the field and what is wrong: nested deeper than PBCHECK_MAX_DEPTH, a text
 * that is not UTF-8 or holds a NUL, a wire type that is not the field's, truncated or broken bytes.
 * What passes may be given to protobuf_c_message_unpack with a bounded arena. */
enum code pbcheck(struct ctx *cx, const ProtobufCMessageDescriptor *d, const void *data,
                  size_t len) MUST_CHECK;

#endif
