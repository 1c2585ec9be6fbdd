#include "strata_plugin.h"
#include <ctype.h>
PLUGIN_IMPORT("host", "ask") plugin_answer host_ask(const void *at, size_t size);
PLUGIN_EXPORT("shout") plugin_answer shout(char *text, size_t size) {
    if (size == 0)
        return plugin_error("nothing to shout");
    for (size_t i = 0; i < size; i++)
        text[i] = toupper((unsigned char)text[i]);
    return plugin_bytes(text, size);
}
PLUGIN_EXPORT("echo") plugin_answer echo(char *data, size_t size) { return plugin_bytes(data, size); }
PLUGIN_EXPORT("quiet") plugin_answer quiet(char *data, size_t size) { return plugin_none(); }
PLUGIN_EXPORT("count") plugin_answer count(char *data, size_t size) {
    plugin_answer said = host_ask(data, size);
    plugin_answer own = plugin_is_error(said) ? plugin_error("the host refused") : plugin_text("[1]");
    plugin_drop(said);
    return own;
}
PLUGIN_EXPORT("ask") plugin_answer ask(char *data, size_t size) {
    plugin_answer found = host_ask(data, size);
    return found; // which is the host's again
}
