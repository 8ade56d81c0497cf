/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the MPI window and how it was found fit. It is opened for passive access once for all; the memory is this rank's to
 * write, in the unified memory model, and everybody's to read. Reads are requests that the driver starts and tests like those
 * of any other data.
 */
#include "window.h"
#include "catalog.h"
#include "chaos.h"
#include "clock.h"
#include "host.h"
#include "memory.h"

#include <rref.h>
#include <stdlib.h>

#define TRIAL_NS INT64_C(20000000)          /* long enough for a read that needs nobody */

typedef enum verdict { WORKS, UNWANTED, RECOVERY, NODES, NONE, WRONG, ASLEEP } verdict;

static const char *const texts[] = {
    [WORKS] = "by window",
    [UNWANTED] = "by message: RREF_WINDOW=off",
    [RECOVERY] = "by message: the job may outlive a rank, which an open window does not",
    [NODES] = "by message: there are ranks on several nodes",
    [NONE] = "by message: MPI has no window for these ranks",
    [WRONG] = "by message: reading from another rank's window failed",
    [ASLEEP] = "by message: reading a rank's window needs that rank's progress",
};

struct rri_window {
    MPI_Comm comm;
    MPI_Win win;
    void *memory;
    rri_link *link;
    verdict verdict;
    rri_lock lock;                          /* of those who add */
    _Atomic uint64_t reads;                 /* a */
};

/* ---- finding out */

/* Before there is a window: the wish, and what is known without trying. */
static verdict wanted(rri_link *link, rri_window_wish wish)
{
    if (wish == RRI_WINDOW_OFF) return UNWANTED;
    if (wish == RRI_WINDOW_ON) return WORKS;
    if (rri_host_survives()) return RECOVERY;
    return rri_link_local_size(link) < rri_link_size(link) ? NODES : WORKS;
}

/* The worst verdict of all ranks is everybody's. */
static verdict agree(MPI_Comm comm, verdict mine)
{
    int own = (int)mine, worst = NONE;
    if (MPI_Allreduce(&own, &worst, 1, MPI_INT, MPI_MAX, comm) != MPI_SUCCESS) return NONE;
    return (verdict)worst;
}

static bool unified(MPI_Win win)
{
    int *model, found = 0;
    return MPI_Win_get_attr(win, MPI_WIN_MODEL, &model, &found) == MPI_SUCCESS && found && *model == MPI_WIN_UNIFIED;
}

static verdict create(rri_window *w, size_t size)
{
    if (MPI_Win_allocate((MPI_Aint)size, 1, MPI_INFO_NULL, w->comm, &w->memory, &w->win) != MPI_SUCCESS) {
        w->win = MPI_WIN_NULL;
        return NONE;
    }
    MPI_Win_set_errhandler(w->win, MPI_ERRORS_RETURN);
    rri_catalog_make(w->memory, size);
    return unified(w->win) && MPI_Win_lock_all(MPI_MODE_NOCHECK, w->win) == MPI_SUCCESS ? WORKS : NONE;
}

/* Read from a rank; true if it came within the time, in which case *late is MPI_REQUEST_NULL. */
static bool read_soon(rri_window *w, int peer, void *to, int bytes, MPI_Request *late)
{
    int done = 0;
    const int64_t limit = rri_after(rri_now(), TRIAL_NS);
    *late = MPI_REQUEST_NULL;
    if (MPI_Rget(to, bytes, MPI_BYTE, peer, 0, bytes, MPI_BYTE, w->win, late) != MPI_SUCCESS) return false;
    do {
        if (MPI_Test(late, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS) return false;
    } while (!done && rri_now() < limit);
    return done;
}

/* Whether a read needs the progress of the rank it is from: rank 0 reads from rank 1, which says when it has left MPI and is
 * told when it may come back. One node: the doorbell is the way to say so without MPI. */
static verdict read_from_sleeper(rri_window *w)
{
    char head[RRI_CATALOG_MIN];
    MPI_Request late = MPI_REQUEST_NULL;
    bool came = true;
    int rank = rri_link_rank(w->link);
    if (rri_link_size(w->link) == 1 || rank > 1) return WORKS;
    if (rank == 1) {
        rri_link_ring(w->link, 0);
        rri_link_await_ring(w->link);
    } else {
        rri_link_await_ring(w->link);
        came = read_soon(w, 1, head, sizeof head, &late);
        rri_link_ring(w->link, 1);
        if (late != MPI_REQUEST_NULL) MPI_Wait(&late, MPI_STATUS_IGNORE);
    }
    return came ? WORKS : ASLEEP;
}

/* Every rank finds what its neighbour has published. */
static verdict read_neighbour(rri_window *w)
{
    char copy[RRI_CATALOG_MIN];
    const void *bytes;
    size_t count;
    int peer = (rri_link_rank(w->link) + 1) % rri_link_size(w->link);
    bool got = MPI_Get(copy, sizeof copy, MPI_BYTE, peer, 0, sizeof copy, MPI_BYTE, w->win) == MPI_SUCCESS
               && MPI_Win_flush(peer, w->win) == MPI_SUCCESS;
    return got && rri_catalog_look(copy, sizeof copy, (uint64_t)peer + 1, &bytes, &count) == RRI_CATALOG_FOUND ? WORKS : WRONG;
}

/* The trial's entry stays behind: it is smaller than an empty window is worth clearing for. */
static verdict try_out(rri_window *w, rri_window_wish wish)
{
    rri_catalog_add(w->memory, (uint64_t)rri_link_rank(w->link) + 1, "", 0);
    MPI_Win_sync(w->win);
    MPI_Barrier(w->comm);
    verdict v = agree(w->comm, read_neighbour(w));
    bool reaches_all = rri_link_local_size(w->link) == rri_link_size(w->link);
    return v == WORKS && wish == RRI_WINDOW_AUTO && reaches_all ? agree(w->comm, read_from_sleeper(w)) : v;
}

/* ---- open and close */

static void free_window(rri_window *w)
{
    if (w->win != MPI_WIN_NULL) {
        MPI_Win_unlock_all(w->win);
        MPI_Win_free(&w->win);
    }
}

rri_window *rri_window_open(MPI_Comm comm, rri_link *link, rri_window_wish wish, size_t size)
{
    rri_window *w = rri_calloc(1, sizeof *w);
    MPI_Comm own;
    if (MPI_Comm_dup(comm, &own) != MPI_SUCCESS) {
        free(w);
        return NULL;
    }
    MPI_Comm_set_errhandler(own, MPI_ERRORS_RETURN);
    verdict v = agree(own, w ? wanted(link, wish) : NONE);
    if (!w) {
        MPI_Comm_free(&own);
        return NULL;
    }
    *w = (rri_window){ .comm = own, .win = MPI_WIN_NULL, .link = link };
    if (v == WORKS) v = agree(own, create(w, size));
    if (v == WORKS) v = try_out(w, wish);
    if (v != WORKS) free_window(w);
    w->verdict = v;
    return w;
}

void rri_window_close(rri_window *w, bool abandon)
{
    if (!w) return;
    if (!abandon) {
        free_window(w);
        MPI_Comm_free(&w->comm);
    }
    free(w);
}

/* ---- in use */

bool rri_window_add(rri_window *w, uint64_t id, const void *bytes, size_t count)
{
    if (!rri_window_works(w) || rri_chaos(RRI_CHAOS_LATE)) return false;
    rri_lock_take(&w->lock);
    bool fits = rri_catalog_add(w->memory, id, bytes, count);
    rri_lock_give(&w->lock);
    return fits;
}

static void start(rri_moving *moving)
{
    rri_window_read *r = (rri_window_read *)(void *)moving;
    r->moving.requests = r->moving.few;
    r->failed = MPI_Rget(r->to, (int)r->bytes, MPI_BYTE, r->peer, 0, (int)r->bytes, MPI_BYTE, r->window->win,
                            r->moving.requests) != MPI_SUCCESS;
    r->moving.count = !r->failed;
}

void rri_window_get(rri_window *w, rri_window_read *read)
{
    read->window = w;
    read->moving.start = start;
    atomic_fetch_add_explicit(&w->reads, 1, memory_order_relaxed);
    rri_link_move(w->link, &read->moving);
}

bool rri_window_works(const rri_window *w) { return w && w->verdict == WORKS; }
const char *rri_window_text(const rri_window *w) { return texts[w ? w->verdict : NONE]; }
uint64_t rri_window_reads(const rri_window *w) { return w ? atomic_load_explicit(&w->reads, memory_order_relaxed) : 0; }
