/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what references to results lead to, under each reference's lock. */
#include "lead.h"
#include "error.h"
#include "fetch.h"
#include "memory.h"
#include "reaction.h"

#include <stdlib.h>

struct rri_lead {
    rri_held *first, *last;
    rref to;                    /* with a count of its own, or none yet */
    bool ready;
};

typedef struct arrival {
    rri_reaction reaction;
    rref from;                  /* with a count of its own */
} arrival;

/* The reference's lock is held. */
static struct rri_lead *lead_of(const rri_reference *r)
{
    const rri_more *more = atomic_load(&r->more);
    return more ? more->lead : NULL;
}

rri_reference *rri_lead(rri_reference *r)
{
    rri_lock_take(&r->lock);
    const struct rri_lead *l = lead_of(r);
    rref to = l && l->ready ? l->to : (rref){ 0 };
    rri_lock_give(&r->lock);
    return to.bits ? rri_reference_of(to) : NULL;
}

rri_reference *rri_lead_aim(rri_reference *r)
{
    rri_lock_take(&r->lock);
    rref to = lead_of(r)->to;
    rri_lock_give(&r->lock);
    return rri_reference_of(to);
}

/* With the last one the lead is there for all, or forgotten. */
static rri_held *next_held(rri_reference *r, bool found)
{
    struct rri_lead *gone = NULL, *l;
    rri_lock_take(&r->lock);
    l = lead_of(r);
    rri_held *h = l->first;
    if (h) l->first = h->next;
    else if (found) l->ready = true;
    else gone = l, rri_reference_more(r)->lead = NULL;
    rri_lock_give(&r->lock);
    free(gone);
    return h;
}

/* rc: or why there is nothing to call, in the thread's last error. */
static void finish(rri_reference *r, int rc)
{
    rref_error why = *rri_error_last();
    for (rri_held *h; (h = next_held(r, !rc));) {
        if (rc) *rri_error_last() = why;
        rri_held_run(rri_references_of(r)->calls, h, rc ? NULL : atomic_load(&r->klass));
    }
}

static int take(rri_reference *r, rri_future *f)
{
    rref to;
    const rri_ref_taker *all = &f->all->trade.all;
    if (f->outcome) return rri_fail_as(f->outcome, f->error);
    if (f->types->count != 1 || f->types->type[0].element != RREF_REF || f->types->type[0].array)
        return rri_fail(RREF_ERR_NO_METHOD, "the result is no reference (\"%s\"), so it has no methods",
                        f->own ? f->own->text : "");
    int rc = all->take(all->up, f->payload, NULL, &to);
    if (rc) return rc;
    rri_lock_take(&r->lock);
    lead_of(r)->to = to;
    rri_lock_give(&r->lock);
    return RREF_OK;
}

static void arrived(rri_reaction *reaction, rri_future *f)
{
    rref from = ((arrival *)(void *)reaction)->from;
    rri_reference *r = rri_reference_of(from);
    finish(r, take(r, f));
    rri_reference_drop(from);
}

static void start(rri_reference *r)
{
    arrival *a = rri_malloc(sizeof *a);
    rri_future *f = a ? rri_fetch(r) : NULL;
    if (!a) rri_fail(RREF_ERR_NO_MEMORY, "no memory to fetch a result");
    if (!f) {
        free(a);
        finish(r, rri_error_last()->code);
        return;
    }
    f->quiet = true;
    *a = (arrival){ { NULL, arrived, true }, rri_reference_keep(r) };
    rri_future_react(f, &a->reaction);
    rri_future_drop(f);
}

/* The reference's lock is held. */
static void append(struct rri_lead *l, rri_held *held, unsigned colour)
{
    held->next = NULL;
    held->colour = colour;
    if (l->first) l->last->next = held;
    else l->first = held;
    l->last = held;
}

void rri_lead_hold(rri_reference *r, rri_held *held)
{
    rri_more *more = rri_reference_more(r);
    struct rri_lead *fresh = more ? rri_calloc(1, sizeof *fresh) : NULL, *unused = fresh;
    bool ready = false, begins = false;
    rri_lock_take(&r->lock);
    if (fresh && !more->lead) more->lead = fresh, unused = NULL, begins = true;
    struct rri_lead *l = lead_of(r);
    if (l) ready = l->ready;
    if (l && !ready) append(l, held, rri_begin(rri_references_of(r)->calls->futures.colours));
    rri_lock_give(&r->lock);
    free(unused);
    if (!l) rri_fail(RREF_ERR_NO_MEMORY, "no memory to keep a call");
    if (!l || ready) held->run(held, ready ? atomic_load(&r->klass) : NULL);
    else if (begins) start(r);
}

void rri_lead_free(struct rri_lead *lead)
{
    if (lead && lead->to.bits) rri_reference_drop(lead->to);
    free(lead);
}
