/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures that rref-perf prints of what it measured. */
#include "../../tools/perf/sample.h"

#include "check.h"

#include <math.h>

static void fill(sample *s, const double *figure, size_t n)
{
    *s = (sample){ 0 };
    for (size_t i = 0; i < n; i++) sample_add(s, figure[i]);
}

static void check_median(const double *figure, size_t n, double median)
{
    sample s;
    fill(&s, figure, n);
    CU_ASSERT_EQUAL(sample_median(&s), median);
    sample_free(&s);
}

static void medians(void)
{
    static const double figure[] = { 5, 1, 3, 8, 2 };
    check_median(figure, 1, 5);
    check_median(figure, 2, 3);
    check_median(figure, 3, 3);
    check_median(figure, 4, 4);
    check_median(figure, 5, 3);
}

static void others(void)
{
    static const double figure[] = { 5, 1, 3, 8, 2 };
    sample s;
    fill(&s, figure, 5);
    CU_ASSERT_EQUAL(sample_quantile(&s, 0), 1);
    CU_ASSERT_EQUAL(sample_quantile(&s, 0.99), 8);
    CU_ASSERT_EQUAL(sample_mean(&s), 3.8);
    sample_free(&s);
}

static void nothing(void)
{
    sample s = { 0 };
    CU_ASSERT(isnan(sample_median(&s)) && isnan(sample_quantile(&s, 0.5)) && isnan(sample_mean(&s)));
}

static const check_case cases[] = { { "medians", medians }, { "others", others }, { "nothing", nothing }, CHECK_END };

int main(int argc, char **argv) { return check_main(argc, argv, "sample", cases); }
