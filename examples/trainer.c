/*
 * A Trainer without YAML: a small GPT learns the bytes of a text file, is saved, pruned, continued
 * and fine-tuned. Everything here is in the public headers.
 *
 *     cc trainer.c -o trainer $(pkg-config --cflags --libs cairn)
 *     ./trainer book.txt run1 max_steps=500 steps=100 k=2 n=3
 *     ./trainer poem.txt run2 max_steps=100 steps=50 ckpt_path=run1/model_checkpoint_500.mdl
 *
 * Each NAME=VALUE sets the option of that name (see k_rows below and cairn/options.h). The last
 * line on standard output says how the run ended; everything else goes to standard error.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cairn/app.h>
#include <cairn/model.h>

enum { EXIT_USAGE = 2, EXIT_STOPPED = 75, LOG_STEPS = 1, SCHEDULED_STEPS = 100 };

/* ---- What the command line may set ---- */

struct settings {
    const char *text;
    const char *model_dir;
    const char *ckpt_path; /* NULL: left out; "null": load nothing */
    cairn_opt_int seed;
    cairn_gpt2_options model;
    cairn_text_data_options data;
    cairn_loop_options loop;
    cairn_checkpoint_options checkpoint;
    const char *load_checkpoint_states; /* LoadCheckpointStates; NULL: not used */
    cairn_opt_int k;                    /* SaveCheckpointState; null: not used */
    const char *checkpoint_states;      /* likewise */
    cairn_opt_int n;                    /* KeepNCheckpoints; null: not used */
};

enum kind { INT, INT_OR_NULL, INT_OR_FLOAT, BOOL, TEXT };

static const struct {
    const char *name;
    enum kind kind;
    size_t offset;
} k_rows[] = {
    {"seed", INT_OR_NULL, offsetof(struct settings, seed)},
    {"hidden_size", INT, offsetof(struct settings, model.hidden_size)},
    {"num_hidden_layers", INT, offsetof(struct settings, model.num_hidden_layers)},
    {"num_heads", INT, offsetof(struct settings, model.num_heads)},
    {"filter_size", INT, offsetof(struct settings, model.filter_size)},
    {"max_sequence_length", INT, offsetof(struct settings, data.max_sequence_length)},
    {"batch_size", INT, offsetof(struct settings, data.batch_size)},
    {"num_steps", INT_OR_NULL, offsetof(struct settings, loop.num_steps)},
    {"max_steps", INT_OR_NULL, offsetof(struct settings, loop.max_steps)},
    {"eval_frequency", INT_OR_FLOAT, offsetof(struct settings, loop.eval_frequency)},
    {"eval_steps", INT_OR_NULL, offsetof(struct settings, loop.eval_steps)},
    {"steps", INT_OR_NULL, offsetof(struct settings, checkpoint.steps)},
    {"autoload_last_checkpoint", BOOL,
     offsetof(struct settings, checkpoint.autoload_last_checkpoint)},
    {"disable_strict_checkpoint_loading", BOOL,
     offsetof(struct settings, checkpoint.disable_strict_checkpoint_loading)},
    {"save_initial_checkpoint", BOOL,
     offsetof(struct settings, checkpoint.save_initial_checkpoint)},
    {"checkpoint_root", TEXT, offsetof(struct settings, checkpoint.checkpoint_root)},
    {"checkpoint_name", TEXT, offsetof(struct settings, checkpoint.checkpoint_name)},
    {"resume", BOOL, offsetof(struct settings, checkpoint.resume)},
    {"ckpt_path", TEXT, offsetof(struct settings, ckpt_path)},
    {"load_checkpoint_states", TEXT, offsetof(struct settings, load_checkpoint_states)},
    {"k", INT_OR_NULL, offsetof(struct settings, k)},
    {"checkpoint_states", TEXT, offsetof(struct settings, checkpoint_states)},
    {"n", INT_OR_NULL, offsetof(struct settings, n)},
};

static struct settings default_settings(void)
{
    struct settings s = {
        .seed = cairn_int(1),
        .model = cairn_gpt2_options_default(),
        .data = cairn_text_data_options_default(),
        .loop = cairn_loop_options_default(),
        .checkpoint = cairn_checkpoint_options_default(),
    };
    s.model.vocab_size = 256; /* The tokens are bytes. */
    s.model.max_position_embeddings = 128;
    s.model.hidden_size = 64;
    s.model.num_hidden_layers = 2;
    s.model.num_heads = 4;
    s.model.filter_size = 256;
    s.model.dropout_rate = 0.0;
    s.data.max_sequence_length = 64;
    s.data.batch_size = 8;
    s.data.val_fraction = 0.1;
    return s;
}

static bool read_int(const char *text, int64_t *out)
{
    char *end = NULL;
    *out = strtoll(text, &end, 10);
    return end != text && *end == '\0';
}

/* 5 is a number of steps, 0.5 a share of the training. */
static bool read_number(const char *text, cairn_opt_number *out)
{
    char *end = NULL;
    if (strcmp(text, "null") == 0) {
        out->kind = CAIRN_NUMBER_NULL;
        return true;
    }
    if (read_int(text, &out->i)) {
        out->kind = CAIRN_NUMBER_INT;
        return true;
    }
    out->kind = CAIRN_NUMBER_FLOAT;
    out->f = strtod(text, &end);
    return end != text && *end == '\0';
}

static bool read_value(enum kind kind, const char *text, void *field)
{
    switch (kind) {
    case INT:
        return read_int(text, field);
    case INT_OR_NULL: {
        cairn_opt_int *const option = field;
        option->is_set = strcmp(text, "null") != 0;
        return !option->is_set || read_int(text, &option->value);
    }
    case INT_OR_FLOAT:
        return read_number(text, field);
    case BOOL:
        *(bool *)field = strcmp(text, "true") == 0;
        return *(bool *)field || strcmp(text, "false") == 0;
    case TEXT:
        *(const char **)field = text;
        return true;
    }
    return false;
}

/* False if @argument is no NAME=VALUE of the table. */
static bool set(struct settings *settings, const char *argument)
{
    const size_t length = strcspn(argument, "=");
    for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++)
        if (argument[length] == '=' && strlen(k_rows[i].name) == length &&
            memcmp(k_rows[i].name, argument, length) == 0)
            return read_value(k_rows[i].kind, argument + length + 1,
                              (char *)settings + k_rows[i].offset);
    return false;
}

/* ---- The parts of a run ---- */

static void write_log(void *user, cairn_log_level level, const char *message)
{
    (void)user;
    (void)fprintf(stderr, "%s: %s\n", cairn_log_level_name(level), message);
}

static cairn_status make_loader(const struct settings *settings, const char *split,
                                cairn_loader **out, cairn_error *err)
{
    cairn_text_data_options options = settings->data;
    cairn_data data = {0};
    const bool is_training = strcmp(split, "train") == 0;
    options.data_dir.items = &settings->text;
    options.data_dir.count = 1;
    options.split = split;
    const cairn_status rc = cairn_text_data_new(&options, &data, err);
    if (rc != CAIRN_OK)
        return rc;
    const cairn_loader_options loader = {
        .struct_size = sizeof loader,
        .batch_size = (uint64_t)options.batch_size,
        .shuffle = is_training,
        .drop_last = is_training,
    };
    return cairn_loader_new(data, &loader, out, err);
}

/* Model, optimizer and learning rate; the trainer takes all three. */
static cairn_status make_trainer(const struct settings *settings, const cairn_log *log,
                                 cairn_trainer **out, cairn_error *err)
{
    cairn_model model = {0};
    cairn_optimizer optimizer = {0};
    cairn_scheduler *scheduler = NULL;
    cairn_adamw_options adamw = cairn_adamw_options_default();
    cairn_linear_lr_options linear = cairn_linear_lr_options_default();
    cairn_trainer_options options = cairn_trainer_options_default();
    adamw.weight_decay = 0.1;
    linear.initial_learning_rate = 0.01;
    linear.end_learning_rate = 0.001;
    linear.total_iters = SCHEDULED_STEPS;
    options.model_dir = settings->model_dir;
    options.seed = settings->seed;
    options.loop = settings->loop;
    options.checkpoint = settings->checkpoint;
    options.max_gradient_norm = 1.0;
    options.log = log;
    options.stop_requested = cairn_app_stop_requested; /* SIGTERM, SIGINT: save and end. */
    options.save_requested = cairn_app_save_requested; /* SIGUSR1: save and go on. */

    cairn_status rc = cairn_gpt2_new(&settings->model, &model, err);
    if (rc == CAIRN_OK)
        rc = cairn_adamw_new(&adamw, &optimizer, err);
    if (rc == CAIRN_OK)
        rc = cairn_linear_lr_new(&linear, &scheduler, err);
    if (rc == CAIRN_OK)
        return cairn_trainer_new(&options, model, optimizer, &scheduler, 1, out, err);
    if (model.ops != NULL)
        model.ops->destroy(model.self);
    if (optimizer.ops != NULL)
        optimizer.ops->destroy(optimizer.self);
    return rc;
}

/* The three callbacks for checkpoints, those that were asked for. */
static cairn_status add_checkpoint_callbacks(const struct settings *settings,
                                             cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_callback callback = {0};
    if (settings->load_checkpoint_states != NULL) {
        cairn_load_checkpoint_states_options load = cairn_load_checkpoint_states_options_default();
        load.load_checkpoint_states.items = &settings->load_checkpoint_states;
        load.load_checkpoint_states.count = 1;
        rc = cairn_load_checkpoint_states_new(&load, &callback, err);
        if (rc == CAIRN_OK)
            rc = cairn_trainer_add_callback(trainer, callback, err);
    }
    if (rc == CAIRN_OK && settings->k.is_set) {
        cairn_save_checkpoint_state_options save = cairn_save_checkpoint_state_options_default();
        save.k = settings->k.value;
        save.checkpoint_states.items = &settings->checkpoint_states;
        save.checkpoint_states.count = settings->checkpoint_states != NULL; /* Default: model. */
        rc = cairn_save_checkpoint_state_new(&save, &callback, err);
        if (rc == CAIRN_OK)
            rc = cairn_trainer_add_callback(trainer, callback, err);
    }
    if (rc == CAIRN_OK && settings->n.is_set) {
        cairn_keep_n_checkpoints_options keep = cairn_keep_n_checkpoints_options_default();
        keep.n = settings->n;
        rc = cairn_keep_n_checkpoints_new(&keep, &callback, err);
        if (rc == CAIRN_OK)
            rc = cairn_trainer_add_callback(trainer, callback, err);
    }
    return rc;
}

/* Lines on standard error, metrics.jsonl, and an end when the loss is no number any more. */
static cairn_status add_observers(cairn_trainer *trainer, cairn_error *err)
{
    cairn_callback callback = {0};
    const cairn_progress_options progress = {
        .struct_size = sizeof progress, .device = "CPU", .log_steps = LOG_STEPS};
    cairn_status rc = cairn_check_loss_new(&callback, err);
    if (rc == CAIRN_OK)
        rc = cairn_trainer_add_callback(trainer, callback, err);
    if (rc == CAIRN_OK)
        rc = cairn_progress_logger_new(&progress, &callback, err);
    if (rc == CAIRN_OK)
        rc = cairn_trainer_add_callback(trainer, callback, err);
    if (rc == CAIRN_OK)
        rc = cairn_metrics_file_new(&callback, err);
    if (rc == CAIRN_OK)
        rc = cairn_trainer_add_callback(trainer, callback, err);
    return rc;
}

static cairn_ckpt which_checkpoint(const struct settings *settings)
{
    cairn_ckpt ckpt = cairn_ckpt_omitted();
    if (settings->ckpt_path != NULL) {
        const bool is_null = strcmp(settings->ckpt_path, "null") == 0;
        ckpt.kind = is_null ? CAIRN_CKPT_NULL : CAIRN_CKPT_PATH;
        ckpt.path = is_null ? NULL : settings->ckpt_path;
    }
    return ckpt;
}

static cairn_status train(const struct settings *settings, cairn_fit_result *result,
                          cairn_error *err)
{
    const cairn_log log = {.level = CAIRN_LOG_INFO, .write = write_log};
    cairn_trainer *trainer = NULL;
    cairn_loader *train_loader = NULL;
    cairn_loader *val_loader = NULL;
    cairn_status rc = make_loader(settings, "train", &train_loader, err);
    if (rc == CAIRN_OK)
        rc = make_loader(settings, "val", &val_loader, err);
    if (rc == CAIRN_OK)
        rc = make_trainer(settings, &log, &trainer, err);
    if (rc == CAIRN_OK)
        rc = add_checkpoint_callbacks(settings, trainer, err);
    if (rc == CAIRN_OK)
        rc = add_observers(trainer, err);
    if (rc == CAIRN_OK)
        rc = cairn_trainer_fit(trainer, train_loader, &val_loader, 1, which_checkpoint(settings),
                               result, err);
    cairn_trainer_destroy(trainer);
    cairn_loader_destroy(val_loader);
    cairn_loader_destroy(train_loader);
    return rc;
}

static int print_result(cairn_status status, const cairn_fit_result *result, const cairn_error *err)
{
    static const char *const k_outcomes[] = {"finished", "complete", "stopped"};
    const bool is_ok = status == CAIRN_OK;
    char message[2048];
    if (!is_ok) {
        (void)cairn_error_format(err, message, sizeof message);
        (void)fprintf(stderr, "ERROR: %s\n", message);
    }
    (void)printf("result=%s step=%" PRIu64 " checkpoint=%s reason=%s\n",
                 is_ok ? k_outcomes[result->outcome] : "failed", result->step,
                 result->checkpoint != NULL ? result->checkpoint : "none",
                 is_ok ? result->reason : cairn_status_name(status));
    if (is_ok && result->outcome == CAIRN_OUTCOME_STOPPED)
        return EXIT_STOPPED;
    return cairn_exit_code(status);
}

int main(int argc, char **argv)
{
    struct settings settings = default_settings();
    cairn_fit_result result = {0};
    cairn_error err = {0};
    if (argc < 3) {
        (void)fprintf(stderr, "usage: %s TEXT MODEL_DIR [NAME=VALUE]...\nnames:", argv[0]);
        for (size_t i = 0; i < sizeof k_rows / sizeof k_rows[0]; i++)
            (void)fprintf(stderr, " %s", k_rows[i].name);
        (void)fprintf(stderr, "\n");
        return EXIT_USAGE;
    }
    settings.text = argv[1];
    settings.model_dir = argv[2];
    for (int i = 3; i < argc; i++) {
        if (!set(&settings, argv[i])) {
            (void)fprintf(stderr, "'%s' is no NAME=VALUE that this program knows\n", argv[i]);
            return EXIT_USAGE;
        }
    }
    (void)cairn_app_install_signals();
    const cairn_status status = train(&settings, &result, &err);
    const int code = print_result(status, &result, &err);
    cairn_fit_result_dispose(&result);
    return code;
}
