/* Names: templates of file names, and short lists of names such as "model,optimizer". */
#ifndef CRN_CKPT_NAMES_H
#define CRN_CKPT_NAMES_H

#include "base/str.h"
#include "cairn/checkpoint.h"

/* A checkpoint_name taken apart. The text is borrowed. */
typedef struct crn_template {
    const char *text;
    size_t prefix_length; /* bytes before "{step" */
    const char *suffix;   /* what follows the field */
    int width;            /* 8 of "{step:08d}"; 0 of "{step}" */
} crn_template;

/* CAIRN_ECONFIG as cairn_checkpoint_name_check. */
cairn_status crn_template_parse(const char *text, crn_template *out, cairn_error *err);
bool crn_template_match(const crn_template *t, const char *name, cairn_checkpoint_name *out);
/* Appends the file name that says @name. */
void crn_template_format(const crn_template *t, const cairn_checkpoint_name *name, crn_str *out);

/* YYYYmmddHHMMSS in UTC as a number. */
uint64_t crn_timestamp_utc(int64_t realtime_ns);
/* Appends "_YYYYmmdd_HHMMSS" and, unless @suffix is 0, "_<suffix>". */
void crn_timestamp_append(crn_str *out, uint64_t timestamp, uint64_t suffix);

/* Where the last extension of @name begins: ".mdl"; its end if it has none. */
const char *crn_name_extension(const char *name);
/* Whether @name is @base, or @base with a timestamp before its extension, as a file gets it whose
 * name is taken. */
bool crn_name_is_variant(const char *base, const char *name);

/* Names that the list owns. Zeroed is empty. */
typedef struct crn_name_list {
    char **items;
    size_t count;
    size_t capacity;
} crn_name_list;

cairn_status crn_name_list_add(crn_name_list *list, const char *name, cairn_error *err);
/* Appends the names of "a, b": spaces around a name do not count, empty names and repeated ones
 * are dropped. */
cairn_status crn_name_list_split(crn_name_list *list, const char *text, cairn_error *err);
bool crn_name_list_has(const crn_name_list *list, const char *name);
void crn_name_list_dispose(crn_name_list *list);

/* Folder and last part of a path: "a/b" gives 1 ("a") and "b"; "b" gives 0; "/b" gives 1 ("/"). */
const char *crn_path_file(const char *path, size_t *out_folder_length);
/* "folder/name"; yours. NULL: no memory. */
char *crn_path_join(const char *folder, const char *name);

#endif
