/*
 * The one place where a file becomes visible under the name that others rely on: checkpoints,
 * run.json, notes and the index all pass here.
 *
 *     crn_publish_begin     a private name in the same folder, locked, its size reserved
 *     crn_publish_set_mode  if it is to be written past the cache
 *     crn_publish_write     any number of times
 *     crn_publish_seal      one fsync, never retried, then close
 *     crn_publish_as_new    rename that never replaces, then fsync of the folder
 *     crn_publish_over      the same, replacing
 *     crn_publish_end       removes what was not published
 *
 * A private name is ".<name>.<16 hexadecimal digits>.part". Its writer holds a lock on it, so a
 * leftover is told from a file that is being written by trying the lock. The lock outlives the
 * close of the descriptor that wrote, by a second one, until the file bears its final name.
 */
#ifndef CRN_CKPT_PUBLISH_H
#define CRN_CKPT_PUBLISH_H

#include "cairn/checkpoint.h"
#include "os/os.h"

/* A folder that files are published in. Borrowed by all calls. */
typedef struct crn_folder {
    const crn_os *os;
    int fd;
    const char *path; /* For messages. */
} crn_folder;

/* How bytes go to the device. */
typedef enum crn_write_mode {
    CRN_WRITE_CACHED,   /* as the kernel likes; for small files and for saves that are waited for */
    CRN_WRITE_DIRECT,   /* past the page cache; memory, sizes and offsets in pages */
    CRN_WRITE_UNCACHED, /* through it, but dropped at once */
    CRN_WRITE_FLUSHED   /* through it, the transfer started with each write */
} crn_write_mode;

typedef struct crn_publish {
    const crn_folder *folder;
    char *part;  /* the private name; NULL while there is no file */
    int fd;      /* -1 once closed */
    int lock_fd; /* the same open file: its lock holds until the private name is no more; -1: none
                  */
    crn_write_mode mode;
} crn_publish;

/*
 * The best mode for large files in @folder, found out with a private file that is removed again.
 * A folder that takes no file now is CRN_WRITE_FLUSHED: the save will say what is wrong.
 */
crn_write_mode crn_publish_probe(const crn_folder *folder);
/* "O_DIRECT" and so on. Static. */
const char *crn_write_mode_text(crn_write_mode mode);
/* From here on writes use @mode. */
cairn_status crn_publish_set_mode(crn_publish *p, crn_write_mode mode, cairn_error *err);

/* @out is usable, and to be ended, whatever is returned. @name is for the private name only. */
cairn_status crn_publish_begin(crn_publish *out, const crn_folder *folder, const char *name,
                               uint64_t bytes, cairn_error *err);
/* Several threads may write different bytes at once. */
cairn_status crn_publish_write(crn_publish *p, const void *bytes, size_t size, uint64_t offset,
                               cairn_error *err);
cairn_status crn_publish_seal(crn_publish *p, cairn_error *err);

/* Candidate number @attempt for the final name, yours. A failure ends the search. */
typedef cairn_status (*crn_publish_name_fn)(void *user, unsigned attempt, char **out_name,
                                            cairn_error *err);
/*
 * Takes the first name that is free. @out_name is yours and set as soon as the file bears it, so
 * on CAIRN_EUNKNOWN too: the folder could not be synced.
 */
cairn_status crn_publish_as_new(crn_publish *p, crn_publish_name_fn name, void *user,
                                char **out_name, cairn_error *err);
/* @retval CAIRN_EUNKNOWN  The folder could not be synced. */
cairn_status crn_publish_over(crn_publish *p, const char *name, cairn_error *err);
void crn_publish_end(crn_publish *p);

/* A whole small file, replacing. */
cairn_status crn_publish_text(const crn_folder *folder, const char *name, const char *text,
                              size_t size, cairn_error *err);
/* Removes @name and the notes beside it, durably; absent is success. */
cairn_status crn_publish_remove(const crn_folder *folder, const char *name, cairn_error *err);
/* Removes leftover private files that nobody writes any more. What cannot be removed stays. */
void crn_publish_sweep(const crn_folder *folder, const cairn_log *log);

/* True for names that are never checkpoints: private files, notes, hidden files. */
bool crn_publish_is_private(const char *name);

#define CRN_NOTES_SUFFIX ".notes.json"

#endif
