/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a loss leaves to those that are left: `after WHAT`, on 4 ranks. Rank 1 ends itself by SIGKILL, then
 *
 *   lookup      names are published for which it waits still, and withdrawn
 *   still       a method that is called after the others have entered the fence runs for a moment longer than what they wait for
 *   again       rank 2 gives up the first fence, and comes back to it when the others have waited for it for long
 *   group       a group is made, which fails on rank 2: all that are left hear why
 *   vouch       rank 2 has references to its objects without weight in two futures, for which those of rank 0 vouch; it reads one
 *               after the fence, and lets the other go unread
 *
 * Each rank says "as expected" if no object and no reference is left, and nothing was refused.
 */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "expect.h"

enum { RANKS = 4, VICTIM = 1, NAMES = 16 };
#define PATIENCE 60.0

static atomic_int destroyed, gate;

/* ---- what ranks have */

static int make(rref_call *c, void **self) { return (void)c, *self = &destroyed, RREF_OK; }

static void unmake(void *self) { atomic_fetch_add((atomic_int *)self, 1); }

static int make_but_on_2(rref_call *c, void **self)
{
    return rank == 2 ? rref_fail(c, RREF_ERR_USER - 1, "not on this rank") : make(c, self);
}

static int keep(rref_call *c, void *self) { return (void)self, rref_retain(rref_arg_ref(c, 0)); }

static rref held[2];            /* by rank 0, of the victim */

static int give(rref_call *c, void *self) { return (void)self, rref_return_ref(c, held[rref_arg_u64(c, 0) % 2]); }

static int open_gate(rref_call *c, void *self) { return (void)c, (void)self, atomic_fetch_add(&gate, 1), RREF_OK; }

/* Who comes through shuts it. */
static int wait_for_gate(rref_call *c, void *self)
{
    const struct timespec moment = { 0, 1000000 };
    (void)c, (void)self;
    for (double start = seconds(); !atomic_load(&gate) && seconds() < start + PATIENCE;) nanosleep(&moment, NULL);
    atomic_fetch_sub(&gate, 1);
    return RREF_OK;
}

/* The gate is open, and this one still there. */
static int stay(rref_call *c, void *self)
{
    const struct timespec moment = { 0, 50000000 };
    return open_gate(c, self), nanosleep(&moment, NULL), RREF_OK;
}

static const rref_class box = RREF_CLASS("box", "", make, unmake, NULL);
static const rref_class member = RREF_CLASS("member", "", make_but_on_2, unmake, NULL);
static const rref_method functions[] = {
    RREF_METHOD("keep", "ref", keep, 0), RREF_METHOD("give", "u64 -> ref", give, 0),
    RREF_METHOD("open_gate", "", open_gate, 0), RREF_METHOD("wait_for_gate", "", wait_for_gate, 0),
    RREF_METHOD("stay", "", stay, 0), RREF_METHODS_END
};

/* ---- the loss */

/* Who has asked it nothing might not look. */
static void await_loss(void)
{
    rref_statistics s;
    int rc = RREF_OK;
    for (double start = seconds(); !rc && seconds() < start + PATIENCE;) rc = rref_stats_of(ctx, VICTIM, &s);
    expect("a question to the one that ended", RREF_ERR_PEER_LOST, rc);
    expect("its state", RREF_PEER_LOST, rref_peer_state(ctx, VICTIM));
}

static void fence(const char *what)
{
    int rc = rref_fence(ctx, PATIENCE);
    if (rc) expect(what, RREF_ERR_PEER_LOST, rc);
}

/* ---- a name that nobody waits for any more */

static void name_of(int i, char *name, size_t size) { snprintf(name, size, "name %d", i); }

/* Once the fence is over all homes have them. */
static void prepare_lookup(void)
{
    char name[32];
    for (int i = 0; rank == VICTIM && i < NAMES; i++) {
        name_of(i, name, sizeof name);
        rref_lookup_async(ctx, name, RREF_FOREVER);
    }
}

/* Those whose home is lost cannot be published; of so many some can. */
static void check_lookup(void)
{
    char name[32];
    int published = 0;
    rref r = { 0 };
    if (rank == 0) r = rref_create(ctx, 0, "box");
    for (int i = 0; rank == 0 && i < NAMES; i++) {
        name_of(i, name, sizeof name);
        int rc = rref_publish(r, name);
        if (rc) expect("a name whose home is lost", RREF_ERR_PEER_LOST, rc);
        else expect("withdrawing it", RREF_OK, rref_withdraw(ctx, name));
        published += !rc;
    }
    if (rank == 0) expect("some names", 1, published > 0);
    if (rank == 0) rref_release(r);
    expect("a fence after that", RREF_OK, rref_fence(ctx, PATIENCE));
    expect("destroyed", rank == 0, atomic_load(&destroyed));
}

/* ---- a fence after a loss */

static void prepare_box(void)
{
    if (rank != 0) return;
    rref r = rref_create(ctx, 0, "box");
    expect("keep", RREF_OK, rref_sync(rref_root(ctx, VICTIM), "keep", r));
    rref_release(r);
}

/* The fence is entered by then, most likely: if not, it waits for this, too. */
static void *call_late(void *arg)
{
    const struct timespec some = { 0, 100000000 };
    nanosleep(&some, NULL);
    expect("who stays", RREF_OK, rref_sync(rref_root(ctx, 3), "stay"));
    return arg;
}

/* What the fence waits for ends while a call goes on that it does not wait for. On a busy machine this may take too long, but
 * hardly every time. */
static void fence_still(void)
{
    pthread_t thread;
    for (int i = 0; i < 3; i++) {
        rref_future f = { 0 };
        if (rank == 0) f = rref_async(rref_root(ctx, 3), "wait_for_gate");
        if (rank == 0) pthread_create(&thread, NULL, call_late, NULL);
        fence("the fence");
        if (rank == 0) pthread_join(thread, NULL);
        if (rank == 0) expect("who waited there", RREF_OK, rref_get(f));
        if (rank == 0) rref_future_release(f);
    }
}

/* The others come to the parts of the fence that follow a loss, and wait there, while rank 2 is away. */
static void fence_again(void)
{
    const struct timespec long_after = { 1, 0 };
    if (rank == 2) {
        rref_future f = rref_async(rref_root(ctx, 3), "wait_for_gate");
        expect("the fence given up", RREF_ERR_TIMEOUT, rref_fence(ctx, 0.05));
        expect("opening the gate", RREF_OK, rref_sync(rref_root(ctx, 3), "open_gate"));
        expect("who waited there", RREF_OK, rref_wait(f, PATIENCE));
        rref_future_release(f);
        nanosleep(&long_after, NULL);
    }
    fence("the fence");
}

static void check_box(void)
{
    expect("destroyed", rank == 0, atomic_load(&destroyed));
    expect("a second fence", RREF_OK, rref_fence(ctx, PATIENCE));
}

/* ---- a group that fails */

static void prepare_nothing(void) { }

static void check_group(void)
{
    rref_group group;
    rref_error e = { .text = "" };
    expect("a group", RREF_ERR_USER - 1, rref_group_create(ctx, &group, "member"));
    rref_last_error(ctx, &e);
    expect("the reason", 1, strstr(e.text, "rank 2: not on this rank") != NULL);
    expect("a fence after that", RREF_OK, rref_fence(ctx, PATIENCE));
}

/* ---- references that are vouched for */

static rref_future unread[2];

static void prepare_vouch(void)
{
    for (int i = 0; rank == 0 && i < 2; i++) held[i] = rref_create(ctx, VICTIM, "box");
    MPI_Barrier(MPI_COMM_WORLD);
    for (uint64_t i = 0; rank == 2 && i < 2; i++) {
        unread[i] = rref_async(rref_root(ctx, 0), "give", i);
        expect("giving", RREF_OK, rref_wait(unread[i], PATIENCE));
    }
}

static void check_vouch(void)
{
    rref r = { 0 };
    if (rank == 2) {
        expect("reading", RREF_OK, rref_get(unread[0], rref_out(&r)));
        expect("what was read", VICTIM, rref_owner(r));
        rref_release(r);
        for (int i = 0; i < 2; i++) rref_future_release(unread[i]);
    }
    for (int i = 0; rank == 0 && i < 2; i++) rref_release(held[i]);
    expect("a fence after that", RREF_OK, rref_fence(ctx, PATIENCE));
}

/* ---- the ways */

typedef struct way {
    const char *what;
    void (*prepare)(void), (*fence)(void), (*check)(void);
} way;

static void fence_once(void) { fence("the fence"); }

static const way ways[] = {
    { "lookup", prepare_lookup, fence_once, check_lookup },
    { "still", prepare_box, fence_still, check_box },
    { "again", prepare_box, fence_again, check_box },
    { "group", prepare_nothing, fence_once, check_group },
    { "vouch", prepare_vouch, fence_once, check_vouch },
};

static const way *way_of(int argc, char **argv, int ranks)
{
    for (size_t i = 0; argc > 1 && ranks == RANKS && i < sizeof ways / sizeof *ways; i++)
        if (!strcmp(ways[i].what, argv[1])) return &ways[i];
    fprintf(stderr, "after WHAT, on %d ranks\n", RANKS);
    MPI_Abort(MPI_COMM_WORLD, 2);
    exit(2);
}

/* The references that the library itself has to each rank are there from then on. */
static void meet_all(void)
{
    rref_statistics s;
    for (int i = 0; i < RANKS; i++) {
        rref_root(ctx, i);
        expect("statistics of a rank", RREF_OK, rref_stats_of(ctx, i, &s));
    }
}

static rref_statistics statistics(void)
{
    rref_statistics s;
    rref_stats(ctx, &s);
    return s;
}

int main(int argc, char **argv)
{
    int level, ranks;
    const rref_class *classes[] = { &box, &member, NULL };
    const rref_options options = { .functions = functions, .classes = classes };
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const way *w = way_of(argc, argv, ranks);
    if (w->check == check_vouch) setenv("RREF_WEIGHT", "0", 1);
    expect("rref_init", RREF_OK, rref_init(MPI_COMM_WORLD, &options, &ctx));
    meet_all();
    rref_statistics before = statistics();
    w->prepare();
    expect("the fence before", RREF_OK, rref_fence(ctx, PATIENCE));
    if (rank == VICTIM) raise(SIGKILL);
    await_loss();
    w->fence();
    w->check();
    rref_statistics now = statistics();
    expect("objects in the end", (long long)before.objects, (long long)now.objects);
    expect("references in the end", (long long)before.references, (long long)now.references);
    expect("refused", 0, (long long)now.refused);
    expect("rref_finalize", RREF_OK, rref_finalize(&ctx));
    MPI_Finalize();
    if (!wrong) printf("rank %d: as expected\n", rank);
    return wrong ? 1 : 0;
}
