/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects made and released, references passed on and dropped, 64 at a time; beside as many calls (rate, out-64). */
#include "clock.h"
#include "objects.h"
#include "pipeline.h"
#include "row.h"
#include "tests.h"

enum { OUT = 64, CALLS = 20000 };

static double calls(bench *b, const void *arg, sample *singles)
{
    const rref echo = objects_echo(b, b->context, 1, 0);
    const double rate = pipeline_rate(b, echo, OUT, *(const size_t *)arg);
    (void)singles;
    bench_must(b, rref_release(echo), "release");
    return rate;
}

/* ---- create ------------------------------------------------------------------------------------------------------ */

static void make_and_release(const bench *b, size_t n)
{
    rref bead[OUT];
    for (size_t i = 0; i < n + OUT; i++) {
        if (i >= OUT) bench_must(b, rref_release(bead[i % OUT]), "release");
        if (i < n) bead[i % OUT] = rref_create(b->context, 1, "bead");
    }
}

static void create_some(const bench *b, size_t n)
{
    const uint64_t before = objects_beads_there(b, b->context).made;
    make_and_release(b, n);
    while (objects_beads_there(b, b->context).alive > 0) continue;
    bench_expect(b, objects_beads_there(b, b->context).made == before + n, "the number of objects made");
}

static double create(bench *b, const void *arg, sample *singles)
{
    const size_t n = *(const size_t *)arg;
    (void)singles;
    create_some(b, n / 10 + 1);
    const double start = clock_now();
    create_some(b, n);
    return (double)n / (clock_now() - start);
}

void create_test(bench *b)
{
    const size_t n = bench_calls(b, CALLS);
    row_measure(b, &(row){ "create", "create", 0, n, "1/s", ROW_OURS | ROW_RAW }, calls, create, &n);
}

/* ---- share ------------------------------------------------------------------------------------------------------- */

/* The reference that is passed on: to an object of rank 0, so that it is new to rank 1 each time. */
static rref shared;

static rref_future start_drop(rref_method_ref method, uint64_t i, uint64_t *room)
{
    *room = i;
    return rref_async(method, shared);
}

static double share(bench *b, const void *arg, sample *singles)
{
    const rref echo = objects_echo(b, b->context, 1, 0);
    (void)singles;
    shared = objects_echo(b, b->context, 0, 0);
    const double rate = pipeline_run(b, rref_bind(echo, "drop"), OUT, *(const size_t *)arg, start_drop);
    bench_must(b, rref_release(shared), "release");
    bench_must(b, rref_release(echo), "release");
    return rate;
}

void share_test(bench *b)
{
    const size_t n = bench_calls(b, CALLS);
    row_measure(b, &(row){ "share", "share", 0, n, "1/s", ROW_OURS | ROW_RAW }, calls, share, &n);
}
