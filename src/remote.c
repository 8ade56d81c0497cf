/* SPDX-License-Identifier: BSD-3-Clause */
/* Remote mode: calls whose result stays at the owner of the object called, and the references to these results. */
#include "capture.h"
#include "error.h"
#include "lead.h"
#include "memory.h"
#include "proxy.h"
#include "resolve.h"

#include <stdlib.h>

static const rri_types no_results;

static rref send_off(rri_references *all, rri_target *target, const rref_value *values, size_t count, const char *site,
                     int64_t deadline)
{
    rri_future *creation;
    rri_reference *r = rri_reference_begin(all, target->peer, all->objects->results, site, &creation);
    if (!r) return rri_reference_failed(all);
    target->out = &no_results;
    int rc = rri_call_send(all->calls, target, values, count, RRI_REMOTE, site, creation, deadline);
    if (rc) rri_proxy_blame(all, target, site, rc);
    rref begun = rri_reference_begun(r, rc, creation->number);
    rri_future_drop(creation);
    return begun;
}

/* ---- calls whose object's class is not known yet: the result is announced at once, and the call follows */

typedef struct held_call {
    rri_held held;
    rref target;                        /* a count of its own */
    uint64_t method;
    rri_capture arguments;
    unsigned skip;                      /* values before the arguments: the name */
    const char *site;
    rri_future *result;                 /* a count of its own: the creation of the result */
    int64_t deadline;
} held_call;

static void renounce(rri_reference *r, const rri_target *target, const held_call *h, int rc)
{
    rri_proxy_blame(rri_references_of(r), target, h->site, rc);
    rri_call_renounce(rri_references_of(r)->calls, r->owner, h->result->number, rri_error_last());
    if (rri_future_claim(h->result)) rri_future_error_last(h->result);
}

static void end_held(rri_held *held, const rri_class *klass)
{
    held_call *h = (held_call *)(void *)held;
    rri_reference *r = rri_reference_of(h->target);
    rri_target target = { 0 };
    int rc = klass ? RREF_OK : rri_error_last()->code;
    if (klass) rri_reference_know(r, klass);
    if (!rc) rc = rri_proxy_aim(r, h->method, &target);
    target.out = &no_results;
    if (!rc)
        rc = rri_call_send(rri_references_of(r)->calls, &target, h->arguments.values + h->skip, h->arguments.count - h->skip,
                           RRI_REMOTE, h->site, h->result, h->deadline);
    if (rc) renounce(r, &target, h, rc);
    rri_capture_free(&h->arguments);
    rri_future_drop(h->result);
    rri_reference_drop(h->target);
    free(h);
}

static rref announce(rri_reference *r, held_call *h, const char *site)
{
    rri_references *all = rri_references_of(r);
    rri_reference *result = rri_reference_begin(all, r->owner, all->objects->results, site, &h->result);
    int rc = result ? rri_call_announce(all->calls, r->owner, &h->result->number) : RREF_ERR_NO_MEMORY;
    if (!rc) {
        h->target = rri_reference_keep(r);
        rref handle = rri_reference_begun(result, RREF_OK, h->result->number);
        rri_resolve(r, &h->held);
        return handle;
    }
    rref_error why = *rri_error_last();
    if (result) rri_future_drop(h->result);
    rri_capture_free(&h->arguments);
    free(h);
    *rri_error_last() = why;
    return result ? rri_reference_begun(result, rc, 0) : rri_reference_failed(all);
}

static rref hold(rri_reference *r, uint64_t method, const rref_value *values, size_t count, unsigned skip, const char *site,
                 int64_t deadline)
{
    held_call *h = rri_malloc(sizeof *h);
    int rc = h ? RREF_OK : rri_fail(RREF_ERR_NO_MEMORY, "no memory to keep a call");
    if (h) *h = (held_call){ { NULL, 0, end_held }, { 0 }, method, { NULL, 0, false }, skip, site, NULL, deadline };
    if (!rc) rc = rri_capture_make(values, count, &h->arguments);
    if (!rc) rc = skip ? rri_proxy_method(h->arguments.values, count, &h->method) : RREF_OK;
    if (!rc) return announce(r, h, site);
    if (h) rri_capture_free(&h->arguments);
    free(h);
    rri_proxy_blame(rri_references_of(r), &(rri_target){ 0 }, site, rc);
    return rri_reference_failed(rri_references_of(r));
}

/* Through a result: whose owner the new one's is, is known when that is there. */
static int led(rri_reference **r, int64_t deadline)
{
    rri_reference *to = rri_lead(*r);
    int rc = to ? RREF_OK : rri_held_wait(*r, deadline, rri_lead_hold);
    if (!rc) *r = to ? to : rri_lead_aim(*r);
    return rc;
}

/* values: with the name, if that is to be skipped. */
static rref remote_until(rri_reference *r, uint64_t method, const rref_value *values, size_t count, unsigned skip,
                         const char *site, int64_t deadline)
{
    rri_target target = { 0 };
    int rc = rri_reference_error(r);
    if (!rc && !rri_resolved(r)) return hold(r, method, values, count, skip, site, deadline);
    if (!rc) rc = rri_proxy_aim(r, method, &target);
    if (!rc) return send_off(rri_references_of(r), &target, skip ? values + skip : values, count - skip, site, deadline);
    if (rc == RRI_LEADS && (rc = led(&r, deadline)) == RREF_OK)
        return remote_until(r, method, values, count, skip, site, deadline);
    rri_proxy_blame(rri_references_of(r), &target, site, rc);
    return rri_reference_failed(rri_references_of(r));
}

static rref remote(rri_reference *r, uint64_t method, const rref_value *values, size_t count, unsigned skip, const char *site,
                   double timeout)
{
    int64_t deadline;
    int rc = rri_call_deadline(rri_references_of(r)->calls, timeout, &deadline);
    if (!rc) rc = rri_proxy_values(values, count);
    if (!rc) return remote_until(r, method, values, count, skip, site, deadline);
    rri_proxy_blame(rri_references_of(r), &(rri_target){ 0 }, site, rc);
    return rri_reference_failed(rri_references_of(r));
}

rref_remote_proxy rref_rpc_remote(rref target, double timeout) { return (rref_remote_proxy){ target, timeout }; }

rref rref_invoke_remote_v(rref_remote_proxy proxy, const rref_value *values, size_t count, const char *site)
{
    uint64_t method;
    rri_reference *r = rri_reference_of(proxy.target);
    if (!r) return (rref){ 0 };
    int rc = rri_proxy_method(values, count, &method);
    if (!rc) return remote(r, method, values, count, 1, site, proxy.timeout);
    rri_proxy_blame(rri_references_of(r), &(rri_target){ 0 }, site, rc);
    return rri_reference_failed(rri_references_of(r));
}

rref rref_remote_v(rref target, const rref_value *values, size_t count, const char *site)
{
    return rref_invoke_remote_v(rref_rpc_remote(target, RREF_DEFAULT_TIMEOUT), values, count, site);
}

rref rref_remote_m(rref_method_ref method, const rref_value *values, size_t count, const char *site)
{
    rri_reference *r = rri_reference_of(method.target);
    return r ? remote(r, method.method, values, count, 0, site, RREF_DEFAULT_TIMEOUT) : (rref){ 0 };
}
