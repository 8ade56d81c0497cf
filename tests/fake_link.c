/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes the place of src/link.c: a program that defines its names is not given those of the library. One thread only. */
#include "fake_link.h"
#include "wire.h"

#include <stdlib.h>
#include <string.h>

enum { RANKS = 4, PIECES = 16 };

/* Bulk data on its way: a send or a receive, until both have met. */
typedef struct move {
    struct move *next;
    rri_moving *moving;
    int peer, tag;
    unsigned pieces;
    rri_segment piece[PIECES];
    bool over;
} move;

struct rri_link {
    int rank, size;
    rri_link *peer[RANKS];
    rri_pool *pool;
    rri_doorbell *bell;
    rri_buffer *first, *last;
    rri_buffer *kept[RANKS], *kept_last[RANKS];     /* by sender: requests that arrive when they are let through */
    bool keeps;
    unsigned queued, kicks;
    move *sends, *receives;
    uint64_t sent, received;
};

void fake_open(rri_link *link[], int size)
{
    char name[RRI_DOORBELL_NAME];
    for (int i = 0; i < size; i++) {
        link[i] = calloc(1, sizeof *link[i]);
        if (!link[i] || rri_doorbell_make(&link[i]->bell, name, 1)) abort();
        link[i]->rank = i;
        link[i]->size = size;
    }
    for (int i = 0; i < size; i++)
        for (int k = 0; k < size; k++) link[i]->peer[k] = link[k];
}

void fake_close(rri_link *link[], int size)
{
    for (int i = 0; i < size; i++) {
        for (int from = 0; from < size; from++)
            while (fake_deliver(link[i], from)) {}
        for (rri_buffer *b; (b = link[i]->first);) {
            link[i]->first = b->next;
            rri_buffer_drop(b);
        }
        rri_doorbell_free(link[i]->bell);
    }
}

static void append(rri_buffer **first, rri_buffer **last, rri_buffer *b)
{
    b->next = NULL;
    if (*first) (*last)->next = b;
    else *first = b;
    *last = b;
}

static rri_buffer *copy(rri_link *to, int from, const void *data, size_t bytes)
{
    rri_buffer *b = rri_buffer_new(to->pool);
    if (!b || bytes > to->pool->room) abort();
    memcpy(b->data, data, bytes);
    b->bytes = (uint32_t)bytes;
    b->peer = from;
    return b;
}

void fake_put(rri_link *to, int from, const void *data, size_t bytes)
{
    append(&to->first, &to->last, copy(to, from, data, bytes));
    to->queued++;
}

void fake_keep(rri_link *link) { link->keeps = true; }

bool fake_deliver(rri_link *to, int from)
{
    rri_buffer *b = to->kept[from];
    if (!b) return false;
    to->kept[from] = b->next;
    append(&to->first, &to->last, b);
    to->queued++;
    return true;
}

unsigned fake_queued(const rri_link *link) { return link->queued; }

/* ---- link.h */

/* The start of a context is not for this link. */
int rri_link_open(MPI_Comm comm, int outcome, rri_link **link)
{
    (void)comm;
    (void)outcome;
    (void)link;
    return RREF_ERR_STATE;
}

int rri_link_agree(rri_link *link, int outcome)
{
    (void)link;
    (void)outcome;
    return RREF_ERR_STATE;
}

int rri_link_gather(rri_link *link, const void *mine, void *all, int bytes)
{
    (void)link;
    (void)mine;
    (void)all;
    (void)bytes;
    return RREF_ERR_STATE;
}

int rri_link_start(rri_link *link, rri_pool *pool, unsigned ring)
{
    (void)ring;
    link->pool = pool;
    return RREF_OK;
}

/* What is sent is away. */
const atomic_uint *rri_link_unsent(const rri_link *link)
{
    static const atomic_uint none[RANKS];
    (void)link;
    return none;
}

void rri_link_close(rri_link *link, bool abandon)
{
    (void)abandon;
    free(link);
}

int rri_link_rank(const rri_link *link) { return link->rank; }
int rri_link_size(const rri_link *link) { return link->size; }
int rri_link_local_size(const rri_link *link) { return link->size; }
rri_doorbell *rri_link_bell(rri_link *link) { return link->bell; }

bool rri_link_neighbour(const rri_link *link, int peer)
{
    (void)link;
    (void)peer;
    return true;
}

bool rri_link_send(rri_link *link, rri_buffer *buffer)
{
    rri_link *to = link->peer[buffer->peer];
    bool requests = ((const rri_message *)(const void *)buffer->data)->counted;
    if (to->keeps && requests)
        append(&to->kept[link->rank], &to->kept_last[link->rank], copy(to, link->rank, buffer->data, buffer->bytes));
    else
        fake_put(to, link->rank, buffer->data, buffer->bytes);
    link->sent++;
    return true;
}

bool rri_link_recycle(rri_link *link, rri_buffer *buffer)
{
    (void)link;
    (void)buffer;
    return false;
}

rri_buffer *rri_link_receive(rri_link *link)
{
    rri_buffer *b = link->first;
    if (!b) return NULL;
    link->first = b->next;
    b->next = NULL;
    link->queued--;
    link->received++;
    return b;
}

static int start(move **list, rri_moving *moving, int peer, int tag, const rri_segment *segments, unsigned count)
{
    move *m = calloc(1, sizeof *m);
    if (!m || count > PIECES) abort();
    *m = (move){ .next = *list, .moving = moving, .peer = peer, .tag = tag, .pieces = count };
    memcpy(m->piece, segments, count * sizeof *segments);
    *list = m;
    moving->count = (int)count;
    return RREF_OK;
}

int rri_link_data_send(rri_link *link, rri_moving *moving, int peer, int tag, const rri_segment *segments, unsigned count)
{
    return start(&link->sends, moving, peer, tag, segments, count);
}

int rri_link_data_receive(rri_link *link, rri_moving *moving, int peer, int tag, const rri_segment *segments, unsigned count)
{
    return start(&link->receives, moving, peer, tag, segments, count);
}

/* Nothing is posted ahead over this link: it has one thread, which drives. */
int rri_link_data_post(rri_link *link, rri_moving *moving, int peer, int tag, const rri_segment *segments, unsigned count)
{
    (void)link, (void)moving, (void)peer, (void)tag, (void)segments, (void)count;
    return RREF_ERR_NO_MEMORY;
}

rri_moved rri_link_data_unpost(rri_link *link, rri_moving *moving, int peer)
{
    (void)link, (void)moving, (void)peer;
    abort();
}

void rri_link_data_drop(rri_link *link, int peer, int tag, size_t bytes, void *memory, size_t room)
{
    (void)link, (void)peer, (void)tag, (void)bytes, (void)memory, (void)room;
    abort();
}

static void finish(move **at)
{
    move *m = *at;
    rri_moving *moving = m->moving;
    *at = m->next;
    free(m);
    moving->done(moving);
}

void rri_link_data_cancel(rri_link *link, rri_moving *moving)
{
    for (move **at = &link->receives; *at; at = &(*at)->next)
        if ((*at)->moving == moving) {
            finish(at);
            return;
        }
}

void fake_give_up(rri_link *link[], int size)
{
    for (int i = 0; i < size; i++) {
        while (link[i]->receives) finish(&link[i]->receives);
        while (link[i]->sends) finish(&link[i]->sends);
    }
}

/* What does not fit together never meets. */
static bool fit(const move *a, const move *b)
{
    bool same = a->pieces == b->pieces;
    for (unsigned i = 0; same && i < a->pieces; i++) same = a->piece[i].bytes == b->piece[i].bytes;
    return same;
}

static void meet(rri_link *link, move *receive)
{
    for (move *s = link->peer[receive->peer]->sends; s; s = s->next) {
        if (s->over || s->peer != link->rank || s->tag != receive->tag || !fit(s, receive)) continue;
        for (unsigned i = 0; i < s->pieces; i++) memcpy(receive->piece[i].data, s->piece[i].data, s->piece[i].bytes);
        s->over = receive->over = true;
        return;
    }
}

static unsigned sweep(move **list)
{
    unsigned ended = 0;
    for (move **at = list; *at;) {
        if (!(*at)->over) {
            at = &(*at)->next;
            continue;
        }
        finish(at);
        ended++;
        at = list;
    }
    return ended;
}

int rri_link_drain(rri_link *link, int64_t ns)
{
    (void)link, (void)ns;
    return RREF_OK;
}

/* Nobody is lost over this link. */
void rri_link_forsake(rri_link *link, int peer) { (void)link, (void)peer; }
bool rri_link_gone(const rri_link *link, int peer) { return (void)link, (void)peer, false; }
bool rri_link_left(const rri_link *link, int peer) { return (void)link, (void)peer, false; }
uint32_t rri_link_heard(const rri_link *link, int peer) { return (void)peer, (uint32_t)link->received; }
void rri_link_part(rri_link *link, int64_t ns) { (void)link, (void)ns; }
bool rri_link_data_forsake(rri_link *link, rri_moving *moving, bool receives) { return (void)link, (void)moving, receives; }
bool rri_link_data_moves(rri_link *link, const rri_moving *moving) { return (void)link, (void)moving, false; }

unsigned rri_link_advance(rri_link *link)
{
    for (move *m = link->receives; m; m = m->next) meet(link, m);
    return sweep(&link->receives) + sweep(&link->sends);
}

bool rri_link_busy(const rri_link *link) { return link->sends || link->receives; }
bool rri_link_moving(const rri_link *link) { return rri_link_busy(link); }
bool rri_link_expects(const rri_link *link) { return link->queued > 0; }
void rri_link_kick(rri_link *link) { link->kicks++; }
void rri_link_remind(rri_link *link) { link->kicks++; }

bool rri_link_adrift(const rri_link *link) { (void)link; return false; }
void rri_link_rebase(rri_link *link) { (void)link; }

unsigned rri_link_announced(const rri_link *link, int peer)
{
    (void)link;
    (void)peer;
    return 0;
}

void rri_link_settle(rri_link *link, int peer, unsigned announced)
{
    (void)link;
    (void)peer;
    (void)announced;
}

bool rri_link_unsettled(const rri_link *link)
{
    (void)link;
    return false;
}

/* No window is read over this link. */
void rri_link_move(rri_link *link, rri_moving *moving)
{
    (void)link;
    (void)moving;
    abort();
}

void rri_link_ring(rri_link *link, int peer) { link->peer[peer]->kicks++; }

void rri_link_await_ring(rri_link *link) { link->kicks = 0; }

void rri_link_counts(const rri_link *link, uint64_t *sent, uint64_t *received)
{
    *sent = link->sent;
    *received = link->received;
}
