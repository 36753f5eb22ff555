/*
 * The test kit: cmocka, fresh folders, files in one call, and an operating system that fails where
 * a test wants it to.
 *
 * Helpers fail the running test when something is wrong with the machine itself, so tests need no
 * checks of their own for that.
 */
#ifndef TK_KIT_H
#define TK_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "cairn/error.h"
#include "os/os.h"

enum { TK_PATH_SIZE = 4096, TK_TRACE_SIZE = 65536, TK_OPEN_MAX = 64 };

/* --- Files -------------------------------------------------------------------------------- */

/* Makes a fresh empty folder under $TMPDIR or /tmp; @path receives its name. Returns @path. */
char *tk_temp_dir(char path[TK_PATH_SIZE]);
/* Removes @path with everything in it; links are removed, never followed. */
void tk_remove_tree(const char *path);

/* cmocka setup and teardown: *state is the path (a char *) of a fresh folder for each test. */
int tk_temp_setup(void **state);
int tk_temp_teardown(void **state);

/* "@dir/@name" into @buf, which is returned. */
char *tk_join(char buf[TK_PATH_SIZE], const char *dir, const char *name);

/* Writes a new file, or replaces an old one's contents. Folders must exist. */
void tk_write_file(const char *dir, const char *name, const void *bytes, size_t size);
void tk_write_text(const char *dir, const char *name, const char *text);
/* The contents with a NUL behind them, yours: free(). @out_size may be NULL. */
char *tk_read_file(const char *dir, const char *name, size_t *out_size);
/* Fails the test unless the file holds exactly @text. */
void tk_assert_file_text(const char *dir, const char *name, const char *text);
/* True for anything of that name, a broken link too. */
bool tk_exists(const char *dir, const char *name);
/* Names in @dir, sorted, joined by one space ("" if there are none); yours: free(). */
char *tk_list(const char *dir);
/* Fails the test unless tk_list says @names. */
void tk_assert_list(const char *dir, const char *names);
/* A directory descriptor; close it with close(). */
int tk_open_dir(const char *path);

/* --- Errors ------------------------------------------------------------------------------- */

/* Fails the test, showing the error's text, unless @actual is @expected. */
#define tk_assert_status(actual, expected, err)                                                    \
    tk_assert_status_at((actual), (expected), (err), __FILE__, __LINE__)
#define tk_assert_ok(actual, err) tk_assert_status((actual), CAIRN_OK, (err))
/* Fails the test unless the error's text contains @part. */
#define tk_assert_error_has(err, part) tk_assert_error_has_at((err), (part), __FILE__, __LINE__)

void tk_assert_status_at(cairn_status actual, cairn_status expected, const cairn_error *err,
                         const char *file, int line);
void tk_assert_error_has_at(const cairn_error *err, const char *part, const char *file, int line);

/* --- An operating system with faults ------------------------------------------------------- */

/*
 * Wraps another table (the real one by default). Every call but the clocks' is numbered from 1
 * and leaves one letter in `trace`:
 *
 *   o open   c close  r read_at   w write_at    a append      v reserve     s sync
 *   f stat_fd  t stat  n rename_new  m rename_over  u unlink  d make_dirs   l list
 *   k lock   b free_bytes   p real_path   x random
 *   e write_uncached   i set_direct   g start_writeback   h duplicate   y symlink
 *
 * A call that is made to fail has no effect, but for close, which closes and then fails, as the
 * kernel's does, and for a write under `is_torn`. Set the fields before the calls they are to
 * govern. Thread safety: calls through the table may come from any thread; fields are read and set
 * while none is under way.
 *
 *     tk_fault_os fault;
 *     tk_fault_init(&fault);
 *     fault.fail_at = 3;
 *     fault.fail_errno = ENOSPC;
 *     ... pass &fault.os ...
 *     tk_fault_dispose(&fault);
 */
typedef struct tk_fault_os {
    crn_os os;          /* Pass the address of this. */
    const crn_os *real; /* What a call that does not fail goes to. */

    /* Plan. */
    uint64_t fail_at; /* Number of the call that fails; 0: none. */
    char fail_op;     /* If set, fail_at counts only the calls of this letter. */
    int fail_errno;   /* What it fails with; EIO if 0. */
    bool is_sticky;   /* All later calls (of that letter) fail too. */
    uint64_t dead_at; /* From this call on (all letters counted) the process is dead: every call
                         is EIO and does nothing, not even close. 0: never. */
    bool is_torn;     /* The first failing or dead write_at or append writes half its bytes. */

    /* Clocks: while is_clock_fake, the two values below (a pause moves the second); otherwise the
       real ones. */
    bool is_clock_fake;
    int64_t realtime_ns;
    int64_t monotonic_ns;

    /* Record. */
    uint64_t calls;            /* All calls so far. */
    uint64_t op_calls;         /* Calls of letter fail_op so far. */
    uint64_t failed;           /* Calls that were made to fail. */
    char trace[TK_TRACE_SIZE]; /* Letters; later ones are dropped when it is full. */

    struct tk_fault_private *priv;
} tk_fault_os;

void tk_fault_init(tk_fault_os *fault);
/* Forgets plan and record, keeps clocks and open descriptors. */
void tk_fault_reset(tk_fault_os *fault);
/* Descriptors opened through the table and not closed: 0 after correct code, even one that failed.
 */
int tk_fault_open_count(const tk_fault_os *fault);
/* Closes what is still open, as the kernel does for a killed process: its locks end here. */
void tk_fault_close_all(tk_fault_os *fault);
/* tk_fault_close_all, and releases the rest. */
void tk_fault_dispose(tk_fault_os *fault);

/* --- An operating system whose writes wait for the test ------------------------------------- */

/*
 * write_at and write_uncached count, wait while the gate is shut, and fail if told to. All else is
 * the other table's. Thread safety: any thread.
 */
typedef struct tk_gate_os {
    crn_os os; /* Pass the address of this. */
    const crn_os *real;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_open;           /* Nobody waits; at first it is. */
    bool is_at_sync;        /* The gate is before each sync instead: all bytes are handed over. */
    uint64_t allowed;       /* Writes let through while it is shut. */
    uint64_t arrived;       /* Writes that came. */
    int fail_errno;         /* Of writes, once they are let through; 0: none. */
    uint64_t syncs_to_fail; /* The sync after this many fails with EIO; 0: none. */
    bool is_direct_off;     /* set_direct is refused: set it before use. */
    bool is_uncached_off;   /* write_uncached, likewise. */
} tk_gate_os;

/* @real: borrowed. */
void tk_gate_init(tk_gate_os *gate, const crn_os *real);
void tk_gate_dispose(tk_gate_os *gate);
void tk_gate_set(tk_gate_os *gate, bool is_open, int fail_errno);
void tk_gate_allow(tk_gate_os *gate, uint64_t writes);
void tk_gate_fail_sync(tk_gate_os *gate, uint64_t number);
/* Returns once @count writes have come. */
void tk_gate_await(tk_gate_os *gate, uint64_t count);

#endif
