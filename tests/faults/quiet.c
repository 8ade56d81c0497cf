/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last rank ends itself by SIGKILL where nobody is about to speak to it: `quiet WHAT`, on 3 ranks or more.
 *
 *   fence       the others have made no calls and wait in a fence
 *   finalize    the same, at their end
 *   asked       they ask after it and do nothing else
 *   result      rank 0 is about to answer it with a large array, which nobody has made room for
 *   room        the others wait for credit: it has taken all their one-way calls, and runs the first
 *   announced   rank 0 waits for the result of a call that it has announced on rank 1, and not made: the class of the object is
 *               not known, whose constructor has not returned
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

/* ---- a result that is announced */

static _Atomic uint64_t result;

static int make_late(rref_call *c, void **self) { return wait_for_loss(), make(c, self); }
static int one(rref_call *c, void *self) { return (void)self, rref_return_i64(c, 1); }

static int keep(rref_call *c, void *self)
{
    rref r = rref_arg_ref(c, 0);
    int rc = rref_retain(r);
    (void)self;
    atomic_store(&result, r.bits);
    return rc;
}

static const rref_method late_methods[] = { RREF_METHOD("one", "-> i64", one, 0), RREF_METHODS_END };
static const rref_class late_class = RREF_CLASS("late", "", make_late, NULL, late_methods);

static void announce(void)
{
    rref late = rref_create(ctx, 1, "late"), r = rref_remote(late, "one");
    if (!rref_sync(rref_root(ctx, 0), "keep", r)) raise(SIGKILL);
}

static void fetch_announced(void)
{
    int64_t n = 0;
    for (double start = seconds(); !atomic_load(&result) && seconds() < start + PATIENCE;) sched_yield();
    rref r = { atomic_load(&result) };
    expect("the result", RREF_ERR_PEER_LOST, rref_to_here(rref_rpc_sync(r, PATIENCE), rref_out(&n)));
    rref_release(r);
}

static const rref_method functions[] = {
    RREF_METHOD("keep", "ref", keep, 0),
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

static void ask(void)
{
    wait_for_loss();
    expect("the state of the one asked after", RREF_PEER_LOST, rref_peer_state(ctx, victim));
    expect("a call of it", RREF_ERR_PEER_LOST, rref_sync(rref_root(ctx, victim), "call"));
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
    const rref_class *classes[] = { &sink_class, NULL, NULL };
    const rref_options options = { .functions = functions, .classes = classes };
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    victim = ranks - 1;
    const bool by_result = !strcmp(what, "result"), at_end = !strcmp(what, "finalize"), for_room = !strcmp(what, "room");
    const bool announced = !strcmp(what, "announced"), asked = !strcmp(what, "asked");
    if (ranks < 3 || (!by_result && !at_end && !for_room && !announced && !asked && strcmp(what, "fence"))) {
        fprintf(stderr, "quiet WHAT, on 3 ranks or more\n");
        MPI_Abort(MPI_COMM_WORLD, 2);
    }
    if (rank == 1) classes[1] = &late_class;
    if (announced) setenv("RREF_WINDOW", "off", 1);
    setenv("RREF_FINALIZE_TIMEOUT", "60", 1);
    setenv("RREF_SPIN", "20", 1);               /* as where there are cores for all */
    expect("rref_init", RREF_OK, rref_init(MPI_COMM_WORLD, &options, &ctx));
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == victim && by_result) end_as_caller();
    if (rank == victim && announced) announce();
    if (rank == victim) end_in_silence();
    if (for_room) post_on();
    if (asked) ask();
    if (announced && rank == 0) fetch_announced();
    if (!at_end) fence();
    int rc = rref_finalize(&ctx);
    if (rc) expect("rref_finalize", at_end ? RREF_ERR_PEER_LOST : RREF_OK, rc);
    MPI_Finalize();
    if (!wrong) printf("rank %d: as expected\n", rank);
    return wrong ? 1 : 0;
}
