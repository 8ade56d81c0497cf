/* SPDX-License-Identifier: BSD-3-Clause */
/* Where library threads are put, on machines made up by hwloc: many cores and few, SMT, bound ranks and not, holes. */
#include "seat.h"

#include "check.h"
#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256 };

static rri_map map;
static rri_seat seats[MOST];
static int ranks;

/* ---- helpers ----------------------------------------------------------------------------------------------------- */

static void machine(const char *description)
{
    setenv("HWLOC_SYNTHETIC", description, 1);
    rri_place_read_map(&map);
    unsetenv("HWLOC_SYNTHETIC");
    CU_ASSERT_FATAL(map.known);
    ranks = 0;
}

/* One more rank, which may run on these units and is on that one. */
static void rank(const char *may, int home)
{
    CU_ASSERT_FATAL(ranks < MOST && rri_units_parse(&seats[ranks].may, may));
    seats[ranks].home = home;
    seats[ranks++].threads = 1;
}

static rri_choice chosen(int me)
{
    rri_choice choice;
    rri_seat_choose(&map, seats, ranks, me, &choice);
    return choice;
}

static void expect(int me, const char *text)
{
    char got[256];
    const rri_choice choice = chosen(me);
    rri_choice_format(&map, &choice, got, sizeof got);
    CU_ASSERT_STRING_EQUAL(got, text);
    if (strcmp(got, text) != 0)
        fprintf(stderr, "rank %d: %s\nwanted: %s\n", me, got, text);
}

static void expect_units(int me, const char *drivers, const char *workers)
{
    char got[256];
    const rri_choice choice = chosen(me);
    rri_units_format(&choice.drivers, got, sizeof got);
    CU_ASSERT_STRING_EQUAL(got, drivers);
    rri_units_format(&choice.workers, got, sizeof got);
    CU_ASSERT_STRING_EQUAL(got, workers);
}

/* Whatever the machine: within what the rank may use, on nobody's application, drivers of one rank on no other's. */
static void expect_sane(void)
{
    rri_units drivers[MOST], homes = { { 0 } };
    for (int r = 0; r < ranks; r++) {
        const rri_choice c = chosen(r);
        rri_units out = rri_units_without(&c.drivers, &c.workers);
        CU_ASSERT_EQUAL(rri_units_count(&out), 0);
        out = rri_units_without(&c.workers, &seats[r].may);
        CU_ASSERT_EQUAL(rri_units_count(&out), 0);
        CU_ASSERT_EQUAL(c.why == RRI_SEAT_FREE, rri_units_count(&c.drivers) > 0);
        drivers[r] = c.drivers;
        if (c.why == RRI_SEAT_FREE)
            rri_units_add(&homes, c.home);
    }
    for (int r = 0; r < ranks; r++)
        for (int u = rri_units_next(&drivers[r], 0); u >= 0; u = rri_units_next(&drivers[r], u + 1))
            CU_ASSERT_FALSE(rri_units_has(&homes, map.at[u][RRI_LEVEL_CORE]));
}

#define TWO_SOCKETS "pack:2 [numa] l3:8 core:8 pu:1"
#define TWO_SOCKETS_SMT "pack:2 [numa] l3:8 core:8 pu:2"

/* ---- the map ----------------------------------------------------------------------------------------------------- */

static void maps(void)
{
    machine(TWO_SOCKETS_SMT);
    CU_ASSERT_EQUAL(map.cores, 128);
    CU_ASSERT(map.at[17][RRI_LEVEL_CORE] == 8 && map.at[17][RRI_LEVEL_CACHE] == 1 && map.at[17][RRI_LEVEL_NUMA] == 0);
    CU_ASSERT(map.at[255][RRI_LEVEL_CORE] == 127 && map.at[255][RRI_LEVEL_CACHE] == 15 && map.at[255][RRI_LEVEL_NUMA] == 1 &&
              map.at[255][RRI_LEVEL_PACKAGE] == 1 && map.at[256][RRI_LEVEL_CORE] == -1);
    machine("core:4 pu:1");
    CU_ASSERT(map.cores == 4 && map.at[2][RRI_LEVEL_CORE] == 2 && map.at[2][RRI_LEVEL_CACHE] == -1);
}

/* ---- 2 sockets of 64 cores --------------------------------------------------------------------------------------- */

static void one_rank_on_all(void)
{
    machine(TWO_SOCKETS);
    rank("0-127", 0);
    expect(0, "cores 1-7 (free, same cache as core 0 of the application); workers cores 1-127");
    expect_units(0, "1-7", "1-127");
    ranks = 0;
    rank("0-127", 77);
    expect(0, "cores 72-76,78-79 (free, same cache as core 77 of the application); workers cores 0-76,78-127");
}

static void four_cores_a_rank(void)
{
    char may[32];
    machine(TWO_SOCKETS);
    for (int r = 0; r < 32; r++) {
        snprintf(may, sizeof may, "%d-%d", 4 * r, 4 * r + 3);
        rank(may, 4 * r + 1);
    }
    expect(0, "cores 0,2-3 (free, same cache as core 1 of the application)");
    expect(31, "cores 124,126-127 (free, same cache as core 125 of the application)");
    expect_sane();
}

static void sockets_shared(void)
{
    machine(TWO_SOCKETS);
    for (int r = 0; r < 16; r++)
        rank(r % 2 == 0 ? "0-63" : "64-127", r % 2 == 0 ? 8 * (r / 2) : 64 + 8 * (r / 2));
    expect(0, "cores 1-7 (free, same cache as core 0 of the application); workers cores "
              "1-7,9-15,17-23,25-31,33-39,41-47,49-55,57-63");
    expect(3, "cores 73-79 (free, same cache as core 72 of the application); workers cores "
              "65-71,73-79,81-87,89-95,97-103,105-111,113-119,121-127");
    expect_sane();
}

/* All applications are found on one core: each gets one to itself, and two others beside. */
static void homes_that_fall_together(void)
{
    machine("pack:1 [numa] l3:2 core:8 pu:1");
    for (int r = 0; r < 4; r++)
        rank("0-15", 5);
    expect_sane();
    rri_units all = { { 0 } };
    for (int r = 0; r < 4; r++) {
        const rri_choice c = chosen(r);
        CU_ASSERT_EQUAL(c.home, 5 + r < 8 ? 5 + r : r == 3 ? 0 : -1);
        CU_ASSERT_FALSE(rri_units_meet(&all, &c.drivers));
        for (int u = rri_units_next(&c.drivers, 0); u >= 0; u = rri_units_next(&c.drivers, u + 1))
            rri_units_add(&all, u);
        CU_ASSERT(rri_units_count(&c.drivers) >= 2);
    }
}

/* ---- one core, and hardly more ----------------------------------------------------------------------------------- */

static void one_core_per_rank(void)
{
    char may[32];
    machine(TWO_SOCKETS);
    for (int r = 0; r < 128; r++) {
        snprintf(may, sizeof may, "%d", r);
        rank(may, r);
    }
    expect(0, "the application's core (the rank has no other)");
    expect_units(127, "", "");
    CU_ASSERT_EQUAL(rri_seats_single(&map, seats, ranks), 128);
    CU_ASSERT_FALSE(rri_seats_short(seats, ranks));
}

static void two_cores_for_two(void)
{
    machine("pack:1 [numa] l3:1 core:2 pu:1");
    rank("0", 0);
    rank("1", 1);
    expect(1, "the application's core (the rank has no other)");
    ranks = 0;
    rank("0-1", 0);
    expect(0, "core 1 (free, same cache as core 0 of the application)");
    rank("0-1", 0);
    expect(0, "as the rank (fewer free cores than ranks)");
    expect(1, "as the rank (fewer free cores than ranks)");
    CU_ASSERT_EQUAL(rri_seats_single(&map, seats, ranks), 0);
}

/* One free core and two ranks that want it: both are left to the kernel; a third one elsewhere is not. */
static void crowded(void)
{
    machine("pack:2 [numa] l3:1 core:4 pu:1");
    rank("0-2", 0);
    rank("0-2", 1);
    rank("4-7", 6);
    expect(0, "as the rank (fewer free cores than ranks)");
    expect(1, "as the rank (fewer free cores than ranks)");
    expect(2, "cores 4-5,7 (free, same cache as core 6 of the application)");
    expect_sane();
}

static void more_ranks_than_cores(void)
{
    machine("pack:1 [numa] l3:1 core:2 pu:1");
    for (int r = 0; r < 8; r++)
        rank("0-1", r % 2);
    expect(7, "as the rank (fewer free cores than ranks)");
    CU_ASSERT(rri_seats_short(seats, ranks));
}

/* Applications without library threads need their core, and no other. */
static void driven_by_the_application(void)
{
    machine("pack:1 [numa] l3:1 core:4 pu:1");
    rank("0-3", 0);
    rank("0-3", 1);
    seats[1].threads = 0;
    expect(0, "cores 2-3 (free, same cache as core 0 of the application)");
    expect(1, "no threads (the application drives)");
    seats[1].may = seats[0].may;
    CU_ASSERT(rri_units_parse(&seats[1].may, "1"));
    CU_ASSERT_EQUAL(rri_seats_single(&map, seats, ranks), 0);
}

/* ---- SMT --------------------------------------------------------------------------------------------------------- */

/* The application's core is left alone as a whole. */
static void hardware_threads(void)
{
    machine(TWO_SOCKETS_SMT);
    rank("0-7", 3);
    expect(0, "cores 0,2-3 (free, same cache as core 1 of the application)");
    expect_units(0, "0-1,4-7", "0-1,4-7");
    ranks = 0;
    rank("0-1", 0);
    expect(0, "the application's core (the rank has no other)");
    ranks = 0;
    rank("1,2", 1);
    expect(0, "core 1 (free, same cache as core 0 of the application)");
    expect_units(0, "2", "2");
}

/* ---- holes, and distances ---------------------------------------------------------------------------------------- */

static void cpusets_with_holes(void)
{
    machine(TWO_SOCKETS);
    rank("3,9,64,70,120", 70);
    expect(0, "cores 64,120 (free, same NUMA node as core 70 of the application); workers cores 3,9,64,120");
    ranks = 0;
    rank("3,9,64", 64);
    expect(0, "cores 3,9 (free, the nearest to core 64 of the application)");
    ranks = 0;
    rank("5,13", 13);
    expect(0, "core 5 (free, same NUMA node as core 13 of the application)");
    ranks = 0;
    rank("1000-1023", 1000);
    expect(0, "as the rank (the machine's cores are not known)");
}

static void numa_before_package(void)
{
    machine("pack:2 numa:4 l3:2 core:4 pu:1");
    rank("0,4-15", 0);
    expect(0, "cores 4-7 (free, same NUMA node as core 0 of the application); workers cores 4-15");
    ranks = 0;
    rank("0,8-15,32-40", 0);
    expect(0, "cores 8-15 (free, same package as core 0 of the application); workers cores 8-15,32-40");
}

static void overlapping_masks(void)
{
    machine("pack:1 [numa] l3:1 core:8 pu:1");
    rank("0-3", 0);
    rank("2-7", 2);
    rank("1", 1);
    expect_sane();
    expect_units(0, "3", "3");
    expect_units(1, "4-7", "3-7");
}

/* ---- many -------------------------------------------------------------------------------------------------------- */

/* Masks drawn anyhow. */
static void any_masks(void)
{
    unsigned state = 1;
    machine(TWO_SOCKETS_SMT);
    for (int round = 0; round < 40; round++) {
        ranks = 1 + round * 3 / 2;
        for (int r = 0; r < ranks; r++) {
            memset(&seats[r].may, 0, sizeof seats[r].may);
            for (int bits = 1 + round % 9; bits > 0; bits--) {
                state = state * 1664525 + 1013904223;
                const int from = (int)(state >> 16) % 256;
                for (int u = from; u < from + round % 5 + 1 && u < 256; u++)
                    rri_units_add(&seats[r].may, u);
            }
            seats[r].home = rri_units_next(&seats[r].may, 0);
            seats[r].threads = r % 7 != 3;
        }
        expect_sane();
    }
}

static void nothing_known(void)
{
    machine("core:2 pu:1");
    rank("0-1", -1);
    expect(0, "core 1 (free, same NUMA node as core 0 of the application)");
    memset(&seats[0].may, 0, sizeof seats[0].may);
    expect(0, "as the rank (the machine's cores are not known)");
    map.known = false;
    expect(0, "as the rank (the machine's cores are not known)");
    CU_ASSERT_EQUAL(rri_seats_single(&map, seats, ranks), 0);
}

/* ---- cores are short --------------------------------------------------------------------------------------------- */

static bool is_short(const char *const *masks)
{
    for (ranks = 0; masks[ranks] != NULL;) rank(masks[ranks], -1);
    return rri_seats_short(seats, ranks);
}

static void shortness(void)
{
    CU_ASSERT_FALSE(is_short((const char *const[]){ "0", "1", NULL }));
    CU_ASSERT_FALSE(is_short((const char *const[]){ "0-1", "0-1", NULL }));
    CU_ASSERT(is_short((const char *const[]){ "0-1", "0-1", "0-1", NULL }));
    CU_ASSERT(is_short((const char *const[]){ "0", "0", "2-7", NULL }));
    CU_ASSERT(is_short((const char *const[]){ "0-1", "2-7", "1", "0", NULL }));
    CU_ASSERT_FALSE(is_short((const char *const[]){ "0-2", "0-1", "0", NULL }));
    CU_ASSERT_FALSE(is_short((const char *const[]){ "0-3", "0-2", "0-1", "0", NULL }));
}

/* The worst for a matching that begins at the first unit: each rank pushes all before it on. */
static void shortness_of_many(void)
{
    char may[32];
    ranks = 0;
    for (int r = 0; r < MOST; r++) {
        snprintf(may, sizeof may, "0-%d", MOST - 1 - r);
        rank(may, -1);
    }
    CU_ASSERT_FALSE(rri_seats_short(seats, ranks));
    CU_ASSERT(rri_units_parse(&seats[0].may, "0"));
    CU_ASSERT(rri_seats_short(seats, ranks));
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "maps", maps },
        { "one rank on all", one_rank_on_all },
        { "four cores a rank", four_cores_a_rank },
        { "sockets shared", sockets_shared },
        { "homes that fall together", homes_that_fall_together },
        { "one core per rank", one_core_per_rank },
        { "two cores for two", two_cores_for_two },
        { "crowded", crowded },
        { "more ranks than cores", more_ranks_than_cores },
        { "driven by the application", driven_by_the_application },
        { "hardware threads", hardware_threads },
        { "cpusets with holes", cpusets_with_holes },
        { "NUMA before package", numa_before_package },
        { "overlapping masks", overlapping_masks },
        { "any masks", any_masks },
        { "nothing known", nothing_known },
        { "shortness", shortness },
        { "shortness of many", shortness_of_many },
        CHECK_END
    };
    return check_main(argc, argv, "seat", cases);
}
