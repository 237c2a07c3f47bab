/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* badfields.c - which fields an INVALID_ARGUMENT is about (badfields.h).
 *
 * The readers of JSON, parameters and messages and the ops say in one sentence a line what is wrong
 * and with which field. Both doors tell clients the fields apart from the sentences: REST as
 * `errors`, gRPC as google.rpc.BadRequest. Reading them back here keeps every other file free of
 * lists. */
#include "server/badfields.h"

#include <string.h>

#include "base/str.h"

static bool has_field(const struct method *m, const char *name, size_t n)
{
    bool upload = m && m->kind == METHOD_UPLOAD;
    const ProtobufCMessageDescriptor *in = upload ? &localrag__v1__upload_metadata__descriptor
                                           : m    ? m->input
                                                  : NULL;
    if (upload && n == 4 && memcmp(name, "file", 4) == 0)
        return true;
    for (unsigned i = 0; in && i < in->n_fields; i++)
        if (strlen(in->fields[i].name) == n && memcmp(in->fields[i].name, name, n) == 0)
            return true;
    return false;
}

static bool read_line(const char *line, const struct method *m, struct badfield *ret)
{
    size_t skip = str_starts(line, "field \"") ? 7 : str_starts(line, "unknown field \"") ? 15 : 0;
    ret->field = line + skip;
    ret->field_len = strcspn(ret->field, skip ? "\"\n" : ":\n");
    return skip || has_field(m, ret->field, ret->field_len);
}

bool badfields_next(const char **text, const struct method *method, struct badfield *ret_field)
{
    while (**text) {
        const char *line = *text;
        size_t len = strcspn(line, "\n");
        *text += len + (line[len] == '\n');
        *ret_field = (struct badfield){.message = line, .message_len = len};
        if (read_line(line, method, ret_field))
            return true;
    }
    return false;
}
