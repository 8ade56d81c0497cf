/* SPDX-License-Identifier: BSD-3-Clause */
/* Arrays of more than 2^31 bytes in one call: as an argument, copied and in place, and as a result, which is gone afterwards. */
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK

enum { EDGE = 1000 };
static const size_t many = ((size_t)1 << 28) + EDGE;     /* doubles: 2 GiB and a bit */

/* Values at the ends and around the places where 32 bits would overflow. */
static const size_t places[] = { 0, 1, EDGE, (size_t)1 << 27, ((size_t)1 << 28) - 1, (size_t)1 << 28,
                                 ((size_t)1 << 28) + EDGE - 1 };
enum { PLACES = sizeof places / sizeof *places };

static double *make(double factor)
{
    double *x = calloc(many, sizeof *x);
    for (int i = 0; x && i < PLACES; i++) x[places[i]] = factor * (i + 1);
    return x;
}

static int64_t wrong(const double *x, size_t n, double factor)
{
    int64_t bad = n != many;
    for (int i = 0; i < PLACES && n == many; i++) bad += x[places[i]] != factor * (i + 1);
    return bad;
}

static int look(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    const double *x = rref_arg_f64s(c, 0, &n);
    return rref_return(c, wrong(x, n, 1), (uint64_t)n);
}

static atomic_int freed;

static void give_back(void *memory)
{
    free(memory);
    atomic_fetch_add(&freed, 1);
}

static int give(rref_call *c, void *self)
{
    double *x = make(2);
    (void)self;
    return x ? rref_return_owned(c, x, many, give_back) : RREF_ERR_NO_MEMORY;
}

static const rref_method functions[] = {
    RREF_METHOD("look", "f64[] -> i64, u64", look, 0), RREF_METHOD("give", "-> f64[]", give, 0), RREF_METHODS_END
};

static rref_context *ctx;
static rref there;

static void begin(void)
{
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .functions = functions }, &ctx));
    there = rref_root(ctx, rref_size(ctx) - 1);
}

static void arguments(void)
{
    begin();
    double *x = rref_rank(ctx) == 0 ? make(1) : NULL;
    if (x) {
        int64_t bad = -1;
        uint64_t n = 0;
        OK(rref_sync(there, "look", rref_array(x, many), rref_out(&bad), rref_out(&n)));
        CU_ASSERT_EQUAL(bad, 0);
        CU_ASSERT_EQUAL(n, many);
        rref_future f = rref_async(there, "look", rref_borrow(x, many), rref_out(&bad), rref_out(&n));
        OK(rref_wait(f, RREF_FOREVER));
        CU_ASSERT_EQUAL(bad, 0);
        OK(rref_future_release(f));
    }
    CU_ASSERT_TRUE(x || rref_rank(ctx) > 0);
    free(x);
    OK(rref_finalize(&ctx));
}

static void take_results(double *x)
{
    size_t n = 0;
    OK(rref_sync(there, "give", rref_out_array(x, many, &n)));
    CU_ASSERT_EQUAL(wrong(x, n, 2), 0);
    n = 0;
    memset(x, 0, many * sizeof *x);
    rref_future f = rref_async(there, "give", rref_out_array(x, many, &n));
    OK(rref_wait(f, RREF_FOREVER));
    CU_ASSERT_EQUAL(wrong(x, n, 2), 0);
    OK(rref_future_release(f));
}

static void results(void)
{
    begin();
    bool gives = rref_rank(ctx) == rref_size(ctx) - 1;
    atomic_store(&freed, 0);
    if (rref_rank(ctx) == 0) {
        double *x = malloc(many * sizeof *x);
        CU_ASSERT_PTR_NOT_NULL(x);
        if (x) take_results(x);
        free(x);
    }
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&freed), gives ? 2 : 0);
}

static const check_case cases[] = { { "arguments", arguments }, { "results", results }, CHECK_END };

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "large", cases); }
