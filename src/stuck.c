/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the list of methods that are stuck. Who is listed waits for one call, which has no deadline: so an entry, once seen, was
 * true from then on until the call is over, and cannot come back after that. A method that has called another one in its own
 * thread, or on whose stack another one runs, is not over before that one.
 * Lock order: the list's, then an actor's.
 */
#include "stuck.h"
#include "pending.h"

#include <stdio.h>

void rri_stuck_tell(rri_calls *calls, rri_stuck *s, const rref_call *call, rri_future *f)
{
    if (f->timed || !atomic_load_explicit(&f->method_name, memory_order_acquire)) return;
    if (!s->call) {
        rri_lock_take(&calls->stuck_lock);
        *s = (rri_stuck){ calls->stuck, call, f, 0, 0 };
        calls->stuck = s;
        rri_lock_give(&calls->stuck_lock);
    }
    s->looks++;
    if ((s->looks & (s->looks - 1)) == 0) calls->up.stuck(calls->up.up, rri_future_handle(f));
}

void rri_stuck_over(rri_calls *calls, rri_stuck *s)
{
    if (!s->call) return;
    rri_lock_take(&calls->stuck_lock);
    rri_stuck **at = &calls->stuck;
    while (*at != s) at = &(*at)->next;
    *at = s->next;
    rri_lock_give(&calls->stuck_lock);
}

/* ---- the list's lock is held */

static bool is_call(const rref_call *c, int caller, uint64_t id) { return !c->oneway && c->peer == caller && c->id == id; }

static bool queues_behind(const rref_call *running, int caller, uint64_t id)
{
    rri_actor *a = running->flags & RREF_CONCURRENT ? NULL : running->actor;
    if (!a) return false;
    rri_take(&a->lock, &rri_queue);
    const rref_call *c = a->last;
    bool found = c && is_call(c, caller, id);
    for (c = c ? c->next : NULL; !found && c != a->last; c = c->next) found = is_call(c, caller, id);
    rri_give(&a->lock, &rri_queue);
    return found;
}

static bool holds_up(const rri_stuck *s, int caller, uint64_t id)
{
    const rref_call *c = s->call;
    while (c && !is_call(c, caller, id) && !queues_behind(c, caller, id)) c = c->outer;
    return c;
}

static rri_stuck *with_handle(const rri_calls *calls, uint64_t handle)
{
    rri_stuck *s = calls->stuck;
    while (s && rri_future_handle(s->future) != handle) s = s->next;
    return s;
}

static void describe(const rri_calls *calls, const rri_stuck *s, rri_wait *w)
{
    char text[320];
    const rri_future *f = s->future;
    const rri_pending p = { f->class_name, atomic_load(&f->method_name), f->site, f->peer, f->made };
    w->handle = rri_future_handle(f);
    w->peer = f->peer;
    w->age = rri_now_coarse() - f->made;
    rri_pending_format(&p, text, sizeof text);
    snprintf(w->text, sizeof w->text, "%.60s.%.60s on rank %d waits for %s", s->call->class_name ? s->call->class_name : "?",
             s->call->method_name ? s->call->method_name : "?", calls->rank, text);
}

/* ---- questions */

bool rri_stuck_find(rri_calls *calls, int caller, uint64_t id, rri_wait *w)
{
    rri_lock_take(&calls->stuck_lock);
    const rri_stuck *s = calls->stuck;
    while (s && !holds_up(s, caller, id)) s = s->next;
    if (s) describe(calls, s, w);
    rri_lock_give(&calls->stuck_lock);
    return s;
}

bool rri_stuck_look(rri_calls *calls, uint64_t handle, rri_wait *w)
{
    rri_lock_take(&calls->stuck_lock);
    const rri_stuck *s = with_handle(calls, handle);
    if (s) describe(calls, s, w);
    rri_lock_give(&calls->stuck_lock);
    return s;
}

bool rri_stuck_proven(rri_calls *calls, uint64_t handle, uint64_t cycle)
{
    rri_lock_take(&calls->stuck_lock);
    rri_stuck *s = with_handle(calls, handle);
    bool fresh = s && s->proven != cycle;
    if (fresh) s->proven = cycle;
    rri_lock_give(&calls->stuck_lock);
    return fresh;
}

bool rri_stuck_break(rri_calls *calls, uint64_t handle, const rref_error *error)
{
    rri_lock_take(&calls->stuck_lock);
    const rri_stuck *s = with_handle(calls, handle);
    rri_future *f = s ? s->future : NULL;
    if (f) rri_future_keep(f);
    rri_lock_give(&calls->stuck_lock);
    bool broken = f && rri_call_give_up(calls, f, error);
    if (f) rri_future_drop(f);
    return broken;
}
