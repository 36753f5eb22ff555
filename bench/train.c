/*
 * The speed of a training step beside the bound that the matrix library sets.
 *
 *     bench-train [--batch B] [--time T] [--steps N] [--layers L] [--hidden C] [--vocab V]
 *                 [--window W] [--llama] [--gradient_checkpointing] [--bf16] [--json]
 *
 * GPT-2 (tied, learned positions, GELU), or with --llama RMSNorm, rotary positions, SwiGLU of 8/3 C
 * and an output layer of its own; with --window each token sees the W tokens before it; with
 * --gradient_checkpointing each layer is computed again before its gradients.
 *
 * The bound, measured in the same run and interleaved with the steps: the three fp32 products of
 * every linear layer and of the output layer (y = x W', dx = dy W, dW += dy' x) by dnnl_sgemm, on
 * matrices of their own of the sizes of the step, with random numbers. Attention, norms, the
 * softmax and the optimizer are not in it, so that no step can be faster. With --bf16 the products
 * are oneDNN's of bfloat16 factors where the processor has a unit for them; where they are emulated
 * the bound is that of fp32.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <oneapi/dnnl/dnnl.h>

#include "cairn/model.h"
#include "cairn/optim.h"
#include "kernels/kernels.h"

enum { WARM_UP = 2, STEPS_MAX = 1000 };

struct settings {
    int64_t batch;
    int64_t time;
    int64_t layers;
    int64_t hidden;
    int64_t vocab;
    int64_t window; /* 0: none */
    int steps;
    bool is_llama;
    bool is_bf16;
    bool is_checkpointed; /* its layers */
    bool is_json;
};

/* Columns of the feed-forward layers; Llama's, which has three of them, in whole tiles. */
static int64_t filter_of(const struct settings *s)
{
    enum { TILE = 64 };
    return s->is_llama ? (s->hidden * 8 / 3 + TILE - 1) / TILE * TILE : 4 * s->hidden;
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fail(const char *what)
{
    (void)fprintf(stderr, "bench-train: %s\n", what);
    exit(1);
}

static void check(cairn_status status, const cairn_error *err)
{
    char text[1024];
    if (status == CAIRN_OK)
        return;
    (void)cairn_error_format(err, text, sizeof text);
    fail(text);
}

static uint32_t draw(uint32_t *state)
{
    *state = *state * 1664525U + 1013904223U; /* Numerical Recipes' generator */
    return *state >> 8;
}

static float *random_floats(size_t count, uint32_t seed)
{
    float *const data = aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64);
    if (data == NULL)
        fail("no memory");
    for (size_t i = 0; i < count; i++)
        data[i] = ((float)draw(&seed) / 8388608.0F - 1.0F) * 0.02F;
    return data;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

/* ---- The bound ---- */

/* One linear layer: y[M][N] = x[M][K] W[N][K]'. */
struct product {
    int64_t n;
    int64_t k;
    int64_t count;
};

struct bound {
    struct product products[4];
    int64_t m;
    float *x;
    float *y;
    float *w;
    float *dw;
    crn_bf16_gemms *gemms; /* NULL: fp32 */
    crn_bf16 *x_half;      /* the same numbers */
    crn_bf16 *y_half;
    crn_bf16 *w_half;
};

static crn_bf16 *halves(size_t count, const float *from)
{
    crn_bf16 *const data = malloc(count * sizeof *data);
    if (data == NULL)
        fail("no memory");
    crn_to_bf16((int64_t)count, from, data);
    return data;
}

/* Where the processor has a unit for bfloat16. */
static void bound_use_bf16(struct bound *b, size_t x, size_t y, size_t weights)
{
    cairn_error err = {0};
    check(crn_bf16_gemms_new(&b->gemms, &err), &err);
    if (crn_bf16_gemms_unit(b->gemms) != CRN_BF16_NATIVE) {
        crn_bf16_gemms_destroy(b->gemms);
        b->gemms = NULL;
        return;
    }
    b->x_half = halves(x, b->x);
    b->y_half = halves(y, b->y);
    b->w_half = halves(weights, b->w);
}

static void bound_make(const struct settings *s, struct bound *b)
{
    const int64_t c = s->hidden;
    const int64_t filter = filter_of(s);
    const struct product products[4] = {{c, c, 4 * s->layers},
                                        {filter, c, (s->is_llama ? 2 : 1) * s->layers},
                                        {c, filter, s->layers},
                                        {s->vocab, c, 1}};
    size_t weights = 0;
    memcpy(b->products, products, sizeof products);
    b->m = s->batch * s->time;
    for (int i = 0; i < 4; i++)
        weights += (size_t)(products[i].n * products[i].k * products[i].count);
    const int64_t widest = s->vocab > filter ? s->vocab : filter;
    b->x = random_floats((size_t)(b->m * filter), 1);
    b->y = random_floats((size_t)(b->m * widest), 2);
    b->w = random_floats(weights, 3);
    b->dw = random_floats(weights, 4);
    if (s->is_bf16)
        bound_use_bf16(b, (size_t)(b->m * filter), (size_t)(b->m * widest), weights);
}

static double bound_flops(const struct bound *b)
{
    double flops = 0.0;
    for (int i = 0; i < 4; i++) {
        const struct product *const p = &b->products[i];
        flops += 6.0 * (double)b->m * (double)p->n * (double)p->k * (double)p->count;
    }
    return flops;
}

static void products_in_fp32(const struct bound *b, const struct product *p, size_t at)
{
    const float *const w = b->w + at;
    if (dnnl_sgemm('N', 'T', b->m, p->n, p->k, 1.0F, b->x, p->k, w, p->k, 0.0F, b->y, p->n) !=
            dnnl_success ||
        dnnl_sgemm('N', 'N', b->m, p->k, p->n, 1.0F, b->y, p->n, w, p->k, 0.0F, b->x, p->k) !=
            dnnl_success ||
        dnnl_sgemm('T', 'N', p->n, p->k, b->m, 1e-3F, b->y, p->n, b->x, p->k, 0.0F, b->dw + at,
                   p->k) != dnnl_success)
        fail("oneDNN refuses a product");
}

static crn_bf16_matrix half_matrix(const crn_bf16 *data, int64_t stride, bool is_transposed)
{
    return (crn_bf16_matrix){.data = data, .stride = stride, .is_transposed = is_transposed};
}

static void products_in_bf16(const struct bound *b, const struct product *p, size_t at)
{
    cairn_error err = {0};
    const crn_bf16 *const w = b->w_half + at;
    const crn_bf16_matrix y = half_matrix(b->y_half, p->n, false);
    const crn_bf16_matrix y_turned = half_matrix(b->y_half, p->n, true);
    const crn_bf16_matrix x = half_matrix(b->x_half, p->k, false);
    check(crn_bf16_gemm(b->gemms, b->m, p->n, p->k, x, half_matrix(w, p->k, true), false, b->y,
                        p->n, &err),
          &err);
    check(crn_bf16_gemm(b->gemms, b->m, p->k, p->n, y, half_matrix(w, p->k, false), false, b->x,
                        p->k, &err),
          &err);
    check(crn_bf16_gemm(b->gemms, p->n, p->k, b->m, y_turned, x, false, b->dw + at, p->k, &err),
          &err);
}

static double bound_run(const struct bound *b)
{
    const double start = now();
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        const struct product *const p = &b->products[i];
        for (int64_t j = 0; j < p->count; j++) {
            if (b->gemms != NULL)
                products_in_bf16(b, p, at);
            else
                products_in_fp32(b, p, at);
            at += (size_t)(p->n * p->k);
        }
    }
    return now() - start;
}

/* ---- The step ---- */

struct training {
    cairn_model model;
    cairn_optimizer optimizer;
    cairn_state_tree *tree;
    cairn_state *state;
    cairn_batch batch;
    uint64_t step;
};

static cairn_gpt2_options model_options(const struct settings *s)
{
    cairn_gpt2_options options = cairn_gpt2_options_default();
    options.vocab_size = s->vocab;
    options.hidden_size = s->hidden;
    options.filter_size = filter_of(s);
    options.num_heads = s->hidden / 64;
    options.num_hidden_layers = s->layers;
    options.max_position_embeddings = s->time > 1024 ? s->time : 1024;
    options.dropout_rate = 0.0;
    options.gradient_checkpointing = s->is_checkpointed;
    if (s->window > 0)
        options.attention_sliding_window_length =
            (cairn_opt_int){.is_set = true, .value = s->window};
    if (s->is_llama) {
        options.norm_type = "rmsnorm";
        options.nonlinearity = "swiglu";
        options.position_embedding_type = "rotary";
        options.rotary_dim = (cairn_opt_int){.is_set = true, .value = 64};
        options.share_embedding_weights = false;
        options.use_projection_bias_in_attention = false;
        options.use_ffn_bias_in_attention = false;
        options.use_ffn_bias = false;
    }
    return options;
}

static void training_make(const struct settings *s, struct training *t)
{
    cairn_error err = {0};
    const cairn_gpt2_options options = model_options(s);
    const cairn_adamw_options adamw = cairn_adamw_options_default();
    cairn_state *moments = NULL;
    cairn_param_groups *groups = NULL;
    const char *note = NULL;
    uint32_t seed = 7;
    check(cairn_gpt2_new(&options, &t->model, &err), &err);
    if (s->is_bf16)
        check(t->model.ops->use_bf16(t->model.self, &note, &err), &err);
    if (note != NULL)
        (void)fprintf(stderr, "bench-train: %s\n", note);
    check(cairn_adamw_new(&adamw, &t->optimizer, &err), &err);
    check(cairn_state_tree_new(&t->tree, &err), &err);
    check(cairn_state_tree_add(t->tree, "model", &t->state, &err), &err);
    check(cairn_state_tree_add(t->tree, "optimizer", &moments, &err), &err);
    check(t->model.ops->declare(t->model.self, t->state, &err), &err);
    check(cairn_param_groups_new(t->state, NULL, 0, &groups, &err), &err);
    check(t->optimizer.ops->declare(t->optimizer.self, t->state, groups, moments, &err), &err);
    cairn_param_groups_destroy(groups);
    check(cairn_state_tree_allocate(t->tree, &err), &err);
    check(cairn_state_allocate_gradients(t->state, &err), &err);
    check(t->model.ops->initialize(t->model.self, t->tree, 1, &err), &err);
    check(t->optimizer.ops->reset(t->optimizer.self, t->tree, &err), &err);
    int32_t *const ids = malloc((size_t)(s->batch * s->time) * 2 * sizeof *ids);
    if (ids == NULL)
        fail("no memory");
    for (int64_t i = 0; i < 2 * s->batch * s->time; i++)
        ids[i] = (int32_t)(draw(&seed) % (uint32_t)s->vocab);
    t->batch = (cairn_batch){.struct_size = sizeof t->batch, .samples = s->batch, .field_count = 2};
    for (int i = 0; i < 2; i++)
        t->batch.field[i] = (cairn_batch_field){.name = i == 0 ? "input_ids" : "labels",
                                                .dtype = CAIRN_DTYPE_I32,
                                                .rank = 2,
                                                .shape = {s->batch, s->time},
                                                .data = ids + i * s->batch * s->time};
}

/* MiB of activations, as the model plans them. */
static double planned_mib(const struct training *t)
{
    cairn_error err = {0};
    uint64_t bytes = 0;
    check(t->model.ops->memory(t->model.self, &t->batch, true, &bytes, &err), &err);
    return (double)bytes / 1048576.0;
}

/* Seconds of loss and gradients, and of the update. */
static void training_step(struct training *t, double *out_compute, double *out_update)
{
    cairn_error err = {0};
    cairn_loss loss = {0};
    size_t floats = 0;
    const double rates[] = {1e-4, 1e-4}; /* of the decayed group and the other */
    const double decays[] = {0.01, 0.0};
    const cairn_pass pass = {.struct_size = sizeof pass,
                             .is_training = true,
                             .seed = 1,
                             .step = t->step++,
                             .loss_scale = 1.0F};
    const double start = now();
    float *const gradients = cairn_state_gradients(t->state, &floats);
    memset(gradients, 0, floats * sizeof *gradients);
    check(t->model.ops->compute(t->model.self, &t->batch, &pass, &loss, &err), &err);
    const double middle = now();
    (void)cairn_gradient_norm(t->state);
    check(t->optimizer.ops->step(t->optimizer.self, t->tree, rates, decays, &err), &err);
    *out_compute = middle - start;
    *out_update = now() - middle;
    if (!isfinite(loss.loss))
        fail("the loss is not finite");
}

/* ---- The whole ---- */

static int64_t number(const char *text)
{
    char *end = NULL;
    const long value = strtol(text, &end, 10);
    if (*end != '\0' || value < 1)
        fail("options take numbers from 1 up");
    return value;
}

static struct settings read_settings(int argc, char **argv)
{
    struct settings s = {
        .batch = 4, .time = 64, .layers = 12, .hidden = 768, .vocab = 50257, .steps = 5};
    for (int i = 1; i < argc; i++) {
        const char *const name = argv[i];
        if (strcmp(name, "--json") == 0) {
            s.is_json = true;
            continue;
        }
        if (strcmp(name, "--llama") == 0) {
            s.is_llama = true;
            continue;
        }
        if (strcmp(name, "--bf16") == 0) {
            s.is_bf16 = true;
            continue;
        }
        if (strcmp(name, "--gradient_checkpointing") == 0) {
            s.is_checkpointed = true;
            continue;
        }
        if (i + 1 == argc)
            fail("an option lacks its value");
        const int64_t value = number(argv[++i]);
        if (strcmp(name, "--batch") == 0)
            s.batch = value;
        else if (strcmp(name, "--time") == 0)
            s.time = value;
        else if (strcmp(name, "--layers") == 0)
            s.layers = value;
        else if (strcmp(name, "--hidden") == 0)
            s.hidden = value;
        else if (strcmp(name, "--vocab") == 0)
            s.vocab = value;
        else if (strcmp(name, "--window") == 0)
            s.window = value;
        else if (strcmp(name, "--steps") == 0)
            s.steps = value < STEPS_MAX ? (int)value : STEPS_MAX;
        else
            fail("unknown option");
    }
    return s;
}

int main(int argc, char **argv)
{
    const struct settings s = read_settings(argc, argv);
    struct training training = {0};
    struct bound bound = {0};
    struct rusage usage;
    static double steps[STEPS_MAX];
    static double computes[STEPS_MAX];
    static double updates[STEPS_MAX];
    static double bounds[STEPS_MAX];
    training_make(&s, &training);
    const double activations = planned_mib(&training);
    for (int i = 0; i < WARM_UP; i++)
        training_step(&training, &computes[0], &updates[0]);
    (void)getrusage(RUSAGE_SELF, &usage); /* before the bound takes memory of its own */
    const double peak = (double)usage.ru_maxrss / 1024.0;
    bound_make(&s, &bound);
    (void)bound_run(&bound);
    for (int i = 0; i < s.steps; i++) {
        bounds[i] = bound_run(&bound);
        training_step(&training, &computes[i], &updates[i]);
        steps[i] = computes[i] + updates[i];
    }
    const double step = median(steps, s.steps);
    const double least = median(bounds, s.steps);
    const double tokens = (double)(s.batch * s.time);
    const double compute = median(computes, s.steps);
    const double update = median(updates, s.steps);
    const char *const type = bound.gemms != NULL ? "bf16" : "fp32";
    if (s.is_json)
        printf(
            "{\"batch\":%lld,\"time\":%lld,\"layers\":%lld,\"hidden\":%lld,\"vocab\":%lld,"
            "\"step_s\":%.6f,\"compute_s\":%.6f,\"update_s\":%.6f,\"bound_s\":%.6f,"
            "\"bound_type\":\"%s\",\"tokens_per_s\":%.2f,\"share_of_bound\":%.4f,\"gflops\":%.2f,"
            "\"peak_mib\":%.1f,\"activations_mib\":%.2f}\n",
            (long long)s.batch, (long long)s.time, (long long)s.layers, (long long)s.hidden,
            (long long)s.vocab, step, compute, update, least, type, tokens / step, least / step,
            bound_flops(&bound) / least * 1e-9, peak, activations);
    else
        printf("B=%lld T=%lld: step %.1f ms (loss and gradients %.1f, norm and update %.1f), "
               "%.1f tokens/s; products alone in %s %.1f ms (%.0f GFLOP/s): share %.3f; peak %.0f "
               "MiB, "
               "of which activations %.0f MiB\n",
               (long long)s.batch, (long long)s.time, 1e3 * step, 1e3 * compute, 1e3 * update,
               tokens / step, type, 1e3 * least, bound_flops(&bound) / least * 1e-9, least / step,
               peak, activations);
    return 0;
}
