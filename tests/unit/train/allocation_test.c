/* Once every shape of batch has been seen, a step of training allocates nothing. */
#include "base/mem.h"
#include "kit/kit.h"
#include "numeric/tiny_gpt2.h"
#include "train/trainer_priv.h"

enum { SAMPLES = 10, BATCH = 4, T = 6, STEPS = 9, KNOWN_AFTER = 2 };

/* ---- Data: 4, 4 and 2 samples an epoch ---- */

static int32_t s_ids[BATCH * T];

static uint64_t count(const void *self)
{
    (void)self;
    return SAMPLES;
}

static cairn_status read(void *self, const uint64_t *indices, size_t samples, cairn_batch *out,
                         cairn_error *err)
{
    (void)self;
    (void)err;
    for (size_t i = 0; i < samples * T; i++)
        s_ids[i] = (int32_t)((indices[i / T] * 5 + i * i) % 11);
    *out = tiny_batch((int64_t)samples, T, s_ids, s_ids, NULL);
    return CAIRN_OK;
}

static int64_t sequence_length(const void *self)
{
    (void)self;
    return T;
}

static void destroy_nothing(void *self)
{
    (void)self;
}

static const cairn_data_ops k_data = {.struct_size = sizeof(cairn_data_ops),
                                      .name = "tokens",
                                      .sample_count = count,
                                      .read = read,
                                      .sequence_length = sequence_length,
                                      .destroy = destroy_nothing};

/* ---- A callback that notes the count after each step ---- */

static uint64_t s_counts[STEPS + 1];

static cairn_status note_count(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    (void)self;
    (void)control;
    (void)err;
    assert_true(event->step <= STEPS);
    s_counts[event->step] = crn_mem_count();
    return CAIRN_OK;
}

static const cairn_callback_ops k_noting = {
    .struct_size = sizeof(cairn_callback_ops), .name = "Noting", .on_train_batch_end = note_count};

/* ---- */

static cairn_trainer *make_trainer(const cairn_gpt2_options *model_options, bool is_bf16,
                                   const char *model_dir)
{
    cairn_error err = {0};
    cairn_trainer *trainer = NULL;
    cairn_model model = {0};
    cairn_optimizer optimizer = {0};
    cairn_scheduler *schedule = NULL;
    const cairn_adamw_options adamw = cairn_adamw_options_default();
    cairn_cosine_decay_lr_options cosine = cairn_cosine_decay_lr_options_default();
    cairn_trainer_options options = cairn_trainer_options_default();
    cosine.total_iters = STEPS;
    cosine.initial_learning_rate = 0.01;
    options.model_dir = model_dir;
    options.seed = cairn_int(1);
    options.loop.max_steps = cairn_int(STEPS);
    options.loop.grad_accum_steps = 2;
    options.checkpoint.steps = (cairn_opt_int){0};
    options.precision.enabled = is_bf16;
    options.precision.max_gradient_norm = (cairn_opt_float){.is_set = true, .value = 0.5};
    tk_assert_ok(cairn_gpt2_new(model_options, &model, &err), &err);
    tk_assert_ok(cairn_adamw_new(&adamw, &optimizer, &err), &err);
    tk_assert_ok(cairn_cosine_decay_lr_new(&cosine, &schedule, &err), &err);
    tk_assert_ok(cairn_trainer_new(&options, model, optimizer, &schedule, 1, &trainer, &err), &err);
    tk_assert_ok(cairn_trainer_add_callback(trainer, (cairn_callback){.ops = &k_noting}, &err),
                 &err);
    return trainer;
}

static void train(void **state, const cairn_gpt2_options *options, bool is_bf16)
{
    cairn_error err = {0};
    char model_dir[TK_PATH_SIZE];
    cairn_fit_result result = {0};
    cairn_loader *loader = NULL;
    const cairn_loader_options loading = {
        .struct_size = sizeof loading, .batch_size = BATCH, .shuffle = true};
    cairn_trainer *const trainer =
        make_trainer(options, is_bf16, tk_join(model_dir, *state, "run"));
    tk_assert_ok(cairn_loader_new((cairn_data){.ops = &k_data}, &loading, &loader, &err), &err);
    tk_assert_ok(cairn_trainer_fit(trainer, loader, NULL, 0, (cairn_ckpt){0}, &result, &err), &err);
    assert_int_equal(result.step, STEPS);
    for (int step = KNOWN_AFTER + 1; step <= STEPS; step++)
        assert_int_equal(s_counts[step], s_counts[KNOWN_AFTER]);
    cairn_fit_result_dispose(&result);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(loader);
}

static void a_step_of_a_gpt2__allocates_nothing(void **state)
{
    cairn_gpt2_options options = tiny_options();
    options.dropout_rate = 0.1;
    train(state, &options, false);
}

static void a_step_of_a_gpt2_in_bfloat16__allocates_nothing(void **state)
{
    const cairn_gpt2_options options = tiny_options();
    train(state, &options, true);
}

static void a_step_of_a_gpt2_with_gradient_checkpointing__allocates_nothing(void **state)
{
    cairn_gpt2_options options = tiny_options();
    options.gradient_checkpointing = true;
    train(state, &options, false);
}

static void a_step_of_a_llama__allocates_nothing(void **state)
{
    cairn_gpt2_options options = tiny_options();
    options.norm_type = "rmsnorm";
    options.nonlinearity = "swiglu";
    options.position_embedding_type = "rotary";
    options.attention_module = "multiquery_attention";
    options.extra_attention_params.num_kv_groups = 1;
    options.share_embedding_weights = false;
    train(state, &options, false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tk_temp_setup, tk_temp_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_step_of_a_gpt2__allocates_nothing),
        TEST(a_step_of_a_gpt2_in_bfloat16__allocates_nothing),
        TEST(a_step_of_a_gpt2_with_gradient_checkpointing__allocates_nothing),
        TEST(a_step_of_a_llama__allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
