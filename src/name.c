/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the names whose home is this rank. Invariant: nobody waits for a name that is published; who takes a waiter off the
 * list frees it. */
#include "name.h"
#include "error.h"
#include "memory.h"
#include "service.h"

#include <stdlib.h>
#include <string.h>

typedef struct rri_published {
    struct rri_published *next;
    rref reference;
    char name[];
} published;

typedef struct rri_waiter {
    struct rri_waiter *next;
    rri_colours *colours;
    unsigned colour;
    rref_deferred answer;
    char name[];
} waiter;

static uint64_t hash(const char *name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *name; name++) h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

/* ---- at home */

/* Where a name is, or would be; the lock is held. */
static published **place_of(rri_names *names, const char *name)
{
    published **at = &names->bucket[(hash(name) >> 8) % RRI_NAME_BUCKETS];
    while (*at && strcmp((*at)->name, name)) at = &(*at)->next;
    return at;
}

/* The reference published, with a count for the caller; 0 if there is none. One that cannot be kept any more, a member of a group
 * that was freed, is not published any more. The lock is held. */
static rref published_as(rri_names *names, const char *name)
{
    published **at = place_of(names, name), *p = *at;
    if (p && rref_retain(p->reference) == RREF_OK) return p->reference;
    if (p) *at = p->next;
    free(p);
    return (rref){ 0 };
}

/* Take off the list who waits for a name (NULL: any), or for an answer; the lock is held. */
static waiter *take_waiter(rri_names *names, const char *name, uint64_t answer)
{
    waiter **at = &names->waiting;
    while (*at && !(answer ? (*at)->answer.bits == answer : !name || !strcmp((*at)->name, name))) at = &(*at)->next;
    waiter *w = *at;
    if (!w) return NULL;
    *at = w->next;
    if (!*at) names->last = at;
    rri_busy(w->colours, w->colour);
    return w;
}

static waiter *next_waiter(rri_names *names, const char *name)
{
    rri_lock_take(&names->lock);
    waiter *w = take_waiter(names, name, 0);
    rri_lock_give(&names->lock);
    return w;
}

/* Who waits hears at least that there is no memory. */
static void answer(rref_deferred to, rref r)
{
    int rc = rref_complete(to, r);
    if (rc && rc != RREF_ERR_COMPLETED) rref_complete_error(to, rc, "no memory to give a reference");
}

int rri_name_publish(rref_call *c, void *self)
{
    rri_names *names = &((rri_service *)self)->names;
    const char *name = rref_arg_str(c, 0);
    rref r = rref_arg_ref(c, 1);
    published *p = r.bits ? rri_malloc(sizeof *p + strlen(name) + 1) : NULL;
    if (!p) return rref_fail(c, RREF_ERR_NO_MEMORY, "no memory for the name %s", name);
    p->next = NULL;
    p->reference = r;
    strcpy(p->name, name);
    rref_retain(r);
    rri_lock_take(&names->lock);
    rref other = published_as(names, name);
    if (!other.bits) *place_of(names, name) = p;
    rri_lock_give(&names->lock);
    if (other.bits) {
        char object[128] = "an object";
        rref_format(other, object, sizeof object);
        rref_release(other);
        rref_release(r);
        free(p);
        return rref_fail(c, RREF_ERR_NAME_TAKEN, "the name %s is taken by %s", name, object);
    }
    for (waiter *w; (w = next_waiter(names, name)); free(w)) answer(w->answer, r);
    return RREF_OK;
}

/* A lookup's time is over. */
static void forget(rref_future answer, void *arg)
{
    rri_names *names = arg;
    rri_lock_take(&names->lock);
    waiter *w = take_waiter(names, NULL, answer.bits);
    rri_lock_give(&names->lock);
    if (w) rref_future_release(answer);
    free(w);
}

/* Waiting is no work: it does not keep a fence or the end waiting. */
static rref append(rri_names *names, waiter *w)
{
    rri_lock_take(&names->lock);
    rref r = published_as(names, w->name);
    if (!r.bits) {
        if (!names->waiting) names->last = &names->waiting;
        *names->last = w;
        names->last = &w->next;
        rri_idle(w->colours, w->colour);
    }
    rri_lock_give(&names->lock);
    return r;
}

/* Without memory to hear of its end the wait is none; unless it has ended already. */
static int watch(rref_call *c, rri_names *names, rref_deferred promised)
{
    if (rref_on_complete((rref_future){ promised.bits }, forget, names, RREF_INLINE) == RREF_OK) return RREF_PENDING;
    rri_lock_take(&names->lock);
    waiter *w = take_waiter(names, NULL, promised.bits);
    rri_lock_give(&names->lock);
    if (!w) return RREF_PENDING;
    free(w);
    return rref_fail(c, RREF_ERR_NO_MEMORY, "no memory to wait for a name");
}

static int wait_for(rref_call *c, rri_service *service, const char *name)
{
    waiter *w = rri_malloc(sizeof *w + strlen(name) + 1);
    if (!w) return rref_fail(c, RREF_ERR_NO_MEMORY, "no memory to wait for the name %s", name);
    w->next = NULL;
    w->colours = service->references->calls->futures.colours;
    w->colour = c->colour;
    strcpy(w->name, name);
    rref_deferred promised = w->answer = rref_defer(c);
    if (!promised.bits) {
        free(w);
        return RREF_ERR_NO_MEMORY;
    }
    rref r = append(&service->names, w);
    if (!r.bits) return watch(c, &service->names, promised);
    free(w);                                /* published meanwhile */
    answer(promised, r);
    rref_release(r);
    return RREF_PENDING;
}

int rri_name_lookup(rref_call *c, void *self)
{
    rri_service *service = self;
    const char *name = rref_arg_str(c, 0);
    rri_lock_take(&service->names.lock);
    rref r = published_as(&service->names, name);
    rri_lock_give(&service->names.lock);
    if (!r.bits && rref_arg_bool(c, 1)) return wait_for(c, service, name);
    if (!r.bits) return rref_fail(c, RREF_ERR_NO_NAME, "no object is published as %s", name);
    int rc = rref_return_ref(c, r);
    rref_release(r);
    return rc;
}

int rri_name_withdraw(rref_call *c, void *self)
{
    rri_names *names = &((rri_service *)self)->names;
    const char *name = rref_arg_str(c, 0);
    rri_lock_take(&names->lock);
    published **at = place_of(names, name), *p = *at;
    if (p) *at = p->next;
    rri_lock_give(&names->lock);
    bool was = p && rref_release(p->reference) == RREF_OK;
    free(p);
    return was ? RREF_OK : rref_fail(c, RREF_ERR_NO_NAME, "no object is published as %s", name);
}

void rri_names_end(rri_names *names)
{
    for (waiter *w; (w = next_waiter(names, NULL)); free(w))
        rref_complete_error(w->answer, RREF_ERR_FINALIZED, "the context ended before %s was published", w->name);
    for (unsigned i = 0; i < RRI_NAME_BUCKETS; i++)
        for (published *p; (p = names->bucket[i]); free(p)) {
            names->bucket[i] = p->next;
            rref_release(p->reference);
        }
}

static bool is_lost(const published *p, const rri_flow *flow)
{
    int owner = rref_owner(p->reference);
    return owner >= 0 && rri_lane_is_shut(flow, owner);
}

static published *take_lost(rri_names *names, const rri_flow *flow)
{
    published *p = NULL;
    rri_lock_take(&names->lock);
    for (unsigned i = 0; i < RRI_NAME_BUCKETS && !p; i++) {
        published **at = &names->bucket[i];
        while (*at && !is_lost(*at, flow)) at = &(*at)->next;
        p = *at;
        if (p) *at = p->next;
    }
    rri_lock_give(&names->lock);
    return p;
}

void rri_names_lose(rri_names *names, const rri_flow *flow)
{
    for (published *p; (p = take_lost(names, flow)); free(p)) rref_release(p->reference);
}

/* ---- the API */

static int home_of(rri_references *all, const char *name, rref *home)
{
    if (!name || !name[0] || strlen(name) > RRI_NAME_MAX)
        return rri_fail(RREF_ERR_ARGUMENT, "a name has 1 to %d bytes", RRI_NAME_MAX);
    *home = rri_service_of(all, (int)(hash(name) % (uint64_t)rri_link_size(all->calls->link)));
    return home->bits ? RREF_OK : RREF_ERR_NO_MEMORY;
}

int rref_publish(rref reference, const char *name)
{
    rref home;
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    int rc = home_of(rri_references_of(r), name, &home);
    return rc ? rc : rref_sync_v(home, RREF_LIST_("publish", name, reference), NULL);
}

int rref_withdraw(rref_context *context, const char *name)
{
    rref home;
    rri_references *all = rri_context_references(context);
    int rc = all ? home_of(all, name, &home) : rri_error_last()->code;
    return rc ? rc : rref_sync_v(home, RREF_LIST_("withdraw", name), NULL);
}

/* Not to wait is a question of the home's; the way there takes the time a call takes. */
static bool may_wait(double timeout) { return !(timeout >= 0 && timeout <= 0); }
static double time_of(double timeout) { return may_wait(timeout) ? timeout : RREF_DEFAULT_TIMEOUT; }

int rref_lookup(rref_context *context, const char *name, double timeout, rref *reference)
{
    rref home;
    rri_references *all = rri_context_references(context);
    if (!all) return rri_error_last()->code;
    if (!reference) return rri_fail(RREF_ERR_ARGUMENT, "NULL reference");
    int rc = home_of(all, name, &home);
    if (rc) return rc;
    rref_sync_proxy to = rref_rpc_sync(home, time_of(timeout));
    rc = rref_invoke_sync_v(to, RREF_LIST_("lookup", name, may_wait(timeout), rref_out(reference)), NULL);
    return rc == RREF_ERR_TIMEOUT ? rri_fail(rc, "no object was published as %s in time", name) : rc;
}

rref_future rref_lookup_async(rref_context *context, const char *name, double timeout)
{
    rref home;
    rri_references *all = rri_context_references(context);
    if (!all || home_of(all, name, &home)) return (rref_future){ 0 };
    return rref_invoke_async_v(rref_rpc_async(home, time_of(timeout)), RREF_LIST_("lookup", name, may_wait(timeout)), NULL);
}
