/* SPDX-License-Identifier: BSD-3-Clause */
/* The life of contexts: options and names, several at once and one after another, ends of all kinds, bad input. */
#include <math.h>
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

static atomic_int tiny, destroyed;
static int left, before_the_end;        /* objects in contexts that MPI_Finalize has to end; destroyed before it */

static int add(rref_call *c, void *self)
{
    (void)self;
    return rref_return_i64(c, rref_arg_i64(c, 0) + rref_arg_i64(c, 1));
}

static int own_number(rref_call *c, void *self) { return rref_return_i64(c, *(int *)self); }

static int count_tiny(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_fetch_add(&tiny, 1);
    return RREF_OK;
}

static int end_here(rref_call *c, void *self)
{
    rref_context *own = rref_call_context(c);
    (void)self;
    return rref_return_i64(c, rref_finalize(&own));
}

static rref_context *pair[2];

/* Adds by way of the other context, on a rank further on. */
static int add_there(rref_call *c, void *self)
{
    rref_context *other = rref_call_context(c) == pair[0] ? pair[1] : pair[0];
    const int further = (int)rref_arg_i64(c, 2);
    int64_t sum = 0;
    (void)self;
    int rc = rref_sync(rref_root(other, (rref_rank(other) + further) % rref_size(other)), "add", rref_arg_i64(c, 0),
                       rref_arg_i64(c, 1), rref_out(&sum));
    return rc ? rc : rref_return_i64(c, sum);
}

static const rref_method functions[] = {
    RREF_METHOD("add_there", "i64, i64, i64 -> i64", add_there, 0),
    RREF_METHOD("add", "i64, i64 -> i64", add, 0),
    RREF_METHOD("number", "-> i64", own_number, 0),
    RREF_METHOD("tiny", "", count_tiny, 0),
    RREF_METHOD("end_here", "-> i64", end_here, 0),
    RREF_METHODS_END
};

static int create(rref_call *c, void **self)
{
    (void)c;
    *self = malloc(1);
    return *self ? RREF_OK : RREF_ERR_NO_MEMORY;
}

static void destroy(void *self)
{
    atomic_fetch_add(&destroyed, 1);
    free(self);
}

static const rref_method methods[] = { RREF_METHOD("tiny", "", count_tiny, 0), RREF_METHODS_END };
static const rref_class thing_class = RREF_CLASS("thing", "", create, destroy, methods);
static const rref_class namesake_class = RREF_CLASS("thing", "i64", create, destroy, methods);
static const rref_class broken_class = RREF_CLASS("broken", "i65", create, destroy, methods);
static const rref_class *const classes[] = { &thing_class, NULL };

static int number;
static const rref_options usual = { .classes = classes, .functions = functions, .functions_self = &number };

static rref_context *start(MPI_Comm comm, const rref_options *options)
{
    rref_context *ctx = NULL;
    OK(rref_init(comm, options, &ctx));
    return ctx;
}

static rref next_root(rref_context *ctx) { return rref_root(ctx, (rref_rank(ctx) + 1) % rref_size(ctx)); }

static int world_rank(void)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
}

/* ---- cases */

static void ends_right_after_the_start(void)
{
    int size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    for (int i = 0; i < 5; i++) {
        rref_context *ctx = start(MPI_COMM_WORLD, NULL);
        if (!ctx) return;
        CU_ASSERT_EQUAL(rref_rank(ctx), world_rank());
        CU_ASSERT_EQUAL(rref_size(ctx), size);
        OK(rref_finalize(&ctx));
        CU_ASSERT_PTR_NULL(ctx);
        GIVES(rref_finalize(&ctx), RREF_ERR_STATE);
    }
}

static void fortran_communicator(void)
{
    rref_context *ctx = NULL;
    OK(rref_init_f(MPI_Comm_c2f(MPI_COMM_WORLD), NULL, &ctx));
    CU_ASSERT_EQUAL(rref_rank(ctx), world_rank());
    OK(rref_finalize(&ctx));
}

static void names(void)
{
    char name[64];
    rref_options options = usual;
    snprintf(name, sizeof name, "worker number %d", world_rank());
    options.name = name;
    rref_context *ctx = start(MPI_COMM_WORLD, &options);
    if (!ctx) return;
    for (int i = 0; i < rref_size(ctx); i++) {
        int64_t sum = 0;
        snprintf(name, sizeof name, "worker number %d", i);
        CU_ASSERT_STRING_EQUAL(rref_name_of(ctx, i), name);
        CU_ASSERT_EQUAL(rref_rank_of(ctx, name), i);
        OK(rref_sync(rref_root_named(ctx, name), "add", 1, 2, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, 3);
    }
    CU_ASSERT_EQUAL(rref_rank_of(ctx, "rank0"), RREF_ERR_DESTINATION);
    OK(rref_finalize(&ctx));
}

static void refused_by_all(const rref_options *options, int code)
{
    rref_error e;
    rref_context *ctx = NULL;
    GIVES(rref_init(MPI_COMM_WORLD, options, &ctx), code);
    CU_ASSERT_PTR_NULL(ctx);
    OK(rref_last_error(NULL, &e));
    CU_ASSERT_EQUAL(e.code, code);
    CU_ASSERT_NOT_EQUAL(e.text[0], 0);
}

/* What one rank alone gets wrong is refused on all alike. */
static void bad_options(void)
{
    char long_name[65];
    int last = world_rank(), size;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    last = last == size - 1;
    memset(long_name, 'n', 64);
    long_name[64] = 0;
    const rref_class *const same[] = { &thing_class, &thing_class, NULL };
    const rref_class *const two[] = { &thing_class, &namesake_class, NULL };
    const rref_class *const broken[] = { &broken_class, NULL };
    rref_options options = usual;
    if (last) options.name = long_name;
    refused_by_all(&options, RREF_ERR_OPTION);
    options.name = last ? "" : NULL;
    refused_by_all(&options, RREF_ERR_OPTION);
    options.name = NULL;
    if (last) options.progress = "sometimes";
    refused_by_all(&options, RREF_ERR_OPTION);
    options.progress = NULL;
    if (last) options.timeout = -3;
    refused_by_all(&options, RREF_ERR_OPTION);
    options.timeout = 0;
    if (last) options.classes = same;
    refused_by_all(&options, RREF_ERR_CLASS_EXISTS);
    if (last) options.classes = two;
    refused_by_all(&options, RREF_ERR_CLASS_EXISTS);
    if (last) options.classes = broken;
    refused_by_all(&options, RREF_ERR_SIGNATURE);
    if (size > 1) {
        options.classes = classes;
        options.name = "everybody";
        refused_by_all(&options, RREF_ERR_OPTION);
    }
    rref_context *ctx = NULL;
    GIVES(rref_init(MPI_COMM_WORLD, &usual, last ? NULL : &ctx), RREF_ERR_ARGUMENT);
    CU_ASSERT_PTR_NULL(ctx);
    ctx = start(MPI_COMM_WORLD, &usual);
    OK(rref_finalize(&ctx));
}

static void bad_environment(void)
{
    static const char *const bad[][2] = {
        { "RREF_TIMEOUT", "soon" }, { "RREF_PROGRESS", "sometimes" }, { "RREF_RING", "0" }, { "RREF_CREDITS", "many" },
        { "RREF_EAGER", "-1" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (world_rank() == 0) setenv(bad[i][0], bad[i][1], 1);
        refused_by_all(&usual, RREF_ERR_OPTION);
        unsetenv(bad[i][0]);
    }
    setenv("RREF_TIMEOUT", "0.5", 1);
    setenv("RREF_RING", "8", 1);
    rref_context *ctx = start(MPI_COMM_WORLD, &usual);
    unsetenv("RREF_TIMEOUT");
    unsetenv("RREF_RING");
    OK(rref_sync(next_root(ctx), "add", 1, 2));
    OK(rref_finalize(&ctx));
}

static void one_after_another(void)
{
    rref old = { 0 };
    for (int i = 0; i < 4; i++) {
        int64_t sum = 0;
        rref_context *ctx = start(MPI_COMM_WORLD, &usual);
        if (!ctx) return;
        OK(rref_sync(next_root(ctx), "add", i, 2, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, i + 2);
        if (i > 0) CU_ASSERT_TRUE(rref_sync(old, "add", 1, 2) < 0);
        old = rref_create(ctx, 0, "thing");
        OK(rref_sync(old, "tiny"));
        OK(rref_release(old));
        OK(rref_finalize(&ctx));
        CU_ASSERT_TRUE(rref_sync(old, "tiny") < 0);
    }
}

/* Over the whole world, and over its even and odd ranks. */
static void side_by_side(void)
{
    int numbers[2] = { 1000 + world_rank(), 2000 + world_rank() };
    MPI_Comm half;
    rref_options one = usual, two = usual;
    one.functions_self = &numbers[0];
    two.functions_self = &numbers[1];
    MPI_Comm_split(MPI_COMM_WORLD, world_rank() % 2, world_rank(), &half);
    rref_context *all = start(MPI_COMM_WORLD, &one), *some = start(half, &two);
    if (!all || !some) return;
    MPI_Comm_free(&half);                               /* the library has its own */
    int next = (rref_rank(all) + 1) % rref_size(all), peer = (rref_rank(some) + 1) % rref_size(some);
    rref far = rref_create(all, next, "thing"), near = rref_create(some, peer, "thing");
    for (int i = 0; i < 50; i++) {
        int64_t a = 0, b = 0;
        rref_future f = rref_async(rref_root(all, next), "number");
        OK(rref_sync(rref_root(some, peer), "number", rref_out(&b)));
        OK(rref_wait(f, RREF_FOREVER));
        OK(rref_get(f, rref_out(&a)));
        OK(rref_future_release(f));
        CU_ASSERT_EQUAL(a, 1000 + next);
        CU_ASSERT_EQUAL(b, 2000 + 2 * peer + world_rank() % 2);
        OK(rref_post(far, "tiny"));
        OK(rref_post(near, "tiny"));
    }
    CU_ASSERT_FALSE(rref_same_object(far, near));
    OK(rref_release(far));
    OK(rref_finalize(&all));
    OK(rref_sync(near, "tiny"));
    OK(rref_release(near));
    OK(rref_finalize(&some));
}

/* The numbers of contexts are used again, and handles of the first one are stale in all later ones. */
static void stale_for_ever(void)
{
    enum { NUMBERS = 255 };
    rref_context *ctx = start(MPI_COMM_SELF, &usual);
    if (!ctx) return;
    rref old = rref_create(ctx, 0, "thing");
    rref_future promise = rref_promise(ctx, "");
    rref_group group;
    OK(rref_group_create(ctx, &group, "thing"));
    const rref_group old_group = group;
    OK(rref_group_free(&group));
    OK(rref_sync(old, "tiny"));
    OK(rref_release(old));
    OK(rref_future_release(promise));
    OK(rref_finalize(&ctx));
    for (int i = 0; i <= NUMBERS; i++) {
        ctx = start(MPI_COMM_SELF, &usual);
        if (!ctx) return;
        rref made = rref_create(ctx, 0, "thing");
        rref_future other = rref_promise(ctx, "");
        OK(rref_sync(made, "tiny"));
        CU_ASSERT_EQUAL(rref_owner(old), RREF_ERR_HANDLE);
        CU_ASSERT_EQUAL(rref_test(promise), RREF_ERR_HANDLE);
        CU_ASSERT_EQUAL(rref_group_member(old_group, 0).bits, 0);
        CU_ASSERT_NOT_EQUAL(made.bits, old.bits);
        OK(rref_future_release(other));
        OK(rref_release(made));
        OK(rref_finalize(&ctx));
    }
}

static void ends_after_heavy_traffic(void)
{
    enum { CALLS = 2000 };
    rref_future f[50];
    atomic_store(&tiny, 0);
    rref_context *ctx = start(MPI_COMM_WORLD, &usual);
    if (!ctx) return;
    for (int i = 0; i < CALLS; i++) OK(rref_post(rref_root(ctx, i % rref_size(ctx)), "tiny"));
    for (int i = 0; i < 50; i++) f[i] = rref_async(next_root(ctx), "add", i, 1);
    for (int i = 0; i < 50; i++) OK(rref_future_release(f[i]));
    int size = rref_size(ctx), rank = rref_rank(ctx);
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&tiny), size * (CALLS / size + (rank < CALLS % size)));
}

static void ends_with_references_held(void)
{
    atomic_store(&destroyed, 0);
    rref_context *ctx = start(MPI_COMM_WORLD, &usual);
    if (!ctx) return;
    rref held = rref_create(ctx, (rref_rank(ctx) + 1) % rref_size(ctx), "thing");
    rref_future pending = rref_async(held, "tiny");
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 1);
    CU_ASSERT_TRUE(rref_release(held) < 0);
    CU_ASSERT_TRUE(rref_future_release(pending) < 0);
}

static void end_from_a_handler(void)
{
    int64_t rc = 0;
    rref_context *ctx = start(MPI_COMM_WORLD, &usual);
    if (!ctx) return;
    OK(rref_sync(next_root(ctx), "end_here", rref_out(&rc)));
    CU_ASSERT_EQUAL(rc, RREF_ERR_STATE);
    OK(rref_finalize(&ctx));
}

static void registration(void)
{
    static const rref_class other_class = RREF_CLASS("other", "", create, destroy, methods);
    rref_context *ctx = start(MPI_COMM_WORLD, &usual);
    if (!ctx) return;
    GIVES(rref_register(ctx, &thing_class), RREF_ERR_CLASS_EXISTS);
    GIVES(rref_register(ctx, &namesake_class), RREF_ERR_CLASS_EXISTS);
    GIVES(rref_register(ctx, &broken_class), RREF_ERR_SIGNATURE);
    GIVES(rref_register(ctx, NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_register(NULL, &other_class), RREF_ERR_ARGUMENT);
    OK(rref_register(ctx, &other_class));
    GIVES(rref_register(ctx, &other_class), RREF_ERR_CLASS_EXISTS);
    MPI_Barrier(MPI_COMM_WORLD);
    rref r = rref_create(ctx, (rref_rank(ctx) + 1) % rref_size(ctx), "other");
    OK(rref_sync(r, "tiny"));
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
}

/* Nothing moves but in the application's calls; waits serve others. */
static void application_driven(void)
{
    enum { CALLS = 100 };
    int64_t sum = 0;
    rref_options options = usual;
    rref_statistics s;
    atomic_store(&tiny, 0);
    options.progress = "application";
    rref_context *ctx = start(MPI_COMM_WORLD, &options);
    if (!ctx) return;
    for (int i = 0; i < CALLS; i++) OK(rref_post(next_root(ctx), "tiny"));
    double start_time = check_clock();
    while (atomic_load(&tiny) < CALLS && check_clock() - start_time < check_patience(10)) OK(rref_progress(ctx));
    CU_ASSERT_EQUAL(atomic_load(&tiny), CALLS);
    rref_future f = rref_async(next_root(ctx), "add", 1, 2);
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_get(f, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 3);
    OK(rref_future_release(f));
    OK(rref_sync(next_root(ctx), "add", 3, 4, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 7);
    rref r = rref_create(ctx, (rref_rank(ctx) + 1) % rref_size(ctx), "thing");
    OK(rref_sync(r, "tiny"));
    OK(rref_release(r));
    OK(rref_stats(ctx, &s));
    OK(rref_finalize(&ctx));
}

static void bad_input(void)
{
    char text[8];
    rref_error e;
    rref_statistics s;
    rref_context *ctx = NULL;
    rref_future none = { 0 };
    GIVES(rref_init(MPI_COMM_WORLD, &usual, NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_init(MPI_COMM_NULL, &usual, &ctx), RREF_ERR_ARGUMENT);
    CU_ASSERT_PTR_NULL(ctx);
    GIVES(rref_finalize(NULL), RREF_ERR_STATE);
    CU_ASSERT_EQUAL(rref_rank(NULL), -1);
    CU_ASSERT_EQUAL(rref_size(NULL), -1);
    CU_ASSERT_TRUE(rref_rank_of(NULL, "rank0") < 0);
    CU_ASSERT_PTR_NULL(rref_name_of(NULL, 0));
    GIVES(rref_progress(NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_stats(NULL, &s), RREF_ERR_ARGUMENT);
    CU_ASSERT_TRUE(rref_sync(rref_root(NULL, 0), "add", 1, 2) < 0);
    CU_ASSERT_TRUE(rref_sync(rref_root_named(NULL, "rank0"), "add", 1, 2) < 0);
    CU_ASSERT_EQUAL(rref_create(NULL, 0, "thing").bits, 0);
    CU_ASSERT_TRUE(rref_release(rref_wrap(NULL, "thing", NULL)) < 0);
    CU_ASSERT_EQUAL(rref_all(NULL, NULL, 0).bits, 0);
    CU_ASSERT_EQUAL(rref_any(NULL, NULL, 0).bits, 0);
    ctx = start(MPI_COMM_WORLD, &usual);
    if (!ctx) return;
    CU_ASSERT_TRUE(rref_rank_of(ctx, NULL) < 0);
    GIVES(rref_stats(ctx, NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_last_error(ctx, NULL), RREF_ERR_ARGUMENT);
    CU_ASSERT_TRUE(rref_sync(rref_root_named(ctx, NULL), "add", 1, 2) < 0);
    rref r = rref_create(ctx, 0, (const char *)NULL);
    CU_ASSERT_TRUE(rref_sync(r, "tiny") < 0);
    if (r.bits) OK(rref_release(r));
    r = rref_wrap(ctx, NULL, NULL);
    CU_ASSERT_TRUE(rref_sync(r, "tiny") < 0);
    if (r.bits) OK(rref_release(r));
    rref root = next_root(ctx);
    CU_ASSERT_TRUE(rref_local_value(root, NULL) < 0);
    GIVES(rref_error_of(root, NULL), RREF_ERR_ARGUMENT);
    CU_ASSERT_TRUE(rref_format(root, NULL, 0) > 0);
    CU_ASSERT_EQUAL(rref_sync(rref_bind(root, NULL)), RREF_ERR_NO_METHOD);
    GIVES(rref_wait_all(NULL, 3, 0), RREF_ERR_ARGUMENT);
    GIVES(rref_on_complete(none, NULL, NULL, 0), RREF_ERR_HANDLE);
    GIVES(rref_error_format(NULL, text, sizeof text), RREF_ERR_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(rref_error_name(RREF_ERR_TIMEOUT));
    CU_ASSERT_PTR_NOT_NULL(rref_error_name(12345));
    CU_ASSERT_PTR_NOT_NULL(rref_strerror(-12345));
    OK(rref_last_error(NULL, &e));
    OK(rref_finalize(&ctx));
}

/* In the child: how many of the calls do not say that it is one. */
static int calls_in_child(rref_context *ctx, rref root, rref_future future)
{
    rref_context *other = NULL;
    rref_statistics s;
    int64_t sum;
    int gave[] = { rref_sync(root, "add", 1, 2, rref_out(&sum)), rref_post(root, "tiny"), rref_release(root), rref_owner(root),
                   rref_wait(future, 0), rref_future_release(future), rref_stats(ctx, &s), rref_progress(ctx),
                   rref_rank_of(ctx, "rank0"), rref_finalize(&ctx), rref_init(MPI_COMM_SELF, NULL, &other) };
    int wrong = rref_create(ctx, 0, "thing").bits || rref_root(ctx, 0).bits || rref_done(future) || !ctx || other;
    for (size_t i = 0; i < sizeof gave / sizeof *gave; i++) wrong += gave[i] != RREF_ERR_FORKED;
    return wrong;
}

static void forked(void)
{
    int64_t sum = 0;
    int status = -1;
    rref_context *ctx = start(MPI_COMM_WORLD, &usual);
    if (!ctx) return;
    rref root = next_root(ctx);
    rref_future f = rref_async(root, "add", 1, 2);
    pid_t child = fork();
    if (child == 0) _exit(calls_in_child(ctx, root, f));
    CU_ASSERT_TRUE(child > 0);
    if (child > 0) CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL(status, 0);
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    OK(rref_sync(root, "add", 3, 4, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 7);
    OK(rref_finalize(&ctx));
}

/* Never finalized here: MPI_Finalize has to end them, after which main looks at what was destroyed. In MPICH that can only
 * be where the application drives; nobody would answer a sync call of a rank that comes late. */
static void forgotten(void)
{
    bool driven = strcmp(RREF_MPI, "MPICH") == 0;
    rref_options options = usual;
    options.progress = driven ? "application" : "adaptive";
    for (int i = 0; i < 2; i++) {
        rref_context *ctx = start(MPI_COMM_WORLD, &options);
        if (!ctx) return;
        rref r = rref_create(ctx, (rref_rank(ctx) + 1) % rref_size(ctx), "thing");
        if (!driven) OK(rref_sync(r, "tiny"));
        OK(rref_post(r, "tiny"));
        left++;
    }
    MPI_Barrier(MPI_COMM_WORLD);
    before_the_end = atomic_load(&destroyed);
}

/* A method of one context waits in another one; where the application drives that is on its own rank, since a wait drives its own
 * context alone. Both come to their ends. */
static void wait_in_another(const char *progress, int further)
{
    const rref_options options = { .functions = functions, .progress = progress, .timeout = check_patience(30) };
    for (int i = 0; i < 2; i++) OK(rref_init(MPI_COMM_WORLD, &options, &pair[i]));
    MPI_Barrier(MPI_COMM_WORLD);            /* methods of this rank may run as soon as it has a context, and want both */
    for (int i = 0; i < 20; i++) {
        int64_t sum[2] = { 0, 0 };
        rref_context *ctx = pair[i % 3 == 0];
        rref to = rref_root(ctx, (rref_rank(ctx) + further) % rref_size(ctx));
        rref_future f = rref_async(to, "add_there", i, 1, further, rref_out(&sum[0]));
        if (!progress) OK(rref_sync(to, "add_there", i, 2, further, rref_out(&sum[1])));
        OK(rref_wait(f, RREF_FOREVER));
        OK(rref_future_release(f));
        CU_ASSERT_EQUAL(sum[0], i + 1);
        CU_ASSERT_EQUAL(sum[1], progress ? 0 : i + 2);
    }
    for (int i = 0; i < 2; i++) OK(rref_fence(pair[i], RREF_FOREVER));
    for (int i = 1; i >= 0; i--) OK(rref_finalize(&pair[i]));
}

static void one_from_another(void)
{
    setenv("RREF_FINALIZE_TIMEOUT", "60", 1);
    wait_in_another(NULL, 0);
    wait_in_another(NULL, 1);
    wait_in_another("application", 0);
    unsetenv("RREF_FINALIZE_TIMEOUT");
}

static const check_case cases[] = {
    { "one_from_another", one_from_another },
    { "ends_right_after_the_start", ends_right_after_the_start },
    { "fortran_communicator", fortran_communicator },
    { "names", names },
    { "bad_options", bad_options },
    { "bad_environment", bad_environment },
    { "one_after_another", one_after_another },
    { "side_by_side", side_by_side },
    { "stale_for_ever", stale_for_ever },
    { "ends_after_heavy_traffic", ends_after_heavy_traffic },
    { "ends_with_references_held", ends_with_references_held },
    { "end_from_a_handler", end_from_a_handler },
    { "registration", registration },
    { "application_driven", application_driven },
    { "bad_input", bad_input },
    { "forked", forked },
    { "forgotten", forgotten },
    CHECK_END
};

/* Before MPI_Init_thread, and after MPI_Finalize, there are no contexts. */
static int refused(void)
{
    rref_context *ctx = NULL;
    return rref_init(MPI_COMM_WORLD, NULL, &ctx) == RREF_ERR_STATE && !ctx;
}

int main(int argc, char **argv)
{
    int before = refused(), status = check_mpi_main(argc, argv, "contexts", cases), after = refused();
    int ended = atomic_load(&destroyed) == before_the_end + left;
    if (!before || !after) fprintf(stderr, "contexts: rref_init outside of MPI's life was not refused\n");
    if (!ended) fprintf(stderr, "contexts: MPI_Finalize left contexts behind\n");
    return before && after && ended ? status : 1;
}
