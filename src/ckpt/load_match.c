/* Which tensor of a file belongs to which tensor of the tree. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/try.h"
#include "ckpt/load_priv.h"

static const char k_model[] = "model";

static cairn_status check_listed(const crn_load *load, const crn_name_list *asked, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const cairn_checkpoint *const ckpt = load->ckpt;
    char shown[128];
    for (size_t i = 0; i < asked->count; i++) {
        const char *const name = asked->items[i];
        (void)crn_escape(name, strlen(name), shown, sizeof shown);
        if (!cairn_checkpoint_has_state(ckpt, name))
            CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' has no state '%s'; it has: %s", ckpt->path,
                     shown, ckpt->info.states[0] != '\0' ? ckpt->info.states : k_model);
        if (cairn_state_tree_find(load->tree, name) == NULL)
            cairn_log_message(load->options->log, CAIRN_LOG_INFO,
                              "State '%s' of '%s' is not known here: ignored", shown, ckpt->path);
    }
out:
    return rc;
}

/* Without a list: says once what of the file stays unread. */
static void log_unknown(const crn_load *load)
{
    const crn_name_list *const states = &load->ckpt->states;
    for (size_t i = 0; i < states->count; i++) {
        const char *const name = states->items[i];
        if (!crn_starts_with(name, "__") && cairn_state_tree_find(load->tree, name) == NULL)
            cairn_log_message(load->options->log, CAIRN_LOG_INFO,
                              "State '%s' of '%s' is not known here: ignored", name,
                              load->ckpt->path);
    }
}

cairn_status crn_load_choose_states(crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const states = load->options->states;
    const char *const required = load->options->required_state;
    const bool has_list = states != NULL && strcmp(states, "all") != 0;
    const size_t count = cairn_state_tree_count(load->tree);
    crn_name_list asked = {0};
    if (has_list) {
        CRN_TRY_PLAIN(crn_name_list_split(&asked, states, err));
        CRN_TRY_PLAIN(check_listed(load, &asked, err));
    } else {
        log_unknown(load);
    }
    load->is_wanted = crn_calloc(count, sizeof *load->is_wanted);
    CRN_NEED(err, load->is_wanted, "a load");
    for (size_t i = 0; i < count; i++) {
        const char *const name = cairn_state_name(cairn_state_tree_at(load->tree, i));
        load->is_wanted[i] = (!has_list || crn_name_list_has(&asked, name)) &&
                             cairn_checkpoint_has_state(load->ckpt, name);
        crn_load_report_state(load->report, i)->is_loaded = load->is_wanted[i];
    }
    if (required != NULL && !cairn_checkpoint_has_state(load->ckpt, required))
        CRN_FAIL(err, CAIRN_EINCOMPATIBLE, "'%s' has no '%s' state", load->ckpt->path, required);
out:
    crn_name_list_dispose(&asked);
    return rc;
}

static int compare_address(const void *a, const void *b)
{
    const uintptr_t x = (uintptr_t)(*(const crn_match *const *)a)->tensor;
    const uintptr_t y = (uintptr_t)(*(const crn_match *const *)b)->tensor;
    return (x > y) - (x < y);
}

static int compare_tensor(const void *tensor, const void *match)
{
    const uintptr_t x = (uintptr_t)tensor;
    const uintptr_t y = (uintptr_t)(*(const crn_match *const *)match)->tensor;
    return (x > y) - (x < y);
}

static crn_match *find_match(const crn_load *load, const cairn_tensor *tensor)
{
    const crn_match *const *const found = bsearch(tensor, load->by_tensor, load->match_count,
                                                  sizeof *load->by_tensor, compare_tensor);
    return found != NULL ? &load->matches[*found - load->matches] : NULL;
}

static cairn_status list_matches(crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const size_t states = cairn_state_tree_count(load->tree);
    size_t total = 0;
    for (size_t i = 0; i < states; i++)
        total += cairn_state_tensor_count(cairn_state_tree_at(load->tree, i));
    load->matches = crn_calloc(total, sizeof *load->matches);
    CRN_NEED(err, load->matches, "a load");
    load->by_tensor = crn_calloc(total, sizeof *load->by_tensor);
    CRN_NEED(err, load->by_tensor, "a load");
    for (size_t i = 0; i < states; i++) {
        const cairn_state *const state = cairn_state_tree_at(load->tree, i);
        for (size_t j = 0; load->is_wanted[i] && j < cairn_state_tensor_count(state); j++) {
            crn_match *const match = &load->matches[load->match_count];
            *match = (crn_match){.state = i, .tensor = cairn_state_tensor_at(state, j)};
            load->by_tensor[load->match_count++] = match;
        }
    }
    if (load->match_count > 0)
        qsort(load->by_tensor, load->match_count, sizeof *load->by_tensor, compare_address);
out:
    return rc;
}

/* Number of the state that tensor @name of the file belongs to, and its path there; false if it is
 * of a state that the tree lacks. In a plain file a name without a state's prefix is the model's.
 */
static bool place_of(const crn_load *load, const char *name, size_t *out_state,
                     const char **out_path)
{
    const size_t count = cairn_state_tree_count(load->tree);
    size_t model = count;
    for (size_t i = 0; i < count; i++) {
        const char *const state = cairn_state_name(cairn_state_tree_at(load->tree, i));
        const size_t length = strlen(state);
        if (strncmp(name, state, length) == 0 && name[length] == '.') {
            *out_state = i;
            *out_path = name + length + 1;
            return true;
        }
        if (strcmp(state, k_model) == 0)
            model = i;
    }
    *out_state = model;
    *out_path = name;
    return model < count && load->ckpt->states.count == 0 && !load->ckpt->info.has_metadata;
}

/* The tree's tensor of that path or alias. Files of before the Model Zoo's 2.0 say "model." twice.
 */
static const cairn_tensor *resolve(const cairn_state *state, const char *path)
{
    const cairn_tensor *tensor = cairn_state_tensor_find(state, path);
    if (tensor == NULL && strcmp(cairn_state_name(state), k_model) == 0 &&
        crn_starts_with(path, "model."))
        tensor = cairn_state_tensor_find(state, path + strlen("model."));
    return tensor;
}

static void append_tree_shape(crn_str *out, const cairn_tensor *tensor)
{
    crn_str_printf(out, "%s [", cairn_dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->rank; i++)
        crn_str_printf(out, "%s%" PRId64, i > 0 ? ", " : "", tensor->shape[i]);
    crn_str_append(out, "]");
}

static void append_file_shape(crn_str *out, const crn_file_entry *entry)
{
    crn_str_printf(out, "%s [", cairn_dtype_name(entry->dtype));
    for (uint32_t i = 0; i < entry->rank; i++)
        crn_str_printf(out, "%s%" PRIu64, i > 0 ? ", " : "", entry->shape[i]);
    crn_str_append(out, "]");
}

static bool fits(const cairn_tensor *tensor, const crn_file_entry *entry)
{
    if (tensor->dtype != entry->dtype || tensor->rank != (int)entry->rank ||
        tensor->bytes != entry->bytes)
        return false;
    for (int i = 0; i < tensor->rank; i++) {
        if ((uint64_t)tensor->shape[i] != entry->shape[i])
            return false;
    }
    return true;
}

static void note_mismatch(crn_load *load, const cairn_tensor *tensor, const crn_file_entry *entry)
{
    char shown[200];
    if (load->mismatch_count++ > 0)
        return;
    crn_str_printf(&load->mismatch, "tensor '%s' is ",
                   crn_escape(entry->name, entry->name_length, shown, sizeof shown));
    append_file_shape(&load->mismatch, entry);
    crn_str_append(&load->mismatch, " in the file and ");
    append_tree_shape(&load->mismatch, tensor);
    crn_str_append(&load->mismatch, " here");
}

/* Gives @source to @match, or notes a twin or a mismatch. */
static cairn_status take_source(crn_load *load, crn_match *match, const crn_read_tensor *source,
                                cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    if (!fits(match->tensor, source->entry)) {
        match->is_mismatch = true;
        note_mismatch(load, match->tensor, source->entry);
    } else if (match->source != NULL) {
        CRN_TRY_PLAIN(crn_grow(&load->twins, &load->twin_capacity, load->twin_count + 1,
                               sizeof *load->twins, err));
        load->twins[load->twin_count++] =
            (crn_twin){.match = (size_t)(match - load->matches), .source = source};
    } else {
        match->source = source;
    }
out:
    return rc;
}

/* Every tensor of the file is given to a tensor of the tree, or is unexpected, or is of a state
 * that is not loaded. */
static cairn_status match_file(crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < load->ckpt->tensor_count; i++) {
        const crn_read_tensor *const source = &load->ckpt->tensors[i];
        const char *path = NULL;
        size_t state = 0;
        if (!place_of(load, source->entry->name, &state, &path) || !load->is_wanted[state])
            continue;
        const cairn_tensor *const tensor = resolve(cairn_state_tree_at(load->tree, state), path);
        cairn_load_state *const line = crn_load_report_state(load->report, state);
        if (tensor == NULL) {
            line->tensors_in_file++;
            CRN_TRY_PLAIN(crn_load_report_unexpected(load->report, state, path, err));
            continue;
        }
        crn_match *const match = find_match(load, tensor);
        line->tensors_in_file +=
            match->source == NULL && !match->is_mismatch; /* The other of two tied is no more. */
        CRN_TRY_PLAIN(take_source(load, match, source, err));
    }
out:
    return rc;
}

/* The stored tensor that the file's alias @path of @state stands for. *@out NULL: no such alias. */
static cairn_status alias_source(const crn_load *load, const char *state, const char *path,
                                 crn_str *name, const crn_read_tensor **out, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    const char *const target = crn_state_texts_find(&load->ckpt->aliases, state, path);
    *out = NULL;
    if (target == NULL)
        return CAIRN_OK;
    name->length = 0;
    crn_str_printf(name, "%s.%s", state, target);
    CRN_TRY_PLAIN(crn_str_check(name, err));
    *out = crn_checkpoint_find_tensor(load->ckpt, name->text);
out:
    return rc;
}

/* What the file ties and the tree does not is loaded twice from the one place. */
static cairn_status match_file_aliases(crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    crn_str name = {0};
    if (load->ckpt->aliases.count == 0)
        return CAIRN_OK;
    for (size_t i = 0; i < load->match_count; i++) {
        crn_match *const match = &load->matches[i];
        if (match->source != NULL)
            continue;
        const char *const state = cairn_state_name(cairn_state_tree_at(load->tree, match->state));
        const crn_read_tensor *source = NULL;
        CRN_TRY_PLAIN(alias_source(load, state, match->tensor->name, &name, &source, err));
        if (source != NULL)
            CRN_TRY_PLAIN(take_source(load, match, source, err));
    }
out:
    crn_str_dispose(&name);
    return rc;
}

static cairn_status count_loaded(crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    for (size_t i = 0; i < load->match_count; i++) {
        const crn_match *const match = &load->matches[i];
        cairn_load_state *const line = crn_load_report_state(load->report, match->state);
        if (match->is_mismatch)
            continue; /* It is there, but not as it should be. */
        if (match->source == NULL) {
            CRN_TRY_PLAIN(
                crn_load_report_missing(load->report, match->state, match->tensor->name, err));
            continue;
        }
        line->tensors_loaded++;
        line->bytes_loaded += match->tensor->bytes;
    }
out:
    return rc;
}

cairn_status crn_load_match(crn_load *load, cairn_error *err)
{
    cairn_status rc = CAIRN_OK;
    CRN_TRY_PLAIN(list_matches(load, err));
    CRN_TRY_PLAIN(match_file(load, err));
    CRN_TRY_PLAIN(match_file_aliases(load, err));
    CRN_TRY_PLAIN(count_loaded(load, err));
    CRN_TRY_PLAIN(crn_str_check(&load->mismatch, err));
out:
    return rc;
}
