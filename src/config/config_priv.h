/* What the files of config/ share. */
#ifndef CRN_CONFIG_CONFIG_PRIV_H
#define CRN_CONFIG_CONFIG_PRIV_H

#include "config/config.h"

enum { CRN_WHERE_SIZE = 256, CRN_ROWS_MAX = 128, CRN_F64_TEXT_SIZE = 40 };

/* A field of the kind NESTEDS, whatever its items are. */
typedef struct crn_items {
    const void *items;
    size_t count;
} crn_items;

struct crn_doc {
    struct crn_chunk *chunks; /* Newest first. */
    crn_node *root;
    const char *file;
    size_t node_count; /* Parsed, and copied for aliases and merges. */
};

/* Zeroed memory that lives as long as the doc; NULL marks @diag as failed. */
void *crn_doc_alloc(crn_doc *doc, size_t size, crn_diag *diag);
/* A NUL-terminated copy in the doc. */
const char *crn_doc_text(crn_doc *doc, const char *text, size_t length, crn_diag *diag);
crn_doc *crn_doc_new(const char *file, crn_diag *diag);
crn_node *crn_node_new(crn_doc *doc, crn_node_kind kind, const char *origin, crn_diag *diag);
/* Makes @node the last child of @parent. */
void crn_node_append(crn_node *parent, crn_node *node);
/* Turns a null into an empty list or map. */
void crn_node_become(crn_node *node, crn_node_kind kind);
/* How many maps and lists are nested in @node, itself included; 0 for a scalar. */
size_t crn_node_height(const crn_node *node);

/*
 * Parses @bytes into @doc; *@root is NULL if there is nothing. @has_lines: nodes and messages get
 * line numbers. False after an error; *@root is then NULL too unless all of the text was read.
 */
bool crn_parse_into(crn_doc *doc, const void *bytes, size_t size, const char *origin,
                    bool has_lines, crn_diag *diag, crn_node **root);

/* Sets kind and value of a plain scalar from its text, as PyYAML's safe loader. */
void crn_scalar_resolve(crn_node *node);
/* Integer and float of a text, lax as pydantic: blanks around, underscores, "5.0" for 5. */
bool crn_scalar_lax_int(const char *text, int64_t *out, bool *is_big);
bool crn_scalar_lax_float(const char *text, double *out);
/* Decimal text with the fewest of 15 to 17 digits that give the same bits; no locale. */
const char *crn_f64_to_decimal(double value, char buf[CRN_F64_TEXT_SIZE]);

/* As crn_diag_unknown, where only the first @listed names are shown as valid. */
void crn_diag_unknown_of(crn_diag *diag, const crn_node *node, const char *what, const char *wrong,
                         const char *where, const char *const *names, size_t count, size_t listed,
                         const char *help);
/* No further error would be kept, so the work of wording it can be saved. */
bool crn_diag_is_full(const crn_diag *diag);

/* "at least 1 (steps)", "from 0 to 1"; returns @buf. */
const char *crn_range_of_int(int64_t min, int64_t max, const char *unit, char buf[128]);
const char *crn_range_of_float(double min, double max, const char *unit, char buf[128]);

/* Whole and valid UTF-8; json.c. */
bool crn_text_is_utf8(const char *text);

/* Reads and completes an initializer; read_init.c. */
bool crn_init_read(crn_doc *doc, crn_node *node, const char *where, cairn_initializer *out,
                   crn_diag *diag);

/* The rows that hold a value of their own: neither REQUIRED nor ALIAS, and so on. */
bool crn_row_is_option(const crn_row *row);
/* The option called @name, or NULL. */
const crn_row *crn_section_option(const crn_section *section, const char *name);
bool crn_section_requires(const crn_section *section, const char *name);

#endif
