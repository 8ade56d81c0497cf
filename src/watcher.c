/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what the library's threads do: one drives, or watches while the role is parked or lent; the others work, or stand by. */
#include "driver.h"

#include <sched.h>

enum { FEW_POLLS = 4, MOVING_NS = 200000, LONG_NS = 10000000, HOVER = 2000, TICK_MAX_NS = 800000 };

/* ---- driving */

/* How long to poll after the last news. The next call often comes as soon as data has left, and to be asleep then costs more
 * than the wait for it. Where polling is in vain it is for what a sleep would need a timer for: that costs more than to wait. */
RRI_NEEDS(rri_driver)
static int64_t patience(rri_progress *p)
{
    if (rri_budget_is_least(&p->spin) && !rri_driver_leaves_behind(p)) return 0;
    return p->spin.ns > 0 && p->spin.ns < MOVING_NS && rri_link_moving(p->link) ? MOVING_NS : p->spin.ns;
}

/* What the thread was woken for, out of a long sleep, is answered: now who did that goes on, and sees the answer. Where calls
 * come again and again it would be others who go on, since they compute, and the next call waits for them. */
RRI_NEEDS(rri_driver)
static void make_way(rri_progress *p)
{
    p->displaced = false;
    sched_yield();
}

/* Drive until the role is lost, granted or parked (library threads). */
RRI_NEEDS(rri_driver)
static void drive(rri_progress *p)
{
    int64_t quiet = rri_now(), arrival = quiet;
    unsigned news = 0, times = 0;           /* the first news is what this thread was woken for */
    for (unsigned polls = 1;; polls++) {
        unsigned before = news;
        if (!(p->near && rri_driver_skips_look(p)) && rri_driver_poll(p, &news) == RRI_LOST) return;
        if (news && p->displaced) make_way(p);
        if (!p->batch && rri_driver_grant(p)) return;
        bool glance = p->glance;
        p->glance = false;
        bool polls_on = p->config.spin > 0 || p->config.restless || news != before;
        if (!glance && polls % (rri_budget_is_least(&p->spin) ? FEW_POLLS : RRI_CLOCK_POLLS) && polls_on) continue;
        int64_t now = rri_now();
        news += rri_timers_fire(p->timers, now);
        rri_driver_look_at_peers(p, now);
        rri_flow_flush(p->flow, true);
        rri_crew_inspect(&p->crew, now);
        if (news) {
            quiet = arrival = now;
            rri_driver_shorten_nap(p);
            if (times++) rri_budget_well_spent(&p->spin);
        }
        unsigned stop = atomic_load(&p->crew.stop);
        if (stop) {
            if (stop == RRI_STOP_AT_ONCE || !rri_driver_expects(p)) break;
        } else if (!news && !p->config.restless && (glance || now - quiet >= patience(p))) {
            if (times) rri_budget_spent(&p->spin);
            if (rri_driver_park(p, times)) return;        /* without the role, which is one way to end this */
            quiet = now;
        }
        if (now - arrival >= RRI_DRIFT_NS) rri_link_rebase(p->link);
        news = 0;
    }
    rri_driver_free(p);
    rri_has(&rri_driver);               /* as on the other ways out of here: whether it is so, rri_thread.driving knows */
}

/* The driver is in user code for long: from now on that computes beside the driver. */
RRI_UNCHECKED                            /* what it takes it keeps */
static void take_over(rri_progress *p, uint64_t role)
{
    rri_take(&p->crew.lock, &rri_crew_lock);
    rri_member *handling = atomic_load_explicit(&p->handling, memory_order_relaxed);
    if (rri_driver_take(p, role)) rri_crew_enlist(&p->crew, handling);
    rri_give(&p->crew.lock, &rri_crew_lock);
    p->tick = RRI_TICK_NS;
}

/* ---- watching: asleep on the doorbell, or ticking while another thread drives */

/* Nobody rings when a peer ends: as long as something may be expected of others no sleep is without limit. */
static int64_t with_looks(rri_progress *p, int64_t ns)
{
    atomic_store(&p->blind, ns < 0);            /* before the look, which who has begun something meanwhile relies on */
    bool looks = p->peers && rri_peers_watched(p->peers);
    if (looks) atomic_store_explicit(&p->blind, false, memory_order_relaxed);
    return looks && (ns < 0 || ns > RRI_PEERS_LOOK_NS) ? RRI_PEERS_LOOK_NS : ns;
}

RRI_UNCHECKED                            /* what it takes it keeps */
static void watch_parked(rri_progress *p)
{
    rri_doorbell *bell = rri_link_bell(p->link);
    int64_t limit = atomic_load(&p->sleep_ns), ns = with_looks(p, limit), since = rri_now();
    bool patient = rri_doorbell_is_patient(bell);
    if (p->anew && ns >= 0 && ns < RRI_NAP_MAX_NS)
        ns = rri_bounded(patient ? RRI_PATIENT_NS : RRI_NAP_MAX_NS, atomic_load(&p->timers->next));
    unsigned parked = atomic_load(&p->parked), seen = patient ? rri_doorbell_announced(bell) : atomic_load(&p->seen);
    atomic_store(&p->until, ns < 0 ? RRI_NEVER : rri_after(since, ns));
    atomic_store(&p->dozes, rri_is_short(ns));
    if (atomic_load(&p->sleep_ns) != limit) return;     /* parked anew: who did it may have seen it doze */
    if (patient && !rri_is_short(ns)) ns = RRI_NAP_NEAR_NS;  /* a ring that is between its count and the mark may be slept on */
    if (!rri_is_short(ns) && rri_driver_leaves_behind(p)) ns = RRI_NAP_MIN_NS;  /* so may who has left something since */
    if (rri_doorbell_sleeps(bell) && !p->config.restless) rri_doorbell_sleep(bell, RRI_WATCHER, seen, ns);
    bool anew = atomic_load(&p->parked) != parked
                && (rri_doorbell_is_patient(bell) || rri_doorbell_announced(bell) == atomic_load(&p->seen));
    p->anew = anew && rri_is_short(ns);         /* somebody drives by turns with other things: it sleeps once more, and longer */
    if (anew) return;
    if (rri_driver_take(p, RRI_ROLE_FREE)) {
        atomic_fetch_add_explicit(&p->wakeups, 1, memory_order_relaxed);
        p->glance = rri_doorbell_announced(bell) == seen;
        int64_t slept = rri_now() - since;
        p->displaced = !p->glance && slept >= LONG_NS && rri_doorbell_displaced(bell);
        if (!p->glance) rri_budget_slept(&p->spin, slept);
        rri_driver_lengthen_nap(p);
    }
}

/* The restless watcher while an application thread drives: until the role is free, or for a tick. */
static void hover(rri_progress *p)
{
    for (unsigned looks = 0; looks < HOVER && atomic_load(&p->role) != RRI_ROLE_FREE; looks++) rri_pause();
}

/* Each tick costs the driver some 20 us where there is no core for it. While a driver keeps the role, and its handlers are short,
 * they come more seldom; one that may be in a long handler is looked at again soon. */
static int64_t next_tick(rri_progress *p, uint64_t role)
{
    unsigned parked = atomic_load_explicit(&p->parked, memory_order_relaxed);
    if (parked != p->steady) p->tick = RRI_TICK_NS;
    else if (p->tick < TICK_MAX_NS) p->tick *= 2;
    p->steady = parked;
    return (role & 3) == RRI_ROLE_TAKEABLE ? RRI_TICK_NS : p->tick;
}

/* Whether the driver is in the same handler as before, and that not only since a moment: a ring ends a tick at once. */
static bool stands_still(const rri_progress *p, uint64_t role, uint64_t last)
{
    return (role & 3) == RRI_ROLE_TAKEABLE && role == last && rri_now() - p->looked >= RRI_TICK_NS / 2;
}

/* Returns when this thread holds the role or the crew ends. */
static void watch(rri_progress *p)
{
    uint64_t last = 0;
    while (!atomic_load(&p->crew.stop) && rri_thread.driving != p) {
        unsigned seen = rri_doorbell_announced(rri_link_bell(p->link));
        uint64_t role = atomic_load(&p->role);
        if (role == RRI_ROLE_FREE) {
            watch_parked(p);
        } else if (stands_still(p, role, last)) {
            take_over(p, role);
        } else {
            if (role != last) p->looked = rri_now();
            last = role;
            bool app = atomic_load_explicit(&p->borrowed, memory_order_relaxed) && (role & 3) != RRI_ROLE_TAKEABLE;
            atomic_store(&p->dozes, true);
            if (app && p->config.restless) hover(p);
            else rri_doorbell_sleep(rri_link_bell(p->link), RRI_WATCHER, seen, app ? RRI_NAP_MAX_NS : next_tick(p, role));
            rri_crew_inspect(&p->crew, rri_now());
        }
    }
}

void *rri_watcher_main(void *arg)
{
    rri_progress *p = arg;
    rri_crew_join(&p->crew);
    while (!atomic_load(&p->crew.stop)) {
        unsigned nobody = 0;
        if (!atomic_compare_exchange_strong(&p->crew.watching, &nobody, 1)) {
            if (!rri_crew_work(&p->crew)) rri_crew_idle(&p->crew);
            continue;
        }
        if (!rri_crew_call_for_jobs(&p->crew)) {        /* before the watcher sleeps: jobs that wait need another one */
            atomic_store(&p->crew.watching, 0);
            rri_crew_work(&p->crew);
            continue;
        }
        watch(p);
        atomic_store(&p->crew.watching, 0);
        if (rri_thread.driving != p) continue;
        rri_has(&rri_driver);
        drive(p);
    }
    return NULL;
}
