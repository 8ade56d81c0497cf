/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns results that stay where their method ran. The object is begun when the request arrives (construct.c), so that it can be
 * named, and requests for it queue, before there is a result; the outcome of the call finishes it. A result is kept packed, with
 * the weight of the references in it.
 */
#include "result.h"
#include "error.h"
#include "exec.h"
#include "memory.h"
#include "object.h"

#include <stdlib.h>
#include <string.h>

typedef struct result {
    rri_calls *calls;
    const rri_types *types;
    const char *text;           /* of the types; both live with the class of the method */
    void *payload;
} result;

static const rri_types no_types;

static void destroy(void *self)
{
    result *v = self;
    rri_payload_drop(v->types, v->payload, &v->calls->futures.trade.codec);
    free(v->payload);
    free(v);
}

const rref_class rri_result_class = RREF_CLASS("remote result", "", NULL, destroy, NULL);

/* A method's results in the text of its signature. */
static const char *text_of(const rri_types *out)
{
    const rri_signature *s = (const void *)((const char *)out - offsetof(rri_signature, out));
    const char *arrow = strstr(s->text, "-> ");
    return arrow ? arrow + 3 : "";
}

static result *make(rref_call *c)
{
    size_t bytes;
    result *v = rri_malloc(sizeof *v);
    if (!v) {
        rri_fail(RREF_ERR_NO_MEMORY, "no memory for a result");
        return NULL;
    }
    *v = (result){ c->calls, c->out, text_of(c->out), NULL };
    v->payload = rri_values_packed(c->out, c->results, c->result_count, &c->calls->futures.trade.codec, &bytes);
    if (v->payload) return v;
    free(v);
    return NULL;
}

void rri_result_payload(const void *self, void (*visit)(void *arg, const rri_types *types, const void *payload), void *arg)
{
    const result *v = self;
    if (v->types->refs) visit(arg, v->types, v->payload);
}

int rri_result_keep(rref_call *c, int outcome)
{
    rri_object *o = c->result;
    if (outcome == RRI_PASS) {
        rri_object_unclaim(o);
        return outcome;
    }
    if (outcome == RREF_OK && !(o->self = make(c))) outcome = rri_error_last()->code;
    if (outcome) rri_call_where(c, rri_error_last());
    c->out = &no_types;
    c->result_count = 0;
    c->created = rri_table_handle(&o->all->table, o);
    rri_object_finish(o, outcome);
    rri_exec_leave(&o->actor);          /* it may be gone after this */
    return outcome;
}

static int give_references(rref_call *c, const rri_type *t, const char *at, size_t count)
{
    size_t n = 0;
    int rc = RREF_OK;
    const rri_ref_taker *part = &c->calls->futures.trade.part;
    rref *r = rri_malloc((count ? count : 1) * sizeof *r);
    if (!r) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %zu references", count);
    for (; n < count && rc == RREF_OK; n++) rc = part->take(part->up, at + n * RRI_REF_WIRE, NULL, &r[n]);
    if (rc) n--;
    rref_value all = rref_array_of_(RREF_VALUE_ARRAY, RREF_REF, sizeof *r, r, count), one = rref_of_ref(r[0]);
    if (rc == RREF_OK) rc = rref_return_v(c, t->array ? &all : &one, 1);
    while (n > 0) part->drop(part->up, r[--n]);
    free(r);
    return rc;
}

/* Arrays are sent from where they are; the object stays occupied, and there, until they have left. */
static int give(rref_call *c, const result *v, unsigned i)
{
    size_t count;
    const rri_type *t = &v->types->type[i];
    const void *at = rri_payload_data(v->types, i, v->payload, NULL, &count);
    rref_value value = rri_payload_value(v->types, i, v->payload, NULL);
    if (t->element == RREF_REF) return give_references(c, t, at, count);
    return value.kind == RREF_VALUE_ARRAY ? rref_return_borrowed(c, at, count) : rref_return_v(c, &value, 1);
}

int rri_result_give(rref_call *c, void *self)
{
    const result *v = self;
    int rc = RREF_OK;
    c->out = v->types;
    c->described = v->text;
    for (unsigned i = 0; i < v->types->count && rc == RREF_OK; i++) rc = give(c, v, i);
    return rc;
}
