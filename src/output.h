/* SPDX-License-Identifier: BSD-3-Clause */
/* Outputs: where the values of a payload go. */
#ifndef RRI_OUTPUT_H
#define RRI_OUTPUT_H

#include "value.h"

/* Check outputs against a list: none, or one per type, exact types (scalars RREF_VALUE_OUT, variables
 * RREF_VALUE_OUT_ARRAY or, of numbers, RREF_VALUE_OUT_STRIDED, one struct RREF_VALUE_OUT; struct arrays by size; refs into
 * rref). Char variables (RREF_BYTES element) take i8 and u8; outputs of element u8, i8 or RREF_BYTES take bytes. Errors:
 * SIGNATURE, ARGUMENT (NULL). */
int rri_outputs_check(const rri_types *types, const rref_value *outputs, size_t count);

/* Whether checked outputs have the room for a checked payload's values. If so no landing area is needed. */
bool rri_outputs_fit(const rri_types *types, const void *payload, const rref_value *outputs);

/* Whether one output, and only one, could get a result in bulk, of more than `eager` bytes: which, and all of its room. A result
 * that lands there before the others are looked at must not be able to be refused: so the others are of fixed size. */
bool rri_outputs_room(const rri_types *types, const rref_value *outputs, size_t count, size_t eager, unsigned *which,
                      rri_segment *room);

/* Where bulk results land when the caller has given outputs: like rri_payload_segments, and with landing NULL
 * straight in the outputs' arrays, which must fit: outputs are written all or none. Returns how many. */
unsigned rri_outputs_segments(const rri_types *types, const void *payload, const rref_value *outputs, void *landing,
                              rri_segment *segments);

/* The handles of one message so far, see once.h; zero at first. */
typedef struct rri_once {
    rref first, *further;       /* further: malloc'ed, or NULL */
    size_t count, room;         /* of the further ones, and of their table */
} rri_once;

/* Write a checked payload's values into checked outputs, nothing at all when something does not fit (TRUNCATED:
 * names the output, the room and the need; SHAPE: a layout has another number of elements than the result). landing NULL:
 * bulk data landed in the outputs already; its count is written. take turns a wire reference into a handle, where `once` has
 * those that were taken from the same message, or is NULL; called in order, only after everything is known to fit; what it
 * returns is an error code, and then the handles taken before it are dropped (drop may be NULL) and their places are 0. taker may
 * be NULL when types->refs is false. */
typedef struct rri_ref_taker {
    int (*take)(void *up, const void *wire, rri_once *once, rref *reference);
    void *up;
    void (*drop)(void *up, rref reference);
} rri_ref_taker;
int rri_outputs_write(const rri_types *types, const void *payload, const void *landing, const rref_value *outputs,
                      size_t count, const rri_ref_taker *taker);

#endif
