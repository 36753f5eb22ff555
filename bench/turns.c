/*
 * A callback for bench/callbacks.py, which compares two runs that are there at the same time:
 * before the first step and after every `steps` of them a process tells the seconds that these took
 * and waits until it is its turn again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cairn/plugin/plugin.h>

struct turns_options {
    int64_t steps;
};

static const cairn_option k_options[] = {
    CAIRN_OPTION_INT(struct turns_options, steps, 4, 1, 1000000, "steps", "Steps of a turn."),
};

struct turns {
    uint64_t steps;
    double began;
};

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The step before, with all that was logged of it, lies behind. */
static cairn_status on_train_batch_start(void *self, const cairn_event *event,
                                         cairn_control *control, cairn_error *err)
{
    struct turns *const turns = self;
    (void)control;
    if ((event->step - event->first_step) % turns->steps != 0)
        return CAIRN_OK;
    if (printf("%.9f\n", now() - turns->began) < 0 || fflush(stdout) != 0 || getchar() == EOF)
        return cairn_error_set(err, CAIRN_EIO, "nobody gives turns");
    turns->began = now();
    return CAIRN_OK;
}

static void destroy(void *self)
{
    free(self);
}

static const cairn_callback_ops k_ops = {
    .struct_size = sizeof k_ops,
    .name = "Turns",
    .destroy = destroy,
    .on_train_batch_start = on_train_batch_start,
};

static cairn_status turns_new(const void *options, cairn_callback *out, cairn_error *err)
{
    struct turns *const turns = calloc(1, sizeof *turns);
    if (turns == NULL)
        return cairn_error_set(err, CAIRN_ENOMEM, "no memory for turns");
    turns->steps = (uint64_t)((const struct turns_options *)options)->steps;
    out->ops = &k_ops;
    out->self = turns;
    return CAIRN_OK;
}

static const cairn_plugin_class k_classes[] = {
    CAIRN_CLASS_CALLBACK("Turns", "Two processes take turns.", k_options, struct turns_options,
                         turns_new),
};

static const cairn_plugin k_plugin = {CAIRN_PLUGIN_HEAD, "turns", k_classes, 1};

const cairn_plugin *cairn_plugin_get(void)
{
    return &k_plugin;
}
