/* Schedulers and parameter filters of a configuration: read, checked, made. */
#ifndef CRN_APP_SCHEDULES_H
#define CRN_APP_SCHEDULES_H

#include "app/classes.h"
#include "cairn/optim.h"

typedef enum crn_combination {
    CRN_SCHEDULER_SINGLE, /* a class with options */
    CRN_SCHEDULER_SEQUENTIAL,
    CRN_SCHEDULER_CHAINED,
    CRN_SCHEDULER_SCALED
} crn_combination;

typedef struct crn_scheduler_spec crn_scheduler_spec;
struct crn_scheduler_spec {
    const crn_node *node; /* where it stands */
    const char *name;     /* as it was written */
    crn_combination combination;
    crn_choice choice; /* SINGLE */
    cairn_scheduled sets;
    const char **tags; /* an item NULL: groups without tags; texts live in the doc */
    size_t tag_count;
    crn_scheduler_spec *children;
    size_t child_count;
    uint64_t *milestones; /* NULL: not given */
    size_t milestone_count;
};

typedef struct crn_scheduler_specs {
    crn_scheduler_spec *items;
    size_t count;
} crn_scheduler_specs;

/* What optimizer.params and optimizer.adjust_learning_rate say; texts live in the doc. */
typedef struct crn_param_filters {
    cairn_param_filter *items;
    size_t count;
    size_t capacity;
    bool has_factors;
} crn_param_filters;

/* Reads both from the options of the optimizer, a map or NULL. */
void crn_read_param_filters(const crn_node *args, const char *where, crn_param_filters *out,
                            crn_diag *diag);
void crn_param_filters_dispose(crn_param_filters *filters);

/*
 * Reads trainer.init.schedulers. If it has no error the schedulers can be made, each rate of a
 * group has one of them, and their tags are among those of @filters.
 */
void crn_read_schedulers(crn_doc *doc, crn_node *list, const crn_param_filters *filters,
                         crn_scheduler_specs *out, crn_diag *diag);
/* Makes one, aimed. @is_scaled: a learning rate takes the factors of parameter groups. */
cairn_status crn_make_scheduler(const crn_scheduler_spec *spec, bool is_scaled,
                                cairn_scheduler **out, cairn_error *err);
void crn_scheduler_specs_dispose(crn_scheduler_specs *specs);

#endif
