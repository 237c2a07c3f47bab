/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* claim.pml - claims, leases, the fence, cancel and the sweep, for SPIN (https://spinroot.com).
 *
 * Two pools of one worker, two jobs, a sweeper, somebody who submits, cancels and retries, and
 * everything that can go wrong between any two steps. A step (an atomic block) is one statement or
 * transaction of the code and carries the name of its file in sql/queries/, or one command to
 * Redis. A worker that is slow, stopped and resumed or cut off needs no state of its own: any
 * process may rest between any two steps for as long as it likes. That is the zombie.
 *
 * Two searches. The first is about what may never happen, and nothing in it is bounded: faults,
 * retries, hand-backs and claims go on for ever. Redis gives whatever it likes, a sweeper may think
 * any pool dead at any time, and every waiting time may have passed. Asserted is (the ghost `owner`
 * knows who has a job without looking at the fence):
 *   - a write takes effect only when it is the current claim's;
 *   - a claim is given only when nobody has the job;
 *   - nothing leaves completed, so there is no second finish; only a manual retry leaves cancelled
 *     or failed;
 *   - crash_count and retry_count stay within their limits.
 * What keeps its states finite is that epochs nobody remembers are forgotten (renumber).
 *
 * The second, -DLIVE, is about what must happen. It knows lanes, heartbeats and time, and bounds
 * the number of faults and of people's requests. Every run then comes to an end (a search for
 * cycles finds none, so no assumption of fairness is needed), and when nothing can happen any more,
 * every job has ended: none is lost. Pages and progress, which move no job, are left out of it.
 *
 * Not modelled: the cap of a lane and its overflow mark, batches, two sweepers (an advisory lock
 * makes them one), the time-outs themselves.
 *
 * NO_..., ..._ANY, SAME_EPOCH, EPOCH_RESET and PUSH_FIRST each break one thing on purpose: check.sh
 * runs them all and knows what SPIN has to find then. */

#define JOBS 2
#define POOLS 2
#ifndef RETRIES
#define RETRIES 1 /* max_retries */
#endif

#ifdef LIVE
#define CRASHES 2 /* so that two faults reach it */
byte faults = FAULTS, requests = REQUESTS;
#define FAULTY (faults > 0)
#define ASKING (requests > 0)
#define FAULT FAULTY -> faults--
#define REQUEST ASKING -> requests--
#define IN_LANE(j_) lane[j_]
#define SEEN_STILL(w_) pool[w_].still
#define LATER 0 /* a ready_at to come */
#define START absent
#else
#define CRASHES 3 /* dead_jobs.sql */
#define FAULTY true
#define ASKING true
#define FAULT true
#define REQUEST true
#define IN_LANE(j_) true
#define SEEN_STILL(w_) true
#define LATER 1
#define START pending
#endif

mtype = { absent, pending, processing, retrying, completed, failed, cancelled };

#define NOBODY 0 /* pool_id; w + 1 is the living pool of worker w */
#define LOST 3 /* a pool whose process is gone; its row does not know yet */
#define DEAD 4 /* worker_pools.dead_at is set */

typedef Row { /* processing_jobs */
    mtype status = START;
    byte epoch; /* claim_epoch */
    byte pool; /* pool_id */
    byte crashes; /* crash_count */
    byte retries; /* retry_count */
    bit due = LATER; /* ready_at has passed */
    byte lock; /* the row lock of a transaction of worker lock - 1 */
    byte held[POOLS]; /* in each worker's memory: the epoch of the claim it thinks it has, or 0 */
    byte owner /* ghost: whose the job truly is, worker + 1 */
}
Row row[JOBS];

typedef Pool { /* worker_pools, of worker w */
    bit alive = 1; /* it is registered and not dead */
    bit still /* its beats have not moved for POOL_DEAD_MS */
}
Pool pool[POOLS];

bit lane[JOBS]; /* Redis: the id is in its sorted set; twice is once */

#define WAITING(j) (row[j].status == pending || row[j].status == retrying)
#define ENDED(j) (row[j].status == completed || row[j].status == failed || row[j].status == cancelled)
#define UNLOCKED(j) (row[j].lock == 0)

/* The WHERE of every write of a worker: claim_epoch = $2 AND status = 'processing'. */
#define IS_PROCESSING (row[j].status == processing)
#define IS_CURRENT (row[j].epoch == row[j].held[_pid])
#if defined(NO_FENCE)
#define FENCE IS_PROCESSING
#elif defined(NO_STATUS)
#define FENCE IS_CURRENT
#else
#define FENCE (IS_PROCESSING && IS_CURRENT)
#endif

inline takes_effect()
{
    assert(row[j].status != completed);
    assert(row[j].status != cancelled);
    assert(row[j].owner == _pid + 1)
}

/* Every way out of pending, retrying and processing. */
inline leave(to)
{
    row[j].status = to;
    row[j].pool = NOBODY;
    row[j].owner = 0
}

/* Nobody reads the counts of a job that ended; a manual retry begins them anew. */
inline end_as(to)
{
    leave(to);
    row[j].crashes = 0;
    row[j].retries = 0
}

/* Fences are only compared, and only grow: what counts is the order of those that somebody still
 * remembers. */
#define OTHERS row[j].held[1 - _pid]
inline renumber()
{
    if
    :: OTHERS == 0 -> row[j].epoch = (row[j].held[_pid] -> 1 : 0)
    :: OTHERS > 0 && OTHERS <= row[j].epoch ->
        row[j].epoch = (OTHERS < row[j].epoch -> 2 : 1);
        OTHERS = 1
    :: else
    fi
}

inline forget()
{
    row[j].held[_pid] = 0;
    renumber();
    j = 0
}

/* queue_hint: after the commit, and not surely: whoever should do it may die first. */
inline hint(j_)
{
#ifdef LIVE
    atomic {
        if
        :: lane[j_] = 1
        :: FAULT
        fi
    }
#else
    skip
#endif
}

inline push_found()
{
    if
    :: lane[0] = lane[0] | found[0]; lane[1] = lane[1] | found[1]
    :: FAULT /* it died before, or Redis was away */
    fi;
    found[0] = 0;
    found[1] = 0
}

/* pool_strays.sql: the row says this pool, the pool does not know. */
#ifdef NO_STRAYS
#define STRAY(j_) false
#else
#define STRAY(j_) (row[j_].status == processing && row[j_].pool == _pid + 1 && UNLOCKED(j_))
#endif
#ifdef LIVE
#define QUIET (pool[_pid].alive && !pool[_pid].still && !STRAY(0) && !STRAY(1))
#endif

active [POOLS] proctype Worker()
{
    byte j;

end_idle:
idle:
    if
    :: atomic { /* pool_beat.sql renewed nothing: a sweeper said dead. pool_insert.sql */
        !pool[_pid].alive -> pool[_pid].alive = 1; pool[_pid].still = 0; goto idle }
    :: atomic { /* pool_beat.sql */
        pool[_pid].alive && pool[_pid].still -> pool[_pid].still = 0; goto idle }
    :: atomic { /* pool_strays.sql; no hint, the sweep finds it */
        STRAY(0) -> leave(pending); row[j].due = 1; goto idle }
    :: atomic {
        STRAY(1) -> j = 1; leave(pending); row[j].due = 1; j = 0; goto idle }
    :: atomic { /* BZMPOP: this process alone has the ids now */
#ifdef LIVE
        QUIET && (lane[0] || lane[1]) ->
#endif
        if
        :: IN_LANE(0) -> j = 0
        :: IN_LANE(1) -> j = 1
        fi;
        lane[j] = 0;
#ifdef LIVE
    }
    atomic {
#endif
        /* job_claim.sql; another transaction's row lock is waited for */
        UNLOCKED(j) ->
        if
#ifdef CLAIM_ANY
        :: (WAITING(j) || IS_PROCESSING) && row[j].due && pool[_pid].alive ->
#else
        :: WAITING(j) && row[j].due && pool[_pid].alive ->
#endif
            row[j].pool = _pid + 1
        :: WAITING(j) && row[j].due && !pool[_pid].alive ->
            if
            :: j = 0; goto idle /* EXISTS (... dead_at IS NULL) refused it */
            :: FAULT; row[j].pool = DEAD /* it read that before the sweeper's commit */
            fi
        :: else -> j = 0; goto idle /* a stale hint */
        fi;
        assert(row[j].crashes < CRASHES);
        assert(row[j].owner == 0);
        row[j].status = processing;
        row[j].owner = _pid + 1;
#ifdef SAME_EPOCH
        row[j].epoch = 1;
#else
        row[j].epoch++;
#endif
        row[j].held[_pid] = row[j].epoch;
        renumber();
        row[j].held[_pid] = row[j].epoch;
        if
        :: true
        :: FAULT; forget(); goto idle /* committed, but the answer was lost */
        fi }
    fi;

#ifndef LIVE
    if
    :: atomic { /* pages_save.sql; FOR SHARE waits for a lock */
        UNLOCKED(j) ->
        if
        :: FENCE -> takes_effect()
        :: else -> forget(); goto idle /* CLAIM_LOST: drop it */
        fi }
    :: atomic { /* pool_beat.sql with due progress; SKIP LOCKED; reads back what was lost */
        if
        :: !pool[_pid].alive -> forget(); goto idle
        :: pool[_pid].alive && !FENCE -> pool[_pid].still = 0; forget(); goto idle
        :: pool[_pid].alive && FENCE ->
            pool[_pid].still = 0;
            if
            :: UNLOCKED(j) -> takes_effect()
            :: else
            fi
        fi }
    :: true /* nothing to write; it may not even know yet that its pool is dead */
    fi;
#endif

ending:
    if
    :: atomic { /* job_lock.sql begins the transaction */
        UNLOCKED(j) ->
        if
        :: FENCE ->
#ifdef NO_LOCK
            goto locked
#else
            row[j].lock = _pid + 1; goto locked
#endif
        :: else -> forget(); goto idle
        fi }
    :: atomic { /* job_fail.sql */
        UNLOCKED(j) ->
        if
        :: FENCE ->
            takes_effect();
            if
            :: row[j].retries < RETRIES -> leave(retrying); row[j].retries++; row[j].due = LATER
            :: end_as(failed) /* none is left, or it is one that cannot pass */
            fi
        :: else
        fi;
        forget();
        goto idle }
    :: atomic { /* job_hand_back.sql */
        FAULT; UNLOCKED(j) ->
        if
        :: FENCE -> takes_effect(); leave(pending); row[j].due = 1
        :: else -> forget(); goto idle
        fi;
#ifndef LIVE
        forget();
        goto idle
    }
#else
        }
        hint(j);
        atomic { forget(); goto idle }
#endif
    :: atomic { FAULT; goto close }
    :: atomic { FAULT; goto died }
    fi;

locked:
    if
    :: atomic { /* chunks_add.sql, document_insert.sql, job_complete.sql, COMMIT: seen at once */
#ifndef NO_LOCK
        if
        :: row[j].lock == _pid + 1 -> row[j].lock = 0
        :: else -> goto ending /* PostgreSQL ended the session meanwhile and rolled back */
        fi;
#endif
        takes_effect();
        end_as(completed);
        if
        :: forget(); goto idle
        :: FAULT; goto ending /* committed, but the answer was lost */
        fi }
    :: atomic { FAULT; goto died }
    fi;

close:
    atomic { /* pool_hand_back.sql, pool_delete.sql; the next one registers under a new id */
        UNLOCKED(0) && UNLOCKED(1) ->
        forget();
        do
        :: j < JOBS ->
            if
            :: row[j].status == processing && row[j].pool == _pid + 1 -> leave(pending); row[j].due = 1
            :: else
            fi;
            j++
        :: else -> j = 0; break
        od;
        pool[_pid].alive = 1;
        pool[_pid].still = 0;
        goto idle
    }

died:
    atomic { /* kill -9: PostgreSQL rolls back; a new process registers under a new id */
        forget();
        do
        :: j < JOBS ->
            if
            :: row[j].lock == _pid + 1 -> row[j].lock = 0
            :: else
            fi;
            if
            :: row[j].pool == _pid + 1 -> row[j].pool = LOST
            :: else
            fi;
            j++
        :: else -> j = 0; break
        od;
        pool[_pid].alive = 1;
        pool[_pid].still = 0;
        goto idle
    }
}

/* The sweep: sweep_tick() in jobs/sweep.c. Its transaction commits at the end, so that all it does
 * to rows is one step. */
#define MISSING(j_) (WAITING(j_) && row[j_].due && !lane[j_])
#ifdef NO_FREEING
#define FREES(j_) false
#else
#define FREES(j_) (row[j_].pool == LOST || row[j_].pool == DEAD || \
    row[j_].pool == 1 && SEEN_STILL(0) || row[j_].pool == 2 && SEEN_STILL(1))
#endif

inline mark_dead(w_)
{
    pool[w_].alive = 0;
    pool[w_].still = 0;
    do
    :: j < JOBS ->
        if
        :: row[j].pool == w_ + 1 -> row[j].pool = DEAD
        :: else
        fi;
        j++
    :: else -> j = 0; break
    od
}

inline free_job(j_)
{
    j = j_;
    if
    :: row[j].pool == LOST -> row[j].pool = DEAD /* its beats have long stood still */
    :: else
    fi;
    if
    :: row[j].pool == DEAD && UNLOCKED(j) -> /* what is locked is left (SKIP LOCKED) */
        row[j].crashes++;
        row[j].due = 1;
        if
#ifdef NO_LIMIT
        :: true ->
#else
        :: row[j].crashes == CRASHES -> end_as(failed)
        :: row[j].crashes < CRASHES ->
#endif
            leave(pending);
            found[j] = 1
        fi
    :: else
    fi;
    j = 0
}

#ifndef NO_SWEEP
active proctype Sweeper()
{
    byte j;
    bit found[JOBS];

end_tick:
    do
#ifdef LIVE
    :: atomic { /* queue_look, sweep_older.sql: what is older than a lane's head, all without one */
        MISSING(0) || MISSING(1) ->
        found[0] = MISSING(0);
        found[1] = MISSING(1) }
        atomic { push_found() } /* stale by now */
#endif
    :: atomic { /* pool_mark_dead.sql, dead_jobs.sql, COMMIT */
#ifdef LIVE
        FREES(0) && UNLOCKED(0) || FREES(1) && UNLOCKED(1) || pool[0].still || pool[1].still ->
#endif
        if
        :: pool[0].alive && SEEN_STILL(0) -> mark_dead(0)
        :: pool[1].alive && SEEN_STILL(1) -> mark_dead(1)
#ifdef LIVE
        :: else
#else
        :: true
#endif
        fi;
#ifndef NO_FREEING
        free_job(0);
        free_job(1);
#endif
#ifdef LIVE
        }
        atomic { push_found() } /* tell_freed */
#else
        found[0] = 0;
        found[1] = 0 }
#endif
    od
}
#endif

#ifdef LIVE
inline submit(j_)
{
#ifdef PUSH_FIRST
    hint(j_);
#endif
    atomic { row[j_].status = pending; row[j_].due = 1 } /* job_insert.sql */
#ifndef PUSH_FIRST
    hint(j_)
#endif
}
#endif

#ifdef CANCEL_ANY
#define MAY_CANCEL(j_) (row[j_].status != cancelled && UNLOCKED(j_))
#else
#define MAY_CANCEL(j_) ((WAITING(j_) || row[j_].status == processing) && UNLOCKED(j_))
#endif

inline cancel(j_) /* job_cancel.sql */
{
    j = j_;
    assert(row[j].status != completed);
    end_as(cancelled);
    j = 0
}

#ifdef RETRY_ANY
#define MAY_RETRY(j_) ((ENDED(j_) || row[j_].status == processing) && UNLOCKED(j_))
#else
#define MAY_RETRY(j_) (row[j_].status == failed || row[j_].status == cancelled)
#endif

inline retry(j_) /* job_retry.sql */
{
    j = j_;
    assert(row[j].status != completed);
    leave(pending);
#ifdef EPOCH_RESET
    row[j].epoch = 0;
#endif
    row[j].due = 1;
    j = 0
}

/* People. */
active proctype People()
{
    byte j;

#ifdef LIVE
    submit(0);
    submit(1);
#endif
end_people:
    do
    :: atomic { MAY_CANCEL(0) && ASKING -> REQUEST; cancel(0) }
    :: atomic { MAY_CANCEL(1) && ASKING -> REQUEST; cancel(1) }
    :: atomic { MAY_RETRY(0) && ASKING -> REQUEST; retry(0) }
#ifdef LIVE
        hint(0)
#endif
    :: atomic { MAY_RETRY(1) && ASKING -> REQUEST; retry(1) }
#ifdef LIVE
        hint(1)
#endif
    od
}

/* Redis loses or repeats, PostgreSQL ends a session, a pool's beats stand still, time passes. */
active proctype World()
{
end_world:
    do
    :: atomic { FAULTY && !UNLOCKED(0) -> FAULT; row[0].lock = 0 }
    :: atomic { FAULTY && !UNLOCKED(1) -> FAULT; row[1].lock = 0 }
#ifdef LIVE
    :: atomic { FAULTY && lane[0] && lane[1] -> FAULT; lane[0] = 0; lane[1] = 0 } /* FLUSHALL */
    :: atomic { FAULTY && lane[0] -> FAULT; lane[0] = 0 }
    :: atomic { FAULTY && lane[1] -> FAULT; lane[1] = 0 }
    :: atomic { FAULTY && !lane[0] -> FAULT; lane[0] = 1 } /* an old push, once more */
    :: atomic { FAULTY && !lane[1] -> FAULT; lane[1] = 1 }
    :: atomic { FAULTY && pool[0].alive && !pool[0].still -> FAULT; pool[0].still = 1 }
    :: atomic { FAULTY && pool[1].alive && !pool[1].still -> FAULT; pool[1].still = 1 }
    :: row[0].status == retrying && !row[0].due -> row[0].due = 1
    :: row[1].status == retrying && !row[1].due -> row[1].due = 1
    :: timeout -> /* nothing can happen any more */
        assert(ENDED(0));
        assert(ENDED(1));
        break
#endif
    od
}
