/* SPDX-License-Identifier: BSD-3-Clause */
/* A method that can wait no longer, since no further one may, leaves a call only when nobody writes into its outputs. */
#include "context.h"
#include "check.h"
#include "error.h"

#include <pthread.h>
#include <stdlib.h>

static rref_context *ctx;
static const rri_types nothing;
static atomic_bool left;                /* the method has gone on */

static bool waits_or_left(void *arg)
{
    rri_future *f = arg;
    return atomic_load(&left) || atomic_load(&f->event.word) & RRI_EVENT_WAITED;
}

/* Is at work at the outputs, until the method waits for that. */
static void *complete(void *arg)
{
    rri_future *f = arg;
    bool seen = check_until(waits_or_left, f, 20);
    rref_error error;
    rri_error_fill(&error, seen ? RREF_ERR_CANCELLED : RREF_ERR_STATE, "taken");
    rri_future_error(f, &error);
    return NULL;
}

/* Gives the outcome of a call whose answer another thread has begun to take when the method finds that it cannot wait. */
static int leave_taken(rref_call *c, void *self)
{
    (void)self;
    pthread_t taker;
    rri_future *f = rri_future_new(&ctx->calls.futures, &nothing, NULL);
    if (!f || !rri_future_claim(f) || pthread_create(&taker, NULL, complete, f)) return RREF_ERR_SYSTEM;
    f->quiet = true;
    int rc = rri_call_wait(&ctx->calls, f, RRI_NEVER);
    int64_t seen = rc ? rc : rri_event_done(&f->event) ? f->outcome : 0;
    atomic_store(&left, true);
    pthread_join(taker, NULL);
    rri_future_drop(f);
    return rref_return_i64(c, seen);
}

/* The same of a call that nobody has begun to answer. */
static int leave_open(rref_call *c, void *self)
{
    (void)self;
    rri_future *f = rri_future_new(&ctx->calls.futures, &nothing, NULL);
    if (!f) return RREF_ERR_NO_MEMORY;
    f->quiet = true;
    int rc = rri_call_wait(&ctx->calls, f, RRI_NEVER);
    int64_t seen = rc ? rc : rri_event_done(&f->event) ? f->outcome : 0;
    rri_future_drop(f);
    return rref_return_i64(c, seen);
}

static const rref_method methods[] = {
    RREF_METHOD("leave_taken", "-> i64", leave_taken, 0),
    RREF_METHOD("leave_open", "-> i64", leave_open, 0), RREF_METHODS_END
};

static int64_t outcome_of(const char *method)
{
    const rref_options options = { .functions = methods };
    int64_t outcome = 0;
    setenv("RREF_MAX_BLOCKED", "0", 1);
    CHECK_OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
    unsetenv("RREF_MAX_BLOCKED");
    rref_future f = rref_async(rref_root(ctx, rref_rank(ctx)), method);
    CHECK_OK(rref_wait(f, check_patience(30)));
    CHECK_OK(rref_get(f, rref_out(&outcome)));
    rref_future_release(f);
    CHECK_OK(rref_finalize(&ctx));
    return outcome;
}

static void taken(void) { CU_ASSERT_EQUAL(outcome_of("leave_taken"), RREF_ERR_CANCELLED); }
static void open_still(void) { CU_ASSERT_EQUAL(outcome_of("leave_open"), RREF_ERR_TOO_DEEP); }

static const check_case cases[] = { { "taken", taken }, { "open still", open_still }, CHECK_END };

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "leaving", cases); }
