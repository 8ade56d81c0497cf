/* SPDX-License-Identifier: BSD-3-Clause */
/* The place of libFuzzer in `make check`: the target's corpus, tests/fuzz/corpus/NAME, and what comes near it. */
#include "fuzz.h"

#include "check.h"

#include <dirent.h>

enum { INPUT_MAX = 4096 };

static char folder[512];
static uint64_t state;

/* splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static uint64_t draw(void)
{
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = fuzz_exact(data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void as_it_is(uint8_t *data, size_t size) { run(data, size); }

static void cut_short(uint8_t *data, size_t size)
{
    size_t step = size / 64 + 1;
    for (size_t n = 0; n < size; n += step) run(data, n);
}

static void damaged(uint8_t *data, size_t size)
{
    for (int i = 0; i < 64 && size > 0; i++) {
        size_t at = (size_t)(draw() % size);
        uint8_t was = data[at];
        data[at] = (uint8_t)draw();
        run(data, size);
        data[at] = was;
    }
}

static size_t read_input(const char *name, uint8_t data[INPUT_MAX])
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (!file) return 0;
    size_t n = fread(data, 1, INPUT_MAX, file);
    fclose(file);
    return n;
}

static void each_input(void (*act)(uint8_t *data, size_t size))
{
    static uint8_t data[INPUT_MAX];
    unsigned inputs = 0;
    DIR *all = opendir(folder);
    CU_ASSERT_PTR_NOT_NULL_FATAL(all);
    state = 1;
    for (struct dirent *entry; (entry = readdir(all));) {
        if (entry->d_name[0] == '.') continue;
        act(data, read_input(entry->d_name, data));
        inputs++;
    }
    closedir(all);
    CU_ASSERT(inputs >= 5);
}

static void bears_its_corpus(void) { each_input(as_it_is); }
static void bears_inputs_cut_short(void) { each_input(cut_short); }
static void bears_damaged_inputs(void) { each_input(damaged); }

static void bears_noise(void)
{
    uint8_t data[256];
    state = 2;
    for (int round = 0; round < 1000; round++) {
        size_t size = (size_t)(draw() % sizeof data);
        for (size_t i = 0; i < size; i++) data[i] = (uint8_t)draw();
        run(data, size);
    }
}

static const check_case cases[] = {
    { "bears its corpus", bears_its_corpus },
    { "bears inputs cut short", bears_inputs_cut_short },
    { "bears damaged inputs", bears_damaged_inputs },
    { "bears noise", bears_noise },
    CHECK_END
};

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/'), *top = getenv("srcdir");
    name = name ? name + 1 : argv[0];
    snprintf(folder, sizeof folder, "%s/tests/fuzz/corpus/%s", top ? top : ".", name);
    return check_main(argc, argv, name, cases);
}
