/* <checkpoint>.notes.json, read from a folder in memory. */
#include <math.h>
#include <string.h>

#include "ckpt/store_priv.h"
#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const k_keys[] = {"val_loss", "a", ""};
    memory_os memory;
    memory_os_init(&memory, data, size);
    for (size_t i = 0; i < sizeof k_keys / sizeof k_keys[0]; i++) {
        double first = 1.5;
        double second = 2.5;
        const bool is_there =
            crn_notes_get_number_os(&memory.os, "folder/checkpoint_1.mdl", k_keys[i], &first);
        CHECK(is_there || first == 1.5);
        CHECK(crn_notes_get_number_os(&memory.os, "checkpoint_1.mdl", k_keys[i], &second) ==
              is_there);
        CHECK(!is_there || first == second || (isnan(first) && isnan(second)));
    }
    return 0;
}
