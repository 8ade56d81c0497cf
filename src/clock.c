/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the heap of timers. Invariant: heap[1] is the earliest; heap[t->place] == t for every timer in it. */
#include "clock.h"
#include "memory.h"

#include <stdlib.h>
#include <time.h>

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t rri_now(void) { return read_clock(CLOCK_MONOTONIC); }
int64_t rri_now_coarse(void) { return read_clock(CLOCK_MONOTONIC_COARSE); }
int64_t rri_now_cpu(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }

bool rri_seconds(double seconds, int64_t *ns)
{
    if (!(seconds >= 0)) return false;
    *ns = seconds >= 1e9 ? RRI_NEVER : (int64_t)(seconds * 1e9);
    return true;
}

int64_t rri_after(int64_t now, int64_t ns)
{
    return ns >= RRI_NEVER - now ? RRI_NEVER : now + ns;
}

void rri_timers_init(rri_timers *timers)
{
    *timers = (rri_timers){ .next = RRI_NEVER };
}

void rri_timers_free(rri_timers *timers)
{
    free(timers->heap);
}

static void put(rri_timers *timers, size_t place, rri_timer *timer)
{
    timers->heap[place] = timer;
    timer->place = place;
}

static void rise(rri_timers *timers, size_t place)
{
    rri_timer *timer = timers->heap[place];
    for (; place > 1 && timers->heap[place / 2]->deadline > timer->deadline; place /= 2)
        put(timers, place, timers->heap[place / 2]);
    put(timers, place, timer);
}

static void sink(rri_timers *timers, size_t place)
{
    rri_timer *timer = timers->heap[place];
    for (size_t child; (child = 2 * place) <= timers->count; place = child) {
        if (child < timers->count && timers->heap[child + 1]->deadline < timers->heap[child]->deadline) child++;
        if (timers->heap[child]->deadline >= timer->deadline) break;
        put(timers, place, timers->heap[child]);
    }
    put(timers, place, timer);
}

static void note_next(rri_timers *timers)
{
    atomic_store(&timers->next, timers->count ? timers->heap[1]->deadline : RRI_NEVER);
}

static void take_out(rri_timers *timers, rri_timer *timer)
{
    size_t place = timer->place;
    timer->place = 0;
    rri_timer *last = timers->heap[timers->count--];
    if (last != timer) {
        put(timers, place, last);
        rise(timers, place);
        sink(timers, last->place);
    }
    note_next(timers);
}

static int grow(rri_timers *timers)
{
    size_t room = timers->room ? 2 * timers->room : 64;
    rri_timer **heap = rri_realloc(timers->heap, (room + 1) * sizeof *heap);
    if (!heap) return -1;
    timers->heap = heap;
    timers->room = room;
    return 0;
}

int rri_timers_reserve(rri_timers *timers)
{
    rri_lock_take(&timers->lock);
    int rc = timers->count == timers->room ? grow(timers) : 0;
    rri_lock_give(&timers->lock);
    return rc;
}

int rri_timer_add(rri_timers *timers, rri_timer *timer, int64_t deadline, bool *first)
{
    rri_lock_take(&timers->lock);
    if (timers->count == timers->room && grow(timers)) {
        rri_lock_give(&timers->lock);
        return -1;
    }
    timer->deadline = deadline;
    put(timers, ++timers->count, timer);
    rise(timers, timers->count);
    *first = timer->place == 1;
    note_next(timers);
    rri_lock_give(&timers->lock);
    return 0;
}

bool rri_timer_remove(rri_timers *timers, rri_timer *timer)
{
    rri_lock_take(&timers->lock);
    bool there = timer->place != 0;
    if (there) take_out(timers, timer);
    rri_lock_give(&timers->lock);
    return there;
}

unsigned rri_timers_fire(rri_timers *timers, int64_t now)
{
    unsigned fired = 0;
    for (;; fired++) {
        rri_lock_take(&timers->lock);
        rri_timer *timer = timers->count && timers->heap[1]->deadline <= now ? timers->heap[1] : NULL;
        if (timer) take_out(timers, timer);
        rri_lock_give(&timers->lock);
        if (!timer) return fired;
        timer->due(timer);
    }
}
