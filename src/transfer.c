/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns offers, landings, and the tags of data. A tag is used again only after its data came, or is certain not to come.
 *
 * Tags below PUSHED are drawn by who receives: for the grant of an offer, and for a posted receive, whose tag stays taken until
 * the peer has answered. The others are drawn by who sends, for data that follows its record at once: such a tag is taken until
 * the data has left and the peer has answered.
 */
#include "transfer.h"
#include "chaos.h"
#include "error.h"
#include "log.h"
#include "memory.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { TAGS = 32768, PUSHED = RRI_PUSHED_TAGS };    /* MPI promises tags up to 32767 */

RRI_ROLE(deals);                        /* the lock of all */

typedef struct offer {
    rri_slot slot;
    rri_transfers *all;
    int peer;
    bool announced RRI_OWNED(deals), granted RRI_OWNED(deals), moves RRI_OWNED(deals);  /* under the lock */
    bool shifts RRI_OWNED(deals);       /* under the lock: its data is being copied */
    bool answered RRI_OWNED(deals);     /* under the lock: meanwhile it was granted `answer`, or refused or withdrawn: 0 */
    uint16_t answer RRI_OWNED(deals);
    void *copy;                         /* of its data, or NULL; by the one who shifts */
    size_t reserved;                    /* bytes counted for that */
    unsigned count;
    uint16_t tag;                       /* that was drawn for it, or 0 */
    rri_segment segments[RRI_TYPES_MAX];
    rri_moving moving;
    void (*done)(void *arg, rri_moved how);
    void *arg;
} offer;

typedef struct rri_posted landing;
struct rri_posted {
    rri_moving moving;
    landing *next;                      /* of those with drawn tags */
    rri_transfers *all;
    int peer;
    uint16_t tag;
    bool started;                       /* under the lock: has receives on the way */
    bool withdrawn;
    bool leaves, answered;              /* under the lock: was taken back too late; meanwhile the peer has answered, */
    size_t late;                        /* under the lock: with so many bytes */
    void *sunk;                         /* memory of data that nobody wants */
    void (*done)(void *arg, rri_moved how);
    void *arg;
};

/* They stand for a posted receive that was taken back, before its data came or after: its tag is not free yet. */
static landing retired, arrived;

struct rri_transfers {
    rri_link *link;
    rri_flow *flow;
    const uint64_t *room;               /* i: bytes that may be pushed to each rank, or NULL: none */
    size_t *pushed RRI_OWNED_THERE(deals);      /* bytes that are, by rank */
    rri_table offers;
    rri_lock lock;
    landing **by_tag RRI_OWNED_THERE(deals);    /* i: the list; its entries are under the lock */
    landing *incoming RRI_OWNED(deals);         /* pushed data on its way here */
    uint8_t *drawn RRI_OWNED_THERE(deals);      /* who still needs a drawn tag: 1: the data, 2: the answer */
    uint16_t tag RRI_OWNED(deals), drawn_last RRI_OWNED(deals);     /* last ones given out */
    size_t copied RRI_OWNED(deals);             /* bytes of copies */
    void *reserve;                      /* for data that nobody wants, when there is no memory */
    _Atomic uint64_t out, in;           /* bytes */
};

int rri_transfers_open(rri_link *link, rri_flow *flow, unsigned context, const uint64_t *room, rri_transfers **out)
{
    rri_transfers *t = rri_calloc(1, sizeof *t);
    if (!t) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for transfers");
    t->by_tag = rri_calloc(PUSHED, sizeof(landing *));
    t->drawn = rri_calloc(TAGS - PUSHED, 1);
    t->pushed = rri_calloc((size_t)rri_link_size(link), sizeof *t->pushed);
    t->reserve = rri_malloc(room ? room[rri_link_rank(link)] + 1 : 1);
    if (!t->by_tag || !t->drawn || !t->pushed || !t->reserve) {
        rri_transfers_close(t);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory for transfers");
    }
    t->link = link;
    t->flow = flow;
    t->room = room;
    rri_table_init(&t->offers, RRI_KIND_TRANSFER, context, sizeof(offer));
    *out = t;
    return RREF_OK;
}

void rri_transfers_close(rri_transfers *t)
{
    if (!t) return;
    rri_table_free(&t->offers);
    free(t->by_tag);
    free(t->drawn);
    free(t->pushed);
    free(t->reserve);
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

/* ---- drawn tags */

uint16_t rri_transfer_draw(rri_transfers *t, int peer, size_t bytes)
{
    uint16_t tag = 0;
    if (!t->room || bytes > t->room[peer]) return 0;
    rri_take(&t->lock, &deals);
    bool fits = t->pushed[peer] + bytes <= t->room[peer];
    for (unsigned tries = 0; fits && tries < TAGS - PUSHED && !tag; tries++) {
        t->drawn_last = (uint16_t)((t->drawn_last + 1) % (TAGS - PUSHED));
        if (!t->drawn[t->drawn_last]) tag = (uint16_t)(PUSHED + t->drawn_last);
    }
    if (tag) {
        t->drawn[tag - PUSHED] = 3;
        t->pushed[peer] += bytes;
    }
    rri_give(&t->lock, &deals);
    return tag;
}

static void undraw(rri_transfers *t, uint16_t tag, uint8_t user)
{
    if (tag < PUSHED) return;
    rri_take(&t->lock, &deals);
    t->drawn[tag - PUSHED] = (uint8_t)(t->drawn[tag - PUSHED] & ~user);
    rri_give(&t->lock, &deals);
}

void rri_transfer_answered(rri_transfers *t, int peer, uint16_t tag, size_t bytes)
{
    rri_take(&t->lock, &deals);
    t->pushed[peer] -= bytes;
    rri_give(&t->lock, &deals);
    undraw(t, tag, 2);
}

void rri_transfer_attach(rri_transfers *t, uint64_t handle, uint16_t tag, size_t bytes, rri_record *record)
{
    rri_take(&t->lock, &deals);
    offer *o = rri_table_find(&t->offers, handle);
    if (o) {
        o->granted = true;
        o->tag = tag;
    }
    rri_give(&t->lock, &deals);
    record->flags |= RRI_FLAG_BULK;
    *(rri_bulk_note *)(void *)(record + 1) = (rri_bulk_note){ tag, bytes };
}

/* ---- offers */

static void drop_copy(offer *o, rri_moved how)
{
    rri_transfers *t = o->all;
    if (!o->reserved) return;
    if (how == RRI_KEPT) rri_never_free(o->copy);
    else free(o->copy);
    rri_take(&t->lock, &deals);
    t->copied -= o->reserved;
    rri_give(&t->lock, &deals);
    o->reserved = 0;
    o->copy = NULL;
}

static void end_offer(offer *o, rri_moved how)
{
    void (*done)(void *, rri_moved) = o->done;
    void *arg = o->arg;
    undraw(o->all, o->tag, 1);
    drop_copy(o, how);
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

static size_t sum_of(const rri_segment *segments, unsigned count)
{
    size_t sum = 0;
    for (unsigned i = 0; i < count; i++) sum += segments[i].bytes;
    return sum;
}

static void sent(rri_moving *moving)
{
    end_offer((offer *)(void *)((char *)moving - offsetof(offer, moving)), RRI_MOVED);
}

/* What MPI refuses to send is taken back; the offer ends when all has ended that it did not. */
static void send_offer(offer *o, uint16_t tag)
{
    rri_transfers *t = o->all;
    int peer = o->peer;
    atomic_fetch_add(&t->out, sum_of(o->segments, o->count));
    o->moving.done = sent;
    rri_take(&t->lock, &deals);
    o->moves = true;
    rri_give(&t->lock, &deals);
    int rc = rri_link_data_send(t->link, &o->moving, peer, tag, o->segments, o->count);
    if (rc == RREF_OK) return;
    rri_log(RRI_LOG_ERROR, "bulk data to rank %d: %s", peer, rri_error_last()->text);
    answer(t, peer, RRI_WITHDRAWN, 0, tag);
    if (!o->moving.count) end_offer(o, RRI_MOVED);
}

/* What comes for an offer whose data is being copied is done after that. The lock is held. */
RRI_NEEDS(deals)
static bool put_off(offer *o, uint16_t tag)
{
    if (!o->shifts) return false;
    o->answered = true;
    o->answer = tag;
    return true;
}

static bool comes_too_early(rri_transfers *t, int peer, const rri_record *record)
{
    rri_take(&t->lock, &deals);
    offer *o = rri_table_find(&t->offers, record->call);
    bool early = o && o->peer == peer && put_off(o, record->method);
    rri_give(&t->lock, &deals);
    return early;
}

void rri_transfer_granted(rri_transfers *t, int peer, const rri_record *record)
{
    if (comes_too_early(t, peer, record)) return;
    offer *o = claim(t, record->call, peer);
    if (o && record->method) send_offer(o, record->method);
    else if (o) end_offer(o, RRI_MOVED);           /* refused */
    else if (record->method) answer(t, peer, RRI_WITHDRAWN, 0, record->method);
}

void rri_transfer_push(rri_transfers *t, uint64_t handle)
{
    rri_take(&t->lock, &deals);
    offer *o = rri_table_find(&t->offers, handle);
    rri_give(&t->lock, &deals);
    if (o) send_offer(o, o->tag);
}

/* ---- offers whose data is copied */

/* One may always be, however large it is. The lock is held. */
RRI_NEEDS(deals)
static bool may_copy(const rri_transfers *t, size_t bytes)
{
    return !t->copied || t->copied + bytes <= rri_flow_queue_limit(t->flow);
}

bool rri_transfer_shift(rri_transfers *t, uint64_t handle)
{
    rri_take(&t->lock, &deals);
    offer *o = rri_table_find(&t->offers, handle);
    size_t bytes = o ? sum_of(o->segments, o->count) : 0;
    bool shifts = o && !o->granted && may_copy(t, bytes);
    if (shifts) {
        o->shifts = true;
        o->reserved = bytes;
        t->copied += bytes;
    }
    rri_give(&t->lock, &deals);
    return shifts;
}

/* Nobody else touches the segments of an offer that shifts. Results are plain: none lies by a layout. */
bool rri_transfer_copy(rri_transfers *t, uint64_t handle)
{
    offer *o = rri_table_find(&t->offers, handle);
    char *at = o ? rri_malloc(o->reserved) : NULL;
    if (!at) return false;
    o->copy = at;
    for (unsigned i = 0; i < o->count; at += o->segments[i++].bytes) {
        memcpy(at, o->segments[i].data, o->segments[i].bytes);
        o->segments[i].data = at;
    }
    return true;
}

/* Unless it was answered it may end from here on. */
RRI_NEEDS(deals)
static bool end_shift(offer *o, uint16_t *tag)
{
    bool answered = o->answered;
    *tag = o->answer;
    o->shifts = false;
    if (answered) o->granted = true;
    return answered;
}

void rri_transfer_shifted(rri_transfers *t, uint64_t handle)
{
    uint16_t tag = 0;
    offer *o = rri_table_find(&t->offers, handle);
    if (!o) return;
    if (!o->copy) drop_copy(o, RRI_MOVED);
    rri_take(&t->lock, &deals);
    bool answered = end_shift(o, &tag);
    rri_give(&t->lock, &deals);
    if (answered && tag) send_offer(o, tag);
    else if (answered) end_offer(o, RRI_MOVED);
}

/* ---- landings */

static void set_tag(rri_transfers *t, uint16_t tag, landing *l)
{
    rri_take(&t->lock, &deals);
    t->by_tag[tag] = l;
    rri_give(&t->lock, &deals);
}

static void add_incoming(landing *l)
{
    rri_transfers *t = l->all;
    rri_take(&t->lock, &deals);
    l->next = t->incoming;
    t->incoming = l;
    rri_give(&t->lock, &deals);
}

static void remove_incoming(landing *l)
{
    rri_transfers *t = l->all;
    rri_take(&t->lock, &deals);
    landing **at = &t->incoming;
    while (*at && *at != l) at = &(*at)->next;
    if (*at) *at = l->next;
    rri_give(&t->lock, &deals);
}

static void landed(rri_moving *moving)
{
    landing *l = (landing *)(void *)moving;
    if (l->tag < PUSHED) set_tag(l->all, l->tag, NULL);
    else remove_incoming(l);
    if (l->done) l->done(l->arg, l->withdrawn ? RRI_CUT : RRI_MOVED);
    free(l->sunk);
    free(l);
}

static void set_started(landing *l)
{
    rri_take(&l->all->lock, &deals);
    l->started = true;
    rri_give(&l->all->lock, &deals);
}

/* A tag that no data uses; 0 if there is none. Data is accepted by any thread. */
static uint16_t take_tag(rri_transfers *t, landing *l)
{
    uint16_t tag = 0;
    rri_take(&t->lock, &deals);
    for (unsigned tries = 1; tries < PUSHED && !tag; tries++) {
        t->tag = (uint16_t)(t->tag % (PUSHED - 1) + 1);
        if (!t->by_tag[t->tag]) tag = t->tag;
    }
    if (tag) t->by_tag[tag] = l;
    rri_give(&t->lock, &deals);
    return tag;
}

static landing *make_landing(rri_transfers *t, int peer, void (*done)(void *arg, rri_moved how), void *arg)
{
    landing *l = rri_malloc(sizeof *l);
    if (l) *l = (landing){ .moving.done = landed, .all = t, .peer = peer, .done = done, .arg = arg };
    else rri_fail(RREF_ERR_NO_MEMORY, "no memory to receive bulk data from rank %d", peer);
    return l;
}

static landing *make_tagged(rri_transfers *t, int peer, void (*done)(void *arg, rri_moved how), void *arg)
{
    landing *l = make_landing(t, peer, done, arg);
    if (!l || (l->tag = take_tag(t, l))) return l;
    rri_fail(RREF_ERR_NO_MEMORY, "no tag to receive bulk data from rank %d", peer);
    free(l);
    return NULL;
}

int rri_transfer_accept(rri_transfers *t, int peer, uint64_t handle, const rri_segment *segments, unsigned count,
                        void (*done)(void *arg, rri_moved how), void *arg)
{
    if (rri_lane_is_shut(t->flow, peer)) return rri_fail(RREF_ERR_PEER_LOST, "rank %d is lost, and its data", peer);
    landing *l = make_tagged(t, peer, done, arg);
    if (!l) return RREF_ERR_NO_MEMORY;
    uint16_t tag = l->tag;
    int rc = rri_link_data_receive(t->link, &l->moving, peer, tag, segments, count);
    if (rc) {
        set_tag(t, tag, NULL);
        free(l);
        return rc;
    }
    set_started(l);
    atomic_fetch_add(&t->in, sum_of(segments, count));
    answer(t, peer, RRI_GRANT, handle, tag);
    rri_chaos_nap(RRI_CHAOS_SLOW, RRI_CHAOS_HOLD_NS);       /* it may all be over before this thread goes on */
    return RREF_OK;
}

/* ---- data that was pushed */

static int receive_pushed(landing *l, uint16_t tag, const rri_segment *segment)
{
    rri_transfers *t = l->all;
    l->tag = tag;
    if (tag < PUSHED) set_tag(t, tag, l);
    else add_incoming(l);
    int rc = rri_link_data_receive(t->link, &l->moving, l->peer, tag, segment, 1);
    if (rc == RREF_OK) {
        set_started(l);
        atomic_fetch_add(&t->in, segment->bytes);
        return RREF_OK;
    }
    if (tag < PUSHED) set_tag(t, tag, NULL);
    else remove_incoming(l);
    free(l);
    return rc;
}

int rri_transfer_take(rri_transfers *t, int peer, const rri_bulk_note *note, const rri_segment *segment,
                      void (*done)(void *arg, rri_moved how), void *arg)
{
    if (!rri_transfer_may_push(t, note) || note->bytes != segment->bytes)
        return rri_fail(RREF_ERR_PROTOCOL, "rank %d sends data that it may not send", peer);
    landing *l = make_landing(t, peer, done, arg);
    return l ? receive_pushed(l, (uint16_t)note->transfer, segment) : RREF_ERR_NO_MEMORY;
}

bool rri_transfer_may_push(const rri_transfers *t, const rri_bulk_note *note)
{
    uint64_t most = t->room ? t->room[rri_link_rank(t->link)] : 0;
    return note->transfer >= PUSHED && note->transfer < TAGS && note->bytes && note->bytes <= most;
}

/* The data comes whether it is wanted or not, so it is received. */
static void sink(rri_transfers *t, int peer, uint16_t tag, size_t bytes)
{
    landing *l = make_landing(t, peer, NULL, NULL);
    if (l) l->sunk = rri_malloc(bytes);
    if (l && l->sunk) {
        void *memory = l->sunk;
        if (receive_pushed(l, tag, &(rri_segment){ memory, bytes, 0 })) free(memory);
        return;
    }
    free(l);
    rri_link_data_drop(t->link, peer, tag, bytes, t->reserve, t->room ? (size_t)t->room[rri_link_rank(t->link)] + 1 : 1);
    if (tag < PUSHED) set_tag(t, tag, NULL);
}

/* ---- receives that are posted first */

rri_posted *rri_transfer_post(rri_transfers *t, int peer, const rri_segment *segment)
{
    landing *l = make_tagged(t, peer, NULL, NULL);
    if (!l) return NULL;
    if (rri_link_data_post(t->link, &l->moving, peer, l->tag, segment, 1) == RREF_OK) return l;
    set_tag(t, l->tag, NULL);
    free(l);
    return NULL;
}

uint16_t rri_posted_tag(const rri_posted *posted) { return posted->tag; }

void rri_posted_await(rri_posted *l, size_t bytes, void (*done)(void *arg, rri_moved how), void *arg)
{
    l->done = done;
    l->arg = arg;
    atomic_fetch_add(&l->all->in, bytes);
    set_started(l);
    rri_link_move(l->all->link, &l->moving);
}

/* What was taken back too late has ended. */
static void left(rri_moving *moving)
{
    landing *l = (landing *)(void *)moving;
    rri_moved how = moving->cut ? RRI_CUT : RRI_MOVED;
    if (!l->answered) set_tag(l->all, l->tag, how == RRI_CUT ? &retired : &arrived);
    else if (l->late && how == RRI_CUT) sink(l->all, l->peer, l->tag, l->late);
    else set_tag(l->all, l->tag, NULL);
    l->done(l->arg, how);
    free(l);
}

/* Under the lock, since it may end, and the peer be lost, in this moment. */
static void let_leave(landing *l, void (*done)(void *arg, rri_moved how), void *arg)
{
    rri_transfers *t = l->all;
    l->moving.done = left;
    l->done = done;
    l->arg = arg;
    rri_take(&t->lock, &deals);
    l->started = l->leaves = true;
    rri_link_move(t->link, &l->moving);
    rri_give(&t->lock, &deals);
}

rri_moved rri_posted_withdraw(rri_posted *l, void (*done)(void *arg, rri_moved how), void *arg)
{
    rri_moved how;
    do how = rri_link_data_unpost(l->all->link, &l->moving, l->peer);
    while (how == RRI_MOVES && !done);
    if (how == RRI_MOVES) {
        let_leave(l, done, arg);
        return how;
    }
    set_tag(l->all, l->tag, how == RRI_CUT ? &retired : &arrived);
    if (how == RRI_KEPT) rri_never_free(l);
    else free(l);
    return how;
}

/* Another thread may be about to take the receive back. One that comes still is told, and NULL is returned. */
static const landing *await_withdrawal(rri_transfers *t, uint16_t tag, size_t late)
{
    for (;;) {
        rri_take(&t->lock, &deals);
        landing *l = t->by_tag[tag];
        bool is_back = l == &retired || l == &arrived, leaves = !is_back && l->leaves;
        if (leaves) {
            l->answered = true;
            l->late = late;
        }
        rri_give(&t->lock, &deals);
        if (is_back || leaves) return is_back ? l : NULL;
        sched_yield();
    }
}

void rri_transfer_over(rri_transfers *t, int peer, uint16_t tag, const rri_bulk_note *note)
{
    if (!tag) return;
    size_t late = note ? (size_t)note->bytes : 0;
    const landing *l = await_withdrawal(t, tag, late);
    if (late && l == &retired) sink(t, peer, tag, late);
    else if (l) set_tag(t, tag, NULL);
}

/* ---- refusals */

void rri_transfer_refuse(rri_transfers *t, int peer, uint64_t handle)
{
    answer(t, peer, RRI_GRANT, handle, 0);
}

void rri_transfer_refuse_note(rri_transfers *t, int peer, const rri_record *record)
{
    const rri_bulk_note *note = (const void *)(record + 1);
    if (!(record->flags & RRI_FLAG_BULK) || record->bytes < sizeof *record + sizeof *note) return;
    if (rri_transfer_may_push(t, note)) sink(t, peer, (uint16_t)note->transfer, (size_t)note->bytes);
    else if (note->transfer >= TAGS) rri_transfer_refuse(t, peer, note->transfer);
}

static landing *landing_of(rri_transfers *t, int peer, uint16_t tag)
{
    rri_take(&t->lock, &deals);
    landing *l = tag < PUSHED ? t->by_tag[tag] : t->incoming;
    while (l && tag >= PUSHED && (l->peer != peer || l->tag != tag)) l = l->next;
    rri_give(&t->lock, &deals);
    return l && l != &retired && l != &arrived && l->peer == peer ? l : NULL;
}

void rri_transfer_withdrawn(rri_transfers *t, int peer, const rri_record *record)
{
    landing *l = record->method < TAGS ? landing_of(t, peer, record->method) : NULL;
    if (!l) return;
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
    if (!o->all) return;                    /* is just being made */
    bool wanted = s->granted ? o->moves : !o->granted && (o->peer != s->peer || !put_off(o, 0));
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
    void *sunk = l->sunk;
    if (l->tag >= PUSHED) remove_incoming(l);
    else if (free_again) set_tag(t, l->tag, NULL);  /* else the tag is MPI's, too */
    if (l->done) l->done(l->arg, free_again ? RRI_CUT : RRI_KEPT);
    l->started = false;
    if (!free_again) {
        rri_never_free(sunk);
        rri_never_free(l);          /* its requests are MPI's */
        return;
    }
    free(sunk);
    free(l);
}

RRI_NEEDS(rri_driver)
static void forsake_incoming(rri_transfers *t, int peer)
{
    for (;;) {
        rri_take(&t->lock, &deals);
        landing *l = t->incoming;
        while (l && (l->peer != peer || !l->started)) l = l->next;
        rri_give(&t->lock, &deals);
        if (!l) return;
        forsake_landing(t, l);
    }
}

void rri_transfers_forsake(rri_transfers *t, int peer)
{
    some s = { .peer = peer, .granted = true };
    for (bool ended = true; ended && find(t, &s);) {
        ended = false;
        for (unsigned i = 0; i < s.count; i++) {
            if (!rri_link_data_moves(t->link, &s.found[i]->moving)) continue;   /* another thread has it in hand: the next look */
            rri_link_data_forsake(t->link, &s.found[i]->moving, false);
            end_offer(s.found[i], RRI_KEPT);
            ended = true;
        }
    }
    forsake_incoming(t, peer);
    for (unsigned tag = 1; tag < PUSHED; tag++) {
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
