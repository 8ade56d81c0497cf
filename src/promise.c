/* SPDX-License-Identifier: BSD-3-Clause */
/* Futures made from futures: promises, links, continuations, all and any. Owns nothing but their reactions. */
#include "future.h"
#include "error.h"
#include "memory.h"
#include "reaction.h"
#include "reference.h"

#include <stdlib.h>
#include <string.h>

static rri_future *make(rri_futures *all, const char *signature)
{
    rri_signature types;
    if (strstr(signature, "->")) {
        rri_fail(RREF_ERR_SIGNATURE, "a future has values only: \"%s\"", signature);
        return NULL;
    }
    if (rri_signature_parse(signature, &types)) return NULL;
    rri_future *f = rri_future_new(all, NULL, NULL);
    rri_signature *own = f ? rri_malloc(sizeof *own) : NULL;
    if (!own) {
        if (f) rri_future_drop(f);
        rri_signature_free(&types);
        rri_fail(RREF_ERR_NO_MEMORY, "no memory for a future");
        return NULL;
    }
    *own = types;
    f->own = own;
    f->types = &own->in;
    f->promise = true;
    return f;
}

static rref_future handle_of(const rri_future *f) { return (rref_future){ f ? rri_future_handle(f) : 0 }; }

rref_future rref_promise(rref_context *context, const char *signature)
{
    rri_references *all = rri_context_references(context);
    if (!all) return (rref_future){ 0 };
    return handle_of(make(&all->calls->futures, signature ? signature : ""));
}

/* A promise that the caller may complete now; until it steps out. */
static rri_future *promise_of(rref_future handle, int *rc)
{
    rri_future *f = rri_future_step_in(handle.bits);
    *rc = f ? RREF_OK : rri_error_last()->code;
    if (f && !f->promise) *rc = rri_fail(RREF_ERR_NOT_PROMISE, "the future belongs to a call or another future");
    else if (f && rri_event_done(&f->event)) *rc = rri_fail(RREF_ERR_COMPLETED, "the future is complete already");
    if (f && *rc) rri_future_step_out(f);
    return *rc ? NULL : f;
}

/* own: types that are the future's from then on, or NULL. */
static int give(rri_future *f, const rri_types *types, rri_signature *own, const rref_value *values, size_t count)
{
    size_t bytes;
    int rc = RREF_OK;
    const rri_ref_trade *trade = &f->all->trade;
    void *payload = rri_values_packed(types, values, count, &trade->codec, &bytes);
    if (!payload) return rri_error_last()->code;
    if (rri_future_claim(f)) {
        if (own) f->own = own;
        f->types = types;
        rri_future_value(f, payload, bytes, NULL);
    } else {
        rri_payload_drop(types, payload, &trade->codec);
        rc = rri_fail(RREF_ERR_COMPLETED, "the future is complete already");
    }
    free(payload);
    return rc;
}

/* References on their way into a future are work, so that they are seen before they have arrived. */
static int give_with(rri_future *f, const rri_types *types, rri_signature *own, const rref_value *values, size_t count)
{
    rri_colours *colours = types->refs ? f->all->colours : NULL;
    unsigned colour = colours ? rri_begin(colours) : 0;
    int rc = give(f, types, own, values, count);
    if (colours) rri_idle(colours, colour);
    return rc;
}

int rri_future_give(rri_future *f, const rri_types *types, const rref_value *values, size_t count)
{
    return give_with(f, types, NULL, values, count);
}

static int give_values(rri_future *f, const rref_value *values, size_t count)
{
    return rri_future_give(f, f->types, values, count);
}

static void fail_last(rri_future *f)
{
    if (rri_future_claim(f)) rri_future_error_last(f);
}

/* Values that nobody waits to see accepted: what keeps them from being given is the outcome then. */
static void fail_unless(rri_future *f, int rc)
{
    if (rc && rc != RREF_ERR_COMPLETED) fail_last(f);
}

static void give_or_fail(rri_future *f, const rref_value *values, size_t count)
{
    fail_unless(f, give_values(f, values, count));
}

int rref_set_v(rref_future promise, const rref_value *values, size_t count)
{
    int rc;
    rri_future *f = promise_of(promise, &rc);
    if (!f) return rc;
    rc = count && !values ? rri_fail(RREF_ERR_ARGUMENT, "NULL values") : give_values(f, values, count);
    rri_future_step_out(f);
    return rc;
}

static int fail_with(rri_future *f, int code, const char *format, va_list list)
{
    if (code >= 0) return rri_fail(RREF_ERR_ARGUMENT, "an error code is negative, not %d", code);
    if (!rri_future_claim(f)) return rri_fail(RREF_ERR_COMPLETED, "the future is complete already");
    rri_fail_list(code, format, list);
    rri_future_error_last(f);
    return RREF_OK;
}

int rref_set_error(rref_future promise, int code, const char *format, ...)
{
    int rc;
    va_list list;
    rri_future *f = promise_of(promise, &rc);
    if (!f) return rc;
    va_start(list, format);
    rc = fail_with(f, code, format, list);
    va_end(list);
    rri_future_step_out(f);
    return rc;
}

/* ---- links */

typedef struct follow {
    rri_reaction reaction;
    rri_future *to;
} follow;

/* A value of a payload; a reference is taken into *ref. */
static int read_value(const rri_types *types, unsigned i, const void *payload, const void *landing,
                      const rri_ref_taker *taker, rref_value *value, rref *ref)
{
    const rri_type *t = &types->type[i];
    *value = rri_payload_value(types, i, payload, landing);
    if (t->element != RREF_REF) return RREF_OK;
    if (t->array) return rri_fail(RREF_ERR_SIGNATURE, "arrays of references cannot be passed on");
    int rc = taker->take(taker->up, (const char *)payload + t->slot, NULL, ref);
    if (rc == RREF_OK) *value = rref_of_ref(*ref);
    return rc;
}

static int read_values(const rri_future *from, rref_value values[], rref taken[], unsigned *count)
{
    const rri_types *types = from->types;
    const rri_ref_taker *part = &from->all->trade.part;
    int rc = RREF_OK;
    *count = 0;
    for (unsigned i = 0; i < types->count && rc == RREF_OK; i++) {
        rc = read_value(types, i, from->payload, from->landing, part, &values[i], &taken[*count]);
        if (rc == RREF_OK && types->type[i].element == RREF_REF) ++*count;
    }
    return rc;
}

/* Under the lock, since a part of each reference is taken: others may read the same values. */
int rri_future_values(rri_future *from, rref_value values[], rref taken[], unsigned *count)
{
    rri_take(&from->lock, &rri_future_lock);
    int rc = read_values(from, values, taken, count);
    rri_give(&from->lock, &rri_future_lock);
    return rc;
}

/* Types that go with the future that has them, once more. */
static rri_signature *own_of(const rri_future *f)
{
    rri_signature *own = rri_malloc(sizeof *own);
    if (own && rri_signature_parse(f->own->text, own) == RREF_OK) return own;
    if (!own) rri_fail(RREF_ERR_NO_MEMORY, "no memory for the types of a future");
    free(own);
    return NULL;
}

/* The types come with the values. */
static int give_open(rri_future *from, rri_future *to, const rref_value *values)
{
    rri_signature *own = from->own ? own_of(from) : NULL;
    if (from->own && !own) return rri_error_last()->code;
    int rc = give_with(to, own ? &own->in : from->types, own, values, from->types->count);
    if (rc && own) rri_signature_free(own);
    if (rc) free(own);
    return rc;
}

static void give_from(rri_future *from, rri_future *to, const rref_value *values)
{
    if (to->types == &rri_types_to_come) fail_unless(to, give_open(from, to, values));
    else give_or_fail(to, values, from->types->count);
}

static void pass_value(rri_future *from, rri_future *to)
{
    rref_value values[RRI_TYPES_MAX];
    rref refs[RRI_TYPES_MAX];
    unsigned taken;
    int rc = rri_future_values(from, values, refs, &taken);
    if (rc) fail_last(to);
    else give_from(from, to, values);
    for (unsigned i = 0; i < taken; i++) rri_reference_drop(refs[i]);
}

static void pass_on(rri_future *from, rri_future *to)
{
    atomic_store(&from->read, true);
    if (from->outcome == RREF_OK && from->outputs && from->types->count) {
        rref_error e;
        rri_error_fill(&e, RREF_ERR_STATE, "the values went into the outputs that the call was given");
        if (rri_future_claim(to)) rri_future_error(to, &e);
    } else if (from->outcome == RREF_OK) {
        pass_value(from, to);
    } else if (rri_future_claim(to)) {
        rri_fail_as(from->outcome, from->error);
        rri_future_error_last(to);
    }
}

static void run_follow(rri_reaction *reaction, rri_future *from)
{
    rri_future *to = ((follow *)(void *)reaction)->to;
    pass_on(from, to);
    rri_future_drop(to);
}

static int follow_with(rri_future *from, rri_future *to)
{
    if (from == to) return rri_fail(RREF_ERR_ARGUMENT, "a future cannot wait for itself");
    follow *f = rri_malloc(sizeof *f);
    if (!f) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for a link");
    *f = (follow){ { NULL, run_follow, true }, to };
    rri_future_keep(to);
    rri_future_react(from, &f->reaction);
    return RREF_OK;
}

/* What is not known yet is found out when the values come. */
static bool same_types(const rri_types *a, const rri_types *b)
{
    if (a == &rri_types_to_come) return true;
    bool same = a->count == b->count;
    for (unsigned i = 0; same && i < a->count; i++)
        same = a->type[i].element == b->type[i].element && a->type[i].array == b->type[i].array
               && a->type[i].size == b->type[i].size;
    return same;
}

int rref_link(rref_future from, rref_future promise)
{
    int rc;
    rri_future *f = rri_future_of(from.bits);
    if (!f) return rri_error_last()->code;
    rri_future *to = promise_of(promise, &rc);
    if (!to) return rc;
    rc = f->open || same_types(f->types, to->types) ? follow_with(f, to)
                                                    : rri_fail(RREF_ERR_SIGNATURE, "the two futures have different values");
    rri_future_step_out(to);
    return rc;
}

rref_future rri_future_follower(rri_future *from)
{
    rri_future *f = make(from->all, "");
    if (!f) return (rref_future){ 0 };
    f->promise = false;
    f->quiet = true;
    if (follow_with(from, f) && rri_future_claim(f)) rri_future_error_last(f);
    return handle_of(f);
}

/* ---- continuations */

typedef struct after {
    rri_reaction reaction;
    rref_continuation function;
    rref_chain_function chain;
    void *arg;
    rri_future *child;
} after;

static const rri_types no_types;

static void settle(rri_future *child, rref_call *call, int outcome)
{
    if (call->failed) outcome = call->failed;
    if (outcome == RREF_OK && call->result_count < call->out->count)
        outcome = rri_fail(RREF_ERR_SIGNATURE, "the function gave %u of %u values", call->result_count, call->out->count);
    if (outcome > 0) outcome = rri_fail(RREF_ERR_STATE, "the function returned %d, which is no outcome", outcome);
    if (outcome == RREF_OK) outcome = give_values(child, call->results, call->result_count);
    else if (call->error || rri_error_last()->code != outcome) rri_fail_as(outcome, call->error);
    if (outcome && rri_future_claim(child)) rri_future_error_last(child);
}

static void run_then(rri_reaction *reaction, rri_future *parent)
{
    after *a = (after *)(void *)reaction;
    rri_calls *calls = rri_calls_of(parent);
    rref_call *call = rri_call_new(calls);
    atomic_store(&parent->read, true);
    if (!call) {
        rri_fail(RREF_ERR_NO_MEMORY, "no memory for a continuation");
        fail_last(a->child);
    } else {
        call->in = &no_types;
        call->out = a->child->types;
        call->peer = calls->rank;
        rri_error_last()->code = RREF_OK;       /* what the function says nothing of, but returns, is passed on */
        settle(a->child, call, a->function(call, (rref_future){ rri_future_lend(parent) }, a->arg));
        rri_future_take_back(parent);
        rri_call_end(call);
    }
    rri_future_drop(a->child);
}

rref_future rref_then(rref_future parent, const char *signature, rref_continuation function, void *arg)
{
    rri_future *f = rri_future_of(parent.bits);
    if (!f) return (rref_future){ 0 };
    if (!function) rri_fail(RREF_ERR_ARGUMENT, "rref_then without a function");
    rri_future *child = function ? make(f->all, signature ? signature : "") : NULL;
    after *a = rri_malloc(sizeof *a);
    if (child && !a) rri_fail(RREF_ERR_NO_MEMORY, "no memory for a continuation");
    if (!child || !a) {
        rref_error error = *rri_error_last();
        free(a);
        if (!child) child = make(f->all, "");
        if (child && rri_future_claim(child)) rri_future_error(child, &error);
        return handle_of(child);
    }
    child->promise = false;
    *a = (after){ { NULL, run_then, false }, function, NULL, arg, child };
    rri_future_keep(child);
    rri_future_react(f, &a->reaction);
    return handle_of(child);
}

static void run_chain(rri_reaction *reaction, rri_future *parent)
{
    after *a = (after *)(void *)reaction;
    rref_future next = a->chain((rref_future){ rri_future_lend(parent) }, a->arg);
    rri_future_take_back(parent);
    rri_future *f = rri_future_of(next.bits);
    atomic_store(&parent->read, true);
    if (!f || follow_with(f, a->child)) fail_last(a->child);
    if (f) rref_future_release(next);
    rri_future_drop(a->child);
}

rref_future rref_chain(rref_future parent, rref_chain_function function, void *arg)
{
    rri_future *f = rri_future_of(parent.bits);
    rri_future *child = f ? rri_future_new(f->all, &rri_types_to_come, NULL) : NULL;
    if (!child) return (rref_future){ 0 };
    child->open = true;
    after *a = function ? rri_malloc(sizeof *a) : NULL;
    if (!a) {
        if (function) rri_fail(RREF_ERR_NO_MEMORY, "no memory for a continuation");
        else rri_fail(RREF_ERR_ARGUMENT, "rref_chain without a function");
        fail_last(child);
        return handle_of(child);
    }
    *a = (after){ { NULL, run_chain, false }, NULL, function, arg, child };
    rri_future_keep(child);
    rri_future_react(f, &a->reaction);
    return handle_of(child);
}

/* ---- all and any */

typedef struct party {
    atomic_size_t left, refs;
    rri_future *whole;
    bool any;
} party;

typedef struct member {
    rri_reaction reaction;
    party *party;
    uint64_t index;
} member;

static void leave_party(party *p)
{
    if (atomic_fetch_sub(&p->refs, 1) != 1) return;
    rri_future_drop(p->whole);
    free(p);
}

static void run_member(rri_reaction *reaction, rri_future *f)
{
    member *m = (member *)(void *)reaction;
    party *p = m->party;
    bool last = atomic_fetch_sub(&p->left, 1) == 1;
    atomic_store(&f->read, true);
    if (f->outcome != RREF_OK) pass_on(f, p->whole);
    else if (p->any) give_or_fail(p->whole, &(rref_value){ RREF_VALUE_SCALAR, RREF_U64, 8, 1, m->index, 0 }, 1);
    else if (last) give_or_fail(p->whole, NULL, 0);
    leave_party(p);
}

static rref_future gather(rref_context *context, const rref_future *futures, size_t count, bool any)
{
    rri_references *all = rri_context_references(context);
    rri_future *whole = all ? make(&all->calls->futures, any ? "u64" : "") : NULL;
    if (!whole) return (rref_future){ 0 };
    whole->promise = false;
    if (count == 0 && any) {
        rri_fail(RREF_ERR_ARGUMENT, "any of no futures");
        fail_last(whole);
    } else if (!futures && count) {
        rri_fail(RREF_ERR_ARGUMENT, "NULL futures");
        fail_last(whole);
        count = 0;
    } else if (count == 0) {
        give_or_fail(whole, NULL, 0);
    }
    party *p = count ? rri_malloc(sizeof *p) : NULL;
    if (!p && count) {
        rri_fail(RREF_ERR_NO_MEMORY, "no memory to watch %zu futures", count);
        fail_last(whole);
    }
    if (!p) return handle_of(whole);
    rri_future_keep(whole);
    p->whole = whole;
    p->any = any;
    atomic_init(&p->left, count);
    atomic_init(&p->refs, count + 1);
    for (size_t i = 0; i < count; i++) {
        rri_future *f = rri_future_of(futures[i].bits);
        member *m = f ? rri_malloc(sizeof *m) : NULL;
        if (m) {
            *m = (member){ { NULL, run_member, true }, p, i };
            rri_future_react(f, &m->reaction);
            continue;
        }
        if (f) rri_fail(RREF_ERR_NO_MEMORY, "no memory to watch a future");
        fail_last(whole);
        leave_party(p);     /* NOLINT(clang-analyzer-unix.Malloc): whose count is the last one frees it, not before */
    }
    leave_party(p);         /* NOLINT(clang-analyzer-unix.Malloc) */
    return handle_of(whole);
}

rref_future rref_all(rref_context *context, const rref_future *futures, size_t count)
{
    return gather(context, futures, count, false);
}

rref_future rref_any(rref_context *context, const rref_future *futures, size_t count)
{
    return gather(context, futures, count, true);
}
