/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* proxy.c - stands between a program and the test database (proxy.h).
 *
 * The worst moment to lose a database is between its commit and its answer, and no real server can
 * be made to die just there on demand. This one passes bytes on, watches for one message of the
 * client, and cuts before it or after the server has answered it. It knows just enough of the
 * protocol for that: the first byte of a message, and that an answer ends with ReadyForQuery. libpq
 * sends each statement as one flush, so a message begins where a read does. */
#include "tests/support/proxy.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { MAX_PAIRS = 16, PORT = 5999 };

struct pair {
    int client, server;
    bool doomed; /* its message went to the server, the answer must not come back */
};

struct proxy {
    pthread_t thread;
    pthread_mutex_t lock;
    int listener, stop[2];
    char url[512], path[100];
    struct sockaddr_un target;
    struct pair pairs[MAX_PAIRS];
    int n_pairs, cuts;
    char type; /* 0: nothing is to be cut */
    const char *text;
    enum proxy_when when;
};

static bool write_all(int fd, const char *data, ssize_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, (size_t)len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        len -= n;
    }
    return true;
}

static void drop(struct proxy *p, int i)
{
    close(p->pairs[i].client);
    close(p->pairs[i].server);
    p->pairs[i] = p->pairs[--p->n_pairs];
}

static void admit(struct proxy *p)
{
    struct pair pair = {.client = accept(p->listener, NULL, NULL), .server = -1};
    if (pair.client >= 0 && p->n_pairs < MAX_PAIRS)
        pair.server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (pair.server >= 0 &&
        connect(pair.server, (struct sockaddr *)&p->target, sizeof(p->target)) == 0) {
        p->pairs[p->n_pairs++] = pair;
        return;
    }
    close(pair.client);
    close(pair.server);
}

static bool is_wanted(struct proxy *p, const char *data, size_t len)
{
    pthread_mutex_lock(&p->lock);
    bool yes = p->type && data[0] == p->type && memmem(data, len, p->text, strlen(p->text));
    if (yes) {
        p->type = 0;
        p->cuts++;
    }
    pthread_mutex_unlock(&p->lock);
    return yes;
}

/* False: the pair has to go. */
static bool from_client(struct proxy *p, struct pair *pair)
{
    char data[65536];
    ssize_t n = recv(pair->client, data, sizeof(data), 0);
    if (n <= 0)
        return false;
    if (is_wanted(p, data, (size_t)n)) {
        if (p->when == PROXY_BEFORE)
            return false;
        pair->doomed = true;
    }
    return write_all(pair->server, data, n);
}

static bool from_server(const struct pair *pair)
{
    char data[65536];
    ssize_t n = recv(pair->server, data, sizeof(data), 0);
    if (n <= 0)
        return false;
    if (!pair->doomed)
        return write_all(pair->client, data, n);
    return n < 6 || data[n - 6] != 'Z'; /* until it is ready for the next one: this one is done */
}

static void *run(void *arg)
{
    struct proxy *p = arg;
    for (;;) {
        struct pollfd fds[2 + 2 * MAX_PAIRS] = {{.fd = p->stop[0], .events = POLLIN},
                                                {.fd = p->listener, .events = POLLIN}};
        int n = p->n_pairs;
        for (int i = 0; i < n; i++) {
            fds[2 + 2 * i] = (struct pollfd){.fd = p->pairs[i].client, .events = POLLIN};
            fds[3 + 2 * i] = (struct pollfd){.fd = p->pairs[i].server, .events = POLLIN};
        }
        if (poll(fds, (nfds_t)(2 + 2 * n), -1) < 0)
            continue;
        if (fds[0].revents)
            return NULL;
        for (int i = n - 1; i >= 0; i--)
            if ((fds[2 + 2 * i].revents && !from_client(p, &p->pairs[i])) ||
                (fds[3 + 2 * i].revents && !from_server(&p->pairs[i])))
                drop(p, i);
        if (fds[1].revents)
            admit(p);
    }
}

/* The same address with our socket's folder in it, and where the real one listens. */
static bool addresses(struct proxy *p)
{
    p->target.sun_family = AF_UNIX;
    const char *real = fixture_database_socket();
    int n = snprintf(p->target.sun_path, sizeof(p->target.sun_path), "%s", real);
    snprintf(p->path, sizeof(p->path), "%s/.s.PGSQL.%d", fx.folder, PORT);
    snprintf(p->url, sizeof(p->url), "host='%s' port=%d dbname=%s user=%s", fx.folder, PORT,
             fixture_sql("SELECT current_database()"), fixture_sql("SELECT current_user"));
    return n > 0 && (size_t)n < sizeof(p->target.sun_path);
}

struct proxy *proxy_start(void)
{
    struct proxy *p = calloc(1, sizeof(*p));
    struct sockaddr_un here = {.sun_family = AF_UNIX};
    if (!p || !addresses(p) || pipe(p->stop) != 0) {
        free(p);
        return NULL;
    }
    pthread_mutex_init(&p->lock, NULL);
    snprintf(here.sun_path, sizeof(here.sun_path), "%s", p->path);
    unlink(p->path);
    p->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->listener < 0 || bind(p->listener, (struct sockaddr *)&here, sizeof(here)) != 0 ||
        listen(p->listener, 16) != 0 || pthread_create(&p->thread, NULL, run, p) != 0) {
        free(p);
        return NULL;
    }
    return p;
}

void proxy_stop(struct proxy *p)
{
    if (!p)
        return;
    close(p->stop[1]);
    pthread_join(p->thread, NULL);
    while (p->n_pairs)
        drop(p, 0);
    close(p->stop[0]);
    close(p->listener);
    unlink(p->path);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

const char *proxy_url(const struct proxy *p)
{
    return p->url;
}

void proxy_cut(struct proxy *p, char type, const char *text, enum proxy_when when)
{
    pthread_mutex_lock(&p->lock);
    p->when = when;
    p->text = text;
    p->type = type;
    pthread_mutex_unlock(&p->lock);
}

void proxy_close_door(struct proxy *p)
{
    unlink(p->path);
}

int proxy_cuts(struct proxy *p)
{
    pthread_mutex_lock(&p->lock);
    int n = p->cuts;
    pthread_mutex_unlock(&p->lock);
    return n;
}
