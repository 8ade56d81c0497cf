/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns what MPI datatypes mean here: of which element they are made, and moving their elements together and apart. A value holds
 * the datatype's handle as a number; only this file and the link know it for what it is.
 */
#include "strided.h"
#include "fit.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 16, DEEPEST = 32, PIECE = 1 << 30 };

_Static_assert(sizeof(MPI_Datatype) <= sizeof(uint64_t), "a datatype's handle fits a value");

static uint64_t number_of(MPI_Datatype type)
{
    uint64_t number = 0;
    memcpy(&number, &type, sizeof type);
    return number;
}

MPI_Datatype rri_strided_type(const rri_segment *segment)
{
    MPI_Datatype type;
    memcpy(&type, &segment->layout, sizeof type);
    return type;
}

static size_t bytes_of(MPI_Datatype type)
{
    MPI_Count bytes = 0;
    if (MPI_Type_size_x(type, &bytes) != MPI_SUCCESS || bytes < 0) return 0;
    return (size_t)bytes;
}

size_t rri_strided_items(const rri_segment *segment)
{
    const size_t each = bytes_of(rri_strided_type(segment));
    return each ? segment->bytes / each : 0;
}

/* ---- elements */

static rref_type of_size(MPI_Datatype type, rref_type four, rref_type eight)
{
    const size_t bytes = bytes_of(type);
    return bytes == 4 ? four : bytes == 8 ? eight : RREF_NONE;
}

static rref_type integer_of_size(MPI_Datatype type)
{
    const size_t bytes = bytes_of(type);
    return bytes == 1 ? RREF_I8 : bytes == 2 ? RREF_I16 : of_size(type, RREF_I32, RREF_I64);
}

static rref_type unsigned_of_size(MPI_Datatype type)
{
    const size_t bytes = bytes_of(type);
    return bytes == 1 ? RREF_U8 : bytes == 2 ? RREF_U16 : of_size(type, RREF_U32, RREF_U64);
}

#define AMONG(type, ...) among((type), (const MPI_Datatype[]){ __VA_ARGS__, MPI_DATATYPE_NULL })
static bool among(MPI_Datatype type, const MPI_Datatype *list)
{
    while (*list != MPI_DATATYPE_NULL && *list != type) list++;
    return *list == type;
}

/* Those of C; and of Fortran, whose sizes its compiler chose. */
static rref_type named_element(MPI_Datatype type)
{
    if (type == MPI_DATATYPE_NULL) return RREF_NONE;
    if (AMONG(type, MPI_DOUBLE, MPI_FLOAT)) return type == MPI_DOUBLE ? RREF_F64 : RREF_F32;
    if (AMONG(type, MPI_BYTE, MPI_CHAR, MPI_PACKED)) return RREF_BYTES;
    if (AMONG(type, MPI_INT, MPI_SHORT, MPI_LONG, MPI_LONG_LONG, MPI_SIGNED_CHAR, MPI_INT8_T, MPI_INT16_T, MPI_INT32_T,
              MPI_INT64_T, MPI_AINT, MPI_OFFSET, MPI_COUNT))
        return integer_of_size(type);
    if (AMONG(type, MPI_UNSIGNED, MPI_UNSIGNED_SHORT, MPI_UNSIGNED_LONG, MPI_UNSIGNED_LONG_LONG, MPI_UNSIGNED_CHAR, MPI_UINT8_T,
              MPI_UINT16_T, MPI_UINT32_T, MPI_UINT64_T))
        return unsigned_of_size(type);
    if (AMONG(type, MPI_C_BOOL)) return RREF_BOOL;
    if (AMONG(type, MPI_C_FLOAT_COMPLEX, MPI_C_DOUBLE_COMPLEX)) return type == MPI_C_FLOAT_COMPLEX ? RREF_C64 : RREF_C128;
    if (type == MPI_INTEGER) return integer_of_size(type);
    if (type == MPI_REAL || type == MPI_DOUBLE_PRECISION) return of_size(type, RREF_F32, RREF_F64);
    if (type == MPI_COMPLEX || type == MPI_DOUBLE_COMPLEX)
        return bytes_of(type) == 8 ? RREF_C64 : bytes_of(type) == 16 ? RREF_C128 : RREF_NONE;
    return RREF_NONE;
}

enum { STARVED = RREF_STRUCT + 1 };     /* an element that could not be found out for want of memory */
static rref_type element_of(MPI_Datatype type, int depth);

static void free_derived(MPI_Datatype *type)
{
    int integers, addresses, types, combiner;
    if (MPI_Type_get_envelope(*type, &integers, &addresses, &types, &combiner) != MPI_SUCCESS) return;
    if (combiner != MPI_COMBINER_NAMED) MPI_Type_free(type);
}

/* The element of all the types that another one is made of, which are used up. */
static rref_type common_element(MPI_Datatype *inner, int count, int depth)
{
    rref_type common = element_of(inner[0], depth);
    for (int i = 1; i < count && common != RREF_NONE; i++)
        if (element_of(inner[i], depth) != common) common = RREF_NONE;
    for (int i = 0; i < count; i++) free_derived(&inner[i]);
    return common;
}

static rref_type derived_element(MPI_Datatype type, int integers, int addresses, int types, int depth)
{
    int few[FEW], *numbers = few;
    MPI_Aint some[FEW], *displacements = some;
    MPI_Datatype one[FEW], *inner = one;
    rref_type element = (rref_type)STARVED;
    if (integers > FEW) numbers = rri_malloc((size_t)integers * sizeof *numbers);
    if (addresses > FEW) displacements = rri_malloc((size_t)addresses * sizeof *displacements);
    if (types > FEW) inner = rri_malloc((size_t)types * sizeof *inner);
    if (numbers && displacements && inner) {
        int rc = MPI_Type_get_contents(type, integers, addresses, types, numbers, displacements, inner);
        element = rc == MPI_SUCCESS ? common_element(inner, types, depth) : RREF_NONE;
    }
    if (numbers != few) free(numbers);
    if (displacements != some) free(displacements);
    if (inner != one) free(inner);
    return element;
}

/* RREF_NONE: it has none, or several. */
static rref_type element_of(MPI_Datatype type, int depth)
{
    int integers, addresses, types, combiner;
    if (type == MPI_DATATYPE_NULL || depth >= DEEPEST) return RREF_NONE;
    if (MPI_Type_get_envelope(type, &integers, &addresses, &types, &combiner) != MPI_SUCCESS) return RREF_NONE;
    if (combiner == MPI_COMBINER_NAMED) return named_element(type);
    return types > 0 ? derived_element(type, integers, addresses, types, depth + 1) : RREF_NONE;
}

/* ---- moving */

/* MPI counts bytes in an int: so many items at a time. */
static int items_at_once(size_t left, size_t each)
{
    const size_t most = each < PIECE ? PIECE / each : 1;
    return (int)(left < most ? left : most);
}

static void gather(const rri_segment *from, void *to)
{
    MPI_Aint low, extent;
    const MPI_Datatype type = rri_strided_type(from);
    const size_t each = bytes_of(type), items = rri_strided_items(from);
    if (!items || MPI_Type_get_extent(type, &low, &extent) != MPI_SUCCESS) return;
    for (size_t i = 0; i < items;) {
        int at = 0, n = items_at_once(items - i, each);
        MPI_Pack((const char *)from->data + (MPI_Aint)i * extent, n, type, (char *)to + i * each, n * (int)each, &at,
                 MPI_COMM_SELF);
        i += (size_t)n;
    }
}

static void scatter(const void *from, const rri_segment *to)
{
    MPI_Aint low, extent;
    const MPI_Datatype type = rri_strided_type(to);
    const size_t each = bytes_of(type), items = rri_strided_items(to);
    if (!items || MPI_Type_get_extent(type, &low, &extent) != MPI_SUCCESS) return;
    for (size_t i = 0; i < items;) {
        int at = 0, n = items_at_once(items - i, each);
        MPI_Unpack((const char *)from + i * each, n * (int)each, &at, (char *)to->data + (MPI_Aint)i * extent, n, type,
                   MPI_COMM_SELF);
        i += (size_t)n;
    }
}

static const rri_layouts moves = { gather, scatter };

/* ---- values */

static size_t element_bytes(rref_type element)
{
    static const unsigned char bytes[RREF_STRUCT + 1] = {
        [RREF_BOOL] = 1, [RREF_I8] = 1, [RREF_I16] = 2, [RREF_I32] = 4, [RREF_I64] = 8, [RREF_U8] = 1, [RREF_U16] = 2,
        [RREF_U32] = 4, [RREF_U64] = 8, [RREF_F32] = 4, [RREF_F64] = 8, [RREF_C64] = 8, [RREF_C128] = 16, [RREF_BYTES] = 1,
    };
    return bytes[element];
}

static rref_value make(rref_kind kind, const void *buffer, size_t count, MPI_Datatype type)
{
    const rref_type found = element_of(type, 0), element = found == (rref_type)STARVED ? RREF_NONE : found;
    const size_t size = found == element ? element_bytes(element) : RRI_STARVED, each = element ? bytes_of(type) / size : 0;
    const size_t elements = each && count > SIZE_MAX / each ? SIZE_MAX : count * each;
    rri_values_layouts(&moves);
    return rref_value_make_(kind, element, size, elements, (uint64_t)(uintptr_t)buffer, number_of(type));
}

rref_value rref_strided(const void *buffer, size_t count, MPI_Datatype type)
{
    return make(RREF_VALUE_STRIDED, buffer, count, type);
}

rref_value rref_borrow_strided(const void *buffer, size_t count, MPI_Datatype type)
{
    return make(RREF_VALUE_BORROW_STRIDED, buffer, count, type);
}

rref_value rref_out_strided(void *buffer, size_t count, MPI_Datatype type)
{
    return make(RREF_VALUE_OUT_STRIDED, buffer, count, type);
}
