/*
 * A folder of files that becomes visible under its name at once, when all of it is durable.
 *
 *     crn_publish_folder_begin    a private folder beside it
 *     ... files, by crn_publish_text, crn_publish_over or a store in `inside.path` ...
 *     crn_publish_folder_commit   fsync, rename that never replaces, fsync of the parent
 *     crn_publish_folder_end      removes what was not published
 *
 * Or a single file: crn_publish_folder_commit_file moves it out of the private folder.
 */
#ifndef CRN_CKPT_PUBLISH_FOLDER_H
#define CRN_CKPT_PUBLISH_FOLDER_H

#include "ckpt/publish.h"

typedef struct crn_publish_folder {
    crn_folder inside; /* The private folder; its path is good until the commit. */
    crn_folder parent;
    char *parent_path;
    char *part_path;
    char *name; /* the final one, in the parent */
    bool is_published;
} crn_publish_folder;

/*
 * Makes missing parents of @path. @out is to be ended whatever is returned.
 * EEXISTS: there is something at @path.  EINVAL: it has no last part ("/", "..").  EIO.
 */
cairn_status crn_publish_folder_begin(crn_publish_folder *out, const crn_os *os, const char *path,
                                      cairn_error *err);
/* Files in it must be durable. EEXISTS: something has come to be there. EUNKNOWN: the folder bears
 * its name, but the parent could not be synced. */
cairn_status crn_publish_folder_commit(crn_publish_folder *p, cairn_error *err);
/* Publishes not the folder but the file @name in it, under the folder's name; statuses likewise. */
cairn_status crn_publish_folder_commit_file(crn_publish_folder *p, const char *name,
                                            cairn_error *err);
void crn_publish_folder_end(crn_publish_folder *p);

#endif
