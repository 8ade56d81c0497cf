/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns a context's progress from open to close, and what goes with the role while user code runs on the driver. */
#include "progress.h"
#include "driver.h"
#include "error.h"
#include "memory.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { MANY_HANDLERS = 200 };

/* ---- events */

void rri_event_set(rri_event *event)
{
    if (atomic_exchange(&event->word, RRI_EVENT_DONE) & RRI_EVENT_WAITED) rri_futex_wake(&event->word, INT_MAX);
}

bool rri_progress_polls_for(const rri_event *event) { return rri_thread.polls_for == event; }

/* ---- open and close */

RRI_UNCHECKED                           /* nobody drives yet */
int rri_progress_open(rri_link *link, rri_flow *flow, rri_timers *timers, const rri_progress_config *config,
                      rri_dispatch dispatch, void *up, rri_progress **out)
{
    rri_progress *p = rri_aligned_alloc(64, (sizeof *p + 63) & ~(size_t)63);
    if (!p) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for progress");
    memset(p, 0, sizeof *p);
    if (rri_crew_open(&p->crew, &config->crew, rri_doorbell_standby(rri_link_bell(link)), rri_watcher_main, p)) {
        free(p);
        return RREF_ERR_NO_MEMORY;
    }
    p->link = link;
    p->flow = flow;
    p->timers = timers;
    p->config = *config;
    p->dispatch = dispatch;
    p->up = up;
    p->init_thread = pthread_self();
    p->nap = RRI_NAP_MIN_NS;
    p->tick = RRI_TICK_NS;
    p->spin = (rri_budget){ .most = config->spin, .ns = config->spin, .probes = !config->bell_reaches_all };
    p->borrowed_spin = (rri_budget){ .most = config->borrowed_spin, .ns = config->borrowed_spin, .probes = true };
    *out = p;
    return RREF_OK;
}

void rri_progress_close(rri_progress *p)
{
    if (!p) return;
    rri_has(&rri_driver);               /* nobody else drives any more */
    if (p->batch) rri_buffer_drop(p->batch);
    rri_crew_close(&p->crew);
    free(p);
}

void rri_progress_watch(rri_progress *p, rri_peers *peers) { p->peers = peers; }

/* ---- whether, and how */

bool rri_progress_is_driver(const rri_progress *p) { return rri_thread.driving == p; }

rri_haste rri_progress_haste(rri_progress *p, int peer)
{
    if (rri_thread.driving != p || rri_thread.offered) return RRI_AT_ONCE;  /* offered: the batch may be another's by now */
    rri_has(&rri_driver);
    if (!p->batch) return RRI_AT_ONCE;
    if (p->at != p->batch->bytes) return RRI_COMPANY;
    if (p->paid || p->batch->peer != peer || !rri_credit_pays(p->flow, p->batch)) return RRI_AT_ONCE;
    p->paid = true;
    return RRI_PAYING;
}

bool rri_progress_is_library(void) { return rri_self.crew != NULL; }
bool rri_progress_is_application(const rri_progress *p) { return p->config.application; }

bool rri_progress_may_run(const rri_progress *p)
{
    return rri_self.crew == &p->crew || p->config.application;
}

bool rri_progress_has_place(const rri_progress *p)
{
    return p->config.application || rri_crew_has_place(&p->crew);
}

/* ---- the crew */

int rri_progress_start(rri_progress *p) { return rri_crew_start(&p->crew); }

void rri_progress_stop(rri_progress *p, bool abandon)
{
    atomic_store(&p->crew.stop, abandon ? RRI_STOP_AT_ONCE : RRI_STOP_SETTLED);
    rri_link_kick(p->link);
    rri_crew_stop(&p->crew, abandon);
}

int rri_progress_place(rri_progress *p, const rri_units *drivers, const rri_units *workers)
{
    return rri_crew_place(&p->crew, drivers, workers);
}

/* A job that has to wait: the watcher should look who computes. */
void rri_progress_submit(rri_progress *p, rri_job *job)
{
    if (!rri_crew_submit(&p->crew, job) && rri_thread.driving != p && !p->config.application) rri_link_kick(p->link);
}

/* ---- user code on the driver */

/* Whether there is more to do, before a neighbour rings, than to wait for that. */
static bool must_be_watched(rri_progress *p)
{
    bool timed = atomic_load(&p->timers->next) != RRI_NEVER || !p->config.bell_reaches_all || rri_crew_short(&p->crew);
    return timed || rri_driver_expects(p) || rri_driver_leaves_behind(p) || (p->peers && rri_peers_watched(p->peers));
}

/* Nobody watches: the next ring is to call the standby. To call it for each handler would cost a wake-up, and a timer some 7 us
 * to set, and as much to take back (on a virtual machine). False if that will not do. The mark is in a line of memory that
 * neighbours write, and costs each handler its way there and back: in a long row of them somebody had better watch. */
static bool leave_to_standby(rri_progress *p)
{
    if (!rri_crew_stands_by(&p->crew) || must_be_watched(p)) return false;
    atomic_store_explicit(&p->sleep_ns, -1, memory_order_relaxed);      /* it sleeps without limit, and without looks at others */
    atomic_store_explicit(&p->dozes, false, memory_order_relaxed);
    atomic_store_explicit(&p->until, RRI_NEVER, memory_order_relaxed);
    atomic_store_explicit(&p->blind, true, memory_order_relaxed);
    return true;
}

/* Before the driver goes into user code; whether the standby is marked. */
RRI_NEEDS(rri_driver)
static bool have_it_watched(rri_progress *p)
{
    rri_doorbell *bell = rri_link_bell(p->link);
    unsigned seen = rri_doorbell_announced(bell);
    bool unfinished = p->due || (p->batch && p->at < p->batch->bytes);
    bool marked = !unfinished && p->handled++ < MANY_HANDLERS && leave_to_standby(p);
    rri_chaos_nap(RRI_CHAOS_SLOW, RRI_CHAOS_HOLD_NS);
    if (marked) rri_doorbell_asleep(bell, RRI_STANDBY, seen);       /* a barrier: what follows is looked at behind it */
    if (!marked || must_be_watched(p) || rri_doorbell_announced(bell) != seen) rri_crew_call(&p->crew);
    return marked;
}

void rri_progress_offer(rri_progress *p)
{
    rri_has(&rri_driver);
    if (p->batch && p->at == p->batch->bytes) rri_driver_pay(p);       /* the handler may take long */
    if (p->config.application) return;
    rri_thread.offered = ++p->handlers << 2 | RRI_ROLE_TAKEABLE;
    atomic_store_explicit(&p->handling, &rri_self, memory_order_relaxed);
    bool watched = atomic_load(&p->crew.watching);
    p->marked = !watched && have_it_watched(p);
    atomic_store(&p->role, rri_thread.offered);
    if (watched && !atomic_load(&p->dozes)) rri_link_kick(p->link);     /* it sleeps since this thread had departed */
}

bool rri_progress_reclaim(rri_progress *p)
{
    if (p->config.application) return true;
    uint64_t offered = rri_thread.offered;
    rri_thread.offered = 0;
    if (offered && atomic_compare_exchange_strong(&p->role, &offered, RRI_ROLE_HELD)) {
        rri_has(&rri_driver);
        if (p->marked) rri_doorbell_awake(rri_link_bell(p->link));
        return true;
    }
    if (rri_thread.driving == p) rri_thread.driving = NULL;
    rri_crew_delist(&p->crew);
    return false;
}

/* The credit of the message goes along with the answer, if that comes soon; else the watcher sends it. */
RRI_UNCHECKED                            /* parks the role */
bool rri_progress_depart(rri_progress *p)
{
    bool drives = rri_thread.driving == p && !rri_thread.offered && rri_self.crew == &p->crew && !p->config.restless;
    if (!drives || p->due || (p->batch && p->at < p->batch->bytes)) return false;
    unsigned seen = rri_doorbell_announced(rri_link_bell(p->link));
    rri_flow_flush(p->flow, true);
    if (p->batch) rri_driver_finish_batch(p);
    if (rri_driver_expects(p) || !rri_crew_compute(&p->crew)) return false;
    bool watched = atomic_load(&p->crew.watching), marked = !watched && leave_to_standby(p);
    if (!watched && !marked) rri_crew_call(&p->crew);
    int64_t limit = marked ? -1 : rri_bounded(RRI_TICK_NS, atomic_load(&p->timers->next));
    if (rri_driver_let_go(p, marked ? RRI_STANDBY : RRI_WATCHER, seen, limit)) return true;
    rri_crew_delist(&p->crew);
    return false;
}

bool rri_progress_return(rri_progress *p)
{
    rri_crew_delist(&p->crew);
    return rri_driver_take(p, RRI_ROLE_FREE);
}

/* Who waits for an event looks at messages alone for a while: the rest takes as long again, and they would be seen late. */
RRI_NEEDS(rri_driver)
static rri_verdict look(rri_progress *p, const rri_event *event, unsigned *news)
{
    rri_verdict v = rri_driver_poll(p, news);
    for (unsigned looks = 1; event && !*news && v == RRI_DONE && !rri_event_done(event) && looks < RRI_CLOCK_POLLS; looks++)
        v = rri_driver_poll(p, news);
    return v;
}

RRI_NEEDS(rri_driver)
static int poll_and_work(rri_progress *p, const rri_event *event)
{
    unsigned news = 0;
    rri_verdict v = look(p, event, &news);
    if (v == RRI_LOST) return (int)news;
    int64_t now = rri_now();
    news += rri_timers_fire(p->timers, now);
    rri_driver_look_at_peers(p, now);
    rri_flow_flush(p->flow, true);
    news += rri_flow_drain(p->flow);
    if (p->config.application) news += rri_crew_work(&p->crew);
    return v == RRI_PASS ? 1 : (int)news;
}

/* With the role, which this thread may have from further up on its stack. */
RRI_UNCHECKED
static int poll_as_driver(rri_progress *p, const rri_event *event)
{
    const rri_thread_state outer = rri_thread;
    rri_thread.driving = p;
    int news = poll_and_work(p, event);
    if (outer.driving != p) rri_thread.driving = outer.driving;
    return news;
}

RRI_UNCHECKED
static int poll_for_once(rri_progress *p, const rri_event *event)
{
    if (!rri_driver_take(p, RRI_ROLE_FREE)) return p->config.application ? RREF_ERR_THREAD : 0;
    int news = poll_and_work(p, event);
    if (rri_thread.driving != p) return news;       /* a handler took so long that it was taken over */
    rri_driver_free(p);
    if (!p->config.application) rri_driver_rouse(p);
    return news;
}

int rri_progress_poll(rri_progress *p, const rri_event *event)
{
    bool reads = rri_thread.in_inline || (rri_thread.depth > 0 && !p->config.application);    /* a message that would go */
    if (reads) return RREF_ERR_BLOCKING;
    if (p->config.funneled && !pthread_equal(p->init_thread, pthread_self())) return RREF_ERR_THREAD;
    if (rri_thread.driving == p && rri_thread.offered) return 0;    /* in a handler; another thread may have the role */
    if (rri_drives(p)) return poll_as_driver(p, event);
    const rri_thread_state outer = rri_thread;
    int news = poll_for_once(p, event);
    rri_thread.driving = outer.driving;             /* in a handler of another context this thread may have the role of that */
    rri_thread.offered = outer.offered;
    return news;
}

void rri_progress_wake(rri_progress *p)
{
    if (!p->config.application) rri_link_kick(p->link);
}

void rri_progress_hurry(rri_progress *p)
{
    if (rri_doorbell_is_patient(rri_link_bell(p->link))) rri_link_kick(p->link);
}

void rri_progress_want(rri_progress *p)
{
    atomic_fetch_add(&p->wants, 1);     /* before the look; who parks the role does the reverse */
    rri_progress_hurry(p);
}

void rri_progress_unwant(rri_progress *p) { atomic_fetch_sub(&p->wants, 1); }

/* What waits for company leaves when the watcher looks, which is soon, if this thread does not send more before. To wake it for
 * more than to be told so would take this thread's core. */
RRI_UNCHECKED                            /* parks the role again */
static void leave_for_later(rri_progress *p)
{
    unsigned seen = rri_doorbell_announced(rri_link_bell(p->link));
    bool may = !rri_thread.driving && rri_may_poll(p) && atomic_load(&p->crew.watching) && !atomic_load(&p->wants);
    if (!may || !rri_driver_take(p, RRI_ROLE_FREE)) {
        rri_link_kick(p->link);
    } else if (!rri_driver_let_go(p, RRI_PATIENT, seen, RRI_NAP_NEAR_NS)) {
        rri_driver_leave(p, 0, true);
    } else if (atomic_load(&p->wants)) {
        rri_link_kick(p->link);
    } else {
        rri_driver_remind(p, seen, RRI_NAP_NEAR_NS);
    }
}

void rri_progress_nudge(rri_progress *p)
{
    if (p->config.application || (rri_thread.driving == p && !rri_thread.offered)) return;
    rri_doorbell *bell = rri_link_bell(p->link);
    if (!rri_doorbell_sleeps(bell) || rri_is_short(atomic_load_explicit(&p->sleep_ns, memory_order_relaxed))) return;
    atomic_thread_fence(memory_order_seq_cst);  /* what was left behind, before the look; watch_parked does the reverse */
    if (atomic_load_explicit(&p->dozes, memory_order_relaxed)) return;
    bool blind = p->peers && atomic_load_explicit(&p->blind, memory_order_relaxed) && rri_peers_watched(p->peers);
    if (blind) rri_link_kick(p->link);
    else if (rri_driver_leaves_behind(p)) leave_for_later(p);
}

bool rri_progress_is_inline(void) { return rri_thread.in_inline; }

bool rri_progress_inline(bool on)
{
    bool was = rri_thread.in_inline;
    rri_thread.in_inline = on;
    return was;
}

int rri_progress_depth(int change)
{
    int was = rri_thread.depth;
    rri_thread.depth += change;
    return was;
}

void rri_progress_counts(rri_progress *p, uint64_t *wakeups, uint64_t *threads)
{
    *wakeups = atomic_load_explicit(&p->wakeups, memory_order_relaxed);
    *threads = rri_crew_threads(&p->crew);
}

bool rri_progress_quiet(rri_progress *p) { return rri_crew_quiet(&p->crew); }
