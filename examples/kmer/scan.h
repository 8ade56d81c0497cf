/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The canonical k-mers of a stretch of bases, one after the other.
 *
 * A k-mer is a number of two bits a base, the first base highest. DNA is read from either strand, so a k-mer and its
 * reverse complement are one; the smaller number, which is also the first in the alphabet, stands for both.
 */
#ifndef KMER_SCAN_H
#define KMER_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sequence.h"

enum { K_MAX = 31 };

typedef struct scan {
    const uint8_t *start, *at, *end;
    uint64_t forward, reverse;      /* the last k bases on both strands */
    uint64_t mask;
    int k, held;                    /* bases since the last break, k at most */
} scan;

static inline scan scan_start(const sequence *s, int k)
{
    return (scan){ .start = s->code, .at = s->code, .end = s->code + s->length,
                   .mask = (UINT64_C(1) << 2 * k) - 1, .k = k };
}

/* Bases scanned so far. */
static inline size_t scan_done(const scan *s)
{
    return (size_t)(s->at - s->start);
}

/* The next k-mer, or false at the end. */
static inline bool scan_next(scan *s, uint64_t *kmer)
{
    while (s->at < s->end) {
        uint64_t code = *s->at++;
        if (code == SEQUENCE_BREAK) {
            s->held = 0;
            continue;
        }
        s->forward = (s->forward << 2 | code) & s->mask;
        s->reverse = s->reverse >> 2 | (3 - code) << 2 * (s->k - 1);
        if (s->held < s->k && ++s->held < s->k) continue;
        *kmer = s->forward < s->reverse ? s->forward : s->reverse;
        return true;
    }
    return false;
}

/* Writes the k letters of a k-mer and a 0. */
static inline void kmer_text(uint64_t kmer, int k, char text[K_MAX + 1])
{
    for (int i = k - 1; i >= 0; i--, kmer >>= 2) text[i] = "ACGT"[kmer & 3];
    text[k] = '\0';
}

#endif
