/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the count of requests, and the count down to the one that fails: 0 when off, and then all it costs is to be looked at. */
#include "memory.h"
#include "sync.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint left;
static _Atomic uint64_t requests;

static bool refused(void)
{
    unsigned n = atomic_load_explicit(&left, memory_order_relaxed);
    atomic_fetch_add_explicit(&requests, 1, memory_order_relaxed);
    while (n && !atomic_compare_exchange_weak(&left, &n, n - 1)) continue;
    return n == 1;
}

void rri_memory_fail(unsigned n) { atomic_store(&left, n); }
uint64_t rri_memory_requests(void) { return atomic_load_explicit(&requests, memory_order_relaxed); }
bool rri_memory_armed(void) { return atomic_load(&left) != 0; }

void *rri_malloc(size_t bytes) { return refused() ? NULL : malloc(bytes); }
void *rri_calloc(size_t count, size_t bytes) { return refused() ? NULL : calloc(count, bytes); }
void *rri_realloc(void *memory, size_t bytes) { return refused() ? NULL : realloc(memory, bytes); }
char *rri_strdup(const char *text) { return refused() ? NULL : strdup(text); }
void *rri_aligned_alloc(size_t align, size_t bytes) { return refused() ? NULL : aligned_alloc(align, bytes); }

static rri_lock kept_lock;
static struct kept { struct kept *next; void *memory; } *kept;      /* so that no tool takes it for lost */

void rri_never_free(void *memory)
{
    struct kept *k = memory ? rri_malloc(sizeof *k) : NULL;
    if (!k) return;
    rri_lock_take(&kept_lock);
    *k = (struct kept){ kept, memory };
    kept = k;
    rri_lock_give(&kept_lock);
}
