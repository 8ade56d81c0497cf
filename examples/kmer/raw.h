/* SPDX-License-Identifier: BSD-3-Clause */
/* The same count in plain MPI, to compare with: what one would write by hand to be fast. */
#ifndef KMER_RAW_H
#define KMER_RAW_H

#include <mpi.h>

#include "sequence.h"
#include "table.h"

/*
 * Count the k-mers of every rank's part, each in the table of the rank that it belongs to. Collective. Without memory
 * the job is aborted.
 */
void raw_count(MPI_Comm comm, const sequence *part, int k, table *t, progress *shown);

#endif
