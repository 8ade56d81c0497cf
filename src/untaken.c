/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the counts of messages to neighbours. Who announces one stores the count, and behind the ring, which is a barrier, looks
 * whether its neighbour's bit is set; who clears a bit then looks at the count once more. So no message is announced whose bit
 * stays clear.
 */
#include "untaken.h"
#include "chaos.h"
#include "memory.h"

#include <stdlib.h>

enum {
    WORD = 64,
    FEW = 4,                        /* bits that are left set, though all is taken: the next message is often for the same */
    NAP_NS = 50000
};

static size_t words_of(int count) { return ((size_t)count + WORD - 1) / WORD; }

bool rri_untaken_open(rri_untaken *u, int count)
{
    u->count = count;
    u->announced = rri_calloc((size_t)count, sizeof *u->announced);
    u->taken = rri_calloc((size_t)count, sizeof *u->taken);
    u->spoken = rri_calloc(words_of(count), sizeof *u->spoken);
    u->lost = rri_calloc(words_of(count), sizeof *u->lost);
    return u->announced && u->taken && u->spoken && u->lost;
}

void rri_untaken_close(rri_untaken *u)
{
    free(u->announced);
    free(u->taken);
    free(u->spoken);
    free(u->lost);
}

static uint64_t bit_of(int to) { return UINT64_C(1) << to % WORD; }

void rri_untaken_announce(rri_untaken *u, rri_doorbell *bell, int to, bool urgent)
{
    unsigned n = atomic_load_explicit(&u->announced[to], memory_order_relaxed);
    atomic_store_explicit(&u->announced[to], n + 1, memory_order_release);
    rri_doorbell_ring(bell, to, urgent);
    if (atomic_load(&u->spoken[to / WORD]) & bit_of(to)) return;
    atomic_fetch_or(&u->spoken[to / WORD], bit_of(to));
}

void rri_untaken_write_off(rri_untaken *u, int to) { atomic_fetch_or(&u->lost[to / WORD], bit_of(to)); }
bool rri_untaken_is_lost(const rri_untaken *u, int to) { return atomic_load(&u->lost[to / WORD]) & bit_of(to); }

/* The neighbour's count lies in its memory, and is looked at when there is no other way to know. */
static bool has_taken_all(const rri_untaken *u, const rri_doorbell *bell, int to)
{
    unsigned announced = rri_untaken_announced(u, to);
    if (announced == atomic_load_explicit(&u->taken[to], memory_order_relaxed)) return true;
    if (announced != rri_doorbell_handled_by(bell, to)) return false;
    atomic_store_explicit(&u->taken[to], announced, memory_order_relaxed);
    return true;
}

static void forget(const rri_untaken *u, const rri_doorbell *bell, int to)
{
    _Atomic uint64_t *word = &u->spoken[to / WORD];
    rri_chaos_nap(RRI_CHAOS_SLOW, NAP_NS);
    atomic_fetch_and(word, ~bit_of(to));
    if (!has_taken_all(u, bell, to)) atomic_fetch_or(word, bit_of(to));
}

bool rri_untaken_any(const rri_untaken *u, const rri_doorbell *bell)
{
    for (int first = 0; first < u->count; first += WORD) {
        uint64_t lost = atomic_load_explicit(&u->lost[first / WORD], memory_order_relaxed);
        uint64_t left = atomic_load_explicit(&u->spoken[first / WORD], memory_order_acquire) & ~lost;
        for (unsigned n = 0; left; left &= left - 1, n++) {
            int to = first + __builtin_ctzll(left);
            if (!has_taken_all(u, bell, to)) return true;
            if (n >= FEW) forget(u, bell, to);
        }
    }
    return false;
}
