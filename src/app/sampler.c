#include "app/sampler.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "base/try.h"

struct candidate {
    int32_t token;
    float logit;
    double weight;
};

struct crn_sampler {
    crn_sampler_options options;
    int64_t vocab_size;
    bool *occurred;               /* [vocab_size] */
    struct candidate *candidates; /* [vocab_size] */
};

cairn_status crn_sampler_check(const crn_sampler_options *o, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!(o->temperature >= 0.0) || isinf(o->temperature))
        CRN_FAIL(err, CAIRN_ECONFIG, "temperature is %g; it must be 0 or more", o->temperature);
    if (!(o->top_p > 0.0 && o->top_p <= 1.0))
        CRN_FAIL(err, CAIRN_ECONFIG, "top_p is %g; it must be above 0 and at most 1", o->top_p);
    if (!(o->repetition_penalty > 0.0) || isinf(o->repetition_penalty))
        CRN_FAIL(err, CAIRN_ECONFIG, "repetition_penalty is %g; it must be above 0, and 1 is none",
                 o->repetition_penalty);
out:
    return rc;
}

cairn_status crn_sampler_new(const crn_sampler_options *options, int64_t vocab_size,
                             crn_sampler **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_sampler *sampler = NULL;
    CRN_TRY_PLAIN(crn_sampler_check(options, err));
    sampler = crn_calloc(1, sizeof *sampler);
    CRN_NEED(err, sampler, "a sampler");
    sampler->options = *options;
    sampler->vocab_size = vocab_size;
    sampler->occurred = crn_calloc((size_t)vocab_size, sizeof *sampler->occurred);
    sampler->candidates = crn_calloc((size_t)vocab_size, sizeof *sampler->candidates);
    CRN_NEED(err, sampler->occurred, "a sampler");
    CRN_NEED(err, sampler->candidates, "a sampler");
    *out = sampler;
    sampler = NULL;
out:
    crn_sampler_destroy(sampler);
    return rc;
}

void crn_sampler_destroy(crn_sampler *sampler)
{
    if (sampler == NULL)
        return;
    crn_free(sampler->occurred);
    crn_free(sampler->candidates);
    crn_free(sampler);
}

void crn_sampler_forget(crn_sampler *sampler)
{
    memset(sampler->occurred, 0, (size_t)sampler->vocab_size * sizeof *sampler->occurred);
}

void crn_sampler_saw(crn_sampler *sampler, int32_t token)
{
    if (token >= 0 && token < sampler->vocab_size)
        sampler->occurred[token] = true;
}

static void penalize(const crn_sampler *sampler, float *logits)
{
    const float penalty = (float)sampler->options.repetition_penalty;
    for (int64_t i = 0; i < sampler->vocab_size; i++) {
        if (sampler->occurred[i])
            logits[i] = logits[i] > 0.0F ? logits[i] / penalty : logits[i] * penalty;
    }
}

static int32_t likeliest(const crn_sampler *sampler, const float *logits)
{
    int64_t best = 0;
    for (int64_t i = 1; i < sampler->vocab_size; i++)
        best = logits[i] > logits[best] ? i : best;
    return (int32_t)best;
}

static int by_logit(const void *left, const void *right)
{
    const struct candidate *const a = left;
    const struct candidate *const b = right;
    if (a->logit != b->logit)
        return a->logit < b->logit ? 1 : -1;
    return (a->token > b->token) - (a->token < b->token);
}

/* Fills the candidates with their weights, likeliest first if only some may be taken; returns how
 * many may be. */
static int64_t choose_candidates(crn_sampler *sampler, const float *logits, double *out_sum)
{
    const crn_sampler_options *const o = &sampler->options;
    struct candidate *const c = sampler->candidates;
    const double top = (double)logits[likeliest(sampler, logits)];
    int64_t count = sampler->vocab_size;
    double sum = 0.0;
    for (int64_t i = 0; i < count; i++)
        c[i] = (struct candidate){.token = (int32_t)i, .logit = logits[i]};
    if (o->top_k > 0 || o->top_p < 1.0)
        qsort(c, (size_t)count, sizeof *c, by_logit);
    if (o->top_k > 0 && o->top_k < (uint64_t)count)
        count = (int64_t)o->top_k;
    for (int64_t i = 0; i < count; i++) {
        c[i].weight = exp(((double)c[i].logit - top) / o->temperature);
        sum += c[i].weight;
    }
    *out_sum = sum;
    if (o->top_p >= 1.0)
        return count;
    double nucleus = 0.0;
    int64_t kept = 0;
    while (kept < count && nucleus < o->top_p * sum)
        nucleus += c[kept++].weight;
    *out_sum = nucleus;
    return kept;
}

int32_t crn_sampler_next(crn_sampler *sampler, float *logits, uint64_t position)
{
    uint32_t random[4];
    double sum = 0.0;
    if (sampler->options.repetition_penalty != 1.0)
        penalize(sampler, logits);
    if (sampler->options.temperature <= 0.0)
        return likeliest(sampler, logits);
    const int64_t count = choose_candidates(sampler, logits, &sum);
    crn_philox(sampler->options.seed, CRN_STREAM_SAMPLE, position, 0, random);
    double left = crn_uniform_f64(random[0], random[1]) * sum;
    for (int64_t i = 0; i < count; i++) {
        left -= sampler->candidates[i].weight;
        if (left <= 0.0)
            return sampler->candidates[i].token;
    }
    return likeliest(sampler, logits); /* Rounding left a sliver. */
}
