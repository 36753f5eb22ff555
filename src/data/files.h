/* The files that `data_dir` names. */
#ifndef CRN_DATA_FILES_H
#define CRN_DATA_FILES_H

#include "cairn/error.h"
#include "cairn/options.h"
#include "os/os.h"

typedef struct crn_data_files {
    char **paths;
    size_t count;
    size_t capacity;
} crn_data_files;

/*
 * Appends what @dirs names, in that order: a file as it is, of a folder the files whose names end
 * in @suffix and contain @word ("" for any), by name. Names that begin with "." and folders in a
 * folder are left out.
 * CAIRN_EDATA: a path cannot be read, or a folder has no such file. CAIRN_ECONFIG: @dirs is empty.
 */
cairn_status crn_data_files_find(const crn_os *os, const cairn_opt_list *dirs, const char *suffix,
                                 const char *word, crn_data_files *out, cairn_error *err);
/* By path, folder by folder, whatever the locale. */
void crn_data_files_sort(crn_data_files *files);
void crn_data_files_dispose(crn_data_files *files);

#endif
