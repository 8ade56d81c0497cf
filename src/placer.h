/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The placer puts the library's threads where rri_seat_choose or RREF_CORES says. Reading the machine takes some ms, so it
 * is done a while after the start by a thread of its own, once in a process; programs that end before that do without.
 */
#ifndef RRI_PLACER_H
#define RRI_PLACER_H

#include "clock.h"
#include "progress.h"
#include "seat.h"

typedef struct rri_placer {
    rri_progress *progress;         /* i */
    rri_timers *timers;             /* i */
    rri_timer timer;
    rri_seat *seats;                /* i: of the ranks of this node; given up with the choice */
    int ranks, me;                  /* i */
    pthread_mutex_t lock;
    bool chosen;                    /* under the lock, as is what follows */
    bool running, over;
    rri_choice choice;
    pthread_t thread;
} rri_placer;

/* Whether RREF_CORES is as it should be, and names CPUs that this process may use. Errors: OPTION, SYSTEM, through rri_fail. */
int rri_placer_check(const char *cores);

/* What the ranks of this node told each other becomes the placer's, from rri_alloc; `me` is this rank's place among them. */
void rri_placer_init(rri_placer *placer, rri_seat *seats, int ranks, int me);
/* Place at once what needs no map, the rest later. Before the threads start, and not at all without it. */
void rri_placer_start(rri_placer *placer, rri_progress *progress, rri_timers *timers, const char *cores);
/* The choice, made now if it was not made yet, as text. Any thread. */
void rri_placer_format(rri_placer *placer, char *buffer, size_t size);
/* Whether the rank has but one core, which its threads share with the application. */
bool rri_placer_single(rri_placer *placer);
/* Nothing is placed any more. Before the threads end. */
void rri_placer_stop(rri_placer *placer);
void rri_placer_close(rri_placer *placer);

#endif
