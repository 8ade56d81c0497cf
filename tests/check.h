/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thin frame around CUnit for this project's tests. A test program is a table of cases and a main of one line:
 *
 *     static void adds(void) { CU_ASSERT_EQUAL(1 + 1, 2); }
 *     static const check_case cases[] = { { "adds", adds }, CHECK_END };
 *     int main(int argc, char **argv) { return check_main(argc, argv, "sums", cases); }
 *
 * Its last line is `NAME: N passed, N failed`, counting cases; tests/run.sh insists on it, so a program that dies or
 * leaves early has failed. Names of cases as arguments select those; without any, all run.
 *
 * CUnit is not thread-safe: assert on the main thread only. What handlers and callbacks see goes into atomics.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <CUnit/CUnit.h>

typedef struct check_case {
    const char *name;
    void (*run)(void);
} check_case;

#define CHECK_END { NULL, NULL }

/* Run the cases without MPI. Returns what main is to return. */
int check_main(int argc, char **argv, const char *name, const check_case *cases);

/* Run the cases on every rank: the same list in the same order, without a barrier between them. A case has failed if it
 * failed on any rank; failed asserts are reported by each rank, the rest by rank 0. Initialises MPI with the thread level
 * in RREF_TEST_LEVEL (single, funneled, serialized or multiple, the default) unless the program did, and finalizes it.
 * What must happen outside of MPI's life is done by main, before or after. Returns what main is to return, the same on
 * all ranks. */
int check_mpi_main(int argc, char **argv, const char *name, const check_case *cases);

/* Assert that a call gives a status; a failure shows the call as written and what it gave. (CU_ASSERT shows it with its macros
 * expanded, which for the library's calls is longer than a compiler takes.) */
#define CHECK_GIVES(call, wanted) check_gives((call), (wanted), #call, __FILE__, __LINE__)
#define CHECK_OK(call) check_gives((call), 0, #call, __FILE__, __LINE__)
void check_gives(int got, int wanted, const char *call, const char *file, unsigned line);

/* Wait until condition(arg) holds, looking every tenth of a millisecond; false when that takes too long. */
bool check_until(bool (*condition)(void *arg), void *arg, double seconds);

/* A deadline for something that should happen: longer where a sanitizer slows the program. For check_until it is applied
 * already; for the library's own timeouts do it yourself. */
double check_patience(double seconds);

/* Whether chaos is on (RREF_CHAOS): then what follows would fail for the reason given, which the log has, and is left out. For
 * exact counts, and for what an option at its default promises. */
bool check_chaos(const char *reason);

/* Monotonic seconds. */
double check_clock(void);

/* Set an option, from the next rref_init on, to a number. */
void check_set(const char *name, int value);

/* The two halves of check_main, for check_mpi.c. check_run marks failed[i] for each case that failed here and returns the
 * number of cases that ran; rank is -1 without MPI. check_report prints the result line and returns what main returns. */
int check_run(int argc, char **argv, const char *name, const check_case *cases, int rank, int *failed);
int check_report(const char *name, int ran, const int *failed, bool speaks);
size_t check_count(const check_case *cases);

#endif
