/* What the bits of a result depend on besides the configuration; kept in every checkpoint. */
#include "app/build.h"
#include "base/str.h"
#include "kernels/kernels.h"

void crn_environment_set_threads(int threads)
{
    crn_thread_set(threads);
}

char *crn_environment_json(void)
{
    crn_str json = {0};
    char version[32];
    crn_gemm_version(version);
    crn_str_printf(&json,
                   "{\"cairn\":\"%s\",\"compiler\":\"%s\",\"isa\":\"%s\","
                   "\"kernels\":\"%s\",\"onednn\":\"%s\",\"threads\":\"%d\"}",
                   CAIRN_VERSION, __VERSION__, crn_gemm_isa(), crn_kernels_isa(), version,
                   crn_thread_count());
    return crn_str_take(&json);
}
