#include "kernels/kernels.h"

#ifdef _OPENMP
#include <omp.h>
#endif

int crn_thread_count(void)
{
#ifdef _OPENMP
    return omp_get_max_threads();
#else
    return 1;
#endif
}

void crn_thread_set(int count)
{
#ifdef _OPENMP
    omp_set_num_threads(count > 0 ? count : omp_get_num_procs());
#else
    (void)count;
#endif
}
