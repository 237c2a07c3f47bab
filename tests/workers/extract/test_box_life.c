/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_box_life.c - who outlives whom: no extractor process may be left when its worker is gone,
 * and the models of other languages can be asked for. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sample.h"
#include "workers/box.h"

static const char plain[] = "just a text\n";

/* In a process of its own: a box and a child that waits for a request. Tells both pids, then waits.
 */
static void be_worker(int out)
{
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    struct box_options o = {.program = EXTRACT_PROGRAM};
    struct box *b;
    struct box_child *c;
    int fd = sample_fd(plain, strlen(plain));
    if (box_start(&cx, &o, &b) != CODE_OK || box_spawn(&cx, b, fd, &c) != CODE_OK)
        _exit(1);
    pid_t pids[2] = {box_zygote_pid(b), box_child_pid(c)};
    if (write(out, pids, sizeof(pids)) != sizeof(pids))
        _exit(1);
    for (;;)
        pause();
}

static void await_end(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    close(pidfd);
}

static void nothing_outlives_the_worker(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t worker = fork();
    if (worker == 0)
        be_worker(ends[1]);
    close(ends[1]);
    pid_t pids[2];
    assert_int_equal(read(ends[0], pids, sizeof(pids)), sizeof(pids));
    close(ends[0]);
    int zygote = (int)syscall(SYS_pidfd_open, pids[0], 0);
    int child = (int)syscall(SYS_pidfd_open, pids[1], 0);
    assert_true(zygote >= 0 && child >= 0);
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    await_end(zygote);
    await_end(child);
}

/* The thread that needs a new zygote may end at once: the zygote must not go with it. */
static void *spawn_one(void *arg)
{
    struct box *b = arg;
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    struct box_child *c = NULL;
    int fd = sample_fd(plain, strlen(plain));
    bool ok = box_spawn(&cx, b, fd, &c) == CODE_OK;
    close(fd);
    box_child_close(c);
    ctx_done(&cx);
    return ok ? b : NULL;
}

static void on_a_thread(struct box *b)
{
    pthread_t t;
    void *ok;
    assert_int_equal(pthread_create(&t, NULL, spawn_one, b), 0);
    pthread_join(t, &ok);
    assert_non_null(ok);
}

static void the_zygote_outlives_threads(void **state)
{
    (void)state;
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    struct box_options o = {.program = EXTRACT_PROGRAM};
    struct box *b;
    assert_int_equal(box_start(&cx, &o, &b), CODE_OK);
    kill(box_zygote_pid(b), SIGKILL);
    for (int i = 0; i < 4; i++)
        on_a_thread(b);
    assert_int_equal(box_restarts(b), 1);
    box_stop(b);
    ctx_done(&cx);
}

static void many_threads(void **state)
{
    (void)state;
    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    struct box_options o = {.program = EXTRACT_PROGRAM};
    struct box *b;
    assert_int_equal(box_start(&cx, &o, &b), CODE_OK);
    pthread_t t[16];
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, spawn_one, b), 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        void *ok;
        pthread_join(t[i], &ok);
        assert_non_null(ok);
    }
    assert_int_equal(box_restarts(b), 0);
    box_stop(b);
    ctx_done(&cx);
}

/* ---- languages that are not warm ---- */

static bool find_model(char out[PATH_MAX])
{
    const char *dir = getenv("TESSDATA_PREFIX");
    snprintf(out, PATH_MAX, "%s/eng.traineddata",
             dir ? dir : "/usr/share/tesseract-ocr/5/tessdata");
    return access(out, R_OK) == 0;
}

static Extract__V1__Reply *reply(struct ctx *cx, struct box_child *c)
{
    for (;;) {
        bool got;
        Extract__V1__Reply *r;
        if (box_receive(cx, c, &got, &r) != CODE_OK)
            fail_msg("%s", ctx_message(cx));
        if (got)
            return r;
        struct pollfd p = {.fd = box_child_fd(c), .events = POLLIN};
        assert_int_equal(poll(&p, 1, 120000), 1);
    }
}

static Extract__V1__Page *ocr(struct ctx *cx, struct box *b, const struct buf *doc,
                              const char *languages)
{
    struct box_child *c;
    int fd = sample_fd(doc->data, doc->len);
    assert_int_equal(box_spawn(cx, b, fd, &c), CODE_OK);
    close(fd);
    Extract__V1__Open open = EXTRACT__V1__OPEN__INIT;
    open.languages = (char *)(uintptr_t)languages;
    Extract__V1__Request q = EXTRACT__V1__REQUEST__INIT;
    q.kind_case = EXTRACT__V1__REQUEST__KIND_OPEN;
    q.open = &open;
    assert_int_equal(box_send(cx, c, &q), CODE_OK);
    assert_int_equal(reply(cx, c)->kind_case, EXTRACT__V1__REPLY__KIND_OPENED);
    Extract__V1__ReadOcrPage read = EXTRACT__V1__READ_OCR_PAGE__INIT;
    read.page = 1;
    read.languages = open.languages;
    q.kind_case = EXTRACT__V1__REQUEST__KIND_READ_OCR_PAGE;
    q.read_ocr_page = &read;
    assert_int_equal(box_send(cx, c, &q), CODE_OK);
    Extract__V1__Reply *r = reply(cx, c);
    box_child_close(c);
    assert_int_equal(r->kind_case, EXTRACT__V1__REPLY__KIND_PAGE);
    return r->page;
}

static void other_languages(void **state)
{
    (void)state;
    char model[PATH_MAX], dir[] = "/tmp/tessdata-XXXXXX", link_eng[64], link_two[64];
    assert_true(find_model(model));
    assert_non_null(mkdtemp(dir));
    snprintf(link_eng, sizeof(link_eng), "%s/eng.traineddata", dir);
    snprintf(link_two, sizeof(link_two), "%s/two.traineddata", dir);
    assert_int_equal(symlink(model, link_eng), 0);
    assert_int_equal(symlink(model, link_two), 0);

    struct ctx cx;
    ctx_init(&cx, CTX_DEFAULT_LIMIT);
    const char *line = "Hello languages";
    CLEANUP(buf_done) struct buf content = BUF_INIT(0);
    CLEANUP(buf_done) struct buf doc = BUF_INIT(0);
    sample_content(&content, &line, 1);
    const char *page = content.data;
    sample_pdf(&doc, &page, 1, NULL);

    struct box_options o = {.program = EXTRACT_PROGRAM, .tessdata = dir};
    struct box *b;
    assert_int_equal(box_start(&cx, &o, &b), CODE_OK);
    static const char *const sets[] = {"", "eng", "two", "eng+two"};
    for (size_t i = 0; i < ARRAY_LEN(sets); i++)
        assert_string_equal(ocr(&cx, b, &doc, sets[i])->text, "Hello languages\n");
    box_stop(b);
    ctx_done(&cx);
    unlink(link_eng);
    unlink(link_two);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_outlives_the_worker),
        cmocka_unit_test(the_zygote_outlives_threads),
        cmocka_unit_test(many_threads),
        cmocka_unit_test(other_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
