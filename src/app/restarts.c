#include "app/restarts.h"

#include <math.h>
#include <signal.h>

enum { EXIT_FINISHED = 0, EXIT_STOPPED = 75 };

static const double k_longest_wait = 60.0; /* seconds */

/* Exit codes after which the same command would do the same again, or should not. */
static const struct {
    int code;
    const char *why;
} k_final[] = {
    {2, "the configuration or the command line is wrong"},
    {3, "the checkpoint is missing, damaged or does not fit"},
    {4, "the data cannot be used"},
    {6, "a loss or gradient is not finite, and the same steps would give the same bits"},
    {8, "the model_dir is held by another process"},
    {127, "the program cannot be started"},
    {130, "it was interrupted twice"},
};

static const char *final_code(int code)
{
    for (size_t i = 0; i < sizeof k_final / sizeof k_final[0]; i++) {
        if (k_final[i].code == code)
            return k_final[i].why;
    }
    return NULL;
}

/* Signals with which somebody ends a process on purpose; SIGKILL is also the kernel's, when memory
 * runs out. */
static bool is_wish(int number)
{
    return number == SIGTERM || number == SIGINT || number == SIGHUP || number == SIGQUIT;
}

crn_restart_verdict crn_restarts_decide(crn_restarts *restarts, const crn_child_end *end,
                                        bool has_result, bool has_progress, const char **out_why)
{
    const bool is_exit = !end->is_signal;
    *out_why = "";
    if (is_exit && has_result && (end->number == EXIT_FINISHED || end->number == EXIT_STOPPED))
        return CRN_RESTART_DONE;
    if (end->was_asked_to_stop || (end->is_signal && is_wish(end->number))) {
        *out_why = "it was asked to end";
        return CRN_RESTART_FINAL;
    }
    if (is_exit && final_code(end->number) != NULL) {
        *out_why = final_code(end->number);
        return CRN_RESTART_FINAL;
    }
    restarts->failures++;
    if (restarts->failures > 1 && has_progress)
        restarts->without_progress = 0;
    else
        restarts->without_progress++;
    return restarts->without_progress > restarts->max ? CRN_RESTART_GIVEN_UP : CRN_RESTART_AGAIN;
}

double crn_restarts_wait(const crn_restarts *restarts)
{
    const double longest = fmax(k_longest_wait, restarts->backoff);
    const double doublings = fmax((double)restarts->without_progress - 1.0, 0.0);
    return fmin(restarts->backoff * exp2(doublings), longest);
}

const char *crn_restart_verdict_text(crn_restart_verdict verdict)
{
    static const char *const k_texts[] = {"finished", "restarted", "not restarted", "given up"};
    return k_texts[verdict];
}
