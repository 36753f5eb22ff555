#include "base/pace.h"

#include <stdlib.h>

/* The Model Zoo's smoothing: 0.6 of the newest, the rest of what was known. */
static const double k_newest_share = 0.6;

double crn_seconds_between(int64_t from_ns, int64_t to_ns)
{
    return (double)(to_ns - from_ns) * 1e-9;
}

void crn_durations_add(crn_durations *durations, double seconds)
{
    durations->seconds[durations->count++ % CRN_DURATIONS_MAX] = seconds;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

double crn_durations_median(const crn_durations *durations, size_t most)
{
    double sorted[CRN_DURATIONS_MAX];
    size_t count = durations->count < CRN_DURATIONS_MAX ? durations->count : CRN_DURATIONS_MAX;
    count = count < most ? count : most;
    if (count == 0)
        return 0.0;
    for (size_t i = 0; i < count; i++)
        sorted[i] = durations->seconds[(durations->count - 1 - i) % CRN_DURATIONS_MAX];
    qsort(sorted, count, sizeof sorted[0], compare);
    return sorted[count / 2];
}

void crn_rate_add(crn_rate *rate, uint64_t amount, double seconds)
{
    rate->amount += amount;
    if (seconds <= 0.0)
        return;
    const double newest = (double)amount / seconds;
    rate->smoothed =
        rate->is_known ? k_newest_share * newest + (1.0 - k_newest_share) * rate->smoothed : newest;
    rate->is_known = true;
}
