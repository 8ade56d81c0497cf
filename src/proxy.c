/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls through a reference: find the method, aim at the object, send, and say whose fault a failure is. */
#include "proxy.h"
#include "error.h"
#include "exec.h"

#include <stdio.h>

static const rri_types no_results;

rref_method_ref rref_bind(rref reference, const char *method)
{
    rri_reference *r = rri_reference_of(reference);
    int index = r && r->klass && method ? rri_method_find(r->klass, method) : -1;
    if (r && index < 0)
        rri_fail(RREF_ERR_NO_METHOD, "class %s has no method %s", r->klass ? r->klass->name : "?", method ? method : "NULL");
    return (rref_method_ref){ reference, index < 0 ? UINT64_MAX : (uint64_t)index };
}

int rri_proxy_aim(rri_reference *r, uint64_t method, rri_target *target)
{
    int rc = rri_reference_error(r);
    if (rc) return rc;
    if (!r->klass)
        return rri_fail(RREF_ERR_NO_CLASS, "the class of the object on rank %d is not registered on this rank", r->owner);
    if (method >= r->klass->count) return rri_fail(RREF_ERR_NO_METHOD, "the method was not found when it was bound");
    const rri_method *m = &r->klass->method[method];
    *target = (rri_target){ r->owner, atomic_load_explicit(&r->address, memory_order_acquire), (uint16_t)method,
                            &m->signature.in, &m->signature.out, r->klass->name, m->name };
    return RREF_OK;
}

int rri_proxy_method(const rri_reference *r, const rref_value *values, size_t count, uint64_t *method)
{
    if (!count || values[0].kind != RREF_VALUE_SCALAR || values[0].element != RREF_STR || !values[0].bits)
        return rri_fail(RREF_ERR_ARGUMENT, "the method's name is missing");
    int rc = rri_reference_error(r);
    if (rc) return rc;
    if (!r->klass)
        return rri_fail(RREF_ERR_NO_CLASS, "the class of the object on rank %d is not registered on this rank", r->owner);
    const char *name = (const char *)(uintptr_t)values[0].bits;
    int index = rri_method_find(r->klass, name);
    if (index < 0) return rri_fail(RREF_ERR_NO_METHOD, "class %s has no method %s", r->klass->name, name);
    *method = (uint64_t)index;
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
    return rc;
}

int rri_proxy_deadline(const rri_calls *calls, double timeout, int64_t *deadline)
{
    int64_t ns = RRI_NEVER, outer = rri_exec_deadline();
    if (timeout == RREF_DEFAULT_TIMEOUT) ns = atomic_load_explicit(&calls->futures.timeout, memory_order_relaxed);
    else if (!rri_seconds(timeout, &ns)) return rri_fail(RREF_ERR_ARGUMENT, "a timeout of %g seconds", timeout);
    *deadline = ns == RRI_NEVER ? RRI_NEVER : rri_after(rri_now(), ns);
    if (outer < *deadline) *deadline = outer;
    return RREF_OK;
}

static int finish_sync(rri_calls *calls, rri_future *f, int64_t deadline)
{
    int rc = rri_call_wait(calls, f, deadline);
    if (rc == RREF_OK) rc = rri_progress_wait(calls->progress, &f->sent, RRI_NEVER);
    if (rc == RREF_OK) rc = f->outcome;
    f->quiet = true;
    if (rc && f->error) *rri_error_last() = *f->error;
    rri_future_drop(f);
    return rc;
}

static int sync(rri_reference *r, uint64_t method, const rref_value *values, size_t count, const char *site, double timeout)
{
    rri_calls *calls = r->all->calls;
    rri_target target = { 0 };
    int64_t deadline;
    int rc = rri_proxy_aim(r, method, &target), outcome;
    if (!rc) rc = rri_proxy_deadline(calls, timeout, &deadline);
    if (!rc && rri_call_direct(calls, &target, values, count, deadline, &outcome))
        return outcome ? rri_proxy_blame(r->all, &target, site, outcome) : RREF_OK;
    rri_future *f = rc ? NULL : rri_future_new(&calls->futures, target.out, site);
    if (!rc && !f) rc = RREF_ERR_NO_MEMORY;
    if (!rc) rc = rri_call_send(calls, &target, values, count, RRI_SYNC, site, f, deadline);
    if (!rc) return finish_sync(calls, f, deadline);
    if (f) {
        f->quiet = true;
        rref_error error = *rri_error_last();
        rri_future_drop(f);
        *rri_error_last() = error;
    }
    return rri_proxy_blame(r->all, &target, site, rc);
}

static rref_future async(rri_reference *r, uint64_t method, int before, const rref_value *values, size_t count,
                         const char *site, double timeout)
{
    rri_calls *calls = r->all->calls;
    rri_target target = { 0 };
    int64_t deadline;
    int rc = before ? before : rri_proxy_aim(r, method, &target);
    if (!rc) rc = rri_proxy_deadline(calls, timeout, &deadline);
    rri_future *f = rri_future_new(&calls->futures, rc ? &no_results : target.out, site);
    if (!f) return (rref_future){ 0 };
    if (!rc) rc = rri_call_send(calls, &target, values, count, RRI_ASYNC, site, f, deadline);
    if (rc) {
        rri_proxy_blame(r->all, &target, site, rc);
        if (rri_future_claim(f)) rri_future_error_last(f);
    }
    return (rref_future){ rri_future_handle(f) };
}

static int post(rri_reference *r, uint64_t method, const rref_value *values, size_t count, const char *site)
{
    rri_target target = { 0 };
    int rc = rri_proxy_aim(r, method, &target);
    if (!rc) rc = rri_call_send(r->all->calls, &target, values, count, RRI_ONEWAY, site, NULL, RRI_NEVER);
    return rc ? rri_proxy_blame(r->all, &target, site, rc) : RREF_OK;
}

static int sync_by_name(rref target, const rref_value *values, size_t count, const char *site, double timeout)
{
    uint64_t method;
    rri_reference *r = rri_reference_of(target);
    if (!r) return rri_error_last()->code;
    int rc = rri_proxy_method(r, values, count, &method);
    return rc ? rri_proxy_blame(r->all, &(rri_target){ 0 }, site, rc) : sync(r, method, values + 1, count - 1, site, timeout);
}

static rref_future async_by_name(rref target, const rref_value *values, size_t count, const char *site, double timeout)
{
    uint64_t method = 0;
    rri_reference *r = rri_reference_of(target);
    if (!r) return (rref_future){ 0 };
    int rc = rri_proxy_method(r, values, count, &method);
    return async(r, method, rc, rc ? NULL : values + 1, rc ? 0 : count - 1, site, timeout);
}

int rref_sync_v(rref target, const rref_value *values, size_t count, const char *site)
{
    return sync_by_name(target, values, count, site, RREF_DEFAULT_TIMEOUT);
}

rref_future rref_async_v(rref target, const rref_value *values, size_t count, const char *site)
{
    return async_by_name(target, values, count, site, RREF_DEFAULT_TIMEOUT);
}

int rref_sync_m(rref_method_ref method, const rref_value *values, size_t count, const char *site)
{
    rri_reference *r = rri_reference_of(method.target);
    return r ? sync(r, method.method, values, count, site, RREF_DEFAULT_TIMEOUT) : rri_error_last()->code;
}

rref_future rref_async_m(rref_method_ref method, const rref_value *values, size_t count, const char *site)
{
    rri_reference *r = rri_reference_of(method.target);
    return r ? async(r, method.method, RREF_OK, values, count, site, RREF_DEFAULT_TIMEOUT) : (rref_future){ 0 };
}

rref_sync_proxy rref_rpc_sync(rref target, double timeout) { return (rref_sync_proxy){ target, timeout }; }
rref_async_proxy rref_rpc_async(rref target, double timeout) { return (rref_async_proxy){ target, timeout }; }

int rref_invoke_sync_v(rref_sync_proxy proxy, const rref_value *values, size_t count, const char *site)
{
    return sync_by_name(proxy.target, values, count, site, proxy.timeout);
}

rref_future rref_invoke_async_v(rref_async_proxy proxy, const rref_value *values, size_t count, const char *site)
{
    return async_by_name(proxy.target, values, count, site, proxy.timeout);
}

int rref_post_v(rref target, const rref_value *values, size_t count, const char *site)
{
    uint64_t method;
    rri_reference *r = rri_reference_of(target);
    if (!r) return rri_error_last()->code;
    int rc = rri_proxy_method(r, values, count, &method);
    return rc ? rri_proxy_blame(r->all, &(rri_target){ 0 }, site, rc) : post(r, method, values + 1, count - 1, site);
}

int rref_post_m(rref_method_ref method, const rref_value *values, size_t count, const char *site)
{
    rri_reference *r = rri_reference_of(method.target);
    return r ? post(r, method.method, values, count, site) : rri_error_last()->code;
}
