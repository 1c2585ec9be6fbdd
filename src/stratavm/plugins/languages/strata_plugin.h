/* A plugin of Strata in C: the calling convention, in one file. Include it in one file of the plugin.
 *
 *   clang --target=wasm32-wasi -mexec-model=reactor -O2 -Wl,--strip-all shout.c -o shout.wasm
 *
 *   #include "strata_plugin.h"
 *
 *   PLUGIN_IMPORT("log", "write") plugin_answer log_write(const void *at, size_t size);
 *
 *   PLUGIN_EXPORT("shout") plugin_answer shout(char *text, size_t size) {
 *       if (size == 0)
 *           return plugin_error("nothing to shout");
 *       plugin_drop(log_write(text, size));
 *       return plugin_bytes(text, size);
 *   }
 *
 * A function takes the place and the size of one argument, which the host frees when it returns, and gives an answer,
 * which the host frees. Bytes, text (UTF-8) and JSON (as text) go the same way; the manifest says which it is. For none
 * the size is 0. Functions of the host have the same form: the caller keeps the argument, and drops the answer. */
#ifndef STRATA_PLUGIN_H
#define STRATA_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PLUGIN_EXPORT(name) __attribute__((export_name(name)))
#define PLUGIN_IMPORT(module, name) __attribute__((import_module(module), import_name(name)))
#define PLUGIN_IS_ERROR 0x80000000u

typedef uint64_t plugin_answer; /* address << 32 | size; bit 31: it is an error, in words */

/* The host asks for room, and gives it back. */
PLUGIN_EXPORT("plugin_alloc") void *plugin_alloc(size_t size) { return malloc(size ? size : 1); }

PLUGIN_EXPORT("plugin_free") void plugin_free(void *at, size_t size) {
    (void)size;
    free(at);
}

/* ---- answers ---- */

static plugin_answer plugin_packed(const void *from, size_t size, uint32_t mark) {
    if (size >= PLUGIN_IS_ERROR)
        abort();
    if (!size)
        return mark; /* the host frees what has bytes */
    void *at = plugin_alloc(size);
    if (!at)
        abort(); /* the memory is full: a trap in the host, instead of a wrong answer */
    memcpy(at, from, size);
    return (uint64_t)(uintptr_t)at << 32 | (uint32_t)size | mark;
}

/* A copy of some bytes. */
static inline plugin_answer plugin_bytes(const void *from, size_t size) { return plugin_packed(from, size, 0); }

/* A copy of a text, or of JSON, that ends with a zero. */
static inline plugin_answer plugin_text(const char *text) { return plugin_packed(text, strlen(text), 0); }

/* Nothing. */
static inline plugin_answer plugin_none(void) { return 0; }

/* An error, in words: the host raises ErrorAnswer, and the plugin goes on. */
static inline plugin_answer plugin_error(const char *words) {
    return plugin_packed(words, strlen(words), PLUGIN_IS_ERROR);
}

/* ---- answers of the host ---- */

static inline int plugin_is_error(plugin_answer answer) { return ((uint32_t)answer & PLUGIN_IS_ERROR) != 0; }

static inline size_t plugin_size(plugin_answer answer) { return (uint32_t)answer & ~PLUGIN_IS_ERROR; }

static inline char *plugin_at(plugin_answer answer) { return (char *)(uintptr_t)(answer >> 32); }

/* Free it, when it was read. */
static inline void plugin_drop(plugin_answer answer) {
    if (plugin_size(answer))
        plugin_free(plugin_at(answer), plugin_size(answer));
}

#endif
