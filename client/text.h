/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* text.h - texts for a terminal: made safe, measured, cut to a width. Pure. */
#ifndef CLIENT_TEXT_H
#define CLIENT_TEXT_H

#include <protobuf-c/protobuf-c.h>

#include "base/buf.h"
#include "google/protobuf/timestamp.pb-c.h"

/* Appends `s` on one line: control characters, direction overrides and invalid bytes are written
 * as escapes ("\n", "\x1b", "\u202e"), so that no text from outside can steer the terminal. */
void text_safe(struct buf *b, const char *s);

/* The same, but line feeds, tabs and form feeds stay. */
void text_safe_lines(struct buf *b, const char *s);

/* Columns that `s` (already safe) takes. */
size_t text_width(const char *s);

/* Appends `s` (already safe) cut to `columns` with an ellipsis; pad: filled up with spaces. */
void text_fit(struct buf *b, const char *s, size_t columns, bool pad);

/* "2026-01-31 12:00:00" in local time, "-" for NULL. */
void text_time(const Google__Protobuf__Timestamp *t, char out[32]);

/* The short lower-case name of an enum value, as in JSON: JOB_STATUS_PENDING is "pending". The
 * zero value is "-", an unknown one its number. */
void text_enum(const ProtobufCEnumDescriptor *d, int value, char out[32]);

/* The value with this short name; 0 when there is none. */
int text_enum_value(const ProtobufCEnumDescriptor *d, const char *name);

#endif
