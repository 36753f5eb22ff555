/* The tables of all sections, made from their rows. */
#include <stddef.h>

#include "config/config_priv.h"

#include "config/rows_table.h"

#define CRN_OPT_STRUCT cairn_checkpoint_options
static const crn_row k_checkpoint_rows[] = {
#include "cairn/options/checkpoint.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_loop_options
static const crn_row k_loop_rows[] = {
#include "cairn/options/loop.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_logging_options
static const crn_row k_logging_rows[] = {
#include "cairn/options/logging.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_precision_options
static const crn_row k_precision_rows[] = {
#include "cairn/options/precision.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_load_checkpoint_states_options
static const crn_row k_load_checkpoint_states_rows[] = {
#include "cairn/options/load_checkpoint_states.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_save_checkpoint_state_options
static const crn_row k_save_checkpoint_state_rows[] = {
#include "cairn/options/save_checkpoint_state.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_keep_n_checkpoints_options
static const crn_row k_keep_n_checkpoints_rows[] = {
#include "cairn/options/keep_n_checkpoints.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_tensorboard_logger_options
static const crn_row k_tensorboard_logger_rows[] = {
#include "cairn/options/tensorboard_logger.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_early_stopping_options
static const crn_row k_early_stopping_rows[] = {
#include "cairn/options/early_stopping.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_ema_options
static const crn_row k_ema_rows[] = {
#include "cairn/options/ema.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_log_optimizer_param_group_options
static const crn_row k_log_optimizer_param_group_rows[] = {
#include "cairn/options/log_optimizer_param_group.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_nan_checker_options
static const crn_row k_nan_checker_rows[] = {
#include "cairn/options/nan_checker.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_norm_tensor_listener_options
static const crn_row k_norm_tensor_listener_rows[] = {
#include "cairn/options/norm_tensor_listener.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_summary_tensor_listener_options
static const crn_row k_summary_tensor_listener_rows[] = {
#include "cairn/options/summary_tensor_listener.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_count_params_options
static const crn_row k_count_params_rows[] = {
#include "cairn/options/count_params.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_skip_samples_options
static const crn_row k_skip_samples_rows[] = {
#include "cairn/options/skip_samples.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_flop_utilization_options
static const crn_row k_flop_utilization_rows[] = {
#include "cairn/options/flop_utilization.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_adamw_options
static const crn_row k_adamw_rows[] = {
#include "cairn/options/adamw.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_constant_lr_options
static const crn_row k_constant_lr_rows[] = {
#include "cairn/options/constant_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_linear_lr_options
static const crn_row k_linear_lr_rows[] = {
#include "cairn/options/linear_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_decay_lr_options
static const crn_row k_cosine_decay_lr_rows[] = {
#include "cairn/options/cosine_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_gpt2_options
static const crn_row k_gpt2_rows[] = {
#include "cairn/options/gpt2.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_text_data_options
static const crn_row k_text_data_rows[] = {
#include "cairn/options/text_data.def"
};
#undef CRN_OPT_STRUCT

#include "cairn/options/rows_end.h"
#undef CRN_OPT_FIELD

#define SECTION(section, title_, help_)                                                            \
    {                                                                                              \
        .name = #section, .title = title_, .help = help_, .rows = k_##section##_rows,              \
        .count = sizeof k_##section##_rows / sizeof k_##section##_rows[0],                         \
        .struct_size = sizeof(cairn_##section##_options)                                           \
    }

static const crn_section k_sections[] = {
    SECTION(checkpoint, "trainer.init.checkpoint",
            "When checkpoints are saved, where, and which one is loaded."),
    SECTION(loop, "trainer.init.loop", "How long to train and how often to validate."),
    SECTION(logging, "trainer.init.logging", "What is printed."),
    SECTION(precision, "trainer.init.precision",
            "Number types, loss scaling and gradient clipping."),
    SECTION(load_checkpoint_states, "callbacks.LoadCheckpointStates",
            "Loads only some states of a checkpoint."),
    SECTION(save_checkpoint_state, "callbacks.SaveCheckpointState",
            "Writes smaller checkpoints with only some states."),
    SECTION(keep_n_checkpoints, "callbacks.KeepNCheckpoints",
            "Removes the oldest checkpoints of the run."),
    SECTION(tensorboard_logger, "loggers.TensorBoardLogger", "Event files for TensorBoard."),
    SECTION(early_stopping, "callbacks.EarlyStopping",
            "Ends the run when a metric no longer improves."),
    SECTION(ema, "callbacks.EMA", "Keeps averages of the weights over the steps."),
    SECTION(log_optimizer_param_group, "callbacks.LogOptimizerParamGroup",
            "Logs learning rates and weight decays of the parameter groups."),
    SECTION(nan_checker, "callbacks.NaNChecker",
            "Names the first operation and tensor that is not finite."),
    SECTION(norm_tensor_listener, "callbacks.NormTensorListener", "Logs norms of tensors."),
    SECTION(summary_tensor_listener, "callbacks.SummaryTensorListener",
            "Logs distributions of tensors."),
    SECTION(count_params, "callbacks.CountParams",
            "Prints a table of the parameters at the start."),
    SECTION(skip_samples, "callbacks.SkipSamples", "Leaves out samples of the training data."),
    SECTION(flop_utilization, "callbacks.FlopUtilization",
            "Logs how much of the machine's speed the training uses."),
    SECTION(adamw, "optimizer.AdamW", "Adam with decoupled weight decay."),
    SECTION(constant_lr, "schedulers.ConstantLR", "A constant learning rate."),
    SECTION(linear_lr, "schedulers.LinearLR", "A learning rate that changes along a line."),
    SECTION(cosine_decay_lr, "schedulers.CosineDecayLR",
            "A learning rate that changes along half a cosine."),
    SECTION(gpt2, "model", "The GPT-2 and GPT-3 models."),
    SECTION(text_data, "dataloader.TextDataProcessor", "Text files whose bytes are the tokens."),
};

#define DEFAULTS(section)                                                                          \
    cairn_##section##_options cairn_##section##_options_default(void)                              \
    {                                                                                              \
        cairn_##section##_options options;                                                         \
        crn_section_defaults(crn_section_find(#section), &options);                                \
        return options;                                                                            \
    }

DEFAULTS(checkpoint)
DEFAULTS(loop)
DEFAULTS(logging)
DEFAULTS(precision)
DEFAULTS(load_checkpoint_states)
DEFAULTS(save_checkpoint_state)
DEFAULTS(keep_n_checkpoints)
DEFAULTS(tensorboard_logger)
DEFAULTS(early_stopping)
DEFAULTS(ema)
DEFAULTS(log_optimizer_param_group)
DEFAULTS(nan_checker)
DEFAULTS(norm_tensor_listener)
DEFAULTS(summary_tensor_listener)
DEFAULTS(count_params)
DEFAULTS(skip_samples)
DEFAULTS(flop_utilization)
DEFAULTS(adamw)
DEFAULTS(constant_lr)
DEFAULTS(linear_lr)
DEFAULTS(cosine_decay_lr)
DEFAULTS(gpt2)
DEFAULTS(text_data)

const crn_section *crn_sections(size_t *count)
{
    *count = sizeof k_sections / sizeof k_sections[0];
    return k_sections;
}
