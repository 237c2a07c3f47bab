/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_read_pages.c - what becomes of pages whose readers crash, hang or say nonsense.
 *
 * The children are scripted (scripted.h), so every order of events can be repeated; the real ones,
 * and the database calls that are only recorded here, are tested in tests/workers/extract and
 * tests/e2e. */
#include "tests/workers/scripted.h"

/* Reads the document; the failure's message goes to `message`, if wanted. */
static enum code read_all(char *message)
{
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    struct task t = {.cx = &cx,
                     .settings = &settings,
                     .slot = &pool->slots[0],
                     .claim = &pool->slots[0].claim,
                     .started_ms = clk_mono_ms()};
    struct pages_read pages = {0};
    enum code code = read_pages(&t, 0, NULL, &pages);
    if (code == CODE_OK) {
        assert_int_equal(pages.page_count, doc.n);
        assert_string_equal(pages.title, "A title");
        for (int i = 1; i <= doc.n; i++)
            assert_int_equal(doc.saved[i], i > doc.known);
        assert_true(doc.known == doc.n || doc.percent > 94.9);
    }
    if (message)
        strncpy(message, ctx_message(&cx), 199);
    ctx_done(&cx);
    return code;
}

static void test_all_kinds(void **state)
{
    (void)state;
    doc.n = 10;
    doc.act[2] = BLANK;
    doc.act[3] = doc.act[4] = doc.act[5] = doc.act[6] = doc.act[7] = SCAN;
    doc.act[8] = SCAN_EMPTY;
    doc.act[9] = FAILS;
    assert_int_equal(read_all(NULL), CODE_OK);
    static const char *const want[] = {"",    "text", "blank", "ocr",    "ocr", "ocr",
                                       "ocr", "ocr",  "text",  "failed", "text"};
    for (int i = 1; i <= 10; i++)
        assert_string_equal(doc.engine[i], want[i]);
    assert_string_equal(doc.error[9], "broken");
    assert_in_range(doc.most_ocr, 2, 3);
    assert_int_equal(doc.spawned, 7);
}

static void test_many_pages_in_batches(void **state)
{
    (void)state;
    doc.n = 400;
    for (int i = 1; i <= doc.n; i++)
        doc.act[i] = i % 2 ? TEXT : SCAN;
    assert_int_equal(read_all(NULL), CODE_OK);
    assert_in_range(doc.largest, 1, 64);
    for (int i = 1; i <= doc.n; i++)
        assert_int_equal(doc.asked[i], 1);
}

static void test_known_pages_are_not_read_again(void **state)
{
    (void)state;
    doc.n = 100;
    doc.known = 90;
    assert_int_equal(read_all(NULL), CODE_OK);
    for (int i = 1; i <= 100; i++)
        assert_int_equal(doc.asked[i], i > 90);
    memset(doc.saved, 0, sizeof(doc.saved));
    doc.known = 100;
    doc.percent = 0;
    assert_int_equal(read_all(NULL), CODE_OK);
}

static void test_crash_gets_one_more_chance(void **state)
{
    (void)state;
    doc.n = 40;
    doc.act[7] = CRASHES_ONCE;
    doc.act[20] = CRASHES;
    doc.act[30] = WRONG_NUMBER;
    assert_int_equal(read_all(NULL), CODE_OK);
    assert_string_equal(doc.engine[7], "text");
    assert_string_equal(doc.engine[20], "failed");
    assert_string_equal(doc.error[20], "killed by signal 11");
    assert_string_equal(doc.engine[21], "text");
    assert_string_equal(doc.engine[30], "failed");
    assert_int_equal(doc.spawned, 6);
}

static void test_killed_by_others(void **state)
{
    (void)state;
    doc.n = 6;
    doc.kills = 4;
    doc.act[2] = doc.act[3] = KILLED;
    doc.act[4] = doc.act[5] = SCAN_KILLED;
    doc.crashed[3] = doc.crashed[5] = -1; /* these five times */
    assert_int_equal(read_all(NULL), CODE_OK);
    assert_string_equal(doc.engine[2], "text");
    assert_string_equal(doc.error[3], "killed by signal 9");
    assert_string_equal(doc.engine[4], "ocr");
    assert_string_equal(doc.error[5], "killed by signal 9");
    assert_string_equal(doc.engine[6], "text");
}

static void test_hanging_page(void **state)
{
    (void)state;
    doc.n = 5;
    doc.act[3] = HANGS;
    int64_t started = clk_mono_ms();
    assert_int_equal(read_all(NULL), CODE_OK);
    assert_in_range(clk_mono_ms() - started, 140, 5000);
    assert_string_equal(doc.engine[3], "failed");
    assert_string_equal(doc.error[3], "took longer than 0.15 s");
    assert_string_equal(doc.engine[4], "text");
    assert_int_equal(doc.asked[3], 1);
}

static void test_ocr_failures(void **state)
{
    (void)state;
    doc.n = 6;
    doc.act[1] = SCAN_HANGS;
    doc.act[2] = SCAN_CRASHES_ONCE;
    doc.act[3] = SCAN_CRASHES;
    doc.act[4] = doc.act[5] = SCAN;
    assert_int_equal(read_all(NULL), CODE_OK);
    assert_string_equal(doc.error[1], "took longer than 0.15 s");
    assert_string_equal(doc.engine[2], "ocr");
    assert_string_equal(doc.engine[3], "failed");
    assert_string_equal(doc.engine[4], "ocr");
}

static void test_gives_up(void **state)
{
    (void)state;
    doc.n = 300;
    for (int i = 11; i <= 300; i++)
        doc.act[i] = CRASHES;
    assert_int_equal(read_all(NULL), CODE_OK);
    assert_string_equal(doc.engine[10], "text");
    assert_string_equal(doc.error[60], "killed by signal 11");
    assert_string_equal(doc.error[61], "given up after 50 failed pages in a row");
    assert_string_equal(doc.error[300], "given up after 50 failed pages in a row");
    assert_in_range(doc.spawned, 100, 102);
}

static void test_open(void **state)
{
    (void)state;
    char message[200] = "";
    doc.n = 3;
    doc.open_crashes = 1;
    assert_int_equal(read_all(NULL), CODE_OK);
    doc.open_crashes = 2;
    assert_int_equal(read_all(message), CODE_UNREADABLE);
    assert_string_equal(message, "could not open document \"a.pdf\": killed by signal 11");
    doc.open_crashes = 0;
    doc.open_error = "PASSWORD_REQUIRED";
    assert_int_equal(read_all(NULL), CODE_PASSWORD_REQUIRED);
    doc.open_error = "CLAIM_LOST"; /* not a child's to say */
    assert_int_equal(read_all(NULL), CODE_UNREADABLE);
    doc.open_error = NULL;
    doc.n = 1001;
    assert_int_equal(read_all(NULL), CODE_TOO_LARGE);
    doc.n = 0;
    assert_int_equal(read_all(NULL), CODE_UNREADABLE);
}

static void test_database_away(void **state)
{
    (void)state;
    doc.n = 8;
    doc.act[5] = doc.act[6] = doc.act[7] = SCAN;
    doc.away = 3; /* longer than PAGE_TIMEOUT: nobody is late for it */
    assert_int_equal(read_all(NULL), CODE_OK);
    assert_string_equal(doc.engine[7], "ocr");
}

static void test_cancel(void **state)
{
    (void)state;
    doc.n = 100;
    doc.act[50] = HANGS;
    doc.act[10] = SCAN_HANGS;
    settings.page_timeout_ms = 60000;
    doc.cancel_after = 1;
    int64_t started = clk_mono_ms();
    assert_int_equal(read_all(NULL), CODE_CLAIM_LOST);
    assert_in_range(clk_mono_ms() - started, 0, 5000);
}

static void test_document_timeout(void **state)
{
    (void)state;
    doc.n = 3;
    doc.act[2] = HANGS;
    settings.page_timeout_ms = 60000;
    settings.document_timeout_ms = 120;
    assert_int_equal(read_all(NULL), CODE_DEADLINE_EXCEEDED);
}

static void test_ocr_off(void **state)
{
    (void)state;
    doc.n = 2;
    doc.act[1] = SCAN;
    doc.act[2] = SCAN_EMPTY;
    settings.ocr_enabled = false;
    assert_int_equal(read_all(NULL), CODE_OK);
    assert_string_equal(doc.engine[1], "blank");
    assert_string_equal(doc.engine[2], "text");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_all_kinds),
        TEST(test_many_pages_in_batches),
        TEST(test_known_pages_are_not_read_again),
        TEST(test_crash_gets_one_more_chance),
        TEST(test_killed_by_others),
        TEST(test_hanging_page),
        TEST(test_ocr_failures),
        TEST(test_gives_up),
        TEST(test_open),
        TEST(test_database_away),
        TEST(test_cancel),
        TEST(test_document_timeout),
        TEST(test_ocr_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
