/* A small GPT-2 trained by Cairn loses what it loses in PyTorch: figures of make_gpt2_torch.py. */
#include "numeric/bf16.h"
#include "numeric/torch_model.h"

#include <string.h>

#include "cairn/optim.h"

enum { GRADIENTS = 36 };

static const double k_limit = 1e-5;

/* The figures, as read. */
typedef struct figures {
    double logits[V];
    double loss[STEPS];
    double loss64[STEPS];
    struct {
        char name[128];
        double norm;
    } gradients[GRADIENTS];
    int gradient_count;
    int loss_count;
} figures;

static void read_figures(figures *out)
{
    char path[4096];
    char line[512];
    const char *const source = getenv("CAIRN_SOURCE_DIR");
    assert_non_null(source);
    (void)snprintf(path, sizeof path, "%s/tests/numeric/gpt2_torch.txt", source);
    FILE *const file = fopen(path, "r");
    assert_non_null(file);
    memset(out, 0, sizeof *out);
    while (fgets(line, sizeof line, file) != NULL) {
        int i = 0;
        double a = 0.0;
        double b = 0.0;
        char name[128];
        if (sscanf(line, "logit %d %lf", &i, &a) == 2) {
            assert_in_range(i, 0, V - 1);
            out->logits[i] = a;
        } else if (sscanf(line, "gradient %127s %lf", name, &a) == 2) {
            assert_true(out->gradient_count < GRADIENTS);
            memcpy(out->gradients[out->gradient_count].name, name, sizeof name);
            out->gradients[out->gradient_count++].norm = a;
        } else if (sscanf(line, "loss %d %lf %lf", &i, &a, &b) == 3) {
            assert_in_range(i, 0, STEPS - 1);
            out->loss[i] = a;
            out->loss64[i] = b;
            out->loss_count++;
        }
    }
    (void)fclose(file);
    assert_int_equal(out->gradient_count, GRADIENTS);
    assert_int_equal(out->loss_count, STEPS);
}

static void assert_near(const char *what, int i, double actual, double expected, double limit)
{
    if (!(fabs(actual - expected) <= limit))
        fail_msg("%s %d is %.9g; PyTorch has %.9g", what, i, actual, expected);
}

static void check_losses(bool is_bf16)
{
    const double limit = is_bf16 ? k_bf16_limit : k_limit;
    figures want;
    tiny t;
    torch_arrays a;
    cairn_optimizer optimizer = {0};
    cairn_state *optimizer_state = NULL;
    const cairn_gpt2_options o = torch_gpt2_options();
    const cairn_adamw_options adamw = {
        .lr = 1e-2, .betas = {0.9, 0.95}, .eps = 1e-8, .weight_decay = 0.1, .correct_bias = true};
    cairn_param_groups *groups = NULL;
    const double rates[] = {1e-2, 1e-2};
    const double decays[] = {adamw.weight_decay, 0.0};
    read_figures(&want);
    tiny_declare(&t, &o);
    tiny_ok(&t, cairn_adamw_new(&adamw, &optimizer, &t.err));
    tiny_ok(&t, cairn_state_tree_add(t.tree, "optimizer", &optimizer_state, &t.err));
    tiny_ok(&t, cairn_param_groups_new(t.state, NULL, 0, &groups, &t.err));
    tiny_ok(&t, optimizer.ops->declare(optimizer.self, t.state, groups, optimizer_state, &t.err));
    cairn_param_groups_destroy(groups);
    tiny_allocate(&t);
    if (is_bf16)
        tiny_use_bf16(&t);
    tiny_ok(&t, optimizer.ops->reset(optimizer.self, t.tree, &t.err));
    torch_set_first_values(&t, t.state);
    for (int step = 0; step < STEPS; step++) {
        const cairn_batch batch = torch_batch(step, &a);
        const cairn_pass pass = tiny_pass(true, (uint64_t)step);
        tiny_zero_gradients(&t);
        const cairn_loss loss = tiny_compute(&t, &batch, &pass);
        assert_near("loss", step, loss.loss, want.loss[step], limit * want.loss[step]);
        assert_near("loss64", step, loss.loss, want.loss64[step], limit * want.loss64[step]);
        assert_true(loss.weight == B * T - 6);
        tiny_ok(&t, optimizer.ops->step(optimizer.self, t.tree, rates, decays, &t.err));
    }
    optimizer.ops->destroy(optimizer.self);
    tiny_destroy(&t);
}

static void losses_of_20_steps__equal_pytorchs_within_1e5_relative(void **state)
{
    (void)state;
    check_losses(false);
}

static void losses_of_20_steps_in_bf16__are_pytorchs_float64_within_a_hundredth(void **state)
{
    (void)state;
    check_losses(true);
}

/* A bias of the keys moves all scores of a query alike: its gradient is rounding. */
static bool is_rounding(const cairn_tensor *tensor)
{
    return strstr(tensor->name, "proj_k_dense_layer.bias") != NULL;
}

static void check_first_pass(bool is_bf16)
{
    const double limit = is_bf16 ? k_bf16_limit : k_limit;
    const double noise = is_bf16 ? 1e-4 : 1e-8;
    figures want;
    tiny t;
    torch_arrays a;
    float logits[V];
    const cairn_gpt2_options o = torch_gpt2_options();
    const cairn_batch batch = torch_batch(0, &a);
    const cairn_pass pass = tiny_pass(true, 0);
    read_figures(&want);
    tiny_new(&t, &o);
    if (is_bf16)
        tiny_use_bf16(&t);
    torch_set_first_values(&t, t.state);
    (void)tiny_compute(&t, &batch, &pass);
    for (int n = 0; n < GRADIENTS; n++) {
        const cairn_tensor *const tensor = cairn_state_tensor_find(t.state, want.gradients[n].name);
        double squares = 0.0;
        assert_non_null(tensor);
        for (int64_t i = 0; i < cairn_tensor_elements(tensor); i++)
            squares += (double)tensor->grad[i] * (double)tensor->grad[i];
        assert_near(tensor->name, n, sqrt(squares), want.gradients[n].norm,
                    limit * want.gradients[n].norm + (is_rounding(tensor) ? noise : 0.0));
    }
    /* The first row of logits is that after the first token of the first sequence. */
    if (is_bf16)
        tiny_logits(&t, &batch, B * T, 0, V, logits);
    else
        tiny_ok(&t, t.model.ops->next_logits(t.model.self, a.ids, 1, logits, &t.err));
    for (int i = 0; i < V; i++)
        assert_near("logit", i, (double)logits[i], want.logits[i], limit);
    tiny_destroy(&t);
}

static void first_logits_and_gradients__equal_pytorchs(void **state)
{
    (void)state;
    check_first_pass(false);
}

static void first_logits_and_gradients_in_bf16__are_pytorchs_within_a_hundredth(void **state)
{
    (void)state;
    check_first_pass(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_logits_and_gradients__equal_pytorchs),
        cmocka_unit_test(losses_of_20_steps__equal_pytorchs_within_1e5_relative),
        cmocka_unit_test(first_logits_and_gradients_in_bf16__are_pytorchs_within_a_hundredth),
        cmocka_unit_test(losses_of_20_steps_in_bf16__are_pytorchs_float64_within_a_hundredth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
