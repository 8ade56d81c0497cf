/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the landing areas between calls. Locking key: l under lock. */
#include "landing.h"
#include "memory.h"

#include <stdlib.h>

/*
 * Areas lie to a line of the cache as large memory of malloc does, which begins behind a head of 16 bytes, and so does most of
 * what comes and goes. Between places that differ in this MPI copies up to a tenth slower.
 */
enum { LINE = 64, HEAD = 16 };

static void *make_area(size_t bytes)
{
    char *memory = rri_aligned_alloc(LINE, LINE + bytes);
    return memory ? memory + HEAD : NULL;
}

static void free_area(void *at)
{
    if (at) free((char *)at - HEAD);
}

/* An area much larger than the data is left for larger data. */
static bool fits(size_t area, size_t bytes) { return area >= bytes && area / 4 <= bytes; }

static void *remove_area(rri_landings *all, unsigned i)
{
    void *at = all->area[i].at;
    all->kept -= all->area[i].bytes;
    all->count--;
    for (; i < all->count; i++) all->area[i] = all->area[i + 1];
    return at;
}

void *rri_landing_take(rri_landings *all, size_t *bytes)
{
    void *at = NULL;
    rri_lock_take(&all->lock);
    for (unsigned i = 0; i < all->count && !at; i++) {
        if (!fits(all->area[i].bytes, *bytes)) continue;
        *bytes = all->area[i].bytes;
        at = remove_area(all, i);
    }
    rri_lock_give(&all->lock);
    if (at) return at;
    *bytes = (*bytes + LINE - 1) & ~(size_t)(LINE - 1);
    return make_area(*bytes);
}

void rri_landing_give(rri_landings *all, void *at, size_t bytes)
{
    void *old[RRI_LANDINGS];
    unsigned n = 0;
    if (!at || bytes > all->limit) {
        free_area(at);
        return;
    }
    rri_lock_take(&all->lock);
    while (all->count == RRI_LANDINGS || all->kept + bytes > all->limit) old[n++] = remove_area(all, all->count - 1);
    for (unsigned i = all->count++; i > 0; i--) all->area[i] = all->area[i - 1];
    all->area[0].at = at;
    all->area[0].bytes = bytes;
    all->kept += bytes;
    rri_lock_give(&all->lock);
    while (n) free_area(old[--n]);
}

void rri_landings_close(rri_landings *all)
{
    while (all->count) free_area(remove_area(all, all->count - 1));
}
