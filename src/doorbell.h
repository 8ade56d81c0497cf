/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The doorbell: node-shared memory in which senders announce messages and sleepers say that they sleep.
 *
 * Per rank of the node: announced, a counter that a sender raises after its MPI send; mark, set by a rank before it sleeps,
 * with what it had seen of the counter by then; there, until it leaves; and handled[from], how many messages it has taken from
 * each neighbour. A rank that is there also holds a lock on a byte of the segment, which goes with its process whatever becomes
 * of that. A counter, since with a flag a message that MPI still keeps back would be slept on. Counters wrap: of two the later
 * one is ahead by less than half their range.
 */
#ifndef RRI_DOORBELL_H
#define RRI_DOORBELL_H

#include "sync.h"

typedef struct rri_doorbell rri_doorbell;

enum { RRI_DOORBELL_NAME = 64 };

/* Make the segment for `count` ranks under a fresh name, or map one made by a neighbour. Returns 0 or RREF_ERR_SYSTEM through
 * rri_fail. A count of 1 needs no name: plain memory. */
int rri_doorbell_make(rri_doorbell **bell, char name[RRI_DOORBELL_NAME], int count);
int rri_doorbell_map(rri_doorbell **bell, const char *name, int count, int me);
void rri_doorbell_unlink(const char *name);
void rri_doorbell_free(rri_doorbell *bell);

/* Whether a neighbour's process has ended without leaving. */
bool rri_doorbell_gone(const rri_doorbell *bell, int who);
/* Whether a neighbour has left, and takes no more messages. */
bool rri_doorbell_left(const rri_doorbell *bell, int who);

/* Tell neighbour `to` of one more message; wakes it if it sleeps, but not the patient for what is not urgent. */
void rri_doorbell_ring(rri_doorbell *bell, int to, bool urgent);

/* Wake this rank's own sleepers, whatever they say of themselves; the standby if the mark is its. */
void rri_doorbell_wake(rri_doorbell *bell);

/* Have the watcher, if it sleeps just now, see anew for how long it should. remind: one that is about to sleep, too, since the
 * count moves. The mark stays. */
void rri_doorbell_stir(rri_doorbell *bell);
void rri_doorbell_remind(rri_doorbell *bell);

/* Say who sleeps, for neighbours to wake: the watcher while nobody drives, or the driver itself. What `seen` counts has been
 * looked at: a ring among it that is late to see the mark leaves it to those that come. The standby is a thread to be called
 * when nobody watches: it sleeps on a word of its own, until that changes. The patient is the watcher that looks again soon, and
 * until then is woken only for what is urgent. */
typedef enum rri_sleeper { RRI_NOBODY, RRI_WATCHER, RRI_DOZER, RRI_STANDBY, RRI_PATIENT } rri_sleeper;
void rri_doorbell_asleep(rri_doorbell *bell, rri_sleeper who, unsigned seen);
void rri_doorbell_awake(rri_doorbell *bell);
/* Sleep until the counter moves from `seen`; the caller has said rri_doorbell_asleep before and looked once more. */
void rri_doorbell_sleep(rri_doorbell *bell, rri_sleeper who, unsigned seen, int64_t ns);
/* Of who has slept: whether it runs where it was woken, and so in place of who did that. (On a virtual machine the kernel takes
 * an idle processing unit for one that is not to be had, and puts the woken thread in front of the waking one.) */
bool rri_doorbell_displaced(const rri_doorbell *bell);
unsigned rri_doorbell_announced(const rri_doorbell *bell);
bool rri_doorbell_sleeps(const rri_doorbell *bell);
bool rri_doorbell_is_patient(const rri_doorbell *bell);
atomic_uint *rri_doorbell_standby(rri_doorbell *bell);

/* Publish that one more message of neighbour `from` was taken; ask how many of mine `to` has taken. */
void rri_doorbell_handled(rri_doorbell *bell, int from);
unsigned rri_doorbell_handled_by(const rri_doorbell *bell, int to);

#endif
