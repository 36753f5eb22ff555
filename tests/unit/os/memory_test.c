/* How much memory there is. */
#include "kit/kit.h"

#include <stdlib.h>
#include <string.h>

#include "os/os.h"

static void field__is_the_number_behind_its_word(void **state)
{
    static const char k_text[] = "MemTotal:       24737272 kB\n"
                                 "MemAvailable:   21886545 kB\n"
                                 "inactive_file 7\nfile 42\nfilex 9";
    static const struct {
        const char *key;
        bool is_there;
        uint64_t value;
    } k_rows[] = {
        {"MemTotal:", true, 24737272},
        {"MemAvailable:", true, 21886545},
        {"file", true, 42},
        {"filex", true, 9},
        {"MemFree:", false, 0},
        {"Mem", false, 0},
        {"kB", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        uint64_t value = 0;
        assert_int_equal(crn_memory_field(k_text, k_rows[i].key, &value), k_rows[i].is_there);
        assert_true(value == k_rows[i].value);
    }
}

static void group__leaves_its_limit_less_what_is_used_but_for_pages_of_files(void **state)
{
    static const struct {
        const char *limit;
        const char *used;
        const char *stat;
        uint64_t left;
    } k_rows[] = {
        {"max\n", "5\n", "anon 1\nfile 2\n", UINT64_MAX},
        {"", "", "", UINT64_MAX},
        {"1000\n", "300\n", "anon 200\nfile 100\n", 800},
        {"1000\n", "300\n", "", 700},
        {"1000\n", "1000\n", "file 0\n", 0},
        {"1000\n", "2000\n", "file 0\n", 0}, /* lowered since */
        {"1000\n", "50\n", "file 60\n", 1000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++)
        assert_true(crn_memory_left(k_rows[i].limit, k_rows[i].used, k_rows[i].stat) ==
                    k_rows[i].left);
}

static void peak__is_at_least_what_was_touched(void **state)
{
    enum { BYTES = 64 << 20 };
    uint64_t room = 0;
    char *const block = malloc(BYTES);
    (void)state;
    assert_non_null(block);
    memset(block, 1, BYTES);
    assert_true(block[BYTES / 2] == 1);
    free(block);
    assert_true(crn_memory_peak() >= BYTES);
    assert_true(!crn_memory_available(&room) || room > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(field__is_the_number_behind_its_word),
        cmocka_unit_test(group__leaves_its_limit_less_what_is_used_but_for_pages_of_files),
        cmocka_unit_test(peak__is_at_least_what_was_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
