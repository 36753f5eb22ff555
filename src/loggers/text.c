#include "loggers/text.h"

#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BAR_CELLS = 10, BAR_COLUMNS = 79 };

/* For one conversion of doubles: the "C" locale, for this thread only. */
struct c_locale {
    locale_t own;
    locale_t old;
};

static struct c_locale c_locale_enter(void)
{
    struct c_locale locale = {.own = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0)};
    if (locale.own != (locale_t)0)
        locale.old = uselocale(locale.own);
    return locale;
}

static void c_locale_leave(struct c_locale locale)
{
    if (locale.own == (locale_t)0)
        return;
    (void)uselocale(locale.old);
    freelocale(locale.own);
}

const char *crn_duration_text(double seconds, char buf[32])
{
    /* Ten million hours are enough for anything that a broken clock may say. */
    const double kept = seconds > 0.0 ? fmin(seconds, 3.6e10) : 0.0;
    const uint64_t whole = (uint64_t)kept;
    (void)snprintf(buf, 32, "%" PRIu64 ":%02u:%02u", whole / 3600, (unsigned)(whole / 60 % 60),
                   (unsigned)(whole % 60));
    return buf;
}

const char *crn_rate_text(double rate, char buf[40])
{
    const struct c_locale locale = c_locale_enter();
    if (rate < 1.0)
        (void)snprintf(buf, 40, "%.3g", rate);
    else
        (void)snprintf(buf, 40, "%.2f", fmin(rate, 1e30));
    c_locale_leave(locale);
    return buf;
}

const char *crn_number_text(double value, char buf[40])
{
    if (!isfinite(value)) {
        (void)snprintf(buf, 40, "%s", isnan(value) ? "nan" : value > 0.0 ? "inf" : "-inf");
        return buf;
    }
    for (int digits = 15; digits <= 17; digits++) {
        double again = 0.0;
        const struct c_locale locale = c_locale_enter();
        (void)snprintf(buf, 40, "%.*g", digits, value);
        c_locale_leave(locale);
        if (crn_f64_from_text(buf, &again) && again == value)
            break;
    }
    return buf;
}

const char *crn_loss_text(double loss, char buf[CRN_LOSS_TEXT_SIZE])
{
    const struct c_locale locale = c_locale_enter();
    (void)snprintf(buf, CRN_LOSS_TEXT_SIZE, "%.5f", loss);
    c_locale_leave(locale);
    return buf;
}

void crn_progress_line(const crn_progress_facts *facts, crn_str *out)
{
    char loss[CRN_LOSS_TEXT_SIZE];
    char rate[40];
    char time[32];
    if (facts->failed_saves > 0)
        crn_str_printf(out, "| LAST SAVE FAILED (%" PRIu64 " in a row) ", facts->failed_saves);
    if (facts->is_validation)
        crn_str_printf(out, "| Eval Device=%s, GlobalStep=%" PRIu64 ", Batch=%" PRIu64,
                       facts->device, facts->step, facts->batch);
    else
        crn_str_printf(out, "| Train Device=%s, Step=%" PRIu64, facts->device, facts->step);
    crn_str_printf(out, ", Loss=%s", crn_loss_text(facts->loss, loss));
    if (facts->has_rate) {
        crn_str_printf(out, ", Rate=%s samples/sec", crn_rate_text(facts->rate, rate));
        crn_str_printf(out, ", GlobalRate=%s samples/sec", crn_rate_text(facts->global_rate, rate));
    }
    if (facts->has_times)
        crn_str_printf(out, ", LoopTimeRemaining=%s", crn_duration_text(facts->loop_left, time));
    if (facts->has_times && facts->has_total)
        crn_str_printf(out, ", TimeRemaining%s%s", facts->total_is_minimum ? ">" : "=",
                       crn_duration_text(facts->total_left, time));
}

void crn_progress_bar(const crn_progress_facts *facts, uint64_t done, uint64_t total, crn_str *out)
{
    char loss[CRN_LOSS_TEXT_SIZE];
    char rate[40];
    char time[32];
    crn_str bar = {0};
    const double part = total > 0 ? (double)done / (double)total : 1.0;
    const unsigned cells = (unsigned)(part * BAR_CELLS);
    if (facts->failed_saves > 0)
        crn_str_append(&bar, "SAVE FAILED ");
    crn_str_printf(&bar, "%s [", facts->is_validation ? "Eval " : "Train");
    for (unsigned i = 0; i < BAR_CELLS; i++)
        crn_str_append(&bar, i < cells ? "#" : "-");
    crn_str_printf(&bar, "] %3u%% %" PRIu64 "/%" PRIu64, (unsigned)(part * 100.0), done, total);
    if (facts->has_times)
        crn_str_printf(
            &bar, " ETA %s",
            crn_duration_text(facts->has_total ? facts->total_left : facts->loop_left, time));
    crn_str_printf(&bar, " loss %s", crn_loss_text(facts->loss, loss));
    if (facts->has_rate)
        crn_str_printf(&bar, " %s samples/s", crn_rate_text(facts->rate, rate));
    /* Padded, so that it covers a longer bar before it; cut, since a wrapped line cannot go. */
    if (bar.text != NULL)
        crn_str_printf(out, "\r%-*.*s", BAR_COLUMNS, BAR_COLUMNS, bar.text);
    out->is_failed = out->is_failed || bar.is_failed;
    crn_str_dispose(&bar);
}

uint64_t crn_metric_loader(const char *name, size_t *out_length)
{
    const char *const slash = strrchr(name, '/');
    uint64_t loader = 0;
    *out_length = strlen(name);
    /* Loaders are counted from 1 here: "val_loss/0" would be another name of "val_loss". */
    if (slash == NULL || slash[1] < '1' || slash[1] > '9' || !crn_u64_from_text(slash + 1, &loader))
        return 0;
    *out_length = (size_t)(slash - name);
    return loader;
}

bool crn_metric_is_loss(const char *name, size_t length)
{
    static const char k_loss[] = "val_loss";
    return length == strlen(k_loss) && strncmp(name, k_loss, length) == 0;
}

void crn_metrics_line(uint64_t step, const cairn_metric *metrics, size_t count, crn_str *out)
{
    char number[40];
    crn_str_printf(out, "{\"step\":%" PRIu64, step);
    for (size_t i = 0; i < count; i++) {
        const char *const quote = isfinite(metrics[i].value) ? "" : "\"";
        crn_str_append(out, ",");
        crn_str_append_json(out, metrics[i].name, strlen(metrics[i].name));
        crn_str_printf(out, ":%s%s%s", quote, crn_number_text(metrics[i].value, number), quote);
    }
    crn_str_append(out, "}\n");
}

static void append_member(crn_str *out, const char *name, double value)
{
    char number[40];
    crn_str_printf(out, ",\"%s\":%s", name, crn_number_text(value, number));
}

/* "event", "step" and "path" of a line. */
static void begin_event(crn_str *out, const char *event, uint64_t step, const char *path)
{
    crn_str_printf(out, "{\"event\":\"%s\",\"step\":%" PRIu64 ",\"path\":", event, step);
    if (path != NULL)
        crn_str_append_json(out, path, strlen(path));
    else
        crn_str_append(out, "null");
}

void crn_saved_line(uint64_t step, const char *path, const cairn_save_cost *cost, crn_str *out)
{
    begin_event(out, "checkpoint", step, path);
    append_member(out, "blocked_ms", cost->blocked_ms);
    append_member(out, "background_ms", cost->background_ms);
    crn_str_printf(out, ",\"bytes\":%" PRIu64, cost->bytes);
    append_member(out, "gb_per_s", cost->gb_per_s);
    if (cost->percent_of_fastest > 0.0)
        append_member(out, "percent_of_fastest", cost->percent_of_fastest);
    crn_str_append(out, "}\n");
}

void crn_save_failed_line(uint64_t step, const char *path, const char *error,
                          const cairn_save_cost *cost, crn_str *out)
{
    begin_event(out, "checkpoint_failed", step, path);
    crn_str_append(out, ",\"error\":");
    crn_str_append_json(out, error, strlen(error));
    append_member(out, "blocked_ms", cost->blocked_ms);
    append_member(out, "background_ms", cost->background_ms);
    crn_str_append(out, "}\n");
}
