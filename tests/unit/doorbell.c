/* SPDX-License-Identifier: BSD-3-Clause */
/* The doorbell, as two ranks of one process that map the same segment: counting, sleeping, and being woken. */
#include "doorbell.h"

#include "check.h"
#include "error.h"

#include <pthread.h>
#include <string.h>

static rri_doorbell *bell[2];
static char name[RRI_DOORBELL_NAME];

static void open_bells(void)
{
    CU_ASSERT_EQUAL_FATAL(rri_doorbell_make(&bell[0], name, 2), RREF_OK);
    CU_ASSERT_EQUAL_FATAL(rri_doorbell_map(&bell[1], name, 2, 1), RREF_OK);
    rri_doorbell_unlink(name);
}

static void close_bells(void)
{
    rri_doorbell_free(bell[0]);
    rri_doorbell_free(bell[1]);
}

static void alone(void)
{
    rri_doorbell *one;
    char none[RRI_DOORBELL_NAME] = "x";
    CU_ASSERT_EQUAL_FATAL(rri_doorbell_make(&one, none, 1), RREF_OK);
    CU_ASSERT_STRING_EQUAL(none, "");
    CU_ASSERT_EQUAL(rri_doorbell_announced(one), 0);
    rri_doorbell_ring(one, 0, true);
    CU_ASSERT_EQUAL(rri_doorbell_announced(one), 1);
    rri_doorbell_unlink(none);
    rri_doorbell_free(one);
    rri_doorbell_free(NULL);
}

static void two_segments(void)
{
    rri_doorbell *a, *b;
    char other[RRI_DOORBELL_NAME];
    CU_ASSERT_EQUAL_FATAL(rri_doorbell_make(&a, name, 2), RREF_OK);
    CU_ASSERT_EQUAL_FATAL(rri_doorbell_make(&b, other, 2), RREF_OK);
    CU_ASSERT_STRING_NOT_EQUAL(name, other);
    rri_doorbell_ring(a, 0, true);
    CU_ASSERT_EQUAL(rri_doorbell_announced(b), 0);
    rri_doorbell_unlink(name);
    rri_doorbell_unlink(other);
    rri_doorbell_free(a);
    rri_doorbell_free(b);
}

static void name_is_gone(void)
{
    rri_doorbell *late;
    open_bells();
    CU_ASSERT_EQUAL(rri_doorbell_map(&late, name, 2, 1), RREF_ERR_SYSTEM);
    CU_ASSERT_PTR_NOT_NULL(strstr(rri_error_last()->text, name));
    close_bells();
}

static void counting(void)
{
    open_bells();
    for (int i = 0; i < 3; i++) rri_doorbell_ring(bell[0], 1, true);
    rri_doorbell_ring(bell[1], 0, true);
    CU_ASSERT_EQUAL(rri_doorbell_announced(bell[1]), 3);
    CU_ASSERT_EQUAL(rri_doorbell_announced(bell[0]), 1);
    CU_ASSERT_EQUAL(rri_doorbell_handled_by(bell[0], 1), 0);
    rri_doorbell_handled(bell[1], 0);
    rri_doorbell_handled(bell[1], 0);
    CU_ASSERT_EQUAL(rri_doorbell_handled_by(bell[0], 1), 2);
    CU_ASSERT_EQUAL(rri_doorbell_handled_by(bell[1], 0), 0);
    CU_ASSERT_EQUAL(rri_doorbell_handled_by(bell[0], 0), 0);
    rri_doorbell_handled(bell[0], 0);       /* of itself */
    CU_ASSERT_EQUAL(rri_doorbell_handled_by(bell[0], 0), 1);
    close_bells();
}

/* A ring takes the mark of a sleeper away, so that the next one costs no system call. */
static void marks(void)
{
    open_bells();
    CU_ASSERT(!rri_doorbell_sleeps(bell[1]));
    rri_doorbell_asleep(bell[1], RRI_WATCHER, rri_doorbell_announced(bell[1]));
    CU_ASSERT(rri_doorbell_sleeps(bell[1]));
    CU_ASSERT(!rri_doorbell_sleeps(bell[0]));
    rri_doorbell_ring(bell[0], 0, true);
    CU_ASSERT(rri_doorbell_sleeps(bell[1]));
    rri_doorbell_ring(bell[0], 1, true);
    CU_ASSERT(!rri_doorbell_sleeps(bell[1]));
    rri_doorbell_asleep(bell[1], RRI_WATCHER, rri_doorbell_announced(bell[1]));
    rri_doorbell_awake(bell[1]);
    CU_ASSERT(!rri_doorbell_sleeps(bell[1]));
    close_bells();
}

/* A late ring, which the sleeper has seen before it lay down, leaves the mark to the next one. */
static void late_ring(void)
{
    open_bells();
    unsigned seen = rri_doorbell_announced(bell[1]) + 1;
    rri_doorbell_asleep(bell[1], RRI_WATCHER, seen);
    rri_doorbell_ring(bell[0], 1, true);
    CU_ASSERT_EQUAL(rri_doorbell_announced(bell[1]), seen);
    CU_ASSERT(rri_doorbell_sleeps(bell[1]));
    rri_doorbell_ring(bell[0], 1, true);
    CU_ASSERT(!rri_doorbell_sleeps(bell[1]));
    close_bells();
}

/* The standby is called by the first ring, or by the rank itself, that comes behind its mark; and by nothing else. */
static void standby(void)
{
    open_bells();
    atomic_uint *calls = rri_doorbell_standby(bell[1]);
    rri_doorbell_ring(bell[0], 1, true);
    rri_doorbell_wake(bell[1]);
    CU_ASSERT_EQUAL(atomic_load(calls), 0);
    rri_doorbell_asleep(bell[1], RRI_STANDBY, rri_doorbell_announced(bell[1]) + 1);     /* the next one is late */
    rri_doorbell_wake(bell[1]);
    CU_ASSERT_EQUAL(atomic_load(calls), 0);
    CU_ASSERT(rri_doorbell_sleeps(bell[1]));
    for (int i = 0; i < 2; i++) rri_doorbell_ring(bell[0], 1, true);
    CU_ASSERT_EQUAL(atomic_load(calls), 1);
    CU_ASSERT(!rri_doorbell_sleeps(bell[1]));
    rri_doorbell_asleep(bell[1], RRI_STANDBY, rri_doorbell_announced(bell[1]));
    rri_doorbell_wake(bell[1]);
    CU_ASSERT_EQUAL(atomic_load(calls), 2);
    CU_ASSERT_EQUAL(atomic_load(rri_doorbell_standby(bell[0])), 0);
    close_bells();
}

/* The patient is told of everything, and woken for what is urgent or comes from its own rank. */
static void patience(void)
{
    open_bells();
    CU_ASSERT(!rri_doorbell_is_patient(bell[1]));
    rri_doorbell_asleep(bell[1], RRI_PATIENT, rri_doorbell_announced(bell[1]));
    for (int i = 0; i < 2; i++) rri_doorbell_ring(bell[0], 1, false);
    CU_ASSERT_EQUAL(rri_doorbell_announced(bell[1]), 2);
    CU_ASSERT(rri_doorbell_is_patient(bell[1]) && rri_doorbell_sleeps(bell[1]));
    rri_doorbell_ring(bell[0], 1, true);
    CU_ASSERT(!rri_doorbell_sleeps(bell[1]));
    rri_doorbell_asleep(bell[1], RRI_PATIENT, rri_doorbell_announced(bell[1]));
    rri_doorbell_wake(bell[1]);
    CU_ASSERT(!rri_doorbell_sleeps(bell[1]));
    rri_doorbell_asleep(bell[1], RRI_WATCHER, rri_doorbell_announced(bell[1]));
    CU_ASSERT(!rri_doorbell_is_patient(bell[1]));
    rri_doorbell_ring(bell[0], 1, false);
    CU_ASSERT(!rri_doorbell_sleeps(bell[1]));
    close_bells();
}

/* ---- sleeping */

static void sleeps_not_on_news(void)
{
    open_bells();
    unsigned seen = rri_doorbell_announced(bell[1]);
    rri_doorbell_ring(bell[0], 1, true);
    rri_doorbell_asleep(bell[1], RRI_WATCHER, seen);
    rri_doorbell_sleep(bell[1], RRI_WATCHER, seen, -1);  /* would be for ever */
    close_bells();
}

static void sleeps_so_long(void)
{
    open_bells();
    double start = check_clock();
    rri_doorbell_asleep(bell[1], RRI_WATCHER, rri_doorbell_announced(bell[1]));
    rri_doorbell_sleep(bell[1], RRI_WATCHER, rri_doorbell_announced(bell[1]), 20000000);
    CU_ASSERT(check_clock() - start < check_patience(10));
    close_bells();
}

/* Two sleepers of one rank, the watcher first: the mark says whom a ring wakes, and the rank's own wakes both. */
static atomic_uint asleep, awake;

static void *lie_down(void *arg)
{
    rri_sleeper who = (rri_sleeper)(uintptr_t)arg;
    unsigned seen = rri_doorbell_announced(bell[1]);
    atomic_fetch_or(&asleep, who);
    rri_doorbell_sleep(bell[1], who, seen, -1);
    atomic_fetch_or(&awake, who);
    return NULL;
}

static bool lies(void *arg) { return atomic_load(&asleep) & *(const unsigned *)arg; }
static bool stands(void *arg) { return atomic_load(&awake) & *(const unsigned *)arg; }

static void one_of_two_wakes(void)
{
    pthread_t thread[2];
    unsigned who[] = { RRI_WATCHER, RRI_DOZER };
    open_bells();
    for (unsigned i = 0; i < 2; i++) {
        CU_ASSERT_FATAL(pthread_create(&thread[i], NULL, lie_down, (void *)(uintptr_t)who[i]) == 0);
        CU_ASSERT(check_until(lies, &who[i], 10));
    }
    rri_doorbell_asleep(bell[1], RRI_DOZER, rri_doorbell_announced(bell[1]));
    rri_doorbell_ring(bell[0], 1, true);
    CU_ASSERT(check_until(stands, &who[1], 10));
    rri_doorbell_wake(bell[1]);
    for (unsigned i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    close_bells();
}

static atomic_uint taken;
enum { RINGS = 3000 };

/* A rank that sleeps whenever it has seen all that was announced. */
static void *sleeper(void *arg)
{
    rri_doorbell *mine = arg;
    for (unsigned handled = 0; handled < RINGS;) {
        unsigned announced = rri_doorbell_announced(mine);
        if (handled != announced) {
            handled++;
            rri_doorbell_handled(mine, 0);
            atomic_store(&taken, handled);
            continue;
        }
        rri_doorbell_asleep(mine, RRI_WATCHER, announced);
        if (rri_doorbell_announced(mine) == announced && rri_doorbell_sleeps(mine))
            rri_doorbell_sleep(mine, RRI_WATCHER, announced, -1);
        rri_doorbell_awake(mine);
    }
    return NULL;
}

static bool taken_all(void *arg) { return rri_doorbell_handled_by(bell[0], 1) == *(const unsigned *)arg; }

static void every_ring_wakes(void)
{
    pthread_t thread;
    open_bells();
    atomic_store(&taken, 0);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, sleeper, bell[1]), 0);
    for (unsigned i = 1; i <= RINGS; i++) {
        rri_doorbell_ring(bell[0], 1, true);
        if (i % 10 == 0) CU_ASSERT_FATAL(check_until(taken_all, &i, 20));
    }
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(atomic_load(&taken), RINGS);
    close_bells();
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "alone", alone }, { "two segments", two_segments }, { "name is gone", name_is_gone }, { "counting", counting },
        { "marks", marks }, { "late ring", late_ring }, { "standby", standby },
        { "patience", patience }, { "sleeps not on news", sleeps_not_on_news }, { "sleeps so long", sleeps_so_long },
        { "one of two wakes", one_of_two_wakes }, { "every ring wakes", every_ring_wakes }, CHECK_END
    };
    return check_main(argc, argv, "doorbell", cases);
}
