/* SPDX-License-Identifier: BSD-3-Clause */
/* The host: the MPI library that this one lives in. What it is, whether it can be used, and its end. */
#ifndef RRI_HOST_H
#define RRI_HOST_H

#include <rref.h>

/* Whether a context can be opened over comm now; gives the thread level. Errors: STATE, ARGUMENT. */
int rri_host_usable(MPI_Comm comm, int *level);

/* Have a function called at the beginning of MPI_Finalize, while all of MPI works. Once for a process: called by the threads
 * that may call MPI, one rref_init after another; later calls change nothing. */
int rri_host_at_finalize(void (*function)(void));

/* Whether MPI then still takes more than one thread. */
bool rri_host_threaded_at_finalize(void);

/* Whether the job may go on when a rank is lost. A window over such a rank hangs MPI_Finalize of the others. */
bool rri_host_survives(void);

typedef MPI_Op rri_op;

/* Whether an operation can be applied to elements of a type: OK or SIGNATURE. The application's own always can. */
int rri_host_reducible(rri_op op, rref_type element);
/* inout = in op inout, element by element. */
int rri_host_reduce(rri_op op, rref_type element, const void *in, void *inout, size_t count);

/* Constant strings: the library's version in one line, the standard's, and the name of a thread level. */
const char *rri_host_library(void);
const char *rri_host_standard(void);
const char *rri_host_level_name(int level);

#endif
