/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_spin.c - who waits spins for a moment, and only after a short wait (base/spin.h). */
#include "tests/support/check.h"

#include "base/clk.h"
#include "base/spin.h"

/* A test may be interrupted at any moment, so a short wait is tried until it was one. */
static void wait_shortly(struct spin *s)
{
    for (int i = 0; i < 1000 && !s->pays; i++) {
        spin_begin(s);
        spin_end(s);
    }
    assert_true(s->pays);
}

static void spin_to_the_end(struct spin *s)
{
    spin_begin(s);
    int64_t give_up_us = s->began_us + 5000000;
    while (spin_again(s) && clk_mono_us() < give_up_us)
        ;
    assert_true(clk_mono_us() < give_up_us);
}

static void nobody_spins_before_a_wait_was_short(void **state)
{
    (void)state;
    struct spin s = {0};
    spin_begin(&s);
    assert_false(spin_again(&s));
}

static void after_a_short_wait_the_next_one_spins_for_so_long_and_no_longer(void **state)
{
    (void)state;
    struct spin s = {0};
    wait_shortly(&s);
    spin_to_the_end(&s);
    assert_true(clk_mono_us() - s.began_us >= SPIN_US);
    assert_false(spin_again(&s));
}

static void after_a_long_wait_nobody_spins(void **state)
{
    (void)state;
    struct spin s = {0};
    wait_shortly(&s);
    spin_begin(&s);
    while (clk_mono_us() - s.began_us < 2 * SPIN_US)
        ;
    spin_end(&s);
    spin_begin(&s);
    assert_false(spin_again(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_spins_before_a_wait_was_short),
        cmocka_unit_test(after_a_short_wait_the_next_one_spins_for_so_long_and_no_longer),
        cmocka_unit_test(after_a_long_wait_nobody_spins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
