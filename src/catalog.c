/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the layout of catalogs. What a copy says of places and sizes is believed only within its bounds. */
#include "catalog.h"

#include <stdatomic.h>
#include <string.h>

enum { MAGIC = 0x52524643 };

typedef struct head {
    uint32_t magic, size;
    _Atomic uint64_t used;      /* a: released behind the entry it covers */
} head;

typedef struct entry {
    uint64_t id, bytes;
} entry;

static uint64_t padded(uint64_t bytes) { return (bytes + 7) & ~UINT64_C(7); }

void rri_catalog_make(void *memory, size_t size)
{
    head *h = memory;
    memset(memory, 0, size);
    h->size = (uint32_t)size;
    atomic_store_explicit(&h->used, sizeof *h, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    h->magic = MAGIC;
}

bool rri_catalog_add(void *memory, uint64_t id, const void *bytes, size_t count)
{
    head *h = memory;
    uint64_t used = atomic_load_explicit(&h->used, memory_order_relaxed);
    entry e = { id, count };
    if (count > h->size || used + sizeof e + padded(count) > h->size) return false;
    char *at = (char *)memory + used;
    memcpy(at, &e, sizeof e);
    memcpy(at + sizeof e, bytes, count);
    atomic_store_explicit(&h->used, used + sizeof e + padded(count), memory_order_release);
    return true;
}

static bool sound(const head *h, uint64_t used)
{
    return h->magic == MAGIC && used >= sizeof *h && used <= h->size && used % 8 == 0;
}

rri_catalog_find rri_catalog_look(const void *copy, size_t have, uint64_t id, const void **bytes, size_t *count)
{
    const head *h = copy;
    if (have < sizeof *h) return RRI_CATALOG_TORN;
    uint64_t used = atomic_load_explicit(&h->used, memory_order_relaxed), at = sizeof *h;
    if (!sound(h, used)) return RRI_CATALOG_TORN;
    while (at + sizeof(entry) <= have && at < used) {
        const entry *e = (const void *)((const char *)copy + at);
        if (used - at < sizeof *e || e->bytes > used - at - sizeof *e) return RRI_CATALOG_TORN;
        uint64_t end = at + sizeof *e + padded(e->bytes);
        if (end > used) return RRI_CATALOG_TORN;
        if (e->id == id && end <= have) {
            *bytes = e + 1;
            *count = (size_t)e->bytes;
            return RRI_CATALOG_FOUND;
        }
        at = end;
    }
    if (used <= have) return RRI_CATALOG_ABSENT;
    *count = (size_t)used;
    return RRI_CATALOG_MORE;
}
