/* SPDX-License-Identifier: BSD-3-Clause */
#include "counted.h"
#include "error.h"
#include "resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 4096, EAGER = 1024, CREDITS = 1000 };
enum { KEEP, USE };

typedef struct whole {
    fake_rank fake;
    rri_timers never;                       /* of the weight: no timer of these is ever looked at */
    rri_classes classes;
    rri_objects objects;
    rri_references references;
    rri_resolver resolver;
    _Atomic uint64_t roots[COUNTED_RANKS];
} whole;

counted_tally counted;
static rri_link *link_of[COUNTED_RANKS];
static whole ranks[COUNTED_RANKS];
static fake_rank *const fakes[COUNTED_RANKS] = { &ranks[0].fake, &ranks[1].fake, &ranks[2].fake };
static uint64_t root_class[COUNTED_RANKS];
static const rri_class *thing;
static bool keeping;
static rref last_kept;

static void must(bool good, const char *what)
{
    if (good) return;
    fprintf(stderr, "counted: %s: %s\n", what, rri_error_last()->text);
    abort();
}

/* ---- the class of root objects and of the object: its self is what is counted of it */

static int create(rref_call *c, void **self)
{
    (void)c;
    counted.made++;
    *self = &counted;
    return RREF_OK;
}

static void destroy(void *self) { ((counted_tally *)self)->destroyed++; }

static int keep(rref_call *c, void *self)
{
    (void)self;
    counted.arrived++;
    if (!keeping) return RREF_OK;
    last_kept = rref_arg_ref(c, 0);
    return rref_retain(last_kept);
}

static int use(rref_call *c, void *self)
{
    (void)c;
    ((counted_tally *)self)->used++;
    return RREF_OK;
}

static const rref_method methods[] = {
    RREF_METHOD("keep", "ref", keep, 0), RREF_METHOD("use", "", use, 0), RREF_METHODS_END
};
static const rref_class thing_class = RREF_CLASS("thing", "", create, destroy, methods);

/* ---- the higher floor */

static int find(void *up, const rri_record *record, rri_buffer *buffer, rref_call *call)
{
    return rri_object_find(&((whole *)up)->objects, record, buffer, call);
}

static int look(void *up, const rri_record *record, rref_call *call)
{
    return rri_object_look(&((whole *)up)->objects, record, call);
}

static void weight(void *up, const rri_record *record, rri_buffer *buffer)
{
    rri_reference_weight(&((whole *)up)->references, record, buffer);
}

static void control(void *up, int peer, const rri_record *record) { (void)up, (void)peer, (void)record; }

static void created(void *up, rri_future *future, uint64_t handle)
{
    rri_reference_created(&((whole *)up)->references, future, handle);
}

static bool instant(void *up, const rri_record *record, rref_call *call)
{
    return rri_object_instant(&((whole *)up)->objects, record, call);
}

static void unanswered(void *up, const rref_error *error)
{
    (void)up;
    counted.failed++;
    fprintf(stderr, "counted: a request failed: %s\n", error->text);
}

/* ---- ranks */

/* Weight leaves when the test says so: its timers are nobody's. */
static void take_over_weight(whole *r)
{
    rri_calls *calls = &r->fake.calls;
    rri_timers_init(&r->never);
    rri_weights_close(calls->weights);
    must(!rri_weights_open(calls->link, r->fake.flow, r->fake.progress, &r->never, 0, &calls->weights), "weights");
}

static void open_objects(whole *r, int i, int64_t log)
{
    rri_calls *calls = &r->fake.calls;
    must(!rri_class_add(&r->classes, &thing_class, &thing), "class");
    must(!rri_objects_open(&r->objects, calls, &r->classes, (unsigned)i + 1, COUNTED_RANKS, log, 1 << 20), "objects");
    r->objects.root = rri_object_wrap(&r->objects, thing, &counted);
    must(r->objects.root, "root");
    r->objects.root->shared = true;
    root_class[i] = thing->id;
    r->references = (rri_references){ .calls = calls, .objects = &r->objects, .classes = &r->classes,
                                      .root_class = root_class, .roots = r->roots, .resolver = &r->resolver };
    r->resolver = (rri_resolver){ .calls = calls, .classes = &r->classes, .describe = &r->objects.describe };
    rri_references_open(&r->references, (unsigned)i + 1);
    calls->futures.trade = rri_reference_trade(&r->references);
}

static void open_rank(int i, int64_t log)
{
    whole *r = &ranks[i];
    const rri_flow_config flow = { 1024, ROOM, CREDITS, 1 << 20, 1 << 20, true, NULL, true, 32 };
    const rri_calls_up up = { .find = find, .look = look, .instant = instant, .weight = weight, .control = control,
                              .created = created, .unanswered = unanswered, .drop_ref = rri_reference_drop, .up = r };
    memset(r, 0, sizeof *r);
    must(!fake_rank_open(&r->fake, link_of[i], &flow, EAGER, &up), "rank");
    fake_keep(link_of[i]);
    take_over_weight(r);
    open_objects(r, i, log);
}

void counted_open(int64_t log)
{
    counted = (counted_tally){ 0 };
    fake_open(link_of, COUNTED_RANKS);
    for (int i = 0; i < COUNTED_RANKS; i++) open_rank(i, log);
}

static void pump(void) { fake_pump(fakes, COUNTED_RANKS); }

static bool close_rank(whole *r)
{
    bool clean = !rri_calls_running(&r->fake.calls) && !atomic_load(&r->fake.calls.refused);
    rri_references_close(&r->references);
    rri_resolver_close(&r->resolver);
    rri_objects_close(&r->objects);
    fake_rank_close(&r->fake);
    rri_timers_free(&r->never);
    rri_classes_free(&r->classes);
    return clean;
}

bool counted_close(void)
{
    bool clean = !counted.failed;
    for (int i = 0; i < COUNTED_RANKS; i++) atomic_store(&ranks[i].references.closing, true);
    fake_close(link_of, COUNTED_RANKS);
    for (int i = 0; i < COUNTED_RANKS; i++) clean = close_rank(&ranks[i]) && clean;
    return clean;
}

/* ---- steps */

/* What was sent is one message by now, and has taken along what waited. */
static void sent(int rank)
{
    rri_flow_flush(fakes[rank]->flow, true);
    pump();
}

rref counted_create(int creator)
{
    uint64_t number = 0;
    static const rri_types none;
    rri_calls *calls = &fakes[creator]->calls;
    const rri_target target = { COUNTED_OWNER, 0, 0, &thing->create.in, &none, thing->name, "constructor", false, false };
    rri_future *creation;
    rri_reference *r = rri_reference_begin(&ranks[creator].references, COUNTED_OWNER, thing, "here:1", &creation);
    must(r, "a reference");
    int rc = rri_call_create(calls, &target, thing->id, thing->name, strlen(thing->name), NULL, 0, creation, &number);
    must(!rc, "a creation");
    rref made = rri_reference_begun(r, rc, number);
    rri_future_drop(creation);
    sent(creator);
    return made;
}

static void post(int from, int to, uint64_t address, uint16_t method, const rref_value *value, size_t count)
{
    const rri_method *m = &thing->method[method];
    const rri_target target = { to, address, method, &m->signature.in, &m->signature.out, thing->name, m->name, false, false };
    int rc = rri_call_send(&fakes[from]->calls, &target, value, count, RRI_ONEWAY, "here:2", NULL, RRI_NEVER);
    must(!rc, "a call");
    sent(from);
}

void counted_share(int rank, rref reference, int to)
{
    const rref_value value = rref_of_ref(reference);
    post(rank, to, RRI_ROOT, KEEP, &value, 1);
}

void counted_use(int rank, rref reference)
{
    post(rank, COUNTED_OWNER, rri_reference_address(rri_reference_of(reference)), USE, NULL, 0);
}

void counted_drop(rref reference) { must(!rref_release(reference), "a release"); }

void counted_board(int from, int to)
{
    must(rri_lane_depart(fakes[from]->flow, to), "to leave");
    pump();
}

bool counted_deliver(int from, int to, bool keep_it, rref *kept)
{
    keeping = keep_it;
    last_kept = (rref){ 0 };
    if (!fake_deliver(link_of[to], from)) return false;
    pump();
    *kept = last_kept;
    return true;
}

void counted_finish(void)
{
    for (int i = 0; i < COUNTED_RANKS; i++) atomic_store(&ranks[i].references.closing, true);
    rri_objects_destroy_all(&ranks[COUNTED_OWNER].objects);
    pump();
}

/* ---- looking */

const rri_reference *counted_look(int rank, rref reference)
{
    return rri_table_find(&ranks[rank].references.table, reference.bits);
}

unsigned counted_references(int rank) { return atomic_load(&ranks[rank].references.table.live); }

static void add_weight(const rri_object *o, void *sum) { *(uint64_t *)sum += atomic_load(&o->weight); }

uint64_t counted_out(void)
{
    uint64_t sum = 0;
    rri_objects_each(&ranks[COUNTED_OWNER].objects, add_weight, &sum);
    return sum;
}
