/* CountParams: a table of the parameters at the start (Model Zoo reference, 2.7). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "cairn/callbacks.h"

static const char k_name[] = "CountParams";

enum { SHAPE_SIZE = 160 };

typedef enum order { ORDER_NONE, ORDER_NAME, ORDER_COUNT } order;

struct count {
    order order;
    bool is_descending;
};

struct row {
    const cairn_tensor *tensor;
    size_t place; /* in the model; decides between equal ones */
};

static int by_place(const struct row *x, const struct row *y)
{
    return (x->place > y->place) - (x->place < y->place);
}

static int by_name(const void *a, const void *b)
{
    const struct row *const x = a;
    const struct row *const y = b;
    return strcmp(x->tensor->name, y->tensor->name);
}

static int by_count(const void *a, const void *b)
{
    const struct row *const x = a;
    const struct row *const y = b;
    const int64_t left = cairn_tensor_elements(x->tensor);
    const int64_t right = cairn_tensor_elements(y->tensor);
    return left != right ? (left > right) - (left < right) : by_place(x, y);
}

static void append_shape(const cairn_tensor *tensor, char out[SHAPE_SIZE])
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < tensor->rank && used < SHAPE_SIZE - 1; i++) {
        const int more = snprintf(out + used, SHAPE_SIZE - used, "%s%" PRId64, i > 0 ? " x " : "",
                                  tensor->shape[i]);
        used += more > 0 ? (size_t)more : 0;
    }
}

static void log_row(const cairn_log *log, const cairn_tensor *tensor, int width)
{
    char shape[SHAPE_SIZE];
    char elements[32];
    append_shape(tensor, shape);
    cairn_log_message(log, CAIRN_LOG_INFO, "  %-*s %15s  %s", width, tensor->name,
                      crn_format_count((uint64_t)cairn_tensor_elements(tensor), elements), shape);
}

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    const struct count *const count = self;
    cairn_status rc = CAIRN_OK;
    const cairn_state *const model = cairn_trainer_model_state(event->trainer);
    const cairn_state *const trained = cairn_trainer_trained_state(event->trainer);
    const cairn_log *const log = cairn_trainer_log(event->trainer);
    const size_t of_model = cairn_state_tensor_count(model);
    const size_t rows = of_model + (trained != model ? cairn_state_tensor_count(trained) : 0);
    struct row *const table = crn_calloc(rows, sizeof *table);
    uint64_t sum = 0;
    int width = 0;
    char text[32];
    (void)control; /* asks for nothing */
    CRN_NEED(err, table, k_name);
    for (size_t i = 0; i < rows; i++) {
        table[i] =
            (struct row){.tensor = i < of_model ? cairn_state_tensor_at(model, i)
                                                : cairn_state_tensor_at(trained, i - of_model),
                         .place = i};
        sum += (uint64_t)cairn_tensor_elements(table[i].tensor);
        const int length = (int)strlen(table[i].tensor->name);
        width = length > width ? length : width;
    }
    if (count->order != ORDER_NONE)
        qsort(table, rows, sizeof *table, count->order == ORDER_NAME ? by_name : by_count);
    cairn_log_message(log, CAIRN_LOG_INFO, "Parameters:");
    for (size_t i = 0; i < rows; i++)
        log_row(log, table[count->is_descending ? rows - 1 - i : i].tensor, width);
    cairn_log_message(log, CAIRN_LOG_INFO, "  %-*s %15s", width, "all",
                      crn_format_count(sum, text));
out:
    crn_free(table);
    return rc;
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = crn_free,
    .on_fit_start = on_fit_start,
};

cairn_status cairn_count_params_new(const cairn_count_params_options *options, cairn_callback *out,
                                    cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct count *const count = crn_calloc(1, sizeof *count);
    CRN_NEED(err, count, k_name);
    count->is_descending = options->descending;
    if (options->order_by != NULL && strcmp(options->order_by, "name") == 0)
        count->order = ORDER_NAME;
    else if (options->order_by != NULL && strcmp(options->order_by, "count") == 0)
        count->order = ORDER_COUNT;
    *out = (cairn_callback){.ops = &k_ops, .self = count};
out:
    return rc;
}
