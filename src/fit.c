/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the conversions of values, and the texts that say why one is refused.
 *
 * A conversion never changes a number but by rounding f64 to f32: what does not fit is refused. The path of scalars is
 * one switch over the type wanted; texts are made only when something is wrong.
 */
#include "fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "error.h"
#include "value.h"

enum { LIST_TEXT = 400, TYPE_TEXT = 96 };

/* ---- scalars ------------------------------------------------------------------------------------------------- */

static const struct {
    int64_t least;
    uint64_t most;
} ranges[] = {
    [RREF_BOOL] = { 0, 1 },
    [RREF_I8] = { INT8_MIN, INT8_MAX },
    [RREF_I16] = { INT16_MIN, INT16_MAX },
    [RREF_I32] = { INT32_MIN, INT32_MAX },
    [RREF_I64] = { INT64_MIN, INT64_MAX },
    [RREF_U8] = { 0, UINT8_MAX },
    [RREF_U16] = { 0, UINT16_MAX },
    [RREF_U32] = { 0, UINT32_MAX },
    [RREF_U64] = { 0, UINT64_MAX },
};

/* Any integer of 64 bits: negative says how to read the bits. */
typedef struct integer {
    uint64_t bits;
    bool negative;
} integer;

static inline integer extended(int64_t x)
{
    return (integer){ (uint64_t)x, x < 0 };
}

/* Only the bytes of the element count, so that a binding need not extend what it puts in bits. */
static inline bool read_integer(const rref_value *value, integer *x)
{
    switch (value->element) {
    case RREF_I64: *x = extended((int64_t)value->bits); return true;
    case RREF_U64: *x = (integer){ value->bits, false }; return true;
    case RREF_I32: *x = extended((int32_t)value->bits); return true;
    case RREF_I16: *x = extended((int16_t)value->bits); return true;
    case RREF_I8: *x = extended((int8_t)value->bits); return true;
    case RREF_U32: *x = (integer){ (uint32_t)value->bits, false }; return true;
    case RREF_U16: *x = (integer){ (uint16_t)value->bits, false }; return true;
    case RREF_U8: *x = (integer){ (uint8_t)value->bits, false }; return true;
    case RREF_BOOL: *x = (integer){ (uint8_t)value->bits != 0, false }; return true;
    default: return false;
    }
}

static inline rri_fit integer_bits(const rri_type *type, const rref_value *value, uint64_t *bits)
{
    integer x;

    if (!read_integer(value, &x)) return RRI_OTHER_TYPE;
    if (x.negative ? (int64_t)x.bits < ranges[type->element].least : x.bits > ranges[type->element].most)
        return RRI_TOO_LARGE;
    *bits = x.bits & UINT64_MAX >> (64 - 8 * type->size);
    return RRI_FITS;
}

static double double_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float float_of(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float x;
    memcpy(&x, &low, sizeof x);
    return x;
}

static uint64_t bits_of_double(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint64_t bits_of_float(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static rri_fit narrow(double x, uint64_t *bits)
{
    float y = (float)x;

    if (isinf(y) && !isinf(x)) return RRI_TOO_LARGE;
    *bits = bits_of_float(y);
    return RRI_FITS;
}

/* An integer is exact in a float when its digits between the outer ones fit: limit is 2 to the bits of the fraction. */
static rri_fit real_of_integer(const rref_value *value, uint64_t limit, double *x)
{
    integer i;

    if (value->element == RREF_BOOL || !read_integer(value, &i)) return RRI_OTHER_TYPE;
    uint64_t size = i.negative ? 0 - i.bits : i.bits;
    if (size > limit && size / (size & (0 - size)) > limit) return RRI_INEXACT;
    *x = i.negative ? -(double)size : (double)size;
    return RRI_FITS;
}

static rri_fit f64_bits(const rref_value *value, uint64_t *bits)
{
    double x;

    if (value->element == RREF_F64) {
        *bits = value->bits;
        return RRI_FITS;
    }
    if (value->element == RREF_F32) {
        *bits = bits_of_double((double)float_of(value->bits));
        return RRI_FITS;
    }
    rri_fit f = real_of_integer(value, UINT64_C(1) << 53, &x);
    if (f == RRI_FITS) *bits = bits_of_double(x);
    return f;
}

static rri_fit f32_bits(const rref_value *value, uint64_t *bits)
{
    double x;

    if (value->element == RREF_F32) {
        *bits = (uint32_t)value->bits;
        return RRI_FITS;
    }
    if (value->element == RREF_F64) return narrow(double_of(value->bits), bits);
    rri_fit f = real_of_integer(value, UINT64_C(1) << 24, &x);
    if (f == RRI_FITS) *bits = bits_of_float((float)x);
    return f;
}

static rri_fit c128_bits(const rref_value *value, uint64_t bits[2])
{
    bool wide = value->element == RREF_C128;

    if (!wide && value->element != RREF_C64) return RRI_OTHER_TYPE;
    bits[0] = wide ? value->bits : bits_of_double((double)float_of(value->bits));
    bits[1] = wide ? value->extra : bits_of_double((double)float_of(value->extra));
    return RRI_FITS;
}

static rri_fit c64_bits(const rref_value *value, uint64_t bits[2])
{
    uint64_t re = (uint32_t)value->bits, im = (uint32_t)value->extra;

    if (value->element != RREF_C64) {
        if (value->element != RREF_C128) return RRI_OTHER_TYPE;
        if (narrow(double_of(value->bits), &re) != RRI_FITS) return RRI_TOO_LARGE;
        if (narrow(double_of(value->extra), &im) != RRI_FITS) return RRI_TOO_LARGE;
    }
    bits[0] = re | im << 32;
    return RRI_FITS;
}

/* Whether a value fits a scalar type, and what its slot holds then. */
rri_fit rri_scalar_fit(const rri_type *type, const rref_value *value, uint64_t bits[2])
{
    if (value->kind != RREF_VALUE_SCALAR) return RRI_OTHER_TYPE;
    switch (type->element) {
    case RREF_F64: return f64_bits(value, bits);
    case RREF_F32: return f32_bits(value, bits);
    case RREF_C64: return c64_bits(value, bits);
    case RREF_C128: return c128_bits(value, bits);
    case RREF_REF:
        bits[0] = value->bits;
        return value->element == RREF_REF ? RRI_FITS : RRI_OTHER_TYPE;
    default: return integer_bits(type, value, bits);
    }
}

void rri_number_convert(const rri_type *type, const rref_value *value, void *slot)
{
    uint64_t bits[2] = { 0, 0 };
    rri_scalar_fit(type, value, bits);
    memcpy(slot, bits, type->element == RREF_C128 ? 16 : 8);
}

/* ---- variables ----------------------------------------------------------------------------------------------- */

static const void *address(const rref_value *value)
{
    return (const void *)(uintptr_t)value->bits;
}

/* char has no signedness of its own and bytes no type: both go with i8 and u8. */
static bool same_element(unsigned a, unsigned b)
{
    bool bytes = a == RREF_BYTES || b == RREF_BYTES;
    bool small = a == RREF_I8 || a == RREF_U8 || b == RREF_I8 || b == RREF_U8;

    return a == b || (bytes && small);
}

static bool same_struct(const rri_type *type, const rref_value *value)
{
    const char *name = (const char *)(uintptr_t)value->extra;

    return name && strcmp(name, type->name) == 0;
}

static rri_fit string_fit(const rref_value *value, size_t *count)
{
    if (value->kind != RREF_VALUE_SCALAR || value->element != RREF_STR) return RRI_OTHER_TYPE;
    if (value->bits == 0) return RRI_NO_ADDRESS;
    *count = strlen(address(value));
    return RRI_FITS;
}

/* Whether a value fits a variable type, and how many elements it has. */
rri_fit rri_variable_fit(const rri_type *type, const rref_value *value, size_t *count)
{
    if (type->element == RREF_STR) return string_fit(value, count);
    if (!rri_value_array(value)) return RRI_OTHER_TYPE;
    if (value->element == RREF_NONE && rri_value_strided(value)) return RRI_NO_ELEMENT;
    if (!same_element(type->element, value->element)) return RRI_OTHER_TYPE;
    if (type->element == RREF_STRUCT && !same_struct(type, value)) return RRI_OTHER_TYPE;
    if (rri_plain_struct(type) && value->count != 1) return RRI_OTHER_TYPE;
    if (value->size != type->size) return type->element == RREF_STRUCT ? RRI_OTHER_TYPE : RRI_BAD_SIZE;
    if (value->count > RRI_BYTES_MAX / type->wire) return RRI_TOO_MANY;
    if (value->count > 0 && !rri_value_placed(value)) return RRI_NO_ADDRESS;
    *count = (size_t)value->count;
    return RRI_FITS;
}

rri_fit rri_output_fit(const rri_type *type, const rref_value *output)
{
    bool single = !type->variable || rri_plain_struct(type);

    if (output->kind == RREF_VALUE_OUT_STRIDED && output->element == RREF_NONE) return RRI_NO_ELEMENT;
    if (output->kind == RREF_VALUE_OUT_STRIDED ? single : output->kind != (single ? RREF_VALUE_OUT : RREF_VALUE_OUT_ARRAY))
        return RRI_OTHER_TYPE;
    if (!same_element(type->element, output->element)) return RRI_OTHER_TYPE;
    if (rri_plain_struct(type) && !same_struct(type, output)) return RRI_OTHER_TYPE;
    if (output->size != type->size) return type->element == RREF_STRUCT ? RRI_OTHER_TYPE : RRI_BAD_SIZE;
    if ((single || output->count > 0) && !rri_value_placed(output)) return RRI_NO_ADDRESS;
    return RRI_FITS;
}

/* ---- refusals ------------------------------------------------------------------------------------------------ */

static void append(char *line, size_t size, const char *text)
{
    size_t used = strlen(line);
    rri_error_copy(line + used, size - used, text);
}

/* The type of a value as the signature would write it, an output with "out" before it. */
static void format_value(const rref_value *value, char *text, size_t size)
{
    bool output = rri_value_output(value), strided = rri_value_strided(value);
    bool sized = value->element == RREF_STR || value->element == RREF_BYTES;
    rri_type type = { .element = value->element <= RREF_STRUCT ? (uint8_t)value->element : RREF_NONE };

    type.size = value->size;
    type.array = !sized && (value->kind == RREF_VALUE_OUT_ARRAY || strided || rri_value_array(value));
    if (value->element == RREF_STRUCT && value->kind != RREF_VALUE_OUT_ARRAY) {
        type.array = value->count != 1;
        type.name = (const char *)(uintptr_t)value->extra;
    }
    text[0] = 0;
    if (output) append(text, size, "out ");
    if (strided) append(text, size, "strided ");
    rri_type_format(&type, text + strlen(text), size - strlen(text));
}

static void format_values(const rref_value *values, size_t count, char *line, size_t size)
{
    char text[TYPE_TEXT];

    rri_error_copy(line, size, "(");
    for (size_t i = 0; i < count && i <= RRI_TYPES_MAX; i++) {
        format_value(&values[i], text, sizeof text);
        if (i > 0) append(line, size, ", ");
        append(line, size, text);
    }
    append(line, size, count > RRI_TYPES_MAX + 1 ? ", ...)" : ")");
}

static void format_types(const rri_types *types, char *line, size_t size)
{
    char text[TYPE_TEXT];

    rri_error_copy(line, size, "(");
    for (unsigned i = 0; i < types->count; i++) {
        rri_type_format(&types->type[i], text, sizeof text);
        if (i > 0) append(line, size, ", ");
        append(line, size, text);
    }
    append(line, size, ")");
}

int rri_refuse_list(const rri_types *types, const rref_value *values, size_t count, const char *prefix)
{
    char given[LIST_TEXT], wanted[LIST_TEXT];

    format_values(values, count, given, sizeof given);
    format_types(types, wanted, sizeof wanted);
    return rri_fail(RREF_ERR_SIGNATURE, "%s%s given, %s wanted", prefix, given, wanted);
}

static void format_number(const rref_value *value, char *text, size_t size)
{
    integer x;

    if (value->element == RREF_C128)
        snprintf(text, size, "(%.17g, %.17g)", double_of(value->bits), double_of(value->extra));
    else if (value->element == RREF_F64) snprintf(text, size, "%.17g", double_of(value->bits));
    else if (!read_integer(value, &x)) snprintf(text, size, "it");
    else if (x.negative) snprintf(text, size, "%" PRId64, (int64_t)x.bits);
    else snprintf(text, size, "%" PRIu64, x.bits);
}

static int refuse_number(const rri_type *type, const rref_value *value, size_t i, const char *why)
{
    char number[TYPE_TEXT], wanted[TYPE_TEXT];

    format_number(value, number, sizeof number);
    rri_type_format(type, wanted, sizeof wanted);
    return rri_fail(RREF_ERR_RANGE, "argument %zu: %s %s %s", i, number, why, wanted);
}

static int refuse_layout(const rri_type *type, const rref_value *value, size_t i, const char *noun)
{
    char text[TYPE_TEXT];

    rri_type_format(type, text, sizeof text);
    if (value->size == RRI_STARVED)
        return rri_fail(RREF_ERR_NO_MEMORY, "%s %zu (%s): no memory to look into the MPI datatype", noun, i, text);
    if (value->size == RRI_UNWIELDY)
        return rri_fail(RREF_ERR_RANGE, "%s %zu (%s): one item of the MPI datatype has 2 GiB or more", noun, i, text);
    return rri_fail(RREF_ERR_SIGNATURE, "%s %zu (%s): the MPI datatype is not made of one element type that signatures have",
                    noun, i, text);
}

/* Values and outputs are refused alike; noun is "argument" or "output". */
int rri_refuse(const rri_types *types, const rref_value *values, size_t i, rri_fit why, const char *noun)
{
    const rri_type *type = &types->type[i];
    const rref_value *value = &values[i];
    char text[TYPE_TEXT];

    switch (why) {
    case RRI_TOO_LARGE: return refuse_number(type, value, i, "does not fit");
    case RRI_INEXACT: return refuse_number(type, value, i, "cannot be exact in");
    case RRI_TOO_MANY:
        return rri_fail(RREF_ERR_RANGE, "%s %zu: %" PRIu64 " elements of %" PRIu32 " bytes are more than there can be",
                        noun, i, value->count, type->wire);
    case RRI_BAD_SIZE:
        return rri_fail(RREF_ERR_ARGUMENT, "%s %zu: an element has %" PRIu32 " bytes, not %" PRIu32, noun, i,
                        type->size, value->size);
    case RRI_NO_ELEMENT: return refuse_layout(type, value, i, noun);
    case RRI_NO_ADDRESS:
        rri_type_format(type, text, sizeof text);
        return rri_fail(RREF_ERR_ARGUMENT, "%s %zu (%s) is NULL", noun, i, text);
    default:
        snprintf(text, sizeof text, "%s %zu does not fit: ", noun, i);
        return rri_refuse_list(types, values, types->count, text);
    }
}
