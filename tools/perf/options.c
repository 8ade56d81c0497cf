/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char options_usage[] =
    "Usage: mpirun -n 2 rref-perf [OPTION...] [TEST...]\n"
    "Measure the library on two ranks, next to raw MPI in the same run. Ratios are rref over raw.\n"
    "\n"
    "  --json      one JSON object per line\n"
    "  --runs N    rounds of each row, of which the median counts (1 to 1000; 5)\n"
    "  --quick     a fiftieth of the calls and of the time: to see whether it works\n"
    "  --single    start MPI with MPI_THREAD_SINGLE: interference only\n"
    "  --version   the version of the library\n"
    "  --help      this text, and the tests\n";

static int fail(char *why, size_t size, const char *what, const char *argument)
{
    snprintf(why, size, "%s%s%s", what, *argument ? ": " : "", argument);
    return -1;
}

static int find_test(const char *name)
{
    for (int t = 0; t < TESTS; t++)
        if (!strcmp(name, tests[t].name)) return t;
    return -1;
}

static int parse_rounds(const char *text)
{
    char *end;
    const long n = strtol(text, &end, 10);
    return *text && !*end && n >= 1 && n <= ROUNDS_MAX ? (int)n : 0;
}

/* How many arguments were taken, 0 if it is no option. */
static int parse_option(options *o, char **argv)
{
    if (!strcmp(argv[0], "--json")) o->json = true;
    else if (!strcmp(argv[0], "--quick")) o->quick = true;
    else if (!strcmp(argv[0], "--single")) o->single = true;
    else if (!strcmp(argv[0], "--runs")) o->rounds = argv[1] ? parse_rounds(argv[1]) : 0;
    else return 0;
    return strcmp(argv[0], "--runs") ? 1 : 2;
}

/* Without names all tests are wanted that can run. */
static int choose(options *o, bool named, char *why, size_t size)
{
    for (int t = 0; t < TESTS; t++) {
        const bool possible = !o->single || (tests[t].flags & TEST_SINGLE);
        if (!named) o->wanted[t] = possible;
        else if (o->wanted[t] && !possible) return fail(why, size, "--single is for interference only, not for", tests[t].name);
    }
    return 0;
}

int options_parse(options *o, int argc, char **argv, char *why, size_t size)
{
    bool named = false;
    *o = (options){ .rounds = 5 };
    for (int i = 1; i < argc;) {
        const int taken = parse_option(o, argv + i), t = taken ? -1 : find_test(argv[i]);
        if (!taken && t < 0) return fail(why, size, argv[i][0] == '-' ? "unknown option" : "unknown test", argv[i]);
        if (!o->rounds) return fail(why, size, "--runs wants a number from 1 to 1000", i + 1 < argc ? argv[i + 1] : "");
        if (t >= 0) o->wanted[t] = named = true;
        i += taken ? taken : 1;
    }
    return choose(o, named, why, size);
}
