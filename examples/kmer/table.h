/* SPDX-License-Identifier: BSD-3-Clause */
/* A hash table that counts k-mers. Knows nothing of ranks: the same code counts alone, for plain MPI and for RRef. */
#ifndef KMER_TABLE_H
#define KMER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct table table;

/* Last bin of a histogram: k-mers counted that often or more. */
enum { TABLE_BINS = 10002 };

/* What two tables, or two sets of tables, have in common when they hold the same counts. Sums of parts are sums. */
typedef struct table_summary {
    uint64_t total, distinct, digest;
} table_summary;

/* `expected` is how many different k-mers may come; the table grows beyond that. NULL without memory. */
table *table_create(size_t expected);
void table_destroy(table *t);

/* Both are false when there is no memory to grow. */
bool table_add(table *t, uint64_t kmer);
bool table_add_many(table *t, const uint64_t *kmers, size_t n);

uint64_t table_count(const table *t, uint64_t kmer);
table_summary table_summarize(const table *t);
/* histogram[c] is the number of k-mers counted c times. */
void table_histogram(const table *t, uint64_t histogram[TABLE_BINS]);
/* The n most frequent k-mers and their counts, most frequent first; returns how many there are. */
size_t table_top(const table *t, size_t n, uint64_t *kmers, uint64_t *counts);
/* Up to n k-mers and their counts from place *at on, which moves on; returns how many, 0 at the end. */
size_t table_entries(const table *t, uint64_t *at, size_t n, uint64_t *kmers, uint64_t *counts);

/* Mixes all bits of a k-mer (the finalizer of MurmurHash3, by Austin Appleby). */
static inline uint64_t table_hash(uint64_t kmer)
{
    kmer = (kmer ^ kmer >> 33) * UINT64_C(0xff51afd7ed558ccd);
    kmer = (kmer ^ kmer >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return kmer ^ kmer >> 33;
}

/* Which of `parts` tables a k-mer belongs to. The low half of the hash scaled to `parts` saves a division; the table
 * itself uses the high bits, so that a part fills its table evenly. */
static inline int table_part(uint64_t kmer, int parts)
{
    return (int)((table_hash(kmer) & UINT32_MAX) * (uint64_t)parts >> 32);
}

#endif
