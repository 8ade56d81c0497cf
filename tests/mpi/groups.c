/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups: made and freed together, their members called one by one and all at once, results put together. */
#include <mpi.h>
#include <complex.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

static int rank, ranks;
static rref_context *ctx;
static rref_group group;

/* ---- a part of a field on each rank */

typedef struct part {
    int64_t rank, calls;
    double value[4];
} part;

static atomic_int made, destroyed;
static _Atomic int64_t received, failures;

static int part_create(rref_call *c, void **self)
{
    int64_t of = rref_arg_i64(c, 0);
    if (of < 0) return rref_fail(c, RREF_ERR_USER - 7, "no part %d", (int)of);
    part *p = calloc(1, sizeof *p);
    if (!p) return RREF_ERR_NO_MEMORY;
    p->rank = of;
    for (int i = 0; i < 4; i++) p->value[i] = (double)(10 * of + i);
    *self = p;
    atomic_fetch_add(&made, 1);
    return RREF_OK;
}

static void part_destroy(void *self)
{
    free(self);
    atomic_fetch_add(&destroyed, 1);
}

static int part_rank(rref_call *c, void *self) { return rref_return_i64(c, ((part *)self)->rank); }
static int part_values(rref_call *c, void *self) { return rref_return(c, rref_array(((part *)self)->value, 4)); }

static int part_first(rref_call *c, void *self)
{
    uint64_t n = rref_arg_u64(c, 0) + (uint64_t)((part *)self)->rank;
    return rref_return(c, rref_array(((part *)self)->value, n > 4 ? 4 : n));
}

static int part_scale(rref_call *c, void *self)
{
    part *p = self;
    double by = rref_arg_f64(c, 0);
    for (int i = 0; i < 4; i++) p->value[i] *= by;
    p->calls++;
    return RREF_OK;
}

static int part_sum_up(rref_call *c, void *self)
{
    size_t n;
    const double *x = rref_arg_f64s(c, 0, &n);
    int64_t sum = 0;
    (void)self;
    for (size_t i = 0; i < n; i++) sum += (int64_t)x[i];
    atomic_fetch_add(&received, sum);
    return strcmp(rref_arg_str(c, 1), "all") ? rref_fail(c, RREF_ERR_USER, "another text") : RREF_OK;
}

/* Calls an object that was handed to all. */
static int part_report_to(rref_call *c, void *self)
{
    return rref_sync(rref_arg_ref(c, 0), "add", ((part *)self)->rank + 1);
}

/* The same of several. */
static int part_report_to_each(rref_call *c, void *self)
{
    size_t n;
    int rc = RREF_OK;
    const rref *to = rref_arg_refs(c, 1, &n);
    for (size_t i = 0; i < n && !rc; i++) rc = rref_sync(to[i], "add", rref_arg_i64(c, 0) + ((part *)self)->rank);
    return rc;
}

static int part_refuse(rref_call *c, void *self)
{
    int64_t who = rref_arg_i64(c, 0);
    part *p = self;
    return p->rank == who ? rref_fail(c, RREF_ERR_USER - 3, "rank %d refuses", (int)who) : RREF_OK;
}

static int part_complex(rref_call *c, void *self)
{
    return rref_return(c, rref_c128((double)((part *)self)->rank, 1));
}

static int part_flag(rref_call *c, void *self) { return rref_return_bool(c, ((part *)self)->rank % 2 == 0); }
static int part_text(rref_call *c, void *self) { return (void)self, rref_return_str(c, "text"); }

static const rref_method part_methods[] = {
    RREF_METHOD("rank", "-> i64", part_rank, RREF_INLINE),
    RREF_METHOD("values", "-> f64[]", part_values, 0),
    RREF_METHOD("first", "u64 -> f64[]", part_first, 0),
    RREF_METHOD("scale", "f64", part_scale, 0),
    RREF_METHOD("sum_up", "f64[], str", part_sum_up, 0),
    RREF_METHOD("report_to", "ref", part_report_to, 0),
    RREF_METHOD("report_to_each", "i64, ref[]", part_report_to_each, 0),
    RREF_METHOD("refuse", "i64", part_refuse, 0),
    RREF_METHOD("complex", "-> c128", part_complex, 0),
    RREF_METHOD("flag", "-> bool", part_flag, 0),
    RREF_METHOD("text", "-> str", part_text, 0),
    RREF_METHODS_END
};
static const rref_class part_class = RREF_CLASS("part", "i64", part_create, part_destroy, part_methods);

static int tally_create(rref_call *c, void **self)
{
    *self = calloc(1, sizeof(int64_t));
    return *self ? RREF_OK : rref_fail(c, RREF_ERR_NO_MEMORY, "no memory");
}

static int tally_add(rref_call *c, void *self)
{
    *(int64_t *)self += rref_arg_i64(c, 0);
    return RREF_OK;
}

static int tally_get(rref_call *c, void *self) { return rref_return_i64(c, *(int64_t *)self); }

static void tally_destroy(void *self)
{
    free(self);
    atomic_fetch_add(&destroyed, 100);
}

static const rref_method tally_methods[] = {
    RREF_METHOD("add", "i64", tally_add, 0), RREF_METHOD("get", "-> i64", tally_get, 0), RREF_METHODS_END
};
static const rref_class tally_class = RREF_CLASS("tally", "", tally_create, tally_destroy, tally_methods);

static _Atomic uint64_t kept;           /* bits of a reference, as it came with a call */

static int member_of(rref_call *c, void *self)
{
    (void)self;
    return rref_return_ref(c, rref_arg_ref(c, 0));
}

static int keep(rref_call *c, void *self)
{
    (void)self;
    rref r = rref_arg_ref(c, 0);
    atomic_store(&kept, r.bits);
    return rref_retain(r);
}

static int make_here(rref_call *c, void *self)
{
    rref_group g;
    (void)self;
    return rref_return_i64(c, rref_group_create(rref_call_context(c), &g, "part", 1));
}

static const rref_method functions[] = {
    RREF_METHOD("member_of", "ref -> ref", member_of, 0),
    RREF_METHOD("keep", "ref", keep, 0),
    RREF_METHOD("make_here", "-> i64", make_here, 0),
    RREF_METHODS_END
};

static void note(const rref_error *e, void *arg)
{
    (void)e, (void)arg;
    atomic_fetch_add(&failures, 1);
}

static bool begin_with(const char *progress)
{
    const rref_class *classes[] = { &part_class, &tally_class, NULL };
    ctx = NULL;
    atomic_store(&made, 0);
    atomic_store(&destroyed, 0);
    atomic_store(&received, 0);
    atomic_store(&failures, 0);
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes, .functions = functions, .on_error = note,
                                                  .progress = progress }, &ctx));
    if (!ctx) return false;
    rank = rref_rank(ctx);
    ranks = rref_size(ctx);
    OK(rref_group_create(ctx, &group, "part", rank));
    return group.bits != 0;
}

static void end(void)
{
    OK(rref_group_free(&group));
    CU_ASSERT_EQUAL(group.bits, 0);
    OK(rref_fence(ctx, RREF_FOREVER));
    CU_ASSERT_EQUAL(atomic_load(&destroyed) % 100, 1);
    OK(rref_finalize(&ctx));
}

/* ---- cases */

static void members(void)
{
    rref_statistics before, after;
    void *self = NULL;
    if (!begin_with(NULL)) return;
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_stats(ctx, &before));
    for (int i = 0; i < ranks; i++) {
        rref m = rref_group_member(group, i);
        CU_ASSERT_EQUAL(rref_owner(m), i);
        CU_ASSERT_EQUAL(m.bits, rref_group_member(group, i).bits);
        CU_ASSERT_TRUE(rref_same_object(m, m));
    }
    OK(rref_stats(ctx, &after));
    CU_ASSERT_EQUAL(before.calls_out, after.calls_out);
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < ranks; i++) {
        int64_t of = -1;
        OK(rref_sync(rref_group_member(group, i), "rank", rref_out(&of)));
        CU_ASSERT_EQUAL(of, i);
    }
    OK(rref_local_value(rref_group_member(group, rank), &self));
    if (self) CU_ASSERT_EQUAL(((part *)self)->rank, rank);
    GIVES(rref_owner(rref_group_member(group, ranks)), RREF_ERR_DESTINATION);
    OK(rref_release(rref_group_member(group, 0)));              /* uncounted: changes nothing */
    OK(rref_sync(rref_group_member(group, 0), "rank"));
    rref mine = rref_group_member(group, rank), back = { 0 };   /* sent to another rank and back it is the same */
    OK(rref_sync(rref_root(ctx, (rank + 1) % ranks), "member_of", mine, rref_out(&back)));
    CU_ASSERT_EQUAL(back.bits, mine.bits);
    end();
}

static void all_called(void)
{
    enum { N = 3000 };
    static double x[N];
    int64_t sum = 0;
    if (!begin_with(NULL)) return;
    for (int i = 0; i < N; i++) x[i] = i;
    OK(rref_group_post(group, "scale", 2.0));
    rref_future f = rref_group_async(group, "sum_up", rref_array(x, N), "all");
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    f = rref_group_async(group, "sum_up", rref_array(x, (size_t)10), "all");
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    OK(rref_fence(ctx, RREF_FOREVER));
    CU_ASSERT_EQUAL(atomic_load(&received), ranks * (N * (N - 1) / 2 + 45));
    rref tally = rref_create(ctx, (rank + 1) % ranks, "tally");
    f = rref_group_async(group, "report_to", tally);
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    OK(rref_sync(tally, "get", rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, ranks * (ranks + 1) / 2);
    OK(rref_release(tally));
    OK(rref_fence(ctx, RREF_FOREVER));
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 100);              /* no weight was lost on the way */
    end();
}

enum { TALLIES = 3 };

static void make_tallies(rref tally[])
{
    for (int i = 0; i < TALLIES; i++) tally[i] = rref_create(ctx, (rank + i) % ranks, "tally");
}

/* After this nobody holds them, unless weight was lost. */
static void release_tallies(rref tally[])
{
    for (int i = 0; i < TALLIES; i++) OK(rref_release(tally[i]));
    OK(rref_fence(ctx, RREF_FOREVER));
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 100 * TALLIES);
}

static void arrays_of_references(void)
{
    rref tally[TALLIES];
    if (!begin_with(NULL)) return;
    make_tallies(tally);
    rref_future f = rref_group_async(group, "report_to_each", (int64_t)1, rref_array(tally, TALLIES));
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    f = rref_group_async(group, "report_to_each", (int64_t)1, rref_array(tally, (size_t)0));
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    for (int i = 0; i < TALLIES; i++) {
        int64_t sum = 0;
        OK(rref_sync(tally[i], "get", rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, ranks * (ranks + 1) / 2);
    }
    release_tallies(tally);
    end();
}

/* Their time is over before they can start, on every step of the way. */
static void never_delivered(void)
{
    rref tally[TALLIES];
    if (!begin_with(NULL)) return;
    make_tallies(tally);
    for (int i = 0; i < TALLIES; i++) OK(rref_sync(tally[i], "add", (int64_t)0));
    OK(rref_set_timeout(ctx, 1e-9));
    for (int i = 0; i < 20; i++) {
        rref_future one = rref_group_async(group, "report_to", tally[i % TALLIES]);
        rref_future all = rref_group_async(group, "report_to_each", (int64_t)1, rref_array(tally, TALLIES));
        GIVES(rref_wait(one, RREF_FOREVER), RREF_ERR_TIMEOUT);
        GIVES(rref_wait(all, RREF_FOREVER), RREF_ERR_TIMEOUT);
        OK(rref_future_release(one));
        OK(rref_future_release(all));
    }
    OK(rref_set_timeout(ctx, RREF_FOREVER));
    release_tallies(tally);
    end();
}

static void gathered(void)
{
    int64_t *of = calloc((size_t)ranks + 8, sizeof *of);
    double *x = calloc(((size_t)ranks + 8) * 4, sizeof *x);
    size_t n = 0;
    rref_error e;
    if (!of || !x || !begin_with(NULL)) return;
    size_t all = (size_t)ranks;
    OK(rref_group_gather(group, "rank", rref_out_array(of, all, &n)));
    CU_ASSERT_EQUAL(n, all);
    for (int i = 0; i < ranks; i++) CU_ASSERT_EQUAL(of[i], i);
    OK(rref_group_gather(group, "values", rref_out_array(x, 4 * all, &n)));
    CU_ASSERT_EQUAL(n, 4 * all);
    for (int i = 0; i < 4 * ranks; i++) CU_ASSERT_EQUAL(x[i], 10 * (i / 4) + i % 4);
    OK(rref_group_gather(group, "first", 4, rref_out_array(x, 4 * all, NULL)));
    if (ranks > 1) {
        GIVES(rref_group_gather(group, "first", 0, rref_out_array(x, all, NULL)), RREF_ERR_SHAPE);     /* rank 0 has none */
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "rank 0 gave 0 values of 1"));
    }
    GIVES(rref_group_gather(group, "values", rref_out_array(x, 3 * all, NULL)), RREF_ERR_TRUNCATED);
    GIVES(rref_group_gather(group, "rank", rref_out_array(of, 2 * all, NULL)), RREF_ERR_SIGNATURE);
    GIVES(rref_group_gather(group, "rank", rref_out(&of[0])), RREF_ERR_SIGNATURE);
    GIVES(rref_group_gather(group, "rank"), RREF_ERR_SIGNATURE);
    GIVES(rref_group_gather(group, "rank", rref_out_array(x, all, NULL)), RREF_ERR_SIGNATURE);
    GIVES(rref_group_gather(group, "text", rref_out_array(of, all, NULL)), RREF_ERR_SIGNATURE);
    GIVES(rref_group_gather(group, "scale", 1.0, rref_out_array(of, all, NULL)), RREF_ERR_SIGNATURE);
    GIVES(rref_group_gather(group, "none", rref_out_array(of, all, NULL)), RREF_ERR_NO_METHOD);
    end();
    free(of);
    free(x);
}

/* The application's own operation: keeps the last, which tells the order. */
static void last_of(void *in, void *inout, int *n, MPI_Datatype *type)
{
    double *a = in, *b = inout;
    (void)type;
    for (int i = 0; i < *n; i++) b[i] = a[i] * 1e-3 + b[i];
}

static void reduced(void)
{
    int64_t sum = -1, max = -1;
    double x[4] = { 0 }, expected[4] = { 0 };
    double _Complex z = 0;
    bool flag = true;
    size_t n = 0;
    MPI_Op op;
    if (!begin_with(NULL)) return;
    OK(rref_group_reduce(group, MPI_SUM, "rank", rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, ranks * (ranks - 1) / 2);
    OK(rref_group_reduce(group, MPI_MAX, "rank", rref_out(&max)));
    CU_ASSERT_EQUAL(max, ranks - 1);
    OK(rref_group_reduce(group, MPI_SUM, "values", rref_out_array(x, (size_t)4, &n)));
    CU_ASSERT_EQUAL(n, 4);
    for (int i = 0; i < 4; i++) CU_ASSERT_EQUAL(x[i], 10.0 * ranks * (ranks - 1) / 2 + i * ranks);
    OK(rref_group_reduce(group, MPI_SUM, "complex", rref_out(&z)));
    CU_ASSERT_EQUAL(creal(z), ranks * (ranks - 1) / 2);
    CU_ASSERT_EQUAL(cimag(z), ranks);
    OK(rref_group_reduce(group, MPI_LAND, "flag", rref_out(&flag)));
    CU_ASSERT_EQUAL(flag, ranks == 1);
    MPI_Op_create(last_of, 0, &op);
    for (int i = ranks - 1; i >= 0; i--)
        for (int k = 0; k < 4; k++) expected[k] = i == ranks - 1 ? 10 * i + k : (10 * i + k) * 1e-3 + expected[k];
    OK(rref_group_reduce(group, op, "values", rref_out_array(x, (size_t)4, NULL)));
    CU_ASSERT_EQUAL(memcmp(x, expected, sizeof x), 0);
    MPI_Op_free(&op);
    GIVES(rref_group_reduce(group, MPI_MAX, "complex", rref_out(&z)), RREF_ERR_SIGNATURE);
    GIVES(rref_group_reduce(group, MPI_BAND, "values", rref_out_array(x, (size_t)4, NULL)), RREF_ERR_SIGNATURE);
    GIVES(rref_group_reduce(group, MPI_OP_NULL, "rank", rref_out(&sum)), RREF_ERR_SIGNATURE);
    GIVES(rref_group_reduce(group, MPI_SUM, "values", rref_out_array(x, (size_t)3, NULL)), RREF_ERR_TRUNCATED);
    GIVES(rref_group_reduce(group, MPI_SUM, "scale", 1.0, rref_out(&sum)), RREF_ERR_SIGNATURE);
    const size_t wraps = ranks == 1 ? SIZE_MAX : SIZE_MAX / (size_t)ranks + 1;      /* room for all is none */
    GIVES(rref_group_reduce(group, MPI_SUM, "values", rref_out_array(x, wraps, NULL)), RREF_ERR_RANGE);
    end();
}

static void failing(void)
{
    rref_error e;
    if (!begin_with(NULL)) return;
    for (int who = 0; who < ranks; who++) {
        rref_future f = rref_group_async(group, "refuse", who);
        GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_USER - 3);
        OK(rref_future_error(f, &e));
        CU_ASSERT_EQUAL(e.rank, who);
        CU_ASSERT_STRING_EQUAL(e.where, "part.refuse");
        OK(rref_future_release(f));
    }
    rref_future f = rref_group_async(group, "rank", rref_out(&e.code));
    GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_SIGNATURE);
    OK(rref_future_release(f));
    f = rref_group_async(group, "scale", "text");
    GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_SIGNATURE);
    OK(rref_future_release(f));
    GIVES(rref_group_post(group, "none"), RREF_ERR_NO_METHOD);
    GIVES(rref_group_post_v(group, NULL, 2, NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_group_gather_v(group, NULL, 2, NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_group_reduce_v(group, MPI_SUM, NULL, 2, NULL), RREF_ERR_ARGUMENT);
    f = rref_group_async_v(group, NULL, 2, NULL);
    GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_ARGUMENT);
    OK(rref_future_release(f));
    rref_group none = { 0 };
    GIVES(rref_group_create_v(ctx, &none, NULL, 2, NULL), RREF_ERR_ARGUMENT);
    OK(rref_fence(ctx, RREF_FOREVER));
    OK(rref_group_post(group, "refuse", ranks - 1));
    GIVES(rref_fence(ctx, RREF_FOREVER), RREF_ERR_ONEWAY);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_EQUAL(e.rank, ranks - 1);
    CU_ASSERT_EQUAL(atomic_load(&failures), 1);
    end();
}

/* One constructor fails, or one rank asks for another class: no rank has a group, each is told why, and nothing is left. */
static void not_made(void)
{
    rref_group bad = { 0 };
    rref_error e;
    int64_t code = 0;
    if (!begin_with(NULL)) return;
    for (int who = 0; who < ranks; who++) {
        GIVES(rref_group_create(ctx, &bad, "part", rank >= who ? -1 - rank : rank), RREF_ERR_USER - 7);
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_EQUAL(e.rank, who);
        CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "no part"));
        CU_ASSERT_EQUAL(bad.bits, 0);
    }
    GIVES(rref_group_create(ctx, &bad, "no such class"), RREF_ERR_NO_CLASS);
    GIVES(rref_group_create(ctx, &bad, "part", "text"), RREF_ERR_SIGNATURE);
    if (ranks > 1) {
        if (rank == 0) GIVES(rref_group_create(ctx, &bad, "tally"), RREF_ERR_CLASS_MISMATCH);
        else GIVES(rref_group_create(ctx, &bad, "part", rank), RREF_ERR_CLASS_MISMATCH);
    }
    GIVES(rref_group_create(ctx, NULL, "part", 1), RREF_ERR_ARGUMENT);
    GIVES(rref_group_create(NULL, &bad, "part", 1), RREF_ERR_ARGUMENT);
    OK(rref_sync(rref_root(ctx, rank), "make_here", rref_out(&code)));
    CU_ASSERT_EQUAL(code, RREF_ERR_STATE);
    GIVES(rref_group_free(NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_group_free(&bad), RREF_ERR_HANDLE);
    CU_ASSERT_EQUAL(rref_group_member(bad, 0).bits, 0);
    OK(rref_fence(ctx, RREF_FOREVER));
    CU_ASSERT_EQUAL(atomic_load(&destroyed) % 100, atomic_load(&made) - 1);
    OK(rref_group_free(&group));
    OK(rref_finalize(&ctx));
}

/* References to members are stale when the group is freed, wherever they were kept. */
static void freed(void)
{
    if (!begin_with(NULL)) return;
    for (int round = 0; round < 10; round++) {
        rref_group other, copy = group;
        OK(rref_group_create(ctx, &other, "part", 100 + rank));
        rref m = rref_group_member(group, (rank + 1) % ranks);
        OK(rref_sync(rref_root(ctx, (rank + 1) % ranks), "keep", m));
        OK(rref_group_post(group, "scale", 1.5));
        OK(rref_fence(ctx, RREF_FOREVER));      /* serves the others, which a barrier of MPI does not */
        rref mine = { atomic_load(&kept) };
        CU_ASSERT_EQUAL(rref_owner(mine), rank);
        OK(rref_group_free(&group));
        GIVES(rref_sync(m, "rank"), RREF_ERR_HANDLE);
        GIVES(rref_sync(mine, "rank"), RREF_ERR_HANDLE);
        GIVES(rref_group_post(copy, "rank"), RREF_ERR_HANDLE);
        GIVES(rref_group_free(&copy), RREF_ERR_HANDLE);
        OK(rref_sync(rref_group_member(other, (rank + 1) % ranks), "rank"));
        group = other;
    }
    OK(rref_fence(ctx, RREF_FOREVER));
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 10);
    OK(rref_group_free(&group));
    OK(rref_finalize(&ctx));
}

static void application_driven(void)
{
    int64_t sum = 0;
    if (!begin_with("application")) return;
    rref_future f = rref_group_async(group, "scale", 2.0);
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    OK(rref_group_reduce(group, MPI_SUM, "rank", rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, ranks * (ranks - 1) / 2);
    end();
}

static const check_case cases[] = {
    { "members", members },
    { "all_called", all_called },
    { "arrays_of_references", arrays_of_references },
    { "never_delivered", never_delivered },
    { "gathered", gathered },
    { "reduced", reduced },
    { "failing", failing },
    { "not_made", not_made },
    { "freed", freed },
    { "application_driven", application_driven },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "groups", cases); }
