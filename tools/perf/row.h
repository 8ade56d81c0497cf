/* SPDX-License-Identifier: BSD-3-Clause */
/* A row of the output: one thing measured, the library's figure beside raw MPI's. */
#ifndef PERF_ROW_H
#define PERF_ROW_H

#include "bench.h"
#include "sample.h"

typedef struct row {
    const char *test, *name;
    size_t bytes;               /* that one operation moves, or 0 */
    size_t n;                   /* operations of a round; 0: as many single ones as there are altogether */
    const char *unit;
    unsigned alone;             /* sides that rank 0 runs alone, by calls, while rank 1's main sleeps */
} row;
enum { ROW_OURS = 1, ROW_RAW = 2 };

/* One round: gives its figure on rank 0, and may add those of single operations. Both ranks call it, or as the row says. */
typedef double row_round(bench *b, const void *arg, sample *singles);

/* Measure in rounds, raw (unless NULL) and ours in turns, and print the medians. Before raw the library falls asleep. */
void row_measure(bench *b, const row *r, row_round *raw, row_round *ours, const void *arg);

/* Rank 0 prints a row: medians of the rounds. raw may be empty. p50 and p99 are of the single operations where there are
 * any, else of the rounds. */
void row_print(const bench *b, const row *r, sample *ours, sample *raw, sample *singles);

/* Rank 0 prints that a row could not be had, and why. */
void row_skip(const bench *b, const row *r, const char *why);

#endif
