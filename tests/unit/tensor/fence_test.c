/* A development build: a write to the state that nobody asked the guard for ends the process. */
#include "kit/kit.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cairn/state.h"

typedef struct fixture {
    cairn_state_tree *tree;
    const cairn_tensor *small;
    const cairn_tensor *beside; /* on the page of the small one */
    const cairn_tensor *large;  /* four pages of its own and more */
    const cairn_tensor *other;  /* of another state */
} fixture;

static const cairn_tensor *add(cairn_state *state, const char *name, int64_t size)
{
    cairn_error err = {0};
    const cairn_tensor *tensor = NULL;
    const cairn_tensor_spec spec = {
        .name = name, .dtype = CAIRN_DTYPE_F32, .rank = 1, .shape = {size}};
    tk_assert_ok(cairn_state_add_tensor(state, &spec, &tensor, &err), &err);
    return tensor;
}

static int begin(void **state)
{
    static fixture s_fixture;
    fixture *const f = &s_fixture;
    cairn_error err = {0};
    cairn_state *model = NULL;
    cairn_state *optimizer = NULL;
    tk_assert_ok(cairn_state_tree_new(&f->tree, &err), &err);
    tk_assert_ok(cairn_state_tree_add(f->tree, "model", &model, &err), &err);
    tk_assert_ok(cairn_state_tree_add(f->tree, "optimizer", &optimizer, &err), &err);
    f->small = add(model, "small", 10);
    f->beside = add(model, "beside", 10);
    f->large = add(model, "large", 20000);
    f->other = add(optimizer, "other", 10);
    tk_assert_ok(cairn_state_tree_allocate(f->tree, &err), &err);
    *state = f;
    return 0;
}

static int end(void **state)
{
    fixture *const f = *state;
    cairn_state_tree_destroy(f->tree);
    return 0;
}

/* What a write behind the guard's back does to a process: the signal that ends it, or 0. */
static int signal_of_write(const cairn_tensor *tensor, uint64_t at)
{
    int status = 0;
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* Sanitizers and cmocka have handlers. */
        *((volatile uint8_t *)(uintptr_t)tensor->data + at) = 1;
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void stray_write__faults(void **state)
{
    const fixture *const f = *state;
    if (CRN_GUARD_PAGES == 0)
        skip();
    assert_int_equal(signal_of_write(f->small, 0), SIGSEGV);
    assert_int_equal(signal_of_write(f->large, f->large->bytes - 1), SIGSEGV);
    assert_int_equal(signal_of_write(f->other, 0), SIGSEGV);
}

static void stray_write__faults_beside_a_range_that_is_open(void **state)
{
    const fixture *const f = *state;
    if (CRN_GUARD_PAGES == 0)
        skip();
    (void)cairn_tensor_write_begin(f->tree, f->large, 4096, 4097);
    assert_int_equal(signal_of_write(f->large, 0), SIGSEGV);
    assert_int_equal(signal_of_write(f->large, 4096), 0);
    assert_int_equal(signal_of_write(f->large, 3 * 4096 - 1), 0); /* The grain is a page. */
    assert_int_equal(signal_of_write(f->large, 3 * 4096), SIGSEGV);
    assert_int_equal(signal_of_write(f->small, 0), SIGSEGV);
    cairn_tensor_write_end(f->tree, f->large, 4096, 4097);
    assert_int_equal(signal_of_write(f->large, 4096), SIGSEGV);
}

static void page__stays_open_until_its_last_range_is_closed(void **state)
{
    const fixture *const f = *state;
    if (CRN_GUARD_PAGES == 0)
        skip();
    assert_true(f->small->offset / 4096 == f->beside->offset / 4096);
    (void)cairn_tensor_write_begin(f->tree, f->small, 0, f->small->bytes);
    uint8_t *const beside = cairn_tensor_write_begin(f->tree, f->beside, 0, f->beside->bytes);
    cairn_tensor_write_end(f->tree, f->small, 0, f->small->bytes);
    memset(beside, 1, f->beside->bytes);
    cairn_tensor_write_end(f->tree, f->beside, 0, f->beside->bytes);
    assert_int_equal(signal_of_write(f->beside, 0), SIGSEGV);
}

static void range_of_no_bytes__opens_nothing(void **state)
{
    const fixture *const f = *state;
    if (CRN_GUARD_PAGES == 0)
        skip();
    (void)cairn_tensor_write_begin(f->tree, f->large, 0, 0);
    assert_int_equal(signal_of_write(f->large, 0), SIGSEGV);
    cairn_tensor_write_end(f->tree, f->large, 0, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(stray_write__faults),
        T(stray_write__faults_beside_a_range_that_is_open),
        T(page__stays_open_until_its_last_range_is_closed),
        T(range_of_no_bytes__opens_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
