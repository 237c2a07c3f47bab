/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_settings.c - the settings as a whole: defaults, what takes two of them to check, and what is
 * derived (jobs/settings.c). How one value is read is base/test_env.c. */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jobs/settings.h"

static struct ctx cx;
static struct settings s;
static char folder[] = "/tmp/localrag-settings-XXXXXX";

static int group_setup(void **state)
{
    (void)state;
    return mkdtemp(folder) ? chdir(folder) : -1; /* no .env here */
}

static int group_teardown(void **state)
{
    (void)state;
    return chdir("/") || rmdir(folder);
}

static int setup(void **state)
{
    (void)state;
    clearenv();
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_done(&cx);
    return 0;
}

static enum code load(void)
{
    struct env_values *values;
    return settings_load(&cx, &s, &values);
}

static void the_contracts_defaults_hold(void **state)
{
    (void)state;
    OK(&cx, load());
    assert_true(s.queue_enabled && s.workers_auto_start && s.duplicate_detection && s.ocr_enabled);
    assert_int_equal(s.max_workers, 4);
    assert_int_equal(s.high_priority_workers, 2);
    assert_int_equal(s.max_retries, 3);
    assert_int_equal(s.retry_delay_ms, 60000);
    assert_int_equal(s.job_retention_ms, 86400000);
    assert_int_equal(s.progress_interval_ms, 5000);
    assert_string_equal(s.queue_name, "localrag_tasks");
    assert_int_equal(s.max_upload_size, 1000000000);
    assert_string_equal(s.redis.host, "localhost");
    assert_int_equal(s.redis.port, 6379);
    assert_null(s.redis.password);
    assert_string_equal(s.ocr_languages_joined, "eng");
    assert_true(s.extract_processes >= 1);
    CONTAINS(s.uploads_path, folder);
    CONTAINS(s.uploads_path, "/data/uploads");
    CONTAINS(s.secret_key_file, "/data/secret.key");
}

static void every_bad_setting_is_named_at_once(void **state)
{
    (void)state;
    setenv("TASK_MAX_WORKERS", "many", 1);
    setenv("CHUNK_OVERLAP", "1000", 1);
    setenv("PORT", "9090", 1);
    setenv("REDIS_URL", "rediss://r", 1);
    setenv("HOST", "0.0.0.0", 1);
    setenv("STORAGE_URL", "s3://bucket", 1);
    setenv("TASK_QUEUE_NAME", "a{b}", 1);
    setenv("OCR_LANGUAGES", "eng,../x", 1);
    const char *m = FAILS(&cx, CODE_INVALID_ARGUMENT, load());
    static const char *const all[] = {"TASK_MAX_WORKERS", "CHUNK_OVERLAP", "PORT",
                                      "REDIS_URL rediss", "HOST",          "STORAGE_URL",
                                      "TASK_QUEUE_NAME",  "OCR_LANGUAGES"};
    for (unsigned i = 0; i < ARRAY_LEN(all); i++)
        CONTAINS(m, all[i]);
}

static void an_unset_number_of_high_workers_is_lowered_and_an_explicit_one_refused(void **state)
{
    (void)state;
    setenv("TASK_MAX_WORKERS", "2", 1);
    OK(&cx, load());
    assert_int_equal(s.high_priority_workers, 1);
    setenv("TASK_MAX_WORKERS", "1", 1);
    OK(&cx, load());
    assert_int_equal(s.high_priority_workers, 0);
    setenv("TASK_HIGH_PRIORITY_WORKERS", "1", 1);
    CONTAINS(FAILS(&cx, CODE_INVALID_ARGUMENT, load()), "TASK_HIGH_PRIORITY_WORKERS");
    setenv("TASK_MAX_WORKERS", "0", 1); /* no local pool at all */
    OK(&cx, load());
}

static void database_addresses_come_in_three_forms(void **state)
{
    (void)state;
    setenv("POSTGRES_HOST", "db", 1);
    setenv("POSTGRES_PASSWORD", "it's a \\ secret", 1);
    OK(&cx, load());
    CONTAINS(s.database_url, "host='db'");
    CONTAINS(s.database_url, "password='it\\'s a \\\\ secret'");
    setenv("DATABASE_URL", "postgresql+asyncpg://u@h/x", 1);
    OK(&cx, load());
    assert_string_equal(s.database_url, "postgresql://u@h/x");
    setenv("DATABASE_URL", "host=/run dbname=x", 1);
    OK(&cx, load());
    assert_string_equal(s.database_url, "host=/run dbname=x");
}

static void a_redis_url_wins_over_its_parts(void **state)
{
    (void)state;
    setenv("REDIS_HOST", "elsewhere", 1);
    setenv("REDIS_PORT", "7000", 1);
    setenv("REDIS_DB", "2", 1);
    setenv("REDIS_PASSWORD", "pw", 1);
    OK(&cx, load());
    assert_string_equal(s.redis.host, "elsewhere");
    assert_int_equal(s.redis.port, 7000);
    assert_int_equal(s.redis.database, 2);
    assert_string_equal(s.redis.password, "pw");
    setenv("REDIS_URL", "unix:///run/redis.sock", 1);
    OK(&cx, load());
    assert_null(s.redis.host);
    assert_string_equal(s.redis.unix_path, "/run/redis.sock");
    assert_null(s.redis.password);
}

static void languages_people_write_are_those_of_the_reader(void **state)
{
    (void)state;
    setenv("OCR_LANGUAGES", "[\"en\", \"de\", \"chi_sim\"]", 1);
    OK(&cx, load());
    assert_string_equal(s.ocr_languages_joined, "eng+deu+chi_sim");
    assert_string_equal(s.ocr_languages[1], "deu");
    assert_null(s.ocr_languages[3]);
    setenv("OCR_LANGUAGES", "[]", 1);
    CONTAINS(FAILS(&cx, CODE_INVALID_ARGUMENT, load()), "OCR_LANGUAGES");
}

static void paths_are_made_absolute_and_follow_data_path(void **state)
{
    (void)state;
    setenv("DATA_PATH", "/srv/data", 1);
    OK(&cx, load());
    assert_string_equal(s.uploads_path, "/srv/data/uploads");
    setenv("UPLOADS_PATH", "./up", 1);
    OK(&cx, load());
    CONTAINS(s.uploads_path, folder);
    LACKS(s.uploads_path, "./");
    setenv("STORAGE_URL", "/srv/store", 1);
    OK(&cx, load());
    assert_string_equal(s.uploads_path, "/srv/store");
}

static void a_public_address_needs_a_word(void **state)
{
    (void)state;
    setenv("HOST", "0.0.0.0", 1);
    CONTAINS(FAILS(&cx, CODE_INVALID_ARGUMENT, load()), "ALLOW_ANONYMOUS");
    setenv("ALLOW_ANONYMOUS", "true", 1);
    OK(&cx, load());
    unsetenv("ALLOW_ANONYMOUS");
    setenv("HOST", "::1", 1);
    OK(&cx, load());
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_contracts_defaults_hold),
        TEST(every_bad_setting_is_named_at_once),
        TEST(an_unset_number_of_high_workers_is_lowered_and_an_explicit_one_refused),
        TEST(database_addresses_come_in_three_forms),
        TEST(a_redis_url_wins_over_its_parts),
        TEST(languages_people_write_are_those_of_the_reader),
        TEST(paths_are_made_absolute_and_follow_data_path),
        TEST(a_public_address_needs_a_word),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
