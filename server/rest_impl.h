/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* rest_impl.h - what the files of the HTTP door share; private to rest*.c.
 *
 * A request begins in rest.c, is then driven by one of the steps (unary, upload, watch, refuse),
 * each called by the loop's thread with a piece of the body or, with no data, when there is no
 * more of it and whenever the connection was resumed. While a task of it is with the handlers the
 * connection is suspended and only the handler's thread touches the request. */
#ifndef SERVER_REST_IMPL_H
#define SERVER_REST_IMPL_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "server/openapi.h"
#include "server/rest.h"
#include "server/route.h"

enum {
    REST_JSON_LIMIT = 1024 * 1024, /* bytes of a JSON body */
    REST_SWALLOW_LIMIT = 16 * 1024 * 1024, /* a refused body is read to its end up to this */
    REST_MAX_PARAMS = 64,
    REST_DEADLINE_MS = 30000,
    REST_LOOPS = 2,
};

struct watch;
struct watch_list;
struct rest_upload;

struct rest {
    struct ctx cx; /* holds the routes and the document */
    const struct settings *settings;
    struct handlers *handlers;
    struct hub *hub;
    struct route_table *routes;
    struct openapi openapi;
    struct rest_loops *loops;
    struct watch_list *watches;
    _Atomic bool stopping;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    int running; /* requests that are suspended for a task, under lock */
    int open; /* requests that are not completed, under lock */
};

/* One daemon with its share of the connections; whoever leads it (rest_loop.c) touches it. */
struct rest_loop {
    struct rest *rest;
    struct MHD_Daemon *daemon;
    int epoll_fd; /* the daemon's */
    int wake_fd; /* readable: look again, a connection was resumed or it ends */
    _Atomic bool woken; /* is it */
    struct request *asked[HANDLERS_MAX_GROUP]; /* questions that nobody works on yet */
    int n_asked;
    bool replied; /* since the last look */
    struct rest_loop *next; /* in the list of those that wait for a leader */
};

struct request;
typedef enum MHD_Result (*rest_reply_fn)(struct request *r);

struct request {
    struct ctx cx;
    struct task task;
    struct rest *rest;
    struct rest_loop *loop;
    struct MHD_Connection *connection;
    bool asked, suspended;
    enum MHD_Result (*step)(struct request *r, const char *data, size_t *len);
    const char *verb, *path;
    rest_reply_fn fixed; /* a page beside the methods; NULL: none */
    struct route_match match;
    struct route_param query[REST_MAX_PARAMS];
    size_t n_query;
    int64_t content_length; /* -1: not known (chunked); 0: no body */
    int64_t received;
    int64_t began_us;
    struct buf body;
    _Atomic bool done; /* the task has run; what follows is its outcome */
    struct buf reply;
    int status;
    const char *location;
    struct rest_upload *upload;
    struct watch *watch;
};

/* rest_request.c: reads headers and query. False on the first failure (recorded in r->cx). */
bool rest_request_read(struct request *r);
enum code rest_request_fill(struct request *r,
                            ProtobufCMessage *in) MUST_CHECK; /* query, then path */
const char *rest_request_header(const struct request *r, const char *name); /* NULL: not there */
bool rest_request_is(const char *value, const char *type); /* "a/b; x=y" is "a/b" */

/* rest_reply.c: each queues a response and returns what the daemon wants to hear. */
enum MHD_Result rest_reply_outcome(struct request *r); /* r->reply, or the recorded failure */
enum MHD_Result rest_reply_options(struct request *r);
enum MHD_Result rest_reply_nothing(struct request *r); /* 204 */
enum MHD_Result rest_reply_response(struct request *r, int status, struct MHD_Response *response);
/* A failure while the body is still coming: reads a short rest, else answers and hangs up. */
enum MHD_Result rest_reply_midway(struct request *r, size_t *len);
enum MHD_Result rest_refuse_step(struct request *r, const char *data, size_t *len);

/* rest_cors.c: what browsers of other origins need. Also as lines of a header that is written by
 * hand. */
void rest_cors_add(const struct request *r, struct MHD_Response *response);
void rest_cors_write(const struct request *r, struct buf *b);

/* rest_fixed.c: pages beside the methods */
rest_reply_fn rest_fixed_find(const char *path); /* NULL: none there */
enum MHD_Result rest_fixed_step(struct request *r, const char *data, size_t *len);

/* rest.c: gives `run` to the handlers; the step is called again when rest_finish was. */
enum MHD_Result rest_submit(struct request *r, void (*run)(struct task *, struct jobs *));
void rest_finish(struct request *r);
void rest_suspend(struct request *r); /* only while leading its loop */
struct request *rest_of(struct task *task);

/* rest.c: a daemon on the listening socket. NULL: failed. */
struct MHD_Daemon *rest_daemon(struct rest_loop *loop, int fd);

/* rest_loop.c: the threads that serve the connections. */
enum code rest_loop_start(struct ctx *cx, struct rest *rest) MUST_CHECK; /* sets rest->loops */
void rest_loop_quiesce(struct rest_loops *all); /* no new connections */
void rest_loop_stop(struct rest_loops *all); /* nothing may be suspended any more */
/* A question is short work: its run_many asks the database once for all of them that have come by
 * then, as a rule on the loop's own thread. The step is called again, until r->done. */
enum MHD_Result rest_loop_ask(struct request *r, void (*run)(struct task *, struct jobs *),
                              void (*run_many)(struct task **, int, struct jobs *));
void rest_loop_forget(struct request *r); /* it ends */
void rest_loop_resume(struct request *r); /* a suspended one, from any thread */

/* rest_unary.c */
enum code rest_unary_write(struct request *r,
                           const ProtobufCMessage *out) MUST_CHECK; /* 200 or 202 */
enum MHD_Result rest_unary_step(struct request *r, const char *data, size_t *len);

/* rest_upload.c */
bool rest_upload_open(struct request *r); /* false: failed, recorded */
enum MHD_Result rest_upload_step(struct request *r, const char *data, size_t *len);
void rest_upload_close(struct request *r);

/* rest_watch.c */
enum MHD_Result rest_watch_step(struct request *r, const char *data, size_t *len);
void rest_watch_close(struct request *r);
enum code rest_watch_start(struct ctx *cx, struct watch_list **ret_list) MUST_CHECK;
void rest_watch_end(struct watch_list *list); /* ends every stream */
void rest_watch_stop(struct watch_list *list); /* after the daemon */

/* rest_listen.c: a listening socket. The message names `setting`. */
enum code rest_listen(struct ctx *cx, const char *host, int64_t port, const char *setting,
                      int *ret_fd) MUST_CHECK;

#endif
