/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects that are to be (a part of object): a constructor makes them, or the result of a call that stays here. */
#include "object.h"
#include "answer.h"
#include "described.h"
#include "error.h"
#include "exec.h"
#include "log.h"
#include "memory.h"
#include "park.h"

#include <string.h>

static const rri_types no_types;

/* ---- by a constructor */

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

int rri_object_find_constructor(rri_objects *all, const rri_record *r, rri_buffer *buffer, rref_call *c)
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
    rri_object *o = see(all, buffer->peer, r->object) ? NULL : rri_object_add(all, k, buffer->peer, r->object);
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

/* ---- results that stay */

/* The object that a result becomes is there from the moment the request has arrived, or was announced, occupied until the
 * outcome is known. A request that was announced, parked, or passed to another thread, finds it when it comes (again). */
static rri_object *begin_numbered(rri_objects *all, int creator, uint64_t number)
{
    uint64_t address = rri_address(creator, number);
    rri_object *o = rri_object_of(all, address);
    if (o) return o;
    o = see(all, creator, number) ? NULL : rri_object_add(all, all->results, creator, number);
    if (!o) return NULL;
    rri_exec_occupy(&o->actor);
    rri_exec_unborn(&o->actor);
    rri_parked_serve(all, address);
    return o;
}

/* A result is made once, whatever comes. */
bool rri_object_claim(rri_object *o) { return rri_object_is_result(o) && atomic_exchange(&o->claim, RRI_CLAIMED) != RRI_CLAIMED; }

void rri_object_unclaim(rri_object *o) { atomic_store(&o->claim, RRI_CLAIMED_AGAIN); }

rri_object *rri_object_begin_result(rri_objects *all, const rri_record *r, int creator)
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
    if (!rri_answer_error(record, &error) || !rri_object_claim(o)) return false;
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
