cdef extern from * nogil:
    """
    #include <dirent.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <string.h>
    #include <sys/stat.h>

    typedef struct {
        long long size, mtime_ns, ctime_ns;
    } StrataTimes;

    /* The next entry of a folder but for itself and the one above, and whether it is a folder; NULL at the end. */
    static inline const char *strata_next_entry(DIR *folder, int *is_folder) {
        struct dirent *entry;
        struct stat now;
        do {
            errno = 0;
            entry = readdir(folder);
            if (!entry) return 0;
        } while (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."));
        *is_folder = entry->d_type == DT_DIR;
        if (entry->d_type == DT_UNKNOWN)
            *is_folder = !fstatat(dirfd(folder), entry->d_name, &now, AT_SYMLINK_NOFOLLOW) && S_ISDIR(now.st_mode);
        return entry->d_name;
    }

    static inline int strata_times_of(DIR *folder, const char *name, StrataTimes *times) {
        struct stat now;
        if (fstatat(dirfd(folder), name, &now, 0)) return -1;
        times->size = now.st_size;
        times->mtime_ns = now.st_mtim.tv_sec * 1000000000ll + now.st_mtim.tv_nsec;
        times->ctime_ns = now.st_ctim.tv_sec * 1000000000ll + now.st_ctim.tv_nsec;
        return 0;
    }
    """
    ctypedef struct DIR:
        pass
    ctypedef struct Times "StrataTimes":
        long long size
        long long mtime_ns
        long long ctime_ns
    DIR* opendir(const char* path)
    int closedir(DIR* folder)
    const char* next_entry "strata_next_entry"(DIR* folder, int* is_folder)
    int times_of "strata_times_of"(DIR* folder, const char* name, Times* times)
