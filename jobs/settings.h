/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* settings.h - every setting that server and workers understand; one table in settings.c.
 *
 * Read once at start, never changed, shared by all threads. */
#ifndef JOBS_SETTINGS_H
#define JOBS_SETTINGS_H

#include "base/env.h"
#include "base/log.h"
#include "store/kv.h"

struct settings {
    /* PostgreSQL and Redis */
    const char *database_url;
    const char *postgres_host, *postgres_port, *postgres_db, *postgres_user, *postgres_password,
        *postgres_sslmode;
    const char *redis_url, *redis_host, *redis_password;
    int64_t redis_port, redis_db;
    struct kv_endpoint redis; /* from the five above */

    /* listening */
    const char *host;
    int64_t port, grpc_port, admin_port;
    bool allow_anonymous;
    const char *api_keys_file;
    const char *cors_origins;

    /* the queue */
    bool queue_enabled, workers_auto_start;
    int64_t max_workers, high_priority_workers, batch_size, max_retries;
    int64_t retry_delay_ms, job_retention_ms, progress_interval_ms, shutdown_grace_ms;
    int64_t queue_max_backlog;
    const char *queue_name;

    /* storage */
    const char *data_path, *uploads_path, *storage_url, *secret_key_file;
    char **ingest_roots; /* absolute, NULL-terminated; at least one */
    int64_t max_upload_size, max_pages;
    bool duplicate_detection;

    /* reading documents */
    int64_t page_timeout_ms, document_timeout_ms, extract_memory, extract_processes;
    char **ocr_languages; /* Tesseract's three-letter names */
    const char *ocr_languages_joined; /* "eng+deu" */
    int64_t ocr_dpi;
    double ocr_confidence;
    bool ocr_enabled;
    int64_t chunk_size, chunk_overlap;
    const char *embedding_provider;

    /* logs */
    const char *log_level_name, *log_format_name, *log_file_path;
    enum log_level log_level;
    enum log_format log_format;
};

/* Loads and checks everything; memory in cx's arena, which must outlive the settings.
 * INVALID_ARGUMENT names every bad setting, one a line. */
enum code settings_load(struct ctx *cx, struct settings *ret_settings,
                        struct env_values **ret_values) MUST_CHECK;

/* Opens the log as the settings say. UNAVAILABLE when LOG_FILE_PATH cannot be opened. */
enum code settings_open_log(struct ctx *cx, const struct settings *s,
                            const char *program) MUST_CHECK;

void settings_print_help(FILE *out);

#endif
