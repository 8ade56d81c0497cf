/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Three ranks of one process, with objects and references, where nothing happens but what a test says: a request that was
 * sent arrives when it is delivered, and weight that waits for company leaves when it is told to. One object at a time.
 */
#ifndef COUNTED_H
#define COUNTED_H

#include "fake_rank.h"
#include "reference.h"

enum { COUNTED_RANKS = 3, COUNTED_OWNER = 0 };

/* What came of the object so far: constructors, calls and destructors run; references that arrived; requests that failed. */
typedef struct counted_tally { unsigned made, used, destroyed, arrived, failed; } counted_tally;
extern counted_tally counted;

/* The ranks, for objects of this weight (its log2), and their end; a rank that still has something at its end is a failure,
 * which counted_close returns. */
void counted_open(int64_t weight);
bool counted_close(void);

/* The object's making is sent to its owner by this rank, whose reference is given. */
rref counted_create(int creator);
/* Send the reference to a rank, where it is kept or not; call the object; release. */
void counted_share(int rank, rref reference, int to);
void counted_use(int rank, rref reference);
void counted_drop(rref reference);
/* Let weight leave. To the own rank it arrives at once. */
void counted_board(int from, int to);
/* Let the oldest request arrive. Gives the reference that was kept of it, or 0; false if there was none. */
bool counted_deliver(int from, int to, bool keep, rref *kept);
/* As at the end of a context: what is left is destroyed. */
void counted_finish(void);

/* The reference behind a handle, also when it is only waited for; NULL if there is none. */
const rri_reference *counted_look(int rank, rref reference);
/* How many references a rank has altogether, and what the owner has given out; 0 without an object. */
unsigned counted_references(int rank);
uint64_t counted_out(void);

#endif
