/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns what threads keep for their next sync calls, a future for each of a few contexts, and knows which contexts there are: a
 * serial that is in force says that its context's table is there. A thread that ends gives back what it has.
 */
#include "lone.h"
#include "error.h"
#include "spare.h"

#include <pthread.h>

enum { KEPT = 4 };

typedef struct kept {
    uint64_t serial;                    /* of the context; what else is here is worth nothing when that is over */
    rri_future *future;                 /* or NULL: it is in use */
    rri_futures *all;
} kept;

static RRI_THREAD_LOCAL kept mine[KEPT];
static rri_lock lock;
_Atomic uint64_t rri_in_force[RRI_CONTEXTS];     /* changed under the lock */
static uint64_t last;                           /* under the lock */
static pthread_key_t key;
static bool has_key;                            /* under the lock */

static unsigned number_of(const rri_futures *all) { return (unsigned)(all->table.tag >> 52) % RRI_CONTEXTS; }

static bool is_over(const kept *k) { return !rri_lone_in_force(k->serial); }

/* The calling thread ends: no context may end meanwhile. */
static void give_all(void *unused)
{
    (void)unused;
    rri_lock_take(&lock);
    rri_spares_end();
    for (kept *k = mine; k < mine + KEPT; k++) {
        if (!k->future || is_over(k)) continue;
        rri_table_remove(&k->all->table, k->future);
        atomic_fetch_sub(&k->all->spare, 1);
        k->future = NULL;
    }
    rri_lock_give(&lock);
}

int rri_lone_know(rri_futures *all)
{
    rri_lock_take(&lock);
    if (!has_key) has_key = pthread_key_create(&key, give_all) == 0;
    bool good = has_key;
    if (good) {
        all->serial = ++last * RRI_CONTEXTS + number_of(all);
        atomic_store(&rri_in_force[number_of(all)], all->serial);
    }
    rri_lock_give(&lock);
    return good ? RREF_OK : rri_fail(RREF_ERR_SYSTEM, "no key for what threads keep");
}

void rri_lone_forget(rri_futures *all)
{
    rri_lock_take(&lock);
    atomic_store(&rri_in_force[number_of(all)], 0);
    rri_lock_give(&lock);
}

bool rri_lone_ends_with_thread(void) { return pthread_setspecific(key, mine) == 0; }

static void count(void *item, void *n)
{
    (void)item;
    ++*(unsigned *)n;
}

unsigned rri_lone_others(rri_futures *all)
{
    unsigned n = 0;
    rri_table_look(&all->table, count, &n);
    return n - atomic_load(&all->spare);
}

rri_future *rri_lone_new(rri_futures *all, const rri_types *types, const char *site)
{
    kept *k = &mine[number_of(all) % KEPT];
    rri_future *f = k->serial == all->serial ? k->future : NULL;
    if (f) {
        k->future = NULL;
        if (rri_future_renew(f, types, site)) return f;
        atomic_fetch_sub(&all->spare, 1);
        k->serial = 0;
        rri_future_drop(f);
    }
    f = rri_future_new(all, types, site);
    if (!f) return NULL;
    f->lone = f->quiet = true;
    atomic_store_explicit(&f->held, 0, memory_order_relaxed);
    return f;
}

/* Nobody may hold it but the caller: a late answer would meet the next call. */
static bool can_stay(const rri_future *f, const kept *k)
{
    return atomic_load_explicit(&f->refs, memory_order_acquire) == 1 && !f->timed
           && (k->serial == f->all->serial ? !k->future : is_over(k));
}

void rri_lone_end(rri_future *f)
{
    rri_futures *all = f->all;
    kept *k = &mine[number_of(all) % KEPT];
    if (!can_stay(f, k)) {
        if (k->serial == all->serial && !k->future) {   /* the one that was kept */
            k->serial = 0;
            atomic_fetch_sub(&all->spare, 1);
        }
        rri_future_drop(f);
        return;
    }
    rri_future_empty(f);
    k->future = f;
    if (k->serial == all->serial) return;
    *k = (kept){ all->serial, f, all };
    atomic_fetch_add(&all->spare, 1);
    rri_lone_ends_with_thread();
}
