/* SIGKILL inside a write: after KILL_BYTES of the n-th time that a file is opened for writing.

   Preloaded into `dvc repro` by tests/robustness/test_interrupted.py. KILL_FILE is a glob of
   absolute paths, KILL_OPENING counts from 1; KILL_BYTES = 0 kills as soon as the file is open and
   empty. WRITES_LOG names a file to which every path opened for writing is appended. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int openings, watched = -1;
static long left;

static void note(const char *path) {
    const char *log = getenv("WRITES_LOG");
    char line[PATH_MAX + 2];
    if (!log) return;
    int length = snprintf(line, sizeof line, "%s\n", path);
    int file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (file < 0) return;
    syscall(SYS_write, file, line, length);
    syscall(SYS_close, file);
}

static int opened(int file) {
    const char *pattern = getenv("KILL_FILE");
    char link[32], path[PATH_MAX] = "";
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (file < 0 || readlink(link, path, sizeof path - 1) < 0) return errno = before, file;
    if (watched == file) watched = -1;
    note(path);
    if (pattern && !fnmatch(pattern, path, 0) && ++openings == atoi(getenv("KILL_OPENING"))) {
        watched = file, left = atol(getenv("KILL_BYTES"));
        if (!left) raise(SIGKILL);
    }
    return errno = before, file;
}

#define WRITE(name, more, given)                                                                  \
    ssize_t name(int file, const void *data, size_t size more) {                                  \
        if (file == watched && (long)size >= left) {                                              \
            if (left) NEXT(name)(file, data, left given);                                         \
            raise(SIGKILL);                                                                       \
        }                                                                                         \
        if (file == watched) left -= size;                                                        \
        return NEXT(name)(file, data, size given);                                                \
    }
#define COMMA ,
WRITE(write, , )
WRITE(pwrite64, COMMA off64_t offset, COMMA offset)

#define OPEN(name, parameters, given)                                                             \
    int name parameters {                                                                         \
        mode_t mode = 0;                                                                          \
        if (flags & O_CREAT) {                                                                    \
            va_list more;                                                                         \
            va_start(more, flags), mode = va_arg(more, mode_t), va_end(more);                     \
        }                                                                                         \
        int file = NEXT(name) given;                                                              \
        return (flags & O_ACCMODE) == O_RDONLY ? file : opened(file);                             \
    }
OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int from, const char *path, int flags, ...), (from, path, flags, mode))
OPEN(openat64, (int from, const char *path, int flags, ...), (from, path, flags, mode))
