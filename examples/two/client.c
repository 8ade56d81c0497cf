/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other program: it has no class. It makes a histogram on the rank named "server", asks what that can do, and uses it.
 * The class is read from the server's memory when it is first needed.
 *
 *   mpirun -n 1 two-server : -n 3 two-client
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <mpi.h>
#include <rref.h>

enum { BINS = 4 };

static int use(rref_context *context, int server)
{
    static const double x[] = { 0.1, 0.3, 0.35, 0.6, 0.9, 7 };
    uint64_t count[BINS];
    size_t bins = 0;
    char *text = NULL;
    int rank = rref_rank(context), wrong = 0;

    rref h = rref_create(context, server, "histogram", 0.0, 1.0, BINS);
    wrong += rref_post(h, "add", rref_array(x, 6)) != RREF_OK;
    wrong += rref_sync(h, "counts", rref_out_array(count, BINS, &bins)) != RREF_OK;
    wrong += bins != BINS || rref_describe(h, &text, RREF_FOREVER) != RREF_OK;
    if (wrong) rref_perror(context, "client");
    else printf("rank %d: %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n%s", rank, count[0], count[1], count[2], count[3],
                rank == 1 ? text : "");
    free(text);

    wrong += rref_sync(h, "draw") != RREF_ERR_NO_METHOD;        /* found out here: nothing is sent */
    wrong += rref_sync(h, "add", "text") != RREF_ERR_SIGNATURE;
    rref_release(h);
    return wrong;
}

/* What lies just below the upper bound is counted; bounds that make no bins are refused by the owner. */
static int edges(rref_context *context, int server)
{
    uint64_t count[BINS] = { 0 };
    size_t bins = 0;
    rref narrow = rref_create(context, server, "histogram", -1.0, 1e-17, BINS);
    rref endless = rref_create(context, server, "histogram", 0.0, HUGE_VAL, BINS);
    int wrong = rref_post(narrow, "add", rref_array(((double[]){ 0 }), 1)) != RREF_OK;
    wrong += rref_sync(narrow, "counts", rref_out_array(count, BINS, &bins)) != RREF_OK || count[BINS - 1] != 1;
    wrong += rref_sync(endless, "counts", rref_out_array(count, BINS, &bins)) != RREF_ERR_ARGUMENT;
    if (wrong) fprintf(stderr, "client: a bound is wrong\n");
    rref_release(narrow);
    rref_release(endless);
    return wrong;
}

int main(int argc, char **argv)
{
    int level;
    rref_context *context;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    if (rref_init(MPI_COMM_WORLD, NULL, &context)) {
        rref_perror(NULL, "client");
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
    int server = rref_rank_of(context, "server"), wrong = server < 0;
    if (wrong) rref_perror(context, "client");
    else wrong = use(context, server) + edges(context, server);
    if (rref_finalize(&context) != RREF_OK) {
        rref_perror(NULL, "client");
        wrong++;
    }
    MPI_Finalize();
    return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
