/* SPDX-License-Identifier: BSD-3-Clause */
/* Futures: waits, promises, what is made of futures, callbacks, giving up, and the deadlines of calls. */
#include <math.h>
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

enum { FAILURE = RREF_ERR_USER - 5, LARGE = 1 << 18 };
#define OK CHECK_OK
#define GIVES CHECK_GIVES

static rref_context *ctx;
static rref there;                      /* the next rank's root */

static atomic_int gate, failures, steps, wrong_steps, callback_result, new_bytes, kept;

/* ---- functions and a class */

static int add(rref_call *c, void *self)
{
    (void)self;
    return rref_return_i64(c, rref_arg_i64(c, 0) + rref_arg_i64(c, 1));
}

static int fail(rref_call *c, void *self)
{
    (void)self;
    return rref_fail(c, FAILURE, "Expected error");
}

static bool is_open(void *arg) { return atomic_load((atomic_int *)arg) > 0; }

static int hold(rref_call *c, void *self)
{
    (void)self;
    if (!check_until(is_open, &gate, 20)) return RREF_ERR_STALLED;
    return rref_return_i64(c, 42);
}

static int open_gate(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_store(&gate, 1);
    return RREF_OK;
}

static const rref_method functions[] = {
    RREF_METHOD("add", "i64, i64 -> i64", add, 0),
    RREF_METHOD("fail", "-> i64", fail, 0),
    RREF_METHOD("hold", "-> i64", hold, RREF_WORKER),
    RREF_METHOD("open", "", open_gate, RREF_INLINE),
    RREF_METHODS_END
};

static int create(rref_call *c, void **self)
{
    (void)c;
    *self = NULL;
    return RREF_OK;
}

/* Arrays sent to it are 1 all over; the caller overwrites them with -1 once they are his again. */
static int keep(rref_call *c, void *self)
{
    size_t n;
    const double *p = rref_arg_f64s(c, 0, &n);
    (void)self;
    for (size_t i = 0; i < n; i++)
        if (p[i] < 0) atomic_fetch_add(&new_bytes, 1);
    atomic_fetch_add(&kept, 1);
    return RREF_OK;
}

static const rref_method keeper_methods[] = {
    RREF_METHOD("hold", "-> i64", hold, RREF_WORKER),
    RREF_METHOD("keep", "f64[]", keep, 0),
    RREF_METHODS_END
};
static const rref_class keeper_class = RREF_CLASS("keeper", "", create, NULL, keeper_methods);
static const rref_class *const classes[] = { &keeper_class, NULL };

static void note_failure(const rref_error *e, void *arg)
{
    (void)arg;
    if (e->code == FAILURE) atomic_fetch_add(&failures, 1);
}

static bool begin(void)
{
    rref_options options = { .classes = classes, .functions = functions, .on_error = note_failure };
    atomic_int *const counters[] = { &gate, &failures, &steps, &wrong_steps, &callback_result, &new_bytes, &kept };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) atomic_store(counters[i], 0);
    if (rref_init(MPI_COMM_WORLD, &options, &ctx) != RREF_OK) {
        CU_FAIL("rref_init");
        return false;
    }
    there = rref_root(ctx, (rref_rank(ctx) + 1) % rref_size(ctx));
    return true;
}

static void end(void) { OK(rref_finalize(&ctx)); }

static void open_next(void) { OK(rref_sync(there, "open")); }

/* ---- waits */

static void wait_times_out(void)
{
    int64_t x = 7;
    rref_error e;
    if (!begin()) return;
    rref_future f = rref_async(there, "hold");
    GIVES(rref_wait(f, 0), RREF_ERR_PENDING);
    double start = check_clock();
    GIVES(rref_wait(f, 0.02), RREF_ERR_PENDING);
    CU_ASSERT_TRUE(check_clock() - start >= 0.02);
    GIVES(rref_test(f), RREF_ERR_PENDING);
    GIVES(rref_get(f, rref_out(&x)), RREF_ERR_PENDING);
    GIVES(rref_future_error(f, &e), RREF_ERR_PENDING);
    GIVES(rref_wait_all(&f, 1, 0.001), RREF_ERR_PENDING);
    OK(rref_set_timeout(ctx, 0.01));
    GIVES(rref_wait(f, RREF_DEFAULT_TIMEOUT), RREF_ERR_PENDING);
    GIVES(rref_wait_all(&f, 1, RREF_DEFAULT_TIMEOUT), RREF_ERR_PENDING);
    OK(rref_set_timeout(ctx, RREF_FOREVER));
    CU_ASSERT_FALSE(rref_done(f));
    CU_ASSERT_EQUAL(x, 7);
    GIVES(rref_wait(f, -2), RREF_ERR_ARGUMENT);
    GIVES(rref_wait(f, (double)NAN), RREF_ERR_ARGUMENT);
    open_next();
    for (int i = 0; i < 2; i++) OK(rref_wait(f, RREF_FOREVER));
    CU_ASSERT_TRUE(rref_done(f));
    OK(rref_test(f));
    for (int i = 0; i < 2; i++) {
        x = 0;
        OK(rref_get(f, rref_out(&x)));
        CU_ASSERT_EQUAL(x, 42);
    }
    GIVES(rref_future_error(f, &e), RREF_ERR_STATE);
    double wrong;
    GIVES(rref_get(f, rref_out(&wrong)), RREF_ERR_SIGNATURE);
    OK(rref_future_release(f));
    end();
}

static bool is_gone(void *arg) { return rref_test(*(rref_future *)arg) == RREF_ERR_HANDLE; }

static void handles(void)
{
    rref_error e;
    rref_future zero = { 0 };
    if (!begin()) return;
    rref_future f = rref_async(there, "add", 1, 2);
    OK(rref_future_retain(f));
    OK(rref_future_release(f));
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    GIVES(rref_future_release(f), RREF_ERR_HANDLE);
    CU_ASSERT_TRUE(check_until(is_gone, &f, 5));        /* the library may still be about to let go of it */
    rref_future g = rref_async(there, "add", 3, 4);
    const rref_future bad[] = { f, zero, { UINT64_MAX } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        GIVES(rref_wait(bad[i], RREF_FOREVER), RREF_ERR_HANDLE);
        GIVES(rref_test(bad[i]), RREF_ERR_HANDLE);
        GIVES(rref_get(bad[i]), RREF_ERR_HANDLE);
        GIVES(rref_future_error(bad[i], &e), RREF_ERR_HANDLE);
        GIVES(rref_future_retain(bad[i]), RREF_ERR_HANDLE);
        GIVES(rref_future_release(bad[i]), RREF_ERR_HANDLE);
        GIVES(rref_cancel(bad[i]), RREF_ERR_HANDLE);
        GIVES(rref_wait_sent(bad[i], 0), RREF_ERR_HANDLE);
        CU_ASSERT_FALSE(rref_done(bad[i]));
        CU_ASSERT_EQUAL(rref_then(bad[i], "", NULL, NULL).bits, 0);
    }
    OK(rref_wait(g, RREF_FOREVER));
    OK(rref_future_release(g));
    end();
}

/* ---- calls from one place, whose futures a thread uses again */

enum { AGAIN = 200, USERS = 3 };

typedef struct user {
    pthread_t thread;
    unsigned wrong;
    rref_future last;                   /* for another thread to release */
} user;

static void count_step(rref_future f, void *arg)
{
    (void)arg;
    if (rref_test(f) == RREF_OK || rref_test(f) == RREF_ERR_CANCELLED) atomic_fetch_add(&steps, 1);
}

/* Some with an output, some without, some watched, some given up, some let go of before they are complete. */
static void *use_again(void *arg)
{
    user *u = arg;
    rref_future before = { 0 };
    for (int i = 0; i < AGAIN; i++) {
        int64_t sum = 0;
        rref_future f = rref_async(there, "add", i, 1), g = rref_async(there, "add", i, 2, rref_out(&sum));
        u->wrong += f.bits == before.bits || g.bits == f.bits || (before.bits && rref_test(before) != RREF_ERR_HANDLE);
        if (i % 3 == 0) u->wrong += rref_on_complete(f, count_step, NULL, RREF_INLINE) != RREF_OK;
        if (i % 5 == 0 && rref_cancel(f) == RREF_OK) u->wrong += rref_test(f) != RREF_ERR_CANCELLED;
        u->wrong += rref_wait(g, RREF_FOREVER) != RREF_OK || sum != i + 2;
        if (i % 5) u->wrong += rref_wait(f, RREF_FOREVER) || rref_get(f, rref_out(&sum)) || sum != i + 1;
        u->wrong += rref_future_release(g) != RREF_OK;
        before = g;
        if (i < AGAIN - 1) u->wrong += rref_future_release(f) != RREF_OK;
        else u->last = f;
    }
    return NULL;
}

static uint64_t futures_there_are(void)
{
    rref_statistics s;
    OK(rref_stats(ctx, &s));
    return s.futures;
}

static bool are_gone(void *arg) { return futures_there_are() == *(uint64_t *)arg; }

static void places_that_call_again(void)
{
    user u[USERS] = { 0 };
    if (!begin()) return;
    uint64_t before = futures_there_are();
    atomic_store(&steps, 0);
    for (int i = 1; i < USERS; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&u[i].thread, NULL, use_again, &u[i]), 0);
    use_again(&u[0]);
    for (int i = 1; i < USERS; i++) pthread_join(u[i].thread, NULL);
    for (int i = 0; i < USERS; i++) {
        CU_ASSERT_EQUAL(u[i].wrong, 0);
        OK(rref_future_release(u[i].last));
        GIVES(rref_future_release(u[i].last), RREF_ERR_HANDLE);
    }
    CU_ASSERT_EQUAL(atomic_load(&steps), USERS * ((AGAIN + 2) / 3));
    CU_ASSERT(check_until(are_gone, &before, 20));
    end();
}

static void wait_for_several(void)
{
    enum { CALLS = 30 };
    rref_future f[CALLS];
    rref_error e;
    if (!begin()) return;
    OK(rref_wait_all(NULL, 0, RREF_FOREVER));
    for (int i = 0; i < CALLS; i++) f[i] = rref_async(there, "add", i, 1);
    OK(rref_wait_all(f, CALLS, RREF_FOREVER));
    for (int i = 0; i < CALLS; i++) OK(rref_future_release(f[i]));
    for (int i = 0; i < CALLS; i++) f[i] = i % 10 == 3 ? rref_async(there, "fail") : rref_async(there, "add", i, 1);
    rref_future_release(f[CALLS - 1]);
    f[CALLS - 1] = rref_async(there, "none");
    GIVES(rref_wait_all(f, CALLS, RREF_FOREVER), FAILURE);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_EQUAL(e.code, FAILURE);
    CU_ASSERT_STRING_EQUAL(e.text, "Expected error");
    for (int i = 0; i < CALLS; i++) {
        CU_ASSERT_TRUE(rref_done(f[i]));
        GIVES(rref_test(f[i]), i == CALLS - 1 ? RREF_ERR_NO_METHOD : i % 10 == 3 ? FAILURE : RREF_OK);
        OK(rref_future_release(f[i]));
    }
    end();
}

static void releases_of_pending_ones(void)
{
    if (!begin()) return;
    for (int i = 0; i < 50; i++) {
        rref_future f = rref_async(there, "add", i, 1);
        OK(rref_future_release(f));
        GIVES(rref_future_release(f), RREF_ERR_HANDLE);
        GIVES(rref_test(f), RREF_ERR_HANDLE);
        GIVES(rref_wait(f, 0), RREF_ERR_HANDLE);
        CU_ASSERT_FALSE(rref_done(f));
    }
    OK(rref_sync(there, "add", 1, 2));
    end();
    CU_ASSERT_EQUAL(atomic_load(&failures), 0);
}

static bool has_failed(void *arg) { return atomic_load((atomic_int *)arg) > 0; }

static void error_that_nobody_reads(void)
{
    if (!begin()) return;
    OK(rref_future_release(rref_async(there, "fail")));
    CU_ASSERT_TRUE(check_until(has_failed, &failures, 5));
    GIVES(rref_finalize(&ctx), RREF_ERR_ONEWAY);
    CU_ASSERT_EQUAL(atomic_load(&failures), 1);
}

/* Who gives a call up knows that it failed: no handler is told, and the end is good. */
static void cancel(void)
{
    int64_t x = 0;
    if (!begin()) return;
    rref_future f = rref_async(there, "hold");
    OK(rref_cancel(f));
    OK(rref_future_release(f));
    f = rref_async(there, "hold");
    OK(rref_cancel(f));
    GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_CANCELLED);
    GIVES(rref_cancel(f), RREF_ERR_COMPLETED);
    GIVES(rref_get(f, rref_out(&x)), RREF_ERR_CANCELLED);
    open_next();
    OK(rref_sync(there, "add", 1, 2, rref_out(&x)));
    CU_ASSERT_EQUAL(x, 3);
    GIVES(rref_test(f), RREF_ERR_CANCELLED);
    OK(rref_future_release(f));
    end();
}

/* ---- promises */

static void promises(void)
{
    int64_t n = 0;
    char text[16] = "";
    double numbers[4] = { 1, 2, 3, 4 };
    size_t count = 0;
    rref_error e;
    if (!begin()) return;
    rref_future p = rref_promise(ctx, "i64, str, f64[]");
    GIVES(rref_test(p), RREF_ERR_PENDING);
    GIVES(rref_set(p, 1), RREF_ERR_SIGNATURE);
    GIVES(rref_set(p, "text", "text", rref_array(numbers, 3)), RREF_ERR_SIGNATURE);
    GIVES(rref_set(p, UINT64_MAX, "text", rref_array(numbers, 3)), RREF_ERR_RANGE);
    GIVES(rref_set_error(p, 1, "not negative"), RREF_ERR_ARGUMENT);
    GIVES(rref_test(p), RREF_ERR_PENDING);
    OK(rref_set(p, 5, "text", rref_array(numbers, 3)));
    GIVES(rref_set(p, 6, "other", rref_array(numbers, 4)), RREF_ERR_COMPLETED);
    GIVES(rref_set_error(p, FAILURE, "late"), RREF_ERR_COMPLETED);
    memset(numbers, 0, sizeof numbers);
    OK(rref_wait(p, RREF_FOREVER));
    OK(rref_get(p, rref_out(&n), rref_out_str(text, sizeof text), rref_out_array(numbers, 4, &count)));
    CU_ASSERT_EQUAL(n, 5);
    CU_ASSERT_STRING_EQUAL(text, "text");
    CU_ASSERT_EQUAL(count, 3);
    CU_ASSERT_EQUAL(numbers[2], 3);
    OK(rref_future_release(p));

    p = rref_promise(ctx, "");
    OK(rref_set_error(p, FAILURE, "number %d", 5));
    GIVES(rref_set(p), RREF_ERR_COMPLETED);
    GIVES(rref_wait(p, RREF_FOREVER), FAILURE);
    OK(rref_future_error(p, &e));
    CU_ASSERT_EQUAL(e.code, FAILURE);
    CU_ASSERT_STRING_EQUAL(e.text, "number 5");
    OK(rref_future_release(p));

    p = rref_async(there, "add", 1, 2);
    GIVES(rref_set(p, 9), RREF_ERR_NOT_PROMISE);
    GIVES(rref_set_error(p, FAILURE, "no"), RREF_ERR_NOT_PROMISE);
    OK(rref_wait(p, RREF_FOREVER));
    OK(rref_future_release(p));
    CU_ASSERT_EQUAL(rref_promise(ctx, "i65").bits, 0);
    CU_ASSERT_EQUAL(rref_promise(NULL, "i64").bits, 0);
    end();
}

static void links(void)
{
    int64_t n = 0;
    if (!begin()) return;
    rref_future from = rref_async(there, "add", 20, 3), to = rref_promise(ctx, "i64"), other = rref_promise(ctx, "f64");
    GIVES(rref_link(from, other), RREF_ERR_SIGNATURE);
    OK(rref_link(from, to));
    OK(rref_wait(to, RREF_FOREVER));
    OK(rref_get(to, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 23);
    GIVES(rref_link(from, to), RREF_ERR_COMPLETED);
    GIVES(rref_link(to, from), RREF_ERR_NOT_PROMISE);
    rref_future failed = rref_async(there, "fail"), last = rref_promise(ctx, "i64");
    OK(rref_link(failed, last));
    GIVES(rref_wait(last, RREF_FOREVER), FAILURE);
    const rref_future all[] = { from, to, other, failed, last };
    for (size_t i = 0; i < 5; i++) OK(rref_future_release(all[i]));
    end();
}

static void all_of(void)
{
    rref_future p[3];
    if (!begin()) return;
    rref_future none = rref_all(ctx, NULL, 0);
    CU_ASSERT_TRUE(rref_done(none));
    OK(rref_wait(none, 0));
    OK(rref_future_release(none));
    for (int i = 0; i < 3; i++) p[i] = rref_promise(ctx, "i64");
    rref_future all = rref_all(ctx, p, 3), early = rref_all(ctx, p, 3);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_FALSE(rref_done(all));
        OK(rref_set(p[2 - i], i));
    }
    OK(rref_wait(all, RREF_FOREVER));
    OK(rref_wait(early, RREF_FOREVER));
    for (int i = 0; i < 3; i++) OK(rref_future_release(p[i]));
    OK(rref_future_release(all));
    OK(rref_future_release(early));

    for (int i = 0; i < 3; i++) p[i] = rref_promise(ctx, "i64");
    all = rref_all(ctx, p, 3);
    OK(rref_set_error(p[1], FAILURE, "Expected error"));
    GIVES(rref_wait(all, RREF_FOREVER), FAILURE);
    GIVES(rref_test(p[0]), RREF_ERR_PENDING);
    OK(rref_set(p[0], 1));
    OK(rref_set(p[2], 1));
    for (int i = 0; i < 3; i++) OK(rref_future_release(p[i]));
    OK(rref_future_release(all));
    end();
}

static void any_of(void)
{
    rref_future p[3];
    uint64_t first = 77;
    if (!begin()) return;
    rref_future none = rref_any(ctx, NULL, 0);
    CU_ASSERT_TRUE(rref_done(none));
    CU_ASSERT_TRUE(rref_wait(none, 0) < 0);
    OK(rref_future_release(none));
    for (int i = 0; i < 3; i++) p[i] = rref_promise(ctx, "");
    rref_future any = rref_any(ctx, p, 3);
    GIVES(rref_wait(any, 0), RREF_ERR_PENDING);
    OK(rref_set(p[2]));
    OK(rref_set(p[1]));
    OK(rref_wait(any, RREF_FOREVER));
    OK(rref_get(any, rref_out(&first)));
    CU_ASSERT_EQUAL(first, 2);
    OK(rref_future_release(any));
    OK(rref_set_error(p[0], FAILURE, "Expected error"));
    any = rref_any(ctx, p, 1);
    GIVES(rref_wait(any, RREF_FOREVER), FAILURE);
    OK(rref_future_release(any));
    for (int i = 0; i < 3; i++) OK(rref_future_release(p[i]));
    end();
}

/* ---- continuations and callbacks */

static int plus_one(rref_call *c, rref_future parent, void *arg)
{
    int64_t n;
    int rc = rref_get(parent, rref_out(&n));
    (void)arg;
    return rc ? rc : rref_return_i64(c, n + 1);
}

static int seen(rref_call *c, rref_future parent, void *arg)
{
    (void)arg;
    return rref_return_i64(c, rref_test(parent));
}

static int own_error(rref_call *c, rref_future parent, void *arg)
{
    (void)parent, (void)arg;
    return rref_fail(c, FAILURE - 1, "of the continuation");
}

static void then(void)
{
    enum { LENGTH = 20 };
    rref_future f[LENGTH + 1];
    int64_t n = 0;
    rref_error e;
    if (!begin()) return;
    f[0] = rref_async(there, "add", 1, 2);
    for (int i = 0; i < LENGTH; i++) f[i + 1] = rref_then(f[i], "i64", plus_one, NULL);
    OK(rref_wait(f[LENGTH], RREF_FOREVER));
    OK(rref_get(f[LENGTH], rref_out(&n)));
    CU_ASSERT_EQUAL(n, 3 + LENGTH);
    GIVES(rref_set(f[1], 5), RREF_ERR_NOT_PROMISE);
    rref_future late = rref_then(f[0], "i64", plus_one, NULL);
    OK(rref_wait(late, RREF_FOREVER));
    OK(rref_get(late, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 4);
    OK(rref_future_release(late));
    for (int i = 0; i <= LENGTH; i++) OK(rref_future_release(f[i]));

    f[0] = rref_async(there, "fail");
    f[1] = rref_then(f[0], "i64", seen, NULL);
    f[2] = rref_then(f[0], "i64", plus_one, NULL);
    f[3] = rref_then(f[1], "", own_error, NULL);
    f[4] = rref_then(f[1], "i66", seen, NULL);
    OK(rref_wait(f[1], RREF_FOREVER));
    OK(rref_get(f[1], rref_out(&n)));
    CU_ASSERT_EQUAL(n, FAILURE);
    GIVES(rref_wait(f[2], RREF_FOREVER), FAILURE);
    OK(rref_future_error(f[2], &e));
    CU_ASSERT_STRING_EQUAL(e.text, "Expected error");
    CU_ASSERT_STRING_EQUAL(e.where, "rank.fail");
    GIVES(rref_wait(f[3], RREF_FOREVER), FAILURE - 1);
    OK(rref_future_error(f[3], &e));
    CU_ASSERT_STRING_EQUAL(e.text, "of the continuation");
    GIVES(rref_wait(f[4], RREF_FOREVER), RREF_ERR_SIGNATURE);
    f[5] = rref_then(f[1], "", NULL, NULL);
    GIVES(rref_wait(f[5], RREF_FOREVER), RREF_ERR_ARGUMENT);
    for (int i = 0; i < 6; i++) OK(rref_future_release(f[i]));
    end();
}

static rref_future add_again(rref_future parent, void *arg)
{
    int64_t n = 0;
    (void)arg;
    if (rref_get(parent, rref_out(&n))) return rref_async(there, "add", -1, -1);
    return rref_async(there, "add", n, 1000);
}

static rref_future fail_next(rref_future parent, void *arg)
{
    (void)parent, (void)arg;
    return rref_async(there, "fail");
}

static void chains(void)
{
    rref_future f[6];
    int64_t n = 0;
    if (!begin()) return;
    f[0] = rref_async(there, "add", 1, 2);
    f[1] = rref_chain(f[0], add_again, NULL);
    f[2] = rref_chain(f[1], add_again, NULL);
    OK(rref_wait(f[2], RREF_FOREVER));
    OK(rref_get(f[2], rref_out(&n)));
    CU_ASSERT_EQUAL(n, 2003);
    f[3] = rref_chain(f[0], fail_next, NULL);
    GIVES(rref_wait(f[3], RREF_FOREVER), FAILURE);
    f[4] = rref_async(there, "fail");
    f[5] = rref_chain(f[4], add_again, NULL);
    OK(rref_wait(f[5], RREF_FOREVER));
    OK(rref_get(f[5], rref_out(&n)));
    CU_ASSERT_EQUAL(n, -2);
    for (int i = 0; i < 6; i++) OK(rref_future_release(f[i]));
    rref_future p = rref_promise(ctx, "");
    for (int i = 0; i < 2; i++) {
        rref_future without = i ? rref_then(p, "", NULL, NULL) : rref_chain(p, NULL, NULL);
        CU_ASSERT_NOT_EQUAL(without.bits, 0);
        GIVES(rref_wait(without, 5), RREF_ERR_ARGUMENT);
        OK(rref_future_release(without));
    }
    OK(rref_future_release(p));
    end();
}

static rref_future to_here(rref_future parent, void *arg)
{
    (void)parent;
    return rref_to_here_async(*(rref *)arg);
}

static rref_future go_on(rref_future parent, void *arg)
{
    return arg ? rref_chain(parent, add_again, NULL) : rref_then(parent, "i64", plus_one, NULL);
}

/* What the function returns has types of its own, or gets them when it is complete, and is gone before the child is read. */
static void chains_of_chains(void)
{
    int64_t n = 0;
    if (!begin()) return;
    rref_future start = rref_async(there, "add", 1, 2), all[4];
    rref result = rref_remote(there, "add", 40, 2);
    all[0] = rref_chain(start, go_on, NULL);
    all[1] = rref_chain(start, go_on, &n);
    all[2] = rref_chain(all[1], go_on, NULL);
    all[3] = rref_chain(start, to_here, &result);
    const int64_t expected[] = { 4, 1003, 1004, 42 };
    for (int i = 0; i < 4; i++) {
        OK(rref_wait(all[i], 10));
        OK(rref_get(all[i], rref_out(&n)));
        CU_ASSERT_EQUAL(n, expected[i]);
    }
    rref_future promise = rref_promise(ctx, "i64"), wrong = rref_promise(ctx, "f64[]");
    rref_future late = rref_chain(start, go_on, &n);
    OK(rref_link(late, promise));
    OK(rref_link(late, wrong));
    OK(rref_wait(promise, 10));
    OK(rref_get(promise, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 1003);
    GIVES(rref_wait(wrong, 10), RREF_ERR_SIGNATURE);
    for (int i = 0; i < 4; i++) OK(rref_future_release(all[i]));
    OK(rref_future_release(start));
    OK(rref_future_release(promise));
    OK(rref_future_release(wrong));
    OK(rref_future_release(late));
    OK(rref_release(result));
    end();
}

static void step(rref_future f, void *arg)
{
    (void)f;
    if (atomic_fetch_add(&steps, 1) != (int)(intptr_t)arg) atomic_fetch_add(&wrong_steps, 1);
}

static bool has_stepped(void *arg) { return atomic_load(&steps) >= *(int *)arg; }

/* Whoever watches a promise hears that it was given up. */
static void broken_promises(void)
{
    if (!begin()) return;
    rref_future promise = rref_promise(ctx, ""), all = rref_all(ctx, &promise, 1);
    OK(rref_future_release(promise));
    GIVES(rref_wait(all, 10), RREF_ERR_CANCELLED);
    OK(rref_future_release(all));
    end();
}

static void callbacks_in_order(void)
{
    int all = 10, more = 12;
    if (!begin()) return;
    rref_future f = rref_async(there, "hold");
    for (intptr_t i = 0; i < all; i++) OK(rref_on_complete(f, step, (void *)i, 0));
    CU_ASSERT_EQUAL(atomic_load(&steps), 0);
    open_next();
    CU_ASSERT_TRUE(check_until(has_stepped, &all, 5));
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_on_complete(f, step, (void *)(intptr_t)10, 0));
    OK(rref_on_complete(f, step, (void *)(intptr_t)11, 0));
    CU_ASSERT_TRUE(check_until(has_stepped, &more, 5));
    CU_ASSERT_EQUAL(atomic_load(&steps), 12);
    CU_ASSERT_EQUAL(atomic_load(&wrong_steps), 0);
    OK(rref_future_release(f));
    /* inline, on a complete future: at once, here */
    rref_future p = rref_promise(ctx, "");
    OK(rref_set(p));
    OK(rref_on_complete(p, step, (void *)(intptr_t)12, RREF_INLINE));
    CU_ASSERT_EQUAL(atomic_load(&steps), 13);
    GIVES(rref_on_complete(p, NULL, NULL, 0), RREF_ERR_ARGUMENT);
    OK(rref_future_release(p));
    end();
    CU_ASSERT_EQUAL(atomic_load(&wrong_steps), 0);
}

/* What it gives back is not its own once the holder has released the future. */
static void give_back_what_is_lent(rref_future f, void *arg)
{
    int64_t n = 0;
    int outcome = RREF_OK;
    (void)arg;
    for (int i = 0; i < 3 && !outcome; i++)
        if (rref_future_release(f) != RREF_ERR_HANDLE) outcome = -1;
    if (!outcome) outcome = rref_get(f, rref_out(&n));
    if (!outcome) outcome = rref_future_retain(f);
    if (!outcome) outcome = rref_future_release(f);
    if (!outcome && rref_future_release(f) != RREF_ERR_HANDLE) outcome = -2;
    atomic_store(&callback_result, outcome ? outcome : (int)n);
    atomic_fetch_add(&steps, 1);
}

static int give_back_parent(rref_call *c, rref_future parent, void *arg)
{
    give_back_what_is_lent(parent, arg);
    return rref_return_i64(c, 1);
}

static void lent_futures(void)
{
    rref_statistics s;
    if (!begin()) return;
    for (int way = 0; way < 3; way++) {
        int wanted = way + 1;
        rref_future p = rref_promise(ctx, "i64"), child = { 0 };
        if (way == 2) child = rref_then(p, "i64", give_back_parent, NULL);
        else OK(rref_on_complete(p, give_back_what_is_lent, NULL, way ? RREF_INLINE : 0));
        rref_future other = rref_promise(ctx, "i64");
        OK(rref_link(other, p));
        OK(rref_future_release(p));
        OK(rref_set(other, 42));
        CU_ASSERT_TRUE(check_until(has_stepped, &wanted, 10));
        CU_ASSERT_EQUAL(atomic_load(&callback_result), 42);
        if (child.bits) OK(rref_wait(child, 10));
        if (child.bits) OK(rref_future_release(child));
        OK(rref_future_release(other));
        GIVES(rref_future_release(p), RREF_ERR_HANDLE);
    }
    OK(rref_fence(ctx, RREF_FOREVER));
    OK(rref_stats(ctx, &s));
    CU_ASSERT_EQUAL(s.futures, 0);
    end();
}

static void call_and_wait(rref_future f, void *arg)
{
    int64_t n = 0, m = 0;
    (void)arg;
    rref_get(f, rref_out(&n));
    rref_future g = rref_async(there, "add", n, 1);
    rref_wait(g, RREF_FOREVER);
    rref_get(g, rref_out(&m));
    rref_future_release(g);
    rref_sync(there, "add", m, 10, rref_out(&m));
    atomic_store(&callback_result, (int)m);
}

static void block_inline(rref_future f, void *arg)
{
    (void)f;
    int rc = rref_sync(*(rref *)arg, "add", 1, 2);
    atomic_store(&callback_result, rc ? rc : 1);
}

static bool has_result(void *arg)
{
    (void)arg;
    return atomic_load(&callback_result) != 0;
}

static void callbacks_that_call(void)
{
    if (!begin()) return;
    rref_future f = rref_async(there, "add", 1, 2);
    OK(rref_on_complete(f, call_and_wait, NULL, 0));
    CU_ASSERT_TRUE(check_until(has_result, NULL, 5));
    CU_ASSERT_EQUAL(atomic_load(&callback_result), 14);
    OK(rref_future_release(f));
    atomic_store(&callback_result, 0);
    f = rref_async(there, "hold");
    OK(rref_on_complete(f, block_inline, &there, RREF_INLINE));
    open_next();
    CU_ASSERT_TRUE(check_until(has_result, NULL, 5));
    int gave = atomic_load(&callback_result);
    CU_ASSERT_TRUE(gave == RREF_ERR_BLOCKING || (gave == 1 && rref_size(ctx) == 1));    /* its own rank's it can run itself */
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    end();
}

/* ---- deadlines of calls */

static void timeouts_of_calls(void)
{
    int64_t n = 0;
    rref_error e;
    if (!begin()) return;
    rref_future before = rref_async(there, "hold");
    OK(rref_set_timeout(ctx, 0.05));
    double start = check_clock();
    rref_future f = rref_async(there, "hold");
    GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_TIMEOUT);
    double taken = check_clock() - start;
    CU_ASSERT_TRUE(taken >= 0.05 && taken < check_patience(5));
    OK(rref_future_error(f, &e));
    CU_ASSERT_EQUAL(e.code, RREF_ERR_TIMEOUT);
    GIVES(rref_test(before), RREF_ERR_PENDING);         /* keeps the timeout it was made with */
    OK(rref_set_timeout(ctx, 0));
    GIVES(rref_sync(there, "hold"), RREF_ERR_TIMEOUT);
    GIVES(rref_set_timeout(ctx, -1), RREF_ERR_ARGUMENT);
    GIVES(rref_set_timeout(ctx, (double)NAN), RREF_ERR_ARGUMENT);
    GIVES(rref_set_timeout(NULL, 1), RREF_ERR_ARGUMENT);
    OK(rref_set_timeout(ctx, RREF_FOREVER));
    rref_future never = rref_async(there, "hold");
    GIVES(rref_wait(never, 0.06), RREF_ERR_PENDING);
    open_next();
    OK(rref_wait(before, RREF_FOREVER));
    OK(rref_wait(never, RREF_FOREVER));
    OK(rref_sync(there, "add", 1, 2, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 3);
    OK(rref_future_release(before));
    OK(rref_future_release(f));
    OK(rref_future_release(never));
    end();
}

static void fill(double *p, double x)
{
    for (size_t i = 0; i < LARGE; i++) p[i] = x;
}

static void large_arrays_of_late_calls(void)
{
    double *p = malloc(LARGE * sizeof *p);
    if (!p || !begin()) return;
    rref keeper = rref_create(ctx, (rref_rank(ctx) + 1) % rref_size(ctx), "keeper");
    rref_future held = rref_async(keeper, "hold");
    fill(p, 1);
    OK(rref_set_timeout(ctx, 0.03));
    GIVES(rref_sync(keeper, "keep", rref_array(p, LARGE)), RREF_ERR_TIMEOUT);
    fill(p, -1);
    OK(rref_set_timeout(ctx, RREF_FOREVER));
    open_next();
    OK(rref_wait(held, RREF_FOREVER));
    OK(rref_future_release(held));

    /* borrowed, with and without time */
    for (int i = 0; i < 6; i++) {
        fill(p, 1);
        OK(rref_set_timeout(ctx, 0.0002 * i));
        rref_future f = rref_async(keeper, "keep", rref_borrow(p, LARGE));
        OK(rref_wait_sent(f, RREF_FOREVER));
        fill(p, -1);
        int rc = rref_wait(f, RREF_FOREVER);
        CU_ASSERT_TRUE(rc == RREF_OK || rc == RREF_ERR_TIMEOUT);
        OK(rref_future_release(f));
        fill(p, 1);
        rc = rref_sync(keeper, "keep", rref_array(p, LARGE));
        CU_ASSERT_TRUE(rc == RREF_OK || rc == RREF_ERR_TIMEOUT);
        fill(p, -1);
    }
    OK(rref_set_timeout(ctx, RREF_FOREVER));
    fill(p, 1);
    OK(rref_sync(keeper, "keep", rref_array(p, LARGE)));
    OK(rref_release(keeper));
    end();
    CU_ASSERT_EQUAL(atomic_load(&new_bytes), 0);
    CU_ASSERT_TRUE(atomic_load(&kept) >= 1);
    free(p);
}

/* ---- long ones: each step completes the next, on one stack */

enum { STEPS = 3000 };

static rref_future next_step(rref_future before, void *arg)
{
    int64_t n = 0;
    (void)arg;
    rref_get(before, rref_out(&n));
    rref_future f = rref_async(there, "add", n, 1);
    if (n >= STEPS) return f;
    rref_future rest = rref_chain(f, next_step, NULL);
    rref_future_release(f);
    return rest;
}

static void loops_of_chains(void)
{
    int64_t n = 0;
    if (!begin()) return;
    rref_future f = rref_async(there, "add", 0, 1), last = rref_chain(f, next_step, NULL);
    OK(rref_wait(last, RREF_FOREVER));
    OK(rref_get(last, rref_out(&n)));
    CU_ASSERT_EQUAL(n, STEPS + 1);
    OK(rref_future_release(f));
    OK(rref_future_release(last));
    end();
}

static void set_first(rref_future f, void *promise)
{
    (void)f;
    rref_set(*(rref_future *)promise);
}

/* From a thread of the library, too, whose stack is small. */
static void towers(void)
{
    if (!begin()) return;
    for (int small = 0; small < 2; small++) {
        rref_future first = rref_promise(ctx, ""), top = first, called = { 0 };
        OK(rref_future_retain(first));
        for (int i = 0; i < 2 * STEPS; i++) {
            rref_future next = i % 2 ? rref_all(ctx, &top, 1) : rref_promise(ctx, "");
            if (i % 2 == 0) OK(rref_link(top, next));
            OK(rref_future_release(top));
            top = next;
        }
        if (small) {
            called = rref_async(there, "add", 1, 1);
            OK(rref_on_complete(called, set_first, &first, 0));
            OK(rref_future_release(called));
        } else {
            OK(rref_set(first));
        }
        OK(rref_wait(top, RREF_FOREVER));
        OK(rref_future_release(top));
        OK(rref_fence(ctx, RREF_FOREVER));
        OK(rref_future_release(first));
    }
    end();
}

/* ---- a handler that may not wait lets go of a call whose arrays are on their way */

static double lent[LARGE];
static _Atomic uint64_t let_go;
static atomic_int let_go_gave;

static int lets_go(rref_call *c, void *self)
{
    (void)self;
    rref_future f = rref_async(rref_arg_ref(c, 0), "keep", rref_borrow(lent, LARGE));
    int rc = rref_future_release(f);
    if (rc) atomic_store(&let_go, f.bits);
    atomic_store(&let_go_gave, rc);
    return RREF_OK;
}

static const rref_method deep_functions[] = { RREF_METHOD("lets_go", "ref", lets_go, 0), RREF_METHODS_END };

static void released_too_deep(void)
{
    setenv("RREF_MAX_BLOCKED", "0", 1);
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes, .functions = deep_functions, .progress = "application" },
                 &ctx));
    unsetenv("RREF_MAX_BLOCKED");
    if (!ctx) return;
    atomic_store(&let_go, 0);
    rref keeper = rref_create(ctx, (rref_rank(ctx) + 1) % rref_size(ctx), "keeper");
    rref_future f = rref_async(rref_root(ctx, rref_rank(ctx)), "lets_go", keeper);
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    int rc = atomic_load(&let_go_gave);
    CU_ASSERT_TRUE(rc == RREF_OK || rc == RREF_ERR_TOO_DEEP);
    if (rc) OK(rref_future_release((rref_future){ atomic_load(&let_go) }));
    OK(rref_release(keeper));
    end();
}

/* A call through a result is held, and what it borrows with it, until the result is there. */
static void arrays_of_held_calls(void)
{
    double p[2] = { 1, 1 };
    rref_error e;
    if (!begin()) return;
    rref held = rref_remote(there, "hold");
    rref_future f = rref_async(held, "keep", rref_borrow(p, 2));
    GIVES(rref_release((rref){ 0 }), RREF_ERR_HANDLE);
    GIVES(rref_wait_sent(f, 0.01), RREF_ERR_PENDING);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_EQUAL(e.code, RREF_ERR_PENDING);
    OK(rref_set_timeout(ctx, 0.01));
    GIVES(rref_wait_sent(f, RREF_DEFAULT_TIMEOUT), RREF_ERR_PENDING);
    OK(rref_set_timeout(ctx, RREF_FOREVER));
    open_next();
    OK(rref_wait_sent(f, RREF_FOREVER));
    CU_ASSERT_TRUE(rref_wait(f, RREF_FOREVER) < 0);         /* a number has no methods */
    OK(rref_future_release(f));
    OK(rref_release(held));
    end();
}

static const check_case cases[] = {
    { "wait_times_out", wait_times_out },
    { "handles", handles },
    { "places_that_call_again", places_that_call_again },
    { "wait_for_several", wait_for_several },
    { "releases_of_pending_ones", releases_of_pending_ones },
    { "error_that_nobody_reads", error_that_nobody_reads },
    { "cancel", cancel },
    { "promises", promises },
    { "broken_promises", broken_promises },
    { "links", links },
    { "all_of", all_of },
    { "any_of", any_of },
    { "then", then },
    { "chains", chains },
    { "chains_of_chains", chains_of_chains },
    { "callbacks_in_order", callbacks_in_order },
    { "lent_futures", lent_futures },
    { "callbacks_that_call", callbacks_that_call },
    { "timeouts_of_calls", timeouts_of_calls },
    { "large_arrays_of_late_calls", large_arrays_of_late_calls },
    { "loops_of_chains", loops_of_chains },
    { "towers", towers },
    { "released_too_deep", released_too_deep },
    { "arrays_of_held_calls", arrays_of_held_calls },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "futures", cases); }
