/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a lost rank held, where memory is short: three ranks, of which one is declared lost. In each life of a context one
 * request for memory fails after the loss: the 1st, the 2nd, ... of each of the others. What the lost rank alone held is
 * destroyed all the same, at one of the next fences, and nothing else is.
 */
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "check.h"
#include "memory.h"

#define OK CHECK_OK

/* So many objects that the lists of what is held grow. */
enum { LOST = 2, RANKS, MANY = 200, MOST = 200, FENCES = 50 };

static rref_context *ctx;
static int rank;
static MPI_Comm others;                 /* those that are not lost */
static atomic_int made, destroyed;
static rref kept[4 * RANKS];            /* by the one that is lost */
static atomic_int keeps;

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

static int touch(rref_call *c, void *self) { return (void)self, rref_return_u64(c, 7); }
static int echo(rref_call *c, void *self) { return (void)self, rref_return_ref(c, rref_arg_ref(c, 0)); }

static int keep(rref_call *c, void *self)
{
    rref r = rref_arg_ref(c, 0);
    (void)self;
    kept[atomic_fetch_add(&keeps, 1)] = r;
    return rref_retain(r);
}

static const rref_method functions[] = {
    RREF_METHOD("touch", "-> u64", touch, 0), RREF_METHOD("echo", "ref -> ref", echo, 0), RREF_METHOD("keep", "ref", keep, 0),
    RREF_METHODS_END
};
static const rref_class box = RREF_CLASS("box", "", make, unmake, functions);
static const rref_class *const classes[] = { &box, NULL };

/* ---- before the loss */

static rref many[MANY], beside, result;
static rref_future unread;

/* An object of the other rank that stays; the one that will be lost holds it, too. */
static rref held_by_both(void)
{
    rref r = rref_create(ctx, 1 - rank, "box");
    OK(rref_sync(rref_root(ctx, LOST), "keep", r));
    return r;
}

static void prepare(void)
{
    rref there = rref_root(ctx, 1 - rank);
    OK(rref_release(held_by_both()));
    beside = held_by_both();
    rref a = held_by_both(), b = held_by_both();
    unread = rref_async(there, "echo", a);
    OK(rref_wait(unread, RREF_FOREVER));
    result = rref_remote(there, "echo", b);
    rref_future there_now = rref_creation(result);
    OK(rref_wait(there_now, RREF_FOREVER));
    OK(rref_future_release(there_now));
    OK(rref_release(a));
    OK(rref_release(b));
    for (int i = 0; i < MANY; i++) many[i] = rref_create(ctx, 1 - rank, "box");
}

enum { MADE = MANY + 4 };

/* Either side has the other for lost. */
static bool are_parted(void *arg)
{
    uint64_t x;
    (void)arg;
    return rref_sync(rref_root(ctx, rank == LOST ? 0 : LOST), "touch", rref_out(&x)) == RREF_ERR_PEER_LOST;
}

static void part(void)
{
    if (rank == 0) OK(rref_declare_lost(ctx, LOST));
    CU_ASSERT(check_until(are_parted, NULL, 20));
}

/* ---- after it */

/* All have written off. */
static bool written_off(void)
{
    int all, mine = atomic_load(&destroyed) > 0;
    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, others);
    return all;
}

static void fence_until_written_off(void)
{
    bool over = false;
    for (int i = 0; i < FENCES && !over; i++) {
        int rc = rref_fence(ctx, check_patience(20));
        CU_ASSERT(rc == RREF_OK || rc == RREF_ERR_PEER_LOST);
        over = written_off();
    }
    CU_ASSERT(over);
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 1);
}

static void use(rref r)
{
    uint64_t x = 0;
    OK(rref_sync(r, "touch", rref_out(&x)));
    CU_ASSERT_EQUAL(x, 7);
    OK(rref_release(r));
}

static void use_all(void)
{
    rref from_future = { 0 }, from_result = { 0 };
    use(beside);
    OK(rref_get(unread, rref_out(&from_future)));
    use(from_future);
    OK(rref_future_release(unread));
    OK(rref_to_here(result, rref_out(&from_result)));
    use(from_result);
    OK(rref_release(result));
    for (int i = 0; i < MANY; i++) use(many[i]);
}

static void nothing_is_left(void)
{
    rref_statistics s;
    OK(rref_fence(ctx, check_patience(20)));
    CU_ASSERT_EQUAL(atomic_load(&made), MADE);
    CU_ASSERT_EQUAL(atomic_load(&destroyed), MADE);
    OK(rref_stats(ctx, &s));
    CU_ASSERT_EQUAL(s.objects, 0);
    CU_ASSERT_EQUAL(s.futures, 0);
}

/* ---- lives */

static void begin(void)
{
    atomic_store(&made, 0);
    atomic_store(&destroyed, 0);
    atomic_store(&keeps, 0);
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes, .functions = functions }, &ctx));
    if (rank != LOST) prepare();
    OK(rref_fence(ctx, RREF_FOREVER));
    MPI_Barrier(MPI_COMM_WORLD);
}

/* Whether the request for memory was made that should fail. */
static bool go_on(unsigned request)
{
    MPI_Barrier(others);
    if (request) rri_memory_fail(request);
    fence_until_written_off();
    bool came = !rri_memory_armed();
    rri_memory_fail(0);
    MPI_Barrier(others);
    use_all();
    nothing_is_left();
    return came;
}

static bool one_life(int victim, unsigned request)
{
    int came = 0;
    begin();
    part();
    if (rank != LOST) came = go_on(rank == victim ? request : 0);
    MPI_Bcast(&came, 1, MPI_INT, victim, MPI_COMM_WORLD);
    CHECK_GIVES(rref_finalize(&ctx), rank == LOST ? RREF_ERR_PEER_LOST : RREF_OK);
    return came;
}

static void each_request_fails_once(void)
{
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_split(MPI_COMM_WORLD, rank == LOST, rank, &others);
    setenv("RREF_WINDOW", "off", 1);        /* it would be freed by all ranks together */
    setenv("RREF_LOG", "error", 1);
    for (int victim = 0; victim < LOST; victim++) {
        unsigned request = 1;
        while (request < MOST && one_life(victim, request)) request++;
        CU_ASSERT(request > 1 && request < MOST);
        if (rank == 0) printf("  %u requests of rank %d failed, one at a time\n", request - 1, victim);
    }
    unsetenv("RREF_LOG");
    unsetenv("RREF_WINDOW");
    MPI_Comm_free(&others);
}

static const check_case cases[] = { { "each request fails once", each_request_fails_once }, CHECK_END };

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "estate", cases); }
