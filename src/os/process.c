#include <unistd.h>

#include "os/os.h"

const char *crn_os_host_name(char *buf, size_t size)
{
    if (size == 0)
        return buf;
    if (gethostname(buf, size) != 0)
        buf[0] = '\0';
    buf[size - 1] = '\0'; /* A name that was cut need not be ended. */
    return buf;
}

int64_t crn_os_process_id(void)
{
    return getpid();
}
