#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "cairn/optim.h"

/* The large one has two tiles of the write guard and a rest. */
enum { LARGE = 2 * 1024 * 1024 + 1234, SMALL = 37, STEPS = 10 };

/* A model of four parameters and an optimizer for it. */
struct fixture {
    cairn_state_tree *tree;
    cairn_state *model;
    cairn_state *state;
    cairn_param_groups *groups;
    cairn_optimizer optimizer;
};

static const struct {
    const char *name;
    cairn_role role;
    int64_t size;
} k_params[] = {
    {"embedding.weight", CAIRN_ROLE_EMBEDDING, SMALL},
    {"bias_of_name_only.weight", CAIRN_ROLE_WEIGHT, SMALL},
    {"layer.bias", CAIRN_ROLE_BIAS, SMALL},
    {"ln.weight", CAIRN_ROLE_NORM, SMALL},
};
enum { PARAMS = sizeof k_params / sizeof k_params[0] };

static const cairn_adamw_options k_options = {
    .lr = 1e-3, .betas = {0.9, 0.95}, .eps = 1e-6, .weight_decay = 0.1, .correct_bias = true};

static void set_threads(int count)
{
#ifdef _OPENMP
    omp_set_num_threads(count);
#else
    (void)count;
#endif
}

static float uniform(uint64_t stream, uint64_t step, uint64_t index)
{
    uint32_t random[4];
    crn_philox(stream, CRN_STREAM_INIT, step, index, random);
    return crn_uniform_f32(random[0]) - 0.5f;
}

static void add(cairn_state *model, const char *name, cairn_role role, int64_t size)
{
    const cairn_tensor_spec spec = {
        .name = name, .dtype = CAIRN_DTYPE_F32, .role = role, .rank = 1, .shape = {size}};
    assert_int_equal(cairn_state_add_tensor(model, &spec, NULL, NULL), CAIRN_OK);
}

static void make(struct fixture *f, const cairn_adamw_options *options, int64_t large)
{
    *f = (struct fixture){0};
    assert_int_equal(cairn_adamw_new(options, &f->optimizer, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_new(&f->tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(f->tree, "model", &f->model, NULL), CAIRN_OK);
    for (int i = 0; large == 0 && i < PARAMS; i++)
        add(f->model, k_params[i].name, k_params[i].role, k_params[i].size);
    if (large > 0)
        add(f->model, "large", CAIRN_ROLE_WEIGHT, large);
    add(f->model, "buffer", CAIRN_ROLE_OTHER, 3);
    assert_int_equal(cairn_state_tree_add(f->tree, "optimizer", &f->state, NULL), CAIRN_OK);
    assert_int_equal(cairn_param_groups_new(f->model, NULL, 0, &f->groups, NULL), CAIRN_OK);
    assert_int_equal(
        f->optimizer.ops->declare(f->optimizer.self, f->model, f->groups, f->state, NULL),
        CAIRN_OK);
    assert_int_equal(cairn_state_tree_allocate(f->tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_allocate_gradients(f->model, NULL), CAIRN_OK);
    assert_int_equal(f->optimizer.ops->reset(f->optimizer.self, f->tree, NULL), CAIRN_OK);
}

static void dispose(struct fixture *f)
{
    f->optimizer.ops->destroy(f->optimizer.self);
    cairn_param_groups_destroy(f->groups);
    cairn_state_tree_destroy(f->tree);
}

static size_t param_count(const struct fixture *f)
{
    return cairn_state_tensor_count(f->model) - 1; /* not the buffer */
}

static void set_params(struct fixture *f)
{
    for (size_t i = 0; i < param_count(f); i++) {
        const cairn_tensor *const param = cairn_state_tensor_at(f->model, i);
        const int64_t size = cairn_tensor_elements(param);
        float *const p = cairn_tensor_write_begin(f->tree, param, 0, param->bytes);
        for (int64_t j = 0; j < size; j++)
            p[j] = uniform(1, i, (uint64_t)j);
        cairn_tensor_write_end(f->tree, param, 0, param->bytes);
    }
}

static void set_grads(struct fixture *f, uint64_t step)
{
    for (size_t i = 0; i < param_count(f); i++) {
        const cairn_tensor *const param = cairn_state_tensor_at(f->model, i);
        const int64_t size = cairn_tensor_elements(param);
        for (int64_t j = 0; j < size; j++)
            param->grad[j] = uniform(2 + i, step, (uint64_t)j);
    }
}

static void step(struct fixture *f, double rate)
{
    const double rates[] = {rate, rate};
    const double decays[] = {f->optimizer.ops->weight_decay(f->optimizer.self), 0.0};
    assert_int_equal(f->optimizer.ops->step(f->optimizer.self, f->tree, rates, decays, NULL),
                     CAIRN_OK);
}

static const float *data(const cairn_state *state, const char *name)
{
    const cairn_tensor *const tensor = cairn_state_tensor_find(state, name);
    assert_non_null(tensor);
    return tensor->data;
}

/* One element in float64, from the formulas of the reference. */
struct element {
    double p;
    double m;
    double v;
    double power1;
    double power2;
};

static void element_step(struct element *e, double g, double decay, double rate,
                         const cairn_adamw_options *o)
{
    e->power1 *= o->betas.first;
    e->power2 *= o->betas.second;
    e->m = o->betas.first * e->m + (1.0 - o->betas.first) * g;
    e->v = o->betas.second * e->v + (1.0 - o->betas.second) * g * g;
    double u = e->m / (sqrt(e->v) + o->eps);
    if (o->correct_bias)
        u *= sqrt(1.0 - e->power2) / (1.0 - e->power1);
    e->p -= rate * (u + decay * e->p);
}

static double rate_of(uint64_t s)
{
    return 1e-2 / (double)(s + 1);
}

static void check_against_float64(const cairn_adamw_options *options)
{
    struct fixture f;
    make(&f, options, 0);
    set_params(&f);
    for (uint64_t s = 0; s < STEPS; s++) {
        set_grads(&f, s);
        step(&f, rate_of(s));
    }
    for (size_t i = 0; i < PARAMS; i++) {
        const float *const p = data(f.model, k_params[i].name);
        const double decay = i < 2 ? options->weight_decay : 0.0;
        for (uint64_t j = 0; j < SMALL; j++) {
            struct element e = {.p = uniform(1, i, j), .power1 = 1.0, .power2 = 1.0};
            for (uint64_t s = 0; s < STEPS; s++)
                element_step(&e, uniform(2 + i, s, j), decay, rate_of(s), options);
            if (fabs(p[j] - e.p) > 4e-7)
                fail_msg("%s[%d] is %.9g, not %.9g", k_params[i].name, (int)j, (double)p[j], e.p);
        }
    }
    dispose(&f);
}

static void step__equals_float64_over_ten_steps(void **state)
{
    (void)state;
    check_against_float64(&k_options);
}

static void step__equals_float64_without_bias_correction(void **state)
{
    cairn_adamw_options options = k_options;
    (void)state;
    options.correct_bias = false;
    check_against_float64(&options);
}

static void step__equals_float64_with_another_eps(void **state)
{
    cairn_adamw_options options = k_options;
    (void)state;
    options.eps = 1e-1;
    options.weight_decay = 0.0;
    check_against_float64(&options);
}

/*
 * The first step in closed form: m = (1 - b1) g, v = (1 - b2) g^2, so
 * u = sqrt(1 - b2) g / (sqrt(1 - b2) |g| + eps): eps counts more than with bias correction first.
 */
static void step__first_is_the_closed_form(void **state)
{
    struct fixture f;
    cairn_adamw_options options = k_options;
    (void)state;
    options.eps = 0.01;
    make(&f, &options, 0);
    set_grads(&f, 0);
    step(&f, 0.5);
    const float *const p = data(f.model, "layer.bias");
    for (uint64_t j = 0; j < SMALL; j++) {
        const double g = uniform(2 + 2, 0, j);
        const double root = sqrt(1.0 - 0.95);
        assert_true(fabs(p[j] + 0.5 * root * g / (root * fabs(g) + 0.01)) < 1e-6);
    }
    dispose(&f);
}

static void step__decays_by_role_and_not_by_name(void **state)
{
    struct fixture f;
    (void)state;
    make(&f, &k_options, 0);
    set_params(&f);
    step(&f, 0.5); /* no gradients: only decay moves anything */
    for (size_t i = 0; i < PARAMS; i++) {
        const float *const p = data(f.model, k_params[i].name);
        for (uint64_t j = 0; j < SMALL; j++) {
            const float before = uniform(1, i, j);
            const float after = i < 2 ? before - 0.5f * (0.1f * before) : before;
            assert_true(p[j] == after);
        }
    }
    dispose(&f);
}

static void step__takes_one_learning_rate_a_group(void **state)
{
    struct fixture f;
    const double rates[] = {0.0, 0.5};
    const double decays[] = {0.0, 0.0};
    (void)state;
    make(&f, &k_options, 0);
    set_grads(&f, 0);
    assert_int_equal(f.optimizer.ops->step(f.optimizer.self, f.tree, rates, decays, NULL),
                     CAIRN_OK);
    assert_true(data(f.model, "embedding.weight")[0] == 0.0f);
    assert_true(data(f.model, "layer.bias")[0] != 0.0f);
    assert_true(data(f.model, "ln.weight")[0] != 0.0f);
    dispose(&f);
}

static void declare__adds_both_moments_after_each_other_in_the_order_of_the_model(void **state)
{
    struct fixture f;
    char expected[64];
    (void)state;
    make(&f, &k_options, 0);
    assert_int_equal(cairn_state_tensor_count(f.state), 2 * PARAMS);
    for (size_t i = 0; i < 2 * PARAMS; i++) {
        const cairn_tensor *const moment = cairn_state_tensor_at(f.state, i);
        (void)snprintf(expected, sizeof expected, "%s.%s", k_params[i / 2].name,
                       i % 2 == 0 ? "exp_avg" : "exp_avg_sq");
        assert_string_equal(moment->name, expected);
        assert_int_equal(moment->dtype, CAIRN_DTYPE_F32);
        assert_int_equal(moment->role, CAIRN_ROLE_OTHER);
        assert_int_equal(cairn_tensor_elements(moment), k_params[i / 2].size);
    }
    dispose(&f);
}

static void declare__refuses_parameters_that_are_not_fp32(void **state)
{
    cairn_state_tree *tree = NULL;
    cairn_state *model = NULL;
    cairn_state *optimizer_state = NULL;
    cairn_param_groups *groups = NULL;
    cairn_optimizer optimizer;
    const cairn_tensor_spec spec = {
        .name = "w", .dtype = CAIRN_DTYPE_BF16, .role = CAIRN_ROLE_WEIGHT, .rank = 1, .shape = {3}};
    (void)state;
    assert_int_equal(cairn_adamw_new(&k_options, &optimizer, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_new(&tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "model", &model, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "optimizer", &optimizer_state, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_add_tensor(model, &spec, NULL, NULL), CAIRN_OK);
    assert_int_equal(cairn_param_groups_new(model, NULL, 0, &groups, NULL), CAIRN_OK);
    assert_int_equal(optimizer.ops->declare(optimizer.self, model, groups, optimizer_state, NULL),
                     CAIRN_EUNSUPPORTED);
    cairn_param_groups_destroy(groups);
    optimizer.ops->destroy(optimizer.self);
    cairn_state_tree_destroy(tree);
}

static void step__keeps_the_powers_of_the_betas_as_values(void **state)
{
    struct fixture f;
    double power = 0.0;
    (void)state;
    make(&f, &k_options, 0);
    assert_int_equal(cairn_state_get_f64(f.state, "beta1_power", &power, NULL), CAIRN_OK);
    assert_true(power == 1.0);
    for (int i = 0; i < 3; i++)
        step(&f, 0.0);
    assert_int_equal(cairn_state_get_f64(f.state, "beta1_power", &power, NULL), CAIRN_OK);
    assert_true(power == 0.9 * 0.9 * 0.9);
    assert_int_equal(cairn_state_get_f64(f.state, "beta2_power", &power, NULL), CAIRN_OK);
    assert_true(power == 0.95 * 0.95 * 0.95);
    dispose(&f);
}

/* What a checkpoint does: tensors and values of one tree into another. */
static void copy_tree(struct fixture *to, const struct fixture *from)
{
    double power = 0.0;
    static const char *const k_values[] = {"beta1_power", "beta2_power"};
    cairn_state *const pairs[][2] = {{to->model, from->model}, {to->state, from->state}};
    for (size_t p = 0; p < 2; p++) {
        for (size_t i = 0; i < cairn_state_tensor_count(pairs[p][0]); i++) {
            const cairn_tensor *const tensor = cairn_state_tensor_at(pairs[p][0], i);
            void *const out = cairn_tensor_write_begin(to->tree, tensor, 0, tensor->bytes);
            memcpy(out, cairn_state_tensor_at(pairs[p][1], i)->data, tensor->bytes);
            cairn_tensor_write_end(to->tree, tensor, 0, tensor->bytes);
        }
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(cairn_state_get_f64(from->state, k_values[i], &power, NULL), CAIRN_OK);
        assert_int_equal(cairn_state_set_f64(to->state, k_values[i], power, NULL), CAIRN_OK);
    }
}

static void assert_same_arena(const struct fixture *a, const struct fixture *b)
{
    assert_int_equal(cairn_state_tree_bytes(a->tree), cairn_state_tree_bytes(b->tree));
    assert_memory_equal(cairn_state_tree_arena(a->tree), cairn_state_tree_arena(b->tree),
                        cairn_state_tree_bytes(a->tree));
}

static void loaded__continues_with_the_same_bits(void **state)
{
    struct fixture whole;
    struct fixture second;
    (void)state;
    make(&whole, &k_options, 0);
    make(&second, &k_options, 0);
    set_params(&whole);
    for (uint64_t s = 0; s < 4; s++) {
        set_grads(&whole, s);
        step(&whole, rate_of(s));
    }
    copy_tree(&second, &whole);
    assert_int_equal(second.optimizer.ops->loaded(second.optimizer.self, NULL), CAIRN_OK);
    for (uint64_t s = 4; s < STEPS; s++) {
        set_grads(&whole, s);
        step(&whole, rate_of(s));
        set_grads(&second, s);
        step(&second, rate_of(s));
    }
    assert_same_arena(&whole, &second);
    dispose(&whole);
    dispose(&second);
}

static void loaded__refuses_powers_that_cannot_be(void **state)
{
    struct fixture f;
    (void)state;
    make(&f, &k_options, 0);
    assert_int_equal(cairn_state_set_f64(f.state, "beta2_power", 1.5, NULL), CAIRN_OK);
    assert_int_equal(f.optimizer.ops->loaded(f.optimizer.self, NULL), CAIRN_ECORRUPT);
    assert_int_equal(cairn_state_set_f64(f.state, "beta2_power", (double)NAN, NULL), CAIRN_OK);
    assert_int_equal(f.optimizer.ops->loaded(f.optimizer.self, NULL), CAIRN_ECORRUPT);
    assert_int_equal(cairn_state_set_text(f.state, "beta2_power", "one", NULL), CAIRN_OK);
    assert_int_equal(f.optimizer.ops->loaded(f.optimizer.self, NULL), CAIRN_ECORRUPT);
    cairn_state_clear_values(f.state);
    assert_int_equal(f.optimizer.ops->loaded(f.optimizer.self, NULL), CAIRN_ENOTFOUND);
    dispose(&f);
}

static void reset__brings_back_the_first_step(void **state)
{
    struct fixture used;
    struct fixture fresh;
    (void)state;
    make(&used, &k_options, 0);
    make(&fresh, &k_options, 0);
    set_grads(&used, 3);
    step(&used, 0.1);
    assert_int_equal(used.optimizer.ops->reset(used.optimizer.self, used.tree, NULL), CAIRN_OK);
    set_params(&used);
    set_params(&fresh);
    set_grads(&used, 0);
    set_grads(&fresh, 0);
    step(&used, 0.1);
    step(&fresh, 0.1);
    assert_same_arena(&used, &fresh);
    dispose(&used);
    dispose(&fresh);
}

static void step__refuses_a_parameter_without_gradient_and_changes_nothing(void **state)
{
    cairn_state_tree *tree = NULL;
    cairn_state *model = NULL;
    cairn_state *optimizer_state = NULL;
    cairn_param_groups *groups = NULL;
    cairn_optimizer optimizer;
    double power = 0.0;
    const double rates[] = {0.1, 0.1};
    (void)state;
    assert_int_equal(cairn_adamw_new(&k_options, &optimizer, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_new(&tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "model", &model, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(tree, "optimizer", &optimizer_state, NULL), CAIRN_OK);
    add(model, "w", CAIRN_ROLE_WEIGHT, 3);
    assert_int_equal(cairn_param_groups_new(model, NULL, 0, &groups, NULL), CAIRN_OK);
    assert_int_equal(optimizer.ops->declare(optimizer.self, model, groups, optimizer_state, NULL),
                     CAIRN_OK);
    cairn_param_groups_destroy(groups);
    assert_int_equal(cairn_state_tree_allocate(tree, NULL), CAIRN_OK);
    assert_int_equal(optimizer.ops->step(optimizer.self, tree, rates, rates, NULL), CAIRN_EINVAL);
    assert_int_equal(cairn_state_get_f64(optimizer_state, "beta1_power", &power, NULL), CAIRN_OK);
    assert_true(power == 1.0);
    optimizer.ops->destroy(optimizer.self);
    cairn_state_tree_destroy(tree);
}

static void step__has_the_same_bits_for_any_thread_count(void **state)
{
    struct fixture one;
    struct fixture two;
    (void)state;
    make(&one, &k_options, LARGE);
    make(&two, &k_options, LARGE);
    set_params(&one);
    set_params(&two);
    for (uint64_t s = 0; s < 2; s++) {
        set_grads(&one, s);
        set_grads(&two, s);
        set_threads(1);
        step(&one, 1e-2);
        set_threads(2);
        step(&two, 1e-2);
    }
    assert_same_arena(&one, &two);
    dispose(&one);
    dispose(&two);
}

/* One step of every element beside an edge of a tile, and of the first and the last. */
static void step__takes_each_tiles_own_gradients(void **state)
{
    enum { TILE = CAIRN_WRITE_TILE_BYTES / (int)sizeof(float) };
    static const uint64_t k_places[] = {0,        1,        TILE - 1,     TILE,
                                        TILE + 1, 2 * TILE, 2 * TILE + 1, LARGE - 1};
    struct fixture f;
    (void)state;
    make(&f, &k_options, LARGE);
    set_params(&f);
    set_grads(&f, 0);
    step(&f, 1e-2);
    const float *const p = data(f.model, "large");
    for (size_t i = 0; i < sizeof k_places / sizeof k_places[0]; i++) {
        const uint64_t j = k_places[i];
        struct element e = {.p = uniform(1, 0, j), .power1 = 1.0, .power2 = 1.0};
        element_step(&e, uniform(2, 0, j), k_options.weight_decay, 1e-2, &k_options);
        assert_true(fabs(p[j] - e.p) < 1e-7);
    }
    dispose(&f);
}

/* A guard that checks the contract: whole tiles, each ended, never two for the same bytes. */
struct watch {
    uint64_t open[8];
    size_t open_count;
    size_t most_open;
    uint64_t largest;
    uint64_t bytes;
};

static void watch_begin(void *self, uint64_t offset, uint64_t bytes)
{
    struct watch *const watch = self;
    assert_true(watch->open_count < 8);
    watch->open[watch->open_count++] = offset;
    if (watch->open_count > watch->most_open)
        watch->most_open = watch->open_count;
    if (bytes > watch->largest)
        watch->largest = bytes;
    watch->bytes += bytes;
}

static void watch_end(void *self, uint64_t offset, uint64_t bytes)
{
    struct watch *const watch = self;
    (void)bytes;
    assert_true(watch->open_count > 0);
    watch->open_count--;
    assert_int_equal(watch->open[watch->open_count], offset);
}

static void step__writes_tile_by_tile_through_the_guard(void **state)
{
    static const cairn_write_guard_ops k_ops = {
        .struct_size = sizeof k_ops, .begin = watch_begin, .end = watch_end};
    struct watch watch = {0};
    struct fixture f;
    (void)state;
    make(&f, &k_options, LARGE);
    cairn_state_tree_set_guard(f.tree, &k_ops, &watch);
    step(&f, 1e-2);
    assert_int_equal(watch.open_count, 0);
    assert_int_equal(watch.most_open, 3);
    assert_int_equal(watch.largest, CAIRN_WRITE_TILE_BYTES);
    assert_int_equal(watch.bytes, 3 * (uint64_t)LARGE * sizeof(float));
    dispose(&f);
}

static void step__allocates_nothing_after_the_first(void **state)
{
    struct fixture f;
    (void)state;
    make(&f, &k_options, 0);
    step(&f, 1e-2);
    const uint64_t before = crn_mem_count();
    step(&f, 1e-2);
    assert_int_equal(crn_mem_count(), before);
    dispose(&f);
}

static void new__refuses_values_outside_their_range(void **state)
{
    cairn_optimizer optimizer = {0};
    cairn_adamw_options options = k_options;
    (void)state;
    options.betas.second = 1.0;
    assert_int_equal(cairn_adamw_new(&options, &optimizer, NULL), CAIRN_ECONFIG);
    options = k_options;
    options.betas.first = -0.1;
    assert_int_equal(cairn_adamw_new(&options, &optimizer, NULL), CAIRN_ECONFIG);
    options = k_options;
    options.lr = (double)INFINITY;
    assert_int_equal(cairn_adamw_new(&options, &optimizer, NULL), CAIRN_ECONFIG);
    options = k_options;
    options.eps = -1.0;
    assert_int_equal(cairn_adamw_new(&options, &optimizer, NULL), CAIRN_ECONFIG);
    options = k_options;
    options.weight_decay = (double)NAN;
    assert_int_equal(cairn_adamw_new(&options, &optimizer, NULL), CAIRN_ECONFIG);
    assert_null(optimizer.self);
}

static void learning_rate__is_the_option(void **state)
{
    cairn_optimizer optimizer;
    (void)state;
    assert_int_equal(cairn_adamw_new(&k_options, &optimizer, NULL), CAIRN_OK);
    assert_true(optimizer.ops->learning_rate(optimizer.self) == 1e-3);
    assert_string_equal(optimizer.ops->name, "AdamW");
    optimizer.ops->destroy(optimizer.self);
    optimizer.ops->destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(step__equals_float64_over_ten_steps),
        cmocka_unit_test(step__equals_float64_without_bias_correction),
        cmocka_unit_test(step__equals_float64_with_another_eps),
        cmocka_unit_test(step__first_is_the_closed_form),
        cmocka_unit_test(step__decays_by_role_and_not_by_name),
        cmocka_unit_test(step__takes_one_learning_rate_a_group),
        cmocka_unit_test(declare__adds_both_moments_after_each_other_in_the_order_of_the_model),
        cmocka_unit_test(declare__refuses_parameters_that_are_not_fp32),
        cmocka_unit_test(step__keeps_the_powers_of_the_betas_as_values),
        cmocka_unit_test(loaded__continues_with_the_same_bits),
        cmocka_unit_test(loaded__refuses_powers_that_cannot_be),
        cmocka_unit_test(reset__brings_back_the_first_step),
        cmocka_unit_test(step__refuses_a_parameter_without_gradient_and_changes_nothing),
        cmocka_unit_test(step__has_the_same_bits_for_any_thread_count),
        cmocka_unit_test(step__takes_each_tiles_own_gradients),
        cmocka_unit_test(step__writes_tile_by_tile_through_the_guard),
        cmocka_unit_test(step__allocates_nothing_after_the_first),
        cmocka_unit_test(new__refuses_values_outside_their_range),
        cmocka_unit_test(learning_rate__is_the_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
