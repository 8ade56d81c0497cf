/* SPDX-License-Identifier: BSD-3-Clause */
/* Proxies: how they call, on references of every state, and the time their calls and what these call have. */
#include <math.h>
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

static rref_context *ctx;
static rref there;                      /* the root object of the next rank */
static const char *progress;            /* of the contexts: NULL, or "application" */
static atomic_int ran;

static int add(rref_call *c, void *self)
{
    (void)self;
    atomic_fetch_add(&ran, 1);
    return rref_return(c, rref_arg_i64(c, 0) + rref_arg_i64(c, 1));
}

/* Answered by nobody: ends with the call's time. */
static int never(rref_call *c, void *self)
{
    (void)self;
    rref_defer(c);
    return RREF_PENDING;
}

static atomic_bool released;

static bool is_released(void *arg) { return (void)arg, atomic_load(&released); }

static int slow(rref_call *c, void *self)
{
    (void)c, (void)self;
    return check_until(is_released, NULL, 20) ? RREF_OK : RREF_ERR_STALLED;
}

static int left(rref_call *c, void *self)
{
    (void)self;
    return rref_return(c, rref_time_left(c));
}

static rref after(rref_context *own) { return rref_root(own, (rref_rank(own) + 1) % rref_size(own)); }

/* What is left to a call made for this one, which asks for more, as many ranks further as given. */
static int nested_left(rref_call *c, void *self)
{
    (void)self;
    double x = -1;
    int64_t hops = rref_arg_i64(c, 0);
    rref_sync_proxy p = rref_rpc_sync(after(rref_call_context(c)), 1000);
    int rc = hops > 0 ? rref_invoke(p, "nested_left", hops - 1, rref_out(&x)) : rref_invoke(p, "left", rref_out(&x));
    return rc == RREF_OK ? rref_return(c, x) : rc;
}

static int nested_never(rref_call *c, void *self)
{
    (void)self;
    return rref_sync(after(rref_call_context(c)), "never") == RREF_ERR_TIMEOUT ? rref_fail(c, RREF_ERR_USER, "in time") : RREF_OK;
}

static const rref_method functions[] = {
    RREF_METHOD("add", "i64, i64 -> i64", add, 0),
    RREF_METHOD("never", "", never, 0),
    RREF_METHOD("slow", "", slow, 0),
    RREF_METHOD("left", "-> f64", left, RREF_CONCURRENT),
    RREF_METHOD("nested_left", "i64 -> f64", nested_left, RREF_CONCURRENT),
    RREF_METHOD("nested_never", "", nested_never, RREF_CONCURRENT),
    RREF_METHODS_END
};

static int create(rref_call *c, void **self)
{
    *self = malloc(sizeof(int64_t));
    if (!*self) return RREF_ERR_NO_MEMORY;
    *(int64_t *)*self = rref_arg_i64(c, 0);
    if (rref_arg_i64(c, 0) >= 0) return RREF_OK;
    free(*self);
    return rref_fail(c, RREF_ERR_USER - 1, "negative");
}

static int get(rref_call *c, void *self) { return rref_return(c, *(int64_t *)self); }

static const rref_method methods[] = { RREF_METHOD("get", "-> i64", get, 0), RREF_METHODS_END };
static const rref_class number_class = RREF_CLASS("number", "i64", create, free, methods);
static const rref_class *const classes[] = { &number_class, NULL };

static bool begin(void)
{
    ctx = NULL;
    const rref_options options = { .functions = functions, .classes = classes, .progress = progress };
    OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
    if (ctx) there = after(ctx);
    return ctx;
}

/* ---- cases */

static void both_kinds(void)
{
    if (!begin()) return;
    const double times[] = { 60, RREF_FOREVER, RREF_DEFAULT_TIMEOUT };
    for (int own = 0; own < 2; own++)
        for (int i = 0; i < 3; i++) {
            int64_t sum = 0;
            rref to = own ? rref_root(ctx, rref_rank(ctx)) : there;
            OK(rref_invoke(rref_rpc_sync(to, times[i]), "add", 2, 3, rref_out(&sum)));
            CU_ASSERT_EQUAL(sum, 5);
            rref_future f = rref_invoke(rref_rpc_async(to, times[i]), "add", 20, 30);
            OK(rref_wait(f, RREF_FOREVER));
            OK(rref_get(f, rref_out(&sum)));
            CU_ASSERT_EQUAL(sum, 50);
            OK(rref_future_release(f));
            OK(rref_invoke(rref_bind(to, "add"), 1, 1, rref_out(&sum)));
            CU_ASSERT_EQUAL(sum, 2);
        }
    OK(rref_finalize(&ctx));
}

/* Pending, ready, failed and released. */
static void every_state(void)
{
    int64_t n = 0;
    if (!begin()) return;
    for (int own = 0; own < 2; own++) {
        int where = own ? rref_rank(ctx) : (rref_rank(ctx) + 1) % rref_size(ctx);
        rref r = rref_create(ctx, where, "number", 7);
        rref_sync_proxy p = rref_rpc_sync(r, 60);
        rref_async_proxy a = rref_rpc_async(r, 60);
        OK(rref_invoke(p, "get", rref_out(&n)));
        CU_ASSERT_EQUAL(n, 7);
        OK(rref_invoke(p, "get", rref_out(&n)));
        GIVES(rref_invoke(p, "nothing"), RREF_ERR_NO_METHOD);
        OK(rref_release(r));
        GIVES(rref_invoke(p, "get", rref_out(&n)), RREF_ERR_HANDLE);
        CU_ASSERT_EQUAL(rref_invoke(a, "get").bits, 0);
        r = rref_create(ctx, where, "number", -7);
        GIVES(rref_invoke(rref_rpc_sync(r, 60), "get", rref_out(&n)), RREF_ERR_USER - 1);
        rref_future f = rref_invoke(rref_rpc_async(r, 60), "get", rref_out(&n));
        GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_USER - 1);
        OK(rref_future_release(f));
        OK(rref_release(r));
    }
    OK(rref_finalize(&ctx));
}

static void bad_times(void)
{
    const double bad[] = { -2, NAN, -INFINITY };
    if (!begin()) return;
    MPI_Barrier(MPI_COMM_WORLD);
    atomic_store(&ran, 0);
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < 3; i++) {
        int64_t sum = 9;
        GIVES(rref_invoke(rref_rpc_sync(there, bad[i]), "add", 1, 2, rref_out(&sum)), RREF_ERR_ARGUMENT);
        rref_future f = rref_invoke(rref_rpc_async(there, bad[i]), "add", 1, 2);
        GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_ARGUMENT);
        OK(rref_future_release(f));
        CU_ASSERT_EQUAL(sum, 9);
    }
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&ran), 0);
}

static void time_is_over(void)
{
    if (!begin()) return;
    for (int own = 0; own < 2; own++) {
        rref to = own ? rref_root(ctx, rref_rank(ctx)) : there;
        GIVES(rref_invoke(rref_rpc_sync(to, 0.02), "never"), RREF_ERR_TIMEOUT);
        rref_future f = rref_invoke(rref_rpc_async(to, 0.02), "never");
        GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_TIMEOUT);
        OK(rref_future_release(f));
    }
    OK(rref_finalize(&ctx));
}

/* A nested call has no more time than what is left to the one it is made for. */
static void time_is_inherited(void)
{
    double x = 0;
    if (!begin()) return;
    for (int own = 0; own < 2; own++) {
        rref to = own ? rref_root(ctx, rref_rank(ctx)) : there;
        OK(rref_sync(to, "left", rref_out(&x)));
        CU_ASSERT_EQUAL(x, RREF_FOREVER);
        OK(rref_invoke(rref_rpc_sync(to, 500), "left", rref_out(&x)));
        CU_ASSERT_TRUE(x > 0 && x <= 500);
        for (int64_t hops = 0; hops < 4; hops++) {
            OK(rref_invoke(rref_rpc_sync(to, 500), "nested_left", hops, rref_out(&x)));
            CU_ASSERT_TRUE(x > 0 && x <= 500);
            OK(rref_sync(to, "nested_left", hops, rref_out(&x)));
            CU_ASSERT_TRUE(x > 500 && x <= 1000);
        }
        int rc = rref_invoke(rref_rpc_sync(to, 0.05), "nested_never");     /* both times are over at once: who is first? */
        CU_ASSERT_TRUE(rc == RREF_ERR_TIMEOUT || rc == RREF_ERR_USER);
    }
    OK(rref_finalize(&ctx));
}

/* A method that takes longer, here as there. */
static void slow_methods(void)
{
    if (!begin()) return;
    atomic_store(&released, false);
    for (int own = 0; own < 2; own++)
        GIVES(rref_invoke(rref_rpc_sync(own ? rref_root(ctx, rref_rank(ctx)) : there, 0.05), "slow"), RREF_ERR_TIMEOUT);
    MPI_Barrier(MPI_COMM_WORLD);
    atomic_store(&released, true);
    OK(rref_finalize(&ctx));
}

static void application_driven(void)
{
    progress = "application";
    both_kinds();
    every_state();
    bad_times();
    time_is_over();
    time_is_inherited();
    progress = NULL;
}

static const check_case cases[] = {
    { "both_kinds", both_kinds }, { "every_state", every_state }, { "bad_times", bad_times },
    { "time_is_over", time_is_over }, { "slow_methods", slow_methods }, { "time_is_inherited", time_is_inherited },
    { "application_driven", application_driven }, CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "proxies", cases); }
