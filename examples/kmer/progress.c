/* SPDX-License-Identifier: BSD-3-Clause */
#include "progress.h"

#include <stdio.h>
#include <time.h>

static const double SOON = 1.0, LATE = 30.0;        /* seconds between two lines */

double progress_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

progress progress_start(const char *what)
{
    double now = progress_clock();
    return (progress){ .what = what, .start = now, .due = now + SOON };
}

/* What has taken long will take longer: the lines become rarer. */
static double pause_after(double seconds)
{
    double pause = seconds / 8;
    return pause < SOON ? SOON : pause > LATE ? LATE : pause;
}

void progress_show(progress *p, uint64_t done, uint64_t total)
{
    if (!p) return;
    double now = progress_clock();
    if (now < p->due) return;
    p->due = now + pause_after(now - p->start);
    if (total) fprintf(stderr, "kmer: %s, %.0f %%\n", p->what, 100.0 * (double)done / (double)total);
    else fprintf(stderr, "kmer: %s, %.0f million bases\n", p->what, 1e-6 * (double)done);
}
