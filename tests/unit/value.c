/* SPDX-License-Identifier: BSD-3-Clause */
/* Payloads: where everything lies, what travels in bulk, references through a codec, outputs written all or none. */
#include "output.h"

#include "check.h"
#include "error.h"

#include <stdlib.h>
#include <string.h>

static rri_signature parsed(const char *text)
{
    rri_signature s;
    if (rri_signature_parse(text, &s) != 0) CU_FAIL_FATAL("a signature of this test does not parse");
    return s;
}

static uint64_t word_at(const void *payload, size_t offset)
{
    uint64_t word;
    memcpy(&word, (const char *)payload + offset, sizeof word);
    return word;
}

static bool zero(const void *payload, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (((const char *)payload)[i] != 0) return false;
    return true;
}

/* ---- a codec: the reference's bits, then their complement five times ------------------------------------------ */

static struct {
    int puts, takes, drops;
    int fail_at;                /* the put or take that fails; 0: none does */
    uint64_t dropped;           /* sum of bits */
    int undone;                 /* puts dropped, in order */
} codec_log;

static int put(void *up, rref reference, void *wire)
{
    CU_ASSERT_PTR_EQUAL(up, &codec_log);
    if (++codec_log.puts == codec_log.fail_at) return rri_fail(-1234, "no put");
    for (int i = 0; i < 6; i++) ((uint64_t *)wire)[i] = i == 0 ? reference.bits : ~reference.bits;
    return 0;
}

static int take(void *up, const void *wire, rri_once *once, rref *reference)
{
    CU_ASSERT_PTR_EQUAL(up, &codec_log);
    CU_ASSERT_PTR_NOT_NULL(once);
    if (++codec_log.takes == codec_log.fail_at) return rri_fail(-1235, "no take");
    for (size_t i = 1; i < 6; i++) CU_ASSERT_EQUAL(word_at(wire, 8 * i), ~word_at(wire, 0));
    reference->bits = word_at(wire, 0);
    return 0;
}

static void drop(void *up, rref reference)
{
    CU_ASSERT_PTR_EQUAL(up, &codec_log);
    codec_log.drops++;
    codec_log.dropped += reference.bits;
}

static void undo(void *up, const void *wire)
{
    CU_ASSERT_PTR_EQUAL(up, &codec_log);
    codec_log.undone++;
    codec_log.dropped += word_at(wire, 0);
}

static const rri_ref_codec codec = { .put = put, .up = &codec_log, .drop = undo };
static const rri_ref_taker taker = { .take = take, .up = &codec_log, .drop = drop };

/* ---- packed lists -------------------------------------------------------------------------------------------- */

/* A list packed and, as it would be after its trip, checked; bulk data in a landing area. */
typedef struct packed {
    rri_signature s;
    const rri_types *types;
    rri_packing packing;
    void *payload, *landing;
    rri_segment segments[RRI_TYPES_MAX];
} packed;

static void *aligned(size_t align, size_t size)
{
    void *memory = NULL;
    CU_ASSERT_FATAL(posix_memalign(&memory, align, size) == 0);
    return memory;
}

static void pack(packed *p, const char *types, const rref_value *values, size_t count, size_t eager)
{
    rri_segment sent[RRI_TYPES_MAX];
    rri_packing read;
    *p = (packed){ .s = parsed(types) };
    p->types = &p->s.in;
    memset(&codec_log, 0, sizeof codec_log);
    CU_ASSERT_EQUAL_FATAL(rri_values_check(p->types, values, count, eager, &p->packing), 0);
    p->payload = aligned(16, p->packing.bytes);
    memset(p->payload, 0xee, p->packing.bytes);
    CU_ASSERT_EQUAL_FATAL(rri_values_pack(p->types, values, &p->packing, p->payload, sent, &codec), 0);
    CU_ASSERT_EQUAL_FATAL(rri_payload_check(p->types, p->payload, p->packing.bytes, &read), 0);
    CU_ASSERT_EQUAL(read.bytes, p->packing.bytes);
    CU_ASSERT_EQUAL(read.bulk, p->packing.bulk);
    CU_ASSERT_EQUAL(read.segments, p->packing.segments);
    CU_ASSERT_EQUAL(read.in_bulk, p->packing.in_bulk);
    CU_ASSERT(!read.borrowed);
    if (!p->packing.bulk) return;
    p->landing = aligned(64, p->packing.bulk);
    CU_ASSERT_EQUAL(rri_payload_segments(p->types, p->payload, p->landing, p->segments), p->packing.segments);
    for (unsigned i = 0; i < p->packing.segments; i++) {
        CU_ASSERT_EQUAL_FATAL(p->segments[i].bytes, sent[i].bytes);
        CU_ASSERT_EQUAL((uintptr_t)p->segments[i].data % 64, 0);
        memcpy(p->segments[i].data, sent[i].data, sent[i].bytes);
    }
    CU_ASSERT_EQUAL(rri_segments_check(p->types, p->payload, p->segments), 0);
}

static const void *data(const packed *p, unsigned i, size_t *count)
{
    return rri_payload_data(p->types, i, p->payload, p->landing, count);
}

static void release(packed *p)
{
    free(p->payload);
    free(p->landing);
    rri_signature_free(&p->s);
}

typedef struct quad { int32_t x; } quad;
static const double reals[] = { 1, 2, 3 };
static const quad quads[] = { { 7 }, { 8 }, { 9 } };

/* ---- layout -------------------------------------------------------------------------------------------------- */

static void lays_out(void)
{
    const rref_value values[] = { rref_of_i64(5), rref_of_str("hello"), rref_array(reals, 3), rref_c128(1, 2),
                                  rref_bytes("abc", 3), rref_structs("quad", quads, 1), rref_array(reals, 0) };
    packed p;
    size_t count;
    pack(&p, "u8, str, f64[], c128, bytes, struct quad[4], f64[]", values, 7, 4096);
    /* slots: 0 u8, 8 str, 24 f64[], 40 c128, 56 bytes, 72 struct, 88 f64[] */
    CU_ASSERT_EQUAL(p.types->slots, 104);
    CU_ASSERT_EQUAL(word_at(p.payload, 0), 5);
    CU_ASSERT_EQUAL(word_at(p.payload, 8), 5);
    CU_ASSERT_EQUAL(word_at(p.payload, 16), 104);
    CU_ASSERT_STRING_EQUAL((const char *)p.payload + 104, "hello");
    CU_ASSERT(zero(p.payload, 109, 112));
    CU_ASSERT_EQUAL(word_at(p.payload, 24), 3);
    CU_ASSERT_EQUAL(word_at(p.payload, 32), 112);
    CU_ASSERT_EQUAL(memcmp((const char *)p.payload + 112, reals, 24), 0);
    CU_ASSERT_EQUAL(word_at(p.payload, 40), rref_of_f64(1).bits);
    CU_ASSERT_EQUAL(word_at(p.payload, 48), rref_of_f64(2).bits);
    CU_ASSERT_EQUAL(word_at(p.payload, 56), 3);
    CU_ASSERT_EQUAL(word_at(p.payload, 64), 144);
    CU_ASSERT(zero(p.payload, 136, 144) && zero(p.payload, 147, 160));
    CU_ASSERT_EQUAL(word_at(p.payload, 72), 1);
    CU_ASSERT_EQUAL(word_at(p.payload, 80), 160);
    CU_ASSERT_EQUAL(word_at(p.payload, 88), 0);
    CU_ASSERT_EQUAL(word_at(p.payload, 96), 168);
    CU_ASSERT(zero(p.payload, 164, 168));
    CU_ASSERT_EQUAL(p.packing.bytes, 168);
    CU_ASSERT_EQUAL(p.packing.segments, 0);
    CU_ASSERT_EQUAL(*(const int32_t *)data(&p, 5, &count), 7);
    CU_ASSERT_EQUAL(count, 1);
    CU_ASSERT_EQUAL(*(const uint8_t *)data(&p, 0, NULL), 5);
    CU_ASSERT_PTR_EQUAL(data(&p, 3, &count), (const char *)p.payload + 40);
    release(&p);
}

static void says_who_borrows(void)
{
    rri_signature s = parsed("f64[], f64");
    rri_packing packing;
    rref_value values[] = { rref_array(reals, 3), rref_of_f64(1) };
    CU_ASSERT_EQUAL(rri_values_check(&s.in, values, 2, 4096, &packing), 0);
    CU_ASSERT(!packing.borrowed);
    values[0] = rref_borrow(reals, 3);
    CU_ASSERT_EQUAL(rri_values_check(&s.in, values, 2, 4096, &packing), 0);
    CU_ASSERT(packing.borrowed);
    rri_signature_free(&s);
}

/* ---- bulk ---------------------------------------------------------------------------------------------------- */

static void at_the_eager_limit(void)
{
    enum { N = 500 };
    static double many[N];
    const rref_value values[] = { rref_array(many, N) };
    const size_t bytes = 16 + 8 * N;
    packed p;
    many[N - 1] = 17;
    pack(&p, "f64[]", values, 1, bytes);
    CU_ASSERT_EQUAL(p.packing.bytes, bytes);
    CU_ASSERT_EQUAL(p.packing.bulk, 0);
    CU_ASSERT_EQUAL(p.packing.in_bulk, 0);
    release(&p);
    pack(&p, "f64[]", values, 1, bytes - 1);
    CU_ASSERT_EQUAL(p.packing.bytes, 16);
    CU_ASSERT_EQUAL(p.packing.bulk, (8 * N + 63) / 64 * 64);
    CU_ASSERT_EQUAL(p.packing.in_bulk, 1);
    CU_ASSERT_EQUAL(word_at(p.payload, 0), N);
    CU_ASSERT_EQUAL(word_at(p.payload, 8), RRI_BULK);
    CU_ASSERT_EQUAL(((const double *)data(&p, 0, NULL))[N - 1], 17);
    CU_ASSERT_PTR_NULL(rri_payload_data(p.types, 0, p.payload, NULL, NULL));
    release(&p);
}

/* Of 1600 eager bytes a variable of 100 stays, one of 101 goes. */
static void only_the_large_go(void)
{
    static char text[101], more[102], large[2000];
    memset(text, 'a', 99);
    memset(more, 'b', 100);
    const rref_value values[] = { rref_of_str(text), rref_bytes(large, 100), rref_of_str(more), rref_bytes(large, 2000),
                                  rref_of_u64(9), rref_bytes(large, 101) };
    packed p;
    size_t count;
    pack(&p, "str, bytes, str, bytes, u64, bytes", values, 6, 1600);
    CU_ASSERT_EQUAL(p.packing.in_bulk, 1u << 2 | 1u << 3 | 1u << 5);
    CU_ASSERT_EQUAL(p.packing.segments, 3);
    CU_ASSERT_EQUAL(p.segments[0].bytes, 101);
    CU_ASSERT_EQUAL(p.segments[1].bytes, 2000);
    CU_ASSERT_EQUAL(p.segments[2].bytes, 101);
    CU_ASSERT_PTR_EQUAL(p.segments[1].data, (char *)p.landing + 128);
    CU_ASSERT_PTR_EQUAL(p.segments[2].data, (char *)p.landing + 128 + 2048);
    CU_ASSERT_EQUAL(p.packing.bulk, 128 + 2048 + 128);
    CU_ASSERT_STRING_EQUAL(data(&p, 2, &count), more);
    CU_ASSERT_EQUAL(count, 100);
    CU_ASSERT_STRING_EQUAL(data(&p, 0, &count), text);
    release(&p);
}

static void nothing_eager(void)
{
    const rref_value values[] = { rref_of_str(""), rref_bytes(reals, 0), rref_of_u64(1),
                                  rref_structs("quad", quads, 1) };
    packed p;
    pack(&p, "str, bytes, u64, struct quad[4]", values, 4, 0);
    CU_ASSERT_EQUAL(p.packing.in_bulk, 1u << 0 | 1u << 3);
    CU_ASSERT_EQUAL(p.packing.segments, 2);
    release(&p);
}

static void references_stay(void)
{
    enum { N = 1000 };
    static rref many[N];
    const rref_value values[] = { rref_array(many, N), rref_bytes(many, sizeof many) };
    packed p;
    for (int i = 0; i < N; i++) many[i].bits = (uint64_t)i + 1;
    pack(&p, "ref[], bytes", values, 2, 100);
    CU_ASSERT_EQUAL(p.packing.in_bulk, 2);
    CU_ASSERT_EQUAL(p.packing.bytes, 32 + N * RRI_REF_WIRE);
    CU_ASSERT_EQUAL(codec_log.puts, N);
    release(&p);
}

/* What is borrowed stays where it is. */
static void copies_segments(void)
{
    char copies[64 + 64];
    static const char text[] = "abc";
    const rref_value values[] = { rref_array(reals, 3), rref_of_i64(1), rref_borrow(reals, 4), rref_of_str(text) };
    rri_signature s = parsed("f64[], i64, f64[], str");
    _Alignas(16) char payload[256];
    rri_packing p;
    rri_segment segments[3];
    CU_ASSERT_EQUAL(rri_values_check(&s.in, values, 4, 16, &p), 0);
    CU_ASSERT_EQUAL_FATAL(p.segments, 3);
    CU_ASSERT_EQUAL(p.copies, sizeof copies);
    CU_ASSERT_EQUAL(rri_values_pack(&s.in, values, &p, payload, segments, NULL), 0);
    rri_segments_copy(&p, segments, copies);
    CU_ASSERT_PTR_EQUAL(segments[0].data, copies);
    CU_ASSERT_PTR_EQUAL(segments[1].data, reals);
    CU_ASSERT_PTR_EQUAL(segments[2].data, copies + 64);
    CU_ASSERT_EQUAL(memcmp(copies, reals, 24), 0);
    CU_ASSERT_EQUAL(memcmp(copies + 64, "abc", segments[2].bytes), 0);
    rri_signature_free(&s);
}

/* Never touched: the address only travels. */
static void beyond_four_gigabytes(void)
{
    const size_t n = (size_t)3 << 30;
    const rref_value values[] = { rref_borrow(reals, n), rref_borrow_bytes(reals, n) };
    rri_signature s = parsed("f64[], bytes");
    rri_packing packing;
    rri_segment segments[2];
    _Alignas(16) char payload[32];
    size_t count;
    CU_ASSERT_EQUAL(rri_values_check(&s.in, values, 2, SIZE_MAX, &packing), 0);
    CU_ASSERT_EQUAL(packing.bytes, 32 + 9 * n);
    CU_ASSERT_EQUAL(rri_values_check(&s.in, values, 2, 65536, &packing), 0);
    CU_ASSERT_EQUAL(packing.bulk, 9 * n);
    CU_ASSERT_EQUAL(rri_values_pack(&s.in, values, &packing, payload, segments, NULL), 0);
    CU_ASSERT_EQUAL(segments[0].bytes, 8 * n);
    CU_ASSERT_EQUAL(segments[1].bytes, n);
    CU_ASSERT_EQUAL(rri_payload_check(&s.in, payload, 32, &packing), 0);
    CU_ASSERT_EQUAL(packing.bulk, 9 * n);
    rri_payload_data(&s.in, 1, payload, NULL, &count);
    CU_ASSERT_EQUAL(count, n);
    rri_signature_free(&s);
}

/* ---- what comes from outside --------------------------------------------------------------------------------- */

static void expect(const rri_types *types, const void *payload, size_t bytes, const char *text)
{
    rri_packing packing, before;
    memset(&packing, 0x5a, sizeof packing);
    before = packing;
    CU_ASSERT_EQUAL(rri_payload_check(types, payload, bytes, &packing), RREF_ERR_PROTOCOL);
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, text);
    CU_ASSERT_EQUAL(memcmp(&packing, &before, sizeof packing), 0);
}

#define FAULT(i, type, text) "value " i " (" type ") of a message: " text

static void refuses_payloads(void)
{
    rri_signature s = parsed("bool, str, f64[], struct quad[4], ref[]");
    /* the slots; "hi" at 72, a real at 80, a quad at 96 */
    _Alignas(16) uint64_t words[14] = { 1, 2, 72, 1, 80, 1, 96, 0, 104, 0x6968, 0, 0, 7, 0 }, w[14];
    const size_t bytes = 104;
    rri_packing packing;
    CU_ASSERT_EQUAL_FATAL(rri_payload_check(&s.in, words, bytes, &packing), 0);
    CU_ASSERT_EQUAL(packing.bytes, 104);
    CU_ASSERT_EQUAL(rri_payload_check(&s.in, words, bytes + 8, &packing), 0);
    CU_ASSERT_EQUAL(packing.bytes, 104);
#define WITH(at, word) (memcpy(w, words, sizeof w), w[at] = (word), w)
    expect(&s.in, words, 71, "a message holds 71 bytes of values, at least 72 are needed");
    expect(&s.in, words, 96, FAULT("3", "struct quad[4]", "the data ends outside"));
    expect(&s.in, WITH(0, 2), bytes, FAULT("0", "bool", "a bool is neither 0 nor 1"));
    expect(&s.in, WITH(0, 256), bytes, FAULT("0", "bool", "a bool is neither 0 nor 1"));
    expect(&s.in, WITH(1, 1), bytes, FAULT("1", "str", "the string does not end in 0"));
    expect(&s.in, WITH(1, UINT64_MAX), bytes, FAULT("1", "str", "the count is out of range"));
    expect(&s.in, WITH(1, SIZE_MAX / 32), bytes, FAULT("1", "str", "the data ends outside"));
    expect(&s.in, WITH(2, 0), bytes, FAULT("1", "str", "the data is not where it must be"));
    expect(&s.in, WITH(2, UINT64_MAX), bytes, FAULT("1", "str", "the data is not where it must be"));
    expect(&s.in, WITH(2, RRI_BULK | 64), bytes, FAULT("1", "str", "the data is not where it must be"));
    expect(&s.in, WITH(3, UINT64_C(1) << 61), bytes, FAULT("2", "f64[]", "the count is out of range"));
    expect(&s.in, WITH(3, UINT64_C(1) << 56), bytes, FAULT("2", "f64[]", "the count is out of range"));
    expect(&s.in, WITH(3, 5), bytes, FAULT("2", "f64[]", "the data ends outside"));
    expect(&s.in, WITH(3, 3), bytes, FAULT("3", "struct quad[4]", "the data is not where it must be"));
    expect(&s.in, WITH(4, 81), bytes, FAULT("2", "f64[]", "the data is not where it must be"));
    expect(&s.in, WITH(5, 0), bytes, FAULT("3", "struct quad[4]", "the count of a struct is not 1"));
    expect(&s.in, WITH(5, 2), bytes, FAULT("3", "struct quad[4]", "the count of a struct is not 1"));
    expect(&s.in, WITH(7, 1), bytes, FAULT("4", "ref[]", "the data ends outside"));
    expect(&s.in, WITH(8, RRI_BULK), bytes, FAULT("4", "ref[]", "this cannot travel in bulk"));
    memcpy(w, words, sizeof w);
    w[7] = 1;
    w[8] = RRI_BULK;
    expect(&s.in, w, bytes, FAULT("4", "ref[]", "this cannot travel in bulk"));
    rri_signature_free(&s);
}

static void refuses_bulk_out_of_order(void)
{
    rri_signature s = parsed("f64[], bool[]");
    _Alignas(16) uint64_t words[] = { 100, RRI_BULK, 10, RRI_BULK | 832 };
    rri_packing packing;
    CU_ASSERT_EQUAL_FATAL(rri_payload_check(&s.in, words, 32, &packing), 0);
    CU_ASSERT_EQUAL(packing.bulk, 832 + 64);
    CU_ASSERT_EQUAL(packing.segments, 2);
    words[3] = RRI_BULK;
    expect(&s.in, words, 32, FAULT("1", "bool[]", "the data is not where it must be"));
    words[3] = RRI_BULK | 832;
    words[0] = 0;
    expect(&s.in, words, 32, FAULT("0", "f64[]", "this cannot travel in bulk"));
    rri_signature_free(&s);
}

static void checks_what_landed(void)
{
    static const bool bools[100] = { true };
    char text[100];
    memset(text, 'a', sizeof text);
    text[99] = 0;
    const rref_value values[] = { rref_array(bools, 100), rref_of_str(text) };
    packed p;
    pack(&p, "bool[], str", values, 2, 0);
    memset(p.segments[1].data, 'b', 100);
    CU_ASSERT_EQUAL(rri_segments_check(p.types, p.payload, p.segments), RREF_ERR_PROTOCOL);
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, FAULT("1", "str", "the string does not end in 0"));
    ((char *)p.segments[0].data)[99] = 2;
    CU_ASSERT_EQUAL(rri_segments_check(p.types, p.payload, p.segments), RREF_ERR_PROTOCOL);
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, FAULT("0", "bool[]", "a bool is neither 0 nor 1"));
    release(&p);
}

/* ---- references ---------------------------------------------------------------------------------------------- */

static const rref some[] = { { 10 }, { 20 }, { 30 } };

static void references_pass(void)
{
    const rref_value values[] = { rref_of_ref((rref){ 1 }), rref_of_u64(5), rref_array(some, 3),
                                  rref_of_ref((rref){ 2 }) };
    rref one = { 99 }, two = { 99 }, three[4] = { { 99 }, { 99 }, { 99 }, { 99 } };
    uint64_t five;
    size_t count;
    const rref_value outputs[] = { rref_out(&one), rref_out(&five), rref_out_array(three, 4, &count), rref_out(&two) };
    packed p;
    pack(&p, "ref, u64, ref[], ref", values, 4, 4096);
    CU_ASSERT_EQUAL(codec_log.puts, 5);
    CU_ASSERT_EQUAL(rri_outputs_check(p.types, outputs, 4), 0);
    CU_ASSERT_EQUAL(rri_outputs_write(p.types, p.payload, NULL, outputs, 4, &taker), 0);
    CU_ASSERT(one.bits == 1 && two.bits == 2 && five == 5 && count == 3);
    CU_ASSERT(three[0].bits == 10 && three[1].bits == 20 && three[2].bits == 30 && three[3].bits == 99);
    CU_ASSERT(codec_log.takes == 5 && codec_log.drops == 0);
    release(&p);
}

static void a_put_fails(void)
{
    const rref_value values[] = { rref_of_ref((rref){ 1 }), rref_array(some, 3), rref_of_ref((rref){ 2 }) };
    static const uint64_t sums[] = { 0, 0, 1, 11, 31, 61 };
    rri_signature s = parsed("ref, ref[], ref");
    rri_packing packing;
    _Alignas(16) char payload[512];
    for (int at = 1; at <= 5; at++) {
        memset(&codec_log, 0, sizeof codec_log);
        codec_log.fail_at = at;
        CU_ASSERT_EQUAL_FATAL(rri_values_check(&s.in, values, 3, 4096, &packing), 0);
        CU_ASSERT_EQUAL(rri_values_pack(&s.in, values, &packing, payload, NULL, &codec), -1234);
        CU_ASSERT_EQUAL(codec_log.puts, at);
        CU_ASSERT_EQUAL(codec_log.undone, at - 1);      /* what was put before goes back */
        CU_ASSERT_EQUAL(codec_log.dropped, sums[at]);
    }
    rri_signature_free(&s);
}

static void a_take_fails(void)
{
    const rref_value values[] = { rref_of_ref((rref){ 1 }), rref_of_u64(5), rref_array(some, 3),
                                  rref_of_ref((rref){ 2 }) };
    static const uint64_t sums[] = { 0, 0, 1, 11, 31, 61 };
    rref one, two, three[3];
    uint64_t five = 99;
    size_t count = 99;
    const rref_value outputs[] = { rref_out(&one), rref_out(&five), rref_out_array(three, 3, &count), rref_out(&two) };
    packed p;
    pack(&p, "ref, u64, ref[], ref", values, 4, 4096);
    for (int at = 1; at <= 5; at++) {
        memset(&codec_log, 0, sizeof codec_log);
        codec_log.fail_at = at;
        CU_ASSERT_EQUAL(rri_outputs_write(p.types, p.payload, NULL, outputs, 4, &taker), -1235);
        CU_ASSERT_EQUAL(codec_log.takes, at);
        CU_ASSERT_EQUAL(codec_log.drops, at - 1);
        CU_ASSERT_EQUAL(codec_log.dropped, sums[at]);
        CU_ASSERT(five == 99 && count == 99);
        if (at > 1) CU_ASSERT_EQUAL(one.bits, 0);
        if (at > 4) CU_ASSERT(three[0].bits == 0 && three[1].bits == 0 && three[2].bits == 0);
    }
    release(&p);
}

/* ---- outputs ------------------------------------------------------------------------------------------------- */

static void writes_outputs(void)
{
    const rref_value values[] = { rref_of_bool(true), rref_of_i64(-7), rref_c64(1, 2), rref_of_str("four"),
                                  rref_array(reals, 3), rref_bytes("\0x", 2), rref_structs("quad", quads, 1),
                                  rref_structs("quad", quads, 3), rref_array(reals, 0) };
    bool b = false;
    int16_t i = 0;
    float z[2] = { 0, 0 };
    char text[5], raw[2];
    double out[4] = { 9, 9, 9, 9 };
    quad q, qs[3];
    size_t lengths[5] = { 99, 99, 99, 99, 99 };
    const rref_value outputs[] = {
        rref_out(&b), rref_out(&i), rref_out_of_(RREF_C64, 8, z),
        rref_out_array_of_(RREF_STR, 1, text, 5, &lengths[0]), rref_out_array(out, 4, &lengths[1]),
        rref_out_bytes(raw, 2, &lengths[2]), rref_out_struct("quad", &q), rref_out_structs(qs, 3, &lengths[3]),
        rref_out_array((double *)NULL, 0, &lengths[4]) };
    for (size_t eager = 0; eager <= 4096; eager += 4096) {
        packed p;
        pack(&p, "bool, i16, c64, str, f64[], bytes, struct quad[4], struct quad[4][], f64[]", values, 9, eager);
        CU_ASSERT_EQUAL(p.packing.segments, eager ? 0 : 5);
        CU_ASSERT_EQUAL(rri_outputs_check(p.types, outputs, 9), 0);
        CU_ASSERT(rri_outputs_fit(p.types, p.payload, outputs));
        CU_ASSERT_EQUAL(rri_outputs_write(p.types, p.payload, p.landing, outputs, 9, NULL), 0);
        CU_ASSERT(b && i == -7 && z[0] == 1 && z[1] == 2);
        CU_ASSERT_STRING_EQUAL(text, "four");
        CU_ASSERT(out[0] == 1 && out[1] == 2 && out[2] == 3 && out[3] == 9);
        CU_ASSERT(raw[0] == 0 && raw[1] == 'x' && q.x == 7 && qs[2].x == 9);
        CU_ASSERT(lengths[0] == 4 && lengths[1] == 3 && lengths[2] == 2 && lengths[3] == 3 && lengths[4] == 0);
        memset(text, 0, sizeof text);
        memset(qs, 0, sizeof qs);
        release(&p);
    }
}

static void counts_may_be_null(void)
{
    const rref_value values[] = { rref_of_str("four"), rref_array(reals, 3) };
    char text[8];
    double out[3];
    const rref_value outputs[] = { rref_out_str(text, sizeof text), rref_out_array(out, 3, NULL) };
    packed p;
    pack(&p, "str, f64[]", values, 2, 4096);
    CU_ASSERT_EQUAL(rri_outputs_write(p.types, p.payload, NULL, outputs, 2, NULL), 0);
    CU_ASSERT_STRING_EQUAL(text, "four");
    CU_ASSERT_EQUAL(out[2], 3);
    CU_ASSERT_EQUAL(rri_outputs_write(p.types, p.payload, NULL, NULL, 0, NULL), 0);
    release(&p);
}

static void truncated(size_t eager, size_t room_text, size_t room_reals, const char *error)
{
    const rref_value values[] = { rref_of_u64(1), rref_of_str("four"), rref_array(reals, 3), rref_array(some, 3) };
    uint64_t u = 99;
    char text[8] = "before";
    double out[3] = { 9, 9, 9 };
    rref refs[3] = { { 9 }, { 9 }, { 9 } };
    size_t counts[2] = { 99, 99 };
    const rref_value outputs[] = { rref_out(&u), rref_out_str(text, room_text),
                                   rref_out_array(out, room_reals, &counts[0]), rref_out_array(refs, 3, &counts[1]) };
    packed p;
    pack(&p, "u64, str, f64[], ref[]", values, 4, eager);
    CU_ASSERT(!rri_outputs_fit(p.types, p.payload, outputs));
    CU_ASSERT_EQUAL(rri_outputs_write(p.types, p.payload, p.landing, outputs, 4, &taker), RREF_ERR_TRUNCATED);
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, error);
    CU_ASSERT_STRING_EQUAL(text, "before");
    CU_ASSERT(u == 99 && out[0] == 9 && refs[0].bits == 9 && counts[0] == 99 && counts[1] == 99);
    CU_ASSERT_EQUAL(codec_log.takes, 0);
    release(&p);
}

static void truncation_writes_nothing(void)
{
    for (size_t eager = 0; eager <= 4096; eager += 4096) {
        truncated(eager, 4, 3, "output 1 (str) has room for 4, 5 needed");
        truncated(eager, 0, 3, "output 1 (str) has room for 0, 5 needed");
        truncated(eager, 5, 2, "output 2 (f64[]) has room for 2, 3 needed");
        truncated(eager, 5, 0, "output 2 (f64[]) has room for 0, 3 needed");
    }
}

static void lands_in_outputs(void)
{
    const rref_value values[] = { rref_of_u64(1), rref_of_str("four"), rref_array(reals, 3) };
    uint64_t u = 99;
    char text[8];
    double out[3] = { 9, 9, 9 };
    size_t count = 99;
    const rref_value outputs[] = { rref_out(&u), rref_out_str(text, 8), rref_out_array(out, 3, &count) };
    rri_segment segments[RRI_TYPES_MAX];
    packed p;
    pack(&p, "u64, str, f64[]", values, 3, 0);
    CU_ASSERT(rri_outputs_fit(p.types, p.payload, outputs));
    CU_ASSERT_EQUAL(rri_outputs_segments(p.types, p.payload, outputs, NULL, segments), 2);
    CU_ASSERT_PTR_EQUAL(segments[0].data, text);
    CU_ASSERT_EQUAL(segments[0].bytes, 5);
    CU_ASSERT_PTR_EQUAL(segments[1].data, out);
    CU_ASSERT_EQUAL(segments[1].bytes, 24);
    for (int k = 0; k < 2; k++) memcpy(segments[k].data, p.segments[k].data, segments[k].bytes);
    CU_ASSERT_EQUAL(rri_segments_check(p.types, p.payload, segments), 0);
    CU_ASSERT_EQUAL(rri_outputs_write(p.types, p.payload, NULL, outputs, 3, NULL), 0);
    CU_ASSERT(u == 1 && count == 3 && out[2] == 3);
    CU_ASSERT_STRING_EQUAL(text, "four");
    CU_ASSERT_EQUAL(rri_outputs_segments(p.types, p.payload, outputs, p.landing, segments), 2);
    CU_ASSERT_PTR_EQUAL(segments[0].data, p.landing);
    release(&p);
}

static const check_case cases[] = {
    { "lays out", lays_out },
    { "says who borrows", says_who_borrows },
    { "at the eager limit", at_the_eager_limit },
    { "only the large go", only_the_large_go },
    { "nothing eager", nothing_eager },
    { "references stay", references_stay },
    { "copies segments", copies_segments },
    { "beyond four gigabytes", beyond_four_gigabytes },
    { "refuses payloads", refuses_payloads },
    { "refuses bulk out of order", refuses_bulk_out_of_order },
    { "checks what landed", checks_what_landed },
    { "references pass", references_pass },
    { "a put fails", a_put_fails },
    { "a take fails", a_take_fails },
    { "writes outputs", writes_outputs },
    { "counts may be NULL", counts_may_be_null },
    { "truncation writes nothing", truncation_writes_nothing },
    { "lands in outputs", lands_in_outputs },
    CHECK_END
};
int main(int argc, char **argv) { return check_main(argc, argv, "value", cases); }
