/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* test_hub_all.c - what a watcher of all jobs is told, and what a client that comes back gets
 * (server/hub.h).
 *
 * To see that something is not told, something else is told behind it. */
#include "tests/server/hubs.h"

#include "server/hub_impl.h"

static struct watcher *watch_all(const Localrag__V1__WatchJobsRequest *in)
{
    const Localrag__V1__WatchJobsRequest any = LOCALRAG__V1__WATCH_JOBS_REQUEST__INIT;
    struct watcher *w = NULL;
    OK(&fx.cx, hub_watch_all(&fx.cx, hub, in ? in : &any, wake, &woken, &w));
    return w;
}

static const Localrag__V1__JobEvent *event(struct watcher *w, int ms, const char *id,
                                           Localrag__V1__JobEventType type)
{
    Localrag__V1__JobEvent *e;
    assert_int_equal(next(w, ms, &e), HUB_EVENT);
    assert_string_equal(e->job->job_id, id);
    assert_int_equal(e->type, type);
    return e;
}

static const char *state(struct watcher *w, int ms, const char *id, Localrag__V1__JobStatus status)
{
    const Localrag__V1__JobEvent *e = event(w, ms, id, STATE);
    assert_int_equal(e->job->status, status);
    return e->event_id;
}

static void nothing(struct watcher *w)
{
    Localrag__V1__JobEvent *e;
    assert_int_equal(hub_next(&fx.cx, w, &e), HUB_NOTHING);
}

/* ---- all jobs ---- */

static void every_change_of_every_job_is_told_once(void **unused)
{
    (void)unused;
    const char *old = fixture_job("low");
    struct watcher *w = watch_all(NULL);
    const char *a = fixture_job("high");
    const char *last = state(w, SOON, a, STATUS(PENDING)), *id;
    const char *b = fixture_job("high");
    state(w, SOON, b, STATUS(PENDING));
    struct job_claim claim = fixture_claim(pool, a);
    id = state(w, SOON, a, STATUS(PROCESSING));
    assert_true(strcmp(id, last) > 0);
    last = id;
    publish(&claim, 40);
    const Localrag__V1__JobEvent *e = event(w, SOON, a, PROGRESS);
    assert_true(e->job->progress == 40 && strcmp(e->event_id, last) > 0);
    assert_string_equal(e->job->document_name, "a.pdf");
    last = e->event_id;
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 1));
    id = state(w, SOON, a, STATUS(COMPLETED));
    assert_true(strcmp(id, last) > 0);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, old));
    last = state(w, SOON, old, STATUS(CANCELLED)); /* no end: other jobs go on */
    OK(&fx.cx, jobs_retry(&fx.cx, fx.jobs, old));
    id = state(w, SOON, old, STATUS(PENDING));
    assert_true(strcmp(id, last) > 0); /* the same claim, later */
    nothing(w);
    hub_unwatch(w);
}

static void filters_are_about_the_job_after_the_change(void **unused)
{
    (void)unused;
    Localrag__V1__JobStatus statuses[] = {STATUS(CANCELLED), STATUS(COMPLETED)};
    Localrag__V1__TaskType types[] = {LOCALRAG__V1__TASK_TYPE__TASK_TYPE_MAINTENANCE};
    Localrag__V1__WatchJobsRequest ended = LOCALRAG__V1__WATCH_JOBS_REQUEST__INIT;
    Localrag__V1__WatchJobsRequest care = LOCALRAG__V1__WATCH_JOBS_REQUEST__INIT;
    Localrag__V1__WatchJobsRequest children = LOCALRAG__V1__WATCH_JOBS_REQUEST__INIT;
    ended.status = statuses, ended.n_status = ARRAY_LEN(statuses);
    care.task_type = types, care.n_task_type = ARRAY_LEN(types);
    children.include_children = true;
    struct watcher *w = watch_all(&ended), *m = watch_all(&care), *c = watch_all(&children);
    struct watcher *any = watch_all(NULL);

    const char *child = fixture_job("medium"), *chore = fixture_job("low");
    state(c, SOON, child, STATUS(PENDING));
    state(c, SOON, chore, STATUS(PENDING));
    state(any, SOON, child, STATUS(PENDING));
    state(any, SOON, chore, STATUS(PENDING));
    fixture_sql(
        "UPDATE processing_jobs SET parent_job_id = '00000000-0000-4000-8000-000000000001', "
        "parent_path = 'x' WHERE job_id = '%s'",
        child);
    fixture_sql("UPDATE processing_jobs SET task_type = 'maintenance' WHERE job_id = '%s'", chore);
    fixture_claim(pool, chore);
    state(m, SOON, chore, STATUS(PROCESSING));
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, child));
    state(c, SOON, child, STATUS(CANCELLED)); /* not the chore: its type was not asked for */
    const char *plain = fixture_job("high");
    state(any, SOON, plain, STATUS(PENDING)); /* neither the child nor the chore */
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, plain));
    state(w, SOON, plain, STATUS(CANCELLED)); /* not the states before either */
    nothing(m);
    hub_unwatch(w);
    hub_unwatch(m);
    hub_unwatch(c);
    hub_unwatch(any);
}

static void bad_filters_are_refused(void **unused)
{
    (void)unused;
    Localrag__V1__WatchJobsRequest in = LOCALRAG__V1__WATCH_JOBS_REQUEST__INIT;
    Localrag__V1__JobStatus status = 77;
    struct watcher *w = NULL;
    in.parent_job_id = (char *)"nobody";
    FAILS(&fx.cx, CODE_INVALID_ARGUMENT, hub_watch_all(&fx.cx, hub, &in, wake, &woken, &w));
    in.parent_job_id = (char *)"";
    in.status = &status, in.n_status = 1;
    FAILS(&fx.cx, CODE_INVALID_ARGUMENT, hub_watch_all(&fx.cx, hub, &in, wake, &woken, &w));
    assert_null(w);
}

static void looking_at_a_job_is_no_news_of_it(void **unused)
{
    (void)unused;
    const char *old = fixture_job("low");
    struct watcher *w = watch_all(NULL), *one = watch(old, "");
    state(one, 0, old, STATUS(PENDING));
    const char *fresh = fixture_job("low");
    state(w, SOON, fresh, STATUS(PENDING));
    nothing(w);
    hub_unwatch(one);
    hub_unwatch(w);
}

static void a_job_that_runs_already_is_told_with_its_next_progress(void **unused)
{
    (void)unused;
    const char *id = fixture_job("low");
    struct job_claim claim = fixture_claim(pool, id);
    struct watcher *w = watch_all(NULL);
    publish(&claim, 30);
    state(w, SOON, id, STATUS(PROCESSING));
    publish(&claim, 31);
    assert_true(event(w, SOON, id, PROGRESS)->job->progress == 31);
    hub_unwatch(w);
}

static void changes_nobody_told_of_are_found_by_looking(void **unused)
{
    (void)unused;
    const char *ended = fixture_job("low"), *held = fixture_job("low");
    struct watcher *w = watch_all(NULL);
    fixture_sql("UPDATE processing_jobs SET status = 'cancelled', completed_at = now(), "
                "progress_at = now() WHERE job_id = '%s'",
                ended);
    state(w, AFTER_A_POLL, ended, STATUS(CANCELLED));
    fixture_sql(
        "UPDATE processing_jobs SET status = 'retrying', ready_at = now() + interval '1 h', "
        "progress_at = now() WHERE job_id = '%s'",
        held);
    state(w, AFTER_A_POLL, held, STATUS(RETRYING));
    nothing(w);
    hub_unwatch(w);
}

static void without_redis_all_changes_are_read_from_the_rows(void **unused)
{
    (void)unused;
    struct settings away = fx.settings;
    away.redis = (struct kv_endpoint){.host = "127.0.0.1", .port = 1};
    struct hub *seeing = hub;
    OK(&fx.cx, hub_start(&fx.cx, &away, &hub));
    struct watcher *w = watch_all(NULL);
    const char *id = fixture_job("low");
    state(w, SOON, id, STATUS(PENDING));
    struct job_claim claim = fixture_claim(pool, id);
    state(w, SOON, id, STATUS(PROCESSING));
    OK(&fx.cx, fixture_finish(&fx.cx, fx.jobs, &claim, 1));
    state(w, SOON, id, STATUS(COMPLETED));
    hub_unwatch(w);
    hub_stop(hub);
    hub = seeing;
}

static void of_many_running_jobs_the_newest_progress_each_is_kept(void **unused)
{
    (void)unused;
    struct watcher *w = watch_all(NULL);
    const char *ids[2];
    struct job_claim claims[2];
    for (int i = 0; i < 2; i++) {
        ids[i] = fixture_job("low");
        state(w, SOON, ids[i], STATUS(PENDING));
        claims[i] = fixture_claim(pool, ids[i]);
        state(w, SOON, ids[i], STATUS(PROCESSING));
    }
    for (int percent = 1; percent <= 20; percent++)
        for (int i = 0; i < 2; i++) {
            int before = atomic_load(&woken);
            publish(&claims[i], percent);
            WAIT_UNTIL(SOON, atomic_load(&woken) > before);
        }
    assert_true(event(w, 0, ids[1], PROGRESS)->job->progress == 20);
    assert_true(event(w, 0, ids[0], PROGRESS)->job->progress == 20);
    nothing(w);
    hub_unwatch(w);
}

static void a_reader_that_is_too_slow_is_told_so(void **unused)
{
    (void)unused;
    struct watcher *slow = watch_all(NULL), *quick = watch_all(NULL);
    Localrag__V1__JobEvent *e;
    const char *id = fixture_job("low");
    state(quick, SOON, id, STATUS(PENDING));
    for (int i = 0; i < HUB_MAX_STATES; i++) {
        if (i % 2 == 0)
            OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, id));
        else
            OK(&fx.cx, jobs_retry(&fx.cx, fx.jobs, id));
        state(quick, SOON, id, i % 2 == 0 ? STATUS(CANCELLED) : STATUS(PENDING));
    }
    assert_int_equal(next(slow, SOON, &e), HUB_SLOW);
    assert_int_equal(hub_next(&fx.cx, slow, &e), HUB_SLOW);
    nothing(quick);
    hub_unwatch(slow);
    hub_unwatch(quick);
}

static void stopping_ends_watchers_of_all_jobs(void **unused)
{
    (void)unused;
    struct hub *mine = hub;
    Localrag__V1__JobEvent *e;
    struct watcher *w = watch_all(NULL);
    hub_stop(mine);
    assert_int_equal(hub_next(&fx.cx, w, &e), HUB_CLOSING);
    hub_unwatch(w);
    OK(&fx.cx, hub_start(&fx.cx, &fx.settings, &hub));
}

/* ---- coming back ---- */

static void who_has_the_newest_state_is_not_told_again(void **unused)
{
    (void)unused;
    const char *id = fixture_job("low");
    struct watcher *w = watch(id, "");
    const char *last = state(w, 0, id, STATUS(PENDING));
    hub_unwatch(w);
    w = watch(id, last);
    nothing(w);
    OK(&fx.cx, jobs_cancel(&fx.cx, fx.jobs, id));
    const char *end = state(w, SOON, id, STATUS(CANCELLED));
    hub_unwatch(w);

    Localrag__V1__JobEvent *e;
    w = watch(id, end);
    assert_int_equal(hub_next(&fx.cx, w, &e), HUB_END);
    hub_unwatch(w);
    w = watch(id, last); /* an older one */
    state(w, 0, id, STATUS(CANCELLED));
    hub_unwatch(w);
    w = watch(id, "not one of ours");
    state(w, 0, id, STATUS(CANCELLED));
    hub_unwatch(w);
}

static void a_job_that_runs_goes_on_behind_the_progress_that_was_seen(void **unused)
{
    (void)unused;
    const char *id = fixture_job("low");
    struct job_claim claim = fixture_claim(pool, id);
    struct watcher *w = watch(id, "");
    state(w, 0, id, STATUS(PROCESSING));
    publish(&claim, 50);
    const char *seen = event(w, SOON, id, PROGRESS)->event_id;
    hub_unwatch(w); /* the row knows nothing of the 50: another server would not either */

    w = watch(id, seen);
    nothing(w);
    publish(&claim, 40);
    publish(&claim, 50);
    publish(&claim, 60);
    assert_true(event(w, SOON, id, PROGRESS)->job->progress == 60);
    OK(&fx.cx, jobs_hand_back(&fx.cx, fx.jobs, &claim));
    state(w, SOON, id, STATUS(PENDING));
    claim = fixture_claim(pool, id);
    state(w, SOON, id, STATUS(PROCESSING));
    publish(&claim, 10); /* another claim begins anew */
    assert_true(event(w, SOON, id, PROGRESS)->job->progress == 10);
    hub_unwatch(w);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_change_of_every_job_is_told_once),
        TEST(filters_are_about_the_job_after_the_change),
        TEST(bad_filters_are_refused),
        TEST(looking_at_a_job_is_no_news_of_it),
        TEST(a_job_that_runs_already_is_told_with_its_next_progress),
        TEST(changes_nobody_told_of_are_found_by_looking),
        TEST(without_redis_all_changes_are_read_from_the_rows),
        TEST(of_many_running_jobs_the_newest_progress_each_is_kept),
        TEST(a_reader_that_is_too_slow_is_told_so),
        TEST(stopping_ends_watchers_of_all_jobs),
        TEST(who_has_the_newest_state_is_not_told_again),
        TEST(a_job_that_runs_goes_on_behind_the_progress_that_was_seen),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
