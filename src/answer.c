/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what comes back for a call: its results, or why there are none, on their way into the future. */
#include "answer.h"
#include "dropped.h"
#include "error.h"
#include "log.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

typedef struct arriving {
    rri_calls *calls;
    rri_future *future;
    rri_buffer *buffer;
    const void *payload;                /* NULL: cannot be read */
    size_t bytes;
    void *landing;
    int peer;
    unsigned colour;            /* of a result that lands beside its message */
    bool good;                  /* the payload can be read */
    bool kept;                  /* MPI keeps the caller's outputs */
} arriving;

static void settle(arriving *a, int outcome)
{
    rri_future *f = a->future;
    if (outcome == RREF_OK) {
        rri_future_value(f, a->payload, a->bytes, a->landing);
    } else {
        rref_error error;
        if (outcome == RREF_ERR_PEER_LOST)
            rri_peer_blame(a->calls->peers, a->peer, &error, a->kept ? RRI_OUTPUTS_KEPT : "; its result had begun to come");
        else
            rri_error_fill(&error, outcome, outcome == RREF_ERR_NO_MEMORY ? "no memory to receive the result of rank %d"
                                                                          : "the result of rank %d cannot be decoded", a->peer);
        free(a->landing);
        if (a->good) rri_payload_drop(f->types, a->payload, &f->all->trade.codec);
        rri_call_fail(a->calls, f, &error);
    }
    rri_future_drop(f);
}

/* The memory is MPI's for good: the outputs, which the caller is told, or what was to become theirs. */
static void keep_landing(arriving *a)
{
    a->kept = !a->landing;
    rri_never_free(a->landing);
    a->landing = NULL;
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

static void result_landed(void *arg, rri_moved how)
{
    arriving *a = arg;
    rri_colours *colours = a->calls->futures.colours;
    unsigned colour = a->colour;
    rri_paint before = rri_paint_on(colours, colour);
    if (how == RRI_KEPT) keep_landing(a);
    if (how != RRI_MOVED && rri_lane_is_shut(a->calls->flow, a->peer)) settle(a, RREF_ERR_PEER_LOST);
    else settle(a, how == RRI_MOVED && good_segments(a) ? RREF_OK : RREF_ERR_PROTOCOL);
    rri_buffer_drop(a->buffer);
    free(a);
    rri_paint_back(before);
    rri_idle(colours, colour);
}

static void receive_bulk(arriving *a, const rri_bulk_note *note, const rri_packing *p)
{
    rri_segment segments[RRI_TYPES_MAX];
    rri_future *f = a->future;
    arriving *heap = rri_malloc(sizeof *heap);
    bool direct = f->outputs && rri_outputs_fit(f->types, a->payload, f->outputs);
    a->landing = direct ? NULL : rri_aligned_alloc(64, (p->bulk + 63) & ~(size_t)63);
    int rc = RREF_ERR_NO_MEMORY;
    if (heap && (direct || a->landing)) {
        *heap = *a;
        unsigned n = direct ? rri_outputs_segments(f->types, a->payload, f->outputs, NULL, segments)
                            : rri_payload_segments(f->types, a->payload, a->landing, segments);
        rri_buffer_keep(a->buffer);
        rri_busy(a->calls->futures.colours, a->colour);
        rc = rri_transfer_accept(a->calls->transfers, a->peer, note->transfer, segments, n, result_landed, heap);
        if (rc) {
            rri_idle(a->calls->futures.colours, a->colour);
            rri_buffer_drop(a->buffer);
        }
    }
    if (rc == RREF_OK) return;
    free(heap);
    rri_transfer_refuse(a->calls->transfers, a->peer, note->transfer);
    settle(a, RREF_ERR_NO_MEMORY);
}

/* The owner is done with the call: what it was given ahead for it is free again. */
static void answered(rri_calls *calls, rri_future *f, int peer)
{
    if (f->pushed_tag) rri_transfer_answered(calls->transfers, peer, f->pushed_tag, f->pushed);
    f->pushed_tag = 0;
}

/* The receive that was posted for the result is not needed; late: its data comes all the same. */
static void end_room(rri_calls *calls, rri_future *f, int peer, const rri_bulk_note *late)
{
    uint16_t tag = f->room_tag;
    f->room_tag = 0;
    rri_transfer_over(calls->transfers, peer, tag, late);
}

/* The result comes where a receive was posted for it. */
static void receive_posted(arriving *a, const rri_bulk_note *note)
{
    rri_future *f = a->future;
    bool comes = f->room_tag && f->room_tag == note->transfer;
    bool fits = comes && a->good && rri_outputs_fit(f->types, a->payload, f->outputs);
    arriving *heap = fits ? rri_malloc(sizeof *heap) : NULL;
    if (heap) {
        *heap = *a;
        f->room_tag = 0;
        rri_buffer_keep(a->buffer);
        rri_busy(a->calls->futures.colours, a->colour);
        rri_posted_await(atomic_exchange(&f->posted, NULL), (size_t)note->bytes, result_landed, heap);
        return;
    }
    rri_future_keep(f);
    settle(a, fits ? RREF_ERR_NO_MEMORY : RREF_ERR_PROTOCOL);
    end_room(a->calls, f, a->peer, comes ? note : NULL);
    rri_future_drop(f);
}

/* A late result: nobody wants it. */
static void refuse_result(arriving *a, const rri_bulk_note *note)
{
    rri_future *f = a->future;
    bool comes = note && f->room_tag && f->room_tag == note->transfer;
    end_room(a->calls, f, a->peer, comes ? note : NULL);
    if (note && !rri_bulk_pushed(note)) rri_transfer_refuse(a->calls->transfers, a->peer, note->transfer);
    if (a->good) rri_payload_drop(f->types, a->payload, &f->all->trade.codec);
    rri_future_drop(f);
}

/* An answer to nothing that was asked, or one too short to be read. */
static void unexpected(rri_calls *calls, const rri_record *r, rri_buffer *buffer)
{
    atomic_fetch_add(&calls->refused, 1);
    rri_log(RRI_LOG_ERROR, "an answer of rank %d that nobody waits for was refused", buffer->peer);
    rri_transfer_refuse_note(calls->transfers, buffer->peer, r);
}

/* A result whose types there is no memory for: the references that it carries go back. */
static void give_back(const rri_future *f, const char *text, const char *payload, size_t bytes)
{
    char memory[4096];
    rri_signature s;
    rri_packing p;
    if (rri_signature_parse_at(text, memory, sizeof memory, &s) == RREF_OK && !rri_payload_check(&s.in, payload, bytes, &p))
        rri_payload_drop(&s.in, payload, &f->all->trade.codec);
}

/* A described result tells its future of what types it is, if that was asked for. */
static int read_description(rri_future *f, const rri_record *r, size_t *head)
{
    const char *text = (const char *)r + *head;
    const char *end = memchr(text, 0, r->bytes - *head);
    size_t after = end ? *head + rri_round16((size_t)(end - text) + 1) : SIZE_MAX;
    if (after > r->bytes || !f->open || f->own) return RREF_ERR_PROTOCOL;
    rri_signature *own = rri_malloc(sizeof *own);
    int rc = own ? rri_signature_parse(text, own) : RREF_ERR_NO_MEMORY;
    *head = after;
    if (rc) {
        free(own);
        if (rc == RREF_ERR_NO_MEMORY) give_back(f, text, (const char *)r + after, r->bytes - after);
        return rc == RREF_ERR_NO_MEMORY ? rc : RREF_ERR_PROTOCOL;
    }
    f->own = own;
    f->types = &own->in;
    return RREF_OK;
}

void rri_answer_result(rri_calls *calls, const rri_record *r, rri_buffer *buffer)
{
    rri_packing p;
    bool bulk = r->flags & RRI_FLAG_BULK;
    size_t head = sizeof *r + (bulk ? sizeof(rri_bulk_note) : 0);
    rri_future *f = r->bytes < head ? NULL : rri_future_of_answer(&calls->futures, r->call, buffer->peer);
    if (!f) {
        unexpected(calls, r, buffer);
        return;
    }
    int rc = r->flags & RRI_FLAG_DESCRIBED ? read_description(f, r, &head) : RREF_OK;
    arriving a = { calls, f, buffer, (const char *)r + head, r->bytes - head, NULL, buffer->peer,
                   rri_record_colour(r), false, false };
    const rri_bulk_note *note = bulk ? (const void *)(r + 1) : NULL;
    answered(calls, f, a.peer);
    a.good = !rc && rri_payload_check(f->types, a.payload, a.bytes, &p) == RREF_OK && (p.segments > 0) == bulk;
    if (!rri_future_claim(f)) {
        refuse_result(&a, note);
        return;
    }
    if (r->object) calls->up.created(calls->up.up, f, r->object);
    if (note && rri_bulk_pushed(note)) {
        receive_posted(&a, note);
        return;
    }
    rri_call_unpost(f);
    end_room(calls, f, a.peer, NULL);
    if (!a.good) {
        rri_transfer_refuse_note(calls->transfers, a.peer, r);
        settle(&a, rc ? rc : RREF_ERR_PROTOCOL);
    } else if (bulk) {
        receive_bulk(&a, note, &p);
    } else {
        settle(&a, RREF_OK);
    }
}

/* A call whose answer has come, and its time may be over; nothing will come beside the message. */
static bool claim_alone(rri_calls *calls, rri_future *f, int peer)
{
    bool wanted = rri_future_claim(f);
    if (wanted) rri_call_unpost(f);
    end_room(calls, f, peer, NULL);
    return wanted;
}

RRI_ASIDE
static bool are_good(const rri_types *types, const void *payload, size_t bytes)
{
    rri_packing p;
    return rri_payload_check(types, payload, bytes, &p) == RREF_OK && !p.segments;
}

RRI_ASIDE
static void cannot_be_decoded(rri_future *f, int peer)
{
    rref_error error;
    rri_error_fill(&error, RREF_ERR_PROTOCOL, "the result of rank %d cannot be decoded", peer);
    rri_future_error(f, &error);
}

/* Results in the message. */
static void take_numbers(rri_calls *calls, rri_future *f, const void *payload, size_t bytes, int peer)
{
    const rri_types *types = f->types;
    bool good = bytes == types->slots && !types->refs && (types->words || are_good(types, payload, bytes));
    if (!f->plain) answered(calls, f, peer);
    bool wanted = f->plain ? rri_future_claim(f) : claim_alone(calls, f, peer);
    if (wanted && good) rri_future_value(f, payload, bytes, NULL);
    else if (wanted) cannot_be_decoded(f, peer);
    rri_future_drop(f);
}

void rri_answer_numbers(rri_calls *calls, const rri_record *r, rri_buffer *buffer)
{
    uint64_t call = 0;
    size_t n = r->flags & RRI_FLAG_ONEWAY || !rri_run_fits(r) ? 0 : rri_run_count(r);
    if (!n) unexpected(calls, r, buffer);
    for (size_t i = 0; i < n; i++) {
        const void *payload = rri_run_read(r, i, &call);
        rri_future *f = rri_future_of_answer(&calls->futures, call, buffer->peer);
        if (f) take_numbers(calls, f, payload, rri_run_payload(r), buffer->peer);
        else unexpected(calls, r, buffer);
    }
}

bool rri_answer_error(const rri_record *r, rref_error *error)
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

/* An error as it was sent, or that it cannot be read. */
static void read_error(rri_calls *calls, const rri_record *r, int peer, rref_error *error)
{
    if (rri_answer_error(r, error)) return;
    rri_error_fill(error, RREF_ERR_PROTOCOL, "rank %d answered with an error that cannot be read", peer);
    atomic_fetch_add(&calls->refused, 1);
}

void rri_answer_failure(rri_calls *calls, const rri_record *r, rri_buffer *buffer)
{
    rref_error error;
    bool dropped = rri_dropped_record(r) && !(r->flags & RRI_FLAG_ONEWAY);
    if (!dropped) read_error(calls, r, buffer->peer, &error);
    if (r->flags & RRI_FLAG_ONEWAY) {
        error.caller = calls->rank;
        const char *site = r->call && r->call <= RRI_SITES ? atomic_load(&calls->site[r->call - 1]) : NULL;
        if (site) rri_error_copy(error.site, sizeof error.site, site);
        atomic_fetch_add(&calls->oneway_failures, 1);
        calls->up.unanswered(calls->up.up, &error);
        return;
    }
    rri_future *f = rri_future_of_answer(&calls->futures, r->call, buffer->peer);
    if (!f) {
        unexpected(calls, r, buffer);
        return;
    }
    if (dropped) rri_dropped_error(calls, r, f, buffer->peer, &error);
    answered(calls, f, buffer->peer);
    if (f->sending) rri_transfer_withdraw(calls->transfers, f->sending);
    if (claim_alone(calls, f, buffer->peer)) rri_future_error(f, &error);
    rri_future_drop(f);
}

/* Calls whose answers a rank owes. */
typedef struct owed {
    const rri_table *table;
    int peer;
    unsigned count;
    uint64_t handle[64];
} owed;

static void look_at(void *item, void *arg)
{
    owed *o = arg;
    rri_future *f = item;
    if (atomic_load(&f->owed) == o->peer + 1 && o->count < 64) o->handle[o->count++] = rri_table_handle(o->table, f);
}

/* What MPI has begun to send from the caller's memory it keeps. */
static void lose(rri_calls *calls, rri_future *f, int peer)
{
    rref_error error;
    bool kept = !rri_event_done(&f->sent);
    rri_peer_blame(calls->peers, peer, &error, kept ? RRI_ARRAYS_KEPT : "; the call may have run");
    if (rri_future_claim(f)) rri_call_fail(calls, f, &error);
    rri_future_drop(f);
}

void rri_answer_lost(rri_calls *calls, int peer)
{
    owed o = { .table = &calls->futures.table, .peer = peer };
    do {
        o.count = 0;
        rri_table_look(&calls->futures.table, look_at, &o);
        for (unsigned i = 0; i < o.count; i++) {
            rri_future *f = rri_future_of_answer(&calls->futures, o.handle[i], peer);
            if (f) lose(calls, f, peer);
        }
    } while (o.count);
}

static void mark(void *item, void *arg)
{
    int peer = atomic_load(&((rri_future *)item)->owed) - 1;
    if (peer >= 0) ((bool *)arg)[peer] = true;
}

void rri_answers_await(rri_calls *calls, bool *ranks) { rri_table_look(&calls->futures.table, mark, ranks); }
