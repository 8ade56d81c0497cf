/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Chaos, for tests: what a machine does on its worst days, on any day (RREF_CHAOS). A place in the library that can be disturbed
 * asks whether it is to be; whatever the answer, it may do nothing that could not happen without.
 */
#ifndef RRI_CHAOS_H
#define RRI_CHAOS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The names of these are the words of RREF_CHAOS. */
typedef enum rri_chaos_kind {
    RRI_CHAOS_DELAY,            /* messages wait at their sender, up to 300 us; none overtakes another to the same rank */
    RRI_CHAOS_REORDER,          /* messages of different ranks are taken out of turn */
    RRI_CHAOS_STARVE,           /* few credits, and those go back late */
    RRI_CHAOS_LATE,             /* classes miss the window, or are read in the middle of being written */
    RRI_CHAOS_SLOW,             /* the driver naps */
    RRI_CHAOS_SPURIOUS,         /* sleepers wake up for nothing */
    RRI_CHAOS_TIMEOUT,          /* waits of at most 10 ms are over at once */
    RRI_CHAOS_WEIGHT,           /* objects have little weight to give away */
    RRI_CHAOS_BUFFER,           /* buffers, rings and limits are tiny */
    RRI_CHAOS_KINDS
} rri_chaos_kind;

enum { RRI_CHAOS_HOLD_NS = 300000, RRI_CHAOS_SHORT_NS = 10000000 };

typedef struct rri_chaos_plan {
    uint64_t seed;
    unsigned kinds;             /* a bit for each; 0: no chaos */
} rri_chaos_plan;

/* Read "seed:NUMBER[,KIND]...", without kinds all of them; NULL, "" and "off" are none. Returns 0, or RREF_ERR_OPTION through
 * rri_fail. */
int rri_chaos_read(const char *text, rri_chaos_plan *plan);

/* Follow a plan from now on. It is the process's: once there is chaos it stays, whatever later contexts say. */
void rri_chaos_begin(const rri_chaos_plan *plan, int rank);

/* What ranks compare: 0 without chaos. */
uint64_t rri_chaos_signature(void);

extern atomic_uint rri_chaos_kinds;     /* of the plan in force; written at the start of a context */

static inline bool rri_chaos_on(void)
{
    return __builtin_expect(atomic_load_explicit(&rri_chaos_kinds, memory_order_relaxed) != 0, 0);
}

/* The next decision of this rank about a kind. The n-th is the same in every run with the seed; what it falls on is a matter of
 * the threads' timing. */
bool rri_chaos_decide(rri_chaos_kind kind);
static inline bool rri_chaos(rri_chaos_kind kind) { return rri_chaos_on() && rri_chaos_decide(kind); }

/* A number below `below`, 0 if that kind is not in force; next by next, or the one of its name that all ranks have. */
unsigned rri_chaos_pick(rri_chaos_kind kind, unsigned below);
unsigned rri_chaos_agreed(rri_chaos_kind kind, unsigned name, unsigned below);
bool rri_chaos_has(rri_chaos_kind kind);

/* Lose up to that time, if the kind says so. */
void rri_chaos_nap(rri_chaos_kind kind, unsigned ns);

#endif
