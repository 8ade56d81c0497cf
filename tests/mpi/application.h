/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program of the kind that the library joins, with much MPI of its own and none of the library: a heat equation whose halos
 * are exchanged by messages, collectives of all shapes, one-sided windows, threads that send to each other's like, OpenMP.
 * What it computes is the same in every run, to the last bit.
 */
#ifndef APPLICATION_H
#define APPLICATION_H

#include <stdint.h>

/* Sums of all bits of what its parts have computed; 0 where there is no such part, here or in this MPI. */
typedef struct application_result {
    uint64_t heat;                  /* the field, and all residuals on the way */
    uint64_t collectives;
    uint64_t window;
    uint64_t threads;
} application_result;

/* Collective over MPI_COMM_WORLD; threaded: MPI lets more than one thread call it. */
application_result application_run(int threaded);

#endif
