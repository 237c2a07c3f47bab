/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_documents.c - pages and chunks from a worker's hands to a reader's eyes (jobs/finish.c,
 * documents.c). */
#include "tests/support/fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/str.h"

static char pool[37];

static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    fixture_pool(1, pool);
    return 0;
}

static struct job_claim claimed(void)
{
    return fixture_claim(pool, fixture_job("medium"));
}

static const char *document_of(const struct job_claim *claim)
{
    return fixture_sql("SELECT document_id FROM processing_jobs WHERE job_id = '%s'",
                       claim->job_id);
}

/* ---- checkpoints ---- */

static void pages_are_committed_once_and_known_to_the_next_attempt(void **state)
{
    (void)state;
    struct job_claim c = claimed();
    struct job_page pages[3] = {fixture_page(1, "one"), fixture_page(2, "two"),
                                fixture_page(4, "four")};
    pages[1].engine = "ocr";
    pages[1].confidence = 0.5;
    pages[1].label = "ii";
    pages[1].layout = (const unsigned char *)"\0\xff";
    pages[1].layout_len = 2;
    OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &c, pages, 3));
    OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &c, pages, 0));
    pages[1].text = "another reading";
    OK(&fx.cx,
       jobs_save_pages(&fx.cx, fx.jobs, &c, pages, 3)); /* the answer to the first was lost */
    assert_string_equal(fixture_sql(
                            "SELECT string_agg(text, ' ' ORDER BY page) FROM document_pages"),
                        "one two four");
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &c, CODE_UNAVAILABLE, "away"));
    fixture_sql("UPDATE processing_jobs SET ready_at = now()");
    c = fixture_claim(pool, c.job_id);
    const char *engines[4] = {NULL};
    OK(&fx.cx, jobs_known_pages(&fx.cx, fx.jobs, &c, 3, engines)); /* page 4 is out of range now */
    assert_string_equal(engines[0], "text");
    assert_string_equal(engines[1], "ocr");
    assert_null(engines[2]);
    assert_null(engines[3]);
}

static void pages_are_read_back_in_slices_and_in_order(void **state)
{
    (void)state;
    struct job_claim c = claimed();
    for (int i = 7; i >= 1; i--) {
        struct job_page page = fixture_page(i, ctx_printf(&fx.cx, "text of %d", i));
        page.layout = (const unsigned char *)&"\1\2\3\4\5\6\7"[i - 1];
        page.layout_len = 1;
        OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &c, &page, 1));
    }
    OK(&fx.cx, jobs_finish_begin(&fx.cx, fx.jobs, &c));
    int after = 0, n, seen = 0;
    do {
        struct job_page pages[3];
        OK(&fx.cx, jobs_finish_read_pages(&fx.cx, fx.jobs, &c, after, 3, pages, &n));
        for (int i = 0; i < n; i++) {
            assert_int_equal(pages[i].page, ++seen);
            assert_string_equal(pages[i].text, ctx_printf(&fx.cx, "text of %d", seen));
            assert_int_equal(pages[i].layout_len, 1);
            assert_int_equal(pages[i].layout[0], seen);
            after = pages[i].page;
        }
    } while (n);
    jobs_finish_abort(fx.jobs);
    assert_int_equal(seen, 7);
}

/* ---- the result ---- */

static void the_result_counts_engines_and_names_pages_that_failed(void **state)
{
    (void)state;
    struct job_claim c = claimed();
    struct job_page pages[5] = {fixture_page(1, "a"), fixture_page(2, "b"), fixture_page(3, "c"),
                                fixture_page(4, ""), fixture_page(5, "")};
    pages[1].engine = pages[2].engine = "ocr";
    pages[1].confidence = 0.5;
    pages[2].confidence = 0.75;
    pages[3].engine = pages[4].engine = "failed";
    pages[3].error = "took longer than 120 s";
    pages[4].reason = "no error, but a reason";
    OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &c, pages, 5));
    const struct job_document doc = {.title = "T\xc3\xaftle",
                                     .page_count = 5,
                                     .content_type = "application/pdf",
                                     .extract_ms = 11,
                                     .total_ms = 22};
    OK(&fx.cx, jobs_finish_begin(&fx.cx, fx.jobs, &c));
    OK(&fx.cx, jobs_finish_commit(&fx.cx, fx.jobs, &c, &doc));
    Localrag__V1__Job *job;
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, c.job_id, &job));
    assert_int_equal(job->status, LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED);
    assert_true(job->progress == 100);
    assert_int_equal(job->pages_total, 5);
    const Localrag__V1__DocumentResult *r = job->result->document;
    assert_string_equal(r->document_id, job->document_id);
    assert_int_equal(r->page_count, 5);
    assert_int_equal(r->chunk_count, 0);
    assert_int_equal(r->n_engines, 3);
    for (size_t i = 0; i < r->n_engines; i++)
        assert_int_equal(r->engines[i]->value, strcmp(r->engines[i]->key, "text") == 0 ? 1 : 2);
    assert_true(r->ocr_mean_confidence == 0.625);
    assert_int_equal(r->n_failed_pages, 2);
    assert_int_equal(r->failed_pages[0]->page, 4);
    assert_string_equal(r->failed_pages[0]->reason, "took longer than 120 s");
    assert_string_equal(r->failed_pages[1]->reason, "no error, but a reason");
    assert_int_equal(r->timings->extract_ms, 11);
    assert_int_equal(r->timings->total_ms, 22);
    assert_int_equal(r->n_languages, 1);
}

static void a_document_none_of_whose_pages_could_be_read_is_unreadable(void **state)
{
    (void)state;
    struct job_claim c = claimed();
    struct job_page pages[2] = {fixture_page(1, ""), fixture_page(2, "")};
    pages[0].engine = pages[1].engine = "failed";
    pages[0].error = "damaged stream";
    const struct job_document doc = {.page_count = 2, .content_type = "application/pdf"};
    OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &c, pages, 2));
    OK(&fx.cx, jobs_finish_begin(&fx.cx, fx.jobs, &c));
    CONTAINS(FAILS(&fx.cx, CODE_UNREADABLE, jobs_finish_commit(&fx.cx, fx.jobs, &c, &doc)),
             "damaged stream");
    jobs_finish_abort(fx.jobs);
    OK(&fx.cx, jobs_fail(&fx.cx, fx.jobs, &c, CODE_UNREADABLE, "none of the pages"));
    assert_int_equal(fixture_number("SELECT count(*) FROM documents"), 0);
    assert_string_equal(fixture_status(c.job_id), "failed");
}

static void a_result_that_somebody_edited_costs_the_result_not_the_job(void **state)
{
    (void)state;
    struct job_claim c = claimed();
    Localrag__V1__Job *job;
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &c, 1));
    fixture_sql("UPDATE processing_jobs SET result = '{\"page_count\": \"many\"}'");
    OK(&fx.cx, jobs_get(&fx.cx, fx.jobs, c.job_id, &job));
    assert_null(job->result);
    assert_int_equal(job->status, LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED);
}

/* ---- readers ---- */

static void a_document_is_read_as_it_was_stored(void **state)
{
    (void)state;
    char id[37];
    str_uuid(id);
    struct job_submission in = fixture_submission(id, "hash");
    static const char *const languages[] = {"deu", NULL};
    in.file_name = "\xc3\x84"
                   "rger.pdf";
    in.file_size = 1234567890123;
    in.metadata_json = "{\"a\":{\"b\":[true]}}";
    in.languages = languages;
    struct job_submitted out;
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &in, &out));
    struct job_claim c = fixture_claim(pool, id);
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &c, 3));
    Localrag__V1__Document d = LOCALRAG__V1__DOCUMENT__INIT;
    OK(&fx.cx, jobs_document(&fx.cx, fx.jobs, document_of(&c), &d));
    assert_string_equal(d.file_name, in.file_name);
    assert_string_equal(d.file_path, in.file_path);
    assert_true(d.file_size == in.file_size);
    assert_string_equal(d.content_hash, "hash");
    assert_int_equal(d.page_count, 3);
    assert_int_equal(d.chunk_count, 1);
    assert_int_equal(d.revision, 1);
    assert_int_equal(d.n_languages, 1);
    assert_string_equal(d.languages[0], "deu");
    assert_int_equal(d.metadata->n_fields, 1);
    assert_int_equal(d._title_case, LOCALRAG__V1__DOCUMENT___TITLE__NOT_SET);

    FAILS(&fx.cx, CODE_INVALID_ARGUMENT, jobs_document(&fx.cx, fx.jobs, "x", &d));
    FAILS(&fx.cx, CODE_NOT_FOUND,
          jobs_document(&fx.cx, fx.jobs, id, &d)); /* the job's id is not its id */
}

static void pages_come_in_pages_and_with_text_only_when_asked(void **state)
{
    (void)state;
    struct job_claim c = claimed();
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &c, 25));
    const char *document = document_of(&c), *token = "";
    int seen = 0, answers = 0;
    do {
        Localrag__V1__ListPagesRequest in = LOCALRAG__V1__LIST_PAGES_REQUEST__INIT;
        Localrag__V1__ListPagesResponse out = LOCALRAG__V1__LIST_PAGES_RESPONSE__INIT;
        in.document_id = (char *)document;
        in.limit = 10;
        in.text = answers == 1;
        in.page_token = (char *)token;
        OK(&fx.cx, jobs_document_pages(&fx.cx, fx.jobs, &in, &out));
        assert_int_equal(out.total, 25);
        for (size_t i = 0; i < out.n_pages; i++) {
            assert_int_equal(out.pages[i]->page, ++seen);
            assert_int_equal(out.pages[i]->engine, LOCALRAG__V1__PAGE_ENGINE__PAGE_ENGINE_TEXT);
            if (in.text)
                assert_string_equal(out.pages[i]->text, "words");
            else
                assert_int_equal(out.pages[i]->_text_case, LOCALRAG__V1__PAGE___TEXT__NOT_SET);
            assert_int_equal(out.pages[i]->_confidence_case,
                             LOCALRAG__V1__PAGE___CONFIDENCE__NOT_SET);
        }
        token = out.next_page_token;
        answers++;
    } while (*token);
    assert_int_equal(seen, 25);
    assert_int_equal(answers, 3);
}

static void an_answer_with_huge_pages_is_cut_and_goes_on_with_its_token(void **state)
{
    (void)state;
    struct job_claim c = claimed();
    char *text = ctx_alloc(&fx.cx, (2 << 20) + 1);
    memset(text, 'x', 2 << 20);
    for (int i = 1; i <= 5; i++) {
        struct job_page page = fixture_page(i, text);
        OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &c, &page, 1));
    }
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &c, 5));
    const char *document = document_of(&c), *token = "";
    size_t seen = 0;
    do {
        Localrag__V1__ListPagesRequest in = LOCALRAG__V1__LIST_PAGES_REQUEST__INIT;
        Localrag__V1__ListPagesResponse out = LOCALRAG__V1__LIST_PAGES_RESPONSE__INIT;
        in.document_id = (char *)document;
        in.text = true;
        in.page_token = (char *)token;
        OK(&fx.cx, jobs_document_pages(&fx.cx, fx.jobs, &in, &out));
        assert_in_range(out.n_pages, 1, 2);
        seen += out.n_pages;
        token = out.next_page_token;
    } while (*token);
    assert_int_equal(seen, 5);
}

static void chunks_keep_content_spans_and_headings(void **state)
{
    (void)state;
    struct job_claim c = claimed();
    struct job_page page = fixture_page(1, "Gr\xc3\xbc\xc3\x9f"
                                           "e an alle");
    struct job_chunk chunks[3];
    for (int i = 0; i < 3; i++)
        chunks[i] =
            (struct job_chunk){.index = i,
                               .page_start = 1,
                               .page_end = 2,
                               .token_count = 7,
                               .content = "Gr\xc3\xbc\xc3\x9f"
                                          "e \"an\" {alle}",
                               .spans_json = "[{\"page\":1,\"start\":0,\"end\":14,\"boxes\":[{"
                                             "\"x0\":1.5,\"y0\":2,\"x1\":3,\"y1\":4}]}]",
                               .heading_path_json = "[\"Kapitel \\\"1\\\"\",\"A, B\"]"};
    const struct job_document doc = {.page_count = 1, .content_type = "text/plain"};
    OK(&fx.cx, jobs_save_pages(&fx.cx, fx.jobs, &c, &page, 1));
    OK(&fx.cx, jobs_finish_begin(&fx.cx, fx.jobs, &c));
    OK(&fx.cx, jobs_finish_add_chunks(&fx.cx, fx.jobs, &c, chunks, 2));
    OK(&fx.cx, jobs_finish_add_chunks(&fx.cx, fx.jobs, &c, chunks + 2, 1));
    OK(&fx.cx, jobs_finish_commit(&fx.cx, fx.jobs, &c, &doc));

    Localrag__V1__ListChunksRequest in = LOCALRAG__V1__LIST_CHUNKS_REQUEST__INIT;
    Localrag__V1__ListChunksResponse out = LOCALRAG__V1__LIST_CHUNKS_RESPONSE__INIT;
    in.document_id = (char *)document_of(&c);
    in.limit = 2;
    OK(&fx.cx, jobs_document_chunks(&fx.cx, fx.jobs, &in, &out));
    assert_int_equal(out.total, 3);
    assert_int_equal(out.n_chunks, 2);
    const Localrag__V1__Chunk *chunk = out.chunks[1];
    assert_int_equal(chunk->chunk_index, 1);
    assert_string_equal(chunk->content, chunks[1].content);
    assert_int_equal(chunk->n_spans, 1);
    assert_int_equal(chunk->spans[0]->end, 14);
    assert_int_equal(chunk->spans[0]->n_boxes, 1);
    assert_int_equal(chunk->n_heading_path, 2);
    assert_string_equal(chunk->heading_path[0], "Kapitel \"1\"");
    assert_string_not_equal(out.chunks[0]->chunk_id, out.chunks[1]->chunk_id);
    in.page_token = out.next_page_token;
    localrag__v1__list_chunks_response__init(&out);
    OK(&fx.cx, jobs_document_chunks(&fx.cx, fx.jobs, &in, &out));
    assert_int_equal(out.n_chunks, 1);
    assert_int_equal(out.chunks[0]->chunk_index, 2);
    assert_string_equal(out.next_page_token, "");
}

static void bad_reader_arguments_are_named(void **state)
{
    (void)state;
    Localrag__V1__ListPagesRequest in = LOCALRAG__V1__LIST_PAGES_REQUEST__INIT;
    Localrag__V1__ListPagesResponse out = LOCALRAG__V1__LIST_PAGES_RESPONSE__INIT;
    struct job_claim c = claimed();
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &c, 1));
    in.document_id = (char *)document_of(&c);
    in.limit = 1001;
    CONTAINS(FAILS(&fx.cx, CODE_INVALID_ARGUMENT, jobs_document_pages(&fx.cx, fx.jobs, &in, &out)),
             "limit");
    in.limit = -1;
    FAILS(&fx.cx, CODE_INVALID_ARGUMENT, jobs_document_pages(&fx.cx, fx.jobs, &in, &out));
    in.limit = 1;
    in.page_token = (char *)"1; DROP";
    CONTAINS(FAILS(&fx.cx, CODE_INVALID_ARGUMENT, jobs_document_pages(&fx.cx, fx.jobs, &in, &out)),
             "page_token");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        TEST(pages_are_committed_once_and_known_to_the_next_attempt),
        TEST(pages_are_read_back_in_slices_and_in_order),
        TEST(the_result_counts_engines_and_names_pages_that_failed),
        TEST(a_document_none_of_whose_pages_could_be_read_is_unreadable),
        TEST(a_result_that_somebody_edited_costs_the_result_not_the_job),
        TEST(a_document_is_read_as_it_was_stored),
        TEST(pages_come_in_pages_and_with_text_only_when_asked),
        TEST(an_answer_with_huge_pages_is_cut_and_goes_on_with_its_token),
        TEST(chunks_keep_content_spans_and_headings),
        TEST(bad_reader_arguments_are_named),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
