/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_args.c - the command line: where options may stand, what is refused and with what words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "client/args.h"

struct line {
    struct ctx cx;
    struct args args;
    enum code code;
};

static void parse(struct line *l, const char *const *words)
{
    char *argv[16];
    int n = 0;
    for (; words[n]; n++)
        argv[n] = (char *)words[n];
    l->args = (struct args){0};
    ctx_init(&l->cx, CTX_DEFAULT_LIMIT);
    l->code = args_parse(&l->cx, n, argv, &l->args);
}

#define PARSE(...)                                                                                 \
    struct line l;                                                                                 \
    parse(&l, (const char *const[]){__VA_ARGS__, NULL})

static void assert_fails(struct line *l, const char *message)
{
    assert_int_equal(l->code, CODE_INVALID_ARGUMENT);
    assert_string_equal(ctx_message(&l->cx), message);
    ctx_done(&l->cx);
}

static void options_before_between_and_after(void **state UNUSED)
{
    PARSE("--server", "h:1", "jobs", "--json", "list", "--limit=7", "--status", "failed");
    assert_int_equal(l.code, CODE_OK);
    assert_ptr_equal(l.args.cmd, &cmd_jobs_list);
    assert_string_equal(args_get(&l.args, "server"), "h:1");
    assert_string_equal(args_get(&l.args, "status"), "failed");
    assert_true(args_has(&l.args, "json"));
    assert_false(args_has(&l.args, "quiet"));
    assert_int_equal(args_count(&l.args, "limit", 50), 7);
    assert_int_equal(l.args.n_operands, 0);
    ctx_done(&l.cx);
}

static void last_value_wins_and_defaults(void **state UNUSED)
{
    PARSE("health", "--timeout", "1", "--timeout", "2.5", "-q");
    assert_int_equal(l.code, CODE_OK);
    assert_int_equal(args_ms(&l.args, "timeout", 0), 2500);
    assert_int_equal(args_count(&l.args, "limit", 50), 50);
    assert_true(args_has(&l.args, "quiet"));
    ctx_done(&l.cx);
}

static void operands_and_the_double_dash(void **state UNUSED)
{
    PARSE("upload", "a.pdf", "--no-wait", "--", "-b.pdf", "--json");
    assert_int_equal(l.code, CODE_OK);
    assert_int_equal(l.args.n_operands, 3);
    assert_string_equal(l.args.operands[1], "-b.pdf");
    assert_string_equal(l.args.operands[2], "--json");
    assert_true(args_has(&l.args, "no-wait"));
    assert_false(args_has(&l.args, "json"));
    ctx_done(&l.cx);
}

static void a_number_may_be_zero(void **state UNUSED)
{
    PARSE("jobs", "cleanup", "--days", "0");
    assert_int_equal(l.code, CODE_OK);
    assert_int_equal(args_count(&l.args, "days", 7), 0);
    ctx_done(&l.cx);
}

static void an_operand_may_be_named_like_a_command(void **state UNUSED)
{
    PARSE("upload", "upload", "jobs");
    assert_int_equal(l.code, CODE_OK);
    assert_ptr_equal(l.args.cmd, &cmd_upload);
    assert_int_equal(l.args.n_operands, 2);
    ctx_done(&l.cx);
}

static void help_needs_nothing_else(void **state UNUSED)
{
    PARSE("jobs", "watch", "--help");
    assert_int_equal(l.code, CODE_OK);
    assert_ptr_equal(l.args.cmd, &cmd_jobs_watch);
    ctx_done(&l.cx);
}

static void unknown_words_get_a_suggestion(void **state UNUSED)
{
    {
        PARSE("jobs", "statuss", "x");
        assert_fails(&l, "unknown command \"jobs statuss\"; did you mean \"jobs status\"?");
    }
    {
        PARSE("uplaod", "x");
        assert_fails(&l, "unknown command \"uplaod\"; did you mean \"upload\"?");
    }
    {
        PARSE("jobs", "list", "--statuss=x");
        assert_fails(&l,
                     "unknown option \"--statuss\" for \"jobs list\"; did you mean \"--status\"?");
    }
    {
        PARSE("frobnicate");
        assert_fails(&l, "unknown command \"frobnicate\"");
    }
}

static void usage_errors_say_what_is_wrong(void **state UNUSED)
{
    {
        PARSE("upload");
        assert_fails(&l, "\"upload\" needs FILE...");
    }
    {
        PARSE("jobs");
        assert_fails(&l, "\"jobs\" needs a command");
    }
    {
        PARSE("jobs", "status", "a", "b");
        assert_fails(&l, "\"b\" is one word too many for \"jobs status\"");
    }
    {
        PARSE("jobs", "list", "--limit", "0");
        assert_fails(&l, "\"0\" for --limit is not a number from 1 to 1000000");
    }
    {
        PARSE("jobs", "cleanup", "--days", "-1");
        assert_fails(&l, "\"-1\" for --days is not a number from 0 to 1000000");
    }
    {
        PARSE("jobs", "list", "--limit");
        assert_fails(&l, "--limit needs a value: N");
    }
    {
        PARSE("--timeout", "-1", "health");
        assert_fails(&l, "\"-1\" for --timeout is not a number of seconds above 0");
    }
    {
        PARSE("--json=1", "health");
        assert_fails(&l, "--json takes no value");
    }
    {
        PARSE("upload", "--priority", "urgent", "a");
        assert_fails(&l, "\"urgent\" for --priority is none of high|medium|low");
    }
    {
        PARSE("upload", "--priority", "hi", "a");
        assert_fails(&l, "\"hi\" for --priority is none of high|medium|low");
    }
}

static void a_failure_names_the_command_that_was_meant(void **state UNUSED)
{
    PARSE("jobs", "list", "--bogus");
    assert_int_equal(l.code, CODE_INVALID_ARGUMENT);
    assert_ptr_equal(l.args.cmd, &cmd_jobs_list);
    ctx_done(&l.cx);
}

static void the_table_is_sorted_and_complete(void **state UNUSED)
{
    for (size_t i = 0; i < cmd_all_count; i++) {
        const struct cmd *cmd = cmd_all[i];
        char first[32];
        const char *space = strchr(cmd->name, ' ');
        size_t n = space ? (size_t)(space - cmd->name) : strlen(cmd->name);
        assert_true(n < sizeof(first));
        memcpy(first, cmd->name, n);
        first[n] = '\0';
        if (i)
            assert_true(strcmp(cmd_all[i - 1]->name, cmd->name) < 0);
        assert_ptr_equal(cmd_find(first, space ? space + 1 : NULL), cmd);
        if (space)
            assert_non_null(cmd_find_group(first));
        assert_non_null(cmd->run);
        assert_non_null(cmd->help);
        assert_null(strpbrk(cmd->help, "'\"`$\\"));
        for (size_t j = 0; j < cmd->n_options; j++) {
            assert_null(strpbrk(cmd->options[j].help, "'\"`$\\"));
            assert_true((cmd->options[j].kind == ARG_CHOICE) == (cmd->options[j].choices != NULL));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_before_between_and_after),
        cmocka_unit_test(last_value_wins_and_defaults),
        cmocka_unit_test(operands_and_the_double_dash),
        cmocka_unit_test(a_number_may_be_zero),
        cmocka_unit_test(an_operand_may_be_named_like_a_command),
        cmocka_unit_test(help_needs_nothing_else),
        cmocka_unit_test(unknown_words_get_a_suggestion),
        cmocka_unit_test(usage_errors_say_what_is_wrong),
        cmocka_unit_test(a_failure_names_the_command_that_was_meant),
        cmocka_unit_test(the_table_is_sorted_and_complete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
