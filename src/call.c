/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the caller's side of a call until it is on its way. What comes back is answer.c's, the other side serve.c's. */
#include "call.h"
#include "error.h"
#include "exec.h"
#include "fit.h"
#include "memory.h"

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
        _Atomic(const char *) *s = &calls->site[h];
        const char *there = atomic_load_explicit(s, memory_order_acquire);
        if (there == site) return h + 1;
        if (!there && atomic_compare_exchange_strong(s, &there, site)) return h + 1;
        if (there == site) return h + 1;
    }
    return 0;
}

/* What is sent beside the lane, until it has left. */
typedef struct outgoing {
    void *copy;                 /* memory of copied arrays */
    rri_future *future;         /* told when the caller's arrays are free again; or NULL */
} outgoing;

static void data_left(void *arg, rri_moved how)
{
    outgoing *o = arg;
    if (how == RRI_KEPT) rri_never_free(o->copy);
    else free(o->copy);
    if (o->future) {
        rri_event_set(&o->future->sent);
        rri_future_drop(o->future);
    }
    free(o);
}

/* What a sync call sends stays where it is, and so does what is borrowed; the rest is copied. */
static outgoing *hold_data(size_t copies, rri_future *in_place)
{
    outgoing *o = rri_calloc(1, sizeof *o);
    if (o && copies) o->copy = rri_malloc(copies);
    if (!o || (copies && !o->copy)) {
        free(o);
        rri_fail(RREF_ERR_NO_MEMORY, "no memory to copy %zu bytes of arrays", copies);
        return NULL;
    }
    if (!in_place) return o;
    o->future = in_place;
    rri_future_keep(in_place);
    if (rri_event_done(&in_place->sent)) atomic_store(&in_place->sent.word, 0);     /* else somebody may wait for it already */
    return o;
}

/* How long to wait for credit: a call with an answer is over in time, whatever it waits for. */
static int64_t room_until(rri_mode mode, int64_t deadline)
{
    return mode == RRI_SYNC || mode == RRI_ASYNC ? deadline : RRI_NEVER;
}

/* The call is about to be written, unless its time is over: then its future says that it was not sent. */
static bool departs(rri_future *f)
{
    unsigned char undecided = 0;
    if (!f || !f->timed || atomic_compare_exchange_strong(&f->departure, &undecided, RRI_DEPARTS)) return true;
    rri_fail(RREF_ERR_TIMEOUT, "the call's time was over before it could be sent");
    return false;
}

RRI_TRIES(rri_lane)
static rri_record *begin_request(rri_calls *calls, const rri_target *target, size_t notes, size_t body, int64_t deadline,
                                 rri_future *future)
{
    size_t bytes = rri_round16(sizeof(rri_record) + notes + body);
    if (target->tries && rri_lane_full(calls->flow, target->peer)) {
        rri_fail(RREF_ERR_WOULD_BLOCK, "calls to rank %d wait for credit", target->peer);
        return NULL;
    }
    if (!rri_progress_room(calls->progress, target->peer, deadline)) {
        rri_fail(RREF_ERR_TIMEOUT, "rank %d has not taken earlier calls in time; the call was not sent", target->peer);
        return NULL;
    }
    rri_record *r = rri_lane_begin(calls->flow, target->peer, RRI_REQUESTS, bytes);
    if (!r || departs(future)) return r;
    rri_lane_undo(calls->flow, target->peer, RRI_REQUESTS, r->bytes);
    return NULL;
}

/* What the call is, for reports; its callbacks are of its colour. made: by the coarse clock; 0: who waits looks at the clock when
 * it has to sleep. The lane is held. */
RRI_NEEDS(rri_lane)
static void mark_future_of(rri_calls *calls, rri_future *future, const rri_target *target, int64_t made)
{
    future->colour = rri_lane_colour(calls->flow, target->peer);
    future->coloured = true;
    atomic_store_explicit(&future->class_name, target->class_name, memory_order_relaxed);
    atomic_store_explicit(&future->peer, target->peer, memory_order_relaxed);
    atomic_store_explicit(&future->made, made, memory_order_relaxed);
    atomic_store_explicit(&future->method_name, target->method_name, memory_order_release);
}

RRI_NEEDS(rri_lane)
static void mark_future(rri_calls *calls, rri_future *future, const rri_target *target)
{
    if (future) mark_future_of(calls, future, target, future->lone ? 0 : rri_now_coarse());
}

/* Offer what does not ride in the message; *offer is 0 if that is nothing. */
static int offer_data(rri_calls *calls, const rri_target *target, const rri_packing *p, size_t copies, rri_future *in_place,
                      void **copy, rri_segment **segments, uint64_t *offer)
{
    *offer = 0;
    if (!p->segments) return RREF_OK;
    outgoing *o = hold_data(copies, in_place);
    if (!o) return RREF_ERR_NO_MEMORY;
    *copy = o->copy;
    *offer = rri_transfer_offer(calls->transfers, target->peer, segments, p->segments, data_left, o);
    if (!*offer) data_left(o, RRI_MOVED);
    return *offer ? RREF_OK : RREF_ERR_NO_MEMORY;
}

/* One array goes right behind the request if the owner has room for it: then nobody waits for a grant. Not before the owner has
 * answered the creation: until then a request may have to wait for it there, and its data with it. */
RRI_NEEDS(rri_lane)
static bool can_push(rri_calls *calls, const rri_target *target, const rri_packing *p, const rri_segment *segment,
                     rri_future *future)
{
    if (!calls->posts || p->segments != 1 || target->address & RRI_NAMED || target->peer == calls->rank) return false;
    if (!rri_lane_open(calls->flow, target->peer)) return false;
    future->pushed_tag = rri_transfer_draw(calls->transfers, target->peer, segment->bytes);
    if (future->pushed_tag) future->pushed = segment->bytes;
    return future->pushed_tag;
}

/* Memory comes first: behind the packing nothing fails. */
RRI_NEEDS(rri_lane)
static int pack_request(rri_calls *calls, rri_record *r, const rri_target *target, const rref_value *values,
                        const rri_packing *p, void *payload, rri_mode mode, rri_future *future)
{
    void *copy = NULL;
    uint64_t offer;
    rri_segment *segments = NULL;
    bool waits = mode == RRI_SYNC, in_place = waits && !p->spread;
    rri_future *told = waits || p->borrowed ? future : NULL;
    int rc = offer_data(calls, target, p, in_place ? 0 : p->copies, told, &copy, &segments, &offer);
    if (rc == RREF_OK) rc = rri_values_pack(target->in, values, p, payload, segments, &calls->futures.trade.codec);
    if (rc && offer) rri_transfer_withdraw(calls->transfers, offer);
    if (rc || !offer) return rc;
    if (copy) rri_segments_copy(p, segments, copy);
    if ((mode == RRI_SYNC || mode == RRI_ASYNC) && r->kind == RRI_CALL && can_push(calls, target, p, segments, future))
        rri_transfer_attach(calls->transfers, offer, future->pushed_tag, segments->bytes, r);
    else
        rri_transfer_announce(calls->transfers, offer, p->bulk, r);
    if (future) future->sending = offer;    /* last: whose time is over withdraws it, but not what the record says is pushed */
    return RREF_OK;
}

int rri_call_check(const rri_calls *calls, const rri_target *target, const rref_value *values, size_t count, rri_mode mode,
                   size_t *inputs, rri_packing *packing)
{
    *inputs = rri_values_inputs(values, count);
    int rc = rri_values_check(target->in, values, *inputs, calls->eager, packing);
    if (rc == RREF_OK && (mode == RRI_ONEWAY || mode == RRI_REMOTE) && (*inputs < count || packing->borrowed))
        rc = rri_fail(RREF_ERR_SIGNATURE, "a %s call takes neither outputs nor borrowed arrays",
                      mode == RRI_ONEWAY ? "one-way" : "remote-mode");
    if (rc == RREF_OK && *inputs < count) rc = rri_outputs_check(target->out, values + *inputs, count - *inputs);
    return rc;
}

static int keep_outputs(rri_future *future, const rref_value *outputs, size_t count, bool copy)
{
    if (!count) return RREF_OK;
    if (copy && count == 1) {
        future->output = *outputs;
        outputs = &future->output;
        copy = false;
    } else if (copy) {
        rref_value *own = rri_malloc(count * sizeof *own);
        if (!own) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for outputs");
        memcpy(own, outputs, count * sizeof *own);
        outputs = own;
    }
    future->outputs = outputs;
    future->output_count = (unsigned)count;
    future->outputs_owned = copy;
    return RREF_OK;
}

void rri_call_due(rri_timer *timer)
{
    rri_future *f = (rri_future *)(void *)((char *)timer - offsetof(rri_future, timer));
    rri_call_expire(rri_calls_of(f), f);
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
    if (rc == RREF_OK && mode == RRI_ASYNC && !future->timed) rc = rri_future_deadline(future, deadline, rri_call_due);
    if (rc == RREF_OK) rri_future_keep_in_flight(future);
    return rc;
}

/* Bytes of the list, 0 for a call that no method makes. */
static size_t name_ancestors(rri_ancestor list[1 + RRI_ANCESTORS])
{
    unsigned n = rri_exec_ancestors(list + 1);
    list[0] = (rri_ancestor){ n, 0, 0 };
    return n ? (1 + n) * sizeof *list : 0;
}

/* The result's number is drawn with the lane held, so that numbers arrive in order; unless it was announced. */
RRI_NEEDS(rri_lane)
static void number_result(rri_calls *calls, rri_record *r, int peer, void *body, rri_future *future)
{
    r->flags |= RRI_FLAG_REMOTE;
    if (!future->number) future->number = rri_lane_number(calls->flow, peer);
    *(rri_remote_note *)body = (rri_remote_note){ future->number, 0 };
}

static rri_posted *take_posted(rri_future *f)
{
    return atomic_load(&f->posted) ? atomic_exchange(&f->posted, NULL) : NULL;
}

void rri_call_unpost(rri_future *future)
{
    rri_posted *posted = take_posted(future);
    if (posted) rri_posted_withdraw(posted, NULL, NULL);
}

/* Its error is set. */
static void outputs_back(void *arg, rri_moved how)
{
    rri_future *f = arg;
    rref_error error;
    if (how == RRI_KEPT) {
        rri_peer_blame(rri_calls_of(f)->peers, atomic_load(&f->peer), &error, RRI_OUTPUTS_KEPT);
        rri_future_blame(f, &error);
    }
    rri_future_fail(f);
    rri_future_drop(f);
}

void rri_call_fail(rri_calls *calls, rri_future *f, const rref_error *error)
{
    rri_posted *posted = take_posted(f);
    if (!posted) {
        rri_future_error(f, error);
        return;
    }
    rri_future_keep(f);
    rri_future_blame(f, error);
    rri_moved how = rri_posted_withdraw(posted, outputs_back, f);
    if (how != RRI_MOVES) outputs_back(f, how);
    else rri_progress_nudge(calls->progress);       /* whoever drives may sleep, and has to look after it now */
}

/* Nobody will answer a call that has not been sent. */
static void forget_room(rri_calls *calls, int peer, rri_future *future)
{
    rri_call_unpost(future);
    if (future->room_tag) rri_transfer_over(calls->transfers, peer, future->room_tag, NULL);
    future->room_tag = 0;
}

static void unsend(rri_calls *calls, const rri_target *target, rri_future *future)
{
    if (!future) return;
    forget_room(calls, target->peer, future);
    rri_future_drop(future);
}

/* A large result is received where the caller wants it, and its receive posted before the call is sent. Who completes the future
 * meanwhile, because its time is over, may have missed it. */
static size_t post_result(rri_calls *calls, const rri_target *target, const rref_value *outputs, size_t count,
                          rri_future *future, rri_room_note *note)
{
    rri_segment room;
    unsigned which;
    if (!calls->posts || target->peer == calls->rank || !count) return 0;
    if (!rri_outputs_room(target->out, outputs, count, calls->eager, &which, &room) || room.bytes > RRI_LAYOUT_MAX) return 0;
    rri_posted *posted = rri_transfer_post(calls->transfers, target->peer, &room);
    if (!posted) return 0;
    *note = (rri_room_note){ rri_posted_tag(posted), (uint8_t)which, room.layout != 0, 0, room.bytes };
    future->room_tag = note->tag;
    atomic_store(&future->posted, posted);
    if (!(atomic_load(&future->event.word) & (RRI_EVENT_BUSY | RRI_EVENT_DONE))) return sizeof *note;
    forget_room(calls, target->peer, future);
    return 0;
}

/* ---- numbers for numbers, which most calls are */

/* Whether that is what is given and wanted. Whatever is wrong is found, and told, on the long way. */
bool rri_call_is_plain(const rri_target *target, const rref_value *values, size_t count)
{
    const rri_types *in = target->in, *out = target->out;
    if (in->variables || in->refs || (count != in->count && count != in->count + out->count)) return false;
    uint64_t bits[2];
    for (unsigned i = 0; i < in->count; i++)
        if (!rri_same_word(&in->type[i], &values[i]) && rri_scalar_fit(&in->type[i], &values[i], bits) != RRI_FITS) return false;
    for (unsigned i = in->count; i < count; i++)
        if (!rri_same_room(&out->type[i - in->count], &values[i])) return false;
    return true;
}

RRI_ASIDE
static void convert_numbers(const rri_type *type, const rri_type *end, const rref_value *values, char *payload)
{
    for (; type < end; type++) rri_number_convert(type, values++, payload + type->slot);
}

static inline void pack_numbers(const rri_types *in, const rref_value *values, char *payload)
{
    const rri_type *type = in->type, *end = type + in->count;
    for (; type < end && rri_same_word(type, values); type++, values++)
        memcpy(payload + type->slot, &values->bits, sizeof values->bits);
    if (type < end) convert_numbers(type, end, values, payload);
}

/* The same for an async call of numbers without a limit of time. */
static int arm_run(const rri_run *run, const rref_value *values, size_t count, rri_future *future)
{
    const unsigned inputs = run->target.in->count;
    int rc = keep_outputs(future, values + inputs, count - inputs, true);
    if (rc == RREF_OK) rri_future_keep_in_flight(future);
    return rc;
}

static int arm_plain(const rri_target *target, const rref_value *values, size_t count, rri_mode mode, rri_future *future,
                     int64_t deadline)
{
    const unsigned inputs = target->in->count;
    return arm(future, mode, count > inputs ? values + inputs : NULL, count - inputs, deadline);
}

/* Nothing was sent. */
static int unarm(rri_future *future)
{
    int rc = rri_error_last()->code;
    if (future) rri_future_drop(future);
    return rc;
}

rri_run rri_call_run_of(rri_calls *calls, const rri_target *target, const char *site, bool oneway)
{
    rri_record like = { .kind = RRI_RUN, .method = target->method, .object = target->address,
                        .flags = oneway ? RRI_FLAG_ONEWAY : 0, .call = oneway ? number_of_site(calls, site) : 0,
                        .extra = rri_run_extra(target->in->slots) };
    return (rri_run){ calls, calls->flow, rri_lane_to(calls->flow, target->peer), *target, like };
}

/* The lane is held. */
RRI_NEEDS(rri_lane)
RRI_IN_LINE void put_in_run(const rri_run *run, char *at, const rref_value *values, rri_future *future)
{
    uint64_t handle = rri_future_handle(future);
    mark_future_of(run->calls, future, &run->target, *rri_lane_begun(run->flow, run->target.peer));
    memcpy(at, &handle, sizeof handle);
    pack_numbers(run->target.in, values, at + sizeof handle);
    atomic_store_explicit(&future->owed, run->target.peer + 1, memory_order_release);
}

/* The first of a run. */
RRI_TRIES(rri_lane)
static char *begin_run(const rri_run *run)
{
    rri_record *r = begin_request(run->calls, &run->target, 0, rri_run_item(&run->like), RRI_NEVER, NULL);
    if (!r) return NULL;
    uint32_t bytes = r->bytes;
    *r = run->like;
    r->bytes = bytes;
    return (char *)(r + 1);
}

static void end_first(const rri_run *run) RRI_GIVES(rri_lane);
static void end_first(const rri_run *run)
{
    rri_lane_end(run->flow, run->target.peer, RRI_REQUESTS, RRI_COMPANY);
    rri_progress_nudge(run->calls->progress);
}

RRI_ASIDE
static int post_first(const rri_run *run, const rref_value *values)
{
    char *at = begin_run(run);
    if (!at) return rri_error_last()->code;
    pack_numbers(run->target.in, values, at);
    end_first(run);
    return RREF_OK;
}

int rri_call_run_post(const rri_run *run, const rref_value *values)
{
    char *at = rri_lane_grow(run->flow, run->lane, &run->like);
    if (!at) return post_first(run, values);
    pack_numbers(run->target.in, values, at);
    rri_lane_grown(run->flow, run->lane);
    return RREF_OK;
}

RRI_ASIDE
static int async_first(const rri_run *run, const rref_value *values, rri_future *future)
{
    char *at = begin_run(run);
    if (!at) return unarm(future);
    *rri_lane_begun(run->flow, run->target.peer) = rri_now_coarse();     /* one look at the clock for all of the run */
    put_in_run(run, at, values, future);
    end_first(run);
    return RREF_OK;
}

int rri_call_run_async(const rri_run *run, const rref_value *values, size_t count, rri_future *future)
{
    int rc = arm_run(run, values, count, future);
    if (rc) return rc;
    char *at = rri_lane_grow(run->flow, run->lane, &run->like);
    if (!at) return async_first(run, values, future);
    put_in_run(run, at, values, future);
    rri_lane_grown(run->flow, run->lane);
    return RREF_OK;
}

static int send_plain(rri_calls *calls, const rri_target *target, const rref_value *values, size_t count, rri_mode mode,
                      const char *site, rri_future *future, int64_t deadline)
{
    const rri_types *in = target->in;
    int rc = arm_plain(target, values, count, mode, future, deadline);
    if (rc) return rc;
    rri_record *r = begin_request(calls, target, 0, in->slots, room_until(mode, deadline), future);
    if (!r) return unarm(future);
    mark_future(calls, future, target);
    *r = (rri_record){ .bytes = r->bytes, .kind = RRI_CALL, .method = target->method, .object = target->address,
                       .flags = future ? 0 : RRI_FLAG_ONEWAY, .extra = time_left(deadline),
                       .call = future ? rri_future_handle(future) : number_of_site(calls, site) };
    pack_numbers(in, values, (char *)(r + 1));
    if (future) atomic_store_explicit(&future->owed, target->peer + 1, memory_order_release);
    if (mode == RRI_SYNC) rri_progress_ready(calls->progress);
    rri_lane_end(calls->flow, target->peer, RRI_REQUESTS, mode == RRI_SYNC ? RRI_AT_ONCE : RRI_COMPANY);
    if (mode != RRI_SYNC) rri_progress_nudge(calls->progress);
    return RREF_OK;
}

static bool is_run(const rri_target *target, rri_mode mode, int64_t deadline)
{
    return target->runs && mode != RRI_SYNC && deadline == RRI_NEVER;
}

int rri_call_plain_sync(const rri_run *run, const rref_value *values, size_t count, rri_future *future)
{
    return send_plain(run->calls, &run->target, values, count, RRI_SYNC, future->site, future, RRI_NEVER);
}

int rri_call_send(rri_calls *calls, const rri_target *target, const rref_value *values, size_t count, rri_mode mode,
                  const char *site, rri_future *future, int64_t deadline)
{
    size_t inputs;
    rri_packing p;
    bool nobody_waits = !future || !rri_exec_nested();
    if (nobody_waits && mode != RRI_REMOTE && (future || count == target->in->count)
        && rri_call_is_plain(target, values, count)) {
        if (!is_run(target, mode, deadline)) return send_plain(calls, target, values, count, mode, site, future, deadline);
        rri_run run = rri_call_run_of(calls, target, site, !future);
        return future ? rri_call_run_async(&run, values, count, future) : rri_call_run_post(&run, values);
    }
    rri_room_note room;
    int rc = rri_call_check(calls, target, values, count, mode, &inputs, &p);
    if (rc == RREF_OK) rc = arm(future, mode, inputs < count ? values + inputs : NULL, count - inputs, deadline);
    if (rc) return rc;
    size_t posted = future ? post_result(calls, target, values + inputs, count - inputs, future, &room) : 0;
    size_t notes = (p.segments ? sizeof(rri_bulk_note) : 0) + posted;
    rri_ancestor ancestors[1 + RRI_ANCESTORS];
    size_t note = mode == RRI_REMOTE ? sizeof(rri_remote_note) : 0;
    size_t nested = future ? name_ancestors(ancestors) : 0;     /* for a one-way call nobody waits */
    rri_record *r = begin_request(calls, target, notes, note + nested + p.bytes, room_until(mode, deadline), future);
    if (!r) {
        rc = rri_error_last()->code;
        unsend(calls, target, future);
        return rc;
    }
    uint32_t bytes = r->bytes;
    mark_future(calls, future, target);
    *r = (rri_record){ .bytes = bytes, .kind = RRI_CALL, .method = target->method, .object = target->address,
                       .flags = (uint8_t)((future ? 0 : RRI_FLAG_ONEWAY) | (nested ? RRI_FLAG_NESTED : 0)
                                          | (posted ? RRI_FLAG_ROOM : 0)),
                       .extra = time_left(deadline),
                       .call = future ? rri_future_handle(future) : number_of_site(calls, site) };
    char *body = (char *)(r + 1) + notes;
    memcpy(body - posted, &room, posted);
    memcpy(body + note, ancestors, nested);
    rc = pack_request(calls, r, target, values, &p, body + note + nested, mode, future);
    if (rc) {
        rri_lane_undo(calls->flow, target->peer, RRI_REQUESTS, bytes);
        unsend(calls, target, future);
        return rc;
    }
    if (mode == RRI_REMOTE) number_result(calls, r, target->peer, body, future);
    uint64_t push = future && future->pushed_tag ? future->sending : 0;
    if (future) atomic_store_explicit(&future->owed, target->peer + 1, memory_order_release);
    if (mode == RRI_SYNC && !nested) rri_progress_ready(calls->progress);
    rri_lane_end(calls->flow, target->peer, RRI_REQUESTS, mode == RRI_SYNC || push ? RRI_AT_ONCE : RRI_COMPANY);
    if (push) rri_transfer_push(calls->transfers, push);
    else if (p.segments && future && rri_event_done(&future->event))     /* its time was over before there was an offer */
        rri_transfer_withdraw(calls->transfers, future->sending);
    if (mode != RRI_SYNC) rri_progress_nudge(calls->progress);
    return RREF_OK;
}

int rri_call_create(rri_calls *calls, const rri_target *target, uint64_t class_id, const char *name, size_t name_bytes,
                    const rref_value *values, size_t count, rri_future *future, uint64_t *number)
{
    size_t inputs, head = rri_round16(sizeof class_id + name_bytes);
    rri_packing p;
    int rc = rri_call_check(calls, target, values, count, RRI_ONEWAY, &inputs, &p);
    if (rc) return rc;
    rri_record *r = begin_request(calls, target, p.segments ? sizeof(rri_bulk_note) : 0, head + p.bytes, RRI_NEVER, NULL);
    if (!r) return rri_error_last()->code;
    uint32_t bytes = r->bytes;
    mark_future(calls, future, target);
    *r = (rri_record){ .bytes = bytes, .kind = RRI_CREATE, .method = (uint16_t)name_bytes, .call = rri_future_handle(future) };
    char *body = (char *)(r + 1) + (p.segments ? sizeof(rri_bulk_note) : 0);
    memset(body, 0, head);
    memcpy(body, &class_id, sizeof class_id);
    memcpy(body + sizeof class_id, name, name_bytes);
    rc = pack_request(calls, r, target, values, &p, body + head, RRI_ASYNC, future);
    if (rc) {
        rri_lane_undo(calls->flow, target->peer, RRI_REQUESTS, bytes);
        return rc;
    }
    rri_future_keep(future);
    atomic_store_explicit(&future->owed, target->peer + 1, memory_order_release);
    *number = r->object = rri_lane_number(calls->flow, target->peer);
    rri_lane_end(calls->flow, target->peer, RRI_REQUESTS, RRI_COMPANY);
    rri_progress_nudge(calls->progress);
    return RREF_OK;
}

int rri_call_announce(rri_calls *calls, int peer, uint64_t *number)
{
    rri_progress_room(calls->progress, peer, RRI_NEVER);
    rri_record *r = rri_lane_begin(calls->flow, peer, RRI_REQUESTS, sizeof *r);
    if (!r) return rri_error_last()->code;
    *number = rri_lane_number(calls->flow, peer);
    *r = (rri_record){ .bytes = r->bytes, .kind = RRI_ANNOUNCE, .object = *number };
    rri_lane_end(calls->flow, peer, RRI_REQUESTS, false);
    rri_progress_nudge(calls->progress);
    return RREF_OK;
}

bool rri_call_give_up(rri_calls *calls, rri_future *future, const rref_error *error)
{
    if (!rri_future_claim(future)) return false;
    if (future->sending) rri_transfer_withdraw(calls->transfers, future->sending);
    rri_call_fail(calls, future, error);
    return true;
}

void rri_call_expire(rri_calls *calls, rri_future *future)
{
    rref_error error;
    if (!rri_future_claim(future)) return;
    bool withdrawn = future->sending && rri_transfer_withdraw(calls->transfers, future->sending);
    unsigned char undecided = 0;
    bool stays = future->timed && atomic_compare_exchange_strong(&future->departure, &undecided, RRI_STAYS);
    bool held = future->types == &rri_types_to_come;
    rri_error_fill(&error, RREF_ERR_TIMEOUT, "%s", held ? "the object's class was not known in time; the call was not sent"
                                             : stays ? "no answer in time; the call was not sent"
                                             : withdrawn ? "no answer in time; its data was not sent"
                                                      : "no answer in time; the call was sent");
    rri_call_fail(calls, future, &error);
}

int rri_call_deadline(const rri_calls *calls, double timeout, int64_t *deadline)
{
    int64_t ns = RRI_NEVER, outer = rri_exec_deadline();
    if (timeout == RREF_DEFAULT_TIMEOUT) ns = atomic_load_explicit(&calls->futures.timeout, memory_order_relaxed);
    else if (!rri_seconds(timeout, &ns)) return rri_fail(RREF_ERR_ARGUMENT, "a timeout of %g seconds", timeout);
    *deadline = ns == RRI_NEVER ? RRI_NEVER : rri_after(rri_now(), ns);
    if (outer < *deadline) *deadline = outer;
    return RREF_OK;
}

/* Nobody waits any more. Whoever completes it already writes into the caller's outputs, and that is waited for. */
static int leave(rri_calls *calls, rri_future *future, int why)
{
    if (why == RREF_ERR_FINALIZED) rri_fail(why, "the context ended during the wait");
    if (rri_future_claim(future)) {
        if (future->sending) rri_transfer_withdraw(calls->transfers, future->sending);
        rri_call_fail(calls, future, rri_error_last());
    }
    return rri_progress_settle(calls->progress, &future->event);
}

int rri_call_wait(rri_calls *calls, rri_future *future, int64_t deadline)
{
    int rc = rri_exec_wait(future, deadline);
    if (rc == RREF_ERR_PENDING) {
        rri_call_expire(calls, future);
        rc = rri_progress_settle(calls->progress, &future->event);
    }
    return rc ? leave(calls, future, rc) : RREF_OK;
}
