/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* settings.c - every setting, one row each (settings.h).
 *
 * Rows are checked one by one by base/env.c; what takes two settings to check (HIGH below MAX,
 * overlap below size, the Redis URL against its parts) is checked here and reported together with
 * the rest. */
#include "jobs/settings.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"

#define AT(member) offsetof(struct settings, member)
#define STR(n, m, d, h)                                                                            \
    {                                                                                              \
        .name = n, .kind = ENV_STRING, .offset = AT(m), .fallback = d, .help = h                   \
    }
#define ONE_OF(n, m, d, c, h)                                                                      \
    {                                                                                              \
        .name = n, .kind = ENV_STRING, .offset = AT(m), .fallback = d, .choices = c, .help = h     \
    }
#define SECRET(n, m, h)                                                                            \
    {                                                                                              \
        .name = n, .kind = ENV_STRING, .offset = AT(m), .secret = true, .help = h                  \
    }
#define FLAG(n, m, d, h)                                                                           \
    {                                                                                              \
        .name = n, .kind = ENV_BOOL, .offset = AT(m), .fallback = d, .help = h                     \
    }
#define LIST(n, m, d, h)                                                                           \
    {                                                                                              \
        .name = n, .kind = ENV_LIST, .offset = AT(m), .fallback = d, .help = h                     \
    }
#define RATIO(n, m, d, h)                                                                          \
    {                                                                                              \
        .name = n, .kind = ENV_RATIO, .offset = AT(m), .fallback = d, .help = h                    \
    }
#define NUMBER(k, n, m, d, lo, hi, h)                                                              \
    {                                                                                              \
        .name = n, .kind = k, .offset = AT(m), .fallback = d, .min = lo, .max = hi, .help = h      \
    }
#define INT(n, m, d, lo, hi, h) NUMBER(ENV_INT, n, m, d, lo, hi, h)
#define SECONDS(n, m, d, lo, hi, h) NUMBER(ENV_SECONDS, n, m, d, lo, hi, h)
#define BYTES(n, m, d, lo, hi, h) NUMBER(ENV_BYTES, n, m, d, lo, hi, h)

enum { DAY_MS = 86400000 };

static const struct env_def defs[] = {
    FLAG("TASK_QUEUE_ENABLED", queue_enabled, "true", "accept and process jobs"),
    FLAG("TASK_WORKERS_AUTO_START", workers_auto_start, "true", "workers run unless told to stop"),
    INT("TASK_MAX_WORKERS", max_workers, "4", 0, 512, "workers of a pool; 0: no local pool"),
    INT("TASK_HIGH_PRIORITY_WORKERS", high_priority_workers, "2", 0, 255,
        "of them for high priority only"),
    INT("TASK_BATCH_SIZE", batch_size, "10", 1, 10000, "files of a directory at a time"),
    INT("TASK_MAX_RETRIES", max_retries, "3", 0, 100, "attempts after the first"),
    SECONDS("TASK_RETRY_DELAY", retry_delay_ms, "60", 0, DAY_MS, "delay before the first retry, s"),
    SECONDS("TASK_JOB_RETENTION", job_retention_ms, "86400", 0, 3650LL * DAY_MS,
            "finished jobs are kept, s"),
    SECONDS("TASK_PROGRESS_UPDATE_INTERVAL", progress_interval_ms, "5", 100, 3600000,
            "progress is stored, s"),
    STR("TASK_QUEUE_NAME", queue_name, "localrag_tasks", "prefix of every Redis key"),
    SECONDS("SHUTDOWN_GRACE", shutdown_grace_ms, "25", 0, 3600000, "a stop drains so long, s"),
    INT("QUEUE_MAX_BACKLOG", queue_max_backlog, "0", 0, LLONG_MAX,
        "more waiting jobs: 503; 0: no limit"),
    STR("DATABASE_URL", database_url, NULL, "postgresql://user:password@host:port/name"),
    STR("POSTGRES_HOST", postgres_host, "localhost", "used without DATABASE_URL"),
    STR("POSTGRES_PORT", postgres_port, "5432", "used without DATABASE_URL"),
    STR("POSTGRES_DB", postgres_db, "localrag", "used without DATABASE_URL"),
    STR("POSTGRES_USER", postgres_user, "localrag", "used without DATABASE_URL"),
    SECRET("POSTGRES_PASSWORD", postgres_password, "used without DATABASE_URL"),
    STR("POSTGRES_SSLMODE", postgres_sslmode, "prefer", "used without DATABASE_URL"),
    STR("REDIS_URL", redis_url, NULL, "redis://[user:password@]host[:port][/db] or unix:///path"),
    STR("REDIS_HOST", redis_host, "localhost", "used without REDIS_URL"),
    INT("REDIS_PORT", redis_port, "6379", 1, 65535, "used without REDIS_URL"),
    INT("REDIS_DB", redis_db, "0", 0, 1023, "used without REDIS_URL"),
    SECRET("REDIS_PASSWORD", redis_password, "used without REDIS_URL"),
    STR("HOST", host, "127.0.0.1", "address to listen on"),
    INT("PORT", port, "8080", 1, 65535, "REST"),
    INT("GRPC_PORT", grpc_port, "50051", 1, 65535, "gRPC"),
    INT("ADMIN_PORT", admin_port, "9090", 1, 65535, "/metrics, /livez, /readyz, /startupz"),
    FLAG("ALLOW_ANONYMOUS", allow_anonymous, "false", "listen on a public address without keys"),
    STR("API_KEYS_FILE", api_keys_file, NULL, "not supported in this version"),
    STR("CORS_ORIGINS", cors_origins, NULL, "origins that may call from a browser"),
    STR("DATA_PATH", data_path, "./data", "everything that is kept in files"),
    STR("UPLOADS_PATH", uploads_path, NULL, "uploads (default DATA_PATH/uploads)"),
    STR("STORAGE_URL", storage_url, NULL, "where originals are kept (default UPLOADS_PATH)"),
    STR("SECRET_KEY_FILE", secret_key_file, NULL, "seals passwords (default DATA_PATH/secret.key)"),
    LIST("INGEST_ROOTS", ingest_roots, NULL,
         "directories that may be ingested (default DATA_PATH)"),
    BYTES("MAX_UPLOAD_SIZE", max_upload_size, "1GB", 1, LLONG_MAX, "largest upload"),
    INT("MAX_PAGES", max_pages, "20000", 1, 1000000, "pages of a document"),
    FLAG("DUPLICATE_DETECTION_ENABLED", duplicate_detection, "true",
         "same bytes and settings: once"),
    SECONDS("PAGE_TIMEOUT", page_timeout_ms, "120", 100, DAY_MS, "a page is given up, s"),
    SECONDS("DOCUMENT_TIMEOUT", document_timeout_ms, "0", 0, 30LL * DAY_MS,
            "a document is given up, s; 0: never"),
    BYTES("EXTRACT_MEMORY", extract_memory, "1GB", 128LL << 20, 1LL << 40,
          "address space of a reader"),
    INT("EXTRACT_PROCESSES", extract_processes, NULL, 1, 1024, "pages at a time (default: cores)"),
    LIST("OCR_LANGUAGES", ocr_languages, "eng", "languages OCR expects"),
    INT("OCR_DPI_THRESHOLD", ocr_dpi, "300", 70, 600,
        "dots per inch pages are rendered at for OCR"),
    RATIO("OCR_CONFIDENCE_THRESHOLD", ocr_confidence, "0.6",
          "below it a page is read again, turned"),
    FLAG("OCR_ENABLED", ocr_enabled, "true", "read pictures"),
    INT("CHUNK_SIZE", chunk_size, "1000", 50, 100000, "characters of a chunk"),
    INT("CHUNK_OVERLAP", chunk_overlap, "200", 0, 50000, "characters shared by neighbours"),
    ONE_OF("EMBEDDING_PROVIDER", embedding_provider, "none", "none",
           "vectors come in a later version"),
    ONE_OF("LOG_LEVEL", log_level_name, "info", "debug|info|warning|error", "what is logged"),
    ONE_OF("LOG_FORMAT", log_format_name, NULL, "json|text",
           "default: text on a terminal, else json"),
    STR("LOG_FILE_PATH", log_file_path, NULL, "default: stderr"),
};

static int explicit_index(const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(defs); i++)
        if (strcmp(defs[i].name, name) == 0)
            return (int)i;
    return -1;
}

static bool given(const struct env_values *values, const char *name)
{
    return env_source_of(values, (size_t)explicit_index(name)) != ENV_FROM_DEFAULT;
}

static void wrong(struct buf *b, const char *text)
{
    if (b->len)
        buf_char(b, '\n');
    buf_str(b, text);
}

static void check_workers(struct settings *s, const struct env_values *values, struct buf *b)
{
    if (s->max_workers == 0 || s->high_priority_workers < s->max_workers)
        return;
    if (!given(values, "TASK_HIGH_PRIORITY_WORKERS"))
        s->high_priority_workers = s->max_workers - 1;
    else
        wrong(b,
              "TASK_HIGH_PRIORITY_WORKERS must be below TASK_MAX_WORKERS, so that a worker is left "
              "for other priorities: lower it or raise TASK_MAX_WORKERS");
}

static const char *libpq_quoted(struct ctx *cx, const char *value)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(4096);
    buf_char(&b, '\'');
    for (const char *p = value ? value : ""; *p; p++) {
        if (*p == '\'' || *p == '\\')
            buf_char(&b, '\\');
        buf_char(&b, *p);
    }
    buf_char(&b, '\'');
    return ctx_strdup(cx, buf_cstr(&b));
}

static void build_database_url(struct ctx *cx, struct settings *s)
{
    static const char asyncpg[] = "postgresql+asyncpg://";
    if (s->database_url && str_starts(s->database_url, asyncpg))
        s->database_url = ctx_printf(cx, "postgresql://%s", s->database_url + sizeof(asyncpg) - 1);
    if (s->database_url)
        return;
    s->database_url =
        ctx_printf(cx, "host=%s port=%s dbname=%s user=%s sslmode=%s%s%s",
                   libpq_quoted(cx, s->postgres_host), libpq_quoted(cx, s->postgres_port),
                   libpq_quoted(cx, s->postgres_db), libpq_quoted(cx, s->postgres_user),
                   libpq_quoted(cx, s->postgres_sslmode), s->postgres_password ? " password=" : "",
                   s->postgres_password ? libpq_quoted(cx, s->postgres_password) : "");
}

static void build_redis(struct ctx *cx, struct settings *s, struct buf *b)
{
    if (!s->redis_url) {
        s->redis = (struct kv_endpoint){.host = s->redis_host,
                                        .port = (int)s->redis_port,
                                        .database = (int)s->redis_db,
                                        .password = s->redis_password};
        return;
    }
    if (kv_parse_url(cx, s->redis_url, &s->redis) != CODE_OK) {
        wrong(b, "REDIS_URL ");
        buf_str(b, ctx_message(cx));
        ctx_clear(cx);
    }
}

/* People write two-letter codes; Tesseract's data files have three-letter ones. */
static void build_languages(struct ctx *cx, struct settings *s, struct buf *b)
{
    static const char *const names[][2] = {
        {"en", "eng"}, {"de", "deu"}, {"id", "ind"}, {"fr", "fra"},
        {"es", "spa"}, {"it", "ita"}, {"nl", "nld"}, {"pt", "por"},
        {"ru", "rus"}, {"ja", "jpn"}, {"ko", "kor"}, {"zh", "chi_sim"},
    };
    CLEANUP(buf_done) struct buf joined = BUF_INIT(1024);
    for (char **l = s->ocr_languages; *l; l++) {
        for (unsigned i = 0; i < ARRAY_LEN(names); i++)
            if (strcmp(*l, names[i][0]) == 0)
                *l = ctx_strdup(cx, names[i][1]);
        if (strspn(*l, "abcdefghijklmnopqrstuvwxyz_") != strlen(*l) || strlen(*l) > 20) {
            wrong(b, "OCR_LANGUAGES has a name that is no language: ");
            buf_str(b, *l);
        }
        buf_printf(&joined, "%s%s", joined.len ? "+" : "", *l);
    }
    if (!joined.len)
        wrong(b, "OCR_LANGUAGES is empty");
    s->ocr_languages_joined = ctx_strdup(cx, buf_cstr(&joined));
}

static const char *absolute(struct ctx *cx, const char *path)
{
    char cwd[PATH_MAX];
    if (path[0] == '/' || !getcwd(cwd, sizeof(cwd)))
        return path;
    return ctx_printf(cx, "%s/%s", cwd, str_starts(path, "./") ? path + 2 : path);
}

static void build_roots(struct ctx *cx, struct settings *s)
{
    if (!s->ingest_roots || !*s->ingest_roots) {
        s->ingest_roots = ctx_array(cx, 2, sizeof(*s->ingest_roots));
        if (s->ingest_roots)
            s->ingest_roots[0] = ctx_strdup(cx, s->data_path);
        return;
    }
    for (char **root = s->ingest_roots; *root; root++)
        *root = (char *)absolute(cx, *root);
}

static void build_paths(struct ctx *cx, struct settings *s, struct buf *b)
{
    s->data_path = absolute(cx, s->data_path);
    s->uploads_path = s->uploads_path ? absolute(cx, s->uploads_path)
                                      : ctx_printf(cx, "%s/uploads", s->data_path);
    if (s->storage_url && strstr(s->storage_url, "://"))
        wrong(b, "STORAGE_URL takes only a directory in this version");
    else if (s->storage_url)
        s->uploads_path = absolute(cx, s->storage_url);
    s->secret_key_file = s->secret_key_file ? absolute(cx, s->secret_key_file)
                                            : ctx_printf(cx, "%s/secret.key", s->data_path);
    build_roots(cx, s);
}

static void check_rest(struct settings *s, struct buf *b)
{
    if (s->chunk_overlap >= s->chunk_size)
        wrong(b, "CHUNK_OVERLAP must be smaller than CHUNK_SIZE");
    if (s->port == s->grpc_port || s->port == s->admin_port || s->grpc_port == s->admin_port)
        wrong(b, "PORT, GRPC_PORT and ADMIN_PORT must differ");
    if (s->api_keys_file)
        wrong(b, "API_KEYS_FILE is not supported in this version");
    bool local = strcmp(s->host, "127.0.0.1") == 0 || strcmp(s->host, "::1") == 0 ||
                 strcmp(s->host, "localhost") == 0;
    if (!local && !s->allow_anonymous)
        wrong(
            b,
            "HOST is not a loopback address and there are no API keys: set ALLOW_ANONYMOUS=true if "
            "everybody who can reach it may use it");
    if (strpbrk(s->queue_name, "{} \t\n") || strlen(s->queue_name) > 100)
        wrong(b, "TASK_QUEUE_NAME must have no braces or spaces and at most 100 characters");
}

enum code settings_load(struct ctx *cx, struct settings *ret_settings,
                        struct env_values **ret_values)
{
    struct settings s = {0};
    struct env_values *values = NULL;
    CLEANUP(buf_done) struct buf b = BUF_INIT(64 * 1024);
    if (env_load(cx, defs, ARRAY_LEN(defs), ".env", &s, &values) != CODE_OK) {
        if (!values)
            return cx->failure.code;
        buf_str(&b, ctx_message(cx));
        ctx_clear(cx);
    }
    if (!s.extract_processes)
        s.extract_processes = MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
    if (s.log_level_name)
        (void)log_level_parse(s.log_level_name, &s.log_level);
    bool text = s.log_format_name ? strcmp(s.log_format_name, "text") == 0 : isatty(STDERR_FILENO);
    s.log_format = text ? LOG_FORMAT_TEXT : LOG_FORMAT_JSON;
    check_workers(&s, values, &b);
    build_database_url(cx, &s);
    build_redis(cx, &s, &b);
    build_languages(cx, &s, &b);
    build_paths(cx, &s, &b);
    check_rest(&s, &b);
    *ret_values = values;
    if (b.len)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "%s", buf_cstr(&b));
    *ret_settings = s;
    return CODE_OK;
}

enum code settings_open_log(struct ctx *cx, const struct settings *s, const char *program)
{
    const char *slash = s->log_file_path ? strrchr(s->log_file_path, '/') : NULL;
    if (slash && slash != s->log_file_path) { /* "logs/localrag.log" in a fresh folder */
        char *folder = ctx_strndup(cx, s->log_file_path, (size_t)(slash - s->log_file_path));
        if (folder)
            (void)!mkdir(folder, 0750);
    }
    if (log_open(program, s->log_level, s->log_format, s->log_file_path))
        return CODE_OK;
    return ctx_fail(cx, CODE_UNAVAILABLE, "could not open LOG_FILE_PATH=%s", s->log_file_path);
}

void settings_print_help(FILE *out)
{
    env_print_help(defs, ARRAY_LEN(defs), out);
}
