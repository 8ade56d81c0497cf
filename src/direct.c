/* SPDX-License-Identifier: BSD-3-Clause */
/* Sync calls to a free object of the own rank: no message, in the caller's thread. */
#include "call.h"
#include "error.h"
#include "exec.h"
#include "memory.h"

#include <stdlib.h>

enum { NESTED_MOST = 8 };           /* on one stack; further ones are messages, so that RREF_MAX_BLOCKED bounds them */

/* The call's own results, packed as for a reply and read back into the outputs. */
static int direct_results(rref_call *c, const rref_value *outputs, size_t count)
{
    size_t bytes;
    const rri_ref_trade *trade = &c->calls->futures.trade;
    if (c->result_count < c->out->count)
        return rri_fail(RREF_ERR_SIGNATURE, "the handler returned %u of %u results", c->result_count, c->out->count);
    void *payload = rri_values_packed(c->out, c->results, c->result_count, &trade->codec, &bytes);
    if (!payload) return rri_error_last()->code;
    int rc = count ? rri_outputs_write(c->out, payload, NULL, outputs, count, &trade->all) : RREF_OK;
    rri_payload_drop(c->out, payload, &trade->codec);
    free(payload);
    return rc;
}

/* Made by a method, which waits for it. */
static int run_nested(rref_call *c)
{
    rri_ancestor ancestors[RRI_ANCESTORS];
    rri_exec_name(c);
    c->ancestors = ancestors;
    c->ancestor_count = rri_exec_ancestors(ancestors);
    rri_exec_waits_for(c->id);
    int outcome = rri_exec_run(c);
    rri_exec_waits_for(0);
    c->ancestor_count = 0;
    return outcome;
}

/* Inline methods, and what inline code calls. */
static bool may_not_wait(const rref_call *c) { return c->flags & RREF_INLINE || rri_progress_is_inline(); }

static int run_direct(rref_call *c, const rref_value *outputs, size_t count)
{
    bool was = rri_progress_inline(may_not_wait(c));
    int outcome = rri_exec_nested() ? run_nested(c) : rri_exec_run(c);
    rri_progress_inline(was);
    if (c->failed) outcome = c->failed;
    if (c->deferred) {
        rri_exec_answer(c, outcome);
        return RREF_PENDING;
    }
    if (outcome > 0) return rri_fail(RREF_ERR_STATE, "the handler returned %d, which is no outcome", outcome);
    if (outcome == RREF_OK) return direct_results(c, outputs, count);
    rri_fail_as(outcome, c->error);
    return outcome;
}

/* The answer of a direct call that was deferred: the caller waits as for any other rank, its object free meanwhile. */
static int await_deferred(rref_call *c, const rref_value *outputs, size_t count)
{
    rri_calls *calls = c->calls;
    rri_future *f = c->deferred;
    const rri_ref_taker *all = &calls->futures.trade.part;
    int rc = rri_call_wait(calls, f, c->deadline);
    if (rc) return rc;
    atomic_store(&f->read, true);
    if (f->outcome) return rri_fail_as(f->outcome, f->error);
    return count ? rri_outputs_write(c->out, f->payload, f->landing, outputs, count, all) : RREF_OK;
}

/* Pack the arguments where the handler reads them. */
static int direct_arguments(rref_call *c, const rref_value *values, size_t inputs)
{
    size_t bytes;
    c->payload = c->landing = rri_values_packed(c->in, values, inputs, &c->calls->futures.trade.codec, &bytes);
    return c->payload ? RREF_OK : rri_error_last()->code;
}

bool rri_call_direct(rri_calls *calls, const rri_target *target, const rref_value *values, size_t count, int64_t deadline,
                     int *outcome)
{
    size_t inputs;
    rri_packing p;
    rri_record record = { .kind = RRI_CALL, .method = target->method, .object = target->address };
    if (target->peer != calls->rank || rri_flow_self_pending(calls->flow)) return false;
    if (rri_progress_depth(0) >= NESTED_MOST) return false;
    rref_call *c = rri_call_new(calls);
    if (!c) return false;
    bool exclusive = false, mine = calls->up.look(calls->up.up, &record, c) == RREF_OK && !(c->flags & RREF_WORKER);
    if (deadline != RRI_NEVER) mine = mine && may_not_wait(c);     /* who runs another cannot leave it when its time is over */
    if (mine && c->flags & RREF_CONCURRENT) mine = rri_exec_passes(c->actor, rri_exec_nested());
    else if (mine) mine = exclusive = rri_exec_occupy(c->actor);
    if (mine) {
        rri_actor *actor = c->actor;
        c->peer = calls->rank;
        c->direct = true;
        c->deadline = deadline;
        atomic_fetch_add_explicit(&calls->direct, 1, memory_order_relaxed);
        *outcome = rri_call_check(calls, target, values, count, RRI_SYNC, &inputs, &p);
        if (*outcome == RREF_OK) *outcome = direct_arguments(c, values, inputs);
        if (*outcome == RREF_OK) *outcome = run_direct(c, values + inputs, count - inputs);
        if (exclusive) rri_exec_leave(actor);
        if (c->deferred) *outcome = await_deferred(c, values + inputs, count - inputs);
    }
    if (c->ended) c->ended(c, mine ? *outcome : RRI_PASS);
    rri_exec_free(c);
    return mine;
}
