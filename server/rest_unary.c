/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_unary.c - a plain request: JSON in, the method, JSON out.
 *
 * The loop's thread only collects the body (bounded). Reading the JSON, the method itself and
 * writing the answer happen on a handler's thread, because all three can take long; only GetJob is
 * answered by the loop, as a rule.
 *
 * Which success is which status follows from the types, for every method alike: a POST that answers
 * with a job's id that the caller did not give has started a job (202 and its Location); an
 * unhealthy Health is 503, so that simple monitors need not read it; everything else is 200. */
#include <string.h>

#include "base/clk.h"
#include "base/pbjson.h"
#include "localrag/v1/health.pb-c.h"
#include "server/ops/ops.h"
#include "server/rest_impl.h"

static const ProtobufCFieldDescriptor *job_id_of(const ProtobufCMessageDescriptor *d)
{
    return protobuf_c_message_descriptor_get_field_by_name(d, "job_id");
}

enum code rest_unary_write(struct request *r, const ProtobufCMessage *out)
{
    const struct method *m = r->match.method;
    const ProtobufCFieldDescriptor *job = job_id_of(m->output);
    r->status = 200;
    if (strcmp(m->verb, "POST") == 0 && job && !job_id_of(m->input)) {
        const char *id = *(char *const *)(const void *)((const char *)out + job->offset);
        r->location = ctx_printf(&r->cx, "/api/v1/jobs/%s", id);
        if (!r->location)
            return CODE_OUT_OF_MEMORY;
        r->status = 202;
    }
    if (m->output == &localrag__v1__health__descriptor &&
        ((const Localrag__V1__Health *)(const void *)out)->status ==
            LOCALRAG__V1__HEALTH_STATUS__HEALTH_STATUS_UNHEALTHY)
        r->status = 503;
    pbjson_write(&r->reply, out);
    return buf_failed(&r->reply) ? ctx_oom(&r->cx) : CODE_OK;
}

static enum code read_input(struct request *r, ProtobufCMessage **ret_in)
{
    struct ctx *cx = &r->cx;
    const struct method *m = r->match.method;
    ProtobufCMessage *in = NULL;
    if (r->body.len)
        TRY(pbjson_read(cx, m->input, r->body.data, r->body.len, &in));
    else
        in = pbjson_new(cx, m->input);
    if (!in)
        return CODE_OUT_OF_MEMORY;
    TRY(rest_request_fill(r, in));
    *ret_in = in;
    return CODE_OK;
}

static enum code call(struct request *r, struct jobs *jobs)
{
    struct ctx *cx = &r->cx;
    const struct method *m = r->match.method;
    ProtobufCMessage *in;
    TRY(read_input(r, &in));
    ProtobufCMessage *out = pbjson_new(cx, m->output);
    if (!out)
        return CODE_OUT_OF_MEMORY;
    TRY(m->fn(cx, jobs, in, out));
    return rest_unary_write(r, out);
}

static void run(struct task *task, struct jobs *jobs)
{
    struct request *r = rest_of(task);
    (void)!call(r, jobs); /* a failure is recorded and becomes the answer */
    rest_finish(r);
}

/* GetJob is by far the most frequent request: those that wait are answered from one statement. */
static void run_get_jobs(struct task **tasks, int n, struct jobs *jobs)
{
    struct request *asking[HANDLERS_MAX_GROUP];
    struct job_wanted wanted[HANDLERS_MAX_GROUP];
    int count = 0;
    for (int i = 0; i < n; i++) {
        struct request *r = rest_of(tasks[i]);
        ProtobufCMessage *in;
        if (read_input(r, &in) != CODE_OK) {
            rest_finish(r);
            continue;
        }
        asking[count] = r;
        wanted[count++] =
            (struct job_wanted){.cx = &r->cx,
                                .job_id = ((const Localrag__V1__GetJobRequest *)in)->job_id};
    }
    if (count)
        jobs_get_many(jobs, wanted, count);
    for (int i = 0; i < count; i++) {
        if (wanted[i].job)
            (void)!rest_unary_write(asking[i], &wanted[i].job->base);
        rest_finish(asking[i]);
    }
}

enum MHD_Result rest_unary_step(struct request *r, const char *data, size_t *len)
{
    if (*len) {
        buf_add(&r->body, data, *len);
        if (buf_failed(&r->body)) {
            (void)!ctx_fail(&r->cx, CODE_TOO_LARGE, "the body is larger than %d bytes",
                            REST_JSON_LIMIT);
            return rest_reply_midway(r, len);
        }
        *len = 0;
        return MHD_YES;
    }
    if (r->done)
        return rest_reply_outcome(r);
    if (r->match.method->fn == op_get_job)
        return rest_loop_ask(r, run, run_get_jobs);
    return rest_submit(r, run);
}
