/* SPDX-License-Identifier: BSD-3-Clause */
/* One of two programs of a job that share no class: histograms, which client.c uses without knowing them. */
#include <math.h>
#include <stdlib.h>

#include <mpi.h>
#include <rref.h>

typedef struct histogram {
    double low, high;
    size_t bins;
    uint64_t count[];
} histogram;

static int create(rref_call *call, void **self)
{
    double low = rref_arg_f64(call, 0), high = rref_arg_f64(call, 1);
    uint32_t bins = rref_arg_u32(call, 2);
    if (!(low < high) || !isfinite(high - low) || bins == 0)
        return rref_fail(call, RREF_ERR_ARGUMENT, "%u bins from %g to %g", bins, low, high);
    histogram *h = calloc(1, sizeof *h + bins * sizeof h->count[0]);
    if (!h) return rref_fail(call, RREF_ERR_NO_MEMORY, "no memory for %u bins", bins);
    h->low = low;
    h->high = high;
    h->bins = bins;
    *self = h;
    return RREF_OK;
}

/* Just below `high` the quotient can be rounded up to 1. */
static size_t bin_of(const histogram *h, double x)
{
    size_t bin = (size_t)((x - h->low) / (h->high - h->low) * (double)h->bins);
    return bin < h->bins ? bin : h->bins - 1;
}

static int add(rref_call *call, void *self)
{
    histogram *h = self;
    size_t n;
    const double *x = rref_arg_f64s(call, 0, &n);
    for (size_t i = 0; i < n; i++)
        if (x[i] >= h->low && x[i] < h->high) h->count[bin_of(h, x[i])]++;
    return RREF_OK;
}

static int counts(rref_call *call, void *self)
{
    histogram *h = self;
    return rref_return_borrowed(call, h->count, h->bins);
}

static const rref_method methods[] = {
    RREF_METHOD("add", "f64[]", add, 0),
    RREF_METHOD("counts", "-> u64[]", counts, 0),
    RREF_METHODS_END
};
static const rref_class histogram_class = RREF_CLASS("histogram", "f64, f64, u32", create, free, methods);

int main(int argc, char **argv)
{
    int level;
    const rref_class *classes[] = { &histogram_class, NULL };
    rref_context *context;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    if (rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes, .name = "server" }, &context)) {
        rref_perror(NULL, "server");
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
    int rc = rref_finalize(&context);       /* serves the others until all are here */
    if (rc) rref_perror(NULL, "server");
    MPI_Finalize();
    return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
