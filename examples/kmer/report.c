/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>

#include "scan.h"

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void print_sizes(const report *r)
{
    const sequence *s = r->whole;
    printf("%s\n", r->asked->file);
    printf("%" PRIu64 " bases in %" PRIu64 " record%s\n", s->bases, s->records, plural(s->records));
    printf("%" PRIu64 " canonical %d-mers, %" PRIu64 " distinct\n", r->counts.total, r->asked->k, r->counts.distinct);
}

/* Counts spread over decades: one line each up to 10, then 11-20, 21-50, 51-100, 101-200 and so on. */
static uint64_t end_of_line(uint64_t first)
{
    if (first <= 10) return first;
    for (uint64_t decade = 10;; decade *= 10)
        for (int i = 0; i < 3; i++) {
            uint64_t end = decade * (const uint64_t[]){ 2, 5, 10 }[i];
            if (first <= end) return end;
        }
}

static void print_line(uint64_t first, uint64_t last, uint64_t kmers, uint64_t distinct)
{
    char range[48];
    if (first == last) snprintf(range, sizeof range, "%" PRIu64, first);
    else if (last >= TABLE_BINS - 1) snprintf(range, sizeof range, "%" PRIu64 "-", first);
    else snprintf(range, sizeof range, "%" PRIu64 "-%" PRIu64, first, last);
    printf("%11s %12" PRIu64 " %8.3f %%\n", range, kmers, 100.0 * (double)kmers / (double)distinct);
}

static void print_histogram(const report *r)
{
    printf("\n%11s %12s\n", "times", "k-mers");
    for (uint64_t first = 1, last; first < TABLE_BINS; first = last + 1) {
        uint64_t kmers = 0;
        last = end_of_line(first);
        for (uint64_t c = first; c <= last && c < TABLE_BINS; c++) kmers += r->histogram[c];
        if (kmers) print_line(first, last, kmers, r->counts.distinct);
    }
}

static void print_top(const report *r)
{
    char text[K_MAX + 1];
    if (r->top) printf("\nmost frequent\n");
    for (size_t i = 0; i < r->top; i++) {
        kmer_text(r->top_kmer[i], r->asked->k, text);
        printf("%11" PRIu64 " %s\n", r->top_count[i], text);
    }
}

static void print_time(const report *r, const char *who, const char *how, double seconds)
{
    if (seconds > 0)
        printf("%-9s %-22s %8.3f s %8.2f million k-mers/s\n", who, how, seconds,
               1e-6 * (double)r->counts.total / seconds);
}

static void print_times(const report *r)
{
    char calls[40] = "a call each";
    char ranks[40];
    if (r->asked->batch) snprintf(calls, sizeof calls, "%zu a call", r->asked->batch);
    snprintf(ranks, sizeof ranks, "RRef x %d", r->ranks);
    printf("\n");
    print_time(r, ranks, calls, r->rref_time);
    snprintf(ranks, sizeof ranks, "MPI x %d", r->ranks);
    print_time(r, ranks, "64 a message", r->raw_time);
    print_time(r, "serial", "", r->serial_time);
    if (r->raw_time > 0) printf("RRef / MPI %.2f\n", r->rref_time / r->raw_time);
}

void report_print(const report *r)
{
    print_sizes(r);
    print_histogram(r);
    print_top(r);
    print_times(r);
}
