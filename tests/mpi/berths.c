/* SPDX-License-Identifier: BSD-3-Clause */
/* Large arguments that land where their object has them: the landing hooks of a class. */
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { SMALL = 8, PUSHED = 50000, OFFERED = 1000000, ROUNDS = 8 };      /* values of 8 bytes */
enum { GIVE = 0, REFUSE, CROOKED };

static int rank, ranks, next;
static rref_context *ctx;
static atomic_int mode, gate, given, back, cancelled, wrong, inside;

/* ---- a sheet keeps its values in one piece of memory, with some room before it */

typedef struct sheet { double *u; size_t n; int64_t in_place; bool lent; } sheet;

static void enter(void) { if (atomic_fetch_add(&inside, 1)) atomic_fetch_add(&wrong, 1); }
static void leave(void) { atomic_fetch_sub(&inside, 1); }

static void *sheet_landing(void *self, const char *method, size_t bytes)
{
    sheet *s = self;
    enter();
    bool asked = !strcmp(method, "set") || !strcmp(method, "work") || !strcmp(method, "back");
    if (s->lent || !asked || bytes != s->n * sizeof *s->u) atomic_fetch_add(&wrong, 1);
    leave();
    if (atomic_load(&mode) == REFUSE) return NULL;
    s->lent = true;
    atomic_fetch_add(&given, 1);
    return atomic_load(&mode) == CROOKED ? (char *)s->u + 4 : (char *)s->u;
}

static void sheet_landed(void *self, void *memory, size_t bytes, int outcome)
{
    sheet *s = self;
    enter();
    if (!s->lent || bytes != s->n * sizeof *s->u) atomic_fetch_add(&wrong, 1);
    if (memory != s->u && atomic_load(&mode) != CROOKED) atomic_fetch_add(&wrong, 1);
    s->lent = false;
    atomic_fetch_add(&back, 1);
    if (outcome == RREF_ERR_CANCELLED) atomic_fetch_add(&cancelled, 1);
    else if (outcome) atomic_fetch_add(&wrong, 1);
    leave();
}

static int sheet_create(rref_call *c, void **self)
{
    sheet *s = calloc(1, sizeof *s);
    s->n = rref_arg_u64(c, 0);
    s->u = aligned_alloc(64, (s->n * sizeof *s->u / 64 + 2) * 64);
    *self = s;
    return RREF_OK;
}

static void sheet_destroy(void *self)
{
    sheet *s = self;
    if (s->lent) atomic_fetch_add(&wrong, 1);
    free(s->u);
    free(s);
}

/* All values are one and the same, or another call wrote among them. */
static int set(rref_call *c, void *self, bool exclusive)
{
    sheet *s = self;
    size_t n;
    const double *x = rref_arg_f64s(c, 0, &n);
    if (exclusive) enter();
    size_t i = 1;
    while (i < n && x[i] == x[0]) i++;
    if (n != s->n || i < n) atomic_fetch_add(&wrong, 1);
    s->in_place += x == s->u;
    if (exclusive) leave();
    return rref_return(c, x[0], s->in_place);
}

static int sheet_set(rref_call *c, void *self) { return set(c, self, true); }
static int sheet_see(rref_call *c, void *self) { return set(c, self, false); }

static int sheet_echo(rref_call *c, void *self)
{
    sheet *s = self;
    return rref_return_borrowed(c, s->u, s->n);
}

/* What has landed leaves again from where it is. */
static int sheet_back(rref_call *c, void *self)
{
    size_t n;
    const double *x = rref_arg_f64s(c, 0, &n);
    (void)self;
    return rref_return_borrowed(c, x, n);
}

static bool is_open(void *arg) { return atomic_load((atomic_int *)arg) > 0; }

static int sheet_hold(rref_call *c, void *self)
{
    (void)c;
    (void)self;
    return check_until(is_open, &gate, check_patience(30)) ? RREF_OK : rref_fail(c, RREF_ERR_USER, "the gate stayed shut");
}

static const rref_method sheet_methods[] = {
    RREF_METHOD("set", "f64[] -> f64, i64", sheet_set, 0),
    RREF_METHOD("work", "f64[] -> f64, i64", sheet_set, RREF_WORKER),
    RREF_METHOD("see", "f64[] -> f64, i64", sheet_see, RREF_CONCURRENT),
    RREF_METHOD("echo", "-> f64[]", sheet_echo, 0),
    RREF_METHOD("back", "f64[] -> f64[]", sheet_back, 0),
    RREF_METHOD("hold", "", sheet_hold, RREF_WORKER),
    RREF_METHODS_END
};
static const rref_hooks sheet_hooks = { .landing = sheet_landing, .landed = sheet_landed };
static const rref_class sheet_class =
    RREF_CLASS_EX("sheet", "u64", sheet_create, sheet_destroy, sheet_methods, 0, &sheet_hooks);

static const rref_hooks taking_only = { .landed = sheet_landed };
static const rref_class bad_class = RREF_CLASS_EX("bad", "", NULL, NULL, NULL, 0, &taking_only);

/* ---- */

static bool begin(void)
{
    const rref_class *classes[] = { &sheet_class, NULL };
    setenv("RREF_EAGER", "4096", 1);            /* what lands and what does not is no matter of chance */
    if (rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes }, &ctx)) {
        CU_FAIL("init");
        return false;
    }
    rank = rref_rank(ctx);
    ranks = rref_size(ctx);
    next = (rank + 1) % ranks;
    atomic_store(&mode, GIVE);
    atomic_store(&gate, 0);
    atomic_store(&given, 0);
    atomic_store(&back, 0);
    atomic_store(&cancelled, 0);
    MPI_Barrier(MPI_COMM_WORLD);
    return true;
}

static void end(void)
{
    OK(rref_finalize(&ctx));
    CU_ASSERT_EQUAL(atomic_load(&given), atomic_load(&back));
    CU_ASSERT_EQUAL(atomic_load(&wrong), 0);
}

static double *values(size_t n, double value)
{
    double *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = value;
    return x;
}

/* A call of the own rank is made without a message, and may leave its array where it is. */
static void in_place(size_t n)
{
    double first = 0, *y = calloc(n, sizeof *y);
    int64_t there = 0;
    size_t count = 0;
    if (!begin()) return;
    double *x = values(n, rank + 0.5);
    rref s = rref_create(ctx, next, "sheet", (uint64_t)n);
    for (int i = 1; i <= ROUNDS; i++) {
        OK(rref_sync(s, "set", rref_array(x, n), rref_out(&first), rref_out(&there)));
        CU_ASSERT_EQUAL(first, rank + 0.5);
        if (ranks > 1) CU_ASSERT_EQUAL(there, n == SMALL ? 0 : i);
    }
    if (ranks > 1 && n > SMALL) {
        OK(rref_sync(s, "echo", rref_out_array(y, n, &count)));
        CU_ASSERT_TRUE(count == n && !memcmp(x, y, n * sizeof *x));
    }
    OK(rref_sync(s, "see", rref_array(x, n), rref_out(&first), rref_out(&there)));
    if (ranks > 1) CU_ASSERT_EQUAL(there, n == SMALL ? 0 : ROUNDS);
    OK(rref_release(s));
    MPI_Barrier(MPI_COMM_WORLD);
    if (ranks > 1) CU_ASSERT_EQUAL(atomic_load(&given), n == SMALL ? 0 : ROUNDS);
    CU_ASSERT_EQUAL(atomic_load(&cancelled), 0);
    free(x);
    free(y);
    end();
}

static void small(void) { in_place(SMALL); }
static void pushed(void) { in_place(PUSHED); }
static void offered(void) { in_place(OFFERED); }

/* By a thread that drove until the call came, and goes on as its worker. */
static void by_worker(void)
{
    static const size_t sizes[] = { SMALL, PUSHED, OFFERED };
    if (!begin()) return;
    for (int k = 0; k < 3; k++) {
        const size_t n = sizes[k];
        double first = 0, *x = values(n, rank + 0.5);
        int64_t there = 0;
        rref s = rref_create(ctx, next, "sheet", (uint64_t)n);
        OK(rref_wait(rref_creation(s), RREF_FOREVER));
        for (int i = 1; i <= ROUNDS; i++) {
            OK(rref_sync(s, "work", rref_array(x, n), rref_out(&first), rref_out(&there)));
            CU_ASSERT_EQUAL(first, rank + 0.5);
            if (ranks > 1) CU_ASSERT_EQUAL(there, n == SMALL ? 0 : i);
        }
        OK(rref_release(s));
        free(x);
        MPI_Barrier(MPI_COMM_WORLD);
    }
    CU_ASSERT_EQUAL(atomic_load(&cancelled), 0);
    end();
}

/* Calls of all ranks to one object, many at once: its memory is one call's at a time, until the call's results have left. */
static void one_at_a_time(void)
{
    rref_future f[ROUNDS], g[ROUNDS];
    size_t count = 0;
    if (!begin()) return;
    double *x = values(PUSHED, rank + 1), *y = calloc(PUSHED, sizeof *y);
    rref s = { 0 };
    if (rank == 0) {
        s = rref_create(ctx, ranks - 1, "sheet", (uint64_t)PUSHED);
        OK(rref_publish(s, "the sheet"));
    } else {
        OK(rref_lookup(ctx, "the sheet", check_patience(30), &s));
    }
    for (int i = 0; i < ROUNDS; i++) {
        g[i] = rref_async(s, "back", rref_array(x, PUSHED));
        f[i] = rref_async(s, "set", rref_array(x, PUSHED));
    }
    for (int i = 0; i < ROUNDS; i++) {
        double first = 0;
        int64_t there;
        OK(rref_wait(f[i], RREF_FOREVER));
        OK(rref_get(f[i], rref_out(&first), rref_out(&there)));
        CU_ASSERT_EQUAL(first, rank + 1);
        OK(rref_future_release(f[i]));
        OK(rref_wait(g[i], RREF_FOREVER));
        OK(rref_get(g[i], rref_out_array(y, PUSHED, &count)));
        CU_ASSERT_TRUE(count == PUSHED && !memcmp(x, y, PUSHED * sizeof *x));
        OK(rref_future_release(g[i]));
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) OK(rref_withdraw(ctx, "the sheet"));
    OK(rref_release(s));
    free(x);
    free(y);
    end();
}

/* The hook has none, or one that cannot be: the call fails and says so, and the object goes on. */
static void refused(void)
{
    double first = 0, *x = values(OFFERED, 3);
    int64_t there = 0;
    if (!begin()) return;
    rref s = rref_create(ctx, next, "sheet", (uint64_t)OFFERED), t = rref_create(ctx, next, "sheet", (uint64_t)PUSHED);
    OK(rref_wait(rref_creation(s), RREF_FOREVER));
    OK(rref_wait(rref_creation(t), RREF_FOREVER));
    MPI_Barrier(MPI_COMM_WORLD);
    if (ranks > 1)
        for (int how = REFUSE; how <= CROOKED; how++) {
            atomic_store(&mode, how);
            MPI_Barrier(MPI_COMM_WORLD);
            const int code = how == REFUSE ? RREF_ERR_NO_MEMORY : RREF_ERR_ARGUMENT;
            GIVES(rref_sync(s, "set", rref_array(x, OFFERED), rref_out(&first), rref_out(&there)), code);
            rref_error e;
            OK(rref_last_error(ctx, &e));
            CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "class sheet"));
            CU_ASSERT_STRING_EQUAL(e.where, "sheet.set");
            GIVES(rref_sync(t, "set", rref_array(x, PUSHED), rref_out(&first), rref_out(&there)), code);
            MPI_Barrier(MPI_COMM_WORLD);
        }
    if (ranks > 1) CU_ASSERT_TRUE(atomic_load(&given) == 2 && atomic_load(&cancelled) == 2);
    atomic_store(&mode, GIVE);
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_sync(s, "set", rref_array(x, OFFERED), rref_out(&first), rref_out(&there)));
    CU_ASSERT_EQUAL(first, 3);
    OK(rref_release(s));
    OK(rref_release(t));
    free(x);
    end();
}

/* A call that is given up before its turn: whatever its object has lent comes back, and no method has run. */
static void given_up(void)
{
    double first = 0, *x = values(OFFERED, 4);
    int64_t there = 0;
    if (!begin()) return;
    rref s = rref_create(ctx, next, "sheet", (uint64_t)OFFERED);
    rref_future hold = rref_async(s, "hold");
    GIVES(rref_invoke(rref_rpc_sync(s, 0.05), "set", rref_array(x, OFFERED), rref_out(&first), rref_out(&there)),
          RREF_ERR_TIMEOUT);
    for (size_t i = 0; i < OFFERED; i++) x[i] = -1;
    MPI_Barrier(MPI_COMM_WORLD);
    atomic_store(&gate, 1);
    OK(rref_wait(hold, RREF_FOREVER));
    OK(rref_future_release(hold));
    OK(rref_sync(s, "set", rref_array(x, OFFERED), rref_out(&first), rref_out(&there)));
    CU_ASSERT_EQUAL(first, -1);
    if (ranks > 1) CU_ASSERT_EQUAL(there, 1);
    OK(rref_release(s));
    free(x);
    end();
}

static void half_a_pair(void)
{
    if (!begin()) return;
    GIVES(rref_register(ctx, &bad_class), RREF_ERR_ARGUMENT);
    end();
}

static const check_case cases[] = {
    { "small", small }, { "pushed", pushed }, { "offered", offered }, { "by_worker", by_worker },
    { "one_at_a_time", one_at_a_time },
    { "refused", refused }, { "given_up", given_up }, { "half_a_pair", half_a_pair }, CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "berths", cases); }
