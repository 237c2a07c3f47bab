/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_migrate.c - how the schema comes to where this program needs it (store/migrate.h). */
#include "tests/support/fixture.h"

#include <pthread.h>

#include "store/migrate.h"

/* Every test begins with a database that has nothing in it. */
static int setup(void **state)
{
    (void)state;
    ctx_done(&fx.cx);
    fixture_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    return 0;
}

static void a_second_run_applies_nothing(void **state)
{
    (void)state;
    int applied = -1;
    FAILS(&fx.cx, CODE_UNAVAILABLE,
          migrate_check(&fx.cx, fx.jobs->db)); /* a server has to come first */
    OK(&fx.cx, migrate_run(&fx.cx, fx.jobs->db, &applied));
    assert_int_equal(applied, migrations_count);
    OK(&fx.cx, migrate_check(&fx.cx, fx.jobs->db));
    OK(&fx.cx, migrate_run(&fx.cx, fx.jobs->db, &applied));
    assert_int_equal(applied, 0);
    assert_int_equal(fixture_number("SELECT count(*) FROM schema_migrations"), migrations_count);
}

struct migrator {
    pthread_t thread;
    struct jobs *jobs;
    enum code code;
    int applied;
};

static void *migrate(void *arg)
{
    struct migrator *m = arg;
    struct ctx cx;
    ctx_init(&cx, 1 << 20);
    m->code = migrate_run(&cx, m->jobs->db, &m->applied);
    ctx_done(&cx);
    return NULL;
}

static void servers_that_start_together_migrate_once(void **state)
{
    (void)state;
    struct migrator m[4] = {0};
    for (unsigned i = 0; i < ARRAY_LEN(m); i++) {
        m[i].jobs = fixture_jobs();
        assert_int_equal(pthread_create(&m[i].thread, NULL, migrate, &m[i]), 0);
    }
    int applied = 0;
    for (unsigned i = 0; i < ARRAY_LEN(m); i++) {
        pthread_join(m[i].thread, NULL);
        jobs_close(m[i].jobs);
        applied += m[i].applied;
    }
    for (unsigned i = 0; i < ARRAY_LEN(m); i++)
        assert_int_equal(m[i].code, CODE_OK);
    assert_int_equal(applied, migrations_count);
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    (void)state;
    int applied;
    OK(&fx.cx, migrate_run(&fx.cx, fx.jobs->db, &applied));
    fixture_sql("INSERT INTO schema_migrations (number, name) VALUES (9999, 'from the future')");
    CONTAINS(FAILS(&fx.cx, CODE_WRONG_STATE, migrate_run(&fx.cx, fx.jobs->db, &applied)), "9999");
    CONTAINS(FAILS(&fx.cx, CODE_WRONG_STATE, migrate_check(&fx.cx, fx.jobs->db)), "newer");
    assert_int_equal(fixture_number("SELECT max(number) FROM schema_migrations"), 9999);
}

static void a_migration_that_fails_leaves_nothing_behind(void **state)
{
    (void)state;
    int applied;
    fixture_sql(
        "CREATE TABLE job_statistics (something_else int)"); /* in the way of the first one */
    CONTAINS(FAILS(&fx.cx, CODE_INTERNAL, migrate_run(&fx.cx, fx.jobs->db, &applied)),
             "migration 0001");
    assert_string_equal(fixture_sql("SELECT to_regclass('processing_jobs') IS NULL"), "t");
    fixture_sql("DROP TABLE job_statistics");
    OK(&fx.cx, migrate_run(&fx.cx, fx.jobs->db, &applied));
    assert_int_equal(applied, migrations_count);
}

static void ended_jobs_are_counted_once_across_the_eighth(void **state)
{
    (void)state;
    int applied;
    OK(&fx.cx, db_run(&fx.cx, fx.jobs->db, &q_migration_table, DB_NO_ARGS, NULL));
    for (int i = 0; migrations_all[i].number < 8; i++) {
        OK(&fx.cx, db_script(&fx.cx, fx.jobs->db, migrations_all[i].text));
        OK(&fx.cx,
           db_run(&fx.cx, fx.jobs->db, &q_migration_done,
                  DB_ARGS(db_int(migrations_all[i].number), db_text(migrations_all[i].name)),
                  NULL));
    }
    fixture_sql(
        "INSERT INTO processing_jobs (job_id, task_type, priority, payload, max_retries, "
        "status, started_at, completed_at, pages_done, parent_job_id, parent_path, counted) "
        "SELECT gen_random_uuid(), type, 'low', '{}', 3, status, '2026-01-02 00:00:00Z', "
        "CASE WHEN status <> 'pending' THEN '2026-01-02 00:00:04Z'::timestamptz END, pages, "
        "parent, path, counted FROM (VALUES "
        "('single_document', 'completed', 3, NULL, NULL, false), "
        "('single_document', 'completed', 2, NULL, NULL, false), "
        "('single_document', 'completed', 2, NULL, NULL, true), "
        "('single_document', 'pending', 0, NULL, NULL, false), "
        "('single_document', 'cancelled', 1, NULL, NULL, false), "
        "('directory_batch', 'failed', 7, NULL, NULL, false), "
        "('single_document', 'completed', 5, gen_random_uuid(), 'a', false), "
        "('maintenance', 'completed', 5, NULL, NULL, true)) "
        "AS v (type, status, pages, parent, path, counted)");
    OK(&fx.cx, migrate_run(&fx.cx, fx.jobs->db, &applied));
    assert_string_equal(fixture_sql("SELECT string_agg(concat_ws(' ', day, status, jobs, seconds, "
                                    "pages), ', ' ORDER BY status) FROM job_ends"),
                        "2026-01-02 cancelled 1 0 1, 2026-01-02 completed 2 8 5, "
                        "2026-01-02 failed 1 0 0");
}

static const char *flush_of_new_sessions(void)
{
    return fixture_sql("SELECT coalesce((SELECT array_to_string(setconfig, ' ') FROM "
                       "pg_db_role_setting AS s JOIN pg_database AS d ON d.oid = s.setdatabase "
                       "WHERE datname = current_database()), 'the default')");
}

static void the_tenth_sets_how_pages_are_written_where_nobody_did(void **state)
{
    (void)state;
    int applied;
    fixture_sql("DO $$ BEGIN EXECUTE format('ALTER DATABASE %%I RESET ALL', current_database()); "
                "END $$");
    OK(&fx.cx, db_script(&fx.cx, fx.jobs->db, "SET backend_flush_after = '64kB'"));
    OK(&fx.cx, migrate_run(&fx.cx, fx.jobs->db, &applied));
    assert_string_equal(flush_of_new_sessions(), "the default");
    fixture_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    OK(&fx.cx, db_script(&fx.cx, fx.jobs->db, "RESET backend_flush_after"));
    OK(&fx.cx, migrate_run(&fx.cx, fx.jobs->db, &applied));
    assert_string_equal(flush_of_new_sessions(), "backend_flush_after=256kB");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        TEST(a_second_run_applies_nothing),
        TEST(servers_that_start_together_migrate_once),
        TEST(a_newer_schema_is_refused_and_left_alone),
        TEST(a_migration_that_fails_leaves_nothing_behind),
        TEST(ended_jobs_are_counted_once_across_the_eighth),
        TEST(the_tenth_sets_how_pages_are_written_where_nobody_did),
    };
    return cmocka_run_group_tests(tests, fixture_setup_bare, fixture_teardown);
}
