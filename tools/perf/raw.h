/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What raw MPI does with the same bytes on the same communicator, the library idle. Both ranks call; what they give is for
 * rank 0. Each runs a tenth of its messages beforehand, to be warm.
 */
#ifndef PERF_RAW_H
#define PERF_RAW_H

#include "bench.h"
#include "sample.h"

/* What goes round: `there` bytes to rank 1 out of data, `back` bytes of it into result. */
typedef struct raw_bytes {
    char *data, *result;
    size_t there, back;
    bool strided;               /* what goes there is one item of this type, that lies in data; it arrives as bytes */
    MPI_Datatype type;
    bool handed_over;           /* rank 1 answers from another thread, as a worker would: two hand-overs by futex */
} raw_bytes;

/* Seconds of one round trip; Send and Recv. The single ones, in us, are added to times unless that is NULL. */
double raw_exchange(bench *b, const raw_bytes *bytes, size_t n, sample *times);

/* Calls a second with `out` of them under way: Send, and Wait on the oldest of as many receives; an echo on a ring. */
double raw_ring(bench *b, size_t out, size_t n);

/* Messages a second that are received; blocks of 64 Isend and Waitall. */
double raw_stream(bench *b, size_t n);

#endif
