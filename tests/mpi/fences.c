/* SPDX-License-Identifier: BSD-3-Clause */
/* Fences: what they wait for, what they do not, how they fail, and ends that not all ranks come to. */
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

static int rank, ranks;
static rref_context *ctx;

/* ---- what ranks do for each other: everything ends in `arrived` */

static _Atomic int64_t arrived, destroyed, released;
static atomic_int gate;

static rref next_of(rref_context *of) { return rref_root(of, (rref_rank(of) + 1) % rref_size(of)); }

/* One-way, from rank to rank. */
static int hop(rref_call *c, void *self)
{
    int64_t more = rref_arg_i64(c, 0);
    (void)self;
    atomic_fetch_add(&arrived, 1);
    return more > 0 ? rref_post(next_of(rref_call_context(c)), "hop", more - 1) : RREF_OK;
}

/* The same, the call not waited for and what follows made by its callback. */
static void after(rref_future f, void *arg)
{
    rref_context *of = arg;
    (void)f;
    atomic_fetch_add(&arrived, 1);
    rref_post(next_of(of), "hop", INT64_C(1));
}

static int by_callback(rref_call *c, void *self)
{
    rref_context *of = rref_call_context(c);
    (void)self;
    rref_future f = rref_async(next_of(of), "hop", INT64_C(0));
    rref_on_complete(f, after, of, 0);
    return rref_future_release(f);
}

static int take_array(rref_call *c, void *self)
{
    size_t n;
    const double *x = rref_arg_f64s(c, 0, &n);
    (void)self;
    atomic_fetch_add(&arrived, n && x[n - 1] == (double)n ? 1 : 0);
    return RREF_OK;
}

static int give_array(rref_call *c, void *self)
{
    size_t n = rref_arg_u64(c, 0);
    (void)self;
    double *x = calloc(n, sizeof *x);
    return x ? rref_return_owned(c, x, n, free) : RREF_ERR_NO_MEMORY;
}

static int fail(rref_call *c, void *self)
{
    (void)self;
    return rref_fail(c, RREF_ERR_USER - 1, "wrong %d", rref_arg_i32(c, 0));
}

static bool is_open(void *arg) { return atomic_load((atomic_int *)arg); }

static int wait_for_gate(rref_call *c, void *self)
{
    (void)self;
    if (!check_until(is_open, &gate, 60)) return rref_fail(c, RREF_ERR_USER, "the gate stayed shut");
    atomic_fetch_add(&arrived, 1);
    return RREF_OK;
}

/* Waits without using the CPU, and uses it without calling anybody. */
static pthread_mutex_t door_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t door_opened = PTHREAD_COND_INITIALIZER;
static bool door_is_open;

static int wait_at_door(rref_call *c, void *self)
{
    (void)c, (void)self;
    pthread_mutex_lock(&door_lock);
    while (!door_is_open) pthread_cond_wait(&door_opened, &door_lock);
    pthread_mutex_unlock(&door_lock);
    atomic_fetch_add(&arrived, 1);
    return RREF_OK;
}

static int compute(rref_call *c, void *self)
{
    double until = check_clock() + rref_arg_f64(c, 0);
    (void)self;
    while (check_clock() < until) {}
    atomic_fetch_add(&arrived, 1);
    return RREF_OK;
}

static int fence_here(rref_call *c, void *self)
{
    (void)self;
    return rref_return_i64(c, rref_fence(rref_call_context(c), 1.0));
}

static int finalize_here(rref_call *c, void *self)
{
    rref_context *of = rref_call_context(c);
    (void)self;
    return rref_return_i64(c, rref_finalize(&of));
}

static int rank_0_is_there(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_store(&gate, 1);
    return RREF_OK;
}

static const rref_method functions[] = {
    RREF_METHOD("hop", "i64", hop, 0),
    RREF_METHOD("by_callback", "", by_callback, 0),
    RREF_METHOD("take_array", "f64[]", take_array, 0),
    RREF_METHOD("give_array", "u64 -> f64[]", give_array, 0),
    RREF_METHOD("fail", "i32", fail, 0),
    RREF_METHOD("wait_for_gate", "", wait_for_gate, 0),
    RREF_METHOD("rank_0_is_there", "", rank_0_is_there, 0),
    RREF_METHOD("wait_at_door", "", wait_at_door, 0),
    RREF_METHOD("compute", "f64", compute, 0),
    RREF_METHOD("fence_here", "-> i64", fence_here, 0),
    RREF_METHOD("finalize_here", "-> i64", finalize_here, 0),
    RREF_METHODS_END
};

static int make(rref_call *c, void **self)
{
    *self = malloc(1);
    return *self ? RREF_OK : rref_fail(c, RREF_ERR_NO_MEMORY, "no memory");
}

static void unmake(void *self)
{
    free(self);
    atomic_fetch_add(&destroyed, 1);
}

/* Holds a reference; its destructor lets that go. */
typedef struct holder { rref held; } holder;

static int hold(rref_call *c, void **self)
{
    holder *h = malloc(sizeof *h);
    if (!h) return RREF_ERR_NO_MEMORY;
    h->held = rref_arg_ref(c, 0);
    rref_retain(h->held);
    *self = h;
    return RREF_OK;
}

static void let_go(void *self)
{
    rref_release(((holder *)self)->held);
    atomic_fetch_add(&released, 1);
    free(self);
}

/* A member of a group: that of rank 0 tells the last rank, which makes its own after that. */
static int make_after_rank_0(rref_call *c, void **self)
{
    rref_context *of = rref_call_context(c);
    int last = rref_size(of) - 1;
    if (rref_rank(of) == 0) rref_post(rref_root(of, last), "rank_0_is_there");
    if (rref_rank(of) == last && !check_until(is_open, &gate, 60)) return rref_fail(c, RREF_ERR_USER, "rank 0 did not come");
    return make(c, self);
}

static int one(rref_call *c, void *self)
{
    (void)self;
    return rref_return_i64(c, 1);
}

static const rref_method member_methods[] = { RREF_METHOD("one", "-> i64", one, 0), RREF_METHODS_END };
static const rref_class member = RREF_CLASS("member", "", make_after_rank_0, unmake, member_methods);
static const rref_class thing = RREF_CLASS("thing", "", make, unmake, NULL);
static const rref_class holding = RREF_CLASS("holding", "ref", hold, let_go, NULL);

static atomic_int failures;

static void note(const rref_error *e, void *arg)
{
    (void)e, (void)arg;
    atomic_fetch_add(&failures, 1);
}

static bool begin_with(const char *progress, double finalize_timeout)
{
    const rref_class *classes[] = { &thing, &holding, &member, NULL };
    const rref_options options = { .classes = classes, .functions = functions, .on_error = note, .progress = progress,
                                   .finalize_timeout = finalize_timeout };
    ctx = NULL;
    atomic_store(&arrived, 0);
    atomic_store(&destroyed, 0);
    atomic_store(&released, 0);
    atomic_store(&failures, 0);
    atomic_store(&gate, 0);
    OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
    if (!ctx) return false;
    rank = rref_rank(ctx);
    ranks = rref_size(ctx);
    return true;
}

static bool begin(void) { return begin_with(NULL, 0); }

/* What has arrived anywhere. The fence has ended here, and so everywhere that matters: nothing may come after it. */
static int64_t all_of(_Atomic int64_t *what)
{
    int64_t mine = atomic_load(what), sum = 0;
    MPI_Allreduce(&mine, &sum, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    return sum;
}

/* ---- cases */

static void nested(void)
{
    enum { ROUNDS = 30, HOPS = 20 };
    int64_t expected = 0;
    if (!begin()) return;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < 5; i++) OK(rref_post(next_of(ctx), "hop", (int64_t)HOPS));
        OK(rref_fence(ctx, RREF_FOREVER));
        expected += (int64_t)ranks * 5 * (HOPS + 1);
        CU_ASSERT_EQUAL(all_of(&arrived), expected);
    }
    OK(rref_finalize(&ctx));
}

static void callbacks(void)
{
    enum { ROUNDS = 30 };
    if (!begin()) return;
    for (int round = 1; round <= ROUNDS; round++) {
        OK(rref_post(next_of(ctx), "by_callback"));
        rref_future f = rref_async(next_of(ctx), "hop", INT64_C(2));
        OK(rref_on_complete(f, after, ctx, 0));
        OK(rref_on_complete(f, after, ctx, RREF_INLINE));
        OK(rref_future_release(f));
        OK(rref_fence(ctx, RREF_FOREVER));
        CU_ASSERT_EQUAL(all_of(&arrived), (int64_t)ranks * round * (1 + 3 + 3 + 3 + 3));
    }
    OK(rref_finalize(&ctx));
}

static void bulk(void)
{
    enum { N = 200000, ROUNDS = 5 };
    double *x = calloc(N, sizeof *x);
    if (!x || !begin()) return;
    x[N - 1] = N;
    for (int round = 1; round <= ROUNDS; round++) {
        rref_future f = rref_async(next_of(ctx), "give_array", (uint64_t)N);
        OK(rref_on_complete(f, after, ctx, 0));
        OK(rref_post(next_of(ctx), "take_array", rref_array(x, N)));
        OK(rref_fence(ctx, RREF_FOREVER));
        CU_ASSERT_TRUE(rref_done(f));
        CU_ASSERT_EQUAL(all_of(&arrived), (int64_t)ranks * round * (1 + 3));
        OK(rref_test(f));
        OK(rref_future_release(f));
    }
    free(x);
    OK(rref_finalize(&ctx));
}

/* Objects whose last reference went before the fence are gone after it, and what they alone held as well. */
static void releases(void)
{
    enum { ROUNDS = 20 };
    if (!begin()) return;
    for (int round = 1; round <= ROUNDS; round++) {
        rref kept = rref_create(ctx, (rank + 1) % ranks, "thing");
        for (int i = 0; i < 10; i++) {
            rref dropped = rref_create(ctx, (rank + i) % ranks, "thing");
            OK(rref_release(dropped));
        }
        rref chain = rref_create(ctx, (rank + 2) % ranks, "holding", kept);
        OK(rref_release(kept));
        OK(rref_release(chain));
        OK(rref_fence(ctx, RREF_FOREVER));
        CU_ASSERT_EQUAL(all_of(&released), (int64_t)ranks * round);
        CU_ASSERT_EQUAL(all_of(&destroyed), (int64_t)ranks * round * 11);
    }
    OK(rref_finalize(&ctx));
}

/* Others go on calling all the time. */
static atomic_int calling;

static void *go_on(void *arg)
{
    int64_t made = 0;
    while (atomic_load(&calling))
        if (rref_sync(next_of(ctx), "hop", INT64_C(1)) == RREF_OK) made++;
    *(int64_t *)arg = made;
    return NULL;
}

static void beside_others(void)
{
    pthread_t thread[2];
    int64_t made[2] = { 0, 0 };
    if (!begin()) return;
    atomic_store(&calling, 1);
    for (int i = 0; i < 2; i++) CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, go_on, &made[i]), 0);
    for (int i = 0; i < 50; i++) OK(rref_fence(ctx, RREF_FOREVER));
    atomic_store(&calling, 0);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    _Atomic int64_t all_made = made[0] + made[1];
    OK(rref_fence(ctx, RREF_FOREVER));
    CU_ASSERT_EQUAL(all_of(&arrived), 2 * all_of(&all_made));
    OK(rref_finalize(&ctx));
}

static void empty(void)
{
    if (!begin()) return;
    for (int i = 0; i < 200; i++) OK(rref_fence(ctx, i % 2 ? RREF_FOREVER : RREF_DEFAULT_TIMEOUT));
    OK(rref_finalize(&ctx));
}

static void one_way_failures(void)
{
    rref_error e;
    if (!begin()) return;
    OK(rref_post(next_of(ctx), "fail", 1));
    GIVES(rref_fence(ctx, RREF_FOREVER), RREF_ERR_ONEWAY);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_EQUAL(e.code, RREF_ERR_ONEWAY);
    CU_ASSERT_STRING_EQUAL(e.text, "wrong 1");
    CU_ASSERT_EQUAL(e.rank, (rank + 1) % ranks);
    CU_ASSERT_PTR_NOT_NULL(strstr(e.site, "fences.c:"));
    OK(rref_fence(ctx, RREF_FOREVER));
    if (rank == 0) OK(rref_post(next_of(ctx), "fail", 2));
    GIVES(rref_fence(ctx, RREF_FOREVER), rank == 0 ? RREF_ERR_ONEWAY : RREF_OK);
    CU_ASSERT_EQUAL(atomic_load(&failures), rank == 0 ? 2 : 1);
    OK(rref_finalize(&ctx));
}

static void refused(void)
{
    int64_t code = 0;
    if (!begin()) return;
    GIVES(rref_fence(NULL, 1), RREF_ERR_ARGUMENT);
    GIVES(rref_fence(ctx, -2), RREF_ERR_ARGUMENT);
    for (int own = 0; own < 2; own++) {
        rref to = own ? rref_root(ctx, rank) : next_of(ctx);
        OK(rref_sync(to, "fence_here", rref_out(&code)));
        CU_ASSERT_EQUAL(code, RREF_ERR_STATE);
        OK(rref_sync(to, "finalize_here", rref_out(&code)));
        CU_ASSERT_EQUAL(code, RREF_ERR_STATE);
    }
    OK(rref_finalize(&ctx));
}

/* Its time is over while a method runs; the same fence goes on when it is asked again, or at the end. */
static void limited(void)
{
    rref_error e;
    if (!begin()) return;
    for (int round = 0; round < 2; round++) {
        atomic_store(&gate, 0);
        MPI_Barrier(MPI_COMM_WORLD);
        OK(rref_post(next_of(ctx), "wait_for_gate"));
        GIVES(rref_fence(ctx, 0.05), RREF_ERR_TIMEOUT);
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "rref_fence"));
        GIVES(rref_fence(ctx, 0.01), RREF_ERR_TIMEOUT);
        MPI_Barrier(MPI_COMM_WORLD);
        atomic_store(&gate, 1);
        if (round) break;
        OK(rref_fence(ctx, RREF_FOREVER));
        CU_ASSERT_EQUAL(all_of(&arrived), ranks);
    }
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&arrived), 2);
}

/* The report names the call that is not answered; so does the dump, from any rank. */
static bool runs_there(void *arg)
{
    rref_statistics s;
    return rref_stats_of(ctx, (rank + 1) % ranks, &s) == RREF_OK && s.calls_in + s.calls_direct > *(uint64_t *)arg;
}

static void reported(void)
{
    rref_error e;
    char *text = NULL;
    rref_statistics before;
    if (!begin()) return;
    OK(rref_stats_of(ctx, (rank + 1) % ranks, &before));
    rref kept = rref_create(ctx, rank, "thing");
    OK(rref_sync(next_of(ctx), "hop", INT64_C(0)));
    MPI_Barrier(MPI_COMM_WORLD);
    rref_future f = rref_async(next_of(ctx), "wait_for_gate");
    CU_ASSERT_TRUE(check_until(runs_there, &before.calls_in, 30));
    MPI_Barrier(MPI_COMM_WORLD);
    GIVES(rref_fence(ctx, 0.02), RREF_ERR_TIMEOUT);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "rank.wait_for_gate on rank"));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "fences.c:"));
    for (int r = 0; r < ranks; r++) {
        OK(rref_dump(ctx, r, &text));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n  rank.wait_for_gate on rank"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "objects: 1\n  thing: 1\n"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, "references held: 1\n  thing@"));
        CU_ASSERT_PTR_NOT_NULL(strstr(text, ", created at "));
        free(text);
    }
    GIVES(rref_dump(ctx, ranks, &text), RREF_ERR_DESTINATION);
    GIVES(rref_dump(ctx, 0, NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_dump(NULL, 0, &text), RREF_ERR_ARGUMENT);
    GIVES(rref_stats_of(ctx, -1, &before), RREF_ERR_DESTINATION);
    GIVES(rref_stats_of(ctx, 0, NULL), RREF_ERR_ARGUMENT);
    MPI_Barrier(MPI_COMM_WORLD);
    atomic_store(&gate, 1);
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    OK(rref_release(kept));
    OK(rref_finalize(&ctx));
}

/* Who waits for long has it told: once for each call, and in a file if the log is one. */
static bool is_told(void *arg)
{
    char line[512];
    bool found = false;
    FILE *log = fopen(arg, "r");
    while (log && fgets(line, sizeof line, log))
        found |= strstr(line, "warn: not answered yet: rank.wait_for_gate on rank") && strstr(line, "fences.c:");
    if (log) fclose(log);
    return found;
}

static void *wait_long(void *arg)
{
    return rref_wait(*(rref_future *)arg, RREF_FOREVER) == RREF_OK ? arg : NULL;
}

static void long_waited(void)
{
    char file[256], spec[300];
    pthread_t thread;
    void *fine = NULL;
    snprintf(file, sizeof file, "%s/told.%d", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", rank);
    snprintf(spec, sizeof spec, "warn:%s", file);
    setenv("RREF_LOG", spec, 1);
    setenv("RREF_REPORT_AFTER", "0.05", 1);
    bool begun = begin();
    unsetenv("RREF_LOG");
    unsetenv("RREF_REPORT_AFTER");
    if (!begun) return;
    rref_future f = rref_async(next_of(ctx), "wait_for_gate");
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, wait_long, &f), 0);
    CU_ASSERT_TRUE(check_until(is_told, file, 30));
    MPI_Barrier(MPI_COMM_WORLD);
    atomic_store(&gate, 1);
    pthread_join(thread, &fine);
    CU_ASSERT_PTR_NOT_NULL(fine);
    OK(rref_future_release(f));
    OK(rref_finalize(&ctx));
    remove(file);
}

static void open_door(bool open)
{
    pthread_mutex_lock(&door_lock);
    door_is_open = open;
    pthread_cond_broadcast(&door_opened);
    pthread_mutex_unlock(&door_lock);
}

/* Without a limit it ends as well, once nothing has lived for the stall limit; a method that computes lives. Where the fence was
 * given up while a method waits, what the application uses of the CPU in the barrier is no life. */
static void stalled(void)
{
    setenv("RREF_STALL_LIMIT", "2.5", 1);
    bool begun = begin();
    unsetenv("RREF_STALL_LIMIT");
    if (!begun) return;
    if (rank == 0) OK(rref_post(next_of(ctx), "compute", 4.0));
    OK(rref_fence(ctx, RREF_FOREVER));
    CU_ASSERT_EQUAL(all_of(&arrived), 1);
    open_door(false);
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) OK(rref_post(next_of(ctx), "wait_at_door"));
    GIVES(rref_fence(ctx, rank == 1 ? 0.1 : RREF_FOREVER), rank == 1 ? RREF_ERR_TIMEOUT : RREF_ERR_STALLED);
    MPI_Barrier(MPI_COMM_WORLD);
    open_door(true);
    OK(rref_fence(ctx, RREF_FOREVER));
    CU_ASSERT_EQUAL(all_of(&arrived), 2);
    OK(rref_finalize(&ctx));
}

/* Rank 0 lets the others go. */
static void let_go_on(void)
{
    int word = 0;
    for (int i = 1; rank == 0 && i < ranks; i++) MPI_Send(&word, 1, MPI_INT, i, 0, MPI_COMM_WORLD);
    if (rank > 0) MPI_Recv(&word, 1, MPI_INT, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
}

/* A rank that has given a fence up is not one behind the others when it comes to a group. */
static void before_a_group(void)
{
    rref_group group;
    int64_t x = 0;
    if (!begin()) return;
    if (rank == 0) {
        open_door(false);
        OK(rref_post(rref_root(ctx, 0), "wait_at_door"));
        GIVES(rref_fence(ctx, 0.05), RREF_ERR_TIMEOUT);
        open_door(true);
    }
    let_go_on();
    if (rank > 0) OK(rref_fence(ctx, RREF_FOREVER));
    OK(rref_group_create(ctx, &group, "member"));
    if (rank == 0) OK(rref_sync(rref_group_member(group, ranks - 1), "one", rref_out(&x)));
    OK(rref_group_free(&group));
    OK(rref_finalize(&ctx));
}

/* Nor one that has given a group up, when it comes to a fence. What it gave up has ended then: it frees its own member alone. */
static void behind_a_group(void)
{
    int me;
    rref_group group;
    MPI_Comm_rank(MPI_COMM_WORLD, &me);
    if (me == 0) setenv("RREF_STALL_LIMIT", "2.5", 1);
    bool begun = begin();
    unsetenv("RREF_STALL_LIMIT");
    if (!begun) return;
    for (int ending = 0; ending < 2; ending++) {
        if (ending) OK(rref_group_create(ctx, &group, "thing"));
        int alone = ranks > 1 ? RREF_ERR_STALLED : RREF_OK;
        if (rank == 0) GIVES(ending ? rref_group_free(&group) : rref_group_create(ctx, &group, "thing"), alone);
        let_go_on();
        if (rank > 0) OK(ending ? rref_group_free(&group) : rref_group_create(ctx, &group, "thing"));
        if (rank > 0) OK(rref_post(rref_root(ctx, 0), "hop", INT64_C(0)));
        OK(rref_fence(ctx, RREF_FOREVER));
        CU_ASSERT_EQUAL(all_of(&arrived), (ending + 1) * (ranks - 1));
    }
    if (rank == 0 && ranks > 1) OK(rref_group_free(&group));
    OK(rref_finalize(&ctx));
}

static void application_driven(void)
{
    int64_t expected = 0;
    if (!begin_with("application", 0)) return;
    for (int round = 0; round < 10; round++) {
        OK(rref_post(next_of(ctx), "hop", INT64_C(10)));
        OK(rref_post(next_of(ctx), "by_callback"));
        OK(rref_fence(ctx, RREF_FOREVER));
        expected += (int64_t)ranks * (11 + 1 + 1 + 2);
        CU_ASSERT_EQUAL(all_of(&arrived), expected);
    }
    OK(rref_finalize(&ctx));
}

/* Colours are a context's own, also where the methods of one call into the other. */
static void two_contexts(void)
{
    rref_context *first, *second;
    if (!begin()) return;
    first = ctx;
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .functions = functions }, &second));
    for (int round = 1; round <= 20; round++) {
        OK(rref_post(next_of(first), "hop", INT64_C(5)));
        OK(rref_post(next_of(second), "hop", INT64_C(5)));
        OK(rref_fence(round % 2 ? first : second, RREF_FOREVER));
        OK(rref_fence(round % 2 ? second : first, RREF_FOREVER));
        CU_ASSERT_EQUAL(all_of(&arrived), (int64_t)ranks * 12 * round);
    }
    OK(rref_finalize(&first));
    OK(rref_finalize(&second));
}

/* ---- ends that not all ranks come to; their contexts are given up, so these come last */

static void some_ranks_only(void)
{
    rref_error e;
    if (!begin_with(NULL, 0.1)) return;
    if (ranks == 1) {
        OK(rref_finalize(&ctx));
        return;
    }
    if (rank == 0) {
        GIVES(rref_finalize(&ctx), RREF_ERR_STALLED);
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "rref_finalize"));
        CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "has not come"));
        CU_ASSERT_PTR_NULL(ctx);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank > 0) GIVES(rref_finalize(&ctx), RREF_ERR_STALLED);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* A fence here, the end there: this rank hears of it. */
static bool told(void *arg)
{
    rref_error e;
    (void)arg;
    return rref_fence(ctx, 0.02) == RREF_ERR_TIMEOUT && rref_last_error(ctx, &e) == RREF_OK
           && strstr(e.text, "waits in rref_finalize");
}

static void mixed(void)
{
    if (!begin_with(NULL, 0.2)) return;
    if (ranks > 1 && rank == 0) CU_ASSERT_TRUE(check_until(told, NULL, 30));
    GIVES(rref_finalize(&ctx), ranks > 1 ? RREF_ERR_STALLED : RREF_OK);
    MPI_Barrier(MPI_COMM_WORLD);
}

static void different_orders(void)
{
    rref_context *a, *b;
    if (!begin_with(NULL, 0.2)) return;
    a = ctx;
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .functions = functions, .finalize_timeout = 0.2 }, &b));
    GIVES(rref_finalize(rank == 0 ? &a : &b), ranks > 1 ? RREF_ERR_STALLED : RREF_OK);
    MPI_Barrier(MPI_COMM_WORLD);
    GIVES(rref_finalize(rank == 0 ? &b : &a), ranks > 1 ? RREF_ERR_STALLED : RREF_OK);
    MPI_Barrier(MPI_COMM_WORLD);
}

static const check_case cases[] = {
    { "nested", nested },
    { "callbacks", callbacks },
    { "bulk", bulk },
    { "releases", releases },
    { "beside_others", beside_others },
    { "empty", empty },
    { "one_way_failures", one_way_failures },
    { "refused", refused },
    { "limited", limited },
    { "reported", reported },
    { "long_waited", long_waited },
    { "stalled", stalled },
    { "before_a_group", before_a_group },
    { "behind_a_group", behind_a_group },
    { "application_driven", application_driven },
    { "two_contexts", two_contexts },
    { "some_ranks_only", some_ranks_only },
    { "mixed", mixed },
    { "different_orders", different_orders },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "fences", cases); }
