/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rpc_details.c - which fields of a request were bad, as the trailer grpc-status-details-bin.
 *
 * Called by rpc_call.c when a call ends with INVALID_ARGUMENT. It is what google.rpc defines (a
 * Status with a BadRequest in it), so that clients' standard libraries read it. Trailers must fit
 * into what clients take (8 KiB with the percent-encoded message), so the list is cut. */
#include <grpc/slice.h>
#include <string.h>

#include "base/str.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "server/badfields.h"
#include "server/rpc_call.h"

enum { MAX_FIELDS = 16, MAX_FIELD = 64, MAX_DESCRIPTION = 200, MAX_DETAILS = 2048 };

struct violations {
    Google__Rpc__BadRequest__FieldViolation all[MAX_FIELDS], *list[MAX_FIELDS];
    char fields[MAX_FIELDS][MAX_FIELD + 1], descriptions[MAX_FIELDS][MAX_DESCRIPTION + 1];
    size_t n;
};

static char *copy(char *out, size_t max, const char *s, size_t n)
{
    n = str_utf8_prefix(s, MIN(n, max));
    memcpy(out, s, n);
    out[n] = '\0';
    return out;
}

static void collect(const struct method *method, const char *message, struct violations *v)
{
    struct badfield bad;
    for (v->n = 0; v->n < MAX_FIELDS && badfields_next(&message, method, &bad); v->n++) {
        Google__Rpc__BadRequest__FieldViolation *one = v->list[v->n] = &v->all[v->n];
        google__rpc__bad_request__field_violation__init(one);
        one->field = copy(v->fields[v->n], MAX_FIELD, bad.field, bad.field_len);
        one->description =
            copy(v->descriptions[v->n], MAX_DESCRIPTION, bad.message, bad.message_len);
    }
}

bool rpc_details(const struct method *method, enum code code, const char *message,
                 grpc_slice *ret_details)
{
    struct violations v;
    unsigned char inner[MAX_DETAILS];
    if (code != CODE_INVALID_ARGUMENT)
        return false;
    collect(method, message, &v);
    Google__Rpc__BadRequest bad = GOOGLE__RPC__BAD_REQUEST__INIT;
    bad.field_violations = v.list;
    bad.n_field_violations = v.n;
    while (bad.n_field_violations &&
           google__rpc__bad_request__get_packed_size(&bad) > sizeof(inner))
        bad.n_field_violations--;
    if (!bad.n_field_violations)
        return false;

    Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT, *details[] = {&any};
    any.type_url = (char *)"type.googleapis.com/google.rpc.BadRequest";
    any.value.data = inner;
    any.value.len = google__rpc__bad_request__pack(&bad, inner);
    Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;
    status.code = code_grpc(code);
    status.message = (char *)code_text(code); /* the whole text is the call's status message */
    status.details = details;
    status.n_details = 1;
    *ret_details = grpc_slice_malloc(google__rpc__status__get_packed_size(&status));
    google__rpc__status__pack(&status, GRPC_SLICE_START_PTR(*ret_details));
    return true;
}
