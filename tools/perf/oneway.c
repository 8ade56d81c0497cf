/* SPDX-License-Identifier: BSD-3-Clause */
/* One-way calls of 8 bytes. The owner says how many have run, so that those on their way do not count. */
#include "clock.h"
#include "objects.h"
#include "raw.h"
#include "row.h"
#include "tests.h"

typedef struct oneway {
    bool bound;
    size_t n;
} oneway;

static double raw(bench *b, const void *arg, sample *singles)
{
    const oneway *o = arg;
    (void)singles;
    return raw_stream(b, o->n);
}

static void post_bound(const bench *b, rref_method_ref add, size_t n)
{
    for (uint64_t i = 0; i < n; i++) bench_must(b, rref_post(add, i), "add");
}

static void post_by_name(const bench *b, rref echo, size_t n)
{
    for (uint64_t i = 0; i < n; i++) bench_must(b, rref_post(echo, "add", i), "add");
}

/* Posts, and a call behind them, which overtakes none. */
static void post(const bench *b, rref echo, bool bound, size_t n, uint64_t expected)
{
    uint64_t added = 0;
    if (bound) post_bound(b, rref_bind(echo, "add"), n);
    else post_by_name(b, echo, n);
    bench_must(b, rref_sync(echo, "count", rref_out(&added)), "count");
    bench_expect(b, added == expected, "the number of one-way calls that ran");
}

static double ours(bench *b, const void *arg, sample *singles)
{
    const oneway *o = arg;
    const size_t warm = o->n / 10 + 1;
    const rref echo = objects_echo(b, b->context, 1, 0);
    (void)singles;
    post(b, echo, o->bound, warm, warm);
    const double start = clock_now();
    post(b, echo, o->bound, o->n, warm + o->n);
    const double seconds = clock_now() - start;
    bench_must(b, rref_release(echo), "release");
    return (double)o->n / seconds;
}

void oneway_test(bench *b)
{
    oneway o = { true, bench_calls(b, 200000) };
    row_measure(b, &(row){ "oneway", "bound", 8, o.n, "calls/s", ROW_OURS }, raw, ours, &o);
    o.bound = false;
    row_measure(b, &(row){ "oneway", "name", 8, o.n, "calls/s", ROW_OURS }, raw, ours, &o);
}
