/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers that come later: from whom, in which mode, with what, and what happens when they do not come. */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { OWED = 256 };

static int rank, ranks;
static rref_context *ctx;
static rref there;                      /* the root object of the next rank */
static const char *progress;            /* of the contexts: NULL, or "application" */

/* ---- what the ranks do: answers owed are kept in one place per rank */

static pthread_mutex_t owed_lock = PTHREAD_MUTEX_INITIALIZER;
static rref_deferred owed[OWED];
static double owed_value[OWED];
static size_t owed_count;

static int later(rref_call *c, void *self)
{
    (void)self;
    double x = rref_arg_f64(c, 0);
    rref_deferred d = rref_defer(c);
    if (!d.bits) return RREF_ERR_STATE;
    pthread_mutex_lock(&owed_lock);
    bool room = owed_count < OWED;
    if (room) {
        owed[owed_count] = d;
        owed_value[owed_count++] = x;
    }
    pthread_mutex_unlock(&owed_lock);
    return room ? RREF_PENDING : rref_fail(c, RREF_ERR_STATE, "no room");
}

/* Answer all that is owed with the sum of what was given. */
static int answer_all(rref_call *c, void *self)
{
    double sum = 0;
    int64_t given_up = 0;
    (void)self;
    pthread_mutex_lock(&owed_lock);
    for (size_t i = 0; i < owed_count; i++) sum += owed_value[i];
    for (size_t i = 0; i < owed_count; i++) given_up += rref_complete(owed[i], sum) == RREF_ERR_COMPLETED;
    owed_count = 0;
    pthread_mutex_unlock(&owed_lock);
    return rref_return(c, given_up);
}

static int how_many(rref_call *c, void *self)
{
    (void)self;
    pthread_mutex_lock(&owed_lock);
    int64_t n = (int64_t)owed_count;
    pthread_mutex_unlock(&owed_lock);
    return rref_return(c, n);
}

static int at_once(rref_call *c, void *self)
{
    (void)self;
    double x = rref_arg_f64(c, 0);
    rref_deferred d = rref_defer(c);
    int rc = rref_complete(d, 2 * x);
    if (rc == RREF_OK) rc = rref_complete(d, 3 * x) == RREF_ERR_COMPLETED ? RREF_OK : RREF_ERR_STATE;
    if (rc == RREF_OK && rref_complete_error(d, RREF_ERR_USER, "too late") != RREF_ERR_COMPLETED) rc = RREF_ERR_STATE;
    return rc == RREF_OK ? RREF_PENDING : rref_fail(c, RREF_ERR_USER - 1, "completed with %d", rc);
}

typedef struct errand {
    rref_deferred deferred;
    size_t count;
} errand;

static void *run_errand(void *arg)
{
    errand *e = arg;
    double *x = malloc((e->count + 1) * sizeof *x);
    for (size_t i = 0; x && i < e->count; i++) x[i] = (double)i;
    if (x) rref_complete(e->deferred, rref_array(x, e->count), (uint64_t)e->count);
    else rref_complete_error(e->deferred, RREF_ERR_NO_MEMORY, "no memory for %zu", e->count);
    free(x);
    free(e);
    return NULL;
}

/* Answered by a thread the library knows nothing of. */
static int by_thread(rref_call *c, void *self)
{
    pthread_t thread;
    errand *e = malloc(sizeof *e);
    (void)self;
    if (!e) return RREF_ERR_NO_MEMORY;
    *e = (errand){ .count = rref_arg_u64(c, 0) };
    e->deferred = rref_defer(c);
    if (pthread_create(&thread, NULL, run_errand, e)) {
        free(e);
        return rref_fail(c, RREF_ERR_SYSTEM, "no thread");
    }
    pthread_detach(thread);
    return RREF_PENDING;
}

/* Answered with the future of a call to the next rank, `hops` times. */
static int relay(rref_call *c, void *self)
{
    (void)self;
    int64_t hops = rref_arg_i64(c, 0);
    double x = rref_arg_f64(c, 1);
    rref_context *own = rref_call_context(c);
    rref next = rref_root(own, (rref_rank(own) + 1) % rref_size(own));
    rref_deferred d = rref_defer(c);
    rref_future f = hops > 0 ? rref_async(next, "relay", hops - 1, x + 1) : rref_async(next, "double_it", x);
    int rc = rref_complete_with(d, f);
    rref_future_release(f);
    return rc == RREF_OK ? RREF_PENDING : rc;
}

static int double_it(rref_call *c, void *self)
{
    (void)self;
    double x = rref_arg_f64(c, 0);
    return x < 0 ? rref_fail(c, RREF_ERR_USER - 5, "%g is negative", x) : rref_return(c, 2 * x);
}

static int fails_after(rref_call *c, void *self)
{
    (void)self;
    rref_defer(c);
    return rref_fail(c, RREF_ERR_USER - 2, "changed its mind");
}

static int completes_with_error(rref_call *c, void *self)
{
    (void)self;
    rref_complete_error(rref_defer(c), RREF_ERR_USER - 3, "lost by %d", 42);
    return RREF_PENDING;
}

static int defers_twice(rref_call *c, void *self)
{
    (void)self;
    rref_deferred d = rref_defer(c);
    int right = rref_defer(c).bits == 0;
    rref_complete(d, (int64_t)right);
    return RREF_PENDING;
}

static int returns_ok(rref_call *c, void *self)
{
    (void)self;
    rref_defer(c);
    return RREF_OK;
}

static int only_pending(rref_call *c, void *self)
{
    (void)c, (void)self;
    return RREF_PENDING;
}

static int wrong_type(rref_call *c, void *self)
{
    (void)self;
    rref_deferred d = rref_defer(c);
    int rc = rref_complete(d, "text");
    rref_complete(d, (int64_t)rc);
    return RREF_PENDING;
}

static int back(rref_call *c, void *self)
{
    (void)self;
    rref_complete(rref_defer(c), rref_arg_ref(c, 0));
    return RREF_PENDING;
}

static const rref_method functions[] = {
    RREF_METHOD("later", "f64 -> f64", later, 0),
    RREF_METHOD("answer_all", "-> i64", answer_all, 0),
    RREF_METHOD("how_many", "-> i64", how_many, 0),
    RREF_METHOD("at_once", "f64 -> f64", at_once, 0),
    RREF_METHOD("at_once_inline", "f64 -> f64", at_once, RREF_INLINE),
    RREF_METHOD("at_once_worker", "f64 -> f64", at_once, RREF_WORKER),
    RREF_METHOD("at_once_concurrent", "f64 -> f64", at_once, RREF_CONCURRENT),
    RREF_METHOD("by_thread", "u64 -> f64[], u64", by_thread, 0),
    RREF_METHOD("relay", "i64, f64 -> f64", relay, 0),
    RREF_METHOD("double_it", "f64 -> f64", double_it, 0),
    RREF_METHOD("fails_after", "-> i64", fails_after, 0),
    RREF_METHOD("completes_with_error", "", completes_with_error, 0),
    RREF_METHOD("defers_twice", "-> i64", defers_twice, 0),
    RREF_METHOD("returns_ok", "", returns_ok, 0),
    RREF_METHOD("only_pending", "", only_pending, 0),
    RREF_METHOD("wrong_type", "-> i64", wrong_type, 0),
    RREF_METHOD("back", "ref -> ref", back, 0),
    RREF_METHODS_END
};

static atomic_int failures, failure_code;

static void note(const rref_error *e, void *arg)
{
    (void)arg;
    atomic_store(&failure_code, e->code);
    atomic_fetch_add(&failures, 1);
}

static bool begin(void)
{
    ctx = NULL;
    const rref_options options = { .functions = functions, .on_error = note, .progress = progress };
    atomic_store(&failures, 0);
    OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
    if (!ctx) return false;
    rank = rref_rank(ctx);
    ranks = rref_size(ctx);
    there = rref_root(ctx, (rank + 1) % ranks);
    return true;
}

/* ---- cases */

static bool all_owed(void *arg)
{
    int64_t n = 0;
    return rref_sync(there, "how_many", rref_out(&n)) == RREF_OK && n == *(int64_t *)arg;
}

/* Each rank's neighbour owes it all answers, and gives them together. The root object is free meanwhile. */
static void answered_together(void)
{
    enum { N = 100 };
    rref_future f[N];
    int64_t n = N, given_up = -1;
    double x = 0;
    if (!begin()) return;
    for (int i = 0; i < N; i++) f[i] = rref_async(there, "later", (double)i);
    CU_ASSERT_TRUE(check_until(all_owed, &n, 30));
    for (int i = 0; i < N; i++) CU_ASSERT_FALSE(rref_done(f[i]));
    OK(rref_sync(there, "answer_all", rref_out(&given_up)));
    CU_ASSERT_EQUAL(given_up, 0);
    for (int i = 0; i < N; i++) {
        OK(rref_wait(f[i], RREF_FOREVER));
        OK(rref_get(f[i], rref_out(&x)));
        CU_ASSERT_EQUAL(x, N * (N - 1) / 2);
        OK(rref_future_release(f[i]));
    }
    OK(rref_finalize(&ctx));
}

/* By every kind of call, to a neighbour and to the own rank, wherever the method runs. */
static void every_mode(void)
{
    static const char *const methods[] = { "at_once", "at_once_inline", "at_once_worker", "at_once_concurrent" };
    if (!begin()) return;
    for (int own = 0; own < 2; own++)
        for (int i = 0; i < 4; i++) {
            double x = 0;
            rref to = own ? rref_root(ctx, rank) : there;
            OK(rref_sync(to, methods[i], 1.5, rref_out(&x)));
            CU_ASSERT_EQUAL(x, 3);
            OK(rref_sync(to, methods[i], 1.5));
            OK(rref_sync(rref_bind(to, methods[i]), 4.0, rref_out(&x)));
            CU_ASSERT_EQUAL(x, 8);
            rref_future f = rref_async(to, methods[i], 2.5);
            OK(rref_wait(f, RREF_FOREVER));
            OK(rref_get(f, rref_out(&x)));
            CU_ASSERT_EQUAL(x, 5);
            OK(rref_future_release(f));
            OK(rref_post(to, methods[i], 1.0));
        }
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&failures), 0);
}

/* Small and large results from a foreign thread. */
static void from_a_thread(void)
{
    static const size_t sizes[] = { 0, 1, 100, 2000, 9000, 300000 };
    if (!begin()) return;
    for (int own = 0; own < 2; own++)
        for (int i = 0; i < 6; i++) {
            size_t n = 1, wanted = sizes[i];
            uint64_t said = 0;
            double *x = calloc(wanted + 1, sizeof *x);
            if (!x) return;
            rref to = own ? rref_root(ctx, rank) : there;
            OK(rref_sync(to, "by_thread", wanted, rref_out_array(x, wanted, &n), rref_out(&said)));
            CU_ASSERT_EQUAL(n, wanted);
            CU_ASSERT_EQUAL(said, wanted);
            CU_ASSERT_EQUAL(x[wanted ? wanted - 1 : 0], wanted ? (double)(wanted - 1) : 0);
            free(x);
        }
    OK(rref_finalize(&ctx));
}

static void relayed(void)
{
    double x = 0;
    rref_error e;
    rref_future f[64];
    if (!begin()) return;
    for (int64_t hops = 0; hops < 6; hops++) {
        OK(rref_sync(there, "relay", hops, 1.0, rref_out(&x)));
        CU_ASSERT_EQUAL(x, 2 * (1.0 + (double)hops));
    }
    for (int i = 0; i < 64; i++) f[i] = rref_async(rref_root(ctx, i % ranks), "relay", 1 + i % 5, (double)i);
    for (int i = 0; i < 64; i++) {
        OK(rref_wait(f[i], RREF_FOREVER));
        OK(rref_get(f[i], rref_out(&x)));
        CU_ASSERT_EQUAL(x, 2.0 * (i + 1 + i % 5));
        OK(rref_future_release(f[i]));
    }
    GIVES(rref_sync(there, "relay", 3, -10.0, rref_out(&x)), RREF_ERR_USER - 5);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_STRING_EQUAL(e.text, "-7 is negative");
    OK(rref_finalize(&ctx));
}

static void failing(void)
{
    int64_t n = 0;
    rref_error e;
    if (!begin()) return;
    for (int own = 0; own < 2; own++) {
        rref to = own ? rref_root(ctx, rank) : there;
        GIVES(rref_sync(to, "fails_after", rref_out(&n)), RREF_ERR_USER - 2);
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_STRING_EQUAL(e.text, "changed its mind");
        GIVES(rref_sync(to, "completes_with_error"), RREF_ERR_USER - 3);
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_STRING_EQUAL(e.text, "lost by 42");
        CU_ASSERT_EQUAL(e.rank, own ? rank : (rank + 1) % ranks);
        GIVES(rref_sync(to, "returns_ok"), RREF_ERR_STATE);
        GIVES(rref_sync(to, "only_pending"), RREF_ERR_STATE);
        OK(rref_sync(to, "wrong_type", rref_out(&n)));
        CU_ASSERT_EQUAL(n, RREF_ERR_SIGNATURE);
        GIVES(rref_sync(to, "defers_twice", rref_out(&n)), RREF_OK);
        CU_ASSERT_EQUAL(n, 1);
    }
    atomic_store(&failures, 0);
    OK(rref_post(there, "completes_with_error"));
    GIVES(rref_finalize(&ctx), RREF_ERR_ONEWAY);
    CU_ASSERT_EQUAL(atomic_load(&failures), 1);
    CU_ASSERT_EQUAL(atomic_load(&failure_code), RREF_ERR_USER - 3);
    GIVES(rref_complete((rref_deferred){ 0 }, 1), RREF_ERR_COMPLETED);
    GIVES(rref_complete_error((rref_deferred){ 0 }, RREF_ERR_USER, "x"), RREF_ERR_COMPLETED);
    CU_ASSERT_EQUAL(rref_defer(NULL).bits, 0);
}

static void references(void)
{
    if (!begin()) return;
    for (int i = 0; i < 20; i++) {
        rref same = { 0 }, own = rref_root(ctx, rank);
        OK(rref_sync(there, "back", own, rref_out(&same)));
        CU_ASSERT_EQUAL(rref_owner(same), rank);
        OK(rref_release(same));
    }
    OK(rref_finalize(&ctx));
}

/* The caller gives up; the answer comes after that, or never, and the end comes all the same. */
static void given_up(void)
{
    int64_t n = 1, late = 0;
    double x = 7;
    if (!begin()) return;
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_set_timeout(ctx, 0.05));
    GIVES(rref_sync(there, "later", 1.0, rref_out(&x)), RREF_ERR_TIMEOUT);
    CU_ASSERT_EQUAL(x, 7);
    GIVES(rref_sync(rref_root(ctx, rank), "later", 1.0, rref_out(&x)), RREF_ERR_TIMEOUT);
    OK(rref_set_timeout(ctx, RREF_FOREVER));
    MPI_Barrier(MPI_COMM_WORLD);            /* all have given up; each rank was asked twice, or once if it was too slow */
    if (rank % 2 == 0) {
        OK(rref_sync(there, "how_many", rref_out(&n)));
        CU_ASSERT_TRUE(n <= 2);
        OK(rref_sync(there, "answer_all", rref_out(&late)));
        CU_ASSERT_TRUE(late <= n);
    }
    OK(rref_finalize(&ctx));
    owed_count = 0;
}

static void application_driven(void)
{
    progress = "application";
    answered_together();
    every_mode();
    from_a_thread();
    relayed();
    failing();
    references();
    given_up();
    progress = NULL;
}

static const check_case cases[] = {
    { "answered_together", answered_together },
    { "every_mode", every_mode },
    { "from_a_thread", from_a_thread },
    { "relayed", relayed },
    { "failing", failing },
    { "references", references },
    { "given_up", given_up },
    { "application_driven", application_driven },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "deferred", cases); }
