/* Adapters of small models are trained by Cairn as by PyTorch: figures of make_lora_torch.py. */
#include "numeric/torch_model.h"

#include "cairn/optim.h"

enum { LINE_SIZE = 512, NAME_SIZE = 128 };

static const double k_limit = 1e-5;

/* A model with adapters that are trained. */
typedef struct adapted {
    tiny t;
    cairn_state *lora;
    cairn_optimizer optimizer;
} adapted;

static void adapted_new(adapted *m, const cairn_gpt2_options *o,
                        const cairn_lora_params_list *groups)
{
    const cairn_adamw_options adamw = {
        .lr = 1e-2, .betas = {0.9, 0.95}, .eps = 1e-8, .weight_decay = 0.1, .correct_bias = true};
    cairn_state *optimizer_state = NULL;
    cairn_param_groups *params = NULL;
    memset(m, 0, sizeof *m);
    tiny *const t = &m->t;
    tiny_declare(t, o);
    tiny_ok(t, cairn_state_tree_add(t->tree, "lora", &m->lora, &t->err));
    tiny_ok(t, cairn_model_adapters(&t->model)->add(t->model.self, groups, m->lora, &t->err));
    cairn_state_freeze(t->state);
    tiny_ok(t, cairn_adamw_new(&adamw, &m->optimizer, &t->err));
    tiny_ok(t, cairn_state_tree_add(t->tree, "optimizer", &optimizer_state, &t->err));
    tiny_ok(t, cairn_param_groups_new(m->lora, NULL, 0, &params, &t->err));
    tiny_ok(
        t, m->optimizer.ops->declare(m->optimizer.self, m->lora, params, optimizer_state, &t->err));
    cairn_param_groups_destroy(params);
    tiny_ok(t, cairn_state_tree_allocate(t->tree, &t->err));
    tiny_ok(t, cairn_state_allocate_gradients(m->lora, &t->err));
    tiny_ok(t, m->optimizer.ops->reset(m->optimizer.self, t->tree, &t->err));
    torch_set_first_values(&m->t, t->state);
    torch_set_first_values(&m->t, m->lora);
}

static void adapted_destroy(adapted *m)
{
    m->optimizer.ops->destroy(m->optimizer.self);
    tiny_destroy(&m->t);
}

static void assert_near(const char *what, double actual, double expected, double limit)
{
    if (!(fabs(actual - expected) <= limit))
        fail_msg("%s is %.9g; PyTorch has %.9g", what, actual, expected);
}

static double compute(adapted *m, int step)
{
    torch_arrays a;
    size_t count = 0;
    const cairn_batch batch = torch_batch(step, &a);
    const cairn_pass pass = tiny_pass(true, (uint64_t)step);
    float *const gradients = cairn_state_gradients(m->lora, &count);
    memset(gradients, 0, count * sizeof *gradients);
    return tiny_compute(&m->t, &batch, &pass).loss;
}

static void check_gradient(const adapted *m, const char *name, double norm, double wave)
{
    const cairn_tensor *const tensor = cairn_state_tensor_find(m->lora, name);
    assert_non_null(tensor);
    const float *const values = tensor->data;
    double squares = 0.0;
    double product = 0.0;
    double size = 0.0;
    for (int64_t i = 0; i < cairn_tensor_elements(tensor); i++) {
        squares += (double)tensor->grad[i] * (double)tensor->grad[i];
        product += (double)tensor->grad[i] * (double)values[i];
        size += (double)values[i] * (double)values[i];
    }
    assert_near(name, sqrt(squares), norm, k_limit * norm + 1e-8);
    assert_near(name, product, wave, k_limit * norm * sqrt(size) + 1e-8);
}

/* Step 0 is computed already; its gradients and logits are those of the figures before the losses.
 */
static double step_loss(adapted *m, int step, double loss)
{
    const double rate = 1e-2;
    const double decay = 0.1;
    if (step > 0)
        loss = compute(m, step);
    tiny_ok(&m->t, m->optimizer.ops->step(m->optimizer.self, m->t.tree, (double[]){rate, rate},
                                          (double[]){decay, decay}, &m->t.err));
    return loss;
}

static void check_line(adapted *m, const char *line, const float *logits, double first,
                       int *gradients, int *losses)
{
    char name[NAME_SIZE];
    double a = 0.0;
    double b = 0.0;
    int i = 0;
    if (sscanf(line, "logit %d %lf", &i, &a) == 2) {
        assert_in_range(i, 0, V - 1);
        assert_near("a logit", (double)logits[i], a, k_limit);
    } else if (sscanf(line, "gradient %127s %lf %lf", name, &a, &b) == 3) {
        check_gradient(m, name, a, b);
        (*gradients)++;
    } else if (sscanf(line, "loss %d %lf %lf", &i, &a, &b) == 3) {
        const double loss = step_loss(m, i, first);
        assert_near("a loss", loss, a, k_limit * a);
        assert_near("a loss", loss, b, k_limit * b);
        (*losses)++;
    }
}

static void check_model(const char *model, const cairn_gpt2_options *o,
                        const cairn_lora_params_list *groups)
{
    adapted m;
    torch_arrays a;
    char path[4096];
    char line[LINE_SIZE];
    char name[NAME_SIZE];
    float logits[V];
    bool is_wanted = false;
    int gradients = 0;
    int losses = 0;
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    assert_non_null(source);
    adapted_new(&m, o, groups);
    (void)torch_batch(0, &a);
    /* A token at a time, as a text grows, so that most of it is kept from call to call. */
    for (int n = 3; n <= T; n++)
        tiny_ok(&m.t, m.t.model.ops->next_logits(m.t.model.self, a.ids, n, logits, &m.t.err));
    const double first = compute(&m, 0);
    (void)snprintf(path, sizeof path, "%s/tests/numeric/lora_torch.txt", source);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "model %127s", name) == 1)
            is_wanted = strcmp(name, model) == 0;
        else if (is_wanted)
            check_line(&m, line, logits, first, &gradients, &losses);
    }
    (void)fclose(file);
    assert_int_equal(gradients, cairn_state_tensor_count(m.lora));
    assert_int_equal(losses, STEPS);
    adapted_destroy(&m);
}

static void llama3__with_adapters_of_two_ranks_equals_pytorch(void **state)
{
    (void)state;
    static const char *const k_attention[] = {"MultiQueryAttention", "Linear"};
    static const char *const k_ffn[] = {"FeedForwardNetwork"};
    const cairn_lora_params_options items[] = {
        {.r = 4, .alpha = 8.0, .target_modules = {k_attention, 2}},
        {.r = 2, .alpha = 1.0, .target_modules = {k_ffn, 1}}};
    const cairn_lora_params_list groups = {.items = items, .count = 2};
    const cairn_gpt2_options o = torch_llama3_options();
    check_model("llama3", &o, &groups);
}

static void adapters_of_embeddings_and_a_tied_output_layer__equal_pytorch(void **state)
{
    (void)state;
    const cairn_lora_params_options all = {.r = 3, .alpha = 6.0};
    const cairn_lora_params_list groups = {.items = &all, .count = 1};
    const cairn_gpt2_options o = torch_gpt2_options();
    check_model("everything", &o, &groups);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(llama3__with_adapters_of_two_ranks_equals_pytorch),
        cmocka_unit_test(adapters_of_embeddings_and_a_tied_output_layer__equal_pytorch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
