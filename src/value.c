/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the layout of payloads, and both ways through them.
 *
 * The layout follows from the counts alone: one walk over the variables, place(), gives every `where`. Checking values,
 * packing them and checking what came from outside all take that walk, so a payload passes only if it is what packing
 * would have made of its counts. No array is larger than RRI_BYTES_MAX, so sums over a list never overflow, and no
 * offset reaches RRI_BULK.
 */
#include "value.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "fit.h"
#include "memory.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "payloads are little-endian and are read where they lie"
#endif

enum { LANDING_ALIGN = 64, PAYLOAD_ALIGN = 8, TYPE_TEXT = 96 };

static _Atomic(const rri_layouts *) layouts;

void rri_values_layouts(const rri_layouts *moves)
{
    atomic_store_explicit(&layouts, moves, memory_order_release);
}

static void gather(const rri_segment *from, void *to)
{
    if (!from->layout) memcpy(to, from->data, from->bytes);
    else atomic_load_explicit(&layouts, memory_order_acquire)->gather(from, to);
}

void rri_segment_write(const rri_segment *to, const void *from)
{
    if (!to->layout) memcpy(to->data, from, to->bytes);
    else atomic_load_explicit(&layouts, memory_order_acquire)->scatter(from, to);
}

rri_segment rri_value_segment(const rref_value *value, size_t bytes)
{
    return (rri_segment){ (void *)(uintptr_t)value->bits, bytes, rri_value_strided(value) ? value->extra : 0 };
}

const char *rri_values_name(const rref_value *values, size_t count)
{
    bool named = count && values && values[0].kind == RREF_VALUE_SCALAR && values[0].element == RREF_STR;
    return named ? (const char *)(uintptr_t)values[0].bits : NULL;
}

size_t rri_values_inputs(const rref_value *values, size_t count)
{
    size_t n = 0;
    while (n < count && !rri_value_output(&values[n])) n++;
    return n;
}

bool rri_value_placed(const rref_value *v)
{
    if (v->bits || !rri_value_strided(v) || v->element == RREF_NONE) return v->bits;
    const rri_layouts *known = atomic_load_explicit(&layouts, memory_order_acquire);
    return known && known->is_absolute && known->is_absolute(v->extra);
}

void rri_value_flatten(const rref_value *array, void *to)
{
    const rri_segment from = rri_value_segment(array, (size_t)array->count * array->size);
    if (from.bytes > 0) gather(&from, to);
}

/* ---- layout -------------------------------------------------------------------------------------------------- */

static size_t round_up(size_t n, size_t align)
{
    return (n + align - 1) & ~(align - 1);
}

/* The slots alone. Written in place: a copy would wait for the stores it reads, which costs more than all the rest. */
static inline void start(const rri_types *types, rri_packing *packing)
{
    *packing = (rri_packing){ .bytes = types->slots };
}

/* The next variable's place: advances the packing. */
static uint64_t place(rri_packing *packing, const rri_type *type, unsigned i, size_t bytes, bool in_bulk)
{
    uint64_t where;

    if (in_bulk) {
        where = packing->bulk | RRI_BULK;
        packing->bulk += round_up(bytes, LANDING_ALIGN);
        packing->in_bulk = (uint16_t)(packing->in_bulk | 1u << i);
        packing->segments++;
    } else {
        where = round_up(packing->bytes, type->align);
        packing->bytes = (size_t)where + bytes;
    }
    return where;
}

static void lay_out(const rri_types *types, const size_t counts[], unsigned in_bulk, rri_packing *packing)
{
    start(types, packing);
    for (unsigned i = 0; i < types->count; i++) {
        const rri_type *type = &types->type[i];
        if (type->variable) place(packing, type, i, rri_type_bytes(type, counts[i]), in_bulk >> i & 1);
    }
    packing->bytes = round_up(packing->bytes, PAYLOAD_ALIGN);
}

/* References stay in the payload: they are written there by their codec. */
static unsigned choose_bulk(const rri_types *types, const size_t counts[], size_t eager)
{
    unsigned in_bulk = 0;

    for (unsigned i = 0; i < types->count; i++) {
        const rri_type *type = &types->type[i];
        if (type->variable && type->element != RREF_REF && rri_type_bytes(type, counts[i]) > eager / 16) in_bulk |= 1u << i;
    }
    return in_bulk;
}

/* ---- packing ------------------------------------------------------------------------------------------------- */

/* Lists of scalars, the common ones, take the short ways: check_scalars, pack_scalars, read_scalars. */
static int check_scalars(const rri_types *types, const rref_value *values, rri_packing *packing)
{
    uint64_t bits[2];

    for (unsigned i = 0; i < types->count; i++) {
        if (rri_same_word(&types->type[i], &values[i])) continue;
        rri_fit f = rri_scalar_fit(&types->type[i], &values[i], bits);
        if (f != RRI_FITS) return rri_refuse(types, values, i, f, "argument");
    }
    start(types, packing);
    return 0;
}

static size_t bytes_to_copy(const rri_types *types, const size_t counts[], const rri_packing *packing)
{
    const unsigned copied = packing->in_bulk & ~(unsigned)packing->borrowed;
    size_t bytes = 0;
    for (unsigned i = 0; copied >> i; i++)
        if (copied >> i & 1) bytes += round_up(rri_type_bytes(&types->type[i], counts[i]), LANDING_ALIGN);
    return bytes;
}

static int check_all(const rri_types *types, const rref_value *values, size_t eager, rri_packing *packing)
{
    size_t counts[RRI_TYPES_MAX] = { 0 };
    uint64_t bits[2];
    unsigned borrowed = 0;
    bool spread = false;

    for (unsigned i = 0; i < types->count; i++) {
        const rri_type *type = &types->type[i];
        rri_fit f = type->variable ? rri_variable_fit(type, &values[i], &counts[i])
                                   : rri_scalar_fit(type, &values[i], bits);
        if (f != RRI_FITS) return rri_refuse(types, values, i, f, "argument");
        bool large = rri_value_strided(&values[i]) && counts[i] > RRI_LAYOUT_MAX / type->wire;
        borrowed |= (unsigned)(rri_value_borrows(&values[i]) && !large) << i;
        spread |= large;
    }
    lay_out(types, counts, 0, packing);
    if (packing->bytes > eager) lay_out(types, counts, choose_bulk(types, counts, eager), packing);
    packing->borrowed = (uint16_t)borrowed;
    packing->copies = bytes_to_copy(types, counts, packing);
    packing->spread = spread;
    return 0;
}

int rri_values_check(const rri_types *types, const rref_value *values, size_t count, size_t eager, rri_packing *packing)
{
    if (count != types->count) return rri_refuse_list(types, values, count, "");
    return types->variables == 0 ? check_scalars(types, values, packing) : check_all(types, values, eager, packing);
}

static const void *address(const rref_value *value)
{
    return (const void *)(uintptr_t)value->bits;
}

static void drop_wires(const char *at, size_t count, const rri_ref_codec *codec)
{
    for (size_t k = 0; k < count; k++) codec->drop(codec->up, at + k * RRI_REF_WIRE);
}

/* The references of the first `count` values. */
static void drop_values(const rri_types *types, unsigned count, const char *payload, const rri_ref_codec *codec)
{
    for (unsigned i = 0; types->refs && i < count; i++) {
        rri_extent slot = { 1, types->type[i].slot };
        if (types->type[i].element != RREF_REF) continue;
        if (types->type[i].variable) memcpy(&slot, payload + types->type[i].slot, sizeof slot);
        drop_wires(payload + slot.where, (size_t)slot.count, codec);
    }
}

void rri_payload_drop(const rri_types *types, const void *payload, const rri_ref_codec *codec)
{
    if (types->refs) drop_values(types, types->count, payload, codec);
}

static int pack_refs(const rref_value *value, char *to, const rri_ref_codec *codec)
{
    const char *from = address(value);
    int err = 0;

    for (size_t k = 0; k < value->count && err == 0; k++) {
        rref reference;
        memcpy(&reference, from + k * sizeof reference, sizeof reference);
        err = codec->put(codec->up, reference, to + k * RRI_REF_WIRE);
        if (err) drop_wires(to, k, codec);
    }
    return err;
}

static inline int pack_scalar(const rri_type *type, const rref_value *value, char *slot, const rri_ref_codec *codec)
{
    uint64_t bits[2] = { 0, 0 };

    if (rri_same_word(type, value)) {
        memcpy(slot, &value->bits, sizeof value->bits);
        return 0;
    }
    if (type->element == RREF_REF) return codec->put(codec->up, (rref){ value->bits }, slot);
    rri_scalar_fit(type, value, bits);
    memcpy(slot, bits, type->element == RREF_C128 ? 16 : 8);
    return 0;
}

/* Data of one variable into the payload (gap before it zeroed) or the list of segments; at is the packing so far. */
static int pack_variable(const rri_types *types, unsigned i, const rref_value *value, rri_packing *at, bool in_bulk,
                         char *payload, rri_segment *segments, const rri_ref_codec *codec)
{
    const rri_type *type = &types->type[i];
    bool string = type->element == RREF_STR;
    rri_extent slot = { .count = string ? strlen(address(value)) : value->count };
    size_t bytes = rri_type_bytes(type, slot.count), filled = at->bytes;
    const rri_segment from = rri_value_segment(value, bytes);

    slot.where = place(at, type, i, bytes, in_bulk);
    memcpy(payload + type->slot, &slot, sizeof slot);
    if (in_bulk) {
        segments[at->segments - 1] = from;
        return 0;
    }
    memset(payload + filled, 0, (size_t)slot.where - filled);
    if (type->element == RREF_REF) return pack_refs(value, payload + slot.where, codec);
    if (bytes > 0) gather(&from, payload + slot.where);
    return 0;
}

static int pack_scalars(const rri_types *types, const rref_value *values, char *payload, const rri_ref_codec *codec)
{
    for (unsigned i = 0; i < types->count; i++) {
        int err = pack_scalar(&types->type[i], &values[i], payload + types->type[i].slot, codec);
        if (err == 0) continue;
        drop_values(types, i, payload, codec);
        return err;
    }
    return 0;
}

static int pack_all(const rri_types *types, const rref_value *values, const rri_packing *packing, char *payload,
                    rri_segment *segments, const rri_ref_codec *codec)
{
    rri_packing at;

    start(types, &at);
    for (unsigned i = 0; i < types->count; i++) {
        const rri_type *type = &types->type[i];
        int err = type->variable
                      ? pack_variable(types, i, &values[i], &at, packing->in_bulk >> i & 1, payload, segments, codec)
                      : pack_scalar(type, &values[i], payload + type->slot, codec);
        if (err == 0) continue;
        drop_values(types, i, payload, codec);
        return err;
    }
    memset(payload + at.bytes, 0, packing->bytes - at.bytes);
    return 0;
}

int rri_values_pack(const rri_types *types, const rref_value *values, const rri_packing *packing, void *payload,
                    rri_segment *segments, const rri_ref_codec *codec)
{
    return types->variables == 0 ? pack_scalars(types, values, payload, codec)
                                 : pack_all(types, values, packing, payload, segments, codec);
}

void *rri_values_packed(const rri_types *types, const rref_value *values, size_t count, const rri_ref_codec *codec,
                        size_t *bytes)
{
    rri_packing p = { 0 };

    if (rri_values_check(types, values, count, SIZE_MAX, &p)) return NULL;
    void *payload = rri_aligned_alloc(64, (p.bytes + 64) & ~(size_t)63);
    if (!payload) {
        rri_fail(RREF_ERR_NO_MEMORY, "no memory for %zu bytes of values", p.bytes);
    } else if (rri_values_pack(types, values, &p, payload, NULL, codec)) {
        free(payload);
        payload = NULL;
    }
    *bytes = p.bytes;
    return payload;
}

rref_value rri_payload_value(const rri_types *types, unsigned i, const void *payload, const void *landing)
{
    const rri_type *t = &types->type[i];
    size_t count;
    uint64_t words[2] = { 0, 0 };
    const char *at = rri_payload_data(types, i, payload, landing, &count);
    rref_value v = { RREF_VALUE_SCALAR, t->element, t->size, count, (uint64_t)(uintptr_t)at, (uint64_t)(uintptr_t)t->name };

    if (t->element != RREF_STR && (t->variable || t->array)) v.kind = RREF_VALUE_ARRAY;
    if (t->variable) return v;
    if (t->element != RREF_REF) memcpy(words, at, t->element == RREF_C128 ? 16 : 8);
    v.bits = t->element == RREF_C64 ? words[0] & 0xffffffffu : words[0];
    v.extra = t->element == RREF_C64 ? words[0] >> 32 : words[1];
    return v;
}

void rri_segments_copy(const rri_packing *packing, rri_segment *segments, void *copies)
{
    char *to = copies;

    for (unsigned i = 0, k = 0; k < packing->segments; i++) {
        if (!(packing->in_bulk >> i & 1)) continue;
        rri_segment *s = &segments[k++];
        if (packing->borrowed >> i & 1) continue;
        gather(s, to);
        *s = (rri_segment){ to, s->bytes, 0 };
        to += round_up(s->bytes, LANDING_ALIGN);
    }
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

static int refuse_payload(const rri_types *types, unsigned i, const char *what)
{
    char text[TYPE_TEXT];

    rri_type_format(&types->type[i], text, sizeof text);
    return rri_fail(RREF_ERR_PROTOCOL, "value %u (%s) of a message: %s", i, text, what);
}

/* What is wrong with an element's data, or NULL. */
static const char *content_fault(const rri_type *type, const char *data, size_t count)
{
    if (type->element == RREF_STR && data[count] != 0) return "the string does not end in 0";
    if (type->element != RREF_BOOL) return NULL;
    for (size_t k = 0; k < count; k++)
        if ((unsigned char)data[k] > 1) return "a bool is neither 0 nor 1";
    return NULL;
}

static const char *scalar_fault(const rri_type *type, const char *payload)
{
    uint64_t bits;

    if (type->element != RREF_BOOL) return NULL;
    memcpy(&bits, payload + type->slot, sizeof bits);
    return bits > 1 ? "a bool is neither 0 nor 1" : NULL;
}

/* The same for a variable; at is the packing so far, bytes the size of the payload. */
static const char *variable_fault(const rri_types *types, unsigned i, const char *payload, size_t bytes,
                                  rri_packing *at)
{
    const rri_type *type = &types->type[i];
    rri_extent slot = rri_payload_extent(type, payload);
    bool in_bulk = slot.where & RRI_BULK;

    if (slot.count > RRI_BYTES_MAX / type->wire) return "the count is out of range";
    if (rri_plain_struct(type) && slot.count != 1) return "the count of a struct is not 1";
    size_t size = rri_type_bytes(type, slot.count);
    if (in_bulk && (size == 0 || type->element == RREF_REF)) return "this cannot travel in bulk";
    if (slot.where != place(at, type, i, size, in_bulk)) return "the data is not where it must be";
    if (at->bytes > bytes) return "the data ends outside";
    return in_bulk ? NULL : content_fault(type, payload + slot.where, (size_t)slot.count);
}

static int read_scalars(const rri_types *types, const char *payload, rri_packing *packing)
{
    for (unsigned i = 0; types->bools && i < types->count; i++) {
        const char *fault = scalar_fault(&types->type[i], payload);
        if (fault) return refuse_payload(types, i, fault);
    }
    start(types, packing);
    return 0;
}

static int read_all(const rri_types *types, const char *payload, size_t bytes, rri_packing *packing)
{
    rri_packing at;

    start(types, &at);
    for (unsigned i = 0; i < types->count; i++) {
        const rri_type *type = &types->type[i];
        const char *fault = type->variable ? variable_fault(types, i, payload, bytes, &at)
                                           : scalar_fault(type, payload);
        if (fault) return refuse_payload(types, i, fault);
    }
    at.bytes = round_up(at.bytes, PAYLOAD_ALIGN);
    if (at.bytes > bytes) return rri_fail(RREF_ERR_PROTOCOL, "the values of a message end outside of it");
    *packing = at;
    return 0;
}

int rri_payload_check(const rri_types *types, const void *payload, size_t bytes, rri_packing *packing)
{
    if (bytes < types->slots)
        return rri_fail(RREF_ERR_PROTOCOL, "a message holds %zu bytes of values, at least %" PRIu32 " are needed",
                        bytes, types->slots);
    return types->variables == 0 ? read_scalars(types, payload, packing) : read_all(types, payload, bytes, packing);
}

size_t rri_payload_landing(const rri_types *types, const void *payload)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < types->count; i++) {
        if (!rri_payload_in_bulk(&types->type[i], payload)) continue;
        rri_extent slot = rri_payload_extent(&types->type[i], payload);
        size_t end = (size_t)(slot.where & ~RRI_BULK) + rri_type_bytes(&types->type[i], slot.count);
        if (end > bytes) bytes = end;
    }
    return bytes;
}

unsigned rri_payload_segments(const rri_types *types, const void *payload, void *landing, rri_segment *segments)
{
    unsigned n = 0;

    for (unsigned i = 0; i < types->count; i++) {
        const rri_type *type = &types->type[i];
        if (!rri_payload_in_bulk(type, payload)) continue;
        rri_extent slot = rri_payload_extent(type, payload);
        segments[n++] = (rri_segment){ (char *)landing + (slot.where & ~RRI_BULK), rri_type_bytes(type, slot.count), 0 };
    }
    return n;
}

int rri_segments_check(const rri_types *types, const void *payload, const rri_segment *segments)
{
    unsigned n = 0;

    for (unsigned i = 0; i < types->count; i++) {
        const rri_type *type = &types->type[i];
        if (!rri_payload_in_bulk(type, payload)) continue;
        const char *fault = content_fault(type, segments[n++].data, (size_t)rri_payload_extent(type, payload).count);
        if (fault) return refuse_payload(types, i, fault);
    }
    return 0;
}

const void *rri_payload_data(const rri_types *types, unsigned i, const void *payload, const void *landing,
                             size_t *count)
{
    const rri_type *type = &types->type[i];
    rri_extent slot = { 1, type->slot };

    if (type->variable) slot = rri_payload_extent(type, payload);
    if (count) *count = (size_t)slot.count;
    if (!(slot.where & RRI_BULK)) return (const char *)payload + slot.where;
    return landing ? (const char *)landing + (slot.where & ~RRI_BULK) : NULL;
}
