/* Preloaded into a test program: shifts the wall clock of the process, as a person who sets the phone's clock does. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

/* By how many seconds the clock is ahead. The test sets it. */
long clock_shift_s = 0;

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) time->tv_sec += clock_shift_s;
    return result;
}
