/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the compiled classes. The hash is FNV-1a (Fowler, Noll, Vo) over name, signatures and flags in order. */
#include "class.h"
#include "error.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { METHODS_MAX = 65535 };

static uint64_t hash_bytes(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * UINT64_C(0x100000001b3);
    return h;
}

static uint64_t hash_text(uint64_t h, const char *text) { return hash_bytes(h, text, strlen(text) + 1); }

static uint64_t identify(const rri_class *c)
{
    uint64_t h = hash_text(hash_text(UINT64_C(0xcbf29ce484222325), c->name), c->create.text);
    for (unsigned i = 0; i < c->count; i++) {
        h = hash_text(hash_text(h, c->method[i].name), c->method[i].signature.text);
        h = hash_bytes(h, &c->method[i].flags, sizeof c->method[i].flags);
    }
    h = hash_bytes(h, &c->flags, sizeof c->flags);
    if (c->packed.text) h = hash_text(h, c->packed.text);
    return h ? h : 1;
}

void rri_class_drop(rri_class *c)
{
    if (c->create.text) rri_signature_free(&c->create);
    if (c->packed.text) rri_signature_free(&c->packed);
    for (unsigned i = 0; i < c->count; i++)
        if (c->method[i].signature.text) rri_signature_free(&c->method[i].signature);
    free(c->text);
    free(c);
}

/* Says whose signature is wrong, in front of what is wrong with it. */
static int parse(const char *owner, const char *name, const char *text, rri_signature *signature)
{
    int rc = rri_signature_parse(text, signature);
    if (rc) {
        char why[RREF_TEXT_MAX];
        rri_error_copy(why, sizeof why, rri_error_last()->text);
        rri_fail(rc, "%s.%s: %s", owner, name, why);
    }
    return rc;
}

static int compile_method(rri_class *c, const rref_method *m, bool far)
{
    const unsigned known = RREF_INLINE | RREF_WORKER | RREF_CONCURRENT;
    if ((!m->handler && !far) || !m->name[0] || !m->signature)
        return rri_fail(RREF_ERR_ARGUMENT, "%s.%s has no handler, name or signature", c->name, m->name);
    if (m->flags & ~known) return rri_fail(RREF_ERR_ARGUMENT, "%s.%s has unknown flags %#x", c->name, m->name, m->flags);
    if (m->flags & RREF_INLINE && m->flags & RREF_WORKER)
        return rri_fail(RREF_ERR_ARGUMENT, "%s.%s runs on the thread that drives (RREF_INLINE) or never (RREF_WORKER), not both",
                        c->name, m->name);
    if (rri_method_find(c, m->name) >= 0)
        return rri_fail(RREF_ERR_ARGUMENT, "%s has two methods named %s", c->name, m->name);
    rri_method *to = &c->method[c->count];
    int rc = parse(c->name, m->name, m->signature, &to->signature);
    if (rc) return rc;
    to->name = m->name;
    to->handler = m->handler;
    to->flags = m->flags;
    c->count++;
    return RREF_OK;
}

static int compile_hooks(rri_class *c, const rref_hooks *hooks, bool far)
{
    if (!hooks) return RREF_OK;
    if (hooks->landed && !hooks->landing)
        return rri_fail(RREF_ERR_ARGUMENT, "class %s takes landings back, and gives none", c->name);
    if (hooks->landing) c->berths = hooks;
    if (hooks->landing && !hooks->signature && !hooks->pack && !hooks->unpack) return RREF_OK;
    if (!hooks->signature || (!far && (!hooks->pack || !hooks->unpack)))
        return rri_fail(RREF_ERR_ARGUMENT, "the hooks of class %s need pack, unpack and a signature", c->name);
    int rc = parse(c->name, "pack", hooks->signature, &c->packed);
    if (rc == RREF_OK && c->packed.out.count)
        rc = rri_fail(RREF_ERR_SIGNATURE, "%s: hooks have one list of values, without results", c->name);
    return rc;
}

static int compile_head(rri_class *c, const rref_class *source, bool far)
{
    const unsigned known = RREF_SEALED | RREF_REENTRANT;
    if (source->flags & ~known) return rri_fail(RREF_ERR_ARGUMENT, "class %s has unknown flags %#x", c->name, source->flags);
    c->flags = source->flags;
    int rc = parse(c->name, "constructor", source->signature ? source->signature : "", &c->create);
    if (rc == RREF_OK && c->create.out.count) rc = rri_fail(RREF_ERR_SIGNATURE, "%s: a constructor has no results", c->name);
    return rc ? rc : compile_hooks(c, source->hooks, far);
}

int rri_class_compile(const rref_class *source, bool far, rri_class **out)
{
    size_t n = 0;
    while (source->methods && source->methods[n].name && n < METHODS_MAX) n++;
    rri_class *c = rri_calloc(1, sizeof *c + n * sizeof c->method[0]);
    if (!c) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for class %s", source->name);
    c->source = far ? NULL : source;
    c->name = source->name;
    int rc = compile_head(c, source, far);
    for (size_t i = 0; rc == RREF_OK && i < n; i++) rc = compile_method(c, &source->methods[i], far);
    if (rc) {
        rri_class_drop(c);
        return rc;
    }
    c->id = identify(c);
    *out = c;
    return RREF_OK;
}

static const rri_class *named(const rri_classes *classes, const char *name)
{
    const rri_class *c = classes->first;
    while (c && strcmp(c->name, name)) c = c->next;
    return c;
}

int rri_class_add(rri_classes *classes, const rref_class *source, const rri_class **added)
{
    rri_class *c = NULL;
    if (!source || !source->name || !source->name[0] || strlen(source->name) > RRI_CLASS_NAME_MAX)
        return rri_fail(RREF_ERR_ARGUMENT, "a class needs a name of 1 to %d bytes", RRI_CLASS_NAME_MAX);
    int rc = rri_class_compile(source, false, &c);
    if (rc) return rc;
    rri_lock_take(&classes->lock);
    const rri_class *there = named(classes, c->name);
    if (!there) {
        c->next = classes->first;
        classes->first = c;
    }
    rri_lock_give(&classes->lock);
    if (there) {
        rc = rri_fail(RREF_ERR_CLASS_EXISTS, there->id == c->id ? "class %s is registered already"
                                                               : "another class is registered as %s", c->name);
        rri_class_drop(c);
        return rc;
    }
    if (added) *added = c;
    return RREF_OK;
}

void rri_class_adopt(rri_classes *classes, rri_class *klass)
{
    rri_lock_take(&classes->lock);
    klass->next = classes->far;
    classes->far = klass;
    rri_lock_give(&classes->lock);
}

static void free_list(rri_class **first)
{
    for (rri_class *c; (c = *first);) {
        *first = c->next;
        rri_class_drop(c);
    }
}

void rri_classes_free(rri_classes *classes)
{
    free_list(&classes->first);
    free_list(&classes->far);
}

const rri_class *rri_class_named(rri_classes *classes, const char *name)
{
    rri_lock_take(&classes->lock);
    const rri_class *c = named(classes, name);
    rri_lock_give(&classes->lock);
    return c;
}

static const rri_class *of_id(const rri_class *c, uint64_t id)
{
    while (c && c->id != id) c = c->next;
    return c;
}

const rri_class *rri_class_of_id(rri_classes *classes, uint64_t id)
{
    rri_lock_take(&classes->lock);
    const rri_class *c = of_id(classes->first, id);
    if (!c) c = of_id(classes->far, id);
    rri_lock_give(&classes->lock);
    return c;
}

/* Method names are mostly literals: the address decides before the letters do. */
int rri_method_find(const rri_class *klass, const char *name)
{
    for (unsigned i = 0; i < klass->count; i++)
        if (klass->method[i].name == name || !strcmp(klass->method[i].name, name)) return (int)i;
    return -1;
}
