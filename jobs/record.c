/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* record.c - rows of processing_jobs as Job messages (record.h).
 *
 * The generated message is the domain type: there is no second struct to keep in step. Column
 * numbers are those of job_get.sql. A result that cannot be read (somebody edited the row) costs
 * the result, never the job. */
#include "jobs/record.h"

#include <math.h>
#include <string.h>

#include "base/log.h"
#include "base/pbjson.h"
#include "base/str.h"
#include "jobs/state.h"

enum {
    COL_JOB_ID,
    COL_TASK_TYPE,
    COL_PRIORITY,
    COL_STATUS,
    COL_CREATED,
    COL_STARTED,
    COL_COMPLETED,
    COL_PROGRESS,
    COL_MESSAGE,
    COL_ERROR,
    COL_ERROR_CODE,
    COL_RETRIES,
    COL_MAX_RETRIES,
    COL_NEXT,
    COL_WORKER,
    COL_DURATION,
    COL_DOCUMENT,
    COL_DOCUMENT_NAME,
    COL_PARENT,
    COL_DONE,
    COL_TOTAL,
    COL_RESULT,
    COL_EPOCH,
    COL_PROGRESS_AT,
    COL_ID
};

Google__Protobuf__Timestamp *record_time(struct ctx *cx, double seconds)
{
    Google__Protobuf__Timestamp *t = ctx_alloc(cx, sizeof(*t));
    if (!t)
        return NULL;
    google__protobuf__timestamp__init(t);
    double us = round(seconds * 1e6); /* a double holds microseconds of any year people live in */
    if (!(fabs(us) < 9e18)) /* 'infinity' */
        us = 0;
    t->seconds = (int64_t)floor(us / 1e6);
    t->nanos = (int32_t)((int64_t)us - t->seconds * 1000000) * 1000;
    return t;
}

static Google__Protobuf__Timestamp *time_column(struct ctx *cx, const struct db_result *r, int row,
                                                int col)
{
    return db_is_null(r, row, col) ? NULL : record_time(cx, db_get_double(r, row, col));
}

char *record_text(struct ctx *cx, const struct db_result *r, int row, int col)
{
    return ctx_strdup(cx, db_get(r, row, col));
}

enum code record_struct(struct ctx *cx, const char *json, Google__Protobuf__Struct **ret)
{
    ProtobufCMessage *m;
    const char *text = json ? json : "{}";
    TRY(pbjson_read(cx, &google__protobuf__struct__descriptor, text, strlen(text), &m));
    *ret = (Google__Protobuf__Struct *)m;
    return CODE_OK;
}

enum code record_texts(struct ctx *cx, const char *json, char ***ret_texts, size_t *ret_n)
{
    ProtobufCMessage *m;
    if (!json) {
        *ret_n = 0;
        return CODE_OK;
    }
    TRY(pbjson_read(cx, &google__protobuf__list_value__descriptor, json, strlen(json), &m));
    const Google__Protobuf__ListValue *list = (const Google__Protobuf__ListValue *)m;
    char **texts = ctx_array(cx, list->n_values + 1, sizeof(*texts));
    if (!texts)
        return cx->failure.code;
    size_t n = 0;
    for (size_t i = 0; i < list->n_values; i++)
        if (list->values[i]->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE)
            texts[n++] = list->values[i]->string_value;
    *ret_texts = texts;
    *ret_n = n;
    return CODE_OK;
}

static const ProtobufCMessageDescriptor *result_type(Localrag__V1__TaskType type)
{
    switch (type) {
    case LOCALRAG__V1__TASK_TYPE__TASK_TYPE_DIRECTORY_BATCH:
        return &localrag__v1__directory_result__descriptor;
    case LOCALRAG__V1__TASK_TYPE__TASK_TYPE_MAINTENANCE:
        return &localrag__v1__maintenance_result__descriptor;
    default:
        return &localrag__v1__document_result__descriptor;
    }
}

static void read_result(struct ctx *cx, Localrag__V1__Job *job, const char *json)
{
    ProtobufCMessage *m;
    Localrag__V1__JobResult *result = ctx_alloc(cx, sizeof(*result));
    if (!result)
        return;
    localrag__v1__job_result__init(result);
    if (pbjson_read(cx, result_type(job->task_type), json, strlen(json), &m) != CODE_OK) {
        log_warning(cx, "the stored result of job %s cannot be read, leaving it out: %s",
                    job->job_id, ctx_message(cx));
        ctx_clear(cx);
        return;
    }
    if (m->descriptor == &localrag__v1__directory_result__descriptor) {
        result->kind_case = LOCALRAG__V1__JOB_RESULT__KIND_DIRECTORY;
        result->directory = (Localrag__V1__DirectoryResult *)m;
    } else if (m->descriptor == &localrag__v1__maintenance_result__descriptor) {
        result->kind_case = LOCALRAG__V1__JOB_RESULT__KIND_MAINTENANCE;
        result->maintenance = (Localrag__V1__MaintenanceResult *)m;
    } else {
        result->kind_case = LOCALRAG__V1__JOB_RESULT__KIND_DOCUMENT;
        result->document = (Localrag__V1__DocumentResult *)m;
    }
    job->result = result;
}

/* proto3 `optional` is a one-member oneof in C: the case holds the field's number when it is set.
 */
#define SET_TEXT(job, member, CASE, text)                                                          \
    do {                                                                                           \
        char *text_ = (text);                                                                      \
        if (text_) {                                                                               \
            (job)->member = text_;                                                                 \
            (job)->_##member##_case = LOCALRAG__V1__JOB___##CASE##_##CASE;                         \
        }                                                                                          \
    } while (0)

static void read_optional(struct ctx *cx, const struct db_result *r, int row,
                          Localrag__V1__Job *job)
{
    SET_TEXT(job, error_message, ERROR_MESSAGE, record_text(cx, r, row, COL_ERROR));
    SET_TEXT(job, error_code, ERROR_CODE, record_text(cx, r, row, COL_ERROR_CODE));
    SET_TEXT(job, worker_id, WORKER_ID, record_text(cx, r, row, COL_WORKER));
    SET_TEXT(job, document_id, DOCUMENT_ID, record_text(cx, r, row, COL_DOCUMENT));
    SET_TEXT(job, document_name, DOCUMENT_NAME, record_text(cx, r, row, COL_DOCUMENT_NAME));
    SET_TEXT(job, parent_job_id, PARENT_JOB_ID, record_text(cx, r, row, COL_PARENT));
    if (!db_is_null(r, row, COL_DURATION)) {
        job->actual_duration = db_get_int(r, row, COL_DURATION);
        job->_actual_duration_case = LOCALRAG__V1__JOB___ACTUAL_DURATION_ACTUAL_DURATION;
    }
}

enum code record_job(struct ctx *cx, const struct db_result *r, int row,
                     Localrag__V1__Job **ret_job, int64_t *ret_epoch)
{
    Localrag__V1__Job *job = ctx_alloc(cx, sizeof(*job));
    if (!job)
        return cx->failure.code;
    localrag__v1__job__init(job);
    job->job_id = record_text(cx, r, row, COL_JOB_ID);
    job->task_type = state_parse_task(db_get(r, row, COL_TASK_TYPE));
    job->priority = state_parse_priority(db_get(r, row, COL_PRIORITY));
    job->status = state_parse(db_get(r, row, COL_STATUS));
    job->created_at = time_column(cx, r, row, COL_CREATED);
    job->started_at = time_column(cx, r, row, COL_STARTED);
    job->completed_at = time_column(cx, r, row, COL_COMPLETED);
    job->next_attempt_at = time_column(cx, r, row, COL_NEXT);
    job->progress = db_get_double(r, row, COL_PROGRESS);
    job->progress_message = record_text(cx, r, row, COL_MESSAGE);
    job->retry_count = (int32_t)db_get_int(r, row, COL_RETRIES);
    job->max_retries = (int32_t)db_get_int(r, row, COL_MAX_RETRIES);
    job->pages_done = (int32_t)db_get_int(r, row, COL_DONE);
    job->pages_total = (int32_t)db_get_int(r, row, COL_TOTAL);
    read_optional(cx, r, row, job);
    const char *result = db_get(r, row, COL_RESULT);
    if (result && job->status == LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED)
        read_result(cx, job, result);
    if (cx->failure.code != CODE_OK)
        return cx->failure.code;
    if (ret_epoch)
        *ret_epoch = db_get_int(r, row, COL_EPOCH);
    *ret_job = job;
    return CODE_OK;
}

double record_progress_at(const struct db_result *r, int row)
{
    return db_get_double(r, row, COL_PROGRESS_AT);
}

int64_t record_id(const struct db_result *r, int row)
{
    return db_get_int(r, row, COL_ID);
}

const char *record_row_id(const struct db_result *r, int row)
{
    return db_get(r, row, COL_JOB_ID);
}

enum code jobs_get_row(struct ctx *cx, struct jobs *jobs, const char *job_id,
                       Localrag__V1__Job **ret_job, int64_t *ret_epoch, double *ret_progress_at)
{
    if (!job_id || !str_is_uuid(job_id))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "job_id: \"%.100s\" is not a UUID",
                        job_id ? job_id : "");
    CLEANUP(db_result_freep) struct db_result *r = NULL;
    TRY(db_run(cx, jobs->db, &q_job_get, DB_ARGS(db_text(job_id)), &r));
    if (db_rows(r) == 0)
        return ctx_fail(cx, CODE_NOT_FOUND, "job \"%s\" does not exist", job_id);
    if (ret_progress_at)
        *ret_progress_at = record_progress_at(r, 0);
    return record_job(cx, r, 0, ret_job, ret_epoch);
}
