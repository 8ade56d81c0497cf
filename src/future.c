/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns futures and their results. Invariant: whoever claimed a future is the only one to write its result; after DONE it is
 * read by anybody. */
#include "future.h"
#include "error.h"
#include "exec.h"
#include "fork.h"
#include "lone.h"
#include "memory.h"
#include "reaction.h"
#include "spare.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXTS = 256 };
static _Atomic(rri_futures *) contexts[CONTEXTS];

const rri_types rri_types_to_come;

int rri_futures_open(rri_futures *all, unsigned context)
{
    rri_table_init(&all->table, RRI_KIND_FUTURE, context, sizeof(rri_future));
    atomic_store(&contexts[context % CONTEXTS], all);
    return rri_lone_know(all);
}

RRI_UNCHECKED
static inline bool is_clear(const rri_future *f)
{
    return !f->payload && !f->landing && !f->error && !f->outputs_owned && !f->own && !f->first;
}

/* What a future has in memory of its own; nobody else knows it any more. */
RRI_UNCHECKED
static void clear(void *item, void *arg)
{
    rri_future *f = item;
    (void)arg;
    if (f->payload != f->small) free(f->payload);
    free(f->landing);
    free(f->error);
    if (f->outputs_owned) free((void *)(uintptr_t)f->outputs);
    if (f->own) rri_signature_free(f->own);
    free(f->own);
    for (rri_reaction *r; (r = f->first); free(r)) f->first = r->next;
    f->payload = f->landing = NULL;
    f->error = NULL;
    f->own = NULL;
    f->outputs_owned = false;
}

void rri_futures_close(rri_futures *all)
{
    unsigned context = (unsigned)(all->table.tag >> 52 & 0xff);
    rri_lone_forget(all);
    atomic_store(&contexts[context], NULL);
    rri_table_each(&all->table, clear, NULL);
    rri_table_free(&all->table);
}

rri_future *rri_future_new(rri_futures *all, const rri_types *types, const char *site)
{
    rri_future *f = rri_table_add(&all->table, NULL);
    if (!f) {
        rri_fail(RREF_ERR_NO_MEMORY, "no memory for a future");
        return NULL;
    }
    f->all = all;
    atomic_store_explicit(&f->types, types, memory_order_relaxed);
    atomic_store_explicit(&f->site, site, memory_order_relaxed);
    atomic_store_explicit(&f->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&f->held, 1, memory_order_relaxed);
    atomic_store_explicit(&f->sent.word, RRI_EVENT_DONE, memory_order_relaxed);
    return f;
}

void rri_future_empty(rri_future *f)
{
    if (!f->payload && !f->landing && !f->error && !f->own) return;
    if (f->payload) rri_payload_drop(f->types, f->payload, &f->all->trade.codec);
    clear(f, NULL);
}

static void begin_anew(rri_future *f, const rri_types *types, const char *site)
{
    f->outputs = NULL;
    f->output_count = 0;
    f->coloured = false;
    atomic_store_explicit(&f->site, site, memory_order_relaxed);
    f->sending = 0;
    atomic_store_explicit(&f->method_name, NULL, memory_order_relaxed);
    atomic_store_explicit(&f->read, false, memory_order_relaxed);
    atomic_store_explicit(&f->types, types, memory_order_relaxed);
    atomic_store_explicit(&f->event.word, 0, memory_order_relaxed);
}

bool rri_future_renew(rri_future *f, const rri_types *types, const char *site)
{
    if (!rri_table_renew(f)) return false;
    begin_anew(f, types, site);
    return true;
}

void rri_future_resume(rri_future *f, const rri_types *types, const char *site)
{
    begin_anew(f, types, site);
    atomic_store_explicit(&f->watched, false, memory_order_relaxed);
    atomic_store_explicit(&f->owed, 0, memory_order_relaxed);
    atomic_store_explicit(&f->refs, 1, memory_order_relaxed);
    atomic_store_explicit(&f->held, 1, memory_order_relaxed);
    rri_table_resume(f);
}

uint64_t rri_future_handle(const rri_future *future) { return rri_table_handle(&future->all->table, future); }

/* The answer came through MPI; that it is owed, written last before the call left, is what orders its making before this. Only
 * the driver takes answers. */
rri_future *rri_future_of_answer(rri_futures *all, uint64_t handle, int peer)
{
    rri_future *f = rri_table_find(&all->table, handle);
    if (!f || atomic_load_explicit(&f->owed, memory_order_acquire) != peer + 1) return NULL;
    atomic_store_explicit(&f->owed, 0, memory_order_relaxed);
    return f;
}

/* Nobody holds it: then it is good while it is lent. */
RRI_ASIDE
static rri_future *lent_or_none(rri_future *f, uint64_t handle)
{
    if (f && atomic_load(&f->lent)) return f;
    rri_fail(RREF_ERR_HANDLE, handle ? "not a future, or released already" : "a zero future");
    return NULL;
}

RRI_IN_LINE rri_future *future_of(uint64_t handle)
{
    if (rri_forked()) return NULL;
    rri_futures *all = rri_handle_kind_of(handle) == RRI_KIND_FUTURE ? atomic_load(&contexts[rri_handle_context(handle)])
                                                                      : NULL;
    rri_future *f = all ? rri_table_item(&all->table, handle) : NULL;
    if (f && atomic_load_explicit(&f->held, memory_order_acquire)) return f;
    return lent_or_none(f, handle);
}

rri_future *rri_future_of(uint64_t handle) { return future_of(handle); }

/* The slot may be another future's by the time it is counted. */
rri_future *rri_future_hold(uint64_t handle)
{
    rri_future *f = rri_future_of(handle);
    if (!f) return NULL;
    unsigned refs = atomic_load(&f->refs);
    while (refs && !atomic_compare_exchange_weak(&f->refs, &refs, refs + 1)) {}
    if (refs && rri_future_of(handle) == f) return f;
    if (refs) rri_future_drop(f);
    rri_fail(RREF_ERR_HANDLE, "released meanwhile");
    return NULL;
}

rri_future *rri_future_step_in(uint64_t handle)
{
    rri_future *f = rri_future_hold(handle);
    if (f) atomic_fetch_add(&f->all->waiting, 1);
    return f;
}

void rri_future_step_out(rri_future *held)
{
    rri_futures *all = held->all;
    rri_future_drop(held);
    atomic_fetch_sub(&all->waiting, 1);
}

/* Those with references in them: counted, so that they stay. */
typedef struct kept {
    rri_future **list;
    size_t count, room;
} kept;

static void keep_if_whole(void *item, void *arg)
{
    rri_future *f = item;
    kept *k = arg;
    if (f->lone || !rri_event_done(&f->event) || k->count == k->room) return;
    unsigned refs = atomic_load(&f->refs);
    while (refs && !atomic_compare_exchange_weak(&f->refs, &refs, refs + 1)) {}
    if (refs) k->list[k->count++] = f;
}

RRI_UNCHECKED
int rri_futures_each_payload(rri_futures *all, void (*visit)(void *arg, const rri_types *types, const void *payload), void *arg)
{
    size_t room = atomic_load(&all->table.live) + 64;       /* more are made meanwhile by those who are at work */
    kept k = { rri_malloc(room * sizeof(rri_future *)), 0, room };
    if (!k.list) return rri_fail(RREF_ERR_NO_MEMORY, "no memory to look at %zu futures", room);
    rri_table_look(&all->table, keep_if_whole, &k);
    for (size_t i = 0; i < k.count; i++) {
        rri_future *f = k.list[i];
        rri_take(&f->lock, &rri_future_lock);
        if (f->payload && f->types->refs) visit(arg, f->types, f->payload);
        rri_give(&f->lock, &rri_future_lock);
        rri_future_drop(f);
    }
    free(k.list);
    return k.count < room ? RREF_OK : rri_fail(RREF_ERR_NO_MEMORY, "more than %zu futures", room);
}

/* A lone future that is not yet on its way is its thread's alone. */
void rri_future_keep(rri_future *future)
{
    if (future->lone && !atomic_load_explicit(&future->owed, memory_order_relaxed))
        atomic_store_explicit(&future->refs, atomic_load_explicit(&future->refs, memory_order_relaxed) + 1, memory_order_relaxed);
    else atomic_fetch_add(&future->refs, 1);
}

void rri_future_keep_in_flight(rri_future *future)
{
    if (!future->fresh) {
        rri_future_keep(future);
        return;
    }
    future->fresh = false;
    atomic_store_explicit(&future->refs, 2, memory_order_relaxed);
}

/* A promise given up before it was kept: those who watch it are told. The last count is gone, nobody else knows it. */
RRI_UNCHECKED static bool broken(rri_future *f)
{
    rref_error error;
    if (rri_event_done(&f->event) || !f->first) return false;
    rri_error_fill(&error, RREF_ERR_CANCELLED, "the promise was released before it was completed");
    atomic_store(&f->refs, 1);
    f->quiet = true;
    if (rri_future_claim(f)) rri_future_error(f, &error);
    return true;
}

/* The last count is gone. */
static void end(rri_future *f)
{
    rri_futures *all = f->all;
    if (f->error && !f->quiet && !atomic_load(&f->read)) all->unread(all->up, f->error);
    if (f->payload) rri_payload_drop(f->types, f->payload, &all->trade.codec);
    if (f->payload == f->small) f->payload = NULL;
    if (!is_clear(f)) clear(f, NULL);
    if (!f->plain || !rri_spare_keep(f)) rri_table_remove(&all->table, f);
}

void rri_future_drop(rri_future *future)
{
    if (atomic_fetch_sub(&future->refs, 1) != 1) return;
    if (broken(future)) {
        rri_future_drop(future);
        return;
    }
    end(future);
}

uint64_t rri_future_lend(rri_future *future)
{
    rri_future_keep(future);
    atomic_fetch_add(&future->lent, 1);
    return rri_future_handle(future);
}

void rri_future_take_back(rri_future *future)
{
    atomic_fetch_sub(&future->lent, 1);
    rri_future_drop(future);
}

/* ---- completion */

bool rri_future_claim(rri_future *future)
{
    unsigned word = atomic_load_explicit(&future->event.word, memory_order_relaxed);
    if (future->lone && rri_progress_polls_for(&future->event)) {       /* its waiter, who is the only other one to claim it */
        atomic_store_explicit(&future->event.word, word | RRI_EVENT_BUSY, memory_order_relaxed);
        return !(word & (RRI_EVENT_DONE | RRI_EVENT_BUSY));
    }
    do {
        if (word & (RRI_EVENT_DONE | RRI_EVENT_BUSY)) return false;
    } while (!atomic_compare_exchange_weak(&future->event.word, &word, word | RRI_EVENT_BUSY));
    return true;
}

static void complete(rri_future *f, int outcome)
{
    f->outcome = outcome;
    if (f->lone && rri_progress_polls_for(&f->event)) {
        atomic_store_explicit(&f->event.word, RRI_EVENT_DONE, memory_order_release);
        return;
    }
    rri_event_set(&f->event);
    if (f->lone) return;
    if (atomic_load(&f->watched)) rri_reactions_run(f, f->coloured ? f->colour : rri_colour(f->all->colours));
    if (f->timed && rri_timer_remove(f->all->timers, &f->timer)) rri_future_drop(f);
}

void rri_error_origin(rri_futures *all, rref_error *error)
{
    if (error->rank >= 0) return;
    error->rank = all->rank;
    rri_error_copy(error->host, sizeof error->host, all->host);
}

void rri_future_blame(rri_future *future, const rref_error *error)
{
    rref_error *copy = future->error ? future->error : rri_malloc(sizeof *copy);
    if (copy) {
        *copy = *error;
        rri_error_origin(future->all, copy);
        copy->caller = future->all->rank;
        copy->call_id = rri_future_handle(future);
        if (future->site) rri_error_copy(copy->site, sizeof copy->site, future->site);
    }
    future->error = copy;
    future->outcome = error->code;
}

void rri_future_fail(rri_future *future) { complete(future, future->outcome); }

void rri_future_error(rri_future *future, const rref_error *error)
{
    rri_future_blame(future, error);
    rri_future_fail(future);
}

void rri_future_error_last(rri_future *future)
{
    rri_future_error(future, rri_error_last());
}

static int keep_payload(rri_future *f, const void *payload, size_t bytes)
{
    f->payload = bytes <= sizeof f->small ? f->small : rri_aligned_alloc(16, (bytes + 15) & ~(size_t)15);
    if (!f->payload) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for a result");
    memcpy(f->payload, payload, bytes);
    return RREF_OK;
}

void rri_future_value(rri_future *future, const void *payload, size_t bytes, void *landing)
{
    rri_futures *all = future->all;
    int rc = RREF_OK;
    if (future->outputs) {
        rc = rri_outputs_write(future->types, payload, landing, future->outputs, future->output_count, &all->trade.all);
        rri_payload_drop(future->types, payload, &all->trade.codec);
        if (landing) free(landing);
    } else if (bytes) {
        rc = keep_payload(future, payload, bytes);
        future->landing = landing;
        if (rc) rri_payload_drop(future->types, payload, &all->trade.codec);
    }
    if (rc) rri_future_error_last(future);
    else complete(future, RREF_OK);
}

void rri_future_become(rri_future *f, rri_future *from)
{
    static const rri_types nothing;
    f->own = from->own;
    f->types = from->types;
    f->payload = from->payload == from->small ? memcpy(f->small, from->small, sizeof f->small) : from->payload;
    f->landing = from->landing;
    from->own = NULL;
    from->types = &nothing;
    from->payload = from->landing = NULL;
    complete(f, RREF_OK);
}

int rri_future_deadline(rri_future *future, int64_t deadline, void (*due)(rri_timer *))
{
    bool first;
    if (deadline == RRI_NEVER) return RREF_OK;
    future->timer.due = due;
    rri_future_keep(future);                /* given back by whoever fires or removes the timer */
    future->timed = true;                   /* before the timer can fire */
    if (rri_timer_add(future->all->timers, &future->timer, deadline, &first)) {
        future->timed = false;
        rri_future_drop(future);
        return rri_fail(RREF_ERR_NO_MEMORY, "no memory for a deadline");
    }
    if (first) rri_progress_wake(future->all->progress);
    return RREF_OK;
}

void rri_future_overdue(rri_timer *timer, const char *why)
{
    rref_error error;
    rri_future *f = (rri_future *)(void *)((char *)timer - offsetof(rri_future, timer));
    rri_error_fill(&error, RREF_ERR_TIMEOUT, "%s", why);
    if (rri_future_claim(f)) rri_future_error(f, &error);
    rri_future_drop(f);
}

/* ---- the API */

/* Who asks now and then will not come to wait. */
static bool is_done(rri_future *f)
{
    if (rri_event_done(&f->event)) return true;
    rri_progress_hurry(f->all->progress);
    return false;
}

bool rref_done(rref_future future)
{
    rri_future *f = rri_future_of(future.bits);
    return f && is_done(f);
}

/* Outcome of a complete future, its error made the thread's. */
static int outcome(rri_future *f)
{
    atomic_store_explicit(&f->read, true, memory_order_relaxed);
    if (f->outcome == RREF_OK) return RREF_OK;
    return rri_exec_failed(rri_fail_as(f->outcome, f->error));
}

static int test(rri_future *f)
{
    return is_done(f) ? outcome(f) : rri_fail(RREF_ERR_PENDING, "the future is not complete");
}

int rref_test(rref_future future)
{
    rri_future *f = rri_future_of(future.bits);
    return f ? test(f) : rri_error_last()->code;
}

static int deadline_of(const rri_futures *all, double timeout, int64_t *deadline)
{
    int64_t ns = RRI_NEVER;
    if (timeout == RREF_DEFAULT_TIMEOUT) ns = all ? atomic_load_explicit(&all->timeout, memory_order_relaxed) : RRI_NEVER;
    else if (!rri_seconds(timeout, &ns)) return rri_fail(RREF_ERR_ARGUMENT, "a timeout of %g seconds", timeout);
    *deadline = ns == RRI_NEVER ? RRI_NEVER : rri_after(rri_now(), ns);
    return RREF_OK;
}

/* Why a wait is over without what it was for, where that has not been said. */
static int in_vain(int rc)
{
    if (rc == RREF_ERR_PENDING) rri_fail(rc, "still pending when the wait's time was over");
    if (rc == RREF_ERR_FINALIZED) rri_fail(rc, "the context ended during the wait");
    return rc;
}

static int await(rri_future *f, int64_t deadline)
{
    int rc = rri_exec_wait(f, deadline);
    return rc == RREF_OK ? outcome(f) : in_vain(rc);
}

/* Calls are answered before a context ends. What is no call may never come, and the end sees to it that who waits leaves. */
static int await_what_may_not_come(rri_future *f, int64_t deadline)
{
    rri_futures *all = f->all;
    atomic_fetch_add(&all->waiting, 1);
    int rc = await(f, deadline);
    atomic_fetch_sub(&all->waiting, 1);
    return rc;
}

int rref_wait(rref_future future, double timeout)
{
    int64_t deadline;
    rri_future *f = future_of(future.bits);
    if (!f) return rri_error_last()->code;
    if (rri_event_done(&f->event)) return outcome(f);
    int rc = deadline_of(f->all, timeout, &deadline);
    if (rc) return rc;
    bool called = atomic_load_explicit(&f->owed, memory_order_relaxed);
    return called ? await(f, deadline) : await_what_may_not_come(f, deadline);
}

void rri_futures_await_waiting(rri_futures *all)
{
    for (unsigned n; (n = atomic_load(&all->waiting));) rri_futex_wait(&all->waiting, n, 1000000);
}

/* Whose default counts for a wait for several. */
static const rri_futures *first_context(const rref_future *futures, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const rri_future *f = rri_future_of(futures[i].bits);
        if (f) return f->all;
    }
    return NULL;
}

int rref_wait_all(const rref_future *futures, size_t count, double timeout)
{
    int64_t deadline;
    if (!futures && count) return rri_fail(RREF_ERR_ARGUMENT, "NULL futures");
    const rri_futures *all = timeout == RREF_DEFAULT_TIMEOUT ? first_context(futures, count) : NULL;
    int first = RREF_OK, rc = deadline_of(all, timeout, &deadline);
    rref_error error;
    if (rc) return rc;
    for (size_t i = 0; i < count; i++) {
        double left = deadline == RRI_NEVER ? RREF_FOREVER : (double)(deadline - rri_now()) * 1e-9;
        rc = rref_wait(futures[i], left > 0 ? left : 0);
        if (rc == RREF_ERR_PENDING && !rref_done(futures[i])) return rc;
        if (!rc || first) continue;
        first = rc;
        error = *rri_error_last();
    }
    return first ? rri_exec_failed(rri_fail_as(first, &error)) : RREF_OK;
}

int rref_wait_sent(rref_future future, double timeout)
{
    int64_t deadline;
    rri_future *f = rri_future_of(future.bits);
    if (!f) return rri_error_last()->code;
    int rc = deadline_of(f->all, timeout, &deadline);
    return rc ? rc : in_vain(rri_progress_wait(f->all->progress, &f->sent, deadline));
}

int rref_get_v(rref_future future, const rref_value *outputs, size_t count)
{
    rri_future *f = future_of(future.bits);
    if (!f) return rri_error_last()->code;
    int rc = test(f);
    if (rc == RREF_OK) rc = rri_outputs_check(f->types, outputs, count);
    if (rc || !count) return rc;
    if (f->outputs) return rri_fail(RREF_ERR_STATE, "the results went into the outputs that the call was given");
    rri_take(&f->lock, &rri_future_lock);
    rc = rri_outputs_write(f->types, f->payload, f->landing, outputs, count, &f->all->trade.part);
    rri_give(&f->lock, &rri_future_lock);
    return rc;
}

int rref_future_error(rref_future future, rref_error *error)
{
    rri_future *f = rri_future_of(future.bits);
    if (!f) return rri_error_last()->code;
    if (!error) return rri_fail(RREF_ERR_ARGUMENT, "NULL error");
    if (!rri_event_done(&f->event)) return rri_fail(RREF_ERR_PENDING, "the future is not complete");
    if (outcome(f) == RREF_OK) return rri_fail(RREF_ERR_STATE, "the future did not fail");
    *error = *rri_error_last();
    return RREF_OK;
}

int rref_future_retain(rref_future future)
{
    rri_future *f = rri_future_of(future.bits);
    if (!f) return rri_error_last()->code;
    rri_future_keep(f);
    atomic_fetch_add(&f->held, 1);
    return RREF_OK;
}

void rri_future_let_go(rri_future *future)
{
    atomic_fetch_sub(&future->held, 1);
    rri_future_drop(future);
}

/* The one who holds it gives back the only count there is, as most do. */
static bool release_last(rri_future *f)
{
    unsigned one = 1;       /* so it is not lent either */
    if (atomic_load_explicit(&f->held, memory_order_relaxed) != 1 || !rri_event_done(&f->sent)) return false;
    if (!rri_event_done(&f->event) || !atomic_compare_exchange_strong(&f->refs, &one, 0)) return false;
    end(f);
    return true;
}

/* Who has given a result has had the arrays before. */
static bool has_arrived(const rri_future *f) { return rri_event_done(&f->event) && f->outcome == RREF_OK; }

int rref_future_release(rref_future future)
{
    rri_future *f = future_of(future.bits);
    if (!f) return rri_error_last()->code;
    if (release_last(f)) return RREF_OK;
    unsigned held = atomic_load(&f->held);
    while (held && !atomic_compare_exchange_weak(&f->held, &held, held - 1)) {}
    if (!held) return rri_fail(RREF_ERR_HANDLE, "a future that was released already, or is only lent");
    int rc = rri_progress_settle(f->all->progress, &f->sent);
    bool cannot_wait = rc == RREF_ERR_BLOCKING || rc == RREF_ERR_THREAD || rc == RREF_ERR_TOO_DEEP;
    if (cannot_wait && !has_arrived(f)) {       /* MPI may read the arrays still */
        atomic_fetch_add(&f->held, 1);
        return rc;
    }
    rri_future_drop(f);
    return RREF_OK;
}

int rref_cancel(rref_future future)
{
    rref_error error;
    rri_future *f = rri_future_step_in(future.bits);
    if (!f) return rri_error_last()->code;
    rri_error_fill(&error, RREF_ERR_CANCELLED, "given up by the caller");
    bool given_up = rri_call_give_up(rri_calls_of(f), f, &error);
    if (given_up) atomic_store(&f->read, true);         /* who gives up knows */
    if (given_up && !rri_event_done(&f->event)) rri_progress_settle(f->all->progress, &f->event);
    rri_future_step_out(f);
    return given_up ? RREF_OK : rri_fail(RREF_ERR_COMPLETED, "the future is complete already");
}

typedef struct notice {
    rri_reaction reaction;
    rref_callback callback;
    void *arg;
} notice;

static void notify(rri_reaction *reaction, rri_future *f)
{
    notice *n = (notice *)(void *)reaction;
    n->callback((rref_future){ rri_future_lend(f) }, n->arg);
    rri_future_take_back(f);
}

int rref_on_complete(rref_future future, rref_callback callback, void *arg, unsigned flags)
{
    rri_future *f = rri_future_of(future.bits);
    if (!f) return rri_error_last()->code;
    if (!callback) return rri_fail(RREF_ERR_ARGUMENT, "NULL callback");
    notice *n = rri_malloc(sizeof *n);
    if (!n) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for a callback");
    *n = (notice){ { NULL, notify, flags & RREF_INLINE }, callback, arg };
    rri_future_react(f, &n->reaction);
    return RREF_OK;
}
