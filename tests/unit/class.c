/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes: compiling, what is refused, what the hash depends on, duplicates, and looking up. */
#include "class.h"

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

static int create(rref_call *call, void **self)
{
    (void)call;
    *self = NULL;
    return RREF_OK;
}

static rri_classes classes;

static void open_classes(void) { classes = (rri_classes){ .first = NULL }; }

static void compiled(void)
{
    static const rref_method methods[] = {
        RREF_METHOD("add", "f64[]", handler, 0), RREF_METHOD("get", "u32,str->f64", handler, RREF_INLINE), RREF_METHODS_END
    };
    static const rref_class source = RREF_CLASS("mean", "u64", create, free, methods);
    const rri_class *c;
    open_classes();
    CU_ASSERT_EQUAL_FATAL(rri_class_add(&classes, &source, &c), RREF_OK);
    CU_ASSERT_STRING_EQUAL(c->name, "mean");
    CU_ASSERT_EQUAL(c->count, 2);
    CU_ASSERT_EQUAL(c->create.in.count, 1);
    CU_ASSERT_STRING_EQUAL(c->method[1].signature.text, "u32, str -> f64");
    CU_ASSERT_EQUAL(c->method[1].flags, RREF_INLINE);
    CU_ASSERT_EQUAL(rri_method_find(c, "add"), 0);
    CU_ASSERT_EQUAL(rri_method_find(c, "get"), 1);
    CU_ASSERT_EQUAL(rri_method_find(c, "ge"), -1);
    CU_ASSERT_EQUAL(rri_method_find(c, ""), -1);
    CU_ASSERT_PTR_EQUAL(rri_class_named(&classes, "mean"), c);
    CU_ASSERT_PTR_NULL(rri_class_named(&classes, "median"));
    CU_ASSERT_PTR_EQUAL(rri_class_of_id(&classes, c->id), c);
    CU_ASSERT_PTR_NULL(rri_class_of_id(&classes, c->id + 1));
    rri_classes_free(&classes);
}

static void empty(void)
{
    static const rref_method none[] = { RREF_METHODS_END };
    static const rref_class bare = RREF_CLASS("bare", NULL, NULL, NULL, NULL), blank = RREF_CLASS("blank", "", NULL, NULL, none);
    const rri_class *c;
    open_classes();
    CU_ASSERT_EQUAL(rri_class_add(&classes, &bare, &c), RREF_OK);
    CU_ASSERT_EQUAL(c->count, 0);
    CU_ASSERT_EQUAL(rri_class_add(&classes, &blank, NULL), RREF_OK);
    rri_classes_free(&classes);
}

/* ---- refused */

static void refuse(const rref_class *source, int code)
{
    const rri_class *c = NULL;
    CU_ASSERT_EQUAL(rri_class_add(&classes, source, &c), code);
    CU_ASSERT_EQUAL(rri_error_last()->code, code);
    CU_ASSERT_PTR_NULL(c);
    CU_ASSERT_PTR_NULL(classes.first);
}

static void refuse_method(const char *name, const char *signature, rref_handler does, unsigned flags, int code)
{
    const rref_method methods[] = { RREF_METHOD("good", "", handler, 0), RREF_METHOD(name, signature, does, flags),
                                    RREF_METHODS_END };
    refuse(&(rref_class)RREF_CLASS("thing", "", NULL, NULL, methods), code);
}

static void refuse_hooks(const char *signature, rref_handler pack, rref_constructor unpack, int code)
{
    const rref_hooks hooks = { .signature = signature, .pack = pack, .unpack = unpack };
    refuse(&(rref_class)RREF_CLASS_EX("thing", "", NULL, NULL, NULL, 0, &hooks), code);
}

static void refused(void)
{
    char name[300];
    open_classes();
    memset(name, 'n', sizeof name);
    name[256] = 0;
    refuse(NULL, RREF_ERR_ARGUMENT);
    refuse(&(rref_class)RREF_CLASS(NULL, "", NULL, NULL, NULL), RREF_ERR_ARGUMENT);
    refuse(&(rref_class)RREF_CLASS("", "", NULL, NULL, NULL), RREF_ERR_ARGUMENT);
    refuse(&(rref_class)RREF_CLASS(name, "", NULL, NULL, NULL), RREF_ERR_ARGUMENT);
    refuse(&(rref_class)RREF_CLASS("thing", "u65", NULL, NULL, NULL), RREF_ERR_SIGNATURE);
    refuse(&(rref_class)RREF_CLASS("thing", "-> u64", NULL, NULL, NULL), RREF_ERR_SIGNATURE);
    refuse(&(rref_class)RREF_CLASS_EX("thing", "", NULL, NULL, NULL, 1u << 20, NULL), RREF_ERR_ARGUMENT);
    refuse_hooks("u64", NULL, create, RREF_ERR_ARGUMENT);
    refuse_hooks("u64", handler, NULL, RREF_ERR_ARGUMENT);
    refuse_hooks(NULL, handler, create, RREF_ERR_ARGUMENT);
    refuse_hooks("u65", handler, create, RREF_ERR_SIGNATURE);
    CU_ASSERT_PTR_NOT_NULL(strstr(rri_error_last()->text, "thing.pack"));
    refuse_hooks("u64 -> u64", handler, create, RREF_ERR_SIGNATURE);
    refuse_method("bad", "f63", handler, 0, RREF_ERR_SIGNATURE);
    CU_ASSERT_PTR_NOT_NULL(strstr(rri_error_last()->text, "thing.bad"));
    refuse_method("bad", "", NULL, 0, RREF_ERR_ARGUMENT);
    refuse_method("bad", NULL, handler, 0, RREF_ERR_ARGUMENT);
    refuse_method("", "", handler, 0, RREF_ERR_ARGUMENT);
    refuse_method("bad", "", handler, 1u << 20, RREF_ERR_ARGUMENT);
    refuse_method("both", "", handler, RREF_INLINE | RREF_WORKER, RREF_ERR_ARGUMENT);
    CU_ASSERT_PTR_NOT_NULL(strstr(rri_error_last()->text, "thing.both"));
    refuse_method("good", "u64", handler, 0, RREF_ERR_ARGUMENT);
    rri_classes_free(&classes);
}

static void longest_name(void)
{
    char name[256];
    open_classes();
    memset(name, 'n', sizeof name);
    name[255] = 0;
    CU_ASSERT_EQUAL(rri_class_add(&classes, &(rref_class)RREF_CLASS(name, "", NULL, NULL, NULL), NULL), RREF_OK);
    rri_classes_free(&classes);
}

/* ---- the hash */

static uint64_t id_of_class(const rref_class *source)
{
    const rri_class *c = NULL;
    open_classes();
    CU_ASSERT_EQUAL_FATAL(rri_class_add(&classes, source, &c), RREF_OK);
    uint64_t id = c->id;
    rri_classes_free(&classes);
    return id;
}

static uint64_t id_of(const char *name, const char *constructor, const rref_method *methods)
{
    return id_of_class(&(rref_class)RREF_CLASS(name, constructor, NULL, NULL, methods));
}

static uint64_t id_of_extra(unsigned flags, const char *packed)
{
    const rref_hooks hooks = { .signature = packed, .pack = handler, .unpack = create };
    return id_of_class(&(rref_class)RREF_CLASS_EX("c", "", NULL, NULL, NULL, flags, packed ? &hooks : NULL));
}

static uint64_t id_of_one(const char *method, const char *signature, unsigned flags)
{
    const rref_method methods[] = { RREF_METHOD(method, signature, handler, flags), RREF_METHODS_END };
    return id_of("c", "", methods);
}

static void hash(void)
{
    static const rref_method ab[] = { RREF_METHOD("a", "", handler, 0), RREF_METHOD("b", "", handler, 0), RREF_METHODS_END };
    static const rref_method ba[] = { RREF_METHOD("b", "", handler, 0), RREF_METHOD("a", "", handler, 0), RREF_METHODS_END };
    uint64_t plain = id_of_one("m", "u64 -> f64", 0);
    CU_ASSERT_NOT_EQUAL(plain, 0);
    CU_ASSERT_EQUAL(plain, id_of_one("m", "u64 -> f64", 0));
    CU_ASSERT_EQUAL(plain, id_of_one("m", " u64->f64 ", 0));        /* blanks mean nothing */
    CU_ASSERT_NOT_EQUAL(plain, id_of_one("n", "u64 -> f64", 0));
    CU_ASSERT_NOT_EQUAL(plain, id_of_one("m", "u64 -> f32", 0));
    CU_ASSERT_NOT_EQUAL(plain, id_of_one("m", "u64, f64", 0));
    CU_ASSERT_NOT_EQUAL(plain, id_of_one("m", "u64 -> f64", RREF_CONCURRENT));
    CU_ASSERT_NOT_EQUAL(id_of("c", "", ab), id_of("c", "", ba));
    CU_ASSERT_NOT_EQUAL(id_of("c", "", ab), id_of("d", "", ab));
    CU_ASSERT_NOT_EQUAL(id_of("c", "", ab), id_of("c", "u8", ab));
    CU_ASSERT_NOT_EQUAL(id_of("c", "", ab), id_of("c", "", NULL));
    CU_ASSERT_EQUAL(id_of_extra(0, NULL), id_of("c", "", NULL));
    CU_ASSERT_NOT_EQUAL(id_of_extra(RREF_SEALED, NULL), id_of_extra(0, NULL));
    CU_ASSERT_NOT_EQUAL(id_of_extra(RREF_SEALED, NULL), id_of_extra(RREF_REENTRANT, NULL));
    CU_ASSERT_NOT_EQUAL(id_of_extra(0, "u64"), id_of_extra(0, NULL));
    CU_ASSERT_NOT_EQUAL(id_of_extra(0, "u64"), id_of_extra(0, "u32"));
    CU_ASSERT_EQUAL(id_of_extra(0, "u64,str"), id_of_extra(0, "u64, str"));
}

static void duplicates(void)
{
    static const rref_class one = RREF_CLASS("same", "u8", NULL, NULL, NULL), other = RREF_CLASS("same", "u16", NULL, NULL, NULL);
    const rri_class *c, *d = NULL;
    open_classes();
    CU_ASSERT_EQUAL_FATAL(rri_class_add(&classes, &one, &c), RREF_OK);
    CU_ASSERT_EQUAL(rri_class_add(&classes, &one, &d), RREF_ERR_CLASS_EXISTS);
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, "class same is registered already");
    CU_ASSERT_EQUAL(rri_class_add(&classes, &other, &d), RREF_ERR_CLASS_EXISTS);
    CU_ASSERT_STRING_EQUAL(rri_error_last()->text, "another class is registered as same");
    CU_ASSERT_PTR_NULL(d);
    CU_ASSERT_PTR_EQUAL(rri_class_named(&classes, "same"), c);
    rri_classes_free(&classes);
}

int main(int argc, char **argv)
{
    static const check_case cases[] = {
        { "compiled", compiled }, { "empty", empty }, { "refused", refused }, { "longest name", longest_name }, { "hash", hash },
        { "duplicates", duplicates }, CHECK_END
    };
    return check_main(argc, argv, "class", cases);
}
