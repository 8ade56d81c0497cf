/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the objects of this rank, and their identities. */
#include "object.h"
#include "answer.h"
#include "descriptor.h"
#include "described.h"
#include "error.h"
#include "exec.h"
#include "fetch.h"
#include "log.h"
#include "memory.h"
#include "park.h"
#include "result.h"

#include <stdlib.h>
#include <string.h>

#define MINT (UINT64_C(1) << 32)            /* given out at a time: 2^31 times without an overflow */

static const rri_types no_types;

static size_t bucket_of(const rri_objects *all, uint64_t identity)
{
    uint64_t h = (identity & ~RRI_NAMED) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(h >> 20) & (all->buckets - 1);
}

/* The object that a bucket, or another one of the bucket, leads to. */
static rri_object *led_to(const rri_objects *all, uint32_t next)
{
    return next ? (rri_object *)(void *)rri_slot_at(&all->table, next - 1) : NULL;
}

rri_object_more *rri_object_more_of(rri_object *o)
{
    rri_object_more *there = atomic_load(&o->more), *fresh = there ? NULL : rri_calloc(1, sizeof *fresh);
    if (!fresh) return there;
    if (atomic_compare_exchange_strong(&o->more, &there, fresh)) return fresh;
    free(fresh);
    return there;
}

int rri_object_why(const rri_object *o)
{
    const rri_object_more *more = atomic_load(&o->more);
    return rri_fail_as(o->outcome, more ? more->error : NULL);
}

int rri_objects_open(rri_objects *all, rri_calls *calls, rri_classes *classes, unsigned context, int ranks, int64_t weight,
                     size_t park_limit)
{
    rri_table_init(&all->table, RRI_KIND_OBJECT, context, sizeof(rri_object));
    all->calls = calls;
    all->classes = classes;
    all->weight = UINT64_C(1) << weight;
    all->park_limit = park_limit;
    all->buckets = 1024;
    all->own = RRI_OWN_NUMBERS;
    all->bucket = rri_calloc(all->buckets, sizeof *all->bucket);
    all->seen = rri_calloc((size_t)ranks, sizeof *all->seen);
    if (!all->bucket || !all->seen) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for objects");
    int rc = rri_signature_parse("u64 -> bytes", &all->describe);
    return rc ? rc : rri_class_add(classes, &rri_result_class, &all->results);
}

static void forget(void *item, void *arg)
{
    rri_object_more *more = atomic_load(&((rri_object *)item)->more);
    (void)arg;
    if (more) free(more->error);
    free(more);
}

void rri_objects_close(rri_objects *all)
{
    rri_parked_drop(all);
    rri_table_each(&all->table, forget, NULL);
    rri_table_free(&all->table);
    if (all->describe.text) rri_signature_free(&all->describe);
    free(all->bucket);
    free(all->seen);
}

/* The lock is held. */
static void file(rri_objects *all, rri_object *o)
{
    uint32_t *bucket = &all->bucket[bucket_of(all, o->identity)];
    o->next = *bucket;
    *bucket = o->slot.index + 1;
}

static void unfile(rri_objects *all, rri_object *o)
{
    uint32_t *at = &all->bucket[bucket_of(all, o->identity)];
    while (*at != o->slot.index + 1) at = &led_to(all, *at)->next;
    *at = o->next;
}

static void rehash(rri_objects *all)
{
    size_t buckets = 2 * all->buckets, old = all->buckets;
    uint32_t *bucket = rri_calloc(buckets, sizeof *bucket), *from = all->bucket;
    if (!bucket) return;                    /* longer chains, no harm */
    all->buckets = buckets;
    all->bucket = bucket;
    for (size_t i = 0; i < old; i++)
        for (rri_object *o; (o = led_to(all, from[i]));) {
            from[i] = o->next;
            file(all, o);
        }
    free(from);
}

static rri_object *add(rri_objects *all, const rri_class *klass, int creator, uint64_t number)
{
    rri_object *o = rri_table_add(&all->table, NULL);
    if (!o) {
        rri_fail(RREF_ERR_NO_MEMORY, "no memory for an object");
        return NULL;
    }
    o->all = all;
    o->klass = klass;
    atomic_store(&o->weight, all->weight);
    rri_lock_take(&all->lock);
    o->identity = rri_address(creator, number ? number : ++all->own);
    if (all->count++ > all->buckets) rehash(all);
    file(all, o);
    rri_lock_give(&all->lock);
    return o;
}

static void remove_object(rri_object *o)
{
    rri_objects *all = o->all;
    rri_lock_take(&all->lock);
    unfile(all, o);
    all->count--;
    rri_lock_give(&all->lock);
    forget(o, NULL);
    rri_table_remove(&all->table, o);
}

int rri_object_rename(rri_objects *all, uint64_t address, uint64_t number)
{
    rri_object *o = rri_object_of(all, address);
    if (!o) return rri_fail(RREF_ERR_NO_OBJECT, "the object is gone");
    rri_lock_take(&all->lock);
    unfile(all, o);
    o->identity = rri_address(rri_address_creator(o->identity), number);
    file(all, o);
    rri_lock_give(&all->lock);
    return RREF_OK;
}

rri_object *rri_object_identified(const rri_objects *all, uint64_t identity)
{
    rri_object *o = led_to(all, all->bucket[bucket_of(all, identity)]);
    while (o && o->identity != identity) o = led_to(all, o->next);
    return o;
}

rri_object *rri_object_of(rri_objects *all, uint64_t address)
{
    if (address == RRI_ROOT) return all->root;
    if (address == RRI_SERVICE) return all->service;
    if (!(address & RRI_NAMED)) return rri_table_find(&all->table, address);
    rri_lock_take(&all->lock);
    rri_object *o = rri_object_identified(all, address);
    rri_lock_give(&all->lock);
    return o;
}

rri_object *rri_object_wrap(rri_objects *all, const rri_class *klass, void *self)
{
    rri_object *o = add(all, klass, all->calls->rank, 0);
    if (!o) return NULL;
    o->self = self;
    atomic_store(&o->state, RRI_ALIVE);
    return o;
}

void rri_object_unwrap(rri_object *object) { remove_object(object); }

uint64_t rri_object_mint(rri_object *o)
{
    uint64_t weight = o->all->weight < MINT ? o->all->weight : MINT;
    atomic_fetch_add(&o->weight, weight);
    return weight;
}

/* Objects that are there from the start to the end. */
static bool lasting(const rri_object *o) { return o && (o == o->all->root || o == o->all->service); }

/* Take weight back, with the last of it the object; false if there is not so much out. */
static bool take_back(rri_object *o, uint64_t weight);

void rri_object_give_back(rri_objects *all, int peer, uint64_t address, uint64_t weight)
{
    rri_object *o = rri_object_of(all, address);
    if (o && !lasting(o) && take_back(o, weight)) return;
    atomic_fetch_add(&all->calls->refused, 1);
    rri_log(RRI_LOG_ERROR, "rank %d released an object that is not there, or more of it than it had", peer);
}

/* ---- calls */

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

/* ---- construction */

/* The constructor has made what nobody will have, since its call has failed for another reason: a mistake of its own, say. */
static void unmake(rri_object *o)
{
    if (o->self && o->klass->source->destroy) o->klass->source->destroy(o->self);
    o->self = NULL;
}

/* They queue at the object, and before its creator knows that it is there: who calls it by its handle comes after them. */
static void serve_waiting(rri_object *o)
{
    rref_error why = *rri_error_last();
    rri_parked_serve(o->all, o->identity);
    *rri_error_last() = why;
}

static int run_constructor(rref_call *c)
{
    rri_object *o = c->object;
    int rc = c->given ? rri_described_fit(c, &o->klass->create.in) : RREF_OK;
    if (rc == RREF_OK) rc = o->klass->source->create(c, &o->self);
    if (rc == RREF_OK && c->failed) unmake(o);
    if (atomic_load_explicit(&o->all->waiting, memory_order_acquire)) serve_waiting(o);
    return rc == RREF_PENDING ? rri_fail(RREF_ERR_STATE, "a constructor may not answer later") : rc;
}

static void fail_object(rri_object *o, const rref_error *error)
{
    rri_object_more *more = rri_object_more_of(o);
    rref_error *why = more ? rri_malloc(sizeof *why) : NULL;
    if (why) {
        *why = *error;
        rri_error_origin(&o->all->calls->futures, why);
        more->error = why;
    }
    o->outcome = error->code;
    atomic_store(&o->state, RRI_FAILED);
}

/* One that is dying meanwhile goes on to. */
void rri_object_finish(rri_object *o, int outcome)
{
    unsigned char made = RRI_CONSTRUCTING;
    if (outcome == RREF_OK) atomic_compare_exchange_strong(&o->state, &made, RRI_ALIVE);
    else fail_object(o, rri_error_last());
    rri_exec_born(&o->actor);
}

static void constructed(rref_call *c, int outcome)
{
    rri_object *o = c->object;
    if (outcome && c->error) *rri_error_last() = *c->error;
    if (atomic_load(&o->state) != RRI_FAILED) rri_object_finish(o, outcome);
    rri_parked_serve(o->all, o->identity);
}

/* Creators count from 1 in the order of their lane; a number out of order is refused. */
static int see(rri_objects *all, int creator, uint64_t number)
{
    rri_lock_take(&all->lock);
    bool fresh = number > all->seen[creator] && number < RRI_GROUP_NUMBERS;
    if (fresh) all->seen[creator] = number;
    rri_lock_give(&all->lock);
    return fresh ? RREF_OK : rri_fail(RREF_ERR_PROTOCOL, "an object numbered %" PRIu64 " by rank %d", number, creator);
}

static int can_construct(const rri_class *k, const char *name, uint64_t id)
{
    if (!k) return rri_fail(RREF_ERR_NO_CLASS, "class %s is not known there", name);
    if (id && k->id != id)
        return rri_fail(RREF_ERR_CLASS_MISMATCH, "class %s is %016" PRIx64 " there and %016" PRIx64 " at the caller", name,
                        k->id, id);
    return k->source->create ? RREF_OK : rri_fail(RREF_ERR_STATE, "class %s has no constructor", name);
}

static int find_constructor(rri_objects *all, const rri_record *r, rri_buffer *buffer, rref_call *c)
{
    char name[RRI_DESCRIBED_MAX] = "";
    uint64_t id;
    const char *body = (const char *)(r + 1) + (r->flags & RRI_FLAG_BULK ? sizeof(rri_bulk_note) : 0);
    c->out = c->in = &no_types;
    if (r->method >= sizeof name || (size_t)(body - (const char *)r) + sizeof id + r->method > r->bytes)
        return rri_fail(RREF_ERR_PROTOCOL, "a creation that cannot be read");
    memcpy(&id, body, sizeof id);
    memcpy(name, body + sizeof id, r->method);
    const rri_class *k = rri_class_named(all->classes, name);
    rri_object *o = see(all, buffer->peer, r->object) ? NULL : add(all, k, buffer->peer, r->object);
    if (!o) return rri_error_last()->code;
    rri_exec_unborn(&o->actor);
    int rc = id ? RREF_OK : rri_described_read(c, name + strlen(name) + 1);
    if (rc == RREF_OK) rc = can_construct(k, name, id);
    c->object = o;
    c->class_name = k ? k->name : "?";
    c->method_name = "constructor";
    c->in = c->given ? &c->given->in : k && k->id == id ? &k->create.in : &no_types;
    if (rc) fail_object(o, rri_error_last());
    else {
        c->actor = &o->actor;
        c->run = run_constructor;
        c->ended = constructed;
        c->out = &k->create.out;
        c->created = rri_table_handle(&all->table, o);
    }
    if (rc) {
        rri_parked_serve(all, rri_address(buffer->peer, r->object));
        rri_object_why(o);
    }
    return rc;
}

static void let_go(rref_call *c, int outcome)
{
    (void)outcome;
    rri_object_unpin(c->object);
}

bool rri_object_pin(rri_object *o)
{
    uint64_t out = atomic_load(&o->weight);
    while (out && !atomic_compare_exchange_weak(&o->weight, &out, out + 1)) {}
    return out;
}

void rri_object_unpin(rri_object *o) { take_back(o, 1); }

void rri_object_write_off(rri_objects *all, uint64_t handle, uint64_t weight)
{
    rri_object *o = rri_table_find(&all->table, handle);
    if (o && !lasting(o)) take_back(o, weight);
}

/* A method that may run beside others may still do so when the last reference goes: until its end it is one. */
static void hold(rri_object *o, rref_call *c)
{
    if (lasting(o) || !(c->flags & RREF_CONCURRENT || c->reentrant)) return;
    if (rri_object_pin(o)) c->ended = let_go;
}

static int find_method(rri_objects *all, const rri_record *record, rri_buffer *buffer, rref_call *c)
{
    rri_object *o = rri_object_of(all, record->object);
    c->out = c->in = &no_types;
    int rc = o ? rri_park_behind(all, record, buffer) : rri_park_missing(all, record, buffer);
    return rc ? rc : aim_at(o, record, c);
}

/* ---- results that stay */

/* The object that a result becomes is there from the moment the request has arrived, or was announced, occupied until the
 * outcome is known. A request that was announced, parked, or passed to another thread, finds it when it comes (again). */
static rri_object *begin_numbered(rri_objects *all, int creator, uint64_t number)
{
    uint64_t address = rri_address(creator, number);
    rri_object *o = rri_object_of(all, address);
    if (o) return o;
    o = see(all, creator, number) ? NULL : add(all, all->results, creator, number);
    if (!o) return NULL;
    rri_exec_occupy(&o->actor);
    rri_exec_unborn(&o->actor);
    rri_parked_serve(all, address);
    return o;
}

/* A result is made once, whatever comes. */
static bool claim(rri_object *o) { return rri_object_is_result(o) && atomic_exchange(&o->claim, RRI_CLAIMED) != RRI_CLAIMED; }

void rri_object_unclaim(rri_object *o) { atomic_store(&o->claim, RRI_CLAIMED_AGAIN); }

static rri_object *begin_result(rri_objects *all, const rri_record *r, int creator)
{
    size_t head = sizeof *r + (r->flags & RRI_FLAG_BULK ? sizeof(rri_bulk_note) : 0);
    const rri_remote_note *note = (const void *)((const char *)r + head);
    if (r->bytes < head + sizeof *note) {
        rri_fail(RREF_ERR_PROTOCOL, "a remote-mode call that cannot be read");
        return NULL;
    }
    return begin_numbered(all, creator, note->number);
}

/* Nothing will come of a result that was announced. */
static bool end_result(rri_object *o, const rri_record *record)
{
    rref_error error;
    if (!rri_answer_error(record, &error) || !claim(o)) return false;
    *rri_error_last() = error;
    rri_object_finish(o, error.code);
    rri_exec_leave(&o->actor);          /* it may be gone after this */
    return true;
}

/* ---- the lost */

/* A result that a rank has announced, and whose call has not come. */
typedef struct announced {
    const rri_objects *all;
    int creator;
    rri_object *found;
} announced;

static void look_at(void *item, void *arg)
{
    rri_object *o = item;
    announced *a = arg;
    if (!rri_object_is_result(o) || rri_address_creator(o->identity) != a->creator) return;
    if (atomic_load(&o->claim) == RRI_EXPECTED) a->found = o;
}

/* It is occupied, and stays there until it is left. */
static void end_announced(rri_object *o, int creator)
{
    unsigned char expected = RRI_EXPECTED;
    if (!atomic_compare_exchange_strong(&o->claim, &expected, RRI_CLAIMED)) return;
    rri_object_finish(o, rri_peer_blame(o->all->calls->peers, creator, NULL, "; it had not made the call"));
    rri_exec_leave(&o->actor);
}

void rri_objects_lose(rri_objects *all, int peer)
{
    rri_parked_lose(all, peer);
    for (announced a = { all, peer, NULL };; a.found = NULL) {
        rri_table_look(&all->table, look_at, &a);
        if (!a.found) return;
        end_announced(a.found, peer);
    }
}

void rri_object_announced(rri_objects *all, const rri_record *record, rri_buffer *buffer)
{
    rri_object *o = begin_numbered(all, buffer->peer, record->object);
    if (o && (record->bytes == sizeof *record || end_result(o, record))) return;
    atomic_fetch_add(&all->calls->refused, 1);
    rri_log(RRI_LOG_ERROR, "rank %d announced a result that cannot be", buffer->peer);
}

static int find_remote(rri_objects *all, const rri_record *record, rri_buffer *buffer, rref_call *c)
{
    rri_object *result = begin_result(all, record, buffer->peer);
    c->out = c->in = &no_types;
    if (!result) return rri_error_last()->code;
    if (!claim(result)) return rri_fail(RREF_ERR_PROTOCOL, "a result that is there already, or no result");
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
    if (record->kind == RRI_CREATE) return find_constructor(up, record, buffer, call);
    bool remote = record->flags & RRI_FLAG_REMOTE;
    int rc = remote ? find_remote(up, record, buffer, call) : find_method(up, record, buffer, call);
    if (rc) return rc;
    call->run = run_found;
    hold(call->object, call);
    return RREF_OK;
}

/* ---- destruction */

static int run_destructor(rref_call *c)
{
    rri_object *o = c->object;
    bool whole = o->klass && o->klass->source->destroy && atomic_load(&o->state) != RRI_FAILED;
    if (whole && o->self) o->klass->source->destroy(o->self);
    return RREF_OK;
}

static void destroyed(rref_call *c, int outcome)
{
    rri_object *o = c->object;
    (void)outcome;
    atomic_fetch_sub(&o->all->dying, 1);
    remove_object(o);
}

/* It may lose its last reference while its constructor fails, on another thread. */
static void begin_to_die(rri_object *o)
{
    unsigned char state = atomic_load(&o->state);
    while (state != RRI_FAILED && !atomic_compare_exchange_weak(&o->state, &state, RRI_DYING)) continue;
}

static void destroy(rri_object *o)
{
    rref_call *c = rri_call_new(o->all->calls);
    if (!c) {
        rri_log(RRI_LOG_ERROR, "no memory to destroy an object now; it is left for the end");
        atomic_store(&o->weight, 1);
        return;
    }
    atomic_fetch_add(&o->all->dying, 1);
    begin_to_die(o);
    c->in = c->out = &no_types;
    c->local = true;
    c->object = o;
    c->actor = &o->actor;
    c->run = run_destructor;
    c->ended = destroyed;
    rri_call_enter(c);
}

/* A release waits behind calls that wait for the object, and for a creation that has not come yet: a third rank may have
 * been given the reference, and have dropped it, before. */
static bool keep_release(rri_objects *all, const rri_object *o, uint64_t address, uint64_t weight)
{
    rri_record kept = { .kind = RRI_PARCELS, .object = address, .extra = weight,
                        .flags = rri_colour(all->calls->futures.colours) ? RRI_FLAG_COLOUR : 0 };
    if (o) kept.object = o->identity;
    if (!(kept.object & RRI_NAMED)) return false;
    return (o ? rri_park_behind(all, &kept, NULL) : rri_park_missing(all, &kept, NULL)) == RRI_PARK;
}

static bool take_back(rri_object *o, uint64_t weight)
{
    uint64_t out = atomic_load(&o->weight);
    do {
        if (!weight || weight > out) return false;
    } while (!atomic_compare_exchange_weak(&o->weight, &out, out - weight));
    if (weight == out) destroy(o);
    return true;
}

void rri_object_release(rri_objects *all, int peer, uint64_t address, uint64_t weight)
{
    rri_object *o = rri_object_of(all, address);
    if (!lasting(o) && keep_release(all, o, address, weight)) return;
    rri_object_give_back(all, peer, address, weight);
}

void rri_object_refill(rri_objects *all, const rri_record *record, rri_buffer *buffer)
{
    rri_object *o = rri_object_of(all, record->object);
    const rri_refill *refill = (const void *)(record + 1);
    if (!o && rri_park_missing(all, record, buffer) == RRI_PARK) return;
    if (!o || lasting(o)) {
        atomic_fetch_add(&all->calls->refused, 1);
        rri_log(RRI_LOG_ERROR, "rank %d wants weight of an object that has none", buffer->peer);
        return;
    }
    atomic_fetch_add_explicit(&all->refills, 1, memory_order_relaxed);
    rri_weight_send(all->calls->weights, buffer->peer, record->call, rri_object_mint(o));
    if (refill->voucher) rri_weight_send(all->calls->weights, refill->guarantor, refill->voucher, 0);
}

static void destroy_left(void *item, void *arg)
{
    rri_object *o = item;
    (void)arg;
    if (!lasting(o) && atomic_load(&o->state) != RRI_DYING && atomic_exchange(&o->weight, 0)) destroy(o);
}

void rri_objects_destroy_all(rri_objects *all) { rri_table_each(&all->table, destroy_left, all); }

unsigned rri_objects_alive(rri_objects *all)
{
    return atomic_load(&all->table.live) - (all->root != NULL) - (all->service != NULL);
}

void rri_objects_each(rri_objects *all, void (*visit)(const rri_object *object, void *arg), void *arg)
{
    rri_lock_take(&all->lock);
    for (size_t i = 0; i < all->buckets; i++)
        for (const rri_object *o = led_to(all, all->bucket[i]); o; o = led_to(all, o->next))
            if (!lasting(o)) visit(o, arg);
    rri_lock_give(&all->lock);
}

static void add_weight(const rri_object *o, void *arg)
{
    uint64_t *sum = arg, weight = atomic_load_explicit(&o->weight, memory_order_relaxed);
    *sum = weight > UINT64_MAX - *sum ? UINT64_MAX : *sum + weight;
}

uint64_t rri_objects_weight(rri_objects *all)
{
    uint64_t sum = 0;
    rri_objects_each(all, add_weight, &sum);
    return sum;
}
