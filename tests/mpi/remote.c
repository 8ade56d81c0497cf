/* SPDX-License-Identifier: BSD-3-Clause */
/* Results that stay at their owner: made, fetched, shared, followed and dropped, before and after there is one. Every case runs
 * with library threads and application-driven. */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { FAILURE = RREF_ERR_USER - 3, OWED = 512, KEPT = 16 };

static int rank, ranks;
static rref_context *ctx;
static rref there;                      /* the root object of the next rank */

static rref root_after(rref_context *own, int steps) { return rref_root(own, (rref_rank(own) + steps) % rref_size(own)); }

/* ---- answers that wait until somebody asks for them */

static pthread_mutex_t owed_lock = PTHREAD_MUTEX_INITIALIZER;
static rref_deferred owed[OWED];
static int64_t owed_value[OWED];
static int owed_count;

static int later(rref_call *c, void *self)
{
    (void)self;
    int64_t x = rref_arg_i64(c, 0);
    rref_deferred d = rref_defer(c);
    pthread_mutex_lock(&owed_lock);
    bool room = owed_count < OWED;
    if (room) {
        owed[owed_count] = d;
        owed_value[owed_count++] = x;
    }
    pthread_mutex_unlock(&owed_lock);
    return room ? RREF_PENDING : rref_fail(c, RREF_ERR_STATE, "no room");
}

/* Answers what was asked by this caller's value; negative values fail. Gives how many there were. */
static int answer(rref_call *c, void *self)
{
    int64_t x = rref_arg_i64(c, 0), n = 0;
    (void)self;
    pthread_mutex_lock(&owed_lock);
    for (int i = 0; i < owed_count; i++) {
        if (owed_value[i] != x) continue;
        if (x < 0) rref_complete_error(owed[i], FAILURE, "failed later");
        else rref_complete(owed[i], x);
        owed_value[i] = INT64_MAX;
        n++;
    }
    pthread_mutex_unlock(&owed_lock);
    return rref_return(c, n);
}

/* ---- what the ranks do */

static int add(rref_call *c, void *self)
{
    (void)self;
    return rref_return(c, rref_arg_i64(c, 0) + rref_arg_i64(c, 1));
}

static int several(rref_call *c, void *self)
{
    const double x[] = { 1, 2, 3 };
    char text[32];
    (void)self;
    snprintf(text, sizeof text, "number %d", (int)rref_arg_i64(c, 0));
    return rref_return(c, rref_arg_i64(c, 0), text, rref_array(x, 3), true, rref_c64(1.5f, -2.5f));
}

static int ramp(rref_call *c, void *self)
{
    (void)self;
    size_t n = (size_t)rref_arg_u64(c, 0);
    double *x = malloc((n + 1) * sizeof *x);
    if (!x) return RREF_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) x[i] = (double)i;
    return rref_return_owned(c, x, n, free);
}

static int sum_of(rref_call *c, void *self)
{
    size_t n;
    double sum = 0;
    (void)self;
    const double *x = rref_arg_f64s(c, 0, &n);
    for (size_t i = 0; i < n; i++) sum += x[i];
    return rref_return(c, sum);
}

static int nothing(rref_call *c, void *self) { return (void)c, (void)self, RREF_OK; }
static int fails(rref_call *c, void *self) { return (void)self, rref_fail(c, FAILURE, "Expected error"); }
static int too_few(rref_call *c, void *self) { return (void)self, rref_return(c, rref_arg_i64(c, 0)); }

static int hop(rref_call *c, void *self)
{
    int64_t left = rref_arg_i64(c, 0);
    (void)self;
    rref to = root_after(rref_call_context(c), 1);
    rref r = left > 1 ? rref_remote(to, "hop", left - 1) : rref_remote(to, "add", 20, 22);
    int rc = rref_return_ref(c, r);
    rref_release(r);
    return rc;
}

/* Fetches a result that it was given; before it exists, if that is so. */
static int fetch(rref_call *c, void *self)
{
    (void)self;
    rref_deferred d = rref_defer(c);
    rref_future f = rref_to_here_async(rref_arg_ref(c, 0));
    int rc = rref_complete_with(d, f);
    rref_future_release(f);
    return rc ? rref_fail(c, rc, "the future was refused") : RREF_PENDING;
}

static int relay(rref_call *c, void *self)
{
    (void)self;
    rref_deferred d = rref_defer(c);
    rref_future f = rref_async(root_after(rref_call_context(c), 1), "add", rref_arg_i64(c, 0), 100);
    rref_complete_with(d, f);
    rref_future_release(f);
    return RREF_PENDING;
}

/* References handed out and kept by the rank for a while. A root's methods are concurrent. */
static rref kept[KEPT];
static int kept_count;
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

static int keep(rref_call *c, void *self)
{
    (void)self;
    rref r = rref_arg_ref(c, 0);
    int rc = RREF_ERR_SHAPE;
    pthread_mutex_lock(&kept_lock);
    if (kept_count < KEPT) rc = rref_retain(r);
    if (rc == RREF_OK) kept[kept_count++] = r;
    pthread_mutex_unlock(&kept_lock);
    return rc;
}

/* How many were dropped. */
static int drop_kept(rref_call *c, void *self)
{
    (void)self;
    int rc = RREF_OK;
    pthread_mutex_lock(&kept_lock);
    int64_t n = kept_count;
    while (kept_count > 0) rc = rc ? rc : rref_release(kept[--kept_count]);
    pthread_mutex_unlock(&kept_lock);
    return rc ? rc : rref_return(c, n);
}

/* The cell that somebody is given with the answer that it waits for. */
static rref_deferred owed_cell;

static int later_cell(rref_call *c, void *self)
{
    (void)self;
    owed_cell = rref_defer(c);
    return RREF_PENDING;
}

static int answer_cell(rref_call *c, void *self)
{
    rref_context *own = rref_call_context(c);
    (void)self;
    if (!owed_cell.bits) return rref_return(c, false);
    rref r = rref_create(own, (rref_rank(own) + 1) % rref_size(own), "cell", rref_arg_i64(c, 0));
    int rc = rref_complete(owed_cell, r);
    owed_cell.bits = 0;
    rref_release(r);
    return rc ? rc : rref_return(c, true);
}

/* A new object here, and references to others. */
static int cells(rref_call *c, void *self)
{
    (void)self;
    rref_context *own = rref_call_context(c);
    rref r[3];
    for (int i = 0; i < 3; i++) r[i] = rref_create(own, rref_rank(own), "cell", rref_arg_i64(c, 0) + i);
    int rc = rref_return(c, rref_array(r, 3), r[1]);
    for (int i = 0; i < 3; i++) rref_release(r[i]);
    return rc;
}

/* Calls the object that a result leads to. */
static int add_to(rref_call *c, void *self)
{
    (void)self;
    rref_deferred d = rref_defer(c);
    rref_future f = rref_async(rref_arg_ref(c, 0), "add", rref_arg_i64(c, 1));
    int rc = rref_complete_with(d, f);
    rref_future_release(f);
    return rc ? rref_fail(c, rc, "the future was refused") : RREF_PENDING;
}

static int new_cell(rref_call *c, void *self)
{
    (void)self;
    rref_context *own = rref_call_context(c);
    rref r = rref_create(own, rref_rank(own), "cell", rref_arg_i64(c, 0));
    int rc = rref_return_ref(c, r);
    rref_release(r);
    return rc;
}

static const rref_method functions[] = {
    RREF_METHOD("add", "i64, i64 -> i64", add, 0),
    RREF_METHOD("several", "i64 -> i64, str, f64[], bool, c64", several, 0),
    RREF_METHOD("ramp", "u64 -> f64[]", ramp, 0),
    RREF_METHOD("sum_of", "f64[] -> f64", sum_of, 0),
    RREF_METHOD("nothing", "", nothing, RREF_INLINE),
    RREF_METHOD("fails", "-> i64", fails, 0),
    RREF_METHOD("too_few", "i64 -> i64, i64", too_few, 0),
    RREF_METHOD("later", "i64 -> i64", later, 0),
    RREF_METHOD("answer", "i64 -> i64", answer, 0),
    RREF_METHOD("hop", "i64 -> ref", hop, 0),
    RREF_METHOD("fetch", "ref -> i64", fetch, 0),
    RREF_METHOD("relay", "i64 -> i64", relay, 0),
    RREF_METHOD("keep", "ref", keep, 0),
    RREF_METHOD("drop_kept", "-> i64", drop_kept, 0),
    RREF_METHOD("cells", "i64 -> ref[], ref", cells, 0),
    RREF_METHOD("new_cell", "i64 -> ref", new_cell, 0),
    RREF_METHOD("later_cell", "-> ref", later_cell, 0),
    RREF_METHOD("answer_cell", "i64 -> bool", answer_cell, 0),
    RREF_METHOD("add_to", "ref, i64 -> i64", add_to, 0),
    RREF_METHODS_END
};

static int cell_create(rref_call *c, void **self)
{
    *self = malloc(sizeof(int64_t));
    if (!*self) return RREF_ERR_NO_MEMORY;
    *(int64_t *)*self = rref_arg_i64(c, 0);
    return RREF_OK;
}

static int cell_add(rref_call *c, void *self) { return rref_return(c, *(int64_t *)self += rref_arg_i64(c, 0)); }

static const rref_method cell_methods[] = { RREF_METHOD("add", "i64 -> i64", cell_add, 0), RREF_METHODS_END };
static const rref_class cell_class = RREF_CLASS("cell", "i64", cell_create, free, cell_methods);
static const rref_class *const classes[] = { &cell_class, NULL };

static const char *progress;

static bool begin(void)
{
    const rref_options o = { .functions = functions, .classes = classes, .progress = progress };
    ctx = NULL;
    owed_count = 0;
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_init(MPI_COMM_WORLD, &o, &ctx));
    if (!ctx) return false;
    rank = rref_rank(ctx);
    ranks = rref_size(ctx);
    there = root_after(ctx, 1);
    return true;
}

static bool none_left(void *arg)
{
    rref_statistics s;
    (void)arg;
    rref_progress(ctx);
    return rref_stats(ctx, &s) == RREF_OK && s.objects == 0 && s.futures == 0;
}

/* What was made here is gone before the end sees to it. */
static void end(void)
{
    CU_ASSERT_TRUE(check_until(none_left, NULL, 20));
    OK(rref_finalize(&ctx));
}

/* ---- cases */

static void fetched(void)
{
    if (!begin()) return;
    for (int own = 0; own < 2; own++) {
        rref to = own ? rref_root(ctx, rank) : there;
        int64_t n = 0;
        char text[32] = "", name[64];
        double x[3] = { 0 };
        float parts[2] = { 0 };
        size_t count = 0;
        bool flag = false;
        void *self = NULL;
        rref r = rref_remote(to, "add", 2, 3);
        CU_ASSERT_EQUAL(rref_owner(r), own ? rank : (rank + 1) % ranks);
        OK(rref_to_here(r, rref_out(&n)));
        CU_ASSERT_EQUAL(n, 5);
        OK(rref_to_here(r));
        OK(rref_confirmed(r));
        GIVES(rref_local_value(r, &self), rref_is_owner(r) ? RREF_ERR_STATE : RREF_ERR_NOT_OWNER);   /* nobody's object */
        GIVES(rref_enter(r, 0, &self), rref_is_owner(r) ? RREF_ERR_STATE : RREF_ERR_NOT_OWNER);
        rref wrapped = rref_wrap(ctx, "remote result", x);
        GIVES(rref_confirmed(wrapped), RREF_ERR_NO_CLASS);
        OK(rref_release(wrapped));
        GIVES(rref_to_here(r, rref_out(&x[0])), RREF_ERR_SIGNATURE);
        GIVES(rref_sync(r, "add", 1, 2, rref_out(&n)), RREF_ERR_NO_METHOD);
        CU_ASSERT_TRUE(rref_format(r, name, sizeof name) > 0 && !strncmp(name, "remote result@", 14));
        OK(rref_release(r));
        r = rref_remote(rref_bind(to, "several"), 7);
        rref_value part = rref_value_make_(RREF_VALUE_OUT, RREF_C64, sizeof parts, 1, (uint64_t)(uintptr_t)parts, 0);
        for (int twice = 0; twice < 2; twice++) {
            n = 0, text[0] = 0, count = 0, flag = false;
            OK(rref_to_here(r, rref_out(&n), rref_out_str(text, sizeof text), rref_out_array(x, 3, &count), rref_out(&flag),
                            part));
            CU_ASSERT_EQUAL(n, 7);
            CU_ASSERT_STRING_EQUAL(text, "number 7");
            CU_ASSERT_TRUE(count == 3 && x[0] == 1 && x[2] == 3 && flag);
            CU_ASSERT_TRUE(parts[0] == 1.5f && parts[1] == -2.5f);
        }
        GIVES(rref_to_here(r, rref_out(&n), rref_out_str(text, 3), rref_out_array(x, 3, &count), rref_out(&flag), part),
              RREF_ERR_TRUNCATED);
        OK(rref_release(r));
        r = rref_remote(to, "nothing");
        OK(rref_to_here(r));
        GIVES(rref_to_here(r, rref_out(&n)), RREF_ERR_SIGNATURE);
        OK(rref_release(r));
        GIVES(rref_to_here(r), RREF_ERR_HANDLE);
        CU_ASSERT_EQUAL(rref_to_here_async(r).bits, 0);
    }
    end();
}

/* Larger than any message, in both directions; the array given was copied when the call was made. */
static void large(void)
{
    enum { N = 300000 };
    double *x = malloc(N * sizeof *x), sum = 0;
    if (!begin() || !x) return;
    for (int own = 0; own < 2; own++) {
        rref to = own ? rref_root(ctx, rank) : there;
        rref r = rref_remote(to, "ramp", N);
        size_t count = 0;
        for (int twice = 0; twice < 2; twice++) {
            memset(x, 0, N * sizeof *x);
            OK(rref_to_here(r, rref_out_array(x, N, &count)));
            CU_ASSERT_TRUE(count == N && x[1] == 1 && x[N - 1] == N - 1);
        }
        OK(rref_release(r));
        r = rref_remote(to, "sum_of", rref_array(x, N));
        memset(x, 0, N * sizeof *x);
        OK(rref_to_here(r, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, (double)N * (N - 1) / 2);
        OK(rref_release(r));
    }
    free(x);
    end();
}

/* Usable, shareable and droppable before it exists: what asks for it waits without a thread. */
static void before_it_exists(void)
{
    enum { MANY = 40 };
    rref_future f[MANY];
    int64_t n = 0;
    if (!begin()) return;
    for (int own = 0; own < 2; own++) {
        rref to = own ? rref_root(ctx, rank) : there;
        int64_t mine = 1000 * own + rank;
        rref r = rref_remote(to, "later", mine);
        GIVES(rref_confirmed(r), RREF_ERR_PENDING);
        GIVES(rref_to_here(rref_rpc_sync(r, 0.02), rref_out(&n)), RREF_ERR_TIMEOUT);
        rref_future made = rref_creation(r), late = rref_to_here_async(rref_rpc_async(r, 0.02));
        for (int i = 0; i < MANY; i++)
            f[i] = i % 2 ? rref_to_here_async(r) : rref_async(root_after(ctx, i), "fetch", r);
        GIVES(rref_wait(late, RREF_FOREVER), RREF_ERR_TIMEOUT);
        GIVES(rref_test(made), RREF_ERR_PENDING);
        GIVES(rref_test(f[1]), RREF_ERR_PENDING);
        OK(rref_sync(to, "answer", mine, rref_out(&n)));
        CU_ASSERT_EQUAL(n, 1);
        for (int i = 0; i < MANY; i++) {
            OK(rref_wait(f[i], RREF_FOREVER));
            OK(rref_get(f[i], rref_out(&n)));
            CU_ASSERT_EQUAL(n, mine);
            OK(rref_future_release(f[i]));
        }
        OK(rref_wait(made, RREF_FOREVER));
        OK(rref_to_here(rref_rpc_sync(r, 60), rref_out(&n)));
        OK(rref_future_release(made));
        OK(rref_future_release(late));
        OK(rref_release(r));
    }
    end();
}

/* The calls are in no order, since a root's methods are concurrent: to answer may find one of the two at first. */
static void answer_both(int64_t value)
{
    int64_t n = 0;
    for (int64_t answered = 0; answered < 2; answered += n) OK(rref_sync(there, "answer", value, rref_out(&n)));
}

static void dropped_before_it_exists(void)
{
    if (!begin()) return;
    rref r = rref_remote(there, "later", rank);
    OK(rref_post(root_after(ctx, 2), "keep", r));
    OK(rref_release(r));
    for (int i = 0; i < 20; i++) OK(rref_release(rref_remote(there, "add", i, i)));
    for (int i = 0; i < 5; i++) OK(rref_release(rref_remote(there, "cells", i)));
    r = rref_remote(there, "later", rank);
    OK(rref_release(r));
    answer_both(rank);
    for (int64_t dropped = 0; !dropped;) OK(rref_sync(root_after(ctx, 2), "drop_kept", rref_out(&dropped)));
    end();
}

/* Everything that was made is gone while the context goes on. */
static void nothing_left(void)
{
    double x;
    if (!begin()) return;
    for (int i = 0; i < 10; i++) {
        rref r = rref_remote(there, "cells", i), shared = { 0 }, in[3] = { { 0 } };
        size_t count = 0;
        OK(rref_to_here(r, rref_out_array(in, 3, &count), rref_out(&shared)));
        CU_ASSERT_EQUAL(count, 3);
        GIVES(rref_to_here(r, rref_out(&x), rref_out(&shared)), RREF_ERR_SIGNATURE);
        OK(rref_to_here(r));
        for (int k = 0; k < 3; k++) {
            int64_t n = 0;
            OK(rref_sync(in[k], "add", 1, rref_out(&n)));
            CU_ASSERT_EQUAL(n, i + k + 1);
            OK(rref_release(in[k]));
        }
        OK(rref_release(shared));
        rref_future f = rref_to_here_async(r);
        if (i % 2) OK(rref_wait(f, RREF_FOREVER));
        OK(rref_future_release(f));             /* half of the answers come to nobody */
        OK(rref_release(r));
        OK(rref_release(rref_remote(there, "fails")));
        OK(rref_release(rref_remote(there, "hop", 3)));
    }
    end();
}

/* The same error for everybody, at once. */
static void failed(void)
{
    int64_t n = 4;
    rref_error e, first;
    if (!begin()) return;
    for (int own = 0; own < 2; own++) {
        rref to = own ? rref_root(ctx, rank) : there;
        rref r = rref_remote(to, "fails"), other;
        n = 4;
        OK(rref_sync(root_after(ctx, 2), "nothing"));
        rref_future f = rref_async(root_after(ctx, 2), "fetch", r), made = rref_creation(r);
        if (rref_test(f) == RREF_ERR_HANDLE) CU_FAIL("no future");
        int rc = rref_wait(f, RREF_FOREVER);
        CU_ASSERT_EQUAL(rc, FAILURE);
        OK(rref_future_error(f, &e));
        CU_ASSERT_STRING_EQUAL(e.text, "Expected error");
        GIVES(rref_wait(made, RREF_FOREVER), FAILURE);
        for (int i = 0; i < 2; i++) {
            GIVES(rref_to_here(r, rref_out(&n)), FAILURE);
            OK(rref_last_error(ctx, &first));
            CU_ASSERT_STRING_EQUAL(first.text, "Expected error");
            CU_ASSERT_STRING_EQUAL(first.where, "rank.fails");
            CU_ASSERT_EQUAL(first.rank, own ? rank : (rank + 1) % ranks);
        }
        GIVES(rref_sync(to, "keep", r), FAILURE);
        GIVES(rref_confirmed(r), FAILURE);
        GIVES(rref_sync(r, "add"), FAILURE);
        CU_ASSERT_EQUAL(n, 4);
        OK(rref_error_of(r, &e));
        CU_ASSERT_EQUAL(e.code, FAILURE);
        OK(rref_future_release(f));
        OK(rref_future_release(made));
        OK(rref_release(r));
        r = rref_remote(to, "too_few", 1);
        GIVES(rref_to_here(r), RREF_ERR_SIGNATURE);
        OK(rref_release(r));
        r = rref_remote(to, "later", -1 - rank);
        other = rref_remote(to, "relay", 1);
        do OK(rref_sync(to, "answer", -1 - rank, rref_out(&n)));
        while (n == 0);
        GIVES(rref_to_here(r), FAILURE);
        OK(rref_to_here(other, rref_out(&n)));
        CU_ASSERT_EQUAL(n, 101);
        OK(rref_release(r));
        OK(rref_release(other));
    }
    end();
}

/* Found before anything is sent. */
static void refused(void)
{
    const double x[] = { 1 };
    int64_t n;
    if (!begin()) return;
    const struct { rref r; int code; } bad[] = {
        { rref_remote(there, "none"), RREF_ERR_NO_METHOD },
        { rref_remote(there, "add", 1), RREF_ERR_SIGNATURE },
        { rref_remote(there, "add", 1, 1.5), RREF_ERR_SIGNATURE },
        { rref_remote(there, "add", 1, 2, rref_out(&n)), RREF_ERR_SIGNATURE },
        { rref_remote(there, "sum_of", rref_borrow(x, 1)), RREF_ERR_SIGNATURE },
        { rref_invoke(rref_rpc_remote(there, -3), "add", 1, 2), RREF_ERR_ARGUMENT },
        { rref_remote(rref_root(ctx, ranks), "add", 1, 2), RREF_ERR_DESTINATION },
        { rref_remote(rref_bind(there, "none"), 1), RREF_ERR_NO_METHOD },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CU_ASSERT_NOT_EQUAL(bad[i].r.bits, 0);
        GIVES(rref_to_here(bad[i].r), bad[i].code);
        rref_future f = rref_to_here_async(bad[i].r), made = rref_creation(bad[i].r);
        GIVES(rref_wait(f, RREF_FOREVER), bad[i].code);
        GIVES(rref_wait(made, RREF_FOREVER), bad[i].code);
        OK(rref_future_release(f));
        OK(rref_future_release(made));
        OK(rref_release(bad[i].r));
    }
    CU_ASSERT_EQUAL(rref_remote((rref){ 0 }, "add", 1, 2).bits, 0);
    CU_ASSERT_EQUAL(rref_creation((rref){ 0 }).bits, 0);
    GIVES(rref_to_here((rref){ 0 }), RREF_ERR_HANDLE);
    end();
}

static void chain(void)
{
    int64_t n = 0, hops = 8;
    if (!begin()) return;
    for (int own = 0; own < 2; own++) {
        rref to = own ? rref_root(ctx, rank) : there, cell = { 0 };
        rref r = rref_remote(to, "hop", hops);
        OK(rref_to_here(r, rref_out(&n)));
        CU_ASSERT_EQUAL(n, 42);
        rref_future f = rref_to_here_async(r), g = rref_async(root_after(ctx, 3), "fetch", r);
        OK(rref_wait(f, RREF_FOREVER));
        n = 0;
        OK(rref_get(f, rref_out(&n)));
        CU_ASSERT_EQUAL(n, 42);
        OK(rref_wait(g, RREF_FOREVER));
        OK(rref_future_release(f));
        OK(rref_future_release(g));
        OK(rref_release(r));
        r = rref_remote(to, "new_cell", 5);             /* a reference to an ordinary object is what it is */
        OK(rref_to_here(r, rref_out(&cell)));
        OK(rref_release(r));
        OK(rref_sync(cell, "add", 1, rref_out(&n)));
        CU_ASSERT_EQUAL(n, 6);
        OK(rref_release(cell));
    }
    end();
}

/* Three proxies on a method that answers with the future of a call to a third rank. */
static void proxies(void)
{
    if (!begin()) return;
    for (int own = 0; own < 2; own++) {
        rref to = own ? rref_root(ctx, rank) : there;
        rref_sync_proxy s = rref_rpc_sync(to, 60);
        rref_async_proxy a = rref_rpc_async(to, 60);
        rref_remote_proxy p = rref_rpc_remote(to, 60);
        for (int64_t i = 0; i < 20; i++) {
            int64_t x = 0, y = 0, z = 0;
            rref r = rref_invoke(p, "relay", i);
            rref_future f = rref_invoke(a, "relay", i);
            OK(rref_invoke(s, "relay", i, rref_out(&x)));
            OK(rref_wait(f, RREF_FOREVER));
            OK(rref_get(f, rref_out(&y)));
            OK(rref_to_here(r, rref_out(&z)));
            CU_ASSERT_TRUE(x == 100 + i && y == x && z == x);
            OK(rref_future_release(f));
            OK(rref_release(r));
        }
        int64_t late = 0;
        rref r = rref_invoke(rref_rpc_remote(to, 0.02), "later", 5000 + rank);
        GIVES(rref_to_here(r), RREF_ERR_TIMEOUT);
        GIVES(rref_to_here(r), RREF_ERR_TIMEOUT);
        GIVES(rref_confirmed(r), RREF_ERR_TIMEOUT);
        OK(rref_release(r));
        OK(rref_sync(to, "answer", 5000 + rank, rref_out(&late)));          /* too late, but the answer owed is gone */
        r = rref_create(ctx, rref_owner(to), "cell", 0);
        for (int64_t i = 1, n = 0; i <= 10; i++) {
            OK(rref_release(rref_invoke(rref_rpc_remote(r, 60), "add", 1)));
            OK(rref_invoke(rref_rpc_sync(r, 60), "add", 0, rref_out(&n)));
            CU_ASSERT_EQUAL(n, i);              /* calls of one caller run in the order they were made, of every kind */
        }
        OK(rref_release(r));
    }
    end();
}

/* Calls through a result that is a reference to an object go to that object, before there is one and after: of all kinds, in
 * order, by others too. */
static void called_through(void)
{
    if (!begin()) return;
    for (int own = 0; own < 2; own++) {
        rref to = own ? rref_root(ctx, rank) : there;
        int64_t n = 0;
        bool given = false;
        OK(rref_fence(ctx, RREF_FOREVER));
        rref r = rref_remote(to, "later_cell");
        rref_method_ref bound = rref_bind(r, "add");
        rref_future f = rref_async(r, "add", 1), g = rref_async(bound, 2);
        rref_future late = rref_invoke(rref_rpc_async(r, 0.02), "add", 1000);
        rref_future h = rref_async(root_after(ctx, 2), "add_to", r, 100);
        OK(rref_post(r, "add", 3));
        GIVES(rref_invoke(rref_rpc_sync(r, 0.02), "add", 1000), RREF_ERR_TIMEOUT);
        GIVES(rref_wait(late, RREF_FOREVER), RREF_ERR_TIMEOUT);
        GIVES(rref_test(f), RREF_ERR_PENDING);
        do OK(rref_sync(to, "answer_cell", 10, rref_out(&given)));
        while (!given);
        OK(rref_sync(r, "add", 4, rref_out(&n)));
        CU_ASSERT_TRUE(n == 20 || n == 120);            /* the other rank's is in no order with these */
        OK(rref_wait(h, RREF_FOREVER));
        OK(rref_wait(f, RREF_FOREVER));
        OK(rref_get(f, rref_out(&n)));
        CU_ASSERT_TRUE(n == 11 || n == 111);
        OK(rref_wait(g, RREF_FOREVER));
        rref s = rref_remote(r, "add", 0);
        OK(rref_to_here(s, rref_out(&n)));
        CU_ASSERT_EQUAL(n, 120);
        GIVES(rref_sync(r, "nothing"), RREF_ERR_NO_METHOD);
        GIVES(rref_sync(r, "add", "text"), RREF_ERR_SIGNATURE);
        const rref_future all[] = { f, g, h, late };
        for (int i = 0; i < 4; i++) OK(rref_future_release(all[i]));
        OK(rref_release(s));
        OK(rref_release(r));
        r = rref_remote(to, "hop", 3);                  /* a chain of results, whose end is a number */
        GIVES(rref_sync(r, "add", 1), RREF_ERR_NO_METHOD);
        f = rref_async(r, "add", 1);
        GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_NO_METHOD);
        OK(rref_future_release(f));
        OK(rref_release(r));
        r = rref_remote(to, "fails");
        GIVES(rref_sync(r, "add", 1), FAILURE);
        OK(rref_release(r));
    }
    end();
}

/* Two references to one result mean the same; made by a third rank, and before it exists. */
static void identity(void)
{
    int64_t n = 0;
    if (!begin()) return;
    rref r = rref_remote(there, "later", 7000 + rank), s = rref_remote(there, "later", 7000 + rank);
    CU_ASSERT_FALSE(rref_same_object(r, s));
    CU_ASSERT_TRUE(rref_same_object(r, r));
    CU_ASSERT_NOT_EQUAL(rref_hash(r), rref_hash(s));
    uint64_t hash = rref_hash(r);
    answer_both(7000 + rank);
    OK(rref_to_here(r, rref_out(&n)));
    CU_ASSERT_EQUAL(rref_hash(r), hash);
    OK(rref_release(r));
    OK(rref_release(s));
    end();
}

/* A creation behind a result in the same lane has its own number, and the other way round. */
static void numbered_together(void)
{
    enum { MANY = 30 };
    rref r[MANY];
    int64_t n = 0;
    if (!begin()) return;
    int at = rref_owner(there);
    for (int i = 0; i < MANY; i++) r[i] = i % 2 ? rref_remote(there, "add", i, 0) : rref_create(ctx, at, "cell", i);
    for (int i = MANY; i-- > 0;) {
        OK(i % 2 ? rref_to_here(r[i], rref_out(&n)) : rref_sync(r[i], "add", 0, rref_out(&n)));
        CU_ASSERT_EQUAL(n, i);
        OK(rref_release(r[i]));
    }
    end();
}

static const struct { const char *name; void (*run)(void); } both[] = {
    { "fetched", fetched }, { "large", large }, { "before_it_exists", before_it_exists },
    { "dropped_before_it_exists", dropped_before_it_exists }, { "nothing_left", nothing_left }, { "failed", failed },
    { "refused", refused }, { "chain", chain }, { "proxies", proxies }, { "identity", identity },
    { "numbered_together", numbered_together }, { "called_through", called_through }
};

static void run_both(void)
{
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) both[i].run();
}

static void with_threads(void) { progress = NULL, run_both(); }
static void application_driven(void) { progress = "application", run_both(); }

static const check_case cases[] = {
    { "with_threads", with_threads }, { "application_driven", application_driven }, CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "remote", cases); }
