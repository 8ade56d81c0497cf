/* SPDX-License-Identifier: BSD-3-Clause */
/* Descriptors: there and back with the same id; cut, changed and made up ones are refused or are of another id. */
#include "descriptor.h"

#include "check.h"
#include "error.h"

#include <stdlib.h>
#include <string.h>

static int handler(rref_call *call, void *self)
{
    (void)call;
    (void)self;
    return RREF_OK;
}

static const rref_method methods[] = {
    RREF_METHOD("add", "i64,f64[]->i64", handler, RREF_INLINE | RREF_CONCURRENT),
    RREF_METHOD("get", "struct point[16] -> ref[], str", handler, RREF_WORKER),
    RREF_METHOD("nothing", "", handler, 0),
    RREF_METHODS_END
};
static const rref_class source = RREF_CLASS("thing", "u64, str", NULL, NULL, methods);
static const rref_class bare = RREF_CLASS("x", NULL, NULL, NULL, NULL);

static rri_classes classes;
static const rri_class *original;
static char *bytes;
static size_t count;

static void describe(const rref_class *klass)
{
    classes = (rri_classes){ .first = NULL };
    CU_ASSERT_EQUAL_FATAL(rri_class_add(&classes, klass, &original), RREF_OK);
    count = rri_descriptor_bytes(original);
    bytes = malloc(count);
    rri_descriptor_write(original, bytes);
}

static void forget(void)
{
    free(bytes);
    rri_classes_free(&classes);
}

/* From memory that ends where it says; the id, or 0 if it was refused as it should be. */
static uint64_t read_from(const void *from, size_t n)
{
    rri_class *k = NULL;
    char *copy = malloc(n ? n : 1);
    memcpy(copy, from, n);
    int rc = rri_descriptor_read(copy, n, &k);
    free(copy);
    if (rc) {
        CU_ASSERT_EQUAL(rc, RREF_ERR_PROTOCOL);
        CU_ASSERT_EQUAL(rri_error_last()->code, rc);
        CU_ASSERT_PTR_NULL(k);
        return 0;
    }
    uint64_t id = k->id;
    rri_class_drop(k);
    return id;
}

static void there_and_back(void)
{
    rri_class *k;
    describe(&source);
    CU_ASSERT_EQUAL_FATAL(rri_descriptor_read(bytes, count, &k), RREF_OK);
    memset(bytes, 'x', count);                  /* the class keeps nothing of where it was read */
    CU_ASSERT_EQUAL(k->id, original->id);
    CU_ASSERT_STRING_EQUAL(k->name, "thing");
    CU_ASSERT_STRING_EQUAL(k->create.text, "u64, str");
    CU_ASSERT_EQUAL(k->count, 3);
    for (unsigned i = 0; i < 3; i++) {
        CU_ASSERT_STRING_EQUAL(k->method[i].name, original->method[i].name);
        CU_ASSERT_STRING_EQUAL(k->method[i].signature.text, original->method[i].signature.text);
        CU_ASSERT_EQUAL(k->method[i].flags, original->method[i].flags);
        CU_ASSERT_PTR_NULL(k->method[i].handler);
    }
    CU_ASSERT_PTR_NULL(k->source);
    rri_class_drop(k);
    forget();
    describe(&bare);
    CU_ASSERT_EQUAL(read_from(bytes, count), original->id);
    forget();
}

/* Found by id, not by name, and beside a class of this rank that has the same name. */
static void adopted(void)
{
    rri_class *k;
    describe(&source);
    CU_ASSERT_EQUAL_FATAL(rri_descriptor_read(bytes, count, &k), RREF_OK);
    forget();
    classes = (rri_classes){ .first = NULL };
    rri_class_adopt(&classes, k);
    CU_ASSERT_PTR_EQUAL(rri_class_of_id(&classes, k->id), k);
    CU_ASSERT_PTR_NULL(rri_class_named(&classes, "thing"));
    CU_ASSERT_EQUAL(rri_class_add(&classes, &(rref_class)RREF_CLASS("thing", "", NULL, NULL, NULL), &original), RREF_OK);
    CU_ASSERT_PTR_EQUAL(rri_class_named(&classes, "thing"), original);
    CU_ASSERT_PTR_EQUAL(rri_class_of_id(&classes, k->id), k);
    rri_classes_free(&classes);
}

static void cut(void)
{
    describe(&source);
    for (size_t n = 0; n < count; n++) CU_ASSERT_EQUAL(read_from(bytes, n), 0);
    char *longer = calloc(1, count + 8);
    memcpy(longer, bytes, count);
    CU_ASSERT_EQUAL(read_from(longer, count + 1), 0);
    CU_ASSERT_EQUAL(read_from(longer, count + 8), 0);
    free(longer);
    forget();
}

/* Each byte with each value: the id tells what is not refused. (Of blanks in signatures there are several kinds.) */
static void changed(void)
{
    describe(&source);
    for (size_t at = 0; at < count; at++) {
        const char right = bytes[at];
        for (int value = 0; value < 256; value++) {
            bytes[at] = (char)value;
            if (bytes[at] != right && right != ' ') CU_ASSERT_NOT_EQUAL(read_from(bytes, count), original->id);
        }
        bytes[at] = right;
    }
    CU_ASSERT_EQUAL(read_from(bytes, count), original->id);
    forget();
}

static void made_up(void)
{
    char text[600];
    const uint32_t many = UINT32_MAX;
    memset(text, 0, sizeof text);
    CU_ASSERT_EQUAL(read_from(text, sizeof text), 0);          /* no name */
    memset(text, 0xff, sizeof text);
    CU_ASSERT_EQUAL(read_from(text, sizeof text), 0);
    memset(text, 'n', sizeof text);                             /* a long name */
    memset(text, 0, sizeof many);
    text[300] = text[301] = 0;
    CU_ASSERT_EQUAL(read_from(text, 302), 0);
    describe(&source);
    memcpy(bytes, &many, sizeof many);                          /* more methods than could be there */
    CU_ASSERT_EQUAL(read_from(bytes, count), 0);
    forget();
}

static const check_case cases[] = {
    { "there_and_back", there_and_back }, { "adopted", adopted }, { "cut", cut }, { "changed", changed },
    { "made_up", made_up }, CHECK_END
};

int main(int argc, char **argv) { return check_main(argc, argv, "descriptor", cases); }
