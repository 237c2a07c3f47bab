/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_env.c - settings from the environment and a .env file (base/env.h). */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/env.h"

struct sample {
    const char *text, *choice, *secret, *url;
    bool flag;
    int64_t number, time, size;
    double ratio;
    char **list;
};

#define AT(m) offsetof(struct sample, m)
static const struct env_def defs[] = {
    {.name = "T_TEXT",
     .kind = ENV_STRING,
     .offset = AT(text),
     .fallback = "none",
     .help = "a text"},
    {.name = "T_CHOICE",
     .kind = ENV_STRING,
     .offset = AT(choice),
     .fallback = "red",
     .choices = "red|green"},
    {.name = "T_SECRET", .kind = ENV_STRING, .offset = AT(secret), .secret = true},
    {.name = "T_URL", .kind = ENV_STRING, .offset = AT(url)},
    {.name = "T_FLAG", .kind = ENV_BOOL, .offset = AT(flag), .fallback = "true"},
    {.name = "T_NUMBER",
     .kind = ENV_INT,
     .offset = AT(number),
     .fallback = "4",
     .min = 1,
     .max = 64},
    {.name = "T_TIME",
     .kind = ENV_SECONDS,
     .offset = AT(time),
     .fallback = "5",
     .min = 0,
     .max = 86400000},
    {.name = "T_SIZE",
     .kind = ENV_BYTES,
     .offset = AT(size),
     .fallback = "1GB",
     .min = 1,
     .max = INT64_MAX},
    {.name = "T_RATIO", .kind = ENV_RATIO, .offset = AT(ratio), .fallback = "0.6"},
    {.name = "T_LIST", .kind = ENV_LIST, .offset = AT(list), .fallback = "eng"},
};

static struct ctx cx;
static struct sample s;
static struct env_values *values;
static char path[] = "/tmp/localrag-env-XXXXXX";

static int group_setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int group_teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static int setup(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(defs); i++)
        unsetenv(defs[i].name);
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    memset(&s, 0, sizeof(s));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_done(&cx);
    return 0;
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static enum code load(const char *dotenv)
{
    values = NULL;
    return env_load(&cx, defs, ARRAY_LEN(defs), dotenv, &s, &values);
}

static void without_anything_the_defaults_hold(void **state)
{
    (void)state;
    OK(&cx, load("/nonexistent/.env"));
    assert_string_equal(s.text, "none");
    assert_null(s.secret);
    assert_true(s.flag);
    assert_int_equal(s.number, 4);
    assert_int_equal(s.time, 5000);
    assert_int_equal(s.size, 1000000000);
    assert_true(s.ratio > 0.59 && s.ratio < 0.61);
    assert_string_equal(s.list[0], "eng");
    assert_null(s.list[1]);
    assert_int_equal(env_source_of(values, 0), ENV_FROM_DEFAULT);
}

static void a_dotenv_is_read_as_people_write_it(void **state)
{
    (void)state;
    static const struct {
        const char *line, *text;
    } cases[] = {
        {"T_TEXT=value   # comment", "value"},
        {"T_TEXT=value\t# comment", "value"},
        {"T_TEXT=a#b", "a#b"},
        {"T_TEXT=#b", "#b"}, /* no white space in front: no comment */
        {"T_TEXT= # nothing but a comment", "none"},
        {"T_TEXT=", "none"},
        {"  T_TEXT = padded  ", "padded"},
        {"export T_TEXT=exported", "exported"},
        {"T_TEXT=\"quoted # not a comment\"  # one", "quoted # not a comment"},
        {"T_TEXT='single \"in\" double'", "single \"in\" double"},
        {"T_TEXT=\"unclosed", "\"unclosed"},
        {"T_TEXT=a=b=c", "a=b=c"},
        {"T_TEXT=windows\r", "windows"},
        {"T_TEXT=first\nT_TEXT=second", "second"},
        {"#T_TEXT=commented", "none"},
        {"no equals sign\nT_TEXT=x", "x"},
        {"T_TEXTS=another name", "none"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        write_file(cases[i].line);
        OK(&cx, load(path));
        if (strcmp(s.text, cases[i].text) != 0)
            fail_msg("%s: \"%s\"", cases[i].line, s.text);
    }
    assert_int_equal(env_source_of(values, 0), ENV_FROM_DEFAULT);
    write_file("T_TEXT=x\n");
    OK(&cx, load(path));
    assert_int_equal(env_source_of(values, 0), ENV_FROM_FILE);
}

static void the_process_environment_wins(void **state)
{
    (void)state;
    write_file("T_TEXT=file\nT_NUMBER=9\n");
    setenv("T_TEXT", "process", 1);
    setenv("T_NUMBER", "", 1); /* empty is the same as none */
    OK(&cx, load(path));
    assert_string_equal(s.text, "process");
    assert_int_equal(s.number, 9);
    assert_int_equal(env_source_of(values, 0), ENV_FROM_PROCESS);
}

static void a_dotenv_that_cannot_be_read_is_an_error_and_a_huge_one_too(void **state)
{
    (void)state;
    CONTAINS(FAILS(&cx, CODE_INVALID_ARGUMENT, load("/tmp")), "/tmp"); /* a directory */
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 70000; i++)
        fputs("# filler filler\n", f);
    fputs("T_TEXT=behind a megabyte\n", f);
    fclose(f);
    CONTAINS(FAILS(&cx, CODE_INVALID_ARGUMENT, load(path)), path);
}

static void times_sizes_and_flags_have_many_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
        int64_t want;
    } cases[] = {
        {"T_TIME", "0.5", 500},
        {"T_TIME", "250ms", 250},
        {"T_TIME", "2m", 120000},
        {"T_TIME", "1h", 3600000},
        {"T_TIME", "90 s", 90000},
        {"T_TIME", "1d", 86400000},
        {"T_TIME", "0", 0},
        {"T_SIZE", "1048576", 1048576},
        {"T_SIZE", "512MiB", 536870912},
        {"T_SIZE", "1GB", 1000000000},
        {"T_SIZE", "1.5kb", 1500},
        {"T_SIZE", "2g", 2000000000},
        {"T_FLAG", "FALSE", 0},
        {"T_FLAG", "off", 0},
        {"T_FLAG", "no", 0},
        {"T_FLAG", "0", 0},
        {"T_FLAG", "Yes", 1},
        {"T_FLAG", "on", 1},
        {"T_FLAG", "1", 1},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        setenv(cases[i].name, cases[i].value, 1);
        OK(&cx, load(NULL));
        int64_t got = cases[i].name[2] == 'T' ? s.time : cases[i].name[2] == 'S' ? s.size : s.flag;
        if (got != cases[i].want)
            fail_msg("%s=%s gave %lld", cases[i].name, cases[i].value, (long long)got);
        unsetenv(cases[i].name);
    }
}

static void lists_take_commas_or_json(void **state)
{
    (void)state;
    static const char *const same[] = {"a,b c", " a , b c ,", "[\"a\",\"b c\"]", "['a', 'b c']",
                                       "[a, b c]"};
    for (unsigned i = 0; i < ARRAY_LEN(same); i++) {
        setenv("T_LIST", same[i], 1);
        OK(&cx, load(NULL));
        assert_string_equal(s.list[0], "a");
        assert_string_equal(s.list[1], "b c");
        assert_null(s.list[2]);
    }
    setenv("T_LIST", "[]", 1);
    OK(&cx, load(NULL));
    assert_null(s.list[0]);
}

static void every_bad_setting_is_named_at_once_and_no_secret_shown(void **state)
{
    (void)state;
    setenv("T_CHOICE", "blue", 1);
    setenv("T_FLAG", "maybe", 1);
    setenv("T_NUMBER", "65", 1);
    setenv("T_TIME", "soon", 1);
    setenv("T_SIZE", "0x10", 1);
    setenv("T_RATIO", "1.1", 1);
    const char *m = FAILS(&cx, CODE_INVALID_ARGUMENT, load(NULL));
    CONTAINS(m, "T_CHOICE=blue is not one of red|green");
    CONTAINS(m, "T_FLAG=maybe is not true or false");
    CONTAINS(m, "T_NUMBER=65 is out of range (1 to 64)");
    CONTAINS(m, "T_TIME=soon is not a time");
    CONTAINS(m, "T_SIZE=0x10 is not a size");
    CONTAINS(m, "T_RATIO=1.1 is not a number");
    assert_non_null(values); /* so that --check-config can show the rest */

    static const char *const bad_numbers[] = {"4.5", "four", "0",
                                              "-1",  "4 ",   "99999999999999999999"};
    for (unsigned i = 0; i < ARRAY_LEN(bad_numbers); i++) {
        teardown(NULL);
        setup(NULL);
        setenv("T_NUMBER", bad_numbers[i], 1);
        CONTAINS(FAILS(&cx, CODE_INVALID_ARGUMENT, load(NULL)), "T_NUMBER");
    }
}

static const char *printed(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    env_print(values, out);
    fclose(out);
    const char *copy = ctx_strdup(&cx, text);
    free(text);
    return copy;
}

static void printing_shows_sources_and_masks_secrets(void **state)
{
    (void)state;
    setenv("T_SECRET", "hunter2", 1);
    write_file("T_NUMBER=7\n");
    OK(&cx, load(path));
    const char *text = printed();
    CONTAINS(text, "T_SECRET=***  # environment\n");
    CONTAINS(text, "T_NUMBER=7  # .env\n");
    CONTAINS(text, "T_TEXT=none  # default\n");
    CONTAINS(text, "T_URL=  # unset\n");
    LACKS(text, "hunter2");

    static const struct {
        const char *url, *shown;
    } urls[] = {
        {"postgresql://u:hunter2@db:5432/x", "postgresql://u:***@db:5432/x"},
        {"postgresql://localrag@localhost/x", "postgresql://localrag@localhost/x"},
        {"postgresql://db/x?user=u&password=hunter2&sslmode=require",
         "postgresql://db/x?user=u&password=***&sslmode=require"},
        {"host=db password=hunter2 dbname=x", "host=db password=*** dbname=x"},
        {"host=db password = 'hunter2 \\' x' dbname=x", "host=db password = *** dbname=x"},
        {"redis://:hunter2@r:6379/0", "redis://:***@r:6379/0"},
        {"redis://hunter2@r", "redis://***@r"},
        {"redis://r:6379/0", "redis://r:6379/0"},
        {"redis://u:hunter2@with@at@r", "redis://u:***@r"},
    };
    for (unsigned i = 0; i < ARRAY_LEN(urls); i++) {
        setenv("T_URL", urls[i].url, 1);
        OK(&cx, load(NULL));
        text = printed();
        CONTAINS(text, ctx_printf(&cx, "T_URL=%s  #", urls[i].shown));
        LACKS(text, "hunter2");
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_anything_the_defaults_hold),
        TEST(a_dotenv_is_read_as_people_write_it),
        TEST(the_process_environment_wins),
        TEST(a_dotenv_that_cannot_be_read_is_an_error_and_a_huge_one_too),
        TEST(times_sizes_and_flags_have_many_spellings),
        TEST(lists_take_commas_or_json),
        TEST(every_bad_setting_is_named_at_once_and_no_secret_shown),
        TEST(printing_shows_sources_and_masks_secrets),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
