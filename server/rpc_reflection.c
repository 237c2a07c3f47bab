/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_reflection.c - grpc.reflection v1 and v1alpha: grpcurl and friends need no .proto files.
 *
 * Both versions are the same on the wire, so both are read and written with the v1 types. One
 * request is answered before the next is asked for, on the poller: the answers are spans of the
 * embedded descriptor set, nothing blocks. A file comes without its imports; every client asks for
 * those it misses. */
#include <grpc/status.h>

#include "grpc/reflection/v1/reflection.pb-c.h"
#include "server/desc.h"
#include "server/rpc_call.h"

enum { REQUEST_MEMORY = 1024 * 1024, MAX_EXTENSIONS = 256 };

typedef Grpc__Reflection__V1__ServerReflectionRequest request;
typedef Grpc__Reflection__V1__ServerReflectionResponse response;

static void received(struct rpc_call *call, bool ok);

static enum code set_error(struct arena *a, response *out, int status, const char *message)
{
    Grpc__Reflection__V1__ErrorResponse *error = arena_alloc(a, sizeof(*error));
    if (!error)
        return CODE_OUT_OF_MEMORY;
    grpc__reflection__v1__error_response__init(error);
    error->error_code = status;
    error->error_message = arena_strdup(a, message);
    out->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ERROR_RESPONSE;
    out->error_response = error;
    return error->error_message ? CODE_OK : CODE_OUT_OF_MEMORY;
}

static enum code set_file(struct arena *a, response *out, const struct desc_file *file)
{
    if (!file)
        return set_error(a, out, GRPC_STATUS_NOT_FOUND, "no such file, symbol or extension");
    Grpc__Reflection__V1__FileDescriptorResponse *files = arena_alloc(a, sizeof(*files));
    ProtobufCBinaryData *bytes = arena_alloc(a, sizeof(*bytes));
    if (!files || !bytes)
        return CODE_OUT_OF_MEMORY;
    grpc__reflection__v1__file_descriptor_response__init(files);
    *bytes = (ProtobufCBinaryData){file->len, (uint8_t *)file->bytes};
    files->file_descriptor_proto = bytes;
    files->n_file_descriptor_proto = 1;
    out->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
    out->file_descriptor_response = files;
    return CODE_OK;
}

static enum code set_services(struct arena *a, response *out)
{
    size_t n;
    const char *const *names = desc_services(&n);
    Grpc__Reflection__V1__ListServiceResponse *list = arena_alloc(a, sizeof(*list));
    Grpc__Reflection__V1__ServiceResponse *items = arena_array(a, n, sizeof(*items));
    Grpc__Reflection__V1__ServiceResponse **refs = arena_array(a, n, sizeof(*refs));
    if (!list || !items || !refs)
        return CODE_OUT_OF_MEMORY;
    grpc__reflection__v1__list_service_response__init(list);
    for (size_t i = 0; i < n; i++) {
        grpc__reflection__v1__service_response__init(&items[i]);
        items[i].name = (char *)names[i];
        refs[i] = &items[i];
    }
    list->service = refs;
    list->n_service = n;
    out->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE;
    out->list_services_response = list;
    return CODE_OK;
}

static enum code set_extensions(struct arena *a, response *out, const char *type)
{
    Grpc__Reflection__V1__ExtensionNumberResponse *all = arena_alloc(a, sizeof(*all));
    int32_t *numbers = arena_array(a, MAX_EXTENSIONS, sizeof(*numbers));
    if (!all || !numbers)
        return CODE_OUT_OF_MEMORY;
    grpc__reflection__v1__extension_number_response__init(all);
    if (!desc_extensions(type, numbers, MAX_EXTENSIONS, &all->n_extension_number))
        return set_error(a, out, GRPC_STATUS_NOT_FOUND, "no such message type");
    all->base_type_name = (char *)type;
    all->extension_number = numbers;
    out->message_response_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_ALL_EXTENSION_NUMBERS_RESPONSE;
    out->all_extension_numbers_response = all;
    return CODE_OK;
}

static enum code answer(struct arena *a, request *in, response *out)
{
    out->valid_host = in->host;
    out->original_request = in;
    switch (in->message_request_case) {
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME:
        return set_file(a, out, desc_file_named(in->file_by_filename));
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL:
        return set_file(a, out, desc_file_of_symbol(in->file_containing_symbol));
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_EXTENSION:
        return set_file(a, out,
                        desc_file_of_extension(in->file_containing_extension->containing_type,
                                               in->file_containing_extension->extension_number));
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_ALL_EXTENSION_NUMBERS_OF_TYPE:
        return set_extensions(a, out, in->all_extension_numbers_of_type);
    case GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES:
        return set_services(a, out);
    default:
        return set_error(a, out, GRPC_STATUS_INVALID_ARGUMENT, "the request asks for nothing");
    }
}

static void sent(struct rpc_call *call, bool ok)
{
    if (ok)
        rpc_call_receive(call, received);
    else
        rpc_call_refuse(call, CODE_CANCELLED, "the client is gone");
}

static void received(struct rpc_call *call, bool ok)
{
    (void)ok;
    if (!call->received) {
        rpc_call_end(call);
        return;
    }
    CLEANUP(arena_reset) struct arena memory;
    arena_init(&memory, REQUEST_MEMORY);
    ProtobufCMessage *message;
    response out = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    enum code code = rpc_unpack(call, &memory, &message);
    if (code == CODE_OK && answer(&memory, (request *)message, &out) != CODE_OK)
        code = ctx_oom(&call->cx);
    if (code != CODE_OK)
        rpc_call_fail(call, &call->cx);
    else if (!rpc_call_send(call, &out.base, sent))
        rpc_call_refuse(call, CODE_CANCELLED, "the call is over");
}

static void gone(struct rpc_call *call)
{
    if (rpc_call_cancelled(call))
        rpc_call_refuse_after_send(call, CODE_CANCELLED, "the client is gone");
    else
        rpc_call_refuse_after_send(call, CODE_UNAVAILABLE, "the server is shutting down");
}

void rpc_reflection_start(struct rpc_call *call)
{
    rpc_call_receive(call, received);
    rpc_call_on_gone(call, gone);
}
