/* SPDX-License-Identifier: BSD-3-Clause */
/* The application's own messages and computing, beside a library that does nothing or serves, and without it. */
#include "burden.h"
#include "clock.h"
#include "raw.h"
#include "row.h"
#include "tests.h"
#include "work.h"

#include <math.h>
#include <pthread.h>

enum { RATE = 10000, TRIPS = 50000 };
static const double handler_seconds = 10e-6;

/* ---- ping-pong of the mains --------------------------------------------------------------------------------------- */

static double pingpong(bench *b, const void *arg, sample *singles)
{
    const size_t n = *(const size_t *)arg;
    uint64_t data = 1, result = 0;
    const raw_bytes word = { .data = (char *)&data, .result = (char *)&result, .there = sizeof data, .back = sizeof result };
    const double us = 1e6 * raw_exchange(b, &word, n, NULL);
    if (singles) raw_exchange(b, &word, n / 4 + 1, singles);
    return us;
}

static double pingpong_idle(bench *b, const void *arg, sample *singles)
{
    rref_context *context = bench_open(b, b->comm, NULL);
    MPI_Barrier(b->comm);
    const double us = pingpong(b, arg, singles);
    bench_close(b, &context);
    return us;
}

typedef struct caller {
    service service;
    pthread_t thread;
    atomic_bool over;
} caller;

static void *call(void *arg)
{
    caller *c = arg;
    service_call(&c->service, INFINITY, &c->over, NULL);
    return NULL;
}

static double pingpong_serving(bench *b, const void *arg, service_means means, sample *singles)
{
    caller c = { .over = false };
    service_open(&c.service, b, means, RATE, work_units(handler_seconds));
    if (b->rank == 0) bench_expect(b, pthread_create(&c.thread, NULL, call, &c) == 0, "no thread to call from");
    MPI_Barrier(b->comm);
    const double us = pingpong(b, arg, singles);
    atomic_store(&c.over, true);
    if (b->rank == 0) pthread_join(c.thread, NULL);
    service_close(&c.service);
    return us;
}

static double pingpong_bare(bench *b, const void *arg, sample *singles)
{
    return pingpong_serving(b, arg, SERVICE_BARE, singles);
}

static double pingpong_library(bench *b, const void *arg, sample *singles)
{
    return pingpong_serving(b, arg, SERVICE_LIBRARY, singles);
}

static void print_pingpong(bench *b, const char *name, row_round *raw, row_round *ours)
{
    const size_t n = bench_calls(b, TRIPS);
    row_measure(b, &(row){ "interference", name, 8, n, "us", 0 }, raw, ours, &n);
}

/* ---- computing on rank 1's main core ------------------------------------------------------------------------------- */

/* The time of a unit of work, in ns. */
static double compute(bench *b, const void *arg, sample *singles)
{
    (void)singles;
    return 1e9 / burden_compute(b, arg, SERVICE_NONE, NULL);
}

static double compute_idle(bench *b, const void *arg, sample *singles)
{
    rref_context *context = bench_open(b, b->comm, NULL);
    const double ns = compute(b, arg, singles);
    bench_close(b, &context);
    return ns;
}

static void print_compute(bench *b, const char *name)
{
    const burden alone = { .threads = 1, .seconds = bench_seconds(b, 0.5) };
    row_measure(b, &(row){ "interference", name, 0, 1, "ns/unit", 0 }, compute, compute_idle, &alone);
}

static void print_compute_serving(bench *b)
{
    burden_result r;
    burden_measure(b, &(burden){ RATE, work_units(handler_seconds), 1, bench_seconds(b, 0.5) }, &r);
    row_print(b, &(row){ "interference", "compute-serving", 8, r.library.calls / (size_t)b->rounds, "us", 0 },
              &r.library.lost, &r.bare.lost, &r.library.lost);
    burden_free(&r);
}

/* ---- the test ------------------------------------------------------------------------------------------------------ */

static void serving(bench *b)
{
    if (bench_one_node(b)) {
        print_pingpong(b, "pingpong-serving", pingpong_bare, pingpong_library);
        print_compute_serving(b);
    } else {
        row_skip(b, &(row){ .test = "interference", .name = "pingpong-serving", .bytes = 8, .unit = "us" }, BARE_NEEDS);
        row_skip(b, &(row){ .test = "interference", .name = "compute-serving", .bytes = 8, .unit = "us" }, BARE_NEEDS);
    }
}

void interference_test(bench *b)
{
    print_pingpong(b, b->single ? "pingpong-single" : "pingpong-idle", pingpong, pingpong_idle);
    print_compute(b, b->single ? "compute-single" : "compute-idle");
    if (!b->single) serving(b);
}
