#include "core/formats/configuration.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/formats/decimal.h"

static const char *const role_names[DUTY_ALL + 1] = {
    [DUTY_ALL] = "coordinator",
    [DUTY_PROPOSES] = "proposer",
    [DUTY_ACCEPTS] = "acceptor",
    [DUTY_LEARNS] = "learner",
};

const char *configuration_role_name(uint8_t duties)
{
    return duties <= DUTY_ALL && role_names[duties] != NULL ? role_names[duties] : "";
}

uint8_t configuration_role(const char *name, size_t len)
{
    for (uint8_t duties = 1; duties <= DUTY_ALL; duties++)
        if (role_names[duties] != NULL && strlen(role_names[duties]) == len && memcmp(role_names[duties], name, len) == 0)
            return duties;
    return 0;
}

/* ---- Printing ---- */

struct printer {
    char *text;
    size_t len;
};

static void print_bytes(struct printer *p, const char *bytes, size_t len)
{
    invariant(p->len + len <= CONFIGURATION_TEXT_MAX);
    memcpy(p->text + p->len, bytes, len);
    p->len += len;
}

/* A word, and what follows it: a space or the end of the line. */
static void print_word(struct printer *p, const char *word, char after)
{
    print_bytes(p, word, strlen(word));
    print_bytes(p, &after, 1);
}

static void print_number(struct printer *p, uint64_t number, char after)
{
    uint8_t digits[DECIMAL_MAX];
    print_bytes(p, (const char *)digits, decimal_write_unsigned(number, digits));
    print_bytes(p, &after, 1);
}

static void print_member(struct printer *p, const struct member *m)
{
    static const char hex[] = "0123456789abcdef";
    char instance[2 * MEMBER_INSTANCE_SIZE + 1] = {0};
    for (size_t i = 0; i < MEMBER_INSTANCE_SIZE; i++) {
        instance[2 * i] = hex[m->instance[i] >> 4];
        instance[2 * i + 1] = hex[m->instance[i] & 15];
    }
    print_word(p, "member", ' ');
    print_number(p, m->node, ' ');
    print_word(p, configuration_role_name(m->duties), ' ');
    print_word(p, m->joining ? "joining" : "full", ' ');
    print_number(p, m->number, ' ');
    print_word(p, instance, ' ');
    print_word(p, m->address, ' ');
    print_word(p, m->client, '\n');
}

size_t configuration_print(const struct configuration_text *t, char text[CONFIGURATION_TEXT_MAX])
{
    struct printer p = {text, 0};
    print_word(&p, "replaces", ' ');
    print_number(&p, t->replaces, '\n');
    print_word(&p, "delay", ' ');
    print_number(&p, t->delay, '\n');
    print_word(&p, "fresh", ' ');
    print_number(&p, t->fresh, '\n');
    for (size_t i = 0; i < t->setting_count; i++) {
        print_word(&p, t->settings[i].key, ' ');
        print_word(&p, t->settings[i].value, '\n');
    }
    for (uint32_t node = 1; node <= NODE_ID_MAX; node++)
        if (t->members[node].node != 0)
            print_member(&p, &t->members[node]);
    for (uint32_t node = 1; node <= NODE_ID_MAX; node++) {
        if (!t->gone[node])
            continue;
        print_word(&p, "gone", ' ');
        print_number(&p, node, ' ');
        print_number(&p, t->gone_number[node], '\n');
    }
    return p.len;
}

struct payload configuration_pack(const struct configuration_text *t)
{
    uint64_t *words = memory_new(CONFIGURATION_TEXT_MAX / sizeof *words, sizeof *words);
    const size_t len = configuration_print(t, (char *)words);
    const struct payload whole = {.words = {words, words_for(len)}, .len = (uint32_t)len};
    const struct payload copy = payload_copy(&whole);
    free(words);
    return copy;
}

/* ---- Reading ---- */

struct reader {
    const char *at, *end;
    bool failed;
};

/* The next word, which `after` must follow. Words have printable characters only. */
static size_t take_word(struct reader *r, char after, const char **word)
{
    const char *from = r->at;
    while (r->at < r->end && *r->at > ' ' && *r->at <= '~')
        r->at++;
    const size_t len = (size_t)(r->at - from);
    if (len == 0 || r->at == r->end || *r->at != after) {
        r->failed = true;
        r->at = r->end;
        return 0;
    }
    r->at++;
    *word = from;
    return len;
}

static void take_text(struct reader *r, char after, char *out, size_t size)
{
    const char *word = "";
    const size_t len = take_word(r, after, &word);
    r->failed = r->failed || len >= size;
    if (r->failed)
        return;
    memcpy(out, word, len);
    out[len] = '\0';
}

static uint64_t take_number(struct reader *r, char after, uint64_t max)
{
    const char *word = "";
    uint64_t number = 0;
    const size_t len = take_word(r, after, &word);
    r->failed = r->failed || !decimal_read_unsigned((const uint8_t *)word, len, &number) || number > max;
    return r->failed ? 0 : number;
}

/* Whether the line begins with this word; then it is taken. */
static bool take_key(struct reader *r, const char *key)
{
    const size_t len = strlen(key);
    if (r->failed || (size_t)(r->end - r->at) <= len || memcmp(r->at, key, len) != 0 || r->at[len] != ' ')
        return false;
    r->at += len + 1;
    return true;
}

static uint64_t take_line(struct reader *r, const char *key, uint64_t max)
{
    r->failed = r->failed || !take_key(r, key);
    return take_number(r, '\n', max);
}

static uint8_t hex_digit(struct reader *r, char c)
{
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0');
    r->failed = r->failed || c < 'a' || c > 'f';
    return (uint8_t)(c - 'a' + 10);
}

static void take_instance(struct reader *r, uint8_t instance[MEMBER_INSTANCE_SIZE])
{
    const char *word = "";
    r->failed = take_word(r, ' ', &word) != (size_t)2 * MEMBER_INSTANCE_SIZE || r->failed;
    for (size_t i = 0; i < MEMBER_INSTANCE_SIZE && !r->failed; i++)
        instance[i] = (uint8_t)(hex_digit(r, word[2 * i]) << 4 | hex_digit(r, word[2 * i + 1]));
}

/* A node's number, above those before. */
static uint32_t take_node(struct reader *r, uint32_t *before)
{
    const uint32_t node = (uint32_t)take_number(r, ' ', NODE_ID_MAX);
    r->failed = r->failed || node <= *before;
    *before = r->failed ? *before : node;
    return r->failed ? 0 : node;
}

static void take_member(struct reader *r, struct configuration_text *t, uint32_t *before)
{
    const char *word = "";
    struct member *m = &t->members[take_node(r, before)];
    const size_t len = take_word(r, ' ', &word);
    m->duties = configuration_role(word, len);
    m->joining = take_key(r, "joining");
    r->failed = r->failed || m->duties == 0 || (!m->joining && !take_key(r, "full"));
    m->number = (uint32_t)take_number(r, ' ', MEMBER_NUMBER_MAX);
    take_instance(r, m->instance);
    take_text(r, ' ', m->address, sizeof m->address);
    take_text(r, '\n', m->client, sizeof m->client);
    m->node = r->failed ? 0 : *before;
}

/* True: the next line is a setting, unless it fails. */
static bool take_setting(struct reader *r, struct configuration_text *t)
{
    const struct reader before = *r;
    if (r->failed || r->at == r->end || take_key(r, "member") || t->setting_count == CONFIGURATION_SETTINGS_MAX) {
        *r = before;
        return false;
    }
    struct configuration_setting s = {{0}, {0}};
    take_text(r, ' ', s.key, sizeof s.key);
    take_text(r, '\n', s.value, sizeof s.value);
    r->failed = r->failed || configuration_setting(t, s.key) != NULL;
    t->settings[t->setting_count++] = s;
    return !r->failed;
}

const char *configuration_read(const void *text, size_t len, struct configuration_text *t)
{
    struct reader r = {.at = text, .failed = len == 0 || len > CONFIGURATION_TEXT_MAX};
    r.end = len > 0 ? r.at + len : r.at; /* an empty text may be at no place at all */
    uint32_t node = 0, gone = 0;
    memset(t, 0, sizeof *t);
    t->replaces = take_line(&r, "replaces", SLOT_MAX - 1);
    t->delay = (uint32_t)take_line(&r, "delay", CONFIGURATION_ALPHA_MAX);
    t->fresh = (uint32_t)take_line(&r, "fresh", NODE_ID_MAX);
    while (take_setting(&r, t))
        continue;
    while (take_key(&r, "member"))
        take_member(&r, t, &node);
    while (take_key(&r, "gone")) {
        const uint32_t was = take_node(&r, &gone);
        t->gone[was] = was != 0;
        t->gone_number[was] = (uint32_t)take_number(&r, '\n', MEMBER_NUMBER_MAX);
    }
    if (r.failed || r.at != r.end)
        return "ERR the text is no configuration";
    return configuration_check(t);
}

/* ---- What it says ---- */

const char *configuration_setting(const struct configuration_text *t, const char *key)
{
    for (size_t i = 0; i < t->setting_count; i++)
        if (strcmp(t->settings[i].key, key) == 0)
            return t->settings[i].value;
    return NULL;
}

/* A setting that is a number from 1 to `max`; 0: it is not. */
static uint64_t number_of(const struct configuration_text *t, const char *key, uint64_t max)
{
    const char *value = configuration_setting(t, key);
    uint64_t number = 0;
    if (value == NULL || !decimal_read_unsigned((const uint8_t *)value, strlen(value), &number) || number > max)
        return 0;
    return number;
}

/* Those that can be changed while a cluster runs, and what they may be. */
struct changeable {
    const char *key;
    const char *first; /* the key of the value that the first configuration had, once it was changed; NULL: not kept */
    uint64_t min, max; /* 0: it is no number but true or false */
    const char *wrong;
};
static const struct changeable changeables[] = {
    {"alpha", "first_alpha", 1, CONFIGURATION_ALPHA_MAX, "ERR alpha is between 1 and 4096"},
    {"acceptors_send_learns", NULL, 0, 0, "ERR acceptors_send_learns is true or false"},
    {"phase1_quorum", NULL, 1, NODE_ID_MAX, "ERR a quorum is a number between 1 and 63"},
    {"phase2_quorum", NULL, 1, NODE_ID_MAX, "ERR a quorum is a number between 1 and 63"},
    {"state_bytes_max", "first_state_bytes_max", CONFIGURATION_STATE_MIN, CONFIGURATION_STATE_MAX,
     "ERR state_bytes_max is a number of bytes between 65536 and 3221225472"},
};
enum { CHANGEABLES = sizeof changeables / sizeof changeables[0] };

static const struct changeable *changeable(const char *key)
{
    for (size_t i = 0; i < CHANGEABLES; i++)
        if (strcmp(changeables[i].key, key) == 0)
            return &changeables[i];
    return NULL;
}

bool configuration_may_set(const char *key) { return changeable(key) != NULL; }

/* Whether such a setting, if there is one, is what it may be. */
static bool is_sound(const struct configuration_text *t, const struct changeable *c)
{
    const char *value = configuration_setting(t, c->key);
    if (value == NULL || c->max != 0)
        return value == NULL || number_of(t, c->key, c->max) >= c->min;
    return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
}

uint64_t configuration_first(const struct configuration_text *t, const char *key)
{
    const struct changeable *c = changeable(key);
    invariant(c != NULL && c->first != NULL);
    return number_of(t, configuration_setting(t, c->first) != NULL ? c->first : key, c->max);
}

struct configuration configuration_of(const struct configuration_text *t, uint64_t slot)
{
    struct configuration c = {.slot = slot, .governs = slot != 0 ? slot + t->delay : 0, .replaces = t->replaces};
    c.alpha = (uint32_t)number_of(t, "alpha", CONFIGURATION_ALPHA_MAX);
    c.phase1_quorum = (uint32_t)number_of(t, "phase1_quorum", NODE_ID_MAX);
    c.phase2_quorum = (uint32_t)number_of(t, "phase2_quorum", NODE_ID_MAX);
    c.state_bytes_max = number_of(t, "state_bytes_max", CONFIGURATION_STATE_MAX);
    const char *tell = configuration_setting(t, "acceptors_send_learns");
    c.acceptors_send_learns = tell != NULL && strcmp(tell, "true") == 0;
    c.fresh = t->fresh != 0 ? node_set_of(t->fresh) : 0;
    for (uint32_t node = 1; node <= NODE_ID_MAX; node++) {
        const struct member *m = &t->members[node];
        const uint8_t duties = m->node == 0 ? 0 : m->joining ? DUTY_LEARNS : m->duties;
        c.proposers |= duties & DUTY_PROPOSES ? node_set_of(node) : 0;
        c.acceptors |= duties & DUTY_ACCEPTS ? node_set_of(node) : 0;
        c.learners |= duties & DUTY_LEARNS ? node_set_of(node) : 0;
        c.joining |= m->node != 0 && m->joining ? node_set_of(node) : 0;
    }
    return c;
}

bool configuration_unpack(const struct payload *value, uint64_t slot, struct configuration *configuration)
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    const bool sound = configuration_read(payload_bytes(value), value->len, t) == NULL;
    if (sound)
        *configuration = configuration_of(t, slot);
    free(t);
    return sound;
}

void configuration_numbers(const struct payload *value, uint32_t numbers[NODE_ID_MAX + 1])
{
    struct configuration_text *t = memory_new(1, sizeof *t);
    const bool sound = configuration_read(payload_bytes(value), value->len, t) == NULL;
    for (uint32_t node = 0; node <= NODE_ID_MAX; node++)
        numbers[node] = !sound ? 0 : t->gone[node] ? t->gone_number[node] : t->members[node].number;
    free(t);
}

/* Two members cannot have one instance. */
static bool instances_differ(const struct configuration_text *t)
{
    for (uint32_t a = 1; a <= NODE_ID_MAX; a++)
        for (uint32_t b = a + 1; t->members[a].node != 0 && b <= NODE_ID_MAX; b++)
            if (t->members[b].node != 0 && memcmp(t->members[a].instance, t->members[b].instance, MEMBER_INSTANCE_SIZE) == 0)
                return false;
    return true;
}

const char *configuration_check(const struct configuration_text *t)
{
    const struct configuration c = configuration_of(t, 0);
    const uint32_t acceptors = node_set_count(c.acceptors);
    for (uint32_t node = 1; node <= NODE_ID_MAX; node++) {
        const struct member *m = &t->members[node];
        if (m->node != 0 && (t->gone[node] || (m->joining && (m->duties & DUTY_LEARNS) == 0)))
            return "ERR a member cannot be gone, and only a learner can be joining";
    }
    if (c.proposers == 0 || c.acceptors == 0 || (c.learners & ~c.joining) == 0)
        return "ERR a cluster needs at least one proposer, one acceptor and one learner";
    if (c.alpha == 0 || t->delay == 0)
        return "ERR alpha is between 1 and 4096";
    if (c.phase1_quorum == 0 || c.phase1_quorum > acceptors || c.phase2_quorum == 0 || c.phase2_quorum > acceptors)
        return "ERR a quorum has at least one acceptor, and at most as many as there are";
    if (c.phase1_quorum + c.phase2_quorum <= acceptors)
        return "ERR any two quorums must meet: phase1_quorum and phase2_quorum together must be more than the acceptors";
    if (t->fresh != 0 && t->members[t->fresh].node == 0)
        return "ERR what is new must be a member";
    for (size_t i = 0; i < CHANGEABLES; i++)
        if (!is_sound(t, &changeables[i]))
            return changeables[i].wrong;
    return instances_differ(t) ? NULL : "ERR two members have the same instance id";
}

/* ---- Changes ---- */

static struct configuration_setting *find(struct configuration_text *t, const char *key)
{
    for (size_t i = 0; i < t->setting_count; i++)
        if (strcmp(t->settings[i].key, key) == 0)
            return &t->settings[i];
    return NULL;
}

static void set_number(struct configuration_text *t, const char *key, uint32_t number)
{
    struct configuration_setting *s = find(t, key);
    invariant(s != NULL); /* the text that it comes from was sound */
    s->value[decimal_write_unsigned(number, (uint8_t *)s->value)] = '\0';
}

static const char *add(struct configuration_text *t, const struct member *wanted)
{
    const uint32_t node = wanted->node;
    if (t->members[node].node != 0)
        return "ERR this node is a member already";
    if (t->gone[node] && t->gone_number[node] == MEMBER_NUMBER_MAX)
        return "ERR this node has had too many instances; take another number";
    struct member *m = &t->members[node];
    *m = *wanted;
    m->joining = (m->duties & DUTY_LEARNS) != 0;
    m->number = t->gone[node] ? t->gone_number[node] + 1 : 0;
    t->gone[node] = false;
    t->gone_number[node] = 0;
    t->fresh = node;
    return NULL;
}

static const char *replace(struct configuration_text *t, const struct member *wanted)
{
    struct member *m = &t->members[wanted->node];
    if (m->number == MEMBER_NUMBER_MAX)
        return "ERR this node has had too many instances; remove it, and add one with another number";
    if (memcmp(m->instance, wanted->instance, sizeof m->instance) == 0)
        return "ERR the member is this instance already";
    m->number++;
    memcpy(m->instance, wanted->instance, sizeof m->instance);
    if (wanted->address[0] != '\0')
        memcpy(m->address, wanted->address, sizeof m->address);
    if (wanted->client[0] != '\0')
        memcpy(m->client, wanted->client, sizeof m->client);
    t->fresh = wanted->node;
    return NULL;
}

/* Keeps the value that the first configuration had, which a node that joins and executes the log needs. */
static const char *keep_first(struct configuration_text *t, const struct changeable *c,
                              const struct configuration_setting *before)
{
    if (c->first == NULL || find(t, c->first) != NULL)
        return NULL;
    if (t->setting_count == CONFIGURATION_SETTINGS_MAX)
        return "ERR the configuration has too many settings";
    struct configuration_setting *kept = &t->settings[t->setting_count++];
    *kept = *before;
    memcpy(kept->key, c->first, strlen(c->first) + 1);
    return NULL;
}

static const char *set(struct configuration_text *t, const struct configuration_setting *wanted)
{
    const struct changeable *c = changeable(wanted->key);
    struct configuration_setting *s = find(t, wanted->key);
    if (s == NULL || c == NULL)
        return "ERR this is no governed setting, or (memory_bytes_max) one that cannot be changed while a cluster runs";
    const char *wrong = keep_first(t, c, s);
    *s = *wanted;
    return wrong != NULL || is_sound(t, c) ? wrong : c->wrong;
}

/* Quorums for another number of acceptors. */
static const char *fit_quorums(struct configuration_text *t, const struct configuration *before)
{
    const uint32_t was = node_set_count(before->acceptors), now = node_set_count(configuration_of(t, 0).acceptors);
    const bool majorities = before->phase1_quorum == was / 2 + 1 && before->phase2_quorum == was / 2 + 1;
    const uint32_t phase2 = majorities ? now / 2 + 1 : before->phase2_quorum;
    if (was == now || now == 0)
        return NULL; /* configuration_check says what is wrong with none */
    if (phase2 > now)
        return "ERR phase2_quorum would be more than the acceptors; lower it first";
    set_number(t, "phase1_quorum", majorities ? phase2 : now + 1 - phase2);
    set_number(t, "phase2_quorum", phase2);
    return NULL;
}

static const char *change(struct configuration_text *to, const struct configuration_request *request)
{
    const uint32_t node = request->member.node;
    if (request->verb == CONFIGURATION_SET)
        return set(to, &request->setting);
    if (node == 0 || node > NODE_ID_MAX)
        return "ERR the number of a node is between 1 and 63";
    struct member *m = &to->members[node];
    if (request->verb == CONFIGURATION_ADD)
        return add(to, &request->member);
    if (m->node == 0)
        return "ERR there is no such member";
    if (request->verb == CONFIGURATION_REPLACE)
        return replace(to, &request->member);
    if (request->verb == CONFIGURATION_PROMOTE) {
        m->joining = false;
        return NULL;
    }
    to->gone[node] = true;
    to->gone_number[node] = m->number;
    *m = (struct member){0};
    return NULL;
}

const char *configuration_change(const struct configuration_text *from, uint64_t slot,
                                 const struct configuration_request *request, struct configuration_text *to)
{
    const struct configuration before = configuration_of(from, slot);
    *to = *from;
    to->replaces = slot;
    to->delay = before.alpha;
    to->fresh = 0;
    const char *wrong = change(to, request);
    wrong = wrong == NULL ? fit_quorums(to, &before) : wrong;
    return wrong == NULL ? configuration_check(to) : wrong;
}
