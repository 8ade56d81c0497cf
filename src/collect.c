/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Calls of all members of a group. Owns nothing. Calls that bring nothing back go down a tree of ranks, each calling its own
 * member and passing the arguments on; results come straight from each member into the caller's array, in order of rank.
 */
#include "error.h"
#include "fit.h"
#include "host.h"
#include "memory.h"
#include "service.h"
#include "value.h"

#include <stdlib.h>
#include <string.h>

/* Members by their distance from the rank that made the call: `low` is the one called here, those up to `high` are reached
 * from it. */
typedef struct range { int origin, low, high; } range;

static int ranks_of(const rri_group *g) { return rri_link_size(g->service->references->calls->link); }

static int rank_at(const rri_group *g, const range *r, int at) { return (r->origin + at) % ranks_of(g); }

static int method_of(const rri_group *g, const rref_value *values, size_t count, unsigned *method)
{
    const char *name = rri_values_name(values, count);
    if (!name) return rri_fail(RREF_ERR_ARGUMENT, "the method's name is missing");
    int index = rri_method_find(g->klass, name);
    if (index < 0) return rri_fail(RREF_ERR_NO_METHOD, "class %s has no method %s", g->klass->name, name);
    *method = (unsigned)index;
    return RREF_OK;
}

/* ---- down the tree */

/* Arguments as they travel from rank to rank. The references among them go beside the others, as what they are: so they are not
 * lost with a relay that fails on its way. */
typedef struct packet {
    void *payload;
    size_t bytes;
    rref *refs;
    size_t count;
} packet;

static int set_aside(void *up, rref reference, void *wire)
{
    packet *p = up;
    p->refs[p->count++] = reference;
    memset(wire, 0, RRI_REF_WIRE);
    return RREF_OK;
}

static void put_back(void *up, const void *wire) { (void)up, (void)wire; }

static void unwrap(packet *p)
{
    free(p->payload);
    free(p->refs);
}

/* False through rri_fail. */
static bool pack(const rri_types *in, const rref_value *values, size_t count, packet *p)
{
    size_t refs = 0;
    for (size_t i = 0; i < count; i++) refs += values[i].element == RREF_REF ? (size_t)values[i].count : 0;
    *p = (packet){ .refs = rri_calloc(refs + 1, sizeof(rref)) };
    if (!p->refs) {
        rri_fail(RREF_ERR_NO_MEMORY, "no memory for %zu references", refs);
        return false;
    }
    p->payload = rri_values_packed(in, values, count, &(rri_ref_codec){ set_aside, p, put_back }, &p->bytes);
    if (!p->payload) unwrap(p);
    return p->payload;
}

static rref_future spread(rri_group *g, const range *r, unsigned method, const rref_value *values, size_t count,
                          const char *site);

/* What could not be begun, as a future like the others. */
static rref_future or_failed(rri_group *g, rref_future f)
{
    if (f.bits) return f;
    rref_error why = *rri_error_last();
    f = rref_promise(g->service->references->context, "");
    if (f.bits) rref_set_error(f, why.code, "%s", why.text);
    return f;
}

/* What a lost rank would do is done here; its own member's call fails. */
static rref_future relay(rri_group *g, const range *r, unsigned method, const rref_value *values, size_t count)
{
    packet p;
    bool lost = rri_lane_is_shut(g->service->references->calls->flow, rank_at(g, r, r->low));
    if (lost) return spread(g, r, method, values, count, NULL);
    if (!pack(&g->klass->method[method].signature.in, values, count, &p)) return (rref_future){ 0 };
    rref to = rri_service_of(g->service->references, rank_at(g, r, r->low));
    rref_future f = rref_async_v(to, RREF_LIST_("group_relay", g->number, r->origin, r->low, r->high, method,
                                                rref_bytes(p.payload, p.bytes), rref_array(p.refs, p.count)), NULL);
    unwrap(&p);
    return f;
}

static rref_future call_own(rri_group *g, const range *r, unsigned method, const rref_value *values, size_t count,
                            const char *site)
{
    rref own = rri_group_member(g, rank_at(g, r, r->low));
    return own.bits ? rref_async_m((rref_method_ref){ own, method }, values, count, site) : (rref_future){ 0 };
}

/* Where inline code may not wait for borrowed arrays to be sent, they are the caller's again when all calls are complete. */
static void release(rref_future part)
{
    if (part.bits && rref_future_release(part)) rri_future_let_go(rri_future_of(part.bits));
}

/* Call the member that is here, and have two others do the same for a half of the rest each. */
static rref_future spread(rri_group *g, const range *r, unsigned method, const rref_value *values, size_t count,
                          const char *site)
{
    rref_future part[3];
    size_t parts = 0;
    int middle = r->low + 1 + (r->high - r->low) / 2;
    const range halves[] = { { r->origin, r->low + 1, middle }, { r->origin, middle, r->high } };
    for (int i = 0; i < 2; i++)
        if (halves[i].low < halves[i].high) part[parts++] = or_failed(g, relay(g, &halves[i], method, values, count));
    part[parts++] = or_failed(g, call_own(g, r, method, values, count, site));
    rref_future all = rref_all(g->service->references->context, part, parts);
    for (size_t i = 0; i < parts; i++) release(part[i]);
    return all;
}

/* One that came from another rank, where it can be read; it is the call's, but for the payload. */
static int receive(rref_call *c, const rri_types *in, packet *p)
{
    rri_packing packing;
    const void *bytes = rref_arg_bytes(c, 5, &p->bytes);
    p->refs = (rref *)(uintptr_t)rref_arg_refs(c, 6, &p->count);
    p->payload = rri_aligned_alloc(64, (p->bytes + 64) & ~(size_t)63);
    if (!p->payload) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %zu bytes of arguments", p->bytes);
    memcpy(p->payload, bytes, p->bytes);
    int rc = rri_payload_check(in, p->payload, p->bytes, &packing);
    if (rc) free(p->payload);
    return rc;
}

/* Take it apart again. */
static int read_values(const rri_types *in, const packet *p, rref_value values[])
{
    const rref *next = p->refs;         /* NULL: there are none */
    size_t left = p->count;
    for (unsigned i = 0; i < in->count; i++) {
        rref_value *v = &values[i];
        *v = rri_payload_value(in, i, p->payload, NULL);
        if (v->element != RREF_REF) continue;
        const size_t count = (size_t)v->count;
        if (count > left) return rri_fail(RREF_ERR_PROTOCOL, "references are missing among arguments");
        *v = v->kind == RREF_VALUE_ARRAY ? rref_array(next, count) : rref_of_ref(*next);
        if (count) next += count;
        left -= count;
    }
    return RREF_OK;
}

static rref_future pass_on(rri_group *g, const range *r, unsigned method, const packet *p)
{
    const rri_types *in = &g->klass->method[method].signature.in;
    rref_value values[RRI_TYPES_MAX];
    return read_values(in, p, values) ? (rref_future){ 0 } : spread(g, r, method, values, in->count, NULL);
}

int rri_group_relay(rref_call *c, void *self)
{
    packet p;
    const range r = { rref_arg_i32(c, 1), rref_arg_i32(c, 2), rref_arg_i32(c, 3) };
    unsigned method = rref_arg_u32(c, 4);
    rri_group *g = rri_group_numbered(self, rref_arg_u64(c, 0));
    if (!g) return RREF_ERR_HANDLE;
    if (method >= g->klass->count || r.low < 0 || r.high > ranks_of(g) || r.origin < 0)
        return rref_fail(c, RREF_ERR_PROTOCOL, "a call of a group that cannot be read");
    int rc = receive(c, &g->klass->method[method].signature.in, &p);
    if (rc) return rref_fail(c, rc, "%s", rri_error_last()->text);
    rref_future whole = pass_on(g, &r, method, &p);
    free(p.payload);
    if (!whole.bits) return rref_fail(c, rri_error_last()->code, "%s", rri_error_last()->text);
    rc = rref_complete_with(rref_defer(c), whole);
    rref_future_release(whole);
    return rc ? rc : RREF_PENDING;
}

/* ---- results of all */

/* Where the members' results go: n elements of each, one after the other. */
typedef struct results {
    rref_value output;              /* as the caller gave it */
    char *at;
    size_t each, size;
    rref_future *future;
    size_t *count;
} results;

static rref_future call_member(rri_group *g, int rank, unsigned method, const rref_value *values, size_t count, results *to,
                               const char *site)
{
    rref_value list[RRI_TYPES_MAX + 1];
    char *at = to->at + (size_t)rank * to->each * to->size;
    memcpy(list, values, count * sizeof *values);
    list[count] = to->output;
    list[count].bits = (uint64_t)(uintptr_t)at;
    list[count].count = to->each;
    bool array = g->klass->method[method].signature.out.type[0].array;
    list[count].kind = array ? RREF_VALUE_OUT_ARRAY : RREF_VALUE_OUT;
    list[count].extra = array ? (uint64_t)(uintptr_t)&to->count[rank] : 0;
    to->count[rank] = to->each;
    return rref_async_m((rref_method_ref){ rri_group_member(g, rank), method }, list, count + 1, site);
}

/* Every call is over when this returns, since all of them write to the caller's memory. */
static int await(rri_group *g, results *r)
{
    rref_error error;
    int first = RREF_OK;
    for (int i = 0; i < ranks_of(g); i++) {
        int rc = r->future[i].bits ? rref_wait(r->future[i], RREF_FOREVER) : rri_error_last()->code;
        if (!rc && r->count[i] != r->each)
            rc = rri_fail(RREF_ERR_SHAPE, "the member on rank %d gave %zu values of %zu", i, r->count[i], r->each);
        if (rc && !first) {
            first = rc;
            error = *rri_error_last();
        }
        if (!r->future[i].bits) continue;
        rri_future *f = rri_future_of(r->future[i].bits);
        if (rref_cancel(r->future[i])) rri_progress_settle(f->all->progress, &f->event);    /* its answer is just being written */
        rref_future_release(r->future[i]);
    }
    return first ? rri_fail_as(first, &error) : RREF_OK;
}

static int call_each(rri_group *g, unsigned method, const rref_value *values, size_t count, results *r, const char *site)
{
    size_t ranks = (size_t)ranks_of(g);
    int may = rri_progress_depth(0) > 0 ? rri_progress_may_wait(g->service->references->calls->progress) : RREF_OK;
    if (may) return may;                    /* what nobody can wait for is not sent */
    r->future = rri_calloc(ranks, sizeof *r->future);
    r->count = rri_calloc(ranks, sizeof *r->count);
    int rc = r->future && r->count ? RREF_OK : rri_fail(RREF_ERR_NO_MEMORY, "no memory for %zu calls", ranks);
    for (size_t i = 0; i < ranks && !rc; i++) r->future[i] = call_member(g, (int)i, method, values, count, r, site);
    if (!rc) rc = await(g, r);
    free(r->future);
    free(r->count);
    return rc;
}

/* A method whose results can be put together: one number or one array of numbers, into one output of that type. */
static int check_results(const rri_group *g, unsigned method, const rref_value *values, size_t count, size_t inputs)
{
    const rri_method *m = &g->klass->method[method];
    const rri_type *t = &m->signature.out.type[0];
    if (m->signature.out.count != 1 || t->element == RREF_NONE || t->element > RREF_C128)
        return rri_fail(RREF_ERR_SIGNATURE, "%s.%s does not give one number, or one array of numbers", g->klass->name, m->name);
    if (count != inputs + 1) return rri_fail(RREF_ERR_SIGNATURE, "one output is wanted after the arguments");
    if (!values[inputs].bits) return rri_fail(RREF_ERR_ARGUMENT, "a NULL output");
    rri_packing packing;
    return rri_values_check(&m->signature.in, values, inputs, SIZE_MAX, &packing);
}

static int begin(rref_group group, const rref_value *values, size_t count, rri_group **g, unsigned *method, size_t *inputs)
{
    *g = rri_group_of(group);
    if (!*g) return rri_error_last()->code;
    int rc = method_of(*g, values, count, method);
    if (rc) return rc;
    *inputs = rri_values_inputs(values + 1, count - 1);
    return check_results(*g, *method, values + 1, count - 1, *inputs);
}

static void set_count(const rref_value *output, size_t count)
{
    if (output->kind == RREF_VALUE_OUT_ARRAY && output->extra) *(size_t *)(uintptr_t)output->extra = count;
}

/* ---- the API */

/* Whether a call of all members can be begun: the group, and which method. */
static int check_call(rref_group group, const rref_value *values, size_t count, rri_group **g, unsigned *method)
{
    rri_packing packing;
    *g = rri_group_of(group);
    int rc = *g ? method_of(*g, values, count, method) : rri_error_last()->code;
    if (!rc && rri_values_inputs(values, count) < count)
        rc = rri_fail(RREF_ERR_SIGNATURE, "a call of a group takes no outputs; gather or reduce the results");
    return rc ? rc : rri_values_check(&(*g)->klass->method[*method].signature.in, values + 1, count - 1, SIZE_MAX, &packing);
}

/* It is work from here on, so that references in packets are seen to be on their way. */
static rref_future call_all(rri_group *g, unsigned method, const rref_value *values, size_t count, const char *site)
{
    const range all = { g->service->references->calls->rank, 0, ranks_of(g) };
    rri_colours *colours = g->service->references->calls->futures.colours;
    unsigned colour = rri_begin(colours);
    rref_future whole = spread(g, &all, method, values + 1, count - 1, site);
    rri_idle(colours, colour);
    return whole;
}

rref_future rref_group_async_v(rref_group group, const rref_value *values, size_t count, const char *site)
{
    unsigned method;
    rri_group *g;
    int rc = check_call(group, values, count, &g, &method);
    if (!rc) return call_all(g, method, values, count, site);
    if (!g) return (rref_future){ 0 };
    rref_future f = rref_promise(g->service->references->context, "");
    rref_set_error(f, rc, "%s", rri_error_last()->text);
    return f;
}

/* What a method gives is not the caller's, however soon it comes; an error that nobody reads is told. */
int rref_group_post_v(rref_group group, const rref_value *values, size_t count, const char *site)
{
    unsigned method;
    rri_group *g;
    int rc = check_call(group, values, count, &g, &method);
    if (rc) return rc;
    rref_future f = call_all(g, method, values, count, site);
    if (!f.bits) return rri_error_last()->code;
    rref_future_release(f);
    return RREF_OK;
}

int rref_group_gather_v(rref_group group, const rref_value *values, size_t count, const char *site)
{
    unsigned method;
    size_t inputs;
    rri_group *g;
    int rc = begin(group, values, count, &g, &method, &inputs);
    if (rc) return rc;
    const rref_value *to = &values[1 + inputs];
    size_t ranks = (size_t)ranks_of(g);
    if (to->kind != RREF_VALUE_OUT_ARRAY || to->count % ranks)
        return rri_fail(RREF_ERR_SIGNATURE, "an array with the same room for each of %zu members is wanted", ranks);
    results r = { .output = *to, .at = (char *)(uintptr_t)to->bits, .each = (size_t)to->count / ranks, .size = to->size };
    if (!g->klass->method[method].signature.out.type[0].array && r.each != 1)
        return rri_fail(RREF_ERR_SIGNATURE, "an array of %zu elements is wanted, one of each member", ranks);
    rc = call_each(g, method, values + 1, inputs, &r, site);
    if (!rc) set_count(to, ranks * r.each);
    return rc;
}

/* In order of rank, from the last one down: op(0, op(1, ... op(n-2, n-1))). */
static int combine(rri_group *g, rri_op op, rref_type element, const results *r)
{
    size_t bytes = r->each * r->size, last = (size_t)ranks_of(g) - 1;
    int rc = RREF_OK;
    for (size_t i = last; i-- > 0 && !rc;)
        rc = rri_host_reduce(op, element, r->at + i * bytes, r->at + last * bytes, r->each);
    if (!rc) memcpy((void *)(uintptr_t)r->output.bits, r->at + last * bytes, bytes);
    return rc;
}

int rref_group_reduce_v(rref_group group, rri_op op, const rref_value *values, size_t count, const char *site)
{
    unsigned method;
    size_t inputs;
    rri_group *g;
    int rc = begin(group, values, count, &g, &method, &inputs);
    if (rc) return rc;
    const rri_type *type = &g->klass->method[method].signature.out.type[0];
    rc = rri_host_reducible(op, type->element);
    if (rc) return rc;
    const rref_value *to = &values[1 + inputs];
    if (rri_value_strided(to)) return rri_fail(RREF_ERR_SIGNATURE, "results are reduced into an array that lies together");
    results r = { .output = *to, .each = to->kind == RREF_VALUE_OUT ? 1 : (size_t)to->count, .size = to->size };
    if (!type->array && r.each != 1) return rri_fail(RREF_ERR_SIGNATURE, "an output of one element is wanted");
    if (r.each > RRI_BYTES_MAX / type->wire / (size_t)ranks_of(g))
        return rri_fail(RREF_ERR_RANGE, "%zu elements of each of %d members are more than there can be", r.each, ranks_of(g));
    r.at = rri_calloc((size_t)ranks_of(g) * r.each + 1, r.size);
    if (!r.at) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for the results of %d members", ranks_of(g));
    rc = call_each(g, method, values + 1, inputs, &r, site);
    if (!rc) rc = combine(g, op, type->element, &r);
    if (!rc) set_count(to, r.each);
    free(r.at);
    return rc;
}
