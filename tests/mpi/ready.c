/* SPDX-License-Identifier: BSD-3-Clause */
/* A rank stays ready while its methods are not: they compute, wait in a lock of the application's, or in its MPI. */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { MANY = 5, TAG = 7, LARGE = 32768, FLOOD = 40 };

static MPI_Comm own;                    /* the application's */
static atomic_int computes;             /* stop computing when 0 */
static _Atomic uint64_t turns;          /* how many were taken: who computes until then stops */
static sem_t gate;                      /* stands for any lock of the application's */
static int before;                      /* the rank that calls this one */
static bool alone;                      /* MPICH 4 gives no message of a rank's own to a thread that is in MPI_Recv already */
static volatile double sink;

static void compute(void)
{
    double x = 1;
    for (int i = 0; i < 1000; i++) x = x * 1.0000001 + 1e-9;
    sink = x;
}

static int stick_in_lock(rref_call *c, void *self)
{
    (void)c, (void)self;
    while (sem_wait(&gate)) {}
    return RREF_OK;
}

static int stick_everywhere(rref_call *c, void *self)
{
    int token = 0;
    (void)c, (void)self;
    while (atomic_load(&computes)) compute();
    while (sem_wait(&gate)) {}
    if (alone) return stick_in_lock(c, self);
    return MPI_Recv(&token, 1, MPI_INT, before, TAG, own, MPI_STATUS_IGNORE) ? RREF_ERR_USER : RREF_OK;
}

static int stop_computing(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_store(&computes, 0);
    return RREF_OK;
}

static int compute_until(rref_call *c, void *self)
{
    uint64_t turn = rref_arg_u64(c, 0);
    (void)self;
    while (atomic_load(&turns) < turn) compute();
    return RREF_OK;
}

static int take_turn(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_fetch_add(&turns, 1);
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

/* All elements of an argument are the same. */
static int first_if_equal(rref_call *c, void *self)
{
    size_t n;
    const double *x = rref_arg_f64s(c, 0, &n);
    (void)self;
    for (size_t i = 1; i < n; i++)
        if (x[i] < x[0] || x[i] > x[0]) return rref_fail(c, RREF_ERR_SHAPE, "element %zu", i);
    return rref_return_f64(c, n == LARGE ? x[0] : -1);
}

static int received(rref_call *c, void *self)
{
    rref_statistics s;
    (void)self;
    int rc = rref_stats(rref_call_context(c), &s);
    return rc ? rc : rref_return_u64(c, s.bulk_in);
}

static int create(rref_call *c, void **self)
{
    (void)c;
    *self = malloc(1);
    return *self ? RREF_OK : RREF_ERR_NO_MEMORY;
}

static const rref_method functions[] = {
    RREF_METHOD("stop_computing", "", stop_computing, 0),
    RREF_METHOD("take_turn", "", take_turn, RREF_INLINE),
    RREF_METHOD("open_gate", "i64", open_gate, 0),
    RREF_METHOD("twice", "i64 -> i64", twice, 0),
    RREF_METHOD("received", "-> u64", received, RREF_INLINE),
    RREF_METHOD("quick_twice", "i64 -> i64", twice, RREF_INLINE),
    RREF_METHODS_END
};
static const rref_method methods[] = {
    RREF_METHOD("stick_everywhere", "", stick_everywhere, 0),
    RREF_METHOD("stick_in_lock", "", stick_in_lock, 0),
    RREF_METHOD("compute_until", "u64", compute_until, 0),
    RREF_METHOD("compute_apart_until", "u64", compute_until, RREF_WORKER),
    RREF_METHOD("twice", "i64 -> i64", twice, 0),
    RREF_METHOD("first_if_equal", "f64[] -> f64", first_if_equal, 0),
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
    atomic_store(&turns, 0);
    sem_init(&gate, 0, 0);
    OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
    if (!ctx) return false;
    rank = rref_rank(ctx);
    size = rref_size(ctx);
    next = (rank + 1) % size;
    before = (rank + size - 1) % size;
    alone = size == 1;
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
 * also the silence after which the next call comes; RREF_TEST_FULL makes them long. */
static void one_method_everywhere(void)
{
    int64_t n;
    int token = 1;
    const bool full = getenv("RREF_TEST_FULL");
    const double computing = full ? 2 : 0.1, in_lock = full ? 10 : 0.3, in_mpi = full ? 2 : 0.1;
    MPI_Comm_dup(MPI_COMM_WORLD, &own);
    if (!begin()) return;
    rref root = rref_root(ctx, next), it = rref_create(ctx, next, "sticky"), other = rref_create(ctx, next, "sticky");
    for (int i = 0; i < (full ? 100000 : 2000); i++) OK(rref_sync(it, "twice", i, rref_out(&n)));
    rref_future stuck = rref_async(it, "stick_everywhere");
    others_complete(other);
    GIVES(rref_wait(stuck, computing), RREF_ERR_PENDING);
    others_complete(other);
    OK(rref_sync(root, "stop_computing"));
    GIVES(rref_wait(stuck, in_lock), RREF_ERR_PENDING);
    others_complete(other);
    OK(rref_sync(root, "open_gate", 1));
    GIVES(rref_wait(stuck, in_mpi), RREF_ERR_PENDING);
    others_complete(other);
    if (alone) OK(rref_sync(root, "open_gate", 1));
    else MPI_Send(&token, 1, MPI_INT, next, TAG, own);
    OK(rref_wait(stuck, RREF_FOREVER));
    OK(rref_future_release(stuck));
    OK(rref_release(it));
    OK(rref_release(other));
    end();
    MPI_Comm_free(&own);
}

/* A rank that slept goes straight into a method that does not end, with nobody watching, while its main calls and waits, too. */
static void woken_into_a_long_method(void)
{
    enum { ROUNDS = 60 };
    if (!begin()) return;
    rref it = rref_create(ctx, next, "sticky"), root = rref_root(ctx, next);
    rref_future never = rref_promise(ctx, "");
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        GIVES(rref_wait(never, i % 5 ? 0.001 : 0.02), RREF_ERR_PENDING);
        rref_future f = rref_async(it, i % 2 ? "compute_until" : "compute_apart_until", i);
        if (i % 3 == 0) GIVES(rref_wait(f, 0.0005), RREF_ERR_PENDING);
        OK(rref_sync(root, "take_turn"));
        OK(rref_wait(f, RREF_FOREVER));
        OK(rref_future_release(f));
    }
    OK(rref_future_release(never));
    OK(rref_release(it));
    end();
}

/* ---- answers that no main waits for */

static atomic_int answers;

static void count_answer(rref_future f, void *arg)
{
    (void)arg;
    if (rref_test(f) == RREF_OK) atomic_fetch_add(&answers, 1);
}

static void *await_answer(void *arg)
{
    if (rref_wait(*(rref_future *)arg, RREF_FOREVER) == RREF_OK) atomic_fetch_add(&answers, 1);
    return NULL;
}

static bool have_come(void *arg) { return atomic_load(&answers) == *(int *)arg; }
static bool is_done(void *arg) { return rref_done(*(rref_future *)arg); }

static bool turns_taken(void *arg) { return atomic_load(&turns) >= *(uint64_t *)arg; }

static void listen(const rref_future *f, unsigned flags)
{
    for (int k = 0; k < MANY; k++) OK(rref_on_complete(f[k], count_answer, NULL, flags));
}

static void have_thread_wait(rref_future *f)
{
    pthread_t thread;
    int one = 1;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, await_answer, f), 0);
    CU_ASSERT(check_until(have_come, &one, 20));
    pthread_join(thread, NULL);
}

/* Main waits for one call, and for those behind it by other ways than to wait; it calls nothing else meanwhile. */
static void answers_to_nobody(void)
{
    enum { ASKS, LISTENED, LISTENS, THREAD, POSTS, WAYS, ROUNDS = 20 };
    int all = MANY;
    if (!begin()) return;
    rref it = rref_create(ctx, next, "sticky"), root = rref_root(ctx, next);
    for (int i = 0; i < WAYS * ROUNDS; i++) {
        const int way = i % WAYS;
        uint64_t posted = (uint64_t)(i / WAYS + 1) * MANY;
        rref_future left[MANY], first = rref_async(it, "twice", 1);
        for (int k = 0; k < MANY; k++) left[k] = rref_async(it, "twice", k);
        for (int k = 0; k < MANY && way == POSTS; k++) OK(rref_post(root, "take_turn"));
        atomic_store(&answers, 0);
        if (way == LISTENED) listen(left, RREF_INLINE);
        OK(rref_wait(first, RREF_FOREVER));
        if (way == LISTENS) listen(left, 0);
        if (way == LISTENED || way == LISTENS) CU_ASSERT(check_until(have_come, &all, 20));
        if (way == THREAD) have_thread_wait(&left[MANY - 1]);
        if (way == POSTS) CU_ASSERT(check_until(turns_taken, &posted, 20));
        for (int k = 0; k < MANY; k++) {
            if (way == ASKS) CU_ASSERT(check_until(is_done, &left[k], 20));
            OK(rref_future_release(left[k]));
        }
        OK(rref_future_release(first));
    }
    OK(rref_release(it));
    end();
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

/* Large arguments for an object that is busy: received up to the limit, and for one call more. Others get theirs. */
static void memory_is_bounded(void)
{
    double *x = malloc(LARGE * sizeof *x), got = 0;
    rref_future f[FLOOD];
    uint64_t bytes = 0;
    setenv("RREF_LANDING_LIMIT", "1M", 1);
    bool begun = x && begin();
    unsetenv("RREF_LANDING_LIMIT");
    if (!begun) return;
    rref root = rref_root(ctx, next), it = rref_create(ctx, next, "sticky"), other = rref_create(ctx, next, "sticky");
    rref_future stuck = rref_async(it, "stick_in_lock");
    for (int k = 0; k < FLOOD; k++) {
        for (int i = 0; i < LARGE; i++) x[i] = k;
        f[k] = rref_async(it, "first_if_equal", rref_array(x, LARGE));
    }
    OK(rref_sync(root, "received", rref_out(&bytes)));      /* behind all of them */
    CU_ASSERT_TRUE(bytes >= LARGE * sizeof *x && bytes <= (1 << 20) + LARGE * sizeof *x);
    OK(rref_sync(other, "first_if_equal", rref_array(x, LARGE), rref_out(&got)));
    CU_ASSERT_EQUAL(got, FLOOD - 1);
    OK(rref_sync(root, "open_gate", 1));
    for (int k = 0; k < FLOOD; k++) {
        OK(rref_wait(f[k], RREF_FOREVER));
        OK(rref_get(f[k], rref_out(&got)));
        CU_ASSERT_EQUAL(got, k);
        OK(rref_future_release(f[k]));
    }
    OK(rref_wait(stuck, RREF_FOREVER));
    OK(rref_future_release(stuck));
    OK(rref_release(it));
    OK(rref_release(other));
    end();
    free(x);
}

static const check_case cases[] = {
    { "one_method_everywhere", one_method_everywhere },
    { "woken_into_a_long_method", woken_into_a_long_method },
    { "answers_to_nobody", answers_to_nobody },
    { "many_in_locks", many_in_locks },
    { "memory_is_bounded", memory_is_bounded },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "ready", cases); }
