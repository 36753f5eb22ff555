/* The tables of all sections, made from their rows. */
#include <stddef.h>

#include "config/config_priv.h"
#include "config/options_wd.h"

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

#define CRN_OPT_STRUCT cairn_backend_options
static const crn_row k_backend_rows[] = {
#include "cairn/options/backend.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_autorestart_options
static const crn_row k_autorestart_rows[] = {
#include "cairn/options/autorestart.def"
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

#define CRN_OPT_STRUCT cairn_adam_options
static const crn_row k_adam_rows[] = {
#include "cairn/options/adam.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_sgd_options
static const crn_row k_sgd_rows[] = {
#include "cairn/options/sgd.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_adafactor_options
static const crn_row k_adafactor_rows[] = {
#include "cairn/options/adafactor.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_lion_options
static const crn_row k_lion_rows[] = {
#include "cairn/options/lion.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_lamb_options
static const crn_row k_lamb_rows[] = {
#include "cairn/options/lamb.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_muon_options
static const crn_row k_muon_rows[] = {
#include "cairn/options/muon.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_rmsprop_options
static const crn_row k_rmsprop_rows[] = {
#include "cairn/options/rmsprop.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_nadam_options
static const crn_row k_nadam_rows[] = {
#include "cairn/options/nadam.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_radam_options
static const crn_row k_radam_rows[] = {
#include "cairn/options/radam.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_adagrad_options
static const crn_row k_adagrad_rows[] = {
#include "cairn/options/adagrad.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_adamax_options
static const crn_row k_adamax_rows[] = {
#include "cairn/options/adamax.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_adadelta_options
static const crn_row k_adadelta_rows[] = {
#include "cairn/options/adadelta.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_asgd_options
static const crn_row k_asgd_rows[] = {
#include "cairn/options/asgd.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_rprop_options
static const crn_row k_rprop_rows[] = {
#include "cairn/options/rprop.def"
};
#undef CRN_OPT_STRUCT

#include "cairn/options/names_lr.h"

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

#define CRN_OPT_STRUCT cairn_polynomial_lr_options
static const crn_row k_polynomial_lr_rows[] = {
#include "cairn/options/polynomial_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_exponential_lr_options
static const crn_row k_exponential_lr_rows[] = {
#include "cairn/options/exponential_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_inverse_exponential_time_decay_lr_options
static const crn_row k_inverse_exponential_time_decay_lr_rows[] = {
#include "cairn/options/inverse_exponential_time_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_inverse_square_root_decay_lr_options
static const crn_row k_inverse_square_root_decay_lr_rows[] = {
#include "cairn/options/inverse_square_root_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_decay_lr_options
static const crn_row k_cosine_decay_lr_rows[] = {
#include "cairn/options/cosine_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_annealing_lr_options
static const crn_row k_cosine_annealing_lr_rows[] = {
#include "cairn/options/cosine_annealing_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_annealing_warm_restarts_options
static const crn_row k_cosine_annealing_warm_restarts_rows[] = {
#include "cairn/options/cosine_annealing_warm_restarts.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_step_lr_options
static const crn_row k_step_lr_rows[] = {
#include "cairn/options/step_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_multi_step_lr_options
static const crn_row k_multi_step_lr_rows[] = {
#include "cairn/options/multi_step_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_multiplicative_lr_options
static const crn_row k_multiplicative_lr_rows[] = {
#include "cairn/options/multiplicative_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_piecewise_constant_lr_options
static const crn_row k_piecewise_constant_lr_rows[] = {
#include "cairn/options/piecewise_constant_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cyclic_lr_options
static const crn_row k_cyclic_lr_rows[] = {
#include "cairn/options/cyclic_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_one_cycle_lr_options
static const crn_row k_one_cycle_lr_rows[] = {
#include "cairn/options/one_cycle_lr.def"
};
#undef CRN_OPT_STRUCT

#include "cairn/options/names_end.h"
#include "cairn/options/names_wd.h"

#define CRN_OPT_STRUCT cairn_constant_wd_options
static const crn_row k_constant_wd_rows[] = {
#include "cairn/options/constant_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_linear_wd_options
static const crn_row k_linear_wd_rows[] = {
#include "cairn/options/linear_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_polynomial_wd_options
static const crn_row k_polynomial_wd_rows[] = {
#include "cairn/options/polynomial_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_exponential_wd_options
static const crn_row k_exponential_wd_rows[] = {
#include "cairn/options/exponential_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_inverse_exponential_time_decay_wd_options
static const crn_row k_inverse_exponential_time_decay_wd_rows[] = {
#include "cairn/options/inverse_exponential_time_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_inverse_square_root_decay_wd_options
static const crn_row k_inverse_square_root_decay_wd_rows[] = {
#include "cairn/options/inverse_square_root_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_decay_wd_options
static const crn_row k_cosine_decay_wd_rows[] = {
#include "cairn/options/cosine_decay_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_annealing_wd_options
static const crn_row k_cosine_annealing_wd_rows[] = {
#include "cairn/options/cosine_annealing_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cosine_annealing_warm_restarts_wd_options
static const crn_row k_cosine_annealing_warm_restarts_wd_rows[] = {
#include "cairn/options/cosine_annealing_warm_restarts.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_step_wd_options
static const crn_row k_step_wd_rows[] = {
#include "cairn/options/step_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_multi_step_wd_options
static const crn_row k_multi_step_wd_rows[] = {
#include "cairn/options/multi_step_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_multiplicative_wd_options
static const crn_row k_multiplicative_wd_rows[] = {
#include "cairn/options/multiplicative_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_piecewise_constant_wd_options
static const crn_row k_piecewise_constant_wd_rows[] = {
#include "cairn/options/piecewise_constant_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_cyclic_wd_options
static const crn_row k_cyclic_wd_rows[] = {
#include "cairn/options/cyclic_lr.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_one_cycle_wd_options
static const crn_row k_one_cycle_wd_rows[] = {
#include "cairn/options/one_cycle_lr.def"
};
#undef CRN_OPT_STRUCT

#include "cairn/options/names_end.h"

#define CRN_OPT_STRUCT cairn_attention_params_options
static const crn_row k_attention_params_rows[] = {
#include "cairn/options/attention_params.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_pos_scaling_options
static const crn_row k_pos_scaling_rows[] = {
#include "cairn/options/pos_scaling.def"
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

#define CRN_OPT_STRUCT cairn_token_bin_data_options
static const crn_row k_token_bin_data_rows[] = {
#include "cairn/options/token_bin_data.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_lora_options
static const crn_row k_lora_rows[] = {
#include "cairn/options/lora.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_lora_params_options
static const crn_row k_lora_params_rows[] = {
#include "cairn/options/lora_params.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_hdf5_mixture_options
static const crn_row k_hdf5_mixture_rows[] = {
#include "cairn/options/hdf5_mixture.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_gpt_hdf5_data_options
static const crn_row k_gpt_hdf5_data_rows[] = {
#include "cairn/options/gpt_hdf5_data.def"
};
#undef CRN_OPT_STRUCT

#define CRN_OPT_STRUCT cairn_gpt_hdf5_map_data_options
static const crn_row k_gpt_hdf5_map_data_rows[] = {
#include "cairn/options/gpt_hdf5_map_data.def"
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
    SECTION(backend, "trainer.init.backend", "Where to compute."),
    SECTION(autorestart, "trainer.init.autorestart", "How often a crashed run is started again."),
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
    SECTION(lora, "callbacks.Lora", "Trains low-rank adapters instead of the weights."),
    SECTION(lora_params, "callbacks.Lora.lora_params", "Adapters of a group of layers."),
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
    SECTION(adam, "optimizer.Adam", "Adam; weight decay is added to the gradient."),
    SECTION(sgd, "optimizer.SGD", "Gradient descent with momentum."),
    SECTION(adafactor, "optimizer.Adafactor",
            "Adam in less memory: second moments of rows and columns only."),
    SECTION(lion, "optimizer.Lion", "Steps of one size, by the sign of the momentum."),
    SECTION(lamb, "optimizer.Lamb", "Adam whose updates are scaled to the size of each tensor."),
    SECTION(muon, "optimizer.Muon", "Momentum made orthogonal, for matrices; AdamW for the rest."),
    SECTION(rmsprop, "optimizer.RMSprop", "Gradients divided by the root of their mean square."),
    SECTION(nadam, "optimizer.NAdam", "Adam with Nesterov momentum."),
    SECTION(radam, "optimizer.RAdam", "Adam without adaptive rates until their variance is known."),
    SECTION(adagrad, "optimizer.Adagrad",
            "Gradients divided by the root of the sum of all their squares."),
    SECTION(adamax, "optimizer.Adamax", "Adam with the largest gradient as second moment."),
    SECTION(adadelta, "optimizer.Adadelta", "Updates as large as past updates."),
    SECTION(asgd, "optimizer.ASGD", "Gradient descent that keeps an average of the parameters."),
    SECTION(rprop, "optimizer.Rprop", "A step size an element, by the signs of its gradients."),
    SECTION(constant_lr, "schedulers.ConstantLR", "A constant learning rate."),
    SECTION(linear_lr, "schedulers.LinearLR", "A learning rate that changes along a line."),
    SECTION(polynomial_lr, "schedulers.PolynomialLR",
            "A learning rate that changes along a power of the time left."),
    SECTION(exponential_lr, "schedulers.ExponentialLR",
            "A learning rate that decays by a factor every total_iters steps."),
    SECTION(inverse_exponential_time_decay_lr, "schedulers.InverseExponentialTimeDecayLR",
            "A learning rate that decays by the inverse of a power of the step."),
    SECTION(inverse_square_root_decay_lr, "schedulers.InverseSquareRootDecayLR",
            "A learning rate that decays by the inverse root of the step."),
    SECTION(cosine_decay_lr, "schedulers.CosineDecayLR",
            "A learning rate that changes along half a cosine."),
    SECTION(cosine_annealing_lr, "schedulers.CosineAnnealingLR",
            "A learning rate that goes up and down along a cosine."),
    SECTION(cosine_annealing_warm_restarts, "schedulers.CosineAnnealingWarmRestarts",
            "A learning rate that falls along half a cosine again and again."),
    SECTION(step_lr, "schedulers.StepLR",
            "A learning rate that is multiplied by a factor every so many steps."),
    SECTION(multi_step_lr, "schedulers.MultiStepLR",
            "A learning rate that is multiplied by a factor at milestones."),
    SECTION(multiplicative_lr, "schedulers.MultiplicativeLR",
            "A learning rate that is multiplied by a factor every step."),
    SECTION(piecewise_constant_lr, "schedulers.PiecewiseConstantLR",
            "A learning rate that changes at milestones."),
    SECTION(cyclic_lr, "schedulers.CyclicLR",
            "A learning rate that goes up and down between two values."),
    SECTION(one_cycle_lr, "schedulers.OneCycleLR",
            "A learning rate that rises once and falls for the rest."),
    SECTION(constant_wd, "schedulers.ConstantWD", "Constant weight decay."),
    SECTION(linear_wd, "schedulers.LinearWD", "Weight decay that changes along a line."),
    SECTION(polynomial_wd, "schedulers.PolynomialWD",
            "Weight decay that changes along a power of the time left."),
    SECTION(exponential_wd, "schedulers.ExponentialWD",
            "Weight decay that decays by a factor every total_iters steps."),
    SECTION(inverse_exponential_time_decay_wd, "schedulers.InverseExponentialTimeDecayWD",
            "Weight decay that decays by the inverse of a power of the step."),
    SECTION(inverse_square_root_decay_wd, "schedulers.InverseSquareRootDecayWD",
            "Weight decay that decays by the inverse root of the step."),
    SECTION(cosine_decay_wd, "schedulers.CosineDecayWD",
            "Weight decay that changes along half a cosine."),
    SECTION(cosine_annealing_wd, "schedulers.CosineAnnealingWD",
            "Weight decay that goes up and down along a cosine."),
    SECTION(cosine_annealing_warm_restarts_wd, "schedulers.CosineAnnealingWarmRestartsWD",
            "Weight decay that falls along half a cosine again and again."),
    SECTION(step_wd, "schedulers.StepWD",
            "Weight decay that is multiplied by a factor every so many steps."),
    SECTION(multi_step_wd, "schedulers.MultiStepWD",
            "Weight decay that is multiplied by a factor at milestones."),
    SECTION(multiplicative_wd, "schedulers.MultiplicativeWD",
            "Weight decay that is multiplied by a factor every step."),
    SECTION(piecewise_constant_wd, "schedulers.PiecewiseConstantWD",
            "Weight decay that changes at milestones."),
    SECTION(cyclic_wd, "schedulers.CyclicWD",
            "Weight decay that goes up and down between two values."),
    SECTION(one_cycle_wd, "schedulers.OneCycleWD",
            "Weight decay that rises once and falls for the rest."),
    SECTION(gpt2, "model", "The GPT-2, GPT-3 and Llama models."),
    SECTION(attention_params, "model.extra_attention_params", "More options of the attention."),
    SECTION(pos_scaling, "model.pos_scaling_extra_args", "More options of rotary positions."),
    SECTION(text_data, "dataloader.TextDataProcessor", "Text files whose bytes are the tokens."),
    SECTION(token_bin_data, "dataloader.TokenBinDataProcessor",
            "Token shards as llm.c and nanoGPT write them."),
    SECTION(gpt_hdf5_data, "dataloader.GptHDF5DataProcessor", "HDF5 files of samples."),
    SECTION(gpt_hdf5_map_data, "dataloader.GptHDF5MapDataProcessor",
            "HDF5 files of samples, or of a corpus that is cut into samples."),
    SECTION(hdf5_mixture, "dataloader.GptHDF5MapDataProcessor.mixture",
            "One of the sets that an epoch is mixed of."),
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
DEFAULTS(backend)
DEFAULTS(autorestart)
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
DEFAULTS(adam)
DEFAULTS(sgd)
DEFAULTS(adafactor)
DEFAULTS(lion)
DEFAULTS(lamb)
DEFAULTS(muon)
DEFAULTS(rmsprop)
DEFAULTS(nadam)
DEFAULTS(radam)
DEFAULTS(adagrad)
DEFAULTS(adamax)
DEFAULTS(adadelta)
DEFAULTS(asgd)
DEFAULTS(rprop)
DEFAULTS(constant_lr)
DEFAULTS(linear_lr)
DEFAULTS(polynomial_lr)
DEFAULTS(exponential_lr)
DEFAULTS(inverse_exponential_time_decay_lr)
DEFAULTS(inverse_square_root_decay_lr)
DEFAULTS(cosine_decay_lr)
DEFAULTS(cosine_annealing_lr)
DEFAULTS(cosine_annealing_warm_restarts)
DEFAULTS(step_lr)
DEFAULTS(multi_step_lr)
DEFAULTS(multiplicative_lr)
DEFAULTS(piecewise_constant_lr)
DEFAULTS(cyclic_lr)
DEFAULTS(one_cycle_lr)
DEFAULTS(attention_params)
DEFAULTS(pos_scaling)
DEFAULTS(gpt2)
DEFAULTS(text_data)
DEFAULTS(token_bin_data)
DEFAULTS(lora)
DEFAULTS(lora_params)
DEFAULTS(hdf5_mixture)
DEFAULTS(gpt_hdf5_data)
DEFAULTS(gpt_hdf5_map_data)

const crn_section *crn_sections(size_t *count)
{
    *count = sizeof k_sections / sizeof k_sections[0];
    return k_sections;
}
