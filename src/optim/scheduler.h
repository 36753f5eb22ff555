/* A scheduler's inside, shared by those that compute and those that combine. */
#ifndef CRN_OPTIM_SCHEDULER_H
#define CRN_OPTIM_SCHEDULER_H

#include "cairn/optim.h"

typedef struct crn_scheduler_kind {
    const char *lr_name;
    const char *wd_name;
    const char *section; /* option table; NULL for those that combine others */
    double (*value)(const cairn_scheduler *scheduler, uint64_t t, double factor);
} crn_scheduler_kind;

struct cairn_scheduler {
    const crn_scheduler_kind *kind;
    cairn_scheduled sets;
    char **tags; /* an item NULL: groups without tags */
    size_t tag_count;
    double initial; /* what a ChainedScheduler divides by */
    bool has_length;
    uint64_t length; /* total_iters; of a sequence: the sum */
    void *options;   /* of its section; texts and lists are not kept there but below */
    int64_t *milestones;
    size_t milestone_count;
    double *values; /* [milestone_count + 1] of a PiecewiseConstant */
    int mode;       /* of a choice: its number */
    cairn_scheduler **children;
    uint64_t *starts; /* [child_count] of a sequence */
    size_t child_count;
};

/* An empty scheduler of @kind, with a copy of @options, which are checked, if it has a section. */
cairn_status crn_scheduler_new(const crn_scheduler_kind *kind, const void *options, double initial,
                               cairn_scheduler **out, cairn_error *err);
/* Value for a group with @factor, whatever the kind. */
double crn_scheduler_value(const cairn_scheduler *scheduler, uint64_t t, double factor);

#endif
