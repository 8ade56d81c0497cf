/* SPDX-License-Identifier: BSD-3-Clause */
/* What a rank counts of itself (rref_stats): each counter before, while there is something to count, and after it. */
#include <mpi.h>
#include <rref.h>
#include <stdint.h>
#include <stdlib.h>
#include "check.h"

#define OK CHECK_OK

static const uint64_t whole = UINT64_C(1) << 60;    /* weight of a new object */

static rref_context *ctx;
static int rank, next;
static rref there;
static rref_future gate;            /* of this rank, for which its methods wait */

/* ---- what is called */

static int create(rref_call *c, void **self) { return (void)c, *self = &gate, RREF_OK; }
static int create_late(rref_call *c, void **self) { return (void)c, *self = &gate, rref_wait(gate, RREF_FOREVER); }
static int one(rref_call *c, void *self) { return (void)self, rref_return_i64(c, 1); }
static int late(rref_call *c, void *self) { return (void)self, rref_wait(gate, RREF_FOREVER) ? RREF_ERR_USER : one(c, self); }

static const rref_method methods[] = { RREF_METHOD("one", "-> i64", one, RREF_INLINE), RREF_METHODS_END };
static const rref_method functions[] = {
    RREF_METHOD("one", "-> i64", one, RREF_INLINE), RREF_METHOD("late", "-> i64", late, 0), RREF_METHODS_END
};
static const rref_class cell = RREF_CLASS("cell", "", create, NULL, methods);
static const rref_class slow = RREF_CLASS("slow", "", create_late, NULL, methods);
static const rref_class *const classes[] = { &cell, &slow, NULL };

static bool begin(void)
{
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes, .functions = functions }, &ctx));
    if (!ctx) return false;
    rank = rref_rank(ctx);
    next = (rank + 1) % rref_size(ctx);
    there = rref_root(ctx, next);
    gate = rref_promise(ctx, "");
    MPI_Barrier(MPI_COMM_WORLD);
    return true;
}

static void end(void)
{
    OK(rref_fence(ctx, RREF_FOREVER));      /* methods of other ranks' calls may still be about to wait for the gate */
    OK(rref_future_release(gate));
    OK(rref_finalize(&ctx));
}

static rref_statistics stats(void)
{
    rref_statistics s = { 0 };
    OK(rref_stats(ctx, &s));
    return s;
}

static rref_statistics stats_there(void)
{
    rref_statistics s = { 0 };
    OK(rref_stats_of(ctx, next, &s));
    return s;
}

/* ---- weight */

static bool is_light(void *arg) { return (void)arg, stats_there().weight_out == 0; }

static void weight(void)
{
    enum { MANY = 17 };                     /* of 2^60 each, which is more than 2^64 */
    rref all[MANY];
    if (!begin()) return;
    bool chaos = check_chaos("objects begin with little weight");
    CU_ASSERT_EQUAL(stats_there().weight_out, 0);
    for (int i = 0; i < MANY; i++) {
        all[i] = rref_create(ctx, next, "cell");
        OK(rref_sync(all[i], "one"));
        uint64_t sum = stats_there().weight_out, most = i < 15 ? (uint64_t)(i + 1) * whole : UINT64_MAX;
        CU_ASSERT_TRUE(chaos ? sum > 0 : sum == most);
    }
    for (int i = 0; i < MANY; i++) OK(rref_release(all[i]));
    CU_ASSERT_TRUE(check_until(is_light, NULL, 10));
    end();
}

/* ---- what is not answered yet */

static bool nothing_pends(void *arg)
{
    rref_statistics s = stats();
    (void)arg;
    return s.calls_pending == 0 && s.creations_pending == 0;
}

/* A creation, a call of what it makes, another call, one in remote mode: four calls, two of which make something. */
static void pending(void)
{
    if (!begin()) return;
    CU_ASSERT_TRUE(check_until(nothing_pends, NULL, 10));
    rref r = rref_create(ctx, next, "slow"), result = rref_remote(there, "late");
    rref_future f[] = { rref_async(r, "one"), rref_async(there, "late") };
    CU_ASSERT_EQUAL(stats().calls_pending, 4);
    CU_ASSERT_EQUAL(stats().creations_pending, 2);
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_set(gate));
    for (int i = 0; i < 2; i++) {
        OK(rref_wait(f[i], RREF_FOREVER));
        OK(rref_future_release(f[i]));
    }
    CU_ASSERT_TRUE(check_until(nothing_pends, NULL, 10));
    OK(rref_release(result));
    OK(rref_release(r));
    end();
}

/* ---- memory */

static uint64_t requests_of_calls(void)
{
    int64_t n = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    uint64_t before = stats().allocations;
    for (int i = 0; i < 100; i++) OK(rref_sync(there, "one", rref_out(&n)));
    uint64_t asked = stats().allocations - before;
    MPI_Barrier(MPI_COMM_WORLD);
    return asked;
}

/* More only if a thread is kept from its core for long, so that messages pile up. */
static void memory(void)
{
    uint64_t least = UINT64_MAX;
    if (!begin()) return;
    for (int i = 0; i < 20; i++) {
        uint64_t asked = requests_of_calls();
        if (asked < least) least = asked;
    }
    bool own = next == rank;                /* without a message: results are packed in memory that is asked for */
    if (!own && !check_chaos("messages that are held back take memory")) CU_ASSERT_EQUAL(least, 0);
    uint64_t before = stats().allocations;
    OK(rref_future_release(rref_promise(ctx, "i64, f64[]")));
    CU_ASSERT_TRUE(stats().allocations > before);
    end();
}

static const check_case cases[] = { { "weight", weight }, { "pending", pending }, { "memory", memory }, CHECK_END };

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "counters", cases); }
