/* Lets one call that writes below a folder fail, as a disk does; loaded before the C library (LD_PRELOAD).

   Each such call is counted and noted while a folder is watched. When it is the N-th, a write is cut in half and
   fails, any other call fails without effect; `lasting` lets all later calls that take space fail as well. Meanwhile
   nothing is really flushed: the power stays on, and the trial is ten times as fast. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>
#include <pthread.h>

#define SPACE 1   /* takes space on the disk: also fails while the disk stays full */
#define OTHER 0

static char root[4096];
static long number, fails_at;
static int fails_with, lasts;
static char *noted;
static size_t length, room;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void faults_watch(const char *path) { snprintf(root, sizeof root, "%s", path); }
void faults_arm(long at, int error, int lasting) {
    number = 0; fails_at = at; fails_with = error; lasts = lasting; length = 0;
}
const char *faults_noted(void) { return length ? noted : ""; }

/* Count a call on a path; return whether it shall fail. */
static int fails(const char *kind, const char *path, int space) {
    size_t n = strlen(root);
    if (!n || strncmp(path, root, n) || (path[n] && path[n] != '/')) return 0;
    pthread_mutex_lock(&mutex);
    long now = ++number;
    size_t more = strlen(kind) + strlen(path) + 4;
    if (length + more > room) noted = realloc(noted, room = 2 * (room + more));
    length += sprintf(noted + length, "%s\t%s\n", kind, path);
    int found = fails_at && (now == fails_at || (lasts && space && now > fails_at));
    pthread_mutex_unlock(&mutex);
    if (found) errno = fails_with;
    return found;
}

static const char *of_fd(int fd, char *path) {
    char link[64];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = root[0] ? readlink(link, path, 4095) : -1;
    path[n < 0 ? 0 : n] = 0;
    errno = kept;
    return path;
}

static const char *of_name(int folder, const char *name, char *path) {
    if (!root[0]) return "";
    if (name[0] == '/') return name;
    char where[4096];
    if (folder == AT_FDCWD) { if (!getcwd(where, sizeof where)) where[0] = 0; }
    else of_fd(folder, where);
    snprintf(path, 8192, "%s/%s", where, name);
    return path;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)
#define FD_FAILS(kind, fd, space) (of_fd(fd, place), fails(kind, place, space))

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, "write", int, const void *, size_t);
    char place[4096];
    if (!FD_FAILS("write", fd, SPACE)) return real(fd, data, size);
    if (size > 1) { ssize_t ignored = real(fd, data, size / 2); (void)ignored; }
    errno = fails_with;
    return -1;
}
#define PWRITE(name) \
    ssize_t name(int fd, const void *data, size_t size, off_t at) { \
        REAL(ssize_t, #name, int, const void *, size_t, off_t); \
        char place[4096]; \
        if (!FD_FAILS("write", fd, SPACE)) return real(fd, data, size, at); \
        if (size > 1) { ssize_t ignored = real(fd, data, size / 2, at); (void)ignored; } \
        errno = fails_with; \
        return -1; \
    }
PWRITE(pwrite)
PWRITE(pwrite64)
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    char place[4096];
    return FD_FAILS("write", fd, SPACE) ? -1 : real(fd, parts, count);
}
#define PWRITEV(name) \
    ssize_t name(int fd, const struct iovec *parts, int count, off_t at) { \
        REAL(ssize_t, #name, int, const struct iovec *, int, off_t); \
        char place[4096]; \
        return FD_FAILS("write", fd, SPACE) ? -1 : real(fd, parts, count, at); \
    }
PWRITEV(pwritev)
PWRITEV(pwritev64)
#define SENDFILE(name) \
    ssize_t name(int to, int from, off_t *at, size_t size) { \
        REAL(ssize_t, #name, int, int, off_t *, size_t); \
        char place[4096]; \
        return FD_FAILS("write", to, SPACE) ? -1 : real(to, from, at, size); \
    }
SENDFILE(sendfile)
SENDFILE(sendfile64)
ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *there, size_t size, unsigned flags) {
    REAL(ssize_t, "copy_file_range", int, off64_t *, int, off64_t *, size_t, unsigned);
    char place[4096];
    return FD_FAILS("write", to, SPACE) ? -1 : real(from, at, to, there, size, flags);
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file) {
    REAL(size_t, "fwrite", const void *, size_t, size_t, FILE *);
    char place[4096];
    if (!root[0] || !FD_FAILS("write", fileno(file), SPACE)) return real(data, size, count, file);
    size_t half = real(data, size, count / 2, file);
    errno = fails_with;
    return half;
}
int fflush(FILE *file) {
    REAL(int, "fflush", FILE *);
    char place[4096];
    return file && root[0] && __fwritable(file) && FD_FAILS("flush", fileno(file), SPACE) ? EOF : real(file);
}
int fclose(FILE *file) {
    REAL(int, "fclose", FILE *);
    char place[4096];
    int bad = root[0] && __fwritable(file) && FD_FAILS("close", fileno(file), SPACE);
    int found = real(file);
    if (bad) { errno = fails_with; return EOF; }
    return found;
}

#define ON_FD(name, kind) \
    int name(int fd) { \
        REAL(int, #name, int); \
        char place[4096]; \
        return FD_FAILS(kind, fd, OTHER) ? -1 : root[0] ? 0 : real(fd); \
    }
ON_FD(fsync, "flush")
ON_FD(fdatasync, "flush")
void sync(void) {
    static void (*real)(void);
    if (!real) real = (void (*)(void))dlsym(RTLD_NEXT, "sync");
    if (!root[0]) real();
}
#define TRUNCATE(name) \
    int name(int fd, off_t size) { \
        REAL(int, #name, int, off_t); \
        char place[4096]; \
        return FD_FAILS("size", fd, SPACE) ? -1 : real(fd, size); \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)
#define ALLOCATE(name) \
    int name(int fd, off_t at, off_t size) { \
        REAL(int, #name, int, off_t, off_t); \
        char place[4096]; \
        return FD_FAILS("size", fd, SPACE) ? fails_with : real(fd, at, size); \
    }
ALLOCATE(posix_fallocate)
ALLOCATE(posix_fallocate64)

int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    char place[8192];
    return fails("rename", of_name(AT_FDCWD, to, place), OTHER) ? -1 : real(from, to);
}
int renameat(int here, const char *from, int there, const char *to) {
    REAL(int, "renameat", int, const char *, int, const char *);
    char place[8192];
    return fails("rename", of_name(there, to, place), OTHER) ? -1 : real(here, from, there, to);
}
int renameat2(int here, const char *from, int there, const char *to, unsigned flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    char place[8192];
    return fails("rename", of_name(there, to, place), OTHER) ? -1 : real(here, from, there, to, flags);
}
int link(const char *from, const char *to) {
    REAL(int, "link", const char *, const char *);
    char place[8192];
    return fails("rename", of_name(AT_FDCWD, to, place), SPACE) ? -1 : real(from, to);
}
int mkdir(const char *name, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    char place[8192];
    struct stat found;
    const char *path = of_name(AT_FDCWD, name, place);
    int kept = errno, there = root[0] && !stat(name, &found);
    errno = kept;
    return !there && fails("folder", path, SPACE) ? -1 : real(name, mode);
}

#define WRITES(flags) (((flags) & O_ACCMODE) != O_RDONLY || ((flags) & O_CREAT))
#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        REAL(int, #name, const char *, int, ...); \
        va_list rest; va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        char place[8192]; \
        if (WRITES(flags) && fails("open", of_name(AT_FDCWD, path, place), flags & O_CREAT ? SPACE : OTHER)) \
            return -1; \
        return real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        REAL(int, #name, int, const char *, int, ...); \
        va_list rest; va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        char place[8192]; \
        if (WRITES(flags) && fails("open", of_name(folder, path, place), flags & O_CREAT ? SPACE : OTHER)) \
            return -1; \
        return real(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)
#define FOPEN(name) \
    FILE *name(const char *path, const char *how) { \
        REAL(FILE *, #name, const char *, const char *); \
        char place[8192]; \
        if (how[strcspn(how, "wa+")] && fails("open", of_name(AT_FDCWD, path, place), SPACE)) return NULL; \
        return real(path, how); \
    }
FOPEN(fopen)
FOPEN(fopen64)
