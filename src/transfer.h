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

int rri_transfers_open(rri_link *link, rri_flow *flow, unsigned context, rri_transfers **transfers);
void rri_transfers_close(rri_transfers *transfers);

/* How the part of one side has ended. */
typedef enum rri_moved {
    RRI_MOVED,              /* the data has left, or never will; it has come */
    RRI_CUT,                /* it does not come, or not in full */
    RRI_KEPT                /* the other side is lost, and MPI keeps the memory: it must not be freed or used again */
} rri_moved;

/* Offer segments to a peer; the caller fills them in, then announces them. done(arg) is called once, with MOVED or KEPT.
 * Returns the handle, 0 without memory (through rri_fail). */
uint64_t rri_transfer_offer(rri_transfers *transfers, int peer, rri_segment **segments, unsigned count,
                            void (*done)(void *arg, rri_moved how), void *arg);
/* The segments of an offer are filled in: note it in the record that tells the peer. Before, no grant is taken. */
void rri_transfer_announce(rri_transfers *transfers, uint64_t offer, size_t bytes, rri_record *record);
/* Take an offer back; false when it is granted already (or gone). Calls done when true. */
bool rri_transfer_withdraw(rri_transfers *transfers, uint64_t offer);

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
