/* SPDX-License-Identifier: BSD-3-Clause */
/* Chains of buffers, first in, first out; zeros are an empty one. Whoever has a chain keeps others from it. */
#ifndef RRI_CHAIN_H
#define RRI_CHAIN_H

#include "pool.h"

typedef struct rri_chain { rri_buffer *first, *last; } rri_chain;

void rri_chain_append(rri_chain *chain, rri_buffer *buffer);
/* The first one, or NULL. */
rri_buffer *rri_chain_take(rri_chain *chain);
/* The one behind another of the chain, which is there; NULL: the first. */
rri_buffer *rri_chain_take_behind(rri_chain *chain, rri_buffer *before);
/* All are dropped, and owe nothing. */
void rri_chain_drop(rri_chain *chain);

#endif
