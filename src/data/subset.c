#include "data/subset.h"

#include <stdbool.h>
#include <string.h>

#include "base/str.h"
#include "base/try.h"

enum { PIECE_SIZE = 64 };

/* "0.1-0.3" of @length bytes; blanks around it are allowed. */
static bool read_range(const char *text, size_t length, double *begin, double *end)
{
    char copy[PIECE_SIZE];
    while (length > 0 && *text == ' ') {
        text++;
        length--;
    }
    while (length > 0 && text[length - 1] == ' ')
        length--;
    if (length == 0 || length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *const dash = strchr(copy, '-');
    if (dash == NULL)
        return false;
    *dash = '\0';
    return crn_f64_from_text(copy, begin) && crn_f64_from_text(dash + 1, end);
}

static cairn_status add_range(crn_subset *subset, const char *text, double begin, double end,
                              double last, uint64_t samples, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!(begin >= last && end >= begin && end <= 1.0))
        CRN_FAIL(err, CAIRN_ECONFIG,
                 "data_subset '%s': the range %g-%g is not within 0 to 1 and behind the one before",
                 text, begin, end);
    if (subset->count == CRN_SUBSET_MAX)
        CRN_FAIL(err, CAIRN_ECONFIG, "data_subset has more than %d ranges", CRN_SUBSET_MAX);
    subset->begin[subset->count] = (uint64_t)((double)samples * begin);
    subset->first[subset->count] = subset->samples;
    subset->samples += (uint64_t)((double)samples * end) - subset->begin[subset->count];
    subset->count++;
out:
    return rc;
}

cairn_status crn_subset_read(const char *text, uint64_t samples, crn_subset *out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    double last = 0.0;
    *out = (crn_subset){0};
    if (text == NULL) {
        *out = (crn_subset){.count = 1, .samples = samples};
        goto out;
    }
    for (const char *rest = text;;) {
        double begin = 0.0;
        double end = 0.0;
        const size_t length = strcspn(rest, ",");
        if (!read_range(rest, length, &begin, &end))
            CRN_FAIL(err, CAIRN_ECONFIG,
                     "data_subset is '%s'; it must be ranges such as 0.0-0.2,0.5-0.7", text);
        CRN_TRY_PLAIN(add_range(out, text, begin, end, last, samples, err));
        last = end;
        if (rest[length] == '\0')
            break;
        rest += length + 1;
    }
out:
    return rc;
}

uint64_t crn_subset_at(const crn_subset *subset, uint64_t index)
{
    size_t range = subset->count - 1;
    while (range > 0 && subset->first[range] > index)
        range--;
    return subset->begin[range] + (index - subset->first[range]);
}
