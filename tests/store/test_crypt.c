/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_crypt.c - SHA-256, and passwords that open for their job only (store/crypt.h). */
#include "tests/support/check.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/crypt.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define OTHER "0f8fad5b-d9cb-469f-a165-70867728950f"

static char folder[64], key[96], other_key[96];
static struct ctx cx;

static int setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/localrag-crypt-XXXXXX");
    ctx_init(&cx, 1 << 20);
    if (!mkdtemp(folder))
        return -1;
    snprintf(key, sizeof(key), "%s/secret.key", folder);
    snprintf(other_key, sizeof(other_key), "%s/other.key", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ctx_done(&cx);
    unlink(key);
    unlink(other_key);
    return rmdir(folder); /* fails when a half-made key was left */
}

static void sha256_is_what_the_standard_says(void **state)
{
    (void)state;
    char hex[65];
    struct digest *d;
    OK(&cx, digest_text(&cx, "", hex));
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    OK(&cx, digest_new(&cx, &d)); /* FIPS 180-4: "abc", in pieces */
    digest_add(d, "a", 1);
    digest_add(d, "", 0);
    digest_add(d, "bc", 2);
    digest_hex(d, hex);
    digest_free(d);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_free(NULL);
}

static void a_sealed_password_opens_for_its_job(void **state)
{
    (void)state;
    static const char *const passwords[] = {"hunter2", "", "p\xc3\xa4ss \"w\" \n",
                                            "0123456789abcdef"};
    for (unsigned i = 0; i < ARRAY_LEN(passwords); i++) {
        const unsigned char *sealed, *again;
        size_t n, m;
        const char *plain;
        OK(&cx, crypt_seal(&cx, key, ID, passwords[i], &sealed, &n));
        OK(&cx, crypt_open(&cx, key, ID, sealed, n, &plain));
        assert_string_equal(plain, passwords[i]);
        OK(&cx, crypt_seal(&cx, key, ID, passwords[i], &again, &m));
        assert_int_equal(n, m);
        assert_memory_not_equal(sealed, again, n); /* a new nonce each time */
        if (*passwords[i])
            assert_null(memmem(sealed, n, passwords[i], strlen(passwords[i])));
    }
    struct stat st;
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(st.st_size, 32);
}

static void it_opens_for_no_other_job_and_under_no_other_key(void **state)
{
    (void)state;
    const unsigned char *sealed, *unused;
    size_t n, m;
    const char *plain = NULL;
    OK(&cx, crypt_seal(&cx, key, ID, "hunter2", &sealed, &n));
    OK(&cx, crypt_seal(&cx, other_key, ID, "x", &unused, &m)); /* makes the other key */
    LACKS(FAILS(&cx, CODE_UNREADABLE, crypt_open(&cx, key, OTHER, sealed, n, &plain)), "hunter2");
    FAILS(&cx, CODE_UNREADABLE, crypt_open(&cx, other_key, ID, sealed, n, &plain));
    assert_null(plain);
}

static void a_changed_or_truncated_one_opens_not_at_all(void **state)
{
    (void)state;
    const unsigned char *sealed;
    size_t n;
    const char *plain = NULL;
    OK(&cx, crypt_seal(&cx, key, ID, "hunter2", &sealed, &n));
    unsigned char *bad = ctx_alloc(&cx, n + 2000);
    for (size_t i = 0; i < n; i++) {
        memcpy(bad, sealed, n);
        bad[i] ^= 1;
        FAILS(&cx, CODE_UNREADABLE, crypt_open(&cx, key, ID, bad, n, &plain));
    }
    for (size_t i = 0; i < n; i++)
        FAILS(&cx, CODE_UNREADABLE, crypt_open(&cx, key, ID, sealed, i, &plain));
    memcpy(bad, sealed, n);
    FAILS(&cx, CODE_UNREADABLE, crypt_open(&cx, key, ID, bad, n + 1, &plain));
    FAILS(&cx, CODE_UNREADABLE, crypt_open(&cx, key, ID, bad, n + 2000, &plain));
    assert_null(plain);
}

static void a_missing_key_is_not_made_to_open_something(void **state)
{
    (void)state;
    const unsigned char *sealed;
    size_t n;
    const char *plain;
    OK(&cx, crypt_seal(&cx, key, ID, "x", &sealed, &n));
    unlink(key);
    CONTAINS(FAILS(&cx, CODE_UNAVAILABLE, crypt_open(&cx, key, ID, sealed, n, &plain)), key);
    assert_int_equal(access(key, F_OK), -1);
    CONTAINS(FAILS(&cx, CODE_UNAVAILABLE,
                   crypt_seal(&cx, "/nonexistent/key", ID, "x", &sealed, &n)),
             "/nonexistent/key");
}

static void a_damaged_key_file_is_refused_and_kept(void **state)
{
    (void)state;
    const unsigned char *sealed;
    size_t n;
    FILE *f = fopen(key, "w");
    assert_non_null(f);
    fputs("short", f);
    fclose(f);
    FAILS(&cx, CODE_UNAVAILABLE, crypt_seal(&cx, key, ID, "x", &sealed, &n));
    struct stat st;
    assert_int_equal(stat(key, &st), 0);
    assert_int_equal(st.st_size, 5);
}

static void a_password_has_a_longest_length(void **state)
{
    (void)state;
    char password[1100];
    const unsigned char *sealed;
    size_t n;
    const char *plain;
    memset(password, 'p', sizeof(password));
    password[1025] = '\0';
    LACKS(FAILS(&cx, CODE_INVALID_ARGUMENT, crypt_seal(&cx, key, ID, password, &sealed, &n)),
          "ppp");
    password[1024] = '\0';
    OK(&cx, crypt_seal(&cx, key, ID, password, &sealed, &n));
    OK(&cx, crypt_open(&cx, key, ID, sealed, n, &plain));
    assert_string_equal(plain, password);
}

struct sealer {
    pthread_t thread;
    struct ctx cx;
    enum code code;
    const unsigned char *sealed;
    size_t n;
};

static void *seal(void *arg)
{
    struct sealer *s = arg;
    s->code = crypt_seal(&s->cx, key, ID, "hunter2", &s->sealed, &s->n);
    return NULL;
}

static void processes_that_start_together_agree_on_one_key(void **state)
{
    (void)state;
    struct sealer s[8];
    for (unsigned round = 0; round < 20; round++) {
        unlink(key);
        for (unsigned i = 0; i < ARRAY_LEN(s); i++) {
            ctx_init(&s[i].cx, 1 << 16);
            assert_int_equal(pthread_create(&s[i].thread, NULL, seal, &s[i]), 0);
        }
        for (unsigned i = 0; i < ARRAY_LEN(s); i++)
            pthread_join(s[i].thread, NULL);
        for (unsigned i = 0; i < ARRAY_LEN(s); i++) {
            const char *plain;
            OK(&s[i].cx, s[i].code);
            OK(&s[i].cx, crypt_open(&s[i].cx, key, ID, s[i].sealed, s[i].n, &plain));
            ctx_done(&s[i].cx);
        }
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(sha256_is_what_the_standard_says),
        TEST(a_sealed_password_opens_for_its_job),
        TEST(it_opens_for_no_other_job_and_under_no_other_key),
        TEST(a_changed_or_truncated_one_opens_not_at_all),
        TEST(a_missing_key_is_not_made_to_open_something),
        TEST(a_damaged_key_file_is_refused_and_kept),
        TEST(a_password_has_a_longest_length),
        TEST(processes_that_start_together_agree_on_one_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
