/* A validation with other weights than the model's own: averages, for one. */
#include <math.h>
#include <stdio.h>

#include "base/try.h"
#include "train/trainer_priv.h"

enum { METRIC_SIZE = 96 };

/* The mean over tokens; the same batches as in evaluate.c. *@out_loss is not set if it is
 * asked to stop. */
static cairn_status mean_loss(cairn_trainer *trainer, cairn_loader *loader,
                              const cairn_state *weights, double *out_loss, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_opt_int limit = trainer->options.loop.eval_steps;
    const uint64_t all = cairn_loader_batches_per_epoch(loader);
    const uint64_t batches =
        limit.is_set && (uint64_t)limit.value < all ? (uint64_t)limit.value : all;
    cairn_pass pass = crn_trainer_validation_pass(trainer);
    double loss_sum = 0.0;
    double weight_sum = 0.0;
    pass.weights = weights;
    cairn_loader_set_seed(loader, trainer->seed);
    cairn_loader_seek(loader, 0);
    for (uint64_t i = 0; i < batches; i++) {
        cairn_batch batch = {.struct_size = sizeof batch};
        cairn_loss loss = {0};
        trainer->round_stop = crn_trainer_await_batch(trainer, loader);
        if (trainer->round_stop != NULL)
            return CAIRN_OK;
        CRN_TRY_PLAIN(cairn_loader_next(loader, &batch, err));
        CRN_TRY_PLAIN(trainer->model.ops->compute(trainer->model.self, &batch, &pass, &loss, err));
        loss_sum += loss.loss * loss.weight;
        weight_sum += loss.weight;
    }
    *out_loss = weight_sum > 0.0 ? loss_sum / weight_sum : NAN;
out:
    return rc;
}

cairn_status cairn_trainer_validate_weights(cairn_trainer *trainer, const cairn_state *weights,
                                            const char *prefix, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char name[METRIC_SIZE];
    (void)snprintf(name, sizeof name, "%s/val_loss", prefix);
    for (size_t i = 0; i < trainer->round_count && trainer->round_stop == NULL; i++) {
        double loss = 0.0;
        CRN_TRY(err, mean_loss(trainer, trainer->round_loaders[i], weights, &loss, err),
                "validate with the state '%s'", cairn_state_name(weights));
        if (trainer->round_stop != NULL)
            break;
        cairn_log_message(trainer->options.log, CAIRN_LOG_INFO, "%s: %.5f", name, loss);
        trainer->validated_loader = i;
        CRN_TRY_PLAIN(cairn_trainer_add_metric(trainer, name, loss, err));
    }
out:
    trainer->validated_loader = 0;
    return rc;
}
