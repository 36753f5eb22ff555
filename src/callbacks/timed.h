/* Constructors of callbacks that read a clock or write a file, with an operating system to test
 * them, and what they measure with. */
#ifndef CRN_CALLBACKS_TIMED_H
#define CRN_CALLBACKS_TIMED_H

#include "cairn/callbacks.h"
#include "os/os.h"

cairn_status crn_rate_profiler_new_os(const crn_os *os, cairn_callback *out, cairn_error *err);
cairn_status crn_duration_profiler_new_os(const crn_os *os, cairn_callback *out, cairn_error *err);
cairn_status crn_flop_utilization_new_os(const crn_os *os,
                                         const cairn_flop_utilization_options *options,
                                         cairn_callback *out, cairn_error *err);
cairn_status crn_save_performance_data_new_os(const crn_os *os, cairn_callback *out,
                                              cairn_error *err);

enum { CRN_DURATIONS_MAX = 100 };

/* The newest durations of something that repeats. Zeroed is empty. */
typedef struct crn_durations {
    double seconds[CRN_DURATIONS_MAX];
    size_t count; /* ever */
} crn_durations;

void crn_durations_add(crn_durations *durations, double seconds);
/* The median of the newest @most, which one slow step does not move; 0 without any. */
double crn_durations_median(const crn_durations *durations, size_t most);
/* Seconds from @from_ns to @to_ns. */
double crn_seconds_between(int64_t from_ns, int64_t to_ns);

#endif
