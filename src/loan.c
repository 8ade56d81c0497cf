/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the time that an object waits for its results to be taken. Invariant: from its begin until its timer is taken back, or its
 * job has run, a loan is a part of its call, so that this stays. */
#include "loan.h"
#include "berth.h"
#include "exec.h"
#include "memory.h"

enum { LOAN_NS = 1000000 };

struct rri_loan {
    rri_timer timer;
    rri_job job;
    rref_call *call;
    uint64_t offer;
};

/* A large copy is not the driver's. */
static void copy(rri_job *job)
{
    rri_loan *l = (rri_loan *)(void *)((char *)job - offsetof(rri_loan, job));
    rref_call *c = l->call;
    rri_transfers *t = c->calls->transfers;
    rri_actor *lender = rri_transfer_copy(t, l->offer) ? c->actor : NULL;
    if (lender) {
        rri_paint before = rri_paint_on(c->calls->futures.colours, c->colour);
        rri_berth_over(c, false);
        c->let_go = true;
        rri_paint_back(before);
    }
    rri_transfer_shifted(t, l->offer);
    if (lender) rri_exec_leave(lender);
    rri_exec_left(c);
}

static void due(rri_timer *timer)
{
    rri_loan *l = (rri_loan *)(void *)timer;
    if (rri_transfer_shift(l->call->calls->transfers, l->offer)) rri_progress_submit(l->call->calls->progress, &l->job);
    else rri_exec_left(l->call);
}

/* Who drives need not be woken for it: while the caller has not taken the answer no sleep is without limit. */
void rri_loan_begin(rref_call *c, uint64_t offer)
{
    bool first;
    rri_loan *l = rri_malloc(sizeof *l);
    if (!l) return;
    *l = (rri_loan){ .timer.due = due, .job.run = copy, .call = c, .offer = offer };
    __atomic_store_n(&c->loan, l, __ATOMIC_RELEASE);
    atomic_fetch_add(&c->parts, 1);
    if (rri_timer_add(c->calls->futures.timers, &l->timer, rri_after(rri_now(), LOAN_NS), &first))
        atomic_fetch_sub(&c->parts, 1);
}

/* The data itself is a part of the call: this is not the last. */
void rri_loan_end(rref_call *c)
{
    rri_loan *l = __atomic_load_n(&c->loan, __ATOMIC_ACQUIRE);      /* otherwise the caller's grant alone orders it */
    if (l && rri_timer_remove(c->calls->futures.timers, &l->timer)) atomic_fetch_sub(&c->parts, 1);
}
