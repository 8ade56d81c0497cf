/* SPDX-License-Identifier: BSD-3-Clause */
#include "life.h"
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "memory.h"

enum { MOST = 2000 };

rref_context *life_ctx;
int life_rank, life_size;
rref life_root;

static int victim;
static unsigned now, failures;          /* the request that fails; steps that have felt it */
static rref_error why;                  /* of the last call that failed in a step */

int life_seen(int status)
{
    if (status) rref_last_error(life_ctx, &why);
    return status;
}

int life_future(rref_future future)
{
    if (!future.bits) return life_seen(RREF_ERR_NO_MEMORY);
    int rc = life_seen(rref_wait(future, check_patience(20)));
    rref_future_release(future);
    return rc;
}

int life_reference(rref reference)
{
    if (!reference.bits) return life_seen(RREF_ERR_NO_MEMORY);
    if (rref_error_of(reference, &why) == RREF_OK) return why.code;
    return life_future(rref_creation(reference));
}

static void report(const char *what, int code, const rref_error *e)
{
    char text[256];
    snprintf(text, sizeof text, "%s, request %u of rank %d: %d on rank %d: %.100s", what, now, victim, code, e->rank, e->text);
    CU_assertImplementation(CU_FALSE, 0, text, __FILE__, "", CU_FALSE);
}

/* Out of memory, and on whom; what fails before it leaves the rank says no rank, what fails on all alike says it in words. */
static void says_why(const char *what, int code)
{
    char name[32];
    snprintf(name, sizeof name, "rank %d could not", victim);
    bool right = why.rank == victim || (why.rank < 0 && (life_rank == victim || strstr(why.text, name)));
    if (code != RREF_ERR_NO_MEMORY || why.code != code || !strstr(why.text, "memory") || !right) report(what, code, &why);
}

static int run(const life_step *s)
{
    int rc = s->run(), first = rc;
    if (s->together) MPI_Allreduce(&rc, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    if (rc) says_why(s->what, rc);
    return first;
}

/* A step that fails is tried again, and must work then: the failure came once. */
static void take(const life_step *s)
{
    if (run(s) == RREF_OK) return;
    failures++;
    int rc = s->run();
    if (rc) report(s->what, rc, &(rref_error){ .rank = -1, .text = "does not work after a failure" });
}

/* A reference that is left over keeps its object. */
static bool nothing_left(void *arg)
{
    rref_statistics s;
    (void)arg;
    return rref_stats(life_ctx, &s) == RREF_OK && s.objects == 0 && s.futures == 0;
}

static void live(const life *l)
{
    rref_statistics s;
    for (const life_step *step = l->steps; step->what; step++) take(step);
    if (check_until(nothing_left, NULL, 5)) return;
    CHECK_OK(rref_stats(life_ctx, &s));
    snprintf(why.text, sizeof why.text, "%d objects, %d futures", (int)s.objects, (int)s.futures);
    report("left over", 0, &why);
}

static void begin(const life *l)
{
    life_root = rref_root(life_ctx, (life_rank + 1) % life_size);
    if (!l->grown) {
        if (!life_root.bits) life_root = rref_root(life_ctx, (life_rank + 1) % life_size);
        return;
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (life_rank == victim) rri_memory_fail(now);
    MPI_Barrier(MPI_COMM_WORLD);
}

/* False when there were not as many requests. */
static bool one_life(const life *l)
{
    const rref_options options = { .classes = l->classes, .functions = l->functions };
    int came = 0;
    if (life_rank == victim && !l->grown) rri_memory_fail(now);
    failures = 0;
    int rc = life_seen(rref_init(MPI_COMM_WORLD, &options, &life_ctx));
    if (rc) says_why("init", rc);
    if (rc == RREF_OK) {
        begin(l);
        live(l);
        rc = rref_finalize(&life_ctx);
        if (rc && (rc != RREF_ERR_ONEWAY || failures)) report("finalize", rc, &(rref_error){ .rank = -1, .text = "" });
    }
    if (life_rank == victim) {
        came = !rri_memory_armed();
        rri_memory_fail(0);
    }
    MPI_Bcast(&came, 1, MPI_INT, victim, MPI_COMM_WORLD);
    return came;
}

/* Where a sanitizer makes lives long, the short form of the test has every fourth request fail. */
static unsigned stride(void) { return check_patience(1) > 1 && !getenv("RREF_TEST_FULL") ? 4 : 1; }

void life_each_request_fails_once(const life *l)
{
    const unsigned step = stride();
    MPI_Comm_rank(MPI_COMM_WORLD, &life_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &life_size);
    for (victim = 0; victim < life_size; victim++) {
        for (now = 1; now < MOST && one_life(l); now += step) continue;
        CU_ASSERT(now > 1 && now < MOST);
        if (life_rank == 0) printf("  %u requests of rank %d failed, one at a time\n", (now - 1) / step, victim);
    }
}
