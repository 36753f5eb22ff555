/*
 * Adafactor (Shazeer and Stern 2018): of matrices it keeps the second moments of rows and columns
 * only. A tensor of more axes is a list of matrices, its last two axes; one of fewer keeps the
 * moments of its elements.
 */
#include <math.h>

#include "base/try.h"
#include "optim/optimizer.h"

enum { BLOCK_COLUMNS = 64 };

struct scalars {
    float beta2; /* of this step */
    float one_minus_beta2;
    float beta1; /* negative: no first moment */
    float one_minus_beta1;
    float eps;
    double least_size; /* negative: the size of parameters does not matter */
    double threshold;
    double learning_rate;
    double weight_decay;
};
_Static_assert(sizeof(struct scalars) <= CRN_SCALARS_BYTES, "a group's room is too small");

/* What an element's update is computed from; g times two factors, or g over one root. */
struct direction {
    const float *p;
    const float *g;
    const float *square; /* [count] of a vector; else NULL */
    const float *row;    /* [matrices][rows], factors */
    const float *col;    /* [matrices][cols] */
    size_t rows;
    size_t cols;
    /* For the update of the parameter only. */
    float rate;
    float keep;
    float beta1;
    float one_minus_beta1;
};

static bool is_factored(const cairn_tensor *param)
{
    return param->rank >= 2;
}

static size_t moments(const void *options, const cairn_tensor *param,
                      crn_moment out[CRN_MOMENTS_MAX])
{
    const cairn_adafactor_options *const o = options;
    size_t count = 0;
    if (is_factored(param)) {
        out[count++] = (crn_moment){.name = "exp_avg_sq_row", .dropped_axis = 1};
        out[count++] = (crn_moment){.name = "exp_avg_sq_col", .dropped_axis = 2};
    } else {
        out[count++].name = "exp_avg_sq";
    }
    if (o->beta1.is_set)
        out[count++].name = "exp_avg";
    return count;
}

static const cairn_tensor *first_moment(const crn_slot *slot)
{
    const size_t others = is_factored(slot->param) ? 2 : 1;
    return slot->moment_count > others ? slot->moment[others] : NULL;
}

/* A mean for every row and every column. */
static uint64_t scratch(const cairn_tensor *param)
{
    uint64_t matrices = 1;
    if (!is_factored(param))
        return 0;
    for (int axis = 0; axis < param->rank - 2; axis++)
        matrices *= (uint64_t)param->shape[axis];
    return matrices * (uint64_t)(param->shape[param->rank - 2] + param->shape[param->rank - 1]);
}

static void advance(const void *options, double counters[CRN_COUNTERS_MAX])
{
    (void)options;
    counters[0] += 1.0;
}

/* Shazeer and Stern 2018, algorithm 5; PyTorch-Fairseq's names and warm-up. */
static double rate(const void *options, const double counters[CRN_COUNTERS_MAX])
{
    const cairn_adafactor_options *const o = options;
    const double most = o->warmup_init ? 1e-6 * counters[0] : 1e-2;
    return o->relative_step ? fmin(most, 1.0 / sqrt(counters[0])) : o->lr.value;
}

static void prepare(const void *options, const double counters[CRN_COUNTERS_MAX],
                    double learning_rate, double weight_decay, void *scalars)
{
    const cairn_adafactor_options *const o = options;
    struct scalars *const k = scalars;
    const double beta2 = 1.0 - pow(counters[0], o->decay_rate);
    *k = (struct scalars){
        .beta2 = (float)beta2,
        .one_minus_beta2 = (float)(1.0 - beta2),
        .beta1 = o->beta1.is_set ? (float)o->beta1.value : -1.0f,
        .one_minus_beta1 = o->beta1.is_set ? (float)(1.0 - o->beta1.value) : 0.0f,
        .eps = (float)o->eps.first,
        .least_size = o->scale_parameter ? o->eps.second : -1.0,
        .threshold = o->clip_threshold,
        .learning_rate = learning_rate,
        .weight_decay = weight_decay,
    };
}

/* ---- Second moments ---- */

/* out[r] = mean over the row of g^2 + eps */
static void row_means(const float *g, size_t rows, size_t cols, float eps, float *out)
{
#pragma omp parallel for schedule(static) if (rows * cols > CRN_PARALLEL_FLOATS)
    for (size_t r = 0; r < rows; r++) {
        double sum = 0.0;
        for (size_t c = 0; c < cols; c++)
            sum += (double)(g[r * cols + c] * g[r * cols + c] + eps);
        out[r] = (float)(sum / (double)cols);
    }
}

/* out[c] = mean over the column of g^2 + eps */
static void col_means(const float *g, size_t rows, size_t cols, float eps, float *out)
{
    const size_t blocks = (cols + BLOCK_COLUMNS - 1) / BLOCK_COLUMNS;
#pragma omp parallel for schedule(static) if (rows * cols > CRN_PARALLEL_FLOATS)
    for (size_t block = 0; block < blocks; block++) {
        double sum[BLOCK_COLUMNS] = {0};
        const size_t first = block * BLOCK_COLUMNS;
        const size_t left = cols - first;
        const size_t width = left < BLOCK_COLUMNS ? left : BLOCK_COLUMNS;
        for (size_t r = 0; r < rows; r++) {
            const float *const x = g + r * cols + first;
            for (size_t c = 0; c < width; c++)
                sum[c] += (double)(x[c] * x[c] + eps);
        }
        for (size_t c = 0; c < width; c++)
            out[first + c] = (float)(sum[c] / (double)rows);
    }
}

/* p = beta2 p + (1 - beta2) g, where g are means */
static void update_means(const crn_tile *tile, const void *scalars)
{
    const struct scalars *const k = scalars;
    for (size_t i = 0; i < tile->count; i++)
        tile->p[i] = k->beta2 * tile->p[i] + k->one_minus_beta2 * tile->g[i];
}

static void update_squares(const crn_tile *tile, const void *scalars)
{
    const struct scalars *const k = scalars;
    for (size_t i = 0; i < tile->count; i++)
        tile->p[i] =
            k->beta2 * tile->p[i] + k->one_minus_beta2 * (tile->g[i] * tile->g[i] + k->eps);
}

/* The factors 1 / sqrt(row / mean of the rows) of one matrix, and 1 / sqrt(col). */
static void factors(const float *row, size_t rows, const float *col, size_t cols, float *out_row,
                    float *out_col)
{
    double sum = 0.0;
    for (size_t r = 0; r < rows; r++)
        sum += (double)row[r];
    const double mean = sum / (double)rows;
    for (size_t r = 0; r < rows; r++)
        out_row[r] = (float)(1.0 / sqrt((double)row[r] / mean));
    for (size_t c = 0; c < cols; c++)
        out_col[c] = (float)(1.0 / sqrt((double)col[c]));
}

/* Updates the moments of a slot and fills what its elements' updates are computed from. */
static void second_moments(crn_optimizer *optimizer, cairn_state_tree *tree, const crn_slot *slot,
                           const struct scalars *k, struct direction *out)
{
    const cairn_tensor *const param = slot->param;
    const size_t count = (size_t)cairn_tensor_elements(param);
    out->p = param->data;
    out->g = param->grad;
    if (!is_factored(param)) {
        crn_update_tensor(tree, slot->moment[0], param->grad, update_squares, k);
        out->square = slot->moment[0]->data;
        return;
    }
    const size_t rows = (size_t)param->shape[param->rank - 2];
    const size_t cols = (size_t)param->shape[param->rank - 1];
    const size_t matrices = count / (rows * cols);
    float *const row = optimizer->scratch;
    float *const col = row + matrices * rows;
    for (size_t i = 0; i < matrices; i++) {
        row_means(param->grad + i * rows * cols, rows, cols, k->eps, row + i * rows);
        col_means(param->grad + i * rows * cols, rows, cols, k->eps, col + i * cols);
    }
    crn_update_tensor(tree, slot->moment[0], row, update_means, k);
    crn_update_tensor(tree, slot->moment[1], col, update_means, k);
    const float *const row_moment = slot->moment[0]->data;
    const float *const col_moment = slot->moment[1]->data;
    for (size_t i = 0; i < matrices; i++)
        factors(row_moment + i * rows, rows, col_moment + i * cols, cols, row + i * rows,
                col + i * cols);
    out->row = row;
    out->col = col;
    out->rows = rows;
    out->cols = cols;
}

/* ---- Updates ---- */

/* The update of elements [first, first + count), before it is clipped. */
static void directions(const struct direction *d, size_t first, size_t count, float *out)
{
    const float *const g = d->g + first;
    if (d->square != NULL) {
        for (size_t i = 0; i < count; i++)
            out[i] = g[i] / sqrtf(d->square[first + i]);
        return;
    }
    for (size_t i = 0; i < count;) {
        const size_t r = (first + i) / d->cols;
        const size_t c = (first + i) % d->cols;
        const size_t in_row = d->cols - c;
        const size_t width = in_row < count - i ? in_row : count - i;
        const float *const col = d->col + r / d->rows * d->cols + c;
        for (size_t j = 0; j < width; j++)
            out[i + j] = g[i + j] * (d->row[r] * col[j]);
        i += width;
    }
}

enum { PIECE = 1024 };

static double chunk_of_direction(const void *what, size_t first, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i += PIECE) {
        float u[PIECE];
        const size_t size = count - i < PIECE ? count - i : PIECE;
        directions(what, first + i, size, u);
        for (size_t j = 0; j < size; j++)
            sum += (double)u[j] * (double)u[j];
    }
    return sum;
}

/* One tile; its first moment, if there is one, is tile.m[0]. */
static void update_params(const crn_tile *tile, const struct direction *d)
{
    const size_t start = (size_t)(tile->p - d->p);
    const size_t pieces = (tile->count + PIECE - 1) / PIECE;
#pragma omp parallel for schedule(static) if (tile->count > CRN_PARALLEL_FLOATS)
    for (size_t piece = 0; piece < pieces; piece++) {
        float u[PIECE];
        const size_t first = piece * PIECE;
        const size_t size = tile->count - first < PIECE ? tile->count - first : PIECE;
        float *const p = tile->p + first;
        directions(d, start + first, size, u);
        for (size_t i = 0; i < size; i++)
            u[i] *= d->rate;
        if (tile->m[0] != NULL) {
            float *const m = tile->m[0] + first;
            for (size_t i = 0; i < size; i++)
                u[i] = m[i] = d->beta1 * m[i] + d->one_minus_beta1 * u[i];
        }
        for (size_t i = 0; i < size; i++)
            p[i] = d->keep * p[i] - u[i];
    }
}

static void update_tile(const crn_tile *tile, const void *what)
{
    update_params(tile, what);
}

static cairn_status step_tensor(crn_optimizer *optimizer, cairn_state_tree *tree,
                                const crn_slot *slot, const void *scalars, cairn_error *err)
{
    const struct scalars *const k = scalars;
    const size_t count = (size_t)cairn_tensor_elements(slot->param);
    struct direction d = {.beta1 = k->beta1, .one_minus_beta1 = k->one_minus_beta1};
    const cairn_tensor *const mean = first_moment(slot);
    /* The moments of the slot are of other shapes; the tiles are those of parameter and mean. */
    const crn_slot tiles = {
        .param = slot->param, .moment = {mean}, .moment_count = mean != NULL ? 1 : 0};
    double rate = k->learning_rate;
    (void)err;
    if (count == 0)
        return CAIRN_OK;
    if (k->least_size >= 0.0)
        rate *=
            fmax(k->least_size, sqrt(crn_sum_of_squares(slot->param->data, count) / (double)count));
    second_moments(optimizer, tree, slot, k, &d);
    const double rms = sqrt(crn_sum_chunks(count, chunk_of_direction, &d) / (double)count);
    d.rate = (float)(rate / fmax(1.0, rms / k->threshold));
    d.keep = (float)(1.0 - rate * k->weight_decay);
    crn_update_tiles(tree, &tiles, true, true, update_tile, &d);
    return CAIRN_OK;
}

static const crn_optimizer_class k_adafactor = {
    .ops = CRN_OPTIMIZER_OPS("Adafactor", crn_optimizer_weight_decay),
    .section = "adafactor",
    .moments = moments,
    .counters = {{.name = "step", .is_count = true}},
    .advance = advance,
    .rate = rate,
    .prepare = prepare,
    .step_tensor = step_tensor,
    .scratch = scratch,
};

cairn_status cairn_adafactor_new(const cairn_adafactor_options *options, cairn_optimizer *out,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (options->lr.is_set == options->relative_step)
        CRN_FAIL(err, CAIRN_ECONFIG, "Adafactor needs lr or relative_step: true, and not both");
    if (options->warmup_init && !options->relative_step)
        CRN_FAIL(err, CAIRN_ECONFIG, "Adafactor: warmup_init needs relative_step: true");
    CRN_TRY_PLAIN(crn_optimizer_new(&k_adafactor, options, options->lr.value, options->weight_decay,
                                    out, err));
out:
    return rc;
}
