/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what each thread keeps, by context: worth nothing when the serial of that is no longer in force. */
#include "spare.h"
#include "lone.h"
#include "memory.h"

#include <stdlib.h>

enum { PLACES = 4, KEPT = 64 };

typedef struct spares {
    uint64_t serial;                    /* of the context */
    rri_futures *all;
    unsigned count;
    rri_future *future[KEPT];
} spares;

static RRI_THREAD_LOCAL spares *mine;   /* PLACES of them, or NULL */

static bool has_places(void)
{
    if (mine) return true;
    spares *places = rri_lone_ends_with_thread() ? rri_calloc(PLACES, sizeof *places) : NULL;
    mine = places;
    return mine;
}

static spares *place_of(const rri_futures *all) { return &mine[all->serial % RRI_CONTEXTS % PLACES]; }

rri_future *rri_spare_new(rri_futures *all, const rri_types *types, const char *site)
{
    spares *s = mine ? place_of(all) : NULL;
    if (s && s->serial == all->serial && s->count) {
        rri_future *f = s->future[--s->count];
        rri_future_resume(f, types, site);
        return f;
    }
    rri_future *f = rri_future_new(all, types, site);
    if (f) f->plain = true;
    return f;
}

bool rri_spare_keep(rri_future *f)
{
    spares *s = has_places() ? place_of(f->all) : NULL;
    if (!s) return false;
    if (s->serial != f->all->serial) {
        if (rri_lone_in_force(s->serial)) return false;
        s->serial = f->all->serial;
        s->all = f->all;
        s->count = 0;
    }
    if (s->count == KEPT || !rri_table_rest(f)) return false;
    s->future[s->count++] = f;
    return true;
}

void rri_spares_end(void)
{
    for (spares *s = mine; s && s < mine + PLACES; s++)
        while (rri_lone_in_force(s->serial) && s->count) rri_table_remove(&s->all->table, s->future[--s->count]);
    free(mine);
    mine = NULL;
}
