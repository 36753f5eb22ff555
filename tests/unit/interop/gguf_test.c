/* What a GGUF file says before its numbers, and what is wrong with one. */
#include "interop/gguf.h"

#include <math.h>
#include <string.h>

#include "interop/gguf_pairs.h"
#include "kit/kit.h"

/* A file in the making. */
struct file {
    uint32_t version;
    uint64_t tensors; /* as the head says; UINT64_MAX: as many as there are */
    uint64_t pairs;   /* likewise */
    crn_gguf_pairs metadata;
    crn_str infos;
    uint64_t info_count;
    uint64_t data_bytes;
};

static struct file new_file(void)
{
    return (struct file){.version = 3, .tensors = UINT64_MAX, .pairs = UINT64_MAX};
}

static void add_tensor(struct file *f, const char *name, uint32_t type, uint64_t offset,
                       uint32_t rank, const uint64_t *shape)
{
    crn_gguf_append_text(&f->infos, name, strlen(name));
    crn_gguf_append_number(&f->infos, rank, 4);
    for (uint32_t i = 0; i < rank && i < 8; i++)
        crn_gguf_append_number(&f->infos, shape[i], 8);
    crn_gguf_append_number(&f->infos, type, 4);
    crn_gguf_append_number(&f->infos, offset, 8);
    f->info_count++;
}

/* The whole file; frees @f. */
static crn_str finish(struct file *f)
{
    crn_str out = {0};
    crn_str_append(&out, "GGUF");
    crn_gguf_append_number(&out, f->version, 4);
    crn_gguf_append_number(&out, f->tensors == UINT64_MAX ? f->info_count : f->tensors, 8);
    crn_gguf_append_number(&out, f->pairs == UINT64_MAX ? f->metadata.count : f->pairs, 8);
    if (f->metadata.bytes.length > 0)
        crn_str_append_bytes(&out, f->metadata.bytes.text, f->metadata.bytes.length);
    if (f->infos.length > 0)
        crn_str_append_bytes(&out, f->infos.text, f->infos.length);
    while (out.length % 32 != 0)
        crn_str_append_bytes(&out, "", 1);
    for (uint64_t i = 0; i < f->data_bytes; i++)
        crn_str_append_bytes(&out, "", 1);
    crn_gguf_pairs_dispose(&f->metadata);
    crn_str_dispose(&f->infos);
    assert_false(out.is_failed);
    return out;
}

static cairn_status parse(const crn_str *file, crn_gguf *out, cairn_error *err)
{
    bool is_short = false;
    *err = (cairn_error){0};
    return crn_gguf_parse((const uint8_t *)file->text, file->length, file->length, "f", out,
                          &is_short, err);
}

/* Two tensors and a key of every kind. */
static struct file good_file(void)
{
    static const uint64_t k_matrix[] = {3, 2};
    static const uint64_t k_vector[] = {5};
    struct file f = new_file();
    crn_gguf_put_text(&f.metadata, "general.architecture", "llama");
    crn_gguf_put_u32(&f.metadata, "a.size", 7);
    crn_gguf_put_f32(&f.metadata, "a.epsilon", 1e-6);
    crn_gguf_put_list(&f.metadata, "a.words", CRN_GGUF_TEXT, 2);
    crn_gguf_append_text(&f.metadata.bytes, "one", 3);
    crn_gguf_append_text(&f.metadata.bytes, "", 0);
    crn_gguf_put_list(&f.metadata, "a.numbers", CRN_GGUF_I32, 2);
    crn_gguf_append_number(&f.metadata.bytes, 1, 4);
    crn_gguf_append_number(&f.metadata.bytes, 2, 4);
    add_tensor(&f, "second", 0, 0, 2, k_matrix); /* 24 bytes */
    add_tensor(&f, "first", 1, 32, 1, k_vector); /* 10 bytes */
    f.data_bytes = 42;
    return f;
}

static void keys_and_tensors__are_found_as_they_were_written(void **state)
{
    (void)state;
    crn_gguf gguf;
    cairn_error err;
    int64_t integer = 0;
    double number = 0.0;
    struct file f = good_file();
    crn_str file = finish(&f);
    tk_assert_ok(parse(&file, &gguf, &err), &err);
    assert_int_equal(gguf.pair_count, 5);
    assert_true(crn_gguf_is_text(crn_gguf_find(&gguf, "general.architecture"), "llama"));
    assert_false(crn_gguf_is_text(crn_gguf_find(&gguf, "general.architecture"), "llam"));
    assert_true(crn_gguf_to_int(crn_gguf_find(&gguf, "a.size"), &integer));
    assert_int_equal(integer, 7);
    assert_true(crn_gguf_to_number(crn_gguf_find(&gguf, "a.size"), &number));
    assert_true(number == 7.0);
    assert_true(crn_gguf_to_number(crn_gguf_find(&gguf, "a.epsilon"), &number));
    assert_true(number == 1e-6); /* Not what the float is exactly. */
    assert_false(crn_gguf_to_int(crn_gguf_find(&gguf, "a.epsilon"), &integer));
    assert_false(crn_gguf_to_number(crn_gguf_find(&gguf, "a.words"), &number));
    assert_null(crn_gguf_find(&gguf, "a.siz"));
    const crn_gguf_tensor *const first = crn_gguf_find_tensor(&gguf, "first");
    const crn_gguf_tensor *const second = crn_gguf_find_tensor(&gguf, "second");
    assert_true(first->dtype == CAIRN_DTYPE_F16 && first->begin == 32 && first->bytes == 10);
    assert_true(second->dtype == CAIRN_DTYPE_F32 && second->begin == 0 && second->bytes == 24);
    assert_true(second->rank == 2 && second->shape[0] == 2 && second->shape[1] == 3);
    assert_int_equal(gguf.data_begin % 32, 0);
    assert_int_equal(gguf.data_begin + 42, file.length);
    assert_null(crn_gguf_find_tensor(&gguf, "third"));
    crn_gguf_dispose(&gguf);
    crn_str_dispose(&file);
}

static void a_file_that_ends_early__is_refused_wherever_it_ends(void **state)
{
    (void)state;
    struct file f = good_file();
    crn_str file = finish(&f);
    for (size_t size = 0; size < file.length; size++) {
        crn_gguf gguf;
        cairn_error err = {0};
        bool is_short = false;
        const uint8_t *const bytes = (const uint8_t *)file.text;
        tk_assert_status(crn_gguf_parse(bytes, size, size, "f", &gguf, &is_short, &err),
                         CAIRN_ECORRUPT, &err);
        crn_gguf_dispose(&gguf);
        /* That a part of it was not enough is known until all of the metadata is there. */
        const cairn_status rc =
            crn_gguf_parse(bytes, size, file.length, "f", &gguf, &is_short, &err);
        assert_true(is_short ? rc == CAIRN_ECORRUPT : rc == CAIRN_OK);
        crn_gguf_dispose(&gguf);
    }
    crn_str_dispose(&file);
}

/* ---- What is wrong ---- */

typedef void (*spoil_fn)(struct file *f);

static void version_1(struct file *f)
{
    f->version = 1;
}
static void version_of_the_other_byte_order(struct file *f)
{
    f->version = 3U << 24;
}
static void a_tensor_too_many(struct file *f)
{
    f->tensors = 3;
}
static void no_tensors(struct file *f)
{
    f->tensors = 0;
}
static void tensors_without_end(struct file *f)
{
    f->tensors = UINT64_MAX - 1;
}
static void pairs_without_end(struct file *f)
{
    f->pairs = UINT64_MAX - 1;
}
static void key_twice(struct file *f)
{
    crn_gguf_put_u32(&f->metadata, "a.size", 8);
}
static void key_without_a_name(struct file *f)
{
    crn_gguf_put_u32(&f->metadata, "", 8);
}
static void value_of_unknown_kind(struct file *f)
{
    crn_gguf_append_text(&f->metadata.bytes, "x", 1);
    crn_gguf_append_number(&f->metadata.bytes, 13, 4);
    f->metadata.count++;
}
static void list_of_lists(struct file *f)
{
    crn_gguf_put_list(&f->metadata, "x", CRN_GGUF_ARRAY, 1);
}
static void list_without_end(struct file *f)
{
    crn_gguf_put_list(&f->metadata, "x", CRN_GGUF_U64, UINT64_MAX / 4);
}
static void texts_without_end(struct file *f)
{
    crn_gguf_put_list(&f->metadata, "x", CRN_GGUF_TEXT, UINT64_MAX);
}
static void text_without_end(struct file *f)
{
    crn_gguf_append_text(&f->metadata.bytes, "x", 1);
    crn_gguf_append_number(&f->metadata.bytes, CRN_GGUF_TEXT, 4);
    crn_gguf_append_number(&f->metadata.bytes, UINT64_MAX, 8);
    f->metadata.count++;
}
static void alignment_of_12(struct file *f)
{
    crn_gguf_put_u32(&f->metadata, "general.alignment", 12);
}
static void alignment_of_64(struct file *f)
{
    crn_gguf_put_u32(&f->metadata, "general.alignment", 64);
    f->data_bytes = 128;
}
static void tensor_twice(struct file *f)
{
    static const uint64_t k_one[] = {1};
    add_tensor(f, "first", 0, 64, 1, k_one);
    f->data_bytes = 68;
}
static void tensor_over_another(struct file *f)
{
    static const uint64_t k_one[] = {1};
    add_tensor(f, "third", 0, 32, 1, k_one);
}
static void tensor_behind_a_gap(struct file *f)
{
    static const uint64_t k_one[] = {1};
    add_tensor(f, "third", 0, 96, 1, k_one);
    f->data_bytes = 200;
}
static void tensor_behind_the_end(struct file *f)
{
    static const uint64_t k_many[] = {100};
    add_tensor(f, "third", 0, 64, 1, k_many);
    f->data_bytes = 64 + 399;
}
static void tensor_of_a_quantised_type(struct file *f)
{
    static const uint64_t k_block[] = {256};
    add_tensor(f, "third", 12, 64, 1, k_block);
}
static void tensor_of_an_unknown_type(struct file *f)
{
    static const uint64_t k_block[] = {256};
    add_tensor(f, "third", 4, 64, 1, k_block);
}
static void tensor_whose_size_wraps(struct file *f)
{
    static const uint64_t k_large[] = {UINT64_C(1) << 32, UINT64_C(1) << 32};
    add_tensor(f, "third", 0, 64, 2, k_large);
}
static void tensor_whose_bytes_wrap(struct file *f)
{
    static const uint64_t k_large[] = {UINT64_C(1) << 62};
    add_tensor(f, "third", 0, 64, 1, k_large);
}
static void tensor_without_axes(struct file *f)
{
    static const uint64_t k_none[] = {0};
    add_tensor(f, "third", 0, 64, 0, k_none);
}
static void tensor_with_five_axes(struct file *f)
{
    static const uint64_t k_ones[] = {1, 1, 1, 1, 1};
    add_tensor(f, "third", 0, 64, 5, k_ones);
}
static void tensor_with_a_long_name(struct file *f)
{
    static const uint64_t k_one[] = {1};
    add_tensor(f, "0123456789012345678901234567890123456789012345678901234567890123.", 0, 64, 1,
               k_one);
}

static void a_file_that_contradicts_itself__is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        spoil_fn spoil;
        cairn_status status;
        const char *words;
    } k_cases[] = {
        {version_1, CAIRN_EUNSUPPORTED, "version 1"},
        {version_of_the_other_byte_order, CAIRN_EUNSUPPORTED, "byte order"},
        {a_tensor_too_many, CAIRN_ECORRUPT, "tensor"},
        {no_tensors, CAIRN_ECORRUPT, "no tensors"},
        {tensors_without_end, CAIRN_ECORRUPT, "more than"},
        {pairs_without_end, CAIRN_ECORRUPT, "more than"},
        {key_twice, CAIRN_ECORRUPT, "a.size twice"},
        {key_without_a_name, CAIRN_ECORRUPT, "key of 0 bytes"},
        {value_of_unknown_kind, CAIRN_ECORRUPT, "unknown kind 13"},
        {list_of_lists, CAIRN_ECORRUPT, "list of unknown kind"},
        {list_without_end, CAIRN_ECORRUPT, "ends within"},
        {texts_without_end, CAIRN_ECORRUPT, "ends within"},
        {text_without_end, CAIRN_ECORRUPT, "ends within"},
        {alignment_of_12, CAIRN_ECORRUPT, "general.alignment"},
        {alignment_of_64, CAIRN_ECORRUPT, "'first' does not follow"},
        {tensor_twice, CAIRN_ECORRUPT, "'first' twice"},
        {tensor_over_another, CAIRN_ECORRUPT, "'third' does not follow"},
        {tensor_behind_a_gap, CAIRN_ECORRUPT, "'third' does not follow"},
        {tensor_behind_the_end, CAIRN_ECORRUPT, "ends before 'third'"},
        {tensor_of_a_quantised_type, CAIRN_EUNSUPPORTED, "'third' is of type Q4_K"},
        {tensor_of_an_unknown_type, CAIRN_EUNSUPPORTED, "'third' is of type unknown"},
        {tensor_whose_size_wraps, CAIRN_ECORRUPT, "too large"},
        {tensor_whose_bytes_wrap, CAIRN_ECORRUPT, "too large"},
        {tensor_without_axes, CAIRN_ECORRUPT, "0 axes"},
        {tensor_with_five_axes, CAIRN_ECORRUPT, "5 axes"},
        {tensor_with_a_long_name, CAIRN_ECORRUPT, "too long"},
    };
    for (size_t i = 0; i < sizeof k_cases / sizeof k_cases[0]; i++) {
        crn_gguf gguf;
        cairn_error err;
        struct file f = good_file();
        k_cases[i].spoil(&f);
        crn_str file = finish(&f);
        tk_assert_status(parse(&file, &gguf, &err), k_cases[i].status, &err);
        tk_assert_error_has(&err, k_cases[i].words);
        crn_gguf_dispose(&gguf);
        crn_str_dispose(&file);
    }
}

/* ---- Numbers ---- */

static bool to_int(crn_gguf_kind kind, uint64_t bits, uint64_t width, int64_t *out)
{
    uint8_t bytes[8];
    for (unsigned i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(bits >> (8 * i));
    const crn_gguf_pair pair = {.kind = kind, .bytes = bytes, .count = width};
    return crn_gguf_to_int(&pair, out);
}

static void integers_of_every_width__are_read_with_their_sign(void **state)
{
    (void)state;
    int64_t value = 0;
    assert_true(to_int(CRN_GGUF_U8, 0xff, 1, &value) && value == 255);
    assert_true(to_int(CRN_GGUF_I8, 0xff, 1, &value) && value == -1);
    assert_true(to_int(CRN_GGUF_U16, 0xfffe, 2, &value) && value == 65534);
    assert_true(to_int(CRN_GGUF_I16, 0xfffe, 2, &value) && value == -2);
    assert_true(to_int(CRN_GGUF_I32, 0x7fffffff, 4, &value) && value == INT32_MAX);
    assert_true(to_int(CRN_GGUF_I32, 0x80000000, 4, &value) && value == INT32_MIN);
    assert_true(to_int(CRN_GGUF_I64, UINT64_MAX, 8, &value) && value == -1);
    assert_true(to_int(CRN_GGUF_U64, INT64_MAX, 8, &value) && value == INT64_MAX);
    assert_false(to_int(CRN_GGUF_U64, UINT64_MAX, 8, &value));
    assert_false(to_int(CRN_GGUF_BOOL, 1, 1, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_and_tensors__are_found_as_they_were_written),
        cmocka_unit_test(a_file_that_ends_early__is_refused_wherever_it_ends),
        cmocka_unit_test(a_file_that_contradicts_itself__is_refused_by_name),
        cmocka_unit_test(integers_of_every_width__are_read_with_their_sign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
