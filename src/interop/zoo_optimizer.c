/*
 * PyTorch keeps the state of an optimizer by numbers: parameters are counted through the groups, in
 * the order in which the model has them. The Model Zoo's groups are first what weight decay acts
 * on, then the rest (common/optim_utils.py, configure_param_groups); with adjusted learning rates
 * or tags there are more, which cannot be told apart from the file alone.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "interop/zoo_priv.h"

#define STATE  "optimizer.state."
#define GROUPS "optimizer.param_groups."

/* A float may be this much above the number that it stands for. */
static const double k_rounded = 1.000001;

/* The parameters in the order of their numbers: numbers in the list of our tensors. */
struct order {
    size_t *params;
    size_t count;
};

/* ---- Which parameter has which number ---- */

static const char *path_of(const crn_zoo *zoo, size_t tensor)
{
    return zoo->tensors[tensor].name + strlen("model.");
}

static bool has_tensor(const crn_zoo *zoo, const char *name, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(zoo->tensors[i].name, name) == 0)
            return true;
    }
    return false;
}

/* The last norm stands twice in the Model Zoo's models, and is one parameter. */
static bool is_second_name(const crn_zoo *zoo, size_t tensor, size_t count)
{
    return crn_starts_with(path_of(zoo, tensor), "transformer_decoder.norm.") &&
           has_tensor(zoo, "model.ln_f.weight", count);
}

/* Biases and the weights of norms, which have one axis. */
static bool is_decayed(const crn_zoo *zoo, size_t tensor)
{
    return zoo->tensors[tensor].rank > 1 && strstr(path_of(zoo, tensor), "bias") == NULL;
}

/* Of group @group, as the file lists it. */
static size_t group_size(const crn_zoo *zoo, unsigned group)
{
    char prefix[64];
    size_t count = 0;
    size_t size = 0;
    const crn_archive_value *const values = crn_archive_values(zoo->archive, &count);
    (void)snprintf(prefix, sizeof prefix, GROUPS "%u.params.", group);
    for (size_t i = 0; i < count; i++)
        size += crn_starts_with(values[i].name, prefix);
    return size;
}

static void list_params(const crn_zoo *zoo, size_t model_count, bool has_head, bool is_decay,
                        struct order *order)
{
    for (size_t i = 0; i < model_count; i++) {
        const bool is_head = strcmp(path_of(zoo, i), "lm_head.weight") == 0;
        if (is_decayed(zoo, i) == is_decay && !is_second_name(zoo, i, model_count) &&
            (has_head || !is_head))
            order->params[order->count++] = i;
    }
}

/* False: the groups are others than the two that are known. */
static bool find_order(const crn_zoo *zoo, size_t model_count, struct order *order)
{
    const size_t decayed = group_size(zoo, 0);
    const size_t rest = group_size(zoo, 1);
    if (group_size(zoo, 2) > 0)
        return false;
    /* With tied embeddings the output layer is no parameter of its own. */
    for (int has_head = 1; has_head >= 0; has_head--) {
        order->count = 0;
        list_params(zoo, model_count, has_head == 1, true, order);
        if (order->count != decayed)
            continue;
        list_params(zoo, model_count, has_head == 1, false, order);
        if (order->count == decayed + rest)
            return true;
    }
    return false;
}

/* ---- Moments and powers ---- */

static bool is_same_shape(const crn_file_entry *a, const crn_file_entry *b)
{
    return a->rank == b->rank && memcmp(a->shape, b->shape, a->rank * sizeof a->shape[0]) == 0;
}

/* Adds what is kept for each parameter in its shape. *out_fits: false if a shape is another. */
static cairn_status add_moments(crn_zoo *zoo, const struct order *order, bool *out_fits,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    *out_fits = true;
    for (size_t i = 0; i < zoo->their_count && *out_fits; i++) {
        const crn_file_entry *const theirs = &zoo->theirs[i];
        char *end = NULL;
        if (!crn_starts_with(theirs->name, STATE) || theirs->rank == 0)
            continue;
        const unsigned long long number = strtoull(theirs->name + strlen(STATE), &end, 10);
        if (*end != '.' || number >= order->count) {
            *out_fits = false;
            break;
        }
        const size_t param = order->params[number];
        *out_fits = is_same_shape(theirs, &zoo->tensors[param]);
        if (*out_fits)
            CRN_TRY_PLAIN(
                crn_zoo_add_tensor(zoo, "optimizer", path_of(zoo, param), end + 1, i, err));
    }
out:
    return rc;
}

/* Theirs is the power of the next step, ours that of the last one. */
static cairn_status add_power(crn_zoo *zoo, const char *key, const char *beta_name,
                              bool *out_is_there, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char name[64];
    char text[CRN_ZOO_TEXT_MAX];
    double power = 0.0;
    double beta = 0.0;
    (void)snprintf(name, sizeof name, STATE "0.%s", key);
    CRN_TRY_PLAIN(crn_zoo_number(zoo, name, &power, out_is_there, err));
    if (!*out_is_there)
        return CAIRN_OK;
    CRN_TRY_PLAIN(crn_zoo_number(zoo, beta_name, &beta, out_is_there, err));
    *out_is_there =
        *out_is_there && beta > 0.0 && beta < 1.0 && power >= 0.0 && power <= beta * k_rounded;
    if (*out_is_there) {
        /* Their powers are floats: the whole exponent that is meant gives the exact one. */
        const double exponent = power > 0.0 ? round(log(power) / log(beta)) : INFINITY;
        crn_f64_to_text(pow(beta, exponent - 1.0), text);
        crn_zoo_add_value(zoo, "optimizer", key, text);
    }
out:
    return rc;
}

/* *out_is_there: what the optimizer counts is there, or it counts nothing. */
static cairn_status add_powers(crn_zoo *zoo, bool *out_is_there, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool has_moments = false;
    for (size_t i = 0; i < zoo->tensor_count; i++) {
        const char *const name = zoo->tensors[i].name;
        const size_t length = strlen(name);
        has_moments =
            has_moments || (length > 11 && strcmp(name + length - 11, ".exp_avg_sq") == 0);
    }
    *out_is_there = true;
    if (!has_moments)
        return CAIRN_OK;
    CRN_TRY_PLAIN(add_power(zoo, "beta1_power", GROUPS "0.betas.0", out_is_there, err));
    if (*out_is_there)
        CRN_TRY_PLAIN(add_power(zoo, "beta2_power", GROUPS "0.betas.1", out_is_there, err));
out:
    return rc;
}

static void drop(crn_zoo *zoo, size_t tensor_count)
{
    while (zoo->tensor_count > tensor_count) {
        const union {
            const char *in;
            char *out;
        } name = {.in = zoo->tensors[--zoo->tensor_count].name};
        crn_free(name.out);
    }
    zoo->value_count = 0;
}

cairn_status crn_zoo_add_optimizer(crn_zoo *zoo, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    struct order order = {0};
    const size_t model_count = zoo->tensor_count;
    bool fits = false;
    if (group_size(zoo, 0) + group_size(zoo, 1) == 0)
        return CAIRN_OK;
    order.params = crn_calloc(model_count + 1, sizeof *order.params);
    CRN_NEED(err, order.params, "a list of parameters");
    fits = find_order(zoo, model_count, &order);
    if (fits)
        CRN_TRY_PLAIN(add_moments(zoo, &order, &fits, err));
    if (fits)
        CRN_TRY_PLAIN(add_powers(zoo, &fits, err));
    if (fits) {
        CRN_TRY_PLAIN(crn_zoo_add_state(zoo, "optimizer", err));
    } else {
        drop(zoo, model_count);
        cairn_log_message(zoo->log, CAIRN_LOG_WARNING,
                          "The state of the optimizer in '%s' is not loaded: its parameter groups "
                          "are not the two of a run without adjusted learning rates and tags",
                          zoo->path);
    }
out:
    crn_free(order.params);
    return rc;
}
