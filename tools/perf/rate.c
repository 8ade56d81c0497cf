/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls of an inline method, 8 bytes each way, with up to 1024 of them under way. */
#include "objects.h"
#include "pipeline.h"
#include "raw.h"
#include "row.h"
#include "tests.h"

#include <stdio.h>

typedef struct rate {
    size_t out, n;
} rate;

static double raw(bench *b, const void *arg, sample *singles)
{
    const rate *r = arg;
    (void)singles;
    return raw_ring(b, r->out, r->n);
}

static double ours(bench *b, const void *arg, sample *singles)
{
    const rate *r = arg;
    const rref echo = objects_echo(b, b->context, 1, 0);
    const double figure = pipeline_rate(b, echo, r->out, r->n);
    (void)singles;
    bench_must(b, rref_release(echo), "release");
    return figure;
}

void rate_test(bench *b)
{
    for (rate r = { 1, bench_calls(b, 20000) }; r.out <= 1024; r.out *= 4) {
        char name[16];
        snprintf(name, sizeof name, "out-%zu", r.out);
        row_measure(b, &(row){ "rate", name, 8, r.n, "calls/s", ROW_OURS }, raw, ours, &r);
    }
}
