/* SPDX-License-Identifier: BSD-3-Clause */
/* Work: computing that is counted, in units of some tenth of a microsecond, and threads that do nothing else. */
#ifndef PERF_WORK_H
#define PERF_WORK_H

#include <stdint.h>

void work_do(uint64_t units);

/* Units that take so long where nothing disturbs. */
uint64_t work_units(double seconds);

/* Threads that work until they are told to stop; what they have done altogether. One crew at a time. */
enum { WORK_THREADS_MAX = 2 };
void work_start(int threads);
uint64_t work_stop(void);

#endif
