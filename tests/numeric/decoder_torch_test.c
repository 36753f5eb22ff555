/* Small models of the GPT-2 family trained by Cairn lose what they lose in PyTorch: figures of
 * make_decoder_torch.py. */
#include "numeric/bf16.h"
#include "numeric/torch_model.h"

#include <string.h>

#include "cairn/optim.h"

enum {
    BF16_STEPS =
        15, /* Later PyTorch's own autocast leaves the hundredth, here of so large a rate. */
    GRADIENTS_MAX = 64,
    GROUPS_MAX = 8
};

static const double k_limit = 1e-5;

/* The figures of one model, as read. */
typedef struct figures {
    double logits[V];
    double loss[STEPS];
    double loss64[STEPS];
    struct {
        char name[128];
        double norm;
    } gradients[GRADIENTS_MAX];
    int gradient_count;
    int loss_count;
} figures;

static void read_line(const char *line, figures *out)
{
    int i = 0;
    double a = 0.0;
    double b = 0.0;
    char name[128];
    if (sscanf(line, "logit %d %lf", &i, &a) == 2) {
        assert_in_range(i, 0, V - 1);
        out->logits[i] = a;
    } else if (sscanf(line, "gradient %127s %lf", name, &a) == 2) {
        assert_true(out->gradient_count < GRADIENTS_MAX);
        memcpy(out->gradients[out->gradient_count].name, name, sizeof name);
        out->gradients[out->gradient_count++].norm = a;
    } else if (sscanf(line, "loss %d %lf %lf", &i, &a, &b) == 3) {
        assert_in_range(i, 0, STEPS - 1);
        out->loss[i] = a;
        out->loss64[i] = b;
        out->loss_count++;
    }
}

static void read_figures(const char *model, figures *out)
{
    char path[4096];
    char line[512];
    char name[128];
    bool is_wanted = false;
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    assert_non_null(source);
    (void)snprintf(path, sizeof path, "%s/tests/numeric/decoder_torch.txt", source);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    memset(out, 0, sizeof *out);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "model %127s", name) == 1)
            is_wanted = strcmp(name, model) == 0;
        else if (is_wanted)
            read_line(line, out);
    }
    (void)fclose(file);
    assert_int_equal(out->loss_count, STEPS);
}

static cairn_gpt2_options window_options(void)
{
    cairn_gpt2_options o = torch_gpt2_options();
    o.norm_type = "rmsnorm";
    o.nonlinearity = "geglu";
    o.attention_module = "multiquery_attention";
    o.extra_attention_params.num_kv_groups = 1;
    o.position_embedding_type = "rotary";
    o.rotary_dim = cairn_int(4);
    o.pos_scaling_factor = 2.0;
    o.attention_sliding_window_length = cairn_int(4);
    o.attention_sink_tokens = cairn_int(2);
    return o;
}

static cairn_gpt2_options mup_options(void)
{
    cairn_gpt2_options o = torch_gpt2_options();
    o.nonlinearity = "gelu_new";
    o.embedding_layer_norm = true;
    o.embeddings_scale = 10.0;
    o.scale_qk_dot_by_d = true;
    o.mup_base_hidden_size = cairn_float(16.0);
    o.mup_base_filter_size = cairn_float(16.0);
    o.output_logits_alpha = cairn_float(0.5);
    return o;
}

static void assert_near(const char *what, int i, double actual, double expected, double limit)
{
    if (!(fabs(actual - expected) <= limit))
        fail_msg("%s %d is %.9g; PyTorch has %.9g", what, i, actual, expected);
}

static void check_losses(const cairn_gpt2_options *o, const figures *want, bool is_bf16)
{
    const double limit = is_bf16 ? k_bf16_limit : k_limit;
    tiny t;
    torch_arrays a;
    cairn_optimizer optimizer = {0};
    cairn_state *optimizer_state = NULL;
    const cairn_adamw_options adamw = {
        .lr = 1e-2, .betas = {0.9, 0.95}, .eps = 1e-8, .weight_decay = 0.1, .correct_bias = true};
    cairn_param_groups *groups = NULL;
    double rates[GROUPS_MAX];
    double decays[GROUPS_MAX];
    tiny_declare(&t, o);
    tiny_ok(&t, cairn_adamw_new(&adamw, &optimizer, &t.err));
    tiny_ok(&t, cairn_state_tree_add(t.tree, "optimizer", &optimizer_state, &t.err));
    tiny_ok(&t, cairn_param_groups_new(t.state, NULL, 0, &groups, &t.err));
    tiny_ok(&t, optimizer.ops->declare(optimizer.self, t.state, groups, optimizer_state, &t.err));
    assert_true(cairn_param_groups_count(groups) <= GROUPS_MAX);
    for (size_t i = 0; i < cairn_param_groups_count(groups); i++) {
        rates[i] = adamw.lr; /* PyTorch's were all alike, also with muP. */
        decays[i] = cairn_param_groups_is_decayed(groups, i) ? adamw.weight_decay : 0.0;
    }
    cairn_param_groups_destroy(groups);
    tiny_allocate(&t);
    if (is_bf16)
        tiny_use_bf16(&t);
    tiny_ok(&t, optimizer.ops->reset(optimizer.self, t.tree, &t.err));
    torch_set_first_values(&t, t.state);
    for (int step = 0; step < (is_bf16 ? BF16_STEPS : STEPS); step++) {
        const cairn_batch batch = torch_batch(step, &a);
        const cairn_pass pass = tiny_pass(true, (uint64_t)step);
        tiny_zero_gradients(&t);
        const cairn_loss loss = tiny_compute(&t, &batch, &pass);
        assert_near("loss", step, loss.loss, want->loss[step], limit * want->loss[step]);
        assert_near("loss64", step, loss.loss, want->loss64[step], limit * want->loss64[step]);
        tiny_ok(&t, optimizer.ops->step(optimizer.self, t.tree, rates, decays, &t.err));
    }
    optimizer.ops->destroy(optimizer.self);
    tiny_destroy(&t);
}

/* A bias of the keys moves all scores of a query alike: its gradient is rounding. */
static bool is_rounding(const cairn_tensor *tensor)
{
    return strstr(tensor->name, "proj_k_dense_layer.bias") != NULL;
}

static void check_first_pass(const cairn_gpt2_options *o, const figures *want, bool is_bf16)
{
    const double limit = is_bf16 ? k_bf16_limit : k_limit;
    const double noise = is_bf16 ? 1e-4 : 1e-8;
    tiny t;
    torch_arrays a;
    float logits[V];
    const cairn_batch batch = torch_batch(0, &a);
    const cairn_pass pass = tiny_pass(true, 0);
    tiny_new(&t, o);
    if (is_bf16)
        tiny_use_bf16(&t);
    torch_set_first_values(&t, t.state);
    (void)tiny_compute(&t, &batch, &pass);
    assert_int_equal(want->gradient_count, cairn_state_tensor_count(t.state));
    for (int n = 0; n < want->gradient_count; n++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(t.state, (size_t)n);
        double squares = 0.0;
        assert_string_equal(tensor->name, want->gradients[n].name);
        for (int64_t i = 0; i < cairn_tensor_elements(tensor); i++)
            squares += (double)tensor->grad[i] * (double)tensor->grad[i];
        assert_near(tensor->name, n, sqrt(squares), want->gradients[n].norm,
                    limit * want->gradients[n].norm + (is_rounding(tensor) ? noise : 0.0));
    }
    if (is_bf16)
        tiny_logits(&t, &batch, B * T, T - 1, V, logits);
    /* A token at a time, as a text grows, so that most of it is kept from call to call. */
    for (int n = 3; n <= T && !is_bf16; n++)
        tiny_ok(&t, t.model.ops->next_logits(t.model.self, a.ids, n, logits, &t.err));
    for (int i = 0; i < V; i++)
        assert_near("logit", i, (double)logits[i], want->logits[i], limit);
    tiny_destroy(&t);
}

static void check_model(const char *name, const cairn_gpt2_options *o, bool is_bf16)
{
    figures want;
    read_figures(name, &want);
    check_first_pass(o, &want, is_bf16);
    check_losses(o, &want, is_bf16);
}

static void llama3__equals_pytorch_with_groups_and_scaled_rotary_positions(void **state)
{
    (void)state;
    const cairn_gpt2_options o = torch_llama3_options();
    check_model("llama3", &o, false);
}

static void a_window_with_sinks__equals_pytorch_with_one_key_head(void **state)
{
    (void)state;
    const cairn_gpt2_options o = window_options();
    check_model("window", &o, false);
}

static void mup_scales__equal_pytorchs(void **state)
{
    (void)state;
    const cairn_gpt2_options o = mup_options();
    check_model("mup", &o, false);
}

static void bf16__is_pytorchs_float32_and_64_within_a_hundredth(void **state)
{
    (void)state;
    const cairn_gpt2_options llama3 = torch_llama3_options();
    const cairn_gpt2_options window = window_options();
    const cairn_gpt2_options mup = mup_options();
    check_model("llama3", &llama3, true);
    check_model("window", &window, true);
    check_model("mup", &mup, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama3__equals_pytorch_with_groups_and_scaled_rotary_positions),
        cmocka_unit_test(a_window_with_sinks__equals_pytorch_with_one_key_head),
        cmocka_unit_test(mup_scales__equal_pytorchs),
        cmocka_unit_test(bf16__is_pytorchs_float32_and_64_within_a_hundredth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
