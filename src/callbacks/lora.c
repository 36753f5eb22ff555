/*
 * Lora: adapters of low rank are trained instead of the weights (Model Zoo reference, section 2.7).
 * They are a state of their own, so that they can be saved and loaded without what they adapt.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "cairn/callbacks.h"

static const char k_name[] = "Lora";
static const char k_state[] = "lora"; /* of cairn_trainer_train_adapters */
/* Its value: how many adapters there are. Without it the state was not in the file. */
static const char k_adapters[] = "adapters";

struct lora {
    cairn_lora_params_options *groups;
    size_t count;
    char *ckpt_path;    /* NULL: none */
    cairn_state *state; /* borrowed from the tree */
};

static cairn_status pre_setup(void *self, const cairn_event *event, cairn_control *control,
                              cairn_error *err)
{
    struct lora *const lora = self;
    const cairn_lora_params_list groups = {.items = lora->groups, .count = lora->count};
    (void)control; /* asks for nothing */
    return cairn_trainer_train_adapters(event->trainer, &groups, &lora->state, err);
}

static uint64_t elements_of(const cairn_state *state)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < cairn_state_tensor_count(state); i++) {
        const cairn_tensor *const tensor = cairn_state_tensor_at(state, i);
        if (tensor->role != CAIRN_ROLE_OTHER)
            sum += (uint64_t)cairn_tensor_elements(tensor);
    }
    return sum;
}

static uint64_t adapters_of(const struct lora *lora)
{
    return cairn_state_tensor_count(lora->state) / 2;
}

static cairn_status post_setup(void *self, const cairn_event *event, cairn_control *control,
                               cairn_error *err)
{
    const struct lora *const lora = self;
    const uint64_t trained = elements_of(lora->state);
    const uint64_t all = trained + elements_of(cairn_trainer_model_state(event->trainer));
    const cairn_state *const optimizer =
        cairn_state_tree_find(cairn_trainer_tree(event->trainer), "optimizer");
    char trained_text[32];
    char all_text[32];
    char bytes[32];
    (void)control; /* asks for nothing */
    (void)err;
    if (event->is_validation || optimizer == NULL)
        return CAIRN_OK;
    cairn_log_message(cairn_trainer_log(event->trainer), CAIRN_LOG_INFO,
                      "%s: %" PRIu64 " adapters; trainable %s of %s parameters (%.3g %%), state of "
                      "the optimizer %s",
                      k_name, adapters_of(lora), crn_format_count(trained, trained_text),
                      crn_format_count(all, all_text), 100.0 * (double)trained / (double)all,
                      crn_format_bytes(cairn_state_region_bytes(optimizer), bytes));
    return CAIRN_OK;
}

/* The adapters of another checkpoint. */
static cairn_status load_apart(const struct lora *lora, cairn_trainer *trainer, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_checkpoint *ckpt = NULL;
    const cairn_log *const log = cairn_trainer_log(trainer);
    const cairn_load_options options = {
        .struct_size = sizeof options, .states = k_state, .required_state = k_state, .log = log};
    CRN_TRY_PLAIN(cairn_checkpoint_open(lora->ckpt_path, &ckpt, err));
    CRN_TRY(err, cairn_checkpoint_load(ckpt, cairn_trainer_tree(trainer), &options, NULL, err),
            "load the adapters of '%s'", lora->ckpt_path);
    cairn_log_message(log, CAIRN_LOG_INFO, "%s: adapters loaded from %s", k_name, lora->ckpt_path);
out:
    cairn_checkpoint_close(ckpt);
    return rc;
}

static cairn_status on_load_checkpoint(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    const struct lora *const lora = self;
    cairn_status rc = CAIRN_OK;
    const cairn_log *const log = cairn_trainer_log(event->trainer);
    const bool is_loaded = cairn_state_get_text(lora->state, k_adapters) != NULL;
    (void)control; /* asks for nothing */
    if (is_loaded && lora->ckpt_path != NULL)
        cairn_log_message(log, CAIRN_LOG_WARNING,
                          "%s: %s has adapters of its own; those of ckpt_path %s are not taken",
                          k_name, event->path, lora->ckpt_path);
    else if (!is_loaded && lora->ckpt_path != NULL)
        CRN_TRY_PLAIN(load_apart(lora, event->trainer, err));
    else if (!is_loaded)
        cairn_log_message(log, CAIRN_LOG_INFO,
                          "%s: no adapters were loaded from %s; they begin at their start values, "
                          "which change nothing",
                          k_name, event->path);
out:
    return rc;
}

/* Without a load there is no base that adapters were made for. */
static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    const struct lora *const lora = self;
    cairn_status rc = CAIRN_OK;
    (void)control; /* asks for nothing */
    if (lora->ckpt_path != NULL && cairn_trainer_loaded_path(event->trainer) == NULL)
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "%s: ckpt_path %s needs the checkpoint of the model that its adapters belong to: "
                 "give fit.ckpt_path",
                 k_name, lora->ckpt_path);
    CRN_TRY_PLAIN(cairn_state_set_u64(lora->state, k_adapters, adapters_of(lora), err));
out:
    return rc;
}

/* Texts that copy_group made; const only for who fills the options. */
static void free_text(const void *text)
{
    union {
        const void *in;
        void *out;
    } cast = {.in = text};
    crn_free(cast.out);
}

static void destroy(void *self)
{
    struct lora *const lora = self;
    if (lora == NULL)
        return;
    for (size_t i = 0; i < lora->count; i++) {
        const cairn_opt_list *const targets = &lora->groups[i].target_modules;
        for (size_t j = 0; j < targets->count; j++)
            free_text(targets->items[j]);
        free_text(targets->items);
    }
    crn_free(lora->groups);
    crn_free(lora->ckpt_path);
    crn_free(lora);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof(cairn_callback_ops),
    .name = k_name,
    .destroy = destroy,
    .pre_setup = pre_setup,
    .post_setup = post_setup,
    .on_load_checkpoint = on_load_checkpoint,
    .on_fit_start = on_fit_start,
};

/* On failure @to is half made and can be freed all the same. */
static cairn_status copy_group(const cairn_lora_params_options *from, cairn_lora_params_options *to,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_opt_list *const targets = &from->target_modules;
    const char **const items = crn_calloc(targets->count + 1, sizeof *items);
    CRN_NEED(err, items, k_name);
    *to = *from;
    to->target_modules = (cairn_opt_list){.items = items};
    for (size_t i = 0; i < targets->count; i++) {
        items[i] = crn_strdup(targets->items[i]);
        CRN_NEED(err, items[i], k_name);
        to->target_modules.count++;
    }
out:
    return rc;
}

cairn_status cairn_lora_new(const cairn_lora_options *options, cairn_callback *out,
                            cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_lora_params_list *const groups = &options->lora_params;
    struct lora *lora = crn_calloc(1, sizeof *lora);
    CRN_NEED(err, lora, k_name);
    if (groups->count == 0)
        CRN_FAIL(err, CAIRN_ECONFIG, "%s: lora_params is empty; give at least r", k_name);
    lora->groups = crn_calloc(groups->count, sizeof *lora->groups);
    CRN_NEED(err, lora->groups, k_name);
    while (lora->count < groups->count) {
        lora->count++; /* A half-made copy is freed too. */
        CRN_TRY_PLAIN(
            copy_group(&groups->items[lora->count - 1], &lora->groups[lora->count - 1], err));
    }
    if (options->ckpt_path != NULL) {
        lora->ckpt_path = crn_strdup(options->ckpt_path);
        CRN_NEED(err, lora->ckpt_path, k_name);
    }
    *out = (cairn_callback){.ops = &k_ops, .self = lora};
    lora = NULL;
out:
    destroy(lora);
    return rc;
}
