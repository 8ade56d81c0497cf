/* SPDX-License-Identifier: BSD-3-Clause */
/* What a handler does with its call: read arguments, give results, fail. Everything here runs on the handler's thread. */
#include "handler.h"
#include "error.h"
#include "fit.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

/* Where a call is wanted, and none is given. */
RRI_ASIDE
static int no_call(void) { return rri_fail(RREF_ERR_ARGUMENT, "NULL call"); }

rref_context *rref_call_context(const rref_call *call)
{
    if (!call) no_call();
    return call ? call->calls->context : NULL;
}

int rref_call_rank(const rref_call *call) { return call ? call->peer : no_call(); }

double rref_time_left(const rref_call *call)
{
    if (!call) return no_call(), 0;
    if (call->deadline == RRI_NEVER) return RREF_FOREVER;
    int64_t left = call->deadline - rri_now();
    return left > 0 ? (double)left * 1e-9 : 0;
}

static int set_error(rref_call *call, int code, const char *format, va_list list)
{
    rri_fail_list(code, format, list);
    if (!call->error) call->error = rri_malloc(sizeof *call->error);
    if (call->error) *call->error = *rri_error_last();
    return code;
}

/* The handler's own mistake: fails the call whatever it returns; the first one stays. */
RREF_PRINTF_(3, 4) static int misuse(rref_call *call, int code, const char *format, ...)
{
    va_list list;
    if (call->failed) return call->failed;
    va_start(list, format);
    call->failed = set_error(call, code, format, list);
    va_end(list);
    return code;
}

int rref_fail(rref_call *call, int code, const char *format, ...)
{
    va_list list;
    if (!call) return no_call();
    if (call->failed) return code;          /* for a reason of its own, which stays */
    if (code >= 0) return misuse(call, RREF_ERR_STATE, "the handler fails with %d: an error code is negative", code);
    va_start(list, format);
    set_error(call, code, format, list);
    va_end(list);
    return code;
}

static const rri_type *argument(rref_call *call, unsigned index, rref_type element, bool array, const char *reader)
{
    char type[64] = "none";
    const rri_type *t = call && index < call->in->count ? &call->in->type[index] : NULL;
    if (t && t->element == element && t->array == array) return t;
    if (!call) return no_call(), NULL;
    if (t) rri_type_format(t, type, sizeof type);
    misuse(call, RREF_ERR_SIGNATURE, "argument %u is %s in the signature and was read as %s", index, type, reader);
    return NULL;
}

static const void *slot(rref_call *call, const rri_type *t) { return (const char *)call->payload + t->slot; }

#define SCALAR(name, type, element) \
    type rref_arg_##name(rref_call *call, unsigned index) \
    { \
        type x = 0; \
        const rri_type *t = argument(call, index, element, false, #name); \
        if (t) memcpy(&x, slot(call, t), sizeof x); \
        return x; \
    }
SCALAR(bool, bool, RREF_BOOL)
SCALAR(i8, int8_t, RREF_I8)
SCALAR(i16, int16_t, RREF_I16)
SCALAR(i32, int32_t, RREF_I32)
SCALAR(i64, int64_t, RREF_I64)
SCALAR(u8, uint8_t, RREF_U8)
SCALAR(u16, uint16_t, RREF_U16)
SCALAR(u32, uint32_t, RREF_U32)
SCALAR(u64, uint64_t, RREF_U64)
SCALAR(f32, float, RREF_F32)
SCALAR(f64, double, RREF_F64)

static const void *view(rref_call *call, unsigned index, rref_type element, bool array, const char *reader, size_t *count)
{
    size_t n = 0;
    const void *at = "";
    if (argument(call, index, element, array, reader)) at = rri_payload_data(call->in, index, call->payload, call->landing, &n);
    if (count) *count = n;
    return at;
}

#define ARRAY(name, type, element) \
    const type *rref_arg_##name##s(rref_call *call, unsigned index, size_t *count) \
    { \
        return view(call, index, element, true, #name "[]", count); \
    }
ARRAY(bool, bool, RREF_BOOL)
ARRAY(i8, int8_t, RREF_I8)
ARRAY(i16, int16_t, RREF_I16)
ARRAY(i32, int32_t, RREF_I32)
ARRAY(i64, int64_t, RREF_I64)
ARRAY(u8, uint8_t, RREF_U8)
ARRAY(u16, uint16_t, RREF_U16)
ARRAY(u32, uint32_t, RREF_U32)
ARRAY(u64, uint64_t, RREF_U64)
ARRAY(f32, float, RREF_F32)
ARRAY(f64, double, RREF_F64)

const char *rref_arg_str(rref_call *call, unsigned index) { return view(call, index, RREF_STR, false, "str", NULL); }

const void *rref_arg_bytes(rref_call *call, unsigned index, size_t *count)
{
    return view(call, index, RREF_BYTES, false, "bytes", count);
}

int rref_arg_complex(rref_call *call, unsigned index, double parts[2])
{
    if (!call) return no_call();
    if (!parts) return misuse(call, RREF_ERR_ARGUMENT, "a complex number was read into NULL");
    bool is_small = index < call->in->count && call->in->type[index].element == RREF_C64;
    const rri_type *t = argument(call, index, is_small ? RREF_C64 : RREF_C128, false, "complex");
    parts[0] = parts[1] = 0;
    if (!t) return call->failed;
    if (is_small) {
        float p[2];
        memcpy(p, slot(call, t), sizeof p);
        parts[0] = (double)p[0];
        parts[1] = (double)p[1];
    } else {
        memcpy(parts, slot(call, t), 2 * sizeof *parts);
    }
    return RREF_OK;
}

const void *rref_arg_complexes(rref_call *call, unsigned index, rref_type element, size_t *count)
{
    if (call && element != RREF_C64 && element != RREF_C128) {
        misuse(call, RREF_ERR_ARGUMENT, "argument %u was read as complex numbers of a type that is none", index);
        if (count) *count = 0;
        return "";
    }
    return view(call, index, element, true, "complex[]", count);
}

const void *rref_arg_structs(rref_call *call, unsigned index, const char *name, size_t size, size_t *count)
{
    bool array = call && index < call->in->count && call->in->type[index].array;
    const rri_type *t = argument(call, index, RREF_STRUCT, array, "struct");
    bool fits = t && name && !strcmp(t->name, name) && t->size == size;
    if (t && !fits)
        misuse(call, RREF_ERR_SIGNATURE, "argument %u is struct %s[%u] and was read as struct %s[%zu]", index, t->name,
               t->size, name ? name : "?", size);
    if (!fits) {
        if (count) *count = 0;
        return NULL;
    }
    return view(call, index, RREF_STRUCT, array, "struct", count);
}

/* The call lets go of the reference when it is freed. */
static int keep_until_end(rref_call *call, rref r)
{
    if (call->taken_count == call->taken_room) {
        size_t room = call->taken_room ? 2 * call->taken_room : 8;
        rref *more = rri_realloc(call->taken, room * sizeof *more);
        if (!more) {
            call->calls->up.drop_ref(r);
            return misuse(call, RREF_ERR_NO_MEMORY, "no memory for a reference");
        }
        call->taken = more;
        call->taken_room = room;
    }
    call->taken[call->taken_count++] = r;
    return RREF_OK;
}

/* A reference is taken off the wire when it is first read, and released with the call. */
static rref take(rref_call *call, const void *wire)
{
    rref r = { 0 };
    const rri_ref_taker *taker = &call->calls->futures.trade.all;
    if (taker->take(taker->up, wire, &call->once, &r)) {
        misuse(call, rri_error_last()->code, "%s", rri_error_last()->text);
        return r;
    }
    return keep_until_end(call, r) ? (rref){ 0 } : r;
}

/* From now on there is something to free. */
static void make_untidy(rref_call *call)
{
    if (call->untidy) return;
    call->untidy = true;
    memset(call->copies, 0, sizeof call->copies);
    memset(call->views, 0, sizeof call->views);
    call->once = (rri_once){ 0 };
}

rref rref_arg_ref(rref_call *call, unsigned index)
{
    const rri_type *t = argument(call, index, RREF_REF, false, "ref");
    if (!t) return (rref){ 0 };
    make_untidy(call);
    if (!call->views[index]) {
        call->views[index] = rri_malloc(sizeof(rref));
        if (!call->views[index]) {
            misuse(call, RREF_ERR_NO_MEMORY, "no memory for a reference");
            return (rref){ 0 };
        }
        *call->views[index] = take(call, slot(call, t));
    }
    return *call->views[index];
}

/* All or none: what was taken is released with the call. */
static bool take_all(rref_call *call, unsigned index, const char *wires, size_t count)
{
    rref *all = rri_malloc(count * sizeof *all);
    if (!all) misuse(call, RREF_ERR_NO_MEMORY, "no memory for references");
    for (size_t i = 0; all && i < count; i++) {
        all[i] = take(call, wires + i * RRI_REF_WIRE);
        if (all[i].bits) continue;
        free(all);
        all = NULL;
    }
    call->views[index] = all;
    return all;
}

const rref *rref_arg_refs(rref_call *call, unsigned index, size_t *count)
{
    size_t n = 0;
    if (count) *count = 0;
    if (!argument(call, index, RREF_REF, true, "ref[]")) return NULL;
    const char *at = rri_payload_data(call->in, index, call->payload, call->landing, &n);
    make_untidy(call);
    if (n && !call->views[index] && !take_all(call, index, at, n)) return NULL;
    if (count) *count = n;
    return call->views[index];
}

/* References nobody read go back with their weight. */
void rri_handler_done(rref_call *call)
{
    if (call->in->refs && call->payload) rri_payload_drop(call->in, call->payload, &call->calls->futures.trade.codec);
    if (!call->untidy) return;
    free(call->once.further);
    call->once = (rri_once){ 0 };
    for (unsigned i = 0; i < RRI_TYPES_MAX; i++) {
        free(call->views[i]);
        call->views[i] = NULL;
    }
}

/* ---- results */

static bool by_address(const rref_value *v)
{
    return rri_value_array(v) || (v->kind == RREF_VALUE_SCALAR && v->element == RREF_STR);
}

/* References are results until the handler has returned, which may release its own before. A bad one is found when the
 * results are packed. */
static int keep_references(rref_call *call, const rref_value *v)
{
    const rref one = { v->bits }, *r = v->kind == RREF_VALUE_SCALAR ? &one : (const rref *)(uintptr_t)v->bits;
    size_t n = v->kind == RREF_VALUE_SCALAR ? 1 : r ? (size_t)v->count : 0;
    int rc = RREF_OK;
    for (size_t i = 0; i < n && rc == RREF_OK; i++)
        if (rref_retain(r[i]) == RREF_OK) rc = keep_until_end(call, r[i]);
    return rc;
}

static int copy_result(rref_call *call, unsigned at)
{
    rref_value *v = &call->results[at];
    int rc = v->element == RREF_REF ? keep_references(call, v) : RREF_OK;
    if (rc) return rc;
    if (!by_address(v) || !rri_value_placed(v)) return RREF_OK;
    const void *from = (const void *)(uintptr_t)v->bits;
    size_t n = v->element == RREF_STR ? strlen(from) + 1 : (size_t)v->count * v->size;
    make_untidy(call);
    call->copies[at] = rri_malloc(n ? n : 1);
    if (!call->copies[at]) return misuse(call, RREF_ERR_NO_MEMORY, "no memory for a result of %zu bytes", n);
    if (v->element == RREF_STR) memcpy(call->copies[at], from, n);
    else rri_value_flatten(v, call->copies[at]);
    if (rri_value_strided(v)) v->extra = 0;
    if (rri_value_array(v)) v->kind = RREF_VALUE_ARRAY;
    v->bits = (uint64_t)(uintptr_t)call->copies[at];
    return RREF_OK;
}

static int check_results(rref_call *call)
{
    rri_packing p;
    if (call->result_count < call->out->count) return RREF_OK;
    int rc = rri_values_check(call->out, call->results, call->result_count, SIZE_MAX, &p);
    return rc ? misuse(call, rc, "results: %s", rri_error_last()->text) : RREF_OK;
}

static int add_result(rref_call *call, const rref_value *value)
{
    if (call->result_count >= call->out->count)
        return misuse(call, RREF_ERR_SIGNATURE, "more than the signature's %u results", call->out->count);
    call->results[call->result_count++] = *value;
    return RREF_OK;
}

/* Nobody would see them. */
static int is_deferred(void)
{
    return rri_fail(RREF_ERR_COMPLETED, "the answer was deferred: rref_complete gives the results");
}

/* The common result: one number, as the signature says it. */
static bool is_plain(const rref_call *call, const rref_value *values, size_t count)
{
    return count == 1 && values && call->out->count == 1 && call->result_count == 0 && rri_same_word(&call->out->type[0], values);
}

int rref_return_v(rref_call *call, const rref_value *values, size_t count)
{
    if (!call) return no_call();
    if (call->deferred) return is_deferred();
    if (is_plain(call, values, count)) {
        call->results[call->result_count++] = *values;
        return RREF_OK;
    }
    if (!values && count) return misuse(call, RREF_ERR_ARGUMENT, "NULL results");
    for (size_t i = 0; i < count; i++) {
        int rc = add_result(call, &values[i]);
        if (rc == RREF_OK) rc = copy_result(call, call->result_count - 1);
        if (rc) return rc;
    }
    return check_results(call);
}

static int add_array(rref_call *call, const void *buffer, size_t count)
{
    if (call->deferred) return is_deferred();
    if (call->result_count >= call->out->count)
        return misuse(call, RREF_ERR_SIGNATURE, "more than the signature's %u results", call->out->count);
    const rri_type *t = &call->out->type[call->result_count];
    rref_value v = { RREF_VALUE_ARRAY, t->element, t->size, count, (uint64_t)(uintptr_t)buffer,
                     (uint64_t)(uintptr_t)t->name };
    int rc = add_result(call, &v);
    return rc ? rc : check_results(call);
}

int rref_return_owned(rref_call *call, void *buffer, size_t count, void (*release)(void *buffer))
{
    if (!call && release) release(buffer);
    if (!call) return no_call();
    if (call->owned_count < RRI_OWNED_MAX && release) {
        call->owned[call->owned_count] = buffer;
        call->owned_free[call->owned_count++] = release;
    }
    return add_array(call, buffer, count);
}

/* Whether memory lies in the call's own message or landing area; those live as long as the call. */
static bool in_arguments(const rref_call *call, const void *at)
{
    for (unsigned i = 0; i < call->in->count; i++) {
        size_t n;
        if (!call->in->type[i].variable) continue;
        const char *from = rri_payload_data(call->in, i, call->payload, call->landing, &n);
        if ((const char *)at >= from && (const char *)at <= from + n * call->in->type[i].wire) return true;
    }
    return false;
}

int rref_return_borrowed(rref_call *call, const void *buffer, size_t count)
{
    if (!call) return no_call();
    if (!in_arguments(call, buffer)) {
        if (call->flags & RREF_CONCURRENT)
            return misuse(call, RREF_ERR_STATE, "a concurrent method may not return memory of its object in place");
        call->holds_object = true;
    }
    return add_array(call, buffer, count);
}
