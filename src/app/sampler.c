#include "app/sampler.h"

#include <math.h>
#include <stdbool.h>
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

/* ---- Choosing among some ---- */

static bool is_likelier(const struct candidate *a, const struct candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->token < b->token);
}

/* Lets candidate @at of the heap sink to its place; the likeliest is on top. */
static void sink(struct candidate *heap, int64_t count, int64_t at)
{
    for (int64_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && is_likelier(&heap[child + 1], &heap[child]))
            child++;
        if (!is_likelier(&heap[child], &heap[at]))
            return;
        const struct candidate other = heap[at];
        heap[at] = heap[child];
        heap[child] = other;
        at = child;
    }
}

/* Takes the likeliest off the heap: it is behind the others then, before those taken earlier. */
static const struct candidate *take_likeliest(struct candidate *heap, int64_t *count)
{
    const struct candidate top = heap[0];
    (*count)--;
    heap[0] = heap[*count];
    heap[*count] = top;
    sink(heap, *count, 0);
    return &heap[*count];
}

/* Those that may come: candidates[first + i * step]. */
struct choice {
    int64_t first;
    int64_t step;
    int64_t count;
    double sum; /* of their weights */
};

/* The likeliest ones, in order. A few of many thousands are wanted, so they are not all sorted. */
static struct choice choose_likeliest(crn_sampler *sampler, double sum_of_all)
{
    const crn_sampler_options *const o = &sampler->options;
    struct candidate *const c = sampler->candidates;
    const int64_t all = sampler->vocab_size;
    const bool has_k = o->top_k > 0 && o->top_k < (uint64_t)all;
    const int64_t limit = has_k ? (int64_t)o->top_k : all;
    struct choice choice = {.first = all - 1, .step = -1};
    double sum = has_k ? 0.0 : sum_of_all;
    int64_t left = all;
    for (int64_t at = all / 2 - 1; at >= 0; at--)
        sink(c, all, at);
    while (has_k && all - left < limit)
        sum += take_likeliest(c, &left)->weight;
    while (choice.count < limit && (o->top_p >= 1.0 || choice.sum < o->top_p * sum)) {
        if (all - left == choice.count)
            (void)take_likeliest(c, &left);
        choice.sum += c[all - 1 - choice.count++].weight;
    }
    return choice;
}

static struct choice choose(crn_sampler *sampler, const float *logits)
{
    const crn_sampler_options *const o = &sampler->options;
    struct candidate *const c = sampler->candidates;
    const double top = (double)logits[likeliest(sampler, logits)];
    struct choice choice = {.step = 1, .count = sampler->vocab_size};
    for (int64_t i = 0; i < choice.count; i++) {
        c[i] = (struct candidate){.token = (int32_t)i,
                                  .logit = logits[i],
                                  .weight = exp(((double)logits[i] - top) / o->temperature)};
        choice.sum += c[i].weight;
    }
    return o->top_k > 0 || o->top_p < 1.0 ? choose_likeliest(sampler, choice.sum) : choice;
}

int32_t crn_sampler_next(crn_sampler *sampler, float *logits, uint64_t position)
{
    uint32_t random[4];
    if (sampler->options.repetition_penalty != 1.0)
        penalize(sampler, logits);
    if (sampler->options.temperature <= 0.0)
        return likeliest(sampler, logits);
    const struct choice choice = choose(sampler, logits);
    crn_philox(sampler->options.seed, CRN_STREAM_SAMPLE, position, 0, random);
    double left = crn_uniform_f64(random[0], random[1]) * choice.sum;
    for (int64_t i = 0; i < choice.count; i++) {
        const struct candidate *const c = &sampler->candidates[choice.first + i * choice.step];
        left -= c->weight;
        if (left <= 0.0)
            return c->token;
    }
    return likeliest(sampler, logits); /* Rounding left a sliver. */
}
