/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions to a context: who is there, what has it counted, what went wrong last. */
#include "context.h"
#include "error.h"
#include "fork.h"
#include "host.h"
#include "info.h"
#include "memory.h"
#include "place.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For questions that need more than the context's memory. */
static bool usable(const rref_context *context, const void *argument)
{
    if (rri_forked()) return false;
    if (!context || !argument) rri_fail(RREF_ERR_ARGUMENT, context ? "NULL argument" : "NULL context");
    return context && argument;
}

int rref_rank(const rref_context *context) { return context ? rri_link_rank(context->link) : -1; }
int rref_size(const rref_context *context) { return context ? rri_link_size(context->link) : -1; }

int rref_rank_of(rref_context *context, const char *name)
{
    if (!usable(context, name)) return rri_error_last()->code;
    for (int i = 0; i < rri_link_size(context->link); i++)
        if (!strcmp(context->names[i], name)) return i;
    return rri_fail(RREF_ERR_DESTINATION, "no worker is named %s", name);
}

const char *rref_name_of(rref_context *context, int rank)
{
    return context && rank >= 0 && rank < rri_link_size(context->link) ? context->names[rank] : NULL;
}

int rref_peer_state(rref_context *context, int rank)
{
    if (!usable(context, context)) return rri_error_last()->code;
    int size = rri_link_size(context->link);
    if (rank < 0 || rank >= size) return rri_fail(RREF_ERR_DESTINATION, "rank %d of %d", rank, size);
    return (int)rri_peer_ask(context->calls.peers, rank);
}

int rref_declare_lost(rref_context *context, int rank)
{
    if (!usable(context, context)) return rri_error_last()->code;
    if (rri_window_works(context->window))
        return rri_fail(RREF_ERR_STATE, "an MPI window is open, and MPI_Finalize would wait for the rank; with RREF_WINDOW=off, "
                                        "or mpirun --enable-recovery, there is none");
    return rri_peer_declare(context->calls.peers, rank);
}

int rref_progress(rref_context *context)
{
    if (!usable(context, context)) return rri_error_last()->code;
    int rc = rri_progress_poll(context->progress, NULL);
    if (rc == RREF_ERR_BLOCKING) return rri_fail(rc, "not from an inline method or callback, nor from any with library threads");
    return rc < 0 ? rri_fail(rc, "this thread may not call MPI") : RREF_OK;
}

int rref_set_timeout(rref_context *context, double seconds)
{
    int64_t ns;
    if (!usable(context, context)) return rri_error_last()->code;
    if (!rri_seconds(seconds, &ns)) return rri_fail(RREF_ERR_ARGUMENT, "a timeout of %g seconds", seconds);
    atomic_store(&context->calls.futures.timeout, ns);
    return RREF_OK;
}

int rref_register(rref_context *context, const rref_class *klass)
{
    const rri_class *added;
    if (!usable(context, klass)) return rri_error_last()->code;
    int rc = rri_class_add(&context->classes, klass, &added);
    if (!rc) rri_resolver_publish(&context->resolver, added);
    return rc;
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

static void describe_self(rref_context *ctx, rri_info_rank *me)
{
    me->rank = rri_link_rank(ctx->link);
    memcpy(me->name, ctx->names[me->rank], sizeof me->name);
    gethostname(me->host, sizeof me->host - 1);
    rri_place_format(me->place, sizeof me->place);
    while (me->node < me->rank && !rri_link_neighbour(ctx->link, me->node)) me->node++;
    rri_placer_format(&ctx->placer, me->threads, sizeof me->threads);
    if (rri_placer_single(&ctx->placer))
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

static const char *progress_name(rri_progress_mode mode)
{
    return mode == RRI_PROGRESS_APPLICATION ? "application" : mode == RRI_PROGRESS_SPIN ? "library thread that never sleeps"
           : "library thread";
}

int rref_info(rref_context *ctx, char **text)
{
    if (!text) return rri_fail(RREF_ERR_ARGUMENT, "NULL text");
    if (rri_forked()) return RREF_ERR_FORKED;
    if (!ctx) return (*text = rri_info_format(NULL)) ? RREF_OK : rri_fail(RREF_ERR_NO_MEMORY, "no memory for the text");
    int size = rri_link_size(ctx->link), rank = rri_link_rank(ctx->link), losses = (int)rri_peers_lost(ctx->calls.peers);
    if (losses) return rri_peer_blame(ctx->calls.peers, rri_peers_which(ctx->calls.peers, 0), NULL, "");
    rri_info_rank mine = { 0 }, *all = rri_calloc((size_t)size, sizeof *all);
    int rc = rri_link_agree(ctx->link, all ? RREF_OK : rri_fail(RREF_ERR_NO_MEMORY, "no memory for %d ranks", size));
    if (rc) {
        free(all);
        return rc;
    }
    describe_self(ctx, &mine);
    rc = rri_link_gather(ctx->link, &mine, all, sizeof mine);
    rri_info_facts facts = {
        .size = size, .nodes = number_nodes(all, size), .mpi_library = rri_host_library(), .mpi_standard = rri_host_standard(),
        .thread_level = rri_host_level_name(ctx->level), .doorbell = "shared memory",
        .types = rri_window_text(ctx->window), .eager = ctx->settings.eager,
        .progress = progress_name((rri_progress_mode)ctx->settings.progress),
        .spin = ctx->settings.spin, .workers = ctx->settings.workers, .settings = &ctx->loaded, .ranks = all
    };
    char *made = rc || rank ? NULL : rri_info_format(&facts);
    free(all);
    if (!rc && !rank && !made) rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory for the text");
    if (!rc) *text = made;
    return rc;
}
