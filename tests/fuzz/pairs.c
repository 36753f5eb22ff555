/* The JSON texts in metadata values: pairs, and pairs by state. */
#include <string.h>

#include "format/format.h"
#include "fuzz/fuzz.h"

static crn_format_code note_pair(void *user, const char *outer, const char *key, const char *value)
{
    size_t *const bytes = user;
    CHECK(outer != NULL && (key == NULL) == (value == NULL));
    *bytes += strlen(outer) + (key != NULL ? strlen(key) + strlen(value) : 0);
    return CRN_FORMAT_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t bytes = 0;
    uint8_t *const json = fuzz_copy(data, size, false);
    const crn_format_code code = crn_pairs_parse((const char *)json, size, note_pair, &bytes);
    CHECK(code == CRN_FORMAT_OK || code == CRN_FORMAT_JSON);
    free(json);
    return 0;
}
