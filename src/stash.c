/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the choice among messages that have come. */
#include "stash.h"
#include "chaos.h"

enum { ROOM = 8 };

bool rri_stash_full(const rri_stash *stash) { return stash->count >= ROOM; }

void rri_stash_put(rri_stash *stash, rri_buffer *buffer)
{
    rri_chain_append(&stash->chain, buffer);
    stash->count++;
}

/* Whether no message before it came from the same rank. */
static bool leads(const rri_buffer *first, const rri_buffer *b)
{
    while (first != b && first->peer != b->peer) first = first->next;
    return first == b;
}

rri_buffer *rri_stash_take(rri_stash *stash)
{
    rri_buffer *before = NULL, *at = stash->chain.first;
    unsigned skip = rri_chaos_pick(RRI_CHAOS_REORDER, stash->count);
    for (; skip && at->next; skip--, at = at->next)
        if (leads(stash->chain.first, at->next)) before = at;
    stash->count--;
    return rri_chain_take_behind(&stash->chain, before);
}
