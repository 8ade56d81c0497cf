/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What flow.c, lane.c and credit.c share: a lane, and the flow that has one to every rank.
 * Locking key: i constant, l the lane's lock, x the flow's lock, d driver only, a atomic.
 * Lock order: a lane's, then the flow's.
 */
#ifndef RRI_LANE_H
#define RRI_LANE_H

#include "flow.h"
#include "growth.h"
#include "stash.h"

RRI_ROLE(rri_lists);                /* the flow's lock */

typedef struct lane {
    rri_lock lock;
    int peer;                       /* i */
    rri_buffer *open[2] RRI_OWNED(rri_lane);    /* l: being filled, by stream */
    rri_buffer *spare RRI_OWNED(rri_lane);      /* l: for the next message, or NULL */
    bool spares RRI_OWNED(rri_lane);            /* l: it is one of those that keep one */
    rri_chain queue RRI_OWNED(rri_lane);        /* l: requests that wait for credit */
    rri_chain kept RRI_OWNED(rri_lane);         /* l: messages that wait for the lane to open */
    _Atomic(rri_lane_state) state;  /* written under the lock; read without it as a hint */
    atomic_uint kept_count;         /* a: how many; written under the lock */
    atomic_uint behind;             /* a: messages of it in the inbox or the outbox; written under the flow's lock */
    size_t queued RRI_OWNED(rri_lane);          /* l: bytes of requests that wait for credit */
    uint32_t credit RRI_OWNED(rri_lane);        /* l: request messages that may leave */
    uint32_t borrowed RRI_OWNED(rri_lane);      /* l: and beyond them, of those who do not wait for room */
    atomic_uint in_flight;          /* a: request messages without their credit back; written under the lock */
    unsigned announced RRI_OWNED(rri_lane);     /* l: messages to a neighbour up to the last one in flight */
    uint64_t numbers RRI_OWNED(rri_lane);       /* l: creations made */
    uint64_t sent[RRI_TALLIES] RRI_OWNED(rri_lane);   /* l: records given to it */
    uint64_t calls RRI_OWNED(rri_lane);         /* l: of them calls */
    rri_record *record RRI_OWNED(rri_lane);     /* l: in hand, from begin to end */
    rri_growth growth[2] RRI_OWNED(rri_lane);   /* l: of the open message, by stream */
    unsigned colour RRI_OWNED(rri_lane);        /* l: its colour, which the present one may not be any more at its end */
    atomic_uint owed, lending;      /* a: credits to give back; and to lend */
    unsigned withheld;              /* x: credits kept back until messages are freed */
    unsigned lent, used;            /* x: credits lent that the peer still has; messages that are here for others */
    atomic_uint arrivals;           /* a: messages served whose credit is kept back; arrived is their count at the last look */
    unsigned arrived;               /* x */
    int64_t next_beyond RRI_OWNED(rri_lane);    /* l: no thread goes on without room before this time */
    atomic_uint event;              /* a: changes when requests left the queue */
    atomic_bool full;               /* a: requests queue, or went on borrowed credit alone; written under the lock */
    bool ended RRI_OWNED(rri_lane); /* l: takes no requests any more */
    unsigned held RRI_OWNED(rri_lane);          /* l: messages in the outbox, if chaos has held one back */
    int64_t until RRI_OWNED(rri_lists); /* x: when those may leave */
    atomic_bool dirty;              /* x: in the dirty list; read without the lock as a hint */
    struct lane *next_dirty RRI_OWNED(rri_lists);   /* x */
    int64_t begun RRI_OWNED(rri_lane);          /* l: when the last run of requests was */
} lane;

struct rri_flow {
    rri_link *link;                 /* i */
    rri_flow_config config;         /* i */
    rri_pool pool;
    rri_colours colours;
    int me, size;                   /* i */
    const atomic_uint *unsent;      /* i: the link's */
    unsigned most;                  /* i: messages that may wait to leave for a peer */
    lane *lanes;                    /* i */
    rri_riders riders;              /* i: or NULL */
    const atomic_uint *ride;        /* i: how many wait; or NULL */
    void *up;                       /* i: theirs */
    const atomic_uint *calls;       /* i: that requests have become; or NULL */
    size_t call;                    /* i: bytes of one */
    rri_flow_up report;             /* i */
    atomic_bool gate_shut;          /* a: to threads of the application */
    rri_lock lock;
    lane *dirty RRI_OWNED(rri_lists), *dirty_last RRI_OWNED(rri_lists);     /* x: first in, first out */
    unsigned dirty_count RRI_OWNED(rri_lists);      /* x */
    rri_chain inbox RRI_OWNED(rri_lists);           /* x: messages to the own rank */
    rri_chain outbox RRI_OWNED(rri_lists);          /* x: messages left for the driver */
    rri_stash stash RRI_OWNED(rri_driver);      /* d: received, with chaos */
    atomic_uint sparing;            /* a: lanes that keep a spare buffer */
    atomic_uint waiting;            /* a: lanes in the dirty list + messages in inbox, stash and outbox */
    atomic_uint inside;             /* a: messages in the inbox and the stash */
    atomic_uint self_open;          /* a: records or messages to the own rank on their way */
    _Atomic uint64_t refused;       /* a */
    rri_timer lender;               /* x: in place while credits are kept back */
    bool lends;                     /* x */
    unsigned used;                  /* x: messages of all lanes that are here for lent credits */
    size_t before;                  /* x: memory in use when the first of those credits was lent */
};

static inline unsigned rri_lane_flying(const lane *l) { return atomic_load_explicit(&l->in_flight, memory_order_relaxed); }

/* Messages that have been closed and are not away. */
static inline unsigned rri_lane_leaving(const rri_flow *flow, const lane *l)
{
    return atomic_load_explicit(&flow->unsent[l->peer], memory_order_relaxed)
           + atomic_load_explicit(&l->kept_count, memory_order_relaxed) + atomic_load_explicit(&l->behind, memory_order_relaxed);
}

static inline bool rri_lane_is_laden(const rri_flow *flow, const lane *l) { return rri_lane_leaving(flow, l) > flow->most; }

/* ---- lane.c */

/* The driver's look at a lane in the dirty list: answers and what is owed leave, and requests if it says so. */
void rri_lane_flush(rri_flow *flow, lane *l, bool requests) RRI_WITHOUT(rri_lane);
/* Request messages were served over there: as many more may leave; and `lent` beyond them. */
void rri_lane_credit(rri_flow *flow, lane *l, unsigned credits, unsigned lent) RRI_WITHOUT(rri_lane);
/* Drop all it has. */
void rri_lane_clear(lane *l);

/* ---- flow.c */

/* Have the driver look at a lane. */
void rri_flow_mark(rri_flow *flow, lane *l);
/* To MPI, to the inbox, or to the outbox where this thread may not send. */
void rri_flow_depart(rri_flow *flow, lane *l, rri_buffer *buffer) RRI_NEEDS(rri_lane);

/* ---- credit.c: what this rank owes to its callers */

/* Credits, owed and lent, for a message to take along. */
void rri_credit_board(rri_flow *flow, lane *l, rri_message *message) RRI_NEEDS(rri_lane);
static inline bool rri_credit_waits(const lane *l)
{
    return atomic_load(&l->owed) || atomic_load(&l->lending);
}
/* The pool's last: a buffer is free whose credit was kept back, or lent. */
void rri_credit_repay(void *flow, rri_buffer *buffer);
/* The flow's timer: nothing has come for a while. */
void rri_credit_lend(rri_timer *timer);

#endif
