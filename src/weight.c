/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns what waits to be told about weight, by rank and colour. Invariant: a post is `busy`, and counts as work of its colour,
 * exactly while something waits in it; then it is in the list, or whoever has added to it is about to list it.
 * Locking key: i constant, l the post's lock, w the lock of all. Lock order: a lane's, then a post's; then, without that, w,
 * then the timers'.
 */
#include "weight.h"
#include "error.h"
#include "log.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum {
    FULL = 512,                     /* parcels that need no more company */
    ROOM = 4,                       /* parcels that need no memory of their own; there are two posts for each rank */
    RESERVE = 128,                  /* parcels of the one post that finds no memory */
    RETRY_NS = 1000000              /* without memory for a message */
};

RRI_ROLE(posted);                   /* a post's lock */
RRI_ROLE(listing);                  /* the lock of all */

typedef struct post {
    rri_weights *all;               /* i */
    int peer;                       /* i */
    unsigned colour;                /* i */
    rri_lock lock;
    rri_parcel *parcel RRI_OWNED(posted);       /* l: oldest first; `few`, or memory of their own */
    unsigned count RRI_OWNED(posted), room RRI_OWNED(posted);       /* l */
    rri_parcel few[ROOM] RRI_OWNED(posted);     /* l */
    rri_wish *wish RRI_OWNED(posted), *last RRI_OWNED(posted);      /* l: oldest first */
    atomic_bool busy;               /* l; read without the lock as a hint */
    bool listed RRI_OWNED(listing); /* w */
    struct post *next RRI_OWNED(listing);       /* w: in the list */
} post;

struct rri_weights {
    rri_flow *flow;                 /* i */
    rri_progress *progress;         /* i */
    rri_timers *timers;             /* i */
    int64_t delay;                  /* i */
    int me, size;                   /* i */
    post *post;                     /* i: two for each rank */
    atomic_uint waiting;            /* a: posts that are busy */
    _Atomic(rri_parcel *) reserve;  /* a: room for RESERVE; whoever takes it out owns it */
    rri_lock lock;
    post *list RRI_OWNED(listing), *last RRI_OWNED(listing);        /* w: first in, first out */
    unsigned listed RRI_OWNED(listing);     /* w: how many */
    bool armed RRI_OWNED(listing);  /* w: the timer is set */
    rri_timer timer RRI_OWNED(listing);     /* w */
};

static void due(rri_timer *timer);
static size_t board(void *up, int peer, char *at, size_t room);

/* Nobody else knows it yet. */
RRI_UNCHECKED
static void open_post(rri_weights *w, int i)
{
    post *p = &w->post[i];
    p->all = w;
    p->peer = i / 2;
    p->colour = (unsigned)i % 2;
    p->room = ROOM;
    p->parcel = p->few;
}

/* Nobody else knows it yet. */
RRI_UNCHECKED
int rri_weights_open(rri_link *link, rri_flow *flow, rri_progress *progress, rri_timers *timers, int64_t delay,
                     rri_weights **out)
{
    int size = rri_link_size(link);
    rri_weights *w = *out = rri_calloc(1, sizeof *w);
    if (w) w->post = rri_calloc(2 * (size_t)size, sizeof *w->post);
    if (w) w->reserve = rri_malloc(RESERVE * sizeof *w->reserve);
    if (!w || !w->post || !w->reserve) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for the weight of %d ranks", size);
    w->size = size;
    for (int i = 0; i < 2 * size; i++) open_post(w, i);
    w->flow = flow;
    w->progress = progress;
    w->timers = timers;
    w->delay = delay;
    w->me = rri_link_rank(link);
    w->timer.due = due;
    rri_flow_riders(flow, board, w, &w->waiting);
    return RREF_OK;
}

RRI_UNCHECKED
void rri_weights_close(rri_weights *w)
{
    if (!w) return;
    for (int i = 0; w->post && i < 2 * w->size; i++)
        if (w->post[i].parcel != w->post[i].few) free(w->post[i].parcel);
    free(w->reserve);
    free(w->post);
    free(w);
}

/* ---- waiting */

/* The lock is held. Returns whether the sleeper must be told. Without memory for a timer it is set the next time. */
RRI_NEEDS(listing)
static bool set_timer(rri_weights *w, int64_t deadline)
{
    bool first = false;
    if (w->armed && w->timer.deadline <= deadline) return false;
    if (w->armed && !rri_timer_remove(w->timers, &w->timer)) return false;      /* it fires at this moment */
    w->armed = rri_timer_add(w->timers, &w->timer, deadline, &first) == 0;
    return first;
}

static void enlist(post *p, int64_t ns)
{
    rri_weights *w = p->all;
    rri_take(&w->lock, &listing);
    if (!p->listed) {
        p->next = NULL;
        if (w->list) w->last->next = p;
        else w->list = p;
        w->last = p;
        w->listed++;
        p->listed = true;
    }
    bool wake = set_timer(w, rri_after(rri_now(), ns));
    rri_give(&w->lock, &listing);
    if (wake) rri_progress_wake(w->progress);
}

/* The post for a rank and the present colour, locked, with one more piece of work. */
RRI_GETS(posted) RRI_UNCHECKED
static post *begin(rri_weights *w, int rank)
{
    unsigned colour = rri_begin(rri_flow_colours(w->flow));
    post *p = &w->post[2 * rank + (int)colour];
    rri_take(&p->lock, &posted);
    return p;
}

/* A post counts as one piece of work, however much waits in it. The own rank needs no company. */
RRI_GIVES(posted) RRI_UNCHECKED
static void end(post *p, bool added)
{
    rri_weights *w = p->all;
    bool was = p->busy, full = p->count == FULL;
    if (added) atomic_store(&p->busy, true);
    if (added && !was) atomic_fetch_add(&w->waiting, 1);
    rri_give(&p->lock, &posted);
    if (was || !added) rri_idle(rri_flow_colours(w->flow), p->colour);
    if (added && (!was || full)) enlist(p, full || p->peer == w->me ? 0 : w->delay);
}

/* Move to larger room. */
RRI_NEEDS(posted)
static bool settle_in(post *p, rri_parcel *more, unsigned room)
{
    if (!more) return false;
    memcpy(more, p->parcel, p->count * sizeof *more);
    if (p->parcel != p->few) free(p->parcel);
    p->parcel = more;
    p->room = room;
    return true;
}

/* Without memory the reserve serves once; it is filled again when there is some. */
RRI_NEEDS(posted)
static bool grow(post *p)
{
    rri_weights *w = p->all;
    if (settle_in(p, rri_malloc(2 * p->room * sizeof *p->parcel), 2 * p->room)) {
        rri_parcel *none = NULL, *again = atomic_load(&w->reserve) ? NULL : rri_malloc(RESERVE * sizeof *again);
        if (again && !atomic_compare_exchange_strong(&w->reserve, &none, again)) free(again);
        return true;
    }
    return p->room < RESERVE && settle_in(p, atomic_exchange(&w->reserve, NULL), RESERVE);
}

void rri_weight_send(rri_weights *w, int rank, uint64_t to, uint64_t weight)
{
    post *p = begin(w, rank);
    bool room = p->count < p->room || grow(p);
    if (room) p->parcel[p->count++] = (rri_parcel){ to, weight };
    else rri_log(RRI_LOG_ERROR, "no memory to tell rank %d about a reference; its object stays until the end", rank);
    end(p, room);
}

void rri_weight_wish(rri_weights *w, int rank, const rri_wish *wish, rri_wish *place)
{
    post *p = begin(w, rank);
    *place = *wish;
    if (p->wish) p->last->next = place;
    else p->wish = place;
    p->last = place;
    end(p, true);
}

/* ---- leaving */

static uint8_t flag_of(const post *p) { return p->colour ? RRI_FLAG_COLOUR : 0; }

RRI_NEEDS(posted)
static size_t board_wish(post *p, char *at)
{
    const rri_wish *wish = p->wish;
    rri_record *r = (rri_record *)(void *)at;
    *r = (rri_record){ .bytes = sizeof *r + sizeof wish->refill, .kind = RRI_REFILL, .flags = flag_of(p), .call = wish->handle,
                       .object = wish->address };
    memcpy(r + 1, &wish->refill, sizeof wish->refill);
    p->wish = wish->next;
    return r->bytes;
}

RRI_NEEDS(posted)
static size_t board_parcels(post *p, char *at, size_t room)
{
    rri_record *r = (rri_record *)(void *)at;
    size_t n = (room - sizeof *r) / sizeof *p->parcel;
    if (n > p->count) n = p->count;
    *r = (rri_record){ .bytes = (uint32_t)(sizeof *r + n * sizeof *p->parcel), .kind = RRI_PARCELS, .flags = flag_of(p) };
    memcpy(r + 1, p->parcel, n * sizeof *p->parcel);
    p->count -= (unsigned)n;
    memmove(p->parcel, p->parcel + n, p->count * sizeof *p->parcel);
    return r->bytes;
}

static size_t board_post(post *p, char *at, size_t room)
{
    const size_t wish = sizeof(rri_record) + sizeof(rri_refill), parcel = sizeof(rri_record) + sizeof(rri_parcel);
    size_t bytes = 0;
    if (!atomic_load_explicit(&p->busy, memory_order_acquire)) return 0;
    rri_take(&p->lock, &posted);
    bool was = p->busy;
    while (p->wish && room - bytes >= wish) bytes += board_wish(p, at + bytes);
    if (p->count && room - bytes >= parcel) bytes += board_parcels(p, at + bytes, room - bytes);
    bool over = was && !p->wish && !p->count;
    if (over) atomic_store(&p->busy, false);
    rri_give(&p->lock, &posted);
    if (over) {
        atomic_fetch_sub(&p->all->waiting, 1);
        rri_idle(rri_flow_colours(p->all->flow), p->colour);
    }
    return bytes;
}

/* For rri_flow_riders: what waits boards as far as there is room. The lane is held. */
static size_t board(void *up, int peer, char *at, size_t room)
{
    rri_weights *w = up;
    if (!atomic_load_explicit(&w->waiting, memory_order_acquire)) return 0;
    size_t bytes = board_post(&w->post[2 * peer], at, room);
    return bytes + board_post(&w->post[2 * peer + 1], at + bytes, room - bytes);
}

static post *take_first(rri_weights *w)
{
    rri_take(&w->lock, &listing);
    post *p = w->list;
    if (p) {
        w->list = p->next;
        w->listed--;
        p->listed = false;
    }
    rri_give(&w->lock, &listing);
    return p;
}

/* What does not fit into one message goes with the next one. */
static void depart(post *p)
{
    bool left = !atomic_load(&p->busy) || rri_lane_depart(p->all->flow, p->peer);
    if (atomic_load(&p->busy)) enlist(p, left ? 0 : RETRY_NS);
}

void rri_weights_flush(rri_weights *w)
{
    if (!atomic_load(&w->waiting)) return;
    rri_take(&w->lock, &listing);
    unsigned count = w->listed;         /* posts listed again meanwhile are for the next time */
    rri_give(&w->lock, &listing);
    for (post *p; count-- > 0 && (p = take_first(w));) depart(p);
}

static void due(rri_timer *timer)
{
    rri_weights *w = (rri_weights *)(void *)((char *)timer - offsetof(rri_weights, timer));
    rri_take(&w->lock, &listing);
    w->armed = false;
    rri_give(&w->lock, &listing);
    rri_weights_flush(w);
}
