/*
 * Whether a fit that ended is started again: pure arithmetic over how its attempts ended
 * (model-zoo reference 2.9; the table of exit codes is the program's).
 */
#ifndef CRN_APP_RESTARTS_H
#define CRN_APP_RESTARTS_H

#include "os/os.h"

typedef struct crn_restarts {
    uint64_t max;              /* max_num_restarts */
    double backoff;            /* seconds */
    uint64_t failures;         /* attempts that failed and would be worth another one */
    uint64_t without_progress; /* of these, in a row, those without a new checkpoint */
} crn_restarts;

typedef enum crn_restart_verdict {
    CRN_RESTART_DONE,    /* finished, complete, or stopped with a good checkpoint */
    CRN_RESTART_AGAIN,   /* crashed */
    CRN_RESTART_FINAL,   /* failed in a way that another attempt does not mend */
    CRN_RESTART_GIVEN_UP /* crashed too often */
} crn_restart_verdict;

/*
 * Counts the attempt that ended so. The first failure counts as one without progress, whatever it
 * has saved; a later one that has saved a checkpoint sets the count to 0.
 * @has_result  It said how it ended. One that exits with 0 without a word has crashed.
 * @out_why  For FINAL: why not again. Static.
 */
crn_restart_verdict crn_restarts_decide(crn_restarts *restarts, const crn_child_end *end,
                                        bool has_result, bool has_progress, const char **out_why);

/* Seconds to wait before the attempt that crn_restarts_decide asked for: backoff, doubled for each
 * further one without progress, up to a minute or backoff, if that is longer. */
double crn_restarts_wait(const crn_restarts *restarts);

/* "finished", "restarted", "not restarted", "given up". Static. */
const char *crn_restart_verdict_text(crn_restart_verdict verdict);

#endif
