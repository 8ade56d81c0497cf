/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the state of the waves. The lock keeps the thread that enters and the driver apart. */
#include "fence.h"
#include "error.h"
#include "estate.h"
#include "log.h"
#include "memory.h"
#include "pending.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAUSE_MIN_NS = 20000, PAUSE_MAX_NS = 2000000,   /* between waves */
    PAUSE_LONG_NS = 20000000, PAUSE_PART = 16,      /* and where that is less than a part of what was waited already */
    SLEEP_NS = 500000000,                           /* between looks at what who waits for the last wave knows */
    LOOK_NS = 100000000, CPU_PART = 20,             /* how often to look at CPU time, and what part of a core is a sign of life */
    STILL_NS = 250000000                            /* how long a moment is waited for in which nothing at all goes on */
};

/* What a control record is: LEAVE has no sums. */
typedef struct wave {
    rri_record record;          /* call: ranks that are busy; object: records sent; extra: served; method: kind of fence */
    int64_t quiet;              /* ns since the last sign of life */
    uint32_t view, serial, wave, reserved;
    uint64_t told;              /* records among those sent that tell what is held */
    rri_passed last;        /* how the last fence ended that its sender has left; of LEAVE, this one */
} wave;

/* ---- the tree; the lock is held */

static int parent_of(const rri_fence *f) { return f->place > 0 ? f->living[(f->place - 1) / 2] : -1; }

static unsigned children_of(const rri_fence *f, int child[2])
{
    unsigned n = 0;
    for (int place = 2 * f->place + 1; place <= 2 * f->place + 2 && place < f->count; place++) child[n++] = f->living[place];
    return n;
}

static bool is_child(const rri_fence *f, int rank)
{
    int child[2];
    unsigned n = children_of(f, child);
    return (n > 0 && child[0] == rank) || (n > 1 && child[1] == rank);
}

static void begin_sums(rri_fence *f)
{
    int child[2];
    f->reported = false;
    f->children = children_of(f, child);
    f->sent = f->served = f->busy = f->told = 0;
}

/* The first wave, which needs no PROBE. */
static void begin_waves(rri_fence *f)
{
    begin_sums(f);
    f->wave = 1;
    f->stray[RRI_FENCE] = f->stray[RRI_END] = -1;
    f->last = UINT64_MAX;
    f->pause = PAUSE_MIN_NS;
}

static void start_wave(rri_timer *timer);

int rri_fence_open(rri_fence *f, rri_calls *calls, rri_timers *timers, int64_t stall)
{
    int size = rri_link_size(calls->link);
    *f = (rri_fence){ .calls = calls, .timers = timers, .stall = stall, .count = size, .place = calls->rank };
    f->living = rri_malloc((size_t)size * sizeof *f->living);
    if (!f->living) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for fences of %d ranks", size);
    for (int i = 0; i < size; i++) f->living[i] = i;
    f->timer.due = start_wave;
    begin_waves(f);
    return RREF_OK;
}

void rri_fence_close(rri_fence *f) { free(f->living); }

/* ---- sending; the lock is not held, for a sender that holds its lane asks for it */

static void send(rri_fence *f, int to, const wave *w)
{
    rri_peers_tell(f->calls->peers, to);
    rri_record *r = rri_lane_begin(f->calls->flow, to, RRI_ANSWERS, sizeof *w);
    if (!r) {
        rri_log(RRI_LOG_ERROR, "no memory for a fence with rank %d", to);
        return;
    }
    memcpy(r, w, sizeof *w);
    rri_lane_end(f->calls->flow, to, RRI_ANSWERS, RRI_AT_ONCE);
}

/* The lock is held. */
static wave record_of(const rri_fence *f, rri_record_kind kind)
{
    return (wave){ .record = { .bytes = sizeof(wave), .kind = (uint8_t)kind, .method = (uint16_t)f->kind },
                   .view = f->view, .serial = f->serial, .wave = f->wave, .last = f->passed };
}

static void send_all(rri_fence *f, const int to[2], unsigned count, const wave *w)
{
    for (unsigned i = 0; i < count; i++) send(f, to[i], w);
}

/* ---- signs of life; the lock is held */

static void hear(rri_fence *f, int64_t quiet)
{
    int64_t then = rri_now() - quiet;
    if (then > f->life) f->life = then;
}

/* Not while this rank has given up: what its application does then moves nothing, be it in a barrier, waiting for the others. */
static void look_at_cpu(rri_fence *f, int64_t now)
{
    if (f->away || now - f->looked < LOOK_NS) return;
    int64_t cpu = rri_now_cpu();
    bool computes = cpu - f->cpu > (now - f->looked) / CPU_PART;
    if (computes && rri_calls_running(f->calls) && !rri_progress_is_application(f->calls->progress)) f->life = now;
    f->looked = now;
    f->cpu = cpu;
}

/* Not the work of one colour alone. */
static bool wants_all(const rri_fence *f) { return f->kind == RRI_END || f->stage == RRI_STILL || f->stage == RRI_STOCK; }

static uint64_t sum_of(const rri_fence *f, const uint64_t tally[RRI_TALLIES])
{
    return !wants_all(f) ? tally[f->colour] : tally[0] + tally[1] + tally[RRI_AIDS];
}

/* What is sent to the living is counted, and what comes from them. */
static uint64_t sent(const rri_fence *f)
{
    uint64_t sum = 0, tally[RRI_TALLIES];
    for (int i = 0; i < f->count; i++) {
        rri_flow_sent(f->calls->flow, f->living[i], tally);
        sum += sum_of(f, tally);
    }
    return sum;
}

/* All that was served, too, but for what only serves fences. */
static uint64_t served(const rri_fence *f, uint64_t *all)
{
    uint64_t sum = 0, tally[RRI_TALLIES];
    *all = 0;
    for (int i = 0; i < f->count; i++) {
        for (unsigned k = 0; k < RRI_TALLIES; k++) tally[k] = atomic_load(&f->calls->served[f->living[i]].of[k]);
        *all += tally[0] + tally[1] + tally[RRI_AIDS];
        sum += sum_of(f, tally);
    }
    return sum;
}

/* How long ago the last one was, as far as this rank knows. */
static int64_t look_for_life(rri_fence *f)
{
    uint64_t done;
    int64_t now = rri_now();
    served(f, &done);
    if (done != f->done) f->life = now;
    f->done = done;
    look_at_cpu(f, now);
    return now - f->life;
}

static bool idle(const rri_fence *f)
{
    rri_calls *c = f->calls;
    unsigned running = wants_all(f) ? rri_calls_running(c) : atomic_load(&c->futures.colours->busy[f->colour]);
    return !running && (f->kind == RRI_FENCE || (rri_progress_quiet(c->progress) && !rri_link_moving(c->link)));
}

/* ---- waves */

/* All may leave, the parent first. */
static void leave(rri_fence *f, rri_passed verdict)
{
    int child[2];
    rri_lock_take(&f->lock);
    f->passed = verdict;
    const wave w = record_of(f, RRI_LEAVE);
    unsigned n = children_of(f, child);
    f->entered = false;
    f->serial++;
    begin_waves(f);
    rri_lock_give(&f->lock);
    send_all(f, child, n, &w);
    rri_event_set(&f->left);
}

/* Stock is good if nothing was sent since all was still but what tells of it, and nobody else was lost. The lock is held. */
static rri_passed judge(const rri_fence *f, bool over, uint64_t sent, uint64_t told)
{
    const rri_passed *still = &f->passed;
    bool good = over && (f->stage != RRI_STOCK || (sent - told == still->sent && f->view == still->losses));
    return (rri_passed){ .sent = sent, .losses = f->view, .good = good };
}

/* The next wave, after a pause; the lock is held, so that whoever begins another one first finds the timer. */
static void time_wave(rri_fence *f, int64_t pause)
{
    bool first;
    if (rri_timer_add(f->timers, &f->timer, rri_now() + pause, &first))
        rri_log(RRI_LOG_ERROR, "no memory for a timer; no fence can end");
}

/* w: the report of all. Another wave may have begun since it was made, since a rank was lost. */
static void finish_wave(rri_fence *f, const wave *w)
{
    const uint64_t busy = w->record.call, sent = w->record.object, served = w->record.extra;
    rri_lock_take(&f->lock);
    if (w->view != f->view || w->wave != f->wave) {
        rri_lock_give(&f->lock);
        return;
    }
    bool over = !busy && sent == served && sent == f->last;
    f->last = !busy && sent == served ? sent : UINT64_MAX;
    int64_t now = rri_now(), pause = f->pause, waited = now - f->begun;
    if (f->wave == 1) f->gathered = now;
    if (pause < PAUSE_MAX_NS || (pause < PAUSE_LONG_NS && pause < waited / PAUSE_PART)) f->pause *= 2;
    bool given_up = f->kind == RRI_FENCE && wants_all(f) && now - f->gathered > STILL_NS;
    const rri_passed verdict = judge(f, over, sent, w->told);
    const bool ends = over || given_up;
    if (!ends) time_wave(f, pause);
    rri_lock_give(&f->lock);
    if (ends) leave(f, verdict);
}

/* More than there can be if others cannot be told, or what they tell cannot be kept. The lock is held. */
static uint64_t told(const rri_fence *f)
{
    if (f->stage != RRI_STOCK) return 0;
    return rri_estate_complete(f->estate) ? f->stock : RRI_NO_STOCK;
}

/* As soon as this rank has entered, was asked, and its children have reported. The lock is held. */
static bool make_report(rri_fence *f, wave *w)
{
    uint64_t all;
    if (!f->entered || f->children || f->reported || f->stray[!f->kind] >= 0) return false;
    f->reported = true;
    *w = record_of(f, RRI_REPORT);
    w->quiet = look_for_life(f);
    w->record.call = f->busy + !idle(f);
    w->record.object = f->sent + sent(f);
    w->record.extra = f->served + served(f, &all);
    w->told = f->told + told(f);
    return true;
}

static void try_report(rri_fence *f)
{
    wave w;
    rri_lock_take(&f->lock);
    bool ready = make_report(f, &w);
    int parent = parent_of(f);
    rri_lock_give(&f->lock);
    if (!ready) return;
    if (parent < 0) finish_wave(f, &w);
    else send(f, parent, &w);
}

static void begin_wave(rri_fence *f, int64_t heard)
{
    int child[2];
    rri_lock_take(&f->lock);
    hear(f, heard);
    begin_sums(f);
    f->wave++;
    wave w = record_of(f, RRI_PROBE);
    w.quiet = look_for_life(f);
    unsigned n = children_of(f, child);
    rri_lock_give(&f->lock);
    send_all(f, child, n, &w);
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
    if (!wants_all(f)) f->colour = atomic_fetch_xor(&f->calls->futures.colours->now, 1);
    f->entered = true;
    f->begun = f->life = f->looked = rri_now();
    f->cpu = rri_now_cpu();
    rri_lock_give(&f->lock);
    rri_weights_flush(f->calls->weights);
    try_report(f);
    rri_progress_nudge(f->calls->progress);
    rri_link_kick(f->calls->link);
}

static void strike(rri_fence *f, int rank)
{
    int kept = 0;
    for (int i = 0; i < f->count; i++) {
        if (f->living[i] == f->calls->rank) f->place = kept;
        if (f->living[i] != rank) f->living[kept++] = f->living[i];
    }
    f->count = kept;
    f->view++;
}

/* The timer belongs to a wave that is over now. */
void rri_fence_lose(rri_fence *f, int rank)
{
    int child[2];
    rri_lock_take(&f->lock);
    rri_timer_remove(f->timers, &f->timer);
    strike(f, rank);
    begin_waves(f);
    bool entered = f->entered;
    const wave w = record_of(f, RRI_PROBE);
    unsigned n = children_of(f, child);
    rri_lock_give(&f->lock);
    if (!entered) return;
    send_all(f, child, n, &w);
    rri_weights_flush(f->calls->weights);
    try_report(f);
}

static void take_report(rri_fence *f, int peer, const wave *w)
{
    rri_lock_take(&f->lock);
    f->stray[w->record.method != RRI_FENCE] = peer;
    hear(f, w->quiet);
    f->busy += w->record.call;
    f->sent += w->record.object;
    f->served += w->record.extra;
    f->told += w->told;
    f->children--;
    rri_lock_give(&f->lock);
    try_report(f);
}

/* What a record means here. */
typedef enum meaning { BAD, LATE, OVER, OVER_AND_MORE, ASKED, REPORTED } meaning;

static meaning meaning_of(rri_fence *f, int peer, const wave *w)
{
    int32_t ahead = (int32_t)(w->serial - f->serial);
    bool leaves = w->record.kind == RRI_LEAVE, asks = w->record.kind == RRI_PROBE;
    if (ahead < 0) return leaves ? LATE : OVER;
    if (ahead > 0) return ahead == 1 && f->entered ? OVER_AND_MORE : BAD;
    if (leaves) return f->entered ? OVER : BAD;
    if (w->view != f->view) return w->view < f->view ? LATE : BAD;
    if (asks && peer != parent_of(f)) return BAD;
    if (asks && w->wave > f->wave) return w->wave == f->wave + 1 && f->reported ? ASKED : BAD;
    if (asks) return LATE;
    return is_child(f, peer) && f->children > 0 && w->wave == f->wave ? REPORTED : BAD;
}

static void take(rri_fence *f, int peer, const wave *w)
{
    rri_lock_take(&f->lock);
    meaning m = meaning_of(f, peer, w);
    bool behind = w->serial != f->serial;
    const rri_passed last = f->passed;
    rri_lock_give(&f->lock);
    if (m == OVER && behind) {                  /* for the sender, who may leave */
        wave leave_it = *w;
        leave_it.record.kind = RRI_LEAVE;
        leave_it.last = last;
        send(f, peer, &leave_it);
    } else if (m == OVER || m == OVER_AND_MORE) {
        leave(f, w->last);
        if (m == OVER_AND_MORE) take(f, peer, w);
    } else if (m == ASKED) {
        begin_wave(f, w->quiet);
    } else if (m == REPORTED) {
        take_report(f, peer, w);
    } else if (m == BAD) {
        atomic_fetch_add(&f->calls->refused, 1);
        rri_log(RRI_LOG_ERROR, "a record of a fence from rank %d, malformed or out of place, was refused", peer);
    }
}

void rri_fence_control(rri_fence *f, int peer, const rri_record *r)
{
    static const wave malformed = { .serial = UINT32_MAX / 2 };
    wave w = malformed;
    if (r->bytes >= sizeof w) memcpy(&w, r, sizeof w);
    take(f, peer, &w);
}

void rri_fence_await(rri_fence *f, bool *ranks)
{
    int child[2];
    rri_lock_take(&f->lock);
    unsigned n = f->entered ? children_of(f, child) : 0;
    if (f->entered && f->place > 0) ranks[parent_of(f)] = true;
    rri_lock_give(&f->lock);
    for (unsigned i = 0; i < n; i++) ranks[child[i]] = true;
}

/* ---- waiting */

static const char *const name_of[] = { "rref_fence", "rref_finalize" };

/* What this rank knows of what is left. */
static void describe(rri_fence *f, char *text, size_t size)
{
    int child[2];
    rri_lock_take(&f->lock);
    rri_fence_kind other = !f->kind;
    unsigned n = children_of(f, child);
    int at = snprintf(text, size, "%u calls running here, %s", rri_calls_running(f->calls),
                      rri_link_moving(f->calls->link) ? "data is moving" : "no data is moving");
    if (f->stray[other] >= 0)
        snprintf(text + at, size - (size_t)at, "; rank %d waits in %s", f->stray[other], name_of[other]);
    else if (f->children && n == 1)
        snprintf(text + at, size - (size_t)at, "; rank %d, or one that reports to it, has not come", child[0]);
    else if (f->children)
        snprintf(text + at, size - (size_t)at, "; rank %d %s %d, or who reports to them, has not come", child[0],
                 f->children > 1 ? "and" : "or", child[1]);
    else if (f->place)
        snprintf(text + at, size - (size_t)at, "; waiting for rank %d", parent_of(f));
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

int64_t rri_fence_quiet(rri_fence *f)
{
    rri_lock_take(&f->lock);
    int64_t quiet = look_for_life(f);
    rri_lock_give(&f->lock);
    return quiet;
}

static void set_away(rri_fence *f, bool away)
{
    rri_lock_take(&f->lock);
    f->away = away;
    rri_lock_give(&f->lock);
}

static int wait_until(rri_fence *f, int64_t now, int64_t deadline)
{
    rri_progress *progress = f->calls->progress;
    if (rri_progress_try(progress, &f->left, deadline, false)) return RREF_OK;
    while (rri_progress_sleep(progress, &f->left, deadline < now + SLEEP_NS ? deadline : now + SLEEP_NS) != RREF_OK) {
        now = rri_now();
        if (now >= deadline) return tell(f, f->kind == RRI_END ? RREF_ERR_STALLED : RREF_ERR_TIMEOUT);
        if (f->stall != RRI_NEVER && rri_fence_quiet(f) >= f->stall) return tell(f, RREF_ERR_STALLED);
    }
    return RREF_OK;
}

static int wait_for(rri_fence *f, int64_t limit)
{
    int64_t now = rri_now();
    set_away(f, false);
    int rc = wait_until(f, now, rri_after(now, limit));
    set_away(f, rc != RREF_OK);
    return rc;
}

static int pass(rri_fence *f, int64_t limit)
{
    if (!f->under_way) enter(f, RRI_FENCE);
    f->under_way = true;
    int rc = wait_for(f, limit);
    f->under_way = rc != RREF_OK;
    return rc;
}

/* What comes after a part of a fence, on all ranks alike, since they have the same verdict. */
static rri_fence_stage next_stage(rri_fence *f)
{
    const rri_passed v = f->passed;
    switch (f->stage) {
    case RRI_PLAIN: return f->estate && v.losses > f->written ? RRI_STILL : RRI_PLAIN;
    case RRI_STILL:
        if (v.good) f->stock = rri_estate_take(f->estate, f->serial);
        return v.good ? RRI_STOCK : RRI_PLAIN;
    case RRI_STOCK:
        if (v.good) f->written = v.losses;
        rri_estate_settle(f->estate, v.good);
        return v.good ? RRI_AFTER : RRI_PLAIN;
    default: return RRI_PLAIN;
    }
}

static void set_stage(rri_fence *f, rri_fence_stage stage)
{
    rri_lock_take(&f->lock);
    f->stage = stage;
    rri_lock_give(&f->lock);
}

/* All parts of a fence. */
static int pass_all(rri_fence *f, int64_t deadline)
{
    do {
        int64_t now = rri_now();
        int rc = pass(f, deadline == RRI_NEVER ? RRI_NEVER : deadline > now ? deadline - now : 0);
        if (rc) return rc;
        set_stage(f, next_stage(f));
    } while (f->stage != RRI_PLAIN);
    return RREF_OK;
}

/* The other ranks have passed, or will, what was given up here, so that comes to its end before the next one begins. */
static int pass_in_turn(rri_fence *f, uint64_t *own, int64_t deadline)
{
    uint64_t *mine = own ? own : &f->plain;
    bool goes_on = f->under_way && *mine == f->number;
    if (own && *own && !goes_on) return RREF_OK;
    int rc = f->under_way && !goes_on ? pass_all(f, deadline) : RREF_OK;
    if (rc) return rc;
    if (!goes_on) *mine = ++f->number;
    return pass_all(f, deadline);
}

static int is_inside(void)
{
    return rri_fail(RREF_ERR_STATE, "another thread of this rank is in a fence, or ends the context at SIGTERM");
}

int rri_fence_may(rri_fence *f)
{
    if (rri_progress_is_library() || rri_progress_depth(0) > 0)
        return rri_fail(RREF_ERR_STATE, "a collective from a handler or callback");
    int rc = rri_progress_may_drive(f->calls->progress);
    if (rc) return rc;
    return atomic_load(&f->inside) ? is_inside() : RREF_OK;
}

int rri_fence_pass(rri_fence *f, uint64_t *own, int64_t limit)
{
    int may = rri_fence_may(f);
    if (may) return may;
    if (atomic_exchange(&f->inside, true)) return is_inside();
    int rc = pass_in_turn(f, own, rri_after(rri_now(), limit));
    atomic_store(&f->inside, false);
    return rc;
}

int rri_fence_end(rri_fence *f, int64_t limit)
{
    if (f->under_way && pass_all(f, rri_after(rri_now(), limit))) return rri_error_last()->code = RREF_ERR_STALLED;
    enter(f, RRI_END);
    return wait_for(f, limit);
}
