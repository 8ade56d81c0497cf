/* SPDX-License-Identifier: BSD-3-Clause */
/* rref-info: what the library finds where it is started. Rank 0 speaks; all ranks exit alike. */
#include <rref.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAILED = 1, MISUSED = 2 };

static const char usage[] =
    "Usage: rref-info [OPTION]\n"
    "       mpirun [MPIRUN OPTIONS] rref-info\n"
    "Print the versions, MPI's thread level, nodes and ranks, where each rank may run, and every option.\n"
    "\n"
    "  --options   only the versions and the options, without starting MPI\n"
    "  --version   the version of the library\n"
    "  --help      this text\n";

/* Output counts only once it is written. */
static int print(const char *text)
{
    if (fputs(text, stdout) >= 0 && fflush(stdout) == 0)
        return EXIT_SUCCESS;
    perror("rref-info: standard output");
    return FAILED;
}

/* A value that is not allowed is in the text, and the last error. */
static int print_options(void)
{
    char *text;
    rref_error error;
    if (rref_info(NULL, &text) != RREF_OK) {
        rref_perror(NULL, "rref-info");
        return FAILED;
    }
    const int status = print(text);
    free(text);
    return rref_last_error(NULL, &error) == RREF_OK ? FAILED : status;
}

static int print_version(void)
{
    char text[64];
    snprintf(text, sizeof text, "rref-info %s\n", rref_version());
    return print(text);
}

/* All ranks fail alike, so that rank 0 tells it for all. */
static int complain(int rank)
{
    if (rank == 0)
        rref_perror(NULL, "rref-info");
    return FAILED;
}

/* The context is ended whatever happened to the text. */
static int print_job(int rank)
{
    rref_context *context;
    char *text = NULL;
    int status = EXIT_SUCCESS;
    if (rref_init(MPI_COMM_WORLD, NULL, &context) != RREF_OK)
        return complain(rank);
    if (rref_info(context, &text) != RREF_OK)
        status = complain(rank);
    else if (text != NULL)
        status = print(text);
    free(text);
    if (rref_finalize(&context) != RREF_OK)
        status = complain(rank);
    return status;
}

static int misuse(int rank, const char *argument)
{
    if (rank == 0)
        fprintf(stderr, "rref-info: unexpected argument %s\n\n%s", argument, usage);
    return MISUSED;
}

/* A rank whose part went well still fails if another's did not: mpirun may report any of them. */
static int worst(int status)
{
    int all = FAILED;
    MPI_Allreduce(&status, &all, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
    return all;
}

static int run_job(int *argc, char ***argv)
{
    int level, rank, status;
    if (MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &level) != MPI_SUCCESS) {
        fputs("rref-info: MPI cannot be started\n", stderr);
        return FAILED;
    }
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    status = worst(*argc > 1 ? misuse(rank, (*argv)[*argc > 2 ? 2 : 1]) : print_job(rank));
    MPI_Finalize();
    return status;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            return print(usage);
        if (strcmp(argv[i], "--version") == 0)
            return print_version();
    }
    if (argc == 2 && strcmp(argv[1], "--options") == 0)
        return print_options();
    return run_job(&argc, &argv);
}
