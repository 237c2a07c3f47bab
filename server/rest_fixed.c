/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_fixed.c - what the HTTP door serves beside the methods: the front page and the OpenAPI
 * document.
 *
 * rest_request.c asks for a page before it looks for a route. Pages are ready in memory, so the
 * daemon's thread answers; a body that comes along is read and dropped. They never change while the
 * process lives, so the document has an ETag and need not be sent again. */
#include <string.h>

#include "server/rest_impl.h"

static const char home_page[] =
    "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>LocalRAG jobs</title>"
    "<style>body{font-family:sans-serif;max-width:42em;margin:3em auto;padding:0 "
    "1em}</style></head>"
    "<body><h1>LocalRAG jobs " LOCALRAG_VERSION "</h1>"
    "<p>This service reads documents in the background: send a file, get a job, watch it, fetch "
    "the pages and chunks.</p><ul>"
    "<li><a href=\"/api/v1/health\">/api/v1/health</a> - how the system is</li>"
    "<li><a href=\"/api/v1/jobs\">/api/v1/jobs</a> - the jobs, newest first</li>"
    "<li><a href=\"/api/v1/health/workers\">/api/v1/health/workers</a> - the workers and the "
    "queue</li>"
    "<li>POST /api/v1/documents/upload - send a document (multipart/form-data, part \"file\")</li>"
    "<li>GET /api/v1/jobs/ID/events - follow a job (Server-Sent Events)</li>"
    "<li><a href=\"/openapi.json\">/openapi.json</a> - all of it, as OpenAPI 3.1</li>"
    "</ul><p>The same API is served over gRPC.</p></body></html>\n";

static struct MHD_Response *text(const char *data, size_t len, const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(len, (void *)data, MHD_RESPMEM_PERSISTENT);
    if (response && type)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    return response;
}

static enum MHD_Result reply_home(struct request *r)
{
    return rest_reply_response(r, 200,
                               text(home_page, sizeof(home_page) - 1, "text/html; charset=utf-8"));
}

static enum MHD_Result reply_openapi(struct request *r)
{
    const struct openapi *o = &r->rest->openapi;
    const char *known = rest_request_header(r, MHD_HTTP_HEADER_IF_NONE_MATCH);
    bool same = known && (strstr(known, o->etag) || strcmp(known, "*") == 0);
    struct MHD_Response *response =
        same ? text("", 0, NULL) : text(o->json, o->len, "application/json; charset=utf-8");
    if (response) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_ETAG, o->etag);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                                "public, max-age=300, must-revalidate");
    }
    return rest_reply_response(r, same ? 304 : 200, response);
}

static const struct {
    const char *path;
    enum MHD_Result (*reply)(struct request *r);
} pages[] = {
    {"/", reply_home},
    {"/openapi.json", reply_openapi},
    {"/openapi.json/", reply_openapi},
};

rest_reply_fn rest_fixed_find(const char *path)
{
    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        if (strcmp(pages[i].path, path) == 0)
            return pages[i].reply;
    return NULL;
}

enum MHD_Result rest_fixed_step(struct request *r, const char *data, size_t *len)
{
    (void)data;
    if (!*len)
        return r->fixed(r);
    *len = 0;
    return MHD_YES;
}
