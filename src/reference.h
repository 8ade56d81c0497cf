/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * References: handles to objects anywhere, with the weight that keeps them alive.
 *
 * A reference with weight gives a part of it along when it is shared. One that cannot is shared without: it vouches for what
 * was sent, and stays, even when it is released, until the receiver has weight of its own. Who receives such a reference may
 * use and share it at once, and asks the owner for weight; the owner sends it, and tells the guarantor.
 */
#ifndef RRI_REFERENCE_H
#define RRI_REFERENCE_H

#include "object.h"
#include "origin.h"

/* What few references have: memory of its own. */
typedef struct rri_more {
    rri_wish wish;                  /* by the one who set asked */
    uint64_t class_id;              /* i: of a class that was not known here when the reference was made; 0: nor was its id */
    struct rri_lead *lead;          /* under the reference's lock: of a result that was called (lead.c), or NULL */
    rref_error *error;              /* i: made with an error */
} rri_more;

enum { RRI_VOUCHES = (1 << 21) - 1, RRI_AGES = (1 << 20) - 1, RRI_AGE_SHIFT = 27 };

/* 64 bytes, of which there may be very many. It lives while it is kept, has asked, vouches, or occupies. */
typedef struct rri_reference {
    rri_slot slot;
    atomic_uint held;               /* a: the application's counts; at 0 the handle is no longer theirs */
    signed owner : 24;              /* i; -1: made with an error */
    unsigned context : 8;           /* i: number of the context's */
    _Atomic uint64_t identity;      /* a: the object's address by creator and number; number 0 until it is drawn */
    _Atomic uint64_t place;         /* a: on the creator the creation's future, with a count, until the owner has confirmed the
                                     * object; then, and elsewhere, the address */
    _Atomic(const rri_class *) klass;   /* a: NULL: not known on this rank (yet) */
    _Atomic(rri_more *) more;       /* a: set once, or NULL */
    uint64_t weight;                /* under the lock; 0: to come, or uncounted */
    unsigned vouches : 21;          /* under the lock: for references without weight, on their way or elsewhere */
    unsigned asked : 1;             /* under the lock: weight is to come */
    unsigned kept : 1;              /* under the lock: by the application */
    unsigned occupies : 1;          /* under the lock: a thread has entered the object through it */
    rri_lock lock;
    unsigned origin : 12;           /* i: 0: nothing is known */
    unsigned made : 20;             /* i: since the references were opened, in some 0.13 s; 39 hours stand for all after them */
} rri_reference;
_Static_assert(sizeof(rri_reference) == 64, "a reference's size");

typedef struct rri_references {
    rri_table table;
    rri_calls *calls;
    rri_objects *objects;
    rri_classes *classes;
    struct rri_resolver *resolver;
    const uint64_t *root_class;     /* i: class id of each rank's root object */
    _Atomic uint64_t *roots;        /* a: handle of each rank's root reference, 0 until asked for; uncounted */
    struct rri_service *service;    /* i */
    rref_context *context;
    atomic_bool closing;
    int64_t opened;                 /* i: by the coarse clock */
    rri_origins origins;
    atomic_uint moves;              /* a: references put on the wire, and taken from it, so far */
} rri_references;

enum { RRI_REFERENCE_CONTEXTS = 256 };
extern _Atomic(rri_references *) rri_references_open_now[RRI_REFERENCE_CONTEXTS];

/* Those a reference is of. */
static inline rri_references *rri_references_of(const rri_reference *r)
{
    return atomic_load_explicit(&rri_references_open_now[r->context], memory_order_relaxed);
}

/* Where requests for the object go. */
static inline uint64_t rri_reference_address(const rri_reference *r)
{
    uint64_t place = atomic_load_explicit(&r->place, memory_order_acquire);
    return rri_handle_kind_of(place) == RRI_KIND_FUTURE ? atomic_load(&r->identity) : place;
}

static inline uint64_t rri_reference_number(const rri_reference *r) { return rri_address_number(atomic_load(&r->identity)); }
static inline int rri_reference_creator(const rri_reference *r) { return rri_address_creator(atomic_load(&r->identity)); }

/* The future of its creation, with a count for the caller; NULL: it was confirmed, or this rank did not create it. */
rri_future *rri_reference_creation(const rri_reference *reference);
/* 0: not known. */
uint64_t rri_reference_class_id(const rri_reference *reference);
/* Its further memory; NULL if there is none to be had. */
rri_more *rri_reference_more(rri_reference *reference);
/* Where it comes from, and since when it is here, ns. */
rri_origin rri_reference_origin(const rri_reference *reference);
int64_t rri_reference_age(const rri_reference *reference);

void rri_references_open(rri_references *all, unsigned context);
void rri_references_close(rri_references *all);

/* How references travel, for values. */
rri_ref_trade rri_reference_trade(rri_references *all);
void rri_reference_drop(rref reference);
/* rri_calls_up.weight and .created */
void rri_reference_weight(rri_references *all, const rri_record *record, rri_buffer *buffer);
void rri_reference_created(rri_references *all, rri_future *future, uint64_t handle);

rri_reference *rri_reference_of(rref reference);
/* The class of a reference on the wire; NULL: not known on this rank. */
const rri_class *rri_reference_class_of_wire(const rri_references *all, const void *wire);
/* A further handle, with a part of the weight. */
int rri_reference_split(rri_reference *reference, rref *further);
/* A reference to a local object; NULL self: one that is still to be made. */
rref rri_reference_wrap(rri_references *all, const rri_class *klass, void *self);

/* A reference to an object that a request makes, before it is sent: its creation future goes with the request, and has a count
 * for the caller. */
rri_reference *rri_reference_begin(rri_references *all, int owner, const rri_class *klass, const char *site,
                                   rri_future **creation);
/* It was sent with this number; or not, and then the reference is one with the thread's last error. */
rref rri_reference_begun(rri_reference *reference, int rc, uint64_t number);
/* A reference that carries the thread's last error. */
rref rri_reference_failed(rri_references *all);

/* A reference that is uncounted, made once and kept at *place: to an object that needs no references to live. */
rref rri_reference_lasting(rri_references *all, _Atomic uint64_t *place, int rank, uint64_t number, uint64_t address,
                           const rri_class *klass, uint64_t class_id);

/* The end of such a one. */
void rri_reference_forget(rri_references *all, uint64_t handle);

/* The class of the object has become known. */
void rri_reference_know(rri_reference *reference, const rri_class *klass);
/* STATE: what only rref_to_here may look into. */
int rri_reference_is_result(void);
/* One more count of a handle; given back by rri_reference_drop. */
rref rri_reference_keep(rri_reference *reference);

/* Why a reference cannot be called: it was made with an error, or the construction failed. RREF_OK while pending. */
int rri_reference_error(const rri_reference *reference);

/* Whether it is clear that there is no such error; else look. */
static inline bool rri_reference_is_sound(const rri_reference *r)
{
    uint64_t place = atomic_load_explicit(&r->place, memory_order_acquire);
    return r->owner >= 0 && rri_handle_kind_of(place) != RRI_KIND_FUTURE;
}

/* Whether this rank owns the object: RREF_OK, NOT_OWNER, or the error that the reference was made with. */
int rri_reference_local(rref reference);

/* A thread has entered the object through a reference: that stays, released or not, until the thread leaves. */
void rri_reference_occupy(rri_reference *reference);
/* The reference of a handle that is good, or was and still occupies its object, and whether it does; NULL through rri_fail. */
rri_reference *rri_reference_occupying(rref reference, bool *occupies);
void rri_reference_vacate(rri_references *all, uint64_t handle);

/* After a loss. What a reference holds is to be told its owner: visit those with weight, and what each vouches for. */
typedef struct rri_holding {
    int owner;
    uint64_t address, weight;
    uint64_t handle;                /* of the reference */
    unsigned vouches;
} rri_holding;
void rri_references_each(rri_references *all, void (*visit)(void *arg, const rri_holding *holding), void *arg);
/* The same of one on the wire; its voucher, or 0, and the rank that has it. */
void rri_reference_on_wire(const void *wire, rri_holding *holding, uint64_t *voucher, int *guarantor);
/* So many of those that it vouches for are gone. */
void rri_reference_unvouch(rri_references *all, uint64_t handle, uint64_t count);
/* The weight that a reference to an object of a lost rank has asked for will not come. */
void rri_references_orphan(rri_references *all);

/* What a result leads to, when its reference ends. */
void rri_lead_free(struct rri_lead *lead);

/* Report what is still held, at the end; returns how many. */
unsigned rri_references_report(rri_references *all);

/* ---- for the parts: share (weight, and how references travel), create (references to objects that are to be) */

/* A reference that the application holds once; NULL through rri_fail. klass NULL: what class_id says, which may be 0. */
rri_reference *rri_reference_make(rri_references *all, int owner, uint64_t identity, uint64_t place, const rri_class *klass,
                                  uint64_t class_id, uint64_t weight, const char *site);
/* The end of one: its weight goes back. Or of what nobody has had: its memory alone. */
void rri_reference_end(rri_reference *reference);
void rri_reference_remove(rri_reference *reference);
void rri_reference_give_back(rri_references *all, int owner, uint64_t address, uint64_t weight);
/* 0 of NULL. */
rref rri_reference_handle(const rri_reference *reference);
rref rri_reference_root(rri_references *all, int rank);
/* Uncounted: of root and service objects, and of members of groups. */
bool rri_reference_is_lasting(const rri_reference *reference);
/* The local object that an address of this rank means, if it is there yet. */
rri_object *rri_reference_object(const rri_references *all, int owner, uint64_t address);

/* Under the lock: whether nothing keeps it any more. */
static inline bool rri_reference_is_over(const rri_reference *r)
{
    return !r->kept && !r->asked && !r->vouches && !r->occupies;
}

/* The context's references, for the calls that start from a context. */
rri_references *rri_context_references(rref_context *context);

#endif
