/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_get_jobs.c - GetJob when many ask at once and when the database does not answer.
 *
 * The real gRPC server on the run's PostgreSQL, and a client on the same core library. A database
 * that does not answer is a table that the test has locked: statements wait there, and go on when
 * the test lets go. What must not wait with them: calls with a deadline, and all other events. */
#include "tests/support/fixture.h"

#include <grpc/byte_buffer.h>
#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <stdio.h>
#include <string.h>

#include "localrag/v1/job.pb-c.h"
#include "server/methods.h"
#include "server/rpc.h"
#include "store/db.h"
#include "tests/support/wait.h"

enum { LONG_MS = 20000, HANDLERS = 3, MANY = 80 };

#define GET_JOB "/localrag.v1.JobService/GetJob"
#define CHECK "/grpc.health.v1.Health/Check"

static struct handlers *handlers;
static struct hub *hub;
static struct rpc *rpc;
static grpc_completion_queue *queue;
static grpc_channel *channel;
static struct db *locker;

/* ---- a client with many calls at a time ---- */

struct asked {
    grpc_call *call;
    grpc_metadata_array headers, trailers;
    grpc_byte_buffer *answer;
    grpc_status_code status;
    grpc_slice details;
};

static gpr_timespec after(int ms)
{
    return gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

static void ask(struct asked *a, const char *path, const char *job_id, int deadline_ms)
{
    unsigned char bytes[64] = {0x0a, (unsigned char)strlen(job_id)};
    memcpy(bytes + 2, job_id, strlen(job_id));
    grpc_slice slice = grpc_slice_from_copied_buffer((char *)bytes, strlen(job_id) + 2);
    grpc_byte_buffer *message = grpc_raw_byte_buffer_create(&slice, 1);
    grpc_slice_unref(slice);
    memset(a, 0, sizeof(*a));
    grpc_metadata_array_init(&a->headers);
    grpc_metadata_array_init(&a->trailers);
    a->call = grpc_channel_create_call(channel, NULL, GRPC_PROPAGATE_DEFAULTS, queue,
                                       grpc_slice_from_static_string(path), NULL,
                                       after(deadline_ms), NULL);
    grpc_op ops[] = {{.op = GRPC_OP_SEND_INITIAL_METADATA},  {.op = GRPC_OP_SEND_MESSAGE},
                     {.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT}, {.op = GRPC_OP_RECV_INITIAL_METADATA},
                     {.op = GRPC_OP_RECV_MESSAGE},           {.op = GRPC_OP_RECV_STATUS_ON_CLIENT}};
    ops[1].data.send_message.send_message = message;
    ops[3].data.recv_initial_metadata.recv_initial_metadata = &a->headers;
    ops[4].data.recv_message.recv_message = &a->answer;
    ops[5].data.recv_status_on_client.trailing_metadata = &a->trailers;
    ops[5].data.recv_status_on_client.status = &a->status;
    ops[5].data.recv_status_on_client.status_details = &a->details;
    assert_int_equal(grpc_call_start_batch(a->call, ops, ARRAY_LEN(ops), a, NULL), GRPC_CALL_OK);
    grpc_byte_buffer_destroy(message);
}

/* The status; with OK the job's id must be this one. */
static grpc_status_code take(struct asked *a, const char *job_id)
{
    grpc_event event = grpc_completion_queue_pluck(queue, a, after(LONG_MS), NULL);
    assert_int_equal(event.type, GRPC_OP_COMPLETE);
    if (a->status == GRPC_STATUS_OK && job_id) {
        grpc_byte_buffer_reader reader;
        assert_true(grpc_byte_buffer_reader_init(&reader, a->answer));
        grpc_slice s = grpc_byte_buffer_reader_readall(&reader);
        grpc_byte_buffer_reader_destroy(&reader);
        Localrag__V1__Job *job =
            localrag__v1__job__unpack(NULL, GRPC_SLICE_LENGTH(s), GRPC_SLICE_START_PTR(s));
        grpc_slice_unref(s);
        assert_non_null(job);
        assert_string_equal(job->job_id, job_id);
        localrag__v1__job__free_unpacked(job, NULL);
    }
    if (a->answer)
        grpc_byte_buffer_destroy(a->answer);
    grpc_slice_unref(a->details);
    grpc_metadata_array_destroy(&a->headers);
    grpc_metadata_array_destroy(&a->trailers);
    grpc_call_unref(a->call);
    return a->status;
}

/* ---- a database that does not answer ---- */

static void lock_table(void)
{
    OK(&fx.cx, db_begin(&fx.cx, locker));
    OK(&fx.cx, db_script(&fx.cx, locker, "LOCK TABLE processing_jobs IN ACCESS EXCLUSIVE MODE"));
}

static void unlock_table(void)
{
    db_rollback(locker);
}

static int64_t waiting_statements(void)
{
    return fixture_number(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock'");
}

/* ---- the server ---- */

static int setup(void **state)
{
    if (fixture_empty(state) != 0)
        return -1;
    fx.settings.host = "127.0.0.1";
    fx.settings.grpc_port = 0; /* any */
    if (methods_init(&fx.cx) != CODE_OK ||
        db_open(&fx.cx, fx.settings.database_url, "test", &locker) != CODE_OK ||
        handlers_start(&fx.cx, &fx.settings, HANDLERS, MANY, &handlers) != CODE_OK ||
        hub_start(&fx.cx, &fx.settings, &hub) != CODE_OK ||
        rpc_start(&fx.cx, &fx.settings, handlers, hub, &rpc) != CODE_OK)
        return -1;
    char target[64];
    snprintf(target, sizeof(target), "127.0.0.1:%d", rpc_port(rpc));
    queue = grpc_completion_queue_create_for_pluck(NULL);
    grpc_channel_credentials *plain = grpc_insecure_credentials_create();
    channel = grpc_channel_create(target, plain, NULL);
    grpc_channel_credentials_release(plain);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    db_closep(&locker);
    grpc_channel_destroy(channel);
    grpc_completion_queue_shutdown(queue);
    grpc_completion_queue_destroy(queue);
    handlers_stop(handlers);
    rpc_stop(rpc);
    hub_stop(hub);
    return 0;
}

/* ---- tests ---- */

static void everyone_gets_the_own_answer(void **state)
{
    (void)state;
    static struct asked all[MANY];
    const char *ids[MANY];
    for (int i = 0; i < MANY; i++)
        ids[i] = i % 8 == 6   ? "00000000-0000-4000-8000-000000000000"
                 : i % 8 == 7 ? "no id"
                              : fixture_job("medium");
    lock_table(); /* so that they gather */
    for (int i = 0; i < MANY; i++)
        ask(&all[i], GET_JOB, ids[i], LONG_MS);
    WAIT_UNTIL(LONG_MS, waiting_statements() >= 1);
    unlock_table();
    for (int i = 0; i < MANY; i++)
        assert_int_equal(take(&all[i], ids[i]), i % 8 == 6   ? GRPC_STATUS_NOT_FOUND
                                                : i % 8 == 7 ? GRPC_STATUS_INVALID_ARGUMENT
                                                             : GRPC_STATUS_OK);
}

/* More calls hang than there are threads, and the first of them on the poller itself. */
static void events_do_not_wait_for_the_database(void **state)
{
    (void)state;
    struct asked hanging[HANDLERS + 4], other;
    const char *id = fixture_job("medium");
    for (int round = 0; round < 3; round++) { /* the lead went to and fro meanwhile */
        lock_table();
        for (size_t i = 0; i < ARRAY_LEN(hanging); i++) {
            ask(&hanging[i], GET_JOB, id, LONG_MS);
            ask(&other, CHECK, "", LONG_MS / 4); /* an empty service name */
            assert_int_equal(take(&other, NULL), GRPC_STATUS_OK);
            if (i == 0)
                WAIT_UNTIL(LONG_MS, waiting_statements() == 1);
        }
        unlock_table();
        for (size_t i = 0; i < ARRAY_LEN(hanging); i++)
            assert_int_equal(take(&hanging[i], id), GRPC_STATUS_OK);
    }
}

static void deadlines_are_everyones_own(void **state)
{
    (void)state;
    struct asked first, hasty, patient;
    const char *id = fixture_job("medium");
    lock_table();
    ask(&first, GET_JOB, id, LONG_MS); /* the next two gather behind it */
    WAIT_UNTIL(LONG_MS, waiting_statements() == 1);
    ask(&patient, GET_JOB, id, LONG_MS);
    ask(&hasty, GET_JOB, id, 200);
    assert_int_equal(take(&hasty, id), GRPC_STATUS_DEADLINE_EXCEEDED);
    unlock_table();
    assert_int_equal(take(&first, id), GRPC_STATUS_OK);
    assert_int_equal(take(&patient, id), GRPC_STATUS_OK);

    lock_table();
    ask(&hasty, GET_JOB, id, 200);
    assert_int_equal(take(&hasty, id), GRPC_STATUS_DEADLINE_EXCEEDED);
    WAIT_UNTIL(LONG_MS, waiting_statements() == 0); /* its statement was cancelled */
    unlock_table();
}

/* The statement of a group ends when nobody waits for it any more. */
static void a_group_ends_with_its_last_deadline(void **state)
{
    (void)state;
    struct ctx cx[3];
    struct job_wanted wanted[3];
    const char *id = fixture_job("medium");
    lock_table();
    for (int i = 0; i < 3; i++) {
        ctx_init(&cx[i], CTX_DEFAULT_LIMIT);
        wanted[i] = (struct job_wanted){.cx = &cx[i], .job_id = i == 2 ? "no id" : id};
    }
    int64_t last_ms = clk_mono_ms() + 400;
    cx[0].deadline_ms = last_ms - 300;
    cx[1].deadline_ms = cx[2].deadline_ms = last_ms;
    jobs_get_many(fx.jobs, wanted, 3);
    assert_true(clk_mono_ms() >= last_ms);
    assert_true(clk_mono_ms() < last_ms + LONG_MS / 2);
    assert_int_equal(waiting_statements(), 0);
    assert_int_equal(cx[0].failure.code, CODE_DEADLINE_EXCEEDED);
    assert_int_equal(cx[1].failure.code, CODE_DEADLINE_EXCEEDED);
    assert_int_equal(cx[2].failure.code, CODE_INVALID_ARGUMENT);
    unlock_table();
    for (int i = 0; i < 3; i++) {
        assert_null(wanted[i].job);
        ctx_done(&cx[i]);
        cx[i].deadline_ms = 0;
        wanted[i].job_id = id;
    }
    jobs_get_many(fx.jobs, wanted, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cx[i].failure.code, CODE_OK);
        assert_string_equal(wanted[i].job->job_id, id);
        ctx_done(&cx[i]);
    }
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(everyone_gets_the_own_answer),
        TEST(events_do_not_wait_for_the_database),
        TEST(deadlines_are_everyones_own),
        TEST(a_group_ends_with_its_last_deadline),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
