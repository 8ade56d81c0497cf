/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns both ends of arguments that travel with their own signature. */
#include "described.h"
#include "error.h"
#include "memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TYPE_TEXT = 320 };

/* ---- the creator's side */

static int type_of(const rref_value *v, char text[TYPE_TEXT])
{
    bool array = rri_value_array(v);
    rri_type type = { .element = (uint8_t)v->element, .array = array && v->element != RREF_BYTES, .size = v->size };
    if (!array && v->kind != RREF_VALUE_SCALAR) return rri_fail(RREF_ERR_SIGNATURE, "a constructor has no results");
    if (v->element == RREF_NONE) return rri_fail(RREF_ERR_SIGNATURE, "an MPI datatype that is not of one element type");
    if (v->element == RREF_STRUCT) {
        type.name = (const char *)(uintptr_t)v->extra;
        if (!type.name || strlen(type.name) > 255) return rri_fail(RREF_ERR_ARGUMENT, "a struct without a name, or a long one");
    }
    rri_type_format(&type, text, TYPE_TEXT);
    return RREF_OK;
}

int rri_described_write(const char *name, const rref_value *values, size_t count, char text[RRI_DESCRIBED_MAX])
{
    char type[TYPE_TEXT];
    size_t room = RRI_DESCRIBED_MAX, used = (size_t)snprintf(text, room, "%s", name) + 1;
    if (used < room) text[used] = 0;
    for (size_t i = 0; i < count && used < room; i++) {
        int rc = type_of(&values[i], type);
        if (rc) return rc;
        used += (size_t)snprintf(text + used, room - used, "%s%s", i ? ", " : "", type);
    }
    return used < room ? (int)used : rri_fail(RREF_ERR_ARGUMENT, "the class name and the types of the arguments are too long");
}

/* ---- the owner's side */

int rri_described_read(rref_call *call, const char *signature)
{
    rri_signature *s = rri_malloc(sizeof *s);
    if (!s) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for a signature");
    int rc = rri_signature_parse(signature, s);
    if (rc) free(s);
    else call->given = s;
    return rc;
}

/* References move: a value holds the place of the wire form, which is copied, and so is its weight. */
static int move_ref(void *up, rref from, void *to)
{
    (void)up;
    memcpy(to, (const void *)(uintptr_t)from.bits, RRI_REF_WIRE);
    return RREF_OK;
}

/* A value in place; the places of an array's references are listed in *list, to be freed. */
static int value_of(const rref_call *c, unsigned i, rref_value *value, void **list)
{
    const rri_type *t = &c->in->type[i];
    size_t count;
    const char *at = rri_payload_data(c->in, i, c->payload, c->landing, &count);
    *value = rri_payload_value(c->in, i, c->payload, c->landing);
    if (t->element != RREF_REF) return RREF_OK;
    *value = rref_of_ref((rref){ (uint64_t)(uintptr_t)at });
    if (!t->array) return RREF_OK;
    rref *places = *list = rri_malloc(count ? count * sizeof *places : 1);
    if (!places) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for references");
    for (size_t k = 0; k < count; k++) places[k] = (rref){ (uint64_t)(uintptr_t)(at + k * RRI_REF_WIRE) };
    *value = rref_array_of_(RREF_VALUE_ARRAY, RREF_REF, sizeof *places, places, count);
    return RREF_OK;
}

static int repack(rref_call *c, const rri_types *types, const rref_value *values)
{
    static const rri_ref_codec mover = { .put = move_ref };    /* cannot fail */
    rri_packing p;
    int rc = rri_values_check(types, values, c->in->count, SIZE_MAX, &p);
    if (rc) return rc;
    c->refitted = rri_aligned_alloc(16, (p.bytes + 16) & ~(size_t)15);
    if (!c->refitted) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for the arguments");
    rc = rri_values_pack(types, values, &p, c->refitted, NULL, &mover);
    c->in = types;
    c->payload = c->refitted;
    c->bytes = p.bytes;
    return rc;
}

int rri_described_fit(rref_call *c, const rri_types *types)
{
    rref_value values[RRI_TYPES_MAX];
    void *lists[RRI_TYPES_MAX] = { NULL };
    int rc = RREF_OK;
    for (unsigned i = 0; rc == RREF_OK && i < c->in->count; i++) rc = value_of(c, i, &values[i], &lists[i]);
    if (rc == RREF_OK) rc = repack(c, types, values);
    for (unsigned i = 0; i < RRI_TYPES_MAX; i++) free(lists[i]);
    return rc;
}

void rri_described_free(rref_call *call)
{
    if (call->given) rri_signature_free(call->given);
    free(call->given);
    free(call->refitted);
}
