/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns what each thread remembers of its last calls. What is remembered holds as long as the context and the handle do: a class
 * that is known and an owner's handle do not change.
 */
#include "again.h"
#include "exec.h"
#include "fit.h"
#include "fork.h"
#include "lone.h"
#include "memory.h"

#include <stdlib.h>

enum { PLACES = 16 };

typedef struct made {
    uint64_t serial;                    /* of the context; 0: nothing is remembered here */
    uint64_t handle;
    const char *site;
    const rri_reference *reference;
    rri_mode mode;
    rri_run run;
} made;

static RRI_THREAD_LOCAL made *mine;     /* PLACES of them, or NULL */
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool has_key;

static void forget(void *places)
{
    free(places);
    mine = NULL;
}

static void make_key(void) { has_key = pthread_key_create(&key, forget) == 0; }

static made *place_of(uint64_t handle, const char *site)
{
    return &mine[(handle >> 24 ^ (uintptr_t)site >> 3) % PLACES];
}

static bool is_held(const rri_reference *r, uint64_t handle)
{
    uint32_t word = (uint32_t)(handle & RRI_GENERATIONS) | RRI_LIVE;
    return atomic_load_explicit(&r->slot.word, memory_order_acquire) == word
           && atomic_load_explicit(&r->held, memory_order_relaxed);
}

static bool is_method(const rri_target *t, uint64_t method, const char *name)
{
    return name ? strcmp(name, t->method_name) == 0 : method == t->method;
}

/* Numbers of 64 bits given as just that, and room for numbers, as most are: then rri_call_is_plain need not be asked. */
static inline bool are_words(const rri_target *t, const rref_value *values, size_t count)
{
    const unsigned inputs = t->in->count;
    if (count != inputs && count != inputs + t->out->count) return false;
    for (size_t i = 0; i < inputs; i++)
        if (!rri_same_word(&t->in->type[i], &values[i])) return false;
    for (size_t i = inputs; i < count; i++)
        if (!rri_same_room(&t->out->type[i - inputs], &values[i])) return false;
    return true;
}

/* A call that is made for another, or has to be over in time, tells the owner so. */
static bool is_free(const rri_calls *calls)
{
    return atomic_load_explicit(&calls->futures.timeout, memory_order_relaxed) == RRI_NEVER && !rri_exec_nested();
}

const rri_run *rri_again(rref target, uint64_t method, const char *name, const rref_value *values, size_t count, const char *site,
                         rri_mode mode)
{
    const made *m = mine ? place_of(target.bits, site) : NULL;
    if (!m || m->handle != target.bits || m->site != site || m->mode != mode || rri_forked()) return NULL;
    const rri_target *t = &m->run.target;
    if (!rri_lone_in_force(m->serial) || !is_held(m->reference, target.bits) || !is_method(t, method, name)) return NULL;
    if (mode == RRI_ONEWAY ? count != t->in->count : !is_free(m->run.calls)) return NULL;
    return are_words(t, values, count) || rri_call_is_plain(t, values, count) ? &m->run : NULL;
}

static bool has_places(void)
{
    if (mine) return true;
    pthread_once(&once, make_key);
    made *places = has_key ? rri_calloc(PLACES, sizeof *places) : NULL;
    if (!places || pthread_setspecific(key, places)) free(places);
    else mine = places;
    return mine;
}

void rri_again_remember(const rri_reference *r, const rri_target *target, const char *site, rri_mode mode)
{
    rri_references *all = rri_references_of(r);
    if (target->address & RRI_NAMED || !has_places()) return;      /* then every call finds its way anew */
    uint64_t handle = rri_table_handle(&all->table, r);
    *place_of(handle, site) = (made){ all->calls->futures.serial, handle, site, r, mode,
                                      rri_call_run_of(all->calls, target, site, mode == RRI_ONEWAY) };
}
