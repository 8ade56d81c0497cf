/* SPDX-License-Identifier: BSD-3-Clause */
/* Dealing a sequence out to the ranks, in plain MPI. */
#ifndef KMER_SHARE_H
#define KMER_SHARE_H

#include <mpi.h>

#include "sequence.h"

/*
 * Give each rank its part of a sequence that rank 0 holds. Collective. Parts overlap by k - 1 bases, so that each k-mer
 * of the whole lies in exactly one of them.
 *
 * `whole` counts on rank 0 only; an empty one says that there is nothing to share, and everybody gets -1. Otherwise
 * 0; then *total is the length of the whole, everywhere. On rank 0 the part lies in the whole; elsewhere free its code.
 */
int share_sequence(MPI_Comm comm, const sequence *whole, int k, sequence *part, size_t *total);

/* A barrier that leaves the cores to those who are still busy. */
void share_wait(MPI_Comm comm);

#endif
