/*
 * The main function of a helper program: it is started by the library (os/helper.c), which speaks
 * to it over descriptor 3, and works where a fault or an attack gains nothing: no files, no
 * network, no other program, not even the environment. It ends when the socket does.
 */
#ifndef CRN_CONFINED_SERVICE_H
#define CRN_CONFINED_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

/* Answers a request of request_size bytes, aligned for any type; @fd came along (-1: none) and is
 * yours. False: it is no request, or the other side has gone; the program ends. */
typedef bool (*crn_confined_answer_fn)(void *user, const void *request, int fd);

typedef struct crn_confined_program {
    const char *name;    /* of the program */
    const char *purpose; /* "read HDF5 files" */
    size_t request_size; /* at most CRN_CONFINED_REQUEST_MAX */
    unsigned seconds;    /* longer for one request: the program ends */
    bool (*setup)(void); /* while all is still allowed; NULL: nothing to do */
    crn_confined_answer_fn answer;
    void *user;
} crn_confined_program;

enum { CRN_CONFINED_REQUEST_MAX = 64 };

/* Confines this process, then answers requests one by one. Returns an exit code if it was started
 * by hand or cannot be confined; otherwise never: the process ends with the socket. */
int crn_confined_serve(const crn_confined_program *program);

/* For answers. False: the other side has gone. */
bool crn_confined_send(const void *bytes, size_t size);

#endif
