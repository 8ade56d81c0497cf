/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what a lane is filled with, and when that leaves it. */
#include "lane.h"
#include "crew.h"
#include "error.h"

#include <string.h>

/* ---- messages */

/* The lane's lock is held: messages of a lane leave in order. */
RRI_NEEDS(rri_lane)
static void dispatch(rri_flow *flow, lane *l, rri_buffer *b)
{
    rri_message *m = (rri_message *)(void *)b->data;
    rri_credit_board(flow, l, m);
    m->bytes = b->bytes;
    b->peer = l->peer;
    if (l->state == RRI_LANE_OPEN) {
        rri_flow_depart(flow, l, b);
    } else {
        rri_chain_append(&l->kept, b);
        rri_count_up(&l->kept_count);
    }
}

RRI_NEEDS(rri_lane)
static void spend(rri_flow *flow, lane *l, rri_buffer *b)
{
    l->credit--;
    rri_count_up(&l->in_flight);
    dispatch(flow, l, b);
    l->announced = rri_link_announced(flow->link, l->peer);
}

/* Nothing comes back for what leaves on borrowed credit. */
RRI_NEEDS(rri_lane)
static void spend_borrowed(rri_flow *flow, lane *l, rri_buffer *b)
{
    l->borrowed--;
    ((rri_message *)(void *)b->data)->counted = RRI_LENT_CREDIT;
    dispatch(flow, l, b);
}

/* What queues leaves as far as there is credit of either kind. */
RRI_NEEDS(rri_lane)
static void spend_all(rri_flow *flow, lane *l)
{
    for (rri_buffer *b; l->credit + l->borrowed > 0 && (b = rri_chain_take(&l->queue));) {
        l->queued -= b->bytes;
        if (l->credit > 0) spend(flow, l, b);
        else spend_borrowed(flow, l, b);
    }
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
        spend_all(flow, l);
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
    *m = (rri_message){ .magic = RRI_MAGIC, .version = RRI_WIRE_VERSION };
    m->counted = stream == RRI_REQUESTS ? RRI_OWN_CREDIT : RRI_NO_CREDIT;
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
static bool waits_to_be_full(const rri_flow *flow, const lane *l) { return rri_lane_is_laden(flow, l) && !l->ended; }

/* The lane is held. */
RRI_NEEDS(rri_lane)
static void let_go(rri_flow *flow, lane *l, rri_stream stream, rri_haste haste)
{
    if (haste == RRI_PAYING) ((rri_message *)(void *)l->open[stream]->data)->credits++;
    if (haste == RRI_COMPANY && stream == RRI_REQUESTS && !rri_lane_flying(l) && !l->queue.first) haste = RRI_AT_ONCE;
    if (haste == RRI_COMPANY || (stream == RRI_ANSWERS && waits_to_be_full(flow, l))) rri_flow_mark(flow, l);
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

/* ---- items of runs */

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
static bool is_load(const rri_flow *flow, const lane *l)
{
    const rri_record *r = l->growth[RRI_REQUESTS].record;
    return !(r->flags & RRI_FLAG_ONEWAY) && rri_run_count(r) >= flow->config.load && l->credit > 0 && !l->queue.first;
}

RRI_UNCHECKED RRI_IN_CALLERS
void rri_lane_grown(rri_flow *flow, lane *l)
{
    if (is_load(flow, l)) let_go(flow, l, RRI_REQUESTS, RRI_AT_ONCE);
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

/* ---- leaving without another record */

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

/* What is lent lets nobody go on who waits for room: a flood would take it all, and a method may wait for another call. */
void rri_lane_credit(rri_flow *flow, lane *l, unsigned credits, unsigned lent)
{
    rri_take(&l->lock, &rri_lane);
    uint32_t before = rri_lane_flying(l);
    if (credits > before) credits = before;
    l->credit += credits;
    atomic_store_explicit(&l->in_flight, before - credits, memory_order_relaxed);
    l->borrowed += lent;
    if (credits && credits == before) rri_link_settle(flow->link, l->peer, l->announced);
    spend_all(flow, l);
    bool freed = l->full && credits && !l->queue.first;
    if (freed) l->full = false;
    close_open(flow, l, RRI_REQUESTS);      /* an answer came: what waited for company leaves */
    rri_give(&l->lock, &rri_lane);
    if (freed) {
        atomic_fetch_add(&l->event, 1);
        rri_futex_wake(&l->event, INT32_MAX);
    }
}

/* An empty message carries credits when nothing else does. Returns whether all has left. */
RRI_NEEDS(rri_lane)
static bool flush_answers(rri_flow *flow, lane *l)
{
    if (waits_to_be_full(flow, l)) return !l->open[RRI_ANSWERS] && !rri_credit_waits(l);
    close_open(flow, l, RRI_ANSWERS);
    if (!rri_credit_waits(l)) return true;
    if (!open_buffer(flow, l, RRI_ANSWERS, 0)) return l->ended;     /* later, when there is memory */
    close_open(flow, l, RRI_ANSWERS);
    return true;
}

void rri_lane_flush(rri_flow *flow, lane *l, bool requests)
{
    rri_take(&l->lock, &rri_lane);
    bool answered = flush_answers(flow, l);
    if (requests) close_open(flow, l, RRI_REQUESTS);
    bool left = l->open[RRI_REQUESTS] != NULL || !answered;
    rri_give(&l->lock, &rri_lane);
    if (left) rri_flow_mark(flow, l);
}

/* Nobody else knows it any more. */
RRI_UNCHECKED void rri_lane_clear(lane *l)
{
    rri_chain_drop(&l->queue);
    rri_chain_drop(&l->kept);
    for (int s = 0; s < 2; s++)
        if (l->open[s]) rri_buffer_drop(l->open[s]);
    if (l->spare) rri_buffer_drop(l->spare);
}

/* ---- how it stands */

bool rri_lane_laden(const rri_flow *flow, int peer) { return rri_lane_is_laden(flow, &flow->lanes[peer]); }

bool rri_lane_open(rri_flow *flow, int peer) { return flow->lanes[peer].credit > 0 && !flow->lanes[peer].queue.first; }

unsigned rri_lane_colour(rri_flow *flow, int peer) { return flow->lanes[peer].colour; }

int64_t *rri_lane_begun(rri_flow *flow, int peer) { return &flow->lanes[peer].begun; }

uint64_t rri_lane_number(rri_flow *flow, int peer) { return ++flow->lanes[peer].numbers; }

bool rri_lane_full(rri_flow *flow, int peer)
{
    const lane *l = &flow->lanes[peer];
    return atomic_load(&l->full) && atomic_load(&l->state) == RRI_LANE_OPEN;
}

bool rri_lane_go_beyond(rri_flow *flow, int peer, int64_t now)
{
    lane *l = &flow->lanes[peer];
    rri_take(&l->lock, &rri_lane);
    bool may = l->borrowed > 1 && now >= l->next_beyond;
    if (may) l->next_beyond = rri_after(now, RRI_BEYOND_NS);
    rri_give(&l->lock, &rri_lane);
    return may;
}

atomic_uint *rri_lane_event(rri_flow *flow, int peer) { return &flow->lanes[peer].event; }

bool rri_lane_in_flight(const rri_flow *flow, int peer)
{
    return rri_lane_flying(&flow->lanes[peer]);
}

/* ---- lanes that are not open */

static void change(lane *l, rri_lane_state from, rri_lane_state to)
{
    if (l->state == from) atomic_store(&l->state, to);
    atomic_fetch_add(&l->event, 1);
    rri_futex_wake(&l->event, INT32_MAX);
}

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
        rri_count_down(&l->kept_count);
        rri_flow_depart(flow, l, b);
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
