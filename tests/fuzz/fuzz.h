/*
 * What the fuzz targets share. A target is one file with LLVMFuzzerTestOneInput: with libFuzzer it
 * is a fuzzer, with replay.c a plain program that runs the inputs of its corpus as a test.
 *
 * A target stops the process, by CHECK or by a sanitizer, when a promise of the code under test is
 * broken. Inputs that are refused are its daily bread.
 */
#ifndef TEST_FUZZ_H
#define TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/os.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In every build, unlike assert. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Copies @size bytes into a block of that very size, so that a sanitizer sees a byte too many;
 * with a NUL behind them if @with_nul. Yours: free(). */
static inline uint8_t *fuzz_copy(const uint8_t *data, size_t size, bool with_nul)
{
    uint8_t *const copy = malloc(size + with_nul > 0 ? size + with_nul : 1);
    CHECK(copy != NULL);
    for (size_t i = 0; i < size; i++)
        copy[i] = data[i];
    if (with_nul)
        copy[size] = 0;
    return copy;
}

/*
 * An operating system in which every file that is read has the same bytes, and every folder can be
 * opened. Nothing else is there: a reader that tries to write calls NULL.
 */
typedef struct memory_os {
    crn_os os; /* Pass the address of this. */
    const uint8_t *bytes;
    size_t size;
} memory_os;

/* Borrows @bytes. */
void memory_os_init(memory_os *memory, const uint8_t *bytes, size_t size);

#endif
