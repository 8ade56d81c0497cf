/* SPDX-License-Identifier: BSD-3-Clause */
/* Times and timers: conversions at their edges, order of firing, removal, and a heap against a sorted array. */
#include "clock.h"

#include "check.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

/* ---- time */

static void seconds(void)
{
    int64_t ns = 77;
    CU_ASSERT(!rri_seconds(-1e-9, &ns));
    CU_ASSERT(!rri_seconds((double)NAN, &ns));
    CU_ASSERT(!rri_seconds((double)-INFINITY, &ns));
    CU_ASSERT_EQUAL(ns, 77);
    CU_ASSERT(rri_seconds(0, &ns) && ns == 0);
    CU_ASSERT(rri_seconds(1.5, &ns) && ns == 1500000000);
    CU_ASSERT(rri_seconds(1e8, &ns) && ns == INT64_C(100000000000000000));
    CU_ASSERT(rri_seconds(1e300, &ns) && ns == RRI_NEVER);
    CU_ASSERT(rri_seconds((double)INFINITY, &ns) && ns == RRI_NEVER);
}

static void after(void)
{
    int64_t now = rri_now();
    CU_ASSERT(now > 0 && rri_now() >= now);
    CU_ASSERT_EQUAL(rri_after(now, 5), now + 5);
    CU_ASSERT_EQUAL(rri_after(now, RRI_NEVER), RRI_NEVER);
    CU_ASSERT_EQUAL(rri_after(now, RRI_NEVER - now), RRI_NEVER);
    CU_ASSERT_EQUAL(rri_after(now, RRI_NEVER - now - 1), RRI_NEVER - 1);
}

/* ---- timers */

enum { MANY = 3000 };

static rri_timers timers;
static rri_timer timer[MANY];
static rri_timer *fired[MANY];
static unsigned count;

static void note(rri_timer *t) { fired[count++] = t; }

static void open_timers(void)
{
    rri_timers_init(&timers);
    count = 0;
    for (int i = 0; i < MANY; i++) timer[i] = (rri_timer){ .due = note };
}

static bool add(int i, int64_t deadline)
{
    bool first = false;
    CU_ASSERT_EQUAL(rri_timer_add(&timers, &timer[i], deadline, &first), 0);
    return first;
}

static void order(void)
{
    open_timers();
    CU_ASSERT_EQUAL(atomic_load(&timers.next), RRI_NEVER);
    CU_ASSERT(add(0, 30));
    CU_ASSERT(add(1, 10));
    CU_ASSERT(!add(2, 20));
    CU_ASSERT_EQUAL(atomic_load(&timers.next), 10);
    CU_ASSERT_EQUAL(rri_timers_fire(&timers, 9), 0);
    CU_ASSERT_EQUAL(rri_timers_fire(&timers, 20), 2);
    CU_ASSERT(count == 2 && fired[0] == &timer[1] && fired[1] == &timer[2]);
    CU_ASSERT_EQUAL(atomic_load(&timers.next), 30);
    CU_ASSERT_EQUAL(timer[1].place, 0);
    CU_ASSERT_EQUAL(rri_timers_fire(&timers, 1000), 1);
    CU_ASSERT_EQUAL(rri_timers_fire(&timers, 1000), 0);
    CU_ASSERT_EQUAL(atomic_load(&timers.next), RRI_NEVER);
    rri_timers_free(&timers);
}

static void removal(void)
{
    open_timers();
    for (int i = 0; i < 10; i++) add(i, 100 - i);
    CU_ASSERT(rri_timer_remove(&timers, &timer[9]));        /* the first */
    CU_ASSERT_EQUAL(atomic_load(&timers.next), 92);
    CU_ASSERT(!rri_timer_remove(&timers, &timer[9]));
    CU_ASSERT(rri_timer_remove(&timers, &timer[0]));        /* the last */
    CU_ASSERT(rri_timer_remove(&timers, &timer[4]));
    CU_ASSERT(!rri_timer_remove(&timers, &timer[20]));      /* never added */
    CU_ASSERT_EQUAL(rri_timers_fire(&timers, 200), 7);
    for (unsigned i = 1; i < count; i++) CU_ASSERT(fired[i - 1]->deadline < fired[i]->deadline);
    CU_ASSERT(!rri_timer_remove(&timers, &timer[5]));       /* fired */
    rri_timers_free(&timers);
}

static void again(rri_timer *t)
{
    bool first;
    fired[count++] = t;
    if (count < 5) rri_timer_add(&timers, t, t->deadline + 1, &first);
}

/* What is due may come back, and is fired in the same call if it is due again. */
static void comes_back(void)
{
    open_timers();
    timer[0].due = again;
    add(0, 1);
    CU_ASSERT_EQUAL(rri_timers_fire(&timers, 3), 3);
    CU_ASSERT_EQUAL(rri_timers_fire(&timers, 100), 2);
    rri_timers_free(&timers);
}

/* Random adding, removing and firing, beside an array that is searched. */
static void random_heap(void)
{
    static bool there[MANY];
    unsigned seed = 1, wrong = 0;
    open_timers();
    for (int i = 0; i < MANY; i++) there[i] = false;
    for (int step = 0; step < 40000; step++) {
        int i = rand_r(&seed) % MANY, what = rand_r(&seed) % 8;
        int64_t earliest = RRI_NEVER;
        if (what < 4 && !there[i]) {
            add(i, rand_r(&seed) % 100000);
            there[i] = true;
        } else if (what < 6) {
            wrong += rri_timer_remove(&timers, &timer[i]) != there[i];
            there[i] = false;
        } else if (step % 50 == 0) {
            int64_t now = rand_r(&seed) % 100000;
            unsigned due = 0;
            for (int k = 0; k < MANY; k++) due += there[k] && timer[k].deadline <= now;
            count = 0;
            wrong += rri_timers_fire(&timers, now) != due || count != due;
            for (unsigned k = 0; k < count; k++) {
                wrong += k && fired[k - 1]->deadline > fired[k]->deadline;
                wrong += !there[fired[k] - timer] || fired[k]->deadline > now;
                there[fired[k] - timer] = false;
            }
        }
        if (step % 100) continue;
        for (int k = 0; k < MANY; k++)
            if (there[k] && timer[k].deadline < earliest) earliest = timer[k].deadline;
        wrong += atomic_load(&timers.next) != earliest;
    }
    CU_ASSERT_EQUAL(wrong, 0);
    rri_timers_free(&timers);
}

/* ---- threads */

enum { THREADS = 4, EACH = 500 };
static atomic_uint seen;

static void tell(rri_timer *t)
{
    (void)t;
    atomic_fetch_add(&seen, 1);
}

static void *fill(void *arg)
{
    rri_timer *mine = arg;
    uintptr_t removed = 0;
    bool first;
    for (int i = 0; i < EACH; i++) rri_timer_add(&timers, &mine[i], i % 7, &first);
    for (int i = 0; i < EACH; i += 2) removed += rri_timer_remove(&timers, &mine[i]);
    return (void *)removed;
}

/* Each timer is either removed or fired, never both. */
static void many_threads(void)
{
    pthread_t thread[THREADS];
    uintptr_t removed = 0;
    open_timers();
    atomic_store(&seen, 0);
    for (int i = 0; i < THREADS * EACH; i++) timer[i].due = tell;
    for (int i = 0; i < THREADS; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, fill, &timer[i * EACH]), 0);
    for (int i = 0; i < 200; i++) rri_timers_fire(&timers, 3);
    for (int i = 0; i < THREADS; i++) {
        void *n;
        pthread_join(thread[i], &n);
        removed += (uintptr_t)n;
    }
    rri_timers_fire(&timers, 100);
    CU_ASSERT_EQUAL(removed + atomic_load(&seen), THREADS * EACH);
    rri_timers_free(&timers);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "seconds", seconds }, { "after", after }, { "order", order }, { "removal", removal }, { "comes back", comes_back },
        { "random heap", random_heap }, { "many threads", many_threads }, CHECK_END
    };
    return check_main(argc, argv, "clock", cases);
}
