/* SPDX-License-Identifier: BSD-3-Clause */
/* How data moves, and what holds it back: receives posted ahead and taken back, data that nobody wants, elements that do not lie
 * together, calls that do not wait for credit. */
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { MANY = 20000, ROWS = 300, COLUMNS = 70, CREDITS = 2 };

static rref_context *ctx;
static int rank, size, next;
static rref there;                      /* the next rank's root */
static atomic_bool open_gate;
static atomic_int counted;

static bool gate_is_open(void *arg)
{
    (void)arg;
    return atomic_load(&open_gate);
}

static int gate_pass(rref_call *c, void *self)
{
    (void)c, (void)self;
    return check_until(gate_is_open, NULL, 60) ? RREF_OK : RREF_ERR_USER;
}

static int gate_count(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_fetch_add(&counted, 1);
    return RREF_OK;
}

static int gate_create(rref_call *c, void **self)
{
    (void)c;
    *self = &counted;
    return RREF_OK;
}

static int gate_swallow(rref_call *c, void *self)
{
    (void)c, (void)self;
    return RREF_OK;
}

static const rref_method gate_methods[] = {
    RREF_METHOD("swallow", "f64[]", gate_swallow, 0),
    RREF_METHOD("pass", "", gate_pass, 0),
    RREF_METHOD("count", "", gate_count, 0),
    RREF_METHODS_END
};
static const rref_class gate_class = RREF_CLASS("gate", "", gate_create, NULL, gate_methods);

/* ---- free functions */

static double value_of(size_t i) { return (double)(i % 977) * 0.5 + 1; }

/* u64 how many to give; whether the gate is waited for first. */
static int numbers(rref_call *c, void *self)
{
    uint64_t n = rref_arg_u64(c, 0);
    (void)self;
    if (rref_arg_bool(c, 1) && !check_until(gate_is_open, NULL, 60)) return RREF_ERR_USER;
    double *x = malloc(n ? n * sizeof *x : 1);
    if (!x) return RREF_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) x[i] = value_of(i);
    return rref_return_owned(c, x, n, free);
}

static int echo(rref_call *c, void *self)
{
    size_t n;
    const double *x = rref_arg_f64s(c, 0, &n);
    (void)self;
    return rref_return_borrowed(c, x, n);
}

static int add_up(rref_call *c, void *self)
{
    size_t n;
    double sum = 0;
    const double *x = rref_arg_f64s(c, 0, &n);
    (void)self;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return rref_return(c, sum, (uint64_t)n);
}

static int refuse(rref_call *c, void *self)
{
    (void)self;
    return rref_fail(c, RREF_ERR_USER - 1, "not today");
}

static int flags(rref_call *c, void *self)
{
    size_t n;
    const bool *x = rref_arg_bools(c, 0, &n);
    (void)self;
    return rref_return_borrowed(c, x, n);
}

static const rref_method functions[] = {
    RREF_METHOD("numbers", "u64, bool -> f64[]", numbers, 0),
    RREF_METHOD("echo", "f64[] -> f64[]", echo, 0),
    RREF_METHOD("add_up", "f64[] -> f64, u64", add_up, 0),
    RREF_METHOD("refuse", "f64[] -> f64[]", refuse, 0),
    RREF_METHOD("flags", "bool[] -> bool[]", flags, 0),
    RREF_METHODS_END
};

static void begin(void)
{
    static const rref_class *classes[] = { &gate_class, NULL };
    atomic_store(&open_gate, false);
    atomic_store(&counted, 0);
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes, .functions = functions }, &ctx));
    rank = rref_rank(ctx);
    size = rref_size(ctx);
    next = (rank + 1) % size;
    there = rref_root(ctx, next);
}

static size_t wrong(const double *x, size_t n)
{
    size_t bad = 0;
    for (size_t i = 0; i < n; i++) bad += x[i] != value_of(i);
    return bad;
}

static double *blank(size_t n)
{
    double *x = malloc(n * sizeof *x);
    for (size_t i = 0; x && i < n; i++) x[i] = -1;
    return x;
}

static size_t touched(const double *x, size_t n)
{
    size_t other = 0;
    for (size_t i = 0; i < n; i++) other += x[i] != -1;
    return other;
}

/* ---- results and the room for them */

static void results_of_other_sizes(void)
{
    begin();
    double *x = blank(MANY);
    size_t n = 0;
    OK(rref_sync(there, "numbers", MANY, false, rref_out_array(x, MANY, &n)));
    CU_ASSERT_TRUE(n == MANY && !wrong(x, MANY));
    memset(x, 0, MANY * sizeof *x);
    OK(rref_sync(there, "numbers", MANY / 2, false, rref_out_array(x, MANY, &n)));
    CU_ASSERT_TRUE(n == MANY / 2 && !wrong(x, n) && x[n] == 0);
    OK(rref_sync(there, "numbers", 3, false, rref_out_array(x, MANY, &n)));
    CU_ASSERT_TRUE(n == 3 && !wrong(x, n));
    OK(rref_sync(there, "numbers", 0, false, rref_out_array(x, MANY, &n)));
    CU_ASSERT_EQUAL(n, 0);
    memset(x, 0, MANY * sizeof *x);
    GIVES(rref_sync(there, "numbers", MANY + 1, false, rref_out_array(x, MANY, &n)), RREF_ERR_TRUNCATED);
    CU_ASSERT_TRUE(n == 0 && x[0] == 0 && x[MANY - 1] == 0);
    GIVES(rref_sync(there, "refuse", rref_array(x, MANY), rref_out_array(x, MANY, &n)), RREF_ERR_USER - 1);
    for (int i = 0; i < 50; i++) {
        OK(rref_sync(there, "numbers", MANY, false, rref_out_array(x, MANY, &n)));
        OK(rref_sync(there, "echo", rref_array(x, MANY), rref_out_array(x, MANY, &n)));
    }
    CU_ASSERT_TRUE(n == MANY && !wrong(x, MANY));
    free(x);
    OK(rref_finalize(&ctx));
}

/* Its result is on the way, or will be, when nobody wants it any more: it must not land. */
static void results_nobody_waits_for(void)
{
    size_t n[3] = { 0, 0, 0 };
    begin();
    double *x[3] = { blank(MANY), blank(MANY), blank(MANY) };
    if (size > 1)       /* else it would run here */
        GIVES(rref_invoke(rref_rpc_sync(there, 0.01), "numbers", MANY, true, rref_out_array(x[0], MANY, &n[0])),
              RREF_ERR_TIMEOUT);
    rref_future late = rref_invoke(rref_rpc_async(there, 0.01), "numbers", MANY, true, rref_out_array(x[1], MANY, &n[1]));
    rref_future given_up = rref_async(there, "numbers", MANY, true, rref_out_array(x[2], MANY, &n[2]));
    GIVES(rref_wait(late, RREF_FOREVER), RREF_ERR_TIMEOUT);
    OK(rref_cancel(given_up));
    GIVES(rref_cancel(given_up), RREF_ERR_COMPLETED);
    GIVES(rref_test(given_up), RREF_ERR_CANCELLED);
    OK(rref_future_release(late));
    OK(rref_future_release(given_up));
    MPI_Barrier(MPI_COMM_WORLD);
    atomic_store(&open_gate, true);
    OK(rref_fence(ctx, RREF_FOREVER));
    for (int i = 0; i < 3; i++) CU_ASSERT_TRUE(n[i] == 0 && !touched(x[i], MANY));
    OK(rref_sync(there, "numbers", MANY, false, rref_out_array(x[0], MANY, &n[0])));
    CU_ASSERT_TRUE(n[0] == MANY && !wrong(x[0], MANY));
    for (int i = 0; i < 3; i++) free(x[i]);
    OK(rref_finalize(&ctx));
}

/* The arguments come at once, whatever becomes of the call. */
static void arguments_nobody_wants(void)
{
    begin();
    double *x = blank(MANY), sum = 0;
    uint64_t n = 0;
    rref g = rref_create(ctx, next, "gate");
    OK(rref_sync(g, "count"));
    for (size_t i = 0; i < MANY; i++) x[i] = value_of(i);
    rref_future passed = rref_async(g, "pass");
    for (int i = 0; i < 100; i++) {
        GIVES(rref_sync(there, "refuse", rref_array(x, MANY)), RREF_ERR_USER - 1);
    }
    rref_future slow = rref_invoke(rref_rpc_async(g, 0.01), "swallow", rref_borrow(x, MANY));
    GIVES(rref_wait(slow, RREF_FOREVER), RREF_ERR_TIMEOUT);
    OK(rref_wait_sent(slow, RREF_FOREVER));
    OK(rref_future_release(slow));
    MPI_Barrier(MPI_COMM_WORLD);
    atomic_store(&open_gate, true);
    OK(rref_wait(passed, RREF_FOREVER));
    OK(rref_future_release(passed));
    OK(rref_sync(there, "add_up", rref_array(x, MANY), rref_out(&sum), rref_out(&n)));
    CU_ASSERT_TRUE(n == MANY && sum > MANY);
    OK(rref_release(g));
    free(x);
    OK(rref_finalize(&ctx));
}

/* ---- elements that do not lie together */

static MPI_Datatype column_of(int rows, int columns, MPI_Datatype element)
{
    MPI_Datatype column;
    MPI_Type_vector(rows, 1, columns, element, &column);
    MPI_Type_commit(&column);
    return column;
}

/* Columns there and back, of few elements and of many: those of `from` become those of `to`. */
static void echo_column(int rows)
{
    const size_t all = (size_t)rows * COLUMNS;
    double *from = blank(all), *to = blank(all), sum = 0, *plain = blank((size_t)rows);
    uint64_t n = 0;
    size_t m = 0, bad = 0;
    MPI_Datatype column = column_of(rows, COLUMNS, MPI_DOUBLE);
    for (size_t i = 0; i < (size_t)rows; i++) from[i * COLUMNS + 2] = value_of(i);
    OK(rref_sync(there, "add_up", rref_strided(from + 2, 1, column), rref_out(&sum), rref_out(&n)));
    CU_ASSERT_EQUAL(n, (uint64_t)rows);
    OK(rref_sync(there, "echo", rref_strided(from + 2, 1, column), rref_out_array(plain, (size_t)rows, &m)));
    CU_ASSERT_TRUE(m == (size_t)rows && !wrong(plain, m));
    OK(rref_sync(there, "echo", rref_strided(from + 2, 1, column), rref_out_strided(to + 5, 1, column)));
    rref_future copied = rref_async(there, "echo", rref_strided(from + 2, 1, column));
    rref_future in_place = rref_async(there, "echo", rref_borrow_strided(from + 2, 1, column),
                                      rref_out_strided(to + 6, 1, column));
    OK(rref_wait(copied, RREF_FOREVER));
    OK(rref_get(copied, rref_out_strided(to + 7, 1, column)));
    OK(rref_wait(in_place, RREF_FOREVER));
    for (size_t i = 0; i < (size_t)rows; i++)
        for (size_t k = 0; k < COLUMNS; k++)
            bad += to[i * COLUMNS + k] != (k >= 5 && k <= 7 ? value_of(i) : -1);
    CU_ASSERT_EQUAL(bad, 0);
    OK(rref_future_release(copied));
    OK(rref_future_release(in_place));
    MPI_Type_free(&column);
    free(from);
    free(to);
    free(plain);
}

static void columns(void)
{
    begin();
    echo_column(3);
    echo_column(ROWS);
    echo_column(MANY);
    OK(rref_post(there, "add_up", rref_strided(&(double){ 1 }, 1, MPI_DOUBLE)));
    OK(rref_fence(ctx, RREF_FOREVER));
    OK(rref_finalize(&ctx));
}

/* A halo: the border of a block inside of a larger one, made of types of types. */
static void types_of_types(void)
{
    double sum = 0, *x = blank(ROWS * COLUMNS);
    uint64_t n = 0;
    MPI_Datatype block, edge, both, pair;
    begin();
    for (size_t i = 0; i < ROWS * COLUMNS; i++) x[i] = 1;
    MPI_Type_create_subarray(2, (int[]){ ROWS, COLUMNS }, (int[]){ ROWS - 2, COLUMNS - 2 }, (int[]){ 1, 1 }, MPI_ORDER_C,
                             MPI_DOUBLE, &block);
    MPI_Type_create_resized(MPI_DOUBLE, 0, 2 * sizeof(double), &edge);
    MPI_Type_create_struct(2, (int[]){ 1, 7 }, (MPI_Aint[]){ 0, 0 }, (MPI_Datatype[]){ block, edge }, &both);
    MPI_Type_create_struct(2, (int[]){ 1, 1 }, (MPI_Aint[]){ 0, 8 }, (MPI_Datatype[]){ MPI_DOUBLE, MPI_INT }, &pair);
    MPI_Type_commit(&edge);
    MPI_Type_commit(&both);
    MPI_Type_commit(&pair);
    OK(rref_sync(there, "add_up", rref_strided(x, 1, both), rref_out(&sum), rref_out(&n)));
    CU_ASSERT_TRUE(n == (ROWS - 2) * (COLUMNS - 2) + 7 && sum == (double)n);
    OK(rref_sync(there, "add_up", rref_strided(x, 5, edge), rref_out(&sum), rref_out(&n)));
    CU_ASSERT_EQUAL(n, 5);
    OK(rref_sync(there, "add_up", rref_strided(NULL, 0, both), rref_out(&sum), rref_out(&n)));
    CU_ASSERT_EQUAL(n, 0);
    GIVES(rref_sync(there, "add_up", rref_strided(x, 1, pair)), RREF_ERR_SIGNATURE);
    GIVES(rref_sync(there, "add_up", rref_strided(x, 1, MPI_DATATYPE_NULL)), RREF_ERR_SIGNATURE);
    GIVES(rref_sync(there, "add_up", rref_strided(x, 1, MPI_FLOAT)), RREF_ERR_SIGNATURE);
    GIVES(rref_sync(there, "add_up", rref_strided(NULL, 1, both)), RREF_ERR_ARGUMENT);
    GIVES(rref_sync(there, "echo", rref_array(x, 4), rref_out_strided(x, 5, MPI_DOUBLE)), RREF_ERR_SHAPE);
    GIVES(rref_sync(there, "echo", rref_array(x, MANY), rref_out_strided(x, ROWS * COLUMNS, MPI_DOUBLE)), RREF_ERR_SHAPE);
    GIVES(rref_sync(there, "echo", rref_array(x, 4), rref_out_strided(x, 1, pair)), RREF_ERR_SIGNATURE);
    GIVES(rref_post(there, "add_up", rref_borrow_strided(x, 1, both)), RREF_ERR_SIGNATURE);
    MPI_Type_free(&block);
    MPI_Type_free(&edge);
    MPI_Type_free(&both);
    MPI_Type_free(&pair);
    free(x);
    OK(rref_finalize(&ctx));
}

static void is_too_large(int rc)
{
    rref_error e;
    GIVES(rc, RREF_ERR_RANGE);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "one item of the MPI datatype has 2 GiB or more"));
}

/* One element again and again: there need not be as much memory. */
static void large_items(void)
{
    double x = 1;
    MPI_Datatype large;
    begin();
    MPI_Type_create_hvector(1 << 28, 1, 0, MPI_DOUBLE, &large);
    MPI_Type_commit(&large);
    is_too_large(rref_sync(there, "add_up", rref_strided(&x, 1, large)));
    is_too_large(rref_post(there, "add_up", rref_strided(&x, 3, large)));
    is_too_large(rref_sync(there, "echo", rref_array(&x, 1), rref_out_strided(&x, 1, large)));
    rref_future f = rref_async(there, "add_up", rref_borrow_strided(&x, 1, large));
    is_too_large(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    MPI_Type_free(&large);
    OK(rref_finalize(&ctx));
}

static unsigned element(MPI_Datatype type) { return rref_strided("", 1, type).element; }

static void one_of(MPI_Datatype type, size_t bytes, rref_type wanted)
{
    int has = 0;
    if (type != MPI_DATATYPE_NULL) MPI_Type_size(type, &has);
    if (has == (int)bytes) CU_ASSERT_EQUAL(element(type), wanted);      /* else MPI has no such type here */
}

static void fortran_types(void)
{
    MPI_Datatype real, complex, integer, several;
    begin();
    one_of(MPI_REAL4, 4, RREF_F32), one_of(MPI_REAL8, 8, RREF_F64);
    one_of(MPI_COMPLEX8, 8, RREF_C64), one_of(MPI_COMPLEX16, 16, RREF_C128), one_of(MPI_DOUBLE_COMPLEX, 16, RREF_C128);
    one_of(MPI_INTEGER1, 1, RREF_I8), one_of(MPI_INTEGER2, 2, RREF_I16), one_of(MPI_INTEGER4, 4, RREF_I32);
    one_of(MPI_INTEGER8, 8, RREF_I64), one_of(MPI_CHARACTER, 1, RREF_BYTES);
    if (MPI_REAL8 != MPI_DATATYPE_NULL && MPI_Type_create_f90_real(15, 300, &real) == MPI_SUCCESS) {
        double sum = 0;
        uint64_t n = 0;
        MPI_Type_create_f90_complex(6, 30, &complex);
        MPI_Type_create_f90_integer(9, &integer);
        one_of(complex, 8, RREF_C64), one_of(integer, 4, RREF_I32);
        MPI_Type_contiguous(3, real, &several);
        MPI_Type_commit(&several);
        OK(rref_sync(there, "add_up", rref_strided((double[]){ 1, 2, 3 }, 1, several), rref_out(&sum), rref_out(&n)));
        CU_ASSERT_TRUE(n == 3 && sum == 6);
        MPI_Type_free(&several);
        CU_ASSERT_EQUAL(element(real), RREF_F64);       /* it is MPI's, and still there */
    }
    OK(rref_finalize(&ctx));
}

/* Types of types of types, and what a type names and does not have. */
static void deep_types(void)
{
    enum { DEEP = 300 };
    MPI_Datatype type[DEEP], empty, both;
    double sum = 0;
    uint64_t n = 0;
    begin();
    MPI_Type_vector(2, 1, 2, MPI_DOUBLE, &type[0]);
    for (int i = 1; i < DEEP; i++) MPI_Type_contiguous(1, type[i - 1], &type[i]);
    MPI_Type_commit(&type[DEEP - 1]);
    OK(rref_sync(there, "add_up", rref_strided((double[]){ 1, 2, 4 }, 1, type[DEEP - 1]), rref_out(&sum), rref_out(&n)));
    CU_ASSERT_TRUE(n == 2 && sum == 5);
    MPI_Type_contiguous(0, MPI_SHORT, &empty);
    MPI_Type_create_struct(3, (int[]){ 0, 3, 2 }, (MPI_Aint[]){ 0, 0, 0 }, (MPI_Datatype[]){ MPI_INT, MPI_DOUBLE, empty }, &both);
    MPI_Type_commit(&both);
    OK(rref_sync(there, "add_up", rref_strided((double[]){ 1, 2, 4 }, 1, both), rref_out(&sum), rref_out(&n)));
    CU_ASSERT_TRUE(n == 3 && sum == 7);
    CU_ASSERT_EQUAL(element(empty), RREF_I16);
    for (int i = 0; i < DEEP; i++) MPI_Type_free(&type[i]);
    MPI_Type_free(&empty);
    MPI_Type_free(&both);
    OK(rref_finalize(&ctx));
}

/* A type that has addresses in itself, as for MPI_Send: few of them, and so many that they travel beside the message. */
static void from_the_bottom(void)
{
    for (int many = 0; many < 2; many++) {
        const int each = many ? MANY : 3;
        double *x = blank((size_t)each), *y = blank((size_t)each), *back = blank(2 * (size_t)each), sum = 0;
        uint64_t n = 0;
        MPI_Aint at[2];
        MPI_Datatype from, to;
        begin();
        for (int i = 0; i < each; i++) x[i] = 1, y[i] = 2;
        MPI_Get_address(x, &at[0]);
        MPI_Get_address(y, &at[1]);
        MPI_Type_create_hindexed(2, (int[]){ each, each }, at, MPI_DOUBLE, &from);
        MPI_Get_address(back, &at[0]);
        MPI_Type_create_hindexed(1, (int[]){ 2 * each }, at, MPI_DOUBLE, &to);
        MPI_Type_commit(&from);
        MPI_Type_commit(&to);
        OK(rref_sync(there, "add_up", rref_strided(MPI_BOTTOM, 1, from), rref_out(&sum), rref_out(&n)));
        CU_ASSERT_TRUE(n == 2 * (uint64_t)each && sum == 3.0 * each);
        OK(rref_sync(there, "echo", rref_strided(MPI_BOTTOM, 1, from), rref_out_strided(MPI_BOTTOM, 1, to)));
        CU_ASSERT_TRUE(back[0] == 1 && back[2 * each - 1] == 2);
        rref_future lent = rref_async(there, "add_up", rref_borrow_strided(MPI_BOTTOM, 1, from));
        OK(rref_wait(lent, RREF_FOREVER));
        OK(rref_future_release(lent));
        rref_future copied = rref_async(there, "add_up", rref_strided(MPI_BOTTOM, 1, from));
        for (int i = 0; i < each; i++) x[i] = y[i] = 100;
        OK(rref_wait(copied, RREF_FOREVER));
        OK(rref_get(copied, rref_out(&sum), rref_out(&n)));
        CU_ASSERT_TRUE(n == 2 * (uint64_t)each && sum == 3.0 * each);
        OK(rref_future_release(copied));
        MPI_Type_free(&from);
        MPI_Type_free(&to);
        OK(rref_finalize(&ctx));
        free(x), free(y), free(back);
    }
}

/* Bools are looked at when they have come, so they do not land where they are spread. */
static void spread_bools(void)
{
    bool *x = calloc(MANY, 2), *y = calloc(MANY, 2);
    size_t bad = 0;
    MPI_Datatype column = column_of(MANY, 2, MPI_C_BOOL);
    begin();
    for (size_t i = 0; i < MANY; i++) x[2 * i] = i % 3 == 0;
    OK(rref_sync(there, "flags", rref_strided(x, 1, column), rref_out_strided(y + 1, 1, column)));
    for (size_t i = 0; i < MANY; i++) bad += y[2 * i] || y[2 * i + 1] != (i % 3 == 0);
    CU_ASSERT_EQUAL(bad, 0);
    MPI_Type_free(&column);
    free(x);
    free(y);
    OK(rref_finalize(&ctx));
}

/* ---- credit */

/* What the last error says of it; what was sent runs in the end. */
static int was_sent(void)
{
    rref_error e = { .text = "" };
    rref_last_error(ctx, &e);
    return strstr(e.text, "was not sent") ? 0 : 1;
}

/* Calls with an answer wait for credit no longer than they may take, and say how far they got: how many were sent. */
static int wait_in_time(rref gate, rref result)
{
    int sent = 0;
    double sum;
    uint64_t n;
    GIVES(rref_invoke(rref_rpc_sync(gate, 0.02), "count"), RREF_ERR_TIMEOUT);
    sent += was_sent();
    GIVES(rref_to_here(rref_rpc_sync(result, 0.02), rref_out(&sum), rref_out(&n)), RREF_ERR_TIMEOUT);
    rref_future f = rref_invoke(rref_rpc_async(gate, 0.02), "count");
    GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_TIMEOUT);
    sent += was_sent();
    OK(rref_future_release(f));
    return sent;
}

/* Calls until there is no credit; how many. */
static int use_up(rref gate, rref_method_ref count)
{
    int made = 0, tries = 0, rc = RREF_OK;
    while (rc == RREF_OK && tries++ < 100000) made += (rc = rref_try_post(tries % 2 ? gate : count.target, "count")) == RREF_OK;
    GIVES(rc, RREF_ERR_WOULD_BLOCK);
    return made;
}

/* Whether a call was refused; else it was made. */
static bool is_refused(int rc, int wanted, int *made)
{
    *made += rc == wanted;
    if (rc != RREF_ERR_WOULD_BLOCK) GIVES(rc, wanted);
    return rc == RREF_ERR_WOULD_BLOCK;
}

/* A call of each kind that does not wait, when there is no credit. What was called before may still be giving some back: all the
 * credit there is, at most. Returns how many were made. */
static int are_refused(rref gate, rref_method_ref count, rref_future tried[2 * (CREDITS + 1)])
{
    int made = 0, round = 0;
    bool refused;
    do {
        rref_future *f = &tried[2 * round];
        made += use_up(gate, count);
        refused = is_refused(rref_try_post(count), RREF_OK, &made);
        f[0] = rref_try_async(gate, "count");
        f[1] = rref_try_async(count);
        refused = is_refused(rref_test(f[0]), RREF_ERR_PENDING, &made) && refused;
        refused = is_refused(rref_test(f[1]), RREF_ERR_PENDING, &made) && refused;
    } while (!refused && ++round <= CREDITS);
    CU_ASSERT_TRUE(refused);
    return made;
}

/* The object's queue keeps the messages, so their credit stays out until it gets on. */
static void calls_that_do_not_wait(void)
{
    rref_future tried[2 * (CREDITS + 1)] = { { 0 } };
    check_set("RREF_CREDITS", CREDITS);
    setenv("RREF_PARK_LIMIT", "4096", 1);
    begin();
    rref g = rref_create(ctx, next, "gate");
    rref_method_ref count = rref_bind(g, "count");
    const double some[] = { 1, 2 };
    rref result = rref_remote(rref_root(ctx, next), "add_up", rref_array(some, 2));
    OK(rref_to_here(result));                   /* it is there */
    rref_future passed = rref_async(g, "pass");
    int made = are_refused(g, count, tried);
    made += wait_in_time(g, result);
    MPI_Barrier(MPI_COMM_WORLD);
    atomic_store(&open_gate, true);
    OK(rref_wait(passed, RREF_FOREVER));
    OK(rref_sync(g, "count"));
    OK(rref_try_post(count));
    rref_future late = rref_try_async(count);
    OK(rref_wait(late, RREF_FOREVER));
    for (int i = 0; i < 2 * (CREDITS + 1); i++) {
        if (!tried[i].bits) continue;
        rref_wait(tried[i], RREF_FOREVER);
        OK(rref_future_release(tried[i]));
    }
    OK(rref_future_release(late));
    OK(rref_future_release(passed));
    OK(rref_release(g));
    OK(rref_release(result));
    OK(rref_fence(ctx, RREF_FOREVER));
    int all = 0, mine = atomic_load(&counted);
    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Allreduce(&made, &mine, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    CU_ASSERT_EQUAL(all, mine + 3 * size);
    OK(rref_finalize(&ctx));
    unsetenv("RREF_CREDITS");
    unsetenv("RREF_PARK_LIMIT");
}

static const check_case cases[] = {
    { "results_of_other_sizes", results_of_other_sizes },
    { "results_nobody_waits_for", results_nobody_waits_for },
    { "arguments_nobody_wants", arguments_nobody_wants },
    { "columns", columns },
    { "types_of_types", types_of_types }, { "large_items", large_items },
    { "fortran_types", fortran_types }, { "deep_types", deep_types }, { "from_the_bottom", from_the_bottom },
    { "spread_bools", spread_bools },
    { "calls_that_do_not_wait", calls_that_do_not_wait },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "data", cases); }
