/*
 * Properties over random headers, always the same ones: what is written reads back, and a damaged
 * header gets a code, whatever the damage (run under the sanitizers too).
 */
#include "kit/kit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "format/format.h"

enum { ROUNDS = 400, MUTATIONS = 20000, TENSORS_MOST = 12, NAME_SIZE = 32, AXES_MOST = 3 };

struct random {
    uint64_t seed;
    uint64_t index;
};

static uint32_t draw(struct random *random, uint32_t below)
{
    uint32_t block[4];
    crn_philox(random->seed, 1, 0, random->index++, block);
    return block[0] % below;
}

struct sample {
    crn_file_entry entries[TENSORS_MOST];
    char names[TENSORS_MOST][NAME_SIZE];
    uint64_t shapes[TENSORS_MOST][AXES_MOST];
    size_t count;
    uint64_t data_bytes;
    crn_str text; /* as written */
};

static void make_sample(struct random *random, struct sample *sample)
{
    static const cairn_dtype k_dtypes[] = {CAIRN_DTYPE_F32, CAIRN_DTYPE_BF16, CAIRN_DTYPE_U8,
                                           CAIRN_DTYPE_I64};
    static const char *const k_parts[] = {"model.", "\xc3\xa4", "\"", "\\", "\n", "/", "__pad__."};
    const crn_meta_entry meta = {
        .key = "cairn.format", .key_length = 12, .value = "1.0", .value_length = 3};
    cairn_error err = {0};
    *sample = (struct sample){.count = draw(random, TENSORS_MOST + 1)};
    for (size_t i = 0; i < sample->count; i++) {
        crn_file_entry *const entry = &sample->entries[i];
        (void)snprintf(sample->names[i], NAME_SIZE, "%s%zu",
                       k_parts[draw(random, sizeof k_parts / sizeof k_parts[0])], i);
        entry->name = sample->names[i];
        entry->name_length = strlen(entry->name);
        entry->dtype = k_dtypes[draw(random, sizeof k_dtypes / sizeof k_dtypes[0])];
        entry->rank = draw(random, AXES_MOST + 1);
        entry->shape = sample->shapes[i];
        entry->begin = sample->data_bytes;
        entry->bytes = cairn_dtype_bits(entry->dtype) / 8;
        for (uint32_t axis = 0; axis < entry->rank; axis++) {
            sample->shapes[i][axis] = draw(random, 6);
            entry->bytes *= sample->shapes[i][axis];
        }
        sample->data_bytes += entry->bytes;
    }
    tk_assert_ok(crn_header_write(&meta, 1, sample->entries, sample->count, &sample->text, &err),
                 &err);
}

static void random_header__reads_back_entry_by_entry(void **state)
{
    (void)state;
    struct random random = {.seed = 1};
    for (size_t round = 0; round < ROUNDS; round++) {
        struct sample sample;
        crn_header header;
        char message[200];
        make_sample(&random, &sample);
        assert_int_equal(crn_header_parse((const uint8_t *)sample.text.text + 8,
                                          sample.text.length - 8, sample.data_bytes, &header,
                                          message),
                         CRN_FORMAT_OK);
        assert_int_equal(header.entry_count, sample.count);
        uint64_t end = 0;
        for (size_t i = 0; i < header.entry_count; i++) {
            const crn_file_entry *const read = &header.entries[i];
            const crn_file_entry *written = NULL;
            for (size_t j = 0; j < sample.count; j++) {
                if (strcmp(sample.names[j], read->name) == 0)
                    written = &sample.entries[j];
            }
            assert_non_null(written);
            assert_int_equal(read->dtype, written->dtype);
            assert_int_equal(read->rank, written->rank);
            assert_memory_equal(read->shape, written->shape, read->rank * sizeof *read->shape);
            assert_int_equal(read->begin, written->begin);
            assert_int_equal(read->bytes, written->bytes);
            assert_int_equal(read->begin, end);
            end += read->bytes;
        }
        crn_header_dispose(&header);
        crn_str_dispose(&sample.text);
    }
}

/* Changes @json in one of several ways; returns the new size, never more than @size. */
static size_t mutate(struct random *random, uint8_t *json, size_t size)
{
    static const char *const k_pieces[] = {"{",    "}",        "[",
                                           "]",    ",",        ":",
                                           "\"",   "\\",       "\\u0000",
                                           "null", "-1",       "1e9",
                                           "\xff", "00",       "__metadata__",
                                           "a",    "\"a\":{}", "18446744073709551615"};
    const size_t at = draw(random, (uint32_t)size);
    switch (draw(random, 5)) {
    case 0: /* a bit */
        json[at] ^= (uint8_t)(1u << draw(random, 8));
        return size;
    case 1: /* a byte */
        json[at] = (uint8_t)draw(random, 256);
        return size;
    case 2: { /* a piece of JSON over what is there */
        const char *const piece = k_pieces[draw(random, sizeof k_pieces / sizeof k_pieces[0])];
        const size_t length = strlen(piece);
        memcpy(json + at, piece, length < size - at ? length : size - at);
        return size;
    }
    case 3: { /* some bytes out */
        const size_t length = 1 + draw(random, 8);
        const size_t taken = length < size - at ? length : size - at;
        memmove(json + at, json + at + taken, size - at - taken);
        return size - taken > 0 ? size - taken : 1;
    }
    default: { /* a stretch copied over another */
        const size_t from = draw(random, (uint32_t)size);
        const size_t most = size - (at > from ? at : from);
        memmove(json + at, json + from, 1 + draw(random, (uint32_t)(most < 64 ? most : 64)));
        return size;
    }
    }
}

static bool ignore_key(void *user, const crn_meta_entry *entry)
{
    size_t *const bytes = user;
    *bytes += strlen(entry->key) + strlen(entry->value);
    return true;
}

static crn_format_code ignore_pair(void *user, const char *outer, const char *key,
                                   const char *value)
{
    size_t *const bytes = user;
    *bytes += strlen(outer) + (key != NULL ? strlen(key) + strlen(value) : 0);
    return CRN_FORMAT_OK;
}

/* What holds of any header that is accepted. */
static void assert_sound(const crn_header *header, uint64_t data_bytes)
{
    uint64_t end = 0;
    for (size_t i = 0; i < header->entry_count; i++) {
        assert_int_equal(header->entries[i].begin, end);
        assert_int_equal(strlen(header->entries[i].name), header->entries[i].name_length);
        end += header->entries[i].bytes;
    }
    assert_int_equal(end, data_bytes);
}

static void damaged_header__gets_a_code_and_never_more_than_it_was_given(void **state)
{
    (void)state;
    struct random random = {.seed = 2};
    size_t refused = 0;
    size_t accepted = 0;
    size_t touched = 0;
    struct sample sample;
    for (size_t i = 0; i < MUTATIONS; i++) {
        crn_header header;
        char message[200];
        if (i % 50 == 0)
            make_sample(&random, &sample);
        /* Without the padding, where most of the damage would be lost; of the exact size. */
        size_t size = sample.text.length - 8;
        while (sample.text.text[8 + size - 1] == ' ')
            size--;
        uint8_t *json = malloc(size);
        assert_non_null(json);
        memcpy(json, sample.text.text + 8, size);
        for (uint32_t times = 1 + draw(&random, 3); times > 0; times--)
            size = mutate(&random, json, size);
        json = realloc(json, size);
        assert_non_null(json);
        const crn_format_code code =
            crn_header_parse(json, size, sample.data_bytes, &header, message);
        assert_string_not_equal(crn_format_code_text(code), "E_?");
        assert_int_not_equal(code, CRN_FORMAT_NO_MEMORY);
        assert_true((code == CRN_FORMAT_OK) == (message[0] == '\0'));
        if (code == CRN_FORMAT_OK) {
            accepted++;
            assert_sound(&header, sample.data_bytes);
        } else {
            refused++;
        }
        (void)crn_header_peek(json, size, ignore_key, &touched);
        (void)crn_pairs_parse((const char *)json, size, ignore_pair, &touched);
        crn_header_dispose(&header);
        free(json);
        if (i % 50 == 49)
            crn_str_dispose(&sample.text);
    }
    assert_true(refused > MUTATIONS / 2);
    assert_true(accepted > 0);
    assert_true(touched > 0);
}

static void random_length_word__gets_a_code_and_stays_within_the_file(void **state)
{
    (void)state;
    struct random random = {.seed = 3};
    for (size_t i = 0; i < MUTATIONS; i++) {
        uint8_t word[12];
        char message[200];
        uint64_t length = 0;
        const uint32_t size = draw(&random, sizeof word + 1);
        const uint64_t file_bytes = size + draw(&random, 1 << 20);
        for (size_t j = 0; j < sizeof word; j++)
            word[j] = (uint8_t)(j < 3 || draw(&random, 8) == 0 ? draw(&random, 256) : 0);
        const crn_format_code code = crn_header_length(word, size, file_bytes, &length, message);
        assert_string_not_equal(crn_format_code_text(code), "E_?");
        if (code == CRN_FORMAT_OK)
            assert_true(length > 0 && 8 + length <= file_bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_header__reads_back_entry_by_entry),
        cmocka_unit_test(damaged_header__gets_a_code_and_never_more_than_it_was_given),
        cmocka_unit_test(random_length_word__gets_a_code_and_stays_within_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
