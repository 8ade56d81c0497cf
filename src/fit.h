/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether a value fits a type, what becomes of it then, and the text that says why not. */
#ifndef RRI_FIT_H
#define RRI_FIT_H

#include "signature.h"

#include <stddef.h>
#include <string.h>

_Static_assert(offsetof(rref_value, kind) == 0 && offsetof(rref_value, element) == 2, "a type's tag is these two");

/* Bytes of one array: few enough that the sums over a list never overflow. */
#define RRI_BYTES_MAX (SIZE_MAX / 32)

/* As the size of a layout's elements, which are RREF_NONE: there was no memory to find out what they are; or one item of the
 * datatype has more bytes than MPI can pack. */
enum { RRI_STARVED = 1, RRI_UNWIELDY };

typedef enum rri_fit {
    RRI_FITS = 0,
    RRI_OTHER_TYPE,
    RRI_TOO_LARGE,              /* a number outside of the type */
    RRI_INEXACT,                /* an integer between two floats */
    RRI_NO_ADDRESS,
    RRI_BAD_SIZE,               /* elements of another size than the type has */
    RRI_NO_ELEMENT,             /* a layout that is not of one element type, or of RRI_STARVED or RRI_UNWIELDY */
    RRI_TOO_MANY                /* elements: more than RRI_BYTES_MAX */
} rri_fit;

/* "struct s[N]" without "[]": exactly one, without a count for its reader. */
static inline bool rri_plain_struct(const rri_type *type)
{
    return type->element == RREF_STRUCT && !type->array;
}

/* A value for a scalar type: what its slot is to hold, in two words for a c128, else in one. */
rri_fit rri_scalar_fit(const rri_type *type, const rref_value *value, uint64_t bits[2]);

/* The fields that types know by their tags. */
static inline uint32_t rri_value_begin(const rref_value *value)
{
    uint32_t both;
    memcpy(&both, value, sizeof both);
    return both;
}

/* Whether a value is a number of 64 bits given as just that type, as most are: it fits, and its bits are the slot. */
static inline bool rri_same_word(const rri_type *type, const rref_value *value)
{
    return rri_value_begin(value) == type->tag;
}

/* A value that fits, into the slot of a scalar type. */
void rri_number_convert(const rri_type *type, const rref_value *value, void *slot);

/* The same, short for most. */
static inline void rri_number_pack(const rri_type *type, const rref_value *value, void *slot)
{
    if (rri_same_word(type, value)) memcpy(slot, &value->bits, sizeof value->bits);
    else rri_number_convert(type, value, slot);
}

/* A value for a variable type, and how many elements it has (of a string: characters). */
rri_fit rri_variable_fit(const rri_type *type, const rref_value *value, size_t *count);

/* Room for a result of a type. */
rri_fit rri_output_fit(const rri_type *type, const rref_value *output);

/* The same for a number, as most are. */
static inline bool rri_same_room(const rri_type *type, const rref_value *output)
{
    return rri_value_begin(output) == type->room && output->size == type->size && output->bits;
}

/* Fail because of values[i]; there are as many values as types. noun is "argument" or "output". */
int rri_refuse(const rri_types *types, const rref_value *values, size_t i, rri_fit why, const char *noun);

/* Fail with both lists behind a prefix, "(f64) given, (f64, f64[]) wanted". */
int rri_refuse_list(const rri_types *types, const rref_value *values, size_t count, const char *prefix);

#endif
