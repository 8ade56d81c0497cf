/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last rank ends itself by SIGKILL where nobody is about to speak to it: `quiet WHAT`, on 3 ranks or more.
 *
 *   fence       the others have made no calls and wait in a fence
 *   finalize    the same, at their end
 *   result      rank 0 is about to answer it with a large array, which nobody has made room for
 *   room        the others wait for credit: it has taken all their one-way calls, and runs the first
 *
 * The others see the loss, fence and end. Each says "as expected" if that is so.
 */
#include <mpi.h>
#include <rref.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "expect.h"

enum { LARGE = 1 << 20 };
#define PATIENCE 60.0

static int ranks, victim;
static atomic_bool called;

static bool is_lost(void) { return rref_peer_state(ctx, victim) == RREF_PEER_LOST; }

static void wait_for_loss(void)
{
    const struct timespec moment = { 0, 1000000 };
    for (double start = seconds(); !is_lost() && seconds() < start + PATIENCE;) nanosleep(&moment, NULL);
}

/* Answers who is gone by then, and whose offers have been taken back. */
static int give(rref_call *c, void *self)
{
    const struct timespec some = { 0, 200000000 };
    (void)self;
    rref_post(rref_root(ctx, victim), "call");
    wait_for_loss();
    nanosleep(&some, NULL);
    return rref_return_owned(c, calloc(LARGE, sizeof(double)), LARGE, free);
}

static int call(rref_call *c, void *self) { return (void)c, (void)self, atomic_store(&called, true), RREF_OK; }

/* ---- an object that is never done with its first call */

static int make(rref_call *c, void **self) { return (void)c, *self = &ranks, RREF_OK; }

static int take(rref_call *c, void *self)
{
    (void)c, (void)self;
    while (!is_lost()) pause();
    return RREF_OK;
}

static const rref_method sink_methods[] = { RREF_METHOD("take", "f64[]", take, 0), RREF_METHODS_END };
static const rref_class sink_class = RREF_CLASS("sink", "", make, NULL, sink_methods);

/* Until the loss ends it: without that for ever. */
static void post_on(void)
{
    static double x[400];
    int rc = RREF_OK;
    rref sink = rref_create(ctx, victim, "sink");
    while (!rc) rc = rref_post(sink, "take", rref_array(x, 400));
    expect("a post to the one that ended", RREF_ERR_PEER_LOST, rc);
    rref_release(sink);
}

static const rref_method functions[] = {
    RREF_METHOD("give", "-> f64[]", give, 0), RREF_METHOD("call", "", call, 0), RREF_METHODS_END
};

/* The others are where they wait, most likely: if not, all must come out as well. */
static void end_in_silence(void)
{
    const struct timespec some = { 0, 400000000 };
    nanosleep(&some, NULL);
    raise(SIGKILL);
}

static void end_as_caller(void)
{
    rref_future f = rref_async(rref_root(ctx, 0), "give");
    for (double start = seconds(); !atomic_load(&called) && seconds() < start + PATIENCE;) sched_yield();
    if (f.bits && atomic_load(&called)) raise(SIGKILL);
}

static void fence(void)
{
    int rc = rref_fence(ctx, PATIENCE);
    if (rc) expect("the fence", RREF_ERR_PEER_LOST, rc);
    expect("a second fence", RREF_OK, rref_fence(ctx, PATIENCE));
    expect("the state of the one that ended", 1, is_lost());
}

int main(int argc, char **argv)
{
    int level;
    const char *what = argc > 1 ? argv[1] : "";
    const rref_class *classes[] = { &sink_class, NULL };
    const rref_options options = { .functions = functions, .classes = classes };
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    victim = ranks - 1;
    const bool by_result = !strcmp(what, "result"), at_end = !strcmp(what, "finalize"), for_room = !strcmp(what, "room");
    if (ranks < 3 || (!by_result && !at_end && !for_room && strcmp(what, "fence"))) {
        fprintf(stderr, "quiet WHAT, on 3 ranks or more\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    setenv("RREF_FINALIZE_TIMEOUT", "60", 1);
    setenv("RREF_SPIN", "20", 1);               /* as where there are cores for all */
    expect("rref_init", RREF_OK, rref_init(MPI_COMM_WORLD, &options, &ctx));
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == victim && by_result) end_as_caller();
    if (rank == victim) end_in_silence();
    if (by_result) wait_for_loss();
    if (for_room) post_on();
    if (!at_end) fence();
    int rc = rref_finalize(&ctx);
    if (rc) expect("rref_finalize", at_end ? RREF_ERR_PEER_LOST : RREF_OK, rc);
    MPI_Finalize();
    if (!wrong) printf("rank %d: as expected\n", rank);
    return wrong ? 1 : 0;
}
