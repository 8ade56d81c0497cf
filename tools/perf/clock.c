/* SPDX-License-Identifier: BSD-3-Clause */
#include "clock.h"

#include <errno.h>
#include <time.h>

static double seconds_of(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double clock_now(void) { return seconds_of(CLOCK_MONOTONIC); }

double clock_cpu(void) { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

void clock_sleep_until(double moment)
{
    struct timespec t = { .tv_sec = (time_t)moment };
    t.tv_nsec = (long)((moment - (double)t.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) continue;
}

void clock_sleep(double seconds) { clock_sleep_until(clock_now() + seconds); }
