/* SPDX-License-Identifier: BSD-3-Clause */
/* Signs of life on stderr, for what takes more than a second. */
#ifndef KMER_PROGRESS_H
#define KMER_PROGRESS_H

#include <stdint.h>

typedef struct progress {
    const char *what;
    double start, due;      /* due: time of the next line */
    unsigned ticks;
} progress;

/* Seconds since some moment. */
double progress_clock(void);

progress progress_start(const char *what);
/* How much is done, of how much (0: not known). Nothing is shown for NULL: only one rank should speak. */
void progress_show(progress *p, uint64_t done, uint64_t total);

/* The same for inner loops, which should not look at the clock each time. */
static inline void progress_tick(progress *p, uint64_t done, uint64_t total)
{
    if (p && (++p->ticks & 0xffff) == 0) progress_show(p, done, total);
}

#endif
