/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the role, and the message being dispatched.
 * Locking key: i constant, d driver only (handed over with the role), a atomic.
 * The role word: FREE, HELD, or TAKEABLE with the number k of the handler the driver is in.
 */
#include "progress.h"
#include "chaos.h"
#include "crew.h"
#include "error.h"
#include "log.h"
#include "memory.h"

#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { FREE = 0, HELD = 1, TAKEABLE = 2, CLOCK_POLLS = 16, TICK_NS = 100000, TICK_MAX_NS = 800000, NAP_MIN_NS = 20000,
       NAP_MAX_NS = 1000000, NAP_FAR_NS = 2000000, DRIFT_NS = 1000000, HOVER = 2000, SLICE_FIRST_NS = 1000000,
       SLICE_NS = 100000000, MOVING_NS = 200000, NAP_NEAR_NS = 100000, TURNS = 30, DOZE_NS = 1000000, SPIN_MIN_NS = 2000,
       PATIENT_NS = 200000, FLOWN = 8, PROBE = 16, FEW_POLLS = 4, NEAR_STREAK = 8, NEAR_LOOKS = 128, LONG_NS = 10000000,
       MANY_HANDLERS = 200 };

/* How long to poll without news before a sleep. */
typedef struct budget {
    int64_t most, ns;
    unsigned vain;                  /* times in a row that it was spent for nothing */
    bool probes;                    /* nothing else tells that it should be longer */
} budget;

struct rri_progress {
    rri_link *link;                 /* i */
    rri_flow *flow;                 /* i */
    rri_timers *timers;             /* i */
    rri_progress_config config;     /* i */
    rri_dispatch dispatch;          /* i */
    void *up;                       /* i */
    pthread_t init_thread;          /* i */
    rri_peers *peers;               /* i, or NULL */

    _Alignas(64) _Atomic uint64_t role;
    uint64_t handlers RRI_OWNED(rri_driver);    /* d: handlers started on the driver */
    rri_buffer *batch RRI_OWNED(rri_driver);    /* d: message being dispatched */
    uint32_t at RRI_OWNED(rri_driver);          /* d: its next record */
    bool paid RRI_OWNED(rri_driver);            /* d: its credit is accounted for */
    rri_job *due RRI_OWNED(rri_driver), *due_last RRI_OWNED(rri_driver);   /* d: found in this look at MPI, to be run behind it */
    budget spin RRI_OWNED(rri_driver), borrowed_spin RRI_OWNED(rri_driver);     /* d: of library threads; of others */
    int64_t nap RRI_OWNED(rri_driver);          /* d: how long the next bounded sleep is */
    int from RRI_OWNED(rri_driver);             /* d: whose the last message was */
    unsigned flown RRI_OWNED(rri_driver);       /* d: how often the role may still be parked with patience */
    unsigned near RRI_OWNED(rri_driver);        /* d: messages of this node since the last one of another */
    unsigned looks RRI_OWNED(rri_driver);       /* d: looks that could have been left out */
    unsigned handled RRI_OWNED(rri_driver);     /* d: handlers since the role was parked that the standby was marked for */
    bool tidy RRI_OWNED(rri_driver);            /* d: nothing was left behind when the role was parked last */
    bool glance RRI_OWNED(rri_driver);          /* d: time alone ended the last one: a poll without news is enough */
    bool marked RRI_OWNED(rri_driver);          /* d: the standby is, while the driver is in user code */
    bool displaced RRI_OWNED(rri_driver);       /* d: who rang may wait for the core that the watcher woke up on */
    _Atomic int64_t sleep_ns;       /* a: how long the watcher may sleep while the role is parked; -1: no limit */
    atomic_uint parked;             /* a: how often the role was */
    bool anew;                      /* the watcher's: it was, while that slept */
    int64_t tick;                   /* the watcher's: how long it sleeps while a library thread drives */
    unsigned steady;                /* the watcher's: `parked` at its last look at such a one */
    int64_t looked;                 /* the watcher's: when it first saw the handler that it looks for again */
    atomic_uint seen;               /* a: the doorbell's count before the last look of who parked the role */
    atomic_bool blind;              /* a: the watcher sleeps without looks at the peers between */
    atomic_bool dozes;              /* a: the watcher, if it sleeps, does so for NAP_MAX at most */
    _Atomic int64_t until;          /* a: ... or until then */
    _Atomic int64_t borrowed;       /* a: 1 while an application thread holds the role */
    atomic_uint borrower;           /* a: who asks for the role, or has been granted it: NOBODY, ASKING, GRANTED */
    atomic_uint wants;              /* a: sleeping threads and callbacks that a message may be for */

    _Atomic(rri_member *) handling; /* who runs handler number `handlers`: written by the driver */
    _Alignas(64) rri_crew crew;
    _Atomic uint64_t wakeups;       /* a */
};

enum { NOBODY, ASKING, GRANTED };

/* What a thread is, for whichever context it works. */
static RRI_THREAD_LOCAL struct {
    rri_progress *driving;          /* holds the role of this one (TAKEABLE counts until it is lost) */
    uint64_t offered;               /* the TAKEABLE word it left, or 0 */
    bool in_inline;
    int depth;                      /* handlers and callbacks on the stack */
    const rri_event *polls_for;     /* what it drives for, or NULL */
    rri_progress *ready;            /* it has taken the role of this one for what it is going to wait for */
} self;

/* ---- events */

void rri_event_set(rri_event *event)
{
    if (atomic_exchange(&event->word, RRI_EVENT_DONE) & RRI_EVENT_WAITED) rri_futex_wake(&event->word, INT_MAX);
}

bool rri_progress_polls_for(const rri_event *event) { return self.polls_for == event; }

/* ---- open and close */

static void *crew_main(void *arg);

RRI_UNCHECKED                           /* nobody drives yet */
int rri_progress_open(rri_link *link, rri_flow *flow, rri_timers *timers, const rri_progress_config *config,
                      rri_dispatch dispatch, void *up, rri_progress **out)
{
    rri_progress *p = rri_aligned_alloc(64, (sizeof *p + 63) & ~(size_t)63);
    if (!p) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for progress");
    memset(p, 0, sizeof *p);
    if (rri_crew_open(&p->crew, &config->crew, rri_doorbell_standby(rri_link_bell(link)), crew_main, p)) {
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
    p->nap = NAP_MIN_NS;
    p->tick = TICK_NS;
    p->spin = (budget){ .most = config->spin, .ns = config->spin, .probes = !config->bell_reaches_all };
    p->borrowed_spin = (budget){ .most = config->borrowed_spin, .ns = config->borrowed_spin, .probes = true };
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

/* ---- the role */

RRI_TRIES(rri_driver) RRI_UNCHECKED
static bool take_role(rri_progress *p, uint64_t from)
{
    if (!atomic_compare_exchange_strong(&p->role, &from, HELD)) return false;
    rri_doorbell_awake(rri_link_bell(p->link));
    self.driving = p;
    self.offered = 0;
    atomic_store_explicit(&p->borrowed, rri_self.crew != &p->crew, memory_order_relaxed);
    return true;
}

RRI_GIVES(rri_driver) RRI_UNCHECKED
static void free_role(rri_progress *p)
{
    self.driving = NULL;
    atomic_store_explicit(&p->role, FREE, memory_order_release);
}

bool rri_progress_is_driver(const rri_progress *p) { return self.driving == p; }
rri_haste rri_progress_haste(rri_progress *p, int peer)
{
    if (self.driving != p || self.offered) return RRI_AT_ONCE;  /* offered: the batch may be another thread's by now */
    rri_has(&rri_driver);
    if (!p->batch) return RRI_AT_ONCE;
    if (p->at != p->batch->bytes) return RRI_COMPANY;
    if (p->paid || p->batch->peer != peer || !rri_flow_pays(p->flow, p->batch)) return RRI_AT_ONCE;
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
    if (!rri_crew_submit(&p->crew, job) && self.driving != p && !p->config.application) rri_link_kick(p->link);
}

/* ---- polling; the role is held */

/* The credit of the message goes back when its last record is about to be served. */
RRI_NEEDS(rri_driver)
static void pay(rri_progress *p)
{
    if (p->paid) return;
    p->paid = true;
    rri_flow_last(p->flow, p->batch);
}

RRI_NEEDS(rri_driver)
static rri_verdict finish_batch(rri_progress *p)
{
    rri_buffer *done = p->batch;
    pay(p);
    p->paid = false;
    p->batch = NULL;
    rri_flow_done(p->flow, done);
    return RRI_DONE;
}

/* The cursor moves before a record is dispatched, so that whoever takes the role over goes on behind it. */
RRI_NEEDS(rri_driver)
static rri_verdict run_batch(rri_progress *p)
{
    while (p->batch) {
        rri_buffer *b = p->batch;
        uint32_t at = p->at;
        if (at >= b->bytes) return finish_batch(p);
        const rri_record *r = (const rri_record *)(const void *)(b->data + at);
        if (!rri_record_fits(r, b->bytes - at)) {
            rri_log(RRI_LOG_ERROR, "a malformed record from rank %d was refused", b->peer);
            rri_flow_refuse(p->flow);
            return finish_batch(p);
        }
        p->at = at + r->bytes;
        rri_verdict v = p->dispatch(p->up, r, b);
        if (v == RRI_PASS) p->at = at;
        if (v != RRI_DONE) return v;
    }
    return RRI_DONE;
}

bool rri_progress_due(rri_progress *p, rri_job *job)
{
    if (self.driving != p || self.offered) return false;
    rri_has(&rri_driver);
    job->next = NULL;
    if (p->due) p->due_last->next = job;
    else p->due = job;
    p->due_last = job;
    return true;
}

RRI_NEEDS(rri_driver)
static rri_verdict run_due(rri_progress *p)
{
    for (rri_job *job; (job = p->due);) {
        p->due = job->next;
        job->run(job);
        if (self.driving != p) return RRI_LOST;
    }
    return RRI_DONE;
}

/* One look at everything. *news is raised when something happened. */
RRI_NEEDS(rri_driver)
static rri_verdict poll_once(rri_progress *p, unsigned *news)
{
    if (!p->batch) {
        p->batch = rri_flow_receive(p->flow);
        p->at = sizeof(rri_message);
    }
    if (p->batch) {
        ++*news;
        p->from = p->batch->peer;
        if (!p->config.bell_reaches_all) p->near = rri_link_neighbour(p->link, p->batch->peer) ? p->near + 1 : 0;
        rri_chaos_nap(RRI_CHAOS_SLOW, RRI_CHAOS_HOLD_NS);
        if (rri_link_moving(p->link)) *news += rri_link_advance(p->link);   /* what has left lends its memory to what comes */
        rri_verdict v = run_batch(p);
        if (v == RRI_LOST) return v;
        rri_flow_flush(p->flow, false);
        if (v == RRI_PASS) return v;
    }
    *news += rri_flow_drain(p->flow);
    *news += rri_link_advance(p->link);
    return run_due(p);
}

static void look_at_peers(rri_progress *p, int64_t now)
{
    if (p->peers) rri_peers_look(p->peers, now);
}

static bool work_in_sight(rri_progress *p)
{
    return rri_link_expects(p->link) || rri_flow_inbox(p->flow);
}

/* With ranks on other nodes each look at MPI asks the kernel about sockets, which costs more than all the rest, and messages
 * of this node wait for it. While only such come, who polls looks at the doorbell, and at MPI now and then. */
RRI_NEEDS(rri_driver)
static bool skips_look(rri_progress *p)
{
    if (p->near < NEAR_STREAK || ++p->looks % NEAR_LOOKS == 0 || p->glance || p->batch || p->due) return false;
    if (work_in_sight(p) || rri_link_busy(p->link) || rri_flow_waiting(p->flow)) return false;
    rri_pause();
    return true;
}

static int64_t bounded(int64_t nap, int64_t deadline)
{
    if (deadline == RRI_NEVER) return nap;
    int64_t now = rri_now(), left = deadline > now ? deadline - now : 0;
    return nap < 0 || left < nap ? left : nap;
}

/* The longer nothing comes the longer are the naps; past NAP_MAX_NS, for ranks on other nodes alone, they grow slowly. */
RRI_NEEDS(rri_driver)
static void lengthen_nap(rri_progress *p)
{
    const int64_t most = p->config.bell_reaches_all ? NAP_MAX_NS : NAP_FAR_NS;
    p->nap += p->nap < NAP_MAX_NS ? p->nap : p->nap / 32;
    if (p->nap > most) p->nap = most;
}

/* Where the bell reaches all, what is waited for is that neighbours take what was sent: nothing is to do while one wakes up. */
static int64_t least_nap(const rri_progress *p)
{
    return p->config.bell_reaches_all && !rri_link_moving(p->link) ? NAP_NEAR_NS : NAP_MIN_NS;
}

/* Some message now and then should not cost a whole series of short naps. */
RRI_NEEDS(rri_driver)
static void shorten_nap(rri_progress *p)
{
    const int64_t nap = p->config.bell_reaches_all ? 0 : p->nap / 8, least = least_nap(p);
    p->nap = nap > least ? nap : least;
}

/* Whether something of ours may still sit in MPI or in a buffer, which only a driver gets out. */
static bool leaves_behind(rri_progress *p)
{
    return rri_link_busy(p->link) || rri_flow_waiting(p->flow) || rri_link_adrift(p->link) || rri_link_unsettled(p->link);
}

/* How long the rank may sleep, if it goes to sleep tidy as it was last time: who has marked it asleep looks once more. */
RRI_NEEDS(rri_driver)
static int64_t sleep_limit(rri_progress *p)
{
    bool needed = rri_link_moving(p->link) || (!p->tidy && leaves_behind(p));
    p->tidy = !needed;
    int64_t nap = needed || !p->config.bell_reaches_all ? p->nap : -1;
    if ((nap < 0 || nap > NAP_MAX_NS) && (needed || rri_crew_short(&p->crew))) nap = NAP_MAX_NS;
    return bounded(nap, atomic_load(&p->timers->next));
}

static bool is_short(int64_t ns) { return ns >= 0 && ns <= NAP_MAX_NS; }

/* Leave the role free, marked asleep, but look once more; false: it is still held. */
RRI_NEEDS(rri_driver) RRI_UNCHECKED      /* it gives the role, and takes it again */
static bool let_go(rri_progress *p, rri_sleeper who, unsigned seen, int64_t limit)
{
    rri_doorbell *bell = rri_link_bell(p->link);
    bool unfinished = p->batch || p->due;
    atomic_store_explicit(&p->parked, atomic_load_explicit(&p->parked, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_store_explicit(&p->sleep_ns, limit, memory_order_relaxed);
    atomic_store_explicit(&p->seen, seen, memory_order_relaxed);
    if (who == RRI_PATIENT) {
        rri_doorbell_asleep(bell, who, seen);       /* not later, when another may have driven, and parked the role otherwise */
        self.driving = NULL;
        atomic_store(&p->role, FREE);               /* a barrier, as is the mark below: what follows is looked at behind it */
    } else {
        free_role(p);
        rri_doorbell_asleep(bell, who, seen);
    }
    bool more = unfinished || work_in_sight(p) || rri_doorbell_announced(bell) != seen;
    bool untidy = !more && !is_short(limit) && leaves_behind(p);
    if (!(more || untidy) || !take_role(p, FREE)) return true;
    p->tidy = !untidy;
    return false;
}

/* Whether the watcher sleeps for longer than it may now. */
static bool oversleeps(rri_progress *p, int64_t limit)
{
    if (limit < 0 || atomic_load(&p->dozes)) return false;
    return is_short(limit) || atomic_load(&p->until) - TICK_NS > rri_now() + limit;
}

/* It has to see anew for how long. But for data it need not look at once, which would take the core of the thread that goes on
 * now, and what that calls next would wait: the reminder counts as seen. */
static void remind(rri_progress *p, unsigned seen)
{
    if (rri_link_moving(p->link) || !atomic_load(&p->crew.watching)) {
        rri_link_kick(p->link);
        return;
    }
    atomic_store(&p->seen, seen + 1);
    atomic_store(&p->dozes, true);              /* it will, when it gets a core: to be reminded once is enough */
    rri_link_remind(p->link);
}

/* Who leaves calls under way comes back for their answers, most often soon. To wake the watcher for each takes the core that
 * makes the next calls, and costs their owner a system call: so it looks now and then until nothing is under way any more. */
RRI_NEEDS(rri_driver)
static bool may_be_patient(rri_progress *p)
{
    if (rri_lane_in_flight(p->flow, p->from)) p->flown = FLOWN;
    else if (p->flown) p->flown--;
    return p->flown && !p->config.restless && !atomic_load(&p->wants);
}

/* Give the role back, marked asleep; false if there is work after all, and then the role is still held. Others send, and leave
 * things behind, until they see the mark: hence the second look. content: the thread goes on with other things. */
RRI_NEEDS(rri_driver) RRI_UNCHECKED
static bool park(rri_progress *p, bool content)
{
    unsigned seen = rri_doorbell_announced(rri_link_bell(p->link));     /* before the last look: what rings then ends the sleep */
    rri_flow_flush(p->flow, true);
    rri_flow_drain(p->flow);
    p->handled = 0;
    int64_t limit = sleep_limit(p);
    bool app = rri_self.crew != &p->crew, watched = !app || atomic_load(&p->crew.watching);
    bool patient = content && watched && may_be_patient(p);
    if (patient && (limit < 0 || limit > PATIENT_NS)) limit = NAP_NEAR_NS;
    if (!let_go(p, patient ? RRI_PATIENT : watched ? RRI_WATCHER : RRI_STANDBY, seen, limit)) return false;
    if (patient && atomic_load(&p->wants)) rri_link_kick(p->link);
    else if (app && !p->config.application && oversleeps(p, limit)) remind(p, seen);
    if (!app && is_short(limit) && atomic_load(&p->crew.watching)) rri_doorbell_stir(rri_link_bell(p->link));   /* that ticks */
    return true;
}

/* Let an application thread that asks for the role have it. */
static bool grant(rri_progress *p)
{
    unsigned asking = ASKING;
    if (atomic_load_explicit(&p->borrower, memory_order_relaxed) != ASKING) return false;
    atomic_store(&p->borrowed, 1);
    self.driving = NULL;
    if (atomic_compare_exchange_strong(&p->borrower, &asking, GRANTED)) return true;
    atomic_store(&p->borrowed, 0);
    self.driving = p;
    return false;
}

/* Polling is in vain, and the next sleep will tell if that changes. */
static bool is_least(const budget *b) { return b->vain && b->ns <= SPIN_MIN_NS && !b->probes; }

/* How long to poll after the last news. The next call often comes as soon as data has left, and to be asleep then costs more
 * than the wait for it. Where polling is in vain it is for what a sleep would need a timer for: that costs more than to wait. */
RRI_NEEDS(rri_driver)
static int64_t patience(rri_progress *p)
{
    if (is_least(&p->spin) && !leaves_behind(p)) return 0;
    return p->spin.ns > 0 && p->spin.ns < MOVING_NS && rri_link_moving(p->link) ? MOVING_NS : p->spin.ns;
}

/* To poll pays where news comes meanwhile. Where it does not, the core is worth more to others, who may be the ones to send the
 * news: a budget that was spent in vain is halved. Where no ring ends the sleep that follows, which tells how long it was, all of
 * it is tried now and then: who sleeps makes the other side wait, too. */
static void spent_in_vain(budget *b)
{
    b->ns = ++b->vain % PROBE == 0 && b->probes ? b->most : b->ns / 2;
    if (b->ns < SPIN_MIN_NS) b->ns = b->most < SPIN_MIN_NS ? b->most : SPIN_MIN_NS;
}

static void well_spent(budget *b)
{
    if (b->ns == b->most && !b->vain) return;
    b->ns = 4 * b->ns < b->most ? 4 * b->ns : b->most;
    b->vain = 0;
}

/* A sleep that was over at once had better been polled through: it has cost who rang more than that, and made what rings next
 * later, so that a short budget would be spent in vain for good. */
static void slept_in_vain(budget *b, int64_t ns)
{
    if (ns >= 2 * b->most) return;
    b->ns = b->most;
    b->vain = 0;
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
        if (!(p->near && skips_look(p)) && poll_once(p, &news) == RRI_LOST) return;
        if (news && p->displaced) make_way(p);
        if (!p->batch && grant(p)) return;
        bool glance = p->glance;
        p->glance = false;
        bool polls_on = p->config.spin > 0 || p->config.restless || news != before;
        if (!glance && polls % (is_least(&p->spin) ? FEW_POLLS : CLOCK_POLLS) && polls_on) continue;
        int64_t now = rri_now();
        news += rri_timers_fire(p->timers, now);
        look_at_peers(p, now);
        rri_flow_flush(p->flow, true);
        rri_crew_inspect(&p->crew, now);
        if (news) {
            quiet = arrival = now;
            shorten_nap(p);
            if (times++) well_spent(&p->spin);
        }
        unsigned stop = atomic_load(&p->crew.stop);
        if (stop) {
            if (stop == RRI_STOP_AT_ONCE || !work_in_sight(p)) break;
        } else if (!news && !p->config.restless && (glance || now - quiet >= patience(p))) {
            if (times) spent_in_vain(&p->spin);
            if (park(p, times)) return;        /* without the role, which is one way to end this */
            quiet = now;
        }
        if (now - arrival >= DRIFT_NS) rri_link_rebase(p->link);
        news = 0;
    }
    free_role(p);
    rri_has(&rri_driver);               /* as on the other ways out of here: whether it is so, self.driving knows */
}

/* The driver is in user code for long: from now on that computes beside the driver. */
RRI_UNCHECKED                            /* what it takes it keeps */
static void take_over(rri_progress *p, uint64_t role)
{
    rri_take(&p->crew.lock, &rri_crew_lock);
    rri_member *handling = atomic_load_explicit(&p->handling, memory_order_relaxed);
    if (take_role(p, role)) rri_crew_enlist(&p->crew, handling);
    rri_give(&p->crew.lock, &rri_crew_lock);
    p->tick = TICK_NS;
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
    if (p->anew && ns >= 0 && ns < NAP_MAX_NS) ns = bounded(patient ? PATIENT_NS : NAP_MAX_NS, atomic_load(&p->timers->next));
    unsigned parked = atomic_load(&p->parked), seen = patient ? rri_doorbell_announced(bell) : atomic_load(&p->seen);
    atomic_store(&p->until, ns < 0 ? RRI_NEVER : rri_after(since, ns));
    atomic_store(&p->dozes, is_short(ns));
    if (atomic_load(&p->sleep_ns) != limit) return;     /* parked anew: who did it may have seen it doze */
    if (patient && !is_short(ns)) ns = NAP_NEAR_NS;     /* a ring that is between its count and the mark may be slept on */
    if (!is_short(ns) && leaves_behind(p)) ns = NAP_MIN_NS;     /* so may who has left something since */
    if (rri_doorbell_sleeps(bell) && !p->config.restless) rri_doorbell_sleep(bell, RRI_WATCHER, seen, ns);
    bool anew = atomic_load(&p->parked) != parked
                && (rri_doorbell_is_patient(bell) || rri_doorbell_announced(bell) == atomic_load(&p->seen));
    p->anew = anew && is_short(ns);             /* somebody drives by turns with other things: it sleeps once more, and longer */
    if (anew) return;
    if (take_role(p, FREE)) {
        atomic_fetch_add_explicit(&p->wakeups, 1, memory_order_relaxed);
        p->glance = rri_doorbell_announced(bell) == seen;
        int64_t slept = rri_now() - since;
        p->displaced = !p->glance && slept >= LONG_NS && rri_doorbell_displaced(bell);
        if (!p->glance) slept_in_vain(&p->spin, slept);
        lengthen_nap(p);
    }
}

/* The restless watcher while an application thread drives: until the role is free, or for a tick. */
static void hover(rri_progress *p)
{
    for (unsigned looks = 0; looks < HOVER && atomic_load(&p->role) != FREE; looks++) rri_pause();
}

/* Each tick costs the driver some 20 us where there is no core for it. While a driver keeps the role, and its handlers are short,
 * they come more seldom; one that may be in a long handler is looked at again soon. */
static int64_t next_tick(rri_progress *p, uint64_t role)
{
    unsigned parked = atomic_load_explicit(&p->parked, memory_order_relaxed);
    if (parked != p->steady) p->tick = TICK_NS;
    else if (p->tick < TICK_MAX_NS) p->tick *= 2;
    p->steady = parked;
    return (role & 3) == TAKEABLE ? TICK_NS : p->tick;
}

/* Whether the driver is in the same handler as before, and that not only since a moment: a ring ends a tick at once. */
static bool stands_still(const rri_progress *p, uint64_t role, uint64_t last)
{
    return (role & 3) == TAKEABLE && role == last && rri_now() - p->looked >= TICK_NS / 2;
}

/* Returns when this thread holds the role or the crew ends. */
static void watch(rri_progress *p)
{
    uint64_t last = 0;
    while (!atomic_load(&p->crew.stop) && self.driving != p) {
        unsigned seen = rri_doorbell_announced(rri_link_bell(p->link));
        uint64_t role = atomic_load(&p->role);
        if (role == FREE) {
            watch_parked(p);
        } else if (stands_still(p, role, last)) {
            take_over(p, role);
        } else {
            if (role != last) p->looked = rri_now();
            last = role;
            bool app = atomic_load_explicit(&p->borrowed, memory_order_relaxed) && (role & 3) != TAKEABLE;
            atomic_store(&p->dozes, true);
            if (app && p->config.restless) hover(p);
            else rri_doorbell_sleep(rri_link_bell(p->link), RRI_WATCHER, seen, app ? NAP_MAX_NS : next_tick(p, role));
            rri_crew_inspect(&p->crew, rri_now());
        }
    }
}

static void *crew_main(void *arg)
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
        if (self.driving != p) continue;
        rri_has(&rri_driver);
        drive(p);
    }
    return NULL;
}

/* ---- user code on the driver */

/* Whether there is more to do, before a neighbour rings, than to wait for that. */
static bool must_be_watched(rri_progress *p)
{
    bool timed = atomic_load(&p->timers->next) != RRI_NEVER || !p->config.bell_reaches_all || rri_crew_short(&p->crew);
    return timed || work_in_sight(p) || leaves_behind(p) || (p->peers && rri_peers_watched(p->peers));
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
    if (p->batch && p->at == p->batch->bytes) pay(p);       /* the handler may take long */
    if (p->config.application) return;
    self.offered = ++p->handlers << 2 | TAKEABLE;
    atomic_store_explicit(&p->handling, &rri_self, memory_order_relaxed);
    bool watched = atomic_load(&p->crew.watching);
    p->marked = !watched && have_it_watched(p);
    atomic_store(&p->role, self.offered);
    if (watched && !atomic_load(&p->dozes)) rri_link_kick(p->link);     /* it sleeps since this thread had departed */
}

bool rri_progress_reclaim(rri_progress *p)
{
    if (p->config.application) return true;
    uint64_t offered = self.offered;
    self.offered = 0;
    if (offered && atomic_compare_exchange_strong(&p->role, &offered, HELD)) {
        rri_has(&rri_driver);
        if (p->marked) rri_doorbell_awake(rri_link_bell(p->link));
        return true;
    }
    if (self.driving == p) self.driving = NULL;
    rri_crew_delist(&p->crew);
    return false;
}

/* The credit of the message goes along with the answer, if that comes soon; else the watcher sends it. */
RRI_UNCHECKED                            /* parks the role */
bool rri_progress_depart(rri_progress *p)
{
    bool drives = self.driving == p && !self.offered && rri_self.crew == &p->crew && !p->config.restless;
    if (!drives || p->due || (p->batch && p->at < p->batch->bytes)) return false;
    unsigned seen = rri_doorbell_announced(rri_link_bell(p->link));
    rri_flow_flush(p->flow, true);
    if (p->batch) finish_batch(p);
    if (work_in_sight(p) || !rri_crew_compute(&p->crew)) return false;
    bool watched = atomic_load(&p->crew.watching), marked = !watched && leave_to_standby(p);
    if (!watched && !marked) rri_crew_call(&p->crew);
    int64_t limit = marked ? -1 : bounded(TICK_NS, atomic_load(&p->timers->next));
    if (let_go(p, marked ? RRI_STANDBY : RRI_WATCHER, seen, limit)) return true;
    rri_crew_delist(&p->crew);
    return false;
}

bool rri_progress_return(rri_progress *p)
{
    rri_crew_delist(&p->crew);
    return take_role(p, FREE);
}

/* A thread that is about to block lets go of the role. */
static void leave_role(rri_progress *p)
{
    if (self.driving != p) return;
    if (!rri_progress_reclaim(p)) return;
    rri_has(&rri_driver);
    free_role(p);
    rri_link_kick(p->link);
}

/* ---- waiting */

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

/* MPI may still hold back what this thread has sent, the library's messages or the application's own: who waits for long sees to
 * it that MPI is entered, the sooner if it knows of something. */
static int sleep_in_slices(rri_progress *p, rri_event *event, int64_t deadline)
{
    for (unsigned slices = 0; !rri_event_done(event); slices++) {
        if (deadline != RRI_NEVER && rri_now() >= deadline) return RREF_ERR_PENDING;
        if (atomic_load(&p->crew.stop)) return RREF_ERR_FINALIZED;
        if (slices > 1 && !rri_self.crew) rri_link_kick(p->link);
        else if (slices > 0) rri_progress_nudge(p);
        sleep_on(p, event, slice(deadline, slices ? SLICE_NS : SLICE_FIRST_NS));
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
    if (take_role(p, FREE)) return true;
    if ((atomic_load(&p->role) & 3) == TAKEABLE) return false;
    unsigned was = NOBODY;
    if (!atomic_compare_exchange_strong(&p->borrower, &was, ASKING)) return false;
    for (unsigned tries = 0; tries < 256; tries++) {
        if (atomic_load_explicit(&p->borrower, memory_order_acquire) == GRANTED) break;
        if (tries % 16 == 0 && take_role(p, FREE)) {
            atomic_store(&p->borrower, NOBODY);
            return true;
        }
        rri_pause();
    }
    was = ASKING;
    if (atomic_compare_exchange_strong(&p->borrower, &was, NOBODY)) return false;
    atomic_store(&p->borrower, NOBODY);
    self.driving = p;
    self.offered = 0;
    return true;
}

/* Who drives now sees the answer as soon as this thread would, and in a moment leaves the role. To sleep until then costs both
 * more than to let them go on. False, too, if the event has come. */
RRI_TRIES(rri_driver) RRI_UNCHECKED
static bool take_turn(rri_progress *p, const rri_event *event)
{
    for (unsigned tries = 0; tries < TURNS; tries++) {
        if (take_role(p, FREE)) return true;
        if (rri_event_done(event)) return false;
        sched_yield();
    }
    return borrow(p);
}

/* The role is free, and somebody should take it. */
static void rouse(rri_progress *p)
{
    if (atomic_load(&p->crew.watching)) rri_link_kick(p->link);
    else rri_crew_call(&p->crew);
}

/* To a library thread, which may run the handler that is due. */
RRI_GIVES(rri_driver)
static void pass_role(rri_progress *p)
{
    free_role(p);
    rouse(p);
}

/* Park the role; as long as messages are announced that have not come, go on polling. */
RRI_GIVES(rri_driver)
static void leave_after(rri_progress *p, int64_t arrival, bool content)
{
    unsigned news = 0;
    p->nap = least_nap(p);
    for (unsigned polls = 1; !park(p, content); polls++) {
        if (poll_once(p, &news) == RRI_PASS) {
            pass_role(p);
            return;
        }
        if (polls % CLOCK_POLLS) continue;
        int64_t now = rri_now();
        if (news || !arrival) arrival = now;
        news = 0;
        if (now - arrival >= DRIFT_NS) rri_link_rebase(p->link);
    }
    rri_gone(&rri_driver);
}

/* Now and then: what is due by time, and whether the budget to poll is spent. */
RRI_NEEDS(rri_driver)
static bool is_spent(rri_progress *p, int64_t *quiet, unsigned *news, int64_t deadline)
{
    int64_t now = rri_now();
    *news += rri_timers_fire(p->timers, now);
    look_at_peers(p, now);
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
    if (p->nap < least_nap(p)) p->nap = least_nap(p);
    int64_t limit = sleep_limit(p);
    atomic_store_explicit(&p->sleep_ns, limit, memory_order_relaxed);
    rri_doorbell_asleep(bell, RRI_DOZER, seen);
    bool more = p->batch || p->due || work_in_sight(p) || rri_event_done(event) || rri_doorbell_announced(bell) != seen
                || atomic_load(&p->borrower) == ASKING;
    bool untidy = !more && !is_short(limit) && leaves_behind(p);
    if (untidy) p->tidy = false;
    else if (!more) rri_doorbell_sleep(bell, RRI_DOZER, seen, limit >= 0 && limit < ns ? limit : ns);
    rri_doorbell_awake(bell);
    lengthen_nap(p);
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
    self.polls_for = event;
    for (unsigned polls = 1; !rri_event_done(event); polls++) {
        if (!(p->near && skips_look(p)) && poll_once(p, &news) == RRI_PASS) {
            self.polls_for = NULL;
            pass_role(p);
            return;
        }
        if (polls % CLOCK_POLLS || !is_spent(p, &quiet, &news, deadline)) continue;
        if (!vain) spent_in_vain(&p->borrowed_spin);
        if (!vain && !p->config.bell_reaches_all) p->nap = least_nap(p);    /* the answer does not ring */
        vain = true;
        int64_t left = by_message ? drowse(p, quiet, deadline) : 0;
        if (left <= 0) break;
        doze(p, event, left);
    }
    if (!vain) well_spent(&p->borrowed_spin);
    self.polls_for = NULL;
    leave_after(p, vain ? 0 : quiet, rri_event_done(event));
}

static int too_deep(const rri_progress *p)
{
    return rri_fail(RREF_ERR_TOO_DEEP, "no further handler can wait: %u may, as far as there are threads for them",
                    p->config.crew.max_blocked);
}

static bool is_elsewhere(const rri_progress *p)
{
    return p->config.serialized && self.driving != p && atomic_load(&p->role) != FREE;
}

int rri_progress_may_drive(const rri_progress *p)
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
    if (self.in_inline) return rri_fail(RREF_ERR_BLOCKING, "an inline method or callback may not wait");
    bool may = p->config.application ? self.depth <= (int)p->config.crew.max_blocked
                                     : rri_self.crew != &p->crew || rri_crew_may_block(&p->crew);
    return may ? RREF_OK : too_deep(p);
}

static int wait_application(rri_progress *p, rri_event *event, int64_t deadline)
{
    int rc = rri_progress_may_wait(p);
    if (rc) return rc;
    while (!rri_event_done(event)) {
        if (deadline != RRI_NEVER && rri_now() >= deadline) return RREF_ERR_PENDING;
        if (atomic_load(&p->crew.stop)) return RREF_ERR_FINALIZED;
        rc = rri_progress_poll(p);
        if (rc == RREF_ERR_THREAD) sleep_on(p, event, slice(deadline, SLICE_FIRST_NS));
    }
    return RREF_OK;
}

/* A handler that blocks keeps its stack and frees its place. */
static int wait_blocked(rri_progress *p, rri_event *event, int64_t deadline)
{
    leave_role(p);
    rri_flow_flush(p->flow, true);
    if (!rri_crew_block(&p->crew)) {
        rouse(p);
        return too_deep(p);
    }
    int rc = sleep_until(p, event, deadline);
    rri_crew_unblock(&p->crew);
    return rc;
}

/* A wait of a few milliseconds may find its time over when it begins: another process had the core. */
static bool over_at_once(int64_t deadline)
{
    return rri_chaos_has(RRI_CHAOS_TIMEOUT) && deadline - rri_now() < RRI_CHAOS_SHORT_NS && rri_chaos(RRI_CHAOS_TIMEOUT);
}

static bool may_poll(const rri_progress *p)
{
    bool may = !self.in_inline && !p->config.application && rri_self.crew != &p->crew;
    return may && p->config.borrowed_spin > 0 && !rri_chaos_on();
}

RRI_UNCHECKED     /* rri_progress_try gives the role back */
void rri_progress_ready(rri_progress *p)
{
    if (!self.driving && may_poll(p) && take_role(p, FREE)) self.ready = p;
}

RRI_UNCHECKED     /* with or without the role */
bool rri_progress_try(rri_progress *p, rri_event *event, int64_t deadline, bool by_message)
{
    bool ready = self.ready == p;
    self.ready = NULL;
    if (!ready && rri_event_done(event)) return true;
    if (!ready && !may_poll(p)) return false;
    if (!ready) rri_flow_flush(p->flow, true);
    if (ready || take_turn(p, event)) drive_for(p, event, deadline, by_message);
    return rri_event_done(event);
}

int rri_progress_sleep(rri_progress *p, rri_event *event, int64_t deadline)
{
    if (rri_event_done(event)) return RREF_OK;
    if (over_at_once(deadline)) return RREF_ERR_PENDING;
    if (self.in_inline) return rri_fail(RREF_ERR_BLOCKING, "an inline method or callback may not wait");
    if (p->config.application) return wait_application(p, event, deadline);
    if (rri_self.crew == &p->crew) return wait_blocked(p, event, deadline);
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
    if (!take_role(p, FREE)) return;
    rri_flow_flush(p->flow, true);
    rri_flow_drain(p->flow);
    rri_link_advance(p->link);
    pass_role(p);
}

int rri_progress_settle(rri_progress *p, rri_event *event)
{
    int rc = rri_progress_wait(p, event, RRI_NEVER);
    while (rc == RREF_ERR_TOO_DEEP && !atomic_load(&p->crew.stop)) {
        if (rri_event_done(event)) return RREF_OK;
        move_on(p);
        sleep_on(p, event, NAP_MIN_NS);
    }
    return rc;
}

/* Poll, with the role in hand, until there is room in a lane or the budget is spent. */
RRI_UNCHECKED     /* the role is passed on, or parked */
static void drive_for_room(rri_progress *p, int peer)
{
    int64_t quiet = 0;
    unsigned news = 0;
    for (unsigned polls = 1; rri_lane_full(p->flow, peer); polls++) {
        if (poll_once(p, &news) == RRI_PASS) {
            pass_role(p);
            return;
        }
        if (polls % CLOCK_POLLS == 0 && is_spent(p, &quiet, &news, RRI_NEVER)) break;
    }
    leave_after(p, quiet, !rri_lane_full(p->flow, peer));
}

RRI_UNCHECKED     /* with or without the role */
void rri_progress_room(rri_progress *p, int peer)
{
    if (!rri_lane_full(p->flow, peer)) return;
    if (rri_self.crew || self.in_inline || p->config.application || self.depth > 0) return;
    atomic_uint *event = rri_lane_event(p->flow, peer);
    if (may_poll(p) && borrow(p)) drive_for_room(p, peer);
    if (!rri_lane_full(p->flow, peer)) return;
    rri_progress_want(p);
    for (unsigned seen; seen = atomic_load(event), rri_lane_full(p->flow, peer) && !atomic_load(&p->crew.stop);) {
        rri_progress_nudge(p);
        rri_futex_wait(event, seen, 10000000);
    }
    rri_progress_unwant(p);
}

RRI_NEEDS(rri_driver)
static int poll_and_work(rri_progress *p)
{
    unsigned news = 0;
    rri_verdict v = poll_once(p, &news);
    if (v == RRI_LOST) return (int)news;
    int64_t now = rri_now();
    news += rri_timers_fire(p->timers, now);
    look_at_peers(p, now);
    rri_flow_flush(p->flow, true);
    news += rri_flow_drain(p->flow);
    if (p->config.application) news += rri_crew_work(&p->crew);
    return v == RRI_PASS ? 1 : (int)news;
}

int rri_progress_poll(rri_progress *p)
{
    if (p->config.funneled && !pthread_equal(p->init_thread, pthread_self())) return RREF_ERR_THREAD;
    if (self.driving == p) {
        if (self.offered) return 0;         /* in a handler; another thread may have the role */
        rri_has(&rri_driver);
        return poll_and_work(p);
    }
    if (!take_role(p, FREE)) return p->config.application ? RREF_ERR_THREAD : 0;
    int news = poll_and_work(p);
    if (self.driving != p) {            /* a handler took so long that it was taken over */
        rri_gone(&rri_driver);
        return news;
    }
    free_role(p);
    if (!p->config.application) rouse(p);
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
    bool may = !self.driving && may_poll(p) && atomic_load(&p->crew.watching) && !atomic_load(&p->wants);
    if (!may || !take_role(p, FREE)) {
        rri_link_kick(p->link);
    } else if (!let_go(p, RRI_PATIENT, seen, NAP_NEAR_NS)) {
        leave_after(p, 0, true);
    } else if (atomic_load(&p->wants)) {
        rri_link_kick(p->link);
    } else if (oversleeps(p, NAP_NEAR_NS)) {
        remind(p, seen);
    }
}

void rri_progress_nudge(rri_progress *p)
{
    if (p->config.application || (self.driving == p && !self.offered)) return;
    rri_doorbell *bell = rri_link_bell(p->link);
    if (!rri_doorbell_sleeps(bell) || is_short(atomic_load_explicit(&p->sleep_ns, memory_order_relaxed))) return;
    atomic_thread_fence(memory_order_seq_cst);  /* what was left behind, before the look; watch_parked does the reverse */
    if (atomic_load_explicit(&p->dozes, memory_order_relaxed)) return;
    bool blind = p->peers && atomic_load_explicit(&p->blind, memory_order_relaxed) && rri_peers_watched(p->peers);
    if (blind) rri_link_kick(p->link);
    else if (leaves_behind(p)) leave_for_later(p);
}

bool rri_progress_inline(bool on)
{
    bool was = self.in_inline;
    self.in_inline = on;
    return was;
}

int rri_progress_depth(int change)
{
    int was = self.depth;
    self.depth += change;
    return was;
}

void rri_progress_counts(rri_progress *p, uint64_t *wakeups, uint64_t *threads)
{
    *wakeups = atomic_load_explicit(&p->wakeups, memory_order_relaxed);
    *threads = rri_crew_threads(&p->crew);
}

bool rri_progress_quiet(rri_progress *p) { return rri_crew_quiet(&p->crew); }
