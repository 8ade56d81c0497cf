/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The link: everything that is said to MPI once a context runs. Messages on one duplicate of the communicator, received by a
 * ring of receives posted in advance and tested oldest first; bulk data on another, by tag.
 */
#ifndef RRI_LINK_H
#define RRI_LINK_H

#include "doorbell.h"
#include "pool.h"
#include "value.h"

#include <mpi.h>

typedef struct rri_link rri_link;

enum { RRI_FEW_PIECES = 12 };      /* one for each argument of a call, unless some are very large */

/* How the part of one side has ended; of several pieces that are taken back, the last of these prevails. */
typedef enum rri_moved {
    RRI_CUT,                /* it does not come, or not in full */
    RRI_MOVED,              /* the data has left, or never will; it has come */
    RRI_MOVES,              /* it has not: what was taken back too late comes still */
    RRI_KEPT                /* the other side is lost, and MPI keeps the memory: it must not be freed or used again */
} rri_moved;

/* Bulk data on its way; owned by the caller until done() was called, once, by whoever drives. */
typedef struct rri_moving {
    struct rri_moving *next;
    MPI_Request few[RRI_FEW_PIECES], *requests;     /* that many need no memory of their own */
    int count;
    bool taken_back;                    /* a receive, of one piece */
    int cut;                            /* of that: it got nothing, valid in done() */
    void (*start)(struct rri_moving *moving);   /* makes the requests, called by whoever drives; NULL: they are made */
    void (*done)(struct rri_moving *moving);
} rri_moving;

/* Duplicate the communicator, find the neighbours on this node, set up the doorbell. Collective: it fails on all ranks, or on
 * none; outcome is how the start has gone on this rank so far. */
int rri_link_open(MPI_Comm comm, int outcome, rri_link **link);

/* How it went on all ranks: this rank's own error; or, through rri_fail, that of the worst of the others. Collective; needs no
 * memory. */
int rri_link_agree(rri_link *link, int outcome);

/* Post the ring: receives of up to pool->room bytes. */
int rri_link_start(rri_link *link, rri_pool *pool, unsigned ring);

/* Take the receives back and free the communicators: collective. With abandon they are left to MPI_Finalize. */
void rri_link_close(rri_link *link, bool abandon);

int rri_link_rank(const rri_link *link);
int rri_link_size(const rri_link *link);
int rri_link_local_size(const rri_link *link);
bool rri_link_neighbour(const rri_link *link, int peer);    /* on the same node */
rri_doorbell *rri_link_bell(rri_link *link);

/* A collective of the start: gather `bytes` from every rank on every rank. */
int rri_link_gather(rri_link *link, const void *mine, void *all, int bytes);

/* Send a message (bytes and peer are set) and ring. True: the buffer is the caller's again; else it goes when it is sent. Any
 * thread under MPI_THREAD_MULTIPLE; messages to one peer must be given by one thread at a time. */
bool rri_link_send(rri_link *link, rri_buffer *buffer);

/* How many messages to each rank MPI has still to let go of: by rank, to be read by any thread. */
const atomic_uint *rri_link_unsent(const rri_link *link);

/* Take a received message back for the next receive, if nobody else holds it. Driver only. */
bool rri_link_recycle(rri_link *link, rri_buffer *buffer) RRI_NEEDS(rri_driver);

/* The next message, or NULL. Driver only. */
rri_buffer *rri_link_receive(rri_link *link) RRI_NEEDS(rri_driver);

/* A rank is lost: what is on its way to it stays with MPI, with its memory, for good, and is waited for no more. Driver only. */
void rri_link_forsake(rri_link *link, int peer);
/* Whether a rank of this node has ended without leaving. */
bool rri_link_gone(const rri_link *link, int peer);
/* Whether it has left, and the context with it. */
bool rri_link_left(const rri_link *link, int peer);
/* Messages received from a rank. Driver only. */
uint32_t rri_link_heard(const rri_link *link, int peer);

/* The end without those who are lost, when nobody sends any more: see to it that the others get what was sent, for ns at most. */
void rri_link_part(rri_link *link, int64_t ns) RRI_NEEDS(rri_driver);

/* Collective, when nobody sends any more: end what is pending and take what still sits in MPI. The last before the close.
 * STALLED when that is not over after ns: somebody has given up in the last moment; PEER_LOST: a rank of this node has ended. */
int rri_link_drain(rri_link *link, int64_t ns) RRI_NEEDS(rri_driver);

/* Start moving segments to or from a peer, in pieces MPI can count. Returns 0 or RREF_ERR_NO_MEMORY / RREF_ERR_MPI; then nothing
 * moves, unless a send has moving->count: so many pieces were started before MPI refused one, and done() will be called. */
int rri_link_data_send(rri_link *link, rri_moving *moving, int peer, int tag, const rri_segment *segments, unsigned count);
int rri_link_data_receive(rri_link *link, rri_moving *moving, int peer, int tag, const rri_segment *segments, unsigned count);
/* Post receives for data that may come later: then rri_link_move says that it does; or take them back: CUT when none has come,
 * KEPT when the peer is lost and it never ends, MOVES when it has begun to: to be asked again, or handed over. Any thread. */
int rri_link_data_post(rri_link *link, rri_moving *moving, int peer, int tag, const rri_segment *segments, unsigned count);
rri_moved rri_link_data_unpost(rri_link *link, rri_moving *moving, int peer);
/* Wait for data that is certain to come, and forget it: MPI says that it does not fit the room, and that is well. Driver only. */
void rri_link_data_drop(rri_link *link, int peer, int tag, size_t bytes, void *memory, size_t room);
/* Hand over data in motion, whatever moves it. Any thread. */
void rri_link_move(rri_link *link, rri_moving *moving);
/* Take receives back that will never be matched; calls done(). Driver only. */
void rri_link_data_cancel(rri_link *link, rri_moving *moving) RRI_NEEDS(rri_driver);
/* Whether data is under way, and not about to be. Driver only. */
bool rri_link_data_moves(rri_link *link, const rri_moving *moving) RRI_NEEDS(rri_driver);
/* Wait no more for data whose other side is lost; done() is not called. False when MPI has not let go of the memory, and never
 * will. Driver only. */
bool rri_link_data_forsake(rri_link *link, rri_moving *moving, bool receives) RRI_NEEDS(rri_driver);

/* Look after pending sends and data; returns how many things ended. Driver only. */
unsigned rri_link_advance(rri_link *link) RRI_NEEDS(rri_driver);
/* Whether anything is on its way that needs this rank inside MPI. */
bool rri_link_busy(const rri_link *link);
bool rri_link_moving(const rri_link *link);

/* Same-node messages announced to this rank and not yet received; and messages of this rank's that a neighbour has not taken
 * (MPI may still keep them back in this process). */
bool rri_link_expects(const rri_link *link);
bool rri_link_unsettled(const rri_link *link);
/* Messages announced to a peer so far, if it is a neighbour; and, found out by other ways, that so many were handled there. */
unsigned rri_link_announced(const rri_link *link, int peer);
void rri_link_settle(rri_link *link, int peer, unsigned announced);
/* Take what is announced now and does not come for granted: a sender may have stopped between its send and its ring. While the
 * counts are adrift a sleep must be bounded. */
void rri_link_rebase(rri_link *link);
bool rri_link_adrift(const rri_link *link);

/* Wake this rank's own sleeper; remind: rri_doorbell_remind. Any thread. */
void rri_link_kick(rri_link *link);
void rri_link_remind(rri_link *link);

/* Before anything runs: tell a neighbour something, and wait for that, outside of MPI. */
void rri_link_ring(rri_link *link, int peer);
void rri_link_await_ring(rri_link *link);

void rri_link_counts(const rri_link *link, uint64_t *sent, uint64_t *received);

#endif
