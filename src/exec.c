/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the actors' queues. Invariant: while an exclusive call runs, busy is set, and the one who clears it has seen the queue
 * without a call that could start.
 */
#include "exec.h"
#include "berth.h"
#include "error.h"
#include "memory.h"
#include "pending.h"
#include "stuck.h"

static bool concurrent(const rref_call *c) { return c->flags & RREF_CONCURRENT; }

/* The lock is held; c is at the head of the queue. */
RRI_NEEDS(rri_queue)
static bool can_start(const rri_actor *a, const rref_call *c)
{
    return c->ready && (!a->busy || (concurrent(c) && !a->unborn));
}

RRI_NEEDS(rri_queue)
static rref_call *first(const rri_actor *a) { return a->last ? a->last->next : NULL; }

RRI_NEEDS(rri_queue)
static void append(rri_actor *a, rref_call *c)
{
    c->next = a->last ? a->last->next : c;
    if (a->last) a->last->next = c;
    a->last = c;
}

RRI_NEEDS(rri_queue)
static rref_call *pop(rri_actor *a)
{
    rref_call *c = a->last->next;
    if (c == a->last) a->last = NULL;
    else a->last->next = c->next;
    c->next = NULL;
    return c;
}

static bool expired(const rref_call *c)
{
    return c->deadline != RRI_NEVER && rri_now() > c->deadline;
}

static RRI_THREAD_LOCAL rref_call *current;    /* whose method this thread runs */

int64_t rri_exec_deadline(void) { return current ? current->deadline : RRI_NEVER; }

void rri_exec_name(rref_call *c)
{
    static _Atomic uint64_t last = UINT64_C(1) << 32;
    if (!c->id) c->id = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

bool rri_exec_nested(void) { return current != NULL; }
const rref_call *rri_exec_current(void) { return current; }

rref_call *rri_exec_step_out(void)
{
    rref_call *within = current;
    current = NULL;
    return within;
}

void rri_exec_step_back(rref_call *call) { current = call; }

unsigned rri_exec_ancestors(rri_ancestor list[RRI_ANCESTORS])
{
    unsigned n = 0;
    if (!current || current->oneway) return 0;      /* nobody waits for a one-way call */
    rri_exec_name(current);
    list[n++] = (rri_ancestor){ current->id, (uint32_t)current->peer, 0 };
    for (unsigned i = 0; i < current->ancestor_count && n < RRI_ANCESTORS; i++) list[n++] = current->ancestors[i];
    return n;
}

int rri_exec_failed(int rc)
{
    if (current && rc) current->inner = rc;
    return rc;
}

/* A method that fails as a call that it made has failed, and says nothing itself, passes that error on. */
void rri_exec_pass_on(rref_call *c, int outcome)
{
    const rref_error *e = rri_error_last();
    bool passes = outcome < 0 && outcome == c->inner && !c->error && e->code == outcome;
    if (!passes || !(c->error = rri_malloc(sizeof *c->error))) return;
    *c->error = *e;
    if (e->rank >= 0 && e->rank != c->calls->rank) c->error->hops++;
}

int rri_exec_run(rref_call *c)
{
    if (c->failed) return c->failed;
    if (expired(c)) return rri_fail(RREF_ERR_TIMEOUT, "the call's time was over before it could start");
    rref_call *outer = current;
    c->outer = outer;
    current = c;
    rri_paint before = rri_paint_on(c->calls->futures.colours, c->colour);
    rri_progress_depth(1);
    int outcome = c->run(c);
    rri_exec_pass_on(c, outcome);
    rri_progress_depth(-1);
    rri_paint_back(before);
    current = outer;
    return outcome;
}

rri_exec_outer rri_exec_instants(rref_call *c)
{
    rri_exec_outer outer = { current, rri_progress_inline(true) };
    current = c;
    rri_progress_depth(1);
    return outer;
}

void rri_exec_instants_over(rri_exec_outer outer)
{
    rri_progress_depth(-1);
    rri_progress_inline(outer.was_inline);
    current = outer.call;
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

/* The call that has come to the head of the queue without its data: that may come now. The actor's lock is held. */
RRI_NEEDS(rri_queue)
static rref_call *ungranted_head(rri_actor *a)
{
    rref_call *c = first(a);
    if (!c || !c->ungranted) return NULL;
    c->ungranted = false;
    return c;
}

/* The next exclusive call to run, which keeps the object busy; concurrent ones before it are started on the way. */
static rref_call *next(rri_actor *a)
{
    for (;;) {
        rri_take(&a->lock, &rri_queue);
        rref_call *c = first(a);
        c = c && c->ready ? pop(a) : NULL;
        rref_call *head = ungranted_head(a);
        if (!c) a->busy = false;
        rri_give(&a->lock, &rri_queue);
        if (head) rri_call_grant(head);
        if (!c || !concurrent(c)) return c;
        submit(c);
    }
}

/* Until its results have left, or were copied. */
static bool keeps_object(const rref_call *c) { return c->holds_object && !c->let_go; }

/* One of the call's parts is over; the last one frees it, and the object if that was kept for the data. */
static rref_call *part(rref_call *c)
{
    bool last = atomic_load_explicit(&c->parts, memory_order_acquire) == 1;     /* then nobody else has the call */
    if (!last && atomic_fetch_sub(&c->parts, 1) != 1) return NULL;
    rri_actor *kept = keeps_object(c) ? c->actor : NULL;
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
    for (rref_call *c = (rref_call *)(void *)job; c; c = finish(c)) {
        if (c->lands && rri_berth_take(c)) return;
        execute(c);
    }
}

/* On the driver: the role is takeable while user code runs. */
static rri_verdict run_here(rref_call *c)
{
    rri_progress *p = c->calls->progress;
    if (c->lands && rri_berth_take(c)) return RRI_DONE;
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
    if (more) submit(more);     /* not here: a thread that lost the role is no job, and after a wait nobody would count it out */
    return driver ? RRI_DONE : RRI_LOST;
}

/* By the thread that drove, without the role; false if it may not leave that now. What waits for its data keeps nobody. */
static bool run_apart(rref_call *c, rri_verdict *verdict)
{
    rri_progress *p = c->calls->progress;
    if (c->lands && rri_berth_take(c)) return true;
    if (!rri_progress_depart(p)) return false;
    int outcome = rri_exec_run(c);
    *verdict = rri_progress_return(p) ? RRI_DONE : RRI_LOST;
    conclude(c, outcome);
    rref_call *more = finish(c);
    if (more) submit(more);
    return true;
}

static bool runs_here(const rref_call *c, bool here)
{
    return (here && !(c->flags & RREF_WORKER)) || (c->flags & RREF_INLINE);
}

/* A call that outlives its dispatch holds the message it lies in. */
static void keep(rref_call *c)
{
    if (!c->buffer) return;
    rri_buffer_keep(c->buffer);
    c->kept = true;
}

/* ---- calls made for what their object waits for */

/* Whether it is the call of this rank with that id, or made for it. */
static bool made_for(const rref_call *c, uint64_t id)
{
    if (id && c->id == id && c->peer == c->calls->rank) return true;
    for (unsigned i = 0; id && i < c->ancestor_count; i++)
        if (c->ancestors[i].id == id && (int)c->ancestors[i].rank == c->calls->rank) return true;
    return false;
}

/* Its turn would not come. The actor's lock is held; returns whether go_aside is due, without it. */
RRI_NEEDS(rri_queue)
static bool set_aside(rref_call *c)
{
    c->aside = true;
    c->flags |= RREF_CONCURRENT;
    if (c->lands && !c->landing) {          /* not at the object, which is occupied */
        c->ungranted = true;
        c->ready = false;
    }
    c->lands = false;
    if (!c->reentrant) rri_call_fail_early(c, RREF_ERR_REENTRANT, "the object waits for a call that this one is made for");
    return c->ready || c->ungranted;
}

static void go_aside(rref_call *c)
{
    bool ungranted = c->ungranted;
    c->ungranted = false;
    if (ungranted) rri_call_grant(c);
    else submit(c);
}

/* All that wait, as a list. */
RRI_NEEDS(rri_queue)
static rref_call *take_queue(rri_actor *a)
{
    rref_call *c = first(a);
    if (c) a->last->next = NULL;
    a->last = NULL;
    return c;
}

void rri_exec_waits_for(uint64_t id)
{
    rref_call *own = current, *ready = NULL;
    if (!own || !own->actor || concurrent(own)) return;
    rri_actor *a = own->actor;
    rri_take(&a->lock, &rri_queue);
    a->waits_for = id;
    for (rref_call *all = take_queue(a), *c; (c = all);) {
        all = c->next;
        if (!made_for(c, id)) {
            append(a, c);
        } else if (set_aside(c)) {
            c->next = ready;
            ready = c;
        }
    }
    rri_give(&a->lock, &rri_queue);
    for (rref_call *c; (c = ready);) {
        ready = c->next;
        go_aside(c);
    }
}

/* Who waits for long has it told, and goes on waiting. */
static int wait_and_tell(rri_future *f, int64_t deadline)
{
    rri_futures *all = f->all;
    int owed = atomic_load_explicit(&f->owed, memory_order_relaxed) - 1;
    if (rri_progress_try(all->progress, &f->event, deadline, owed >= 0 && owed != all->rank)) return RREF_OK;
    int64_t made = atomic_load_explicit(&f->made, memory_order_relaxed);
    if (!made) made = rri_now_coarse();
    if (f->lone) atomic_store_explicit(&f->made, made, memory_order_relaxed);
    int64_t look = rri_after(made, all->report_after);
    rri_stuck stuck = { .call = NULL };
    for (;;) {
        int rc = rri_progress_sleep(all->progress, &f->event, look < deadline ? look : deadline);
        if (rc != RREF_ERR_PENDING || look >= deadline) {
            if (stuck.call) rri_stuck_over(current->calls, &stuck);
            return rc;
        }
        rri_pending_tell(all);
        if (current && deadline == RRI_NEVER) rri_stuck_tell(current->calls, &stuck, current, f);
        look = rri_after(rri_now(), all->report_after);
    }
}

int rri_exec_wait(rri_future *f, int64_t deadline)
{
    if (!current || rri_event_done(&f->event)) return wait_and_tell(f, deadline);
    rri_exec_waits_for(rri_future_handle(f));
    int rc = wait_and_tell(f, deadline);
    rri_exec_waits_for(0);
    return rc;
}

/* ---- arrival */

/* Its data came, or its object's last reference went, in the middle of the driver's look at MPI. Now that this is over it runs as
 * other calls do: to wake another thread for it costs more than that. */
static void run_due(rri_job *job)
{
    rref_call *c = (rref_call *)(void *)job;
    rri_progress *p = c->calls->progress;
    rri_verdict lost;
    bool here = rri_progress_may_run(p) && rri_progress_has_place(p);
    if (runs_here(c, here)) run_here(c);
    else if (!here || !run_apart(c, &lost)) submit(c);
}

static void run_soon(rref_call *c)
{
    c->job.run = run_due;
    if (!rri_progress_due(c->calls->progress, &c->job)) submit(c);
}

rri_verdict rri_exec_enter(rref_call *c, bool here)
{
    rri_actor *a = c->actor;
    rri_verdict verdict = RRI_DONE;
    bool at_once = c->flags & RREF_INLINE;
    if (!at_once || c->lands) keep(c);
    rri_take(&a->lock, &rri_queue);
    bool start = !a->last && can_start(a, c);
    bool aside = !start && made_for(c, a->waits_for), refused = aside && set_aside(c);
    if (!start && !c->kept) keep(c);
    if (!start && !aside) append(a, c);
    else if (start && !concurrent(c)) a->busy = true;
    rref_call *head = ungranted_head(a);
    rri_give(&a->lock, &rri_queue);
    if (head) rri_call_grant(head);
    if (refused) go_aside(c);
    if (!start) return RRI_DONE;
    if (c->local) {
        run_soon(c);
        return RRI_DONE;
    }
    if (runs_here(c, here)) return run_here(c);
    if (!here || !run_apart(c, &verdict)) submit(c);
    return verdict;
}

/* The call at the head, if it can start now. */
static rref_call *startable(rri_actor *a)
{
    rri_take(&a->lock, &rri_queue);
    rref_call *c = first(a);
    bool start = c && can_start(a, c);
    if (start) {
        pop(a);
        if (!concurrent(c)) a->busy = true;
    }
    rref_call *head = ungranted_head(a);
    rri_give(&a->lock, &rri_queue);
    if (head) rri_call_grant(head);
    return start ? c : NULL;
}

void rri_exec_ready(rref_call *c)
{
    rri_actor *a = c->actor;
    rri_take(&a->lock, &rri_queue);
    c->ready = true;
    bool aside = c->aside;
    rri_give(&a->lock, &rri_queue);
    if (aside) submit(c);
    for (rref_call *now; (now = startable(a));) run_soon(now);
}

void rri_exec_landed(rref_call *c) { run_soon(c); }

void rri_exec_left(rref_call *c)
{
    rref_call *more = part(c);
    if (more) run_soon(more);
}

/* It does not come to its end, so nothing frees it; but nobody waits for it, and its object goes on. */
void rri_exec_forsake(rref_call *c)
{
    rri_never_free(c);
    rri_berth_over(c, true);
    rri_idle(c->calls->futures.colours, c->colour);
    rref_call *more = keeps_object(c) ? next(c->actor) : NULL;
    if (more) submit(more);
}

bool rri_exec_occupy(rri_actor *a)
{
    rri_take(&a->lock, &rri_queue);
    bool got = !a->busy && !a->last;
    if (got) a->busy = true;
    rri_give(&a->lock, &rri_queue);
    return got;
}

bool rri_exec_passes(rri_actor *a, bool nested)
{
    rri_take(&a->lock, &rri_queue);
    bool passes = (!a->last || (nested && a->busy)) && !a->unborn;
    rri_give(&a->lock, &rri_queue);
    return passes;
}

void rri_exec_unborn(rri_actor *a)
{
    rri_take(&a->lock, &rri_queue);
    a->unborn = true;
    rri_give(&a->lock, &rri_queue);
}

void rri_exec_born(rri_actor *a)
{
    rri_take(&a->lock, &rri_queue);
    a->unborn = false;
    rri_give(&a->lock, &rri_queue);
}

void rri_exec_leave(rri_actor *a)
{
    rref_call *more = next(a);
    if (more) submit(more);
}
