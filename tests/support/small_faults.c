/* The n-th call that changes something under one folder fails, writes too little, or is slow.

   Preloaded into a process (tests/support/small_faults.py), since LMDB writes from C. Counting
   starts with faults_begin; calls before it, and outside that folder, are not affected. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { NONE, ONCE, DEAD, FULL, SHORT, CUT, KILLED, SLOW }; /* as in small_faults.py */
enum what { WRITES, TAKES_SPACE, OTHER };
enum fate { GO, FAIL, HALF };
#define MOST 100000

static char folder[PATH_MAX], names[MOST][12];
static long calls, nth;
static enum kind kind;
static int code, counting;

void faults_begin(const char *under, int kind_, long nth_, int code_) {
    snprintf(folder, sizeof folder, "%s", under);
    kind = kind_, nth = nth_, code = code_, calls = 0, counting = 1;
}

long faults_end(void) { return counting = 0, calls; }

const char *faults_name(long n) { return names[n]; }

static int is_inside(int from, const char *path) {
    char at[PATH_MAX + 32], whole[2 * PATH_MAX] = "";
    if (!path || path[0] != '/') {
        if (from == AT_FDCWD) snprintf(at, sizeof at, "/proc/self/cwd");
        else snprintf(at, sizeof at, "/proc/self/fd/%d", from);
        ssize_t length = readlink(at, whole, PATH_MAX);
        if (length < 0) return 0;
        whole[length] = 0;
        if (path) strcat(whole, "/");
    }
    if (path) strncat(whole, path, PATH_MAX);
    size_t length = strlen(folder);
    return !strncmp(whole, folder, length) && (whole[length] == '/' || !whole[length]);
}

static enum fate fate_of(const char *name, enum what what, int from, const char *path) {
    int before = errno;
    if (!counting || !is_inside(from, path)) return errno = before, GO;
    errno = code;
    long n = calls++;
    if (n < MOST) snprintf(names[n], sizeof names[n], "%s", name);
    if (kind == SLOW) nanosleep(&(struct timespec){0, nth * 1000000}, 0);
    if (n == nth && kind == KILLED) raise(SIGKILL);
    if (n == nth && kind == ONCE) return FAIL;
    if (n == nth && what == WRITES && (kind == SHORT || kind == CUT)) return errno = before, HALF;
    if (n >= nth && kind == DEAD) return FAIL;
    if (n >= nth && (kind == FULL || kind == CUT) && what != OTHER) return FAIL;
    return errno = before, GO;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define WRITE(name, more, given)                                                                  \
    ssize_t name(int file, const void *data, size_t size more) {                                  \
        enum fate fate = fate_of(#name, WRITES, file, 0);                                         \
        if (fate == FAIL) return -1;                                                              \
        return NEXT(name)(file, data, fate == HALF && size > 1 ? size / 2 : size given);          \
    }
#define COMMA ,
WRITE(write, , )
WRITE(pwrite, COMMA off_t offset, COMMA offset)
WRITE(pwrite64, COMMA off64_t offset, COMMA offset)

/* a short write of several parts writes half of the first one only */
#define WRITEV(name, more, given)                                                                 \
    ssize_t name(int file, const struct iovec *parts, int count more) {                           \
        enum fate fate = fate_of(#name, WRITES, file, 0);                                         \
        if (fate == FAIL) return -1;                                                              \
        struct iovec half = {parts[0].iov_base, (parts[0].iov_len + 1) / 2};                      \
        return fate == HALF ? NEXT(name)(file, &half, 1 given) : NEXT(name)(file, parts, count given); \
    }
WRITEV(writev, , )
WRITEV(pwritev, COMMA off_t offset, COMMA offset)
WRITEV(pwritev64, COMMA off64_t offset, COMMA offset)

#define CALL(name, what, from, path, parameters, given)                                           \
    int name parameters {                                                                         \
        return fate_of(#name, what, from, path) == FAIL ? -1 : NEXT(name) given;                  \
    }
CALL(fsync, OTHER, file, 0, (int file), (file))
CALL(fdatasync, OTHER, file, 0, (int file), (file))
CALL(ftruncate, TAKES_SPACE, file, 0, (int file, off_t size), (file, size))
CALL(ftruncate64, TAKES_SPACE, file, 0, (int file, off64_t size), (file, size))
CALL(mkdir, TAKES_SPACE, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode))
CALL(rename, OTHER, AT_FDCWD, old, (const char *old, const char *new), (old, new))
CALL(renameat, OTHER, from, old, (int from, const char *old, int to, const char *new), (from, old, to, new))
CALL(unlink, OTHER, AT_FDCWD, path, (const char *path), (path))
CALL(unlinkat, OTHER, from, path, (int from, const char *path, int flags), (from, path, flags))
CALL(rmdir, OTHER, AT_FDCWD, path, (const char *path), (path))

#define OPEN(name, from, parameters, given)                                                        \
    int name parameters {                                                                         \
        mode_t mode = 0;                                                                          \
        if (flags & O_CREAT) {                                                                    \
            va_list more;                                                                         \
            va_start(more, flags), mode = va_arg(more, mode_t), va_end(more);                     \
            if (fate_of(#name, TAKES_SPACE, from, path) == FAIL) return -1;                       \
        }                                                                                         \
        return NEXT(name) given;                                                                  \
    }
OPEN(open, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, from, (int from, const char *path, int flags, ...), (from, path, flags, mode))
OPEN(openat64, from, (int from, const char *path, int flags, ...), (from, path, flags, mode))
