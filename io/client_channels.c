#include "io/client_channels.h"

#include "core/base/memory.h"
#include "core/formats/glob.h"
#include "core/formats/notice.h"

static struct client_channel **bucket_of(const struct client_channels *all, uint8_t kind, struct bytes name)
{
    const uint64_t hash = siphash13(all->key, name.ptr, name.len) + kind;
    return &all->buckets[hash % all->bucket_count];
}

struct client_channel *client_channels_find(const struct client_channels *all, uint8_t kind, struct bytes name)
{
    if (all->buckets == NULL)
        return NULL;
    struct client_channel *channel = *bucket_of(all, kind, name);
    while (channel != NULL && (channel->kind != kind || channel->name.len != name.len ||
                               (name.len > 0 && memcmp(channel->name.ptr, name.ptr, name.len) != 0)))
        channel = channel->next_in_bucket;
    return channel;
}

/* The shorter of the two lists is looked through. */
struct client_subscription *client_channels_subscribed(const struct client_subscriptions *own,
                                                       const struct client_channel *to)
{
    size_t count = 0;
    for (size_t kind = 0; kind < CHANNEL_KINDS; kind++)
        count += own->counts[kind];
    if (to == NULL || count == 0)
        return NULL;
    if (count < to->count) {
        struct client_subscription *s = own->first;
        while (s != NULL && s->channel != to)
            s = s->next_own;
        return s;
    }
    const struct client_connection *c = own->first->connection;
    struct client_subscription *s = to->first;
    while (s != NULL && s->connection != c)
        s = s->next;
    return s;
}

/* Memory that a channel takes. */
static uint64_t cost_of(size_t name_len) { return sizeof(struct client_channel) + name_len; }

static struct client_channel *channel_new(struct client_channels *all, uint8_t kind, struct bytes name)
{
    struct client_channel *channel = memory_new(1, sizeof *channel);
    if (all->buckets == NULL)
        all->buckets = memory_new(all->bucket_count, sizeof *all->buckets);
    struct client_channel **bucket = bucket_of(all, kind, name);
    channel->kind = kind;
    channel->name = (struct bytes){memory_new(name.len + 1, 1), name.len};
    if (name.len > 0)
        memcpy(channel->name.ptr, name.ptr, name.len);
    channel->next_in_bucket = *bucket;
    *bucket = channel;
    channel->previous = all->last[kind];
    *(channel->previous != NULL ? &channel->previous->next : &all->first[kind]) = channel;
    all->last[kind] = channel;
    all->counts[kind]++;
    all->bytes += cost_of(name.len);
    return channel;
}

static void channel_free(struct client_channels *all, struct client_channel *channel)
{
    struct client_channel **at = bucket_of(all, channel->kind, channel->name);
    while (*at != channel)
        at = &(*at)->next_in_bucket;
    *at = channel->next_in_bucket;
    *(channel->previous != NULL ? &channel->previous->next : &all->first[channel->kind]) = channel->next;
    *(channel->next != NULL ? &channel->next->previous : &all->last[channel->kind]) = channel->previous;
    if (all->next_pattern == channel)
        all->next_pattern = channel->next;
    all->counts[channel->kind]--;
    all->bytes -= cost_of(channel->name.len);
    free(channel->name.ptr);
    free(channel);
}

const char *client_channels_lacks_room(const struct client_channels *all, const struct client_subscriptions *own,
                                       uint8_t kind, struct bytes name)
{
    const uint64_t cost = client_channels_cost(name.len);
    size_t count = 0;
    for (size_t i = 0; i < CHANNEL_KINDS; i++)
        count += own->counts[i];
    if (name.len > (kind == CHANNEL_PATTERN ? CHANNEL_PATTERN_MAX : CHANNEL_NAME_MAX))
        return kind == CHANNEL_PATTERN ? "ERR a pattern has 256 bytes at most"
                                       : "ERR the name of a channel has 4096 bytes at most";
    if (count >= SUBSCRIPTIONS_MAX)
        return "ERR a connection has 16384 subscriptions at most";
    if (kind == CHANNEL_PATTERN && all->counts[kind] >= CHANNEL_PATTERNS_MAX &&
        client_channels_find(all, kind, name) == NULL)
        return "ERR this node has 1024 patterns at most";
    return all->bytes + cost > all->bytes_max ? "ERR this node has no room for more subscriptions" : NULL;
}

struct client_subscription *client_channels_add(struct client_channels *all, struct client_subscriptions *own,
                                                struct client_connection *c, uint8_t kind, struct bytes name)
{
    struct client_channel *channel = client_channels_find(all, kind, name);
    struct client_subscription *s = client_channels_subscribed(own, channel);
    if (s != NULL)
        return s;
    channel = channel != NULL ? channel : channel_new(all, kind, name);
    s = memory_new(1, sizeof *s);
    *s = (struct client_subscription){
        .channel = channel, .connection = c, .previous = channel->last, .previous_own = own->last};
    *(s->previous != NULL ? &s->previous->next : &channel->first) = s;
    *(s->previous_own != NULL ? &s->previous_own->next_own : &own->first) = s;
    channel->last = own->last = s;
    channel->count++;
    own->counts[kind]++;
    all->subscriptions++;
    all->bytes += sizeof *s;
    return s;
}

void client_channels_remove(struct client_channels *all, struct client_subscriptions *own, struct client_subscription *s)
{
    struct client_channel *channel = s->channel;
    *(s->previous != NULL ? &s->previous->next : &channel->first) = s->next;
    *(s->next != NULL ? &s->next->previous : &channel->last) = s->previous;
    *(s->previous_own != NULL ? &s->previous_own->next_own : &own->first) = s->next_own;
    *(s->next_own != NULL ? &s->next_own->previous_own : &own->last) = s->previous_own;
    if (all->next_subscription == s)
        all->next_subscription = s->next;
    own->counts[channel->kind]--;
    all->subscriptions--;
    all->bytes -= sizeof *s;
    free(s);
    if (--channel->count == 0)
        channel_free(all, channel);
}

void client_channels_remove_all(struct client_channels *all, struct client_subscriptions *own)
{
    while (own->first != NULL)
        client_channels_remove(all, own, own->first);
}

size_t client_channels_receivers(const struct client_channels *all, uint8_t kind, struct bytes name, uint64_t *steps)
{
    size_t count = client_channels_count(client_channels_find(all, kind, name));
    const struct client_channel *pattern = kind == CHANNEL_NAMED ? all->first[CHANNEL_PATTERN] : NULL;
    for (; pattern != NULL; pattern = pattern->next)
        if (glob_match(pattern->name.ptr, pattern->name.len, name.ptr, name.len, steps) == GLOB_MATCHES)
            count += pattern->count;
    return count;
}

void client_channels_close(struct client_channels *all)
{
    invariant(all->subscriptions == 0);
    free(all->buckets);
}
