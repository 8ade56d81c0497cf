/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signatures: "u64, f64[], str -> f64, ref[]" compiled into two type lists with the places of their packed values.
 *
 *   signature = [ types ] [ "->" [ types ] ]    types = type { "," type }    (spaces, tabs, line breaks between tokens)
 *   type      = base [ "[]" ] | "str" | "bytes" | "struct" NAME "[" SIZE "]" [ "[]" ]
 *   base      = bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 c64 c128 ref       NAME = [A-Za-z_][A-Za-z0-9_]*
 * At most RRI_TYPES_MAX types on either side; SIZE is 1 .. 2^31-1 bytes. "" and "->" are no arguments and no results.
 */
#ifndef RRI_SIGNATURE_H
#define RRI_SIGNATURE_H

#include <rref.h>

enum { RRI_TYPES_MAX = 12 };

/* One type of a list. A packed list starts with a slot section of fixed size, so that every value is found in constant
 * time; arrays, strings, bytes and structs have a slot {uint64 count, uint64 where} and their data behind the slots. */
typedef struct rri_type {
    uint8_t element;        /* rref_type */
    bool array;             /* "[]" follows; a plain struct is not an array but has data behind the slots all the same */
    bool variable;          /* slot is {count, where} */
    uint8_t align;          /* of the data: 1, 2, 4, 8 or 16 (structs and bytes 16) */
    uint32_t size;          /* bytes of one element in the handler's memory (ref: sizeof(rref); str and bytes: 1) */
    uint32_t wire;          /* bytes of one element on the wire (as size; ref: RRI_REF_WIRE) */
    uint32_t tag;           /* of a number of 64 bits: how a value that is just this begins (kind, element); else as none does */
    uint32_t room;          /* of what has no array: how room for it begins; else as no value does */
    uint32_t slot;          /* offset of its slot in the slot section: scalars 8 bytes (c128 16, ref RRI_REF_WIRE), variable 16 */
    const char *name;       /* of a struct, else NULL; lives with the signature */
} rri_type;

typedef struct rri_types {
    unsigned count;
    uint32_t slots;         /* bytes of the slot section, a multiple of 8 */
    unsigned variables;     /* how many are variable */
    bool refs;              /* any ref or ref[] among them */
    bool words;             /* numbers of 64 bits, one or more, and nothing else */
    bool bools;             /* any bool: not everything that its slot can hold is a value */
    rri_type type[RRI_TYPES_MAX];
} rri_types;

enum { RRI_REF_WIRE = 48 };

typedef struct rri_signature {
    rri_types in, out;
    char *text;             /* canonical: "u64, f64[] -> f64"; types separated by ", ", sides by " -> ", empty sides left out
                             * ("-> f64", "u64", ""); owns the memory that type names point into */
} rri_signature;

/* Compile. Returns 0; RREF_ERR_SIGNATURE with the place of the mistake ("at 5: ... in "u64, f65"", offset in the
 * text from 0); RREF_ERR_NO_MEMORY; *signature is untouched on failure. NULL text is refused. */
int rri_signature_parse(const char *text, rri_signature *signature);
/* The same in memory that is given, and stays the caller's; some 2 bytes are needed for each of the text. */
int rri_signature_parse_at(const char *text, char *memory, size_t bytes, rri_signature *signature);
void rri_signature_free(rri_signature *signature);

/* "f64[]", "struct particle[56]" into buffer, cut to size. */
void rri_type_format(const rri_type *type, char *buffer, size_t size);

#endif
