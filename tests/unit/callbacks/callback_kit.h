/* A trainer that writes down what callbacks ask of it; the test calls their hooks. Its model has
 * the parameters "layers.0.w" [4], "layers.1.w" [2][3], "embed" [5], with gradients. */
#ifndef TEST_CALLBACKS_CALLBACK_KIT_H
#define TEST_CALLBACKS_CALLBACK_KIT_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cairn/callbacks.h"
#include "cairn/model.h"
#include "cairn/optim.h"
#include "kit/kit.h"

enum { CK_METRICS_MAX = 32, CK_NAME_SIZE = 96, CK_LOG_SIZE = 4096, CK_OBSERVERS_MAX = 2 };

typedef struct ck_metric {
    char name[CK_NAME_SIZE];
    double value;
} ck_metric;

struct cairn_trainer {
    cairn_state_tree *tree;
    cairn_state *model_state;
    cairn_model model;
    cairn_log log;
    char logged[CK_LOG_SIZE];
    char model_dir[TK_PATH_SIZE];
    ck_metric metrics[CK_METRICS_MAX];
    size_t metric_count;
    char histograms[CK_LOG_SIZE]; /* "name:count " */
    cairn_check checks[2];        /* training, validation */
    cairn_observe_fn observe[CK_OBSERVERS_MAX];
    void *observer[CK_OBSERVERS_MAX];
    size_t observer_count;
    const cairn_state *validated; /* by cairn_trainer_validate_weights */
    char prefix[CK_NAME_SIZE];
    uint64_t streamed;
};

/* ---- What callbacks call ---- */

cairn_state_tree *cairn_trainer_tree(cairn_trainer *trainer)
{
    return trainer->tree;
}

cairn_state *cairn_trainer_trained_state(cairn_trainer *trainer)
{
    return cairn_trainer_model_state(trainer);
}

cairn_state *cairn_trainer_model_state(cairn_trainer *trainer)
{
    return trainer->model_state;
}

const cairn_model *cairn_trainer_model(const cairn_trainer *trainer)
{
    return &trainer->model;
}

const cairn_log *cairn_trainer_log(const cairn_trainer *trainer)
{
    return &trainer->log;
}

const char *cairn_trainer_model_dir(const cairn_trainer *trainer)
{
    return trainer->model_dir;
}

const char *cairn_trainer_run_dir(const cairn_trainer *trainer)
{
    return trainer->model_dir[0] != '\0' ? trainer->model_dir : NULL;
}

double cairn_trainer_gradient_squares(const cairn_trainer *trainer, const float *first,
                                      size_t range)
{
    (void)trainer;
    return cairn_sum_of_squares(first, range);
}

cairn_status cairn_trainer_add_metric(cairn_trainer *trainer, const char *name, double value,
                                      cairn_error *err)
{
    (void)err;
    assert_true(trainer->metric_count < CK_METRICS_MAX);
    ck_metric *const metric = &trainer->metrics[trainer->metric_count++];
    (void)snprintf(metric->name, sizeof metric->name, "%s", name);
    metric->value = value;
    return CAIRN_OK;
}

cairn_status cairn_trainer_log_histogram(cairn_trainer *trainer, const char *name,
                                         const float *values, size_t count, cairn_error *err)
{
    const size_t used = strlen(trainer->histograms);
    (void)err;
    (void)snprintf(trainer->histograms + used, CK_LOG_SIZE - used, "%s:%zu:%g ", name, count,
                   (double)values[count - 1]);
    return CAIRN_OK;
}

void cairn_trainer_set_check(cairn_trainer *trainer, bool is_validation, cairn_check check)
{
    trainer->checks[is_validation] = check;
}

cairn_status cairn_trainer_observe(cairn_trainer *trainer, cairn_observe_fn fn, void *user,
                                   cairn_error *err)
{
    (void)err;
    assert_true(trainer->observer_count < CK_OBSERVERS_MAX);
    trainer->observe[trainer->observer_count] = fn;
    trainer->observer[trainer->observer_count++] = user;
    return CAIRN_OK;
}

cairn_status cairn_trainer_validate_weights(cairn_trainer *trainer, const cairn_state *weights,
                                            const char *prefix, cairn_error *err)
{
    (void)err;
    trainer->validated = weights;
    (void)snprintf(trainer->prefix, sizeof trainer->prefix, "%s", prefix);
    return CAIRN_OK;
}

uint64_t cairn_trainer_samples_streamed(const cairn_trainer *trainer)
{
    return trainer->streamed;
}

void cairn_trainer_skip_samples(cairn_trainer *trainer, uint64_t samples)
{
    trainer->streamed += samples;
}

/* ---- For tests ---- */

static inline void ck_write_log(void *user, cairn_log_level level, const char *message)
{
    struct cairn_trainer *const trainer = user;
    const size_t used = strlen(trainer->logged);
    (void)snprintf(trainer->logged + used, CK_LOG_SIZE - used, "%s: %s\n",
                   cairn_log_level_name(level), message);
}

static inline const cairn_tensor *ck_tensor(const struct cairn_trainer *t, const char *name)
{
    const cairn_tensor *const tensor = cairn_state_tensor_find(t->model_state, name);
    assert_non_null(tensor);
    return tensor;
}

static inline void ck_write(struct cairn_trainer *t, const cairn_tensor *tensor,
                            const float *values)
{
    memcpy(cairn_tensor_write_begin(t->tree, tensor, 0, tensor->bytes), values, tensor->bytes);
    cairn_tensor_write_end(t->tree, tensor, 0, tensor->bytes);
}

/* The tree is allocated by ck_allocate, after setup hooks. */
static inline void ck_init(struct cairn_trainer *t)
{
    static const cairn_model_ops k_ops = {
        .struct_size = sizeof k_ops, .name = "toy", .takes_weights = true};
    static const cairn_tensor_spec k_specs[] = {
        {.name = "layers.0.w",
         .dtype = CAIRN_DTYPE_F32,
         .role = CAIRN_ROLE_WEIGHT,
         .rank = 1,
         .shape = {4}},
        {.name = "layers.1.w",
         .dtype = CAIRN_DTYPE_F32,
         .role = CAIRN_ROLE_WEIGHT,
         .rank = 2,
         .shape = {2, 3}},
        {.name = "embed",
         .dtype = CAIRN_DTYPE_F32,
         .role = CAIRN_ROLE_EMBEDDING,
         .rank = 1,
         .shape = {5}},
    };
    *t = (struct cairn_trainer){.model = {.ops = &k_ops}};
    t->log = (cairn_log){.level = CAIRN_LOG_DEBUG, .write = ck_write_log, .user = t};
    assert_int_equal(cairn_state_tree_new(&t->tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_tree_add(t->tree, "model", &t->model_state, NULL), CAIRN_OK);
    for (size_t i = 0; i < sizeof k_specs / sizeof k_specs[0]; i++)
        assert_int_equal(cairn_state_add_tensor(t->model_state, &k_specs[i], NULL, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_add_alias(t->model_state, "head", "embed", NULL), CAIRN_OK);
}

/* Values 1, 2, 3 ... and gradients that are half of them, in the order of the state. */
static inline void ck_allocate(struct cairn_trainer *t)
{
    int next = 1;
    assert_int_equal(cairn_state_tree_allocate(t->tree, NULL), CAIRN_OK);
    assert_int_equal(cairn_state_allocate_gradients(t->model_state, NULL), CAIRN_OK);
    for (size_t i = 0; i < cairn_state_tensor_count(t->model_state); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(t->model_state, i);
        float values[8];
        for (int64_t j = 0; j < cairn_tensor_elements(tensor); j++) {
            values[j] = (float)next++;
            tensor->grad[j] = values[j] / 2.0F;
        }
        ck_write(t, tensor, values);
    }
}

static inline void ck_dispose(struct cairn_trainer *t)
{
    cairn_state_tree_destroy(t->tree);
}

static inline cairn_event ck_event(struct cairn_trainer *t)
{
    return (cairn_event){.struct_size = sizeof(cairn_event), .trainer = t};
}

/* Calls a hook that must succeed. */
#define ck_call(callback, hook, event)                                                             \
    do {                                                                                           \
        cairn_control ck_control = {0};                                                            \
        cairn_error ck_err = {0};                                                                  \
        tk_assert_ok((callback).ops->hook((callback).self, (event), &ck_control, &ck_err),         \
                     &ck_err);                                                                     \
    } while (0)

#define ck_destroy(callback) (callback).ops->destroy((callback).self)

/* The metric @name, which must be there once. */
static inline double ck_metric_value(const struct cairn_trainer *t, const char *name)
{
    const ck_metric *found = NULL;
    for (size_t i = 0; i < t->metric_count; i++) {
        if (strcmp(t->metrics[i].name, name) == 0) {
            assert_null(found);
            found = &t->metrics[i];
        }
    }
    if (found == NULL)
        fail_msg("there is no metric '%s'", name);
    return found != NULL ? found->value : 0.0;
}

static inline void ck_assert_near(double actual, double expected)
{
    if (!(fabs(actual - expected) <= 1e-12 * fabs(expected)))
        fail_msg("%.17g instead of %.17g", actual, expected);
}

static inline uint64_t ck_number(const cairn_state *state, const char *key)
{
    uint64_t value = 0;
    assert_non_null(state);
    assert_int_equal(cairn_state_get_u64(state, key, &value, NULL), CAIRN_OK);
    return value;
}

#endif
