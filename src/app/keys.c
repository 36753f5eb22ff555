#include "app/keys.h"

enum { NAMES_MAX = 32 };

static const crn_key k_root_keys[] = {
    {"trainer", CRN_KEY_MAP, "What is trained, and how.", NULL},
};

static const crn_key k_trainer_keys[] = {
    {"init", CRN_KEY_MAP, "The trainer's parts.", NULL},
    {"fit", CRN_KEY_MAP, "What `cairn fit` does.", NULL},
    {"validate", CRN_KEY_MAP, "What `cairn validate` does; without it the data of fit is taken.",
     NULL},
    {"validate_all", CRN_KEY_MAP, "What `cairn validate_all` does.", NULL},
};

static const crn_key k_init_keys[] = {
    {"backend", CRN_KEY_SECTION, "Where to compute; backend_type CPU.", NULL},
    {"device", CRN_KEY_TEXT, "Where to compute: CPU.", NULL},
    {"model_dir", CRN_KEY_TEXT,
     "Folder of the run: checkpoints, metrics, run.json; null is ./model_dir.", NULL},
    {"model", CRN_KEY_NAMED, "The model; its name says which.", &crn_models},
    {"optimizer", CRN_KEY_CLASS, "What updates the parameters.", &crn_optimizers},
    {"schedulers", CRN_KEY_CLASSES, "What sets the learning rate, step by step.", &crn_schedulers},
    {"precision", CRN_KEY_SECTION, "Number types, loss scaling and gradient clipping.", NULL},
    {"sparsity", CRN_KEY_LACKING, "sparsity", NULL},
    {"loop", CRN_KEY_SECTION, "How long to train and how often to validate.", NULL},
    {"checkpoint", CRN_KEY_SECTION, "When checkpoints are saved, and which one is loaded.", NULL},
    {"logging", CRN_KEY_SECTION, "What is printed.", NULL},
    {"callbacks", CRN_KEY_CLASSES, "What is done beside the training.", &crn_callbacks},
    {"loggers", CRN_KEY_CLASSES, "Where numbers go.", &crn_loggers},
    {"seed", CRN_KEY_COUNT, "Seed of all random numbers; null draws one.", NULL},
    {"autorestart", CRN_KEY_SECTION, "How often a crashed fit is started again.", NULL},
    {"plugins", CRN_KEY_TEXTS, "Shared objects that bring classes of their own.", NULL},
};

/* The keys of validate come first. */
static const crn_key k_fit_keys[] = {
    {"val_dataloader", CRN_KEY_NAMEDS, "Data to validate with, or a list of them.",
     &crn_processors},
    {"ckpt_path", CRN_KEY_TEXT,
     "The checkpoint to load; null is none; left out, the newest if autoload_last_checkpoint.",
     NULL},
    {"train_dataloader", CRN_KEY_NAMED, "Data to train with.", &crn_processors},
};

static const crn_key k_validate_all_keys[] = {
    {"val_dataloaders", CRN_KEY_NAMEDS, "Data to validate with, or a list of them.",
     &crn_processors},
    {"ckpt_paths", CRN_KEY_TEXTS,
     "Checkpoints to validate, with patterns such as *; null is none; left out, all of the run.",
     NULL},
};

static const crn_key k_sequential_keys[] = {
    {"schedulers", CRN_KEY_CLASSES, "Schedulers that follow each other.", &crn_schedulers},
    {"milestones", CRN_KEY_COUNTS,
     "Steps at which the next one begins; null is when the one before is at its end.", NULL},
    {"param_group_tags", CRN_KEY_TEXTS, "Groups of parameters that it sets; null is all.", NULL},
};

static const crn_key k_chained_keys[] = {
    {"schedulers", CRN_KEY_CLASSES, "Schedulers whose factors are multiplied.", &crn_schedulers},
    {"param_group_tags", CRN_KEY_TEXTS, "Groups of parameters that it sets; null is all.", NULL},
};

static const crn_key k_scaled_keys[] = {
    {"scheduler", CRN_KEY_CLASS, "The scheduler whose value each group scales.", &crn_schedulers},
    {"param_group_tags", CRN_KEY_TEXTS, "Groups of parameters that it sets; null is all.", NULL},
};

#define TABLE(name_, keys_, count_)                                                                \
    {                                                                                              \
        (name_), (keys_), (count_)                                                                 \
    }
#define COUNT(keys) (sizeof(keys) / sizeof((keys)[0]))
const crn_key_table crn_root_keys = TABLE("the file", k_root_keys, COUNT(k_root_keys));
const crn_key_table crn_trainer_keys = TABLE("trainer", k_trainer_keys, COUNT(k_trainer_keys));
const crn_key_table crn_init_keys = TABLE("trainer.init", k_init_keys, COUNT(k_init_keys));
const crn_key_table crn_fit_keys = TABLE("trainer.fit", k_fit_keys, COUNT(k_fit_keys));
const crn_key_table crn_validate_keys = TABLE("trainer.validate", k_fit_keys, 2);
const crn_key_table crn_validate_all_keys =
    TABLE("trainer.validate_all", k_validate_all_keys, COUNT(k_validate_all_keys));

static const crn_key_table k_class_keys[] = {
    TABLE("SequentialLR", k_sequential_keys, COUNT(k_sequential_keys)),
    TABLE("SequentialWD", k_sequential_keys, COUNT(k_sequential_keys)),
    TABLE("ChainedScheduler", k_chained_keys, COUNT(k_chained_keys)),
    TABLE("ChainedLR", k_chained_keys, COUNT(k_chained_keys)),
    TABLE("ChainedWD", k_chained_keys, COUNT(k_chained_keys)),
    TABLE("ScalePerParamLR", k_scaled_keys, COUNT(k_scaled_keys)),
    TABLE("ScalePerParamWD", k_scaled_keys, COUNT(k_scaled_keys)),
};

const crn_key_table *crn_class_keys(const char *name)
{
    for (size_t i = 0; i < COUNT(k_class_keys); i++) {
        if (crn_names_equal(k_class_keys[i].name, name))
            return &k_class_keys[i];
    }
    return NULL;
}

bool crn_key_table_check(const crn_key_table *table, const crn_node *map, const char *where,
                         crn_diag *diag)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (; count < table->count && count < NAMES_MAX; count++)
        names[count] = table->keys[count].name;
    return crn_map_check_keys(map, where, names, count, diag);
}
