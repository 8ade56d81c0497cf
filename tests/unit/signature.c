/* SPDX-License-Identifier: BSD-3-Clause */
/* Signatures: what parses and to what text, what does not and where, and the places of packed values. */
#include "signature.h"

#include "check.h"
#include "error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *text;
    const char *canonical;
    unsigned in, out;
} good[] = {
    { "", "", 0, 0 },
    { "   ", "", 0, 0 },
    { "->", "", 0, 0 },
    { " -> ", "", 0, 0 },
    { "u64", "u64", 1, 0 },
    { "u64->", "u64", 1, 0 },
    { "->f64", "-> f64", 0, 1 },
    { "u64, f64[], str -> f64, ref[]", "u64, f64[], str -> f64, ref[]", 3, 2 },
    { "u64,f64[],str->f64,ref[]", "u64, f64[], str -> f64, ref[]", 3, 2 },
    { "\tu64 ,\n f64 [ ] , str\n->f64,ref[ ] ", "u64, f64[], str -> f64, ref[]", 3, 2 },
    { "bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, c64",
      "bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, c64", 12, 0 },
    { "c128, str, bytes, ref -> bool[], i8[], u64[], c64[], c128[]",
      "c128, str, bytes, ref -> bool[], i8[], u64[], c64[], c128[]", 4, 5 },
    { "struct particle[56]", "struct particle[56]", 1, 0 },
    { "struct particle [ 56 ] [ ]", "struct particle[56][]", 1, 0 },
    { "struct _x9[1], struct X[2147483647][]", "struct _x9[1], struct X[2147483647][]", 2, 0 },
    { "struct s[00008]", "struct s[8]", 1, 0 },
    { "struct struct[8], struct u64[8]", "struct struct[8], struct u64[8]", 2, 0 },
    { "u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8->u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8",
      "u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8 -> u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8, u8", 12, 12 },
};

static const struct {
    const char *text;
    const char *error;          /* without the text quoted at its end */
} bad[] = {
    { ",", "at 0: a type wanted, ',' found" },
    { "u64,", "at 4: a type wanted, the end found" },
    { "u64, ", "at 5: a type wanted, the end found" },
    { "u64,, f64", "at 4: a type wanted, ',' found" },
    { "u64, -> f64", "at 5: a type wanted, '-' found" },
    { "u64 f64", "at 4: ',' or \"->\" wanted, 'f' found" },
    { "u64 - > f64", "at 4: ',' or \"->\" wanted, '-' found" },
    { "u64 -> f64 -> f32", "at 11: ',' or the end wanted, '-' found" },
    { "u64 -> f64 f32", "at 11: ',' or the end wanted, 'f' found" },
    { "u64 ->->", "at 6: ',' or the end wanted, '-' found" },
    { "u64, f65", "at 5: there is no type \"f65\"" },
    { "U64", "at 0: there is no type \"U64\"" },
    { "u6", "at 0: there is no type \"u6\"" },
    { "u640", "at 0: there is no type \"u640\"" },
    { "none", "at 0: there is no type \"none\"" },
    { "a_word_of_more_than_thirty_two_letters", "at 0: there is no type \"a_word_of_more_than_thirty_two_l...\"" },
    { "64", "at 0: a type wanted, '6' found" },
    { "\x01", "at 0: a type wanted, 0x01 found" },
    { "u64, \xc3\xa4", "at 5: a type wanted, 0xc3 found" },
    { "f64[", "at 4: ']' wanted, the end found" },
    { "f64[3]", "at 4: ']' wanted, '3' found" },
    { "f64]", "at 3: ',' or \"->\" wanted, ']' found" },
    { "f64[][]", "at 5: ',' or \"->\" wanted, '[' found" },
    { "str[]", "at 3: there are no arrays of str" },
    { "u64, bytes []", "at 11: there are no arrays of bytes" },
    { "struct", "at 6: the struct's name wanted, the end found" },
    { "struct 9a[8]", "at 7: the struct's name wanted, '9' found" },
    { "struct[8]", "at 6: the struct's name wanted, '[' found" },
    { "struct a", "at 8: '[' and the struct's size wanted, the end found" },
    { "struct a[]", "at 9: the struct's size in bytes wanted, ']' found" },
    { "struct a[x]", "at 9: the struct's size in bytes wanted, 'x' found" },
    { "struct a[-1]", "at 9: the struct's size in bytes wanted, '-' found" },
    { "struct a[0]", "at 9: a struct has 1 to 2147483647 bytes" },
    { "struct a[2147483648]", "at 9: a struct has 1 to 2147483647 bytes" },
    { "struct a[18446744073709551617]", "at 9: a struct has 1 to 2147483647 bytes" },
    { "struct a[99999999999999999999999999999999]", "at 9: a struct has 1 to 2147483647 bytes" },
    { "struct a[8", "at 10: ']' wanted, the end found" },
    { "struct a[8]]", "at 11: ',' or \"->\" wanted, ']' found" },
    { "u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8", "at 36: more than 12 types" },
    { "-> u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8", "at 39: more than 12 types" },
};
enum { GOOD = sizeof good / sizeof *good, BAD = sizeof bad / sizeof *bad };

/* ---- the grammar --------------------------------------------------------------------------------------------- */

/* The text in memory of its exact size, so that sanitizers see a step too far. */
static int parse(const char *text, rri_signature *s)
{
    size_t size = strlen(text) + 1;
    char *exact = malloc(size);
    CU_ASSERT_FATAL(exact != NULL);
    memcpy(exact, text, size);
    int err = rri_signature_parse(exact, s);
    free(exact);
    return err;
}

static void parses(void)
{
    for (int i = 0; i < GOOD; i++) {
        rri_signature s, again;
        CU_ASSERT_EQUAL_FATAL(parse(good[i].text, &s), 0);
        CU_ASSERT_STRING_EQUAL(s.text, good[i].canonical);
        CU_ASSERT_EQUAL(s.in.count, good[i].in);
        CU_ASSERT_EQUAL(s.out.count, good[i].out);
        CU_ASSERT_EQUAL_FATAL(parse(s.text, &again), 0);
        CU_ASSERT_STRING_EQUAL(again.text, s.text);
        rri_signature_free(&s);
        rri_signature_free(&again);
    }
}

static void says_what_is_wrong(void)
{
    for (int i = 0; i < BAD; i++) {
        rri_signature s, before;
        char wanted[256];
        memset(&s, 0x5a, sizeof s);
        before = s;
        CU_ASSERT_EQUAL(parse(bad[i].text, &s), RREF_ERR_SIGNATURE);
        snprintf(wanted, sizeof wanted, "%s in \"%s\"", bad[i].error, bad[i].text);
        CU_ASSERT_STRING_EQUAL(rri_error_last()->text, wanted);
        CU_ASSERT_EQUAL(memcmp(&s, &before, sizeof s), 0);
    }
}

static void refuses_null(void)
{
    rri_signature s;
    CU_ASSERT_EQUAL(rri_signature_parse(NULL, &s), RREF_ERR_SIGNATURE);
}

static void frees_twice(void)
{
    rri_signature s;
    CU_ASSERT_EQUAL_FATAL(parse("struct a[8]", &s), 0);
    rri_signature_free(&s);
    CU_ASSERT_PTR_NULL(s.text);
    CU_ASSERT_EQUAL(s.in.count, 0);
    rri_signature_free(&s);
    rri_signature_free(NULL);
}

/* Every beginning of every good text, and every text with one byte changed: refused or parsed, never worse. */
static void survives_damage(void)
{
    char text[128];
    rri_signature s;
    for (int i = 0; i < GOOD; i++) {
        size_t length = strlen(good[i].text);
        for (size_t cut = 0; cut <= length; cut++) {
            rri_error_copy(text, cut + 1, good[i].text);
            if (parse(text, &s) == 0) rri_signature_free(&s);
        }
        for (size_t at = 0; at < length; at++) {
            for (int c = 1; c < 256; c++) {
                rri_error_copy(text, sizeof text, good[i].text);
                text[at] = (char)c;
                if (parse(text, &s) == 0) rri_signature_free(&s);
            }
        }
    }
}

static void parses_long_names(void)
{
    enum { NAME = 20000 };
    char *text = malloc(2 * NAME + 64);
    rri_signature s;
    CU_ASSERT_FATAL(text != NULL);
    strcpy(text, "struct ");
    memset(text + 7, 'a', NAME);
    strcpy(text + 7 + NAME, "[8],struct ");
    memset(text + 18 + NAME, 'b', NAME);
    strcpy(text + 18 + 2 * NAME, "[8]");
    CU_ASSERT_EQUAL_FATAL(parse(text, &s), 0);
    CU_ASSERT_EQUAL(strlen(s.text), strlen(text) + 1);
    CU_ASSERT_EQUAL(strspn(s.in.type[0].name, "a"), NAME);
    CU_ASSERT_EQUAL(strspn(s.in.type[1].name, "b"), NAME);
    CU_ASSERT_EQUAL(strlen(s.in.type[1].name), NAME);
    rri_signature_free(&s);
    free(text);
}

/* ---- places -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    uint8_t element, align;
    bool array, variable;
    uint32_t size, wire, slot;  /* slot: bytes it takes */
} types[] = {
    { "bool", RREF_BOOL, 1, false, false, 1, 1, 8 },
    { "i8", RREF_I8, 1, false, false, 1, 1, 8 },
    { "i16", RREF_I16, 2, false, false, 2, 2, 8 },
    { "i32", RREF_I32, 4, false, false, 4, 4, 8 },
    { "i64", RREF_I64, 8, false, false, 8, 8, 8 },
    { "u8", RREF_U8, 1, false, false, 1, 1, 8 },
    { "u16", RREF_U16, 2, false, false, 2, 2, 8 },
    { "u32", RREF_U32, 4, false, false, 4, 4, 8 },
    { "u64", RREF_U64, 8, false, false, 8, 8, 8 },
    { "f32", RREF_F32, 4, false, false, 4, 4, 8 },
    { "f64", RREF_F64, 8, false, false, 8, 8, 8 },
    { "c64", RREF_C64, 4, false, false, 8, 8, 8 },
    { "c128", RREF_C128, 8, false, false, 16, 16, 16 },
    { "str", RREF_STR, 1, false, true, 1, 1, 16 },
    { "bytes", RREF_BYTES, 16, false, true, 1, 1, 16 },
    { "ref", RREF_REF, 8, false, false, 8, 48, 48 },
    { "ref[]", RREF_REF, 8, true, true, 8, 48, 16 },
    { "f64[]", RREF_F64, 8, true, true, 8, 8, 16 },
    { "bool[]", RREF_BOOL, 1, true, true, 1, 1, 16 },
    { "struct p[56]", RREF_STRUCT, 16, false, true, 56, 56, 16 },
    { "struct p[56][]", RREF_STRUCT, 16, true, true, 56, 56, 16 },
};
enum { TYPES = sizeof types / sizeof *types };

static void describes_types(void)
{
    for (int i = 0; i < TYPES; i++) {
        rri_signature s;
        char text[64];
        CU_ASSERT_EQUAL_FATAL(parse(types[i].text, &s), 0);
        const rri_type *t = &s.in.type[0];
        CU_ASSERT_EQUAL(t->element, types[i].element);
        CU_ASSERT_EQUAL(t->align, types[i].align);
        CU_ASSERT_EQUAL(t->array, types[i].array);
        CU_ASSERT_EQUAL(t->variable, types[i].variable);
        CU_ASSERT_EQUAL(t->size, types[i].size);
        CU_ASSERT_EQUAL(t->wire, types[i].wire);
        CU_ASSERT_EQUAL(t->slot, 0);
        CU_ASSERT_EQUAL(s.in.slots, types[i].slot);
        CU_ASSERT_EQUAL(s.in.variables, types[i].variable);
        CU_ASSERT_EQUAL(s.in.refs, types[i].element == RREF_REF);
        CU_ASSERT_EQUAL(t->name != NULL, types[i].element == RREF_STRUCT);
        if (t->name) CU_ASSERT_STRING_EQUAL(t->name, "p");
        rri_type_format(t, text, sizeof text);
        CU_ASSERT_STRING_EQUAL(text, types[i].text);
        rri_signature_free(&s);
    }
}

static void places_slots(void)
{
    static const uint32_t wanted[] = { 0, 8, 24, 40, 88, 96 };
    rri_signature s;
    CU_ASSERT_EQUAL_FATAL(parse("u8, c128, str, ref, bool, struct a[4] -> f64[], i32", &s), 0);
    for (unsigned i = 0; i < 6; i++) CU_ASSERT_EQUAL(s.in.type[i].slot, wanted[i]);
    CU_ASSERT_EQUAL(s.in.slots, 112);
    CU_ASSERT_EQUAL(s.in.variables, 2);
    CU_ASSERT(s.in.refs && !s.out.refs);
    CU_ASSERT_EQUAL(s.out.type[1].slot, 16);
    CU_ASSERT_EQUAL(s.out.slots, 24);
    CU_ASSERT_EQUAL(s.out.variables, 1);
    rri_signature_free(&s);
}

static void formats_cut(void)
{
    rri_type t = { .element = RREF_STRUCT, .array = true, .size = 56, .name = "particle" };
    char text[16] = "";
    rri_type_format(&t, text, 8);
    CU_ASSERT_STRING_EQUAL(text, "struct ");
    rri_type_format(&t, text, 1);
    CU_ASSERT_STRING_EQUAL(text, "");
    t.name = NULL;
    rri_type_format(&t, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "struct ?[56][]");
    t.element = 200;
    rri_type_format(&t, text, sizeof text);
    CU_ASSERT_STRING_EQUAL(text, "none[]");
}

static const check_case cases[] = {
    { "parses", parses },
    { "says what is wrong", says_what_is_wrong },
    { "refuses NULL", refuses_null },
    { "frees twice", frees_twice },
    { "survives damage", survives_damage },
    { "parses long names", parses_long_names },
    { "describes types", describes_types },
    { "places slots", places_slots },
    { "formats cut", formats_cut },
    CHECK_END
};
int main(int argc, char **argv) { return check_main(argc, argv, "signature", cases); }
