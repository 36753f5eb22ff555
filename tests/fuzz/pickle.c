/* PyTorch files: a whole one, which begins as a zip file does, or else a bare pickle beside a
 * storage of 24 bytes. */
#include <string.h>

#include "fuzz/fuzz.h"
#include "interop/archive_protocol.h"
#include "pickle/file.h"

enum { READ_MAX = 4096, STORAGE_BYTES = 24 };

/* Every element of a tensor lies inside its storage. */
static void check_tensors(const crn_pickle_tree *tree, uint64_t begin, uint64_t end)
{
    for (size_t i = 0; i < tree->tensor_count; i++) {
        const crn_pickle_tensor *const tensor = &tree->tensors[i];
        CHECK(tensor->bytes == 0 || tensor->begin >= begin);
        CHECK(tensor->bytes <= end - begin && tensor->span <= end - begin);
        CHECK(tensor->bytes == 0 || tensor->begin + tensor->span <= end);
    }
}

/* The table is whole records, and not more than the other side takes. */
static void check_table(const crn_pickle_table *table)
{
    size_t at = 0;
    size_t count = 0;
    for (; at < table->records.length; count++) {
        crn_archive_record record;
        CHECK(table->records.length - at >= sizeof record);
        memcpy(&record, table->records.text + at, sizeof record);
        const char *const name =
            table->records.text + at + sizeof record + record.rank * sizeof(uint64_t);
        CHECK(record.name_bytes > 0 && record.name_bytes <= CAIRN_NAME_MAX);
        CHECK(record.rank <= CAIRN_RANK_MAX && strlen(name) == record.name_bytes);
        at += sizeof record + record.rank * sizeof(uint64_t) + record.name_bytes + 1;
        at += record.kind == CRN_ARCHIVE_TEXT ? (size_t)record.text_bytes + 1 : 0;
        at = (at + 7) / 8 * 8;
    }
    CHECK(at == table->records.length && count == table->entries);
    CHECK(at <= CRN_ARCHIVE_TABLE_MAX && count <= CRN_ARCHIVE_ENTRIES_MAX);
}

static void read_file(const uint8_t *data, size_t size)
{
    memory_os memory;
    crn_pickle_file *file = NULL;
    int fd = -1;
    memory_os_init(&memory, data, size);
    CHECK(memory.os.open(&memory.os, CRN_OS_CWD, "file", CRN_OPEN_READ, &fd) == 0);
    if (crn_pickle_open(&memory.os, fd, &file, NULL) == CAIRN_OK) {
        const crn_pickle_table *const table = crn_pickle_file_table(file);
        uint8_t bytes[READ_MAX];
        check_table(table);
        for (uint64_t i = 0; i < table->tensor_count; i++) {
            /* As much as is there: powers of two are multiples of every element's size. */
            for (uint64_t step = READ_MAX; step > 0; step /= 2)
                (void)crn_pickle_read(file, i, 0, step, bytes, NULL);
        }
    }
    crn_pickle_close(file);
    CHECK(memory.os.close(&memory.os, fd) == 0);
}

static void run_pickle(const uint8_t *data, size_t size)
{
    static const char k_name[] = "a/data/0";
    crn_zip_entry entry = {
        .name = k_name, .name_length = sizeof k_name - 1, .begin = 100, .bytes = STORAGE_BYTES};
    const crn_zip zip = {.entries = &entry, .count = 1};
    crn_pickle_tree tree;
    crn_pickle_table table = {0};
    if (crn_pickle_run(data, size, &zip, k_name, 2, &tree, NULL) == CAIRN_OK) {
        check_tensors(&tree, entry.begin, entry.begin + entry.bytes);
        if (crn_pickle_table_make(&tree, &table, NULL) == CAIRN_OK)
            check_table(&table);
    }
    crn_pickle_table_dispose(&table);
    crn_pickle_tree_dispose(&tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *const copy = fuzz_copy(data, size, false);
    if (size >= 2 && memcmp(data, "PK", 2) == 0)
        read_file(copy, size);
    else
        run_pickle(copy, size);
    free(copy);
    return 0;
}
