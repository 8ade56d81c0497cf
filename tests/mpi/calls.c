/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls from end to end: destinations, kinds, values of every type, order and exclusion, nesting, flags, errors. */
#include <complex.h>
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

enum { FAILURE = RREF_ERR_USER - 5, RANKS = 64, BIG = 8 << 20, MIDDLE = 1 << 18, TEXT = 10000 };
#define OK CHECK_OK
#define GIVES CHECK_GIVES

typedef struct point { double x, y; int32_t tag, more; } point;

static rref_context *ctx;
static int rank, size, next;
static rref there;                      /* the next rank's root */

static atomic_int tiny, inside, failures, failure_code, failure_rank, failure_text_is_right;
static atomic_bool overlapped, met, has_run_here;
static pthread_t application;

/* ---- free functions */

static int add(rref_call *c, void *self)
{
    (void)self;
    return rref_return_i64(c, rref_arg_i64(c, 0) + rref_arg_i64(c, 1));
}

static int count_tiny(rref_call *c, void *self)
{
    (void)c, (void)self;
    atomic_fetch_add(&tiny, 1);
    return RREF_OK;
}

static int fail(rref_call *c, void *self)
{
    (void)self;
    return rref_fail(c, FAILURE, "Expected error\nfrom rank %d", rref_call_rank(c));
}

static int fail_silently(rref_call *c, void *self)
{
    (void)c, (void)self;
    return FAILURE;
}

static int scalars(rref_call *c, void *self)
{
    (void)self;
    return rref_return(c, rref_arg_bool(c, 0), rref_arg_i8(c, 1), rref_arg_i16(c, 2), rref_arg_i32(c, 3), rref_arg_i64(c, 4),
                       rref_arg_u8(c, 5), rref_arg_u16(c, 6), rref_arg_u32(c, 7), rref_arg_u64(c, 8), rref_arg_f32(c, 9),
                       rref_arg_f64(c, 10));
}

static int texts(rref_call *c, void *self)
{
    size_t n;
    const void *bytes = rref_arg_bytes(c, 1, &n);
    (void)self;
    return rref_return(c, rref_arg_str(c, 0), rref_bytes(bytes, n));
}

static int turn(rref_call *c, void *self)
{
    double small[2], large[2];
    size_t n, m;
    (void)self;
    rref_arg_complex(c, 0, small);
    rref_arg_complex(c, 1, large);
    const float *pairs = rref_arg_complexes(c, 2, RREF_C64, &n);
    const double *wide = rref_arg_complexes(c, 3, RREF_C128, &m);
    double sum[2] = { 0, 0 };
    for (size_t i = 0; i < n; i++) sum[0] += (double)pairs[2 * i], sum[1] += (double)pairs[2 * i + 1];
    for (size_t i = 0; i < m; i++) sum[0] += wide[2 * i], sum[1] += wide[2 * i + 1];
    return rref_return(c, rref_c64((float)-small[1], (float)small[0]), rref_c128(-large[1], large[0]),
                       rref_c128(sum[0], sum[1]));
}

#define SUM(name, type, letter) \
    size_t n_##name; \
    const type *p_##name = rref_arg_##name##s(c, letter, &n_##name); \
    double s_##name = 0; \
    for (size_t i = 0; i < n_##name; i++) s_##name += (double)p_##name[i]

static int sums(rref_call *c, void *self)
{
    (void)self;
    SUM(bool, bool, 0);
    SUM(i8, int8_t, 1);
    SUM(i16, int16_t, 2);
    SUM(i32, int32_t, 3);
    SUM(i64, int64_t, 4);
    SUM(u8, uint8_t, 5);
    SUM(u16, uint16_t, 6);
    SUM(u32, uint32_t, 7);
    SUM(u64, uint64_t, 8);
    SUM(f32, float, 9);
    SUM(f64, double, 10);
    const double all[] = { s_bool, s_i8, s_i16, s_i32, s_i64, s_u8, s_u16, s_u32, s_u64, s_f32, s_f64 };
    return rref_return(c, rref_array(all, 11));
}

static int mirror(rref_call *c, void *self)
{
    size_t one, n;
    (void)self;
    const point *p = rref_arg_structs(c, 0, "point", sizeof *p, &one);
    const point *many = rref_arg_structs(c, 1, "point", sizeof *many, &n);
    if (!p || one != 1 || n > 100) return rref_fail(c, RREF_ERR_SHAPE, "%zu, %zu structs", one, n);
    point swapped = { p->y, p->x, p->tag, (int32_t)n }, back[100];
    for (size_t i = 0; i < n; i++) back[i] = many[n - 1 - i];
    return rref_return(c, rref_structs("point", &swapped, 1), rref_structs("point", back, n));
}

static int owners(rref_call *c, void *self)
{
    size_t n;
    int32_t all[RANKS];
    (void)self;
    const rref *refs = rref_arg_refs(c, 1, &n);
    if (n > RANKS) return RREF_ERR_SHAPE;
    for (size_t i = 0; i < n; i++) all[i] = rref_owner(refs[i]);
    return rref_return(c, rref_owner(rref_arg_ref(c, 0)), rref_array(all, n), rref_arg_ref(c, 0));
}

static int echo(rref_call *c, void *self)
{
    size_t n;
    (void)self;
    const double *p = rref_arg_f64s(c, 0, &n);
    return rref_return_borrowed(c, p, n);
}

static int range(rref_call *c, void *self)
{
    size_t n = rref_arg_u64(c, 0);
    double *p = malloc((n + 1) * sizeof *p);
    (void)self;
    if (!p) return RREF_ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++) p[i] = (double)i;
    return rref_return_owned(c, p, n, free);
}

static int bounce(rref_call *c, void *self)
{
    int64_t sum = 0, more = 0;
    rref_context *own = rref_call_context(c);
    (void)self;
    int rc = rref_sync(rref_root(own, rref_call_rank(c)), "add", rref_arg_i64(c, 0), 10, rref_out(&sum));
    if (rc == RREF_OK) rc = rref_sync(rref_root(own, (rref_rank(own) + 1) % rref_size(own)), "add", sum, 100, rref_out(&more));
    return rc ? rc : rref_return_i64(c, more);
}

static int blocks(rref_call *c, void *self)
{
    (void)self;
    return rref_sync(rref_root(rref_call_context(c), rref_rank(rref_call_context(c))), "rest");
}

static int where(rref_call *c, void *self)
{
    (void)self;
    atomic_store(&has_run_here, pthread_equal(pthread_self(), application) != 0);
    return rref_return_i64(c, 1);
}

static bool is_two(void *p) { return atomic_load((atomic_int *)p) >= 2; }

static rref log_reference;
static int log_of_rank(rref_call *c, void *self) { (void)self; return rref_return_ref(c, log_reference); }

static int no_result(rref_call *c, void *self) { (void)c, (void)self; return RREF_OK; }
static int bad_result(rref_call *c, void *self) { (void)self; rref_return_str(c, "text"); return RREF_OK; }
static int refs_as_numbers(rref_call *c, void *self)
{
    size_t n = 7;
    (void)self;
    rref_arg_complexes(c, 0, RREF_REF, &n);
    atomic_store(&failures, (int)n);
    return RREF_OK;
}

static int null_results(rref_call *c, void *self) { (void)self; rref_return_v(c, NULL, 1); return RREF_OK; }
static int bad_reader(rref_call *c, void *self) { (void)self; rref_arg_str(c, 0); return RREF_OK; }

static const rref_method functions[] = {
    RREF_METHOD("add", "i64, i64 -> i64", add, RREF_INLINE),
    RREF_METHOD("tiny", "", count_tiny, 0),
    RREF_METHOD("fail", "", fail, 0),
    RREF_METHOD("fail_silently", "-> i64", fail_silently, 0),
    RREF_METHOD("scalars", "bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64"
                " -> bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64", scalars, 0),
    RREF_METHOD("texts", "str, bytes -> str, bytes", texts, 0),
    RREF_METHOD("turn", "c64, c128, c64[], c128[] -> c64, c128, c128", turn, 0),
    RREF_METHOD("sums", "bool[], i8[], i16[], i32[], i64[], u8[], u16[], u32[], u64[], f32[], f64[] -> f64[]", sums, 0),
    RREF_METHOD("mirror", "struct point[24], struct point[24][] -> struct point[24], struct point[24][]", mirror, 0),
    RREF_METHOD("owners", "ref, ref[] -> i32, i32[], ref", owners, 0),
    RREF_METHOD("echo", "f64[] -> f64[]", echo, 0),
    RREF_METHOD("range", "u64 -> f64[]", range, 0),
    RREF_METHOD("bounce", "i64 -> i64", bounce, 0),
    RREF_METHOD("inline_blocks", "", blocks, RREF_INLINE),
    RREF_METHOD("where", "-> i64", where, 0),
    RREF_METHOD("where_worker", "-> i64", where, RREF_WORKER),
    RREF_METHOD("rest", "", count_tiny, RREF_WORKER),
    RREF_METHOD("log", "-> ref", log_of_rank, 0),
    RREF_METHOD("no_result", "-> i64", no_result, 0),
    RREF_METHOD("bad_result", "-> i64", bad_result, 0),
    RREF_METHOD("bad_reader", "i64", bad_reader, 0),
    RREF_METHOD("null_results", "-> i64", null_results, 0),
    RREF_METHOD("refs_as_numbers", "ref[]", refs_as_numbers, 0),
    RREF_METHODS_END
};

/* ---- a stateful class: a log of what each rank sent */

typedef struct journal { int64_t last[RANKS]; int64_t disorder, entries; double sum; } journal;

static int journal_create(rref_call *c, void **self)
{
    (void)c;
    *self = calloc(1, sizeof(journal));
    return *self ? RREF_OK : RREF_ERR_NO_MEMORY;
}

static int note(rref_call *c, journal *j)
{
    int64_t n = rref_arg_i64(c, 0);
    if (atomic_fetch_add(&inside, 1) != 0) atomic_store(&overlapped, true);
    int who = rref_call_rank(c) % RANKS;
    if (n != j->last[who] + 1) j->disorder++;
    j->last[who] = n;
    j->entries++;
    atomic_fetch_sub(&inside, 1);
    return RREF_OK;
}

static int put(rref_call *c, void *self) { return note(c, self); }

static int put_many(rref_call *c, void *self)
{
    size_t n;
    journal *j = self;
    const double *p = rref_arg_f64s(c, 1, &n);
    if (n > 0) j->sum += p[0] + p[n - 1];
    return note(c, self);
}

static int state(rref_call *c, void *self)
{
    const journal *j = self;
    return rref_return(c, j->entries, j->disorder, j->sum);
}

static int meet(rref_call *c, void *self)
{
    static atomic_int here;
    (void)c, (void)self;
    atomic_fetch_add(&here, 1);
    bool both = check_until(is_two, &here, 5);
    if (both) atomic_store(&met, true);
    return both ? RREF_OK : RREF_ERR_TIMEOUT;
}

static const rref_method journal_methods[] = {
    RREF_METHOD("put", "i64", put, 0),
    RREF_METHOD("put_many", "i64, f64[]", put_many, 0),
    RREF_METHOD("state", "-> i64, i64, f64", state, 0),
    RREF_METHOD("meet", "", meet, RREF_CONCURRENT),
    RREF_METHOD("fail", "", fail, 0),
    RREF_METHODS_END
};
static const rref_class journal_class = RREF_CLASS("journal", "", journal_create, free, journal_methods);
static const rref_class *const classes[] = { &journal_class, NULL };

/* ---- a context for each case */

static void note_failure(const rref_error *e, void *arg)
{
    (void)arg;
    atomic_store(&failure_code, e->code);
    atomic_store(&failure_rank, e->rank);
    atomic_store(&failure_text_is_right, strstr(e->text, "Expected error") && strstr(e->site, "calls.c:"));
    atomic_fetch_add(&failures, 1);
}

static bool begin(void)
{
    rref_options options = { .classes = classes, .functions = functions, .on_error = note_failure };
    application = pthread_self();
    if (rref_init(MPI_COMM_WORLD, &options, &ctx) != RREF_OK) {
        CU_FAIL("rref_init");
        return false;
    }
    rank = rref_rank(ctx);
    size = rref_size(ctx);
    next = (rank + 1) % size;
    there = rref_root(ctx, next);
    return true;
}

static void end(void) { OK(rref_finalize(&ctx)); }

/* ---- cases */

static void add_by_rank_and_name(void)
{
    int64_t sum = 0;
    char name[32];
    if (!begin()) return;
    OK(rref_sync(there, "add", 1, 2, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 3);
    sum = 0;
    snprintf(name, sizeof name, "rank%d", next);
    OK(rref_sync(rref_root_named(ctx, name), "add", 1, 2, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 3);
    CU_ASSERT_EQUAL(rref_rank_of(ctx, name), next);
    CU_ASSERT_STRING_EQUAL(rref_name_of(ctx, next), name);
    OK(rref_sync(there, "add", -1, -2));        /* results may be left out */
    end();
}

static bool has_reached(void *arg) { return atomic_load(&tiny) >= *(int *)arg; }

static void own_rank_all_kinds(void)
{
    int64_t sum = 0, entries = -1, disorder = -1;
    double total;
    int one = 1;
    if (!begin()) return;
    rref here = rref_root(ctx, rank);
    atomic_store(&tiny, 0);
    OK(rref_sync(here, "where"));
    CU_ASSERT_TRUE(atomic_load(&has_run_here));
    OK(rref_sync(here, "add", 1, 2, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 3);
    rref_future f = rref_async(here, "add", 1, 2);
    OK(rref_wait(f, RREF_FOREVER));
    sum = 0;
    OK(rref_get(f, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 3);
    OK(rref_future_release(f));
    OK(rref_post(here, "tiny"));
    CU_ASSERT_TRUE(check_until(has_reached, &one, 5));
    rref made = rref_create(ctx, rank, "journal");
    OK(rref_sync(made, "put", 1));
    OK(rref_sync(made, "state", rref_out(&entries), rref_out(&disorder), rref_out(&total)));
    CU_ASSERT_EQUAL(entries, 1);
    CU_ASSERT_EQUAL(disorder, 0);
    OK(rref_release(made));
    end();
}

static void unknown_destinations(void)
{
    rref_error e;
    if (!begin()) return;
    const int wrong[] = { size, size + 1, -1 };
    for (size_t i = 0; i < 3; i++) {
        rref nowhere = rref_root(ctx, wrong[i]);
        GIVES(rref_sync(nowhere, "add", 1, 2), RREF_ERR_DESTINATION);
        GIVES(rref_post(nowhere, "tiny"), RREF_ERR_DESTINATION);
        rref_future f = rref_async(nowhere, "add", 1, 2);
        GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_DESTINATION);
        OK(rref_future_release(f));
        rref made = rref_create(ctx, wrong[i], "journal");
        OK(rref_error_of(made, &e));
        CU_ASSERT_EQUAL(e.code, RREF_ERR_DESTINATION);
        GIVES(rref_sync(made, "put", 1), RREF_ERR_DESTINATION);
        OK(rref_release(made));
    }
    GIVES(rref_sync(rref_root_named(ctx, "nobody"), "add", 1, 2), RREF_ERR_DESTINATION);
    CU_ASSERT_EQUAL(rref_rank_of(ctx, "nobody"), RREF_ERR_DESTINATION);
    CU_ASSERT_PTR_NULL(rref_name_of(ctx, size));
    CU_ASSERT_PTR_NULL(rref_name_of(ctx, -1));
    end();
}

static void failing_handler(void)
{
    enum { CALLS = 20 };
    rref_future f[CALLS];
    char text[64];
    rref_error e;
    if (!begin()) return;
    snprintf(text, sizeof text, "Expected error\nfrom rank %d", rank);
    for (int i = 0; i < CALLS; i++) f[i] = rref_async(there, "fail");
    for (int i = 0; i < 2 * CALLS; i++) {
        GIVES(rref_wait(f[i % CALLS], RREF_FOREVER), FAILURE);
        OK(rref_future_error(f[i % CALLS], &e));
        CU_ASSERT_EQUAL(e.code, FAILURE);
        CU_ASSERT_STRING_EQUAL(e.text, text);
    }
    for (int i = 0; i < CALLS; i++) OK(rref_future_release(f[i]));
    GIVES(rref_sync(there, "fail_silently"), FAILURE);
    end();
}

static void error_in_full(void)
{
    rref_error e;
    char line[RREF_TEXT_MAX + 512];
    if (!begin()) return;
    rref object = rref_create(ctx, next, "journal");
    GIVES(rref_sync(object, "fail"), FAILURE);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_EQUAL(e.code, FAILURE);
    CU_ASSERT_EQUAL(e.rank, next);
    CU_ASSERT_EQUAL(e.caller, rank);
    CU_ASSERT_STRING_EQUAL(e.where, "journal.fail");
    CU_ASSERT_PTR_NOT_NULL(strstr(e.site, "calls.c:"));
    CU_ASSERT_NOT_EQUAL(e.host[0], 0);
    CU_ASSERT_TRUE(rref_error_format(&e, line, sizeof line) > 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "journal.fail"));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, "Expected error\n"));
    OK(rref_release(object));
    end();
}

static void class_known_to_the_caller_only(void)
{
    static char names[RANKS][16];
    static rref_class own;
    int64_t sum = 0;
    rref_error e;
    if (!begin()) return;
    snprintf(names[rank % RANKS], sizeof *names, "only%d", rank);
    own = (rref_class)RREF_CLASS(names[rank % RANKS], "", journal_create, free, journal_methods);
    OK(rref_register(ctx, &own));
    rref made = rref_create(ctx, next, names[rank % RANKS]);
    int wanted = size > 1 ? RREF_ERR_NO_CLASS : RREF_OK;
    GIVES(rref_sync(made, "put", 1), wanted);
    if (size > 1) {
        OK(rref_error_of(made, &e));
        CU_ASSERT_EQUAL(e.code, RREF_ERR_NO_CLASS);
    }
    OK(rref_sync(there, "add", 1, 2, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 3);
    OK(rref_release(made));
    rref nothing = rref_create(ctx, next, "no such class");
    GIVES(rref_sync(nothing, "put", 1), RREF_ERR_NO_CLASS);
    OK(rref_release(nothing));
    end();
}

static void thousand_tiny_calls(void)
{
    enum { CALLS = 1000 };
    rref_future f[CALLS];
    int all = CALLS;
    atomic_store(&tiny, 0);
    if (!begin()) return;
    for (int i = 0; i < CALLS; i++) f[i] = rref_async(there, "tiny");
    OK(rref_wait_all(f, CALLS, RREF_FOREVER));
    for (int i = 0; i < CALLS; i++) OK(rref_future_release(f[i]));
    CU_ASSERT_TRUE(check_until(has_reached, &all, 10));
    end();
    CU_ASSERT_EQUAL(atomic_load(&tiny), CALLS);
}

static void scalars_of_every_type(void)
{
    bool b = false;
    int8_t i8 = 0;
    int16_t i16 = 0;
    int32_t i32 = 0;
    int64_t i64 = 0;
    uint8_t u8 = 0;
    uint16_t u16 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    float f32 = 0;
    double f64 = 0;
    if (!begin()) return;
    rref_future f = rref_async(there, "scalars", true, INT8_MIN, INT16_MIN, INT32_MIN, INT64_MIN, UINT8_MAX, UINT16_MAX,
                               UINT32_MAX, UINT64_MAX, 0.5f, -0.1);
    OK(rref_wait(f, RREF_FOREVER));
    OK(rref_get(f, rref_out(&b), rref_out(&i8), rref_out(&i16), rref_out(&i32), rref_out(&i64), rref_out(&u8),
                rref_out(&u16), rref_out(&u32), rref_out(&u64), rref_out(&f32), rref_out(&f64)));
    CU_ASSERT_TRUE(b);
    CU_ASSERT_EQUAL(i8, INT8_MIN);
    CU_ASSERT_EQUAL(i16, INT16_MIN);
    CU_ASSERT_EQUAL(i32, INT32_MIN);
    CU_ASSERT_EQUAL(i64, INT64_MIN);
    CU_ASSERT_EQUAL(u8, UINT8_MAX);
    CU_ASSERT_EQUAL(u16, UINT16_MAX);
    CU_ASSERT_EQUAL(u32, UINT32_MAX);
    CU_ASSERT_EQUAL(u64, UINT64_MAX);
    CU_ASSERT_EQUAL(f32, 0.5f);
    CU_ASSERT_EQUAL(f64, -0.1);
    OK(rref_future_release(f));
    end();
}

static void texts_and_bytes(void)
{
    static char text[TEXT], back[TEXT], bytes[TEXT], bytes_back[TEXT];
    const size_t lengths[] = { 0, 1, 100, TEXT - 1 };
    size_t n;
    if (!begin()) return;
    for (size_t i = 0; i < TEXT; i++) bytes[i] = (char)(i * 7);
    for (size_t i = 0; i < 4; i++) {
        memset(text, 'x', TEXT);
        text[lengths[i]] = 0;
        memset(back, 'y', TEXT);
        n = 1;
        OK(rref_sync(there, "texts", text, rref_bytes(bytes, lengths[i]), rref_out_str(back, TEXT),
                     rref_out_bytes(bytes_back, TEXT, &n)));
        CU_ASSERT_STRING_EQUAL(back, text);
        CU_ASSERT_EQUAL(n, lengths[i]);
        CU_ASSERT_EQUAL(memcmp(bytes, bytes_back, n), 0);
    }
    end();
}

static void complex_numbers(void)
{
    float _Complex pairs[3] = { 1, 2 * I, 3 }, small = 0;
    double _Complex wide[2] = { 10, 20 * I }, large = 0, sum = 0;
    if (!begin()) return;
    OK(rref_sync(there, "turn", 1.0f + 2.0f * I, 3.0 + 4.0 * I, rref_array(pairs, 3), rref_array(wide, 2), rref_out(&small),
                 rref_out(&large), rref_out(&sum)));
    CU_ASSERT_TRUE(small == -2.0f + 1.0f * I);
    CU_ASSERT_TRUE(large == -4.0 + 3.0 * I);
    CU_ASSERT_TRUE(sum == 14.0 + 22.0 * I);
    end();
}

static void arrays_of_every_type(void)
{
    const bool b[] = { true, false, true };
    const int8_t i8[] = { -1, -2 };
    const int16_t i16[] = { -300, 1 };
    const int32_t i32[] = { -70000 };
    const int64_t i64[] = { -5000000000, 1, 1 };
    const uint8_t u8[] = { 255, 255, 255 };
    const uint16_t u16[] = { 65535 };
    const uint32_t u32[] = { 4000000000u };
    const uint64_t u64[] = { 5000000000u, 5 };
    const float f32[] = { 0.5f, 0.25f };
    const double f64[] = { 1e100 };
    const double wanted[] = { 2, -3, -299, -70000, -4999999998.0, 765, 65535, 4e9, 5000000005.0, 0.75, 1e100 };
    double all[11] = { 0 };
    size_t n = 0;
    if (!begin()) return;
    OK(rref_sync(there, "sums", rref_array(b, 3), rref_array(i8, 2), rref_array(i16, 2), rref_array(i32, 1), rref_array(i64, 3),
                 rref_array(u8, 3), rref_array(u16, 1), rref_array(u32, 1), rref_array(u64, 2), rref_array(f32, 2),
                 rref_array(f64, 1), rref_out_array(all, 11, &n)));
    CU_ASSERT_EQUAL(n, 11);
    for (size_t i = 0; i < 11; i++) CU_ASSERT_EQUAL(all[i], wanted[i]);
    end();
}

static void structs(void)
{
    point p = { 1, 2, 3, 0 }, q = { 0 }, many[5], back[5];
    size_t n = 0;
    if (!begin()) return;
    for (int i = 0; i < 5; i++) many[i] = (point){ i, -i, i, i };
    OK(rref_sync(there, "mirror", rref_structs("point", &p, 1), rref_structs("point", many, 5), rref_out_struct("point", &q),
                 rref_out_structs(back, 5, &n)));
    CU_ASSERT_EQUAL(q.x, 2);
    CU_ASSERT_EQUAL(q.y, 1);
    CU_ASSERT_EQUAL(q.tag, 3);
    CU_ASSERT_EQUAL(q.more, 5);
    CU_ASSERT_EQUAL(n, 5);
    for (int i = 0; i < 5; i++) CU_ASSERT_EQUAL(back[i].tag, 4 - i);
    GIVES(rref_sync(there, "mirror", rref_structs("line", &p, 1), rref_structs("point", many, 5)), RREF_ERR_SIGNATURE);
    end();
}

static void references(void)
{
    rref objects[3], back = { 0 };
    int32_t owner = -1, all[3] = { -1, -1, -1 };
    size_t n = 0;
    if (!begin()) return;
    const int where_made[] = { rank, next, (rank + 2) % size };
    for (int i = 0; i < 3; i++) objects[i] = rref_create(ctx, where_made[i], "journal");
    OK(rref_sync(there, "owners", objects[0], rref_array(objects, 3), rref_out(&owner), rref_out_array(all, 3, &n),
                 rref_out(&back)));
    CU_ASSERT_EQUAL(owner, rank);
    CU_ASSERT_EQUAL(n, 3);
    for (int i = 0; i < 3; i++) CU_ASSERT_EQUAL(all[i], where_made[i]);
    CU_ASSERT_TRUE(rref_same_object(back, objects[0]));
    OK(rref_release(back));
    for (int i = 0; i < 3; i++) OK(rref_release(objects[i]));
    end();
}

static void bad_arguments(void)
{
    int64_t sum = 7;
    double x = 0;
    char text[2];
    double few[2] = { -1, -1 };
    size_t n = 0;
    if (!begin()) return;
    GIVES(rref_sync(there, "no such method", 1), RREF_ERR_NO_METHOD);
    GIVES(rref_sync(there, "add", 1), RREF_ERR_SIGNATURE);
    GIVES(rref_sync(there, "add", 1, 2, 3, 4), RREF_ERR_SIGNATURE);
    GIVES(rref_sync(there, "add", 1, "two"), RREF_ERR_SIGNATURE);
    GIVES(rref_sync(there, "add", 1, UINT64_MAX), RREF_ERR_RANGE);
    GIVES(rref_sync(there, "add", 1, 2, rref_out(&x)), RREF_ERR_SIGNATURE);
    GIVES(rref_sync(there, "range", -1), RREF_ERR_RANGE);
    GIVES(rref_sync(there, "echo", rref_array(&sum, 1)), RREF_ERR_SIGNATURE);
    CHECK_GIVES((rref_sync(there, "echo", rref_array((double *)NULL, 4))) < 0, 1);
    CHECK_GIVES((rref_sync(there, "add", 1, 2, rref_out((int64_t *)NULL))) < 0, 1);
    CHECK_GIVES((rref_sync(there, "texts", (const char *)NULL, rref_bytes("a", 1))) < 0, 1);
    CHECK_GIVES((rref_sync(there, (const char *)NULL)) < 0, 1);
    CHECK_GIVES((rref_sync_v(there, NULL, 0, NULL)) < 0, 1);
    GIVES(rref_sync(there, "range", 3, rref_out_array(few, 2, &n)), RREF_ERR_TRUNCATED);
    GIVES(rref_sync(there, "texts", "long", rref_bytes("a", 1), rref_out_str(text, sizeof text), rref_out_bytes(few, 1, &n)),
          RREF_ERR_TRUNCATED);
    GIVES(rref_post(there, "add", 1, 2, rref_out(&sum)), RREF_ERR_SIGNATURE);
    GIVES(rref_post(there, "echo", rref_borrow(few, 2)), RREF_ERR_SIGNATURE);
    CU_ASSERT_EQUAL(sum, 7);
    rref_future f = rref_async(there, "add", 1);
    GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_SIGNATURE);
    OK(rref_future_release(f));
    /* mistakes of handlers */
    CHECK_GIVES((rref_sync(there, "no_result", rref_out(&sum))) < 0, 1);
    GIVES(rref_sync(there, "bad_result"), RREF_ERR_SIGNATURE);
    GIVES(rref_sync(there, "bad_reader", 1), RREF_ERR_SIGNATURE);
    atomic_store(&failures, 7);
    GIVES(rref_sync(there, "refs_as_numbers", rref_array(&there, 1)), RREF_ERR_ARGUMENT);
    rref mine = rref_root(ctx, rank);
    GIVES(rref_sync(mine, "refs_as_numbers", rref_array(&there, 1)), RREF_ERR_ARGUMENT);
    CU_ASSERT_EQUAL(atomic_load(&failures), 0);
    CU_ASSERT_EQUAL(sum, 7);
    OK(rref_sync(there, "add", 1, 2, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 3);
    end();
}

/* Calls of all kinds and sizes of one caller start in the order they were made. */
static void fill(rref object, int64_t *n, double *numbers, rref_future *pending, int rounds)
{
    rref_method_ref bound = rref_bind(object, "put");
    for (int i = 0; i < rounds; i++) {
        OK(rref_post(object, "put", ++*n));
        OK(rref_post(object, "put_many", ++*n, rref_array(numbers, i % 4 == 0 ? MIDDLE / 8 : 10)));
        pending[2 * i] = rref_async(bound, ++*n);
        pending[2 * i + 1] = rref_async(object, "put_many", ++*n, rref_array(numbers, i % 3 == 0 ? 5000 : 300));
        OK(rref_post(bound, ++*n));
        if (i % 5 == 0) OK(rref_sync(object, "put", ++*n));
        if (i % 5 == 2) OK(rref_sync(object, "put_many", ++*n, rref_array(numbers, MIDDLE / 8)));
    }
}

static void refused(rref_future f)
{
    GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_ARGUMENT);
    OK(rref_future_release(f));
}

static void refused_reference(rref r)
{
    rref_error e = { 0 };
    OK(rref_error_of(r, &e));
    CU_ASSERT_EQUAL(e.code, RREF_ERR_ARGUMENT);
    OK(rref_release(r));
}

/* Values, futures or room that are counted, and are not there. */
static void null_values(void)
{
    int64_t sum = 0;
    if (!begin()) return;
    rref_method_ref bound = rref_bind(there, "add");
    GIVES(rref_sync_v(there, NULL, 3, NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_post_v(there, NULL, 3, NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_try_post_v(there, NULL, 3, NULL), RREF_ERR_ARGUMENT);
    refused(rref_async_v(there, NULL, 3, NULL));
    refused(rref_try_async_v(there, NULL, 3, NULL));
    refused_reference(rref_remote_v(there, NULL, 3, NULL));
    refused_reference(rref_create_v(ctx, next, NULL, 3, NULL));
    for (int i = 0; i < 2; i++) {           /* the second time the way is known */
        OK(rref_sync_m(bound, (rref_value[]){ rref_of_i64(1), rref_of_i64(2) }, 2, NULL));
        OK(rref_post_m(bound, (rref_value[]){ rref_of_i64(1), rref_of_i64(2) }, 2, NULL));
        OK(rref_future_release(rref_async_m(bound, (rref_value[]){ rref_of_i64(1), rref_of_i64(2) }, 2, NULL)));
        GIVES(rref_sync_m(bound, NULL, 2, NULL), RREF_ERR_ARGUMENT);
        GIVES(rref_post_m(bound, NULL, 2, NULL), RREF_ERR_ARGUMENT);
        refused(rref_async_m(bound, NULL, 2, NULL));
    }
    refused_reference(rref_remote_m(bound, NULL, 2, NULL));
    GIVES(rref_sync(there, "null_results", rref_out(&sum)), RREF_ERR_ARGUMENT);
    rref_future f = rref_promise(ctx, "i64");
    GIVES(rref_set_v(f, NULL, 1), RREF_ERR_ARGUMENT);
    OK(rref_set(f, 5));
    GIVES(rref_get_v(f, NULL, 1), RREF_ERR_ARGUMENT);
    OK(rref_get(f, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 5);
    OK(rref_future_release(f));
    refused(rref_all(ctx, NULL, 2));
    refused(rref_any(ctx, NULL, 2));
    GIVES(rref_format(there, NULL, 10), RREF_ERR_ARGUMENT);
    CU_ASSERT_TRUE(rref_format(there, NULL, 0) > 0);
    end();
}

static bool freed;
static void free_once(void *buffer) { (void)buffer, freed = true; }

#define NOTHING(call) \
    do { \
        rref_error e_; \
        CU_ASSERT_TRUE(!(call)); \
        OK(rref_last_error(ctx, &e_)); \
        CU_ASSERT_EQUAL(e_.code, RREF_ERR_ARGUMENT); \
        GIVES(rref_release((rref){ 0 }), RREF_ERR_HANDLE);      /* another one is the last again */ \
    } while (0)

/* What a handler can do, where there is none. */
static void null_call(void)
{
    size_t n = 7;
    double parts[2];
    if (!begin()) return;
    GIVES(rref_release((rref){ 0 }), RREF_ERR_HANDLE);
    NOTHING(rref_call_context(NULL));
    NOTHING(rref_time_left(NULL) > 0);
    NOTHING(rref_arg_i64(NULL, 0));
    NOTHING(rref_arg_bool(NULL, 0));
    NOTHING(rref_arg_f64(NULL, 0) > 0);
    NOTHING(rref_arg_str(NULL, 0)[0]);
    NOTHING((rref_arg_f64s(NULL, 0, &n), n));
    n = 7;
    NOTHING((rref_arg_bytes(NULL, 0, &n), n));
    n = 7;
    NOTHING((rref_arg_complexes(NULL, 0, RREF_C128, &n), n));
    n = 7;
    NOTHING((rref_arg_structs(NULL, 0, "point", sizeof(point), &n), n));
    NOTHING(rref_arg_ref(NULL, 0).bits);
    n = 7;
    NOTHING((rref_arg_refs(NULL, 0, &n), n));
    GIVES(rref_arg_complex(NULL, 0, parts), RREF_ERR_ARGUMENT);
    GIVES(rref_call_rank(NULL), RREF_ERR_ARGUMENT);
    GIVES(rref_fail(NULL, FAILURE, "nobody's"), RREF_ERR_ARGUMENT);
    GIVES(rref_return_i64(NULL, 5), RREF_ERR_ARGUMENT);
    GIVES(rref_return_borrowed(NULL, parts, 2), RREF_ERR_ARGUMENT);
    GIVES(rref_return_owned(NULL, parts, 2, free_once), RREF_ERR_ARGUMENT);
    CU_ASSERT_TRUE(freed);
    end();
}

static void order_and_exclusion(void)
{
    enum { ROUNDS = 20 };
    rref_future pending[2 * ROUNDS];
    rref shared[2];
    double *numbers = calloc(MIDDLE, sizeof *numbers), sum = -1;
    int64_t n = 0, entries = 0, disorder = -1;
    atomic_store(&overlapped, false);
    if (!numbers || !begin()) return;
    shared[0] = rref_create(ctx, next, "journal");
    log_reference = rref_create(ctx, rank, "journal");
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_sync(rref_root(ctx, 0), "log", rref_out(&shared[1])));
    fill(shared[1], &n, numbers, pending, ROUNDS);
    OK(rref_wait_all(pending, 2 * ROUNDS, RREF_FOREVER));
    OK(rref_sync(shared[1], "state", rref_out(&entries), rref_out(&disorder), rref_out(&sum)));
    CU_ASSERT_TRUE(entries >= n);
    CU_ASSERT_EQUAL(disorder, 0);
    for (int i = 0; i < 2 * ROUNDS; i++) OK(rref_future_release(pending[i]));
    MPI_Barrier(MPI_COMM_WORLD);
    CU_ASSERT_FALSE(atomic_load(&overlapped));
    n = 0;
    fill(shared[0], &n, numbers, pending, ROUNDS);
    OK(rref_sync(shared[0], "state", rref_out(&entries), rref_out(&disorder), rref_out(&sum)));
    CU_ASSERT_EQUAL(entries, n);            /* the state is asked for behind all others */
    CU_ASSERT_EQUAL(disorder, 0);
    OK(rref_wait_all(pending, 2 * ROUNDS, RREF_FOREVER));
    for (int i = 0; i < 2 * ROUNDS; i++) OK(rref_future_release(pending[i]));
    OK(rref_release(shared[0]));
    OK(rref_release(shared[1]));
    OK(rref_release(log_reference));
    end();
    free(numbers);
}

static bool same(const double *a, const double *b, size_t n) { return memcmp(a, b, n * sizeof *a) == 0; }

/* Of a call that borrows one argument, the others are copied. */
static void borrowed_and_copied(void)
{
    enum { LONG = 20000 };
    static char text[LONG], bytes[LONG], text_back[LONG], bytes_back[LONG];
    size_t n = 0;
    if (!begin()) return;
    memset(text, 't', LONG - 1);
    memset(bytes, 'b', LONG);
    rref_future f = rref_async(there, "texts", text, rref_borrow_bytes(bytes, LONG), rref_out_str(text_back, LONG),
                               rref_out_bytes(bytes_back, LONG, &n));
    memset(text, 'x', LONG - 1);
    OK(rref_wait(f, RREF_FOREVER));
    CU_ASSERT_EQUAL(n, LONG);
    CU_ASSERT_EQUAL(strspn(text_back, "t"), LONG - 1);
    CU_ASSERT_EQUAL(memcmp(bytes, bytes_back, LONG), 0);
    OK(rref_future_release(f));
    end();
}

static void large_arrays(void)
{
    if (!begin()) return;
    size_t room = rank == 0 ? BIG : MIDDLE;             /* 64 MiB, of one rank: the memory is everybody's */
    double *there_and = malloc(room * sizeof *there_and), *back = calloc(room, sizeof *back);
    const size_t sizes[] = { 0, 1, 511, 512, 513, 8191, 8192, 65537, room };
    size_t n = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(there_and);
    CU_ASSERT_PTR_NOT_NULL_FATAL(back);
    for (size_t i = 0; i < room; i++) there_and[i] = (double)(i * 3 + (size_t)rank);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        n = 77;
        OK(rref_sync(there, "echo", rref_array(there_and, sizes[i]), rref_out_array(back, room, &n)));
        CU_ASSERT_EQUAL(n, sizes[i]);
        CU_ASSERT_TRUE(same(there_and, back, n));
    }
    memset(back, 0, room * sizeof *back);
    rref_future f = rref_async(there, "echo", rref_borrow(there_and, MIDDLE), rref_out_array(back, room, &n));
    OK(rref_wait_sent(f, RREF_FOREVER));
    OK(rref_wait(f, RREF_FOREVER));
    CU_ASSERT_EQUAL(n, MIDDLE);
    CU_ASSERT_TRUE(same(there_and, back, n));
    OK(rref_future_release(f));

    memset(back, 0, room * sizeof *back);
    f = rref_async(there, "echo", rref_array(there_and, 10000));        /* copied: may change at once */
    there_and[9999] = -1;
    OK(rref_wait(f, RREF_FOREVER));
    GIVES(rref_get(f, rref_out_array(back, 9999, &n)), RREF_ERR_TRUNCATED);
    for (int i = 0; i < 2; i++) OK(rref_get(f, rref_out_array(back, 10000, &n)));
    CU_ASSERT_EQUAL(n, 10000);
    CU_ASSERT_EQUAL(back[9999], (double)(9999 * 3 + rank));
    OK(rref_future_release(f));

    back[100000] = 5;
    n = 7;
    GIVES(rref_sync(there, "range", 200000, rref_out_array(back, 100000, &n)), RREF_ERR_TRUNCATED);
    CU_ASSERT_EQUAL(back[100000], 5);
    OK(rref_sync(there, "range", 200000, rref_out_array(back, 200000, &n)));
    CU_ASSERT_EQUAL(n, 200000);
    CU_ASSERT_EQUAL(back[199999], 199999);

    /* results the handler gave away, of all sizes around those at which data moves by grant */
    for (size_t wanted = 400; wanted <= 17000; wanted += 230) {
        OK(rref_sync(there, "range", wanted, rref_out_array(back, wanted, &n)));
        CU_ASSERT_EQUAL(n, wanted);
        CU_ASSERT_EQUAL(back[wanted - 1], (double)(wanted - 1));
        f = rref_async(there, "range", wanted + 1);
        GIVES(rref_wait(f, check_patience(60)), RREF_OK);
        OK(rref_get(f, rref_out_array(back, wanted + 1, &n)));
        CU_ASSERT_EQUAL(back[wanted], (double)wanted);
        OK(rref_future_release(f));
    }
    end();
    free(there_and);
    free(back);
}

static void nested_calls(void)
{
    enum { WIDE = 64 };
    rref_future f[WIDE];
    int64_t sum = 0;
    if (!begin()) return;
    OK(rref_sync(there, "bounce", 1, rref_out(&sum)));
    CU_ASSERT_EQUAL(sum, 111);
    for (int i = 0; i < WIDE; i++) f[i] = rref_async(there, "bounce", i);
    OK(rref_wait_all(f, WIDE, RREF_FOREVER));
    for (int i = 0; i < WIDE; i++) {
        OK(rref_get(f[i], rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, i + 110);
        OK(rref_future_release(f[i]));
    }
    end();
}

static void flags(void)
{
    rref_future f[2];
    atomic_store(&met, false);
    if (!begin()) return;
    rref here = rref_root(ctx, rank), object = rref_create(ctx, next, "journal");
    GIVES(rref_sync(there, "inline_blocks"), RREF_ERR_BLOCKING);
    OK(rref_sync(here, "where_worker"));
    CU_ASSERT_FALSE(atomic_load(&has_run_here));
    for (int i = 0; i < 2; i++) f[i] = rref_async(object, "meet");
    OK(rref_wait_all(f, 2, RREF_FOREVER));
    for (int i = 0; i < 2; i++) OK(rref_future_release(f[i]));
    OK(rref_release(object));
    end();
    CU_ASSERT_TRUE(atomic_load(&met));
}

static void bound_methods(void)
{
    int64_t sum = 0;
    rref_error e;
    if (!begin()) return;
    rref_method_ref bound = rref_bind(there, "add"), unbound = rref_bind(there, "no such method");
    for (int i = 0; i < 100; i++) {
        OK(rref_sync(bound, i, 1, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, i + 1);
    }
    rref_future f = rref_async(bound, 5, 6, rref_out(&sum));
    OK(rref_wait(f, RREF_FOREVER));
    CU_ASSERT_EQUAL(sum, 11);
    OK(rref_future_release(f));
    GIVES(rref_sync(unbound, 1), RREF_ERR_NO_METHOD);
    GIVES(rref_post(unbound), RREF_ERR_NO_METHOD);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "class rank has no method no such method"));
    f = rref_async(unbound, 1);
    GIVES(rref_wait(f, RREF_FOREVER), RREF_ERR_NO_METHOD);
    OK(rref_future_error(f, &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "class rank has no method no such method"));
    OK(rref_future_release(f));
    rref_method_ref nameless = rref_bind(there, NULL);
    GIVES(rref_sync(nameless), RREF_ERR_NO_METHOD);
    OK(rref_last_error(ctx, &e));
    CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "class rank"));
    GIVES(rref_sync(bound, 1), RREF_ERR_SIGNATURE);
    end();
}

static bool has_failed(void *arg) { return atomic_load(&failures) >= *(int *)arg; }

static void one_way_errors(void)
{
    int three = 3;
    rref_statistics s;
    if (!begin()) return;
    atomic_store(&failures, 0);
    for (int i = 0; i < three; i++) OK(rref_post(there, "fail"));
    CU_ASSERT_TRUE(check_until(has_failed, &three, 5));
    CU_ASSERT_EQUAL(atomic_load(&failure_code), FAILURE);
    CU_ASSERT_EQUAL(atomic_load(&failure_rank), next);
    CU_ASSERT_TRUE(atomic_load(&failure_text_is_right));
    OK(rref_stats(ctx, &s));
    CU_ASSERT_EQUAL(s.oneway_failures, 3);
    GIVES(rref_finalize(&ctx), RREF_ERR_ONEWAY);
    CU_ASSERT_PTR_NULL(ctx);
    CU_ASSERT_EQUAL(atomic_load(&failures), 3);
}

static const check_case cases[] = {
    { "add_by_rank_and_name", add_by_rank_and_name },
    { "own_rank_all_kinds", own_rank_all_kinds },
    { "unknown_destinations", unknown_destinations },
    { "failing_handler", failing_handler },
    { "error_in_full", error_in_full },
    { "class_known_to_the_caller_only", class_known_to_the_caller_only },
    { "thousand_tiny_calls", thousand_tiny_calls },
    { "scalars_of_every_type", scalars_of_every_type },
    { "texts_and_bytes", texts_and_bytes },
    { "complex_numbers", complex_numbers },
    { "arrays_of_every_type", arrays_of_every_type },
    { "structs", structs },
    { "references", references },
    { "bad_arguments", bad_arguments },
    { "null_values", null_values },
    { "null_call", null_call },
    { "order_and_exclusion", order_and_exclusion },
    { "borrowed_and_copied", borrowed_and_copied }, { "large_arrays", large_arrays },
    { "nested_calls", nested_calls },
    { "flags", flags },
    { "bound_methods", bound_methods },
    { "one_way_errors", one_way_errors },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "calls", cases); }
