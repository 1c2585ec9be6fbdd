/* Titles to addresses: "Hello, World!" → "hello-world". Version 1.1 says "and" for &, and counts on. */
#include "strata_plugin.h"
#include <ctype.h>

#ifndef MINOR
#define MINOR 0
#endif
#define LONGEST 4096

static uint32_t made;

PLUGIN_EXPORT("slug") plugin_answer slug(const char *title, size_t size) {
    char found[LONGEST];
    size_t length = 0;
    if (size == 0 || size > LONGEST / 8)
        return plugin_error("a title has 1 to 512 bytes");
    for (size_t i = 0; i < size; i++) {
        unsigned char letter = title[i];
        if (MINOR >= 1 && letter == '&') {
            memcpy(found + length, "and", 3);
            length += 3;
        } else if (isalnum(letter)) {
            found[length++] = tolower(letter);
        } else if (length && found[length - 1] != '-') {
            found[length++] = '-';
        }
    }
    while (length && found[length - 1] == '-')
        length--;
    made++;
    return plugin_bytes(found, length);
}

PLUGIN_EXPORT("made") plugin_answer how_many(void *at, size_t size) {
    char text[16], *from = text + sizeof text - 1;
    uint32_t left = made;
    (void)at, (void)size;
    *from = 0;
    do
        *--from = '0' + left % 10;
    while (left /= 10);
    return plugin_text(from);
}

/* What goes on where the next version takes a new instance. */
PLUGIN_EXPORT("export-state") plugin_answer export_state(void) { return plugin_bytes(&made, sizeof made); }

PLUGIN_EXPORT("migrate") int32_t migrate(int32_t version, const void *state, size_t size) {
    (void)version;
    if (size != sizeof made)
        return 1;
    memcpy(&made, state, size);
    return 0;
}
