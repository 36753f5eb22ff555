/* Shared objects that are loaded while the program runs. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "os/os.h"

bool crn_object_load(const char *path, void **out_object, char *problem, size_t size)
{
    /* All symbols at once, so that a lack shows here and not in the middle of a run; never
     * unloaded, since constant texts of the object may be kept by anybody. */
    void *const object = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (object == NULL) {
        const char *const text = dlerror();
        (void)snprintf(problem, size, "%s", text != NULL ? text : path);
        return false;
    }
    *out_object = object;
    return true;
}

crn_function crn_object_function(void *object, const char *name)
{
    void *const symbol = dlsym(object, name);
    crn_function function = NULL;
    /* C has no conversion from an object pointer to a function; POSIX says that the bits serve. */
    _Static_assert(sizeof function == sizeof symbol, "a function's address is a pointer");
    memcpy(&function, &symbol, sizeof function);
    return function;
}
