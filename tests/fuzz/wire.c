/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two whole ranks of one process. The input is pieces of {how, length (2), bytes}, each a message that rank 1 gets from
 * rank 0: as it is, behind a good message header, or behind a good header and with the record's length put right. Rank 1
 * is waiting for three answers meanwhile; then it writes off what rank 0 has not said to hold. Whatever comes, it goes on: the
 * answers end, and new ones are served both ways.
 */
#include "fuzz.h"

#include "error.h"
#include "estate.h"
#include "exec.h"
#include "fake_rank.h"
#include "fence.h"
#include "log.h"
#include "reference.h"
#include "resolve.h"
#include "service.h"

enum { RANKS = 2, ROOM = 4096, EAGER = 256, OUTPUTS = 64, LONG = 100, HOW_RAW = 0, HOW_RECORDS, HOW_RECORD, HOW_POLL = 0x80 };
enum { NEXT, ALL, MANY };

typedef struct rank {
    fake_rank fake;
    rri_classes classes;
    rri_objects objects;
    rri_references references;
    rri_resolver resolver;
    rri_service service;
    rri_fence fence;
    rri_estate estate;
    _Atomic uint64_t roots[RANKS];
} rank;

static rri_link *link_of[RANKS];
static rank ranks[RANKS];
static fake_rank *const fakes[RANKS] = { &ranks[0].fake, &ranks[1].fake };
static uint64_t root_class[RANKS];

/* ---- the class of all objects: what it is given is read to the last byte */

static unsigned long sum;

static void touch(const void *data, size_t bytes)
{
    for (size_t k = 0; k < bytes; k++) sum += ((const unsigned char *)data)[k];
}

static int create(rref_call *c, void **self)
{
    size_t n;
    touch(rref_arg_str(c, 0), strlen(rref_arg_str(c, 0)));
    const uint64_t *x = rref_arg_u64s(c, 1, &n);
    touch(x, n * sizeof *x);
    *self = &sum;
    return n == 3 ? rref_fail(c, RREF_ERR_USER, "three is too many") : RREF_OK;
}

static int next(rref_call *c, void *self)
{
    (void)self;
    return rref_return_u64(c, rref_arg_u64(c, 0) + 1);
}

static int all_kinds(rref_call *c, void *self)
{
    double parts[2];
    size_t n, m;
    (void)self;
    sum += rref_arg_bool(c, 0) + (unsigned)rref_arg_i8(c, 1);
    rref_arg_complex(c, 2, parts);
    const char *text = rref_arg_str(c, 3);
    touch(text, strlen(text));
    const void *bytes = rref_arg_bytes(c, 4, &n), *p = rref_arg_structs(c, 5, "p", 24, &m);
    rref r = rref_arg_ref(c, 6);
    touch(bytes, n);
    touch(p, m * 24);
    return r.bits ? rref_return(c, text, r) : RREF_ERR_USER;
}

static int many(rref_call *c, void *self)
{
    size_t n, m, k;
    (void)self;
    const uint64_t *x = rref_arg_u64s(c, 0, &n);
    const rref *r = rref_arg_refs(c, 1, &m);
    const void *p = rref_arg_structs(c, 2, "p", 24, &k);
    touch(x, n * sizeof *x);
    touch(r, m * sizeof *r);
    touch(p, k * 24);
    return rref_return(c, rref_array(x, n), m ? r[0] : rref_arg_ref(c, 3), "done");
}

static const rref_method methods[] = {
    RREF_METHOD("next", "u64 -> u64", next, 0),
    RREF_METHOD("all", "bool, i8, c128, str, bytes, struct p[24], ref -> str, ref", all_kinds, 0),
    RREF_METHOD("many", "u64[], ref[], struct p[24][], ref -> u64[], ref, str", many, RREF_WORKER),
    RREF_METHODS_END
};
static const rref_class thing = RREF_CLASS("thing", "str, u64[]", create, NULL, methods);

/* ---- the higher floor */

static int find(void *up, const rri_record *record, rri_buffer *buffer, rref_call *call)
{
    return rri_object_find(&((rank *)up)->objects, record, buffer, call);
}

static int look(void *up, const rri_record *record, rref_call *call)
{
    return rri_object_look(&((rank *)up)->objects, record, call);
}

static bool instant(void *up, const rri_record *record, rref_call *call)
{
    return rri_object_instant(&((rank *)up)->objects, record, call);
}

static void weight(void *up, const rri_record *record, rri_buffer *buffer)
{
    rri_reference_weight(&((rank *)up)->references, record, buffer);
}

static void announced(void *up, const rri_record *record, rri_buffer *buffer)
{
    rri_object_announced(&((rank *)up)->objects, record, buffer);
}

static void control(void *up, int peer, const rri_record *record)
{
    if (record->kind <= RRI_LEAVE) rri_fence_control(&((rank *)up)->fence, peer, record);
    else if (record->kind == RRI_HELD) rri_estate_record(&((rank *)up)->estate, record);
}

static void created(void *up, rri_future *future, uint64_t handle)
{
    rri_reference_created(&((rank *)up)->references, future, handle);
}

static void stuck(void *up, uint64_t handle)
{
    (void)up;
    (void)handle;
}

static void unanswered(void *up, const rref_error *error)
{
    (void)up;
    MUST(error->code < 0);
}

static void open_rank(int i)
{
    rank *r = &ranks[i];
    const rri_flow_config flow = { 1024, ROOM, 8, 1 << 16, 1 << 20, true, NULL, true, 32 };
    const rri_calls_up up = { find, look, instant, weight, announced, control, created, unanswered, rri_reference_drop, stuck,
                              r };
    rri_calls *calls = &r->fake.calls;
    const rri_class *klass;
    memset(r, 0, sizeof *r);
    MUST(fake_rank_open(&r->fake, link_of[i], &flow, EAGER, &up) == RREF_OK);
    MUST(rri_class_add(&r->classes, &thing, &klass) == RREF_OK);
    MUST(rri_objects_open(&r->objects, calls, &r->classes, (unsigned)i + 1, RANKS, 60, 1 << 20) == RREF_OK);
    r->objects.root = rri_object_wrap(&r->objects, klass, &sum);
    MUST(r->objects.root);
    r->objects.root->shared = true;
    root_class[i] = klass->id;
    r->references = (rri_references){ .calls = calls, .objects = &r->objects, .classes = &r->classes,
                                      .root_class = root_class, .roots = r->roots, .resolver = &r->resolver };
    r->resolver = (rri_resolver){ .calls = calls, .classes = &r->classes, .describe = &r->objects.describe };
    MUST(rri_service_open(&r->service, &r->references, &r->fence, (unsigned)i + 1) == RREF_OK);
    rri_references_open(&r->references, (unsigned)i + 1);
    calls->futures.trade = rri_reference_trade(&r->references);
    MUST(rri_peers_open(link_of[i], r->fake.flow, &(rri_peers_config){ .timeout = RRI_NEVER }, &(rri_peers_up){ 0 },
                        &calls->peers) == RREF_OK);
    MUST(rri_fence_open(&r->fence, calls, &r->fake.timers, RRI_NEVER) == RREF_OK);
    r->estate.references = &r->references;
}

static void open_ranks(void)
{
    fake_open(link_of, RANKS);
    for (int i = 0; i < RANKS; i++) open_rank(i);
}

/* Calls that wait for something that these bytes have promised and never sent. There is no other thread. */
RRI_UNCHECKED
static void drop_queue(void *item, void *arg)
{
    rri_actor *a = &((rri_object *)item)->actor;
    (void)arg;
    rref_call *all = a->last ? a->last->next : NULL;
    if (all) a->last->next = NULL;
    a->last = NULL;
    for (rref_call *c; (c = all);) {
        all = c->next;
        rri_exec_free(c);
    }
}

static void close_ranks(void)
{
    for (int i = 0; i < RANKS; i++) atomic_store(&ranks[i].references.closing, true);
    for (int i = 0; i < RANKS; i++) rri_objects_destroy_all(&ranks[i].objects);
    fake_pump(fakes, RANKS);
    fake_close(link_of, RANKS);
    for (int i = 0; i < RANKS; i++) {
        rri_table_each(&ranks[i].objects.table, drop_queue, NULL);
        rri_references_close(&ranks[i].references);
        rri_resolver_close(&ranks[i].resolver);
        rri_peers_close(ranks[i].fake.calls.peers);
        rri_fence_close(&ranks[i].fence);
        rri_estate_close(&ranks[i].estate);
        rri_objects_close(&ranks[i].objects);
        fake_rank_close(&ranks[i].fake);
        rri_service_close(&ranks[i].service);
        rri_classes_free(&ranks[i].classes);
    }
}

/* ---- calls, to the other rank's root object */

static rri_future *call(int from, uint16_t method, const rref_value *values, size_t count)
{
    rri_calls *c = &fakes[from]->calls;
    const rri_method *m = &ranks[from].objects.root->klass->method[method];
    rri_target to = { 1 - from, RRI_ROOT, method, &m->signature.in, &m->signature.out, "thing", m->name, false,
                      m->flags & RREF_INLINE };
    rri_future *f = rri_future_new(&c->futures, to.out, "here:1");
    MUST(f);
    f->quiet = true;
    MUST(rri_call_send(c, &to, values, count, RRI_ASYNC, "here:1", f, RRI_NEVER) == RREF_OK);
    return f;
}

static rri_future *call_next(int from)
{
    const rref_value x = rref_of_u64(41);
    return call(from, NEXT, &x, 1);
}

/* The root reference of the other rank, as it comes off the wire. */
static rref root_of_other(int from)
{
    const int32_t owner = 1 - from;
    const struct { uint64_t id; int32_t owner, creator; uint64_t number, address, weight, reserved; } wire =
        { root_class[owner], owner, owner, 0, RRI_ROOT, 0, 0 };
    const rri_ref_taker *all = &fakes[from]->calls.futures.trade.all;
    rref r;
    MUST(all->take(all->up, &wire, NULL, &r) == RREF_OK);
    return r;
}

/* Its results go to outputs. */
static rri_future *call_all(int from, char text[OUTPUTS], size_t *length, rref *reference)
{
    static const char bytes[24] = "bytes, also as a struct";
    rref_value plain = rref_array_of_(RREF_VALUE_ARRAY, RREF_STRUCT, 24, bytes, 1);
    plain.extra = (uint64_t)(uintptr_t)"p";
    const rref_value values[] = { rref_of_bool(true), rref_of_i64(-1), rref_c128(1, 2), rref_of_str("text"),
                                  rref_bytes(bytes, 10), plain, rref_of_ref(root_of_other(from)),
                                  rref_out_array_of_(RREF_STR, 1, text, OUTPUTS, length),
                                  rref_out_of_(RREF_REF, sizeof *reference, reference) };
    return call(from, ALL, values, sizeof values / sizeof *values);
}

/* Its array travels beside the messages, both ways. */
static rri_future *call_many(int from)
{
    static const uint64_t x[LONG] = { 1, 2, 3 };
    const rref r = root_of_other(from);
    rref_value none = rref_array_of_(RREF_VALUE_ARRAY, RREF_STRUCT, 24, NULL, 0);
    none.extra = (uint64_t)(uintptr_t)"p";
    const rref_value values[] = { rref_array_of_(RREF_VALUE_ARRAY, RREF_U64, 8, x, LONG),
                                  rref_array_of_(RREF_VALUE_ARRAY, RREF_REF, sizeof r, &r, 1), none, rref_of_ref(r) };
    return call(from, MANY, values, sizeof values / sizeof *values);
}

/* Until all is quiet; data that cannot meet is not waited for. */
static void settle(void)
{
    fake_pump(fakes, RANKS);
    while (rri_link_busy(link_of[0]) || rri_link_busy(link_of[1])) {
        fake_give_up(link_of, RANKS);
        fake_pump(fakes, RANKS);
    }
}

static void serves(int from)
{
    rri_future *f = call_next(from);
    settle();
    MUST(rri_event_done(&f->event) && f->outcome == RREF_OK && *(uint64_t *)f->payload == 42);
    rri_future_drop(f);
}

/* As after a loss, in the fence of that number. */
static void settle_estate(rri_estate *estate)
{
    enum { SERIAL = 1 };
    rri_estate_take(estate, SERIAL);
    settle();
    rri_estate_settle(estate, true);
    settle();
}

/* ---- the input */

static size_t frame(unsigned char *message, uint8_t how, const uint8_t *data, size_t bytes)
{
    rri_message head = { .magic = RRI_MAGIC, .version = RRI_WIRE_VERSION, .counted = how >> 5 & 3, .lent = how >> 3 & 3 };
    size_t room = bytes < ROOM - sizeof head - 16 ? bytes : ROOM - sizeof head - 16, padded = rri_round16(room);
    memset(message, 0, ROOM);
    memcpy(message + sizeof head, data, room);
    head.bytes = (uint32_t)(sizeof head + padded);
    memcpy(message, &head, sizeof head);
    uint32_t length = (uint32_t)padded;
    if ((how & 3) == HOW_RECORD && padded >= sizeof(rri_record)) memcpy(message + sizeof head, &length, sizeof length);
    return head.bytes;
}

static void deliver(uint8_t how, const uint8_t *data, size_t bytes)
{
    static unsigned char message[ROOM];
    if ((how & 3) == HOW_RAW) fake_put(link_of[1], 0, data, bytes < ROOM ? bytes : ROOM);
    else fake_put(link_of[1], 0, message, frame(message, how, data, bytes));
    if (how & HOW_POLL) rri_progress_poll(fakes[1]->progress, NULL);
}

static void deliver_all(fuzz_input in)
{
    uint8_t how, low, high;
    while (fuzz_take(&in, &how, 1) && fuzz_take(&in, &low, 1) && fuzz_take(&in, &high, 1)) {
        size_t bytes = low | (size_t)high << 8;
        if (bytes > in.left) bytes = in.left;
        uint8_t *data = fuzz_exact(in.at, bytes);
        deliver(how, data, bytes);
        in.at += bytes;
        in.left -= bytes;
        free(data);
    }
    fake_pump(&fakes[1], 1);                    /* rank 0 has not answered yet */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool quiet;
    char text[OUTPUTS];
    size_t length;
    rref reference = { 0 };
    if (!quiet) quiet = rri_log_open("error:/dev/null", 0) == RREF_OK;
    open_ranks();
    rri_future *waited[] = { call_next(1), call_all(1, text, &length, &reference), call_many(1) };
    deliver_all((fuzz_input){ data, size });
    settle();
    for (size_t i = 0; i < sizeof waited / sizeof *waited; i++) {
        MUST(rri_event_done(&waited[i]->event));
        rri_future_drop(waited[i]);
    }
    settle_estate(&ranks[1].estate);
    serves(0);
    serves(1);
    close_ranks();
    return 0;
}
