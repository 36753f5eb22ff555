#include "nn/initial.h"

#include <math.h>

#include "base/rng.h"
#include "base/try.h"

enum { DRAWS = 2 }; /* Of 64 bits, from one block of random numbers. */

/* Ratio of two polynomials of degree 7 in r. */
static double ratio(const double over[8], const double under[8], double r)
{
    double a = over[7];
    double b = under[7];
    for (int i = 6; i >= 0; i--) {
        a = a * r + over[i];
        b = b * r + under[i];
    }
    return a / b;
}

double crn_normal_quantile(double p)
{
    /* Coefficients of AS 241: near the middle, in the tails, far out. */
    static const double middle[2][8] = {
        {3.3871328727963666080e0, 1.3314166789178437745e+2, 1.9715909503065514427e+3,
         1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
         3.3430575583588128105e+4, 2.5090809287301226727e+3},
        {1.0, 4.2313330701600911252e+1, 6.8718700749205790830e+2, 5.3941960214247511077e+3,
         2.1213794301586595867e+4, 3.9307895800092710610e+4, 2.8729085735721942674e+4,
         5.2264952788528545610e+3}};
    static const double tail[2][8] = {
        {1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
         3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
         2.27238449892691845833e-2, 7.74545014278341407640e-4},
        {1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
         1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
         1.05075007164441684324e-9}};
    static const double far[2][8] = {
        {6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
         2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
         2.71155556874348757815e-5, 2.01033439929228813265e-7},
        {1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
         7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
         2.04426310338993978564e-15}};
    const double q = p - 0.5;
    if (fabs(q) <= 0.425)
        return q * ratio(middle[0], middle[1], 0.180625 - q * q);
    const double r = sqrt(-log(q < 0.0 ? p : 1.0 - p));
    const double x = r <= 5.0 ? ratio(tail[0], tail[1], r - 1.6) : ratio(far[0], far[1], r - 5.0);
    return q < 0.0 ? -x : x;
}

static double normal_below(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

/*
 * Every kind is a function of one uniform u in (0, 1), first mapped to low + u (high - low): the
 * value itself, or the probability whose quantile is the value.
 */
typedef struct recipe {
    bool is_normal;
    double low;
    double high;
    double mean;
    double std;
    double a; /* Bounds of the result: rounding must not step over them. */
    double b;
} recipe;

static recipe constant(double value)
{
    const recipe made = {.low = value, .high = value, .a = value, .b = value};
    return made;
}

static recipe uniform(double a, double b)
{
    const recipe made = {.low = a, .high = b, .a = a, .b = b};
    return made;
}

static recipe normal(double mean, double std)
{
    const recipe made = {
        .is_normal = true, .high = 1.0, .mean = mean, .std = std, .a = -HUGE_VAL, .b = HUGE_VAL};
    return made;
}

static recipe truncated_normal(const cairn_initializer *from)
{
    const bool has_bounds = from->a != 0.0 || from->b != 0.0;
    recipe made = normal(from->mean, from->std);
    made.a = has_bounds ? from->a : from->mean - 2.0 * from->std;
    made.b = has_bounds ? from->b : from->mean + 2.0 * from->std;
    if (from->std > 0.0) {
        made.low = normal_below((made.a - from->mean) / from->std);
        made.high = normal_below((made.b - from->mean) / from->std);
    }
    return made;
}

static cairn_status find_recipe(const cairn_tensor *tensor, const cairn_initializer *from,
                                recipe *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const double fans = (double)(tensor->shape[0] + tensor->shape[tensor->rank - 1]);
    switch (from->kind) {
    case CAIRN_INIT_CONSTANT:
        *out = constant(from->value);
        break;
    case CAIRN_INIT_ZEROS:
        *out = constant(0.0);
        break;
    case CAIRN_INIT_ONES:
        *out = constant(1.0);
        break;
    case CAIRN_INIT_NORMAL:
        *out = normal(from->mean, from->std);
        break;
    case CAIRN_INIT_TRUNCATED_NORMAL:
        *out = truncated_normal(from);
        break;
    case CAIRN_INIT_UNIFORM:
        *out = uniform(from->a, from->b);
        break;
    case CAIRN_INIT_XAVIER_UNIFORM:
        *out = uniform(-from->gain * sqrt(6.0 / fans), from->gain * sqrt(6.0 / fans));
        break;
    case CAIRN_INIT_XAVIER_NORMAL:
        *out = normal(0.0, from->gain * sqrt(2.0 / fans));
        break;
    case CAIRN_INIT_DEFAULT:
    default:
        CRN_FAIL(err, CAIRN_EBUG, "'%s' has no initializer", tensor->name);
    }
    if (!(out->a <= out->b) || !(out->std >= 0.0))
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "initializer of '%s': no number lies between a = %g and b = %g with std = %g",
                 tensor->name, out->a, out->b, out->std);
out:
    return rc;
}

static double draw(const recipe *how, double u)
{
    double x = how->low + u * (how->high - how->low);
    if (how->is_normal && how->std > 0.0) {
        /* Bounds far out in one tail leave no room between 0 and 1: the quantile is infinite
         * there, and the clamp below gives the bound. */
        x = how->mean + how->std * crn_normal_quantile(x);
    } else if (how->is_normal) {
        x = how->mean;
    }
    x = x < how->a ? how->a : x;
    return x > how->b ? how->b : x;
}

/* Elements [first, first + count); first is even. */
static void fill(const recipe *how, uint64_t seed, uint64_t number, int64_t first, int64_t count,
                 float *out)
{
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; i += DRAWS) {
        uint32_t words[4];
        crn_philox(seed, CRN_STREAM_INIT, number, (uint64_t)((first + i) / DRAWS), words);
        out[i] = (float)draw(how, crn_uniform_f64(words[0], words[1]));
        if (i + 1 < count)
            out[i + 1] = (float)draw(how, crn_uniform_f64(words[2], words[3]));
    }
}

cairn_status crn_initialize(cairn_state_tree *tree, const cairn_tensor *tensor,
                            const cairn_initializer *initializer, uint64_t seed, uint64_t number,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    recipe how;
    CRN_TRY_PLAIN(find_recipe(tensor, initializer, &how, err));
    for (uint64_t offset = 0; offset < tensor->bytes; offset += CAIRN_WRITE_TILE_BYTES) {
        const uint64_t left = tensor->bytes - offset;
        const uint64_t bytes = left < CAIRN_WRITE_TILE_BYTES ? left : CAIRN_WRITE_TILE_BYTES;
        float *const out = cairn_tensor_write_begin(tree, tensor, offset, bytes);
        fill(&how, seed, number, (int64_t)(offset / sizeof *out), (int64_t)(bytes / sizeof *out),
             out);
        cairn_tensor_write_end(tree, tensor, offset, bytes);
    }
out:
    return rc;
}
