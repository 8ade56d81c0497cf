/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns this rank's handles. Counting is by weight (D. Bevan, and P. Watson and I. Watson, 1987): a new object's weight is all
 * with its creator's handle; sharing splits off a part and sends nothing else; the owner mints what its own handles give.
 * Invariant: an object's weight at its owner is the sum of what its references hold and of what is on its way. What is
 * without weight, a reference or one on the wire, has a voucher: a reference, somewhere, that stays as long.
 */
#include "reference.h"
#include "described.h"
#include "error.h"
#include "exec.h"
#include "fork.h"
#include "group.h"
#include "log.h"
#include "memory.h"
#include "once.h"
#include "resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOW = 16, REPORTED = 100, ORIGIN_TRIES = 8 };

_Atomic(rri_references *) rri_references_open_now[RRI_REFERENCE_CONTEXTS];

/* A reference on the wire. */
typedef struct wire {
    uint64_t class_id;
    int32_t owner, creator;
    uint64_t number, address;
    uint64_t weight;                /* or the rank of the voucher */
    uint64_t voucher;               /* handle of the reference that vouches for this one, or 0 */
} wire;
_Static_assert(sizeof(wire) == RRI_REF_WIRE, "a reference's size on the wire");

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
    for (size_t i = 0; i < RRI_ORIGINS; i++) {
        rri_origin *origin = atomic_load_explicit(&all->origin[i], memory_order_relaxed);
        if (origin) free(origin);           /* most are not, and a sanitizer looks at each free */
    }
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

static bool same_origin(const rri_origin *a, const rri_origin *b)
{
    return a->site == b->site && a->by_class == b->by_class && a->by_method == b->by_method;
}

static unsigned hash_of_origin(const rri_origin *o)
{
    uint64_t h = ((uintptr_t)o->site * UINT64_C(0x9e3779b97f4a7c15)) ^ (uintptr_t)o->by_method ^ ((uintptr_t)o->by_class << 32);
    return (unsigned)((h * UINT64_C(0x9e3779b97f4a7c15)) >> 52);
}

/* The place of an origin in the list, if it can have one: 0 is none. What is in a place stays there. */
static unsigned number_of_origin(rri_references *all, rri_origin origin)
{
    unsigned h = hash_of_origin(&origin);
    if (!origin.site && !origin.by_class) return 0;
    for (unsigned i = 0; i < ORIGIN_TRIES; i++, h = (h + 1) % RRI_ORIGINS) {
        rri_origin *there = h ? atomic_load_explicit(&all->origin[h], memory_order_acquire) : NULL;
        if (there && same_origin(there, &origin)) return h;
        rri_origin *fresh = h && !there ? rri_malloc(sizeof *fresh) : NULL;
        if (!fresh) continue;
        *fresh = origin;
        if (atomic_compare_exchange_strong(&all->origin[h], &there, fresh)) return h;
        free(fresh);
        if (same_origin(there, &origin)) return h;
    }
    return 0;
}

rri_origin rri_reference_origin(const rri_reference *r)
{
    const rri_origin *o = r->origin ? atomic_load(&rri_references_of(r)->origin[r->origin]) : NULL;
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

static rri_reference *make(rri_references *all, int owner, uint64_t identity, uint64_t place, const rri_class *klass,
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
    r->origin = number_of_origin(all, origin_of(all, site)) & (RRI_ORIGINS - 1);
    r->kept = true;
    atomic_store_explicit(&r->held, 1, memory_order_release);
    return r;
}

static rref handle_of(const rri_reference *r)
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

rref rri_reference_keep(rri_reference *r) { return hold(r) ? handle_of(r) : (rref){ 0 }; }

rref rri_reference_failed(rri_references *all)
{
    rref_error error = *rri_error_last();
    rri_reference *r = make(all, -1, rri_address(all->calls->rank, 0), 0, NULL, 0, 0, NULL);
    rri_more *more = r ? rri_reference_more(r) : NULL;
    if (!r) return (rref){ 0 };
    rri_error_origin(&all->calls->futures, &error);
    if (more) more->error = rri_malloc(sizeof *more->error);
    if (more && more->error) *more->error = error;
    *rri_error_last() = error;
    return handle_of(r);
}

static void remove_reference(rri_reference *r)
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
    if (r) remove_reference(r);
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
    rri_reference *r = make(all, rank, rri_address(rank, number), address, klass, class_id, 0, NULL);
    rref mine = handle_of(r);
    if (r && !atomic_compare_exchange_strong(place, &there, mine.bits)) {
        remove_reference(r);
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
    uint64_t number = rri_reference_number(r);
    return r->owner >= 0 && (number == 0 || rri_number_is_group(number)) && r->weight == 0;
}

/* ---- weight */

static void give_back(rri_references *all, int owner, uint64_t address, uint64_t weight)
{
    if (weight && !atomic_load(&all->closing)) rri_weight_send(all->calls->weights, owner, address, weight);
}

/* The creation's count is given back by who takes it out of its place: here, or when it is confirmed. */
static void drop_creation(rri_references *all, uint64_t place)
{
    if (rri_handle_kind_of(place) == RRI_KIND_FUTURE) rri_future_drop(rri_table_find(&all->calls->futures.table, place));
}

static void end(rri_reference *r)
{
    rri_references *all = rri_references_of(r);
    give_back(all, r->owner, rri_reference_address(r), r->weight);
    drop_creation(all, atomic_exchange(&r->place, 0));
    remove_reference(r);
}

/* Under the lock. */
static bool is_over(const rri_reference *r) { return !r->kept && !r->asked && !r->vouches && !r->occupies; }

static void drop(rri_reference *r)
{
    rri_lock_take(&r->lock);
    r->kept = false;
    bool over = is_over(r);
    rri_lock_give(&r->lock);
    if (over) end(r);
}

/* What a reference waits for is over, and has brought it weight, or none. False if it does not wait. */
static bool settle(rri_references *all, uint64_t handle, uint64_t weight)
{
    rri_reference *r = rri_table_find(&all->table, handle);
    if (!r) return false;
    rri_lock_take(&r->lock);
    bool waits = weight ? r->asked : r->vouches > 0;
    if (waits && weight) r->asked = false;
    else if (waits) r->vouches--;
    if (waits) r->weight += weight;
    bool over = waits && is_over(r);
    rri_lock_give(&r->lock);
    if (over) end(r);
    return waits;
}

/* A voucher is no longer needed. */
static void dismiss(rri_references *all, int rank, uint64_t voucher)
{
    if (rank == all->calls->rank) settle(all, voucher, 0);
    else if (!atomic_load(&all->closing)) rri_weight_send(all->calls->weights, rank, voucher, 0);
}

/* Nobody gives weight of an object whose rank is lost, nor is any needed. */
static bool owner_is_lost(const rri_reference *r) { return rri_lane_is_shut(rri_references_of(r)->calls->flow, r->owner); }

/* Under the lock: whether the reference is to ask for weight, which it does once at a time. */
static bool should_ask(rri_reference *r)
{
    bool ask = r->weight < LOW && !r->asked && !owner_is_lost(r) && !atomic_load(&rri_references_of(r)->closing);
    if (ask) r->asked = true;
    return ask;
}

/* It is asked another time. */
static void ask_not(rri_reference *r)
{
    rri_lock_take(&r->lock);
    r->asked = false;
    bool over = is_over(r);
    rri_lock_give(&r->lock);
    if (over) end(r);
}

/* One that has a voucher has memory for its wish. */
static void ask(rri_reference *r, int guarantor, uint64_t voucher)
{
    const rri_wish wish = { .address = rri_reference_address(r), .handle = handle_of(r).bits,
                            .refill = { .voucher = voucher, .guarantor = guarantor } };
    rri_more *more = rri_reference_more(r);
    if (more) rri_weight_wish(rri_references_of(r)->calls->weights, r->owner, &wish, &more->wish);
    else ask_not(r);
}

/* The local object that an address of this rank means, if it is there yet. */
static rri_object *object_here(const rri_references *all, int owner, uint64_t address)
{
    return owner == all->calls->rank ? rri_object_of(all->objects, address) : NULL;
}

static uint64_t part_of(uint64_t weight) { return weight >= 16 ? weight / 16 : weight / 2; }

/* Under the lock: the reference stays until what is on the wire has weight of its own. */
static void vouch(rri_reference *r, wire *w)
{
    r->vouches++;
    w->weight = (uint64_t)rri_references_of(r)->calls->rank;
    w->voucher = handle_of(r).bits;
}

/* A part of the weight goes with the wire; at least 1 stays. */
static int share(rri_reference *r, wire *w)
{
    rri_lock_take(&r->lock);
    w->weight = part_of(r->weight);
    r->weight -= w->weight;
    bool low = should_ask(r), vouches = !w->weight && r->vouches < RRI_VOUCHES;
    if (vouches) vouch(r, w);
    rri_lock_give(&r->lock);
    if (low) ask(r, 0, 0);
    if (w->weight || vouches) return RREF_OK;
    return rri_fail(RREF_ERR_NO_MEMORY, "%d copies of the reference wait for weight", RRI_VOUCHES);
}

/* ---- on the wire */

static bool is_counted(const wire *w) { return w->address != RRI_ROOT && !rri_number_is_group(w->number); }

static int put(void *up, rref reference, void *to)
{
    rri_references *all = up;
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    if (rri_references_of(r) != all) return rri_fail(RREF_ERR_HANDLE, "a reference of another context");
    int rc = rri_reference_error(r);
    if (rc) return rc;
    wire *w = to;
    *w = (wire){ rri_reference_class_id(r), r->owner, rri_reference_creator(r), rri_reference_number(r),
                 rri_reference_address(r), 0, 0 };
    if (!is_counted(w)) return RREF_OK;
    atomic_fetch_add_explicit(&all->moves, 1, memory_order_relaxed);
    rri_object *o = object_here(all, r->owner, w->address);
    if (!o) return share(r, w);
    w->weight = rri_object_mint(o);             /* the owner's own handle does not wear out */
    return RREF_OK;
}

static bool ranks_are_good(const rri_references *all, const wire *w)
{
    int size = rri_link_size(all->calls->link);
    return w->owner >= 0 && w->owner < size && (!w->voucher || w->weight < (uint64_t)size);
}

static int check_wire(const rri_references *all, const wire *w)
{
    if (!ranks_are_good(all, w)) return rri_fail(RREF_ERR_PROTOCOL, "a reference to an object of rank %d", w->owner);
    if (w->creator < 0 || w->creator >= rri_link_size(all->calls->link) || w->number >> RRI_NUMBER_BITS
        || rri_handle_kind_of(w->address) == RRI_KIND_FUTURE)
        return rri_fail(RREF_ERR_PROTOCOL, "a reference to an object that cannot be");
    if (is_counted(w) && !w->weight && !w->voucher) return rri_fail(RREF_ERR_PROTOCOL, "a reference without weight");
    return RREF_OK;
}

/* A new reference without weight, and its voucher. The owner need not ask, and who cannot needs no voucher any more. */
static void want_weight(rri_reference *r, int guarantor, uint64_t voucher)
{
    rri_references *all = rri_references_of(r);
    rri_object *o = object_here(all, r->owner, rri_reference_address(r));
    if (o) {
        r->weight = rri_object_mint(o);
        dismiss(all, guarantor, voucher);
    } else if (should_ask(r)) {
        ask(r, guarantor, voucher);
    } else {
        dismiss(all, guarantor, voucher);
    }
}

/* A reference that is counted. What is on the wire without weight is taken whole: nothing is left to drop. */
static int take_counted(rri_references *all, wire *w, uint64_t weight, rri_reference **taken)
{
    atomic_fetch_add_explicit(&all->moves, 1, memory_order_relaxed);
    rri_reference *r = *taken = make(all, w->owner, rri_address(w->creator, w->number), w->address, NULL, w->class_id, weight,
                                     NULL);
    if (r && w->voucher && !rri_reference_more(r)) {
        remove_reference(r);
        r = NULL;
    }
    if (!r) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for a reference");
    if (w->voucher) want_weight(r, (int)w->weight, w->voucher);
    w->weight = w->voucher ? 0 : w->weight - weight;
    w->voucher = 0;
    return RREF_OK;
}

static int take_uncounted(rri_references *all, const wire *w, rref *reference)
{
    if (rri_number_is_group(w->number)) return rri_group_reference(all->service, w->owner, w->number, reference);
    *reference = root(all, w->owner);
    return RREF_OK;
}

const rri_class *rri_reference_class_of_wire(const rri_references *all, const void *from)
{
    return rri_class_of_id(all->classes, ((const wire *)from)->class_id);
}

static int take_all(void *up, const void *from, rri_once *once, rref *reference)
{
    rri_references *all = up;
    rri_reference *r;
    wire *w = (wire *)(uintptr_t)from;
    int rc = check_wire(all, w);
    if (rc == RREF_OK && !is_counted(w)) return take_uncounted(all, w, reference);
    if (rc == RREF_OK) rc = take_counted(all, w, w->voucher ? 0 : w->weight, &r);
    if (rc == RREF_OK) *reference = rri_once_known(once, handle_of(r));
    return rc;
}

/* What is taken in parts can be taken again: when there is no part to take, all is, and the new reference vouches for what
 * remains. */
static int take_part(void *up, const void *from, rri_once *once, rref *reference)
{
    rri_references *all = up;
    rri_reference *r;
    wire *w = (wire *)(uintptr_t)from;
    uint64_t part = w->voucher ? 0 : part_of(w->weight);
    int rc = check_wire(all, w);
    if (rc == RREF_OK && !is_counted(w)) return take_uncounted(all, w, reference);
    if (rc == RREF_OK) rc = take_counted(all, w, part || w->voucher ? part : w->weight, &r);
    if (rc) return rc;
    if (!part) {
        rri_lock_take(&r->lock);
        vouch(r, w);
        rri_lock_give(&r->lock);
    }
    *reference = rri_once_known(once, handle_of(r));
    return RREF_OK;
}

static void drop_wire(void *up, const void *from)
{
    rri_references *all = up;
    wire *w = (wire *)(uintptr_t)from;
    const wire was = *w;
    w->weight = w->voucher = 0;
    if (!ranks_are_good(all, &was)) return;
    if (was.voucher) dismiss(all, (int)was.weight, was.voucher);
    else if (is_counted(&was)) give_back(all, was.owner, was.address, was.weight);
}

/* It is work, so that it is seen while it is on no wire that others can look at. */
int rri_reference_split(rri_reference *r, rref *further)
{
    wire w;
    rri_references *all = rri_references_of(r);
    rri_colours *colours = all->calls->futures.colours;
    unsigned colour = rri_begin(colours);
    int rc = put(all, handle_of(r), &w);
    if (!rc) {
        rc = take_all(all, &w, NULL, further);
        if (rc) drop_wire(all, &w);
    }
    rri_idle(colours, colour);
    return rc;
}

static void drop_taken(void *up, rref reference)
{
    (void)up;
    rri_reference_drop(reference);
}

rri_ref_trade rri_reference_trade(rri_references *all)
{
    return (rri_ref_trade){ { put, all, drop_wire }, { take_all, all, drop_taken }, { take_part, all, drop_taken } };
}

void rri_reference_created(rri_references *all, rri_future *future, uint64_t handle)
{
    rri_reference *r = rri_table_find(&all->table, future->tag);
    if (!r || rri_handle_kind_of(handle) != RRI_KIND_OBJECT) return;
    uint64_t place = rri_future_handle(future);
    if (atomic_compare_exchange_strong(&r->place, &place, handle)) rri_future_drop(future);
    else if (place & RRI_NAMED) atomic_compare_exchange_strong(&r->place, &place, handle);
}

static void refuse(rri_references *all, int peer)
{
    atomic_fetch_add(&all->calls->refused, 1);
    rri_log(RRI_LOG_ERROR, "weight from rank %d that nobody here waits for was refused", peer);
}

static void take_in(rri_references *all, const rri_record *record, int peer)
{
    const rri_parcel *p = (const void *)(record + 1);
    for (size_t i = 0; i < (record->bytes - sizeof *record) / sizeof *p; i++)
        if (rri_handle_kind_of(p[i].to) != RRI_KIND_REF) rri_object_release(all->objects, peer, p[i].to, p[i].weight);
        else if (!settle(all, p[i].to, p[i].weight)) refuse(all, peer);
}

void rri_reference_weight(rri_references *all, const rri_record *record, rri_buffer *buffer)
{
    const rri_refill *refill = (const void *)(record + 1);
    bool whole = record->bytes >= sizeof *record + sizeof *refill;
    if (record->kind == RRI_PARCELS) take_in(all, record, buffer->peer);
    else if (whole && refill->guarantor >= 0 && refill->guarantor < rri_link_size(all->calls->link))
        rri_object_refill(all->objects, record, buffer);
    else refuse(all, buffer->peer);
}

/* ---- after a loss */

typedef struct visitor {
    void (*visit)(void *arg, const rri_holding *holding);
    void *arg;
} visitor;

static void visit_one(void *item, void *arg)
{
    rri_reference *r = item;
    const visitor *v = arg;
    if (r->owner < 0 || is_lasting(r)) return;
    rri_lock_take(&r->lock);
    const rri_holding h = { r->owner, rri_reference_address(r), r->weight, handle_of(r).bits, r->vouches };
    rri_lock_give(&r->lock);
    if (h.weight || h.vouches) v->visit(v->arg, &h);
}

void rri_references_each(rri_references *all, void (*visit)(void *arg, const rri_holding *holding), void *arg)
{
    rri_table_look(&all->table, visit_one, &(visitor){ visit, arg });
}

void rri_reference_on_wire(const void *from, rri_holding *h, uint64_t *voucher, int *guarantor)
{
    const wire *w = from;
    *voucher = w->voucher;
    *guarantor = w->voucher ? (int)w->weight : 0;
    *h = (rri_holding){ .owner = w->owner, .address = w->address, .weight = w->voucher || !is_counted(w) ? 0 : w->weight };
}

void rri_reference_unvouch(rri_references *all, uint64_t handle, uint64_t count)
{
    while (count-- > 0 && settle(all, handle, 0)) {}
}

typedef struct orphans {
    rri_references *all;
    rri_reference *found;
} orphans;

static void find_orphan(void *item, void *arg)
{
    rri_reference *r = item;
    orphans *o = arg;
    if (o->found || r->owner < 0 || !owner_is_lost(r)) return;
    rri_lock_take(&r->lock);
    if (r->asked) o->found = r;
    rri_lock_give(&r->lock);
}

/* What they vouch for is in the accounts, like all that is vouched for. */
void rri_references_orphan(rri_references *all)
{
    for (orphans o = { .all = all }; rri_table_look(&all->table, find_orphan, &o), o.found; o.found = NULL) ask_not(o.found);
}

static int let_go(rref reference)
{
    rri_reference *r = rri_reference_of(reference);
    if (!r) return rri_error_last()->code;
    unsigned held = atomic_load(&r->held);
    if (is_lasting(r)) return RREF_OK;
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

rri_reference *rri_reference_occupying(rref reference)
{
    rri_reference *r = rri_forked() ? NULL : item_of(reference.bits);
    if (!r) return rri_reference_of(reference);
    rri_lock_take(&r->lock);
    bool occupies = r->occupies;
    rri_lock_give(&r->lock);
    return occupies ? r : rri_reference_of(reference);
}

void rri_reference_vacate(rri_references *all, uint64_t handle)
{
    rri_reference *r = rri_table_find(&all->table, handle);
    if (!r) return;
    rri_lock_take(&r->lock);
    bool over = r->occupies;
    r->occupies = false;
    over = over && is_over(r);
    rri_lock_give(&r->lock);
    if (over) end(r);
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
    const char *name = rri_values_name(values, count);
    if (!name) return rri_fail(RREF_ERR_ARGUMENT, "the class name is missing");
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
    rri_target target = { rank, 0, 0, k ? &k->create.in : NULL, &no_results, name, "constructor", false, false };
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

rri_reference *rri_reference_begin(rri_references *all, int owner, const rri_class *k, const char *site,
                                   rri_future **creation)
{
    rri_calls *calls = all->calls;
    rri_future *f = *creation = rri_future_new(&calls->futures, &no_results, site);
    rri_reference *r = f ? make(all, owner, rri_address(calls->rank, 0), rri_future_handle(f), k, 0, all->objects->weight, site)
                         : NULL;
    if (!r) {
        if (f) rri_future_drop(f);
        return NULL;
    }
    rri_future_keep(f);
    atomic_store_explicit(&f->creates, true, memory_order_relaxed);
    f->quiet = true;
    f->tag = handle_of(r).bits;
    return r;
}

rref rri_reference_begun(rri_reference *r, int rc, uint64_t number)
{
    if (rc) {
        rri_references *all = rri_references_of(r);
        r->weight = 0;
        end(r);
        return rri_reference_failed(all);
    }
    atomic_store(&r->identity, rri_address(rri_reference_creator(r), number));
    return handle_of(r);
}

static rref create(rri_references *all, int rank, const rri_class *k, const rref_value *values, size_t count,
                   const char *site)
{
    uint64_t number = 0;
    rri_future *creation;
    rri_reference *r = rri_reference_begin(all, rank, k, site, &creation);
    if (!r) return rri_reference_failed(all);
    int rc = send_creation(all, rank, k, values, count, creation, &number);
    rref begun = rri_reference_begun(r, rc, number);
    rri_future_drop(creation);
    return begun;
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
    uint64_t address = rri_table_handle(&all->objects->table, o);
    rri_reference *r = make(all, me, o->identity, address, k, 0, all->objects->weight, NULL);
    if (!r) rri_object_unwrap(o);
    return r ? handle_of(r) : rri_reference_failed(all);
}

rref rref_wrap(rref_context *context, const char *class_name, void *self)
{
    rri_references *all = rri_context_references(context);
    if (!all) return (rref){ 0 };
    const rri_class *k = class_name ? rri_class_named(all->classes, class_name) : NULL;
    if (!k || k == all->objects->results) {
        rri_fail(RREF_ERR_NO_CLASS, "class %s is not registered on this rank", class_name ? class_name : "NULL");
        return rri_reference_failed(all);
    }
    return rri_reference_wrap(all, k, self);
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
    const rri_object *o = object_here(rri_references_of(r), r->owner, address);
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
    if (r->owner < 0 || is_lasting(r) || !atomic_load(&r->held) || !!from.by_class != to->by_objects) return;
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
