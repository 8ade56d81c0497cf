/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A rank that does not take its answers. Rank 1 drives its own messages, and does not while rank 0 answers its calls: what rank 0
 * has for it stays within RREF_QUEUE_LIMIT, the results beyond are dropped, and others are served.
 */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { BYTES = 200 << 10, EAGER = 256 << 10, MESSAGE = EAGER + 8192, QUEUE = 8 << 20, CALLS = 400, SLACK = 24 << 20 };

static rref_context *ctx;
static int rank, ranks;
static rref owner, lender;              /* the root object of rank 0; an object there */
static rref_future gate;                /* of this rank, for which its lenders wait */
static unsigned char bytes[BYTES];

/* ---- what is called */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static rref_deferred owed[CALLS];
static int owed_count;

static int later(rref_call *c, void *self)
{
    (void)self;
    rref_deferred d = rref_defer(c);
    pthread_mutex_lock(&lock);
    owed[owed_count++] = d;
    pthread_mutex_unlock(&lock);
    return RREF_PENDING;
}

static int how_many(rref_call *c, void *self)
{
    (void)self;
    pthread_mutex_lock(&lock);
    int64_t n = owed_count;
    pthread_mutex_unlock(&lock);
    return rref_return(c, n);
}

static int create(rref_call *c, void **self) { return (void)c, *self = bytes, RREF_OK; }
static int touch(rref_call *c, void *self) { return (void)self, rref_return_i64(c, 1); }

static int lend(rref_call *c, void *self)
{
    int rc = rref_wait(gate, RREF_FOREVER);
    return rc ? rc : rref_return_borrowed(c, self, BYTES);
}

static const rref_method methods[] = {
    RREF_METHOD("lend", "-> bytes", lend, 0), RREF_METHOD("touch", "-> i64", touch, 0), RREF_METHODS_END
};
static const rref_method functions[] = {
    RREF_METHOD("later", "-> bytes, ref", later, 0), RREF_METHOD("how_many", "-> i64", how_many, 0), RREF_METHODS_END
};
static const rref_class lender_class = RREF_CLASS("lender", "", create, NULL, methods);
static const rref_class *const classes[] = { &lender_class, NULL };

/* ---- around it */

static bool begin(void)
{
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    check_set("RREF_EAGER", EAGER);
    check_set("RREF_QUEUE_LIMIT", QUEUE);
    if (rank == 1) setenv("RREF_PROGRESS", "application", 1);
    owed_count = 0;
    for (size_t i = 0; i < BYTES; i++) bytes[i] = (unsigned char)(i % 251);
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes, .functions = functions }, &ctx));
    unsetenv("RREF_EAGER");
    unsetenv("RREF_QUEUE_LIMIT");
    unsetenv("RREF_PROGRESS");
    if (!ctx) return false;
    ranks = rref_size(ctx);
    owner = rref_root(ctx, 0);
    gate = rref_promise(ctx, "");
    lender = rref_create(ctx, 0, "lender");
    OK(rref_sync(lender, "touch"));
    return true;
}

static rref_statistics stats(void)
{
    rref_statistics s = { 0 };
    OK(rref_stats(ctx, &s));
    return s;
}

static bool is_clear(void *arg)
{
    rref_statistics s = stats();
    (void)arg;
    return s.objects == 0 && s.queued == 0;
}

static void end(void)
{
    OK(rref_release(lender));
    OK(rref_future_release(gate));
    OK(rref_fence(ctx, RREF_FOREVER));
    if (rank == 0) CU_ASSERT_TRUE(check_until(is_clear, NULL, 10));     /* references in results that were dropped are back */
    OK(rref_finalize(&ctx));
}

/* Bytes of memory that this process has. */
static size_t resident(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*u %zu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * 4096;
}

/* ---- rank 0 */

static bool is_one_more(void *arg) { return stats().results_dropped == *(uint64_t *)arg + 1; }

static bool may_have_room(void) { return check_chaos("messages that are held back leave meanwhile, and make room for one more"); }

/* The borrowed result of the caller's last call is dropped as well, and its object is free. */
static void lend_in_vain(void)
{
    int64_t n = 0;
    rref_statistics s = stats();
    OK(rref_set(gate));
    if (!may_have_room()) CU_ASSERT_TRUE(check_until(is_one_more, &s.results_dropped, 10));
    OK(rref_sync(lender, "touch", rref_out(&n)));
    CU_ASSERT_EQUAL(n, 1);
}

static void answer_all(void)
{
    enum { MOST = QUEUE / MESSAGE };
    size_t before = resident();
    uint64_t most = 0;
    rref_deferred answer[CALLS];
    pthread_mutex_lock(&lock);
    memcpy(answer, owed, sizeof answer);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < CALLS; i++) {
        OK(rref_complete(answer[i], rref_bytes(bytes, BYTES), lender));
        rref_statistics s = stats();
        if (s.queued > most) most = s.queued;
    }
    if (!check_chaos("messages that are held back are of another size")) {
        CU_ASSERT_TRUE(most > QUEUE / 2 && most <= QUEUE + 4 * MESSAGE);
        CU_ASSERT_TRUE(stats().results_dropped >= CALLS - 2 * MOST);
    }
    if (check_patience(1) == 1) CU_ASSERT_TRUE(resident() < before + QUEUE + SLACK);
    lend_in_vain();
}

/* ---- rank 1 */

static void ask_all(rref_future f[], rref_future *lent)
{
    int64_t n = 0;
    for (int i = 0; i < CALLS; i++) f[i] = rref_async(owner, "later");
    *lent = rref_async(lender, "lend");
    while (n < CALLS && rref_sync(owner, "how_many", rref_out(&n)) == RREF_OK) {}
    CU_ASSERT_EQUAL(n, CALLS);
}

static void says_so(rref_future f, const char *where)
{
    rref_error e;
    GIVES(rref_test(f), RREF_ERR_RESULT_DROPPED);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_EQUAL(e.rank, 0);
    CU_ASSERT_STRING_EQUAL(e.where, where);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "the method has run on rank 0"));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "RREF_QUEUE_LIMIT"));
}

static bool take(rref_future f)
{
    static unsigned char got[BYTES];
    size_t n = 0;
    rref r = { 0 };
    int rc = rref_wait(f, RREF_FOREVER);
    if (rc) return says_so(f, "rank.later"), false;
    OK(rref_get(f, rref_out_bytes(got, BYTES, &n), rref_out(&r)));
    CU_ASSERT_TRUE(n == BYTES && !memcmp(got, bytes, BYTES));
    OK(rref_release(r));
    return true;
}

static void take_all(rref_future f[], rref_future lent)
{
    rref_statistics s;
    uint64_t taken = 0;
    for (int i = 0; i < CALLS; i++) {
        taken += take(f[i]);
        OK(rref_future_release(f[i]));
    }
    bool came = rref_wait(lent, RREF_FOREVER) == RREF_OK && may_have_room();
    if (!came) says_so(lent, "lender.lend");
    taken += came;
    OK(rref_future_release(lent));
    OK(rref_stats_of(ctx, 0, &s));
    CU_ASSERT_TRUE(taken >= QUEUE / MESSAGE);
    CU_ASSERT_EQUAL(s.results_dropped, CALLS + 1 - taken);
}

static void dropped(void)
{
    static rref_future f[CALLS], lent;
    int64_t n;
    if (!begin()) return;
    if (rank == 1) ask_all(f, &lent);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0 && ranks > 1) answer_all();
    for (int i = 0; rank > 1 && i < 100; i++) OK(rref_sync(owner, "how_many", rref_out(&n)));
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 1) take_all(f, lent);
    end();
}

static const check_case cases[] = { { "dropped", dropped }, CHECK_END };

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "dropped", cases); }
