/*
 * The operations that a model records. Each returns its output, or CRN_VALUE_NONE once recording
 * has failed (then crn_tape_plan says why). Formulas: kernels/kernels.h.
 */
#ifndef CRN_NN_OPS_OPS_H
#define CRN_NN_OPS_OPS_H

#include "nn/tape.h"

/* words[ids] + positions: [B * T][C]. @ids is an input, int32 [B][T]. */
crn_value crn_op_embedding(crn_tape *tape, crn_value ids, crn_value words, crn_value positions,
                           int64_t batch, int64_t time);

/* x[R][I] weight[O][I]^T + bias[O]; no bias: CRN_VALUE_NONE. A tied output layer gives the
 * embedding as weight. */
crn_value crn_op_linear(crn_tape *tape, crn_value x, crn_value weight, crn_value bias);

/* Layer norm of each row. */
crn_value crn_op_layernorm(crn_tape *tape, crn_value x, crn_value gamma, crn_value beta,
                           double eps);

typedef struct crn_attention_spec {
    int64_t batch;
    int64_t time;
    int64_t heads;
    bool is_scaled; /* Scores are divided by the root of the head's size. */
    double dropout_rate;
} crn_attention_spec;

/* Causal self-attention of q, k, v [B * T][C]. */
crn_value crn_op_attention(crn_tape *tape, crn_value q, crn_value k, crn_value v,
                           const crn_attention_spec *spec);

typedef enum crn_activation { CRN_ACTIVATION_GELU, CRN_ACTIVATION_RELU } crn_activation;

crn_value crn_op_activation(crn_tape *tape, crn_value x, crn_activation kind);

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

#endif
