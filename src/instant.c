/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the driver's own call. Its object stays occupied from one record of a message to the next one for the same object, so
 * that a message of many calls takes its locks once.
 */
#include "instant.h"
#include "exec.h"
#include "handler.h"

enum { OTHER = RRI_FLAG_BULK | RRI_FLAG_NESTED | RRI_FLAG_REMOTE | RRI_FLAG_ROOM };

static bool is_plain(const rri_record *r)
{
    return r->kind == RRI_RUN || (r->kind == RRI_CALL && !(r->flags & OTHER) && !r->extra);
}

/* Whether the next record of the message is for the same object, too; then it is served next. */
static bool goes_on(const rri_record *r, const rri_buffer *b)
{
    const unsigned char *at = (const unsigned char *)r + r->bytes;
    size_t left = (size_t)(b->data + b->bytes - at);
    const rri_record *next = (const void *)at;
    return rri_record_fits(next, left) && next->object == r->object && is_plain(next);
}

void rri_instant_over(rri_calls *calls)
{
    rri_actor *a = calls->occupied;
    if (!a || calls->instant_busy) return;      /* its method drives: that is an application-driven context */
    calls->occupied = NULL;
    rri_exec_leave(a);
}

/* Concurrent methods occupy nothing; the object finder sees to it that theirs stay. */
static bool occupy(rri_calls *calls, const rref_call *c)
{
    if (calls->occupied == c->actor) return true;
    rri_instant_over(calls);
    if (c->flags & RREF_CONCURRENT) return true;
    if (!rri_exec_occupy(c->actor)) return false;
    calls->occupied = c->actor;
    return true;
}

/* The driver's call becomes one of the record's, but for its arguments. */
static bool aim(rri_calls *calls, const rri_record *r, int peer)
{
    rref_call *c = &calls->instant;
    if (!calls->up.instant(calls->up.up, r, c)) return false;
    c->peer = peer;
    c->id = r->call;
    c->oneway = r->flags & RRI_FLAG_ONEWAY;
    c->colour = rri_record_colour(r);
    return !c->in->refs && !c->out->variables && !c->out->refs;
}

/* Whether nothing is to be tidied up, and nothing to be said but numbers. All of it is looked at without a branch between. */
static inline bool is_clean(const rref_call *c, int outcome)
{
    uintptr_t left = (uintptr_t)c->deferred | (uintptr_t)c->error | (uintptr_t)c->taken;
    return !(left | (unsigned)outcome | (unsigned)c->failed | c->untidy | c->owned_count);
}

/* The call that has just run: false if it was more than numbers for numbers, and its place is to be filled anew. */
static inline bool finish(rref_call *c, int outcome, bool last)
{
    bool whole = c->result_count == c->out->count;
    if (is_clean(c, outcome) && (c->oneway || (whole && rri_exec_answer_numbers(c, last)))) return true;
    rri_exec_pass_on(c, outcome);
    rri_exec_answer(c, outcome);
    rri_call_tidy(c);
    return false;
}

static inline bool is_good(const rref_call *c)
{
    rri_packing p;
    if (c->bytes >= c->in->slots && !c->in->variables && !c->in->bools) return true;
    return rri_payload_check(c->in, c->payload, c->bytes, &p) == RREF_OK && !p.segments;
}

bool rri_instant_serve(rri_calls *calls, const rri_record *record, const rri_buffer *buffer)
{
    rref_call *c = &calls->instant;
    if (calls->instant_busy || !is_plain(record) || !aim(calls, record, buffer->peer)) return false;
    c->payload = record + 1;
    c->bytes = record->bytes - sizeof *record;
    if (!is_good(c) || !occupy(calls, c)) return false;
    calls->instant_busy = true;
    rri_exec_outer outer = rri_exec_instants(c);
    int outcome = c->handler(c, c->self);
    rri_exec_instants_over(outer);
    finish(c, outcome, true);
    calls->instant_busy = false;
    if (calls->occupied && !goes_on(record, buffer)) rri_instant_over(calls);
    return true;
}

/* Whether the next item is to be run here, in the place of the last one or, if that has left it untidy, in one made anew. */
static bool take_item(rri_calls *calls, const rri_record *run, size_t i, int peer, bool *tidy)
{
    rref_call *c = &calls->instant;
    if (!*tidy && (!aim(calls, run, peer) || calls->occupied != (c->flags & RREF_CONCURRENT ? NULL : c->actor))) return false;
    *tidy = true;
    c->payload = rri_run_read(run, i, &c->id);
    c->bytes = c->in->slots;
    c->result_count = 0;
    c->inner = 0;
    return is_good(c);
}

size_t rri_instant_run(rri_calls *calls, const rri_record *run, const rri_buffer *buffer)
{
    rref_call *c = &calls->instant;
    const int peer = buffer->peer;
    bool tidy = true;
    size_t i = 0, n = rri_run_count(run);
    if (calls->instant_busy || !aim(calls, run, peer) || rri_run_payload(run) != c->in->slots || !occupy(calls, c)) return 0;
    calls->instant_busy = true;
    rri_exec_outer outer = rri_exec_instants(c);
    for (; i < n && take_item(calls, run, i, peer, &tidy); i++) {
        int outcome = c->handler(c, c->self);
        tidy = finish(c, outcome, i + 1 == n);
    }
    rri_exec_instants_over(outer);
    calls->instant_busy = false;
    if (calls->occupied && !goes_on(run, buffer)) rri_instant_over(calls);
    return i;
}
