/*
 * A plugin for tests: ends the process at given steps, in given ways, once each: a file beside the
 * model_dir remembers what was done.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cairn/plugin/plugin.h>

struct crash_options {
    cairn_opt_list steps; /* "start:kill", "7:segv" ... */
    const char *memory;
    bool is_always;
};

static const cairn_option k_options[] = {
    CAIRN_OPTION_LIST(struct crash_options, steps, "Where and how: STEP:WAY."),
    CAIRN_OPTION_TEXT(struct crash_options, memory, NULL, "File of what was done already."),
    CAIRN_OPTION_REQUIRED(memory),
    CAIRN_OPTION_BOOL(struct crash_options, is_always, false, "Do it again in every process."),
    CAIRN_OPTION_ALIAS(is_always, always),
};

struct crash {
    struct crash_options options;
};

static bool was_done(const struct crash *crash, const char *what)
{
    char line[64];
    bool is_there = false;
    FILE *const file = fopen(crash->options.memory, "re");
    if (file == NULL)
        return false;
    while (!is_there && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        is_there = strcmp(line, what) == 0;
    }
    (void)fclose(file);
    return is_there;
}

static void remember(const struct crash *crash, const char *what)
{
    FILE *const file = fopen(crash->options.memory, "ae");
    if (file == NULL)
        return;
    (void)fprintf(file, "%s\n", what);
    (void)fclose(file);
}

/* As if no sanitizer watched. */
static void die_of(int number)
{
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static cairn_status end(const char *way, cairn_error *err)
{
    if (strcmp(way, "kill") == 0)
        die_of(SIGKILL);
    if (strcmp(way, "segv") == 0)
        die_of(SIGSEGV);
    if (strcmp(way, "abort") == 0)
        die_of(SIGABRT);
    if (strcmp(way, "exit") == 0)
        _exit(1);
    if (strcmp(way, "exit0") == 0)
        exit(0);
    if (strcmp(way, "config") == 0)
        return cairn_error_set(err, CAIRN_ECONFIG, "as asked");
    if (strcmp(way, "data") == 0)
        return cairn_error_set(err, CAIRN_EDATA, "as asked");
    if (strcmp(way, "nonfinite") == 0)
        return cairn_error_set(err, CAIRN_ENONFINITE, "as asked");
    if (strcmp(way, "io") == 0)
        return cairn_error_set(err, CAIRN_EIO, "as asked");
    return cairn_error_set(err, CAIRN_ECALLBACK, "as asked");
}

/* Does what is listed for this place, "start" or a step. */
static cairn_status come_to(const struct crash *crash, const char *place, cairn_error *err)
{
    const size_t length = strlen(place);
    for (size_t i = 0; i < crash->options.steps.count; i++) {
        const char *const what = crash->options.steps.items[i];
        if (strncmp(what, place, length) != 0 || what[length] != ':' ||
            (!crash->options.is_always && was_done(crash, what)))
            continue;
        remember(crash, what);
        return end(what + length + 1, err);
    }
    return CAIRN_OK;
}

static cairn_status on_fit_start(void *self, const cairn_event *event, cairn_control *control,
                                 cairn_error *err)
{
    (void)event;
    (void)control;
    return come_to(self, "start", err);
}

static cairn_status on_train_batch_end(void *self, const cairn_event *event, cairn_control *control,
                                       cairn_error *err)
{
    char place[32];
    (void)control;
    (void)snprintf(place, sizeof place, "%llu", (unsigned long long)event->step);
    return come_to(self, place, err);
}

static void destroy(void *self)
{
    free(self);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof k_ops,
    .name = "Crash",
    .destroy = destroy,
    .on_fit_start = on_fit_start,
    .on_train_batch_end = on_train_batch_end,
};

static cairn_status crash_new(const void *options, cairn_callback *out, cairn_error *err)
{
    struct crash *const crash = calloc(1, sizeof *crash);
    if (crash == NULL)
        return cairn_error_set(err, CAIRN_ENOMEM, "no memory");
    crash->options = *(const struct crash_options *)options;
    out->ops = &k_ops;
    out->self = crash;
    return CAIRN_OK;
}

static const cairn_plugin_class k_classes[] = {
    CAIRN_CLASS_CALLBACK("Crash", "Ends the process.", k_options, struct crash_options, crash_new),
};

static const cairn_plugin k_plugin = {CAIRN_PLUGIN_HEAD, "crash", k_classes, 1};

const cairn_plugin *cairn_plugin_get(void)
{
    return &k_plugin;
}
