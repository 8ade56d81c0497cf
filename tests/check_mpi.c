/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the frame for programs that run on ranks. */
#include "check.h"
#include "../src/sync.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef RRI_TELL_TSAN
/* The thread sanitizer does not see through MPI: what a program has set before a barrier of its own is there for methods that
 * others call after it, though the thread that takes their messages never met the one that waited. Weak, since a test may have
 * its own. */
static int barriers;

__attribute__((weak)) int MPI_Barrier(MPI_Comm comm)
{
    __tsan_release(&barriers);
    return PMPI_Barrier(comm);
}

__attribute__((weak)) int MPI_Test(MPI_Request *request, int *done, MPI_Status *status)
{
    int rc = PMPI_Test(request, done, status);
    if (*done) __tsan_acquire(&barriers);
    return rc;
}
#endif

static int wanted_level(void)
{
    static const struct { const char *name; int level; } levels[] = {
        { "single", MPI_THREAD_SINGLE }, { "funneled", MPI_THREAD_FUNNELED },
        { "serialized", MPI_THREAD_SERIALIZED }, { "multiple", MPI_THREAD_MULTIPLE },
    };
    const char *text = getenv("RREF_TEST_LEVEL");
    if (!text) return MPI_THREAD_MULTIPLE;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
        if (!strcmp(text, levels[i].name)) return levels[i].level;
    fprintf(stderr, "RREF_TEST_LEVEL=%s: single, funneled, serialized or multiple\n", text);
    exit(1);
}

int check_mpi_main(int argc, char **argv, const char *name, const check_case *cases)
{
    int started, provided, rank, count = (int)check_count(cases);
    int *failed = calloc((size_t)count + 1, sizeof *failed);
    if (!failed) return 1;
    failed[count] = -1;

    MPI_Initialized(&started);
    if (!started) MPI_Init_thread(&argc, &argv, wanted_level(), &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);

    int ran = check_run(argc, argv, name, cases, rank, failed);
    MPI_Allreduce(MPI_IN_PLACE, failed, count, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    int status = check_report(name, ran, failed, rank == 0);
    free(failed);
    MPI_Finalize();
    return status;
}
