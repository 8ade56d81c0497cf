/* SPDX-License-Identifier: BSD-3-Clause */
#include "sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void sample_add(sample *s, double figure)
{
    if (!s) return;
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 64;
        s->figure = realloc(s->figure, s->room * sizeof *s->figure);
        if (!s->figure) {
            fprintf(stderr, "rref-perf: no memory for %zu figures\n", s->room);
            abort();
        }
    }
    s->figure[s->count++] = figure;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sort(sample *s)
{
    if (s->count > 0) qsort(s->figure, s->count, sizeof *s->figure, ascending);
}

double sample_quantile(sample *s, double part)
{
    sort(s);
    return s->count ? s->figure[(size_t)(part * (double)(s->count - 1) + 0.5)] : NAN;
}

double sample_median(sample *s)
{
    sort(s);
    return s->count ? (s->figure[(s->count - 1) / 2] + s->figure[s->count / 2]) / 2 : NAN;
}

double sample_mean(const sample *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->count; i++) sum += s->figure[i];
    return s->count ? sum / (double)s->count : NAN;
}

void sample_free(sample *s)
{
    free(s->figure);
    *s = (sample){ 0 };
}
