/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The crew: the library's threads, and the jobs they run.
 *
 *    idle --called--> watching (one of them) --> driving --> idle
 *         --called--> computing --waits in the library--> blocked --> computing
 *                         `------- its CPU clock stands still ------> stalled --moves--> computing
 *
 * At most `workers` compute at a time; further jobs wait. Who is blocked in the library does not count, nor who is stalled: in
 * the application's own lock, MPI call or input. Threads are added up to workers + 2 that are neither, and stay to the end.
 *
 * One of those that are idle is the standby: it sleeps on a word that others may change, too, to call it when nobody watches.
 */
#ifndef RRI_CREW_H
#define RRI_CREW_H

#include "place.h"
#include "sync.h"

#include <time.h>

typedef struct rri_crew rri_crew;

/* Has the lock of a crew. */
RRI_ROLE(rri_crew_lock);

/* Work for a library thread. */
typedef struct rri_job {
    struct rri_job *next;
    void (*run)(struct rri_job *job);
} rri_job;

/* What a thread is to the crew. */
typedef struct rri_member {
    rri_crew *crew;                 /* library thread of this one */
    struct rri_member *next RRI_OWNED(rri_crew_lock);   /* computing or stalled; under the crew's lock, as all behind */
    clockid_t clock;                /* i: of its CPU time */
    int64_t cpu RRI_OWNED(rri_crew_lock);               /* ns of CPU time */
    int64_t since RRI_OWNED(rri_crew_lock);             /* when that was last seen to move */
    bool listed RRI_OWNED(rri_crew_lock), stalled RRI_OWNED(rri_crew_lock);
} rri_member;

/* How the threads are to end: when nothing is in sight any more, or whatever is. */
enum { RRI_STOP_SETTLED = 1, RRI_STOP_AT_ONCE };

/* One more idle thread, or none. */
typedef enum rri_standby { RRI_STANDBY_NONE, RRI_STANDBY_READY, RRI_STANDBY_CALLED } rri_standby;

typedef struct rri_crew_config {
    unsigned workers;               /* that compute at a time */
    unsigned max_blocked;           /* threads blocked or stalled at a time */
    size_t stack;
    bool absent;                    /* no threads: whoever polls runs jobs */
} rri_crew_config;

struct rri_crew {
    rri_crew_config config;         /* i */
    void *(*main)(void *arg);       /* i */
    void *arg;                      /* i */
    rri_lock lock;
    rri_job *jobs RRI_OWNED(rri_crew_lock), *jobs_last RRI_OWNED(rri_crew_lock);   /* under the lock, as is what follows */
    rri_member *busy RRI_OWNED(rri_crew_lock);  /* computing or stalled */
    unsigned threads RRI_OWNED(rri_crew_lock), idle RRI_OWNED(rri_crew_lock);
    unsigned stalled RRI_OWNED(rri_crew_lock), blocked RRI_OWNED(rri_crew_lock);
    atomic_uint running;            /* computing; changed under the lock */
    _Atomic(rri_standby) standby;   /* a: changed under the lock */
    atomic_uint *calls;             /* i: where it sleeps, as long as that stays what it is */
    unsigned roused RRI_OWNED(rri_crew_lock);   /* idle threads called that have not come yet */
    unsigned made RRI_OWNED(rri_crew_lock), room RRI_OWNED(rri_crew_lock);  /* threads ever made */
    pthread_t *thread RRI_OWNED(rri_crew_lock);
    rri_units drivers RRI_OWNED(rri_crew_lock);         /* where the first two threads run; empty: wherever the rank may */
    rri_units workers RRI_OWNED(rri_crew_lock);         /* and others */
    int64_t inspected RRI_OWNED(rri_crew_lock); /* when the CPU clocks were last read */
    atomic_uint waiting;            /* a: jobs that wait; changed under the lock */
    atomic_uint call;               /* a: changes when an idle thread has a reason to look */
    atomic_uint watching;           /* a: 1 while a thread watches */
    atomic_uint stop;               /* a: RRI_STOP_... */
};

extern RRI_THREAD_LOCAL rri_member rri_self;

/* calls: where the standby sleeps; shared memory, perhaps. Errors: NO_MEMORY, through rri_fail. */
int rri_crew_open(rri_crew *crew, const rri_crew_config *config, atomic_uint *calls, void *(*main)(void *arg), void *arg);
void rri_crew_close(rri_crew *crew);

/* Start the first thread. Errors: SYSTEM, NO_MEMORY, through rri_fail. */
int rri_crew_start(rri_crew *crew);
/* The first thing a thread of the crew does. */
void rri_crew_join(rri_crew *crew);
/* `stop` is set: wake all and wait for them; if abandon for a moment only, since some may be stuck in user code. */
void rri_crew_stop(rri_crew *crew, bool abandon);

/* Let the first two threads run on these units, and others, those to come too, on those. Returns 0 or an errno. */
int rri_crew_place(rri_crew *crew, const rri_units *drivers, const rri_units *workers);

/* Have a thread run a job; false when it has to wait for others to end. */
bool rri_crew_submit(rri_crew *crew, rri_job *job);
/* Run a job that may start, if there is one. */
bool rri_crew_work(rri_crew *crew);
/* Sleep until called. */
void rri_crew_idle(rri_crew *crew);
/* See to it that a thread comes to watch. */
void rri_crew_call(rri_crew *crew);
/* Whether who changes the standby's word has a thread to watch. */
static inline bool rri_crew_stands_by(const rri_crew *crew)
{
    return atomic_load_explicit(&crew->standby, memory_order_relaxed) == RRI_STANDBY_READY;
}
/* Have one more thread come, if jobs could start; false: none can be had, and all others are blocked, so the jobs are the
 * caller's. */
bool rri_crew_call_for_jobs(rri_crew *crew);

/* The calling thread waits in the library; false when too many do already, or no thread can be had that goes on meanwhile. It
 * computes again after rri_crew_unblock. */
bool rri_crew_block(rri_crew *crew);
/* Whether it could: false is what rri_crew_block would say now. */
bool rri_crew_may_block(rri_crew *crew);
void rri_crew_unblock(rri_crew *crew);

/* A thread computes beside the driver, without a job; the lock is held. And no longer. */
void rri_crew_enlist(rri_crew *crew, rri_member *member) RRI_NEEDS(rri_crew_lock);
void rri_crew_delist(rri_crew *crew);
/* The calling thread does, without a job, if one more may. */
bool rri_crew_compute(rri_crew *crew);

/* Whether one more may compute. */
static inline bool rri_crew_has_place(const rri_crew *crew)
{
    return atomic_load_explicit(&crew->running, memory_order_relaxed) < crew->config.workers;
}

/* Whether jobs wait though `workers` compute: then somebody should inspect every millisecond, which finds out who is stalled. */
bool rri_crew_short(rri_crew *crew);
void rri_crew_inspect(rri_crew *crew, int64_t now);

bool rri_crew_quiet(rri_crew *crew);
unsigned rri_crew_threads(rri_crew *crew);

#endif
