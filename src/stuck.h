/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Methods that have waited for long, without a deadline, for calls of their own: what cycles of waiting are made of. Only who has
 * waited for RREF_REPORT_AFTER is listed, so waiting costs no more for it.
 */
#ifndef RRI_STUCK_H
#define RRI_STUCK_H

#include "call.h"

/* A waiting method, on the stack of the thread that waits. */
struct rri_stuck {
    struct rri_stuck *next;
    const rref_call *call;          /* whose method waits; NULL: not listed */
    rri_future *future;             /* of the call that it waits for */
    uint64_t proven;                /* under the list's lock: the cycle that was proven from here last */
    unsigned looks;                 /* times that it was found waiting; said above at each power of 2, to be no sign of life */
};

/* What a method here waits for, for others to know. */
typedef struct rri_wait {
    uint64_t handle;                /* of the call waited for */
    int peer;                       /* the rank that owes the answer */
    int64_t age;                    /* ns since that call was made */
    char text[512];                 /* "a.f on rank 0 waits for b.g on rank 1, called at x.c:3, 61.2 s ago" */
} rri_wait;

/* The calling thread's method has waited for long for a future: list it, if that is a call without deadline, and say so. */
void rri_stuck_tell(rri_calls *calls, rri_stuck *stuck, const rref_call *call, rri_future *future);
void rri_stuck_over(rri_calls *calls, rri_stuck *stuck);

/* Why a call that has arrived here is not over: its method waits, or the one that occupies the object in whose queue it is. */
bool rri_stuck_find(rri_calls *calls, int caller, uint64_t id, rri_wait *wait);
/* The same for the method that waits for the call of that handle. */
bool rri_stuck_look(rri_calls *calls, uint64_t handle, rri_wait *wait);
/* A cycle of these waits, told apart by a hash, is proven; false if it was already: probes may overlap. */
bool rri_stuck_proven(rri_calls *calls, uint64_t handle, uint64_t cycle);
/* Fail that call; false if nobody waits for it any more. */
bool rri_stuck_break(rri_calls *calls, uint64_t handle, const rref_error *error);

#endif
