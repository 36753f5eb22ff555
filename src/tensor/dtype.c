#include <string.h>

#include "cairn/tensor.h"

uint32_t cairn_dtype_bits(cairn_dtype dtype)
{
    switch (dtype) {
#define X(name, value, bits, text)                                                                 \
    case CAIRN_DTYPE_##name:                                                                       \
        return (bits);
        CAIRN_DTYPE_LIST(X)
#undef X
    }
    return 0;
}

const char *cairn_dtype_name(cairn_dtype dtype)
{
    switch (dtype) {
#define X(name, value, bits, text)                                                                 \
    case CAIRN_DTYPE_##name:                                                                       \
        return (text);
        CAIRN_DTYPE_LIST(X)
#undef X
    }
    return "?";
}

bool cairn_dtype_from_name(const char *name, size_t length, cairn_dtype *out)
{
    static const struct {
        const char *text;
        cairn_dtype dtype;
    } k_dtypes[] = {
#define X(name, value, bits, text) {(text), CAIRN_DTYPE_##name},
        CAIRN_DTYPE_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof k_dtypes / sizeof k_dtypes[0]; i++) {
        if (strlen(k_dtypes[i].text) == length && memcmp(k_dtypes[i].text, name, length) == 0) {
            *out = k_dtypes[i].dtype;
            return true;
        }
    }
    return false;
}

int64_t cairn_tensor_elements(const cairn_tensor *tensor)
{
    int64_t elements = 1;
    for (int i = 0; i < tensor->rank; i++)
        elements *= tensor->shape[i];
    return elements;
}
