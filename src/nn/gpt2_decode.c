/*
 * The next token's logits with the keys and values of the tokens before kept: a token more costs
 * one pass through the layers for that token alone. What the layers compute is gpt2_record.c's.
 */
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "kernels/kernels.h"
#include "nn/gpt2.h"

enum {
    ROWS_MAX = 64,  /* new tokens that go through the layers together */
    SHIFT_PARTS = 4 /* a full context loses its first quarter, so that the rest is kept a while */
};

struct crn_gpt2_cache {
    int64_t limit; /* tokens that it can hold */
    int64_t count; /* tokens whose keys and values are there */
    int32_t *tokens;
    float *keys;    /* [layers][limit][kv_heads * head_size] */
    float *values;  /* likewise */
    float *x;       /* [ROWS_MAX][hidden_size] the residual stream */
    float *h;       /* [ROWS_MAX][wide] what a layer works on */
    float *a;       /* [ROWS_MAX][wide] */
    float *b;       /* [ROWS_MAX][wide] */
    float *moments; /* [2][ROWS_MAX] */
    float *scores;  /* [heads][limit] */
    float *lora;    /* [ROWS_MAX][largest rank]; NULL without adapters */
};

void crn_gpt2_cache_destroy(crn_gpt2_cache *cache)
{
    if (cache == NULL)
        return;
    crn_free(cache->tokens);
    crn_free(cache->keys);
    crn_free(cache->values);
    crn_free(cache->x);
    crn_free(cache->h);
    crn_free(cache->a);
    crn_free(cache->b);
    crn_free(cache->moments);
    crn_free(cache->scores);
    crn_free(cache->lora);
    crn_free(cache);
}

void crn_gpt2_cache_forget(crn_gpt2_cache *cache)
{
    if (cache != NULL)
        cache->count = 0;
}

static int64_t kv_width(const crn_gpt2 *m)
{
    return m->options.hidden_size / m->options.num_heads * m->kv_heads;
}

static float *floats(int64_t rows, int64_t cols)
{
    return crn_calloc((size_t)rows, (size_t)cols * sizeof(float));
}

static cairn_status cache_new(const crn_gpt2 *m, crn_gpt2_cache **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_gpt2_options *const o = &m->options;
    const int64_t wide = o->filter_size > o->hidden_size ? o->filter_size : o->hidden_size;
    const int64_t kept = o->num_hidden_layers * o->max_position_embeddings;
    crn_gpt2_cache *cache = crn_calloc(1, sizeof *cache);
    CRN_NEED(err, cache, "memory of the text so far");
    cache->limit = o->max_position_embeddings;
    cache->tokens = crn_calloc((size_t)cache->limit, sizeof *cache->tokens);
    cache->keys = floats(kept, kv_width(m));
    cache->values = floats(kept, kv_width(m));
    cache->x = floats(ROWS_MAX, o->hidden_size);
    cache->h = floats(ROWS_MAX, wide);
    cache->a = floats(ROWS_MAX, wide);
    cache->b = floats(ROWS_MAX, wide);
    cache->moments = floats(2, ROWS_MAX);
    cache->scores = floats(o->num_heads, cache->limit);
    if (m->adapter_rank_max > 0)
        cache->lora = floats(ROWS_MAX, m->adapter_rank_max);
    if (cache->tokens == NULL || cache->keys == NULL || cache->values == NULL || cache->x == NULL ||
        cache->h == NULL || cache->a == NULL || cache->b == NULL || cache->moments == NULL ||
        cache->scores == NULL || (m->adapter_rank_max > 0 && cache->lora == NULL))
        CRN_FAIL(err, CAIRN_ENOMEM, "no memory for the keys and values of %lld tokens",
                 (long long)cache->limit);
    *out = cache;
    cache = NULL;
out:
    crn_gpt2_cache_destroy(cache);
    return rc;
}

/* y[rows][cols] += scale cache->lora[rows][rank] b^T */
static cairn_status add_adapted(const crn_gpt2 *m, const crn_lora *lora, int64_t rows, float *y,
                                cairn_error *err)
{
    const int64_t cols = lora->b->shape[0];
    const int64_t rank = lora->b->shape[1];
    const crn_matrix h = {.data = m->cache->lora, .stride = rank};
    const crn_matrix b = {.data = lora->b->data, .stride = rank, .is_transposed = true};
    return crn_gemm(rows, cols, rank, (float)lora->scale, h, b, 1.0F, y, cols, err);
}

/* y[rows][to] = x[rows][from] weight^T + bias, with what the adapter adds */
static cairn_status linear(const crn_gpt2 *m, const crn_layer *layer, int64_t rows, const float *x,
                           float *y, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int64_t to = layer->weight->shape[0];
    const int64_t from = layer->weight->shape[1];
    const crn_matrix in = {.data = x, .stride = from};
    const crn_matrix weight = {.data = layer->weight->data, .stride = from, .is_transposed = true};
    CRN_TRY_PLAIN(crn_gemm(rows, to, from, 1.0F, in, weight, 0.0F, y, to, err));
    if (layer->bias != NULL)
        crn_add_bias(rows, to, layer->bias->data, y);
    if (layer->lora.a != NULL) {
        const int64_t rank = layer->lora.a->shape[0];
        const crn_matrix a = {.data = layer->lora.a->data, .stride = from, .is_transposed = true};
        CRN_TRY_PLAIN(crn_gemm(rows, rank, from, 1.0F, in, a, 0.0F, m->cache->lora, rank, err));
        CRN_TRY_PLAIN(add_adapted(m, &layer->lora, rows, y, err));
    }
out:
    return rc;
}

static void norm(const crn_gpt2 *m, const crn_layer *layer, int64_t rows, const float *x, float *y)
{
    const int64_t cols = m->options.hidden_size;
    const float eps = (float)m->options.layer_norm_epsilon;
    float *const moments = m->cache->moments;
    if (m->is_rms)
        crn_rmsnorm(rows, cols, eps, x, layer->weight->data, y, moments);
    else
        crn_layernorm(rows, cols, eps, x, layer->weight->data, layer->bias->data, y, moments,
                      moments + ROWS_MAX);
}

/* Turns @rows tokens from position @first on in place. */
static void rotate(const crn_gpt2 *m, int64_t first, int64_t rows, int64_t heads, float *x)
{
    if (!m->is_rotary)
        return;
    const int64_t pairs = m->rotary.size / 2;
    const crn_rotary_shape shape = {.rows = rows,
                                    .time = rows,
                                    .heads = heads,
                                    .head_size = m->options.hidden_size / m->options.num_heads,
                                    .size = m->rotary.size};
    crn_rotary(&shape, m->rotary.cosines + first * pairs, m->rotary.sines + first * pairs, false, x,
               false, x);
}

/* h becomes the attention's branch; keys and values of the new tokens join those before. */
static cairn_status attention(const crn_gpt2 *m, int64_t layer, int64_t first, int64_t rows,
                              cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_gpt2_cache *const c = m->cache;
    const cairn_gpt2_options *const o = &m->options;
    const crn_gpt2_block *const block = &m->blocks[layer];
    const int64_t width = kv_width(m);
    float *const keys = c->keys + layer * c->limit * width;
    float *const values = c->values + layer * c->limit * width;
    const crn_decode_shape shape = {.first = first,
                                    .rows = rows,
                                    .heads = o->num_heads,
                                    .kv_heads = m->kv_heads,
                                    .head_size = o->hidden_size / o->num_heads,
                                    .window = o->attention_sliding_window_length.value,
                                    .sinks = o->attention_sink_tokens.value,
                                    .scale = (float)m->attention_scale};
    CRN_TRY_PLAIN(linear(m, &block->q, rows, c->h, c->a, err));
    CRN_TRY_PLAIN(linear(m, &block->k, rows, c->h, keys + first * width, err));
    CRN_TRY_PLAIN(linear(m, &block->v, rows, c->h, values + first * width, err));
    rotate(m, first, rows, o->num_heads, c->a);
    rotate(m, first, rows, m->kv_heads, keys + first * width);
    crn_decode_attention(&shape, c->a, keys, values, c->b, c->scores);
    CRN_TRY_PLAIN(linear(m, &block->attention_out, rows, c->b, c->h, err));
out:
    return rc;
}

static void activate(crn_activation kind, int64_t count, const float *x, float *y)
{
    switch (kind) {
    case CRN_ACTIVATION_RELU:
        crn_relu(count, x, y);
        return;
    case CRN_ACTIVATION_SILU:
        crn_silu(count, x, y);
        return;
    case CRN_ACTIVATION_GELU_TANH:
        crn_gelu_tanh(count, x, y);
        return;
    case CRN_ACTIVATION_SQUARED_RELU:
        crn_squared_relu(count, x, y);
        return;
    case CRN_ACTIVATION_GELU:
    default:
        crn_gelu(count, x, y);
        return;
    }
}

/* h becomes the feed-forward branch. */
static cairn_status feed_forward(const crn_gpt2 *m, int64_t layer, int64_t rows, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_gpt2_cache *const c = m->cache;
    const crn_gpt2_block *const block = &m->blocks[layer];
    const int64_t count = rows * m->options.filter_size;
    CRN_TRY_PLAIN(linear(m, &block->ffn0, rows, c->h, c->a, err));
    if (m->is_gated) {
        CRN_TRY_PLAIN(linear(m, &block->gate, rows, c->h, c->b, err));
        crn_glu(count, crn_gate_of(m->gated), c->a, c->b, c->a);
    } else {
        activate(m->activation, count, c->a, c->a);
    }
    CRN_TRY_PLAIN(linear(m, &block->ffn1, rows, c->a, c->h, err));
out:
    return rc;
}

/* Adds what the adapters of the tables give; x stays as it is without them. */
static cairn_status adapt_lookups(const crn_gpt2 *m, int64_t first, int64_t rows, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_gpt2_cache *const c = m->cache;
    const crn_lora *const words = &m->words_lora;
    const crn_lora *const positions = &m->positions_lora;
    if (words->a != NULL) {
        crn_columns(1, rows, words->a->shape[0], words->a->shape[1], c->tokens + first,
                    words->a->data, c->lora);
        CRN_TRY_PLAIN(add_adapted(m, words, rows, c->x, err));
    }
    if (positions->a != NULL) {
        const float *const a = positions->a->data;
        crn_columns(1, rows, positions->a->shape[0], positions->a->shape[1], NULL, a + first,
                    c->lora);
        CRN_TRY_PLAIN(add_adapted(m, positions, rows, c->x, err));
    }
out:
    return rc;
}

static cairn_status embed(const crn_gpt2 *m, int64_t first, int64_t rows, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_gpt2_cache *const c = m->cache;
    const int64_t cols = m->options.hidden_size;
    const float *const positions =
        m->positions != NULL ? (const float *)m->positions->data + first * cols : NULL;
    crn_embedding(1, rows, cols, c->tokens + first, m->words->data, positions, c->x);
    CRN_TRY_PLAIN(adapt_lookups(m, first, rows, err));
    if (m->embedding_norm.weight != NULL)
        norm(m, &m->embedding_norm, rows, c->x, c->x);
    crn_scale(rows * cols, (float)m->options.embeddings_scale, c->x, false, c->x);
out:
    return rc;
}

/* Tokens [first, first + rows) through all layers; x is what the last one gives. */
static cairn_status advance(const crn_gpt2 *m, int64_t first, int64_t rows, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const crn_gpt2_cache *const c = m->cache;
    const int64_t count = rows * m->options.hidden_size;
    CRN_TRY_PLAIN(embed(m, first, rows, err));
    for (int64_t layer = 0; layer < m->options.num_hidden_layers; layer++) {
        norm(m, &m->blocks[layer].norm1, rows, c->x, c->h);
        CRN_TRY_PLAIN(attention(m, layer, first, rows, err));
        crn_add(count, c->x, c->h, c->x);
        norm(m, &m->blocks[layer].norm3, rows, c->x, c->h);
        CRN_TRY_PLAIN(feed_forward(m, layer, rows, err));
        crn_add(count, c->x, c->h, c->x);
    }
out:
    return rc;
}

/*
 * How many tokens at the beginning are out of the context. A text that is longer loses a quarter of
 * the context at once: between two such losses each token is computed once only.
 */
static int64_t lost_tokens(int64_t limit, int64_t count)
{
    const int64_t part = limit / SHIFT_PARTS > 0 ? limit / SHIFT_PARTS : 1;
    return count <= limit ? 0 : (count - limit + part - 1) / part * part;
}

/* Puts the new tokens in place; returns how many at the beginning are known already, at least one
 * less than there are. */
static int64_t keep_known(crn_gpt2_cache *c, const int32_t *tokens, int64_t used)
{
    int64_t known = 0;
    while (known < c->count && known < used - 1 && c->tokens[known] == tokens[known])
        known++;
    memcpy(c->tokens + known, tokens + known, (size_t)(used - known) * sizeof *tokens);
    c->count = known;
    return known;
}

cairn_status crn_gpt2_next_logits(crn_gpt2 *m, const int32_t *tokens, int64_t count,
                                  float *out_logits, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const int64_t cols = m->options.hidden_size;
    int64_t rows = 0;
    if (m->cache == NULL)
        CRN_TRY_PLAIN(cache_new(m, &m->cache, err));
    crn_gpt2_cache *const c = m->cache;
    const int64_t lost = lost_tokens(c->limit, count);
    const int64_t used = count - lost;
    for (int64_t at = keep_known(c, tokens + lost, used); at < used; at += rows) {
        rows = used - at < ROWS_MAX ? used - at : ROWS_MAX;
        CRN_TRY_PLAIN(advance(m, at, rows, err));
        c->count = at + rows;
    }
    norm(m, &m->norm, 1, c->x + (rows - 1) * cols, c->h);
    CRN_TRY_PLAIN(linear(m, &m->head, 1, c->h, out_logits, err));
    crn_scale(m->options.vocab_size, (float)m->logits_scale, out_logits, false, out_logits);
out:
    return rc;
}
