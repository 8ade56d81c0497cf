/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bulk data beside the messages (a part of link): its requests, which the driver looks after until they are over, and what
 * becomes of those whose other side is lost.
 */
#include "bulk.h"
#include "error.h"
#include "memory.h"
#include "strided.h"

#include <stdlib.h>

enum { PIECE = 1 << 30 };

/* ---- requests */

static size_t pieces_of(const rri_segment *segments, unsigned count)
{
    size_t n = 0;
    for (unsigned i = 0; i < count; i++) n += segments[i].layout ? 1 : (segments[i].bytes + PIECE - 1) / PIECE;
    return n;
}

static int start_bytes(rri_bulk *bulk, bool send, char *at, size_t bytes, int peer, int tag, MPI_Request *request)
{
    int n = bytes > PIECE ? PIECE : (int)bytes;
    return send ? MPI_Isend(at, n, MPI_BYTE, peer, tag, bulk->comm, request)
                : MPI_Irecv(at, n, MPI_BYTE, peer, tag, bulk->comm, request);
}

static int start_items(rri_bulk *bulk, bool send, const rri_segment *s, int peer, int tag, MPI_Request *request)
{
    const MPI_Datatype type = rri_strided_type(s);
    const int n = (int)rri_strided_items(s);
    return send ? MPI_Isend(s->data, n, type, peer, tag, bulk->comm, request)
                : MPI_Irecv(s->data, n, type, peer, tag, bulk->comm, request);
}

static int start_segment(rri_bulk *bulk, rri_moving *m, bool send, const rri_segment *s, int peer, int tag)
{
    int rc = MPI_SUCCESS;
    for (size_t at = 0; at < s->bytes && rc == MPI_SUCCESS; at += s->layout ? s->bytes : PIECE) {
        MPI_Request *next = &m->requests[m->count];
        rc = s->layout ? start_items(bulk, send, s, peer, tag, next)
                       : start_bytes(bulk, send, (char *)s->data + at, s->bytes - at, peer, tag, next);
        m->count += rc == MPI_SUCCESS;
    }
    return rc;
}

/* Make the requests. What MPI has refused is not among them; the others are there. */
static int start_requests(rri_bulk *bulk, rri_moving *m, bool send, int peer, int tag, const rri_segment *segments,
                          unsigned count)
{
    size_t pieces = pieces_of(segments, count);
    int rc = MPI_SUCCESS;
    m->count = 0;
    m->taken_back = false;
    m->start = NULL;
    m->requests = pieces <= RRI_FEW_PIECES ? m->few : rri_malloc(pieces * sizeof *m->requests);
    if (!m->requests) return rri_fail(RREF_ERR_NO_MEMORY, "no memory to move data");
    for (unsigned i = 0; i < count && rc == MPI_SUCCESS; i++) rc = start_segment(bulk, m, send, &segments[i], peer, tag);
    return rc == MPI_SUCCESS ? RREF_OK : rri_link_failed(rc, send ? "MPI_Isend of data" : "MPI_Irecv of data");
}

static void free_requests(rri_moving *m)
{
    if (m->requests != m->few) free(m->requests);
    m->requests = NULL;
    m->count = 0;
}

/* Whether a receive that is taken back has got nothing; data that has begun to come comes, unless its sender is lost. */
static rri_moved end_receive(rri_bulk *bulk, MPI_Request *request, int peer)
{
    MPI_Status status;
    int done = 0, cancelled = 0;
    if (*request == MPI_REQUEST_NULL) return RRI_MOVED;
    if (MPI_Test(request, &done, &status) == MPI_SUCCESS && !done)
        return atomic_load(&bulk->forsaken[peer]) ? RRI_KEPT : RRI_MOVES;
    MPI_Test_cancelled(&status, &cancelled);
    return cancelled ? RRI_CUT : RRI_MOVED;
}

/* ---- data under way */

void rri_link_move(rri_link *link, rri_moving *m)
{
    rri_bulk *bulk = rri_link_bulk(link);
    atomic_fetch_add(bulk->busy, 1);
    atomic_fetch_add(&bulk->movers, 1);
    rri_take(&bulk->lock, &rri_bulk_list);
    m->next = bulk->moving;
    bulk->moving = m;
    rri_give(&bulk->lock, &rri_bulk_list);
}

int rri_link_data_send(rri_link *link, rri_moving *moving, int peer, int tag, const rri_segment *segments, unsigned count)
{
    int rc = start_requests(rri_link_bulk(link), moving, true, peer, tag, segments, count);
    if (moving->count) rri_link_move(link, moving);
    else free_requests(moving);
    return rc;
}

int rri_link_data_post(rri_link *link, rri_moving *moving, int peer, int tag, const rri_segment *segments, unsigned count)
{
    int rc = start_requests(rri_link_bulk(link), moving, false, peer, tag, segments, count);
    while (rc && rri_link_data_unpost(link, moving, peer) == RRI_MOVES) {}      /* nobody sends to it yet */
    return rc;
}

rri_moved rri_link_data_unpost(rri_link *link, rri_moving *moving, int peer)
{
    rri_bulk *bulk = rri_link_bulk(link);
    rri_moved how = RRI_CUT;
    for (int i = 0; i < moving->count; i++) {
        MPI_Request *request = &moving->requests[i];
        if (!moving->taken_back && *request != MPI_REQUEST_NULL) MPI_Cancel(request);
        rri_moved piece = end_receive(bulk, request, peer);
        if (piece > how) how = piece;
    }
    moving->taken_back = true;
    if (how <= RRI_MOVED) free_requests(moving);
    return how;
}

int rri_link_data_receive(rri_link *link, rri_moving *moving, int peer, int tag, const rri_segment *segments, unsigned count)
{
    int rc = rri_link_data_post(link, moving, peer, tag, segments, count);
    if (rc == RREF_OK) rri_link_move(link, moving);
    return rc;
}

void rri_link_data_drop(rri_link *link, int peer, int tag, size_t bytes, void *memory, size_t room)
{
    for (size_t at = 0; at < bytes; at += PIECE)
        MPI_Recv(memory, (int)(bytes < room ? bytes : room), MPI_BYTE, peer, tag, rri_link_bulk(link)->comm,
                 MPI_STATUS_IGNORE);
}

static void end_moving(rri_bulk *bulk, rri_moving *m)
{
    free_requests(m);
    atomic_fetch_sub(bulk->busy, 1);
    atomic_fetch_sub(&bulk->movers, 1);
    m->done(m);
}

RRI_NEEDS(rri_driver)
static void adopt(rri_bulk *bulk)
{
    rri_take(&bulk->lock, &rri_bulk_list);
    rri_moving *fresh = bulk->moving;
    bulk->moving = NULL;
    rri_give(&bulk->lock, &rri_bulk_list);
    for (rri_moving *m; (m = fresh);) {
        fresh = m->next;
        if (m->start) m->start(m);
        m->next = bulk->moved;
        bulk->moved = m;
    }
}

void rri_link_data_cancel(rri_link *link, rri_moving *moving)
{
    rri_bulk *bulk = rri_link_bulk(link);
    adopt(bulk);
    rri_moving **at = &bulk->moved;
    while (*at && *at != moving) at = &(*at)->next;
    if (!*at) return;
    *at = moving->next;
    for (int i = 0; i < moving->count; i++) {
        if (moving->requests[i] == MPI_REQUEST_NULL) continue;
        MPI_Cancel(&moving->requests[i]);
        MPI_Wait(&moving->requests[i], MPI_STATUS_IGNORE);
    }
    end_moving(bulk, moving);
}

static bool is_over(rri_moving *m)
{
    int done = 0;
    MPI_Status status;
    if (!m->taken_back) {
        MPI_Testall(m->count, m->requests, &done, MPI_STATUSES_IGNORE);
        return done;
    }
    MPI_Test(m->requests, &done, &status);
    if (done) MPI_Test_cancelled(&status, &m->cut);
    return done;
}

unsigned rri_bulk_advance(rri_bulk *bulk)
{
    unsigned ended = 0;
    adopt(bulk);
    for (rri_moving **at = &bulk->moved, *m; (m = *at);) {
        if (!is_over(m)) {
            at = &m->next;
            continue;
        }
        *at = m->next;
        end_moving(bulk, m);
        ended++;
        at = &bulk->moved;      /* done() may have changed the list */
    }
    return ended;
}

/* ---- the lost */

bool rri_link_data_moves(rri_link *link, const rri_moving *moving)
{
    rri_bulk *bulk = rri_link_bulk(link);
    adopt(bulk);
    const rri_moving *m = bulk->moved;
    while (m && m != moving) m = m->next;
    return m != NULL;
}

bool rri_link_data_forsake(rri_link *link, rri_moving *moving, bool receives)
{
    rri_bulk *bulk = rri_link_bulk(link);
    bool all = true;
    adopt(bulk);
    rri_moving **at = &bulk->moved;
    while (*at && *at != moving) at = &(*at)->next;
    if (!*at) return true;
    *at = moving->next;
    for (int i = 0; i < moving->count; i++) all = (receives ? rri_link_take_back(&moving->requests[i])
                                                            : moving->requests[i] == MPI_REQUEST_NULL) && all;
    if (moving->requests != moving->few) free(moving->requests);
    moving->requests = NULL;
    atomic_fetch_sub(bulk->busy, 1);
    atomic_fetch_sub(&bulk->movers, 1);
    return all;
}
