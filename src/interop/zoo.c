#include "interop/zoo.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "interop/element.h"
#include "interop/zoo_priv.h"

/* Of numbers that count, beyond which a double leaves some out. */
static const double k_count_max = 9007199254740992.0;

/* What is a float here, exactly. */
static bool is_widened(cairn_dtype dtype)
{
    return dtype == CAIRN_DTYPE_F32 || dtype == CAIRN_DTYPE_F16 || dtype == CAIRN_DTYPE_BF16;
}

/* ---- What is collected ---- */

cairn_status crn_zoo_add_tensor(crn_zoo *zoo, const char *state, const char *path, const char *more,
                                size_t source, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str name = {0};
    crn_file_entry *const tensor = &zoo->tensors[zoo->tensor_count];
    crn_str_printf(&name, "%s.%s%s%s", state, path, more != NULL ? "." : "",
                   more != NULL ? more : "");
    CRN_TRY_PLAIN(crn_str_check(&name, err));
    *tensor = zoo->theirs[source];
    if (is_widened(tensor->dtype)) {
        tensor->bytes = tensor->bytes / (cairn_dtype_bits(tensor->dtype) / 8) * sizeof(float);
        tensor->dtype = CAIRN_DTYPE_F32;
    }
    tensor->name_length = name.length;
    tensor->name = crn_str_take(&name);
    CRN_NEED(err, tensor->name, "a tensor's name");
    zoo->sources[zoo->tensor_count++] = source;
out:
    crn_str_dispose(&name);
    return rc;
}

void crn_zoo_add_value(crn_zoo *zoo, const char *state, const char *key, const char *text)
{
    char *const kept = zoo->texts[zoo->value_count];
    (void)snprintf(kept, CRN_ZOO_TEXT_MAX, "%s", text);
    zoo->values[zoo->value_count++] = (crn_foreign_value){.state = state, .key = key, .text = kept};
}

cairn_status crn_zoo_add_state(crn_zoo *zoo, const char *state, cairn_error *err)
{
    crn_str_printf(&zoo->states, "%s%s", zoo->states.length > 0 ? "," : "", state);
    return crn_str_check(&zoo->states, err);
}

/* ---- Numbers ---- */

static bool number_from_bytes(const crn_file_entry *tensor, const uint8_t *bytes, double *out)
{
    int64_t whole = 0;
    int32_t small = 0;
    if (is_widened(tensor->dtype))
        *out = crn_element_get(bytes, tensor->dtype, 0);
    else if (tensor->dtype == CAIRN_DTYPE_F64)
        memcpy(out, bytes, sizeof *out);
    else if (tensor->dtype == CAIRN_DTYPE_I64)
        *out = (double)*(int64_t *)memcpy(&whole, bytes, sizeof whole);
    else if (tensor->dtype == CAIRN_DTYPE_I32)
        *out = (double)*(int32_t *)memcpy(&small, bytes, sizeof small);
    else
        return false;
    return true;
}

cairn_status crn_zoo_number(const crn_zoo *zoo, const char *name, double *out, bool *out_is_there,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint8_t bytes[8] = {0};
    size_t count = 0;
    const crn_archive_value *const values = crn_archive_values(zoo->archive, &count);
    *out_is_there = false;
    for (size_t i = 0; i < count; i++) {
        const crn_archive_value *const value = &values[i];
        if (strcmp(value->name, name) != 0)
            continue;
        *out = value->kind == CRN_ARCHIVE_NUMBER ? value->number : (double)value->integer;
        *out_is_there = value->kind == CRN_ARCHIVE_NUMBER || value->kind == CRN_ARCHIVE_INTEGER;
        return CAIRN_OK;
    }
    for (size_t i = 0; i < zoo->their_count; i++) {
        const crn_file_entry *const tensor = &zoo->theirs[i];
        const size_t size = cairn_dtype_bits(tensor->dtype) / 8;
        if (strcmp(tensor->name, name) != 0 || tensor->bytes != size)
            continue;
        CRN_TRY_PLAIN(crn_archive_read(zoo->archive, tensor, 0, size, bytes, err));
        *out_is_there = number_from_bytes(tensor, bytes, out);
    }
out:
    return rc;
}

/* ---- The model ---- */

static const char *after(const char *name, const char *prefix)
{
    return crn_starts_with(name, prefix) ? name + strlen(prefix) : name;
}

/* Names are ours, with "model." once for the state and once for the wrapper. A file of weights
 * alone has one of them, or none. */
static cairn_status add_model(crn_zoo *zoo, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool has_states = false;
    for (size_t i = 0; i < zoo->their_count; i++)
        has_states = has_states || crn_starts_with(zoo->theirs[i].name, "model.");
    for (size_t i = 0; i < zoo->their_count; i++) {
        const char *const name = zoo->theirs[i].name;
        if (has_states && !crn_starts_with(name, "model."))
            continue;
        const char *const path = after(after(name, "model."), "model.");
        CRN_TRY_PLAIN(crn_zoo_add_tensor(zoo, "model", path, NULL, i, err));
    }
    if (zoo->tensor_count == 0)
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' holds no tensor of a model", zoo->path);
    CRN_TRY_PLAIN(crn_zoo_add_state(zoo, "model", err));
out:
    return rc;
}

/* ---- Counters ---- */

/* A number of theirs that is a value of ours. */
struct counter {
    const char *state;
    const char *key;
    const char *theirs;
    bool is_float;
};

static cairn_status add_counter(crn_zoo *zoo, const struct counter *counter, bool *out_is_there,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    double number = 0.0;
    char text[CRN_ZOO_TEXT_MAX];
    CRN_TRY_PLAIN(crn_zoo_number(zoo, counter->theirs, &number, out_is_there, err));
    if (!*out_is_there)
        return CAIRN_OK;
    if (counter->is_float) {
        crn_f64_to_text(number, text);
    } else {
        if (!(number >= 0.0 && number <= k_count_max))
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' is damaged: its %s is %g", zoo->path,
                     counter->theirs, number);
        (void)snprintf(text, sizeof text, "%" PRIu64, (uint64_t)number);
        if (strcmp(counter->state, "global_step") == 0)
            zoo->step = (uint64_t)number;
    }
    crn_zoo_add_value(zoo, counter->state, counter->key, text);
out:
    return rc;
}

/* All of a state's counters, or none. */
static cairn_status add_counters(crn_zoo *zoo, const struct counter *counters, size_t count,
                                 cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t before = zoo->value_count;
    bool is_there = true;
    for (size_t i = 0; i < count && is_there; i++)
        CRN_TRY_PLAIN(add_counter(zoo, &counters[i], &is_there, err));
    if (is_there)
        CRN_TRY_PLAIN(crn_zoo_add_state(zoo, counters[0].state, err));
    else
        zoo->value_count = before;
out:
    return rc;
}

static cairn_status add_all_counters(crn_zoo *zoo, cairn_error *err)
{
    static const struct counter k_schedulers[] = {
        {"schedulers", "0.last_epoch", "schedulers.0.last_epoch", false}};
    static const struct counter k_data[] = {
        {"dataloader", "samples_streamed", "dataloader.samples_streamed", false}};
    static const struct counter k_scaler[] = {
        {"grad_scaler", "loss_scale", "grad_scaler.loss_scale", true},
        {"grad_scaler", "steps_since_rescale", "grad_scaler.steps_since_rescale", false},
        {"grad_scaler", "overflows_since_rescale", "grad_scaler.overflows_since_rescale", false},
        {"grad_scaler", "num_skipped_steps", "grad_scaler.num_skipped_steps", false}};
    static const struct counter k_step[] = {{"global_step", "value", "global_step", false}};
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(add_counters(zoo, k_schedulers, 1, err));
    CRN_TRY_PLAIN(add_counters(zoo, k_data, 1, err));
    CRN_TRY_PLAIN(add_counters(zoo, k_scaler, sizeof k_scaler / sizeof k_scaler[0], err));
    CRN_TRY_PLAIN(add_counters(zoo, k_step, 1, err));
out:
    return rc;
}

/* ---- As a checkpoint ---- */

static cairn_status read_tensor(void *self, const crn_file_entry *ours, uint64_t offset,
                                size_t size, void *buf, cairn_error *err)
{
    enum { PIECE = 1 << 16 }; /* elements */
    cairn_status rc = CAIRN_OK;
    const crn_zoo *const zoo = self;
    const crn_file_entry *const theirs = &zoo->theirs[zoo->sources[ours - zoo->tensors]];
    const uint64_t width = cairn_dtype_bits(theirs->dtype) / 8;
    uint8_t *piece = NULL;
    float *to = buf;
    if (theirs->dtype == ours->dtype)
        return crn_archive_read(zoo->archive, theirs, offset, size, buf, err);
    piece = crn_calloc(PIECE, width);
    CRN_NEED(err, piece, "a buffer");
    for (uint64_t at = 0; at < size / sizeof *to; at += PIECE) {
        const uint64_t left = size / sizeof *to - at;
        const uint64_t count = left < PIECE ? left : PIECE;
        CRN_TRY_PLAIN(crn_archive_read(zoo->archive, theirs, (offset / sizeof *to + at) * width,
                                       (size_t)(count * width), piece, err));
        for (uint64_t i = 0; i < count; i++)
            to[at + i] = crn_element_get(piece, theirs->dtype, i);
    }
out:
    crn_free(piece);
    return rc;
}

static void destroy(void *self)
{
    crn_zoo *const zoo = self;
    crn_archive_close(zoo->archive);
    for (size_t i = 0; i < zoo->tensor_count; i++) {
        const union {
            const char *in;
            char *out;
        } name = {.in = zoo->tensors[i].name};
        crn_free(name.out);
    }
    crn_free(zoo->tensors);
    crn_free(zoo->sources);
    crn_str_dispose(&zoo->states);
    crn_str_dispose(&zoo->params);
    crn_free(zoo);
}

static cairn_status collect(crn_zoo *zoo, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    zoo->theirs = crn_archive_tensors(zoo->archive, &zoo->their_count);
    zoo->tensors = crn_calloc(zoo->their_count + 1, sizeof *zoo->tensors);
    CRN_NEED(err, zoo->tensors, "a list of tensors");
    zoo->sources = crn_calloc(zoo->their_count + 1, sizeof *zoo->sources);
    CRN_NEED(err, zoo->sources, "a list of tensors");
    CRN_TRY_PLAIN(add_model(zoo, err));
    CRN_TRY_PLAIN(crn_zoo_add_optimizer(zoo, err));
    CRN_TRY_PLAIN(add_all_counters(zoo, err));
    CRN_TRY_PLAIN(crn_zoo_add_params(zoo, err));
out:
    return rc;
}

cairn_status crn_zoo_checkpoint(const crn_os *os, int fd, const char *path, crn_archive *archive,
                                const cairn_log *log, cairn_checkpoint **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_zoo *zoo = crn_calloc(1, sizeof *zoo);
    if (zoo == NULL)
        crn_archive_close(archive);
    CRN_NEED(err, zoo, "a list of tensors");
    *zoo = (crn_zoo){.archive = archive, .path = path, .log = log};
    CRN_TRY_PLAIN(collect(zoo, err));
    const crn_foreign foreign = {.read = read_tensor,
                                 .destroy = destroy,
                                 .self = zoo,
                                 .tensors = zoo->tensors,
                                 .tensor_count = zoo->tensor_count,
                                 .values = zoo->values,
                                 .value_count = zoo->value_count,
                                 .states = zoo->states.text,
                                 .params = zoo->params.length > 0 ? zoo->params.text : NULL,
                                 .step = zoo->step};
    zoo = NULL;
    const int taken = fd;
    fd = -1;
    CRN_TRY_PLAIN(crn_checkpoint_from_foreign(os, path, taken, &foreign, out, err));
out:
    if (zoo != NULL)
        destroy(zoo);
    if (fd >= 0)
        (void)os->close(os, fd); /* Only read. */
    return rc;
}
