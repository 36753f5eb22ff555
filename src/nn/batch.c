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
