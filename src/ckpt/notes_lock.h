/*
 * One writer of notes at a time in a folder. A fit writes losses while a person pins, and both read
 * the notes, change them and write them back.
 *
 * The lock is a file that is there only while it is held. It is named as leftovers of saves are, so
 * that one of a process that was killed is swept with them.
 */
#ifndef CRN_CKPT_NOTES_LOCK_H
#define CRN_CKPT_NOTES_LOCK_H

#include "ckpt/publish.h"

#define CRN_NOTES_LOCK_FILE ".cairn-notes.0000000000000000.part"

typedef struct crn_notes_lock {
    const crn_folder *folder;
    int fd; /* -1: not held */
} crn_notes_lock;

/*
 * Waits up to ten seconds. @out is usable, and to be released, whatever is returned.
 * @retval CAIRN_ELOCKED  Another process still holds it, stopped perhaps.
 */
cairn_status crn_notes_lock_take(crn_notes_lock *out, const crn_folder *folder, cairn_error *err);
void crn_notes_lock_release(crn_notes_lock *lock);

#endif
