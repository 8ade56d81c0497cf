/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls to a rank whose cores are taken: by its own computing, or by a handler that does not end. */
#include "burden.h"
#include "clock.h"
#include "objects.h"
#include "row.h"
#include "tests.h"
#include "work.h"

#include <sched.h>
#include <stdio.h>

enum { RATE = 1000 };

/* ---- the owner computes ------------------------------------------------------------------------------------------- */

static void print(const bench *b, const char *name, const char *part, burden_result *r, sample *ours, sample *raw)
{
    char full[32];
    sample none = { 0 };
    snprintf(full, sizeof full, "%s%s", name, part);
    row_print(b, &(row){ "busy", full, 8, r->library.calls / (size_t)b->rounds, "us", 0 }, ours, raw,
              *part ? &none : &r->library.single);
}

static void computing(bench *b, const char *name, int threads)
{
    burden_result r;
    burden_measure(b, &(burden){ RATE, 0, threads, bench_seconds(b, 1) }, &r);
    print(b, name, "", &r, &r.library.p50, &r.bare.p50);
    print(b, name, "-p99", &r, &r.library.p99, &r.bare.p99);
    print(b, name, "-mean", &r, &r.library.mean, &r.bare.mean);
    print(b, name, "-lost", &r, &r.library.lost, &r.bare.lost);
    burden_free(&r);
}

/* Cores that rank 1 may use, and those that the two may use together. */
static void count_cores(const bench *b, int *own, int *together)
{
    cpu_set_t set[2], both;
    CPU_ZERO(&both);
    if (sched_getaffinity(0, sizeof both, &both) != 0) CPU_ZERO(&both);
    MPI_Allgather(&both, sizeof both, MPI_BYTE, set, sizeof both, MPI_BYTE, b->comm);
    CPU_OR(&both, &set[0], &set[1]);
    *own = CPU_COUNT(&set[1]);
    *together = CPU_COUNT(&both);
}

/* One core for rank 0, which waits for its answers, one for the computing, and one is free, to which rank 1 can go. */
static void free_core(bench *b)
{
    enum { OWN = 2, TOGETHER = 3 };
    char why[100];
    int own, together;
    count_cores(b, &own, &together);
    snprintf(why, sizeof why, "rank 1 may use %d of %d cores that the two have, %d of %d are needed", own, together, OWN,
             TOGETHER);
    if (own >= OWN && together >= TOGETHER) computing(b, "free-core", 1);
    else row_skip(b, &(row){ .test = "busy", .name = "free-core", .bytes = 8, .unit = "us" }, why);
}

/* ---- one handler computes ----------------------------------------------------------------------------------------- */

/* Calls of another object of the same owner, until the handler has ended; late ones are made up for. */
static double stuck(bench *b, const void *arg, sample *singles)
{
    sample round = { 0 };
    const rref busy = objects_echo(b, b->context, 1, 0), free_one = objects_echo(b, b->context, 1, 0);
    const rref_future handler = rref_async(busy, "compute", work_units(*(const double *)arg));
    const double begin = clock_now();
    for (uint64_t i = 1, answer = 0; !rref_done(handler); i++) {
        clock_sleep_until(begin + (double)i / RATE);
        const double start = clock_now();
        bench_must(b, rref_sync(free_one, "default", i, rref_out(&answer)), "a call beside a handler that computes");
        bench_expect(b, answer == i, "the answer of a call beside a handler that computes");
        sample_add(&round, 1e6 * (clock_now() - start));
        sample_add(singles, round.figure[round.count - 1]);
    }
    bench_must(b, rref_test(handler), "compute");
    rref_future_release(handler);
    rref_release(busy);
    rref_release(free_one);
    const double figure = sample_median(&round);
    sample_free(&round);
    return figure;
}

static void stuck_handler(bench *b)
{
    const double seconds = bench_seconds(b, 2);
    const row r = { "busy", "stuck-handler", 8, 0, "us", ROW_OURS };
    b->context = bench_open(b, b->comm, NULL);
    row_measure(b, &r, NULL, stuck, &seconds);
    bench_close(b, &b->context);
}

void busy_test(bench *b)
{
    if (bench_one_node(b)) {
        computing(b, "shared-core", WORK_THREADS_MAX);
        free_core(b);
    } else {
        row_skip(b, &(row){ .test = "busy", .name = "shared-core", .bytes = 8, .unit = "us" }, BARE_NEEDS);
        row_skip(b, &(row){ .test = "busy", .name = "free-core", .bytes = 8, .unit = "us" }, BARE_NEEDS);
    }
    stuck_handler(b);
}
