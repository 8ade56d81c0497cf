/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes: method tables compiled, named, and known by a 64-bit hash of the whole description. */
#ifndef RRI_CLASS_H
#define RRI_CLASS_H

#include "signature.h"
#include "sync.h"

enum { RRI_CLASS_NAME_MAX = 255 };     /* bytes */

typedef struct rri_method {
    const char *name;
    rri_signature signature;
    rref_handler handler;
    unsigned flags;
} rri_method;

typedef struct rri_class {
    struct rri_class *next;
    const rref_class *source;       /* NULL: another rank's, known by its description; it has no handlers */
    char *text;                     /* of such a class: what its names point into */
    const char *name;
    uint64_t id;
    rri_signature create;
    rri_signature packed;           /* what its objects are packed into; text is NULL without hooks */
    const rref_hooks *berths;       /* of this rank's classes: where large arguments land, or NULL; not part of the description */
    unsigned flags;
    unsigned count;
    rri_method method[];
} rri_class;

typedef struct rri_classes {
    rri_lock lock;
    rri_class *first;               /* under the lock; classes stay until the end */
    rri_class *far;                 /* under the lock: of other ranks, not known by name */
} rri_classes;

/* Errors through rri_fail: ARGUMENT, SIGNATURE, CLASS_EXISTS, NO_MEMORY. */
int rri_class_add(rri_classes *classes, const rref_class *source, const rri_class **added);
/* Compile a class without making it known; a far one needs no handlers. */
int rri_class_compile(const rref_class *source, bool far, rri_class **out);
void rri_class_drop(rri_class *klass);
/* Make a far class known by its id. Takes it over. */
void rri_class_adopt(rri_classes *classes, rri_class *klass);
void rri_classes_free(rri_classes *classes);

/* By name: of this rank. By id: of any. */
const rri_class *rri_class_named(rri_classes *classes, const char *name);
const rri_class *rri_class_of_id(rri_classes *classes, uint64_t id);

/* Number of a method, or -1. */
int rri_method_find(const rri_class *klass, const char *name);

#endif
