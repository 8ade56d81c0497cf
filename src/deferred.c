/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers that come after their handler has returned. A deferred answer is a promise of the method's results; what it
 * completes with, by whatever thread, is packed into the answers' lane like the results of any other call.
 *
 *    handler ---rref_defer---> promise ---completed, or its deadline has passed---> answer
 *       `-- fails: the promise fails with it, unless it was completed already
 *
 * The request itself goes with its handler, so that answers owed hold neither messages nor credits of the caller.
 */
#include "error.h"
#include "exec.h"
#include "future.h"
#include "memory.h"
#include "reaction.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct answer {
    rri_reaction reaction;
    rref_call *call;                /* the answering half: who asked, and for what */
} answer;

static void drop_future(void *future) { rri_future_drop(future); }

/* The results lie in the promise, which stays until their data has left. */
static int results(rref_call *c, rri_future *f, rref *refs, unsigned *taken)
{
    int rc = rri_future_values(f, c->results, refs, taken);
    c->result_count = rc ? 0 : f->types->count;
    rri_future_keep(f);
    c->owned[0] = f;
    c->owned_free[0] = drop_future;
    c->owned_count = 1;
    return rc;
}

static void run_answer(rri_reaction *reaction, rri_future *f)
{
    rref_call *c = ((answer *)(void *)reaction)->call;
    rref refs[RRI_TYPES_MAX];
    unsigned taken = 0;
    int outcome = f->outcome;
    atomic_store(&f->read, true);
    if (outcome == RREF_OK) {
        outcome = results(c, f, refs, &taken);
    } else if (f->error) {
        c->error = rri_malloc(sizeof *c->error);
        if (c->error) *c->error = *f->error;
    }
    rri_exec_answer(c, outcome);
    for (unsigned i = 0; i < taken; i++) c->calls->up.drop_ref(refs[i]);
    rri_exec_left(c);
}

/* A call that holds what an answer needs of the one that runs now. */
static rref_call *answering_half(rref_call *call)
{
    static const rri_types nothing;
    rref_call *c = rri_call_new(call->calls);
    if (!c) return NULL;
    c->peer = call->peer;
    c->id = call->id;
    c->oneway = call->oneway;
    c->in = &nothing;
    c->out = call->out;
    c->class_name = call->class_name;
    c->method_name = call->method_name;
    c->described = call->described;
    c->result = call->result;
    c->keep = call->keep;
    return c;
}

/* A call made in the caller's own thread has nobody to send to: the caller waits for the promise itself. */
static int promise_answer(rref_call *call, rri_future *f)
{
    if (call->direct) return RREF_OK;
    answer *a = rri_malloc(sizeof *a);
    rref_call *half = a ? answering_half(call) : NULL;
    if (!half) {
        free(a);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory for a deferred answer");
    }
    *a = (answer){ { NULL, run_answer, true }, half };
    rri_future_react(f, &a->reaction);
    rri_future_deadline(f, call->deadline, rri_call_due);        /* without memory for a timer it is owed until it comes */
    return RREF_OK;
}

static int refuse(rref_call *call, int code, const char *why) { return rref_fail(call, code, "%s", why); }

rref_deferred rref_defer(rref_call *call)
{
    rref_deferred none = { 0 };
    if (!call || call->local || call->creation || !call->actor)
        return rri_fail(RREF_ERR_STATE, "only methods answer later"), none;
    if (call->sealed) {
        call->failed = rref_fail(call, RREF_ERR_STATE, "class %s is sealed: its methods do not answer later", call->class_name);
        return none;
    }
    if (call->deferred) return refuse(call, RREF_ERR_COMPLETED, "the answer is deferred already"), none;
    rri_future *f = rri_future_new(&call->calls->futures, call->out, NULL);
    if (!f) return refuse(call, RREF_ERR_NO_MEMORY, "no memory for a deferred answer"), none;
    f->promise = true;
    f->quiet = true;
    rri_future_keep(f);
    call->deferred = f;
    if (promise_answer(call, f)) {
        call->failed = refuse(call, rri_error_last()->code, rri_error_last()->text);
        call->deferred = NULL;
        rri_future_drop(f);
        rri_future_drop(f);
        return none;
    }
    return (rref_deferred){ rri_future_handle(f) };
}

/* A deferred answer's handle goes with its completion: what is gone was answered. Others may complete it in the same moment, so
 * it is held meanwhile. */
static int answered(int rc)
{
    return rc == RREF_ERR_HANDLE || rc == RREF_ERR_COMPLETED
               ? rri_fail(RREF_ERR_COMPLETED, "answered already, or given up when its time was over, or no deferred answer")
               : rc;
}

static int let_go(rri_future *held, rref_future promise, int rc)
{
    if (rc == RREF_OK || rc == RREF_ERR_COMPLETED) rref_future_release(promise);
    if (held) rri_future_step_out(held);
    return answered(rc);
}

int rref_complete_v(rref_deferred deferred, const rref_value *values, size_t count)
{
    rref_future promise = { deferred.bits };
    rri_future *held = rri_future_step_in(promise.bits);
    return let_go(held, promise, held ? rref_set_v(promise, values, count) : rri_error_last()->code);
}

int rref_complete_error(rref_deferred deferred, int code, const char *format, ...)
{
    va_list list;
    char text[RREF_TEXT_MAX];
    rref_future promise = { deferred.bits };
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    rri_future *held = rri_future_step_in(promise.bits);
    return let_go(held, promise, held ? rref_set_error(promise, code, "%s", text) : rri_error_last()->code);
}

/* The promise is kept by what follows the other future, so its handle can go. */
int rref_complete_with(rref_deferred deferred, rref_future future)
{
    rref_future promise = { deferred.bits };
    rri_future *held = rri_future_step_in(promise.bits);
    if (held && !rri_future_of(future.bits)) return rri_future_step_out(held), RREF_ERR_HANDLE;
    return let_go(held, promise, held ? rref_link(future, promise) : rri_error_last()->code);
}
