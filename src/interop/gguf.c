#include "interop/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/try.h"
#include "interop/element.h"

enum { VERSION_MIN = 2, KEY_BYTES_MAX = 65535, ALIGNMENT_MAX = 1 << 16 };

/* Bytes that are taken from the front; once some are missing it gives zeros. */
struct cursor {
    const uint8_t *bytes;
    size_t size;
    size_t at;
    bool is_short;
};

static const uint8_t *take(struct cursor *c, uint64_t count)
{
    if (c->is_short || count > c->size - c->at) {
        c->is_short = true;
        return NULL;
    }
    const uint8_t *const bytes = c->bytes + c->at;
    c->at += (size_t)count;
    return bytes;
}

static uint64_t number(const uint8_t *bytes, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static uint64_t take_number(struct cursor *c, unsigned width)
{
    const uint8_t *const bytes = take(c, width);
    return bytes != NULL ? number(bytes, width) : 0;
}

/* Length and bytes; NULL if they are not there. */
static const char *take_text(struct cursor *c, uint64_t *out_length)
{
    *out_length = take_number(c, sizeof *out_length);
    return (const char *)take(c, *out_length);
}

/* ---- Metadata ---- */

/* 0: no scalar. */
static unsigned width_of(uint32_t kind)
{
    static const uint8_t k_widths[CRN_GGUF_KINDS] = {
        [CRN_GGUF_U8] = 1,  [CRN_GGUF_I8] = 1,  [CRN_GGUF_U16] = 2, [CRN_GGUF_I16] = 2,
        [CRN_GGUF_U32] = 4, [CRN_GGUF_I32] = 4, [CRN_GGUF_F32] = 4, [CRN_GGUF_BOOL] = 1,
        [CRN_GGUF_U64] = 8, [CRN_GGUF_I64] = 8, [CRN_GGUF_F64] = 8};
    return kind < CRN_GGUF_KINDS ? k_widths[kind] : 0;
}

/* Nobody here wants what is in an array. False: of a kind that may not be in one. */
static bool skip_array(struct cursor *c)
{
    const uint32_t kind = (uint32_t)take_number(c, 4);
    const uint64_t count = take_number(c, 8);
    uint64_t bytes = 0;
    uint64_t length = 0;
    if (kind == CRN_GGUF_TEXT) {
        for (uint64_t i = 0; i < count && !c->is_short; i++)
            (void)take_text(c, &length);
        return true;
    }
    if (width_of(kind) == 0)
        return false;
    (void)take(c, crn_mul_u64(count, width_of(kind), &bytes) ? bytes : UINT64_MAX);
    return true;
}

static cairn_status take_pair(struct cursor *c, const char *file, crn_gguf *g, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_gguf_pair *const pair = &g->pairs[g->pair_count];
    char shown[100];
    uint64_t length = 0;
    const char *const key = take_text(c, &length);
    const uint32_t kind = (uint32_t)take_number(c, 4);
    if (key == NULL)
        return CAIRN_OK; /* The caller looks whether there was enough. */
    (void)crn_escape(key, (size_t)length, shown, sizeof shown);
    if (length == 0 || length > KEY_BYTES_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has a key of %" PRIu64 " bytes", file, length);
    *pair = (crn_gguf_pair){.key = key, .key_length = (size_t)length, .kind = kind};
    if (kind == CRN_GGUF_TEXT) {
        pair->bytes = (const uint8_t *)take_text(c, &pair->count);
    } else if (kind == CRN_GGUF_ARRAY) {
        if (!skip_array(c))
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': %s is a list of unknown kind", file, shown);
    } else if (width_of(kind) > 0) {
        pair->count = width_of(kind);
        pair->bytes = take(c, pair->count);
    } else {
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': %s is of unknown kind %" PRIu32, file, shown, kind);
    }
    for (size_t i = 0; i < g->pair_count; i++) {
        if (g->pairs[i].key_length == length && memcmp(g->pairs[i].key, key, (size_t)length) == 0)
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has %s twice", file, shown);
    }
    g->pair_count++;
out:
    return rc;
}

static cairn_status take_alignment(const crn_gguf *g, const char *file, uint64_t *out,
                                   cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    int64_t value = CRN_GGUF_ALIGNMENT;
    const crn_gguf_pair *const pair = crn_gguf_find(g, "general.alignment");
    if (pair != NULL && (!crn_gguf_to_int(pair, &value) || value < 8 || value > ALIGNMENT_MAX ||
                         (value & (value - 1)) != 0))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': general.alignment is no power of 2 from 8 to %d", file,
                 ALIGNMENT_MAX);
    *out = (uint64_t)value;
out:
    return rc;
}

/* ---- Tensors ---- */

/* Types of elements by their numbers in the file; NULL: there is none. */
static const char *type_name(uint32_t type)
{
    static const char *const k_names[] = {
        "F32",     "F16",    "Q4_0",    "Q4_1",  NULL,     NULL,    "Q5_0",  "Q5_1",
        "Q8_0",    "Q8_1",   "Q2_K",    "Q3_K",  "Q4_K",   "Q5_K",  "Q6_K",  "Q8_K",
        "IQ2_XXS", "IQ2_XS", "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S", "IQ4_XS",
        "I8",      "I16",    "I32",     "I64",   "F64",    "IQ1_M", "BF16",  NULL,
        NULL,      NULL,     "TQ1_0",   "TQ2_0", NULL,     NULL,    NULL,    "MXFP4"};
    return type < sizeof k_names / sizeof k_names[0] ? k_names[type] : NULL;
}

static cairn_status set_type(crn_gguf_tensor *t, uint32_t type, const char *file, cairn_error *err)
{
    enum { F32 = 0, F16 = 1, BF16 = 30 };
    cairn_status rc = CAIRN_OK;
    char shown[100];
    const char *const name = type_name(type);
    t->dtype = type == F32    ? CAIRN_DTYPE_F32
               : type == F16  ? CAIRN_DTYPE_F16
               : type == BF16 ? CAIRN_DTYPE_BF16
                              : 0;
    if (t->dtype == 0)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s': '%s' is of type %s; this version reads F32, F16 and BF16", file,
                 crn_escape(t->name, strlen(t->name), shown, sizeof shown),
                 name != NULL ? name : "unknown");
out:
    return rc;
}

/* Name, shape and type; the file has the axis first along which elements are neighbours. */
static cairn_status take_tensor(struct cursor *c, const char *file, crn_gguf_tensor *t,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t length = 0;
    uint64_t elements = 1;
    const char *const name = take_text(c, &length);
    const uint64_t rank = take_number(c, 4);
    if (c->is_short)
        return CAIRN_OK; /* The caller looks. */
    if (length == 0 || length >= CRN_GGUF_NAME_SIZE || memchr(name, '\0', (size_t)length) != NULL)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has a tensor's name that is empty or too long", file);
    memcpy(t->name, name, (size_t)length);
    if (rank == 0 || rank > CRN_GGUF_AXES_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has a tensor with %" PRIu64 " axes", file, rank);
    t->rank = (int)rank;
    for (uint64_t i = 0; i < rank; i++) {
        t->shape[rank - 1 - i] = take_number(c, 8);
        if (!crn_mul_u64(elements, t->shape[rank - 1 - i], &elements))
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has a tensor that is too large", file);
    }
    const uint32_t type = (uint32_t)take_number(c, 4);
    t->begin = take_number(c, 8);
    if (c->is_short)
        return CAIRN_OK;
    CRN_TRY_PLAIN(set_type(t, type, file, err));
    if (!crn_mul_u64(elements, cairn_dtype_bits(t->dtype) / 8, &t->bytes))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has a tensor that is too large", file);
out:
    return rc;
}

static cairn_status check_places(const crn_gguf *g, uint64_t alignment, uint64_t file_size,
                                 const char *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t at = 0;
    char shown[100];
    for (size_t i = 0; i < g->tensor_count; i++) {
        const crn_gguf_tensor *const t = &g->tensors[i];
        (void)crn_escape(t->name, strlen(t->name), shown, sizeof shown);
        if (t->begin != at)
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s': '%s' does not follow the tensor before it", file,
                     shown);
        if (g->data_begin > file_size || t->bytes > file_size - g->data_begin - at)
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' ends before '%s' does", file, shown);
        at += t->bytes;
        if (!crn_round_up_u64(at, alignment, &at) || at > file_size - g->data_begin)
            at = file_size - g->data_begin; /* The last one may lack its padding. */
    }
out:
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const crn_gguf_tensor *)a)->name, ((const crn_gguf_tensor *)b)->name);
}

static cairn_status sort_tensors(crn_gguf *g, const char *file, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char shown[100];
    qsort(g->tensors, g->tensor_count, sizeof *g->tensors, by_name);
    for (size_t i = 1; i < g->tensor_count; i++) {
        const char *const name = g->tensors[i].name;
        if (strcmp(g->tensors[i - 1].name, name) == 0)
            CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has '%s' twice", file,
                     crn_escape(name, strlen(name), shown, sizeof shown));
    }
out:
    return rc;
}

/* ---- All of it ---- */

static cairn_status take_head(struct cursor *c, const char *file, uint64_t *out_tensors,
                              uint64_t *out_pairs, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const uint8_t *const magic = take(c, strlen(CRN_GGUF_MAGIC));
    const uint32_t version = (uint32_t)take_number(c, 4);
    *out_tensors = take_number(c, 8);
    *out_pairs = take_number(c, 8);
    if (c->is_short)
        return CAIRN_OK;
    if (memcmp(magic, CRN_GGUF_MAGIC, strlen(CRN_GGUF_MAGIC)) != 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' is no GGUF file", file);
    if (version < VERSION_MIN || version > CRN_GGUF_VERSION)
        CRN_FAIL(err, CAIRN_EUNSUPPORTED,
                 "'%s' is GGUF of version %" PRIu32 ", or for machines of the other byte order; "
                 "this version reads %d and %d",
                 file, version, VERSION_MIN, CRN_GGUF_VERSION);
    if (*out_tensors == 0)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has no tensors", file);
    if (*out_tensors > CRN_GGUF_TENSORS_MAX || *out_pairs > CRN_GGUF_PAIRS_MAX)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' has more than %d tensors or %d keys", file,
                 CRN_GGUF_TENSORS_MAX, CRN_GGUF_PAIRS_MAX);
out:
    return rc;
}

static cairn_status take_all(struct cursor *c, uint64_t file_size, const char *file, crn_gguf *g,
                             cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    uint64_t tensors = 0;
    uint64_t pairs = 0;
    uint64_t alignment = 0;
    CRN_TRY_PLAIN(take_head(c, file, &tensors, &pairs, err));
    g->pairs = crn_calloc((size_t)pairs + 1, sizeof *g->pairs);
    CRN_NEED(err, g->pairs, "the keys of a file");
    for (uint64_t i = 0; i < pairs && !c->is_short; i++)
        CRN_TRY_PLAIN(take_pair(c, file, g, err));
    for (uint64_t i = 0; i < tensors && !c->is_short; i++) {
        CRN_TRY_PLAIN(crn_grow(&g->tensors, &g->tensor_capacity, g->tensor_count + 1,
                               sizeof *g->tensors, err));
        CRN_TRY_PLAIN(take_tensor(c, file, &g->tensors[g->tensor_count], err));
        g->tensor_count++;
    }
    if (c->is_short)
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' ends within its metadata", file);
    CRN_TRY_PLAIN(take_alignment(g, file, &alignment, err));
    if (!crn_round_up_u64(c->at, alignment, &g->data_begin))
        CRN_FAIL(err, CAIRN_ECORRUPT, "'%s' is too large", file);
    CRN_TRY_PLAIN(check_places(g, alignment, file_size, file, err));
    CRN_TRY_PLAIN(sort_tensors(g, file, err));
out:
    return rc;
}

cairn_status crn_gguf_parse(const uint8_t *bytes, size_t size, uint64_t file_size, const char *file,
                            crn_gguf *out, bool *out_is_short, cairn_error *err)
{
    struct cursor c = {.bytes = bytes, .size = size};
    *out = (crn_gguf){0};
    const cairn_status rc = take_all(&c, file_size, file, out, err);
    *out_is_short = c.is_short;
    return rc;
}

void crn_gguf_dispose(crn_gguf *gguf)
{
    crn_free(gguf->pairs);
    crn_free(gguf->tensors);
    *gguf = (crn_gguf){0};
}

/* ---- Asking ---- */

const crn_gguf_pair *crn_gguf_find(const crn_gguf *gguf, const char *key)
{
    const size_t length = strlen(key);
    for (size_t i = 0; i < gguf->pair_count; i++) {
        const crn_gguf_pair *const pair = &gguf->pairs[i];
        if (pair->key_length == length && memcmp(pair->key, key, length) == 0)
            return pair;
    }
    return NULL;
}

crn_gguf_tensor *crn_gguf_find_tensor(const crn_gguf *gguf, const char *name)
{
    crn_gguf_tensor key = {.rank = 0};
    (void)snprintf(key.name, sizeof key.name, "%s", name);
    return bsearch(&key, gguf->tensors, gguf->tensor_count, sizeof key, by_name);
}

bool crn_gguf_to_int(const crn_gguf_pair *pair, int64_t *out)
{
    const bool is_signed = pair->kind == CRN_GGUF_I8 || pair->kind == CRN_GGUF_I16 ||
                           pair->kind == CRN_GGUF_I32 || pair->kind == CRN_GGUF_I64;
    const bool is_unsigned = pair->kind == CRN_GGUF_U8 || pair->kind == CRN_GGUF_U16 ||
                             pair->kind == CRN_GGUF_U32 || pair->kind == CRN_GGUF_U64;
    if (!is_signed && !is_unsigned)
        return false;
    uint64_t value = number(pair->bytes, (unsigned)pair->count);
    const unsigned bits = (unsigned)pair->count * 8;
    if (is_signed && bits < 64 && (value >> (bits - 1) & 1U) != 0)
        value |= UINT64_MAX << bits;
    *out = (int64_t)value;
    return is_signed || value <= INT64_MAX;
}

/* The decimal number of the fewest digits that is this float: 1e-6 was written, and is wanted. */
static double shortest(float value)
{
    enum { DIGITS = 9 };
    char text[40];
    double out = (double)value;
    for (int digits = 1; digits <= DIGITS; digits++) {
        double candidate = 0.0;
        (void)snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (crn_f64_from_text(text, &candidate) && (float)candidate == value)
            return candidate;
    }
    return out;
}

bool crn_gguf_to_number(const crn_gguf_pair *pair, double *out)
{
    int64_t integer = 0;
    if (pair->kind == CRN_GGUF_F32) {
        *out = shortest(crn_element_get(pair->bytes, CAIRN_DTYPE_F32, 0));
    } else if (pair->kind == CRN_GGUF_F64) {
        const uint64_t bits = number(pair->bytes, sizeof bits);
        memcpy(out, &bits, sizeof *out);
    } else if (crn_gguf_to_int(pair, &integer)) {
        *out = (double)integer;
    } else {
        return false;
    }
    return true;
}

bool crn_gguf_is_text(const crn_gguf_pair *pair, const char *text)
{
    return pair->kind == CRN_GGUF_TEXT && pair->count == strlen(text) &&
           memcmp(pair->bytes, text, strlen(text)) == 0;
}
