/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Flow: one lane to every rank, the own one included. A lane fills messages with records, in order, and sends them under
 * credit. Two streams: requests take a credit per message and wait in the lane when there is none; answers never wait, since
 * there are no more of them than requests, and those that are large are not made while too much waits to leave already.
 */
#ifndef RRI_FLOW_H
#define RRI_FLOW_H

#include "clock.h"
#include "colour.h"
#include "link.h"
#include "wire.h"

/* Has the lock of a lane: from rri_lane_begin to its end. */
RRI_ROLE(rri_lane);

typedef enum rri_stream { RRI_REQUESTS, RRI_ANSWERS } rri_stream;

typedef struct rri_flow rri_flow;
struct lane;

typedef struct rri_flow_config {
    size_t batch;               /* bytes up to which records share a message */
    size_t room;                /* bytes of the largest message */
    unsigned credits;           /* request messages in flight to a peer */
    size_t queue_limit;         /* bytes that may queue to a peer, of requests; and as much of all that waits to leave */
    size_t park_limit;          /* bytes of received messages kept, and of their calls; beyond it credits stay out */
    bool direct;                /* any thread may call MPI; else only the driver sends */
    rri_timers *timers;         /* or NULL */
    bool tended;                /* a library thread sees to what is left: chaos may hold messages back */
    unsigned load;              /* answered calls of a run that are worth a message of their own */
} rri_flow_config;

int rri_flow_open(rri_link *link, const rri_flow_config *config, rri_flow **flow);
void rri_flow_close(rri_flow *flow);
rri_pool *rri_flow_pool(rri_flow *flow);

/* How a record goes. With company: a request leaves at once only when nothing is in flight, an answer when the driver flushes. */
typedef enum rri_haste {
    RRI_COMPANY,
    RRI_AT_ONCE,
    RRI_PAYING                  /* at once, with the credit of the message it answers */
} rri_haste;

/* Room for a record of `bytes` (a multiple of 16) in the lane to a peer, 16-aligned; the lane is held until end or undo. NULL
 * through rri_fail: NO_MEMORY; WOULD_BLOCK when queue_limit is reached; FINALIZED for requests after rri_flow_end. */
rri_record *rri_lane_begin(rri_flow *flow, int peer, rri_stream stream, size_t bytes) RRI_TRIES(rri_lane);
void rri_lane_undo(rri_flow *flow, int peer, rri_stream stream, size_t bytes) RRI_GIVES(rri_lane);

/* A lane for those who use it again and again. */
struct lane *rri_lane_to(rri_flow *flow, int peer);

/* The last record of the lane's open message of requests, if that is a run like this one, takes one more item: its place. The
 * lane is held until rri_lane_grown. NULL: the item needs a record of its own; nothing was done, or failed. */
void *rri_lane_grow(rri_flow *flow, struct lane *lane, const rri_record *like) RRI_TRIES(rri_lane);
void rri_lane_grown(rri_flow *flow, struct lane *lane) RRI_GIVES(rri_lane);

/* The same of either stream, with a record of its own where there is none to grow; NULL as of rri_lane_begin. Held until
 * rri_lane_item_end. */
void *rri_lane_item(rri_flow *flow, int peer, rri_stream stream, const rri_record *like) RRI_TRIES(rri_lane);
void rri_lane_item_end(rri_flow *flow, int peer, rri_stream stream, rri_haste haste) RRI_GIVES(rri_lane);

/* Let the record go. */
void rri_lane_end(rri_flow *flow, int peer, rri_stream stream, rri_haste haste) RRI_GIVES(rri_lane);

/* The end of the context: there are no requests any more, to whatever rank. */
void rri_flow_end(rri_flow *flow);

/* Bytes of what waits for a peer, as configured. */
size_t rri_flow_queue_limit(const rri_flow *flow);
/* Whether more waits to leave for a peer, which does not take it, than may: answers that nobody needs are better not made. From
 * then on answers leave in full messages only. Any thread. */
bool rri_lane_laden(const rri_flow *flow, int peer);
/* Bytes of memory of messages that wait to leave, to all peers: for credit, or for MPI to let go of them. */
uint64_t rri_flow_backlog(rri_flow *flow);

/* Requests become calls, of so many bytes each, that may take more memory than their messages: they count with these where that
 * is bounded. */
void rri_flow_weighs(rri_flow *flow, const atomic_uint *calls, size_t bytes);

/* What boards a message with requests before it leaves: writes records at `at`, of `room` bytes at most, and gives how many
 * bytes. The lane is held. */
typedef size_t (*rri_riders)(void *up, int peer, char *at, size_t room);
/* waiting: 0 while nothing waits. */
void rri_flow_riders(rri_flow *flow, rri_riders riders, void *up, const atomic_uint *waiting);
/* Let a message with requests leave, if only for the riders; without credit they wait in the lane's queue. False when there is
 * no memory for it. */
bool rri_lane_depart(rri_flow *flow, int peer) RRI_WITHOUT(rri_lane);

/* Whether the record in hand can leave at once: nothing queues for credit. The lane is held. */
bool rri_lane_open(rri_flow *flow, int peer) RRI_NEEDS(rri_lane);

/* What the record in hand is coloured with; the lane is held. */
unsigned rri_lane_colour(rri_flow *flow, int peer) RRI_NEEDS(rri_lane);

/* When the run was begun that grows, for whoever begins it to say; the lane is held. */
int64_t *rri_lane_begun(rri_flow *flow, int peer) RRI_NEEDS(rri_lane);

/* The next number of a creation on that peer; the lane is held. */
uint64_t rri_lane_number(rri_flow *flow, int peer) RRI_NEEDS(rri_lane);

/* A lane that is held keeps what would leave; one that is shut takes no requests (PEER_LOST, by whoever is to blame) and drops
 * all else, for good. Who waits for room is woken by either. Any thread. */
typedef enum rri_lane_state { RRI_LANE_OPEN, RRI_LANE_HELD, RRI_LANE_SHUT } rri_lane_state;
void rri_lane_hold(rri_flow *flow, int peer);
void rri_lane_release(rri_flow *flow, int peer);
void rri_lane_shut(rri_flow *flow, int peer);
bool rri_lane_is_shut(const rri_flow *flow, int peer);
/* Whether request messages are without their credit back. Any thread: it may change meanwhile. */
bool rri_lane_in_flight(const rri_flow *flow, int peer);
/* blame: make PEER_LOST the thread's error. speaks: a message has come from a rank whose lane is not open; whether to take it. */
typedef struct rri_flow_up {
    int (*blame)(void *up, int peer);
    bool (*speaks)(void *up, int peer);
    void *up;
} rri_flow_up;
/* Threads of the application have no room for requests from now on: FINALIZED. */
void rri_flow_close_gate(rri_flow *flow);
void rri_flow_report(rri_flow *flow, const rri_flow_up *up);

/* Whether requests queue for want of credit, or did, and left on what is lent; an application thread then waits for the event
 * word to change. */
bool rri_lane_full(rri_flow *flow, int peer);
/* Whether it goes on without: one of them each RRI_BEYOND_NS, and not with the last that is lent, which is for those who may not
 * wait. */
enum { RRI_BEYOND_NS = 1000000000 };
bool rri_lane_go_beyond(rri_flow *flow, int peer, int64_t now);
atomic_uint *rri_lane_event(rri_flow *flow, int peer);

/* Send what waits in buffers: answers and credits only, or requests too. */
unsigned rri_flow_flush(rri_flow *flow, bool requests) RRI_WITHOUT(rri_lane);
/* Whether flush has anything to do. */
bool rri_flow_waiting(const rri_flow *flow);

/* Send what threads that may not call MPI have left. Driver only. */
unsigned rri_flow_drain(rri_flow *flow) RRI_NEEDS(rri_driver) RRI_WITHOUT(rri_lane);
/* Send all there is, in the end, when nobody adds to it. */
void rri_flow_empty(rri_flow *flow) RRI_NEEDS(rri_driver) RRI_WITHOUT(rri_lane);

/* The next message, from the own rank or from MPI; checked, its credits taken. Driver only. */
rri_buffer *rri_flow_receive(rri_flow *flow) RRI_NEEDS(rri_driver) RRI_WITHOUT(rri_lane);
/* All records of a message are about to be served, so that its credit may go back; false if it has none, or memory is short: then
 * that goes with the buffer. What came on a lent credit is counted until the buffer goes. */
bool rri_credit_pays(rri_flow *flow, rri_buffer *buffer);
/* It goes back with whatever goes that way next. */
void rri_credit_last(rri_flow *flow, rri_buffer *buffer);
/* All records of a message were seen: drops the buffer. */
void rri_flow_done(rri_flow *flow, rri_buffer *buffer) RRI_NEEDS(rri_driver);

/* Messages of the own rank to itself that were not yet received in full. */
bool rri_flow_self_pending(const rri_flow *flow);
bool rri_flow_inbox(const rri_flow *flow);
/* Count messages, or records of them, that cannot be decoded. */
void rri_flow_refuse(rri_flow *flow);
uint64_t rri_flow_refused(const rri_flow *flow);
/* Message buffers in use, those aside that lanes keep for their next message. */
unsigned rri_flow_used(rri_flow *flow);
/* Records given to a lane so far. */
void rri_flow_sent(rri_flow *flow, int peer, uint64_t sent[RRI_TALLIES]);
/* Calls given to all lanes. */
uint64_t rri_flow_calls(rri_flow *flow);
rri_colours *rri_flow_colours(rri_flow *flow);

#endif
