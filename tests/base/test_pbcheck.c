/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_pbcheck.c - what pbcheck lets through and what it refuses (base/pbcheck.h).
 *
 * Hostile messages are written byte by byte; the last test mutates real ones and demands that
 * whatever passes can be unpacked or is refused by the unpacker, without a crash (run it under a
 * sanitizer). */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/pbcheck.h"
#include "google/protobuf/struct.pb-c.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "localrag/v1/job.pb-c.h"
#include "localrag/v1/upload.pb-c.h"

static struct ctx cx;

static int setup(void **state)
{
    (void)state;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_done(&cx);
    return 0;
}

/* One length-delimited field in front of nothing: tag, length, the bytes of `inner`. */
static void wrap(struct buf *out, unsigned char tag, const struct buf *inner)
{
    buf_char(out, (char)tag);
    size_t n = inner->len;
    for (; n > 127; n >>= 7)
        buf_char(out, (char)((n & 127) | 128));
    buf_char(out, (char)n);
    if (inner->len)
        buf_add(out, inner->data, inner->len);
}

/* A Value that is a list of a list of ... `levels` deep: two messages a level. */
static struct buf nested_lists(int levels)
{
    struct buf value = BUF_INIT(0);
    for (int i = 0; i < levels; i++) {
        struct buf list = BUF_INIT(0), outer = BUF_INIT(0);
        wrap(&list, 1 << 3 | 2, &value); /* ListValue.values */
        wrap(&outer, 6 << 3 | 2, &list); /* Value.list_value */
        buf_done(&list);
        buf_done(&value);
        value = outer;
    }
    return value;
}

static void depth_is_bounded(void **state)
{
    (void)state;
    struct buf ok = nested_lists(PBCHECK_MAX_DEPTH / 2 - 1),
               deep = nested_lists(PBCHECK_MAX_DEPTH / 2), very = nested_lists(5000);
    const ProtobufCMessageDescriptor *d = &google__protobuf__value__descriptor;
    assert_int_equal(pbcheck(&cx, d, ok.data, ok.len), CODE_OK);
    assert_int_equal(pbcheck(&cx, d, deep.data, deep.len), CODE_INVALID_ARGUMENT);
    assert_string_equal(ctx_message(&cx), "message nested deeper than 64");
    ctx_clear(&cx);
    assert_int_equal(pbcheck(&cx, d, very.data, very.len), CODE_INVALID_ARGUMENT);
    buf_done(&ok);
    buf_done(&deep);
    buf_done(&very);
}

static void bad_bytes_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *message; /* NULL: fine */
    } cases[] = {
        {"", 0, NULL},
        {"\x0a\x03"
         "abc",
         5, NULL},
        {"\x0a\x00", 2, NULL},
        {"\x0a\x03"
         "a\0c",
         5, "field \"job_id\" holds a NUL character"},
        {"\x0a\x02\xff\xfe", 4, "field \"job_id\" is not valid UTF-8"},
        {"\x0a\x02\xc0\x80", 4, "field \"job_id\" is not valid UTF-8"},
        {"\x0a\x03\xed\xa0\x80", 5, "field \"job_id\" is not valid UTF-8"},
        {"\x0a\x09"
         "abc",
         5, "broken GetJobRequest message"},
        {"\x0a", 1, "broken GetJobRequest message"},
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "broken GetJobRequest message"},
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, "broken GetJobRequest message"},
        {"\x08\x01", 2, "field \"job_id\" has the wrong wire type"},
        {"\x00\x01", 2, "broken GetJobRequest message"}, /* field 0 */
        {"\x0b\x0c", 2, "field \"job_id\" has the wrong wire type"}, /* a group */
        {"\x13\x14", 2, "broken GetJobRequest message"}, /* an unknown group */
        {"\x11\x01\x02", 3, "broken GetJobRequest message"}, /* unknown, 64 bits, cut */
        {"\x15\x01\x02\x03\x04", 5, NULL}, /* unknown, 32 bits */
        {"\x12\x02\xff\xff", 4, NULL}, /* unknown bytes are not looked into */
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum code code =
            pbcheck(&cx, &localrag__v1__get_job_request__descriptor, cases[i].bytes, cases[i].len);
        assert_int_equal(code, cases[i].message ? CODE_INVALID_ARGUMENT : CODE_OK);
        assert_string_equal(ctx_message(&cx), cases[i].message ? cases[i].message : "");
        ctx_clear(&cx);
    }
}

static void inner_fields_are_named(void **state)
{
    (void)state;
    static const char bytes[] = "\x0a\x04\x0a\x02\xff\xff"; /* metadata { filename } */
    assert_int_equal(pbcheck(&cx, &localrag__v1__upload_document_request__descriptor, bytes, 6),
                     CODE_INVALID_ARGUMENT);
    assert_string_equal(ctx_message(&cx), "field \"filename\" is not valid UTF-8");
}

static void packed_and_unpacked_numbers_are_both_fine(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *d =
        &grpc__reflection__v1__extension_number_response__descriptor;
    assert_int_equal(pbcheck(&cx, d, "\x10\x05\x10\x06", 4), CODE_OK);
    assert_int_equal(pbcheck(&cx, d, "\x12\x02\x05\x06", 4), CODE_OK);
    d = &localrag__v1__list_jobs_response__descriptor; /* `total` is not repeated */
    assert_int_equal(pbcheck(&cx, d, "\x10\x05", 2), CODE_OK);
    assert_int_equal(pbcheck(&cx, d, "\x12\x01\x05", 3), CODE_INVALID_ARGUMENT);
}

static void mutated_messages_never_crash(void **state)
{
    (void)state;
    struct buf value = nested_lists(5), metadata = BUF_INIT(0), message = BUF_INIT(0);
    buf_add(&metadata,
            "\x0a\x05"
            "a.pdf"
            "\x12\x0f"
            "application/pdf"
            "\x20\x02\x32\x03"
            "eng",
            31);
    wrap(&metadata, 3 << 3 | 2, &value);
    wrap(&message, 1 << 3 | 2, &metadata);
    const ProtobufCMessageDescriptor *d = &localrag__v1__upload_document_request__descriptor;
    unsigned seed = 7, passed = 0;
    for (int round = 0; round < 20000; round++) {
        unsigned char *bytes = malloc(message.len); /* exact size, so that reading on is seen */
        size_t len = message.len - (size_t)(rand_r(&seed) % 4);
        memcpy(bytes, message.data, message.len);
        for (int k = rand_r(&seed) % 4; k >= 0; k--)
            bytes[(size_t)rand_r(&seed) % message.len] = (unsigned char)rand_r(&seed);
        CLEANUP(arena_reset) struct arena memory;
        arena_init(&memory, 1 << 20);
        if (pbcheck(&cx, d, bytes, len) == CODE_OK) {
            passed++;
            (void)protobuf_c_message_unpack(d, &memory.pb, len, bytes);
        }
        ctx_done(&cx);
        free(bytes);
    }
    assert_true(passed > 0 && passed < 20000);
    buf_done(&value);
    buf_done(&metadata);
    buf_done(&message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(depth_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_bytes_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(inner_fields_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(packed_and_unpacked_numbers_are_both_fine, setup, teardown),
        cmocka_unit_test_setup_teardown(mutated_messages_never_crash, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
