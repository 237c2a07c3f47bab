/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_listen.c - a listening TCP socket for the HTTP daemons.
 *
 * The daemon could open its own, but would not say what was wrong; a busy port is the most common
 * mistake of all and gets an error that names the setting to change. Called at start only, by
 * rest.c and rest_pages.c. The socket closes on exec and does not block, as the daemon wants it. */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/rest_impl.h"

enum { BACKLOG = 511 };

static int open_socket(const struct addrinfo *a)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

enum code rest_listen(struct ctx *cx, const char *host, int64_t port, const char *setting,
                      int *ret_fd)
{
    char service[8];
    snprintf(service, sizeof(service), "%d", (int)port);
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int failed = getaddrinfo(host, service, &hints, &list);
    if (failed)
        return ctx_fail(cx, CODE_UNAVAILABLE, "could not resolve HOST \"%s\": %s", host,
                        gai_strerror(failed));
    int fd = -1;
    for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
        fd = open_socket(a);
    int error = errno;
    freeaddrinfo(list);
    if (fd < 0)
        return ctx_fail(cx, CODE_UNAVAILABLE,
                        "could not listen on %s:%s: %s; set %s to another port", host, service,
                        strerror(error), setting);
    *ret_fd = fd;
    return CODE_OK;
}
