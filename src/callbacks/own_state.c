#include "callbacks/own_state.h"

#include <stdio.h>

enum { NAME_SIZE = 64 };

cairn_status crn_own_state(cairn_trainer *trainer, const char *name, cairn_state **out,
                           cairn_error *err)
{
    cairn_state_tree *const tree = cairn_trainer_tree(trainer);
    char numbered[NAME_SIZE];
    (void)snprintf(numbered, sizeof numbered, "%s", name);
    for (unsigned i = 2; cairn_state_tree_find(tree, numbered) != NULL; i++)
        (void)snprintf(numbered, sizeof numbered, "%s_%u", name, i);
    return cairn_state_tree_add(tree, numbered, out, err);
}
