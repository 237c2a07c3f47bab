/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_blob.c - bytes that are there wholly or not at all (store/blob.h). */
#include "tests/support/check.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "store/blob.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"

static char folder[64], root[96];
static struct ctx cx;

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/localrag-blob-XXXXXX");
    ctx_init(&cx, 1 << 20);
    if (!mkdtemp(folder))
        return -1;
    snprintf(root, sizeof(root), "%s/data/uploads", folder);
    return 0;
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
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int found;

static int count_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)path;
    (void)st;
    (void)at;
    found += type == FTW_F;
    return 0;
}

static int files(void)
{
    found = 0;
    nftw(folder, count_file, 16, FTW_PHYS);
    return found;
}

static int entries(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0;
    if (!dir)
        return -1;
    for (struct dirent *e; (e = readdir(dir));)
        n += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(dir);
    return n;
}

static void nothing_is_known_of_a_root_that_is_not_there(void **state)
{
    (void)state;
    assert_false(blob_syncs_together("/nonexistent/root")); /* and that is not remembered */
    assert_false(blob_syncs_together(root));
}

static void a_committed_blob_is_whole_and_where_its_path_says(void **state)
{
    (void)state;
    struct blob *b;
    const char *path;
    OK(&cx, blob_create(&cx, root, &b)); /* makes the folders */
    OK(&cx, blob_write(&cx, b, "first ", 6));
    OK(&cx, blob_write(&cx, b, NULL, 0));
    OK(&cx, blob_write(&cx, b, "second", 6));
    OK(&cx, blob_commit(&cx, b, ID, "a name.pdf", &path));
    blob_close(b);
    CONTAINS(path, "/data/uploads/" ID "/a name.pdf");
    char text[32] = "";
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof(text), f), 12);
    fclose(f);
    assert_string_equal(text, "first second");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0007, 0); /* nobody else's business */
    assert_int_equal(files(), 1); /* no temp file is left */
}

static void nothing_is_seen_before_the_commit_and_an_abort_leaves_nothing(void **state)
{
    (void)state;
    struct blob *b;
    OK(&cx, blob_create(&cx, root, &b));
    OK(&cx, blob_write(&cx, b, "half", 4));
    assert_int_equal(entries(root), 1); /* .incoming */
    blob_close(b);
    assert_int_equal(files(), 0);
    blob_close(NULL);
}

static void a_commit_that_fails_leaves_nothing(void **state)
{
    (void)state;
    struct blob *b;
    const char *path = NULL;
    char longest[300];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    OK(&cx, blob_create(&cx, root, &b));
    OK(&cx, blob_write(&cx, b, "x", 1));
    FAILS(&cx, CODE_UNAVAILABLE, blob_commit(&cx, b, ID, longest, &path));
    assert_null(path);
    blob_close(b);
    assert_int_equal(files(), 0);
    assert_int_equal(entries(root), 1); /* the job's folder is gone too */
}

static void small_blobs_are_put_together_and_one_that_cannot_be_is_alone_in_that(void **state)
{
    (void)state;
    enum { N = 9, BAD = 4 };
    struct ctx contexts[N];
    struct blob_put puts[N];
    char ids[N][37], longest[300];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++) {
            str_uuid(ids[i]);
            ctx_init(&contexts[i], CTX_DEFAULT_LIMIT);
            puts[i] = (struct blob_put){.cx = &contexts[i],
                                        .job_id = ids[i],
                                        .name = i == BAD ? longest : "a.txt",
                                        .data = ids[i],
                                        .len = (size_t)i};
        }
        blob_put_many(root, puts, N, round > 0);
        OK(&cx, blob_sync_root(&cx, root));
        for (int i = 0; i < N; i++) {
            struct stat st;
            if (i == BAD) {
                FAILS(&contexts[i], CODE_UNAVAILABLE, contexts[i].failure.code);
                assert_null(puts[i].path);
            } else {
                OK(&contexts[i], contexts[i].failure.code);
                assert_int_equal(stat(puts[i].path, &st), 0);
                assert_int_equal(st.st_size, i);
            }
            ctx_done(&contexts[i]);
        }
        assert_int_equal(files(), (round + 1) * (N - 1));
        assert_int_equal(entries(root), (round + 1) * (N - 1)); /* no empty folder is left */
    }
}

static void removing_takes_the_folder_along_and_a_missing_blob_is_fine(void **state)
{
    (void)state;
    struct blob *b;
    const char *path;
    OK(&cx, blob_create(&cx, root, &b));
    OK(&cx, blob_write(&cx, b, "x", 1));
    OK(&cx, blob_commit(&cx, b, ID, "a.pdf", &path));
    blob_close(b);
    blob_remove(path);
    assert_int_equal(files(), 0);
    assert_int_equal(entries(root), 1);
    blob_remove(path);
    blob_remove("/nonexistent/a/b");
}

static void a_full_disk_is_told_apart(void **state)
{
    (void)state;
    struct rlimit old, small = {.rlim_cur = 4096};
    struct blob *b;
    char page[8192] = {0};
    OK(&cx, blob_create(&cx, root, &b));
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small); /* EFBIG stands in for ENOSPC */
    enum code code = blob_write(&cx, b, page, sizeof(page));
    setrlimit(RLIMIT_FSIZE, &old);
    FAILS(&cx, CODE_STORAGE_FULL, code);
    blob_close(b);
    assert_int_equal(files(), 0);
}

static void a_root_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    struct blob *b = NULL;
    char in_the_way[128], longest[3100];
    snprintf(in_the_way, sizeof(in_the_way), "%s/file", folder);
    FILE *f = fopen(in_the_way, "w");
    assert_non_null(f);
    fclose(f);
    strcat(in_the_way, "/uploads");
    CONTAINS(FAILS(&cx, CODE_UNAVAILABLE, blob_create(&cx, in_the_way, &b)), in_the_way);
    memset(longest, 'x', sizeof(longest) - 1);
    longest[0] = '/';
    longest[sizeof(longest) - 1] = '\0';
    FAILS(&cx, CODE_UNAVAILABLE, blob_create(&cx, longest, &b));
    assert_null(b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_known_of_a_root_that_is_not_there),
        TEST(a_committed_blob_is_whole_and_where_its_path_says),
        TEST(nothing_is_seen_before_the_commit_and_an_abort_leaves_nothing),
        TEST(a_commit_that_fails_leaves_nothing),
        TEST(small_blobs_are_put_together_and_one_that_cannot_be_is_alone_in_that),
        TEST(removing_takes_the_folder_along_and_a_missing_blob_is_fine),
        TEST(a_full_disk_is_told_apart),
        TEST(a_root_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
