/* SPDX-License-Identifier: BSD-3-Clause */
#include "row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"

static double load(void)
{
    double average = NAN;
    return getloadavg(&average, 1) == 1 ? average : NAN;
}

/* What JSON has no number for is null. */
static void print_field(const char *name, double figure)
{
    if (isfinite(figure)) printf(",\"%s\":%.6g", name, figure);
    else printf(",\"%s\":null", name);
}

static void print_json(const row *r, size_t n, double ours, double raw, double ratio, sample *singles)
{
    printf("{\"test\":\"%s\",\"case\":\"%s\",\"bytes\":%zu,\"n\":%zu,\"unit\":\"%s\"", r->test, r->name, r->bytes, n, r->unit);
    print_field("rref", ours);
    print_field("raw", raw);
    print_field("ratio", ratio);
    print_field("p50", sample_median(singles));
    print_field("p99", sample_quantile(singles, 0.99));
    print_field("load", load());
}

static void print_column(const char *format, const char *nothing, double figure)
{
    if (isfinite(figure)) printf(format, figure);
    else printf("%s", nothing);
}

static void print_text(const row *r, double ours, double raw, double ratio, sample *singles)
{
    printf("%-12s %-23s %9zu  %-7s %10.4g", r->test, r->name, r->bytes, r->unit, ours);
    print_column(" %10.4g", "          -", raw);
    print_column(" %7.3f", "       -", ratio);
    print_column(" %10.4g", "          -", sample_median(singles));
    print_column(" %10.4g", "          -", sample_quantile(singles, 0.99));
}

void row_print(const bench *b, const row *r, sample *ours, sample *raw, sample *singles)
{
    const double figure = sample_median(ours), base = sample_median(raw);
    const double ratio = base > 0 ? figure / base : NAN;
    if (b->rank != 0) return;
    const size_t n = r->n ? r->n * (size_t)b->rounds : singles->count;
    if (singles->count == 0) singles = ours;
    if (b->json) print_json(r, n, figure, base, ratio, singles);
    else print_text(r, figure, base, ratio, singles);
    puts(b->json ? "}" : "");
    fflush(stdout);
}

void row_skip(const bench *b, const row *r, const char *why)
{
    sample none = { 0 };
    if (b->rank != 0) return;
    if (b->json) {
        print_json(r, 0, NAN, NAN, NAN, &none);
        printf(",\"skipped\":\"%s\"}\n", why);
    } else {
        printf("%-12s %-23s %9zu  skipped: %s\n", r->test, r->name, r->bytes, why);
    }
    fflush(stdout);
}

static double run_alone(bench *b, row_round *side, const void *arg, sample *singles)
{
    double figure = 0;
    if (b->rank == 0) {
        figure = side(b, arg, singles);
        bench_wake(b);
    } else {
        bench_sleep(b);
    }
    return figure;
}

static double run(bench *b, bool alone, row_round *side, const void *arg, sample *singles)
{
    MPI_Barrier(b->comm);
    return alone ? run_alone(b, side, arg, singles) : side(b, arg, singles);
}

void row_measure(bench *b, const row *r, row_round *raw, row_round *ours, const void *arg)
{
    sample theirs = { 0 }, own = { 0 }, singles = { 0 };
    for (int i = 0; i < b->rounds; i++) {
        clock_sleep(2e-3);
        if (raw) sample_add(&theirs, run(b, r->alone & ROW_RAW, raw, arg, NULL));
        sample_add(&own, run(b, r->alone & ROW_OURS, ours, arg, &singles));
    }
    row_print(b, r, &own, &theirs, &singles);
    sample_free(&singles);
    sample_free(&own);
    sample_free(&theirs);
}
