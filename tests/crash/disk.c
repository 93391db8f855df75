/* What a process does to the files of one folder, written down as it happens; and the disk failing on order.
 *
 * Preloaded into a daemon. Of every change to a file or a name under DISK_ROOT (not deeper than one folder below it), one
 * record goes to DISK_TRACE: its kind, when it was done, where, and what was written. The real call is made first and one
 * at a time, so that the order of the records is the order of the changes. DISK_EIO=KIND:SUFFIX:N makes the Nth call of
 * that kind on a file so named, and all behind it, fail with EIO.
 *
 * SQLite's shared memory (-shm) is left out: it is made anew at every start.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { MOST_FILES = 4096 };

struct record {
    uint64_t at;
    uint64_t offset;
    uint32_t length;
    uint16_t path;
    char kind;
    char pad;
};

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char *path_of[MOST_FILES];
static const char *root;
static size_t root_length;
static int trace = -1;
static char eio_kind;
static char eio_suffix[64];
static int eio_left = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *to = getenv("DISK_TRACE"), *eio = getenv("DISK_EIO");
    root = getenv("DISK_ROOT");
    root_length = root ? strlen(root) : 0;
    if (root && to) trace = REAL(open)(to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (eio) sscanf(eio, "%c:%63[^:]:%d", &eio_kind, eio_suffix, &eio_left);
}

static int ends_with(const char *path, const char *suffix) {
    size_t length = strlen(path), end = strlen(suffix);
    return length >= end && strcmp(path + length - end, suffix) == 0;
}

/* The path below the root, or NULL when it is none of our business. */
static const char *below(const char *path) {
    if (!root || !path || strncmp(path, root, root_length) != 0) return NULL;
    const char *rest = path + root_length;
    if (*rest != '/' && *rest != '\0') return NULL;
    const char *first = *rest ? strchr(rest + 1, '/') : NULL;
    if (first && strchr(first + 1, '/')) return NULL;
    return ends_with(rest, "-shm") ? NULL : rest;
}

static const char *known(int fd) { return fd >= 0 && fd < MOST_FILES ? path_of[fd] : NULL; }

static void tell(char kind, const char *path, uint64_t offset, const void *data, size_t length) {
    struct timespec now;
    if (trace < 0) return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct record head = {(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec, offset, (uint32_t)length,
                          (uint16_t)strlen(path), kind, 0};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)data, length}};
    if (writev(trace, parts, 3) < 0) abort();
}

/* Whether the disk fails this call. */
static int fails(char kind, const char *path) {
    if (!path || kind != eio_kind || eio_left < 0 || !ends_with(path, eio_suffix)) return 0;
    if (eio_left > 1) return --eio_left, 0;
    errno = EIO;
    return 1;
}

static int opened(const char *path, int flags, mode_t mode, int (*real)(const char *, int, ...)) {
    const char *rest = below(path);
    if (!rest) {
        int fd = real(path, flags, mode);
        if (fd >= 0 && fd < MOST_FILES && path_of[fd]) free(path_of[fd]), path_of[fd] = NULL;
        return fd;
    }
    pthread_mutex_lock(&turn);
    int there = access(path, F_OK) == 0;
    int fd = real(path, flags, mode);
    if (fd >= 0 && fd < MOST_FILES) {
        free(path_of[fd]);
        path_of[fd] = strdup(rest);
        if (!there) tell('C', rest, 0, NULL, 0);
        else if (flags & O_TRUNC) tell('T', rest, 0, NULL, 0);
    }
    pthread_mutex_unlock(&turn);
    return fd;
}

#define OPENS(name)                                                                                                    \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                                        \
        va_end(more);                                                                                                  \
        return opened(path, flags, mode, REAL(name));                                                                  \
    }
OPENS(open)
OPENS(open64)

int close(int fd) {
    if (known(fd)) {
        pthread_mutex_lock(&turn);
        free(path_of[fd]);
        path_of[fd] = NULL;
        pthread_mutex_unlock(&turn);
    }
    return REAL(close)(fd);
}

#define WRITES(name, offset_type)                                                                                      \
    ssize_t name(int fd, const void *data, size_t length, offset_type offset) {                                        \
        const char *path = known(fd);                                                                                  \
        if (!path) return REAL(name)(fd, data, length, offset);                                                        \
        pthread_mutex_lock(&turn);                                                                                     \
        ssize_t done = fails('W', path) ? -1 : REAL(name)(fd, data, length, offset);                                   \
        if (done > 0) tell('W', path, (uint64_t)offset, data, (size_t)done);                                           \
        pthread_mutex_unlock(&turn);                                                                                   \
        return done;                                                                                                   \
    }
WRITES(pwrite, off_t)
WRITES(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t length) {
    const char *path = known(fd);
    if (!path) return REAL(write)(fd, data, length);
    pthread_mutex_lock(&turn);
    off_t offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = fails('W', path) ? -1 : REAL(write)(fd, data, length);
    if (done > 0) tell('W', path, (uint64_t)offset, data, (size_t)done);
    pthread_mutex_unlock(&turn);
    return done;
}

#define ONE_CALL(name, kind, parameters, arguments, size)                                                              \
    int name parameters {                                                                                              \
        const char *path = known(fd);                                                                                  \
        if (!path) return REAL(name) arguments;                                                                        \
        pthread_mutex_lock(&turn);                                                                                     \
        int failed = fails(kind, path) ? -1 : REAL(name) arguments;                                                    \
        if (!failed) tell(kind, path, (uint64_t)(size), NULL, 0);                                                      \
        pthread_mutex_unlock(&turn);                                                                                   \
        return failed;                                                                                                 \
    }
ONE_CALL(fsync, 'S', (int fd), (fd), 0)
ONE_CALL(fdatasync, 'S', (int fd), (fd), 0)
ONE_CALL(ftruncate, 'T', (int fd, off_t length), (fd, length), length)
ONE_CALL(ftruncate64, 'T', (int fd, off64_t length), (fd, length), length)

#define NAMES(name, kind, parameters, arguments, from, to)                                                             \
    int name parameters {                                                                                              \
        const char *source = below(from), *target = to;                                                                \
        if (!source) return REAL(name) arguments;                                                                      \
        pthread_mutex_lock(&turn);                                                                                     \
        int failed = REAL(name) arguments;                                                                             \
        if (!failed) tell(kind, source, 0, target, target ? strlen(target) : 0);                                       \
        pthread_mutex_unlock(&turn);                                                                                   \
        return failed;                                                                                                 \
    }
NAMES(unlink, 'U', (const char *path), (path), path, NULL)
NAMES(rename, 'R', (const char *path, const char *other), (path, other), path, below(other))
NAMES(mkdir, 'M', (const char *path, mode_t mode), (path, mode), path, NULL)
