/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_pages.c - a small HTTP listener that answers GETs of fixed paths from memory (rest_pages.h).
 *
 * For the admin port: probes have to be answered even when all handlers are busy and the main port
 * is at its limit, so it shares nothing with rest.c but the socket's opening. One thread, no
 * bodies, no parameters, and the pages must not block. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/rest_impl.h"
#include "server/rest_pages.h"

enum {
    MAX_CONNECTIONS = 64,
    CONNECTION_MEMORY = 16 * 1024,
    IDLE_SECONDS = 30,
    PAGE_LIMIT = 1 << 20
};

struct pages {
    struct MHD_Daemon *daemon;
    const struct page *pages;
    size_t n;
    void *arg;
};

static enum MHD_Result send_page(struct MHD_Connection *connection, int status, const char *type,
                                 const struct buf *b)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(b->len, (void *)buf_cstr(b), MHD_RESPMEM_MUST_COPY);
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, (unsigned)status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *verb, const char *version, const char *data,
                                  size_t *len, void **seen)
{
    (void)version;
    (void)data;
    static const char head_seen;
    struct pages *p = arg;
    if (!*seen) {
        *seen = (void *)&head_seen;
        return MHD_YES;
    }
    if (*len) {
        *len = 0;
        return MHD_YES;
    }
    CLEANUP(buf_done) struct buf b = BUF_INIT(PAGE_LIMIT);
    if (strcmp(verb, "GET") != 0 && strcmp(verb, "HEAD") != 0) {
        buf_str(&b, "only GET is possible here\n");
        return send_page(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", &b);
    }
    for (size_t i = 0; i < p->n; i++)
        if (strcmp(p->pages[i].path, url) == 0) {
            int status = p->pages[i].write(p->arg, &b);
            return send_page(connection, status, p->pages[i].type, &b);
        }
    buf_str(&b, "no such page; there are");
    for (size_t i = 0; i < p->n; i++)
        buf_printf(&b, " %s", p->pages[i].path);
    buf_char(&b, '\n');
    return send_page(connection, MHD_HTTP_NOT_FOUND, "text/plain", &b);
}

enum code rest_pages_start(struct ctx *cx, const char *host, int64_t port, const char *setting,
                           const struct page *pages, size_t n, void *arg, struct pages **ret_pages)
{
    int fd = -1;
    TRY(rest_listen(cx, host, port, setting, &fd));
    struct pages *p = calloc(1, sizeof(*p));
    if (p) {
        *p = (struct pages){.pages = pages, .n = n, .arg = arg};
        p->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, p,
                                     MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
                                     (unsigned)MAX_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                                     (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                     (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    }
    if (!p || !p->daemon) {
        free(p);
        close(fd);
        return ctx_fail(cx, CODE_INTERNAL, "could not start the HTTP daemon of %s", setting);
    }
    *ret_pages = p;
    return CODE_OK;
}

void rest_pages_stop(struct pages *p)
{
    if (!p)
        return;
    MHD_stop_daemon(p->daemon);
    free(p);
}
