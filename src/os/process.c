#include <sched.h>
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

unsigned crn_os_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (unsigned)CPU_COUNT(&set);
    /* More processors than cpu_set_t has bits. */
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (unsigned)count : 1;
}
