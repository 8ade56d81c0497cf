/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the actors' queues. Invariant: while an exclusive call runs, busy is set, and the one who clears it has seen the queue
 * without a call that could start.
 */
#include "exec.h"
#include "error.h"

static bool concurrent(const rref_call *c) { return c->flags & RREF_CONCURRENT; }

static void append(rri_actor *a, rref_call *c)
{
    c->next = NULL;
    if (a->first) a->last->next = c;
    else a->first = c;
    a->last = c;
}

static rref_call *pop(rri_actor *a)
{
    rref_call *c = a->first;
    a->first = c->next;
    c->next = NULL;
    return c;
}

static bool expired(const rref_call *c)
{
    return c->deadline != RRI_NEVER && rri_now() > c->deadline;
}

static _Thread_local struct { bool limited; int64_t deadline; } self;   /* of the call whose method this thread runs */

int64_t rri_exec_deadline(void) { return self.limited ? self.deadline : RRI_NEVER; }

int rri_exec_run(rref_call *c)
{
    if (c->failed) return c->failed;
    if (expired(c)) return rri_fail(RREF_ERR_TIMEOUT, "the call's time was over before it could start");
    bool was_limited = self.limited;
    int64_t was = self.deadline;
    self.limited = c->deadline != RRI_NEVER;
    self.deadline = c->deadline;
    rri_progress_depth(1);
    int outcome = c->run(c);
    rri_progress_depth(-1);
    self.limited = was_limited;
    self.deadline = was;
    return outcome;
}

static void conclude(rref_call *c, int outcome)
{
    void (*ended)(rref_call *, int) = c->ended;
    if (!c->local) rri_exec_answer(c, outcome);
    if (ended) ended(c, c->failed ? c->failed : outcome);
}

static void execute(rref_call *c) { conclude(c, rri_exec_run(c)); }

static void run_job(rri_job *job);

static void submit(rref_call *c)
{
    c->job.run = run_job;
    rri_progress_submit(c->calls->progress, &c->job);
}

/* The next exclusive call to run, which keeps the object busy; concurrent ones before it are started on the way. */
static rref_call *next(rri_actor *a)
{
    for (;;) {
        rri_lock_take(&a->lock);
        rref_call *c = a->first && a->first->ready ? pop(a) : NULL;
        if (!c) a->busy = false;
        rri_lock_give(&a->lock);
        if (!c || !concurrent(c)) return c;
        submit(c);
    }
}

/* One of the call's parts is over; the last one frees it, and the object if that was kept for the data. */
static rref_call *part(rref_call *c)
{
    if (atomic_fetch_sub(&c->parts, 1) != 1) return NULL;
    rri_actor *kept = c->holds_object ? c->actor : NULL;
    rri_exec_free(c);
    return kept ? next(kept) : NULL;
}

/* The handler is over: returns the call that follows on its object. A destructor's object is gone with it. */
static rref_call *finish(rref_call *c)
{
    rri_actor *a = concurrent(c) || c->holds_object || c->local ? NULL : c->actor;
    rref_call *more = part(c);
    return a ? next(a) : more;
}

static void run_job(rri_job *job)
{
    for (rref_call *c = (rref_call *)(void *)job; c; c = finish(c)) execute(c);
}

/* On the driver: the role is takeable while user code runs. */
static rri_verdict run_here(rref_call *c)
{
    rri_progress *p = c->calls->progress;
    if (c->flags & RREF_INLINE) {
        bool was = rri_progress_inline(true);
        execute(c);
        rri_progress_inline(was);
        rref_call *more = finish(c);
        if (more) submit(more);
        return RRI_DONE;
    }
    rri_progress_offer(p);
    int outcome = rri_exec_run(c);
    bool driver = rri_progress_reclaim(p);
    conclude(c, outcome);
    rref_call *more = finish(c);
    if (more && driver) submit(more);
    else if (more) run_job(&more->job);
    return driver ? RRI_DONE : RRI_LOST;
}

/* A call that outlives its dispatch holds the message it lies in. */
static void keep(rref_call *c)
{
    if (!c->buffer) return;
    rri_buffer_keep(c->buffer);
    c->kept = true;
}

rri_verdict rri_exec_enter(rref_call *c, bool here)
{
    rri_actor *a = c->actor;
    bool at_once = c->flags & RREF_INLINE;
    if (!at_once) keep(c);
    rri_lock_take(&a->lock);
    bool start = !a->first && c->ready && (concurrent(c) || !a->busy);
    if (!start && at_once) keep(c);
    if (!start) append(a, c);
    else if (!concurrent(c)) a->busy = true;
    rri_lock_give(&a->lock);
    if (!start) return RRI_DONE;
    if ((here && !(c->flags & RREF_WORKER)) || (c->flags & RREF_INLINE)) return run_here(c);
    submit(c);
    return RRI_DONE;
}

/* The call at the head, if it can start now. */
static rref_call *startable(rri_actor *a)
{
    rri_lock_take(&a->lock);
    rref_call *c = a->first;
    bool start = c && c->ready && (concurrent(c) || !a->busy);
    if (start) {
        pop(a);
        if (!concurrent(c)) a->busy = true;
    }
    rri_lock_give(&a->lock);
    return start ? c : NULL;
}

void rri_exec_ready(rref_call *c)
{
    rri_actor *a = c->actor;
    rri_lock_take(&a->lock);
    c->ready = true;
    rri_lock_give(&a->lock);
    for (rref_call *now; (now = startable(a));) submit(now);
}

void rri_exec_left(rref_call *c)
{
    rref_call *more = part(c);
    if (more) submit(more);
}

bool rri_exec_occupy(rri_actor *a)
{
    rri_lock_take(&a->lock);
    bool got = !a->busy && !a->first;
    if (got) a->busy = true;
    rri_lock_give(&a->lock);
    return got;
}

void rri_exec_leave(rri_actor *a)
{
    rref_call *more = next(a);
    if (more) submit(more);
}
