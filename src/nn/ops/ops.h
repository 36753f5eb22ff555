/*
 * The operations that a model records. Each returns its output, or CRN_VALUE_NONE once recording
 * has failed (then crn_tape_plan says why). Formulas: kernels/kernels.h.
 */
#ifndef CRN_NN_OPS_OPS_H
#define CRN_NN_OPS_OPS_H

#include "kernels/kernels.h"
#include "nn/tape.h"

/* words[ids] + positions: [B * T][C]. @ids is an input, int32 [B][T]; no positions:
 * CRN_VALUE_NONE. */
crn_value crn_op_embedding(crn_tape *tape, crn_value ids, crn_value words, crn_value positions,
                           int64_t batch, int64_t time);

/* x[R][I] weight[O][I]^T + bias[O]; no bias: CRN_VALUE_NONE. A tied output layer gives the
 * embedding as weight. */
crn_value crn_op_linear(crn_tape *tape, crn_value x, crn_value weight, crn_value bias);

/* A copy of x in bfloat16 without a gradient, one however often it is asked for. Products on a tape
 * with crn_tape_use_bf16 read it. */
crn_value crn_op_bf16(crn_tape *tape, crn_value x);

/* base[R][O] + factor x[R][I] weight[O][I]^T */
crn_value crn_op_add_product(crn_tape *tape, crn_value base, crn_value x, crn_value weight,
                             double factor);

/* The columns ids of table[K][V], as rows: [B * T][K]; without ids (CRN_VALUE_NONE) those of the
 * positions. */
crn_value crn_op_columns(crn_tape *tape, crn_value ids, crn_value table, int64_t batch,
                         int64_t time);

/* Layer norm of each row. */
crn_value crn_op_layernorm(crn_tape *tape, crn_value x, crn_value gamma, crn_value beta,
                           double eps);

/* RMS norm of each row. */
crn_value crn_op_rmsnorm(crn_tape *tape, crn_value x, crn_value gamma, double eps);

/* Angles of rotary positions: see crn_rotary_table_make in nn/rotary.h. */
typedef struct crn_rotary_table {
    int64_t positions;
    int64_t size;   /* elements of a head that are turned; even */
    float *cosines; /* [positions][size / 2] */
    float *sines;
} crn_rotary_table;

/* Turns each head of x[B * T][heads * D] by its position. @table is borrowed while the tape lives.
 */
crn_value crn_op_rotary(crn_tape *tape, crn_value x, const crn_rotary_table *table, int64_t time,
                        int64_t heads);

typedef struct crn_attention_spec {
    int64_t batch;
    int64_t time;
    int64_t heads;
    int64_t kv_heads; /* of keys and values; divides heads */
    int64_t window;   /* 0: none */
    int64_t sinks;
    double scale; /* of the scores */
    double dropout_rate;
} crn_attention_spec;

/* Causal self-attention of q [B * T][heads * D] and k, v [B * T][kv_heads * D]; what a query sees:
 * crn_attention_shape. */
crn_value crn_op_attention(crn_tape *tape, crn_value q, crn_value k, crn_value v,
                           const crn_attention_spec *spec);

typedef enum crn_activation {
    CRN_ACTIVATION_GELU,
    CRN_ACTIVATION_RELU,
    CRN_ACTIVATION_SILU,
    CRN_ACTIVATION_GELU_TANH,
    CRN_ACTIVATION_SQUARED_RELU
} crn_activation;

crn_value crn_op_activation(crn_tape *tape, crn_value x, crn_activation kind);

typedef enum crn_gated {
    CRN_GATED_LIGLU,
    CRN_GATED_GEGLU,
    CRN_GATED_REGLU,
    CRN_GATED_SWIGLU
} crn_gated;

/* What the gate of @kind goes through. */
crn_gate crn_gate_of(crn_gated kind);
/* x * act(gate) */
crn_value crn_op_glu(crn_tape *tape, crn_value x, crn_value gate, crn_gated kind);

/* factor * x; x itself for 1. */
crn_value crn_op_scale(crn_tape *tape, crn_value x, double factor);

/* x itself on a tape without training or with rate 0. */
crn_value crn_op_dropout(crn_tape *tape, crn_value x, double rate);

/* a + b */
crn_value crn_op_add(crn_tape *tape, crn_value a, crn_value b);

typedef struct crn_loss_spec {
    bool per_token; /* The sum is divided by the weights' sum; else by @samples. */
    int64_t samples;
    double factor; /* Then multiplied by this. */
} crn_loss_spec;

/*
 * The loss of logits[R][V], into the run; no output, and nothing else may read the logits. @labels
 * is an input, int32 [R]; @mask an input, float [R], where NULL stands for ones. If no token
 * counts, loss and gradients are 0.
 */
void crn_op_cross_entropy(crn_tape *tape, crn_value logits, crn_value labels, crn_value mask,
                          const crn_loss_spec *spec);
/* What the sum of the token losses is multiplied by, for tokens of @weight in all. */
double crn_loss_factor(const crn_loss_spec *spec, double weight);

typedef struct crn_head_loss_spec {
    crn_loss_spec loss;
    double logits_scale;
    int64_t chunk_rows; /* logits that are in memory at once */
} crn_head_loss_spec;

/*
 * crn_op_linear, crn_op_scale and crn_op_cross_entropy in one, without ever having all logits: the
 * same loss and gradients up to rounding. The gradients of weight and bias are added to in the
 * forward pass already, so that no logits are computed twice; observers see no logits.
 */
void crn_op_head_loss(crn_tape *tape, crn_value x, crn_value weight, crn_value bias,
                      crn_value labels, crn_value mask, const crn_head_loss_spec *spec);

#endif
