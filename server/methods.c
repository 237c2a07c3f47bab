/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* methods.c - joins the descriptor set (routes, stream kinds) with generated types and op
 * functions.
 *
 * Called once by main before any thread; read by rpc.c and the HTTP side afterwards, without a
 * lock. An RPC of package localrag.v1 that nobody answers, an op without an RPC and a type that
 * differs are found here, at start, and named all at once: the program does not run with a hole in
 * its API.
 *
 * It does not dispatch, and it does not know services of other packages (health, reflection): those
 * are rpc.c's own. */
#include <string.h>

#include "base/buf.h"
#include "localrag/v1/health.pb-c.h"
#include "localrag/v1/ingest.pb-c.h"
#include "server/desc.h"
#include "server/methods.h"
#include "server/ops/ops.h"

#define PACKAGE "localrag.v1."

/* protobuf-c has no registry: the generated services, by hand. */
static const ProtobufCServiceDescriptor *const services[] = {
    &localrag__v1__upload_service__descriptor, &localrag__v1__job_service__descriptor,
    &localrag__v1__worker_service__descriptor, &localrag__v1__document_service__descriptor,
    &localrag__v1__health_service__descriptor, &localrag__v1__ingest_directory_service__descriptor,
};

struct op {
    const char *path, *input, *output;
    op_fn fn;
};

static const struct op ops[] = {
#define OPS_ROW(service, method, fn, in_type, out_type)                                            \
    {"/" PACKAGE #service "/" #method, PACKAGE #in_type, PACKAGE #out_type, fn},
    OPS(OPS_ROW)
#undef OPS_ROW
};

static struct arena memory;
static struct method *table;
static size_t table_n;

static const ProtobufCMethodDescriptor *find_generated(const struct desc_method *d)
{
    for (size_t i = 0; i < ARRAY_LEN(services); i++)
        if (strcmp(services[i]->name, d->service) == 0)
            return protobuf_c_service_descriptor_get_method_by_name(services[i], d->name);
    return NULL;
}

static const struct op *find_op(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        if (strcmp(ops[i].path, path) == 0)
            return &ops[i];
    return NULL;
}

static enum method_kind kind_of(const struct desc_method *d, const ProtobufCMessageDescriptor *in)
{
    if (d->client_stream)
        return METHOD_UPLOAD;
    if (!d->server_stream)
        return METHOD_UNARY;
    return in == &localrag__v1__watch_jobs_request__descriptor ? METHOD_WATCH_ALL : METHOD_WATCH;
}

static void add_method(const struct desc_method *d, struct buf *problems)
{
    const ProtobufCMethodDescriptor *generated = find_generated(d);
    if (!generated) {
        buf_printf(problems, "; %s has no generated code in methods.c", d->path);
        return;
    }
    struct method *m = &table[table_n++];
    *m = (struct method){
        .path = d->path,
        .input = generated->input,
        .output = generated->output,
        .client_stream = d->client_stream,
        .server_stream = d->server_stream,
        .kind = kind_of(d, generated->input),
        .verb = d->verb,
        .route = d->route,
        .body = d->body ? d->body : "",
    };
    const struct op *op = find_op(d->path);
    if (m->kind == METHOD_UNARY && !op)
        buf_printf(problems, "; %s has no row in ops.h", d->path);
    if (m->kind != METHOD_UNARY && op)
        buf_printf(problems, "; %s is a stream and has a row in ops.h", d->path);
    if (op && (strcmp(op->input, m->input->name) != 0 || strcmp(op->output, m->output->name) != 0))
        buf_printf(problems, "; the types of %s in ops.h are not the proto's", d->path);
    m->fn = op ? op->fn : NULL;
}

enum code methods_init(struct ctx *cx)
{
    if (table)
        return CODE_OK;
    TRY(desc_init(cx));
    size_t n;
    const struct desc_method *all = desc_methods(&n);
    arena_init(&memory, 0);
    table = arena_array(&memory, n, sizeof(*table));
    if (!table)
        return ctx_oom(cx);

    CLEANUP(buf_done) struct buf problems = BUF_INIT(16 * 1024);
    for (size_t i = 0; i < n; i++)
        if (strncmp(all[i].service, PACKAGE, strlen(PACKAGE)) == 0)
            add_method(&all[i], &problems);
    for (size_t i = 0; i < ARRAY_LEN(ops); i++)
        if (!methods_find(ops[i].path))
            buf_printf(&problems, "; %s of ops.h is no RPC", ops[i].path);
    if (problems.len)
        return ctx_fail(cx, CODE_INTERNAL, "the API has holes: %s", buf_cstr(&problems) + 2);
    return CODE_OK;
}

const struct method *methods_all(size_t *ret_n)
{
    *ret_n = table_n;
    return table;
}

const struct method *methods_find(const char *path)
{
    for (size_t i = 0; i < table_n; i++)
        if (strcmp(table[i].path, path) == 0)
            return &table[i];
    return NULL;
}
