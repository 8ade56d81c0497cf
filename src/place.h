/* SPDX-License-Identifier: BSD-3-Clause */
/* Where this process may run. The only place that knows hwloc. */
#ifndef RRI_PLACE_H
#define RRI_PLACE_H

#include "seat.h"

#include <pthread.h>
#include <stddef.h>

/* Processing units the calling thread may use, from its affinity mask alone (fast); at least 1. */
int rri_place_width(void);

/* The same for people, by hwloc: "cores 0-1 of 2 (2 PUs, 1 package, 1 NUMA node)", cut to size. Takes some ms. */
void rri_place_format(char *buffer, size_t size);

/* The hwloc release built against, "2.9.0". */
const char *rri_place_version(void);

/* The units the calling thread may use; empty if they cannot be read. And the one it is on, or -1. */
rri_units rri_place_mask(void);
int rri_place_now(void);

/* The machine by hwloc, read once in the life of the process, which takes some ms; `known` is false if that failed. The
 * second one reads it anew. Neither moves the calling thread. */
const rri_map *rri_place_map(void);
void rri_place_read_map(rri_map *map);

/* Let a thread run on these units only. Returns 0 or an errno. */
int rri_place_bind(pthread_t thread, const rri_units *units);

/* Those of the units that a thread of this process cannot be bound to: not there, or kept from it by a cpuset. Returns 0 or an
 * errno. The calling thread is not moved. */
int rri_place_refused(const rri_units *units, rri_units *refused);

#endif
