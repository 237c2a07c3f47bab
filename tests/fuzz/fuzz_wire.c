/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fuzz_wire.c - what a gRPC peer may send: any bytes as any request message.
 *
 * The first byte picks the type, the rest goes the way of server/rpc_codec.c: pbcheck, then
 * unpacking into a bounded arena. What was let through must survive being packed, checked and
 * unpacked again, to the same bytes, and being printed as JSON. A full arena is a fair answer. */
#include <string.h>

#include "base/pbcheck.h"
#include "base/pbjson.h"
#include "tests/fuzz/fuzz.h"

enum { MEMORY = 4 << 20 };

static ProtobufCMessage *unpack(struct ctx *cx, const ProtobufCMessageDescriptor *d,
                                const void *data, size_t len)
{
    return protobuf_c_message_unpack(d, &cx->arena.pb, len, data);
}

static void *pack(struct ctx *cx, const ProtobufCMessage *m, size_t *ret_len)
{
    size_t len = protobuf_c_message_get_packed_size(m);
    void *data = ctx_alloc(cx, len + 1);
    if (data)
        FUZZ_CHECK(protobuf_c_message_pack(m, data) == len);
    *ret_len = len;
    return data;
}

static void again(struct ctx *cx, const ProtobufCMessage *m)
{
    size_t len, len2;
    void *data = pack(cx, m, &len), *data2;
    if (!data)
        return;
    fuzz_check_ok(cx, pbcheck(cx, m->descriptor, data, len));
    const ProtobufCMessage *m2 = unpack(cx, m->descriptor, data, len);
    if (!m2 || !(data2 = pack(cx, m2, &len2)))
        return;
    FUZZ_CHECK(len == len2 && memcmp(data, data2, len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct ctx cx;
    ctx_init(&cx, MEMORY);
    const ProtobufCMessageDescriptor *d = fuzz_request(data[0]);
    enum code code = pbcheck(&cx, d, data + 1, size - 1);
    FUZZ_CHECK(code == CODE_OK || code == CODE_INVALID_ARGUMENT);
    const ProtobufCMessage *m = code == CODE_OK ? unpack(&cx, d, data + 1, size - 1) : NULL;
    if (m) {
        CLEANUP(buf_done) struct buf json = BUF_INIT(MEMORY);
        pbjson_write(&json, m);
        FUZZ_CHECK(protobuf_c_message_check(m));
        again(&cx, m);
    }
    ctx_done(&cx);
    return 0;
}
