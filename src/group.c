/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the groups of this rank: their making and their end. A rank whose constructor fails tells all; what it tells, and all
 * that follows from it, has arrived everywhere when the fence is over that ends the making.
 */
#include "group.h"
#include "error.h"
#include "fork.h"
#include "memory.h"
#include "service.h"

#include <stdlib.h>

enum { CONTEXTS = 256 };
static _Atomic(rri_groups *) contexts[CONTEXTS];

void rri_groups_open(rri_groups *all, unsigned context)
{
    rri_table_init(&all->table, RRI_KIND_GROUP, context, sizeof(rri_group));
    atomic_store(&contexts[context % CONTEXTS], all);
}

static void forget(void *item, void *arg)
{
    (void)arg;
    free(((rri_group *)item)->member);
}

void rri_groups_close(rri_groups *all)
{
    atomic_store(&contexts[all->table.tag >> 52 & 0xff], NULL);
    rri_table_each(&all->table, forget, NULL);
    rri_table_free(&all->table);
}

rri_group *rri_group_of(rref_group group)
{
    uint64_t bits = group.bits;
    if (rri_forked()) return NULL;
    rri_groups *all = rri_handle_kind_of(bits) == RRI_KIND_GROUP ? atomic_load(&contexts[rri_handle_context(bits)]) : NULL;
    rri_group *g = all ? rri_table_find(&all->table, bits) : NULL;
    if (!g) rri_fail(RREF_ERR_HANDLE, bits ? "not a group, or freed already" : "a zero group");
    return g;
}

rref rri_group_member(rri_group *g, int rank)
{
    return rri_reference_lasting(g->service->references, &g->member[rank], rank, g->number, rri_address(rank, g->number),
                                 g->klass, g->klass->id);
}

typedef struct search { uint64_t number; rri_group *found; } search;

static void compare_number(void *item, void *arg)
{
    search *s = arg;
    if (((rri_group *)item)->number == s->number) s->found = item;
}

rri_group *rri_group_numbered(rri_service *service, uint64_t number)
{
    search s = { number, NULL };
    rri_table_look(&service->groups.table, compare_number, &s);
    if (!s.found) rri_fail(RREF_ERR_HANDLE, "a member of a group that is not there, or freed already");
    return s.found;
}

int rri_group_reference(rri_service *service, int rank, uint64_t number, rref *reference)
{
    rri_group *g = rri_group_numbered(service, number);
    if (!g) return RREF_ERR_HANDLE;
    *reference = rri_group_member(g, rank);
    return reference->bits ? RREF_OK : RREF_ERR_NO_MEMORY;
}

/* ---- making one */

/* The lock is held. */
static rri_founding *founding_of(rri_groups *all, uint64_t number)
{
    rri_founding *f = &all->founding[number % 2];
    if (f->number != number) *f = (rri_founding){ .number = number };
    return f;
}

/* Tell every rank that this one's part has failed; not waited for. Copied first, since `why` may be the last error's text, and a
 * call to a lost rank leaves another. */
static void tell_all(rri_service *service, uint64_t number, int code, const char *why)
{
    char text[RREF_TEXT_MAX];
    rri_references *all = service->references;
    rri_error_copy(text, sizeof text, why);
    for (int i = 0; i < rri_link_size(all->calls->link); i++)
        rref_post_v(rri_service_of(all, i), RREF_LIST_("group_failed", number, (int64_t)code, text), NULL);
}

int rri_group_failed(rref_call *c, void *self)
{
    rri_groups *all = &((rri_service *)self)->groups;
    int rank = rref_call_rank(c);
    rri_lock_take(&all->lock);
    rri_founding *f = founding_of(all, rref_arg_u64(c, 0));
    if (!f->failure.code || rank < f->failure.rank) {
        rri_error_fill(&f->failure, (int)rref_arg_i64(c, 1), "rank %d: %s", rank, rref_arg_str(c, 2));
        f->failure.rank = rank;
    }
    rri_lock_give(&all->lock);
    return RREF_OK;
}

/* Each rank compares its class with that of the rank before it, whoever of the two comes first. */
static void compare(rri_service *service, uint64_t number, uint64_t own, uint64_t other)
{
    rri_groups *all = &service->groups;
    rri_lock_take(&all->lock);
    rri_founding *f = founding_of(all, number);
    if (own) f->class_id = own;
    if (other) f->other_id = other;
    bool differ = f->class_id && f->other_id && f->class_id != f->other_id;
    rri_lock_give(&all->lock);
    if (differ)
        tell_all(service, number, RREF_ERR_CLASS_MISMATCH, "the rank before it makes a member of another class");
}

int rri_group_compare(rref_call *c, void *self)
{
    compare(self, rref_arg_u64(c, 0), 0, rref_arg_u64(c, 1));
    return RREF_OK;
}

/* This rank's member, made by its constructor like any object, then known by the group's number. */
static int make_member(rri_service *service, uint64_t number, const rref_value *values, size_t count, const char *site,
                       rref *own, const rri_class **klass)
{
    rri_references *all = service->references;
    *own = rref_create_v(all->context, all->calls->rank, values, count, site);
    rri_reference *r = rri_reference_of(*own);
    if (!r) return rri_error_last()->code;
    rri_future *creation = rri_reference_creation(r);
    if (creation) rri_progress_wait(all->calls->progress, &creation->event, RRI_NEVER);
    if (creation) rri_future_drop(creation);
    int rc = rri_reference_error(r);
    if (rc) return rc;
    *klass = r->klass;
    return rri_object_rename(all->objects, rri_reference_address(r), number);
}

static int add(rri_service *service, uint64_t number, const rri_class *klass, rref own, rref_group *group)
{
    uint64_t handle;
    size_t ranks = (size_t)rri_link_size(service->references->calls->link);
    rri_group *g = rri_table_add(&service->groups.table, &handle);
    _Atomic uint64_t *member = g ? rri_calloc(ranks, sizeof *member) : NULL;
    if (!member) {
        if (g) rri_table_remove(&service->groups.table, g);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory for a group");
    }
    g->service = service;
    g->klass = klass;
    g->own = own;
    g->member = member;
    rri_lock_take(&service->groups.table.lock);
    g->number = number;                     /* from now on it is found */
    rri_lock_give(&service->groups.table.lock);
    *group = (rref_group){ handle };
    return RREF_OK;
}

static void drop(rri_group *g)
{
    rri_references *all = g->service->references;
    for (int i = 0; i < rri_link_size(all->calls->link); i++) rri_reference_forget(all, atomic_load(&g->member[i]));
    rref_release(g->own);
    free(g->member);
    rri_table_remove(&g->service->groups.table, g);
}

/* How the making has come out, the same on all ranks. */
static int outcome_of(rri_groups *all, uint64_t number)
{
    rri_lock_take(&all->lock);
    rref_error failure = founding_of(all, number)->failure;
    rri_lock_give(&all->lock);
    return failure.code ? rri_fail_as(failure.code, &failure) : RREF_OK;
}

static int found(rri_service *service, rref_group *group, const rref_value *values, size_t count, const char *site)
{
    rref own = { 0 };
    rref_group made = { 0 };
    const rri_class *klass = NULL;
    rri_references *all = service->references;
    int next = (all->calls->rank + 1) % rri_link_size(all->calls->link);
    uint64_t number = RRI_GROUP_NUMBERS + ++service->groups.made, fence = 0;
    int rc = make_member(service, number, values, count, site, &own, &klass);
    if (!rc) rc = add(service, number, klass, own, &made);
    if (rc) tell_all(service, number, rc, rri_error_last()->text);
    else rref_post_v(rri_service_of(all, next), RREF_LIST_("group_compare", number, klass->id), NULL);
    if (!rc) compare(service, number, klass->id, 0);
    rc = rri_fence_pass(service->fence, &fence, RRI_NEVER);
    if (!rc) rc = outcome_of(&service->groups, number);
    rref_error error = *rri_error_last();
    if (rc && made.bits) drop(rri_group_of(made));
    else if (rc && own.bits) rref_release(own);
    if (rc) *rri_error_last() = error;
    else *group = made;
    return rc;
}

/* ---- the API */

int rref_group_create_v(rref_context *context, rref_group *group, const rref_value *values, size_t count, const char *site)
{
    rri_references *all = rri_context_references(context);
    if (!all) return rri_error_last()->code;
    if (!group) return rri_fail(RREF_ERR_ARGUMENT, "NULL group");
    int rc = rri_fence_may(all->service->fence);
    return rc ? rc : found(all->service, group, values, count, site);
}

int rref_group_free(rref_group *group)
{
    if (!group) return rri_fail(RREF_ERR_ARGUMENT, "NULL group");
    rri_group *g = rri_group_of(*group);
    if (!g) return rri_error_last()->code;
    int rc = rri_fence_pass(g->service->fence, &g->fence, RRI_NEVER);
    if (rc) return rc;
    drop(g);
    *group = (rref_group){ 0 };
    return RREF_OK;
}

rref rref_group_member(rref_group group, int rank)
{
    rri_group *g = rri_group_of(group);
    if (!g) return (rref){ 0 };
    int ranks = rri_link_size(g->service->references->calls->link);
    if (rank >= 0 && rank < ranks) return rri_group_member(g, rank);
    rri_fail(RREF_ERR_DESTINATION, "rank %d of %d", rank, ranks);
    return rri_reference_failed(g->service->references);
}
