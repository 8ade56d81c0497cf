/* SPDX-License-Identifier: BSD-3-Clause */
/* A hash table that only grows, by one exchange a place, and is full when ORIGIN_TRIES places in a row are. */
#include "origin.h"
#include "memory.h"

#include <stdlib.h>

enum { ORIGIN_TRIES = 8 };

void rri_origins_free(rri_origins *all)
{
    for (size_t i = 0; i < RRI_ORIGINS; i++) {
        rri_origin *origin = atomic_load_explicit(&all->place[i], memory_order_relaxed);
        if (origin) free(origin);           /* most are not, and a sanitizer looks at each free */
    }
}

static bool same(const rri_origin *a, const rri_origin *b)
{
    return a->site == b->site && a->by_class == b->by_class && a->by_method == b->by_method;
}

static unsigned hash_of(const rri_origin *o)
{
    uint64_t h = ((uintptr_t)o->site * UINT64_C(0x9e3779b97f4a7c15)) ^ (uintptr_t)o->by_method ^ ((uintptr_t)o->by_class << 32);
    return (unsigned)((h * UINT64_C(0x9e3779b97f4a7c15)) >> 52);
}

/* The place of an origin in the list, if it can have one: 0 is none. What is in a place stays there. */
unsigned rri_origin_number(rri_origins *all, rri_origin origin)
{
    unsigned h = hash_of(&origin);
    if (!origin.site && !origin.by_class) return 0;
    for (unsigned i = 0; i < ORIGIN_TRIES; i++, h = (h + 1) % RRI_ORIGINS) {
        rri_origin *there = h ? atomic_load_explicit(&all->place[h], memory_order_acquire) : NULL;
        if (there && same(there, &origin)) return h;
        rri_origin *fresh = h && !there ? rri_malloc(sizeof *fresh) : NULL;
        if (!fresh) continue;
        *fresh = origin;
        if (atomic_compare_exchange_strong(&all->place[h], &there, fresh)) return h;
        free(fresh);
        if (same(there, &origin)) return h;
    }
    return 0;
}
