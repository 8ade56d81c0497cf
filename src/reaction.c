/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns when reactions run, and where. Invariant: each runs once, those of a future in order of registration. */
#include "reaction.h"
#include "exec.h"
#include "memory.h"

#include <stddef.h>
#include <stdlib.h>

static rri_reaction *next_reaction(rri_future *f, bool at_once_only)
{
    rri_take(&f->lock, &rri_future_lock);
    rri_reaction *r = f->first;
    if (r && at_once_only && (!r->at_once || f->draining)) r = NULL;
    if (r) f->first = r->next;
    else if (!at_once_only) f->draining = false;
    rri_give(&f->lock, &rri_future_lock);
    return r;
}

static void run_reaction(rri_future *f, rri_reaction *r)
{
    bool was = rri_progress_inline(r->at_once);
    rref_call *within = rri_exec_step_out();
    rri_progress_depth(1);
    r->run(r, f);
    rri_progress_depth(-1);
    rri_exec_step_back(within);
    rri_progress_inline(was);
    free(r);
}

static void drain(rri_job *job)
{
    rri_future *f = (rri_future *)(void *)((char *)job - offsetof(rri_future, job));
    rri_colours *colours = f->all->colours;
    unsigned colour = f->paint;
    rri_paint before = rri_paint_on(colours, colour);
    for (rri_reaction *r; (r = next_reaction(f, false));) run_reaction(f, r);
    rri_future_drop(f);
    rri_paint_back(before);
    rri_idle(colours, colour);
}

/* The leading reactions that ask for it run here; the rest, in order, on a library thread. */
static void run_reactions(rri_future *f, unsigned colour)
{
    rri_paint before = rri_paint_on(f->all->colours, colour);
    for (rri_reaction *r; (r = next_reaction(f, true));) run_reaction(f, r);
    rri_paint_back(before);
    rri_take(&f->lock, &rri_future_lock);
    bool start = f->first && !f->draining;
    if (start) {
        f->draining = true;
        f->paint = colour;
        rri_busy(f->all->colours, colour);
    }
    rri_give(&f->lock, &rri_future_lock);
    if (!start) return;
    rri_future_keep(f);
    f->job.run = drain;
    rri_progress_submit(f->all->progress, &f->job);
}

/* ---- reactions that wait: until all answers of a message are taken; or since they complete further futures, whose reactions
 * complete others, and so on, each of which needs more of the stack */

enum { DEEPEST = 16 };

typedef struct put_off {
    struct put_off *next;
    rri_future *future;             /* with a count of its own */
    unsigned colour;                /* busy with it */
} put_off;

static RRI_THREAD_LOCAL struct { unsigned depth; put_off *first, *last; } reacting;

/* Until those above on the stack have run. False without memory. */
static bool react_later(rri_future *f, unsigned colour)
{
    put_off *p = rri_malloc(sizeof *p);
    if (!p) return false;
    *p = (put_off){ NULL, f, colour };
    rri_future_keep(f);
    rri_busy(f->all->colours, colour);
    if (reacting.first) reacting.last->next = p;
    else reacting.first = p;
    reacting.last = p;
    return true;
}

static void catch_up(void)
{
    reacting.depth++;
    for (put_off *p; (p = reacting.first);) {
        reacting.first = p->next;
        run_reactions(p->future, p->colour);
        rri_idle(p->future->all->colours, p->colour);
        rri_future_drop(p->future);
        free(p);
    }
    reacting.depth--;
}

void rri_reactions_run(rri_future *f, unsigned colour)
{
    if (atomic_exchange(&f->wanted, false)) rri_progress_unwant(f->all->progress);
    if ((reacting.depth >= DEEPEST || rri_progress_after_answers(catch_up)) && react_later(f, colour)) return;
    reacting.depth++;
    run_reactions(f, colour);
    reacting.depth--;
    if (!reacting.depth && reacting.first) catch_up();
}

void rri_future_react(rri_future *future, rri_reaction *reaction)
{
    reaction->next = NULL;
    if (!rri_event_done(&future->event) && !atomic_exchange(&future->wanted, true)) rri_progress_want(future->all->progress);
    rri_take(&future->lock, &rri_future_lock);
    if (future->first) future->last->next = reaction;
    else future->first = reaction;
    future->last = reaction;
    rri_give(&future->lock, &rri_future_lock);
    atomic_store(&future->watched, true);   /* before looking whether it is complete; who completes it does the reverse */
    if (atomic_load(&future->event.word) & RRI_EVENT_DONE) rri_reactions_run(future, rri_colour(future->all->colours));
}
