/* What is true of every optimizer. Their arithmetic is in tests/numeric/optimizers_test.c. */
#include "unit/optim/optim_kit.h"

/* Every optimizer with the options that give it most state. */
static const struct {
    const char *class;
    const char *options;
    const char *state_of_w; /* names of its state tensors */
} k_cases[] = {
    {"AdamW", "{weight_decay: 0.1}", "exp_avg exp_avg_sq"},
    {"AdamW", "{weight_decay: 0.1, amsgrad: true}", "exp_avg exp_avg_sq max_exp_avg_sq"},
    {"Adam", "{weight_decay: 0.1}", "exp_avg exp_avg_sq"},
    {"SGD", "{lr: 0.1}", ""},
    {"SGD", "{lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.1}", "momentum_buffer"},
    {"Adafactor", "{lr: 0.1, weight_decay: 0.1}", "exp_avg_sq_row exp_avg_sq_col"},
    {"Adafactor", "{lr: 0.1, beta1: 0.9}", "exp_avg_sq_row exp_avg_sq_col exp_avg"},
    {"Lion", "{weight_decay: 0.1}", "exp_avg"},
    {"Lamb", "{weight_decay: 0.1}", "exp_avg exp_avg_sq"},
    {"Muon", "{weight_decay: 0.1}", "momentum_buffer"},
    {"RMSprop", "{weight_decay: 0.1}", "square_avg"},
    {"RMSprop", "{momentum: 0.5, centered: true}", "square_avg momentum_buffer grad_avg"},
    {"NAdam", "{weight_decay: 0.1}", "exp_avg exp_avg_sq"},
    {"RAdam", "{weight_decay: 0.1, betas: [0.9, 0.9]}", "exp_avg exp_avg_sq"},
    {"Adagrad", "{lr_decay: 0.1, weight_decay: 0.1, initial_accumulator_value: 0.5}", "sum"},
    {"Adamax", "{weight_decay: 0.1}", "exp_avg exp_inf"},
    {"Adadelta", "{weight_decay: 0.1}", "square_avg acc_delta"},
    {"ASGD", "{weight_decay: 0.1, lambd: 0.1, t0: 2}", "ax"},
    {"Rprop", "{lr: 0.01}", "prev step_size"},
};
enum { CASES = sizeof k_cases / sizeof k_cases[0] };

/* A vector with a tile of the write guard and a rest, and a matrix that is cut inside a row. */
enum { LARGE = 1024 * 1024 + 1234, ROWS = 1100, COLS = 1000 };

static void make_large(ok_model *m, int i)
{
    const int64_t vector = LARGE;
    const int64_t matrix[] = {ROWS, COLS};
    ok_new_tree(m);
    (void)ok_add(m->model, "vector", CAIRN_ROLE_BIAS, 1, &vector);
    /* Muon's Newton-Schulz iteration takes long in a debug build; the rest is element by element.
     */
    if (strcmp(k_cases[i].class, "Muon") != 0)
        (void)ok_add(m->model, "matrix", CAIRN_ROLE_WEIGHT, 2, matrix);
    ok_start(m, k_cases[i].class, k_cases[i].options, NULL, 0);
    ok_set_params(m);
}

static void loaded__continues_with_the_same_bits(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        ok_model whole;
        ok_model second;
        ok_make(&whole, k_cases[i].class, k_cases[i].options, true);
        ok_make(&second, k_cases[i].class, k_cases[i].options, true);
        ok_set_params(&whole);
        ok_steps(&whole, 0, 4, true);
        ok_copy_tree(&second, &whole);
        assert_int_equal(second.optimizer.ops->loaded(second.optimizer.self, NULL), CAIRN_OK);
        ok_steps(&whole, 4, 5, true);
        ok_steps(&second, 4, 5, true);
        ok_assert_same(&whole, &second);
        ok_dispose(&whole);
        ok_dispose(&second);
    }
}

static void reset__brings_back_the_first_step(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        ok_model used;
        ok_model fresh;
        ok_make(&used, k_cases[i].class, k_cases[i].options, true);
        ok_make(&fresh, k_cases[i].class, k_cases[i].options, true);
        ok_steps(&used, 3, 2, true);
        assert_int_equal(used.optimizer.ops->reset(used.optimizer.self, used.tree, NULL), CAIRN_OK);
        ok_set_params(&used);
        ok_set_params(&fresh);
        ok_steps(&used, 0, 2, true);
        ok_steps(&fresh, 0, 2, true);
        ok_assert_same(&used, &fresh);
        ok_dispose(&used);
        ok_dispose(&fresh);
    }
}

static void declare__names_state_after_its_parameter(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        ok_model m;
        char names[256] = "";
        ok_make(&m, k_cases[i].class, k_cases[i].options, false);
        for (size_t n = 0; n < cairn_state_tensor_count(m.state); n++) {
            const cairn_tensor *const moment = cairn_state_tensor_at(m.state, n);
            assert_int_equal(moment->role, CAIRN_ROLE_OTHER);
            assert_int_equal(moment->dtype, CAIRN_DTYPE_F32);
            if (strncmp(moment->name, "w.", 2) != 0)
                continue;
            (void)strcat(names, names[0] != '\0' ? " " : "");
            (void)strcat(names, moment->name + 2);
        }
        assert_string_equal(names, k_cases[i].state_of_w);
        ok_dispose(&m);
    }
}

static void assert_shape(const ok_model *m, const char *name, int rank, int64_t a, int64_t b)
{
    const cairn_tensor *const tensor = cairn_state_tensor_find(m->state, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->rank, rank);
    assert_int_equal(tensor->shape[0], a);
    if (rank > 1)
        assert_int_equal(tensor->shape[1], b);
}

static void adafactor__keeps_rows_and_columns_of_matrices(void **state)
{
    ok_model m;
    (void)state;
    ok_make(&m, "Adafactor", "{lr: 0.1, beta1: 0.9}", false);
    assert_shape(&m, "w.exp_avg_sq_row", 1, 6, 0);
    assert_shape(&m, "w.exp_avg_sq_col", 1, 5, 0);
    assert_shape(&m, "w.exp_avg", 2, 6, 5);
    assert_shape(&m, "cube.exp_avg_sq_row", 2, 2, 3);
    assert_shape(&m, "cube.exp_avg_sq_col", 2, 2, 4);
    assert_shape(&m, "b.exp_avg_sq", 1, 5, 0);
    assert_null(cairn_state_tensor_find(m.state, "b.exp_avg_sq_row"));
    ok_dispose(&m);
}

static void adafactor__chooses_its_rate_with_relative_step(void **state)
{
    static const struct {
        const char *options;
        uint64_t steps;
        double rate;
    } k_rows[] = {
        {"{relative_step: true}", 0, 1e-2},
        {"{relative_step: true}", 9999, 1e-2},
        {"{relative_step: true}", 39999, 0.005},
        {"{relative_step: true, warmup_init: true}", 0, 1e-6},
        {"{relative_step: true, warmup_init: true}", 6, 7e-6},
        {"{relative_step: true, warmup_init: true}", 39999, 0.005},
        {"{lr: 0.25}", 6, 0.25},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        ok_model m;
        ok_make(&m, "Adafactor", k_rows[i].options, false);
        assert_int_equal(cairn_state_set_u64(m.state, "step", k_rows[i].steps, NULL), CAIRN_OK);
        assert_int_equal(m.optimizer.ops->loaded(m.optimizer.self, NULL), CAIRN_OK);
        const double rate = m.optimizer.ops->learning_rate(m.optimizer.self);
        if (!(fabs(rate - k_rows[i].rate) <= 1e-12))
            fail_msg("%s after %d steps: %.9g", k_rows[i].options, (int)k_rows[i].steps, rate);
        ok_dispose(&m);
    }
}

static void adafactor__has_a_rate_or_chooses_it(void **state)
{
    static const struct {
        const char *options;
        const char *says;
    } k_rows[] = {
        {"{}", "needs lr or relative_step"},
        {"{lr: 1, relative_step: true}", "and not both"},
        {"{lr: 1, warmup_init: true}", "warmup_init needs relative_step"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        cairn_optimizer optimizer = {0};
        cairn_error err = {0};
        char text[512];
        assert_int_equal(ok_try_make("Adafactor", k_rows[i].options, &optimizer, &err),
                         CAIRN_ECONFIG);
        (void)cairn_error_format(&err, text, sizeof text);
        assert_non_null(strstr(text, k_rows[i].says));
    }
}

static void muon__leaves_embeddings_and_vectors_to_adamw(void **state)
{
    ok_model m;
    (void)state;
    ok_make(&m, "Muon", "{}", false);
    assert_non_null(cairn_state_tensor_find(m.state, "tall.momentum_buffer"));
    assert_null(cairn_state_tensor_find(m.state, "tall.exp_avg"));
    assert_non_null(cairn_state_tensor_find(m.state, "e.exp_avg_sq"));
    assert_non_null(cairn_state_tensor_find(m.state, "cube.exp_avg_sq"));
    assert_non_null(cairn_state_tensor_find(m.state, "b.exp_avg_sq"));
    assert_null(cairn_state_tensor_find(m.state, "e.momentum_buffer"));
    ok_dispose(&m);
}

/* One element of 100: its update has the size 10 lr, not 100 lr. */
static void lamb__counts_a_norm_of_at_most_ten(void **state)
{
    ok_model m;
    const int64_t one = 1;
    (void)state;
    ok_new_tree(&m);
    const cairn_tensor *const x = ok_add(m.model, "x", CAIRN_ROLE_WEIGHT, 1, &one);
    ok_start(&m, "Lamb", "{lr: 0.5}", NULL, 0);
    *(float *)cairn_tensor_write_begin(m.tree, x, 0, 4) = 100.0f;
    cairn_tensor_write_end(m.tree, x, 0, 4);
    x->grad[0] = 0.25f;
    assert_int_equal(ok_try_step(&m, 0, false), CAIRN_OK);
    assert_true(fabsf(*(const float *)x->data - 95.0f) < 1e-4f);
    ok_dispose(&m);
}

/* Five steps from five leave a matrix whose singular values are near 1: U U^T is near I. */
static void muon__steps_along_a_nearly_orthogonal_matrix(void **state)
{
    ok_model m;
    (void)state;
    ok_make(&m, "Muon", "{lr: 1.0, weight_decay: 0.0}", false);
    ok_steps(&m, 0, 1, false);
    const float *const p = cairn_state_tensor_find(m.model, "tall")->data;
    const double scale = 0.2 * sqrt(7.0) * 1.0; /* lr 1.0; parameters were 0 */
    for (int a = 0; a < 3; a++) {
        double square = 0.0;
        for (int r = 0; r < 7; r++)
            square += (double)p[r * 3 + a] * (double)p[r * 3 + a];
        assert_true(sqrt(square) / scale > 0.6 && sqrt(square) / scale < 1.3);
    }
    ok_dispose(&m);
}

/* oneDNN may cut a product by threads; everything else does not. */
static void step__gives_the_same_bits_for_any_thread_count(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        ok_model one;
        ok_model two;
        make_large(&one, i);
        make_large(&two, i);
        for (uint64_t s = 0; s < 2; s++) {
            ok_set_threads(1);
            ok_steps(&one, s, 1, true);
            ok_set_threads(2);
            ok_steps(&two, s, 1, true);
        }
        ok_assert_same(&one, &two);
        ok_dispose(&one);
        ok_dispose(&two);
    }
}

/* The elements of a large vector become what the same elements of short ones become. */
static void step__takes_each_tiles_own_part(void **state)
{
    enum { TILE = CAIRN_WRITE_TILE_BYTES / (int)sizeof(float) };
    static const int64_t k_places[] = {0, TILE - 1, TILE, TILE + 1, LARGE - 1};
    (void)state;
    for (int i = 0; i < CASES; i++) {
        ok_model large;
        const int64_t one = 1;
        const char *const class = k_cases[i].class;
        if (strcmp(class, "Lamb") == 0 || strcmp(class, "Adafactor") == 0)
            continue; /* An element's update depends on all others. */
        make_large(&large, i);
        ok_steps(&large, 0, 2, true);
        const float *const p = cairn_state_tensor_find(large.model, "vector")->data;
        for (size_t k = 0; k < sizeof k_places / sizeof k_places[0]; k++) {
            ok_model small;
            ok_new_tree(&small);
            const cairn_tensor *const x = ok_add(small.model, "x", CAIRN_ROLE_BIAS, 1, &one);
            ok_start(&small, class, k_cases[i].options, NULL, 0);
            *(float *)cairn_tensor_write_begin(small.tree, x, 0, 4) =
                ok_first_value(0, k_places[k]);
            cairn_tensor_write_end(small.tree, x, 0, 4);
            for (uint64_t s = 0; s < 2; s++) {
                x->grad[0] = ok_gradient(0, s, k_places[k]);
                assert_int_equal(ok_try_step(&small, s, true), CAIRN_OK);
            }
            const double have = p[k_places[k]];
            const double want = *(const float *)x->data;
            if (!(fabs(have - want) <= 2e-7 * fmax(1.0, fabs(want))))
                fail_msg("%s: element %d is %.9g, alone %.9g", class, (int)k_places[k], have, want);
            ok_dispose(&small);
        }
        ok_dispose(&large);
    }
}

/* A guard that marks every 4 bytes it gave, and checks that ranges are tiles and are ended. */
struct watch {
    unsigned char *given;
    int open;
};

static void watch_begin(void *self, uint64_t offset, uint64_t bytes)
{
    struct watch *const watch = self;
    assert_true(bytes <= CAIRN_WRITE_TILE_BYTES);
    assert_true(++watch->open <= 5);
    memset(watch->given + offset / 4, 1, (size_t)((bytes + 3) / 4));
}

static void watch_end(void *self, uint64_t offset, uint64_t bytes)
{
    struct watch *const watch = self;
    (void)offset;
    (void)bytes;
    assert_true(watch->open-- > 0);
}

static void step__writes_only_what_the_guard_gave(void **state)
{
    static const cairn_write_guard_ops k_ops = {
        .struct_size = sizeof k_ops, .begin = watch_begin, .end = watch_end};
    (void)state;
    for (int i = 0; i < CASES; i++) {
        ok_model m;
        make_large(&m, i);
        const size_t words = (size_t)(cairn_state_tree_bytes(m.tree) / 4);
        struct watch watch = {.given = calloc(words, 1)};
        uint32_t *const before = malloc(words * 4);
        assert_non_null(watch.given);
        assert_non_null(before);
        memcpy(before, cairn_state_tree_arena(m.tree), words * 4);
        cairn_state_tree_set_guard(m.tree, &k_ops, &watch);
        ok_steps(&m, 0, 1, true);
        assert_int_equal(watch.open, 0);
        const uint32_t *const after = cairn_state_tree_arena(m.tree);
        size_t changed = 0;
        for (size_t w = 0; w < words; w++) {
            changed += before[w] != after[w];
            if (before[w] != after[w] && !watch.given[w])
                fail_msg("%s writes past the guard", k_cases[i].class);
        }
        assert_true(changed > LARGE / 2);
        free(before);
        free(watch.given);
        ok_dispose(&m);
    }
}

static void step__allocates_nothing_after_the_first(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        ok_model m;
        ok_make(&m, k_cases[i].class, k_cases[i].options, true);
        ok_steps(&m, 0, 1, true);
        const uint64_t before = crn_mem_count();
        ok_steps(&m, 1, 2, true);
        assert_int_equal(crn_mem_count(), before);
        ok_dispose(&m);
    }
}

static void step__leaves_undecayed_parameters_alone_without_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        ok_model m;
        const bool has_decay = strstr(k_cases[i].options, "weight_decay: 0.1") != NULL;
        if (strcmp(k_cases[i].class, "ASGD") == 0)
            continue; /* Its lambd decays everything. */
        ok_make(&m, k_cases[i].class, k_cases[i].options, false);
        ok_set_params(&m);
        assert_int_equal(ok_try_step(&m, 0, false), CAIRN_OK);
        const float *const norm = cairn_state_tensor_find(m.model, "n")->data;
        const float *const weight = cairn_state_tensor_find(m.model, "w")->data;
        assert_true(norm[1] == ok_first_value(4, 1));
        if (has_decay)
            assert_true(fabsf(weight[1]) < fabsf(ok_first_value(0, 1)));
        else
            assert_true(weight[1] == ok_first_value(0, 1));
        ok_dispose(&m);
    }
}

static void loaded__refuses_counters_that_cannot_be(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        ok_model m;
        const char *key = NULL;
        const char *value = NULL;
        char name[64];
        ok_make(&m, k_cases[i].class, k_cases[i].options, false);
        if (cairn_state_value_count(m.state) > 0) {
            cairn_state_value_at(m.state, 0, &key, &value);
            (void)snprintf(name, sizeof name, "%s", key);
            assert_int_equal(cairn_state_set_text(m.state, name, "many", NULL), CAIRN_OK);
            assert_int_equal(m.optimizer.ops->loaded(m.optimizer.self, NULL), CAIRN_ECORRUPT);
            cairn_state_clear_values(m.state);
            assert_int_equal(m.optimizer.ops->loaded(m.optimizer.self, NULL), CAIRN_ENOTFOUND);
        }
        ok_dispose(&m);
    }
}

static void new__fails_cleanly_at_every_allocation(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 2; n++) {
        cairn_optimizer optimizer = {0};
        const cairn_lion_options options = cairn_lion_options_default();
        crn_mem_fail_at(n, 0);
        assert_int_equal(cairn_lion_new(&options, &optimizer, NULL), CAIRN_ENOMEM);
        crn_mem_fail_at(0, 0);
        assert_null(optimizer.self);
    }
}

static void new__names_the_option_that_is_out_of_range(void **state)
{
    cairn_optimizer optimizer = {0};
    cairn_error err = {0};
    (void)state;
    cairn_rprop_options rprop = cairn_rprop_options_default();
    rprop.step_sizes.second = -1.0;
    assert_int_equal(cairn_rprop_new(&rprop, &optimizer, &err), CAIRN_ECONFIG);
    assert_string_equal(err.frame[0].text, "Rprop: step_sizes is -1; it must be from 0 to 1000000");
    cairn_muon_options muon = cairn_muon_options_default();
    muon.ns_steps = 101;
    err = (cairn_error){0};
    assert_int_equal(cairn_muon_new(&muon, &optimizer, &err), CAIRN_ECONFIG);
    assert_non_null(strstr(err.frame[0].text, "Muon: ns_steps is 101"));
    err = (cairn_error){0};
    assert_int_equal(ok_try_make("SGD", "{lr: 0.1, nesterov: true}", &optimizer, &err),
                     CAIRN_ECONFIG);
    assert_non_null(strstr(err.frame[0].text, "nesterov needs a momentum"));
}

static void defaults__are_those_of_the_model_zoo(void **state)
{
    (void)state;
    assert_true(cairn_adam_options_default().eps == 1e-6);
    assert_true(cairn_lion_options_default().lr == 1e-4);
    assert_true(cairn_lion_options_default().betas.second == 0.99);
    assert_true(cairn_muon_options_default().lr == 0.02);
    assert_true(cairn_muon_options_default().weight_decay == 0.01);
    assert_true(cairn_muon_options_default().momentum == 0.95);
    assert_true(cairn_muon_options_default().nesterov);
    assert_int_equal(cairn_muon_options_default().ns_steps, 5);
    assert_true(cairn_rmsprop_options_default().lr == 0.01);
    assert_true(cairn_rmsprop_options_default().eps == 1e-8);
    assert_true(cairn_rmsprop_options_default().alpha == 0.99);
    assert_true(cairn_adafactor_options_default().eps.first == 1e-30);
    assert_true(cairn_adafactor_options_default().decay_rate == -0.8);
    assert_true(cairn_adafactor_options_default().scale_parameter);
    assert_true(cairn_adadelta_options_default().lr == 1.0);
    assert_true(cairn_adadelta_options_default().rho == 0.9);
    assert_true(cairn_adagrad_options_default().eps == 1e-6);
    assert_true(cairn_nadam_options_default().momentum_decay == 4e-3);
    assert_true(cairn_lamb_options_default().eps == 1e-6);
    assert_true(cairn_asgd_options_default().t0 == 1e6);
    assert_true(cairn_rprop_options_default().etas.second == 1.2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loaded__continues_with_the_same_bits),
        cmocka_unit_test(reset__brings_back_the_first_step),
        cmocka_unit_test(declare__names_state_after_its_parameter),
        cmocka_unit_test(adafactor__keeps_rows_and_columns_of_matrices),
        cmocka_unit_test(adafactor__chooses_its_rate_with_relative_step),
        cmocka_unit_test(adafactor__has_a_rate_or_chooses_it),
        cmocka_unit_test(muon__leaves_embeddings_and_vectors_to_adamw),
        cmocka_unit_test(lamb__counts_a_norm_of_at_most_ten),
        cmocka_unit_test(muon__steps_along_a_nearly_orthogonal_matrix),
        cmocka_unit_test(step__gives_the_same_bits_for_any_thread_count),
        cmocka_unit_test(step__takes_each_tiles_own_part),
        cmocka_unit_test(step__writes_only_what_the_guard_gave),
        cmocka_unit_test(step__allocates_nothing_after_the_first),
        cmocka_unit_test(step__leaves_undecayed_parameters_alone_without_gradients),
        cmocka_unit_test(loaded__refuses_counters_that_cannot_be),
        cmocka_unit_test(new__fails_cleanly_at_every_allocation),
        cmocka_unit_test(new__names_the_option_that_is_out_of_range),
        cmocka_unit_test(defaults__are_those_of_the_model_zoo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
