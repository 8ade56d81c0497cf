/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Answers that MPI does not send at once, since they are too long for that and no memory is shared: the owner has to enter MPI
 * again, though all that its application does is outside of the library.
 */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK

enum { LONG = 32768, TIMES = 10 };

static rref_context *ctx;
static int rank, ranks;
static atomic_int over;
static char data[LONG];

/* Long enough for another thread to take the role of who drives, to find nothing, and to sleep. */
static void compute(void)
{
    double until = check_clock() + 0.02;
    while (check_clock() < until) {}
}

static int slow(rref_call *c, void *self)
{
    (void)self;
    compute();
    return rref_return(c, rref_bytes(data, sizeof data));
}

static void *answer(void *arg)
{
    rref_deferred *d = arg;
    compute();
    if (rref_complete(*d, rref_bytes(data, sizeof data)) != RREF_OK) abort();
    free(d);
    return NULL;
}

static int later(rref_call *c, void *self)
{
    pthread_t thread;
    (void)self;
    rref_deferred *d = malloc(sizeof *d);
    if (!d) return RREF_ERR_NO_MEMORY;
    *d = rref_defer(c);
    if (pthread_create(&thread, NULL, answer, d)) abort();
    pthread_detach(thread);
    return RREF_PENDING;
}

static int leave(rref_call *c, void *self) { return (void)c, (void)self, atomic_store(&over, 1), RREF_OK; }
static bool is_over(void *arg) { return (void)arg, atomic_load(&over) > 0; }

static const rref_method functions[] = {
    RREF_METHOD("slow", "-> bytes", slow, 0),
    RREF_METHOD("later", "-> bytes", later, 0),
    RREF_METHOD("leave", "", leave, 0),
    RREF_METHODS_END
};

static void ask(int of, const char *method)
{
    static char back[LONG];
    size_t n = 0;
    int rc = RREF_OK;
    for (int i = 0; i < TIMES && rc == RREF_OK; i++)
        rc = rref_invoke(rref_rpc_sync(rref_root(ctx, of), 10), method, rref_out_bytes(back, LONG, &n));
    OK(rc);
    CU_ASSERT_EQUAL(n, LONG);
}

static void answered(const char *method)
{
    rref_options options = { .functions = functions };
    atomic_store(&over, 0);
    setenv("RREF_EAGER", "64K", 1);
    int rc = rref_init(MPI_COMM_WORLD, &options, &ctx);
    unsetenv("RREF_EAGER");
    OK(rc);
    if (rc) return;
    rank = rref_rank(ctx);
    ranks = rref_size(ctx);
    for (int of = 1; rank == 0 && of < ranks; of++) {
        ask(of, method);
        OK(rref_sync(rref_root(ctx, of), "leave"));
    }
    if (rank > 0) CU_ASSERT_TRUE(check_until(is_over, NULL, 50));
    OK(rref_finalize(&ctx));
}

static void by_slow_methods(void) { answered("slow"); }
static void by_threads(void) { answered("later"); }

static const check_case cases[] = { { "by_slow_methods", by_slow_methods }, { "by_threads", by_threads }, CHECK_END };

int main(int argc, char **argv)
{
    setenv("OMPI_MCA_btl_vader_single_copy_mechanism", "none", 0);
    return check_mpi_main(argc, argv, "left", cases);
}
