/* SPDX-License-Identifier: BSD-3-Clause */
/* Which values fit which types, what becomes of numbers at their limits, what is said about those that do not fit. */
#include "fit.h"

#include "check.h"
#include "error.h"
#include "output.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EAGER = 4096 };

static rri_signature parsed(const char *text)
{
    rri_signature s;
    if (rri_signature_parse(text, &s) != 0) CU_FAIL_FATAL("a signature of this test does not parse");
    return s;
}

/* ---- scalars ------------------------------------------------------------------------------------------------- */

/* The value fits, and its slot holds these bits. */
static void takes(const char *type, rref_value value, uint64_t bits)
{
    rri_signature s = parsed(type);
    rri_packing packing;
    _Alignas(16) uint64_t payload[2] = { 1, 1 };
    CU_ASSERT_EQUAL(rri_values_check(&s.in, &value, 1, EAGER, &packing), 0);
    CU_ASSERT_EQUAL(packing.bytes, 8);
    CU_ASSERT_EQUAL(packing.segments, 0);
    CU_ASSERT_EQUAL(rri_values_pack(&s.in, &value, &packing, payload, NULL, NULL), 0);
    CU_ASSERT_EQUAL(payload[0], bits);
    CU_ASSERT_EQUAL(payload[1], 1);
    CU_ASSERT_EQUAL(rri_payload_check(&s.in, payload, 8, &packing), 0);
    rri_signature_free(&s);
}

static void takes_complex(const char *type, rref_value value, uint64_t re, uint64_t im)
{
    rri_signature s = parsed(type);
    rri_packing packing;
    _Alignas(16) uint64_t payload[2] = { 1, 1 };
    CU_ASSERT_EQUAL(rri_values_check(&s.in, &value, 1, EAGER, &packing), 0);
    CU_ASSERT_EQUAL(rri_values_pack(&s.in, &value, &packing, payload, NULL, NULL), 0);
    CU_ASSERT_EQUAL(payload[0], re);
    CU_ASSERT_EQUAL(payload[1], im);
    rri_signature_free(&s);
}

/* The lists are refused with this error, and nothing is written. */
static void refuses_list(const char *types, const rref_value *values, size_t count, int code, const char *text)
{
    rri_signature s = parsed(types);
    rri_packing packing, before;
    memset(&packing, 0x5a, sizeof packing);
    before = packing;
    CU_ASSERT_EQUAL(rri_values_check(&s.in, values, count, EAGER, &packing), code);
    CU_ASSERT_EQUAL(rri_error_last()->code, code);
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, text);
    CU_ASSERT_EQUAL(memcmp(&packing, &before, sizeof packing), 0);
    rri_signature_free(&s);
}

static void refuses(const char *type, rref_value value, int code, const char *text)
{
    refuses_list(type, &value, 1, code, text);
}

static uint64_t f64(double x) { return rref_of_f64(x).bits; }
static uint64_t f32(float x) { return rref_of_f32(x).bits; }
#define I(x) rref_of_i64(x)
#define U(x) rref_of_u64(x)
#define D(x) rref_of_f64(x)
#define F(x) rref_of_f32(x)
#define RANGE(t) RREF_ERR_RANGE, "argument 0: " t

static void integers_that_fit(void)
{
    static const struct {
        const char *type;
        int64_t least;
        uint64_t most, mask;
    } types[] = {
        { "bool", 0, 1, 0xff },
        { "i8", INT8_MIN, INT8_MAX, 0xff }, { "i16", INT16_MIN, INT16_MAX, 0xffff },
        { "i32", INT32_MIN, INT32_MAX, 0xffffffff }, { "i64", INT64_MIN, INT64_MAX, UINT64_MAX },
        { "u8", 0, UINT8_MAX, 0xff }, { "u16", 0, UINT16_MAX, 0xffff },
        { "u32", 0, UINT32_MAX, 0xffffffff }, { "u64", 0, UINT64_MAX, UINT64_MAX },
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        takes(types[i].type, I(types[i].least), (uint64_t)types[i].least & types[i].mask);
        takes(types[i].type, U(types[i].most), types[i].most);
        takes(types[i].type, I(0), 0);
        takes(types[i].type, U(1), 1);
        takes(types[i].type, rref_of_bool(true), 1);
        takes(types[i].type, rref_of_bool(false), 0);
    }
    takes("u64", I(INT64_MAX), INT64_MAX);
    takes("i64", U(INT64_MAX), INT64_MAX);
}

static void integers_that_do_not(void)
{
    refuses("bool", I(2), RANGE("2 does not fit bool"));
    refuses("bool", I(-1), RANGE("-1 does not fit bool"));
    refuses("i8", I(-129), RANGE("-129 does not fit i8"));
    refuses("i8", I(128), RANGE("128 does not fit i8"));
    refuses("i8", U(128), RANGE("128 does not fit i8"));
    refuses("i16", I(-32769), RANGE("-32769 does not fit i16"));
    refuses("i16", I(32768), RANGE("32768 does not fit i16"));
    refuses("i32", I(-INT64_C(2147483649)), RANGE("-2147483649 does not fit i32"));
    refuses("i32", I(INT64_C(2147483648)), RANGE("2147483648 does not fit i32"));
    refuses("i64", U(UINT64_C(1) << 63), RANGE("9223372036854775808 does not fit i64"));
    refuses("i64", U(UINT64_MAX), RANGE("18446744073709551615 does not fit i64"));
    refuses("u8", I(-1), RANGE("-1 does not fit u8"));
    refuses("u8", I(256), RANGE("256 does not fit u8"));
    refuses("u16", I(65536), RANGE("65536 does not fit u16"));
    refuses("u32", U(UINT64_C(1) << 32), RANGE("4294967296 does not fit u32"));
    refuses("u64", I(-1), RANGE("-1 does not fit u64"));
    refuses("u64", I(INT64_MIN), RANGE("-9223372036854775808 does not fit u64"));
}

/* As other languages may build them: narrow, with or without extension. */
static void narrow_integers(void)
{
    static const struct {
        rref_type element;
        uint64_t bits, i64;
    } given[] = {
        { RREF_I8, 0xff, UINT64_MAX }, { RREF_I8, UINT64_MAX, UINT64_MAX }, { RREF_I8, 0x17f, 127 },
        { RREF_I16, 0xffff, UINT64_MAX }, { RREF_I16, 0x8000, (uint64_t)INT64_C(-32768) },
        { RREF_I32, 0xffffffff, UINT64_MAX }, { RREF_I32, 0x7fffffff, INT32_MAX },
        { RREF_U8, 0x1ff, 255 }, { RREF_U16, UINT64_MAX, 65535 }, { RREF_U32, UINT64_MAX, UINT32_MAX },
        { RREF_BOOL, 2, 1 }, { RREF_BOOL, 0x100, 0 },
    };
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        takes("i64", rref_value_make_(RREF_VALUE_SCALAR, given[i].element, 8, 1, given[i].bits, 0), given[i].i64);
}

static void integers_to_floats(void)
{
    const uint64_t two53 = UINT64_C(1) << 53, two24 = 1 << 24;
    takes("f64", I(0), f64(0));
    takes("f64", I(-1), f64(-1));
    takes("f64", U(two53), f64(0x1p53));
    takes("f64", I(-(INT64_C(1) << 53)), f64(-0x1p53));
    takes("f64", U(two53 + 2), f64(9007199254740994.0));
    takes("f64", I(INT64_MIN), f64(-0x1p63));
    takes("f64", U(UINT64_C(1) << 63), f64(0x1p63));
    takes("f64", U(UINT64_C(0xfffffffffffff800)), f64(18446744073709549568.0));
    refuses("f64", U(two53 + 1), RANGE("9007199254740993 cannot be exact in f64"));
    refuses("f64", I(-(INT64_C(1) << 53) - 1), RANGE("-9007199254740993 cannot be exact in f64"));
    refuses("f64", I(INT64_MAX), RANGE("9223372036854775807 cannot be exact in f64"));
    refuses("f64", U(UINT64_MAX), RANGE("18446744073709551615 cannot be exact in f64"));
    takes("f32", I(-3), f32(-3));
    takes("f32", U(two24), f32(0x1p24f));
    takes("f32", U(two24 + 2), f32(16777218.0f));
    takes("f32", I(INT64_MIN), f32(-0x1p63f));
    refuses("f32", U(two24 + 1), RANGE("16777217 cannot be exact in f32"));
    refuses("f32", I(INT64_MIN + 1), RANGE("-9223372036854775807 cannot be exact in f32"));
}

static void floats(void)
{
    const uint64_t quiet = f64(NAN);
    takes("f64", D(1e308), f64(1e308));
    takes("f64", D(INFINITY), f64(INFINITY));
    takes("f64", rref_value_make_(RREF_VALUE_SCALAR, RREF_F64, 8, 1, quiet | 7, 0), quiet | 7);
    takes("f64", F(0.1f), f64((double)0.1f));
    takes("f64", F(-INFINITY), f64(-INFINITY));
    takes("f64", D(-0.0), UINT64_C(1) << 63);
    takes("f32", D(0.1), f32(0.1f));
    takes("f32", D(1e-60), 0);
    takes("f32", D(-0.0), UINT64_C(1) << 31);
    takes("f32", D(INFINITY), f32(INFINITY));
    takes("f32", D(-INFINITY), f32(-INFINITY));
    takes("f32", D((double)FLT_MAX), f32(FLT_MAX));
    takes("f32", D(0x1.fffffefffffffp127), f32(FLT_MAX));
    takes("f32", F(NAN), f32(NAN));
    takes("f32", rref_value_make_(RREF_VALUE_SCALAR, RREF_F32, 4, 1, 0xdead00007f800001, 0), 0x7f800001);
    takes("f32", D(NAN), f32(NAN));
    refuses("f32", D(1e39), RANGE("9.9999999999999994e+38 does not fit f32"));
    refuses("f32", D(0x1.ffffffp127), RANGE("3.4028235677973366e+38 does not fit f32"));
    refuses("f32", D(-DBL_MAX), RANGE("-1.7976931348623157e+308 does not fit f32"));
}

static void complexes(void)
{
    takes_complex("c128", rref_c128(1, -2), f64(1), f64(-2));
    takes_complex("c128", rref_c64(0.5f, NAN), f64(0.5), f64((double)NAN));
    takes_complex("c64", rref_c64(1, -2), f32(1) | f32(-2) << 32, 1);
    takes_complex("c64", rref_c128(0.1, INFINITY), f32(0.1f) | f32(INFINITY) << 32, 1);
    refuses("c64", rref_c128(1e39, 0), RANGE("(9.9999999999999994e+38, 0) does not fit c64"));
    refuses("c64", rref_c128(0, -1e39), RANGE("(0, -9.9999999999999994e+38) does not fit c64"));
}

/* Every scalar given to every type: what is not in the rules is refused. */
static void mixtures(void)
{
    const rref_value given[] = { rref_of_bool(true), I(1), U(1), F(1), D(1), rref_c64(1, 0), rref_c128(1, 0),
                                 rref_of_str("1"), rref_of_ref((rref){ 1 }) };
    static const char *const types[] = { "bool", "i8", "i64", "u64", "f32", "f64", "c64", "c128", "str", "ref", "bytes",
                                         "u8[]", "struct s[8]" };
    static const char fits[][10] = { "111000000", "111000000", "111000000", "111000000", "011110000", "011110000",
                                     "000001100", "000001100", "000000010", "000000001", "000000000", "000000000",
                                     "000000000" };
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        rri_signature s = parsed(types[t]);
        rri_packing packing;
        for (size_t v = 0; v < 9; v++)
            CU_ASSERT_EQUAL(rri_values_check(&s.in, &given[v], 1, EAGER, &packing),
                            fits[t][v] == '1' ? 0 : RREF_ERR_SIGNATURE);
        rri_signature_free(&s);
    }
}

/* ---- lists and arrays ---------------------------------------------------------------------------------------- */

static double reals[4];
static signed char bytes[4];
static unsigned char ubytes[4];
static char chars[4];
static rref refs[2];
typedef struct particle { double x[7]; } particle;
static particle particles[3];

static int checked(const char *types, rref_value value)
{
    rri_signature s = parsed(types);
    rri_packing packing;
    int err = rri_values_check(&s.in, &value, 1, EAGER, &packing);
    rri_signature_free(&s);
    return err;
}

static void arrays_that_fit(void)
{
    CU_ASSERT_EQUAL(checked("f64[]", rref_array(reals, 4)), 0);
    CU_ASSERT_EQUAL(checked("f64[]", rref_borrow(reals, 4)), 0);
    CU_ASSERT_EQUAL(checked("f64[]", rref_array((double *)NULL, 0)), 0);
    CU_ASSERT_EQUAL(checked("i8[]", rref_array(bytes, 4)), 0);
    CU_ASSERT_EQUAL(checked("u8[]", rref_array(ubytes, 4)), 0);
    CU_ASSERT_EQUAL(checked("i8[]", rref_array(chars, 4)), 0);
    CU_ASSERT_EQUAL(checked("u8[]", rref_array(chars, 4)), 0);
    CU_ASSERT_EQUAL(checked("bytes", rref_array(bytes, 4)), 0);
    CU_ASSERT_EQUAL(checked("bytes", rref_array(ubytes, 4)), 0);
    CU_ASSERT_EQUAL(checked("bytes", rref_array(chars, 4)), 0);
    CU_ASSERT_EQUAL(checked("bytes", rref_bytes(reals, sizeof reals)), 0);
    CU_ASSERT_EQUAL(checked("bytes", rref_borrow_bytes(NULL, 0)), 0);
    CU_ASSERT_EQUAL(checked("str", rref_of_str("")), 0);
    CU_ASSERT_EQUAL(checked("ref[]", rref_array(refs, 2)), 0);
    CU_ASSERT_EQUAL(checked("struct particle[56]", rref_structs("particle", particles, 1)), 0);
    CU_ASSERT_EQUAL(checked("struct particle[56][]", rref_structs("particle", particles, 3)), 0);
    CU_ASSERT_EQUAL(checked("struct particle[56][]", rref_borrow_structs("particle", particles, 0)), 0);
}

#define MISFIT(given, wanted) RREF_ERR_SIGNATURE, "argument 0 does not fit: (" given ") given, (" wanted ") wanted"

static void arrays_that_do_not(void)
{
    refuses("f32[]", rref_array(reals, 4), MISFIT("f64[]", "f32[]"));
    refuses("i8[]", rref_array(ubytes, 4), MISFIT("u8[]", "i8[]"));
    refuses("u16[]", rref_array(chars, 4), MISFIT("bytes", "u16[]"));
    refuses("bytes", rref_array(reals, 4), MISFIT("f64[]", "bytes"));
    refuses("bytes", rref_of_str("abc"), MISFIT("str", "bytes"));
    refuses("str", rref_array(chars, 4), MISFIT("bytes", "str"));
    refuses("f64", rref_array(reals, 1), MISFIT("f64[]", "f64"));
    refuses("f64[]", D(1), MISFIT("f64", "f64[]"));
    refuses("ref", rref_array(refs, 1), MISFIT("ref[]", "ref"));
    refuses("f64", rref_out(reals), MISFIT("out f64", "f64"));
    refuses("f64[]", rref_out_array(reals, 4, NULL), MISFIT("out f64[]", "f64[]"));
    refuses("struct particle[56]", rref_structs("particle", particles, 2),
            MISFIT("struct particle[56][]", "struct particle[56]"));
    refuses("struct particle[48][]", rref_structs("particle", particles, 1),
            MISFIT("struct particle[56]", "struct particle[48][]"));
    refuses("struct particle[56]", rref_structs("atom", particles, 1),
            MISFIT("struct atom[56]", "struct particle[56]"));
    refuses("struct particle[56]", rref_structs(NULL, particles, 1), MISFIT("struct ?[56]", "struct particle[56]"));
    refuses("f64", (rref_value){ 0 }, MISFIT("none", "f64"));
    refuses("u64", rref_value_make_(RREF_VALUE_SCALAR, (rref_type)999, 8, 1, 0, 0), MISFIT("none", "u64"));
    refuses("u64", rref_value_make_((rref_kind)77, RREF_U64, 8, 1, 0, 0), MISFIT("u64", "u64"));
}

static void malformed_values(void)
{
    const uint64_t most = SIZE_MAX / 32 / 8;
    refuses("f64[]", rref_array((double *)NULL, 1), RREF_ERR_ARGUMENT, "argument 0 (f64[]) is NULL");
    refuses("str", rref_of_str(NULL), RREF_ERR_ARGUMENT, "argument 0 (str) is NULL");
    refuses("bytes", rref_bytes(NULL, 1), RREF_ERR_ARGUMENT, "argument 0 (bytes) is NULL");
    refuses("struct s[8]", rref_struct_of_(RREF_VALUE_ARRAY, "s", 8, NULL, 1), RREF_ERR_ARGUMENT,
            "argument 0 (struct s[8]) is NULL");
    refuses("f64[]", rref_array_of_(RREF_VALUE_ARRAY, RREF_F64, 4, reals, 1), RREF_ERR_ARGUMENT,
            "argument 0: an element has 8 bytes, not 4");
    CU_ASSERT_EQUAL(checked("f64[]", rref_array(reals, most)), 0);
    refuses("f64[]", rref_array(reals, most + 1),
            RANGE("72057594037927936 elements of 8 bytes are more than there can be"));
    refuses("f64[]", rref_array(reals, UINT64_MAX),
            RANGE("18446744073709551615 elements of 8 bytes are more than there can be"));
    refuses("ref[]", rref_array(refs, UINT64_MAX / 47),
            RANGE("392483916461905353 elements of 48 bytes are more than there can be"));
    refuses("struct s[2147483647][]", rref_struct_of_(RREF_VALUE_ARRAY, "s", 2147483647, particles, UINT64_C(1) << 33),
            RANGE("8589934592 elements of 2147483647 bytes are more than there can be"));
}

static void lists(void)
{
    const rref_value given[] = { D(2), rref_of_str("x"), rref_array(reals, 4), rref_out(reals) };
    refuses_list("f64, f64[]", given, 1, RREF_ERR_SIGNATURE, "(f64) given, (f64, f64[]) wanted");
    refuses_list("f64, f64[]", given, 0, RREF_ERR_SIGNATURE, "() given, (f64, f64[]) wanted");
    refuses_list("", given, 3, RREF_ERR_SIGNATURE, "(f64, str, f64[]) given, () wanted");
    refuses_list("f64, f64[]", given, 2, RREF_ERR_SIGNATURE,
                 "argument 1 does not fit: (f64, str) given, (f64, f64[]) wanted");
    refuses_list("f64, str, f64[]", given, 4, RREF_ERR_SIGNATURE,
                 "(f64, str, f64[], out f64) given, (f64, str, f64[]) wanted");
    rri_signature s = parsed("");
    rri_packing packing;
    CU_ASSERT_EQUAL(rri_values_check(&s.in, NULL, 0, EAGER, &packing), 0);
    CU_ASSERT_EQUAL(packing.bytes, 0);
    rri_signature_free(&s);
}

/* Texts stay whole lines of bounded length, whatever is given. */
static void long_lists(void)
{
    enum { MANY = 100 };
    rref_value given[MANY];
    char name[500];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    for (int i = 0; i < MANY; i++) given[i] = I(i);
    refuses_list("u8", given, MANY, RREF_ERR_SIGNATURE,
                 "(i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, i64, ...) given, (u8) wanted");
    for (int i = 0; i < MANY; i++) given[i] = rref_structs(name, particles, 2);
    rri_signature s = parsed("u8");
    rri_packing packing;
    CU_ASSERT_EQUAL(rri_values_check(&s.in, given, MANY, EAGER, &packing), RREF_ERR_SIGNATURE);
    CU_ASSERT(strlen(rri_error_last()->text) < 500);
    CU_ASSERT_PTR_NOT_NULL(strstr(rri_error_last()->text, " given, (u8) wanted"));
    rri_signature_free(&s);
}

/* ---- outputs ------------------------------------------------------------------------------------------------- */

static int output_checked(const char *types, rref_value output)
{
    rri_signature s = parsed(types);
    int err = rri_outputs_check(&s.in, &output, 1);
    rri_signature_free(&s);
    return err;
}

static void outputs_that_fit(void)
{
    bool b;
    char c;
    signed char i8;
    unsigned char u8;
    int i;
    rref r;
    CU_ASSERT_EQUAL(output_checked("bool", rref_out(&b)), 0);
    CU_ASSERT_EQUAL(output_checked("i8", rref_out(&i8)), 0);
    CU_ASSERT_EQUAL(output_checked("i8", rref_out(&c)), 0);
    CU_ASSERT_EQUAL(output_checked("u8", rref_out(&c)), 0);
    CU_ASSERT_EQUAL(output_checked("u8", rref_out(&u8)), 0);
    CU_ASSERT_EQUAL(output_checked("i32", rref_out(&i)), 0);
    CU_ASSERT_EQUAL(output_checked("f64", rref_out(reals)), 0);
    CU_ASSERT_EQUAL(output_checked("ref", rref_out(&r)), 0);
    CU_ASSERT_EQUAL(output_checked("f64[]", rref_out_array(reals, 4, NULL)), 0);
    CU_ASSERT_EQUAL(output_checked("f64[]", rref_out_array((double *)NULL, 0, NULL)), 0);
    CU_ASSERT_EQUAL(output_checked("ref[]", rref_out_array(refs, 2, NULL)), 0);
    CU_ASSERT_EQUAL(output_checked("str", rref_out_str(chars, 4)), 0);
    CU_ASSERT_EQUAL(output_checked("bytes", rref_out_bytes(reals, 32, NULL)), 0);
    CU_ASSERT_EQUAL(output_checked("bytes", rref_out_array(chars, 4, NULL)), 0);
    CU_ASSERT_EQUAL(output_checked("bytes", rref_out_array(bytes, 4, NULL)), 0);
    CU_ASSERT_EQUAL(output_checked("bytes", rref_out_array(ubytes, 4, NULL)), 0);
    CU_ASSERT_EQUAL(output_checked("u8[]", rref_out_array(chars, 4, NULL)), 0);
    CU_ASSERT_EQUAL(output_checked("struct particle[56]", rref_out_struct("particle", particles)), 0);
    CU_ASSERT_EQUAL(output_checked("struct particle[56][]", rref_out_structs(particles, 3, NULL)), 0);
    rri_signature s = parsed("u64, f64");
    CU_ASSERT_EQUAL(rri_outputs_check(&s.in, NULL, 0), 0);
    rri_signature_free(&s);
}

static void refuses_output(const char *type, rref_value output, int code, const char *text)
{
    CU_ASSERT_EQUAL(output_checked(type, output), code);
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, text);
}

#define WRONG(given, wanted) RREF_ERR_SIGNATURE, "output 0 does not fit: (" given ") given, (" wanted ") wanted"

static void outputs_that_do_not(void)
{
    float f;
    long l;
    refuses_output("f64", rref_out(&f), WRONG("out f32", "f64"));
    refuses_output("u64", rref_out(&l), WRONG("out i64", "u64"));
    refuses_output("bool", rref_out(chars), WRONG("out bytes", "bool"));
    refuses_output("f64", D(1), WRONG("f64", "f64"));
    refuses_output("f64", rref_out_array(reals, 1, NULL), WRONG("out f64[]", "f64"));
    refuses_output("f64[]", rref_out(reals), WRONG("out f64", "f64[]"));
    refuses_output("str", rref_out_array(chars, 4, NULL), WRONG("out bytes", "str"));
    refuses_output("i8[]", rref_out_array(ubytes, 4, NULL), WRONG("out u8[]", "i8[]"));
    refuses_output("struct atom[56]", rref_out_struct("particle", particles),
                   WRONG("out struct particle[56]", "struct atom[56]"));
    refuses_output("struct particle[48]", rref_out_struct("particle", particles),
                   WRONG("out struct particle[56]", "struct particle[48]"));
    refuses_output("struct particle[48][]", rref_out_structs(particles, 3, NULL),
                   WRONG("out struct ?[56][]", "struct particle[48][]"));
    refuses_output("f64", rref_out((double *)NULL), RREF_ERR_ARGUMENT, "output 0 (f64) is NULL");
    refuses_output("f64[]", rref_out_array((double *)NULL, 1, NULL), RREF_ERR_ARGUMENT, "output 0 (f64[]) is NULL");
    refuses_output("f64", rref_out_of_(RREF_F64, 4, reals), RREF_ERR_ARGUMENT,
                   "output 0: an element has 8 bytes, not 4");
    refuses_output("f64, f64", rref_out(reals), RREF_ERR_SIGNATURE, "outputs (out f64) given, (f64, f64) wanted");
}

static const check_case cases[] = {
    { "integers that fit", integers_that_fit },
    { "integers that do not", integers_that_do_not },
    { "narrow integers", narrow_integers },
    { "integers to floats", integers_to_floats },
    { "floats", floats },
    { "complexes", complexes },
    { "mixtures", mixtures },
    { "arrays that fit", arrays_that_fit },
    { "arrays that do not", arrays_that_do_not },
    { "malformed values", malformed_values },
    { "lists", lists },
    { "long lists", long_lists },
    { "outputs that fit", outputs_that_fit },
    { "outputs that do not", outputs_that_do_not },
    CHECK_END
};
int main(int argc, char **argv) { return check_main(argc, argv, "fit", cases); }
