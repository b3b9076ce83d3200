/* Files of compiled code, one a component:
 *
 *      0   magic "SYNODCW1"              8
 *      8   length of the code            8   little-endian
 *     16   SHA-256 of key and code      32
 *     48   code, as wasmtime_component_serialize gave it
 *
 * 1. A file's name is the key: SHA-256 over the settings (compiler's version included) and the component's bytes.
 * 2. The folder has mode 0700 and belongs to the user this process runs as, and so does each file; both are checked on the
 * open descriptor, and links are not followed.
 * 3. A file is written under another name, synced and renamed: a crash leaves the old file or the new one.
 * 4. The digest is verified before a byte is used. In any doubt the answer is "nothing": the component is compiled. */
#include "host/compiled_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

enum { MAGIC_SIZE = 8, DIGEST_SIZE = 32, HEADER_SIZE = MAGIC_SIZE + 8 + DIGEST_SIZE, NAME_SIZE = 2 * COMPILED_KEY_SIZE + 8 };

static const char MAGIC[MAGIC_SIZE + 1] = "SYNODCW1";

static bool digest(const void *a, size_t a_len, const void *b, size_t b_len, uint8_t out[DIGEST_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context != NULL && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
                EVP_DigestUpdate(context, a, a_len) == 1 && EVP_DigestUpdate(context, b, b_len) == 1 &&
                EVP_DigestFinal_ex(context, out, NULL) == 1;
    EVP_MD_CTX_free(context);
    return done;
}

bool compiled_cache_key(const uint8_t *source, size_t len, const char *settings, uint8_t key[COMPILED_KEY_SIZE])
{
    return digest(settings, strlen(settings) + 1, source, len, key); /* with its zero: where settings end is certain */
}

/* mkdir -p; the last folder is for this user alone. */
static bool make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        int error = mkdir(path, 0755) == 0 ? 0 : errno;
        *slash = '/';
        if (error != 0 && error != EEXIST)
            return false;
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

static bool default_folder(char *path, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int len = -1;
    if (cache != NULL && cache[0] == '/')
        len = snprintf(path, size, "%s/synod/compiled", cache);
    else if (home != NULL && home[0] == '/')
        len = snprintf(path, size, "%s/.cache/synod/compiled", home);
    return len > 0 && (size_t)len < size;
}

int compiled_cache_open(const char *folder, char *why, size_t why_size)
{
    char path[4096];
    struct stat status;
    if (folder != NULL ? strlen(folder) >= sizeof path : !default_folder(path, sizeof path)) {
        snprintf(why, why_size, "neither XDG_CACHE_HOME nor HOME names a folder for compiled code");
        return -1;
    }
    if (folder != NULL)
        strcpy(path, folder);
    int fd = make_folders(path) ? open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
    if (fd < 0 || fstat(fd, &status) != 0) {
        snprintf(why, why_size, "%s: %s", path, strerror(errno));
    } else if (status.st_uid != geteuid() || (status.st_mode & 077) != 0) {
        snprintf(why, why_size, "%s belongs to somebody else or is open to others (it must be yours, mode 0700)", path);
    } else {
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static void file_name(const uint8_t key[COMPILED_KEY_SIZE], char name[NAME_SIZE])
{
    for (size_t i = 0; i < COMPILED_KEY_SIZE; i++)
        snprintf(name + 2 * i, 3, "%02x", key[i]);
    strcat(name, ".cwasm");
}

static bool read_all(int fd, void *to, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = read(fd, (char *)to + done, len - done);
        if (n <= 0 && errno != EINTR)
            return false;
        if (n == 0)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool write_all(int fd, const void *from, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const char *)from + done, len - done);
        if (n < 0 && errno != EINTR)
            return false;
        done += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static void put_length(uint8_t *to, size_t len)
{
    for (size_t i = 0; i < 8; i++)
        to[i] = (uint8_t)((uint64_t)len >> (8 * i));
}

uint8_t *compiled_cache_get(int folder, const uint8_t key[COMPILED_KEY_SIZE], size_t *len)
{
    char name[NAME_SIZE];
    uint8_t header[HEADER_SIZE], expected[HEADER_SIZE];
    struct stat status;
    uint8_t *code = NULL;
    file_name(key, name);
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    bool sound = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid() &&
                 (status.st_mode & 022) == 0 && status.st_size > HEADER_SIZE && read_all(fd, header, HEADER_SIZE);
    if (sound) {
        *len = (size_t)status.st_size - HEADER_SIZE;
        code = malloc(*len);
        sound = code != NULL && read_all(fd, code, *len);
    }
    close(fd);
    if (sound) {
        memcpy(expected, MAGIC, MAGIC_SIZE);
        put_length(expected + MAGIC_SIZE, *len);
        sound = digest(key, COMPILED_KEY_SIZE, code, *len, expected + MAGIC_SIZE + 8) &&
                memcmp(header, expected, HEADER_SIZE) == 0;
    }
    if (!sound) {
        free(code);
        return NULL;
    }
    return code;
}

bool compiled_cache_put(int folder, const uint8_t key[COMPILED_KEY_SIZE], const uint8_t *bytes, size_t len)
{
    char name[NAME_SIZE], temporary[NAME_SIZE + 32];
    uint8_t header[HEADER_SIZE];
    file_name(key, name);
    snprintf(temporary, sizeof temporary, "%s.%ld.new", name, (long)getpid());
    memcpy(header, MAGIC, MAGIC_SIZE);
    put_length(header + MAGIC_SIZE, len);
    if (!digest(key, COMPILED_KEY_SIZE, bytes, len, header + MAGIC_SIZE + 8)) {
        errno = EIO;
        return false;
    }
    unlinkat(folder, temporary, 0); /* of a process with the same number that died */
    int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return false;
    bool written = write_all(fd, header, HEADER_SIZE) && write_all(fd, bytes, len) && fsync(fd) == 0;
    int error = errno;
    close(fd);
    if (written && renameat(folder, temporary, folder, name) == 0)
        return true;
    error = written ? errno : error;
    unlinkat(folder, temporary, 0);
    errno = error;
    return false;
}

int compiled_cache_lock(int folder)
{
    int lock = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* a description of its own: locks belong to those */
    if (lock < 0 || flock(lock, LOCK_EX) == 0)
        return lock;
    close(lock);
    return -1;
}
