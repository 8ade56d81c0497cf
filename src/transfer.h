/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transfers: bulk data beside the lane. The sender offers, and names the offer in its record; the receiver posts its receives
 * and grants; then the data moves. An offer that is withdrawn before its grant leaves nothing behind.
 */
#ifndef RRI_TRANSFER_H
#define RRI_TRANSFER_H

#include "flow.h"
#include "table.h"
#include "value.h"

typedef struct rri_transfers rri_transfers;
typedef struct rri_posted rri_posted;

enum { RRI_PUSHED_TAGS = 16384 };

/* room: bytes that each rank takes at any time without being asked, the own one's for itself as a receiver; stays the
 * caller's. NULL: none. */
int rri_transfers_open(rri_link *link, rri_flow *flow, unsigned context, const uint64_t *room, rri_transfers **transfers);
void rri_transfers_close(rri_transfers *transfers);

/* Offer segments to a peer; the caller fills them in, then announces them. done(arg, how) is called once, with MOVED or KEPT.
 * Returns the handle, 0 without memory (through rri_fail). */
uint64_t rri_transfer_offer(rri_transfers *transfers, int peer, rri_segment **segments, unsigned count,
                            void (*done)(void *arg, rri_moved how), void *arg);
/* The segments of an offer are filled in: note it in the record that tells the peer. Before, no grant is taken. */
void rri_transfer_announce(rri_transfers *transfers, uint64_t offer, size_t bytes, rri_record *record);
/* Copy what is offered, so that its memory is free before it has left. Shift (driver only) keeps the offer from being granted or
 * taken back meanwhile; false: it is granted already, or as much is copied already as may be. Then copy, by any thread; false: no
 * memory. Then shifted, in any case: what has come meanwhile is done now. */
bool rri_transfer_shift(rri_transfers *transfers, uint64_t offer);
bool rri_transfer_copy(rri_transfers *transfers, uint64_t offer);
void rri_transfer_shifted(rri_transfers *transfers, uint64_t offer);

/* Take an offer back; false when it is granted already (or gone). Calls done when true. */
bool rri_transfer_withdraw(rri_transfers *transfers, uint64_t offer);

/* Push: of one segment, under a standing grant, right behind the record that tells of it. Draw a tag, if the peer has room
 * for so many more bytes: 0 if not. Attach an offer of that segment to the record in place of announcing it, and when the
 * record is on its way, send. The peer's answer gives the room back. Also for a tag that the peer has posted a receive for. */
uint16_t rri_transfer_draw(rri_transfers *transfers, int peer, size_t bytes);
void rri_transfer_attach(rri_transfers *transfers, uint64_t offer, uint16_t tag, size_t bytes, rri_record *record);
void rri_transfer_push(rri_transfers *transfers, uint64_t offer);
void rri_transfer_answered(rri_transfers *transfers, int peer, uint16_t tag, size_t bytes);

/* Receive what was pushed. Driver only. */
static inline bool rri_bulk_pushed(const rri_bulk_note *note) { return note->transfer < UINT64_C(2) * RRI_PUSHED_TAGS; }
bool rri_transfer_may_push(const rri_transfers *transfers, const rri_bulk_note *note);
int rri_transfer_take(rri_transfers *transfers, int peer, const rri_bulk_note *note, const rri_segment *segment,
                      void (*done)(void *arg, rri_moved how), void *arg);

/* A receive that is posted before it is asked for, at its tag. NULL without memory; segments of a gigabyte at most. */
rri_posted *rri_transfer_post(rri_transfers *transfers, int peer, const rri_segment *segment);
uint16_t rri_posted_tag(const rri_posted *posted);
/* Its data is on its way: done(arg, how) is called. Driver only. */
void rri_posted_await(rri_posted *posted, size_t bytes, void (*done)(void *arg, rri_moved how), void *arg);
/* Take it back, any thread. CUT: none has come; MOVED: it has; KEPT: the peer is lost, and MPI keeps the memory; MOVES: it has
 * begun to come, and done(arg, how) will say, from whoever drives, how that ended. With done NULL it is waited for. */
rri_moved rri_posted_withdraw(rri_posted *posted, void (*done)(void *arg, rri_moved how), void *arg);
/* The peer has answered: the tag of a receive that was, or is being, taken back is free when its data has come; or, late, after
 * its data, which is dropped. Tag 0: none. Driver only. */
void rri_transfer_over(rri_transfers *transfers, int peer, uint16_t tag, const rri_bulk_note *late);

/* Receive an offer into segments; done(arg, how) is called once by whoever drives. */
int rri_transfer_accept(rri_transfers *transfers, int peer, uint64_t offer, const rri_segment *segments, unsigned count,
                        void (*done)(void *arg, rri_moved how), void *arg);
/* Say no to an offer; and to that of a record that is not used, if it has one. */
void rri_transfer_refuse(rri_transfers *transfers, int peer, uint64_t offer);
void rri_transfer_refuse_note(rri_transfers *transfers, int peer, const rri_record *record);

/* Records RRI_GRANT and RRI_WITHDRAWN. */
void rri_transfer_granted(rri_transfers *transfers, int peer, const rri_record *record);
void rri_transfer_withdrawn(rri_transfers *transfers, int peer, const rri_record *record) RRI_NEEDS(rri_driver);

/* A peer is lost: take back what was offered to it and not granted; then give up what moves, both ways. The latter again from
 * time to time, for those who had just accepted something. Driver only. */
void rri_transfers_withdraw_all(rri_transfers *transfers, int peer);
void rri_transfers_forsake(rri_transfers *transfers, int peer) RRI_NEEDS(rri_driver);

void rri_transfers_counts(const rri_transfers *transfers, uint64_t *out, uint64_t *in);

#endif
