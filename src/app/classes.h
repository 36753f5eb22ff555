/*
 * The registries: which classes a configuration may name, which option table each reads, and how
 * one is made from its options. A new optimizer, scheduler or callback is one row here.
 */
#ifndef CRN_APP_CLASSES_H
#define CRN_APP_CLASSES_H

#include "cairn/app.h"
#include "config/config.h"

/* Makes an object from a filled options struct; *@out is what the registry's kind says. */
typedef cairn_status (*crn_make_fn)(const void *options, void *out, cairn_error *err);

typedef struct crn_class {
    const char *name;
    const char *section; /* option table; NULL: no options */
    crn_make_fn make;    /* NULL: known, not available here */
    bool is_harmless;    /* without make: left out with a notice; else refused */
} crn_class;

typedef struct crn_registry {
    const char *what; /* "optimizer" */
    const crn_class *classes;
    size_t count;
    const crn_class *const *added; /* by the plugins of one configuration (app/plugins.h) */
    size_t added_count;
} crn_registry;

extern const crn_registry crn_models;     /* out: cairn_model * */
extern const crn_registry crn_optimizers; /* out: cairn_optimizer * */
extern const crn_registry crn_schedulers; /* out: cairn_scheduler ** */
extern const crn_registry crn_callbacks;  /* out: cairn_callback * */
extern const crn_registry crn_loggers;    /* as callbacks */
extern const crn_registry crn_processors; /* out: cairn_loader ** */

/* The class called @name, without case: a plugin's first, since it may stand in for one that is
 * known and not available. NULL: none. */
const crn_class *crn_registry_find(const crn_registry *registry, const char *name);

/* The path of an option for messages; a longer one is cut. */
enum { CRN_PLACE_SIZE = 200 };
void crn_where_join(char out[CRN_PLACE_SIZE], const char *parent, const char *name);

/* A class that a configuration named, with its options read. */
typedef struct crn_choice {
    const crn_class *class;
    void *options; /* yours: crn_free; NULL if the class has none */
} crn_choice;

/*
 * Looks @name up without case. False: an error in @diag (unknown, or refused). True with
 * out->class NULL: known, harmless, left out with a notice.
 */
bool crn_registry_choose(const crn_registry *registry, const char *name, const crn_node *node,
                         const char *where, crn_choice *out, crn_diag *diag);
/* As above, and reads @args into the class's options. */
bool crn_registry_read(const crn_registry *registry, const char *name, crn_doc *doc, crn_node *node,
                       crn_node *args, const char *where, crn_choice *out, crn_diag *diag);
/* A class that nobody named, with the defaults of its options. */
bool crn_registry_default(const crn_registry *registry, const char *name, const crn_node *node,
                          crn_choice *out, crn_diag *diag);

/* flags.c: whether @name is a callback whose arguments are flags ("csx.path.to.flag: value"). */
bool crn_is_flags(const char *name);
/* Reads them into @out, a cairn_check_flags_options that is yours (crn_free): known flags act,
 * those of other hardware give a notice, others an error. */
bool crn_read_flags(const char *name, const crn_node *args, const char *where, void **out,
                    crn_diag *diag);

#endif
