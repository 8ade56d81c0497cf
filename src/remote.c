/* SPDX-License-Identifier: BSD-3-Clause */
/* Remote mode: calls whose result stays at the owner of the object called, and the references to these results. */
#include "error.h"
#include "proxy.h"
#include "resolve.h"

static const rri_types no_results;

static rref send_off(rri_references *all, rri_target *target, const rref_value *values, size_t count, const char *site,
                     int64_t deadline)
{
    rri_reference *r = rri_reference_begin(all, target->peer, all->objects->results, site);
    if (!r) return rri_reference_failed(all);
    target->out = &no_results;
    int rc = rri_call_send(all->calls, target, values, count, RRI_REMOTE, site, r->creation, deadline);
    if (rc) rri_proxy_blame(all, target, site, rc);
    return rri_reference_begun(r, rc, r->creation->number);
}

static rref remote(rri_reference *r, uint64_t method, const rref_value *values, size_t count, const char *site, double timeout)
{
    int64_t deadline;
    rri_target target = { 0 };
    int rc = rri_call_deadline(r->all->calls, timeout, &deadline);
    if (!rc) rc = rri_reference_error(r);
    if (!rc) rc = rri_resolve_wait(r, deadline);        /* the result's number must be drawn in the order of the calls */
    if (!rc) rc = rri_proxy_aim(r, method, &target);
    if (!rc) return send_off(r->all, &target, values, count, site, deadline);
    rri_proxy_blame(r->all, &target, site, rc);
    return rri_reference_failed(r->all);
}

rref_remote_proxy rref_rpc_remote(rref target, double timeout) { return (rref_remote_proxy){ target, timeout }; }

rref rref_invoke_remote_v(rref_remote_proxy proxy, const rref_value *values, size_t count, const char *site)
{
    uint64_t method;
    rri_reference *r = rri_reference_of(proxy.target);
    if (!r) return (rref){ 0 };
    int rc = rri_proxy_method(values, count, &method);
    if (!rc) return remote(r, method, values + 1, count - 1, site, proxy.timeout);
    rri_proxy_blame(r->all, &(rri_target){ 0 }, site, rc);
    return rri_reference_failed(r->all);
}

rref rref_remote_v(rref target, const rref_value *values, size_t count, const char *site)
{
    return rref_invoke_remote_v(rref_rpc_remote(target, RREF_DEFAULT_TIMEOUT), values, count, site);
}

rref rref_remote_m(rref_method_ref method, const rref_value *values, size_t count, const char *site)
{
    rri_reference *r = rri_reference_of(method.target);
    return r ? remote(r, method.method, values, count, site, RREF_DEFAULT_TIMEOUT) : (rref){ 0 };
}
