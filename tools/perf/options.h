/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line. */
#ifndef PERF_OPTIONS_H
#define PERF_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "tests.h"

enum { ROUNDS_MAX = 1000 };

typedef struct options {
    bool json, quick, single;
    int rounds;
    bool wanted[TESTS];
} options;

/* 0, or -1 with what is wrong in why. The same on all ranks. */
int options_parse(options *o, int argc, char **argv, char *why, size_t size);

extern const char options_usage[];

#endif
