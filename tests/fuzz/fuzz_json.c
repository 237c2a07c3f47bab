/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fuzz_json.c - what a REST client may send as a body: any text as any message.
 *
 * The first byte picks a request, or one of the richer answers (they are read back from the
 * database and by the command line). What is read must be written as JSON that is read again, and
 * the second writing must be the first one. */
#include "localrag/v1/document.pb-c.h"
#include "localrag/v1/job.pb-c.h"

#include <string.h>

#include "base/pbjson.h"
#include "google/protobuf/struct.pb-c.h"
#include "tests/fuzz/fuzz.h"

enum { MEMORY = 4 << 20, REQUESTS = 128 };

static const ProtobufCMessageDescriptor *const others[] = {
    &localrag__v1__job__descriptor,
    &localrag__v1__document__descriptor,
    &localrag__v1__list_jobs_response__descriptor,
    &localrag__v1__get_job_result_response__descriptor,
    &google__protobuf__struct__descriptor,
    &google__protobuf__value__descriptor,
};

static const ProtobufCMessageDescriptor *pick(uint8_t byte)
{
    return byte < REQUESTS ? fuzz_request(byte) : others[byte % ARRAY_LEN(others)];
}

static void again(struct ctx *cx, const ProtobufCMessage *m)
{
    CLEANUP(buf_done) struct buf first = BUF_INIT(MEMORY);
    CLEANUP(buf_done) struct buf second = BUF_INIT(MEMORY);
    ProtobufCMessage *m2;
    pbjson_write(&first, m);
    if (buf_failed(&first))
        return;
    enum code code = pbjson_read(cx, m->descriptor, buf_cstr(&first), first.len, &m2);
    if (code == CODE_OUT_OF_MEMORY)
        return;
    fuzz_check_ok(cx, code);
    pbjson_write(&second, m2);
    FUZZ_CHECK(strcmp(buf_cstr(&first), buf_cstr(&second)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    struct ctx cx;
    ProtobufCMessage *m;
    ctx_init(&cx, MEMORY);
    enum code code = pbjson_read(&cx, pick(data[0]), (const char *)data + 1, size - 1, &m);
    if (code == CODE_OK)
        again(&cx, m);
    else
        FUZZ_CHECK(code == CODE_INVALID_ARGUMENT || code == CODE_OUT_OF_MEMORY);
    ctx_done(&cx);
    return 0;
}
