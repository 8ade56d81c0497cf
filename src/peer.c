/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the states of the other ranks and the order in which losses became known here. A loss is marked by any thread, which
 * shuts the lane, and dealt with by whoever drives.
 * Locking key: i constant, d driver only, l under the lock, a atomic. Lock order: this one, then a lane's.
 */
#include "peer.h"
#include "clock.h"
#include "error.h"
#include "log.h"
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEFT_NS INT64_C(5000000000)        /* for the last messages of one that leaves */

typedef struct peer {
    atomic_int state;           /* a: of rref_peer */
    rri_loss why;               /* i once it is lost */
    int witness;                /* i once it is lost: whose word it is */
    bool settled;               /* d: the loss was dealt with */
    bool answered;              /* d: it spoke after that, and was told */
    bool pinged;                /* d */
    uint32_t heard;             /* d: messages from it at the last look */
    int64_t since;              /* d: when it was not silent */
    int64_t left;               /* d: when it was found to have left, or 0 */
    unsigned told;              /* l: of the losses known here */
} peer;

struct rri_peers {
    rri_link *link;             /* i */
    rri_flow *flow;             /* i */
    rri_peers_config config;    /* i */
    rri_peers_up up;            /* i */
    int me, size;               /* i */
    peer *peer;                 /* by rank */
    bool *awaited;              /* d: by rank */
    int64_t next, next_silence; /* d: when to look */
    bool settling;              /* d */
    atomic_uint unsettled;      /* a: losses were marked */
    atomic_bool rests;          /* a */
    rri_lock lock;
    int *order;                 /* l: the lost, as they became known */
    atomic_uint lost;           /* l; read by anybody */
};

static int blame(void *up, int rank) { return rri_peer_blame(up, rank, NULL, ""); }
static bool speaks(void *up, int rank);

int rri_peers_open(rri_link *link, rri_flow *flow, const rri_peers_config *config, const rri_peers_up *up, rri_peers **out)
{
    size_t size = (size_t)rri_link_size(link);
    rri_peers *ps = rri_calloc(1, sizeof *ps);
    if (!ps) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for peers");
    *ps = (rri_peers){ .link = link, .flow = flow, .config = *config, .up = *up, .me = rri_link_rank(link), .size = (int)size };
    ps->peer = rri_calloc(size, sizeof *ps->peer);
    ps->awaited = rri_calloc(size, sizeof *ps->awaited);
    ps->order = rri_calloc(size, sizeof *ps->order);
    if (!ps->peer || !ps->awaited || !ps->order) {
        rri_peers_close(ps);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %zu peers", size);
    }
    rri_flow_report(flow, &(rri_flow_up){ blame, speaks, ps });
    *out = ps;
    return RREF_OK;
}

void rri_peers_close(rri_peers *ps)
{
    if (!ps) return;
    free(ps->peer);
    free(ps->awaited);
    free(ps->order);
    free(ps);
}

rref_peer rri_peer_state(const rri_peers *ps, int rank) { return (rref_peer)atomic_load(&ps->peer[rank].state); }
unsigned rri_peers_lost(const rri_peers *ps) { return atomic_load_explicit(&ps->lost, memory_order_acquire); }
int rri_peers_which(const rri_peers *ps, unsigned n) { return ps->order[n]; }

static void explain(const rri_peers *ps, int rank, char *text, size_t size)
{
    static const char *const why[] = {
        [RRI_ENDED] = "its process has ended, as rank %d has seen", [RRI_DECLARED] = "rank %d has declared it lost",
        [RRI_DISOWNED] = "this rank is taken for lost itself, as rank %d says",
        [RRI_LEFT] = "it has ended the context without this rank, which is rank %d" };
    const peer *p = &ps->peer[rank];
    char reason[96];
    snprintf(reason, sizeof reason, why[p->why], p->witness);
    snprintf(text, size, "rank %d on host %s is lost: %s", rank, ps->config.hosts[rank], reason);
}

const char *rri_peer_host(const rri_peers *ps, int rank) { return ps->config.hosts[rank]; }

int rri_peer_blame(const rri_peers *ps, int rank, rref_error *error, const char *more)
{
    char text[256];
    rref_error *e = error ? error : rri_error_last();
    explain(ps, rank, text, sizeof text);
    rri_error_fill(e, RREF_ERR_PEER_LOST, "%s%s", text, more);
    e->rank = rank;
    rri_error_copy(e->host, sizeof e->host, ps->config.hosts[rank]);
    return RREF_ERR_PEER_LOST;
}

/* ---- records */

static bool send(rri_peers *ps, int to, rri_record record)
{
    rri_record *r = rri_lane_begin(ps->flow, to, RRI_ANSWERS, sizeof *r);
    if (!r) return false;
    record.bytes = sizeof *r;
    *r = record;
    rri_lane_end(ps->flow, to, RRI_ANSWERS, true);
    return true;
}

static rri_record loss_of(const rri_peers *ps, int rank)
{
    const peer *p = &ps->peer[rank];
    return (rri_record){ .kind = RRI_LOSS, .method = (uint16_t)p->why, .call = (uint64_t)p->witness, .object = (uint64_t)rank };
}

void rri_peers_tell(rri_peers *ps, int to)
{
    if (!rri_peers_lost(ps)) return;
    rri_lock_take(&ps->lock);
    for (peer *p = &ps->peer[to]; p->told < rri_peers_lost(ps); p->told++)
        if (!send(ps, to, loss_of(ps, ps->order[p->told]))) break;
    rri_lock_give(&ps->lock);
}

/* Those at distances of powers of two pass it on in turn: so it reaches all, unless about as many are lost at once. */
static void tell_some(rri_peers *ps)
{
    for (int d = 1; d < ps->size; d *= 2) {
        rri_peers_tell(ps, (ps->me + d) % ps->size);
        rri_peers_tell(ps, (ps->me + ps->size - d) % ps->size);
    }
}

/* ---- losses */

/* Whoever sees the loss may settle it, so by then its lane takes no more calls, which would be owed for ever. */
static void mark(rri_peers *ps, int rank, rri_loss why, int witness)
{
    peer *p = &ps->peer[rank];
    rri_lock_take(&ps->lock);
    bool fresh = rank != ps->me && atomic_load(&p->state) != RREF_PEER_LOST;
    if (fresh) {
        p->why = why;
        p->witness = witness;
        rri_lane_shut(ps->flow, rank);
        atomic_store(&p->state, RREF_PEER_LOST);
    }
    rri_lock_give(&ps->lock);
    if (fresh) atomic_store(&ps->unsettled, 1);
}

static void settle(rri_peers *ps, int rank)
{
    char text[256];
    peer *p = &ps->peer[rank];
    p->settled = true;
    explain(ps, rank, text, sizeof text);
    rri_log(RRI_LOG_WARN, "%s", text);
    rri_link_forsake(ps->link, rank);
    rri_lock_take(&ps->lock);
    ps->order[rri_peers_lost(ps)] = rank;
    atomic_fetch_add(&ps->lost, 1);
    rri_lock_give(&ps->lock);
    if (p->why <= RRI_DECLARED) tell_some(ps);
    ps->up.lose(ps->up.up, rank);
}

/* What it calls may come here again. */
static void settle_all(rri_peers *ps)
{
    if (ps->settling) return;
    ps->settling = true;
    while (atomic_exchange(&ps->unsettled, 0))
        for (int i = 0; i < ps->size; i++)
            if (rri_peer_state(ps, i) == RREF_PEER_LOST && !ps->peer[i].settled) settle(ps, i);
    ps->settling = false;
}

int rri_peer_declare(rri_peers *ps, int rank)
{
    if (rank < 0 || rank >= ps->size) return rri_fail(RREF_ERR_DESTINATION, "rank %d of %d", rank, ps->size);
    if (rank == ps->me) return rri_fail(RREF_ERR_ARGUMENT, "a rank cannot declare itself lost");
    mark(ps, rank, RRI_DECLARED, ps->me);
    rri_link_kick(ps->link);
    return RREF_OK;
}

rref_peer rri_peer_ask(rri_peers *ps, int rank)
{
    bool ended = rank != ps->me && !atomic_load(&ps->rests) && rri_peer_state(ps, rank) != RREF_PEER_LOST
                 && rri_link_gone(ps->link, rank);
    if (ended) mark(ps, rank, RRI_ENDED, ps->me);
    if (ended) rri_link_kick(ps->link);
    return rri_peer_state(ps, rank);
}

/* Its lane is shut, so it is written to beside that. */
static void tell_returned(rri_peers *ps, int rank)
{
    rri_buffer *b = rri_buffer_reserved(rri_flow_pool(ps->flow));
    if (!b) return;
    b->peer = rank;
    b->bytes = sizeof(rri_message) + sizeof(rri_record);
    *(rri_message *)(void *)b->data = (rri_message){ .magic = RRI_MAGIC, .version = RRI_WIRE_VERSION, .bytes = b->bytes };
    rri_record loss = loss_of(ps, rank);
    loss.bytes = sizeof loss;
    memcpy(b->data + sizeof(rri_message), &loss, sizeof loss);
    if (rri_link_send(ps->link, b)) rri_buffer_drop(b);      /* it left at once */
    ps->peer[rank].answered = true;
    rri_log(RRI_LOG_WARN, "rank %d on host %s is back, and was told that it is lost", rank, ps->config.hosts[rank]);
}

/* ---- suspicion */

static bool change(rri_peers *ps, int rank, rref_peer from, rref_peer to)
{
    int was = (int)from;
    return atomic_compare_exchange_strong(&ps->peer[rank].state, &was, (int)to);
}

static void suspect(rri_peers *ps, int rank, int64_t silent)
{
    if (!change(ps, rank, RREF_PEER_UP, RREF_PEER_SUSPECTED)) return;
    rri_log(RRI_LOG_WARN, "rank %d on host %s has not been heard for %.1f s: what is for it waits here until it speaks", rank,
            ps->config.hosts[rank], (double)silent * 1e-9);
    rri_lane_hold(ps->flow, rank);
}

/* A message has come from a rank whose lane is not open: whether it is to be taken. */
static bool speaks(void *up, int rank)
{
    rri_peers *ps = up;
    if (change(ps, rank, RREF_PEER_SUSPECTED, RREF_PEER_UP))
        rri_log(RRI_LOG_WARN, "rank %d on host %s is heard again", rank, ps->config.hosts[rank]);
    peer *p = &ps->peer[rank];
    if (rri_peer_state(ps, rank) == RREF_PEER_UP) {
        rri_lane_release(ps->flow, rank);
        return true;
    }
    if (p->why <= RRI_DECLARED && !p->answered) tell_returned(ps, rank);
    return false;
}

static void look_at(rri_peers *ps, int rank, int64_t now)
{
    peer *p = &ps->peer[rank];
    uint32_t heard = rri_link_heard(ps->link, rank);
    if (heard != p->heard || !ps->awaited[rank] || !p->since) {     /* its silence begins when it is first looked at */
        p->heard = heard;
        p->since = now;
        p->pinged = false;
        return;
    }
    int64_t silent = now - p->since;
    if (p->pinged && silent >= ps->config.timeout) suspect(ps, rank, silent);
    else if (!p->pinged && silent >= ps->config.timeout / 2)
        p->pinged = send(ps, rank, (rri_record){ .kind = RRI_PING });
}

static void look_for_silence(rri_peers *ps, int64_t now)
{
    int64_t pause = ps->config.timeout / 8;
    if (ps->config.timeout == RRI_NEVER || now < ps->next_silence) return;
    ps->next_silence = rri_after(now, pause);
    for (int i = 0; i < ps->size; i++) ps->awaited[i] = rri_lane_in_flight(ps->flow, i);
    ps->up.await(ps->up.up, ps->awaited);
    for (int i = 0; i < ps->size; i++)
        if (i != ps->me && rri_peer_state(ps, i) == RREF_PEER_UP && !(ps->config.mute && ps->config.mute[i])) look_at(ps, i, now);
}

/* ---- looking */

/* Who leaves in order sees to it that this rank hears of the end, at once or soon. */
static void look_at_neighbour(rri_peers *ps, int rank, int64_t now)
{
    peer *p = &ps->peer[rank];
    if (rri_link_gone(ps->link, rank)) mark(ps, rank, RRI_ENDED, ps->me);
    else if (!rri_link_left(ps->link, rank)) return;
    else if (!p->left) p->left = now;
    else if (now - p->left > LEFT_NS) mark(ps, rank, RRI_LEFT, ps->me);
}

static void look_around(rri_peers *ps, int64_t now)
{
    for (int i = 0; i < ps->size; i++)
        if (i != ps->me && rri_link_neighbour(ps->link, i) && rri_peer_state(ps, i) != RREF_PEER_LOST)
            look_at_neighbour(ps, i, now);
    look_for_silence(ps, now);
    for (unsigned i = 0; i < rri_peers_lost(ps); i++) ps->up.lost(ps->up.up, ps->order[i]);
}

void rri_peers_look(rri_peers *ps, int64_t now)
{
    bool due = now >= ps->next && !atomic_load_explicit(&ps->rests, memory_order_relaxed);
    if (due) {
        ps->next = rri_after(now, RRI_PEERS_LOOK_NS);
        look_around(ps, now);
    }
    if (atomic_load_explicit(&ps->unsettled, memory_order_relaxed)) settle_all(ps);
}

void rri_peers_rest(rri_peers *ps) { atomic_store(&ps->rests, true); }

bool rri_peers_watched(rri_peers *ps) { return ps->size > 1 && ps->up.awaits(ps->up.up); }

/* ---- what others say */

static void take_loss(rri_peers *ps, int from, const rri_record *r)
{
    if (r->object != (uint64_t)ps->me) mark(ps, (int)r->object, (rri_loss)r->method, (int)r->call);
    else
        for (int i = 0; i < ps->size; i++) mark(ps, i, RRI_DISOWNED, from);
    settle_all(ps);
}

void rri_peer_record(rri_peers *ps, int from, const rri_record *r)
{
    uint64_t size = (uint64_t)ps->size;
    if (r->kind == RRI_PING) {
        send(ps, from, (rri_record){ .kind = RRI_PONG });
    } else if (r->kind == RRI_LOSS && (r->object >= size || r->call >= size || r->method > RRI_DECLARED || from == ps->me)) {
        rri_flow_refuse(ps->flow);
        rri_log(RRI_LOG_ERROR, "word of a loss from rank %d that makes no sense was refused", from);
    } else if (r->kind == RRI_LOSS) {
        take_loss(ps, from, r);
    }
}
