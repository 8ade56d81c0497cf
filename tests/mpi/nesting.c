/* SPDX-License-Identifier: BSD-3-Clause */
/* Methods that call back to the object whose method waits for them, directly and over other ranks: found at once. */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { HOW_SYNC, HOW_ASYNC, HOW_POST };

static rref_context *ctx;
static atomic_int leaves, announced;
static int next, after;                 /* the ranks behind this one */
static const char *progress;            /* of the contexts: NULL, or "application" */

static int create(rref_call *c, void **self)
{
    (void)c;
    *self = malloc(1);
    return *self ? RREF_OK : RREF_ERR_NO_MEMORY;
}

static int leaf(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_fetch_add(&leaves, 1);
    return RREF_OK;
}

/* How a call of `target` from inside a method ended. */
static int call_leaf(rref target, int how)
{
    if (how == HOW_POST) return rref_post(target, "leaf");
    if (how == HOW_SYNC) return rref_sync(target, "leaf");
    rref_future f = rref_async(target, "leaf");
    int rc = rref_wait(f, RREF_FOREVER);
    rref_future_release(f);
    return rc;
}

static int back(rref_call *c, void *self)
{
    (void)self;
    return rref_return_i64(c, call_leaf(rref_arg_ref(c, 0), (int)rref_arg_i64(c, 1)));
}

/* Asks the object given to call this one back. */
static int there_and_back(rref_call *c, void *self)
{
    int64_t got = 1;
    (void)self;
    int rc = rref_sync(rref_arg_ref(c, 0), "back", rref_arg_ref(c, 1), rref_arg_i64(c, 2), rref_out(&got));
    return rc ? rc : rref_return_i64(c, got);
}

/* The same over one more object. */
static int further(rref_call *c, void *self)
{
    int64_t got = 1;
    (void)self;
    int rc = rref_sync(rref_arg_ref(c, 0), "there_and_back", rref_arg_ref(c, 1), rref_arg_ref(c, 2), HOW_SYNC, rref_out(&got));
    return rc ? rc : rref_return_i64(c, got);
}

/* Calls back at once, and says so behind that request. */
static int back_then_say(rref_call *c, void *self)
{
    rref_future f = rref_async(rref_arg_ref(c, 0), "leaf");
    (void)self;
    rref_post(rref_root(rref_call_context(c), rref_owner(rref_arg_ref(c, 0))), "said");
    int rc = rref_wait(f, RREF_FOREVER);
    rref_future_release(f);
    return rref_return_i64(c, rc);
}

static bool has_said(void *arg)
{
    (void)arg;
    return atomic_load(&announced) > 0;
}

/* Waits only when the call for this object is in its queue already. */
static int wait_late(rref_call *c, void *self)
{
    int64_t got = 1;
    (void)self;
    rref_future f = rref_async(rref_arg_ref(c, 0), "back_then_say", rref_arg_ref(c, 1));
    if (!check_until(has_said, NULL, 20)) return RREF_ERR_USER;
    int rc = rref_wait(f, RREF_FOREVER);
    if (rc == RREF_OK) rc = rref_get(f, rref_out(&got));
    rref_future_release(f);
    return rc ? rc : rref_return_i64(c, got);
}

/* Fails where the last of so many ranks is; the others return what they were given, and say nothing. */
static int fail_after(rref_call *c, void *self)
{
    rref_context *own = rref_call_context(c);
    int64_t more = rref_arg_i64(c, 0);
    (void)self;
    if (more == 0) return rref_fail(c, RREF_ERR_USER - 7, "Expected error\nof rank %d", rref_rank(own));
    rref to = rref_root(own, (rref_rank(own) + 1) % rref_size(own));
    if (more % 2) return rref_sync(to, "fail_after", more - 1);
    rref_future f = rref_async(to, "fail_after", more - 1);
    int rc = rref_wait(f, RREF_FOREVER);
    rref_future_release(f);
    return rc;
}

/* Fails as a call of its own, which no message is needed for. */
static int fail_inline(rref_call *c, void *self)
{
    (void)self;
    return rref_sync(rref_root(rref_call_context(c), next), "no_such_method");
}

/* Has seen an error, but fails with another one, or of its own accord with the same code. */
static int fail_otherwise(rref_call *c, void *self)
{
    (void)self;
    int rc = rref_sync(rref_root(rref_call_context(c), rref_rank(rref_call_context(c))), "fail_after", 0);
    return rref_arg_i64(c, 0) ? rref_fail(c, rc, "another text") : RREF_ERR_USER - 8;
}

static int said(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_store(&announced, 1);
    return RREF_OK;
}

/* ---- methods that wait for each other: each is at a gate of its caller's until so many are there */

enum { AT_GATE = 8 };
static rref_deferred at_gate[AT_GATE];
static int gate_count;                  /* both under the lock */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;

static int gate(rref_call *c, void *self)
{
    rref_deferred mine = rref_defer(c);
    (void)self;
    pthread_mutex_lock(&gate_lock);
    at_gate[gate_count++] = mine;
    bool open = gate_count == rref_arg_i64(c, 0);
    for (int i = 0; open && i < gate_count; i++) rref_complete(at_gate[i]);
    if (open) gate_count = 0;
    pthread_mutex_unlock(&gate_lock);
    return RREF_PENDING;
}

/* Together with so many others of its caller, each occupying its object, call another object, directly or over its rank. */
static int cross(rref_call *c, void *self)
{
    rref_context *own = rref_call_context(c);
    rref other = rref_arg_ref(c, 0);
    double timeout = rref_arg_f64(c, 2);
    (void)self;
    int rc = rref_sync(rref_root(own, rref_call_rank(c)), "gate", rref_arg_i64(c, 1));
    if (rc) return rc;
    rref_sync_proxy p = rref_rpc_sync(other, timeout), q = rref_rpc_sync(rref_root(own, rref_owner(other)), timeout);
    rc = rref_arg_bool(c, 3) ? rref_invoke(q, "leaf_of", other) : rref_invoke(p, "leaf");
    return rref_return_i64(c, rc);
}

static int leaf_of(rref_call *c, void *self)
{
    (void)self;
    return rref_sync(rref_arg_ref(c, 0), "leaf");
}

static const rref_method methods[] = {
    RREF_METHOD("cross", "ref, i64, f64, bool -> i64", cross, 0),
    RREF_METHOD("leaf", "", leaf, 0),
    RREF_METHOD("back", "ref, i64 -> i64", back, 0),
    RREF_METHOD("there_and_back", "ref, ref, i64 -> i64", there_and_back, 0),
    RREF_METHOD("further", "ref, ref, ref -> i64", further, 0),
    RREF_METHOD("back_then_say", "ref -> i64", back_then_say, 0),
    RREF_METHOD("wait_late", "ref, ref -> i64", wait_late, 0),
    RREF_METHODS_END
};
static const rref_class node = RREF_CLASS("node", "", create, free, methods);
static const rref_class open_node = RREF_CLASS_EX("open_node", "", create, free, methods, RREF_REENTRANT, NULL);
static const rref_class *const classes[] = { &node, &open_node, NULL };
static const rref_method functions[] = {
    RREF_METHOD("said", "", said, RREF_INLINE),
    RREF_METHOD("gate", "i64", gate, 0),
    RREF_METHOD("leaf_of", "ref", leaf_of, 0),
    RREF_METHOD("fail_after", "i64", fail_after, 0),
    RREF_METHOD("fail_inline", "", fail_inline, RREF_INLINE),
    RREF_METHOD("fail_otherwise", "i64", fail_otherwise, 0),
    RREF_METHODS_END
};

static bool begin(void)
{
    const rref_options options = { .classes = classes, .functions = functions, .progress = progress };
    atomic_store(&leaves, 0);
    atomic_store(&announced, 0);
    OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
    if (!ctx) return false;
    next = (rref_rank(ctx) + 1) % rref_size(ctx);
    after = (next + 1) % rref_size(ctx);
    return true;
}

static void end(void) { OK(rref_finalize(&ctx)); }

/* One object on each rank behind this one; on few ranks some of them share one. */
static void with_objects(void (*run)(rref a, rref b, rref c))
{
    if (!begin()) return;
    rref a = rref_create(ctx, next, "node"), b = rref_create(ctx, after, "node"), c = rref_create(ctx, rref_rank(ctx), "node");
    run(a, b, c);
    OK(rref_release(a));
    OK(rref_release(b));
    OK(rref_release(c));
    end();
}

static void in_every_way(rref a, rref b, rref c)
{
    int64_t got = 0;
    for (int how = HOW_SYNC; how <= HOW_ASYNC; how++) {
        OK(rref_sync(a, "there_and_back", b, a, how, rref_out(&got)));
        CU_ASSERT_EQUAL(got, RREF_ERR_REENTRANT);
    }
    OK(rref_sync(a, "further", b, c, a, rref_out(&got)));
    CU_ASSERT_EQUAL(got, RREF_ERR_REENTRANT);
    OK(rref_sync(a, "leaf"));
}

static void calls_back(void) { with_objects(in_every_way); }

static void on_one_rank_run(rref a, rref b, rref c)
{
    int64_t got = 0;
    (void)a, (void)b;
    rref d = rref_create(ctx, rref_rank(ctx), "node");
    OK(rref_sync(c, "there_and_back", d, c, HOW_SYNC, rref_out(&got)));
    CU_ASSERT_EQUAL(got, RREF_ERR_REENTRANT);
    OK(rref_sync(c, "there_and_back", d, d, HOW_SYNC, rref_out(&got)));
    CU_ASSERT_EQUAL(got, RREF_ERR_REENTRANT);
    OK(rref_release(d));
}

static void on_one_rank(void) { with_objects(on_one_rank_run); }

/* A class that says it can: the call runs beside the method that waits. */
static void reentrant_run(rref a, rref b, rref c)
{
    int64_t got = 1;
    (void)a;
    rref open = rref_create(ctx, next, "open_node");
    for (int how = HOW_SYNC; how <= HOW_ASYNC; how++) {
        OK(rref_sync(open, "there_and_back", b, open, how, rref_out(&got)));
        CU_ASSERT_EQUAL(got, RREF_OK);
    }
    OK(rref_sync(open, "further", b, c, open, rref_out(&got)));
    CU_ASSERT_EQUAL(got, RREF_OK);
    OK(rref_release(open));
}

static void reentrant(void)
{
    with_objects(reentrant_run);
    CU_ASSERT_EQUAL(atomic_load(&leaves), 3);
}

/* A one-way call has nobody who waits for it: it takes its turn. */
static void one_way_run(rref a, rref b, rref c)
{
    int64_t got = 1;
    (void)c;
    OK(rref_sync(a, "there_and_back", b, a, HOW_POST, rref_out(&got)));
    CU_ASSERT_EQUAL(got, RREF_OK);
}

static void one_way(void)
{
    with_objects(one_way_run);
    CU_ASSERT_EQUAL(atomic_load(&leaves), 1);   /* of the rank before, by the end */
}

static void queued_run(rref a, rref b, rref c)
{
    int64_t got = 0;
    (void)c;
    OK(rref_sync(a, "wait_late", b, a, rref_out(&got)));
    CU_ASSERT_EQUAL(got, RREF_ERR_REENTRANT);
}

static void queued(void) { with_objects(queued_run); }

/* Calls of others wait their turn meanwhile. */
static void siblings_run(rref a, rref b, rref c)
{
    rref_future sibling[20], chain = rref_async(a, "there_and_back", b, a, HOW_SYNC);
    int64_t got = 0;
    (void)c;
    for (int i = 0; i < 20; i++) sibling[i] = rref_async(a, "leaf");
    OK(rref_wait_all(sibling, 20, RREF_FOREVER));
    OK(rref_wait(chain, RREF_FOREVER));
    OK(rref_get(chain, rref_out(&got)));
    CU_ASSERT_EQUAL(got, RREF_ERR_REENTRANT);
    for (int i = 0; i < 20; i++) OK(rref_future_release(sibling[i]));
    OK(rref_future_release(chain));
}

static void siblings(void)
{
    with_objects(siblings_run);
    CU_ASSERT_EQUAL(atomic_load(&leaves), 20);
}

/* A ring of objects, each of whose methods calls the next: how they fare. */
static void ring(int n, double timeout, bool over_ranks, int codes[])
{
    rref it[4] = { { 0 } };
    rref_future f[4] = { { 0 } };
    int64_t got = 1;
    for (int i = 0; i < n; i++) it[i] = rref_create(ctx, (rref_rank(ctx) + 1 + i) % rref_size(ctx), "node");
    for (int i = 0; i < n; i++) f[i] = rref_async(it[i], "cross", it[(i + 1) % n], n, timeout, over_ranks);
    OK(rref_wait_all(f, (size_t)n, RREF_FOREVER));
    for (int i = 0; i < n; i++) {
        OK(rref_get(f[i], rref_out(&got)));
        codes[i] = (int)got;
        OK(rref_sync(it[i], "leaf"));
        OK(rref_future_release(f[i]));
        OK(rref_release(it[i]));
    }
}

static int how_many(const int codes[], int n, int code)
{
    int found = 0;
    for (int i = 0; i < n; i++) found += codes[i] == code;
    return found;
}

/* A cycle of waits without deadlines is found by those who wait; one call fails, the others go through. */
static void cycles(void)
{
    int codes[4];
    setenv("RREF_REPORT_AFTER", "0.02", 1);
    setenv("RREF_LOG", "error", 1);
    bool begun = begin();
    unsetenv("RREF_LOG");
    unsetenv("RREF_REPORT_AFTER");
    if (!begun) return;
    for (int n = 2; n <= 4; n++)
        for (int over_ranks = 0; over_ranks < 2; over_ranks++) {
            ring(n, RREF_FOREVER, over_ranks, codes);
            CU_ASSERT_EQUAL(how_many(codes, n, RREF_ERR_DEADLOCK), 1);
            CU_ASSERT_EQUAL(how_many(codes, n, RREF_OK), n - 1);
        }
    ring(3, 0.3, false, codes);             /* with deadlines it ends by them, and is no deadlock */
    CU_ASSERT_TRUE(how_many(codes, 3, RREF_ERR_TIMEOUT) > 0);
    CU_ASSERT_EQUAL(how_many(codes, 3, RREF_ERR_DEADLOCK), 0);
    end();
}

/* Who waits for long, and is in no cycle, goes on waiting. */
static void no_cycles(void)
{
    rref_future f[2];
    int64_t got = 1;
    setenv("RREF_REPORT_AFTER", "0.01", 1);
    setenv("RREF_LOG", "error", 1);
    bool begun = begin();
    unsetenv("RREF_LOG");
    unsetenv("RREF_REPORT_AFTER");
    if (!begun) return;
    rref a = rref_create(ctx, next, "node"), b = rref_create(ctx, after, "node"), c = rref_create(ctx, next, "node");
    rref d = rref_create(ctx, rref_rank(ctx), "node");
    f[0] = rref_async(b, "cross", c, 2, RREF_FOREVER, false);       /* at the gate */
    f[1] = rref_async(a, "back", b, HOW_SYNC);                      /* behind it */
    GIVES(rref_wait_all(f, 2, 0.2), RREF_ERR_PENDING);
    rref_future g = rref_async(c, "cross", d, 2, RREF_FOREVER, true);
    OK(rref_wait(g, RREF_FOREVER));
    OK(rref_wait_all(f, 2, RREF_FOREVER));
    for (int i = 0; i < 3; i++) {
        OK(rref_get(i < 2 ? f[i] : g, rref_out(&got)));
        CU_ASSERT_EQUAL(got, RREF_OK);
        OK(rref_future_release(i < 2 ? f[i] : g));
    }
    OK(rref_release(d));
    OK(rref_release(a));
    OK(rref_release(b));
    OK(rref_release(c));
    end();
}

/* An error keeps its text and its origin on its way through other ranks, and counts them. */
static void errors_pass_through(void)
{
    char text[64];
    rref_error e;
    if (!begin()) return;
    for (int more = 0; more < 4; more++) {
        int last = (next + more) % rref_size(ctx), hops = 0;
        for (int i = 0; i < more; i++) hops += (next + i) % rref_size(ctx) != last;
        snprintf(text, sizeof text, "Expected error\nof rank %d", last);
        GIVES(rref_sync(rref_root(ctx, next), "fail_after", more), RREF_ERR_USER - 7);
        OK(rref_last_error(ctx, &e));
        CU_ASSERT_STRING_EQUAL(e.text, text);
        CU_ASSERT_STRING_EQUAL(e.where, "rank.fail_after");
        CU_ASSERT_PTR_NOT_NULL(strstr(e.site, "nesting.c:"));
        CU_ASSERT_EQUAL(e.rank, last);
        CU_ASSERT_EQUAL(e.caller, rref_rank(ctx));
        CU_ASSERT_EQUAL(e.hops, hops);
    }
    GIVES(rref_sync(rref_root(ctx, next), "fail_inline"), RREF_ERR_NO_METHOD);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "no_such_method"));
    GIVES(rref_sync(rref_root(ctx, next), "fail_otherwise", 1), RREF_ERR_USER - 7);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_STRING_EQUAL(e.text, "another text");
    GIVES(rref_sync(rref_root(ctx, next), "fail_otherwise", 0), RREF_ERR_USER - 8);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_PTR_NULL(strstr(e.text, "Expected"));
    CU_ASSERT_STRING_EQUAL(e.where, "rank.fail_otherwise");
    end();
}

static void application_driven(void)
{
    progress = "application";
    errors_pass_through();
    calls_back();
    on_one_rank();
    reentrant();
    one_way();
    siblings();
    progress = NULL;
}

static const check_case cases[] = {
    { "errors_pass_through", errors_pass_through },
    { "calls_back", calls_back },
    { "on_one_rank", on_one_rank },
    { "reentrant", reentrant },
    { "one_way", one_way },
    { "queued", queued },
    { "siblings", siblings },
    { "cycles", cycles },
    { "no_cycles", no_cycles },
    { "application_driven", application_driven },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "nesting", cases); }
