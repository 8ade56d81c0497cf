/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the credits that this rank owes to those who call it: when they go back, and when they are kept. */
#include "lane.h"
#include "chaos.h"

enum {
    LENT_MOST = 3,                  /* that a peer has: what queues, what is being filled, the call behind it */
    LEND_NS = 100000000             /* without an arrival, while credits are kept back, before some are lent */
};

static rri_taken took(const rri_buffer *buffer) { return ((const rri_message *)(const void *)buffer->data)->counted; }

static void owe(rri_flow *flow, int peer)
{
    lane *l = &flow->lanes[peer];
    if (atomic_fetch_add(&l->owed, 1) == 0) rri_flow_mark(flow, l);
}

void rri_credit_repay(void *up, rri_buffer *buffer)
{
    rri_flow *flow = up;
    lane *l = &flow->lanes[buffer->peer];
    rri_take(&flow->lock, &rri_lists);
    bool lent = took(buffer) == RRI_LENT_CREDIT;
    l->withheld -= !lent;
    l->used -= lent;
    flow->used -= lent;
    rri_give(&flow->lock, &rri_lists);
    if (!lent) owe(flow, buffer->peer);
}

/* Those that are owed; chaos keeps some for the next message. */
static unsigned take_owed(rri_flow *flow, lane *l)
{
    if (!atomic_load_explicit(&l->owed, memory_order_relaxed)) return 0;
    unsigned owed = atomic_exchange_explicit(&l->owed, 0, memory_order_relaxed);
    unsigned kept = rri_chaos(RRI_CHAOS_STARVE) ? rri_chaos_pick(RRI_CHAOS_STARVE, owed + 1) : 0;
    if (!kept) return owed;
    atomic_fetch_add(&l->owed, kept);
    rri_flow_mark(flow, l);
    return owed - kept;
}

void rri_credit_board(rri_flow *flow, lane *l, rri_message *message)
{
    message->credits = (uint16_t)(message->credits + take_owed(flow, l));
    if (!atomic_load_explicit(&l->lending, memory_order_relaxed)) return;
    message->lent = (uint16_t)atomic_exchange_explicit(&l->lending, 0, memory_order_relaxed);
}

/* Bytes of messages that are here, and of the calls that they have become: many small ones come in a message. */
static size_t memory(const rri_flow *flow)
{
    size_t calls = flow->calls ? atomic_load_explicit(flow->calls, memory_order_relaxed) : 0;
    return atomic_load_explicit(&flow->pool.live, memory_order_relaxed) * flow->pool.room + calls * flow->call;
}

static bool memory_is_short(const rri_flow *flow) { return memory(flow) > flow->config.park_limit; }

static bool may_borrow(const lane *l) { return l->withheld && l->lent < LENT_MOST; }
static unsigned arrivals(const lane *l) { return atomic_load_explicit(&l->arrivals, memory_order_relaxed); }

/* A method may wait for a call that has to come through the very lane whose credits lie with calls that wait for the method. So
 * when nothing of a peer arrives any more, a credit is lent to it, until what comes for that takes RREF_PARK_LIMIT once more. All
 * that was on its way has come before the first is lent. */
static void lend_one(rri_flow *flow, lane *l)
{
    rri_take(&flow->lock, &rri_lists);
    if (!flow->used) flow->before = memory(flow);
    bool room = l->used + l->lent < LENT_MOST || memory(flow) < flow->before + flow->config.park_limit;
    bool lends = may_borrow(l) && room && arrivals(l) == l->arrived;
    l->lent += lends;
    rri_give(&flow->lock, &rri_lists);
    if (lends && atomic_fetch_add(&l->lending, 1) == 0) rri_flow_mark(flow, l);
}

/* The lock is held. */
static void lend_later(rri_flow *flow)
{
    bool first;
    for (int i = 0; i < flow->size; i++) flow->lanes[i].arrived = arrivals(&flow->lanes[i]);
    flow->lends = rri_timer_add(flow->config.timers, &flow->lender, rri_after(rri_now(), LEND_NS), &first) == 0;
}

void rri_credit_lend(rri_timer *timer)
{
    rri_flow *flow = (rri_flow *)(void *)((char *)timer - offsetof(rri_flow, lender));
    bool left = false;
    for (int i = 0; i < flow->size; i++) lend_one(flow, &flow->lanes[i]);
    rri_take(&flow->lock, &rri_lists);
    for (int i = 0; i < flow->size && !left; i++) left = may_borrow(&flow->lanes[i]);
    flow->lends = false;
    if (left) lend_later(flow);
    rri_give(&flow->lock, &rri_lists);
}

/* A peer has no more than it was lent, whatever it says. */
static void keep_back(rri_flow *flow, rri_buffer *buffer)
{
    lane *l = &flow->lanes[buffer->peer];
    bool lent = took(buffer) == RRI_LENT_CREDIT;
    buffer->owes = true;
    rri_take(&flow->lock, &rri_lists);
    l->withheld += !lent;
    l->lent -= lent && l->lent;
    l->used += lent;
    flow->used += lent;
    if (!flow->lends && flow->config.timers) lend_later(flow);
    rri_give(&flow->lock, &rri_lists);
}

bool rri_credit_pays(rri_flow *flow, rri_buffer *buffer)
{
    if (took(buffer) == RRI_NO_CREDIT || buffer->owes) return false;      /* kept back already, once */
    bool now = took(buffer) == RRI_OWN_CREDIT && !memory_is_short(flow);
    if (!now) keep_back(flow, buffer);
    return now;
}

void rri_credit_last(rri_flow *flow, rri_buffer *buffer)
{
    if (rri_credit_pays(flow, buffer)) atomic_fetch_add(&flow->lanes[buffer->peer].owed, 1);
}
