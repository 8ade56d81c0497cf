/* SPDX-License-Identifier: BSD-3-Clause */
/* Any text as a signature: refused with a reason, or compiled, and then its canonical text means the same. */
#include "fuzz.h"

#include "error.h"
#include "signature.h"

static bool same_list(const rri_types *a, const rri_types *b)
{
    bool same = a->count == b->count && a->slots == b->slots && a->variables == b->variables && a->refs == b->refs;
    for (unsigned i = 0; same && i < a->count; i++) {
        const rri_type *x = &a->type[i], *y = &b->type[i];
        same = x->element == y->element && x->array == y->array && x->variable == y->variable && x->align == y->align &&
               x->size == y->size && x->wire == y->wire && x->slot == y->slot && !x->name == !y->name &&
               (!x->name || !strcmp(x->name, y->name));
    }
    return same;
}

/* Slots follow each other without holes that a reader could fall into. */
static void check_slots(const rri_types *types)
{
    uint32_t end = 0;
    MUST(types->count <= RRI_TYPES_MAX);
    for (unsigned i = 0; i < types->count; i++) {
        const rri_type *t = &types->type[i];
        MUST(t->size > 0 && t->wire > 0 && t->slot >= end);
        end = t->slot + (t->variable ? 16 : t->element == RREF_REF ? RRI_REF_WIRE : t->element == RREF_C128 ? 16 : 8);
    }
    MUST(end <= types->slots && types->slots % 8 == 0);
}

static void check_format(const rri_types *types)
{
    char text[64];
    for (unsigned i = 0; i < types->count; i++)
        for (size_t room = 1; room <= sizeof text; room *= 8) {
            rri_type_format(&types->type[i], text, room);
            MUST(memchr(text, 0, room));
        }
}

static void check_parsed(rri_signature *s)
{
    rri_signature again;
    MUST(rri_signature_parse(s->text, &again) == RREF_OK);
    MUST(!strcmp(s->text, again.text));
    MUST(same_list(&s->in, &again.in) && same_list(&s->out, &again.out));
    check_slots(&s->in);
    check_slots(&s->out);
    check_format(&s->in);
    check_format(&s->out);
    rri_signature_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = { data, size };
    rri_signature s, before;
    char *text = fuzz_string(&in);
    memset(&s, 0x5a, sizeof s);
    memcpy(&before, &s, sizeof s);
    int rc = rri_signature_parse(text, &s);
    if (rc) {
        MUST(rc == RREF_ERR_SIGNATURE && rri_error_last()->code == rc && rri_error_last()->text[0]);
        MUST(!memcmp(&s, &before, sizeof s));
    } else {
        check_parsed(&s);
        rri_signature_free(&s);
    }
    free(text);
    return 0;
}
