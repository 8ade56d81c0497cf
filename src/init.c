/* SPDX-License-Identifier: BSD-3-Clause */
/* The start of a context: ranks meet, and the floors are put together. */
#include "answer.h"
#include "chaos.h"
#include "cycle.h"
#include "error.h"
#include "finalize.h"
#include "fork.h"
#include "host.h"
#include "log.h"
#include "memory.h"
#include "place.h"
#include "term.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* To poll for an answer, WAITS_LONGER than a library thread polls for what may come, costs less than two wake-ups. */
enum { CONTEXTS = 255, WAITS_LONGER = 5 };

/* What ranks compare and tell each other at the start. */
typedef struct hello {
    uint32_t magic, version;
    int32_t outcome;
    uint32_t eager_kib, credits;
    int64_t weight;
    uint64_t chaos;
    uint64_t root_class, room;
    int32_t mute;               /* its progress depends on the application */
    char name[RRI_WORKER_NAME];
    char host[RREF_HOST_MAX];
    rri_seat seat;
} hello;

static rri_lock numbers_lock;
static bool number_used[CONTEXTS + 1];
static unsigned last_number;

static unsigned take_number(void)
{
    rri_lock_take(&numbers_lock);
    unsigned n = 0;
    for (unsigned i = 1; i <= CONTEXTS && !n; i++) {
        unsigned candidate = (last_number + i - 1) % CONTEXTS + 1;
        if (!number_used[candidate]) n = candidate;
    }
    if (n) {
        number_used[n] = true;
        last_number = n;
    }
    rri_lock_give(&numbers_lock);
    return n;
}

static void give_number(unsigned n)
{
    rri_lock_take(&numbers_lock);
    number_used[n] = false;
    rri_lock_give(&numbers_lock);
}

/* ---- handlers handed down */

static void control(void *up, int peer, const rri_record *record)
{
    rref_context *ctx = up;
    if (record->kind <= RRI_LEAVE) rri_fence_control(&ctx->fence, peer, record);
    else if (record->kind == RRI_HELD) rri_estate_record(&ctx->estate, record);
    else rri_peer_record(ctx->calls.peers, peer, record);
}

/* What was offered goes back first: what is not the caller's again after that stays with MPI. */
RRI_NEEDS(rri_driver)
static void lose(void *up, int peer)
{
    rref_context *ctx = up;
    rri_transfers_withdraw_all(ctx->calls.transfers, peer);
    rri_answer_lost(&ctx->calls, peer);
    rri_transfers_forsake(ctx->calls.transfers, peer);
    rri_objects_lose(&ctx->objects, peer);
    rri_fence_lose(&ctx->fence, peer);
}

/* For those who were about to wait for it. */
RRI_NEEDS(rri_driver)
static void lost(void *up, int peer)
{
    rref_context *ctx = up;
    rri_transfers_forsake(ctx->calls.transfers, peer);
    rri_objects_lose(&ctx->objects, peer);
}

static void await(void *up, bool *ranks)
{
    rref_context *ctx = up;
    rri_answers_await(&ctx->calls, ranks);
    rri_fence_await(&ctx->fence, ranks);
}

static bool awaits(void *up)
{
    return atomic_load_explicit(&((rref_context *)up)->calls.futures.table.live, memory_order_relaxed) > 0;
}

static void created(void *up, rri_future *future, uint64_t handle)
{
    rri_reference_created(&((rref_context *)up)->references, future, handle);
}

static int find(void *up, const rri_record *record, rri_buffer *buffer, rref_call *call)
{
    return rri_object_find(&((rref_context *)up)->objects, record, buffer, call);
}

static int look(void *up, const rri_record *record, rref_call *call)
{
    return rri_object_look(&((rref_context *)up)->objects, record, call);
}

static bool instant(void *up, const rri_record *record, rref_call *call)
{
    return rri_object_instant(&((rref_context *)up)->objects, record, call);
}

static void weight(void *up, const rri_record *record, rri_buffer *buffer)
{
    rri_reference_weight(&((rref_context *)up)->references, record, buffer);
}

static void announced(void *up, const rri_record *record, rri_buffer *buffer)
{
    rri_object_announced(&((rref_context *)up)->objects, record, buffer);
}

static void stuck(void *up, uint64_t handle) { rri_cycle_start(&((rref_context *)up)->references, handle); }

rri_references *rri_context_references(rref_context *context)
{
    if (rri_forked()) return NULL;
    if (!context) rri_fail(RREF_ERR_ARGUMENT, "NULL context");
    return context ? &context->references : NULL;
}

/* ---- start */

/* What can fail on one rank alone; the hello record tells the others. */
static int prepare(rref_context *ctx, const rref_options *options)
{
    rri_chaos_plan chaos;
    int rc = rri_settings_load(&ctx->settings, options);
    if (rc == RREF_OK) rc = rri_chaos_read(ctx->settings.chaos, &chaos);
    if (rc == RREF_OK) rc = rri_log_open(ctx->settings.log, rri_link_rank(ctx->link));
    if (rc) return rc;
    ctx->logs = true;
    rri_chaos_begin(&chaos, rri_link_rank(ctx->link));
    ctx->loaded = ctx->settings;
    rc = rri_placer_check(ctx->settings.cores);
    if (rc) return rc;
    if (rri_link_rank(ctx->link) == 0) rri_settings_warn();
    if (options) {
        ctx->on_error = options->on_error;
        ctx->on_error_arg = options->on_error_arg;
    }
    ctx->root_class = (rref_class)RREF_CLASS("rank", "", NULL, NULL, options ? options->functions : NULL);
    const rri_class *root;
    rc = rri_class_add(&ctx->classes, &ctx->root_class, &root);
    for (size_t i = 0; rc == RREF_OK && options && options->classes && options->classes[i]; i++)
        rc = rri_class_add(&ctx->classes, options->classes[i], NULL);
    return rc;
}

static int name_self(rref_context *ctx, const rref_options *options, char name[RRI_WORKER_NAME])
{
    if (!options || !options->name) {
        snprintf(name, RRI_WORKER_NAME, "rank%d", rri_link_rank(ctx->link));
        return RREF_OK;
    }
    size_t n = strlen(options->name);
    if (n == 0 || n >= RRI_WORKER_NAME) return rri_fail(RREF_ERR_OPTION, "worker name of %zu bytes; 1 to 63 are wanted", n);
    memcpy(name, options->name, n + 1);
    return RREF_OK;
}

static int compare(const hello *all, int size, int rank)
{
    const hello *mine = &all[rank];
    for (int i = 0; i < size; i++)
        if (all[i].magic != mine->magic || all[i].version != mine->version)
            return rri_fail(RREF_ERR_PROTOCOL, "rank %d runs another version of the library", i);
    for (int i = 0; i < size; i++)
        if (all[i].outcome && i == rank) return all[i].outcome;
        else if (all[i].outcome)
            return rri_fail(all[i].outcome, "rank %d could not start: %s", i, rref_strerror(all[i].outcome));
    for (int i = 0; i < size; i++)
        if (all[i].eager_kib != all[0].eager_kib || all[i].credits != all[0].credits || all[i].weight != all[0].weight)
            return rri_fail(RREF_ERR_PROTOCOL, "rank %d has other limits (RREF_EAGER, RREF_CREDITS, RREF_WEIGHT) than rank 0", i);
    for (int i = 0; i < size; i++)
        if (all[i].chaos != all[0].chaos) return rri_fail(RREF_ERR_PROTOCOL, "rank %d has another RREF_CHAOS than rank 0", i);
    for (int i = 0; i < size; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(all[i].name, all[k].name))
                return rri_fail(RREF_ERR_OPTION, "ranks %d and %d have the same worker name %s", k, i, all[i].name);
    return RREF_OK;
}

static bool has_threads(const rref_context *ctx)
{
    return ctx->level == MPI_THREAD_MULTIPLE && ctx->settings.progress != RRI_PROGRESS_APPLICATION;
}

/* Cores are short when the node has more ranks than cores to run them. Without memory nothing is placed. */
static void sit_down(rref_context *ctx, const hello *all, int size)
{
    int ranks = 0, me = 0;
    rri_seat *seats = rri_calloc((size_t)rri_link_local_size(ctx->link), sizeof *seats);
    if (!seats) return;
    for (int i = 0; i < size; i++) {
        if (!rri_link_neighbour(ctx->link, i)) continue;
        if (i == rri_link_rank(ctx->link)) me = ranks;
        seats[ranks++] = all[i].seat;
    }
    ctx->short_of_cores = rri_seats_short(seats, ranks);
    rri_placer_init(&ctx->placer, seats, ranks, me);
}

/* What is pushed here is received at once only where a thread of the library's sees to it. All ranks together may take a quarter
 * of what lands ahead of its calls. */
static uint64_t room_for_each(const rref_context *ctx)
{
    const uint64_t most = UINT64_C(4) << 20, ranks = (uint64_t)rri_link_size(ctx->link);
    const uint64_t each = (uint64_t)ctx->settings.landing_limit / 4 / ranks;
    return has_threads(ctx) ? each < most ? each : most : 0;
}

static int meet(rref_context *ctx, const rref_options *options)
{
    int size = rri_link_size(ctx->link), rank = rri_link_rank(ctx->link);
    hello mine = { .magic = RRI_MAGIC, .version = RRI_WIRE_VERSION }, *all = rri_calloc((size_t)size, sizeof *all);
    int rc = prepare(ctx, options), named = rc ? rc : name_self(ctx, options, mine.name);
    ctx->names = rri_calloc((size_t)size, sizeof *ctx->names);
    ctx->root_classes = rri_calloc((size_t)size, sizeof *ctx->root_classes);
    ctx->hosts = rri_calloc((size_t)size, sizeof *ctx->hosts);
    ctx->mute = rri_calloc((size_t)size, sizeof *ctx->mute);
    ctx->room = rri_calloc((size_t)size, sizeof *ctx->room);
    if (!all || !ctx->names || !ctx->root_classes || !ctx->hosts || !ctx->mute || !ctx->room)
        named = rri_fail(RREF_ERR_NO_MEMORY, "no memory for %d ranks", size);
    mine.outcome = named;
    if (!named) {
        mine.eager_kib = (uint32_t)(ctx->settings.eager / 16);
        mine.credits = (uint32_t)ctx->settings.credits;
        mine.weight = ctx->settings.weight;
        mine.chaos = rri_chaos_signature();
        mine.root_class = rri_class_named(&ctx->classes, "rank")->id;
        mine.room = room_for_each(ctx);
        mine.seat = (rri_seat){ rri_place_mask(), rri_place_now(), has_threads(ctx) };
        mine.mute = ctx->level < MPI_THREAD_MULTIPLE || ctx->settings.progress == RRI_PROGRESS_APPLICATION;
        gethostname(mine.host, sizeof mine.host - 1);
    }
    rc = rri_link_agree(ctx->link, all ? RREF_OK : named);
    if (rc) {
        free(all);
        return rc;
    }
    rref_error error = *rri_error_last();
    rc = rri_link_gather(ctx->link, &mine, all, sizeof mine);
    if (rc == RREF_OK) {
        if (named) *rri_error_last() = error;
        rc = compare(all, size, rank);
    }
    for (int i = 0; rc == RREF_OK && i < size; i++) {
        memcpy(ctx->names[i], all[i].name, RRI_WORKER_NAME);
        memcpy(ctx->hosts[i], all[i].host, RREF_HOST_MAX);
        ctx->root_classes[i] = all[i].root_class;
        ctx->mute[i] = all[i].mute;
        ctx->room[i] = all[i].room;
    }
    if (rc == RREF_OK) sit_down(ctx, all, size);
    free(all);
    return rc;
}

/* What nobody has asked for otherwise is small, on all ranks alike. */
static void upset_settings(rri_settings *s)
{
    if (rri_chaos_has(RRI_CHAOS_BUFFER)) {
        if (s->eager == 0) s->eager = 64 << rri_chaos_agreed(RRI_CHAOS_BUFFER, 0, 5);
        if (s->ring == 16) s->ring = 4 + rri_chaos_agreed(RRI_CHAOS_BUFFER, 1, 4);
        if (s->landing_limit == 256 << 20) s->landing_limit = 4096 << rri_chaos_agreed(RRI_CHAOS_BUFFER, 2, 8);
        if (s->park_limit == 64 << 20) s->park_limit = 1048576 << rri_chaos_agreed(RRI_CHAOS_BUFFER, 3, 4);
    }
    if (rri_chaos_has(RRI_CHAOS_STARVE) && s->credits == 64) s->credits = 2 + rri_chaos_agreed(RRI_CHAOS_STARVE, 0, 4);
    if (rri_chaos_has(RRI_CHAOS_WEIGHT) && s->weight == 60) s->weight = rri_chaos_agreed(RRI_CHAOS_WEIGHT, 0, 5);
    if (rri_chaos_has(RRI_CHAOS_SLOW) && s->spin < 0) s->spin = INT64_C(10) * rri_chaos_pick(RRI_CHAOS_SLOW, 3);
}

static void settle_settings(rref_context *ctx)
{
    rri_settings *s = &ctx->settings;
    upset_settings(s);
    bool one_node = rri_link_local_size(ctx->link) == rri_link_size(ctx->link);
    if (s->eager == 0) s->eager = one_node ? 4096 : 65536;
    if (s->spin < 0) s->spin = ctx->short_of_cores ? 0 : one_node ? 20 : 50;    /* longer than a message over TCP */
    if (s->workers == 0) s->workers = rri_place_width() > 2 ? rri_place_width() : 2;
    if (ctx->level < MPI_THREAD_MULTIPLE) s->progress = RRI_PROGRESS_APPLICATION;
}

int64_t rri_context_ns(double seconds)
{
    int64_t ns;
    return rri_seconds(seconds, &ns) ? ns : RRI_NEVER;
}

static int open_peers(rref_context *ctx)
{
    const rri_peers_config config = { rri_context_ns(ctx->settings.peer_timeout), ctx->mute,
                                      (const char (*)[RREF_HOST_MAX])ctx->hosts };
    const rri_peers_up up = { lose, lost, await, awaits, ctx };
    return rri_peers_open(ctx->link, ctx->flow, &config, &up, &ctx->calls.peers);
}

/* Bytes of records that share a message. */
static size_t batch_of(const rri_settings *s, size_t room)
{
    const size_t eager = (size_t)s->eager, batch = (size_t)s->batch;
    if (rri_chaos_has(RRI_CHAOS_BUFFER)) return eager;      /* few share one */
    if (batch) return batch < room ? batch : room;
    return eager < 4032 ? 4032 : eager > 16384 ? 16384 : eager > 4096 ? eager : 4032;
}

static int open_floors(rref_context *ctx)
{
    const rri_settings *s = &ctx->settings;
    bool application = s->progress == RRI_PROGRESS_APPLICATION, direct = ctx->level == MPI_THREAD_MULTIPLE;
    size_t eager = (size_t)s->eager, room = (eager > 4096 ? eager : 4096) + 8192;   /* references ride along, whatever it is */
    rri_flow_config flow = { batch_of(s, room), room, (unsigned)s->credits, (size_t)s->queue_limit, (size_t)s->park_limit, direct,
                             &ctx->timers, has_threads(ctx), (unsigned)s->batch_calls };
    rri_progress_config progress = {
        .application = application, .funneled = ctx->level < MPI_THREAD_SERIALIZED,
        .serialized = ctx->level == MPI_THREAD_SERIALIZED, .spin = s->spin * 1000,
        .borrowed_spin = s->spin * (ctx->loaded.spin < 0 ? 1000 * WAITS_LONGER : 1000),
        .restless = s->progress == RRI_PROGRESS_SPIN,
        .crew = { (unsigned)s->workers, (unsigned)s->max_blocked, (size_t)s->stack * 1024, application },
        .bell_reaches_all = rri_link_local_size(ctx->link) == rri_link_size(ctx->link)
    };
    rri_calls *calls = &ctx->calls;
    rri_timers_init(&ctx->timers);
    int rc = rri_flow_open(ctx->link, &flow, &ctx->flow);
    if (rc == RREF_OK) rc = rri_link_start(ctx->link, rri_flow_pool(ctx->flow), (unsigned)s->ring);
    if (rc == RREF_OK) rc = rri_transfers_open(ctx->link, ctx->flow, ctx->number, ctx->room, &calls->transfers);
    if (rc == RREF_OK) rc = open_peers(ctx);
    if (rc == RREF_OK)
        rc = rri_progress_open(ctx->link, ctx->flow, &ctx->timers, &progress, rri_call_dispatch, calls, &ctx->progress);
    if (rc == RREF_OK) rri_progress_watch(ctx->progress, calls->peers);
    return rc;
}

static int open_calls(rref_context *ctx)
{
    rri_calls *calls = &ctx->calls;
    calls->link = ctx->link;
    calls->flow = ctx->flow;
    calls->progress = ctx->progress;
    calls->up = (rri_calls_up){ find, look, instant, weight, announced, control, created, rri_context_unread, rri_reference_drop,
                                stuck, ctx };
    calls->context = ctx;
    calls->eager = (size_t)ctx->settings.eager;
    calls->landing_limit = (size_t)ctx->settings.landing_limit;
    calls->landings.limit = (size_t)ctx->settings.landing_kept;
    calls->posts = has_threads(ctx);
    calls->rank = rri_link_rank(ctx->link);
    rri_futures *f = &calls->futures;
    f->progress = ctx->progress;
    f->timers = &ctx->timers;
    f->colours = rri_flow_colours(ctx->flow);
    f->unread = rri_context_unread;
    f->up = ctx;
    f->rank = calls->rank;
    gethostname(f->host, sizeof f->host - 1);
    atomic_store(&f->timeout, rri_context_ns(ctx->settings.timeout));
    f->report_after = rri_context_ns(ctx->settings.report_after);
    int rc = rri_weights_open(ctx->link, ctx->flow, ctx->progress, &ctx->timers, ctx->settings.release_delay * 1000,
                              &calls->weights);
    return rc ? rc : rri_calls_open(calls);
}

/* Classes given to init are published before the ranks agree on the start, so others find them when init has returned. */
static void open_resolver(rref_context *ctx)
{
    rri_resolver *s = &ctx->resolver;
    s->calls = &ctx->calls;
    s->classes = &ctx->classes;
    s->window = rri_window_works(ctx->window) ? ctx->window : NULL;
    s->describe = &ctx->objects.describe;
    for (const rri_class *k = ctx->classes.first; k; k = k->next) rri_resolver_publish(s, k);
}

static int open_objects(rref_context *ctx, const rref_options *options)
{
    rri_references *refs = &ctx->references;
    int size = rri_link_size(ctx->link);
    int rc = open_calls(ctx);
    if (rc == RREF_OK) rc = rri_objects_open(&ctx->objects, &ctx->calls, &ctx->classes, ctx->number, size, ctx->settings.weight,
                                             (size_t)ctx->settings.park_limit);
    refs->roots = rri_calloc((size_t)size, sizeof *refs->roots);
    if (rc == RREF_OK && !refs->roots) rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory for %d ranks", size);
    if (rc) return rc;
    refs->calls = &ctx->calls;
    refs->objects = &ctx->objects;
    refs->classes = &ctx->classes;
    refs->resolver = &ctx->resolver;
    refs->root_class = ctx->root_classes;
    refs->context = ctx;
    ctx->objects.root = rri_object_wrap(&ctx->objects, rri_class_named(&ctx->classes, "rank"),
                                        options ? options->functions_self : NULL);
    if (!ctx->objects.root) return RREF_ERR_NO_MEMORY;
    ctx->objects.root->shared = true;
    rc = rri_service_open(&ctx->service, refs, &ctx->fence, ctx->number);
    if (rc) return rc;
    rri_futures_open(&ctx->calls.futures, ctx->number);
    rri_references_open(refs, ctx->number);
    ctx->calls.futures.trade = rri_reference_trade(refs);
    rc = rri_fence_open(&ctx->fence, &ctx->calls, &ctx->timers, rri_context_ns(ctx->settings.stall_limit));
    if (rc) return rc;
    ctx->estate.references = refs;
    ctx->fence.estate = &ctx->estate;
    open_resolver(ctx);
    return rri_timers_reserve(&ctx->timers) ? rri_fail(RREF_ERR_NO_MEMORY, "no memory for timers") : RREF_OK;
}

static int start_threads(rref_context *ctx)
{
    if (has_threads(ctx)) rri_placer_start(&ctx->placer, ctx->progress, &ctx->timers, ctx->settings.cores);
    return rri_progress_start(ctx->progress);
}

void rri_context_stop(rref_context *ctx, bool abandon)
{
    rri_placer_stop(&ctx->placer);
    rri_progress_stop(ctx->progress, abandon);
}

void rri_context_close(rref_context *ctx, bool abandon)
{
    rri_resolver_close(&ctx->resolver);
    if (ctx->references.objects) rri_references_close(&ctx->references);
    if (ctx->calls.futures.table.item) rri_futures_close(&ctx->calls.futures);
    rri_objects_close(&ctx->objects);
    free(ctx->references.roots);
    rri_calls_close(&ctx->calls);
    rri_progress_close(ctx->progress);
    rri_weights_close(ctx->calls.weights);
    rri_transfers_close(ctx->calls.transfers);
    rri_peers_close(ctx->calls.peers);
    rri_fence_close(&ctx->fence);
    rri_estate_close(&ctx->estate);
    rri_timers_free(&ctx->timers);
    rri_window_close(ctx->window, abandon);
    if (ctx->link) rri_link_close(ctx->link, abandon);
    rri_flow_close(ctx->flow);
    rri_placer_close(&ctx->placer);
    rri_service_close(&ctx->service);
    rri_classes_free(&ctx->classes);
    free(ctx->names);
    free(ctx->root_classes);
    free(ctx->hosts);
    free(ctx->mute);
    free(ctx->room);
    give_number(ctx->number);
    if (ctx->logs) rri_log_close();
    free(ctx);
}

/* ---- start */

static int name_init(int rc)
{
    if (rc) rri_error_copy(rri_error_last()->where, RREF_WHERE_MAX, "rref_init");
    return rc;
}

static rref_context *make(int level, int *rc)
{
    rref_context *ctx = rri_calloc(1, sizeof *ctx);
    if (!ctx) {
        *rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory for a context");
        return NULL;
    }
    ctx->level = level;
    ctx->number = take_number();
    if (!ctx->number) *rc = rri_fail(RREF_ERR_STATE, "more than %d contexts", CONTEXTS);
    return ctx;
}

int rref_init(MPI_Comm comm, const rref_options *options, rref_context **context)
{
    int level = 0;
    int rc = rri_forked() ? RREF_ERR_FORKED : rri_host_usable(comm, &level);
    if (rc) return name_init(rc);
    rri_link *link = NULL;
    rc = context ? rri_fork_watch() : rri_fail(RREF_ERR_ARGUMENT, "NULL context");     /* the others are to hear of it */
    rref_context *ctx = rc ? NULL : make(level, &rc);
    rc = rri_link_open(comm, rc, &link);
    if (!ctx) return name_init(rc);
    ctx->link = link;
    if (rc == RREF_OK) rc = meet(ctx, options);
    if (rc == RREF_OK) {
        int watched = rri_finalize_watch();
        if (!watched) watched = rri_term_watch((rri_on_term)ctx->settings.on_term);
        settle_settings(ctx);
        ctx->window = rri_window_open(comm, ctx->link, (rri_window_wish)ctx->settings.window,
                                      (size_t)ctx->settings.window_size);
        rc = watched ? watched : open_floors(ctx);
        if (rc == RREF_OK) rc = open_objects(ctx, options);
        if (rc == RREF_OK) rc = start_threads(ctx);
        rc = rri_link_agree(ctx->link, rc);     /* all ranks start or none does */
    }
    if (rc) {
        rref_error error = *rri_error_last();
        if (ctx->progress) rri_context_stop(ctx, false);
        rri_context_close(ctx, false);
        *rri_error_last() = error;
        return name_init(rc);
    }
    rri_context_enlist(ctx);
    *context = ctx;
    return RREF_OK;
}

int rref_init_f(MPI_Fint comm, const rref_options *options, rref_context **context)
{
    return rref_init(MPI_Comm_f2c(comm), options, context);
}
