// SPDX-License-Identifier: BSD-3-Clause
// The C++ side of program.c: the same names, compiled (not run) under strict warnings by tests/lint/header.sh.
#include <rref.h>       // brings mpi.h, without its retired C++ bindings
#include <complex>
#include <cstdint>
#include <string>
#include <vector>

namespace {

using vector = std::vector<double>;

struct particle {
    double position[3], speed[3];
    std::uint64_t id;
};

int vector_create(rref_call *call, void **self)
{
    *self = new vector(static_cast<std::size_t>(rref_arg_u64(call, 0)));
    return RREF_OK;
}

void vector_destroy(void *self) { delete static_cast<vector *>(self); }

int vector_axpy(rref_call *call, void *self)
{
    vector &v = *static_cast<vector *>(self);
    double a = rref_arg_f64(call, 0);
    std::size_t n;
    const double *x = rref_arg_f64s(call, 1, &n);
    if (n != v.size()) return rref_fail(call, RREF_ERR_SHAPE, "%zu values, the vector has %zu", n, v.size());
    for (std::size_t i = 0; i < n; i++) v[i] += a * x[i];
    return RREF_OK;
}

int vector_size(rref_call *call, void *self) { return rref_return_u64(call, static_cast<vector *>(self)->size()); }

int vector_several(rref_call *call, void *self)
{
    const vector &v = *static_cast<vector *>(self);
    return rref_return(call, v.size(), 1.5, "text", rref_array(v.data(), v.size()));
}

const rref_method vector_methods[] = {
    RREF_METHOD("axpy", "f64, f64[]", vector_axpy, 0),
    RREF_METHOD("size", "-> u64", vector_size, RREF_INLINE),
    RREF_METHOD("several", "-> u64, f64, str, f64[]", vector_several, RREF_WORKER),
    RREF_METHODS_END
};

int vector_pack(rref_call *call, void *self)
{
    const vector &v = *static_cast<vector *>(self);
    return rref_return_borrowed(call, v.data(), v.size());
}

int vector_unpack(rref_call *call, void **self)
{
    std::size_t n;
    const double *x = rref_arg_f64s(call, 0, &n);
    *self = new vector(x, x + n);
    return RREF_OK;
}

const rref_hooks vector_hooks = { "f64[]", vector_pack, vector_unpack, nullptr, nullptr };
const rref_class vector_class = RREF_CLASS_EX("vector", "u64", vector_create, vector_destroy, vector_methods,
                                              RREF_SEALED | RREF_REENTRANT, &vector_hooks);
const rref_class simple_class = RREF_CLASS("simple", "u64", vector_create, vector_destroy, vector_methods);

int numbers(rref r, rref_context *context)
{
    const int five = 5;
    volatile int six = 6;
    unsigned char uc = 1;
    short s = -2;
    long l = -3;
    unsigned long long ull = 4;
    float f = 0.5f;
    char writable[] = "writable";
    const char *text = "text";
    int status = 0;

    status |= rref_sync(r, "m0");
    status |= rref_sync(r, "m2", five, static_cast<int>(six));
    status |= rref_sync(r, "m6", uc, s, l, ull, f, r);
    status |= rref_sync(r, "m8", writable, text, "literal", true, 'x', 1u, 2ul, 3ll);
    status |= rref_sync(r, "m12", 1, 2.0, "3", r, true, 6.0f, 7u, 'c', rref_c128(1.0, 2.0), text, 11ll, five);
    status |= rref_post(r, "m0");
    status |= rref_try_post(r, "m1", 1);
    rref_future_release(rref_try_async(r, "m1", 1));
    status |= rref_post(r, "m12", 1, 2.0, "3", r, true, 6.0f, 7u, 'c', rref_c64(1.0f, 2.0f), text, 11ll, five);
    status |= rref_future_release(rref_async(r, "m0"));
    status |= rref_future_release(rref_async(r, "m12", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    status |= rref_release(rref_create(context, 0, "k"));
    status |= rref_release(rref_create(context, 0, "k", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    return status;
}

int arrays(rref r)
{
    std::vector<double> x(8);
    std::vector<std::int32_t> i(8);
    std::vector<particle> cloud(7);
    char text[80], raw[16] = {};
    std::size_t count;
    std::int64_t number;
    int status = 0;

    status |= rref_sync(r, "arrays", rref_array(x.data(), x.size()), rref_array(i.data(), i.size()),
                        rref_bytes(raw, sizeof raw), rref_structs("particle", cloud.data(), cloud.size()));
    status |= rref_sync(r, "out", rref_out(&number), rref_out(&r), rref_out_struct("particle", cloud.data()));
    status |= rref_sync(r, "outs", rref_out_array(x.data(), x.size(), &count), rref_out_str(text, sizeof text),
                        rref_out_bytes(raw, sizeof raw, nullptr), rref_out_structs(cloud.data(), cloud.size(), &count));
    rref_future future = rref_async(r, "lent", rref_borrow(x.data(), x.size()));
    status |= rref_wait(future, RREF_FOREVER);
    status |= rref_get(future, rref_out(&number), rref_out_array(x.data(), x.size(), &count));
    return status | rref_future_release(future);
}

static_assert(rref_cxx::element<std::complex<float>>::value == RREF_C64, "as C's float _Complex");
static_assert(rref_cxx::element<std::complex<double>>::value == RREF_C128, "as C's double _Complex");

/* A constant of a class has no address where it is not defined. */
struct limits { static const int rows = 64; };
int constants(rref r)
{
    rref_future future = rref_async(r, "turn", limits::rows);
    return rref_post(r, "turn", limits::rows) | rref_wait(future, RREF_FOREVER) | rref_future_release(future);
}

int complex_numbers(rref r)
{
    std::vector<std::complex<double>> z(8);
    const std::vector<std::complex<float>> w(8);
    std::complex<double> sum;
    const std::complex<float> small(1.0f, 2.0f);
    std::size_t count;
    int status = rref_sync(r, "turn", sum, small, rref_array(z.data(), z.size()), rref_array(w.data(), w.size()), rref_out(&sum),
                           rref_out_array(z.data(), z.size(), &count));
    return status | rref_post(r, "turn", std::complex<double>(1.0, 2.0), z[0], w[0]);
}

int texts(rref r)
{
    char writable[] = "writable", *text = writable;
    const char *constant = "constant";
    const std::string string = "string";
    return rref_sync(r, "texts", writable, text, constant, "literal", string, string + "s", string.c_str(), std::string("t"));
}

int together(rref_context *context, const std::vector<double> &x)
{
    rref_group group;
    double norm, all[16];
    std::size_t count;
    int status = rref_group_create(context, &group, "vector", x.size());
    status |= rref_group_post(group, "axpy", 2.0, rref_array(x.data(), x.size()));
    status |= rref_future_release(rref_group_async(group, "clear"));
    status |= rref_group_gather(group, "norm", rref_out_array(all, std::size_t(16), &count));
    status |= rref_group_reduce(group, MPI_SUM, "norm", rref_out(&norm));
    status |= rref_group_reduce(group, MPI_MAX, "part", 1, rref_out_array(all, x.size(), nullptr));
    return status | rref_group_free(&group);
}

// A reference and each proxy, with what may be done through it.
int ways_to_call(rref v)
{
    std::uint64_t size;
    rref copy;
    void *self;
    int status = rref_invoke(rref_rpc_sync(v, 2.0), "size", rref_out(&size));
    rref_future f = rref_invoke(rref_rpc_async(v, RREF_FOREVER), "size");
    rref r = rref_invoke(rref_rpc_remote(v, 2.0), "size"), s = rref_remote(v, "several"), t = rref_remote(rref_bind(v, "size"));
    status |= rref_to_here(r, rref_out(&size)) | rref_to_here(rref_rpc_sync(v, 1.0), rref_out(&copy)) | rref_to_here(t);
    rref_future g = rref_to_here_async(s), h = rref_to_here_async(rref_rpc_async(s, 1.0)), made = rref_creation(s);
    status |= rref_enter(copy, 1.0, &self) | rref_leave(copy);
    status |= rref_future_release(f) | rref_future_release(g) | rref_future_release(h) | rref_future_release(made);
    return status | rref_release(copy) | rref_release(r) | rref_release(s) | rref_release(t);
}

} // namespace

int main(int argc, char **argv)
{
    int level;
    const rref_class *classes[] = { &vector_class, &simple_class, nullptr };
    rref_options options{};
    rref_context *context;

    options.classes = classes;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    if (rref_init(MPI_COMM_WORLD, &options, &context)) MPI_Abort(MPI_COMM_WORLD, 1);
    if (rref_rank(context) == 0) {
        rref v = rref_create(context, 1, "vector", 8);
        std::uint64_t size;
        rref_method_ref bound = rref_bind(v, "size");
        if (rref_sync(bound, rref_out(&size))) rref_perror(context, "size");
        rref_future promise = rref_promise(context, "f64, str");
        if (rref_set(promise, 1.5, "done")) rref_perror(context, "promise");
        rref_future_release(promise);
        numbers(v, context);
        arrays(v);
        complex_numbers(v);
        constants(v);
        texts(v);
        together(context, std::vector<double>(8));
        ways_to_call(v);
        rref_release(v);
    }
    rref_finalize(&context);
    MPI_Finalize();
    return 0;
}
