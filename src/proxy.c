/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls through a reference: find the method, aim at the object, send, and say whose fault a failure is. */
#include "proxy.h"
#include "again.h"
#include "capture.h"
#include "error.h"
#include "exec.h"
#include "lead.h"
#include "lone.h"
#include "memory.h"
#include "resolve.h"
#include "spare.h"

#include <stdio.h>
#include <stdlib.h>

/* A bound method is the number of one, or, where the class was not known or has none of that name, the name: a string of the
 * context's. */
#define BY_NAME (UINT64_C(1) << 63)

static int no_method(const rri_class *k, const char *name)
{
    return rri_fail(RREF_ERR_NO_METHOD, "class %s has no method %s", k ? k->name : "?", name ? name : "NULL");
}

rref_method_ref rref_bind(rref reference, const char *method)
{
    rref_method_ref bound = { reference, UINT64_MAX };
    rri_reference *r = rri_reference_of(reference);
    if (!r || !method || r->owner < 0) {
        if (r) no_method(NULL, method);
        return bound;
    }
    const rri_class *k = rri_resolved(r);
    if (k == rri_references_of(r)->objects->results) k = NULL;        /* of what it leads to */
    int index = k ? rri_method_find(k, method) : -1;
    const char *name = index < 0 ? rri_resolver_intern(rri_references_of(r)->resolver, method) : NULL;
    if (index >= 0) bound.method = (uint64_t)index;
    else if (name) bound.method = BY_NAME | (uint64_t)(uintptr_t)name;
    if (k && index < 0) no_method(k, method);
    return bound;
}

/* The name in a bound method, or NULL if it holds a number. */
static const char *bound_name(uint64_t method)
{
    return method & BY_NAME && method != UINT64_MAX ? (const char *)(uintptr_t)(method & ~BY_NAME) : NULL;
}

int rri_proxy_aim(rri_reference *r, uint64_t method, rri_target *target)
{
    int rc = rri_reference_is_sound(r) ? RREF_OK : rri_reference_error(r);
    if (rc) return rc;
    const rri_class *k = atomic_load_explicit(&r->klass, memory_order_acquire);
    if (!k)
        return rri_fail(RREF_ERR_NO_CLASS, "the class of the object on rank %d is not known on this rank", r->owner);
    if (!k->count && k == rri_references_of(r)->objects->results) return RRI_LEADS;
    if (bound_name(method)) {
        int index = rri_method_find(k, bound_name(method));
        if (index < 0) return no_method(k, bound_name(method));
        method = (uint64_t)index;
    }
    if (method >= k->count) return rri_fail(RREF_ERR_NO_METHOD, "class %s: the method was not found when it was bound", k->name);
    const rri_method *m = &k->method[method];
    uint64_t address = rri_reference_address(r);
    *target = (rri_target){ r->owner, address, (uint16_t)method, &m->signature.in, &m->signature.out, k->name, m->name, false,
                            m->flags & RREF_INLINE && !(address & RRI_NAMED) };
    return RREF_OK;
}

int rri_proxy_values(const rref_value *values, size_t count)
{
    return count && !values ? rri_fail(RREF_ERR_ARGUMENT, "NULL values") : RREF_OK;
}

int rri_proxy_method(const rref_value *values, size_t count, uint64_t *method)
{
    const char *name = rri_values_name(values, count);
    if (!name) return rri_fail(RREF_ERR_ARGUMENT, "the method's name is missing");
    *method = BY_NAME | (uint64_t)(uintptr_t)name;
    return RREF_OK;
}

int rri_proxy_blame(rri_references *all, const rri_target *target, const char *site, int rc)
{
    rref_error *e = rri_error_last();
    rri_error_origin(&all->calls->futures, e);
    e->caller = all->calls->rank;
    if (!e->where[0] && target->class_name)
        snprintf(e->where, sizeof e->where, "%.60s.%.60s", target->class_name, target->method_name);
    if (site && !e->site[0]) rri_error_copy(e->site, sizeof e->site, site);
    return rri_exec_failed(rc);
}

static int finish_sync(rri_calls *calls, rri_future *f, int64_t deadline)
{
    int rc = rri_call_wait(calls, f, deadline);
    if (rc == RREF_OK) rc = rri_progress_settle(calls->progress, &f->sent);
    if (rc == RREF_OK) {
        rc = f->outcome;
        if (rc && f->error) *rri_error_last() = *f->error;
    }
    rri_lone_end(f);
    return rri_exec_failed(rc);
}

static int sync_until(rri_reference *r, uint64_t method, const rref_value *values, size_t count, const char *site,
                      int64_t deadline);

static int sync_led(rri_reference *r, uint64_t method, const rref_value *values, size_t count, const char *site,
                    int64_t deadline)
{
    rri_reference *to = rri_lead(r);
    int rc = to ? RREF_OK : rri_held_wait(r, deadline, rri_lead_hold);
    if (rc) return rri_proxy_blame(rri_references_of(r), &(rri_target){ 0 }, site, rc);
    return sync_until(to ? to : rri_lead_aim(r), method, values, count, site, deadline);
}

static int sync_until(rri_reference *r, uint64_t method, const rref_value *values, size_t count, const char *site,
                      int64_t deadline)
{
    rri_references *all = rri_references_of(r);
    rri_calls *calls = all->calls;
    rri_target target = { 0 };
    int rc = rri_reference_is_sound(r) ? RREF_OK : rri_reference_error(r), outcome;
    if (!rc && !rri_is_resolved(r)) rc = rri_resolve_wait(r, deadline);
    if (!rc) rc = rri_proxy_aim(r, method, &target);
    if (!rc && target.peer == calls->rank && rri_call_direct(calls, &target, values, count, deadline, &outcome))
        return outcome ? rri_proxy_blame(all, &target, site, outcome) : RREF_OK;
    if (!rc && rri_progress_depth(0) > 0) rc = rri_progress_may_wait(calls->progress);  /* what nobody can wait for is not sent */
    rri_future *f = rc ? NULL : rri_lone_new(&calls->futures, target.out, site);
    if (!rc && !f) rc = RREF_ERR_NO_MEMORY;
    if (!rc) rc = rri_call_send(calls, &target, values, count, RRI_SYNC, site, f, deadline);
    if (!rc && target.peer != calls->rank && deadline == RRI_NEVER) rri_again_remember(r, &target, site, RRI_SYNC);
    if (!rc) return finish_sync(calls, f, deadline);
    if (f) rri_lone_end(f);
    if (rc == RRI_LEADS) return sync_led(r, method, values, count, site, deadline);
    return rri_proxy_blame(all, &target, site, rc);
}

static int sync(rri_reference *r, uint64_t method, int before, const rref_value *values, size_t count, const char *site,
                double timeout)
{
    int64_t deadline = RRI_NEVER;
    rri_references *all = rri_references_of(r);
    int rc = before ? before : rri_call_deadline(all->calls, timeout, &deadline);
    return rc ? rri_proxy_blame(all, &(rri_target){ 0 }, site, rc) : sync_until(r, method, values, count, site, deadline);
}

/* How a call is made, beside its method and values. */
typedef struct manner {
    const char *site;
    unsigned skip;          /* values before the arguments: the name */
    bool tries;             /* fail rather than wait for credit */
    int64_t deadline;
} manner;

/* Send a call whose class is known; future NULL: one-way. On an error nothing was sent, and it is blamed. Or RRI_LEADS. */
static int send(rri_reference *r, uint64_t method, const rref_value *values, size_t count, const manner *how, rri_future *f)
{
    rri_references *all = rri_references_of(r);
    rri_target target = { 0 };
    int rc = rri_proxy_aim(r, method, &target);
    target.tries = how->tries;
    if (!rc && f) atomic_store_explicit(&f->types, target.out, memory_order_release);
    if (how->skip) values += how->skip;         /* there may be none */
    if (!rc)
        rc = rri_call_send(all->calls, &target, values, count - how->skip, f ? RRI_ASYNC : RRI_ONEWAY, how->site, f,
                           how->deadline);
    if (!rc && target.runs && !how->tries && how->deadline == RRI_NEVER)
        rri_again_remember(r, &target, how->site, f ? RRI_ASYNC : RRI_ONEWAY);
    return rc && rc != RRI_LEADS ? rri_proxy_blame(all, &target, how->site, rc) : rc;
}

/* ---- calls held until the class of their object is known */

typedef struct held_call {
    rri_held held;
    rref target;                        /* a count of its own */
    uint64_t method;
    rri_capture arguments;
    manner how;                         /* the driver sends it, which waits for nothing */
    rri_future *future;                 /* a count of its own; NULL: one-way */
} held_call;

/* Nobody waits for a one-way call: its failure is told like one that came back. */
static void fail_held(rri_calls *calls, held_call *h)
{
    if (h->future) {
        if (rri_future_claim(h->future)) rri_future_error_last(h->future);
        return;
    }
    atomic_fetch_add(&calls->oneway_failures, 1);
    calls->up.unanswered(calls->up.up, rri_error_last());
}

static int submit(rri_reference *r, uint64_t method, const rref_value *values, size_t count, const manner *how, rri_future *f);

/* Borrowed arrays are free again if no transfer has taken them over, and the call is not held anew. */
static void settle_held(held_call *h, rri_references *all, int rc)
{
    rri_future *f = h->future;
    if (rc) fail_held(all->calls, h);
    bool again = f && atomic_load(&f->types) == &rri_types_to_come && !rri_event_done(&f->event);
    bool borrows = h->arguments.borrows && !again && !(f && f->sending);
    rri_capture_free(&h->arguments);
    if (borrows && f) rri_event_set(&f->sent);
    if (f) rri_future_drop(f);
    rri_reference_drop(h->target);
    free(h);
}

/* A call that nobody waits for any more is not sent. */
static bool is_over(const held_call *h) { return h->future && rri_event_done(&h->future->event); }

static int blame_held(rri_reference *r, const held_call *h)
{
    return rri_proxy_blame(rri_references_of(r), &(rri_target){ 0 }, h->how.site, rri_error_last()->code);
}

static void end_held(rri_held *held, const rri_class *klass)
{
    held_call *h = (held_call *)(void *)held;
    rri_reference *r = rri_reference_of(h->target);
    int rc = RREF_OK;
    if (klass) rri_reference_know(r, klass);
    if (!is_over(h))
        rc = !klass ? blame_held(r, h)
                    : send(r, h->method, h->arguments.values, h->arguments.count, &h->how, h->future);
    settle_held(h, rri_references_of(r), rc);
}

/* The object that a result leads to is known; its class may not be. */
static void end_led(rri_held *held, const rri_class *klass)
{
    held_call *h = (held_call *)(void *)held;
    rri_reference *r = rri_reference_of(h->target);
    int rc = RREF_OK;
    if (!is_over(h))
        rc = !klass ? blame_held(r, h)
                    : submit(rri_lead_aim(r), h->method, h->arguments.values, h->arguments.count, &h->how, h->future);
    settle_held(h, rri_references_of(r), rc);
}

/* values are those of the call as it was made, its name included. The future has its deadline from now on. */
static int hold(rri_reference *r, bool leads, uint64_t method, const rref_value *values, size_t count, const manner *how,
                rri_future *f)
{
    held_call *h = rri_malloc(sizeof *h);
    int rc = h ? RREF_OK : rri_fail(RREF_ERR_NO_MEMORY, "no memory to keep a call");
    if (h)
        *h = (held_call){ { NULL, 0, leads ? end_led : end_held }, { 0 }, method, { NULL, 0, false },
                          { how->site, how->skip, false, how->deadline }, f };
    if (!rc) rc = rri_capture_make(values, count, &h->arguments);
    if (!rc && f && !f->timed) rc = rri_future_deadline(f, how->deadline, rri_call_due);
    if (rc) {
        if (h) rri_capture_free(&h->arguments);
        free(h);
        return rri_proxy_blame(rri_references_of(r), &(rri_target){ 0 }, how->site, rc);
    }
    if (how->skip) h->method = BY_NAME | h->arguments.values[0].bits;
    if (f) rri_future_keep(f);
    if (f && h->arguments.borrows && rri_event_done(&f->sent)) atomic_store(&f->sent.word, 0);
    h->target = rri_reference_keep(r);
    if (leads) rri_lead_hold(r, &h->held);
    else rri_resolve(r, &h->held);
    return RREF_OK;
}

/* Async and one-way calls: send, or hold. */
static int submit(rri_reference *r, uint64_t method, const rref_value *values, size_t count, const manner *how, rri_future *f)
{
    int rc = rri_reference_is_sound(r) ? RREF_OK : rri_reference_error(r);
    if (rc) return rri_proxy_blame(rri_references_of(r), &(rri_target){ 0 }, how->site, rc);
    if (!rri_is_resolved(r) && !rri_resolved(r)) return hold(r, false, method, values, count, how, f);
    rc = send(r, method, values, count, how, f);
    if (rc != RRI_LEADS) return rc;
    rri_reference *to = rri_lead(r);
    return to ? submit(to, method, values, count, how, f) : hold(r, true, method, values, count, how, f);
}

static rref_future async(rri_reference *r, uint64_t method, int before, const rref_value *values, size_t count, manner how,
                         double timeout)
{
    rri_calls *calls = rri_references_of(r)->calls;
    int rc = before ? before : rri_call_deadline(calls, timeout, &how.deadline);
    rri_future *f = rri_future_new(&calls->futures, &rri_types_to_come, how.site);
    if (!f) return (rref_future){ 0 };
    if (rc) rri_proxy_blame(rri_references_of(r), &(rri_target){ 0 }, how.site, rc);
    else rc = submit(r, method, values, count, &how, f);
    if (rc && rri_future_claim(f)) rri_future_error_last(f);
    return (rref_future){ rri_future_handle(f) };
}

/* A call whose way is known. */
RRI_ASIDE
static int blame_again(const rri_run *run, const char *site, int rc)
{
    return rri_proxy_blame(rri_context_references(run->calls->context), &run->target, site, rc);
}

static inline int post_again(const rri_run *run, const rref_value *values, const char *site)
{
    int rc = rri_call_run_post(run, values);
    return rc ? blame_again(run, site, rc) : RREF_OK;
}

static int sync_again(const rri_run *run, const rref_value *values, size_t count, const char *site)
{
    rri_future *f = rri_lone_new(&run->calls->futures, run->target.out, site);
    int rc = f ? rri_call_plain_sync(run, values, count, f) : RREF_ERR_NO_MEMORY;
    if (!rc) return finish_sync(run->calls, f, RRI_NEVER);
    if (f) rri_lone_end(f);
    return blame_again(run, site, rc);
}

static rref_future async_again(const rri_run *run, const rref_value *values, size_t count, const char *site)
{
    rri_future *f = rri_spare_new(&run->calls->futures, run->target.out, site);
    if (!f) return (rref_future){ 0 };
    uint64_t handle = rri_future_handle(f);
    f->fresh = true;
    int rc = rri_call_run_async(run, values, count, f);
    if (rc) blame_again(run, site, rc);
    if (rc && rri_future_claim(f)) rri_future_error_last(f);
    return (rref_future){ handle };
}

/* ---- the API */

static int sync_by_name(rref target, const rref_value *values, size_t count, const char *site, double timeout)
{
    uint64_t method = 0;
    const char *name = rri_values_name(values, count);
    const rri_run *run = name && timeout == RREF_DEFAULT_TIMEOUT && rri_progress_depth(0) == 0
                             ? rri_again(target, 0, name, values + 1, count - 1, site, RRI_SYNC) : NULL;
    if (run) return sync_again(run, values + 1, count - 1, site);
    rri_reference *r = rri_reference_of(target);
    if (!r) return rri_error_last()->code;
    int rc = rri_proxy_method(values, count, &method);
    return rc ? sync(r, method, rc, NULL, 0, site, timeout) : sync(r, method, rc, values + 1, count - 1, site, timeout);
}

static rref_future async_by_name(rref target, const rref_value *values, size_t count, const char *site, bool tries,
                                 double timeout)
{
    uint64_t method = 0;
    const char *name = rri_values_name(values, count);
    const rri_run *run = name && !tries && timeout == RREF_DEFAULT_TIMEOUT
                             ? rri_again(target, 0, name, values + 1, count - 1, site, RRI_ASYNC) : NULL;
    if (run) return async_again(run, values + 1, count - 1, site);
    rri_reference *r = rri_reference_of(target);
    if (!r) return (rref_future){ 0 };
    int rc = rri_proxy_method(values, count, &method);
    return async(r, method, rc, values, count, (manner){ site, 1, tries, RRI_NEVER }, timeout);
}

RRI_ASIDE
static rref_future async_bound(rref_method_ref method, const rref_value *values, size_t count, const char *site, bool tries)
{
    rri_reference *r = rri_reference_of(method.target);
    if (!r) return (rref_future){ 0 };
    return async(r, method.method, rri_proxy_values(values, count), values, count, (manner){ site, 0, tries, RRI_NEVER },
                 RREF_DEFAULT_TIMEOUT);
}

RRI_ASIDE
static int post_named(rref target, const rref_value *values, size_t count, const char *site, bool tries)
{
    uint64_t method = 0;
    rri_reference *r = rri_reference_of(target);
    if (!r) return rri_error_last()->code;
    int rc = rri_proxy_method(values, count, &method);
    if (rc) return rri_proxy_blame(rri_references_of(r), &(rri_target){ 0 }, site, rc);
    return submit(r, method, values, count, &(manner){ site, 1, tries, RRI_NEVER }, NULL);
}

RRI_ASIDE
static int post_bound(rref_method_ref method, const rref_value *values, size_t count, const char *site, bool tries)
{
    rri_reference *r = rri_reference_of(method.target);
    if (!r) return rri_error_last()->code;
    int rc = rri_proxy_values(values, count);
    if (rc) return rri_proxy_blame(rri_references_of(r), &(rri_target){ 0 }, site, rc);
    return submit(r, method.method, values, count, &(manner){ site, 0, tries, RRI_NEVER }, NULL);
}

int rref_sync_v(rref target, const rref_value *values, size_t count, const char *site)
{
    return sync_by_name(target, values, count, site, RREF_DEFAULT_TIMEOUT);
}

rref_future rref_async_v(rref target, const rref_value *values, size_t count, const char *site)
{
    return async_by_name(target, values, count, site, false, RREF_DEFAULT_TIMEOUT);
}

/* A bound method; what is not there is refused elsewhere. */
RRI_IN_LINE const rri_run *again(rref_method_ref m, const rref_value *values, size_t count, const char *site, rri_mode mode)
{
    return values || !count ? rri_again(m.target, m.method, NULL, values, count, site, mode) : NULL;
}

int rref_sync_m(rref_method_ref method, const rref_value *values, size_t count, const char *site)
{
    const rri_run *run = rri_progress_depth(0) ? NULL : again(method, values, count, site, RRI_SYNC);
    if (run) return sync_again(run, values, count, site);
    rri_reference *r = rri_reference_of(method.target);
    if (!r) return rri_error_last()->code;
    return sync(r, method.method, rri_proxy_values(values, count), values, count, site, RREF_DEFAULT_TIMEOUT);
}

rref_future rref_async_m(rref_method_ref method, const rref_value *values, size_t count, const char *site)
{
    const rri_run *run = again(method, values, count, site, RRI_ASYNC);
    return run ? async_again(run, values, count, site) : async_bound(method, values, count, site, false);
}

rref_future rref_try_async_v(rref target, const rref_value *values, size_t count, const char *site)
{
    return async_by_name(target, values, count, site, true, RREF_DEFAULT_TIMEOUT);
}

rref_future rref_try_async_m(rref_method_ref method, const rref_value *values, size_t count, const char *site)
{
    return async_bound(method, values, count, site, true);
}

rref_sync_proxy rref_rpc_sync(rref target, double timeout) { return (rref_sync_proxy){ target, timeout }; }
rref_async_proxy rref_rpc_async(rref target, double timeout) { return (rref_async_proxy){ target, timeout }; }

int rref_invoke_sync_v(rref_sync_proxy proxy, const rref_value *values, size_t count, const char *site)
{
    return sync_by_name(proxy.target, values, count, site, proxy.timeout);
}

rref_future rref_invoke_async_v(rref_async_proxy proxy, const rref_value *values, size_t count, const char *site)
{
    return async_by_name(proxy.target, values, count, site, false, proxy.timeout);
}

int rref_post_v(rref target, const rref_value *values, size_t count, const char *site)
{
    const char *name = rri_values_name(values, count);
    const rri_run *run = name ? rri_again(target, 0, name, values + 1, count - 1, site, RRI_ONEWAY) : NULL;
    return run ? post_again(run, values + 1, site) : post_named(target, values, count, site, false);
}

int rref_post_m(rref_method_ref method, const rref_value *values, size_t count, const char *site)
{
    const rri_run *run = again(method, values, count, site, RRI_ONEWAY);
    return run ? post_again(run, values, site) : post_bound(method, values, count, site, false);
}

int rref_try_post_v(rref target, const rref_value *values, size_t count, const char *site)
{
    return post_named(target, values, count, site, true);
}

int rref_try_post_m(rref_method_ref method, const rref_value *values, size_t count, const char *site)
{
    return post_bound(method, values, count, site, true);
}
