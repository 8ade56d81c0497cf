/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes that are registered at their owner alone: every rank has one of its own name, and calls its neighbour's. All of it
 * with the window and without, by library threads and application-driven. */
#include <mpi.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { LARGE = 40000, MANY = 10, LATE = 60, SLOW = 31415 };

static rref_context *ctx;
static int me, size, next;
static bool windowed;                   /* types come through the window */
static char own_name[32], next_name[32];
static atomic_int destroyed, failures, failure_code;

typedef struct thing { int64_t sum; uint64_t n; } thing;
typedef struct point { double x, y; } point;

/* ---- the class of every rank */

static atomic_int gate;

static bool is_open(void *arg)
{
    (void)arg;
    return atomic_load(&gate) > 0;
}

static int thing_create(rref_call *c, void **self)
{
    size_t n, pairs, refs;
    const double *x = rref_arg_f64s(c, 2, &n);
    const point *p = rref_arg_structs(c, 4, "point", sizeof *p, &pairs);
    double sum = p && pairs == 1 ? p->x + p->y : -1;
    for (size_t i = 0; i < n; i++) sum += x[i];
    const rref *r = rref_arg_refs(c, 6, &refs);
    if (rref_arg_i64(c, 0) < 0) return rref_fail(c, RREF_ERR_USER, "no thing below 0, %s", rref_arg_str(c, 3));
    if (!rref_same_object(rref_arg_ref(c, 5), rref_root(rref_call_context(c), rref_call_rank(c))) || refs != 2
        || !rref_same_object(r[0], r[1]))
        return rref_fail(c, RREF_ERR_USER, "the references are not those given");
    if (rref_arg_i64(c, 0) == SLOW && !check_until(is_open, NULL, 20)) return RREF_ERR_USER;
    thing *t = malloc(sizeof *t);
    *t = (thing){ rref_arg_i64(c, 0) + (int64_t)sum, rref_arg_u64(c, 1) + (uint64_t)rref_arg_f32(c, 7) };
    *self = t;
    return RREF_OK;
}

static void thing_destroy(void *self)
{
    atomic_fetch_add(&destroyed, 1);
    free(self);
}

static int add(rref_call *c, void *self)
{
    thing *t = self;
    t->sum += rref_arg_i64(c, 0);
    return rref_return(c, t->sum);
}

/* Shows the order of calls. */
static int digit(rref_call *c, void *self)
{
    thing *t = self;
    t->sum = 10 * t->sum + rref_arg_i64(c, 0);
    return RREF_OK;
}

static int total(rref_call *c, void *self)
{
    size_t n;
    const int64_t *x = rref_arg_i64s(c, 0, &n);
    int64_t sum = 0;
    (void)self;
    for (size_t i = 0; i < n; i++) sum += x[i];
    return rref_return(c, sum, rref_arg_str(c, 1));
}

static int other(rref_call *c, void *self)
{
    (void)self;
    return rref_return(c, rref_owner(rref_arg_ref(c, 0)));
}

static int fails(rref_call *c, void *self)
{
    (void)self;
    return rref_fail(c, RREF_ERR_USER - 1, "as wanted");
}

#define THING "i64, u64, f64[], str, struct point[16], ref, ref[], f32"
static const rref_method thing_methods[] = {
    RREF_METHOD("add", "i64 -> i64", add, 0),
    RREF_METHOD("digit", "i64", digit, 0),
    RREF_METHOD("total", "i64[], str -> i64, str", total, RREF_CONCURRENT),
    RREF_METHOD("other", "ref -> i64", other, RREF_INLINE),
    RREF_METHOD("fails", "", fails, RREF_WORKER),
    RREF_METHODS_END
};
static rref_class thing_class = RREF_CLASS(own_name, THING, thing_create, thing_destroy, thing_methods);

/* The same name on all ranks, with other content on each: one method more or less. */
static const rref_method same_methods[] = {
    RREF_METHOD("add", "i64 -> i64", add, 0),
    RREF_METHOD("digit", "i64", digit, 0),
    RREF_METHODS_END
};
static const rref_class same_even = RREF_CLASS("same", "", NULL, free, same_methods);
static const rref_class same_odd = RREF_CLASS("same", "", NULL, free, same_methods + 1);

/* ---- functions that all ranks have */

static int wrap(rref_call *c, const char *name)
{
    thing *t = calloc(1, sizeof *t);
    rref r = rref_wrap(rref_call_context(c), name, t);
    int rc = rref_return(c, r);
    rref_release(r);
    return rc;
}

/* A new object of the rank's class of that name; it has no creator elsewhere that would know the class by name. */
static int give(rref_call *c, void *self)
{
    (void)self;
    return wrap(c, rref_arg_str(c, 0));
}

static int open_gate(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_store(&gate, 1);
    return RREF_OK;
}

/* The value of a result that stayed somewhere, found by someone else. */
static int fetch(rref_call *c, void *self)
{
    (void)self;
    rref_deferred d = rref_defer(c);
    rref_future f = rref_to_here_async(rref_arg_ref(c, 0));
    rref_complete_with(d, f);
    rref_future_release(f);
    return RREF_PENDING;
}

/* Someone who has only the reference adds to the object. */
static int pass_on(rref_call *c, void *self)
{
    int64_t sum = 0;
    rref r = rref_arg_ref(c, 0);
    (void)self;
    int rc = rref_sync(r, "add", rref_arg_i64(c, 1), rref_out(&sum));
    return rc == RREF_OK ? rref_return(c, sum) : rc;
}

/* An inline function may not wait, so not for a class either. */
static int inline_call(rref_call *c, void *self)
{
    (void)self;
    return rref_return(c, rref_sync(rref_arg_ref(c, 0), "digit", 1));
}

static int nothing(rref_call *c, void *self)
{
    (void)c;
    (void)self;
    return RREF_OK;
}

static const rref_method functions[] = {
    RREF_METHOD("give", "str -> ref", give, 0),
    RREF_METHOD("pass_on", "ref, i64 -> i64", pass_on, RREF_WORKER),
    RREF_METHOD("inline_call", "ref -> i64", inline_call, RREF_INLINE),
    RREF_METHOD("open_gate", "", open_gate, RREF_INLINE),
    RREF_METHOD("fetch", "ref -> i64", fetch, 0),
    RREF_METHODS_END
};

/* Functions that only some ranks have. */
static const rref_method few_functions[] = { RREF_METHOD("nothing", "", nothing, 0), RREF_METHODS_END };
static const rref_method *odd_functions = functions;

static void on_error(const rref_error *error, void *arg)
{
    (void)arg;
    atomic_store(&failure_code, error->code);
    atomic_fetch_add(&failures, 1);
}

/* ---- contexts */

static bool says_window(void)
{
    char *text = NULL;
    int yes = 0;
    OK(rref_info(ctx, &text));
    if (text) yes = strstr(text, "by window") != NULL;
    free(text);
    MPI_Bcast(&yes, 1, MPI_INT, 0, MPI_COMM_WORLD);
    return yes;
}

static bool start(bool window, bool application, const rref_class *more)
{
    const rref_class *classes[] = { &thing_class, more, NULL };
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const rref_options options = { .classes = classes, .functions = rank % 2 ? odd_functions : functions, .on_error = on_error,
                                   .progress = application ? "application" : NULL };
    me = rank;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    next = (me + 1) % size;
    snprintf(own_name, sizeof own_name, "thing%d", me);
    snprintf(next_name, sizeof next_name, "thing%d", next);
    atomic_store(&destroyed, 0);
    atomic_store(&failures, 0);
    atomic_store(&gate, 0);
    setenv("RREF_WINDOW", window ? "auto" : "off", 1);
    OK(rref_init(MPI_COMM_WORLD, &options, &ctx));
    if (!ctx) return false;
    windowed = says_window();
    CU_ASSERT_TRUE(window || !windowed);
    return true;
}

static void end(void) { OK(rref_finalize(&ctx)); }

/* Run a case in every way. Between start and end the ranks serve each other in whatever they wait for. */
static void every_way(void (*run)(void), const rref_class *more)
{
    for (int way = 0; way < 4; way++) {
        if (!start(way & 1, way & 2, more)) return;
        run();
        end();
    }
}

static rref_statistics stats(void)
{
    rref_statistics s;
    OK(rref_stats(ctx, &s));
    return s;
}

static rref make(int64_t sum)
{
    static const double x[] = { 1, 2, 3 };
    const point p = { 10, 20 };
    rref root = rref_root(ctx, me), two[] = { root, root };
    return rref_create(ctx, next, next_name, sum, 7u, rref_array(x, 3), "text", rref_structs("point", &p, 1), root,
                       rref_array(two, 2), 0.5);
}

static rref given(int rank, const char *name)
{
    rref r = { 0 };
    OK(rref_sync(rref_root(ctx, rank), "give", name, rref_out(&r)));
    return r;
}

/* ---- cases */

static void run_owner_only(void)
{
    int64_t sum = 0;
    char text[8] = "";
    const int64_t x[] = { 1, 2, 3 };
    for (int round = 0; round < 3; round++) {
        rref r = make(100);
        OK(rref_sync(r, "add", 5, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, 141);
        OK(rref_invoke(rref_rpc_sync(r, 100), "add", 1, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, 142);
        OK(rref_sync(r, "total", rref_array(x, 3), "abc", rref_out(&sum), rref_out_str(text, sizeof text)));
        CU_ASSERT_EQUAL(sum, 6);
        CU_ASSERT_STRING_EQUAL(text, "abc");
        OK(rref_sync(r, "other", rref_root(ctx, me), rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, me);
        OK(rref_confirmed(r));
        OK(rref_release(r));
    }
    if (check_chaos("a window that is read in vain is followed by a question")) return;
    /* Of three creations only the first was of an unknown class. */
    rref_statistics s = stats();
    CU_ASSERT_EQUAL(s.window_reads, 0);
    CU_ASSERT_EQUAL(s.type_queries, size > 1);
}

static void owner_only(void) { every_way(run_owner_only, NULL); }

static void run_captured(void)
{
    int64_t x[LARGE], sums[2] = { 0, 0 }, value = 0;
    char text[2][8], word[8] = "first";
    rref r = given(next, next_name);
    const rref root = rref_root(ctx, next);
    for (int i = 0; i < LARGE; i++) x[i] = i;
    rref_future copied = rref_async(r, "total", rref_array(x, LARGE), word, rref_out(&sums[0]), rref_out_str(text[0], 8));
    rref_future scalar = rref_async(r, "other", root);
    x[0] = 1000;
    strcpy(word, "second");
    rref_future borrowed = rref_async(r, "total", rref_borrow(x, LARGE), word, rref_out(&sums[1]), rref_out_str(text[1], 8));
    rref_future little = rref_async(r, "total", rref_borrow(x, 2), "");
    OK(rref_wait_sent(borrowed, RREF_FOREVER));
    OK(rref_wait_sent(little, RREF_FOREVER));
    memset(x, 0, sizeof x);
    OK(rref_wait(copied, RREF_FOREVER));
    OK(rref_wait(borrowed, RREF_FOREVER));
    OK(rref_wait(scalar, RREF_FOREVER));
    OK(rref_wait(little, RREF_FOREVER));
    OK(rref_get(scalar, rref_out(&value)));
    CU_ASSERT_EQUAL(value, next);
    OK(rref_get(little, rref_out(&value), rref_out_str(word, 8)));
    CU_ASSERT_EQUAL(value, 1001);
    CU_ASSERT_EQUAL(sums[0], (int64_t)LARGE * (LARGE - 1) / 2);
    CU_ASSERT_EQUAL(sums[1], sums[0] + 1000);
    CU_ASSERT_STRING_EQUAL(text[0], "first");
    CU_ASSERT_STRING_EQUAL(text[1], "second");
    const rref_future all[] = { copied, borrowed, scalar, little };
    for (int i = 0; i < 4; i++) OK(rref_future_release(all[i]));
    OK(rref_release(r));
}

static void captured(void) { every_way(run_captured, NULL); }

/* Calls of all kinds, while the class is unknown and after, through two handles and bound methods. */
static void run_order(void)
{
    int64_t sum = 0;
    rref r = given(next, next_name);
    rref_method_ref bound = rref_bind(r, "digit");
    rref_future f = rref_async(r, "digit", 1);
    OK(rref_post(r, "digit", 2));
    OK(rref_post(bound, 3));
    rref_future g = rref_async(bound, 4);
    OK(rref_sync(bound, 5));
    OK(rref_post(r, "digit", 6));
    OK(rref_sync(r, "add", 0, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 123456);
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_wait(g, RREF_FOREVER));
    OK(rref_future_release(f));
    OK(rref_future_release(g));
    /* Released behind calls that wait for the class. */
    rref made = make(0);
    for (int i = 0; i < MANY; i++) OK(rref_post(made, "digit", 1));
    f = rref_async(made, "add", 0);
    OK(rref_release(made));
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_future_release(f));
    OK(rref_release(r));
}

static void order(void) { every_way(run_order, NULL); }

static void run_many_questions(void)
{
    rref_future f[MANY];
    const char *name;
    rref r = given(next, next_name);
    rref_statistics before = stats();
    for (int i = 0; i < MANY; i++) f[i] = rref_class_of_async(r, RREF_FOREVER);
    for (int i = 0; i < MANY; i++) {
        char text[32] = "";
        OK(rref_wait(f[i], RREF_FOREVER));
        OK(rref_get(f[i], rref_out_str(text, sizeof text)));
        CU_ASSERT_STRING_EQUAL(text, next_name);
        GIVES(rref_set(f[i], "by hand"), RREF_ERR_NOT_PROMISE);
        OK(rref_future_release(f[i]));
    }
    OK(rref_class_of(r, &name, RREF_FOREVER));
    CU_ASSERT_STRING_EQUAL(name, next_name);
    rref_statistics after = stats();
    OK(rref_release(r));
    if (check_chaos("a window may have to be read again, or in vain")) return;
    CU_ASSERT_EQUAL(after.window_reads - before.window_reads, size > 1 && windowed);
    CU_ASSERT_EQUAL(after.type_queries - before.type_queries, size > 1 && !windowed);
}

static void many_questions(void) { every_way(run_many_questions, NULL); }

/* From rank to rank: each is given references of all others' classes. */
static void run_passed_on(void)
{
    rref r = given(next, next_name), made = make(0);
    for (int rank = 0; rank < size; rank++) {
        int64_t sum = 0;
        OK(rref_sync(rref_root(ctx, rank), "pass_on", r, 1, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, rank + 1);
        OK(rref_sync(rref_root(ctx, rank), "pass_on", made, 1, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, 36 + rank + 1);
    }
    OK(rref_release(r));
    OK(rref_release(made));
}

static void passed_on(void)
{
    for (int window = 0; window < 2; window++) {
        if (!start(window, false, NULL)) return;
        run_passed_on();
        MPI_Barrier(MPI_COMM_WORLD);
        end();
        CU_ASSERT_EQUAL(atomic_load(&destroyed), 2);
    }
}

static void run_describe(void)
{
    char *text = NULL, wanted[256];
    rref r = given(next, next_name);
    OK(rref_describe(r, &text, RREF_FOREVER));
    snprintf(wanted, sizeof wanted, "%s: " THING "\n  add: i64 -> i64\n  digit: i64\n"
             "  total: i64[], str -> i64, str [concurrent]\n  other: ref -> i64 [inline]\n  fails:  [worker]\n", next_name);
    CU_ASSERT_STRING_EQUAL(text, wanted);
    free(text);
    OK(rref_describe(rref_root(ctx, next), &text, RREF_FOREVER));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "  pass_on: ref, i64 -> i64 [worker]\n"));
    free(text);
    GIVES(rref_describe(r, NULL, 1), RREF_ERR_ARGUMENT);
    GIVES(rref_class_of(r, NULL, 1), RREF_ERR_ARGUMENT);
    GIVES(rref_describe((rref){ 0 }, &text, 1), RREF_ERR_HANDLE);
    GIVES(rref_class_of(r, &(const char *){ NULL }, -2.0), RREF_ERR_ARGUMENT);
    OK(rref_release(r));
}

static void describe(void) { every_way(run_describe, NULL); }

/* Gives what a one-way call that does not fit came to. */
static int run_errors(void)
{
    int64_t x = 0;
    rref_error error;
    rref r = given(next, next_name), s = given(next, next_name);
    rref_future unknown = rref_async(r, "nothing", 1), misfit = rref_async(r, "add", "text"), fine = rref_async(r, "add", 1);
    rref_future late = rref_async(rref_bind(s, "nothing"), 1), failing = rref_async(s, "fails");
    int posted = rref_post(s, "add", "text");
    CU_ASSERT_TRUE(posted == RREF_ERR_SIGNATURE || (posted == RREF_OK && size > 1));
    GIVES(rref_wait(unknown, RREF_FOREVER), RREF_ERR_NO_METHOD);
    OK(rref_future_error(unknown, &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, next_name));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.site, "types.c"));
    GIVES(rref_wait(misfit, RREF_FOREVER), RREF_ERR_SIGNATURE);
    GIVES(rref_wait(late, RREF_FOREVER), RREF_ERR_NO_METHOD);
    OK(rref_future_error(late, &error));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, next_name));
    CU_ASSERT_PTR_NOT_NULL(strstr(error.text, "nothing"));
    GIVES(rref_wait(failing, RREF_FOREVER), RREF_ERR_USER - 1);
    OK(rref_wait(fine, RREF_FOREVER));
    GIVES(rref_sync(r, "nothing"), RREF_ERR_NO_METHOD);
    GIVES(rref_sync(r, "add", 1, 2), RREF_ERR_SIGNATURE);
    OK(rref_sync(r, "add", 1, rref_out(&x)));
    CU_ASSERT_EQUAL(x, 2);
    const rref_future all[] = { unknown, misfit, fine, late, failing };
    for (int i = 0; i < 5; i++) OK(rref_future_release(all[i]));
    OK(rref_release(r));
    OK(rref_release(s));
    return posted;
}

static bool failed(void *arg)
{
    (void)arg;
    if (ctx) rref_progress(ctx);
    return atomic_load(&failures) > 0;
}

/* A one-way call that does not fit is refused at once where the class is known by then, and later where it is not. */
static void errors(void)
{
    for (int way = 0; way < 4; way++) {
        if (!start(way & 1, way & 2, NULL)) return;
        int posted = run_errors();
        if (posted == RREF_OK) {
            CU_ASSERT_TRUE(check_until(failed, NULL, 20));
            CU_ASSERT_EQUAL(atomic_load(&failure_code), RREF_ERR_SIGNATURE);
        }
        GIVES(rref_finalize(&ctx), posted == RREF_OK ? RREF_ERR_ONEWAY : RREF_OK);
    }
}

static void fail_alike(rref r, int code)
{
    const char *name;
    rref_future f = rref_async(r, "add", 1), g = rref_class_of_async(r, RREF_FOREVER);
    GIVES(rref_sync(r, "add", 1), code);
    GIVES(rref_wait(f, RREF_FOREVER), code);
    GIVES(rref_wait(g, RREF_FOREVER), code);
    GIVES(rref_class_of(r, &name, RREF_FOREVER), code);
    OK(rref_future_release(f));
    OK(rref_future_release(g));
    OK(rref_release(r));
}

static void run_failed_creations(void)
{
    fail_alike(rref_create(ctx, next, "no such class"), RREF_ERR_NO_CLASS);
    fail_alike(make(-100000), RREF_ERR_USER);
    fail_alike(rref_create(ctx, next, next_name, 1), RREF_ERR_SIGNATURE);
    fail_alike(rref_create(ctx, next, next_name, rref_out(&(int){ 0 })), RREF_ERR_SIGNATURE);
    fail_alike(rref_create(ctx, size, next_name), RREF_ERR_DESTINATION);
    fail_alike(make(-100000), RREF_ERR_USER);
}

static void failed_creations(void) { every_way(run_failed_creations, NULL); }

/* As with a class that is known: the same conversions, and data beside the message. */
static void run_creation_arguments(void)
{
    static double x[LARGE];
    const point p = { 1, 2 };
    int64_t sum = 0;
    rref root = rref_root(ctx, me), two[] = { root, root };
    for (int i = 0; i < LARGE; i++) x[i] = 1;
    rref r = rref_create(ctx, next, next_name, (short)3, true, rref_array(x, LARGE), "", rref_structs("point", &p, 1), root,
                         rref_array(two, 2), 0.25f);
    rref none = rref_create(ctx, next, next_name, 1, -1, rref_array(x, 1), "", rref_structs("point", &p, 1), root,
                            rref_array(two, 2), 0.25f);
    x[0] = 1000;
    OK(rref_sync(r, "add", 0, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, LARGE + 6);
    int rc = rref_sync(none, "add", 0);
    CU_ASSERT_EQUAL(rc, RREF_ERR_RANGE);
    OK(rref_release(r));
    OK(rref_release(none));
}

static void creation_arguments(void) { every_way(run_creation_arguments, NULL); }

static void run_futures(void)
{
    int64_t x = 0;
    rref r = given(next, next_name);
    rref_future f = rref_async(r, "add", 3), promise = rref_promise(ctx, "i64"), wrong = rref_promise(ctx, "str");
    OK(rref_link(f, promise));
    int linked = rref_link(f, wrong);           /* that it does not fit is found out when the class is known */
    CU_ASSERT_TRUE(linked == RREF_ERR_SIGNATURE || (linked == RREF_OK && size > 1));
    OK(rref_wait(promise, RREF_FOREVER));
    OK(rref_get(promise, rref_out(&x)));
    CU_ASSERT_EQUAL(x, 3);
    if (linked == RREF_OK) GIVES(rref_wait(wrong, RREF_FOREVER), RREF_ERR_SIGNATURE);
    rref_future given_up = rref_async(r, "digit", 1);
    int rc = rref_cancel(given_up);             /* it may be answered already */
    CU_ASSERT_TRUE(rc == RREF_OK || rc == RREF_ERR_COMPLETED);
    GIVES(rref_wait(given_up, RREF_FOREVER), rc == RREF_OK ? RREF_ERR_CANCELLED : RREF_OK);
    OK(rref_future_release(f));
    OK(rref_future_release(promise));
    OK(rref_future_release(wrong));
    OK(rref_future_release(given_up));
    OK(rref_release(r));
}

static void futures(void) { every_way(run_futures, NULL); }

/* Calls whose result stays, to an object of a class that is not known: the results can be named before the calls are sent. */
static void run_results(void)
{
    int64_t sum = 0;
    char word[8] = "first", text[8] = "";
    int64_t x[] = { 1, 2, 3 };
    rref r = given(next, next_name);
    rref a = rref_remote(r, "add", 5), b = rref_remote(rref_bind(r, "add"), 6);
    rref c = rref_remote(r, "total", rref_array(x, 3), word);
    rref unknown = rref_remote(r, "nothing"), misfit = rref_remote(r, "add", "text"), failing = rref_remote(r, "fails");
    rref_future f = rref_async(rref_root(ctx, (me + 2) % size), "fetch", a);
    rref_future g = rref_async(rref_root(ctx, (me + 2) % size), "fetch", unknown), h = rref_async(r, "add", 1);
    x[0] = 1000;
    strcpy(word, "second");
    OK(rref_release(r));
    OK(rref_to_here(b, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 11);
    OK(rref_to_here(c, rref_out(&sum), rref_out_str(text, sizeof text)));
    CU_ASSERT_EQUAL(sum, 6);
    CU_ASSERT_STRING_EQUAL(text, "first");
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_get(f, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 5);
    OK(rref_wait(h, RREF_FOREVER));
    OK(rref_get(h, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 12);
    GIVES(rref_wait(g, RREF_FOREVER), RREF_ERR_NO_METHOD);
    GIVES(rref_to_here(unknown), RREF_ERR_NO_METHOD);
    GIVES(rref_to_here(misfit), RREF_ERR_SIGNATURE);
    GIVES(rref_to_here(failing), RREF_ERR_USER - 1);
    const rref all[] = { a, b, c, unknown, misfit, failing };
    for (int i = 0; i < 6; i++) OK(rref_release(all[i]));
    OK(rref_future_release(f));
    OK(rref_future_release(g));
    OK(rref_future_release(h));
}

static void results(void) { every_way(run_results, NULL); }

/* The object takes its time to come, and its class is known with it: calls of all kinds that do not wait return before. */
static void before_it_exists(void)
{
    for (int window = 0; window < 2; window++) {
        int64_t sum = 0;
        if (!start(window, false, NULL)) return;
        rref r = make(SLOW), a = rref_remote(r, "add", 1), b = rref_remote(r, "add", 1);
        rref_future f = rref_async(r, "add", 1), made = rref_creation(b);
        OK(rref_post(r, "digit", 0));
        GIVES(rref_confirmed(a), RREF_ERR_PENDING);
        GIVES(rref_test(f), RREF_ERR_PENDING);
        GIVES(rref_to_here(rref_rpc_sync(a, 0.02), rref_out(&sum)), RREF_ERR_TIMEOUT);
        OK(rref_release(b));
        OK(rref_sync(rref_root(ctx, next), "open_gate"));
        OK(rref_to_here(a, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, SLOW + 36 + 1);
        OK(rref_wait(f, RREF_FOREVER));
        OK(rref_get(f, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, SLOW + 36 + 3);
        OK(rref_wait(made, RREF_FOREVER));
        OK(rref_future_release(f));
        OK(rref_future_release(made));
        OK(rref_release(a));
        OK(rref_release(r));
        MPI_Barrier(MPI_COMM_WORLD);
        end();
    }
}

/* What is announced and does not come. */
static void failed_in_the_end(void)
{
    if (!start(true, false, NULL)) return;
    rref r = make(-100000), a = rref_remote(r, "add", 1);
    rref_future f = rref_async(rref_root(ctx, (me + 2) % size), "fetch", a);
    GIVES(rref_to_here(a), RREF_ERR_USER);
    int rc = rref_wait(f, RREF_FOREVER);        /* alone the rank may know of the failure before the call is made */
    CU_ASSERT_EQUAL(rc, RREF_ERR_USER);
    OK(rref_future_release(f));
    OK(rref_release(a));
    OK(rref_release(r));
    end();
}

static void run_same_name(void)
{
    int64_t sum = 0;
    for (int rank = 0; rank < size; rank++) {
        rref r = given(rank, "same");
        OK(rref_sync(r, "digit", 4));
        if (rank % 2) GIVES(rref_sync(r, "add", 1), RREF_ERR_NO_METHOD);
        else OK(rref_sync(r, "add", 1, rref_out(&sum)));
        OK(rref_release(r));
    }
    CU_ASSERT_EQUAL(sum, 5);
}

static void same_name(void)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    every_way(run_same_name, rank % 2 ? &same_odd : &same_even);
}

/* Registered by and by: more than the first part of a window holds, and in a small window more than all of it. */
static void run_late(void)
{
    static char names[LATE][200];
    static rref_class late[LATE];
    for (int i = 0; i < LATE; i++) {
        int n = snprintf(names[i], sizeof names[i], "%s.%d.", own_name, i);
        memset(names[i] + n, 'x', sizeof names[i] - (size_t)n - 1);
        late[i] = (rref_class)RREF_CLASS(names[i], "", NULL, free, thing_methods);
        OK(rref_register(ctx, &late[i]));
    }
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; i < LATE; i++) {
        char name[200];
        int64_t sum = 0;
        int n = snprintf(name, sizeof name, "%s.%d.", next_name, i);
        memset(name + n, 'x', sizeof name - (size_t)n - 1);
        name[sizeof name - 1] = 0;
        rref r = given(next, name);
        OK(rref_sync(r, "add", i, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, i);
        OK(rref_release(r));
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void late(void)
{
    for (int small = 0; small < 2; small++) {
        setenv("RREF_WINDOW_SIZE", small ? "4K" : "64K", 1);
        if (!start(true, false, NULL)) return;
        run_late();
        rref_statistics s = stats();
        if (size > 1 && windowed && !check_chaos("classes miss the window")) {
            CU_ASSERT_TRUE(s.window_reads >= LATE);
            CU_ASSERT_EQUAL(s.type_queries > 0, small);
        }
        end();
        unsetenv("RREF_WINDOW_SIZE");
    }
}

static void from_inline(void)
{
    int64_t rc = 0;
    if (!start(true, false, NULL)) return;
    rref r = given(next, next_name);
    OK(rref_sync(rref_root(ctx, me), "inline_call", r, rref_out(&rc)));
    CU_ASSERT(rc == RREF_ERR_BLOCKING || (size == 1 && rc == RREF_OK));     /* alone: in place, unless something is queued */
    OK(rref_sync(r, "digit", 1));
    OK(rref_release(r));
    end();
}

/* A call sends one message, the first one to a class unknown here too (what comes back may be more than one, since credit goes
 * alone at times); and asking for the class disturbs nobody: rank 1, which
 * only waits in a barrier, has counted nothing by then. */
static void messages(void)
{
    const char *name;
    if (check_chaos("messages for large arguments and credits are counted, too")) return;
    odd_functions = few_functions;
    bool up = start(true, false, NULL);
    odd_functions = functions;
    if (!up) return;
    if (me == 0 && size > 1) {
        OK(rref_class_of(rref_root(ctx, 1), &name, RREF_FOREVER));
        CU_ASSERT_STRING_EQUAL(name, "rank");
    }
    MPI_Barrier(MPI_COMM_WORLD);
    if (me == 1 && windowed) {
        rref_statistics s = stats();
        CU_ASSERT_EQUAL(s.messages_in + s.messages_out + s.calls_in, 0);
    }
    MPI_Barrier(MPI_COMM_WORLD);
    for (int i = 0; me == 1 && i < 3; i++) {
        rref_statistics before = stats();
        OK(rref_sync(rref_root(ctx, 0), "inline_call", rref_root(ctx, 1), rref_out(&(int64_t){ 0 })));
        rref_statistics after = stats();
        CU_ASSERT_EQUAL(after.messages_out - before.messages_out, windowed || i ? 1 : 2);
        CU_ASSERT_EQUAL(after.window_reads - before.window_reads, windowed && i == 0);
    }
    end();
}

/* Nobody answers for a while: the call's time counts, nothing stays behind of it. */
static void in_time(void)
{
    const char *name;
    int64_t sum = 0;
    if (!start(false, true, NULL)) return;
    rref r = me == 0 ? given(next, next_name) : (rref){ 0 };
    if (me == 1) {
        while (stats().calls_in == 0) OK(rref_progress(ctx));
        rref_statistics s = stats();
        while (s.objects == 0) s = stats();
    }
    if (me == 0 && size > 1) {
        GIVES(rref_class_of(r, &name, 0.05), RREF_ERR_TIMEOUT);
        GIVES(rref_invoke(rref_rpc_sync(r, 0.05), "add", 1), RREF_ERR_TIMEOUT);
        rref_future f = rref_invoke(rref_rpc_async(r, 0.05), "add", 1), g = rref_class_of_async(r, 0.05);
        GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_TIMEOUT);
        GIVES(rref_wait(g, RREF_FOREVER), RREF_ERR_TIMEOUT);
        OK(rref_future_release(f));
        OK(rref_future_release(g));
    }
    MPI_Barrier(MPI_COMM_WORLD);            /* rank 1 has been in here */
    if (me == 0) {
        OK(rref_sync(r, "add", 7, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, 7);
        OK(rref_release(r));
    }
    end();
}

static const check_case cases[] = {
    { "owner_only", owner_only }, { "captured", captured }, { "order", order }, { "many_questions", many_questions },
    { "passed_on", passed_on }, { "describe", describe }, { "errors", errors }, { "failed_creations", failed_creations },
    { "creation_arguments", creation_arguments }, { "futures", futures }, { "results", results },
    { "before_it_exists", before_it_exists }, { "failed_in_the_end", failed_in_the_end }, { "same_name", same_name },
    { "late", late }, { "from_inline", from_inline }, { "messages", messages }, { "in_time", in_time }, CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "types", cases); }
