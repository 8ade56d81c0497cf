/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the driver's own call. Its object stays occupied from one record of a message to the next one for the same object, so
 * that a message of many calls takes its locks once.
 */
#include "instant.h"
#include "exec.h"
#include "handler.h"
#include "fit.h"

enum { OTHER = RRI_FLAG_BULK | RRI_FLAG_NESTED | RRI_FLAG_REMOTE | RRI_FLAG_ROOM };

static bool is_plain(const rri_record *r) { return r->kind == RRI_CALL && !(r->flags & OTHER) && !r->extra; }

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

/* Results that are all there, as the signature has them. */
static bool answer_numbers(rref_call *c)
{
    const rri_types *out = c->out;
    rri_calls *calls = c->calls;
    if (c->result_count != out->count) return false;
    rri_record *r = rri_lane_begin(calls->flow, c->peer, RRI_ANSWERS, rri_round16(sizeof *r + out->slots));
    if (!r) return false;
    *r = (rri_record){ .bytes = r->bytes, .kind = RRI_RESULT, .call = c->id };
    char *payload = (char *)(r + 1);
    for (unsigned i = 0; i < out->count; i++) rri_number_pack(&out->type[i], &c->results[i], payload + out->type[i].slot);
    rri_lane_end(calls->flow, c->peer, RRI_ANSWERS, rri_progress_haste(calls->progress, c->peer));
    return true;
}

static void answer(rref_call *c, int outcome)
{
    if (c->failed || c->deferred || outcome || (!c->oneway && !answer_numbers(c))) rri_exec_answer(c, outcome);
}

static void run(rri_calls *calls, rref_call *c)
{
    answer(c, rri_exec_instant(c));
    if (c->error || c->untidy || c->taken || c->deferred || c->owned_count) rri_call_tidy(c);
    calls->instant_busy = false;
}

bool rri_instant_serve(rri_calls *calls, const rri_record *record, const rri_buffer *buffer)
{
    rri_packing p;
    rref_call *c = &calls->instant;
    if (calls->instant_busy || !is_plain(record)) return false;
    rri_call_clear(c, calls);
    c->peer = buffer->peer;
    c->id = record->call;
    c->oneway = record->flags & RRI_FLAG_ONEWAY;
    c->colour = rri_record_colour(record);
    if (!calls->up.instant(calls->up.up, record, c) || c->in->refs || c->out->variables || c->out->refs) return false;
    c->payload = record + 1;
    c->bytes = record->bytes - sizeof *record;
    if (rri_payload_check(c->in, c->payload, c->bytes, &p) || p.segments || !occupy(calls, c)) return false;
    calls->instant_busy = true;
    run(calls, c);
    if (calls->occupied && !goes_on(record, buffer)) rri_instant_over(calls);
    return true;
}
