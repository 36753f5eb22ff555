/* Memory, checked arithmetic, log. */
#include "kit/kit.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "cairn/log.h"

static void calloc__gives_zeroes_and_refuses_overflow(void **state)
{
    (void)state;
    static const char k_zeroes[800];
    char *const memory = crn_calloc(100, 8);
    assert_memory_equal(memory, k_zeroes, sizeof k_zeroes);
    crn_free(memory);
    void *const none = crn_calloc(0, 8);
    assert_non_null(none);
    crn_free(none);
    volatile size_t huge = SIZE_MAX / 2; /* Volatile: the compiler would warn that it cannot fit. */
    assert_null(crn_calloc(huge, 8));
    crn_free(NULL);
}

static void grow__doubles_zeroes_and_keeps_what_was_there(void **state)
{
    (void)state;
    int32_t *items = NULL;
    size_t capacity = 0;
    for (size_t i = 0; i < 1000; i++) {
        tk_assert_ok(crn_grow(&items, &capacity, i + 1, sizeof *items, NULL), NULL);
        assert_int_equal(items[i], 0);
        items[i] = (int32_t)i + 1;
    }
    assert_int_equal(capacity, 1024);
    for (size_t i = 0; i < capacity; i++)
        assert_int_equal(items[i], i < 1000 ? i + 1 : 0);
    crn_free(items);
}

static void grow__that_fails_changes_nothing(void **state)
{
    (void)state;
    cairn_error err = {0};
    char *items = NULL;
    size_t capacity = 0;
    tk_assert_ok(crn_grow(&items, &capacity, 1, 1, &err), &err);
    char *const before = items;
    tk_assert_status(crn_grow(&items, &capacity, SIZE_MAX, 1, &err), CAIRN_ENOMEM, &err);
    tk_assert_status(crn_grow(&items, &capacity, SIZE_MAX / 4, 8, &err), CAIRN_ENOMEM, &err);
    crn_mem_fail_at(1, 0);
    tk_assert_status(crn_grow(&items, &capacity, 100, 1, &err), CAIRN_ENOMEM, &err);
    crn_mem_fail_at(0, 0);
    assert_ptr_equal(items, before);
    assert_int_equal(capacity, 8);
    crn_free(items);
}

static void fail_at__fails_the_allocation_with_that_number(void **state)
{
    (void)state;
    void *memory[4];
    const uint64_t before = crn_mem_count();
    crn_mem_fail_at(2, 0);
    for (size_t i = 0; i < 4; i++)
        memory[i] = crn_calloc(1, 1);
    crn_mem_fail_at(0, 0);
    assert_int_equal(crn_mem_count() - before, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(memory[i] == NULL, i == 1);
        crn_free(memory[i]);
    }
}

static void fail_at__sticky_fails_every_door_from_there_on(void **state)
{
    (void)state;
    char *items = NULL;
    size_t capacity = 0;
    crn_mem_fail_at(1, 1);
    void *const memory = crn_calloc(1, 1);
    void *const pages = crn_pages_alloc(4096);
    char *const text = crn_strdup("x");
    const cairn_status grown = crn_grow(&items, &capacity, 1, 1, NULL);
    crn_mem_fail_at(0, 0);
    assert_null(memory);
    assert_null(pages);
    assert_null(text);
    assert_int_equal(grown, CAIRN_ENOMEM);
}

static void pages__are_zeroed_and_aligned(void **state)
{
    (void)state;
    static const uint64_t k_sizes[] = {0, 1, 4096, 5000000};
    for (size_t i = 0; i < sizeof k_sizes / sizeof k_sizes[0]; i++) {
        unsigned char *const pages = crn_pages_alloc(k_sizes[i]);
        assert_non_null(pages);
        assert_int_equal((uintptr_t)pages % 4096, 0);
        for (uint64_t at = 0; at < k_sizes[i]; at += 1023)
            assert_int_equal(pages[at], 0);
        if (k_sizes[i] > 0)
            pages[k_sizes[i] - 1] = 1;
        crn_pages_free(pages, k_sizes[i]);
    }
    assert_null(crn_pages_alloc(UINT64_MAX / 2));
    crn_pages_free(NULL, 4096);
}

static void strdup__copies(void **state)
{
    (void)state;
    char *const copy = crn_strdup("text");
    assert_string_equal(copy, "text");
    crn_free(copy);
}

static void checked__says_when_it_does_not_fit(void **state)
{
    (void)state;
    uint64_t u = 0;
    size_t s = 0;
    assert_true(crn_add_u64(UINT64_MAX - 1, 1, &u));
    assert_true(u == UINT64_MAX);
    assert_false(crn_add_u64(UINT64_MAX, 1, &u));
    assert_true(crn_mul_u64(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &u));
    assert_false(crn_mul_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &u));
    assert_true(crn_mul_size(3, 5, &s));
    assert_int_equal(s, 15);
    assert_false(crn_mul_size(SIZE_MAX, 2, &s));
}

static void round_up__gives_the_next_multiple(void **state)
{
    (void)state;
    uint64_t u = 99;
    assert_true(crn_round_up_u64(0, 4096, &u));
    assert_int_equal(u, 0);
    assert_true(crn_round_up_u64(1, 4096, &u));
    assert_int_equal(u, 4096);
    assert_true(crn_round_up_u64(4096, 4096, &u));
    assert_int_equal(u, 4096);
    assert_true(crn_round_up_u64(UINT64_MAX - 63, 64, &u));
    assert_false(crn_round_up_u64(UINT64_MAX - 62, 64, &u));
    assert_true(crn_round_up_u64(77, 1, &u));
    assert_int_equal(u, 77);
}

struct heard {
    int count;
    cairn_log_level level;
    char text[5000];
};

static void hear(void *user, cairn_log_level level, const char *message)
{
    struct heard *const heard = user;
    heard->count++;
    heard->level = level;
    (void)snprintf(heard->text, sizeof heard->text, "%s", message);
}

static void log__hands_on_what_is_loud_enough(void **state)
{
    (void)state;
    struct heard heard = {0};
    const cairn_log log = {.level = CAIRN_LOG_INFO, .write = hear, .user = &heard};
    const cairn_log silent = {.level = CAIRN_LOG_DEBUG};
    cairn_log_message(&log, CAIRN_LOG_DEBUG, "no");
    assert_int_equal(heard.count, 0);
    cairn_log_message(&log, CAIRN_LOG_WARNING, "step %d", 5);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.level, CAIRN_LOG_WARNING);
    assert_string_equal(heard.text, "step 5");
    cairn_log_message(&log, CAIRN_LOG_INFO, "%6000d", 1);
    assert_int_equal(strlen(heard.text), 4095);
    cairn_log_message(NULL, CAIRN_LOG_ERROR, "x");
    cairn_log_message(&silent, CAIRN_LOG_ERROR, "x");
}

static void log_level_name__knows_four_and_survives_others(void **state)
{
    (void)state;
    assert_string_equal(cairn_log_level_name(CAIRN_LOG_DEBUG), "DEBUG");
    assert_string_equal(cairn_log_level_name(CAIRN_LOG_ERROR), "ERROR");
    assert_string_equal(cairn_log_level_name((cairn_log_level)4), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calloc__gives_zeroes_and_refuses_overflow),
        cmocka_unit_test(grow__doubles_zeroes_and_keeps_what_was_there),
        cmocka_unit_test(grow__that_fails_changes_nothing),
        cmocka_unit_test(fail_at__fails_the_allocation_with_that_number),
        cmocka_unit_test(fail_at__sticky_fails_every_door_from_there_on),
        cmocka_unit_test(pages__are_zeroed_and_aligned),
        cmocka_unit_test(strdup__copies),
        cmocka_unit_test(checked__says_when_it_does_not_fit),
        cmocka_unit_test(round_up__gives_the_next_multiple),
        cmocka_unit_test(log__hands_on_what_is_loud_enough),
        cmocka_unit_test(log_level_name__knows_four_and_survives_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
