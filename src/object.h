/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Objects: what this rank owns.
 *
 *    CONSTRUCTING --ok--> ALIVE --weight 0--> DYING --destructor--> (gone)
 *         +------error--> FAILED --weight 0--> (gone)
 *
 * (creator, number) is an object's identity; its handle in the table only speeds things up. All weight given out with
 * references comes back; at 0 the destructor is the object's last exclusive call.
 */
#ifndef RRI_OBJECT_H
#define RRI_OBJECT_H

#include "call.h"
#include "class.h"

/* Of a result: its call has not come; is here, or will not come; is here and will be looked at again. */
typedef enum rri_claim { RRI_EXPECTED, RRI_CLAIMED, RRI_CLAIMED_AGAIN } rri_claim;

typedef enum rri_object_state { RRI_CONSTRUCTING, RRI_ALIVE, RRI_FAILED, RRI_DYING } rri_object_state;

#define RRI_GROUP_NUMBERS (UINT64_C(1) << 38)   /* creations are numbered below, members of groups from here */
#define RRI_OWN_NUMBERS (UINT64_C(1) << 39)     /* wrapped objects from here */

static inline bool rri_number_is_group(uint64_t number) { return number >= RRI_GROUP_NUMBERS && number < RRI_OWN_NUMBERS; }

/* What few objects have: memory of its own. */
typedef struct rri_object_more {
    rref_error *error;                      /* of its construction, when it failed and there was memory for it */
    _Atomic(const void *) occupant;         /* a: the thread that has entered it (enter.c), whose call this is */
    rref_call *entered;
    uint64_t entered_by;                    /* handle of the reference that keeps it meanwhile */
} rri_object_more;

/* 88 bytes, of which there may be very many. */
typedef struct rri_object {
    rri_slot slot;
    rri_actor actor;
    struct rri_objects *all;
    const rri_class *klass;
    union {
        void *self;
        int outcome;                        /* of its construction, when it failed */
    };
    _Atomic uint64_t weight;                /* a: given out */
    _Atomic uint64_t identity;              /* a: address by creator and number; set again for a member of a group */
    _Atomic(rri_object_more *) more;        /* a: set once, or NULL */
    uint32_t next;                          /* same bucket, under the lock: index of its slot plus one, or 0 */
    atomic_uchar state;
    bool shared;                            /* the root object: all its methods are concurrent */
    atomic_uchar claim;                     /* a: of a result: rri_claim */
} rri_object;
_Static_assert(sizeof(rri_object) <= 88, "an object's size");

typedef struct rri_parked {
    struct rri_parked *next;
    rri_buffer *buffer;                     /* NULL for weight that came back */
    const rri_record *record;
    rri_record back;
} rri_parked;

enum { RRI_PARKS = 64 };                    /* chains of parked requests, by object */

typedef struct rri_objects {
    rri_table table;
    rri_calls *calls;
    rri_classes *classes;
    uint64_t weight;                        /* i: of a new object, all with its creator's reference */
    rri_object *root, *service;             /* not among those that are counted, released or destroyed */
    const rri_class *results;               /* of results that stay here */
    rri_signature describe;                 /* i: of RRI_METHOD_DESCRIBE: class id, 0 for the object's -> descriptor */
    rri_lock lock;
    uint32_t *bucket;                       /* under the lock: by identity; as next */
    size_t buckets, count;
    uint64_t *seen;                         /* under the lock: last number of each creator */
    struct { rri_parked *first, *last; } parked[RRI_PARKS];     /* under the lock */
    size_t parked_bytes, park_limit;        /* under the lock; i: requests beyond it are refused */
    atomic_uint waiting;                    /* a: how many are parked */
    uint64_t own;                           /* under the lock: numbers of wrapped objects, from 2^39 */
    atomic_uint dying;                      /* a */
    _Atomic uint64_t refills;               /* a: references that asked for more weight */
} rri_objects;

/* weight: log2 of a new object's; park_limit: bytes of requests kept for objects to come. */
int rri_objects_open(rri_objects *all, rri_calls *calls, rri_classes *classes, unsigned context, int ranks, int64_t weight,
                     size_t park_limit);
void rri_objects_close(rri_objects *all);

/* Of results that stay here: it is what rref_to_here reads, and nobody's object. */
static inline bool rri_object_is_result(const rri_object *object) { return object->klass == object->all->results; }

/* rri_calls_up.find and .look */
int rri_object_look(void *all, const rri_record *record, rref_call *call);
/* rri_calls_up.instant */
bool rri_object_instant(void *all, const rri_record *record, rref_call *call);
int rri_object_find(void *all, const rri_record *record, rri_buffer *buffer, rref_call *call);
/* Weight has come back. */
void rri_object_release(rri_objects *all, int peer, uint64_t address, uint64_t weight);
/* The same, where nothing waits before it. */
void rri_object_give_back(rri_objects *all, int peer, uint64_t address, uint64_t weight);
/* rri_calls_up.announced: a result is to come, whose call comes later, or not at all. */
void rri_object_announced(rri_objects *all, const rri_record *record, rri_buffer *buffer);
/* A reference asks for weight: it is on its way when this returns, or when the object has come. */
void rri_object_refill(rri_objects *all, const rri_record *record, rri_buffer *buffer);

/* A local object made by the application; its weight goes to the reference made for it. */
rri_object *rri_object_wrap(rri_objects *all, const rri_class *klass, void *self);
/* The same undone, for want of a reference. */
void rri_object_unwrap(rri_object *object);
/* The local object of an address; NULL if there is none (yet). */
rri_object *rri_object_of(rri_objects *all, uint64_t address);
/* The same by its identity; the lock is held. */
rri_object *rri_object_identified(const rri_objects *all, uint64_t identity);
/* Give an object that was made here, and that nobody else knows yet, another number. */
int rri_object_rename(rri_objects *all, uint64_t address, uint64_t number);
/* Its further memory; NULL if there is none to be had. */
rri_object_more *rri_object_more_of(rri_object *object);
/* Say why its construction failed. */
int rri_object_why(const rri_object *object);
/* What was begun is there (0), or has failed with the thread's last error. */
void rri_object_finish(rri_object *object, int outcome);
/* The call whose result it becomes is put back, and will come again. */
void rri_object_unclaim(rri_object *object);
/* Give out more weight of a local object: how much. */
uint64_t rri_object_mint(rri_object *object);

/* A rank is lost: what it has not made will not come, nor will calls whose results it has announced; requests that wait for that
 * are answered. */
void rri_objects_lose(rri_objects *all, int peer);

/* Keep an object as a reference does; false if it has none any more. And give that back. */
bool rri_object_pin(rri_object *object);
void rri_object_unpin(rri_object *object);
/* What a lost rank held of an object is taken off, if it is still there. */
void rri_object_write_off(rri_objects *all, uint64_t handle, uint64_t weight);

/* Visit those that are counted; their lock is held. */
void rri_objects_each(rri_objects *all, void (*visit)(const rri_object *object, void *arg), void *arg);

/* End of the context: destroy what is left. Poll progress until `count` of the table is 1 (the root). */
void rri_objects_destroy_all(rri_objects *all);
unsigned rri_objects_alive(rri_objects *all);
/* Weight given out of all, UINT64_MAX for more than that. */
uint64_t rri_objects_weight(rri_objects *all);

/* ---- for the parts: construct (objects that are to be), aim (what requests mean) */

/* Objects that are there from the start to the end. */
static inline bool rri_object_lasting(const rri_object *o) { return o && (o == o->all->root || o == o->all->service); }
/* One more; number 0: the next of this rank's own. NULL through rri_fail. */
rri_object *rri_object_add(rri_objects *all, const rri_class *klass, int creator, uint64_t number);
/* The object of a creation, and its constructor, for the call; or why there is none. */
int rri_object_find_constructor(rri_objects *all, const rri_record *record, rri_buffer *buffer, rref_call *call);
/* The object that the result of a remote-mode call becomes; NULL through rri_fail. To claim it for one call: false if another
 * one has. */
rri_object *rri_object_begin_result(rri_objects *all, const rri_record *record, int creator);
bool rri_object_claim(rri_object *object);

#endif
