/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Futures: results to come, of calls, promises and continuations.
 *
 *    PENDING --claim--> BUSY --value or error written--> DONE     (event word; exactly one thread claims)
 */
#ifndef RRI_FUTURE_H
#define RRI_FUTURE_H

#include "progress.h"
#include "table.h"
#include "transfer.h"
#include "output.h"

typedef struct rri_futures rri_futures;
typedef struct rri_future rri_future;

/* How references travel in results, and are taken from them: for good, or so that they can be taken again. */
typedef struct rri_ref_trade {
    rri_ref_codec codec;
    rri_ref_taker all, part;
} rri_ref_trade;

typedef struct rri_reaction rri_reaction;

/* Has the lock of a future. */
RRI_ROLE(rri_future_lock);

/* What has become of a call with a time limit that waited to be written. */
enum { RRI_DEPARTS = 1, RRI_STAYS };

struct rri_future {
    rri_slot slot;
    rri_event event;
    int outcome;                    /* valid when DONE */
    atomic_uint refs;               /* a: handles and internal users */
    atomic_uint held;               /* a: of these, the application's; it can give back no more */
    atomic_uint lent;               /* a: of these, lent to user code that runs: not the application's to give back */
    rri_futures *all;               /* i */
    bool promise;                   /* i: may be completed by hand */
    bool open;                      /* i: its types are known when it is complete, not before */
    atomic_bool creates;            /* a: it is complete when an object has been made */
    bool quiet;                     /* i: an unread error is nobody's business (the library's own futures) */
    bool plain;                     /* i: of calls of numbers, nothing beside their messages: kept, see spare.h */
    bool fresh;                     /* i: of an async call that is not yet on its way: nobody else knows it */
    bool lone;                      /* i: of a sync call: one thread waits for it, and nobody else knows it */
    atomic_bool read;               /* a: somebody has seen the outcome */
    _Atomic(const rri_types *) types;   /* a: of the results; set again, once, if they were to come */
    rri_signature *own;             /* i: types of a promise or child; malloc'ed, or NULL */
    void *payload, *landing;        /* by the claimer; malloc'ed, or small */
    _Alignas(16) char small[16];    /* for a payload of so many bytes */
    const rref_value *outputs;      /* i: where results go when it completes */
    unsigned output_count;
    bool outputs_owned;             /* i: outputs is malloc'ed */
    rref_value output;              /* i: a copy, if there is just one */
    rref_error *error;              /* by the claimer */
    rri_timer timer;
    bool timed;                     /* i: the timer was set and holds a count */
    atomic_uchar departure;         /* a: if so: whether the call was written, or its time was over before */
    atomic_int owed;                /* a: by which rank an answer, plus one; 0: by none (any more) */
    atomic_bool watched;            /* a: has, or had, reactions */
    atomic_bool wanted;             /* a: and is to be completed as soon as can be for them */
    _Atomic(const char *) site;     /* a: this and the next three are read for reports, of futures whose thread uses them again */
    _Atomic(const char *) method_name;  /* a: of a call, written after the next three: for reports */
    _Atomic(const char *) class_name;   /* a: these names live as long as the class */
    atomic_int peer;                /* a */
    _Atomic int64_t made;           /* by the coarse clock; 0: nobody has waited for it in earnest */
    uint64_t tag;                   /* the maker's own */
    uint64_t number;                /* of a remote-mode call: drawn for the object that its result becomes */
    _Atomic uint64_t sending;               /* transfer that borrows the caller's arrays, or 0 */
    _Atomic(rri_posted *) posted;   /* a: a receive for its result; whoever takes it out of here withdraws it, or awaits it */
    uint16_t room_tag;              /* i: its tag, until the answer comes; or 0 */
    uint16_t pushed_tag;            /* i: of arguments that were sent at once; or 0 */
    size_t pushed;                  /* i: their bytes */
    rri_event sent;                 /* set when the arrays are the caller's again */
    rri_lock lock;
    rri_reaction *first RRI_OWNED(rri_future_lock), *last RRI_OWNED(rri_future_lock);  /* f: to come */
    bool coloured;                  /* i: of a call: its callbacks are part of the work that the call is */
    unsigned colour;                /* i: if so */
    bool draining RRI_OWNED(rri_future_lock);   /* f: a job runs them */
    unsigned paint;                 /* of that job */
    rri_job job;
};

struct rri_futures {
    rri_table table;
    uint64_t serial;                /* i: no other context of the process has, or had, it */
    rri_progress *progress;
    rri_timers *timers;
    rri_colours *colours;
    rri_ref_trade trade;
    void (*unread)(void *up, const rref_error *error);
    void *up;
    int rank;
    char host[RREF_HOST_MAX];
    _Atomic int64_t timeout;        /* default of calls, ns */
    int64_t report_after;           /* i: ns that a call is waited for in silence, or RRI_NEVER */
    _Atomic int64_t told;           /* calls made before this were told already */
    atomic_uint spare;              /* a: futures kept by threads for their next sync call */
    atomic_uint waiting;            /* a: threads that wait for what is no call, complete a future by hand or give one up */
};

/* Types of a future whose results' types are not known yet. */
extern const rri_types rri_types_to_come;

int rri_futures_open(rri_futures *all, unsigned context);
void rri_futures_close(rri_futures *all);

/* When waits are over (rri_progress_stop): until those who waited for promises have left. */
void rri_futures_await_waiting(rri_futures *all);

/* A pending future with one count; NULL through rri_fail. */
rri_future *rri_future_new(rri_futures *all, const rri_types *types, const char *site);
/* Let go of the outcome of a future that nobody looks at any more. */
void rri_future_empty(rri_future *future);
/* Make such a future, empty, like a new one with another handle; false if its handles are used up. */
bool rri_future_renew(rri_future *future, const rri_types *types, const char *site);
/* Make one that has rested (rri_table_rest) pending, with one count. */
void rri_future_resume(rri_future *future, const rri_types *types, const char *site);
uint64_t rri_future_handle(const rri_future *future);
/* The future of a handle, or NULL with RREF_ERR_HANDLE / FINALIZED in rri_fail. */
rri_future *rri_future_of(uint64_t handle);
/* User code is given a future that its holders may have released, and may use it, but not release it, until it is taken back. */
uint64_t rri_future_lend(rri_future *future);
void rri_future_take_back(rri_future *future);
/* The library's own handle goes; what its call borrows is seen to otherwise. */
void rri_future_let_go(rri_future *future);
/* The future of an answer from a rank, once: NULL if that rank owes none. The count of the call in flight is the caller's. */
rri_future *rri_future_of_answer(rri_futures *all, uint64_t handle, int peer);
void rri_future_keep(rri_future *future);
/* The count of the call in flight, which is about to leave. */
void rri_future_keep_in_flight(rri_future *future);
/* The same by handle, where other threads may let go of it in this moment; NULL through rri_fail. */
rri_future *rri_future_hold(uint64_t handle);
/* The same for who completes it by hand: whoever waits for it may release it, and end the context, as soon as it is complete, not
 * before this thread is out of it. */
rri_future *rri_future_step_in(uint64_t handle);
void rri_future_step_out(rri_future *held);
void rri_future_drop(rri_future *future);

/* Be the one who completes it; then call exactly one of the following. */
bool rri_future_claim(rri_future *future);
/* Values: payload is checked and copied (outputs given are written instead); landing is taken over. */
void rri_future_value(rri_future *future, const void *payload, size_t bytes, void *landing);
void rri_future_error(rri_future *future, const rref_error *error);
/* The same in two steps, where the future cannot be complete at once; the error may be set again in between. */
void rri_future_blame(rri_future *future, const rref_error *error);
void rri_future_fail(rri_future *future);
/* The thread's last error, with this rank as its origin where none is said. */
void rri_future_error_last(rri_future *future);

/* The values of a future that is DONE, in place; references among them are taken, to be released by the caller. Both arrays
 * have room for RRI_TYPES_MAX. */
int rri_future_values(rri_future *from, rref_value values[], rref taken[], unsigned *count);
/* Claim a future and complete it with values of these types, which it then has; COMPLETED if it is complete. */
int rri_future_give(rri_future *future, const rri_types *types, const rref_value *values, size_t count);
/* Complete a claimed future with the values of another, which has none after that. */
void rri_future_become(rri_future *future, rri_future *from);
/* A future without values that is complete when another is; the application's. */
rref_future rri_future_follower(rri_future *from);

/* Visit the payloads of those that are complete, with the types they have. No memory: NO_MEMORY. */
int rri_futures_each_payload(rri_futures *all, void (*visit)(void *arg, const rri_types *types, const void *payload), void *arg);

int rri_future_deadline(rri_future *future, int64_t deadline, void (*due)(rri_timer *));
/* What a timer's due does where nothing but the future waits: it fails with TIMEOUT, unless it is complete. */
void rri_future_overdue(rri_timer *timer, const char *why);

/* Fill in who and where, unless known. */
void rri_error_origin(rri_futures *all, rref_error *error);

#endif
