#include <math.h>

#include "optim/optimizer.h"

double cairn_gradient_norm(cairn_state *model)
{
    size_t count = 0;
    const float *const grad = cairn_state_gradients(model, &count);
    return grad != NULL ? sqrt(crn_sum_of_squares(grad, count)) : 0.0;
}

size_t cairn_gradient_square_count(cairn_state *model)
{
    size_t count = 0;
    (void)cairn_state_gradients(model, &count);
    return crn_square_count(count);
}

double cairn_gradient_norm_kept(cairn_state *model, double *squares)
{
    size_t count = 0;
    const float *const grad = cairn_state_gradients(model, &count);
    return grad != NULL ? sqrt(crn_sum_of_squares_kept(grad, count, squares)) : 0.0;
}

double cairn_gradient_squares(cairn_state *model, const double *squares, const float *first,
                              size_t range)
{
    size_t count = 0;
    const float *const grad = cairn_state_gradients(model, &count);
    return grad != NULL ? crn_sum_of_squares_in(grad, count, squares, (size_t)(first - grad), range)
                        : 0.0;
}

double cairn_sum_of_squares(const float *x, size_t count)
{
    return crn_sum_of_squares(x, count);
}

void cairn_clip_gradients(cairn_state *model, double norm, double max_norm)
{
    /* The small addend is PyTorch's, in clip_grad_norm_. */
    const double scale = max_norm / (norm + 1e-6);
    const float factor = (float)scale;
    size_t count = 0;
    float *const grad = cairn_state_gradients(model, &count);
    if (grad == NULL || !(scale < 1.0))
        return;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++)
        grad[i] *= factor;
}

void cairn_clip_gradient_values(cairn_state *model, double max_value)
{
    const float most = (float)max_value;
    size_t count = 0;
    float *const grad = cairn_state_gradients(model, &count);
    if (grad == NULL)
        return;
#pragma omp parallel for simd schedule(static) if (count > CRN_PARALLEL_FLOATS)
    for (size_t i = 0; i < count; i++) {
        const float g = grad[i];
        const float above = g > most ? most : g; /* NaN passes both. */
        grad[i] = above < -most ? -most : above;
    }
}
