/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every object can be asked for: whether it exists (rref_creation), and what it is worth elsewhere (rref_to_here): of a
 * result its values; of an object of a class with hooks what pack gives, from which unpack makes an object here. A result that
 * is a reference to another result is followed, hop by hop, from here.
 */
#include "fetch.h"
#include "error.h"
#include "exec.h"
#include "memory.h"
#include "proxy.h"
#include "reaction.h"
#include "result.h"

#include <stdlib.h>
#include <string.h>

enum { HOPS_MAX = 1000 };               /* results that lead to each other in a circle end here */

static const rref_value no_values[1];
static const rri_types no_types;
static const rri_types one_reference = { .count = 1, .slots = RRI_REF_WIRE, .refs = true,
                                         .type = { { .element = RREF_REF, .align = 8, .size = sizeof(rref),
                                                     .wire = RRI_REF_WIRE } } };

static const char *name_of(uint16_t method) { return method == RRI_METHOD_FETCH ? "to_here" : "creation"; }

static bool is_result(const rri_class *k) { return k && k->source == &rri_result_class; }

/* ---- the owner's side */

static int exists(rref_call *c, void *self)
{
    rri_object *o = c->object;
    (void)self;
    if (!o->shared) c->created = rri_table_handle(&o->all->table, o);
    return RREF_OK;
}

/* Found out in turn, so that a failed construction is what is told of first. */
static int cannot_pack(rref_call *c, void *self)
{
    (void)self;
    return rref_fail(c, RREF_ERR_NO_METHOD, "class %s has no pack and unpack hooks, so its objects cannot be copied",
                     c->class_name);
}

static void aim_pack(rref_call *c, const rri_class *k)
{
    c->handler = k->source->hooks->pack;
    c->out = &k->packed.in;
    c->described = k->packed.text;
}

int rri_fetch_aim(rref_call *c, const rri_object *o, uint16_t method)
{
    c->in = c->out = &no_types;
    c->flags = 0;
    c->method_name = name_of(method);
    if (method == RRI_METHOD_EXISTS || (c->peer == c->calls->rank && !is_result(o->klass))) {
        c->handler = exists;
        c->flags = RREF_CONCURRENT;
    } else if (is_result(o->klass)) {
        c->handler = rri_result_give;
    } else if (o->klass->packed.text) {
        aim_pack(c, o->klass);
    } else {
        c->handler = cannot_pack;
    }
    return RREF_OK;
}

/* ---- asking */

static int ask(rri_reference *r, uint16_t method, const char *site, int64_t deadline, rri_future **answer)
{
    rri_calls *calls = rri_references_of(r)->calls;
    rri_target target = { .peer = r->owner, .address = rri_reference_address(r), .method = method, .in = &no_types,
                          .out = &no_types, .class_name = r->klass ? r->klass->name : "?", .method_name = name_of(method) };
    int rc = rri_reference_error(r);
    rri_future *f = rc ? NULL : rri_future_new(&calls->futures, &no_types, site);
    if (!rc && !f) rc = RREF_ERR_NO_MEMORY;
    if (f) {
        f->quiet = true;
        f->open = method == RRI_METHOD_FETCH;
        f->tag = rri_table_handle(&rri_references_of(r)->table, r);
        rc = rri_call_send(calls, &target, no_values, 0, RRI_ASYNC, site, f, deadline);
    }
    if (rc) rri_proxy_blame(rri_references_of(r), &target, site, rc);
    if (rc && f) rri_future_drop(f);
    *answer = f;
    return rc;
}

/* Created here, and confirmed. */
static bool was_confirmed(const rri_reference *r)
{
    return r->owner >= 0 && rri_reference_creator(r) == rri_references_of(r)->calls->rank && rri_reference_number(r)
           && rri_handle_kind_of(rri_reference_address(r)) == RRI_KIND_OBJECT;
}

/* A rank that did not create the object asks its owner. */
rref_future rref_creation(rref reference)
{
    rri_future *f = NULL;
    rri_reference *r = rri_reference_of(reference);
    rri_future *creation = r ? rri_reference_creation(r) : NULL;
    if (!r) return (rref_future){ 0 };
    if (creation) {
        rref_future follower = rri_future_follower(creation);
        rri_future_drop(creation);
        return follower;
    }
    bool done = was_confirmed(r);
    if (!done && ask(r, RRI_METHOD_EXISTS, NULL, RRI_NEVER, &f) == RREF_OK) return (rref_future){ rri_future_handle(f) };
    rref_error error = *rri_error_last();
    f = rri_future_new(&rri_references_of(r)->calls->futures, &no_types, NULL);
    if (!f) return (rref_future){ 0 };
    rri_future_claim(f);                /* nobody else can */
    if (done) rri_future_value(f, NULL, 0, NULL);
    else rri_future_error(f, &error);
    return (rref_future){ rri_future_handle(f) };
}

/* ---- to_here */

typedef struct fetch {
    rri_reaction reaction;
    rri_references *all;
    const rri_class *klass;             /* of what is fetched */
    rref copy;                          /* a handle of its own: to what this rank owns, or makes; or none */
    rri_future *whole;                  /* the caller's, kept */
    const char *site;
    int64_t deadline;
    unsigned hops;
} fetch;

static void fail_last(rri_future *whole)
{
    if (rri_future_claim(whole)) rri_future_error_last(whole);
}

static void let_go(fetch *x)
{
    if (x->copy.bits) rri_reference_drop(x->copy);
    rri_future_drop(x->whole);
}

static void give_reference(rri_future *whole, rref reference)
{
    rref_value value = rref_of_ref(reference);
    int rc = rri_future_give(whole, &one_reference, &value, 1);
    if (rc && rc != RREF_ERR_COMPLETED) fail_last(whole);
}

/* ---- a copy: unpack runs as the first call of a new object here */

static int run_unpack(rref_call *c)
{
    rri_object *o = c->object;
    int rc = o->klass->source->hooks->unpack(c, &o->self);
    return rc > 0 ? rri_fail(RREF_ERR_STATE, "unpack returned %d, which is no outcome", rc) : rc;
}

static void unpacked(rref_call *c, int outcome)
{
    rri_object *o = c->object;
    fetch *x = c->result;
    if (outcome) {
        o->self = NULL;
        rri_fail_as(outcome, c->error);
        rri_call_where(c, rri_error_last());
        fail_last(x->whole);
    } else {
        give_reference(x->whole, x->copy);
    }
    let_go(x);
    free(x);
}

static void drop_future(void *future) { rri_future_drop(future); }

/* The call's arguments are the answer's values, which it keeps until it is over. */
static rref_call *unpack_call(const rri_references *all, const rri_class *k, rri_future *values)
{
    rref_call *c = rri_call_new(all->calls);
    if (!c) return NULL;
    rri_future_keep(values);
    c->owned[0] = values;
    c->owned_free[0] = drop_future;
    c->owned_count = 1;
    c->peer = all->calls->rank;
    c->local = c->holds_object = true;
    c->in = &k->packed.in;
    c->out = &no_types;
    c->payload = values->payload;
    c->landing = values->landing;
    values->landing = NULL;
    c->class_name = k->name;
    c->method_name = "unpack";
    c->run = run_unpack;
    c->ended = unpacked;
    return c;
}

static int start_unpack(const fetch *x, rri_future *values)
{
    const rri_class *k = x->klass;
    if (!values->own || strcmp(values->own->text, k->packed.text))
        return rri_fail(RREF_ERR_PROTOCOL, "class %s is packed otherwise there", k->name);
    rref copy = rri_reference_wrap(x->all, k, NULL);
    rri_reference *r = rri_reference_of(copy);
    int rc = r ? rri_reference_error(r) : RREF_ERR_NO_MEMORY;
    fetch *next = rc ? NULL : rri_malloc(sizeof *next);
    rref_call *c = next ? unpack_call(x->all, k, values) : NULL;
    if (c) {
        *next = *x;
        next->copy = copy;
        c->result = next;
        c->object = rri_object_of(x->all->objects, rri_reference_address(r));
        c->actor = &((rri_object *)c->object)->actor;
        c->deadline = x->deadline;
        rri_future_keep(x->whole);
        rri_call_enter(c);
        return RREF_OK;
    }
    if (!rc) rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory for a copy");
    free(next);
    if (r) rri_reference_drop(copy);
    return rc;
}

/* ---- what comes back */

static int start(const fetch *x, rri_reference *from);

/* The next reference of a chain of results, or none. */
static bool leads_on(const rri_references *all, const rri_future *f)
{
    return f->types->count == 1 && f->types->type[0].element == RREF_REF && !f->types->type[0].array
           && is_result(rri_reference_class_of_wire(all, f->payload));
}

static int follow(const fetch *x, rri_future *f)
{
    rref next;
    const rri_ref_taker *all = &x->all->calls->futures.trade.all;
    if (x->hops == HOPS_MAX) return rri_fail(RREF_ERR_TOO_DEEP, "results that refer to each other, %d in a row", HOPS_MAX);
    int rc = all->take(all->up, f->payload, NULL, &next);
    if (rc) return rc;
    rc = start(x, rri_reference_of(next));
    rri_reference_drop(next);           /* does not overtake the question */
    return rc;
}

static int react(const fetch *x, rri_future *f)
{
    if (f->outcome) return rri_fail_as(f->outcome, f->error);
    if (rri_event_done(&x->whole->event)) return RREF_OK;          /* given up meanwhile */
    if (is_result(x->klass)) {
        if (leads_on(x->all, f)) return follow(x, f);
        if (rri_future_claim(x->whole)) rri_future_become(x->whole, f);
    } else if (x->copy.bits) {
        give_reference(x->whole, x->copy);
    } else {
        return start_unpack(x, f);
    }
    return RREF_OK;
}

static void arrived(rri_reaction *reaction, rri_future *f)
{
    fetch *x = (fetch *)(void *)reaction;
    if (react(x, f)) fail_last(x->whole);
    let_go(x);
}

static int class_of(const rri_reference *r, const rri_class **klass)
{
    int rc = rri_reference_error(r);
    const rri_class *k = r->klass;
    if (k && k->packed.text && !k->source) k = rri_class_of_id(rri_references_of(r)->classes, k->id);   /* read from afar */
    *klass = k;
    if (rc || (k && (k->source || !k->packed.text))) return rc;
    return rri_fail(RREF_ERR_NO_CLASS, "the class of the object on rank %d is not registered on this rank", r->owner);
}

/* Ask for what a reference stands for. */
static int start(const fetch *x, rri_reference *from)
{
    rri_future *answer;
    fetch *next = rri_malloc(sizeof *next);
    if (!next) return rri_fail(RREF_ERR_NO_MEMORY, "no memory to fetch an object");
    *next = *x;
    next->reaction = (rri_reaction){ NULL, arrived, true };
    next->hops++;
    next->copy.bits = 0;
    int rc = class_of(from, &next->klass);
    if (!rc && !is_result(from->klass) && from->owner == x->all->calls->rank) rc = rri_reference_split(from, &next->copy);
    if (!rc) rc = ask(from, RRI_METHOD_FETCH, x->site, x->deadline, &answer);
    if (rc) {
        if (next->copy.bits) rri_reference_drop(next->copy);
        free(next);
        return rc;
    }
    rri_future_keep(next->whole);
    rri_future_react(answer, &next->reaction);
    rri_future_drop(answer);
    return RREF_OK;
}

rri_future *rri_fetch(rri_reference *r)
{
    rri_future *whole = rri_future_new(&rri_references_of(r)->calls->futures, &no_types, NULL);
    if (!whole) return NULL;
    whole->open = true;
    fetch x = { .all = rri_references_of(r), .whole = whole, .deadline = RRI_NEVER };
    if (start(&x, r)) fail_last(whole);
    return whole;
}

static void overdue(rri_timer *timer) { rri_future_overdue(timer, "the copy was not unpacked in time"); }

/* A moment behind the question's own limit, which says more. */
static int limit_whole(rri_future *whole, int64_t deadline)
{
    return rri_future_deadline(whole, rri_after(deadline, 1), overdue);
}

static rri_future *to_here(rref reference, double timeout, const char *site)
{
    rri_reference *r = rri_reference_of(reference);
    rri_future *whole = r ? rri_future_new(&rri_references_of(r)->calls->futures, &no_types, site) : NULL;
    if (!whole) return NULL;
    whole->open = true;
    fetch x = { .all = rri_references_of(r), .whole = whole, .site = site };
    int rc = rri_call_deadline(rri_references_of(r)->calls, timeout, &x.deadline);
    if (!rc) rc = limit_whole(whole, x.deadline);
    if (!rc) rc = start(&x, r);
    if (rc) fail_last(whole);
    return whole;
}

rref_future rref_to_here_async_p(rref_async_proxy from, const char *site)
{
    rri_future *f = to_here(from.target, from.timeout, site);
    return (rref_future){ f ? rri_future_handle(f) : 0 };
}

rref_future rref_to_here_async_v(rref from, const char *site)
{
    return rref_to_here_async_p(rref_rpc_async(from, RREF_DEFAULT_TIMEOUT), site);
}

/* The outputs take all of the references' weight: the future goes. */
static int write_outputs(rri_future *f, const rref_value *outputs, size_t count)
{
    int rc = rri_outputs_check(f->types, outputs, count);
    return rc ? rc : rri_outputs_write(f->types, f->payload, f->landing, outputs, count, &f->all->trade.all);
}

int rref_to_here_p(rref_sync_proxy from, const rref_value *outputs, size_t count, const char *site)
{
    rri_future *f = to_here(from.target, from.timeout, site);
    if (!f) return rri_error_last()->code;
    f->quiet = true;
    int rc = rri_progress_wait(f->all->progress, &f->event, RRI_NEVER);
    if (rc == RREF_OK) rc = f->outcome ? rri_fail_as(f->outcome, f->error) : write_outputs(f, outputs, count);
    else if (rri_future_claim(f)) rri_future_error_last(f);
    rref_error error = *rri_error_last();
    rri_future_drop(f);
    if (rc) *rri_error_last() = error;
    return rri_exec_failed(rc);
}

int rref_to_here_v(rref from, const rref_value *outputs, size_t count, const char *site)
{
    return rref_to_here_p(rref_rpc_sync(from, RREF_DEFAULT_TIMEOUT), outputs, count, site);
}
