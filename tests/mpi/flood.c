/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * More calls than can be served. Threads of the application wait for credit, methods are refused when too much is queued, the
 * flooded rank keeps what its bounds say (RREF_PARK_LIMIT, and RREF_CREDITS messages of each rank beyond it), serves others
 * meanwhile, and when all is over each call has run once.
 */
#include <mpi.h>
#include <pthread.h>
#include <rref.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "check.h"

#define OK CHECK_OK
#define GIVES CHECK_GIVES

enum { ROOM = 4000, FLOOD = 96 << 20, SLACK = 24 << 20, PARK = 1 << 20, CREDITS = 16, MESSAGE = 4096 + 8192, CALLS = 100,
       SEEDS = 2000, HOPS = 3, QUEUE = 64 << 10, MUCH = 32 << 20, NUMBERS = 250000, FULL = 500, CALL = 1280 };

static rref_context *ctx;
static int rank, ranks;
static rref sink, next_sink;            /* on rank 0; on the next rank */
static rref_future gate;                /* of this rank, for which its sink waits */
static atomic_int taken, hopped, refused, posted, answered;
static rref given;                      /* to rank 2, by rank 1 */

/* ---- what is called */

static int create(rref_call *c, void **self) { return (void)c, *self = &gate, RREF_OK; }

static int take(rref_call *c, void *self)
{
    (void)c, (void)self;
    int rc = rref_wait(gate, RREF_FOREVER);
    atomic_fetch_add(&taken, 1);
    return rc;
}

static int count(rref_call *c, void *self) { return (void)rref_arg_u64(c, 0), take(c, self); }

/* Waits for the next rank to call back to this one. */
static int ask(rref_call *c, void *self)
{
    rref_context *own = rref_call_context(c);
    (void)self;
    atomic_fetch_add(&hopped, 1);
    if (rref_wait(gate, RREF_FOREVER)) return RREF_ERR_USER;
    return rref_sync(rref_root(own, (rref_rank(own) + 1) % rref_size(own)), "ask_back");
}

static int ask_back(rref_call *c, void *self)
{
    (void)self;
    int64_t sum = 0;
    rref_context *own = rref_call_context(c);
    int rc = rref_sync(rref_root(own, rref_call_rank(c)), "add", 40, 2, rref_out(&sum));
    return rc ? rc : sum == 42 ? RREF_OK : RREF_ERR_USER;
}

static int add(rref_call *c, void *self)
{
    (void)self;
    return rref_return_i64(c, rref_arg_i64(c, 0) + rref_arg_i64(c, 1));
}

static int hop(rref_call *c, void *self)
{
    int64_t left = rref_arg_i64(c, 0);
    rref_context *own = rref_call_context(c);
    (void)self;
    atomic_fetch_add(&hopped, 1);
    if (left == 0) return RREF_OK;
    return rref_post(rref_root(own, (rref_rank(own) + (int)left) % rref_size(own)), "hop", left - 1);
}

/* Calls the sink until that is refused; nobody waits in a method for credit. */
static int pour(rref_call *c, void *self)
{
    static const char bytes[ROOM];
    int64_t n = 0;
    rref_error e;
    int rc;
    (void)self;
    while (!(rc = rref_post(rref_arg_ref(c, 0), "take", rref_array(bytes, ROOM)))) n++;
    rref_last_error(NULL, &e);
    char who[32];
    snprintf(who, sizeof who, "to rank %d", rref_owner(rref_arg_ref(c, 0)));
    return rc == RREF_ERR_WOULD_BLOCK && strstr(e.text, who) ? rref_return_i64(c, n) : rref_fail(c, RREF_ERR_USER, "gave %d", rc);
}

static int have(rref_call *c, void *self)
{
    (void)self;
    given = rref_arg_ref(c, 0);
    return rref_retain(given);
}

static int open_gate(rref_call *c, void *self) { return (void)c, (void)self, rref_set(gate); }
static int has_asked(rref_call *c, void *self) { return (void)self, rref_return_i64(c, atomic_load(&answered)); }

static const rref_method functions[] = {
    RREF_METHOD("open_gate", "", open_gate, 0), RREF_METHOD("has_asked", "-> i64", has_asked, 0),
    RREF_METHOD("have", "ref", have, 0),
    RREF_METHOD("add", "i64, i64 -> i64", add, 0), RREF_METHOD("hop", "i64", hop, 0), RREF_METHOD("pour", "ref -> i64", pour, 0),
    RREF_METHOD("ask_back", "", ask_back, 0), RREF_METHODS_END
};
static const rref_method methods[] = {
    RREF_METHOD("take", "bytes", take, 0), RREF_METHOD("count", "u64", count, 0), RREF_METHOD("ask", "", ask, 0), RREF_METHODS_END
};
static const rref_class sink_class = RREF_CLASS("sink", "", create, NULL, methods);
static const rref_class *const classes[] = { &sink_class, NULL };

/* ---- around each case */

static int park_limit = PARK, queue_limit = QUEUE;

static void note(const rref_error *error, void *arg)
{
    (void)arg;
    if (error->code == RREF_ERR_NO_MEMORY && error->rank == 0) atomic_fetch_add(&refused, 1);
}

static bool begin(void)
{
    atomic_store(&taken, 0);
    atomic_store(&hopped, 0);
    atomic_store(&refused, 0);
    atomic_store(&posted, 0);
    atomic_store(&answered, 0);
    check_set("RREF_PARK_LIMIT", park_limit);
    check_set("RREF_QUEUE_LIMIT", queue_limit);
    check_set("RREF_CREDITS", CREDITS);
    OK(rref_init(MPI_COMM_WORLD, &(rref_options){ .classes = classes, .functions = functions, .on_error = note }, &ctx));
    unsetenv("RREF_PARK_LIMIT");
    unsetenv("RREF_QUEUE_LIMIT");
    unsetenv("RREF_CREDITS");
    if (!ctx) return false;
    rank = rref_rank(ctx);
    ranks = rref_size(ctx);
    gate = rref_promise(ctx, "");
    if (rank == 0) {
        sink = rref_create(ctx, 0, "sink");
        OK(rref_publish(sink, "sink"));
    } else {
        OK(rref_lookup(ctx, "sink", RREF_FOREVER, &sink));
    }
    next_sink = rref_create(ctx, (rank + 1) % ranks, "sink");
    OK(rref_fence(ctx, RREF_FOREVER));
    return true;
}

static void end(void)
{
    rref_set(gate);
    OK(rref_fence(ctx, RREF_FOREVER));
    OK(rref_release(sink));
    OK(rref_release(next_sink));
    if (rank == 0) OK(rref_withdraw(ctx, "sink"));
    OK(rref_future_release(gate));
    OK(rref_finalize(&ctx));
}

/* Bytes of memory that this process has. */
static size_t resident(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*u %zu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * 4096;
}

/* ---- all flood one */

static int flood_calls;

static int post_bytes(uint64_t n)
{
    static const char bytes[ROOM];
    (void)n;
    return rref_post(sink, "take", rref_array(bytes, ROOM));
}

static int post_number(uint64_t n) { return rref_post(sink, "count", n); }

/* What each thread of a flood makes. */
typedef int (*post)(uint64_t n);

static void *flood(void *posts)
{
    for (int i = 0; i < flood_calls; i++)
        if ((*(const post *)posts)((uint64_t)i)) atomic_fetch_add(&refused, 1);
        else atomic_fetch_add(&posted, 1);
    return NULL;
}

/* The rank that is flooded goes on calling and being called; what it has is looked at all the while. */
static void live_on(size_t bound)
{
    size_t before = resident(), most = before;
    for (int i = 0; i < CALLS; i++) {
        int64_t sum = 0;
        OK(rref_sync(rref_root(ctx, rank == 0 ? (i + 1) % ranks : 0), "add", i, 2, rref_out(&sum)));
        CU_ASSERT_EQUAL(sum, i + 2);
        size_t now = resident();
        if (now > most) most = now;
    }
    if (check_patience(1) == 1 && rank == 0) CU_ASSERT_TRUE(most < before + bound);
}

/* calls: of all; message: what one takes at its owner, with the calls that it has. */
static void flood_rank_0(post posts, int calls, size_t message)
{
    pthread_t thread;
    if (!begin()) return;
    bool victim = rank == 0, floods = !victim && (rank < ranks - 1 || ranks == 2);
    int flooders = ranks < 3 ? ranks - 1 : ranks - 2, all = 0;
    flood_calls = flooders ? calls / flooders : 0;
    size_t bound = 2 * (size_t)park_limit + (size_t)flooders * CREDITS * message + SLACK;      /* as much again is lent */
    if (floods) CU_ASSERT_EQUAL(pthread_create(&thread, NULL, flood, &posts), 0);
    if (!floods) live_on(bound);
    MPI_Barrier(MPI_COMM_WORLD);
    if (floods) CU_ASSERT_TRUE(atomic_load(&posted) < flood_calls);    /* they wait: nothing was taken yet */
    if (victim) live_on(bound);
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_set(gate));
    if (floods) pthread_join(thread, NULL);
    if (floods) CU_ASSERT_EQUAL(atomic_load(&refused), 0);
    OK(rref_fence(ctx, RREF_FOREVER));
    int mine = floods ? flood_calls : 0;
    MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (victim) CU_ASSERT_EQUAL(atomic_load(&taken), all);
    end();
}

static void flood_one(void) { flood_rank_0(post_bytes, FLOOD / ROOM, MESSAGE); }

/* Hundreds of calls come in a message, and each waits as a call of its own. */
static void flood_of_numbers(void)
{
    park_limit = MUCH;
    flood_rank_0(post_number, NUMBERS, MESSAGE + FULL * CALL);
    park_limit = PARK;
}

/* ---- all flood all, and what is called calls on */

static void flood_all(void)
{
    queue_limit = FLOOD;
    bool begun = begin();
    queue_limit = QUEUE;
    if (!begun) return;
    for (int i = 0; i < SEEDS; i++)
        for (int to = 0; to < ranks; to++) OK(rref_post(rref_root(ctx, to), "hop", HOPS));
    OK(rref_fence(ctx, RREF_FOREVER));
    int sum = atomic_load(&hopped);
    MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    CU_ASSERT_EQUAL(sum, SEEDS * ranks * ranks * (HOPS + 1));
    end();
}

/* ---- methods are refused, not blocked, at the limit; the other side keeps what was sent */

static void pour_out(void)
{
    int64_t n = -1;
    int kept = 0, sum = 0;
    if (!begin()) return;
    OK(rref_sync(rref_root(ctx, rank), "pour", next_sink, rref_out(&n)));
    kept = (int)n;
    int most = (QUEUE + PARK) / ROOM + CREDITS * 4 + 16 + (int)(2 * PARK / MESSAGE);
    CU_ASSERT_TRUE(kept > 0);
    if (!check_chaos("with a small RREF_EAGER the data is not in the messages that count")) CU_ASSERT_TRUE(kept <= most);
    OK(rref_set(gate));
    OK(rref_fence(ctx, RREF_FOREVER));
    int got = atomic_load(&taken);
    MPI_Allreduce(&got, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Allreduce(MPI_IN_PLACE, &kept, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    CU_ASSERT_EQUAL(sum, kept);
    end();
}

/* ---- a method whose way back leads through the flood that waits for it */

static bool has_begun(void *arg) { return (void)arg, atomic_load(&hopped) == 1; }

typedef struct stand { double seconds, since; int posted; } stand;

static bool stands_still(void *arg)
{
    stand *s = arg;
    int now = atomic_load(&posted);
    if (now != s->posted) s->since = check_clock();
    s->posted = now;
    return check_clock() > s->since + s->seconds;
}

static bool flood_stands(double seconds) { return check_until(stands_still, &(stand){ .seconds = seconds, .posted = -1 }, 20); }

/* Of a rank that has nothing to do with it, all the while. */
static void keep_asking(void)
{
    int64_t over = 0;
    int rc = RREF_OK;
    while (!over && !rc) rc = rref_sync(rref_root(ctx, 0), "has_asked", rref_out(&over));
    OK(rc);
}

static void way_back_with(int limit, double still)
{
    pthread_t thread;
    rref_future asked = { 0 };
    park_limit = limit;
    bool begun = begin();
    park_limit = PARK;
    if (!begun) return;
    bool floods = rank == 1;
    if (rank == 0) asked = rref_async(sink, "ask");
    if (rank == 0) CU_ASSERT_TRUE(check_until(has_begun, NULL, 20));
    MPI_Barrier(MPI_COMM_WORLD);
    flood_calls = 3 * PARK / ROOM;
    post posts = post_bytes;
    if (floods) CU_ASSERT_EQUAL(pthread_create(&thread, NULL, flood, &posts), 0);
    if (floods) CU_ASSERT_TRUE(flood_stands(still));
    MPI_Barrier(MPI_COMM_WORLD);
    OK(rref_set(gate));
    if (rank == 2) keep_asking();
    if (rank == 0) OK(rref_wait(asked, RREF_FOREVER));
    if (rank == 0) OK(rref_future_release(asked));
    atomic_store(&answered, 1);
    if (floods) pthread_join(thread, NULL);
    OK(rref_fence(ctx, RREF_FOREVER));
    if (rank == 0) CU_ASSERT_EQUAL(atomic_load(&taken), ranks > 1 ? flood_calls : 0);
    end();
}

static void way_back(void) { way_back_with(PARK, 0.02); }

/* What is on its way when memory gets short is more than the limit. */
static void way_back_beyond(void) { way_back_with(CREDITS * ROOM, 0.02); }

/* The flood has had the time to take all that is lent, a credit each 100 ms. */
static void way_back_late(void) { way_back_with(CREDITS * ROOM, 1); }

/* Another thread of the one that floods does what the method waits for. */
static void let_on(void)
{
    pthread_t thread;
    if (!begin()) return;
    bool floods = rank == ranks - 1;
    flood_calls = 3 * PARK / ROOM;
    post posts = post_bytes;
    if (floods) CU_ASSERT_EQUAL(pthread_create(&thread, NULL, flood, &posts), 0);
    if (floods) CU_ASSERT_TRUE(flood_stands(getenv("RREF_TEST_FULL") ? 2.5 : 0.9));
    if (floods) OK(rref_sync(rref_root(ctx, 0), "open_gate"));
    if (floods) pthread_join(thread, NULL);
    OK(rref_fence(ctx, RREF_FOREVER));
    if (rank == 0) CU_ASSERT_EQUAL(atomic_load(&taken), flood_calls);
    end();
}

/* ---- without library threads a call never waits, either */

static void no_threads(void)
{
    static const char bytes[ROOM];
    int sent = 0, got = 0, rc = RREF_OK;
    setenv("RREF_PROGRESS", "application", 1);
    bool begun = begin();
    unsetenv("RREF_PROGRESS");
    if (!begun) return;
    OK(rref_set(gate));
    MPI_Barrier(MPI_COMM_WORLD);            /* who waits for the gate in a method would keep this thread from opening it */
    while (sent < FLOOD / ROOM && !(rc = rref_post(next_sink, "take", rref_array(bytes, ROOM)))) sent++;
    CU_ASSERT_EQUAL(rc, RREF_ERR_WOULD_BLOCK);
    rref_future f = rref_async(next_sink, "take", rref_array(bytes, ROOM));
    GIVES(rref_test(f), RREF_ERR_WOULD_BLOCK);
    OK(rref_future_release(f));
    OK(rref_fence(ctx, RREF_FOREVER));
    OK(rref_post(next_sink, "take", rref_array(bytes, ROOM)));
    sent++;
    OK(rref_fence(ctx, RREF_FOREVER));
    int all = 0, mine = atomic_load(&taken);
    MPI_Allreduce(&mine, &got, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    MPI_Allreduce(&sent, &all, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    CU_ASSERT_EQUAL(got, all);
    end();
}

/* ---- requests for an object to come: those beyond the limit are refused, by name of the limit */

enum { PARKED_MOST = 16 << 10, BEFORE = CREDITS + 4, ASKED = CREDITS - 4 };

static int parked_here(void)
{
    char *text = NULL;
    int n = -1;
    OK(rref_dump(ctx, rank, &text));
    const char *line = text ? strstr(text, "requests parked for objects to come: ") : NULL;
    if (line) sscanf(line, "requests parked for objects to come: %d", &n);
    free(text);
    return n;
}

static rref_statistics stats(void)
{
    rref_statistics s = { .messages_in = 0 };
    OK(rref_stats(ctx, &s));
    return s;
}

static void progress_until(bool (*over)(void))
{
    double until = check_clock() + check_patience(20);
    while (!over() && check_clock() < until) rref_progress(ctx);
    CU_ASSERT_TRUE(over());
}

static uint64_t expected;
static bool was_given(void) { return given.bits != 0; }
static bool all_came(void) { return stats().messages_in >= expected; }

static void send_all(void)
{
    for (int i = 0; i < 200; i++) rref_progress(ctx);
}

/* Rank 1 has no credit left at rank 0 when it makes an object there, and rank 2 calls that. */
static void park_some(void)
{
    static const char bytes[ROOM];
    rref made = { 0 };
    expected = stats().messages_in + BEFORE - 4 + ASKED;
    for (int i = 0; rank == 1 && i < BEFORE; i++) OK(rref_post(sink, "take", rref_array(bytes, ROOM)));
    if (rank == 1) made = rref_create(ctx, 0, "sink");
    if (rank == 1) OK(rref_post(rref_root(ctx, 2), "have", made));
    if (rank == 1) send_all();
    if (rank == 2) progress_until(was_given);
    for (int i = 0; rank == 2 && i < ASKED; i++) OK(rref_post(given, "take", rref_array(bytes, ROOM)));
    if (rank == 2) send_all();
    MPI_Barrier(MPI_COMM_WORLD);
    if (rank == 0) progress_until(all_came);
    int parked = rank == 0 ? parked_here() : 0;
    CU_ASSERT_EQUAL(stats().parked, (uint64_t)parked);
    MPI_Bcast(&parked, 1, MPI_INT, 0, MPI_COMM_WORLD);
    CU_ASSERT_TRUE(parked > 0 && parked * ROOM <= PARKED_MOST);
    GIVES(rref_fence(ctx, RREF_FOREVER), rank == 2 ? RREF_ERR_ONEWAY : RREF_OK);
    bool exact = !check_chaos("with few credits calls still come when those that are parked are counted");
    if (exact && rank == 2) CU_ASSERT_EQUAL(atomic_load(&refused), ASKED - parked);
    if (exact && rank == 0) CU_ASSERT_EQUAL(atomic_load(&taken), BEFORE + parked);
    CU_ASSERT_EQUAL(stats().parked, 0);
    if (rank == 1) OK(rref_release(made));
    if (rank == 2) OK(rref_release(given));
}

/* A call is a message, whatever fits one among hosts. */
static void park(void)
{
    setenv("RREF_PROGRESS", "application", 1);
    setenv("RREF_EAGER", "4096", 1);
    park_limit = PARKED_MOST;
    bool begun = begin();
    park_limit = PARK;
    unsetenv("RREF_PROGRESS");
    unsetenv("RREF_EAGER");
    if (!begun) return;
    OK(rref_set(gate));
    MPI_Barrier(MPI_COMM_WORLD);            /* who waits for the gate in a method would keep this thread from opening it */
    if (ranks > 2) park_some();
    end();
}

static const check_case cases[] = {
    { "flood_one", flood_one },
    { "flood_of_numbers", flood_of_numbers },
    { "flood_all", flood_all },
    { "pour_out", pour_out },
    { "way_back", way_back },
    { "way_back_beyond", way_back_beyond },
    { "way_back_late", way_back_late },
    { "let_on", let_on },
    { "no_threads", no_threads },
    { "park", park },
    CHECK_END
};

int main(int argc, char **argv) { return check_mpi_main(argc, argv, "flood", cases); }
