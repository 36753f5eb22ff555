/* Takes from this process what reading an open file does not need. */
#ifndef CRN_CONFINED_CONFINE_H
#define CRN_CONFINED_CONFINE_H

/*
 * Limits of memory and of files, then a seccomp filter: from now on it can read and write open
 * descriptors, receive more of them, and ask for memory; every other system call fails with EPERM.
 * For good. False: the kernel refused; nothing may be read then.
 */
#include <stdbool.h>

bool crn_confine(void);

#endif
