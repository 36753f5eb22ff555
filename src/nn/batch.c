#include "cairn/plugin/model.h"

#include <string.h>

const cairn_batch_field *cairn_batch_find(const cairn_batch *batch, const char *name)
{
    for (int i = 0; i < batch->field_count; i++) {
        if (strcmp(batch->field[i].name, name) == 0)
            return &batch->field[i];
    }
    return NULL;
}

cairn_status cairn_pass_after_forward(const cairn_pass *pass, double loss, double weight,
                                      cairn_error *err)
{
    /* A program of an older header has a shorter pass. */
    const bool has_it = pass->struct_size >= offsetof(cairn_pass, user) + sizeof pass->user;
    return has_it && pass->after_forward != NULL
               ? pass->after_forward(pass->user, loss, weight, err)
               : CAIRN_OK;
}

const cairn_adapter_ops *cairn_model_adapters(const cairn_model *model)
{
    const size_t end = offsetof(cairn_model_ops, adapters) + sizeof model->ops->adapters;
    return model->ops->struct_size >= end ? model->ops->adapters : NULL;
}
