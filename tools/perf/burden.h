/* SPDX-License-Identifier: BSD-3-Clause */
/* A burden: what calls at a steady rate cost a rank that computes, and how soon it answers. */
#ifndef PERF_BURDEN_H
#define PERF_BURDEN_H

#include "sample.h"
#include "service.h"

typedef struct burden {
    double rate;                /* calls a second */
    uint64_t units;             /* of work for each call */
    int threads;                /* that compute on rank 1 */
    double seconds;
} burden;

/* What came out, over all rounds, in us. */
typedef struct burden_side {
    sample single;              /* latency of each call */
    sample p50, p99, mean;      /* of each round */
    sample lost;                /* compute time of the owner that a call cost, in each round */
    size_t calls;
} burden_side;

typedef struct burden_result {
    burden_side bare, library;
} burden_result;

/* Rounds of computing undisturbed, beside a bare thread, and beside the library. Collective; results on rank 0. */
void burden_measure(bench *b, const burden *how, burden_result *result);
void burden_free(burden_result *result);

/* Units of work a second that rank 1's threads do meanwhile; on rank 0. The calls go to side unless it is NULL. */
double burden_compute(bench *b, const burden *how, service_means means, burden_side *side);

#endif
