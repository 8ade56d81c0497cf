/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The library beside the application's own MPI (application.h). The application computes the same, to the last bit, whether
 * there is no library, an idle one, or one that calls and serves all the while. The library calls no collective between its
 * start and its end, as a tool on top of MPI sees (tally.h). What is the application's own is as it left it: error handlers,
 * the cores it may use, signals.
 */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "application.h"
#include "check.h"
#include "tally.h"

#define OK CHECK_OK

static int rank, size;
static bool threaded;
static rref_context *ctx;

/* ---- what the library serves */

enum { LENGTH = 4096 };

typedef struct shelf { double value[LENGTH]; } shelf;

static int shelf_create(rref_call *call, void **self)
{
    return (*self = calloc(1, sizeof(shelf))) ? RREF_OK : rref_fail(call, RREF_ERR_NO_MEMORY, "no memory for a shelf");
}

static int shelf_put(rref_call *call, void *self)
{
    size_t n;
    const double *from = rref_arg_f64s(call, 0, &n);
    if (n != LENGTH) return rref_fail(call, RREF_ERR_SHAPE, "%zu values", n);
    memcpy(((shelf *)self)->value, from, sizeof(shelf));
    return RREF_OK;
}

static int shelf_sum(rref_call *call, void *self)
{
    double sum = 0;
    for (size_t i = 0; i < LENGTH; i++) sum += ((shelf *)self)->value[i];
    return rref_return_f64(call, sum);
}

static const rref_method shelf_methods[] = {
    RREF_METHOD("put", "f64[]", shelf_put, 0), RREF_METHOD("sum", "-> f64", shelf_sum, 0), RREF_METHODS_END
};
static const rref_class shelf_class = RREF_CLASS("shelf", "", shelf_create, free, shelf_methods);

static void begin(void)
{
    const rref_class *classes[] = { &shelf_class, NULL };
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes }, &ctx));
}

static void end(void) { OK(rref_finalize(&ctx)); }

/* ---- a thread that calls, until it is told to stop */

typedef struct caller {
    pthread_t thread;
    atomic_bool over;
    atomic_int rounds, wrong;
} caller;

/* An object on the next rank, filled by a transfer of its own, asked, and let go. */
static bool call_once(double *values, int round)
{
    double sum = 0;
    for (size_t i = 0; i < LENGTH; i++) values[i] = round;
    rref r = rref_create(ctx, (rank + 1) % size, "shelf");
    rref_future put = rref_async(r, "put", rref_array(values, LENGTH));
    bool good = rref_sync(r, "sum", rref_out(&sum)) == RREF_OK && sum == (double)LENGTH * round;
    good = rref_wait(put, RREF_FOREVER) == RREF_OK && good;
    rref_future_release(put);
    return rref_release(r) == RREF_OK && good;
}

static void *call_on(void *arg)
{
    caller *c = arg;
    double *values = calloc(LENGTH, sizeof *values);
    if (!values) abort();
    do {
        if (!call_once(values, atomic_fetch_add(&c->rounds, 1) % 1000)) atomic_fetch_add(&c->wrong, 1);
    } while (!atomic_load(&c->over));
    free(values);
    return NULL;
}

static void caller_end(caller *c)
{
    atomic_store(&c->over, true);
    pthread_join(c->thread, NULL);
    CU_ASSERT_EQUAL(atomic_load(&c->wrong), 0);
    CU_ASSERT(atomic_load(&c->rounds) > 0);
}

/* ---- the same numbers, and nothing behind the application's back */

static application_result alone;
static tally alone_calls;

static tally since(tally before)
{
    tally now = tally_now();
    for (int i = 0; i < TALLY_KINDS; i++) now.calls[i] -= before.calls[i];
    return now;
}

static void runs_alone(void)
{
    tally before = tally_now();
    alone = application_run(threaded);
    alone_calls = since(before);
    CU_ASSERT(alone_calls.calls[TALLY_Alltoallv] > 0);          /* the tool counts */
    CU_ASSERT(alone_calls.calls[TALLY_MESSAGES] > 0);
}

static void expect_as_alone(application_result result)
{
    CU_ASSERT_EQUAL(result.heat, alone.heat);
    CU_ASSERT_EQUAL(result.collectives, alone.collectives);
    CU_ASSERT_EQUAL(result.window, alone.window);
    CU_ASSERT_EQUAL(result.threads, alone.threads);
}

static void expect_collectives(tally seen, tally wanted)
{
    for (int i = 0; i < TALLY_MESSAGES; i++) {
        CU_ASSERT_EQUAL(seen.calls[i], wanted.calls[i]);
        if (seen.calls[i] != wanted.calls[i])
            fprintf(stderr, "beside: rank %d: %d calls of %s in place of %d\n", rank, (int)seen.calls[i], tally_names[i],
                    (int)wanted.calls[i]);
    }
}

static void runs_beside_an_idle_library(void)
{
    begin();
    tally before = tally_now();
    application_result result = application_run(threaded);
    tally seen = since(before);
    end();
    expect_as_alone(result);
    expect_collectives(seen, alone_calls);
}

/* Groups and fences are for all ranks, and send messages only. */
static void use_together(void)
{
    rref_group group;
    double sum = -1;
    OK(rref_group_create(ctx, &group, "shelf"));
    OK(rref_group_reduce(group, MPI_SUM, "sum", rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 0);
    OK(rref_group_free(&group));
    OK(rref_fence(ctx, RREF_FOREVER));
}

static void runs_beside_a_serving_library(void)
{
    caller c = { .over = false };
    begin();
    tally before = tally_now();
    CU_ASSERT_EQUAL_FATAL(pthread_create(&c.thread, NULL, call_on, &c), 0);
    application_result result = application_run(threaded);
    caller_end(&c);
    use_together();
    tally seen = since(before);
    end();
    expect_as_alone(result);
    expect_collectives(seen, alone_calls);
    /* The library's messages are seen, too. */
    if (size > 1) CU_ASSERT(seen.calls[TALLY_MESSAGES] > alone_calls.calls[TALLY_MESSAGES]);
}

/* ---- what is the application's own */

typedef struct property {
    MPI_Errhandler world, self;
    cpu_set_t cores;
    sigset_t blocked;
    struct sigaction actions[32];
} property;

static property look(void)
{
    property p;
    memset(&p, 0, sizeof p);
    MPI_Comm_get_errhandler(MPI_COMM_WORLD, &p.world);
    MPI_Comm_get_errhandler(MPI_COMM_SELF, &p.self);
    CU_ASSERT_EQUAL(sched_getaffinity(0, sizeof p.cores, &p.cores), 0);
    CU_ASSERT_EQUAL(pthread_sigmask(SIG_BLOCK, NULL, &p.blocked), 0);
    for (int i = 1; i < 32; i++) CU_ASSERT_EQUAL(sigaction(i, NULL, &p.actions[i]), 0);
    return p;
}

static void let_go(property *p)
{
    MPI_Errhandler_free(&p->world);
    MPI_Errhandler_free(&p->self);
}

static void expect_same(const property *before)
{
    property now = look();
    CU_ASSERT(now.world == before->world);
    CU_ASSERT(now.self == before->self);
    CU_ASSERT(CPU_EQUAL(&now.cores, &before->cores));
    for (int i = 1; i < 32; i++) {
        CU_ASSERT_EQUAL(sigismember(&now.blocked, i), sigismember(&before->blocked, i));
        CU_ASSERT(now.actions[i].sa_handler == before->actions[i].sa_handler);
        CU_ASSERT_EQUAL(now.actions[i].sa_flags, before->actions[i].sa_flags);
    }
    let_go(&now);
}

static int errors;

static void note(MPI_Comm *comm, int *code, ...)
{
    (void)comm, (void)code;
    errors++;
}

/* The application's handler hears of the application's errors. */
static void expect_errors_heard(void)
{
    int none = 0, before = errors;
    CU_ASSERT_NOT_EQUAL(MPI_Send(&none, 1, MPI_INT, size, 0, MPI_COMM_WORLD), MPI_SUCCESS);
    CU_ASSERT_EQUAL(errors, before + 1);
}

/* One core, as mpirun binds to by default. */
static void use_first_core(const cpu_set_t *cores)
{
    cpu_set_t first;
    size_t core = 0;
    while (!CPU_ISSET(core, cores)) core++;
    CPU_ZERO(&first);
    CPU_SET(core, &first);
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof first, &first), 0);
}

static void leaves_what_is_not_its_own(void)
{
    MPI_Errhandler own;
    caller c = { .over = false };
    property first = look(), before;
    MPI_Comm_create_errhandler(note, &own);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, own);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, own);
    use_first_core(&first.cores);
    before = look();
    begin();
    expect_same(&before);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&c.thread, NULL, call_on, &c), 0);
    expect_errors_heard();
    caller_end(&c);
    expect_same(&before);
    end();
    expect_same(&before);
    expect_errors_heard();

    MPI_Comm_set_errhandler(MPI_COMM_WORLD, first.world);
    MPI_Comm_set_errhandler(MPI_COMM_SELF, first.self);
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof first.cores, &first.cores), 0);
    MPI_Errhandler_free(&own);
    let_go(&before);
    let_go(&first);
}

static const check_case cases[] = {
    { "runs_alone", runs_alone },
    { "runs_beside_an_idle_library", runs_beside_an_idle_library },
    { "runs_beside_a_serving_library", runs_beside_a_serving_library },
    { "leaves_what_is_not_its_own", leaves_what_is_not_its_own },
    CHECK_END
};

int main(int argc, char **argv)
{
    int level;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    threaded = level == MPI_THREAD_MULTIPLE;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return check_mpi_main(argc, argv, "beside", cases);
}
