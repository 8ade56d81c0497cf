/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the owner's side of calls until they may run: from a record to a call in its object's queue. No lock is held while user
 * code runs. */
#include "answer.h"
#include "berth.h"
#include "described.h"
#include "error.h"
#include "exec.h"
#include "handler.h"
#include "instant.h"
#include "log.h"
#include "memory.h"
#include "reply.h"

#include <stdlib.h>
#include <string.h>

enum { SPARES = 1000 };             /* calls kept for reuse: more than that a flood has left */

int rri_calls_open(rri_calls *calls)
{
    calls->site = rri_calloc(RRI_SITES, sizeof *calls->site);
    calls->reserve = rri_malloc(sizeof *calls->reserve);
    calls->refusal = rri_malloc(sizeof *calls->refusal);
    calls->served = rri_calloc((size_t)rri_link_size(calls->link), sizeof *calls->served);
    bool all = calls->site && calls->reserve && calls->refusal && calls->served;
    rri_flow_weighs(calls->flow, &calls->alive, sizeof(rref_call));
    return all ? RREF_OK : rri_fail(RREF_ERR_NO_MEMORY, "no memory for calls");
}

static rref_call *take_reserve(rri_calls *calls, rref_call **reserve)
{
    rri_lock_take(&calls->lock);
    rref_call *c = *reserve;
    *reserve = NULL;
    rri_lock_give(&calls->lock);
    return c;
}

static void uncount(rri_calls *calls)
{
    rri_lock_take(&calls->lock);
    rri_count_down(&calls->alive);
    rri_lock_give(&calls->lock);
}

static rref_call *new_call(rri_calls *calls, rref_call **reserve)
{
    rri_lock_take(&calls->lock);
    rref_call *c = calls->free;
    if (c) calls->free = c->next, calls->spare--;
    rri_count_up(&calls->alive);
    rri_lock_give(&calls->lock);
    if (!c) c = rri_malloc(sizeof *c);
    bool reserved = !c && (c = take_reserve(calls, reserve));
    if (!c) {
        uncount(calls);
        return NULL;
    }
    rri_call_clear(c, calls);
    c->reserve = reserved ? reserve : NULL;
    c->colour = rri_begin(calls->futures.colours);
    return c;
}

rref_call *rri_call_new(rri_calls *calls) { return new_call(calls, &calls->reserve); }

unsigned rri_calls_running(const rri_calls *calls)
{
    const rri_colours *colours = calls->futures.colours;
    return atomic_load(&colours->busy[0]) + atomic_load(&colours->busy[1]);
}

void rri_call_tidy(rref_call *c)
{
    rri_calls *calls = c->calls;
    rri_handler_done(c);
    for (size_t i = 0; i < c->taken_count; i++) calls->up.drop_ref(c->taken[i]);
    free(c->taken);
    free(c->loan);
    free(c->error);
    rri_described_free(c);
    if (c->deferred) rri_future_drop(c->deferred);
    rri_berth_over(c, false);
    if (c->landing_bytes) {
        atomic_fetch_sub(&calls->landed, c->landing_bytes);
        rri_landing_give(&calls->landings, c->landing, c->landing_bytes);
    } else {
        free(c->landing);
    }
    for (unsigned i = 0; c->untidy && i < RRI_TYPES_MAX; i++) free(c->copies[i]);
    for (unsigned i = 0; i < c->owned_count; i++) c->owned_free[i](c->owned[i]);
    if (c->kept) rri_buffer_drop(c->buffer);
}

void rri_exec_free(rref_call *c)
{
    rri_calls *calls = c->calls;
    unsigned colour = c->colour;
    rri_paint before = rri_paint_on(calls->futures.colours, colour);
    rri_call_tidy(c);
    rri_lock_take(&calls->lock);
    rri_count_down(&calls->alive);
    bool excess = !c->reserve && calls->spare >= SPARES;
    if (c->reserve) {
        *c->reserve = c;
    } else if (!excess) {
        c->next = calls->free;
        calls->free = c;
        calls->spare++;
    }
    rri_lock_give(&calls->lock);
    if (excess) free(c);
    rri_paint_back(before);
    rri_idle(calls->futures.colours, colour);
}

void rri_call_fail_early(rref_call *c, int code, const char *why)
{
    if (c->failed) return;
    c->failed = code;
    c->error = rri_calloc(1, sizeof *c->error);
    if (c->error) rri_error_fill(c->error, code, "%s", why);
}

/* The memory is MPI's for good. */
static void leave_landing(rref_call *c)
{
    atomic_fetch_sub(&c->calls->landed, c->landing_bytes);
    rri_never_free(c->landing);
    c->landing = NULL;
    c->landing_bytes = 0;
}

void rri_call_check_landed(rref_call *c, rri_moved how)
{
    rri_segment segments[RRI_TYPES_MAX];
    if (how != RRI_MOVED) {
        rri_call_fail_early(c, RREF_ERR_CANCELLED, "the caller withdrew the call's data");
    } else {
        rri_payload_segments(c->in, c->payload, c->landing, segments);
        if (rri_segments_check(c->in, c->payload, segments))
            rri_call_fail_early(c, RREF_ERR_PROTOCOL, "the call's data cannot be decoded");
    }
}

static void arguments_landed(void *arg, rri_moved how)
{
    rref_call *c = arg;
    if (how == RRI_KEPT) leave_landing(c);
    rri_call_check_landed(c, how);
    rri_exec_ready(c);
}

/* The calls for which it is made: bytes that they take in front of the payload, or 0 if they cannot be read. */
static size_t take_ancestors(rref_call *c, const rri_ancestor *list, size_t bytes)
{
    size_t room = bytes / sizeof *list;
    if (!room || list->id > RRI_ANCESTORS || list->id >= room) return 0;
    c->ancestors = list + 1;
    c->ancestor_count = (unsigned)list->id;
    return (1 + c->ancestor_count) * sizeof *list;
}

/* Ahead of their calls arguments are received up to a limit, and always for the call at the head of an object's queue: so
 * memory is bounded, and no call waits for another object's. */
static bool must_wait(const rri_calls *calls, size_t bytes)
{
    size_t landed = atomic_load_explicit(&calls->landed, memory_order_relaxed);
    return landed && landed + bytes > calls->landing_limit;
}

static int take_landing(rref_call *c, size_t bytes)
{
    c->landing_bytes = bytes;
    c->landing = rri_landing_take(&c->calls->landings, &c->landing_bytes);
    if (!c->landing) {
        c->landing_bytes = 0;
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %zu bytes of arguments", bytes);
    }
    atomic_fetch_add(&c->calls->landed, c->landing_bytes);
    return RREF_OK;
}

/* When the receive is posted the call may run, and be over, in another thread. */
static int accept_arguments(rref_call *c, size_t bytes)
{
    rri_segment segments[RRI_TYPES_MAX];
    rri_progress *progress = c->calls->progress;
    int rc = take_landing(c, bytes);
    if (rc) return rc;
    unsigned n = rri_payload_segments(c->in, c->payload, c->landing, segments);
    rc = rri_transfer_accept(c->calls->transfers, c->peer, c->offered->transfer, segments, n, arguments_landed, c);
    rri_progress_nudge(progress);               /* whoever drives may sleep, and data does not ring */
    return rc;
}

/* Arguments that come without being asked for; `bytes` is a landing area for them, so some more. */
static int take_pushed(rref_call *c, const rri_bulk_note *note, size_t bytes)
{
    enum { ROUNDED = 64 };
    rri_segment segments[RRI_TYPES_MAX];
    if (!rri_transfer_may_push(c->calls->transfers, note) || bytes / 2 > note->bytes + ROUNDED)
        return rri_fail(RREF_ERR_PROTOCOL, "the request's data does not fit it");
    int rc = take_landing(c, bytes);
    if (rc) return rc;
    if (rri_payload_segments(c->in, c->payload, c->landing, segments) != 1)
        return rri_fail(RREF_ERR_PROTOCOL, "the request's data does not fit it");
    rc = rri_transfer_take(c->calls->transfers, c->peer, note, segments, arguments_landed, c);
    c->ready = rc;
    return rc;
}

/* Find the arguments in the message. */
static int read_arguments(rref_call *c, const rri_record *r, rri_packing *p)
{
    bool bulk = r->flags & RRI_FLAG_BULK;
    size_t head = sizeof *r + (bulk ? sizeof(rri_bulk_note) : 0);
    if (r->flags & RRI_FLAG_ROOM) {
        if (r->bytes >= head + sizeof c->room) memcpy(&c->room, (const char *)r + head, sizeof c->room);
        if (c->room.output >= RRI_TYPES_MAX) return rri_fail(RREF_ERR_PROTOCOL, "the request wants a result that none can have");
        head += sizeof c->room;
    }
    if (r->bytes < head) return rri_fail(RREF_ERR_PROTOCOL, "the request is too short");
    if (r->kind == RRI_CREATE) head += rri_round16(sizeof(uint64_t) + r->method);
    if (r->flags & RRI_FLAG_REMOTE) head += sizeof(rri_remote_note);
    if (r->bytes < head) return rri_fail(RREF_ERR_PROTOCOL, "the request is too short");
    if (r->flags & RRI_FLAG_NESTED) {
        size_t nested = take_ancestors(c, (const void *)((const char *)r + head), r->bytes - head);
        if (!nested) return rri_fail(RREF_ERR_PROTOCOL, "the request's ancestors cannot be read");
        head += nested;
    }
    c->payload = (const char *)r + head;
    c->bytes = r->bytes - head;
    int rc = rri_payload_check(c->in, c->payload, c->bytes, p);
    if (rc) c->payload = NULL;
    return rc || (p->segments > 0) == bulk ? rc : rri_fail(RREF_ERR_PROTOCOL, "the request's data does not fit it");
}

/* Take the arguments: in place, or start the transfer of what lies beside the message. */
static int take_arguments(rref_call *c, const rri_record *r)
{
    rri_packing p;
    int rc = read_arguments(c, r, &p);
    if (rc || !(r->flags & RRI_FLAG_BULK)) return rc;
    c->offered = (const void *)(r + 1);
    c->lands = c->land;
    if (rri_bulk_pushed(c->offered)) return take_pushed(c, c->offered, p.bulk);
    if (c->lands) return RREF_OK;               /* in its turn, which comes without the data */
    c->ready = false;
    c->ungranted = must_wait(c->calls, p.bulk);
    return c->ungranted ? RREF_OK : accept_arguments(c, p.bulk);
}

static void grant(rref_call *c)
{
    rri_packing p;
    rri_payload_check(c->in, c->payload, c->bytes, &p);     /* again, for its size */
    if (accept_arguments(c, p.bulk) == RREF_OK) return;
    rri_transfer_refuse(c->calls->transfers, c->peer, c->offered->transfer);
    rri_call_fail_early(c, rri_error_last()->code, rri_error_last()->text);
    rri_exec_ready(c);
}

static void run_grant(rri_job *job) { grant((rref_call *)(void *)job); }

/* Where not every thread may call MPI, whoever leaves the object may be one that may not: then it is done by who polls. */
void rri_call_grant(rref_call *c)
{
    if (c->calls->posts || rri_progress_is_driver(c->calls->progress)) {
        grant(c);
        return;
    }
    c->job.run = run_grant;
    rri_progress_submit(c->calls->progress, &c->job);
}

/* References that came with a call that cannot run go back when it is freed. */
static void refuse(rref_call *c, const rri_record *r)
{
    rri_packing p;
    rref_error error = *rri_error_last();
    if (c->in->refs && !c->payload) read_arguments(c, r, &p);
    *rri_error_last() = error;
    if (rri_error_last()->code == RREF_ERR_PROTOCOL) atomic_fetch_add(&c->calls->refused, 1);
    rri_transfer_refuse_note(c->calls->transfers, c->peer, r);
    if (c->keep) c->keep(c, rri_error_last()->code);
    rri_reply_error(c, rri_error_last());
    if (c->ended) c->ended(c, rri_error_last()->code);
    rri_exec_free(c);
}

/* Another thread is about to refuse a request with the call that is kept for that: of this one nothing is read, but its caller
 * is told. */
static void refuse_unread(rri_calls *calls, const rri_record *r, int peer)
{
    rref_error e;
    uint8_t flags = (uint8_t)((r->flags & RRI_FLAG_ONEWAY) | (r->kind == RRI_CREATE ? RRI_FLAG_CREATION : 0));
    rri_error_fill(&e, RREF_ERR_NO_MEMORY, "no memory for a call");
    rri_error_origin(&calls->futures, &e);
    rri_transfer_refuse_note(calls->transfers, peer, r);
    rri_reply_failure(calls, peer, RRI_ANSWERS, (rri_record){ .kind = RRI_FAILURE, .flags = flags, .call = r->call }, &e);
}

/* A call as its record has it, of an object that is there; or what has come of it otherwise. */
static int begin(rri_calls *calls, const rri_record *r, rri_buffer *buffer, rref_call **call)
{
    rref_call *c = new_call(calls, &calls->refusal);
    *call = c;
    if (!c) {
        refuse_unread(calls, r, buffer->peer);
        return RRI_PARK;
    }
    c->peer = buffer->peer;
    c->id = r->call;
    c->oneway = r->flags & RRI_FLAG_ONEWAY;
    c->creation = r->kind == RRI_CREATE;
    if (r->kind == RRI_CALL && r->extra) c->deadline = rri_after(rri_now(), (int64_t)r->extra);
    int rc = calls->up.find(calls->up.up, r, buffer, c);
    if (rc == RRI_PARK) rri_exec_free(c);
    return rc;
}

/* It is here, and counted. */
static int arrive(rref_call *c, rri_buffer *buffer, int rc)
{
    atomic_fetch_add_explicit(&c->calls->in, 1, memory_order_relaxed);
    c->buffer = buffer;
    return rc == RREF_OK && c->reserve ? rri_fail(RREF_ERR_NO_MEMORY, "no memory for a call") : rc;
}

static rri_verdict request(rri_calls *calls, const rri_record *r, rri_buffer *buffer, bool here)
{
    rref_call *c;
    int rc = begin(calls, r, buffer, &c);
    if (rc == RRI_PARK) return RRI_DONE;
    if (rc == RREF_OK && here && !(c->flags & RREF_INLINE) && !rri_progress_may_run(calls->progress) && !c->creation) {
        if (c->keep) c->keep(c, RRI_PASS);
        if (c->ended) c->ended(c, RRI_PASS);
        rri_exec_free(c);
        return RRI_PASS;
    }
    rc = arrive(c, buffer, rc);
    if (rc == RREF_OK) rc = take_arguments(c, r);
    if (rc) {
        refuse(c, r);
        return RRI_DONE;
    }
    return rri_exec_enter(c, here && rri_progress_may_run(calls->progress) && rri_progress_has_place(calls->progress));
}

/* The driver is the only one to write; others read. */
static void add(_Atomic uint64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_release);
}

static void count(_Atomic uint64_t *counter) { add(counter, 1); }

/* ---- runs */

static void refuse_item(rref_call *c)
{
    const rri_record none = { .bytes = sizeof none };
    refuse(c, &none);
}

/* Only what can be read is the call's: of a payload its references go back. */
static int take_item(rref_call *c, const void *payload, size_t bytes)
{
    rri_packing p;
    int rc = rri_payload_check(c->in, payload, bytes, &p);
    if (rc) return rc;
    c->payload = payload;
    c->bytes = bytes;
    return p.segments || c->in->refs ? rri_fail(RREF_ERR_PROTOCOL, "a run has numbers alone") : RREF_OK;
}

/* An item as a call of its own, for whatever thread. Its record is none that could wait for its object. */
static void enter_item(rri_calls *calls, const rri_record *run, size_t i, rri_buffer *buffer)
{
    rref_call *c;
    rri_record r = { .bytes = sizeof r, .kind = RRI_CALL, .flags = run->flags & (RRI_FLAG_ONEWAY | RRI_FLAG_COLOUR),
                     .method = run->method, .call = run->call, .object = run->object };
    const void *payload = rri_run_read(run, i, &r.call);
    int rc = begin(calls, &r, buffer, &c);
    if (rc == RRI_PARK) return;
    rc = arrive(c, buffer, rc);
    if (!rc) rc = take_item(c, payload, rri_run_payload(run));
    if (rc) refuse_item(c);
    else rri_exec_enter(c, false);
}

/* What does not run at once is entered, and so are all behind it. */
RRI_NEEDS(rri_driver)
static void serve_run(rri_calls *calls, const rri_record *run, rri_buffer *buffer)
{
    if (!rri_run_fits(run) || run->object & RRI_NAMED) {
        atomic_fetch_add(&calls->refused, 1);
        rri_log(RRI_LOG_ERROR, "a run of calls of rank %d that cannot be read was refused", buffer->peer);
        return;
    }
    size_t n = rri_run_count(run), i = rri_instant_run(calls, run, buffer);
    add(&calls->instants, i);
    if (i < n) rri_instant_over(calls);
    for (; i < n; i++) enter_item(calls, run, i, buffer);
}

void rri_call_enter(rref_call *call)
{
    rri_exec_enter(call, false);
}

void rri_call_end(rref_call *call) { rri_exec_free(call); }

void rri_call_serve_parked(rri_calls *calls, const rri_record *record, rri_buffer *buffer)
{
    request(calls, record, buffer, false);
}

/* Count a record as seen before it is served: serving may give the role away. */
static rri_verdict serve(rri_calls *calls, const rri_record *record, rri_buffer *buffer)
{
    _Atomic uint64_t *served = &calls->served[buffer->peer].of[rri_record_tally(record)];
    bool instant = rri_instant_serve(calls, record, buffer);
    count(served);                      /* of an instant call, when it is over: it is not seen otherwise */
    if (instant) {
        count(&calls->instants);
        return RRI_DONE;
    }
    rri_instant_over(calls);
    rri_verdict v = request(calls, record, buffer, true);
    if (v == RRI_PASS) atomic_fetch_sub(served, 1);
    return v;
}

RRI_NEEDS(rri_driver)
static void take(rri_calls *calls, const rri_record *record, rri_buffer *buffer)
{
    switch (record->kind) {
    case RRI_PARCELS:
    case RRI_REFILL: calls->up.weight(calls->up.up, record, buffer); break;
    case RRI_ANNOUNCE: calls->up.announced(calls->up.up, record, buffer); break;
    case RRI_RESULT: rri_answer_result(calls, record, buffer); break;
    case RRI_RESULTS: rri_answer_numbers(calls, record, buffer); break;
    case RRI_RUN: serve_run(calls, record, buffer); break;
    case RRI_FAILURE: rri_answer_failure(calls, record, buffer); break;
    case RRI_GRANT: rri_transfer_granted(calls->transfers, buffer->peer, record); break;
    case RRI_WITHDRAWN: rri_transfer_withdrawn(calls->transfers, buffer->peer, record); break;
    case RRI_PROBE:
    case RRI_REPORT:
    case RRI_LEAVE:
    case RRI_PING:
    case RRI_PONG:
    case RRI_LOSS:
    case RRI_HELD: calls->up.control(calls->up.up, buffer->peer, record); break;
    default:
        atomic_fetch_add(&calls->refused, 1);
        rri_log(RRI_LOG_ERROR, "a record of kind %u from rank %d was refused", record->kind, buffer->peer);
    }
    count(&calls->served[buffer->peer].of[rri_record_tally(record)]);
}

rri_verdict rri_call_dispatch(void *up, const rri_record *record, rri_buffer *buffer)
{
    rri_calls *calls = up;
    rri_verdict v = RRI_DONE;
    rri_paint before = rri_paint_on(calls->futures.colours, rri_record_colour(record));
    if (record->kind == RRI_CREATE || record->kind == RRI_CALL) v = serve(calls, record, buffer);
    else take(calls, record, buffer);
    rri_paint_back(before);
    return v;
}

void rri_calls_close(rri_calls *calls)
{
    for (rref_call *c; (c = calls->free); free(c)) calls->free = c->next;
    free(calls->reserve);
    free(calls->refusal);
    free(calls->served);
    rri_landings_close(&calls->landings);
    free(calls->site);
}
