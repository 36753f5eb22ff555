/*
 * The keys of the configuration that lead to sections and classes: one table each, from which the
 * reader takes the names it accepts and the JSON Schema what stands there.
 */
#ifndef CRN_APP_KEYS_H
#define CRN_APP_KEYS_H

#include "app/classes.h"

typedef enum crn_key_kind {
    CRN_KEY_TEXT,    /* or null */
    CRN_KEY_TEXTS,   /* one or a list, or null */
    CRN_KEY_COUNT,   /* an integer of 0 or more, or null */
    CRN_KEY_COUNTS,  /* a list of them, or null */
    CRN_KEY_MAP,     /* any map, or null */
    CRN_KEY_SECTION, /* the section of that name, or null */
    CRN_KEY_NAMED,   /* options of a class, which a key of them names */
    CRN_KEY_NAMEDS,  /* one or a list of these */
    CRN_KEY_CLASS,   /* {Name: {options}} */
    CRN_KEY_CLASSES, /* a list of these */
    CRN_KEY_LACKING  /* refused, unless null; help names the feature */
} crn_key_kind;

typedef struct crn_key {
    const char *name;
    crn_key_kind kind;
    const char *help;             /* a sentence; LACKING: the feature */
    const crn_registry *registry; /* NAMED, CLASS and their lists */
} crn_key;

typedef struct crn_key_table {
    const char *name; /* "trainer.init" */
    const crn_key *keys;
    size_t count;
} crn_key_table;

extern const crn_key_table crn_root_keys;
extern const crn_key_table crn_trainer_keys;
extern const crn_key_table crn_init_keys;
extern const crn_key_table crn_fit_keys;
extern const crn_key_table crn_validate_keys;
extern const crn_key_table crn_validate_all_keys;

/* The keys of a class whose options are classes themselves, read by hand; NULL: it is none. */
const crn_key_table *crn_class_keys(const char *name);

/* As crn_map_check_keys, with the names of the table. */
bool crn_key_table_check(const crn_key_table *table, const crn_node *map, const char *where,
                         crn_diag *diag);

#endif
