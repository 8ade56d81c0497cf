/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the state of the waves. The lock keeps the thread that enters and the driver apart. */
#include "fence.h"
#include "error.h"
#include "log.h"
#include "pending.h"

#include <stdio.h>
#include <string.h>

enum {
    PAUSE_MIN_NS = 20000, PAUSE_MAX_NS = 2000000,   /* between waves */
    PAUSE_LONG_NS = 20000000, PAUSE_PART = 16,      /* and where that is less than a part of what was waited already */
    LOOK_NS = 100000000, CPU_PART = 20              /* how often to look at CPU time, and what part of a core is a sign of life */
};

/* What a control record is: PROBE and LEAVE have only the last. */
typedef struct wave {
    rri_record record;          /* call: ranks that are busy; object: records sent; extra: served; method: kind of fence */
    int64_t quiet;              /* ns since the last sign of life */
    uint64_t reserved;
} wave;

static int parent_of(int rank) { return (rank - 1) / 2; }
static unsigned children_of(const rri_fence *f)
{
    int first = 2 * f->rank + 1;
    return (unsigned)(first < f->size) + (unsigned)(first + 1 < f->size);
}

static void start_wave(rri_timer *timer);

/* As before the first wave: nobody has entered, and no PROBE is needed. */
static void get_ready(rri_fence *f)
{
    f->entered = f->reported = false;
    f->probed = true;
    f->children = children_of(f);
    f->stray[RRI_FENCE] = f->stray[RRI_END] = -1;
    f->sent = f->served = f->busy = 0;
    f->last = UINT64_MAX;
    f->pause = PAUSE_MIN_NS;
}

void rri_fence_init(rri_fence *f, rri_calls *calls, rri_timers *timers, int64_t stall)
{
    *f = (rri_fence){ .calls = calls, .timers = timers, .rank = calls->rank, .size = rri_link_size(calls->link),
                      .stall = stall };
    f->timer.due = start_wave;
    get_ready(f);
}

static void send(rri_fence *f, int to, const wave *w)
{
    rri_record *r = rri_lane_begin(f->calls->flow, to, RRI_ANSWERS, sizeof *w);
    if (!r) {
        rri_log(RRI_LOG_ERROR, "no memory for a fence with rank %d", to);
        return;
    }
    memcpy(r, w, sizeof *w);
    atomic_fetch_add(&f->own, 1);
    rri_lane_end(f->calls->flow, to, RRI_ANSWERS, true);
}

static void send_down(rri_fence *f, rri_record_kind kind, int64_t quiet)
{
    const wave w = { .record = { .bytes = sizeof w, .kind = (uint8_t)kind }, .quiet = quiet };
    for (int child = 2 * f->rank + 1; child <= 2 * f->rank + 2 && child < f->size; child++) send(f, child, &w);
}

/* ---- signs of life; the lock is held */

static void hear(rri_fence *f, int64_t quiet)
{
    int64_t then = rri_now() - quiet;
    if (then > f->life) f->life = then;
}

static void look_at_cpu(rri_fence *f, int64_t now)
{
    if (now - f->looked < LOOK_NS) return;
    int64_t cpu = rri_now_cpu();
    bool computes = cpu - f->cpu > (now - f->looked) / CPU_PART;
    if (computes && rri_calls_running(f->calls) && !rri_progress_is_application(f->calls->progress)) f->life = now;
    f->looked = now;
    f->cpu = cpu;
}

/* How long ago the last one was, as far as this rank knows. */
static int64_t look_for_life(rri_fence *f)
{
    int64_t now = rri_now();
    uint64_t done = atomic_load(&f->calls->served) - f->seen;
    if (done != f->done) f->life = now;
    f->done = done;
    look_at_cpu(f, now);
    return now - f->life;
}

static bool idle(const rri_fence *f)
{
    rri_calls *c = f->calls;
    if (f->kind == RRI_FENCE) return !atomic_load(&c->futures.colours->busy[f->colour]);
    return !rri_calls_running(c) && rri_progress_quiet(c->progress) && !rri_link_moving(c->link);
}

/* Its own records are counted before they are those of a lane, and read here before the lanes are: who sends one meanwhile makes
 * the sum too large, which costs a wave, and never too small. */
static uint64_t sent(rri_fence *f)
{
    uint64_t own = atomic_load(&f->own);
    rri_flow *flow = f->calls->flow;
    return f->kind == RRI_FENCE ? rri_flow_work(flow, f->colour) : rri_flow_records(flow) - own;
}

static uint64_t served(const rri_fence *f)
{
    rri_calls *c = f->calls;
    return f->kind == RRI_FENCE ? atomic_load(&c->work[f->colour]) : atomic_load(&c->served) - f->seen;
}

/* All may leave, the parent first. */
static void leave(rri_fence *f)
{
    rri_lock_take(&f->lock);
    get_ready(f);
    rri_lock_give(&f->lock);
    send_down(f, RRI_LEAVE, 0);
    rri_event_set(&f->left);
}

static void finish_wave(rri_fence *f, uint64_t busy, uint64_t sent, uint64_t served)
{
    bool first;
    rri_lock_take(&f->lock);
    bool over = !busy && sent == served && sent == f->last;
    f->last = !busy && sent == served ? sent : UINT64_MAX;
    int64_t pause = f->pause, waited = rri_now() - f->begun;
    if (pause < PAUSE_MAX_NS || (pause < PAUSE_LONG_NS && pause < waited / PAUSE_PART)) f->pause *= 2;
    rri_lock_give(&f->lock);
    if (over) {
        leave(f);
        return;
    }
    if (rri_timer_add(f->timers, &f->timer, rri_now() + pause, &first))
        rri_log(RRI_LOG_ERROR, "no memory for a timer; no fence can end");
}

/* Report as soon as this rank has entered, was asked, and its children have reported. */
static void try_report(rri_fence *f)
{
    rri_lock_take(&f->lock);
    bool ready = f->entered && f->probed && f->children == 0 && !f->reported && f->stray[!f->kind] < 0;
    if (ready) {
        f->reported = true;
        f->probed = false;
    }
    const rri_record sums = { .bytes = sizeof(wave), .kind = RRI_REPORT, .method = (uint16_t)f->kind,
                              .call = f->busy + !idle(f), .object = f->sent + sent(f), .extra = f->served + served(f) };
    const wave w = { .record = sums, .quiet = look_for_life(f) };
    rri_lock_give(&f->lock);
    if (!ready) return;
    if (f->rank == 0) finish_wave(f, sums.call, sums.object, sums.extra);
    else send(f, parent_of(f->rank), &w);
}

static void begin_wave(rri_fence *f, int64_t heard)
{
    rri_lock_take(&f->lock);
    hear(f, heard);
    int64_t quiet = look_for_life(f);
    f->probed = true;
    f->reported = false;
    f->children = children_of(f);
    f->sent = f->served = f->busy = 0;
    rri_lock_give(&f->lock);
    send_down(f, RRI_PROBE, quiet);
    rri_weights_flush(f->calls->weights);       /* what is waited for does not wait for company */
    try_report(f);
}

static void start_wave(rri_timer *timer)
{
    rri_fence *f = (rri_fence *)(void *)((char *)timer - offsetof(rri_fence, timer));
    begin_wave(f, INT64_MAX / 2);
}

/* From now on the application's work has another colour; what it has begun so far is waited for. */
static void enter(rri_fence *f, rri_fence_kind kind)
{
    atomic_store(&f->left.word, 0);
    rri_lock_take(&f->lock);
    f->kind = kind;
    if (kind == RRI_FENCE) f->colour = atomic_fetch_xor(&f->calls->futures.colours->now, 1);
    f->entered = true;
    f->begun = f->life = f->looked = rri_now();
    f->cpu = rri_now_cpu();
    rri_lock_give(&f->lock);
    rri_weights_flush(f->calls->weights);
    try_report(f);
    rri_progress_nudge(f->calls->progress);
    rri_link_kick(f->calls->link);
}

static void take_report(rri_fence *f, int peer, const rri_record *r)
{
    rri_lock_take(&f->lock);
    f->stray[r->method != RRI_FENCE] = peer;
    hear(f, ((const wave *)(const void *)r)->quiet);
    f->busy += r->call;
    f->sent += r->object;
    f->served += r->extra;
    f->children--;
    rri_lock_give(&f->lock);
    try_report(f);
}

/* Reports come from children that owe one, all else from the parent. */
static bool expected(rri_fence *f, int peer, rri_record_kind kind)
{
    if (kind != RRI_REPORT) return f->rank > 0 && peer == parent_of(f->rank);
    rri_lock_take(&f->lock);
    bool owed = f->children > 0;
    rri_lock_give(&f->lock);
    return owed && peer > 0 && parent_of(peer) == f->rank;
}

/* A control record is counted as served after this returns; it must not appear in the sums. */
void rri_fence_control(rri_fence *f, int peer, const rri_record *r)
{
    const wave *w = (const void *)r;
    if (r->bytes < sizeof *w || !expected(f, peer, r->kind)) {
        atomic_fetch_add(&f->calls->refused, 1);
        rri_log(RRI_LOG_ERROR, "a record of a fence from rank %d, malformed or out of place, was refused", peer);
        return;
    }
    rri_lock_take(&f->lock);
    f->seen++;
    rri_lock_give(&f->lock);
    atomic_fetch_add(&f->calls->served, 1);
    if (r->kind == RRI_PROBE) begin_wave(f, w->quiet);
    else if (r->kind == RRI_REPORT) take_report(f, peer, r);
    else leave(f);
    atomic_fetch_sub(&f->calls->served, 1);
}

/* ---- waiting */

static const char *const name_of[] = { "rref_fence", "rref_finalize" };

/* What this rank knows of what is left. */
static void describe(rri_fence *f, char *text, size_t size)
{
    rri_lock_take(&f->lock);
    rri_fence_kind other = !f->kind;
    int at = snprintf(text, size, "%u calls running here, %s", rri_calls_running(f->calls),
                      rri_link_moving(f->calls->link) ? "data is moving" : "no data is moving");
    if (f->stray[other] >= 0)
        snprintf(text + at, size - (size_t)at, "; rank %d waits in %s", f->stray[other], name_of[other]);
    else if (f->children)
        snprintf(text + at, size - (size_t)at, "; of the ranks below this one %u of %u have not reported", f->children,
                 children_of(f));
    else if (f->rank)
        snprintf(text + at, size - (size_t)at, "; waiting for rank %d", parent_of(f->rank));
    rri_lock_give(&f->lock);
}

/* The limit is over: tell what was waited for; the error has the oldest call, the log the ten oldest. */
static int tell(rri_fence *f, int code)
{
    enum { LINES = 10 };
    char why[256], call[512] = "";
    rri_pending oldest[LINES];
    describe(f, why, sizeof why);
    const char *name = name_of[f->kind];
    unsigned count = rri_pending_find(&f->calls->futures, 0, RRI_NEVER, oldest, LINES);
    rri_log(RRI_LOG_ERROR, "%s did not come to its end: %s", name, why);
    for (unsigned i = count < LINES ? count : LINES; i-- > 0;) {
        rri_pending_format(&oldest[i], call, sizeof call);
        rri_log(RRI_LOG_ERROR, "not answered: %s", call);
    }
    if (count > LINES) rri_log(RRI_LOG_ERROR, "and %u more calls not answered", count - LINES);
    return rri_fail(code, "%s did not come to its end: %s%s%s", name, why, count ? "; not answered: " : "", call);
}

static int64_t quiet_for(rri_fence *f)
{
    rri_lock_take(&f->lock);
    int64_t quiet = look_for_life(f);
    rri_lock_give(&f->lock);
    return quiet;
}

static int wait_for(rri_fence *f, int64_t limit)
{
    int64_t now = rri_now(), deadline = rri_after(now, limit);
    while (rri_progress_wait(f->calls->progress, &f->left, deadline < now + LOOK_NS ? deadline : now + LOOK_NS) != RREF_OK) {
        now = rri_now();
        if (now >= deadline) return tell(f, f->kind == RRI_END ? RREF_ERR_STALLED : RREF_ERR_TIMEOUT);
        if (f->stall != RRI_NEVER && quiet_for(f) >= f->stall) return tell(f, RREF_ERR_STALLED);
    }
    return RREF_OK;
}

static int pass(rri_fence *f, int64_t limit)
{
    if (!f->under_way) enter(f, RRI_FENCE);
    f->under_way = true;
    int rc = wait_for(f, limit);
    f->under_way = rc != RREF_OK;
    return rc;
}

int rri_fence_may(rri_fence *f)
{
    if (rri_progress_is_library() || rri_progress_depth(0) > 0)
        return rri_fail(RREF_ERR_STATE, "a collective from a handler or callback");
    return atomic_load(&f->inside) ? rri_fail(RREF_ERR_STATE, "another thread of this rank is in a fence") : RREF_OK;
}

int rri_fence_pass(rri_fence *f, int64_t limit)
{
    int may = rri_fence_may(f);
    if (may) return may;
    if (atomic_exchange(&f->inside, true)) return rri_fail(RREF_ERR_STATE, "another thread of this rank is in a fence");
    int rc = pass(f, limit);
    atomic_store(&f->inside, false);
    return rc;
}

int rri_fence_end(rri_fence *f, int64_t limit)
{
    if (f->under_way && pass(f, limit)) return rri_error_last()->code = RREF_ERR_STALLED;
    enter(f, RRI_END);
    return wait_for(f, limit);
}
