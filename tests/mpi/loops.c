/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Loops of calls: one place in the program that calls again and again. What was found for the call before is used for the next
 * one, which must not show but in its speed; and calls that share a record are calls like others.
 */
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

enum { MANY = 3000, WAYS = 300, THREADS = 3 };

/* Counts what it is given; the order of the posts of a case that numbers them. */
typedef struct book {
    uint64_t sum, calls, disorder;
    uint64_t last;
} book;

static rref_context *ctx;
static const char *progress;            /* of the contexts: NULL, or "application" */
static atomic_uint failures;

static int open_book(rref_call *c, void **self)
{
    (void)c;
    *self = calloc(1, sizeof(book));
    return *self ? RREF_OK : RREF_ERR_NO_MEMORY;
}

static int write_down(rref_call *c, void *self)
{
    book *b = self;
    const uint64_t x = rref_arg_u64(c, 0);
    b->sum += x;
    b->calls++;
    return RREF_OK;
}

static int in_order(rref_call *c, void *self)
{
    book *b = self;
    const uint64_t x = rref_arg_u64(c, 0);
    b->disorder += x != b->last + 1;
    b->last = x;
    b->calls++;
    return RREF_OK;
}

static int twice(rref_call *c, void *self)
{
    (void)self;
    return rref_return(c, 2 * rref_arg_u64(c, 0));
}

static int thrice(rref_call *c, void *self)
{
    (void)self;
    return rref_return(c, 3 * rref_arg_u64(c, 0));
}

static int no_sevens(rref_call *c, void *self)
{
    const uint64_t x = rref_arg_u64(c, 0);
    (void)self;
    if (x % 7 == 0) return rref_fail(c, RREF_ERR_USER, "%u is a seven", (unsigned)x);
    return x % 11 == 0 ? RREF_OK : rref_return(c, x);      /* 11: returns, but gives nothing, which is a mistake */
}

static int mixed(rref_call *c, void *self)
{
    (void)self;
    const bool odd = rref_arg_bool(c, 1);
    return rref_return(c, (double)rref_arg_i32(c, 0) + (odd ? 0.5 : 0), (int64_t)rref_arg_i32(c, 0));
}

static int totals(rref_call *c, void *self)
{
    const book *b = self;
    return rref_return(c, b->sum, b->calls, b->disorder);
}

static int nothing(rref_call *c, void *self)
{
    (void)c;
    ((book *)self)->calls++;
    return RREF_OK;
}

/* A slow one, not inline: what comes meanwhile waits for it. */
static int hold(rref_call *c, void *self)
{
    (void)self;
    (void)c;
    const double end = check_clock() + 0.02;
    while (check_clock() < end) continue;
    return RREF_OK;
}

/* Calls on, as a method of another object does: from one place, n times. */
static int relay(rref_call *c, void *self)
{
    (void)self;
    const rref to = rref_arg_ref(c, 0);
    uint64_t x = 0, sum = 0;
    for (uint64_t i = 0; i < 20; i++) {
        int rc = rref_sync(to, "twice", i, rref_out(&x));
        if (rc) return rc;
        sum += x;
    }
    return rref_return(c, sum);
}

static const rref_method methods[] = {
    RREF_METHOD("write", "u64", write_down, RREF_INLINE),
    RREF_METHOD("in_order", "u64", in_order, RREF_INLINE),
    RREF_METHOD("twice", "u64 -> u64", twice, RREF_INLINE),
    RREF_METHOD("thrice", "u64 -> u64", thrice, RREF_INLINE),
    RREF_METHOD("slow_twice", "u64 -> u64", twice, 0),
    RREF_METHOD("no_sevens", "u64 -> u64", no_sevens, RREF_INLINE),
    RREF_METHOD("mixed", "i32, bool -> f64, i64", mixed, RREF_INLINE),
    RREF_METHOD("totals", "-> u64, u64, u64", totals, RREF_INLINE),
    RREF_METHOD("nothing", "", nothing, RREF_INLINE),
    RREF_METHOD("hold", "", hold, 0),
    RREF_METHOD("relay", "ref -> u64", relay, RREF_CONCURRENT),
    RREF_METHODS_END
};
static const rref_class book_class = RREF_CLASS("book", "", open_book, free, methods);

static void on_error(const rref_error *error, void *arg)
{
    (void)arg;
    if (error->code == RREF_ERR_USER && strstr(error->site, "loops.c")) atomic_fetch_add(&failures, 1);
}

static void begin(void)
{
    static const rref_class *const classes[] = { &book_class, NULL };
    rref_options options = { .classes = classes, .progress = progress, .on_error = on_error };
    OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
}

static int next_rank(void) { return (rref_rank(ctx) + 1) % rref_size(ctx); }

static void expect(rref r, uint64_t sum, uint64_t calls)
{
    uint64_t got[3] = { 0 };
    OK(rref_sync(r, "totals", rref_out(&got[0]), rref_out(&got[1]), rref_out(&got[2])));
    CU_ASSERT_EQUAL(got[0], sum);
    CU_ASSERT_EQUAL(got[1], calls);
    CU_ASSERT_EQUAL(got[2], 0);
}

/* ---- cases */

static void posts(void)
{
    begin();
    rref r = rref_create(ctx, next_rank(), "book");
    for (uint64_t i = 1; i <= MANY; i++) OK(rref_post(r, "in_order", i));
    expect(r, 0, MANY);
    rref_method_ref bound = rref_bind(r, "in_order");
    for (uint64_t i = MANY + 1; i <= 2 * MANY; i++) OK(rref_post(bound, i));
    expect(r, 0, 2 * MANY);
    for (int i = 0; i < 10000; i++) OK(rref_post(r, "nothing"));
    expect(r, 0, 2 * MANY + 10000);
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
}

/* From one place calls of two methods and two objects, by one name in one buffer. */
static void everything_changes(void)
{
    begin();
    char name[16];
    uint64_t x = 0;
    rref r[2] = { rref_create(ctx, next_rank(), "book"), rref_create(ctx, next_rank(), "book") };
    expect(r[0], 0, 0);
    expect(r[1], 0, 0);
    for (uint64_t i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "%s", i % 3 ? "twice" : "thrice");
        OK(rref_sync(r[i % 2], name, i, rref_out(&x)));
        CU_ASSERT_EQUAL(x, i * (i % 3 ? 2 : 3));
        rref_method_ref bound = rref_bind(r[i % 2], name);
        OK(rref_sync(bound, i, rref_out(&x)));
        CU_ASSERT_EQUAL(x, i * (i % 3 ? 2 : 3));
        rref_future f = rref_async(r[i % 2], name, i, rref_out(&x));
        OK(rref_wait(f, RREF_FOREVER));
        CU_ASSERT_EQUAL(x, i * (i % 3 ? 2 : 3));
        OK(rref_future_release(f));
    }
    for (uint64_t i = 0; i < 40; i++)
        GIVES(rref_post(r[i % 4 / 2], i % 2 ? "write" : "nothing", i), i % 2 ? RREF_OK : RREF_ERR_SIGNATURE);
    expect(r[0], 200 - 10, 10);
    expect(r[1], 200 + 10, 10);
    OK(rref_release(r[0]));
    OK(rref_release(r[1]));
    OK(rref_finalize(&ctx));
}

/* The values are looked at each time. */
static void values_change(void)
{
    begin();
    uint64_t x = 0;
    double d = 0;
    int64_t n = 0;
    rref r = rref_create(ctx, next_rank(), "book");
    const rref_value small = { RREF_VALUE_SCALAR, RREF_I32, sizeof(int32_t), 1, 4, 0 };
    const rref_value given[] = { rref_of_u64(4), small, rref_of_i64(4), rref_of_i64(-4), rref_of_f64(4), rref_of_str("4") };
    const int wanted[] = { 0, 0, 0, RREF_ERR_RANGE, RREF_ERR_SIGNATURE, RREF_ERR_SIGNATURE };
    for (size_t i = 0; i < 60; i++) {
        const size_t which = i % (sizeof wanted / sizeof *wanted);
        const rref_value values[] = { rref_of_str("twice"), given[which], rref_out(&x) };
        x = 0;
        GIVES(rref_sync_v(r, values, 3, "loops.c"), wanted[which]);
        CU_ASSERT_EQUAL(x, wanted[which] ? 0 : 8);
        const rref_value post[] = { rref_of_str("write"), given[which] };
        GIVES(rref_post_v(r, post, 2, "loops.c"), wanted[which]);
        GIVES(rref_post_v(r, post, i % 7 ? 2 : 1, "loops.c"), i % 7 ? wanted[which] : RREF_ERR_SIGNATURE);
    }
    for (int32_t i = -20; i < 20; i++) {
        OK(rref_sync(r, "mixed", i, (bool)(i & 1), rref_out(&d), rref_out(&n)));
        CU_ASSERT_EQUAL(d, i + (i & 1 ? 0.5 : 0));
        CU_ASSERT_EQUAL(n, i);
    }
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
}

/* A handle that is given back is not called again, nor is another object that comes to have its place. */
static void handles_change(void)
{
    begin();
    uint64_t x = 0;
    rref before = { 0 };
    for (int i = 0; i < 30; i++) {
        rref r = rref_create(ctx, next_rank(), "book");
        for (int k = 0; k < 3; k++) OK(rref_post(r, "write", (uint64_t)i));
        OK(rref_sync(r, "twice", (uint64_t)i, rref_out(&x)));
        CU_ASSERT_EQUAL(x, 2 * (uint64_t)i);
        expect(r, 3 * (uint64_t)i, 3);
        OK(rref_release(r));
        for (int k = 0; k < 3; k++) {
            rref which = k == 1 && before.bits ? before : r;
            GIVES(rref_post(which, "write", (uint64_t)i), RREF_ERR_HANDLE);
            GIVES(rref_sync(which, "twice", (uint64_t)i, rref_out(&x)), RREF_ERR_HANDLE);
        }
        before = r;
    }
    OK(rref_finalize(&ctx));
}

/* Calls under way from one place: each has its own outcome. */
static void outcomes(void)
{
    static rref_future f[WAYS];
    static uint64_t x[WAYS];
    rref_error error;
    begin();
    rref r = rref_create(ctx, next_rank(), "book");
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < WAYS; i++) f[i] = rref_async(r, "no_sevens", i, rref_out(&x[i]));
        for (uint64_t i = 0; i < WAYS; i++) {
            const int wanted = i % 7 == 0 ? RREF_ERR_USER : i % 11 == 0 ? RREF_ERR_SIGNATURE : RREF_OK;
            GIVES(rref_wait(f[i], RREF_FOREVER), wanted);
            if (!wanted) CU_ASSERT_EQUAL(x[i], i);
            if (i % 7 == 0) OK(rref_last_error(ctx, &error));
            if (i % 7 == 0) CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "is a seven"));
            OK(rref_future_release(f[i]));
        }
    }
    atomic_store(&failures, 0);
    for (uint64_t i = 0; i < 70; i++) OK(rref_post(r, "no_sevens", i % 11 ? i : 1));
    GIVES(rref_fence(ctx, RREF_FOREVER), RREF_ERR_ONEWAY);
    CU_ASSERT_EQUAL(atomic_load(&failures), 9);     /* 7 to 63; 0 and 77 are not asked */
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
}

/* While the object is occupied what comes waits, and keeps its order. */
static void occupied(void)
{
    static rref_future f[WAYS];
    static uint64_t x[WAYS];
    begin();
    rref r = rref_create(ctx, next_rank(), "book");
    for (int round = 0; round < 3; round++) {
        OK(rref_post(r, "hold"));
        for (uint64_t i = 1; i <= 200; i++) OK(rref_post(r, "in_order", (uint64_t)round * 200 + i));
        for (uint64_t i = 0; i < WAYS; i++) f[i] = rref_async(r, "twice", i, rref_out(&x[i]));
        OK(rref_wait_all(f, WAYS, RREF_FOREVER));
        for (uint64_t i = 0; i < WAYS; i++) {
            CU_ASSERT_EQUAL(x[i], 2 * i);
            OK(rref_future_release(f[i]));
        }
    }
    expect(r, 0, 600);
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
}

/* No answer, whatever is wrong with it, keeps the credit of what it answers: two are soon lost. */
static void few_credits(void)
{
    uint64_t x = 0;
    setenv("RREF_CREDITS", "2", 1);
    begin();
    rref r = rref_create(ctx, next_rank(), "book");
    expect(r, 0, 0);
    for (int i = 0; i < 20; i++) {
        rref_future f = rref_async(r, "no_sevens", (uint64_t)(i % 2 ? 7 : 11), rref_out(&x));
        GIVES(rref_wait(f, RREF_FOREVER), i % 2 ? RREF_ERR_USER : RREF_ERR_SIGNATURE);
        OK(rref_future_release(f));
    }
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
    outcomes();
    occupied();
    unsetenv("RREF_CREDITS");
}

/* Futures that are given back before they are complete, given up, or looked at twice. */
static void given_up(void)
{
    begin();
    uint64_t x[8] = { 0 };
    rref r = rref_create(ctx, next_rank(), "book");
    for (int i = 0; i < 200; i++) {
        rref_future f = rref_async(r, "twice", (uint64_t)i, rref_out(&x[i % 8]));
        if (i % 4 == 0) {
            const int rc = rref_cancel(f);
            CU_ASSERT_TRUE(rc == RREF_OK || rc == RREF_ERR_COMPLETED);
            GIVES(rref_wait(f, RREF_FOREVER), rc ? RREF_OK : RREF_ERR_CANCELLED);
        } else if (i % 4 == 1) {
            OK(rref_future_retain(f));
            OK(rref_wait(f, RREF_FOREVER));
            OK(rref_future_release(f));
            OK(rref_test(f));
        }
        if (i % 4 == 2) OK(rref_wait(f, RREF_FOREVER));
        OK(rref_future_release(f));
        GIVES(rref_future_release(f), RREF_ERR_HANDLE);
    }
    OK(rref_fence(ctx, RREF_FOREVER));
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
}

static void nested(void)
{
    begin();
    uint64_t sum = 0;
    rref near = rref_create(ctx, rref_rank(ctx), "book"), far = rref_create(ctx, next_rank(), "book");
    for (int i = 0; i < 3; i++) {
        OK(rref_sync(far, "relay", near, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, 380);
        OK(rref_sync(near, "relay", far, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, 380);
    }
    OK(rref_release(near));
    OK(rref_release(far));
    OK(rref_finalize(&ctx));
}

static void *write_many(void *arg)
{
    const rref r = *(rref *)arg;
    uint64_t x = 0, bad = 0;
    for (uint64_t i = 0; i < MANY; i++) bad += rref_post(r, "write", i) != RREF_OK;
    for (uint64_t i = 0; i < 50; i++) bad += rref_sync(r, "twice", i, rref_out(&x)) != RREF_OK || x != 2 * i;
    return (void *)(uintptr_t)bad;
}

static void threads(void)
{
    pthread_t thread[THREADS];
    begin();
    rref r = rref_create(ctx, next_rank(), "book");
    for (int i = 0; i < THREADS; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, write_many, &r), 0);
    for (int i = 0; i < THREADS; i++) {
        void *bad;
        pthread_join(thread[i], &bad);
        CU_ASSERT_PTR_NULL(bad);
    }
    expect(r, (uint64_t)THREADS * MANY * (MANY - 1) / 2, (uint64_t)THREADS * MANY);
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
}

/* From the same places, in context after context; a call's time, which some have and some not. */
static void contexts_change(void)
{
    for (int i = 0; i < 3; i++) {
        uint64_t x = 0;
        begin();
        rref r = rref_create(ctx, next_rank(), "book");
        for (int k = 0; k < 20; k++) {
            OK(rref_invoke(rref_rpc_sync(r, k % 2 ? 600 : RREF_FOREVER), "twice", (uint64_t)k, rref_out(&x)));
            CU_ASSERT_EQUAL(x, 2 * (uint64_t)k);
        }
        OK(rref_release(r));
        OK(rref_finalize(&ctx));
        CU_ASSERT_NOT_EQUAL(rref_post(r, "write", (uint64_t)1), RREF_OK);
        posts();
        handles_change();
    }
}

static uint64_t messages_out(void)
{
    rref_statistics s = { .messages_out = 0 };
    OK(rref_stats(ctx, &s));
    return s.messages_out;
}

/* How many messages leave for some posts, and for some calls, while their owner does not look at any. */
static void leave(uint64_t sent[2])
{
    uint64_t x[WAYS], before;
    rref_future f[WAYS];
    begin();
    rref r = rref_create(ctx, next_rank(), "book");
    expect(r, 0, 0);
    OK(rref_fence(ctx, RREF_FOREVER));
    MPI_Barrier(MPI_COMM_WORLD);
    before = messages_out();
    for (uint64_t i = 0; i < WAYS; i++) OK(rref_post(r, "write", i));
    sent[0] = messages_out() - before;
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_fence(ctx, RREF_FOREVER));
    MPI_Barrier(MPI_COMM_WORLD);
    before = messages_out();
    for (uint64_t i = 0; i < WAYS; i++) f[i] = rref_async(r, "twice", i, rref_out(&x[i]));
    sent[1] = messages_out() - before;
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_wait_all(f, WAYS, RREF_FOREVER));
    for (uint64_t i = 0; i < WAYS; i++) CU_ASSERT_EQUAL(x[i], 2 * i);
    for (uint64_t i = 0; i < WAYS; i++) OK(rref_future_release(f[i]));
    expect(r, WAYS * (WAYS - 1) / 2, WAYS);
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
}

/* The limits of what shares a message. */
static void batches(void)
{
    uint64_t sent[2];
    int size = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    const bool exact = size > 1 && !check_chaos("where messages are held back, or are small, their number says nothing");
    progress = "application";
    check_set("RREF_CREDITS", 1000);
    leave(sent);
    if (exact) CU_ASSERT_TRUE(sent[0] >= 1 && sent[0] <= 3);
    if (exact) CU_ASSERT_TRUE(sent[1] >= WAYS / 32 && sent[1] <= WAYS / 32 + 3);
    check_set("RREF_BATCH", 64);
    leave(sent);
    if (exact) CU_ASSERT_TRUE(sent[0] >= WAYS / 3 && sent[1] >= WAYS / 3);
    unsetenv("RREF_BATCH");
    check_set("RREF_BATCH_CALLS", 100);
    leave(sent);
    if (exact) CU_ASSERT_TRUE(sent[1] >= WAYS / 100 - 1 && sent[1] <= WAYS / 100 + 3);
    unsetenv("RREF_BATCH_CALLS");
    unsetenv("RREF_CREDITS");
    progress = NULL;
}

static void application_driven(void)
{
    progress = "application";
    posts();
    everything_changes();
    values_change();
    handles_change();
    outcomes();
    given_up();
    nested();
    progress = NULL;
}

static const check_case cases[] = {
    { "posts", posts }, { "everything_changes", everything_changes }, { "values_change", values_change },
    { "handles_change", handles_change }, { "outcomes", outcomes }, { "occupied", occupied }, { "few_credits", few_credits },
    { "given_up", given_up },
    { "nested", nested }, { "threads", threads }, { "contexts_change", contexts_change },
    { "batches", batches }, { "application_driven", application_driven }, CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "loops", cases); }
