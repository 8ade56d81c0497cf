/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the lists between the lanes and MPI: what waits for the driver, what the rank sends to itself, what has come. */
#include "flow.h"
#include "lane.h"
#include "chaos.h"
#include "error.h"
#include "log.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    RESERVE = 4,                    /* messages that can be answered or received when there is no memory */
    SPARING = 16,                   /* lanes that keep a buffer for their next message */
    LADEN_LEAST = 16                /* messages that may wait to leave, whatever the limit: as many are received at once */
};

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
    flow->lender.due = rri_credit_lend;
    flow->pool.last = rri_credit_repay;
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
    for (int i = 0; i < flow->size; i++) rri_lane_clear(&flow->lanes[i]);
    rri_chain_drop(&flow->inbox);
    rri_chain_drop(&flow->stash.chain);
    rri_chain_drop(&flow->outbox);
    rri_pool_free(&flow->pool);
    free(flow->lanes);
    free(flow);
}

/* ---- lanes that the driver has to look at */

void rri_flow_mark(rri_flow *flow, lane *l)
{
    if (atomic_load_explicit(&l->dirty, memory_order_acquire)) return;
    rri_take(&flow->lock, &rri_lists);
    if (!l->dirty) {
        l->dirty = true;
        l->next_dirty = NULL;
        if (flow->dirty) flow->dirty_last->next_dirty = l;
        else flow->dirty = l;
        flow->dirty_last = l;
        flow->dirty_count++;
        atomic_fetch_add(&flow->waiting, 1);
    }
    rri_give(&flow->lock, &rri_lists);
}

static lane *next_dirty(rri_flow *flow)
{
    rri_take(&flow->lock, &rri_lists);
    lane *l = flow->dirty;
    if (l) {
        flow->dirty = l->next_dirty;
        flow->dirty_count--;
        l->dirty = false;
        atomic_fetch_sub(&flow->waiting, 1);
    }
    rri_give(&flow->lock, &rri_lists);
    return l;
}

unsigned rri_flow_flush(rri_flow *flow, bool requests)
{
    unsigned flushed = 0;
    if (!atomic_load_explicit(&flow->waiting, memory_order_acquire)) return 0;
    rri_take(&flow->lock, &rri_lists);
    unsigned due = flow->dirty_count;       /* lanes marked again meanwhile are for the next time */
    rri_give(&flow->lock, &rri_lists);
    for (lane *l; flushed < due && (l = next_dirty(flow)); flushed++) rri_lane_flush(flow, l, requests);
    return flushed;
}

bool rri_flow_waiting(const rri_flow *flow)
{
    return atomic_load(&flow->waiting) != 0;
}

/* ---- departures */

/* Whether a message that could leave waits for the driver instead; then all behind it do, too. */
RRI_NEEDS(rri_lane)
static bool hold_back(const rri_flow *flow, const lane *l)
{
    return !flow->config.direct || l->held || (flow->config.tended && rri_chaos(RRI_CHAOS_DELAY));
}

/* The flow's lock is held, and the lane. Where the application drives nothing may be left when it turns to other things. */
RRI_NEEDS(rri_lane, rri_lists)
static void leave_to_driver(rri_flow *flow, lane *l, rri_buffer *b)
{
    rri_chain_append(&flow->outbox, b);
    if (!flow->config.direct) return;
    if (!l->held++) l->until = rri_after(rri_now(), rri_chaos_pick(RRI_CHAOS_DELAY, RRI_CHAOS_HOLD_NS));
}

/* The first lanes that are used: with one for each of a thousand ranks a rank's memory would be theirs. */
RRI_NEEDS(rri_lane)
static bool keeps_spare(rri_flow *flow, lane *l)
{
    if (!l->spares && atomic_load_explicit(&flow->sparing, memory_order_relaxed) < SPARING)
        l->spares = atomic_fetch_add(&flow->sparing, 1) < SPARING;
    return l->spares && !l->spare;
}

RRI_NEEDS(rri_lane)
static void send_now(rri_flow *flow, lane *l, rri_buffer *b)
{
    if (!rri_link_send(flow->link, b)) return;
    if (keeps_spare(flow, l)) l->spare = b;
    else rri_buffer_drop(b);
}

void rri_flow_depart(rri_flow *flow, lane *l, rri_buffer *b)
{
    if (l->peer != flow->me && !hold_back(flow, l)) {
        send_now(flow, l, b);
        return;
    }
    rri_take(&flow->lock, &rri_lists);
    rri_count_up(&l->behind);
    if (l->peer == flow->me) {
        rri_chain_append(&flow->inbox, b);
        atomic_fetch_add(&flow->inside, 1);
    } else {
        leave_to_driver(flow, l, b);
    }
    atomic_fetch_add(&flow->waiting, 1);
    rri_give(&flow->lock, &rri_lists);
    if (l->held || rri_doorbell_sleeps(rri_link_bell(flow->link))) rri_link_kick(flow->link);
}

static rri_buffer *take_first(rri_flow *flow, rri_chain *chain)
{
    rri_take(&flow->lock, &rri_lists);
    rri_buffer *b = rri_chain_take(chain);
    if (b) {
        atomic_fetch_sub(&flow->waiting, 1);
        rri_count_down(&flow->lanes[b->peer].behind);
        if (chain == &flow->inbox) atomic_fetch_sub(&flow->inside, 1);
    }
    rri_give(&flow->lock, &rri_lists);
    return b;
}

/* The next message of the outbox whose lane may send, with chaos. */
static rri_buffer *take_unheld(rri_flow *flow, int64_t now)
{
    rri_take(&flow->lock, &rri_lists);
    rri_buffer *before = NULL, *b = flow->outbox.first;
    for (; b && flow->lanes[b->peer].until > now; b = b->next) before = b;
    if (b) {
        rri_chain_take_behind(&flow->outbox, before);
        atomic_fetch_sub(&flow->waiting, 1);
        rri_count_down(&flow->lanes[b->peer].behind);
    }
    rri_give(&flow->lock, &rri_lists);
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
    if (!rri_flow_waiting(flow)) return 0;
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

/* ---- arrivals */

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
    const rri_message *m = (const rri_message *)(const void *)b->data;
    if (m->credits || m->lent) rri_lane_credit(flow, &flow->lanes[b->peer], m->credits, m->lent);
    return b;
}

static unsigned count_records(const rri_buffer *b)
{
    unsigned n = 0;
    for (uint32_t at = sizeof(rri_message); at < b->bytes; n++)
        at += ((const rri_record *)(const void *)(b->data + at))->bytes;
    return n;
}

void rri_flow_done(rri_flow *flow, rri_buffer *buffer)
{
    lane *l = &flow->lanes[buffer->peer];
    if (buffer->owes) atomic_fetch_add_explicit(&l->arrivals, 1, memory_order_relaxed);
    if (l->peer == flow->me) atomic_fetch_sub(&flow->self_open, count_records(buffer));
    if (!rri_link_recycle(flow->link, buffer)) rri_buffer_drop(buffer);
    if (rri_credit_waits(l)) rri_flow_mark(flow, l);
}

/* ---- all of it */

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

void rri_flow_weighs(rri_flow *flow, const atomic_uint *calls, size_t bytes)
{
    flow->calls = calls;
    flow->call = bytes;
}

void rri_flow_riders(rri_flow *flow, rri_riders riders, void *up, const atomic_uint *waiting)
{
    flow->riders = riders;
    flow->ride = waiting;
    flow->up = up;
}

void rri_flow_close_gate(rri_flow *flow) { atomic_store(&flow->gate_shut, true); }

void rri_flow_report(rri_flow *flow, const rri_flow_up *up) { flow->report = *up; }

rri_pool *rri_flow_pool(rri_flow *flow) { return &flow->pool; }

size_t rri_flow_queue_limit(const rri_flow *flow) { return flow->config.queue_limit; }

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
        sum += l->queued + (uint64_t)rri_lane_leaving(flow, l) * flow->config.room;
        rri_give(&l->lock, &rri_lane);
    }
    return sum;
}
