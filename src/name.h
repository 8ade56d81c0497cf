/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Names: each is kept by one rank, its home, that a hash of it chooses. The home holds a reference while the object is
 * published, and the answers it owes to those who wait for a name; they hold no thread, and are no work for a fence.
 */
#ifndef RRI_NAME_H
#define RRI_NAME_H

#include "flow.h"

#include <rref.h>

enum { RRI_NAME_MAX = 255, RRI_NAME_BUCKETS = 256 };

typedef struct rri_names {
    rri_lock lock;
    struct rri_published *bucket[RRI_NAME_BUCKETS];     /* under the lock */
    struct rri_waiter *waiting, **last;                 /* under the lock: first come, first served */
} rri_names;

/* The end: who still waits gets FINALIZED, and what is published is let go. */
void rri_names_end(rri_names *names);
/* Names of objects whose rank is lost are free again. */
void rri_names_lose(rri_names *names, const rri_flow *flow);

/* Methods of the service object. */
int rri_name_publish(rref_call *call, void *service);
int rri_name_lookup(rref_call *call, void *service);
int rri_name_withdraw(rref_call *call, void *service);

#endif
