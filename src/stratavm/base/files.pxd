cdef extern from * nogil:
    """
    #include <dirent.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <stdlib.h>
    #include <string.h>
    #include <sys/stat.h>
    #include <unistd.h>

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

    typedef struct {
        char *bytes;
        size_t size, room;
        long long newest_ns;
    } StrataStamp;

    static int strata_stamp_add(StrataStamp *stamp, const void *what, size_t size) {
        if (stamp->size + size > stamp->room) {
            size_t room = 2 * stamp->room + size + 65536;
            char *bytes = realloc(stamp->bytes, room);
            if (!bytes) return ENOMEM;
            stamp->bytes = bytes;
            stamp->room = room;
        }
        memcpy(stamp->bytes + stamp->size, what, size);
        stamp->size += size;
        return 0;
    }

    static int strata_ends_so(const char *name, size_t size, const char *end) {
        size_t most = strlen(end);
        return size >= most && !memcmp(name + size - most, end, most);
    }

    /* Names and times of a folder's files, and those of the folders in it behind their names; takes the descriptor. */
    static int strata_stamp_at(int at, const char *a, const char *b, const char *skipped, StrataStamp *stamp) {
        const char *name;
        int failure = 0, is_folder = 0, below;
        DIR *folder = at < 0 ? 0 : fdopendir(at);
        if (!folder) {
            failure = errno;
            if (at >= 0) close(at);
            return failure;
        }
        while (!failure && (name = strata_next_entry(folder, &is_folder))) {
            size_t size = strlen(name);
            StrataTimes times;
            if (is_folder && strcmp(name, skipped)) {
                failure = strata_stamp_add(stamp, "/", 1);
                if (!failure) failure = strata_stamp_add(stamp, name, size + 1);
                below = openat(dirfd(folder), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (failure && below >= 0) close(below);
                if (!failure) failure = strata_stamp_at(below, a, b, skipped, stamp);
                if (!failure) failure = strata_stamp_add(stamp, "/", 2);
            } else if (!is_folder && (strata_ends_so(name, size, a) || strata_ends_so(name, size, b))) {
                memset(&times, 0, sizeof times);
                if (strata_times_of(folder, name, &times)) failure = errno;
                if (times.ctime_ns > stamp->newest_ns) stamp->newest_ns = times.ctime_ns;
                if (!failure) failure = strata_stamp_add(stamp, name, size + 1);
                if (!failure) failure = strata_stamp_add(stamp, &times, sizeof times);
            }
        }
        if (!failure) failure = errno;  /* of the entry that there was not */
        closedir(folder);
        return failure;
    }

    static int strata_stamp_folder(
        const char *folder, const char *a, const char *b, const char *skipped, StrataStamp *stamp
    ) {
        memset(stamp, 0, sizeof *stamp);
        return strata_stamp_at(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), a, b, skipped, stamp);
    }
    """
    ctypedef struct Stamp "StrataStamp":
        char* bytes
        size_t size
        long long newest_ns
    int stamp_folder "strata_stamp_folder"(const char* folder, const char* a, const char* b, const char* skipped,
                                           Stamp* stamp)
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
