/**
 * @file plugin/model.h  What a model is: named parameters, and a loss with gradients for a batch.
 *
 * Built-in models record their layers on an autograd tape (src/nn); a model from elsewhere fills
 * this table itself. All functions are called on the trainer's thread.
 */
#ifndef CAIRN_PLUGIN_MODEL_H
#define CAIRN_PLUGIN_MODEL_H

#include "cairn/options.h"
#include "cairn/state.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CAIRN_BATCH_FIELDS_MAX = 8, CAIRN_BATCH_AXES_MAX = 4 };

/** One array of a batch. Borrowed until the next batch is asked for. */
typedef struct cairn_batch_field {
    const char *name; /**< Such as "input_ids"; static. */
    cairn_dtype dtype;
    int rank;
    int64_t shape[CAIRN_BATCH_AXES_MAX]; /**< shape[0] is the number of samples. */
    const void *data;
} cairn_batch_field;

/**
 * A batch. Language models use "input_ids" I32 [B][T], "labels" I32 [B][T] and, where not all
 * tokens count, "attention_mask" F32 [B][T] (the Model Zoo's name for the loss mask; absent: ones).
 */
typedef struct cairn_batch {
    size_t struct_size;
    int64_t samples; /**< B */
    int field_count;
    cairn_batch_field field[CAIRN_BATCH_FIELDS_MAX];
} cairn_batch;

/** NULL if the batch has no field of that name. */
CAIRN_API const cairn_batch_field *cairn_batch_find(const cairn_batch *batch, const char *name);

/** What a pass looks at while it computes, to name the first number that is not finite. */
typedef enum cairn_check {
    CAIRN_CHECK_NONE,
    CAIRN_CHECK_VALUES, /**< What the operations give. */
    CAIRN_CHECK_ALL     /**< In training their gradients too. */
} cairn_check;

/** Is shown @p count values that a pass has just computed, under a name that is the same in every
 *  pass. Borrowed for the call; a failure ends the pass. */
typedef cairn_status (*cairn_observe_fn)(void *user, const char *name, const float *values,
                                         size_t count, cairn_error *err);

/** How a pass is computed. Fields are only ever appended; a model reads struct_size bytes. */
typedef struct cairn_pass {
    size_t struct_size;
    bool is_training; /**< Dropout acts and gradients are added to tensor->grad. */
    uint64_t seed;    /**< Random numbers are a function of (seed, step) and the place only. */
    uint64_t step;    /**< Number of the micro-batch since the beginning of training, from 0. */
    float loss_scale; /**< Gradients are those of loss_scale * loss (1 / grad_accum_steps). */
    /** In training, to be called once the loss is known and before the gradients are computed; a
     *  failure ends the pass with it. NULL: nobody wants it. A model that cannot tell the two
     *  apart need not call it. */
    cairn_status (*after_forward)(void *user, double loss, double weight, cairn_error *err);
    void *user; /**< For after_forward. */
    /** NULL: the model's own. Else the pass computes with the tensors that have the parameters'
     *  names there, such as averages. Not in training. */
    const cairn_state *weights;
    cairn_check check;        /**< A model that cannot check ignores it. */
    cairn_observe_fn observe; /**< Called with what each operation gives; NULL: nobody looks. */
    void *observer;           /**< For observe. */
    bool wants_metrics;       /**< Fill what cairn_loss has beside loss and weight. */
} cairn_pass;

/** Calls pass->after_forward if it is there. For models. */
CAIRN_API cairn_status cairn_pass_after_forward(const cairn_pass *pass, double loss, double weight,
                                                cairn_error *err);

/** What a pass gives. The fields after weight are filled only where wants_metrics is set. */
typedef struct cairn_loss {
    double loss;   /**< As the model defines it, unscaled. */
    double weight; /**< Tokens that count (the mask's sum); evaluation means are weighted by it. */
    bool has_metrics;  /**< The two below are known. */
    double token_loss; /**< Sum over tokens of weight * -log(probability of the label). */
    double correct;    /**< Sum of the weights of the tokens whose label is the likeliest. */
} cairn_loss;

/** Low-rank adapters (E. J. Hu et al., "LoRA", 2021) beside the layers of a model: a layer with the
 *  weight W then computes with W + (alpha / r) B A. All or none of these functions. */
typedef struct cairn_adapter_ops {
    size_t struct_size; /**< sizeof(cairn_adapter_ops) where the model was compiled. */
    /**
     * Adds the tensors "<module>.lora_A" and "<module>.lora_B" to @p state for each layer that
     * @p groups mean; the first group that means a layer counts. Called once, after declare; the
     * model computes with them from then on.
     * @retval CAIRN_ECONFIG  A group means no layer, or no adapter is made.
     */
    cairn_status (*add)(void *self, const cairn_lora_params_list *groups, cairn_state *state,
                        cairn_error *err);
    /** Writes initial values, which change nothing of what the model computes, as a function of
     *  @p seed alone. */
    cairn_status (*initialize)(void *self, cairn_state_tree *tree, uint64_t seed, cairn_error *err);
    /** Adds the adapters to the weights and sets every lora_B to zero, so that the model computes
     *  what it did. On failure that is done in part.
     *  @retval CAIRN_EUNSUPPORTED  A weight that two layers share has an adapter in one of them. */
    cairn_status (*merge)(void *self, cairn_state_tree *tree, cairn_error *err);
} cairn_adapter_ops;

typedef struct cairn_model_ops {
    size_t struct_size; /**< sizeof(cairn_model_ops) where the model was compiled. */
    const char *name;   /**< Such as "gpt2"; static. */

    /** Adds all parameters to @p state, with roles, and aliases of tied ones. Called once. */
    cairn_status (*declare)(void *self, cairn_state *state, cairn_error *err);
    /** Writes initial values through the write guard, as a function of @p seed alone. May be
     *  called again; is not called where a strict load gives every parameter its value. */
    cairn_status (*initialize)(void *self, cairn_state_tree *tree, uint64_t seed, cairn_error *err);
    /**
     * Computes the loss of @p batch and, in training, adds the gradients to tensor->grad.
     * @retval CAIRN_EDATA    A token id is outside the vocabulary or a field is missing.
     * @retval CAIRN_ENONFINITE  pass->check found a number that is not finite; the message names
     * it.
     * @retval CAIRN_EINCOMPATIBLE  pass->weights lacks a parameter or has it in another shape.
     * @retval CAIRN_EUNSUPPORTED  pass->weights is set, and the model cannot do that.
     * @retval CAIRN_ENOMEM, CAIRN_EDEVICE
     */
    cairn_status (*compute)(void *self, const cairn_batch *batch, const cairn_pass *pass,
                            cairn_loss *out, cairn_error *err);
    /** (optional) Logits of the token that follows @p tokens: @p out_logits is [vocab_size()]. A
     *  model may keep what it knows of the tokens that two calls begin with. */
    cairn_status (*next_logits)(void *self, const int32_t *tokens, int64_t count, float *out_logits,
                                cairn_error *err);
    /** (optional) Size of the vocabulary; 0 if it has none. */
    int64_t (*vocab_size)(const void *self);
    /** (optional) Longest sequence; 0 if there is no limit. */
    int64_t (*max_sequence_length)(const void *self);
    /** Accepts NULL. */
    void (*destroy)(void *self);
    /** (optional) Called between a change of the parameters and the next next_logits: what was kept
     *  of a text is void. */
    void (*parameters_changed)(void *self);
    /** (optional) Floating point operations of the matrix products of one pass over @p batch. */
    double (*flops)(const void *self, const cairn_batch *batch, bool is_training);
    /** Whether compute honours pass->weights. */
    bool takes_weights;
    /**
     * (optional) Memory that compute takes for batches of the shape of @p batch, beside parameters
     * and gradients, and keeps for the next of that shape. Nothing is computed or allocated but the
     * plan; "input_ids" suffices, and its data may be NULL.
     * @retval CAIRN_EDATA   The batch is none for this model.
     * @retval CAIRN_ENOMEM  Not even the plan can be made, or its sizes exceed all numbers.
     */
    cairn_status (*memory)(void *self, const cairn_batch *batch, bool is_training,
                           uint64_t *out_bytes, cairn_error *err);
    /** (optional) NULL: the model takes no adapters. */
    const cairn_adapter_ops *adapters;
    /**
     * (optional) From now on compute rounds the factors of its matrix products to bfloat16 and adds
     * the products up in float32; parameters, gradients and all else stay float32. Called once,
     * before the first pass.
     * @param out_note  What the user should know of it, static; NULL: nothing.
     * @retval CAIRN_ENOMEM, CAIRN_EDEVICE
     */
    cairn_status (*use_bf16)(void *self, const char **out_note, cairn_error *err);
    /** (optional) Bytes of copies of the parameters that passes of every shape share, such as those
     *  in bfloat16; after `memory` those of the passes that it was asked for. */
    uint64_t (*copies)(const void *self);
} cairn_model_ops;

/** A model: its table and its instance. Passed by value; whoever takes it calls destroy. */
typedef struct cairn_model {
    const cairn_model_ops *ops;
    void *self;
} cairn_model;

/** What @p model can do with adapters; NULL: nothing. */
CAIRN_API const cairn_adapter_ops *cairn_model_adapters(const cairn_model *model);

#ifdef __cplusplus
}
#endif
#endif
