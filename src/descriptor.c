/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the layout of descriptors. */
#include "descriptor.h"
#include "error.h"
#include "memory.h"

#include <stdlib.h>
#include <string.h>

enum { COPIED = 1 << 30, METHOD_MIN = sizeof(uint32_t) + 3 };     /* flags, a name of one letter, an empty signature */

size_t rri_descriptor_bytes(const rri_class *k)
{
    size_t n = 2 * sizeof(uint32_t) + strlen(k->name) + strlen(k->create.text) + 2;
    if (k->packed.text) n += strlen(k->packed.text) + 1;
    for (unsigned i = 0; i < k->count; i++)
        n += sizeof(uint32_t) + strlen(k->method[i].name) + strlen(k->method[i].signature.text) + 2;
    return n;
}

static char *put_number(char *to, uint32_t number)
{
    memcpy(to, &number, sizeof number);
    return to + sizeof number;
}

static char *put_text(char *to, const char *text)
{
    size_t n = strlen(text) + 1;
    memcpy(to, text, n);
    return to + n;
}

void rri_descriptor_write(const rri_class *k, void *to)
{
    uint32_t flags = k->flags | (k->packed.text ? COPIED : 0);
    char *at = put_text(put_text(put_number(put_number(to, flags), k->count), k->name), k->create.text);
    if (k->packed.text) at = put_text(at, k->packed.text);
    for (unsigned i = 0; i < k->count; i++) {
        const rri_method *m = &k->method[i];
        at = put_text(put_text(put_number(at, m->flags), m->name), m->signature.text);
    }
}

/* What is left to read. Once something does not fit, bad stays set and everything reads as empty. */
typedef struct reader {
    char *at, *end;
    bool bad;
} reader;

static uint32_t take_number(reader *r)
{
    uint32_t number = 0;
    if ((size_t)(r->end - r->at) < sizeof number) {
        r->bad = true;
        return 0;
    }
    memcpy(&number, r->at, sizeof number);
    r->at += sizeof number;
    return number;
}

static const char *take_text(reader *r)
{
    const char *text = r->at, *end = memchr(r->at, 0, (size_t)(r->end - r->at));
    if (!end) {
        r->bad = true;
        return "";
    }
    r->at += end - text + 1;
    return text;
}

/* The table as its owner once gave it, without handlers. */
static bool read_table(reader *r, rref_class *source, rref_hooks *hooks, rref_method **methods)
{
    uint32_t flags = take_number(r), count = take_number(r);
    source->name = take_text(r);
    source->signature = take_text(r);
    source->flags = flags & ~(uint32_t)COPIED;
    if (flags & COPIED) {
        hooks->signature = take_text(r);
        source->hooks = hooks;
    }
    r->bad |= count > (size_t)(r->end - r->at) / METHOD_MIN;
    *methods = r->bad ? NULL : rri_calloc((size_t)count + 1, sizeof **methods);
    for (uint32_t i = 0; *methods && i < count; i++) {
        rref_method *m = &(*methods)[i];
        m->flags = take_number(r);
        m->name = take_text(r);
        m->signature = take_text(r);
    }
    source->methods = *methods;
    size_t name = strlen(source->name);
    return *methods && !r->bad && r->at == r->end && name > 0 && name <= RRI_CLASS_NAME_MAX;
}

static int compile(char *text, size_t count, rri_class **klass)
{
    reader r = { text, text + count, false };
    rref_class source = { .name = NULL };
    rref_hooks hooks = { .signature = NULL };
    rref_method *methods = NULL;
    int rc = read_table(&r, &source, &hooks, &methods) ? rri_class_compile(&source, true, klass) : RREF_ERR_PROTOCOL;
    if (!r.bad && !methods) rc = rri_fail(RREF_ERR_NO_MEMORY, "no memory for the methods of class %s", source.name);
    free(methods);
    return rc == RREF_OK || rc == RREF_ERR_NO_MEMORY ? rc : rri_fail(RREF_ERR_PROTOCOL, "a class description cannot be read");
}

int rri_descriptor_read(const void *bytes, size_t count, rri_class **klass)
{
    char *text = rri_malloc(count ? count : 1);
    if (!text) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for a class description of %zu bytes", count);
    memcpy(text, bytes, count);
    int rc = compile(text, count, klass);
    if (rc) free(text);
    else (*klass)->text = text;
    return rc;
}
