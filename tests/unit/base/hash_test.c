#include "kit/kit.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

static void assert_digest(const crn_digest *digest, const char *expected)
{
    char text[CRN_DIGEST_TEXT_SIZE];
    crn_digest_to_text(digest, text);
    assert_string_equal(text, expected);
}

static void hash__is_what_xxhsum_prints(void **state)
{
    (void)state;
    /* `xxhsum -H2` of an empty file, of "abc", and of 300 bytes 'a' (the long path). */
    char many[300];
    memset(many, 'a', sizeof many);
    const crn_digest empty = crn_hash("", 0);
    const crn_digest abc = crn_hash("abc", 3);
    const crn_digest longer = crn_hash(many, sizeof many);
    assert_digest(&empty, "99aa06d3014798d86001c324468d497f");
    assert_digest(&abc, "06b05ab6733a618578af5f94892f3950");
    assert_digest(&longer, "5e563f2cb28d2005c1d17581d8eb7e21");
}

static void hasher__of_pieces_equals_the_hash_of_the_whole(void **state)
{
    (void)state;
    unsigned char bytes[5000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 31 + (i >> 8));
    const crn_digest whole = crn_hash(bytes, sizeof bytes);
    for (size_t piece = 1; piece < sizeof bytes; piece = piece * 3 + 1) {
        crn_hasher *const hasher = crn_hasher_new();
        assert_non_null(hasher);
        for (size_t at = 0; at < sizeof bytes; at += piece) {
            const size_t left = sizeof bytes - at;
            crn_hasher_update(hasher, bytes + at, left < piece ? left : piece);
        }
        const crn_digest pieces = crn_hasher_finish(hasher);
        assert_true(crn_digest_equal(&pieces, &whole));
        crn_hasher_destroy(hasher);
    }
    crn_hasher_destroy(NULL);
}

static void hasher__without_memory_is_null(void **state)
{
    (void)state;
    const uint64_t before = crn_mem_count();
    crn_mem_fail_at(1, 1);
    crn_hasher *const hasher = crn_hasher_new();
    crn_mem_fail_at(0, 0);
    assert_null(hasher);
    assert_int_equal(crn_mem_count() - before, 1);
}

static void digest_text__comes_back(void **state)
{
    (void)state;
    char text[CRN_DIGEST_TEXT_SIZE];
    const crn_digest digest = crn_hash("abc", 3);
    crn_digest back;
    crn_digest_to_text(&digest, text);
    assert_int_equal(crn_digest_from_text(text, &back), 0);
    assert_true(crn_digest_equal(&digest, &back));
    back.bytes[15] ^= 1;
    assert_false(crn_digest_equal(&digest, &back));
}

static void digest_from_text__refuses_other_text_and_keeps_the_old_value(void **state)
{
    (void)state;
    const crn_digest before = crn_hash("abc", 3);
    crn_digest digest = before;
    assert_int_equal(crn_digest_from_text("", &digest), -1);
    assert_int_equal(crn_digest_from_text("06b05ab6733a618578af5f94892f395", &digest), -1);
    assert_int_equal(crn_digest_from_text("06B05AB6733A618578AF5F94892F3950", &digest), -1);
    assert_int_equal(crn_digest_from_text("06b05ab6733a618578af5f94892f395g", &digest), -1);
    assert_true(crn_digest_equal(&digest, &before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash__is_what_xxhsum_prints),
        cmocka_unit_test(hasher__of_pieces_equals_the_hash_of_the_whole),
        cmocka_unit_test(hasher__without_memory_is_null),
        cmocka_unit_test(digest_text__comes_back),
        cmocka_unit_test(digest_from_text__refuses_other_text_and_keeps_the_old_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
