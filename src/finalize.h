/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of a context. */
#ifndef RRI_FINALIZE_H
#define RRI_FINALIZE_H

#include "context.h"

/* A context that has started: ended by MPI_Finalize if nobody does before. */
void rri_context_enlist(rref_context *context);

/* The process is told to end: tell what is not answered; or end the contexts as well as may be, without freeing anything, since
 * the application's threads go on. */
void rri_contexts_term(bool end);

/* Have MPI_Finalize end the contexts that are left. */
int rri_finalize_watch(void);

#endif
