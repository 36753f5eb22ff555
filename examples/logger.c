/*
 * A logger as a shared object: every metric as a line of a CSV file in the model_dir.
 *
 *     cc -shared -fPIC logger.c -o logger.so $(pkg-config --cflags cairn)
 *     cairn fit logger.yaml -o run1 && head run1/metrics.csv
 *
 * A run that was interrupted goes on at an older step, so the file may have some steps twice; the
 * later line counts, as a line "resume" says.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cairn/plugin/plugin.h>

struct csv_options {
    const char *file;
    const char *separator;
};

static const cairn_option k_options[] = {
    CAIRN_OPTION_TEXT(struct csv_options, file, "metrics.csv", "Name of the file in model_dir."),
    CAIRN_OPTION_CHOICE(struct csv_options, separator, "comma", "comma|semicolon|tab",
                        "What stands between two columns."),
};

struct csv {
    struct csv_options options;
    char separator;
    FILE *file;
};

static cairn_status check_written(const struct csv *csv, cairn_error *err)
{
    if (fflush(csv->file) == 0 && ferror(csv->file) == 0)
        return CAIRN_OK;
    return cairn_error_set(err, CAIRN_EIO, "cannot write %s: %s", csv->options.file,
                           strerror(errno));
}

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    struct csv *const csv = self;
    char path[4096];
    (void)control;
    (void)snprintf(path, sizeof path, "%s/%s", cairn_trainer_model_dir(event->trainer),
                   csv->options.file);
    csv->file = fopen(path, "ae");
    if (csv->file == NULL)
        return cairn_error_set(err, CAIRN_EIO, "cannot open %s: %s", path, strerror(errno));
    if (ftell(csv->file) == 0)
        (void)fprintf(csv->file, "step%cname%cvalue\n", csv->separator, csv->separator);
    if (event->step > event->first_step)
        (void)fprintf(csv->file, "%" PRIu64 "%cresume%c\n", event->step, csv->separator,
                      csv->separator);
    return check_written(csv, err);
}

/* Metrics of a step or of a validation; each of them once. */
static cairn_status on_log(void *self, const cairn_event *event, cairn_control *control,
                           cairn_error *err)
{
    struct csv *const csv = self;
    (void)control;
    if (csv->file == NULL)
        return CAIRN_OK;
    for (size_t i = 0; i < event->metric_count; i++)
        (void)fprintf(csv->file, "%" PRIu64 "%c%s%c%.17g\n", event->step, csv->separator,
                      event->metrics[i].name, csv->separator, event->metrics[i].value);
    return check_written(csv, err);
}

static void destroy(void *self)
{
    struct csv *const csv = self;
    if (csv != NULL && csv->file != NULL)
        (void)fclose(csv->file);
    free(csv);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof k_ops,
    .name = "CsvLogger",
    .destroy = destroy,
    .on_fit_start = on_fit_start,
    .on_log = on_log,
};

static cairn_status csv_new(const void *options, cairn_callback *out, cairn_error *err)
{
    struct csv *const csv = calloc(1, sizeof *csv);
    if (csv == NULL)
        return cairn_error_set(err, CAIRN_ENOMEM, "no memory for a logger");
    csv->options = *(const struct csv_options *)options;
    csv->separator = ',';
    if (strcmp(csv->options.separator, "semicolon") == 0)
        csv->separator = ';';
    if (strcmp(csv->options.separator, "tab") == 0)
        csv->separator = '\t';
    out->ops = &k_ops;
    out->self = csv;
    return CAIRN_OK;
}

static const cairn_plugin_class k_classes[] = {
    CAIRN_CLASS_LOGGER("CsvLogger", "Writes metrics as comma-separated values.", k_options,
                       struct csv_options, csv_new),
};

static const cairn_plugin k_plugin = {CAIRN_PLUGIN_HEAD, "csv_logger", k_classes, 1};

const cairn_plugin *cairn_plugin_get(void)
{
    return &k_plugin;
}
