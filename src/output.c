/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Outputs are written all or none: what could refuse is asked first, references are taken next, and the rest cannot fail.
 */
#include "output.h"

#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "fit.h"

enum { TYPE_TEXT = 96 };

RRI_ASIDE
static int check_outputs(const rri_types *types, const rref_value *outputs, size_t count)
{
    if (count != types->count) return rri_refuse_list(types, outputs, count, "outputs ");
    for (unsigned i = 0; i < count; i++) {
        rri_fit f = rri_output_fit(&types->type[i], &outputs[i]);
        if (f != RRI_FITS) return rri_refuse(types, outputs, i, f, "output");
    }
    return 0;
}

int rri_outputs_check(const rri_types *types, const rref_value *outputs, size_t count)
{
    size_t numbers = 0;
    if (count && !outputs) return rri_fail(RREF_ERR_ARGUMENT, "NULL outputs");
    if (count == types->count)
        while (numbers < count && rri_same_room(&types->type[numbers], &outputs[numbers])) numbers++;
    return numbers == count ? 0 : check_outputs(types, outputs, count);
}

/* Elements of room that value i needs in an output array; 0 when its room is sure. */
static uint64_t room_needed(const rri_type *type, const void *payload)
{
    if (!type->variable || rri_plain_struct(type)) return 0;
    return rri_payload_extent(type, payload).count + (type->element == RREF_STR);
}

/* A layout is filled, neither more nor less, since nothing could say how far it was. */
static bool has_room(const rref_value *output, uint64_t need)
{
    return output->kind == RREF_VALUE_OUT_STRIDED ? need == output->count : need <= output->count;
}

/* What a layout spreads over memory could not be looked at there. */
static bool lands_together(const rri_type *type, const rref_value *output)
{
    bool large = output->count > RRI_LAYOUT_MAX / type->wire;
    return output->kind == RREF_VALUE_OUT_STRIDED && (large || type->element == RREF_BOOL);
}

bool rri_outputs_fit(const rri_types *types, const void *payload, const rref_value *outputs)
{
    for (unsigned i = 0; i < types->count; i++) {
        const rri_type *type = &types->type[i];
        if (lands_together(type, &outputs[i]) || !has_room(&outputs[i], room_needed(type, payload))) return false;
    }
    return true;
}

unsigned rri_outputs_segments(const rri_types *types, const void *payload, const rref_value *outputs, void *landing,
                              rri_segment *segments)
{
    unsigned n = 0;

    if (landing) return rri_payload_segments(types, payload, landing, segments);
    for (unsigned i = 0; i < types->count; i++) {
        const rri_type *type = &types->type[i];
        if (!rri_payload_in_bulk(type, payload)) continue;
        segments[n++] = rri_value_segment(&outputs[i], rri_type_bytes(type, rri_payload_extent(type, payload).count));
    }
    return n;
}

bool rri_outputs_room(const rri_types *types, const rref_value *outputs, size_t count, size_t eager, unsigned *which,
                      rri_segment *room)
{
    unsigned variables = 0;

    for (unsigned i = 0; i < count; i++) {
        if (!types->type[i].variable || rri_plain_struct(&types->type[i])) continue;
        variables++;
        *which = i;
    }
    if (variables != 1) return false;
    const rri_type *type = &types->type[*which];
    const rref_value *output = &outputs[*which];
    if (type->element == RREF_REF || output->count > RRI_BYTES_MAX / type->wire || lands_together(type, output)) return false;
    *room = rri_value_segment(output, (size_t)output->count * type->wire);
    return room->bytes > eager;
}

static int check_room(const rri_types *types, const void *payload, const rref_value *outputs)
{
    char text[TYPE_TEXT];

    for (unsigned i = 0; i < types->count; i++) {
        uint64_t need = room_needed(&types->type[i], payload);
        if (has_room(&outputs[i], need)) continue;
        rri_type_format(&types->type[i], text, sizeof text);
        if (outputs[i].kind == RREF_VALUE_OUT_STRIDED)
            return rri_fail(RREF_ERR_SHAPE, "output %u (%s) has a layout of %" PRIu64 " elements, the result %" PRIu64, i, text,
                            outputs[i].count, need);
        return rri_fail(RREF_ERR_TRUNCATED, "output %u (%s) has room for %" PRIu64 ", %" PRIu64 " needed", i, text,
                        outputs[i].count, need);
    }
    return 0;
}

/* Give back the first `count` references of an output, and blank them. */
static void drop_refs(const rref_value *output, size_t count, const rri_ref_taker *taker)
{
    rref *to = (rref *)(uintptr_t)output->bits;

    for (size_t k = 0; k < count; k++) {
        if (taker->drop) taker->drop(taker->up, to[k]);
        to[k].bits = 0;
    }
}

static int take_output(const char *wire, size_t count, const rref_value *output, const rri_ref_taker *taker, rri_once *once)
{
    rref *to = (rref *)(uintptr_t)output->bits;

    for (size_t k = 0; k < count; k++) {
        int err = taker->take(taker->up, wire + k * RRI_REF_WIRE, once, &to[k]);
        if (err == 0) continue;
        drop_refs(output, k, taker);
        return err;
    }
    return 0;
}

/* All references or none: what was taken before one that failed is given back. */
static int take_all_refs(const rri_types *types, const void *payload, const rref_value *outputs, const rri_ref_taker *taker,
                         rri_once *once)
{
    size_t count;

    for (unsigned i = 0; i < types->count; i++) {
        if (types->type[i].element != RREF_REF) continue;
        const char *wire = rri_payload_data(types, i, payload, NULL, &count);
        int err = take_output(wire, count, &outputs[i], taker, once);
        if (err == 0) continue;
        while (i-- > 0) {
            if (types->type[i].element != RREF_REF) continue;
            rri_payload_data(types, i, payload, NULL, &count);
            drop_refs(&outputs[i], count, taker);
        }
        return err;
    }
    return 0;
}

static int take_refs(const rri_types *types, const void *payload, const rref_value *outputs, const rri_ref_taker *taker)
{
    rri_once once = { 0 };
    int err = take_all_refs(types, payload, outputs, taker, &once);
    free(once.further);
    return err;
}

/* from is NULL when the data is in the output already. */
static void write_output(const rri_type *type, const void *from, size_t count, const rref_value *output)
{
    size_t *counter = (size_t *)(uintptr_t)output->extra;
    size_t bytes = type->variable ? rri_type_bytes(type, count) : type->size;

    const rri_segment to = rri_value_segment(output, bytes);

    if (type->element != RREF_REF && from && bytes > 0) rri_segment_write(&to, from);
    if (output->kind == RREF_VALUE_OUT_ARRAY && counter) *counter = count;
}

/* Most results. */
static void write_words(const char *payload, const rref_value *outputs, size_t count)
{
    for (size_t i = 0; i < count; i++) memcpy((void *)(uintptr_t)outputs[i].bits, payload + 8 * i, 8);
}

static void write_numbers(const rri_types *types, const char *payload, const rref_value *outputs)
{
    for (unsigned i = 0; i < types->count; i++) {
        const rri_type *type = &types->type[i];
        void *to = (void *)(uintptr_t)outputs[i].bits;
        memcpy(to, payload + type->slot, type->size);
    }
}

RRI_ASIDE
static int write_outputs(const rri_types *types, const void *payload, const void *landing, const rref_value *outputs,
                         const rri_ref_taker *taker)
{
    size_t elements;

    if (types->variables == 0 && !types->refs) {
        write_numbers(types, payload, outputs);
        return 0;
    }
    int err = check_room(types, payload, outputs);
    if (err == 0 && types->refs) err = take_refs(types, payload, outputs, taker);
    if (err) return err;
    for (unsigned i = 0; i < types->count; i++) {
        const void *from = rri_payload_data(types, i, payload, landing, &elements);
        write_output(&types->type[i], from, elements, &outputs[i]);
    }
    return 0;
}

int rri_outputs_write(const rri_types *types, const void *payload, const void *landing, const rref_value *outputs,
                      size_t count, const rri_ref_taker *taker)
{
    if (count == 0) return 0;
    if (!types->words) return write_outputs(types, payload, landing, outputs, taker);
    write_words(payload, outputs, count);
    return 0;
}
