/* Checkpoints that somebody else opens: what a load asks of them, and what it does not believe. */
#include "unit/ckpt/ckpt_kit.h"

#include "base/try.h"
#include "ckpt/foreign.h"

/* Tensors of 4 floats; number i of tensor t is 10 t + i. */
struct source {
    crn_file_entry tensors[4];
    size_t fails_at; /* number of the read that fails; 0: none */
    size_t reads;
    bool is_destroyed;
};

static const uint64_t k_four[] = {4};
static const uint64_t k_five[] = {5};

static cairn_status read_numbers(void *self, const crn_file_entry *tensor, uint64_t offset,
                                 size_t size, void *buf, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct source *const source = self;
    float *const to = buf;
    const size_t number = (size_t)(tensor - source->tensors);
    if (++source->reads == source->fails_at)
        return crn_error_set(err, CAIRN_ECORRUPT, 0, __FILE__, __LINE__, "its reader crashed");
    for (size_t i = 0; i < size / sizeof *to; i++)
        to[i] = (float)(10 * number + offset / sizeof *to + i);
    return rc;
}

static void destroy(void *self)
{
    ((struct source *)self)->is_destroyed = true;
}

static crn_file_entry entry(const char *name, const uint64_t *shape)
{
    return (crn_file_entry){.name = name,
                            .name_length = strlen(name),
                            .dtype = CAIRN_DTYPE_F32,
                            .rank = 1,
                            .shape = shape,
                            .bytes = shape[0] * sizeof(float)};
}

static const crn_foreign_value k_values[] = {{"global_step", "value", "7"}};

/* model.a, model.b, model.b.exp_avg of the optimizer, and "model.c", an alias of a in the tree. */
static cairn_checkpoint *open_source(struct source *source, const char *dir)
{
    cairn_error err = {0};
    cairn_checkpoint *ckpt = NULL;
    char path[TK_PATH_SIZE];
    int fd = -1;
    source->tensors[0] = entry("model.a", k_four);
    source->tensors[1] = entry("model.model.b", k_four);
    source->tensors[2] = entry("optimizer.b.exp_avg", k_four);
    source->tensors[3] = entry("model.c", k_four);
    (void)snprintf(path, sizeof path, "%s/theirs", dir);
    FILE *const file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(ck_os()->open(ck_os(), CRN_OS_CWD, path, CRN_OPEN_READ, &fd), 0);
    const crn_foreign foreign = {.read = read_numbers,
                                 .destroy = destroy,
                                 .self = source,
                                 .tensors = source->tensors,
                                 .tensor_count = 4,
                                 .values = k_values,
                                 .value_count = 1,
                                 .states = "model,optimizer,global_step",
                                 .params = "{}",
                                 .step = 7};
    tk_assert_ok(crn_checkpoint_from_foreign(ck_os(), path, fd, &foreign, &ckpt, &err), &err);
    return ckpt;
}

static cairn_state_tree *tree_for_it(bool has_alias)
{
    cairn_error err = {0};
    cairn_state_tree *const tree = ck_empty_tree();
    cairn_state *const model = ck_state(tree, "model");
    (void)ck_add(model, "a", CAIRN_DTYPE_F32, 4, 0);
    (void)ck_add(model, "b", CAIRN_DTYPE_F32, 4, 0);
    if (has_alias)
        tk_assert_ok(cairn_state_add_alias(model, "c", "a", &err), &err);
    else
        (void)ck_add(model, "c", CAIRN_DTYPE_F32, 4, 0);
    (void)ck_add(ck_state(tree, "optimizer"), "b.exp_avg", CAIRN_DTYPE_F32, 4, 0);
    (void)ck_state(tree, "schedulers");
    (void)ck_state(tree, "global_step");
    ck_allocate(tree);
    return tree;
}

static float number_at(const cairn_state_tree *tree, const char *state, const char *name, size_t i)
{
    const float *const numbers =
        cairn_state_tensor_find(cairn_state_tree_find(tree, state), name)->data;
    return numbers[i];
}

static const cairn_load_options k_options = {.struct_size = sizeof k_options,
                                             .required_state = "model"};

static void foreign__gives_tensors_and_values_and_is_not_verified(void **state)
{
    struct source source = {0};
    cairn_error err = {0};
    uint64_t step = 0;
    cairn_load_report *report = NULL;
    cairn_checkpoint *const ckpt = open_source(&source, *state);
    cairn_state_tree *const tree = tree_for_it(false);
    assert_string_equal(cairn_checkpoint_get_info(ckpt)->states, "model,optimizer,global_step");
    assert_int_equal(cairn_checkpoint_get_info(ckpt)->step, 7);
    assert_string_equal(cairn_checkpoint_params(ckpt), "{}");
    assert_string_equal(cairn_checkpoint_value(ckpt, "global_step", "value"), "7");
    assert_true(cairn_checkpoint_has_state(ckpt, "optimizer"));
    assert_false(cairn_checkpoint_has_state(ckpt, "schedulers"));
    tk_assert_ok(cairn_checkpoint_load(ckpt, tree, &k_options, &report, &err), &err);
    assert_false(report->is_verified);
    assert_float_equal(number_at(tree, "model", "a", 3), 3.0F, 0.0F);
    assert_float_equal(number_at(tree, "model", "b", 0), 10.0F, 0.0F);
    assert_float_equal(number_at(tree, "model", "c", 1), 31.0F, 0.0F);
    assert_float_equal(number_at(tree, "optimizer", "b.exp_avg", 2), 22.0F, 0.0F);
    tk_assert_ok(
        cairn_state_get_u64(cairn_state_tree_find(tree, "global_step"), "value", &step, &err),
        &err);
    assert_int_equal(step, 7);
    cairn_load_report_destroy(report);
    cairn_state_tree_destroy(tree);
    cairn_checkpoint_close(ckpt);
    assert_true(source.is_destroyed);
}

static void foreign__tied_tensors_must_be_equal(void **state)
{
    struct source source = {0};
    cairn_error err = {0};
    cairn_checkpoint *const ckpt = open_source(&source, *state);
    cairn_state_tree *const tree = tree_for_it(true);
    assert_int_equal(cairn_checkpoint_load(ckpt, tree, &k_options, NULL, &err),
                     CAIRN_EINCOMPATIBLE);
    assert_non_null(strstr(err.frame[0].text, "are one here and differ in the file"));
    cairn_state_tree_destroy(tree);
    cairn_checkpoint_close(ckpt);
}

static void foreign__failure_of_its_reader_fails_the_load(void **state)
{
    for (size_t n = 1; n <= 4; n++) {
        struct source source = {.fails_at = n};
        cairn_error err = {0};
        cairn_checkpoint *const ckpt = open_source(&source, *state);
        cairn_state_tree *const tree = tree_for_it(false);
        assert_int_equal(cairn_checkpoint_load(ckpt, tree, &k_options, NULL, &err), CAIRN_ECORRUPT);
        assert_string_equal(err.frame[0].text, "its reader crashed");
        assert_int_equal(source.reads, n);
        cairn_state_tree_destroy(tree);
        cairn_checkpoint_close(ckpt);
    }
}

static void foreign__other_shape_is_refused_before_anything_is_read(void **state)
{
    struct source source = {0};
    cairn_error err = {0};
    cairn_checkpoint *const ckpt = open_source(&source, *state);
    cairn_state_tree *const tree = tree_for_it(false);
    source.tensors[0] = entry("model.a", k_five);
    assert_int_equal(cairn_checkpoint_load(ckpt, tree, &k_options, NULL, &err),
                     CAIRN_EINCOMPATIBLE);
    assert_int_equal(source.reads, 0);
    cairn_state_tree_destroy(tree);
    cairn_checkpoint_close(ckpt);
}

static void foreign__cannot_be_verified(void **state)
{
    struct source source = {0};
    cairn_error err = {0};
    cairn_checkpoint *const ckpt = open_source(&source, *state);
    assert_int_equal(cairn_checkpoint_verify(ckpt, NULL, NULL, &err), CAIRN_EUNSUPPORTED);
    cairn_checkpoint_close(ckpt);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        T(foreign__gives_tensors_and_values_and_is_not_verified),
        T(foreign__tied_tensors_must_be_equal),
        T(foreign__failure_of_its_reader_fails_the_load),
        T(foreign__other_shape_is_refused_before_anything_is_read),
        T(foreign__cannot_be_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
