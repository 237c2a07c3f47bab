/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_log.c - one line an event, whatever is in it (base/log.h).
 *
 * The logger is one for the process, so every test opens it on a file of its own and reads that. */
#include "tests/support/check.h"

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"

static char folder[] = "/tmp/localrag-log-XXXXXX";
static char path[64], moved[64];
static struct ctx cx;

static int group_setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/log", folder);
    snprintf(moved, sizeof(moved), "%s/log.1", folder);
    return 0;
}

static int group_teardown(void **state)
{
    (void)state;
    (void)log_open("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, NULL);
    unlink(path);
    unlink(moved);
    return rmdir(folder);
}

static int setup(void **state)
{
    (void)state;
    unlink(path);
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_done(&cx);
    return 0;
}

static const char *content(const char *file)
{
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    char *text = ctx_alloc(&cx, 1 << 20);
    assert_non_null(text);
    text[fread(text, 1, (1 << 20) - 1, f)] = '\0';
    fclose(f);
    return text;
}

static int lines(const char *text)
{
    int n = 0;
    for (; (text = strchr(text, '\n')); text++)
        n++;
    return n;
}

static void a_hostile_name_cannot_forge_a_json_line(void **state)
{
    (void)state;
    assert_true(log_open("prog", LOG_LEVEL_INFO, LOG_FORMAT_JSON, path));
    cx.job_id = "0f8fad5b-d9cb-469f-a165-70867728950e";
    cx.request_id = "r\"1";
    log_warning(&cx, "could not read \"%s\"", "a\"}\n{\"level\":\"error\",\"x\":\"\xff\x1b[31m");
    const char *text = content(path);
    assert_int_equal(lines(text), 1);
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "level")), "warning");
    assert_string_equal(json_string_value(json_object_get(line, "program")), "prog");
    assert_string_equal(json_string_value(json_object_get(line, "job_id")), cx.job_id);
    assert_string_equal(json_string_value(json_object_get(line, "request_id")), "r\"1");
    CONTAINS(json_string_value(json_object_get(line, "message")), "could not read");
    json_decref(line);
}

static void a_hostile_name_cannot_forge_a_text_line_or_paint_the_terminal(void **state)
{
    (void)state;
    assert_true(log_open("prog", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, path));
    cx.request_id = "id\nforged";
    log_info(&cx, "name \"%s\"",
             "x\n2026 error prog: forged\x1b[2J\x7f\xff\xc2\x9b"
             "1m \xc3\xbc \xe6\x96");
    const char *text = content(path);
    assert_int_equal(lines(text), 1);
    CONTAINS(text, "x\\x0a2026");
    CONTAINS(text, "\\x1b[2J\\x7f\\xff\\xc2\\x9b1m \xc3\xbc \\xe6\\x96");
    CONTAINS(text, "request=id\\x0aforged");
}

static void the_level_decides_what_is_written(void **state)
{
    (void)state;
    enum log_level level;
    assert_true(log_level_parse("WARNING", &level));
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_false(log_level_parse("verbose", &level));
    assert_true(log_open("prog", LOG_LEVEL_WARNING, LOG_FORMAT_TEXT, path));
    log_debug(NULL, "d");
    log_info(NULL, "i");
    log_warning(NULL, "w");
    log_error(NULL, "e");
    assert_int_equal(lines(content(path)), 2);
}

static void a_failure_is_logged_with_code_and_origin(void **state)
{
    (void)state;
    assert_true(log_open("prog", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, path));
    (void)ctx_fail(&cx, CODE_NOT_FOUND, "job \"x\" does not exist");
    log_failure(&cx, LOG_LEVEL_ERROR, "watching");
    CONTAINS(content(path), "watching: job \"x\" does not exist (NOT_FOUND, test_log.c:");
}

static void a_line_is_bounded(void **state)
{
    (void)state;
    assert_true(log_open("prog", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, path));
    char *huge = ctx_alloc(&cx, 100001);
    memset(huge, 'x', 100000);
    log_info(NULL, "%s", huge);
    assert_int_equal(lines(content(path)), 1);
    assert_in_range(strlen(content(path)), 1000, 5000);
}

static void a_rotated_file_is_opened_anew_when_asked(void **state)
{
    (void)state;
    assert_true(log_open("prog", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, path));
    log_info(NULL, "before");
    assert_int_equal(rename(path, moved), 0);
    log_info(NULL, "still to the moved file");
    log_reopen();
    log_info(NULL, "after");
    assert_int_equal(lines(content(moved)), 2);
    assert_int_equal(lines(content(path)), 1);
    assert_false(log_open("prog", LOG_LEVEL_INFO, LOG_FORMAT_TEXT, "/nonexistent/folder/log"));
    log_info(NULL, "a log that could not be opened changes nothing");
    assert_int_equal(lines(content(path)), 2);
}

static void back_on_stderr_a_rotation_leaves_it_alone(void **state)
{
    (void)state;
    assert_true(log_open("prog", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, path));
    assert_true(log_open("prog", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, NULL));
    unlink(path);
    log_reopen();
    assert_int_equal(access(path, F_OK), -1);
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < 500; i++)
        log_info(NULL, "thread %d line %d %s", *(const int *)arg, i,
                 "and some more words to make it longer");
    return NULL;
}

static void lines_of_many_threads_do_not_mix(void **state)
{
    (void)state;
    assert_true(log_open("prog", LOG_LEVEL_INFO, LOG_FORMAT_JSON, path));
    pthread_t threads[4];
    int numbers[4];
    for (int i = 0; i < 4; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &numbers[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    char *text = ctx_strdup(&cx, content(path)), *save;
    int n = 0;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++) {
        json_t *o = json_loads(line, 0, NULL);
        assert_non_null(o);
        json_decref(o);
    }
    assert_int_equal(n, 2000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_hostile_name_cannot_forge_a_json_line),
        TEST(a_hostile_name_cannot_forge_a_text_line_or_paint_the_terminal),
        TEST(the_level_decides_what_is_written),
        TEST(a_failure_is_logged_with_code_and_origin),
        TEST(a_line_is_bounded),
        TEST(a_rotated_file_is_opened_anew_when_asked),
        TEST(back_on_stderr_a_rotation_leaves_it_alone),
        TEST(lines_of_many_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
