/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_queries.c - every file of sql/queries is a statement the migrated schema can prepare.
 *
 * What the statements do is tested where they are used; this catches a column that was renamed
 * under a statement that no other test happens to run. */
#include "tests/support/fixture.h"

#include <string.h>

static void every_statement_can_be_prepared(void **state)
{
    (void)state;
    assert_true(queries_count > 40);
    for (int i = 0; i < queries_count; i++) {
        const struct query *q = queries_all[i];
        /* Either fails with the statement shown. SQL's PREPARE takes no CREATE, which harms
         * nothing. */
        if (strncmp(q->text, "CREATE TABLE IF NOT EXISTS", 26) == 0)
            fixture_sql("%s", q->text);
        else
            fixture_sql("PREPARE %s AS %s", q->name, q->text);
    }
}

static void names_are_unique_and_statements_have_no_semicolon(void **state)
{
    (void)state;
    for (int i = 0; i < queries_count; i++) {
        LACKS(queries_all[i]->text, ";");
        for (int j = 0; j < i; j++)
            assert_string_not_equal(queries_all[i]->name, queries_all[j]->name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_statement_can_be_prepared, fixture_empty),
        cmocka_unit_test(names_are_unique_and_statements_have_no_semicolon),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
