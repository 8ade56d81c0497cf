/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of the frame that knows no MPI. One program, one table: its state is static. */
#include "check.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SLOWNESS 5.0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SLOWNESS 5.0
#endif
#endif
#ifndef SLOWNESS
#define SLOWNESS 1.0
#endif

static struct {
    int rank;               /* -1 without MPI */
    int ran;                /* cases finished */
    int *failed;            /* by table position */
    const check_case *cases;
    int *position;          /* of the case that runs as number i */
    double started;
    char where[384];        /* for the watchdog, which cannot format: ends in a line break */
} run;

double check_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void check_set(const char *name, int value)
{
    char text[16];
    snprintf(text, sizeof text, "%d", value);
    setenv(name, text, 1);
}

static const char *chaos(void)
{
    const char *text = getenv("RREF_CHAOS");
    return text && *text && strcmp(text, "off") ? text : NULL;
}

bool check_chaos(const char *reason)
{
    if (chaos() && run.rank <= 0) printf("         under RREF_CHAOS a part is left out: %s\n", reason);
    return chaos() != NULL;
}

double check_patience(double seconds) { return seconds * SLOWNESS; }

void check_gives(int got, int wanted, const char *call, const char *file, unsigned line)
{
    char text[1024];
    snprintf(text, sizeof text, "%s gave %d, not %d", call, got, wanted);
    CU_assertImplementation(got == wanted, line, text, file, "", CU_FALSE);
}

bool check_until(bool (*condition)(void *), void *arg, double seconds)
{
    const struct timespec pause = { 0, 100000 };
    double deadline = check_clock() + check_patience(seconds);
    while (!condition(arg)) {
        if (check_clock() > deadline) return condition(arg);
        nanosleep(&pause, NULL);
    }
    return true;
}

/* ---- watchdog: a test that hangs says where, and dies ------------------------------------------------------------ */

static void watchdog(int signal_number)
{
    static const char text[] = "\nwatchdog: still running: ";
    (void)signal_number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0 || write(STDERR_FILENO, run.where, strlen(run.where)) < 0) _exit(124);
    abort();
}

static void watch(void)
{
    const char *text = getenv("RREF_TEST_SECONDS");
    long seconds = text ? strtol(text, NULL, 10) : 60;
    struct sigaction action = { .sa_handler = watchdog };
    sigaction(SIGALRM, &action, NULL);
    alarm(seconds > 0 ? (unsigned)seconds : 60u);
}

static void say_where(const char *program, const char *name)
{
    char rank[32] = "";
    if (run.rank >= 0) snprintf(rank, sizeof rank, " on rank %d", run.rank);
    snprintf(run.where, sizeof run.where, "%.100s: %.100s%s%s%.100s\n", program, name, rank, chaos() ? ", RREF_CHAOS=" : "",
             chaos() ? chaos() : "");
}

/* ---- CUnit ------------------------------------------------------------------------------------------------------- */

static void case_starts(const CU_pTest test, const CU_pSuite suite)
{
    say_where(suite->pName, test->pName);
    run.started = check_clock();
}

static void case_ends(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failure)
{
    bool failed = failure != NULL;
    (void)suite;
    run.failed[run.position[run.ran++]] = failed;
    if (run.rank <= 0) printf("  %-6s %s (%.2f s)\n", failed ? "FAILED" : "ok", test->pName, check_clock() - run.started);
    fflush(stdout);
    for (CU_pFailureRecord f = failure; f; f = f->pNext) {
        char rank[32] = "", line[1024];         /* written at once: the ranks' lines meet in one log */
        if (run.rank >= 0) snprintf(rank, sizeof rank, " (rank %d)", run.rank);
        snprintf(line, sizeof line, "%s:%u: %.700s%s\n", f->strFileName ? f->strFileName : "?", f->uiLineNumber,
                 f->strCondition ? f->strCondition : "failed", rank);
        fputs(line, stderr);
    }
}

/* The handlers of the two other events are CUnit's own printers unless taken away. */
static void all_end(const CU_pFailureRecord failure) { (void)failure; }
static void suite_breaks(const CU_pSuite suite)
{
    fprintf(stderr, "%s: the suite could not be set up\n", suite->pName);
    exit(1);
}

static bool chosen(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], name)) return true;
    return argc < 2;
}

size_t check_count(const check_case *cases)
{
    size_t n = 0;
    while (cases[n].name) n++;
    return n;
}

static void refuse(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

int check_run(int argc, char **argv, const char *name, const check_case *cases, int rank, int *failed)
{
    size_t count = check_count(cases);
    int added = 0;
    CU_pSuite suite;

    run.rank = rank;
    run.failed = failed;
    run.position = calloc(count + 1, sizeof *run.position);
    say_where(name, "before the first case");
    watch();
    if (!run.position || CU_initialize_registry() != CUE_SUCCESS || !(suite = CU_add_suite(name, NULL, NULL)))
        refuse("CUnit cannot be set up");
    for (size_t i = 0; i < count; i++)
        if (chosen(argc, argv, cases[i].name)) {
            if (!CU_add_test(suite, cases[i].name, cases[i].run)) refuse("two cases of one name, or no memory");
            run.position[added++] = (int)i;
        }
    if (added == 0) refuse("no such case");

    CU_set_test_start_handler(case_starts);
    CU_set_test_complete_handler(case_ends);
    CU_set_all_test_complete_handler(all_end);
    CU_set_suite_init_failure_handler(suite_breaks);
    CU_set_suite_cleanup_failure_handler(suite_breaks);
    CU_run_all_tests();
    CU_cleanup_registry();
    free(run.position);
    say_where(name, "after the last case");
    return added;
}

int check_report(const char *name, int ran, const int *failed, bool speaks)
{
    const char *called = getenv("RREF_TEST_NAME");
    int bad = 0;
    for (int i = 0; failed[i] >= 0; i++) bad += failed[i] > 0;
    if (bad && speaks && chaos()) printf("the run that failed had RREF_CHAOS=%s\n", chaos());
    if (speaks) printf("%s: %d passed, %d failed\n", called ? called : name, ran - bad, bad);
    fflush(stdout);
    return bad > 0;
}

int check_main(int argc, char **argv, const char *name, const check_case *cases)
{
    size_t count = check_count(cases);
    int *failed = calloc(count + 1, sizeof *failed);
    if (!failed) refuse("no memory");
    failed[count] = -1;
    int ran = check_run(argc, argv, name, cases, -1, failed);
    int status = check_report(name, ran, failed, true);
    free(failed);
    return status;
}
