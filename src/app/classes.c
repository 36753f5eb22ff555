#include "app/classes.h"

#include <stdio.h>
#include <string.h>

#include "app/plugins.h"
#include "base/mem.h"
#include "cairn/model.h"

enum { NAMES_MAX = 64 };

static cairn_status make_gpt2(const void *options, void *out, cairn_error *err)
{
    return cairn_gpt2_new(options, out, err);
}

/* A maker for a class whose constructor takes its options. */
#define MAKER(class)                                                                               \
    static cairn_status make_##class(const void *options, void *out, cairn_error *err)             \
    {                                                                                              \
        return cairn_##class##_new(options, out, err);                                             \
    }
MAKER(adamw)
MAKER(adam)
MAKER(sgd)
MAKER(adafactor)
MAKER(lion)
MAKER(lamb)
MAKER(muon)
MAKER(rmsprop)
MAKER(nadam)
MAKER(radam)
MAKER(adagrad)
MAKER(adamax)
MAKER(adadelta)
MAKER(asgd)
MAKER(rprop)
MAKER(constant_lr)
MAKER(linear_lr)
MAKER(polynomial_lr)
MAKER(exponential_lr)
MAKER(inverse_exponential_time_decay_lr)
MAKER(inverse_square_root_decay_lr)
MAKER(cosine_decay_lr)
MAKER(cosine_annealing_lr)
MAKER(cosine_annealing_warm_restarts)
MAKER(step_lr)
MAKER(multi_step_lr)
MAKER(multiplicative_lr)
MAKER(piecewise_constant_lr)
MAKER(cyclic_lr)
MAKER(one_cycle_lr)
#undef MAKER

static cairn_status make_load_states(const void *options, void *out, cairn_error *err)
{
    return cairn_load_checkpoint_states_new(options, out, err);
}

static cairn_status make_lora(const void *options, void *out, cairn_error *err)
{
    return cairn_lora_new(options, out, err);
}

static cairn_status make_save_state(const void *options, void *out, cairn_error *err)
{
    return cairn_save_checkpoint_state_new(options, out, err);
}

static cairn_status make_keep_n(const void *options, void *out, cairn_error *err)
{
    return cairn_keep_n_checkpoints_new(options, out, err);
}

static cairn_status make_check_loss(const void *options, void *out, cairn_error *err)
{
    (void)options;
    return cairn_check_loss_new(out, err);
}

static cairn_status make_early_stopping(const void *options, void *out, cairn_error *err)
{
    return cairn_early_stopping_new(options, out, err);
}

static cairn_status make_ema(const void *options, void *out, cairn_error *err)
{
    return cairn_ema_new(options, out, err);
}

static cairn_status make_log_optimizer_param_group(const void *options, void *out, cairn_error *err)
{
    return cairn_log_optimizer_param_group_new(options, out, err);
}

static cairn_status make_flop_utilization(const void *options, void *out, cairn_error *err)
{
    return cairn_flop_utilization_new(options, out, err);
}

static cairn_status make_skip_samples(const void *options, void *out, cairn_error *err)
{
    return cairn_skip_samples_new(options, out, err);
}

static cairn_status make_nan_checker(const void *options, void *out, cairn_error *err)
{
    return cairn_nan_checker_new(options, out, err);
}

static cairn_status make_norm_tensor_listener(const void *options, void *out, cairn_error *err)
{
    return cairn_norm_tensor_listener_new(options, out, err);
}

static cairn_status make_summary_tensor_listener(const void *options, void *out, cairn_error *err)
{
    return cairn_summary_tensor_listener_new(options, out, err);
}

static cairn_status make_count_params(const void *options, void *out, cairn_error *err)
{
    return cairn_count_params_new(options, out, err);
}

static cairn_status make_check_flags(const void *options, void *out, cairn_error *err)
{
    return cairn_check_flags_new(options, out, err);
}

static cairn_status make_compute_norm(const void *options, void *out, cairn_error *err)
{
    (void)options;
    return cairn_compute_norm_new(out, err);
}

static cairn_status make_model_eval_metrics(const void *options, void *out, cairn_error *err)
{
    (void)options;
    return cairn_model_eval_metrics_new(out, err);
}

static cairn_status make_rate_profiler(const void *options, void *out, cairn_error *err)
{
    (void)options;
    return cairn_rate_profiler_new(out, err);
}

static cairn_status make_duration_profiler(const void *options, void *out, cairn_error *err)
{
    (void)options;
    return cairn_duration_profiler_new(out, err);
}

static cairn_status make_save_performance_data(const void *options, void *out, cairn_error *err)
{
    (void)options;
    return cairn_save_performance_data_new(out, err);
}

static cairn_status make_samples_streamed_info(const void *options, void *out, cairn_error *err)
{
    (void)options;
    return cairn_samples_streamed_info_new(out, err);
}

static cairn_status make_log_input_summaries(const void *options, void *out, cairn_error *err)
{
    (void)options;
    return cairn_log_input_summaries_new(out, err);
}

/* @options: cairn_progress_options of the request, since the configuration has none. */
static cairn_status make_progress(const void *options, void *out, cairn_error *err)
{
    return cairn_progress_logger_new(options, out, err);
}

static cairn_status make_tensorboard(const void *options, void *out, cairn_error *err)
{
    return cairn_tensorboard_logger_new(options, out, err);
}

/* The rows of dataloader.def in the options of any processor. */
#define LOADER_OPTIONS(from)                                                                       \
    {                                                                                              \
        .struct_size = sizeof(cairn_loader_options), .batch_size = (uint64_t)(from)->batch_size,   \
        .shuffle = (from)->shuffle, .shuffle_seed = (from)->shuffle_seed,                          \
        .drop_last = (from)->drop_last, .prefetch_factor = (from)->prefetch_factor                 \
    }

static cairn_status make_text(const void *options, void *out, cairn_error *err)
{
    const cairn_text_data_options *const text = options;
    const cairn_loader_options loader = LOADER_OPTIONS(text);
    cairn_data data = {0};
    const cairn_status rc = cairn_text_data_new(text, &data, err);
    return rc == CAIRN_OK ? cairn_loader_new(data, &loader, out, err) : rc;
}

static cairn_status make_token_bin(const void *options, void *out, cairn_error *err)
{
    const cairn_token_bin_data_options *const shards = options;
    const cairn_loader_options loader = LOADER_OPTIONS(shards);
    cairn_data data = {0};
    const cairn_status rc = cairn_token_bin_data_new(shards, &data, err);
    return rc == CAIRN_OK ? cairn_loader_new(data, &loader, out, err) : rc;
}

static cairn_status make_gpt_hdf5(const void *options, void *out, cairn_error *err)
{
    const cairn_gpt_hdf5_data_options *const hdf5 = options;
    const cairn_loader_options loader = LOADER_OPTIONS(hdf5);
    cairn_data data = {0};
    const cairn_status rc = cairn_gpt_hdf5_data_new(hdf5, NULL, &data, err);
    return rc == CAIRN_OK ? cairn_loader_new(data, &loader, out, err) : rc;
}

static cairn_status make_gpt_hdf5_map(const void *options, void *out, cairn_error *err)
{
    const cairn_gpt_hdf5_map_data_options *const hdf5 = options;
    cairn_loader_options loader = LOADER_OPTIONS(hdf5);
    cairn_data data = {0};
    loader.num_samples = hdf5->num_samples;
    loader.carry_last = true;
    loader.pad_last = hdf5->pad_last;
    const cairn_status rc = cairn_gpt_hdf5_map_data_new(hdf5, NULL, &data, err);
    return rc == CAIRN_OK ? cairn_loader_new(data, &loader, out, err) : rc;
}

static const crn_class k_models[] = {
    {"gpt2", "gpt2", make_gpt2, false},
    {"gpt3", "gpt2", make_gpt2, false},
    {"llama", "gpt2", make_gpt2, false},
};

static const crn_class k_optimizers[] = {
    {"AdamW", "adamw", make_adamw, false},
    {"Adam", "adam", make_adam, false},
    {"SGD", "sgd", make_sgd, false},
    {"Adafactor", "adafactor", make_adafactor, false},
    {"Lion", "lion", make_lion, false},
    {"Lamb", "lamb", make_lamb, false},
    {"Muon", "muon", make_muon, false},
    {"RMSprop", "rmsprop", make_rmsprop, false},
    {"NAdam", "nadam", make_nadam, false},
    {"RAdam", "radam", make_radam, false},
    {"Adagrad", "adagrad", make_adagrad, false},
    {"Adamax", "adamax", make_adamax, false},
    {"Adadelta", "adadelta", make_adadelta, false},
    {"ASGD", "asgd", make_asgd, false},
    {"Rprop", "rprop", make_rprop, false},
};

/* Those made of others are read by hand (schedules.c) and stand here for their names only. */
static const crn_class k_schedulers[] = {
    {"ConstantLR", "constant_lr", make_constant_lr, false},
    {"LinearLR", "linear_lr", make_linear_lr, false},
    {"PolynomialLR", "polynomial_lr", make_polynomial_lr, false},
    {"ExponentialLR", "exponential_lr", make_exponential_lr, false},
    {"InverseExponentialTimeDecayLR", "inverse_exponential_time_decay_lr",
     make_inverse_exponential_time_decay_lr, false},
    {"InverseSquareRootDecayLR", "inverse_square_root_decay_lr", make_inverse_square_root_decay_lr,
     false},
    {"CosineDecayLR", "cosine_decay_lr", make_cosine_decay_lr, false},
    {"CosineAnnealingLR", "cosine_annealing_lr", make_cosine_annealing_lr, false},
    {"CosineAnnealingWarmRestarts", "cosine_annealing_warm_restarts",
     make_cosine_annealing_warm_restarts, false},
    {"StepLR", "step_lr", make_step_lr, false},
    {"MultiStepLR", "multi_step_lr", make_multi_step_lr, false},
    {"MultiplicativeLR", "multiplicative_lr", make_multiplicative_lr, false},
    {"PiecewiseConstantLR", "piecewise_constant_lr", make_piecewise_constant_lr, false},
    {"CyclicLR", "cyclic_lr", make_cyclic_lr, false},
    {"OneCycleLR", "one_cycle_lr", make_one_cycle_lr, false},
    {"ConstantWD", "constant_wd", make_constant_lr, false},
    {"LinearWD", "linear_wd", make_linear_lr, false},
    {"PolynomialWD", "polynomial_wd", make_polynomial_lr, false},
    {"ExponentialWD", "exponential_wd", make_exponential_lr, false},
    {"InverseExponentialTimeDecayWD", "inverse_exponential_time_decay_wd",
     make_inverse_exponential_time_decay_lr, false},
    {"InverseSquareRootDecayWD", "inverse_square_root_decay_wd", make_inverse_square_root_decay_lr,
     false},
    {"CosineDecayWD", "cosine_decay_wd", make_cosine_decay_lr, false},
    {"CosineAnnealingWD", "cosine_annealing_wd", make_cosine_annealing_lr, false},
    {"CosineAnnealingWarmRestartsWD", "cosine_annealing_warm_restarts_wd",
     make_cosine_annealing_warm_restarts, false},
    {"StepWD", "step_wd", make_step_lr, false},
    {"MultiStepWD", "multi_step_wd", make_multi_step_lr, false},
    {"MultiplicativeWD", "multiplicative_wd", make_multiplicative_lr, false},
    {"PiecewiseConstantWD", "piecewise_constant_wd", make_piecewise_constant_lr, false},
    {"CyclicWD", "cyclic_wd", make_cyclic_lr, false},
    {"OneCycleWD", "one_cycle_wd", make_one_cycle_lr, false},
    {"SequentialLR", NULL, NULL, true},
    {"SequentialWD", NULL, NULL, true},
    {"ChainedScheduler", NULL, NULL, true},
    {"ChainedLR", NULL, NULL, true},
    {"ChainedWD", NULL, NULL, true},
    {"ScalePerParamLR", NULL, NULL, true},
    {"ScalePerParamWD", NULL, NULL, true},
    {"LambdaLR", NULL, NULL, false},
    {"LambdaWD", NULL, NULL, false},
};

static const crn_class k_callbacks[] = {
    {"LoadCheckpointStates", "load_checkpoint_states", make_load_states, false},
    {"SaveCheckpointState", "save_checkpoint_state", make_save_state, false},
    {"KeepNCheckpoints", "keep_n_checkpoints", make_keep_n, false},
    {"CheckLoss", NULL, make_check_loss, false},
    {"ComputeNorm", NULL, make_compute_norm, false},
    {"LogOptimizerParamGroup", "log_optimizer_param_group", make_log_optimizer_param_group, false},
    {"ModelEvalMetrics", NULL, make_model_eval_metrics, false},
    {"RateProfiler", NULL, make_rate_profiler, false},
    {"DurationProfiler", NULL, make_duration_profiler, false},
    {"FlopUtilization", "flop_utilization", make_flop_utilization, false},
    {"SavePerformanceData", NULL, make_save_performance_data, false},
    {"SamplesStreamedInfo", NULL, make_samples_streamed_info, false},
    {"EarlyStopping", "early_stopping", make_early_stopping, false},
    {"EMA", "ema", make_ema, false},
    {"Lora", "lora", make_lora, false},
    {"SkipSamples", "skip_samples", make_skip_samples, false},
    {"LogInputSummaries", NULL, make_log_input_summaries, false},
    {"NaNChecker", "nan_checker", make_nan_checker, false},
    {"NormTensorListener", "norm_tensor_listener", make_norm_tensor_listener, false},
    {"SummaryTensorListener", "summary_tensor_listener", make_summary_tensor_listener, false},
    {"CountParams", "count_params", make_count_params, false},
    /* Their keys are read by flags.c. */
    {"GlobalFlags", NULL, make_check_flags, false},
    {"ScopedTrainFlags", NULL, make_check_flags, false},
    {"ScopedValidateFlags", NULL, make_check_flags, false},
    /* Every checkpoint has the parameters; `cairn checkpoint info` lists the tensors. */
    {"ModelZooParamsMetadata", NULL, NULL, true},
    {"DumpAvailableTensorNames", NULL, NULL, true},
    {"DebugArgsPath", NULL, NULL, true}, /* of Cerebras systems */
    {"HFCacheDir", NULL, NULL, true},    /* nothing is fetched */
    {"ComputeNormGNS", NULL, NULL, false},
    {"DumpActivations", NULL, NULL, false},
    {"LogSparsity", NULL, NULL, false},
    {"OpProfiler", NULL, NULL, false},
    {"WeightCompression", NULL, NULL, false},
    {"SelectiveGrad", NULL, NULL, false},
    {"EmailNotification", NULL, NULL, false},
    {"SlackNotification", NULL, NULL, false},
    {"EleutherEvalHarness", NULL, NULL, false},
    {"BigCodeEvalHarness", NULL, NULL, false},
};

static const crn_class k_loggers[] = {
    {"ProgressLogger", NULL, make_progress, false},
    {"TensorBoardLogger", "tensorboard_logger", make_tensorboard, false},
    {"TelemetryLogger", NULL, NULL, true},
    {"WandbLogger", NULL, NULL, false},
};

static const crn_class k_processors[] = {
    {"TextDataProcessor", "text_data", make_text, false},
    {"TokenBinDataProcessor", "token_bin_data", make_token_bin, false},
    {"GptHDF5DataProcessor", "gpt_hdf5_data", make_gpt_hdf5, false},
    {"GptHDF5MapDataProcessor", "gpt_hdf5_map_data", make_gpt_hdf5_map, false},
};

#define REGISTRY(what_, table)                                                                     \
    {                                                                                              \
        (what_), (table), sizeof(table) / sizeof((table)[0]), NULL, 0                              \
    }
const crn_registry crn_models = REGISTRY("model", k_models);
const crn_registry crn_optimizers = REGISTRY("optimizer", k_optimizers);
const crn_registry crn_schedulers = REGISTRY("scheduler", k_schedulers);
const crn_registry crn_callbacks = REGISTRY("callback", k_callbacks);
const crn_registry crn_loggers = REGISTRY("logger", k_loggers);
const crn_registry crn_processors = REGISTRY("data_processor", k_processors);

void crn_where_join(char out[CRN_PLACE_SIZE], const char *parent, const char *name)
{
    if (snprintf(out, CRN_PLACE_SIZE, "%s.%s", parent, name) >= CRN_PLACE_SIZE)
        memcpy(out + CRN_PLACE_SIZE - sizeof "...", "...", sizeof "...");
}

const crn_class *crn_registry_find(const crn_registry *registry, const char *name)
{
    for (size_t i = 0; i < registry->added_count; i++) {
        if (crn_names_equal(registry->added[i]->name, name))
            return registry->added[i];
    }
    for (size_t i = 0; i < registry->count; i++) {
        if (crn_names_equal(registry->classes[i].name, name))
            return &registry->classes[i];
    }
    return NULL;
}

static void report_unknown(const crn_registry *registry, const char *name, const crn_node *node,
                           const char *where, crn_diag *diag)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; i < registry->count && count < NAMES_MAX; i++) {
        const crn_class *const class = &registry->classes[i];
        if (class->make != NULL || class->is_harmless)
            names[count++] = class->name;
    }
    for (size_t i = 0; i < registry->added_count && count < NAMES_MAX; i++)
        names[count++] = registry->added[i]->name;
    crn_diag_unknown(diag, node, registry->what, name, where, names, count, NULL);
}

bool crn_registry_choose(const crn_registry *registry, const char *name, const crn_node *node,
                         const char *where, crn_choice *out, crn_diag *diag)
{
    const crn_class *const class = crn_registry_find(registry, name);
    *out = (crn_choice){0};
    if (class == NULL) {
        report_unknown(registry, name, node, where, diag);
        return false;
    }
    if (class->make != NULL) {
        out->class = class;
    } else if (class->is_harmless) {
        crn_diag_notice(diag, node, "%s %s is not needed here and is left out", registry->what,
                        class->name);
    } else {
        crn_diag_error(diag, node, "%s: this version lacks the %s %s", where, registry->what,
                       class->name);
        return false;
    }
    return true;
}

bool crn_registry_default(const crn_registry *registry, const char *name, const crn_node *node,
                          crn_choice *out, crn_diag *diag)
{
    if (!crn_registry_choose(registry, name, node, "default", out, diag))
        return false;
    if (out->class == NULL || out->class->section == NULL)
        return true;
    const crn_section *const section = crn_section_find(out->class->section);
    out->options = crn_calloc(1, section->struct_size);
    if (out->options == NULL) {
        diag->is_failed = true;
        return false;
    }
    crn_section_defaults(section, out->options);
    return true;
}

bool crn_registry_read(const crn_registry *registry, const char *name, crn_doc *doc, crn_node *node,
                       crn_node *args, const char *where, crn_choice *out, crn_diag *diag)
{
    if (!crn_registry_choose(registry, name, node, where, out, diag))
        return false;
    if (out->class == NULL)
        return true;
    if (crn_plugin_owns(out->class))
        return crn_plugin_read(out->class, doc, args, where, &out->options, diag);
    if (out->class->section == NULL)
        return crn_map_check_keys(args, where, NULL, 0, diag);
    const crn_section *const section = crn_section_find(out->class->section);
    out->options = crn_calloc(1, section->struct_size);
    if (out->options == NULL) {
        diag->is_failed = true;
        return false;
    }
    return crn_section_read(section, where, doc, args, out->options, diag);
}
