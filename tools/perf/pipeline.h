/* SPDX-License-Identifier: BSD-3-Clause */
/* A pipeline: async calls, always as many under way as asked for. */
#ifndef PERF_PIPELINE_H
#define PERF_PIPELINE_H

#include "bench.h"

/* Start call number i. When it is complete *room must be i. */
typedef rref_future pipeline_start(rref_method_ref method, uint64_t i, uint64_t *room);

/* Calls a second of n calls, `out` of them under way, through a bound method; a tenth more beforehand, to be warm. */
double pipeline_run(const bench *b, rref_method_ref method, size_t out, size_t n, pipeline_start *start);

/* The same of calls of an inline method with a reply: `rate`, and what others are compared with. */
double pipeline_rate(const bench *b, rref echo, size_t out, size_t n);

#endif
