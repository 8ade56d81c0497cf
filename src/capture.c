/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns captured arguments: one block of memory, the values and then the data of each. */
#include "capture.h"
#include "error.h"
#include "memory.h"
#include "fit.h"
#include "reference.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 16 };

static size_t padded(size_t bytes) { return (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1); }

static const void *address(uint64_t bits) { return (const void *)(uintptr_t)bits; }

static bool is_text(const rref_value *v) { return v->kind == RREF_VALUE_SCALAR && v->element == RREF_STR && v->bits; }
static bool is_array(const rref_value *v)
{
    return (v->kind == RREF_VALUE_ARRAY || v->kind == RREF_VALUE_STRIDED) && v->count && rri_value_placed(v);
}

/* Bytes behind a value, beside the name of a struct. */
static size_t data_bytes(const rref_value *v)
{
    if (is_text(v)) return strlen(address(v->bits)) + 1;
    return is_array(v) ? (size_t)v->count * v->size : 0;
}

static size_t name_bytes(const rref_value *v)
{
    bool named = v->element == RREF_STRUCT && v->extra && (v->kind == RREF_VALUE_ARRAY || v->kind == RREF_VALUE_BORROW);
    return named ? strlen(address(v->extra)) + 1 : 0;
}

static char *copy(char *to, uint64_t *bits, size_t bytes)
{
    if (!bytes) return to;
    memcpy(to, address(*bits), bytes);
    *bits = (uint64_t)(uintptr_t)to;
    return to + padded(bytes);
}

/* The elements of a layout lie together in the copy. */
static char *copy_data(char *to, rref_value *v, size_t bytes)
{
    if (!bytes || v->kind != RREF_VALUE_STRIDED) return copy(to, &v->bits, bytes);
    rri_value_flatten(v, to);
    *v = rref_array_of_(RREF_VALUE_ARRAY, (rref_type)v->element, v->size, to, (size_t)v->count);
    return to + padded(bytes);
}

/* The references of a value: none, itself, or an array of them. */
static const rref *references(const rref_value *v, rref *one, size_t *count)
{
    *one = (rref){ v->bits };
    bool scalar = v->kind == RREF_VALUE_SCALAR, array = is_array(v) || rri_value_borrows(v);
    *count = v->element != RREF_REF ? 0 : scalar ? 1 : array && v->bits ? (size_t)v->count : 0;
    return scalar ? one : address(v->bits);
}

static void release_all(const rref_value *v, size_t some)
{
    rref one;
    size_t n;
    const rref *r = references(v, &one, &n);
    for (size_t i = 0; i < n && i < some; i++) rri_reference_drop(r[i]);
}

static int retain_all(const rref_value *v)
{
    rref one;
    size_t n;
    const rref *r = references(v, &one, &n);
    for (size_t i = 0; i < n; i++) {
        int rc = rref_retain(r[i]);
        if (!rc) continue;
        release_all(v, i);
        return rc;
    }
    return RREF_OK;
}

static int measure(const rref_value *values, size_t count, size_t *bytes)
{
    *bytes = padded(count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        if (is_array(&values[i]) && values[i].size && values[i].count > RRI_BYTES_MAX / values[i].size)
            return rri_fail(RREF_ERR_ARGUMENT, "argument %zu has %" PRIu64 " elements", i, values[i].count);
        *bytes += padded(data_bytes(&values[i])) + padded(name_bytes(&values[i]));
    }
    return RREF_OK;
}

int rri_capture_make(const rref_value *values, size_t count, rri_capture *capture)
{
    size_t bytes;
    int rc = measure(values, count, &bytes);
    char *memory = rc ? NULL : rri_malloc(bytes ? bytes : 1), *at = memory ? memory + padded(count * sizeof *values) : NULL;
    if (!rc && !memory) rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory to keep a call's arguments of %zu bytes", bytes);
    *capture = (rri_capture){ (rref_value *)(void *)memory, 0, false };
    for (; !rc && capture->count < count; capture->count += !rc) {
        rref_value *v = &capture->values[capture->count];
        *v = values[capture->count];
        size_t data = data_bytes(v), name = name_bytes(v);
        at = copy(copy_data(at, v, data), &v->extra, name);
        capture->borrows |= rri_value_borrows(v);
        rc = retain_all(v);
    }
    if (rc) rri_capture_free(capture);
    return rc;
}

void rri_capture_free(rri_capture *capture)
{
    for (size_t i = 0; i < capture->count; i++) release_all(&capture->values[i], SIZE_MAX);
    free(capture->values);
    *capture = (rri_capture){ NULL, 0, false };
}
