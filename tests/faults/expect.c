/* SPDX-License-Identifier: BSD-3-Clause */
#include "expect.h"

#include <stdio.h>
#include <time.h>

rref_context *ctx;
int rank, wrong;

void expect(const char *what, long long wanted, long long found)
{
    rref_error e = { .text = "" };
    if (wanted == found) return;
    rref_last_error(ctx, &e);
    printf("rank %d: WRONG: %s: %lld, not %lld (last error: %s)\n", rank, what, found, wanted, e.text);
    fflush(stdout);
    wrong++;
}

double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
