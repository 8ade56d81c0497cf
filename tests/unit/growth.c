/* SPDX-License-Identifier: BSD-3-Clause */
/* A record that grows: its bytes and its message's in step, never beyond the message's limit or the most items. */
#include "growth.h"

#include "check.h"

enum { ROOM = 64 * 1024, HEAD = 48 };

typedef struct filled {
    _Alignas(16) unsigned char data[ROOM];
    uint32_t bytes;                 /* of the message */
    rri_record *record;
    rri_growth growth;
} filled;

/* A message with a head and a record of one item. */
static void begin(filled *m, size_t payload, bool oneway, size_t most)
{
    m->record = (rri_record *)(void *)(m->data + HEAD);
    *m->record = (rri_record){ .kind = RRI_RUN, .flags = oneway ? RRI_FLAG_ONEWAY : 0, .extra = rri_run_extra(payload) };
    m->record->bytes = (uint32_t)rri_round16(sizeof *m->record + rri_run_item(m->record));
    m->bytes = HEAD + m->record->bytes;
    rri_growth_begin(&m->growth, m->record, m->data, most);
}

/* Grows until nothing is taken any more; every item is looked at. Returns how many there are. */
static size_t fill(filled *m, size_t most)
{
    const size_t item = rri_run_item(m->record);
    for (char *at; (at = rri_growth_add(&m->growth, &m->bytes));) {
        size_t count = rri_run_count(m->record);
        CU_ASSERT_PTR_EQUAL(at, (char *)(m->record + 1) + (count - 1) * item);
        CU_ASSERT_EQUAL(m->record->bytes, rri_round16(sizeof *m->record + count * item));
        CU_ASSERT_EQUAL(m->bytes, HEAD + m->record->bytes);
        CU_ASSERT(m->bytes <= most && rri_run_fits(m->record));
    }
    return rri_run_count(m->record);
}

static void to_the_limit(void)
{
    static filled m;
    for (size_t most = 256; most <= 4096; most += 8)
        for (size_t payload = 8; payload <= 32; payload += 8) {
            begin(&m, payload, false, most);
            size_t count = fill(&m, most), next = HEAD + sizeof *m.record + (count + 1) * rri_run_item(m.record);
            CU_ASSERT_EQUAL(rri_run_payload(m.record), payload);
            CU_ASSERT((next + 15) / 16 * 16 > most);
        }
}

static void to_the_most(void)
{
    static filled m;
    begin(&m, 8, true, ROOM);
    CU_ASSERT_EQUAL(fill(&m, ROOM), RRI_RUN_MAX);
    CU_ASSERT_EQUAL(m.bytes, HEAD + sizeof *m.record + 8 * RRI_RUN_MAX);
}

/* Of one-way calls without arguments there is nothing but their number. */
static void of_nothing(void)
{
    static filled m;
    begin(&m, 0, true, 256);
    CU_ASSERT_EQUAL(fill(&m, 256), RRI_RUN_MAX);
    CU_ASSERT_EQUAL(m.bytes, HEAD + sizeof *m.record);
}

/* A first record that is beyond the limit already stays as it is. */
static void too_large(void)
{
    static filled m;
    begin(&m, 512, false, 256);
    CU_ASSERT_EQUAL(fill(&m, 256), 1);
    CU_ASSERT_EQUAL(m.bytes, HEAD + sizeof *m.record + 528);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "to the limit", to_the_limit }, { "to the most", to_the_most }, { "of nothing", of_nothing },
        { "too large", too_large }, CHECK_END
    };
    return check_main(argc, argv, "growth", cases);
}
