/* SPDX-License-Identifier: BSD-3-Clause */
/* The same call again: most calls of a loop differ from the one before in their numbers alone, and go the way that was found for
 * it. */
#ifndef RRI_AGAIN_H
#define RRI_AGAIN_H

#include "exec.h"
#include "fit.h"
#include "fork.h"
#include "lone.h"
#include "reference.h"

#include <string.h>

enum { RRI_PLACES = 16 };

/* A call that a thread has made. */
typedef struct rri_made {
    uint64_t serial;                    /* of the context; 0: nothing is remembered here */
    uint64_t handle;
    const char *site;
    const rri_reference *reference;
    rri_mode mode;
    rri_run run;
} rri_made;

extern RRI_THREAD_LOCAL rri_made *rri_made_here;    /* RRI_PLACES of them, or NULL */

static inline rri_made *rri_made_at(uint64_t handle, const char *site)
{
    return &rri_made_here[(handle >> 24 ^ (uintptr_t)site >> 3) % RRI_PLACES];
}

static inline bool rri_again_held(const rri_reference *r, uint64_t handle)
{
    uint32_t word = (uint32_t)(handle & RRI_GENERATIONS) | RRI_LIVE;
    return atomic_load_explicit(&r->slot.word, memory_order_acquire) == word
           && atomic_load_explicit(&r->held, memory_order_relaxed);
}

/* A call that is made for another, or has to be over in time, tells the owner so. */
static inline bool rri_again_free(const rri_calls *calls)
{
    return atomic_load_explicit(&calls->futures.timeout, memory_order_relaxed) == RRI_NEVER && !rri_exec_nested();
}

/* Numbers of 64 bits given as just that, and room for numbers, as most are: then rri_call_is_plain need not be asked. */
RRI_IN_LINE bool rri_again_words(const rri_type *type, const rref_value *values, size_t count)
{
    for (const rref_value *end = values + count; values < end; values++)
        if (!rri_same_word(type++, values)) return false;
    return true;
}

RRI_IN_LINE bool rri_again_rooms(const rri_type *type, const rref_value *values, size_t count)
{
    for (const rref_value *end = values + count; values < end; values++)
        if (!rri_same_room(type++, values)) return false;
    return true;
}

/* How a thread has made a call lately: from this place, through this reference, of this method, by number or name (NULL: by
 * number). NULL if it has not, if anything has changed since, or if the values are not just numbers that fit. In line, since it
 * is short where mode and name are known. */
RRI_IN_LINE const rri_run *rri_again(rref target, uint64_t method, const char *name, const rref_value *values, size_t count,
                                     const char *site, rri_mode mode)
{
    const rri_made *m = rri_made_here ? rri_made_at(target.bits, site) : NULL;
    if (!m || m->handle != target.bits || m->site != site || m->mode != mode || rri_forked()) return NULL;
    const rri_target *t = &m->run.target;
    if (!rri_lone_in_force(m->serial) || !rri_again_held(m->reference, target.bits)) return NULL;
    if (name ? strcmp(name, t->method_name) != 0 : method != t->method) return NULL;
    const size_t inputs = t->in->count, outputs = count - inputs;
    if (mode == RRI_ONEWAY ? outputs != 0 : (outputs && outputs != t->out->count) || !rri_again_free(m->run.calls)) return NULL;
    if (rri_again_words(t->in->type, values, inputs) && rri_again_rooms(t->out->type, values + inputs, outputs)) return &m->run;
    return rri_call_is_plain(t, values, count) ? &m->run : NULL;
}

/* A call was made so, without a limit of time: a sync one to another rank, or one that runs. */
void rri_again_remember(const rri_reference *reference, const rri_target *target, const char *site, rri_mode mode);

#endif
