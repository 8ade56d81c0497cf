/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what the ranks of the node told each other, the choice, and the thread that makes it. The lock is held while the machine
 * is read, so no driver takes it but to start that thread. */
#include "placer.h"
#include "error.h"
#include "log.h"
#include "memory.h"
#include "place.h"

#include <stdlib.h>
#include <string.h>

enum { LATER_NS = 100000000, STACK = 1 << 20 };

static bool is_auto(const char *cores) { return !*cores || !strcmp(cores, "auto"); }
static bool is_any(const char *cores) { return !strcmp(cores, "any"); }

int rri_placer_check(const char *cores)
{
    rri_units units, refused;
    char list[128];
    if (is_auto(cores) || is_any(cores)) return RREF_OK;
    if (!rri_units_parse(&units, cores))
        return rri_fail(RREF_ERR_OPTION, "RREF_CORES=%.200s: auto, any or a list of CPUs like 2-3,7 below %d is wanted", cores,
                        RRI_UNITS);
    const int rc = rri_place_refused(&units, &refused);
    if (rc) return rri_fail(RREF_ERR_SYSTEM, "RREF_CORES=%.100s cannot be tried: %s", cores, strerror(rc));
    if (rri_units_count(&refused) == 0) return RREF_OK;
    rri_units_format(&refused, list, sizeof list);
    return rri_fail(RREF_ERR_OPTION, "RREF_CORES=%.100s: this process may not run on CPU%s %s", cores,
                    rri_units_count(&refused) == 1 ? "" : "s", list);
}

void rri_placer_init(rri_placer *placer, rri_seat *seats, int ranks, int me)
{
    placer->seats = seats;
    placer->ranks = ranks;
    placer->me = me;
}

/* ---- the choice; the lock is held */

static void put(rri_placer *p)
{
    if (p->choice.why != RRI_SEAT_HAND && p->choice.why != RRI_SEAT_FREE) return;
    const int rc = rri_progress_place(p->progress, &p->choice.drivers, &p->choice.workers);
    if (rc) rri_log(RRI_LOG_WARN, "library threads cannot be put on their cores: %s", strerror(rc));
}

/* Once in a process, by the first rank of the node. */
static void warn(const rri_placer *p, const rri_map *map)
{
    static atomic_flag warned = ATOMIC_FLAG_INIT;
    const int single = rri_seats_single(map, p->seats, p->ranks);
    if (p->me != 0 || single == 0 || atomic_flag_test_and_set(&warned)) return;
    rri_log(RRI_LOG_WARN, "%d of %d ranks on this node have one core each, for the application and the library's threads%s",
            single, p->ranks, map->cores > p->ranks ? " (mpirun --map-by slot:PE=2 or --bind-to none gives them more)" : "");
}

static void choose(rri_placer *p, bool warns)
{
    if (p->chosen) return;
    const rri_map *map = rri_place_map();
    if (p->seats) rri_seat_choose(map, p->seats, p->ranks, p->me, &p->choice);
    p->chosen = true;
    if (p->over || !p->progress) return;
    put(p);
    if (warns) warn(p, map);
}

static void *run(void *arg)
{
    rri_placer *p = arg;
    pthread_mutex_lock(&p->lock);
    choose(p, true);
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* Whoever drives must not wait for a machine being read: then somebody makes the choice already. */
static void due(rri_timer *timer)
{
    rri_placer *p = (rri_placer *)(void *)((char *)timer - offsetof(rri_placer, timer));
    if (pthread_mutex_trylock(&p->lock)) return;
    if (!p->over && !p->chosen) p->running = rri_thread_start(&p->thread, STACK, run, p) == 0;
    pthread_mutex_unlock(&p->lock);
}

/* ---- start and stop */

/* By hand: units that were tried at the start, without a look at the machine. */
static bool choose_by_hand(rri_placer *p, const char *cores)
{
    p->choice = (rri_choice){ .why = is_any(cores) ? RRI_SEAT_ANY : RRI_SEAT_UNKNOWN };
    if (is_auto(cores)) return false;
    if (!is_any(cores) && rri_units_parse(&p->choice.drivers, cores)) {
        p->choice.why = RRI_SEAT_HAND;
        p->choice.workers = p->choice.drivers;
    }
    return true;
}

void rri_placer_start(rri_placer *p, rri_progress *progress, rri_timers *timers, const char *cores)
{
    bool first;
    pthread_mutex_init(&p->lock, NULL);
    p->progress = progress;
    p->timers = timers;
    p->timer.due = due;
    p->chosen = choose_by_hand(p, cores);
    if (p->chosen) put(p);
    else rri_timer_add(timers, &p->timer, rri_after(rri_now(), LATER_NS), &first);
}

void rri_placer_format(rri_placer *p, char *buffer, size_t size)
{
    if (p->progress) {
        pthread_mutex_lock(&p->lock);
        choose(p, false);
        pthread_mutex_unlock(&p->lock);
    } else {
        p->choice.why = RRI_SEAT_NONE;
    }
    rri_choice_format(rri_place_map(), &p->choice, buffer, size);
}

bool rri_placer_single(rri_placer *p) { return p->chosen && p->choice.why == RRI_SEAT_SINGLE; }

void rri_placer_stop(rri_placer *p)
{
    if (!p->progress) return;
    rri_timer_remove(p->timers, &p->timer);
    pthread_mutex_lock(&p->lock);
    const bool running = p->running;
    p->over = true;
    p->running = false;
    pthread_mutex_unlock(&p->lock);
    if (running) pthread_join(p->thread, NULL);
}

void rri_placer_close(rri_placer *p)
{
    if (p->progress) pthread_mutex_destroy(&p->lock);
    free(p->seats);
}
