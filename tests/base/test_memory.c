/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_memory.c - bounded memory and the one failure of a unit of work (base/arena.h, buf.h, ctx.h,
 * code.h).
 *
 * The limits are what stands between a message of a few bytes that unpacks to gigabytes and the
 * machine, so they are tested at their edges. */
#include "tests/support/check.h"

#include <string.h>

#include "base/buf.h"
#include "base/ctx.h"

/* ---- arena ---- */

static void memory_is_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    unsigned char *last = NULL;
    size_t last_size = 0;
    for (size_t size = 0; size < 20000; size = size * 3 / 2 + 1) {
        unsigned char *p = arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xaa, size);
        for (size_t i = 0; i < last_size; i++) /* the one before is not under it */
            assert_int_equal(last[i], 0xaa);
        last = p;
        last_size = size;
    }
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 10)); /* can be used again */
    arena_reset(&a);
}

static void a_recycled_one_keeps_a_clean_first_block(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 100000);
    arena_recycle(&a); /* an empty one too */
    unsigned char *first = arena_alloc(&a, 100);
    memset(first, 0xaa, 100);
    size_t least = a.total;
    for (int i = 0; i < 50; i++)
        assert_non_null(arena_alloc(&a, i % 10 ? 1000 : 3000));
    arena_recycle(&a);
    assert_int_equal(a.total, least);
    unsigned char *again = arena_alloc(&a, 100);
    assert_ptr_equal(again, first);
    for (int i = 0; i < 100; i++)
        assert_int_equal(again[i], 0);
    assert_non_null(arena_alloc(&a, 90000)); /* what was freed counts no more */
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 50000)); /* a first block of another size goes */
    arena_recycle(&a);
    assert_int_equal(a.total, 0);
}

static void the_limit_is_reached_and_not_passed(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 10000);
    assert_null(arena_alloc(&a, 10001));
    size_t got = 0;
    while (arena_alloc(&a, 96))
        got += 96;
    assert_in_range(got, 9500, 10000); /* the doubling of blocks must not end it early */
    assert_true(a.total <= 10000);
    assert_null(
        arena_strdup(&a, "0123456789012345678901234567890123456789012345678901234567890123456789"
                         "0123456789012345678901234567890123456789"));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 10000)); /* all of it in one piece */
    assert_null(arena_alloc(&a, 1));
    arena_reset(&a);
}

static void sizes_that_overflow_are_refused(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 15));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_null(arena_strndup(&a, "x", SIZE_MAX));
    assert_non_null(arena_array(&a, 0, 8));
    arena_reset(&a);
}

static void a_big_piece_does_not_waste_the_room_that_is_left(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    char *first = arena_alloc(&a, 16);
    assert_non_null(arena_alloc(&a, 1 << 20));
    char *second = arena_alloc(&a, 16);
    assert_ptr_equal(second, first + 16);
    arena_reset(&a);
}

static void copies_end_with_a_nul_and_null_stays_null(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 0);
    assert_null(arena_strdup(&a, NULL));
    assert_string_equal(arena_strndup(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    arena_reset(&a);
    struct arena zero = {0};
    arena_reset(&zero);
}

/* ---- buf ---- */

static void a_buffer_fails_at_its_limit_and_stays_failed(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = BUF_INIT(300);
    char text[301];
    memset(text, 'x', sizeof(text));
    buf_add(&b, text, 300);
    assert_false(buf_failed(&b));
    assert_true(b.cap <= 301);
    buf_char(&b, 'y');
    assert_true(buf_failed(&b));
    buf_clear(&b);
    buf_add(&b, text, 290);
    buf_str(&b, "0123456789A"); /* does not fit: nothing of it is taken */
    buf_str(&b, "z"); /* would fit, but a hole would be worse than an end */
    assert_true(buf_failed(&b));
    assert_int_equal(b.len, 290);
    assert_int_equal(strlen(buf_cstr(&b)), 290);
    buf_clear(&b);
    assert_false(buf_failed(&b));
    assert_string_equal(buf_cstr(&b), "");
    assert_null(buf_room(&b, SIZE_MAX));
}

static void a_buffer_grows_and_ends_with_a_nul(void **state)
{
    (void)state;
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    assert_string_equal(buf_cstr(&b), "");
    for (int i = 0; i < 10000; i++)
        buf_printf(&b, "%04d", i);
    assert_int_equal(b.len, 40000);
    assert_int_equal(strlen(buf_cstr(&b)), 40000);
    assert_memory_equal(b.data + 4 * 9999, "9999", 5);
    buf_add(&b, "a\0b", 3);
    assert_memory_equal(b.data + 40000, "a\0b", 4);
    buf_done(&b);
    buf_str(&b, "again");
    assert_string_equal(buf_cstr(&b), "again");
}

/* ---- ctx and codes ---- */

static void the_first_failure_wins_and_may_be_prefixed(void **state)
{
    (void)state;
    struct ctx cx;
    ctx_init(&cx, 4096);
    assert_string_equal(ctx_message(&cx), "");
    assert_int_equal(ctx_fail(&cx, CODE_NOT_FOUND, "job \"%s\" is gone", "x"), CODE_NOT_FOUND);
    assert_int_equal(ctx_fail(&cx, CODE_INTERNAL, "something later"), CODE_NOT_FOUND);
    assert_int_equal(ctx_prefix(&cx, "watching"), CODE_NOT_FOUND);
    assert_string_equal(ctx_message(&cx), "watching: job \"x\" is gone");
    assert_non_null(strstr(cx.failure.file, "test_memory.c"));
    ctx_clear(&cx);
    assert_int_equal(cx.failure.code, CODE_OK);
    ctx_done(&cx);
}

static void a_failure_is_recorded_even_without_memory(void **state)
{
    (void)state;
    struct ctx cx;
    ctx_init(&cx, 16);
    assert_null(ctx_alloc(&cx, 17));
    assert_int_equal(cx.failure.code, CODE_OUT_OF_MEMORY);
    assert_string_equal(ctx_message(&cx), code_text(CODE_OUT_OF_MEMORY));
    assert_int_equal(ctx_prefix(&cx, "a prefix that does not fit either"), CODE_OUT_OF_MEMORY);
    assert_string_equal(ctx_message(&cx), code_text(CODE_OUT_OF_MEMORY));
    ctx_done(&cx);
}

static void every_code_has_its_own_name_and_a_status_everywhere(void **state)
{
    (void)state;
    for (int i = 0; i < CODE_COUNT; i++) {
        enum code code = (enum code)i;
        assert_int_equal(code_from_name(code_name(code)), code);
        assert_in_range(code_grpc(code), code ? 1 : 0, 16);
        assert_in_range(code_http(code), code ? 400 : 200, code ? 504 : 200);
        assert_in_range(code_exit(code), code ? 1 : 0, 9);
        assert_true(strlen(code_text(code)) > 0);
    }
    assert_string_equal(code_name((enum code)999), "INTERNAL");
    assert_int_equal(code_from_name("NO_SUCH"), CODE_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_apart),
        cmocka_unit_test(a_recycled_one_keeps_a_clean_first_block),
        cmocka_unit_test(the_limit_is_reached_and_not_passed),
        cmocka_unit_test(sizes_that_overflow_are_refused),
        cmocka_unit_test(a_big_piece_does_not_waste_the_room_that_is_left),
        cmocka_unit_test(copies_end_with_a_nul_and_null_stays_null),
        cmocka_unit_test(a_buffer_fails_at_its_limit_and_stays_failed),
        cmocka_unit_test(a_buffer_grows_and_ends_with_a_nul),
        cmocka_unit_test(the_first_failure_wins_and_may_be_prefixed),
        cmocka_unit_test(a_failure_is_recorded_even_without_memory),
        cmocka_unit_test(every_code_has_its_own_name_and_a_status_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
