/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* openapi.h - the REST API as an OpenAPI 3.1 document, from the same tables that serve it.
 *
 * Paths, parameters and kinds of bodies come from the methods (server/methods.h), schemas from the
 * message types by the rules of base/pbjson.h, descriptions from the comments of the .proto files.
 */
#ifndef SERVER_OPENAPI_H
#define SERVER_OPENAPI_H

#include "server/methods.h"

struct openapi {
    const char *json; /* NUL-terminated */
    size_t len;
    const char *etag; /* with its quotes; the same for the same document */
};

/* Memory is cx's. INTERNAL: the embedded comments are damaged. */
enum code openapi_build(struct ctx *cx, const struct method *methods, size_t n,
                        struct openapi *ret_openapi) MUST_CHECK;

#endif
