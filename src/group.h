/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Groups: one object per rank, made together. A member is known by its rank and the number of its group, which all ranks
 * count alike, so a reference to it takes no message; members are uncounted and live until the group is freed.
 */
#ifndef RRI_GROUP_H
#define RRI_GROUP_H

#include "reference.h"

struct rri_service;

typedef struct rri_group {
    rri_slot slot;
    struct rri_service *service;    /* i */
    uint64_t number;                /* i: of its members */
    const rri_class *klass;         /* i */
    _Atomic uint64_t *member;       /* a: reference to each, 0 until asked for */
    rref own;                       /* i: what keeps this rank's member alive */
    uint64_t fence;                 /* the application's, one collective at a time: of its end, 0 before that has begun */
} rri_group;

/* What this rank knows of a group that is being made. */
typedef struct rri_founding {
    uint64_t number;                /* 0: none */
    uint64_t class_id;              /* of this rank; 0 before it has come */
    uint64_t other_id;              /* of the rank before this one; 0 before it has told */
    rref_error failure;             /* of the lowest rank that failed; code 0: of none */
} rri_founding;

typedef struct rri_groups {
    rri_table table;
    uint64_t made;                  /* the application's, one collective at a time: how many were begun */
    rri_lock lock;
    rri_founding founding[2];       /* under the lock: by parity; a neighbour may be one group ahead */
} rri_groups;

void rri_groups_open(rri_groups *groups, unsigned context);
void rri_groups_close(rri_groups *groups);

/* The reference to a member, for references that arrive; HANDLE when the group is gone here. */
int rri_group_reference(struct rri_service *service, int rank, uint64_t number, rref *reference);

rri_group *rri_group_of(rref_group group);
rri_group *rri_group_numbered(struct rri_service *service, uint64_t number);
rref rri_group_member(rri_group *group, int rank);

/* Methods of the service object. */
int rri_group_compare(rref_call *call, void *service);
int rri_group_failed(rref_call *call, void *service);
int rri_group_relay(rref_call *call, void *service);

#endif
