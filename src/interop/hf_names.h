/*
 * Which tensor of a Hugging Face model, or of a GGUF file, holds a parameter of ours, and how.
 *
 * GPT-2 keeps its projections as Conv1D: [inputs][outputs], query, key and value side by side in
 * one. Llama keeps ours as they are, but for the rows of query and key: rotary positions pair
 * element i of a head with element i + half of it there, with its neighbour here (2i, 2i + 1; as in
 * the Model Zoo). Names: transformers' modeling_gpt2.py and modeling_llama.py.
 */
#ifndef CRN_INTEROP_HF_NAMES_H
#define CRN_INTEROP_HF_NAMES_H

#include "cairn/state.h"
#include "interop/hf_config.h"

enum { CRN_HF_NAME_SIZE = 128 };

/* A parameter as a piece of their tensor. */
typedef struct crn_hf_piece {
    char name[CRN_HF_NAME_SIZE]; /* without the prefix of the inner model */
    bool is_outer;               /* Never has that prefix: lm_head. */
    bool is_transposed;          /* [inputs][outputs] */
    int64_t rows;                /* ours: outputs, or elements of a vector */
    int64_t cols;                /* inputs; 1 of a vector */
    int64_t first;               /* ours are their outputs [first, first + rows) ... */
    int64_t all;                 /* ... of so many */
    int64_t turned;              /* size of a head whose rows are in rotary order; 0: none are */
} crn_hf_piece;

/* "transformer." or "model.", which files of the bare model lack. */
const char *crn_hf_prefix(crn_hf_family family);

/* Where @tensor of a model with @options is. EUNSUPPORTED: there is no such tensor there. */
cairn_status crn_hf_piece_of(crn_hf_family family, const cairn_gpt2_options *options,
                             const cairn_tensor *tensor, crn_hf_piece *out, cairn_error *err);

/*
 * The same in a GGUF file. Matrices are [outputs][inputs] there, as ours, and the rows of query and
 * key of Llama are in our order; query, key and value of GPT-2 are one tensor. Names: "Standardized
 * tensor names" of ggml's docs/gguf.md.
 */
cairn_status crn_gguf_piece_of(crn_hf_family family, const cairn_tensor *tensor, crn_hf_piece *out,
                               cairn_error *err);

/* The element of their tensor that is element (@row, @col) of ours. */
static inline int64_t crn_hf_index(const crn_hf_piece *p, int64_t row, int64_t col)
{
    int64_t theirs = row;
    if (p->turned > 0) {
        const int64_t in_head = row % p->turned;
        theirs = row - in_head + in_head % 2 * (p->turned / 2) + in_head / 2;
    }
    return p->is_transposed ? col * p->all + p->first + theirs
                            : (p->first + theirs) * p->cols + col;
}

/* Shape of their tensor; returns its rank. */
static inline int crn_hf_shape(const crn_hf_piece *p, const cairn_tensor *ours, uint64_t out[2])
{
    const int from = p->is_transposed ? 1 : 0;
    out[from] = (uint64_t)p->all;
    out[1 - from] = (uint64_t)p->cols;
    if (ours->rank == 1)
        out[0] = (uint64_t)p->all;
    return ours->rank;
}

/* Tensors that their files may hold besides parameters: masks and tables that follow from the
 * configuration. */
bool crn_hf_is_derived(const char *name);

#endif
