/* SPDX-License-Identifier: BSD-3-Clause */
/* Landing areas for bulk data, kept warm: the pages of a fresh one cost more than the data (a factor of 2 for 64 MiB). */
#ifndef RRI_LANDING_H
#define RRI_LANDING_H

#include "sync.h"

#include <stddef.h>

/* A sender's data may still be leaving one area while its next call needs another. */
enum { RRI_LANDINGS = 4 };

typedef struct rri_landings {
    size_t limit;                                           /* i: bytes kept in all areas together */
    rri_lock lock;
    struct { void *at; size_t bytes; } area[RRI_LANDINGS];   /* l: newest first */
    unsigned count;                                         /* l */
    size_t kept;                                            /* l: bytes in all areas */
} rri_landings;

/* An area, 16-aligned, of at least *bytes, which becomes its size; NULL without memory. */
void *rri_landing_take(rri_landings *all, size_t *bytes);
/* Give an area back; kept for the next, or freed when there are too many. */
void rri_landing_give(rri_landings *all, void *at, size_t bytes);
void rri_landings_close(rri_landings *all);

#endif
