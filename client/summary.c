/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* summary.c - results as a person wants to read them (summary.h).
 *
 * A field without a value is left out, never shown as zero or empty. Lists are cut at MAX_LISTED
 * with the number of the rest; --json has everything. Called at the end of `upload` and `jobs
 * watch`, and by the commands that show one thing. */
#include "client/summary.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "client/text.h"

enum { LABEL_COLUMN = 11, MAX_LISTED = 20 };

void summary_field(struct buf *b, const char *label, const char *fmt, ...)
{
    char small[256];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof(small), fmt, ap);
    va_end(ap);
    buf_printf(b, "  %-*s ", LABEL_COLUMN, label);
    if (n >= 0 && (size_t)n < sizeof(small)) {
        text_safe(b, small);
    } else {
        CLEANUP(buf_done) struct buf big = BUF_INIT(0);
        char *room = n < 0 ? NULL : buf_room(&big, (size_t)n);
        va_start(ap, fmt);
        if (room)
            vsnprintf(room, (size_t)n + 1, fmt, ap);
        va_end(ap);
        text_safe(b, room ? room : "");
    }
    buf_char(b, '\n');
}

void summary_count(struct buf *b, int64_t n, const char *noun)
{
    buf_printf(b, "%lld %s%s", (long long)n, noun, n == 1 ? "" : "s");
}

static void text_field(struct buf *b, const char *label, const char *value)
{
    if (value && *value)
        summary_field(b, label, "%s", value);
}

static void time_field(struct buf *b, const char *label, const Google__Protobuf__Timestamp *t)
{
    char at[32];
    text_time(t, at);
    if (t)
        summary_field(b, label, "%s", at);
}

static void list_field(struct buf *b, const char *label, char *const *items, size_t n)
{
    CLEANUP(buf_done) struct buf joined = BUF_INIT(0);
    for (size_t i = 0; i < n; i++)
        buf_printf(&joined, "%s%s", i ? ", " : "", items[i]);
    text_field(b, label, buf_cstr(&joined));
}

/* ---- results ---- */

/* "20 (18 text, 2 ocr)", the engines in the order of PageEngine. */
static void pages_field(struct buf *b, const Localrag__V1__DocumentResult *r)
{
    CLEANUP(buf_done) struct buf engines = BUF_INIT(0);
    const ProtobufCEnumDescriptor *d = &localrag__v1__page_engine__descriptor;
    for (unsigned v = 1; v < d->n_values; v++) {
        char name[32];
        text_enum(d, d->values[v].value, name);
        for (size_t i = 0; i < r->n_engines; i++)
            if (strcmp(r->engines[i]->key, name) == 0 && r->engines[i]->value > 0)
                buf_printf(&engines, "%s%d %s", engines.len ? ", " : "", r->engines[i]->value,
                           name);
    }
    if (engines.len)
        summary_field(b, "pages", "%d (%s)", r->page_count, buf_cstr(&engines));
    else
        summary_field(b, "pages", "%d", r->page_count);
}

static void failed_pages(struct buf *b, const Localrag__V1__DocumentResult *r)
{
    if (!r->n_failed_pages)
        return;
    summary_field(b, "failed", "%zu page%s", r->n_failed_pages, r->n_failed_pages == 1 ? "" : "s");
    for (size_t i = 0; i < r->n_failed_pages && i < MAX_LISTED; i++)
        summary_field(b, "", "page %d: %s", r->failed_pages[i]->page, r->failed_pages[i]->reason);
    if (r->n_failed_pages > MAX_LISTED)
        summary_field(b, "", "and %zu more", r->n_failed_pages - MAX_LISTED);
}

static void time_spent(struct buf *b, const Localrag__V1__Timings *t)
{
    if (!t || t->_total_ms_case == LOCALRAG__V1__TIMINGS___TOTAL_MS__NOT_SET)
        return;
    CLEANUP(buf_done) struct buf parts = BUF_INIT(0);
    if (t->_extract_ms_case != LOCALRAG__V1__TIMINGS___EXTRACT_MS__NOT_SET)
        buf_printf(&parts, "reading %.1f s", (double)t->extract_ms / 1000);
    if (t->_embed_ms_case != LOCALRAG__V1__TIMINGS___EMBED_MS__NOT_SET)
        buf_printf(&parts, "%sembedding %.1f s", parts.len ? ", " : "", (double)t->embed_ms / 1000);
    summary_field(b, "time", parts.len ? "%.1f s (%s)" : "%.1f s", (double)t->total_ms / 1000,
                  buf_cstr(&parts));
}

static void document_result(struct buf *b, const Localrag__V1__DocumentResult *r,
                            const char *program)
{
    text_field(b, "document", r->document_id);
    text_field(b, "type", r->content_type);
    pages_field(b, r);
    summary_field(b, "chunks", "%d", r->chunk_count);
    time_spent(b, r->timings);
    if (r->_ocr_mean_confidence_case !=
        LOCALRAG__V1__DOCUMENT_RESULT___OCR_MEAN_CONFIDENCE__NOT_SET)
        summary_field(b, "ocr", "mean confidence %.2f", r->ocr_mean_confidence);
    list_field(b, "languages", r->languages, r->n_languages);
    failed_pages(b, r);
    if (r->_duplicate_of_case != LOCALRAG__V1__DOCUMENT_RESULT___DUPLICATE_OF__NOT_SET)
        summary_field(b, "duplicate", "the same document is stored already as %s", r->duplicate_of);
    if (program && r->document_id && *r->document_id)
        summary_field(b, "next", "%s documents text %s", program, r->document_id);
}

static void directory_result(struct buf *b, const Localrag__V1__DirectoryResult *r)
{
    text_field(b, "summary", r->summary);
    summary_field(b, "files", "%d (%d successful, %d failed, %d skipped, %d cancelled)",
                  r->total_files, r->successful, r->failed, r->skipped, r->cancelled);
    size_t listed = MIN(r->n_failed_files, (size_t)MAX_LISTED);
    for (size_t i = 0; i < listed; i++)
        summary_field(b, i ? "" : "failed", "%s: %s", r->failed_files[i]->file_path,
                      r->failed_files[i]->error_message);
    if (r->failed > (int32_t)listed)
        summary_field(b, "", "and %d more", r->failed - (int32_t)listed);
}

static void maintenance_result(struct buf *b, const Localrag__V1__MaintenanceResult *r)
{
    char size[32];
    text_field(b, "summary", r->summary);
    str_print_bytes(r->freed_bytes, size);
    if (r->freed_bytes)
        text_field(b, "freed", size);
}

void summary_result(struct buf *b, const Localrag__V1__JobResult *result, const char *program)
{
    if (!result)
        return;
    if (result->kind_case == LOCALRAG__V1__JOB_RESULT__KIND_DOCUMENT)
        document_result(b, result->document, program);
    else if (result->kind_case == LOCALRAG__V1__JOB_RESULT__KIND_DIRECTORY)
        directory_result(b, result->directory);
    else if (result->kind_case == LOCALRAG__V1__JOB_RESULT__KIND_MAINTENANCE)
        maintenance_result(b, result->maintenance);
}

/* ---- jobs and documents ---- */

static void job_numbers(struct buf *b, const Localrag__V1__Job *job)
{
    CLEANUP(buf_done) struct buf line = BUF_INIT(0);
    buf_printf(&line, "%.1f %%", job->progress);
    if (job->progress_message && *job->progress_message)
        buf_printf(&line, " - %s", job->progress_message);
    text_field(b, "progress", buf_cstr(&line));
    if (job->pages_total)
        summary_field(b, "pages", "%d of %d", job->pages_done, job->pages_total);
    if (job->retry_count)
        summary_field(b, "retries", "%d of %d", job->retry_count, job->max_retries);
}

void summary_job(struct buf *b, const Localrag__V1__Job *job)
{
    char name[32];
    text_field(b, "job", job->job_id);
    text_enum(&localrag__v1__job_status__descriptor, job->status, name);
    text_field(b, "status", name);
    text_enum(&localrag__v1__task_type__descriptor, job->task_type, name);
    text_field(b, "type", name);
    text_enum(&localrag__v1__priority__descriptor, job->priority, name);
    text_field(b, "priority", name);
    if (job->_document_name_case != LOCALRAG__V1__JOB___DOCUMENT_NAME__NOT_SET)
        text_field(b, "file", job->document_name);
    if (job->_document_id_case != LOCALRAG__V1__JOB___DOCUMENT_ID__NOT_SET)
        text_field(b, "document", job->document_id);
    if (job->_parent_job_id_case != LOCALRAG__V1__JOB___PARENT_JOB_ID__NOT_SET)
        text_field(b, "batch", job->parent_job_id);
    job_numbers(b, job);
    if (job->_error_message_case != LOCALRAG__V1__JOB___ERROR_MESSAGE__NOT_SET)
        text_field(b, "error", job->error_message);
    if (job->_error_code_case != LOCALRAG__V1__JOB___ERROR_CODE__NOT_SET)
        text_field(b, "error code", job->error_code);
    time_field(b, "next try", job->next_attempt_at);
    if (job->_worker_id_case != LOCALRAG__V1__JOB___WORKER_ID__NOT_SET)
        text_field(b, "worker", job->worker_id);
    time_field(b, "created", job->created_at);
    time_field(b, "started", job->started_at);
    time_field(b, "ended", job->completed_at);
    if (job->_actual_duration_case != LOCALRAG__V1__JOB___ACTUAL_DURATION__NOT_SET)
        summary_field(b, "duration", "%lld s", (long long)job->actual_duration);
}

void summary_document(struct buf *b, const Localrag__V1__Document *d)
{
    char size[32];
    text_field(b, "document", d->document_id);
    text_field(b, "file", d->file_name);
    if (d->_title_case != LOCALRAG__V1__DOCUMENT___TITLE__NOT_SET)
        text_field(b, "title", d->title);
    text_field(b, "type", d->content_type);
    str_print_bytes(d->file_size, size);
    text_field(b, "size", size);
    summary_field(b, "pages", "%d", d->page_count);
    summary_field(b, "chunks", "%d", d->chunk_count);
    list_field(b, "languages", d->languages, d->n_languages);
    text_field(b, "stored at", d->file_path);
    text_field(b, "sha-256", d->content_hash);
    time_field(b, "created", d->created_at);
    time_field(b, "updated", d->updated_at);
    summary_field(b, "revision", "%d", d->revision);
}
