/* What a trainer needs to run in a test: one parameter that learns the mean of some numbers. */
#ifndef TEST_TRAIN_MEAN_H
#define TEST_TRAIN_MEAN_H

#include "cairn/trainer.h"
#include "kit/kit.h"

enum { SAMPLES = 8, BATCH = 4, BATCHES = SAMPLES / BATCH };

/* A fresh folder for a fixture; end_run_folder removes it. */
static inline char *make_run_folder(void)
{
    void *dir = NULL;
    assert_int_equal(tk_temp_setup(&dir), 0);
    return dir;
}

/* Always 0, for a teardown to return. */
static inline int end_run_folder(char *dir)
{
    void *state = dir;
    return tk_temp_teardown(&state);
}

static inline cairn_trainer_options run_options(const char *model_dir)
{
    cairn_trainer_options options = cairn_trainer_options_default();
    options.model_dir = model_dir;
    options.seed = cairn_int(1);
    return options;
}

/* ---- A model: loss (w - x)^2 / 2, whose gradient is w - x ---- */

static const cairn_tensor *s_weight;
static unsigned s_initialize_calls;
static bool s_has_second; /* another parameter, which takes no part */
static const cairn_tensor *s_second;

static inline cairn_status model_declare(void *self, cairn_state *state, cairn_error *err)
{
    const cairn_tensor_spec spec = {
        .name = "w", .dtype = CAIRN_DTYPE_F32, .role = CAIRN_ROLE_WEIGHT, .rank = 1, .shape = {1}};
    cairn_tensor_spec second = spec;
    second.name = "second";
    (void)self;
    const cairn_status rc = cairn_state_add_tensor(state, &spec, &s_weight, err);
    return rc == CAIRN_OK && s_has_second ? cairn_state_add_tensor(state, &second, &s_second, err)
                                          : rc;
}

static inline cairn_status model_initialize(void *self, cairn_state_tree *tree, uint64_t seed,
                                            cairn_error *err)
{
    (void)self;
    (void)err;
    s_initialize_calls++;
    *(float *)cairn_tensor_write_begin(tree, s_weight, 0, s_weight->bytes) = (float)seed;
    cairn_tensor_write_end(tree, s_weight, 0, s_weight->bytes);
    if (s_has_second) {
        *(float *)cairn_tensor_write_begin(tree, s_second, 0, s_second->bytes) = (float)seed;
        cairn_tensor_write_end(tree, s_second, 0, s_second->bytes);
    }
    return CAIRN_OK;
}

static inline cairn_status model_compute(void *self, const cairn_batch *batch,
                                         const cairn_pass *pass, cairn_loss *out, cairn_error *err)
{
    const float *const x = cairn_batch_find(batch, "x")->data;
    const float w = *(const float *)s_weight->data;
    double sum = 0.0;
    (void)self;
    (void)err;
    for (int64_t i = 0; i < batch->samples; i++) {
        sum += 0.5 * (double)(w - x[i]) * (double)(w - x[i]);
        if (pass->is_training)
            s_weight->grad[0] += pass->loss_scale * (w - x[i]) / (float)batch->samples;
    }
    out->loss = sum / (double)batch->samples;
    out->weight = (double)batch->samples;
    return CAIRN_OK;
}

static inline void destroy_nothing(void *self)
{
    (void)self;
}

static const cairn_model_ops k_model = {.struct_size = sizeof(cairn_model_ops),
                                        .name = "mean",
                                        .declare = model_declare,
                                        .initialize = model_initialize,
                                        .compute = model_compute,
                                        .destroy = destroy_nothing};

/* ---- Data: sample i is the number i ---- */

static float s_numbers[BATCH];

static inline uint64_t data_count(const void *self)
{
    (void)self;
    return SAMPLES;
}

static inline cairn_status data_read(void *self, const uint64_t *indices, size_t count,
                                     cairn_batch *out, cairn_error *err)
{
    (void)self;
    (void)err;
    for (size_t i = 0; i < count; i++)
        s_numbers[i] = (float)indices[i];
    *out = (cairn_batch){.struct_size = sizeof *out, .samples = (int64_t)count, .field_count = 1};
    out->field[0] = (cairn_batch_field){.name = "x",
                                        .dtype = CAIRN_DTYPE_F32,
                                        .rank = 1,
                                        .shape = {(int64_t)count},
                                        .data = s_numbers};
    return CAIRN_OK;
}

static const cairn_data_ops k_data = {.struct_size = sizeof(cairn_data_ops),
                                      .name = "numbers",
                                      .sample_count = data_count,
                                      .read = data_read,
                                      .destroy = destroy_nothing};

static inline cairn_loader *make_loader(void)
{
    const cairn_loader_options options = {
        .struct_size = sizeof options, .batch_size = BATCH, .drop_last = true};
    cairn_loader *loader = NULL;
    cairn_error err = {0};
    tk_assert_ok(cairn_loader_new((cairn_data){.ops = &k_data}, &options, &loader, &err), &err);
    return loader;
}

/* ---- A trainer with AdamW; @lr 0: its own. Yours. ---- */

static inline cairn_trainer *make_mean_trainer(const cairn_trainer_options *options,
                                               const cairn_model_ops *model, double lr,
                                               cairn_error *err)
{
    cairn_trainer *trainer = NULL;
    cairn_optimizer optimizer = {0};
    cairn_adamw_options adamw = cairn_adamw_options_default();
    adamw.lr = lr > 0.0 ? lr : adamw.lr;
    tk_assert_ok(cairn_adamw_new(&adamw, &optimizer, err), err);
    tk_assert_ok(
        cairn_trainer_new(options, (cairn_model){.ops = model}, optimizer, NULL, 0, &trainer, err),
        err);
    return trainer;
}

#endif
