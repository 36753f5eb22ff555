/* Finding added tokens in a text. */
#include <string.h>

#include "tokenizer/tokenizer.h"

static uint32_t longest_at(const cairn_tokenizer *tokenizer, const crn_added_set *set,
                           const char *text, size_t size)
{
    for (size_t i = 0; i < set->count; i++) {
        const crn_added *const added = &tokenizer->added[set->members[i]];
        if (added->sought.length <= size &&
            memcmp(text, added->sought.text, added->sought.length) == 0)
            return set->members[i];
    }
    return UINT32_MAX;
}

uint32_t crn_added_find(const cairn_tokenizer *tokenizer, const crn_added_set *set,
                        const char *text, size_t size, size_t from, size_t until, size_t *out_at)
{
    for (size_t at = from; at < until; at++) {
        if (!set->begins[(uint8_t)text[at]])
            continue;
        const uint32_t found = longest_at(tokenizer, set, text + at, size - at);
        if (found != UINT32_MAX) {
            *out_at = at;
            return found;
        }
    }
    return UINT32_MAX;
}
