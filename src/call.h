/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls: one request from send to answer.
 *
 *   caller:  check against the signature, pack once into the lane, future .................. answer -> future
 *   owner:   record -> rref_call -> the object's queue -> method -> reply packed into the lane
 */
#ifndef RRI_CALL_H
#define RRI_CALL_H

#include "future.h"
#include "landing.h"
#include "transfer.h"
#include "weight.h"

#include <string.h>

typedef struct rri_calls rri_calls;
typedef struct rri_stuck rri_stuck;
struct rri_loan;

/* Has the lock of an object's queue. */
RRI_ROLE(rri_queue);

/* One object's queue: one exclusive call at a time, in order of arrival. */
typedef struct rri_actor {
    rri_lock lock;
    bool busy RRI_OWNED(rri_queue);     /* an exclusive call runs or is about to */
    bool unborn RRI_OWNED(rri_queue);   /* it is the constructor: concurrent calls wait, too */
    uint64_t waits_for RRI_OWNED(rri_queue);    /* call of this rank that the running one waits for, or 0 */
    rref_call *last RRI_OWNED(rri_queue);       /* waiting, in a ring: behind the last one is the first */
} rri_actor;

/* Whom a call is for. */
typedef struct rri_target {
    int peer;
    uint64_t address;
    uint16_t method;
    const rri_types *in, *out;
    const char *class_name, *method_name;   /* for messages */
    bool tries;                             /* fail where an application thread would wait for credit */
    bool runs;                              /* a short method of an object that the owner knows by handle */
} rri_target;

/* A call that may share a record with its neighbours of the same method and site: of numbers alone, with no limit of time, to a
 * target that runs. */
typedef struct rri_run {
    rri_calls *calls;
    rri_flow *flow;
    struct lane *lane;
    rri_target target;
    rri_record like;                        /* head of the record, with one in it */
} rri_run;

enum { RRI_OWNED_MAX = RRI_TYPES_MAX, RRI_SITES = 4096 };

/* What a handler sees. */
struct rref_call {
    rri_job job;
    rref_call *next;                    /* in an actor's queue, which is a ring */
    rri_calls *calls;
    rri_actor *actor;
    void *object;                       /* the higher floor's */
    const rref_call *outer;             /* the one that the thread runs below this one, or NULL */
    int (*run)(rref_call *call);        /* user code; returns the outcome */
    void (*ended)(rref_call *call, int outcome);    /* higher floor's, after the answer is on its way; may be NULL */
    rref_handler handler;
    void *self;
    unsigned flags;                     /* RREF_INLINE, ... */
    const rri_types *in, *out;
    const char *class_name, *method_name;
    int peer;
    unsigned colour;                    /* i: what it is done for */
    uint64_t id, created;               /* future on the caller; handle that a creation's answer carries */
    const rri_ancestor *ancestors;      /* in the message, or above on the stack: the calls for which it is made */
    unsigned ancestor_count;
    atomic_uint parts;                  /* a: the handler, and data that has still to leave */
    bool oneway, creation, ready;
    bool ungranted;                     /* its data was offered, and may come when it is at the head of its queue */
    bool aside;                         /* left its object's queue: a method there waits for what this one is made for */
    bool untidy;                        /* views or copies are to be freed */
    bool kept;                          /* holds a count of its buffer */
    bool direct;                        /* runs in the caller's thread, which takes its results */
    bool local;                         /* nobody waits for an answer (destructors, continuations) */
    bool sealed;                        /* its answer may not be deferred */
    bool reentrant;                     /* may run while its object waits for a call that it is made for */
    const char *described;              /* the answer says of what types it is: these; or NULL */
    void *result;                       /* the higher floor's: where the outcome stays, and how it gets there; it gives back */
    int (*keep)(rref_call *call, int outcome);      /* the outcome to be answered. NULL: the results go to the caller.
                                                     * RRI_PASS: the request is put back, and will come again */
    int64_t deadline;
    rref_call **reserve;                /* where it goes back to, or NULL */
    rri_buffer *buffer;
    const void *payload;
    size_t bytes;
    const rri_bulk_note *offered;       /* in the message */
    rri_room_note room;                 /* a receive that its caller has posted for a result; bytes 0: none */
    rri_signature *given;               /* of a creation's arguments as they came, if the creator has not the class */
    void *refitted;                     /* those arguments as the constructor wants them; malloc'ed */
    void *landing;                      /* bulk arguments */
    size_t landing_bytes;               /* of it, when it goes back to the landings; else it is malloc'ed, or a berth */
    int (*land)(rref_call *call, void **at, size_t bytes);  /* higher floor's: its object's memory for them; or NULL */
    void (*landed)(rref_call *call, void *at, size_t bytes, int outcome);   /* ... is no longer needed */
    bool lands;                         /* its object is to be asked where they land, when the call starts */
    size_t berth;                       /* bytes of the landing area, if it is the object's */
    int moored;                         /* what has become of them */
    rref *taken;                        /* references among the arguments, released after the handler */
    size_t taken_count, taken_room;
    unsigned result_count;
    int failed;                         /* misuse by the handler: overrides its outcome */
    int inner;                          /* how the last call that its handler made failed, in the thread's last error */
    rref_error *error;                  /* text of the failure */
    unsigned owned_count;
    bool holds_object;                  /* a result lies in the object's memory */
    bool let_go;                        /* ... but was copied, and the object goes on: it may be gone */
    struct rri_loan *loan;              /* of that result, while its caller has not taken it; or NULL */
    rri_future *deferred;               /* promise of an answer that comes later, with a count */
    rri_future *child;                  /* of a continuation: where the values go */

    rref_value results[RRI_TYPES_MAX];  /* the first result_count; what follows is not cleared either */
    void *copies[RRI_TYPES_MAX];        /* if untidy: results copied when they were given */
    rref *views[RRI_TYPES_MAX];         /* if untidy: references among the arguments, as handles */
    rri_once once;                      /* if untidy: these, by their objects */
    void *owned[RRI_OWNED_MAX];         /* the first owned_count */
    void (*owned_free[RRI_OWNED_MAX])(void *);
};

/* A call as it is before it is known what for. */
static inline void rri_call_clear(rref_call *c, rri_calls *calls)
{
    memset(c, 0, offsetof(rref_call, results));
    c->calls = calls;
    c->deadline = RRI_NEVER;
    c->ready = true;
    atomic_store_explicit(&c->parts, 1, memory_order_relaxed);
}

/* What the higher floor knows. find fills the call's target from a request; RREF_OK, RRI_PARK (kept for later, with the
 * buffer), or an error through rri_fail. weight takes what a record says of it. */
enum { RRI_PARK = 1 };
typedef struct rri_calls_up {
    int (*find)(void *up, const rri_record *record, rri_buffer *buffer, rref_call *call);
    int (*look)(void *up, const rri_record *record, rref_call *call);   /* as find, for an object that is alive now */
    /* An inline method of an object that stays: clears the call, and fills its target. Else false, and the call is as it was. */
    bool (*instant)(void *up, const rri_record *record, rref_call *call);
    void (*weight)(void *up, const rri_record *record, rri_buffer *buffer);
    void (*announced)(void *up, const rri_record *record, rri_buffer *buffer);
    void (*control)(void *up, int peer, const rri_record *record);
    void (*created)(void *up, rri_future *future, uint64_t handle);
    void (*unanswered)(void *up, const rref_error *error);  /* a one-way call failed */
    void (*drop_ref)(rref reference);
    void (*stuck)(void *up, uint64_t handle);               /* a method has waited for long for a call of its own */
    void *up;
} rri_calls_up;

/* Records served; the driver writes, others read. */
typedef struct rri_tally { _Atomic uint64_t of[RRI_TALLIES]; } rri_tally;

struct rri_calls {
    rri_link *link;
    rri_flow *flow;
    rri_progress *progress;
    rri_transfers *transfers;
    rri_peers *peers;
    rri_weights *weights;
    rri_futures futures;
    rri_calls_up up;
    rref_context *context;
    size_t eager, landing_limit;
    bool posts;                         /* i: any thread may call MPI, so receives are posted, and data pushed, ahead */
    int rank;
    rri_lock lock;
    rref_call *free;                    /* calls kept for reuse */
    unsigned spare;                     /* ... and how many */
    atomic_uint alive;                  /* a: calls that are not; written under the lock */
    rref_call *reserve;                 /* for a call without memory: of this rank's, it may last; NULL while in use */
    rref_call *refusal;                 /* for requests that are refused for want of memory, and then back at once */
    rri_landings landings;
    rref_call instant;                  /* d: see instant.c */
    rri_actor *occupied;                /* d: its object, or NULL */
    bool instant_busy;                  /* d: its method runs */
    atomic_size_t landed;               /* a: bytes of arguments in landing areas */
    _Atomic(const char *) *site;        /* a: call sites of one-way calls, by number */
    unsigned sites;
    rri_tally *served;                  /* i: by rank */
    _Atomic uint64_t in, direct, refused, oneway_failures;          /* a */
    _Atomic uint64_t dropped;           /* a: results that were not sent */
    _Atomic uint64_t instants;          /* written by the driver: calls in, of which `in` knows nothing */
    rri_lock stuck_lock;
    rri_stuck *stuck;                   /* under its lock: methods that have waited for long */
};

static inline rri_calls *rri_calls_of(const rri_future *future)
{
    return (rri_calls *)(void *)((char *)future->all - offsetof(rri_calls, futures));
}

typedef enum rri_mode { RRI_SYNC, RRI_ASYNC, RRI_ONEWAY, RRI_REMOTE } rri_mode;

/* Check a call's values: how many are inputs, and what packing them takes. */
int rri_call_check(const rri_calls *calls, const rri_target *target, const rref_value *values, size_t count, rri_mode mode,
                   size_t *inputs, rri_packing *packing);
/* Send a call. values: inputs, then outputs. The future (NULL for one-way) is pending and gets a count for the call in flight.
 * On an error nothing was sent. */
int rri_call_send(rri_calls *calls, const rri_target *target, const rref_value *values, size_t count, rri_mode mode,
                  const char *site, rri_future *future, int64_t deadline);
rri_run rri_call_run_of(rri_calls *calls, const rri_target *target, const char *site, bool oneway);
/* A sync call whose values are known to fit, as rri_call_send. */
int rri_call_plain_sync(const rri_run *run, const rref_value *values, size_t count, rri_future *future);
/* Such a call, one-way or async, whose values are known to fit. */
int rri_call_run_post(const rri_run *run, const rref_value *values);
int rri_call_run_async(const rri_run *run, const rref_value *values, size_t count, rri_future *future);
/* Whether the values are just numbers that fit, and rooms for such. */
bool rri_call_is_plain(const rri_target *target, const rref_value *values, size_t count);
/* A sync call to a free object of the own rank, in the calling thread; false when it must go by the lane: the object is
 * occupied, earlier calls are still on their way, or the method is a worker's. */
bool rri_call_direct(rri_calls *calls, const rri_target *target, const rref_value *values, size_t count, int64_t deadline,
                     int *outcome);
/* A creation: draws the number n under the lane. Class id 0: name is followed by its 0 and the arguments' signature. */
int rri_call_create(rri_calls *calls, const rri_target *target, uint64_t class_id, const char *name, size_t name_bytes,
                    const rref_value *values, size_t count, rri_future *future, uint64_t *number);
/* A result to come, before its call can be sent: draws its number in the order of the calls. */
int rri_call_announce(rri_calls *calls, int peer, uint64_t *number);
/* The call will not be sent. */
void rri_call_renounce(rri_calls *calls, int peer, uint64_t number, const rref_error *error);
/* When a call's time is over: its own limit, or the context's, but not after that of the call it is made for. */
int rri_call_deadline(const rri_calls *calls, double timeout, int64_t *deadline);

/* Wait for a call, or give it up at its deadline: its future is complete then, unless the context ended. */
int rri_call_wait(rri_calls *calls, rri_future *future, int64_t deadline);
/* A future's timer has fired: give the call up. */
void rri_call_due(rri_timer *timer);
/* The caller's side: take back the receive that was posted for the result, if it still is, and nothing comes there. */
void rri_call_unpost(rri_future *future);
/* Complete a claimed future with an error, as soon as its outputs are the caller's: what has begun to come there is waited for,
 * by whoever drives. If it never comes, since its sender is lost, the error says so. */
void rri_call_fail(rri_calls *calls, rri_future *future, const rref_error *error);
/* Complete a call with an error and take back what was not granted; false if it is over already. */
bool rri_call_give_up(rri_calls *calls, rri_future *future, const rref_error *error);
/* The deadline of a call has passed: give it up with TIMEOUT. */
void rri_call_expire(rri_calls *calls, rri_future *future);

/* Calls that have arrived, of both colours, and not ended. */
unsigned rri_calls_running(const rri_calls *calls);

/* For rri_progress. */
rri_verdict rri_call_dispatch(void *calls, const rri_record *record, rri_buffer *buffer) RRI_NEEDS(rri_driver);
/* Serve a parked request, on a library thread. */
void rri_call_serve_parked(rri_calls *calls, const rri_record *record, rri_buffer *buffer);

/* Fill in class.method, unless known. */
void rri_call_where(const rref_call *call, rref_error *error);

/* A call made up by the higher floor (a destructor): enters the actor's queue like any other. */
rref_call *rri_call_new(rri_calls *calls);
void rri_call_enter(rref_call *call);
/* Have the data of a call come that was left ungranted. */
void rri_call_grant(rref_call *call);
/* Its large arguments have landed, or will not: it fails if they cannot be read. */
void rri_call_check_landed(rref_call *call, rri_moved how);
/* The call fails before its method has run; if it has failed already, that is why. */
void rri_call_fail_early(rref_call *call, int code, const char *why);
/* Free a call that was not entered. */
void rri_call_end(rref_call *call);
/* Let go of what a call has, but for itself. */
void rri_call_tidy(rref_call *call);

/* Memory that calls need from the start. */
int rri_calls_open(rri_calls *calls);
void rri_calls_close(rri_calls *calls);

#endif
