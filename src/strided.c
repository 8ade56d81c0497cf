/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns what MPI datatypes mean here: of which element they are made, and moving their elements together and apart. A value holds
 * the datatype's handle as a number; only this file and the link know it for what it is.
 */
#include "strided.h"
#include "fit.h"
#include "memory.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { FEW = 16, PIECE = 1 << 30, NO_ADDRESSES = 1 << 16 };

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

static rref_type complex_of_size(MPI_Datatype type)
{
    const size_t bytes = bytes_of(type);
    return bytes == 8 ? RREF_C64 : bytes == 16 ? RREF_C128 : RREF_NONE;
}

/* A list may have MPI_DATATYPE_NULL in it, where MPI does not have a type. */
#define AMONG(type, ...) \
    among((type), (const MPI_Datatype[]){ __VA_ARGS__ }, sizeof((const MPI_Datatype[]){ __VA_ARGS__ }) / sizeof(MPI_Datatype))
static bool among(MPI_Datatype type, const MPI_Datatype *list, size_t count)
{
    size_t i = 0;
    while (i < count && list[i] != type) i++;
    return i < count;
}

/* Those of C; and of Fortran, whose sizes its compiler chose, or which are named by them. */
static rref_type named_element(MPI_Datatype type)
{
    if (AMONG(type, MPI_DOUBLE, MPI_FLOAT)) return type == MPI_DOUBLE ? RREF_F64 : RREF_F32;
    if (AMONG(type, MPI_BYTE, MPI_CHAR, MPI_PACKED, MPI_CHARACTER)) return RREF_BYTES;
    if (AMONG(type, MPI_INT, MPI_SHORT, MPI_LONG, MPI_LONG_LONG, MPI_SIGNED_CHAR, MPI_INT8_T, MPI_INT16_T, MPI_INT32_T,
              MPI_INT64_T, MPI_AINT, MPI_OFFSET, MPI_COUNT, MPI_INTEGER, MPI_INTEGER1, MPI_INTEGER2, MPI_INTEGER4, MPI_INTEGER8))
        return integer_of_size(type);
    if (AMONG(type, MPI_UNSIGNED, MPI_UNSIGNED_SHORT, MPI_UNSIGNED_LONG, MPI_UNSIGNED_LONG_LONG, MPI_UNSIGNED_CHAR, MPI_UINT8_T,
              MPI_UINT16_T, MPI_UINT32_T, MPI_UINT64_T))
        return unsigned_of_size(type);
    if (AMONG(type, MPI_C_BOOL)) return RREF_BOOL;
    if (AMONG(type, MPI_REAL, MPI_DOUBLE_PRECISION, MPI_REAL4, MPI_REAL8)) return of_size(type, RREF_F32, RREF_F64);
    if (AMONG(type, MPI_C_COMPLEX, MPI_C_FLOAT_COMPLEX, MPI_C_DOUBLE_COMPLEX, MPI_COMPLEX, MPI_DOUBLE_COMPLEX, MPI_COMPLEX8,
              MPI_COMPLEX16))
        return complex_of_size(type);
    return RREF_NONE;
}

enum {
    STARVED = RREF_STRUCT + 1,          /* an element that could not be found out for want of memory */
    MADE_OF_OTHERS                      /* which are on the pile */
};

/* Datatypes that are still to be looked into. There is no recursion, since one may be made of others however deeply. */
typedef struct pile {
    MPI_Datatype *type;
    size_t count, room;
} pile;

/* MPI's own are not freed: those with names, and those that Fortran chooses by precision or range. */
static bool is_own(int combiner)
{
    return combiner == MPI_COMBINER_NAMED || combiner == MPI_COMBINER_F90_REAL || combiner == MPI_COMBINER_F90_COMPLEX
           || combiner == MPI_COMBINER_F90_INTEGER;
}

static rref_type own_element(MPI_Datatype type, int combiner)
{
    return combiner == MPI_COMBINER_F90_REAL ? of_size(type, RREF_F32, RREF_F64)
           : combiner == MPI_COMBINER_F90_COMPLEX ? complex_of_size(type)
           : combiner == MPI_COMBINER_F90_INTEGER ? integer_of_size(type) : named_element(type);
}

static void free_derived(MPI_Datatype *type)
{
    int integers, addresses, types, combiner;
    if (MPI_Type_get_envelope(*type, &integers, &addresses, &types, &combiner) != MPI_SUCCESS) return;
    if (!is_own(combiner)) MPI_Type_free(type);
}

static bool make_room(pile *p, size_t more)
{
    if (p->room - p->count >= more) return true;
    const size_t room = 2 * p->count + more;
    MPI_Datatype *type = rri_realloc(p->type, room * sizeof *type);
    if (!type) return false;
    p->type = type;
    p->room = room;
    return true;
}

/* What a type is made of, for which there is room; blocks: how many elements of each a struct has, or NULL. What adds nothing,
 * and what has just been added, is left out. */
static void pile_up(pile *p, MPI_Datatype *inner, int count, const int *blocks, bool empty)
{
    const size_t before = p->count;
    for (int i = 0; i < count; i++) {
        const bool adds = empty || ((!blocks || blocks[i]) && bytes_of(inner[i]));
        if (adds && (p->count == before || p->type[p->count - 1] != inner[i])) p->type[p->count++] = inner[i];
        else free_derived(&inner[i]);
    }
}

static rref_type look_into(MPI_Datatype type, int integers, int addresses, int types, bool is_struct, pile *p)
{
    int few[FEW], *numbers = few;
    MPI_Aint some[FEW], *displacements = some;
    MPI_Datatype one[FEW], *inner = one;
    rref_type outcome = (rref_type)STARVED;
    if (integers > FEW) numbers = rri_malloc((size_t)integers * sizeof *numbers);
    if (addresses > FEW) displacements = rri_malloc((size_t)addresses * sizeof *displacements);
    if (types > FEW) inner = rri_malloc((size_t)types * sizeof *inner);
    if (numbers && displacements && inner && make_room(p, (size_t)types)) {
        int rc = MPI_Type_get_contents(type, integers, addresses, types, numbers, displacements, inner);
        outcome = rc == MPI_SUCCESS ? (rref_type)MADE_OF_OTHERS : RREF_NONE;
        if (rc == MPI_SUCCESS) pile_up(p, inner, types, is_struct ? numbers + 1 : NULL, bytes_of(type) == 0);
    }
    if (numbers != few) free(numbers);
    if (displacements != some) free(displacements);
    if (inner != one) free(inner);
    return outcome;
}

static rref_type look_at(MPI_Datatype type, pile *p)
{
    int integers, addresses, types, combiner;
    if (type == MPI_DATATYPE_NULL) return RREF_NONE;
    if (MPI_Type_get_envelope(type, &integers, &addresses, &types, &combiner) != MPI_SUCCESS) return RREF_NONE;
    if (is_own(combiner)) return own_element(type, combiner);
    if (types <= 0) return RREF_NONE;
    return look_into(type, integers, addresses, types, combiner == MPI_COMBINER_STRUCT, p);
}

/* RREF_NONE: it has none, or several. */
static rref_type element_of(MPI_Datatype type)
{
    pile p = { NULL, 0, 0 };
    rref_type common = look_at(type, &p);
    while (p.count && common != RREF_NONE && common != (rref_type)STARVED) {
        MPI_Datatype next = p.type[--p.count];
        const rref_type found = look_at(next, &p);
        free_derived(&next);
        if (found == (rref_type)MADE_OF_OTHERS || found == common) continue;
        common = common == (rref_type)MADE_OF_OTHERS || found == (rref_type)STARVED ? found : RREF_NONE;
    }
    while (p.count) free_derived(&p.type[--p.count]);
    free(p.type);
    return common == (rref_type)MADE_OF_OTHERS ? RREF_NONE : common;
}

/* ---- moving */

/* MPI counts bytes in an int: so many items at a time. */
static int items_at_once(size_t left, size_t each)
{
    const size_t most = each < PIECE ? PIECE / each : 1;
    return (int)(left < most ? left : most);
}

/* Items of a layout in memory, one after the other. */
typedef struct items {
    uintptr_t at;               /* of the first */
    MPI_Datatype type;
    MPI_Aint extent;
    size_t each, count;
    bool made;                  /* the type is for this alone */
} items;

/* MPI_BOTTOM is NULL, which an MPI_Pack may refuse: the same elements, counted from where the first of them is. */
static bool leave_bottom(items *m)
{
    MPI_Aint low, extent;
    MPI_Datatype bottom = m->type;
    if (MPI_Type_get_true_extent(bottom, &low, &extent) != MPI_SUCCESS) return false;
    const MPI_Aint back = -low;
    if (MPI_Type_create_hindexed_block(1, 1, &back, bottom, &m->type) != MPI_SUCCESS) return false;
    m->at = (uintptr_t)low;
    m->made = true;
    return MPI_Type_commit(&m->type) == MPI_SUCCESS;
}

static items items_of(const rri_segment *s)
{
    MPI_Aint low;
    items m = { (uintptr_t)s->data, rri_strided_type(s), 0, 0, rri_strided_items(s), false };
    m.each = bytes_of(m.type);
    if (MPI_Type_get_extent(m.type, &low, &m.extent) != MPI_SUCCESS) m.count = 0;
    if (m.count && !m.at && !leave_bottom(&m)) m.count = 0;
    return m;
}

static void *item(const items *m, size_t i) { return (void *)(m->at + (uintptr_t)((MPI_Aint)i * m->extent)); }

static void leave(items *m)
{
    if (m->made) MPI_Type_free(&m->type);
}

static void gather(const rri_segment *from, void *to)
{
    items m = items_of(from);
    for (size_t i = 0; i < m.count;) {
        int at = 0, n = items_at_once(m.count - i, m.each);
        MPI_Pack(item(&m, i), n, m.type, (char *)to + i * m.each, n * (int)m.each, &at, MPI_COMM_SELF);
        i += (size_t)n;
    }
    leave(&m);
}

static void scatter(const void *from, const rri_segment *to)
{
    items m = items_of(to);
    for (size_t i = 0; i < m.count;) {
        int at = 0, n = items_at_once(m.count - i, m.each);
        MPI_Unpack((const char *)from + i * m.each, n * (int)m.each, &at, item(&m, i), n, m.type, MPI_COMM_SELF);
        i += (size_t)n;
    }
    leave(&m);
}

/* Whether a datatype has the addresses in itself, so that it goes with MPI_BOTTOM, which is NULL. */
static bool is_absolute(uint64_t layout)
{
    MPI_Aint low, extent;
    MPI_Datatype type;
    memcpy(&type, &layout, sizeof type);
    if (MPI_Type_get_true_extent(type, &low, &extent) != MPI_SUCCESS) return false;
    return low < 0 || low >= NO_ADDRESSES;      /* where programs have nothing */
}

static const rri_layouts moves = { gather, scatter, is_absolute };

/* ---- values */

static size_t element_bytes(rref_type element)
{
    static const unsigned char bytes[RREF_STRUCT + 1] = {
        [RREF_BOOL] = 1, [RREF_I8] = 1, [RREF_I16] = 2, [RREF_I32] = 4, [RREF_I64] = 8, [RREF_U8] = 1, [RREF_U16] = 2,
        [RREF_U32] = 4, [RREF_U64] = 8, [RREF_F32] = 4, [RREF_F64] = 8, [RREF_C64] = 8, [RREF_C128] = 16, [RREF_BYTES] = 1,
    };
    return bytes[element];
}

/* What no call takes has no element, and as their size why. An item is packed whole, and its bytes are an int for MPI. */
static rref_value make(rref_kind kind, const void *buffer, size_t count, MPI_Datatype type)
{
    const rref_type found = element_of(type);
    const size_t bytes = found == RREF_NONE ? 0 : bytes_of(type);
    const bool starved = found == (rref_type)STARVED, unwieldy = bytes > INT_MAX;
    const rref_type element = starved || unwieldy ? RREF_NONE : found;
    const size_t size = starved ? RRI_STARVED : unwieldy ? RRI_UNWIELDY : element_bytes(element);
    const size_t each = element ? bytes / size : 0, elements = each && count > SIZE_MAX / each ? SIZE_MAX : count * each;
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
