/* SPDX-License-Identifier: BSD-3-Clause */
/* What a table does for others: one short handler for each method, which knows the table but nothing of messages. */
#include "table_class.h"

#include <stdlib.h>

#include "table.h"

static int no_memory(rref_call *call)
{
    return rref_fail(call, RREF_ERR_NO_MEMORY, "no memory for the table of rank %d",
                     rref_rank(rref_call_context(call)));
}

static int serve_add(rref_call *call, void *self)
{
    return table_add(self, rref_arg_u64(call, 0)) ? RREF_OK : no_memory(call);
}

static int serve_add_many(rref_call *call, void *self)
{
    size_t n;
    const uint64_t *kmers = rref_arg_u64s(call, 0, &n);
    return table_add_many(self, kmers, n) ? RREF_OK : no_memory(call);
}

static int serve_count(rref_call *call, void *self)
{
    return rref_return_u64(call, table_count(self, rref_arg_u64(call, 0)));
}

static int serve_summary(rref_call *call, void *self)
{
    table_summary sum = table_summarize(self);
    return rref_return(call, sum.total, sum.distinct, sum.digest);
}

static int serve_histogram(rref_call *call, void *self)
{
    uint64_t *histogram = malloc(TABLE_BINS * sizeof *histogram);
    if (!histogram) return no_memory(call);
    table_histogram(self, histogram);
    return rref_return_owned(call, histogram, TABLE_BINS, free);    /* sent from where it is, then freed */
}

static int serve_top(rref_call *call, void *self)
{
    size_t n = rref_arg_u32(call, 0);
    uint64_t *kmers = malloc(2 * n * sizeof *kmers + 1);
    if (!kmers) return no_memory(call);
    n = table_top(self, n, kmers, kmers + n);
    return rref_return_owned(call, kmers, n, free);
}

/* A slice of the table: where the next one begins, k-mers, and their counts. */
static int serve_entries(rref_call *call, void *self)
{
    uint64_t at = rref_arg_u64(call, 0);
    size_t n = rref_arg_u32(call, 1);
    uint64_t *kmers = malloc(2 * n * sizeof *kmers + 1);
    if (!kmers) return no_memory(call);
    uint64_t *counts = kmers + n;
    n = table_entries(self, &at, n, kmers, counts);
    int result = rref_return(call, at, rref_array(kmers, n), rref_array(counts, n));
    free(kmers);
    return result;
}

static void destroy(void *self)
{
    table_destroy(self);
}

static const rref_method table_methods[] = {
    RREF_METHOD("add",       "u64",                    serve_add,       RREF_INLINE),   /* short: where it arrives */
    RREF_METHOD("add_many",  "u64[]",                  serve_add_many,  RREF_INLINE),
    RREF_METHOD("count",     "u64 -> u64",             serve_count,     RREF_INLINE),
    RREF_METHOD("summary",   "-> u64, u64, u64",       serve_summary,   0),
    RREF_METHOD("histogram", "-> u64[]",               serve_histogram, 0),
    RREF_METHOD("top",       "u32 -> u64[]",           serve_top,       0),
    RREF_METHOD("entries",   "u64, u32 -> u64, u64[], u64[]", serve_entries, 0),
    RREF_METHODS_END
};

/* No constructor: each rank makes its own table and wraps it. */
const rref_class table_class = RREF_CLASS("kmer_table", "", NULL, destroy, table_methods);

/* The one free function: gives the reference to this rank's table. */
static int serve_table(rref_call *call, void *self)
{
    return rref_return_ref(call, *(const rref *)self);
}

const rref_method table_functions[] = {
    RREF_METHOD("table", "-> ref", serve_table, RREF_INLINE),
    RREF_METHODS_END
};
