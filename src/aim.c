/* SPDX-License-Identifier: BSD-3-Clause */
/* What a request means (a part of object): its object, the method, and how that runs. */
#include "object.h"
#include "descriptor.h"
#include "error.h"
#include "fetch.h"
#include "memory.h"
#include "park.h"
#include "result.h"

#include <stdlib.h>

static const rri_types no_types;

static int run_method(rref_call *c) { return c->handler(c, c->self); }

static int describe(rref_call *c, void *self)
{
    rri_object *o = c->object;
    uint64_t id = rref_arg_u64(c, 0);
    const rri_class *k = id ? rri_class_of_id(o->all->classes, id) : o->klass;
    (void)self;
    if (!k) return rref_fail(c, RREF_ERR_NO_CLASS, "class %016" PRIx64 " is not known there", id);
    size_t n = rri_descriptor_bytes(k);
    void *bytes = rri_malloc(n);
    if (!bytes) return rref_fail(c, RREF_ERR_NO_MEMORY, "no memory to describe class %s", k->name);
    rri_descriptor_write(k, bytes);
    return rref_return_owned(c, bytes, n, free);
}

/* The question for its class that every object answers, by whoever drives. */
static int aim_at_description(rri_object *o, rref_call *c)
{
    c->actor = &o->actor;
    c->object = o;
    c->run = run_method;
    c->handler = describe;
    c->flags = RREF_INLINE | RREF_CONCURRENT;
    c->in = &o->all->describe.in;
    c->out = &o->all->describe.out;
    c->method_name = "describe";
    return RREF_OK;
}

/* What its arguments are is known, unless the caller means another class: references among them go back. */
static int aim_at_failed(const rri_object *o, const rri_record *record, rref_call *c)
{
    bool known = o->klass && record->method < o->klass->count && o->outcome != RREF_ERR_CLASS_MISMATCH;
    if (known) c->in = &o->klass->method[record->method].signature.in;
    return rri_object_why(o);
}

/* ---- large arguments that land where the object has them */

static int land(rref_call *c, void **at, size_t bytes)
{
    const rri_object *o = c->object;
    if (atomic_load(&o->state) == RRI_FAILED) return rri_object_why(o);
    *at = o->klass->berths->landing(o->self, c->method_name, bytes);
    if (*at) return RREF_OK;
    return rri_fail(RREF_ERR_NO_MEMORY, "class %s has no memory for %zu bytes of arguments", o->klass->name, bytes);
}

static void landed(rref_call *c, void *at, size_t bytes, int outcome)
{
    const rri_object *o = c->object;
    if (o->klass->berths->landed) o->klass->berths->landed(o->self, at, bytes, outcome);
}

/* Other methods may run beside concurrent ones. */
static void aim_landing(const rri_object *o, rref_call *c)
{
    if (!o->klass->berths || c->flags & RREF_CONCURRENT) return;
    c->land = land;
    c->landed = landed;
}

static int aim_at(rri_object *o, const rri_record *record, rref_call *c)
{
    const bool failed = atomic_load(&o->state) == RRI_FAILED;   /* first: all else was written before it */
    c->class_name = o->klass ? o->klass->name : "?";            /* a failed creation may have none */
    if (failed) return aim_at_failed(o, record, c);
    if (record->method == RRI_METHOD_DESCRIBE) return aim_at_description(o, c);
    c->actor = &o->actor;
    c->object = o;
    c->run = run_method;
    c->sealed = o->klass->flags & RREF_SEALED;
    c->reentrant = o->klass->flags & RREF_REENTRANT;
    if (record->method >= RRI_METHOD_EXISTS) return rri_fetch_aim(c, o, record->method);
    if (record->method >= o->klass->count)
        return rri_fail(RREF_ERR_NO_METHOD, "class %s has no method number %u", o->klass->name, record->method);
    const rri_method *m = &o->klass->method[record->method];
    c->handler = m->handler;
    c->flags = m->flags | (o->shared ? RREF_CONCURRENT : 0);
    c->in = &m->signature.in;
    c->out = &m->signature.out;
    c->method_name = m->name;
    aim_landing(o, c);
    return RREF_OK;
}

/* The object may still be under construction when a method is found; its self is read when it runs. */
static int run_found(rref_call *c)
{
    rri_object *o = c->object;
    if (atomic_load(&o->state) == RRI_FAILED) {
        c->error = rri_malloc(sizeof *c->error);
        rri_object_why(o);
        if (c->error) *c->error = *rri_error_last();
        return o->outcome;
    }
    c->self = o->self;
    return run_method(c);
}

/* ---- from a record */

static void let_go(rref_call *c, int outcome)
{
    (void)outcome;
    rri_object_unpin(c->object);
}

/* A method that may run beside others may still do so when the last reference goes: until its end it is one. */
static void hold(rri_object *o, rref_call *c)
{
    if (rri_object_lasting(o) || !(c->flags & RREF_CONCURRENT || c->reentrant)) return;
    if (rri_object_pin(o)) c->ended = let_go;
}

static int find_method(rri_objects *all, const rri_record *record, rri_buffer *buffer, rref_call *c)
{
    rri_object *o = rri_object_of(all, record->object);
    c->out = c->in = &no_types;
    int rc = o ? rri_park_behind(all, record, buffer) : rri_park_missing(all, record, buffer);
    return rc ? rc : aim_at(o, record, c);
}

static int find_remote(rri_objects *all, const rri_record *record, rri_buffer *buffer, rref_call *c)
{
    rri_object *result = rri_object_begin_result(all, record, buffer->peer);
    c->out = c->in = &no_types;
    if (!result) return rri_error_last()->code;
    if (!rri_object_claim(result)) return rri_fail(RREF_ERR_PROTOCOL, "a result that is there already, or no result");
    int rc = record->method < RRI_METHOD_DESCRIBE ? find_method(all, record, buffer, c)
             : rri_fail(RREF_ERR_PROTOCOL, "what every object has is no method whose result stays");
    if (rc == RRI_PARK) rri_object_unclaim(result);
    c->result = result;
    c->keep = rri_result_keep;
    return rc;
}

int rri_object_look(void *up, const rri_record *record, rref_call *c)
{
    rri_object *o = rri_object_of(up, record->object);
    c->out = c->in = &no_types;
    if (!o || atomic_load(&o->state) != RRI_ALIVE || rri_parked_any(up, record->object)) return RREF_ERR_NO_OBJECT;
    c->self = o->self;
    int rc = aim_at(o, record, c);
    if (rc == RREF_OK) hold(o, c);
    return rc;
}

/* The root object stays, and so does another one whose exclusive call this is. Requests that wait have been sent to the object's
 * other address. */
bool rri_object_instant(void *up, const rri_record *record, rref_call *c)
{
    rri_objects *all = up;
    rri_object *o = record->object == RRI_ROOT ? all->root
                    : record->object & RRI_NAMED ? NULL : rri_table_find(&all->table, record->object);
    if (!o || atomic_load_explicit(&o->state, memory_order_acquire) != RRI_ALIVE) return false;
    if (record->method >= o->klass->count) return false;
    const rri_method *m = &o->klass->method[record->method];
    if (!(m->flags & RREF_INLINE) || (m->flags & RREF_CONCURRENT && !o->shared)) return false;
    if (atomic_load_explicit(&all->waiting, memory_order_relaxed)) return false;
    rri_call_clear(c, all->calls);
    c->actor = &o->actor;
    c->object = o;
    c->self = o->self;
    c->handler = m->handler;
    c->flags = m->flags | (o->shared ? RREF_CONCURRENT : 0);
    c->sealed = o->klass->flags & RREF_SEALED;
    c->in = &m->signature.in;
    c->out = &m->signature.out;
    c->class_name = o->klass->name;
    c->method_name = m->name;
    return true;
}

int rri_object_find(void *up, const rri_record *record, rri_buffer *buffer, rref_call *call)
{
    if (record->kind == RRI_CREATE) return rri_object_find_constructor(up, record, buffer, call);
    bool remote = record->flags & RRI_FLAG_REMOTE;
    int rc = remote ? find_remote(up, record, buffer, call) : find_method(up, record, buffer, call);
    if (rc) return rc;
    call->run = run_found;
    hold(call->object, call);
    return RREF_OK;
}
