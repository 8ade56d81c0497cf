/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls of this rank that are not answered yet, for reports. */
#ifndef RRI_PENDING_H
#define RRI_PENDING_H

#include "future.h"

typedef struct rri_pending {
    const char *class_name, *method_name;
    const char *site;               /* or NULL */
    int peer;
    int64_t made;
} rri_pending;

/* Made after `from` and not after `to`: the oldest, at most `room`; returns how many there are. Any thread. */
unsigned rri_pending_find(rri_futures *futures, int64_t from, int64_t to, rri_pending *oldest, unsigned room);

/* How many calls are not answered; and how many objects are not confirmed that this rank has asked for. Any thread. */
void rri_pending_count(rri_futures *futures, uint64_t *calls, uint64_t *creations);

/* Log those that have waited for longer than rri_futures.report_after and were not told before, the ten oldest by name. */
void rri_pending_tell(rri_futures *futures);

/* "field.norm on rank 1, called at solver.c:41, 12.3 s ago" */
void rri_pending_format(const rri_pending *pending, char *text, size_t size);

#endif
