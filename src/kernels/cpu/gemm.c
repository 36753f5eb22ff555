#include "kernels/cpu/gemm.h"

#include <stdio.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>

#include "base/mem.h"
#include "base/try.h"

cairn_status crn_gemm(int64_t m, int64_t n, int64_t k, float alpha, crn_matrix a, crn_matrix b,
                      float beta, float *out, int64_t out_stride, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (m == 0 || n == 0)
        return CAIRN_OK;
    const dnnl_status_t status =
        dnnl_sgemm(a.is_transposed ? 'T' : 'N', b.is_transposed ? 'T' : 'N', m, n, k, alpha, a.data,
                   a.stride, b.data, b.stride, beta, out, out_stride);
    if (status != dnnl_success)
        CRN_FAIL(err, CAIRN_EDEVICE, "oneDNN refuses a %lldx%lldx%lld product (dnnl status %d)",
                 (long long)m, (long long)n, (long long)k, (int)status);
out:
    return rc;
}

void crn_gemm_version(char out[32])
{
    const dnnl_version_t *const version = dnnl_version();
    (void)snprintf(out, 32, "%d.%d.%d", version->major, version->minor, version->patch);
}

const char *crn_gemm_isa(void)
{
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_all:
        return "all";
    case dnnl_cpu_isa_sse41:
        return "sse4.1";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    case dnnl_cpu_isa_avx512_mic:
        return "avx512_mic";
    case dnnl_cpu_isa_avx512_mic_4ops:
        return "avx512_mic_4ops";
    case dnnl_cpu_isa_avx512_core:
        return "avx512";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_amx";
    default:
        return "other";
    }
}

/* ---- Products of bfloat16 factors ---- */

enum { A, B, OUT, ARGS, SHAPES_MAX = 256 };

typedef struct item {
    crn_bf16_shape shape;
    dnnl_primitive_t primitive; /* NULL: the library has none that is fast */
    dnnl_memory_t memory[ARGS]; /* say what is where; the pointers are set for each run */
} item;

struct crn_dnnl {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    item items[SHAPES_MAX];
    int count;
};

static void item_dispose(item *i)
{
    for (int arg = 0; arg < ARGS; arg++) {
        if (i->memory[arg] != NULL)
            (void)dnnl_memory_destroy(i->memory[arg]);
    }
    if (i->primitive != NULL)
        (void)dnnl_primitive_destroy(i->primitive);
    memset(i, 0, sizeof *i);
}

static void forget_all(crn_dnnl *dnnl)
{
    for (int i = 0; i < dnnl->count; i++)
        item_dispose(&dnnl->items[i]);
    dnnl->count = 0;
}

void crn_dnnl_destroy(crn_dnnl *dnnl)
{
    if (dnnl == NULL)
        return;
    forget_all(dnnl);
    if (dnnl->stream != NULL)
        (void)dnnl_stream_destroy(dnnl->stream);
    if (dnnl->engine != NULL)
        (void)dnnl_engine_destroy(dnnl->engine);
    crn_free(dnnl);
}

/* Fails with @what unless @status is a success. */
static cairn_status expect(dnnl_status_t status, const char *what, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (status == dnnl_out_of_memory)
        CRN_FAIL(err, CAIRN_ENOMEM, "oneDNN has no memory for %s", what);
    if (status != dnnl_success)
        CRN_FAIL(err, CAIRN_EDEVICE, "oneDNN refuses %s (dnnl status %d)", what, (int)status);
out:
    return rc;
}

cairn_status crn_dnnl_new(crn_dnnl **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_dnnl *dnnl = crn_calloc(1, sizeof *dnnl);
    CRN_NEED(err, dnnl, "products in bfloat16");
    CRN_TRY_PLAIN(expect(dnnl_engine_create(&dnnl->engine, dnnl_cpu, 0), "an engine", err));
    CRN_TRY_PLAIN(expect(dnnl_stream_create(&dnnl->stream, dnnl->engine, dnnl_stream_default_flags),
                         "a stream", err));
    *out = dnnl;
    dnnl = NULL;
out:
    crn_dnnl_destroy(dnnl);
    return rc;
}

/* [rows][cols], of which a transposed one lies in memory as [cols][rows]. */
static dnnl_status_t describe(int64_t rows, int64_t cols, dnnl_data_type_t type, int64_t stride,
                              bool is_transposed, dnnl_memory_desc_t *out)
{
    const dnnl_dims_t dims = {rows, cols};
    const dnnl_dims_t strides = {is_transposed ? 1 : stride, is_transposed ? stride : 1};
    return dnnl_memory_desc_init_by_strides(out, 2, dims, type, strides);
}

static dnnl_status_t describe_all(const crn_bf16_shape *s, dnnl_memory_desc_t out[ARGS])
{
    dnnl_status_t status = describe(s->m, s->k, dnnl_bf16, s->a_stride, s->a_is_transposed, out);
    if (status == dnnl_success)
        status = describe(s->k, s->n, dnnl_bf16, s->b_stride, s->b_is_transposed, &out[B]);
    if (status == dnnl_success)
        status = describe(s->m, s->n, dnnl_f32, s->out_stride, false, &out[OUT]);
    return status;
}

/* Not dnnl_success where this processor or the library cannot. */
static dnnl_status_t choose(const crn_dnnl *dnnl, const crn_bf16_shape *shape,
                            const dnnl_memory_desc_t args[ARGS], dnnl_primitive_desc_t *out)
{
    dnnl_matmul_desc_t matmul;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t after = NULL;
    dnnl_status_t status = dnnl_matmul_desc_init(&matmul, &args[A], &args[B], NULL, &args[OUT]);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_create(&attr);
    if (status == dnnl_success)
        status = dnnl_post_ops_create(&after);
    if (status == dnnl_success && shape->adds)
        status = dnnl_post_ops_append_sum(after, 1.0F);
    if (status == dnnl_success)
        status = dnnl_primitive_attr_set_post_ops(attr, after);
    if (status == dnnl_success)
        status = dnnl_primitive_desc_create(out, &matmul, attr, dnnl->engine, NULL);
    (void)dnnl_post_ops_destroy(after);
    (void)dnnl_primitive_attr_destroy(attr);
    return status;
}

/* Its loops that are there for correctness are slower than our own way. */
static bool is_reference(dnnl_primitive_desc_t chosen)
{
    const char *name = NULL;
    return dnnl_primitive_desc_query(chosen, dnnl_query_impl_info_str, 0, (void *)&name) !=
               dnnl_success ||
           strncmp(name, "ref", 3) == 0;
}

static cairn_status item_make(const crn_dnnl *dnnl, const crn_bf16_shape *shape, item *out,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    dnnl_memory_desc_t args[ARGS];
    dnnl_primitive_desc_t chosen = NULL;
    item made = {.shape = *shape};
    CRN_TRY_PLAIN(expect(describe_all(shape, args), "a matrix", err));
    if (choose(dnnl, shape, args, &chosen) == dnnl_success && !is_reference(chosen)) {
        CRN_TRY_PLAIN(expect(dnnl_primitive_create(&made.primitive, chosen), "a product", err));
        for (int arg = 0; arg < ARGS; arg++)
            CRN_TRY_PLAIN(expect(
                dnnl_memory_create(&made.memory[arg], &args[arg], dnnl->engine, DNNL_MEMORY_NONE),
                "a matrix", err));
    }
    *out = made;
    made = (item){0};
out:
    item_dispose(&made);
    if (chosen != NULL)
        (void)dnnl_primitive_desc_destroy(chosen);
    return rc;
}

static bool same_shape(const crn_bf16_shape *a, const crn_bf16_shape *b)
{
    return a->m == b->m && a->n == b->n && a->k == b->k && a->a_stride == b->a_stride &&
           a->b_stride == b->b_stride && a->out_stride == b->out_stride &&
           a->a_is_transposed == b->a_is_transposed && a->b_is_transposed == b->b_is_transposed &&
           a->adds == b->adds && a->threads == b->threads;
}

/* A model has some dozens of shapes; should there be ever new ones, all are made again. */
static cairn_status find(crn_dnnl *dnnl, const crn_bf16_shape *shape, const item **out,
                         cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (int i = 0; i < dnnl->count; i++) {
        if (same_shape(&dnnl->items[i].shape, shape)) {
            *out = &dnnl->items[i];
            return CAIRN_OK;
        }
    }
    if (dnnl->count == SHAPES_MAX)
        forget_all(dnnl);
    CRN_TRY_PLAIN(item_make(dnnl, shape, &dnnl->items[dnnl->count], err));
    *out = &dnnl->items[dnnl->count++];
out:
    return rc;
}

static dnnl_status_t run(const crn_dnnl *dnnl, const item *i, const crn_bf16 *a, const crn_bf16 *b,
                         float *out)
{
    union {
        const crn_bf16 *in;
        void *out;
    } factor[OUT] = {{.in = a}, {.in = b}}; /* Only read: the library's handles know no const. */
    void *const data[ARGS] = {factor[A].out, factor[B].out, out};
    const dnnl_exec_arg_t args[ARGS] = {{DNNL_ARG_SRC, i->memory[A]},
                                        {DNNL_ARG_WEIGHTS, i->memory[B]},
                                        {DNNL_ARG_DST, i->memory[OUT]}};
    dnnl_status_t status = dnnl_success;
    for (int arg = 0; arg < ARGS && status == dnnl_success; arg++)
        status = dnnl_memory_set_data_handle(i->memory[arg], data[arg]);
    if (status == dnnl_success)
        status = dnnl_primitive_execute(i->primitive, dnnl->stream, ARGS, args);
    return status == dnnl_success ? dnnl_stream_wait(dnnl->stream) : status;
}

cairn_status crn_dnnl_gemm(crn_dnnl *dnnl, const crn_bf16_shape *shape, const crn_bf16 *a,
                           const crn_bf16 *b, float *out, bool *out_is_done, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const item *found = NULL;
    *out_is_done = false;
    CRN_TRY_PLAIN(find(dnnl, shape, &found, err));
    if (found->primitive == NULL)
        return CAIRN_OK;
    CRN_TRY_PLAIN(expect(run(dnnl, found, a, b, out), "to multiply", err));
    *out_is_done = true;
out:
    return rc;
}
