/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the objects of this rank, their identities, their weight and their end. */
#include "object.h"
#include "error.h"
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

rri_object *rri_object_add(rri_objects *all, const rri_class *klass, int creator, uint64_t number)
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
    rri_object *o = rri_object_add(all, klass, all->calls->rank, 0);
    if (!o) return NULL;
    o->self = self;
    atomic_store(&o->state, RRI_ALIVE);
    return o;
}

void rri_object_unwrap(rri_object *object) { remove_object(object); }

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

/* ---- weight */

uint64_t rri_object_mint(rri_object *o)
{
    uint64_t weight = o->all->weight < MINT ? o->all->weight : MINT;
    atomic_fetch_add(&o->weight, weight);
    return weight;
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

/* Take weight back, with the last of it the object; false if there is not so much out. */
static bool take_back(rri_object *o, uint64_t weight)
{
    uint64_t out = atomic_load(&o->weight);
    do {
        if (!weight || weight > out) return false;
    } while (!atomic_compare_exchange_weak(&o->weight, &out, out - weight));
    if (weight == out) destroy(o);
    return true;
}

void rri_object_give_back(rri_objects *all, int peer, uint64_t address, uint64_t weight)
{
    rri_object *o = rri_object_of(all, address);
    if (o && !rri_object_lasting(o) && take_back(o, weight)) return;
    atomic_fetch_add(&all->calls->refused, 1);
    rri_log(RRI_LOG_ERROR, "rank %d released an object that is not there, or more of it than it had", peer);
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
    if (o && !rri_object_lasting(o)) take_back(o, weight);
}

void rri_object_release(rri_objects *all, int peer, uint64_t address, uint64_t weight)
{
    rri_object *o = rri_object_of(all, address);
    if (!rri_object_lasting(o) && keep_release(all, o, address, weight)) return;
    rri_object_give_back(all, peer, address, weight);
}

void rri_object_refill(rri_objects *all, const rri_record *record, rri_buffer *buffer)
{
    rri_object *o = rri_object_of(all, record->object);
    const rri_refill *refill = (const void *)(record + 1);
    if (!o && rri_park_missing(all, record, buffer) == RRI_PARK) return;
    if (!o || rri_object_lasting(o)) {
        atomic_fetch_add(&all->calls->refused, 1);
        rri_log(RRI_LOG_ERROR, "rank %d wants weight of an object that has none", buffer->peer);
        return;
    }
    atomic_fetch_add_explicit(&all->refills, 1, memory_order_relaxed);
    rri_weight_send(all->calls->weights, buffer->peer, record->call, rri_object_mint(o));
    if (refill->voucher) rri_weight_send(all->calls->weights, refill->guarantor, refill->voucher, 0);
}

/* ---- all of them */

static void destroy_left(void *item, void *arg)
{
    rri_object *o = item;
    (void)arg;
    if (!rri_object_lasting(o) && atomic_load(&o->state) != RRI_DYING && atomic_exchange(&o->weight, 0)) destroy(o);
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
            if (!rri_object_lasting(o)) visit(o, arg);
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
