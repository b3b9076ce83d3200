/* Which connections are subscribed to what: channels, patterns of their names, and channels of shards. Each subscription is
 * in two lists: of its channel's and of its connection's, in the order in which they were made. */
#ifndef SYNOD_IO_CLIENT_CHANNELS_H
#define SYNOD_IO_CLIENT_CHANNELS_H

#include "core/base/siphash.h"
#include "core/formats/command.h"

enum client_channel_kind { CHANNEL_NAMED, CHANNEL_PATTERN, CHANNEL_OF_SHARD, CHANNEL_KINDS };

enum {
    CHANNEL_PATTERN_MAX = 256,   /* bytes */
    CHANNEL_PATTERNS_MAX = 1024, /* that differ: each message is compared with all of them */
    SUBSCRIPTIONS_MAX = 16384,   /* of one connection */
};

struct client_connection;

struct client_subscription {
    struct client_channel *channel;
    struct client_connection *connection;
    struct client_subscription *next, *previous;         /* of the channel */
    struct client_subscription *next_own, *previous_own; /* of the connection */

    /* Of a key that is tracked (client_tracking.c): where the reply to the last read of it is, in the order of replies. */
    uint32_t position;
};

struct client_channel {
    uint8_t kind; /* enum client_channel_kind */
    struct bytes name;
    struct client_subscription *first, *last;
    size_t count;
    struct client_channel *next_in_bucket;
    struct client_channel *next, *previous; /* of all of its kind */
};

/* What a connection is subscribed to. */
struct client_subscriptions {
    struct client_subscription *first, *last;
    size_t counts[CHANNEL_KINDS];
};

/* All of a port. */
struct client_channels {
    struct siphash_key key;
    size_t bucket_count;
    struct client_channel **buckets; /* NULL: there was no subscription yet */
    struct client_channel *first[CHANNEL_KINDS], *last[CHANNEL_KINDS];
    size_t counts[CHANNEL_KINDS]; /* of channels */
    size_t subscriptions;
    uint64_t bytes, bytes_max; /* of memory, of all of them */
    uint64_t channels_max; /* that are kept, if they may make room (client_tracking.c); 0: as many as there is memory for */

    /* What those who walk through the lists come to next. It may go meanwhile: then this is what follows. */
    struct client_subscription *next_subscription;
    struct client_channel *next_pattern;
};

/* NULL: there is none, as nothing is subscribed to it. */
struct client_channel *client_channels_find(const struct client_channels *all, uint8_t kind, struct bytes name);
/* The subscription of a connection to a channel; NULL: it has none. */
struct client_subscription *client_channels_subscribed(const struct client_subscriptions *own,
                                                       const struct client_channel *to);

/* Memory that a subscription to a channel takes that there is not yet. */
static inline uint64_t client_channels_cost(size_t name_len)
{
    return sizeof(struct client_channel) + sizeof(struct client_subscription) + name_len;
}
/* Why there is no room for one subscription more; NULL: there is. */
const char *client_channels_lacks_room(const struct client_channels *all, const struct client_subscriptions *own,
                                       uint8_t kind, struct bytes name);
/* Subscribes, unless it was done before. */
struct client_subscription *client_channels_add(struct client_channels *all, struct client_subscriptions *own,
                                                struct client_connection *c, uint8_t kind, struct bytes name);
/* Ends a subscription; its channel goes with the last one. */
void client_channels_remove(struct client_channels *all, struct client_subscriptions *own, struct client_subscription *s);
void client_channels_remove_all(struct client_channels *all, struct client_subscriptions *own);
void client_channels_close(struct client_channels *all);

/* How many are subscribed to a channel. */
static inline size_t client_channels_count(const struct client_channel *channel)
{
    return channel != NULL ? channel->count : 0;
}

/* To how many subscriptions a message of this channel goes, patterns among them. Patterns for which there are not enough
 * steps (core/formats/glob.h) do not count. */
size_t client_channels_receivers(const struct client_channels *all, uint8_t kind, struct bytes name, uint64_t *steps);

#endif
