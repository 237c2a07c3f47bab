/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* pbcheck.c - walks the bytes of a message along its descriptor before they are unpacked.
 *
 * Called for every message that comes over the network. protobuf-c 1.4 has no recursion limit (a
 * nested Struct of 34 KB overflows the stack), does not look at UTF-8, and cuts a text silently at
 * an embedded NUL; this walk refuses all three with a message that names the field. It reads each
 * byte once, allocates nothing but the failure text, and its own recursion is bounded by the depth.
 *
 * It does not judge values (that is the handler's) and does not bound memory: unpack with an arena
 * that has a limit. Unknown fields are walked over, never into. */
#include <string.h>

#include "base/pbcheck.h"
#include "base/str.h"

struct walk {
    struct ctx *cx;
    const unsigned char *at, *end;
};

static enum code broken(struct walk *w, const ProtobufCMessageDescriptor *d)
{
    return ctx_fail(w->cx, CODE_INVALID_ARGUMENT, "broken %s message", d->short_name);
}

static bool read_varint(struct walk *w, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (int shift = 0; shift < 70 && w->at < w->end; shift += 7) {
        unsigned char byte = *w->at++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static ProtobufCWireType wire_type_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* Repeated numbers come packed or one by one; both are legal for either declaration. */
static bool wire_type_fits(const ProtobufCFieldDescriptor *f, unsigned wire)
{
    ProtobufCWireType own = wire_type_of(f->type);
    return wire == (unsigned)own ||
           (f->label == PROTOBUF_C_LABEL_REPEATED && wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED);
}

static enum code check_text(struct walk *w, const ProtobufCFieldDescriptor *f, size_t len)
{
    const char *text = (const char *)w->at;
    if (memchr(text, 0, len))
        return ctx_fail(w->cx, CODE_INVALID_ARGUMENT, "field \"%s\" holds a NUL character",
                        f->name);
    if (str_utf8_prefix(text, len) != len)
        return ctx_fail(w->cx, CODE_INVALID_ARGUMENT, "field \"%s\" is not valid UTF-8", f->name);
    return CODE_OK;
}

static enum code check_message(struct ctx *cx, const ProtobufCMessageDescriptor *d,
                               const unsigned char *data, size_t len, int depth);

static enum code check_bytes(struct walk *w, const ProtobufCMessageDescriptor *d,
                             const ProtobufCFieldDescriptor *f, int depth)
{
    uint64_t len;
    if (!read_varint(w, &len) || len > (size_t)(w->end - w->at))
        return broken(w, d);
    if (f && f->type == PROTOBUF_C_TYPE_STRING)
        TRY(check_text(w, f, (size_t)len));
    else if (f && f->type == PROTOBUF_C_TYPE_MESSAGE)
        TRY(check_message(w->cx, f->descriptor, w->at, (size_t)len, depth + 1));
    w->at += len;
    return CODE_OK;
}

static enum code check_field(struct walk *w, const ProtobufCMessageDescriptor *d,
                             const ProtobufCFieldDescriptor **last, int depth)
{
    uint64_t tag, number;
    if (!read_varint(w, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return broken(w, d);
    const ProtobufCFieldDescriptor *f = *last;
    if (!f || f->id != tag >> 3) /* repeated fields come in a row */
        f = protobuf_c_message_descriptor_get_field(d, (unsigned)(tag >> 3));
    *last = f;
    if (f && !wire_type_fits(f, tag & 7))
        return ctx_fail(w->cx, CODE_INVALID_ARGUMENT, "field \"%s\" has the wrong wire type",
                        f->name);
    size_t fixed = 0;
    switch (tag & 7) {
    case PROTOBUF_C_WIRE_TYPE_VARINT:
        return read_varint(w, &number) ? CODE_OK : broken(w, d);
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
        return check_bytes(w, d, f, depth);
    case PROTOBUF_C_WIRE_TYPE_64BIT:
        fixed = 8;
        break;
    case PROTOBUF_C_WIRE_TYPE_32BIT:
        fixed = 4;
        break;
    default: /* groups */
        return broken(w, d);
    }
    if (fixed > (size_t)(w->end - w->at))
        return broken(w, d);
    w->at += fixed;
    return CODE_OK;
}

static enum code check_message(struct ctx *cx, const ProtobufCMessageDescriptor *d,
                               const unsigned char *data, size_t len, int depth)
{
    if (depth > PBCHECK_MAX_DEPTH)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "message nested deeper than %d",
                        PBCHECK_MAX_DEPTH);
    struct walk w = {cx, data, data + len};
    const ProtobufCFieldDescriptor *last = NULL;
    while (w.at < w.end)
        TRY(check_field(&w, d, &last, depth));
    return CODE_OK;
}

enum code pbcheck(struct ctx *cx, const ProtobufCMessageDescriptor *d, const void *data, size_t len)
{
    return len ? check_message(cx, d, data, len, 1) : CODE_OK;
}
