/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_codec.c - from the core's byte buffers to messages and back.
 *
 * Called by the kinds of calls. The core hands over compressed messages as they came
 * (GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION is 0) because its own decompression has no bound: a
 * megabyte of gzip would become a gigabyte before any limit is looked at. Here the output is
 * bounded while it grows. Nothing is unpacked that pbcheck has not walked over.
 *
 * It does not judge the values of a message and keeps none of its bytes: unpacking copies. */
#include <grpc/byte_buffer_reader.h>
#include <grpc/slice.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/buf.h"
#include "base/pbcheck.h"
#include "server/rpc_call.h"

enum { ZLIB_FORMAT = 15, GZIP_FORMAT = 15 + 16, INFLATE_STEP = 64 * 1024 };

grpc_byte_buffer *rpc_pack(const ProtobufCMessage *message)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    grpc_slice slice = grpc_slice_malloc(size);
    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    grpc_byte_buffer *buffer = grpc_raw_byte_buffer_create(&slice, 1); /* takes its own reference */
    grpc_slice_unref(slice);
    return buffer;
}

/* Feeds one slice; Z_OK: more is wanted. */
static int inflate_slice(z_stream *z, const grpc_slice *slice, struct buf *out)
{
    int rc = Z_OK;
    z->next_in = (unsigned char *)GRPC_SLICE_START_PTR(*slice);
    z->avail_in = (unsigned)GRPC_SLICE_LENGTH(*slice);
    while (rc == Z_OK && z->avail_in > 0) {
        char *room = buf_room(out, INFLATE_STEP);
        if (!room)
            return Z_BUF_ERROR;
        z->next_out = (unsigned char *)room;
        z->avail_out = INFLATE_STEP;
        rc = inflate(z, Z_NO_FLUSH);
        out->len += INFLATE_STEP - z->avail_out;
    }
    return rc;
}

static enum code inflate_buffer(struct ctx *cx, const grpc_byte_buffer *buffer, struct buf *out)
{
    z_stream z = {0};
    bool gzip = buffer->data.raw.compression == GRPC_COMPRESS_GZIP;
    if (inflateInit2(&z, gzip ? GZIP_FORMAT : ZLIB_FORMAT) != Z_OK)
        return ctx_oom(cx);
    int rc = Z_OK;
    const grpc_slice_buffer *in = &buffer->data.raw.slice_buffer;
    for (size_t i = 0; rc == Z_OK && i < in->count; i++)
        rc = inflate_slice(&z, &in->slices[i], out);
    inflateEnd(&z);
    if (buf_failed(out) || out->len > RPC_MAX_MESSAGE)
        return ctx_fail(cx, CODE_TOO_LARGE, "the message is larger than %d bytes when inflated",
                        RPC_MAX_MESSAGE);
    if (rc != Z_STREAM_END)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "could not inflate the message");
    return CODE_OK;
}

static enum code unpack_bytes(struct rpc_call *call, struct arena *arena, const void *data,
                              size_t len, ProtobufCMessage **ret_message)
{
    const ProtobufCMessageDescriptor *d = call->method->input;
    TRY(pbcheck(&call->cx, d, data, len));
    ProtobufCMessage *message = protobuf_c_message_unpack(d, &arena->pb, len, data);
    if (!message)
        return ctx_fail(&call->cx, CODE_INVALID_ARGUMENT,
                        "could not unpack the %s message: broken, or too many fields",
                        d->short_name);
    *ret_message = message;
    return CODE_OK;
}

static enum code unpack_buffer(struct rpc_call *call, struct arena *arena, grpc_byte_buffer *buffer,
                               ProtobufCMessage **ret_message)
{
    if (buffer->data.raw.compression != GRPC_COMPRESS_NONE) {
        CLEANUP(buf_done) struct buf plain = BUF_INIT(RPC_MAX_MESSAGE + 2 * INFLATE_STEP);
        TRY(inflate_buffer(&call->cx, buffer, &plain));
        return unpack_bytes(call, arena, buf_cstr(&plain), plain.len, ret_message);
    }
    grpc_byte_buffer_reader reader;
    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return ctx_fail(&call->cx, CODE_INVALID_ARGUMENT, "could not read the message");
    bool single = buffer->data.raw.slice_buffer.count == 1; /* then no copy is needed */
    grpc_slice slice = single ? grpc_slice_ref(buffer->data.raw.slice_buffer.slices[0])
                              : grpc_byte_buffer_reader_readall(&reader);
    enum code code = unpack_bytes(call, arena, GRPC_SLICE_START_PTR(slice),
                                  GRPC_SLICE_LENGTH(slice), ret_message);
    grpc_slice_unref(slice);
    grpc_byte_buffer_reader_destroy(&reader);
    return code;
}

enum code rpc_unpack(struct rpc_call *call, struct arena *arena, ProtobufCMessage **ret_message)
{
    grpc_byte_buffer *buffer = TAKE(call->received);
    if (!buffer)
        return ctx_fail(&call->cx, CODE_INVALID_ARGUMENT, "the request has no message");
    enum code code = unpack_buffer(call, arena, buffer, ret_message);
    grpc_byte_buffer_destroy(buffer);
    return code;
}
