/* SPDX-License-Identifier: BSD-3-Clause */
#include "work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"

enum { STEPS = 64, GULP = 10 };

void work_do(uint64_t units)
{
    static _Thread_local volatile uint64_t state = 1;
    uint64_t x = state;
    for (uint64_t i = 0; i < units * STEPS; i++) x = x * 6364136223846793005u + 1442695040888963407u;
    state = x;
}

/* The fastest of some tries is the undisturbed one. */
uint64_t work_units(double seconds)
{
    enum { TRIES = 20, UNITS = 1000 };
    double best = 1;
    for (int i = 0; i < TRIES; i++) {
        const double start = clock_now();
        work_do(UNITS);
        const double taken = clock_now() - start;
        if (taken < best) best = taken;
    }
    return (uint64_t)(seconds / best * UNITS) + 1;
}

static pthread_t crew[WORK_THREADS_MAX];
static int crew_size;
static atomic_bool stopping;
static atomic_uint_fast64_t done;

static void *toil(void *arg)
{
    uint64_t units = 0;
    for (; !atomic_load_explicit(&stopping, memory_order_relaxed); units += GULP) work_do(GULP);
    atomic_fetch_add(&done, units);
    return arg;
}

void work_start(int threads)
{
    atomic_store(&stopping, false);
    atomic_store(&done, 0);
    for (crew_size = 0; crew_size < threads; crew_size++)
        if (pthread_create(&crew[crew_size], NULL, toil, NULL) != 0) {
            fprintf(stderr, "rref-perf: no thread to compute\n");
            abort();
        }
}

uint64_t work_stop(void)
{
    atomic_store(&stopping, true);
    while (crew_size > 0) pthread_join(crew[--crew_size], NULL);
    return atomic_load(&done);
}
