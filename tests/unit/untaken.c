/* SPDX-License-Identifier: BSD-3-Clause */
/* What neighbours have not taken, with all of them in this process. */
#include "untaken.h"

#include "chaos.h"
#include "check.h"
#include "error.h"

#include <pthread.h>
#include <sched.h>

enum { MANY = 150, ROUNDS = 300 };

static rri_untaken told;
static rri_doorbell *bell[MANY];
static char name[RRI_DOORBELL_NAME];

static void begin(int ranks)
{
    CU_ASSERT_TRUE_FATAL(rri_untaken_open(&told, ranks));
    CU_ASSERT_EQUAL_FATAL(rri_doorbell_make(&bell[0], name, ranks), RREF_OK);
    for (int i = 1; i < ranks; i++) CU_ASSERT_EQUAL_FATAL(rri_doorbell_map(&bell[i], name, ranks, i), RREF_OK);
    rri_doorbell_unlink(name);
}

static void end(int ranks)
{
    for (int i = 0; i < ranks; i++) rri_doorbell_free(bell[i]);
    rri_untaken_close(&told);
}

static void announce(int to) { rri_untaken_announce(&told, bell[0], to, true); }
static void take(int who) { rri_doorbell_handled(bell[who], 0); }
static bool any(void) { return rri_untaken_any(&told, bell[0]); }

static void told_and_taken(void)
{
    begin(2);
    CU_ASSERT_FALSE(any());
    announce(1);
    announce(1);
    CU_ASSERT_EQUAL(rri_doorbell_announced(bell[1]), 2);
    CU_ASSERT_EQUAL(rri_untaken_announced(&told, 1), 2);
    take(1);
    CU_ASSERT_TRUE(any());
    take(1);
    CU_ASSERT_FALSE(any());
    announce(1);
    CU_ASSERT_TRUE(any());
    end(2);
}

/* An answer says it, too. */
static void settled(void)
{
    begin(2);
    announce(1);
    rri_untaken_settle(&told, 1, rri_untaken_announced(&told, 1));
    CU_ASSERT_FALSE(any());
    announce(1);
    CU_ASSERT_TRUE(any());
    end(2);
}

static void written_off(void)
{
    begin(3);
    announce(1);
    announce(2);
    rri_untaken_write_off(&told, 1);
    CU_ASSERT_TRUE(any());
    take(2);
    CU_ASSERT_FALSE(any());
    CU_ASSERT_TRUE(rri_untaken_is_lost(&told, 1));
    CU_ASSERT_FALSE(rri_untaken_is_lost(&told, 2));
    end(3);
}

static int bits(void)
{
    int n = 0;
    for (int i = 0; i < MANY; i++) n += atomic_load(&told.spoken[i / 64]) >> i % 64 & 1 ? 1 : 0;
    return n;
}

/* Only a few of those that have been spoken to are looked at again; whoever is spoken to next is among them. */
static void many(void)
{
    begin(MANY);
    for (int i = 0; i < MANY; i++) announce(i);
    CU_ASSERT_TRUE(any());
    for (int i = 0; i < MANY; i++) {
        CU_ASSERT_TRUE(any());
        take(i);
    }
    CU_ASSERT_FALSE(any());
    CU_ASSERT_TRUE(bits() < MANY / 4);
    for (int i = MANY - 1; i >= 0; i--) {
        announce(i);
        CU_ASSERT_TRUE(any());
        take(i);
        CU_ASSERT_FALSE(any());
    }
    end(MANY);
}

/* ---- a message is announced while the bits of all are cleared */

static atomic_int turn;             /* odd: a message is to be announced */

static int neighbour_of(int round) { return 4 + round % 4; }

static void *announce_in_turns(void *unused)
{
    (void)unused;
    for (int round = 0; round < ROUNDS; round++) {
        while (atomic_load(&turn) != 2 * round + 1) sched_yield();
        announce(neighbour_of(round));
        atomic_store(&turn, 2 * round + 2);
    }
    return NULL;
}

static void beside(void)
{
    pthread_t thread;
    int missed = 0;
    rri_chaos_plan slow;
    CU_ASSERT_EQUAL_FATAL(rri_chaos_read("seed:1,slow", &slow), RREF_OK);
    rri_chaos_begin(&slow, 0);
    begin(8);
    atomic_store(&turn, 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, announce_in_turns, NULL), 0);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 8; i++) {
            announce(i);
            take(i);
        }
        atomic_store(&turn, 2 * round + 1);
        while (atomic_load(&turn) != 2 * round + 2) any();
        missed += !any();
        take(neighbour_of(round));
        missed += any();
    }
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(missed, 0);
    end(8);
}

static const check_case cases[] = {
    { "told_and_taken", told_and_taken }, { "settled", settled }, { "written_off", written_off }, { "many", many },
    { "beside", beside }, CHECK_END
};

int main(int argc, char **argv) { return check_main(argc, argv, "untaken", cases); }
