/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the lanes and the message buffers.
 * Locking key: i constant, l the lane's lock, x the flow's lock, d driver only, a atomic.
 * Lock order: a lane's, then the flow's.
 */
#include "flow.h"
#include "chaos.h"
#include "clock.h"
#include "crew.h"
#include "error.h"
#include "growth.h"
#include "log.h"
#include "memory.h"
#include "stash.h"

#include <stdlib.h>
#include <string.h>

enum {
    LOAD = 32,                      /* calls of a run that are worth a message of their own */
    RESERVE = 4,                    /* messages that can be answered or received when there is no memory */
    LENT_LEAST = 2,                 /* of a lane, whatever the limit */
    LADEN_LEAST = 16,               /* messages that may wait to leave, whatever the limit: as many are received at once */
    LEND_NS = 100000000             /* without an arrival, while credits are kept back, before some are lent */
};

RRI_ROLE(lists);                    /* the flow's lock */

typedef struct lane {
    rri_lock lock;
    int peer;                       /* i */
    rri_buffer *open[2] RRI_OWNED(rri_lane);    /* l: being filled, by stream */
    rri_buffer *spare RRI_OWNED(rri_lane);      /* l: for the next message, or NULL */
    rri_chain queue RRI_OWNED(rri_lane);        /* l: requests that wait for credit */
    rri_chain kept RRI_OWNED(rri_lane);         /* l: messages that wait for the lane to open */
    _Atomic(rri_lane_state) state;  /* written under the lock; read without it as a hint */
    atomic_uint kept_count;         /* a: how many; written under the lock */
    atomic_uint behind;             /* a: messages of it in the inbox or the outbox; written under the flow's lock */
    size_t queued RRI_OWNED(rri_lane);          /* l: bytes of requests that wait for credit */
    uint32_t credit RRI_OWNED(rri_lane);        /* l: request messages that may leave */
    atomic_uint in_flight;          /* a: request messages without their credit back; written under the lock */
    unsigned announced RRI_OWNED(rri_lane);     /* l: messages to a neighbour up to the last one with requests */
    uint64_t numbers RRI_OWNED(rri_lane);       /* l: creations made */
    uint64_t sent[RRI_TALLIES] RRI_OWNED(rri_lane);   /* l: records given to it */
    uint64_t calls RRI_OWNED(rri_lane);         /* l: of them calls */
    rri_record *record RRI_OWNED(rri_lane);     /* l: in hand, from begin to end */
    rri_growth growth[2] RRI_OWNED(rri_lane);   /* l: of the open message, by stream */
    unsigned colour RRI_OWNED(rri_lane);        /* l: its colour, which the present one may not be any more at its end */
    atomic_uint owed;               /* a: credits to give back */
    unsigned withheld, lent;        /* x: credits kept back until messages are freed; of them, given back before */
    atomic_uint event;              /* a: changes when requests left the queue */
    atomic_bool full;               /* a: requests queue; written under the lock */
    bool ended RRI_OWNED(rri_lane); /* l: takes no requests any more */
    unsigned held RRI_OWNED(rri_lane);          /* l: messages in the outbox, if chaos has held one back */
    int64_t until RRI_OWNED(lists); /* x: when those may leave */
    atomic_bool dirty;              /* x: in the dirty list; read without the lock as a hint */
    struct lane *next_dirty RRI_OWNED(lists);   /* x */
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
    rri_flow_up report;             /* i */
    atomic_bool gate_shut;          /* a: to threads of the application */
    rri_lock lock;
    lane *dirty RRI_OWNED(lists), *dirty_last RRI_OWNED(lists);     /* x: first in, first out */
    unsigned dirty_count RRI_OWNED(lists);      /* x */
    rri_chain inbox RRI_OWNED(lists);           /* x: messages to the own rank */
    rri_chain outbox RRI_OWNED(lists);          /* x: messages left for the driver */
    rri_stash stash RRI_OWNED(rri_driver);      /* d: received, with chaos */
    atomic_uint waiting;            /* a: lanes in the dirty list + messages in inbox, stash and outbox */
    atomic_uint inside;             /* a: messages in the inbox and the stash */
    atomic_uint self_open;          /* a: records or messages to the own rank on their way */
    _Atomic uint64_t refused;       /* a */
    rri_timer lender;               /* x: in place while credits are kept back */
    bool lends;                     /* x */
    unsigned lent;                  /* x: credits of all lanes */
    atomic_uint arrivals;           /* a: messages that were served; arrived is their count at the last look */
    unsigned arrived;               /* x */
};

static void owe(rri_flow *flow, int peer);
static void lend(rri_timer *timer);

static void repay(void *up, rri_buffer *buffer)
{
    rri_flow *flow = up;
    lane *l = &flow->lanes[buffer->peer];
    rri_take(&flow->lock, &lists);
    bool lent = l->lent > 0;
    l->withheld--;
    l->lent -= lent;
    flow->lent -= lent;
    rri_give(&flow->lock, &lists);
    if (!lent) owe(flow, buffer->peer);
}

/* A message takes all of its buffer, however little is in it. */
static unsigned most_messages(const rri_flow_config *config)
{
    size_t most = config->queue_limit / config->room;
    return most < LADEN_LEAST ? LADEN_LEAST : most < UINT32_MAX ? (unsigned)most : UINT32_MAX;
}

/* Nobody else knows it yet. */
RRI_UNCHECKED int rri_flow_open(rri_link *link, const rri_flow_config *config, rri_flow **out)
{
    rri_flow *flow = rri_calloc(1, sizeof *flow);
    if (flow) flow->lanes = rri_calloc((size_t)rri_link_size(link), sizeof *flow->lanes);
    if (!flow || !flow->lanes) {
        free(flow);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %d lanes", rri_link_size(link));
    }
    flow->link = link;
    flow->config = *config;
    flow->me = rri_link_rank(link);
    flow->size = rri_link_size(link);
    flow->unsent = rri_link_unsent(link);
    flow->most = most_messages(config);
    rri_pool_init(&flow->pool, config->room, 256);
    if (rri_pool_reserve(&flow->pool, RESERVE)) {
        rri_flow_close(flow);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %d messages", RESERVE);
    }
    flow->lender.due = lend;
    flow->pool.last = repay;
    flow->pool.up = flow;
    for (int i = 0; i < flow->size; i++) {
        flow->lanes[i].peer = i;
        flow->lanes[i].credit = config->credits;
    }
    *out = flow;
    return RREF_OK;
}

/* Nobody else knows it any more. */
RRI_UNCHECKED void rri_flow_close(rri_flow *flow)
{
    if (!flow) return;
    for (int i = 0; i < flow->size; i++) {
        lane *l = &flow->lanes[i];
        rri_chain_drop(&l->queue);
        rri_chain_drop(&l->kept);
        for (int s = 0; s < 2; s++)
            if (l->open[s]) rri_buffer_drop(l->open[s]);
        if (l->spare) rri_buffer_drop(l->spare);
    }
    rri_chain_drop(&flow->inbox);
    rri_chain_drop(&flow->stash.chain);
    rri_chain_drop(&flow->outbox);
    rri_pool_free(&flow->pool);
    free(flow->lanes);
    free(flow);
}

rri_pool *rri_flow_pool(rri_flow *flow) { return &flow->pool; }

/* Counters with one writer at a time, whoever has their lock. */
static void count_up(atomic_uint *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void count_down(atomic_uint *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) - 1, memory_order_relaxed);
}

static inline unsigned in_flight(const lane *l) { return atomic_load_explicit(&l->in_flight, memory_order_relaxed); }

/* Messages that have been closed and are not away. */
static inline unsigned waiting_to_leave(const rri_flow *flow, const lane *l)
{
    return atomic_load_explicit(&flow->unsent[l->peer], memory_order_relaxed)
           + atomic_load_explicit(&l->kept_count, memory_order_relaxed) + atomic_load_explicit(&l->behind, memory_order_relaxed);
}

static inline bool is_laden(const rri_flow *flow, const lane *l) { return waiting_to_leave(flow, l) > flow->most; }

size_t rri_flow_queue_limit(const rri_flow *flow) { return flow->config.queue_limit; }

bool rri_lane_laden(const rri_flow *flow, int peer) { return is_laden(flow, &flow->lanes[peer]); }

static void mark_dirty(rri_flow *flow, lane *l)
{
    if (atomic_load_explicit(&l->dirty, memory_order_acquire)) return;
    rri_take(&flow->lock, &lists);
    if (!l->dirty) {
        l->dirty = true;
        l->next_dirty = NULL;
        if (flow->dirty) flow->dirty_last->next_dirty = l;
        else flow->dirty = l;
        flow->dirty_last = l;
        flow->dirty_count++;
        atomic_fetch_add(&flow->waiting, 1);
    }
    rri_give(&flow->lock, &lists);
}

static void owe(rri_flow *flow, int peer)
{
    lane *l = &flow->lanes[peer];
    if (atomic_fetch_add(&l->owed, 1) == 0) mark_dirty(flow, l);
}

/* Credits for a message to take along; chaos keeps some for the next one. */
RRI_NEEDS(rri_lane)
static uint32_t take_owed(rri_flow *flow, lane *l)
{
    if (!atomic_load_explicit(&l->owed, memory_order_relaxed)) return 0;
    unsigned owed = atomic_exchange_explicit(&l->owed, 0, memory_order_relaxed);
    unsigned kept = rri_chaos(RRI_CHAOS_STARVE) ? rri_chaos_pick(RRI_CHAOS_STARVE, owed + 1) : 0;
    if (!kept) return owed;
    atomic_fetch_add(&l->owed, kept);
    mark_dirty(flow, l);
    return owed - kept;
}

/* Whether a message that could leave waits for the driver instead; then all behind it do, too. */
RRI_NEEDS(rri_lane)
static bool hold_back(const rri_flow *flow, const lane *l)
{
    return !flow->config.direct || l->held || rri_chaos(RRI_CHAOS_DELAY);
}

/* The flow's lock is held, and the lane. Where the application drives nothing may be left when it turns to other things. */
RRI_NEEDS(rri_lane, lists)
static void leave_to_driver(rri_flow *flow, lane *l, rri_buffer *b)
{
    rri_chain_append(&flow->outbox, b);
    if (!flow->config.direct) return;
    if (!l->held++) l->until = rri_after(rri_now(), rri_chaos_pick(RRI_CHAOS_DELAY, RRI_CHAOS_HOLD_NS));
}

RRI_NEEDS(rri_lane)
static void send_now(rri_flow *flow, lane *l, rri_buffer *b)
{
    if (!rri_link_send(flow->link, b)) return;
    if (l->spare) rri_buffer_drop(b);
    else l->spare = b;
}

RRI_NEEDS(rri_lane)
static void depart(rri_flow *flow, lane *l, rri_buffer *b)
{
    if (l->peer != flow->me && !hold_back(flow, l)) {
        send_now(flow, l, b);
        return;
    }
    rri_take(&flow->lock, &lists);
    count_up(&l->behind);
    if (l->peer == flow->me) {
        rri_chain_append(&flow->inbox, b);
        atomic_fetch_add(&flow->inside, 1);
    } else {
        leave_to_driver(flow, l, b);
    }
    atomic_fetch_add(&flow->waiting, 1);
    rri_give(&flow->lock, &lists);
    if (l->held || rri_doorbell_sleeps(rri_link_bell(flow->link))) rri_link_kick(flow->link);
}

/* The lane's lock is held: messages of a lane leave in order. */
RRI_NEEDS(rri_lane)
static void dispatch(rri_flow *flow, lane *l, rri_buffer *b)
{
    rri_message *m = (rri_message *)(void *)b->data;
    m->credits += take_owed(flow, l);
    m->bytes = b->bytes;
    b->peer = l->peer;
    if (l->state == RRI_LANE_OPEN) {
        depart(flow, l, b);
    } else {
        rri_chain_append(&l->kept, b);
        count_up(&l->kept_count);
    }
}

RRI_NEEDS(rri_lane)
static void spend(rri_flow *flow, lane *l, rri_buffer *b)
{
    l->credit--;
    count_up(&l->in_flight);
    dispatch(flow, l, b);
    l->announced = rri_link_announced(flow->link, l->peer);
}

RRI_NEEDS(rri_lane)
static void count_record(lane *l, const rri_record *r)
{
    l->sent[rri_record_tally(r)]++;
    l->calls += r->kind == RRI_CALL || r->kind == RRI_RUN;
}

/* The lane is held. Returns how many bytes have boarded the message. */
RRI_NEEDS(rri_lane)
static size_t board(rri_flow *flow, lane *l, rri_buffer *b)
{
    char *at = (char *)b->data + b->bytes;
    size_t bytes = flow->riders ? flow->riders(flow->up, l->peer, at, flow->config.room - b->bytes) : 0;
    b->bytes += (uint32_t)bytes;
    for (const rri_record *r; at < (char *)b->data + b->bytes; at += r->bytes) {
        r = (const rri_record *)(const void *)at;
        count_record(l, r);
        if (l->peer == flow->me) atomic_fetch_add(&flow->self_open, 1);
    }
    return bytes;
}

RRI_NEEDS(rri_lane)
static void close_open(rri_flow *flow, lane *l, rri_stream stream)
{
    rri_buffer *b = l->open[stream];
    if (!b) return;
    l->open[stream] = NULL;
    l->growth[stream].record = NULL;
    if (stream == RRI_REQUESTS && flow->ride && atomic_load_explicit(flow->ride, memory_order_acquire)) board(flow, l, b);
    if (l->state == RRI_LANE_SHUT || (b->bytes == sizeof(rri_message) && stream == RRI_REQUESTS)) {
        rri_buffer_drop(b);         /* nobody is there; or it was opened for riders that have gone, or left empty by an undo */
    } else if (stream == RRI_ANSWERS) {
        dispatch(flow, l, b);
    } else if (l->credit > 0 && !l->queue.first) {
        spend(flow, l, b);
    } else {
        rri_chain_append(&l->queue, b);
        l->queued += b->bytes;
        l->full = true;
    }
}

/* Answers, and riders alone (bytes 0), go out when there is no memory, too. */
RRI_NEEDS(rri_lane)
static rri_buffer *open_buffer(rri_flow *flow, lane *l, rri_stream stream, size_t bytes)
{
    bool must = stream == RRI_ANSWERS || bytes == 0;
    rri_buffer *b = l->spare;
    l->spare = NULL;
    if (!b) b = must ? rri_buffer_reserved(&flow->pool) : rri_buffer_new(&flow->pool);
    if (!b) return NULL;
    rri_message *m = (rri_message *)(void *)b->data;
    *m = (rri_message){ .magic = RRI_MAGIC, .version = RRI_WIRE_VERSION, .counted = stream == RRI_REQUESTS };
    b->bytes = sizeof *m;
    b->urgent = stream == RRI_REQUESTS;
    l->open[stream] = b;
    return b;
}

/* OK, or why not. The lane's lock is held. */
static inline RRI_NEEDS(&rri_lane) int takes_no_request(const rri_flow *flow, const lane *l)
{
    if (l->ended) return RREF_ERR_FINALIZED;
    if (l->state == RRI_LANE_SHUT) return RREF_ERR_PEER_LOST;
    if (atomic_load_explicit(&flow->gate_shut, memory_order_relaxed) && !rri_self.crew) return RREF_ERR_FINALIZED;
    return l->queued > flow->config.queue_limit ? RREF_ERR_WOULD_BLOCK : RREF_OK;
}

static void refuse(rri_flow *flow, int peer, int code)
{
    switch (code) {
    case RREF_ERR_PEER_LOST: flow->report.blame(flow->report.up, peer); break;
    case RREF_ERR_FINALIZED: rri_fail(code, "the context has ended: nothing is sent to rank %d", peer); break;
    case RREF_ERR_NO_MEMORY: rri_fail(code, "no memory for a message to rank %d", peer); break;
    case RREF_ERR_RANGE: rri_fail(code, "more references than fit a message to rank %d", peer); break;
    default: rri_fail(code, "too much is queued to rank %d", peer);
    }
}

/* Room for a record in the lane's open message, or in a new one; NULL: *refused says why. */
RRI_NEEDS(rri_lane)
static rri_record *add_record(rri_flow *flow, lane *l, rri_stream stream, size_t bytes, int *refused)
{
    rri_buffer *b = l->open[stream];
    if (b && b->bytes + bytes > flow->config.batch) {
        close_open(flow, l, stream);
        b = NULL;
    }
    *refused = bytes > flow->config.room - sizeof(rri_message) ? RREF_ERR_RANGE : RREF_OK;
    if (!*refused && stream == RRI_REQUESTS) *refused = takes_no_request(flow, l);
    if (!*refused && !b && !(b = open_buffer(flow, l, stream, bytes))) *refused = RREF_ERR_NO_MEMORY;
    if (*refused) return NULL;
    rri_record *r = (rri_record *)(void *)(b->data + b->bytes);
    b->bytes += (uint32_t)bytes;
    r->bytes = (uint32_t)bytes;
    l->record = r;
    l->growth[stream].record = NULL;
    l->colour = rri_colour(&flow->colours);
    return r;
}

/* The lane's lock is held, and given back. */
RRI_UNCHECKED static void refuse_record(rri_flow *flow, lane *l, int why)
{
    rri_give(&l->lock, &rri_lane);
    if (l->peer == flow->me) atomic_fetch_sub(&flow->self_open, 1);
    refuse(flow, l->peer, why);
}

RRI_UNCHECKED rri_record *rri_lane_begin(rri_flow *flow, int peer, rri_stream stream, size_t bytes)
{
    lane *l = &flow->lanes[peer];
    int refused;
    if (peer == flow->me) atomic_fetch_add(&flow->self_open, 1);
    rri_take(&l->lock, &rri_lane);
    rri_record *r = add_record(flow, l, stream, bytes, &refused);
    if (!r) refuse_record(flow, l, refused);
    return r;
}

/* Which lock it is that the caller has cannot be said. */
RRI_UNCHECKED void rri_lane_undo(rri_flow *flow, int peer, rri_stream stream, size_t bytes)
{
    lane *l = &flow->lanes[peer];
    l->open[stream]->bytes -= (uint32_t)bytes;
    rri_give(&l->lock, &rri_lane);
    if (peer == flow->me) atomic_fetch_sub(&flow->self_open, 1);
}

/* A peer that does not take what there is gets no messages that are nearly empty; in the end all leaves. */
RRI_NEEDS(rri_lane)
static bool waits_to_be_full(const rri_flow *flow, const lane *l) { return is_laden(flow, l) && !l->ended; }

/* The lane is held. */
RRI_NEEDS(rri_lane)
static void let_go(rri_flow *flow, lane *l, rri_stream stream, rri_haste haste)
{
    if (haste == RRI_PAYING) ((rri_message *)(void *)l->open[stream]->data)->credits++;
    if (haste == RRI_COMPANY && stream == RRI_REQUESTS && !in_flight(l) && !l->queue.first) haste = RRI_AT_ONCE;
    if (haste == RRI_COMPANY || (stream == RRI_ANSWERS && waits_to_be_full(flow, l))) mark_dirty(flow, l);
    else close_open(flow, l, stream);
}

static bool is_run(const rri_record *r) { return r->kind == RRI_RUN || r->kind == RRI_RESULTS; }

RRI_NEEDS(rri_lane)
static void end_record(rri_flow *flow, lane *l, rri_stream stream, rri_haste haste)
{
    if (l->colour) l->record->flags |= RRI_FLAG_COLOUR;
    count_record(l, l->record);
    if (is_run(l->record)) rri_growth_begin(&l->growth[stream], l->record, l->open[stream]->data, flow->config.batch);
    if (!rri_record_may_wait(l->record)) l->open[stream]->urgent = true;
    let_go(flow, l, stream, haste);
}

RRI_UNCHECKED
void rri_lane_end(rri_flow *flow, int peer, rri_stream stream, rri_haste haste)
{
    lane *l = &flow->lanes[peer];
    end_record(flow, l, stream, haste);
    rri_give(&l->lock, &rri_lane);
}

/* Kind, flags and method, in one word. */
static uint32_t head_of(const rri_record *r)
{
    uint32_t head;
    memcpy(&head, &r->kind, sizeof head);
    return head;
}

static bool is_alike(const rri_record *r, const rri_record *like, unsigned colour)
{
    const rri_record coloured = { .flags = RRI_FLAG_COLOUR };
    uint64_t other = (r->object ^ like->object) | (r->call ^ like->call) | (r->extra ^ like->extra) >> 32;
    return !(other | (head_of(r) ^ (head_of(like) | (colour ? head_of(&coloured) : 0))));
}

/* The gate is shut without the lane's lock; what else keeps requests out of a lane has closed its open message. */
static inline bool may_grow(const rri_flow *flow, rri_stream stream)
{
    return stream == RRI_ANSWERS || !atomic_load_explicit(&flow->gate_shut, memory_order_relaxed);
}

/* The place of one more item in the lane's last record, or NULL. */
RRI_NEEDS(rri_lane)
static inline void *grow_run(rri_flow *flow, lane *l, rri_stream stream, const rri_record *like)
{
    rri_growth *g = &l->growth[stream];
    if (!g->record || !may_grow(flow, stream) || !is_alike(g->record, like, rri_colour(&flow->colours))) return NULL;
    void *at = rri_growth_add(g, &l->open[stream]->bytes);
    if (at && stream == RRI_REQUESTS) l->calls++;
    return at;
}

struct lane *rri_lane_to(rri_flow *flow, int peer) { return &flow->lanes[peer]; }

RRI_UNCHECKED RRI_IN_CALLERS
void *rri_lane_grow(rri_flow *flow, lane *l, const rri_record *like)
{
    rri_take(&l->lock, &rri_lane);
    void *at = grow_run(flow, l, RRI_REQUESTS, like);
    if (!at) rri_give(&l->lock, &rri_lane);
    return at;
}

/* Whether a run of calls that are answered leaves, whatever is in flight: while the owner serves it, its caller makes more. */
RRI_NEEDS(rri_lane)
static bool is_load(const lane *l)
{
    const rri_record *r = l->growth[RRI_REQUESTS].record;
    return !(r->flags & RRI_FLAG_ONEWAY) && rri_run_count(r) >= LOAD && l->credit > 0 && !l->queue.first;
}

RRI_UNCHECKED RRI_IN_CALLERS
void rri_lane_grown(rri_flow *flow, lane *l)
{
    if (is_load(l)) let_go(flow, l, RRI_REQUESTS, RRI_AT_ONCE);
    rri_give(&l->lock, &rri_lane);
}

RRI_UNCHECKED
void *rri_lane_item(rri_flow *flow, int peer, rri_stream stream, const rri_record *like)
{
    lane *l = &flow->lanes[peer];
    int refused;
    rri_take(&l->lock, &rri_lane);
    l->record = NULL;
    void *at = grow_run(flow, l, stream, like);
    if (at) return at;
    if (peer == flow->me) atomic_fetch_add(&flow->self_open, 1);
    rri_record *r = add_record(flow, l, stream, rri_round16(sizeof *r + rri_run_item(like)), &refused);
    if (!r) {
        refuse_record(flow, l, refused);
        return NULL;
    }
    uint32_t bytes = r->bytes;
    *r = *like;
    r->bytes = bytes;
    return r + 1;
}

RRI_UNCHECKED
void rri_lane_item_end(rri_flow *flow, int peer, rri_stream stream, rri_haste haste)
{
    lane *l = &flow->lanes[peer];
    if (l->record) end_record(flow, l, stream, haste);
    else if (haste != RRI_COMPANY) let_go(flow, l, stream, haste);
    rri_give(&l->lock, &rri_lane);
}

/* What is never received is pending for ever, so that no call of the own rank goes past the lane. */
void rri_flow_end(rri_flow *flow)
{
    atomic_fetch_add(&flow->self_open, 1);
    for (int i = 0; i < flow->size; i++) {
        rri_take(&flow->lanes[i].lock, &rri_lane);
        flow->lanes[i].ended = true;
        flow->lanes[i].growth[RRI_REQUESTS].record = NULL;
        rri_give(&flow->lanes[i].lock, &rri_lane);
    }
}

void rri_flow_riders(rri_flow *flow, rri_riders riders, void *up, const atomic_uint *waiting)
{
    flow->riders = riders;
    flow->ride = waiting;
    flow->up = up;
}

/* A message that waits for credit already is boarded first. */
bool rri_lane_depart(rri_flow *flow, int peer)
{
    lane *l = &flow->lanes[peer];
    rri_take(&l->lock, &rri_lane);
    size_t rode = l->queue.first && !l->open[RRI_REQUESTS] ? board(flow, l, l->queue.last) : 0;
    bool left = rode || l->open[RRI_REQUESTS] || open_buffer(flow, l, RRI_REQUESTS, 0);
    l->queued += rode;
    if (left && !rode) close_open(flow, l, RRI_REQUESTS);
    rri_give(&l->lock, &rri_lane);
    return left;
}

bool rri_lane_open(rri_flow *flow, int peer) { return flow->lanes[peer].credit > 0 && !flow->lanes[peer].queue.first; }

unsigned rri_lane_colour(rri_flow *flow, int peer) { return flow->lanes[peer].colour; }

int64_t *rri_lane_begun(rri_flow *flow, int peer) { return &flow->lanes[peer].begun; }

uint64_t rri_lane_number(rri_flow *flow, int peer) { return ++flow->lanes[peer].numbers; }

bool rri_lane_full(rri_flow *flow, int peer)
{
    const lane *l = &flow->lanes[peer];
    return atomic_load(&l->full) && atomic_load(&l->state) == RRI_LANE_OPEN;
}

atomic_uint *rri_lane_event(rri_flow *flow, int peer) { return &flow->lanes[peer].event; }

/* ---- lanes that are not open */

static void change(lane *l, rri_lane_state from, rri_lane_state to)
{
    if (l->state == from) atomic_store(&l->state, to);
    atomic_fetch_add(&l->event, 1);
    rri_futex_wake(&l->event, INT32_MAX);
}

void rri_flow_close_gate(rri_flow *flow) { atomic_store(&flow->gate_shut, true); }

void rri_flow_report(rri_flow *flow, const rri_flow_up *up) { flow->report = *up; }

void rri_lane_hold(rri_flow *flow, int peer)
{
    lane *l = &flow->lanes[peer];
    rri_take(&l->lock, &rri_lane);
    change(l, RRI_LANE_OPEN, RRI_LANE_HELD);
    rri_give(&l->lock, &rri_lane);
}

void rri_lane_release(rri_flow *flow, int peer)
{
    lane *l = &flow->lanes[peer];
    rri_take(&l->lock, &rri_lane);
    change(l, RRI_LANE_HELD, RRI_LANE_OPEN);
    for (rri_buffer *b; l->state == RRI_LANE_OPEN && (b = rri_chain_take(&l->kept));) {
        count_down(&l->kept_count);
        depart(flow, l, b);
    }
    rri_give(&l->lock, &rri_lane);
}

void rri_lane_shut(rri_flow *flow, int peer)
{
    lane *l = &flow->lanes[peer];
    rri_take(&l->lock, &rri_lane);
    rri_chain_drop(&l->kept);
    rri_chain_drop(&l->queue);
    atomic_store(&l->kept_count, 0);
    l->queued = 0;
    l->full = false;
    change(l, l->state, RRI_LANE_SHUT);
    close_open(flow, l, RRI_REQUESTS);
    close_open(flow, l, RRI_ANSWERS);
    rri_give(&l->lock, &rri_lane);
}

bool rri_lane_is_shut(const rri_flow *flow, int peer)
{
    return atomic_load_explicit(&flow->lanes[peer].state, memory_order_acquire) == RRI_LANE_SHUT;
}

bool rri_lane_in_flight(const rri_flow *flow, int peer)
{
    return in_flight(&flow->lanes[peer]);
}

/* ---- credits, and what leaves without being waited for */

static void take_credits(rri_flow *flow, lane *l, uint32_t credits)
{
    rri_take(&l->lock, &rri_lane);
    uint32_t before = in_flight(l);
    if (credits > before) credits = before;
    l->credit += credits;
    atomic_store_explicit(&l->in_flight, before - credits, memory_order_relaxed);
    if (credits == before) rri_link_settle(flow->link, l->peer, l->announced);
    for (rri_buffer *b; l->credit > 0 && (b = rri_chain_take(&l->queue));) {
        l->queued -= b->bytes;
        spend(flow, l, b);
    }
    bool freed = l->full && !l->queue.first;
    if (freed) l->full = false;
    close_open(flow, l, RRI_REQUESTS);      /* an answer came: what waited for company leaves */
    rri_give(&l->lock, &rri_lane);
    if (freed) {
        atomic_fetch_add(&l->event, 1);
        rri_futex_wake(&l->event, INT32_MAX);
    }
}

static lane *next_dirty(rri_flow *flow)
{
    rri_take(&flow->lock, &lists);
    lane *l = flow->dirty;
    if (l) {
        flow->dirty = l->next_dirty;
        flow->dirty_count--;
        l->dirty = false;
        atomic_fetch_sub(&flow->waiting, 1);
    }
    rri_give(&flow->lock, &lists);
    return l;
}

/* An empty message carries credits when nothing else does. Returns whether all has left. */
RRI_NEEDS(rri_lane)
static bool flush_answers(rri_flow *flow, lane *l)
{
    if (waits_to_be_full(flow, l)) return !l->open[RRI_ANSWERS] && !atomic_load(&l->owed);
    close_open(flow, l, RRI_ANSWERS);
    if (atomic_load(&l->owed) > 0 && open_buffer(flow, l, RRI_ANSWERS, 0)) close_open(flow, l, RRI_ANSWERS);
    return true;
}

static void flush_lane(rri_flow *flow, lane *l, bool requests)
{
    rri_take(&l->lock, &rri_lane);
    bool answered = flush_answers(flow, l);
    if (requests) close_open(flow, l, RRI_REQUESTS);
    bool left = l->open[RRI_REQUESTS] != NULL || !answered;
    rri_give(&l->lock, &rri_lane);
    if (left) mark_dirty(flow, l);
}

unsigned rri_flow_flush(rri_flow *flow, bool requests)
{
    unsigned flushed = 0;
    if (!atomic_load_explicit(&flow->waiting, memory_order_acquire)) return 0;
    rri_take(&flow->lock, &lists);
    unsigned due = flow->dirty_count;       /* lanes marked again meanwhile are for the next time */
    rri_give(&flow->lock, &lists);
    for (lane *l; flushed < due && (l = next_dirty(flow)); flushed++) flush_lane(flow, l, requests);
    return flushed;
}

bool rri_flow_waiting(const rri_flow *flow)
{
    return atomic_load(&flow->waiting) != 0;
}

static rri_buffer *take_first(rri_flow *flow, rri_chain *chain)
{
    rri_take(&flow->lock, &lists);
    rri_buffer *b = rri_chain_take(chain);
    if (b) {
        atomic_fetch_sub(&flow->waiting, 1);
        count_down(&flow->lanes[b->peer].behind);
        if (chain == &flow->inbox) atomic_fetch_sub(&flow->inside, 1);
    }
    rri_give(&flow->lock, &lists);
    return b;
}

/* The next message of the outbox whose lane may send, with chaos. */
static rri_buffer *take_unheld(rri_flow *flow, int64_t now)
{
    rri_take(&flow->lock, &lists);
    rri_buffer *before = NULL, *b = flow->outbox.first;
    for (; b && flow->lanes[b->peer].until > now; b = b->next) before = b;
    if (b) {
        rri_chain_take_behind(&flow->outbox, before);
        atomic_fetch_sub(&flow->waiting, 1);
        count_down(&flow->lanes[b->peer].behind);
    }
    rri_give(&flow->lock, &lists);
    return b;
}

RRI_NEEDS(rri_driver)
static unsigned drain_unheld(rri_flow *flow)
{
    unsigned sent = 0;
    int64_t now = rri_now();
    for (rri_buffer *b; (b = take_unheld(flow, now)); sent++) {
        lane *l = &flow->lanes[b->peer];
        rri_take(&l->lock, &rri_lane);
        if (l->state == RRI_LANE_SHUT) rri_buffer_drop(b);
        else send_now(flow, l, b);
        l->held--;
        rri_give(&l->lock, &rri_lane);
    }
    return sent;
}

unsigned rri_flow_drain(rri_flow *flow)
{
    unsigned sent = 0;
    if (flow->config.direct) return rri_chaos_on() ? drain_unheld(flow) : 0;
    for (rri_buffer *b; (b = take_first(flow, &flow->outbox)); sent++)
        if (rri_lane_is_shut(flow, b->peer) || rri_link_send(flow->link, b)) rri_buffer_drop(b);
    return sent;
}

void rri_flow_empty(rri_flow *flow)
{
    do {
        rri_flow_flush(flow, true);
        rri_flow_drain(flow);
    } while (atomic_load(&flow->waiting) > atomic_load(&flow->inside));
}

static bool well_formed(const rri_buffer *b)
{
    const rri_message *m = (const rri_message *)(const void *)b->data;
    return b->bytes >= sizeof *m && m->magic == RRI_MAGIC && m->version == RRI_WIRE_VERSION && m->bytes == b->bytes;
}

RRI_NEEDS(rri_driver)
static void stash(rri_flow *flow, rri_buffer *b)
{
    rri_stash_put(&flow->stash, b);
    atomic_fetch_add(&flow->inside, 1);
    atomic_fetch_add(&flow->waiting, 1);
}

RRI_NEEDS(rri_driver)
static rri_buffer *take_stashed(rri_flow *flow)
{
    atomic_fetch_sub(&flow->inside, 1);
    atomic_fetch_sub(&flow->waiting, 1);
    return rri_stash_take(&flow->stash);
}

/* Chaos has some messages at hand, so that there is a choice. */
RRI_NEEDS(rri_driver)
static rri_buffer *take_received(rri_flow *flow)
{
    if (!flow->stash.count) {
        rri_buffer *b = rri_link_receive(flow->link);
        if (!b || !rri_chaos(RRI_CHAOS_REORDER)) return b;
        stash(flow, b);
    }
    for (rri_buffer *b; !rri_stash_full(&flow->stash) && (b = rri_link_receive(flow->link));) stash(flow, b);
    return take_stashed(flow);
}

static bool welcome(rri_flow *flow, const rri_buffer *b)
{
    if (!well_formed(b)) {
        rri_flow_refuse(flow);
        rri_log(RRI_LOG_ERROR, "a message of rank %d that cannot be read was refused", b->peer);
        return false;
    }
    bool open = atomic_load_explicit(&flow->lanes[b->peer].state, memory_order_relaxed) == RRI_LANE_OPEN;
    return open || flow->report.speaks(flow->report.up, b->peer);
}

rri_buffer *rri_flow_receive(rri_flow *flow)
{
    rri_buffer *b = atomic_load_explicit(&flow->inside, memory_order_acquire) ? take_first(flow, &flow->inbox) : NULL;
    if (!b) b = take_received(flow);
    for (; b && !welcome(flow, b); b = take_received(flow)) rri_buffer_drop(b);
    if (!b) return NULL;
    uint32_t credits = ((const rri_message *)(const void *)b->data)->credits;
    if (credits) take_credits(flow, &flow->lanes[b->peer], credits);
    return b;
}

static unsigned count_records(const rri_buffer *b)
{
    unsigned n = 0;
    for (uint32_t at = sizeof(rri_message); at < b->bytes; n++)
        at += ((const rri_record *)(const void *)(b->data + at))->bytes;
    return n;
}

static bool memory_is_short(const rri_flow *flow)
{
    return atomic_load_explicit(&flow->pool.live, memory_order_relaxed) * flow->pool.room > flow->config.park_limit;
}

/* A method may wait for a call that has to come through the very lane whose credits lie with calls that wait for the method. So
 * when nothing arrives any more, a credit of each lane is lent, as often as there is RREF_PARK_LIMIT once more for messages. */
static bool lend_one(rri_flow *flow, lane *l)
{
    rri_take(&flow->lock, &lists);
    bool room = l->lent < LENT_LEAST || flow->lent * flow->pool.room < flow->config.park_limit;
    bool lends = l->withheld > l->lent && room;
    l->lent += lends;
    flow->lent += lends;
    rri_give(&flow->lock, &lists);
    if (lends) owe(flow, l->peer);
    return lends;
}

/* The lock is held. */
static void lend_later(rri_flow *flow)
{
    bool first;
    flow->arrived = atomic_load_explicit(&flow->arrivals, memory_order_relaxed);
    flow->lends = rri_timer_add(flow->config.timers, &flow->lender, rri_after(rri_now(), LEND_NS), &first) == 0;
}

static void lend(rri_timer *timer)
{
    rri_flow *flow = (rri_flow *)(void *)((char *)timer - offsetof(rri_flow, lender));
    bool still = atomic_load_explicit(&flow->arrivals, memory_order_relaxed) == flow->arrived, left = false;
    for (int i = 0; i < flow->size && still; i++) lend_one(flow, &flow->lanes[i]);
    rri_take(&flow->lock, &lists);
    for (int i = 0; i < flow->size && !left; i++) left = flow->lanes[i].withheld > flow->lanes[i].lent;
    flow->lends = false;
    if (left) lend_later(flow);
    rri_give(&flow->lock, &lists);
}

static void keep_back(rri_flow *flow, rri_buffer *buffer)
{
    buffer->owes = true;
    rri_take(&flow->lock, &lists);
    flow->lanes[buffer->peer].withheld++;
    if (!flow->lends && flow->config.timers) lend_later(flow);
    rri_give(&flow->lock, &lists);
}

bool rri_flow_pays(rri_flow *flow, rri_buffer *buffer)
{
    const rri_message *m = (const rri_message *)(const void *)buffer->data;
    if (!m->counted || buffer->owes) return false;      /* kept back already, once */
    bool now = !memory_is_short(flow);
    if (!now) keep_back(flow, buffer);
    return now;
}

void rri_flow_last(rri_flow *flow, rri_buffer *buffer)
{
    if (rri_flow_pays(flow, buffer)) atomic_fetch_add(&flow->lanes[buffer->peer].owed, 1);
}

void rri_flow_done(rri_flow *flow, rri_buffer *buffer)
{
    lane *l = &flow->lanes[buffer->peer];
    if (buffer->owes) atomic_fetch_add_explicit(&flow->arrivals, 1, memory_order_relaxed);
    if (l->peer == flow->me) atomic_fetch_sub(&flow->self_open, count_records(buffer));
    if (!rri_link_recycle(flow->link, buffer)) rri_buffer_drop(buffer);
    if (atomic_load_explicit(&l->owed, memory_order_relaxed)) mark_dirty(flow, l);
}

bool rri_flow_self_pending(const rri_flow *flow) { return atomic_load(&flow->self_open) != 0; }
bool rri_flow_inbox(const rri_flow *flow) { return atomic_load(&flow->inside) != 0; }
void rri_flow_refuse(rri_flow *flow) { atomic_fetch_add(&flow->refused, 1); }
uint64_t rri_flow_refused(const rri_flow *flow) { return atomic_load_explicit(&flow->refused, memory_order_relaxed); }

rri_colours *rri_flow_colours(rri_flow *flow) { return &flow->colours; }

/* Under its lock: after a change of colour nothing comes to the former one unseen. */
void rri_flow_sent(rri_flow *flow, int peer, uint64_t sent[RRI_TALLIES])
{
    lane *l = &flow->lanes[peer];
    rri_take(&l->lock, &rri_lane);
    memcpy(sent, l->sent, sizeof l->sent);
    rri_give(&l->lock, &rri_lane);
}

unsigned rri_flow_used(rri_flow *flow)
{
    unsigned used = atomic_load(&flow->pool.live);
    for (int i = 0; i < flow->size; i++) {
        rri_take(&flow->lanes[i].lock, &rri_lane);
        used -= flow->lanes[i].spare != NULL;
        rri_give(&flow->lanes[i].lock, &rri_lane);
    }
    return used;
}

uint64_t rri_flow_calls(rri_flow *flow)
{
    uint64_t sum = 0;
    for (int i = 0; i < flow->size; i++) {
        rri_take(&flow->lanes[i].lock, &rri_lane);
        sum += flow->lanes[i].calls;
        rri_give(&flow->lanes[i].lock, &rri_lane);
    }
    return sum;
}

uint64_t rri_flow_backlog(rri_flow *flow)
{
    uint64_t sum = 0;
    for (int i = 0; i < flow->size; i++) {
        lane *l = &flow->lanes[i];
        rri_take(&l->lock, &rri_lane);
        sum += l->queued + (uint64_t)waiting_to_leave(flow, l) * flow->config.room;
        rri_give(&l->lock, &rri_lane);
    }
    return sum;
}
