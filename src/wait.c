/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns how threads wait for events: they borrow the role and poll, then sleep. */
#include "driver.h"
#include "error.h"

#include <sched.h>

enum { SLICE_FIRST_NS = 1000000, SLICE_NS = 100000000, DOUBLINGS = 4, TURNS = 30, DOZE_NS = 1000000, ROOM_NS = 10000000,
       ROOM_TURNS = 10, BEYOND_DOUBLINGS = 10 };

/* Of a thread of the library: its own context's, which need not be the one that it waits in. */
static rri_progress *own_progress(void)
{
    return (rri_progress *)(void *)((char *)rri_self.crew - offsetof(rri_progress, crew));
}

/* A thread that is about to block lets go of the role. */
static void leave_role(rri_progress *p)
{
    if (rri_thread.driving != p) return;
    if (!rri_progress_reclaim(p)) return;
    rri_has(&rri_driver);
    rri_driver_free(p);
    rri_link_kick(p->link);
}

static void sleep_on(rri_progress *p, rri_event *event, int64_t ns)
{
    unsigned word = atomic_load(&event->word);
    if (word & RRI_EVENT_DONE || atomic_load(&p->crew.stop)) return;
    if (!(word & RRI_EVENT_WAITED)
        && !atomic_compare_exchange_strong(&event->word, &word, word | RRI_EVENT_WAITED)) return;
    if (ns > 0) rri_futex_wait(&event->word, word | RRI_EVENT_WAITED, ns);
}

static int64_t slice(int64_t deadline, int64_t most)
{
    if (deadline == RRI_NEVER) return most;
    int64_t left = deadline - rri_now();
    return left < most ? left : most;
}

/* Enter MPI. The thread is awake anyway: to have another one woken for it costs as much again. */
RRI_UNCHECKED
static void look_in(rri_progress *p)
{
    unsigned news = 0;
    if (rri_thread.driving || !rri_may_poll(p) || !rri_driver_take(p, RRI_ROLE_FREE)) {
        rri_link_kick(p->link);
    } else if (rri_driver_poll(p, &news) == RRI_PASS) {
        rri_driver_pass(p);
    } else {
        rri_driver_look_at_peers(p, rri_now());     /* who waits in a fence may be the only one to miss them */
        rri_driver_leave(p, 0, false);
    }
}

/* Of methods there may be a thousand that wait: to look ten times a second each would leave the cores to nothing else. */
static int64_t slice_of(unsigned n)
{
    if (n == 0) return SLICE_FIRST_NS;
    return rri_self.crew ? (int64_t)SLICE_NS << (n < DOUBLINGS ? n - 1 : DOUBLINGS - 1) : SLICE_NS;
}

/* MPI may still hold back what this thread has sent, the library's messages or the application's own: who waits for long sees to
 * it that MPI is entered, the sooner if it knows of something. */
static int sleep_in_slices(rri_progress *p, rri_event *event, int64_t deadline)
{
    for (unsigned slices = 0; !rri_event_done(event); slices++) {
        if (deadline != RRI_NEVER && rri_now() >= deadline) return RREF_ERR_PENDING;
        if (atomic_load(&p->crew.stop)) return RREF_ERR_FINALIZED;
        if (slices > 1 && !rri_self.crew) look_in(p);
        else if (slices > 0) rri_progress_nudge(p);
        sleep_on(p, event, slice(deadline, slice_of(slices)));
    }
    return RREF_OK;
}

static int sleep_until(rri_progress *p, rri_event *event, int64_t deadline)
{
    rri_progress_want(p);
    int rc = sleep_in_slices(p, event, deadline);
    rri_progress_unwant(p);
    return rc;
}

/* Get the role for an application thread: when it is free, or from a driver that sees the wish in time. */
RRI_TRIES(rri_driver) RRI_UNCHECKED
static bool borrow(rri_progress *p)
{
    if (rri_driver_take(p, RRI_ROLE_FREE)) return true;
    if ((atomic_load(&p->role) & 3) == RRI_ROLE_TAKEABLE) return false;
    unsigned was = RRI_NOT_ASKED;
    if (!atomic_compare_exchange_strong(&p->borrower, &was, RRI_ASKING)) return false;
    for (unsigned tries = 0; tries < 256; tries++) {
        if (atomic_load_explicit(&p->borrower, memory_order_acquire) == RRI_GRANTED) break;
        if (tries % 16 == 0 && rri_driver_take(p, RRI_ROLE_FREE)) {
            atomic_store(&p->borrower, RRI_NOT_ASKED);
            return true;
        }
        rri_pause();
    }
    was = RRI_ASKING;
    if (atomic_compare_exchange_strong(&p->borrower, &was, RRI_NOT_ASKED)) return false;
    atomic_store(&p->borrower, RRI_NOT_ASKED);
    rri_thread.driving = p;
    rri_thread.offered = 0;
    return true;
}

/* Who drives now sees the answer as soon as this thread would, and in a moment leaves the role. To sleep until then costs both
 * more than to let them go on. False, too, if the event has come. */
RRI_TRIES(rri_driver) RRI_UNCHECKED
static bool take_turn(rri_progress *p, const rri_event *event)
{
    for (unsigned tries = 0; tries < TURNS; tries++) {
        if (rri_driver_take(p, RRI_ROLE_FREE)) return true;
        if (rri_event_done(event)) return false;
        sched_yield();
    }
    return borrow(p);
}

/* Now and then: what is due by time, and whether the budget to poll is spent. */
RRI_NEEDS(rri_driver)
static bool is_spent(rri_progress *p, int64_t *quiet, unsigned *news, int64_t deadline)
{
    int64_t now = rri_now();
    *news += rri_timers_fire(p->timers, now);
    rri_driver_look_at_peers(p, now);
    rri_flow_flush(p->flow, true);
    if (*news || !*quiet || rri_link_moving(p->link)) *quiet = now;
    *news = 0;
    return now - *quiet >= p->borrowed_spin.ns || now >= deadline;
}

/* Sleep on the doorbell, for ns at most, and keep the role: what comes wakes the thread that waits for it. As in park, others
 * send, and leave things behind, until they see the mark. */
RRI_NEEDS(rri_driver)
static void doze(rri_progress *p, const rri_event *event, int64_t ns)
{
    rri_doorbell *bell = rri_link_bell(p->link);
    unsigned seen = rri_doorbell_announced(bell);
    if (p->nap < rri_driver_least_nap(p)) p->nap = rri_driver_least_nap(p);
    int64_t limit = rri_driver_sleep_limit(p);
    atomic_store_explicit(&p->sleep_ns, limit, memory_order_relaxed);
    rri_doorbell_asleep(bell, RRI_DOZER, seen);
    bool more = p->batch || p->due || rri_driver_expects(p) || rri_event_done(event) || rri_doorbell_announced(bell) != seen
                || atomic_load(&p->borrower) == RRI_ASKING;
    bool untidy = !more && !rri_is_short(limit) && rri_driver_leaves_behind(p);
    if (untidy) p->tidy = false;
    else if (!more) rri_doorbell_sleep(bell, RRI_DOZER, seen, limit >= 0 && limit < ns ? limit : ns);
    rri_doorbell_awake(bell);
    rri_driver_lengthen_nap(p);
}

/* How much longer the driver may doze for an event that a message will bring. */
static int64_t drowse(const rri_progress *p, int64_t quiet, int64_t deadline)
{
    int64_t now = rri_now(), end = rri_after(quiet, DOZE_NS + p->config.borrowed_spin);
    if (atomic_load(&p->crew.stop)) return 0;
    return (deadline < end ? deadline : end) - now;
}

/* Poll for an event with the role in hand until it comes, the budget is spent, or a handler is due that this thread may not
 * run; then give the role back. */
RRI_GIVES(rri_driver)
static void drive_for(rri_progress *p, rri_event *event, int64_t deadline, bool by_message)
{
    int64_t quiet = 0;
    unsigned news = 0;
    bool vain = false;
    rri_thread.polls_for = event;
    for (unsigned polls = 1; !rri_event_done(event); polls++) {
        if (!(p->near && rri_driver_skips_look(p)) && rri_driver_poll(p, &news) == RRI_PASS) {
            rri_thread.polls_for = NULL;
            rri_driver_pass(p);
            return;
        }
        if (polls % RRI_CLOCK_POLLS || !is_spent(p, &quiet, &news, deadline)) continue;
        if (!vain) rri_budget_spent(&p->borrowed_spin);
        if (!vain && !p->config.bell_reaches_all) p->nap = rri_driver_least_nap(p);    /* the answer does not ring */
        vain = true;
        int64_t left = by_message ? drowse(p, quiet, deadline) : 0;
        if (left <= 0) break;
        doze(p, event, left);
    }
    if (!vain) rri_budget_well_spent(&p->borrowed_spin);
    rri_thread.polls_for = NULL;
    rri_driver_leave(p, vain ? 0 : quiet, rri_event_done(event));
}

static int too_deep(const rri_progress *p)
{
    return rri_fail(RREF_ERR_TOO_DEEP, "no further handler can wait: %u may, as far as there are threads for them",
                    p->config.crew.max_blocked);
}

static bool is_elsewhere(rri_progress *p)
{
    return p->config.serialized && !rri_drives(p) && atomic_load(&p->role) != RRI_ROLE_FREE;
}

int rri_progress_may_drive(rri_progress *p)
{
    if (p->config.funneled && !pthread_equal(p->init_thread, pthread_self()))
        return rri_fail(RREF_ERR_THREAD, "only the thread that called MPI_Init may do this");
    return is_elsewhere(p) ? rri_fail(RREF_ERR_THREAD, "another thread is in the library: MPI_THREAD_SERIALIZED is one at a time")
                           : RREF_OK;
}

/* Without threads of the library, handlers run on the stack of the one that waits. */
int rri_progress_may_wait(rri_progress *p)
{
    if (is_elsewhere(p)) return rri_progress_may_drive(p);
    if (rri_thread.in_inline) return rri_fail(RREF_ERR_BLOCKING, "an inline method or callback may not wait");
    bool may = p->config.application ? rri_thread.depth <= (int)p->config.crew.max_blocked
                                     : !rri_self.crew || rri_crew_may_block(rri_self.crew);
    return may ? RREF_OK : too_deep(rri_self.crew ? own_progress() : p);
}

static int wait_application(rri_progress *p, rri_event *event, int64_t deadline)
{
    int rc = rri_progress_may_wait(p);
    if (rc) return rc;
    while (!rri_event_done(event)) {
        if (deadline != RRI_NEVER && rri_now() >= deadline) return RREF_ERR_PENDING;
        if (atomic_load(&p->crew.stop)) return RREF_ERR_FINALIZED;
        rc = rri_progress_poll(p, event);
        if (rc == RREF_ERR_THREAD) sleep_on(p, event, slice(deadline, SLICE_FIRST_NS));
    }
    return RREF_OK;
}

/* A handler that blocks keeps its stack and frees its place. */
static int wait_blocked(rri_progress *p, rri_event *event, int64_t deadline)
{
    rri_progress *own = own_progress();
    leave_role(own);
    rri_flow_flush(own->flow, true);
    if (p != own) rri_flow_flush(p->flow, true);
    if (!rri_crew_block(&own->crew)) {
        rri_driver_rouse(own);
        return too_deep(own);
    }
    int rc = sleep_until(p, event, deadline);
    rri_crew_unblock(&own->crew);
    return rc;
}

/* A wait of a few milliseconds may find its time over when it begins: another process had the core. */
static bool over_at_once(int64_t deadline)
{
    return rri_chaos_has(RRI_CHAOS_TIMEOUT) && deadline - rri_now() < RRI_CHAOS_SHORT_NS && rri_chaos(RRI_CHAOS_TIMEOUT);
}

RRI_UNCHECKED     /* rri_progress_try gives the role back */
void rri_progress_ready(rri_progress *p)
{
    if (!rri_thread.driving && rri_may_poll(p) && rri_driver_take(p, RRI_ROLE_FREE)) rri_thread.ready = p;
}

RRI_UNCHECKED     /* with or without the role */
bool rri_progress_try(rri_progress *p, rri_event *event, int64_t deadline, bool by_message)
{
    bool ready = rri_thread.ready == p;
    rri_thread.ready = NULL;
    if (!ready && rri_event_done(event)) return true;
    if (!ready && !rri_may_poll(p)) return false;
    if (!ready) rri_flow_flush(p->flow, true);
    if (ready || take_turn(p, event)) drive_for(p, event, deadline, by_message);
    return rri_event_done(event);
}

int rri_progress_sleep(rri_progress *p, rri_event *event, int64_t deadline)
{
    if (rri_event_done(event)) return RREF_OK;
    if (over_at_once(deadline)) return RREF_ERR_PENDING;
    if (rri_thread.in_inline) return rri_fail(RREF_ERR_BLOCKING, "an inline method or callback may not wait");
    if (p->config.application) return wait_application(p, event, deadline);
    if (rri_self.crew) return wait_blocked(p, event, deadline);
    return sleep_until(p, event, deadline);
}

int rri_progress_wait(rri_progress *p, rri_event *event, int64_t deadline)
{
    return rri_progress_try(p, event, deadline, false) ? RREF_OK : rri_progress_sleep(p, event, deadline);
}

/* Where nobody drives this thread sees to what moves, but runs nothing: it may be the last one, and its stack is deep. */
RRI_UNCHECKED
static void move_on(rri_progress *p)
{
    bool drives = rri_thread.driving == p;      /* from further up on its stack */
    if (!drives && (rri_thread.driving || !rri_driver_take(p, RRI_ROLE_FREE))) return;
    rri_flow_flush(p->flow, true);
    rri_flow_drain(p->flow);
    rri_link_advance(p->link);
    if (!drives) rri_driver_pass(p);
}

/* Where only the application drives nobody else brings what has not begun to move. */
static bool may_come(const rri_progress *p) { return !p->config.application || rri_link_moving(p->link); }

int rri_progress_settle(rri_progress *p, rri_event *event)
{
    int rc = rri_progress_wait(p, event, RRI_NEVER);
    while (rc == RREF_ERR_TOO_DEEP && !atomic_load(&p->crew.stop)) {
        if (rri_event_done(event)) return RREF_OK;
        if (!may_come(p)) break;
        move_on(p);
        sleep_on(p, event, RRI_NAP_MIN_NS);
    }
    return rc;
}

/* Poll, with the role in hand, until there is room in a lane or the budget is spent. */
RRI_UNCHECKED     /* the role is passed on, or parked */
static void drive_for_room(rri_progress *p, int peer, int64_t deadline)
{
    int64_t quiet = 0;
    unsigned news = 0;
    for (unsigned polls = 1; rri_lane_full(p->flow, peer); polls++) {
        if (rri_driver_poll(p, &news) == RRI_PASS) {
            rri_driver_pass(p);
            return;
        }
        if (polls % RRI_CLOCK_POLLS == 0 && is_spent(p, &quiet, &news, deadline)) break;
    }
    rri_driver_leave(p, quiet, !rri_lane_full(p->flow, peer));
}

/* Whether a thread that has waited for room since then goes on without it, on what is lent: a method over there may wait for this
 * very call. After a second, and while there is still no room ever more seldom, so that a flood leaves that to others. */
static bool goes_beyond(const rri_progress *p, int peer, unsigned seen, int64_t since)
{
    static RRI_THREAD_LOCAL struct { const atomic_uint *event; unsigned seen, times; } last;
    const atomic_uint *event = rri_lane_event(p->flow, peer);
    unsigned times = last.event == event && last.seen == seen ? last.times : 0;
    int64_t now = rri_now();
    if (now - since < (int64_t)RRI_BEYOND_NS << times || !rri_lane_go_beyond(p->flow, peer, now)) return false;
    last.event = event;
    last.seen = seen;
    last.times = times + (times < BEYOND_DOUBLINGS);
    return true;
}

RRI_UNCHECKED     /* with or without the role */
bool rri_progress_room(rri_progress *p, int peer, int64_t deadline)
{
    if (!rri_lane_full(p->flow, peer)) return true;
    if (rri_self.crew || rri_thread.in_inline || p->config.application || rri_thread.depth > 0) return true;
    atomic_uint *event = rri_lane_event(p->flow, peer);
    if (rri_may_poll(p) && borrow(p)) drive_for_room(p, peer, deadline);
    if (!rri_lane_full(p->flow, peer)) return true;
    bool in_time = true;
    rri_progress_want(p);
    unsigned turn = 0;
    int64_t since = rri_now();
    for (unsigned seen; seen = atomic_load(event), rri_lane_full(p->flow, peer) && !atomic_load(&p->crew.stop);) {
        int64_t ns = slice(deadline, ROOM_NS);
        in_time = ns > 0;
        if (!in_time || goes_beyond(p, peer, seen, since)) break;
        if (++turn % ROOM_TURNS) rri_progress_nudge(p);
        else look_in(p);                /* who took all, and died before giving credit, is missed by nobody else */
        rri_futex_wait(event, seen, ns);
    }
    rri_progress_unwant(p);
    return in_time;
}
