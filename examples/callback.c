/*
 * A callback as a shared object: a running mean of the loss, kept across resumes, shown with the
 * other metrics, which ends the run when it is low enough.
 *
 *     cc -shared -fPIC callback.c -o callback.so $(pkg-config --cflags cairn)
 *     cairn fit callback.yaml -o run1
 */
#include <stdlib.h>

#include <cairn/plugin/plugin.h>

/* ---- Options: a struct, and a row for each of its fields ---- */

struct mean_options {
    double weight;
    cairn_opt_float goal;
    const char *metric;
};

static const cairn_option k_options[] = {
    CAIRN_OPTION_FLOAT(struct mean_options, weight, 0.1, 0.0, 1.0, "",
                       "How much the newest loss counts in the mean."),
    CAIRN_OPTION_FLOAT_NULL(struct mean_options, goal, 0.0, 1e9, "",
                            "End the run when the mean is at most this; null does not."),
    CAIRN_OPTION_TEXT(struct mean_options, metric, "mean_loss", "What the metric is called."),
};

/* ---- The callback ---- */

struct mean {
    struct mean_options options;
    cairn_state *state; /* Saved with every checkpoint. */
    bool has_value;
    double value;
};

static cairn_status setup(void *self, const cairn_event *event, cairn_control *control,
                          cairn_error *err)
{
    struct mean *const mean = self;
    (void)control;
    return cairn_state_tree_add(cairn_trainer_tree(event->trainer), "mean_loss", &mean->state, err);
}

/* What an interrupted run had reached; a fresh one has no value yet. */
static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    struct mean *const mean = self;
    (void)event;
    (void)control;
    mean->has_value = cairn_state_get_text(mean->state, "value") != NULL;
    return mean->has_value ? cairn_state_get_f64(mean->state, "value", &mean->value, err)
                           : CAIRN_OK;
}

static cairn_status on_train_batch_end(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    struct mean *const mean = self;
    const double weight = mean->has_value ? mean->options.weight : 1.0;
    mean->value += weight * (event->loss - mean->value);
    mean->has_value = true;
    if (mean->options.goal.is_set && mean->value <= mean->options.goal.value) {
        control->stop = true;
        control->reason = "mean_loss";
    }
    const cairn_status rc = cairn_state_set_f64(mean->state, "value", mean->value, err);
    if (rc != CAIRN_OK)
        return rc;
    return cairn_trainer_add_metric(event->trainer, mean->options.metric, mean->value, err);
}

static void destroy(void *self)
{
    free(self);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof k_ops,
    .name = "MeanLoss",
    .destroy = destroy,
    .setup = setup,
    .on_fit_start = on_fit_start,
    .on_train_batch_end = on_train_batch_end,
};

static cairn_status mean_new(const void *options, cairn_callback *out, cairn_error *err)
{
    struct mean *const mean = calloc(1, sizeof *mean);
    if (mean == NULL)
        return cairn_error_set(err, CAIRN_ENOMEM, "no memory for a mean");
    mean->options = *(const struct mean_options *)options;
    out->ops = &k_ops;
    out->self = mean;
    return CAIRN_OK;
}

/* ---- The plugin ---- */

static const cairn_plugin_class k_classes[] = {
    CAIRN_CLASS_CALLBACK("MeanLoss", "A running mean of the loss.", k_options, struct mean_options,
                         mean_new),
};

static const cairn_plugin k_plugin = {CAIRN_PLUGIN_HEAD, "mean_loss", k_classes, 1};

const cairn_plugin *cairn_plugin_get(void)
{
    return &k_plugin;
}
