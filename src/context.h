/* SPDX-License-Identifier: BSD-3-Clause */
/* The context: all floors of one communicator. */
#ifndef RRI_CONTEXT_H
#define RRI_CONTEXT_H

#include "estate.h"
#include "fence.h"
#include "options.h"
#include "placer.h"
#include "resolve.h"
#include "service.h"

enum { RRI_REPORTED = 64, RRI_WORKER_NAME = 64 };

struct rref_context {
    struct rref_context *next;          /* among the live, under their lock */
    unsigned number;                    /* i: in handles */
    rri_settings settings;              /* i: in force */
    rri_settings loaded;                /* i: as given */
    rref_error_handler on_error;        /* i */
    void *on_error_arg;
    int level;                          /* i: MPI's thread level */
    bool short_of_cores;                /* i */
    rri_placer placer;
    rri_link *link;
    rri_window *window;
    rri_flow *flow;
    rri_timers timers;
    rri_progress *progress;
    rri_calls calls;
    rri_classes classes;
    rref_class root_class;              /* i: made of options.functions */
    rri_objects objects;
    rri_references references;
    rri_resolver resolver;
    rri_service service;
    rri_fence fence;
    rri_estate estate;
    char (*names)[RRI_WORKER_NAME];         /* i: of each rank */
    uint64_t *root_classes;             /* i */
    char (*hosts)[RREF_HOST_MAX];       /* i: of each rank */
    bool *mute;                         /* i: by rank: its progress depends on its application */
    unsigned losses_told;               /* of the thread that fences and ends */
    uint64_t *room;                     /* i: bytes that each rank takes without being asked; see transfer.h */
    rri_lock lock;
    uint64_t reported[RRI_REPORTED];        /* failures printed already */
    unsigned reports;
    int64_t told_since;                     /* begin of the present second of lines, and how many it has */
    unsigned told;
    rref_error first_oneway;            /* the first failure nobody waited for */
    bool failed_oneway;
    bool logs;                          /* holds the log open */
    atomic_uint ending;                 /* a: 1 while the thread of SIGTERM ends it */
};

/* End the library's threads; those that are stuck in a handler are left behind if abandon. */
void rri_context_stop(rref_context *context, bool abandon);

/* What was opened is closed, in any state of the start; frees the context. abandon: communicators are left to MPI. */
void rri_context_close(rref_context *context, bool abandon);

/* A failure that nobody waits for: to the error handler, or printed once; finalize tells of the first. For rri_futures.unread
 * and rri_calls_up.unanswered. */
void rri_context_unread(void *context, const rref_error *error);

/* The first of them since the last time it was asked, as the thread's error ONEWAY; OK if there was none. */
int rri_context_oneway(rref_context *context);

/* PEER_LOST as the thread's error when ranks were lost since this was last asked. */
int rri_context_losses(rref_context *context);

/* Nanoseconds of a setting; RRI_NEVER for none. */
int64_t rri_context_ns(double seconds);

#endif
