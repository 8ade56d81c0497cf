/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the communicators, the ring, pending sends, and the doorbell.
 * Locking key: i constant after start, d driver only, l under lock, a atomic, p written by the one sender to a peer.
 */
#include "link.h"
#include "bulk.h"
#include "clock.h"
#include "error.h"
#include "memory.h"
#include "untaken.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

enum { TAG = 1, LOOK_NS = 200000000, WAITS = 64, LOOKS = 4 };

typedef struct pending {
    MPI_Request request;
    rri_buffer *buffer;
    struct pending *next;
} pending;

typedef struct slot {
    MPI_Request request;
    rri_buffer *buffer;
} slot;

RRI_ROLE(list);                 /* the link's lock */

struct rri_link {
    MPI_Comm lane;              /* i */
    rri_bulk bulk;
    int rank, size;             /* i */
    int local_size;             /* i */
    int *local;                 /* i: a rank's number on this node, or -1 */
    int *members;               /* i: the reverse; room for all ranks */
    rri_doorbell *bell;         /* i */
    rri_pool *pool;             /* i */
    slot *ring RRI_OWNED_THERE(rri_driver);     /* d */
    rri_buffer *spare RRI_OWNED(rri_driver);    /* d: for the next receive */
    unsigned slots, oldest RRI_OWNED(rri_driver);   /* i, d */
    unsigned looks;             /* i: at the oldest, one after the other */
    unsigned waits RRI_OWNED(rri_driver);       /* d: looks at the oldest in vain, since it was there */
    slot *fallow RRI_OWNED(rri_driver);         /* d: to be posted at the next look, which holds up no message; or NULL */
    rri_untaken untaken;        /* a */
    atomic_uint handled;        /* written by the driver: same-node messages received */
    atomic_uint kicks;          /* a: own rings of the doorbell */
    atomic_uint drift;          /* a: announced beyond what was handled, by senders that ended or stopped in between */
    rri_lock lock;
    pending *sends RRI_OWNED(list);    /* l */
    atomic_uint *unsent;        /* a: pending sends, by rank; changed under the lock */
    atomic_uint busy;           /* a: pending sends + data on its way */
    uint64_t *sent;             /* p: messages, by rank */
    uint32_t *heard;            /* d: messages received, by rank */
    atomic_bool *forsaken;      /* a: by rank */
    uint64_t expected;          /* of the drain */
    int64_t looked;             /* d: when somebody of this node was last seen to be there, in the drain */
    _Atomic uint64_t received;  /* written by the driver */
};

int rri_link_failed(int rc, const char *what)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length;
    MPI_Error_string(rc, text, &length);
    return rri_fail(RREF_ERR_MPI, "%s: %s", what, text);
}

static int duplicate(MPI_Comm from, MPI_Comm *to)
{
    int rc = MPI_Comm_dup(from, to);
    if (rc != MPI_SUCCESS) return rri_link_failed(rc, "MPI_Comm_dup");
    MPI_Comm_set_errhandler(*to, MPI_ERRORS_RETURN);
    return RREF_OK;
}

/* The first rank of the node makes the segment; all agree on whether everybody has it before its name goes. */
static int open_bell(rri_link *link, MPI_Comm node, int me)
{
    char name[RRI_DOORBELL_NAME] = "";
    int rc = RREF_OK;
    if (me == 0) rc = rri_doorbell_make(&link->bell, name, link->local_size);
    MPI_Bcast(name, sizeof name, MPI_CHAR, 0, node);
    if (me != 0)
        rc = name[0] ? rri_doorbell_map(&link->bell, name, link->local_size, me) : RREF_OK;   /* the first rank says why */
    MPI_Barrier(node);
    if (me == 0) rri_doorbell_unlink(name);
    return rc;
}

static int find_neighbours(rri_link *link)
{
    MPI_Comm node;
    int me, rc = MPI_Comm_split_type(link->lane, MPI_COMM_TYPE_SHARED, link->rank, MPI_INFO_NULL, &node);
    if (rc != MPI_SUCCESS) return rri_link_failed(rc, "MPI_Comm_split_type");
    MPI_Comm_rank(node, &me);
    MPI_Comm_size(node, &link->local_size);
    link->untaken.count = link->local_size;
    MPI_Allgather(&link->rank, 1, MPI_INT, link->members, 1, MPI_INT, node);
    for (int i = 0; i < link->size; i++) link->local[i] = -1;
    for (int i = 0; i < link->local_size; i++) link->local[link->members[i]] = i;
    rc = open_bell(link, node, me);
    MPI_Comm_free(&node);
    return rc;
}

/* Memory comes before the first collective call, which would not wait for those who have none. */
static rri_link *make(MPI_Comm comm)
{
    rri_link *link = rri_calloc(1, sizeof *link);
    if (!link) return NULL;
    link->lane = link->bulk.comm = MPI_COMM_NULL;
    link->bulk.busy = &link->busy;
    MPI_Comm_rank(comm, &link->rank);
    MPI_Comm_size(comm, &link->size);
    size_t size = (size_t)link->size;
    link->local = rri_malloc(size * sizeof *link->local);
    link->members = rri_malloc(size * sizeof *link->members);
    link->sent = rri_calloc(size, sizeof *link->sent);
    link->heard = rri_calloc(size, sizeof *link->heard);
    link->bulk.forsaken = link->forsaken = rri_calloc(size, sizeof *link->forsaken);
    link->unsent = rri_calloc(size, sizeof *link->unsent);
    bool counts = link->sent && link->heard && link->forsaken && link->unsent;
    if (rri_untaken_open(&link->untaken, link->size) && counts && link->local && link->members) return link;
    rri_link_close(link, false);
    return NULL;
}

static int agree(MPI_Comm comm, int outcome)
{
    struct { int code, rank; } mine = { outcome, 0 }, worst;
    MPI_Comm_rank(comm, &mine.rank);
    int rc = MPI_Allreduce(&mine, &worst, 1, MPI_2INT, MPI_MINLOC, comm);
    if (outcome) return outcome;
    if (rc != MPI_SUCCESS) return rri_link_failed(rc, "MPI_Allreduce");
    return worst.code ? rri_fail(worst.code, "rank %d could not go on: %s", worst.rank, rref_strerror(worst.code)) : RREF_OK;
}

int rri_link_agree(rri_link *link, int outcome) { return agree(link->lane, outcome); }

int rri_link_open(MPI_Comm comm, int outcome, rri_link **out)
{
    rri_link *link = outcome ? NULL : make(comm);
    if (!outcome && !link) outcome = rri_fail(RREF_ERR_NO_MEMORY, "no memory for a link");
    int rc = agree(comm, outcome);
    if (rc == RREF_OK) rc = duplicate(comm, &link->lane);
    if (rc == RREF_OK) rc = duplicate(comm, &link->bulk.comm);
    if (rc == RREF_OK) rc = agree(link->lane, find_neighbours(link));
    if (rc == RREF_OK) *out = link;
    else if (link) rri_link_close(link, false);
    return rc;
}

static int post(rri_link *link, slot *s)
{
    return MPI_Irecv(s->buffer->data, (int)link->pool->room, MPI_BYTE, MPI_ANY_SOURCE, TAG, link->lane, &s->request);
}

/* Before anything drives, and after. */
RRI_UNCHECKED
int rri_link_start(rri_link *link, rri_pool *pool, unsigned ring)
{
    link->pool = pool;
    link->looks = link->local_size == link->size ? LOOKS : 1;
    link->ring = rri_calloc(ring, sizeof *link->ring);
    if (!link->ring) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %u receives", ring);
    for (; link->slots < ring; link->slots++) {
        slot *s = &link->ring[link->slots];
        s->buffer = rri_buffer_new(pool);
        if (!s->buffer) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %u receives", ring);
        int rc = post(link, s);
        if (rc != MPI_SUCCESS) {
            rri_buffer_drop(s->buffer);
            return rri_link_failed(rc, "MPI_Irecv");
        }
    }
    return RREF_OK;
}

bool rri_link_take_back(MPI_Request *request)
{
    int done = 0;
    if (*request == MPI_REQUEST_NULL) return true;
    MPI_Cancel(request);
    for (int tries = 0; tries < 100 && !done; tries++) MPI_Test(request, &done, MPI_STATUS_IGNORE);
    return done;
}

RRI_UNCHECKED
static void close_ring(rri_link *link)
{
    for (unsigned i = 0; i < link->slots; i++)
        if (&link->ring[i] == link->fallow || rri_link_take_back(&link->ring[i].request)) rri_buffer_drop(link->ring[i].buffer);
        else rri_never_free(link->ring[i].buffer);
    free(link->ring);
    if (link->spare) rri_buffer_drop(link->spare);
}

void rri_link_close(rri_link *link, bool abandon)
{
    close_ring(link);
    if (!abandon) {
        if (link->lane != MPI_COMM_NULL) MPI_Comm_free(&link->lane);
        if (link->bulk.comm != MPI_COMM_NULL) MPI_Comm_free(&link->bulk.comm);
    }
    rri_doorbell_free(link->bell);
    free(link->local);
    free(link->members);
    rri_untaken_close(&link->untaken);
    free(link->sent);
    free(link->heard);
    free(link->forsaken);
    free(link->unsent);
    free(link);
}

int rri_link_rank(const rri_link *link) { return link->rank; }
int rri_link_size(const rri_link *link) { return link->size; }
int rri_link_local_size(const rri_link *link) { return link->local_size; }
bool rri_link_neighbour(const rri_link *link, int peer) { return link->local[peer] >= 0; }
rri_doorbell *rri_link_bell(rri_link *link) { return link->bell; }
rri_bulk *rri_link_bulk(rri_link *link) { return &link->bulk; }

int rri_link_gather(rri_link *link, const void *mine, void *all, int bytes)
{
    int rc = MPI_Allgather(mine, bytes, MPI_BYTE, all, bytes, MPI_BYTE, link->lane);
    return rc == MPI_SUCCESS ? RREF_OK : rri_link_failed(rc, "MPI_Allgather");
}

static void announce(rri_link *link, int peer, bool urgent)
{
    __atomic_store_n(&link->sent[peer], link->sent[peer] + 1, __ATOMIC_RELAXED);
    int local = link->local[peer];
    if (local >= 0) rri_untaken_announce(&link->untaken, link->bell, local, urgent);
}

/* A send that MPI could not finish at once is kept; without memory to keep it, wait for it here. */
static void keep_send(rri_link *link, rri_buffer *buffer, MPI_Request request)
{
    pending *p = rri_malloc(sizeof *p);
    if (!p) {
        MPI_Wait(&request, MPI_STATUS_IGNORE);
        rri_buffer_drop(buffer);
        return;
    }
    atomic_fetch_add(&link->busy, 1);
    rri_take(&link->lock, &list);
    *p = (pending){ request, buffer, link->sends };
    link->sends = p;
    atomic_fetch_add_explicit(&link->unsent[buffer->peer], 1, memory_order_relaxed);
    rri_give(&link->lock, &list);
}

bool rri_link_send(rri_link *link, rri_buffer *buffer)
{
    MPI_Request request;
    int done = 0, peer = buffer->peer;
    bool urgent = buffer->urgent;
    ((rri_message *)(void *)buffer->data)->number = (uint32_t)link->sent[peer];
    int rc = MPI_Isend(buffer->data, (int)buffer->bytes, MPI_BYTE, peer, TAG, link->lane, &request);
    if (rc == MPI_SUCCESS) announce(link, peer, urgent);
    if (rc == MPI_SUCCESS) rc = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (rc != MPI_SUCCESS || done) return true;
    keep_send(link, buffer, request);
    return false;
}

const atomic_uint *rri_link_unsent(const rri_link *link) { return link->unsent; }

bool rri_link_recycle(rri_link *link, rri_buffer *buffer)
{
    if (link->spare || buffer->owes || atomic_load_explicit(&buffer->refs, memory_order_acquire) != 1) return false;
    link->spare = buffer;
    return true;
}

static void count_received(rri_link *link)
{
    uint64_t n = atomic_load_explicit(&link->received, memory_order_relaxed);
    atomic_store_explicit(&link->received, n + 1, memory_order_relaxed);
}

RRI_NEEDS(rri_driver)
static void post_fallow(rri_link *link)
{
    if (!link->fallow) return;
    post(link, link->fallow);
    link->fallow = NULL;
}

/* Whether a receive has a message that is the next of its rank. */
RRI_NEEDS(rri_driver)
static bool has_next(rri_link *link, const slot *s)
{
    int done = 0, bytes = 0;
    MPI_Status status;
    if (s == link->fallow || MPI_Request_get_status(s->request, &done, &status) != MPI_SUCCESS || !done) return false;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    const rri_message *m = (const void *)s->buffer->data;
    return (size_t)bytes < sizeof *m || m->number == link->heard[status.MPI_SOURCE];
}

/*
 * A large message comes in steps. If its sender ends after the first, the receive that it has met never ends, and must not hold
 * up those behind it, one of which may bring word of that very loss. So when the oldest has nothing for long, the first one
 * that has goes before it; messages of a rank stay in order by their numbers. Returns whether there was one.
 */
RRI_NEEDS(rri_driver)
static bool go_round(rri_link *link)
{
    slot *oldest = &link->ring[link->oldest];
    if (link->waits++ < WAITS) return false;
    link->waits = 0;
    for (unsigned i = 1; i < link->slots; i++) {
        slot *s = &link->ring[(link->oldest + i) % link->slots];
        if (!has_next(link, s)) continue;
        const slot found = *s;
        for (; i > 0; i--) link->ring[(link->oldest + i) % link->slots] = link->ring[(link->oldest + i - 1) % link->slots];
        *oldest = found;            /* the others stay in the order in which they were posted */
        link->waits = WAITS;        /* there may be more */
        return true;
    }
    return false;
}

/* By number, so that a message that was lost does not make all that follow seem to come too early. */
RRI_NEEDS(rri_driver)
static void count_heard(rri_link *link, const rri_buffer *buffer)
{
    const rri_message *m = (const void *)buffer->data;
    if (buffer->bytes >= sizeof *m) link->heard[buffer->peer] = m->number + 1;
}

/* What the driver looks at beside MPI takes as long as a look at MPI: some in a row see a message sooner. Not where each of them
 * asks the kernel about other nodes. */
static int look(rri_link *link, slot *s, int *done, MPI_Status *status)
{
    int rc = MPI_SUCCESS;
    for (unsigned left = link->looks; left && !*done && rc == MPI_SUCCESS; left--) rc = MPI_Test(&s->request, done, status);
    return rc;
}

rri_buffer *rri_link_receive(rri_link *link)
{
    slot *s = &link->ring[link->oldest];
    int done = 0, bytes = 0;
    MPI_Status status;
    post_fallow(link);
    if (look(link, s, &done, &status) != MPI_SUCCESS) {
        count_received(link);
        post(link, s);          /* a message that does not fit is lost; the ring goes on */
        return NULL;
    }
    if (!done && (!go_round(link) || MPI_Test(&s->request, &done, &status) != MPI_SUCCESS || !done)) return NULL;
    rri_buffer *fresh = link->spare ? link->spare : rri_buffer_reserved(link->pool), *buffer = s->buffer;
    while (!fresh) fresh = rri_buffer_reserved(link->pool);  /* a gap would break the order of the ring */
    link->spare = NULL;
    MPI_Get_count(&status, MPI_BYTE, &bytes);
    buffer->bytes = (uint32_t)bytes;
    buffer->peer = status.MPI_SOURCE;
    s->buffer = fresh;
    link->fallow = s;
    link->oldest = (link->oldest + 1) % link->slots;
    count_received(link);
    count_heard(link, buffer);
    int local = link->local[buffer->peer];
    if (local >= 0) {
        unsigned handled = atomic_load_explicit(&link->handled, memory_order_relaxed);
        atomic_store_explicit(&link->handled, handled + 1, memory_order_release);
        rri_doorbell_handled(link->bell, local);
    }
    return buffer;
}

RRI_NEEDS(rri_driver)
static void take_and_drop(rri_link *link)
{
    rri_buffer *buffer = rri_link_receive(link);
    if (buffer) rri_buffer_drop(buffer);
    rri_link_advance(link);
}

bool rri_link_gone(const rri_link *link, int peer)
{
    return link->local[peer] >= 0 && rri_doorbell_gone(link->bell, link->local[peer]);
}

bool rri_link_left(const rri_link *link, int peer)
{
    return link->local[peer] >= 0 && rri_doorbell_left(link->bell, link->local[peer]);
}

static bool anybody_gone(rri_link *link, int64_t now)
{
    bool gone = false;
    if (now - link->looked < LOOK_NS) return false;
    link->looked = now;
    for (int i = 0; i < link->local_size; i++) gone = gone || rri_doorbell_gone(link->bell, i);
    return gone;
}

/* Something more was taken, it is before the deadline, and nobody of this node has gone. */
RRI_NEEDS(rri_driver)
static int go_on(rri_link *link, int64_t deadline)
{
    take_and_drop(link);
    int64_t now = rri_now();
    if (anybody_gone(link, now)) return RREF_ERR_PEER_LOST;
    return now < deadline ? RREF_OK : RREF_ERR_STALLED;
}

static int drained(int rc)
{
    if (rc == RREF_ERR_STALLED) rri_fail(rc, "not all ranks came to the end; one has given up");
    if (rc == RREF_ERR_PEER_LOST) rri_fail(rc, "a rank of this node has ended before all were done");
    return rc;
}

/*
 * A barrier would not do: messages of different peers come by different ways, and one that is left would meet a
 * communicator already freed. So the ranks say how much they sent, and each receives until it has as much. Receiving goes
 * on meanwhile, since a sender may need it to end its part.
 */
int rri_link_drain(rri_link *link, int64_t ns)
{
    int done = 0, rc = RREF_OK;
    MPI_Request request;
    int64_t deadline = rri_after(rri_now(), ns);
    while (!rc && rri_link_busy(link)) rc = go_on(link, deadline);
    if (rc) return drained(rc);
    int mpi = MPI_Ireduce_scatter_block(link->sent, &link->expected, 1, MPI_UINT64_T, MPI_SUM, link->lane, &request);
    while (mpi == MPI_SUCCESS && !done && !rc) {
        rc = go_on(link, deadline);
        mpi = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    }
    if (mpi != MPI_SUCCESS) return rri_link_failed(mpi, "MPI_Ireduce_scatter_block");
    while (!rc && atomic_load_explicit(&link->received, memory_order_relaxed) != link->expected) rc = go_on(link, deadline);
    return drained(rc);
}

/* A neighbour that has left takes nothing more, and wants nothing more. */
static bool owed_to_neighbours(const rri_link *link)
{
    for (int i = 0; i < link->local_size; i++)
        if (rri_untaken_announced(&link->untaken, i) != rri_doorbell_handled_by(link->bell, i)
            && !rri_untaken_is_lost(&link->untaken, i) && !rri_doorbell_left(link->bell, i)
            && !rri_doorbell_gone(link->bell, i)) return true;
    return false;
}

void rri_link_part(rri_link *link, int64_t ns)
{
    int64_t deadline = rri_after(rri_now(), ns);
    while (rri_now() < deadline && (rri_link_busy(link) || owed_to_neighbours(link))) take_and_drop(link);
}

static unsigned advance_sends(rri_link *link)
{
    unsigned ended = 0;
    rri_take(&link->lock, &list);
    for (pending **at = &link->sends, *p; (p = *at);) {
        int done = 0;
        MPI_Test(&p->request, &done, MPI_STATUS_IGNORE);
        if (!done) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        atomic_fetch_sub_explicit(&link->unsent[p->buffer->peer], 1, memory_order_relaxed);
        rri_buffer_drop(p->buffer);
        free(p);
        atomic_fetch_sub(&link->busy, 1);
        ended++;
    }
    rri_give(&link->lock, &list);
    return ended;
}

unsigned rri_link_advance(rri_link *link)
{
    if (!rri_link_busy(link)) return 0;
    return advance_sends(link) + rri_bulk_advance(&link->bulk);
}

bool rri_link_busy(const rri_link *link)
{
    return atomic_load_explicit(&link->busy, memory_order_relaxed) != 0;
}

bool rri_link_moving(const rri_link *link)
{
    return atomic_load_explicit(&link->bulk.movers, memory_order_relaxed) != 0;
}

static unsigned outstanding(const rri_link *link)
{
    unsigned seen = atomic_load(&link->handled) + atomic_load(&link->kicks);
    return rri_doorbell_announced(link->bell) - seen;
}

bool rri_link_expects(const rri_link *link) { return outstanding(link) != atomic_load(&link->drift); }
bool rri_link_adrift(const rri_link *link) { return atomic_load(&link->drift) != 0; }
void rri_link_rebase(rri_link *link) { atomic_store(&link->drift, outstanding(link)); }

unsigned rri_link_announced(const rri_link *link, int peer)
{
    int local = link->local[peer];
    return local < 0 ? 0 : rri_untaken_announced(&link->untaken, local);
}

void rri_link_settle(rri_link *link, int peer, unsigned announced)
{
    int local = link->local[peer];
    if (local >= 0) rri_untaken_settle(&link->untaken, local, announced);
}

bool rri_link_unsettled(const rri_link *link) { return rri_untaken_any(&link->untaken, link->bell); }

/* ---- the lost */

static rri_lock kept_lock;
static pending *kept;           /* sends that never end, of all links; MPI has their memory */

uint32_t rri_link_heard(const rri_link *link, int peer) { return link->heard[peer]; }

void rri_link_forsake(rri_link *link, int peer)
{
    atomic_store(&link->forsaken[peer], true);
    if (link->local[peer] >= 0) rri_untaken_write_off(&link->untaken, link->local[peer]);
    rri_take(&link->lock, &list);
    rri_lock_take(&kept_lock);
    for (pending **at = &link->sends, *p; (p = *at);) {
        if (p->buffer->peer != peer) {
            at = &p->next;
            continue;
        }
        *at = p->next;
        p->next = kept;
        kept = p;
        atomic_fetch_sub_explicit(&link->unsent[peer], 1, memory_order_relaxed);
        atomic_fetch_sub(&link->busy, 1);
    }
    rri_lock_give(&kept_lock);
    rri_give(&link->lock, &list);
}

void rri_link_kick(rri_link *link)
{
    atomic_fetch_add(&link->kicks, 1);
    rri_doorbell_wake(link->bell);
}

void rri_link_remind(rri_link *link)
{
    atomic_fetch_add(&link->kicks, 1);
    rri_doorbell_remind(link->bell);
}

void rri_link_ring(rri_link *link, int peer) { rri_doorbell_ring(link->bell, link->local[peer], true); }

void rri_link_await_ring(rri_link *link)
{
    for (unsigned seen; seen = rri_doorbell_announced(link->bell), !rri_link_expects(link);) {
        rri_doorbell_asleep(link->bell, RRI_WATCHER, seen);
        rri_doorbell_sleep(link->bell, RRI_WATCHER, seen, 1000000);
    }
    rri_doorbell_awake(link->bell);
    atomic_fetch_add(&link->kicks, 1);
}

void rri_link_counts(const rri_link *link, uint64_t *sent, uint64_t *received)
{
    *sent = 0;
    for (int i = 0; i < link->size; i++) *sent += __atomic_load_n(&link->sent[i], __ATOMIC_RELAXED);
    *received = atomic_load_explicit(&link->received, memory_order_relaxed);
}
