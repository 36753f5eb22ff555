/* What callbacks want of the passes: checks, and a look at what is computed. */
#include "base/mem.h"
#include "base/try.h"
#include "train/trainer_priv.h"

void cairn_trainer_set_check(cairn_trainer *trainer, bool is_validation, cairn_check check)
{
    cairn_check *const wanted = is_validation ? &trainer->validation_check : &trainer->train_check;
    if (check > *wanted)
        *wanted = check;
}

cairn_status cairn_trainer_observe(cairn_trainer *trainer, cairn_observe_fn fn, void *user,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(crn_grow(&trainer->observers, &trainer->observer_capacity,
                           trainer->observer_count + 1, sizeof *trainer->observers, err));
    trainer->observers[trainer->observer_count++] = (crn_observer){.fn = fn, .user = user};
out:
    return rc;
}

/* One pass has one observer: this one, for all. */
static cairn_status show(void *user, const char *name, const float *values, size_t count,
                         cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_trainer *const trainer = user;
    for (size_t i = 0; i < trainer->observer_count; i++) {
        const crn_observer *const observer = &trainer->observers[i];
        CRN_TRY_PLAIN(observer->fn(observer->user, name, values, count, err));
    }
out:
    return rc;
}

cairn_pass crn_trainer_training_pass(cairn_trainer *trainer, uint64_t index, bool is_log_step)
{
    const uint64_t parts = (uint64_t)trainer->options.loop.grad_accum_steps;
    const bool may_overflow = cairn_loss_scaler_is_dynamic(trainer->scaler);
    cairn_pass pass = {
        .struct_size = sizeof pass,
        .is_training = true,
        .seed = trainer->seed,
        .step = trainer->step * parts + index,
        .loss_scale = (float)cairn_loss_scaler_scale(trainer->scaler) / (float)parts,
        .check = trainer->train_check,
    };
    if (may_overflow && pass.check == CAIRN_CHECK_ALL)
        pass.check = CAIRN_CHECK_VALUES;
    /* One micro-batch stands for the step. */
    if (is_log_step && index + 1 == parts && trainer->observer_count > 0) {
        pass.observe = show;
        pass.observer = trainer;
    }
    return pass;
}

cairn_pass crn_trainer_validation_pass(const cairn_trainer *trainer)
{
    return (cairn_pass){
        .struct_size = sizeof(cairn_pass),
        .seed = trainer->seed,
        .loss_scale = 1.0f,
        .check = trainer->validation_check,
        .wants_metrics = true,
    };
}

uint64_t cairn_trainer_samples_streamed(const cairn_trainer *trainer)
{
    return trainer->train != NULL ? cairn_loader_position(trainer->train) : 0;
}

void cairn_trainer_skip_samples(cairn_trainer *trainer, uint64_t samples)
{
    cairn_loader_seek(trainer->train, cairn_loader_position(trainer->train) + samples);
}
