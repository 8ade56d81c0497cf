/* SPDX-License-Identifier: BSD-3-Clause */
/* Occupying a local object for a thread, as a method does: a call without user code, whose object stays occupied after it. */
#include "error.h"
#include "exec.h"
#include "memory.h"
#include "reference.h"

#include <stdlib.h>

/* Between the thread that waits for its turn and the turn. */
typedef struct turn {
    rri_event come;
    atomic_bool taken;          /* by whoever is first: the turn, or the thread that gives up */
    atomic_uint refs;
} turn;

static _Thread_local char this_thread;

static void drop(turn *t)
{
    if (atomic_fetch_sub(&t->refs, 1) == 1) free(t);
}

static int run_turn(rref_call *c) { return (void)c, RREF_OK; }

/* The call has two parts when somebody enters: the second is over when he leaves. */
static void turn_over(rref_call *c, int outcome)
{
    turn *t = c->result;
    if (atomic_exchange(&t->taken, true)) atomic_fetch_sub(&c->parts, 1);
    else rri_event_set(&t->come);
    (void)outcome;
    drop(t);
}

static const rri_types no_types;

static rref_call *entering_call(rri_object *o, turn *t)
{
    rref_call *c = rri_call_new(o->all->calls);
    if (!c) return NULL;
    c->local = c->holds_object = true;
    c->in = c->out = &no_types;
    c->actor = &o->actor;
    c->object = o;
    c->result = t;
    c->run = run_turn;
    c->ended = turn_over;
    return c;
}

/* Wait in the object's queue. */
static int queue(rref_call *c, turn *t, int64_t deadline)
{
    rri_progress *progress = c->calls->progress;
    atomic_store(&t->refs, 2);
    atomic_store(&c->parts, 2);
    rri_call_enter(c);
    int rc = rri_progress_wait(progress, &t->come, deadline);
    if (rc && atomic_exchange(&t->taken, true)) rc = RREF_OK;       /* the turn came after all */
    drop(t);
    return rc == RREF_ERR_PENDING ? rri_fail(RREF_ERR_TIMEOUT, "the object was not free in time") : rc;
}

static int occupy(rri_object *o, int64_t deadline)
{
    turn *t = rri_calloc(1, sizeof *t);
    rri_object_more *more = rri_object_more_of(o);
    rref_call *c = t && more ? entering_call(o, t) : NULL;
    int rc = RREF_OK;
    if (!c) {
        free(t);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory to enter an object");
    }
    if (rri_exec_occupy(c->actor)) free(t);
    else rc = queue(c, t, deadline);
    if (rc) return rc;
    more->entered = c;
    atomic_store(&more->occupant, &this_thread);
    return RREF_OK;
}

/* The object of a reference, which may still have to arrive here. */
static int local_object(rri_reference *r, int64_t deadline, rri_object **o)
{
    int rc = RREF_OK;
    rri_future *creation = rri_reference_creation(r);
    if (creation) rc = rri_progress_wait(rri_references_of(r)->calls->progress, &creation->event, deadline);
    if (creation) rri_future_drop(creation);
    if (rc == RREF_ERR_PENDING) return rri_fail(RREF_ERR_TIMEOUT, "the object was not there in time");
    if (rc == RREF_OK) rc = rri_reference_error(r);
    *o = rc ? NULL : rri_object_of(rri_references_of(r)->objects, rri_reference_address(r));
    if (!rc && !*o) rc = rri_fail(RREF_ERR_PENDING, "the object is still to come");
    return rc;
}

static bool entered_here(const rri_object *o)
{
    const rri_object_more *more = atomic_load(&o->more);
    return more && atomic_load(&more->occupant) == &this_thread;
}

static void leave(rri_object *o)
{
    rri_object_more *more = atomic_load(&o->more);
    atomic_store(&more->occupant, NULL);
    rri_exec_left(more->entered);
}

/* Its turn has come, unless it has failed. */
static int enter(rri_reference *r, rri_object *o, int64_t deadline)
{
    int rc = occupy(o, deadline);
    if (rc) return rc;
    if (atomic_load(&o->state) == RRI_FAILED) {
        leave(o);
        return rri_object_why(o);
    }
    rri_reference_occupy(r);
    atomic_load(&o->more)->entered_by = rri_table_handle(&rri_references_of(r)->table, r);
    return RREF_OK;
}

int rref_enter(rref reference, double timeout, void **self)
{
    int64_t ns = RRI_NEVER;
    rri_object *o = NULL;
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    if (!self) return rri_fail(RREF_ERR_ARGUMENT, "NULL self");
    if (timeout != RREF_DEFAULT_TIMEOUT && !rri_seconds(timeout, &ns))
        return rri_fail(RREF_ERR_ARGUMENT, "a timeout of %g seconds", timeout);
    int64_t deadline = ns == RRI_NEVER ? RRI_NEVER : rri_after(rri_now(), ns);
    int rc = rri_reference_local(reference);
    if (!rc) rc = rref_retain(reference);           /* others may release it while this thread waits */
    if (rc) return rc;
    rc = local_object(r, deadline, &o);
    if (!rc && o->shared) rc = rri_fail(RREF_ERR_STATE, "the root object is never occupied");
    if (!rc && rri_object_is_result(o)) rc = rri_reference_is_result();
    if (!rc && entered_here(o)) rc = rri_fail(RREF_ERR_STATE, "this thread has entered the object already");
    if (!rc) rc = enter(r, o, deadline);
    if (!rc) *self = o->self;
    rri_reference_drop(reference);
    return rc;
}

/* What occupies an object is this rank's. */
int rref_leave(rref reference)
{
    bool occupies;
    rri_reference *r = rri_reference_occupying(reference, &occupies);
    if (!r) return rri_error_last()->code;
    int rc = occupies ? RREF_OK : rri_reference_local(reference);
    if (rc) return rc;
    rri_references *all = rri_references_of(r);
    rri_object *o = rri_object_of(all->objects, rri_reference_address(r));
    if (!o || !entered_here(o)) return rri_fail(RREF_ERR_STATE, "this thread has not entered the object");
    uint64_t by = atomic_load(&o->more)->entered_by;
    leave(o);
    rri_reference_vacate(all, by);                  /* which may be the object's end */
    return RREF_OK;
}
