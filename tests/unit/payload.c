/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Payloads by the thousand, from a seed: lists of random types and values make the round trip into outputs, and packed
 * again give the same bytes; damaged and cut payloads are refused, or can be read to the last byte. Everything lies in
 * memory of its exact size, so that AddressSanitizer sees a step outside.
 */
#include "output.h"

#include "check.h"
#include "error.h"

#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 4000, DAMAGED = 200, CONTENT_MAX = 300 };

static uint64_t state;

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static uint64_t draw(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t below(size_t limit) { return (size_t)(draw() % limit); }

static void *exact(size_t align, size_t size)
{
    void *memory = NULL;
    CU_ASSERT_FATAL(posix_memalign(&memory, align, size) == 0);
    return memory;
}

/* ---- references: their bits, six times ------------------------------------------------------------------------ */

static int put(void *up, rref reference, void *wire)
{
    (void)up;
    for (int i = 0; i < 6; i++) ((uint64_t *)wire)[i] = reference.bits;
    return 0;
}

static int take(void *up, const void *wire, rri_once *once, rref *reference)
{
    (void)up, (void)once;
    memcpy(reference, wire, sizeof *reference);
    return 0;
}

static const rri_ref_codec codec = { .put = put };
static const rri_ref_taker taker = { .take = take };

/* ---- random lists -------------------------------------------------------------------------------------------- */

typedef struct list {
    rri_signature s;
    const rri_types *types;
    rref_value values[RRI_TYPES_MAX], outputs[RRI_TYPES_MAX];
    size_t counts[RRI_TYPES_MAX];       /* written with the outputs */
    void *given[RRI_TYPES_MAX], *written[RRI_TYPES_MAX];
} list;

static void draw_signature(list *l)
{
    static const char *const types[] = {
        "bool", "i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64", "f32", "f64", "c64", "c128", "ref", "str",
        "bytes", "struct a[1]", "struct b[24]", "struct c[7][]", "bool[]", "i8[]", "i16[]", "i32[]", "i64[]", "u8[]",
        "u16[]", "u32[]", "u64[]", "f32[]", "f64[]", "c64[]", "c128[]", "ref[]" };
    char text[512] = "";
    size_t count = below(RRI_TYPES_MAX + 1);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) strcat(text, ",");
        strcat(text, types[below(sizeof types / sizeof *types)]);
    }
    CU_ASSERT_FATAL(rri_signature_parse(text, &l->s) == 0);
    l->types = &l->s.in;
}

static bool is_plain(const rri_type *t) { return t->element == RREF_STRUCT && !t->array; }

/* Random content of `bytes` bytes, right for its element. */
static void draw_content(const rri_type *t, unsigned char *to, size_t bytes)
{
    for (size_t k = 0; k < bytes; k++) {
        to[k] = (unsigned char)draw();
        if (t->element == RREF_BOOL) to[k] &= 1;
        if (t->element == RREF_STR && to[k] == 0) to[k] = 1;
    }
    if (t->element == RREF_STR) to[bytes - 1] = 0;
}

static void draw_scalar(list *l, unsigned i)
{
    const rri_type *t = &l->types->type[i];
    uint64_t bits[2] = { 0, 0 };
    draw_content(t, l->given[i], t->size);
    memcpy(bits, l->given[i], t->size);
    if (t->element == RREF_C64) {
        bits[1] = bits[0] >> 32;
        bits[0] &= UINT32_MAX;
    }
    l->values[i] = rref_value_make_(RREF_VALUE_SCALAR, (rref_type)t->element, t->size, 1, bits[0], bits[1]);
    l->outputs[i] = rref_out_of_((rref_type)t->element, t->size, l->written[i]);
}

static void draw_variable(list *l, unsigned i, size_t count)
{
    const rri_type *t = &l->types->type[i];
    rref_type element = (rref_type)t->element;
    size_t string = element == RREF_STR;
    draw_content(t, l->given[i], count * t->size + string);
    l->values[i] = string ? rref_of_str(l->given[i])
                          : rref_array_of_(RREF_VALUE_ARRAY, element, t->size, l->given[i], count);
    l->outputs[i] = is_plain(t) ? rref_out_of_(element, t->size, l->written[i])
                                : rref_out_array_of_(element, t->size, l->written[i], count + string, &l->counts[i]);
    if (element != RREF_STRUCT) return;
    l->values[i].extra = (uint64_t)(uintptr_t)t->name;
    if (is_plain(t)) l->outputs[i].extra = l->values[i].extra;
}

static void draw_list(list *l)
{
    memset(l, 0, sizeof *l);
    draw_signature(l);
    for (unsigned i = 0; i < l->types->count; i++) {
        const rri_type *t = &l->types->type[i];
        size_t count = !t->variable || is_plain(t) ? 1 : below(4) == 0 ? 0 : below(CONTENT_MAX / t->size + 1);
        size_t bytes = count * t->size + (t->element == RREF_STR);
        l->given[i] = exact(16, bytes);
        l->written[i] = exact(16, bytes);
        memset(l->written[i], 0xee, bytes);
        if (t->variable) draw_variable(l, i, count);
        else draw_scalar(l, i);
    }
}

static void free_list(list *l)
{
    for (unsigned i = 0; i < l->types->count; i++) {
        free(l->given[i]);
        free(l->written[i]);
    }
    rri_signature_free(&l->s);
}

/* ---- the trip ------------------------------------------------------------------------------------------------ */

typedef struct parcel {
    rri_packing packing;
    void *payload, *landing;
    rri_segment segments[RRI_TYPES_MAX];
} parcel;

/* Memory is never as it was the last time: bytes that packing leaves out differ. */
static void send(const list *l, const rref_value *values, size_t eager, parcel *p)
{
    static unsigned char fill;
    memset(p, 0, sizeof *p);
    CU_ASSERT_FATAL(rri_values_check(l->types, values, l->types->count, eager, &p->packing) == 0);
    p->payload = exact(16, p->packing.bytes);
    memset(p->payload, ++fill, p->packing.bytes);
    CU_ASSERT_FATAL(rri_values_pack(l->types, values, &p->packing, p->payload, p->segments, &codec) == 0);
}

/* Bulk data goes to a landing area, or straight into the outputs. */
static void land(const list *l, parcel *p, bool direct)
{
    rri_segment to[RRI_TYPES_MAX];
    unsigned n = p->packing.segments;
    if (!direct && n > 0) p->landing = exact(64, p->packing.bulk);
    unsigned m = direct ? rri_outputs_segments(l->types, p->payload, l->outputs, NULL, to)
                        : rri_payload_segments(l->types, p->payload, p->landing, to);
    CU_ASSERT_FATAL(m == n);
    for (unsigned k = 0; k < n; k++) {
        CU_ASSERT_FATAL(to[k].bytes == p->segments[k].bytes && to[k].bytes > 0);
        memcpy(to[k].data, p->segments[k].data, to[k].bytes);
    }
    CU_ASSERT(rri_segments_check(l->types, p->payload, to) == 0);
}

static void free_parcel(parcel *p)
{
    free(p->payload);
    free(p->landing);
}

static bool arrived(const list *l)
{
    for (unsigned i = 0; i < l->types->count; i++) {
        const rri_type *t = &l->types->type[i];
        size_t count = l->values[i].count, string = t->element == RREF_STR;
        if (string) count = strlen(l->given[i]);
        if (memcmp(l->given[i], l->written[i], count * t->size + string) != 0) return false;
        if (l->outputs[i].kind == RREF_VALUE_OUT_ARRAY && l->counts[i] != count) return false;
    }
    return true;
}

/* The outputs as values of the same call. */
static void return_values(const list *l, rref_value *values)
{
    memcpy(values, l->values, sizeof l->values);
    for (unsigned i = 0; i < l->types->count; i++) {
        if (l->types->type[i].variable) values[i].bits = (uint64_t)(uintptr_t)l->written[i];
        else if (l->types->type[i].element != RREF_C64) memcpy(&values[i].bits, l->written[i], l->types->type[i].size);
    }
}

static void one_round(bool direct)
{
    list l;
    parcel p, again;
    rri_packing read;
    rref_value values[RRI_TYPES_MAX];
    size_t eager = below(5) == 0 ? 0 : below(3000);
    draw_list(&l);
    send(&l, l.values, eager, &p);
    CU_ASSERT_FATAL(rri_payload_check(l.types, p.payload, p.packing.bytes, &read) == 0);
    CU_ASSERT(read.bytes == p.packing.bytes && read.bulk == p.packing.bulk && read.segments == p.packing.segments &&
              read.in_bulk == p.packing.in_bulk);
    CU_ASSERT_FATAL(rri_outputs_check(l.types, l.outputs, l.types->count) == 0);
    CU_ASSERT(rri_outputs_fit(l.types, p.payload, l.outputs));
    land(&l, &p, direct);
    CU_ASSERT(rri_outputs_write(l.types, p.payload, p.landing, l.outputs, l.types->count, &taker) == 0);
    CU_ASSERT(arrived(&l));
    return_values(&l, values);
    send(&l, values, eager, &again);
    CU_ASSERT(again.packing.bytes == p.packing.bytes && memcmp(again.payload, p.payload, p.packing.bytes) == 0);
    free_parcel(&p);
    free_parcel(&again);
    free_list(&l);
}

static void makes_the_round_trip(void)
{
    state = 1;
    for (int round = 0; round < ROUNDS; round++) one_round(round & 1);
}

/* ---- damage -------------------------------------------------------------------------------------------------- */

static unsigned long sum;

static void touch(const void *data, size_t bytes)
{
    for (size_t k = 0; k < bytes; k++) sum += ((const unsigned char *)data)[k];
}

/* Read all that a check let pass. Bulk data is not there: its place and size alone. Returns whether it passed. */
static bool read_all(const list *l, const void *payload, size_t bytes)
{
    rri_packing packing;
    rri_segment segments[RRI_TYPES_MAX];
    char landing[1];
    size_t count;
    int err = rri_payload_check(l->types, payload, bytes, &packing);
    if (err) {
        CU_ASSERT_FATAL(err == RREF_ERR_PROTOCOL);
        return false;
    }
    CU_ASSERT_FATAL(packing.bytes <= bytes);
    CU_ASSERT(rri_payload_segments(l->types, payload, landing, segments) == packing.segments);
    size_t end = 0;
    for (unsigned k = 0; k < packing.segments; k++) {
        size_t at = (size_t)((uintptr_t)segments[k].data - (uintptr_t)landing);
        CU_ASSERT(at == end && segments[k].bytes > 0);
        end = at + (segments[k].bytes + 63) / 64 * 64;
    }
    CU_ASSERT(end == packing.bulk);
    for (unsigned i = 0; i < l->types->count; i++) {
        const rri_type *t = &l->types->type[i];
        const char *data = rri_payload_data(l->types, i, payload, NULL, &count);
        if (data) touch(data, count * t->wire);
        if (data && t->element == RREF_STR) touch(data, strlen(data));
    }
    return true;
}

static void damage(const list *l, const parcel *p)
{
    static const unsigned char masks[] = { 1, 2, 4, 8, 16, 32, 64, 128, 0xff };
    size_t bytes = p->packing.bytes;
    unsigned char *payload = exact(16, bytes);
    memcpy(payload, p->payload, bytes);
    CU_ASSERT(read_all(l, payload, bytes));
    for (size_t at = 0; at < bytes; at++) {
        for (size_t m = 0; m < sizeof masks; m++) {
            payload[at] ^= masks[m];
            read_all(l, payload, bytes);
            payload[at] ^= masks[m];
        }
    }
    free(payload);
}

static void cut(const list *l, const parcel *p)
{
    for (size_t bytes = 0; bytes < p->packing.bytes; bytes++) {
        void *payload = exact(16, bytes);
        memcpy(payload, p->payload, bytes);
        CU_ASSERT(!read_all(l, payload, bytes));
        free(payload);
    }
}

static void with_parcels(void (*act)(const list *, const parcel *))
{
    list l;
    parcel p;
    state = 2;
    for (int round = 0; round < DAMAGED; round++) {
        draw_list(&l);
        send(&l, l.values, below(2) ? 1000 : 1000000, &p);
        act(&l, &p);
        free_parcel(&p);
        free_list(&l);
    }
}

static void survives_changed_bytes(void) { with_parcels(damage); }
static void refuses_cut_payloads(void) { with_parcels(cut); }

/* Words of the kind that breaks arithmetic, in every slot. */
static void poison(const list *l, const parcel *p)
{
    static const uint64_t words[] = { 0, 1, 7, 8, 64, UINT64_MAX, UINT64_MAX - 7, INT64_MAX, UINT64_C(1) << 63,
                                      (UINT64_C(1) << 63) + 64, UINT64_C(1) << 61, UINT64_C(1) << 60, UINT64_C(1) << 32,
                                      SIZE_MAX / 32, SIZE_MAX / 48, UINT64_MAX / 48 + 1, UINT64_MAX / 24 + 1 };
    size_t bytes = p->packing.bytes;
    char *payload = exact(16, bytes);
    for (size_t at = 0; at < l->types->slots; at += 8) {
        for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
            for (size_t v = 0; v < sizeof words / sizeof *words; v++) {
                memcpy(payload, p->payload, bytes);
                memcpy(payload + at, &words[w], 8);
                if (at + 8 < l->types->slots) memcpy(payload + at + 8, &words[v], 8);
                read_all(l, payload, bytes);
            }
        }
    }
    free(payload);
}

static void survives_poison(void) { with_parcels(poison); }

/* Nothing but noise. */
static void survives_noise(void)
{
    list l;
    state = 3;
    for (int round = 0; round < ROUNDS; round++) {
        draw_list(&l);
        size_t bytes = below(2 * (size_t)l.types->slots + 1);
        unsigned char *payload = exact(16, bytes);
        for (size_t k = 0; k < bytes; k++) payload[k] = below(3) ? 0 : (unsigned char)draw();
        read_all(&l, payload, bytes);
        free(payload);
        free_list(&l);
    }
}

static const check_case cases[] = {
    { "makes the round trip", makes_the_round_trip },
    { "survives changed bytes", survives_changed_bytes },
    { "refuses cut payloads", refuses_cut_payloads },
    { "survives poison", survives_poison },
    { "survives noise", survives_noise },
    CHECK_END
};
int main(int argc, char **argv) { return check_main(argc, argv, "payload", cases); }
