/* SPDX-License-Identifier: BSD-3-Clause */
/* The objects that are called. */
#ifndef PERF_OBJECTS_H
#define PERF_OBJECTS_H

#include <rref.h>

#include "bench.h"

/*
 * class "echo" (u64: bytes of its own data)
 *   inline, default, worker (u64 -> u64), and with _bytes (bytes -> bytes): give the argument back; where they run
 *                                          is what they are called
 *   take (bytes), give (-> bytes)          one way of the two; give has the object's data, as objects_fill makes it
 *   filled (bytes -> bool)                 whether the argument is as objects_fill makes it
 *   counted (f64[] -> bool)                whether the argument is 0, 1, 2 and so on
 *   add (u64), count (-> u64)              something for one-way calls to do, and how often it was done
 *   drop (ref)                             gets a reference and lets it go
 *   compute (u64)                          units of work (work.h), as a default method
 * class "bead" ()                          objects that are nothing but objects
 */
extern const rref_class echo_class, bead_class;

/* An echo on a rank, that exists. */
rref objects_echo(const bench *b, rref_context *context, int rank, size_t bytes);

/* Bytes that tell where they belong, and whether these are such. */
void objects_fill(char *data, size_t bytes);
bool objects_filled(const char *data, size_t bytes);

/* Beads that this rank has made, and those that live. */
typedef struct bead_count { uint64_t made, alive; } bead_count;
bead_count objects_beads(void);

/* The same of rank 1, asked by a call. */
bead_count objects_beads_there(const bench *b, rref_context *context);

#endif
