/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns contexts: puts the floors together at the start, and takes them apart at the end. */
#include "init.h"
#include "error.h"
#include "fence.h"
#include "info.h"
#include "log.h"
#include "place.h"
#include "reference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONTEXTS = 255, REPORTED = 64, WORKER_NAME = 64 };

/* What ranks compare and tell each other at the start. */
typedef struct hello {
    uint32_t magic, version;
    int32_t outcome;
    uint32_t eager_kib, credits;
    uint64_t root_class;
    char name[WORKER_NAME];
    unsigned long long cores[RRI_PLACE_WORDS];
} hello;

struct rref_context {
    struct rref_context *next;          /* among the live, under their lock */
    unsigned number;                    /* i: in handles */
    rri_settings settings;              /* i: in force */
    rri_settings loaded;                /* i: as given */
    rref_error_handler on_error;        /* i */
    void *on_error_arg;
    int level;                          /* i: MPI's thread level */
    bool short_of_cores;                /* i */
    rri_link *link;
    rri_flow *flow;
    rri_timers timers;
    rri_progress *progress;
    rri_calls calls;
    rri_classes classes;
    rref_class root_class;              /* i: made of options.functions */
    rri_objects objects;
    rri_references references;
    rri_fence fence;
    char (*names)[WORKER_NAME];         /* i: of each rank */
    uint64_t *root_classes;             /* i */
    rri_lock lock;
    uint64_t reported[REPORTED];        /* failures printed already */
    unsigned reports;
    rref_error first_oneway;            /* the first failure nobody waited for */
    bool failed_oneway;
    bool logs;                          /* holds the log open */
};

static rri_lock live_lock;
static rref_context *live;              /* contexts not finalized, oldest first: the same order on all their ranks */
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

/* ---- what nobody waits for */

static uint64_t mark_of(const rref_error *e)
{
    uint64_t h = (uint64_t)(uint32_t)e->code;
    for (const char *p = e->where; *p; p++) h = (h ^ (unsigned char)*p) * UINT64_C(0x100000001b3);
    return h;
}

/* Each (class.method, code) once. */
static bool is_new(rref_context *ctx, const rref_error *e)
{
    uint64_t mark = mark_of(e);
    rri_lock_take(&ctx->lock);
    bool fresh = ctx->reports < REPORTED;
    for (unsigned i = 0; i < ctx->reports; i++) fresh = fresh && ctx->reported[i] != mark;
    if (fresh) ctx->reported[ctx->reports++] = mark;
    rri_lock_give(&ctx->lock);
    return fresh;
}

static void unread(void *up, const rref_error *e)
{
    char text[RREF_TEXT_MAX + 512];
    rref_context *ctx = up;
    if (ctx->on_error) {
        ctx->on_error(e, ctx->on_error_arg);
    } else if (is_new(ctx, e)) {
        rref_error_format(e, text, sizeof text);
        rri_log(RRI_LOG_ERROR, "nobody waited for this failure: %s", text);
    }
    rri_lock_take(&ctx->lock);
    if (!ctx->failed_oneway) ctx->first_oneway = *e;
    ctx->failed_oneway = true;
    rri_lock_give(&ctx->lock);
}

/* ---- handlers handed down */

static void control(void *up, int peer, const rri_record *record)
{
    rri_fence_control(&((rref_context *)up)->fence, peer, record);
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

static void release(void *up, int peer, const rri_record *record)
{
    rri_object_release(&((rref_context *)up)->objects, peer, record);
}

rri_references *rri_context_references(rref_context *context)
{
    if (!context) rri_fail(RREF_ERR_ARGUMENT, "NULL context");
    return context ? &context->references : NULL;
}

/* ---- start */

static int check_mpi(MPI_Comm comm, int *level)
{
    int is_on = 0, is_over = 0, is_inter = 0;
    MPI_Initialized(&is_on);
    MPI_Finalized(&is_over);
    if (!is_on) return rri_fail(RREF_ERR_STATE, "rref_init before MPI_Init_thread");
    if (is_over) return rri_fail(RREF_ERR_STATE, "rref_init after MPI_Finalize");
    if (comm == MPI_COMM_NULL) return rri_fail(RREF_ERR_ARGUMENT, "MPI_COMM_NULL");
    MPI_Comm_test_inter(comm, &is_inter);
    if (is_inter) return rri_fail(RREF_ERR_ARGUMENT, "an inter-communicator; an intra-communicator is wanted");
    MPI_Query_thread(level);
    return RREF_OK;
}

/* What can fail on one rank alone; the hello record tells the others. */
static int prepare(rref_context *ctx, const rref_options *options)
{
    int rc = rri_settings_load(&ctx->settings, options);
    if (rc == RREF_OK) rc = rri_log_open(ctx->settings.log, rri_link_rank(ctx->link));
    if (rc) return rc;
    ctx->logs = true;
    ctx->loaded = ctx->settings;
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

static int name_self(rref_context *ctx, const rref_options *options, char name[WORKER_NAME])
{
    if (!options || !options->name) {
        snprintf(name, WORKER_NAME, "rank%d", rri_link_rank(ctx->link));
        return RREF_OK;
    }
    size_t n = strlen(options->name);
    if (n == 0 || n >= WORKER_NAME) return rri_fail(RREF_ERR_OPTION, "worker name of %zu bytes; 1 to 63 are wanted", n);
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
        if (all[i].eager_kib != all[0].eager_kib || all[i].credits != all[0].credits)
            return rri_fail(RREF_ERR_PROTOCOL, "rank %d has other limits (RREF_EAGER, RREF_CREDITS) than rank 0", i);
    for (int i = 0; i < size; i++)
        for (int k = 0; k < i; k++)
            if (!strcmp(all[i].name, all[k].name))
                return rri_fail(RREF_ERR_OPTION, "ranks %d and %d have the same worker name %s", k, i, all[i].name);
    return RREF_OK;
}

/* Cores are short when the node has more ranks than cores to run them. */
static bool cores_short(const rref_context *ctx, const hello *all, int size)
{
    unsigned long long any[RRI_PLACE_WORDS] = { 0 };
    int cores = 0;
    for (int i = 0; i < size; i++)
        for (int w = 0; w < RRI_PLACE_WORDS && rri_link_neighbour(ctx->link, i); w++) any[w] |= all[i].cores[w];
    for (int w = 0; w < RRI_PLACE_WORDS; w++) cores += __builtin_popcountll(any[w]);
    return rri_link_local_size(ctx->link) > cores;
}

static int meet(rref_context *ctx, const rref_options *options)
{
    int size = rri_link_size(ctx->link), rank = rri_link_rank(ctx->link);
    hello mine = { .magic = RRI_MAGIC, .version = RRI_WIRE_VERSION }, *all = calloc((size_t)size, sizeof *all);
    int rc = prepare(ctx, options), named = rc ? rc : name_self(ctx, options, mine.name);
    ctx->names = calloc((size_t)size, sizeof *ctx->names);
    ctx->root_classes = calloc((size_t)size, sizeof *ctx->root_classes);
    if (!all || !ctx->names || !ctx->root_classes) named = rri_fail(RREF_ERR_NO_MEMORY, "no memory for %d ranks", size);
    mine.outcome = named;
    if (!named) {
        mine.eager_kib = (uint32_t)(ctx->settings.eager / 16);
        mine.credits = (uint32_t)ctx->settings.credits;
        mine.root_class = rri_class_named(&ctx->classes, "rank")->id;
        rri_place_mask(mine.cores);
    }
    if (!all) return named;
    rref_error error = *rri_error_last();
    rc = rri_link_gather(ctx->link, &mine, all, sizeof mine);
    if (rc == RREF_OK) {
        if (named) *rri_error_last() = error;
        rc = compare(all, size, rank);
    }
    for (int i = 0; rc == RREF_OK && i < size; i++) {
        memcpy(ctx->names[i], all[i].name, WORKER_NAME);
        ctx->root_classes[i] = all[i].root_class;
    }
    ctx->short_of_cores = rc == RREF_OK && cores_short(ctx, all, size);
    free(all);
    return rc;
}

static void settle_settings(rref_context *ctx)
{
    rri_settings *s = &ctx->settings;
    bool one_node = rri_link_local_size(ctx->link) == rri_link_size(ctx->link);
    if (s->eager == 0) s->eager = one_node ? 4096 : 65536;
    if (s->spin < 0) s->spin = ctx->short_of_cores ? 0 : 20;
    if (s->workers == 0) s->workers = rri_place_width() > 2 ? rri_place_width() : 2;
    if (ctx->level < MPI_THREAD_MULTIPLE) s->progress = RRI_PROGRESS_APPLICATION;
}

static int64_t ns_of(double seconds)
{
    int64_t ns;
    return rri_seconds(seconds, &ns) ? ns : RRI_NEVER;
}

static int open_floors(rref_context *ctx)
{
    const rri_settings *s = &ctx->settings;
    bool application = s->progress == RRI_PROGRESS_APPLICATION, direct = ctx->level == MPI_THREAD_MULTIPLE && !application;
    size_t eager = (size_t)s->eager, batch = eager < 4032 ? 4032 : eager > 16384 ? 16384 : eager > 4096 ? eager : 4032;
    rri_flow_config flow = { batch, eager + 8192, (unsigned)s->credits, (size_t)s->queue_limit, (size_t)s->park_limit, direct };
    rri_progress_config progress = {
        .application = application, .funneled = ctx->level < MPI_THREAD_SERIALIZED, .spin = s->spin * 1000,
        .workers = (unsigned)s->workers, .max_blocked = (unsigned)s->max_blocked,
        .stack = (size_t)s->stack * 1024, .bell_reaches_all = rri_link_local_size(ctx->link) == rri_link_size(ctx->link)
    };
    rri_calls *calls = &ctx->calls;
    rri_timers_init(&ctx->timers);
    int rc = rri_flow_open(ctx->link, &flow, &ctx->flow);
    if (rc == RREF_OK) rc = rri_link_start(ctx->link, rri_flow_pool(ctx->flow), (unsigned)s->ring);
    if (rc == RREF_OK) rc = rri_transfers_open(ctx->link, ctx->flow, ctx->number, &calls->transfers);
    if (rc == RREF_OK)
        rc = rri_progress_open(ctx->link, ctx->flow, &ctx->timers, &progress, rri_call_dispatch, calls, &ctx->progress);
    return rc;
}

static int open_calls(rref_context *ctx)
{
    rri_calls *calls = &ctx->calls;
    calls->link = ctx->link;
    calls->flow = ctx->flow;
    calls->progress = ctx->progress;
    calls->up = (rri_calls_up){ find, look, release, control, created, unread, rri_reference_drop, ctx };
    calls->context = ctx;
    calls->eager = (size_t)ctx->settings.eager;
    calls->rank = rri_link_rank(ctx->link);
    calls->site = calloc(RRI_SITES, sizeof *calls->site);
    rri_futures *f = &calls->futures;
    f->progress = ctx->progress;
    f->timers = &ctx->timers;
    f->unread = unread;
    f->up = ctx;
    f->rank = calls->rank;
    gethostname(f->host, sizeof f->host - 1);
    atomic_store(&f->timeout, ns_of(ctx->settings.timeout));
    return calls->site ? RREF_OK : rri_fail(RREF_ERR_NO_MEMORY, "no memory for call sites");
}

static int open_objects(rref_context *ctx, const rref_options *options)
{
    rri_references *refs = &ctx->references;
    int size = rri_link_size(ctx->link);
    int rc = open_calls(ctx);
    if (rc == RREF_OK) rc = rri_objects_open(&ctx->objects, &ctx->calls, &ctx->classes, ctx->number, size);
    refs->roots = calloc((size_t)size, sizeof *refs->roots);
    if (rc == RREF_OK && !refs->roots) rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory for %d ranks", size);
    if (rc) return rc;
    refs->calls = &ctx->calls;
    refs->objects = &ctx->objects;
    refs->classes = &ctx->classes;
    refs->root_class = ctx->root_classes;
    refs->context = ctx;
    ctx->objects.root = rri_object_wrap(&ctx->objects, rri_class_named(&ctx->classes, "rank"),
                                        options ? options->functions_self : NULL);
    if (!ctx->objects.root) return RREF_ERR_NO_MEMORY;
    ctx->objects.root->shared = true;
    rri_futures_open(&ctx->calls.futures, ctx->number);
    rri_references_open(refs, ctx->number);
    ctx->calls.futures.trade = rri_reference_trade(refs);
    rri_fence_init(&ctx->fence, &ctx->calls, &ctx->timers);
    return RREF_OK;
}

static void close_all(rref_context *ctx, bool abandon)
{
    if (ctx->references.objects) rri_references_close(&ctx->references);
    if (ctx->calls.futures.table.item) rri_futures_close(&ctx->calls.futures);
    rri_objects_close(&ctx->objects);
    free(ctx->references.roots);
    rri_calls_close(&ctx->calls);
    rri_progress_close(ctx->progress);
    rri_transfers_close(ctx->calls.transfers);
    rri_timers_free(&ctx->timers);
    if (ctx->link) rri_link_close(ctx->link, abandon);
    rri_flow_close(ctx->flow);
    rri_classes_free(&ctx->classes);
    free(ctx->names);
    free(ctx->root_classes);
    give_number(ctx->number);
    if (ctx->logs) rri_log_close();
    free(ctx);
}

/* All ranks start or none does: agree once more after what may fail alone. */
static int agree(rref_context *ctx, int rc)
{
    int size = rri_link_size(ctx->link), *all = calloc((size_t)size, sizeof *all);
    if (!all) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %d ranks", size);
    int gathered = rri_link_gather(ctx->link, &rc, all, sizeof rc);
    for (int i = 0; i < size && !gathered && !rc; i++)
        if (all[i]) gathered = rri_fail(all[i], "rank %d could not start: %s", i, rref_strerror(all[i]));
    free(all);
    return rc ? rc : gathered;
}

/* ---- contexts that are forgotten: MPI_Finalize deletes the attributes of MPI_COMM_SELF first, while all of MPI works */

static void enlist(rref_context *ctx)
{
    rri_lock_take(&live_lock);
    rref_context **at = &live;
    while (*at) at = &(*at)->next;
    *at = ctx;
    rri_lock_give(&live_lock);
}

static void strike(rref_context *ctx)
{
    rri_lock_take(&live_lock);
    rref_context **at = &live;
    while (*at && *at != ctx) at = &(*at)->next;
    if (*at) *at = ctx->next;
    rri_lock_give(&live_lock);
}

static int end(rref_context *ctx);

static int end_forgotten(MPI_Comm comm, int key, void *value, void *extra)
{
    (void)comm, (void)key, (void)value, (void)extra;
    for (rref_context *ctx; (ctx = live);) {
        rri_log(RRI_LOG_WARN, "MPI_Finalize before rref_finalize: the context is ended now");
        strike(ctx);
        if (end(ctx)) rri_log(RRI_LOG_ERROR, "the end of a forgotten context: %s", rri_error_last()->text);
    }
    return MPI_SUCCESS;
}

/* Once for a process: called by the threads that may call MPI, one rref_init after another. */
static int watch_for_mpi_finalize(void)
{
    static bool watching;
    int key;
    if (watching) return RREF_OK;
    if (MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, end_forgotten, &key, NULL) != MPI_SUCCESS ||
        MPI_Comm_set_attr(MPI_COMM_SELF, key, NULL) != MPI_SUCCESS)
        return rri_fail(RREF_ERR_MPI, "no attribute on MPI_COMM_SELF");
    watching = true;
    MPI_Comm_free_keyval(&key);         /* the attribute keeps it */
    return RREF_OK;
}

/* ---- start */

static int name_init(int rc)
{
    if (rc) rri_error_copy(rri_error_last()->where, RREF_WHERE_MAX, "rref_init");
    return rc;
}

int rref_init(MPI_Comm comm, const rref_options *options, rref_context **context)
{
    int level = 0;
    if (!context) return name_init(rri_fail(RREF_ERR_ARGUMENT, "NULL context"));
    int rc = check_mpi(comm, &level);
    rref_context *ctx = rc ? NULL : calloc(1, sizeof *ctx);
    if (!rc && !ctx) rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory for a context");
    if (rc) return name_init(rc);
    ctx->level = level;
    ctx->number = take_number();
    if (!ctx->number) rc = rri_fail(RREF_ERR_STATE, "more than %d contexts", CONTEXTS);
    if (rc == RREF_OK) rc = rri_link_open(comm, &ctx->link);
    if (rc == RREF_OK) rc = meet(ctx, options);
    if (rc == RREF_OK) {
        int watched = watch_for_mpi_finalize();
        settle_settings(ctx);
        rc = watched ? watched : open_floors(ctx);
        if (rc == RREF_OK) rc = open_objects(ctx, options);
        if (rc == RREF_OK) rc = rri_progress_start(ctx->progress);
        rc = agree(ctx, rc);
    }
    if (rc) {
        rref_error error = *rri_error_last();
        if (ctx->progress) rri_progress_stop(ctx->progress, false);
        close_all(ctx, false);
        *rri_error_last() = error;
        return name_init(rc);
    }
    enlist(ctx);
    *context = ctx;
    return RREF_OK;
}

int rref_init_f(MPI_Fint comm, const rref_options *options, rref_context **context)
{
    return rref_init(MPI_Comm_f2c(comm), options, context);
}

/* ---- end */

static bool wait_for(rref_context *ctx, rri_event *event, int64_t deadline, char *why, size_t size)
{
    int64_t stall = ns_of(ctx->settings.stall_limit), quiet = rri_now();
    uint64_t last = 0;
    while (rri_progress_wait(ctx->progress, event, rri_now() + 100000000) != RREF_OK) {
        uint64_t seen = atomic_load(&ctx->calls.served);
        int64_t now = rri_now();
        if (seen != last) quiet = now;
        last = seen;
        if (now < deadline && (stall == RRI_NEVER || now - quiet < stall)) continue;
        rri_fence_describe(&ctx->fence, why, size);
        return false;
    }
    return true;
}

/* Destructors run on library threads; here is only the wait for them. */
static void destroy_objects(rref_context *ctx)
{
    rri_event never = { 0 };
    atomic_store(&ctx->references.closing, true);
    rri_objects_destroy_all(&ctx->objects);
    while (rri_objects_alive(&ctx->objects) > 0) rri_progress_wait(ctx->progress, &never, rri_now() + 1000000);
}

/* Credits may still wait to be sent, and what was sent last may still sit in MPI. */
static void last_messages(rref_context *ctx)
{
    rri_flow_flush(ctx->flow, true);
    rri_flow_drain(ctx->flow);
    if (rri_link_drain(ctx->link)) rri_log(RRI_LOG_ERROR, "the last messages: %s", rri_error_last()->text);
}

static int end(rref_context *ctx)
{
    char why[256];
    double limit = ctx->settings.finalize_timeout;
    int64_t deadline = limit > 0 ? rri_after(rri_now(), ns_of(limit)) : RRI_NEVER;
    rri_fence_enter(&ctx->fence);
    if (!wait_for(ctx, &ctx->fence.left, deadline, why, sizeof why)) {
        rri_progress_stop(ctx->progress, true);
        rri_log(RRI_LOG_ERROR, "the context did not end: %s", why);
        return rri_fail(RREF_ERR_STALLED, "the context did not end: %s", why);
    }
    unsigned held = rri_references_report(&ctx->references);
    if (held) rri_log(RRI_LOG_INFO, "%u references were written off", held);
    destroy_objects(ctx);
    rri_progress_stop(ctx->progress, false);
    last_messages(ctx);
    int rc = ctx->failed_oneway ? RREF_ERR_ONEWAY : RREF_OK;
    if (rc) {
        *rri_error_last() = ctx->first_oneway;
        rri_error_last()->code = rc;
    }
    rref_error error = *rri_error_last();
    close_all(ctx, false);
    if (rc) *rri_error_last() = error;
    return rc;
}

int rref_finalize(rref_context **context)
{
    if (!context || !*context) return rri_fail(RREF_ERR_STATE, "no context, or finalized already");
    rref_context *ctx = *context;
    if (rri_progress_is_library() || rri_progress_depth(0) > 0)
        return rri_fail(RREF_ERR_STATE, "rref_finalize from a handler or callback");
    strike(ctx);
    int rc = end(ctx);
    *context = NULL;
    return rc;
}

/* ---- questions */

int rref_rank(const rref_context *context) { return context ? rri_link_rank(context->link) : -1; }
int rref_size(const rref_context *context) { return context ? rri_link_size(context->link) : -1; }

int rref_rank_of(rref_context *context, const char *name)
{
    if (!context || !name) return rri_fail(RREF_ERR_ARGUMENT, "NULL context or name");
    for (int i = 0; i < rri_link_size(context->link); i++)
        if (!strcmp(context->names[i], name)) return i;
    return rri_fail(RREF_ERR_DESTINATION, "no worker is named %s", name);
}

const char *rref_name_of(rref_context *context, int rank)
{
    return context && rank >= 0 && rank < rri_link_size(context->link) ? context->names[rank] : NULL;
}

int rref_progress(rref_context *context)
{
    if (!context) return rri_fail(RREF_ERR_ARGUMENT, "NULL context");
    int rc = rri_progress_poll(context->progress);
    return rc < 0 ? rri_fail(rc, "this thread may not call MPI") : RREF_OK;
}

int rref_set_timeout(rref_context *context, double seconds)
{
    int64_t ns;
    if (!context) return rri_fail(RREF_ERR_ARGUMENT, "NULL context");
    if (!rri_seconds(seconds, &ns)) return rri_fail(RREF_ERR_ARGUMENT, "a timeout of %g seconds", seconds);
    atomic_store(&context->calls.futures.timeout, ns);
    return RREF_OK;
}

int rref_register(rref_context *context, const rref_class *klass)
{
    if (!context || !klass) return rri_fail(RREF_ERR_ARGUMENT, "NULL context or class");
    return rri_class_add(&context->classes, klass, NULL);
}

int rref_stats(rref_context *context, rref_statistics *s)
{
    if (!context || !s) return rri_fail(RREF_ERR_ARGUMENT, "NULL context or statistics");
    rri_calls *c = &context->calls;
    *s = (rref_statistics){ .objects = rri_objects_alive(&context->objects),
                            .references = atomic_load(&context->references.table.live),
                            .futures = atomic_load(&c->futures.table.live), .calls_out = atomic_load(&c->out),
                            .calls_in = atomic_load(&c->in), .calls_direct = atomic_load(&c->direct),
                            .refused = atomic_load(&c->refused) + rri_flow_refused(context->flow),
                            .oneway_failures = atomic_load(&c->oneway_failures) };
    rri_link_counts(context->link, &s->messages_out, &s->messages_in);
    rri_transfers_counts(c->transfers, &s->bulk_out, &s->bulk_in);
    rri_progress_counts(context->progress, &s->wakeups, &s->threads);
    return RREF_OK;
}

int rref_last_error(const rref_context *context, rref_error *error)
{
    (void)context;
    if (!error) return RREF_ERR_ARGUMENT;
    if (rri_error_last()->code == RREF_OK) return RREF_ERR_STATE;
    *error = *rri_error_last();
    return RREF_OK;
}

void rref_perror(const rref_context *context, const char *prefix)
{
    char text[RREF_TEXT_MAX + 512];
    (void)context;
    rref_error_format(rri_error_last(), text, sizeof text);
    fprintf(stderr, "%s%s%s\n", prefix ? prefix : "", prefix ? ": " : "", text);
}

const char *rref_version(void)
{
    return RREF_STR2_(RREF_VERSION_MAJOR) "." RREF_STR2_(RREF_VERSION_MINOR) "." RREF_STR2_(RREF_VERSION_PATCH);
}

static const char *level_name(int level)
{
    return level == MPI_THREAD_MULTIPLE ? "MPI_THREAD_MULTIPLE" : level == MPI_THREAD_SERIALIZED ? "MPI_THREAD_SERIALIZED"
           : level == MPI_THREAD_FUNNELED ? "MPI_THREAD_FUNNELED" : "MPI_THREAD_SINGLE";
}

static void describe_self(const rref_context *ctx, rri_info_rank *me)
{
    me->rank = rri_link_rank(ctx->link);
    memcpy(me->name, ctx->names[me->rank], sizeof me->name);
    gethostname(me->host, sizeof me->host - 1);
    rri_place_format(me->place, sizeof me->place);
    while (me->node < me->rank && !rri_link_neighbour(ctx->link, me->node)) me->node++;
    bool library = ctx->settings.progress != RRI_PROGRESS_APPLICATION;
    if (library && rri_place_width() == 1)
        snprintf(me->note, sizeof me->note, "one core for the application and the progress thread");
}

/* Nodes come as the lowest rank on each; number them from 0. */
static int number_nodes(rri_info_rank *all, int size)
{
    int nodes = 0;
    for (int i = 0; i < size; i++) {
        int first = all[i].node;
        all[i].node = first == i ? nodes++ : all[first].node;
    }
    return nodes;
}

int rref_info(rref_context *ctx, char **text)
{
    char library[MPI_MAX_LIBRARY_VERSION_STRING] = "", standard[32];
    int length, version, subversion;
    if (!text) return rri_fail(RREF_ERR_ARGUMENT, "NULL text");
    if (!ctx) return (*text = rri_info_format(NULL)) ? RREF_OK : rri_fail(RREF_ERR_NO_MEMORY, "no memory for the text");
    int size = rri_link_size(ctx->link), rank = rri_link_rank(ctx->link);
    rri_info_rank mine = { 0 }, *all = calloc((size_t)size, sizeof *all);
    if (!all) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for %d ranks", size);
    describe_self(ctx, &mine);
    int rc = rri_link_gather(ctx->link, &mine, all, sizeof mine);
    MPI_Get_library_version(library, &length);
    MPI_Get_version(&version, &subversion);
    snprintf(standard, sizeof standard, "%d.%d", version, subversion);
    rri_info_facts facts = {
        .size = size, .nodes = number_nodes(all, size), .mpi_library = library, .mpi_standard = standard,
        .thread_level = level_name(ctx->level), .doorbell = "shared memory", .eager = ctx->settings.eager,
        .progress = ctx->settings.progress == RRI_PROGRESS_APPLICATION ? "application" : "library thread",
        .spin = ctx->settings.spin, .workers = ctx->settings.workers, .settings = &ctx->loaded, .ranks = all
    };
    char *made = rc || rank ? NULL : rri_info_format(&facts);
    free(all);
    if (!rc && !rank && !made) rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory for the text");
    if (!rc) *text = made;
    return rc;
}
