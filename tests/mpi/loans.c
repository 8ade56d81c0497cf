/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Borrowed results that are not taken. Whoever drives rank 1 is kept in an inline method while rank 0 returns an object's memory
 * to it: the object goes on meanwhile, and what comes in the end is what was returned.
 */
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include "check.h"

#define OK CHECK_OK

enum { VAULTS = 3, LARGE = 1 << 20 };       /* numbers of the largest */

static rref_context *ctx;
static int rank, ranks;
static rref_future gate;                    /* of this rank; who waits in the library takes no place of those that compute */
static atomic_int begun, stuck, free_again;

/* ---- what is called */

typedef struct vault { size_t count; double value[]; } vault;

static void fill(vault *v, double x) { for (size_t i = 0; i < v->count; i++) v->value[i] = x; }

static int create(rref_call *c, void **self)
{
    size_t n = rref_arg_u64(c, 0);
    vault *v = malloc(sizeof *v + n * sizeof *v->value);
    if (!v) return RREF_ERR_NO_MEMORY;
    v->count = n;
    fill(v, 1);
    return *self = v, RREF_OK;
}

static bool is_set(void *arg) { return atomic_load((atomic_int *)arg); }

static int lend(rref_call *c, void *self)
{
    const vault *v = self;
    atomic_fetch_add(&begun, 1);
    return rref_wait(gate, RREF_FOREVER) ? RREF_ERR_USER : rref_return_borrowed(c, v->value, v->count);
}

static int refill(rref_call *c, void *self) { return fill(self, rref_arg_f64(c, 0)), RREF_OK; }

static int stick(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_store(&stuck, 1);
    return check_until(is_set, &free_again, 60) ? RREF_OK : RREF_ERR_USER;
}

static const rref_method methods[] = {
    RREF_METHOD("lend", "-> f64[]", lend, 0), RREF_METHOD("refill", "f64", refill, 0), RREF_METHODS_END
};
static int pass(rref_call *c, void *self) { return (void)c, (void)self, RREF_OK; }

static const rref_method functions[] = {
    RREF_METHOD("stick", "", stick, RREF_INLINE), RREF_METHOD("pass", "", pass, 0), RREF_METHODS_END
};
static const rref_class vault_class = RREF_CLASS("vault", "u64", create, free, methods);
static const rref_class *const classes[] = { &vault_class, NULL };

/* ---- around it */

static rref vaults[VAULTS];

static size_t size_of(int i) { return (size_t)LARGE >> 3 * i; }

static bool begin(void)
{
    atomic_int *const flags[] = { &begun, &stuck, &free_again };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) atomic_store(flags[i], 0);
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes, .functions = functions }, &ctx));
    if (!ctx) return false;
    gate = rref_promise(ctx, "");
    rank = rref_rank(ctx);
    ranks = rref_size(ctx);
    for (int i = 0; i < VAULTS; i++) {
        char name[] = { 'a', (char)('0' + i), 0 };
        if (rank == 0) vaults[i] = rref_create(ctx, 0, "vault", size_of(i));
        if (rank == 0) OK(rref_publish(vaults[i], name));
        else OK(rref_lookup(ctx, name, RREF_FOREVER, &vaults[i]));
    }
    return true;
}

static void end(void)
{
    for (int i = 0; i < VAULTS; i++) {
        char name[] = { 'a', (char)('0' + i), 0 };
        OK(rref_release(vaults[i]));
        MPI_Barrier(MPI_COMM_WORLD);
        if (rank == 0) OK(rref_withdraw(ctx, name));
    }
    OK(rref_future_release(gate));
    OK(rref_finalize(&ctx));
}

/* ---- the lender's side, and another rank's */

/* Rank 1 has nobody that would take the results, which are returned now. */
static void return_all(void)
{
    if (rank == 0) OK(rref_set(gate));
    for (int i = 0; rank == (ranks > 2 ? 2 : 0) && i < VAULTS; i++) {
        rref_future f = rref_async(vaults[i], "refill", 2.0);
        OK(rref_wait(f, check_patience(10)));
        OK(rref_future_release(f));
    }
}

static rref_future refills[VAULTS];

static int refilled(void)
{
    int n = 0;
    for (int i = 0; i < VAULTS; i++) n += rref_done(refills[i]);
    return n;
}

static bool some_are_refilled(void *arg) { return (void)arg, refilled() > 0; }

/* There is room for one copy, whose object goes on; the others wait. */
static void refill_one(void)
{
    if (rank == 0) OK(rref_set(gate));
    if (rank != (ranks > 2 ? 2 : 0)) return;
    for (int i = 0; i < VAULTS; i++) refills[i] = rref_async(vaults[i], "refill", 2.0);
    if (ranks > 1) CU_ASSERT_TRUE(check_until(some_are_refilled, NULL, 10));
    for (int i = 0; i < 1000; i++) OK(rref_sync(rref_root(ctx, 0), "pass"));
    if (ranks > 1) CU_ASSERT_EQUAL(refilled(), 1);
}

static void refill_all(void)
{
    for (int i = 0; rank == (ranks > 2 ? 2 : 0) && i < VAULTS; i++) {
        OK(rref_wait(refills[i], RREF_FOREVER));
        OK(rref_future_release(refills[i]));
    }
}

static bool all_begun(void *arg) { return (void)arg, atomic_load(&begun) == VAULTS; }

/* ---- the caller's */

static void takes(rref_future f, size_t count, double value)
{
    static double got[LARGE];
    size_t n = 0, same = 0;
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_get(f, rref_out_array(got, LARGE, &n)));
    CU_ASSERT_EQUAL(n, count);
    while (same < n && got[same] == value) same++;
    CU_ASSERT_EQUAL(same, count);
    OK(rref_future_release(f));
}

/* All results have been asked for, and nobody would take them. */
static void lend_all(rref_future f[VAULTS])
{
    for (int i = 0; rank == 1 && i < VAULTS; i++) f[i] = rref_async(vaults[i], "lend");
    if (rank == 0 && ranks > 1) CU_ASSERT_TRUE(check_until(all_begun, NULL, 10));
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 1) OK(rref_post(rref_root(ctx, 1), "stick"));
    if (rank == 1) CU_ASSERT_TRUE(check_until(is_set, &stuck, 10));
    MPI_Barrier(MPI_COMM_WORLD);
}

static void lent(void)
{
    rref_future f[VAULTS];
    if (!begin()) return;
    lend_all(f);
    return_all();
    MPI_Barrier(MPI_COMM_WORLD);
    atomic_store(&free_again, 1);
    for (int i = 0; rank == 1 && i < VAULTS; i++) {
        takes(f[i], size_of(i), 1);
        takes(rref_async(vaults[i], "lend"), size_of(i), 2);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    end();
}

static void bounded(void)
{
    rref_future f[VAULTS];
    setenv("RREF_QUEUE_LIMIT", "4096", 1);
    bool begun_it = begin();
    unsetenv("RREF_QUEUE_LIMIT");
    if (!begun_it) return;
    lend_all(f);
    refill_one();
    MPI_Barrier(MPI_COMM_WORLD);
    atomic_store(&free_again, 1);
    for (int i = 0; rank == 1 && i < VAULTS; i++) takes(f[i], size_of(i), 1);
    refill_all();
    MPI_Barrier(MPI_COMM_WORLD);
    end();
}

static void again_and_again(void)
{
    for (int i = 0; i < 5; i++) lent();
}

static const check_case cases[] = { { "lent", lent }, { "again_and_again", again_and_again }, { "bounded", bounded }, CHECK_END };

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "loans", cases); }
