/* model_dir/run.json, read by the public function from a folder in memory. */
#include <string.h>

#include "cairn/checkpoint.h"
#include "ckpt/store_priv.h"
#include "fuzz/fuzz.h"

static bool is_id(const char *text)
{
    return strlen(text) == CAIRN_RUN_ID_SIZE - 1 &&
           strspn(text, "0123456789abcdef") == strlen(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char s_folder[] = "folder";
    cairn_error err = {0};
    cairn_run run;
    memory_os memory;
    memory_os_init(&memory, data, size);
    const cairn_store store = {
        .os = &memory.os, .model_dir = s_folder, .model_folder = {.os = &memory.os, .fd = 1000}};
    const cairn_status status = cairn_run_read(&store, &run, &err);
    CHECK(status == CAIRN_OK || status == CAIRN_ECORRUPT || status == CAIRN_EVERSION);
    if (status == CAIRN_OK) {
        CHECK(is_id(run.run_id));
        CHECK(run.parent_run_id[0] == '\0' || is_id(run.parent_run_id));
        CHECK(run.loaded_path != NULL || run.loaded_states == NULL);
        cairn_run_dispose(&run);
    }
    return 0;
}
