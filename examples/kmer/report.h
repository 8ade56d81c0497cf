/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef KMER_REPORT_H
#define KMER_REPORT_H

#include "options.h"
#include "sequence.h"
#include "table.h"

/* What the job found; times in seconds, 0 for what was not done. */
typedef struct report {
    const options *asked;
    const sequence *whole;
    int ranks;
    table_summary counts;
    uint64_t histogram[TABLE_BINS];
    uint64_t *top_kmer, *top_count;
    size_t top;
    double rref_time, raw_time, serial_time;
} report;

void report_print(const report *r);

#endif
