/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handlers and callbacks that do what they should not: fail in odd ways, never answer, answer twice or when nobody waits any
 * more, end the context, let go of their own object, block in whatever there is, recurse without end, call without measure.
 * Their callers get an error, and the rank that has them goes on serving.
 */
#include <limits.h>
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "check.h"
#include "well.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { TAG = 17, BOUND = 6, SHORT = 10000, LONG = 1000000 };

static rref_context *ctx;
static int rank, ranks;
static rref there, next_fiend;          /* on the next rank: its root object, an object of the class below */
static atomic_int counted, ended, unread, misreads;
static rref_future gate;                /* a promise of this rank for which methods wait */

/* ---- handlers: what they do stands in their arguments */

static int create(rref_call *c, void **self)
{
    *self = malloc(1);
    return *self ? (void)c, RREF_OK : RREF_ERR_NO_MEMORY;
}

static void destroy(void *self)
{
    rref_context *own = ctx;
    atomic_fetch_add(&ended, 1);
    if (rref_finalize(&own) != RREF_ERR_STATE || own != ctx) atomic_fetch_add(&unread, 100);
    free(self);
}

static int add(rref_call *c, void *self)
{
    (void)self;
    return rref_return_i64(c, rref_arg_i64(c, 0) + rref_arg_i64(c, 1));
}

static int count(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_fetch_add(&counted, 1);
    return RREF_OK;
}

enum { NOTHING, POSITIVE, PENDING_ALONE, INT_LEAST, LONG_TEXT, NO_TEXT, TOO_MANY, WRONG_TYPE, READS_WRONG, READS_PAST, TOO_LATE,
       TWICE_DEFERRED, NULL_ARRAY, NULL_TEXT, BAD_REF, PAST_FAIL, OTHER_CODE, GOOD_FAIL,
       REFS_PAST, GIVES_DEFERRED, WAYS };

static const int outcomes[WAYS] = {
    [NOTHING] = RREF_ERR_SIGNATURE, [POSITIVE] = RREF_ERR_STATE, [PENDING_ALONE] = RREF_ERR_STATE, [INT_LEAST] = INT_MIN,
    [LONG_TEXT] = RREF_ERR_USER, [NO_TEXT] = RREF_ERR_USER, [TOO_MANY] = RREF_ERR_SIGNATURE, [WRONG_TYPE] = RREF_ERR_SIGNATURE,
    [READS_WRONG] = RREF_ERR_SIGNATURE, [READS_PAST] = RREF_ERR_SIGNATURE, [TOO_LATE] = RREF_ERR_STATE,
    [TWICE_DEFERRED] = RREF_ERR_COMPLETED, [NULL_ARRAY] = RREF_ERR_ARGUMENT, [NULL_TEXT] = RREF_ERR_ARGUMENT,
    [BAD_REF] = RREF_ERR_HANDLE, [PAST_FAIL] = RREF_ERR_USER, [OTHER_CODE] = RREF_ERR_USER - 3, [GOOD_FAIL] = RREF_ERR_STATE,
    [REFS_PAST] = RREF_ERR_SIGNATURE, [GIVES_DEFERRED] = RREF_ERR_COMPLETED
};

static int long_text(rref_call *c)
{
    char text[4096];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    return rref_fail(c, RREF_ERR_USER, "%s", text);
}

static int defer_twice(rref_call *c)
{
    rref_deferred first = rref_defer(c), second = rref_defer(c);
    rref_last_error(NULL, &(rref_error){ 0 });
    return first.bits && !second.bits ? RREF_ERR_COMPLETED : RREF_ERR_USER - 50;
}

/* A wrong read fails the call, and nothing else: right ones give what is there. */
static int misread(rref_call *c, void *self)
{
    size_t n = 0;
    (void)self;
    rref_arg_i64(c, 0);
    const double *pair = rref_arg_structs(c, 0, "pair", 16, &n);
    if (!pair || n != 1 || pair[1] < 2) atomic_fetch_add(&misreads, 1);
    const rref *all = rref_arg_refs(c, 1, &n);
    if (!all || n != 1 || !all[0].bits) atomic_fetch_add(&misreads, 1);
    return RREF_OK;
}

/* Results "i64, f64[], str, ref". */
static int fail_somehow(rref_call *c, void *self)
{
    const double x[2] = { 1, 2 };
    int64_t way = rref_arg_i64(c, 0);
    (void)self;
    switch (way) {
    case POSITIVE: return 7;
    case PENDING_ALONE: return RREF_PENDING;
    case INT_LEAST: return INT_MIN;
    case LONG_TEXT: return long_text(c);
    case NO_TEXT: return rref_fail(c, RREF_ERR_USER, "%s", "");
    case TOO_MANY: return rref_return(c, 1, rref_array(x, 2), "text", there), rref_return(c, 5), RREF_OK;
    case WRONG_TYPE: return rref_return(c, "text"), RREF_OK;
    case READS_WRONG: return rref_arg_str(c, 0), rref_return(c, 1, rref_array(x, 2), "text", there);
    case READS_PAST: return rref_arg_i64(c, 99), rref_return(c, 1, rref_array(x, 2), "text", there);
    case TOO_LATE: return rref_return(c, 1, rref_array(x, 2), "text", there), rref_defer(c), RREF_OK;
    case TWICE_DEFERRED: return defer_twice(c);
    case NULL_ARRAY: return rref_return(c, 1, rref_array((double *)NULL, 2), "text", there);
    case NULL_TEXT: return rref_return(c, 1, rref_array(x, 2), (const char *)NULL, there);
    case BAD_REF: return rref_return(c, 1, rref_array(x, 2), "text", (rref){ 12345 });
    case PAST_FAIL: return rref_fail(c, RREF_ERR_USER, "once"), rref_fail(c, RREF_ERR_USER, "twice");
    case OTHER_CODE: return rref_fail(c, RREF_ERR_USER - 2, "one code told"), RREF_ERR_USER - 3;
    case REFS_PAST: return rref_arg_refs(c, 1000000, NULL), rref_return(c, 1, rref_array(x, 2), "text", there);
    case GIVES_DEFERRED: return rref_defer(c), rref_return(c, 1, rref_array(x, 2), "text", there);
    case GOOD_FAIL: return rref_fail(c, 5, "a failure that is none");
    default: return RREF_OK;
    }
}

/* What is lent is gone when the handler has returned. */
static int lend(rref_call *c, void *self)
{
    double x[64];
    (void)self;
    for (int i = 0; i < 64; i++) x[i] = i;
    int rc = rref_return(c, rref_borrow(x, 64));
    memset(x, 0xff, sizeof x);
    return rc;
}

/* Inline, with a method of its own rank that waits. */
static int wait_by_another(rref_call *c, void *self)
{
    (void)self;
    return rref_sync(rref_root(rref_call_context(c), rank), "wait", 0);
}

/* Ends the context, or what only the application's own threads may do; the context must not have moved. */
static int misbehave(rref_call *c, void *self)
{
    rref_context *own = rref_call_context(c), *second = NULL;
    (void)self;
    int64_t bad = rref_finalize(&own) != RREF_ERR_STATE || own != rref_call_context(c);
    bad += rref_fence(own, 1) != RREF_ERR_STATE;
    bad += rref_finalize(&second) != RREF_ERR_STATE;
    return rref_return_i64(c, bad);
}

/* Gives back what it was only lent, and what it was not even lent. */
static int let_go(rref_call *c, void *self)
{
    rref own = rref_arg_ref(c, 0);
    (void)self;
    rref_release(own);
    while (rref_release(own) == RREF_OK) continue;
    return rref_return_i64(c, rref_release(own));
}

static void *give_answer(void *arg)
{
    rref_deferred d = { *(uint64_t *)arg };
    return (void *)(intptr_t)(rref_complete(d, 1) == RREF_OK);
}

/* From several threads at once: one of them has answered. */
static int answer_by_many(rref_call *c, void *self)
{
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    uint64_t bits = rref_defer(c).bits;
    intptr_t answers = 0;
    void *one;
    (void)self;
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, give_answer, &bits)) return RREF_ERR_USER - 1;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], &one);
        answers += (intptr_t)one;
    }
    if (answers != 1) atomic_fetch_add(&unread, 1000);
    return RREF_PENDING;
}

static _Atomic uint64_t owed[256];
static atomic_int owed_count;

static int never(rref_call *c, void *self)
{
    (void)self;
    rref_deferred d = rref_defer(c);
    atomic_store(&owed[atomic_fetch_add(&owed_count, 1) % 256], d.bits);
    return RREF_PENDING;
}

/* A library wait of some kind, inside a method. */
static int wait_somehow(rref_call *c, void *self)
{
    rref_future all = { 0 }, kinds[2] = { gate, gate };
    (void)self;
    atomic_fetch_add(&counted, 1);
    switch (rref_arg_i64(c, 0)) {
    case 0: return rref_wait(gate, RREF_FOREVER);
    case 1: return rref_wait_all(kinds, 2, RREF_FOREVER);
    default:
        all = rref_all(rref_call_context(c), kinds, 2);
        int rc = rref_wait(all, RREF_FOREVER);
        rref_future_release(all);
        return rc;
    }
}

/* ---- blocking outside of the library */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_int open_now;
static int pipe_ends[2];
static MPI_Comm apart;

enum { IN_MUTEX, IN_RECEIVE, IN_SPIN, IN_PIPE };

static int block(rref_call *c, void *self)
{
    char byte;
    int64_t place = rref_arg_i64(c, 0);
    (void)self;
    atomic_fetch_add(&counted, 1);
    switch (place) {
    case IN_MUTEX:
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
        return RREF_OK;
    case IN_RECEIVE:
        return MPI_Recv(NULL, 0, MPI_BYTE, MPI_ANY_SOURCE, TAG, apart, MPI_STATUS_IGNORE) ? RREF_ERR_MPI : RREF_OK;
    case IN_SPIN:
        while (!atomic_load(&open_now)) continue;
        return RREF_OK;
    default: return read(pipe_ends[0], &byte, 1) == 1 ? RREF_OK : RREF_ERR_SYSTEM;
    }
}

/* ---- recursion and masses */

/* Calls itself on the next rank, or on this one, as often as it is told to. */
static int down(rref_call *c, void *self)
{
    int64_t depth = rref_arg_i64(c, 0), step = rref_arg_i64(c, 1), reached = 0;
    rref_context *own = rref_call_context(c);
    (void)self;
    if (depth == 0) return rref_return_i64(c, 1);
    rref to = rref_root(own, (rref_rank(own) + (int)step) % rref_size(own));
    int rc = rref_sync(to, "down", depth - 1, step, rref_out(&reached));
    return rc ? rc : rref_return_i64(c, reached + 1);
}

/* Blocked handlers, one more with each, the last one at the gate. */
static int pile_up(rref_call *c, void *self)
{
    int64_t left = rref_arg_i64(c, 0);
    (void)self;
    if (left == 1) return atomic_fetch_add(&counted, 1), rref_wait(gate, RREF_FOREVER);
    rref_future f = rref_async(rref_root(rref_call_context(c), rank), "pile_up", left - 1);
    int rc = rref_wait(f, RREF_FOREVER);
    if (rref_done(f)) rref_future_error(f, &(rref_error){ 0 });
    rref_future_release(f);
    return rc;
}

static int open_gate(rref_call *c, void *self) { return (void)c, (void)self, rref_set(gate); }

static int call_masses(rref_call *c, void *self)
{
    rref_context *own = rref_call_context(c);
    rref to = rref_root(own, rref_call_rank(c));
    int rc = RREF_OK;
    (void)self;
    for (int64_t i = rref_arg_i64(c, 0); i > 0 && rc == RREF_OK; i--) rc = rref_post(to, "count");
    return rc;
}

static const rref_method functions[] = {
    RREF_METHOD("add", "i64, i64 -> i64", add, 0),
    RREF_METHOD("count", "", count, RREF_INLINE),
    RREF_METHOD("fail", "i64 -> i64, f64[], str, ref", fail_somehow, 0),
    RREF_METHOD("lend", "-> f64[]", lend, 0),
    RREF_METHOD("misread", "struct pair[16], ref[]", misread, 0),
    RREF_METHOD("wait_by_another", "", wait_by_another, RREF_INLINE),
    RREF_METHOD("misbehave", "-> i64", misbehave, 0),
    RREF_METHOD("misbehave_inline", "-> i64", misbehave, RREF_INLINE),
    RREF_METHOD("answer_by_many", "-> i64", answer_by_many, 0),
    RREF_METHOD("never", "-> i64", never, 0),
    RREF_METHOD("wait", "i64", wait_somehow, 0),
    RREF_METHOD("block", "i64", block, 0),
    RREF_METHOD("down", "i64, i64 -> i64", down, 0),
    RREF_METHOD("pile_up", "i64", pile_up, 0),
    RREF_METHOD("open_gate", "", open_gate, 0),
    RREF_METHOD("call_masses", "i64", call_masses, 0),
    RREF_METHODS_END
};
static const rref_method methods[] = {
    RREF_METHOD("let_go", "ref -> i64", let_go, 0),
    RREF_METHOD("add", "i64, i64 -> i64", add, 0),
    RREF_METHODS_END
};
static const rref_class fiend = RREF_CLASS("fiend", "", create, destroy, methods);
static const rref_class *const classes[] = { &fiend, NULL };

/* ---- around each case */

/* Failures that nobody reads may do as they like, too. */
static void on_error(const rref_error *error, void *arg)
{
    rref_context *own = ctx;
    (void)error, (void)arg;
    atomic_fetch_add(&unread, rref_finalize(&own) == RREF_ERR_STATE ? 1 : 100);
}

static bool begin(void)
{
    atomic_store(&counted, 0);
    atomic_store(&unread, 0);
    atomic_store(&ended, 0);
    atomic_store(&owed_count, 0);
    atomic_store(&open_now, 0);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);       /* before there are threads of the library, which read it */
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    rref_options options = { .classes = classes, .functions = functions, .on_error = on_error };
    setenv("RREF_PARK_LIMIT", "65M", 1);        /* as by default; with little room each call of a recursion waits for 0.1 s */
    int rc = rref_init(MPI_COMM_WORLD, &options, &ctx);
    CU_ASSERT_EQUAL(rc, RREF_OK);
    if (rc) return false;
    there = rref_root(ctx, (rank + 1) % ranks);
    next_fiend = rref_create(ctx, (rank + 1) % ranks, "fiend");
    gate = rref_promise(ctx, "");
    MPI_Barrier(MPI_COMM_WORLD);            /* others may call here now */
    return true;
}

static void end(void)
{
    well(ctx, ranks);
    rref_set(gate);
    OK(rref_future_release(gate));
    rref_release(next_fiend);
    OK(rref_finalize(&ctx));
    CU_ASSERT_PTR_NULL(ctx);
    CU_ASSERT_EQUAL(atomic_load(&ended), 1);
    CU_ASSERT_TRUE(atomic_load(&unread) < 100);
}

static bool have_counted(void *arg) { return atomic_load(&counted) >= *(int *)arg; }
static void wait_counted(int n) { CU_ASSERT_TRUE(check_until(have_counted, &n, 30)); }

/* ---- failing */

static void fails(void)
{
    if (!begin()) return;
    for (int way = 0; way < WAYS; way++) {
        int64_t i = -7;
        rref_error e;
        int rc = rref_sync(there, "fail", way, rref_out(&i));
        if (rc != RREF_ERR_SIGNATURE || i != -7) CU_ASSERT_EQUAL(rc, RREF_ERR_SIGNATURE);   /* one output of four */
        rref_future f = rref_async(there, "fail", way);
        GIVES(rref_wait(f, RREF_FOREVER), outcomes[way]);
        OK(rref_future_error(f, &e));
        CU_ASSERT_EQUAL(e.code, outcomes[way]);
        CU_ASSERT_EQUAL(e.rank, (rank + 1) % ranks);
        if (way == OTHER_CODE) CU_ASSERT_STRING_EQUAL(e.text, "one code told");
        if (way == PENDING_ALONE) CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "rref_defer"));
        OK(rref_future_release(f));
        GIVES(rref_sync(rref_root(ctx, rank), "fail", way), outcomes[way]);     /* in this thread */
        rref_last_error(ctx, &e);
        CU_ASSERT_EQUAL(e.code, outcomes[way]);
    }
    end();
}

static void lends_its_stack(void)
{
    if (!begin()) return;
    for (int own = 0; own < 2; own++) {
        double x[64] = { 0 };
        size_t n = 0;
        OK(rref_sync(own ? rref_root(ctx, rank) : there, "lend", rref_out_array(x, (size_t)64, &n)));
        CU_ASSERT_EQUAL(n, 64);
        for (int i = 0; i < 64; i++) CU_ASSERT_EQUAL(x[i], i);
    }
    end();
}

static void waits_by_another(void)
{
    if (!begin()) return;
    rref_sync_proxy in_time = rref_rpc_sync(there, check_patience(20));
    MPI_Barrier(MPI_COMM_WORLD);                /* the gates are there */
    GIVES(rref_invoke(in_time, "wait_by_another"), RREF_ERR_BLOCKING);
    GIVES(rref_sync(rref_root(ctx, rank), "wait_by_another"), RREF_ERR_BLOCKING);
    MPI_Barrier(MPI_COMM_WORLD);                /* ... still */
    end();
}

static void misreads_once(void)
{
    struct pair { double x, y; } own = { 1, 2 };
    if (!begin()) return;
    GIVES(rref_sync(there, "misread", rref_structs("pair", &own, 1), rref_array(&there, 1)), RREF_ERR_SIGNATURE);
    MPI_Barrier(MPI_COMM_WORLD);
    CU_ASSERT_EQUAL(atomic_load(&misreads), 0);
    end();
}

static void misbehaves(void)
{
    int64_t bad = -1;
    if (!begin()) return;
    OK(rref_sync(there, "misbehave", rref_out(&bad)));
    CU_ASSERT_EQUAL(bad, 0);
    OK(rref_sync(there, "misbehave_inline", rref_out(&bad)));
    CU_ASSERT_EQUAL(bad, 0);
    OK(rref_sync(rref_root(ctx, rank), "misbehave", rref_out(&bad)));   /* in this thread */
    CU_ASSERT_EQUAL(bad, 0);
    end();
}

/* ---- answers */

static void never_answers(void)
{
    if (!begin()) return;
    rref_sync_proxy hasty = rref_rpc_sync(there, 0.02);
    for (int i = 0; i < 10; i++) GIVES(rref_invoke(hasty, "never"), RREF_ERR_TIMEOUT);
    rref_future given_up = rref_async(there, "never");
    OK(rref_cancel(given_up));
    GIVES(rref_wait(given_up, RREF_FOREVER), RREF_ERR_CANCELLED);
    OK(rref_future_release(given_up));
    well(ctx, ranks);
    MPI_Barrier(MPI_COMM_WORLD);
    rref_fence(ctx, 0.01);                  /* what nobody waits for may still be owed: it is answered to nobody */
    int n = atomic_load(&owed_count);
    CU_ASSERT_TRUE(n > 0 && n <= 11);
    for (int i = 0; i < n; i++) rref_complete((rref_deferred){ atomic_load(&owed[i]) }, 5);
    end();
}

static void *answer_late(void *arg)
{
    (void)arg;
    for (int i = 0; i < atomic_load(&owed_count); i++) rref_complete((rref_deferred){ atomic_load(&owed[i]) }, 5);
    return NULL;
}

static bool owes_some(void *arg) { return (void)arg, atomic_load(&owed_count) > 0; }

/* By a thread of the application, when the caller has given up and released all it had. */
static void answers_to_nobody(void)
{
    pthread_t thread;
    if (!begin()) return;
    for (int i = 0; i < 20; i++) {
        rref_future f = rref_async(there, "never");
        OK(rref_cancel(f));
        GIVES(rref_test(f), RREF_ERR_CANCELLED);
        OK(rref_future_release(f));
    }
    MPI_Barrier(MPI_COMM_WORLD);            /* before any is answered all have been given up */
    CU_ASSERT_TRUE(check_until(owes_some, NULL, 20));
    CU_ASSERT_EQUAL(pthread_create(&thread, NULL, answer_late, NULL), 0);
    pthread_join(thread, NULL);
    MPI_Barrier(MPI_COMM_WORLD);
    well(ctx, ranks);
    while (rref_fence(ctx, 0.05) == RREF_ERR_TIMEOUT) answer_late(NULL);
    end();
}

static void answers_twice(void)
{
    int64_t x = 0;
    if (!begin()) return;
    for (int i = 0; i < 20; i++) {
        OK(rref_sync(there, "answer_by_many", rref_out(&x)));
        CU_ASSERT_EQUAL(x, 1);
    }
    end();
}

static void lets_go_of_itself(void)
{
    int64_t rc = 0, sum = 0;
    if (!begin()) return;
    OK(rref_sync(next_fiend, "let_go", next_fiend, rref_out(&rc)));
    CU_ASSERT_EQUAL(rc, RREF_ERR_HANDLE);
    if (ranks > 1) {                        /* on one rank it was this program's own handle */
        OK(rref_sync(next_fiend, "add", 1, 2, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, 3);
    }
    end();
}

/* ---- blocking */

static void waits(void)
{
    rref_future f[6];
    if (!begin()) return;
    for (int i = 0; i < 6; i++) f[i] = rref_async(there, "wait", i % 3);
    wait_counted(6);
    for (int i = 0; i < 6; i++) CU_ASSERT_FALSE(rref_done(f[i]));
    well(ctx, ranks);
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_set(gate));
    OK(rref_wait_all(f, 6, RREF_FOREVER));
    MPI_Barrier(MPI_COMM_WORLD);            /* the gate of this rank is let go of when nobody is on the way to it */
    for (int i = 0; i < 6; i++) OK(rref_future_release(f[i]));
    end();
}

static void let_out(int busy)
{
    pthread_mutex_unlock(&mutex);
    if (busy == IN_RECEIVE) MPI_Send(NULL, 0, MPI_BYTE, (rank + 1) % ranks, TAG, apart);
    atomic_store(&open_now, 1);
    CU_ASSERT_EQUAL(write(pipe_ends[1], "x", 1), 1);
}

/* Those that keep a core busy, MPI_Recv among them, count as computing: there may be RREF_WORKERS of them. */
static void block_in(int busy)
{
    rref_future f[3];
    pthread_mutex_lock(&mutex);
    if (!begin()) return;
    f[0] = rref_async(there, "block", busy);
    f[1] = rref_async(there, "block", IN_MUTEX);
    f[2] = rref_async(there, "block", IN_PIPE);
    wait_counted(3);
    well(ctx, ranks);
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < 3; i++) CU_ASSERT_FALSE(rref_done(f[i]));
    MPI_Barrier(MPI_COMM_WORLD);
    let_out(busy);
    OK(rref_wait_all(f, 3, RREF_FOREVER));
    for (int i = 0; i < 3; i++) OK(rref_future_release(f[i]));
    end();
}

static void blocks(void)
{
    CU_ASSERT_EQUAL(pipe(pipe_ends), 0);
    MPI_Comm_dup(MPI_COMM_WORLD, &apart);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (ranks > 1) block_in(IN_RECEIVE);        /* a rank alone would send to itself, which not every MPI does between threads */
    block_in(IN_SPIN);
    MPI_Comm_free(&apart);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* ---- recursion */

/* Ranks one after the other, so that the bound is one chain's. */
static void in_turns(void (*run)(void))
{
    for (int turn = 0; turn < ranks; turn++) {
        if (turn == rank) run();
        MPI_Barrier(MPI_COMM_WORLD);
    }
}

static int go_down(int64_t depth, int64_t step, int64_t *reached)
{
    *reached = -1;
    return rref_sync(rref_root(ctx, (rank + (int)step) % ranks), "down", depth, step, rref_out(reached));
}

static bool reaches_the_bound(void *unused)
{
    int64_t reached;
    (void)unused;
    return go_down((int64_t)BOUND * ranks, 1, &reached) == RREF_OK && reached == (int64_t)BOUND * ranks + 1;
}

/* A chain that goes round the ranks: as many handlers wait on each as the chain has gone round. */
static void to_the_bound(void)
{
    int64_t reached;
    for (int64_t depth = 1; depth <= (int64_t)BOUND * ranks; depth += ranks > 1 ? 1 : BOUND - 1) {
        OK(go_down(depth, 1, &reached));
        CU_ASSERT_EQUAL(reached, depth + 1);
    }
    if (ranks == 1) return;                 /* a call of the own rank that runs in its caller blocks nobody */
    /* The last method on each rank may have sent its call and not be counted yet. */
    GIVES(go_down((int64_t)(BOUND + 1) * ranks + 1, 1, &reached), RREF_ERR_TOO_DEEP);
    CU_ASSERT_EQUAL(reached, -1);
    CU_ASSERT_TRUE(check_until(reaches_the_bound, NULL, 10));       /* what it had sent, and given up, may still be under way */
}

static void recurses_over_ranks(void)
{
    char bound[16];
    snprintf(bound, sizeof bound, "%d", BOUND);
    setenv("RREF_MAX_BLOCKED", bound, 1);
    if (begin()) {
        in_turns(to_the_bound);
        end();
    }
    unsetenv("RREF_MAX_BLOCKED");
}

static void into_itself(void)
{
    int64_t reached;
    GIVES(go_down(1000000, 0, &reached), RREF_ERR_TOO_DEEP);
    CU_ASSERT_EQUAL(reached, -1);
    if (ranks > 1) GIVES(rref_sync(there, "down", 1000000, 0, rref_out(&reached)), RREF_ERR_TOO_DEEP);
    OK(go_down(10, 0, &reached));
    CU_ASSERT_EQUAL(reached, 11);
}

/* On one rank, where calls run in their callers: without end, from this thread and from a library thread. */
static void recurses_here(void)
{
    setenv("RREF_MAX_BLOCKED", "100", 1);
    if (begin()) {
        in_turns(into_itself);
        MPI_Barrier(MPI_COMM_WORLD);
        end();
    }
    unsetenv("RREF_MAX_BLOCKED");
}

/* As many as may, and one more. */
static void pile_up_there(void)
{
    rref_future many = rref_async(there, "pile_up", 101);
    GIVES(rref_wait(many, RREF_FOREVER), RREF_ERR_TOO_DEEP);
    OK(rref_future_release(many));
    OK(rref_sync(there, "open_gate"));
}

static void blocks_without_end(void)
{
    setenv("RREF_MAX_BLOCKED", "100", 1);
    for (int fewer = 0; fewer < 2; fewer++) {
        if (!begin()) break;
        rref_future few = fewer ? rref_async(there, "pile_up", 100) : (rref_future){ 0 };
        if (fewer) wait_counted(1);
        MPI_Barrier(MPI_COMM_WORLD);
        if (fewer) OK(rref_sync(there, "open_gate"));
        else if (rank == 0) pile_up_there();
        if (fewer) OK(rref_wait(few, RREF_FOREVER));
        if (fewer) OK(rref_future_release(few));
        MPI_Barrier(MPI_COMM_WORLD);
        end();
    }
    unsetenv("RREF_MAX_BLOCKED");
}

/* ---- masses */

static void calls_masses(void)
{
    int n = getenv("RREF_TEST_FULL") ? LONG : SHORT;
    if (!begin()) return;
    OK(rref_sync(there, "call_masses", n));
    wait_counted(n);
    CU_ASSERT_EQUAL(atomic_load(&counted), n);
    MPI_Barrier(MPI_COMM_WORLD);
    end();
}

/* ---- callbacks that do the same */

static rref_future kept;

static void callback_finalizes(rref_future f, void *arg)
{
    rref_context *own = ctx;
    (void)arg;
    bool good = rref_finalize(&own) == RREF_ERR_STATE && own == ctx && rref_fence(own, 1) == RREF_ERR_STATE && rref_done(f);
    atomic_fetch_add(&counted, good ? 1 : 1000);
}

static void callback_waits(rref_future f, void *arg)
{
    (void)f, (void)arg;
    atomic_fetch_add(&counted, rref_wait(gate, RREF_FOREVER) == RREF_OK ? 1 : 1000);
}

static void callback_waits_inline(rref_future f, void *arg)
{
    (void)f, (void)arg;
    atomic_fetch_add(&counted, rref_wait(gate, RREF_FOREVER) == RREF_ERR_BLOCKING ? 1 : 1000);
}

static void callback_releases(rref_future f, void *arg)
{
    (void)arg;
    while (rref_future_release(f) == RREF_OK) continue;
    atomic_fetch_add(&counted, 1);
}

static void callback_again(rref_future f, void *arg)
{
    int *left = arg;
    if (--*left > 0) rref_on_complete(f, callback_again, left, *left % 3 ? 0 : RREF_INLINE);
    else atomic_fetch_add(&counted, 1);
}

static void callback_calls_masses(rref_future f, void *arg)
{
    (void)f;
    for (int i = *(int *)arg; i > 0; i--) rref_post(there, "count");
}

static void callback_recurses(rref_future f, void *arg)
{
    int64_t reached;
    (void)f, (void)arg;
    atomic_fetch_add(&counted, go_down(1000000, 0, &reached) == RREF_ERR_TOO_DEEP ? 1 : 1000);
}

static void watch(rref_callback callback, void *arg, unsigned flags)
{
    rref_future f = rref_async(there, "add", 1, 2);
    OK(rref_on_complete(f, callback, arg, flags));
    int rc = rref_future_release(f);
    CU_ASSERT_TRUE(rc == RREF_OK || (rc == RREF_ERR_HANDLE && callback == callback_releases));  /* it takes all counts */
}

static int and_then(rref_call *c, rref_future parent, void *arg)
{
    rref_context *own = ctx;
    (void)parent, (void)arg;
    if (rref_finalize(&own) != RREF_ERR_STATE || rref_defer(c).bits) return RREF_ERR_USER - 8;
    return RREF_PENDING;
}

static rref_future itself(rref_future parent, void *arg)
{
    (void)arg;
    rref_future_retain(parent);
    return parent;
}

static rref_future nothing(rref_future parent, void *arg) { return (void)parent, (void)arg, (rref_future){ 0 }; }
static rref_future stale(rref_future parent, void *arg) { return (void)parent, (void)arg, (rref_future){ 98765 }; }

static rref_future child(rref_future parent, void *arg)
{
    (void)parent, (void)arg;
    rref_wait(gate, RREF_FOREVER);          /* until the child's handle is known */
    rref_future_retain(kept);
    return kept;
}

static void callbacks_from_hell(void)
{
    int again = 300, masses = 1000;
    if (!begin()) return;
    watch(callback_finalizes, NULL, 0);
    watch(callback_finalizes, NULL, RREF_INLINE);
    watch(callback_waits_inline, NULL, RREF_INLINE);
    watch(callback_releases, NULL, 0);
    watch(callback_releases, NULL, RREF_INLINE);
    watch(callback_again, &again, 0);
    watch(callback_recurses, NULL, 0);
    wait_counted(7);
    for (int i = 0; i < 20; i++) watch(callback_waits, NULL, 0);
    well(ctx, ranks);
    CU_ASSERT_EQUAL(atomic_load(&counted), 7);
    OK(rref_set(gate));
    wait_counted(27);
    MPI_Barrier(MPI_COMM_WORLD);            /* the masses come to other ranks' counts */
    watch(callback_calls_masses, &masses, 0);
    wait_counted(27 + masses);
    MPI_Barrier(MPI_COMM_WORLD);
    end();
}

static void gives(rref_future f, int wanted)
{
    GIVES(rref_wait(f, check_patience(20)), wanted);
    OK(rref_future_release(f));
}

static void continuations_from_hell(void)
{
    if (!begin()) return;
    rref_future f = rref_async(there, "add", 1, 2);
    gives(rref_then(f, "", and_then, NULL), RREF_ERR_STATE);
    gives(rref_chain(f, itself, NULL), RREF_OK);
    gives(rref_chain(f, nothing, NULL), RREF_ERR_HANDLE);
    gives(rref_chain(f, stale, NULL), RREF_ERR_HANDLE);
    kept = rref_chain(f, child, NULL);      /* a future that becomes itself */
    OK(rref_set(gate));
    gives(kept, RREF_ERR_ARGUMENT);
    rref_future own = rref_promise(ctx, "");
    GIVES(rref_link(own, own), RREF_ERR_ARGUMENT);
    OK(rref_set(own));
    OK(rref_future_release(own));
    OK(rref_future_release(f));
    end();
}

static const check_case cases[] = {
    { "fails", fails },
    { "lends_its_stack", lends_its_stack },
    { "waits_by_another", waits_by_another },
    { "misbehaves", misbehaves },
    { "misreads_once", misreads_once },
    { "never_answers", never_answers },
    { "answers_to_nobody", answers_to_nobody },
    { "answers_twice", answers_twice },
    { "lets_go_of_itself", lets_go_of_itself },
    { "waits", waits },
    { "blocks", blocks },
    { "recurses_over_ranks", recurses_over_ranks },
    { "recurses_here", recurses_here },
    { "blocks_without_end", blocks_without_end },
    { "calls_masses", calls_masses },
    { "callbacks_from_hell", callbacks_from_hell },
    { "continuations_from_hell", continuations_from_hell },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "hostile", cases); }
