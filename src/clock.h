/* SPDX-License-Identifier: BSD-3-Clause */
/* Time in nanoseconds of the monotonic clock, and timers kept by their deadline. */
#ifndef RRI_CLOCK_H
#define RRI_CLOCK_H

#include "sync.h"

#define RRI_NEVER INT64_MAX

int64_t rri_now(void);
/* The same for ages in reports, some milliseconds late: a fifth of the price. */
int64_t rri_now_coarse(void);
/* CPU time of this process. */
int64_t rri_now_cpu(void);

/* Seconds of the API as nanoseconds: false for negative numbers and NaN; very long is RRI_NEVER. */
bool rri_seconds(double seconds, int64_t *ns);

/* A point in time; RRI_NEVER stays RRI_NEVER. */
int64_t rri_after(int64_t now, int64_t ns);

/* Something due at a deadline. Embedded in what it belongs to; place is 0 while it is not in the heap. */
typedef struct rri_timer {
    int64_t deadline;
    size_t place;
    void (*due)(struct rri_timer *timer);
} rri_timer;

/* Timers as a binary heap. Any thread may add and remove; whoever drives fires. */
typedef struct rri_timers {
    rri_lock lock;
    _Atomic int64_t next;       /* deadline of the first, or RRI_NEVER; written under the lock, read by anybody */
    rri_timer **heap;           /* 1-based */
    size_t count, room;
} rri_timers;

void rri_timers_init(rri_timers *timers);
void rri_timers_free(rri_timers *timers);

/* Returns 0, or -1 without memory. *first tells whether it is now the earliest (a sleeping driver must be told). */
/* Have room for one more. Returns 0 or -1: no memory. */
int rri_timers_reserve(rri_timers *timers);
int rri_timer_add(rri_timers *timers, rri_timer *timer, int64_t deadline, bool *first);

/* Returns false when it was not in the heap: fired already, or firing now. */
bool rri_timer_remove(rri_timers *timers, rri_timer *timer);

/* Call due(), without the lock, for every timer whose time has come; returns how many. */
unsigned rri_timers_fire(rri_timers *timers, int64_t now);

#endif
