/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers: which of the other ranks are there.
 *
 *    UP --silent, a ping not answered--> SUSPECTED --it speaks--> UP       either --ended, declared lost--> LOST
 *
 * A suspect's lane is held: nothing more goes to it until it speaks. Lost is final, and known to all: who learns of a loss
 * tells others, who tell others. A lost rank that speaks after all is told so, and takes all others for lost from then on.
 *
 * Evidence. Ranks of a node see that a process has ended. Silence counts only of a rank from which something is expected, and
 * whose progress does not depend on its application; it makes a suspect, never a loss.
 */
#ifndef RRI_PEER_H
#define RRI_PEER_H

#include "flow.h"

#include <rref.h>

typedef struct rri_peers rri_peers;

/* The last two are known to this rank alone. */
typedef enum rri_loss { RRI_ENDED, RRI_DECLARED, RRI_DISOWNED, RRI_LEFT } rri_loss;

/* The end of an error's text. */
#define RRI_ARRAYS_KEPT "; the call may have run, and MPI keeps its arrays: do not change or free them before MPI_Finalize"
#define RRI_OUTPUTS_KEPT "; its result had begun to come, and MPI keeps the outputs: do not use or free them before MPI_Finalize"

typedef struct rri_peers_config {
    int64_t timeout;                        /* ns of silence that make a suspect, or RRI_NEVER */
    const bool *mute;                       /* by rank: progress depends on the application; or NULL */
    const char (*hosts)[RREF_HOST_MAX];     /* by rank */
} rri_peers_config;

/* What the higher floors do, on whoever drives. */
typedef struct rri_peers_up {
    void (*lose)(void *up, int peer);       /* a rank is lost; once */
    void (*lost)(void *up, int peer);       /* ... and is still; from time to time */
    void (*await)(void *up, bool *ranks);   /* mark those from which something is expected */
    bool (*awaits)(void *up);               /* whether something may be expected from anybody; any thread */
    void *up;
} rri_peers_up;

/* The tables of the configuration stay the caller's. */
int rri_peers_open(rri_link *link, rri_flow *flow, const rri_peers_config *config, const rri_peers_up *up, rri_peers **peers);
void rri_peers_close(rri_peers *peers);

/* Look at who is there, if it is time to or there is news. Driver only. */
void rri_peers_look(rri_peers *peers, int64_t now);
enum { RRI_PEERS_LOOK_NS = 200000000 };
/* The context has come to its end: nobody is missed from now on. */
void rri_peers_rest(rri_peers *peers);
/* Whether looks are to go on while the rank sleeps. */
bool rri_peers_watched(rri_peers *peers);

/* Records RRI_PING, RRI_PONG, RRI_LOSS. Driver only. */
void rri_peer_record(rri_peers *peers, int from, const rri_record *record);

/* A rank is lost, by this one's word: OK, DESTINATION, ARGUMENT. Any thread. */
int rri_peer_declare(rri_peers *peers, int peer);
rref_peer rri_peer_state(const rri_peers *peers, int peer);
/* The state behind a look at whether the process of a neighbour is there: a rank that expects nothing of others looks at nobody.
 * Any thread. */
rref_peer rri_peer_ask(rri_peers *peers, int peer);
/* How many are lost, as far as this rank has dealt with that. */
unsigned rri_peers_lost(const rri_peers *peers);
/* The n-th of them, from 0. */
int rri_peers_which(const rri_peers *peers, unsigned n);
/* The host of a rank. */
const char *rri_peer_host(const rri_peers *peers, int peer);
/* PEER_LOST into an error (NULL: the thread's), with more text behind what is known. Returns the code. */
int rri_peer_blame(const rri_peers *peers, int peer, rref_error *error, const char *more);

/* Tell a rank of all losses this one has dealt with, before what is sent next. Any thread. */
void rri_peers_tell(rri_peers *peers, int to);

#endif
