/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays whose elements lie where an MPI datatype says. */
#ifndef RRI_STRIDED_H
#define RRI_STRIDED_H

#include "value.h"

#include <mpi.h>

/* A segment's datatype, and how many items of it the segment has. */
MPI_Datatype rri_strided_type(const rri_segment *segment);
size_t rri_strided_items(const rri_segment *segment);

#endif
