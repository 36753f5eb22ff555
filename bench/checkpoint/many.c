/* A folder with many checkpoints, to list. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/try.h"
#include "bench.h"
#include "ckpt/plan.h"

/* One whose header is what a save of the tree would write; the data, which nobody reads, is a hole,
 * and the digests of it are zeros. */
static cairn_status write_one(const bench *b, const crn_plan *plan, uint64_t step, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    char path[4200];
    crn_str header = {0};
    int fd = -1;
    const crn_file_facts facts = {.kind = CRN_KIND_FULL,
                                  .step = step,
                                  .run_id = "0123456789abcdef0123456789abcdef",
                                  .save_counter = step};
    CRN_TRY_PLAIN(crn_plan_header(plan, &facts, false, &header, err));
    (void)snprintf(path, sizeof path, "%s/checkpoint_%" PRIu64 ".mdl", b->folder, step);
    int e = b->os->open(b->os, CRN_OS_CWD, path, CRN_OPEN_CREATE_NEW, &fd);
    if (e == 0)
        e = b->os->write_at(b->os, fd, header.text, header.length, 0);
    if (e == 0 && ftruncate(fd, (off_t)(header.length + plan->data_bytes)) != 0)
        e = EIO;
    if (e == 0)
        e = b->os->sync(b->os, fd);
    if (e != 0)
        CRN_FAIL_ERRNO(err, e, "write '%s'", path);
    /* Clean pages leave the cache, so the list has to read them from the device. */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
out:
    if (fd >= 0)
        (void)b->os->close(b->os, fd);
    crn_str_dispose(&header);
    return rc;
}

cairn_status bench_make_many(bench *b, uint64_t count, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_plan plan = {0};
    CRN_TRY_PLAIN(crn_plan_make(&plan, b->tree, NULL, err));
    for (uint64_t i = 1; i <= count; i++)
        CRN_TRY_PLAIN(write_one(b, &plan, i, err));
out:
    crn_plan_dispose(&plan);
    return rc;
}

cairn_status bench_list(bench *b, bool is_cold, uint64_t *out_count, double *out_seconds,
                        cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    cairn_catalogue *catalogue = NULL;
    CRN_TRY_PLAIN(cairn_catalogue_read(b->store, &catalogue, err));
    for (size_t i = 0; is_cold && i < cairn_catalogue_count(catalogue); i++) {
        int fd = -1;
        if (b->os->open(b->os, CRN_OS_CWD, cairn_catalogue_at(catalogue, i)->path, CRN_OPEN_READ,
                        &fd) != 0)
            continue;
        (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        (void)b->os->close(b->os, fd);
    }
    cairn_catalogue_destroy(catalogue);
    catalogue = NULL;
    const double start = bench_now(b);
    CRN_TRY_PLAIN(cairn_catalogue_read(b->store, &catalogue, err));
    *out_seconds = bench_now(b) - start;
    *out_count = cairn_catalogue_count(catalogue);
out:
    cairn_catalogue_destroy(catalogue);
    return rc;
}
