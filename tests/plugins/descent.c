/* An optimizer for tests: p -= lr g, nothing else, with a count of its steps as state. */
#include <stdlib.h>

#include <cairn/plugin/plugin.h>

struct descent_options {
    double lr;
};

static const cairn_option k_options[] = {
    CAIRN_OPTION_FLOAT(struct descent_options, lr, 0.1, 0.0, 10.0, "", "Learning rate."),
};

struct descent {
    double lr;
    const cairn_state *model;
    cairn_state *state;
    uint64_t steps;
};

static cairn_status declare(void *self, const cairn_state *model, const cairn_param_groups *groups,
                            cairn_state *state, cairn_error *err)
{
    struct descent *const descent = self;
    (void)groups;
    descent->model = model;
    descent->state = state;
    return cairn_state_set_u64(state, "steps", 0, err);
}

static cairn_status reset(void *self, cairn_state_tree *tree, cairn_error *err)
{
    struct descent *const descent = self;
    (void)tree;
    descent->steps = 0;
    return cairn_state_set_u64(descent->state, "steps", 0, err);
}

static cairn_status loaded(void *self, cairn_error *err)
{
    struct descent *const descent = self;
    return cairn_state_get_u64(descent->state, "steps", &descent->steps, err);
}

static cairn_status step(void *self, cairn_state_tree *tree, const double *learning_rates,
                         const double *weight_decays, cairn_error *err)
{
    struct descent *const descent = self;
    (void)weight_decays;
    for (size_t i = 0; i < cairn_state_tensor_count(descent->model); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(descent->model, i);
        float *const p = cairn_tensor_write_begin(tree, tensor, 0, tensor->bytes);
        for (uint64_t j = 0; j < tensor->bytes / sizeof *p; j++)
            p[j] -= (float)learning_rates[0] * tensor->grad[j];
        cairn_tensor_write_end(tree, tensor, 0, tensor->bytes);
    }
    return cairn_state_set_u64(descent->state, "steps", ++descent->steps, err);
}

static double learning_rate(const void *self)
{
    return ((const struct descent *)self)->lr;
}

static void destroy(void *self)
{
    free(self);
}

static const cairn_optimizer_ops k_ops = {
    .struct_size = sizeof k_ops,
    .name = "Descent",
    .declare = declare,
    .reset = reset,
    .loaded = loaded,
    .step = step,
    .learning_rate = learning_rate,
    .destroy = destroy,
};

static cairn_status descent_new(const void *options, cairn_optimizer *out, cairn_error *err)
{
    struct descent *const descent = calloc(1, sizeof *descent);
    if (descent == NULL)
        return cairn_error_set(err, CAIRN_ENOMEM, "no memory");
    descent->lr = ((const struct descent_options *)options)->lr;
    out->ops = &k_ops;
    out->self = descent;
    return CAIRN_OK;
}

static const cairn_plugin_class k_classes[] = {
    CAIRN_CLASS_OPTIMIZER("Descent", "Goes downhill.", k_options, struct descent_options,
                          descent_new),
};

static const cairn_plugin k_plugin = {CAIRN_PLUGIN_HEAD, "descent", k_classes, 1};

const cairn_plugin *cairn_plugin_get(void)
{
    return &k_plugin;
}
