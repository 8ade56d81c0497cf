/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Futures of sync calls. One thread waits for such a future and nobody else has its handle, so each thread keeps one for its
 * next call, with a new handle each time: a late answer to the call before meets a stale one.
 */
#ifndef RRI_LONE_H
#define RRI_LONE_H

#include "future.h"

enum { RRI_CONTEXTS = 256 };

/* A pending future with one count; NULL through rri_fail. */
rri_future *rri_lone_new(rri_futures *all, const rri_types *types, const char *site);
/* The waiting thread is done with it. */
void rri_lone_end(rri_future *future);

/* Whether the context that had this serial number is there still. */
extern _Atomic uint64_t rri_in_force[RRI_CONTEXTS];     /* serial numbers, by number of context */
static inline bool rri_lone_in_force(uint64_t serial)
{
    return serial && atomic_load_explicit(&rri_in_force[serial % RRI_CONTEXTS], memory_order_acquire) == serial;
}

/* Futures that are not merely kept. */
unsigned rri_lone_others(rri_futures *all);
/* What the calling thread keeps is to go when that ends. */
bool rri_lone_ends_with_thread(void);

/* A context begins; and ends, with what threads have kept of it. */
int rri_lone_know(rri_futures *all);
void rri_lone_forget(rri_futures *all);

#endif
