/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns offers and landings. A tag is used again only after its data came, or its receive was taken back. */
#include "transfer.h"
#include "error.h"
#include "log.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { TAGS = 32768 };      /* MPI promises tags up to 32767 */

RRI_ROLE(deals);                        /* the lock of all */

typedef struct offer {
    rri_slot slot;
    rri_transfers *all;
    int peer;
    bool announced RRI_OWNED(deals), granted RRI_OWNED(deals), moves RRI_OWNED(deals);  /* under the lock */
    unsigned count;
    rri_segment segments[RRI_TYPES_MAX];
    rri_moving moving;
    void (*done)(void *arg, rri_moved how);
    void *arg;
} offer;

typedef struct landing {
    rri_moving moving;
    rri_transfers *all;
    int peer;
    uint16_t tag;
    bool started;                       /* under the lock */
    bool withdrawn;
    void (*done)(void *arg, rri_moved how);
    void *arg;
} landing;

struct rri_transfers {
    rri_link *link;
    rri_flow *flow;
    rri_table offers;
    rri_lock lock;
    landing **by_tag RRI_OWNED_THERE(deals);    /* i: the list; its entries are under the lock */
    uint16_t tag RRI_OWNED(deals);      /* last one given out */
    _Atomic uint64_t out, in;           /* bytes */
};

int rri_transfers_open(rri_link *link, rri_flow *flow, unsigned context, rri_transfers **out)
{
    rri_transfers *t = rri_calloc(1, sizeof *t);
    if (t) t->by_tag = rri_calloc(TAGS, sizeof(landing *));
    if (!t || !t->by_tag) {
        free(t);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory for transfers");
    }
    t->link = link;
    t->flow = flow;
    rri_table_init(&t->offers, RRI_KIND_TRANSFER, context, sizeof(offer));
    *out = t;
    return RREF_OK;
}

void rri_transfers_close(rri_transfers *t)
{
    if (!t) return;
    rri_table_free(&t->offers);
    free(t->by_tag);
    free(t);
}

uint64_t rri_transfer_offer(rri_transfers *t, int peer, rri_segment **segments, unsigned count,
                            void (*done)(void *arg, rri_moved how), void *arg)
{
    uint64_t handle;
    offer *o = rri_table_add(&t->offers, &handle);
    if (!o) {
        rri_fail(RREF_ERR_NO_MEMORY, "no memory for a transfer");
        return 0;
    }
    rri_take(&t->lock, &deals);
    o->all = t;
    o->peer = peer;
    o->count = count;
    *segments = o->segments;
    o->done = done;
    o->arg = arg;
    rri_give(&t->lock, &deals);
    return handle;
}

void rri_transfer_announce(rri_transfers *t, uint64_t handle, size_t bytes, rri_record *record)
{
    rri_take(&t->lock, &deals);
    offer *o = rri_table_find(&t->offers, handle);
    if (o) o->announced = true;
    rri_give(&t->lock, &deals);
    record->flags |= RRI_FLAG_BULK;
    *(rri_bulk_note *)(void *)(record + 1) = (rri_bulk_note){ handle, bytes };
}

static void end_offer(offer *o, rri_moved how)
{
    void (*done)(void *, rri_moved) = o->done;
    void *arg = o->arg;
    rri_table_remove(&o->all->offers, o);
    done(arg, how);
}

static offer *claim(rri_transfers *t, uint64_t handle, int peer)
{
    rri_take(&t->lock, &deals);
    offer *o = rri_table_find(&t->offers, handle);
    if (o && (o->granted || (peer >= 0 && (o->peer != peer || !o->announced)))) o = NULL;
    if (o) o->granted = true;
    rri_give(&t->lock, &deals);
    return o;
}

bool rri_transfer_withdraw(rri_transfers *t, uint64_t handle)
{
    offer *o = claim(t, handle, -1);
    if (o) end_offer(o, RRI_MOVED);
    return o != NULL;
}

static void answer(rri_transfers *t, int peer, rri_record_kind kind, uint64_t handle, uint16_t tag)
{
    rri_record *r = rri_lane_begin(t->flow, peer, RRI_ANSWERS, sizeof *r);
    if (!r) {
        rri_log(RRI_LOG_ERROR, "no memory to answer a transfer of rank %d", peer);
        return;
    }
    *r = (rri_record){ .bytes = sizeof *r, .kind = (uint8_t)kind, .call = handle, .method = tag };
    rri_lane_end(t->flow, peer, RRI_ANSWERS, RRI_AT_ONCE);
}

static size_t split(const rri_segment *segments, unsigned count, void **data, size_t *bytes)
{
    size_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        data[i] = segments[i].data;
        bytes[i] = segments[i].bytes;
        sum += bytes[i];
    }
    return sum;
}

static void sent(rri_moving *moving)
{
    end_offer((offer *)(void *)((char *)moving - offsetof(offer, moving)), RRI_MOVED);
}

void rri_transfer_granted(rri_transfers *t, int peer, const rri_record *record)
{
    void *data[RRI_TYPES_MAX];
    size_t bytes[RRI_TYPES_MAX];
    offer *o = claim(t, record->call, peer);
    if (!o) {
        if (record->method) answer(t, peer, RRI_WITHDRAWN, 0, record->method);
        return;
    }
    if (!record->method) {              /* refused */
        end_offer(o, RRI_MOVED);
        return;
    }
    atomic_fetch_add(&t->out, split(o->segments, o->count, data, bytes));
    o->moving.done = sent;
    rri_take(&t->lock, &deals);
    o->moves = true;
    rri_give(&t->lock, &deals);
    int rc = rri_link_data_send(t->link, &o->moving, peer, record->method, data, bytes, o->count);
    if (rc) rri_log(RRI_LOG_ERROR, "bulk data to rank %d: %s", peer, rri_error_last()->text);
    if (rc == RREF_ERR_NO_MEMORY) {     /* none of it has been sent */
        answer(t, peer, RRI_WITHDRAWN, 0, record->method);
        end_offer(o, RRI_MOVED);
    }
}

static void set_tag(rri_transfers *t, uint16_t tag, landing *l)
{
    rri_take(&t->lock, &deals);
    t->by_tag[tag] = l;
    rri_give(&t->lock, &deals);
}

static void landed(rri_moving *moving)
{
    landing *l = (landing *)(void *)moving;
    set_tag(l->all, l->tag, NULL);
    l->done(l->arg, l->withdrawn ? RRI_CUT : RRI_MOVED);
    free(l);
}

/* A tag that no data uses; 0 if there is none. Data is accepted by any thread. */
static uint16_t take_tag(rri_transfers *t, landing *l)
{
    uint16_t tag = 0;
    rri_take(&t->lock, &deals);
    for (unsigned tries = 1; tries < TAGS && !tag; tries++) {
        t->tag = (uint16_t)(t->tag % (TAGS - 1) + 1);
        if (!t->by_tag[t->tag]) tag = t->tag;
    }
    if (tag) t->by_tag[tag] = l;
    rri_give(&t->lock, &deals);
    return tag;
}

int rri_transfer_accept(rri_transfers *t, int peer, uint64_t handle, const rri_segment *segments, unsigned count,
                        void (*done)(void *arg, rri_moved how), void *arg)
{
    void *data[RRI_TYPES_MAX];
    size_t bytes[RRI_TYPES_MAX];
    if (rri_lane_is_shut(t->flow, peer)) return rri_fail(RREF_ERR_PEER_LOST, "rank %d is lost, and its data", peer);
    landing *l = rri_malloc(sizeof *l);
    uint16_t tag = l ? take_tag(t, l) : 0;
    if (!tag) {
        free(l);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory (or tag) to receive bulk data from rank %d", peer);
    }
    *l = (landing){ .moving.done = landed, .all = t, .peer = peer, .tag = tag, .done = done, .arg = arg };
    size_t sum = split(segments, count, data, bytes);
    int rc = rri_link_data_receive(t->link, &l->moving, peer, tag, data, bytes, count);
    if (rc) {
        set_tag(t, tag, NULL);
        free(l);
        return rc;
    }
    rri_take(&t->lock, &deals);
    l->started = true;
    rri_give(&t->lock, &deals);
    atomic_fetch_add(&t->in, sum);
    answer(t, peer, RRI_GRANT, handle, tag);
    return RREF_OK;
}

void rri_transfer_refuse(rri_transfers *t, int peer, uint64_t handle)
{
    answer(t, peer, RRI_GRANT, handle, 0);
}

void rri_transfer_refuse_note(rri_transfers *t, int peer, const rri_record *record)
{
    const rri_bulk_note *note = (const void *)(record + 1);
    if (record->flags & RRI_FLAG_BULK && record->bytes >= sizeof *record + sizeof *note)
        rri_transfer_refuse(t, peer, note->transfer);
}

void rri_transfer_withdrawn(rri_transfers *t, int peer, const rri_record *record)
{
    rri_take(&t->lock, &deals);
    landing *l = record->method < TAGS ? t->by_tag[record->method] : NULL;
    rri_give(&t->lock, &deals);
    if (!l || l->peer != peer) return;
    l->withdrawn = true;
    rri_link_data_cancel(t->link, &l->moving);
}

/* ---- the lost */

/* Some of the offers to a peer that were granted, or of those that were not. */
typedef struct some {
    int peer;
    bool granted;
    unsigned count;
    offer *found[64];
} some;

RRI_NEEDS(deals)
static void look_at(void *item, void *arg)
{
    offer *o = item;
    some *s = arg;
    bool wanted = s->granted ? o->moves : !o->granted;
    if (o->peer == s->peer && wanted && s->count < 64) s->found[s->count++] = o;
}

static bool find(rri_transfers *t, some *s)
{
    s->count = 0;
    rri_take(&t->lock, &deals);
    rri_table_look(&t->offers, look_at, s);
    for (unsigned i = 0; i < s->count; i++) s->found[i]->granted = true;    /* nobody else ends them now */
    rri_give(&t->lock, &deals);
    return s->count;
}

void rri_transfers_withdraw_all(rri_transfers *t, int peer)
{
    some s = { .peer = peer, .granted = false };
    while (find(t, &s))
        for (unsigned i = 0; i < s.count; i++) end_offer(s.found[i], RRI_MOVED);
}

RRI_NEEDS(rri_driver)
static void forsake_landing(rri_transfers *t, landing *l)
{
    bool free_again = rri_link_data_forsake(t->link, &l->moving, true);
    if (free_again) set_tag(t, l->tag, NULL);       /* else the tag is MPI's, too */
    l->done(l->arg, free_again ? RRI_CUT : RRI_KEPT);
    if (free_again) free(l);
    else l->started = false;
}

void rri_transfers_forsake(rri_transfers *t, int peer)
{
    some s = { .peer = peer, .granted = true };
    while (find(t, &s))
        for (unsigned i = 0; i < s.count; i++) {
            rri_link_data_forsake(t->link, &s.found[i]->moving, false);
            end_offer(s.found[i], RRI_KEPT);
        }
    for (unsigned tag = 1; tag < TAGS; tag++) {
        rri_take(&t->lock, &deals);
        landing *l = t->by_tag[tag];
        bool its = l && l->peer == peer && l->started;
        rri_give(&t->lock, &deals);
        if (its) forsake_landing(t, l);
    }
}

void rri_transfers_counts(const rri_transfers *t, uint64_t *out, uint64_t *in)
{
    *out = atomic_load_explicit(&t->out, memory_order_relaxed);
    *in = atomic_load_explicit(&t->in, memory_order_relaxed);
}
