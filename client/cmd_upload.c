/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* cmd_upload.c - localrag upload FILE...
 *
 * Reads the options that all files share, lets uploads.c do the work and then says for each file,
 * in the order of the command line, what became of it. With --json that is one line a file: what
 * the server answered to the upload (--no-wait), the result of a completed job, or the job itself.
 *
 * The exit status is that of the first file that failed. After a Ctrl-C the jobs go on; how to
 * follow them again is said for each. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/pbjson.h"
#include "client/app.h"
#include "client/interrupt.h"
#include "client/summary.h"
#include "client/text.h"
#include "client/uploads.h"

enum { MAX_PASSWORD = 1024, MAX_LANGUAGES = 16, STALL_MS = 120 * 1000 };

/* ---- options ---- */

static void fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

/* The first line of the file. */
static enum code read_password(struct ctx *cx, const char *path, const char **ret_password)
{
    CLEANUP(fclosep) FILE *f = fopen(path, "re");
    char *line = ctx_alloc(cx, MAX_PASSWORD + 2);
    if (!line)
        return ctx_oom(cx);
    if (!f || (!fgets(line, MAX_PASSWORD + 2, f) && ferror(f)))
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "could not read password file \"%s\": %s", path,
                        strerror(errno));
    line[strcspn(line, "\r\n")] = '\0';
    if (!*line || strlen(line) > MAX_PASSWORD)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                        "password file \"%s\" has no password of 1 to %d bytes on its first line",
                        path, MAX_PASSWORD);
    *ret_password = line;
    return CODE_OK;
}

static enum code read_languages(struct ctx *cx, const char *text, struct upload_options *options)
{
    options->languages = ctx_array(cx, MAX_LANGUAGES, sizeof(*options->languages));
    if (!options->languages)
        return ctx_oom(cx);
    for (const char *p = text; *p;) {
        size_t n = strcspn(p, ",+");
        if (n == 0 || options->n_languages == MAX_LANGUAGES)
            return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                            "\"%s\" for --languages is not a list as \"eng,deu\"", text);
        char *language = ctx_strndup(cx, p, n);
        if (!language)
            return ctx_oom(cx);
        options->languages[options->n_languages++] = language;
        p += n + (p[n] != '\0');
    }
    return CODE_OK;
}

static enum code read_options(struct app *app, struct upload_options *options)
{
    struct ctx *cx = app->cx;
    const char *metadata = args_get(app->args, "metadata");
    const char *priority = args_get(app->args, "priority");
    const char *password_file = args_get(app->args, "password-file");
    const char *languages = args_get(app->args, "languages");
    ProtobufCMessage *m = NULL;
    if (metadata && pbjson_read(cx, &google__protobuf__struct__descriptor, metadata,
                                strlen(metadata), &m) != CODE_OK)
        return ctx_prefix(cx, "--metadata is not a JSON object");
    options->metadata = (Google__Protobuf__Struct *)m;
    if (priority)
        options->priority =
            (Localrag__V1__Priority)text_enum_value(&localrag__v1__priority__descriptor, priority);
    if (password_file)
        TRY(read_password(cx, password_file, &options->password));
    if (languages)
        TRY(read_languages(cx, languages, options));
    options->stall_ms = args_ms(app->args, "timeout", STALL_MS);
    return CODE_OK;
}

/* ---- what became of each file ---- */

static int exit_of(const struct app *app, const struct upload *u)
{
    if (u->cx.failure.code != CODE_OK)
        return app_exit(app, &u->cx);
    bool ended_badly = u->job && u->job->status != LOCALRAG__V1__JOB_STATUS__JOB_STATUS_COMPLETED;
    return ended_badly ? EXIT_JOB_FAILED : 0;
}

static void report_json(const struct upload *u)
{
    if (u->result)
        app_json(&u->result->base);
    else if (u->job)
        app_json(&u->job->base);
    else if (u->reply)
        app_json(&u->reply->base);
}

static void report_failure(const struct app *app, const struct upload *u)
{
    if (u->cx.failure.code == CODE_OK || interrupt_pending())
        return;
    if (u->stage < UPLOAD_ACCEPTED)
        (void)app_fail(app, &u->cx, "could not upload \"%s\"", u->path);
    else
        (void)app_fail(app, &u->cx, "lost sight of \"%s\", follow it with: %s jobs watch %s",
                       u->name, app->program, u->reply->job_id);
}

static void headline(const struct app *app, struct buf *b, const char *name, const char *status)
{
    text_safe(b, name);
    buf_str(b, ": ");
    app_status(app, b, status);
    buf_char(b, '\n');
}

static void report_text(const struct app *app, const struct upload *u)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    char status[32];
    if (u->stage == UPLOAD_ENDED) {
        text_enum(&localrag__v1__job_status__descriptor, u->job->status, status);
        headline(app, &b, u->name, status);
        summary_field(&b, "job", "%s", u->reply->job_id);
        if (u->result)
            summary_result(&b, u->result->result, app->quiet ? NULL : app->program);
        if (u->job->_error_message_case != LOCALRAG__V1__JOB___ERROR_MESSAGE__NOT_SET)
            summary_field(&b, "error", "%s", u->job->error_message);
        if (u->job->_error_code_case != LOCALRAG__V1__JOB___ERROR_CODE__NOT_SET)
            summary_field(&b, "error code", "%s", u->job->error_code);
        if (!u->result && !app->quiet)
            summary_field(&b, "next", "%s jobs status %s", app->program, u->reply->job_id);
    } else if (u->stage == UPLOAD_ACCEPTED && u->cx.failure.code == CODE_OK) {
        headline(app, &b, u->name, u->reply->status);
        summary_field(&b, "job", "%s", u->reply->job_id);
        if (u->reply->_duplicate_of_case !=
            LOCALRAG__V1__UPLOAD_DOCUMENT_RESPONSE___DUPLICATE_OF__NOT_SET)
            summary_field(&b, "duplicate", "the same bytes are stored already as %s",
                          u->reply->duplicate_of);
        if (!app->quiet)
            summary_field(&b, "next", "%s jobs watch %s", app->program, u->reply->job_id);
    }
    (void)app_write(&b);
}

static void report_interrupted(const struct app *app, const struct upload *u)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT(0);
    text_safe(&b, u->name);
    if (u->stage == UPLOAD_ACCEPTED)
        buf_printf(&b, ": the job goes on; watch it again with: %s jobs watch %s\n", app->program,
                   u->reply->job_id);
    else if (u->stage < UPLOAD_ACCEPTED)
        buf_str(&b, ": not uploaded\n");
    else
        return;
    fputs(buf_cstr(&b), stderr);
}

static int run(struct app *app)
{
    struct upload_options options = {0};
    struct upload *uploads = NULL;
    size_t n = app->args->n_operands;
    bool wait = !args_has(app->args, "no-wait");
    if (read_options(app, &options) != CODE_OK)
        return app_usage(app, "%s", ctx_message(app->cx));
    if (uploads_run(app, &options, wait, &uploads) != CODE_OK)
        return app_fail(app, app->cx, "could not upload");

    int status = 0;
    bool unfinished = false;
    for (size_t i = 0; i < n; i++) {
        const struct upload *u = &uploads[i];
        if (app->json)
            report_json(u);
        else
            report_text(app, u);
        report_failure(app, u);
        if (status == 0)
            status = exit_of(app, u);
        unfinished = unfinished || u->stage < (wait ? UPLOAD_ENDED : UPLOAD_ACCEPTED);
    }
    bool interrupted = interrupt_pending() && unfinished;
    for (size_t i = 0; i < n && interrupted; i++)
        report_interrupted(app, &uploads[i]);
    uploads_done(uploads, n);
    return interrupted ? EXIT_INTERRUPTED : status;
}

static const struct arg_option options_table[] = {
    {"languages", 0, ARG_TEXT, "LIST", NULL, "languages for OCR, as eng,deu"},
    {"metadata", 0, ARG_TEXT, "JSON", NULL, "a JSON object that is stored with the document"},
    {"no-wait", 0, ARG_FLAG, NULL, NULL, "do not wait until the documents are read"},
    {"password-file", 0, ARG_FILE, "FILE", NULL,
     "the password of encrypted documents is the first line of FILE"},
    {"priority", 0, ARG_CHOICE, NULL, "high|medium|low", "lane of the queue (default high)"},
};

const struct cmd cmd_upload = {
    .name = "upload",
    .operands = "FILE...",
    .help = "send documents and follow them until they are read",
    .options = options_table,
    .n_options = ARRAY_LEN(options_table),
    .min_operands = 1,
    .max_operands = CMD_ANY,
    .files = true,
    .run = run,
};
