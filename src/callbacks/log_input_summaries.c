/* LogInputSummaries: how the numbers that go into the model are distributed (Model Zoo reference,
 * 2.7); of the first micro-batch of each log step. */
#include <stdio.h>

#include "base/mem.h"
#include "base/try.h"
#include "cairn/callbacks.h"

static const char k_name[] = "LogInputSummaries";

enum { LOG_NAME_SIZE = 96 };

struct summaries {
    float *values;
    size_t capacity;
    bool is_done; /* this step */
};

static cairn_status on_train_batch_start(void *self, const cairn_event *event,
                                         cairn_control *control, cairn_error *err)
{
    struct summaries *const summaries = self;
    (void)event;   /* every step begins anew */
    (void)control; /* asks for nothing */
    (void)err;     /* cannot fail */
    summaries->is_done = false;
    return CAIRN_OK;
}

static size_t count_of(const cairn_batch_field *field)
{
    size_t count = 1;
    for (int i = 0; i < field->rank; i++)
        count *= (size_t)field->shape[i];
    return count;
}

static cairn_status log_field(struct summaries *summaries, cairn_trainer *trainer,
                              const cairn_batch_field *field, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t count = count_of(field);
    const int32_t *const ints = field->data;
    char name[LOG_NAME_SIZE];
    (void)snprintf(name, sizeof name, "input/%s", field->name);
    if (field->dtype == CAIRN_DTYPE_F32)
        return cairn_trainer_log_histogram(trainer, name, field->data, count, err);
    if (field->dtype != CAIRN_DTYPE_I32)
        return CAIRN_OK; /* No model here takes others. */
    CRN_TRY_PLAIN(
        crn_grow(&summaries->values, &summaries->capacity, count, sizeof *summaries->values, err));
    for (size_t i = 0; i < count; i++)
        summaries->values[i] = (float)ints[i];
    CRN_TRY_PLAIN(cairn_trainer_log_histogram(trainer, name, summaries->values, count, err));
out:
    return rc;
}

static cairn_status on_before_forward(void *self, const cairn_event *event, cairn_control *control,
                                      cairn_error *err)
{
    struct summaries *const summaries = self;
    cairn_status rc = CAIRN_OK;
    (void)control; /* asks for nothing */
    if (event->is_validation || !event->is_log_step || summaries->is_done)
        return CAIRN_OK;
    summaries->is_done = true;
    for (int i = 0; i < event->batch->field_count; i++)
        CRN_TRY_PLAIN(log_field(summaries, event->trainer, &event->batch->field[i], err));
out:
    return rc;
}

static void destroy(void *self)
{
    struct summaries *const summaries = self;
    if (summaries != NULL)
        crn_free(summaries->values);
    crn_free(summaries);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = destroy,
    .on_train_batch_start = on_train_batch_start,
    .on_before_forward = on_before_forward,
};

cairn_status cairn_log_input_summaries_new(cairn_callback *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct summaries *const summaries = crn_calloc(1, sizeof *summaries);
    CRN_NEED(err, summaries, k_name);
    *out = (cairn_callback){.ops = &k_ops, .self = summaries};
out:
    return rc;
}
