/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the accounts. Nothing is locked while stock is taken, so things may move. What moves to another rank is a record, which
 * the fence sees. What moves on this rank, by a thread of the application, is seen by two counts: of work, and of references put
 * on a wire or taken from it. What is held in two places for a moment is told twice at worst, and then too much is kept.
 */
#include "estate.h"
#include "error.h"
#include "log.h"
#include "memory.h"
#include "result.h"
#include "service.h"

#include <stdlib.h>
#include <string.h>

enum { TOLD = 128 };                /* parcels of a record */

/* ---- accounts; the lock is held */

static size_t place_of(const rri_estate *e, uint64_t handle)
{
    size_t at = (size_t)((handle * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (e->room - 1);
    while (e->account[at].handle && e->account[at].handle != handle) at = (at + 1) & (e->room - 1);
    return at;
}

static bool grow(rri_estate *e)
{
    rri_account *old = e->account;
    size_t was = e->room, room = was ? 2 * was : 256;
    rri_account *more = rri_calloc(room, sizeof *more);
    if (!more) return false;
    e->account = more;
    e->room = room;
    for (size_t i = 0; i < was; i++)
        if (old[i].handle) e->account[place_of(e, old[i].handle)] = old[i];
    free(old);
    return true;
}

static void book(rri_estate *e, uint64_t handle, uint64_t amount)
{
    if (2 * e->count >= e->room && !grow(e)) {
        e->incomplete = true;
        return;
    }
    rri_account *a = &e->account[place_of(e, handle)];
    if (!a->handle) e->count++;
    a->handle = handle;
    a->left += amount;
}

static void clear(rri_estate *e, uint64_t fence)
{
    free(e->account);
    e->account = NULL;
    e->count = e->room = 0;
    e->incomplete = false;
    e->fence = fence;
}

/* The first of a fence clears what may be left of an earlier one. What there was no memory for is not cleared so. */
static bool open_accounts(rri_estate *e, uint64_t fence)
{
    bool untouched = !e->room && !e->incomplete;
    if ((int32_t)((uint32_t)fence - (uint32_t)e->fence) > 0 || untouched) clear(e, fence);
    return e->fence == fence;
}

void rri_estate_close(rri_estate *e) { free(e->account); }

/* ---- what others hold, and this rank itself */

static void subtract(rri_estate *e, const rri_parcel *p)
{
    rri_objects *objects = e->references->objects;
    uint64_t handle = p->to;
    if (rri_handle_kind_of(handle) != RRI_KIND_REF) {
        const rri_object *o = rri_object_of(objects, handle);
        if (!o) return;
        handle = rri_table_handle(&objects->table, o);
    }
    book(e, handle, 0 - p->weight);
}

static void subtract_all(rri_estate *e, uint64_t fence, const rri_parcel *parcel, size_t count)
{
    rri_lock_take(&e->lock);
    if (open_accounts(e, fence))
        for (size_t i = 0; i < count; i++) subtract(e, &parcel[i]);
    rri_lock_give(&e->lock);
}

void rri_estate_record(rri_estate *e, const rri_record *r)
{
    subtract_all(e, r->call, (const void *)(r + 1), (r->bytes - sizeof *r) / sizeof(rri_parcel));
}

/* ---- taking stock */

typedef struct held {
    int rank;                       /* who is told: the owner, or the guarantor */
    rri_parcel what;
} held;

typedef struct stock {
    rri_estate *estate;
    held *list;
    size_t count, room;
    rri_object **pinned;            /* results that stay here */
    size_t results, places;
    bool failed;                    /* for want of memory */
} stock;

/* Room for one more item of a list; false, and the stock has failed, without memory. */
static bool make_room(stock *s, void **list, size_t count, size_t *room, size_t item)
{
    if (count < *room) return true;
    size_t more = *room ? 2 * *room : 64;
    void *larger = rri_malloc(more * item);
    s->failed = s->failed || !larger;
    if (!larger) return false;
    if (count) memcpy(larger, *list, count * item);
    free(*list);
    *list = larger;
    *room = more;
    return true;
}

static void hold(stock *s, int rank, uint64_t to, uint64_t weight)
{
    void *list = s->list;
    if (weight && make_room(s, &list, s->count, &s->room, sizeof *s->list)) {
        s->list = list;
        s->list[s->count++] = (held){ rank, { to, weight } };
    }
}

static void see_reference(void *arg, const rri_holding *h) { hold(arg, h->owner, h->address, h->weight); }

static void see_wire(void *arg, const void *wire)
{
    rri_holding h;
    uint64_t voucher;
    int guarantor;
    rri_reference_on_wire(wire, &h, &voucher, &guarantor);
    hold(arg, h.owner, h.address, h.weight);
    hold(arg, guarantor, voucher, voucher != 0);
}

static void see_payload(void *arg, const rri_types *types, const void *payload)
{
    const rri_ref_codec look = { .up = arg, .drop = see_wire };
    rri_payload_drop(types, payload, &look);
}

/* Objects are looked at with their lock held, results that stay without it: pinned, so that they do. */
static void pin_result(const rri_object *o, void *arg)
{
    stock *s = arg;
    void *list = s->pinned;
    if (o->klass != o->all->results || atomic_load(&o->state) != RRI_ALIVE) return;
    if (!make_room(s, &list, s->results, &s->places, sizeof(rri_object *))) return;
    s->pinned = list;
    if (rri_object_pin((rri_object *)(uintptr_t)o)) s->pinned[s->results++] = (rri_object *)(uintptr_t)o;
}

static void see_results(stock *s)
{
    rri_objects_each(s->estate->references->objects, pin_result, s);
    for (size_t i = 0; i < s->results; i++) {
        rri_result_payload(s->pinned[i]->self, see_payload, s);
        rri_object_unpin(s->pinned[i]);
    }
    free(s->pinned);
}

/* What is out of each object here, and vouched for by each reference. */
static void book_object(const rri_object *o, void *arg)
{
    book(arg, rri_table_handle(&o->all->table, o), atomic_load(&o->weight));
}

static void book_reference(void *arg, const rri_holding *h)
{
    if (h->vouches) book(arg, h->handle, h->vouches);
}

static void book_own(rri_estate *e, uint64_t fence)
{
    rri_lock_take(&e->lock);
    if (open_accounts(e, fence)) {
        rri_objects_each(e->references->objects, book_object, e);
        rri_references_each(e->references, book_reference, e);
    }
    rri_lock_give(&e->lock);
}

/* Others were not told all. */
static void fall_short(rri_estate *e)
{
    rri_lock_take(&e->lock);
    e->incomplete = true;
    rri_lock_give(&e->lock);
}

/* ---- telling of it */

static int by_rank(const void *a, const void *b) { return ((const held *)a)->rank - ((const held *)b)->rank; }

static bool send(rri_estate *e, int rank, uint64_t fence, const rri_parcel *parcel, size_t count)
{
    rri_flow *flow = e->references->calls->flow;
    rri_record *r = rri_lane_begin(flow, rank, RRI_ANSWERS, sizeof *r + count * sizeof *parcel);
    if (!r) return false;
    *r = (rri_record){ .bytes = r->bytes, .kind = RRI_HELD, .call = fence };
    memcpy(r + 1, parcel, count * sizeof *parcel);
    rri_lane_end(flow, rank, RRI_ANSWERS, RRI_AT_ONCE);
    return true;
}

/* Tell of the first of a list, and those after it for the same rank: how many. */
static size_t tell_some(stock *s, uint64_t fence, const held *first, size_t count, uint64_t *records)
{
    rri_parcel parcel[TOLD];
    size_t n = 0;
    const rri_calls *calls = s->estate->references->calls;
    for (; n < count && n < TOLD && first[n].rank == first->rank; n++) parcel[n] = first[n].what;
    if (first->rank == calls->rank) subtract_all(s->estate, fence, parcel, n);
    else if (rri_lane_is_shut(calls->flow, first->rank)) return n;
    else if (send(s->estate, first->rank, fence, parcel, n)) ++*records;
    else s->failed = true;
    return n;
}

static uint64_t tell(stock *s, uint64_t fence)
{
    uint64_t records = 0;
    if (s->count) qsort(s->list, s->count, sizeof *s->list, by_rank);
    for (size_t i = 0; i < s->count;) i += tell_some(s, fence, &s->list[i], s->count - i, &records);
    free(s->list);
    return records;
}

uint64_t rri_estate_take(rri_estate *e, uint32_t fence)
{
    stock s = { .estate = e };
    rri_references *all = e->references;
    unsigned moves = atomic_load(&all->moves);
    bool still = !rri_calls_running(all->calls);
    if (rri_futures_each_payload(&all->calls->futures, see_payload, &s)) s.failed = true;
    see_results(&s);
    rri_references_each(all, see_reference, &s);
    book_own(e, fence);
    still = still && !rri_calls_running(all->calls) && moves == atomic_load(&all->moves);
    uint64_t records = tell(&s, fence);
    if (s.failed) fall_short(e);
    return still ? records : RRI_NO_STOCK;
}

bool rri_estate_complete(rri_estate *e)
{
    rri_lock_take(&e->lock);
    bool complete = !e->incomplete;
    rri_lock_give(&e->lock);
    return complete;
}

/* ---- the end of it */

static void write_off(rri_estate *e, const rri_account *a)
{
    if (!a->handle || !a->left || a->left >> 63) return;
    if (rri_handle_kind_of(a->handle) == RRI_KIND_REF) rri_reference_unvouch(e->references, a->handle, a->left);
    else rri_object_write_off(e->references->objects, a->handle, a->left);
}

void rri_estate_settle(rri_estate *e, bool good)
{
    rri_lock_take(&e->lock);
    rri_account *account = e->account;
    size_t room = e->room;
    if (e->incomplete) rri_log(RRI_LOG_WARN, "no memory to find out what lost ranks held: it stays until the next fence");
    e->account = NULL;
    clear(e, e->fence);
    rri_lock_give(&e->lock);
    for (size_t i = 0; good && i < room; i++) write_off(e, &account[i]);
    free(account);
    if (!good) return;
    rri_references_orphan(e->references);
    rri_names_lose(&e->references->service->names, e->references->calls->flow);
}
