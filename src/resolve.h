/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Resolution: from a reference to the class of its object, when this rank does not have that class.
 *
 *   unknown --query--> read in the owner's window --found--> known, for all references and the time of the context
 *                        | none, no room, torn again and again
 *                        +--> asked of the owner by a call that its driver answers --> known, or failed and forgotten
 *
 * What needs the class is held meanwhile, in order, and runs when the query ends. As long as a query holds something for an
 * object or its class, everything for it is held: so calls keep their order.
 */
#ifndef RRI_RESOLVE_H
#define RRI_RESOLVE_H

#include "reference.h"
#include "window.h"

/* Something held. run: the class is known, or NULL, and the thread's last error says why. Called once, inline, with no lock. */
typedef struct rri_held {
    struct rri_held *next;
    unsigned colour;                /* of the work that is held */
    void (*run)(struct rri_held *held, const rri_class *klass);
} rri_held;

typedef struct rri_resolver {
    rri_calls *calls;               /* i */
    rri_classes *classes;           /* i */
    rri_window *window;             /* i: NULL: there is none that works */
    const rri_signature *describe;  /* i: of the question by message */
    rri_lock lock;
    struct rri_query *first;        /* under the lock */
    struct rri_kin *kin;            /* under the lock: which rank has which class */
    struct rri_name *names;         /* under the lock */
    atomic_uint open;               /* a: queries under way */
    _Atomic uint64_t asked;         /* a: questions by message */
} rri_resolver;

void rri_resolver_close(rri_resolver *all);

/* Publish a class of this rank in its window, if there is one and it has room. */
void rri_resolver_publish(rri_resolver *all, const rri_class *klass);

/* The class of the object, if a call may go out now; else NULL, and it must be held. */
const rri_class *rri_resolved(rri_reference *reference);
static inline bool rri_is_resolved(const rri_reference *r)
{
    return atomic_load_explicit(&r->klass, memory_order_acquire)
           && !atomic_load_explicit(&rri_references_of(r)->resolver->open, memory_order_acquire);
}
/* Hold something until the class is known. It may run before this returns. */
void rri_resolve(rri_reference *reference, rri_held *held);
/* Wait for the class. TIMEOUT at the deadline; what the query came to; what rri_progress_wait says. */
int rri_resolve_wait(rri_reference *reference, int64_t deadline);

/* Wait for what something is held for: rri_resolve, or another that holds. */
int rri_held_wait(rri_reference *reference, int64_t deadline, void (*begin)(rri_reference *reference, rri_held *held));
/* Run something held, as inline callbacks run: it may not wait. klass NULL: the thread's last error says why. */
void rri_held_run(rri_calls *calls, rri_held *held, const rri_class *klass);

/* The class that a rank has by this name, if it was met before; else NULL. */
const rri_class *rri_resolver_named(rri_resolver *all, int owner, const char *name);
/* One string of the context's for each name; NULL without memory. */
const char *rri_resolver_intern(rri_resolver *all, const char *name);

#endif
