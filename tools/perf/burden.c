/* SPDX-License-Identifier: BSD-3-Clause */
#include "burden.h"

#include "clock.h"
#include "work.h"

enum { TAG = 2 };

/* Both ranks stop by their own clocks: no message tells them. */
static double compute(bench *b, const burden *how)
{
    work_start(how->threads);
    const double start = clock_now();
    clock_sleep(how->seconds);
    const uint64_t done = work_stop();          /* the time counts until all have stopped */
    const double units = (double)done / (clock_now() - start);
    MPI_Send(&units, 1, MPI_DOUBLE, 0, TAG, b->comm);
    return units;
}

static double call(bench *b, const burden *how, const service *s, burden_side *side)
{
    double units;
    sample round = { 0 };
    const double end = clock_now() + how->seconds;
    const size_t calls = service_call(s, end, NULL, &round);
    clock_sleep_until(end);
    MPI_Recv(&units, 1, MPI_DOUBLE, 1, TAG, b->comm, MPI_STATUS_IGNORE);
    if (side) {
        side->calls += calls;
        for (size_t i = 0; i < round.count; i++) sample_add(&side->single, round.figure[i]);
        sample_add(&side->mean, sample_mean(&round));
        sample_add(&side->p50, sample_median(&round));
        sample_add(&side->p99, sample_quantile(&round, 0.99));
    }
    sample_free(&round);
    return units;
}

double burden_compute(bench *b, const burden *how, service_means means, burden_side *side)
{
    service s;
    service_open(&s, b, means, how->rate, how->units);
    MPI_Barrier(b->comm);
    const double units = b->rank == 0 ? call(b, how, &s, side) : compute(b, how);
    service_close(&s);
    return units;
}

static void measure_side(bench *b, const burden *how, service_means means, burden_side *side, double undisturbed)
{
    const size_t before = side->calls;
    const double units = burden_compute(b, how, means, side), part = 1 - units / undisturbed;
    sample_add(&side->lost, 1e6 * part * how->seconds / (double)(side->calls - before));
}

void burden_measure(bench *b, const burden *how, burden_result *result)
{
    *result = (burden_result){ 0 };
    for (int i = 0; i < b->rounds; i++) {
        const double undisturbed = burden_compute(b, how, SERVICE_NONE, NULL);
        measure_side(b, how, SERVICE_BARE, &result->bare, undisturbed);
        measure_side(b, how, SERVICE_LIBRARY, &result->library, undisturbed);
    }
}

static void free_side(burden_side *side)
{
    sample_free(&side->single);
    sample_free(&side->p50);
    sample_free(&side->p99);
    sample_free(&side->mean);
    sample_free(&side->lost);
}

void burden_free(burden_result *result)
{
    free_side(&result->bare);
    free_side(&result->library);
}
