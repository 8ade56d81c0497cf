/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * References that travel: what each gives along, asks for and vouches for (a part of reference). Counting is by weight (D. Bevan,
 * and P. Watson and I. Watson, 1987): a new object's weight is all with its creator's handle; sharing splits off a part and sends
 * nothing else; the owner mints what its own handles give. Invariant: an object's weight at its owner is the sum of what its
 * references hold and of what is on its way. What is without weight, a reference or one on the wire, has a voucher: a reference,
 * somewhere, that stays as long.
 */
#include "reference.h"
#include "error.h"
#include "group.h"
#include "log.h"
#include "once.h"

enum { LOW = 16 };

/* A reference on the wire. */
typedef struct wire {
    uint64_t class_id;
    int32_t owner, creator;
    uint64_t number, address;
    uint64_t weight;                /* or the rank of the voucher */
    uint64_t voucher;               /* handle of the reference that vouches for this one, or 0 */
} wire;
_Static_assert(sizeof(wire) == RRI_REF_WIRE, "a reference's size on the wire");

/* ---- weight */

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
    bool over = waits && rri_reference_is_over(r);
    rri_lock_give(&r->lock);
    if (over) rri_reference_end(r);
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
    bool over = rri_reference_is_over(r);
    rri_lock_give(&r->lock);
    if (over) rri_reference_end(r);
}

/* One that has a voucher has memory for its wish. */
static void ask(rri_reference *r, int guarantor, uint64_t voucher)
{
    const rri_wish wish = { .address = rri_reference_address(r), .handle = rri_reference_handle(r).bits,
                            .refill = { .voucher = voucher, .guarantor = guarantor } };
    rri_more *more = rri_reference_more(r);
    if (more) rri_weight_wish(rri_references_of(r)->calls->weights, r->owner, &wish, &more->wish);
    else ask_not(r);
}

static uint64_t part_of(uint64_t weight) { return weight >= 16 ? weight / 16 : weight / 2; }

/* Under the lock: the reference stays until what is on the wire has weight of its own. */
static void vouch(rri_reference *r, wire *w)
{
    r->vouches++;
    w->weight = (uint64_t)rri_references_of(r)->calls->rank;
    w->voucher = rri_reference_handle(r).bits;
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
    rri_object *o = rri_reference_object(all, r->owner, w->address);
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
    rri_object *o = rri_reference_object(all, r->owner, rri_reference_address(r));
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
    rri_reference *r = *taken = rri_reference_make(all, w->owner, rri_address(w->creator, w->number), w->address, NULL,
                                                   w->class_id, weight, NULL);
    if (r && w->voucher && !rri_reference_more(r)) {
        rri_reference_remove(r);
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
    *reference = rri_reference_root(all, w->owner);
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
    if (rc == RREF_OK) *reference = rri_once_known(once, rri_reference_handle(r));
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
    *reference = rri_once_known(once, rri_reference_handle(r));
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
    else if (is_counted(&was)) rri_reference_give_back(all, was.owner, was.address, was.weight);
}

/* It is work, so that it is seen while it is on no wire that others can look at. */
int rri_reference_split(rri_reference *r, rref *further)
{
    wire w;
    rri_references *all = rri_references_of(r);
    rri_colours *colours = all->calls->futures.colours;
    unsigned colour = rri_begin(colours);
    int rc = put(all, rri_reference_handle(r), &w);
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
    if (r->owner < 0 || rri_reference_is_lasting(r)) return;
    rri_lock_take(&r->lock);
    const rri_holding h = { r->owner, rri_reference_address(r), r->weight, rri_reference_handle(r).bits, r->vouches };
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
