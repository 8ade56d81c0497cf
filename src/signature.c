/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Owns the grammar of signatures and the places of packed values.
 *
 * A compiled signature is one block of memory: the canonical text, and behind it the names of its structs, each ending
 * in 0. Slots lie one behind the other in the order of the types; nothing in a list depends on the other list.
 */
#include "signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "memory.h"

/* A list of 12 types gets 11 commas, each of which may cost one space more than was written; an arrow costs two. */
enum { TEXT_GROWTH = 32 };

static const struct {
    const char *name;
    uint8_t align;
    uint8_t size;
    uint8_t wire;
    uint8_t slot;               /* of a scalar; 0: there are none, the type is variable */
} elements[] = {
    [RREF_NONE] = { "none", 1, 0, 0, 0 },
    [RREF_BOOL] = { "bool", 1, 1, 1, 8 },
    [RREF_I8] = { "i8", 1, 1, 1, 8 },
    [RREF_I16] = { "i16", 2, 2, 2, 8 },
    [RREF_I32] = { "i32", 4, 4, 4, 8 },
    [RREF_I64] = { "i64", 8, 8, 8, 8 },
    [RREF_U8] = { "u8", 1, 1, 1, 8 },
    [RREF_U16] = { "u16", 2, 2, 2, 8 },
    [RREF_U32] = { "u32", 4, 4, 4, 8 },
    [RREF_U64] = { "u64", 8, 8, 8, 8 },
    [RREF_F32] = { "f32", 4, 4, 4, 8 },
    [RREF_F64] = { "f64", 8, 8, 8, 8 },
    [RREF_C64] = { "c64", 4, 8, 8, 8 },
    [RREF_C128] = { "c128", 8, 16, 16, 16 },
    [RREF_STR] = { "str", 1, 1, 1, 0 },
    [RREF_BYTES] = { "bytes", 16, 1, 1, 0 },
    [RREF_REF] = { "ref", 8, sizeof(rref), RRI_REF_WIRE, RRI_REF_WIRE },
    [RREF_STRUCT] = { "struct", 16, 0, 0, 0 },
};
enum { ELEMENTS = sizeof elements / sizeof *elements, VARIABLE_SLOT = 16 };

typedef struct parser {
    const char *text;           /* from the start, for places */
    const char *at;
    char *names;                /* where the next struct's name goes */
} parser;

/* ---- tokens -------------------------------------------------------------------------------------------------- */

/* Letters and digits are those of ASCII, whatever the locale. */
static bool starts_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void skip_blanks(parser *p)
{
    p->at += strspn(p->at, " \t\n");
}

static bool take(parser *p, const char *token)
{
    size_t length = strlen(token);

    skip_blanks(p);
    if (strncmp(p->at, token, length) != 0) return false;
    p->at += length;
    return true;
}

/* Length of the word that comes, 0 if none does. */
static size_t word_length(parser *p)
{
    size_t n = 0;

    skip_blanks(p);
    if (!starts_word(*p->at)) return 0;
    while (starts_word(p->at[n]) || is_digit(p->at[n])) n++;
    return n;
}

static int fail_at(const parser *p, const char *place, const char *what)
{
    return rri_fail(RREF_ERR_SIGNATURE, "at %zu: %s in \"%s\"", (size_t)(place - p->text), what, p->text);
}

static int fail_wanted(parser *p, const char *wanted)
{
    char what[96], found[8];

    skip_blanks(p);
    if (*p->at == 0) snprintf(found, sizeof found, "the end");
    else if (*p->at > ' ' && *p->at <= '~') snprintf(found, sizeof found, "'%c'", *p->at);
    else snprintf(found, sizeof found, "0x%02x", (unsigned)(unsigned char)*p->at);
    snprintf(what, sizeof what, "%s wanted, %s found", wanted, found);
    return fail_at(p, p->at, what);
}

/* ---- types --------------------------------------------------------------------------------------------------- */

static int parse_struct_size(parser *p, rri_type *type)
{
    if (!take(p, "[")) return fail_wanted(p, "'[' and the struct's size");
    skip_blanks(p);
    const char *start = p->at;
    uint64_t size = 0;
    if (!is_digit(*start)) return fail_wanted(p, "the struct's size in bytes");
    for (; is_digit(*p->at); p->at++)
        if (size <= INT32_MAX) size = size * 10 + (uint64_t)(*p->at - '0');
    if (size < 1 || size > INT32_MAX) return fail_at(p, start, "a struct has 1 to 2147483647 bytes");
    if (!take(p, "]")) return fail_wanted(p, "']'");
    type->size = type->wire = (uint32_t)size;
    return 0;
}

static int parse_struct(parser *p, rri_type *type)
{
    size_t length = word_length(p);

    if (length == 0) return fail_wanted(p, "the struct's name");
    memcpy(p->names, p->at, length);
    p->names[length] = 0;
    type->name = p->names;
    p->names += length + 1;
    p->at += length;
    return parse_struct_size(p, type);
}

static uint8_t element_named(const char *word, size_t length)
{
    for (unsigned e = RREF_NONE + 1; e < ELEMENTS; e++)
        if (strlen(elements[e].name) == length && memcmp(elements[e].name, word, length) == 0) return (uint8_t)e;
    return RREF_NONE;
}

static int fail_unknown(const parser *p, size_t length)
{
    char what[64];

    if (length > 32) snprintf(what, sizeof what, "there is no type \"%.32s...\"", p->at);
    else snprintf(what, sizeof what, "there is no type \"%.*s\"", (int)length, p->at);
    return fail_at(p, p->at, what);
}

static int parse_element(parser *p, rri_type *type)
{
    size_t length = word_length(p);
    uint8_t element = element_named(p->at, length);

    if (length == 0) return fail_wanted(p, "a type");
    if (element == RREF_NONE) return fail_unknown(p, length);
    p->at += length;
    *type = (rri_type){ .element = element, .align = elements[element].align, .size = elements[element].size,
                        .wire = elements[element].wire };
    return element == RREF_STRUCT ? parse_struct(p, type) : 0;
}

static int parse_type(parser *p, rri_type *type)
{
    int err = parse_element(p, type);
    if (err) return err;
    skip_blanks(p);
    const char *bracket = p->at;
    type->array = take(p, "[");
    if (type->array && !take(p, "]")) return fail_wanted(p, "']'");
    if (type->array && type->element == RREF_STR) return fail_at(p, bracket, "there are no arrays of str");
    if (type->array && type->element == RREF_BYTES) return fail_at(p, bracket, "there are no arrays of bytes");
    type->variable = type->array || elements[type->element].slot == 0;
    return 0;
}

/* As the first two fields of a value lie in memory. */
static uint32_t fields_of(rref_kind kind, rref_type element)
{
    const uint16_t fields[2] = { (uint16_t)kind, (uint16_t)element };
    uint32_t both;
    memcpy(&both, fields, sizeof both);
    return both;
}

static bool is_word(const rri_type *type)
{
    const unsigned words = 1u << RREF_I64 | 1u << RREF_U64 | 1u << RREF_F64;
    return !type->array && words >> type->element & 1;
}

static void add_type(rri_types *types, rri_type type)
{
    type.tag = is_word(&type) ? fields_of(RREF_VALUE_SCALAR, type.element) : UINT32_MAX;
    type.room = type.variable ? UINT32_MAX : fields_of(RREF_VALUE_OUT, type.element);
    types->words = is_word(&type) && (types->words || types->count == 0);
    type.slot = types->slots;
    types->slots += type.variable ? VARIABLE_SLOT : elements[type.element].slot;
    types->variables += type.variable;
    types->refs |= type.element == RREF_REF;
    types->bools |= type.element == RREF_BOOL;
    types->type[types->count++] = type;
}

static int parse_types(parser *p, rri_types *types)
{
    skip_blanks(p);
    if (*p->at == 0 || strncmp(p->at, "->", 2) == 0) return 0;
    do {
        rri_type type = { .element = RREF_NONE };
        skip_blanks(p);
        if (types->count == RRI_TYPES_MAX) return fail_at(p, p->at, "more than 12 types");
        int err = parse_type(p, &type);
        if (err) return err;
        add_type(types, type);
    } while (take(p, ","));
    return 0;
}

static int parse_both(parser *p, rri_signature *made)
{
    int err = parse_types(p, &made->in);
    if (err) return err;
    bool arrow = take(p, "->");
    err = arrow ? parse_types(p, &made->out) : 0;
    if (err) return err;
    skip_blanks(p);
    return *p->at == 0 ? 0 : fail_wanted(p, arrow ? "',' or the end" : "',' or \"->\"");
}

/* ---- the canonical text -------------------------------------------------------------------------------------- */

void rri_type_format(const rri_type *type, char *buffer, size_t size)
{
    uint8_t element = type->element < ELEMENTS ? type->element : RREF_NONE;
    const char *brackets = type->array ? "[]" : "";

    if (element == RREF_STRUCT)
        snprintf(buffer, size, "struct %s[%" PRIu32 "]%s", type->name ? type->name : "?", type->size, brackets);
    else
        snprintf(buffer, size, "%s%s", elements[element].name, brackets);
}

static char *write_types(const rri_types *types, char *to, const char *end)
{
    for (unsigned i = 0; i < types->count; i++) {
        if (i > 0) to = strcpy(to, ", ") + 2;
        rri_type_format(&types->type[i], to, (size_t)(end - to));
        to += strlen(to);
    }
    return to;
}

static void write_text(const rri_signature *made, const char *end)
{
    char *to = made->text;

    *to = 0;
    to = write_types(&made->in, to, end);
    if (made->out.count == 0) return;
    if (made->in.count > 0) *to++ = ' ';
    to = strcpy(to, "-> ") + 3;
    write_types(&made->out, to, end);
}

/* The memory is twice the room: for the canonical text, and for names. */
static size_t room_for(const char *text) { return strlen(text) + TEXT_GROWTH; }

static int parse_at(const char *text, char *memory, rri_signature *signature)
{
    rri_signature made = { .text = memory };
    parser p = { text, text, memory + room_for(text) };
    int err = parse_both(&p, &made);
    if (err) return err;
    write_text(&made, memory + room_for(text));
    *signature = made;
    return 0;
}

int rri_signature_parse(const char *text, rri_signature *signature)
{
    if (!text) return rri_fail(RREF_ERR_SIGNATURE, "at 0: the signature is NULL");
    char *memory = rri_malloc(2 * room_for(text));
    if (!memory) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for the signature \"%s\"", text);
    int err = parse_at(text, memory, signature);
    if (err) free(memory);
    return err;
}

int rri_signature_parse_at(const char *text, char *memory, size_t bytes, rri_signature *signature)
{
    if (2 * room_for(text) > bytes) return rri_fail(RREF_ERR_NO_MEMORY, "no memory for the signature \"%s\"", text);
    return parse_at(text, memory, signature);
}

void rri_signature_free(rri_signature *signature)
{
    if (!signature) return;
    free(signature->text);
    memset(signature, 0, sizeof *signature);
}
