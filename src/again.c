/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns what each thread remembers of its last calls. What is remembered holds as long as the context and the handle do: a class
 * that is known and an owner's handle do not change.
 */
#include "again.h"
#include "memory.h"

#include <stdlib.h>

RRI_THREAD_LOCAL rri_made *rri_made_here;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool has_key;

static void forget(void *places)
{
    free(places);
    rri_made_here = NULL;
}

static void make_key(void) { has_key = pthread_key_create(&key, forget) == 0; }

static bool has_places(void)
{
    if (rri_made_here) return true;
    pthread_once(&once, make_key);
    rri_made *places = has_key ? rri_calloc(RRI_PLACES, sizeof *places) : NULL;
    if (!places || pthread_setspecific(key, places)) free(places);
    else rri_made_here = places;
    return rri_made_here;
}

void rri_again_remember(const rri_reference *r, const rri_target *target, const char *site, rri_mode mode)
{
    rri_references *all = rri_references_of(r);
    if (target->address & RRI_NAMED || !has_places()) return;      /* then every call finds its way anew */
    uint64_t handle = rri_table_handle(&all->table, r);
    *rri_made_at(handle, site) = (rri_made){ all->calls->futures.serial, handle, site, r, mode,
                                             rri_call_run_of(all->calls, target, site, mode == RRI_ONEWAY) };
}
