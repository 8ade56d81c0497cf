/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Values: tagged arguments checked against a type list, packed once, and read where they lie.
 *
 * A packed list ("payload", little-endian, starts 16-aligned):
 *   slots   one per type, at type.slot (signature.h). Scalars: bits, the rest of the slot zero. Variable: {count, where}.
 *   data    of the variables in order, each aligned to its type.align from the start of the payload. Strings carry their 0
 *           (count excludes it).
 * where is the offset of the data from the start of the payload; or, with RRI_BULK set, the data travels beside the message
 * as a segment, and where's other bits are its offset in the landing area (segments in order, each 64-aligned). Strings that
 * travel in bulk carry their 0 too. There is one payload to given counts: where's follow from them.
 */
#ifndef RRI_VALUE_H
#define RRI_VALUE_H

#include "signature.h"

#include <string.h>

#define RRI_BULK (UINT64_C(1) << 63)

/* A piece of bulk data. */
typedef struct rri_segment {
    void *data;
    size_t bytes;           /* > 0 */
    uint64_t layout;        /* 0: they lie together; else an MPI datatype, as many of it from data on as hold that much */
} rri_segment;

/* Data that does not lie together is moved by who knows MPI; said by who makes such values. */
typedef struct rri_layouts {
    void (*gather)(const rri_segment *from, void *to);
    void (*scatter)(const void *from, const rri_segment *to);
    bool (*is_absolute)(uint64_t layout);       /* it says where in memory its elements are, beside no address */
} rri_layouts;
void rri_values_layouts(const rri_layouts *layouts);

/* More than this in a layout is moved by way of memory that lies together: MPI counts a message's bytes in an int. */
#define RRI_LAYOUT_MAX ((size_t)1 << 30)

static inline bool rri_value_strided(const rref_value *v)
{
    return v->kind == RREF_VALUE_STRIDED || v->kind == RREF_VALUE_BORROW_STRIDED || v->kind == RREF_VALUE_OUT_STRIDED;
}
static inline bool rri_value_output(const rref_value *v)
{
    return v->kind == RREF_VALUE_OUT || v->kind == RREF_VALUE_OUT_ARRAY || v->kind == RREF_VALUE_OUT_STRIDED;
}
static inline bool rri_value_borrows(const rref_value *v)
{
    return v->kind == RREF_VALUE_BORROW || v->kind == RREF_VALUE_BORROW_STRIDED;
}
static inline bool rri_value_array(const rref_value *v)
{
    return v->kind == RREF_VALUE_ARRAY || v->kind == RREF_VALUE_STRIDED || rri_value_borrows(v);
}
/* The name that a list begins with, of a method or a class; NULL if it begins otherwise. */
const char *rri_values_name(const rref_value *values, size_t count);
/* How many inputs come first. */
size_t rri_values_inputs(const rref_value *values, size_t count);
/* Whether an array that has elements has an address, or needs none. */
bool rri_value_placed(const rref_value *array);
/* Copy the elements of an array, of whatever layout, together. */
void rri_value_flatten(const rref_value *array, void *to);
/* Where a value has its elements, so many bytes of them; write bytes that lie together there. */
rri_segment rri_value_segment(const rref_value *value, size_t bytes);
void rri_segment_write(const rri_segment *to, const void *from);

/* What packing a list of values takes; filled by rri_values_check. */
typedef struct rri_packing {
    size_t bytes;           /* of the payload, a multiple of 8 */
    size_t bulk;            /* bytes of the landing area; 0: nothing travels in bulk */
    unsigned segments;      /* pieces of bulk data */
    uint16_t in_bulk;       /* bit i: argument i travels in bulk */
    uint16_t borrowed;      /* bit i: argument i is to be used in place */
    size_t copies;          /* bytes of what travels in bulk and is not borrowed */
    bool spread;            /* some layout is too large to be sent in place */
} rri_packing;

/* References are known to a higher floor; it hands in how they are put on the wire and taken off it.
 * put: reference -> RRI_REF_WIRE bytes; returns 0 or an error code through rri_fail. drop: what was put and not taken goes
 * back. */
typedef struct rri_ref_codec {
    int (*put)(void *up, rref reference, void *wire);
    void *up;
    void (*drop)(void *up, const void *wire);
} rri_ref_codec;

/* Check `count` values (inputs only; the texts number them from 0) against a list: number, type, range, NULL
 * pointers; decide what travels in bulk: when the payload would exceed `eager` bytes, every variable of more than
 * eager/16 bytes does (never ref[]).
 * Conversions: integers when the value fits; bool from 0 and 1, integers from bool; integers to floats when exact;
 * f32 to f64; f64 to f32 by rounding, overflow refused (infinities and NaN pass); c64 to c128 and back likewise;
 * floats never to integers, bools never to floats; complex from complex only. Arrays by exact element, with or
 * without borrowing; char arrays (RREF_BYTES) count as bytes, i8[] and u8[]; u8[] and i8[] count as bytes. "struct
 * s[N]" takes one RREF_STRUCT of that name and size.
 * Errors (text shows the types given and the list wanted, e.g. "axpy(f64) given, axpy(f64, f64[]) wanted" minus the
 * name): SIGNATURE, RANGE (names argument index, value and type), ARGUMENT (NULL). */
int rri_values_check(const rri_types *types, const rref_value *values, size_t count, size_t eager, rri_packing *packing);

/* Pack checked values into payload (packing->bytes bytes, 16-aligned; padding is zeroed) and list the segments (room
 * for packing->segments; data points into the caller's memory). codec may be NULL when types->refs is false.
 * Returns 0 or what the codec said; then what it had put before is dropped. */
int rri_values_pack(const rri_types *types, const rref_value *values, const rri_packing *packing, void *payload,
                    rri_segment *segments, const rri_ref_codec *codec);

/* Check values and pack them, nothing in bulk, into memory that the caller frees; 64-aligned. NULL through rri_fail. */
void *rri_values_packed(const rri_types *types, const rref_value *values, size_t count, const rri_ref_codec *codec,
                        size_t *bytes);

/* Value i of a payload, in place; a reference's has bits 0. */
rref_value rri_payload_value(const rri_types *types, unsigned i, const void *payload, const void *landing);
/* Drop every reference of a payload that was not taken. */
void rri_payload_drop(const rri_types *types, const void *payload, const rri_ref_codec *codec);

/* Copy the segments that are not borrowed to `copies` (packing->copies bytes), and have them lie there. */
void rri_segments_copy(const rri_packing *packing, rri_segment *segments, void *copies);

/* Slot of a variable. */
typedef struct rri_extent {
    uint64_t count;
    uint64_t where;
} rri_extent;

static inline rri_extent rri_payload_extent(const rri_type *type, const void *payload)
{
    rri_extent slot;
    memcpy(&slot, (const char *)payload + type->slot, sizeof slot);
    return slot;
}

static inline bool rri_payload_in_bulk(const rri_type *type, const void *payload)
{
    return type->variable && (rri_payload_extent(type, payload).where & RRI_BULK);
}

/* So many elements of a variable, as they travel. */
static inline size_t rri_type_bytes(const rri_type *type, uint64_t count)
{
    return (size_t)count * type->wire + (type->element == RREF_STR);
}

/* Check a payload that came from outside: slots and data within `bytes` (more may follow: records are padded), each
 * where as packing makes it, strings end in 0, bools 0 or 1, counts that do not overflow, plain structs have count
 * 1. What is in bulk has not come yet: rri_segments_check. Fills packing. Returns 0 or RREF_ERR_PROTOCOL. `payload`
 * is 16-aligned. */
int rri_payload_check(const rri_types *types, const void *payload, size_t bytes, rri_packing *packing);

/* Bytes that a checked payload needs in a landing area, to the end of the last segment. */
size_t rri_payload_landing(const rri_types *types, const void *payload);
/* Lay out the segments of a checked payload in a landing area. Returns how many. */
unsigned rri_payload_segments(const rri_types *types, const void *payload, void *landing, rri_segment *segments);

/* Check bulk data of a checked payload that has landed: strings end in 0, bools are 0 or 1. Returns 0 or
 * RREF_ERR_PROTOCOL. */
int rri_segments_check(const rri_types *types, const void *payload, const rri_segment *segments);

/* Data of value i: in the payload, or in the landing area (NULL without one). A scalar's is its slot, count 1. count
 * may be NULL. */
const void *rri_payload_data(const rri_types *types, unsigned i, const void *payload, const void *landing, size_t *count);

#endif
