/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who sits where on a node: which cores the library's threads of each rank should keep to, so that they take no
 * application's core while there are others. A pure function of a map of the machine and of what the ranks told each
 * other; all ranks of a node compute the same.
 */
#ifndef RRI_SEAT_H
#define RRI_SEAT_H

#include "units.h"

#include <stdint.h>

/* The machine, by processing unit: logical numbers, -1 for what there is not. cache: the last one that is shared. */
enum { RRI_LEVEL_CORE, RRI_LEVEL_CACHE, RRI_LEVEL_NUMA, RRI_LEVEL_PACKAGE, RRI_LEVELS };
typedef struct rri_map {
    bool known;
    int cores;
    short at[RRI_UNITS][RRI_LEVELS];
} rri_map;

/* What a rank tells the others of its node; sent as bytes. */
typedef struct rri_seat {
    rri_units may;                  /* where the application's thread may run */
    int32_t home;                   /* where it ran at that moment, or -1 */
    int32_t threads;                /* the library has threads in this rank */
} rri_seat;

typedef enum rri_seat_why {
    RRI_SEAT_UNKNOWN,               /* no map */
    RRI_SEAT_NONE,                  /* no threads */
    RRI_SEAT_ANY,                   /* not wanted */
    RRI_SEAT_HAND,                  /* named by hand */
    RRI_SEAT_SINGLE,                /* the rank has one core */
    RRI_SEAT_CROWDED,               /* fewer free cores than ranks that could use them */
    RRI_SEAT_FREE
} rri_seat_why;

typedef struct rri_choice {
    rri_seat_why why;
    rri_units drivers;              /* units for the first two threads, one of which drives while the other runs handlers */
    rri_units workers;              /* and for further ones; both empty: wherever the rank may run */
    int home;                       /* FREE: the core left to the application */
    int level;                      /* FREE: the drivers share this with it; RRI_LEVELS: nothing */
} rri_choice;

/* The choice for rank `me` of the node. */
void rri_seat_choose(const rri_map *map, const rri_seat *seats, int ranks, int me, rri_choice *choice);

/* Whether there are more ranks than processing units to run them: no way to give each a unit of its own that it may use. */
bool rri_seats_short(const rri_seat *seats, int ranks);

/* Ranks whose library threads must share their only core with the application. */
int rri_seats_single(const rri_map *map, const rri_seat *seats, int ranks);

/* "cores 1-3 (free, same cache as core 0 of the application)" and so on, cut to size. */
void rri_choice_format(const rri_map *map, const rri_choice *choice, char *buffer, size_t size);

#endif
