/*
 * The configuration: YAML text -> tree of nodes -> option structs.
 *
 *     crn_diag diag = {0};
 *     crn_doc *doc = NULL;
 *     if (crn_doc_parse(bytes, size, "params.yaml", &diag, &doc)) {
 *         crn_node *init = crn_node_get(crn_node_get(crn_doc_root(doc), "trainer"), "init");
 *         cairn_loop_options loop;
 *         crn_section_read(crn_section_find("loop"), "trainer.init.loop", doc,
 *                          crn_doc_ensure_map(doc, init, "loop", &diag), &loop, &diag);
 *     }
 *     CRN_TRY_PLAIN(crn_diag_check(&diag, err));
 *
 * Problems are collected in a crn_diag, so that one run reports them all; what can find a problem
 * returns true if it found no error, and the caller may go on after false. crn_diag_check turns
 * the collection into a status once, at the end. Nothing here opens a file.
 *
 * Thread safety: none of it is locked; a doc and a diag belong to one thread at a time. Tables
 * are constant.
 */
#ifndef CRN_CONFIG_CONFIG_H
#define CRN_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "cairn/error.h"
#include "cairn/options.h"

/* Limits on what comes from outside. */
enum {
    CRN_DOC_BYTES_MAX = 1 << 20,
    CRN_DOC_DEPTH_MAX = 32,
    CRN_DOC_NODES_MAX = 100000, /* Keys count, and copies made for aliases. */
    CRN_DOC_ANCHORS_MAX = 256,
    CRN_DOC_KEY_BYTES_MAX = 160, /* YAML looks at most 1024 characters ahead for a key's ":". */
    CRN_DIAG_ERRORS_MAX = 100
};

typedef struct crn_node crn_node;

/* ---- Problems ---- */

typedef enum crn_severity { CRN_SEVERITY_ERROR, CRN_SEVERITY_NOTICE } crn_severity;

typedef struct crn_problem {
    crn_severity severity;
    char *file;  /* NULL: no place. */
    size_t line; /* 1-based; 0: the place is the file as a whole. */
    size_t column;
    char *text;
} crn_problem;

/* Zeroed is empty; release with crn_diag_dispose. */
typedef struct crn_diag {
    crn_problem *problems; /* In the order in which they were found. */
    size_t count;
    size_t capacity;
    size_t error_count;  /* Errors found, those that were not kept included. */
    size_t notice_count; /* Likewise. */
    bool is_failed;      /* Memory ran out; crn_diag_check says so. */
} crn_diag;

/* Adds a problem at @node (NULL: no place), or at a file's line and column. Errors and notices
 * beyond CRN_DIAG_ERRORS_MAX each are counted, not kept. */
void crn_diag_error(crn_diag *diag, const crn_node *node, const char *format, ...)
    CAIRN_PRINTF(3, 4);
void crn_diag_notice(crn_diag *diag, const crn_node *node, const char *format, ...)
    CAIRN_PRINTF(3, 4);
void crn_diag_error_at(crn_diag *diag, const char *file, size_t line, size_t column,
                       const char *format, ...) CAIRN_PRINTF(5, 6);
/*
 * Adds the error "unknown <what> '<wrong>' in <where>; did you mean '<near>'?". Without a near
 * name it lists the valid ones if they are at most 12 or @help is NULL, else it names the command
 * "cairn help <help>". @where may be NULL. Place: @node's key if it stands in a map and @wrong is
 * its key, else its value.
 */
void crn_diag_unknown(crn_diag *diag, const crn_node *node, const char *what, const char *wrong,
                      const char *where, const char *const *names, size_t count, const char *help);
/* Appends "params.yaml:14:7: text", without a line end. */
void crn_problem_format(const crn_problem *problem, crn_str *out);
/* Puts the problems in the order of their places: by file, line and column, those with a line
 * first; what has the same place or none stays as it was found. */
void crn_diag_sort(crn_diag *diag);
/* CAIRN_OK, or CAIRN_ENOMEM, or CAIRN_ECONFIG with the first error and the number of others. */
cairn_status crn_diag_check(const crn_diag *diag, cairn_error *err) CAIRN_MUST_USE;
void crn_diag_dispose(crn_diag *diag);

/* ---- The tree ---- */

typedef enum crn_node_kind {
    CRN_NODE_NULL,
    CRN_NODE_BOOL,
    CRN_NODE_INT,
    CRN_NODE_FLOAT,
    CRN_NODE_TEXT,
    CRN_NODE_LIST,
    CRN_NODE_MAP
} crn_node_kind;

/*
 * A value. All memory belongs to the doc. Walk a list or a map, in order, with
 *     for (crn_node *item = node->first; item != NULL; item = item->next)
 */
struct crn_node {
    crn_node_kind kind; /* As PyYAML's safe loader resolves it. */
    bool is_big;        /* INT that does not fit int64_t: i is the nearest, f approximates it. */
    bool is_default;    /* Added by crn_section_read, not given. */
    bool is_shared;     /* While it is parsed: the children are those of an anchor. */
    bool b;             /* BOOL. */
    int64_t i;          /* INT. */
    double f;           /* FLOAT; also INT as a float. */
    const char *text;   /* Scalars: what was written, without quotes; else "". */
    const char *name;   /* In a map: the key; else NULL. */
    const char *origin; /* File name, "--set PATH", another flag, "default" or "cairn" (put by a
                           program). */
    size_t line;        /* Of the value, 1-based; 0 where there are no lines. */
    size_t column;
    size_t key_line; /* Of the key, in a map. */
    size_t key_column;
    size_t count; /* Children. */
    crn_node *first;
    crn_node *last;
    crn_node *next; /* Sibling. */
};

/* For messages: "null", "a bool", "an integer". Static. */
const char *crn_node_kind_phrase(crn_node_kind kind);
/* The value of @key; NULL if @map is NULL, no map, or lacks the key. Exact. */
crn_node *crn_node_get(const crn_node *map, const char *key);
/* The item number @index; NULL if @list is NULL or no list, or has fewer. Walks from the front. */
crn_node *crn_node_item(const crn_node *list, size_t index);
/* NULL, or a null node. */
bool crn_node_is_null(const crn_node *node);
/* Names are equal but for the case of ASCII letters. */
bool crn_names_equal(const char *a, const char *b);
/* Index in @names, compared without case; -1 if absent. */
int crn_names_find(const char *name, const char *const *names, size_t count);

/*
 * Conversions of a given value, lax as pydantic's; the message starts with @where, the path of the
 * option (such as "trainer.init.seed"). False after an error; *@out is then untouched.
 * A text is borrowed from the doc.
 */
bool crn_node_to_bool(const crn_node *node, const char *where, bool *out, crn_diag *diag);
bool crn_node_to_int(const crn_node *node, const char *where, int64_t min, int64_t max,
                     const char *unit, int64_t *out, crn_diag *diag);
bool crn_node_to_float(const crn_node *node, const char *where, double min, double max,
                       const char *unit, double *out, crn_diag *diag);
/* An integer or a float stands for its own text; null is an error. */
bool crn_node_to_text(const crn_node *node, const char *where, const char **out, crn_diag *diag);

/* Appends the value as JSON: integers as integers, floats with the fewest of 15 to 17 digits that
 * give the same bits and always with a point, non-finite ones as the texts "nan", "inf", "-inf".
 * It is YAML as well and parses to the same values. */
void crn_node_to_json(const crn_node *node, crn_str *out);

/* Appends the value as YAML in block style, a line a value, each line ended; it parses to the same
 * values. Without @with_defaults only what was given: options that crn_section_read added are left
 * out, and so are the maps that hold nothing else. */
void crn_node_to_yaml(const crn_node *node, bool with_defaults, crn_str *out);
/* All of it, with the origin of each value as a comment behind it. */
void crn_node_to_yaml_origins(const crn_node *node, crn_str *out);
/* Appends where the value is from: "default", "params.yaml:14", "--set", "--model_dir". */
void crn_node_append_origin(const crn_node *node, crn_str *out);

/* ---- Documents ---- */

/* A tree with the memory of all its nodes. */
typedef struct crn_doc crn_doc;

/*
 * Parses YAML 1.1 (JSON too). @file names it in messages, copied. On true *@out is yours; it has
 * no root if there is nothing in the text but blanks and comments. On false, *@out is NULL.
 */
bool crn_doc_parse(const void *bytes, size_t size, const char *file, crn_diag *diag, crn_doc **out);
/* Likewise, but a text that is YAML with errors in what it says, such as a key that is given twice,
 * gives false and a document all the same, in which more can be looked for. */
bool crn_doc_parse_further(const void *bytes, size_t size, const char *file, crn_diag *diag,
                           crn_doc **out);
/* Accepts NULL. */
void crn_doc_destroy(crn_doc *doc);
crn_node *crn_doc_root(const crn_doc *doc);
/* The name that the document was parsed under. */
const char *crn_doc_file(const crn_doc *doc);

/*
 * Applies "path=value", such as "trainer.init.loop.max_steps=20". The value is YAML. Missing maps
 * are made; an element of a list is named by its index (that behind the last one is made) or, in a
 * list of classes, by its class ("trainer.init.callbacks.KeepNCheckpoints.n=3", the first of that
 * name, appended if absent). A name with a point or "=" in it stands in quotes.
 */
bool crn_doc_set(crn_doc *doc, const char *assignment, crn_diag *diag);
/* Likewise for a flag that means an assignment, such as "--load_checkpoint_states"; @flag, static,
 * is what messages and origins name. */
bool crn_doc_set_by_flag(crn_doc *doc, const char *flag, const char *assignment, crn_diag *diag);
/* Whether what stands under the key @name is a list of classes: {Name: {options}}. */
bool crn_is_class_list(const char *name);
/* Appends to @path, which may be empty, what crn_doc_set calls @child: its key, in quotes if need
 * be, or in a list @index. */
void crn_path_append(crn_str *path, const crn_node *child, size_t index);

/* The map under @key in @parent, made if the key is absent or null; NULL (and an error) if it is
 * something else. @parent NULL is the root, made if there is none. */
crn_node *crn_doc_ensure_map(crn_doc *doc, crn_node *parent, const char *key, crn_diag *diag);
/* Likewise for a list. */
crn_node *crn_doc_ensure_list(crn_doc *doc, crn_node *parent, const char *key, crn_diag *diag);
/* Sets @key of @map, with the origin "default" if @is_default, else "cairn". Copies the texts.
 * NULL (and diag failed) if memory ran out. */
crn_node *crn_doc_put_null(crn_doc *doc, crn_node *map, const char *key, bool is_default,
                           crn_diag *diag);
crn_node *crn_doc_put_bool(crn_doc *doc, crn_node *map, const char *key, bool value,
                           bool is_default, crn_diag *diag);
crn_node *crn_doc_put_int(crn_doc *doc, crn_node *map, const char *key, int64_t value,
                          bool is_default, crn_diag *diag);
crn_node *crn_doc_put_float(crn_doc *doc, crn_node *map, const char *key, double value,
                            bool is_default, crn_diag *diag);
crn_node *crn_doc_put_text(crn_doc *doc, crn_node *map, const char *key, const char *value,
                           bool is_default, crn_diag *diag);

/* Sets @key of @map to a copy of @value, a node of the same doc, which keeps its place in the file.
 * NULL (and diag failed) if memory ran out. */
crn_node *crn_doc_put_copy(crn_doc *doc, crn_node *map, const char *key, const crn_node *value,
                           crn_diag *diag);
/* Adds an empty map to @list. Likewise. */
crn_node *crn_doc_add_map(crn_doc *doc, crn_node *list, crn_diag *diag);

/*
 * Reads a class with its arguments: {Name: {...}}, {Name: null} or the bare text Name, which
 * becomes {Name: null} in the tree. *@args is the value: a null or whatever stands there.
 */
bool crn_node_class(crn_doc *doc, crn_node *node, const char *where, const char **name,
                    crn_node **args, crn_diag *diag);
/* Checks the keys of a map that is read by hand; one error for each unknown key. False too if
 * @map is no map; NULL or a null is an empty one. */
bool crn_map_check_keys(const crn_node *map, const char *where, const char *const *names,
                        size_t count, crn_diag *diag);

/* ---- Option tables ---- */

typedef enum crn_row_kind {
    CRN_ROW_INT,
    CRN_ROW_INT_NULL,
    CRN_ROW_FLOAT,
    CRN_ROW_FLOAT_NULL,
    CRN_ROW_NUMBER,
    CRN_ROW_NUMBER_NULL,
    CRN_ROW_BOOL,
    CRN_ROW_BOOL_NULL,
    CRN_ROW_TEXT,
    CRN_ROW_CHOICE,
    CRN_ROW_LIST,
    CRN_ROW_INTS,
    CRN_ROW_FLOATS,
    CRN_ROW_PAIR,
    CRN_ROW_INIT,
    CRN_ROW_NESTED,  /* text is the name of the section */
    CRN_ROW_NESTEDS, /* the same; the field has the layout of crn_items */
    CRN_ROW_REQUIRED,
    CRN_ROW_ALIAS,
    CRN_ROW_NO_EFFECT,
    CRN_ROW_LACKING,
    CRN_ROW_SECTION
} crn_row_kind;

/* One row of a .def file; the kinds are explained in cairn/options.h. */
typedef struct crn_row {
    crn_row_kind kind;
    const char *name;
    size_t offset;    /* Of the field. */
    const char *unit; /* "" if none. */
    const char *help; /* NO_EFFECT: why. LACKING: the feature. ALIAS: the option meant. */
    const char *choices;
    const char *text; /* Default of TEXT and CHOICE; else NULL. */
    bool b;           /* Default of BOOL. */
    int64_t i;        /* Default of INT. */
    int64_t i_min;
    int64_t i_max;
    double f; /* Default of FLOAT and NUMBER; first of PAIR. */
    double f2;
    double f_min;
    double f_max;
} crn_row;

typedef struct crn_section {
    const char *name;  /* Of the .def file: "adamw". */
    const char *title; /* Place and class for messages and help: "optimizer.AdamW". */
    const char *help;  /* One sentence. */
    const crn_row *rows;
    size_t count;
    size_t struct_size;
} crn_section;

/* By name, title or the last word of the title, without case; NULL if there is none. Static. */
const crn_section *crn_section_find(const char *name);
/* All of them, in the order of the documentation. Static. */
const crn_section *crn_sections(size_t *count);

/* Fills the struct @out with the defaults. */
void crn_section_defaults(const crn_section *section, void *out);

/*
 * Reads @node (a map; NULL or null: everything is default) into the struct @out, which always gets
 * a value in each field, the default where there is an error. Adds every option that is not given
 * to the map, marked as default, and renames aliases, so that the doc then holds the resolved
 * configuration; a null node becomes a map. @where is the path for messages; NULL: the title.
 * Texts in @out live as long as the doc. @doc may be NULL if @node is. False after an error.
 */
bool crn_section_read(const crn_section *section, const char *where, crn_doc *doc, crn_node *node,
                      void *out, crn_diag *diag);

/* Checks the numbers of the struct @in against the ranges of the table, for options that no reader
 * has seen. @who begins the message. ECONFIG. */
cairn_status crn_section_check(const crn_section *section, const char *who, const void *in,
                               cairn_error *err) CAIRN_MUST_USE;

/* Appends the text of `cairn help SECTION`. */
void crn_section_help(const crn_section *section, crn_str *out);
/* Appends the section as a JSON Schema (draft 7) of one object. It refers to the definition
 * "initializer", which crn_init_schema appends. */
void crn_section_schema(const crn_section *section, crn_str *out);
void crn_init_schema(crn_str *out);
/* CAIRN_EBUG with the first fault of a table: names unique, defaults allowed, help a sentence. */
cairn_status crn_section_lint(const crn_section *section, cairn_error *err) CAIRN_MUST_USE;

#endif
