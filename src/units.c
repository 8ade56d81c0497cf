/* SPDX-License-Identifier: BSD-3-Clause */
/* Sets of numbers, and their text. Owns nothing. */
#include "units.h"

#include <stdio.h>
#include <string.h>

int rri_units_count(const rri_units *set)
{
    int count = 0;
    for (int i = 0; i < RRI_UNITS_WORDS; i++) count += __builtin_popcountll(set->word[i]);
    return count;
}

int rri_units_next(const rri_units *set, int from)
{
    for (int unit = from; unit < RRI_UNITS; unit++) {
        unsigned long long rest = set->word[unit / 64] >> (unit % 64);
        if (rest) return unit + __builtin_ctzll(rest);
        unit |= 63;
    }
    return -1;
}

bool rri_units_meet(const rri_units *a, const rri_units *b)
{
    for (int i = 0; i < RRI_UNITS_WORDS; i++)
        if (a->word[i] & b->word[i]) return true;
    return false;
}

rri_units rri_units_without(const rri_units *a, const rri_units *b)
{
    rri_units left;
    for (int i = 0; i < RRI_UNITS_WORDS; i++) left.word[i] = a->word[i] & ~b->word[i];
    return left;
}

/* ---- text */

static bool take_number(const char **text, int *number)
{
    const char *at = *text;
    int value = 0;
    for (; *at >= '0' && *at <= '9' && value < RRI_UNITS; at++) value = 10 * value + (*at - '0');
    if (at == *text || value >= RRI_UNITS) return false;
    *text = at;
    *number = value;
    return true;
}

static bool take_range(const char **text, int *from, int *to)
{
    if (!take_number(text, from)) return false;
    *to = *from;
    if (**text != '-') return true;
    ++*text;
    return take_number(text, to) && *to >= *from;
}

bool rri_units_parse(rri_units *set, const char *text)
{
    rri_units read = { { 0 } };
    for (bool more = true; more;) {
        int from, to;
        if (!take_range(&text, &from, &to)) return false;
        for (int unit = from; unit <= to; unit++) rri_units_add(&read, unit);
        more = *text == ',';
        text += more;
    }
    if (*text != '\0') return false;
    *set = read;
    return true;
}

/* The last one of the run that begins with `from`. */
static int end_of_run(const rri_units *set, int from)
{
    while (rri_units_has(set, from + 1)) from++;
    return from;
}

void rri_units_format(const rri_units *set, char *buffer, size_t size)
{
    if (size == 0) return;
    buffer[0] = '\0';
    for (int from = rri_units_next(set, 0), to; from >= 0; from = rri_units_next(set, to + 1)) {
        const size_t used = strlen(buffer);
        const char *joint = used ? "," : "";
        to = end_of_run(set, from);
        if (from == to) snprintf(buffer + used, size - used, "%s%d", joint, from);
        else snprintf(buffer + used, size - used, "%s%d-%d", joint, from, to);
    }
}
