/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* upload.c - bytes from a client into the blob store, and the job for them (upload.h).
 *
 * gRPC and REST drive it the same way: begin, write as bytes arrive, store, submit. Memory is the
 * first 64 KiB for the signature table, whatever the size, and a spool for what is very large; what
 * is no larger than 64 KiB touches the disk only when it is stored. That is done once for all that
 * wait, as what follows, the root's fsync, the commit and the push; or, what is large, and all
 * where one sync for many files is not to be had, by each upload on its own thread: file systems
 * let fsyncs that come at the same time share some of their work too.
 *
 * Until jobs_submit_many has committed, the blob is a temp file or a file nobody knows, and
 * upload_abort removes it: an upload that does not answer with a job id leaves nothing behind. */
#include "server/upload.h"

#include <stdlib.h>
#include <string.h>

#include "base/pbjson.h"
#include "base/sniff.h"
#include "base/str.h"
#include "jobs/backlog.h"
#include "jobs/state.h"
#include "store/blob.h"
#include "store/crypt.h"
#include "store/spool.h"

enum {
    MAX_METADATA = 64 * 1024,
    MAX_KEY = 255,
    MAX_LANGUAGES = 16,
    TOGETHER_FROM = 4, /* files from which a sync of the file system costs less than their fsyncs */
    SPOOL_FROM = 16 << 20, /* bytes from which threads of its own are worth it */
};

struct upload {
    const struct settings *settings;
    struct blob *blob; /* NULL: all of it is in head */
    struct digest *digest;
    struct spool *spool; /* takes what comes for blob and digest; NULL: not large, or no thread */
    int64_t size;
    size_t head_len;
    char *orphan; /* path of a stored blob that no job owns (yet) */
    struct job_submission job; /* set when it is stored */
    char job_id[37], hash[65];
    unsigned char head[SNIFF_BYTES];
};

enum code upload_begin(struct ctx *cx, const struct settings *settings, struct upload **ret_upload)
{
    TRY(backlog_check(cx, settings));
    struct upload *u = malloc(sizeof(*u)); /* head need not be cleared */
    if (!u)
        return ctx_oom(cx);
    memset(u, 0, offsetof(struct upload, head));
    u->settings = settings;
    *ret_upload = u;
    return CODE_OK;
}

static enum code check_type(struct ctx *cx, const struct upload *u, bool whole,
                            const char **ret_type)
{
    const char *what;
    const char *type = sniff_type(u->head, u->head_len, whole, &what);
    if (!type)
        return ctx_fail(
            cx, CODE_UNSUPPORTED,
            "the file is %s, which cannot be read; PDF, plain text, PNG, JPEG and TIFF can", what);
    *ret_type = type;
    return CODE_OK;
}

bool upload_stays_in_memory(const struct upload *u, size_t len)
{
    return len <= sizeof(u->head) - u->head_len;
}

/* Larger than head: from now on it is a file. */
static enum code begin_file(struct ctx *cx, struct upload *u)
{
    TRY(digest_new(cx, &u->digest));
    TRY(blob_create(cx, u->settings->uploads_path, &u->blob));
    digest_add(u->digest, u->head, u->head_len);
    return blob_write(cx, u->blob, u->head, u->head_len);
}

static enum code write_file(struct ctx *cx, struct upload *u, const char *data, size_t len)
{
    if (u->spool)
        return spool_add(cx, u->spool, data, len);
    digest_add(u->digest, data, len);
    TRY(blob_write(cx, u->blob, data, len));
    if (u->size >= SPOOL_FROM && u->size - (int64_t)len < SPOOL_FROM)
        u->spool = spool_new(u->blob, u->digest);
    return CODE_OK;
}

enum code upload_write(struct ctx *cx, struct upload *u, const void *data, size_t len)
{
    if (u->size + (int64_t)len > u->settings->max_upload_size) {
        char limit[32];
        str_print_bytes(u->settings->max_upload_size, limit);
        return ctx_fail(cx, CODE_TOO_LARGE, "the file is larger than MAX_UPLOAD_SIZE (%s)", limit);
    }
    size_t n = MIN(len, sizeof(u->head) - u->head_len);
    u->size += (int64_t)len;
    if (n) {
        const char *type;
        memcpy(u->head + u->head_len, data, n);
        u->head_len += n;
        if (u->head_len == sizeof(u->head)) /* no need to take a gigabyte of video first */
            TRY(check_type(cx, u, false, &type));
    }
    if (n == len)
        return CODE_OK;
    if (!u->blob)
        TRY(begin_file(cx, u));
    return write_file(cx, u, (const char *)data + n, len - n);
}

/* ---- what the client said about it ---- */

static enum code check_metadata(struct ctx *cx, const Localrag__V1__UploadMetadata *m,
                                struct job_submission *s)
{
    if (!m || !*m->filename)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "filename: missing or empty");
    size_t key_len = strlen(m->idempotency_key);
    if (key_len > MAX_KEY)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "idempotency_key: longer than %d bytes",
                        MAX_KEY);
    if (str_utf8_prefix(m->idempotency_key, key_len) != key_len)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "idempotency_key: not valid UTF-8");
    s->idempotency_key = *m->idempotency_key ? m->idempotency_key : NULL;
    s->priority = m->priority ? state_priority_name(m->priority) : "high";
    if (!*s->priority)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "priority: %d is none of high, medium, low",
                        (int)m->priority);
    if (m->metadata) {
        CLEANUP(buf_done) struct buf b = BUF_INIT(MAX_METADATA);
        pbjson_write(&b, &m->metadata->base);
        if (buf_failed(&b))
            return ctx_fail(cx, CODE_INVALID_ARGUMENT, "metadata: more than %d bytes as JSON",
                            MAX_METADATA);
        s->metadata_json = ctx_strdup(cx, buf_cstr(&b));
    }
    return cx->failure.code;
}

static const char *three_letters(const char *language)
{
    static const char *const names[][2] = {{"en", "eng"}, {"de", "deu"}, {"id", "ind"}};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(language, names[i][0]) == 0)
            return names[i][1];
    return language;
}

/* As Tesseract names them: "eng", "chi_sim_vert"; or two letters. server/openapi.c says the same.
 */
static bool is_language(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz");
    if (n < 2 || n > 3)
        return false;
    s += n;
    for (int more = 0; more < 2 && *s == '_'; more++, s += n + 1) {
        n = strspn(s + 1, "abcdefghijklmnopqrstuvwxyz");
        if (n < 2 || n > 4)
            return false;
    }
    return !*s;
}

static enum code check_languages(struct ctx *cx, const Localrag__V1__UploadMetadata *m,
                                 struct job_submission *s)
{
    if (m->n_languages > MAX_LANGUAGES)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "languages: more than %d", MAX_LANGUAGES);
    const char **list = ctx_array(cx, m->n_languages + 1, sizeof(*list));
    if (!list)
        return cx->failure.code;
    for (size_t i = 0; i < m->n_languages; i++) {
        if (!is_language(m->languages[i]))
            return ctx_fail(cx, CODE_INVALID_ARGUMENT,
                            "languages: \"%.40s\" is not a language, as eng", m->languages[i]);
        list[i] = three_letters(m->languages[i]);
    }
    s->languages = list;
    return CODE_OK;
}

enum code upload_check(struct ctx *cx, struct upload *u,
                       const Localrag__V1__UploadMetadata *metadata)
{
    struct job_submission *s = &u->job;
    s->task_type = "single_document";
    TRY(check_metadata(cx, metadata, s));
    TRY(check_languages(cx, metadata, s));
    s->file_name = str_safe_name(&cx->arena, metadata->filename, strlen(metadata->filename));
    if (!s->file_name)
        return ctx_oom(cx);
    if (u->size == 0)
        return ctx_fail(cx, CODE_INVALID_ARGUMENT, "file: \"%s\" is empty", s->file_name);
    TRY(check_type(cx, u, u->size == (int64_t)u->head_len, &s->content_type));
    str_uuid(u->job_id);
    s->job_id = u->job_id;
    if (*metadata->password)
        TRY(crypt_seal(cx, u->settings->secret_key_file, u->job_id, metadata->password,
                       &s->sealed_password, &s->sealed_password_len));
    return CODE_OK;
}

/* ---- into the store ---- */

/* The file at `path` is this upload's: until it is a job's, upload_abort removes it. */
static enum code own(struct ctx *cx, struct upload *u, const char *path)
{
    u->orphan = strdup(path);
    if (!u->orphan) {
        blob_remove(path);
        return ctx_oom(cx);
    }
    digest_hex(u->digest, u->hash);
    u->job.file_path = path;
    u->job.content_hash = u->hash;
    u->job.file_size = u->size;
    return CODE_OK;
}

static enum code store_file(struct ctx *cx, struct upload *u)
{
    const char *path;
    if (u->spool)
        TRY(spool_finish(cx, u->spool));
    TRY(blob_commit(cx, u->blob, u->job.job_id, u->job.file_name, &path));
    return own(cx, u, path);
}

/* Those that are in memory still. */
static void store_small(struct upload_submission *all, int n)
{
    struct blob_put puts[JOBS_MAX_SUBMIT];
    struct upload *of[JOBS_MAX_SUBMIT];
    int count = 0;
    for (int i = 0; i < n; i++) {
        struct upload *u = all[i].upload;
        if (u->orphan || digest_new(all[i].cx, &u->digest) != CODE_OK)
            continue;
        digest_add(u->digest, u->head, u->head_len);
        of[count] = u;
        puts[count++] = (struct blob_put){.cx = all[i].cx,
                                          .job_id = u->job.job_id,
                                          .name = u->job.file_name,
                                          .data = u->head,
                                          .len = u->head_len};
    }
    const char *root = count ? of[0]->settings->uploads_path : "";
    blob_put_many(root, puts, count, count >= TOGETHER_FROM && blob_syncs_together(root));
    for (int i = 0; i < count; i++)
        if (puts[i].path)
            (void)!own(puts[i].cx, of[i], puts[i].path); /* a failure is recorded */
}

bool upload_waits_for_others(const struct upload *u)
{
    return !u->blob && blob_syncs_together(u->settings->uploads_path);
}

bool upload_is_stored(const struct upload *u)
{
    return u->orphan != NULL;
}

enum code upload_store(struct ctx *cx, struct upload *u)
{
    if (u->blob)
        return store_file(cx, u);
    store_small(&(struct upload_submission){.cx = cx, .upload = u}, 1);
    return cx->failure.code;
}

/* ---- the job ---- */

static enum code answer(struct ctx *cx, const struct job_submission *s,
                        const struct job_submitted *done, Localrag__V1__UploadDocumentResponse *out)
{
    out->job_id = ctx_strdup(cx, done->job_id);
    out->file_path = ctx_strdup(cx, done->file_path);
    out->status = ctx_strdup(cx, "queued");
    out->document_name = ctx_strdup(cx, done->file_name);
    out->message = ctx_printf(cx, "Document '%s' queued for processing...", done->file_name);
    out->file_size = s->file_size;
    out->content_hash = ctx_strdup(cx, s->content_hash);
    if (done->duplicate_of) {
        out->duplicate_of = ctx_strdup(cx, done->duplicate_of);
        out->_duplicate_of_case =
            LOCALRAG__V1__UPLOAD_DOCUMENT_RESPONSE___DUPLICATE_OF_DUPLICATE_OF;
    }
    return cx->failure.code;
}

/* Those whose bytes are durable; the others have their failure. */
static int make_durable(struct upload_submission *all, int n, struct upload_submission **ret_good)
{
    int good = 0;
    store_small(all, n);
    for (int i = 0; i < n; i++)
        if (all[i].cx->failure.code == CODE_OK)
            ret_good[good++] = &all[i];
    if (!good)
        return 0;
    struct ctx *cx = ret_good[0]->cx;
    enum code code = blob_sync_root(cx, ret_good[0]->upload->settings->uploads_path);
    for (int i = 1; code != CODE_OK && i < good; i++)
        (void)ctx_fail(ret_good[i]->cx, code, "%s", ctx_message(cx));
    return code == CODE_OK ? good : 0;
}

void upload_submit_many(struct jobs *jobs, struct upload_submission *all, int n)
{
    struct job_submit submits[JOBS_MAX_SUBMIT];
    struct upload_submission *good[JOBS_MAX_SUBMIT];
    n = make_durable(all, n, good);
    if (!n)
        return;
    for (int i = 0; i < n; i++)
        submits[i] = (struct job_submit){.cx = good[i]->cx, .in = &good[i]->upload->job};
    jobs_submit_many(jobs, submits, n);
    for (int i = 0; i < n; i++) {
        struct upload *u = good[i]->upload;
        const struct job_submitted *done = &submits[i].out;
        /* Unsure: a job without its file would be worse than a file without its job. */
        if (done->job_id ? !done->existed : done->unsure) {
            free(u->orphan);
            u->orphan = NULL;
        }
        if (done->job_id)
            (void)!answer(good[i]->cx, &u->job, done, good[i]->out); /* a failure is recorded */
    }
}

void upload_abort(struct upload *u)
{
    if (!u)
        return;
    spool_free(u->spool);
    blob_close(u->blob);
    digest_free(u->digest);
    if (u->orphan)
        blob_remove(u->orphan);
    free(u->orphan);
    free(u);
}
