/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random histories of references on three ranks, against an oracle that only counts them: the object lives while a reference
 * is held or under way, and is destroyed once, when the last one has gone and all is delivered.
 *
 * RREF_TEST_SEED repeats a run.
 */
#include "counted.h"

#include "check.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { HELD = 24, STEPS = 300, HISTORIES = 40, ROUNDS = 100 };

typedef struct held { int rank; rref reference; } held;

static held hand[HELD];
static unsigned holds, shares, uses;        /* the oracle's: references held now; references and calls sent so far */
static uint64_t state;

static uint64_t draw(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static int below(int n) { return (int)(draw() % (uint64_t)n); }

/* ---- steps */

static void drop(unsigned at)
{
    counted_drop(hand[at].reference);
    hand[at] = hand[--holds];
}

static void share(unsigned at)
{
    if (holds + shares - counted.arrived == HELD) return;
    counted_share(hand[at].rank, hand[at].reference, (hand[at].rank + 1 + below(COUNTED_RANKS - 1)) % COUNTED_RANKS);
    shares++;
}

static void use(unsigned at)
{
    if (hand[at].rank == COUNTED_OWNER) return;
    counted_use(hand[at].rank, hand[at].reference);
    uses++;
}

static void deliver(int from, int to, bool keep)
{
    rref kept = { 0 };
    counted_deliver(from, to, keep, &kept);
    if (kept.bits) hand[holds++] = (held){ to, kept };
}

static void step(void)
{
    int from = below(COUNTED_RANKS), to = below(COUNTED_RANKS);
    unsigned what = (unsigned)below(10);
    if (what < 4) deliver(from, to, below(4) > 0);
    else if (what < 6) counted_board(from, to);
    else if (!holds) return;
    else if (what < 8) share((unsigned)below((int)holds));
    else if (what < 9) use((unsigned)below((int)holds));
    else drop((unsigned)below((int)holds));
}

static bool is_needed(void) { return holds || shares != counted.arrived || uses != counted.used; }

/* What was sent arrives, and what waits leaves, until nothing is left of either. */
static void settle(void)
{
    for (int round = 0; round < ROUNDS; round++)
        for (int from = 0; from < COUNTED_RANKS; from++)
            for (int to = 0; to < COUNTED_RANKS; to++) {
                deliver(from, to, false);
                counted_board(from, to);
            }
}

static void history(int64_t log)
{
    bool early = false;
    holds = shares = uses = 0;
    counted_open(log);
    int creator = 1 + below(COUNTED_RANKS - 1);
    hand[holds++] = (held){ creator, counted_create(creator) };
    for (int i = 0; i < STEPS; i++) {
        step();
        early = early || (counted.destroyed && is_needed());
    }
    settle();
    CU_ASSERT_EQUAL(is_needed(), holds > 0);
    CU_ASSERT_EQUAL(counted.destroyed, holds == 0);
    while (holds) drop(holds - 1);
    settle();
    CU_ASSERT_FALSE(early);
    CU_ASSERT_EQUAL(counted.made, 1);
    CU_ASSERT_EQUAL(counted.destroyed, 1);
    CU_ASSERT_EQUAL(counted.used, uses);
    for (int k = 0; k < COUNTED_RANKS; k++) CU_ASSERT_EQUAL(counted_references(k), 0);
    CU_ASSERT_TRUE(counted_close());
}

/* Without enough weight for one share, for some, and with enough for all. */
static void random_histories(void)
{
    static const int64_t logs[] = { 0, 1, 3, 5, 60 };
    const char *given = getenv("RREF_TEST_SEED");
    state = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 1000003;
    printf("counting: RREF_TEST_SEED=%#" PRIx64 "\n", state);
    for (int i = 0; i < HISTORIES; i++) history(logs[i % 5]);
}

/* Released at once, before the owner has heard of the object. */
static void dropped_before_it_is_made(void)
{
    counted_open(60);
    counted_drop(counted_create(1));
    settle();
    CU_ASSERT_EQUAL(counted.made, 1);
    CU_ASSERT_EQUAL(counted.destroyed, 1);
    CU_ASSERT_TRUE(counted_close());
}

/* A third rank has dropped the reference, or wants weight for it, before the object is made. */
static void overtaken_by_its_references(void)
{
    for (int64_t log = 0; log < 3; log++) {
        rref third = { 0 };
        counted_open(log);
        rref first = counted_create(1);
        counted_share(1, first, 2);
        counted_deliver(1, 2, true, &third);
        CU_ASSERT_NOT_EQUAL_FATAL(third.bits, 0);
        counted_use(2, third);
        counted_drop(third);
        counted_drop(first);
        for (int i = 0; i < 4; i++) {
            counted_board(2, COUNTED_OWNER);
            counted_deliver(2, COUNTED_OWNER, false, &third);
        }
        CU_ASSERT_EQUAL(counted.made, 0);
        settle();
        CU_ASSERT_EQUAL(counted.used, 1);
        CU_ASSERT_EQUAL(counted.destroyed, 1);
        CU_ASSERT_TRUE(counted_close());
    }
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "random histories", random_histories }, { "dropped before it is made", dropped_before_it_is_made },
        { "overtaken by its references", overtaken_by_its_references }, CHECK_END
    };
    rri_log_open("error:/dev/null", 0);
    int status = check_main(argc, argv, "counting", cases);
    rri_log_close();
    return status;
}
