/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef KMER_OPTIONS_H
#define KMER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct options {
    const char *file;
    const char *dump;       /* where to write every count, or NULL */
    int k;
    size_t batch;           /* k-mers a call; 0: calls of a single one */
    size_t top;             /* how many of the most frequent are printed */
    bool raw;               /* count by plain MPI, too */
    bool serial;            /* count on one rank alone, too */
} options;

enum { OPTIONS_RUN = -1 };

/* Returns OPTIONS_RUN, or the status to exit with. Only the rank that may speak prints anything. */
int options_parse(int argc, char **argv, bool speak, options *o);

#endif
