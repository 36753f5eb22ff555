#include "train/time_limit.h"

#include <stddef.h>
#include <string.h>

#include "base/str.h"

static const int64_t k_second_ns = INT64_C(1000000000);
static const int64_t k_margin_most_ns = INT64_C(60000000000);
static const double k_seconds_most = 1e9;

enum { SECONDS_A_MINUTE = 60, SECONDS_AN_HOUR = 3600, SECONDS_A_DAY = 86400, NUMBER_SIZE = 32 };

/* A number in front of *@text, which then points behind it; false if there is none. */
static bool take_number(const char **text, double *out)
{
    char buf[NUMBER_SIZE];
    const size_t length = strspn(*text, "0123456789.");
    if (length == 0 || length >= sizeof buf)
        return false;
    memcpy(buf, *text, length);
    buf[length] = '\0';
    *text += length;
    return crn_f64_from_text(buf, out);
}

/* "1h30m": units from large to small. */
static bool parse_units(const char *text, double *out_seconds)
{
    static const char k_units[] = "dhms";
    static const double k_seconds[] = {SECONDS_A_DAY, SECONDS_AN_HOUR, SECONDS_A_MINUTE, 1.0};
    const char *next_units = k_units;
    *out_seconds = 0.0;
    while (*text != '\0') {
        double number = 0.0;
        if (!take_number(&text, &number) || *text == '\0')
            return false;
        const char *const unit = strchr(next_units, *text++);
        if (unit == NULL)
            return false;
        *out_seconds += number * k_seconds[unit - k_units];
        next_units = unit + 1;
    }
    return true;
}

/* "1-12:00:00", "1:30:00", "30:00". */
static bool parse_clock(const char *text, double *out_seconds)
{
    const char *const dash = strchr(text, '-');
    double number = 0.0;
    double days = 0.0;
    int fields = 0;
    *out_seconds = 0.0;
    if (dash != NULL && (!take_number(&text, &days) || text++ != dash))
        return false;
    do {
        if (!take_number(&text, &number) || ++fields > 3)
            return false;
        *out_seconds = *out_seconds * SECONDS_A_MINUTE + number;
    } while (*text++ == ':');
    *out_seconds += days * SECONDS_A_DAY;
    return text[-1] == '\0' && (dash == NULL || fields == 3);
}

bool crn_duration_parse(const char *text, int64_t *out_ns)
{
    double seconds = 0.0;
    const bool is_read = strchr(text, ':') != NULL       ? parse_clock(text, &seconds)
                         : strpbrk(text, "dhms") != NULL ? parse_units(text, &seconds)
                                                         : crn_f64_from_text(text, &seconds);
    if (!is_read || !(seconds > 0.0 && seconds <= k_seconds_most))
        return false;
    *out_ns = (int64_t)(seconds * (double)k_second_ns);
    return *out_ns > 0;
}

void crn_time_limit_set(crn_time_limit *limit, int64_t begin_ns, int64_t limit_ns)
{
    limit->is_set = true;
    limit->limit_ns = limit_ns;
    limit->end_ns = begin_ns + limit_ns;
}

void crn_time_limit_note_step(crn_time_limit *limit, int64_t ns)
{
    limit->steps_ns[limit->steps++ % CRN_RECENT_STEPS] = ns;
}

void crn_time_limit_note_save(crn_time_limit *limit, int64_t ns)
{
    limit->save_ns = ns;
}

int64_t crn_time_limit_margin_ns(const crn_time_limit *limit, bool is_saving)
{
    int64_t longest = 0;
    int64_t margin = k_second_ns + limit->limit_ns / 50;
    for (size_t i = 0; i < CRN_RECENT_STEPS; i++)
        longest = limit->steps_ns[i] > longest ? limit->steps_ns[i] : longest;
    margin = margin < k_margin_most_ns ? margin : k_margin_most_ns;
    return margin + longest + limit->save_ns * (is_saving ? 2 : 1);
}

bool crn_time_limit_is_over(const crn_time_limit *limit, int64_t now_ns, bool is_saving)
{
    return limit->is_set && now_ns + crn_time_limit_margin_ns(limit, is_saving) >= limit->end_ns;
}
