/* A disk that fails under files that are open already. */
#ifndef SYNOD_TESTS_BROKEN_FILES_H
#define SYNOD_TESTS_BROKEN_FILES_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* From now on, no file of this process whose path has `part` in it can be written to: its descriptor is another file's,
 * which is open for reading. Returns how many there are. */
static inline unsigned break_files(const char *part)
{
    unsigned broken = 0;
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    DIR *files = opendir("/proc/self/fd");
    for (struct dirent *file; nothing >= 0 && files != NULL && (file = readdir(files)) != NULL;) {
        char path[512], link[300];
        snprintf(link, sizeof link, "/proc/self/fd/%s", file->d_name);
        ssize_t len = readlink(link, path, sizeof path - 1);
        path[len > 0 ? len : 0] = '\0';
        if (strstr(path, part) != NULL)
            broken += dup3(nothing, atoi(file->d_name), O_CLOEXEC) >= 0;
    }
    if (files != NULL)
        closedir(files);
    close(nothing);
    return broken;
}

#endif
