/*
 * loop.max_time: a run stops before its time is over, so that its last checkpoint is committed in
 * time. Pure arithmetic; the caller reads the clock.
 */
#ifndef CRN_TRAIN_TIME_LIMIT_H
#define CRN_TRAIN_TIME_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

enum { CRN_RECENT_STEPS = 32 };

/* Zeroed has no limit. */
typedef struct crn_time_limit {
    bool is_set;
    int64_t end_ns;   /* when the time is over */
    int64_t limit_ns; /* what was given */
    int64_t steps_ns[CRN_RECENT_STEPS];
    uint64_t steps;  /* ever */
    int64_t save_ns; /* what the last save took, or a guess */
} crn_time_limit;

/*
 * "1h30m", "90m", "45s", "2d", "1.5h", "5400" (seconds), "1:30:00" and "1-12:00:00" (as job
 * schedulers write it). False for anything else, zero included.
 */
bool crn_duration_parse(const char *text, int64_t *out_ns);
/* What is wrong with one that cannot be read; takes the text. */
#define CRN_MAX_TIME_ADVICE                                                                        \
    "max_time is '%s'; it must be a time such as 1h30m, 90m, 5400 (seconds) or 1:30:00"

/* @begin_ns: when the time began. */
void crn_time_limit_set(crn_time_limit *limit, int64_t begin_ns, int64_t limit_ns);
/* What a step took, and a save. */
void crn_time_limit_note_step(crn_time_limit *limit, int64_t ns);
void crn_time_limit_note_save(crn_time_limit *limit, int64_t ns);
/*
 * What is kept free: the longest of the recent steps, the last save (twice while one is being
 * written), and a second and 2 % of the limit, at most a minute.
 */
int64_t crn_time_limit_margin_ns(const crn_time_limit *limit, bool is_saving);
/* Whether it is time to stop. */
bool crn_time_limit_is_over(const crn_time_limit *limit, int64_t now_ns, bool is_saving);

#endif
