/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rref-perf: speed next to raw MPI, measured in the same run in turns, since the machine's mood changes between runs.
 * Here: start and end, and who takes part. Ranks beyond the first two sleep; all ranks exit alike.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "clock.h"
#include "options.h"
#include "tests.h"

enum { FAILED = 1, MISUSED = 2 };

/* ---- without MPI -------------------------------------------------------------------------------------------------- */

static int flushed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return EXIT_SUCCESS;
    perror("rref-perf: standard output");
    return FAILED;
}

static int print_help(void)
{
    printf("%s\nTests\n", options_usage);
    for (int t = 0; t < TESTS; t++) printf("  %-13s %s\n", tests[t].name, tests[t].what);
    return flushed();
}

static int print_version(void)
{
    printf("rref-perf %s\n", rref_version());
    return flushed();
}

/* ---- on ranks ----------------------------------------------------------------------------------------------------- */

/* All ranks wait for each other; those that have long to wait use no core for it. */
static void gather(const bench *b)
{
    MPI_Request request;
    MPI_Ibarrier(b->world, &request);
    for (int done = 0; MPI_Test(&request, &done, MPI_STATUS_IGNORE), !done;) clock_sleep(1e-3);
}

static void run_test(bench *b, const test *t)
{
    const bool takes_part = b->comm != MPI_COMM_NULL;
    b->fresh = t->flags & TEST_FRESH;
    if (takes_part && (t->flags & TEST_CONTEXT)) b->context = bench_open(b, b->comm, NULL);
    if (takes_part || (t->flags & TEST_EVERYBODY)) t->run(b);
    if (b->context) bench_close(b, &b->context);
    gather(b);
}

static void print_heading(void)
{
    printf("%-12s %-23s %9s  %-7s %10s %10s %7s %10s %10s\n", "test", "case", "bytes", "unit", "rref", "raw", "ratio", "p50",
           "p99");
}

static int measure(bench *b, const options *o)
{
    MPI_Comm_split(b->world, b->rank < 2 ? 0 : MPI_UNDEFINED, 0, &b->comm);
    sem_init(&b->woken, 0, 0);
    if (b->rank == 0 && !b->json) print_heading();
    for (int t = 0; t < TESTS; t++)
        if (o->wanted[t]) run_test(b, &tests[t]);
    sem_destroy(&b->woken);
    if (b->comm != MPI_COMM_NULL) MPI_Comm_free(&b->comm);
    int status = b->rank == 0 ? flushed() : EXIT_SUCCESS;
    MPI_Bcast(&status, 1, MPI_INT, 0, b->world);
    return status;
}

/* Below MPI_THREAD_MULTIPLE the application drives whatever the variable says, so with --single it changes nothing. */
static bool undriven(const bench *b, const options *o, char *why, size_t size)
{
    const char *progress = getenv("RREF_PROGRESS");
    int driven = progress && !strcmp(progress, "application");
    MPI_Allreduce(MPI_IN_PLACE, &driven, 1, MPI_INT, MPI_MAX, b->world);
    for (int t = 0; t < TESTS; t++)
        if (driven && !o->single && o->wanted[t] && !(tests[t].flags & TEST_DRIVEN)) {
            snprintf(why, size, "RREF_PROGRESS=application: nobody would answer while rank 1's main sleeps, as in: %s",
                     tests[t].name);
            return true;
        }
    return false;
}

static int refuse(const bench *b, int status, const char *why, const char *help)
{
    if (b->rank == 0) fprintf(stderr, "rref-perf: %s\n%s", why, help);
    return status;
}

static int run(int argc, char **argv, const options *o, const char *wrong)
{
    bench b = { .world = MPI_COMM_WORLD, .comm = MPI_COMM_NULL, .rounds = o->rounds, .json = o->json, .quick = o->quick,
                .single = o->single };
    const int wanted = o->single ? MPI_THREAD_SINGLE : MPI_THREAD_MULTIPLE;
    char why[120];
    int level, size;
    if (MPI_Init_thread(&argc, &argv, wanted, &level) != MPI_SUCCESS) {
        fputs("rref-perf: MPI cannot be started\n", stderr);
        return FAILED;
    }
    MPI_Comm_rank(b.world, &b.rank);
    MPI_Comm_size(b.world, &size);
    if (*wrong) return refuse(&b, MISUSED, wrong, options_usage);
    if (size < 2) return refuse(&b, MISUSED, "two ranks are needed: mpirun -n 2 rref-perf", "");
    if (level < wanted) return refuse(&b, FAILED, "this MPI has no MPI_THREAD_MULTIPLE", "");
    if (undriven(&b, o, why, sizeof why)) return refuse(&b, MISUSED, why, "");
    return measure(&b, o);
}

int main(int argc, char **argv)
{
    options o;
    char wrong[200] = "";
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--help")) return print_help();
        if (!strcmp(argv[i], "--version")) return print_version();
    }
    options_parse(&o, argc, argv, wrong, sizeof wrong);
    const int status = run(argc, argv, &o, wrong);
    int started;
    MPI_Initialized(&started);
    if (started) MPI_Finalize();
    return status;
}
