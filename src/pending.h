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

/* The oldest, at most `room`; returns how many there are. Any thread. */
unsigned rri_pending_find(rri_futures *futures, rri_pending *oldest, unsigned room);

/* "field.norm on rank 1, called at solver.c:41, 12.3 s ago" */
void rri_pending_format(const rri_pending *pending, char *text, size_t size);

#endif
