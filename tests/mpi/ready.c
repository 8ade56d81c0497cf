/* SPDX-License-Identifier: BSD-3-Clause */
/* A rank stays ready while its methods are not: they compute, wait in a lock of the application's, or in its MPI. */
#include <mpi.h>
#include <rref.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { MANY = 5, TAG = 7 };

static MPI_Comm own;                    /* the application's */
static atomic_int computes;             /* stop computing when 0 */
static sem_t gate;                      /* stands for any lock of the application's */
static int before;                      /* the rank that calls this one */
static volatile double sink;

static void compute(void)
{
    double x = 1;
    for (int i = 0; i < 1000; i++) x = x * 1.0000001 + 1e-9;
    sink = x;
}

static int stick_everywhere(rref_call *c, void *self)
{
    int token = 0;
    (void)c, (void)self;
    while (atomic_load(&computes)) compute();
    while (sem_wait(&gate)) {}
    return MPI_Recv(&token, 1, MPI_INT, before, TAG, own, MPI_STATUS_IGNORE) ? RREF_ERR_USER : RREF_OK;
}

static int stick_in_lock(rref_call *c, void *self)
{
    (void)c, (void)self;
    while (sem_wait(&gate)) {}
    return RREF_OK;
}

static int stop_computing(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_store(&computes, 0);
    return RREF_OK;
}

static int open_gate(rref_call *c, void *self)
{
    (void)self;
    for (int64_t i = rref_arg_i64(c, 0); i > 0; i--) sem_post(&gate);
    return RREF_OK;
}

static int twice(rref_call *c, void *self)
{
    (void)self;
    return rref_return_i64(c, 2 * rref_arg_i64(c, 0));
}

static int create(rref_call *c, void **self)
{
    (void)c;
    *self = malloc(1);
    return *self ? RREF_OK : RREF_ERR_NO_MEMORY;
}

static const rref_method functions[] = {
    RREF_METHOD("stop_computing", "", stop_computing, 0),
    RREF_METHOD("open_gate", "i64", open_gate, 0),
    RREF_METHOD("twice", "i64 -> i64", twice, 0),
    RREF_METHOD("quick_twice", "i64 -> i64", twice, RREF_INLINE),
    RREF_METHODS_END
};
static const rref_method methods[] = {
    RREF_METHOD("stick_everywhere", "", stick_everywhere, 0),
    RREF_METHOD("stick_in_lock", "", stick_in_lock, 0),
    RREF_METHOD("twice", "i64 -> i64", twice, 0),
    RREF_METHODS_END
};
static const rref_class sticky = RREF_CLASS("sticky", "", create, free, methods);
static const rref_class *const classes[] = { &sticky, NULL };
static const rref_options options = { .classes = classes, .functions = functions };

static rref_context *ctx;
static int next;

static bool begin(void)
{
    int rank, size;
    atomic_store(&computes, 1);
    sem_init(&gate, 0, 0);
    OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
    if (!ctx) return false;
    rank = rref_rank(ctx);
    size = rref_size(ctx);
    next = (rank + 1) % size;
    before = (rank + size - 1) % size;
    return true;
}

static void end(void)
{
    OK(rref_finalize(&ctx));
    sem_destroy(&gate);
}

/* Calls of every kind to a rank whose object is busy. */
static void others_complete(rref other)
{
    int64_t n = 0;
    rref root = rref_root(ctx, next);
    OK(rref_sync(root, "quick_twice", 1, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 2);
    OK(rref_sync(root, "twice", 2, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 4);
    OK(rref_sync(other, "twice", 3, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 6);
}

/* Short many times, then computing, in a lock, in the application's MPI_Recv. The waits for the method that does not end are
 * also the silence after which the next call comes. */
static void one_method_everywhere(void)
{
    int64_t n;
    int token = 1;
    MPI_Comm_dup(MPI_COMM_WORLD, &own);
    if (!begin()) return;
    rref root = rref_root(ctx, next), it = rref_create(ctx, next, "sticky"), other = rref_create(ctx, next, "sticky");
    for (int i = 0; i < 2000; i++) OK(rref_sync(it, "twice", i, rref_out(&n)));
    rref_future stuck = rref_async(it, "stick_everywhere");
    others_complete(other);
    GIVES(rref_wait(stuck, 0.1), RREF_ERR_PENDING);
    others_complete(other);
    OK(rref_sync(root, "stop_computing"));
    GIVES(rref_wait(stuck, 0.3), RREF_ERR_PENDING);
    others_complete(other);
    OK(rref_sync(root, "open_gate", 1));
    GIVES(rref_wait(stuck, 0.1), RREF_ERR_PENDING);
    others_complete(other);
    MPI_Send(&token, 1, MPI_INT, next, TAG, own);
    OK(rref_wait(stuck, RREF_FOREVER));
    OK(rref_future_release(stuck));
    OK(rref_release(it));
    OK(rref_release(other));
    end();
    MPI_Comm_free(&own);
}

/* One place to compute, and more methods than that in locks: none of them counts. */
static void many_in_locks(void)
{
    rref it[MANY];
    rref_future stuck[MANY];
    setenv("RREF_WORKERS", "1", 1);
    bool begun = begin();
    unsetenv("RREF_WORKERS");
    if (!begun) return;
    rref other = rref_create(ctx, next, "sticky");
    for (int i = 0; i < MANY; i++) {
        it[i] = rref_create(ctx, next, "sticky");
        stuck[i] = rref_async(it[i], "stick_in_lock");
    }
    others_complete(other);
    GIVES(rref_wait_all(stuck, MANY, 0.2), RREF_ERR_PENDING);
    others_complete(other);
    OK(rref_sync(rref_root(ctx, next), "open_gate", MANY));
    OK(rref_wait_all(stuck, MANY, RREF_FOREVER));
    for (int i = 0; i < MANY; i++) {
        OK(rref_future_release(stuck[i]));
        OK(rref_release(it[i]));
    }
    OK(rref_release(other));
    end();
}

static const check_case cases[] = {
    { "one_method_everywhere", one_method_everywhere },
    { "many_in_locks", many_in_locks },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "ready", cases); }
