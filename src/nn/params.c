#include "nn/params.h"

#include <math.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/try.h"
#include "nn/initial.h"

enum { NAME_SIZE = 256 };

static const cairn_initializer k_zeros = {.kind = CAIRN_INIT_ZEROS};
static const cairn_initializer k_ones = {.kind = CAIRN_INIT_ONES};

void crn_params_dispose(crn_params *params)
{
    crn_free(params->items);
    params->items = NULL;
    params->count = 0;
    params->capacity = 0;
}

/* A matrix, or with @rows 0 a vector. */
static cairn_status add(crn_params *params, const char *name, const char *last, cairn_role role,
                        int64_t rows, int64_t cols, const cairn_initializer *initializer,
                        const cairn_tensor **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char full[NAME_SIZE];
    (void)snprintf(full, sizeof full, "%s%s.%s", params->prefix, name, last);
    const cairn_tensor_spec matrix = {
        .name = full,
        .dtype = CAIRN_DTYPE_F32,
        .role = role,
        .rank = 2,
        .shape = {rows, cols},
        .learning_rate_factor = role == CAIRN_ROLE_WEIGHT ? params->learning_rate_factor : 0.0};
    const cairn_tensor_spec vector = {
        .name = full, .dtype = CAIRN_DTYPE_F32, .role = role, .rank = 1, .shape = {cols}};
    CRN_TRY_PLAIN(
        crn_grow(&params->items, &params->capacity, params->count + 1, sizeof *params->items, err));
    CRN_TRY_PLAIN(cairn_state_add_tensor(params->state, rows > 0 ? &matrix : &vector, out, err));
    params->items[params->count].tensor = *out;
    params->items[params->count].initializer = *initializer;
    params->count++;
out:
    return rc;
}

cairn_status crn_params_add_table(crn_params *params, const char *name, int64_t rows, int64_t cols,
                                  const cairn_initializer *initializer, const cairn_tensor **out,
                                  cairn_error *err)
{
    return add(params, name, "weight", CAIRN_ROLE_EMBEDDING, rows, cols, initializer, out, err);
}

cairn_status crn_params_add_bias(crn_params *params, const char *name, int64_t cols,
                                 const cairn_tensor **out, cairn_error *err)
{
    return add(params, name, "bias", CAIRN_ROLE_BIAS, 0, cols, &k_zeros, out, err);
}

cairn_status crn_params_add_linear(crn_params *params, const char *name, int64_t from, int64_t to,
                                   bool has_bias, const cairn_initializer *initializer,
                                   crn_layer *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(
        add(params, name, "weight", CAIRN_ROLE_WEIGHT, to, from, initializer, &out->weight, err));
    if (has_bias)
        CRN_TRY_PLAIN(crn_params_add_bias(params, name, to, &out->bias, err));
out:
    return rc;
}

cairn_status crn_params_add_norm(crn_params *params, const char *name, int64_t cols, bool has_bias,
                                 crn_layer *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(
        add(params, name, "weight", CAIRN_ROLE_NORM, 0, cols, &k_ones, &out->weight, err));
    if (has_bias)
        CRN_TRY_PLAIN(
            add(params, name, "bias", CAIRN_ROLE_NORM, 0, cols, &k_zeros, &out->bias, err));
out:
    return rc;
}

cairn_status crn_params_add_lora(crn_params *params, const char *name, int64_t rank, int64_t from,
                                 int64_t to, bool is_table, crn_lora *out, cairn_error *err)
{
    static const cairn_initializer k_normal = {.kind = CAIRN_INIT_NORMAL, .std = 1.0};
    cairn_status rc = CAIRN_OK;
    const double bound = 1.0 / sqrt((double)from);
    const cairn_initializer uniform = {.kind = CAIRN_INIT_UNIFORM, .a = -bound, .b = bound};
    CRN_TRY_PLAIN(add(params, name, "lora_A", CAIRN_ROLE_WEIGHT, rank, from,
                      is_table ? &k_zeros : &uniform, &out->a, err));
    CRN_TRY_PLAIN(add(params, name, "lora_B", CAIRN_ROLE_WEIGHT, to, rank,
                      is_table ? &k_normal : &k_zeros, &out->b, err));
out:
    return rc;
}

cairn_status crn_params_initialize(const crn_params *params, cairn_state_tree *tree, uint64_t seed,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < params->count; i++)
        CRN_TRY_PLAIN(crn_initialize(tree, params->items[i].tensor, &params->items[i].initializer,
                                     seed, params->first_number + i, err));
out:
    return rc;
}
