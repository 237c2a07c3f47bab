/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_box_trust.c - the worker's side against an extractor that was taken over (fake_extract.c):
 * every lie ends in a clear failure, a dead child and nothing worse. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clk.h"
#include "base/log.h"
#include "workers/box.h"

struct fake {
    struct ctx cx;
    struct box *box;
    struct box_child *child;
    int fd;
};

static enum code start(struct fake *f, const char *how)
{
    ctx_init(&f->cx, CTX_DEFAULT_LIMIT);
    f->box = NULL;
    f->child = NULL;
    f->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct box_options o = {.program = FAKE_PROGRAM, .languages = how};
    TRY(box_start(&f->cx, &o, &f->box));
    return box_spawn(&f->cx, f->box, f->fd, &f->child);
}

static void stop(struct fake *f)
{
    box_child_close(f->child);
    box_stop(f->box);
    close(f->fd);
    ctx_done(&f->cx);
}

static enum code receive(struct fake *f, Extract__V1__Reply **ret_reply)
{
    int64_t end = clk_mono_ms() + 10000;
    while (clk_mono_ms() < end) {
        bool got;
        TRY(box_receive(&f->cx, f->child, &got, ret_reply));
        if (got)
            return CODE_OK;
        struct pollfd p = {.fd = box_child_fd(f->child), .events = POLLIN};
        poll(&p, 1, 1000);
    }
    fail_msg("nothing came");
    return CODE_INTERNAL;
}

static void an_honest_one(void **state)
{
    (void)state;
    struct fake f;
    Extract__V1__Reply *r;
    assert_int_equal(start(&f, "good"), CODE_OK);
    assert_int_equal(receive(&f, &r), CODE_OK);
    assert_string_equal(r->page->text, "four");
    stop(&f);
}

static void lies(void **state)
{
    (void)state;
    static const struct {
        const char *how;
        enum code code;
        const char *message;
    } rows[] = {
        {"utf8", CODE_INTERNAL, "broken reply"},
        {"line", CODE_INTERNAL, "makes no sense"},
        {"nan", CODE_INTERNAL, "makes no sense"},
        {"number", CODE_INTERNAL, "makes no sense"},
        {"verdict", CODE_INTERNAL, "makes no sense"},
        {"confidence", CODE_INTERNAL, "makes no sense"},
        {"junk", CODE_INTERNAL, "broken reply"},
        {"empty", CODE_INTERNAL, "makes no sense"},
        {"huge", CODE_TOO_LARGE, "at most"},
        {"half", CODE_INTERNAL, "exited with 7"},
        {"memory", CODE_OUT_OF_MEMORY, "ran out of memory"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fake f;
        Extract__V1__Reply *r = NULL;
        assert_int_equal(start(&f, rows[i].how), CODE_OK);
        enum code code = receive(&f, &r);
        if (code != rows[i].code || !strstr(ctx_message(&f.cx), rows[i].message))
            fail_msg("%s: %s \"%s\"", rows[i].how, code_name(code), ctx_message(&f.cx));
        /* killed: the next word about it is how it ended, which only its parent knows */
        ctx_clear(&f.cx);
        assert_true(receive(&f, &r) != CODE_OK);
        assert_null(strstr(ctx_message(&f.cx), "with its parent"));
        stop(&f);
    }
}

static void a_bad_zygote(void **state)
{
    (void)state;
    static const struct {
        const char *how;
        const char *message;
    } rows[] = {
        {"not-ready", "talks nonsense"}, {"no-word", "ended"}, {"refuse", "error no"},
        {"babble", "made no child"},     {"exit", "ended"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct fake f;
        enum code code = start(&f, rows[i].how);
        if (code == CODE_OK || !strstr(ctx_message(&f.cx), rows[i].message))
            fail_msg("%s: %s \"%s\"", rows[i].how, code_name(code), ctx_message(&f.cx));
        stop(&f);
    }
}

static void no_such_program(void **state)
{
    (void)state;
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    struct box *box = NULL;
    struct box_options o = {.program = "/nonexistent/localrag-extract"};
    assert_int_equal(box_start(&cx, &o, &box), CODE_UNAVAILABLE);
    assert_non_null(strstr(ctx_message(&cx), "\"/nonexistent/localrag-extract\""));
    assert_null(box);
    ctx_done(&cx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_honest_one),
        cmocka_unit_test(lies),
        cmocka_unit_test(a_bad_zygote),
        cmocka_unit_test(no_such_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
