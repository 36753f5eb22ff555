/**
 * typedef struct cairn_adamw_options {
#include "cairn/options/adamw.def"
} cairn_adamw_options;
typedef struct cairn_adam_options {
#include "cairn/options/adam.def"
} cairn_adam_options;
typedef struct cairn_sgd_options {
#include "cairn/options/sgd.def"
} cairn_sgd_options;
typedef struct cairn_adafactor_options {
#include "cairn/options/adafactor.def"
} cairn_adafactor_options;
typedef struct cairn_lion_options {
#include "cairn/options/lion.def"
} cairn_lion_options;
typedef struct cairn_lamb_options {
#include "cairn/options/lamb.def"
} cairn_lamb_options;
typedef struct cairn_muon_options {
#include "cairn/options/muon.def"
} cairn_muon_options;
typedef struct cairn_rmsprop_options {
#include "cairn/options/rmsprop.def"
} cairn_rmsprop_options;
typedef struct cairn_nadam_options {
#include "cairn/options/nadam.def"
} cairn_nadam_options;
typedef struct cairn_radam_options {
#include "cairn/options/radam.def"
} cairn_radam_options;
typedef struct cairn_adagrad_options {
#include "cairn/options/adagrad.def"
} cairn_adagrad_options;
typedef struct cairn_adamax_options {
#include "cairn/options/adamax.def"
} cairn_adamax_options;
typedef struct cairn_adadelta_options {
#include "cairn/options/adadelta.def"
} cairn_adadelta_options;
typedef struct cairn_asgd_options {
#include "cairn/options/asgd.def"
} cairn_asgd_options;
typedef struct cairn_rprop_options {
#include "cairn/options/rprop.def"
} cairn_rprop_options;
#include "cairn/options/names_lr.h"
typedef struct cairn_constant_lr_options {
#include "cairn/options/constant_lr.def"
} cairn_constant_lr_options;
typedef struct cairn_linear_lr_options {
#include "cairn/options/linear_lr.def"
} cairn_linear_lr_options;
typedef struct cairn_polynomial_lr_options {
#include "cairn/options/polynomial_lr.def"
} cairn_polynomial_lr_options;
typedef struct cairn_exponential_lr_options {
#include "cairn/options/exponential_lr.def"
} cairn_exponential_lr_options;
typedef struct cairn_inverse_exponential_time_decay_lr_options {
#include "cairn/options/inverse_exponential_time_decay_lr.def"
} cairn_inverse_exponential_time_decay_lr_options;
typedef struct cairn_inverse_square_root_decay_lr_options {
#include "cairn/options/inverse_square_root_decay_lr.def"
} cairn_inverse_square_root_decay_lr_options;
typedef struct cairn_cosine_decay_lr_options {
#include "cairn/options/cosine_decay_lr.def"
} cairn_cosine_decay_lr_options;
typedef struct cairn_cosine_annealing_lr_options {
#include "cairn/options/cosine_annealing_lr.def"
} cairn_cosine_annealing_lr_options;
typedef struct cairn_cosine_annealing_warm_restarts_options {
#include "cairn/options/cosine_annealing_warm_restarts.def"
} cairn_cosine_annealing_warm_restarts_options;
typedef struct cairn_step_lr_options {
#include "cairn/options/step_lr.def"
} cairn_step_lr_options;
typedef struct cairn_multi_step_lr_options {
#include "cairn/options/multi_step_lr.def"
} cairn_multi_step_lr_options;
typedef struct cairn_multiplicative_lr_options {
#include "cairn/options/multiplicative_lr.def"
} cairn_multiplicative_lr_options;
typedef struct cairn_piecewise_constant_lr_options {
#include "cairn/options/piecewise_constant_lr.def"
} cairn_piecewise_constant_lr_options;
typedef struct cairn_cyclic_lr_options {
#include "cairn/options/cyclic_lr.def"
} cairn_cyclic_lr_options;
typedef struct cairn_one_cycle_lr_options {
#include "cairn/options/one_cycle_lr.def"
} cairn_one_cycle_lr_options;
#include "cairn/options/names_end.h"
file options.h  The options of every section, as structs.
 *
 * Each section of the YAML is one table, options/<section>.def: a row gives the struct's field,
 * its default, the reader, the checks, the help. A program in C fills the same struct:
 *
 *     cairn_checkpoint_options options = cairn_checkpoint_options_default();
 *     options.steps = cairn_int(100);
 *
 * Strings in options are borrowed by the call that takes the struct, which copies what it keeps.
 */
#ifndef CAIRN_OPTIONS_H
#define CAIRN_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A bool that may be null. */
typedef struct cairn_opt_bool {
    bool is_set;
    bool value;
} cairn_opt_bool;

/** An integer that may be null. */
typedef struct cairn_opt_int {
    bool is_set;
    int64_t value;
} cairn_opt_int;

/** A number that may be null. */
typedef struct cairn_opt_float {
    bool is_set;
    double value;
} cairn_opt_float;

typedef enum cairn_number_kind {
    CAIRN_NUMBER_NULL,
    CAIRN_NUMBER_INT,
    CAIRN_NUMBER_FLOAT
} cairn_number_kind;

/** A number whose type matters: 1 is not 1.0. */
typedef struct cairn_opt_number {
    cairn_number_kind kind;
    int64_t i;
    double f;
} cairn_opt_number;

/** One text or several. */
typedef struct cairn_opt_list {
    const char *const *items;
    size_t count;
} cairn_opt_list;

/** Integers, such as milestones. */
typedef struct cairn_opt_ints {
    const int64_t *items;
    size_t count;
} cairn_opt_ints;

/** Numbers, such as learning rates. */
typedef struct cairn_opt_floats {
    const double *items;
    size_t count;
} cairn_opt_floats;

/** Two numbers, such as betas. */
typedef struct cairn_opt_pair {
    double first;
    double second;
} cairn_opt_pair;

typedef enum cairn_init_kind {
    CAIRN_INIT_DEFAULT, /**< What the model says for this tensor. */
    CAIRN_INIT_CONSTANT,
    CAIRN_INIT_ZEROS,
    CAIRN_INIT_ONES,
    CAIRN_INIT_NORMAL,
    CAIRN_INIT_TRUNCATED_NORMAL,
    CAIRN_INIT_UNIFORM,
    CAIRN_INIT_XAVIER_UNIFORM,
    CAIRN_INIT_XAVIER_NORMAL
} cairn_init_kind;

/** How tensors get their first values (Model Zoo: {name: truncated_normal, mean, std, a, b}). */
typedef struct cairn_initializer {
    cairn_init_kind kind;
    double value; /**< CONSTANT. */
    double mean;  /**< NORMAL, TRUNCATED_NORMAL. */
    double std;   /**< NORMAL, TRUNCATED_NORMAL. */
    double a;     /**< Lower bound: TRUNCATED_NORMAL, UNIFORM. */
    double b;     /**< Upper bound. */
    double gain;  /**< XAVIER_*. */
} cairn_initializer;

static inline cairn_opt_int cairn_int(int64_t value)
{
    cairn_opt_int option;
    option.is_set = true;
    option.value = value;
    return option;
}

static inline cairn_opt_float cairn_float(double value)
{
    cairn_opt_float option;
    option.is_set = true;
    option.value = value;
    return option;
}

/*
 * The kinds of rows. typedef struct cairn_adamw_options {
#include "cairn/options/adamw.def"
} cairn_adamw_options;
typedef struct cairn_adam_options {
#include "cairn/options/adam.def"
} cairn_adam_options;
typedef struct cairn_sgd_options {
#include "cairn/options/sgd.def"
} cairn_sgd_options;
typedef struct cairn_adafactor_options {
#include "cairn/options/adafactor.def"
} cairn_adafactor_options;
typedef struct cairn_lion_options {
#include "cairn/options/lion.def"
} cairn_lion_options;
typedef struct cairn_lamb_options {
#include "cairn/options/lamb.def"
} cairn_lamb_options;
typedef struct cairn_muon_options {
#include "cairn/options/muon.def"
} cairn_muon_options;
typedef struct cairn_rmsprop_options {
#include "cairn/options/rmsprop.def"
} cairn_rmsprop_options;
typedef struct cairn_nadam_options {
#include "cairn/options/nadam.def"
} cairn_nadam_options;
typedef struct cairn_radam_options {
#include "cairn/options/radam.def"
} cairn_radam_options;
typedef struct cairn_adagrad_options {
#include "cairn/options/adagrad.def"
} cairn_adagrad_options;
typedef struct cairn_adamax_options {
#include "cairn/options/adamax.def"
} cairn_adamax_options;
typedef struct cairn_adadelta_options {
#include "cairn/options/adadelta.def"
} cairn_adadelta_options;
typedef struct cairn_asgd_options {
#include "cairn/options/asgd.def"
} cairn_asgd_options;
typedef struct cairn_rprop_options {
#include "cairn/options/rprop.def"
} cairn_rprop_options;
#include "cairn/options/names_lr.h"
typedef struct cairn_constant_lr_options {
#include "cairn/options/constant_lr.def"
} cairn_constant_lr_options;
typedef struct cairn_linear_lr_options {
#include "cairn/options/linear_lr.def"
} cairn_linear_lr_options;
typedef struct cairn_polynomial_lr_options {
#include "cairn/options/polynomial_lr.def"
} cairn_polynomial_lr_options;
typedef struct cairn_exponential_lr_options {
#include "cairn/options/exponential_lr.def"
} cairn_exponential_lr_options;
typedef struct cairn_inverse_exponential_time_decay_lr_options {
#include "cairn/options/inverse_exponential_time_decay_lr.def"
} cairn_inverse_exponential_time_decay_lr_options;
typedef struct cairn_inverse_square_root_decay_lr_options {
#include "cairn/options/inverse_square_root_decay_lr.def"
} cairn_inverse_square_root_decay_lr_options;
typedef struct cairn_cosine_decay_lr_options {
#include "cairn/options/cosine_decay_lr.def"
} cairn_cosine_decay_lr_options;
typedef struct cairn_cosine_annealing_lr_options {
#include "cairn/options/cosine_annealing_lr.def"
} cairn_cosine_annealing_lr_options;
typedef struct cairn_cosine_annealing_warm_restarts_options {
#include "cairn/options/cosine_annealing_warm_restarts.def"
} cairn_cosine_annealing_warm_restarts_options;
typedef struct cairn_step_lr_options {
#include "cairn/options/step_lr.def"
} cairn_step_lr_options;
typedef struct cairn_multi_step_lr_options {
#include "cairn/options/multi_step_lr.def"
} cairn_multi_step_lr_options;
typedef struct cairn_multiplicative_lr_options {
#include "cairn/options/multiplicative_lr.def"
} cairn_multiplicative_lr_options;
typedef struct cairn_piecewise_constant_lr_options {
#include "cairn/options/piecewise_constant_lr.def"
} cairn_piecewise_constant_lr_options;
typedef struct cairn_cyclic_lr_options {
#include "cairn/options/cyclic_lr.def"
} cairn_cyclic_lr_options;
typedef struct cairn_one_cycle_lr_options {
#include "cairn/options/one_cycle_lr.def"
} cairn_one_cycle_lr_options;
#include "cairn/options/names_end.h"
null_or_default: what the option is when the key is left out; the kinds that
 * end in _NULL are null then. Ranges are inclusive. Help is one sentence. A .def file uses every
 * row it needs and nothing else; whoever includes it defines the macros it wants, and
 * options/rows_none.h defines the others as nothing and options/rows_end.h clears all.
 *
 *   CRN_OPT_INT(name, default, min, max, unit, help)             int64_t
 *   CRN_OPT_INT_NULL(name, min, max, unit, help)                 cairn_opt_int
 *   CRN_OPT_FLOAT(name, default, min, max, unit, help)           double
 *   CRN_OPT_FLOAT_NULL(name, min, max, unit, help)               cairn_opt_float
 *   CRN_OPT_NUMBER_NULL(name, min, max, unit, help)              cairn_opt_number, null
 *   CRN_OPT_NUMBER(name, default_float, min, max, unit, help)    cairn_opt_number, a float
 *   CRN_OPT_BOOL(name, default, help)                            bool
 *   CRN_OPT_BOOL_NULL(name, help)                                cairn_opt_bool
 *   CRN_OPT_TEXT(name, default or NULL, help)                    const char *
 *   CRN_OPT_CHOICE(name, default, choices, help)                 const char *, one of "a|b|c"
 *   CRN_OPT_LIST(name, help)                                     cairn_opt_list, empty
 *   CRN_OPT_INTS(name, min, max, unit, help)                     cairn_opt_ints, empty
 *   CRN_OPT_FLOATS(name, min, max, unit, help)                   cairn_opt_floats, empty
 *   CRN_OPT_PAIR(name, first, second, min, max, help)            cairn_opt_pair
 *   CRN_OPT_INIT(name, help)                                     cairn_initializer, DEFAULT
 *   CRN_OPT_NESTED(name, section, help)                          cairn_<section>_options, a map of
 *                                                                the keys of that section
 *   CRN_OPT_NESTEDS(name, section, help)                         cairn_<section>_list, a list of
 *                                                                such maps, empty
 *   CRN_OPT_REQUIRED(name)       the option above must be given
 *   CRN_OPT_ALIAS(other, name)   an older or other spelling of an option above
 *   CRN_OPT_NO_EFFECT(name, why) a Model Zoo key without meaning here: accepted, one notice
 *   CRN_OPT_LACKING(name, feature) a Model Zoo key whose feature we lack: refused, feature named.
 *                                A null, false, 0, "none", "default" or empty value
 *                                asks for nothing and is accepted in silence.
 *   CRN_OPT_SECTION(name, help)  a nested section; read by its owner, no field
 */

#include "cairn/options/rows_struct.h"

typedef struct cairn_checkpoint_options {
#include "cairn/options/checkpoint.def"
} cairn_checkpoint_options;
typedef struct cairn_loop_options {
#include "cairn/options/loop.def"
} cairn_loop_options;
typedef struct cairn_logging_options {
#include "cairn/options/logging.def"
} cairn_logging_options;
typedef struct cairn_precision_options {
#include "cairn/options/precision.def"
} cairn_precision_options;
typedef struct cairn_backend_options {
#include "cairn/options/backend.def"
} cairn_backend_options;
typedef struct cairn_autorestart_options {
#include "cairn/options/autorestart.def"
} cairn_autorestart_options;
typedef struct cairn_load_checkpoint_states_options {
#include "cairn/options/load_checkpoint_states.def"
} cairn_load_checkpoint_states_options;
typedef struct cairn_save_checkpoint_state_options {
#include "cairn/options/save_checkpoint_state.def"
} cairn_save_checkpoint_state_options;
typedef struct cairn_keep_n_checkpoints_options {
#include "cairn/options/keep_n_checkpoints.def"
} cairn_keep_n_checkpoints_options;
typedef struct cairn_tensorboard_logger_options {
#include "cairn/options/tensorboard_logger.def"
} cairn_tensorboard_logger_options;
typedef struct cairn_early_stopping_options {
#include "cairn/options/early_stopping.def"
} cairn_early_stopping_options;
typedef struct cairn_ema_options {
#include "cairn/options/ema.def"
} cairn_ema_options;
typedef struct cairn_log_optimizer_param_group_options {
#include "cairn/options/log_optimizer_param_group.def"
} cairn_log_optimizer_param_group_options;
typedef struct cairn_nan_checker_options {
#include "cairn/options/nan_checker.def"
} cairn_nan_checker_options;
typedef struct cairn_norm_tensor_listener_options {
#include "cairn/options/norm_tensor_listener.def"
} cairn_norm_tensor_listener_options;
typedef struct cairn_summary_tensor_listener_options {
#include "cairn/options/summary_tensor_listener.def"
} cairn_summary_tensor_listener_options;
typedef struct cairn_count_params_options {
#include "cairn/options/count_params.def"
} cairn_count_params_options;
typedef struct cairn_skip_samples_options {
#include "cairn/options/skip_samples.def"
} cairn_skip_samples_options;
typedef struct cairn_flop_utilization_options {
#include "cairn/options/flop_utilization.def"
} cairn_flop_utilization_options;
typedef struct cairn_adamw_options {
#include "cairn/options/adamw.def"
} cairn_adamw_options;
typedef struct cairn_adam_options {
#include "cairn/options/adam.def"
} cairn_adam_options;
typedef struct cairn_sgd_options {
#include "cairn/options/sgd.def"
} cairn_sgd_options;
typedef struct cairn_adafactor_options {
#include "cairn/options/adafactor.def"
} cairn_adafactor_options;
typedef struct cairn_lion_options {
#include "cairn/options/lion.def"
} cairn_lion_options;
typedef struct cairn_lamb_options {
#include "cairn/options/lamb.def"
} cairn_lamb_options;
typedef struct cairn_muon_options {
#include "cairn/options/muon.def"
} cairn_muon_options;
typedef struct cairn_rmsprop_options {
#include "cairn/options/rmsprop.def"
} cairn_rmsprop_options;
typedef struct cairn_nadam_options {
#include "cairn/options/nadam.def"
} cairn_nadam_options;
typedef struct cairn_radam_options {
#include "cairn/options/radam.def"
} cairn_radam_options;
typedef struct cairn_adagrad_options {
#include "cairn/options/adagrad.def"
} cairn_adagrad_options;
typedef struct cairn_adamax_options {
#include "cairn/options/adamax.def"
} cairn_adamax_options;
typedef struct cairn_adadelta_options {
#include "cairn/options/adadelta.def"
} cairn_adadelta_options;
typedef struct cairn_asgd_options {
#include "cairn/options/asgd.def"
} cairn_asgd_options;
typedef struct cairn_rprop_options {
#include "cairn/options/rprop.def"
} cairn_rprop_options;
#include "cairn/options/names_lr.h"
typedef struct cairn_constant_lr_options {
#include "cairn/options/constant_lr.def"
} cairn_constant_lr_options;
typedef struct cairn_linear_lr_options {
#include "cairn/options/linear_lr.def"
} cairn_linear_lr_options;
typedef struct cairn_polynomial_lr_options {
#include "cairn/options/polynomial_lr.def"
} cairn_polynomial_lr_options;
typedef struct cairn_exponential_lr_options {
#include "cairn/options/exponential_lr.def"
} cairn_exponential_lr_options;
typedef struct cairn_inverse_exponential_time_decay_lr_options {
#include "cairn/options/inverse_exponential_time_decay_lr.def"
} cairn_inverse_exponential_time_decay_lr_options;
typedef struct cairn_inverse_square_root_decay_lr_options {
#include "cairn/options/inverse_square_root_decay_lr.def"
} cairn_inverse_square_root_decay_lr_options;
typedef struct cairn_cosine_decay_lr_options {
#include "cairn/options/cosine_decay_lr.def"
} cairn_cosine_decay_lr_options;
typedef struct cairn_cosine_annealing_lr_options {
#include "cairn/options/cosine_annealing_lr.def"
} cairn_cosine_annealing_lr_options;
typedef struct cairn_cosine_annealing_warm_restarts_options {
#include "cairn/options/cosine_annealing_warm_restarts.def"
} cairn_cosine_annealing_warm_restarts_options;
typedef struct cairn_step_lr_options {
#include "cairn/options/step_lr.def"
} cairn_step_lr_options;
typedef struct cairn_multi_step_lr_options {
#include "cairn/options/multi_step_lr.def"
} cairn_multi_step_lr_options;
typedef struct cairn_multiplicative_lr_options {
#include "cairn/options/multiplicative_lr.def"
} cairn_multiplicative_lr_options;
typedef struct cairn_piecewise_constant_lr_options {
#include "cairn/options/piecewise_constant_lr.def"
} cairn_piecewise_constant_lr_options;
typedef struct cairn_cyclic_lr_options {
#include "cairn/options/cyclic_lr.def"
} cairn_cyclic_lr_options;
typedef struct cairn_one_cycle_lr_options {
#include "cairn/options/one_cycle_lr.def"
} cairn_one_cycle_lr_options;
#include "cairn/options/names_end.h"
typedef struct cairn_attention_params_options {
#include "cairn/options/attention_params.def"
} cairn_attention_params_options;
typedef struct cairn_pos_scaling_options {
#include "cairn/options/pos_scaling.def"
} cairn_pos_scaling_options;
typedef struct cairn_gpt2_options {
#include "cairn/options/gpt2.def"
} cairn_gpt2_options;
typedef struct cairn_text_data_options {
#include "cairn/options/text_data.def"
} cairn_text_data_options;
typedef struct cairn_token_bin_data_options {
#include "cairn/options/token_bin_data.def"
} cairn_token_bin_data_options;
typedef struct cairn_lora_params_options {
#include "cairn/options/lora_params.def"
} cairn_lora_params_options;
/** What Lora is told of groups of layers. */
typedef struct cairn_lora_params_list {
    const cairn_lora_params_options *items;
    size_t count;
} cairn_lora_params_list;
typedef struct cairn_lora_options {
#include "cairn/options/lora.def"
} cairn_lora_options;
typedef struct cairn_hdf5_mixture_options {
#include "cairn/options/hdf5_mixture.def"
} cairn_hdf5_mixture_options;
/** The sets of a mixture. */
typedef struct cairn_hdf5_mixture_list {
    const cairn_hdf5_mixture_options *items;
    size_t count;
} cairn_hdf5_mixture_list;
typedef struct cairn_gpt_hdf5_data_options {
#include "cairn/options/gpt_hdf5_data.def"
} cairn_gpt_hdf5_data_options;
typedef struct cairn_gpt_hdf5_map_data_options {
#include "cairn/options/gpt_hdf5_map_data.def"
} cairn_gpt_hdf5_map_data_options;

#include "cairn/options/rows_end.h"

/** The defaults of each section. Thread safe. */
CAIRN_API cairn_checkpoint_options cairn_checkpoint_options_default(void);
CAIRN_API cairn_loop_options cairn_loop_options_default(void);
CAIRN_API cairn_logging_options cairn_logging_options_default(void);
CAIRN_API cairn_precision_options cairn_precision_options_default(void);
CAIRN_API cairn_backend_options cairn_backend_options_default(void);
CAIRN_API cairn_autorestart_options cairn_autorestart_options_default(void);
CAIRN_API cairn_load_checkpoint_states_options cairn_load_checkpoint_states_options_default(void);
CAIRN_API cairn_save_checkpoint_state_options cairn_save_checkpoint_state_options_default(void);
CAIRN_API cairn_keep_n_checkpoints_options cairn_keep_n_checkpoints_options_default(void);
CAIRN_API cairn_tensorboard_logger_options cairn_tensorboard_logger_options_default(void);
CAIRN_API cairn_early_stopping_options cairn_early_stopping_options_default(void);
CAIRN_API cairn_ema_options cairn_ema_options_default(void);
CAIRN_API cairn_lora_options cairn_lora_options_default(void);
CAIRN_API cairn_lora_params_options cairn_lora_params_options_default(void);
CAIRN_API cairn_log_optimizer_param_group_options
cairn_log_optimizer_param_group_options_default(void);
CAIRN_API cairn_nan_checker_options cairn_nan_checker_options_default(void);
CAIRN_API cairn_norm_tensor_listener_options cairn_norm_tensor_listener_options_default(void);
CAIRN_API cairn_summary_tensor_listener_options cairn_summary_tensor_listener_options_default(void);
CAIRN_API cairn_count_params_options cairn_count_params_options_default(void);
CAIRN_API cairn_skip_samples_options cairn_skip_samples_options_default(void);
CAIRN_API cairn_flop_utilization_options cairn_flop_utilization_options_default(void);
CAIRN_API cairn_adamw_options cairn_adamw_options_default(void);
CAIRN_API cairn_adam_options cairn_adam_options_default(void);
CAIRN_API cairn_sgd_options cairn_sgd_options_default(void);
CAIRN_API cairn_adafactor_options cairn_adafactor_options_default(void);
CAIRN_API cairn_lion_options cairn_lion_options_default(void);
CAIRN_API cairn_lamb_options cairn_lamb_options_default(void);
CAIRN_API cairn_muon_options cairn_muon_options_default(void);
CAIRN_API cairn_rmsprop_options cairn_rmsprop_options_default(void);
CAIRN_API cairn_nadam_options cairn_nadam_options_default(void);
CAIRN_API cairn_radam_options cairn_radam_options_default(void);
CAIRN_API cairn_adagrad_options cairn_adagrad_options_default(void);
CAIRN_API cairn_adamax_options cairn_adamax_options_default(void);
CAIRN_API cairn_adadelta_options cairn_adadelta_options_default(void);
CAIRN_API cairn_asgd_options cairn_asgd_options_default(void);
CAIRN_API cairn_rprop_options cairn_rprop_options_default(void);
CAIRN_API cairn_constant_lr_options cairn_constant_lr_options_default(void);
CAIRN_API cairn_linear_lr_options cairn_linear_lr_options_default(void);
CAIRN_API cairn_polynomial_lr_options cairn_polynomial_lr_options_default(void);
CAIRN_API cairn_exponential_lr_options cairn_exponential_lr_options_default(void);
CAIRN_API cairn_inverse_exponential_time_decay_lr_options
cairn_inverse_exponential_time_decay_lr_options_default(void);
CAIRN_API cairn_inverse_square_root_decay_lr_options
cairn_inverse_square_root_decay_lr_options_default(void);
CAIRN_API cairn_cosine_decay_lr_options cairn_cosine_decay_lr_options_default(void);
CAIRN_API cairn_cosine_annealing_lr_options cairn_cosine_annealing_lr_options_default(void);
CAIRN_API cairn_cosine_annealing_warm_restarts_options
cairn_cosine_annealing_warm_restarts_options_default(void);
CAIRN_API cairn_step_lr_options cairn_step_lr_options_default(void);
CAIRN_API cairn_multi_step_lr_options cairn_multi_step_lr_options_default(void);
CAIRN_API cairn_multiplicative_lr_options cairn_multiplicative_lr_options_default(void);
CAIRN_API cairn_piecewise_constant_lr_options cairn_piecewise_constant_lr_options_default(void);
CAIRN_API cairn_cyclic_lr_options cairn_cyclic_lr_options_default(void);
CAIRN_API cairn_one_cycle_lr_options cairn_one_cycle_lr_options_default(void);
CAIRN_API cairn_attention_params_options cairn_attention_params_options_default(void);
CAIRN_API cairn_pos_scaling_options cairn_pos_scaling_options_default(void);
CAIRN_API cairn_gpt2_options cairn_gpt2_options_default(void);
CAIRN_API cairn_text_data_options cairn_text_data_options_default(void);
CAIRN_API cairn_token_bin_data_options cairn_token_bin_data_options_default(void);
CAIRN_API cairn_hdf5_mixture_options cairn_hdf5_mixture_options_default(void);
CAIRN_API cairn_gpt_hdf5_data_options cairn_gpt_hdf5_data_options_default(void);
CAIRN_API cairn_gpt_hdf5_map_data_options cairn_gpt_hdf5_map_data_options_default(void);

#ifdef __cplusplus
}
#endif
#endif
