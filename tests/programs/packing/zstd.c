/* Packs or unpacks standard input: `zstd LEVEL`, `zstd -d`. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "zstd.h"

static char *all(size_t *size) {
    size_t room = 1 << 16, have = 0, got;
    char *data = malloc(room);
    while (data && (got = fread(data + have, 1, room - have, stdin)) > 0) {
        have += got;
        if (have == room) data = realloc(data, room *= 2);
    }
    *size = have;
    return data;
}

int main(int argc, char **argv) {
    size_t size, most, made;
    char *data = all(&size), *out;
    if (argc != 2 || !data) return 2;
    if (!strcmp(argv[1], "-d")) {
        unsigned long long whole = ZSTD_getFrameContentSize(data, size);
        if (whole == ZSTD_CONTENTSIZE_ERROR || whole == ZSTD_CONTENTSIZE_UNKNOWN || whole > 1u << 30) return 3;
        most = whole;
        out = malloc(most + 1);
        made = out ? ZSTD_decompress(out, most, data, size) : 0;
    } else {
        most = ZSTD_compressBound(size);
        out = malloc(most);
        made = out ? ZSTD_compress(out, most, data, size, atoi(argv[1])) : 0;
    }
    if (!out) return 4;
    if (ZSTD_isError(made)) {
        fprintf(stderr, "%s\n", ZSTD_getErrorName(made));
        return 1;
    }
    return fwrite(out, 1, made, stdout) == made ? 0 : 5;
}
