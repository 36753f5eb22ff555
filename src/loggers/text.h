/*
 * The texts of the loggers, apart from clocks and files. Numbers never follow the locale of the
 * program that embeds us.
 */
#ifndef CRN_LOGGERS_TEXT_H
#define CRN_LOGGERS_TEXT_H

#include "base/str.h"
#include "cairn/plugin/callback.h"

/* Seconds as H:MM:SS, cut to whole seconds; "0:00:00" for less than one. Returns @buf. */
const char *crn_duration_text(double seconds, char buf[32]);

enum { CRN_LOSS_TEXT_SIZE = 400 }; /* Any double in full. */

/* A loss with five decimals. Returns @buf. */
const char *crn_loss_text(double loss, char buf[CRN_LOSS_TEXT_SIZE]);

/* A rate with two decimals, or below 1.0 with three significant digits. Returns @buf. */
const char *crn_rate_text(double rate, char buf[40]);

/* The shortest decimal text that reads back as the same double; "nan", "inf", "-inf". */
const char *crn_number_text(double value, char buf[40]);

/* What a line of progress says; a field whose has_ is false is left out. */
typedef struct crn_progress_facts {
    const char *device;
    uint64_t failed_saves; /* in a row; said first, and loudly */
    bool is_validation;
    uint64_t step;  /* global_step */
    uint64_t batch; /* of the validation, from 1 */
    double loss;
    bool has_rate;
    double rate;        /* samples a second, smoothed */
    double global_rate; /* since the beginning */
    bool has_times;
    double loop_left;      /* seconds */
    bool has_total;        /* total_left is known; not in a validation */
    double total_left;     /* seconds */
    bool total_is_minimum; /* some stage has no timing yet: ">" */
} crn_progress_facts;

/* "| Train Device=CPU, Step=50, Loss=8.31250, Rate=..." or "| Eval Device=CPU, ...", after a save
 * that failed with "| LAST SAVE FAILED (1 in a row) " in front. */
void crn_progress_line(const crn_progress_facts *facts, crn_str *out);

/*
 * One bar of a terminal: "\r" and 79 columns, such as
 * "Train [##--------]  25% 50/200 ETA 0:00:41 loss 8.31250 69.37 samples/s".
 */
void crn_progress_bar(const crn_progress_facts *facts, uint64_t done, uint64_t total, crn_str *out);

/* Metrics of a validation with several loaders are "name", "name/1", "name/2": which loader's,
 * from 0. *@out_length is the length of the bare name. */
uint64_t crn_metric_loader(const char *name, size_t *out_length);
/* Whether the bare name is that of the validation's loss. */
bool crn_metric_is_loss(const char *name, size_t length);

/* A line of metrics.jsonl with its newline: {"step":50,"loss":8.3125}. JSON has no NaN and no
 * infinity; they are the texts "nan", "inf" and "-inf". */
void crn_metrics_line(uint64_t step, const cairn_metric *metrics, size_t count, crn_str *out);

/* A line for a save: {"event":"checkpoint","step":500,"path":"...","blocked_ms":...,...}. What
 * @cost does not know is left out. */
void crn_saved_line(uint64_t step, const char *path, const cairn_save_cost *cost, crn_str *out);
/* {"event":"checkpoint_failed","step":500,"path":null,"error":"...","blocked_ms":...}; @path: the
 * full checkpoint if that is there all the same, else NULL. */
void crn_save_failed_line(uint64_t step, const char *path, const char *error,
                          const cairn_save_cost *cost, crn_str *out);

#endif
