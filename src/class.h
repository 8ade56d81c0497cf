/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes: method tables compiled, named, and known by a 64-bit hash of the whole description. */
#ifndef RRI_CLASS_H
#define RRI_CLASS_H

#include "signature.h"
#include "sync.h"

typedef struct rri_method {
    const char *name;
    rri_signature signature;
    rref_handler handler;
    unsigned flags;
} rri_method;

typedef struct rri_class {
    struct rri_class *next;
    const rref_class *source;
    const char *name;
    uint64_t id;
    rri_signature create;
    rri_signature packed;           /* what its objects are packed into; text is NULL without hooks */
    unsigned flags;
    unsigned count;
    rri_method method[];
} rri_class;

typedef struct rri_classes {
    rri_lock lock;
    rri_class *first;               /* under the lock; classes stay until the end */
} rri_classes;

/* Errors through rri_fail: ARGUMENT, SIGNATURE, CLASS_EXISTS, NO_MEMORY. */
int rri_class_add(rri_classes *classes, const rref_class *source, const rri_class **added);
void rri_classes_free(rri_classes *classes);

const rri_class *rri_class_named(rri_classes *classes, const char *name);
const rri_class *rri_class_of_id(rri_classes *classes, uint64_t id);

/* Number of a method, or -1. */
int rri_method_find(const rri_class *klass, const char *name);

#endif
