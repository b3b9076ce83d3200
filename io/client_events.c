/* Keyspace notifications: what the node tells of keys becomes messages of two channels, as in Redis:
 *
 *    __keyspace@0__:KEY    the name of what has happened
 *    __keyevent@0__:NAME   the key
 *
 * `CONFIG SET notify-keyspace-events` says which of them this node tells its clients, by letters: K and E for the channels,
 * and the classes (core/formats/command.h), A for all of Redis' but m and n. Other nodes have settings of their own. */
#include <string.h>

#include "core/base/memory.h"
#include "io/client_internal.h"

static const char classes[] = "g$lshzxetdnmKE"; /* a bit each; A stands for those before n */
enum { CLASSES_OF_A = 10 };

static uint32_t bit_of(uint8_t letter)
{
    const char *at = letter != 0 ? memchr(classes, letter, sizeof classes - 1) : NULL;
    return at != NULL ? UINT32_C(1) << (at - classes) : 0;
}

static uint32_t all(void) { return (UINT32_C(1) << CLASSES_OF_A) - 1; }

bool client_events_read(const struct bytes *text, uint32_t *flags)
{
    *flags = 0;
    for (size_t i = 0; i < text->len; i++) {
        const uint32_t said = text->ptr[i] == 'A' ? all() : bit_of(text->ptr[i]);
        if (said == 0)
            return false;
        *flags |= said;
    }
    return true;
}

/* As Redis does it: A hides n. */
void client_events_write(uint32_t flags, char text[CLIENT_EVENTS_SIZE])
{
    static const char order[] = "g$lshzxetdnKEm";
    const bool has_all = (flags & all()) == all();
    size_t len = 0;
    if (has_all)
        text[len++] = 'A';
    for (const char *at = order; *at != '\0'; at++) {
        const uint32_t bit = bit_of((uint8_t)*at);
        const bool is_hidden = has_all && ((bit & all()) != 0 || *at == 'n');
        if ((flags & bit) != 0 && !is_hidden)
            text[len++] = *at;
    }
    text[len] = '\0';
}

bool client_events_wanted(const struct client_server *s)
{
    const uint32_t channels = bit_of('K') | bit_of('E');
    return s->channels.subscriptions > 0 && (s->events & channels) != 0 && (s->events & ~channels) != 0;
}

/* The message of one of the two channels. */
static void tell(struct client_server *s, const char *kind, const struct bytes *of, const struct bytes *message,
                 uint64_t *steps)
{
    const size_t len = strlen(kind);
    struct notice n = {.kind = NOTICE_MESSAGE, .message = *message};
    n.channel = (struct bytes){memory_new(len + of->len, 1), len + of->len};
    memcpy(n.channel.ptr, kind, len);
    if (of->len > 0)
        memcpy(n.channel.ptr + len, of->ptr, of->len);
    client_pubsub_message(s, &n, steps);
    free(n.channel.ptr);
}

void client_events_told(struct client_server *s, const struct notice *n, uint64_t *steps)
{
    if ((s->events & bit_of(n->class)) == 0)
        return;
    if ((s->events & bit_of('K')) != 0)
        tell(s, "__keyspace@0__:", &n->channel, &n->message, steps);
    if ((s->events & bit_of('E')) != 0)
        tell(s, "__keyevent@0__:", &n->message, &n->channel, steps);
}
