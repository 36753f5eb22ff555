#include "interop/hf_index.h"

#include <stdio.h>
#include <string.h>

#include "kit/kit.h"

/* An index that puts one tensor into @file, written as in JSON. */
static cairn_status read_one(const char *file, cairn_error *err)
{
    char json[1024];
    crn_hf_index index;
    (void)snprintf(json, sizeof json, "{\"weight_map\": {\"a\": %s}}", file);
    const cairn_status rc =
        crn_hf_index_read(json, strlen(json), "index", ".safetensors", &index, err);
    crn_hf_index_dispose(&index);
    return rc;
}

static void only_plain_names_of_safetensors_files_are_taken(void **state)
{
    (void)state;
    static const char *const k_bad[] = {"\"../x.safetensors\"",
                                        "\"/etc/x.safetensors\"",
                                        "\"a/b.safetensors\"",
                                        "\"..\\\\x.safetensors\"",
                                        "\".\"",
                                        "\"..\"",
                                        "\"\"",
                                        "\"C:x.safetensors\"",
                                        "\"x\\u0000.safetensors\"",
                                        "\"%2e%2e/x.safetensors\"",
                                        "\".x.safetensors\"",
                                        "\".safetensors\"",
                                        "\"model.safetensors.index.json\"",
                                        "\"x.bin\"",
                                        "\"a b.safetensors\"",
                                        "1",
                                        "null",
                                        "{}",
                                        "[]"};
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        cairn_error err = {0};
        if (read_one(k_bad[i], &err) == CAIRN_OK)
            fail_msg("%s was taken", k_bad[i]);
    }
    cairn_error err = {0};
    tk_assert_ok(read_one("\"model-00001-of-00002.safetensors\"", &err), &err);
}

static void a_name_is_at_most_255_bytes(void **state)
{
    (void)state;
    char name[300];
    memset(name, 'a', sizeof name);
    memcpy(name + 255 - 12, ".safetensors", 12);
    assert_true(crn_hf_is_shard_name(name, 255, ".safetensors"));
    memset(name, 'a', sizeof name);
    memcpy(name + 256 - 12, ".safetensors", 12);
    assert_false(crn_hf_is_shard_name(name, 256, ".safetensors"));
}

static void other_json_is_refused(void **state)
{
    (void)state;
    static const char *const k_bad[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"weight_map\": []}",
        "{\"weight_map\": {}}",
        "{\"weight_map\": {\"a\": \"a.safetensors\", \"a\": \"b.safetensors\"}}",
        "{\"weight_map\": {\"a\": \"a.safetensors\"}} x"};
    for (size_t i = 0; i < sizeof k_bad / sizeof k_bad[0]; i++) {
        cairn_error err = {0};
        crn_hf_index index;
        tk_assert_status(
            crn_hf_index_read(k_bad[i], strlen(k_bad[i]), "index", ".safetensors", &index, &err),
            CAIRN_ECORRUPT, &err);
        crn_hf_index_dispose(&index);
    }
}

static void tensors_and_files_are_counted_once(void **state)
{
    (void)state;
    static const char k_json[] = "{\"metadata\": {\"total_size\": 1e308}, \"weight_map\": "
                                 "{\"a\": \"1.safetensors\", \"b\": \"2.safetensors\", "
                                 "\"c\": \"1.safetensors\"}}";
    cairn_error err = {0};
    crn_hf_index index;
    tk_assert_ok(
        crn_hf_index_read(k_json, sizeof k_json - 1, "index", ".safetensors", &index, &err), &err);
    assert_int_equal(index.place_count, 3);
    assert_int_equal(index.files.count, 2);
    for (size_t i = 0; i < index.place_count; i++) {
        const crn_hf_place *const place = &index.places[i];
        const char *const file = place->tensor[0] == 'b' ? "2.safetensors" : "1.safetensors";
        assert_string_equal(index.files.items[place->file], file);
    }
    crn_hf_index_dispose(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_plain_names_of_safetensors_files_are_taken),
        cmocka_unit_test(a_name_is_at_most_255_bytes),
        cmocka_unit_test(other_json_is_refused),
        cmocka_unit_test(tensors_and_files_are_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
