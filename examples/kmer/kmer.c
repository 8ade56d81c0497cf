/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * kmer: counts the k-mers of a genome with a hash table that is spread over all ranks.
 *
 * Each rank owns one table, an RRef object of class "kmer_table". A k-mer belongs to the table that its hash names.
 * Each rank scans its part of the sequence and sends every k-mer to its table by a one-way call; the library gathers
 * these into messages. Afterwards rank 0 asks the tables for what they have.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mpi.h>
#include <rref.h>

#include "options.h"
#include "progress.h"
#include "raw.h"
#include "report.h"
#include "scan.h"
#include "sequence.h"
#include "share.h"
#include "table.h"
#include "table_class.h"

typedef struct job {
    options asked;
    int rank, size;
    sequence whole;             /* on rank 0 */
    sequence part;              /* this rank's, see share.h */
    size_t expected;            /* k-mers a table should be ready for */
    FILE *dump;                 /* on rank 0, if asked for */

    rref_context *context;
    rref own;                   /* this rank's table */
    rref *tables;               /* every rank's */
} job;

static void *need(void *memory)
{
    if (memory) return memory;
    fprintf(stderr, "kmer: no memory\n");
    MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    exit(EXIT_FAILURE);
}

static void *array(size_t n, size_t size)
{
    return need(calloc(n + 1, size));
}

/* A call that fails here cannot be made good: say what it was and end the job. */
static void must(const job *j, int status, const char *what)
{
    if (status == RREF_OK) return;
    rref_perror(j->context, what);
    MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
}

/* A progress that only rank 0 shows. */
static progress *shown(const job *j, progress *p)
{
    return j->rank == 0 ? p : NULL;
}

/* How many different k-mers to be ready for in one of `parts` tables. Reads of one genome repeat each other, so a table
 * for a long sequence starts small for it and grows. */
static size_t expected_in(size_t length, int parts)
{
    size_t each = length / (size_t)parts, most = (size_t)1 << 22;
    return each < most ? each : most;
}

/* Fails on all ranks alike. */
static int open_context(job *j)
{
    const rref_class *classes[] = { &table_class, NULL };
    rref_options settings = { .classes = classes, .functions = table_functions, .functions_self = &j->own };
    int status = rref_init(MPI_COMM_WORLD, &settings, &j->context);
    if (status && j->rank == 0) rref_perror(NULL, "kmer");
    return status;
}

/* Make this rank's table and get a reference to everybody's. */
static void open_tables(job *j)
{
    j->own = rref_wrap(j->context, "kmer_table", need(table_create(j->expected)));
    MPI_Barrier(MPI_COMM_WORLD);        /* from here on each rank has one to give */

    j->tables = array((size_t)j->size, sizeof *j->tables);
    for (int r = 0; r < j->size; r++)
        must(j, rref_sync(rref_root(j->context, r), "table", rref_out(&j->tables[r])), "kmer: table");
}

static int close_tables(job *j)
{
    for (int r = 0; r < j->size; r++) rref_release(j->tables[r]);
    free(j->tables);
    rref_release(j->own);
    int status = rref_finalize(&j->context);
    if (status) rref_perror(NULL, "kmer");
    return status;
}

static rref_method_ref *bind_tables(const job *j, const char *method)
{
    rref_method_ref *bound = array((size_t)j->size, sizeof *bound);
    for (int r = 0; r < j->size; r++) bound[r] = rref_bind(j->tables[r], method);
    return bound;
}

/* The natural program: one call for each k-mer. */
static void post_each(const job *j, progress *p)
{
    rref_method_ref *add = bind_tables(j, "add");
    uint64_t kmer;
    for (scan s = scan_start(&j->part, j->asked.k); scan_next(&s, &kmer);) {
        must(j, rref_post(add[table_part(kmer, j->size)], kmer), "kmer: add");
        progress_tick(p, scan_done(&s), j->part.length);
    }
    free(add);
}

/* The same with batches made by hand. */
static void post_batches(const job *j, progress *p)
{
    size_t room = j->asked.batch, ranks = (size_t)j->size;
    rref_method_ref *add_many = bind_tables(j, "add_many");
    uint64_t *batches = array(ranks * room, sizeof *batches);
    size_t *filled = array(ranks, sizeof *filled);
    uint64_t kmer;

    for (scan s = scan_start(&j->part, j->asked.k); scan_next(&s, &kmer);) {
        size_t to = (size_t)table_part(kmer, j->size);
        uint64_t *batch = batches + to * room;
        batch[filled[to]++] = kmer;
        if (filled[to] == room) {
            must(j, rref_post(add_many[to], rref_array(batch, room)), "kmer: add_many");
            filled[to] = 0;
        }
        progress_tick(p, scan_done(&s), j->part.length);
    }
    for (size_t to = 0; to < ranks; to++)
        if (filled[to])
            must(j, rref_post(add_many[to], rref_array(batches + to * room, filled[to])), "kmer: add_many");
    free(filled);
    free(batches);
    free(add_many);
}

/* One-way calls tell nobody how they went, but the fence, behind which those of all ranks have run. */
static double count_by_rref(const job *j)
{
    progress p = progress_start("counting");
    MPI_Barrier(MPI_COMM_WORLD);
    double start = progress_clock();
    if (j->asked.batch) post_batches(j, shown(j, &p));
    else post_each(j, shown(j, &p));
    must(j, rref_fence(j->context, RREF_FOREVER), "kmer: counting");
    return progress_clock() - start;
}

/* ---- asking the tables, on rank 0 ------------------------------------------------------------------------------ */

static void wait_for(const job *j, rref_future *futures, size_t n, const char *what)
{
    must(j, rref_wait_all(futures, n, RREF_FOREVER), what);
    for (size_t i = 0; i < n; i++) rref_future_release(futures[i]);
    free(futures);
}

/* All tables add up at the same time; the results land in the arrays given. */
static table_summary ask_summary(const job *j)
{
    size_t ranks = (size_t)j->size;
    table_summary *of = array(ranks, sizeof *of), sum = { 0 };
    rref_future *futures = array(ranks, sizeof *futures);
    for (size_t r = 0; r < ranks; r++)
        futures[r] = rref_async(j->tables[r], "summary", rref_out(&of[r].total), rref_out(&of[r].distinct),
                                rref_out(&of[r].digest));
    wait_for(j, futures, ranks, "kmer: summary");
    for (size_t r = 0; r < ranks; r++) {
        sum.total += of[r].total;
        sum.distinct += of[r].distinct;
        sum.digest += of[r].digest;
    }
    free(of);
    return sum;
}

static void ask_histogram(const job *j, uint64_t histogram[TABLE_BINS])
{
    uint64_t *one = array(TABLE_BINS, sizeof *one);
    size_t bins;
    for (int r = 0; r < j->size; r++) {
        must(j, rref_sync(j->tables[r], "histogram", rref_out_array(one, TABLE_BINS, &bins)), "kmer: histogram");
        for (size_t c = 0; c < bins; c++) histogram[c] += one[c];
    }
    free(one);
}

typedef struct ranked { uint64_t kmer, count; } ranked;

static int by_count(const void *left, const void *right)
{
    const ranked *a = left, *b = right;
    if (a->count != b->count) return a->count < b->count ? 1 : -1;
    return a->kmer < b->kmer ? -1 : a->kmer > b->kmer;
}

/* Each table names its most frequent k-mers ... */
static size_t ask_candidates(const job *j, ranked *candidates)
{
    size_t ranks = (size_t)j->size, top = j->asked.top, found = 0;
    uint64_t *kmers = array(ranks * top, sizeof *kmers);
    size_t *n = array(ranks, sizeof *n);
    rref_future *futures = array(ranks, sizeof *futures);
    for (size_t r = 0; r < ranks; r++)
        futures[r] = rref_async(j->tables[r], "top", top, rref_out_array(kmers + r * top, top, &n[r]));
    wait_for(j, futures, ranks, "kmer: top");
    for (size_t r = 0; r < ranks; r++)
        for (size_t i = 0; i < n[r]; i++) candidates[found++].kmer = kmers[r * top + i];
    free(n);
    free(kmers);
    return found;
}

/* ... and is asked how often they occur: many small questions under way at once. */
static void ask_counts(const job *j, ranked *candidates, size_t n)
{
    rref_method_ref *count = bind_tables(j, "count");
    rref_future *futures = array(n, sizeof *futures);
    for (size_t i = 0; i < n; i++)
        futures[i] = rref_async(count[table_part(candidates[i].kmer, j->size)], candidates[i].kmer,
                                rref_out(&candidates[i].count));
    wait_for(j, futures, n, "kmer: count");
    free(count);
}

static void ask_top(const job *j, report *r)
{
    ranked *candidates = array((size_t)j->size * j->asked.top, sizeof *candidates);
    size_t n = ask_candidates(j, candidates);
    ask_counts(j, candidates, n);
    qsort(candidates, n, sizeof *candidates, by_count);
    r->top = n < j->asked.top ? n : j->asked.top;
    r->top_kmer = array(r->top, sizeof *r->top_kmer);
    r->top_count = array(r->top, sizeof *r->top_count);
    for (size_t i = 0; i < r->top; i++) {
        r->top_kmer[i] = candidates[i].kmer;
        r->top_count[i] = candidates[i].count;
    }
    free(candidates);
}

/* A table is fetched a slice at a time: rank 0 never holds a whole one. */
static void dump_table(const job *j, rref one, FILE *out)
{
    enum { SLICE = 1 << 14 };
    uint64_t *kmers = array(SLICE, sizeof *kmers), *counts = array(SLICE, sizeof *counts);
    uint64_t at = 0;
    size_t n;
    char text[K_MAX + 1];
    do {
        must(j, rref_sync(one, "entries", at, SLICE, rref_out(&at), rref_out_array(kmers, SLICE, &n),
                          rref_out_array(counts, SLICE, &n)), "kmer: entries");
        for (size_t i = 0; i < n; i++) {
            kmer_text(kmers[i], j->asked.k, text);
            fprintf(out, "%s %" PRIu64 "\n", text, counts[i]);
        }
    } while (n > 0);
    free(counts);
    free(kmers);
}

static int dump_tables(const job *j)
{
    for (int r = 0; r < j->size; r++) dump_table(j, j->tables[r], j->dump);
    int failed = ferror(j->dump);
    if (fclose(j->dump) == 0 && !failed) return 0;
    fprintf(stderr, "kmer: %s: cannot write all counts\n", j->asked.dump);
    return -1;
}

/* ---- the same count by other means ------------------------------------------------------------------------------ */

static double count_by_mpi(const job *j, table_summary *sum)
{
    progress p = progress_start("counting by plain MPI");
    table *t = need(table_create(j->expected));
    MPI_Barrier(MPI_COMM_WORLD);
    double start = progress_clock();
    raw_count(MPI_COMM_WORLD, &j->part, j->asked.k, t, shown(j, &p));
    MPI_Barrier(MPI_COMM_WORLD);
    double seconds = progress_clock() - start;

    table_summary own = table_summarize(t);
    MPI_Reduce(&own, sum, sizeof own / sizeof(uint64_t), MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
    table_destroy(t);
    return seconds;
}

static double count_serially(const job *j, table_summary *sum)
{
    progress p = progress_start("counting on one rank");
    table *t = need(table_create(expected_in(j->whole.length, 1)));
    double start = progress_clock();
    uint64_t kmer;
    for (scan s = scan_start(&j->whole, j->asked.k); scan_next(&s, &kmer);) {
        need(table_add(t, kmer) ? t : NULL);
        progress_tick(&p, scan_done(&s), j->whole.length);
    }
    double seconds = progress_clock() - start;
    *sum = table_summarize(t);
    table_destroy(t);
    return seconds;
}

static int compare(const report *r, const table_summary *other, const char *name)
{
    const table_summary *ours = &r->counts;
    if (ours->total == other->total && ours->distinct == other->distinct && ours->digest == other->digest) {
        printf("all counts as in the %s count\n", name);
        return 0;
    }
    fprintf(stderr, "kmer: the counts are not those of the %s count: %" PRIu64 " k-mers, %" PRIu64 " distinct\n", name,
            other->total, other->distinct);
    return -1;
}

/* ---- the program ------------------------------------------------------------------------------------------------ */

static int complain(const char *file, const char *why)
{
    fprintf(stderr, "kmer: %s: %s\n", file, why);
    return -1;
}

/* Rank 0 reads; what cannot be done is found before any counting. */
static int read_input(job *j)
{
    char why[200];
    uint64_t kmer;
    progress p = progress_start("reading");
    if (sequence_read(j->asked.file, &j->whole, &p, why, sizeof why)) return complain(j->asked.file, why);
    scan s = scan_start(&j->whole, j->asked.k);
    if (!scan_next(&s, &kmer)) {
        snprintf(why, sizeof why, "no %d-mer in it: nowhere %d bases A, C, G, T in a row", j->asked.k, j->asked.k);
        return complain(j->asked.file, why);
    }
    if (j->asked.dump && !(j->dump = fopen(j->asked.dump, "w"))) return complain(j->asked.dump, strerror(errno));
    return 0;
}

/* Output counts only once it is written. */
static int flushed(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return 0;
    return complain("standard output", strerror(errno));
}

/* Rank 0 asks, counts alone, and prints, while the others' tables answer. */
static int conclude(const job *j, report *r, const table_summary *raw)
{
    table_summary serial;
    int status = 0;
    r->asked = &j->asked;
    r->whole = &j->whole;
    r->ranks = j->size;
    r->counts = ask_summary(j);
    ask_histogram(j, r->histogram);
    ask_top(j, r);
    if (j->dump) status |= dump_tables(j);
    if (j->asked.serial) r->serial_time = count_serially(j, &serial);
    report_print(r);
    if (j->asked.serial) status |= compare(r, &serial, "serial");
    if (j->asked.raw) status |= compare(r, raw, "plain MPI");
    status |= flushed();
    free(r->top_kmer);
    free(r->top_count);
    return status;
}

/* Returns 0, or -1 on every rank if anything went wrong on one. */
static int count_and_report(job *j)
{
    table_summary raw;
    int status = 0;
    if (open_context(j)) return -1;
    report *r = array(1, sizeof *r);
    open_tables(j);
    r->rref_time = count_by_rref(j);
    if (j->asked.raw) r->raw_time = count_by_mpi(j, &raw);
    if (j->rank == 0) status = conclude(j, r, &raw);
    share_wait(MPI_COMM_WORLD);
    free(r);
    if (close_tables(j)) status = -1;
    MPI_Allreduce(MPI_IN_PLACE, &status, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    return status;
}

static int run(job *j)
{
    size_t length;
    int status = -1;
    if (j->rank == 0 && read_input(j)) sequence_free(&j->whole);
    if (share_sequence(MPI_COMM_WORLD, &j->whole, j->asked.k, &j->part, &length) == 0) {
        j->expected = expected_in(length, j->size);
        status = count_and_report(j);
        sequence_free(j->rank == 0 ? &j->whole : &j->part);
    }
    return status == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Below it no table could answer while its rank waits in a barrier. */
static int refuse_level(const job *j)
{
    if (j->rank == 0) fprintf(stderr, "kmer: this MPI has no MPI_THREAD_MULTIPLE\n");
    return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    job j = { 0 };
    int level, status;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_MULTIPLE, &level);
    MPI_Comm_rank(MPI_COMM_WORLD, &j.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &j.size);
    status = options_parse(argc, argv, j.rank == 0, &j.asked);
    if (status == OPTIONS_RUN) status = level == MPI_THREAD_MULTIPLE ? run(&j) : refuse_level(&j);
    MPI_Finalize();
    return status;
}
