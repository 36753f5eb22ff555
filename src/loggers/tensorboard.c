/*
 * TensorBoard's event files (model-zoo reference 2.8): every number that metrics.jsonl gets, under
 * the Model Zoo's names, and what callbacks hand over as texts and histograms.
 *
 * A resume does not touch the files of earlier processes: its own begins with a START record, at
 * which readers drop what the others say of later steps.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "loggers/event_file.h"
#include "loggers/loggers.h"
#include "loggers/text.h"

struct tensorboard {
    const crn_os *os;
    char *summary_dir; /* NULL: in the model_dir */
    bool has_legacy_dirs;
    bool has_begun; /* the files' folders are known */
    crn_event_file train;
    crn_event_file eval; /* with legacy folders only */
    crn_event_encoder *encoder;
    crn_str records; /* these are kept, so that a step like the last one allocates nothing */
    crn_str tags;
    crn_scalar *scalars;
    size_t capacity;
};

/* ---- The files ---- */

static cairn_status init_file(struct tensorboard *board, crn_event_file *file, const char *parent,
                              const char *child, uint64_t step, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str folder = {0};
    crn_str_printf(&folder, "%s%s%s", parent, child[0] != '\0' ? "/" : "", child);
    CRN_TRY_PLAIN(crn_str_check(&folder, err));
    CRN_TRY_PLAIN(crn_event_file_init(file, board->os, folder.text, step, err));
out:
    crn_str_dispose(&folder);
    return rc;
}

static cairn_status begin(struct tensorboard *board, const cairn_event *event, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const model_dir = cairn_store_model_dir(cairn_trainer_store(event->trainer));
    const char *const parent = board->summary_dir != NULL ? board->summary_dir : model_dir;
    const char *const child = board->has_legacy_dirs       ? "train"
                              : board->summary_dir != NULL ? ""
                                                           : "events";
    /* What is known of the step that training goes on from stays. */
    const uint64_t step = event->step > 0 ? event->step + 1 : 0;
    if (board->has_begun)
        return CAIRN_OK;
    CRN_TRY_PLAIN(init_file(board, &board->train, parent, child, step, err));
    if (board->has_legacy_dirs)
        CRN_TRY_PLAIN(init_file(board, &board->eval, parent, "eval", step, err));
    board->has_begun = true;
out:
    return rc;
}

static crn_event_file *file_of(struct tensorboard *board, const cairn_event *event)
{
    return board->has_legacy_dirs && event->is_validation ? &board->eval : &board->train;
}

static cairn_status append(struct tensorboard *board, crn_event_file *file, cairn_error *err)
{
    const cairn_status rc = crn_event_file_append(file, board->encoder, &board->records, err);
    board->records.length = 0;
    board->records.is_failed = false;
    return rc;
}

/* ---- Names ---- */

static bool has_metric(const cairn_event *event, const char *name)
{
    for (size_t i = 0; i < event->metric_count; i++) {
        if (strcmp(event->metrics[i].name, name) == 0)
            return true;
    }
    return false;
}

/* "lr" is the Model Zoo's "lr/0", unless LogOptimizerParamGroup gives each group's. */
static void append_train_tag(const cairn_event *event, const char *name, crn_str *out)
{
    if (strcmp(name, "lr") != 0)
        crn_str_append(out, name);
    else if (!has_metric(event, "lr/0"))
        crn_str_append(out, "lr/0");
}

/* "val_loss" and "val_loss/1" of metrics.jsonl are "validate_0/loss" and "validate_1/loss". */
static void append_eval_tag(const struct tensorboard *board, const char *name, crn_str *out)
{
    size_t length = 0;
    const uint64_t loader = crn_metric_loader(name, &length);
    const bool is_loss = crn_metric_is_loss(name, length);
    if (!board->has_legacy_dirs || loader > 0)
        crn_str_printf(out, "validate_%" PRIu64 "/", loader);
    crn_str_append_bytes(out, is_loss ? "loss" : name, is_loss ? strlen("loss") : length);
}

/* All tags, each with its NUL, in the order of the metrics. */
static void append_tags(struct tensorboard *board, const cairn_event *event)
{
    board->tags.length = 0;
    board->tags.is_failed = false;
    for (size_t i = 0; i < event->metric_count; i++) {
        if (event->is_validation)
            append_eval_tag(board, event->metrics[i].name, &board->tags);
        else
            append_train_tag(event, event->metrics[i].name, &board->tags);
        crn_str_append_bytes(&board->tags, "", 1);
    }
}

/* ---- Hooks ---- */

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    (void)control; /* asks for nothing */
    return begin(self, event, err);
}

static cairn_status on_log(void *self, const cairn_event *event, cairn_control *control,
                           cairn_error *err)
{
    struct tensorboard *const board = self;
    cairn_status rc = CAIRN_OK;
    size_t count = 0;
    (void)control; /* asks for nothing */
    if (!board->has_begun)
        return CAIRN_OK; /* A validation of its own belongs to no run. */
    append_tags(board, event);
    CRN_TRY_PLAIN(crn_str_check(&board->tags, err));
    CRN_TRY_PLAIN(crn_grow(&board->scalars, &board->capacity, event->metric_count,
                           sizeof *board->scalars, err));
    const char *tag = board->tags.text;
    for (size_t i = 0; i < event->metric_count; i++, tag += strlen(tag) + 1) {
        if (tag[0] != '\0')
            board->scalars[count++] = (crn_scalar){tag, (float)event->metrics[i].value};
    }
    crn_event_file *const file = file_of(board, event);
    crn_event_scalars(board->encoder, crn_event_file_now(file), event->step, board->scalars, count,
                      &board->records);
    CRN_TRY_PLAIN(append(board, file, err));
out:
    return rc;
}

/* Callbacks hand over before our on_fit_start in that hook; before it, no step is known. */
static bool is_too_early(const struct tensorboard *board, const cairn_event *event)
{
    return !board->has_begun && event->end_step == 0;
}

static cairn_status on_log_text(void *self, const cairn_event *event, cairn_control *control,
                                cairn_error *err)
{
    struct tensorboard *const board = self;
    cairn_status rc = CAIRN_OK;
    (void)control; /* asks for nothing */
    if (is_too_early(board, event))
        return CAIRN_OK;
    CRN_TRY_PLAIN(begin(board, event, err));
    crn_event_file *const file = file_of(board, event);
    crn_event_text(board->encoder, crn_event_file_now(file), event->step, event->log_name,
                   event->log_text, &board->records);
    CRN_TRY_PLAIN(append(board, file, err));
out:
    return rc;
}

static cairn_status on_log_histogram(void *self, const cairn_event *event, cairn_control *control,
                                     cairn_error *err)
{
    struct tensorboard *const board = self;
    cairn_status rc = CAIRN_OK;
    crn_histogram histogram;
    (void)control; /* asks for nothing */
    if (is_too_early(board, event))
        return CAIRN_OK;
    crn_histogram_make(event->log_values, event->log_value_count, &histogram);
    if (histogram.bucket_count == 0)
        return CAIRN_OK; /* Nothing finite: there is nothing to draw. */
    CRN_TRY_PLAIN(begin(board, event, err));
    crn_event_file *const file = file_of(board, event);
    crn_event_histogram(board->encoder, crn_event_file_now(file), event->step, event->log_name,
                        &histogram, &board->records);
    CRN_TRY_PLAIN(append(board, file, err));
out:
    return rc;
}

static void destroy(void *self)
{
    struct tensorboard *const board = self;
    if (board == NULL)
        return;
    crn_event_file_dispose(&board->train);
    crn_event_file_dispose(&board->eval);
    crn_event_encoder_destroy(board->encoder);
    crn_str_dispose(&board->records);
    crn_str_dispose(&board->tags);
    crn_free(board->scalars);
    crn_free(board->summary_dir);
    crn_free(board);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = "TensorBoardLogger",
    .destroy = destroy,
    .on_fit_start = on_fit_start,
    .on_log = on_log,
    .on_log_text = on_log_text,
    .on_log_histogram = on_log_histogram,
};

cairn_status crn_tensorboard_logger_new_os(const crn_os *os,
                                           const cairn_tensorboard_logger_options *options,
                                           cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct tensorboard *board = crn_calloc(1, sizeof *board);
    CRN_NEED(err, board, "the TensorBoard logger");
    board->os = os;
    board->has_legacy_dirs = options->legacy_event_dirs;
    board->encoder = crn_event_encoder_new();
    CRN_NEED(err, board->encoder, "the TensorBoard logger");
    if (options->summary_dir != NULL) {
        board->summary_dir = crn_strdup(options->summary_dir);
        CRN_NEED(err, board->summary_dir, "the name of a folder");
    }
    *out = (cairn_callback){.ops = &k_ops, .self = board};
    board = NULL;
out:
    destroy(board);
    return rc;
}

cairn_status cairn_tensorboard_logger_new(const cairn_tensorboard_logger_options *options,
                                          cairn_callback *out, cairn_error *err)
{
    return crn_tensorboard_logger_new_os(crn_os_posix(), options, out, err);
}
