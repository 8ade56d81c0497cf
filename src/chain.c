/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns nothing but the links between buffers. */
#include "chain.h"

void rri_chain_append(rri_chain *chain, rri_buffer *buffer)
{
    buffer->next = NULL;
    if (chain->first) chain->last->next = buffer;
    else chain->first = buffer;
    chain->last = buffer;
}

rri_buffer *rri_chain_take(rri_chain *chain) { return chain->first ? rri_chain_take_behind(chain, NULL) : NULL; }

rri_buffer *rri_chain_take_behind(rri_chain *chain, rri_buffer *before)
{
    rri_buffer **at = before ? &before->next : &chain->first, *b = *at;
    *at = b->next;
    if (chain->last == b) chain->last = before;
    b->next = NULL;
    return b;
}

void rri_chain_drop(rri_chain *chain)
{
    for (rri_buffer *b; (b = rri_chain_take(chain));) {
        b->owes = false;
        rri_buffer_drop(b);
    }
}
