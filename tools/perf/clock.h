/* SPDX-License-Identifier: BSD-3-Clause */
/* Time: the clock, pauses, and what this process has used of its cores. All in seconds. */
#ifndef PERF_CLOCK_H
#define PERF_CLOCK_H

double clock_now(void);
void clock_sleep(double seconds);
void clock_sleep_until(double moment);
double clock_cpu(void);

#endif
