/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_reply.c - every answer of the HTTP door but the streams' bodies.
 *
 * One place adds the headers that all answers have (X-Request-Id, CORS), counts them and writes the
 * one line of the log: an INTERNAL failure as an error, the rest at debug. What a client gets told
 * about an INTERNAL failure is only where to look: the text may hold what is nobody's business.
 *
 * The daemon cannot send a response in the middle of a body. A refused body is therefore read to
 * its end when that is near, and else the answer is written to the socket past the daemon. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clk.h"
#include "base/log.h"
#include "base/str.h"
#include "server/badfields.h"
#include "server/metrics.h"
#include "server/rest_impl.h"

/* ---- answers ---- */

static void note(const struct request *r, int status)
{
    int64_t us = clk_mono_us() - r->began_us;
    metrics_http(r->verb, status, r->match.method, us);
    log_debug(&r->cx, "%.10s %.200s: %d in %lld us", r->verb, r->path, status, (long long)us);
}

enum MHD_Result rest_reply_response(struct request *r, int status, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO; /* out of memory: hang up */
    if (r->cx.request_id)
        MHD_add_response_header(response, "X-Request-Id", r->cx.request_id);
    if (r->rest->stopping)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    rest_cors_add(r, response);
    note(r, status);
    enum MHD_Result result = MHD_queue_response(r->connection, (unsigned)status, response);
    MHD_destroy_response(response);
    r->loop->replied = true;
    return result;
}

/* Seconds that a client should wait, as text; NULL: no Retry-After. */
static const char *retry_after(enum code code)
{
    if (code == CODE_STORAGE_FULL)
        return "30";
    int status = code_http(code);
    return status == 429 ? "1" : status == 503 ? "2" : NULL;
}

static void add_bad_fields(struct request *r, const char *message)
{
    const char *list = ",\"errors\":[";
    struct badfield bad;
    bool any = false;
    for (; badfields_next(&message, r->match.method, &bad); any = true) {
        buf_str(&r->reply, any ? "," : list);
        buf_str(&r->reply, "{\"field\":");
        str_json_n(&r->reply, bad.field, bad.field_len);
        buf_str(&r->reply, ",\"message\":");
        str_json_n(&r->reply, bad.message, bad.message_len);
        buf_char(&r->reply, '}');
    }
    if (any)
        buf_char(&r->reply, ']');
}

static void write_detail(struct buf *b, const char *message)
{
    struct buf line = BUF_INIT(0);
    for (const char *s = message; *s; s++)
        if (*s == '\n')
            buf_str(&line, "; ");
        else
            buf_char(&line, *s);
    str_json(b, buf_cstr(&line));
    buf_done(&line);
}

/* {"detail","code"} of the recorded failure into r->reply. */
static void write_failure(struct request *r)
{
    struct ctx *cx = &r->cx;
    enum code code = cx->failure.code;
    log_failure(cx, code == CODE_INTERNAL ? LOG_LEVEL_ERROR : LOG_LEVEL_DEBUG, "http request");
    const char *detail = ctx_message(cx);
    if (code == CODE_INTERNAL)
        detail = ctx_printf(cx, "an error inside the server; the log has it under request id %s",
                            cx->request_id ? cx->request_id : "(none)");
    buf_clear(&r->reply);
    buf_str(&r->reply, "{\"detail\":");
    write_detail(&r->reply, detail ? detail : code_text(code));
    buf_str(&r->reply, ",\"code\":");
    str_json(&r->reply, code_name(code));
    if (code == CODE_INVALID_ARGUMENT)
        add_bad_fields(r, ctx_message(cx));
    buf_char(&r->reply, '}');
    r->status = code_http(code);
}

static struct MHD_Response *from_text(const char *text, size_t len, const char *type)
{
    /* The memory is the request's or static: either outlives the response. */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)text, MHD_RESPMEM_PERSISTENT);
    if (response && type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return response;
}

enum MHD_Result rest_reply_outcome(struct request *r)
{
    enum code code = r->cx.failure.code;
    if (code == CODE_OK && buf_failed(&r->reply))
        code = ctx_oom(&r->cx);
    if (code != CODE_OK)
        write_failure(r);
    struct MHD_Response *response =
        from_text(buf_cstr(&r->reply), r->reply.len, "application/json; charset=utf-8");
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (retry_after(code))
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, retry_after(code));
    if (code == CODE_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, r->match.allow);
    if (r->location)
        MHD_add_response_header(response, MHD_HTTP_HEADER_LOCATION, r->location);
    return rest_reply_response(r, r->status, response);
}

enum MHD_Result rest_reply_options(struct request *r)
{
    struct MHD_Response *response = from_text("", 0, NULL);
    if (response)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, r->match.allow);
    return rest_reply_response(r, 204, response);
}

enum MHD_Result rest_reply_nothing(struct request *r)
{
    return rest_reply_response(r, 204, from_text("", 0, NULL));
}

/* ---- refusing a body ---- */

enum MHD_Result rest_refuse_step(struct request *r, const char *data, size_t *len)
{
    (void)data;
    if (!*len)
        return rest_reply_outcome(r);
    *len = 0;
    return MHD_YES;
}

enum MHD_Result rest_reply_midway(struct request *r, size_t *len)
{
    if (r->content_length >= 0 && r->content_length - r->received <= REST_SWALLOW_LIMIT) {
        r->step = rest_refuse_step;
        *len = 0;
        return MHD_YES;
    }
    write_failure(r);
    note(r, r->status);
    struct buf b = BUF_INIT(64 * 1024);
    const char *wait = retry_after(r->cx.failure.code);
    buf_printf(&b, "HTTP/1.1 %d %s\r\n", r->status, MHD_get_reason_phrase_for((unsigned)r->status));
    buf_str(&b, "Content-Type: application/json; charset=utf-8\r\nConnection: close\r\n");
    if (wait)
        buf_printf(&b, "Retry-After: %s\r\n", wait);
    rest_cors_write(r, &b);
    buf_printf(&b, "X-Request-Id: %s\r\nContent-Length: %zu\r\n\r\n%s", r->cx.request_id,
               r->reply.len, buf_cstr(&r->reply));
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info && !buf_failed(&b))
        (void)!send(info->connect_fd, b.data, b.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_done(&b);
    return MHD_NO;
}
