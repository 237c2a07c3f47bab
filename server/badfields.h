/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* badfields.h - which fields an INVALID_ARGUMENT is about, read from its message. */
#ifndef SERVER_BADFIELDS_H
#define SERVER_BADFIELDS_H

#include "server/methods.h"

struct badfield {
    const char *field, *message; /* point into the text: not terminated */
    size_t field_len, message_len;
};

/* The next bad field at *text, which moves behind it; false: no more. The lines of a message are
 * "field "limit": …", "unknown field "limit"" or, if `method` (may be NULL) has such a field,
 * "limit: …"; others are passed over. */
bool badfields_next(const char **text, const struct method *method, struct badfield *ret_field);

#endif
