/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_blob_gc.c - what the store wrote is found and removed, and nothing else (store/blob.h). */
#include "tests/support/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/blob.h"

enum { HOUR = 3600 };

static char root[64];
static struct ctx cx;

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/localrag-blob-XXXXXX");
    ctx_init(&cx, 16 << 20);
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int teardown(void **state)
{
    (void)state;
    ctx_done(&cx);
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *path_of(const char *name)
{
    const char *path = ctx_printf(&cx, "%s/%s", root, name);
    assert_non_null(path);
    return path;
}

static bool exists(const char *name)
{
    struct stat st;
    return lstat(path_of(name), &st) == 0;
}

static void write_file(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void make_folder(const char *name)
{
    assert_int_equal(mkdir(path_of(name), 0750), 0);
}

static void make_old(const char *name)
{
    struct timespec times[2] = {{.tv_sec = time(NULL) - 2 * HOUR},
                                {.tv_sec = time(NULL) - 2 * HOUR}};
    assert_int_equal(utimensat(AT_FDCWD, path_of(name), times, AT_SYMLINK_NOFOLLOW), 0);
}

static const char *id_of(int i)
{
    return ctx_printf(&cx, "%08x-d9cb-469f-a165-70867728950e", (unsigned)i * 2654435761u);
}

static void folders_are_listed_in_order_and_from_where_it_was(void **state)
{
    (void)state;
    enum { N = 100, MAX_IDS = 7 };
    for (int i = 0; i < N; i++) {
        make_folder(id_of(i));
        if (i % 10) /* the others are young */
            make_old(id_of(i));
    }
    make_folder("notes");
    make_old("notes");
    write_file(id_of(N), "a file"); /* named like a folder */
    make_old(id_of(N));
    char after[37] = "", last[37] = "", ids[MAX_IDS][37];
    int n, found = 0, calls = 0;
    do {
        OK(&cx, blob_folders(&cx, root, HOUR, MAX_IDS, after, ids, &n));
        for (int i = 0; i < n; i++) {
            assert_true(strcmp(ids[i], last) > 0);
            memcpy(last, ids[i], sizeof(last));
        }
        found += n;
        assert_true(++calls < 100);
    } while (after[0]);
    assert_int_equal(found, N - N / 10);
    assert_in_range(calls, N / MAX_IDS, N / MAX_IDS + 2);
    OK(&cx, blob_folders(&cx, "/nonexistent", HOUR, MAX_IDS, after, ids, &n));
    assert_int_equal(n, 0);
    assert_string_equal(after, "");
}

static void a_folder_goes_with_its_one_file(void **state)
{
    (void)state;
    struct blob *b;
    const char *path;
    OK(&cx, blob_create(&cx, root, &b));
    OK(&cx, blob_write(&cx, b, "12345", 5));
    OK(&cx, blob_commit(&cx, b, id_of(1), "a.pdf", &path));
    blob_close(b);
    assert_int_equal(blob_remove_folder(root, id_of(1)), 5);
    assert_false(exists(id_of(1)));
    assert_int_equal(blob_remove_folder(root, id_of(1)), -1);
    make_folder(id_of(2)); /* an empty one, too */
    assert_int_equal(blob_remove_folder(root, id_of(2)), -1);
    assert_false(exists(id_of(2)));
}

static void what_the_store_did_not_write_stays(void **state)
{
    (void)state;
    make_folder(id_of(1));
    write_file(ctx_printf(&cx, "%s/a.pdf", id_of(1)), "x");
    write_file(ctx_printf(&cx, "%s/mine.txt", id_of(1)), "x");
    assert_int_equal(blob_remove_folder(root, id_of(1)), -1);
    assert_true(exists(ctx_printf(&cx, "%s/a.pdf", id_of(1))));

    make_folder(id_of(2)); /* a folder in it */
    make_folder(ctx_printf(&cx, "%s/more", id_of(2)));
    assert_int_equal(blob_remove_folder(root, id_of(2)), -1);
    assert_true(exists(ctx_printf(&cx, "%s/more", id_of(2))));

    make_folder("elsewhere"); /* a link to somebody's folder, a link in a folder */
    write_file("elsewhere/a.pdf", "x");
    assert_int_equal(symlink(path_of("elsewhere"), path_of(id_of(3))), 0);
    assert_int_equal(blob_remove_folder(root, id_of(3)), -1);
    make_folder(id_of(4));
    assert_int_equal(symlink(path_of("elsewhere/a.pdf"),
                             path_of(ctx_printf(&cx, "%s/l", id_of(4)))),
                     0);
    assert_int_equal(blob_remove_folder(root, id_of(4)), -1);
    assert_true(exists("elsewhere/a.pdf"));

    assert_int_equal(blob_remove_folder(root, "elsewhere"), -1);
    assert_int_equal(blob_remove_folder(root, "../elsewhere"), -1);
    assert_true(exists("elsewhere/a.pdf"));
}

static void temp_files_of_the_living_stay_and_those_of_the_dead_go(void **state)
{
    (void)state;
    struct blob *b;
    int64_t bytes = 0;
    int ready[2];
    char word;
    OK(&cx, blob_create(&cx, root, &b));
    OK(&cx, blob_write(&cx, b, "half", 4));
    write_file(".incoming/notes.txt", "mine");
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) { /* a server that is killed in the middle of an upload */
        struct blob *mine;
        if (blob_create(&cx, root, &mine) != CODE_OK ||
            blob_write(&cx, mine, "lost", 4) != CODE_OK || write(ready[1], "x", 1) != 1)
            _exit(1);
        pause();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &word, 1), 1);
    assert_int_equal(blob_remove_left_behind(root, &bytes), 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(blob_remove_left_behind(root, &bytes), 1);
    assert_int_equal(bytes, 4);
    const char *path;
    OK(&cx, blob_commit(&cx, b, id_of(1), "a.pdf", &path)); /* ours was left alone */
    blob_close(b);
    assert_true(exists(ctx_printf(&cx, "%s/a.pdf", id_of(1))));
    assert_true(exists(".incoming/notes.txt"));
    assert_int_equal(blob_remove_left_behind("/nonexistent", &bytes), 0);
}

static void a_root_has_one_owner(void **state)
{
    (void)state;
    bool ours = false;
    OK(&cx, blob_claim_root(&cx, root, id_of(1), &ours));
    assert_true(ours);
    OK(&cx, blob_claim_root(&cx, root, id_of(2), &ours));
    assert_false(ours);
    OK(&cx, blob_claim_root(&cx, root, id_of(1), &ours));
    assert_true(ours);
    write_file(".owner", "");
    OK(&cx, blob_claim_root(&cx, root, id_of(1), &ours));
    assert_false(ours);
    OK(&cx, blob_claim_root(&cx, "/nonexistent", id_of(1), &ours)); /* nothing to own */
    assert_true(ours);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(folders_are_listed_in_order_and_from_where_it_was),
        TEST(a_folder_goes_with_its_one_file),
        TEST(what_the_store_did_not_write_stays),
        TEST(temp_files_of_the_living_stay_and_those_of_the_dead_go),
        TEST(a_root_has_one_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
