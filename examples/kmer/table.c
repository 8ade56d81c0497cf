/* SPDX-License-Identifier: BSD-3-Clause */
/* Open addressing with linear probing. A slot whose count is 0 is free, so fresh zero pages are an empty table. */
#include "table.h"

#include <stdlib.h>

typedef struct slot {
    uint64_t kmer, count;
} slot;

struct table {
    slot *slots;
    size_t distinct;
    unsigned bits;          /* there are 2^bits slots */
};

enum { BITS_MIN = 10 };

static size_t slots_of(unsigned bits)
{
    return (size_t)1 << bits;
}

/* Probing is quick while a quarter is free. */
static size_t limit_of(unsigned bits)
{
    return slots_of(bits) / 4 * 3;
}

table *table_create(size_t expected)
{
    table *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->bits = BITS_MIN;
    while (limit_of(t->bits) < expected) t->bits++;
    t->slots = calloc(slots_of(t->bits), sizeof *t->slots);
    if (t->slots) return t;
    free(t);
    return NULL;
}

void table_destroy(table *t)
{
    if (!t) return;
    free(t->slots);
    free(t);
}

/* The slot of a k-mer, or the free one where it would be. */
static slot *find(const table *t, uint64_t kmer)
{
    size_t mask = slots_of(t->bits) - 1;
    size_t i = table_hash(kmer) >> (64 - t->bits);
    while (t->slots[i].count && t->slots[i].kmer != kmer) i = (i + 1) & mask;
    return &t->slots[i];
}

static bool grow(table *t)
{
    table larger = { .distinct = t->distinct, .bits = t->bits + 1 };
    larger.slots = calloc(slots_of(larger.bits), sizeof *larger.slots);
    if (!larger.slots) return false;
    for (size_t i = 0; i < slots_of(t->bits); i++)
        if (t->slots[i].count) *find(&larger, t->slots[i].kmer) = t->slots[i];
    free(t->slots);
    *t = larger;
    return true;
}

bool table_add(table *t, uint64_t kmer)
{
    slot *s = find(t, kmer);
    if (!s->count) {
        if (t->distinct == limit_of(t->bits)) {
            if (!grow(t)) return false;
            s = find(t, kmer);
        }
        s->kmer = kmer;
        t->distinct++;
    }
    s->count++;
    return true;
}

bool table_add_many(table *t, const uint64_t *kmers, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!table_add(t, kmers[i])) return false;
    return true;
}

uint64_t table_count(const table *t, uint64_t kmer)
{
    return find(t, kmer)->count;
}

table_summary table_summarize(const table *t)
{
    table_summary sum = { .distinct = t->distinct };
    for (size_t i = 0; i < slots_of(t->bits); i++) {
        const slot *s = &t->slots[i];
        if (!s->count) continue;
        sum.total += s->count;
        sum.digest += table_hash(table_hash(s->kmer) + s->count);
    }
    return sum;
}

void table_histogram(const table *t, uint64_t histogram[TABLE_BINS])
{
    for (size_t i = 0; i < TABLE_BINS; i++) histogram[i] = 0;
    for (size_t i = 0; i < slots_of(t->bits); i++) {
        uint64_t count = t->slots[i].count;
        if (count) histogram[count < TABLE_BINS - 1 ? count : TABLE_BINS - 1]++;
    }
}

/* Ties go to the first in the alphabet, so that the answer does not depend on the order of counting. */
static bool more_frequent(const slot *s, uint64_t kmer, uint64_t count)
{
    return s->count != count ? s->count > count : s->kmer < kmer;
}

size_t table_top(const table *t, size_t n, uint64_t *kmers, uint64_t *counts)
{
    size_t found = 0;
    for (size_t i = 0; i < slots_of(t->bits); i++) {
        const slot *s = &t->slots[i];
        if (!s->count) continue;
        size_t place = found;
        while (place > 0 && more_frequent(s, kmers[place - 1], counts[place - 1])) place--;
        if (place == n) continue;
        if (found < n) found++;
        for (size_t j = found - 1; j > place; j--) {
            kmers[j] = kmers[j - 1];
            counts[j] = counts[j - 1];
        }
        kmers[place] = s->kmer;
        counts[place] = s->count;
    }
    return found;
}

size_t table_entries(const table *t, uint64_t *at, size_t n, uint64_t *kmers, uint64_t *counts)
{
    size_t found = 0;
    for (; *at < slots_of(t->bits) && found < n; ++*at) {
        const slot *s = &t->slots[*at];
        if (!s->count) continue;
        kmers[found] = s->kmer;
        counts[found++] = s->count;
    }
    return found;
}
