/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns calls on both sides. Lock order: actor's lock before nothing; no lock is held while user code runs. */
#include "call.h"
#include "error.h"
#include "exec.h"
#include "handler.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the caller's side */

/* One-way calls leave no future behind; their site travels as a number. */
static uint64_t number_of_site(rri_calls *calls, const char *site)
{
    if (!site) return 0;
    unsigned h = (unsigned)(((uintptr_t)site * UINT64_C(0x9e3779b97f4a7c15)) >> 52) % RRI_SITES;
    for (unsigned i = 0; i < RRI_SITES; i++, h = (h + 1) % RRI_SITES) {
        const char **s = &calls->site[h];
        const char *there = __atomic_load_n(s, __ATOMIC_ACQUIRE);
        if (there == site) return h + 1;
        if (!there && __atomic_compare_exchange_n(s, &there, site, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) return h + 1;
        if (there == site) return h + 1;
    }
    return 0;
}

static size_t count_inputs(const rref_value *values, size_t count)
{
    size_t n = 0;
    while (n < count && values[n].kind != RREF_VALUE_OUT && values[n].kind != RREF_VALUE_OUT_ARRAY) n++;
    return n;
}

/* What is sent beside the lane, until it has left. */
typedef struct outgoing {
    rri_segment segments[RRI_TYPES_MAX];
    void *copy;                 /* memory of copied arrays */
    rri_future *future;         /* told when the caller's arrays are free again; or NULL */
} outgoing;

static void data_left(void *arg)
{
    outgoing *o = arg;
    free(o->copy);
    if (o->future) {
        rri_event_set(&o->future->sent);
        rri_future_drop(o->future);
    }
    free(o);
}

static size_t room_for_copy(const rri_segment *s, unsigned count)
{
    size_t sum = 0;
    for (unsigned i = 0; i < count; i++) sum += (s[i].bytes + 63) & ~(size_t)63;
    return sum;
}

/* Sync calls and borrowed arrays stay where they are; others are copied. */
static int hold_data(outgoing *o, const rri_packing *p, bool in_place)
{
    if (in_place) return RREF_OK;
    o->copy = malloc(room_for_copy(o->segments, p->segments));
    if (!o->copy) return rri_fail(RREF_ERR_NO_MEMORY, "no memory to copy %zu bytes of arrays", p->bulk);
    rri_segments_copy(o->segments, p->segments, o->copy, o->segments);
    return RREF_OK;
}

static rri_record *begin_request(rri_calls *calls, const rri_target *target, size_t body, bool bulk)
{
    size_t bytes = rri_round16(sizeof(rri_record) + (bulk ? sizeof(rri_bulk_note) : 0) + body);
    rri_progress_room(calls->progress, target->peer);
    return rri_lane_begin(calls->flow, target->peer, RRI_REQUESTS, bytes);
}

static int pack_request(rri_calls *calls, rri_record *r, const rri_target *target, const rref_value *values,
                        const rri_packing *p, void *payload, rri_mode mode, rri_future *future)
{
    outgoing *o = p->segments ? calloc(1, sizeof *o) : NULL;
    if (p->segments && !o) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for a transfer");
    int rc = rri_values_pack(target->in, values, p, payload, o ? o->segments : NULL, &calls->futures.trade.codec);
    if (rc || !o) {
        free(o);
        return rc;
    }
    bool in_place = mode == RRI_SYNC || p->borrows;
    rc = hold_data(o, p, in_place);
    if (rc == RREF_OK && in_place) {
        o->future = future;
        rri_future_keep(future);
        atomic_store(&future->sent.word, 0);
    }
    uint64_t offer = rc ? 0 : rri_transfer_offer(calls->transfers, target->peer, o->segments, p->segments, data_left, o);
    if (!offer) {
        data_left(o);
        return rc ? rc : RREF_ERR_NO_MEMORY;
    }
    if (future) future->sending = offer;
    r->flags |= RRI_FLAG_BULK;
    *(rri_bulk_note *)(void *)(r + 1) = (rri_bulk_note){ offer, p->bulk };
    return RREF_OK;
}

static int check(rri_calls *calls, const rri_target *target, const rref_value *values, size_t count, rri_mode mode,
                 size_t *inputs, rri_packing *packing)
{
    *inputs = count_inputs(values, count);
    int rc = rri_values_check(target->in, values, *inputs, calls->eager, packing);
    if (rc == RREF_OK && mode == RRI_ONEWAY && (*inputs < count || packing->borrows))
        rc = rri_fail(RREF_ERR_SIGNATURE, "a one-way call takes neither outputs nor borrowed arrays");
    if (rc == RREF_OK && *inputs < count) rc = rri_outputs_check(target->out, values + *inputs, count - *inputs);
    return rc;
}

static int keep_outputs(rri_future *future, const rref_value *outputs, size_t count, bool copy)
{
    if (!count) return RREF_OK;
    if (copy) {
        rref_value *own = malloc(count * sizeof *own);
        if (!own) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for outputs");
        memcpy(own, outputs, count * sizeof *own);
        outputs = own;
    }
    future->outputs = outputs;
    future->output_count = (unsigned)count;
    future->outputs_owned = copy;
    return RREF_OK;
}

static void due(rri_timer *timer)
{
    rri_future *f = (rri_future *)(void *)((char *)timer - offsetof(rri_future, timer));
    rri_calls *calls = (rri_calls *)(void *)((char *)f->all - offsetof(rri_calls, futures));
    rri_call_expire(calls, f);
    rri_future_drop(f);
}

static uint64_t time_left(int64_t deadline)
{
    if (deadline == RRI_NEVER) return 0;
    int64_t left = deadline - rri_now();
    return left > 0 ? (uint64_t)left : 1;
}

/* The message must not be sent before the call is known here, since its answer may come at once. */
static int arm(rri_future *future, rri_mode mode, const rref_value *outputs, size_t count, int64_t deadline)
{
    if (!future) return RREF_OK;
    int rc = keep_outputs(future, outputs, count, mode != RRI_SYNC);
    if (rc == RREF_OK && mode == RRI_ASYNC) rc = rri_future_deadline(future, deadline, due);
    if (rc == RREF_OK) rri_future_keep(future);
    return rc;
}

int rri_call_send(rri_calls *calls, const rri_target *target, const rref_value *values, size_t count, rri_mode mode,
                  const char *site, rri_future *future, int64_t deadline)
{
    size_t inputs;
    rri_packing p;
    int rc = check(calls, target, values, count, mode, &inputs, &p);
    if (rc == RREF_OK) rc = arm(future, mode, values + inputs, count - inputs, deadline);
    if (rc) return rc;
    rri_record *r = begin_request(calls, target, p.bytes, p.segments);
    if (!r) {
        if (future) rri_future_drop(future);
        return rri_error_last()->code;
    }
    uint32_t bytes = r->bytes;
    *r = (rri_record){ .bytes = bytes, .kind = RRI_CALL, .method = target->method, .object = target->address,
                       .flags = future ? 0 : RRI_FLAG_ONEWAY, .extra = time_left(deadline),
                       .call = future ? rri_future_handle(future) : number_of_site(calls, site) };
    rc = pack_request(calls, r, target, values, &p, (char *)(r + 1) + (p.segments ? sizeof(rri_bulk_note) : 0), mode, future);
    if (rc) {
        rri_lane_undo(calls->flow, target->peer, RRI_REQUESTS, bytes);
        if (future) rri_future_drop(future);
        return rc;
    }
    atomic_fetch_add_explicit(&calls->out, 1, memory_order_relaxed);
    rri_lane_end(calls->flow, target->peer, RRI_REQUESTS, mode == RRI_SYNC);
    if (p.segments && future && rri_event_done(&future->event))     /* its time was over before there was an offer */
        rri_transfer_withdraw(calls->transfers, future->sending);
    if (mode != RRI_SYNC) rri_progress_nudge(calls->progress);
    return RREF_OK;
}

/* The call's own results, packed as for a reply and read back into the outputs. */
static int direct_results(rref_call *c, const rref_value *outputs, size_t count)
{
    rri_packing p;
    const rri_ref_trade *trade = &c->calls->futures.trade;
    if (c->result_count < c->out->count)
        return rri_fail(RREF_ERR_SIGNATURE, "the handler returned %u of %u results", c->result_count, c->out->count);
    int rc = rri_values_check(c->out, c->results, c->result_count, SIZE_MAX, &p);
    void *payload = rc ? NULL : aligned_alloc(64, (p.bytes + 64) & ~(size_t)63);
    if (!rc && !payload) rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory for %zu bytes of results", p.bytes);
    if (!rc) rc = rri_values_pack(c->out, c->results, &p, payload, NULL, &trade->codec);
    if (!rc) {
        rc = count ? rri_outputs_write(c->out, payload, NULL, outputs, count, &trade->all) : RREF_OK;
        rri_payload_refs(c->out, payload, trade->drop, trade->codec.up);
    }
    free(payload);
    return rc;
}

static int run_direct(rref_call *c, const rref_value *outputs, size_t count)
{
    bool was = rri_progress_inline(c->flags & RREF_INLINE);
    int outcome = rri_exec_run(c);
    rri_progress_inline(was);
    if (c->failed) outcome = c->failed;
    if (c->deferred) {
        rri_exec_answer(c, outcome);
        return RREF_PENDING;
    }
    if (outcome > 0) return rri_fail(RREF_ERR_STATE, "the handler returned %d, which is no outcome", outcome);
    if (outcome == RREF_OK) return direct_results(c, outputs, count);
    if (c->error) *rri_error_last() = *c->error;
    else rri_fail(outcome, "%s", outcome > RREF_ERR_USER ? rref_strerror(outcome) : "failed");
    return outcome;
}

/* The answer of a direct call that was deferred: the caller waits as for any other rank, its object free meanwhile. */
static int await_deferred(rref_call *c, const rref_value *outputs, size_t count)
{
    rri_calls *calls = c->calls;
    rri_future *f = c->deferred;
    const rri_ref_taker *all = &calls->futures.trade.part;
    int rc = rri_progress_wait(calls->progress, &f->event, c->deadline);
    if (rc == RREF_ERR_PENDING && rri_future_claim(f)) {
        rri_fail(RREF_ERR_TIMEOUT, "the deferred answer did not come in time");
        rri_future_error_last(f);
    }
    if (rc == RREF_ERR_PENDING) rc = rri_progress_wait(calls->progress, &f->event, RRI_NEVER);
    if (rc) return rri_fail(rc, "waiting for a deferred answer");
    atomic_store(&f->read, true);
    if (f->outcome == RREF_OK)
        return count ? rri_outputs_write(c->out, f->payload, f->landing, outputs, count, all) : RREF_OK;
    if (f->error) *rri_error_last() = *f->error;
    return f->outcome;
}

/* Pack the arguments where the handler reads them. */
static int direct_arguments(rref_call *c, const rref_value *values, size_t inputs)
{
    rri_packing p;
    int rc = rri_values_check(c->in, values, inputs, SIZE_MAX, &p);
    if (rc) return rc;
    c->landing = aligned_alloc(64, (p.bytes + 64) & ~(size_t)63);
    if (!c->landing) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %zu bytes of arguments", p.bytes);
    rc = rri_values_pack(c->in, values, &p, c->landing, NULL, &c->calls->futures.trade.codec);
    if (rc == RREF_OK) c->payload = c->landing;
    return rc;
}

bool rri_call_direct(rri_calls *calls, const rri_target *target, const rref_value *values, size_t count, int64_t deadline,
                     int *outcome)
{
    size_t inputs;
    rri_packing p;
    rri_record record = { .kind = RRI_CALL, .method = target->method, .object = target->address };
    if (target->peer != calls->rank || rri_flow_self_pending(calls->flow)) return false;
    rref_call *c = rri_call_new(calls);
    if (!c) return false;
    bool exclusive = false, mine = calls->up.look(calls->up.up, &record, c) == RREF_OK && !(c->flags & RREF_WORKER);
    if (mine && !(c->flags & RREF_CONCURRENT)) mine = exclusive = rri_exec_occupy(c->actor);
    if (mine) {
        rri_actor *actor = c->actor;
        c->peer = calls->rank;
        c->direct = true;
        c->deadline = deadline;
        atomic_fetch_add_explicit(&calls->direct, 1, memory_order_relaxed);
        *outcome = check(calls, target, values, count, RRI_SYNC, &inputs, &p);
        if (*outcome == RREF_OK) *outcome = direct_arguments(c, values, inputs);
        if (*outcome == RREF_OK) *outcome = run_direct(c, values + inputs, count - inputs);
        if (exclusive) rri_exec_leave(actor);
        if (c->deferred) *outcome = await_deferred(c, values + inputs, count - inputs);
    }
    rri_exec_free(c);
    return mine;
}

int rri_call_create(rri_calls *calls, const rri_target *target, uint64_t class_id, const rref_value *values, size_t count,
                    const char *site, rri_future *future, uint64_t *number)
{
    size_t inputs, name = strlen(target->class_name), head = rri_round16(sizeof class_id + name);
    rri_packing p;
    (void)site;
    int rc = check(calls, target, values, count, RRI_ONEWAY, &inputs, &p);
    if (rc) return rc;
    rri_record *r = begin_request(calls, target, head + p.bytes, p.segments);
    if (!r) return rri_error_last()->code;
    uint32_t bytes = r->bytes;
    *r = (rri_record){ .bytes = bytes, .kind = RRI_CREATE, .method = (uint16_t)name, .call = rri_future_handle(future) };
    char *body = (char *)(r + 1) + (p.segments ? sizeof(rri_bulk_note) : 0);
    memset(body, 0, head);
    memcpy(body, &class_id, sizeof class_id);
    memcpy(body + sizeof class_id, target->class_name, name);
    rc = pack_request(calls, r, target, values, &p, body + head, RRI_ASYNC, future);
    if (rc) {
        rri_lane_undo(calls->flow, target->peer, RRI_REQUESTS, bytes);
        return rc;
    }
    rri_future_keep(future);
    *number = r->object = rri_lane_number(calls->flow, target->peer);
    rri_lane_end(calls->flow, target->peer, RRI_REQUESTS, false);
    rri_progress_nudge(calls->progress);
    return RREF_OK;
}

int rri_call_note(rri_calls *calls, int peer, rri_record_kind kind, uint64_t object, uint64_t extra)
{
    rri_record *r = rri_lane_begin(calls->flow, peer, RRI_REQUESTS, sizeof *r);
    if (!r) return rri_error_last()->code;
    *r = (rri_record){ .bytes = sizeof *r, .kind = (uint8_t)kind, .object = object, .extra = extra };
    rri_lane_end(calls->flow, peer, RRI_REQUESTS, false);
    rri_progress_nudge(calls->progress);
    return RREF_OK;
}

void rri_call_expire(rri_calls *calls, rri_future *future)
{
    rref_error error;
    if (!rri_future_claim(future)) return;
    bool unsent = future->sending && rri_transfer_withdraw(calls->transfers, future->sending);
    rri_error_fill(&error, RREF_ERR_TIMEOUT, unsent ? "no answer in time; its data was not sent"
                                                    : "no answer in time; the call was sent");
    rri_future_error(future, &error);
}

/* ---- answers */

typedef struct arriving {
    rri_calls *calls;
    rri_future *future;
    rri_buffer *buffer;
    const void *payload;
    size_t bytes;
    void *landing;
    int peer;
} arriving;

static void settle(arriving *a, bool whole)
{
    rri_future *f = a->future;
    if (whole) {
        rri_future_value(f, a->payload, a->bytes, a->landing);
    } else {
        rref_error error;
        rri_error_fill(&error, RREF_ERR_PROTOCOL, "the result of rank %d could not be received", a->peer);
        free(a->landing);
        rri_future_error(f, &error);
    }
    rri_future_drop(f);
}

/* What came beside the message is checked like the rest. */
static bool good_segments(const arriving *a)
{
    rri_segment segments[RRI_TYPES_MAX];
    const rri_future *f = a->future;
    if (a->landing) rri_payload_segments(f->types, a->payload, a->landing, segments);
    else rri_outputs_segments(f->types, a->payload, f->outputs, NULL, segments);
    return rri_segments_check(f->types, a->payload, segments) == RREF_OK;
}

static void result_landed(void *arg, bool whole)
{
    arriving *a = arg;
    settle(a, whole && good_segments(a));
    rri_buffer_drop(a->buffer);
    free(a);
}

static void receive_bulk(arriving *a, const rri_bulk_note *note, const rri_packing *p)
{
    rri_segment segments[RRI_TYPES_MAX];
    rri_future *f = a->future;
    arriving *heap = malloc(sizeof *heap);
    bool direct = f->outputs && rri_outputs_fit(f->types, a->payload, f->outputs);
    a->landing = direct ? NULL : aligned_alloc(64, (p->bulk + 63) & ~(size_t)63);
    int rc = RREF_ERR_NO_MEMORY;
    if (heap && (direct || a->landing)) {
        *heap = *a;
        unsigned n = direct ? rri_outputs_segments(f->types, a->payload, f->outputs, NULL, segments)
                            : rri_payload_segments(f->types, a->payload, a->landing, segments);
        rri_buffer_keep(a->buffer);
        rc = rri_transfer_accept(a->calls->transfers, a->peer, note->transfer, segments, n, result_landed, heap);
        if (rc) rri_buffer_drop(a->buffer);
    }
    if (rc == RREF_OK) return;
    free(heap);
    rri_transfer_refuse(a->calls->transfers, a->peer, note->transfer);
    settle(a, false);
}

static void result(rri_calls *calls, const rri_record *r, rri_buffer *buffer)
{
    rri_packing p;
    rri_future *f = rri_future_of_call(&calls->futures, r->call);
    bool bulk = r->flags & RRI_FLAG_BULK;
    size_t head = sizeof *r + (bulk ? sizeof(rri_bulk_note) : 0);
    if (!f || r->bytes < head) {
        atomic_fetch_add(&calls->refused, 1);
        return;
    }
    arriving a = { calls, f, buffer, (const char *)r + head, r->bytes - head, NULL, buffer->peer };
    const rri_bulk_note *note = (const void *)(r + 1);
    bool good = rri_payload_check(f->types, a.payload, a.bytes, &p) == RREF_OK && (p.segments > 0) == bulk;
    if (r->object) calls->up.created(calls->up.up, f, r->object);
    if (!rri_future_claim(f)) {             /* late: nobody wants it */
        if (bulk) rri_transfer_refuse(calls->transfers, a.peer, note->transfer);
        if (good) rri_payload_refs(f->types, a.payload, calls->futures.trade.drop, calls->futures.trade.codec.up);
        rri_future_drop(f);
    } else if (!good) {
        settle(&a, false);
    } else if (bulk) {
        receive_bulk(&a, note, &p);
    } else {
        settle(&a, true);
    }
}

static bool read_failure(const rri_record *r, rref_error *error)
{
    const rri_failure *f = (const void *)(r + 1);
    if (r->bytes < sizeof *r + sizeof *f) return false;
    uint64_t strings = (uint64_t)f->host + f->where + f->text;
    if (!f->host || !f->where || !f->text || r->bytes < sizeof *r + sizeof *f + strings || f->code >= 0) return false;
    const char *host = (const char *)(f + 1), *where = host + f->host, *text = where + f->where;
    if (host[f->host - 1] || where[f->where - 1] || text[f->text - 1]) return false;
    rri_error_fill(error, f->code, "%s", text);
    error->rank = f->rank;
    error->hops = f->hops;
    rri_error_copy(error->host, sizeof error->host, host);
    rri_error_copy(error->where, sizeof error->where, where);
    return true;
}

static void failure(rri_calls *calls, const rri_record *r, rri_buffer *buffer)
{
    rref_error error;
    if (!read_failure(r, &error)) {
        rri_error_fill(&error, RREF_ERR_PROTOCOL, "rank %d answered with an error that cannot be read", buffer->peer);
        atomic_fetch_add(&calls->refused, 1);
    }
    if (r->flags & RRI_FLAG_ONEWAY) {
        error.caller = calls->rank;
        const char *site = r->call && r->call <= RRI_SITES ? calls->site[r->call - 1] : NULL;
        if (site) rri_error_copy(error.site, sizeof error.site, site);
        atomic_fetch_add(&calls->oneway_failures, 1);
        calls->up.unanswered(calls->up.up, &error);
        return;
    }
    rri_future *f = rri_future_of_call(&calls->futures, r->call);
    if (!f) return;
    if (f->sending) rri_transfer_withdraw(calls->transfers, f->sending);
    if (rri_future_claim(f)) rri_future_error(f, &error);
    rri_future_drop(f);
}

/* ---- the owner's side */

rref_call *rri_call_new(rri_calls *calls)
{
    rri_lock_take(&calls->lock);
    rref_call *c = calls->free;
    if (c) calls->free = c->next;
    rri_lock_give(&calls->lock);
    if (!c) c = malloc(sizeof *c);
    if (!c) return NULL;
    memset(c, 0, offsetof(rref_call, results));
    memset(c->copies, 0, sizeof *c - offsetof(rref_call, copies));
    c->calls = calls;
    c->deadline = RRI_NEVER;
    c->ready = true;
    atomic_store_explicit(&c->parts, 1, memory_order_relaxed);
    atomic_fetch_add(&calls->running, 1);
    return c;
}

void rri_exec_free(rref_call *c)
{
    rri_calls *calls = c->calls;
    rri_handler_done(c);
    for (size_t i = 0; i < c->taken_count; i++) calls->up.drop_ref(c->taken[i]);
    free(c->taken);
    free(c->error);
    if (c->deferred) rri_future_drop(c->deferred);
    if (c->landing_bytes) rri_landing_give(&calls->landings, c->landing, c->landing_bytes);
    else free(c->landing);
    for (unsigned i = 0; c->untidy && i < RRI_TYPES_MAX; i++) free(c->copies[i]);
    for (unsigned i = 0; i < c->owned_count; i++) c->owned_free[i](c->owned[i]);
    if (c->kept) rri_buffer_drop(c->buffer);
    rri_lock_take(&calls->lock);
    c->next = calls->free;
    calls->free = c;
    rri_lock_give(&calls->lock);
    atomic_fetch_sub(&calls->running, 1);
}

static void send_failure(rri_calls *calls, int peer, uint64_t call, uint8_t flags, const rref_error *e)
{
    rri_failure f = { .code = e->code, .rank = e->rank, .hops = e->hops, .host = (uint16_t)(strlen(e->host) + 1),
                      .where = (uint16_t)(strlen(e->where) + 1), .text = (uint32_t)strlen(e->text) + 1 };
    size_t strings = (size_t)f.host + f.where + f.text;
    rri_record *r = rri_lane_begin(calls->flow, peer, RRI_ANSWERS, rri_round16(sizeof *r + sizeof f + strings));
    if (!r) {
        rri_log(RRI_LOG_ERROR, "no memory to answer rank %d: %s", peer, e->text);
        return;
    }
    *r = (rri_record){ .bytes = r->bytes, .kind = RRI_FAILURE, .flags = flags, .call = call };
    char *at = (char *)(r + 1);
    memcpy(at, &f, sizeof f);
    memcpy(at += sizeof f, e->host, f.host);
    memcpy(at += f.host, e->where, f.where);
    memcpy(at += f.where, e->text, f.text);
    rri_lane_end(calls->flow, peer, RRI_ANSWERS, rri_progress_hurry(calls->progress));
}

static void answer_error(rref_call *c, const rref_error *given)
{
    rri_calls *calls = c->calls;
    rref_error e = *given;
    rri_error_origin(&calls->futures, &e);
    if (!e.where[0])
        snprintf(e.where, sizeof e.where, "%.60s.%.60s", c->class_name ? c->class_name : "?",
                 c->method_name ? c->method_name : "?");
    uint8_t flags = (uint8_t)((c->oneway ? RRI_FLAG_ONEWAY : 0) | (c->creation ? RRI_FLAG_CREATION : 0));
    send_failure(calls, c->peer, c->id, flags, &e);
}

/* A result that lies in bulk keeps its call alive until it has left. */
static void result_left(void *arg)
{
    rri_exec_left(arg);
}

static int answer_value(rref_call *c)
{
    rri_calls *calls = c->calls;
    rri_packing p;
    rri_segment segments[RRI_TYPES_MAX];
    if (c->result_count < c->out->count)
        return rri_fail(RREF_ERR_SIGNATURE, "the handler returned %u of %u results", c->result_count, c->out->count);
    int rc = rri_values_check(c->out, c->results, c->result_count, calls->eager, &p);
    if (rc) return rc;
    size_t note = p.segments ? sizeof(rri_bulk_note) : 0, bytes = rri_round16(sizeof(rri_record) + note + p.bytes);
    rri_record *r = rri_lane_begin(calls->flow, c->peer, RRI_ANSWERS, bytes);
    if (!r) return rri_error_last()->code;
    *r = (rri_record){ .bytes = r->bytes, .kind = RRI_RESULT, .call = c->id, .object = c->created };
    rc = rri_values_pack(c->out, c->results, &p, (char *)(r + 1) + note, segments, &calls->futures.trade.codec);
    if (rc == RREF_OK && p.segments) {
        atomic_fetch_add(&c->parts, 1);
        if (!c->kept && c->buffer) rri_buffer_keep(c->buffer);
        c->kept = c->buffer != NULL;
        uint64_t offer = rri_transfer_offer(calls->transfers, c->peer, segments, p.segments, result_left, c);
        if (!offer) {
            rc = RREF_ERR_NO_MEMORY;
            atomic_fetch_sub(&c->parts, 1);
        }
        r->flags = RRI_FLAG_BULK;
        *(rri_bulk_note *)(void *)(r + 1) = (rri_bulk_note){ offer, p.bulk };
    }
    if (rc) rri_lane_undo(calls->flow, c->peer, RRI_ANSWERS, bytes);
    else rri_lane_end(calls->flow, c->peer, RRI_ANSWERS, rri_progress_hurry(calls->progress));
    return rc;
}

/* The promise answers; if the handler failed after all, and nobody has completed it, it fails the same way. */
static void end_deferring(rref_call *c, int outcome)
{
    if (outcome == RREF_PENDING) return;
    if (outcome >= 0) outcome = rri_fail(RREF_ERR_STATE, "the handler deferred its answer and returned %d", outcome);
    else if (c->error) *rri_error_last() = *c->error;
    else rri_fail(outcome, "%s", outcome > RREF_ERR_USER ? rref_strerror(outcome) : "failed");
    if (rri_future_claim(c->deferred)) rri_future_error_last(c->deferred);
}

void rri_exec_answer(rref_call *c, int outcome)
{
    if (c->failed) outcome = c->failed;
    if (c->deferred) {
        end_deferring(c, outcome);
        return;
    }
    if (outcome > 0)
        outcome = rri_fail(RREF_ERR_STATE, "the handler returned %d, which is no outcome without rref_defer", outcome);
    if (outcome == RREF_OK && !c->oneway) outcome = answer_value(c);
    else if (outcome < 0 && !c->error) rri_fail(outcome, "%s", outcome > RREF_ERR_USER ? rref_strerror(outcome) : "failed");
    if (outcome < 0) answer_error(c, c->error ? c->error : rri_error_last());
}

/* The call fails before its method has run. */
static void fail_early(rref_call *c, int code, const char *why)
{
    c->failed = code;
    c->error = calloc(1, sizeof *c->error);
    if (c->error) rri_error_fill(c->error, code, "%s", why);
}

static void arguments_landed(void *arg, bool whole)
{
    rref_call *c = arg;
    rri_segment segments[RRI_TYPES_MAX];
    if (!whole) {
        fail_early(c, RREF_ERR_CANCELLED, "the caller withdrew the call's data");
    } else {
        rri_payload_segments(c->in, c->payload, c->landing, segments);
        if (rri_segments_check(c->in, c->payload, segments))
            fail_early(c, RREF_ERR_PROTOCOL, "the call's data cannot be decoded");
    }
    rri_exec_ready(c);
}

/* Take the arguments: in place, or start the transfer of what lies beside the message. */
static int take_arguments(rref_call *c, const rri_record *r)
{
    rri_packing p;
    rri_segment segments[RRI_TYPES_MAX];
    bool bulk = r->flags & RRI_FLAG_BULK;
    size_t head = sizeof *r + (bulk ? sizeof(rri_bulk_note) : 0);
    const rri_bulk_note *note = (const void *)(r + 1);
    if (r->bytes < head) return rri_fail(RREF_ERR_PROTOCOL, "the request is too short");
    if (r->kind == RRI_CREATE) head += rri_round16(sizeof(uint64_t) + r->method);
    if (r->bytes < head) return rri_fail(RREF_ERR_PROTOCOL, "the request is too short");
    c->payload = (const char *)r + head;
    c->bytes = r->bytes - head;
    int rc = rri_payload_check(c->in, c->payload, c->bytes, &p);
    if (rc) c->payload = NULL;
    if (rc == RREF_OK && (p.segments > 0) != bulk) rc = rri_fail(RREF_ERR_PROTOCOL, "the request's data does not fit it");
    if (rc || !bulk) return rc;
    c->landing_bytes = p.bulk;
    c->landing = rri_landing_take(&c->calls->landings, &c->landing_bytes);
    if (!c->landing) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %zu bytes of arguments", p.bulk);
    unsigned n = rri_payload_segments(c->in, c->payload, c->landing, segments);
    c->ready = false;
    return rri_transfer_accept(c->calls->transfers, c->peer, note->transfer, segments, n, arguments_landed, c);
}

static void refuse(rref_call *c, const rri_record *r)
{
    if (r->flags & RRI_FLAG_BULK) {
        const rri_bulk_note *note = (const void *)(r + 1);
        rri_transfer_refuse(c->calls->transfers, c->peer, note->transfer);
    }
    answer_error(c, rri_error_last());
    if (c->ended) c->ended(c, rri_error_last()->code);
    rri_exec_free(c);
}

static rri_verdict request(rri_calls *calls, const rri_record *r, rri_buffer *buffer, bool here)
{
    rref_call *c = rri_call_new(calls);
    if (!c) {
        rri_log(RRI_LOG_ERROR, "no memory for a call of rank %d", buffer->peer);
        return RRI_DONE;
    }
    c->peer = buffer->peer;
    c->id = r->call;
    c->oneway = r->flags & RRI_FLAG_ONEWAY;
    c->creation = r->kind == RRI_CREATE;
    if (r->kind == RRI_CALL && r->extra) c->deadline = rri_after(rri_now(), (int64_t)r->extra);
    int rc = calls->up.find(calls->up.up, r, buffer, c);
    if (rc == RRI_PARK) {
        rri_exec_free(c);
        return RRI_DONE;
    }
    if (rc == RREF_OK && here && !(c->flags & RREF_INLINE) && !rri_progress_may_run(calls->progress) && !c->creation) {
        rri_exec_free(c);
        return RRI_PASS;
    }
    atomic_fetch_add_explicit(&calls->in, 1, memory_order_relaxed);
    c->buffer = buffer;
    if (rc == RREF_OK) rc = take_arguments(c, r);
    if (rc) {
        refuse(c, r);
        return RRI_DONE;
    }
    return rri_exec_enter(c, here && rri_progress_may_run(calls->progress));
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

/* The driver is the only one to write; others read. */
static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_release);
}

/* Count a record as seen before it is served: serving may give the role away. */
static rri_verdict serve(rri_calls *calls, const rri_record *record, rri_buffer *buffer)
{
    count(&calls->served);
    rri_verdict v = request(calls, record, buffer, true);
    if (v == RRI_PASS) atomic_fetch_sub(&calls->served, 1);
    return v;
}

rri_verdict rri_call_dispatch(void *up, const rri_record *record, rri_buffer *buffer)
{
    rri_calls *calls = up;
    if (record->kind == RRI_CREATE || record->kind == RRI_CALL) return serve(calls, record, buffer);
    switch (record->kind) {
    case RRI_RELEASE: calls->up.release(calls->up.up, buffer->peer, record); break;
    case RRI_RESULT: result(calls, record, buffer); break;
    case RRI_FAILURE: failure(calls, record, buffer); break;
    case RRI_GRANT: rri_transfer_granted(calls->transfers, buffer->peer, record); break;
    case RRI_WITHDRAWN: rri_transfer_withdrawn(calls->transfers, buffer->peer, record); break;
    case RRI_PROBE:
    case RRI_REPORT:
    case RRI_LEAVE: calls->up.control(calls->up.up, buffer->peer, record); break;
    default:
        atomic_fetch_add(&calls->refused, 1);
        rri_log(RRI_LOG_ERROR, "a record of kind %u from rank %d was refused", record->kind, buffer->peer);
    }
    count(&calls->served);
    return RRI_DONE;
}

void rri_calls_close(rri_calls *calls)
{
    for (rref_call *c; (c = calls->free); free(c)) calls->free = c->next;
    rri_landings_close(&calls->landings);
    free(calls->site);
}
