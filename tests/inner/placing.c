/* SPDX-License-Identifier: BSD-3-Clause */
/* Library threads come to run where the choice says, or RREF_CORES does, and the application's own thread is left alone; under
 * RREF_PROGRESS=spin the library's thread never sleeps. */
#include "context.h"
#include "check.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static rri_units where;
static atomic_int calls;

static int look(rref_call *c, void *self)
{
    (void)c;
    (void)self;
    where = rri_place_mask();
    atomic_fetch_add(&calls, 1);
    return RREF_OK;
}

static const rref_method methods[] = { { "look", " -> ", look, RREF_WORKER }, RREF_METHODS_END };

static rref_context *start(const char *cores, const char *progress)
{
    rref_context *ctx = NULL;
    const rref_options options = { .functions = methods, .progress = progress };
    if (cores) setenv("RREF_CORES", cores, 1);
    CHECK_OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
    unsetenv("RREF_CORES");
    CU_ASSERT_PTR_NOT_NULL_FATAL(ctx);
    return ctx;
}

static void stop(rref_context *ctx)
{
    CHECK_OK(rref_finalize(&ctx));
}

static bool same(const rri_units *a, const rri_units *b) { return memcmp(a, b, sizeof *a) == 0; }

typedef struct wish {
    rref_context *ctx;
    rri_units units;
} wish;

/* The own rank's handler says where it runs. A thread may begin before it is put into its place. */
static bool handlers_run_there(void *arg)
{
    const wish *w = arg;
    return rref_sync(rref_root(w->ctx, rref_rank(w->ctx)), "look") == RREF_OK && same(&where, &w->units);
}

/* ---- by itself */

static bool chosen(void *arg)
{
    rri_placer *p = &((rref_context *)arg)->placer;
    pthread_mutex_lock(&p->lock);
    const bool yes = p->chosen;
    pthread_mutex_unlock(&p->lock);
    return yes;
}

static void by_choice(void)
{
    const rri_units before = rri_place_mask();
    wish w = { .ctx = start(NULL, NULL), .units = before };
    CU_ASSERT_FATAL(check_until(chosen, w.ctx, 20));
    const rri_choice *choice = &w.ctx->placer.choice;
    if (choice->why == RRI_SEAT_FREE) w.units = choice->drivers;
    CU_ASSERT(choice->why != RRI_SEAT_HAND && choice->why != RRI_SEAT_NONE && choice->why != RRI_SEAT_UNKNOWN);
    CU_ASSERT(check_until(handlers_run_there, &w, 20));
    const rri_units after = rri_place_mask();
    CU_ASSERT(same(&before, &after));
    stop(w.ctx);
}

/* ---- one core */

static int lines_with(const char *path, const char *text)
{
    char line[512];
    int n = 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f)) n += strstr(line, text) != NULL;
    if (f) fclose(f);
    return n;
}

/* The first context of the process in which a rank has one core; the warning is the first rank's. */
static void single(void)
{
    const rri_units all = rri_place_mask();
    char path[] = "/tmp/rref-placing-XXXXXX", log[64];
    cpu_set_t before, one;
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    CU_ASSERT_FATAL(close(mkstemp(path)) == 0);
    snprintf(log, sizeof log, "warn:%s", path);
    CPU_ZERO(&one);
    CPU_SET((size_t)rri_units_next(&all, 0), &one);
    CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof before, &before) | sched_setaffinity(0, sizeof one, &one), 0);
    for (int i = 0; i < 2; i++) {
        setenv("RREF_LOG", log, 1);
        rref_context *ctx = start(NULL, NULL);
        unsetenv("RREF_LOG");
        CU_ASSERT(check_until(chosen, ctx, 20));
        CU_ASSERT_EQUAL(ctx->placer.choice.why, RRI_SEAT_SINGLE);
        stop(ctx);
    }
    CU_ASSERT_EQUAL(lines_with(path, "have one core each"), rank == 0 ? 1 : 0);
    CU_ASSERT_EQUAL(sched_setaffinity(0, sizeof before, &before), 0);
    unlink(path);
}

/* ---- by hand */

static void by_hand(void)
{
    const rri_units before = rri_place_mask();
    wish w = { .units = { { 0 } } };
    char list[16];
    const int unit = rri_units_next(&before, 0);
    rri_units_add(&w.units, unit);
    snprintf(list, sizeof list, "%d", unit);
    w.ctx = start(list, NULL);
    CU_ASSERT(check_until(handlers_run_there, &w, 20));
    const rri_units after = rri_place_mask();
    CU_ASSERT(same(&before, &after));
    stop(w.ctx);
}

static void anywhere(void)
{
    wish w = { .units = rri_place_mask() };
    w.ctx = start("any", NULL);
    CU_ASSERT(check_until(handlers_run_there, &w, 20));
    CU_ASSERT_EQUAL(w.ctx->placer.choice.why, RRI_SEAT_ANY);
    stop(w.ctx);
}

/* On all ranks alike; the first one says why. */
static void refuse(const char *cores, const char *text)
{
    rref_context *ctx = NULL;
    rref_error error;
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    setenv("RREF_CORES", cores, 1);
    CHECK_GIVES(rref_init(MPI_COMM_WORLD, NULL, &ctx), RREF_ERR_OPTION);
    unsetenv("RREF_CORES");
    CU_ASSERT_PTR_NULL(ctx);
    CHECK_OK(rref_last_error(NULL, &error));
    if (rank == 0) CU_ASSERT_STRING_EQUAL(error.text, text);
}

static void refused(void)
{
    refuse("1023", "RREF_CORES=1023: this process may not run on CPU 1023");
    refuse("1020-1021,1023", "RREF_CORES=1020-1021,1023: this process may not run on CPUs 1020-1021,1023");
    refuse("2-x", "RREF_CORES=2-x: auto, any or a list of CPUs like 2-3,7 below 1024 is wanted");
    refuse("1024", "RREF_CORES=1024: auto, any or a list of CPUs like 2-3,7 below 1024 is wanted");
}

/* ---- spin */

static int64_t thread_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* What other threads than this one have used since then. */
static bool others_use_time(void *arg) { return rri_now_cpu() - thread_cpu() - *(int64_t *)arg > 100000000; }

static void spinning(void)
{
    const int before = atomic_load(&calls);         /* as soon as there is a context the other rank may call */
    rref_context *ctx = start(NULL, "spin");
    const int peer = (rref_rank(ctx) + 1) % rref_size(ctx);
    for (int i = 0; i < 20; i++) CHECK_OK(rref_sync(rref_root(ctx, peer), "look"));
    CHECK_OK(rref_fence(ctx, RREF_FOREVER));
    CU_ASSERT_EQUAL(atomic_load(&calls), before + 20);
    int64_t since = rri_now_cpu() - thread_cpu();
    CU_ASSERT(check_until(others_use_time, &since, 20));
    stop(ctx);
}

static const check_case cases[] = {
    { "single", single }, { "by choice", by_choice }, { "by hand", by_hand }, { "anywhere", anywhere }, { "refused", refused },
    { "spinning", spinning }, CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "placing", cases); }
