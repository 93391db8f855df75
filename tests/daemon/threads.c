/* Lets a process begin THREADS threads and no more, as a container's limit on processes does: loaded before the C library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg) {
    static atomic_int begun;
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    *(void **)&create = dlsym(RTLD_NEXT, "pthread_create");
    return atomic_fetch_add(&begun, 1) < atoi(getenv("THREADS")) ? create(thread, attr, start, arg) : EAGAIN;
}
