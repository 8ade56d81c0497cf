/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages that have come and are not served yet: chaos takes any of them that is the first of its rank. */
#ifndef RRI_STASH_H
#define RRI_STASH_H

#include "chain.h"

typedef struct rri_stash {
    rri_chain chain;
    unsigned count;
} rri_stash;

bool rri_stash_full(const rri_stash *stash);
void rri_stash_put(rri_stash *stash, rri_buffer *buffer);
/* There is one. */
rri_buffer *rri_stash_take(rri_stash *stash);

#endif
