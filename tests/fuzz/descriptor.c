/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as the description of a class: refused with a reason, or compiled, and then written again they are a description of
 * the same class, and stay as they are. */
#include "fuzz.h"

#include "descriptor.h"
#include "error.h"

static void same_method(const rri_method *a, const rri_method *b)
{
    MUST(!strcmp(a->name, b->name) && a->flags == b->flags && !a->handler);
    MUST(!strcmp(a->signature.text, b->signature.text));
}

static void same_class(const rri_class *a, const rri_class *b)
{
    MUST(a->id == b->id && a->count == b->count && a->flags == b->flags && !strcmp(a->name, b->name));
    MUST(!a->packed.text == !b->packed.text);
    for (unsigned i = 0; i < a->count; i++) same_method(&a->method[i], &b->method[i]);
}

static char *written(const rri_class *k, size_t *bytes)
{
    *bytes = rri_descriptor_bytes(k);
    char *to = fuzz_room(*bytes);
    rri_descriptor_write(k, to);
    return to;
}

static void check_read(const rri_class *k)
{
    size_t bytes, again_bytes;
    rri_class *again = NULL;
    char *first = written(k, &bytes);
    MUST(rri_descriptor_read(first, bytes, &again) == RREF_OK);
    same_class(k, again);
    char *second = written(again, &again_bytes);
    MUST(bytes == again_bytes && !memcmp(first, second, bytes));
    rri_class_drop(again);
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rri_class *k = NULL;
    void *exact = fuzz_exact(data, size);
    int rc = rri_descriptor_read(exact, size, &k);
    free(exact);                                    /* the class keeps nothing of where it was read */
    if (rc) {
        MUST(rc == RREF_ERR_PROTOCOL && rri_error_last()->code == rc && rri_error_last()->text[0] && !k);
    } else {
        check_read(k);
        rri_class_drop(k);
    }
    return 0;
}
