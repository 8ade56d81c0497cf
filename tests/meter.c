/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A meter for programs that run for long: between rref_init and rref_finalize, which the linker has pass through here (--wrap), a
 * thread writes a line each second, "seconds KiB-resident calls", into a file of its rank. Without RREF_TEST_METER, the start
 * of the files' names, it does nothing.
 */
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "check.h"

int __real_rref_init(MPI_Comm comm, const rref_options *options, rref_context **context);
int __wrap_rref_init(MPI_Comm comm, const rref_options *options, rref_context **context);
int __real_rref_finalize(rref_context **context);
int __wrap_rref_finalize(rref_context **context);

static pthread_t thread;
static rref_context *metered;
static FILE *file;
static atomic_bool over;

static unsigned long resident_kib(void)
{
    unsigned long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm) return 0;
    if (fscanf(statm, "%*u %lu", &pages) != 1) pages = 0;
    fclose(statm);
    return pages * 4;
}

static void *run(void *arg)
{
    const struct timespec pause = { 0, 50000000 };
    double began = check_clock(), next = began;
    rref_statistics s;
    (void)arg;
    while (!atomic_load(&over)) {
        nanosleep(&pause, NULL);
        if (check_clock() < next) continue;
        next += 1;
        if (rref_stats(metered, &s)) break;
        fprintf(file, "%.2f %lu %" PRIu64 "\n", check_clock() - began, resident_kib(), s.calls_in + s.calls_direct);
        fflush(file);
    }
    return NULL;
}

int __wrap_rref_init(MPI_Comm comm, const rref_options *options, rref_context **context)
{
    char name[1024];
    const char *start = getenv("RREF_TEST_METER");
    int rc = __real_rref_init(comm, options, context);
    if (rc || !start || file) return rc;
    snprintf(name, sizeof name, "%.1000s.%d", start, rref_rank(*context));
    file = fopen(name, "a");
    metered = *context;
    atomic_store(&over, false);
    if (file && pthread_create(&thread, NULL, run, NULL)) {
        fclose(file);
        file = NULL;
    }
    return rc;
}

int __wrap_rref_finalize(rref_context **context)
{
    if (file && *context == metered) {
        atomic_store(&over, true);
        pthread_join(thread, NULL);
        fclose(file);
        file = NULL;
    }
    return __real_rref_finalize(context);
}
