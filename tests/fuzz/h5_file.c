/*
 * HDF5 files as cairn-hdf5 reads them, but under sanitizers instead of a seccomp filter: our checks
 * and our driver with the HDF5 library below them.
 *
 * That library has faults of its own, which is why cairn-hdf5 is confined: a damaged file makes it
 * crash, leak, or run in circles. They are not for us to mend, and must not end a fuzzer that looks
 * for ours. So each input is read by a child, whose death in the library's code, or of old age, is
 * no finding. Anything else is. What the child said tells the fuzzer which inputs are new.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "h5/dataset.h"
#include "h5/file.h"
#include "h5/mdl.h"
#include "interop/archive_protocol.h"

enum { COUNT_MAX = 1 << 16, SECONDS_MAX = 5, IN_LIBRARY = 77, COUNTERS = 256 };

__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t s_counters[COUNTERS];

static int file_of(const uint8_t *data, size_t size)
{
    const int fd = memfd_create("file", MFD_CLOEXEC);
    CHECK(fd >= 0);
    CHECK(write(fd, data, size) == (ssize_t)size);
    return fd;
}

/* @count numbers from @first on; what is not there is refused. */
static void read_some(crn_h5_file *file, const crn_h5_reply *reply, uint64_t first, uint64_t count)
{
    char why[CRN_H5_TEXT_MAX] = "";
    int32_t *const numbers = malloc(count > 0 ? (size_t)count * sizeof *numbers : 1);
    CHECK(numbers != NULL);
    const bool is_read = crn_h5_read(file, first, count, numbers, why);
    CHECK(is_read == (why[0] == '\0'));
    CHECK(!is_read || first < reply->shape[0]);
    free(numbers);
}

static void read_all(crn_h5_file *file, const crn_h5_reply *reply)
{
    const uint64_t rows = reply->shape[0];
    uint64_t count = rows;
    if (reply->rank == CRN_H5_FEATURES)
        count = CRN_H5_FEATURES * reply->shape[2];
    if (count > COUNT_MAX)
        count = COUNT_MAX;
    for (uint64_t i = 0; i < 3; i++)
        read_some(file, reply, i, count);
    read_some(file, reply, rows - 1, reply->rank == 1 ? 1 : count);
    read_some(file, reply, rows, count);
    read_some(file, reply, UINT64_MAX, 1);
}

static void check_file(const uint8_t *data, size_t size, char why[CRN_H5_TEXT_MAX])
{
    crn_h5_reply reply = {0};
    CHECK(crn_h5_setup());
    crn_h5_file *const file = crn_h5_open(file_of(data, size), &reply, why);
    CHECK((file == NULL) == (why[0] != '\0'));
    if (file == NULL)
        return;
    CHECK(reply.rank == 1 || reply.rank == CRN_H5_FEATURES);
    CHECK(reply.rank == 1 || (reply.shape[1] >= CRN_H5_FEATURES && reply.shape[2] > 0 &&
                              reply.shape[2] <= CRN_H5_VALUES_MAX / CRN_H5_FEATURES));
    read_all(file, &reply);
    crn_h5_close(file);
}

/* The same file as a checkpoint: every tensor that its table has can be read, or that is refused.
 */
static void check_mdl(const uint8_t *data, size_t size)
{
    cairn_error err = {0};
    crn_mdl *mdl = NULL;
    const cairn_status status = crn_mdl_open(file_of(data, size), &mdl, &err);
    CHECK(status == CAIRN_OK || status == CAIRN_ECORRUPT || status == CAIRN_EUNSUPPORTED);
    CHECK((mdl != NULL) == (status == CAIRN_OK));
    if (mdl == NULL)
        return;
    uint8_t *const bytes = malloc(COUNT_MAX);
    CHECK(bytes != NULL && crn_mdl_table(mdl)->length <= CRN_ARCHIVE_TABLE_MAX);
    for (uint64_t i = 0; i < 4; i++) {
        const cairn_status small = crn_mdl_read(mdl, i, 0, 8, bytes, &err);
        const cairn_status large = crn_mdl_read(mdl, i, 8, COUNT_MAX, bytes, &err);
        CHECK(small == CAIRN_OK || small == CAIRN_ECORRUPT);
        CHECK(large == CAIRN_OK || large == CAIRN_ECORRUPT);
    }
    free(bytes);
    crn_mdl_close(mdl);
}

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ADDRESS_SANITIZER 1
#endif
#endif
#ifdef HAS_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>

/* The first frame of the stack that is not of the sanitizer or the C library. */
static void end_in_library(const char *report)
{
    const char *frame = strstr(report, "    #0 ");
    while (frame != NULL) {
        const size_t length = strcspn(frame, "\n");
        const char *const library = memmem(frame, length, "libhdf5", strlen("libhdf5"));
        if (library != NULL)
            _exit(IN_LIBRARY);
        if (memmem(frame, length, "/src/h5/", strlen("/src/h5/")) != NULL)
            return;
        frame = frame[length] == '\n' && strncmp(frame + length + 1, "    #", 5) == 0
                    ? frame + length + 1
                    : NULL;
    }
}

static void tell_apart(void)
{
    __asan_set_error_report_callback(end_in_library);
}
#else
static void tell_apart(void)
{
}
#endif

/* Inputs that differ in what is said of them, numbers apart, are worth keeping. */
static void count_words(const char *why)
{
    uint32_t hash = 0;
    for (; *why != '\0'; why++) {
        if (*why < '0' || *why > '9')
            hash = hash * 31 + (unsigned char)*why;
    }
    s_counters[hash % COUNTERS]++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char *s_why; /* shared with the children */
    int status = 0;
    if (s_why == NULL)
        s_why =
            mmap(NULL, CRN_H5_TEXT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(s_why != MAP_FAILED);
    s_why[0] = '\0';
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        (void)signal(SIGALRM, SIG_DFL);
        (void)alarm(SECONDS_MAX);
        tell_apart();
        check_file(data, size, s_why);
        check_mdl(data, size);
        _exit(0);
    }
    while (waitpid(child, &status, 0) != child)
        CHECK(errno == EINTR); /* the fuzzer's clock */
    CHECK((WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == IN_LIBRARY)) ||
          (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM));
    count_words(s_why);
    return 0;
}
