/* The model: names, first values, dropout, repeatability, accumulation, generation, refusals. */
#include "numeric/bf16.h"

#include <string.h>

#include "base/mem.h"

enum { B = 2, T = 5, TOKENS = B * T };

static const int32_t k_ids[TOKENS] = {1, 7, 3, 3, 10, 0, 2, 7, 9, 1};
static const int32_t k_labels[TOKENS] = {7, 3, 3, 10, 4, 2, -100, 9, 1, 5};
static const float k_mask[TOKENS] = {1.0F, 1.0F, 0.5F, 0.0F, 1.0F, 2.0F, 1.0F, 1.0F, 1.0F, 0.0F};

/* --- parameters --- */

static void parameters__have_the_model_zoos_names_shapes_and_order(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        cairn_role role;
        int64_t rows;
        int64_t cols; /* 0: a vector. */
    } want[] = {
        {"embedding_layer.word_embeddings.weight", CAIRN_ROLE_EMBEDDING, 11, 8},
        {"embedding_layer.position_embeddings.embed.weight", CAIRN_ROLE_EMBEDDING, 6, 8},
#define L "transformer_decoder.layers.0."
        {L "self_attn.proj_q_dense_layer.weight", CAIRN_ROLE_WEIGHT, 8, 8},
        {L "self_attn.proj_q_dense_layer.bias", CAIRN_ROLE_BIAS, 8, 0},
        {L "self_attn.proj_k_dense_layer.weight", CAIRN_ROLE_WEIGHT, 8, 8},
        {L "self_attn.proj_k_dense_layer.bias", CAIRN_ROLE_BIAS, 8, 0},
        {L "self_attn.proj_v_dense_layer.weight", CAIRN_ROLE_WEIGHT, 8, 8},
        {L "self_attn.proj_v_dense_layer.bias", CAIRN_ROLE_BIAS, 8, 0},
        {L "self_attn.proj_output_dense_layer.weight", CAIRN_ROLE_WEIGHT, 8, 8},
        {L "self_attn.proj_output_dense_layer.bias", CAIRN_ROLE_BIAS, 8, 0},
        {L "norm1.weight", CAIRN_ROLE_NORM, 8, 0},
        {L "norm1.bias", CAIRN_ROLE_NORM, 8, 0},
        {L "norm3.weight", CAIRN_ROLE_NORM, 8, 0},
        {L "norm3.bias", CAIRN_ROLE_NORM, 8, 0},
        {L "ffn.ffn.0.linear_layer.weight", CAIRN_ROLE_WEIGHT, 12, 8},
        {L "ffn.ffn.0.linear_layer.bias", CAIRN_ROLE_BIAS, 12, 0},
        {L "ffn.ffn.1.linear_layer.weight", CAIRN_ROLE_WEIGHT, 8, 12},
        {L "ffn.ffn.1.linear_layer.bias", CAIRN_ROLE_BIAS, 8, 0},
#undef L
        {"ln_f.weight", CAIRN_ROLE_NORM, 8, 0},
        {"ln_f.bias", CAIRN_ROLE_NORM, 8, 0},
        {"lm_head.weight", CAIRN_ROLE_WEIGHT, 11, 8},
        {"lm_head.bias", CAIRN_ROLE_BIAS, 11, 0},
    };
    tiny t;
    cairn_gpt2_options options = tiny_options();
    options.num_hidden_layers = 1;
    options.share_embedding_weights = false;
    options.use_bias_in_output = true;
    tiny_new(&t, &options);
    assert_int_equal(cairn_state_tensor_count(t.state), sizeof want / sizeof want[0]);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(t.state, i);
        assert_string_equal(tensor->name, want[i].name);
        assert_int_equal(tensor->role, want[i].role);
        assert_int_equal(tensor->dtype, CAIRN_DTYPE_F32);
        assert_int_equal(tensor->rank, want[i].cols > 0 ? 2 : 1);
        assert_int_equal(tensor->shape[0], want[i].rows);
        if (want[i].cols > 0)
            assert_int_equal(tensor->shape[1], want[i].cols);
    }
    tiny_destroy(&t);
}

static void a_tied_output_layer__is_an_alias_of_the_embedding(void **state)
{
    (void)state;
    tiny t;
    const cairn_gpt2_options options = tiny_options();
    tiny_new(&t, &options);
    const cairn_tensor *const words =
        cairn_state_tensor_find(t.state, "embedding_layer.word_embeddings.weight");
    assert_non_null(words);
    assert_ptr_equal(cairn_state_tensor_find(t.state, "lm_head.weight"), words);
    assert_ptr_equal(cairn_state_tensor_find(t.state, "transformer_decoder.norm.weight"),
                     cairn_state_tensor_find(t.state, "ln_f.weight"));
    assert_null(cairn_state_tensor_find(t.state, "lm_head.bias"));
    tiny_destroy(&t);
}

static double std_of(const tiny *t, const char *name, double *out_most)
{
    const cairn_tensor *const tensor = cairn_state_tensor_find(t->state, name);
    double squares = 0.0;
    assert_non_null(tensor);
    const int64_t count = cairn_tensor_elements(tensor);
    const float *const data = tensor->data;
    *out_most = 0.0;
    for (int64_t i = 0; i < count; i++) {
        const double x = fabs((double)data[i]);
        squares += x * x;
        *out_most = x > *out_most ? x : *out_most;
    }
    return sqrt(squares / (double)count);
}

static void assert_std(const tiny *t, const char *name, double std, double limit)
{
    double most = 0.0;
    const double got = std_of(t, name, &most);
    if (!(fabs(got / std - 1.0) < 0.05) || !(most <= limit))
        fail_msg("%s: std %g (most %g) instead of %g (%g)", name, got, most, std, limit);
}

static void first_values__are_those_of_the_model_zoo(void **state)
{
    (void)state;
    static const char layer[] = "transformer_decoder.layers.1.";
    const double cut = 0.02 * 0.87962566103423978; /* Of a normal cut at two deviations. */
    tiny t;
    char name[128];
    double most = 0.0;
    cairn_gpt2_options options = tiny_options();
    options.hidden_size = 64;
    options.filter_size = 96;
    options.vocab_size = 101;
    options.max_position_embeddings = 50;
    options.share_embedding_weights = false;
    tiny_new(&t, &options);
    tiny_ok(&t, t.model.ops->initialize(t.model.self, t.tree, 1, &t.err));
    assert_std(&t, "embedding_layer.word_embeddings.weight", cut, 0.04000001);
    assert_std(&t, "embedding_layer.position_embeddings.embed.weight", cut, 0.04000001);
    (void)snprintf(name, sizeof name, "%sself_attn.proj_v_dense_layer.weight", layer);
    assert_std(&t, name, cut, 0.04000001);
    (void)snprintf(name, sizeof name, "%sffn.ffn.0.linear_layer.weight", layer);
    assert_std(&t, name, cut, 0.04000001);
    /* The last of each branch: over the root of twice the layers, here 2. */
    (void)snprintf(name, sizeof name, "%sself_attn.proj_output_dense_layer.weight", layer);
    assert_std(&t, name, cut / 2.0, 0.02000001);
    (void)snprintf(name, sizeof name, "%sffn.ffn.1.linear_layer.weight", layer);
    assert_std(&t, name, cut / 2.0, 0.02000001);
    assert_std(&t, "lm_head.weight", 0.02, 0.2); /* Not cut. */
    (void)std_of(&t, "lm_head.weight", &most);
    assert_true(most > 0.05);
    (void)snprintf(name, sizeof name, "%snorm3.weight", layer);
    assert_true(std_of(&t, name, &most) == 1.0);
    (void)snprintf(name, sizeof name, "%snorm3.bias", layer);
    assert_true(std_of(&t, name, &most) == 0.0);
    (void)snprintf(name, sizeof name, "%sffn.ffn.0.linear_layer.bias", layer);
    assert_true(std_of(&t, name, &most) == 0.0);
    tiny_destroy(&t);
}

static void a_decoder_initializer__holds_for_the_last_projections_too(void **state)
{
    (void)state;
    tiny t;
    double most = 0.0;
    cairn_gpt2_options options = tiny_options();
    options.initializer.kind = CAIRN_INIT_CONSTANT;
    options.initializer.value = 0.5;
    options.embedding_initializer.kind = CAIRN_INIT_ONES;
    tiny_new(&t, &options);
    tiny_ok(&t, t.model.ops->initialize(t.model.self, t.tree, 1, &t.err));
    assert_true(std_of(&t, "transformer_decoder.layers.0.ffn.ffn.1.linear_layer.weight", &most) ==
                0.5);
    assert_true(std_of(&t, "embedding_layer.position_embeddings.embed.weight", &most) == 1.0);
    tiny_destroy(&t);
    options.output_layer_initializer.kind = CAIRN_INIT_ZEROS;
    tiny_new(&t, &options);
    tiny_ok(&t, t.model.ops->initialize(t.model.self, t.tree, 1, &t.err));
    assert_true(std_of(&t, "transformer_decoder.layers.0.ffn.ffn.1.linear_layer.weight", &most) ==
                0.0);
    assert_true(std_of(&t, "transformer_decoder.layers.0.ffn.ffn.0.linear_layer.weight", &most) ==
                0.5);
    tiny_destroy(&t);
}

static void initialize_again__gives_the_same_bits(void **state)
{
    (void)state;
    tiny t;
    const cairn_gpt2_options options = tiny_options();
    tiny_new(&t, &options);
    const size_t bytes = (size_t)cairn_state_tree_bytes(t.tree);
    tiny_ok(&t, t.model.ops->initialize(t.model.self, t.tree, 7, &t.err));
    void *const first = malloc(bytes);
    assert_non_null(first);
    memcpy(first, cairn_state_tree_arena(t.tree), bytes);
    tiny_ok(&t, t.model.ops->initialize(t.model.self, t.tree, 8, &t.err));
    assert_memory_not_equal(first, cairn_state_tree_arena(t.tree), bytes);
    tiny_ok(&t, t.model.ops->initialize(t.model.self, t.tree, 7, &t.err));
    assert_memory_equal(first, cairn_state_tree_arena(t.tree), bytes);
    free(first);
    tiny_destroy(&t);
}

/* --- passes --- */

static cairn_gpt2_options with_dropout(void)
{
    cairn_gpt2_options options = tiny_options();
    options.dropout_rate = 0.3;
    return options;
}

/* Loss of one training pass; its gradients are copied to @gradients if that is not NULL. */
static double train_once(tiny *t, uint64_t seed, uint64_t step, float *gradients)
{
    size_t count = 0;
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
    cairn_pass pass = tiny_pass(true, step);
    pass.seed = seed;
    tiny_zero_gradients(t);
    const cairn_loss loss = tiny_compute(t, &batch, &pass);
    const float *const from = cairn_state_gradients(t->state, &count);
    if (gradients != NULL)
        memcpy(gradients, from, count * sizeof *gradients);
    return loss.loss;
}

static void a_pass__gives_the_same_bits_again_and_others_for_another_seed_or_step(void **state)
{
    (void)state;
    tiny t;
    size_t count = 0;
    const cairn_gpt2_options options = with_dropout();
    tiny_new(&t, &options);
    tiny_randomize(&t, 3);
    (void)cairn_state_gradients(t.state, &count);
    float *const first = calloc(count, sizeof *first);
    float *const again = calloc(count, sizeof *again);
    assert_true(first != NULL && again != NULL);
    const double loss = train_once(&t, 1, 5, first);
    assert_true(train_once(&t, 1, 6, NULL) != loss);
    assert_true(train_once(&t, 2, 5, NULL) != loss);
    assert_true(train_once(&t, 1, 5, again) == loss);
    assert_memory_equal(first, again, count * sizeof *first);
    free(first);
    free(again);
    tiny_destroy(&t);
}

static void evaluation__uses_no_dropout_and_leaves_training_alone(void **state)
{
    (void)state;
    tiny t;
    tiny plain;
    const cairn_gpt2_options options = with_dropout();
    const cairn_gpt2_options no_dropout = tiny_options();
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
    const cairn_pass pass = tiny_pass(false, 9);
    tiny_new(&t, &options);
    tiny_new(&plain, &no_dropout);
    tiny_randomize(&t, 3);
    tiny_randomize(&plain, 3);
    const double before = train_once(&t, 1, 5, NULL);
    size_t count = 0;
    const float *const gradients = cairn_state_gradients(t.state, &count);
    tiny_zero_gradients(&t);
    const cairn_loss loss = tiny_compute(&t, &batch, &pass);
    assert_true(loss.loss == tiny_compute(&plain, &batch, &pass).loss);
    assert_true(loss.loss == train_once(&plain, 1, 1, NULL));
    assert_true(loss.loss != before);
    for (size_t i = 0; i < count; i++)
        assert_true(gradients[i] == 0.0F);
    assert_true(train_once(&t, 1, 5, NULL) == before);
    tiny_destroy(&t);
    tiny_destroy(&plain);
}

/* The gradient with dropout is the slope of the loss with the same masks. */
static void gradients_with_dropout__are_the_slope_along_themselves(void **state)
{
    (void)state;
    tiny t;
    size_t count = 0;
    const cairn_gpt2_options options = with_dropout();
    tiny_new(&t, &options);
    tiny_randomize(&t, 3);
    (void)train_once(&t, 1, 5, NULL);
    (void)cairn_state_gradients(t.state, &count);
    double squares = 0.0;
    float *const gradients = calloc(count, sizeof *gradients);
    assert_non_null(gradients);
    (void)train_once(&t, 1, 5, gradients);
    for (size_t i = 0; i < count; i++)
        squares += (double)gradients[i] * (double)gradients[i];
    const double step = 1e-2 / sqrt(squares);
    double losses[2];
    for (int side = 0; side < 2; side++) {
        for (size_t n = 0; n < cairn_state_tensor_count(t.state); n++) {
            const cairn_tensor *const tensor = cairn_state_tensor_at(t.state, n);
            const float *const all = cairn_state_gradients(t.state, &count);
            const float *const own = gradients + (tensor->grad - all);
            float *const data = tiny_begin(&t, tensor);
            for (int64_t i = 0; i < cairn_tensor_elements(tensor); i++)
                data[i] += (float)((side == 0 ? step : -2.0 * step) * (double)own[i]);
            tiny_end(&t, tensor);
        }
        losses[side] = train_once(&t, 1, 5, NULL);
    }
    const double slope = (losses[0] - losses[1]) / (2.0 * step);
    if (!(fabs(slope / squares - 1.0) < 1e-3))
        fail_msg("slope %g, squared gradient %g", slope, squares);
    free(gradients);
    tiny_destroy(&t);
}

/* Loss and gradients of two samples of @time tokens are those of each alone, with half the weight.
 */
static void compare_with_halves(const cairn_gpt2_options *options, int64_t time, const int32_t *ids,
                                const cairn_pass *given)
{
    tiny t;
    size_t count = 0;
    cairn_pass pass = *given;
    const cairn_batch whole = tiny_batch(2, time, ids, ids, NULL);
    const cairn_batch halves[2] = {tiny_batch(1, time, ids, ids, NULL),
                                   tiny_batch(1, time, ids + time, ids + time, NULL)};
    tiny_new(&t, options);
    tiny_randomize(&t, 3);
    tiny_zero_gradients(&t);
    const double loss = tiny_compute(&t, &whole, &pass).loss;
    const float *const gradients = cairn_state_gradients(t.state, &count);
    double *const expected = calloc(count, sizeof *expected);
    assert_non_null(expected);
    for (size_t i = 0; i < count; i++)
        expected[i] = (double)gradients[i];
    tiny_zero_gradients(&t);
    pass.loss_scale = 0.5F;
    const double first = tiny_compute(&t, &halves[0], &pass).loss;
    const double second = tiny_compute(&t, &halves[1], &pass).loss;
    assert_true(fabs((first + second) / 2.0 - loss) < 1e-6 * loss);
    num_assert_close_at("gradients", (int64_t)count, gradients, expected, 1e-5, __FILE__, __LINE__);
    free(expected);
    tiny_destroy(&t);
}

static void two_half_passes__add_up_to_one_whole(void **state)
{
    (void)state;
    const cairn_gpt2_options options = tiny_options();
    const cairn_pass pass = tiny_pass(true, 0);
    compare_with_halves(&options, T, k_ids, &pass);
}

typedef struct logits_seen {
    int64_t of_whole; /* observed with as many values as two samples have */
    int64_t of_half;
    size_t half; /* values */
} logits_seen;

static cairn_status note_logits(void *user, const char *name, const float *values, size_t count,
                                cairn_error *err)
{
    logits_seen *const seen = user;
    (void)values;
    (void)err;
    if (strcmp(name, "lm_head") == 0) {
        seen->of_whole += count == 2 * seen->half;
        seen->of_half += count == seen->half;
    }
    return CAIRN_OK;
}

/* 512 rows of 70,000 logits are 137 MiB, 256 are not more than are kept at once. */
static void more_logits_than_are_kept__give_what_two_smaller_batches_give(void **state)
{
    (void)state;
    enum { MANY = 70000, LONG = 256 };
    static int32_t ids[2 * LONG];
    logits_seen seen = {.half = (size_t)LONG * MANY};
    cairn_gpt2_options options = tiny_options();
    cairn_pass pass = tiny_pass(true, 0);
    options.vocab_size = MANY;
    options.max_position_embeddings = LONG;
    for (int i = 0; i < 2 * LONG; i++)
        ids[i] = i * 7919 % MANY;
    pass.observe = note_logits;
    pass.observer = &seen;
    compare_with_halves(&options, LONG, ids, &pass);
    assert_int_equal(seen.of_whole, 0);
    assert_int_equal(seen.of_half, 2);
}

static void check_allocations(bool is_bf16)
{
    tiny t;
    float logits[11];
    const cairn_gpt2_options options = with_dropout();
    const cairn_batch small = tiny_batch(1, T, k_ids, k_labels, k_mask);
    const cairn_batch large = tiny_batch(B, T, k_ids, k_labels, k_mask);
    const cairn_pass train = tiny_pass(true, 0);
    const cairn_pass evaluate = tiny_pass(false, 0);
    tiny_new(&t, &options);
    if (is_bf16)
        tiny_use_bf16(&t);
    tiny_randomize(&t, 3);
    for (int round = 0; round < 2; round++) {
        const uint64_t before = crn_mem_count();
        (void)tiny_compute(&t, &large, &train);
        (void)tiny_compute(&t, &small, &train);
        (void)tiny_compute(&t, &large, &evaluate);
        (void)tiny_compute(&t, &small, &evaluate);
        for (int64_t n = 1; n <= TOKENS; n++)
            tiny_ok(&t, t.model.ops->next_logits(t.model.self, k_ids, n, logits, &t.err));
        if (round == 1)
            assert_int_equal(crn_mem_count(), before);
    }
    tiny_destroy(&t);
}

static void a_step__allocates_nothing_once_its_shape_is_known(void **state)
{
    (void)state;
    check_allocations(false);
    check_allocations(true);
}

/* What was planned to say how much it takes serves the first step. */
static void a_step_whose_memory_was_planned__allocates_that_and_no_more(void **state)
{
    (void)state;
    tiny t;
    uint64_t bytes = 0;
    const cairn_gpt2_options options = with_dropout();
    const cairn_batch shape = tiny_batch(B, T, NULL, NULL, NULL);
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
    const cairn_pass train = tiny_pass(true, 0);
    tiny_new(&t, &options);
    tiny_randomize(&t, 3);
    tiny_ok(&t, t.model.ops->memory(t.model.self, &shape, true, &bytes, &t.err));
    assert_true(bytes > (uint64_t)B * T * 8 * sizeof(float));
    const uint64_t before = crn_mem_count();
    (void)tiny_compute(&t, &batch, &train);
    assert_int_equal(crn_mem_count(), before + 1);
    const cairn_batch long_one = tiny_batch(1, 7, NULL, NULL, NULL);
    assert_int_equal(t.model.ops->memory(t.model.self, &long_one, true, &bytes, &t.err),
                     CAIRN_EDATA);
    tiny_destroy(&t);
}

static void a_batch_without_counting_tokens__has_loss_and_gradients_0(void **state)
{
    (void)state;
    tiny t;
    size_t count = 0;
    const float none[TOKENS] = {0};
    const cairn_gpt2_options options = tiny_options();
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, none);
    const cairn_pass pass = tiny_pass(true, 0);
    tiny_new(&t, &options);
    tiny_randomize(&t, 3);
    const cairn_loss loss = tiny_compute(&t, &batch, &pass);
    assert_true(loss.loss == 0.0 && loss.weight == 0.0);
    const float *const gradients = cairn_state_gradients(t.state, &count);
    for (size_t i = 0; i < count; i++)
        assert_true(gradients[i] == 0.0F);
    tiny_destroy(&t);
}

/* --- bfloat16 --- */

static void bf16__is_near_float32_and_not_the_same(void **state)
{
    (void)state;
    tiny single;
    tiny half;
    const cairn_gpt2_options options = with_dropout();
    tiny_new(&single, &options);
    tiny_new(&half, &options);
    tiny_use_bf16(&half);
    tiny_randomize(&single, 3);
    tiny_randomize(&half, 3);
    const double loss = train_once(&single, 1, 5, NULL);
    const double other = train_once(&half, 1, 5, NULL);
    assert_true(loss != other);
    assert_true(fabs(other - loss) <= k_bf16_limit * loss);
    for (size_t n = 0; n < cairn_state_tensor_count(single.state); n++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(single.state, n);
        const float *const grad = cairn_state_tensor_at(half.state, n)->grad;
        double off = 0.0;
        double norm = 0.0;
        if (strstr(tensor->name, "proj_k_dense_layer.bias") != NULL)
            continue; /* Its true gradient is 0. */
        for (int64_t i = 0; i < cairn_tensor_elements(tensor); i++) {
            off += pow((double)(grad[i] - tensor->grad[i]), 2.0);
            norm += pow((double)tensor->grad[i], 2.0);
        }
        if (!(sqrt(off) <= 3.0 * k_bf16_limit * sqrt(norm)))
            fail_msg("%s: %g of %g", tensor->name, sqrt(off), sqrt(norm));
    }
    tiny_destroy(&single);
    tiny_destroy(&half);
}

/* The copies that products read are those of the weights at hand, whoever wrote them. */
static void bf16__follows_every_change_of_the_weights(void **state)
{
    (void)state;
    tiny t;
    cairn_state *average = NULL;
    const cairn_gpt2_options options = tiny_options();
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
    cairn_pass pass = tiny_pass(false, 0);
    tiny_declare(&t, &options);
    tiny_ok(&t, cairn_state_tree_add(t.tree, "average", &average, &t.err));
    for (size_t n = 0; n < cairn_state_tensor_count(t.state); n++) {
        const cairn_tensor *const like = cairn_state_tensor_at(t.state, n);
        cairn_tensor_spec spec = {
            .name = like->name, .dtype = like->dtype, .role = like->role, .rank = like->rank};
        memcpy(spec.shape, like->shape, sizeof spec.shape);
        tiny_ok(&t, cairn_state_add_tensor(average, &spec, NULL, &t.err));
    }
    tiny_allocate(&t);
    tiny_use_bf16(&t);
    tiny_randomize(&t, 3);
    const double third = tiny_compute(&t, &batch, &pass).loss;
    tiny_randomize(&t, 4);
    const double fourth = tiny_compute(&t, &batch, &pass).loss;
    assert_true(fourth != third);
    tiny own = t;
    own.state = average;
    tiny_randomize(&own, 5); /* As often written as the model's, whose copies it replaces. */
    tiny_randomize(&own, 3);
    pass.weights = average;
    assert_true(tiny_compute(&t, &batch, &pass).loss == third);
    pass.weights = NULL;
    assert_true(tiny_compute(&t, &batch, &pass).loss == fourth);
    tiny_randomize(&t, 3);
    assert_true(tiny_compute(&t, &batch, &pass).loss == third);
    tiny_destroy(&t);
}

/* --- generation --- */

static void next_logits__depend_on_the_last_tokens_only(void **state)
{
    (void)state;
    tiny t;
    float logits[11];
    float again[11];
    const cairn_gpt2_options options = with_dropout();
    tiny_new(&t, &options);
    tiny_randomize(&t, 3);
    assert_int_equal(t.model.ops->vocab_size(t.model.self), 11);
    assert_int_equal(t.model.ops->max_sequence_length(t.model.self), 6);
    /* Six of the ten count. */
    tiny_ok(&t, t.model.ops->next_logits(t.model.self, k_ids, TOKENS, logits, &t.err));
    tiny_ok(&t, t.model.ops->next_logits(t.model.self, k_ids + TOKENS - 6, 6, again, &t.err));
    for (int i = 0; i < 11; i++)
        assert_true(fabsf(logits[i] - again[i]) <= 1e-5F * (1.0F + fabsf(again[i])));
    tiny_ok(&t, t.model.ops->next_logits(t.model.self, k_ids + TOKENS - 5, 5, again, &t.err));
    assert_memory_not_equal(logits, again, sizeof logits);
    /* Cross entropy of the token that follows, from the same logits. */
    double sum = 0.0;
    const cairn_pass pass = tiny_pass(false, 0);
    float mask[5] = {0, 0, 0, 0, 1};
    const cairn_batch batch = tiny_batch(1, 5, k_ids + TOKENS - 5, k_labels + TOKENS - 5, mask);
    for (int i = 0; i < 11; i++)
        sum += exp((double)again[i]);
    const double expected = log(sum) - (double)again[k_labels[TOKENS - 1]];
    assert_true(fabs(tiny_compute(&t, &batch, &pass).loss - expected) < 1e-5);
    tiny_destroy(&t);
}

/* --- refusals --- */

static void assert_refused(tiny *t, const cairn_batch *batch, cairn_status status, const char *part)
{
    char text[1024];
    cairn_loss loss = {0};
    const cairn_pass pass = tiny_pass(false, 0);
    assert_int_equal(t->model.ops->compute(t->model.self, batch, &pass, &loss, &t->err), status);
    cairn_error_format(&t->err, text, sizeof text);
    if (strstr(text, part) == NULL)
        fail_msg("'%s' does not say '%s'", text, part);
}

static void bad_batches__are_data_errors_that_name_the_place(void **state)
{
    (void)state;
    tiny t;
    int32_t ids[TOKENS];
    const int32_t many[7] = {0};
    const cairn_gpt2_options options = tiny_options();
    tiny_new(&t, &options);
    memcpy(ids, k_ids, sizeof ids);
    ids[7] = 11;
    cairn_batch batch = tiny_batch(B, T, ids, k_labels, NULL);
    assert_refused(&t, &batch, CAIRN_EDATA, "token id 11 at input_ids[1][2]");
    assert_refused(&t, &batch, CAIRN_EDATA, "vocab_size to at least 12");
    ids[7] = -1;
    assert_refused(&t, &batch, CAIRN_EDATA, "token id -1 at input_ids[1][2]");
    batch = tiny_batch(B, T, k_ids, k_ids, NULL);
    ids[7] = 300;
    batch.field[1].data = ids;
    assert_refused(&t, &batch, CAIRN_EDATA, "token id 300 at labels[1][2]");
    batch = tiny_batch(B, T, k_ids, k_labels, NULL);
    batch.field_count = 1;
    assert_refused(&t, &batch, CAIRN_EDATA, "no 'labels'");
    batch = tiny_batch(B, T, k_ids, k_labels, k_mask);
    batch.field[2].dtype = CAIRN_DTYPE_I32;
    assert_refused(&t, &batch, CAIRN_EDATA, "'attention_mask' of the batch is I32");
    batch.field[2].dtype = CAIRN_DTYPE_F32;
    batch.field[2].shape[1] = 4;
    assert_refused(&t, &batch, CAIRN_EDATA, "'attention_mask' of the batch is [2][4]");
    batch = tiny_batch(1, 7, many, many, NULL);
    assert_refused(&t, &batch, CAIRN_EDATA, "max_position_embeddings is 6");
    batch = tiny_batch(0, T, k_ids, k_labels, NULL);
    assert_refused(&t, &batch, CAIRN_EDATA, "empty");
    tiny_destroy(&t);
}

static void a_masked_label__may_be_anything(void **state)
{
    (void)state;
    tiny t;
    int32_t labels[TOKENS];
    const cairn_gpt2_options options = tiny_options();
    const cairn_pass pass = tiny_pass(true, 0);
    memcpy(labels, k_labels, sizeof labels);
    labels[3] = 4711;
    const cairn_batch batch = tiny_batch(B, T, k_ids, labels, k_mask);
    const cairn_batch usual = tiny_batch(B, T, k_ids, k_labels, k_mask);
    tiny_new(&t, &options);
    tiny_randomize(&t, 3);
    assert_true(tiny_compute(&t, &batch, &pass).loss == tiny_compute(&t, &usual, &pass).loss);
    tiny_destroy(&t);
}

/* Rows beyond those that go through the layers at once, a text that grows, shrinks, changes in the
 * middle and outgrows the context: always what a model that never saw another text says. */
static void next_logits__do_not_depend_on_the_texts_before(void **state)
{
    (void)state;
    enum { LIMIT = 150, LENGTH = 400 };
    static const int64_t lengths[] = {1, 2, 70, 71, 69, 150, 151, 152, 190, 400, 3, 140};
    tiny kept;
    int32_t ids[LENGTH];
    float logits[11];
    float fresh[11];
    cairn_gpt2_options options = tiny_options();
    options.max_position_embeddings = LIMIT;
    options.position_embedding_type = "rotary";
    options.attention_sliding_window_length = cairn_int(20);
    options.attention_sink_tokens = cairn_int(3);
    tiny_new(&kept, &options);
    tiny_randomize(&kept, 3);
    for (int i = 0; i < LENGTH; i++)
        ids[i] = (7 * i + i * i / 5) % 11;
    for (size_t n = 0; n < sizeof lengths / sizeof lengths[0]; n++) {
        tiny t;
        ids[lengths[n] / 2] = (ids[lengths[n] / 2] + 1) % 11;
        tiny_ok(&kept,
                kept.model.ops->next_logits(kept.model.self, ids, lengths[n], logits, &kept.err));
        tiny_new(&t, &options);
        tiny_randomize(&t, 3);
        tiny_ok(&t, t.model.ops->next_logits(t.model.self, ids, lengths[n], fresh, &t.err));
        for (int i = 0; i < 11; i++)
            assert_true(fabsf(logits[i] - fresh[i]) <= 1e-5F * (1.0F + fabsf(fresh[i])));
        tiny_destroy(&t);
    }
    tiny_destroy(&kept);
}

static void next_logits__follow_parameters_once_told_that_they_changed(void **state)
{
    (void)state;
    tiny t;
    float before[11];
    float after[11];
    float fresh[11];
    const cairn_gpt2_options options = tiny_options();
    tiny_new(&t, &options);
    tiny_randomize(&t, 3);
    tiny_ok(&t, t.model.ops->next_logits(t.model.self, k_ids, 5, before, &t.err));
    tiny_randomize(&t, 4);
    t.model.ops->parameters_changed(t.model.self);
    tiny_ok(&t, t.model.ops->next_logits(t.model.self, k_ids, 5, after, &t.err));
    assert_memory_not_equal(before, after, sizeof before);
    tiny_destroy(&t);
    tiny_new(&t, &options);
    tiny_randomize(&t, 4);
    tiny_ok(&t, t.model.ops->next_logits(t.model.self, k_ids, 5, fresh, &t.err));
    assert_memory_equal(fresh, after, sizeof fresh);
    tiny_destroy(&t);
}

static void generation__refuses_no_tokens_and_unknown_ones(void **state)
{
    (void)state;
    tiny t;
    float logits[11];
    const int32_t unknown[1] = {11};
    const cairn_gpt2_options options = tiny_options();
    tiny_new(&t, &options);
    assert_int_equal(t.model.ops->next_logits(t.model.self, k_ids, 0, logits, &t.err),
                     CAIRN_EINVAL);
    assert_int_equal(t.model.ops->next_logits(t.model.self, unknown, 1, logits, &t.err),
                     CAIRN_EDATA);
    tiny_destroy(&t);
}

static void training_without_gradients__is_refused(void **state)
{
    (void)state;
    tiny t;
    cairn_loss loss = {0};
    const cairn_gpt2_options options = tiny_options();
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, NULL);
    const cairn_pass pass = tiny_pass(true, 0);
    tiny_declare(&t, &options);
    tiny_ok(&t, cairn_state_tree_allocate(t.tree, &t.err));
    assert_int_equal(t.model.ops->compute(t.model.self, &batch, &pass, &loss, &t.err),
                     CAIRN_EINVAL);
    tiny_destroy(&t);
}

static void options_that_contradict__are_configuration_errors(void **state)
{
    (void)state;
    cairn_model model = {0};
    cairn_error err = {0};
    cairn_gpt2_options options = tiny_options();
    options.num_heads = 3;
    assert_int_equal(cairn_gpt2_new(&options, &model, &err), CAIRN_ECONFIG);
    options = tiny_options();
    options.loss_weight = 0.5;
    assert_int_equal(cairn_gpt2_new(&options, &model, &err), CAIRN_ECONFIG);
    assert_null(model.self);
}

static void check_failed_allocations(bool is_bf16)
{
    const cairn_gpt2_options options = with_dropout();
    const cairn_batch batch = tiny_batch(B, T, k_ids, k_labels, NULL);
    const cairn_pass pass = tiny_pass(true, 0);
    bool is_done = false;
    for (uint64_t n = 1; !is_done; n++) {
        tiny t = {0};
        cairn_loss loss = {0};
        const char *note = NULL;
        crn_mem_fail_at(n, 0);
        cairn_status rc = cairn_gpt2_new(&options, &t.model, &t.err);
        crn_mem_fail_at(0, 0);
        if (rc != CAIRN_OK) {
            assert_int_equal(rc, CAIRN_ENOMEM);
            continue;
        }
        t.model.ops->destroy(t.model.self);
        tiny_new(&t, &options);
        const uint64_t before = crn_mem_count();
        crn_mem_fail_at(n, 0);
        if (is_bf16)
            rc = t.model.ops->use_bf16(t.model.self, &note, &t.err);
        if (rc == CAIRN_OK)
            rc = t.model.ops->compute(t.model.self, &batch, &pass, &loss, &t.err);
        crn_mem_fail_at(0, 0);
        is_done = crn_mem_count() - before < n;
        assert_int_equal(rc, is_done ? CAIRN_OK : CAIRN_ENOMEM);
        (void)tiny_compute(&t, &batch, &pass); /* Works again afterwards. */
        tiny_destroy(&t);
    }
}

static void every_failed_allocation__is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    check_failed_allocations(false);
    check_failed_allocations(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parameters__have_the_model_zoos_names_shapes_and_order),
        cmocka_unit_test(a_tied_output_layer__is_an_alias_of_the_embedding),
        cmocka_unit_test(first_values__are_those_of_the_model_zoo),
        cmocka_unit_test(a_decoder_initializer__holds_for_the_last_projections_too),
        cmocka_unit_test(initialize_again__gives_the_same_bits),
        cmocka_unit_test(a_pass__gives_the_same_bits_again_and_others_for_another_seed_or_step),
        cmocka_unit_test(evaluation__uses_no_dropout_and_leaves_training_alone),
        cmocka_unit_test(gradients_with_dropout__are_the_slope_along_themselves),
        cmocka_unit_test(two_half_passes__add_up_to_one_whole),
        cmocka_unit_test(more_logits_than_are_kept__give_what_two_smaller_batches_give),
        cmocka_unit_test(a_step__allocates_nothing_once_its_shape_is_known),
        cmocka_unit_test(a_step_whose_memory_was_planned__allocates_that_and_no_more),
        cmocka_unit_test(a_batch_without_counting_tokens__has_loss_and_gradients_0),
        cmocka_unit_test(bf16__is_near_float32_and_not_the_same),
        cmocka_unit_test(bf16__follows_every_change_of_the_weights),
        cmocka_unit_test(next_logits__depend_on_the_last_tokens_only),
        cmocka_unit_test(next_logits__do_not_depend_on_the_texts_before),
        cmocka_unit_test(next_logits__follow_parameters_once_told_that_they_changed),
        cmocka_unit_test(bad_batches__are_data_errors_that_name_the_place),
        cmocka_unit_test(a_masked_label__may_be_anything),
        cmocka_unit_test(generation__refuses_no_tokens_and_unknown_ones),
        cmocka_unit_test(training_without_gradients__is_refused),
        cmocka_unit_test(options_that_contradict__are_configuration_errors),
        cmocka_unit_test(every_failed_allocation__is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
