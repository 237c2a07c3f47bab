/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_upload.c - an upload is a job with its file, or nothing at all (server/upload.h). */
#include "tests/support/fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/pbjson.h"
#include "base/sniff.h"
#include "base/str.h"
#include "server/upload.h"
#include "store/crypt.h"

static Localrag__V1__UploadMetadata meta;
static Localrag__V1__UploadDocumentResponse out;
static struct upload *u;
static const char pdf[] = "%PDF-1.7\nsome bytes\n";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    nftw(fx.settings.uploads_path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    localrag__v1__upload_metadata__init(&meta);
    localrag__v1__upload_document_response__init(&out);
    meta.filename = (char *)"report.pdf";
    u = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    upload_abort(u);
    return 0;
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
    nftw(fx.settings.uploads_path, count_file, 16, FTW_PHYS);
    return found;
}

static void end(void)
{
    upload_abort(u);
    u = NULL;
}

static enum code finish(struct jobs *jobs)
{
    struct upload_submission one = {&fx.cx, u, &out};
    TRY(upload_check(&fx.cx, u, &meta));
    TRY(upload_store(&fx.cx, u));
    upload_submit_many(jobs, &one, 1);
    return fx.cx.failure.code;
}

static enum code send_bytes(const void *data, size_t len)
{
    end();
    TRY(upload_begin(&fx.cx, &fx.settings, &u));
    TRY(upload_write(&fx.cx, u, data, len));
    return finish(fx.jobs);
}

static enum code send_pdf(void)
{
    return send_bytes(pdf, sizeof(pdf) - 1);
}

/* It was refused with this code, and nothing of it is left: no row, no file. */
static const char *refused(enum code want, enum code got)
{
    const char *message = FAILS(&fx.cx, want, got);
    end();
    assert_int_equal(files(), 0);
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs"), 0);
    return message;
}

static void an_upload_becomes_a_file_and_a_job(void **state)
{
    (void)state;
    OK(&fx.cx, upload_begin(&fx.cx, &fx.settings, &u));
    for (size_t i = 0; i < sizeof(pdf) - 1; i++)
        OK(&fx.cx, upload_write(&fx.cx, u, pdf + i, 1));
    OK(&fx.cx, upload_write(&fx.cx, u, "", 0));
    OK(&fx.cx, finish(fx.jobs));
    end(); /* a mere free now */
    assert_string_equal(out.status, "queued");
    assert_string_equal(out.document_name, "report.pdf");
    assert_int_equal(out.file_size, sizeof(pdf) - 1);
    assert_int_equal(strlen(out.content_hash), 64);
    assert_string_equal(out.message, "Document 'report.pdf' queued for processing...");
    assert_int_equal(out._duplicate_of_case,
                     LOCALRAG__V1__UPLOAD_DOCUMENT_RESPONSE___DUPLICATE_OF__NOT_SET);
    char text[64] = "";
    FILE *f = fopen(out.file_path, "r");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof(text), f), sizeof(pdf) - 1);
    fclose(f);
    assert_string_equal(text, pdf);
    assert_int_equal(files(), 1);
    assert_string_equal(
        fixture_sql("SELECT job_id || ' ' || status || ' ' || priority || ' ' || "
                    "(payload->>'content_type') || ' ' || content_hash FROM processing_jobs"),
        ctx_printf(&fx.cx, "%s pending high application/pdf %s", out.job_id, out.content_hash));
}

/* Enough of them for one sync of the file system, where there is such a thing. */
static void uploads_that_wait_together_have_a_file_and_a_job_each(void **state)
{
    (void)state;
    enum { N = 10 };
    struct ctx contexts[N];
    struct upload *uploads[N];
    Localrag__V1__UploadDocumentResponse answers[N];
    struct upload_submission all[N];
    for (int i = 0; i < N; i++) {
        ctx_init(&contexts[i], CTX_DEFAULT_LIMIT);
        OK(&contexts[i], upload_begin(&contexts[i], &fx.settings, &uploads[i]));
        OK(&contexts[i], upload_write(&contexts[i], uploads[i], pdf, sizeof(pdf) - 1 - (size_t)i));
        OK(&contexts[i], upload_check(&contexts[i], uploads[i], &meta));
        localrag__v1__upload_document_response__init(&answers[i]);
        all[i] = (struct upload_submission){&contexts[i], uploads[i], &answers[i]};
    }
    OK(&contexts[0], upload_store(&contexts[0], uploads[0])); /* one is stored already */
    assert_int_equal(files(), 1);
    upload_submit_many(fx.jobs, all, N);
    for (int i = 0; i < N; i++) {
        struct stat st;
        OK(&contexts[i], contexts[i].failure.code);
        assert_int_equal(stat(answers[i].file_path, &st), 0);
        assert_int_equal(st.st_size, (int)sizeof(pdf) - 1 - i);
        upload_abort(uploads[i]);
        ctx_done(&contexts[i]);
    }
    assert_int_equal(files(), N);
    assert_int_equal(fixture_number("SELECT count(DISTINCT content_hash) FROM processing_jobs"), N);
}

static void too_large_is_known_in_the_middle(void **state)
{
    (void)state;
    char piece[60000];
    memset(piece, 'x', sizeof(piece));
    memcpy(piece, pdf, sizeof(pdf) - 1);
    fx.settings.max_upload_size = 100000;
    OK(&fx.cx, upload_begin(&fx.cx, &fx.settings, &u));
    OK(&fx.cx, upload_write(&fx.cx, u, piece, sizeof(piece)));
    OK(&fx.cx, upload_write(&fx.cx, u, piece, 40000)); /* the limit itself is fine */
    CONTAINS(refused(CODE_TOO_LARGE, upload_write(&fx.cx, u, piece, 1)), "100 kB");
}

/* So large that threads of its own hash and write it. */
static void a_very_large_one_is_the_file_that_was_sent(void **state)
{
    (void)state;
    enum { SIZE = 20000001, PIECE = 65521 };
    char *bytes = malloc(SIZE), *stored = malloc(SIZE), want[65];
    struct digest *d;
    assert_true(bytes && stored);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * i >> 7);
    memcpy(bytes, pdf, sizeof(pdf) - 1);
    OK(&fx.cx, upload_begin(&fx.cx, &fx.settings, &u));
    for (size_t at = 0; at < SIZE; at += PIECE)
        OK(&fx.cx, upload_write(&fx.cx, u, bytes + at, MIN(PIECE, SIZE - at)));
    OK(&fx.cx, finish(fx.jobs));
    end();
    FILE *f = fopen(out.file_path, "r");
    assert_non_null(f);
    assert_int_equal(fread(stored, 1, SIZE, f), SIZE);
    fclose(f);
    assert_memory_equal(stored, bytes, SIZE);
    OK(&fx.cx, digest_new(&fx.cx, &d));
    digest_add(d, bytes, SIZE);
    digest_hex(d, want);
    digest_free(d);
    assert_string_equal(out.content_hash, want);
    assert_int_equal(out.file_size, SIZE);
    free(stored);

    OK(&fx.cx, upload_begin(&fx.cx, &fx.settings, &u));
    for (size_t at = 0; at + PIECE < SIZE; at += PIECE)
        OK(&fx.cx, upload_write(&fx.cx, u, bytes + at, PIECE));
    end(); /* the client is gone */
    assert_int_equal(files(), 1);
    free(bytes);
}

static void a_type_nobody_reads_is_refused_before_the_rest_has_come(void **state)
{
    (void)state;
    static char video[SNIFF_BYTES] = "\0\0\0\x18"
                                     "ftypmp42";
    CONTAINS(refused(CODE_UNSUPPORTED, send_bytes("MZ\x90\0\x03", 5)), "Windows");
    meta.filename = (char *)"report.pdf"; /* whatever its name says */
    CONTAINS(refused(CODE_UNSUPPORTED, send_bytes("PK\x03\x04\x14\0\0\0", 8)), "ZIP");
    OK(&fx.cx, upload_begin(&fx.cx, &fx.settings, &u));
    OK(&fx.cx, upload_write(&fx.cx, u, video, sizeof(video) - 1));
    CONTAINS(refused(CODE_UNSUPPORTED, upload_write(&fx.cx, u, "\0", 1)), "video");
}

static void nothing_is_no_file(void **state)
{
    (void)state;
    CONTAINS(refused(CODE_INVALID_ARGUMENT, send_bytes("", 0)), "empty");
}

static void an_upload_that_is_cut_leaves_nothing(void **state)
{
    (void)state;
    OK(&fx.cx, upload_begin(&fx.cx, &fx.settings, &u));
    static char large[SNIFF_BYTES + 1] = "%PDF-1.7\n";
    OK(&fx.cx, upload_write(&fx.cx, u, pdf, sizeof(pdf) - 1));
    assert_int_equal(files(), 0); /* a small one is not on the disk yet */
    OK(&fx.cx, upload_write(&fx.cx, u, large, sizeof(large)));
    assert_int_equal(files(), 1);
    end();
    assert_int_equal(files(), 0);
    OK(&fx.cx, upload_begin(&fx.cx, &fx.settings, &u));
    OK(&fx.cx, upload_write(&fx.cx, u, pdf, sizeof(pdf) - 1));
    OK(&fx.cx, upload_check(&fx.cx, u, &meta));
    assert_int_equal(files(), 0);
    OK(&fx.cx, upload_store(&fx.cx, u));
    assert_int_equal(files(), 1);
    end();
    assert_int_equal(files(), 0);
    upload_abort(NULL);
}

static void hostile_names_are_accepted_and_never_leave_their_folder(void **state)
{
    (void)state;
    char longest[5001];
    memset(longest, 'n', 5000);
    strcpy(longest + 4996, ".pdf");
    char *const names[] = {(char *)"../../../../tmp/evil.pdf",
                           (char *)"/etc/passwd",
                           (char *)"..",
                           (char *)"a\nb.pdf",
                           (char *)"C:\\x\\y.pdf",
                           (char *)"'; DROP TABLE jobs; --",
                           (char *)"\xff\xfe.pdf",
                           (char *)".incoming",
                           longest};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        meta.filename = names[i];
        OK(&fx.cx, send_pdf());
        const char *folder = ctx_printf(&fx.cx, "%s/%s/", fx.settings.uploads_path, out.job_id);
        assert_true(str_starts(out.file_path, folder));
        assert_null(strchr(out.file_path + strlen(folder), '/'));
        assert_string_equal(out.file_path + strlen(folder), out.document_name);
        assert_in_range(strlen(out.document_name), 1, 200);
        assert_int_equal(access(out.file_path, R_OK), 0);
    }
    assert_int_equal(files(), ARRAY_LEN(names));
}

static void the_same_key_again_answers_with_the_first_job_and_keeps_one_file(void **state)
{
    (void)state;
    meta.idempotency_key = (char *)"key";
    OK(&fx.cx, send_pdf());
    const char *first = out.job_id, *path = out.file_path;
    meta.filename = (char *)"again.pdf";
    OK(&fx.cx, send_pdf());
    end();
    assert_string_equal(out.job_id, first);
    assert_string_equal(out.file_path, path);
    assert_string_equal(out.document_name, "report.pdf");
    assert_int_equal(files(), 1);
    FAILS(&fx.cx, CODE_ALREADY_EXISTS, send_bytes("other text", 10));
    end();
    assert_int_equal(files(), 1);
    assert_int_equal(access(path, R_OK), 0);
    assert_int_equal(fixture_number("SELECT count(*) FROM processing_jobs"), 1);
}

static void what_the_client_says_about_it_is_checked(void **state)
{
    (void)state;
    char long_key[257];
    memset(long_key, 'k', 256);
    long_key[256] = '\0';
    char *names[17];
    for (int i = 0; i < 17; i++)
        names[i] = (char *)"eng";
#define REFUSES(field, value)                                                                      \
    do {                                                                                           \
        localrag__v1__upload_metadata__init(&meta);                                                \
        meta.filename = (char *)"a.pdf";                                                           \
        meta.field = value;                                                                        \
        CONTAINS(refused(CODE_INVALID_ARGUMENT, send_pdf()), #field);                              \
    } while (0)
    REFUSES(filename, (char *)"");
    REFUSES(idempotency_key, long_key);
    REFUSES(idempotency_key, (char *)"\xff");
    REFUSES(priority, (Localrag__V1__Priority)77);
    char *const bad_languages[] = {(char *)"../eng",         (char *)"E",        (char *)"x",
                                   (char *)"eng+deu",        (char *)"null",     (char *)"chi_",
                                   (char *)"chi_sim_vert_x", (char *)"chi_simpl"};
    for (unsigned i = 0; i < ARRAY_LEN(bad_languages); i++) {
        localrag__v1__upload_metadata__init(&meta);
        meta.filename = (char *)"a.pdf";
        meta.languages = (char **)&bad_languages[i];
        meta.n_languages = 1;
        CONTAINS(refused(CODE_INVALID_ARGUMENT, send_pdf()), "languages");
    }
    meta.languages = names;
    meta.n_languages = 17;
    CONTAINS(refused(CODE_INVALID_ARGUMENT, send_pdf()), "languages");
    meta.n_languages = 16;
    OK(&fx.cx, send_pdf());
    FAILS(&fx.cx, CODE_INVALID_ARGUMENT, upload_check(&fx.cx, u, NULL));
}

static void metadata_is_stored_as_json_up_to_64_kilobytes(void **state)
{
    (void)state;
    ProtobufCMessage *m;
    const char *json =
        "{\"author\":\"J\xc3\xbcrgen \\\"X\\\"\",\"n\":[1,2.5,null,{\"deep\":true}]}";
    OK(&fx.cx, pbjson_read(&fx.cx, &google__protobuf__struct__descriptor, json, strlen(json), &m));
    meta.metadata = (Google__Protobuf__Struct *)m;
    OK(&fx.cx, send_pdf());
    end();
    assert_string_equal(fixture_sql("SELECT payload->'metadata' = '%s'::jsonb FROM processing_jobs",
                                    json),
                        "t");
    assert_int_equal(setup(NULL), 0);
    char *huge = ctx_alloc(&fx.cx, 70000);
    memset(huge, 'x', 69990);
    memcpy(huge, "{\"a\":\"", 6);
    strcpy(huge + 69990, "\"}");
    OK(&fx.cx, pbjson_read(&fx.cx, &google__protobuf__struct__descriptor, huge, strlen(huge), &m));
    meta.metadata = (Google__Protobuf__Struct *)m;
    CONTAINS(refused(CODE_INVALID_ARGUMENT, send_pdf()), "metadata");
}

static void a_password_is_stored_sealed_and_opens_for_its_claim(void **state)
{
    (void)state;
    char pool[37];
    meta.password = (char *)"hunter2";
    OK(&fx.cx, send_pdf());
    assert_int_equal(fixture_number(
                         "SELECT count(*) FROM processing_jobs AS j WHERE row(j.*)::text LIKE "
                         "'%%hunter2%%' OR position('hunter2'::bytea IN sealed_password) > 0"),
                     0);
    fixture_pool(1, pool);
    struct job_claim claim = fixture_claim(pool, out.job_id);
    const char *password;
    OK(&fx.cx, jobs_claim_password(&fx.cx, fx.jobs, &claim, &password));
    assert_string_equal(password, "hunter2");
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, out.job_id));
    assert_string_equal(fixture_sql("SELECT sealed_password IS NULL FROM processing_jobs"), "t");
    meta.password = (char *)"";
    OK(&fx.cx, send_pdf());
    claim = fixture_claim(pool, out.job_id);
    OK(&fx.cx, jobs_claim_password(&fx.cx, fx.jobs, &claim, &password));
    assert_null(password);
}

static void a_password_too_long_to_be_one_is_refused(void **state)
{
    (void)state;
    char password[2000];
    memset(password, 'p', sizeof(password) - 1);
    password[sizeof(password) - 1] = '\0';
    meta.password = password;
    LACKS(refused(CODE_INVALID_ARGUMENT, send_pdf()), "ppp");
}

static void languages_are_those_of_the_reader(void **state)
{
    (void)state;
    char *names[] = {(char *)"de", (char *)"eng", (char *)"chi_sim_vert"};
    meta.languages = names;
    meta.n_languages = 3;
    meta.priority = LOCALRAG__V1__PRIORITY__PRIORITY_LOW;
    OK(&fx.cx, send_pdf());
    assert_string_equal(fixture_sql(
                            "SELECT priority || (payload->'languages')::text FROM processing_jobs"),
                        "low[\"deu\", \"eng\", \"chi_sim_vert\"]");
}

static void a_closed_queue_takes_no_bytes(void **state)
{
    (void)state;
    fx.settings.queue_enabled = false;
    CONTAINS(refused(CODE_UNAVAILABLE, upload_begin(&fx.cx, &fx.settings, &u)),
             "TASK_QUEUE_ENABLED");
}

static void without_a_database_nothing_is_kept(void **state)
{
    (void)state;
    struct settings away = fx.settings;
    away.database_url = "host=/nonexistent port=1 dbname=x";
    away.duplicate_detection = false; /* so that the insert itself is the first to fail */
    CLEANUP(jobs_closep) struct jobs *jobs = NULL;
    OK(&fx.cx, jobs_open(&fx.cx, &away, "test", &jobs));
    OK(&fx.cx, upload_begin(&fx.cx, &fx.settings, &u));
    OK(&fx.cx, upload_write(&fx.cx, u, pdf, sizeof(pdf) - 1));
    refused(CODE_UNAVAILABLE, finish(jobs));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_upload_becomes_a_file_and_a_job),
        TEST(uploads_that_wait_together_have_a_file_and_a_job_each),
        TEST(too_large_is_known_in_the_middle),
        TEST(a_very_large_one_is_the_file_that_was_sent),
        TEST(a_type_nobody_reads_is_refused_before_the_rest_has_come),
        TEST(nothing_is_no_file),
        TEST(an_upload_that_is_cut_leaves_nothing),
        TEST(hostile_names_are_accepted_and_never_leave_their_folder),
        TEST(the_same_key_again_answers_with_the_first_job_and_keeps_one_file),
        TEST(what_the_client_says_about_it_is_checked),
        TEST(metadata_is_stored_as_json_up_to_64_kilobytes),
        TEST(a_password_is_stored_sealed_and_opens_for_its_claim),
        TEST(a_password_too_long_to_be_one_is_refused),
        TEST(languages_are_those_of_the_reader),
        TEST(a_closed_queue_takes_no_bytes),
        TEST(without_a_database_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
