/* Expected digests were made with Python's xxhash from the text of docs/format/checkpoint.md. */
#include "kit/kit.h"

#include <string.h>

#include "base/mem.h"
#include "format/format.h"

static void assert_digest(const crn_digest *digest, const char *expected)
{
    char text[CRN_DIGEST_TEXT_SIZE];
    crn_digest_to_text(digest, text);
    assert_string_equal(text, expected);
}

static void chunks__are_counted_in_pieces_of_four_mebibytes(void **state)
{
    (void)state;
    const uint64_t chunk = CRN_FORMAT_CHUNK_BYTES;
    assert_int_equal(chunk, 4194304);
    assert_int_equal(crn_chunk_count(0), 1);
    assert_int_equal(crn_chunk_count(1), 1);
    assert_int_equal(crn_chunk_count(chunk), 1);
    assert_int_equal(crn_chunk_count(chunk + 1), 2);
    assert_int_equal(crn_chunk_count(10 * chunk), 10);
    assert_true(crn_chunk_count(UINT64_MAX) == UINT64_C(1) << 42);
}

static void tensor_digest__is_the_digest_of_its_chunks_digests(void **state)
{
    (void)state;
    const crn_digest chunks[] = {crn_hash("abc", 3), crn_hash("", 0)};
    const crn_digest two = crn_tensor_digest(chunks, 2);
    const crn_digest empty = crn_tensor_digest(&chunks[1], 1);
    assert_digest(&two, "c8ad1a2a69329427ad1be65efa20d183");
    assert_digest(&empty, "88dffc9e4422ed4caabe9acf44c07a05");
}

static const uint64_t k_shape_b[] = {2, 3};
static const uint64_t k_shape_umlaut[] = {UINT64_C(1) << 40};

static void make_items(crn_digest_item items[3])
{
    items[0] = (crn_digest_item){.name = "model.b",
                                 .dtype = CAIRN_DTYPE_F32,
                                 .rank = 2,
                                 .shape = k_shape_b,
                                 .digest = crn_hash("abc", 3)};
    items[1] =
        (crn_digest_item){.name = "model.a", .dtype = CAIRN_DTYPE_BF16, .digest = crn_hash("", 0)};
    items[2] = (crn_digest_item){
        .name = "model.\xc3\xa4", .dtype = CAIRN_DTYPE_U8, .rank = 1, .shape = k_shape_umlaut};
}

static void state_digest__is_that_of_the_specification_in_any_order(void **state)
{
    (void)state;
    static const size_t k_orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}};
    for (size_t i = 0; i < 3; i++) {
        crn_digest_item items[3];
        crn_digest_item mixed[3];
        crn_digest digest;
        cairn_error err = {0};
        make_items(items);
        for (size_t j = 0; j < 3; j++)
            mixed[j] = items[k_orders[i][j]];
        tk_assert_ok(crn_state_digest(mixed, 3, &digest, &err), &err);
        assert_digest(&digest, "b5f77be3086429d6fee82460ae09709d");
    }
}

static void state_digest__of_no_tensors_is_that_of_no_bytes(void **state)
{
    (void)state;
    crn_digest digest;
    tk_assert_ok(crn_state_digest(NULL, 0, &digest, NULL), NULL);
    assert_digest(&digest, "99aa06d3014798d86001c324468d497f");
}

static void state_digest__changes_with_name_dtype_shape_and_digest(void **state)
{
    (void)state;
    static const uint64_t k_turned[] = {3, 2};
    for (size_t i = 0; i < 4; i++) {
        crn_digest_item items[3];
        crn_digest digest;
        char text[CRN_DIGEST_TEXT_SIZE];
        make_items(items);
        if (i == 0)
            items[0].name = "model.c";
        else if (i == 1)
            items[0].dtype = CAIRN_DTYPE_I32;
        else if (i == 2)
            items[0].shape = k_turned;
        else
            items[0].digest.bytes[15] ^= 1;
        tk_assert_ok(crn_state_digest(items, 3, &digest, NULL), NULL);
        crn_digest_to_text(&digest, text);
        assert_string_not_equal(text, "b5f77be3086429d6fee82460ae09709d");
    }
}

static void state_digest__says_so_without_memory(void **state)
{
    (void)state;
    crn_digest digest;
    cairn_error err = {0};
    crn_mem_fail_at(1, 1);
    const cairn_status rc = crn_state_digest(NULL, 0, &digest, &err);
    crn_mem_fail_at(0, 0);
    tk_assert_status(rc, CAIRN_ENOMEM, &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks__are_counted_in_pieces_of_four_mebibytes),
        cmocka_unit_test(tensor_digest__is_the_digest_of_its_chunks_digests),
        cmocka_unit_test(state_digest__is_that_of_the_specification_in_any_order),
        cmocka_unit_test(state_digest__of_no_tensors_is_that_of_no_bytes),
        cmocka_unit_test(state_digest__changes_with_name_dtype_shape_and_digest),
        cmocka_unit_test(state_digest__says_so_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
