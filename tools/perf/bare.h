/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bare thread of rank 1, that sleeps on a bell in memory shared with rank 0 and answers by MPI after some work: what
 * calls cost at least where the owner's main is not there to answer. Needs one node.
 */
#ifndef PERF_BARE_H
#define PERF_BARE_H

#include "bench.h"

typedef struct bare bare;

#define BARE_NEEDS "the ranks are on different nodes: no thread can be woken by shared memory"

/* Collective over the two. */
bare *bare_open(bench *b);
void bare_close(bare *one);

/* Rank 0: ring, send 8 bytes and receive them again; the thread has done so many units of work. One at a time. */
void bare_call(bare *one, uint64_t units);

#endif
