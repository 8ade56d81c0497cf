/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the role, the message being dispatched, and what a look at MPI is. */
#include "driver.h"
#include "log.h"

enum { NAP_FAR_NS = 2000000, FLOWN = 8, NEAR_STREAK = 8, NEAR_LOOKS = 128 };

RRI_THREAD_LOCAL rri_thread_state rri_thread;

/* ---- the role */

RRI_TRIES(rri_driver) RRI_UNCHECKED
bool rri_driver_take(rri_progress *p, uint64_t from)
{
    if (!atomic_compare_exchange_strong(&p->role, &from, RRI_ROLE_HELD)) return false;
    if (!p->config.application) rri_doorbell_awake(rri_link_bell(p->link));     /* a line of memory that neighbours write */
    else atomic_store_explicit(&p->by, &rri_self, memory_order_relaxed);
    rri_thread.driving = p;
    rri_thread.offered = 0;
    atomic_store_explicit(&p->borrowed, rri_self.crew != &p->crew, memory_order_relaxed);
    return true;
}

RRI_GIVES(rri_driver) RRI_UNCHECKED
void rri_driver_free(rri_progress *p)
{
    rri_thread.driving = NULL;
    if (p->config.application) atomic_store_explicit(&p->by, NULL, memory_order_relaxed);
    atomic_store_explicit(&p->role, RRI_ROLE_FREE, memory_order_release);
}

/* ---- polling; the role is held */

/* The credit of the message goes back when its last record is about to be served. */
RRI_NEEDS(rri_driver)
void rri_driver_pay(rri_progress *p)
{
    if (p->paid) return;
    p->paid = true;
    rri_credit_last(p->flow, p->batch);
}

RRI_NEEDS(rri_driver)
rri_verdict rri_driver_finish_batch(rri_progress *p)
{
    rri_buffer *done = p->batch;
    rri_driver_pay(p);
    p->paid = false;
    p->batch = NULL;
    rri_flow_done(p->flow, done);
    return RRI_DONE;
}

/* The cursor moves before a record is dispatched, so that whoever takes the role over goes on behind it. */
RRI_NEEDS(rri_driver)
static rri_verdict run_records(rri_progress *p)
{
    while (p->batch) {
        rri_buffer *b = p->batch;
        uint32_t at = p->at;
        if (at >= b->bytes) return rri_driver_finish_batch(p);
        const rri_record *r = (const rri_record *)(const void *)(b->data + at);
        if (!rri_record_fits(r, b->bytes - at)) {
            rri_log(RRI_LOG_ERROR, "a malformed record from rank %d was refused", b->peer);
            rri_flow_refuse(p->flow);
            return rri_driver_finish_batch(p);
        }
        p->at = at + r->bytes;
        rri_verdict v = p->dispatch(p->up, r, b);
        if (v == RRI_PASS) p->at = at;
        if (v != RRI_DONE) return v;
    }
    return RRI_DONE;
}

bool rri_progress_after_answers(void (*what)(void))
{
    if (rri_thread.answers) rri_thread.after = what;
    return rri_thread.answers;
}

RRI_ASIDE
static void run_after(void)
{
    void (*after)(void) = rri_thread.after;
    rri_thread.after = NULL;
    after();
}

/* Another thread may have the role after it. */
RRI_NEEDS(rri_driver)
static rri_verdict run_batch(rri_progress *p)
{
    rri_thread.answers = p->batch && !((const rri_message *)(const void *)p->batch->data)->counted;
    rri_verdict v = run_records(p);
    rri_thread.answers = false;
    if (rri_thread.after) run_after();
    return v;
}

bool rri_progress_due(rri_progress *p, rri_job *job)
{
    if (rri_thread.driving != p || rri_thread.offered) return false;
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
        if (rri_thread.driving != p) return RRI_LOST;
    }
    return RRI_DONE;
}

/* One look at everything. *news is raised when something happened. */
RRI_NEEDS(rri_driver)
rri_verdict rri_driver_poll(rri_progress *p, unsigned *news)
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

void rri_driver_look_at_peers(rri_progress *p, int64_t now)
{
    if (p->peers) rri_peers_look(p->peers, now);
}

bool rri_driver_expects(rri_progress *p)
{
    return rri_link_expects(p->link) || rri_flow_inbox(p->flow);
}

/* With ranks on other nodes each look at MPI asks the kernel about sockets, which costs more than all the rest, and messages
 * of this node wait for it. While only such come, who polls looks at the doorbell, and at MPI now and then. */
RRI_NEEDS(rri_driver)
bool rri_driver_skips_look(rri_progress *p)
{
    if (p->near < NEAR_STREAK || ++p->looks % NEAR_LOOKS == 0 || p->glance || p->batch || p->due) return false;
    if (rri_driver_expects(p) || rri_link_busy(p->link) || rri_flow_waiting(p->flow)) return false;
    rri_pause();
    return true;
}

/* The longer nothing comes the longer are the naps; past RRI_NAP_MAX_NS, for ranks on other nodes alone, they grow slowly. */
RRI_NEEDS(rri_driver)
void rri_driver_lengthen_nap(rri_progress *p)
{
    const int64_t most = p->config.bell_reaches_all ? RRI_NAP_MAX_NS : NAP_FAR_NS;
    p->nap += p->nap < RRI_NAP_MAX_NS ? p->nap : p->nap / 32;
    if (p->nap > most) p->nap = most;
}

/* Where the bell reaches all, what is waited for is that neighbours take what was sent: nothing is to do while one wakes up. */
int64_t rri_driver_least_nap(const rri_progress *p)
{
    return p->config.bell_reaches_all && !rri_link_moving(p->link) ? RRI_NAP_NEAR_NS : RRI_NAP_MIN_NS;
}

/* Some message now and then should not cost a whole series of short naps. */
RRI_NEEDS(rri_driver)
void rri_driver_shorten_nap(rri_progress *p)
{
    const int64_t nap = p->config.bell_reaches_all ? 0 : p->nap / 8, least = rri_driver_least_nap(p);
    p->nap = nap > least ? nap : least;
}

/* Whether something of ours may still sit in MPI or in a buffer, which only a driver gets out. */
bool rri_driver_leaves_behind(rri_progress *p)
{
    return rri_link_busy(p->link) || rri_flow_waiting(p->flow) || rri_link_adrift(p->link) || rri_link_unsettled(p->link);
}

/* How long the rank may sleep, if it goes to sleep tidy as it was last time: who has marked it asleep looks once more. */
RRI_NEEDS(rri_driver)
int64_t rri_driver_sleep_limit(rri_progress *p)
{
    bool needed = rri_link_moving(p->link) || (!p->tidy && rri_driver_leaves_behind(p));
    p->tidy = !needed;
    int64_t nap = needed || !p->config.bell_reaches_all ? p->nap : -1;
    if ((nap < 0 || nap > RRI_NAP_MAX_NS) && (needed || rri_crew_short(&p->crew))) nap = RRI_NAP_MAX_NS;
    return rri_bounded(nap, atomic_load(&p->timers->next));
}

/* Leave the role free, marked asleep, but look once more; false: it is still held. */
RRI_NEEDS(rri_driver) RRI_UNCHECKED      /* it gives the role, and takes it again */
bool rri_driver_let_go(rri_progress *p, rri_sleeper who, unsigned seen, int64_t limit)
{
    rri_doorbell *bell = rri_link_bell(p->link);
    bool unfinished = p->batch || p->due;
    atomic_store_explicit(&p->parked, atomic_load_explicit(&p->parked, memory_order_relaxed) + 1, memory_order_relaxed);
    atomic_store_explicit(&p->sleep_ns, limit, memory_order_relaxed);
    atomic_store_explicit(&p->seen, seen, memory_order_relaxed);
    rri_doorbell_asleep(bell, who, seen);       /* not later, when another may have driven, and parked the role otherwise */
    rri_thread.driving = NULL;
    atomic_store(&p->role, RRI_ROLE_FREE);      /* a barrier: what follows is looked at behind it */
    bool more = unfinished || rri_driver_expects(p) || rri_doorbell_announced(bell) != seen;
    bool untidy = !more && !rri_is_short(limit) && rri_driver_leaves_behind(p);
    if (!(more || untidy) || !rri_driver_take(p, RRI_ROLE_FREE)) return true;
    p->tidy = !untidy;
    return false;
}

/* Whether the watcher sleeps for longer than it may now. */
static bool oversleeps(rri_progress *p, int64_t limit)
{
    if (limit < 0 || atomic_load(&p->dozes)) return false;
    return rri_is_short(limit) || atomic_load(&p->until) - RRI_TICK_NS > rri_now() + limit;
}

/* It has to see anew for how long. But for data it need not look at once, which would take the core of the thread that goes on
 * now, and what that calls next would wait: the reminder counts as seen. */
void rri_driver_remind(rri_progress *p, unsigned seen, int64_t limit)
{
    if (!oversleeps(p, limit)) return;
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
bool rri_driver_park(rri_progress *p, bool content)
{
    unsigned seen = rri_doorbell_announced(rri_link_bell(p->link));     /* before the last look: what rings then ends the sleep */
    rri_flow_flush(p->flow, true);
    rri_flow_drain(p->flow);
    p->handled = 0;
    int64_t limit = rri_driver_sleep_limit(p);
    bool app = rri_self.crew != &p->crew, watched = !app || atomic_load(&p->crew.watching);
    bool patient = content && watched && may_be_patient(p);
    if (patient && (limit < 0 || limit > RRI_PATIENT_NS)) limit = RRI_NAP_NEAR_NS;
    if (!rri_driver_let_go(p, patient ? RRI_PATIENT : watched ? RRI_WATCHER : RRI_STANDBY, seen, limit)) return false;
    if (patient && atomic_load(&p->wants)) rri_link_kick(p->link);
    else if (app && !p->config.application) rri_driver_remind(p, seen, limit);
    bool ticks = !app && atomic_load(&p->crew.watching);
    if (ticks && rri_is_short(limit)) rri_doorbell_stir(rri_link_bell(p->link));
    return true;
}

/* Let an application thread that asks for the role have it. */
bool rri_driver_grant(rri_progress *p)
{
    unsigned asking = RRI_ASKING;
    if (atomic_load_explicit(&p->borrower, memory_order_relaxed) != RRI_ASKING) return false;
    atomic_store(&p->borrowed, 1);
    rri_thread.driving = NULL;
    if (atomic_compare_exchange_strong(&p->borrower, &asking, RRI_GRANTED)) return true;
    atomic_store(&p->borrowed, 0);
    rri_thread.driving = p;
    return false;
}

/* The role is free, and somebody should take it. */
void rri_driver_rouse(rri_progress *p)
{
    if (atomic_load(&p->crew.watching)) rri_link_kick(p->link);
    else rri_crew_call(&p->crew);
}

/* To a library thread, which may run the handler that is due. */
RRI_GIVES(rri_driver)
void rri_driver_pass(rri_progress *p)
{
    rri_driver_free(p);
    rri_driver_rouse(p);
}

/* Park the role; as long as messages are announced that have not come, go on polling. */
RRI_GIVES(rri_driver)
void rri_driver_leave(rri_progress *p, int64_t arrival, bool content)
{
    unsigned news = 0;
    p->nap = rri_driver_least_nap(p);
    for (unsigned polls = 1; !rri_driver_park(p, content); polls++) {
        if (rri_driver_poll(p, &news) == RRI_PASS) {
            rri_driver_pass(p);
            return;
        }
        if (polls % RRI_CLOCK_POLLS) continue;
        int64_t now = rri_now();
        if (news || !arrival) arrival = now;
        news = 0;
        if (now - arrival >= RRI_DRIFT_NS) rri_link_rebase(p->link);
    }
    rri_gone(&rri_driver);
}
