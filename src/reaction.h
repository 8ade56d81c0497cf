/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Reactions: what is done when a future completes, the application's callbacks and the library's own. They run when all that a
 * message answers is complete; those that complete further futures have their reactions run at once, some deep, and then in turn.
 */
#ifndef RRI_REACTION_H
#define RRI_REACTION_H

#include "future.h"

struct rri_reaction {
    rri_reaction *next;
    void (*run)(rri_reaction *reaction, rri_future *future);
    bool at_once;           /* on whoever completes; else on a library thread, as are all after it */
};

/* Taken over, and freed when it has run; on a complete future it runs now. */
void rri_future_react(rri_future *future, rri_reaction *reaction);
/* The future is complete: those that are there. */
void rri_reactions_run(rri_future *future, unsigned colour);

#endif
