/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the state of the waves. The lock keeps the thread that enters and the driver apart. */
#include "fence.h"
#include "log.h"

#include <stdio.h>

enum { PAUSE_MIN_NS = 20000, PAUSE_MAX_NS = 2000000 };

static int parent_of(int rank) { return (rank - 1) / 2; }
static unsigned children_of(const rri_fence *f)
{
    int first = 2 * f->rank + 1;
    return (unsigned)(first < f->size) + (unsigned)(first + 1 < f->size);
}

static void start_wave(rri_timer *timer);

void rri_fence_init(rri_fence *f, rri_calls *calls, rri_timers *timers)
{
    *f = (rri_fence){ .calls = calls, .timers = timers, .rank = calls->rank, .size = rri_link_size(calls->link),
                      .probed = true, .last = UINT64_MAX, .pause = PAUSE_MIN_NS };
    f->timer.due = start_wave;
    f->children = children_of(f);
}

static void send(rri_fence *f, int to, rri_record_kind kind, uint64_t busy, uint64_t sent, uint64_t served)
{
    rri_record *r = rri_lane_begin(f->calls->flow, to, RRI_ANSWERS, sizeof *r);
    if (!r) {
        rri_log(RRI_LOG_ERROR, "no memory to end the context together with rank %d", to);
        return;
    }
    *r = (rri_record){ .bytes = sizeof *r, .kind = (uint8_t)kind, .call = busy, .object = sent, .extra = served };
    rri_lock_take(&f->lock);
    f->own++;
    rri_lock_give(&f->lock);
    rri_lane_end(f->calls->flow, to, RRI_ANSWERS, true);
}

static void send_down(rri_fence *f, rri_record_kind kind)
{
    for (int child = 2 * f->rank + 1; child <= 2 * f->rank + 2 && child < f->size; child++) send(f, child, kind, 0, 0, 0);
}

static bool idle(const rri_fence *f)
{
    rri_calls *c = f->calls;
    return !atomic_load(&c->running) && rri_progress_quiet(c->progress) && !rri_link_moving(c->link);
}

static void finish_wave(rri_fence *f, uint64_t busy, uint64_t sent, uint64_t served)
{
    bool first;
    rri_lock_take(&f->lock);
    bool over = !busy && sent == served && sent == f->last;
    f->last = !busy && sent == served ? sent : UINT64_MAX;
    int64_t pause = f->pause;
    if (f->pause < PAUSE_MAX_NS) f->pause *= 2;
    rri_lock_give(&f->lock);
    if (over) {
        send_down(f, RRI_LEAVE);
        rri_event_set(&f->left);
        return;
    }
    if (rri_timer_add(f->timers, &f->timer, rri_now() + pause, &first))
        rri_log(RRI_LOG_ERROR, "no memory for a timer; the context cannot end");
}

/* Report as soon as this rank has entered, was asked, and its children have reported. */
static void try_report(rri_fence *f)
{
    rri_lock_take(&f->lock);
    bool ready = f->entered && f->probed && f->children == 0 && !f->reported;
    if (ready) {
        f->reported = true;
        f->probed = false;
    }
    uint64_t busy = f->busy + !idle(f), served = f->served + atomic_load(&f->calls->served) - f->seen;
    uint64_t sent = f->sent + rri_flow_records(f->calls->flow) - f->own;
    rri_lock_give(&f->lock);
    if (!ready) return;
    if (f->rank == 0) finish_wave(f, busy, sent, served);
    else send(f, parent_of(f->rank), RRI_REPORT, busy, sent, served);
}

static void begin_wave(rri_fence *f)
{
    rri_lock_take(&f->lock);
    f->probed = true;
    f->reported = false;
    f->children = children_of(f);
    f->sent = f->served = f->busy = 0;
    rri_lock_give(&f->lock);
    send_down(f, RRI_PROBE);
    try_report(f);
}

static void start_wave(rri_timer *timer)
{
    begin_wave((rri_fence *)(void *)((char *)timer - offsetof(rri_fence, timer)));
}

void rri_fence_enter(rri_fence *f)
{
    rri_lock_take(&f->lock);
    f->entered = true;
    rri_lock_give(&f->lock);
    try_report(f);
    rri_progress_nudge(f->calls->progress);
    rri_link_kick(f->calls->link);
}

static void take_report(rri_fence *f, const rri_record *r)
{
    rri_lock_take(&f->lock);
    f->busy += r->call;
    f->sent += r->object;
    f->served += r->extra;
    f->children--;
    rri_lock_give(&f->lock);
    try_report(f);
}

/* A control record is counted as served after this returns; it must not appear in the sums. */
void rri_fence_control(rri_fence *f, int peer, const rri_record *r)
{
    (void)peer;
    rri_lock_take(&f->lock);
    f->seen++;
    rri_lock_give(&f->lock);
    atomic_fetch_add(&f->calls->served, 1);
    if (r->kind == RRI_PROBE) begin_wave(f);
    else if (r->kind == RRI_REPORT) take_report(f, r);
    else {
        send_down(f, RRI_LEAVE);
        rri_event_set(&f->left);
    }
    atomic_fetch_sub(&f->calls->served, 1);
}

void rri_fence_describe(rri_fence *f, char *text, size_t size)
{
    rri_lock_take(&f->lock);
    snprintf(text, size, "%u calls running here, %u of %u children have not reported, %s", atomic_load(&f->calls->running),
             f->children, children_of(f), rri_link_moving(f->calls->link) ? "data is moving" : "no data is moving");
    rri_lock_give(&f->lock);
}
