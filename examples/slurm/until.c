/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A program that computes until it is told to stop, by SIGUSR1 or SIGTERM, as Slurm sends before a time limit and for scancel.
 *
 * A signal may reach some ranks and not others, and each at another moment. So the handler only takes a note, and the main
 * loop of a rank that has one posts "stop" to all ranks, itself included: a one-way call that nobody waits for. All ranks then
 * leave their loops, a fence lets what is under way come to its end, and the results are put together before finalize. A rank
 * that cannot go on says why, and stops all ranks in the same way: else they would work on without it.
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

enum { FAILED = -1 };
static atomic_int stopped;              /* the first signal that any rank has told of, or FAILED */

static int stop(rref_call *call, void *self)
{
    int none = 0;
    (void)self;
    atomic_compare_exchange_strong(&stopped, &none, (int)rref_arg_i64(call, 0));
    return RREF_OK;
}

static const rref_method functions[] = { RREF_METHOD("stop", "i64", stop, RREF_INLINE), RREF_METHODS_END };

static int tell_all(rref_context *context, int why)
{
    int wrong = 0;
    for (int rank = 0; rank < rref_size(context); rank++)
        if (rref_post(rref_root(context, rank), "stop", why) != RREF_OK) {
            rref_perror(context, "until: stop");
            wrong++;
        }
    return wrong;
}

static int fail(rref_context *context, const char *what)
{
    rref_perror(context, what);
    return 1 + tell_all(context, FAILED);
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
static int work(rref_context *context, rref tally, uint64_t *steps)
{
    bool told = false;
    int wrong = 0;
    while (!atomic_load(&stopped) && !wrong) {
        step();
        if (rref_post(tally, "add", UINT64_C(1)) != RREF_OK) return fail(context, "until: add");
        ++*steps;
        if (noted && !told) {
            wrong = tell_all(context, noted);
            told = true;
        }
    }
    return wrong;
}

/* What a program would write to a file, for a later job to go on from. */
static int save(rref_context *context, rref tally, uint64_t steps)
{
    uint64_t counted = 0, all = 0;
    int why = atomic_load(&stopped);
    char text[20] = "a rank that failed";
    MPI_Reduce(&steps, &all, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    if (rref_rank(context) != 0) return 0;
    bool asked = rref_sync(tally, "get", rref_out(&counted)) == RREF_OK, saved = asked && counted == all;
    if (!asked) rref_perror(context, "until: get");
    if (why != FAILED) snprintf(text, sizeof text, "signal %d", why);
    printf("until: stopped by %s, %s\n", text, saved ? "all steps are saved" : "steps are lost");
    return !saved;
}

/* The name keeps it. */
static int publish(rref_context *context)
{
    rref own = rref_create(context, 0, "tally");
    int wrong = rref_publish(own, "tally") == RREF_OK ? 0 : fail(context, "until: publish");
    rref_release(own);
    puts("until: working");
    fflush(stdout);
    return wrong;
}

static int until(rref_context *context)
{
    rref tally = { 0 };
    uint64_t steps = 0;
    int wrong = rref_rank(context) == 0 ? publish(context) : 0;
    if (rref_lookup(context, "tally", 60, &tally) != RREF_OK) wrong += fail(context, "until: lookup");
    else wrong += work(context, tally, &steps);
    if (rref_fence(context, RREF_FOREVER) != RREF_OK) {
        rref_perror(context, "until: fence");
        wrong++;
    }
    wrong += save(context, tally, steps);
    rref_release(tally);
    return wrong;
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
        rref_perror(NULL, "until");
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    int wrong = until(context);
    if (rref_finalize(&context) != RREF_OK) {
        rref_perror(NULL, "until: finalize");
        wrong++;
    }
    MPI_Finalize();
    return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}
