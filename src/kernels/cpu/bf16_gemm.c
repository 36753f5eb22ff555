/*
 * Products of bfloat16 factors. Where oneDNN finds no unit for them, blocks of the factors are
 * widened to float32 and multiplied there: a product of two bfloat16 needs 16 bits, so that only
 * the order of the sums differs from what a unit computes.
 */
#include "base/mem.h"
#include "base/try.h"
#include "kernels/cpu/bf16.h"
#include "kernels/cpu/gemm.h"

/* Of a block: large enough that widening costs little beside multiplying, and within a cache. */
enum { BLOCK_M = 1024, BLOCK_N = 512, BLOCK_K = 1024 };

struct crn_bf16_gemms {
    crn_bf16_unit unit;
    crn_dnnl *dnnl;
    float *a; /* [BLOCK_M][BLOCK_K]; with b in one allocation */
    float *b; /* [BLOCK_K][BLOCK_N] */
    uint64_t bytes;
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Rows [row, row + rows) and columns [col, col + cols) of @from, turned as it is. */
static crn_matrix widen(crn_bf16_matrix from, int64_t row, int64_t col, int64_t rows, int64_t cols,
                        float *to)
{
    const int64_t lines = from.is_transposed ? cols : rows;
    const int64_t length = from.is_transposed ? rows : cols;
    const crn_bf16 *const first = from.is_transposed ? from.data + col * from.stride + row
                                                     : from.data + row * from.stride + col;
    const crn_matrix made = {.data = to, .stride = length, .is_transposed = from.is_transposed};
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < lines; i++) {
        const crn_bf16 *const line = first + i * from.stride;
        float *const out = to + i * length;
#pragma omp simd
        for (int64_t j = 0; j < length; j++)
            out[j] = crn_float_of_bf16(line[j]);
    }
    return made;
}

static cairn_status emulate(const crn_bf16_gemms *gemms, int64_t m, int64_t n, int64_t k,
                            crn_bf16_matrix a, crn_bf16_matrix b, bool adds, float *out,
                            int64_t out_stride, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (int64_t i = 0; i < m; i += BLOCK_M) {
        const int64_t rows = least(m - i, BLOCK_M);
        for (int64_t l = 0; l < k; l += BLOCK_K) {
            const int64_t depth = least(k - l, BLOCK_K);
            const crn_matrix wide_a = widen(a, i, l, rows, depth, gemms->a);
            for (int64_t j = 0; j < n; j += BLOCK_N) {
                const int64_t cols = least(n - j, BLOCK_N);
                CRN_TRY_PLAIN(crn_gemm(
                    rows, cols, depth, 1.0F, wide_a, widen(b, l, j, depth, cols, gemms->b),
                    adds || l > 0 ? 1.0F : 0.0F, out + i * out_stride + j, out_stride, err));
            }
        }
    }
out:
    return rc;
}

static crn_bf16_shape shape_of(int64_t m, int64_t n, int64_t k, crn_bf16_matrix a,
                               crn_bf16_matrix b, bool adds, int64_t out_stride)
{
    const crn_bf16_shape shape = {.m = m,
                                  .n = n,
                                  .k = k,
                                  .a_stride = a.stride,
                                  .b_stride = b.stride,
                                  .out_stride = out_stride,
                                  .a_is_transposed = a.is_transposed,
                                  .b_is_transposed = b.is_transposed,
                                  .adds = adds,
                                  .threads = crn_thread_count()};
    return shape;
}

cairn_status crn_bf16_gemm(crn_bf16_gemms *gemms, int64_t m, int64_t n, int64_t k,
                           crn_bf16_matrix a, crn_bf16_matrix b, bool adds, float *out,
                           int64_t out_stride, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_done = false;
    const crn_bf16_shape shape = shape_of(m, n, k, a, b, adds, out_stride);
    if (gemms->unit == CRN_BF16_NATIVE)
        CRN_TRY_PLAIN(crn_dnnl_gemm(gemms->dnnl, &shape, a.data, b.data, out, &is_done, err));
    if (!is_done)
        CRN_TRY_PLAIN(emulate(gemms, m, n, k, a, b, adds, out, out_stride, err));
out:
    return rc;
}

/* ---- Is the processor's unit to be trusted? ---- */

/* Of a product that no tile of a unit divides. */
enum { TRIAL_M = 70, TRIAL_N = 150, TRIAL_K = 90 };

typedef struct trial {
    crn_bf16 a[TRIAL_M * TRIAL_K];
    crn_bf16 b[TRIAL_K * TRIAL_N];
    float native[TRIAL_M * TRIAL_N];
    float emulated[TRIAL_M * TRIAL_N];
} trial;

/* Factors of 7 bits, so that sums have 20: exact in float32, whatever their order. */
static void fill(trial *t)
{
    for (int i = 0; i < TRIAL_M * TRIAL_K; i++)
        t->a[i] = crn_bf16_of((float)(i * 37 % 211 - 105) / 64.0F);
    for (int i = 0; i < TRIAL_K * TRIAL_N; i++)
        t->b[i] = crn_bf16_of((float)(i * 53 % 197 - 98) / 64.0F);
    for (int i = 0; i < TRIAL_M * TRIAL_N; i++) {
        t->native[i] = (float)(i % 101);
        t->emulated[i] = (float)(i % 101);
    }
}

static bool is_equal(const trial *t)
{
    int different = 0;
    for (int i = 0; i < TRIAL_M * TRIAL_N; i++)
        different += !(t->native[i] == t->emulated[i]);
    return different == 0;
}

/* One form of product, by both ways. */
static cairn_status try_form(crn_bf16_gemms *gemms, trial *t, bool a_is_transposed,
                             bool b_is_transposed, bool adds, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    bool is_done = false;
    const crn_bf16_matrix a = {.data = t->a,
                               .stride = a_is_transposed ? TRIAL_M : TRIAL_K,
                               .is_transposed = a_is_transposed};
    const crn_bf16_matrix b = {.data = t->b,
                               .stride = b_is_transposed ? TRIAL_K : TRIAL_N,
                               .is_transposed = b_is_transposed};
    const crn_bf16_shape shape = shape_of(TRIAL_M, TRIAL_N, TRIAL_K, a, b, adds, TRIAL_N);
    fill(t);
    CRN_TRY_PLAIN(crn_dnnl_gemm(gemms->dnnl, &shape, t->a, t->b, t->native, &is_done, err));
    if (!is_done) {
        gemms->unit = CRN_BF16_EMULATED;
        return CAIRN_OK;
    }
    CRN_TRY_PLAIN(emulate(gemms, TRIAL_M, TRIAL_N, TRIAL_K, a, b, adds, t->emulated, TRIAL_N, err));
    if (!is_equal(t))
        gemms->unit = CRN_BF16_DISTRUSTED;
out:
    return rc;
}

/* The three products of a linear layer. */
static cairn_status choose_unit(crn_bf16_gemms *gemms, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    trial *const t = crn_calloc(1, sizeof *t);
    CRN_NEED(err, t, "a trial of the processor's unit");
    gemms->unit = CRN_BF16_NATIVE;
    CRN_TRY_PLAIN(try_form(gemms, t, false, true, false, err));
    if (gemms->unit == CRN_BF16_NATIVE)
        CRN_TRY_PLAIN(try_form(gemms, t, false, false, true, err));
    if (gemms->unit == CRN_BF16_NATIVE)
        CRN_TRY_PLAIN(try_form(gemms, t, true, false, true, err));
out:
    crn_free(t);
    return rc;
}

cairn_status crn_bf16_gemms_new(crn_bf16_gemms **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_bf16_gemms *gemms = crn_calloc(1, sizeof *gemms);
    CRN_NEED(err, gemms, "products in bfloat16");
    gemms->bytes = (uint64_t)(BLOCK_M + BLOCK_N) * BLOCK_K * sizeof *gemms->a;
    gemms->a = crn_pages_alloc(gemms->bytes);
    CRN_NEED(err, gemms->a, "products in bfloat16");
    gemms->b = gemms->a + (size_t)BLOCK_M * BLOCK_K;
    CRN_TRY_PLAIN(crn_dnnl_new(&gemms->dnnl, err));
    CRN_TRY_PLAIN(choose_unit(gemms, err));
    *out = gemms;
    gemms = NULL;
out:
    crn_bf16_gemms_destroy(gemms);
    return rc;
}

void crn_bf16_gemms_destroy(crn_bf16_gemms *gemms)
{
    if (gemms == NULL)
        return;
    crn_dnnl_destroy(gemms->dnnl);
    crn_pages_free(gemms->a, gemms->bytes);
    crn_free(gemms);
}

crn_bf16_unit crn_bf16_gemms_unit(const crn_bf16_gemms *gemms)
{
    return gemms->unit;
}
