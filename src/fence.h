/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end of a context: when every rank has entered and nothing is on its way anywhere.
 *
 * Waves along a binary tree over the lanes: PROBE goes down, REPORT comes up with the sums of records sent and served and
 * whether all are idle. When two waves in a row find all idle and the same sums, equal to each other, nothing is left (the
 * four-counter method of F. Mattern, 1987), and LEAVE goes down. The first wave needs no PROBE: ranks report on entering.
 */
#ifndef RRI_FENCE_H
#define RRI_FENCE_H

#include "call.h"

typedef struct rri_fence {
    rri_calls *calls;
    rri_timers *timers;
    int rank, size;
    rri_lock lock;
    bool entered, probed, reported;     /* under the lock */
    unsigned children;                  /* reports of this wave still to come; under the lock */
    uint64_t sent, served, busy;        /* sums of this wave; under the lock */
    uint64_t last;                      /* root, under the lock: what the wave before found, or UINT64_MAX */
    uint64_t own;                       /* under the lock: control records this rank has sent */
    uint64_t seen;                      /* control records served */
    int64_t pause;                      /* root: until the next wave */
    rri_timer timer;
    rri_event left;                     /* set when all may leave */
} rri_fence;

void rri_fence_init(rri_fence *fence, rri_calls *calls, rri_timers *timers);
/* This rank has come to the end; wait for fence->left then. */
void rri_fence_enter(rri_fence *fence);
/* rri_calls_up.control */
void rri_fence_control(rri_fence *fence, int peer, const rri_record *record);
/* What this rank still has to do, as text for the report of a stalled end. */
void rri_fence_describe(rri_fence *fence, char *text, size_t size);

#endif
