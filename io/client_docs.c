/* What Redis says about commands that a state machine may have, for COMMAND: facts about their interfaces, and a line in our
 * own words. Names, arity and places of keys are not here, because the state machine tells them. */
#include "io/client_internal.h"

/* clang-format off */
static const struct client_doc docs[] = {
    {"append", "write denyoom fast", "write string fast", "", "RW insert", "2.0.0", "string", "Adds to the end of a value."},
    {"bitcount", "readonly", "read bitmap slow", "", "RO access", "2.6.0", "bitmap", "Counts the bits that are set."},
    {"bitop", "write denyoom", "write bitmap slow", "", "OW update;RO access", "2.6.0", "bitmap",
     "Combines the bits of values into another one."},
    {"bitpos", "readonly", "read bitmap slow", "", "RO access", "2.8.7", "bitmap",
     "Finds the first bit that is set, or is not."},
    {"copy", "write denyoom", "keyspace write slow", "", "RO access;OW update", "6.2.0", "generic",
     "Copies a value to another key."},
    {"dbsize", "readonly fast", "keyspace read fast", "request_policy:all_shards response_policy:agg_sum", "", "1.0.0",
     "server", "How many keys there are."},
    {"decr", "write denyoom fast", "write string fast", "", "RW access update", "1.0.0", "string",
     "Subtracts 1 from a number."},
    {"decrby", "write denyoom fast", "write string fast", "", "RW access update", "1.0.0", "string",
     "Subtracts from a number."},
    {"del", "write", "keyspace write slow", "request_policy:multi_shard response_policy:agg_sum", "RM delete", "1.0.0",
     "generic", "Removes keys."},
    {"delex", "write fast", "write string fast", "", "RM access delete", "8.4.0", "string",
     "Removes a key if its value is, or is not, a given one."},
    {"exists", "readonly fast", "keyspace read fast", "request_policy:multi_shard response_policy:agg_sum", "RO", "1.0.0",
     "generic", "How many of these keys there are."},
    {"flushall", "write", "keyspace write slow dangerous", "request_policy:all_shards response_policy:all_succeeded", "",
     "1.0.0", "server", "Removes all keys."},
    {"flushdb", "write", "keyspace write slow dangerous", "request_policy:all_shards response_policy:all_succeeded", "",
     "1.0.0", "server", "Removes all keys."},
    {"get", "readonly fast", "read string fast", "", "RO access", "1.0.0", "string", "The value of a key."},
    {"getbit", "readonly fast", "read bitmap fast", "", "RO access", "2.2.0", "bitmap", "One bit of a value."},
    {"getdel", "write fast", "write string fast", "", "RW access delete", "6.2.0", "string",
     "The value of a key, which is removed."},
    {"getrange", "readonly", "read string slow", "", "RO access", "2.4.0", "string", "A part of a value."},
    {"getset", "write denyoom fast", "write string fast", "", "RW access update", "1.0.0", "string",
     "The value of a key, which gets another one."},
    {"incr", "write denyoom fast", "write string fast", "", "RW access update", "1.0.0", "string", "Adds 1 to a number."},
    {"incrby", "write denyoom fast", "write string fast", "", "RW access update", "1.0.0", "string", "Adds to a number."},
    {"incrbyfloat", "write denyoom fast", "write string fast", "", "RW access update", "2.6.0", "string",
     "Adds to a number with a fraction."},
    {"keys", "readonly", "keyspace read slow dangerous", "request_policy:all_shards nondeterministic_output_order", "",
     "1.0.0", "generic", "All keys that match a pattern."},
    {"lcs", "readonly", "read string slow", "", "RO access", "7.0.0", "string",
     "The longest text that two values have in common."},
    {"mget", "readonly fast", "read string fast", "request_policy:multi_shard", "RO access", "1.0.0", "string",
     "The values of keys."},
    {"mset", "write denyoom", "write string slow", "request_policy:multi_shard response_policy:all_succeeded", "OW update",
     "1.0.1", "string", "Sets several keys."},
    {"msetnx", "write denyoom", "write string slow", "request_policy:multi_shard response_policy:agg_min", "OW insert",
     "1.0.1", "string", "Sets several keys if none of them is there."},
    {"randomkey", "readonly", "keyspace read slow", "request_policy:all_shards nondeterministic_output", "", "1.0.0",
     "generic", "One of the keys."},
    {"rename", "write", "keyspace write slow", "", "RW access delete;OW update", "1.0.0", "generic",
     "Gives a value another key."},
    {"renamenx", "write fast", "keyspace write fast", "", "RW access delete;OW insert", "1.0.0", "generic",
     "The same, if that key is not there."},
    {"scan", "readonly", "keyspace read slow", "nondeterministic_output request_policy:special", "", "2.8.0", "generic",
     "Some of the keys, and where to go on."},
    {"set", "write denyoom", "write string slow", "", "RW access update variable_flags", "1.0.0", "string", "Sets a key."},
    {"setbit", "write denyoom", "write bitmap slow", "", "RW access update", "2.2.0", "bitmap", "Sets one bit of a value."},
    {"setnx", "write denyoom fast", "write string fast", "", "OW insert", "1.0.0", "string",
     "Sets a key if it is not there."},
    {"setrange", "write denyoom", "write string slow", "", "RW update", "2.2.0", "string", "Overwrites a part of a value."},
    {"strlen", "readonly fast", "read string fast", "", "RO", "2.2.0", "string", "How long a value is."},
    {"substr", "readonly", "read string slow", "", "RO access", "1.0.0", "string", "A part of a value."},
    {"touch", "readonly fast", "keyspace read fast", "request_policy:multi_shard response_policy:agg_sum", "RO", "3.2.1",
     "generic", "How many of these keys there are."},
    {"type", "readonly fast", "keyspace read fast", "", "RO", "1.0.0", "generic", "The type of a value: string."},
    {"unlink", "write fast", "keyspace write fast", "request_policy:multi_shard response_policy:agg_sum", "RM delete",
     "4.0.0", "generic", "Removes keys."},
};
/* clang-format on */

const struct client_doc *client_docs_find(const struct bytes *name)
{
    for (size_t i = 0; i < sizeof docs / sizeof docs[0]; i++)
        if (client_is_word(name, docs[i].name))
            return &docs[i];
    return NULL;
}
