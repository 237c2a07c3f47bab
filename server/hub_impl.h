/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* hub_impl.h - what the files of the hub share; private to hub*.c.
 *
 * Locks, in this order: `reading` (row reads and the queueing of what they gave, so that no watcher
 * sees a state go backwards), `lock` (the table, the lists of watchers, the memory of what was
 * told; held while wake() runs, and taken by hub_unwatch, which is how it waits for a running
 * call), a watcher's own (its queue). */
#ifndef SERVER_HUB_IMPL_H
#define SERVER_HUB_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "jobs/event.h"
#include "jobs/record.h"
#include "server/hub.h"

enum {
    HUB_BUCKETS = 1024,
    HUB_ID = 32, /* an event id with its NUL */
    HUB_MAX_STATES = 1024, /* not yet taken by a watcher; one more and it is too slow */
    HUB_MAX_PROGRESS = 1024, /* jobs of which a watcher keeps the newest progress */
    HUB_MAX_KEPT = 4096, /* entries that only watchers of all jobs want */
    HUB_SETS = 2048,
    HUB_WAYS = 8,
};

struct packed { /* a packed JobEvent, shared by the queues it is in */
    atomic_int refs;
    char job_id[37], id[HUB_ID];
    bool terminal;
    size_t len;
    unsigned char data[];
};

struct queued {
    struct queued *next;
    struct packed *event;
};

struct filter { /* of a watcher of all jobs */
    unsigned statuses, types; /* bits 1 << value; 0: any */
    char parent[37]; /* "": any */
    bool children;
};

struct watcher {
    struct watcher *next; /* in its entry, or in hub->all */
    struct hub *hub;
    struct entry *entry; /* NULL: watches all jobs that pass the filter */
    struct filter filter;
    char seen[HUB_ID]; /* what the client has already; "": nothing */
    void (*wake)(void *arg);
    void *arg;
    pthread_mutex_t lock;
    struct queued *first, *last; /* states */
    int n_states;
    struct queued *progress; /* one a job, newest job first */
    int n_progress;
    bool ended, closing, slow;
};

struct entry { /* a job that is watched, or runs while somebody watches all */
    struct entry *next; /* in its bucket */
    char job_id[37];
    struct watcher *watchers;
    int64_t epoch, read_ms;
    Localrag__V1__JobStatus status;
    bool kept; /* without a watcher, because it runs and somebody watches all */
    double percent;
    struct ctx cx; /* memory of `job`, the newest row */
    Localrag__V1__Job *job;
    double progress_at;
};

/* What watchers of all jobs were told last of a job; an old one gives way. */
struct told {
    char job_id[37], state[HUB_ID];
};

struct hub {
    const struct settings *settings;
    pthread_mutex_t lock, reading;
    struct jobs *jobs; /* under `reading` */
    struct entry *buckets[HUB_BUCKETS];
    int poll_bucket; /* where the next poll goes on */
    int n_kept;
    struct watcher *all;
    struct told (*told)[HUB_WAYS]; /* HUB_SETS; NULL until somebody watches all */
    unsigned told_turn;
    double changed_since; /* the database's clock; 0: nobody watches all */
    int refs; /* the thread's owner and every watcher; under `lock` */
    atomic_bool stopping;
    pthread_t thread;
};

/* ---- hub_queue.c: events and the queues of watchers ---- */
/* The id of a job's newest event, and of its state alone (the same for all progress in it). */
void hub_event_id(int64_t epoch, Localrag__V1__JobStatus status, double percent, double progress_at,
                  char id[HUB_ID]);
void hub_state_id(int64_t epoch, Localrag__V1__JobStatus status, double progress_at,
                  char id[HUB_ID]);
bool hub_is_event_id(const char *text);
/* Queues what the entry has now for its watchers and for those of all jobs, and wakes them; a type
 * of UNSPECIFIED: not. Lock held. */
void hub_tell(struct hub *hub, const struct entry *e, Localrag__V1__JobEventType own,
              Localrag__V1__JobEventType all);
/* The first event of a watcher of one job, unless its client has it. Lock held. */
void hub_tell_first(struct watcher *w, const struct entry *e);
void hub_drop_queue(struct watcher *w);

/* ---- hub_rows.c: the table and the rows ---- */
struct entry *hub_find(struct hub *hub, const char *job_id); /* lock held; NULL: none */
struct entry *hub_ensure(struct hub *hub, const char *job_id); /* lock held; NULL: no memory */
/* Removes the entry unless somebody wants it. Lock held. */
void hub_let_go(struct hub *hub, struct entry *e);

struct row {
    struct ctx cx;
    Localrag__V1__Job *job;
    int64_t epoch;
    double progress_at;
};
/* With `reading` held. The caller ends row->cx whatever comes back. */
enum code hub_read_row(struct hub *hub, const char *job_id, struct row *row) MUST_CHECK;
/* Puts the row, which nobody said had changed, into the entry and tells what is new in it. Frees
 * the row. Both locks held. */
void hub_take_row(struct hub *hub, struct entry *e, struct row *row);

void hub_refresh(struct hub *hub, const char *job_id);
void hub_take_event(struct hub *hub, const struct event *event);
/* Reads rows again that were not read for age_ms, a bounded number a call. */
void hub_poll_rows(struct hub *hub, int64_t age_ms);

/* ---- hub_all.c: watchers of all jobs ---- */
bool hub_passes(const struct filter *f, const Localrag__V1__Job *job);
/* Remembers that the entry's state was told to them; false: it was told before. Lock held. */
bool hub_tell_once(struct hub *hub, const struct entry *e);
/* Finds changes in the database that no hint told. */
void hub_poll_changed(struct hub *hub);
/* Takes w off hub->all; the last one frees what only they need. Lock held. */
void hub_leave_all(struct hub *hub, struct watcher *w);

/* ---- hub.c ---- */
struct watcher *hub_new_watcher(struct hub *hub, void (*wake)(void *arg), void *arg);
void hub_release(struct hub *hub); /* with `lock`, which is released */

#endif
