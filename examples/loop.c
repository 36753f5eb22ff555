/*
 * A training loop of one's own with Cairn's checkpoints: no Trainer, no YAML, only state.h and
 * checkpoint.h. Momentum descent moves many numbers to their targets; checkpoints are written while
 * it goes on; after a crash the same command goes on from the newest good one, to the same bits.
 *
 *     cc loop.c -o loop $(pkg-config --cflags --libs cairn) -lm
 *     ./loop run1 crash=130        # dies in the middle
 *     ./loop run1                  # goes on
 */
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cairn/checkpoint.h>

enum { NUMBERS = 200000, STEPS = 200, SAVE_EVERY = 20 };

struct training {
    cairn_state_tree *tree;
    cairn_state *progress; /* A state without tensors: the number of the step. */
    const cairn_tensor *weight;
    const cairn_tensor *momentum;
    cairn_store *store;
    uint64_t step;
};

static void write_log(void *user, cairn_log_level level, const char *message)
{
    (void)user;
    (void)fprintf(stderr, "%s: %s\n", cairn_log_level_name(level), message);
}

static const cairn_log k_log = {.level = CAIRN_LOG_INFO, .write = write_log};

/* ---- What a checkpoint holds ---- */

static cairn_status plan(struct training *t, cairn_error *err)
{
    const cairn_tensor_spec weight = {.name = "w",
                                      .dtype = CAIRN_DTYPE_F32,
                                      .role = CAIRN_ROLE_WEIGHT,
                                      .rank = 1,
                                      .shape = {NUMBERS}};
    const cairn_tensor_spec momentum = {
        .name = "w.momentum", .dtype = CAIRN_DTYPE_F32, .rank = 1, .shape = {NUMBERS}};
    cairn_state *model = NULL;
    cairn_state *optimizer = NULL;
    cairn_status rc = cairn_state_tree_new(&t->tree, err);
    if (rc == CAIRN_OK)
        rc = cairn_state_tree_add(t->tree, "model", &model, err);
    if (rc == CAIRN_OK)
        rc = cairn_state_add_tensor(model, &weight, &t->weight, err);
    if (rc == CAIRN_OK)
        rc = cairn_state_tree_add(t->tree, "optimizer", &optimizer, err);
    if (rc == CAIRN_OK)
        rc = cairn_state_add_tensor(optimizer, &momentum, &t->momentum, err);
    if (rc == CAIRN_OK)
        rc = cairn_state_tree_add(t->tree, "progress", &t->progress, err);
    if (rc == CAIRN_OK)
        rc = cairn_state_tree_allocate(t->tree, err); /* Zeroed: the start of a fresh run. */
    return rc;
}

/* ---- One step ---- */

static double target(uint64_t i)
{
    return sin(0.001 * (double)i);
}

/* Every write goes through the guard, a tile at a time: if the save that is under way still needs
 * the old bytes, it copies them aside first. Returns the loss before the step. */
static double descend(struct training *t)
{
    double loss = 0.0;
    for (uint64_t at = 0; at < t->weight->bytes; at += CAIRN_WRITE_TILE_BYTES) {
        const uint64_t left = t->weight->bytes - at;
        const uint64_t bytes = left < CAIRN_WRITE_TILE_BYTES ? left : CAIRN_WRITE_TILE_BYTES;
        float *const w = cairn_tensor_write_begin(t->tree, t->weight, at, bytes);
        float *const m = cairn_tensor_write_begin(t->tree, t->momentum, at, bytes);
        for (uint64_t i = 0; i < bytes / sizeof *w; i++) {
            const float error = (float)((double)w[i] - target(at / sizeof *w + i));
            loss += (double)error * (double)error;
            m[i] = 0.9f * m[i] + error;
            w[i] -= 0.01f * m[i];
        }
        cairn_tensor_write_end(t->tree, t->momentum, at, bytes);
        cairn_tensor_write_end(t->tree, t->weight, at, bytes);
    }
    t->step++;
    return loss / NUMBERS;
}

/* ---- Saving in the background ---- */

static cairn_status start_save(struct training *t, cairn_error *err)
{
    cairn_save_request request = {.struct_size = sizeof request, .step = t->step};
    cairn_save_result last;
    cairn_status rc = CAIRN_OK;
    if (cairn_store_save_is_pending(t->store)) /* One at a time: the disk is slower than we are. */
        rc = cairn_store_save_wait(t->store, &last, err);
    if (rc == CAIRN_OK)
        rc = cairn_state_set_u64(t->progress, "step", t->step, err);
    if (rc == CAIRN_OK)
        rc = cairn_store_save_start(t->store, t->tree, &request, err);
    return rc;
}

static cairn_status poll_save(struct training *t, bool is_end, cairn_error *err)
{
    cairn_save_result saved;
    bool is_done = false;
    cairn_status rc = CAIRN_OK;
    if (!cairn_store_save_is_pending(t->store))
        return CAIRN_OK;
    rc = is_end ? cairn_store_save_wait(t->store, &saved, err)
                : cairn_store_save_poll(t->store, &is_done, &saved, err);
    if (rc == CAIRN_OK && (is_end || is_done)) /* Durable: a power cut would not take it away. */
        cairn_log_message(&k_log, CAIRN_LOG_INFO, "saved %s", saved.path);
    return rc;
}

/* ---- Going on after a crash ---- */

static cairn_status load(struct training *t, const char *path, cairn_error *err)
{
    const cairn_load_options options = {.struct_size = sizeof options, .log = &k_log};
    cairn_checkpoint *ckpt = NULL;
    cairn_status rc = cairn_checkpoint_open(path, &ckpt, err);
    if (rc == CAIRN_OK)
        rc = cairn_checkpoint_load(ckpt, t->tree, &options, NULL, err);
    if (rc == CAIRN_OK)
        rc = cairn_state_get_u64(t->progress, "step", &t->step, err);
    cairn_checkpoint_close(ckpt);
    return rc;
}

/* The newest checkpoint; a damaged one is passed over. Without any the run is fresh. */
static cairn_status resume(struct training *t, cairn_error *err)
{
    cairn_catalogue *catalogue = NULL;
    bool is_loaded = false;
    cairn_status rc = cairn_catalogue_read(t->store, &catalogue, err);
    for (size_t i = rc == CAIRN_OK ? cairn_catalogue_count(catalogue) : 0; i-- > 0 && !is_loaded;) {
        const cairn_checkpoint_info *const info = cairn_catalogue_at(catalogue, i);
        if (!info->name_matches || !info->is_readable)
            continue;
        rc = load(t, info->path, err);
        is_loaded = rc == CAIRN_OK;
        if (rc != CAIRN_OK && rc != CAIRN_ECORRUPT)
            break;
        cairn_log_message(&k_log, CAIRN_LOG_INFO, is_loaded ? "going on from %s" : "%s is damaged",
                          info->path);
    }
    cairn_catalogue_destroy(catalogue);
    return rc;
}

static cairn_status train(struct training *t, uint64_t crash_at, double *out_loss, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    while (t->step < STEPS && rc == CAIRN_OK) {
        *out_loss = descend(t);
        if (t->step == crash_at)
            (void)raise(SIGKILL);
        rc = poll_save(t, false, err);
        if (rc == CAIRN_OK && t->step % SAVE_EVERY == 0)
            rc = start_save(t, err);
    }
    return rc == CAIRN_OK ? poll_save(t, true, err) : rc;
}

int main(int argc, char **argv)
{
    struct training t = {0};
    cairn_error err = {0};
    double loss = 0.0;
    const char *const crash = argc > 2 && strncmp(argv[2], "crash=", 6) == 0 ? argv[2] + 6 : "0";
    if (argc < 2) {
        (void)fprintf(stderr, "usage: %s FOLDER [crash=STEP]\n", argv[0]);
        return 2;
    }
    const cairn_store_options options = {
        .struct_size = sizeof options, .model_dir = argv[1], .log = &k_log};
    cairn_status rc = plan(&t, &err);
    if (rc == CAIRN_OK)
        rc = cairn_store_open(&options, &t.store, &err); /* Locks the folder. */
    if (rc == CAIRN_OK)
        rc = resume(&t, &err);
    if (rc == CAIRN_OK)
        rc = train(&t, strtoull(crash, NULL, 10), &loss, &err);
    if (rc == CAIRN_OK) {
        (void)printf("step=%" PRIu64 " loss=%.17g\n", t.step, loss);
    } else {
        char text[1024];
        (void)cairn_error_format(&err, text, sizeof text);
        (void)fprintf(stderr, "%s\n", text);
    }
    cairn_store_close(t.store); /* Before the tree, which a save may be reading. */
    cairn_state_tree_destroy(t.tree);
    return cairn_exit_code(rc);
}
