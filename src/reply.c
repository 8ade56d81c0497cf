/* SPDX-License-Identifier: BSD-3-Clause */
/* From the outcome of a call to the record that answers it, in the lane of answers, and the data beside it. */
#include "reply.h"
#include "dropped.h"
#include "error.h"
#include "exec.h"
#include "fit.h"
#include "instant.h"
#include "loan.h"
#include "log.h"

#include <stdio.h>
#include <string.h>

void rri_reply_failure(rri_calls *calls, int peer, rri_stream stream, rri_record head, const rref_error *e)
{
    rri_failure f = { .code = e->code, .rank = e->rank, .hops = e->hops, .host = (uint16_t)(strlen(e->host) + 1),
                      .where = (uint16_t)(strlen(e->where) + 1), .text = (uint32_t)strlen(e->text) + 1 };
    size_t strings = (size_t)f.host + f.where + f.text;
    rri_record *r = rri_lane_begin(calls->flow, peer, stream, rri_round16(sizeof *r + sizeof f + strings));
    if (!r) {
        rri_log(RRI_LOG_ERROR, "no memory to tell rank %d: %s", peer, e->text);
        return;
    }
    head.bytes = r->bytes;
    *r = head;
    char *at = (char *)(r + 1);
    memcpy(at, &f, sizeof f);
    memcpy(at += sizeof f, e->host, f.host);
    memcpy(at += f.host, e->where, f.where);
    memcpy(at + f.where, e->text, f.text);
    rri_lane_end(calls->flow, peer, stream, rri_progress_haste(calls->progress, peer));
}

void rri_call_renounce(rri_calls *calls, int peer, uint64_t number, const rref_error *error)
{
    rref_error e = *error;
    rri_error_origin(&calls->futures, &e);
    rri_reply_failure(calls, peer, RRI_REQUESTS, (rri_record){ .kind = RRI_ANNOUNCE, .object = number }, &e);
    rri_progress_nudge(calls->progress);
}

void rri_call_where(const rref_call *c, rref_error *e)
{
    if (!e->where[0])
        snprintf(e->where, sizeof e->where, "%.60s.%.60s", c->class_name ? c->class_name : "?",
                 c->method_name ? c->method_name : "?");
}

void rri_reply_error(rref_call *c, const rref_error *given)
{
    rri_calls *calls = c->calls;
    rref_error e = *given;
    rri_error_origin(&calls->futures, &e);
    rri_call_where(c, &e);
    uint8_t flags = (uint8_t)((c->oneway ? RRI_FLAG_ONEWAY : 0) | (c->creation ? RRI_FLAG_CREATION : 0));
    rri_reply_failure(calls, c->peer, RRI_ANSWERS, (rri_record){ .kind = RRI_FAILURE, .flags = flags, .call = c->id }, &e);
}

/* A result that lies in bulk keeps its call alive until it has left. */
static void result_left(void *arg, rri_moved how)
{
    rri_loan_end(arg);
    if (how == RRI_KEPT) rri_exec_forsake(arg);
    else rri_exec_left(arg);
}

/* The types of a described result, in front of its payload. */
static size_t describe(const rref_call *c, char *at)
{
    size_t text = c->described ? strlen(c->described) + 1 : 0, room = rri_round16(text);
    if (at && room) {
        memset(at, 0, room);
        memcpy(at, c->described, text);
    }
    return room;
}

/* Offer the results that do not ride in the message; *offer is 0 if there are none. */
static int offer_results(rref_call *c, const rri_packing *p, rri_segment **segments, uint64_t *offer)
{
    *offer = 0;
    if (!p->segments) return RREF_OK;
    atomic_fetch_add(&c->parts, 1);
    if (!c->kept && c->buffer) rri_buffer_keep(c->buffer);
    c->kept = c->buffer != NULL;
    *offer = rri_transfer_offer(c->calls->transfers, c->peer, segments, p->segments, result_left, c);
    if (!*offer) atomic_fetch_sub(&c->parts, 1);
    return *offer ? RREF_OK : RREF_ERR_NO_MEMORY;
}

/* Whether the results in bulk go where their caller has posted a receive: its tag, or 0. */
static uint16_t room_for(const rref_call *c, const rri_packing *p, const rri_segment *segments)
{
    const rri_room_note *room = &c->room;
    if (!c->calls->posts || !room->tag || p->segments != 1 || !(p->in_bulk >> room->output & 1)) return 0;
    bool fits = room->exact ? segments->bytes == room->bytes : segments->bytes <= room->bytes;
    return fits && room->tag < RRI_PUSHED_TAGS ? room->tag : 0;
}

static void put_numbers(const rref_call *c, char *at)
{
    const rri_types *out = c->out;
    memcpy(at, &c->id, sizeof c->id);
    at += sizeof c->id;
    for (unsigned i = 0; i < out->count; i++) rri_number_pack(&out->type[i], &c->results[i], at + out->type[i].slot);
}

/* What is not the last of its run has company. To ask may take the credit of the message: it must leave with the answer then. */
static rri_haste haste_of(const rref_call *c, bool last)
{
    return last ? rri_progress_haste(c->calls->progress, c->peer) : RRI_COMPANY;
}

bool rri_exec_answer_numbers(const rref_call *c, bool last)
{
    rri_flow *flow = c->calls->flow;
    const rri_record like = { .kind = RRI_RESULTS, .extra = rri_run_extra(c->out->slots) };
    char *at = rri_lane_item(flow, c->peer, RRI_ANSWERS, &like);
    if (!at) return false;
    put_numbers(c, at);
    rri_lane_item_end(flow, c->peer, RRI_ANSWERS, haste_of(c, last));
    return true;
}

static bool are_words(const rref_call *c)
{
    const rri_types *out = c->out;
    if (!out->words || c->created || c->described) return false;
    for (unsigned i = 0; i < out->count; i++)
        if (!rri_same_word(&out->type[i], &c->results[i])) return false;
    return true;
}

static int answer_value(rref_call *c)
{
    rri_calls *calls = c->calls;
    rri_packing p;
    rri_segment *segments = NULL;
    uint64_t offer;
    if (c->result_count < c->out->count)
        return rri_fail(RREF_ERR_SIGNATURE, "the handler returned %u of %u results", c->result_count, c->out->count);
    if (are_words(c)) return rri_exec_answer_numbers(c, true) ? RREF_OK : rri_error_last()->code;
    int rc = rri_values_check(c->out, c->results, c->result_count, calls->eager, &p);
    if (rc) return rc;
    size_t note = p.segments ? sizeof(rri_bulk_note) : 0, text = describe(c, NULL);
    size_t bytes = rri_round16(sizeof(rri_record) + note + text + p.bytes);
    if (rri_dropped_is(c, &p, bytes)) return rri_dropped_answer(c, bytes + p.bulk);
    rri_record *r = rri_lane_begin(calls->flow, c->peer, RRI_ANSWERS, bytes);
    if (!r) return rri_error_last()->code;
    if (rri_lane_is_shut(calls->flow, c->peer)) {       /* nobody would write off the weight, nor withdraw the offer */
        rri_lane_undo(calls->flow, c->peer, RRI_ANSWERS, bytes);
        return RREF_OK;
    }
    *r = (rri_record){ .bytes = r->bytes, .kind = RRI_RESULT, .call = c->id, .object = c->created,
                       .flags = c->described ? RRI_FLAG_DESCRIBED : 0 };
    rc = offer_results(c, &p, &segments, &offer);       /* memory first: behind the packing nothing fails */
    describe(c, (char *)(r + 1) + note);
    if (rc == RREF_OK)
        rc = rri_values_pack(c->out, c->results, &p, (char *)(r + 1) + note + text, segments, &calls->futures.trade.codec);
    uint16_t tag = rc == RREF_OK && offer ? room_for(c, &p, segments) : 0;
    if (rc && offer) rri_transfer_withdraw(calls->transfers, offer);
    else if (tag) rri_transfer_attach(calls->transfers, offer, tag, segments->bytes, r);
    else if (offer) rri_transfer_announce(calls->transfers, offer, p.bulk, r);
    if (rc == RREF_OK && offer && !tag && c->holds_object) rri_loan_begin(c, offer);
    if (rc) rri_lane_undo(calls->flow, c->peer, RRI_ANSWERS, bytes);
    else rri_lane_end(calls->flow, c->peer, RRI_ANSWERS, rri_progress_haste(calls->progress, c->peer));
    if (tag) rri_transfer_push(calls->transfers, offer);
    return rc;
}

/* The promise answers; if the handler failed after all, and nobody has completed it, it fails the same way, and its handle
 * ends. */
static void end_deferring(rref_call *c, int outcome)
{
    if (outcome == RREF_PENDING) return;
    if (outcome >= 0) rri_fail(RREF_ERR_STATE, "the handler deferred its answer and returned %d", outcome);
    else rri_fail_as(outcome, c->error);
    rref_future handle = { rri_future_handle(c->deferred) };
    if (!rri_future_claim(c->deferred)) return;
    rri_future_error_last(c->deferred);
    rref_future_release(handle);
}

static void answer(rref_call *c, int outcome)
{
    if (outcome > 0)
        outcome = rri_fail(RREF_ERR_STATE, "the handler returned %d, which is no outcome without rref_defer", outcome);
    else if (outcome < 0) rri_fail_as(outcome, c->error);
    if (c->keep) outcome = c->keep(c, outcome);
    if (outcome == RREF_OK && !c->oneway) outcome = answer_value(c);
    if (outcome < 0) rri_reply_error(c, rri_error_last());
}

void rri_exec_answer(rref_call *c, int outcome)
{
    rri_paint before = rri_paint_on(c->calls->futures.colours, c->colour);
    if (c->failed) outcome = c->failed;
    if (c->deferred) end_deferring(c, outcome);
    else answer(c, outcome);
    rri_paint_back(before);
    if (rri_link_busy(c->calls->link)) rri_progress_nudge(c->calls->progress);      /* MPI may need this rank to go on with it */
}
