/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fences, and the end of a context: when every rank has entered and nothing is left anywhere of what they wait for; a fence of
 * the work of one colour, the end of all.
 *
 * Waves along a binary tree over the lanes: PROBE goes down, REPORT comes up with the sums of records sent and served and
 * whether all are idle. When two waves in a row find all idle and the same sums, equal to each other, nothing is left (the
 * four-counter method of F. Mattern, 1987), and LEAVE goes down. The first wave needs no PROBE: ranks report on entering.
 *
 * The tree is of the ranks that are not lost. Who learns of a loss begins the first wave anew in the new tree, and asks its
 * children there, since they may have left already; records say of how many losses their sender knew (its view), for which
 * fence they are (serial) and in which wave. Before a record goes to a rank that rank is told of the losses its sender knows,
 * so whoever takes one knows as many, and equal views are of the same losses. Who has left answers records of that fence with
 * LEAVE; who gets a record of the next one knows that it may leave.
 *
 * Who sees no sign of life anywhere for the stall limit gives up. Signs are records served, and a process that uses CPU while
 * calls run there, unless it has given up; REPORT tells how long ago the last one was, below, and PROBE how long ago anywhere.
 *
 * The first fence after a loss has more parts, each passed like a fence, and then what the lost ranks held is written off
 * (estate.h). Whether there are more, and how each has ended, all know alike: who leaves is told with LEAVE, or by whoever has
 * left already.
 *
 *   PLAIN --a loss not written off--> STILL --nothing went on anywhere--> STOCK --nothing since--> AFTER --> PLAIN, over
 *                                       +---something did: at the next fence---------+--------------------^
 *
 *   STILL waits for a moment in which nothing goes on, of whatever colour, a quarter of a second at most from when all ranks are
 *   there; then each takes stock. STOCK ends like it, and is good if nothing was sent in between but that. AFTER is for the
 *   destructors.
 *
 *   out --enter--> entered --LEAVE--> out      A rank is ready for the next fence before it passes LEAVE on, so reports of the
 *                                              next one never meet one that is under way.
 */
#ifndef RRI_FENCE_H
#define RRI_FENCE_H

#include "call.h"

typedef enum rri_fence_kind { RRI_FENCE, RRI_END } rri_fence_kind;
typedef enum rri_fence_stage { RRI_PLAIN, RRI_STILL, RRI_STOCK, RRI_AFTER } rri_fence_stage;

/* How a fence, or a part of one, has ended. */
typedef struct rri_passed {
    uint64_t sent;                      /* records, by then, as far as it counts them */
    uint32_t losses;                    /* known to all */
    uint32_t good;                      /* all was still, or stock is; else it was given up */
} rri_passed;

typedef struct rri_fence {
    rri_calls *calls;
    rri_timers *timers;
    int64_t stall;                      /* i: ns without a sign of life that are borne, or RRI_NEVER */
    atomic_bool inside;                 /* a: a thread is in rri_fence_pass, or SIGTERM has the context ended */
    bool under_way;                     /* that thread's: entered, and not seen the end */
    uint64_t number;                    /* that thread's: of whole fences that this rank has begun */
    uint64_t plain;                     /* that thread's: which of them rref_fence has begun last */
    struct rri_estate *estate;          /* i: what is written off after losses, or NULL */
    uint32_t written;                   /* that thread's: losses after which that was done */
    uint64_t stock;                     /* set before it enters: records that tell what is held here, or more than there can be */
    rri_lock lock;                      /* lock order: this one, then a lane's or the estate's */
    rri_fence_kind kind;                /* under the lock: what this rank has entered */
    rri_fence_stage stage;              /* under the lock, by that thread */
    unsigned colour;                    /* under the lock: of the work that is waited for */
    rri_passed passed;                  /* under the lock: of the last one that was left */
    int *living;                        /* under the lock: the ranks that are not lost, in order */
    int count, place;                   /* under the lock: how many; where this rank stands */
    uint32_t view, serial, wave;        /* under the lock */
    bool entered, reported;             /* under the lock */
    unsigned children;                  /* under the lock: reports of this wave still to come */
    int stray[2];                       /* under the lock: a child that has entered that kind, or -1 */
    uint64_t sent, served, busy, told;  /* under the lock: sums of this wave */
    int64_t begun;                      /* under the lock: when this rank entered */
    int64_t life;                       /* under the lock: last sign of life anywhere that is known here */
    bool away;                          /* under the lock: who entered has given up, so far */
    int64_t looked, cpu;                /* under the lock: when CPU time was looked at, and what it was */
    uint64_t done;                      /* under the lock: records served when they were looked at */
    uint64_t last;                      /* root, under the lock: what the wave before found, or UINT64_MAX */
    int64_t gathered;                   /* root, under the lock: when the first wave was over, so that all had entered */
    int64_t pause;                      /* root: until the next wave */
    rri_timer timer;
    rri_event left;                     /* set when all may leave */
} rri_fence;

int rri_fence_open(rri_fence *fence, rri_calls *calls, rri_timers *timers, int64_t stall);
void rri_fence_close(rri_fence *fence);
/* A rank is lost: what is under way begins anew without it. Driver only. */
void rri_fence_lose(rri_fence *fence, int rank);
/* Wait, with all other ranks, for what was made before: OK; TIMEOUT after `limit` ns, and then calling again goes on with the
 * same fence; STALLED; STATE from handlers, and while another thread is here.
 * All ranks begin the same fences in the same order, so what is under way for another caller ends first. own: the number of the
 * caller's fence, 0 before it has begun; that is passed once, whoever sees its end. NULL: of rref_fence, which begins a new one
 * when the last is over. */
int rri_fence_pass(rri_fence *fence, uint64_t *own, int64_t limit);
/* Whether this thread may come to a fence: OK or STATE. */
int rri_fence_may(rri_fence *fence);
/* The same for everything, once, at the end: OK or STALLED. */
int rri_fence_end(rri_fence *fence, int64_t limit);
/* Mark the ranks that a fence under way waits for. */
void rri_fence_await(rri_fence *fence, bool *ranks);
/* After the end, alone: how long ago this rank's last sign of life was. */
int64_t rri_fence_quiet(rri_fence *fence);
/* rri_calls_up.control */
void rri_fence_control(rri_fence *fence, int peer, const rri_record *record);

#endif
