/* The loss scaler against tests/numeric/loss_scaler.txt, which make_loss_scaler.py worked out from
 * the rules in another way; its state; its options. */
#include "cairn/loss_scaler.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kit/kit.h"

static cairn_precision_options dynamic_options(void)
{
    cairn_precision_options options = cairn_precision_options_default();
    options.fp16_type = "float16";
    options.loss_scaling_factor = "dynamic";
    return options;
}

static cairn_loss_scaler *make(const cairn_precision_options *options)
{
    cairn_loss_scaler *scaler = NULL;
    cairn_error err = {0};
    tk_assert_ok(cairn_loss_scaler_new(options, &scaler, &err), &err);
    return scaler;
}

static cairn_state_tree *make_state(cairn_state **out)
{
    cairn_state_tree *tree = NULL;
    assert_int_equal(cairn_state_tree_new(&tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "grad_scaler", out, NULL), CAIRN_OK);
    return tree;
}

static uint64_t number(const cairn_state *state, const char *key)
{
    uint64_t value = 0;
    assert_int_equal(cairn_state_get_u64(state, key, &value, NULL), CAIRN_OK);
    return value;
}

/* Every second step goes on with a new scaler that read the state of the last, as a process does
 * that resumes. */
static void check_step(cairn_loss_scaler *scaler, const cairn_state *state, const char *line)
{
    int overflows = 0;
    char scale[64];
    unsigned steps = 0;
    unsigned skipped = 0;
    cairn_error err = {0};
    const int fields = sscanf(line, "%d %63s %u %u", &overflows, scale, &steps, &skipped);
    if (fields == 2) {
        assert_string_equal(scale, "stop");
        const double before = cairn_loss_scaler_scale(scaler);
        assert_int_equal(cairn_loss_scaler_update(scaler, overflows != 0, &err), CAIRN_ENONFINITE);
        tk_assert_error_has(&err, "may not become smaller than precision.min_loss_scale");
        assert_true(cairn_loss_scaler_scale(scaler) == before);
        return;
    }
    assert_int_equal(fields, 4);
    tk_assert_ok(cairn_loss_scaler_update(scaler, overflows != 0, &err), &err);
    assert_true(cairn_loss_scaler_scale(scaler) == strtod(scale, NULL));
    assert_int_equal(number(state, "steps_since_rescale"), steps);
    assert_int_equal(number(state, "overflows_since_rescale"), 0);
    assert_int_equal(number(state, "num_skipped_steps"), skipped);
    assert_int_equal(cairn_loss_scaler_skipped(scaler), skipped);
}

static void the_scale__follows_the_table_also_across_resumes(void **unused)
{
    char path[TK_PATH_SIZE];
    char line[256];
    (void)unused;
    (void)snprintf(path, sizeof path, "%s/tests/numeric/loss_scaler.txt",
                   getenv("CAIRN_SOURCE_DIR"));
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    cairn_precision_options options = dynamic_options();
    cairn_state_tree *tree = NULL;
    cairn_state *state = NULL;
    cairn_loss_scaler *scaler = NULL;
    unsigned steps = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        double limits[3] = {0};
        int per = 0;
        cairn_error err = {0};
        if (sscanf(line, "case %la %la %la %d", &limits[0], &limits[1], &limits[2], &per) == 4) {
            cairn_loss_scaler_destroy(scaler);
            cairn_state_tree_destroy(tree);
            options.initial_loss_scale = cairn_float(limits[0]);
            options.min_loss_scale = cairn_float(limits[1]);
            options.max_loss_scale = cairn_float(limits[2]);
            options.steps_per_increase = per;
            scaler = make(&options);
            tree = make_state(&state);
            tk_assert_ok(cairn_loss_scaler_declare(scaler, state, &err), &err);
            assert_true(cairn_loss_scaler_scale(scaler) == limits[0]);
            continue;
        }
        if (steps++ % 2 == 1) {
            char text[64];
            const char *const saved = cairn_state_get_text(state, "loss_scale");
            (void)snprintf(text, sizeof text, "%s", saved);
            const uint64_t counts[] = {number(state, "steps_since_rescale"),
                                       number(state, "num_skipped_steps")};
            cairn_loss_scaler_destroy(scaler);
            scaler = make(&options);
            tk_assert_ok(cairn_loss_scaler_declare(scaler, state, &err), &err);
            assert_int_equal(cairn_state_set_text(state, "loss_scale", text, NULL), CAIRN_OK);
            (void)cairn_state_set_u64(state, "steps_since_rescale", counts[0], NULL);
            (void)cairn_state_set_u64(state, "num_skipped_steps", counts[1], NULL);
            tk_assert_ok(cairn_loss_scaler_loaded(scaler, &err), &err);
        }
        check_step(scaler, state, line);
    }
    assert_true(steps > 600);
    (void)fclose(file);
    cairn_loss_scaler_destroy(scaler);
    cairn_state_tree_destroy(tree);
}

static void defaults__are_those_of_the_model_zoo(void **unused)
{
    (void)unused;
    cairn_precision_options options = dynamic_options();
    cairn_loss_scaler *scaler = make(&options);
    assert_true(cairn_loss_scaler_is_dynamic(scaler));
    assert_true(cairn_loss_scaler_scale(scaler) == 0x1p15);
    cairn_loss_scaler_destroy(scaler);
    options.fp16_type = "cbfloat16";
    scaler = make(&options);
    assert_true(cairn_loss_scaler_scale(scaler) == 0x1p31);
    cairn_loss_scaler_destroy(scaler);
    options.max_loss_scale = cairn_float(1024.0); /* The first scale is within the limits. */
    scaler = make(&options);
    assert_true(cairn_loss_scaler_scale(scaler) == 1024.0);
    cairn_loss_scaler_destroy(scaler);
}

static void a_number__is_a_scale_that_never_changes(void **unused)
{
    (void)unused;
    cairn_precision_options options = dynamic_options();
    options.loss_scaling_factor = "128";
    cairn_loss_scaler *const scaler = make(&options);
    assert_false(cairn_loss_scaler_is_dynamic(scaler));
    for (int i = 0; i < 5; i++)
        assert_int_equal(cairn_loss_scaler_update(scaler, true, NULL), CAIRN_OK);
    assert_true(cairn_loss_scaler_scale(scaler) == 128.0);
    cairn_loss_scaler_destroy(scaler);
}

static void bfloat16_and_nothing__have_no_scale(void **unused)
{
    static const char *const k_factors[] = {NULL, "1", "1.0", "dynamic", "64"};
    (void)unused;
    cairn_precision_options options = cairn_precision_options_default();
    for (size_t i = 0; i < sizeof k_factors / sizeof k_factors[0]; i++) {
        options.loss_scaling_factor = k_factors[i];
        cairn_loss_scaler *const scaler = make(&options);
        assert_false(cairn_loss_scaler_is_dynamic(scaler));
        assert_true(cairn_loss_scaler_scale(scaler) == 1.0);
        cairn_loss_scaler_destroy(scaler);
    }
}

static void options__that_make_no_sense_are_refused(void **unused)
{
    static const struct {
        const char *type;
        const char *factor;
        double initial;
        double min;
        double max;
        const char *says;
    } k_rows[] = {
        {"float16", "dynamo", 8, 1, 16, "'dynamo'; it must be a number above 0, or dynamic"},
        {"float16", "0", 8, 1, 16, "is '0'"},
        {"float16", "-2", 8, 1, 16, "is '-2'"},
        {"float16", "inf", 8, 1, 16, "is 'inf'"},
        {"float16", "nan", 8, 1, 16, "is 'nan'"},
        {"bfloat16", "x", 8, 1, 16, "is 'x'"},
        {"cbfloat16", "4", 8, 1, 16, "cbfloat16 needs loss_scaling_factor: dynamic"},
        {"float16", "dynamic", 8, 0, 16, "must be numbers above 0"},
        {"float16", "dynamic", 8, 32, 16, "min_loss_scale 32 is above max_loss_scale 16"},
        {"float16", "dynamic", 1, 2, 16, "initial_loss_scale 1 is below min_loss_scale 2"},
    };
    (void)unused;
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++) {
        cairn_precision_options options = cairn_precision_options_default();
        cairn_loss_scaler *scaler = NULL;
        cairn_error err = {0};
        options.fp16_type = k_rows[i].type;
        options.loss_scaling_factor = k_rows[i].factor;
        options.initial_loss_scale = cairn_float(k_rows[i].initial);
        options.min_loss_scale = cairn_float(k_rows[i].min);
        options.max_loss_scale = cairn_float(k_rows[i].max);
        assert_int_equal(cairn_loss_scaler_new(&options, &scaler, &err), CAIRN_ECONFIG);
        tk_assert_error_has(&err, k_rows[i].says);
        assert_null(scaler);
    }
}

static void a_load__keeps_new_limits_and_refuses_what_is_no_scale(void **unused)
{
    (void)unused;
    cairn_precision_options options = dynamic_options();
    options.max_loss_scale = cairn_float(64.0);
    cairn_state *state = NULL;
    cairn_state_tree *const tree = make_state(&state);
    cairn_loss_scaler *const scaler = make(&options);
    cairn_error err = {0};
    tk_assert_ok(cairn_loss_scaler_declare(scaler, state, &err), &err);
    (void)cairn_state_set_f64(state, "loss_scale", 4096.0, NULL);
    tk_assert_ok(cairn_loss_scaler_loaded(scaler, &err), &err);
    assert_true(cairn_loss_scaler_scale(scaler) == 64.0);
    (void)cairn_state_set_f64(state, "loss_scale", -1.0, NULL);
    assert_int_equal(cairn_loss_scaler_loaded(scaler, &err), CAIRN_ECORRUPT);
    (void)cairn_state_set_text(state, "loss_scale", "much", NULL);
    assert_int_equal(cairn_loss_scaler_loaded(scaler, &err), CAIRN_ECORRUPT);
    tk_assert_ok(cairn_loss_scaler_reset(scaler, &err), &err);
    assert_true(cairn_loss_scaler_scale(scaler) == 64.0);
    assert_string_equal(cairn_state_get_text(state, "loss_scale"), "0x1p+6");
    cairn_loss_scaler_destroy(scaler);
    cairn_state_tree_destroy(tree);
}

static void unscaling__divides_every_gradient(void **unused)
{
    const cairn_tensor_spec spec = {.name = "w",
                                    .dtype = CAIRN_DTYPE_F32,
                                    .role = CAIRN_ROLE_WEIGHT,
                                    .rank = 1,
                                    .shape = {40000}};
    cairn_state_tree *tree = NULL;
    cairn_state *model = NULL;
    const cairn_tensor *w = NULL;
    (void)unused;
    assert_int_equal(cairn_state_tree_new(&tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "model", &model, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_add_tensor(model, &spec, &w, NULL), CAIRN_OK);
    cairn_unscale_gradients(model, 4.0); /* There are none yet. */
    assert_int_equal(cairn_state_tree_allocate(tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_allocate_gradients(model, NULL), CAIRN_OK);
    for (int i = 0; i < 40000; i++)
        w->grad[i] = (float)i;
    cairn_unscale_gradients(model, 4096.0);
    for (int i = 0; i < 40000; i++)
        assert_true(w->grad[i] == (float)i / 4096.0F);
    cairn_state_tree_destroy(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_scale__follows_the_table_also_across_resumes),
        cmocka_unit_test(defaults__are_those_of_the_model_zoo),
        cmocka_unit_test(a_number__is_a_scale_that_never_changes),
        cmocka_unit_test(bfloat16_and_nothing__have_no_scale),
        cmocka_unit_test(options__that_make_no_sense_are_refused),
        cmocka_unit_test(a_load__keeps_new_limits_and_refuses_what_is_no_scale),
        cmocka_unit_test(unscaling__divides_every_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
