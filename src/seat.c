/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The application's thread of each rank gets a core of its own first, the one it is on if possible. What is left is free,
 * and the ranks that may use it take one core each in turn, the nearest first, as long as there are any. Where not every
 * one of them gets one the kernel chooses better than a fixed rule, at each wake-up.
 */
#include "seat.h"
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is worked out of one node, in cores. */
typedef struct plan {
    const rri_map *map;
    const rri_seat *seats;
    int ranks;
    rri_units *may;                 /* by rank: the cores it may use */
    rri_units *free;                /* by rank: of these, those where no application runs */
    rri_units *dealt;               /* by rank: of these, those that it took */
    int *home;                      /* by rank: the core of the application, -1: none known */
    int *unit;                      /* by core: one of its units */
    bool *crowded;                  /* by rank */
    rri_units taken;                /* cores that are some rank's home */
    rri_units gone;                 /* cores dealt out */
} plan;

static int core_of(const rri_map *map, int unit)
{
    return unit >= 0 && unit < RRI_UNITS ? map->at[unit][RRI_LEVEL_CORE] : -1;
}

static rri_units cores_of(const rri_map *map, const rri_units *units)
{
    rri_units cores = { { 0 } };
    for (int u = rri_units_next(units, 0); u >= 0; u = rri_units_next(units, u + 1)) rri_units_add(&cores, core_of(map, u));
    return cores;
}

/* Of these units, those of the cores. */
static rri_units units_of(const rri_map *map, const rri_units *units, const rri_units *cores)
{
    rri_units found = { { 0 } };
    for (int u = rri_units_next(units, 0); u >= 0; u = rri_units_next(units, u + 1))
        if (rri_units_has(cores, core_of(map, u))) rri_units_add(&found, u);
    return found;
}

/* ---- the plan */

static void free_plan(plan *p)
{
    free(p->may);
    free(p->free);
    free(p->dealt);
    free(p->home);
    free(p->unit);
    free(p->crowded);
}

static bool make_plan(plan *p, const rri_map *map, const rri_seat *seats, int ranks)
{
    size_t n = (size_t)ranks;
    *p = (plan){ .map = map, .seats = seats, .ranks = ranks, .may = rri_calloc(n, sizeof *p->may),
                 .free = rri_calloc(n, sizeof *p->free), .dealt = rri_calloc(n, sizeof *p->dealt),
                 .home = rri_calloc(n, sizeof *p->home), .unit = rri_calloc(RRI_UNITS, sizeof *p->unit),
                 .crowded = rri_calloc(n, sizeof *p->crowded) };
    if (!p->may || !p->free || !p->dealt || !p->home || !p->unit || !p->crowded) {
        free_plan(p);
        return false;
    }
    for (int u = RRI_UNITS - 1; u >= 0; u--)
        if (core_of(map, u) >= 0) p->unit[core_of(map, u)] = u;
    for (int r = 0; r < ranks; r++) p->may[r] = cores_of(map, &seats[r].may);
    return true;
}

/* What two cores share: the smallest level. */
static int shared_level(const plan *p, int a, int b)
{
    const short *x = p->map->at[p->unit[a]], *y = p->map->at[p->unit[b]];
    int level = RRI_LEVEL_CORE;
    while (level < RRI_LEVELS && (x[level] < 0 || x[level] != y[level])) level++;
    return level;
}

/* Near is what shares much, and then what comes next in the order of cores, round the end. */
static int distance(const plan *p, int from, int core)
{
    return shared_level(p, from, core) * RRI_UNITS + (core - from + RRI_UNITS) % RRI_UNITS;
}

static int nearest(const plan *p, const rri_units *cores, int from)
{
    int best = -1;
    for (int c = rri_units_next(cores, 0); c >= 0; c = rri_units_next(cores, c + 1))
        if (best < 0 || (from >= 0 && distance(p, from, c) < distance(p, from, best))) best = c;
    return best;
}

/* ---- homes */

static void seat_application(plan *p, int rank)
{
    int wanted = core_of(p->map, p->seats[rank].home);
    if (!rri_units_has(&p->may[rank], wanted)) wanted = rri_units_next(&p->may[rank], 0);
    const rri_units left = rri_units_without(&p->may[rank], &p->taken);
    const int core = nearest(p, &left, wanted);
    p->home[rank] = core >= 0 ? core : wanted;
    rri_units_add(&p->taken, p->home[rank]);
}

/* Those that cannot go elsewhere come first. */
static void seat_applications(plan *p)
{
    for (int bound = 1; bound >= 0; bound--)
        for (int r = 0; r < p->ranks; r++)
            if ((rri_units_count(&p->may[r]) <= 1) == bound) seat_application(p, r);
    for (int r = 0; r < p->ranks; r++) p->free[r] = rri_units_without(&p->may[r], &p->taken);
}

/* ---- dealing */

static bool plays(const plan *p, int rank)
{
    return p->seats[rank].threads && !p->crowded[rank] && rri_units_next(&p->free[rank], 0) >= 0;
}

static bool take(plan *p, int rank)
{
    const rri_units left = rri_units_without(&p->free[rank], &p->gone);
    const int core = nearest(p, &left, p->home[rank]);
    if (core < 0) return false;
    rri_units_add(&p->dealt[rank], core);
    rri_units_add(&p->gone, core);
    return true;
}

/* Who got nothing, and who could have given it something. */
static void find_crowded(plan *p)
{
    for (int r = 0; r < p->ranks; r++) {
        if (!p->seats[r].threads || rri_units_next(&p->free[r], 0) < 0 || rri_units_next(&p->dealt[r], 0) >= 0) continue;
        for (int k = 0; k < p->ranks; k++)
            if (rri_units_meet(&p->free[k], &p->free[r])) p->crowded[k] = true;
    }
}

static void deal(plan *p)
{
    bool more = true;
    for (int r = 0; r < p->ranks; r++)
        if (plays(p, r)) take(p, r);
    find_crowded(p);
    while (more) {
        more = false;
        for (int r = 0; r < p->ranks; r++)
            if (plays(p, r) && take(p, r)) more = true;
    }
}

/* ---- the choice */

/* Two cores at least, since who drives and who runs a handler should not wait for each other: from the smallest part of the
 * machine round the home where that many were dealt, or else all that is free. */
static rri_units near_home(const plan *p, int rank)
{
    const rri_units *dealt = &p->dealt[rank];
    for (int level = RRI_LEVEL_CACHE; level <= RRI_LEVELS; level++) {
        rri_units near = { { 0 } };
        for (int c = rri_units_next(dealt, 0); c >= 0; c = rri_units_next(dealt, c + 1))
            if (shared_level(p, p->home[rank], c) <= level) rri_units_add(&near, c);
        if (rri_units_count(&near) >= 2) return near;
    }
    return p->free[rank];
}

static int widest_level(const plan *p, int home, const rri_units *cores)
{
    int widest = RRI_LEVEL_CORE;
    for (int c = rri_units_next(cores, 0); c >= 0; c = rri_units_next(cores, c + 1)) {
        const int level = shared_level(p, home, c);
        if (level > widest) widest = level;
    }
    return widest;
}

static void choose_free(const plan *p, int me, rri_choice *choice)
{
    const rri_units near = near_home(p, me), *may = &p->seats[me].may;
    choice->why = RRI_SEAT_FREE;
    choice->drivers = units_of(p->map, may, &near);
    choice->workers = units_of(p->map, may, &p->free[me]);
    choice->home = p->home[me];
    choice->level = widest_level(p, p->home[me], &near);
}

void rri_seat_choose(const rri_map *map, const rri_seat *seats, int ranks, int me, rri_choice *choice)
{
    plan p;
    *choice = (rri_choice){ .why = RRI_SEAT_UNKNOWN, .home = -1 };
    if (!map->known || !make_plan(&p, map, seats, ranks)) return;
    const int cores = rri_units_count(&p.may[me]);
    if (cores > 0) {
        seat_applications(&p);
        deal(&p);
        if (!seats[me].threads) choice->why = RRI_SEAT_NONE;
        else if (cores == 1) choice->why = RRI_SEAT_SINGLE;
        else if (plays(&p, me)) choose_free(&p, me, choice);
        else choice->why = RRI_SEAT_CROWDED;
    }
    free_plan(&p);
}

int rri_seats_single(const rri_map *map, const rri_seat *seats, int ranks)
{
    int single = 0;
    for (int r = 0; map->known && r < ranks; r++) {
        const rri_units cores = cores_of(map, &seats[r].may);
        single += seats[r].threads && rri_units_count(&cores) == 1;
    }
    return single;
}

/* ---- a unit for each: a matching, found along alternating paths (J. Munkres, 1957) */

static bool find_unit(const rri_seat *seats, int rank, int *holder, rri_units *tried)
{
    const rri_units *may = &seats[rank].may;
    for (int u = rri_units_next(may, 0); u >= 0; u = rri_units_next(may, u + 1))
        if (holder[u] == 0) {
            holder[u] = rank + 1;
            return true;
        }
    for (int u = rri_units_next(may, 0); u >= 0; u = rri_units_next(may, u + 1)) {
        if (rri_units_has(tried, u)) continue;
        rri_units_add(tried, u);
        if (!find_unit(seats, holder[u] - 1, holder, tried)) continue;
        holder[u] = rank + 1;
        return true;
    }
    return false;
}

bool rri_seats_short(const rri_seat *seats, int ranks)
{
    int holder[RRI_UNITS] = { 0 };
    bool each = ranks <= RRI_UNITS;
    for (int r = 0; each && r < ranks; r++) each = find_unit(seats, r, holder, &(rri_units){ { 0 } });
    return !each;
}

/* ---- for people */

static void add_cores(const rri_map *map, const rri_units *units, char *buffer, size_t size)
{
    const rri_units cores = cores_of(map, units);
    char list[96];
    rri_units_format(&cores, list, sizeof list);
    snprintf(buffer, size, "core%s %s", rri_units_count(&cores) == 1 ? "" : "s", list);
}

static void format_free(const rri_map *map, const rri_choice *choice, char *buffer, size_t size)
{
    static const char *const share[] = { [RRI_LEVEL_CORE] = "beside", [RRI_LEVEL_CACHE] = "same cache as",
        [RRI_LEVEL_NUMA] = "same NUMA node as", [RRI_LEVEL_PACKAGE] = "same package as", [RRI_LEVELS] = "the nearest to" };
    char drivers[112], workers[112] = "";
    add_cores(map, &choice->drivers, drivers, sizeof drivers);
    if (memcmp(&choice->drivers, &choice->workers, sizeof choice->drivers)) {
        memcpy(workers, "; workers ", 11);
        add_cores(map, &choice->workers, workers + 10, sizeof workers - 10);
    }
    snprintf(buffer, size, "%s (free, %s core %d of the application)%s", drivers, share[choice->level], choice->home, workers);
}

void rri_choice_format(const rri_map *map, const rri_choice *choice, char *buffer, size_t size)
{
    static const char *const text[] = { [RRI_SEAT_UNKNOWN] = "as the rank (the machine's cores are not known)",
        [RRI_SEAT_NONE] = "no threads (the application drives)", [RRI_SEAT_ANY] = "as the rank (RREF_CORES=any)",
        [RRI_SEAT_SINGLE] = "the application's core (the rank has no other)",
        [RRI_SEAT_CROWDED] = "as the rank (fewer free cores than ranks)" };
    char list[96];
    if (choice->why == RRI_SEAT_FREE) {
        format_free(map, choice, buffer, size);
    } else if (choice->why == RRI_SEAT_HAND) {
        rri_units_format(&choice->drivers, list, sizeof list);
        snprintf(buffer, size, "CPU%s %s (RREF_CORES)", rri_units_count(&choice->drivers) == 1 ? "" : "s", list);
    } else {
        snprintf(buffer, size, "%s", text[choice->why]);
    }
}
