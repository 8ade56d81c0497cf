/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A fuzz target takes any bytes, gives them to one part of the library, and aborts if what it promises does not hold.
 * tests/fuzz/NAME.c is linked with libFuzzer by tests/fuzz/run.sh, and with replay.c as a test of `make check`.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold, whatever the bytes are. */
#define MUST(condition) ((condition) ? (void)0 : fuzz_fail(#condition, __FILE__, __LINE__))

static inline void fuzz_fail(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}

/* Bytes are cut off the front of the input; a string ends at its 0, or where the input does. */
typedef struct fuzz_input {
    const uint8_t *at;
    size_t left;
} fuzz_input;

static inline size_t fuzz_take(fuzz_input *in, void *to, size_t bytes)
{
    size_t n = bytes < in->left ? bytes : in->left;
    if (n) memcpy(to, in->at, n);
    in->at += n;
    in->left -= n;
    return n;
}

/* Zeroed memory of its exact size, so that AddressSanitizer sees a step outside. */
static inline void *fuzz_room(size_t bytes)
{
    void *room = calloc(1, bytes ? bytes : 1);
    if (!room) abort();
    return room;
}

static inline void *fuzz_exact(const void *from, size_t bytes)
{
    return bytes ? memcpy(fuzz_room(bytes), from, bytes) : fuzz_room(0);
}

static inline char *fuzz_string(fuzz_input *in)
{
    size_t n = 0;
    while (n < in->left && in->at[n]) n++;
    char *text = malloc(n + 1);
    if (!text) abort();
    fuzz_take(in, text, n);
    text[n] = 0;
    if (in->left) in->at++, in->left--;
    return text;
}

#endif
