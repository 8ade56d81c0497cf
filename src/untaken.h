/* SPDX-License-Identifier: BSD-3-Clause */
/* What the ranks of this node have been told of and may not have taken: MPI may still hold it back here. */
#ifndef RRI_UNTAKEN_H
#define RRI_UNTAKEN_H

#include "doorbell.h"

#include <stdatomic.h>
#include <stdint.h>

typedef struct rri_untaken {
    atomic_uint *announced;         /* messages, by local number: written by the one sender to it */
    atomic_uint *taken;             /* how many of them are known to be; the neighbour's own count may say more */
    _Atomic uint64_t *spoken;       /* bits of those for whom the two may differ */
    _Atomic uint64_t *lost;         /* bits of those who take nothing more */
    int count;                      /* of neighbours: as many as there is room for, or fewer */
} rri_untaken;

/* With room for so many neighbours. False: no memory; to be closed all the same. */
bool rri_untaken_open(rri_untaken *untaken, int count);
void rri_untaken_close(rri_untaken *untaken);

/* One more message has been given to MPI: ring for it. */
void rri_untaken_announce(rri_untaken *untaken, rri_doorbell *bell, int to, bool urgent);

/* How many there were so far; and all up to that many are known to be taken. */
static inline unsigned rri_untaken_announced(const rri_untaken *untaken, int to)
{
    return atomic_load_explicit(&untaken->announced[to], memory_order_acquire);
}
static inline void rri_untaken_settle(rri_untaken *untaken, int to, unsigned announced)
{
    atomic_store_explicit(&untaken->taken[to], announced, memory_order_relaxed);
}

/* It takes nothing more, and nothing is expected of it. */
void rri_untaken_write_off(rri_untaken *untaken, int to);
bool rri_untaken_is_lost(const rri_untaken *untaken, int to);

/* Whether anybody has not taken all. As long as few have been spoken to lately, this looks at those alone. */
bool rri_untaken_any(const rri_untaken *untaken, const rri_doorbell *bell);

#endif
