/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* fixture.c - a database, a queue and a folder for one test program (fixture.h).
 *
 * The only test code that knows libpq: it makes and drops the database, and runs the statements
 * with which a test looks behind the scenes or sets one. A missing server is a failure, never a
 * skip: a run that tested nothing must not look like one that passed. Emptying deletes rows and
 * this program's keys; nothing here touches what another test program of the same run may be using.
 */
#include "tests/support/fixture.h"

#include <ftw.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "store/migrate.h"

struct fixture fx;

static struct ctx loaded; /* memory of the settings */
static struct settings settings; /* as loaded */
static PGconn *server, *admin; /* to the run's database, to ours */
static char name[32];

static void complain(const char *what, const char *why)
{
    print_error("%s: %s\n", what, why);
}

/* The run's URL with another database in it, as a keyword string: hosts may be socket folders. */
static char *database_url(const char *url)
{
    char *error = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &error);
    if (!options) {
        complain("TEST_DATABASE_URL", error);
        PQfreemem(error);
        return NULL;
    }
    CLEANUP(buf_done) struct buf b = BUF_INIT(4096);
    for (PQconninfoOption *o = options; o->keyword; o++) {
        const char *value = strcmp(o->keyword, "dbname") == 0 ? name : o->val;
        if (!value || !*value)
            continue;
        buf_printf(&b, "%s='", o->keyword);
        for (; *value; value++)
            buf_printf(&b, "%s%c", strchr("'\\", *value) ? "\\" : "", *value);
        buf_str(&b, "' ");
    }
    PQconninfoFree(options);
    return strdup(buf_cstr(&b));
}

static PGconn *connect_to(const char *url)
{
    PGconn *conn = PQconnectdb(url);
    if (PQstatus(conn) == CONNECTION_OK)
        return conn;
    complain("no test database", PQerrorMessage(conn));
    PQfinish(conn);
    return NULL;
}

static bool run_on(PGconn *conn, const char *sql)
{
    PGresult *r = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(r);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!ok)
        complain(sql, PQerrorMessage(conn));
    PQclear(r);
    return ok;
}

static bool make_database(void)
{
    const char *url = getenv("TEST_DATABASE_URL");
    char sql[80];
    snprintf(sql, sizeof(sql), "CREATE DATABASE %s", name);
    if (!(server = connect_to(url)) || !run_on(server, sql))
        return false;
    char *own = database_url(url);
    if (!own || !(admin = connect_to(own)))
        return false;
    setenv("DATABASE_URL", own, 1);
    free(own);
    return run_on(admin, "SET client_min_messages = error");
}

static bool load_settings(void)
{
    ctx_init(&loaded, CTX_DEFAULT_LIMIT);
    struct env_values *values;
    setenv("REDIS_URL", getenv("TEST_REDIS_URL"), 1);
    setenv("TASK_QUEUE_NAME", name, 1);
    setenv("DATA_PATH", fx.folder, 1);
    setenv("LOG_LEVEL", "error", 1);
    if (settings_load(&loaded, &settings, &values) != CODE_OK) {
        complain("settings", ctx_message(&loaded));
        return false;
    }
    (void)log_open("test", LOG_LEVEL_ERROR, LOG_FORMAT_TEXT, NULL);
    fx.settings = settings;
    return true;
}

static bool open_handles(void)
{
    return kv_open(&fx.cx, &settings.redis, &fx.kv) == CODE_OK &&
           jobs_open(&fx.cx, &fx.settings, name, &fx.jobs) == CODE_OK;
}

int fixture_setup_bare(void **state)
{
    (void)state;
    ctx_init(&fx.cx, (size_t)512 << 20);
    if (!getenv("TEST_DATABASE_URL") || !getenv("TEST_REDIS_URL")) {
        complain("no servers to test with",
                 "TEST_DATABASE_URL and TEST_REDIS_URL must name them (run "
                 "./dev test, or this program by tests/support/with-servers.sh)");
        return -1;
    }
    char id[37];
    str_uuid(id);
    snprintf(name, sizeof(name), "test_%.8s%.4s", id, id + 9);
    snprintf(fx.folder, sizeof(fx.folder), "/tmp/localrag-test-XXXXXX");
    if (!mkdtemp(fx.folder))
        return -1;
    return make_database() && load_settings() && open_handles() ? 0 : -1;
}

int fixture_setup(void **state)
{
    int applied;
    if (fixture_setup_bare(state) != 0)
        return -1;
    if (migrate_run(&fx.cx, fx.jobs->db, &applied) == CODE_OK)
        return 0;
    complain("migrating", ctx_message(&fx.cx));
    return -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

int fixture_teardown(void **state)
{
    (void)state;
    ctx_done(&fx.cx);
    if (fx.kv)
        fixture_forget_redis();
    jobs_close(fx.jobs);
    kv_close(fx.kv);
    PQfinish(admin);
    char sql[80];
    snprintf(sql, sizeof(sql), "DROP DATABASE IF EXISTS %s WITH (FORCE)", name);
    bool ok = !server || run_on(server, sql);
    PQfinish(server);
    nftw(fx.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    ctx_done(&fx.cx);
    ctx_done(&loaded);
    return ok ? 0 : -1;
}

int fixture_empty(void **state)
{
    (void)state;
    ctx_done(&fx.cx);
    fx.settings = settings;
    db_rollback(fx.jobs->db);
    fixture_forget_redis();
    bool ok =
        run_on(admin,
               "DELETE FROM processing_jobs; DELETE FROM worker_pools; DELETE FROM documents; "
               "DELETE FROM document_pages; DELETE FROM chunks; DELETE FROM worker_control; "
               "DELETE FROM job_statistics; DELETE FROM job_ends; UPDATE maintenance SET "
               "submitted_at = now()");
    return ok ? 0 : -1;
}

struct jobs *fixture_jobs(void)
{
    struct ctx cx;
    struct jobs *jobs = NULL;
    ctx_init(&cx, 64 * 1024);
    if (jobs_open(&cx, &fx.settings, name, &jobs) != CODE_OK)
        jobs = NULL;
    ctx_done(&cx);
    return jobs;
}

/* ---- behind the scenes ---- */

static const char *run_sql(const char *sql)
{
    PGresult *r = PQexec(admin, sql);
    ExecStatusType status = PQresultStatus(r);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        complain(sql, PQerrorMessage(admin));
        PQclear(r);
        fail();
    }
    bool any = status == PGRES_TUPLES_OK && PQntuples(r) > 0 && PQnfields(r) > 0;
    const char *value = ctx_strdup(&fx.cx, any ? PQgetvalue(r, 0, 0) : "");
    PQclear(r);
    assert_non_null(value);
    return value;
}

const char *fixture_sql(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *sql = arena_vprintf(&fx.cx.arena, fmt, ap);
    va_end(ap);
    assert_non_null(sql);
    return run_sql(sql);
}

int64_t fixture_number(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *sql = arena_vprintf(&fx.cx.arena, fmt, ap);
    va_end(ap);
    assert_non_null(sql);
    int64_t n;
    if (!str_parse_int(run_sql(sql), INT64_MIN, INT64_MAX, &n))
        fail_msg("no number: %s", sql);
    return n;
}

struct kv_reply fixture_redis(int argc, const char *const *argv, const size_t *lens)
{
    struct kv_reply r = {0};
    OK(&fx.cx, kv_run(&fx.cx, fx.kv, 1000, argc, argv, lens, &r));
    return r;
}

const char *fixture_key(const char *suffix)
{
    return ctx_printf(&fx.cx, "{%s}:%s", settings.queue_name, suffix);
}

void fixture_forget_redis(void)
{
    REDIS("EVAL", "for _, k in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', k) end",
          "0", fixture_key("*"));
}

const char *fixture_database_socket(void)
{
    if (PQhost(admin)[0] != '/')
        fail_msg("TEST_DATABASE_URL names the host \"%s\", not the folder of a Unix socket",
                 PQhost(admin));
    return ctx_printf(&fx.cx, "%s/.s.PGSQL.%s", PQhost(admin), PQport(admin));
}

/* Not CLIENT KILL TYPE: other test programs use the same server. */
void fixture_cut_redis(void)
{
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in here = {0}, there = {0};
        socklen_t n = sizeof(here), m = sizeof(there);
        if (getpeername(fd, (struct sockaddr *)&there, &m) != 0 || there.sin_family != AF_INET ||
            ntohs(there.sin_port) != settings.redis.port ||
            getsockname(fd, (struct sockaddr *)&here, &n) != 0)
            continue;
        REDIS("CLIENT", "KILL", "ADDR", ctx_printf(&fx.cx, "127.0.0.1:%d", ntohs(here.sin_port)),
              "SKIPME", "yes");
    }
}

/* ---- jobs ---- */

struct job_submission fixture_submission(const char *job_id, const char *hash)
{
    return (struct job_submission){.job_id = job_id,
                                   .task_type = "single_document",
                                   .priority = "medium",
                                   .file_path = "/nowhere/a.pdf",
                                   .file_name = "a.pdf",
                                   .content_type = "application/pdf",
                                   .content_hash = hash,
                                   .file_size = 1};
}

const char *fixture_job(const char *priority)
{
    char *id = ctx_alloc(&fx.cx, 37);
    assert_non_null(id);
    str_uuid(id);
    struct job_submission in = fixture_submission(id, id);
    in.priority = priority;
    struct job_submitted out;
    OK(&fx.cx, jobs_submit(&fx.cx, fx.jobs, &in, &out));
    return id;
}

void fixture_pool(int n, char ret_pool_id[37])
{
    struct pool_worker *workers = ctx_array(&fx.cx, (size_t)n, sizeof(*workers));
    assert_non_null(workers);
    for (int i = 0; i < n; i++)
        snprintf(workers[i].name, sizeof(workers[i].name), "general-%d", i + 1);
    OK(&fx.cx, pools_register(&fx.cx, fx.jobs, workers, n, ret_pool_id));
}

int fixture_try_claim(const char *pool_id, const char *job_id, bool idle, struct job_claim *ret)
{
    char ids[1][37];
    const char *workers[] = {"general-1"};
    int n = -1;
    snprintf(ids[0], sizeof(ids[0]), "%s", job_id);
    OK(&fx.cx, jobs_claim(&fx.cx, fx.jobs, pool_id, 1, ids, workers, idle, ret, &n));
    return n;
}

struct job_claim fixture_claim(const char *pool_id, const char *job_id)
{
    struct job_claim claim = {0};
    assert_int_equal(fixture_try_claim(pool_id, job_id, true, &claim), 1);
    return claim;
}

const char *fixture_status(const char *job_id)
{
    return fixture_sql("SELECT status FROM processing_jobs WHERE job_id = '%s'", job_id);
}

void fixture_sweep(void)
{
    struct sweep *s;
    int sleep_ms;
    OK(&fx.cx, sweep_new(&fx.cx, fx.jobs, &s));
    enum code code = sweep_tick(&fx.cx, s, &sleep_ms);
    sweep_free(s);
    OK(&fx.cx, code);
}

struct job_page fixture_page(int page, const char *text)
{
    return (struct job_page){.page = page,
                             .engine = "text",
                             .reason = "has text",
                             .text = text,
                             .confidence = -1,
                             .char_count = (int)strlen(text),
                             .width = 595,
                             .height = 842,
                             .ms = 1};
}

enum code fixture_finish(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim, int n)
{
    for (int i = 1; i <= n; i++) {
        struct job_page page = fixture_page(i, "words");
        TRY(jobs_save_pages(cx, jobs, claim, &page, 1));
    }
    const struct job_chunk chunk = {.page_start = 1,
                                    .page_end = n,
                                    .token_count = 1,
                                    .content = "words",
                                    .spans_json = "[]",
                                    .heading_path_json = "[]"};
    const struct job_document doc = {.page_count = n, .content_type = "application/pdf"};
    enum code code = jobs_finish_begin(cx, jobs, claim);
    if (code == CODE_OK)
        code = jobs_finish_add_chunks(cx, jobs, claim, &chunk, 1);
    if (code == CODE_OK)
        code = jobs_finish_commit(cx, jobs, claim, &doc);
    jobs_finish_abort(jobs);
    return code;
}

enum code fixture_finish_duplicate(struct ctx *cx, struct jobs *jobs, const struct job_claim *claim,
                                   bool *ret_done)
{
    struct job_completion how = {0};
    bool done;
    TRY(jobs_finish_duplicate(cx, jobs, claim, &done, &how));
    if (how.message)
        TRY(jobs_complete(cx, jobs, claim, &how));
    *ret_done = done;
    return CODE_OK;
}
