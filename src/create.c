/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * References to objects that are to be, here or elsewhere (a part of reference). A creation is a call whose future the reference
 * keeps in its place, until the owner has confirmed the object.
 */
#include "reference.h"
#include "described.h"
#include "error.h"
#include "resolve.h"

#include <string.h>

static const rri_types no_results;

void rri_reference_created(rri_references *all, rri_future *future, uint64_t handle)
{
    rri_reference *r = rri_table_find(&all->table, future->tag);
    if (!r || rri_handle_kind_of(handle) != RRI_KIND_OBJECT) return;
    uint64_t place = rri_future_handle(future);
    if (atomic_compare_exchange_strong(&r->place, &place, handle)) rri_future_drop(future);
    else if (place & RRI_NAMED) atomic_compare_exchange_strong(&r->place, &place, handle);
}

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
    rri_reference *r = f ? rri_reference_make(all, owner, rri_address(calls->rank, 0), rri_future_handle(f), k, 0,
                                              all->objects->weight, site) : NULL;
    if (!r) {
        if (f) rri_future_drop(f);
        return NULL;
    }
    rri_future_keep(f);
    atomic_store_explicit(&f->creates, true, memory_order_relaxed);
    f->quiet = true;
    f->tag = rri_reference_handle(r).bits;
    return r;
}

rref rri_reference_begun(rri_reference *r, int rc, uint64_t number)
{
    if (rc) {
        rri_references *all = rri_references_of(r);
        r->weight = 0;
        rri_reference_end(r);
        return rri_reference_failed(all);
    }
    atomic_store(&r->identity, rri_address(rri_reference_creator(r), number));
    return rri_reference_handle(r);
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
    rri_reference *r = rri_reference_make(all, me, o->identity, address, k, 0, all->objects->weight, NULL);
    if (!r) rri_object_unwrap(o);
    return r ? rri_reference_handle(r) : rri_reference_failed(all);
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
