/* Chunks packed with LZ4: what they unpack to, and what is wrong with damaged ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "h5/lz4.h"

enum { CHUNK_MAX = 600 };

struct chunk {
    uint8_t bytes[CHUNK_MAX];
    size_t size;
};

static void add(struct chunk *chunk, const void *bytes, size_t size)
{
    assert_true(size <= sizeof chunk->bytes - chunk->size);
    memcpy(chunk->bytes + chunk->size, bytes, size);
    chunk->size += size;
}

static void add_number(struct chunk *chunk, uint64_t number, size_t size)
{
    for (size_t i = size; i-- > 0;)
        chunk->bytes[chunk->size++] = (uint8_t)(number >> (8 * i));
}

/* A chunk of @bytes bytes in one block that is packed as @block. */
static struct chunk one_block(uint64_t bytes, const void *block, size_t size)
{
    struct chunk chunk = {.size = 0};
    add_number(&chunk, bytes, 8);
    add_number(&chunk, bytes, 4);
    add_number(&chunk, size, 4);
    add(&chunk, block, size);
    return chunk;
}

/* Unpacks out of memory of just the chunk's size into memory of just @bytes. */
static bool unpacks(const struct chunk *chunk, const void *expected, size_t bytes)
{
    uint8_t *const packed = malloc(chunk->size > 0 ? chunk->size : 1);
    uint8_t *const out = malloc(bytes > 0 ? bytes : 1);
    assert_non_null(packed);
    assert_non_null(out);
    memcpy(packed, chunk->bytes, chunk->size);
    const bool is_good = crn_h5_lz4_unpack(packed, chunk->size, out, bytes);
    if (is_good && expected != NULL)
        assert_memory_equal(out, expected, bytes);
    free(packed);
    free(out);
    return is_good;
}

static void lz4__unpacks_literals_and_matches_that_overlap(void **state)
{
    (void)state;
    /* "abcd", then 8 bytes from 2 bytes ago, then "xy". */
    const struct chunk chunk = one_block(14,
                                         "\x44"
                                         "abcd\x02\x00\x20xy",
                                         10);
    uint64_t bytes = 0;
    assert_true(crn_h5_lz4_size(chunk.bytes, chunk.size, &bytes));
    assert_int_equal(bytes, 14);
    assert_true(unpacks(&chunk, "abcdcdcdcdcdxy", 14));
}

static void lz4__unpacks_lengths_of_several_bytes(void **state)
{
    (void)state;
    uint8_t block[300] = {0xff, 0xff, 5}; /* 15 + 255 + 5 literals */
    char expected[275 + 319];
    memset(block + 3, 'a', 275);
    block[277] = 'z';
    memcpy(block + 278, "\x01\x00\xff\x2d\x00", 5); /* 15 + 255 + 45 + 4 from 1 byte ago; the end */
    memset(expected, 'a', 275);
    memset(expected + 274, 'z', 320);
    const struct chunk chunk = one_block(594, block, 283);
    assert_true(unpacks(&chunk, expected, 594));
}

static void lz4__unpacks_several_blocks_and_those_that_are_as_they_were(void **state)
{
    (void)state;
    struct chunk chunk = {.size = 0};
    add_number(&chunk, 7, 8);
    add_number(&chunk, 5, 4);
    add_number(&chunk, 5, 4);
    add(&chunk, "hello", 5);
    add_number(&chunk, 2, 4);
    add(&chunk, "!!", 2);
    assert_true(unpacks(&chunk, "hello!!", 7));
}

static void lz4__refuses_what_reaches_outside(void **state)
{
    (void)state;
    static const struct {
        const char *block;
        size_t size;
    } k_blocks[] = {
        {"\x44"
         "abcd\x05\x00\x20xy",
         10}, /* before the beginning */
        {"\x44"
         "abcd\x00\x00\x20xy",
         10}, /* no distance */
        {"\x4f"
         "abcd\x02\x00\x7fxy",
         10},                /* a match beyond the end */
        {"\xf0\xff\xff", 3}, /* literals that are not there */
        {"\x44"
         "abcd\x02",
         6}, /* half a distance */
        {"\x40"
         "abcd",
         5}, /* too little */
        {"\x00", 1},
        {"", 0},
    };
    for (size_t i = 0; i < sizeof k_blocks / sizeof k_blocks[0]; i++) {
        const struct chunk chunk = one_block(14, k_blocks[i].block, k_blocks[i].size);
        assert_false(unpacks(&chunk, NULL, 14));
    }
}

static void lz4__refuses_every_cut_chunk_and_blocks_without_size(void **state)
{
    (void)state;
    uint64_t bytes = 0;
    struct chunk chunk = one_block(14,
                                   "\x44"
                                   "abcd\x02\x00\x20xy",
                                   10);
    for (; chunk.size > 0; chunk.size--) {
        if (chunk.size < 26)
            assert_false(unpacks(&chunk, NULL, 14));
    }
    assert_false(crn_h5_lz4_size(chunk.bytes, 7, &bytes));
    memset(chunk.bytes + 8, 0, 4);
    chunk.size = 26;
    assert_false(unpacks(&chunk, NULL, 14));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lz4__unpacks_literals_and_matches_that_overlap),
        cmocka_unit_test(lz4__unpacks_lengths_of_several_bytes),
        cmocka_unit_test(lz4__unpacks_several_blocks_and_those_that_are_as_they_were),
        cmocka_unit_test(lz4__refuses_what_reaches_outside),
        cmocka_unit_test(lz4__refuses_every_cut_chunk_and_blocks_without_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
