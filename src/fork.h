/* SPDX-License-Identifier: BSD-3-Clause */
/* Forked children: their threads, shared memory and MPI are not theirs, so nothing of the library works there. */
#ifndef RRI_FORK_H
#define RRI_FORK_H

#include <stdbool.h>

extern bool rri_in_child;       /* written before the child has a second thread */

/* From now on children know what they are. Returns 0 or RREF_ERR_SYSTEM through rri_fail. */
int rri_fork_watch(void);

/* Whether this is a child; then RREF_ERR_FORKED is the thread's error. */
bool rri_fork_refused(void);

static inline bool rri_forked(void) { return __builtin_expect(rri_in_child, false) && rri_fork_refused(); }

#endif
