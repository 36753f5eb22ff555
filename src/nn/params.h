/* The parameters of a model: where their tensors are and how they begin. */
#ifndef CRN_NN_PARAMS_H
#define CRN_NN_PARAMS_H

#include "cairn/options.h"
#include "cairn/state.h"

enum { CRN_PARAMS_PREFIX_SIZE = 128 };

typedef struct crn_param {
    const cairn_tensor *tensor; /* Borrowed from the tree. */
    cairn_initializer initializer;
} crn_param;

/* Zeroed is empty. */
typedef struct crn_params {
    cairn_state *state;                  /* Where they are declared; borrowed. */
    char prefix[CRN_PARAMS_PREFIX_SIZE]; /* Goes before every name; set by the model. */
    double learning_rate_factor;         /* Of the weights of linear layers; set by the model. */
    crn_param *items;                    /* Release with crn_params_dispose. */
    uint64_t first_number; /* Of the first one's random numbers; others must not share it. */
    size_t count;
    size_t capacity;
} crn_params;

/* A low-rank adapter of a layer: scale B A is added to its weight. */
typedef struct crn_lora {
    const cairn_tensor *a; /* [rank][in]; of a table [rank][rows]; NULL: no adapter. */
    const cairn_tensor *b; /* [out][rank]; of a table [cols][rank] */
    double scale;
    double dropout_rate; /* Of the input, in training; not of a table. */
} crn_lora;

/* The tensors of one layer. */
typedef struct crn_layer {
    const cairn_tensor *weight;
    const cairn_tensor *bias; /* NULL: none. */
    crn_lora lora;            /* Only of linear layers. */
} crn_layer;

void crn_params_dispose(crn_params *params);

/*
 * Each declares fp32 tensors "<prefix><name>.weight" and, where there is one, ".bias"; a bias
 * begins with zeros, the weight of a norm with ones. The tensors are borrowed from the state.
 * CAIRN_ENOMEM, CAIRN_EINVAL: as cairn_state_add_tensor says.
 */
/* weight[rows][cols] of an embedding */
cairn_status crn_params_add_table(crn_params *params, const char *name, int64_t rows, int64_t cols,
                                  const cairn_initializer *initializer, const cairn_tensor **out,
                                  cairn_error *err);
/* weight[to][from], bias[to] */
cairn_status crn_params_add_linear(crn_params *params, const char *name, int64_t from, int64_t to,
                                   bool has_bias, const cairn_initializer *initializer,
                                   crn_layer *out, cairn_error *err);
/* weight[cols], bias[cols] */
cairn_status crn_params_add_norm(crn_params *params, const char *name, int64_t cols, bool has_bias,
                                 crn_layer *out, cairn_error *err);
/* bias[cols] of a linear layer whose weight is declared elsewhere. */
cairn_status crn_params_add_bias(crn_params *params, const char *name, int64_t cols,
                                 const cairn_tensor **out, cairn_error *err);

/* a[rank][from] and b[to][rank] as "<name>.lora_A" and "<name>.lora_B", where @name has no prefix.
 * One of them begins with zeros, so that the adapter changes nothing: b of a linear layer, a of a
 * table; the other as torch.nn.Linear's weight (Kaiming uniform, a = sqrt 5), or normal. */
cairn_status crn_params_add_lora(crn_params *params, const char *name, int64_t rank, int64_t from,
                                 int64_t to, bool is_table, crn_lora *out, cairn_error *err);

/* Writes all first values; the same for the same @seed. CAIRN_ECONFIG: crn_initialize. */
cairn_status crn_params_initialize(const crn_params *params, cairn_state_tree *tree, uint64_t seed,
                                   cairn_error *err);

#endif
