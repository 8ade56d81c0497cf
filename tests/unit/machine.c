/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls from send to answer between ranks of one process, on a link that the test makes up (fake_link.h, fake_rank.h). */
#include "fake_rank.h"

#include "chaos.h"
#include "check.h"
#include "error.h"
#include "exec.h"
#include "log.h"
#include "peer.h"
#include "reaction.h"

#include <stdlib.h>
#include <string.h>

enum { RANKS = 3, ROOM = 8192, EAGER = 1024, OBJECT = 16, MANY = 40, LONG = 5000, LOAD = 32 };
enum { NEXT, FAIL, NOTE, REVERSE, MIRROR, STORE, METHODS };

typedef struct rank {
    fake_rank fake;
    rri_actor actor;
    unsigned unanswered;
    rref_error last;
} rank;

static rri_link *link_of[RANKS];
static rank ranks[RANKS];
static fake_rank *const all[RANKS] = { &ranks[0].fake, &ranks[1].fake, &ranks[2].fake };
static rri_signature signature[METHODS];
static uint64_t noted[2 * MANY];
static unsigned notes;

/* ---- the object that every rank has */

static int next(rref_call *call, void *self)
{
    (void)self;
    return rref_return_u64(call, rref_arg_u64(call, 0) + 1);
}

static int fail(rref_call *call, void *self)
{
    (void)self;
    return rref_fail(call, RREF_ERR_USER, "no %d", 5);
}

static int note(rref_call *call, void *self)
{
    (void)self;
    noted[notes++ % (2 * MANY)] = rref_arg_u64(call, 0);
    return RREF_OK;
}

static int reverse(rref_call *call, void *self)
{
    size_t n;
    const uint64_t *x = rref_arg_u64s(call, 0, &n);
    uint64_t *y = malloc(n * sizeof *y);
    (void)self;
    for (size_t i = 0; i < n; i++) y[i] = x[n - 1 - i];
    return rref_return_owned(call, y, n, free);
}

/* Notes where its argument lies, and returns it from there. */
static int mirror(rref_call *call, void *self)
{
    size_t n;
    const uint64_t *x = rref_arg_u64s(call, 0, &n);
    (void)self;
    noted[notes++ % (2 * MANY)] = (uintptr_t)x;
    return rref_return_borrowed(call, x, n);
}

/* The array is the object's by then, the number still in the message. */
static int store(rref_call *call, void *self) { return (void)self, rref_return_u64(call, rref_arg_u64(call, 1)); }

static const rref_handler handler[METHODS] = { next, fail, note, reverse, mirror, store };
static const char *const text[METHODS] = {
    "u64 -> u64", "u64 -> u64", "u64", "u64[] -> u64[]", "u64[] -> u64[]", "u64[], u64 -> u64"
};

static uint64_t stored[LONG];
static unsigned lent;

static int land(rref_call *call, void **at, size_t bytes)
{
    (void)call;
    lent++;
    *at = stored;
    return bytes == sizeof stored ? RREF_OK : rri_fail(RREF_ERR_ARGUMENT, "of another size");
}

static void landed(rref_call *call, void *at, size_t bytes, int outcome)
{
    (void)call, (void)bytes;
    if (at == stored && outcome == RREF_OK) lent--;
}

static int run(rref_call *call) { return call->handler(call, call->self); }

static int find(void *up, const rri_record *record, rri_buffer *buffer, rref_call *call)
{
    static const rri_types none;
    (void)buffer;
    call->in = call->out = &none;
    if (record->object != OBJECT) return rri_fail(RREF_ERR_NO_OBJECT, "no such object");
    if (record->method >= METHODS) return rri_fail(RREF_ERR_NO_METHOD, "no such method");
    call->actor = &((rank *)up)->actor;
    call->run = run;
    call->handler = handler[record->method];
    call->in = &signature[record->method].in;
    call->out = &signature[record->method].out;
    call->class_name = "thing";
    call->method_name = "method";
    if (record->method != STORE) return RREF_OK;
    call->flags = RREF_INLINE;
    call->land = land;
    call->landed = landed;
    return RREF_OK;
}

/* Whether calls run where they arrive, and the targets of calls are such that theirs may share a record. */
static bool at_once;

static bool instant(void *up, const rri_record *record, rref_call *call)
{
    rank *r = up;
    if (!at_once) return false;
    rri_call_clear(call, &r->fake.calls);
    if (find(up, record, NULL, call)) return false;
    call->self = up;
    call->flags = RREF_INLINE;
    return true;
}

static void on_record(void *up, int peer, const rri_record *record)
{
    (void)up;
    (void)peer;
    (void)record;
}

static void on_created(void *up, rri_future *future, uint64_t handle)
{
    (void)up;
    (void)future;
    (void)handle;
}

static void on_unanswered(void *up, const rref_error *error)
{
    rank *r = up;
    r->unanswered++;
    r->last = *error;
}

/* ---- ranks */

static void open_rank(int i, const rri_flow_config *config)
{
    rank *r = &ranks[i];
    const rri_calls_up up = { .find = find, .instant = instant, .control = on_record, .created = on_created,
                              .unanswered = on_unanswered, .up = r };
    memset(r, 0, sizeof *r);
    CU_ASSERT_EQUAL_FATAL(fake_rank_open(&r->fake, link_of[i], config, EAGER, &up), RREF_OK);
}

static void open_ranks_with(unsigned credits, size_t batch, size_t queue_limit, size_t park_limit)
{
    rri_flow_config config = { batch, ROOM, credits, queue_limit, park_limit, true, NULL, true, LOAD };
    for (int m = 0; m < METHODS; m++) CU_ASSERT_EQUAL_FATAL(rri_signature_parse(text[m], &signature[m]), RREF_OK);
    notes = 0;
    fake_open(link_of, RANKS);
    for (int i = 0; i < RANKS; i++) {
        config.timers = &all[i]->timers;
        open_rank(i, &config);
    }
}

static void open_ranks(unsigned credits, size_t batch, size_t queue_limit)
{
    open_ranks_with(credits, batch, queue_limit, 1 << 20);
}

static void pump(void) { fake_pump(all, RANKS); }

/* Nothing may be left over: calls, futures, moving data, buffers. */
static void close_ranks(void)
{
    pump();
    for (int i = 0; i < RANKS; i++) {
        fake_rank *r = all[i];
        CU_ASSERT_EQUAL(rri_calls_running(&r->calls), 0);
        CU_ASSERT_EQUAL(atomic_load(&r->calls.futures.table.live), 0);
        CU_ASSERT(!rri_link_busy(link_of[i]));
        CU_ASSERT(!rri_flow_waiting(r->flow));
        CU_ASSERT_EQUAL(rri_flow_used(r->flow), 0);
    }
    fake_close(link_of, RANKS);
    for (int i = 0; i < RANKS; i++) fake_rank_close(all[i]);
    for (int m = 0; m < METHODS; m++) rri_signature_free(&signature[m]);
}

static rref_value u64(uint64_t x) { return (rref_value){ RREF_VALUE_SCALAR, RREF_U64, 8, 1, x, 0 }; }

static rref_value u64s(const uint64_t *x, size_t n)
{
    return (rref_value){ RREF_VALUE_ARRAY, RREF_U64, 8, n, (uint64_t)(uintptr_t)x, 0 };
}

static bool runs;

static rri_target target(int peer, uint16_t method, uint64_t address)
{
    return (rri_target){ peer, address, method, &signature[method].in, &signature[method].out, "thing", "method", false, runs };
}

/* An asynchronous call of rank 0. */
static rri_future *call_with(int peer, uint16_t method, uint64_t address, const rref_value *values, size_t count)
{
    rri_calls *c = &all[0]->calls;
    rri_target to = target(peer, method, address);
    rri_future *f = rri_future_new(&c->futures, to.out, "here:1");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    CU_ASSERT_EQUAL(rri_call_send(c, &to, values, count, RRI_ASYNC, "here:1", f, RRI_NEVER), RREF_OK);
    return f;
}

static rri_future *call(int peer, uint16_t method, uint64_t address, rref_value value)
{
    return call_with(peer, method, address, &value, 1);
}

static int post(int peer, uint16_t method, uint64_t x)
{
    rri_target to = target(peer, method, OBJECT);
    rref_value value = u64(x);
    return rri_call_send(&all[0]->calls, &to, &value, 1, RRI_ONEWAY, "here:2", NULL, RRI_NEVER);
}

static void expect_error(rri_future *f, int code, int from, const char *words)
{
    CU_ASSERT_FATAL(rri_event_done(&f->event));
    CU_ASSERT_EQUAL(f->outcome, code);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f->error);
    CU_ASSERT_EQUAL(f->error->code, code);
    CU_ASSERT_EQUAL(f->error->rank, from);
    CU_ASSERT_PTR_NOT_NULL(strstr(f->error->text, words));
    f->quiet = true;
    rri_future_drop(f);
}

static uint64_t calls_in(int i)
{
    return atomic_load(&all[i]->calls.in) + atomic_load(&all[i]->calls.instants);
}

/* ---- calls and answers */

static void answers(void)
{
    open_ranks(8, 1024, 1 << 20);
    for (int peer = 0; peer < RANKS; peer++) {
        rri_future *f = call(peer, NEXT, OBJECT, u64(41));
        CU_ASSERT(!rri_event_done(&f->event));
        pump();
        CU_ASSERT_FATAL(rri_event_done(&f->event));
        CU_ASSERT_EQUAL(f->outcome, RREF_OK);
        CU_ASSERT_EQUAL(*(uint64_t *)f->payload, 42);
        rri_future_drop(f);
    }
    CU_ASSERT_EQUAL(calls_in(1), 1);
    CU_ASSERT_EQUAL(rri_flow_calls(all[0]->flow), RANKS);
    close_ranks();
}

static void failures(void)
{
    open_ranks(8, 1024, 1 << 20);
    rri_future *f = call(1, FAIL, OBJECT, u64(0)), *g = call(2, NEXT, OBJECT + 1, u64(0));
    pump();
    CU_ASSERT_STRING_EQUAL(f->error->where, "thing.method");
    CU_ASSERT_STRING_EQUAL(f->error->site, "here:1");
    CU_ASSERT_EQUAL(f->error->caller, 0);
    expect_error(f, RREF_ERR_USER, 1, "no 5");
    expect_error(g, RREF_ERR_NO_OBJECT, 2, "no such object");
    CU_ASSERT_EQUAL(post(1, FAIL, 0), RREF_OK);
    pump();
    CU_ASSERT_EQUAL(ranks[0].unanswered, 1);
    CU_ASSERT_EQUAL(ranks[0].last.code, RREF_ERR_USER);
    CU_ASSERT_STRING_EQUAL(ranks[0].last.site, "here:2");
    close_ranks();
}

static void late_answer(void)
{
    open_ranks(8, 1024, 1 << 20);
    rri_future *f = call(1, NEXT, OBJECT, u64(1));
    rri_call_expire(&all[0]->calls, f);
    CU_ASSERT(rri_event_done(&f->event));
    pump();
    CU_ASSERT_EQUAL(calls_in(1), 1);
    CU_ASSERT_PTR_NULL(f->payload);
    expect_error(f, RREF_ERR_TIMEOUT, 0, "the call was sent");
    close_ranks();
}

/* ---- credits */

static void credits(void)
{
    open_ranks(2, 64, 1 << 20);             /* one record a message */
    unsigned event = atomic_load(rri_lane_event(all[0]->flow, 1));
    for (unsigned i = 0; i < MANY; i++) CU_ASSERT_EQUAL(post(1, NOTE, i), RREF_OK);
    CU_ASSERT_EQUAL(fake_queued(link_of[1]), 2);
    CU_ASSERT(rri_lane_full(all[0]->flow, 1));
    CU_ASSERT_EQUAL(post(2, NOTE, MANY), RREF_OK);  /* another lane is not held up */
    CU_ASSERT_EQUAL(fake_queued(link_of[2]), 1);
    rri_progress_poll(all[2]->progress, NULL);
    CU_ASSERT_EQUAL(noted[0], MANY);
    notes = 0;
    pump();
    CU_ASSERT_EQUAL(notes, MANY);
    for (unsigned i = 0; i < MANY; i++) CU_ASSERT_EQUAL(noted[i], i);
    CU_ASSERT(!rri_lane_full(all[0]->flow, 1));
    CU_ASSERT_NOT_EQUAL(atomic_load(rri_lane_event(all[0]->flow, 1)), event);
    close_ranks();
}

static void company(void)
{
    open_ranks(8, 1024, 1 << 20);
    for (unsigned i = 0; i < 10; i++) CU_ASSERT_EQUAL(post(1, NOTE, i), RREF_OK);
    CU_ASSERT_EQUAL(fake_queued(link_of[1]), 1);    /* the first; the others wait for company */
    rri_flow_flush(all[0]->flow, false);           /* which is not for requests, and does not forget them */
    CU_ASSERT_EQUAL(fake_queued(link_of[1]), 1);
    rri_flow_flush(all[0]->flow, true);
    pump();
    CU_ASSERT_EQUAL(notes, 10);
    close_ranks();
}

static void queue_limit(void)
{
    int rc = RREF_OK;
    unsigned sent = 0;
    open_ranks(1, 64, 10 * 64);
    while (sent < 2 * MANY && (rc = post(1, NOTE, sent)) == RREF_OK) sent++;
    CU_ASSERT_EQUAL(rc, RREF_ERR_WOULD_BLOCK);
    CU_ASSERT(sent >= 10 && sent <= 15);
    pump();
    CU_ASSERT_EQUAL(notes, sent);
    CU_ASSERT_EQUAL(post(1, NOTE, 0), RREF_OK);
    close_ranks();
}

/* ---- bulk data */

static void bulk(void)
{
    static uint64_t x[LONG];
    open_ranks(8, 1024, 1 << 20);
    for (unsigned i = 0; i < LONG; i++) x[i] = i;
    rri_future *f = call(1, REVERSE, OBJECT, u64s(x, LONG));
    memset(x, 0, sizeof x);                 /* copied */
    pump();
    CU_ASSERT_FATAL(rri_event_done(&f->event) && f->outcome == RREF_OK);
    size_t n;
    const uint64_t *y = rri_payload_data(f->types, 0, f->payload, f->landing, &n);
    CU_ASSERT_EQUAL_FATAL(n, LONG);
    for (unsigned i = 0; i < LONG; i++) CU_ASSERT_EQUAL(y[i], LONG - 1 - i);
    rri_future_drop(f);
    close_ranks();
}

/* The result has left, and the next request has come, before the owner looks again: it uses the same memory. */
static void landing_again(void)
{
    static uint64_t x[LONG];
    open_ranks(8, 1024, 1 << 20);
    all[1]->calls.landings.limit = all[1]->calls.landing_limit = 1 << 20;
    notes = 0;
    rri_future *f = call(1, MIRROR, OBJECT, u64s(x, LONG));
    for (int i = 0; i < 100 && !rri_event_done(&f->event); i++) {
        rri_progress_poll(all[1]->progress, NULL);
        rri_progress_poll(all[0]->progress, NULL);
    }
    CU_ASSERT_FATAL(rri_event_done(&f->event) && rri_link_busy(link_of[1]));
    rri_future_drop(f);
    f = call(1, MIRROR, OBJECT, u64s(x, LONG));
    pump();
    CU_ASSERT(rri_event_done(&f->event));
    CU_ASSERT_EQUAL(notes, 2);
    CU_ASSERT_EQUAL(noted[0], noted[1]);
    rri_future_drop(f);
    close_ranks();
}

/* Where not every thread may call MPI, a call whose turn has come has its data asked for by who drives, not by who left the
 * object. */
static void granted_by_the_driver(void)
{
    static uint64_t x[LONG];
    rri_future *f[2];
    open_ranks(8, 1024, 1 << 20);           /* landing areas hold one call's data */
    CU_ASSERT(rri_exec_occupy(&ranks[1].actor));
    for (int i = 0; i < 2; i++) f[i] = call(1, REVERSE, OBJECT, u64s(x, LONG));
    pump();
    CU_ASSERT(!rri_link_busy(link_of[1]));
    rri_exec_leave(&ranks[1].actor);
    CU_ASSERT(!rri_link_busy(link_of[1]));
    pump();
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_FATAL(rri_event_done(&f[i]->event) && f[i]->outcome == RREF_OK);
        rri_future_drop(f[i]);
    }
    close_ranks();
}

/* An inline call waits for its data, which its object has memory for: other messages come meanwhile, and have memory of their
 * own. */
static void inline_at_its_object(void)
{
    enum { FEW = 100, OTHERS = 4 };
    static uint64_t x[LONG], few[FEW];
    rri_future *f[OTHERS];
    open_ranks(8, 1024, 1 << 20);
    for (unsigned i = 0; i < LONG; i++) x[i] = i;
    rri_future *g = call_with(1, STORE, OBJECT, (const rref_value[]){ u64s(x, LONG), u64(7) }, 2);
    rri_progress_poll(all[1]->progress, NULL);            /* grants */
    CU_ASSERT(lent == 1 && rri_link_busy(link_of[1]));
    for (int i = 0; i < OTHERS; i++) {
        f[i] = call(1, REVERSE, OBJECT + 1, u64s(few, FEW));
        rri_flow_flush(all[0]->flow, true);
        rri_progress_poll(all[1]->progress, NULL);
    }
    pump();
    CU_ASSERT_FATAL(rri_event_done(&g->event) && g->outcome == RREF_OK);
    CU_ASSERT_EQUAL(*(uint64_t *)g->payload, 7);
    CU_ASSERT(lent == 0 && !memcmp(stored, x, sizeof x));
    rri_future_drop(g);
    for (int i = 0; i < OTHERS; i++) expect_error(f[i], RREF_ERR_NO_OBJECT, 1, "no such object");
    close_ranks();
}

/* The grant finds its offer withdrawn: the receiver is told, and takes its receive back. */
static void withdrawn(void)
{
    static uint64_t x[LONG];
    uint64_t out, in;
    open_ranks(8, 1024, 1 << 20);
    rri_future *f = call(1, REVERSE, OBJECT, u64s(x, LONG));
    rri_progress_poll(all[1]->progress, NULL);           /* grants */
    CU_ASSERT(rri_link_busy(link_of[1]));
    rri_call_expire(&all[0]->calls, f);
    pump();
    CU_ASSERT(!rri_link_busy(link_of[1]));
    rri_transfers_counts(all[0]->calls.transfers, &out, &in);
    CU_ASSERT_EQUAL(out, 0);
    expect_error(f, RREF_ERR_TIMEOUT, 0, "was not sent");
    close_ranks();
}

/* ---- runs */

static uint64_t records_of(const fake_rank *r, int peer)
{
    uint64_t sent[RRI_TALLIES], sum = 0;
    rri_flow_sent(r->flow, peer, sent);
    for (unsigned k = 0; k < RRI_TALLIES; k++) sum += sent[k];
    return sum;
}

/* Ten posts in two records, since the first one left alone; then by turns with others, each in its own. */
static void posts_in_runs(void)
{
    open_ranks(8, 1024, 1 << 20);
    for (unsigned i = 0; i < 10; i++) CU_ASSERT_EQUAL(post(1, NOTE, i), RREF_OK);
    CU_ASSERT_EQUAL(records_of(all[0], 1), 2);
    CU_ASSERT_EQUAL(rri_flow_calls(all[0]->flow), 10);
    CU_ASSERT_EQUAL(post(1, FAIL, 0), RREF_OK);
    for (unsigned i = 10; i < 20; i++) CU_ASSERT_EQUAL(post(1, NOTE, i), RREF_OK);
    CU_ASSERT_EQUAL(records_of(all[0], 1), 4);
    rri_future *f = call(1, NEXT, OBJECT, u64(7));
    CU_ASSERT_EQUAL(post(1, NOTE, 20), RREF_OK);
    CU_ASSERT_EQUAL(records_of(all[0], 1), 6);
    pump();
    CU_ASSERT_EQUAL(notes, 21);
    for (unsigned i = 0; i < 21; i++) CU_ASSERT_EQUAL(noted[i], i);
    CU_ASSERT_EQUAL(*(uint64_t *)f->payload, 8);
    CU_ASSERT_EQUAL(ranks[0].unanswered, 1);
    CU_ASSERT_EQUAL(calls_in(1), 23);
    rri_future_drop(f);
    close_ranks();
}

/* Each call of a run has its own outcome. */
static void calls_in_runs(void)
{
    rri_future *f[MANY];
    open_ranks(8, 1024, 1 << 20);
    for (unsigned i = 0; i < MANY; i++) f[i] = call(1, i / 10 % 2 ? FAIL : NEXT, OBJECT, u64(i));
    CU_ASSERT(records_of(all[0], 1) <= 6);
    pump();
    for (unsigned i = 0; i < MANY; i++) {
        CU_ASSERT_FATAL(rri_event_done(&f[i]->event));
        if (i / 10 % 2) {
            expect_error(f[i], RREF_ERR_USER, 1, "no 5");
        } else {
            CU_ASSERT_EQUAL(*(uint64_t *)f[i]->payload, i + 1);
            rri_future_drop(f[i]);
        }
    }
    close_ranks();
}

/* A run to an object that is occupied waits for it, in order. */
static void run_waits(void)
{
    rri_future *f[10];
    open_ranks(8, 1024, 1 << 20);
    CU_ASSERT(rri_exec_occupy(&ranks[1].actor));
    for (unsigned i = 0; i < 10; i++) f[i] = call(1, NEXT, OBJECT, u64(i));
    for (unsigned i = 0; i < 10; i++) CU_ASSERT_EQUAL(post(1, NOTE, i), RREF_OK);
    pump();
    CU_ASSERT_EQUAL(notes, 0);
    CU_ASSERT(!rri_event_done(&f[0]->event));
    rri_exec_leave(&ranks[1].actor);
    pump();
    for (unsigned i = 0; i < 10; i++) CU_ASSERT_EQUAL(noted[i], i);
    for (unsigned i = 0; i < 10; i++) {
        CU_ASSERT_FATAL(rri_event_done(&f[i]->event) && f[i]->outcome == RREF_OK);
        CU_ASSERT_EQUAL(*(uint64_t *)f[i]->payload, i + 1);
        rri_future_drop(f[i]);
    }
    close_ranks();
}

/* No object, no method: every call of the run is told. */
static void run_for_nobody(void)
{
    rri_future *f[10];
    open_ranks(8, 1024, 1 << 20);
    for (unsigned i = 0; i < 10; i++) f[i] = call(1, NEXT, OBJECT + 1, u64(i));
    pump();
    for (unsigned i = 0; i < 10; i++) expect_error(f[i], RREF_ERR_NO_OBJECT, 1, "no such object");
    close_ranks();
}

typedef struct look {
    rri_reaction reaction;
    rri_future *last;
    unsigned *complete;
} look;

static void look_at_last(rri_reaction *reaction, rri_future *f)
{
    look *l = (look *)(void *)reaction;
    (void)f;
    *l->complete += rri_event_done(&l->last->event);
}

/* In the first callback all that the message answers is complete already: all but the first call, which left alone. */
static void callbacks_of_a_run(void)
{
    rri_future *f[10];
    unsigned complete = 0;
    open_ranks(8, 1024, 1 << 20);
    for (unsigned i = 0; i < 10; i++) f[i] = call(1, NEXT, OBJECT, u64(i));
    for (unsigned i = 0; i < 10; i++) {
        look *l = malloc(sizeof *l);
        CU_ASSERT_PTR_NOT_NULL_FATAL(l);
        *l = (look){ { NULL, look_at_last, true }, f[9], &complete };
        rri_future_react(f[i], &l->reaction);
    }
    pump();
    CU_ASSERT(complete >= (at_once ? 9 : 1));
    for (unsigned i = 0; i < 10; i++) rri_future_drop(f[i]);
    close_ranks();
}

static void with_runs(void)
{
    runs = true;
    for (int i = 0; i < 2; i++, at_once = !at_once) {
        posts_in_runs();
        callbacks_of_a_run();
        calls_in_runs();
        run_waits();
        run_for_nobody();
        answers();
        failures();
        late_answer();
        credits();
        company();
    }
    runs = at_once = false;
}

/* ---- what does not belong there */

typedef struct forged {
    rri_message message;
    rri_record record;
} forged;

static forged forge(rri_record_kind kind)
{
    return (forged){ { .magic = RRI_MAGIC, .version = RRI_WIRE_VERSION, .bytes = sizeof(forged) },
                     { .bytes = sizeof(rri_record), .kind = (uint8_t)kind } };
}

static uint64_t served_by(const fake_rank *r)
{
    uint64_t sum = 0;
    for (int i = 0; i < 2; i++)
        for (unsigned k = 0; k < RRI_TALLIES; k++) sum += atomic_load(&r->calls.served[i].of[k]);
    return sum;
}

static void bad_messages(void)
{
    open_ranks(8, 1024, 1 << 20);
    forged good = forge(RRI_CALL), magic = good, version = good, bytes = good;
    magic.message.magic++;
    version.message.version++;
    bytes.message.bytes += 16;
    fake_put(link_of[1], 0, &good, 8);
    fake_put(link_of[1], 0, &good, 0);
    fake_put(link_of[1], 0, &magic, sizeof magic);
    fake_put(link_of[1], 0, &version, sizeof version);
    fake_put(link_of[1], 0, &bytes, sizeof bytes);
    fake_put(link_of[1], 0, &good, sizeof good - 16);
    for (int i = 0; i < 20; i++) pump();
    CU_ASSERT_EQUAL(rri_flow_refused(all[1]->flow), 6);
    CU_ASSERT_EQUAL(served_by(all[1]), 0);
    close_ranks();
}

static void bad_records(void)
{
    static const uint32_t sizes[] = { 0, 16, 24, 40, 48, 4096 };
    open_ranks(8, 1024, 1 << 20);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        forged f = forge(RRI_CALL);
        f.record.bytes = sizes[i];
        fake_put(link_of[1], 0, &f, sizeof f);
    }
    pump();
    CU_ASSERT_EQUAL(served_by(all[1]), 0);
    CU_ASSERT_EQUAL(rri_flow_refused(all[1]->flow), 6);
    forged kind = forge(RRI_KINDS + 3), answer = forge(RRI_RESULT), grant = forge(RRI_GRANT);
    answer.record.call = UINT64_C(0x2010000000000001);
    grant.record.call = UINT64_C(0x4010000000000001);
    fake_put(link_of[1], 0, &kind, sizeof kind);
    fake_put(link_of[1], 0, &answer, sizeof answer);
    fake_put(link_of[1], 0, &grant, sizeof grant);
    pump();
    CU_ASSERT_EQUAL(atomic_load(&all[1]->calls.refused), 2);
    CU_ASSERT_EQUAL(served_by(all[1]), 3);
    rri_future *f = call(1, NEXT, OBJECT, u64(1));  /* and life goes on */
    pump();
    CU_ASSERT(rri_event_done(&f->event) && f->outcome == RREF_OK);
    rri_future_drop(f);
    close_ranks();
}

typedef struct forged_run {
    forged head;
    uint64_t item[4];
} forged_run;

static forged_run forge_run(uint64_t count, uint64_t payload)
{
    forged_run r = { .head = forge(RRI_RUN), .item = { 1, 2, 3, 4 } };
    r.head.message.bytes = sizeof r;
    r.head.record.bytes = sizeof r - sizeof r.head.message;
    r.head.record.object = OBJECT;
    r.head.record.method = NOTE;
    r.head.record.flags = RRI_FLAG_ONEWAY;
    r.head.record.extra = payload << 32 | count;
    return r;
}

/* Runs with more in them than there is, for objects that may not be there yet, with flags that are not theirs, of other types. */
static void bad_runs(void)
{
    enum { UNREADABLE = 6 };
    for (int i = 0; i < 2; i++, at_once = !at_once) {
        forged_run bad[UNREADABLE] = { forge_run(0, 8), forge_run(5, 8), forge_run(UINT32_MAX, 8), forge_run(2, UINT32_MAX),
                                       forge_run(RRI_RUN_MAX + 1, 0), forge_run(4, 8) };
        forged_run wrong = forge_run(2, 16), array = forge_run(2, 16), fine = forge_run(4, 8), odd = fine;
        open_ranks(8, 1024, 1 << 20);
        bad[UNREADABLE - 1].head.record.object = RRI_NAMED | 1;
        array.head.record.method = REVERSE;
        odd.head.record.flags |= RRI_FLAG_BULK | RRI_FLAG_REMOTE | RRI_FLAG_NESTED | RRI_FLAG_ROOM;
        for (int k = 0; k < UNREADABLE; k++) fake_put(link_of[1], 0, &bad[k], sizeof bad[k]);
        pump();
        CU_ASSERT_EQUAL(atomic_load(&all[1]->calls.refused), UNREADABLE);
        CU_ASSERT_EQUAL(served_by(all[1]), UNREADABLE);
        fake_put(link_of[1], 0, &wrong, sizeof wrong);
        fake_put(link_of[1], 0, &array, sizeof array);
        fake_put(link_of[1], 0, &fine, sizeof fine);
        fake_put(link_of[1], 0, &odd, sizeof odd);
        pump();
        CU_ASSERT_EQUAL(noted[notes - 1], 4);
        CU_ASSERT(ranks[0].unanswered >= 2);
        close_ranks();
    }
    at_once = false;
}

static void bad_results(void)
{
    open_ranks(8, 1024, 1 << 20);
    rri_future *f = call(1, NEXT, OBJECT, u64(1));
    forged_run none = forge_run(5, 8), stranger = forge_run(1, 8), wrong = stranger;
    none.head.record.kind = stranger.head.record.kind = wrong.head.record.kind = RRI_RESULTS;
    none.head.record.flags = stranger.head.record.flags = wrong.head.record.flags = 0;
    wrong.item[0] = rri_future_handle(f);
    wrong.head.record.extra = UINT64_C(16) << 32 | 1;
    fake_put(link_of[0], 1, &none, sizeof none);
    fake_put(link_of[0], 1, &stranger, sizeof stranger);
    rri_progress_poll(all[0]->progress, NULL);
    rri_progress_poll(all[0]->progress, NULL);
    CU_ASSERT_EQUAL(atomic_load(&all[0]->calls.refused), 2);
    fake_put(link_of[0], 1, &wrong, sizeof wrong);
    pump();
    expect_error(f, RREF_ERR_PROTOCOL, 0, "cannot be decoded");
    close_ranks();
}

/* A request without its argument is answered. */
static void short_request(void)
{
    open_ranks(8, 1024, 1 << 20);
    rri_future *f = rri_future_new(&all[0]->calls.futures, &signature[NEXT].out, NULL);
    forged r = forge(RRI_CALL);
    rri_future_keep(f);
    atomic_store(&f->owed, 1 + 1);
    r.record.object = OBJECT;
    r.record.call = rri_future_handle(f);
    fake_put(link_of[1], 0, &r, sizeof r);
    pump();
    expect_error(f, RREF_ERR_PROTOCOL, 1, "");
    close_ranks();
}

/* A receive is posted for a result that no method has. */
static void bad_room(void)
{
    struct { forged head; rri_room_note room; uint64_t number[2]; } r = { forge(RRI_CALL), { 1, 32, 0, 0, LONG }, { 1 } };
    open_ranks(8, 1024, 1 << 20);
    rri_future *f = rri_future_new(&all[0]->calls.futures, &signature[NEXT].out, NULL);
    rri_future_keep(f);
    atomic_store(&f->owed, 1 + 1);
    r.head.message.bytes = sizeof r;
    r.head.record.bytes = sizeof r - sizeof r.head.message;
    r.head.record.object = OBJECT;
    r.head.record.flags = RRI_FLAG_ROOM;
    r.head.record.call = rri_future_handle(f);
    fake_put(link_of[1], 0, &r, sizeof r);
    pump();
    CU_ASSERT_EQUAL(atomic_load(&all[1]->calls.refused), 1);
    expect_error(f, RREF_ERR_PROTOCOL, 1, "wants a result");
    close_ranks();
}

/* What makes a call fail first is told. */
static void failed_twice(void)
{
    open_ranks(8, 1024, 1 << 20);
    rref_call *c = rri_call_new(&all[0]->calls);
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    c->in = &signature[NEXT].in;
    c->out = &signature[NEXT].out;
    rri_call_fail_early(c, RREF_ERR_REENTRANT, "the first");
    rri_call_fail_early(c, RREF_ERR_CANCELLED, "the second");
    CU_ASSERT_EQUAL(c->failed, RREF_ERR_REENTRANT);
    CU_ASSERT_STRING_EQUAL(c->error->text, "the first");
    rri_call_end(c);
    close_ranks();
}

/* ---- buffers and credits */

static const rri_message *head(const rri_buffer *b) { return (const rri_message *)(const void *)b->data; }

/* A credit that is kept back while memory is short goes back once, with the last who has the message. */
RRI_UNCHECKED static void kept_back_once(void)
{
    open_ranks_with(2, 64, 1 << 20, 0);     /* no message but makes it short */
    rri_flow *own = all[1]->flow;
    CU_ASSERT_EQUAL(post(1, NOTE, 1), RREF_OK);
    rri_buffer *b = rri_flow_receive(own);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    rri_buffer_keep(b);
    for (int i = 0; i < 3; i++) CU_ASSERT_FALSE(rri_credit_pays(own, b));
    rri_flow_done(own, b);
    rri_flow_flush(own, true);
    CU_ASSERT_EQUAL(fake_queued(link_of[0]), 0);
    rri_buffer_drop(b);
    rri_timers_fire(&all[1]->timers, rri_after(rri_now(), INT64_C(10000000000)));      /* none is left to be lent */
    rri_flow_flush(own, true);
    CU_ASSERT_EQUAL_FATAL(fake_queued(link_of[0]), 1);
    b = rri_flow_receive(all[0]->flow);
    CU_ASSERT_EQUAL(head(b)->credits, 1);
    rri_flow_done(all[0]->flow, b);
    notes = 0;
    close_ranks();
}

/* The next message from rank 0 to rank 1 is kept there, and holds a credit of this kind. */
RRI_UNCHECKED static rri_buffer *hold_next(rri_taken taken)
{
    rri_flow_flush(all[0]->flow, true);
    rri_buffer *b = rri_flow_receive(all[1]->flow);
    CU_ASSERT_PTR_NOT_NULL_FATAL(b);
    CU_ASSERT_EQUAL(head(b)->counted, taken);
    CU_ASSERT_FALSE(rri_credit_pays(all[1]->flow, b));
    return b;
}

/* The next message that rank 1 has for rank 0 brings so many credits; without any there is no message. */
RRI_UNCHECKED static void expect_credits(unsigned credits, unsigned more)
{
    rri_flow_flush(all[1]->flow, true);
    CU_ASSERT_EQUAL_FATAL(fake_queued(link_of[0]), credits || more);
    if (!credits && !more) return;
    rri_buffer *b = rri_flow_receive(all[0]->flow);
    CU_ASSERT(head(b)->credits == credits && head(b)->lent == more);
    rri_flow_done(all[0]->flow, b);
}

/* The timer of rank 1 runs out, once: it is set anew behind that. */
static void lend(void) { rri_timers_fire(&all[1]->timers, rri_after(rri_now(), INT64_C(100000000))); }

/* On lent credit what queues goes on, but who waits for room does not; it is used once, and no more of it is out than three. */
RRI_UNCHECKED static void lent_beyond(void)
{
    enum { OWN = 2, MOST = 3 };
    rri_buffer *own[OWN], *beyond;
    open_ranks_with(OWN, 64, 1 << 20, 0);
    for (int i = 0; i < OWN; i++) {
        CU_ASSERT_EQUAL(post(1, NOTE, 1), RREF_OK);
        own[i] = hold_next(RRI_OWN_CREDIT);
    }
    CU_ASSERT_EQUAL(post(1, NOTE, 1), RREF_OK);
    rri_flow_flush(all[0]->flow, true);
    CU_ASSERT_EQUAL(fake_queued(link_of[1]), 0);
    CU_ASSERT(rri_lane_full(all[0]->flow, 1));
    lend();
    expect_credits(0, 1);
    CU_ASSERT(rri_lane_full(all[0]->flow, 1));
    beyond = hold_next(RRI_LENT_CREDIT);
    for (int i = 0; i < MOST; i++) {
        lend();
        expect_credits(0, i < MOST - 1);        /* what is here for one counts */
    }
    rri_flow_done(all[1]->flow, beyond);
    expect_credits(0, 0);
    for (int i = 0; i < OWN; i++) {
        rri_flow_done(all[1]->flow, own[i]);
        expect_credits(1, 0);
    }
    CU_ASSERT_FALSE(rri_lane_full(all[0]->flow, 1));
    CU_ASSERT_FALSE(rri_lane_in_flight(all[0]->flow, 1));
    close_ranks();
}

/* While there is memory to spare three are out at most, too, and none where messages are served meanwhile. */
RRI_UNCHECKED static void lent_at_most(void)
{
    enum { OWN = 8, MOST = 3 };
    rri_buffer *own[OWN];
    unsigned credits = OWN;
    open_ranks_with(OWN, 64, 1 << 20, 4 * ROOM);
    for (int i = 0; i < OWN; i++) {
        CU_ASSERT_EQUAL(post(1, NOTE, 1), RREF_OK);
        rri_flow_flush(all[0]->flow, true);
        own[i] = rri_flow_receive(all[1]->flow);
        CU_ASSERT_PTR_NOT_NULL_FATAL(own[i]);
        rri_credit_last(all[1]->flow, own[i]);
        credits -= own[i]->owes;
    }
    CU_ASSERT(credits > 0 && credits < OWN);
    CU_ASSERT(own[OWN - 1]->owes);
    rri_flow_done(all[1]->flow, own[OWN - 1]);
    lend();
    expect_credits(credits + 1, 0);
    for (int i = 0; i <= MOST; i++) {
        lend();
        expect_credits(0, i < MOST);
    }
    for (int i = 0; i < OWN - 1; i++) {
        bool owes = own[i]->owes;
        rri_flow_done(all[1]->flow, own[i]);
        expect_credits(owes, 0);
    }
    CU_ASSERT_FALSE(rri_lane_in_flight(all[0]->flow, 1));
    close_ranks();
}

static void lose(void *up, int peer) { *(int *)up = peer; }
static void lost(void *up, int peer) { (void)up, (void)peer; }
static void await(void *up, bool *who) { (void)up, (void)who; }
static bool awaits(void *up) { return (void)up, false; }

/* Who comes back is told that it is lost, beside its lane, which is shut. */
RRI_UNCHECKED static void told_when_back(void)
{
    static const char hosts[RANKS][RREF_HOST_MAX] = { "a", "b", "c" };
    const rri_peers_config config = { RRI_NEVER, NULL, hosts };
    int gone = -1;
    rri_peers *peers;
    open_ranks(8, 1024, 1 << 20);
    CU_ASSERT_EQUAL_FATAL(rri_peers_open(link_of[1], all[1]->flow, &config, &(rri_peers_up){ lose, lost, await, awaits, &gone },
                                         &peers), RREF_OK);
    CU_ASSERT_EQUAL(rri_peer_declare(peers, 0), RREF_OK);
    rri_peers_look(peers, rri_now());
    CU_ASSERT_EQUAL(gone, 0);
    CU_ASSERT_EQUAL(fake_queued(link_of[0]), 0);
    forged hello = forge(RRI_PING);
    fake_put(link_of[1], 0, &hello, sizeof hello);
    CU_ASSERT_PTR_NULL(rri_flow_receive(all[1]->flow));
    CU_ASSERT_EQUAL_FATAL(fake_queued(link_of[0]), 1);
    rri_buffer *b = rri_flow_receive(all[0]->flow);
    const rri_record *word = (const void *)(b->data + sizeof(rri_message));
    CU_ASSERT(word->kind == RRI_LOSS && word->object == 0 && word->call == 1);
    rri_flow_done(all[0]->flow, b);
    close_ranks();                          /* nothing of it is left */
    rri_peers_close(peers);
}

static bool all_noted(void *arg) { return (void)arg, pump(), notes == MANY; }

static bool none_used(void *arg)
{
    unsigned used = 0;
    (void)arg;
    pump();
    for (int i = 0; i < RANKS; i++) used += rri_flow_used(all[i]->flow) + rri_flow_waiting(all[i]->flow);
    return used == 0;
}

/* Once there is chaos it stays: this case is the last. Messages wait for the driver, which is done with those that left. */
static void delayed(void)
{
    const rri_chaos_plan plan = { 5, 1u << RRI_CHAOS_DELAY };
    rri_chaos_begin(&plan, 0);
    open_ranks(8, 64, 1 << 20);
    for (unsigned i = 0; i < MANY; i++) CU_ASSERT_EQUAL(post(1, NOTE, i), RREF_OK);
    CU_ASSERT(check_until(all_noted, NULL, 20));
    for (unsigned i = 0; i < MANY; i++) CU_ASSERT_EQUAL(noted[i], i);
    CU_ASSERT(check_until(none_used, NULL, 20));
    close_ranks();
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "answers", answers }, { "failures", failures }, { "late answer", late_answer }, { "credits", credits },
        { "company", company }, { "queue limit", queue_limit }, { "bulk", bulk }, { "landing again", landing_again },
        { "granted by the driver", granted_by_the_driver }, { "inline at its object", inline_at_its_object },
        { "withdrawn", withdrawn },
        { "bad messages", bad_messages }, { "bad records", bad_records },
        { "short request", short_request }, { "with runs", with_runs }, { "bad runs", bad_runs }, { "bad results", bad_results },
        { "bad room", bad_room }, { "failed twice", failed_twice },
        { "kept back once", kept_back_once }, { "lent beyond", lent_beyond }, { "lent at most", lent_at_most },
        { "told when back", told_when_back }, { "delayed", delayed }, CHECK_END
    };
    rri_log_open("error:/dev/null", 0);     /* what is refused is said there */
    int status = check_main(argc, argv, "machine", cases);
    rri_log_close();
    return status;
}
