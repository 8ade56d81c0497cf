/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A tool on top of MPI, of the kind that profilers are: it has MPI's functions under their own names, counts, and goes on to
 * MPI's by their second names (PMPI). A program linked with it has all calls counted, the library's too.
 */
#ifndef TALLY_H
#define TALLY_H

#include <stdint.h>

/* The collective functions that are counted, each by itself, and messages together. */
#define TALLY_COLLECTIVES(X) \
    X(Barrier) X(Bcast) X(Gather) X(Gatherv) X(Scatter) X(Allgather) X(Allgatherv) X(Alltoall) X(Alltoallv) X(Reduce) \
    X(Allreduce) X(Reduce_scatter_block) X(Scan) X(Ibarrier) X(Ibcast) X(Iallreduce) X(Iallgather) \
    X(Ireduce_scatter_block) X(Comm_dup) X(Comm_idup) X(Comm_split) X(Comm_split_type) X(Comm_create) X(Comm_free) \
    X(Cart_create) X(Win_create) X(Win_allocate) X(Win_allocate_shared) X(Win_create_dynamic) X(Win_free) X(Win_fence)

#define TALLY_KIND(name) TALLY_##name,
enum { TALLY_COLLECTIVES(TALLY_KIND) TALLY_MESSAGES, TALLY_KINDS };

/* The calls made so far; names of the kinds. */
typedef struct tally { uint64_t calls[TALLY_KINDS]; } tally;
tally tally_now(void);
extern const char *const tally_names[TALLY_KINDS];

#endif
