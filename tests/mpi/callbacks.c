/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Callbacks and continuations that do what they should not, as the methods of hostile.c: fail in odd ways, block outside of the
 * library, wait where they must not, recurse deeply, answer twice, and when their caller is gone, give very much, call without
 * measure. Each time all else goes on.
 */
#include <limits.h>
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "well.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { TAG = 18, DEPTH = 500, SHORT = 10000, LONG = 1000000, MEBI = 1 << 20, GIBI = 1 << 30 };

static rref_context *ctx;
static int rank, ranks;
static rref there;                      /* root object of the next rank */
static atomic_int counted, wrong, freed;
static rref_future gate;                /* a promise of this rank */

/* ---- methods */

static int add(rref_call *c, void *self)
{
    (void)self;
    return rref_return_i64(c, rref_arg_i64(c, 0) + rref_arg_i64(c, 1));
}

static int count(rref_call *c, void *self) { return (void)c, (void)self, atomic_fetch_add(&counted, 1), RREF_OK; }

static _Atomic uint64_t owed;

static int never(rref_call *c, void *self) { return (void)self, atomic_store(&owed, rref_defer(c).bits), RREF_PENDING; }

static rref_future mark;                /* a promise of this rank */

static int set_mark(rref_call *c, void *self) { return (void)c, (void)self, rref_set(mark); }
static int left(rref_call *c, void *self) { return (void)self, rref_return_f64(c, rref_time_left(c)); }

static const rref_method functions[] = {
    RREF_METHOD("set_mark", "", set_mark, 0), RREF_METHOD("left", "-> f64", left, 0),
    RREF_METHOD("add", "i64, i64 -> i64", add, 0), RREF_METHOD("count", "", count, RREF_INLINE),
    RREF_METHOD("never", "-> i64", never, 0), RREF_METHODS_END
};

/* ---- around each case */

static bool begin(void)
{
    atomic_store(&counted, 0);
    atomic_store(&wrong, 0);
    atomic_store(&owed, 0);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);       /* before there are threads of the library, which read it */
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    int rc = rref_init(MPI_COMM_WORLD, &(rref_options){ .functions = functions }, &ctx);
    CU_ASSERT_EQUAL(rc, RREF_OK);
    if (rc) return false;
    there = rref_root(ctx, (rank + 1) % ranks);
    gate = rref_promise(ctx, "");
    return true;
}

static void end(void)
{
    well(ctx, ranks);
    rref_set(gate);
    OK(rref_future_release(gate));
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&wrong), 0);
}

static bool have_counted(void *arg) { return atomic_load(&counted) >= *(int *)arg; }
static void wait_counted(int n) { CU_ASSERT_TRUE(check_until(have_counted, &n, 30)); }

static rref_future three(void) { return rref_async(there, "add", 1, 2); }

static void watch(rref_callback callback, void *arg, unsigned flags)
{
    rref_future f = three();
    OK(rref_on_complete(f, callback, arg, flags));
    OK(rref_future_release(f));
}

static rref_future then(const char *signature, rref_continuation function, void *arg)
{
    rref_future f = three(), child = rref_then(f, signature, function, arg);
    OK(rref_future_release(f));
    return child;
}

static void gives(rref_future f, int wanted)
{
    GIVES(rref_wait(f, check_patience(20)), wanted);
    OK(rref_future_release(f));
}

/* ---- failing */

enum { NOTHING, POSITIVE, INT_LEAST, LONG_TEXT, TOO_MANY, WRONG_TYPE, NULL_ARRAY, PAST_FAIL, BAD_REF, WAYS };

static const int outcomes[WAYS] = {
    [NOTHING] = RREF_ERR_SIGNATURE, [POSITIVE] = RREF_ERR_STATE, [INT_LEAST] = INT_MIN, [LONG_TEXT] = RREF_ERR_USER,
    [TOO_MANY] = RREF_ERR_SIGNATURE, [WRONG_TYPE] = RREF_ERR_SIGNATURE, [NULL_ARRAY] = RREF_ERR_ARGUMENT,
    [PAST_FAIL] = RREF_ERR_USER, [BAD_REF] = RREF_ERR_HANDLE
};

static int long_text(rref_call *c)
{
    char text[4096];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    return rref_fail(c, RREF_ERR_USER, "%s", text);
}

/* Results "i64, f64[], ref". */
static int fail_somehow(rref_call *c, rref_future parent, void *arg)
{
    const double x[2] = { 1, 2 };
    (void)parent;
    switch (*(int *)arg) {
    case POSITIVE: return 7;
    case INT_LEAST: return INT_MIN;
    case LONG_TEXT: return long_text(c);
    case TOO_MANY: return rref_return(c, 1, rref_array(x, 2), there), rref_return(c, 5), RREF_OK;
    case WRONG_TYPE: return rref_return(c, "text"), RREF_OK;
    case NULL_ARRAY: return rref_return(c, 1, rref_array((double *)NULL, 2), there);
    case PAST_FAIL: return rref_fail(c, RREF_ERR_USER, "once"), rref_fail(c, RREF_ERR_USER, "twice");
    case BAD_REF: return rref_return(c, 1, rref_array(x, 2), (rref){ 12345 });
    default: return RREF_OK;
    }
}

static void fails(void)
{
    if (!begin()) return;
    for (int way = 0; way < WAYS; way++) gives(then("i64, f64[], ref", fail_somehow, &way), outcomes[way]);
    end();
}

/* ---- answers */

/* A deferred call of another, answered twice by a callback. */
static void answers(rref_future f, void *arg)
{
    rref_deferred d = { atomic_load(&owed) };
    (void)f, (void)arg;
    if (rref_complete(d, 5) != RREF_OK || rref_complete(d, 6) == RREF_OK) atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&counted, 1);
}

static bool owes(void *arg) { return (void)arg, atomic_load(&owed) != 0; }

static void answers_twice(void)
{
    int64_t x = 0;
    if (!begin()) return;
    rref_future f = rref_async(there, "never");
    CU_ASSERT(check_until(owes, NULL, 20));
    watch(answers, NULL, rank % 2 ? RREF_INLINE : 0);
    OK(rref_wait(f, check_patience(20)));
    OK(rref_get(f, rref_out(&x)));
    CU_ASSERT_EQUAL(x, 5);
    OK(rref_future_release(f));
    wait_counted(1);
    end();
}

/* The caller has cancelled its call, and has let go of all it had. */
static void answers_to_nobody(void)
{
    if (!begin()) return;
    rref_future f = rref_async(there, "never");
    CU_ASSERT(check_until(owes, NULL, 20));
    OK(rref_cancel(f));
    GIVES(rref_test(f), RREF_ERR_CANCELLED);
    OK(rref_future_release(f));
    MPI_Barrier(MPI_COMM_WORLD);
    watch(answers, NULL, 0);
    wait_counted(1);
    end();
}

/* ---- blocking */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int pipe_ends[2];
static MPI_Comm apart;

static void in_mutex(rref_future f, void *arg)
{
    (void)f, (void)arg;
    atomic_fetch_add(&counted, 1);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    atomic_fetch_add(&counted, 1);
}

static void in_receive(rref_future f, void *arg)
{
    (void)f, (void)arg;
    atomic_fetch_add(&counted, 1);
    if (MPI_Recv(NULL, 0, MPI_BYTE, MPI_ANY_SOURCE, TAG, apart, MPI_STATUS_IGNORE)) atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&counted, 1);
}

static void in_pipe(rref_future f, void *arg)
{
    char byte;
    (void)f, (void)arg;
    atomic_fetch_add(&counted, 1);
    if (read(pipe_ends[0], &byte, 1) != 1) atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&counted, 1);
}

static void let_out(void)
{
    pthread_mutex_unlock(&mutex);
    if (ranks > 1) MPI_Send(NULL, 0, MPI_BYTE, (rank + 1) % ranks, TAG, apart);
    CU_ASSERT_EQUAL(write(pipe_ends[1], "x", 1), 1);
}

/* A rank alone would send to itself, which not every MPI does between threads. */
static void blocks(void)
{
    CU_ASSERT_EQUAL(pipe(pipe_ends), 0);
    MPI_Comm_dup(MPI_COMM_WORLD, &apart);
    if (!begin()) return;
    int all = ranks > 1 ? 3 : 2;
    pthread_mutex_lock(&mutex);
    watch(in_mutex, NULL, 0);
    watch(in_pipe, NULL, 0);
    if (ranks > 1) watch(in_receive, NULL, 0);
    wait_counted(all);
    well(ctx, ranks);
    MPI_Barrier(MPI_COMM_WORLD);
    CU_ASSERT_EQUAL(atomic_load(&counted), all);
    MPI_Barrier(MPI_COMM_WORLD);
    let_out();
    wait_counted(2 * all);
    end();
    MPI_Comm_free(&apart);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* ---- waits where there may be none, and recursion */

/* A call of a rank to itself may run at once, and then it waits for nothing. */
static int waits_inline(void)
{
    int64_t x = 0;
    int rc = rref_wait(gate, RREF_FOREVER);
    return rc == RREF_ERR_BLOCKING && ranks > 1 ? rref_sync(there, "add", 1, 2, rref_out(&x)) : rc;
}

static void tries_to_wait(rref_future f, void *arg)
{
    (void)f, (void)arg;
    if (waits_inline() != RREF_ERR_BLOCKING) atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&counted, 1);
}

static void inline_waits(void)
{
    if (!begin()) return;
    for (int i = 0; i < 20; i++) watch(tries_to_wait, NULL, RREF_INLINE);
    wait_counted(20);
    end();
}

static atomic_int too_deep;

/* A continuation that waits for another one of its kind, and so on. One that nobody could wait for runs all the same. */
static int recurse(rref_call *c, rref_future parent, void *arg)
{
    (void)c, (void)parent;
    if (atomic_fetch_add(&counted, 1) >= DEPTH) return RREF_OK;
    rref_future child = then("", recurse, arg);
    if (rref_wait(child, RREF_FOREVER) == RREF_ERR_TOO_DEEP) atomic_fetch_add(&too_deep, 1);
    rref_future_release(child);
    return RREF_OK;
}

static void recurses(void)
{
    setenv("RREF_MAX_BLOCKED", "20", 1);        /* of methods that wait, and so of callbacks */
    if (begin()) {
        atomic_store(&too_deep, 0);
        gives(then("", recurse, NULL), RREF_OK);
        wait_counted(DEPTH + 1);
        CU_ASSERT(atomic_load(&too_deep) > 0);
        end();
    }
    unsetenv("RREF_MAX_BLOCKED");
}

/* ---- masses */

static void posts(rref_future f, void *arg)
{
    (void)f;
    for (int i = *(int *)arg; i > 0; i--)
        if (rref_post(there, "count") != RREF_OK) atomic_fetch_add(&wrong, 1);
}

static void calls_masses(void)
{
    int n = getenv("RREF_TEST_FULL") ? LONG : SHORT;
    if (!begin()) return;
    MPI_Barrier(MPI_COMM_WORLD);
    watch(posts, &n, 0);
    wait_counted(n);
    CU_ASSERT_EQUAL(atomic_load(&counted), n);
    MPI_Barrier(MPI_COMM_WORLD);
    end();
}

static void give_back(void *memory)
{
    free(memory);
    atomic_fetch_add(&freed, 1);
}

static int give_much(rref_call *c, rref_future parent, void *arg)
{
    size_t n = *(size_t *)arg;
    unsigned char *x = calloc(n, 1);
    (void)parent;
    if (!x) return RREF_ERR_NO_MEMORY;
    x[n - 1] = 7;
    return rref_return_owned(c, x, n, give_back);
}

static bool is_freed(void *arg) { return atomic_load((atomic_int *)arg) == 1; }

/* Of all it gave nothing is left. */
static void take_much(size_t n)
{
    size_t got = 0;
    unsigned char *x = malloc(n);
    rref_future f = then("u8[]", give_much, &n);
    OK(rref_wait(f, RREF_FOREVER));
    CU_ASSERT_PTR_NOT_NULL(x);
    if (x) OK(rref_get(f, rref_out_array(x, n, &got)));
    CU_ASSERT(x && got == n && x[n - 1] == 7);
    free(x);
    OK(rref_future_release(f));
    CU_ASSERT(check_until(is_freed, &freed, 20));
}

static void gives_much(void)
{
    if (!begin()) return;
    atomic_store(&freed, 0);
    if (rank == 0) take_much(getenv("RREF_TEST_FULL") ? GIBI : MEBI);
    MPI_Barrier(MPI_COMM_WORLD);
    end();
}

/* ---- whose it is */

static void ask(rref_future f, void *answer)
{
    (void)f;
    *(rref_future *)answer = rref_async(there, "left");
}

/* It is no part of the method that completes its future, and has its time for itself. */
static void is_no_part_of_a_method(void)
{
    double seconds = 0;
    rref_future answer = { 0 };
    if (!begin()) return;
    mark = rref_promise(ctx, "");
    OK(rref_on_complete(mark, ask, &answer, RREF_INLINE));
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_invoke(rref_rpc_sync(there, check_patience(100)), "set_mark"));
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_wait(answer, RREF_FOREVER));
    OK(rref_get(answer, rref_out(&seconds)));
    CU_ASSERT_TRUE(seconds >= RREF_FOREVER);
    OK(rref_future_release(answer));
    OK(rref_future_release(mark));
    end();
}

static const check_case cases[] = {
    { "fails", fails }, { "answers_twice", answers_twice }, { "answers_to_nobody", answers_to_nobody }, { "blocks", blocks },
    { "inline_waits", inline_waits }, { "recurses", recurses }, { "calls_masses", calls_masses },
    { "gives_much", gives_much }, { "is_no_part_of_a_method", is_no_part_of_a_method }, CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "callbacks", cases); }
