/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Futures that a thread keeps for its next async calls, of those whose way is known: the table of all is not asked for each, nor
 * its lock. They are out of use meanwhile.
 */
#ifndef RRI_SPARE_H
#define RRI_SPARE_H

#include "future.h"

/* A pending future with one count, to be kept when it is over; NULL through rri_fail. */
rri_future *rri_spare_new(rri_futures *all, const rri_types *types, const char *site);
/* The last count is gone, and it has nothing of its own. False: there is no place for it. */
bool rri_spare_keep(rri_future *future);
/* The calling thread ends: what it keeps goes back. No context ends meanwhile. */
void rri_spares_end(void);

#endif
