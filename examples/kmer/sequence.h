/* SPDX-License-Identifier: BSD-3-Clause */
/* The bases of a FASTA or FASTQ file, plain or gzip. */
#ifndef KMER_SEQUENCE_H
#define KMER_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

#include "progress.h"

/* A, C, G and T are the codes 0 to 3, so that 3 - code is the complement. No k-mer spans a break: it stands for every
 * other letter, and between two records. */
enum { SEQUENCE_BREAK = 4 };

typedef struct sequence {
    uint8_t *code;
    size_t length;
    uint64_t bases;         /* letters read, those that are breaks too */
    uint64_t records;
} sequence;

/* Returns 0, or -1 with one line in `error` that says what is wrong with the file, and an empty sequence. */
int sequence_read(const char *path, sequence *s, progress *shown, char *error, size_t size);
void sequence_free(sequence *s);

#endif
