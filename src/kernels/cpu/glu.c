#include "kernels/cpu/vecmath.h"
#include "kernels/kernels.h"

/* act(g) and its slope. */
static inline void gate_of(crn_gate kind, float g, float *out_value, float *out_slope)
{
    float e = 0.0F;
    float tail = 0.0F;
    switch (kind) {
    case CRN_GATE_GELU:
        tail = crn_normal_tail(g, &e);
        tail = g < 0.0F ? tail : 1.0F - tail;
        *out_value = g * tail;
        *out_slope = tail + g * 0.398942280F * e;
        return;
    case CRN_GATE_RELU:
        *out_value = g < 0.0F ? 0.0F : g;
        *out_slope = g > 0.0F ? 1.0F : 0.0F;
        return;
    case CRN_GATE_SILU:
        tail = 1.0F / (1.0F + crn_expf(-g));
        *out_value = g * tail;
        *out_slope = tail * (1.0F + g * (1.0F - tail));
        return;
    case CRN_GATE_LINEAR:
    default:
        *out_value = g;
        *out_slope = 1.0F;
        return;
    }
}

/* The kind is a constant where this is called, so that each loop becomes vector code. */
static inline void forward(int64_t count, crn_gate kind, const float *x, const float *gate,
                           float *y)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++) {
        float value = 0.0F;
        float slope = 0.0F;
        gate_of(kind, gate[i], &value, &slope);
        y[i] = x[i] * value;
    }
}

void crn_glu(int64_t count, crn_gate kind, const float *x, const float *gate, float *y)
{
    switch (kind) {
    case CRN_GATE_GELU:
        forward(count, CRN_GATE_GELU, x, gate, y);
        return;
    case CRN_GATE_RELU:
        forward(count, CRN_GATE_RELU, x, gate, y);
        return;
    case CRN_GATE_SILU:
        forward(count, CRN_GATE_SILU, x, gate, y);
        return;
    case CRN_GATE_LINEAR:
    default:
        forward(count, CRN_GATE_LINEAR, x, gate, y);
        return;
    }
}

static inline void backward(int64_t count, crn_gate kind, const float *x, const float *gate,
                            const float *dy, float keep_dx, float *dx, float keep_dgate,
                            float *dgate)
{
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < count; i++) {
        float value = 0.0F;
        float slope = 0.0F;
        gate_of(kind, gate[i], &value, &slope);
        const float to_x = dy[i] * value;
        const float to_gate = dy[i] * x[i] * slope;
        dx[i] = keep_dx > 0.0F ? dx[i] + to_x : to_x; /* Old content may be anything. */
        dgate[i] = keep_dgate > 0.0F ? dgate[i] + to_gate : to_gate;
    }
}

void crn_glu_backward(int64_t count, crn_gate kind, const float *x, const float *gate,
                      const float *dy, bool adds_dx, float *dx, bool adds_dgate, float *dgate)
{
    const float keep_dx = adds_dx ? 1.0F : 0.0F;
    const float keep_dgate = adds_dgate ? 1.0F : 0.0F;
    switch (kind) {
    case CRN_GATE_GELU:
        backward(count, CRN_GATE_GELU, x, gate, dy, keep_dx, dx, keep_dgate, dgate);
        return;
    case CRN_GATE_RELU:
        backward(count, CRN_GATE_RELU, x, gate, dy, keep_dx, dx, keep_dgate, dgate);
        return;
    case CRN_GATE_SILU:
        backward(count, CRN_GATE_SILU, x, gate, dy, keep_dx, dx, keep_dgate, dgate);
        return;
    case CRN_GATE_LINEAR:
    default:
        backward(count, CRN_GATE_LINEAR, x, gate, dy, keep_dx, dx, keep_dgate, dgate);
        return;
    }
}
