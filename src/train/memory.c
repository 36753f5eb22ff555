/* What memory a fit takes, planned before its first step, and whether there is as much. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "base/checked.h"
#include "base/try.h"
#include "ckpt/ckpt.h"
#include "train/trainer_priv.h"

/* Activations of the two largest batches that differ: a model keeps those of so many shapes. */
typedef struct largest {
    uint64_t first;
    uint64_t second;
} largest;

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum = 0;
    return crn_add_u64(a, b, &sum) ? sum : UINT64_MAX;
}

/* ---- Activations ---- */

static void insert(largest *all, uint64_t bytes)
{
    if (bytes > all->first) {
        all->second = all->first;
        all->first = bytes;
    } else if (bytes < all->first && bytes > all->second) {
        all->second = bytes;
    }
}

static bool can_tell(const cairn_trainer *trainer, const cairn_data *data)
{
    const cairn_model_ops *const model = trainer->model.ops;
    return model->struct_size >= offsetof(cairn_model_ops, memory) + sizeof model->memory &&
           model->memory != NULL && data->ops->sequence_length != NULL &&
           data->ops->sequence_length(data->self) > 0;
}

static cairn_status measure(const cairn_trainer *trainer, uint64_t samples, int64_t time,
                            bool is_training, largest *all, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t bytes = 0;
    const cairn_batch batch = {.struct_size = sizeof batch,
                               .samples = (int64_t)samples,
                               .field_count = 1,
                               .field = {{.name = "input_ids",
                                          .dtype = CAIRN_DTYPE_I32,
                                          .rank = 2,
                                          .shape = {(int64_t)samples, time}}}};
    CRN_TRY(err, trainer->model.ops->memory(trainer->model.self, &batch, is_training, &bytes, err),
            "plan the activations of batches of %" PRIu64, samples);
    insert(all, bytes);
out:
    return rc;
}

/* The usual batch, and the last one of an epoch. *is_known becomes false if nobody can tell. */
static cairn_status measure_loader(const cairn_trainer *trainer, const cairn_loader *loader,
                                   bool is_training, largest *all, bool *is_known, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_data *const data = cairn_loader_data(loader);
    uint64_t usual = 0;
    uint64_t last = 0;
    if (!can_tell(trainer, data)) {
        *is_known = false;
        return CAIRN_OK;
    }
    const int64_t time = data->ops->sequence_length(data->self);
    cairn_loader_batch_samples(loader, &usual, &last);
    CRN_TRY_PLAIN(measure(trainer, usual, time, is_training, all, err));
    if (last != usual)
        CRN_TRY_PLAIN(measure(trainer, last, time, is_training, all, err));
out:
    return rc;
}

static cairn_status measure_activations(cairn_trainer *trainer, largest *training, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_memory_plan *const plan = &trainer->memory;
    largest validation = {0};
    plan->has_activations = true;
    CRN_TRY_PLAIN(
        measure_loader(trainer, trainer->train, true, training, &plan->has_activations, err));
    for (size_t i = 0; trainer->schedule.eval_every > 0 && i < trainer->val_count; i++)
        CRN_TRY_PLAIN(measure_loader(trainer, trainer->val[i], false, &validation,
                                     &plan->has_activations, err));
    plan->training = add(training->first, training->second);
    plan->validation = add(validation.first, validation.second);
out:
    return rc;
}

/* ---- The whole ---- */

/* Known once activations are measured. */
static uint64_t copies_of(const cairn_model *model)
{
    const bool can =
        model->ops->struct_size >= offsetof(cairn_model_ops, copies) + sizeof model->ops->copies &&
        model->ops->copies != NULL;
    return can ? model->ops->copies(model->self) : 0;
}

static uint64_t staging_of(const cairn_trainer *trainer)
{
    const uint64_t state = cairn_state_tree_bytes(trainer->tree);
    const uint64_t most = crn_staging_most(crn_trainer_staging(trainer), state);
    if (!crn_trainer_attaches_store(trainer))
        return 0;
    return most < state ? most : state; /* No block is copied twice. */
}

/* What is mapped is not touched yet: better now than when the kernel has to kill somebody. */
static cairn_status check_room(const cairn_trainer *trainer, uint64_t batch, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_memory_plan *const plan = &trainer->memory;
    char need_text[32];
    char room_text[32];
    char state_text[32];
    char batch_text[32];
    const uint64_t state = add(cairn_state_tree_bytes(trainer->tree), plan->gradients);
    const uint64_t needed = add(state, batch);
    (void)crn_format_bytes(plan->room, room_text);
    (void)crn_format_bytes(state, state_text);
    if (state > plan->room)
        CRN_FAIL(err, CAIRN_ENOMEM,
                 "the state and its gradients take %s (%" PRIu64
                 " bytes) of memory, and %s (%" PRIu64
                 " bytes) are free; make the model smaller, or end what else runs here",
                 state_text, state, room_text, plan->room);
    if (needed > plan->room)
        CRN_FAIL(err, CAIRN_ENOMEM,
                 "a training step takes %s (%" PRIu64
                 " bytes) of memory, %s for the state and its gradients and %s for activations "
                 "and copies, and %s (%" PRIu64
                 " bytes) are free; lower batch_size (a higher grad_accum_steps makes up for it) "
                 "or max_sequence_length, set model.gradient_checkpointing to true, or end what "
                 "else runs here",
                 crn_format_bytes(needed, need_text), needed, state_text,
                 crn_format_bytes(batch, batch_text), room_text, plan->room);
    if (plan->total > plan->room)
        cairn_log_message(trainer->options.log, CAIRN_LOG_WARNING,
                          "the memory may not suffice: with validation, smaller last batches and "
                          "copies for saves the run takes up to %s, and %s are free; lower "
                          "batch_size or checkpoint.staging_bytes, or end what else runs here",
                          crn_format_bytes(plan->total, need_text), room_text);
out:
    return rc;
}

cairn_status crn_trainer_plan_memory(cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_memory_plan *const plan = &trainer->memory;
    const uint64_t state = cairn_state_tree_bytes(trainer->tree);
    largest training = {0};
    size_t gradients = 0;
    (void)cairn_state_gradients(trainer->trained_state, &gradients);
    plan->parameters = cairn_state_region_bytes(trainer->model_state);
    if (trainer->trained_state != trainer->model_state)
        plan->parameters += cairn_state_region_bytes(trainer->trained_state);
    plan->optimizer = cairn_state_region_bytes(trainer->optimizer_state);
    plan->others = state - plan->parameters - plan->optimizer;
    plan->gradients = (uint64_t)gradients * sizeof(float);
    plan->staging = staging_of(trainer);
    CRN_TRY_PLAIN(measure_activations(trainer, &training, err));
    plan->copies = copies_of(&trainer->model);
    plan->total = add(add(add(state, plan->gradients), add(plan->training, plan->validation)),
                      add(plan->copies, plan->staging));
    plan->has_room = crn_memory_available(&plan->room);
    if (plan->has_room)
        CRN_TRY_PLAIN(check_room(trainer, add(training.first, plan->copies), err));
out:
    return rc;
}

const char *cairn_memory_plan_text(const cairn_memory_plan *plan, char *buf, size_t size)
{
    const struct {
        const char *name;
        uint64_t bytes;
    } parts[] = {{"parameters", plan->parameters},
                 {"gradients", plan->gradients},
                 {"optimizer", plan->optimizer},
                 {"callbacks", plan->others},
                 {"copies for products", plan->copies},
                 {"activations", plan->training},
                 {"those of validation", plan->validation},
                 {"copies for saves", plan->staging}};
    char number[32];
    size_t used = 0;
    (void)snprintf(buf, size, "%s", "");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].bytes == 0)
            continue;
        const int n = snprintf(buf + used, size - used, "%s%s %s", used > 0 ? ", " : "",
                               parts[i].name, crn_format_bytes(parts[i].bytes, number));
        used = used + (size_t)n < size ? used + (size_t)n : size - 1;
    }
    if (!plan->has_activations)
        (void)snprintf(buf + used, size - used, "; activations are not known");
    return buf;
}

void crn_trainer_log_memory(const cairn_trainer *trainer)
{
    const cairn_memory_plan *const plan = &trainer->memory;
    char parts[CAIRN_MEMORY_PLAN_TEXT_SIZE];
    char total[32];
    char room[32];
    cairn_log_message(trainer->options.log, CAIRN_LOG_INFO, "plan: %s of memory%s%s: %s",
                      crn_format_bytes(plan->total, total), plan->has_room ? ", free are " : "",
                      plan->has_room ? crn_format_bytes(plan->room, room) : "",
                      cairn_memory_plan_text(plan, parts, sizeof parts));
}
