/* SPDX-License-Identifier: BSD-3-Clause */
/* A sample: figures of one kind, and what can be said of them. Starts as all zero. */
#ifndef PERF_SAMPLE_H
#define PERF_SAMPLE_H

#include <stddef.h>

typedef struct sample {
    double *figure;
    size_t count, room;
} sample;

/* A NULL sample takes nothing. */
void sample_add(sample *s, double figure);

/* The figure that `part` of the others (0 to 1) are not above; the middle one, or the mean of the two in the middle. NaN of an
 * empty sample. Both sort. */
double sample_quantile(sample *s, double part);
double sample_median(sample *s);
double sample_mean(const sample *s);
void sample_free(sample *s);

#endif
