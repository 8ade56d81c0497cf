/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A signature, its 0, then a payload of any bytes and what lands beside it. The payload is refused, or read to its last
 * byte, written into outputs, and packed again from there: the same values in the same places.
 */
#include "fuzz.h"

#include "error.h"
#include "output.h"

enum { LANDING_MAX = 1 << 16 };

/* ---- references: their bits, six times */

static int put(void *up, rref reference, void *wire)
{
    (void)up;
    for (int i = 0; i < 6; i++) memcpy((char *)wire + i * 8, &reference.bits, 8);
    return RREF_OK;
}

static int take(void *up, const void *wire, rri_once *once, rref *reference)
{
    (void)up, (void)once;
    memcpy(reference, wire, sizeof *reference);
    return RREF_OK;
}

static const rri_ref_codec codec = { .put = put };
static const rri_ref_taker taker = { .take = take };

/* ---- what the payload holds, as outputs and as values */

typedef struct trip {
    const rri_types *types;
    const void *payload;
    void *landing;
    rref_value outputs[RRI_TYPES_MAX], values[RRI_TYPES_MAX];
    size_t counts[RRI_TYPES_MAX];
    void *memory[RRI_TYPES_MAX];
} trip;

static bool is_plain(const rri_type *t) { return t->element == RREF_STRUCT && !t->array; }

static void make_room(trip *t, unsigned i)
{
    const rri_type *type = &t->types->type[i];
    rref_type element = (rref_type)type->element;
    size_t count = 1, string = element == RREF_STR;
    if (type->variable) rri_payload_data(t->types, i, t->payload, t->landing, &count);
    t->memory[i] = fuzz_room((count + string) * type->size);
    t->outputs[i] = !type->variable || is_plain(type)
                        ? rref_out_of_(element, type->size, t->memory[i])
                        : rref_out_array_of_(element, type->size, t->memory[i], count + string, &t->counts[i]);
    if (is_plain(type)) t->outputs[i].extra = (uint64_t)(uintptr_t)type->name;
}

static void value_again(trip *t, unsigned i)
{
    const rri_type *type = &t->types->type[i];
    rref_type element = (rref_type)type->element;
    uint64_t bits[2] = { 0, 0 };
    if (element == RREF_STR) {
        t->values[i] = rref_of_str(t->memory[i]);
    } else if (type->variable) {
        t->values[i] = rref_array_of_(RREF_VALUE_ARRAY, element, type->size, t->memory[i], is_plain(type) ? 1 : t->counts[i]);
        if (element == RREF_STRUCT) t->values[i].extra = (uint64_t)(uintptr_t)type->name;
    } else {
        memcpy(bits, t->memory[i], type->size);
        if (element == RREF_C64) {
            bits[1] = bits[0] >> 32;
            bits[0] &= UINT32_MAX;
        }
        t->values[i] = rref_value_make_(RREF_VALUE_SCALAR, element, type->size, 1, bits[0], bits[1]);
    }
}

/* A string with a 0 inside comes out shorter than it went in: then the payload is another one. */
static bool has_zeros(const trip *t)
{
    size_t n;
    for (unsigned i = 0; i < t->types->count; i++)
        if (t->types->type[i].element == RREF_STR) {
            const char *text = rri_payload_data(t->types, i, t->payload, t->landing, &n);
            if (strlen(text) != n) return true;
        }
    return false;
}

static bool same_data(const trip *t, const void *payload)
{
    for (unsigned i = 0; i < t->types->count; i++) {
        const rri_type *type = &t->types->type[i];
        size_t n, m, bytes = type->element == RREF_REF ? sizeof(rref) : type->wire;
        const char *a = rri_payload_data(t->types, i, t->payload, t->landing, &n);
        const char *b = rri_payload_data(t->types, i, payload, NULL, &m);
        if (n != m) return false;
        for (size_t k = 0; k < n; k++)
            if (memcmp(a + k * type->wire, b + k * type->wire, bytes)) return false;
    }
    return true;
}

static void pack_again(trip *t)
{
    rri_packing p, read;
    for (unsigned i = 0; i < t->types->count; i++) value_again(t, i);
    MUST(rri_values_check(t->types, t->values, t->types->count, SIZE_MAX, &p) == RREF_OK);
    MUST(p.segments == 0);
    void *payload = fuzz_room(p.bytes);
    MUST(rri_values_pack(t->types, t->values, &p, payload, NULL, &codec) == RREF_OK);
    MUST(rri_payload_check(t->types, payload, p.bytes, &read) == RREF_OK && read.bytes == p.bytes);
    MUST(same_data(t, payload));
    free(payload);
}

static void read_and_write(trip *t)
{
    size_t count = t->types->count;
    for (unsigned i = 0; i < count; i++) make_room(t, i);
    MUST(rri_outputs_check(t->types, t->outputs, count) == RREF_OK);
    MUST(rri_outputs_fit(t->types, t->payload, t->outputs));
    MUST(rri_outputs_write(t->types, t->payload, t->landing, t->outputs, count, &taker) == RREF_OK);
    if (!has_zeros(t)) pack_again(t);
    for (unsigned i = 0; i < count; i++) free(t->memory[i]);
}

/* Bulk data lands in an area of its exact size. */
static bool land(trip *t, const rri_packing *p, fuzz_input *in)
{
    rri_segment segments[RRI_TYPES_MAX];
    if (!p->segments) return true;
    if (p->bulk > LANDING_MAX) return false;
    t->landing = fuzz_room(p->bulk);
    MUST(rri_payload_segments(t->types, t->payload, t->landing, segments) == p->segments);
    for (unsigned k = 0; k < p->segments; k++) {
        const char *from = segments[k].data;
        MUST(from >= (char *)t->landing && from + segments[k].bytes <= (char *)t->landing + p->bulk);
        fuzz_take(in, segments[k].data, segments[k].bytes);
    }
    return rri_segments_check(t->types, t->payload, segments) == RREF_OK;
}

static void decode(const rri_types *types, fuzz_input in)
{
    rri_packing p;
    uint8_t beside = 0;
    fuzz_take(&in, &beside, 1);                 /* bytes that land beside the payload */
    size_t bytes = in.left > beside ? in.left - beside : in.left;
    void *payload = fuzz_exact(in.at, bytes);
    trip t = { .types = types, .payload = payload };
    in = (fuzz_input){ in.at + bytes, in.left - bytes };
    int rc = rri_payload_check(types, payload, bytes, &p);
    MUST(rc == RREF_OK || rc == RREF_ERR_PROTOCOL);
    MUST(rc || p.bytes <= bytes);
    if (rc == RREF_OK && land(&t, &p, &in)) read_and_write(&t);
    free(t.landing);
    free(payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rri_signature s;
    fuzz_input in = { data, size };
    char *text = fuzz_string(&in);
    if (rri_signature_parse(text, &s) == RREF_OK) {
        decode(&s.in, in);
        rri_signature_free(&s);
    }
    free(text);
    return 0;
}
