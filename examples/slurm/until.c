/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that computes until it is told to stop, by SIGUSR1 or SIGTERM, as Slurm sends before a time limit and for scancel.
 *
 * A signal may reach some ranks and not others, and each at another moment. So the handler only takes a note, and the main
 * loop of a rank that has one posts "stop" to all ranks, itself included: a one-way call that nobody waits for. All ranks then
 * leave their loops, a fence lets what is under way come to its end, and the results are put together before finalize.
 *
 * Here each rank's steps are counted by an object of rank 0: it must have as many as all ranks did together.
 */
#include <rref.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- a signal, and what becomes of it */

static volatile sig_atomic_t noted;

static void note(int signal) { noted = signal; }

static atomic_int stopped;              /* the first signal that any rank has told of */

static int stop(rref_call *call, void *self)
{
    int none = 0;
    (void)self;
    atomic_compare_exchange_strong(&stopped, &none, (int)rref_arg_i64(call, 0));
    return RREF_OK;
}

static const rref_method functions[] = { RREF_METHOD("stop", "i64", stop, RREF_INLINE), RREF_METHODS_END };

static int tell_all(rref_context *context, int signal)
{
    int wrong = 0;
    for (int rank = 0; rank < rref_size(context); rank++)
        wrong += rref_post(rref_root(context, rank), "stop", signal) != RREF_OK;
    return wrong;
}

/* ---- the work */

static int tally_create(rref_call *call, void **self)
{
    *self = calloc(1, sizeof(uint64_t));
    return *self ? RREF_OK : rref_fail(call, RREF_ERR_NO_MEMORY, "no memory for a tally");
}

static int tally_add(rref_call *call, void *self)
{
    *(uint64_t *)self += rref_arg_u64(call, 0);
    return RREF_OK;
}

static int tally_get(rref_call *call, void *self) { return rref_return_u64(call, *(uint64_t *)self); }

static const rref_method tally_methods[] = {
    RREF_METHOD("add", "u64", tally_add, 0), RREF_METHOD("get", "-> u64", tally_get, 0), RREF_METHODS_END
};
static const rref_class tally_class = RREF_CLASS("tally", "", tally_create, free, tally_methods);

static void step(void) { nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL); }

/* Steps until somebody says stop; each is counted. */
static uint64_t work(rref_context *context, rref tally)
{
    uint64_t steps = 0;
    bool told = false;
    while (!atomic_load(&stopped)) {
        step();
        if (rref_post(tally, "add", UINT64_C(1)) != RREF_OK) break;
        steps++;
        if (noted && !told) told = tell_all(context, noted) == 0;
    }
    return steps;
}

/* What a program would write to a file, for a later job to go on from. */
static int save(rref_context *context, rref tally, uint64_t steps)
{
    uint64_t counted = 0, all = 0;
    MPI_Reduce(&steps, &all, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rref_rank(context) != 0) return 0;
    if (rref_sync(tally, "get", rref_out(&counted)) != RREF_OK) rref_perror(context, "until");
    printf("until: stopped by signal %d, %s\n", atomic_load(&stopped), counted == all ? "all steps are saved" : "steps are lost");
    return counted != all;
}

static int until(rref_context *context)
{
    rref tally;
    int wrong = 0;
    if (rref_rank(context) == 0) {
        rref own = rref_create(context, 0, "tally");
        wrong += rref_publish(own, "tally") != RREF_OK;
        wrong += rref_release(own) != RREF_OK;
        puts("until: working");
        fflush(stdout);
    }
    wrong += rref_lookup(context, "tally", 60, &tally) != RREF_OK;
    uint64_t steps = work(context, tally);
    wrong += rref_fence(context, RREF_FOREVER) != RREF_OK;
    wrong += save(context, tally, steps);
    return wrong + (rref_release(tally) != RREF_OK);
}

int main(int argc, char **argv)
{
    const rref_class *classes[] = { &tally_class, NULL };
    rref_context *context;
    int level;
    signal(SIGUSR1, note);
    signal(SIGTERM, note);
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    if (rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes, .functions = functions }, &context) != RREF_OK) {
        rref_perror(NULL, "rref_init");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    int wrong = until(context);
    wrong += rref_finalize(&context) != RREF_OK;
    MPI_Finalize();
    return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
