/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects published under names: found from everywhere, waited for, taken back, refused, and let go at the end. */
#include <math.h>
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

static int rank, ranks;
static rref_context *ctx;

/* ---- an object that counts its destructions */

static atomic_int destroyed;

static int make(rref_call *c, void **self)
{
    int64_t *value = malloc(sizeof *value);
    if (!value) return RREF_ERR_NO_MEMORY;
    *value = rref_arg_i64(c, 0);
    *self = value;
    return *value < 0 ? (free(value), rref_fail(c, RREF_ERR_USER, "negative")) : RREF_OK;
}

static void unmake(void *self)
{
    atomic_fetch_add(&destroyed, 1);
    free(self);
}

static int value_of(rref_call *c, void *self) { return rref_return_i64(c, *(int64_t *)self); }

/* A function of a rank may publish and look up as well. It has the name of one of the library's own. */
static int lookup(rref_call *c, void *self)
{
    rref r;
    int64_t value = 0;
    (void)self;
    int rc = rref_lookup(rref_call_context(c), rref_arg_str(c, 0), 0, &r);
    if (rc) return rc;
    rc = rref_sync(r, "value", rref_out(&value));
    rref_release(r);
    return rc ? rc : rref_return_i64(c, value);
}

static const rref_method cell_methods[] = { RREF_METHOD("value", "-> i64", value_of, 0), RREF_METHODS_END };
static const rref_class cell = RREF_CLASS("cell", "i64", make, unmake, cell_methods);
static const rref_method functions[] = { RREF_METHOD("lookup", "str -> i64", lookup, 0), RREF_METHODS_END };

static bool begin(const char *progress)
{
    const rref_class *classes[] = { &cell, NULL };
    ctx = NULL;
    atomic_store(&destroyed, 0);
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes, .functions = functions, .progress = progress }, &ctx));
    if (!ctx) return false;
    rank = rref_rank(ctx);
    ranks = rref_size(ctx);
    return true;
}

static const char *numbered(const char *stem, int i)
{
    static char name[4][64];
    static int next;
    char *to = name[next++ % 4];
    snprintf(to, sizeof name[0], "%s %d", stem, i);
    return to;
}

static int64_t read_cell(rref r)
{
    int64_t value = -1;
    OK(rref_sync(r, "value", rref_out(&value)));
    return value;
}

/* ---- cases */

/* Every rank publishes objects of its neighbour, waits for all others', and calls them. */
static void everywhere(void)
{
    enum { EACH = 10 };
    if (!begin(NULL)) return;
    for (int i = 0; i < EACH; i++) {
        rref r = rref_create(ctx, (rank + 1) % ranks, "cell", 100 * rank + i);
        OK(rref_publish(r, numbered("cell", 100 * rank + i)));
        OK(rref_release(r));
    }
    for (int from = 0; from < ranks; from++)
        for (int i = 0; i < EACH; i++) {
            rref r = { 0 };
            OK(rref_lookup(ctx, numbered("cell", 100 * from + i), RREF_FOREVER, &r));
            CU_ASSERT_EQUAL(rref_owner(r), (from + 1) % ranks);
            CU_ASSERT_EQUAL(read_cell(r), 100 * from + i);
            OK(rref_release(r));
        }
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&destroyed), EACH);     /* what is published at the end is let go, and no leak */
}

/* Lookups are there first: sync by a thread, async, and of both kinds many. */
static void *look_up_later(void *arg)
{
    rref r = { 0 };
    *(int *)arg = rref_lookup(ctx, "late", RREF_FOREVER, &r);
    if (*(int *)arg == RREF_OK) *(int *)arg = rref_release(r);
    return NULL;
}

static void waited_for(void)
{
    enum { N = 20 };
    rref_future f[N];
    pthread_t thread;
    int outcome = 1;
    if (!begin(NULL)) return;
    for (int i = 0; i < N; i++) f[i] = rref_lookup_async(ctx, "late", RREF_FOREVER);
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, look_up_later, &outcome), 0);
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < N; i++) CU_ASSERT_FALSE(rref_done(f[i]));
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == ranks - 1) {
        rref r = rref_create(ctx, 0, "cell", 7);
        OK(rref_publish(r, "late"));
        OK(rref_release(r));
    }
    for (int i = 0; i < N; i++) {
        rref r = { 0 };
        OK(rref_wait(f[i], RREF_FOREVER));
        OK(rref_get(f[i], rref_out(&r)));
        CU_ASSERT_EQUAL(read_cell(r), 7);
        OK(rref_release(r));
        OK(rref_future_release(f[i]));
    }
    pthread_join(thread, NULL);
    CU_ASSERT_EQUAL(outcome, RREF_OK);
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&destroyed), rank == 0);
}

static void refused(void)
{
    rref found = { 0 };
    rref_error e;
    char longest[257];
    memset(longest, 'x', 256);
    longest[256] = 0;
    if (!begin(NULL)) return;
    rref r = rref_create(ctx, rank, "cell", rank), other = rref_create(ctx, rank, "cell", 50), bad;
    OK(rref_publish(r, numbered("mine", rank)));
    GIVES(rref_publish(other, numbered("mine", rank)), RREF_ERR_NAME_TAKEN);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, numbered("mine", rank)));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "cell@"));
    GIVES(rref_publish(r, numbered("mine", rank)), RREF_ERR_NAME_TAKEN);        /* the same object, too */
    OK(rref_lookup(ctx, numbered("mine", rank), 0, &found));
    CU_ASSERT_TRUE(rref_same_object(found, r));
    OK(rref_release(found));
    GIVES(rref_lookup(ctx, "nobody's", 0, &found), RREF_ERR_NO_NAME);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "nobody's"));
    GIVES(rref_lookup(ctx, "nobody's", 0.02, &found), RREF_ERR_TIMEOUT);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "nobody's"));
    GIVES(rref_lookup(ctx, "nobody's", (double)NAN, &found), RREF_ERR_ARGUMENT);
    GIVES(rref_lookup(ctx, "nobody's", -2, &found), RREF_ERR_ARGUMENT);
    rref_future no_time = rref_lookup_async(ctx, "nobody's", (double)NAN);
    GIVES(rref_wait(no_time, RREF_FOREVER), RREF_ERR_ARGUMENT);
    OK(rref_future_release(no_time));
    GIVES(rref_withdraw(ctx, "nobody's"), RREF_ERR_NO_NAME);
    GIVES(rref_publish(r, ""), RREF_ERR_ARGUMENT);
    GIVES(rref_publish(r, NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_publish(r, longest), RREF_ERR_ARGUMENT);
    GIVES(rref_lookup(ctx, NULL, 0, &found), RREF_ERR_ARGUMENT);
    GIVES(rref_lookup(ctx, "x", -3, &found), RREF_ERR_ARGUMENT);
    GIVES(rref_lookup(ctx, "x", 0, NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_lookup(NULL, "x", 0, &found), RREF_ERR_ARGUMENT);
    GIVES(rref_withdraw(NULL, "x"), RREF_ERR_ARGUMENT);
    GIVES(rref_publish((rref){ 0 }, "x"), RREF_ERR_HANDLE);
    CU_ASSERT_EQUAL(rref_lookup_async(ctx, "", 0).bits, 0);
    bad = rref_create(ctx, rank, "cell", -1);
    GIVES(rref_sync(bad, "value"), RREF_ERR_USER);
    GIVES(rref_publish(bad, numbered("failed", rank)), RREF_ERR_USER);
    OK(rref_release(bad));
    OK(rref_release(r));
    OK(rref_release(other));
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 2);
}

static bool all_gone(void *arg)
{
    (void)arg;
    return atomic_load(&destroyed) == 1;
}

/* Withdrawn by another rank than published it; the name's hold was the last. It can be used again. */
static void withdrawn(void)
{
    if (!begin(NULL)) return;
    const char *mine = numbered("name", rank), *next = numbered("name", (rank + 1) % ranks);
    rref r = rref_create(ctx, rank, "cell", rank);
    OK(rref_publish(r, mine));
    OK(rref_release(r));
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_lookup(ctx, next, 0, &r));
    OK(rref_withdraw(ctx, next));
    CU_ASSERT_EQUAL(read_cell(r), (rank + 1) % ranks);
    OK(rref_release(r));
    CU_ASSERT_TRUE(check_until(all_gone, NULL, 30));
    MPI_Barrier(MPI_COMM_WORLD);
    GIVES(rref_lookup(ctx, mine, 0, &r), RREF_ERR_NO_NAME);
    r = rref_create(ctx, rank, "cell", 1000);
    OK(rref_publish(r, mine));
    OK(rref_withdraw(ctx, mine));
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 2);
}

/* A member of a group is published until its group is freed; then its name is free, and waited for like any. */
static void freed_members(void)
{
    rref found;
    if (!begin(NULL)) return;
    for (int way = 0; way < 4; way++) {
        rref_group group = { 0 };
        const char *mine = numbered("member", rank);
        OK(rref_group_create(ctx, &group, "cell", rank));
        OK(rref_publish(rref_group_member(group, (rank + 1) % ranks), mine));
        OK(rref_lookup(ctx, mine, 0, &found));
        CU_ASSERT_EQUAL(read_cell(found), (rank + 1) % ranks);
        OK(rref_group_free(&group));
        OK(rref_fence(ctx, RREF_FOREVER));      /* it is freed on the rank that keeps the name, too */
        rref r = rref_create(ctx, rank, "cell", 7);
        if (way == 0) GIVES(rref_lookup(ctx, mine, 0, &found), RREF_ERR_NO_NAME);
        if (way == 1) GIVES(rref_withdraw(ctx, mine), RREF_ERR_NO_NAME);
        rref_future f = way == 2 ? rref_lookup_async(ctx, mine, 30) : (rref_future){ 0 };
        OK(rref_publish(r, mine));
        if (way == 2) OK(rref_wait(f, RREF_FOREVER));
        if (way == 2) OK(rref_get(f, rref_out(&found)));
        else OK(rref_lookup(ctx, mine, 0, &found));
        CU_ASSERT_EQUAL(read_cell(found), 7);
        if (way == 2) OK(rref_future_release(f));
        OK(rref_release(found));
        OK(rref_withdraw(ctx, mine));
        OK(rref_release(r));
    }
    OK(rref_finalize(&ctx));
}

/* Of all ranks that want a name one gets it, and all find that one. */
static void contended(void)
{
    int won, winners = 0;
    int64_t first;
    if (!begin(NULL)) return;
    for (int round = 0; round < 20; round++) {
        rref found = { 0 }, r = rref_create(ctx, rank, "cell", rank);
        int rc = rref_publish(r, numbered("prize", round));
        won = rc == RREF_OK;
        if (!won) GIVES(rc, RREF_ERR_NAME_TAKEN);
        MPI_Allreduce(&won, &winners, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
        CU_ASSERT_EQUAL(winners, 1);
        OK(rref_lookup(ctx, numbered("prize", round), 0, &found));
        int64_t mine = read_cell(found), sum = 0;
        first = mine;
        MPI_Allreduce(&mine, &sum, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
        CU_ASSERT_EQUAL(sum, ranks * first);
        OK(rref_release(found));
        OK(rref_release(r));
    }
    OK(rref_finalize(&ctx));
}

/* Waits that end, or do not, before the context does: they keep nobody. */
static void given_up(void)
{
    enum { N = 50 };
    rref_future f[N], for_ever, with_time;
    if (!begin(NULL)) return;
    for (int i = 0; i < N; i++) f[i] = rref_lookup_async(ctx, numbered("never", i % 5), 0.01);
    for (int i = 0; i < N; i++) {
        GIVES(rref_wait(f[i], RREF_FOREVER), RREF_ERR_TIMEOUT);
        OK(rref_future_release(f[i]));
    }
    for_ever = rref_lookup_async(ctx, "never", RREF_FOREVER);
    with_time = rref_lookup_async(ctx, "never", 3600);
    CU_ASSERT_TRUE(for_ever.bits && with_time.bits);
    OK(rref_finalize(&ctx));
}

static void from_a_handler(void)
{
    int64_t value = 0;
    if (!begin(NULL)) return;
    rref r = rref_create(ctx, rank, "cell", 10 + rank), to = rref_root(ctx, (rank + 1) % ranks);
    OK(rref_publish(r, numbered("handler's", rank)));
    OK(rref_sync(to, "lookup", numbered("handler's", rank), rref_out(&value)));
    CU_ASSERT_EQUAL(value, 10 + rank);
    GIVES(rref_sync(to, "lookup", "nobody's", rref_out(&value)), RREF_ERR_NO_NAME);
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
}

/* Where nobody drives but the application. */
static void application_driven(void)
{
    rref found = { 0 };
    if (!begin("application")) return;
    rref_future f = rref_lookup_async(ctx, numbered("driven", (rank + 1) % ranks), RREF_FOREVER);
    rref r = rref_create(ctx, rank, "cell", rank);
    OK(rref_publish(r, numbered("driven", rank)));
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_get(f, rref_out(&found)));
    CU_ASSERT_EQUAL(read_cell(found), (rank + 1) % ranks);
    OK(rref_release(found));
    OK(rref_future_release(f));
    OK(rref_release(r));
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&destroyed), 1);
}

static const check_case cases[] = {
    { "everywhere", everywhere },
    { "waited_for", waited_for },
    { "refused", refused },
    { "withdrawn", withdrawn },
    { "freed_members", freed_members },
    { "contended", contended },
    { "given_up", given_up },
    { "from_a_handler", from_a_handler },
    { "application_driven", application_driven },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "names", cases); }
