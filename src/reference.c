/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns this rank's handles. Counting is by weight (D. Bevan, and P. Watson and I. Watson, 1987): a new object's weight is all
 * with its creator's handle; sharing splits off a part and sends nothing else; the owner mints more for its own handles.
 */
#include "reference.h"
#include "described.h"
#include "error.h"
#include "fork.h"
#include "group.h"
#include "log.h"
#include "memory.h"
#include "resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXTS = 256, SHARE_SHIFT = 4 };

static _Atomic(rri_references *) contexts[CONTEXTS];

/* A reference on the wire. */
typedef struct wire {
    uint64_t class_id;
    int32_t owner, creator;
    uint64_t number, address, weight, reserved;
} wire;
_Static_assert(sizeof(wire) == RRI_REF_WIRE, "a reference's size on the wire");

void rri_references_open(rri_references *all, unsigned context)
{
    rri_table_init(&all->table, RRI_KIND_REF, context, sizeof(rri_reference));
    atomic_store(&contexts[context % CONTEXTS], all);
}

static void forget(void *item, void *arg)
{
    rri_reference *r = item;
    (void)arg;
    free(r->error);
}

void rri_references_close(rri_references *all)
{
    atomic_store(&contexts[all->table.tag >> 52 & 0xff], NULL);
    rri_table_each(&all->table, forget, NULL);
    rri_table_free(&all->table);
}

rri_reference *rri_reference_of(rref reference)
{
    uint64_t bits = reference.bits;
    if (rri_forked()) return NULL;
    rri_references *all = rri_handle_kind_of(bits) == RRI_KIND_REF ? atomic_load(&contexts[rri_handle_context(bits)]) : NULL;
    rri_reference *r = all ? rri_table_find(&all->table, bits) : NULL;
    if (!r) rri_fail(RREF_ERR_HANDLE, bits ? "not a reference, or released already" : "a zero reference");
    return r;
}

static rri_reference *make(rri_references *all, int owner, int creator, uint64_t number, uint64_t address,
                           const rri_class *klass, uint64_t class_id, uint64_t weight)
{
    rri_reference *r = rri_table_add(&all->table, NULL);
    if (!r) {
        rri_fail(RREF_ERR_NO_MEMORY, "no memory for a reference");
        return NULL;
    }
    r->all = all;
    r->owner = owner;
    r->creator = creator;
    r->number = number;
    atomic_store_explicit(&r->address, address, memory_order_relaxed);
    atomic_store_explicit(&r->klass, klass, memory_order_relaxed);
    atomic_store_explicit(&r->class_id, class_id, memory_order_relaxed);
    r->weight = weight;
    r->made = rri_now_coarse();
    if (!klass && class_id) rri_resolved(r);
    atomic_store_explicit(&r->refs, 1, memory_order_release);
    return r;
}

static rref handle_of(const rri_reference *r)
{
    return (rref){ r ? rri_table_handle(&r->all->table, r) : 0 };
}

void rri_reference_know(rri_reference *r, const rri_class *klass)
{
    atomic_store(&r->class_id, klass->id);
    atomic_store(&r->klass, klass);
}

rref rri_reference_keep(rri_reference *r)
{
    atomic_fetch_add(&r->refs, 1);
    return handle_of(r);
}

rref rri_reference_failed(rri_references *all)
{
    rref_error error = *rri_error_last();
    rri_reference *r = make(all, -1, all->calls->rank, 0, 0, NULL, 0, 0);
    if (!r) return (rref){ 0 };
    rri_error_origin(&all->calls->futures, &error);
    r->error = rri_malloc(sizeof *r->error);
    if (r->error) *r->error = error;
    *rri_error_last() = error;
    return handle_of(r);
}

void rri_reference_forget(rri_references *all, uint64_t handle)
{
    rri_reference *r = rri_table_find(&all->table, handle);
    if (r) rri_table_remove(&all->table, r);
}

static int own_error(const rri_reference *r)
{
    if (r->owner >= 0) return RREF_OK;
    if (!r->error) return rri_fail(RREF_ERR_NO_MEMORY, "the reference's error was lost for want of memory");
    *rri_error_last() = *r->error;
    return r->error->code;
}

/* Failure of the construction, as far as it is known here. */
int rri_reference_error(const rri_reference *r)
{
    int rc = own_error(r);
    if (rc || !r->creation || !rri_event_done(&r->creation->event) || r->creation->outcome == RREF_OK) return rc;
    return rri_fail_as(r->creation->outcome, r->creation->error);
}

/* Retain and release leave such a handle alone. */
rref rri_reference_lasting(rri_references *all, _Atomic uint64_t *place, int rank, uint64_t number, uint64_t address,
                           const rri_class *klass, uint64_t class_id)
{
    uint64_t there = atomic_load(place);
    if (there) return (rref){ there };
    rri_reference *r = make(all, rank, rank, number, address, klass, class_id, 0);
    rref mine = handle_of(r);
    if (r && !atomic_compare_exchange_strong(place, &there, mine.bits)) {
        rri_table_remove(&all->table, r);
        return (rref){ there };
    }
    return mine;
}

static rref root(rri_references *all, int rank)
{
    uint64_t id = all->root_class[rank];
    return rri_reference_lasting(all, &all->roots[rank], rank, 0, RRI_ROOT, rri_class_of_id(all->classes, id), id);
}

/* Uncounted: of root and service objects, and of members of groups. */
static bool is_lasting(const rri_reference *r)
{
    return r->owner >= 0 && (r->number == 0 || rri_number_is_group(r->number)) && r->weight == 0;
}

/* ---- on the wire */

static int put(void *up, rref reference, void *to)
{
    rri_references *all = up;
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    if (r->all != all) return rri_fail(RREF_ERR_HANDLE, "a reference of another context");
    int rc = rri_reference_error(r);
    if (rc) return rc;
    wire *w = to;
    *w = (wire){ atomic_load(&r->class_id), r->owner, r->creator, r->number, atomic_load(&r->address), 0, 0 };
    if (w->address == RRI_ROOT || rri_number_is_group(w->number)) return RREF_OK;
    rri_lock_take(&r->lock);
    w->weight = r->weight >= 16 ? r->weight >> SHARE_SHIFT : r->weight / 2;
    r->weight -= w->weight;
    rri_lock_give(&r->lock);
    if (r->owner == all->calls->rank && w->weight) {
        rri_object *o = rri_object_of(all->objects, w->address);
        if (o) {                            /* the owner's own handle does not wear out */
            rri_object_mint(o, w->weight);
            rri_lock_take(&r->lock);
            r->weight += w->weight;
            rri_lock_give(&r->lock);
        }
    }
    return w->weight ? RREF_OK : rri_fail(RREF_ERR_WEIGHT, "the reference has been shared until nothing was left to share");
}

static int take_weight(rri_references *all, wire *w, uint64_t weight, rref *reference)
{
    if (w->owner < 0 || w->owner >= rri_link_size(all->calls->link))
        return rri_fail(RREF_ERR_PROTOCOL, "a reference to an object of rank %d", w->owner);
    if (w->address == RRI_ROOT) {
        *reference = root(all, w->owner);
        return RREF_OK;
    }
    if (rri_number_is_group(w->number)) return rri_group_reference(all->service, w->owner, w->number, reference);
    rri_reference *r = make(all, w->owner, w->creator, w->number, w->address, NULL, w->class_id, weight);
    if (!r) return RREF_ERR_NO_MEMORY;
    w->weight -= weight;
    *reference = handle_of(r);
    return RREF_OK;
}

const rri_class *rri_reference_class_of_wire(const rri_references *all, const void *from)
{
    return rri_class_of_id(all->classes, ((const wire *)from)->class_id);
}

static int take_all(void *up, const void *from, rref *reference)
{
    wire *w = (wire *)(uintptr_t)from;
    return take_weight(up, w, w->weight, reference);
}

static int take_part(void *up, const void *from, rref *reference)
{
    wire *w = (wire *)(uintptr_t)from;
    uint64_t part = w->weight >= 16 ? w->weight >> SHARE_SHIFT : w->weight / 2;
    if (w->address != RRI_ROOT && !rri_number_is_group(w->number) && !part)
        return rri_fail(RREF_ERR_WEIGHT, "the result has been read until no weight was left");
    return take_weight(up, w, part, reference);
}

int rri_reference_split(rri_reference *r, rref *further)
{
    wire w;
    int rc = put(r->all, handle_of(r), &w);
    return rc ? rc : take_all(r->all, &w, further);
}

static void give_back(rri_references *all, int owner, uint64_t address, uint64_t weight)
{
    if (!weight || atomic_load(&all->closing)) return;
    if (rri_call_note(all->calls, owner, RRI_RELEASE, address, weight))
        rri_log(RRI_LOG_ERROR, "a reference to rank %d could not be released: %s", owner, rri_error_last()->text);
}

static void drop_wire(void *up, const void *from)
{
    wire *w = (wire *)(uintptr_t)from;
    uint64_t weight = w->weight;
    w->weight = 0;
    if (w->owner >= 0 && w->owner < rri_link_size(((rri_references *)up)->calls->link))
        give_back(up, w->owner, w->address, weight);
}

static void drop_taken(void *up, rref reference)
{
    (void)up;
    rri_reference_drop(reference);
}

rri_ref_trade rri_reference_trade(rri_references *all)
{
    return (rri_ref_trade){ { put, all }, { take_all, all, drop_taken }, { take_part, all, drop_taken }, drop_wire };
}

void rri_reference_created(rri_references *all, rri_future *future, uint64_t handle)
{
    rri_reference *r = rri_table_find(&all->table, future->tag);
    if (r && !(handle & RRI_NAMED)) atomic_store(&r->address, handle);
}

static void end(rri_reference *r)
{
    rri_references *all = r->all;
    give_back(all, r->owner, atomic_load(&r->address), r->weight);
    if (r->creation) rri_future_drop(r->creation);
    free(r->error);
    rri_table_remove(&all->table, r);
}

void rri_reference_drop(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    if (r && !is_lasting(r) && atomic_fetch_sub(&r->refs, 1) == 1) end(r);
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
    return root(all, rank);
}

rref rref_root_named(rref_context *context, const char *name)
{
    rri_references *all = rri_context_references(context);
    if (!all) return (rref){ 0 };
    int rank = rref_rank_of(context, name);
    return rank < 0 ? rri_reference_failed(all) : root(all, rank);
}

static const rri_types no_results;

/* The class is this rank's own, or one of the owner's that was met before, or not known (NULL): then the owner decides. */
static int creation_target(rri_references *all, int rank, const rref_value *values, size_t count, const rri_class **klass)
{
    if (rank < 0 || rank >= rri_link_size(all->calls->link))
        return rri_fail(RREF_ERR_DESTINATION, "rank %d of %d", rank, rri_link_size(all->calls->link));
    if (!count || values[0].kind != RREF_VALUE_SCALAR || values[0].element != RREF_STR || !values[0].bits)
        return rri_fail(RREF_ERR_ARGUMENT, "the class name is missing");
    const char *name = (const char *)(uintptr_t)values[0].bits;
    *klass = rri_class_named(all->classes, name);
    if (!*klass && rank == all->calls->rank)
        return rri_fail(RREF_ERR_NO_CLASS, "class %s is not registered on this rank", name);
    if (!*klass) *klass = rri_resolver_named(all->resolver, rank, name);
    return RREF_OK;
}

/* A creation of a class that this rank does not have takes its own signature along. */
static int send_creation(rri_references *all, int rank, const rri_class *k, const rref_value *values, size_t count,
                         rri_future *f, uint64_t *number)
{
    char text[RRI_DESCRIBED_MAX];
    const char *name = (const char *)(uintptr_t)values[0].bits;
    rri_target target = { rank, 0, 0, k ? &k->create.in : NULL, &no_results, name, "constructor" };
    if (k) return rri_call_create(all->calls, &target, k->id, name, strlen(name), values + 1, count - 1, f, number);
    rri_signature described;
    int bytes = rri_described_write(name, values + 1, count - 1, text);
    int rc = bytes < 0 ? bytes : rri_signature_parse(text + strlen(name) + 1, &described);
    if (rc) return rc;
    target.in = &described.in;
    rc = rri_call_create(all->calls, &target, 0, text, (size_t)bytes, values + 1, count - 1, f, number);
    rri_signature_free(&described);
    return rc;
}

rri_reference *rri_reference_begin(rri_references *all, int owner, const rri_class *k, const char *site)
{
    rri_calls *calls = all->calls;
    rri_future *f = rri_future_new(&calls->futures, &no_results, site);
    rri_reference *r = f ? make(all, owner, calls->rank, 0, 0, k, k ? k->id : 0, RRI_WEIGHT) : NULL;
    if (!r) {
        if (f) rri_future_drop(f);
        return NULL;
    }
    f->quiet = true;
    f->tag = handle_of(r).bits;
    r->creation = f;
    r->site = site;
    return r;
}

rref rri_reference_begun(rri_reference *r, int rc, uint64_t number)
{
    uint64_t none = 0;                      /* the answer may have brought the handle already */
    if (rc) {
        rri_references *all = r->all;
        r->weight = 0;
        end(r);
        return rri_reference_failed(all);
    }
    r->number = number;
    atomic_compare_exchange_strong(&r->address, &none, rri_address(r->creator, number));
    return handle_of(r);
}

static rref create(rri_references *all, int rank, const rri_class *k, const rref_value *values, size_t count,
                   const char *site)
{
    uint64_t number = 0;
    rri_reference *r = rri_reference_begin(all, rank, k, site);
    if (!r) return rri_reference_failed(all);
    int rc = send_creation(all, rank, k, values, count, r->creation, &number);
    return rri_reference_begun(r, rc, number);
}

rref rref_create_v(rref_context *context, int rank, const rref_value *values, size_t count, const char *site)
{
    const rri_class *k;
    rri_references *all = rri_context_references(context);
    if (!all) return (rref){ 0 };
    if (creation_target(all, rank, values, count, &k)) return rri_reference_failed(all);
    return create(all, rank, k, values, count, site);
}

rref rri_reference_wrap(rri_references *all, const rri_class *k, void *self)
{
    int me = all->calls->rank;
    rri_object *o = rri_object_wrap(all->objects, k, self);
    if (!o) return rri_reference_failed(all);
    rri_reference *r = make(all, me, me, o->number, rri_table_handle(&all->objects->table, o), k, k->id, RRI_WEIGHT);
    if (!r) rri_object_unwrap(o);
    return r ? handle_of(r) : rri_reference_failed(all);
}

rref rref_wrap(rref_context *context, const char *class_name, void *self)
{
    rri_references *all = rri_context_references(context);
    if (!all) return (rref){ 0 };
    const rri_class *k = class_name ? rri_class_named(all->classes, class_name) : NULL;
    if (!k) {
        rri_fail(RREF_ERR_NO_CLASS, "class %s is not registered on this rank", class_name ? class_name : "NULL");
        return rri_reference_failed(all);
    }
    return rri_reference_wrap(all, k, self);
}

int rref_retain(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    atomic_fetch_add(&r->refs, 1);
    return RREF_OK;
}

int rref_release(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    if (!is_lasting(r) && atomic_fetch_sub(&r->refs, 1) == 1) end(r);
    return RREF_OK;
}

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
    return r && r->owner == r->all->calls->rank;
}

/* What a rank knows that did not create the object: it exists if its owner's handle came with the reference. */
static int existence(const rri_reference *r)
{
    uint64_t address = atomic_load(&r->address);
    const rri_object *o = r->owner == r->all->calls->rank ? rri_object_of(r->all->objects, address) : NULL;
    int state = o ? atomic_load(&o->state) : RRI_CONSTRUCTING;
    if (state == RRI_FAILED) return rri_fail_as(o->outcome, o->error);
    if (!(address & RRI_NAMED) || state != RRI_CONSTRUCTING) return RREF_OK;
    return rri_fail(RREF_ERR_PENDING, "not known on this rank; rref_creation asks the owner");
}

int rref_confirmed(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    int rc = rri_reference_error(r);
    if (rc) return rc;
    if (!r->creation) return existence(r);
    if (rri_event_done(&r->creation->event)) return RREF_OK;
    return rri_fail(RREF_ERR_PENDING, "the owner has not confirmed the object yet");
}

int rri_reference_local(rref reference)
{
    char name[128];
    const rri_reference *r = rri_reference_of(reference);
    int rc = r ? own_error(r) : rri_error_last()->code;
    if (rc || r->owner == r->all->calls->rank) return rc;
    rref_format(reference, name, sizeof name);
    return rri_fail(RREF_ERR_NOT_OWNER, "%s belongs to rank %d; this is rank %d", name, r->owner, r->all->calls->rank);
}

int rref_local_value(rref reference, void **self)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    if (!self) return rri_fail(RREF_ERR_ARGUMENT, "NULL self");
    int rc = rri_reference_error(r);
    if (!rc) rc = rri_reference_local(reference);
    if (rc) return rc;
    rri_object *o = rri_object_of(r->all->objects, atomic_load(&r->address));
    if (!o || atomic_load(&o->state) == RRI_CONSTRUCTING)
        return rri_fail(RREF_ERR_PENDING, "the object is still under construction");
    *self = o->self;
    return RREF_OK;
}

bool rref_same_object(rref a, rref b)
{
    rri_reference *x = rri_reference_of(a), *y = rri_reference_of(b);
    return x && y && x->all == y->all && x->owner >= 0 && x->owner == y->owner && x->creator == y->creator
           && x->number == y->number;
}

uint64_t rref_hash(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return 0;
    uint64_t h = (uint64_t)(uint32_t)r->owner << 32 | (uint32_t)r->creator;
    h = (h ^ r->number * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    h ^= h >> 29;
    return h ? h : 1;
}

static int format(const rri_reference *r, char *buffer, size_t size)
{
    if (r->owner < 0) return snprintf(buffer, size, "(failed: %s)", r->error ? rref_error_name(r->error->code) : "?");
    const rri_class *k = atomic_load(&r->klass);
    return snprintf(buffer, size, "%s@%d (%d.%" PRIu64 ")", k ? k->name : "?", r->owner, r->creator, r->number);
}

int rref_format(rref reference, char *buffer, size_t size)
{
    rri_reference *r = rri_reference_of(reference);
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
} report;

static void report_one(void *item, void *arg)
{
    rri_reference *r = item;
    report *to = arg;
    char name[128];
    if (r->owner < 0 || r->weight == 0) return;
    format(r, name, sizeof name);
    if (++to->count <= 10)
        rri_log(RRI_LOG_WARN, "still held at the end: %s%s%s", name, r->site ? ", created at " : "", r->site ? r->site : "");
}

unsigned rri_references_report(rri_references *all)
{
    report r = { 0 };
    rri_table_each(&all->table, report_one, &r);
    if (r.count > 10) rri_log(RRI_LOG_WARN, "and %u more references", r.count - 10);
    return r.count;
}
