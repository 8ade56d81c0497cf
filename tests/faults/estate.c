/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a lost rank held: `estate HOW [VICTIM]`, on 4 ranks or more. Before, the victim holds objects of all the others: some
 * alone, some beside a reference, an unread future or a result that stays. Then, in the middle of calls, it is lost, and the
 * others fence.
 *
 *   kill      the victim ends itself by SIGKILL
 *   fence     the same, while the others wait for it in the fence
 *   declare   rank 0 declares it lost; it is there, and is told
 *   busy      as kill, and a thread of each rank goes on passing references round, through fences in which it may be that nothing
 *             can be written off, and nothing must be that is held
 *
 * After the fence what only the victim held is destroyed, and all else is there and can be used; when that is released too, no
 * object and no reference is left. Each rank says "as expected" if that is so.
 */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "expect.h"

enum { RANKS = 16, KEPT = 256, BEFORE = 200, COPIES = 3, OWNS = 5 };
#define PATIENCE 60.0

static int ranks, victim;
static bool declared, in_fence, is_busy;
static atomic_bool enough;
static atomic_int made, destroyed, keeps;
static rref kept[KEPT];                 /* by the victim */
static uint64_t references;             /* of this rank, before there are objects */

/* ---- what ranks have */

static int make(rref_call *c, void **self)
{
    (void)c;
    *self = &made;
    atomic_fetch_add(&made, 1);
    return RREF_OK;
}

static void unmake(void *self)
{
    (void)self;
    atomic_fetch_add(&destroyed, 1);
}

static int touch(rref_call *c, void *self)
{
    (void)self;
    return rref_return_u64(c, 7);
}

static int keep(rref_call *c, void *self)
{
    (void)self;
    rref r = rref_arg_ref(c, 0);
    kept[atomic_fetch_add(&keeps, 1) % KEPT] = r;
    return rref_retain(r);
}

static int echo(rref_call *c, void *self)
{
    (void)self;
    return rref_return_ref(c, rref_arg_ref(c, 0));
}

static const rref_method methods[] = { RREF_METHOD("touch", "-> u64", touch, 0), RREF_METHODS_END };
static const rref_class box = RREF_CLASS("box", "", make, unmake, methods);
static const rref_method functions[] = {
    RREF_METHOD("touch", "-> u64", touch, 0), RREF_METHOD("keep", "ref", keep, 0), RREF_METHOD("echo", "ref -> ref", echo, 0),
    RREF_METHODS_END
};

/* ---- before */

/* What the others hold, each of objects of the next one that is left. */
static rref beside, result;
static rref_future unread;

static int next_of(int i)
{
    do i = (i + 1) % ranks;
    while (i == victim);
    return i;
}

/* An object of the next rank that the victim holds, too, several times. */
static rref held_by_victim(void)
{
    rref r = rref_create(ctx, next_of(rank), "box");
    for (int i = 0; i < COPIES; i++) expect("keep", RREF_OK, rref_sync(rref_root(ctx, victim), "keep", r));
    return r;
}

static void prepare(void)
{
    rref a, b, c;
    if (rank == victim) return;
    rref_release(held_by_victim());
    beside = held_by_victim();
    a = held_by_victim();
    unread = rref_async(rref_root(ctx, next_of(rank)), "echo", a);
    expect("echo", RREF_OK, rref_wait(unread, PATIENCE));
    b = held_by_victim();
    result = rref_remote(rref_root(ctx, next_of(rank)), "echo", b);
    expect("the result", RREF_OK, rref_wait(rref_creation(result), PATIENCE));
    c = held_by_victim();
    rref_release(a);
    rref_release(b);
    rref_release(c);
}

/* Made by the victim itself, and never given to anybody. */
static void prepare_victim(void)
{
    for (int i = 0; rank == victim && i < ranks; i++)
        if (i != rank) kept[atomic_fetch_add(&keeps, 1) % KEPT] = rref_create(ctx, i, "box");
}

static uint64_t count_references(void)
{
    rref_statistics s;
    rref_stats(ctx, &s);
    return s.references;
}

static uint64_t count_objects(void)
{
    rref_statistics s;
    rref_stats(ctx, &s);
    return s.objects;
}

/* ---- the loss */

static void lose(void)
{
    uint64_t x;
    int rc = RREF_OK;
    double begun = seconds();
    if (rank == victim && in_fence) raise(SIGKILL);
    for (int n = 0; !in_fence && !rc && seconds() < begun + PATIENCE; n++) {
        int to = n % 2 ? victim : next_of(rank);
        if (to != rank) rc = rref_sync(rref_root(ctx, to), "touch", rref_out(&x));
        if (n == BEFORE && rank == victim && !declared) raise(SIGKILL);
        if (n == BEFORE && rank == 0 && declared) expect("declaring", RREF_OK, rref_declare_lost(ctx, victim));
    }
    if (!in_fence) expect("a call to the lost rank", RREF_ERR_PEER_LOST, rc);
}

/* ---- those who go on */

/* A reference goes there and back, in a call and its result, and in a promise that is read. */
static void *pass_round(void *arg)
{
    (void)arg;
    while (!atomic_load(&enough)) {
        rref back = { 0 }, again = { 0 };
        int rc = rref_sync(rref_root(ctx, next_of(rank)), "echo", beside, rref_out(&back));
        rref_future promise = rref_promise(ctx, "ref");
        if (!rc) rc = rref_set(promise, back);
        if (!rc) rref_release(back);
        if (!rc) rc = rref_get(promise, rref_out(&again));
        if (!rc) rref_release(again);
        rref_future_release(promise);
        expect("a reference that goes round", RREF_OK, rc);
        if (rc) return NULL;
    }
    return NULL;
}

static void fence_while_busy(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, pass_round, NULL);
    for (int i = 0; i < 4; i++) {
        int rc = rref_fence(ctx, PATIENCE);
        if (rc) expect("a fence while others go on", RREF_ERR_PEER_LOST, rc);
    }
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
}

/* ---- after */

static void use(const char *what, rref r)
{
    uint64_t x = 0;
    expect(what, RREF_OK, rref_sync(r, "touch", rref_out(&x)));
    expect(what, 7, (long long)x);
    rref_release(r);
}

/* Three of five objects are held by others, too; and the result has an object of its own. */
static void check_estate(void)
{
    rref from_future = { 0 }, from_result = { 0 };
    expect("objects made", OWNS + 1, atomic_load(&made));
    expect("destroyed at the fence", 3, atomic_load(&destroyed));
    expect("objects left by the fence", OWNS + 1 - 3 + 1, (long long)count_objects());
    expect("a second fence", RREF_OK, rref_fence(ctx, PATIENCE));
    use("held by a rank", beside);
    expect("the future", RREF_OK, rref_get(unread, rref_out(&from_future)));
    use("held by a future", from_future);
    rref_future_release(unread);
    expect("the fetch", RREF_OK, rref_to_here(result, rref_out(&from_result)));
    use("held by a result", from_result);
    rref_release(result);
    expect("a third fence", RREF_OK, rref_fence(ctx, PATIENCE));
    expect("destroyed in the end", OWNS + 1, atomic_load(&destroyed));
    expect("objects in the end", 0, (long long)count_objects());
    expect("references in the end", (long long)references, (long long)count_references());
}

static void read_arguments(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    victim = argc > 2 ? atoi(argv[2]) : ranks - 1;
    declared = !strcmp(how, "declare");
    in_fence = !strcmp(how, "fence");
    is_busy = !strcmp(how, "busy");
    if (ranks >= 4 && ranks <= RANKS && (declared || in_fence || is_busy || !strcmp(how, "kill"))) return;
    fprintf(stderr, "estate HOW [VICTIM], on 4 to %d ranks\n", RANKS);
    MPI_Abort(MPI_COMM_WORLD, 2);
}

int main(int argc, char **argv)
{
    int level;
    const rref_class *classes[] = { &box, NULL };
    const rref_options options = { .functions = functions, .classes = classes };
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    read_arguments(argc, argv);
    expect("rref_init", RREF_OK, rref_init(MPI_COMM_WORLD, &options, &ctx));
    for (int i = 0; i < ranks; i++) rref_root(ctx, i);
    references = count_references();
    prepare();
    prepare_victim();
    expect("the fence before", RREF_OK, rref_fence(ctx, PATIENCE));
    expect("destroyed before", 0, atomic_load(&destroyed));
    lose();
    if (is_busy && rank != victim) fence_while_busy();
    double start = seconds();
    int rc = rref_fence(ctx, PATIENCE);
    if (rc) expect("the fence", RREF_ERR_PEER_LOST, rc);
    double fenced = seconds();
    if (rank != victim) check_estate();
    expect("rref_finalize", RREF_OK, rref_finalize(&ctx));
    MPI_Finalize();
    printf("rank %d: the fence took %.3f s\n", rank, fenced - start);
    if (!wrong) printf("rank %d: as expected\n", rank);
    return wrong ? 1 : 0;
}
