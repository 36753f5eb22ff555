#include "data/mixture.h"

#include "base/mem.h"
#include "base/try.h"

/* Sets with less of the weight do not make the epoch longer. */
static const double k_small_weight = 0.05;
static const double k_epoch_max = 0x1p60;

__extension__ typedef unsigned __int128 wide;

static double epoch_length(const uint64_t *samples, const double *weights, size_t count,
                           double all_weights, double least)
{
    double longest = 0.0;
    for (size_t i = 0; i < count; i++) {
        const double weight = weights[i] / all_weights;
        if (weight > least && (double)samples[i] / weight > longest)
            longest = (double)samples[i] / weight;
    }
    return longest;
}

cairn_status crn_mixture_make(const uint64_t *samples, const double *weights, size_t count,
                              bool is_interleaved, crn_mixture *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    double all_weights = 0.0;
    *out = (crn_mixture){.count = count, .is_interleaved = is_interleaved};
    out->samples = crn_calloc(count, sizeof *out->samples);
    CRN_NEED(err, out->samples, "the mixture");
    out->begin = crn_calloc(count + 1, sizeof *out->begin);
    CRN_NEED(err, out->begin, "the mixture");
    for (size_t i = 0; i < count; i++)
        all_weights += weights[i];
    double length = epoch_length(samples, weights, count, all_weights, k_small_weight);
    if (length == 0.0) /* more than twenty sets of the same weight */
        length = epoch_length(samples, weights, count, all_weights, 0.0);
    if (!(length < k_epoch_max))
        CRN_FAIL(err, CAIRN_EDATA, "an epoch of the mixture would have %g samples", length);
    for (size_t i = 0; i < count; i++) {
        out->samples[i] = samples[i];
        out->begin[i + 1] = out->begin[i] + (uint64_t)(length * (weights[i] / all_weights));
    }
out:
    return rc;
}

static uint64_t places_of(const crn_mixture *mixture, size_t set)
{
    return mixture->begin[set + 1] - mixture->begin[set];
}

/* Sample k of a set with n places stands at the time (2k + 1) / 2n of the epoch; of two at one time
 * the set with the smaller number comes first. How many samples stand before sample @k of @set. */
static uint64_t place_of(const crn_mixture *mixture, size_t set, uint64_t k)
{
    const wide own = places_of(mixture, set);
    uint64_t place = 0;
    if (own == 0)
        return mixture->begin[mixture->count]; /* It has no sample. */
    for (size_t i = 0; i < mixture->count; i++) {
        const wide time = (wide)(2 * k + 1) * places_of(mixture, i);
        if (i < set && time >= own)
            place += (uint64_t)((time - own) / (2 * own)) + 1;
        else if (i >= set && time > own)
            place += (uint64_t)((time - own + 2 * own - 1) / (2 * own));
    }
    return place;
}

/* Whether a sample of @set stands at @place; *out_k says which. At the time of @place within
 * count / 2 samples of it stand before, so of @set about its share of them. */
static bool find_in(const crn_mixture *mixture, size_t set, uint64_t place, uint64_t *out_k)
{
    const uint64_t own = places_of(mixture, set);
    const uint64_t near = (uint64_t)((wide)place * own / mixture->begin[mixture->count]);
    const uint64_t margin = mixture->count / 2 + 2;
    uint64_t low = near > margin ? near - margin : 0;
    uint64_t high = own - near > margin ? near + margin : own;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (place_of(mixture, set, middle) < place)
            low = middle + 1;
        else
            high = middle;
    }
    *out_k = low;
    return low < own && place_of(mixture, set, low) == place;
}

void crn_mixture_at(const crn_mixture *mixture, uint64_t place, size_t *out_set,
                    uint64_t *out_sample)
{
    size_t set = 0;
    uint64_t k = 0;
    if (mixture->is_interleaved) {
        while (set + 1 < mixture->count && !find_in(mixture, set, place, &k))
            set++;
        if (set + 1 == mixture->count)
            (void)find_in(mixture, set, place, &k);
    } else {
        while (set + 1 < mixture->count && mixture->begin[set + 1] <= place)
            set++;
        k = place - mixture->begin[set];
    }
    *out_set = set;
    *out_sample = k % mixture->samples[set];
}

void crn_mixture_dispose(crn_mixture *mixture)
{
    crn_free(mixture->samples);
    crn_free(mixture->begin);
    *mixture = (crn_mixture){0};
}
