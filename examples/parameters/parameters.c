/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A parameter server: every rank fits the same line to points of its own, and an object on rank 0 holds the line. A worker
 * sends its gradient and gets the new parameters; the method answers later, all workers together, when the last gradient is
 * there. Rank 0 is a worker, too, and calls its own object: it is free for others while that call waits.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <mpi.h>
#include <rref.h>

enum { POINTS = 1000, ROUNDS = 200 };

/* y = line[0] x + line[1], and the round that is being collected. One call at a time runs on it. */
typedef struct model {
    double line[2], sum[2];
    int workers, arrived;
    rref_deferred waiting[];
} model;

static int create(rref_call *call, void **self)
{
    int workers = rref_arg_i32(call, 0);
    if (workers < 1) return rref_fail(call, RREF_ERR_ARGUMENT, "a model for %d workers", workers);
    model *m = calloc(1, sizeof *m + (size_t)workers * sizeof *m->waiting);
    if (!m) return rref_fail(call, RREF_ERR_NO_MEMORY, "no memory for %d workers", workers);
    m->workers = workers;
    *self = m;
    return RREF_OK;
}

static void end_round(model *m)
{
    for (int i = 0; i < 2; i++) {
        m->line[i] -= 0.5 * m->sum[i] / m->workers;
        m->sum[i] = 0;
    }
    for (int i = 0; i < m->workers; i++) rref_complete(m->waiting[i], rref_array(m->line, 2));
    m->arrived = 0;
}

/* Takes a gradient, gives the next parameters when all have given theirs. */
static int step(rref_call *call, void *self)
{
    model *m = self;
    size_t n;
    const double *gradient = rref_arg_f64s(call, 0, &n);
    if (n != 2) return rref_fail(call, RREF_ERR_SHAPE, "a gradient of %zu numbers", n);
    rref_deferred later = rref_defer(call);
    if (!later.bits) return RREF_ERR_STATE;
    for (int i = 0; i < 2; i++) m->sum[i] += gradient[i];
    m->waiting[m->arrived++] = later;
    if (m->arrived == m->workers) end_round(m);
    return RREF_PENDING;
}

static const rref_method methods[] = { RREF_METHOD("step", "f64[] -> f64[]", step, 0), RREF_METHODS_END };
static const rref_class model_class = RREF_CLASS("model", "i32", create, free, methods);
static const rref_class *const classes[] = { &model_class, NULL };

/* This rank's points lie on y = 2 x + 1. Returns the mean squared error, and its gradient. */
static double look(const double line[2], int rank, double gradient[2])
{
    double error = 0;
    gradient[0] = gradient[1] = 0;
    for (int i = 0; i < POINTS; i++) {
        double x = sin(1.0 + i + POINTS * (double)rank), off = line[0] * x + line[1] - (2 * x + 1);
        error += off * off / POINTS;
        gradient[0] += 2 * off * x / POINTS;
        gradient[1] += 2 * off / POINTS;
    }
    return error;
}

static int work(rref_context *context, rref target)
{
    double line[2] = { 0, 0 }, gradient[2];
    int rank = rref_rank(context), rc = RREF_OK;
    rref_sync_proxy server = rref_rpc_sync(target, 60);
    for (int round = 0; round < ROUNDS && rc == RREF_OK; round++) {
        size_t n;
        double error = look(line, rank, gradient);
        if (rank == 0 && round % 50 == 0) printf("round %3d: error %.6f\n", round, error);
        rc = rref_invoke(server, "step", rref_array(gradient, 2), rref_out_array(line, 2, &n));
    }
    if (rc) rref_perror(context, "step");
    else printf("rank %d: y = %.4f x + %.4f\n", rank, line[0], line[1]);
    return rc;
}

int main(int argc, char **argv)
{
    int level;
    rref made, target = { 0 };
    rref_context *context;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    if (rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes }, &context) != RREF_OK) {
        rref_perror(NULL, "rref_init");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    int rc = RREF_OK;
    if (rref_rank(context) == 0) {
        made = rref_create(context, 0, "model", rref_size(context));
        rc = rref_publish(made, "model");
        rref_release(made);                             /* the name keeps it */
    }
    if (rc == RREF_OK) rc = rref_lookup(context, "model", 60, &target);
    if (rc) rref_perror(context, "model");
    else rc = work(context, target);
    rref_release(target);
    if (rref_finalize(&context) != RREF_OK) {
        rref_perror(NULL, "parameters");
        rc = 1;
    }
    MPI_Finalize();
    return rc != RREF_OK;
}
