/* How long things take that repeat, and how much is done in a second. */
#ifndef CRN_BASE_PACE_H
#define CRN_BASE_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Seconds from @from_ns to @to_ns. */
double crn_seconds_between(int64_t from_ns, int64_t to_ns);

enum { CRN_DURATIONS_MAX = 100 };

/* The newest durations of something that repeats. Zeroed is empty. */
typedef struct crn_durations {
    double seconds[CRN_DURATIONS_MAX];
    size_t count; /* ever */
} crn_durations;

void crn_durations_add(crn_durations *durations, double seconds);
/* The median of the newest @most, which one slow step does not move; 0 without any. */
double crn_durations_median(const crn_durations *durations, size_t most);

/* An amount a second, smoothed as the Model Zoo does it (reference, 2.8), and the amount in all.
 * Zeroed is empty. */
typedef struct crn_rate {
    double smoothed;
    uint64_t amount;
    bool is_known; /* smoothed is something */
} crn_rate;

/* @amount more in @seconds; a time of 0 counts for the amount only. */
void crn_rate_add(crn_rate *rate, uint64_t amount, double seconds);

#endif
