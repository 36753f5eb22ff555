/*
 * A model with its own data as a shared object: a perceptron with one hidden layer learns which arm
 * of a spiral a point lies on. Loss and gradients are computed by hand, on one thread, in a fixed
 * order, so that a run gives the same bits however often it is interrupted.
 *
 *     cc -O2 -shared -fPIC model.c -o model.so $(pkg-config --cflags cairn) -lm
 *     cairn fit model.yaml -o run1
 *
 * Three classes: the model SpiralClassifier, the data processor SpiralDataProcessor, and the
 * callback Accuracy, which counts in validations what the model got right.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cairn/plugin/plugin.h>

enum { INPUTS = 2 };

/* ---- Numbers that depend on their arguments alone (Steele et al. 2014: splitmix64) ---- */

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Uniform in [0, 1). */
static double uniform(uint64_t seed, uint64_t index)
{
    return (double)(mix(mix(seed) + index) >> 11) * 0x1p-53;
}

/* ---- The data: points on the arms of a spiral, as many as wanted, none stored ---- */

struct spiral_options {
    int64_t samples;
    int64_t classes;
    int64_t data_seed;
    double noise;
};

static const cairn_option k_spiral_rows[] = {
    CAIRN_OPTION_INT(struct spiral_options, samples, 3000, 1, 1 << 30, "samples",
                     "Points in one epoch."),
    CAIRN_OPTION_INT(struct spiral_options, classes, 3, 2, 16, "classes", "Arms of the spiral."),
    CAIRN_OPTION_INT(struct spiral_options, data_seed, 0, 0, INT64_MAX, "",
                     "Other points for another seed."),
    CAIRN_OPTION_FLOAT(struct spiral_options, noise, 0.1, 0.0, 10.0, "",
                       "How far points lie beside their arm."),
};

struct spiral {
    struct spiral_options options;
    float *points;   /* [capacity][INPUTS] */
    int32_t *labels; /* [capacity] */
    size_t capacity;
};

static uint64_t spiral_count(const void *self)
{
    return (uint64_t)((const struct spiral *)self)->options.samples;
}

static void spiral_point(const struct spiral_options *options, uint64_t index, float *out_point,
                         int32_t *out_label)
{
    const double turn = 6.283185307179586;
    const uint64_t seed = (uint64_t)options->data_seed;
    const int32_t label = (int32_t)(index % (uint64_t)options->classes);
    const double radius = 0.1 + 0.9 * uniform(seed, 3 * index);
    const double beside = options->noise * (uniform(seed, 3 * index + 1) - 0.5);
    const double angle =
        turn * ((double)label / (double)options->classes + 0.5 * radius) + beside / radius;
    out_point[0] = (float)(radius * cos(angle));
    out_point[1] = (float)(radius * sin(angle));
    *out_label = label;
}

static cairn_status spiral_read(void *self, const uint64_t *indices, size_t count, cairn_batch *out,
                                cairn_error *err)
{
    struct spiral *const spiral = self;
    if (count > spiral->capacity) {
        float *const points = realloc(spiral->points, count * INPUTS * sizeof *points);
        if (points != NULL)
            spiral->points = points;
        int32_t *const labels = realloc(spiral->labels, count * sizeof *labels);
        if (labels != NULL)
            spiral->labels = labels;
        if (points == NULL || labels == NULL)
            return cairn_error_set(err, CAIRN_ENOMEM, "no memory for %zu points", count);
        spiral->capacity = count;
    }
    for (size_t i = 0; i < count; i++)
        spiral_point(&spiral->options, indices[i], &spiral->points[i * INPUTS], &spiral->labels[i]);
    out->samples = (int64_t)count;
    out->field_count = 2;
    out->field[0] = (cairn_batch_field){.name = "points",
                                        .dtype = CAIRN_DTYPE_F32,
                                        .rank = 2,
                                        .shape = {(int64_t)count, INPUTS},
                                        .data = spiral->points};
    out->field[1] = (cairn_batch_field){.name = "labels",
                                        .dtype = CAIRN_DTYPE_I32,
                                        .rank = 1,
                                        .shape = {(int64_t)count},
                                        .data = spiral->labels};
    return CAIRN_OK;
}

static void spiral_destroy(void *self)
{
    struct spiral *const spiral = self;
    if (spiral == NULL)
        return;
    free(spiral->points);
    free(spiral->labels);
    free(spiral);
}

static const cairn_data_ops k_spiral_ops = {
    .struct_size = sizeof k_spiral_ops,
    .name = "SpiralDataProcessor",
    .sample_count = spiral_count,
    .read = spiral_read,
    .destroy = spiral_destroy,
    .may_be_read_ahead = true, /* A point is a function of its number. */
};

static cairn_status spiral_new(const void *options, cairn_data *out, cairn_error *err)
{
    struct spiral *const spiral = calloc(1, sizeof *spiral);
    if (spiral == NULL)
        return cairn_error_set(err, CAIRN_ENOMEM, "no memory for a spiral");
    spiral->options = *(const struct spiral_options *)options;
    out->ops = &k_spiral_ops;
    out->self = spiral;
    return CAIRN_OK;
}

/* ---- The model: logits = W2 tanh(W1 x + b1) + b2, loss = mean of -log softmax ---- */

struct model_options {
    int64_t hidden_size;
    int64_t classes;
};

static const cairn_option k_model_rows[] = {
    CAIRN_OPTION_INT(struct model_options, hidden_size, 64, 1, 4096, "", "Width of the layer."),
    CAIRN_OPTION_INT(struct model_options, classes, 3, 2, 16, "classes", "Number of classes."),
};

enum { W1, B1, W2, B2, TENSORS };

struct model {
    struct model_options options;
    const cairn_tensor *tensor[TENSORS];
    float *hidden;      /* [hidden_size] */
    float *hidden_grad; /* [hidden_size] */
    float *logits;      /* [classes] */
    int64_t correct;    /* of the last batch */
    int64_t seen;
};

static cairn_status model_declare(void *self, cairn_state *state, cairn_error *err)
{
    struct model *const model = self;
    const int64_t hidden = model->options.hidden_size;
    const int64_t classes = model->options.classes;
    const cairn_tensor_spec specs[TENSORS] = {
        [W1] = {"fc1.weight", CAIRN_DTYPE_F32, CAIRN_ROLE_WEIGHT, 2, {hidden, INPUTS}, 0.0},
        [B1] = {"fc1.bias", CAIRN_DTYPE_F32, CAIRN_ROLE_BIAS, 1, {hidden}, 0.0},
        [W2] = {"fc2.weight", CAIRN_DTYPE_F32, CAIRN_ROLE_WEIGHT, 2, {classes, hidden}, 0.0},
        [B2] = {"fc2.bias", CAIRN_DTYPE_F32, CAIRN_ROLE_BIAS, 1, {classes}, 0.0},
    };
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < TENSORS && rc == CAIRN_OK; i++)
        rc = cairn_state_add_tensor(state, &specs[i], &model->tensor[i], err);
    return rc;
}

/* Uniform in +-sqrt(3 / inputs), biases zero. The guard lends a tensor for writing, by tiles. */
static cairn_status model_initialize(void *self, cairn_state_tree *tree, uint64_t seed,
                                     cairn_error *err)
{
    const struct model *const model = self;
    (void)err;
    for (size_t i = 0; i < TENSORS; i++) {
        const cairn_tensor *const tensor = model->tensor[i];
        const double limit = tensor->rank == 2 ? sqrt(3.0 / (double)tensor->shape[1]) : 0.0;
        for (uint64_t at = 0; at < tensor->bytes; at += CAIRN_WRITE_TILE_BYTES) {
            const uint64_t left = tensor->bytes - at;
            const uint64_t bytes = left < CAIRN_WRITE_TILE_BYTES ? left : CAIRN_WRITE_TILE_BYTES;
            float *const values = cairn_tensor_write_begin(tree, tensor, at, bytes);
            for (uint64_t j = 0; j < bytes / sizeof *values; j++)
                values[j] =
                    (float)(limit * (2.0 * uniform(seed + i, at / sizeof *values + j) - 1.0));
            cairn_tensor_write_end(tree, tensor, at, bytes);
        }
    }
    return CAIRN_OK;
}

/* Fills hidden and logits, which become probabilities; returns -log of that of @label. */
static double forward(struct model *model, const float *x, int32_t label)
{
    const int64_t hidden = model->options.hidden_size;
    const int64_t classes = model->options.classes;
    const float *const w1 = model->tensor[W1]->data;
    const float *const b1 = model->tensor[B1]->data;
    const float *const w2 = model->tensor[W2]->data;
    const float *const b2 = model->tensor[B2]->data;
    float most = -INFINITY;
    int64_t best = 0;
    double sum = 0.0;
    for (int64_t h = 0; h < hidden; h++)
        model->hidden[h] = tanhf(w1[h * INPUTS] * x[0] + w1[h * INPUTS + 1] * x[1] + b1[h]);
    for (int64_t c = 0; c < classes; c++) {
        float logit = b2[c];
        for (int64_t h = 0; h < hidden; h++)
            logit += w2[c * hidden + h] * model->hidden[h];
        model->logits[c] = logit;
        if (logit > most) {
            most = logit;
            best = c;
        }
    }
    for (int64_t c = 0; c < classes; c++)
        sum += exp((double)(model->logits[c] - most));
    const double loss = log(sum) - (double)(model->logits[label] - most);
    for (int64_t c = 0; c < classes; c++)
        model->logits[c] = (float)(exp((double)(model->logits[c] - most)) / sum);
    model->correct += best == label;
    return loss;
}

/* Adds the gradients of one sample, times @scale. */
static void backward(struct model *model, const float *x, int32_t label, float scale)
{
    const int64_t hidden = model->options.hidden_size;
    const int64_t classes = model->options.classes;
    const float *const w2 = model->tensor[W2]->data;
    float *const g1 = model->tensor[W1]->grad;
    float *const gb1 = model->tensor[B1]->grad;
    float *const g2 = model->tensor[W2]->grad;
    float *const gb2 = model->tensor[B2]->grad;
    memset(model->hidden_grad, 0, (size_t)hidden * sizeof *model->hidden_grad);
    for (int64_t c = 0; c < classes; c++) {
        const float g = scale * (model->logits[c] - (c == label ? 1.0f : 0.0f));
        gb2[c] += g;
        for (int64_t h = 0; h < hidden; h++) {
            g2[c * hidden + h] += g * model->hidden[h];
            model->hidden_grad[h] += g * w2[c * hidden + h];
        }
    }
    for (int64_t h = 0; h < hidden; h++) {
        const float g = model->hidden_grad[h] * (1.0f - model->hidden[h] * model->hidden[h]);
        g1[h * INPUTS] += g * x[0];
        g1[h * INPUTS + 1] += g * x[1];
        gb1[h] += g;
    }
}

static cairn_status model_compute(void *self, const cairn_batch *batch, const cairn_pass *pass,
                                  cairn_loss *out, cairn_error *err)
{
    struct model *const model = self;
    const cairn_batch_field *const points = cairn_batch_find(batch, "points");
    const cairn_batch_field *const labels = cairn_batch_find(batch, "labels");
    double sum = 0.0;
    if (points == NULL || labels == NULL || points->shape[1] != INPUTS)
        return cairn_error_set(err, CAIRN_EDATA, "the batch has no points with labels");
    model->correct = 0;
    model->seen = batch->samples;
    for (int64_t i = 0; i < batch->samples; i++) {
        const float *const x = (const float *)points->data + i * INPUTS;
        const int32_t label = ((const int32_t *)labels->data)[i];
        if (label < 0 || label >= model->options.classes)
            return cairn_error_set(err, CAIRN_EDATA, "class %d is outside the model's %d",
                                   (int)label, (int)model->options.classes);
        sum += forward(model, x, label);
        if (pass->is_training)
            backward(model, x, label, pass->loss_scale / (float)batch->samples);
    }
    out->loss = sum / (double)batch->samples;
    out->weight = (double)batch->samples;
    return CAIRN_OK;
}

static void model_destroy(void *self)
{
    struct model *const model = self;
    if (model == NULL)
        return;
    free(model->hidden);
    free(model->hidden_grad);
    free(model->logits);
    free(model);
}

static const cairn_model_ops k_model_ops = {
    .struct_size = sizeof k_model_ops,
    .name = "SpiralClassifier",
    .declare = model_declare,
    .initialize = model_initialize,
    .compute = model_compute,
    .destroy = model_destroy,
};

static cairn_status model_new(const void *options, cairn_model *out, cairn_error *err)
{
    struct model *const model = calloc(1, sizeof *model);
    if (model == NULL)
        return cairn_error_set(err, CAIRN_ENOMEM, "no memory for a model");
    model->options = *(const struct model_options *)options;
    model->hidden = calloc((size_t)model->options.hidden_size, sizeof *model->hidden);
    model->hidden_grad = calloc((size_t)model->options.hidden_size, sizeof *model->hidden_grad);
    model->logits = calloc((size_t)model->options.classes, sizeof *model->logits);
    if (model->hidden == NULL || model->hidden_grad == NULL || model->logits == NULL) {
        model_destroy(model);
        return cairn_error_set(err, CAIRN_ENOMEM, "no memory for a model");
    }
    out->ops = &k_model_ops;
    out->self = model;
    return CAIRN_OK;
}

/* ---- The callback: what share of a validation was right ---- */

struct accuracy {
    int64_t correct;
    int64_t seen;
};

static cairn_status accuracy_start(void *self, const cairn_event *event, cairn_control *control,
                                   cairn_error *err)
{
    (void)control;
    *(struct accuracy *)self = (struct accuracy){0};
    if (cairn_trainer_model(event->trainer)->ops == &k_model_ops)
        return CAIRN_OK;
    return cairn_error_set(err, CAIRN_ECONFIG, "Accuracy needs the model SpiralClassifier");
}

static cairn_status accuracy_batch(void *self, const cairn_event *event, cairn_control *control,
                                   cairn_error *err)
{
    struct accuracy *const accuracy = self;
    const struct model *const model = cairn_trainer_model(event->trainer)->self;
    (void)control;
    (void)err;
    accuracy->correct += model->correct;
    accuracy->seen += model->seen;
    return CAIRN_OK;
}

static cairn_status accuracy_end(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    const struct accuracy *const accuracy = self;
    (void)control;
    return cairn_trainer_add_metric(event->trainer, "accuracy",
                                    (double)accuracy->correct / (double)accuracy->seen, err);
}

static void accuracy_destroy(void *self)
{
    free(self);
}

static const cairn_callback_ops k_accuracy_ops = {
    .struct_size = sizeof k_accuracy_ops,
    .name = "Accuracy",
    .destroy = accuracy_destroy,
    .on_validate_start = accuracy_start,
    .on_validate_batch_end = accuracy_batch,
    .on_validate_end = accuracy_end,
};

static cairn_status accuracy_new(const void *options, cairn_callback *out, cairn_error *err)
{
    struct accuracy *const accuracy = calloc(1, sizeof *accuracy);
    (void)options;
    if (accuracy == NULL)
        return cairn_error_set(err, CAIRN_ENOMEM, "no memory for a count");
    out->ops = &k_accuracy_ops;
    out->self = accuracy;
    return CAIRN_OK;
}

/* ---- The plugin ---- */

static const cairn_plugin_class k_classes[] = {
    CAIRN_CLASS_MODEL("SpiralClassifier", "A perceptron with one hidden layer.", k_model_rows,
                      struct model_options, model_new),
    CAIRN_CLASS_DATA("SpiralDataProcessor", "Points on the arms of a spiral.", k_spiral_rows,
                     struct spiral_options, spiral_new),
    CAIRN_CLASS_CALLBACK_PLAIN("Accuracy", "The share of a validation that is right.",
                               accuracy_new),
};

static const cairn_plugin k_plugin = {CAIRN_PLUGIN_HEAD, "spiral", k_classes,
                                      sizeof k_classes / sizeof k_classes[0]};

const cairn_plugin *cairn_plugin_get(void)
{
    return &k_plugin;
}
