/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_spool.c - a large blob through the spool is the blob that was sent (store/spool.h). */
#include "tests/support/check.h"

#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/spool.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"

enum { LARGE = 24 << 20, HEAD = (16 << 20) + 12345 }; /* HEAD is written before there is a spool */

static char folder[64], root[96];
static struct ctx cx;
static char *bytes; /* LARGE of them, no two pieces the same */
static struct blob *blob;
static struct digest *digest;

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/var/tmp/localrag-spool-XXXXXX"); /* on a disk */
    ctx_init(&cx, 1 << 20);
    if (!mkdtemp(folder) || !(bytes = malloc(LARGE)))
        return -1;
    snprintf(root, sizeof(root), "%s/uploads", folder);
    uint64_t x = 88172645463325252ULL; /* xorshift64 of Marsaglia, 2003 */
    for (size_t i = 0; i < LARGE; i += sizeof(x)) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(bytes + i, &x, sizeof(x));
    }
    OK(&cx, digest_new(&cx, &digest));
    OK(&cx, blob_create(&cx, root, &blob));
    OK(&cx, blob_write(&cx, blob, bytes, HEAD));
    digest_add(digest, bytes, HEAD);
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
    blob_close(blob);
    digest_free(digest);
    free(bytes);
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

static void is_stored(size_t size)
{
    const char *path;
    char got[65], want[65];
    struct digest *d;
    OK(&cx, blob_commit(&cx, blob, ID, "a.pdf", &path));
    FILE *f = fopen(path, "r");
    char *stored = malloc(LARGE);
    assert_non_null(f);
    assert_non_null(stored);
    assert_int_equal(fread(stored, 1, LARGE, f), size);
    fclose(f);
    assert_memory_equal(stored, bytes, size);
    free(stored);
    OK(&cx, digest_new(&cx, &d));
    digest_add(d, bytes, size);
    digest_hex(d, want);
    digest_free(d);
    digest_hex(digest, got);
    assert_string_equal(got, want);
}

static void pieces_of_any_size_become_the_same_file_and_digest(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 4095, 131072, 700000, 3 << 20};
    size_t at = HEAD, turn = 0, size = LARGE - 777; /* the end is not a whole block */
    struct spool *s = spool_new(blob, digest);
    assert_non_null(s);
    while (at < size) {
        size_t next = sizes[turn++ % ARRAY_LEN(sizes)], n = MIN(next, size - at);
        OK(&cx, spool_add(&cx, s, bytes + at, n));
        at += n;
    }
    OK(&cx, spool_finish(&cx, s));
    spool_free(s);
    is_stored(size);
}

static void an_empty_spool_changes_nothing(void **state)
{
    (void)state;
    struct spool *s = spool_new(blob, digest);
    assert_non_null(s);
    OK(&cx, spool_finish(&cx, s));
    spool_free(s);
    spool_free(NULL);
    is_stored(HEAD);
}

static void what_is_dropped_in_the_middle_leaves_nothing(void **state)
{
    (void)state;
    struct spool *s = spool_new(blob, digest);
    assert_non_null(s);
    OK(&cx, spool_add(&cx, s, bytes + HEAD, LARGE - HEAD - 1));
    spool_free(s);
    blob_close(blob);
    blob = NULL;
    assert_int_equal(files(), 0);
}

static void a_full_disk_is_told_by_a_later_piece_or_at_the_end(void **state)
{
    (void)state;
    struct rlimit old, small = {.rlim_cur = HEAD + (1 << 20)};
    getrlimit(RLIMIT_FSIZE, &old);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small); /* EFBIG stands in for ENOSPC */
    struct spool *s = spool_new(blob, digest);
    enum code code = spool_add(&cx, s, bytes + HEAD, LARGE - HEAD);
    if (code == CODE_OK)
        code = spool_finish(&cx, s);
    setrlimit(RLIMIT_FSIZE, &old);
    CONTAINS(FAILS(&cx, CODE_STORAGE_FULL, code), ".incoming");
    spool_free(s);
    blob_close(blob);
    blob = NULL;
    assert_int_equal(files(), 0);
}

static void their_number_is_bounded_and_a_freed_one_makes_room(void **state)
{
    (void)state;
    struct spool *all[SPOOL_MAX];
    for (int i = 0; i < SPOOL_MAX; i++)
        assert_non_null(all[i] = spool_new(blob, digest));
    assert_null(spool_new(blob, digest));
    spool_free(all[0]);
    assert_non_null(all[0] = spool_new(blob, digest));
    for (int i = 0; i < SPOOL_MAX; i++)
        spool_free(all[i]);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(pieces_of_any_size_become_the_same_file_and_digest),
        TEST(an_empty_spool_changes_nothing),
        TEST(what_is_dropped_in_the_middle_leaves_nothing),
        TEST(a_full_disk_is_told_by_a_later_piece_or_at_the_end),
        TEST(their_number_is_bounded_and_a_freed_one_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
