/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver: who holds the role of driving MPI, and what it does. For the files of progress alone: driver.c, watcher.c, wait.c
 * and progress.c.
 * Locking key: i constant, d driver only (handed over with the role), a atomic.
 * The role word: FREE, HELD, or TAKEABLE with the number k of the handler the driver is in.
 */
#ifndef RRI_DRIVER_H
#define RRI_DRIVER_H

#include "budget.h"
#include "chaos.h"
#include "progress.h"

enum { RRI_ROLE_FREE = 0, RRI_ROLE_HELD = 1, RRI_ROLE_TAKEABLE = 2 };
enum { RRI_NOT_ASKED, RRI_ASKING, RRI_GRANTED };
enum { RRI_CLOCK_POLLS = 16, RRI_TICK_NS = 100000, RRI_NAP_MIN_NS = 20000, RRI_NAP_MAX_NS = 1000000, RRI_NAP_NEAR_NS = 100000,
       RRI_PATIENT_NS = 200000, RRI_DRIFT_NS = 1000000 };

struct rri_progress {
    rri_link *link;                 /* i */
    rri_flow *flow;                 /* i */
    rri_timers *timers;             /* i */
    rri_progress_config config;     /* i */
    rri_dispatch dispatch;          /* i */
    void *up;                       /* i */
    pthread_t init_thread;          /* i */
    rri_peers *peers;               /* i, or NULL */

    _Alignas(64) _Atomic uint64_t role;
    uint64_t handlers RRI_OWNED(rri_driver);    /* d: handlers started on the driver */
    rri_buffer *batch RRI_OWNED(rri_driver);    /* d: message being dispatched */
    uint32_t at RRI_OWNED(rri_driver);          /* d: its next record */
    bool paid RRI_OWNED(rri_driver);            /* d: its credit is accounted for */
    rri_job *due RRI_OWNED(rri_driver), *due_last RRI_OWNED(rri_driver);   /* d: found in this look at MPI, to be run behind it */
    rri_budget spin RRI_OWNED(rri_driver), borrowed_spin RRI_OWNED(rri_driver);     /* d: of library threads; of others */
    int64_t nap RRI_OWNED(rri_driver);          /* d: how long the next bounded sleep is */
    int from RRI_OWNED(rri_driver);             /* d: whose the last message was */
    unsigned flown RRI_OWNED(rri_driver);       /* d: how often the role may still be parked with patience */
    unsigned near RRI_OWNED(rri_driver);        /* d: messages of this node since the last one of another */
    unsigned looks RRI_OWNED(rri_driver);       /* d: looks that could have been left out */
    unsigned handled RRI_OWNED(rri_driver);     /* d: handlers since the role was parked that the standby was marked for */
    bool tidy RRI_OWNED(rri_driver);            /* d: nothing was left behind when the role was parked last */
    bool glance RRI_OWNED(rri_driver);          /* d: time alone ended the last one: a poll without news is enough */
    bool marked RRI_OWNED(rri_driver);          /* d: the standby is, while the driver is in user code */
    bool displaced RRI_OWNED(rri_driver);       /* d: who rang may wait for the core that the watcher woke up on */
    _Atomic int64_t sleep_ns;       /* a: how long the watcher may sleep while the role is parked; -1: no limit */
    atomic_uint parked;             /* a: how often the role was */
    bool anew;                      /* the watcher's: it was, while that slept */
    int64_t tick;                   /* the watcher's: how long it sleeps while a library thread drives */
    unsigned steady;                /* the watcher's: `parked` at its last look at such a one */
    int64_t looked;                 /* the watcher's: when it first saw the handler that it looks for again */
    atomic_uint seen;               /* a: the doorbell's count before the last look of who parked the role */
    atomic_bool blind;              /* a: the watcher sleeps without looks at the peers between */
    atomic_bool dozes;              /* a: the watcher, if it sleeps, does so for NAP_MAX at most */
    _Atomic int64_t until;          /* a: ... or until then */
    _Atomic(rri_member *) by;       /* a: who drives, if only the application does; or NULL */
    _Atomic int64_t borrowed;       /* a: 1 while an application thread holds the role */
    atomic_uint borrower;           /* a: who asks for the role, or has been granted it: RRI_NOT_ASKED, ... */
    atomic_uint wants;              /* a: sleeping threads and callbacks that a message may be for */

    _Atomic(rri_member *) handling; /* who runs handler number `handlers`: written by the driver */
    _Alignas(64) rri_crew crew;
    _Atomic uint64_t wakeups;       /* a */
};

/* What a thread is, for whichever context it works. */
typedef struct rri_thread_state {
    rri_progress *driving;          /* holds the role of this one (RRI_ROLE_TAKEABLE counts until it is lost) */
    uint64_t offered;               /* the RRI_ROLE_TAKEABLE word it left, or 0 */
    bool in_inline;
    int depth;                      /* handlers and callbacks on the stack */
    const rri_event *polls_for;     /* what it drives for, or NULL */
    bool answers;                   /* it dispatches a message of answers */
    void (*after)(void);            /* to be called after that, or NULL */
    rri_progress *ready;            /* it has taken the role of this one for what it is going to wait for */
} rri_thread_state;
extern RRI_THREAD_LOCAL rri_thread_state rri_thread;

/* Take the role from what its word is now, or give it up, and no more. */
bool rri_driver_take(rri_progress *progress, uint64_t from) RRI_TRIES(rri_driver);
void rri_driver_free(rri_progress *progress) RRI_GIVES(rri_driver);
/* To a library thread; rouse: have one take the role, which is free. */
void rri_driver_pass(rri_progress *progress) RRI_GIVES(rri_driver);
void rri_driver_rouse(rri_progress *progress);
/* Let an application thread that asks for the role have it; whether one did. */
bool rri_driver_grant(rri_progress *progress);

/* One look at everything. *news is raised when something happened. */
rri_verdict rri_driver_poll(rri_progress *progress, unsigned *news) RRI_NEEDS(rri_driver);
/* The message being dispatched: its credit goes back; all its records were seen. */
void rri_driver_pay(rri_progress *progress) RRI_NEEDS(rri_driver);
rri_verdict rri_driver_finish_batch(rri_progress *progress) RRI_NEEDS(rri_driver);
/* Whether the next look can be left out. */
bool rri_driver_skips_look(rri_progress *progress) RRI_NEEDS(rri_driver);
void rri_driver_look_at_peers(rri_progress *progress, int64_t now);
/* Whether messages are announced, or there, that have not been received. */
bool rri_driver_expects(rri_progress *progress);
/* Whether something of ours may still sit in MPI or in a buffer, which only a driver gets out. */
bool rri_driver_leaves_behind(rri_progress *progress);

/* Bounded sleeps: the longer nothing comes the longer they are. */
int64_t rri_driver_least_nap(const rri_progress *progress);
void rri_driver_lengthen_nap(rri_progress *progress) RRI_NEEDS(rri_driver);
void rri_driver_shorten_nap(rri_progress *progress) RRI_NEEDS(rri_driver);
int64_t rri_driver_sleep_limit(rri_progress *progress) RRI_NEEDS(rri_driver);

/* Leave the role free, marked asleep, but look once more; false: it is still held. */
bool rri_driver_let_go(rri_progress *progress, rri_sleeper who, unsigned seen, int64_t limit) RRI_NEEDS(rri_driver);
/* The same behind a last look at what is to be sent; content: the thread goes on with other things. */
bool rri_driver_park(rri_progress *progress, bool content) RRI_NEEDS(rri_driver);
/* The same for who has to leave: as long as messages are announced that have not come, go on polling. */
void rri_driver_leave(rri_progress *progress, int64_t arrival, bool content) RRI_GIVES(rri_driver);
/* Have the watcher look anew for how long it may sleep, if that is too long now. */
void rri_driver_remind(rri_progress *progress, unsigned seen, int64_t limit);

/* A thread of the crew: it watches, drives, or works. */
void *rri_watcher_main(void *progress);

/* A sleep behind which somebody looks at everything anyway. */
static inline bool rri_is_short(int64_t ns) { return ns >= 0 && ns <= RRI_NAP_MAX_NS; }

static inline int64_t rri_bounded(int64_t nap, int64_t deadline)
{
    if (deadline == RRI_NEVER) return nap;
    int64_t now = rri_now(), left = deadline > now ? deadline - now : 0;
    return nap < 0 || left < nap ? left : nap;
}

/* Whether the calling thread drives it, be it from further up on its stack: in a handler of an application-driven context it may
 * drive another one. */
static inline bool rri_drives(rri_progress *p)
{
    return rri_thread.driving == p || (p->config.application && atomic_load_explicit(&p->by, memory_order_relaxed) == &rri_self);
}

/* Whether the calling thread may drive for what it waits for: one of the application's, or of another context's that has not the
 * role of that. */
static inline bool rri_may_poll(const rri_progress *p)
{
    bool may = !rri_thread.in_inline && !p->config.application && rri_self.crew != &p->crew && !rri_thread.driving;
    return may && p->config.borrowed_spin > 0 && !rri_chaos_on();
}

#endif
