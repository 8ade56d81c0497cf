/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the library's threads and the queue of jobs. */
#include "crew.h"
#include "chaos.h"
#include "error.h"
#include "memory.h"

#include <limits.h>
#include <stdlib.h>

enum { STALL_NS = 1000000, ABANDON_S = 1 };

RRI_THREAD_LOCAL rri_member rri_self;

/* The list of threads is as long as it will be: one that blocks must not need memory to be replaced. */
/* Nobody else knows it yet. */
RRI_UNCHECKED
int rri_crew_open(rri_crew *crew, const rri_crew_config *config, atomic_uint *calls, void *(*main)(void *arg), void *arg)
{
    crew->config = *config;
    crew->calls = calls;
    crew->main = main;
    crew->arg = arg;
    crew->room = config->absent ? 1 : config->workers + config->max_blocked + 2;
    crew->thread = rri_calloc(crew->room, sizeof *crew->thread);
    if (!crew->thread) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for threads");
    return RREF_OK;
}

RRI_UNCHECKED void rri_crew_close(rri_crew *crew) { free(crew->thread); }

/* ---- threads; what is static here holds the lock */

RRI_NEEDS(rri_crew_lock)
static bool grow_list(rri_crew *crew)
{
    if (crew->made < crew->room) return true;
    unsigned room = 2 * crew->room;
    pthread_t *list = rri_realloc(crew->thread, room * sizeof *list);
    if (!list) return false;
    crew->thread = list;
    crew->room = room;
    return true;
}

/* Two are enough where no handler waits: one drives, one watches. Any thread may come to do either. */
RRI_NEEDS(rri_crew_lock)
static int place(rri_crew *crew, unsigned number)
{
    const rri_units *units = number < 2 ? &crew->drivers : &crew->workers;
    return rri_units_next(units, 0) < 0 ? 0 : rri_place_bind(crew->thread[number], units);
}

int rri_crew_place(rri_crew *crew, const rri_units *drivers, const rri_units *workers)
{
    int rc = 0;
    rri_take(&crew->lock, &rri_crew_lock);
    crew->drivers = *drivers;
    crew->workers = *workers;
    for (unsigned i = 0; !rc && i < crew->made; i++) rc = place(crew, i);
    rri_give(&crew->lock, &rri_crew_lock);
    return rc;
}

RRI_NEEDS(rri_crew_lock)
static int spawn(rri_crew *crew)
{
    if (!grow_list(crew)) return RREF_ERR_NO_MEMORY;
    if (rri_thread_start(&crew->thread[crew->made], crew->config.stack, crew->main, crew->arg)) return RREF_ERR_SYSTEM;
    place(crew, crew->made);
    crew->made++;
    crew->threads++;
    return RREF_OK;
}

RRI_NEEDS(rri_crew_lock)
static void rouse(rri_crew *crew)
{
    crew->idle--;
    crew->roused++;
    atomic_fetch_add(&crew->call, 1);
    rri_futex_wake(&crew->call, 1);
}

static void call_standby(rri_crew *crew)
{
    atomic_fetch_add(crew->calls, 1);
    rri_futex_wake(crew->calls, 1);
}

RRI_NEEDS(rri_crew_lock)
/* False: one more would be wanted, and cannot be had. */
static bool call_thread(rri_crew *crew)
{
    if (crew->config.absent) return true;
    if (crew->idle > 0) {
        rouse(crew);
    } else if (rri_crew_stands_by(crew)) {
        crew->standby = RRI_STANDBY_CALLED;
        call_standby(crew);
    } else if (crew->threads - crew->blocked - crew->stalled < crew->config.workers + 2) {
        return spawn(crew) == RREF_OK;
    }
    return true;
}

RRI_NEEDS(rri_crew_lock)
static bool may_start(const rri_crew *crew)
{
    return crew->jobs && (rri_crew_has_place(crew) || crew->config.absent);
}

int rri_crew_start(rri_crew *crew)
{
    if (crew->config.absent) return RREF_OK;
    rri_take(&crew->lock, &rri_crew_lock);
    int rc = spawn(crew);
    rri_give(&crew->lock, &rri_crew_lock);
    return rc ? rri_fail(rc, "cannot start a library thread") : RREF_OK;
}

void rri_crew_join(rri_crew *crew)
{
    rri_self.crew = crew;
    rri_thread_brisk();
    pthread_getcpuclockid(pthread_self(), &rri_self.clock);
}

/* Who is in the library comes out of it soon, and out of MPI, which the application may be about to end. */
static void leave_behind(pthread_t thread, const struct timespec *until)
{
    if (pthread_timedjoin_np(thread, NULL, until)) pthread_detach(thread);
}

void rri_crew_stop(rri_crew *crew, bool abandon)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ABANDON_S;
    atomic_fetch_add(&crew->call, 1);
    rri_futex_wake(&crew->call, INT_MAX);
    call_standby(crew);
    for (unsigned i = 0;; i++) {
        rri_take(&crew->lock, &rri_crew_lock);
        bool more = i < crew->made;
        pthread_t thread = more ? crew->thread[i] : pthread_self();
        rri_give(&crew->lock, &rri_crew_lock);
        if (!more) return;
        if (abandon) leave_behind(thread, &until);
        else pthread_join(thread, NULL);
    }
}

void rri_crew_call(rri_crew *crew)
{
    rri_take(&crew->lock, &rri_crew_lock);
    bool comes = crew->roused || crew->standby == RRI_STANDBY_CALLED;
    if (!comes) call_thread(crew);
    rri_give(&crew->lock, &rri_crew_lock);
}

bool rri_crew_call_for_jobs(rri_crew *crew)
{
    rri_take(&crew->lock, &rri_crew_lock);
    bool alone = may_start(crew) && !call_thread(crew) && crew->threads - crew->blocked <= 1;
    rri_give(&crew->lock, &rri_crew_lock);
    return !alone;
}

/* Until somebody changes the word. */
static void stand_by(rri_crew *crew, unsigned seen)
{
    rri_chaos_nap(RRI_CHAOS_SLOW, RRI_CHAOS_HOLD_NS);
    while (atomic_load(crew->calls) == seen) rri_futex_wait(crew->calls, seen, -1);
    rri_take(&crew->lock, &rri_crew_lock);
    crew->standby = RRI_STANDBY_NONE;
    rri_give(&crew->lock, &rri_crew_lock);
}

static void sleep_till_called(rri_crew *crew, unsigned seen)
{
    rri_futex_wait(&crew->call, seen, -1);
    rri_take(&crew->lock, &rri_crew_lock);
    if (crew->roused) crew->roused--;
    else crew->idle--;
    rri_give(&crew->lock, &rri_crew_lock);
}

/* The first to be idle stands by. The word is read before `stop` is, and before anybody hears that it does. */
void rri_crew_idle(rri_crew *crew)
{
    unsigned seen = atomic_load(&crew->call), calls = atomic_load(crew->calls);
    rri_take(&crew->lock, &rri_crew_lock);
    bool reason = atomic_load(&crew->stop) || !atomic_load(&crew->watching) || may_start(crew);
    bool stands_by = !reason && crew->standby == RRI_STANDBY_NONE;
    if (stands_by) crew->standby = RRI_STANDBY_READY;
    else if (!reason) crew->idle++;
    rri_give(&crew->lock, &rri_crew_lock);
    if (stands_by) stand_by(crew, calls);
    else if (!reason) sleep_till_called(crew, seen);
}

/* ---- who computes */

static int64_t cpu_time(const rri_member *member)
{
    struct timespec t;
    return clock_gettime(member->clock, &t) ? -1 : t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

void rri_crew_enlist(rri_crew *crew, rri_member *member)
{
    if (member->listed) return;
    member->listed = true;
    member->stalled = false;
    member->cpu = -1;
    member->next = crew->busy;
    crew->busy = member;
    crew->running++;
}

RRI_NEEDS(rri_crew_lock)
static void strike(rri_crew *crew, rri_member *member)
{
    if (!member->listed) return;
    rri_member **at = &crew->busy;
    while (*at != member) at = &(*at)->next;
    *at = member->next;
    member->listed = false;
    if (member->stalled) crew->stalled--;
    else crew->running--;
}

void rri_crew_delist(rri_crew *crew)
{
    rri_take(&crew->lock, &rri_crew_lock);
    strike(crew, &rri_self);
    rri_give(&crew->lock, &rri_crew_lock);
}

bool rri_crew_compute(rri_crew *crew)
{
    rri_take(&crew->lock, &rri_crew_lock);
    bool may = rri_crew_has_place(crew) && !crew->jobs;
    if (may) rri_crew_enlist(crew, &rri_self);
    rri_give(&crew->lock, &rri_crew_lock);
    return may;
}

RRI_NEEDS(rri_crew_lock)
static bool deep(const rri_crew *crew)
{
    return crew->blocked + crew->stalled >= crew->config.max_blocked + rri_self.stalled;
}

bool rri_crew_may_block(rri_crew *crew)
{
    rri_take(&crew->lock, &rri_crew_lock);
    bool may = !deep(crew);
    rri_give(&crew->lock, &rri_crew_lock);
    return may;
}

/* Where no further thread can be had, the last one does not block: nobody would drive, nor run what it waits for. */
RRI_NEEDS(rri_crew_lock)
static bool step_aside(rri_crew *crew)
{
    if (deep(crew)) return false;
    strike(crew, &rri_self);
    crew->blocked++;
    call_thread(crew);
    if (crew->blocked < crew->threads) return true;
    crew->blocked--;
    return false;
}

bool rri_crew_block(rri_crew *crew)
{
    rri_take(&crew->lock, &rri_crew_lock);
    bool blocked = step_aside(crew);
    if (!blocked) rri_crew_enlist(crew, &rri_self);     /* it goes on without the role */
    rri_give(&crew->lock, &rri_crew_lock);
    return blocked;
}

void rri_crew_unblock(rri_crew *crew)
{
    rri_take(&crew->lock, &rri_crew_lock);
    crew->blocked--;
    rri_crew_enlist(crew, &rri_self);
    rri_give(&crew->lock, &rri_crew_lock);
}

/* A CPU clock that stood still for a millisecond: the thread waits for something of the application's. */
RRI_NEEDS(rri_crew_lock)
static void look_at(rri_crew *crew, rri_member *member, int64_t now)
{
    int64_t cpu = cpu_time(member);
    bool moves = cpu != member->cpu;
    if (moves) {
        member->cpu = cpu;
        member->since = now;
    }
    bool stalled = !moves && (member->stalled || now - member->since >= STALL_NS);
    if (stalled == member->stalled || (stalled && crew->blocked + crew->stalled >= crew->config.max_blocked)) return;
    member->stalled = stalled;
    crew->running += stalled ? -1u : 1u;
    crew->stalled += stalled ? 1u : -1u;
}

bool rri_crew_short(rri_crew *crew)
{
    if (!atomic_load_explicit(&crew->waiting, memory_order_relaxed) || crew->config.absent) return false;
    rri_take(&crew->lock, &rri_crew_lock);
    bool is_short = crew->jobs && !may_start(crew);
    rri_give(&crew->lock, &rri_crew_lock);
    return is_short;
}

void rri_crew_inspect(rri_crew *crew, int64_t now)
{
    if (!atomic_load_explicit(&crew->waiting, memory_order_relaxed) || crew->config.absent) return;
    rri_take(&crew->lock, &rri_crew_lock);
    if (now - crew->inspected >= STALL_NS / 2) {
        crew->inspected = now;
        for (rri_member *m = crew->busy; m; m = m->next) look_at(crew, m, now);
        if (may_start(crew)) call_thread(crew);
    }
    rri_give(&crew->lock, &rri_crew_lock);
}

/* ---- jobs */

bool rri_crew_submit(rri_crew *crew, rri_job *job)
{
    job->next = NULL;
    rri_take(&crew->lock, &rri_crew_lock);
    if (crew->jobs) crew->jobs_last->next = job;
    else crew->jobs = job;
    crew->jobs_last = job;
    atomic_fetch_add_explicit(&crew->waiting, 1, memory_order_relaxed);
    bool starts = may_start(crew);
    if (starts) starts = call_thread(crew);
    rri_give(&crew->lock, &rri_crew_lock);
    return starts;
}

bool rri_crew_work(rri_crew *crew)
{
    rri_take(&crew->lock, &rri_crew_lock);
    rri_job *job = may_start(crew) ? crew->jobs : NULL;
    if (job) {
        crew->jobs = job->next;
        atomic_fetch_sub_explicit(&crew->waiting, 1, memory_order_relaxed);
        if (crew->config.absent) crew->running++;
        else rri_crew_enlist(crew, &rri_self);
    }
    rri_give(&crew->lock, &rri_crew_lock);
    if (!job) return false;
    job->run(job);
    rri_take(&crew->lock, &rri_crew_lock);
    if (crew->config.absent) crew->running--;
    else strike(crew, &rri_self);
    rri_give(&crew->lock, &rri_crew_lock);
    return true;
}

bool rri_crew_quiet(rri_crew *crew)
{
    rri_take(&crew->lock, &rri_crew_lock);
    bool quiet = !crew->jobs && !crew->running && !crew->stalled && !crew->blocked;
    rri_give(&crew->lock, &rri_crew_lock);
    return quiet;
}

unsigned rri_crew_threads(rri_crew *crew)
{
    rri_take(&crew->lock, &rri_crew_lock);
    unsigned threads = crew->threads;
    rri_give(&crew->lock, &rri_crew_lock);
    return threads;
}
