/* SPDX-License-Identifier: BSD-3-Clause */
/* What a careful user may write, compiled (not run) under strict warnings by tests/lint/header.sh. */
#include <mpi.h>
#include <rref.h>
#include <complex.h>
#include <math.h>
#include <stdlib.h>

/* ---- an object and its class ------------------------------------------------------------------------------------- */

typedef struct vector {
    size_t n;
    double *at;
} vector;

typedef struct particle {
    double position[3], speed[3];
    uint64_t id;
} particle;

static int vector_create(rref_call *call, void **self)
{
    uint64_t n = rref_arg_u64(call, 0);
    vector *v = malloc(sizeof *v);
    if (!v) return rref_fail(call, RREF_ERR_NO_MEMORY, "a vector of %" PRIu64 " values", n);
    v->n = (size_t)n;
    v->at = calloc(v->n, sizeof *v->at);
    *self = v;
    return RREF_OK;
}

static void vector_destroy(void *self)
{
    vector *v = self;
    free(v->at);
    free(v);
}

static int vector_axpy(rref_call *call, void *self)
{
    vector *v = self;
    double a = rref_arg_f64(call, 0);
    size_t n;
    const double *x = rref_arg_f64s(call, 1, &n);
    if (n != v->n) return rref_fail(call, RREF_ERR_SHAPE, "%zu values, the vector has %zu", n, v->n);
    for (size_t i = 0; i < n; i++) v->at[i] += a * x[i];
    return RREF_OK;
}

static int vector_norm(rref_call *call, void *self)
{
    const vector *v = self;
    double sum = 0.0;
    for (size_t i = 0; i < v->n; i++) sum += v->at[i] * v->at[i];
    return rref_return_f64(call, sqrt(sum));
}

static int vector_size(rref_call *call, void *self) { return rref_return_u64(call, ((vector *)self)->n); }

static int vector_several(rref_call *call, void *self)
{
    const vector *v = self;
    return rref_return(call, (uint64_t)v->n, 1.5, "text", rref_array(v->at, v->n));
}

static const rref_method vector_methods[] = {
    RREF_METHOD("axpy", "f64, f64[]", vector_axpy, 0),
    RREF_METHOD("norm", "-> f64", vector_norm, RREF_CONCURRENT),
    RREF_METHOD("size", "-> u64", vector_size, RREF_INLINE),
    RREF_METHOD("several", "-> u64, f64, str, f64[]", vector_several, RREF_WORKER),
    RREF_METHODS_END
};

static int vector_pack(rref_call *call, void *self)
{
    const vector *v = self;
    return rref_return_borrowed(call, v->at, v->n);
}

static int vector_unpack(rref_call *call, void **self)
{
    size_t n;
    const double *x = rref_arg_f64s(call, 0, &n);
    vector *v = malloc(sizeof *v);
    if (!v) return RREF_ERR_NO_MEMORY;
    *v = (vector){ n, malloc(n * sizeof *x) };
    for (size_t i = 0; v->at && i < n; i++) v->at[i] = x[i];
    *self = v;
    return RREF_OK;
}

static const rref_hooks vector_hooks = { "f64[]", vector_pack, vector_unpack, NULL, NULL };
static const rref_class vector_class =
    RREF_CLASS_EX("vector", "u64", vector_create, vector_destroy, vector_methods, RREF_SEALED | RREF_REENTRANT, &vector_hooks);
static const rref_class simple_class = RREF_CLASS("simple", "u64", vector_create, vector_destroy, vector_methods);

/* ---- arguments of every kind and number -------------------------------------------------------------------------- */

enum colour { RED, GREEN };

static int once(int *counter) { return ++*counter; }

static int numbers(rref r, rref_context *context)
{
    int counter = 0, status = 0;
    const int five = 5;
    volatile int six = 6;
    enum colour colour = GREEN;
    char c = 'c';
    signed char sc = -1;
    unsigned char uc = 1;
    short s = -2;
    unsigned short us = 2;
    long l = -3;
    unsigned long ul = 3;
    long long ll = -4;
    unsigned long long ull = 4;
    float f = 0.5f;
    const double d = 0.25;
    float _Complex fc = 1.0f;
    double _Complex dc = 2.0;
    char writable[] = "writable";
    const char *text = "text";
    size_t size = sizeof counter;

    status |= rref_sync(r, "m0");
    status |= rref_sync(r, "m1", once(&counter));
    status |= rref_sync(r, "m2", five, six);
    status |= rref_sync(r, "m3", c, sc, uc);
    status |= rref_sync(r, "m4", s, us, l, ul);
    status |= rref_sync(r, "m5", ll, ull, f, d, size);
    status |= rref_sync(r, "m6", fc, dc, writable, text, "literal", r);
    status |= rref_sync(r, "m7", RED, colour, true, (_Bool)0, 'x', 1.0f, 1e9);
    status |= rref_sync(r, "m8", 1, 2u, 3l, 4ul, 5ll, 6ull, INT64_C(-7), UINT64_C(8));
    status |= rref_sync(r, "m9", 1, 2, 3, 4, 5, 6, 7, 8, 9);
    status |= rref_sync(r, "m10", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10);
    status |= rref_sync(r, "m11", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11);
    status |= rref_sync(r, "m12", 1, 2.0, "3", r, true, 6.0f, 7u, 'c', dc, text, 11ll, five);
    status |= rref_post(r, "m0");
    status |= rref_try_post(r, "m1", 1);
    rref_future_release(rref_try_async(r, "m1", 1));
    status |= rref_post(r, "m12", 1, 2.0, "3", r, true, 6.0f, 7u, 'c', dc, text, 11ll, five);
    status |= rref_future_release(rref_async(r, "m0"));
    status |= rref_future_release(rref_async(r, "m12", 1, 2.0, "3", r, true, 6.0f, 7u, 'c', dc, text, 11ll, five));
    status |= rref_release(rref_create(context, 0, "k"));
    status |= rref_release(rref_create(context, 0, "k", 1, 2.0, "3", r, true, 6.0f, 7u, 'c', dc, text, 11ll, five));
    return status;
}

static int arrays(rref r)
{
    int8_t i8[4] = { 0 };
    uint8_t u8[4] = { 0 };
    int16_t i16[4] = { 0 };
    uint16_t u16[4] = { 0 };
    int32_t i32[4] = { 0 };
    uint32_t u32[4] = { 0 };
    int64_t i64[4] = { 0 };
    uint64_t u64[4] = { 0 };
    float f32[4] = { 0 };
    double f64[4] = { 0 }, grid[3][5] = { { 0 } };
    bool flags[4] = { false };
    double _Complex c128[4] = { 0 };
    float _Complex c64[4] = { 0 };
    rref refs[2] = { r, r };
    particle cloud[7] = { { .id = 1 } };
    const double *reader = f64;
    size_t count;
    char text[80], raw[16];
    int status = 0;

    status |= rref_sync(r, "ints", rref_array(i8, 4), rref_array(u8, 4), rref_array(i16, 4), rref_array(u16, 4),
                        rref_array(i32, 4), rref_array(u32, 4), rref_array(i64, 4), rref_array(u64, 4));
    status |= rref_sync(r, "floats", rref_array(f32, 4), rref_array(reader, 4), rref_array(c64, 4), rref_array(c128, 4),
                        rref_array(flags, 4), rref_array(refs, 2), rref_array(&grid[0][0], 15));
    status |= rref_sync(r, "literal", rref_array((double[]){ 1.0, 2.0, 3.0 }, 3), rref_array((const int[]){ 1, 2 }, 2));
    status |= rref_sync(r, "bytes", rref_bytes(raw, sizeof raw), rref_structs("particle", cloud, 7));
    status |= rref_sync(r, "out", rref_out(&i8[0]), rref_out(&u16[1]), rref_out(&f64[2]), rref_out(&c128[0]),
                        rref_out(&flags[0]), rref_out(&refs[0]), rref_out_struct("particle", &cloud[0]));
    status |= rref_sync(r, "outs", rref_out_array(f64, 4, &count), rref_out_str(text, sizeof text),
                        rref_out_bytes(raw, sizeof raw, NULL), rref_out_structs(cloud, 7, &count));

    rref_future future = rref_async(r, "lent", rref_borrow(f64, 4), rref_borrow_bytes(raw, sizeof raw),
                                    rref_borrow_structs("particle", cloud, 7));
    status |= rref_wait_sent(future, 1.0);
    status |= rref_wait(future, RREF_FOREVER);
    status |= rref_get(future);
    status |= rref_get(future, rref_out(&i32[0]), rref_out_array(f64, 4, &count));
    status |= rref_future_release(future);
    return status;
}

/* A reference and each proxy, with what may be done through it. */
static int ways_to_call(rref v)
{
    double norm = 0.0;
    rref copy;
    void *self;
    int status = rref_invoke(rref_rpc_sync(v, 2.0), "norm", rref_out(&norm));
    rref_future f = rref_invoke(rref_rpc_async(v, RREF_FOREVER), "norm");
    rref r = rref_invoke(rref_rpc_remote(v, 2.0), "norm"), s = rref_remote(v, "several"), t = rref_remote(rref_bind(v, "norm"));
    status |= rref_to_here(r, rref_out(&norm)) | rref_to_here(rref_rpc_sync(v, 1.0), rref_out(&copy)) | rref_to_here(t);
    rref_future g = rref_to_here_async(s), h = rref_to_here_async(rref_rpc_async(s, 1.0)), made = rref_creation(s);
    status |= rref_enter(copy, 1.0, &self) | rref_leave(copy);
    status |= rref_future_release(f) | rref_future_release(g) | rref_future_release(h) | rref_future_release(made);
    return status | rref_release(copy) | rref_release(r) | rref_release(s) | rref_release(t);
}

static int promises(rref_context *context)
{
    rref_future promise = rref_promise(context, "f64, str");
    int status = rref_set(promise, 1.5, "done");
    status |= rref_set_error(promise, RREF_ERR_USER, "%d too late", 1);
    return status | rref_future_release(promise);
}

static int together(rref_context *context, const double *x, size_t n)
{
    rref_group group;
    double norm, all[16];
    size_t count;
    int status = rref_group_create(context, &group, "vector", n);
    status |= rref_group_create(context, &group, "vector");
    status |= rref_group_post(group, "clear");
    status |= rref_group_post(group, "axpy", 2.0, rref_array(x, n));
    status |= rref_future_release(rref_group_async(group, "axpy", 2.0f, rref_borrow(x, n)));
    status |= rref_group_gather(group, "norm", rref_out_array(all, (size_t)16, &count));
    status |= rref_group_gather(group, "part", 1, 2u, rref_out_array(all, (size_t)16, &count));
    status |= rref_group_reduce(group, MPI_SUM, "norm", rref_out(&norm));
    status |= rref_group_reduce(group, MPI_MAX, "part", 1, 2u, rref_out_array(all, n, NULL));
    status |= rref_sync(rref_group_member(group, 0), "norm", rref_out(&norm));
    return status | rref_group_free(&group);
}

static int by_name(rref_context *context, rref r)
{
    char *text;
    rref_statistics statistics;
    int status = rref_publish(r, "solver");
    status |= rref_lookup(context, "solver", 1.5, &r);
    rref_future f = rref_lookup_async(context, "solver", RREF_FOREVER);
    status |= rref_get(f, rref_out(&r));
    status |= rref_withdraw(context, "solver");
    status |= rref_fence(context, RREF_FOREVER);
    status |= rref_stats_of(context, 0, &statistics);
    status |= rref_dump(context, 0, &text);
    free(text);
    return status | rref_future_release(f);
}

int main(int argc, char **argv)
{
    int level;
    double x[8] = { 0 }, norm = 0.0;
    const rref_class *classes[] = { &vector_class, &simple_class, NULL };
    rref_context *context;

    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    if (rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes }, &context)) MPI_Abort(MPI_COMM_WORLD, 1);
    if (rref_rank(context) == 0) {
        rref v = rref_create(context, 1, "vector", 8);
        rref_method_ref axpy = rref_bind(v, "axpy");
        rref_future f = rref_async(v, "axpy", 2.0, rref_array(x, 8));
        if (rref_sync(v, "norm", rref_out(&norm))) rref_perror(context, "norm");
        if (rref_sync(axpy, 2.0, rref_array(x, 8))) rref_perror(context, "axpy");
        if (rref_post(axpy, 2.0, rref_array(x, 8))) rref_perror(context, "axpy");
        rref_future_release(rref_async(axpy, 2.0, rref_array(x, 8)));
        rref_future_release(f);
        numbers(v, context);
        arrays(v);
        ways_to_call(v);
        promises(context);
        together(context, x, 8);
        by_name(context, v);
        rref_release(v);
    }
    rref_finalize(&context);
    MPI_Finalize();
    return 0;
}
