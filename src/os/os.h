/*
 * The operating system, behind a table that tests replace. No other room may call open, write,
 * rename, fsync, unlink, opendir, clock_gettime or a lock directly.
 *
 * Every function returns 0 or an errno value and sets its outputs only on success; interrupted
 * calls (EINTR) are repeated inside, but for fsync and close, which are never repeated. Names are
 * relative to a directory descriptor; CRN_OS_CWD stands for the working directory (and takes
 * absolute paths). Thread safety: the table is const; calls on different descriptors may run at
 * once.
 */
#ifndef CRN_OS_OS_H
#define CRN_OS_OS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cairn/export.h"

enum { CRN_OS_CWD = -100 }; /* AT_FDCWD */

typedef enum crn_open_mode {
    CRN_OPEN_READ,       /* a regular file to read; never blocks on a FIFO */
    CRN_OPEN_CREATE_NEW, /* write; fails with EEXIST if the name is there; not through symlinks */
    CRN_OPEN_APPEND,     /* write at the end, made if absent */
    CRN_OPEN_LOCK,       /* read and write, made if absent, never truncated */
    CRN_OPEN_DIRECTORY
} crn_open_mode;

typedef enum crn_file_kind { CRN_FILE_REGULAR, CRN_FILE_DIRECTORY, CRN_FILE_OTHER } crn_file_kind;

typedef struct crn_file_stat {
    crn_file_kind kind;
    uint64_t size;
    int64_t mtime_ns;
    uint64_t inode;
} crn_file_stat;

/* A piece of memory that a read fills. */
typedef struct crn_os_part {
    void *bytes;
    size_t size;
} crn_os_part;

enum { CRN_OS_PARTS_MAX = 256 };

/* Called for each entry but "." and ".."; a non-zero return stops and is returned. */
typedef int (*crn_list_fn)(void *user, const char *name);

typedef struct crn_os crn_os;
struct crn_os {
    int (*open)(const crn_os *os, int dir, const char *name, crn_open_mode mode, int *out_fd);
    int (*close)(const crn_os *os, int fd);
    /* Another descriptor of the same open file: a lock on it holds until both are closed. */
    int (*duplicate)(const crn_os *os, int fd, int *out_fd);
    /* Reads until @size bytes or the end of the file; *out_got says how many. */
    int (*read_at)(const crn_os *os, int fd, void *buf, size_t size, uint64_t offset,
                   size_t *out_got);
    /* Like read_at, with the bytes in @count (at most CRN_OS_PARTS_MAX) pieces, one behind another,
     * and in as few calls as the kernel takes. */
    int (*read_parts)(const crn_os *os, int fd, const crn_os_part *parts, size_t count,
                      uint64_t offset, size_t *out_got);
    /* Writes all of it; a write that makes no progress twice is EIO. */
    int (*write_at)(const crn_os *os, int fd, const void *buf, size_t size, uint64_t offset);
    /* Like write_at, but the pages leave the cache as soon as they are on the device. EOPNOTSUPP
     * or another error where the kernel or the file system cannot. */
    int (*write_uncached)(const crn_os *os, int fd, const void *buf, size_t size, uint64_t offset);
    /* Writes and reads of @fd go past the page cache from now on: memory, offsets and sizes must be
     * multiples of 4096. EINVAL where the file system cannot; the first transfer may say so too. */
    int (*set_direct)(const crn_os *os, int fd);
    /* Starts the transfer of what was written there, without waiting; says nothing about it. */
    int (*start_writeback)(const crn_os *os, int fd, uint64_t offset, uint64_t size);
    /* Writes all of it at the end of a file opened with CRN_OPEN_APPEND. */
    int (*append)(const crn_os *os, int fd, const void *buf, size_t size);
    /* Reserves blocks and sets the size; where the file system cannot reserve, sets the size. */
    int (*reserve)(const crn_os *os, int fd, uint64_t size);
    /* Never retried: after an error the data must be taken as lost. */
    int (*sync)(const crn_os *os, int fd);
    int (*stat_fd)(const crn_os *os, int fd, crn_file_stat *out);
    /* Does not follow a symbolic link at the end of @name. */
    int (*stat)(const crn_os *os, int dir, const char *name, crn_file_stat *out);
    /* EEXIST if @to exists; where renameat2 is refused: link and unlink. */
    int (*rename_new)(const crn_os *os, int dir, const char *from, const char *to);
    int (*rename_over)(const crn_os *os, int dir, const char *from, const char *to);
    int (*unlink)(const crn_os *os, int dir, const char *name);
    /* An empty folder; ENOTEMPTY. */
    int (*remove_folder)(const crn_os *os, int dir, const char *name);
    /* A symbolic link at @name that holds @target as it is. EEXIST. */
    int (*symlink)(const crn_os *os, const char *target, int dir, const char *name);
    /* Makes the folder and its missing parents, each synced into its own parent; an existing
     * folder is success. */
    int (*make_dirs)(const crn_os *os, const char *path);
    int (*list)(const crn_os *os, int dir, crn_list_fn fn, void *user);
    /* Open-file-description lock on the whole file, not waiting: EAGAIN if another holds it. */
    int (*lock)(const crn_os *os, int fd);
    /* Bytes that this user may still write where @dir is: the free space, or what a quota leaves
     * if that is less. EOPNOTSUPP where nobody knows. */
    int (*free_bytes)(const crn_os *os, int dir, uint64_t *out_bytes);
    /* The absolute path with links resolved; *out_path is yours (crn_free). */
    int (*real_path)(const crn_os *os, const char *path, char **out_path);
    int (*random)(const crn_os *os, void *buf, size_t size);
    int64_t (*realtime_ns)(const crn_os *os);
    int64_t (*monotonic_ns)(const crn_os *os);
    /* Waits that long, or less if a signal comes. */
    void (*pause)(const crn_os *os, int64_t ns);
    void *self; /* For tables that wrap another. */
};

/* The real one. Static. */
const crn_os *crn_os_posix(void);

/*
 * Reads a whole file of at most @max_bytes into memory that is yours (crn_free); a NUL follows the
 * last byte. EFBIG if it is larger, EISDIR or EINVAL if it is no regular file, ENOMEM.
 */
int crn_os_read_file(const crn_os *os, int dir, const char *name, size_t max_bytes, char **out_text,
                     size_t *out_size);

/* Process facts for messages. */
const char *crn_os_host_name(char *buf, size_t size);
int64_t crn_os_process_id(void);

/*
 * Memory. Bytes that this process may still take before the kernel has to kill somebody: what the
 * machine has, or what a control group leaves if that is less. False where nobody knows.
 */
bool crn_memory_available(uint64_t *out_bytes);
/* The most that this process has had at once; 0: not known. */
uint64_t crn_memory_peak(void);
/* The number behind the word @key at the beginning of a line of @text; false: there is none. */
bool crn_memory_field(const char *text, const char *key, uint64_t *out);
/* What a control group leaves: the texts of its memory.max, memory.current and memory.stat.
 * UINT64_MAX: it has no limit. */
uint64_t crn_memory_left(const char *limit, const char *used, const char *stat);

/* Starts a thread that no signal interrupts: they go to the threads of the program. @name: at most
 * 15 bytes, for lists of threads. Returns an errno value. */
int crn_thread_start(pthread_t *out, void *(*main)(void *), void *argument, const char *name);

/*
 * Shared objects. Loads one for the rest of the process (it is never unloaded; loading it again
 * gives the same); @path has a "/". False: @problem, of @size bytes, says why.
 */
bool crn_object_load(const char *path, void **out_object, char *problem, size_t size);
typedef void (*crn_function)(void);
/* The function @name of @object, to be cast to its type; NULL if there is none. */
crn_function crn_object_function(void *object, const char *name);

/*
 * Child processes. Memory that outlives a child: a file without a name, zeroed, of @size bytes,
 * which children inherit under the same number. Write and read it through the table.
 */
int crn_child_memory(size_t size, int *out_fd);

typedef struct crn_child_end {
    bool is_signal;
    int number;             /* of the signal, or the exit code; 127: it could not be started */
    bool was_asked_to_stop; /* SIGTERM or SIGINT came meanwhile */
} crn_child_end;

/*
 * Runs this very program again with @words (NULL-ended; the first is the name) and waits for its
 * end. SIGTERM, SIGINT and SIGUSR1 to this process are passed on; while no child runs they wait.
 * The child is killed when this process ends. For a process with one thread. Returns an errno
 * value: no child was started, or it was lost.
 */
int crn_child_run(char *const *words, crn_child_end *out);
/* For the process between two children: waits so long, or until SIGTERM or SIGINT comes, which the
 * next child then gets. */
void crn_child_pause(int64_t ns);

/*
 * Helper programs: another program that does one thing for this process behind a socket, such as
 * reading files nobody vouches for. It gets the socket as descriptor 3, nothing to read from or
 * write to besides, all signals blocked, and of the environment only what its loader and sanitizers
 * need. For any number of threads; a helper is used by one at a time.
 */
enum { CRN_HELPER_SOCKET = 3 };
typedef struct crn_helper {
    int socket; /* -1: none */
    int64_t process;
} crn_helper;
/* The file of the helper program @name, yours (crn_free): beside this program, in
 * ../libexec/cairn from there, or where helpers are installed. NULL: it is nowhere. */
char *crn_helper_find(const crn_os *os, const char *name);
/* Starts @path. Returns an errno value; ENOENT if there is no such program. */
int crn_helper_start(const char *path, crn_helper *out);
/* Sends @size bytes and, if it is not -1, the descriptor @fd. EPIPE: the helper has ended. */
int crn_helper_send(const crn_helper *helper, const void *bytes, size_t size, int fd);
/* Waits for exactly @size bytes. EPIPE: the helper has ended; ETIMEDOUT: nothing came for
 * @timeout_ms. */
int crn_helper_receive(const crn_helper *helper, void *bytes, size_t size, int timeout_ms);
/* Ends the helper, whatever it does. Accepts one that was not started. */
void crn_helper_end(crn_helper *helper);

/* "SIGSEGV"; "signal 77" for one without a name. Returns @buf. */
const char *crn_signal_name(int number, char buf[32]);

/*
 * Signals. Installing twice is allowed; the handlers only set flags. The flags are process-wide
 * since signals are; the program, not the library, decides to install them.
 */
/* SIGTERM and SIGINT ask to stop (a second SIGINT ends the process at once with 130), SIGUSR1 to
 * save, SIGPIPE is ignored. A mask that was inherited no longer keeps them out. */
int crn_signals_install(void);
/* For a child of crn_child_run, before crn_signals_install: SIGINT counts only when its parent
 * passes it on, since a terminal or a batch system sends it to both and two would end the process
 * at once. */
void crn_signals_obey_parent(void);
/* What SIGINT is passed on as: it does not merge with one that comes from elsewhere. */
#define CRN_SIGNAL_INTERRUPT SIGRTMIN
/* True from the first SIGTERM or SIGINT on. */
bool crn_signal_stop_requested(void);
/* Name of the signal that asked to stop, or "". Static. */
const char *crn_signal_stop_name(void);
/* True once for each SIGUSR1 (several that arrive together count as one). */
bool crn_signal_take_save_request(void);

#endif
