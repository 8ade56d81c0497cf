/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns this rank's handles: what each knows, how long it stays, and what is asked of it alone. */
#include "reference.h"
#include "error.h"
#include "exec.h"
#include "fork.h"
#include "log.h"
#include "memory.h"
#include "resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPORTED = 100 };

_Atomic(rri_references *) rri_references_open_now[RRI_REFERENCE_CONTEXTS];

void rri_references_open(rri_references *all, unsigned context)
{
    rri_table_init(&all->table, RRI_KIND_REF, context, sizeof(rri_reference));
    all->opened = rri_now_coarse();
    atomic_store(&rri_references_open_now[context % RRI_REFERENCE_CONTEXTS], all);
}

static void forget(void *item, void *arg)
{
    rri_more *more = atomic_load(&((rri_reference *)item)->more);
    (void)arg;
    if (!more) return;
    free(more->error);
    free(more->lead);
    free(more);
}

void rri_references_close(rri_references *all)
{
    atomic_store(&rri_references_open_now[all->table.tag >> 52 & 0xff], NULL);
    rri_table_each(&all->table, forget, NULL);
    rri_origins_free(&all->origins);
    rri_table_free(&all->table);
}

/* One that nobody holds may be there still, for others. */
static inline rri_reference *item_of(uint64_t bits)
{
    rri_references *all = rri_handle_kind_of(bits) == RRI_KIND_REF
                          ? atomic_load(&rri_references_open_now[rri_handle_context(bits)]) : NULL;
    return all ? rri_table_find(&all->table, bits) : NULL;
}

rri_reference *rri_reference_of(rref reference)
{
    uint64_t bits = reference.bits;
    if (rri_forked()) return NULL;
    rri_reference *r = item_of(bits);
    if (r && !atomic_load_explicit(&r->held, memory_order_acquire)) r = NULL;
    if (!r) rri_fail(RREF_ERR_HANDLE, bits ? "not a reference, or released already" : "a zero reference");
    return r;
}

/* ---- what is kept elsewhere */

rri_more *rri_reference_more(rri_reference *r)
{
    rri_more *there = atomic_load(&r->more), *fresh = there ? NULL : rri_calloc(1, sizeof *fresh);
    if (!fresh) return there;
    if (atomic_compare_exchange_strong(&r->more, &there, fresh)) return fresh;
    free(fresh);
    return there;
}

rri_future *rri_reference_creation(const rri_reference *r)
{
    uint64_t place = atomic_load_explicit(&r->place, memory_order_acquire);
    return rri_handle_kind_of(place) == RRI_KIND_FUTURE ? rri_future_hold(place) : NULL;
}

uint64_t rri_reference_class_id(const rri_reference *r)
{
    const rri_class *k = atomic_load(&r->klass);
    const rri_more *more = k ? NULL : atomic_load(&r->more);
    return k ? k->id : more ? more->class_id : 0;
}

rri_origin rri_reference_origin(const rri_reference *r)
{
    const rri_origin *o = r->origin ? atomic_load(&rri_references_of(r)->origins.place[r->origin]) : NULL;
    return o ? *o : (rri_origin){ NULL, NULL, NULL };
}

static unsigned age_now(const rri_references *all)
{
    int64_t age = (rri_now_coarse() - all->opened) >> RRI_AGE_SHIFT;
    return age < RRI_AGES ? (unsigned)age : RRI_AGES;
}

int64_t rri_reference_age(const rri_reference *r)
{
    int64_t age = rri_now_coarse() - rri_references_of(r)->opened - ((int64_t)r->made << RRI_AGE_SHIFT);
    return age > 0 ? age : 0;
}

/* ---- made and ended */

/* For the report at the end: whether it was an object, presumably, that wanted it. */
static rri_origin origin_of(const rri_references *all, const char *site)
{
    const rref_call *c = rri_exec_current();
    const rri_object *o = c ? c->object : NULL;
    if (!o || o->all != all->objects || o == o->all->root || o == o->all->service) return (rri_origin){ site, NULL, NULL };
    return (rri_origin){ site, c->class_name, c->method_name };
}

/* What only the id of the class is known of keeps that. */
static bool note_class(rri_reference *r, const rri_class *klass, uint64_t class_id)
{
    if (!klass && class_id) klass = rri_class_of_id(rri_references_of(r)->classes, class_id);
    atomic_store_explicit(&r->klass, klass, memory_order_relaxed);
    if (klass || !class_id) return true;
    rri_more *more = rri_reference_more(r);
    if (more) more->class_id = class_id;
    return more;
}

rri_reference *rri_reference_make(rri_references *all, int owner, uint64_t identity, uint64_t place, const rri_class *klass,
                                  uint64_t class_id, uint64_t weight, const char *site)
{
    rri_reference *r = rri_table_add(&all->table, NULL);
    if (r) {
        r->context = (unsigned)(all->table.tag >> 52) & 0xff;
        if (!note_class(r, klass, class_id)) {
            rri_table_remove(&all->table, r);
            r = NULL;
        }
    }
    if (!r) {
        rri_fail(RREF_ERR_NO_MEMORY, "no memory for a reference");
        return NULL;
    }
    if (owner < 0) r->owner = -1;
    else r->owner = owner & 0x7fffff;
    atomic_store_explicit(&r->identity, identity, memory_order_relaxed);
    atomic_store_explicit(&r->place, place, memory_order_relaxed);
    r->weight = weight;
    r->made = age_now(all) & RRI_AGES;
    r->origin = rri_origin_number(&all->origins, origin_of(all, site)) & (RRI_ORIGINS - 1);
    r->kept = true;
    atomic_store_explicit(&r->held, 1, memory_order_release);
    return r;
}

rref rri_reference_handle(const rri_reference *r)
{
    return (rref){ r ? rri_table_handle(&rri_references_of(r)->table, r) : 0 };
}

void rri_reference_know(rri_reference *r, const rri_class *klass) { atomic_store(&r->klass, klass); }

static bool hold(rri_reference *r)
{
    unsigned held = atomic_load(&r->held);
    while (held && !atomic_compare_exchange_weak(&r->held, &held, held + 1)) {}
    return held;
}

rref rri_reference_keep(rri_reference *r) { return hold(r) ? rri_reference_handle(r) : (rref){ 0 }; }

rref rri_reference_failed(rri_references *all)
{
    rref_error error = *rri_error_last();
    rri_reference *r = rri_reference_make(all, -1, rri_address(all->calls->rank, 0), 0, NULL, 0, 0, NULL);
    rri_more *more = r ? rri_reference_more(r) : NULL;
    if (!r) return (rref){ 0 };
    rri_error_origin(&all->calls->futures, &error);
    if (more) more->error = rri_malloc(sizeof *more->error);
    if (more && more->error) *more->error = error;
    *rri_error_last() = error;
    return rri_reference_handle(r);
}

void rri_reference_remove(rri_reference *r)
{
    rri_more *more = atomic_load(&r->more);
    if (more) {
        rri_lead_free(more->lead);
        free(more->error);
        free(more);
    }
    rri_table_remove(&rri_references_of(r)->table, r);
}

void rri_reference_forget(rri_references *all, uint64_t handle)
{
    rri_reference *r = rri_table_find(&all->table, handle);
    if (r) rri_reference_remove(r);
}

static int own_error(const rri_reference *r)
{
    const rri_more *more = atomic_load(&r->more);
    if (r->owner >= 0) return RREF_OK;
    if (!more || !more->error) return rri_fail(RREF_ERR_NO_MEMORY, "the reference's error was lost for want of memory");
    *rri_error_last() = *more->error;
    return more->error->code;
}

/* Failure of the construction, as far as it is known here. */
int rri_reference_error(const rri_reference *r)
{
    int rc = own_error(r);
    rri_future *creation = rc ? NULL : rri_reference_creation(r);
    if (!creation) return rc;
    if (rri_event_done(&creation->event) && creation->outcome) rc = rri_fail_as(creation->outcome, creation->error);
    rri_future_drop(creation);
    return rc;
}

/* Retain and release leave such a handle alone. */
rref rri_reference_lasting(rri_references *all, _Atomic uint64_t *place, int rank, uint64_t number, uint64_t address,
                           const rri_class *klass, uint64_t class_id)
{
    uint64_t there = atomic_load(place);
    if (there) return (rref){ there };
    rri_reference *r = rri_reference_make(all, rank, rri_address(rank, number), address, klass, class_id, 0, NULL);
    rref mine = rri_reference_handle(r);
    if (r && !atomic_compare_exchange_strong(place, &there, mine.bits)) {
        rri_reference_remove(r);
        return (rref){ there };
    }
    return mine;
}

rref rri_reference_root(rri_references *all, int rank)
{
    uint64_t id = all->root_class[rank];
    return rri_reference_lasting(all, &all->roots[rank], rank, 0, RRI_ROOT, rri_class_of_id(all->classes, id), id);
}

bool rri_reference_is_lasting(const rri_reference *r)
{
    uint64_t number = rri_reference_number(r);
    return r->owner >= 0 && (number == 0 || rri_number_is_group(number)) && r->weight == 0;
}

void rri_reference_give_back(rri_references *all, int owner, uint64_t address, uint64_t weight)
{
    if (weight && !atomic_load(&all->closing)) rri_weight_send(all->calls->weights, owner, address, weight);
}

/* The creation's count is given back by who takes it out of its place: here, or when it is confirmed. */
static void drop_creation(rri_references *all, uint64_t place)
{
    if (rri_handle_kind_of(place) == RRI_KIND_FUTURE) rri_future_drop(rri_table_find(&all->calls->futures.table, place));
}

void rri_reference_end(rri_reference *r)
{
    rri_references *all = rri_references_of(r);
    rri_reference_give_back(all, r->owner, rri_reference_address(r), r->weight);
    drop_creation(all, atomic_exchange(&r->place, 0));
    rri_reference_remove(r);
}

static void drop(rri_reference *r)
{
    rri_lock_take(&r->lock);
    r->kept = false;
    bool over = rri_reference_is_over(r);
    rri_lock_give(&r->lock);
    if (over) rri_reference_end(r);
}

rri_object *rri_reference_object(const rri_references *all, int owner, uint64_t address)
{
    return owner == all->calls->rank ? rri_object_of(all->objects, address) : NULL;
}

static int let_go(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    unsigned held = atomic_load(&r->held);
    if (rri_reference_is_lasting(r)) return RREF_OK;
    while (held && !atomic_compare_exchange_weak(&r->held, &held, held - 1)) {}
    if (held == 1) drop(r);
    return held ? RREF_OK : rri_fail(RREF_ERR_HANDLE, "not a reference, or released already");
}

void rri_reference_drop(rref reference) { let_go(reference); }

void rri_reference_occupy(rri_reference *r)
{
    rri_lock_take(&r->lock);
    r->occupies = true;
    rri_lock_give(&r->lock);
}

rri_reference *rri_reference_occupying(rref reference, bool *occupies)
{
    rri_reference *r = rri_forked() ? NULL : item_of(reference.bits);
    *occupies = false;
    if (!r) return rri_reference_of(reference);
    rri_lock_take(&r->lock);
    *occupies = r->occupies;
    rri_lock_give(&r->lock);
    return *occupies ? r : rri_reference_of(reference);
}

void rri_reference_vacate(rri_references *all, uint64_t handle)
{
    rri_reference *r = rri_table_find(&all->table, handle);
    if (!r) return;
    rri_lock_take(&r->lock);
    bool over = r->occupies;
    r->occupies = false;
    over = over && rri_reference_is_over(r);
    rri_lock_give(&r->lock);
    if (over) rri_reference_end(r);
}

/* ---- the API */

rref rref_root(rref_context *context, int rank)
{
    rri_references *all = rri_context_references(context);
    if (!all) return (rref){ 0 };
    if (rank < 0 || rank >= rri_link_size(all->calls->link)) {
        rri_fail(RREF_ERR_DESTINATION, "rank %d of %d", rank, rri_link_size(all->calls->link));
        return rri_reference_failed(all);
    }
    return rri_reference_root(all, rank);
}

rref rref_root_named(rref_context *context, const char *name)
{
    rri_references *all = rri_context_references(context);
    if (!all) return (rref){ 0 };
    int rank = rref_rank_of(context, name);
    return rank < 0 ? rri_reference_failed(all) : rri_reference_root(all, rank);
}

int rref_retain(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    return hold(r) ? RREF_OK : rri_fail(RREF_ERR_HANDLE, "released already");
}

int rref_release(rref reference) { return let_go(reference); }

int rref_owner(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    int rc = own_error(r);
    return rc ? rc : r->owner;
}

bool rref_is_owner(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    return r && r->owner == rri_references_of(r)->calls->rank;
}

/* What a rank knows that did not create the object: it exists if its owner's handle came with the reference. */
static int existence(const rri_reference *r)
{
    uint64_t address = rri_reference_address(r);
    const rri_object *o = rri_reference_object(rri_references_of(r), r->owner, address);
    int state = o ? atomic_load(&o->state) : RRI_CONSTRUCTING;
    if (state == RRI_FAILED) return rri_object_why(o);
    if (!(address & RRI_NAMED) || state != RRI_CONSTRUCTING) return RREF_OK;
    return rri_fail(RREF_ERR_PENDING, "not known on this rank; rref_creation asks the owner");
}

int rref_confirmed(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    int rc = rri_reference_error(r);
    rri_future *creation = rc ? NULL : rri_reference_creation(r);
    if (!creation) return rc ? rc : existence(r);
    if (!rri_event_done(&creation->event)) rc = rri_fail(RREF_ERR_PENDING, "the owner has not confirmed the object yet");
    else if (creation->outcome) rc = rri_fail_as(creation->outcome, creation->error);
    rri_future_drop(creation);
    return rc;
}

int rri_reference_local(rref reference)
{
    char name[128];
    const rri_reference *r = rri_reference_of(reference);
    int rc = r ? own_error(r) : rri_error_last()->code;
    if (rc || r->owner == rri_references_of(r)->calls->rank) return rc;
    rref_format(reference, name, sizeof name);
    return rri_fail(RREF_ERR_NOT_OWNER, "%s belongs to rank %d; this is rank %d", name, r->owner,
                    rri_references_of(r)->calls->rank);
}

int rri_reference_is_result(void)
{
    return rri_fail(RREF_ERR_STATE, "a result that stays here is no object: rref_to_here gives its values");
}

int rref_local_value(rref reference, void **self)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    if (!self) return rri_fail(RREF_ERR_ARGUMENT, "NULL self");
    int rc = rri_reference_error(r);
    if (!rc) rc = rri_reference_local(reference);
    if (rc) return rc;
    rri_object *o = rri_object_of(rri_references_of(r)->objects, rri_reference_address(r));
    if (!o || atomic_load(&o->state) == RRI_CONSTRUCTING)
        return rri_fail(RREF_ERR_PENDING, "the object is still under construction");
    if (atomic_load(&o->state) == RRI_FAILED) return rri_object_why(o);
    if (rri_object_is_result(o)) return rri_reference_is_result();
    *self = o->self;
    return RREF_OK;
}

bool rref_same_object(rref a, rref b)
{
    rri_reference *x = rri_reference_of(a), *y = rri_reference_of(b);
    return x && y && x->context == y->context && x->owner >= 0 && x->owner == y->owner
           && atomic_load(&x->identity) == atomic_load(&y->identity);
}

uint64_t rref_hash(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return 0;
    uint64_t h = (uint64_t)(uint32_t)r->owner << 32 | (uint32_t)rri_reference_creator(r);
    h = (h ^ rri_reference_number(r) * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    h ^= h >> 29;
    return h ? h : 1;
}

static int format(const rri_reference *r, char *buffer, size_t size)
{
    const rri_more *more = atomic_load(&r->more);
    const rri_class *k = atomic_load(&r->klass);
    if (r->owner < 0)
        return snprintf(buffer, size, "(failed: %s)", more && more->error ? rref_error_name(more->error->code) : "?");
    return snprintf(buffer, size, "%s@%d (%d.%" PRIu64 ")", k ? k->name : "?", r->owner, rri_reference_creator(r),
                    rri_reference_number(r));
}

int rref_format(rref reference, char *buffer, size_t size)
{
    rri_reference *r = rri_reference_of(reference);
    if (r && !buffer && size) return rri_fail(RREF_ERR_ARGUMENT, "NULL buffer");
    if (r && r->owner >= 0) rri_resolved(r);
    return r ? format(r, buffer, size) : rri_error_last()->code;
}

int rref_error_of(rref reference, rref_error *error)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    if (!error) return rri_fail(RREF_ERR_ARGUMENT, "NULL error");
    if (rri_reference_error(r) == RREF_OK) return rri_fail(RREF_ERR_STATE, "the reference carries no error");
    *error = *rri_error_last();
    return RREF_OK;
}

typedef struct report {
    unsigned count;
    int rank;
    bool by_objects;                /* those; else the others */
} report;

static void report_one(void *item, void *arg)
{
    rri_reference *r = item;
    report *to = arg;
    char name[128];
    const rri_origin from = rri_reference_origin(r);
    if (r->owner < 0 || rri_reference_is_lasting(r) || !atomic_load(&r->held) || !!from.by_class != to->by_objects) return;
    if (to->count++ >= REPORTED) return;
    format(r, name, sizeof name);
    rri_log(RRI_LOG_WARN, "still held at the end: %s, by rank %d for %.1f s, %s%s%s%s%s%s", name, to->rank,
            (double)rri_reference_age(r) * 1e-9, from.site ? "created at " : "received", from.site ? from.site : "",
            from.by_class ? " in an object's method, " : "", from.by_class ? from.by_class : "", from.by_class ? "." : "",
            from.by_class ? from.by_method : "");
}

unsigned rri_references_report(rri_references *all)
{
    report r = { .rank = all->calls->rank };
    rri_table_each(&all->table, report_one, &r);
    r.by_objects = true;            /* they come second: what keeps such an object is more often among the others */
    rri_table_each(&all->table, report_one, &r);
    if (r.count > REPORTED) rri_log(RRI_LOG_WARN, "and %u more references", r.count - REPORTED);
    return r.count;
}
