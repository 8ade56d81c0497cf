/* SPDX-License-Identifier: BSD-3-Clause */
/* The same call again: most calls of a loop differ from the one before in their numbers alone, and go the way that was found for
 * it. */
#ifndef RRI_AGAIN_H
#define RRI_AGAIN_H

#include "reference.h"

/* How a thread has made a call lately: from this place, through this reference, of this method, by number or name (NULL: by
 * number). NULL if it has not, if anything has changed since, or if the values are not just numbers that fit. */
const rri_run *rri_again(rref target, uint64_t method, const char *name, const rref_value *values, size_t count, const char *site,
                         rri_mode mode);

/* A call was made so, without a limit of time: a sync one to another rank, or one that runs. */
void rri_again_remember(const rri_reference *reference, const rri_target *target, const char *site, rri_mode mode);

#endif
