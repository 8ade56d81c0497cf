/* SPDX-License-Identifier: BSD-3-Clause */
/* Execution: when and on which thread a call's user code runs. */
#ifndef RRI_EXEC_H
#define RRI_EXEC_H

#include "call.h"

/* A call has arrived: run it here if its object is free (and `here`), else queue it. */
rri_verdict rri_exec_enter(rref_call *call, bool here);
/* The data of a call is there. */
void rri_exec_ready(rref_call *call);
/* The data of a call that has started is at its object. */
void rri_exec_landed(rref_call *call);
/* The data of its result has left: free the object if it was kept, and the call. */
/* ... or stays with MPI, and with it the call, for good. */
void rri_exec_forsake(rref_call *call);
void rri_exec_left(rref_call *call);
void rri_exec_free(rref_call *call);
/* User code of a call, or why it may not run. */
int rri_exec_run(rref_call *call);
/* A method has run: if it failed as its last call did, and said nothing itself, the call has that error. */
void rri_exec_pass_on(rref_call *call, int outcome);
/* The methods of instant calls, which have no deadline, run from here to the end; the record's colour is on already. */
typedef struct rri_exec_outer {
    rref_call *call;
    bool was_inline;
} rri_exec_outer;
rri_exec_outer rri_exec_instants(rref_call *call);
void rri_exec_instants_over(rri_exec_outer outer);
/* When the time of the call whose method the calling thread runs is over: that of the calls it makes, too. */
int64_t rri_exec_deadline(void);
/* A call without a future on its caller gets a number as its id: below all handles, above all sites. */
void rri_exec_name(rref_call *call);
/* Whether the calling thread runs a method. */
bool rri_exec_nested(void);
/* That call, or NULL. */
const rref_call *rri_exec_current(void);
/* A call has failed with the thread's last error; the method that made it, if one did, may fail with the same. Gives rc back. */
int rri_exec_failed(int rc);
/* The calls for which the calling thread makes another one now: that whose method it runs, and its ancestors. */
unsigned rri_exec_ancestors(rri_ancestor list[RRI_ANCESTORS]);
/* The method that the calling thread runs waits for a call of this rank (0: no longer). Requests for its object that are
 * made for that call would wait for ever: they fail with REENTRANT. */
void rri_exec_waits_for(uint64_t id);
/* rri_progress_wait for a future, saying so. */
int rri_exec_wait(rri_future *future, int64_t deadline);
/* Answer a call whose user code has returned `outcome`. */
void rri_exec_answer(rref_call *call, int outcome);
/* The same where all results are there, and numbers, as the signature has them; not the last of its run: others follow. False,
 * through rri_fail: nothing was answered. */
bool rri_exec_answer_numbers(const rref_call *call, bool last);

/* Let an application thread occupy an object that is free; leave runs what queued meanwhile on library threads. */
bool rri_exec_occupy(rri_actor *actor);
void rri_exec_leave(rri_actor *actor);
/* Whether a concurrent call may run now: nothing that came before it waits; or, if a method makes it, only what an exclusive
 * call holds up, which may be that method. */
bool rri_exec_passes(rri_actor *actor, bool nested);
/* The thread runs what is no part of the method it is in, if it is in one: gives that, to be given back. */
rref_call *rri_exec_step_out(void);
void rri_exec_step_back(rref_call *call);
/* The actor's object is there: concurrent calls may start, when whoever occupies it leaves. */
void rri_exec_unborn(rri_actor *actor);
void rri_exec_born(rri_actor *actor);

#endif
