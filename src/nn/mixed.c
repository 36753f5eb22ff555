#include "nn/mixed.h"

#include "base/mem.h"
#include "base/try.h"

typedef struct copy {
    const cairn_tensor *tensor;
    crn_bf16 *data;
    uint64_t bytes;
    const cairn_tensor *source; /* whose values it has; NULL: none yet */
    uint64_t writes;            /* of the source when it was rounded */
} copy;

struct crn_mixed {
    crn_bf16_gemms *gemms;
    copy *copies;
    size_t count;
    size_t capacity;
};

cairn_status crn_mixed_new(crn_mixed **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_mixed *mixed = crn_calloc(1, sizeof *mixed);
    CRN_NEED(err, mixed, "bfloat16 copies of the weights");
    CRN_TRY_PLAIN(crn_bf16_gemms_new(&mixed->gemms, err));
    *out = mixed;
    mixed = NULL;
out:
    crn_mixed_destroy(mixed);
    return rc;
}

void crn_mixed_destroy(crn_mixed *mixed)
{
    if (mixed == NULL)
        return;
    for (size_t i = 0; i < mixed->count; i++)
        crn_pages_free(mixed->copies[i].data, mixed->copies[i].bytes);
    crn_free(mixed->copies);
    crn_bf16_gemms_destroy(mixed->gemms);
    crn_free(mixed);
}

crn_bf16_gemms *crn_mixed_gemms(const crn_mixed *mixed)
{
    return mixed->gemms;
}

cairn_status crn_mixed_copy_of(crn_mixed *mixed, const cairn_tensor *tensor, const crn_bf16 **out,
                               cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    copy made = {.tensor = tensor,
                 .bytes = (uint64_t)cairn_tensor_elements(tensor) * sizeof *made.data};
    for (size_t i = 0; i < mixed->count; i++) {
        if (mixed->copies[i].tensor == tensor) {
            *out = mixed->copies[i].data;
            return CAIRN_OK;
        }
    }
    CRN_TRY_PLAIN(
        crn_grow(&mixed->copies, &mixed->capacity, mixed->count + 1, sizeof *mixed->copies, err));
    made.data = crn_pages_alloc(made.bytes);
    CRN_NEED(err, made.data, "a bfloat16 copy of a weight");
    mixed->copies[mixed->count++] = made;
    *out = made.data;
out:
    return rc;
}

void crn_mixed_refresh(crn_mixed *mixed, const cairn_tensor *tensor, const cairn_tensor *source)
{
    const uint64_t writes = cairn_tensor_writes(source);
    for (size_t i = 0; i < mixed->count; i++) {
        copy *const made = &mixed->copies[i];
        if (made->tensor != tensor || (made->source == source && made->writes == writes))
            continue;
        crn_to_bf16(cairn_tensor_elements(source), source->data, made->data);
        made->source = source;
        made->writes = writes;
    }
}

uint64_t crn_mixed_bytes(const crn_mixed *mixed)
{
    uint64_t bytes = 0;
    for (size_t i = 0; mixed != NULL && i < mixed->count; i++)
        bytes += mixed->copies[i].bytes;
    return bytes;
}
