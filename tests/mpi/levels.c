/* SPDX-License-Identifier: BSD-3-Clause */
/* Below MPI_THREAD_MULTIPLE: the library starts no thread, and says who may do what. The level goes by the number of ranks, so
 * that the usual runs see all of them, unless RREF_TEST_LEVEL says it. */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

static rref_context *ctx;
static rref there;                      /* the root object of the next rank */
static int level;

static int add(rref_call *c, void *self)
{
    (void)self;
    return rref_return(c, rref_arg_i64(c, 0) + rref_arg_i64(c, 1));
}

/* Asks the next rank, which may be in a wait itself. */
static int add_there(rref_call *c, void *self)
{
    int64_t sum = 0;
    rref_context *own = rref_call_context(c);
    (void)self;
    int rc = rref_sync(rref_root(own, (rref_rank(own) + 1) % rref_size(own)), "add", rref_arg_i64(c, 0), 1, rref_out(&sum));
    return rc ? rc : rref_return(c, sum);
}

/* What another thread is told while this one is in the library. */
static void *overlap(void *arg)
{
    int *codes = arg;
    rref_context *other = NULL;
    rref_future pending = rref_promise(ctx, "");
    codes[0] = rref_progress(ctx);
    codes[1] = rref_fence(ctx, 1);
    codes[2] = level == MPI_THREAD_FUNNELED ? rref_init(MPI_COMM_SELF, NULL, &other) : rref_wait(pending, 20);
    rref_context *same = ctx;
    codes[3] = rref_finalize(&same);
    rref_future_release(pending);
    return NULL;
}

static int ask_in_a_thread(rref_call *c, void *self)
{
    pthread_t thread;
    int codes[4] = { 0 }, wrong = 0;
    (void)self;
    if (pthread_create(&thread, NULL, overlap, codes)) return RREF_ERR_SYSTEM;
    pthread_join(thread, NULL);
    for (int i = 0; i < 4; i++) wrong += codes[i] != RREF_ERR_THREAD;
    return rref_return(c, wrong);
}

static const rref_method functions[] = {
    RREF_METHOD("add", "i64, i64 -> i64", add, 0),
    RREF_METHOD("add_there", "i64 -> i64", add_there, 0),
    RREF_METHOD("ask_in_a_thread", "-> i64", ask_in_a_thread, 0),
    RREF_METHODS_END
};

static int create(rref_call *c, void **self)
{
    *self = malloc(sizeof(int64_t));
    if (!*self) return RREF_ERR_NO_MEMORY;
    *(int64_t *)*self = rref_arg_i64(c, 0);
    return RREF_OK;
}

static int grow(rref_call *c, void *self) { return rref_return(c, *(int64_t *)self += rref_arg_i64(c, 0)); }

static const rref_method methods[] = { RREF_METHOD("grow", "i64 -> i64", grow, 0), RREF_METHODS_END };
static const rref_class number_class = RREF_CLASS("number", "i64", create, free, methods);
static const rref_class *const classes[] = { &number_class, NULL };

static bool begin(void)
{
    const rref_options options = { .functions = functions, .classes = classes };
    OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
    if (!ctx) return false;
    MPI_Query_thread(&level);
    there = rref_root(ctx, (rref_rank(ctx) + 1) % rref_size(ctx));
    return true;
}

static void end(void) { OK(rref_finalize(&ctx)); }

/* ---- cases */

static void calls_of_all_kinds(void)
{
    enum { MANY = 50 };
    rref_future f[MANY];
    rref_statistics s;
    int64_t n = 0;
    if (!begin()) return;
    OK(rref_sync(there, "add", 2, 3, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 5);
    OK(rref_sync(there, "add_there", 2, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 3);
    for (int i = 0; i < MANY; i++) f[i] = rref_async(there, i % 2 ? "add_there" : "add", i, i);
    for (int i = 0; i < MANY; i++) {
        int rc = rref_wait(f[i], RREF_FOREVER);
        CU_ASSERT_EQUAL(rc, i % 2 ? RREF_ERR_SIGNATURE : RREF_OK);
        OK(rref_future_release(f[i]));
    }
    rref r = rref_create(ctx, rref_owner(there), "number", 5), kept = rref_remote(r, "grow", 1);
    OK(rref_post(r, "grow", 10));
    OK(rref_sync(r, "grow", 0, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 16);
    OK(rref_to_here(kept, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 6);
    OK(rref_release(kept));
    OK(rref_release(r));
    OK(rref_fence(ctx, RREF_FOREVER));
    OK(rref_stats(ctx, &s));
    CU_ASSERT_EQUAL(s.threads, 0);
    CU_ASSERT_EQUAL(s.objects, 0);
    end();
}

typedef struct errand {
    atomic_int done;
    int rc;
    int64_t sum;
} errand;

/* Calls and waits like any other. */
static void *call_in_a_thread(void *arg)
{
    errand *e = arg;
    e->rc = rref_sync(there, "add", 20, 22, rref_out(&e->sum));
    atomic_store(&e->done, 1);
    return NULL;
}

/* Funneled: the other thread's wait sleeps until this one comes by. Serialized: it drives, while this one is outside. */
static void other_threads(void)
{
    pthread_t thread;
    errand e = { .rc = RREF_ERR_USER };
    int64_t wrong = -1;
    if (!begin()) return;
    if (level > MPI_THREAD_SINGLE) {
        CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, call_in_a_thread, &e), 0);
        while (level == MPI_THREAD_FUNNELED && !atomic_load(&e.done)) OK(rref_progress(ctx));
        pthread_join(thread, NULL);
        OK(e.rc);
        CU_ASSERT_EQUAL(e.sum, 42);
        OK(rref_sync(there, "ask_in_a_thread", rref_out(&wrong)));
        CU_ASSERT_EQUAL(wrong, 0);
    }
    end();
}

/* Two contexts, each driven in the other's waits as well as needed: neither holds up the other. */
static void two_contexts(void)
{
    rref_context *second = NULL;
    const rref_options options = { .functions = functions, .classes = classes };
    int64_t n = 0;
    if (!begin()) return;
    OK(rref_init(MPI_COMM_WORLD, &options, &second));
    if (second) {
        rref other = rref_root(second, rref_owner(there));
        for (int i = 0; i < 5; i++) {
            OK(rref_sync(there, "add", i, 1, rref_out(&n)));
            CU_ASSERT_EQUAL(n, i + 1);
        }
        OK(rref_fence(ctx, RREF_FOREVER));
        OK(rref_sync(other, "add", 1, 1, rref_out(&n)));
        CU_ASSERT_EQUAL(n, 2);
        OK(rref_finalize(&second));
    }
    OK(rref_sync(there, "add", 1, 2, rref_out(&n)));
    CU_ASSERT_EQUAL(n, 3);
    end();
}

static const check_case cases[] = {
    { "calls_of_all_kinds", calls_of_all_kinds }, { "other_threads", other_threads }, { "two_contexts", two_contexts }, CHECK_END
};

static const char *level_for(const char *ranks)
{
    int n = ranks ? atoi(ranks) : 1;
    return n == 1 || n == 8 ? "single" : n == 2 || n == 4 ? "serialized" : "funneled";
}

int main(int argc, char **argv)
{
    const char *ranks = getenv("OMPI_COMM_WORLD_SIZE");
    setenv("RREF_TEST_LEVEL", level_for(ranks ? ranks : getenv("PMI_SIZE")), 0);
    return check_mpi_main(argc, argv, "levels", cases);
}
