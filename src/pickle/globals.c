/* The names that a pickle of tensors needs. Nothing else is known, so nothing else can be meant. */
#include <string.h>

#include "pickle/machine.h"

static const crn_pickle_global k_globals[] = {
    {"collections", "OrderedDict", CRN_PICKLE_ORDERED_DICT, 0},
    {"__builtin__", "set", CRN_PICKLE_SET, 0},
    {"__builtin__", "frozenset", CRN_PICKLE_SET, 0},
    {"builtins", "set", CRN_PICKLE_SET, 0},
    {"builtins", "frozenset", CRN_PICKLE_SET, 0},
    {"_codecs", "encode", CRN_PICKLE_ENCODE, 0},
    {"torch", "Size", CRN_PICKLE_SIZE, 0},
    {"torch", "device", CRN_PICKLE_DEVICE, 0},
    {"torch._utils", "_rebuild_tensor_v2", CRN_PICKLE_REBUILD_V2, 0},
    {"torch._utils", "_rebuild_tensor_v3", CRN_PICKLE_REBUILD_V3, 0},
    {"torch._utils", "_rebuild_parameter", CRN_PICKLE_PARAMETER, 0},
    {"torch.storage", "UntypedStorage", CRN_PICKLE_STORAGE, 0},
    {"torch", "DoubleStorage", CRN_PICKLE_STORAGE, CAIRN_DTYPE_F64},
    {"torch", "FloatStorage", CRN_PICKLE_STORAGE, CAIRN_DTYPE_F32},
    {"torch", "HalfStorage", CRN_PICKLE_STORAGE, CAIRN_DTYPE_F16},
    {"torch", "BFloat16Storage", CRN_PICKLE_STORAGE, CAIRN_DTYPE_BF16},
    {"torch", "LongStorage", CRN_PICKLE_STORAGE, CAIRN_DTYPE_I64},
    {"torch", "IntStorage", CRN_PICKLE_STORAGE, CAIRN_DTYPE_I32},
    {"torch", "ShortStorage", CRN_PICKLE_STORAGE, CAIRN_DTYPE_I16},
    {"torch", "CharStorage", CRN_PICKLE_STORAGE, CAIRN_DTYPE_I8},
    {"torch", "ByteStorage", CRN_PICKLE_STORAGE, CAIRN_DTYPE_U8},
    {"torch", "BoolStorage", CRN_PICKLE_STORAGE, CAIRN_DTYPE_BOOL},
    {"torch", "ComplexFloatStorage", CRN_PICKLE_STORAGE, CAIRN_DTYPE_C64},
    {"torch", "float64", CRN_PICKLE_DTYPE, CAIRN_DTYPE_F64},
    {"torch", "float32", CRN_PICKLE_DTYPE, CAIRN_DTYPE_F32},
    {"torch", "float16", CRN_PICKLE_DTYPE, CAIRN_DTYPE_F16},
    {"torch", "bfloat16", CRN_PICKLE_DTYPE, CAIRN_DTYPE_BF16},
    {"torch", "int64", CRN_PICKLE_DTYPE, CAIRN_DTYPE_I64},
    {"torch", "int32", CRN_PICKLE_DTYPE, CAIRN_DTYPE_I32},
    {"torch", "int16", CRN_PICKLE_DTYPE, CAIRN_DTYPE_I16},
    {"torch", "int8", CRN_PICKLE_DTYPE, CAIRN_DTYPE_I8},
    {"torch", "uint64", CRN_PICKLE_DTYPE, CAIRN_DTYPE_U64},
    {"torch", "uint32", CRN_PICKLE_DTYPE, CAIRN_DTYPE_U32},
    {"torch", "uint16", CRN_PICKLE_DTYPE, CAIRN_DTYPE_U16},
    {"torch", "uint8", CRN_PICKLE_DTYPE, CAIRN_DTYPE_U8},
    {"torch", "bool", CRN_PICKLE_DTYPE, CAIRN_DTYPE_BOOL},
    {"torch", "complex64", CRN_PICKLE_DTYPE, CAIRN_DTYPE_C64},
    {"torch", "float8_e4m3fn", CRN_PICKLE_DTYPE, CAIRN_DTYPE_F8_E4M3},
    {"torch", "float8_e5m2", CRN_PICKLE_DTYPE, CAIRN_DTYPE_F8_E5M2},
    {"torch", "float8_e8m0fnu", CRN_PICKLE_DTYPE, CAIRN_DTYPE_F8_E8M0},
};

static bool is_text(const char *bytes, size_t length, const char *text)
{
    return strlen(text) == length && memcmp(bytes, text, length) == 0;
}

const crn_pickle_global *crn_pickle_global_find(const char *module, size_t module_length,
                                                const char *name, size_t name_length)
{
    for (size_t i = 0; i < sizeof k_globals / sizeof k_globals[0]; i++) {
        const crn_pickle_global *const global = &k_globals[i];
        if (is_text(name, name_length, global->name) &&
            is_text(module, module_length, global->module))
            return global;
    }
    return NULL;
}
