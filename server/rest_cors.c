/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_cors.c - which browsers' pages may call (CORS_ORIGINS), and what they get told.
 *
 * Called for every answer. A preflight is an OPTIONS with Origin and Access-Control-Request-Method;
 * it is answered with the verbs of the path and the headers this API knows. Without CORS_ORIGINS
 * nothing is said at all. There are no cookies here, so credentials are never allowed. */
#include <string.h>
#include <strings.h>

#include "server/rest_impl.h"

#define EXPOSED "ETag, Location, Retry-After, X-Request-Id"

/* The origin to allow, "*" or the request's own; NULL: none. */
static const char *allowed_origin(const struct request *r)
{
    const char *origins = r->rest->settings->cors_origins;
    const char *origin = rest_request_header(r, MHD_HTTP_HEADER_ORIGIN);
    if (!origins || !origin)
        return NULL;
    for (const char *s = origins; *s; s += strcspn(s, ", \t")) {
        s += strspn(s, ", \t");
        size_t n = strcspn(s, ", \t");
        if (n == 1 && *s == '*')
            return "*";
        if (n && n == strlen(origin) && strncasecmp(s, origin, n) == 0)
            return origin;
    }
    return NULL;
}

static bool is_preflight(const struct request *r)
{
    return strcmp(r->verb, "OPTIONS") == 0 && r->match.allow &&
           rest_request_header(r, MHD_HTTP_HEADER_ACCESS_CONTROL_REQUEST_METHOD);
}

void rest_cors_add(const struct request *r, struct MHD_Response *response)
{
    if (!r->rest->settings->cors_origins)
        return;
    bool preflight = is_preflight(r);
    MHD_add_response_header(
        response, MHD_HTTP_HEADER_VARY,
        preflight ? "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
                  : "Origin");
    const char *origin = allowed_origin(r);
    if (!origin)
        return;
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if (!preflight) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        return;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_METHODS, r->match.allow);
    MHD_add_response_header(
        response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-Api-Key, X-Request-Id");
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_MAX_AGE, "600");
}

void rest_cors_write(const struct request *r, struct buf *b)
{
    if (!r->rest->settings->cors_origins)
        return;
    buf_str(b, "Vary: Origin\r\n");
    const char *origin = allowed_origin(r);
    if (origin)
        buf_printf(b,
                   "Access-Control-Allow-Origin: %s\r\n"
                   "Access-Control-Expose-Headers: " EXPOSED "\r\n",
                   origin);
}
