/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the queries. A query ends when nothing is held by it any more, seen under the lock; only then its class is known to
 * others, so that nothing overtakes what was held. One that has failed takes nothing more.
 */
#include "resolve.h"
#include "catalog.h"
#include "chaos.h"
#include "descriptor.h"
#include "error.h"
#include "memory.h"
#include "reaction.h"

#include <stdlib.h>
#include <string.h>

enum { TRIES = 16 };                /* reads of one query that found an entry half-written */

typedef struct rri_query {
    rri_window_read read;           /* stands first: found again when it is done */
    struct rri_query *next;
    rri_resolver *all;
    int owner;
    uint64_t class_id;              /* 0: asked for by the object */
    uint64_t object;
    rri_held *first, *last;         /* under the lock */
    const rri_class *klass;         /* found */
    rri_class *fresh;               /* the same, if nobody has it yet */
    unsigned tries, colour;
} query;

typedef struct rri_kin {
    struct rri_kin *next;
    int owner;
    const rri_class *klass;
} kin;

typedef struct rri_name {
    struct rri_name *next;
    char text[];
} name;

/* ---- what is known; the lock is held */

static uint64_t identity(const rri_reference *r)
{
    uint64_t identity = atomic_load(&r->identity);
    return rri_address_number(identity) ? identity : RRI_ROOT;
}

static query *query_for(const rri_resolver *s, rri_reference *r)
{
    uint64_t id = rri_reference_class_id(r);
    query *q = s->first;
    while (q && (q->class_id ? q->class_id != id : q->owner != r->owner || q->object != identity(r))) q = q->next;
    return q;
}

static const rri_class *known(rri_resolver *s, rri_reference *r)
{
    const rri_class *k = atomic_load(&r->klass);
    return k ? k : rri_class_of_id(s->classes, rri_reference_class_id(r));
}

static void hold(query *q, rri_held *held)
{
    held->next = NULL;
    held->colour = rri_begin(q->all->calls->futures.colours);
    if (q->first) q->last->next = held;
    else q->first = held;
    q->last = held;
}

static void remember(rri_resolver *s, int owner, const rri_class *klass)
{
    kin *k = s->kin;
    while (k && (k->owner != owner || k->klass->id != klass->id)) k = k->next;
    if (k || !(k = rri_malloc(sizeof *k))) return;      /* without memory it is asked again, no harm */
    *k = (kin){ s->kin, owner, klass };
    s->kin = k;
}

/* ---- the end of a query */

static void unlink_query(query *q)
{
    query **at = &q->all->first;
    while (*at != q) at = &(*at)->next;
    *at = q->next;
    if (q->fresh) rri_class_adopt(q->all->classes, q->fresh);
    if (q->klass) remember(q->all, q->owner, q->klass);
    atomic_fetch_sub(&q->all->open, 1);
}

static rri_held *next_held(query *q)
{
    rri_lock_take(&q->all->lock);
    rri_held *h = q->first;
    if (h) q->first = h->next;
    else unlink_query(q);
    rri_lock_give(&q->all->lock);
    return h;
}

void rri_held_run(rri_calls *calls, rri_held *h, const rri_class *klass)
{
    rri_colours *colours = calls->futures.colours;
    unsigned colour = h->colour;
    rri_paint before = rri_paint_on(colours, colour);
    bool was = rri_progress_inline(true);
    rri_progress_depth(1);
    h->run(h, klass);
    rri_progress_depth(-1);
    rri_progress_inline(was);
    rri_paint_back(before);
    rri_idle(colours, colour);
}

/* Who comes from now on asks again. */
static void fail_all(query *q)
{
    rref_error why = *rri_error_last();
    rri_lock_take(&q->all->lock);
    rri_held *h = q->first, *next;
    unlink_query(q);
    rri_lock_give(&q->all->lock);
    for (; h; h = next) {
        next = h->next;
        *rri_error_last() = why;
        rri_held_run(q->all->calls, h, NULL);
    }
}

/* The class is there, or the thread's last error says why not. */
static void finish(query *q)
{
    if (!q->klass) fail_all(q);
    else
        for (rri_held *h; (h = next_held(q));) rri_held_run(q->all->calls, h, q->klass);
    rri_idle(q->all->calls->futures.colours, q->colour);
    free(q->read.to);
    free(q);
}

static int accept(query *q, const void *bytes, size_t count)
{
    rri_class *k;
    int rc = rri_descriptor_read(bytes, count, &k);
    if (rc) return rc;
    if (q->class_id && k->id != q->class_id) {
        rc = rri_fail(RREF_ERR_PROTOCOL, "rank %d describes class %016" PRIx64 " as %s %016" PRIx64, q->owner, q->class_id,
                      k->name, k->id);
        rri_class_drop(k);
        return rc;
    }
    q->klass = rri_class_of_id(q->all->classes, k->id);
    if (q->klass) rri_class_drop(k);
    else q->klass = q->fresh = k;
    return RREF_OK;
}

/* ---- by message */

typedef struct answer {
    rri_reaction reaction;
    query *query;
} answer;

static void answered(rri_reaction *reaction, rri_future *f)
{
    size_t count = 0;
    query *q = ((answer *)(void *)reaction)->query;
    int rc = f->outcome;
    if (rc) rri_fail_as(rc, f->error);
    const void *bytes = rc ? NULL : rri_payload_data(f->types, 0, f->payload, f->landing, &count);
    if (!rc) accept(q, bytes, count);
    finish(q);
}

static int send_question(query *q, rri_future *f)
{
    const rri_signature *s = q->all->describe;
    const rref_value id = rref_of_u64(q->class_id);
    const uint64_t whom = q->class_id ? RRI_ROOT : q->object;
    const rri_target target = { q->owner, whom, RRI_METHOD_DESCRIBE, &s->in, &s->out, "class", "describe", false, false };
    f->quiet = true;
    atomic_fetch_add_explicit(&q->all->asked, 1, memory_order_relaxed);
    return rri_call_send(q->all->calls, &target, &id, 1, RRI_ASYNC, NULL, f, RRI_NEVER);
}

static void ask(query *q)
{
    answer *a = rri_malloc(sizeof *a);
    rri_future *f = a ? rri_future_new(&q->all->calls->futures, &q->all->describe->out, NULL) : NULL;
    if (!f) rri_fail(RREF_ERR_NO_MEMORY, "no memory to ask rank %d for a class", q->owner);
    if (f && send_question(q, f) == RREF_OK) {
        *a = (answer){ { NULL, answered, true }, q };
        rri_future_react(f, &a->reaction);
        rri_future_drop(f);
        return;
    }
    rref_error why = *rri_error_last();
    free(a);
    if (f) rri_future_drop(f);
    *rri_error_last() = why;
    finish(q);
}

/* ---- in the owner's window */

static bool get(query *q, size_t bytes)
{
    void *room = bytes <= RRI_WINDOW_MOST ? rri_realloc(q->read.to, bytes) : NULL;
    if (!room) return false;
    q->read.to = room;
    q->read.bytes = bytes;
    rri_window_get(q->all->window, &q->read);
    return true;
}

/* True when the query goes on reading; else its class was found, or must be asked for. */
static bool read_on(query *q)
{
    const void *bytes = NULL;
    size_t count = 0;
    if (q->read.failed) return false;
    if (rri_chaos(RRI_CHAOS_LATE)) return ++q->tries < TRIES && get(q, q->read.bytes);
    switch (rri_catalog_look(q->read.to, q->read.bytes, q->class_id, &bytes, &count)) {
    case RRI_CATALOG_FOUND:
        if (accept(q, bytes, count) == RREF_OK) return false;
        break;
    case RRI_CATALOG_MORE: return get(q, count);
    case RRI_CATALOG_ABSENT: return false;
    case RRI_CATALOG_TORN: break;
    }
    return ++q->tries < TRIES && get(q, q->read.bytes);
}

static void read_done(rri_moving *moving)
{
    query *q = (query *)(void *)moving;
    if (read_on(q)) return;
    bool was = rri_progress_inline(true);
    if (q->klass) finish(q);
    else ask(q);
    rri_progress_inline(was);
}

static void start(query *q)
{
    q->read.peer = q->owner;
    q->read.moving.done = read_done;
    if (q->class_id && q->all->window && get(q, RRI_WINDOW_LEAST)) rri_progress_nudge(q->all->calls->progress);
    else ask(q);
}

/* ---- queries */

static query *open_query(rri_resolver *s, const rri_reference *r)
{
    query *q = rri_calloc(1, sizeof *q);
    if (!q) return NULL;
    q->all = s;
    q->owner = r->owner;
    q->class_id = rri_reference_class_id(r);
    q->object = identity(r);
    q->next = s->first;
    s->first = q;
    atomic_fetch_add(&s->open, 1);
    q->colour = rri_begin(s->calls->futures.colours);
    return q;
}

const rri_class *rri_resolved(rri_reference *r)
{
    rri_resolver *s = rri_references_of(r)->resolver;
    const rri_class *k = atomic_load_explicit(&r->klass, memory_order_acquire);
    if (k && !atomic_load_explicit(&s->open, memory_order_acquire)) return k;
    rri_lock_take(&s->lock);
    k = query_for(s, r) ? NULL : known(s, r);
    rri_lock_give(&s->lock);
    if (k) rri_reference_know(r, k);
    return k;
}

void rri_resolve(rri_reference *r, rri_held *held)
{
    rri_resolver *s = rri_references_of(r)->resolver;
    rri_lock_take(&s->lock);
    query *q = query_for(s, r), *fresh = NULL;
    const rri_class *k = q ? NULL : known(s, r);
    if (!q && !k) q = fresh = open_query(s, r);
    if (q) hold(q, held);
    rri_lock_give(&s->lock);
    if (!q && !k) rri_fail(RREF_ERR_NO_MEMORY, "no memory to ask for a class");
    if (!q) held->run(held, k);
    if (fresh) start(fresh);
}

typedef struct waiter {
    rri_held held;
    rref target;
    rri_future *done;
} waiter;

static const rri_types no_types;

static void wake(rri_held *held, const rri_class *klass)
{
    waiter *w = (waiter *)(void *)held;
    rri_reference *r = rri_reference_of(w->target);
    if (klass && r) rri_reference_know(r, klass);
    rri_future_claim(w->done);      /* nobody else can */
    if (klass) rri_future_value(w->done, NULL, 0, NULL);
    else rri_future_error_last(w->done);
    rri_future_drop(w->done);
    rri_reference_drop(w->target);
    free(w);
}

static int outcome_of(rri_future *f, int rc)
{
    if (rc == RREF_OK && f->outcome) rc = rri_fail_as(f->outcome, f->error);
    if (rc == RREF_ERR_PENDING)
        rc = rri_fail(RREF_ERR_TIMEOUT, "the object, or its class, was not known in time; the call was not sent");
    return rc;
}

int rri_resolve_wait(rri_reference *r, int64_t deadline)
{
    return rri_resolved(r) ? RREF_OK : rri_held_wait(r, deadline, rri_resolve);
}

int rri_held_wait(rri_reference *r, int64_t deadline, void (*begin)(rri_reference *, rri_held *))
{
    rri_calls *calls = rri_references_of(r)->calls;
    if (!rri_progress_room(calls->progress, r->owner, deadline))
        return rri_fail(RREF_ERR_TIMEOUT, "rank %d has not taken earlier calls in time; the call was not sent", r->owner);
    waiter *w = rri_malloc(sizeof *w);
    rri_future *f = w ? rri_future_new(&calls->futures, &no_types, NULL) : NULL;
    if (!f) {
        free(w);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory to wait for a class");
    }
    f->quiet = true;
    rri_future_keep(f);
    *w = (waiter){ { NULL, 0, wake }, rri_reference_keep(r), f };
    begin(r, &w->held);
    int rc = outcome_of(f, rri_progress_wait(calls->progress, &f->event, deadline));
    rref_error why = *rri_error_last();
    rri_future_drop(f);
    *rri_error_last() = why;
    return rc;
}

/* ---- names */

const rri_class *rri_resolver_named(rri_resolver *s, int owner, const char *text)
{
    rri_lock_take(&s->lock);
    const kin *k = s->kin;
    while (k && (k->owner != owner || strcmp(k->klass->name, text))) k = k->next;
    rri_lock_give(&s->lock);
    return k ? k->klass : NULL;
}

const char *rri_resolver_intern(rri_resolver *s, const char *text)
{
    rri_lock_take(&s->lock);
    name *n = s->names;
    while (n && strcmp(n->text, text)) n = n->next;
    if (!n && (n = rri_malloc(sizeof *n + strlen(text) + 1))) {
        strcpy(n->text, text);
        n->next = s->names;
        s->names = n;
    }
    rri_lock_give(&s->lock);
    return n ? n->text : NULL;
}

/* ---- this rank's own classes */

void rri_resolver_publish(rri_resolver *s, const rri_class *klass)
{
    size_t count = rri_descriptor_bytes(klass);
    void *bytes = s->window ? rri_malloc(count) : NULL;
    if (!bytes) return;             /* asked by message then */
    rri_descriptor_write(klass, bytes);
    rri_window_add(s->window, klass->id, bytes, count);
    free(bytes);
}

void rri_resolver_close(rri_resolver *s)
{
    for (kin *k; (k = s->kin); free(k)) s->kin = k->next;
    for (name *n; (n = s->names); free(n)) s->names = n->next;
    for (query *q; (q = s->first);) {
        s->first = q->next;
        for (rri_held *h; (h = q->first); free(h)) q->first = h->next;
        if (q->fresh) rri_class_drop(q->fresh);
        free(q->read.to);
        free(q);
    }
}
